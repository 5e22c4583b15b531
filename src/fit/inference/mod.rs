//! From a fitted curve to what may be said of it: precision, significance, class, potency, area.
//!
//! Replicates were collapsed before the fit; their scatter (pure error) is put back here, so sums of squares and
//! degrees of freedom are those of a fit to single wells.

pub mod calibration;
pub mod covariance;
pub mod potency;
mod table;

use super::{Fit, MAX_PARAMETERS, Status};
use crate::math::special;
use crate::model::LN_DOSE_ZERO;
use crate::model::{CurveModel, ModelId};
use crate::screen::dose_matrix::{Curve, CurvePoint};
use covariance::{Matrix, Precision};
use potency::HalfDose;
use std::array::from_fn;
use std::f64::consts::LN_10;
pub use table::{append_columns, table};

/// A responder's F-test must have a p below this ...
pub const RESPONSE_P: f64 = 0.05;
/// ... and its viability must fall by at least this much over the doses tested.
pub const RESPONSE_EFFECT: f64 = 0.2;
/// A non-responder's wells scatter about their mean with at most this standard deviation ...
pub const NO_RESPONSE_DEVIATION: f64 = 0.1;
/// ... and that mean lies at most this far from 1.
pub const NO_RESPONSE_SHIFT: f64 = 0.1;

/// The reason of a curve that rises significantly.
const RISING: &str = "rising_curve";

/// Whether a drug does something to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ResponseClass {
    /// Significantly better than a flat line ([`RESPONSE_P`]) and falling by [`RESPONSE_EFFECT`] or more.
    Responder,
    /// Neither: no clear fall, but too noisy or too far from 1 to be called a non-responder.
    Flat,
    /// Demonstrably without effect: wells close to their mean, and the mean close to 1. The idea of an explicit
    /// class for this is CurveCurator's (Bayer 2023, doi 10.1038/s41467-023-43696-z).
    NonResponder,
}

impl ResponseClass {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            ResponseClass::Responder => "responder",
            ResponseClass::Flat => "flat",
            ResponseClass::NonResponder => "non_responder",
        }
    }
}

/// What may be said of one fitted curve. `None` always has its cause in one of the reasons.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Inference {
    /// How the fit ended.
    pub status: Status,
    /// Why statistics of a fitted curve are missing or restricted, beside the reason of `status`: `bad_value`,
    /// `no_degrees_of_freedom`, `constant_response`, `rising_curve`, `flat_model` (nothing to test against itself).
    pub reason: Option<&'static str>,
    /// Wells behind the curve.
    pub n_points: u32,
    /// Distinct doses above zero.
    pub n_doses: u32,
    /// Lowest dose above zero, log10 molar.
    pub log10_dose_low: Option<f64>,
    /// Highest dose, log10 molar.
    pub log10_dose_high: Option<f64>,
    /// Weighted sum of squared residuals of the wells (about the curve, pure error included).
    pub sse: Option<f64>,
    /// `sqrt(sse / sum of weights)`: the root mean square residual of a well.
    pub rmse: Option<f64>,
    /// Share of the wells' weighted variance that the curve explains.
    pub r2: Option<f64>,
    /// Wells minus free parameters; parameters on a bound are not free.
    pub degrees_of_freedom: Option<u32>,
    /// Residual standard deviation of a well of weight 1.
    pub sigma: Option<f64>,
    /// Condition number of the column-scaled Jacobian of the free parameters; `None` where some are unidentified.
    pub condition_number: Option<f64>,
    /// Standard errors in the model's order and units.
    pub standard_errors: [Option<f64>; MAX_PARAMETERS],
    /// Why a standard error is missing: `at_bound`, `unidentified`, `no_degrees_of_freedom`.
    pub standard_error_reasons: [Option<&'static str>; MAX_PARAMETERS],
    /// F statistic of the curve against a flat line.
    pub f: Option<f64>,
    /// Its upper tail: from [`infer`] with `parameters - 1` and `wells - parameters` degrees of freedom, bounds
    /// notwithstanding (the optimiser had the use of a parameter that ended on its bound), which is conservative with few doses;
    /// [`calibration::Calibration::calibrate`] puts one in its place that is uniform on flat curves.
    pub p_value: Option<f64>,
    /// Fall of the fitted viability from untreated cells (from the lowest dose, where untreated wells are neither
    /// part of the curve nor fixed by the model) to the highest dose; negative for a rising curve.
    pub effect: Option<f64>,
    /// Responder, flat or non-responder.
    pub class: Option<ResponseClass>,
    /// log10 of the absolute IC50 (viability one half), molar, at most [`potency::IC50_MARGIN_DECADES`] beyond the
    /// doses tested.
    pub log10_ic50: Option<f64>,
    /// Its standard error (delta method).
    pub log10_ic50_se: Option<f64>,
    /// `none`, `above` or `below`.
    pub ic50_censored: &'static str,
    /// Why the IC50 or its standard error is missing: `above_range`, `below_range`, `rising_curve`,
    /// `standard_error_unidentified`, `no_degrees_of_freedom`, or that of the curve.
    pub ic50_reason: Option<&'static str>,
    /// Mean viability of the fitted curve over the log-dose range tested.
    pub auc: Option<f64>,
    /// `1 - auc`.
    pub aac: Option<f64>,
    /// Drug sensitivity scores 1 to 3 (see [`potency::drug_sensitivity`]); Hill curves only.
    pub dss: Option<[f64; 3]>,
    /// Why the area or the sensitivity scores are missing: `one_dose`, `not_a_hill_curve`, `not_a_dose`.
    pub area_reason: Option<&'static str>,
}

impl Inference {
    fn empty(status: Status) -> Self {
        let reason = status.reason();
        Self {
            status,
            reason: None,
            n_points: 0,
            n_doses: 0,
            log10_dose_low: None,
            log10_dose_high: None,
            sse: None,
            rmse: None,
            r2: None,
            degrees_of_freedom: None,
            sigma: None,
            condition_number: None,
            standard_errors: [None; MAX_PARAMETERS],
            standard_error_reasons: [None; MAX_PARAMETERS],
            f: None,
            p_value: None,
            effect: None,
            class: None,
            log10_ic50: None,
            log10_ic50_se: None,
            ic50_censored: "none",
            ic50_reason: reason,
            auc: None,
            aac: None,
            dss: None,
            area_reason: reason,
        }
    }
}

/// A flat line through the wells of a curve.
struct FlatLine {
    /// Its height: the weighted mean.
    mean: f64,
    /// Sum of the weights.
    weight: f64,
    /// Weighted sum of squares of the wells about it.
    sum_of_squares: f64,
}

fn flat_line(points: &[CurvePoint]) -> FlatLine {
    let weight: f64 = points.iter().map(|p| p.weight).sum();
    let mean = points.iter().map(|p| p.weight * p.response).sum::<f64>() / weight;
    let about_mean =
        points.iter().map(|p| p.weight * (p.response - mean) * (p.response - mean) + p.sum_of_squares.max(0.0));
    FlatLine { mean, weight, sum_of_squares: about_mean.filter(|s| s.is_finite()).sum() }
}

impl Inference {
    /// The class that p and effect speak for, and the reason of a rising curve.
    fn classify(&mut self, flat: &FlatLine) {
        let effect = self.effect.unwrap_or(0.0);
        let is_significant = self.p_value.is_some_and(|p| p < RESPONSE_P);
        let deviation = (flat.sum_of_squares / flat.weight).sqrt();
        self.class = Some(if is_significant && effect >= RESPONSE_EFFECT {
            ResponseClass::Responder
        } else if deviation <= NO_RESPONSE_DEVIATION && (flat.mean - 1.0).abs() <= NO_RESPONSE_SHIFT {
            ResponseClass::NonResponder
        } else {
            ResponseClass::Flat
        });
        // Classified again by another p, a curve may rise no more.
        self.reason = self.reason.filter(|reason| *reason != RISING);
        if is_significant && effect <= -RESPONSE_EFFECT {
            self.reason = self.reason.or(Some(RISING));
        }
    }
}

/// Whether untreated wells are part of a model's curve.
pub(super) fn takes_untreated(model: ModelId) -> bool {
    let model = model.curve_model();
    model.levels_off || model.any_dose
}

/// What may be said of `curve`, fitted by `model` with the outcome `fit`. Pure: may be called from any thread.
pub fn infer(curve: &Curve, fit: &Fit, model: ModelId) -> Inference {
    infer_with(curve, &[], fit, model)
}

/// The same of a curve whose points have a second variable, `x2`; empty where they have none.
pub fn infer_with(curve: &Curve, x2: &[f64], fit: &Fit, model: ModelId) -> Inference {
    // Where the model has no limit at dose zero, untreated wells took no part in the fit.
    let treated_alone = (!takes_untreated(model) && curve.points.iter().any(|p| p.dose == 0.0))
        .then(|| Curve { key: curve.key, points: curve.points.iter().filter(|p| p.dose != 0.0).copied().collect() });
    let curve = treated_alone.as_ref().unwrap_or(curve);
    let treated = curve.points.iter().map(|p| p.dose).filter(|d| *d > 0.0 && d.is_finite());
    let (low, high) = treated.clone().fold((f64::INFINITY, 0.0f64), |(low, high), d| (low.min(d), high.max(d)));
    let mut inference = Inference::empty(fit.status);
    inference.n_points = curve.points.iter().map(|p| p.n).sum();
    inference.n_doses = treated.count() as u32;
    if high > 0.0 {
        inference.log10_dose_low = Some(libm::log10(low));
        inference.log10_dose_high = Some(libm::log10(high));
    }
    let usable = |p: &CurvePoint| {
        (p.dose >= 0.0 || model.curve_model().any_dose)
            && p.dose.is_finite()
            && p.response.is_finite()
            && p.weight > 0.0
            && p.weight.is_finite()
    };
    if !fit.status.is_fitted() {
        return inference;
    }
    let count = model.parameters().len();
    let has_doses = high > 0.0 || model.curve_model().any_dose;
    if !has_doses || !curve.points.iter().all(usable) || !fit.parameters[..count].iter().all(|p| p.is_finite()) {
        let reason = Some("bad_value");
        return Inference { reason, ic50_reason: reason, area_reason: reason, ..inference };
    }
    let model = model.curve_model();
    let parameters = &fit.parameters[..count];
    let unit = libm::log(model.dose_unit);
    let (ln_low, ln_high) = (libm::log(low) - unit, libm::log(high) - unit);
    Infer { curve, x2, fit, model, parameters, ln_low, ln_high, inference }.infer()
}

struct Infer<'a> {
    curve: &'a Curve,
    x2: &'a [f64],
    fit: &'a Fit,
    model: &'static CurveModel,
    parameters: &'a [f64],
    ln_low: f64,
    ln_high: f64,
    inference: Inference,
}

impl Infer<'_> {
    fn infer(mut self) -> Inference {
        let precision = self.sums();
        self.significance();
        self.precision(&precision);
        if self.model.any_dose || self.model.uses_x2 {
            // Neither the fall from untreated cells nor potency has a meaning.
            self.inference.effect = None;
            self.inference.class = None;
            self.inference.ic50_reason = Some("not_a_dose");
            self.inference.area_reason = Some("not_a_dose");
        } else {
            self.potency(&precision);
        }
        self.inference
    }

    fn at_bound(&self, parameter: usize) -> bool {
        self.fit.at_bound >> parameter & 1 == 1
    }

    /// Sums of squares about the curve and about the mean, and the normal matrix.
    fn sums(&mut self) -> Precision {
        let n = self.parameters.len();
        let points = &self.curve.points;
        let mut normal: Matrix = Default::default();
        let (mut about_curve, mut weight) = (0.0, 0.0);
        let mut columns = vec![Vec::new(); if self.model.polished { n } else { 0 }];
        for (k, p) in points.iter().enumerate() {
            let point = self.model.point(p.dose, self.x2.get(k).copied().unwrap_or(0.0));
            let (fitted, gradient) = self.model.response_and_gradient(point, self.parameters);
            for (column, slope) in columns.iter_mut().zip(gradient) {
                column.push(p.weight.sqrt() * slope);
            }
            about_curve += p.weight * (p.response - fitted) * (p.response - fitted);
            weight += p.weight;
            for (row, along) in normal.iter_mut().zip(gradient).take(n) {
                for (entry, across) in row.iter_mut().zip(gradient).take(n) {
                    *entry += p.weight * along * across;
                }
            }
        }
        // Recomputed rather than taken from the fit, which on a GPU was summed in single precision.
        let pure_error: f64 = points.iter().map(|p| p.sum_of_squares.max(0.0)).filter(|s| s.is_finite()).sum();
        let sse = about_curve + pure_error;
        self.inference.sse = Some(sse);
        self.inference.rmse = Some((sse / weight).sqrt());
        let free = from_fn(|i| i < n && !self.at_bound(i));
        let free_count = free.iter().filter(|f| **f).count() as u32;
        match self.inference.n_points.checked_sub(free_count).filter(|df| *df > 0) {
            Some(df) => {
                self.inference.degrees_of_freedom = Some(df);
                self.inference.sigma = Some((sse / f64::from(df)).sqrt());
            }
            None => {
                self.inference.reason = self.inference.reason.or(Some("no_degrees_of_freedom"));
            }
        }
        if self.model.polished { Precision::of_jacobian(columns, free) } else { Precision::new(&normal, n, free) }
    }

    /// r², F-test against the weighted mean, effect and class.
    fn significance(&mut self) {
        let count = self.parameters.len() as f64;
        let points = &self.curve.points;
        let flat = flat_line(points);
        let (mean, weight, about_mean) = (flat.mean, flat.weight, flat.sum_of_squares);
        let sse = self.inference.sse.unwrap_or(about_mean);
        // Rounding alone leaves this much about the mean of identical values.
        if about_mean > 1e-28 * weight * mean * mean {
            self.inference.r2 = Some(1.0 - sse / about_mean);
            let wells = f64::from(self.inference.n_points);
            let (numerator, denominator) = (count - 1.0, wells - count);
            if numerator > 0.0 && denominator > 0.0 {
                let f = ((about_mean - sse).max(0.0) / numerator) / (sse / denominator);
                let p = special::f_upper_tail(f, numerator, denominator);
                // A curve through every well: the statistic is infinite, the tail is exactly 0.
                self.inference.f = Some(f).filter(|f| f.is_finite());
                self.inference.p_value = Some(p);
            } else {
                let reason = if numerator > 0.0 { "no_degrees_of_freedom" } else { "flat_model" };
                self.inference.reason = self.inference.reason.or(Some(reason));
            }
        } else {
            self.inference.reason = self.inference.reason.or(Some("constant_response"));
        }
        let has_untreated = points.iter().any(|p| p.dose == 0.0) || self.model.baseline.is_none();
        let begin = if has_untreated && self.model.levels_off { LN_DOSE_ZERO } else { self.ln_low };
        let effect = self.model.response_at_ln_dose(begin, self.parameters)
            - self.model.response_at_ln_dose(self.ln_high, self.parameters);
        self.inference.effect = Some(effect);
        self.inference.classify(&flat);
    }

    /// Standard errors and condition number.
    fn precision(&mut self, precision: &Precision) {
        let count = self.parameters.len();
        self.inference.condition_number = precision.condition_number();
        for i in 0..count {
            let mut unit = [0.0; MAX_PARAMETERS];
            unit[i] = 1.0;
            let outcome = if self.at_bound(i) {
                Err("at_bound")
            } else {
                match (self.inference.sigma, precision.variance(&unit)) {
                    (None, _) => Err("no_degrees_of_freedom"),
                    (_, None) => Err("unidentified"),
                    (Some(sigma), Some(variance)) => Ok(sigma * variance.sqrt()),
                }
            };
            match outcome {
                Ok(error) => self.inference.standard_errors[i] = Some(error),
                Err(reason) => self.inference.standard_error_reasons[i] = Some(reason),
            }
        }
    }

    /// IC50, area, sensitivity scores.
    fn potency(&mut self, precision: &Precision) {
        let (model, parameters) = (self.model, self.parameters);
        let unit = libm::log(model.dose_unit);
        let (ln_low, ln_high) = (self.ln_low, self.ln_high);
        self.inference.ic50_reason = None;
        self.inference.area_reason = None;
        match potency::half_dose(model, parameters, ln_low, ln_high) {
            HalfDose::At(x) => {
                self.inference.log10_ic50 = Some((x + unit) / LN_10);
                let (_, gradient) = model.response_and_gradient(model.point_at_ln_dose(x), parameters);
                let slope = model.slope_at_ln_dose(x, parameters);
                let variance = potency::half_dose_gradient(&gradient, slope).and_then(|g| precision.variance(&g));
                match (self.inference.sigma, variance) {
                    (Some(sigma), Some(v)) => self.inference.log10_ic50_se = Some(sigma * v.sqrt() / LN_10),
                    (None, _) => self.inference.ic50_reason = Some("no_degrees_of_freedom"),
                    (_, None) => self.inference.ic50_reason = Some("standard_error_unidentified"),
                }
            }
            HalfDose::Above => {
                self.inference.ic50_censored = "above";
                self.inference.ic50_reason = Some("above_range");
            }
            HalfDose::Below => {
                self.inference.ic50_censored = "below";
                self.inference.ic50_reason = Some("below_range");
            }
            HalfDose::Rising => self.inference.ic50_reason = Some("rising_curve"),
        }
        self.inference.auc = potency::mean_viability(model, parameters, ln_low, ln_high);
        self.inference.aac = self.inference.auc.map(|auc| 1.0 - auc);
        let hill = potency::hill_form(model, parameters);
        self.inference.dss = hill.and_then(|c| potency::drug_sensitivity(&c, ln_low, ln_high));
        if self.inference.auc.is_none() {
            self.inference.area_reason = Some("one_dose");
        } else if hill.is_none() {
            self.inference.area_reason = Some("not_a_hill_curve");
        }
    }
}
