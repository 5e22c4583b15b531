//! Growth-rate inhibition (Hafner 2016, doi 10.1038/nmeth.3853): responses that do not depend on how fast a line divides, and
//! what a curve of them says. 1 is undisturbed growth, 0 no growth, below 0 loss of cells, −1 the least.

use crate::fit::{Bound, Fit, FitSettings, Status};
use crate::math::Scalar;
use crate::math::special::FTail;
use crate::model::ModelId;
use crate::report::table::Table;
use crate::screen::dose_matrix::Curve;
use std::f64::consts::{LN_2, LN_10};

/// Ratios of counts are not taken below this, so that a well without any cell has a logarithm.
pub const LEAST_RATIO: f64 = 1e-6;
/// Without a count at the beginning, responses above this are cut: noise above the control is not growth.
const MOST_RELATIVE: f64 = 1.25;
/// Without a count at the beginning, the doublings of the untreated line within the assay below which end points say
/// nothing of growth (gDR's limit: a doubling time of 1.5 durations).
pub const FEWEST_DOUBLINGS: f64 = 1.0 / 1.5;
/// A curve's test against the flat line must have a p below this, or its metrics are those of the flat line.
pub const CURVE_P: f64 = 0.05;

/// The growth-rate inhibition value of a well from its count, the count at the beginning and that of the control at the end:
/// `2^(log2(x / x0) / log2(control / x0)) - 1`, each ratio at least 1e-6. The control must be above the beginning, and
/// the beginning above 0.
#[inline(always)]
pub fn growth_rate_inhibition<S: Scalar>(count: S, at_beginning: S, control: S) -> S {
    let log_ratio = |x: S| (x / at_beginning).max(S::lit(LEAST_RATIO)).ln();
    (S::lit(LN_2) * log_ratio(count) / log_ratio(control)).exp() - S::lit(1.0)
}

/// The same without a count at the beginning, from the viability relative to the control at the end and the untreated
/// line's doublings within the assay (duration over doubling time): `2^(1 + log2(min(1.25, v)) / doublings) - 1`.
#[inline(always)]
pub fn growth_rate_inhibition_at_end<S: Scalar>(viability: S, doublings: S) -> S {
    let relative = viability.clamp(S::lit(LEAST_RATIO), S::lit(MOST_RELATIVE));
    (S::lit(LN_2) + relative.ln() / doublings).exp() - S::lit(1.0)
}

/// [`growth_rate_inhibition`] of what is checked first.
///
/// # Errors
/// `bad_value` for counts that are no counts, `control_not_growing` where the control did not grow: the exponent has no
/// meaning then, and peers give a number all the same.
pub fn gr_value(count: f64, at_beginning: f64, control: f64) -> Result<f64, &'static str> {
    let is_count = |x: f64| x.is_finite() && x >= 0.0;
    if !(is_count(count) && is_count(at_beginning) && is_count(control) && at_beginning > 0.0) {
        return Err("bad_value");
    }
    if control <= at_beginning {
        return Err("control_not_growing");
    }
    Ok(growth_rate_inhibition(count, at_beginning, control))
}

/// [`growth_rate_inhibition_at_end`] of what is checked first.
///
/// # Errors
/// `bad_value` for what is no viability, `doubling_time_too_long` for a doubling time above 1.5 durations.
pub fn gr_value_from_end_point(viability: f64, doublings: f64) -> Result<f64, &'static str> {
    if !(viability.is_finite() && viability >= 0.0 && doublings.is_finite() && doublings > 0.0) {
        return Err("bad_value");
    }
    if doublings < FEWEST_DOUBLINGS {
        return Err("doubling_time_too_long");
    }
    Ok(growth_rate_inhibition_at_end(viability, doublings))
}

/// How curves of these values are fitted: three parameters, 1 without drug, GRinf in −1..1, GEC50 within two decades of
/// the doses tested, slope 0.1..5.
pub fn growth_fit_settings() -> FitSettings {
    let bound = |lower, upper| Bound { lower, upper };
    let bounds = vec![bound(-1.0, 1.0), bound(-2.0 * LN_10, 2.0 * LN_10), bound(0.1, 5.0)];
    FitSettings { bounds, ..FitSettings::new(ModelId::Hill3) }
}

/// What a curve of growth-rate inhibition values says. A number that is missing has its cause in `reason` or
/// `gr50_reason`.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct GrowthMetrics {
    /// log10 of the molar dose at which the curve crosses one half.
    pub log10_gr50: Option<f64>,
    /// `above_range`: the curve stays above one half; `flat_curve`; `other_model`: the one chosen knows no growth rate.
    pub gr50_reason: Option<&'static str>,
    /// The lower of the values at the two highest doses.
    pub gr_max: Option<f64>,
    /// Where the curve levels off; the mean value of a flat one.
    pub gr_inf: Option<f64>,
    /// log10 of the molar dose of half effect.
    pub log10_gec50: Option<f64>,
    /// Slope.
    pub hill: Option<f64>,
    /// Mean of `1 - GR` over the log-dose range tested, by trapezoids over the values themselves.
    pub gr_aoc: Option<f64>,
    /// P of F against the flat line with 2 and n − 3 degrees of freedom.
    pub p_value: Option<f64>,
    /// Why the curve's own parameters are missing: `flat_curve`, `no_degrees_of_freedom`, `other_model`, or that of the
    /// fit.
    pub reason: Option<&'static str>,
}

/// The metrics of `points` (molar dose above zero, value), ascending by dose and one a dose, with their fit by
/// [`growth_fit_settings`].
pub fn growth_metrics(points: &[(f64, f64)], fit: &Fit) -> GrowthMetrics {
    let mut metrics = GrowthMetrics { reason: fit.status.reason(), ..GrowthMetrics::default() };
    let is_sound = |p: &(f64, f64)| p.0 > 0.0 && p.0.is_finite() && p.1.is_finite();
    if points.len() < 2 || !points.iter().all(is_sound) {
        metrics.reason = metrics.reason.or(Some("bad_value"));
        metrics.gr50_reason = metrics.reason;
        return metrics;
    }
    let n = points.len();
    metrics.gr_max = Some(points[n - 1].1.min(points[n - 2].1));
    let width = libm::log(points[n - 1].0 / points[0].0);
    let area: f64 = points.windows(2).map(|w| libm::log(w[1].0 / w[0].0) * (1.0 - 0.5 * (w[0].1 + w[1].1))).sum();
    metrics.gr_aoc = (width > 0.0).then(|| area / width);
    if !fit.status.is_fitted() {
        metrics.gr50_reason = metrics.reason;
        return metrics;
    }
    let [bottom, ln_gec50, hill] = [0, 1, 2].map(|i| fit.parameters[i]);
    let mean = points.iter().map(|p| p.1).sum::<f64>() / n as f64;
    let about_mean: f64 = points.iter().map(|p| (p.1 - mean).powi(2)).sum();
    let sse: f64 = points.iter().map(|p| (p.1 - ModelId::Hill3.response(p.0, &fit.parameters)).powi(2)).sum();
    let freedom = n as f64 - 3.0;
    let Some(tail) = FTail::new(2.0, freedom) else {
        metrics.reason = Some("no_degrees_of_freedom");
        metrics.gr50_reason = metrics.reason;
        return metrics;
    };
    let p = tail.probability_above((about_mean - sse).max(0.0) / 2.0 / (sse / freedom));
    metrics.p_value = Some(p);
    if p >= CURVE_P {
        (metrics.gr_inf, metrics.reason, metrics.gr50_reason) = (Some(mean), Some("flat_curve"), Some("flat_curve"));
        return metrics;
    }
    metrics.gr_inf = Some(bottom);
    metrics.log10_gec50 = Some(ln_gec50 / LN_10);
    metrics.hill = Some(hill);
    if bottom < 0.5 {
        metrics.log10_gr50 = Some((ln_gec50 + libm::log(0.5 / (0.5 - bottom)) / hill) / LN_10);
    } else {
        metrics.gr50_reason = Some("above_range");
    }
    metrics
}

/// Mean at each dose above zero, replicates by their weights.
fn treated_means(curve: &Curve) -> Vec<(f64, f64)> {
    let mut treated: Vec<_> = curve.points.iter().filter(|p| p.dose > 0.0).collect();
    treated.sort_by(|a, b| a.dose.total_cmp(&b.dose));
    let means = treated.chunk_by(|a, b| a.dose == b.dose).map(|same| {
        let weight: f64 = same.iter().map(|p| p.weight).sum();
        (same[0].dose, same.iter().map(|p| p.weight * p.response).sum::<f64>() / weight)
    });
    means.collect()
}

/// The metrics of curves that were fitted by [`ModelId::GrowthRate`], whose parameters are those of
/// [`growth_fit_settings`]: of the mean at each dose above zero.
pub fn growth_metrics_of_curves(curves: &[Curve], fits: &[Fit]) -> Vec<GrowthMetrics> {
    curves.iter().zip(fits).map(|(curve, fit)| growth_metrics(&treated_means(curve), fit)).collect()
}

/// The metrics of a curve whose model was chosen from several. Where the choice fell on another model than
/// [`ModelId::GrowthRate`], what needs no fit is there all the same, and the rest has the reason `flat_curve` for
/// [`ModelId::Flat`], `other_model` for any other.
pub fn growth_metrics_of_choice(curve: &Curve, fit: &Fit, model: ModelId) -> GrowthMetrics {
    let means = treated_means(curve);
    if model == ModelId::GrowthRate || !fit.status.is_fitted() {
        return growth_metrics(&means, fit);
    }
    let reason = Some(if model == ModelId::Flat { "flat_curve" } else { "other_model" });
    let unfitted = growth_metrics(&means, &Fit::failed(Status::BadValue));
    let reason = unfitted.gr_max.map_or(unfitted.reason, |_| reason);
    GrowthMetrics { gr50_reason: reason, reason, ..unfitted }
}

/// Adds what the metrics say beyond the parameters of the fit: `log10_gr50` (molar; why it is missing in `gr50_reason`),
/// `gr_max`, `gr_aoc`, `gr_p_value` (F of the means of the doses against the flat line, by which the method's own tools
/// decide between the two) and `gr_reason`: `flat_curve` says that the parameters mean nothing.
pub fn append_growth_columns(table: Table, metrics: &[GrowthMetrics]) -> Table {
    table
        .number("log10_gr50", metrics.iter().map(|m| m.log10_gr50))
        .code("gr50_reason", metrics.iter().map(|m| m.gr50_reason))
        .number("gr_max", metrics.iter().map(|m| m.gr_max))
        .number("gr_aoc", metrics.iter().map(|m| m.gr_aoc))
        .number("gr_p_value", metrics.iter().map(|m| m.p_value))
        .code("gr_reason", metrics.iter().map(|m| m.reason))
}
