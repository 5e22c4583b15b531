//! The noise of a plate's vehicle mean, and what it takes from the weight of the plate's wells.
//!
//! Every well of a plate is divided by one vehicle mean, so an error of that mean moves all of them together. A well at
//! viability 1 then has the variance σ² of a well plus V, the variance of its plate's mean, and counts σ² / (σ² + V).
//! Variances add: a well that counts less for a flag already adds V to what it has.
//!
//! V is the plate's own vehicle variance over its number of vehicle wells, where the variance is drawn towards σ², the
//! median plate's, as if four more wells had shown that.
//!
//! Left out: that the errors of a plate's wells go together (weights are a diagonal; curves with a free top
//! take most of it up), that V shrinks with the square of the viability (a weight that followed a well's own reading
//! would favour low readings), and the noise of blanks and positive controls.

use super::spread::moments;
use super::{PlateStage, groups};
use crate::screen::names::NameId;
use crate::screen::well::Role;

/// Degrees of freedom that the median plate's variance counts as. Ours: as many as a column of a 96-well plate with four
/// vehicle wells would say by itself.
const PRIOR_WELLS: f64 = 4.0;

/// The vehicle wells of one plate (of one line), as viabilities.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct VehicleNoise {
    /// The plate.
    pub plate: NameId,
    /// The line.
    pub line: Option<NameId>,
    /// Vehicle wells.
    pub n_vehicle: usize,
    /// Variance of one vehicle well's viability, n - 1 in the denominator; `None` for fewer than two.
    pub variance: Option<f64>,
    /// Variance of the plate's vehicle mean; `None` where no plate has two vehicle wells, or this one has none.
    pub variance_of_mean: Option<f64>,
    /// Weight of the plate's wells without flags, in (0, 1].
    pub weight: f64,
}

/// Weighs the wells of a stage in place; one entry a plate and line.
pub fn weigh(stage: &mut PlateStage) -> Vec<VehicleNoise> {
    let groups = groups(&stage.wells);
    let mut noises: Vec<VehicleNoise> = Vec::with_capacity(groups.len());
    let mut vehicles: Vec<f64> = Vec::new();
    for members in &groups {
        let wells = &stage.wells;
        vehicles.clear();
        vehicles.extend(members.iter().filter(|i| wells.role(**i) == Role::Vehicle).map(|i| wells.responses()[*i]));
        let variance = moments(&vehicles).and_then(|m| m.sd).map(|sd| sd * sd);
        let plate = members.first().map_or(0, |i| wells.plate(*i));
        let line = members.iter().find_map(|i| wells.wells().line(*i));
        noises.push(VehicleNoise {
            plate,
            line,
            n_vehicle: vehicles.len(),
            variance,
            variance_of_mean: None,
            weight: 1.0,
        });
    }
    let mut variances: Vec<f64> = noises.iter().filter_map(|noise| noise.variance).collect();
    let typical = super::spread::median(&mut variances).filter(|v| *v > 0.0);
    if let Some(typical) = typical {
        for noise in noises.iter_mut().filter(|noise| noise.n_vehicle > 0) {
            let own = noise.n_vehicle as f64 - 1.0;
            let drawn = (PRIOR_WELLS * typical + own * noise.variance.unwrap_or(0.0)) / (PRIOR_WELLS + own);
            let of_mean = drawn / noise.n_vehicle as f64;
            noise.variance_of_mean = Some(of_mean);
            noise.weight = typical / (typical + of_mean);
        }
    }
    for (members, noise) in groups.iter().zip(&noises) {
        let added = 1.0 / noise.weight - 1.0;
        let weights = stage.wells.weights_mut();
        members.iter().for_each(|i| weights[*i] = 1.0 / (1.0 / weights[*i] + added));
    }
    noises
}
