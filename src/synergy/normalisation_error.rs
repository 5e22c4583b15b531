//! The error that all wells of a plate have in common: each is divided by the plate's vehicle mean. Replicates on one
//! plate do not show it, and means over many cells do not average it out. Between the combinations and single drugs of the
//! same plate it cancels for the most part, so what they share counts plate by plate.

use super::flagged::key_of;
use super::noise::{curve_hash, hash_of_names};
use crate::plate::NormalisedWells;
use crate::plate::vehicle_noise::VehicleNoise;
use crate::screen::Screen;
use crate::screen::dose_matrix::DoseMatrix;
use crate::screen::names::NameId;
use std::collections::{BTreeMap, HashMap};

/// What one plate's vehicle mean, or that of many plates, multiplies a mean of responses with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PlateError {
    /// The same number for the same plate, in every matrix.
    pub plate: u64,
    /// Relative standard deviation, times the plate's share in the mean.
    pub deviation: f64,
}

/// What all responses of a matrix are multiplied with, plate by plate.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct NormalisationError {
    /// Its combinations, and margins that are its own.
    pub combinations: Vec<PlateError>,
    /// The margins: where the curve is pooled, the plates that it has in common with the combinations one by one, and its
    /// other plates together.
    pub margins: [Vec<PlateError>; 2],
}

/// The weight that one curve or matrix has on each plate.
type Shares = BTreeMap<(NameId, Option<NameId>), f64>;

/// One entry a matrix. A plate with the variance `V` ([`VehicleNoise::variance_of_mean`]; vehicles are 1 by definition) and
/// the share `s` of the weight moves the mean over plates by `s √V`.
pub fn normalisation_errors(
    matrices: &[DoseMatrix],
    wells: &NormalisedWells,
    noises: &[VehicleNoise],
    screen: &Screen,
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
    let error = |shares: &Shares, plate: &(NameId, Option<NameId>), weight: f64| {
        let variance = variances.get(plate).or_else(|| variances.get(&(plate.0, None))).copied().unwrap_or(0.0);
        let total: f64 = shares.values().sum();
        let line = plate.1.map(|line| screen.lines.name(line));
        PlateError {
            plate: hash_of_names([Some(screen.plates.name(plate.0)), line].into_iter()),
            deviation: weight / total * variance.max(0.0).sqrt(),
        }
    };
    let none = Shares::new();
    let of = |matrix: &DoseMatrix| {
        let key = &matrix.key;
        let own = of_matrices.get(&key_of(key)).unwrap_or(&none);
        let combinations: Vec<PlateError> = own.iter().map(|(plate, weight)| error(own, plate, *weight)).collect();
        let margin = |k: usize, drug: NameId| {
            if !matrix.origins[k].pooled {
                return combinations.clone();
            }
            let shares = of_curves.get(&(key.line, drug)).unwrap_or(&none);
            let (mut errors, mut others) = (Vec::new(), 0.0);
            for (plate, weight) in shares {
                let error = error(shares, plate, *weight);
                match own.contains_key(plate) {
                    true => errors.push(error),
                    false => others += error.deviation * error.deviation,
                }
            }
            errors.push(PlateError { plate: curve_hash(key, Some(drug), screen), deviation: others.sqrt() });
            errors
        };
        let margins = [margin(0, key.drug_a), margin(1, key.drug_b)];
        NormalisationError { combinations, margins }
    };
    matrices.iter().map(of).collect()
}
