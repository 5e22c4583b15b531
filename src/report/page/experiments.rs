//! What the screen says of experiments: one way of giving a combination against another, and what to test next.

use super::{Cell, Lookup, NAME, interval_in_points, wording};
use crate::rank::confirmation::{COMPARISON, Confirmation, DOSES};
use crate::rank::schedule::ScheduleComparison;
use crate::report::quantity;
use crate::screen::names::NameId;
use serde::Serialize;

const ROWS: usize = 40;

/// A combination in two schedules.
#[derive(Debug, Serialize)]
pub(super) struct TwoSchedules {
    combination: String,
    first: String,
    second: String,
    lines: Cell,
    difference: Cell,
    interval: String,
    q: Cell,
    better: String,
    notes: String,
}

/// Schedules against each other, the surest first; and how many are left out.
pub(super) fn schedules(lookup: &Lookup<'_>) -> (Vec<TwoSchedules>, usize) {
    let mut rows: Vec<&ScheduleComparison> = lookup.page.schedules.iter().collect();
    // As in the table where they are as sure.
    rows.sort_by(|x, y| x.q.unwrap_or(f64::INFINITY).total_cmp(&y.q.unwrap_or(f64::INFINITY)));
    let name = |schedule: Option<NameId>| {
        schedule.map_or("not named".into(), |id| quantity::clip(lookup.page.screen.schedules.name(id), NAME))
    };
    let row = |row: &&ScheduleComparison| {
        let (a, b, third) = row.drugs;
        let (first, second) = (name(row.first), name(row.second));
        TwoSchedules {
            combination: lookup.drugs_name([a, b], third, None),
            lines: Cell::new(Some(row.n_lines as f64), |_| row.n_lines.to_string()),
            difference: Cell::new(row.difference, |v| quantity::points(v, 1)),
            interval: interval_in_points(row.ci_low, row.ci_high, 1),
            q: Cell::new(row.q, quantity::p_value),
            better: match row.better {
                "first" => first.clone(),
                "second" => second.clone(),
                _ if row.difference.is_none() => "not compared".into(),
                other => wording::explain(other),
            },
            notes: row.reason.map(wording::explain).unwrap_or_default(),
            first,
            second,
        }
    };
    (rows.iter().take(ROWS).map(row).collect(), rows.len().saturating_sub(ROWS))
}

/// A matrix to be measured.
#[derive(Debug, Serialize)]
pub(super) struct NextMatrix {
    rank: usize,
    pair: String,
    line: String,
    /// The lines that are measured beside it.
    beside: String,
    drugs: [String; 2],
    doses: [String; 2],
    replicates: Cell,
    wells: Cell,
    expected: Cell,
    error: String,
    power: Cell,
    notes: String,
}

/// The confirmation matrices, in the order of the ranking; and how many are left out.
pub(super) fn confirmations(lookup: &Lookup<'_>) -> (Vec<NextMatrix>, usize) {
    // A line and those that are measured for comparison with it follow each other.
    let rows = lookup.page.confirmations;
    let matrices: Vec<&[Confirmation]> = rows.chunk_by(|_, next| next.reason == Some(COMPARISON)).collect();
    let matrix = |rows: &&[Confirmation]| {
        let row = rows.first()?;
        let others: Vec<String> = rows.iter().skip(1).map(|other| lookup.line(other.line)).collect();
        let wells = rows.len() * row.n_replicates as usize * ((DOSES + 1) * (DOSES + 1) - 1);
        let sure = |power: f64| if power > 0.99 { "> 99".into() } else { quantity::percent(power) };
        let error = |_| format!("± {}", quantity::number(100.0 * row.standard_error, 1));
        Some(NextMatrix {
            rank: row.rank,
            pair: lookup.drugs_name(row.drugs, None, row.schedule),
            line: lookup.line(row.line),
            beside: if others.is_empty() {
                String::new()
            } else {
                format!("and {}, for comparison", others.join(", "))
            },
            drugs: row.drugs.map(|drug| super::shown(lookup.page.screen.drugs.name(drug))),
            doses: [0, 1].map(|k| series(&row.doses[k])),
            replicates: Cell::new(Some(f64::from(row.n_replicates)), |_| row.n_replicates.to_string()),
            wells: Cell::new(Some(wells as f64), |_| quantity::count(wells)),
            expected: Cell::new(row.expected_excess, |v| quantity::points(v, 1)),
            error: row.expected_excess.map(error).unwrap_or_default(),
            power: Cell::new(row.power, sure),
            notes: row.reason.map(wording::explain).unwrap_or_default(),
        })
    };
    (matrices.iter().take(ROWS).filter_map(matrix).collect(), matrices.len().saturating_sub(ROWS))
}

/// `25 nM to 400 nM, each 2× the one before`.
fn series(doses: &[f64]) -> String {
    match doses {
        [first, second, .., last] => {
            let step = quantity::fold(second / first);
            format!("{} to {}, each {step} the one before", quantity::dose(*first), quantity::dose(*last))
        }
        _ => doses.iter().map(|dose| quantity::dose(*dose)).collect::<Vec<_>>().join(", "),
    }
}
