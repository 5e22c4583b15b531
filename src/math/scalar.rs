//! The one arithmetic a model may use. Whatever a model can be evaluated *as* (a number, eight numbers side by
//! side, a number with its derivatives, a line of WGSL) implements [`Scalar`].

use super::elementary;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A number, in the widest sense: models, steps and reference surfaces are generic over it.
///
/// There are no comparisons that give a `bool`, because eight lanes and recorded text have none to give:
/// [`Scalar::select_less`] chooses by value. The stable primitives live here because it is there that single
/// precision and double precision would otherwise part.
pub trait Scalar:
    Copy + Add<Output = Self> + Sub<Output = Self> + Mul<Output = Self> + Div<Output = Self> + Neg<Output = Self>
{
    /// A constant.
    fn lit(value: f64) -> Self;
    /// e to the power of self; saturates near 1e±304 (f32: 1e±37) instead of overflowing.
    fn exp(self) -> Self;
    /// Natural logarithm; self must be above zero.
    fn ln(self) -> Self;
    /// Square root; self must not be negative.
    fn sqrt(self) -> Self;
    /// Absolute value.
    fn abs(self) -> Self;
    /// The smaller of the two.
    fn min(self, other: Self) -> Self;
    /// The larger of the two.
    fn max(self, other: Self) -> Self;
    /// `if self < other { if_less } else { otherwise }`; both branches are evaluated.
    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self;

    /// 1 / (1 + e^-z), without overflow.
    #[inline(always)]
    fn logistic(self) -> Self {
        self.logistic_and_slope().0
    }

    /// The logistic and its derivative, both accurate in both tails.
    #[inline(always)]
    fn logistic_and_slope(self) -> (Self, Self) {
        let (zero, one) = (Self::lit(0.0), Self::lit(1.0));
        let e = (-self.abs()).exp();
        let inverse = one / (one + e);
        let small = e * inverse;
        (self.select_less(zero, small, inverse), small * inverse)
    }

    /// ln(1 + e^z), without overflow.
    #[inline(always)]
    fn softplus(self) -> Self {
        self.max(Self::lit(0.0)) + ((-self.abs()).exp() + Self::lit(1.0)).ln()
    }

    /// self to the power of `exponent`, through ln and exp; self must be above zero.
    #[inline(always)]
    fn pow(self, exponent: Self) -> Self {
        (exponent * self.ln()).exp()
    }

    /// self kept within `lower` and `upper`.
    #[inline(always)]
    fn clamp(self, lower: Self, upper: Self) -> Self {
        self.max(lower).min(upper)
    }
}

impl Scalar for f64 {
    #[inline(always)]
    fn lit(value: f64) -> Self {
        value
    }
    #[inline(always)]
    fn exp(self) -> Self {
        elementary::exp(self)
    }
    #[inline(always)]
    fn ln(self) -> Self {
        libm::log(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f64::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f64::abs(self)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self {
        if self < other { if_less } else { otherwise }
    }
}

/// Single precision on the CPU: stands in for the GPU in tests that have none.
impl Scalar for f32 {
    #[inline(always)]
    fn lit(value: f64) -> Self {
        value as f32
    }
    #[inline(always)]
    fn exp(self) -> Self {
        libm::expf(Scalar::clamp(self, -85.0, 85.0))
    }
    #[inline(always)]
    fn ln(self) -> Self {
        libm::logf(self)
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        f32::sqrt(self)
    }
    #[inline(always)]
    fn abs(self) -> Self {
        f32::abs(self)
    }
    #[inline(always)]
    fn min(self, other: Self) -> Self {
        if self < other { self } else { other }
    }
    #[inline(always)]
    fn max(self, other: Self) -> Self {
        if self > other { self } else { other }
    }
    #[inline(always)]
    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self {
        if self < other { if_less } else { otherwise }
    }
}
