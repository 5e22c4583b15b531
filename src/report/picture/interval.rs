//! Estimates with their intervals, one a row: the ranking of pairs, the fold resistance of lines.

use crate::rank::RankedPair;
use crate::report::colour::line_class;
use crate::report::quantity;
use crate::report::svg::{Canvas, Picture, Scale, text_width};
use crate::resistance::Resistance;
use crate::screen::Screen;

const ROW: f64 = 19.0;
const HEAD: f64 = 42.0;
const PLOT: f64 = 520.0;
const NOTE: f64 = 84.0;

/// One row.
struct Row {
    label: String,
    class: &'static str,
    estimate: Option<f64>,
    interval: Option<(f64, f64)>,
    /// A second estimate, drawn as an open dot.
    other: Option<f64>,
    note: String,
    hover: String,
}

struct Plot {
    title: String,
    /// Words above the axis, each with the class of its colour.
    legend: Vec<(&'static str, &'static str)>,
    note_title: &'static str,
    scale: Scale,
    ticks: Vec<(f64, String)>,
    /// Where nothing happens: no synergy, no resistance.
    origin: f64,
}

/// Bounds of everything finite that the rows show, the origin included.
fn extent(rows: &[Row], origin: f64) -> (f64, f64) {
    let values = rows.iter().flat_map(|r| [r.estimate, r.other, r.interval.map(|i| i.0), r.interval.map(|i| i.1)]);
    values.flatten().filter(|v| v.is_finite()).fold((origin, origin), |(low, high), v| (low.min(v), high.max(v)))
}

fn draw(plot: &Plot, rows: &[Row]) -> Picture {
    let widest = rows.iter().map(|r| text_width(&r.label, 11.0)).fold(60.0, f64::max);
    let left = widest + 14.0;
    let shift = |value: f64| left + plot.scale.at_most(value);
    let bottom = HEAD + ROW * rows.len() as f64;
    let mut canvas = Canvas::new(left + PLOT + NOTE, bottom + 8.0, &plot.title);
    let mut at = left;
    for (class, words) in &plot.legend {
        let mark = if class.contains("hollow") { "○" } else { "●" };
        let text_class = class.replace(" hollow", "");
        let words = format!("{mark} {words}");
        canvas.text(&format!("small {text_class}"), (at, 10.0), &words);
        at += text_width(&words, 9.5) + 14.0;
    }
    canvas.text("end small muted", (left + PLOT + NOTE - 4.0, HEAD - 10.0), plot.note_title);
    for (value, words) in &plot.ticks {
        let class = if *value == plot.origin { "axis" } else { "grid" };
        canvas.line(class, (shift(*value), HEAD - 4.0), (shift(*value), bottom));
        canvas.text("mid small muted", (shift(*value), HEAD - 10.0), words);
    }
    for (i, row) in rows.iter().enumerate() {
        let middle = HEAD + ROW * (i as f64 + 0.5);
        canvas.text("end", (left - 10.0, middle + 4.0), &row.label);
        if let Some((low, high)) = row.interval {
            canvas.line(&format!("{} line", row.class), (shift(low), middle), (shift(high), middle));
        }
        if let Some(other) = row.other.filter(|v| v.is_finite()) {
            canvas.dot("parental hollow", (shift(other), middle), 3.4, &row.hover);
        }
        if let Some(estimate) = row.estimate.filter(|v| v.is_finite()) {
            canvas.dot(row.class, (shift(estimate), middle), 3.8, &row.hover);
        } else {
            canvas.text("small muted", (shift(plot.origin) + 6.0, middle + 3.5), "not known");
        }
        canvas.text("end small muted", (left + PLOT + NOTE - 4.0, middle + 3.5), &row.note);
    }
    canvas.finish()
}

fn both(low: Option<f64>, high: Option<f64>) -> Option<(f64, f64)> {
    low.zip(high).filter(|(low, high)| low.is_finite() && high.is_finite())
}

/// The pairs in the order given: excess in the resistant lines with its interval, and in their parents.
pub fn ranking(pairs: &[RankedPair], screen: &Screen) -> Picture {
    let rows: Vec<Row> = pairs
        .iter()
        .map(|pair| {
            let name = |id| quantity::clip(screen.drugs.name(id), 22);
            let value = |v: Option<f64>| v.map_or(quantity::MISSING.into(), |v| quantity::points(v, 1));
            Row {
                label: match pair.drug_c {
                    None => format!("{}. {} + {}", pair.rank, name(pair.drug_a), name(pair.drug_b)),
                    Some(third) => {
                        format!("{}. {} + {} + {}", pair.rank, name(pair.drug_a), name(pair.drug_b), name(third))
                    }
                },
                class: if pair.n_resistant > 0 { "resistant" } else { "unknown" },
                estimate: pair.score,
                interval: both(pair.ci_low, pair.ci_high),
                other: pair.score_parental,
                note: pair.q.map_or(quantity::MISSING.into(), quantity::p_value),
                hover: format!("{} points; parental {} points", value(pair.score), value(pair.score_parental)),
            }
        })
        .collect();
    let (low, high) = extent(&rows, 0.0);
    let pad = ((high - low) * 0.04).max(0.01);
    let scale = Scale { from: (low - pad, 0.0), to: (high + pad, PLOT) };
    let ticks = scale.ticks(6).into_iter().map(|t| (if t.abs() < 1e-9 { 0.0 } else { t }, t));
    let decimals = usize::from((scale.to.0 - scale.from.0) < 0.06);
    let plot = Plot {
        title: "ranking of drug pairs by excess kill, in percentage points".into(),
        legend: if pairs.iter().any(|p| p.n_resistant > 0) {
            vec![("resistant", "resistant lines, 95 % interval"), ("parental hollow", "parental lines")]
        } else {
            vec![("unknown", "all lines, 95 % interval"), ("parental hollow", "parental lines")]
        },
        note_title: "q",
        scale,
        ticks: ticks.map(|(at, t)| (at, quantity::points(t, decimals))).collect(),
        origin: 0.0,
    };
    draw(&plot, &rows)
}

/// The lines in the order given: fold resistance with its interval, on a logarithmic axis.
pub fn fold_resistance(lines: &[&Resistance], screen: &Screen) -> Picture {
    let log10 = |fold: Option<f64>| fold.filter(|f| *f > 0.0 && f.is_finite()).map(f64::log10);
    let rows: Vec<Row> = lines
        .iter()
        .map(|r| {
            let label = quantity::clip(screen.lines.name(r.line), 34);
            let note = r.fold_resistance.map_or(quantity::MISSING.into(), quantity::fold);
            Row {
                hover: format!("{label}: {note}"),
                label,
                class: line_class(r.status),
                estimate: log10(r.fold_resistance),
                interval: both(log10(r.ci_low), log10(r.ci_high)),
                other: None,
                note,
            }
        })
        .collect();
    let (low, high) = extent(&rows, 0.0);
    let scale = Scale { from: (low.max(-12.0) - 0.15, 0.0), to: (high.clamp(0.9, 12.0) + 0.15, PLOT) };
    let (first, last) = (scale.from.0.ceil() as i32, scale.to.0.floor() as i32);
    let every = ((last - first) / 6 + 1).max(1);
    let decades = (first..=last).filter(|d| d % every == 0);
    let plot = Plot {
        title: "fold resistance of the lines".into(),
        legend: vec![("resistant", "resistant"), ("parental", "parental or sensitive"), ("unknown", "not called")],
        note_title: "fold",
        scale,
        ticks: decades.map(|d| (f64::from(d), quantity::fold(10_f64.powi(d)))).collect(),
        origin: 0.0,
    };
    draw(&plot, &rows)
}
