//! Where a recorded number can lie, from where its operands can: a choice whose outcome is certain is then no choice.

use super::operation::Operation as Op;
use super::program::Recorded;
use super::{Scalar, program};
use std::f64::consts::FRAC_PI_2;

/// All numbers from `lower` to `upper`, both included. Rounding is monotonic, so computed ends bound computed values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

impl Interval {
    /// Any number.
    pub const WHOLE: Self = Self { lower: f64::NEG_INFINITY, upper: f64::INFINITY };
    /// Above zero.
    pub const POSITIVE: Self = Self { lower: f64::MIN_POSITIVE, upper: f64::INFINITY };
    /// Zero and above.
    pub const NOT_NEGATIVE: Self = Self { lower: 0.0, upper: f64::INFINITY };

    /// From `lower` to `upper`; everything if one of them is no number.
    pub fn new(lower: f64, upper: f64) -> Self {
        if lower <= upper { Self { lower, upper } } else { Self::WHOLE }
    }

    /// Whether zero is certainly not in it, nor anything below.
    pub fn is_positive(self) -> bool {
        self.lower > 0.0
    }

    fn corners(a: Self, b: Self, f: impl Fn(f64, f64) -> f64) -> Self {
        let all = [f(a.lower, b.lower), f(a.lower, b.upper), f(a.upper, b.lower), f(a.upper, b.upper)];
        if all.iter().any(|v| v.is_nan()) {
            return Self::WHOLE;
        }
        Self::new(
            all.iter().copied().fold(f64::INFINITY, f64::min),
            all.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        )
    }

    fn map(self, f: impl Fn(f64) -> f64) -> Self {
        Self::new(f(self.lower), f(self.upper))
    }

    fn union(self, other: Self) -> Self {
        Self::new(self.lower.min(other.lower), self.upper.max(other.upper))
    }

    /// Where the result of `operation` can lie, operands lying where `at` says.
    pub(super) fn of(operation: Op, at: impl Fn(Recorded) -> Self) -> Self {
        // An end at infinity stands for numbers as large as they come, and these times zero are zero.
        let product = |x: f64, y: f64| if x == 0.0 || y == 0.0 { 0.0 } else { x * y };
        match operation {
            Op::Input(_) => Self::WHOLE,
            Op::Add(a, b) => Self::new(at(a).lower + at(b).lower, at(a).upper + at(b).upper),
            Op::Sub(a, b) => Self::new(at(a).lower - at(b).upper, at(a).upper - at(b).lower),
            Op::Mul(a, b) if a == b => {
                let Self { lower, upper } = at(a);
                let largest = product(lower, lower).max(product(upper, upper));
                let holds_zero = lower <= 0.0 && upper >= 0.0;
                Self::new(if holds_zero { 0.0 } else { (lower * lower).min(upper * upper) }, largest)
            }
            Op::Mul(a, b) => Self::corners(at(a), at(b), product),
            Op::Div(a, b) if at(b).lower > 0.0 || at(b).upper < 0.0 => Self::corners(at(a), at(b), |x, y| x / y),
            Op::Div(..) => Self::WHOLE,
            Op::Neg(a) => Self::new(-at(a).upper, -at(a).lower),
            Op::Exp(a) => at(a).map(Scalar::exp),
            Op::Ln(a) => at(a).map(Scalar::ln),
            Op::Sqrt(a) => at(a).map(|x| x.max(0.0).sqrt()),
            Op::Sin(_) | Op::Cos(_) => Self::new(-1.0, 1.0),
            Op::Atan(_) => Self::new(-FRAC_PI_2, FRAC_PI_2),
            Op::Abs(a) => {
                let Self { lower, upper } = at(a);
                let holds_zero = lower <= 0.0 && upper >= 0.0;
                Self::new(if holds_zero { 0.0 } else { lower.abs().min(upper.abs()) }, lower.abs().max(upper.abs()))
            }
            Op::Logistic(_) => Self::new(0.0, 1.0),
            Op::LogisticSlope(_) => Self::new(0.0, 0.25),
            Op::Min(a, b) => Self::new(at(a).lower.min(at(b).lower), at(a).upper.min(at(b).upper)),
            Op::Max(a, b) => Self::new(at(a).lower.max(at(b).lower), at(a).upper.max(at(b).upper)),
            Op::SelectLess(a, b, c, d) => {
                // `if 0 < a { a } else { positive }` is the guard of a division: above zero whichever it is.
                let chosen = if program::is(a, 0.0) && b == c && at(b).lower >= 0.0 {
                    Self::new(at(c).lower.max(f64::MIN_POSITIVE), at(c).upper.max(f64::MIN_POSITIVE))
                } else {
                    at(c)
                };
                chosen.union(at(d))
            }
        }
    }
}
