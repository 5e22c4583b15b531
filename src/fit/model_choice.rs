//! Which of several models each curve calls for: the corrected Akaike criterion (Hurvich & Tsai 1989,
//! doi 10.1093/biomet/76.2.297), which charges for parameters what they can be expected to gain on nothing but noise,
//! and more where wells are few.

use super::inference::{Inference, infer, takes_untreated};
use super::{CurveSet, Fit, FitSettings};
use crate::backend::Backend;
use crate::model::ModelId;
use crate::screen::dose_matrix::Curve;
use crate::{Error, Result};
use rayon::prelude::*;

/// What `auto` chooses from: no effect, Hill curves of two to four parameters, and two falls. Each says something about a drug
/// that the one before cannot. Left out are the Weibull and five-parameter curves, which bend Hill's by less than the
/// noise of a screen, hormesis, which one high well at a low dose calls for, and the straight line, which has no place
/// for untreated wells.
pub const USUAL: [ModelId; 5] = [ModelId::Flat, ModelId::Hill2, ModelId::Hill3, ModelId::Hill4, ModelId::Biphasic];

/// Residuals below this share of the responses are rounding: models that reach it are equally exact.
const ROUNDING: f64 = 1e-13;

/// The model chosen for a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct ModelChoice {
    /// The model: that of the lowest criterion. Where there is none, the fitted model with the fewest parameters,
    /// and if none could be fitted, the one with the fewest of all.
    pub model: ModelId,
    /// Its fit.
    pub fit: Fit,
    /// What may be said of it. There is no p and no class: after a choice the chosen model's F-test would be too
    /// sure of itself (reason `model_chosen`).
    pub inference: Inference,
    /// Corrected Akaike criterion of the chosen model, up to a constant that is the same for all models of the curve.
    pub aicc: Option<f64>,
    /// Probability of being the best of the set, given that one of it is: Akaike weight.
    pub akaike_weight: Option<f64>,
    /// Why there is no criterion: `too_few_wells` for any model fitted (wells must outnumber the parameters by 3), or
    /// the reason of the fit.
    pub reason: Option<&'static str>,
}

/// Corrected Akaike criterion of a least-squares fit with `parameters` free parameters and the residual variance;
/// `None` where wells are too few for the correction.
pub fn aicc(sse: f64, wells: u32, parameters: usize) -> Option<f64> {
    let (n, k) = (f64::from(wells), parameters as f64 + 1.0);
    let rest = n - k - 1.0;
    (rest > 0.0 && sse > 0.0 && sse.is_finite()).then(|| n * libm::log(sse / n) + 2.0 * k + 2.0 * k * (k + 1.0) / rest)
}

/// Reads `auto`, or `auto:hill3,hill4,biphasic`; `None` for a text that does not begin so.
///
/// # Errors
/// [`Error::Setting`] for `model`: a name that is unknown or said twice, or fewer than two.
pub fn parse_set(text: &str) -> Result<Option<Vec<ModelId>>> {
    let text = text.trim();
    if text.eq_ignore_ascii_case("auto") {
        return Ok(Some(USUAL.to_vec()));
    }
    let Some((head, names)) = text.split_once(':').filter(|(head, _)| head.eq_ignore_ascii_case("auto")) else {
        return Ok(None);
    };
    let refuse = |problem: String| {
        let hint = Some(format!("for example: --model {head}:hill3,hill4,biphasic"));
        Error::Setting { key: "model".into(), problem, hint }
    };
    let mut set: Vec<ModelId> = Vec::new();
    for name in names.split(',') {
        let model = ModelId::parse(name).ok_or_else(|| refuse(format!("unknown model `{}`", name.trim())))?;
        if set.contains(&model) {
            return Err(refuse(format!("`{}` is named twice", model.name())));
        }
        set.push(model);
    }
    if set.len() < 2 {
        return Err(refuse("there is nothing to choose from one model".into()));
    }
    Ok(Some(set))
}

/// Fits every curve with every model of `set`, in one batch a model, and chooses. Models are compared on the same
/// wells: one that has no place for untreated wells does not compete where there are some.
///
/// # Errors
/// Those of the back end; [`Error::Setting`] for an empty set.
pub fn choose_models(curves: &[Curve], set: &[FitSettings], backend: &dyn Backend) -> Result<Vec<ModelChoice>> {
    let mut batch = CurveSet::new();
    for curve in curves {
        batch.push(None, curve.points.iter().map(|p| (p.dose, p.response, p.weight)));
    }
    // The simplest first: it is kept where criteria are equal.
    let mut set: Vec<&FitSettings> = set.iter().collect();
    set.sort_by_key(|settings| settings.model.parameters().len());
    if set.is_empty() {
        return Err(Error::setting("model", "names no model to choose from"));
    }
    let fits = set.iter().map(|settings| backend.fit(settings, &batch)).collect::<Result<Vec<_>>>()?;
    let choose = |(i, curve): (usize, &Curve)| {
        let candidates = set.iter().zip(&fits).map(|(settings, fits)| Candidate::new(curve, fits[i], settings.model));
        choice(candidates.collect())
    };
    // The set is not empty, and so every curve has a choice.
    Ok(curves.par_iter().enumerate().filter_map(choose).collect())
}

struct Candidate {
    model: ModelId,
    fit: Fit,
    inference: Inference,
    competes: bool,
    aicc: Option<f64>,
}

impl Candidate {
    fn new(curve: &Curve, fit: Fit, model: ModelId) -> Self {
        let inference = infer(curve, &fit, model);
        let competes = takes_untreated(model) || curve.points.iter().all(|p| p.dose != 0.0);
        let squares: f64 = curve.points.iter().map(|p| p.weight * p.response * p.response + p.sum_of_squares).sum();
        let exact = ROUNDING * ROUNDING * squares + f64::MIN_POSITIVE;
        let criterion =
            inference.sse.and_then(|sse| aicc(sse.max(exact), inference.n_points, model.parameters().len()));
        Self { model, fit, inference, competes, aicc: criterion.filter(|_| competes) }
    }
}

/// The best of candidates, the simplest of which comes first.
fn choice(candidates: Vec<Candidate>) -> Option<ModelChoice> {
    let mut best: Option<f64> = None;
    let mut chosen = None;
    for (i, candidate) in candidates.iter().enumerate() {
        if let Some(aicc) = candidate.aicc.filter(|aicc| best.is_none_or(|best| *aicc < best)) {
            best = Some(aicc);
            chosen = Some(i);
        }
    }
    let weight = best.map(|best| {
        let others = candidates.iter().filter_map(|c| c.aicc);
        1.0 / others.map(|aicc| libm::exp(0.5 * (best - aicc))).sum::<f64>()
    });
    let fitted = || candidates.iter().position(|c| c.competes && c.inference.sse.is_some());
    let chosen = chosen.or_else(fitted).unwrap_or(0);
    let Candidate { model, fit, mut inference, aicc, .. } = candidates.into_iter().nth(chosen)?;
    let reason = match aicc {
        Some(_) => None,
        None if inference.sse.is_some() => Some("too_few_wells"),
        None => fit.status.reason().or(inference.reason).or(Some("bad_value")),
    };
    if inference.sse.is_some() {
        inference.f = None;
        inference.p_value = None;
        inference.class = None;
        inference.reason = inference.reason.filter(|r| *r != "flat_model").or(Some("model_chosen"));
    }
    Some(ModelChoice { model, fit, inference, aicc, akaike_weight: weight, reason })
}
