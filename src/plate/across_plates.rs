//! Well correction: what one place reads on all plates (a clogged nozzle, a warm corner) taken out of its scores.
//!
//! The scores of each place over the plates are scored again, by their median and MAD (Makarenkov 2007,
//! doi 10.1093/bioinformatics/btm145, who takes mean and standard deviation). Only for screens in which a place
//! holds another treatment on every plate: what is the same everywhere is what is taken out.

use super::PlateStage;
use crate::Result;
use crate::backend::{Backend, PlateBatch, WellClass};
use crate::config::Normalization;
use crate::screen::well::{Role, WellPosition};
use std::collections::BTreeMap;

/// Plates that must have a sample at a place for it to be corrected. Ours: with fewer, a score of 1.5 can be all noise of
/// the median.
pub const FEWEST_PLATES: usize = 8;

/// Corrects the scores of sample wells in place; places with fewer plates, and those whose scores have no spread, stay as
/// they are. Returns how many wells were corrected.
///
/// # Errors
/// Those of the back end.
pub fn correct(stage: &mut PlateStage, backend: &dyn Backend) -> Result<usize> {
    let mut places: BTreeMap<WellPosition, Vec<usize>> = BTreeMap::new();
    for i in (0..stage.wells.len()).filter(|i| stage.wells.role(*i) == Role::Sample) {
        if let Some(position) = stage.wells.position(i) {
            places.entry(position).or_default().push(i);
        }
    }
    places.retain(|_, wells| wells.len() >= FEWEST_PLATES);
    let mut batch = PlateBatch { offsets: vec![0], ..PlateBatch::default() };
    for wells in places.values() {
        batch.signal.extend(wells.iter().map(|i| stage.wells.responses()[*i]));
        batch.offsets.push(batch.signal.len());
    }
    batch.class = vec![WellClass::Other; batch.signal.len()];
    if batch.signal.is_empty() {
        return Ok(0);
    }
    let scores = backend.normalise(Normalization::RobustZScore, &batch)?;
    let mut corrected = 0;
    for (i, score) in places.values().flatten().zip(scores).filter(|(_, score)| score.is_finite()) {
        stage.wells.responses_mut()[*i] = score;
        corrected += 1;
    }
    Ok(corrected)
}
