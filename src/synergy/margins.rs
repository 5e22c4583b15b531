//! The single-agent curves of many matrices, fitted in one batch.

use super::design::{Design, Responses};
use crate::Result;
use crate::backend::Backend;
use crate::fit::inference::potency::{hill_form, is_hill};
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::model::surface::HillCurve;
use crate::model::{Model, ModelId, hill::Hill4};

/// Fewer distinct doses above zero are not a curve.
pub(super) const FEWEST_DOSES: usize = 3;
/// A fitted margin that moves by less than this over the doses tested is called flat.
const FLAT: f64 = 0.1;
/// A margin whose lowest dose does more than this share of what its highest does has its transition below the doses
/// tested: its potency is only a bound.
const SATURATED: f64 = 0.9;

/// One fitted single-agent curve, or why there is none.
#[derive(Debug, Clone, Copy)]
pub struct Margin {
    /// The curve.
    pub curve: Option<HillCurve<f64>>,
    /// Why there is none: `missing`, `too_few_doses` or `fit_failed`.
    pub reason: Option<MarginReason>,
    /// Weighted sum of squared residuals.
    pub sse: f64,
    /// Points less free parameters.
    pub degrees_of_freedom: usize,
}

/// Why a margin has no curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum MarginReason {
    /// The drug was not tested alone.
    Missing,
    /// Fewer than three distinct doses above zero.
    TooFewDoses,
    /// The fit gave no parameters.
    FitFailed,
}

impl MarginReason {
    /// The code for the first (`k` = 0) or the second drug.
    pub fn code(self, k: usize) -> &'static str {
        match (self, k) {
            (MarginReason::Missing, 0) => "margin_a_missing",
            (MarginReason::Missing, _) => "margin_b_missing",
            (MarginReason::TooFewDoses, 0) => "margin_a_too_few_doses",
            (MarginReason::TooFewDoses, _) => "margin_b_too_few_doses",
            (MarginReason::FitFailed, 0) => "margin_a_fit_failed",
            (MarginReason::FitFailed, _) => "margin_b_fit_failed",
        }
    }
}

impl Margin {
    fn none(reason: MarginReason) -> Self {
        Self { curve: None, reason: Some(reason), sse: 0.0, degrees_of_freedom: 0 }
    }

    fn new(fit: &Fit, model: ModelId, points: usize) -> Self {
        let Some(curve) = hill_curve(fit, model) else {
            return Self::none(MarginReason::FitFailed);
        };
        let degrees_of_freedom = points.saturating_sub(model.parameters().len());
        Self { curve: Some(curve), reason: None, sse: fit.sse, degrees_of_freedom }
    }

    /// Viability at a dose, by the curve.
    pub fn response(&self, ln_dose: f64) -> Option<f64> {
        self.curve.map(|curve| response(curve, ln_dose))
    }
}

/// Viability at a dose above zero.
pub fn response(curve: HillCurve<f64>, ln_dose: f64) -> f64 {
    Hill4::response(ln_dose, [curve.top, curve.bottom, curve.ln_ec50, curve.slope])
}

/// The log-logistic curve of a fit; none if the fit failed, or the model is another one.
pub fn hill_curve(fit: &Fit, model: ModelId) -> Option<HillCurve<f64>> {
    let curve = hill_form(model.curve_model(), &fit.parameters)?;
    let finite = [curve.top, curve.bottom, curve.ln_ec50, curve.slope].iter().all(|x| x.is_finite());
    (fit.status.is_fitted() && finite).then_some(curve)
}

/// Settings for the margins: the user's where the model is log-logistic, else `hill4`, because Loewe and ZIP are
/// defined by log-logistic margins.
pub fn margin_settings(fit: &FitSettings) -> FitSettings {
    if is_hill(fit.model.curve_model()) { fit.clone() } else { hill4_settings(fit) }
}

/// `hill4` with the user's box if it is the user's model, else with its own.
pub fn hill4_settings(fit: &FitSettings) -> FitSettings {
    let bounds = if fit.model == ModelId::Hill4 { fit.bounds.clone() } else { ModelId::Hill4.bounds().to_vec() };
    FitSettings { model: ModelId::Hill4, bounds, ..fit.clone() }
}

/// Fits both margins of every item in one batch, the untreated point included.
///
/// # Errors
/// Those of the back end.
pub fn fit_margins(
    items: &[(&Design, Responses)],
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<Vec<[Margin; 2]>> {
    let settings = margin_settings(fit);
    let mut curves = CurveSet::new();
    let mut margins = Vec::with_capacity(items.len());
    for (design, responses) in items {
        margins.push([0, 1].map(|k| {
            let margin = &design.margins[k];
            if margin.doses == 0 {
                return Err(MarginReason::Missing);
            }
            if margin.doses < FEWEST_DOSES {
                return Err(MarginReason::TooFewDoses);
            }
            push(&mut curves, None, &margin.ln_dose, &responses.margins[k], &margin.weight);
            Ok((curves.len() - 1, margin.ln_dose.len()))
        }));
    }
    let fits = if curves.is_empty() { Vec::new() } else { backend.fit(&settings, &curves)? };
    let fitted = |margin| match margin {
        Ok((curve, points)) => match fits.get(curve) {
            Some(fit) => Margin::new(fit, settings.model, points),
            None => Margin::none(MarginReason::FitFailed),
        },
        Err(reason) => Margin::none(reason),
    };
    Ok(margins.into_iter().map(|pair| pair.map(fitted)).collect())
}

/// Adds a curve whose natural-log doses are known: a bootstrap takes the logarithm of a dose once, not once a draw.
pub(super) fn push(curves: &mut CurveSet, baseline: Option<f64>, ln_dose: &[f64], response: &[f64], weight: &[f64]) {
    let points = ln_dose.iter().zip(response).zip(weight).map(|((x, y), w)| (*x, *y, *w));
    curves.push_at_ln_dose(baseline, points);
}

/// Codes for what a reader of the scores should know of the fitted margins.
pub fn margin_flags(design: &Design, margins: &[Margin; 2]) -> Vec<&'static str> {
    let mut flags = Vec::new();
    for (k, margin) in margins.iter().enumerate() {
        let of_drug = |a: &'static str, b: &'static str| if k == 0 { a } else { b };
        if design.margins[k].untreated_assumed {
            flags.push(of_drug("untreated_a_assumed", "untreated_b_assumed"));
        }
        let curve = match (margin.curve, margin.reason) {
            (Some(curve), _) => curve,
            (None, reason) => {
                flags.extend(reason.map(|reason| reason.code(k)));
                continue;
            }
        };
        let doses = || design.margins[k].ln_dose.iter().copied().filter(|x| x.is_finite());
        let (low, high) = (doses().fold(f64::INFINITY, f64::min), doses().fold(f64::NEG_INFINITY, f64::max));
        let fall_low = curve.top - response(curve, low);
        let fall_high = curve.top - response(curve, high);
        if fall_high.abs() < FLAT {
            flags.push(of_drug("margin_a_flat", "margin_b_flat"));
        } else if fall_low / fall_high > SATURATED {
            flags.push(of_drug("margin_a_saturated", "margin_b_saturated"));
        }
        let beyond = |c: &super::design::Combination| {
            let tolerance = crate::screen::dose::DOSE_TOLERANCE;
            c.ln_dose[k] > high + tolerance || c.ln_dose[k] < low - tolerance
        };
        if design.combinations.iter().any(beyond) {
            flags.push(of_drug("margin_a_extrapolated", "margin_b_extrapolated"));
        }
    }
    flags
}
