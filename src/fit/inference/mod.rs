//! From a fitted curve to what may be said of it: precision, significance, class, potency, area.
//!
//! Replicates were collapsed before the fit; their scatter (pure error) is put back here, so sums of squares and
//! degrees of freedom are those of a fit to single wells.

pub mod calibration;
pub mod covariance;
mod doses;
mod eigenvalues;
mod examine;
pub mod growth;
pub mod intervals;
pub mod potency;
pub mod profile;
pub mod search;
mod table;

use super::{Fit, MAX_PARAMETERS, Status};
use crate::model::ModelId;
use crate::screen::code::{self, Code};
use crate::screen::dose_matrix::{Curve, CurvePoint};
use examine::Examiner;
pub use intervals::{IntervalKind, Intervals, intervals};
use rayon::prelude::*;
pub use table::{append_columns, append_columns_of_models, append_intervals, table};

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
/// Curves examined by a thread at a time.
const BLOCK: usize = 1024;

/// Whether a drug does something to a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
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
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Inference {
    /// How the fit ended.
    pub status: Status,
    /// Why statistics of a fitted curve are missing or restricted, beside the reason of `status`: `bad_value`,
    /// `no_degrees_of_freedom`, `constant_response`, `rising_curve`.
    #[serde(deserialize_with = "code::read")]
    pub reason: Option<Code>,
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
    #[serde(deserialize_with = "code::read")]
    pub standard_error_reasons: [Option<Code>; MAX_PARAMETERS],
    /// F statistic of the curve against a flat line.
    pub f: Option<f64>,
    /// Its upper tail: from [`infer`] with `parameters - 1` and `wells - parameters` degrees of freedom, bounds
    /// notwithstanding (the optimiser had the use of a parameter that ended on its bound), which is conservative with few
    /// doses; [`calibration::Calibration::calibrate`] puts one in its place that is uniform on flat curves.
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
    #[serde(deserialize_with = "code::read")]
    pub ic50_censored: Code,
    /// Why the IC50 or its standard error is missing: `above_range`, `below_range`, `rising_curve`,
    /// `standard_error_unidentified`, `no_degrees_of_freedom`, or that of the curve.
    #[serde(deserialize_with = "code::read")]
    pub ic50_reason: Option<Code>,
    /// Mean viability of the fitted curve over the log-dose range tested.
    pub auc: Option<f64>,
    /// Mean of the observed responses over the log-dose range tested, by trapezoids between the means of the doses above
    /// zero.
    pub auc_observed: Option<f64>,
    /// `1 - auc`.
    pub aac: Option<f64>,
    /// Drug sensitivity scores 1 to 3 (see [`potency::drug_sensitivity`]); Hill curves only.
    pub dss: Option<[f64; 3]>,
    /// The same by PharmacoGx's definitions (see [`potency::drug_sensitivity_pharmacogx`]), on its scale of 0 to 1.
    pub dss_pharmacogx: Option<[f64; 3]>,
    /// Why the area or the sensitivity scores are missing: `one_dose`, `not_a_hill_curve`, `not_a_dose`.
    #[serde(deserialize_with = "code::read")]
    pub area_reason: Option<Code>,
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
            auc_observed: None,
            aac: None,
            dss: None,
            dss_pharmacogx: None,
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
    /// The class anew, after p has changed.
    pub(super) fn reclassify(&mut self, points: &[CurvePoint]) {
        self.classify(&flat_line(points));
    }

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

/// What may be said of `curve`, fitted by `model` with the outcome `fit`. Pure: may be called from any thread. For many
/// curves, [`infer_all`] says the same in a fraction of the time.
pub fn infer(curve: &Curve, fit: &Fit, model: ModelId) -> Inference {
    let mut found = [Inference::empty(fit.status)];
    Examiner::new(model).examine(std::slice::from_ref(curve), std::slice::from_ref(fit), &mut found);
    let [found] = found;
    found
}

/// The same of a curve whose points have a second variable, `x2`.
pub fn infer_with(curve: &Curve, x2: &[f64], fit: &Fit, model: ModelId) -> Inference {
    let mut found = [Inference::empty(fit.status)];
    let mut examiner = Examiner::with_second_variable(model, x2);
    examiner.examine(std::slice::from_ref(curve), std::slice::from_ref(fit), &mut found);
    let [found] = found;
    found
}

/// Whether untreated wells are part of a model's curve.
pub(super) fn takes_untreated(model: ModelId) -> bool {
    let model = model.curve_model();
    model.levels_off || model.any_dose
}

/// The same of many curves; `x2` has the second variable of each one's points, or nothing.
pub fn infer_all_with(curves: &[Curve], x2: &[Vec<f64>], fits: &[Fit], model: ModelId) -> Vec<Inference> {
    if x2.is_empty() {
        return infer_all(curves, fits, model);
    }
    let infer = |((curve, x2), fit): ((&Curve, &Vec<f64>), &Fit)| infer_with(curve, x2, fit, model);
    curves.par_iter().zip(x2).zip(fits).map(infer).collect()
}

/// What may be said of each of the curves, in their order; on several threads. Bit by bit what [`infer`] says.
pub fn infer_all(curves: &[Curve], fits: &[Fit], model: ModelId) -> Vec<Inference> {
    let mut inferences: Vec<Inference> = fits.iter().map(|fit| Inference::empty(fit.status)).collect();
    inferences
        .par_chunks_mut(BLOCK)
        .zip(curves.par_chunks(BLOCK).zip(fits.par_chunks(BLOCK)))
        .for_each(|(inferences, (curves, fits))| Examiner::new(model).examine(curves, fits, inferences));
    inferences
}
