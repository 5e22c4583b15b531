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
    /// Natural logarithm. It saturates at the smallest normal number (f64: −708.4, f32: −87.3): zero and below give
    /// that, with slope 0.
    fn ln(self) -> Self;
    /// Square root; self must not be negative. The slope at 0 is taken to be 0.
    fn sqrt(self) -> Self;
    /// Sine of an angle in radians.
    fn sin(self) -> Self;
    /// Cosine of an angle in radians.
    fn cos(self) -> Self;
    /// The angle in radians, between −π/2 and π/2, whose tangent is self.
    fn atan(self) -> Self;
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

    /// Tangent of an angle in radians.
    #[inline(always)]
    fn tan(self) -> Self {
        self.sin() / self.cos()
    }

    /// Hyperbolic tangent, accurate near 0 and without overflow.
    #[inline(always)]
    fn tanh(self) -> Self {
        let one = Self::lit(1.0);
        let size = self.abs();
        // (1 - e^-2|x|) / (1 + e^-2|x|) cancels near 0. There, Lambert's continued fraction, cut after x²/11, is good
        // to 4e-17. Which of the two it is decides over numerator and denominator, so that one division is enough.
        let e = (Self::lit(-2.0) * size).exp();
        let numerator = self.select_less(Self::lit(0.0), e - one, one - e);
        let cut = Self::lit(0.25);
        let z = size.min(cut) * size.min(cut);
        let near_numerator = self * (Self::lit(10_395.0) + z * (Self::lit(1_260.0) + z * Self::lit(21.0)));
        let near_denominator = Self::lit(10_395.0) + z * (Self::lit(4_725.0) + z * (Self::lit(210.0) + z));
        size.select_less(cut, near_numerator, numerator) / size.select_less(cut, near_denominator, one + e)
    }

    /// self to the power of `exponent`, through ln and exp, for a base above zero. A base at or below zero counts as
    /// 0: it gives 0, 1 or 1e37 (which stands for infinity and is a number in single precision too) for an exponent
    /// above, at or below zero, with derivatives of 0; so `dose^hill` is right at dose 0.
    #[inline(always)]
    fn pow(self, exponent: Self) -> Self {
        power(self, exponent)
    }

    /// self kept within `lower` and `upper`.
    #[inline(always)]
    fn clamp(self, lower: Self, upper: Self) -> Self {
        self.max(lower).min(upper)
    }
}

/// [`Scalar::pow`] of any base.
#[inline(always)]
pub(super) fn power<S: Scalar>(base: S, exponent: S) -> S {
    let zero = S::lit(0.0);
    let above = zero.select_less(base, base, S::lit(1.0));
    zero.select_less(base, (exponent * above.ln()).exp(), power_of_zero(exponent))
}

/// 0 to the power of `exponent`, as [`Scalar::pow`] has it.
#[inline(always)]
pub(super) fn power_of_zero<S: Scalar>(exponent: S) -> S {
    let zero = S::lit(0.0);
    exponent.select_less(zero, S::lit(1e37), zero.select_less(exponent, zero, S::lit(1.0)))
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
        elementary::ln(self)
    }
    #[inline(always)]
    fn sin(self) -> Self {
        libm::sin(self)
    }
    #[inline(always)]
    fn cos(self) -> Self {
        libm::cos(self)
    }
    #[inline(always)]
    fn atan(self) -> Self {
        libm::atan(self)
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
        libm::logf(Scalar::max(self, f32::MIN_POSITIVE))
    }
    #[inline(always)]
    fn sin(self) -> Self {
        libm::sinf(self)
    }
    #[inline(always)]
    fn cos(self) -> Self {
        libm::cosf(self)
    }
    #[inline(always)]
    fn atan(self) -> Self {
        libm::atanf(self)
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
