//! Two Hill falls: two populations of cells, or two targets.

use super::hill::{location, plateau, steepness};
use super::{Axis, Model, Parameter, Starts};
use crate::fit::Bound;
use crate::math::Scalar;

/// The height of a fall. Falls do not rise: two opposite ones side by side would follow any outlier.
const fn fall(name: &'static str) -> Parameter {
    Parameter {
        name,
        unit: "",
        bound: Bound { lower: 0.0, upper: 2.0 },
        axis: Axis::Plain,
        starts: Starts::Values(&[0.5]),
    }
}

/// Slopes at which the search begins; those of two falls make a square.
const SLOPES: &[f64] = &[0.7, 1.6, 5.0];
/// Positions for the usual number: two locations make a square.
const DENSITY: f64 = 0.4;

/// `[top, fall_first, fall_second, ln_ec50_first, ln_ec50_second, hill_first, hill_second]`. The two falls are alike
/// in every way, so that neither the search nor the box knows which is which; after the fit the first one is that of
/// the lower dose. The plateau between them is `top - fall_first`, the last one `top - fall_first - fall_second`.
pub struct Biphasic;

impl Model<7> for Biphasic {
    const NAME: &'static str = "biphasic";
    const FORMULA: &'static str = "top - fall_first / (1 + (dose / ec50_first)^-hill_first) - fall_second / (1 + (dose / ec50_second)^-hill_second)   Di Veroli 2015, doi 10.1038/srep14701";
    const PARAMETERS: [Parameter; 7] = [
        plateau("top"),
        fall("fall_first"),
        fall("fall_second"),
        location("ln_ec50_first", DENSITY),
        location("ln_ec50_second", DENSITY),
        steepness("hill_first", SLOPES),
        steepness("hill_second", SLOPES),
    ];
    const BASELINE: Option<usize> = Some(0);
    const EXCHANGES: &'static [(usize, usize)] = &[(3, 4), (1, 2), (5, 6)];
    const DESCENTS: usize = 6;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [top, fall_a, fall_b, ln_ec50_a, ln_ec50_b, hill_a, hill_b]: [S; 7]) -> S {
        let first = (hill_a * (ln_dose - ln_ec50_a)).logistic();
        let second = (hill_b * (ln_dose - ln_ec50_b)).logistic();
        top - fall_a * first - fall_b * second
    }
}
