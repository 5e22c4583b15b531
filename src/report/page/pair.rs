//! The best pairs, one card each: what was found, single-drug curves, dose matrices.

use super::{Lookup, PICTURE_BYTES, SENTENCE, interval_in_points, ranking, wording};
use crate::fit::Fit;
use crate::rank::RankedPair;
use crate::report::colour;
use crate::report::picture::{curve, heat_map};
use crate::report::quantity;
use crate::screen::dose_matrix::{Curve, CurveKey};
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::synergy::MatrixScore;
use minijinja::Value;
use serde::Serialize;
use std::cmp::Ordering;
use std::collections::BTreeMap;

const MATRICES: usize = 3;

/// One dose matrix with its words.
#[derive(Debug, Serialize)]
struct Matrix {
    picture: Value,
    caption: String,
}

/// One pair.
#[derive(Debug, Serialize)]
pub(super) struct Card {
    anchor: String,
    rank: usize,
    pair: String,
    facts: Vec<String>,
    rationale: String,
    evidence: String,
    mechanism: String,
    flags: String,
    curves: Vec<Value>,
    matrices: Vec<Matrix>,
    matrices_left_out: usize,
}

/// Cards of the best pairs, and how many were asked for but would have made the page too large.
pub(super) fn cards(lookup: &Lookup<'_>) -> (Vec<Card>, usize) {
    let page = lookup.page;
    let curves: BTreeMap<CurveKey, (&Curve, &Fit)> =
        page.curves.iter().zip(page.fits).map(|(c, f)| (c.key, (c, f))).collect();
    let wanted = page.pairs.len().min(page.pairs_drawn);
    let mut matrices: BTreeMap<(NameId, NameId, Option<NameId>), Vec<&MatrixScore>> =
        page.pairs[..wanted].iter().map(|p| ((p.drug_a, p.drug_b, p.schedule), Vec::new())).collect();
    for matrix in page.matrices {
        let key = (matrix.key.drug_a, matrix.key.drug_b, matrix.key.schedule);
        if let Some(of_pair) = matrices.get_mut(&key) {
            of_pair.push(matrix);
        }
    }
    let (mut cards, mut bytes) = (Vec::new(), 0);
    for pair in &page.pairs[..wanted] {
        let key = (pair.drug_a, pair.drug_b, pair.schedule);
        let of_pair = matrices.get(&key).filter(|_| pair.drug_c.is_none()).map_or(&[][..], Vec::as_slice);
        let card = card(lookup, pair, of_pair, &curves);
        let pictures = card.curves.iter().chain(card.matrices.iter().map(|m| &m.picture));
        bytes += pictures.map(|p| p.as_str().map_or(0, str::len)).sum::<usize>();
        if bytes > PICTURE_BYTES {
            break;
        }
        cards.push(card);
    }
    let left_out = wanted - cards.len();
    (cards, left_out)
}

fn card(
    lookup: &Lookup<'_>,
    pair: &RankedPair,
    of_pair: &[&MatrixScore],
    curves: &BTreeMap<CurveKey, (&Curve, &Fit)>,
) -> Card {
    let page = lookup.page;
    let shown = choose(lookup, of_pair);
    let mut lines: Vec<NameId> = Vec::new();
    for matrix in &shown {
        if !lines.contains(&matrix.key.line) {
            lines.push(matrix.key.line);
        }
    }
    let draw_curves = |drug: NameId| {
        let of_line = |line: &NameId| {
            let key = |schedule| CurveKey { line: *line, drug, schedule };
            let (curve, fit) = curves.get(&key(pair.schedule)).or_else(|| curves.get(&key(None)))?;
            let resistance = lookup.resistance(*line, drug);
            Some(curve::CurveSeries {
                line: page.screen.lines.name(*line),
                status: lookup.status(*line),
                points: &curve.points,
                model: page.model,
                fit: Some(fit),
                log10_ic50: resistance.and_then(|r| r.log10_ic50),
                ic50_censored: resistance.map_or("none", |r| r.ic50_censored),
            })
        };
        let series: Vec<_> = lines.iter().filter_map(of_line).collect();
        let picture = curve::draw(page.screen.drugs.name(drug), &series);
        (!series.is_empty()).then(|| Value::from_safe_string(picture.inline()))
    };
    Card {
        anchor: ranking::anchor(pair),
        rank: pair.rank,
        pair: lookup.pair_name(pair),
        facts: facts(lookup, pair),
        rationale: quantity::clip(&pair.rationale, SENTENCE),
        evidence: quantity::clip(&pair.evidence, SENTENCE),
        mechanism: quantity::clip(&pair.mechanism.replace(';', "; "), SENTENCE),
        flags: wording::explain_all(&pair.flags),
        curves: [pair.drug_a, pair.drug_b].into_iter().chain(pair.drug_c).filter_map(draw_curves).collect(),
        matrices_left_out: of_pair.len() - shown.len(),
        matrices: shown.into_iter().map(|m| matrix(lookup, m)).collect(),
    }
}

/// The best resistant line, its parent, the next resistant line; the best of any line where none is resistant.
fn choose<'a>(lookup: &Lookup<'_>, of_pair: &[&'a MatrixScore]) -> Vec<&'a MatrixScore> {
    let score = |m: &MatrixScore| m.scores.get(lookup.model).and_then(|s| s.score).filter(|s| s.is_finite());
    let better = |a: &&MatrixScore, b: &&MatrixScore| match (score(a), score(b)) {
        (Some(x), Some(y)) => y.total_cmp(&x).then(a.key.cmp(&b.key)),
        (Some(_), None) => Ordering::Less,
        (None, Some(_)) => Ordering::Greater,
        (None, None) => a.key.cmp(&b.key),
    };
    let mut sorted = of_pair.to_vec();
    sorted.sort_by(better);
    let is_resistant = |m: &&&MatrixScore| lookup.status(m.key.line) == Some(LineStatus::Resistant);
    let mut order: Vec<&MatrixScore> = Vec::new();
    for resistant in sorted.iter().filter(is_resistant) {
        order.push(resistant);
        let parent = lookup.parent(resistant.key.line);
        order.extend(sorted.iter().find(|m| Some(m.key.line) == parent));
    }
    order.extend(&sorted);
    let mut shown: Vec<&MatrixScore> = Vec::new();
    for matrix in order {
        if shown.len() < MATRICES && !shown.iter().any(|m| m.key == matrix.key) {
            shown.push(matrix);
        }
    }
    shown
}

fn matrix(lookup: &Lookup<'_>, matrix: &MatrixScore) -> Matrix {
    let (page, key) = (lookup.page, matrix.key);
    let score = matrix.scores.get(lookup.model);
    let mut title = lookup.line(key.line);
    let status = lookup.status(key.line);
    if let Some(status) = status {
        title += &format!(" ({})", status.name());
    }
    if let Some(block) = key.block {
        title += &format!(", block {}", quantity::clip(page.screen.blocks.name(block), 20));
    }
    let picture = heat_map::draw(&heat_map::HeatMap {
        title: &title,
        title_class: colour::line_class(status),
        drug_a: page.screen.drugs.name(key.drug_a),
        drug_b: page.screen.drugs.name(key.drug_b),
        cells: &matrix.cells,
        model: lookup.model,
        reference: wording::reference(page.score_model),
        peak: score.and_then(|s| s.peak_dose_a.zip(s.peak_dose_b)),
    });
    let mut words = Vec::new();
    if let Some(score) = score {
        match score.score.filter(|s| s.is_finite()) {
            Some(mean) => {
                let interval = interval_in_points(score.ci_low, score.ci_high, 0);
                let interval = if interval.is_empty() { String::new() } else { format!(" ({interval})") };
                words.push(format!("mean excess {} points{interval}", quantity::points(mean, 0)));
            }
            None => words.push(format!("no score: {}", wording::explain(score.reason.unwrap_or("reason_not_given")))),
        }
        if let Some(peak) = score.peak.filter(|p| p.is_finite()) {
            words.push(format!("best window {}", quantity::points(peak, 0)));
        }
        if let Some(q) = score.q.filter(|q| q.is_finite()) {
            words.push(format!("q {}", quantity::p_value(q)));
        }
    }
    if let Some(efficacy) = matrix.efficacy.filter(|e| e.is_finite()) {
        words.push(format!("kills {} % at its best doses", quantity::percent(efficacy)));
    }
    let flags = wording::explain_all(&matrix.flags);
    if !flags.is_empty() {
        words.push(flags);
    }
    Matrix { picture: Value::from_safe_string(picture.inline()), caption: words.join("; ") }
}

/// What was found, in sentences of a reader's own language.
fn facts(lookup: &Lookup<'_>, pair: &RankedPair) -> Vec<String> {
    let reference = wording::reference(lookup.page.score_model);
    let anchor = quantity::clip(lookup.page.anchor, super::NAME);
    let (resistant, parental) = (pair.n_resistant, pair.n_parental);
    let mut facts = Vec::new();
    if let Some(score) = pair.score.filter(|s| s.is_finite()) {
        let place = match resistant {
            0 => "All lines".to_owned(),
            n => format!("Resistant lines ({})", quantity::counted(n, "matrix", "matrices")),
        };
        let interval = interval_in_points(pair.ci_low, pair.ci_high, 1);
        let interval = if interval.is_empty() { "no interval".into() } else { format!("95 % interval {interval}") };
        let q = pair.q.map(|q| format!(", q {}", quantity::p_value(q))).unwrap_or_default();
        let score = quantity::points(score, 1);
        facts.push(format!("{place}: {score} percentage points over {reference} ({interval}{q})."));
    }
    if let Some(score) = pair.score_parental.filter(|s| s.is_finite()) {
        let difference = pair.differential.map(|d| {
            let q = pair.differential_q.map(|q| format!(", q {}", quantity::p_value(q))).unwrap_or_default();
            format!(
                "; resistant minus parental {} ({}{q})",
                quantity::points(d, 1),
                wording::selectivity(pair.selectivity)
            )
        });
        let matrices = quantity::counted(parental, "matrix", "matrices");
        let score = quantity::points(score, 1);
        facts.push(format!("Parental lines ({matrices}): {score}{}.", difference.unwrap_or_default()));
    }
    if let Some(efficacy) = pair.efficacy.filter(|e| e.is_finite()) {
        facts.push(format!("At its best doses the pair kills {} % of the cells.", quantity::percent(efficacy)));
    }
    if let Some(fold) = pair.fold_change.filter(|f| f.is_finite()) {
        let rescue = pair.rescue_fraction.filter(|r| r.is_finite());
        let rescue = rescue.map(|r| format!(" ({} % of the resistance undone)", quantity::percent(r)));
        let (fold, way) = if fold >= 1.0 { (fold, "more") } else { (1.0 / fold, "less") };
        let fold = quantity::fold(fold);
        facts.push(format!("The partner makes {anchor} {fold} {way} potent{}.", rescue.unwrap_or_default()));
    }
    if let Some(index) = pair.dose_reduction_index.filter(|i| i.is_finite()) {
        let (ratio, way) = if index >= 1.0 { (index, "less") } else { (1.0 / index, "more") };
        facts.push(format!("Half effect needs {} {way} of the first drug.", quantity::fold(ratio)));
    }
    if pair.qc_burden > 0.0 {
        facts.push(format!(
            "{} % of its wells are flagged or lie on plates that are not good.",
            quantity::percent(pair.qc_burden)
        ));
    }
    facts
}
