//! The five-parameter log-logistic curve: a Hill curve with one shoulder longer than the other.

use super::hill::{HILL, LN_EC50, plateau};
use super::{Axis, Model, Parameter, Starts};
use crate::fit::Bound;
use crate::math::Scalar;

/// `[top, bottom, ln_ec50, hill, asymmetry]`: drc's LL.5, but with the true half-effect dose in place of its `e`. The
/// half-effect dose is what the data know; `e` slides along with the asymmetry by decades.
pub struct Richards5;

impl Model<5> for Richards5 {
    const NAME: &'static str = "richards5";
    const FORMULA: &'static str = "bottom + (top - bottom) / (1 + (2^(1/asymmetry) - 1) (dose / ec50)^hill)^asymmetry   drc's LL.5 with its e = ec50 / (2^(1/asymmetry) - 1)^(1/hill); Richards 1959, doi 10.1093/jxb/10.2.290; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [Parameter; 5] = [
        plateau("top"),
        plateau("bottom"),
        LN_EC50,
        HILL,
        Parameter {
            name: "asymmetry",
            unit: "",
            bound: Bound { lower: 0.1, upper: 10.0 },
            axis: Axis::Plain,
            starts: Starts::Values(&[0.3, 1.0, 3.0]),
        },
    ];
    const BASELINE: Option<usize> = Some(0);
    const DESCENTS: usize = 3;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [top, bottom, ln_ec50, hill, asymmetry]: [S; 5]) -> S {
        let shift = ((S::lit(std::f64::consts::LN_2) / asymmetry).exp() - S::lit(1.0)).ln();
        let share = (-(asymmetry * (hill * (ln_dose - ln_ec50) + shift).softplus())).exp();
        bottom + (top - bottom) * share
    }
}
