//! Stimulation by low doses before the fall.

use super::hill::{location, plateau, steepness};
use super::{Axis, Model, Parameter, Starts};
use crate::fit::Bound;
use crate::math::Scalar;

/// `[top, bottom, hormesis, ln_location, hill]`: Brain and Cousens' curve. Their hormetic term is a slope along the
/// dose; here it is counted in doses of the location, so that it does not depend on the unit of the dose. The location
/// is drc's `e`: the half-effect dose of the curve without hormesis, not of this one.
pub struct Hormesis;

impl Model<5> for Hormesis {
    const NAME: &'static str = "hormesis";
    const FORMULA: &'static str = "bottom + (top - bottom + hormesis dose / location) / (1 + (dose / location)^hill)   drc's BC.5 with its f = hormesis / location; Brain & Cousens 1989, doi 10.1111/j.1365-3180.1989.tb00845.x; Ritz 2015, doi 10.1371/journal.pone.0146021";
    const PARAMETERS: [Parameter; 5] = [
        plateau("top"),
        plateau("bottom"),
        Parameter {
            name: "hormesis",
            unit: "",
            bound: Bound { lower: 0.0, upper: 10.0 },
            axis: Axis::Plain,
            starts: Starts::Values(&[0.5]),
        },
        location("ln_location", 1.0),
        // At a slope of 1 the stimulation would not end, and could not be told from a higher bottom.
        Parameter { bound: Bound { lower: 1.1, upper: 20.0 }, ..steepness("hill", &[1.3, 2.0, 3.5, 6.0]) },
    ];
    const BASELINE: Option<usize> = Some(0);
    const DESCENTS: usize = 4;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose: S, [top, bottom, hormesis, ln_location, hill]: [S; 5]) -> S {
        let beyond = ln_dose - ln_location;
        let share = (-(hill * beyond)).logistic();
        bottom + (top - bottom) * share + hormesis * (beyond.exp() * share)
    }
}
