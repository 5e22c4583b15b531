//! Forward-mode derivatives over any scalar: `Dual<f64, N>` is a row of the Jacobian, `Dual<Wgsl, N>` the text of one.

use super::scalar::power_of_zero;
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
        self.chain(self.value.ln(), slope_over(S::lit(1.0), self.value))
    }
    #[inline(always)]
    fn sqrt(self) -> Self {
        let value = self.value.sqrt();
        self.chain(value, slope_over(S::lit(0.5), value))
    }
    #[inline(always)]
    fn sin(self) -> Self {
        self.chain(self.value.sin(), self.value.cos())
    }
    #[inline(always)]
    fn cos(self) -> Self {
        self.chain(self.value.cos(), -self.value.sin())
    }
    #[inline(always)]
    fn atan(self) -> Self {
        self.chain(self.value.atan(), S::lit(1.0) / (S::lit(1.0) + self.value * self.value))
    }
    #[inline(always)]
    fn tan(self) -> Self {
        let value = self.value.tan();
        self.chain(value, S::lit(1.0) + value * value)
    }
    #[inline(always)]
    fn tanh(self) -> Self {
        // tanh x = 2 logistic(2x) - 1: the slope of the logistic keeps its digits where 1 - tanh² has lost them.
        let slope = (self.value + self.value).logistic_and_slope().1;
        self.chain(self.value.tanh(), S::lit(4.0) * slope)
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
    #[inline(always)]
    fn pow(self, exponent: Self) -> Self {
        let (zero, one) = (S::lit(0.0), S::lit(1.0));
        let if_positive = |above: S, otherwise: S| zero.select_less(self.value, above, otherwise);
        let base = if_positive(self.value, one);
        let ln_base = base.ln();
        let powered = (exponent.value * ln_base).exp();
        let by_base = if_positive(exponent.value * powered / base, zero);
        let by_exponent = if_positive(powered * ln_base, zero);
        Self {
            value: if_positive(powered, power_of_zero(exponent.value)),
            gradient: array(|i| self.gradient[i] * by_base + exponent.gradient[i] * by_exponent),
        }
    }
}

/// `numerator / value` where value is above zero, 0 elsewhere: a slope that would be infinite at the end of a
/// function's domain must not turn the zeros of a gradient into NaN.
#[inline(always)]
fn slope_over<S: Scalar>(numerator: S, value: S) -> S {
    let zero = S::lit(0.0);
    zero.select_less(value, numerator / zero.select_less(value, value, S::lit(1.0)), zero)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Lanes;

    type D = Dual<f64, 1>;

    /// Worst difference between a dual derivative and a central difference, over `points`, relative to 1 + |slope|.
    fn worst(dual: impl Fn(D) -> D, value: impl Fn(f64) -> f64, points: &[f64]) -> f64 {
        points.iter().fold(0.0, |worst, &x| {
            let y = dual(D::parameter(x, 0));
            assert!((y.value - value(x)).abs() <= 4e-16 * (1.0 + value(x).abs()), "{x}: {} and {}", y.value, value(x));
            let h = 1e-6 * (1.0 + x.abs());
            let central = (value(x + h) - value(x - h)) / (2.0 * h);
            f64::max(worst, (y.gradient[0] - central).abs() / (1.0 + central.abs()))
        })
    }

    #[test]
    fn every_function_differentiates_itself() {
        let all = [-7.3, -1.1, -0.26, -0.24, -0.01, 0.003, 0.2, 0.3, 1.4, 6.6];
        let positive = [0.02, 0.7, 1.0, 3.0, 250.0];
        type Case<'a> = (&'a str, fn(D) -> D, fn(f64) -> f64, &'a [f64]);
        let cases: [Case; 9] = [
            ("sin", D::sin, libm::sin, &all),
            ("cos", D::cos, libm::cos, &all),
            ("tan", D::tan, Scalar::tan, &all),
            ("atan", D::atan, libm::atan, &all),
            ("tanh", D::tanh, Scalar::tanh, &all),
            ("ln", D::ln, Scalar::ln, &positive),
            ("sqrt", D::sqrt, f64::sqrt, &positive),
            ("x^2.3", |x| x.pow(D::constant(2.3)), |x| Scalar::pow(x, 2.3), &positive),
            ("2.3^x", |x| D::constant(2.3).pow(x), |x| Scalar::pow(2.3, x), &all),
        ];
        for (name, dual, value, points) in cases {
            let error = worst(dual, value, points);
            assert!(error < 2e-8, "{name}: off by {error:e}");
        }
        // The comparison can fail.
        assert!(worst(|x| D { gradient: [-x.sin().gradient[0]], ..x.sin() }, libm::sin, &all) > 1e-3);
    }

    #[test]
    fn the_stable_forms_agree_with_libm() {
        for i in -4000..4000 {
            let x = f64::from(i) * 0.0103 + 1e-4;
            let relative = |ours: f64, theirs: f64| ((ours - theirs) / theirs).abs();
            assert!(relative(Scalar::tanh(x), libm::tanh(x)) < 1e-15, "tanh({x})");
            assert!(relative(Scalar::tan(x), libm::tan(x)) < 1e-15, "tan({x})");
            assert!(relative(Scalar::pow(x.abs(), 1.7), libm::pow(x.abs(), 1.7)) < 4e-15, "{x}^1.7");
            assert!((Scalar::tanh(x as f32) - libm::tanhf(x as f32)).abs() < 3e-7, "f32 tanh({x})");
            let lanes = Lanes([x, -x, 0.5 * x, 1e-9 * x]);
            for (lane, x) in lanes.tanh().0.iter().zip(lanes.0) {
                assert_eq!(lane.to_bits(), Scalar::tanh(x).to_bits());
            }
        }
        assert_eq!((Scalar::tanh(800.0), Scalar::tanh(-1e300), Scalar::tanh(0.0)), (1.0, -1.0, 0.0));
        let tail = D::parameter(30.0, 0).tanh().gradient[0];
        assert!((tail / (4.0 * (-60.0f64).exp()) - 1.0).abs() < 1e-12, "1 - tanh² would give 0");
    }

    #[test]
    fn at_the_end_of_a_domain_everything_stays_finite() {
        let two = |base: f64, exponent: f64| Dual::<f64, 2>::parameter(base, 0).pow(Dual::parameter(exponent, 1));
        for (exponent, expected) in [(2.0, 0.0), (1.0, 0.0), (0.01, 0.0), (0.0, 1.0), (-0.01, 1e37), (-3.0, 1e37)] {
            for base in [0.0, -1.5] {
                let y = two(base, exponent);
                assert_eq!((y.value, y.gradient), (expected, [0.0, 0.0]), "{base}^{exponent}");
                assert_eq!(Scalar::pow(base, exponent), expected);
                assert_eq!(Scalar::pow(base as f32, exponent as f32), expected as f32);
            }
        }
        for y in [D::constant(0.0).sqrt(), D::constant(0.0).ln(), D::constant(-2.0).ln()] {
            assert_eq!(y.gradient, [0.0]);
            assert!(y.value.is_finite());
        }
        assert!((Scalar::ln(0.0f32) + 87.336).abs() < 1e-2);
    }
}
