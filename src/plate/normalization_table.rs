//! The table `normalization`: what was done to each plate's responses beyond its formula.

use super::spatial_correction::SpatialOutcome;
use super::vehicle_noise::VehicleNoise;
use crate::report::table::Table;
use crate::screen::Screen;
use std::collections::BTreeMap;

/// One row a plate (a plate and line, where a plate holds several lines): the variance of one vehicle well and of the
/// plate's vehicle mean (squared viability), the weight that follows for its wells, and what was divided out for position
/// (a fraction; null with a reason where nothing was).
pub fn table(noise: &[VehicleNoise], spatial: &[SpatialOutcome], screen: &Screen) -> Table {
    let by_plate: BTreeMap<_, &SpatialOutcome> = spatial.iter().map(|o| ((o.plate, o.line), o)).collect();
    let outcome = |i: usize| by_plate.get(&(noise[i].plate, noise[i].line)).copied();
    let done = |i: usize| outcome(i).filter(|o| o.reason.is_empty());
    let rows = || 0..noise.len();
    Table::new("normalization")
        .text("plate_id", noise.iter().map(|n| Some(screen.plates.name(n.plate))))
        .text("cell_line", noise.iter().map(|n| n.line.map(|line| screen.lines.name(line))))
        .integer("n_vehicle", noise.iter().map(|n| Some(n.n_vehicle as i64)))
        .number("vehicle_variance", noise.iter().map(|n| n.variance))
        .number("vehicle_mean_variance", noise.iter().map(|n| n.variance_of_mean))
        .number("weight", noise.iter().map(|n| Some(n.weight)))
        .integer("n_spatial_wells", rows().map(|i| outcome(i).map(|o| o.n_wells as i64)))
        .number("spatial_sd", rows().map(|i| done(i).map(|o| o.sd)))
        .number("spatial_applied", rows().map(|i| done(i).map(|o| o.applied)))
        .text("reason", rows().map(|i| Some(reason(&noise[i], outcome(i)))))
}

/// Why values are missing, as codes joined by `;`.
fn reason(noise: &VehicleNoise, spatial: Option<&SpatialOutcome>) -> String {
    let mut reasons = Vec::new();
    match noise.n_vehicle {
        0 => reasons.push("no_vehicle_wells"),
        1 => reasons.push("one_vehicle_well"),
        _ if noise.variance_of_mean.is_none() => reasons.push("identical_vehicle_wells"),
        _ => {}
    }
    reasons.push(spatial.map_or("no_spatial_correction", |outcome| outcome.reason));
    reasons.retain(|reason| !reason.is_empty());
    reasons.join(";")
}
