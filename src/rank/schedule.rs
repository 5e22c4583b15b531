//! Schedules of one combination against each other: pre-treatment is another experiment than giving both drugs at once,
//! so they are ranked apart and compared here, line by line.

use super::draft::Draft;
use super::meta_analysis::{Couple, pool_differences};
use super::screen_scale::scale;
use crate::math::special::benjamini_hochberg;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::names::NameId;

/// One combination in two schedules.
#[derive(Debug, Clone, PartialEq)]
pub struct ScheduleComparison {
    /// The drugs; the third only where there are three.
    pub drugs: (NameId, NameId, Option<NameId>),
    /// The first schedule by name; `None` where none is named.
    pub first: Option<NameId>,
    /// The second.
    pub second: Option<NameId>,
    /// Lines that had both.
    pub n_lines: usize,
    /// Mean score of the first less that of the second over those lines.
    pub difference: Option<f64>,
    /// 95 % interval.
    pub ci_low: Option<f64>,
    /// 95 % interval.
    pub ci_high: Option<f64>,
    /// Two-sided p of no difference.
    pub p: Option<f64>,
    /// Benjamini–Hochberg over all comparisons.
    pub q: Option<f64>,
    /// `first`, `second` where q is at most 0.05, else `not_told_apart`.
    pub better: &'static str,
    /// Why there is no difference: `no_common_line`, `no_standard_error`.
    pub reason: Option<&'static str>,
}

/// Every two schedules of each combination, in the order of `drafts`, which are sorted by name.
pub(super) fn compare(drafts: &[Draft]) -> Vec<ScheduleComparison> {
    let drugs = |draft: &Draft| (draft.pair.drug_a, draft.pair.drug_b, draft.pair.drug_c);
    let mut rows = Vec::new();
    let mut pooled = Vec::new();
    for group in drafts.chunk_by(|x, y| drugs(x) == drugs(y)) {
        for (i, first) in group.iter().enumerate() {
            for second in &group[i + 1..] {
                let couple = |(group, line): (usize, &super::differential::LineScore)| {
                    let other = second.lines.iter().find(|other| other.line == line.line)?;
                    Some(Couple { own: line.estimate, reference: other.estimate, group })
                };
                let couples: Vec<Couple> = first.lines.iter().enumerate().filter_map(couple).collect();
                let difference = pool_differences(&couples);
                pooled.push(difference);
                rows.push(ScheduleComparison {
                    drugs: drugs(first),
                    first: first.pair.schedule,
                    second: second.pair.schedule,
                    n_lines: couples.len(),
                    difference: difference.map(|d| d.mean),
                    ci_low: None,
                    ci_high: None,
                    p: None,
                    q: None,
                    better: "not_told_apart",
                    reason: match difference {
                        None => Some("no_common_line"),
                        Some(d) if d.standard_error.is_none() => Some("no_standard_error"),
                        Some(_) => None,
                    },
                });
            }
        }
    }
    let factor = scale(pooled.iter().filter_map(|d| super::significance::normal_statistic((*d)?.p()?)));
    let scaled: Vec<_> = pooled.into_iter().map(|d| d.map(|d| d.scaled(factor))).collect();
    let p: Vec<Option<f64>> = scaled.iter().map(|d| (*d)?.p()).collect();
    for (i, (row, q)) in rows.iter_mut().zip(benjamini_hochberg(&p)).enumerate() {
        let interval = scaled[i].and_then(|d| d.interval());
        (row.ci_low, row.ci_high) = (interval.map(|i| i.0), interval.map(|i| i.1));
        (row.p, row.q) = (p[i], q);
        if q.is_some_and(|q| q <= super::DISCOVERY_Q) {
            row.better = if row.difference > Some(0.0) { "first" } else { "second" };
        }
    }
    rows
}

/// The `schedules` table.
pub fn table(rows: &[ScheduleComparison], screen: &Screen) -> Table {
    let all = || rows.iter();
    let schedule = |id: Option<NameId>| id.map(|id| screen.schedules.name(id));
    Table::new("schedules")
        .text("drug_a", all().map(|r| Some(screen.drugs.name(r.drugs.0))))
        .text("drug_b", all().map(|r| Some(screen.drugs.name(r.drugs.1))))
        .text("drug_c", all().map(|r| r.drugs.2.map(|drug| screen.drugs.name(drug))))
        .text("schedule_first", all().map(|r| schedule(r.first)))
        .text("schedule_second", all().map(|r| schedule(r.second)))
        .integer("n_lines", all().map(|r| Some(r.n_lines as i64)))
        .number("difference", all().map(|r| r.difference))
        .number("ci_low", all().map(|r| r.ci_low))
        .number("ci_high", all().map(|r| r.ci_high))
        .number("p", all().map(|r| r.p))
        .number("q", all().map(|r| r.q))
        .text("better", all().map(|r| Some(r.better)))
        .text("reason", all().map(|r| r.reason))
}
