//! The tables `triples` (a row a matrix) and `triple_surfaces` (a row a combination of all three drugs).

use super::reference::Reference;
use super::{TripleMatrixScore, TripleScore};
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::triple_matrix::TripleKey;
use crate::screen::triple_matrix::TripleMatrix;

/// A number out of a score.
type Value = fn(&TripleScore) -> Option<f64>;

/// A table whose rows name matrices of three drugs.
pub fn keyed<'a>(name: &str, screen: &Screen, keys: impl Iterator<Item = &'a TripleKey> + Clone) -> Table {
    let line = |key: &TripleKey| Some(key.line).filter(|id| !screen.lines.name(*id).is_empty());
    let mut table = Table::new(name).named("block", &screen.blocks, keys.clone().map(|key| key.block)).named(
        "cell_line",
        &screen.lines,
        keys.clone().map(line),
    );
    for (k, column) in ["drug_a", "drug_b", "drug_c"].into_iter().enumerate() {
        table = table.named(column, &screen.drugs, keys.clone().map(|key| Some(key.drugs[k])));
    }
    table.named("schedule", &screen.schedules, keys.map(|key| key.schedule))
}

/// Adds the columns of `triples` to a table whose rows name the matrices. Scores are viability fractions, positive for
/// synergy; doses molar. `best_pair` compares with the best of the three pairs at the same doses, `pairs` with all that the
/// pairs do, `musyc` (where asked for) the fitted surface with itself without interaction of the third order.
pub fn triples_table(mut table: Table, scores: &[TripleMatrixScore]) -> Table {
    table = table
        .integer("n_cells", scores.iter().map(|score| Some(score.n_cells as i64)))
        .integer("n_wells", scores.iter().map(|score| Some(score.n_wells as i64)))
        .number("efficacy", scores.iter().map(|score| score.efficacy))
        .number("sigma", scores.iter().map(|score| score.sigma))
        .number("qc_burden", scores.iter().map(|score| score.qc_burden));
    let columns: [(&str, Value); 12] = [
        ("score", |s| s.score),
        ("top_decile", |s| s.top_decile),
        ("peak", |s| s.peak),
        ("peak_efficacy", |s| s.peak_efficacy),
        ("peak_dose_a_molar", |s| s.peak_dose.map(|dose| dose[0])),
        ("peak_dose_b_molar", |s| s.peak_dose.map(|dose| dose[1])),
        ("peak_dose_c_molar", |s| s.peak_dose.map(|dose| dose[2])),
        ("se", |s| s.standard_error),
        ("p", |s| s.p),
        ("q", |s| s.q),
        ("ci_low", |s| s.interval.map(|ends| ends[0])),
        ("ci_high", |s| s.interval.map(|ends| ends[1])),
    ];
    type Of = Box<dyn Fn(&TripleMatrixScore) -> &TripleScore>;
    let mut kinds: Vec<(&str, Of)> = Vec::new();
    for reference in Reference::ALL {
        kinds.push((reference.name(), Box::new(move |score| score.of(reference))));
    }
    if has_musyc(scores) {
        kinds.push(("musyc", Box::new(|score| &score.musyc_score)));
    }
    for (kind, of) in kinds {
        for (name, value) in columns {
            table = table.number(&format!("{name}_{kind}"), scores.iter().map(|score| value(of(score))));
        }
        table = table.code(&format!("reason_{kind}"), scores.iter().map(|score| of(score).reason));
    }
    table.text("flags", scores.iter().map(|score| Some(score.flags.clone())))
}

/// Whether the surface of three drugs was asked for.
fn has_musyc(scores: &[TripleMatrixScore]) -> bool {
    scores.iter().any(|score| score.musyc.is_some())
}

/// Adds the columns of `triple_surfaces` to a table whose rows, one a combination of all three drugs, name the matrices. Excess is
/// expected less observed; of `musyc`, which is a surface of its own, less `fitted_musyc`.
pub fn triple_surfaces_table(mut table: Table, matrices: &[TripleMatrix], scores: &[TripleMatrixScore]) -> Table {
    let cells = || matrices.iter().flat_map(|matrix| matrix.combinations().map(|(_, cell)| cell));
    for (k, name) in ["dose_a_molar", "dose_b_molar", "dose_c_molar"].into_iter().enumerate() {
        table = table.number(name, cells().map(|cell| Some(cell.dose[k])));
    }
    table = table
        .number("observed", cells().map(|cell| Some(cell.response)))
        .integer("n_wells", cells().map(|cell| Some(i64::from(cell.n))));
    let mut missing: Vec<Vec<&str>> = vec![Vec::new(); cells().count()];
    for reference in Reference::ALL {
        let expected = || scores.iter().flat_map(|score| &score.expected[reference as usize]).copied();
        let excess = expected().zip(cells()).map(|(expected, cell)| Some(expected? - cell.response));
        table = table
            .number(&format!("expected_{}", reference.name()), expected())
            .number(&format!("excess_{}", reference.name()), excess);
        for (missing, expected) in missing.iter_mut().zip(expected()) {
            if expected.is_none() {
                missing.push(reference.name());
            }
        }
    }
    if has_musyc(scores) {
        let mut found: Vec<Option<(f64, f64)>> = Vec::new();
        for score in scores {
            match &score.musyc {
                Some(Ok(musyc)) => found.extend(musyc.cells.iter().map(|cell| Some(*cell))),
                _ => found.extend(std::iter::repeat_n(None, score.n_cells)),
            }
        }
        let excess = found.iter().map(|cell| cell.map(|(expected, fitted)| expected - fitted));
        table = table
            .number("expected_musyc", found.iter().map(|cell| cell.map(|(expected, _)| expected)))
            .number("fitted_musyc", found.iter().map(|cell| cell.map(|(_, fitted)| fitted)))
            .number("excess_musyc", excess);
        let without = missing.iter_mut().zip(&found).filter(|(_, cell)| cell.is_none());
        without.for_each(|(missing, _)| missing.push("musyc"));
    }
    let flag = |names: &Vec<&str>| names.iter().map(|name| format!("no_{name}")).collect::<Vec<_>>().join(";");
    table.text("flags", missing.iter().map(|names| Some(flag(names))))
}
