//! MuSyC, synergy of potency and of efficacy apart: four states of a cell, untreated, under either drug and under both,
//! in detailed balance (Meyer 2019, doi 10.1016/j.cels.2019.01.003; Wooten 2021, doi 10.1038/s41467-021-24789-z).

use super::hill::{location, plateau, steepness};
use super::{Axis, Parameter, SurfaceModel, location_second};
use crate::fit::Bound;
use crate::math::Scalar;

/// Places of parameters: the effects of either drug and of both, the fold changes of potency.
pub const E1: usize = 1;
/// See [`E1`].
pub const E2: usize = 2;
/// See [`E1`].
pub const E3: usize = 3;
/// See [`E1`].
pub const LN_ALPHA12: usize = 8;
/// See [`E1`].
pub const LN_ALPHA21: usize = 9;
/// The fold changes of cooperativity, behind all others.
pub const LN_GAMMA12: usize = 10;
/// See [`LN_GAMMA12`].
pub const LN_GAMMA21: usize = 11;

/// A change of potency beyond these three decades cannot be told from a greater one.
pub(super) const LN_ALPHA: Bound =
    Bound { lower: -3.0 * std::f64::consts::LN_10, upper: 3.0 * std::f64::consts::LN_10 };
/// A change of cooperativity.
const LN_GAMMA: Bound = Bound { lower: -std::f64::consts::LN_10, upper: std::f64::consts::LN_10 };

/// A fold change, as its natural logarithm.
pub(super) const fn ratio(name: &'static str, bound: Bound, starts: &'static [f64]) -> Parameter {
    Parameter { name, unit: "", bound, axis: Axis::Plain, starts: super::Starts::Values(starts) }
}

const PARAMETERS: [Parameter; 12] = [
    plateau("e0"),
    plateau("e1"),
    plateau("e2"),
    plateau("e3"),
    location("ln_c1", 0.2),
    location_second("ln_c2", &[0.2, 0.5, 0.8]),
    steepness("h1", &[0.7, 2.0]),
    steepness("h2", &[0.7, 2.0]),
    ratio("ln_alpha12", LN_ALPHA, &[-1.5, 0.0, 1.5]),
    ratio("ln_alpha21", LN_ALPHA, &[-1.5, 0.0, 1.5]),
    ratio("ln_gamma12", LN_GAMMA, &[0.0]),
    ratio("ln_gamma21", LN_GAMMA, &[0.0]),
];

/// The response, from the ratios of rates `x = (d1/C1)^h1`, `y = (d2/C2)^h2`, and of the same with the other drug bound,
/// `X = (α21 d1/C1)^(γ21 h1)`, `Y = (α12 d2/C2)^(γ12 h2)`, as logarithms. The states are in the proportions
/// `U = 2 + X + Y`, `A1 = x (2 + X) + y X`, `A2 = y (2 + Y) + x Y`, `A3 = x Y (1 + X) + y X (1 + Y)`; all are divided
/// by `(1 + x)(1 + y)(1 + X)(1 + Y)` here, so that nothing overflows.
#[inline(always)]
fn states<S: Scalar>([e0, e1, e2, e3]: [S; 4], [ln_x, ln_y, ln_bound_x, ln_bound_y]: [S; 4]) -> S {
    let (x, not_x) = (ln_x.logistic(), (-ln_x).logistic());
    let (y, not_y) = (ln_y.logistic(), (-ln_y).logistic());
    let (bound_x, not_bound_x) = (ln_bound_x.logistic(), (-ln_bound_x).logistic());
    let (bound_y, not_bound_y) = (ln_bound_y.logistic(), (-ln_bound_y).logistic());
    let one = S::lit(1.0);
    let (only_x, only_y) = (x * not_y, y * not_x);
    let none = not_x * not_y * (not_bound_x + not_bound_y);
    let first = not_bound_y * (only_x * (one + not_bound_x) + only_y * bound_x);
    let second = not_bound_x * (only_y * (one + not_bound_y) + only_x * bound_y);
    let both = only_x * bound_y + only_y * bound_x;
    let share = one / (none + first + second + both);
    none * share * e0 + first * share * e1 + second * share * e2 + both * share * e3
}

/// `[e0, e1, e2, e3, ln_c1, ln_c2, h1, h2, ln_alpha12, ln_alpha21]`: cooperativity as alone.
pub struct Musyc;

impl SurfaceModel<10> for Musyc {
    const NAME: &'static str = "musyc";
    const FORMULA: &'static str = "four states e0 to e3; alpha12: fold change of drug 2's potency by drug 1, alpha21 the reverse   Wooten 2021, doi 10.1038/s41467-021-24789-z";
    const PARAMETERS: [Parameter; 10] = [
        PARAMETERS[0],
        PARAMETERS[1],
        PARAMETERS[2],
        PARAMETERS[3],
        PARAMETERS[4],
        PARAMETERS[5],
        PARAMETERS[6],
        PARAMETERS[7],
        PARAMETERS[8],
        PARAMETERS[9],
    ];

    #[inline(always)]
    fn response<S: Scalar>(ln_dose_a: S, ln_dose_b: S, parameters: [S; 10]) -> S {
        let [e0, e1, e2, e3, ln_c1, ln_c2, h1, h2, ln_alpha12, ln_alpha21] = parameters;
        let (a, b) = (ln_dose_a - ln_c1, ln_dose_b - ln_c2);
        states([e0, e1, e2, e3], [h1 * a, h2 * b, h1 * (a + ln_alpha21), h2 * (b + ln_alpha12)])
    }
}

/// The same and `[ln_gamma12, ln_gamma21]`: cooperativity changes too.
pub struct MusycGamma;

impl SurfaceModel<12> for MusycGamma {
    const NAME: &'static str = "musyc_gamma";
    const FORMULA: &'static str = "musyc, and gamma12: fold change of drug 2's cooperativity by drug 1, gamma21 the reverse   Wooten 2021, doi 10.1038/s41467-021-24789-z";
    const PARAMETERS: [Parameter; 12] = PARAMETERS;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose_a: S, ln_dose_b: S, parameters: [S; 12]) -> S {
        let [e0, e1, e2, e3, ln_c1, ln_c2, h1, h2, ln_alpha12, ln_alpha21, ln_gamma12, ln_gamma21] = parameters;
        let (a, b) = (ln_dose_a - ln_c1, ln_dose_b - ln_c2);
        let (bound_a, bound_b) = (ln_gamma21.exp() * h1 * (a + ln_alpha21), ln_gamma12.exp() * h2 * (b + ln_alpha12));
        states([e0, e1, e2, e3], [h1 * a, h2 * b, bound_a, bound_b])
    }
}
