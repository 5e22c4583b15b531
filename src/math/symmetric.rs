//! Eigenvalues and eigenvectors of small symmetric matrices, and the whitening that follows from them.

/// Rotations a sweep of the iteration may take for one eigenvalue: about 2 are enough, so this is never reached.
const MOST_ITERATIONS: usize = 60;

/// A symmetric matrix as its eigenvalues and eigenvectors.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// Eigenvalues, in no order.
    pub values: Vec<f64>,
    /// Eigenvectors, one a row: `vectors[i * n + k]` is element `k` of the vector of `values[i]`.
    pub vectors: Vec<f64>,
}

impl Eigen {
    /// Takes apart a symmetric matrix of `n` rows, row after row; `None` where a number is not finite.
    ///
    /// Householder's reflections to three diagonals, then implicit QL with Wilkinson's shift (Bowdler 1968,
    /// doi 10.1007/BF02219771): some 10 n³ operations.
    pub fn new(n: usize, mut matrix: Vec<f64>) -> Option<Self> {
        if matrix.len() != n * n || matrix.iter().any(|x| !x.is_finite()) {
            return None;
        }
        let (mut diagonal, mut beside, mut vectors) = tridiagonal(n, &mut matrix);
        ql(n, &mut diagonal, &mut beside, &mut vectors)?;
        Some(Self { values: diagonal, vectors })
    }

    /// The coordinates of a vector along each eigenvector.
    pub fn along(&self, x: &[f64]) -> Vec<f64> {
        self.vectors.chunks_exact(x.len().max(1)).map(|v| dot(v, x)).collect()
    }

    /// The vector that has these coordinates along the eigenvectors.
    pub fn from_along(&self, coordinates: &[f64]) -> Vec<f64> {
        let n = coordinates.len();
        let mut x = vec![0.0; n];
        for (v, c) in self.vectors.chunks_exact(n.max(1)).zip(coordinates) {
            x.iter_mut().zip(v).for_each(|(x, v)| *x += c * v);
        }
        x
    }
}

fn dot(x: &[f64], y: &[f64]) -> f64 {
    x.iter().zip(y).map(|(x, y)| x * y).sum()
}

/// Reflects the matrix to three diagonals `T = Q A Q'`: the diagonal, what is beside it (element `i` between `i` and
/// `i + 1`), and `Q'` transposed, one row for each row of `T`.
fn tridiagonal(n: usize, a: &mut [f64]) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
    let mut beside = vec![0.0; n];
    let mut q = vec![0.0; n * n];
    (0..n).for_each(|i| q[i * n + i] = 1.0);
    let (mut v, mut p) = (vec![0.0; n], vec![0.0; n]);
    for k in 0..n.saturating_sub(2) {
        // A reflection that leaves of column k below the diagonal only its first element.
        let below = k + 1;
        let norm = (below..n).map(|i| a[i * n + k] * a[i * n + k]).sum::<f64>().sqrt();
        if norm == 0.0 {
            continue;
        }
        let first = a[below * n + k];
        let target = if first > 0.0 { -norm } else { norm };
        v[..below].fill(0.0);
        for i in below..n {
            v[i] = a[i * n + k];
        }
        v[below] -= target;
        let half = 0.5 * dot(&v[below..], &v[below..]);
        if half == 0.0 {
            continue;
        }
        // A - v w' - w v' with w = p - v (v'p / 2h), p = A v / h.
        for i in below..n {
            p[i] = dot(&a[i * n + below..(i + 1) * n], &v[below..]) / half;
        }
        let share = 0.5 * dot(&v[below..], &p[below..]) / half;
        for i in below..n {
            p[i] -= share * v[i];
        }
        for i in below..n {
            let (vi, pi) = (v[i], p[i]);
            let row = &mut a[i * n + below..(i + 1) * n];
            row.iter_mut().zip(&v[below..]).zip(&p[below..]).for_each(|((a, v), p)| *a -= vi * p + pi * v);
        }
        a[below * n + k] = target;
        // Rows of the transposed Q': Q' (I - v v' / h) changes columns, so rows of the transpose mix.
        p.fill(0.0);
        for i in below..n {
            let vi = v[i];
            p.iter_mut().zip(&q[i * n..(i + 1) * n]).for_each(|(p, q)| *p += vi * q);
        }
        for i in below..n {
            let scale = v[i] / half;
            q[i * n..(i + 1) * n].iter_mut().zip(&p).for_each(|(q, p)| *q -= scale * p);
        }
    }
    let diagonal = (0..n).map(|i| a[i * n + i]).collect();
    for i in 0..n.saturating_sub(1) {
        beside[i] = a[(i + 1) * n + i];
    }
    (diagonal, beside, q)
}

/// Turns three diagonals into one, and the rows of `vectors` with them.
fn ql(n: usize, d: &mut [f64], e: &mut [f64], vectors: &mut [f64]) -> Option<()> {
    for l in 0..n {
        for iteration in 0.. {
            let negligible = |i: &usize| e[*i].abs() <= f64::EPSILON * (d[*i].abs() + d[*i + 1].abs());
            let m = (l..n - 1).find(negligible).unwrap_or(n - 1);
            if m == l {
                break;
            }
            if iteration == MOST_ITERATIONS {
                return None;
            }
            let mut g = (d[l + 1] - d[l]) / (2.0 * e[l]);
            let root = g.hypot(1.0);
            g = d[m] - d[l] + e[l] / (g + root.copysign(g));
            let (mut s, mut c, mut p) = (1.0, 1.0, 0.0);
            let mut ended_early = false;
            for i in (l..m).rev() {
                let (f, b) = (s * e[i], c * e[i]);
                let r = f.hypot(g);
                e[i + 1] = r;
                if r == 0.0 {
                    d[i + 1] -= p;
                    e[m] = 0.0;
                    ended_early = true;
                    break;
                }
                s = f / r;
                c = g / r;
                g = d[i + 1] - p;
                let t = (d[i] - g) * s + 2.0 * c * b;
                p = s * t;
                d[i + 1] = g + p;
                g = c * t - b;
                let (upper, lower) = vectors.split_at_mut((i + 1) * n);
                let (this, next) = (&mut upper[i * n..], &mut lower[..n]);
                for (x, y) in this.iter_mut().zip(next) {
                    let f = *y;
                    *y = s * *x + c * f;
                    *x = c * *x - s * f;
                }
            }
            if !ended_early {
                d[l] -= p;
                e[l] = g;
                e[m] = 0.0;
            }
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::standard_normal;

    fn random(n: usize, rank: usize, ridge: f64) -> Vec<f64> {
        let x: Vec<f64> = (0..n * rank).map(|i| standard_normal(1, n as u64, rank as u32, i as u32)).collect();
        let of = |i: usize, j: usize| (0..rank).map(|r| x[i * rank + r] * x[j * rank + r]).sum::<f64>();
        let diagonal = |i: usize, j: usize| if i == j { ridge } else { 0.0 };
        (0..n * n).map(|at| of(at / n, at % n) + diagonal(at / n, at % n)).collect()
    }

    /// Largest entry of `A - V' D V`, and of `V V' - I`.
    fn faults(n: usize, matrix: &[f64], eigen: &Eigen) -> (f64, f64) {
        let (mut rebuilt, mut orthogonal) = (0.0f64, 0.0f64);
        for i in 0..n {
            for j in 0..n {
                let v = &eigen.vectors;
                let sum: f64 = (0..n).map(|k| eigen.values[k] * v[k * n + i] * v[k * n + j]).sum();
                rebuilt = rebuilt.max((sum - matrix[i * n + j]).abs());
                let unit = if i == j { 1.0 } else { 0.0 };
                orthogonal = orthogonal.max((dot(&v[i * n..(i + 1) * n], &v[j * n..(j + 1) * n]) - unit).abs());
            }
        }
        (rebuilt, orthogonal)
    }

    #[test]
    fn takes_matrices_of_any_rank_apart() {
        for (n, rank, ridge) in [(1, 1, 0.0), (2, 2, 0.0), (3, 1, 0.0), (7, 7, 0.0), (49, 8, 1.0), (30, 30, 0.0)] {
            let matrix = random(n, rank, ridge);
            let eigen = Eigen::new(n, matrix.clone()).expect("finite");
            let (rebuilt, orthogonal) = faults(n, &matrix, &eigen);
            assert!(rebuilt < 1e-11 && orthogonal < 1e-12, "{n} {rank}: {rebuilt} {orthogonal}");
            // The planted fault: one eigenvalue off by a millionth.
            let mut wrong = eigen.clone();
            wrong.values[0] += 1e-6;
            assert!(faults(n, &matrix, &wrong).0 > 1e-8);
        }
        let mut diagonal = vec![0.0; 9];
        (diagonal[0], diagonal[4], diagonal[8]) = (3.0, 1.0, 2.0);
        let mut values = Eigen::new(3, diagonal).expect("finite").values;
        values.sort_by(f64::total_cmp);
        assert_eq!(values, [1.0, 2.0, 3.0]);
        assert!(Eigen::new(1, vec![f64::NAN]).is_none() && Eigen::new(2, vec![1.0]).is_none());
        assert!(Eigen::new(0, Vec::new()).is_some());
    }

    #[test]
    fn coordinates_lead_back() {
        let eigen = Eigen::new(12, random(12, 5, 0.5)).expect("finite");
        let x: Vec<f64> = (0..12).map(|i| standard_normal(2, 0, 0, i)).collect();
        let along = eigen.along(&x);
        assert!((dot(&along, &along) - dot(&x, &x)).abs() < 1e-12);
        assert!(eigen.from_along(&along).iter().zip(&x).all(|(a, b)| (a - b).abs() < 1e-12));
        assert!(along.iter().zip(&x).any(|(a, b)| (a - b).abs() > 0.1));
    }
}
