//! The difference as a page.

use super::text::{name, scored};
use super::{ChangedPair, Difference};
use crate::report::files::write_whole;
use crate::report::quantity;
use crate::{Error, Result};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;
use std::path::{Path, PathBuf};

/// Rows of a table of the page; all of them are in the Parquet tables.
const ROWS: usize = 500;
/// Longest text shown.
const TEXT: usize = 400;

#[derive(Debug, Serialize)]
struct Row {
    rank_before: Option<usize>,
    rank_after: Option<usize>,
    pair: String,
    before: String,
    after: String,
    q_before: String,
    q_after: String,
    significance: String,
    why: String,
}

fn row(pair: &ChangedPair) -> Row {
    let q = |side: usize| pair.q[side].map_or_else(|| "–".to_owned(), quantity::p_value);
    Row {
        rank_before: pair.rank[0],
        rank_after: pair.rank[1],
        pair: quantity::clip(&name(pair), 120),
        before: scored(pair, 0),
        after: scored(pair, 1),
        q_before: q(0),
        q_after: q(1),
        significance: pair.significance.replace('_', " "),
        why: quantity::clip(&pair.why, TEXT),
    }
}

/// Writes `dir/diff.html`.
///
/// # Errors
/// [`Error::File`] when writing fails, [`Error::Screen`] when the page cannot be made.
pub fn write_page(difference: &Difference, dir: &Path) -> Result<PathBuf> {
    let Difference { folders, records, causes, stages, pairs, curves, correlation } = difference;
    let shown = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), |value| format!("{value:.4}"));
    let words =
        |curve: &super::ChangedCurve, side: usize| curve.class[side].as_deref().unwrap_or("absent").replace('_', "-");
    let context = context! {
        before => folders[0].display().to_string(),
        after => folders[1].display().to_string(),
        version_before => records[0].version.as_str(),
        version_after => records[1].version.as_str(),
        causes => causes.iter().map(|cause| context! {
            stage => cause.stage.name(), kind => cause.kind, detail => cause.detail.as_str(),
        }).collect::<Vec<Value>>(),
        stages => stages.iter().map(|stage| context! {
            stage => stage.stage,
            changed => format!("{} of {} {}", quantity::count(stage.changed), quantity::count(stage.n), stage.unit),
            largest => stage.largest.map_or_else(String::new, |largest| format!("{} by up to {largest:.3}", stage.of)),
        }).collect::<Vec<Value>>(),
        n => correlation.n,
        spearman => shown(correlation.spearman),
        kendall => shown(correlation.kendall),
        pairs => Value::from(Serde(pairs.iter().take(ROWS).map(row).collect::<Vec<Row>>())),
        pairs_left_out => pairs.len().saturating_sub(ROWS),
        curves => curves.iter().take(ROWS).map(|curve| context! {
            line => quantity::clip(&curve.cell_line, 120),
            drug => quantity::clip(&curve.drug, 120),
            before => words(curve, 0),
            after => words(curve, 1),
        }).collect::<Vec<Value>>(),
        curves_left_out => curves.len().saturating_sub(ROWS),
    };
    let failed = |e: minijinja::Error| Error::Screen { problem: format!("the page failed: {e:#}"), hint: None };
    let mut templates = Environment::new();
    templates.add_template("diff.html", include_str!("diff.html")).map_err(failed)?;
    let text = templates.get_template("diff.html").and_then(|t| t.render(context)).map_err(failed)?;
    let path = dir.join("diff.html");
    write_whole(&path, |out| out.write_all(text.as_bytes()))?;
    Ok(path)
}
