//! The table `triple_interactions`: what the surface of three drugs says of how they act together, one row a parameter.

use super::TripleMatrixScore;
use super::musyc::{Estimate, TripleMusyc};
use crate::model::musyc_three::{DRUGS, EFFECTS, LN_ALPHA, LN_ALPHA_OF_PAIR, NONLINEAR, PARAMETERS, STATES};
use crate::report::table::Table;
use crate::synergy::interaction_table::{Row, told, with_rows};
use std::f64::consts::LN_10;

/// How the table names a parameter, and what it is divided by there.
fn shown(name: &str) -> (String, f64) {
    name.strip_prefix("ln_").map_or_else(|| (name.to_owned(), 1.0), |rest| (format!("log10_{rest}"), LN_10))
}

/// Rows of one matrix: parameters, and `beta_abc`, the share by which all three do more than the best pair.
fn rows(musyc: &Result<TripleMusyc, &'static str>) -> Vec<Row> {
    let names = EFFECTS.iter().chain(&PARAMETERS).map(|parameter| shown(parameter.name));
    let musyc = match musyc {
        Ok(musyc) => musyc,
        Err(reason) => {
            let empty = |(parameter, _)| Row { parameter, reason: Some(reason), ..Row::default() };
            return names.chain([("beta_abc".to_owned(), 1.0)]).map(empty).collect();
        }
    };
    let estimated = |parameter: String, unit: f64, estimate: Estimate| Row {
        parameter,
        value: Some(estimate.0 / unit),
        standard_error: estimate.1.ok().map(|error| error / unit),
        interval: musyc.interval_and_p(estimate).map_or([None; 2], |(ends, _)| ends.map(|end| Some(end / unit))),
        reason: estimate.1.err(),
        ..Row::default()
    };
    let values = musyc.fit.effects.iter().chain(&musyc.fit.nonlinear);
    let mut rows: Vec<Row> = Vec::new();
    for (p, ((name, unit), value)) in names.zip(values).enumerate() {
        let estimate = (*value, musyc.standard_errors[p]);
        let row = estimated(name, unit, estimate);
        let number = p.saturating_sub(STATES);
        rows.push(match (p >= STATES + LN_ALPHA, &musyc.profiles) {
            (false, _) => row,
            (true, _) if number >= LN_ALPHA_OF_PAIR && musyc.held[number - LN_ALPHA_OF_PAIR] => {
                Row { value: None, reason: Some("held_at_1"), ..row }
            }
            (true, Err(reason)) => {
                Row { value: None, standard_error: None, interval: [None; 2], reason: Some(reason), ..row }
            }
            (true, Ok(profiles)) => {
                let profile = profiles.iter().find(|profile| profile.parameter == number);
                told(Row { interval: [None; 2], reason: None, ..row }, profile, |x| x / unit)
            }
        });
    }
    debug_assert_eq!(rows.len(), STATES + NONLINEAR);
    rows.push(match musyc.beta {
        Some(beta) => estimated("beta_abc".into(), 1.0, beta),
        None => Row { parameter: "beta_abc".into(), reason: Some("no_effect_of_pairs"), ..Row::default() },
    });
    rows
}

/// How many rows a matrix has: none where the surface was not asked for.
pub fn rows_of(score: &TripleMatrixScore) -> usize {
    if score.musyc.is_some() { STATES + NONLINEAR + 1 } else { 0 }
}

/// Adds the columns to a table whose rows, as many a matrix as [`rows_of`] says, name the matrices. Effects `e_…` are
/// viabilities with these drugs bound. `alpha_a_on_b` is the fold change of the potency of drug b by drug a (a decimal
/// logarithm above 0: synergy), `alpha_ab_on_c` that of drug c by the two together beyond the product of what each does;
/// where the data do not tell it and 1 is among what they allow, it is held at 1 (`held_at_1`). A fold change that the data
/// tell on one side alone is null with at least or at most so much (`one_sided`), or null (`not_identified`). Intervals of
/// fold changes are by profile likelihood, others by Student's t.
pub fn triple_interactions_table(table: Table, scores: &[TripleMatrixScore]) -> Table {
    let asked = || scores.iter().filter_map(|score| score.musyc.as_ref());
    let all: Vec<(&Result<TripleMusyc, &'static str>, Row)> =
        asked().flat_map(|musyc| rows(musyc).into_iter().map(move |row| (musyc, row))).collect();
    let fit = |musyc: &Result<TripleMusyc, &'static str>| musyc.as_ref().ok().map(|musyc| musyc.fit);
    let table = table
        .code("model", all.iter().map(|_| Some("musyc")))
        .code("status", all.iter().map(|(musyc, _)| Some(fit(musyc).map_or("failed", |fit| fit.status.name()))))
        .code(
            "fit_reason",
            all.iter().map(|(musyc, _)| match musyc {
                Ok(musyc) => musyc.fit.status.reason(),
                Err(reason) => Some(*reason),
            }),
        )
        .integer("n_points", all.iter().map(|(musyc, _)| musyc.as_ref().ok().map(|musyc| musyc.points as i64)))
        .number("sse", all.iter().map(|(musyc, _)| fit(musyc).map(|fit| fit.sse)));
    with_rows(table, all.iter().map(|(_, row)| row))
}

const _: () = assert!(DRUGS == 3, "names of parameters are those of three drugs");
