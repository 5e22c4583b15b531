//! Synergy of viability, in the terms in which apoptosis is compared with it.

use super::ApoptosisSample;
use super::synergy::ViabilitySynergy;
use crate::screen::Screen;
use crate::synergy::{MatrixScore, SurfaceCell};
use std::collections::BTreeSet;

/// The scores of the lines that have apoptosis too. Of several matrices of a line and pair, the one with most wells.
pub fn viability_of(
    screen: &Screen,
    samples: &[ApoptosisSample],
    scores: &[MatrixScore],
    model: usize,
) -> Vec<ViabilitySynergy> {
    let lines: BTreeSet<String> = samples.iter().map(|sample| sample.row.line.to_lowercase()).collect();
    let mut largest: Vec<&MatrixScore> = scores.iter().collect();
    largest.sort_by_key(|score| std::cmp::Reverse(score.n_wells));
    largest
        .into_iter()
        .filter(|score| lines.contains(&screen.lines.name(score.key.line).to_lowercase()))
        .map(|score| {
            let own = score.scores.get(model);
            let excess = |cell: &SurfaceCell| cell.excess.get(model).copied().flatten();
            ViabilitySynergy {
                line: screen.lines.name(score.key.line).to_owned(),
                drugs: [score.key.drug_a, score.key.drug_b].map(|drug| screen.drugs.name(drug).to_owned()),
                schedule: score.key.schedule.map(|schedule| screen.schedules.name(schedule).to_owned()),
                score: own.and_then(|own| own.score),
                interval: own.map_or([None; 2], |own| [own.ci_low, own.ci_high]),
                cells: score.cells.iter().filter_map(|c| Some((c.dose_a, c.dose_b, excess(c)?))).collect(),
            }
        })
        .collect()
}
