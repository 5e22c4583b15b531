//! What went in, what was set aside, how resistant the lines are.

use super::{Cell, Lookup, NAME, Page, SENTENCE, wording};
use crate::report::picture::interval;
use crate::report::quantity;
use crate::resistance::Resistance;
use crate::screen::rejections::Rejection;
use minijinja::Value;
use serde::Serialize;
use std::cmp::Reverse;
use std::collections::BTreeMap;

const LINES: usize = 150;
const LINES_DRAWN: usize = 30;
const INPUTS: usize = 40;

/// The counts, as text.
#[derive(Debug, Serialize)]
pub(super) struct Counts {
    wells_in: String,
    wells_used: String,
    wells_rejected: String,
    plates: String,
    lines: String,
    drugs: String,
    curves: String,
    matrices: String,
    pairs: String,
}

pub(super) fn counts(page: &Page<'_>) -> Counts {
    let counts = &page.run.counts;
    Counts {
        wells_in: quantity::count(counts.wells_in),
        wells_used: quantity::count(counts.wells_used),
        wells_rejected: quantity::count(counts.wells_rejected),
        plates: quantity::count(counts.plates),
        lines: quantity::count(page.screen.lines.len()),
        drugs: quantity::count(page.screen.drugs.len()),
        curves: quantity::count(counts.curves),
        matrices: quantity::count(counts.matrices),
        pairs: quantity::count(counts.pairs),
    }
}

/// An input file.
#[derive(Debug, Serialize)]
struct Input {
    path: String,
    megabytes: String,
    sha256: String,
}

/// Program, device, inputs.
#[derive(Debug, Serialize)]
pub(super) struct Run {
    version: String,
    backend: String,
    backend_reason: String,
    device: String,
    seed: String,
    settings_sha256: String,
    refitted: String,
    inputs: Vec<Input>,
    inputs_left_out: usize,
}

pub(super) fn run(page: &Page<'_>) -> Run {
    let run = page.run;
    let input = |i: &crate::report::run_json::InputFile| Input {
        path: quantity::clip(&i.path, 200),
        megabytes: quantity::number(i.bytes as f64 / 1e6, 2),
        sha256: quantity::clip(&i.sha256, 64),
    };
    Run {
        version: run.version.clone(),
        backend: if run.backend == "gpu" { "GPU".into() } else { run.backend.to_uppercase() },
        backend_reason: quantity::clip(run.backend_reason.as_deref().unwrap_or_default(), SENTENCE),
        device: quantity::clip(&run.device, SENTENCE),
        seed: run.seed.to_string(),
        settings_sha256: run.settings_sha256.clone(),
        refitted: run.fits_refitted_share.map(|s| quantity::number(s * 100.0, 2)).unwrap_or_default(),
        inputs: run.inputs.iter().take(INPUTS).map(input).collect(),
        inputs_left_out: run.inputs.len().saturating_sub(INPUTS),
    }
}

/// Wells left out for one reason.
#[derive(Debug, Serialize)]
pub(super) struct Reason {
    reason: String,
    code: &'static str,
    wells: String,
    example: String,
}

/// Rejected wells by reason, the commonest first.
pub(super) fn rejected(page: &Page<'_>) -> Vec<Reason> {
    let mut reasons: BTreeMap<&'static str, (usize, Rejection<'_>)> = BTreeMap::new();
    for rejected in page.rejected.iter() {
        reasons.entry(rejected.reason).or_insert((0, rejected)).0 += 1;
    }
    let mut sorted: Vec<_> = reasons.into_iter().collect();
    sorted.sort_by_key(|(code, (n, _))| (Reverse(*n), *code));
    let reason = |(code, (n, first)): (&'static str, (usize, Rejection<'_>))| {
        let plate = quantity::clip(page.screen.plates.name(first.plate), NAME);
        let well = first.well.map(|w| format!(", well {w}")).unwrap_or_default();
        let detail = quantity::clip(first.detail, 160);
        let detail = if detail.is_empty() { detail } else { format!(": {detail}") };
        Reason {
            reason: wording::explain(code),
            code,
            wells: quantity::count(n),
            example: format!("plate {plate}{well}{detail}"),
        }
    };
    sorted.into_iter().map(reason).collect()
}

/// A line and its resistance to the anchor.
#[derive(Debug, Serialize)]
struct Line {
    line: String,
    status: String,
    class: &'static str,
    source: String,
    parental: String,
    mechanism: String,
    ic50: Cell,
    fold: Cell,
    interval: String,
    reason: String,
}

/// The lines, most resistant first.
#[derive(Debug, Serialize)]
pub(super) struct Lines {
    rows: Vec<Line>,
    left_out: usize,
    picture: Option<Value>,
}

pub(super) fn resistance(lookup: &Lookup<'_>) -> Lines {
    let of_anchor = lookup.page.resistance.iter().filter(|r| Some(r.drug) == lookup.anchor);
    let mut lines: Vec<&Resistance> = of_anchor.collect();
    let fold = |r: &Resistance| r.fold_resistance.filter(|f| f.is_finite()).unwrap_or(f64::NEG_INFINITY);
    lines.sort_by(|a, b| fold(b).total_cmp(&fold(a)).then(a.line.cmp(&b.line)));
    let drawn: Vec<&Resistance> = lines.iter().copied().filter(|r| fold(r) > 0.0).take(LINES_DRAWN).collect();
    let picture = interval::fold_resistance(&drawn, lookup.page.screen);
    Lines {
        rows: lines.iter().take(LINES).map(|r| line(lookup, r)).collect(),
        left_out: lines.len().saturating_sub(LINES),
        picture: (!drawn.is_empty()).then(|| Value::from_safe_string(picture.inline())),
    }
}

fn line(lookup: &Lookup<'_>, r: &Resistance) -> Line {
    let annotation = lookup.page.screen.annotation(r.line);
    let prefix = match r.ic50_censored {
        "above" => "> ",
        "below" => "< ",
        _ => "",
    };
    let ends = r.ci_low.zip(r.ci_high).filter(|(l, h)| l.is_finite() && h.is_finite());
    Line {
        line: lookup.line(r.line),
        status: r.status.map_or("not called", |s| s.name()).into(),
        class: crate::report::colour::line_class(r.status),
        source: wording::explain(r.status_source),
        // Without a fold nothing was compared.
        parental: match (r.fold_resistance, r.parental) {
            (None, _) => quantity::MISSING.into(),
            (Some(_), Some(parent)) => lookup.line(parent),
            (Some(_), None) => "panel of sensitive lines".into(),
        },
        mechanism: quantity::clip(annotation.mechanism.as_deref().unwrap_or_default(), 120),
        ic50: match (r.log10_ic50, r.ic50_censored) {
            (None, side @ ("above" | "below")) => Cell { text: format!("{side} the doses tested"), sort: None },
            (value, _) => Cell::new(value, |v| format!("{prefix}{}", quantity::log10_dose(v))),
        },
        fold: Cell::new(r.fold_resistance, quantity::fold),
        interval: ends.map(|(l, h)| format!("{} to {}", quantity::fold(l), quantity::fold(h))).unwrap_or_default(),
        reason: r.reason.map(wording::explain).unwrap_or_default(),
    }
}
