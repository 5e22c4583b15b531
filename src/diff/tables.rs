//! The difference as tables: `diff_pairs`, `diff_curves`, `diff_stages`, `diff_causes`.

use super::{Both, ChangedPair, Difference, PARTS};
use crate::Result;
use crate::report::files;
use crate::report::table::Table;
use std::path::{Path, PathBuf};

const SIDES: [&str; 2] = ["before", "after"];

/// One row a pair; doses molar, responses and scores viability fractions. Nulls are of pairs that one folder lacks, or are
/// null there.
fn pairs(pairs: &[ChangedPair]) -> Table {
    let mut table = Table::new("diff_pairs")
        .text("drug_a", pairs.iter().map(|p| Some(p.drug_a.as_str())))
        .text("drug_b", pairs.iter().map(|p| Some(p.drug_b.as_str())))
        .text("drug_c", pairs.iter().map(|p| Some(p.drug_c.as_str()).filter(|drug| !drug.is_empty())))
        .text("schedule", pairs.iter().map(|p| Some(p.schedule.as_str()).filter(|s| !s.is_empty())));
    for (side, word) in SIDES.into_iter().enumerate() {
        table = table.integer(&format!("rank_{word}"), pairs.iter().map(|p| p.rank[side].map(|rank| rank as i64)));
    }
    type Value = fn(&ChangedPair) -> Both<f64>;
    let numbers: [(&str, Value); 6] = [
        ("score", |p| p.score),
        ("ci_low", |p| p.ci_low),
        ("ci_high", |p| p.ci_high),
        ("q", |p| p.q),
        ("composite", |p| p.composite),
        ("composite_ci_low", |p| p.composite_low),
    ];
    for (name, value) in numbers {
        for (side, word) in SIDES.into_iter().enumerate() {
            table = table.number(&format!("{name}_{word}"), pairs.iter().map(|p| value(p)[side]));
        }
    }
    for (part, name) in PARTS.into_iter().enumerate() {
        for (side, word) in SIDES.into_iter().enumerate() {
            let name = format!("composite_{name}_{word}");
            table = table.number(&name, pairs.iter().map(|p| p.parts[part][side]));
        }
    }
    table = table
        .code("part_most_changed", pairs.iter().map(|p| p.part_most_changed().map(|part| PARTS[part])))
        .text("gates_changed", pairs.iter().map(|p| Some(p.gates.join("; "))))
        .code("significance", pairs.iter().map(|p| Some(p.significance)))
        .text("line_most_changed", pairs.iter().map(|p| p.line.as_deref()));
    for (side, word) in SIDES.into_iter().enumerate() {
        table = table.number(&format!("line_score_{word}"), pairs.iter().map(|p| p.line_score[side]));
    }
    let cell = || pairs.iter().map(|p| p.cell.as_ref());
    table = table
        .text("cell_block", cell().map(|c| c.map(|c| c.block.as_str()).filter(|block| !block.is_empty())))
        .text("cell_line", cell().map(|c| c.map(|c| c.cell_line.as_str())))
        .number("cell_dose_a_molar", cell().map(|c| c.map(|c| c.dose[0])))
        .number("cell_dose_b_molar", cell().map(|c| c.map(|c| c.dose[1])));
    for (side, word) in SIDES.into_iter().enumerate() {
        table = table
            .number(&format!("cell_observed_{word}"), cell().map(|c| c.and_then(|c| c.observed[side])))
            .number(&format!("cell_excess_{word}"), cell().map(|c| c.and_then(|c| c.excess[side])));
    }
    table
        .text("curves_flipped", pairs.iter().map(|p| Some(p.flipped.join("; "))))
        .text("why", pairs.iter().map(|p| Some(p.why.as_str())))
}

/// Writes the tables into `dir`, each with the identity of the later folder.
///
/// # Errors
/// [`crate::Error::File`] when writing fails.
pub fn write_tables(difference: &Difference, dir: &Path) -> Result<Vec<PathBuf>> {
    let Difference { causes, stages, curves, correlation, records, .. } = difference;
    let mut of_curves = Table::new("diff_curves")
        .text("cell_line", curves.iter().map(|c| Some(c.cell_line.as_str())))
        .text("drug", curves.iter().map(|c| Some(c.drug.as_str())))
        .text("schedule", curves.iter().map(|c| Some(c.schedule.as_str()).filter(|s| !s.is_empty())));
    for (side, word) in SIDES.into_iter().enumerate() {
        of_curves = of_curves
            .code(&format!("class_{word}"), curves.iter().map(|c| c.class[side].as_deref()))
            .number(&format!("log10_ic50_absolute_{word}"), curves.iter().map(|c| c.log10_ic50[side]));
    }
    let of_stages = Table::new("diff_stages")
        .code("stage", stages.iter().map(|s| Some(s.stage)))
        .code("unit", stages.iter().map(|s| Some(s.unit)))
        .integer("n", stages.iter().map(|s| Some(s.n as i64)))
        .integer("n_changed", stages.iter().map(|s| Some(s.changed as i64)))
        .code("of", stages.iter().map(|s| Some(s.of)))
        .number("largest_change", stages.iter().map(|s| s.largest))
        .number("spearman", stages.iter().map(|s| correlation.spearman.filter(|_| s.stage == "rank")))
        .number("kendall", stages.iter().map(|s| correlation.kendall.filter(|_| s.stage == "rank")));
    let of_causes = Table::new("diff_causes")
        .code("stage", causes.iter().map(|c| Some(c.stage.name())))
        .code("kind", causes.iter().map(|c| Some(c.kind)))
        .text("detail", causes.iter().map(|c| Some(c.detail.as_str())));
    let identity = records[1].identity();
    let tables = [pairs(&difference.pairs), of_curves, of_stages, of_causes];
    tables.iter().map(|table| files::write(table, dir, &identity, false)).collect()
}
