//! Numbers of twice the digits: the unevaluated sum of two f64 that do not overlap, some 31 decimal digits. Sums after
//! Knuth (The Art of Computer Programming 2, 4.2.2), products after Dekker (1971, doi 10.1007/BF01397083), the operations
//! on pairs as Joldes, Muller & Popescu (2017, doi 10.1145/3121432) bound them: a few 1e-32, relative. The elementary
//! functions reduce their argument and sum a Taylor series.
//!
//! Hundreds of times slower than f64: for what is left where two numbers agree in nearly all of f64's digits.

use super::Scalar;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// `high + low`, with `high` the f64 nearest to the sum.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoubleDouble {
    /// The sum, rounded.
    pub high: f64,
    /// What rounding has left.
    pub low: f64,
}

const LN_2: DoubleDouble = DoubleDouble { high: std::f64::consts::LN_2, low: 2.319_046_813_846_299_6e-17 };
/// π/2 in three parts: differences from its multiples keep their digits.
const HALF_PI: [f64; 3] = [std::f64::consts::FRAC_PI_2, 6.123_233_995_736_766e-17, -1.497_384_904_859_169_8e-33];
/// 2^27 + 1: splits an f64 into two of 26 digits, whose products are exact.
const SPLITTER: f64 = 134_217_729.0;
/// e^x is taken from x / 2^9, and squared as many times.
const HALVINGS: i32 = 9;
/// Sines of larger angles are those that f64 has: the multiples of π/2 would need more digits than there are.
const LARGEST_ANGLE: f64 = 1e15;
/// Powers of ten that neither overflow nor lose digits at the lower end.
const MOST_DECADES: i32 = 280;

/// a + b and its rounding error.
fn two_sum(a: f64, b: f64) -> DoubleDouble {
    let high = a + b;
    let of_b = high - a;
    DoubleDouble::finite(high, (a - (high - of_b)) + (b - of_b))
}

/// The same for |a| ≥ |b|.
fn quick_two_sum(a: f64, b: f64) -> DoubleDouble {
    let high = a + b;
    DoubleDouble::finite(high, b - (high - a))
}

/// a · b and its rounding error.
fn two_product(a: f64, b: f64) -> DoubleDouble {
    let split = |x: f64| {
        let wide = SPLITTER * x;
        let high = wide - (wide - x);
        (high, x - high)
    };
    let high = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    DoubleDouble::finite(high, ((a_high * b_high - high) + a_high * b_low + a_low * b_high) + a_low * b_low)
}

impl DoubleDouble {
    /// 0.
    pub const ZERO: Self = Self { high: 0.0, low: 0.0 };
    /// 1.
    pub const ONE: Self = Self { high: 1.0, low: 0.0 };

    /// Beyond the largest numbers there is no rounding error, only f64's infinity or NaN.
    fn finite(high: f64, low: f64) -> Self {
        Self { high, low: if low.is_finite() { low } else { 0.0 } }
    }

    /// The decimal number that people meant who wrote `value`: the shortest one that is read as this f64. 0.1 is then a
    /// tenth, of which f64 has only the first 17 digits.
    pub fn from_decimal(value: f64) -> Self {
        let exact = Self { high: value, low: 0.0 };
        let text = format!("{:e}", value.abs());
        let Some((mantissa, exponent)) = text.split_once('e') else { return exact };
        let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
        let (Ok(digits), Ok(exponent)) = (format!("{whole}{fraction}").parse::<u64>(), exponent.parse::<i32>()) else {
            return exact;
        };
        // At most 17 digits: below 2^57.
        let exponent = exponent - fraction.len() as i32;
        if exponent.abs() > MOST_DECADES {
            return exact;
        }
        let high = digits as f64;
        let digits = Self { high, low: (i128::from(digits) - high as i128) as f64 };
        let (mut power, mut square, mut left) = (Self::ONE, Self { high: 10.0, low: 0.0 }, exponent.unsigned_abs());
        while left > 0 {
            if left & 1 == 1 {
                power = power * square;
            }
            square = square * square;
            left >>= 1;
        }
        let size = if exponent < 0 { digits / power } else { digits * power };
        if value < 0.0 { -size } else { size }
    }

    /// Times a power of two.
    fn scaled(self, by: f64) -> Self {
        Self { high: self.high * by, low: self.low * by }
    }

    /// e^x - 1 for |x| ≤ ln 2 or so.
    fn exp_less_one(self) -> Self {
        let r = self.scaled(libm::ldexp(1.0, -HALVINGS));
        // r^11 / 11! is below 1e-39.
        let mut value = Self::ZERO;
        for n in (1..=10).rev() {
            value = (Self::ONE + value) * r / Self::lit(f64::from(n));
        }
        for _ in 0..HALVINGS {
            value = value.scaled(2.0) + value * value;
        }
        value
    }

    /// Sine and cosine of a moderate angle.
    fn sin_cos(self) -> (Self, Self) {
        let quarters = (self.high / HALF_PI[0]).round();
        let mut r = self;
        for part in HALF_PI {
            r = r - two_product(quarters, part);
        }
        // (π/4)^29 / 29! is 1e-34.
        let square = -(r * r);
        let (mut sin, mut cos) = (Self::ONE, Self::ONE);
        for n in (1..=14).rev() {
            let n = f64::from(2 * n);
            sin = Self::ONE + sin * square / Self::lit(n * (n + 1.0));
            cos = Self::ONE + cos * square / Self::lit(n * (n - 1.0));
        }
        let sin = sin * r;
        match quarters.rem_euclid(4.0) {
            0.0 => (sin, cos),
            1.0 => (cos, -sin),
            2.0 => (-sin, -cos),
            _ => (-cos, sin),
        }
    }

    fn is_less(self, other: Self) -> bool {
        self.high < other.high || (self.high == other.high && self.low < other.low)
    }
}

impl Add for DoubleDouble {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let (sum, rest) = (two_sum(self.high, other.high), two_sum(self.low, other.low));
        let sum = quick_two_sum(sum.high, sum.low + rest.high);
        quick_two_sum(sum.high, sum.low + rest.low)
    }
}

impl Sub for DoubleDouble {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Neg for DoubleDouble {
    type Output = Self;
    fn neg(self) -> Self {
        Self { high: -self.high, low: -self.low }
    }
}

impl Mul for DoubleDouble {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let product = two_product(self.high, other.high);
        quick_two_sum(product.high, product.low + (self.high * other.low + self.low * other.high))
    }
}

impl Div for DoubleDouble {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.high / other.high;
        if !first.is_finite() || !other.high.is_finite() {
            return Self { high: first, low: 0.0 };
        }
        let rest = self - other * Self::lit(first);
        let second = rest.high / other.high;
        let third = (rest - other * Self::lit(second)).high / other.high;
        quick_two_sum(first, second) + Self::lit(third)
    }
}

impl Scalar for DoubleDouble {
    fn lit(value: f64) -> Self {
        Self { high: value, low: 0.0 }
    }

    /// As that of f64: constant beyond ±700.
    fn exp(self) -> Self {
        let x = self.max(Self::lit(-700.0)).min(Self::lit(700.0));
        let k = (x.high / LN_2.high).round();
        let r = x - (two_product(k, LN_2.high) + Self::lit(k * LN_2.low));
        (Self::ONE + r.exp_less_one()).scaled(libm::ldexp(1.0, k as i32))
    }

    /// As that of f64: at and below the smallest normal number, the logarithm of that.
    fn ln(self) -> Self {
        let x = self.max(Self::lit(f64::MIN_POSITIVE)).min(Self::lit(f64::MAX));
        let (mantissa, exponent) = libm::frexp(x.high);
        let k = if mantissa < std::f64::consts::FRAC_1_SQRT_2 { exponent - 1 } else { exponent };
        // Two steps: 2^-1024 is no normal number.
        let half = k / 2;
        let m = x.scaled(libm::ldexp(1.0, -half)).scaled(libm::ldexp(1.0, half - k));
        // ln m = 2 artanh s. |s| ≤ 0.172, and s^44 / 45 is 1e-35.
        let s = (m - Self::ONE) / (m + Self::ONE);
        let square = s * s;
        let mut series = Self::ZERO;
        for n in (0..22).rev() {
            series = series * square + Self::ONE / Self::lit(f64::from(2 * n + 1));
        }
        LN_2 * Self::lit(f64::from(k)) + (s * series).scaled(2.0)
    }

    fn sqrt(self) -> Self {
        let root = self.high.sqrt();
        if root == 0.0 || !root.is_finite() {
            return Self { high: root, low: 0.0 };
        }
        // One step of Newton's doubles the digits.
        quick_two_sum(root, (self - two_product(root, root)).high / (2.0 * root))
    }

    /// Beyond an angle of 1e15, that of f64.
    fn sin(self) -> Self {
        if self.high.abs() <= LARGEST_ANGLE { self.sin_cos().0 } else { Self::lit(libm::sin(self.high)) }
    }

    /// Beyond an angle of 1e15, that of f64.
    fn cos(self) -> Self {
        if self.high.abs() <= LARGEST_ANGLE { self.sin_cos().1 } else { Self::lit(libm::cos(self.high)) }
    }

    fn atan(self) -> Self {
        let near = Self::lit(libm::atan(self.high));
        if !self.high.is_finite() {
            return near;
        }
        // tan(atan x - near), of which the arc tangent is the same to 1e-48.
        let (sin, cos) = near.sin_cos();
        near + (self * cos - sin) / (cos + self * sin)
    }

    fn tanh(self) -> Self {
        let x = self.max(Self::lit(-40.0)).min(Self::lit(40.0)).scaled(2.0);
        let near = Self::lit(0.5);
        let e = if x.abs().is_less(near) { x.exp_less_one() } else { x.exp() - Self::ONE };
        e / (e + Self::lit(2.0))
    }

    fn abs(self) -> Self {
        if self.high < 0.0 { -self } else { self }
    }

    fn min(self, other: Self) -> Self {
        if self.is_less(other) { self } else { other }
    }

    fn max(self, other: Self) -> Self {
        if other.is_less(self) { self } else { other }
    }

    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self {
        if self.is_less(other) { if_less } else { otherwise }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(high: f64, low: f64) -> DoubleDouble {
        DoubleDouble { high, low }
    }

    /// Correct decimal digits.
    fn digits(got: DoubleDouble, truth: DoubleDouble) -> f64 {
        let off = (got - truth).high.abs() / truth.high.abs();
        if off.is_nan() { 0.0 } else { -off.max(1e-40).log10() }
    }

    /// Of mpmath 1.3 at 60 digits, in two parts.
    #[test]
    fn functions_have_thirty_digits() {
        let lit = DoubleDouble::lit;
        let near_one = 1.0 + libm::ldexp(1.0, -30);
        for (name, got, high, low) in [
            ("exp(1)", lit(1.0).exp(), std::f64::consts::E, 1.445_646_891_729_250_2e-16),
            ("exp(-5)", lit(-5.0).exp(), 0.006_737_946_999_085_467, 9.579_094_181_215_286e-20),
            ("exp(-0.001)", lit(-0.001).exp(), 0.999_000_499_833_375, -3.026_024_053_145_243e-17),
            ("ln(2)", lit(2.0).ln(), std::f64::consts::LN_2, 2.319_046_813_846_299_6e-17),
            ("ln(10)", lit(10.0).ln(), std::f64::consts::LN_10, -2.170_756_223_382_249_4e-16),
            ("ln(1e300)", lit(1e300).ln(), 690.775_527_898_213_7, 2.374_766_002_880_024_3e-14),
            ("ln(1 + 2^-30)", lit(near_one).ln(), 9.313_225_741_817_976e-10, 2.692_645_221_273_596e-28),
            ("sqrt(2)", lit(2.0).sqrt(), std::f64::consts::SQRT_2, -9.667_293_313_452_913e-17),
            ("sin(1)", lit(1.0).sin(), 0.841_470_984_807_896_5, 1.776_845_092_935_536e-18),
            ("cos(1)", lit(1.0).cos(), 0.540_302_305_868_139_8, -4.760_954_612_604_417e-17),
            ("sin(1e6)", lit(1e6).sin(), -0.349_993_502_171_292_94, -1.595_284_880_932_396_8e-17),
            ("cos(-22)", lit(-22.0).cos(), -0.999_960_826_394_637_1, -8.516_033_800_174_13e-19),
            ("sin(22)", lit(22.0).sin(), -0.008_851_309_290_403_876, 2.848_530_308_922_005_7e-19),
            ("atan(1)", lit(1.0).atan(), std::f64::consts::FRAC_PI_4, 3.061_616_997_868_383e-17),
            ("atan(1/2)", lit(0.5).atan(), 0.463_647_609_000_806_1, 2.269_877_745_296_168_7e-17),
            ("atan(-1000)", lit(-1000.0).atan(), -1.569_796_327_128_229_8, 5.443_715_996_974_827e-17),
            ("tanh(1/8)", lit(0.125).tanh(), 0.124_353_001_771_596_21, -2.145_188_081_314_144_1e-19),
            ("tanh(2)", lit(2.0).tanh(), 0.964_027_580_075_816_9, -1.941_355_054_755_717_6e-17),
            ("logistic(-3)", lit(-3.0).logistic(), 0.047_425_873_177_566_78, -1.793_305_391_834_216e-19),
            ("1/3", lit(1.0) / lit(3.0), 1.0 / 3.0, 1.850_371_707_708_594e-17),
        ] {
            let digits = digits(got, of(high, low));
            assert!(digits > 30.0, "{name}: {digits} digits, {got:?}");
            // The comparison can fail: what f64 has of it is not enough.
            assert!(super::tests::digits(lit(got.high), of(high, low)) < 20.0, "{name}");
        }
        // Of an exponent of 300, a rounding of 1e-32 is three digits less.
        let large = digits(lit(300.0).exp(), of(1.942_426_395_241_255_8e130, 1.114_314_537_017_569_9e114));
        assert!(large > 29.0, "{large}");
    }

    #[test]
    fn identities_hold_to_thirty_digits() {
        for i in 1..400 {
            // Numbers that fill both parts.
            let x = DoubleDouble::lit(f64::from(i) * 0.37) / DoubleDouble::lit(7.0) + DoubleDouble::lit(1e-3);
            let one = x.sin() * x.sin() + x.cos() * x.cos();
            for (name, got, truth) in [
                ("sin² + cos²", one, DoubleDouble::ONE),
                ("exp ln", x.ln().exp(), x),
                ("√²", x.sqrt() * x.sqrt(), x),
                ("tan atan", x.atan().tan(), x),
                ("x / 3 · 3", x / DoubleDouble::lit(3.0) * DoubleDouble::lit(3.0), x),
                ("e^x e^-x", x.exp() * (-x).exp(), DoubleDouble::ONE),
                ("tanh", x.tanh() * ((x + x).exp() + DoubleDouble::ONE), (x + x).exp() - DoubleDouble::ONE),
                ("x^½", x.pow(DoubleDouble::lit(0.5)), x.sqrt()),
            ] {
                let digits = digits(got, truth);
                assert!(digits > 29.5, "{name} at {x:?}: {digits} digits");
                assert!(got.high + got.low == got.high, "{name} at {x:?}: the parts overlap, {got:?}");
            }
        }
    }

    #[test]
    fn decimals_are_what_was_written() {
        let lit = DoubleDouble::lit;
        for (value, times, whole) in
            [(0.1, 10.0, 1.0), (2.0443333732910, 1e12, 2_044_333_373_291.0), (-1.6e-7, 1e8, -16.0), (3e22, 1e-22, 3.0)]
        {
            let product = DoubleDouble::from_decimal(value) * DoubleDouble::from_decimal(times);
            assert!(digits(product, lit(whole)) > 31.0, "{value}: {product:?}");
        }
        assert!(digits(lit(0.1) * lit(10.0), lit(1.0)) < 18.0, "f64's own 0.1 is not a tenth");
        for i in 0..20_000u64 {
            let value = f64::from_bits(i.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            if value.is_finite() {
                let got = DoubleDouble::from_decimal(value);
                assert_eq!((got.high, got.high + got.low), (value, value));
            }
        }
        assert_eq!(DoubleDouble::from_decimal(0.0), DoubleDouble::ZERO);
        assert_eq!(DoubleDouble::from_decimal(f64::INFINITY).high, f64::INFINITY);
        assert!(DoubleDouble::from_decimal(f64::NAN).high.is_nan());
    }

    #[test]
    fn the_ends_of_domains_are_those_of_f64() {
        let lit = DoubleDouble::lit;
        let largest = lit(f64::MAX);
        for (got, truth) in [
            (lit(1e9).exp(), Scalar::exp(1e9)),
            (lit(-1e9).exp(), Scalar::exp(-1e9)),
            (lit(0.0).ln(), Scalar::ln(0.0)),
            (lit(-3.0).ln(), Scalar::ln(-3.0)),
            (lit(f64::INFINITY).ln(), Scalar::ln(f64::INFINITY)),
            (lit(0.0).sqrt(), 0.0),
            (lit(0.0).pow(lit(2.0)), 0.0),
            (lit(-1.0).pow(lit(-2.0)), 1e37),
            (lit(0.0).atan(), 0.0),
            (lit(f64::NEG_INFINITY).atan(), -std::f64::consts::FRAC_PI_2),
            (lit(1e20).sin(), libm::sin(1e20)),
            (lit(900.0).tanh(), 1.0),
            (lit(-1.0) / lit(f64::INFINITY), 0.0),
            (largest * largest, f64::INFINITY),
            (largest + largest, f64::INFINITY),
        ] {
            assert!((got.high - truth).abs() <= 4e-16 * truth.abs() || got.high == truth, "{got:?} and {truth}");
            assert!(got.low.is_finite());
        }
        assert!(lit(-1.0).sqrt().high.is_nan());
        let (a, b) = (of(1.0, 1e-20), of(1.0, 2e-20));
        assert_eq!((a.min(b), a.max(b), a.select_less(b, a, b), (-a).abs()), (a, b, a, a));
    }
}
