//! Precision of fitted parameters: the pseudo-inverse of the weighted normal matrix, by Jacobi rotations.
//!
//! Columns are scaled to length one first, so that nothing here depends on units. A direction in which the data
//! say nothing (eigenvalue below `RANK_TOLERANCE` of the largest) is left out of the inverse, and a quantity that
//! depends on such a direction has no variance rather than a small or a huge one.

use crate::fit::MAX_PARAMETERS;

/// A square matrix of which the leading rows and columns are used.
pub type Matrix = [[f64; MAX_PARAMETERS]; MAX_PARAMETERS];

/// Eigenvalues of the scaled normal matrix below this share of the largest count as zero: the condition number of
/// the Jacobian is then above 1e6, and half of the digits of the normal matrix are gone.
const RANK_TOLERANCE: f64 = 1e-12;
/// Share (squared) of a quantity's gradient that may lie in unidentified directions.
const NULL_SHARE: f64 = 1e-6;
/// Cyclic Jacobi converges quadratically: 8 x 8 needs about 6 sweeps.
const MAX_SWEEPS: usize = 40;

/// Eigenvalues and eigenvectors (`vectors[row][k]` belongs to `values[k]`) of the leading `n` x `n` part of a
/// symmetric matrix, unsorted.
pub fn symmetric_eigen(mut a: Matrix, n: usize) -> ([f64; MAX_PARAMETERS], Matrix) {
    let n = n.min(MAX_PARAMETERS);
    let mut vectors: Matrix = Default::default();
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

/// What the data say about the free parameters, up to the residual variance.
#[derive(Debug, Clone)]
pub struct Precision {
    n: usize,
    free: [bool; MAX_PARAMETERS],
    /// Length of each column of the weighted Jacobian.
    scale: [f64; MAX_PARAMETERS],
    values: [f64; MAX_PARAMETERS],
    vectors: Matrix,
    largest: f64,
    tolerance: f64,
}

/// Eigenvalues below this share of the largest count as zero where they come from the Jacobian itself: its condition
/// number is then above 1e12.
const JACOBIAN_RANK_TOLERANCE: f64 = 1e-24;

impl Precision {
    /// From the weighted normal matrix `J' W J` of `n` parameters; those not `free` are taken as known.
    pub fn new(normal: &Matrix, n: usize, free: [bool; MAX_PARAMETERS]) -> Self {
        let n = n.min(MAX_PARAMETERS);
        let scale: [f64; MAX_PARAMETERS] =
            std::array::from_fn(|i| if i < n && free[i] { normal[i][i].max(0.0).sqrt() } else { 0.0 });
        let mut scaled: Matrix = Default::default();
        for i in 0..n {
            for j in 0..n {
                if scale[i] > 0.0 && scale[j] > 0.0 {
                    scaled[i][j] = normal[i][j] / (scale[i] * scale[j]);
                }
            }
        }
        let (values, vectors) = symmetric_eigen(scaled, n);
        let largest = values.iter().take(n).copied().fold(0.0, f64::max);
        Self { n, free, scale, values, vectors, largest, tolerance: RANK_TOLERANCE }
    }

    /// From the weighted Jacobian itself, `columns` of the `n` parameters: twice the digits, by one-sided Jacobi
    /// rotations (Hestenes 1958, doi 10.1137/0106005).
    pub fn of_jacobian(mut columns: Vec<Vec<f64>>, free: [bool; MAX_PARAMETERS]) -> Self {
        let n = columns.len().min(MAX_PARAMETERS);
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut scale = [0.0; MAX_PARAMETERS];
        let mut vectors: Matrix = Default::default();
        for (i, column) in columns.iter_mut().enumerate().take(n) {
            scale[i] = if free[i] { dot(column, column).sqrt() } else { 0.0 };
            let by = if scale[i] > 0.0 { 1.0 / scale[i] } else { 0.0 };
            column.iter_mut().for_each(|v| *v *= by);
            vectors[i][i] = 1.0;
        }
        for _ in 0..MAX_SWEEPS {
            let mut rotated = false;
            for p in 0..n {
                for q in p + 1..n {
                    let (a, b) = (dot(&columns[p], &columns[p]), dot(&columns[q], &columns[q]));
                    let off = dot(&columns[p], &columns[q]);
                    if off.abs() <= f64::EPSILON * (a * b).sqrt() || off == 0.0 {
                        continue;
                    }
                    rotated = true;
                    let theta = (b - a) / (2.0 * off);
                    let t = theta.signum() / (theta.abs() + (theta * theta + 1.0).sqrt());
                    let c = 1.0 / (t * t + 1.0).sqrt();
                    let s = t * c;
                    let turn = |x: &mut f64, y: &mut f64| (*x, *y) = (c * *x - s * *y, s * *x + c * *y);
                    let (left, right) = columns.split_at_mut(q);
                    left[p].iter_mut().zip(right[0].iter_mut()).for_each(|(x, y)| turn(x, y));
                    for row in vectors.iter_mut().take(n) {
                        let (left, right) = row.split_at_mut(q);
                        turn(&mut left[p], &mut right[0]);
                    }
                }
            }
            if !rotated {
                break;
            }
        }
        let values = std::array::from_fn(|k| if k < n { dot(&columns[k], &columns[k]) } else { 0.0 });
        let largest = values.iter().copied().fold(0.0, f64::max);
        Self { n, free, scale, values, vectors, largest, tolerance: JACOBIAN_RANK_TOLERANCE }
    }

    fn is_identified(&self, k: usize) -> bool {
        self.values[k] > self.tolerance * self.largest
    }

    /// Condition number of the column-scaled weighted Jacobian of the free parameters; `None` where a direction is
    /// not identified at all (the number would be infinite).
    pub fn condition_number(&self) -> Option<f64> {
        if (0..self.n).any(|i| self.free[i] && self.scale[i] <= 0.0) || self.largest <= 0.0 {
            return None;
        }
        // Parameters on their bound occupy an eigenvector of their own with eigenvalue zero: skip as many.
        let held = (0..self.n).filter(|&i| !self.free[i]).count();
        let mut values: Vec<f64> = self.values.iter().take(self.n).copied().collect();
        values.sort_by(f64::total_cmp);
        let smallest = values.get(held).copied().unwrap_or(0.0);
        (smallest > self.tolerance * self.largest).then(|| (self.largest / smallest).sqrt())
    }

    /// Variance, in units of the residual variance, of a quantity with this gradient with respect to the
    /// parameters; `None` where the data do not determine the quantity. Parameters not free count as known.
    pub fn variance(&self, gradient: &[f64]) -> Option<f64> {
        let mut scaled = [0.0; MAX_PARAMETERS];
        for (i, scaled) in scaled.iter_mut().enumerate().take(self.n) {
            let slope = gradient.get(i).copied().unwrap_or(0.0);
            if !self.free[i] || slope == 0.0 {
                continue;
            }
            if self.scale[i] <= 0.0 {
                return None;
            }
            *scaled = slope / self.scale[i];
        }
        let length: f64 = scaled.iter().map(|x| x * x).sum();
        let (mut variance, mut lost) = (0.0, 0.0);
        for k in 0..self.n {
            let along: f64 = (0..self.n).map(|i| self.vectors[i][k] * scaled[i]).sum();
            if self.is_identified(k) {
                variance += along * along / self.values[k];
            } else {
                lost += along * along;
            }
        }
        (variance.is_finite() && lost <= NULL_SHARE * length).then_some(variance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> Matrix {
        let mut m: Matrix = Default::default();
        for (i, row) in rows.iter().enumerate() {
            m[i][..row.len()].copy_from_slice(row);
        }
        m
    }

    const FREE: [bool; MAX_PARAMETERS] = [true; MAX_PARAMETERS];

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
    fn variance_is_the_inverse_of_a_regular_matrix() {
        // [[2, 1], [1, 3]] has the inverse [[3, -1], [-1, 2]] / 5.
        let precision = Precision::new(&matrix(&[&[2.0, 1.0], &[1.0, 3.0]]), 2, FREE);
        let close = |got: Option<f64>, want: f64| got.is_some_and(|g| (g - want).abs() < 1e-14);
        assert!(close(precision.variance(&[1.0, 0.0]), 0.6));
        assert!(close(precision.variance(&[0.0, 1.0]), 0.4));
        assert!(close(precision.variance(&[1.0, 1.0]), 0.6));
        assert!(!close(precision.variance(&[1.0, -1.0]), 0.6), "1.4 is not 0.6: the comparison can fail");
        // One parameter held: the other's variance is that of a single-parameter fit.
        let mut free = FREE;
        free[1] = false;
        let held = Precision::new(&matrix(&[&[2.0, 1.0], &[1.0, 3.0]]), 2, free);
        assert!(close(held.variance(&[1.0, 0.0]), 0.5));
        assert!(close(held.condition_number(), 1.0));
        // The same from a Jacobian J with J'J = [[2, 1], [1, 3]].
        let columns = || vec![vec![1.0, 1.0, 0.0], vec![1.0, 0.0, 2f64.sqrt()]];
        let by_jacobian = Precision::of_jacobian(columns(), FREE);
        assert!(close(by_jacobian.variance(&[1.0, 0.0]), 0.6));
        assert!(close(by_jacobian.variance(&[1.0, 1.0]), 0.6));
        assert!(!close(by_jacobian.variance(&[1.0, -1.0]), 0.6));
        let held = Precision::of_jacobian(columns(), free);
        assert!(close(held.variance(&[1.0, 0.0]), 0.5) && close(held.condition_number(), 1.0));
    }

    #[test]
    fn unidentified_directions_have_no_variance() {
        // Only the sum of the first two parameters is known.
        let precision = Precision::new(&matrix(&[&[1.0, 1.0, 0.0], &[1.0, 1.0, 0.0], &[0.0, 0.0, 4.0]]), 3, FREE);
        assert_eq!(precision.variance(&[1.0, 0.0, 0.0]), None);
        assert!(precision.variance(&[1.0, 1.0, 0.0]).is_some_and(|v| (v - 1.0).abs() < 1e-12));
        assert!(precision.variance(&[0.0, 0.0, 1.0]).is_some_and(|v| (v - 0.25).abs() < 1e-12));
        assert_eq!(precision.condition_number(), None);
        let silent = Precision::new(&matrix(&[&[1.0, 0.0], &[0.0, 0.0]]), 2, FREE);
        assert_eq!(silent.variance(&[0.0, 1.0]), None);
        assert_eq!(silent.condition_number(), None);
        let broken = Precision::new(&matrix(&[&[f64::NAN, 0.0], &[0.0, 1.0]]), 2, FREE);
        assert_eq!(broken.variance(&[1.0, 0.0]), None);
    }
}
