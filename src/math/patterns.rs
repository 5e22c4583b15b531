//! What a formula is recorded as where there is something better than what was written: powers of a dose through the
//! logarithm that is known of it, and quotients that are logistic functions.

use super::Scalar;
use super::operation::Operation as Op;
use super::program::{Recorded, is, operation, range};
use Recorded::Literal;

/// `exp` of this stands for infinity where a power of dose zero has a negative exponent, in single precision too.
const LN_OF_INFINITE_POWER: f64 = 85.0;

/// The natural logarithm of what cannot be below zero, in parts that are known already or worked out more seldom; very
/// far below zero where the number can be zero and is.
fn logarithm(value: Recorded) -> Option<Recorded> {
    let parts = match operation(value) {
        Some(Op::Input(n)) => Recorded::logarithm_of_input(n),
        Some(Op::Exp(a)) => Some(a),
        Some(Op::Mul(a, b)) => logarithm(a).zip(logarithm(b)).map(|(a, b)| a + b),
        Some(Op::Div(a, b)) if range(b).is_positive() => logarithm(a).zip(logarithm(b)).map(|(a, b)| a - b),
        _ => None,
    };
    parts.or_else(|| range(value).is_positive().then(|| value.ln()))
}

/// The natural logarithm of an exponential, or of a product or quotient with one.
pub(super) fn ln(value: Recorded) -> Option<Recorded> {
    let known = |v: Recorded| matches!(v, Literal(_)) || matches!(operation(v), Some(Op::Exp(_)));
    let part = |a: Recorded, b: Recorded| range(a).is_positive() && range(b).is_positive() && (known(a) || known(b));
    match operation(value) {
        Some(Op::Exp(a)) => Some(a),
        Some(Op::Mul(a, b)) if part(a, b) => Some(a.ln() + b.ln()),
        Some(Op::Div(a, b)) if part(a, b) => Some(a.ln() - b.ln()),
        _ => None,
    }
}

/// A power whose base has a logarithm.
pub(super) fn pow(base: Recorded, exponent: Recorded) -> Option<Recorded> {
    if let (Literal(base), Literal(exponent)) = (base, exponent) {
        return Some(Literal(base.pow(exponent)));
    }
    let t = exponent * logarithm(base)?;
    let is_tame = range(base).is_positive() || range(exponent).lower >= 0.0;
    Some((if is_tame { t } else { t.min(Literal(LN_OF_INFINITE_POWER)) }).exp())
}

/// `t`, if the number is `e^t`; 0 for 1.
fn exponent(value: Recorded) -> Option<Recorded> {
    if is(value, 1.0) {
        return Some(Literal(0.0));
    }
    let Some(Op::Exp(t)) = operation(value) else { return None };
    match operation(t) {
        Some(Op::Min(inner, limit)) if is(limit, LN_OF_INFINITE_POWER) => Some(inner),
        _ => Some(t),
    }
}

/// `a - b`, with a factor that they share, or a difference inside, taken together.
fn difference(a: Recorded, b: Recorded) -> Recorded {
    let factors = |v: Recorded| match operation(v) {
        Some(Op::Mul(c, d)) => Some((c, d)),
        _ => None,
    };
    if is(a, 0.0)
        && let Some((c, d)) = factors(b)
    {
        for (c, d) in [(c, d), (d, c)] {
            if let Some(Op::Sub(from, less)) = operation(d) {
                return c * (less - from);
            }
        }
    }
    if let (Some((c, d)), Some((e, f))) = (factors(a), factors(b)) {
        for (shared, own, other, other_own) in [(c, d, e, f), (c, d, f, e), (d, c, e, f), (d, c, f, e)] {
            if shared == other {
                return shared * (own - other_own);
            }
        }
    }
    a - b
}

/// `above / (e^s + e^t)` as a multiple of a logistic function, which has neither overflow nor a second division in
/// its derivatives: where one of the exponentials is 1, or is a factor of `above` as well.
pub(super) fn logistic(above: Recorded, below: Recorded) -> Option<Recorded> {
    let Some(Op::Add(first, second)) = operation(below) else { return None };
    let (s, t) = (exponent(first)?, exponent(second)?);
    let terms = [(first, s, t), (second, t, s)];
    // The factor of `above` that is a term of the sum, and the rest.
    let share = terms.iter().find_map(|(term, own, other)| match operation(above) {
        _ if *term == above => Some((Literal(1.0), *own, *other)),
        Some(Op::Mul(a, b)) if a == *term => Some((b, *own, *other)),
        Some(Op::Mul(a, b)) if b == *term => Some((a, *own, *other)),
        _ => None,
    });
    let one = || terms.iter().find(|(_, own, _)| is(*own, 0.0)).map(|(_, own, other)| (above, *own, *other));
    let (rest, own, other) = share.or_else(one)?;
    Some(rest * difference(own, other).logistic())
}

#[cfg(test)]
mod tests {
    use super::super::program::Given;
    use super::*;
    use crate::math::{Interval, Program};

    /// ln dose, dose, ec50 (above zero), hill (above zero), any number.
    fn program(body: impl Fn([Recorded; 5]) -> Recorded) -> Program {
        let given = |range| Given { range, logarithm: None };
        let dose = Given { range: Interval::NOT_NEGATIVE, logarithm: Some(0) };
        let positive = Interval::new(0.01, 20.0);
        let all = [Given::NOTHING, dose, given(Interval::POSITIVE), given(positive), Given::NOTHING];
        Program::record_given(&all, |v| vec![body([v[0], v[1], v[2], v[3], v[4]])])
    }

    fn at(program: &Program, dose: f64, ec50: f64, hill: f64, any: f64) -> f64 {
        let ln_dose = if dose > 0.0 { libm::log(dose) } else { -1e6 };
        program.evaluate(&[ln_dose, dose, ec50, hill, any])[0]
    }

    fn has(program: &Program, is: fn(&Op) -> bool) -> bool {
        program.operations.iter().any(is)
    }

    #[test]
    fn quotients_of_powers_become_logistic_functions_of_one_value() {
        let one = Literal(1.0);
        let forms: [fn([Recorded; 5]) -> Recorded; 4] = [
            |[_, x, c, h, _]| Literal(1.0) / (Literal(1.0) + (x / c).pow(h)),
            |[_, x, c, h, _]| Literal(1.0) / ((x / c).pow(h) + Literal(1.0)),
            |[_, x, c, h, _]| c.pow(h) / (c.pow(h) + x.pow(h)),
            |[x, _, c, h, _]| Literal(1.0) / (Literal(1.0) + (h * (x - c.ln())).exp()),
        ];
        for (n, form) in forms.into_iter().enumerate() {
            let program = program(form);
            assert!(has(&program, |o| matches!(o, Op::Logistic(_))), "{n}: {program:?}");
            assert!(!has(&program, |o| matches!(o, Op::Div(..) | Op::SelectLess(..) | Op::Exp(_))), "{n}: {program:?}");
            for (dose, ec50, hill) in [(0.3f64, 2.0f64, 1.5f64), (1e-9, 3e-7, 0.4), (5.0, 1e-3, 12.0)] {
                let direct = 1.0 / (1.0 + libm::pow(dose / ec50, hill));
                let got = at(&program, dose, ec50, hill, 0.0);
                assert!((got - direct).abs() <= 1e-13 * direct, "{n}: {got} {direct}");
                assert!((at(&program, dose, ec50, 1.01 * hill, 0.0) - direct).abs() > 1e-6 * direct, "a fault is seen");
            }
            assert_eq!(at(&program, 0.0, 2.0, 0.01, 0.0), 1.0, "{n}: no dose, no effect");
        }
        let kept = program(|[_, x, c, ..]| one / (one + x / c));
        assert!(!has(&kept, |o| matches!(o, Op::Logistic(_) | Op::SelectLess(..))));
    }

    #[test]
    fn what_is_not_certain_is_not_folded() {
        // The base may be below zero: the general power. A negative exponent of dose zero: infinity, in finite numbers.
        let general = program(|[_, _, c, _, any]| any.pow(c));
        assert!(has(&general, |o| matches!(o, Op::SelectLess(..))));
        assert_eq!(at(&general, 1.0, 2.0, 1.0, -3.0), 0.0);
        let inverse = program(|[_, x, c, _, any]| Literal(2.0) + (x / c).pow(any));
        let infinite = at(&inverse, 0.0, 1.0, 1.0, -0.5);
        assert!(infinite > 1e36 && infinite < 1e38, "{infinite}");
        let chosen = program(|[_, x, c, h, any]| c.max(-h).abs() + x.abs() + any.abs() + c.select_less(any, c, h));
        let count = |is: fn(&&Op) -> bool| chosen.operations.iter().filter(is).count();
        assert_eq!(count(|o| matches!(o, Op::Abs(_))), 1, "only of the one that may be below zero");
        assert_eq!((count(|o| matches!(o, Op::Max(..))), count(|o| matches!(o, Op::SelectLess(..)))), (0, 1));
        assert_eq!(at(&chosen, 1.5, 2.0, 3.0, -4.0), 2.0 + 1.5 + 4.0 + 3.0);
    }
}
