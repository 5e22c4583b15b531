//! Summaries of a fitted curve over the doses tested: absolute IC50, area under the curve, drug sensitivity score.

use crate::fit::MAX_PARAMETERS;
use crate::math::Scalar;
use crate::model::CurveModel;
use crate::model::surface::HillCurve;
use crate::screen::dose_matrix::CurvePoint;
use std::f64::consts::LN_10;

/// The viability that defines the absolute IC50.
pub const HALF_VIABILITY: f64 = 0.5;
/// An IC50 is a number up to this many decades beyond the doses tested; further out it is only `above` or `below`.
pub const IC50_MARGIN_DECADES: f64 = 0.5;
/// Bisections of a dose range: below the last bit of a logarithm after 60.
const BISECTIONS: usize = 60;
/// Simpson intervals for models without a closed form; even.
const SIMPSON_INTERVALS: usize = 400;

/// Where the fitted curve crosses one half, in natural-log molar dose.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum HalfDose {
    /// At this dose.
    At(f64),
    /// Beyond the highest dose plus the margin, or nowhere: the curve stays above one half.
    Above,
    /// Before the lowest dose less the margin, or nowhere: the curve stays at or below one half.
    Below,
    /// The curve rises through one half: that dose is no IC50.
    Rising,
}

/// Whether a model is a Hill curve from `top` (absent: 1) to `bottom` (absent: 0).
pub fn is_hill(model: &CurveModel) -> bool {
    let has = |name: &str| model.names.contains(&name);
    let only = model.names.iter().all(|p| matches!(*p, "top" | "bottom" | "ln_ec50" | "hill"));
    model.is_built_in && only && has("ln_ec50") && has("hill")
}

/// The Hill curve that a model's parameters describe, if the model is one (an absent `top` is 1, an absent `bottom`
/// is 0), found by the names of its parameters so that a new model needs no entry here.
pub fn hill_form(model: &CurveModel, parameters: &[f64]) -> Option<HillCurve<f64>> {
    let value = |name: &str| model.names.iter().position(|p| *p == name).map(|i| parameters[i]);
    if !is_hill(model) {
        return None;
    }
    Some(HillCurve {
        top: value("top").unwrap_or(1.0),
        bottom: value("bottom").unwrap_or(0.0),
        ln_ec50: value("ln_ec50")?,
        slope: value("hill").filter(|h| *h > 0.0)?,
    })
}

/// The dose of viability one half on a curve tested from `ln_low` to `ln_high` (natural-log molar).
pub fn half_dose(model: &CurveModel, parameters: &[f64], ln_low: f64, ln_high: f64) -> HalfDose {
    let (low, high) = half_dose_range(ln_low, ln_high);
    let ends = [low, high].map(|x| model.response_at_ln_dose(x, parameters));
    half_dose_between(model, parameters, hill_form(model, parameters).as_ref(), (low, high), ends)
}

/// Where a dose of viability one half counts as one, for a curve tested from `ln_low` to `ln_high`.
pub(super) fn half_dose_range(ln_low: f64, ln_high: f64) -> (f64, f64) {
    let margin = IC50_MARGIN_DECADES * LN_10;
    (ln_low - margin, ln_high + margin)
}

/// As [`half_dose`], with the responses at the ends of [`half_dose_range`] known.
pub(super) fn half_dose_between(
    model: &CurveModel,
    parameters: &[f64],
    hill: Option<&HillCurve<f64>>,
    (mut low, mut high): (f64, f64),
    ends: [f64; 2],
) -> HalfDose {
    match ends.map(|response| response > HALF_VIABILITY) {
        [true, true] => return HalfDose::Above,
        [false, false] => return HalfDose::Below,
        [false, true] => return HalfDose::Rising,
        [true, false] => {}
    }
    let is_above = |x: f64| model.response_at_ln_dose(x, parameters) > HALF_VIABILITY;
    let closed = hill.and_then(|c| {
        let share = (c.top - HALF_VIABILITY) / (HALF_VIABILITY - c.bottom);
        (share > 0.0).then(|| c.ln_ec50 + Scalar::ln(share) / c.slope)
    });
    if let Some(x) = closed.filter(|x| *x >= low && *x <= high) {
        return HalfDose::At(x);
    }
    for _ in 0..BISECTIONS {
        let middle = 0.5 * (low + high);
        if is_above(middle) {
            low = middle;
        } else {
            high = middle;
        }
    }
    HalfDose::At(0.5 * (low + high))
}

/// Mean viability of the fitted curve over the log-dose range tested. `None` for a range of no width.
///
/// For Hill curves in closed form: the integral of `bottom + (top - bottom) logistic(h (c - x))` is
/// `bottom x - (top - bottom) / h * softplus(h (c - x))`.
pub fn mean_viability(model: &CurveModel, parameters: &[f64], ln_low: f64, ln_high: f64) -> Option<f64> {
    let width = ln_high - ln_low;
    if width.is_nan() || width <= 0.0 {
        return None;
    }
    if let Some(c) = hill_form(model, parameters) {
        return mean_of_hill(&c, ln_low, ln_high);
    }
    let step = width / SIMPSON_INTERVALS as f64;
    let sum: f64 = (0..=SIMPSON_INTERVALS)
        .map(|i| {
            let weight = match i {
                0 | SIMPSON_INTERVALS => 1.0,
                i if i % 2 == 1 => 4.0,
                _ => 2.0,
            };
            weight * model.response_at_ln_dose(ln_low + step * i as f64, parameters)
        })
        .sum();
    Some(sum * step / 3.0 / width)
}

/// As [`mean_viability`], for a Hill curve.
pub(super) fn mean_of_hill(c: &HillCurve<f64>, ln_low: f64, ln_high: f64) -> Option<f64> {
    (ln_high > ln_low).then(|| c.bottom + (c.top - c.bottom) * mean_occupancy(c, ln_low, ln_high))
}

/// Mean of the observed responses over the log-dose range tested: trapezoids between the means of the doses above zero.
/// `None` with fewer than two doses. Points ascend by dose.
pub fn observed_mean(points: &[CurvePoint]) -> Option<f64> {
    let treated = &points[points.partition_point(|p| p.dose <= 0.0)..];
    let (mut area, mut width) = (0.0, 0.0);
    let mut last: Option<(f64, f64)> = None;
    for same in treated.chunk_by(|a, b| a.dose == b.dose) {
        let weight: f64 = same.iter().map(|p| p.weight).sum();
        let mean = same.iter().map(|p| p.weight * p.response).sum::<f64>() / weight;
        if let Some((dose, response)) = last {
            let step = Scalar::ln(same[0].dose / dose);
            area += 0.5 * step * (mean + response);
            width += step;
        }
        last = Some((same[0].dose, mean));
    }
    (width > 0.0 && area.is_finite()).then(|| area / width)
}

/// Mean of `logistic(h (c - x))` over a range of log doses.
fn mean_occupancy(c: &HillCurve<f64>, ln_low: f64, ln_high: f64) -> f64 {
    let at_low = Scalar::softplus(c.slope * (c.ln_ec50 - ln_low));
    let at_high = Scalar::softplus(c.slope * (c.ln_ec50 - ln_high));
    (at_low - at_high) / (c.slope * (ln_high - ln_low))
}

/// Inhibition (per cent) from which a drug counts as active in the drug sensitivity scores.
const ACTIVITY_THRESHOLD: f64 = 10.0;

/// Drug sensitivity scores 1 to 3 on the scale 0–100 (Yadav 2014, doi 10.1038/srep05193, in the form that Breeze
/// computes): the area of percent inhibition above 10 % from where the curve reaches 10 % to the highest dose, over
/// the area possible; DSS2 divides by log10 of the maximal inhibition, DSS3 further favours wide activity. The lower
/// end of the inhibition curve is taken as 0 and the maximum as at most 100, as there. 0 where the relative EC50 is
/// not below the highest dose or the maximum does not exceed 10 %. `None` for a range of no width.
pub fn drug_sensitivity(c: &HillCurve<f64>, ln_low: f64, ln_high: f64) -> Option<[f64; 3]> {
    let (low, high, centre) = (ln_low / LN_10, ln_high / LN_10, c.ln_ec50 / LN_10);
    let width = high - low;
    if width.is_nan() || width <= 0.0 {
        return None;
    }
    let maximum = (100.0 * (1.0 - c.bottom)).min(100.0);
    let threshold = ACTIVITY_THRESHOLD;
    if centre >= high || maximum.is_nan() || maximum <= threshold {
        return Some([0.0; 3]);
    }
    let active_from = centre - Scalar::ln((maximum - threshold) / threshold) / (c.slope * LN_10);
    let x1 = active_from.clamp(low, high);
    let active = high - x1;
    if active <= 0.0 {
        return Some([0.0; 3]);
    }
    let inhibited = 1.0 - mean_occupancy(c, x1 * LN_10, high * LN_10);
    let area = (maximum * inhibited - threshold) * active;
    let dss1 = 100.0 * area / ((100.0 - threshold) * width);
    let log10_maximum = Scalar::ln(maximum) / LN_10;
    let dss2 = dss1 / log10_maximum;
    let dss3 = dss1 * (2.0 / log10_maximum) * active / width;
    Some([dss1, dss2, dss3].map(|score| if (0.0..=100.0).contains(&score) { score } else { 0.0 }))
}

/// Drug sensitivity scores 1 to 3 as PharmacoGx defines them, as fractions: the untreated response is 1, activity begins
/// at an inhibition of one tenth; score 2 divides by the natural logarithm of the maximal inhibition in per cent, score
/// 3 multiplies that by the share of the doses that are active (no factor 2). Not to be mixed with those of
/// [`drug_sensitivity`]. `None` for a range of no width.
pub fn drug_sensitivity_pharmacogx(c: &HillCurve<f64>, ln_low: f64, ln_high: f64) -> Option<[f64; 3]> {
    let width = ln_high - ln_low;
    if width.is_nan() || width <= 0.0 {
        return None;
    }
    let (maximum, threshold) = (1.0 - c.bottom, 0.01 * ACTIVITY_THRESHOLD);
    if maximum.is_nan() || maximum <= threshold {
        return Some([0.0; 3]);
    }
    let from = (c.ln_ec50 - Scalar::ln((maximum - threshold) / threshold) / c.slope).max(ln_low);
    let active = ln_high - from;
    if active <= 0.0 {
        return Some([0.0; 3]);
    }
    let inhibited = maximum * (1.0 - mean_occupancy(c, from, ln_high));
    let dss1 = (inhibited - threshold) * active / ((1.0 - threshold) * width);
    let dss2 = dss1 / Scalar::ln(100.0 * maximum);
    Some([dss1, dss2, dss2 * active / width])
}

/// Gradient of the half-effect dose by the implicit function theorem: minus the gradient of the response over its
/// slope along the dose, both at that dose. `None` where the curve is flat there.
pub fn half_dose_gradient(gradient: &[f64], slope: f64) -> Option<[f64; MAX_PARAMETERS]> {
    (slope.abs() > 1e-300).then(|| std::array::from_fn(|i| gradient.get(i).map_or(0.0, |g| -g / slope)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::hill::Hill4;
    use crate::model::{Model, ModelId};

    const CURVES: [[f64; 4]; 6] = [
        [1.0, 0.0, -14.0, 1.0],
        [1.1, 0.2, -15.5, 0.4],
        [0.9, -0.1, -13.0, 3.0],
        [1.0, 0.45, -16.0, 8.0],
        [1.2, 0.05, -11.0, 20.0],
        [1.0, 0.0, -14.0, 0.01],
    ];
    const LOW: f64 = -18.0;
    const HIGH: f64 = -11.0;

    #[test]
    fn area_equals_numeric_integration() {
        for p in CURVES {
            let n = 200_000;
            let step = (HIGH - LOW) / f64::from(n);
            let midpoint: f64 = (0..n).map(|i| Hill4::response(LOW + step * (f64::from(i) + 0.5), p)).sum::<f64>()
                * step
                / (HIGH - LOW);
            let closed = mean_viability(ModelId::Hill4.curve_model(), &p, LOW, HIGH).expect("a range");
            assert!((closed - midpoint).abs() < 1e-9, "{p:?}: {closed} {midpoint}");
            // The planted fault: percent inhibition instead of viability would be seen.
            assert!((1.0 - closed - midpoint).abs() > 1e-3);
        }
        assert_eq!(mean_viability(ModelId::Hill4.curve_model(), &CURVES[0], LOW, LOW), None);
    }

    #[test]
    fn half_dose_lies_on_the_curve_or_is_censored() {
        for p in CURVES {
            let HalfDose::At(x) = half_dose(ModelId::Hill4.curve_model(), &p, LOW, HIGH) else {
                panic!("{p:?} crosses one half")
            };
            assert!((Hill4::response(x, p) - 0.5).abs() < 1e-12, "{p:?}");
            assert!((Hill4::response(x + 0.1, p) - 0.5).abs() > 1e-4, "a wrong dose is seen");
        }
        // Relative EC50 inside the range and yet no absolute IC50.
        assert_eq!(half_dose(ModelId::Hill4.curve_model(), &[1.0, 0.6, -14.0, 1.0], LOW, HIGH), HalfDose::Above);
        assert_eq!(half_dose(ModelId::Hill4.curve_model(), &[0.4, 0.1, -14.0, 1.0], LOW, HIGH), HalfDose::Below);
        assert_eq!(half_dose(ModelId::Hill4.curve_model(), &[0.2, 0.9, -14.0, 1.0], LOW, HIGH), HalfDose::Rising);
        // Half a decade beyond the top dose is a number, more is not.
        let at = |decades: f64| half_dose(ModelId::Hill3.curve_model(), &[0.0, HIGH + decades * LN_10, 1.0], LOW, HIGH);
        assert!(matches!(at(0.49), HalfDose::At(_)));
        assert_eq!(at(0.51), HalfDose::Above);
    }

    #[test]
    fn observed_means_by_hand() {
        let point =
            |dose: f64, response: f64, weight: f64| CurvePoint { dose, response, weight, n: 1, sum_of_squares: 0.0 };
        // Decades 1 and 2 wide; two wells at the middle dose, of means 0.6: (1 * 0.8 + 2 * 0.4) / 3.
        let points = [
            point(0.0, 5.0, 1.0),
            point(1e-9, 1.0, 1.0),
            point(1e-8, 0.5, 2.0),
            point(1e-8, 0.8, 1.0),
            point(1e-6, 0.2, 1.0),
        ];
        assert!(observed_mean(&points).is_some_and(|m| (m - 1.6 / 3.0).abs() < 1e-12));
        assert_eq!(observed_mean(&points[..2]), None);
    }

    #[test]
    fn sensitivity_scores_by_hand() {
        // Maximum 100, slope 1, EC50 1e-7, doses 1e-9..1e-5 M: x1 = -7 - log10(9) = -7.954243;
        // A = 100 [log10(1 + 10^2) - log10(1 + 10^(x1 + 7))] - 10 (2.954243) = 200.4321374 - 4.5757491 - 29.5424251
        //   = 166.3139632; DSS1 = 100 * A / (90 * 4) = 46.1983231; DSS2 = DSS1 / 2; DSS3 = DSS1 * 2.9542425 / 4.
        let c = HillCurve { top: 1.0, bottom: 0.0, ln_ec50: -7.0 * LN_10, slope: 1.0 };
        let [one, two, three] = drug_sensitivity(&c, -9.0 * LN_10, -5.0 * LN_10).expect("a range");
        assert!((one - 46.198_323_1).abs() < 1e-6, "{one}");
        assert!((two - one / 2.0).abs() < 1e-12);
        assert!((three - one * 2.954_242_509_4 / 4.0).abs() < 1e-6, "{three}");
        // PharmacoGx: the same area as a fraction; ln 100 in the place of log10 100; x1 = -7.954243, 2.954243 of 4 active.
        let theirs = drug_sensitivity_pharmacogx(&c, -9.0 * LN_10, -5.0 * LN_10).expect("a range");
        let expected =
            [0.461_983_231, 0.461_983_231 / 100f64.ln(), 0.461_983_231 / 100f64.ln() * 2.954_242_509_4 / 4.0];
        for (ours, theirs) in theirs.iter().zip(expected) {
            assert!((ours - theirs).abs() < 1e-8, "{ours} {theirs}");
        }
        let weak = HillCurve { bottom: 0.95, ..c };
        assert_eq!(drug_sensitivity(&weak, -9.0 * LN_10, -5.0 * LN_10), Some([0.0; 3]));
        let late = HillCurve { ln_ec50: -4.0 * LN_10, ..c };
        assert_eq!(drug_sensitivity(&late, -9.0 * LN_10, -5.0 * LN_10), Some([0.0; 3]));
        assert_eq!(drug_sensitivity(&c, -9.0, -9.0), None);
    }
}
