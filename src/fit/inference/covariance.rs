//! Precision of fitted parameters: the pseudo-inverse of the weighted normal matrix, by Jacobi rotations.
//!
//! Columns are scaled to length one first, so that nothing here depends on units. A direction in which the data
//! say nothing (eigenvalue below `RANK_TOLERANCE` of the largest) is left out of the inverse, and a quantity that
//! depends on such a direction has no variance rather than a small or a huge one.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use super::eigenvalues::{MAX_SWEEPS, eigenvalue_range, symmetric_eigen};
use crate::math::Scalar;

/// A square matrix of which the leading rows and columns are used.
pub type Matrix<const N: usize> = [[f64; N]; N];

/// Eigenvalues of the scaled normal matrix below this share of the largest count as zero: the condition number of
/// the Jacobian is then above 1e6, and half of the digits of the normal matrix are gone.
const RANK_TOLERANCE: f64 = 1e-12;
/// Above this share the inverse needs no eigenvectors: elimination loses at most as many digits.
const REGULAR: f64 = 1e-10;
/// Share (squared) of a quantity's gradient that may lie in unidentified directions.
const NULL_SHARE: f64 = 1e-6;
/// Eigenvalues below this share of the largest count as zero where they come from the Jacobian itself: its condition
/// number is then above 1e12.
const JACOBIAN_RANK_TOLERANCE: f64 = 1e-24;

/// What the data say about the free parameters, up to the residual variance; room for `N` parameters.
#[derive(Debug, Clone)]
pub struct Precision<const N: usize> {
    /// Free parameters, and which they are.
    n: usize,
    of: [usize; N],
    is_free: [bool; N],
    /// Length of each free parameter's column of the weighted Jacobian.
    scale: [f64; N],
    condition_number: Option<f64>,
    inverse: Inverse<N>,
}

/// The inverse of the normal matrix of the free parameters, columns scaled to length one.
#[derive(Debug, Clone)]
enum Inverse<const N: usize> {
    /// As it is: the parameters are identified.
    Regular(Matrix<N>),
    /// By its eigenvectors, so that those without a value can be left out.
    Pseudo { values: [f64; N], vectors: Matrix<N>, least: f64 },
}

impl<const N: usize> Precision<N> {
    /// From the weighted normal matrix `J' W J` of `n` parameters (its lower triangle is read); those not `free` are
    /// taken as known.
    pub fn new(normal: &Matrix<N>, n: usize, free: [bool; N]) -> Self {
        let mut of = [0; N];
        let mut count = 0;
        for i in 0..n.min(N) {
            if free[i] {
                of[count] = i;
                count += 1;
            }
        }
        let mut scale = [0.0; N];
        for i in 0..count {
            scale[i] = Scalar::max(normal[of[i]][of[i]], 0.0).sqrt();
        }
        let mut scaled: Matrix<N> = [[0.0; N]; N];
        for i in 0..count {
            for j in 0..=i {
                let length = scale[i] * scale[j];
                scaled[i][j] = if length > 0.0 { normal[of[i]][of[j]] / length } else { 0.0 };
                scaled[j][i] = scaled[i][j];
            }
        }
        let silent = scale[..count].iter().any(|s| s.is_nan() || *s <= 0.0);
        let (smallest, largest) = if silent { (0.0, 1.0) } else { eigenvalue_range(scaled, count) };
        // Where the smallest eigenvalue is well away from being left out, elimination is as good as eigenvectors.
        let regular = if smallest > REGULAR * largest { inverse(&scaled, count) } else { None };
        // The trace of the inverse is the sum of the inverse eigenvalues: were the smallest one mistaken, it would show.
        let trace = |inverse: &Matrix<N>| (0..count).map(|i| inverse[i][i]).sum::<f64>();
        let regular = regular.filter(|inverse| trace(inverse) * smallest <= 1.01 * count as f64);
        let (condition_number, inverse) = match regular {
            Some(inverse) => (Some((largest / smallest).sqrt()), Inverse::Regular(inverse)),
            None => {
                let (values, vectors) = symmetric_eigen(scaled, count);
                let largest = values.iter().take(count).copied().fold(0.0, f64::max);
                let smallest = values.iter().take(count).copied().fold(f64::INFINITY, f64::min);
                let identified = !silent && largest > 0.0 && smallest > RANK_TOLERANCE * largest;
                let condition_number = identified.then(|| (largest / smallest).sqrt()).filter(|c| c.is_finite());
                (condition_number, Inverse::Pseudo { values, vectors, least: RANK_TOLERANCE * largest })
            }
        };
        Self { n: count, of, is_free: free, scale, condition_number, inverse }
    }

    /// From the weighted Jacobian itself, `columns` of all parameters: twice the digits, by one-sided Jacobi rotations
    /// (Hestenes 1958, doi 10.1137/0106005).
    pub fn of_jacobian(columns: &[Vec<f64>], free: [bool; N]) -> Self {
        let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
        let mut of = [0; N];
        let mut count = 0;
        for i in (0..columns.len().min(N)).filter(|i| free[*i]) {
            of[count] = i;
            count += 1;
        }
        let mut columns: Vec<Vec<f64>> = of[..count].iter().map(|i| columns[*i].clone()).collect();
        let mut scale = [0.0; N];
        let mut vectors: Matrix<N> = [[0.0; N]; N];
        for (i, column) in columns.iter_mut().enumerate() {
            scale[i] = dot(column, column).sqrt();
            let by = if scale[i] > 0.0 { 1.0 / scale[i] } else { 0.0 };
            column.iter_mut().for_each(|v| *v *= by);
            vectors[i][i] = 1.0;
        }
        for _ in 0..MAX_SWEEPS {
            let mut rotated = false;
            for p in 0..count {
                for q in p + 1..count {
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
                    for row in vectors.iter_mut().take(count) {
                        let (left, right) = row.split_at_mut(q);
                        turn(&mut left[p], &mut right[0]);
                    }
                }
            }
            if !rotated {
                break;
            }
        }
        let values = std::array::from_fn(|k| columns.get(k).map_or(0.0, |column| dot(column, column)));
        let largest = values.iter().copied().fold(0.0, f64::max);
        let smallest = values[..count].iter().copied().fold(f64::INFINITY, f64::min);
        let least = JACOBIAN_RANK_TOLERANCE * largest;
        let identified = largest > 0.0 && smallest > least && scale[..count].iter().all(|s| *s > 0.0);
        let condition_number = identified.then(|| (largest / smallest).sqrt()).filter(|c| c.is_finite());
        let inverse = Inverse::Pseudo { values, vectors, least };
        Self { n: count, of, is_free: free, scale, condition_number, inverse }
    }

    /// Condition number of the column-scaled weighted Jacobian of the free parameters; `None` where a direction is
    /// not identified at all (the number would be infinite).
    pub fn condition_number(&self) -> Option<f64> {
        self.condition_number
    }

    /// Variance of one parameter, as [`Precision::variance`].
    pub fn parameter_variance(&self, parameter: usize) -> Option<f64> {
        if let Inverse::Regular(inverse) = &self.inverse
            && self.is_free[parameter]
            && let Some(k) = self.of[..self.n].iter().position(|p| *p == parameter)
        {
            return Some(inverse[k][k] / (self.scale[k] * self.scale[k]));
        }
        let mut unit = [0.0; N];
        unit[parameter] = 1.0;
        self.variance(&unit)
    }

    /// Variance, in units of the residual variance, of a quantity with this gradient with respect to the
    /// parameters; `None` where the data do not determine the quantity. Parameters not free count as known.
    pub fn variance(&self, gradient: &[f64]) -> Option<f64> {
        let mut scaled = [0.0; N];
        for k in 0..self.n {
            let slope = gradient.get(self.of[k]).copied().unwrap_or(0.0);
            if slope == 0.0 {
                continue;
            }
            if self.scale[k] <= 0.0 {
                return None;
            }
            scaled[k] = slope / self.scale[k];
        }
        match &self.inverse {
            Inverse::Regular(inverse) => {
                let mut variance = 0.0;
                for i in 0..self.n {
                    let mut row = 0.0;
                    for j in 0..self.n {
                        row += inverse[i][j] * scaled[j];
                    }
                    variance += scaled[i] * row;
                }
                variance.is_finite().then_some(variance)
            }
            Inverse::Pseudo { values, vectors, least } => {
                let length: f64 = scaled.iter().map(|x| x * x).sum();
                let (mut variance, mut lost) = (0.0, 0.0);
                for k in 0..self.n {
                    let along: f64 = (0..self.n).map(|i| vectors[i][k] * scaled[i]).sum();
                    if values[k] > *least {
                        variance += along * along / values[k];
                    } else {
                        lost += along * along;
                    }
                }
                (variance.is_finite() && lost <= NULL_SHARE * length).then_some(variance)
            }
        }
    }
}

/// The inverse of a positive definite matrix by Cholesky's factors; `None` where it is not one.
fn inverse<const N: usize>(matrix: &Matrix<N>, n: usize) -> Option<Matrix<N>> {
    let mut factor: Matrix<N> = [[0.0; N]; N];
    for i in 0..n {
        for j in 0..=i {
            let mut sum = matrix[i][j];
            for k in 0..j {
                sum -= factor[i][k] * factor[j][k];
            }
            if i > j {
                factor[i][j] = sum * factor[j][j];
            } else if sum > 0.0 {
                // The diagonal holds its inverse.
                factor[i][i] = 1.0 / sum.sqrt();
            } else {
                return None;
            }
        }
    }
    // The inverse of the factor, column by column, then its product with its transpose.
    let mut lower: Matrix<N> = [[0.0; N]; N];
    for j in 0..n {
        lower[j][j] = factor[j][j];
        for i in j + 1..n {
            let mut sum = 0.0;
            for k in j..i {
                sum -= factor[i][k] * lower[k][j];
            }
            lower[i][j] = sum * factor[i][i];
        }
    }
    let mut inverse: Matrix<N> = [[0.0; N]; N];
    for i in 0..n {
        for j in 0..=i {
            let mut sum = 0.0;
            for row in lower.iter().take(n).skip(i) {
                sum += row[i] * row[j];
            }
            inverse[i][j] = sum;
            inverse[j][i] = sum;
        }
    }
    Some(inverse)
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

    const FREE: [bool; MAX_PARAMETERS] = [true; MAX_PARAMETERS];

    #[test]
    fn elimination_and_eigenvectors_agree() {
        let rows: [&[f64]; 3] = [&[4.0, 1.0, -2.0], &[1.0, 3.0, 0.5], &[-2.0, 0.5, 9.0]];
        let precision = Precision::new(&matrix(&rows), 3, FREE);
        assert!(matches!(precision.inverse, Inverse::Regular(_)));
        let (values, vectors) = symmetric_eigen(matrix(&rows), 3);
        for gradient in [[1.0, 0.0, 0.0], [0.3, -2.0, 1.0]] {
            let along = |k: usize| (0..3).map(|i| vectors[i][k] * gradient[i]).sum::<f64>();
            let expected: f64 = (0..3).map(|k| along(k) * along(k) / values[k]).sum();
            let got = precision.variance(&gradient).expect("regular");
            assert!((got / expected - 1.0).abs() < 1e-13, "{got} {expected}");
        }
        let (one, same) = (precision.parameter_variance(1), precision.variance(&[0.0, 1.0, 0.0]));
        assert!(one.zip(same).is_some_and(|(a, b)| (a / b - 1.0).abs() < 1e-14), "{one:?} {same:?}");
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
        let columns = [vec![1.0, 1.0, 0.0], vec![1.0, 0.0, 2f64.sqrt()]];
        let by_jacobian = Precision::of_jacobian(&columns, FREE);
        assert!(close(by_jacobian.variance(&[1.0, 0.0]), 0.6));
        assert!(close(by_jacobian.variance(&[1.0, 1.0]), 0.6));
        assert!(!close(by_jacobian.variance(&[1.0, -1.0]), 0.6));
        let held = Precision::of_jacobian(&columns, free);
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
