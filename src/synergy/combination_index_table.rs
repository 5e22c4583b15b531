//! The tables `combination_index` (a row a combination), `median_effect` (a row a line) and `isobologram` (a row a point).

use super::MatrixScore;
use super::combination_index::{CellIndex, CombinationIndices, Index, IsobolePoint, LineOf, MedianEffect};
use super::table::{SynergyTable, keyed};
use crate::screen::Screen;

/// A number out of a row.
type Value<T> = fn(&T) -> Index;

/// The three tables. Doses are molar; an index that there is none of is null, with its reason beside it.
pub fn tables(scores: &[MatrixScore], indices: &[CombinationIndices], screen: &Screen) -> Vec<SynergyTable> {
    let mut all = Vec::with_capacity(3);
    let keys = |rows: &dyn Fn(&CombinationIndices) -> usize| -> Vec<usize> { indices.iter().map(rows).collect() };

    let rows = keys(&|of| of.cells.len());
    let cells: Vec<&CellIndex> = indices.iter().flat_map(|of| &of.cells).collect();
    let mut table = keyed("combination_index", screen, repeated(scores, &rows))
        .number("dose_a_molar", cells.iter().map(|cell| Some(cell.dose[0])))
        .number("dose_b_molar", cells.iter().map(|cell| Some(cell.dose[1])))
        .number("fraction_affected", cells.iter().map(|cell| Some(cell.fraction_affected)));
    let columns: [(&str, Value<CellIndex>); 6] = [
        ("combination_index", |cell| cell.index),
        ("dose_reduction_index_a", |cell| cell.dose_reduction[0]),
        ("dose_reduction_index_b", |cell| cell.dose_reduction[1]),
        ("combination_index_fitted", |cell| cell.index_fitted),
        ("dose_reduction_index_a_fitted", |cell| cell.dose_reduction_fitted[0]),
        ("dose_reduction_index_b_fitted", |cell| cell.dose_reduction_fitted[1]),
    ];
    for (name, value) in columns {
        table = table
            .number(name, cells.iter().map(|cell| value(cell).ok()))
            .code(&format!("{name}_reason"), cells.iter().map(|cell| value(cell).err()));
    }
    all.push(SynergyTable { table, rows });

    let rows = keys(&|of| of.lines.len());
    let lines: Vec<&MedianEffect> = indices.iter().flat_map(|of| &of.lines).collect();
    let ratio = |line: &MedianEffect| match line.of {
        LineOf::Drug(_) => None,
        LineOf::Ratio(ratio) => Some(ratio),
    };
    let of = |line: &MedianEffect| match line.of {
        LineOf::Drug(0) => "drug_a",
        LineOf::Drug(_) => "drug_b",
        LineOf::Ratio(_) => "ratio",
    };
    let table = keyed("median_effect", screen, repeated(scores, &rows))
        .code("line", lines.iter().map(|line| Some(of(line))))
        .number("dose_b_per_dose_a", lines.iter().map(|line| ratio(line)))
        .number("median_effect_dose_molar", lines.iter().map(|line| line.line.map(|(dm, _)| dm)))
        .number("slope", lines.iter().map(|line| line.line.map(|(_, m)| m)))
        .number("r", lines.iter().map(|line| line.r))
        .integer("n_points", lines.iter().map(|line| Some(line.n as i64)))
        .integer("n_excluded", lines.iter().map(|line| Some(line.n_excluded as i64)))
        .code("reason", lines.iter().map(|line| line.reason));
    all.push(SynergyTable { table, rows });

    let rows = keys(&|of| of.isoboles.len());
    let points: Vec<&IsobolePoint> = indices.iter().flat_map(|of| &of.isoboles).collect();
    let table = keyed("isobologram", screen, repeated(scores, &rows))
        .number("fraction_affected", points.iter().map(|point| Some(point.level)))
        .number("dose_b_molar", points.iter().map(|point| Some(point.dose_b)))
        .number("dose_a_molar", points.iter().map(|point| point.dose_a.ok()))
        .code("dose_a_reason", points.iter().map(|point| point.dose_a.err()))
        .number("additive_dose_a_molar", points.iter().map(|point| point.additive_dose_a.ok()))
        .code("additive_dose_a_reason", points.iter().map(|point| point.additive_dose_a.err()));
    all.push(SynergyTable { table, rows });
    all
}

/// The key of each matrix once a row.
fn repeated<'a>(
    scores: &'a [MatrixScore],
    rows: &'a [usize],
) -> impl Iterator<Item = &'a crate::screen::dose_matrix::MatrixKey> + Clone {
    scores.iter().zip(rows).flat_map(|(score, rows)| std::iter::repeat_n(&score.key, *rows))
}
