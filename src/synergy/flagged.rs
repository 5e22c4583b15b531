//! How much of a score hangs on doubtful wells: the share of its wells that are, and the score without them.

use super::interaction::Effort;
use super::score::score_with_effort;
use super::{Margins, MatrixScore, SynergyModel};
use crate::Result;
use crate::backend::Backend;
use crate::fit::FitSettings;
use crate::plate::{NormalisedWells, PlateQuality, Verdict};
use crate::screen::dose_matrix::{DoseMatrix, Gathered, MatrixKey};
use crate::screen::names::NameId;
use crate::screen::triple_matrix::TripleKey;
use crate::screen::well::Well;
use crate::synergy::three::TripleMatrixScore;
use std::collections::{BTreeMap, BTreeSet};

/// What makes a matrix one, whatever the order of its drugs.
pub(super) type Key = (Option<NameId>, NameId, [NameId; 2], Option<NameId>);

pub(super) fn key_of(key: &MatrixKey) -> Key {
    let (a, b) = (key.drug_a, key.drug_b);
    (key.block, key.line, [a.min(b), a.max(b)], key.schedule)
}

/// Fills `qc_burden`: the share of a matrix's wells (those naming both drugs) that are flagged, or on a plate whose
/// verdict is not good.
pub fn add_burden(scores: &mut [MatrixScore], wells: &NormalisedWells, plates: &[PlateQuality]) {
    let shares = doubtful_shares(wells, plates, |well| {
        let mut named = well.named().map(|t| t.drug);
        let (Some(a), Some(b), None) = (named.next(), named.next(), named.next()) else { return None };
        Some((well.block, well.line.unwrap_or(0), [a.min(b), a.max(b)], well.schedule))
    });
    for score in scores {
        score.qc_burden = shares.get(&key_of(&score.key)).copied();
    }
}

/// The same for matrices of three drugs, which `keys` name, by the wells with a dose of each.
pub fn add_triple_burden(
    scores: &mut [TripleMatrixScore],
    keys: &[TripleKey],
    wells: &NormalisedWells,
    plates: &[PlateQuality],
) {
    if scores.is_empty() {
        return;
    }
    let in_order = |mut drugs: [NameId; 3]| {
        drugs.sort_unstable();
        drugs
    };
    let shares = doubtful_shares(wells, plates, |well| {
        let mut active = well.active().map(|t| t.drug);
        let drugs = [active.next()?, active.next()?, active.next()?];
        Some((well.block, well.line.unwrap_or(0), in_order(drugs), well.schedule))
    });
    for (score, key) in scores.iter_mut().zip(keys) {
        score.qc_burden = shares.get(&(key.block, key.line, in_order(key.drugs), key.schedule)).copied();
    }
}

/// Of the wells that `key` puts together, the share that is flagged or on a plate whose verdict is not good.
fn doubtful_shares<K: Ord>(
    wells: &NormalisedWells,
    plates: &[PlateQuality],
    key: impl Fn(&Well) -> Option<K>,
) -> BTreeMap<K, f64> {
    // A plate that holds several lines has a verdict for each; one that names no line has one for all.
    let doubtful: BTreeSet<(NameId, Option<NameId>)> = plates
        .iter()
        .filter(|p| !matches!(p.verdict, Verdict::Good | Verdict::NotJudged))
        .map(|p| (p.plate, p.line))
        .collect();
    let mut counts: BTreeMap<K, (usize, usize)> = BTreeMap::new();
    for well in wells.iter() {
        let Some(key) = key(&well.well) else { continue };
        let (plate, line) = (well.well.plate, well.well.line);
        let is_doubtful = well.flags.any()
            || !doubtful.is_empty() && (doubtful.contains(&(plate, line)) || doubtful.contains(&(plate, None)));
        let count = counts.entry(key).or_default();
        count.0 += usize::from(is_doubtful);
        count.1 += 1;
    }
    counts.into_iter().map(|(key, (doubtful, all))| (key, doubtful as f64 / all as f64)).collect()
}

/// The matrices that the wells without any flag make, by `gather`; `None` where no well has one.
pub fn unflagged_matrices(
    wells: &NormalisedWells,
    gather: impl FnOnce(&NormalisedWells) -> Gathered,
) -> Option<Vec<DoseMatrix>> {
    let sound = wells.unflagged();
    (sound.len() < wells.len()).then(|| gather(&sound).matrices)
}

/// Fills [`super::Score::unflagged`]: the score from the wells without any flag, margins fitted anew. `sound` are their
/// matrices ([`unflagged_matrices`]), `matrices` those of all wells. Only matrices that lose a well, in a margin or a
/// combination, are scored again; one that loses every combination has no such score (`all_wells_flagged`).
///
/// # Errors
/// Those of the back end.
pub fn add_unflagged(
    scores: &mut [MatrixScore],
    matrices: &[DoseMatrix],
    sound: Option<Vec<DoseMatrix>>,
    models: &[SynergyModel],
    margins: Margins,
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<()> {
    let Some(sound) = sound else {
        scores.iter_mut().flat_map(|matrix| &mut matrix.scores).for_each(|score| score.unflagged = score.score);
        return Ok(());
    };
    let kept: BTreeMap<Key, DoseMatrix> = sound.into_iter().map(|matrix| (key_of(&matrix.key), matrix)).collect();
    let (mut again, mut which) = (Vec::new(), Vec::new());
    for (i, (score, matrix)) in scores.iter_mut().zip(matrices).enumerate() {
        match kept.get(&key_of(&matrix.key)) {
            None => score.add_flag("all_wells_flagged"),
            Some(left) if left != matrix => {
                again.push(left.clone());
                which.push(i);
            }
            Some(_) => score.scores.iter_mut().for_each(|s| s.unflagged = s.score),
        }
    }
    for (i, left) in which.into_iter().zip(score_with_effort(&again, models, margins, fit, Effort::Score, backend)?) {
        if let Some(score) = scores.get_mut(i) {
            score.scores.iter_mut().zip(&left.scores).for_each(|(all, left)| all.unflagged = left.score);
            if left.scores.iter().zip(&score.scores).any(|(left, all)| left.score.is_none() && all.score.is_some()) {
                score.add_flag("too_few_unflagged_wells");
            }
        }
    }
    Ok(())
}

impl MatrixScore {
    pub(super) fn add_flag(&mut self, flag: &str) {
        if !self.flags.is_empty() {
            self.flags.push(';');
        }
        self.flags.push_str(flag);
    }
}
