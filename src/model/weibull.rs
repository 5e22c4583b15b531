//! Weibull curves, drc's W1.4 and W2.4: steep on one side of the inflection, long on the other.
//! Ritz 2015, doi 10.1371/journal.pone.0146021.

use super::hill::{STEEPNESSES, location, plateau, steepness};
use super::{Model, Parameter};
use crate::math::Scalar;

/// exp(-exp(4.4)) is 4e-36: what is beyond is nothing, in single precision too, and its derivatives, products of
/// a huge and a tiny number, need not be formed.
const LAST: f64 = 4.4;

/// Inflection (in the logarithm of the dose): not the half-effect dose.
const PARAMETERS: [Parameter; 4] =
    [plateau("top"), plateau("bottom"), location("ln_inflection", 1.0), steepness("slope", STEEPNESSES)];

/// exp(-exp(z)).
#[inline(always)]
fn double_exponential<S: Scalar>(z: S) -> S {
    (-(z.min(S::lit(LAST)).exp())).exp()
}

/// `[top, bottom, ln_inflection, slope]`: falls late and steeply.
pub struct Weibull1;

impl Model<4> for Weibull1 {
    const NAME: &'static str = "weibull1";
    const FORMULA: &'static str = "bottom + (top - bottom) exp(-(dose / inflection)^slope)   drc's W1.4, a Gompertz curve of ln dose; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [Parameter; 4] = PARAMETERS;
    const BASELINE: Option<usize> = Some(0);
    const DESCENTS: usize = 2;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [top, bottom, ln_inflection, slope]: [S; 4]) -> S {
        bottom + (top - bottom) * double_exponential(slope * (ln_dose - ln_inflection))
    }
}

/// `[top, bottom, ln_inflection, slope]`: falls early and ends slowly.
pub struct Weibull2;

impl Model<4> for Weibull2 {
    const NAME: &'static str = "weibull2";
    const FORMULA: &'static str = "bottom + (top - bottom) (1 - exp(-(dose / inflection)^-slope))   drc's W2.4 with b = -slope; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [Parameter; 4] = PARAMETERS;
    const BASELINE: Option<usize> = Some(0);
    const DESCENTS: usize = 2;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [top, bottom, ln_inflection, slope]: [S; 4]) -> S {
        top + (bottom - top) * double_exponential(slope * (ln_inflection - ln_dose))
    }
}
