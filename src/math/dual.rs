//! Forward-mode derivatives over any scalar: `Dual<f64, N>` is a row of the Jacobian, `Dual<Wgsl, N>` the text of one.

use super::{Scalar, array};
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A value and its derivatives with respect to `N` parameters.
#[derive(Debug, Clone, Copy)]
pub struct Dual<S, const N: usize> {
    /// The value.
    pub value: S,
    /// Its partial derivatives.
    pub gradient: [S; N],
}

impl<S: Scalar, const N: usize> Dual<S, N> {
    /// Parameter `index`: its derivative with respect to itself is 1.
    #[inline(always)]
    pub fn parameter(value: S, index: usize) -> Self {
        Self { value, gradient: array(|i| S::lit(if i == index { 1.0 } else { 0.0 })) }
    }

    /// A value that depends on no parameter.
    #[inline(always)]
    pub fn constant(value: S) -> Self {
        Self { value, gradient: array(|_| S::lit(0.0)) }
    }

    #[inline(always)]
    fn chain(self, value: S, slope: S) -> Self {
        Self { value, gradient: array(|i| self.gradient[i] * slope) }
    }
}

impl<S: Scalar, const N: usize> Add for Dual<S, N> {
    type Output = Self;
    #[inline(always)]
    fn add(self, other: Self) -> Self {
        Self { value: self.value + other.value, gradient: array(|i| self.gradient[i] + other.gradient[i]) }
    }
}

impl<S: Scalar, const N: usize> Sub for Dual<S, N> {
    type Output = Self;
    #[inline(always)]
    fn sub(self, other: Self) -> Self {
        Self { value: self.value - other.value, gradient: array(|i| self.gradient[i] - other.gradient[i]) }
    }
}

impl<S: Scalar, const N: usize> Mul for Dual<S, N> {
    type Output = Self;
    #[expect(clippy::suspicious_arithmetic_impl, reason = "the product rule has a plus")]
    #[inline(always)]
    fn mul(self, other: Self) -> Self {
        Self {
            value: self.value * other.value,
            gradient: array(|i| self.gradient[i] * other.value + other.gradient[i] * self.value),
        }
    }
}

impl<S: Scalar, const N: usize> Div for Dual<S, N> {
    type Output = Self;
    #[inline(always)]
    fn div(self, other: Self) -> Self {
        let reciprocal = S::lit(1.0) / other.value;
        let value = self.value * reciprocal;
        Self { value, gradient: array(|i| (self.gradient[i] - other.gradient[i] * value) * reciprocal) }
    }
}

impl<S: Scalar, const N: usize> Neg for Dual<S, N> {
    type Output = Self;
    #[inline(always)]
    fn neg(self) -> Self {
        Self { value: -self.value, gradient: array(|i| -self.gradient[i]) }
    }
}

impl<S: Scalar, const N: usize> Scalar for Dual<S, N> {
    #[inline(always)]
    fn lit(value: f64) -> Self {
        Self::constant(S::lit(value))
    }
    #[inline(always)]
    fn exp(self) -> Self {
        let value = self.value.exp();
        self.chain(value, value)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        self.chain(self.value.ln(), S::lit(1.0) / self.value)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        self.chain(value, S::lit(0.5) / value)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        let sign = self.value.select_less(S::lit(0.0), S::lit(-1.0), S::lit(1.0));
        self.chain(self.value.abs(), sign)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        self.select_less(other, self, other)
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        other.select_less(self, self, other)
    }
    #[inline(always)]
    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self {
        let choose = |a: S, b: S| self.value.select_less(other.value, a, b);
        Self {
            value: choose(if_less.value, otherwise.value),
            gradient: array(|i| choose(if_less.gradient[i], otherwise.gradient[i])),
        }
    }
    #[inline(always)]
    fn logistic_and_slope(self) -> (Self, Self) {
        let (value, slope) = self.value.logistic_and_slope();
        let curvature = slope * (S::lit(1.0) - value - value);
        (self.chain(value, slope), self.chain(slope, curvature))
    }
    #[inline(always)]
    fn softplus(self) -> Self {
        self.chain(self.value.softplus(), self.value.logistic())
    }
}
