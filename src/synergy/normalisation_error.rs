//! The error that all wells of a plate have in common: each is divided by the plate's vehicle mean. Replicates on one
//! plate do not show it, and means over many cells do not average it out.

use super::flagged::key_of;
use crate::plate::NormalisedWells;
use crate::plate::vehicle_noise::VehicleNoise;
use crate::screen::dose_matrix::DoseMatrix;
use crate::screen::names::NameId;
use std::collections::{BTreeMap, HashMap};

/// Relative variances of what all responses of a matrix are multiplied with.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct NormalisationError {
    /// Of its combinations, and of margins that are its own.
    pub combinations: f64,
    /// Of the margins: of the plates of the whole curve where it is pooled.
    pub margins: [f64; 2],
}

/// The weight that one curve or matrix has on each plate.
type Shares = BTreeMap<(NameId, Option<NameId>), f64>;

/// One entry a matrix. The mean over plates with variances `V` and shares `s` of the weight has the variance `Σ s² V`,
/// where `V` is [`VehicleNoise::variance_of_mean`] and vehicles are 1 by definition.
pub fn normalisation_errors(
    matrices: &[DoseMatrix],
    wells: &NormalisedWells,
    noises: &[VehicleNoise],
) -> Vec<NormalisationError> {
    let variances: HashMap<(NameId, Option<NameId>), f64> =
        noises.iter().filter_map(|n| Some(((n.plate, n.line), n.variance_of_mean?))).collect();
    if variances.is_empty() || matrices.is_empty() {
        return vec![NormalisationError::default(); matrices.len()];
    }
    let mut of_matrices: BTreeMap<_, Shares> = BTreeMap::new();
    let mut of_curves: BTreeMap<(NameId, NameId), Shares> = BTreeMap::new();
    for normalised in wells.iter() {
        let well = &normalised.well;
        let plate = (well.plate, well.line);
        let line = well.line.unwrap_or(0);
        let active: Vec<NameId> = well.active().map(|t| t.drug).collect();
        match active.as_slice() {
            [one] => {
                *of_curves.entry((line, *one)).or_default().entry(plate).or_default() += normalised.weight;
            }
            [a, b] => {
                let key = (well.block, line, [*a.min(b), *a.max(b)], well.schedule);
                *of_matrices.entry(key).or_default().entry(plate).or_default() += normalised.weight;
            }
            _ => {}
        }
    }
    let variance = |shares: Option<&Shares>| {
        let Some(shares) = shares else { return 0.0 };
        let total: f64 = shares.values().sum();
        let of = |((plate, line), weight): (&(NameId, Option<NameId>), &f64)| {
            let variance = variances.get(&(*plate, *line)).or_else(|| variances.get(&(*plate, None)));
            (weight / total) * (weight / total) * variance.copied().unwrap_or(0.0)
        };
        shares.iter().map(of).sum()
    };
    let of = |matrix: &DoseMatrix| {
        let key = &matrix.key;
        let combinations = variance(of_matrices.get(&key_of(key)));
        let margin = |k: usize, drug: NameId| match matrix.origins[k].pooled {
            true => variance(of_curves.get(&(key.line, drug))),
            false => combinations,
        };
        NormalisationError { combinations, margins: [margin(0, key.drug_a), margin(1, key.drug_b)] }
    };
    matrices.iter().map(of).collect()
}
