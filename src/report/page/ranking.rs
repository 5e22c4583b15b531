//! The ranking: the headline, the picture and the table.

use super::{Cell, Lookup, SENTENCE, interval_in_points, wording};
use crate::rank::RankedPair;
use crate::report::picture::interval;
use crate::report::quantity;
use minijinja::Value;
use serde::Serialize;

const ROWS: usize = 200;
const DRAWN: usize = 25;
/// False-discovery rate below which the page says that a pair works.
pub(super) const CALLED_Q: f64 = 0.05;

/// One row of the table.
#[derive(Debug, Serialize)]
struct Row {
    rank: usize,
    pair: String,
    anchor: String,
    places: String,
    composite: Cell,
    composite_interval: String,
    score: Cell,
    interval: String,
    q: Cell,
    parental: Cell,
    differential: Cell,
    differential_q: String,
    selectivity: String,
    efficacy: Cell,
    dose_reduction: Cell,
    p_top: Cell,
    burden: Cell,
    flags: String,
    rationale: String,
}

/// Table, picture and what was left out of them.
#[derive(Debug, Serialize)]
pub(super) struct Ranking {
    rows: Vec<Row>,
    total: String,
    left_out: usize,
    drawn: usize,
    top: String,
    by: String,
    picture: Value,
}

/// What the pairs are in the order of, to follow "ranked by".
fn ranked_by(settings: &serde_json::Value) -> String {
    let weight = |name: &str| settings.get("rank_weights")?.get(name)?.as_f64();
    match settings.get("rank_by").and_then(|by| by.as_str()) {
        Some("composite") | None => {
            let parts = [
                ("synergy", "synergy"),
                ("selectivity", "selectivity"),
                ("rescue", "rescue"),
                ("efficacy", "efficacy"),
                ("qc_burden", "doubtful wells"),
            ];
            let weighed: Vec<String> =
                parts.iter().filter_map(|(key, words)| Some(format!("{words} × {}", weight(key)?))).collect();
            let weighed = if weighed.is_empty() { String::new() } else { format!(" ({})", weighed.join(", ")) };
            format!("the lower end of the interval of the composite{weighed}")
        }
        Some("score") => "the lower end of the interval of the excess".into(),
        Some(other) => format!("the lower end of the interval of {}", wording::explain(other)),
    }
}

/// Where on the page a pair is drawn.
pub(super) fn anchor(pair: &RankedPair) -> String {
    let third = pair.drug_c.map(|third| format!("-{third}")).unwrap_or_default();
    format!("pair-{}-{}{third}-{}", pair.drug_a, pair.drug_b, pair.schedule.map_or("all".into(), |s| s.to_string()))
}

pub(super) fn table(lookup: &Lookup<'_>) -> Ranking {
    let pairs = lookup.page.pairs;
    let drawn = &pairs[..pairs.len().min(DRAWN)];
    let row = |(i, pair): (usize, &RankedPair)| Row {
        rank: pair.rank,
        pair: lookup.pair_name(pair),
        anchor: if i < lookup.page.pairs_drawn { anchor(pair) } else { String::new() },
        places: match pair.rank_low.zip(pair.rank_high) {
            Some((low, high)) if low < high => format!("{low} to {high}"),
            Some((low, _)) => format!("{low}"),
            None => String::new(),
        },
        composite: Cell::new(pair.composite, |v| quantity::points(v, 1)),
        composite_interval: interval_in_points(pair.composite_ci_low, pair.composite_ci_high, 1),
        score: Cell::new(pair.score, |v| quantity::points(v, 1)),
        interval: interval_in_points(pair.ci_low, pair.ci_high, 1),
        q: Cell::new(pair.q, quantity::p_value),
        parental: Cell::new(pair.score_parental, |v| quantity::points(v, 1)),
        differential: Cell::new(pair.differential, |v| quantity::points(v, 1)),
        differential_q: pair.differential_q.map(|q| format!("q {}", quantity::p_value(q))).unwrap_or_default(),
        selectivity: wording::selectivity(pair.selectivity),
        efficacy: Cell::new(pair.efficacy, quantity::percent),
        dose_reduction: Cell::new(pair.dose_reduction_index, quantity::fold),
        p_top: Cell::new(pair.p_top_k, quantity::percent),
        burden: Cell::new(Some(pair.qc_burden), quantity::percent),
        flags: wording::explain_all(&pair.flags),
        rationale: quantity::clip(&pair.rationale, SENTENCE),
    };
    Ranking {
        rows: pairs.iter().take(ROWS).enumerate().map(row).collect(),
        total: quantity::counted(pairs.len(), "pair", "pairs"),
        left_out: pairs.len().saturating_sub(ROWS),
        drawn: drawn.len(),
        top: lookup
            .page
            .run
            .settings
            .get("top_k")
            .and_then(|k| k.as_u64())
            .map(|k| format!(" {k}"))
            .unwrap_or_default(),
        by: ranked_by(&lookup.page.run.settings),
        picture: Value::from_safe_string(interval::ranking(drawn, lookup.page.screen).inline()),
    }
}

/// What the ranking says, in two or three sentences; no claim that its numbers do not carry.
pub(super) fn headline(lookup: &Lookup<'_>) -> Vec<String> {
    let pairs = lookup.page.pairs;
    let Some(best) = pairs.first() else {
        return vec!["No drug pair could be ranked: the screen has no dose matrix that could be scored.".into()];
    };
    let reference = wording::reference(lookup.page.score_model);
    let is_called = |p: &&RankedPair| p.score.is_some_and(|s| s > 0.0) && p.q.is_some_and(|q| q <= CALLED_Q);
    let called: Vec<&RankedPair> = pairs.iter().filter(is_called).collect();
    let lines = if best.n_resistant > 0 { "the resistant lines" } else { "the lines tested (none is resistant)" };
    let name = lookup.pair_name(best);
    let mut sentences = Vec::new();
    match best.score.filter(|s| s.is_finite()) {
        Some(score) => {
            let verb = if score >= 0.0 { "more" } else { "fewer" };
            let interval = interval_in_points(best.ci_low, best.ci_high, 0);
            let interval = if interval.is_empty() { "no interval".into() } else { format!("95 % interval {interval}") };
            let size = quantity::number(score.abs() * 100.0, 0);
            sentences.push(format!(
                "{name} ranks first of {}: in {lines} it kills {size} percentage points {verb} cells than {reference} expects ({interval}).",
                quantity::counted(pairs.len(), "pair", "pairs")
            ));
            // Only an interval that lies wholly on one side of zero shows anything.
            if best.ci_high.is_some_and(|high| high < 0.0) {
                sentences.push("Even the first pair is antagonistic.".into());
            } else if best.ci_low.is_none_or(|low| low <= 0.0) {
                sentences.push("That is not told apart from no synergy by these data.".into());
            }
        }
        None => sentences.push(format!("{name} ranks first, but has no score: see its flags.")),
    }
    sentences.push(match called.len() {
        0 => "No pair is synergistic at a false-discovery rate of 5 %.".into(),
        n => format!(
            "{} synergistic at a false-discovery rate of 5 %, {} of them more so in resistant than in parental lines.",
            if n == 1 { "1 pair is".into() } else { format!("{} pairs are", quantity::count(n)) },
            quantity::count(called.iter().filter(|p| p.selectivity == "resistant_selective").count())
        ),
    });
    sentences
}
