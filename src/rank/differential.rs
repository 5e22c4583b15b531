//! Differential synergy: what a pair does in each resistant line more than in the line it is compared with.

use super::DISCOVERY_Q;
use super::draft::Draft;
use super::meta_analysis::{Couple, Estimate, NORMAL_975, Pooled, pool};
use super::screen_scale::scale;
use super::significance::normal_statistic;
use crate::math::special::benjamini_hochberg;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::names::NameId;

/// The score of one line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct LineScore {
    pub line: NameId,
    pub estimate: Estimate,
}

/// One pair in one resistant line.
#[derive(Debug, Clone, PartialEq)]
pub struct Differential {
    /// The first drug.
    pub drug_a: NameId,
    /// The second drug.
    pub drug_b: NameId,
    /// The third drug, where there is one.
    pub drug_c: Option<NameId>,
    /// The schedule, where the screen names any.
    pub schedule: Option<NameId>,
    /// The resistant line.
    pub line: NameId,
    /// The line that it is compared with; `None` for the mean of the parental and sensitive lines.
    pub parental: Option<NameId>,
    /// `parent`, `panel` (of parental and sensitive lines), or `none`.
    pub reference: &'static str,
    /// Score in the resistant line.
    pub score: f64,
    /// q of that.
    pub score_q: Option<f64>,
    /// Score of what it is compared with.
    pub score_parental: Option<f64>,
    /// q of that.
    pub score_parental_q: Option<f64>,
    /// Resistant minus reference.
    pub differential: Option<f64>,
    /// 95 % interval, from the resampled matrices of both.
    pub ci_low: Option<f64>,
    /// 95 % interval.
    pub ci_high: Option<f64>,
    /// Two-sided p of no difference.
    pub p: Option<f64>,
    /// Benjamini–Hochberg over all rows.
    pub q: Option<f64>,
    /// The differential drawn towards the mean over the pair's lines by its noise.
    pub shrunken: Option<f64>,
    /// 95 % interval of that.
    pub shrunken_ci_low: Option<f64>,
    /// 95 % interval of that.
    pub shrunken_ci_high: Option<f64>,
    /// `resistant_selective`, `shared`, `parental_only` or `none`.
    pub class: &'static str,
    /// Why something is missing: `no_parental_matrix`, `no_standard_error`.
    pub reason: Option<&'static str>,
}

/// What each line is compared with: the score of its parent, else the mean of all references. Couples with one reference
/// share its number.
pub(super) fn couples(lines: &[LineScore], references: &[LineScore], screen: &Screen) -> Vec<Couple> {
    let couple = |line: &LineScore| {
        let (_, reference, group) = reference(line, references, screen)?;
        Some(Couple { own: line.estimate, reference, group })
    };
    lines.iter().filter_map(couple).collect()
}

fn reference(line: &LineScore, references: &[LineScore], screen: &Screen) -> Option<(Option<NameId>, Estimate, usize)> {
    let parent = screen.annotation(line.line).parental.filter(|parent| *parent != line.line);
    if let Some(at) = parent.and_then(|parent| references.iter().position(|r| r.line == parent)) {
        return Some((parent, references[at].estimate, at));
    }
    let pooled = pool(&references.iter().map(|r| r.estimate).collect::<Vec<_>>())?;
    Some((None, Estimate::of_line(pooled), references.len()))
}

/// A row for each resistant line of each pair, in the order of `drafts` and of the lines' names.
pub(super) fn differentials(drafts: &[Draft], screen: &Screen) -> Vec<Differential> {
    // Of the line, of its reference, of their difference.
    let mut estimates: Vec<[Option<Estimate>; 3]> = Vec::new();
    let mut rows = Vec::new();
    let mut pooled: Vec<Option<Pooled>> = Vec::new();
    for draft in drafts {
        for line in &draft.lines {
            let found = reference(line, &draft.references, screen);
            let difference =
                found.map(|(_, reference, group)| Couple { own: line.estimate, reference, group }.difference());
            let parental = found.map(|(_, reference, _)| reference);
            estimates.push([Some(line.estimate), parental, difference]);
            pooled.push(draft.differential);
            rows.push(Differential {
                drug_a: draft.pair.drug_a,
                drug_b: draft.pair.drug_b,
                drug_c: draft.pair.drug_c,
                schedule: draft.pair.schedule,
                line: line.line,
                parental: found.and_then(|(parent, ..)| parent),
                reference: match found {
                    Some((Some(_), ..)) => "parent",
                    Some((None, ..)) => "panel",
                    None => "none",
                },
                score: line.estimate.value,
                score_q: None,
                score_parental: parental.map(|parental| parental.value),
                score_parental_q: None,
                differential: difference.map(|difference| difference.value),
                ci_low: None,
                ci_high: None,
                p: None,
                q: None,
                shrunken: None,
                shrunken_ci_low: None,
                shrunken_ci_high: None,
                class: "none",
                reason: match difference {
                    None => Some("no_parental_matrix"),
                    Some(difference) if difference.p(1.0).is_none() => Some("no_standard_error"),
                    Some(_) => None,
                },
            });
        }
    }
    let mut q = [const { Vec::new() }; 3];
    let mut scales = [1.0; 3];
    for k in 0..3 {
        scales[k] = scale(estimates.iter().filter_map(|of| normal_statistic(of[k]?.p(1.0)?)));
        let p: Vec<Option<f64>> = estimates.iter().map(|of| of[k]?.p(scales[k])).collect();
        q[k] = benjamini_hochberg(&p);
        if k == 2 {
            rows.iter_mut().zip(p).for_each(|(row, p)| row.p = p);
        }
    }
    for (i, row) in rows.iter_mut().enumerate() {
        (row.score_q, row.score_parental_q, row.q) = (q[0][i], q[1][i], q[2][i]);
        let scores = [Some(row.score), row.score_parental, row.differential];
        row.class = class(scores, [row.score_q, row.score_parental_q, row.q]);
        let Some(difference) = estimates[i][2].filter(|difference| difference.p(1.0).is_some()) else { continue };
        let (value, width) = (difference.value, difference.half_width().map(|width| scales[2] * width));
        (row.ci_low, row.ci_high) = (width.map(|width| value - width), width.map(|width| value + width));
        // As a normal error that is as wide.
        let error = width.map(|width| width / NORMAL_975);
        if let Some((value, error)) = pooled[i].zip(error).and_then(|(p, error)| p.shrunken(value, error)) {
            let width = NORMAL_975 * error;
            row.shrunken = Some(value);
            (row.shrunken_ci_low, row.shrunken_ci_high) = (Some(value - width), Some(value + width));
        }
    }
    rows
}

/// The class of a pair from its scores (in resistant lines, in reference lines, their difference) and their q.
pub(super) fn class(scores: [Option<f64>; 3], q: [Option<f64>; 3]) -> &'static str {
    let [own, parental, more] =
        std::array::from_fn(|i| scores[i].is_some_and(|score| score > 0.0) && q[i].is_some_and(|q| q < DISCOVERY_Q));
    if scores[0].is_none() || scores[1].is_none() {
        "none"
    } else if own {
        // Where parents have some of it too, most of it must be beyond theirs.
        let is_most = scores[2] > scores[1];
        if more && (!parental || is_most) { "resistant_selective" } else { "shared" }
    } else if parental {
        "parental_only"
    } else {
        "none"
    }
}

/// A number of a row.
type Value = fn(&Differential) -> Option<f64>;

/// The `differential` table, in the order of `rows`.
pub fn table(rows: &[Differential], screen: &Screen) -> Table {
    let all = || rows.iter();
    let numbers: [(&str, Value); 12] = [
        ("score", |d| Some(d.score)),
        ("score_q", |d| d.score_q),
        ("score_parental", |d| d.score_parental),
        ("score_parental_q", |d| d.score_parental_q),
        ("differential", |d| d.differential),
        ("ci_low", |d| d.ci_low),
        ("ci_high", |d| d.ci_high),
        ("p", |d| d.p),
        ("q", |d| d.q),
        ("shrunken", |d| d.shrunken),
        ("shrunken_ci_low", |d| d.shrunken_ci_low),
        ("shrunken_ci_high", |d| d.shrunken_ci_high),
    ];
    let mut table = Table::new("differential")
        .text("drug_a", all().map(|d| Some(screen.drugs.name(d.drug_a))))
        .text("drug_b", all().map(|d| Some(screen.drugs.name(d.drug_b))))
        .text("drug_c", all().map(|d| d.drug_c.map(|drug| screen.drugs.name(drug))))
        .text("schedule", all().map(|d| d.schedule.map(|s| screen.schedules.name(s))))
        .text("cell_line", all().map(|d| Some(screen.lines.name(d.line))))
        .text("parental", all().map(|d| d.parental.map(|line| screen.lines.name(line))))
        .text("reference", all().map(|d| Some(d.reference)));
    for (name, value) in numbers {
        table = table.number(name, all().map(value));
    }
    table.text("class", all().map(|d| Some(d.class))).text("reason", all().map(|d| d.reason))
}
