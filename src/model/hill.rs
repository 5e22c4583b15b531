//! Log-logistic (Hill) curves, drc's LL.4 and LL.3: `bottom + (top - bottom) / (1 + (dose / EC50)^hill)`.
//! Hill 1910; Ritz 2015, doi 10.1371/journal.pone.0146021.

use super::{CurveSummary, Model};
use crate::fit::Bound;
use crate::math::Scalar;

/// Natural-log distance of one decade.
const DECADE: f64 = std::f64::consts::LN_10;
const PLATEAU: Bound = Bound { lower: -1.0, upper: 3.0 };
const LOCATION: Bound = Bound { lower: -3.0 * DECADE, upper: 3.0 * DECADE };
const SLOPE: Bound = Bound { lower: 0.01, upper: 20.0 };

/// Positions of the starts as shares of the tested range, each tried with each steepness.
const POSITIONS: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.95];
const STEEPNESSES: [f64; 2] = [1.0, 4.0];

/// `[top, bottom, ln_ec50, hill]`.
pub struct Hill4;

impl Model<4> for Hill4 {
    const NAME: &'static str = "hill4";
    const FORMULA: &'static str =
        "bottom + (top - bottom) / (1 + (dose / ec50)^hill)   drc's LL.4; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [&'static str; 4] = ["top", "bottom", "ln_ec50", "hill"];
    const LINEAR: [bool; 4] = [true, true, false, false];
    const LOCATION: usize = 2;
    const BASELINE: Option<usize> = Some(0);
    const BOUNDS: [Bound; 4] = [PLATEAU, PLATEAU, LOCATION, SLOPE];
    const STARTS: usize = POSITIONS.len() * STEEPNESSES.len();

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [top, bottom, ln_ec50, hill]: [S; 4]) -> S {
        bottom + (top - bottom) * (hill * (ln_ec50 - ln_dose)).logistic()
    }

    #[inline(always)]
    fn untreated<S: Scalar>([top, ..]: [S; 4]) -> S {
        top
    }

    #[inline(always)]
    fn start<S: Scalar>(index: usize, curve: CurveSummary<S>) -> [S; 4] {
        let [bottom, ln_ec50, hill] = Hill3::start(index, curve);
        [curve.response_low, bottom, ln_ec50, hill]
    }
}

/// `[bottom, ln_ec50, hill]`, the untreated response fixed at 1.
pub struct Hill3;

impl Model<3> for Hill3 {
    const NAME: &'static str = "hill3";
    const FORMULA: &'static str = "bottom + (1 - bottom) / (1 + (dose / ec50)^hill)   drc's LL.3 turned to viability; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [&'static str; 3] = ["bottom", "ln_ec50", "hill"];
    const LINEAR: [bool; 3] = [true, false, false];
    const LOCATION: usize = 1;
    const BASELINE: Option<usize> = None;
    const BOUNDS: [Bound; 3] = [PLATEAU, LOCATION, SLOPE];
    const STARTS: usize = Hill4::STARTS;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [bottom, ln_ec50, hill]: [S; 3]) -> S {
        Hill4::response(ln_dose, [S::lit(1.0), bottom, ln_ec50, hill])
    }

    #[inline(always)]
    fn untreated<S: Scalar>(_: [S; 3]) -> S {
        S::lit(1.0)
    }

    #[inline(always)]
    fn start<S: Scalar>(index: usize, curve: CurveSummary<S>) -> [S; 3] {
        let position = S::lit(POSITIONS[index % POSITIONS.len()]);
        let hill = S::lit(STEEPNESSES[(index / POSITIONS.len()) % STEEPNESSES.len()]);
        [curve.response_high, curve.ln_dose_low + (curve.ln_dose_high - curve.ln_dose_low) * position, hill]
    }
}
