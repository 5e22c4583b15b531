//! Small symmetric matrices, over [`Scalar`]: lower triangles, row after row, taken apart as `L D L'`. No roots: a
//! pivot costs one division.

use crate::math::Scalar;

/// The share of its diagonal that a pivot keeps at least, so that a flat valley has no division by zero.
pub(super) const PIVOT: f64 = 1e-12;
/// Pivots below this share mean that a Newton matrix has no minimum to lead to.
const DEFINITE: f64 = 1e-10;

/// Place of row `i`, column `j <= i` in a lower triangle.
#[inline(always)]
pub fn triangle(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// Entry of a symmetric matrix.
#[inline(always)]
pub(super) fn entry<S: Copy>(matrix: &[S], i: usize, j: usize) -> S {
    if i >= j { matrix[triangle(i, j)] } else { matrix[triangle(j, i)] }
}

/// Takes a matrix apart in place: `L` below the diagonal (its own is 1), the inverse of `D` on it. Gives 1 where all
/// pivots are well above zero, else 0.
#[inline(always)]
pub(super) fn factorise<S: Scalar>(n: usize, matrix: &mut [S]) -> S {
    let (zero, one) = (S::lit(0.0), S::lit(1.0));
    let mut definite = one;
    for i in 0..n {
        let diagonal = matrix[triangle(i, i)];
        let mut pivot = diagonal;
        // Row i holds L D until the pivot is known.
        for j in 0..i {
            let mut sum = matrix[triangle(i, j)];
            for k in 0..j {
                sum = sum - matrix[triangle(i, k)] * matrix[triangle(j, k)];
            }
            matrix[triangle(i, j)] = sum;
        }
        for j in 0..i {
            let scaled = matrix[triangle(i, j)];
            let own = scaled * matrix[triangle(j, j)];
            pivot = pivot - scaled * own;
            matrix[triangle(i, j)] = own;
        }
        // What has no influence at all, in whatever units, stays where it is.
        let size = zero.select_less(diagonal.abs(), diagonal.abs(), one);
        definite = (size * S::lit(DEFINITE)).select_less(pivot, definite, zero);
        matrix[triangle(i, i)] = one / pivot.max(size * S::lit(PIVOT));
    }
    definite
}

/// Solves `L x = b` in place.
#[inline(always)]
pub(super) fn forward<S: Scalar>(n: usize, factor: &[S], x: &mut [S]) {
    for i in 0..n {
        for k in 0..i {
            x[i] = x[i] - factor[triangle(i, k)] * x[k];
        }
    }
}

/// Solves `D L' x = b` in place.
#[inline(always)]
pub(super) fn backward<S: Scalar>(n: usize, factor: &[S], x: &mut [S]) {
    for i in (0..n).rev() {
        x[i] = x[i] * factor[triangle(i, i)];
        for k in i + 1..n {
            x[i] = x[i] - factor[triangle(k, i)] * x[k];
        }
    }
}

/// `a' D⁻¹ b` of two vectors that have been through [`forward`].
#[inline(always)]
pub(super) fn product<S: Scalar>(n: usize, factor: &[S], a: &[S], b: &[S]) -> S {
    let mut sum = S::lit(0.0);
    for j in 0..n {
        sum = sum + a[j] * factor[triangle(j, j)] * b[j];
    }
    sum
}

/// Copies `matrix` with unit rows for what is not `free`.
#[inline(always)]
pub(super) fn masked<S: Scalar>(n: usize, matrix: &[S], free: &[S], to: &mut [S]) {
    for i in 0..n {
        for j in 0..i {
            to[triangle(i, j)] = matrix[triangle(i, j)] * free[i] * free[j];
        }
        to[triangle(i, i)] = matrix[triangle(i, i)] * free[i] + (S::lit(1.0) - free[i]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_what_it_is_given_and_tells_what_has_no_minimum() {
        // [[4, 2, 1], [2, 3, 0.5], [1, 0.5, 2]] x = b with x = (1, -2, 3).
        let matrix = [4.0, 2.0, 3.0, 1.0, 0.5, 2.0];
        let mut x: Vec<f64> =
            (0..3).map(|i| (0..3).map(|j| entry(&matrix, i, j) * [1.0, -2.0, 3.0][j]).sum()).collect();
        let b = x.clone();
        let mut factor = matrix;
        assert_eq!(factorise(3, &mut factor), 1.0);
        forward(3, &factor, &mut x);
        // b' A⁻¹ b = b' x.
        let square = product(3, &factor, &x, &x);
        backward(3, &factor, &mut x);
        for (x, truth) in x.iter().zip([1.0, -2.0, 3.0]) {
            assert!((x - truth).abs() < 1e-14, "{x} for {truth}");
        }
        let expected: f64 = b.iter().zip(&x).map(|(b, x)| b * x).sum();
        assert!((square - expected).abs() < 1e-13);
        // A saddle is told from a minimum.
        assert_eq!(factorise(2, &mut [1.0, 2.0, 1.0]), 0.0);
        assert_eq!(factorise(2, &mut [-1.0, 0.0, 1.0]), 0.0);
    }
}
