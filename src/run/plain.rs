//! `isobole fit` and `isobole synergy`: plain tables of curves or dose matrices, without plates.

use crate::analysis::{curve_set, fit_settings};
use crate::backend::choose::choose;
use crate::config::Settings;
use crate::fit::inference::calibration::{Calibration, Design};
use crate::fit::inference::{append_columns, infer};
use crate::ingest::{LongMapping, LongTable, read_long};
use crate::report::files;
use crate::report::run_json::RunIdentity;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::dose_matrix::{Curve, CurveKey, CurvePoint, DoseMatrix, MatrixKey, Observation, matrix_from_cells};
use crate::synergy::bootstrap::{Resampling, add_intervals};
use crate::synergy::score::score_matrices;
use crate::synergy::table::{surfaces_table, synergy_table};
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};

/// What came of a plain table.
#[derive(Debug, Clone, Default)]
pub struct PlainOutcome {
    /// Rows of the input.
    pub rows_in: usize,
    /// Rows used.
    pub rows_used: usize,
    /// Rows left out, with the reason.
    pub rejected: Vec<(u64, &'static str, String)>,
    /// Curves or matrices.
    pub units: usize,
    /// Those without a usable result.
    pub failed: usize,
    /// The back end, and why.
    pub backend: String,
    /// Files written.
    pub files: Vec<PathBuf>,
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

fn rejected_table(rejected: &[(u64, &'static str, String)]) -> Table {
    Table::new("rejected")
        .integer("row", rejected.iter().map(|(row, _, _)| i64::try_from(*row).ok()))
        .text("reason", rejected.iter().map(|(_, reason, _)| Some(*reason)))
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

fn collapse(table: &LongTable, rows: &[usize]) -> Vec<CurvePoint> {
    rows.chunk_by(|&a, &b| table.rows[a].doses[0] == table.rows[b].doses[0])
        .map(|same| {
            let n = same.len() as f64;
            let response = same.iter().map(|&i| table.rows[i].response).sum::<f64>() / n;
            let squares = same.iter().map(|&i| (table.rows[i].response - response).powi(2));
            CurvePoint {
                dose: table.rows[same[0]].doses[0],
                response,
                weight: n,
                n: same.len() as u32,
                sum_of_squares: squares.sum(),
            }
        })
        .collect()
}

/// Fits the curves of a plain table and writes them to `settings.out`, a Parquet file; rows left out go to
/// `<out>.rejected.parquet` beside it, where there are any.
///
/// # Errors
/// Those of reading, of the back end, and of writing.
pub fn fit(settings: &Settings, mapping: &LongMapping) -> Result<PlainOutcome> {
    let parent = settings.out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::prepare(parent)?;
    let same = |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if same(only_input(settings)?, &settings.out) {
        return Err(Error::setting("out", format!("`{}` is the input", settings.out.display())));
    }
    let chosen = choose(settings.backend)?;
    let table = read_long(only_input(settings)?, mapping)?;
    let groups = by_group(&table);
    let key = CurveKey { line: 0, drug: 0, schedule: None };
    let curves: Vec<Curve> = groups.par_iter().map(|rows| Curve { key, points: collapse(&table, rows) }).collect();
    let fits = chosen.backend.fit(&fit_settings(settings), &curve_set(curves.iter().map(|c| c.points.as_slice())))?;
    let mut inferences: Vec<_> =
        curves.par_iter().zip(&fits).map(|(curve, fit)| infer(curve, fit, settings.model)).collect();
    let mut calibration = Calibration::new(fit_settings(settings));
    calibration.prepare(curves.iter().filter_map(Design::of), chosen.backend.as_ref())?;
    calibration.calibrate(&mut inferences, &curves);
    let names: Vec<&Vec<String>> = table.groups.iter().collect();
    let result = append_columns(keyed("fits", &mapping.group, &names), &fits, &inferences, settings.model);
    let identity = identity(settings)?;
    files::write_parquet(&result, &settings.out, &identity)?;
    let mut outcome = PlainOutcome {
        rows_in: table.rows_in,
        rows_used: table.rows.len(),
        units: curves.len(),
        failed: fits.iter().filter(|f| !f.status.is_fitted()).count(),
        backend: format!("{} ({}; {})", chosen.backend.name(), chosen.backend.device(), chosen.reason),
        files: vec![settings.out.clone()],
        rejected: table.rejected,
    };
    let path = settings.out.with_extension("rejected.parquet");
    if outcome.rejected.is_empty() {
        // One of an earlier run would speak of rows that are not rejected any more.
        let _ = std::fs::remove_file(&path);
    } else {
        files::write_parquet(&rejected_table(&outcome.rejected), &path, &identity)?;
        outcome.files.push(path);
    }
    Ok(outcome)
}

/// Scores the matrices of a plain table: `synergy`, `surfaces` and `rejected` in the folder `settings.out`.
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
    let resampling = Resampling { draws: settings.bootstrap, seed: settings.seed };
    add_intervals(&mut scores, &matrices, &screen, &settings.synergy, settings.margins, &fit, resampling, backend)?;

    let cells: Vec<&Vec<String>> =
        names.iter().zip(&scores).flat_map(|(name, score)| std::iter::repeat_n(*name, score.cells.len())).collect();
    let identity = identity(settings)?;
    let mut outcome = PlainOutcome {
        rows_in: table.rows_in,
        rows_used: table.rows.len(),
        units: matrices.len(),
        failed: scores.iter().filter(|m| m.scores.iter().any(|s| s.score.is_none())).count(),
        backend: format!("{} ({}; {})", backend.name(), backend.device(), chosen.reason),
        ..PlainOutcome::default()
    };
    for (computed, groups) in [
        (synergy_table(&scores, &settings.synergy, &screen), &names),
        (surfaces_table(&scores, &settings.synergy, &screen), &cells),
    ] {
        let mut result = keyed(&computed.name, &mapping.group, groups);
        let own = ["block", "cell_line", "drug_a", "drug_b", "schedule"];
        result.columns.extend(computed.columns.into_iter().filter(|c| !own.contains(&c.name.as_str())));
        outcome.files.push(files::write(&result, &settings.out, &identity, settings.csv)?);
    }
    outcome.files.push(files::write(&rejected_table(&table.rejected), &settings.out, &identity, settings.csv)?);
    outcome.rejected = table.rejected.clone();
    Ok(outcome)
}
