//! One pair of a result folder as text: its place, its scores by line, its dose matrices.

use super::files;
use super::table::Table;
use crate::config::choice::nearest;
use crate::{Error, Result};
use std::fmt::Write;
use std::path::Path;

/// Dose matrices shown; all of them are in the table `surfaces`.
const MATRICES: usize = 6;

/// The pair `A + B` (in either order, whatever the case), of one line or of all; `model` is the one whose excess is shown,
/// where it is not the one that ranks.
///
/// # Errors
/// Where the folder's tables cannot be read; [`Error::Setting`] for a pair, line or model that it does not have.
pub fn pair_text(dir: &Path, pair: &str, line: Option<&str>, model: Option<&str>) -> Result<String> {
    let record = crate::archive::manifest::record(dir)?;
    let table = |name: &str| files::read(&dir.join(format!("{name}.parquet")));
    let (pairs, synergy, surfaces) = (table("pairs")?, table("synergy")?, table("surfaces")?);
    let Some((a, b)) = pair.split_once(" + ") else {
        return Err(Error::Setting {
            key: "pair".into(),
            problem: format!("`{pair}` names no two drugs"),
            hint: Some("write --pair \"clofarabine + venetoclax\"".into()),
        });
    };
    let wanted = [a.trim(), b.trim()];
    let is_pair = |table: &Table, row: usize| {
        let drugs = ["drug_a", "drug_b"].map(|column| text(table, column, row));
        let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
        text(table, "drug_c", row).is_empty()
            && ((same(drugs[0], wanted[0]) && same(drugs[1], wanted[1]))
                || (same(drugs[0], wanted[1]) && same(drugs[1], wanted[0])))
    };
    let model = match model {
        Some(model) => model.to_owned(),
        None => record.score_model(),
    };
    if synergy.column(&format!("score_{model}")).is_none() {
        let known: Vec<&str> =
            surfaces.columns.iter().filter_map(|column| column.name.strip_prefix("excess_")).collect();
        return Err(Error::Setting {
            key: "model".into(),
            problem: format!("the folder has no scores of `{model}`, but of `{}`", known.join("`, `")),
            hint: nearest(&model, known.iter().copied()).map(|near| format!("did you mean `{near}`?")),
        });
    }
    let rows: Vec<usize> = (0..synergy.rows())
        .filter(|row| is_pair(&synergy, *row))
        .filter(|row| line.is_none_or(|line| text(&synergy, "cell_line", *row).eq_ignore_ascii_case(line)))
        .collect();
    if rows.is_empty() {
        return Err(nothing(&synergy, &is_pair, pair, line));
    }
    let mut out = String::new();
    for row in (0..pairs.rows()).filter(|row| is_pair(&pairs, *row)) {
        ranked(&pairs, row, &mut out);
    }
    let _ = writeln!(
        out,
        "\n{:28} {:>8} {:>18} {:>9} {:>8} {:>9} {:>7}  flags",
        format!("line ({model})"),
        "score",
        "95 % interval",
        "q",
        "peak",
        "efficacy",
        "cells"
    );
    for row in &rows {
        let of = |name: &str| number(&synergy, &format!("{name}_{model}"), *row);
        let block = text(&synergy, "block", *row);
        let name = text(&synergy, "cell_line", *row);
        let name = if block.is_empty() { name.to_owned() } else { format!("{name} ({block})") };
        let interval = match of("ci_low").zip(of("ci_high")) {
            Some((low, high)) => format!("{low:+.3} to {high:+.3}"),
            None => "-".into(),
        };
        let _ = writeln!(
            out,
            "{:28} {:>8} {interval:>18} {:>9} {:>8} {:>9} {:>7}  {}",
            super::quantity::clip(&name, 28),
            signed(of("score")),
            of("q").map_or("-".to_owned(), |q| format!("{q:.1e}")),
            signed(of("peak")),
            number(&synergy, "efficacy", *row).map_or("-".to_owned(), |e| format!("{e:.3}")),
            number(&synergy, "n_cells", *row).unwrap_or_default(),
            text(&synergy, "flags", *row)
        );
    }
    for row in rows.iter().take(MATRICES) {
        matrix(&surfaces, &synergy, *row, &model, &mut out);
    }
    if rows.len() > MATRICES {
        let _ = writeln!(out, "\nand {} more matrices: --line LINE shows one", rows.len() - MATRICES);
    }
    Ok(out)
}

fn text<'t>(table: &'t Table, column: &str, row: usize) -> &'t str {
    table.column(column).and_then(|values| values.text(row)).unwrap_or_default()
}

fn number(table: &Table, column: &str, row: usize) -> Option<f64> {
    table.column(column).and_then(|values| values.number(row))
}

fn signed(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:+.3}"))
}

fn ranked(pairs: &Table, row: usize, out: &mut String) {
    let (a, b, schedule) = (text(pairs, "drug_a", row), text(pairs, "drug_b", row), text(pairs, "schedule", row));
    // What a pair means needs no words.
    let usual = schedule.is_empty() || schedule.eq_ignore_ascii_case("simultaneous");
    let schedule = if usual { String::new() } else { format!(" ({schedule})") };
    let rank = number(pairs, "rank", row).unwrap_or_default();
    let of = pairs.rows();
    let _ = writeln!(out, "{a} + {b}{schedule}: rank {rank} of {of}");
    let value = |name: &str| number(pairs, name, row);
    let interval = match value("ci_low").zip(value("ci_high")) {
        Some((low, high)) => format!(" ({low:+.3} to {high:+.3})"),
        None => String::new(),
    };
    let _ = writeln!(
        out,
        "  score {}{interval}, q {}, in parental lines {}, {}",
        signed(value("score")),
        value("q").map_or("-".to_owned(), |q| format!("{q:.1e}")),
        signed(value("score_parental")),
        text(pairs, "selectivity", row).replace('_', " ")
    );
    for column in ["rationale", "evidence", "flags"] {
        let said = text(pairs, column, row);
        if !said.is_empty() {
            let _ = writeln!(out, "  {column}: {said}");
        }
    }
}

/// The excess of one matrix, in points, over its doses.
fn matrix(surfaces: &Table, synergy: &Table, of: usize, model: &str, out: &mut String) {
    let key = ["block", "cell_line", "drug_a", "drug_b", "schedule"];
    let is_own = |row: &usize| key.iter().all(|column| text(surfaces, column, *row) == text(synergy, column, of));
    let own: Vec<usize> = (0..surfaces.rows()).filter(is_own).collect();
    let doses = |column: &str| {
        let mut doses: Vec<f64> = own.iter().filter_map(|row| number(surfaces, column, *row)).collect();
        doses.sort_by(f64::total_cmp);
        doses.dedup();
        doses
    };
    let (a, b) = (doses("dose_a_molar"), doses("dose_b_molar"));
    let (drug_a, drug_b) = (text(synergy, "drug_a", of), text(synergy, "drug_b", of));
    let line = text(synergy, "cell_line", of);
    let _ = writeln!(out, "\n{line}: viability % (excess over {model}, points)\n{drug_b} down, {drug_a} across");
    let dose = super::quantity::dose;
    let _ = writeln!(out, "{:>10} {}", "", a.iter().map(|x| format!("{:>11}", dose(*x))).collect::<String>());
    for y in b.iter().rev() {
        let _ = write!(out, "{:>10} ", dose(*y));
        for x in &a {
            let at = |row: &&usize| {
                number(surfaces, "dose_a_molar", **row) == Some(*x)
                    && number(surfaces, "dose_b_molar", **row) == Some(*y)
            };
            let cell = own.iter().find(at).map_or(String::new(), |row| {
                let observed = number(surfaces, "observed", *row).map_or("-".into(), |v| format!("{:.0}", 100.0 * v));
                let excess = number(surfaces, &format!("excess_{model}"), *row);
                match excess {
                    Some(excess) => format!("{observed} ({:+.0})", 100.0 * excess),
                    None => observed,
                }
            });
            let _ = write!(out, "{cell:>11}");
        }
        out.push('\n');
    }
}

/// That there is no such pair, and which one may be meant.
fn nothing(synergy: &Table, is_pair: &dyn Fn(&Table, usize) -> bool, pair: &str, line: Option<&str>) -> Error {
    let lines: Vec<&str> =
        (0..synergy.rows()).filter(|row| is_pair(synergy, *row)).map(|row| text(synergy, "cell_line", row)).collect();
    if let (Some(line), false) = (line, lines.is_empty()) {
        return Error::Setting {
            key: "line".into(),
            problem: format!("`{pair}` was not measured in `{line}`, but in `{}`", lines.join("`, `")),
            hint: nearest(line, lines.iter().copied()).map(|near| format!("did you mean `{near}`?")),
        };
    }
    let names: Vec<String> = (0..synergy.rows())
        .map(|row| format!("{} + {}", text(synergy, "drug_a", row), text(synergy, "drug_b", row)))
        .collect();
    Error::Setting {
        key: "pair".into(),
        problem: format!("the folder has no pair `{pair}`"),
        hint: nearest(pair, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?")),
    }
}
