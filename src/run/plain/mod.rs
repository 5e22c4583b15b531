//! `isobole fit` and `isobole synergy`: plain tables of curves or dose matrices, without plates.

mod fit;
mod gathered;
mod output;
mod rejected;
pub mod single_agents;
mod synergy;
mod triples;

use crate::config::Settings;
use crate::ingest::curves::RejectedRow;
use crate::report::run_json::RunIdentity;
use crate::report::table::Table;
use crate::{Error, Result};
pub use fit::fit;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
pub use synergy::synergy;

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

fn settings_value(settings: &Settings) -> Result<serde_json::Value> {
    serde_json::to_value(settings)
        .map_err(|e| Error::Screen { problem: format!("the settings cannot be written: {e}"), hint: None })
}

fn identity(settings: &Settings) -> Result<RunIdentity> {
    Ok(RunIdentity::new(&settings_value(settings)?))
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
