//! Eigenvalues of small symmetric matrices: all of them with their vectors, or the smallest and the largest alone.

use super::covariance::Matrix;

/// Cyclic Jacobi converges quadratically: 8 x 8 needs about 6 sweeps.
pub(super) const MAX_SWEEPS: usize = 40;

/// Eigenvalues and eigenvectors (`vectors[row][k]` belongs to `values[k]`) of the leading `n` x `n` part of a
/// symmetric matrix, unsorted.
pub(super) fn symmetric_eigen<const N: usize>(mut a: Matrix<N>, n: usize) -> ([f64; N], Matrix<N>) {
    let n = n.min(N);
    let mut vectors: Matrix<N> = [[0.0; N]; N];
    for (i, row) in vectors.iter_mut().enumerate() {
        row[i] = 1.0;
    }
    for _ in 0..MAX_SWEEPS {
        let mut rotated = false;
        for p in 0..n {
            for q in p + 1..n {
                let off = a[p][q];
                if off.abs() <= f64::EPSILON * 0.5 * (a[p][p].abs() * a[q][q].abs()).sqrt() || off == 0.0 {
                    continue;
                }
                rotated = true;
                let theta = (a[q][q] - a[p][p]) / (2.0 * off);
                let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                let c = 1.0 / (t * t + 1.0).sqrt();
                let s = t * c;
                for row in a.iter_mut().take(n) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
                // Row p and row q at once: q > p.
                let (upper, lower) = a.split_at_mut(q);
                for (x, y) in upper[p].iter_mut().zip(lower[0].iter_mut()).take(n) {
                    (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                }
                for row in vectors.iter_mut().take(n) {
                    (row[p], row[q]) = (c * row[p] - s * row[q], s * row[p] + c * row[q]);
                }
            }
        }
        if !rotated {
            break;
        }
    }
    (std::array::from_fn(|k| if k < n { a[k][k] } else { 0.0 }), vectors)
}

/// The smallest and the largest eigenvalue of a symmetric matrix, to rounding of the largest: reduced to a tridiagonal
/// one by Householder reflections, whose characteristic polynomial Laguerre's method then follows from outside to its
/// first and its last root. That takes a fifth of the time of all eigenvectors.
pub(super) fn eigenvalue_range<const N: usize>(mut a: Matrix<N>, n: usize) -> (f64, f64) {
    if n == 0 {
        return (1.0, 1.0);
    }
    let (mut diagonal, mut off_squared) = ([0.0; N], [0.0; N]);
    for k in 0..n.saturating_sub(2) {
        // The reflection that leaves only the first entry of column k below the diagonal.
        let length = (k + 1..n).map(|i| a[i][k] * a[i][k]).sum::<f64>();
        let below = length - a[k + 1][k] * a[k + 1][k];
        if below > 0.0 {
            let alpha = -length.sqrt().copysign(a[k + 1][k]);
            let mut v = [0.0; N];
            for i in k + 1..n {
                v[i] = a[i][k];
            }
            v[k + 1] -= alpha;
            let half_square = length - alpha * a[k + 1][k];
            // A - v w' - w v' with w = p - (v'p / 2h) v, p = A v / h.
            let mut p = [0.0; N];
            let mut along = 0.0;
            for i in k + 1..n {
                for j in k + 1..n {
                    p[i] += a[i][j] * v[j];
                }
                p[i] /= half_square;
                along += p[i] * v[i];
            }
            let share = along / (2.0 * half_square);
            for i in k + 1..n {
                p[i] -= share * v[i];
            }
            for i in k + 1..n {
                for j in k + 1..n {
                    a[i][j] -= v[i] * p[j] + p[i] * v[j];
                }
            }
            a[k + 1][k] = alpha;
        }
    }
    for i in 0..n {
        diagonal[i] = a[i][i];
        off_squared[i] = if i > 0 { a[i][i - 1] * a[i][i - 1] } else { 0.0 };
    }
    // Gershgorin's bounds.
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for i in 0..n {
        let after = if i + 1 < n { off_squared[i + 1] } else { 0.0 };
        let radius = off_squared[i].sqrt() + after.sqrt();
        low = low.min(diagonal[i] - radius);
        high = high.max(diagonal[i] + radius);
    }
    // A normal matrix has no eigenvalue below zero.
    (extreme_root(&diagonal, &off_squared, n, low.max(0.0), 1.0), extreme_root(&diagonal, &off_squared, n, high, -1.0))
}

/// The first root of the characteristic polynomial of a tridiagonal matrix in the direction `sign` from `x`, which lies
/// beyond all roots: Laguerre's method comes nearer without ever passing it.
fn extreme_root(diagonal: &[f64], off_squared: &[f64], n: usize, mut x: f64, sign: f64) -> f64 {
    let degree = n as f64;
    let size = diagonal[..n].iter().fold(0.0, |m: f64, d| m.max(d.abs()));
    for _ in 0..60 {
        // The polynomial and its first two derivatives by the three-term recurrence.
        let (mut p, mut dp, mut ddp) = ([1.0, 0.0], [0.0; 2], [0.0; 2]);
        for i in 0..n {
            let shifted = diagonal[i] - x;
            let b = off_squared[i];
            let next = shifted * p[0] - b * p[1];
            let first = shifted * dp[0] - p[0] - b * dp[1];
            let second = shifted * ddp[0] - 2.0 * dp[0] - b * ddp[1];
            (p, dp, ddp) = ([next, p[0]], [first, dp[0]], [second, ddp[0]]);
        }
        if p[0] == 0.0 {
            break;
        }
        let g = dp[0] / p[0];
        let h = g * g - ddp[0] / p[0];
        let spread = ((degree - 1.0) * (degree * h - g * g)).max(0.0).sqrt();
        // All roots lie ahead, so g has the sign of minus the direction.
        let step = degree / (sign * -g + spread);
        if !(step.is_finite() && step > 0.0) {
            break;
        }
        x += sign * step;
        if step <= 4.0 * f64::EPSILON * size {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::MAX_PARAMETERS;

    fn matrix(rows: &[&[f64]]) -> Matrix<MAX_PARAMETERS> {
        let mut m: Matrix<MAX_PARAMETERS> = Default::default();
        for (i, row) in rows.iter().enumerate() {
            m[i][..row.len()].copy_from_slice(row);
        }
        m
    }

    #[test]
    fn eigenvectors_rebuild_the_matrix() {
        let a =
            matrix(&[&[4.0, 1.0, -2.0, 0.5], &[1.0, 3.0, 0.0, 1.5], &[-2.0, 0.0, 9.0, -1.0], &[0.5, 1.5, -1.0, 2.0]]);
        let (values, vectors) = symmetric_eigen(a, 4);
        for i in 0..4 {
            for j in 0..4 {
                let rebuilt: f64 = (0..4).map(|k| vectors[i][k] * values[k] * vectors[j][k]).sum();
                assert!((rebuilt - a[i][j]).abs() < 1e-13, "{i} {j}: {rebuilt}");
            }
        }
        assert!((values.iter().sum::<f64>() - 18.0).abs() < 1e-12);
    }

    #[test]
    fn the_range_of_eigenvalues_is_that_of_all_of_them() {
        let mut state = 1u64;
        let mut uniform = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
        };
        let mut worst: f64 = 0.0;
        for n in 1..=MAX_PARAMETERS {
            for near in [1.0, 1e-3, 1e-5] {
                // Columns that differ by `near`, scaled to length one.
                let shared: Vec<f64> = (0..20).map(|_| uniform()).collect();
                let columns: Vec<Vec<f64>> = (0..n)
                    .map(|_| {
                        let column: Vec<f64> = shared.iter().map(|s| s + near * uniform()).collect();
                        let length = column.iter().map(|x| x * x).sum::<f64>().sqrt();
                        column.iter().map(|x| x / length).collect()
                    })
                    .collect();
                let mut a: Matrix<MAX_PARAMETERS> = Default::default();
                for i in 0..n {
                    for j in 0..n {
                        a[i][j] = columns[i].iter().zip(&columns[j]).map(|(x, y)| x * y).sum();
                    }
                }
                let (values, _) = symmetric_eigen(a, n);
                let all = &values[..n];
                let (low, high) = eigenvalue_range(a, n);
                worst = worst.max((low - all.iter().copied().fold(f64::INFINITY, f64::min)).abs());
                worst = worst.max((high / all.iter().copied().fold(0.0, f64::max) - 1.0).abs());
            }
        }
        assert!(worst < 1e-13, "off by {worst}");
        // All equal, and two equal.
        let one = matrix(&[&[1.0, 0.0, 0.0], &[0.0, 1.0, 0.0], &[0.0, 0.0, 1.0]]);
        assert_eq!(eigenvalue_range(one, 3), (1.0, 1.0));
        let (low, high) = eigenvalue_range(matrix(&[&[1.0, 0.5, 0.5], &[0.5, 1.0, 0.5], &[0.5, 0.5, 1.0]]), 3);
        assert!((low - 0.5).abs() < 1e-7 && (high - 2.0).abs() < 1e-14, "{low} {high}");
    }
}
