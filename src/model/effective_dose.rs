//! Effective doses: each drug changes how much of the other one counts, and what counts acts independently (Zimmer 2016,
//! doi 10.1073/pnas.1606301113).

use super::hill::{location, plateau, steepness};
use super::{Axis, Parameter, Starts, SurfaceModel, location_second};
use crate::fit::Bound;
use crate::math::Scalar;

/// Places of the parameters of interaction.
pub const LN_ALPHA12: usize = 5;
/// See [`LN_ALPHA12`].
pub const LN_ALPHA21: usize = 6;

const fn fold(name: &'static str) -> Parameter {
    let bound = Bound { lower: -3.0 * std::f64::consts::LN_10, upper: 3.0 * std::f64::consts::LN_10 };
    Parameter { name, unit: "", bound, axis: Axis::Plain, starts: Starts::Values(&[-1.0, 0.0, 1.0]) }
}

/// `[e0, ln_c1, ln_c2, h1, h2, ln_alpha12, ln_alpha21]`: at saturation the first drug multiplies the effective dose of the
/// second by `alpha12` (the authors' `a12` is `1 / alpha12 - 1`, with their order of drugs turned round), and the reverse.
/// Both drugs alone leave nothing at high doses, as in the paper.
pub struct EffectiveDose;

impl SurfaceModel<7> for EffectiveDose {
    const NAME: &'static str = "effective_dose";
    const FORMULA: &'static str = "e0 / ((1 + u^h1) (1 + v^h2)), u = d1/c1 / (1 + (1/alpha21 - 1) v/(1+v)), v = d2/c2 / (1 + (1/alpha12 - 1) u/(1+u))   Zimmer 2016, doi 10.1073/pnas.1606301113";
    const PARAMETERS: [Parameter; 7] = [
        plateau("e0"),
        location("ln_c1", 0.2),
        location_second("ln_c2", &[0.2, 0.5, 0.8]),
        steepness("h1", &[0.7, 2.0]),
        steepness("h2", &[0.7, 2.0]),
        fold("ln_alpha12"),
        fold("ln_alpha21"),
    ];

    #[inline(always)]
    fn response<S: Scalar>(ln_dose_a: S, ln_dose_b: S, parameters: [S; 7]) -> S {
        let [e0, ln_c1, ln_c2, h1, h2, ln_alpha12, ln_alpha21] = parameters;
        let (x, y) = ((ln_dose_a - ln_c1).exp(), (ln_dose_b - ln_c2).exp());
        let (p, q) = ((-ln_alpha21).exp(), (-ln_alpha12).exp());
        let u = effective(x, y, p, q);
        let v = effective(y, x, q, p);
        e0 * (-(h1 * u.ln())).logistic() * (-(h2 * v.ln())).logistic()
    }
}

/// The effective dose of one drug, all doses in half-effect doses: the two equations, each linear in its own effective
/// dose, leave `(q + p y) u^2 + (1 + p y - x (q + y)) u - x (1 + y) = 0`, which has one root above zero.
#[inline(always)]
fn effective<S: Scalar>(x: S, y: S, p: S, q: S) -> S {
    let (zero, one, two, tiny) = (S::lit(0.0), S::lit(1.0), S::lit(2.0), S::lit(1e-30));
    let a = q + p * y;
    let b = one + p * y - x * (q + y);
    let c = x * (one + y);
    let root = (b * b + S::lit(4.0) * a * c).sqrt();
    // Of the two forms of the root the one that does not cancel.
    b.select_less(zero, (root - b) / (two * a).max(tiny), two * c / (root + b).max(tiny))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn effective_doses_solve_both_equations() {
        let mut furthest: f64 = 0.0;
        for (ln_12, ln_21) in [(0.0, 0.0), (1.5, -0.7), (-3.0, 2.0), (4.0, 4.0), (-5.0, -5.0)] {
            let (p, q) = (f64::exp(-ln_21), f64::exp(-ln_12));
            for x in [1e-6, 0.1, 1.0, 30.0, 1e4] {
                for y in [1e-6, 0.3, 1.0, 100.0] {
                    let (u, v) = (effective(x, y, p, q), effective(y, x, q, p));
                    let of_first = u * (1.0 + (p - 1.0) * v / (1.0 + v)) / x - 1.0;
                    let of_second = v * (1.0 + (q - 1.0) * u / (1.0 + u)) / y - 1.0;
                    assert!(of_first.abs() < 1e-8 && of_second.abs() < 1e-8, "{p} {q} {x} {y}: {of_first} {of_second}");
                    furthest = furthest.max((u / x).ln().abs());
                }
            }
        }
        assert!(furthest > 1.0, "no interaction was tried: {furthest}");
    }

    #[test]
    fn without_interaction_it_is_bliss() {
        let at = |a: f64, b: f64, ln_alpha: f64| {
            EffectiveDose::response(a, b, [1.0, -14.0, -16.0, 1.3, 0.8, ln_alpha, ln_alpha])
        };
        for a in [-20.0, -14.5, -10.0] {
            for b in [-18.0, -16.0, -11.0] {
                let alone = at(a, crate::model::LN_DOSE_ZERO, 0.0) * at(crate::model::LN_DOSE_ZERO, b, 0.0);
                assert!((at(a, b, 0.0) - alone).abs() < 1e-12);
            }
        }
        assert!(at(-14.0, -16.0, 1.0) < at(-14.0, -16.0, 0.0) - 0.01, "a fold above one is synergy");
    }
}
