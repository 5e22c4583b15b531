//! Tables of another back end, or of an older layout: the same numbers within what is certified between back ends.
//!
//! Fits within 0.01 standard errors ([`crate::bench::agreement::CLOSE`]), on 99 of 100 curves at least, as some curves have
//! several minima that are as deep; wells have none. Where a number has no standard error nothing says how far it may be off, and
//! columns without such a measure are named as not checked. Rows are told apart by what they are of, never by their place: scores that are all but
//! equal may change places in a ranking.

use super::bytes::value;
use super::{Verdict, Verification};
use crate::report::table::{Table, Values};
use std::collections::HashMap;

/// Share of rows that another back end may give another minimum for.
const OTHER_MINIMUM: f64 = 0.01;
/// Viabilities of wells on two back ends.
const WELLS: f64 = 3e-6;
/// What says what a row is of, where a table has it.
const NAMES: [&str; 11] =
    ["plate_id", "well", "role", "block", "cell_line", "drug", "drug_a", "drug_b", "drug_c", "schedule", "replicate"];
/// The same in numbers.
const DOSES: [&str; 5] = ["conc_a", "conc_b", "conc_c", "dose_a_molar", "dose_b_molar"];

/// Row by what it is of, in words; rows that cannot be told apart are numbered in their order.
fn keys(table: &Table, other: &Table) -> Vec<String> {
    let both = |names: &'static [&'static str]| {
        names.iter().filter(|name| other.column(name).is_some()).filter_map(|name| table.column(name))
    };
    let (texts, doses): (Vec<&Values>, Vec<&Values>) = (both(&NAMES).collect(), both(&DOSES).collect());
    let mut seen: HashMap<String, usize> = HashMap::with_capacity(table.rows());
    let key = |row: usize| {
        let names = texts.iter().filter_map(|values| values.text(row)).map(str::to_owned);
        let doses = doses.iter().map(|values| value(values, row));
        let mut key = names.chain(doses).collect::<Vec<_>>().join(", ");
        let n = seen.entry(key.clone()).and_modify(|n| *n += 1).or_insert(1);
        if *n > 1 {
            key += &format!(" ({n})");
        }
        key
    };
    (0..table.rows()).map(key).collect()
}

/// The columns of a table that another back end must give alike, each with how far a row may be off.
fn tolerances(table: &Table) -> Vec<(String, Vec<Option<f64>>)> {
    let numbers = |name: &str| match table.column(name) {
        Some(Values::Number(numbers)) => Some(numbers.as_slice()),
        _ => None,
    };
    let errors = |name: &str, share: f64, floor: f64| -> Option<Vec<Option<f64>>> {
        Some(numbers(name)?.iter().map(|se| se.map(|se| share * se + floor)).collect())
    };
    let mut all = Vec::new();
    for column in &table.columns {
        let name = column.name.as_str();
        let allowed = match (table.name.as_str(), name) {
            ("wells", "response") => numbers(name).map(|all| vec![Some(WELLS); all.len()]),
            ("curves", _) if !name.starts_with("se_") => {
                errors(&format!("se_{name}"), crate::bench::agreement::CLOSE, 1e-9)
            }
            // A mean excess rests on fits that may each be off by that.
            ("synergy", _) if name.starts_with("score_") && !name.ends_with("_unflagged") => {
                errors(&name.replacen("score_", "se_", 1), 0.05, 1e-4)
            }
            ("pairs", "score") => match (numbers("ci_low"), numbers("ci_high")) {
                (Some(low), Some(high)) => {
                    let width = |(low, high): (&Option<f64>, &Option<f64>)| Some(0.05 * ((*high)? - (*low)?) + 1e-4);
                    Some(low.iter().zip(high).map(width).collect())
                }
                _ => None,
            },
            _ => None,
        };
        all.extend(allowed.map(|allowed| (name.to_owned(), allowed)));
    }
    all
}

/// The columns that a comparison of the two needs: what is compared, and what tells how far it may be off.
pub(super) fn needed(before: &Table, now: &Table) -> Vec<String> {
    let compared = tolerances(before).into_iter().chain(tolerances(now)).map(|(name, _)| name);
    let is_measure =
        |name: &&String| name.starts_with("se_") || name.as_str() == "ci_low" || name.as_str() == "ci_high";
    let names = before.columns.iter().chain(&now.columns).map(|column| &column.name);
    let mut needed: Vec<String> = compared.collect();
    if !needed.is_empty() {
        needed.extend(names.filter(is_measure).cloned());
    }
    needed
}

/// Compares a table of an archive with the one that comes out now; gives the columns of both that have no tolerance, `None`
/// where none has any. Columns that one of the two lacks are looked at elsewhere.
pub(super) fn within_tolerance<'a>(
    before: &Table,
    now: &'a Table,
    same_backend: bool,
    found: &mut Verification,
) -> Option<Vec<&'a str>> {
    let what = format!("table `{}`", now.name);
    let columns = tolerances(before);
    if columns.is_empty() {
        return None;
    }
    let (old_keys, new_keys) = (keys(before, now), keys(now, before));
    let place: HashMap<&str, usize> = new_keys.iter().enumerate().map(|(row, key)| (key.as_str(), row)).collect();
    let pairs: Vec<(usize, usize)> =
        (0..before.rows()).filter_map(|row| place.get(old_keys[row].as_str()).map(|now| (row, *now))).collect();
    if pairs.len() < before.rows().max(now.rows()) {
        let old: std::collections::HashSet<&str> = old_keys.iter().map(String::as_str).collect();
        let gone = old_keys.iter().find(|key| !place.contains_key(key.as_str()));
        let new = new_keys.iter().find(|key| !old.contains(key.as_str()));
        let first = match (gone, new) {
            (Some(gone), _) => format!("{gone} is in the archive alone"),
            (None, Some(new)) => format!("{new} comes out now alone"),
            (None, None) => "none can be named".into(),
        };
        let (n, m) = (before.rows(), now.rows());
        let detail = format!("has {n} rows, and {m} come out now; {} are of the same: {first}", pairs.len());
        found.add(what.clone(), Verdict::Differs, detail);
    }
    let of_now: HashMap<String, Vec<Option<f64>>> = tolerances(now).into_iter().collect();
    let measured = |name: &str| columns.iter().any(|(column, _)| column == name) || name.starts_with("se_");
    let is_name = |name: &str| NAMES.contains(&name) || DOSES.contains(&name);
    let is_left = |name: &&str| !measured(name) && !is_name(name) && before.column(name).is_some();
    let rest: Vec<&str> = now.columns.iter().map(|c| c.name.as_str()).filter(is_left).collect();
    for (column, allowed) in &columns {
        let (Some(old), Some(new)) = (before.column(column), now.column(column)) else { continue };
        let (mut n, mut apart, mut first) = (0usize, 0usize, None);
        for (row, row_now) in &pairs {
            // The smaller of both: an error that was written too large would let anything pass.
            let now_allowed = of_now.get(column).and_then(|all| all[*row_now]);
            let is_apart = match (old.number(*row), new.number(*row_now)) {
                (None, None) => continue,
                (Some(number), Some(now)) => {
                    let Some(allowed) = allowed[*row].zip(now_allowed).map(|(old, now)| old.min(now)) else { continue };
                    (number - now).abs() > allowed
                }
                _ => true,
            };
            n += 1;
            if is_apart {
                apart += 1;
                first.get_or_insert((*row, *row_now));
            }
        }
        // Of ten rows to a hundred one may be.
        let other_minima = if n < 10 || now.name == "wells" { 0.0 } else { (OTHER_MINIMUM * n as f64).max(1.0) };
        if n == 0 {
            let why = format!("column `{column}`: no row has a standard error to compare by");
            found.add(what.clone(), Verdict::NotChecked, why);
            continue;
        }
        let agrees = apart as f64 <= if same_backend { 0.0 } else { other_minima };
        let detail = match first {
            None => format!("column `{column}`: all of {n} agree"),
            Some((row, row_now)) => format!(
                "column `{column}`: {apart} of {n} are apart, the first {}: {} and {}",
                old_keys[row],
                value(old, row),
                value(new, row_now)
            ),
        };
        found.add(what.clone(), if agrees { Verdict::Agrees } else { Verdict::Differs }, detail);
    }
    Some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(rows: &[(&str, f64)]) -> Table {
        Table::new("pairs")
            .text("drug_a", rows.iter().map(|_| Some("clofarabine")))
            .text("drug_b", rows.iter().map(|row| Some(row.0)))
            .number("score", rows.iter().map(|row| Some(row.1)))
            .number("ci_low", rows.iter().map(|row| Some(row.1 - 0.01)))
            .number("ci_high", rows.iter().map(|row| Some(row.1 + 0.01)))
    }

    fn differs(before: &Table, now: &Table, same_backend: bool) -> Vec<String> {
        let mut found = Verification::default();
        assert!(within_tolerance(before, now, same_backend, &mut found).is_some());
        found.checked.into_iter().filter(|one| one.verdict == Verdict::Differs).map(|one| one.detail).collect()
    }

    #[test]
    fn rows_are_compared_with_those_of_the_same_pair() {
        let before = pairs(&[("venetoclax", 0.200), ("cytarabine", 0.1999), ("venetoclax", 0.5)]);
        let turned = pairs(&[("cytarabine", 0.1999), ("venetoclax", 0.2003), ("venetoclax", 0.5)]);
        assert_eq!(differs(&before, &turned, false), [""; 0]);
        let moved = pairs(&[("cytarabine", 0.1999), ("venetoclax", 0.21), ("venetoclax", 0.5)]);
        assert_eq!(
            differs(&before, &moved, false),
            ["column `score`: 1 of 3 are apart, the first clofarabine, venetoclax: 0.2 and 0.21"]
        );
        let fewer = pairs(&[("venetoclax", 0.2), ("venetoclax", 0.5), ("idarubicin", 0.1)]);
        let said = differs(&before, &fewer, false);
        assert_eq!(
            said,
            ["has 3 rows, and 3 come out now; 2 are of the same: clofarabine, cytarabine is in the archive alone"]
        );
    }

    #[test]
    fn what_has_no_error_is_not_said_to_agree() {
        let without = |mut table: Table| {
            table.columns.retain(|column| column.name != "ci_low" && column.name != "ci_high");
            let none = || vec![None; 1].into_iter();
            table.number("ci_low", none()).number("ci_high", none()).number("q", [Some(0.1)])
        };
        let (before, now) = (without(pairs(&[("venetoclax", 0.2)])), without(pairs(&[("venetoclax", 0.9)])));
        let mut found = Verification::default();
        assert_eq!(within_tolerance(&before, &now, false, &mut found), Some(vec!["ci_low", "ci_high", "q"]));
        assert_eq!(found.checked.iter().map(|one| one.verdict).collect::<Vec<_>>(), [Verdict::NotChecked]);
        // An interval that was written too wide lets nothing pass, and a number that was not there is another one.
        let mut wide = pairs(&[("venetoclax", 0.2)]);
        for column in wide.columns.iter_mut().filter(|column| column.name == "ci_high") {
            column.values = Values::Number(vec![Some(100.0)]);
        }
        assert_eq!(differs(&wide, &pairs(&[("venetoclax", 0.3)]), false).len(), 1);
        let mut none = pairs(&[("venetoclax", 0.2)]);
        for column in none.columns.iter_mut().filter(|column| column.name == "score") {
            column.values = Values::Number(vec![None]);
        }
        assert_eq!(differs(&none, &pairs(&[("venetoclax", 0.2)]), false).len(), 1);
    }

    #[test]
    fn another_minimum_is_allowed_of_another_back_end_alone() {
        let names: Vec<String> = (0..100).map(|i| format!("drug {i}")).collect();
        let of = |moved: usize| {
            let score = |i: usize| 0.1 + if i < moved { 0.1 } else { 0.0 };
            pairs(&names.iter().enumerate().map(|(i, name)| (name.as_str(), score(i))).collect::<Vec<_>>())
        };
        assert!(differs(&of(0), &of(1), false).is_empty() && differs(&of(0), &of(2), false).len() == 1);
        assert_eq!(differs(&of(0), &of(1), true).len(), 1);
        let none = Table::new("plates").text("plate_id", [Some("1")]);
        assert_eq!(within_tolerance(&none, &none, true, &mut Verification::default()), None);
    }
}
