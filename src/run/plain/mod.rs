//! `isobole fit` and `isobole synergy`: plain tables of curves or dose matrices, without plates.

mod fit;
mod gathered;
mod output;
mod rejected;

use crate::analysis::fit_settings;
use crate::backend::choose::choose;
use crate::config::Settings;
use crate::ingest::curves::RejectedRow;
use crate::ingest::{LongMapping, LongTable, read_long};
use crate::report::files;
use crate::report::run_json::RunIdentity;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::dose_matrix::{DoseMatrix, MatrixKey, Observation, matrix_from_cells};
use crate::synergy::bootstrap::{Resampling, add_intervals};
use crate::synergy::score::score_matrices;
use crate::synergy::summary::add_box_scores;
use crate::synergy::table::{OPTIONAL, SynergyTable, tables};
use crate::{Error, Result};
pub use fit::fit;
use rayon::prelude::*;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Curves turned into one piece of the table at a time.
const PART_CURVES: usize = 1_024;

/// What came of a plain table.
#[derive(Debug, Clone, Default)]
pub struct PlainOutcome {
    /// Rows of the input.
    pub rows_in: usize,
    /// Rows used.
    pub rows_used: usize,
    /// How many rows were left out for each reason.
    pub rejected_by_reason: BTreeMap<&'static str, usize>,
    /// Curves or matrices.
    pub units: usize,
    /// Those without a usable result.
    pub failed: usize,
    /// The back end, and why.
    pub backend: String,
    /// What the user should know, though it changes no result.
    pub notes: Vec<String>,
    /// Files written.
    pub files: Vec<PathBuf>,
}

impl PlainOutcome {
    fn count_rejected(&mut self, rejected: &[RejectedRow]) {
        for (_, reason, _) in rejected {
            *self.rejected_by_reason.entry(reason).or_default() += 1;
        }
    }
}

fn identity(settings: &Settings) -> Result<RunIdentity> {
    let value = serde_json::to_value(settings)
        .map_err(|e| Error::Screen { problem: format!("the settings cannot be written: {e}"), hint: None })?;
    Ok(RunIdentity::new(&value))
}

/// The input of a command that has just one.
fn only_input(settings: &Settings) -> Result<&Path> {
    settings.inputs.first().map(PathBuf::as_path).ok_or_else(|| Error::setting("input", "names no file"))
}

fn rejected_table(rejected: &[RejectedRow]) -> Table {
    Table::new("rejected")
        .integer("row", rejected.iter().map(|(row, _, _)| i64::try_from(*row).ok()))
        .code("reason", rejected.iter().map(|(_, reason, _)| Some(*reason)))
        .text("detail", rejected.iter().map(|(_, _, detail)| Some(detail.as_str())))
}

/// A table that begins with the columns that name its rows' groups.
fn keyed(name: &str, columns: &[String], groups: &[&Vec<String>]) -> Table {
    columns.iter().enumerate().fold(Table::new(name), |table, (k, column)| {
        table.text(column, groups.iter().map(|group| group.get(k).map(String::as_str)))
    })
}

/// Rows by group, each group's rows sorted by dose and value: sums then do not depend on the order of the file.
fn by_group(table: &LongTable) -> Vec<Vec<usize>> {
    let mut groups = vec![Vec::new(); table.groups.len()];
    for (i, row) in table.rows.iter().enumerate() {
        if let Some(group) = groups.get_mut(row.group as usize) {
            group.push(i);
        }
    }
    groups.par_iter_mut().for_each(|rows| {
        rows.sort_by(|&a, &b| {
            let key = |i: usize| {
                let row = &table.rows[i];
                [row.doses[0], row.doses[1], row.doses[2], row.response]
            };
            key(a)
                .iter()
                .zip(key(b))
                .map(|(x, y)| x.total_cmp(&y))
                .find(|o| o.is_ne())
                .unwrap_or(std::cmp::Ordering::Equal)
        });
    });
    groups
}

/// Scores the matrices of a plain table: `synergy`, `surfaces`, `interactions` (of models that have some) and `rejected`
/// in the folder `settings.out`.
///
/// # Errors
/// Those of reading, of the back end, and of writing.
pub fn synergy(settings: &Settings, mapping: &LongMapping) -> Result<PlainOutcome> {
    files::prepare(&settings.out)?;
    let chosen = choose(settings.backend)?;
    let backend = chosen.backend.as_ref();
    let table = read_long(only_input(settings)?, mapping)?;
    // Each matrix is a block of its own: margins are those of its own rows.
    let mut screen = Screen::default();
    let (first, second) = (screen.drugs.intern("drug_a"), screen.drugs.intern("drug_b"));
    let mut matrices: Vec<DoseMatrix> = Vec::with_capacity(table.groups.len());
    let mut names: Vec<&Vec<String>> = Vec::with_capacity(table.groups.len());
    for (group, rows) in table.groups.iter().zip(by_group(&table)) {
        let observations: Vec<Observation> = rows
            .iter()
            .map(|&i| {
                let row = &table.rows[i];
                Observation { dose_a: row.doses[0], dose_b: row.doses[1], response: row.response, weight: 1.0 }
            })
            .collect();
        let block = Some(screen.blocks.intern(&group.join("/")));
        let key = MatrixKey { block, line: 0, drug_a: first, drug_b: second, schedule: None };
        matrices.push(matrix_from_cells(key, &observations)?);
        names.push(group);
    }
    let fit = fit_settings(settings);
    let mut scores = score_matrices(&matrices, &settings.synergy, settings.margins, &fit, backend)?;
    if !settings.dose_limits.is_empty() {
        add_box_scores(&mut scores, |drug| settings.dose_limit(screen.drugs.name(drug)));
    }
    let resampling = Resampling { draws: settings.bootstrap, seed: settings.seed };
    add_intervals(&mut scores, &matrices, &screen, &settings.synergy, settings.margins, &fit, resampling, backend)?;

    let identity = identity(settings)?;
    let mut outcome = PlainOutcome {
        rows_in: table.rows_in,
        rows_used: table.rows.len(),
        units: matrices.len(),
        failed: scores.iter().filter(|m| m.scores.iter().any(|s| s.score.is_none())).count(),
        backend: format!("{} ({}; {})", backend.name(), backend.device(), chosen.reason),
        ..PlainOutcome::default()
    };
    // Of an earlier run that was asked for more. What cannot be removed cannot be replaced either: writing will say so.
    for name in OPTIONAL.iter().flat_map(|table| [format!("{table}.parquet"), format!("{table}.csv")]) {
        let _ = std::fs::remove_file(settings.out.join(name));
    }
    for SynergyTable { table, rows } in tables(&scores, &matrices, settings, &screen) {
        let groups = names.iter().zip(&rows).flat_map(|(name, rows)| std::iter::repeat_n(*name, *rows));
        let groups: Vec<&Vec<String>> = groups.collect();
        let mut result = keyed(&table.name, &mapping.group, &groups);
        let own = ["block", "cell_line", "drug_a", "drug_b", "schedule"];
        result.columns.extend(table.columns.into_iter().filter(|c| !own.contains(&c.name.as_str())));
        outcome.files.push(files::write(&result, &settings.out, &identity, settings.csv)?);
    }
    outcome.files.push(files::write(&rejected_table(&table.rejected), &settings.out, &identity, settings.csv)?);
    outcome.count_rejected(&table.rejected);
    Ok(outcome)
}
