//! Straight lines: no effect, and an effect without plateaus.

use super::hill::plateau;
use super::{Axis, Model, Parameter, Starts};
use crate::fit::Bound;
use crate::math::Scalar;
use std::f64::consts::LN_10;

/// Natural log of 1 µM in molar.
const LN_MICROMOLAR: f64 = -6.0 * LN_10;

/// `[level]`.
pub struct Flat;

impl Model<1> for Flat {
    const NAME: &'static str = "flat";
    const FORMULA: &'static str = "level   the mean response: what every other model is tested against";
    const PARAMETERS: [Parameter; 1] = [plateau("level")];
    const BASELINE: Option<usize> = Some(0);

    #[inline(always)]
    fn response<S: Scalar>(_: S, [level]: [S; 1]) -> S {
        level
    }
}

/// `[response_at_1um, slope_per_decade]`: a window on a curve whose plateaus lie outside the doses tested. Without
/// a limit at dose zero, untreated wells are no part of it.
pub struct LogLinear;

impl Model<2> for LogLinear {
    const NAME: &'static str = "log_linear";
    const FORMULA: &'static str = "response_at_1um + slope_per_decade log10(dose / 1 uM)   Neter 1996, Applied Linear Statistical Models, 4th edition, chapter 1; untreated wells take no part";
    const PARAMETERS: [Parameter; 2] = [
        // An extrapolation where 1 µM was not tested, hence the wide box.
        Parameter { bound: Bound { lower: -100.0, upper: 100.0 }, ..plateau("response_at_1um") },
        Parameter {
            name: "slope_per_decade",
            unit: "",
            bound: Bound { lower: -10.0, upper: 10.0 },
            axis: Axis::Plain,
            starts: Starts::Values(&[0.0]),
        },
    ];
    const BASELINE: Option<usize> = None;
    const LEVELS_OFF: bool = false;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [response_at_1um, slope_per_decade]: [S; 2]) -> S {
        response_at_1um + slope_per_decade * ((ln_dose - S::lit(LN_MICROMOLAR)) * S::lit(1.0 / LN_10))
    }
}
