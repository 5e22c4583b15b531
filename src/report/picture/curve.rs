//! Dose-response curves of one drug, several lines overlaid: replicate means with their spread, fits, IC50 ticks.

use crate::fit::Fit;
use crate::model::ModelId;
use crate::report::colour::line_class;
use crate::report::quantity;
use crate::report::svg::{Canvas, Picture, Scale};
use crate::screen::dose_matrix::CurvePoint;
use crate::screen::line::LineStatus;

const LEFT: f64 = 40.0;
const RIGHT: f64 = 322.0;
const TOP: f64 = 26.0;
const BOTTOM: f64 = 176.0;
/// Room for the names at the ends of the curves.
const LABELS: f64 = 148.0;
const HEIGHT: f64 = 214.0;
const ZERO_SLOT: f64 = 22.0;
/// Height of one label: the line's name and its IC50.
const LABEL_HEIGHT: f64 = 25.0;
const SAMPLES: usize = 72;
/// Viabilities beyond are drawn on the edge, as open dots; the hover text has the value.
const VIABILITY_SHOWN: (f64, f64) = (-0.2, 1.6);

/// One line's response to the drug.
#[derive(Debug, Clone, Copy)]
pub struct CurveSeries<'a> {
    /// Name of the cell line.
    pub line: &'a str,
    /// What the line is taken for; decides the colour.
    pub status: Option<LineStatus>,
    /// Collapsed points in ascending molar dose.
    pub points: &'a [CurvePoint],
    /// The fitted model.
    pub model: ModelId,
    /// The fit; no curve is drawn without one, or for one that failed.
    pub fit: Option<&'a Fit>,
    /// log10 of the molar absolute IC50, where there is one.
    pub log10_ic50: Option<f64>,
    /// `none`, `above` or `below`, as in [`crate::resistance::Resistance::ic50_censored`].
    pub ic50_censored: &'a str,
}

/// Standard deviation of a single well about the point's mean; `None` for a single well.
fn spread(point: &CurvePoint) -> Option<f64> {
    let n = f64::from(point.n);
    let variance = point.sum_of_squares / point.weight * n / (n - 1.0);
    (point.n > 1 && variance.is_finite() && variance >= 0.0).then(|| variance.sqrt())
}

/// Draws the curves of `drug`.
pub fn draw(drug: &str, series: &[CurveSeries<'_>]) -> Picture {
    let drug = quantity::clip(drug, 60);
    let mut canvas = Canvas::new(RIGHT + LABELS, HEIGHT, &format!("dose-response curves of {drug}"));
    canvas.text("strong", (LEFT - 28.0, 13.0), &drug);
    canvas.text("small muted", (LEFT - 28.0, 25.0), "viability, %");
    let doses = || series.iter().flat_map(|s| s.points).map(|p| p.dose).filter(|d| *d > 0.0 && d.is_finite());
    let (low, high) = doses().fold((f64::INFINITY, 0.0_f64), |(low, high), d| (low.min(d), high.max(d)));
    if high == 0.0 {
        canvas.text("muted", (LEFT, 100.0), "no dose above zero was read");
        return canvas.finish();
    }
    let has_zero = series.iter().flat_map(|s| s.points).any(|p| p.dose == 0.0);
    let start = LEFT + if has_zero { ZERO_SLOT } else { 0.0 };
    let x = Scale { from: (low.log10() - 0.12, start + 4.0), to: (high.log10() + 0.12, RIGHT - 6.0) };
    let seen = series.iter().flat_map(|s| s.points).map(|p| p.response).filter(|r| r.is_finite());
    let (bottom, top) = seen.fold((0.0_f64, 1.05_f64), |(low, high), r| (low.min(r), high.max(r)));
    let (bottom, top) = (bottom.max(VIABILITY_SHOWN.0), (top + 0.03).min(VIABILITY_SHOWN.1));
    let y = Scale { from: (bottom, BOTTOM), to: (top, TOP + 8.0) };
    axes(&mut canvas, &x, &y, start, has_zero);

    let mut labels = Vec::new();
    let mut drawn_of_class: Vec<&str> = Vec::new();
    for one in series {
        let class = line_class(one.status);
        // A second line of the same standing is told apart by its dashes, and by its label.
        let dash = if drawn_of_class.contains(&class) { " dash" } else { "" };
        drawn_of_class.push(class);
        let end = draw_series(&mut canvas, one, class, dash, &x, &y, LEFT + ZERO_SLOT / 2.0);
        if let Some(end) = end {
            labels.push((end, one, class));
        }
    }
    place_labels(&mut canvas, labels, high, low);
    canvas.finish()
}

fn axes(canvas: &mut Canvas, x: &Scale, y: &Scale, start: f64, has_zero: bool) {
    for tick in [0.0, 0.5, 1.0, 1.5] {
        if tick <= y.to.0 {
            let class = if tick == 0.5 { "grid dash" } else { "grid" };
            canvas.line(class, (LEFT, y.at(tick)), (RIGHT, y.at(tick)));
            canvas.text("end small muted", (LEFT - 5.0, y.at(tick) + 3.5), &quantity::percent(tick));
        }
    }
    canvas.line("axis", (start, BOTTOM + 4.0), (RIGHT, BOTTOM + 4.0));
    if has_zero {
        canvas.line("axis", (LEFT + 4.0, BOTTOM + 4.0), (start - 4.0, BOTTOM + 4.0));
        canvas.text("mid small muted", (LEFT + ZERO_SLOT / 2.0, BOTTOM + 18.0), "0");
    }
    let (first, last) = (x.from.0.ceil() as i32, x.to.0.floor() as i32);
    // A label needs some 44 pixels; fewer than all decades carry one where they lie closer.
    let every = (44.0 / (x.at(1.0) - x.at(0.0))).ceil().clamp(1.0, 50.0) as i32;
    for decade in first..=last {
        let at = x.at(f64::from(decade));
        canvas.line("axis", (at, BOTTOM + 4.0), (at, BOTTOM + 8.0));
        if (decade - first) % every == 0 {
            canvas.text("mid small muted", (at, BOTTOM + 18.0), &quantity::log10_dose(f64::from(decade)));
        }
    }
    if last < first {
        // Less than a decade was tested: the ends are the labels.
        for end in [x.from.0 + 0.12, x.to.0 - 0.12] {
            canvas.text("mid small muted", (x.at(end), BOTTOM + 18.0), &quantity::log10_dose(end));
        }
    }
}

/// Draws one line's points, curve and tick; gives the height at which it ends on the right.
fn draw_series(
    canvas: &mut Canvas,
    series: &CurveSeries<'_>,
    class: &str,
    dash: &str,
    x: &Scale,
    y: &Scale,
    zero_at: f64,
) -> Option<f64> {
    let mut end = None;
    let across = |dose: f64| if dose > 0.0 { x.at(dose.log10()) } else { zero_at };
    let bars = series.points.iter().filter_map(|p| Some((p, spread(p)?)));
    let bars = bars.map(|(p, s)| {
        let at = across(p.dose);
        ((at, y.at_most(p.response - s)), (at, y.at_most(p.response + s)))
    });
    canvas.strokes(&format!("{class} thin"), bars);
    if let Some(fit) = series.fit.filter(|fit| fit.status.is_fitted()) {
        let tested = series.points.iter().map(|p| p.dose).filter(|d| *d > 0.0 && d.is_finite());
        let (low, high) = tested.fold((f64::INFINITY, 0.0_f64), |(low, high), d| (low.min(d), high.max(d)));
        if high > 0.0 {
            let (low, high) = (low.log10(), high.log10());
            let at = |i: usize| low + (high - low) * i as f64 / SAMPLES as f64;
            let response = |log10: f64| series.model.response(10_f64.powf(log10), &fit.parameters);
            let points: Vec<_> = (0..=SAMPLES).map(|i| (x.at(at(i)), y.at_most(response(at(i))))).collect();
            end = points.last().map(|p| p.1).filter(|e| e.is_finite());
            canvas.polyline(&format!("{class} line{dash}"), points);
        }
    }
    for point in series.points.iter().filter(|p| p.response.is_finite()) {
        let beyond = y.at_most(point.response) != y.at(point.response);
        let hover = format!(
            "{}, {}: viability {} %, {}",
            quantity::clip(series.line, 40),
            quantity::dose(point.dose),
            quantity::percent(point.response),
            quantity::counted(point.n as usize, "well", "wells")
        );
        let class = format!("{class}{}", if beyond { " hollow" } else { "" });
        canvas.dot(&class, (across(point.dose), y.at_most(point.response)), 2.6, &hover);
        end = end.or_else(|| series.points.last().map(|p| y.at_most(p.response)).filter(|e| e.is_finite()));
    }
    if let Some(log10) = series.log10_ic50.filter(|l| series.ic50_censored == "none" && *l > x.from.0 && *l < x.to.0) {
        canvas.line(&format!("{class} thin dash"), (x.at(log10), y.at(0.5)), (x.at(log10), BOTTOM + 4.0));
    }
    end
}

/// Names at the curves' ends, moved apart where they would overlap.
fn place_labels(canvas: &mut Canvas, mut labels: Vec<(f64, &CurveSeries<'_>, &str)>, highest: f64, lowest: f64) {
    labels.sort_by(|a, b| a.0.total_cmp(&b.0).then_with(|| a.1.line.cmp(b.1.line)));
    let mut heights: Vec<f64> = labels.iter().map(|l| l.0).collect();
    for i in 1..heights.len() {
        heights[i] = heights[i].max(heights[i - 1] + LABEL_HEIGHT);
    }
    let overflow = heights.last().map_or(0.0, |last| (last - (HEIGHT - 20.0)).max(0.0));
    for (height, (_, series, class)) in heights.iter().zip(&labels) {
        let base = (height - overflow).max(14.0) + 3.0;
        canvas.text(&format!("{class} strong"), (RIGHT + 5.0, base), &quantity::clip(series.line, 22));
        let ic50 = match (series.ic50_censored, series.log10_ic50) {
            ("above", _) => format!("IC50 above {}", quantity::dose(highest_dose(series).unwrap_or(highest))),
            ("below", _) => format!("IC50 below {}", quantity::dose(lowest_dose(series).unwrap_or(lowest))),
            (_, Some(log10)) => format!("IC50 {}", quantity::log10_dose(log10)),
            (_, None) => "IC50 not known".to_owned(),
        };
        canvas.text("small muted", (RIGHT + 5.0, base + 11.0), &ic50);
    }
}

fn highest_dose(series: &CurveSeries<'_>) -> Option<f64> {
    series.points.iter().map(|p| p.dose).filter(|d| *d > 0.0).max_by(f64::total_cmp)
}

fn lowest_dose(series: &CurveSeries<'_>) -> Option<f64> {
    series.points.iter().map(|p| p.dose).filter(|d| *d > 0.0).min_by(f64::total_cmp)
}
