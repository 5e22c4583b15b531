//! Log-logistic (Hill) curves, drc's LL.4, LL.3 and LL.2: `bottom + (top - bottom) / (1 + (dose / EC50)^hill)`, and
//! the same for growth rates. Hill 1910; Ritz 2015, doi 10.1371/journal.pone.0146021.

use super::{Axis, Model, Parameter, Starts};
use crate::fit::Bound;
use crate::math::Scalar;

/// Natural-log distance of one decade.
const DECADE: f64 = std::f64::consts::LN_10;
/// Plateaus are viabilities.
const PLATEAU: Bound = Bound { lower: -1.0, upper: 3.0 };
const LOCATION: Bound = Bound { lower: -3.0 * DECADE, upper: 3.0 * DECADE };
/// Slopes.
pub(super) const SLOPE: Bound = Bound { lower: 0.01, upper: 20.0 };

/// Slopes at which the search begins: beyond about 5 a curve is a step between two doses, and has no gradient there
/// that would lead anywhere else.
pub(super) const STEEPNESSES: &[f64] = &[0.3, 0.7, 1.4, 2.8, 5.0];

/// A plateau: a viability.
pub(super) const fn plateau(name: &'static str) -> Parameter {
    Parameter { name, unit: "", bound: PLATEAU, axis: Axis::Plain, starts: Starts::Values(&[0.5]) }
}

/// A place on the ln-dose axis.
pub(super) const fn location(name: &'static str, density: f64) -> Parameter {
    Parameter { name, unit: "ln M", bound: LOCATION, axis: Axis::LnDose, starts: Starts::Positions(density) }
}

/// A half-effect dose.
pub(super) const LN_EC50: Parameter = location("ln_ec50", 1.0);

/// A steepness.
pub(super) const fn steepness(name: &'static str, starts: &'static [f64]) -> Parameter {
    Parameter { name, unit: "", bound: SLOPE, axis: Axis::Plain, starts: Starts::Values(starts) }
}

/// The slope of a Hill curve.
pub(super) const HILL: Parameter = steepness("hill", STEEPNESSES);

/// `[top, bottom, ln_ec50, hill]`.
pub struct Hill4;

impl Model<4> for Hill4 {
    const NAME: &'static str = "hill4";
    const FORMULA: &'static str =
        "bottom + (top - bottom) / (1 + (dose / ec50)^hill)   drc's LL.4; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [Parameter; 4] = [plateau("top"), plateau("bottom"), LN_EC50, HILL];
    const BASELINE: Option<usize> = Some(0);

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [top, bottom, ln_ec50, hill]: [S; 4]) -> S {
        bottom + (top - bottom) * (hill * (ln_ec50 - ln_dose)).logistic()
    }
}

/// `[bottom, ln_ec50, hill]`, the untreated response fixed at 1.
pub struct Hill3;

impl Model<3> for Hill3 {
    const NAME: &'static str = "hill3";
    const FORMULA: &'static str = "bottom + (1 - bottom) / (1 + (dose / ec50)^hill)   drc's LL.3 turned to viability; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [Parameter; 3] = [plateau("bottom"), LN_EC50, HILL];
    const BASELINE: Option<usize> = None;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [bottom, ln_ec50, hill]: [S; 3]) -> S {
        Hill4::response(ln_dose, [S::lit(1.0), bottom, ln_ec50, hill])
    }
}

/// `[ln_ec50, hill]`, from 1 to 0.
pub struct Hill2;

impl Model<2> for Hill2 {
    const NAME: &'static str = "hill2";
    const FORMULA: &'static str =
        "1 / (1 + (dose / ec50)^hill)   drc's LL.2; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [Parameter; 2] = [LN_EC50, HILL];
    const BASELINE: Option<usize> = None;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [ln_ec50, hill]: [S; 2]) -> S {
        (hill * (ln_ec50 - ln_dose)).logistic()
    }
}

/// `[gr_inf, ln_gec50, h_gr]`: growth-rate inhibition, where 1 is the growth of untreated cells, 0 a standstill and
/// below 0 death. The box is that of the method's authors.
pub struct GrowthRate;

impl Model<3> for GrowthRate {
    const NAME: &'static str = "gr";
    const FORMULA: &'static str = "gr_inf + (1 - gr_inf) / (1 + (dose / gec50)^h_gr)   responses are growth-rate inhibition values, -1 to 1; Hafner 2016, doi 10.1038/nmeth.3853";
    const PARAMETERS: [Parameter; 3] = [
        Parameter { bound: Bound { lower: -1.0, upper: 1.0 }, ..plateau("gr_inf") },
        Parameter { bound: Bound { lower: -2.0 * DECADE, upper: 2.0 * DECADE }, ..location("ln_gec50", 1.0) },
        Parameter { bound: Bound { lower: 0.1, upper: 5.0 }, ..steepness("h_gr", STEEPNESSES) },
    ];
    const BASELINE: Option<usize> = None;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [gr_inf, ln_gec50, h_gr]: [S; 3]) -> S {
        Hill4::response(ln_dose, [S::lit(1.0), gr_inf, ln_gec50, h_gr])
    }
}
