//! Curve models side by side on the same curves: what the data say of each, and how well each predicts a dose that it has
//! not seen.
//!
//! - **AICc** as in [`super::model_choice`]; **BIC** is `n ln(sse / n) + (k + 1) ln n` (Schwarz 1978,
//!   doi 10.1214/aos/1176344136), of the same wells.
//! - **Cross-validated error**: each dose between a curve's lowest and highest (dose zero left aside) is left out in turn with
//!   all its replicates, the model is fitted to the others, and its response there compared with the mean that was measured.
//!   The ends are not left out: what a model does beyond the doses tested is no question of fit.

use super::inference::{infer, takes_untreated};
use super::model_choice::aicc;
use super::{CurveSet, FitSettings};
use crate::Result;
use crate::backend::Backend;
use crate::screen::dose_matrix::{Curve, CurvePoint};
use rayon::prelude::*;

/// Curves whose parts are fitted in one batch.
const TOGETHER: usize = 4096;
/// Residuals below this share of the responses are rounding: models that reach it are equally exact.
const ROUNDING: f64 = 1e-13;

/// One model of one curve.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Compared {
    /// Weighted sum of squares of the wells.
    pub sse: Option<f64>,
    /// Corrected Akaike criterion, up to a constant that all models of the curve share.
    pub aicc: Option<f64>,
    /// Bayesian criterion, up to such a constant.
    pub bic: Option<f64>,
    /// Probability of being the best of the models compared, given that one of them is.
    pub akaike_weight: Option<f64>,
    /// Root of the weighted mean square of the errors at doses left out, a viability.
    pub cross_validated: Option<f64>,
    /// Doses that were left out and predicted.
    pub n_predicted: usize,
    /// Why a number is missing: `no_place_for_untreated`, `too_few_wells`, `no_dose_to_leave_out`,
    /// `too_few_doses_without_one`, or the reason of the fit.
    pub reason: Option<&'static str>,
}

/// The models compared, in their order, for every curve.
///
/// # Errors
/// Those of the back end.
pub fn compare(curves: &[Curve], models: &[FitSettings], backend: &dyn Backend) -> Result<Vec<Vec<Compared>>> {
    let mut all = Vec::with_capacity(curves.len());
    for curves in curves.chunks(TOGETHER) {
        let mut by_model = Vec::with_capacity(models.len());
        for settings in models {
            by_model.push(of_model(curves, settings, backend)?);
        }
        for i in 0..curves.len() {
            let mut row: Vec<Compared> = by_model.iter().map(|model| model[i].clone()).collect();
            weigh(&mut row);
            all.push(row);
        }
    }
    Ok(all)
}

/// Akaike weights of the models of one curve.
fn weigh(row: &mut [Compared]) {
    let Some(best) = row.iter().filter_map(|one| one.aicc).reduce(f64::min) else { return };
    let likelihood = |aicc: f64| libm::exp(0.5 * (best - aicc));
    let sum: f64 = row.iter().filter_map(|one| one.aicc.map(likelihood)).sum();
    row.iter_mut().for_each(|one| one.akaike_weight = one.aicc.map(|aicc| likelihood(aicc) / sum));
}

fn of_model(curves: &[Curve], settings: &FitSettings, backend: &dyn Backend) -> Result<Vec<Compared>> {
    let model = settings.model;
    let triple = |p: &CurvePoint| (p.dose, p.response, p.weight);
    let competes = |curve: &Curve| takes_untreated(model) || curve.points.iter().all(|p| p.dose != 0.0);
    let mut whole = CurveSet::new();
    // Of each part: its curve, and the point that it lacks.
    let (mut parts, mut lacks) = (CurveSet::new(), Vec::new());
    for (i, curve) in curves.iter().enumerate() {
        whole.push(None, curve.points.iter().map(triple));
        for left_out in inner(curve).filter(|_| competes(curve)) {
            let rest = curve.points.iter().enumerate().filter(|(at, _)| *at != left_out).map(|(_, p)| triple(p));
            parts.push(None, rest);
            lacks.push((i, left_out));
        }
    }
    let fits = backend.fit(settings, &whole)?;
    let of_parts = backend.fit(settings, &parts)?;
    let mut errors = vec![(0.0, 0.0, 0usize); curves.len()];
    for ((i, left_out), fit) in lacks.iter().zip(&of_parts) {
        let point = &curves[*i].points[*left_out];
        let error = point.response - model.response(point.dose, &fit.parameters);
        if fit.status.is_fitted() && error.is_finite() {
            let (squares, weight, n) = &mut errors[*i];
            *squares += point.weight * error * error;
            *weight += point.weight;
            *n += 1;
        }
    }
    let of = |(i, curve): (usize, &Curve)| {
        if !competes(curve) {
            return Compared { reason: Some("no_place_for_untreated"), ..Compared::default() };
        }
        let inference = infer(curve, &fits[i], model);
        let k = model.parameters().len();
        let squares: f64 = curve.points.iter().map(|p| p.weight * p.response * p.response + p.sum_of_squares).sum();
        let exact = ROUNDING * ROUNDING * squares + f64::MIN_POSITIVE;
        let (wells, sse) = (inference.n_points, inference.sse);
        let n = f64::from(wells);
        let bic = |sse: f64| n * libm::log(sse.max(exact) / n) + (k as f64 + 1.0) * libm::log(n);
        let aicc = sse.and_then(|sse| aicc(sse.max(exact), wells, k));
        let (squares, weight, n_predicted) = errors[i];
        let reason = match () {
            () if sse.is_none() => fits[i].status.reason().or(inference.reason).or(Some("bad_value")),
            () if aicc.is_none() => Some("too_few_wells"),
            () if n_predicted > 0 => None,
            () if inner(curve).next().is_none() => Some("no_dose_to_leave_out"),
            () => Some("too_few_doses_without_one"),
        };
        Compared {
            sse,
            aicc,
            bic: sse.filter(|_| wells > 0).map(bic),
            akaike_weight: None,
            cross_validated: (n_predicted > 0 && weight > 0.0).then(|| (squares / weight).sqrt()),
            n_predicted,
            reason,
        }
    };
    Ok(curves.par_iter().enumerate().map(of).collect())
}

/// Points between the lowest and the highest dose above zero.
fn inner(curve: &Curve) -> impl Iterator<Item = usize> + '_ {
    let first = curve.points.iter().position(|p| p.dose > 0.0).unwrap_or(curve.points.len());
    first + 1..curve.points.len().saturating_sub(1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use crate::math::random::standard_normal;
    use crate::model::ModelId;
    use crate::screen::dose_matrix::CurveKey;

    fn curve(unit: u64, doses: &[f64], response: impl Fn(f64) -> f64, noise: f64) -> Curve {
        let point = |(i, dose): (usize, &f64)| CurvePoint {
            dose: *dose,
            response: response(*dose) + noise * standard_normal(3, unit, 0, i as u32),
            weight: 1.0,
            n: 1,
            sum_of_squares: 0.0,
        };
        let key = CurveKey { line: 0, drug: 0, schedule: None };
        Curve { key, points: doses.iter().enumerate().map(point).collect() }
    }

    fn doses(n: usize) -> Vec<f64> {
        (0..n).map(|i| 1e-9 * libm::exp10(i as f64 * 4.0 / (n - 1) as f64)).collect()
    }

    #[test]
    fn the_error_of_a_straight_line_is_its_closed_form() {
        // Leaving a point out of least squares multiplies its residual by 1 / (1 - leverage) (Allen 1974).
        let x = doses(9);
        let curve = curve(1, &x, |dose| 0.3 - 0.05 * libm::log(dose / 1e-7), 0.05);
        let found = compare(std::slice::from_ref(&curve), &[FitSettings::new(ModelId::LogLinear)], &Cpu).expect("fits");
        let ln: Vec<f64> = x.iter().map(|dose| libm::log(*dose)).collect();
        let y: Vec<f64> = curve.points.iter().map(|p| p.response).collect();
        let n = x.len() as f64;
        let (mean_x, mean_y) = (ln.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
        let sxx: f64 = ln.iter().map(|x| (x - mean_x) * (x - mean_x)).sum();
        let slope = ln.iter().zip(&y).map(|(x, y)| (x - mean_x) * (y - mean_y)).sum::<f64>() / sxx;
        let residual = |i: usize| y[i] - mean_y - slope * (ln[i] - mean_x);
        let leverage = |i: usize| 1.0 / n + (ln[i] - mean_x) * (ln[i] - mean_x) / sxx;
        let left_out = (1..8).map(|i| residual(i) / (1.0 - leverage(i))).map(|e| e * e).sum::<f64>() / 7.0;
        let found = &found[0][0];
        assert_eq!(found.n_predicted, 7);
        let error = found.cross_validated.expect("an error");
        assert!((error - left_out.sqrt()).abs() < 1e-9, "{error} {}", left_out.sqrt());
        let sse: f64 = (0..9).map(|i| residual(i) * residual(i)).sum();
        let bic = 9.0 * libm::log(sse / 9.0) + 3.0 * libm::log(9.0);
        assert!((found.bic.expect("a criterion") - bic).abs() < 1e-6);
    }

    #[test]
    fn the_model_that_made_the_data_predicts_them_best() {
        let x = doses(16);
        let two_falls =
            |dose: f64| 0.3 + 0.35 / (1.0 + (dose / 1e-8) * (dose / 1e-8)) + 0.35 / (1.0 + (dose / 2e-6).powi(3));
        let one_fall = |dose: f64| 0.1 + 0.9 / (1.0 + dose / 1e-7);
        let models = [ModelId::Flat, ModelId::Hill4, ModelId::Biphasic].map(FitSettings::new);
        for (truth, best) in [(&two_falls as &dyn Fn(f64) -> f64, 2), (&one_fall, 1), (&|_| 0.8, 0)] {
            let curves: Vec<Curve> = (0..40).map(|unit| curve(unit, &x, truth, 0.02)).collect();
            let found = compare(&curves, &models, &Cpu).expect("fits");
            let wins = |value: fn(&Compared) -> Option<f64>| {
                let is_best = |row: &&Vec<Compared>| {
                    let of = |m: usize| value(&row[m]).unwrap_or(f64::INFINITY);
                    (0..3).all(|m| of(best) <= of(m))
                };
                found.iter().filter(is_best).count()
            };
            assert!(
                wins(|c| c.aicc) >= 30 && wins(|c| c.bic) >= 30,
                "{best}: {} {}",
                wins(|c| c.aicc),
                wins(|c| c.bic)
            );
            // Where simpler models are nested in it, errors of prediction differ by little.
            assert!(wins(|c| c.cross_validated) >= 20, "{best}: {}", wins(|c| c.cross_validated));
            let weights: f64 = found[0].iter().filter_map(|c| c.akaike_weight).sum();
            assert!((weights - 1.0).abs() < 1e-12);
        }
    }

    #[test]
    fn what_cannot_be_compared_says_why() {
        let reason = |doses: &[f64], model: ModelId| {
            let curve = curve(1, doses, |dose| 1.0 / (1.0 + dose / 1e-7), 0.01);
            let found = compare(&[curve], &[FitSettings::new(model)], &Cpu).expect("fits");
            (found[0][0].reason, found[0][0].cross_validated.is_some())
        };
        assert_eq!(reason(&doses(9), ModelId::Hill2), (None, true));
        assert_eq!(reason(&[0.0, 1e-8, 1e-7, 1e-6], ModelId::LogLinear), (Some("no_place_for_untreated"), false));
        assert_eq!(reason(&[1e-8, 1e-6], ModelId::Flat).0, Some("too_few_wells"));
        assert_eq!(reason(&doses(3), ModelId::Hill4), (Some("too_few_doses"), false));
    }
}
