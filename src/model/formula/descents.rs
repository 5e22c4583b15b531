//! How many descents a formula's curve takes.

use crate::model::curve_model::{Axis, Parameter};

/// Descents of a formula's curve, by how many parameters it is not linear in, and how many of them are places on the axis of
/// doses. Of two with one place, as many as of a Weibull curve: with one descent, back ends ended in different minima of a Gompertz
/// on 1.3 % of 2,994 simulated curves, with two on 0.7 %. A second place (of a bell, of a second step) or a third shape has a
/// minimum at each chance rise of the data: of a bell on the 4,416 curves of GDSC's plates one descent ended above the best of
/// 60 in 47 %, 8 in 8 % and 16 in 0.5 %.
pub fn descents_of_formula(parameters: &[Parameter], nonlinear: &[usize]) -> usize {
    let is_place = |i: &&usize| matches!(parameters[**i].axis, Axis::Dose | Axis::LnDose);
    match (nonlinear.len(), nonlinear.iter().filter(is_place).count()) {
        (0 | 1, _) => 1,
        (2, 0 | 1) => 2,
        _ => 16,
    }
}
