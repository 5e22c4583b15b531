//! The tables `synergy` (one row a matrix) and `surfaces` (one row a dose pair).

use super::combination_index::CombinationIndices;
use super::combination_index_table;
use super::interaction_table::{interactions_table, rows_of};
use super::sensitivity::Sensitivity;
use super::{MatrixScore, Score, SurfaceCell, SynergyModel};
use crate::config::Settings;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::dose_matrix::{DoseMatrix, MatrixKey};
use rayon::prelude::*;

/// Takes one number out of a score.
type Value = fn(&Score) -> Option<f64>;
/// Takes one number out of sensitivity scores.
type Of = fn(&Sensitivity) -> f64;

/// A table, and how many rows each matrix has in it.
#[derive(Debug, Clone)]
pub struct SynergyTable {
    /// The table.
    pub table: Table,
    /// Rows of each matrix, in order.
    pub rows: Vec<usize>,
}

/// Tables that are written only where they are asked for.
pub const OPTIONAL: [&str; 4] = ["interactions", "combination_index", "median_effect", "isobologram"];

/// Every table of scored matrices that the settings ask for.
pub fn tables(
    scores: &[MatrixScore],
    matrices: &[DoseMatrix],
    settings: &Settings,
    screen: &Screen,
) -> Vec<SynergyTable> {
    let models = &settings.synergy;
    let indices: Option<Vec<CombinationIndices>> = settings.combination_index.then(|| {
        matrices.par_iter().zip(scores).map(|(matrix, score)| CombinationIndices::new(matrix, score)).collect()
    });
    let mut tables = vec![
        SynergyTable {
            table: synergy_table(scores, indices.as_deref(), settings, screen),
            rows: vec![1; scores.len()],
        },
        SynergyTable {
            table: surfaces_table(scores, models, screen),
            rows: scores.iter().map(|score| score.cells.len()).collect(),
        },
    ];
    if models.iter().any(|model| model.surface().is_some()) {
        let rows = scores.iter().map(rows_of).collect();
        tables.push(SynergyTable { table: interactions_table(scores, screen), rows });
    }
    tables.extend(indices.into_iter().flat_map(|indices| combination_index_table::tables(scores, &indices, screen)));
    tables
}

/// A table with the columns that say which matrix a row belongs to.
pub(super) fn keyed<'a>(name: &str, screen: &Screen, keys: impl Iterator<Item = &'a MatrixKey> + Clone) -> Table {
    let line = |key: &MatrixKey| Some(key.line).filter(|id| !screen.lines.name(*id).is_empty());
    Table::new(name)
        .named("block", &screen.blocks, keys.clone().map(|key| key.block))
        .named("cell_line", &screen.lines, keys.clone().map(line))
        .named("drug_a", &screen.drugs, keys.clone().map(|key| Some(key.drug_a)))
        .named("drug_b", &screen.drugs, keys.clone().map(|key| Some(key.drug_b)))
        .named("schedule", &screen.schedules, keys.map(|key| key.schedule))
}

/// The table `synergy`: one row a matrix; responses and scores are viability fractions, doses molar. `reason_M` says
/// why a value of model M is null, `flags` the rest. `score_M_unflagged` is the score without the wells that the plate
/// stage flagged; equal to `score_M` where there are none, null with `all_wells_flagged` or `too_few_unflagged_wells`
/// among `flags` (or for the reason that `score_M` is). `qc_burden` is the share of flagged wells and of wells on
/// plates that are not good.
///
/// `p_M` and the interval are of the mean excess, by Student's t; `mean_r_f_M` with `mean_r_p_M` asks whether any cell
/// departs from the model, `max_r_M` (the largest absolute standardised excess) with `max_r_p_M` which one does
/// ([`super::departure`]); null with `no_cell_tests_M` among `flags` for
/// fewer than 50 draws and, of ZIP and its kin, where no replicates tell the noise. `p_null_M` is that of
/// the mean by the screen's own null ([`super::null`]). `q`, `mean_r_q` and `q_null` are Benjamini–Hochberg's over the table.
fn synergy_table(
    scores: &[MatrixScore],
    indices: Option<&[CombinationIndices]>,
    settings: &Settings,
    screen: &Screen,
) -> Table {
    let models = &settings.synergy;
    let mut table = keyed("synergy", screen, scores.iter().map(|matrix| &matrix.key))
        .integer("n_cells", scores.iter().map(|matrix| Some(matrix.n_cells as i64)))
        .integer("n_wells", scores.iter().map(|matrix| Some(matrix.n_wells as i64)))
        .number("efficacy", scores.iter().map(|matrix| matrix.efficacy))
        .number("sigma", scores.iter().map(|matrix| matrix.sigma))
        .number("qc_burden", scores.iter().map(|matrix| matrix.qc_burden));
    for (m, model) in models.iter().enumerate() {
        let columns: [(&str, Value); 13] = [
            ("score", |s| s.score),
            ("top_decile", |s| s.top_decile),
            ("volume", |s| s.volume),
            ("peak", |s| s.peak),
            ("peak_efficacy", |s| s.peak_efficacy),
            ("peak_dose_a_molar", |s| s.peak_dose_a),
            ("peak_dose_b_molar", |s| s.peak_dose_b),
            ("se", |s| s.standard_error),
            ("df", |s| s.degrees_of_freedom),
            ("p", |s| s.p),
            ("q", |s| s.q),
            ("ci_low", |s| s.ci_low),
            ("ci_high", |s| s.ci_high),
        ];
        for (name, value) in columns {
            let values = scores.iter().map(|matrix| matrix.scores.get(m).and_then(value));
            table = table.number(&format!("{name}_{}", model.name()), values);
        }
        // Tests of cells are of models that follow from the single drugs; a fitted surface has parameters to test.
        let tests: [(&str, Value); 5] = [
            ("mean_r_f", |s| s.mean_r_f),
            ("mean_r_p", |s| s.mean_r_p),
            ("mean_r_q", |s| s.mean_r_q),
            ("max_r", |s| s.max_r),
            ("max_r_p", |s| s.max_r_p),
        ];
        let tests = tests.into_iter().filter(|_| model.surface().is_none());
        for (name, value) in tests.chain([("p_null", (|s| s.p_null) as Value), ("q_null", |s| s.q_null)]) {
            let values = scores.iter().map(|matrix| matrix.scores.get(m).and_then(value));
            table = table.number(&format!("{name}_{}", model.name()), values);
        }
        if !settings.dose_limits.is_empty() {
            let boxed = scores.iter().map(|matrix| matrix.scores.get(m).and_then(|score| score.boxed));
            table = table.number(&format!("box_{}", model.name()), boxed);
        }
        let unflagged = scores.iter().map(|matrix| matrix.scores.get(m).and_then(|score| score.unflagged));
        table = table.number(&format!("score_{}_unflagged", model.name()), unflagged);
        let reasons = scores.iter().map(|matrix| matrix.scores.get(m).and_then(|score| score.reason));
        table = table.text(&format!("reason_{}", model.name()), reasons);
    }
    table = table
        .number("consensus", scores.iter().map(|matrix| matrix.consensus))
        .number("consensus_share", scores.iter().map(|matrix| matrix.consensus_share))
        .code(
            "consensus_reason",
            scores.iter().map(|matrix| matrix.consensus.is_none().then_some("no_reference_for_any_cell")),
        );
    let columns: [(&str, Of); 8] = [
        ("css", Sensitivity::css),
        ("css_a", |s| s.combined[0]),
        ("css_b", |s| s.combined[1]),
        ("ri_a", |s| s.relative_inhibition[0]),
        ("ri_b", |s| s.relative_inhibition[1]),
        ("s_sum", Sensitivity::s_sum),
        ("s_max", Sensitivity::s_max),
        ("s_mean", Sensitivity::s_mean),
    ];
    for (name, value) in columns {
        table = table.number(name, scores.iter().map(|matrix| matrix.sensitivity.as_ref().ok().map(value)));
    }
    if let Some(indices) = indices {
        let ci = || indices.iter().map(|of| of.mean(|cell| cell.index));
        let fitted = || indices.iter().map(|of| of.mean(|cell| cell.index_fitted));
        table = table
            .number("combination_index", ci().map(|(mean, _)| mean))
            .integer("n_combination_index", ci().map(|(_, n)| Some(n as i64)))
            .number("combination_index_fitted", fitted().map(|(mean, _)| mean))
            .integer("n_combination_index_fitted", fitted().map(|(_, n)| Some(n as i64)))
            .integer("n_beyond_both_drugs", indices.iter().map(|of| Some(of.missing("beyond_both_drugs") as i64)))
            .integer("n_no_effect", indices.iter().map(|of| Some(of.missing("no_effect") as i64)))
            .code("combination_index_reason", ci().map(|(mean, _)| mean.is_none().then_some("no_index_in_any_cell")))
            .code(
                "combination_index_fitted_reason",
                fitted().map(|(mean, _)| mean.is_none().then_some("no_index_in_any_cell")),
            );
    }
    table
        .code("css_reason", scores.iter().map(|matrix| matrix.sensitivity.as_ref().err().copied()))
        .text("flags", scores.iter().map(|matrix| Some(matrix.flags.clone())))
}

/// The table `surfaces`: one row a measured dose pair, margins and untreated included; these have no excess.
/// `z_M` is the excess in standard deviations, after what all cells share; `call_M` is `synergy`, `antagonism` or `none`
/// at a family-wise 5 % over the cells of the matrix.
/// `flags` is `margin` or `untreated` there, and says of a combination which models could not be computed, and which
/// cells could not be tested (`not_tested`, of all models, without draws).
fn surfaces_table(scores: &[MatrixScore], models: &[SynergyModel], screen: &Screen) -> Table {
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
        if model.surface().is_none() {
            let departure = |cell: &SurfaceCell| cell.departures.get(m).copied().flatten();
            table = table
                .number(&format!("z_{}", model.name()), rows().map(|(_, cell)| departure(cell).map(|d| d.z)))
                .code(
                    &format!("call_{}", model.name()),
                    rows().map(|(_, cell)| departure(cell).map(|d| d.call.name())),
                );
        }
    }
    table
        .number("consensus_excess", rows().map(|(_, cell)| cell.consensus))
        .code("flags", rows().map(|(_, cell)| Some(cell_flags(cell, models))))
}

fn cell_flags(cell: &SurfaceCell, models: &[SynergyModel]) -> String {
    match (cell.dose_a > 0.0, cell.dose_b > 0.0) {
        (false, false) => "untreated".to_owned(),
        (true, false) | (false, true) => "margin".to_owned(),
        (true, true) => {
            let of = |m: usize| {
                (models[m], cell.excess.get(m).copied().flatten(), cell.departures.get(m).copied().flatten())
            };
            let mut flags = Vec::new();
            for (model, excess, departure) in (0..models.len()).map(of) {
                match (excess, departure) {
                    (None, _) => flags.push(format!("no_{}", model.name())),
                    (Some(_), None) if model.surface().is_none() => flags.push(format!("not_tested_{}", model.name())),
                    _ => {}
                }
            }
            // Where there were no draws, once is enough.
            let untested = flags.iter().filter(|flag| flag.starts_with("not_tested_")).count();
            if untested > 1 && untested == models.iter().filter(|model| model.surface().is_none()).count() {
                flags.retain(|flag| !flag.starts_with("not_tested_"));
                flags.push("not_tested".to_owned());
            }
            flags.join(";")
        }
    }
}
