//! The tables `synergy` (one row a matrix) and `surfaces` (one row a dose pair).

use super::{MatrixScore, Score, SurfaceCell, SynergyModel};
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::dose_matrix::MatrixKey;

/// Takes one number out of a score.
type Value = fn(&Score) -> Option<f64>;

/// A table with the columns that say which matrix a row belongs to.
pub(super) fn keyed<'a>(name: &str, screen: &Screen, keys: impl Iterator<Item = &'a MatrixKey> + Clone) -> Table {
    let line = |key: &MatrixKey| Some(screen.lines.name(key.line).to_owned()).filter(|name| !name.is_empty());
    Table::new(name)
        .text("block", keys.clone().map(|key| key.block.map(|id| screen.blocks.name(id).to_owned())))
        .text("cell_line", keys.clone().map(line))
        .text("drug_a", keys.clone().map(|key| Some(screen.drugs.name(key.drug_a))))
        .text("drug_b", keys.clone().map(|key| Some(screen.drugs.name(key.drug_b))))
        .text("schedule", keys.map(|key| key.schedule.map(|id| screen.schedules.name(id).to_owned())))
}

/// The table `synergy`: one row a matrix; responses and scores are viability fractions, doses molar. `reason_M` says
/// why a value of model M is null, `flags` the rest. `score_M_unflagged` is the score without the wells that the plate
/// stage flagged; equal to `score_M` where there are none, null with `all_wells_flagged` or `too_few_unflagged_wells`
/// among `flags` (or for the reason that `score_M` is). `qc_burden` is the share of flagged wells and of wells on
/// plates that are not good.
pub fn synergy_table(scores: &[MatrixScore], models: &[SynergyModel], screen: &Screen) -> Table {
    let mut table = keyed("synergy", screen, scores.iter().map(|matrix| &matrix.key))
        .integer("n_cells", scores.iter().map(|matrix| Some(matrix.n_cells as i64)))
        .integer("n_wells", scores.iter().map(|matrix| Some(matrix.n_wells as i64)))
        .number("efficacy", scores.iter().map(|matrix| matrix.efficacy))
        .number("sigma", scores.iter().map(|matrix| matrix.sigma))
        .number("qc_burden", scores.iter().map(|matrix| matrix.qc_burden));
    for (m, model) in models.iter().enumerate() {
        let columns: [(&str, Value); 9] = [
            ("score", |s| s.score),
            ("peak", |s| s.peak),
            ("peak_dose_a_molar", |s| s.peak_dose_a),
            ("peak_dose_b_molar", |s| s.peak_dose_b),
            ("se", |s| s.standard_error),
            ("p", |s| s.p),
            ("q", |s| s.q),
            ("ci_low", |s| s.ci_low),
            ("ci_high", |s| s.ci_high),
        ];
        for (name, value) in columns {
            let values = scores.iter().map(|matrix| matrix.scores.get(m).and_then(value));
            table = table.number(&format!("{name}_{}", model.name()), values);
        }
        let unflagged = scores.iter().map(|matrix| matrix.scores.get(m).and_then(|score| score.unflagged));
        table = table.number(&format!("score_{}_unflagged", model.name()), unflagged);
        let reasons = scores.iter().map(|matrix| matrix.scores.get(m).and_then(|score| score.reason));
        table = table.text(&format!("reason_{}", model.name()), reasons);
    }
    table.text("flags", scores.iter().map(|matrix| Some(matrix.flags.clone())))
}

/// The table `surfaces`: one row a measured dose pair, margins and untreated included; these have no excess.
/// `flags` is `margin` or `untreated` there, and says of a combination which models could not be computed.
pub fn surfaces_table(scores: &[MatrixScore], models: &[SynergyModel], screen: &Screen) -> Table {
    let rows = || scores.iter().flat_map(|matrix| matrix.cells.iter().map(move |cell| (&matrix.key, cell)));
    let mut table = keyed("surfaces", screen, rows().map(|(key, _)| key))
        .number("dose_a_molar", rows().map(|(_, cell)| Some(cell.dose_a)))
        .number("dose_b_molar", rows().map(|(_, cell)| Some(cell.dose_b)))
        .number("observed", rows().map(|(_, cell)| Some(cell.observed)))
        .integer("n_wells", rows().map(|(_, cell)| Some(i64::from(cell.n))));
    for (m, model) in models.iter().enumerate() {
        let of = |values: &[Option<f64>]| values.get(m).copied().flatten();
        table = table
            .number(&format!("expected_{}", model.name()), rows().map(|(_, cell)| of(&cell.expected)))
            .number(&format!("excess_{}", model.name()), rows().map(|(_, cell)| of(&cell.excess)));
    }
    table.text("flags", rows().map(|(_, cell)| Some(cell_flags(cell, models))))
}

fn cell_flags(cell: &SurfaceCell, models: &[SynergyModel]) -> String {
    match (cell.dose_a > 0.0, cell.dose_b > 0.0) {
        (false, false) => "untreated".to_owned(),
        (true, false) | (false, true) => "margin".to_owned(),
        (true, true) => {
            let missing = models.iter().zip(&cell.excess).filter(|(_, excess)| excess.is_none());
            missing.map(|(model, _)| format!("no_{}", model.name())).collect::<Vec<_>>().join(";")
        }
    }
}
