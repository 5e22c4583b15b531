//! Fits that outliers do not rule: M-estimates by iteratively reweighted least squares (Huber & Ronchetti 2009, Robust
//! Statistics, doi 10.1002/9780470434697), over single wells: replicates must not have been collapsed, or one bad well
//! would take its whole dose along.
//!
//! 1. The start is a least-squares fit to the responses smoothed by running medians of three doses (Tukey), which no
//!    lone outlier moves.
//! 2. Huber's loss: residuals beyond 1.345 scales pull no harder than those at it. The scale is 1.4826 times the median
//!    absolute residual, corrected for the parameters by `sqrt(n / (n - p))`, renewed every round.
//! 3. Tukey's loss goes on from there with the scale held: residuals beyond 4.685 scales do not pull at all.
//!
//! Each round fits all curves that have not settled, with new weights, in one batch.

use super::inference::Inference;
use super::inference::infer_all;
use super::{CurveSet, Fit, FitSettings};
use crate::Result;
use crate::backend::Backend;
use crate::backend::cpu::descend_from;
use crate::math::special::FTail;
use crate::screen::dose_matrix::{Curve, CurvePoint};

/// Huber's and Tukey's tuning constants: 95 % efficiency with normal noise.
const HUBER: f64 = 1.345;
const TUKEY: f64 = 4.685;
/// Median absolute deviation to standard deviation, for normal noise.
const MAD_TO_DEVIATION: f64 = 1.4826;
/// Rounds at most, each loss.
const ROUNDS: usize = 50;
/// A curve has settled when no fitted response moves by more than this share of the scale.
const SETTLED: f64 = 1e-4;
/// The fitter takes no weight of zero; this is as good as none.
const LEAST_WEIGHT: f64 = 1e-12;
/// A well with less than this weight counts as an outlier.
const DOWNWEIGHTED: f64 = 0.5;

/// What a residual costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Loss {
    /// Its square.
    #[default]
    LeastSquares,
    /// Huber's: its square up to 1.345 scales, then its size.
    Huber,
    /// Tukey's bisquare: bounded.
    Tukey,
}

impl Loss {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Loss::LeastSquares => "ls",
            Loss::Huber => "huber",
            Loss::Tukey => "tukey",
        }
    }

    /// Weight of a residual of `u` scales: psi over u.
    fn weight(self, u: f64) -> f64 {
        let size = u.abs();
        match self {
            Loss::LeastSquares => 1.0,
            Loss::Huber => (HUBER / size).min(1.0),
            Loss::Tukey => (1.0 - (size / TUKEY).powi(2)).max(0.0).powi(2),
        }
    }

    /// Cost: half the square for small residuals.
    fn rho(self, u: f64) -> f64 {
        let size = u.abs();
        match self {
            Loss::Huber if size > HUBER => HUBER * (size - 0.5 * HUBER),
            Loss::LeastSquares | Loss::Huber => 0.5 * u * u,
            Loss::Tukey => TUKEY * TUKEY / 6.0 * (1.0 - (1.0 - (size / TUKEY).powi(2)).max(0.0).powi(3)),
        }
    }

    /// Derivative of psi, the derivative of the cost.
    fn psi_slope(self, u: f64) -> f64 {
        let size = u.abs();
        match self {
            Loss::LeastSquares => 1.0,
            Loss::Huber => f64::from(u8::from(size <= HUBER)),
            Loss::Tukey => {
                let share = (size / TUKEY).powi(2);
                if share < 1.0 { (1.0 - share) * (1.0 - 5.0 * share) } else { 0.0 }
            }
        }
    }
}

/// What a robust fit found beside its parameters.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Robust {
    /// Scale of the residuals of a well of weight 1; `None` where there are not more wells than parameters, and the
    /// fit is least squares.
    pub scale: Option<f64>,
    /// Wells with a weight below one half.
    pub n_downweighted: Option<u32>,
    /// Final weights of the wells, each at most 1.
    pub weights: Vec<f64>,
}

/// A curve on its way.
struct State {
    /// Residual in scales, times the square root of the well's own weight.
    residuals: Vec<f64>,
    scale: f64,
    settled: bool,
}

fn fitted(curve: &Curve, fit: &Fit, settings: &FitSettings) -> Vec<f64> {
    let model = settings.model.curve_model();
    curve.points.iter().map(|p| model.response(p.dose, 0.0, &fit.parameters)).collect()
}

fn residuals(curve: &Curve, fit: &Fit, settings: &FitSettings) -> Vec<f64> {
    let fitted = fitted(curve, fit, settings);
    curve.points.iter().zip(fitted).map(|(p, f)| p.weight.sqrt() * (p.response - f)).collect()
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    let n = values.len();
    match n {
        0 => 0.0,
        _ if n % 2 == 1 => values[n / 2],
        _ => 0.5 * (values[n / 2 - 1] + values[n / 2]),
    }
}

/// The scale of residuals, corrected for the parameters that were fitted to them; never zero.
fn scale(residuals: &[f64], parameters: usize) -> f64 {
    let n = residuals.len() as f64;
    let mut sizes: Vec<f64> = residuals.iter().map(|r| r.abs()).collect();
    let correction = (n / (n - parameters as f64).max(1.0)).sqrt();
    (MAD_TO_DEVIATION * correction * median(&mut sizes)).max(1e-9)
}

/// The curve with each response replaced by the running median of three doses (the median of its replicates first);
/// the ends by Tukey's rule.
fn smoothed(curve: &Curve) -> Vec<f64> {
    let groups: Vec<&[CurvePoint]> = curve.points.chunk_by(|a, b| a.dose == b.dose).collect();
    let medians: Vec<f64> =
        groups.iter().map(|g| median(&mut g.iter().map(|p| p.response).collect::<Vec<_>>())).collect();
    let n = medians.len();
    let mut running = medians.clone();
    for k in 1..n.saturating_sub(1) {
        running[k] = median(&mut [medians[k - 1], medians[k], medians[k + 1]]);
    }
    if n > 2 {
        running[0] = median(&mut [medians[0], running[1], 3.0 * running[1] - 2.0 * running[2]]);
        running[n - 1] = median(&mut [medians[n - 1], running[n - 2], 3.0 * running[n - 2] - 2.0 * running[n - 3]]);
    }
    groups.iter().zip(running).flat_map(|(g, value)| std::iter::repeat_n(value, g.len())).collect()
}

fn curve_set<'a>(curves: impl Iterator<Item = (&'a Curve, Vec<f64>, Vec<f64>)>) -> CurveSet {
    let mut set = CurveSet::new();
    for (curve, responses, weights) in curves {
        let points = curve.points.iter().zip(responses).zip(weights);
        set.push(None, points.map(|((p, y), w)| (p.dose, y, p.weight * w)));
    }
    set
}

/// Fits curves of single wells by `loss`. A curve that cannot be fitted, or has no more wells than parameters, is left
/// as least squares leave it.
///
/// # Errors
/// Those of the back end, which makes the first fit.
pub fn fit_robustly(
    curves: &[Curve],
    settings: &FitSettings,
    loss: Loss,
    backend: &dyn Backend,
) -> Result<(Vec<Fit>, Vec<Robust>)> {
    let count = settings.model.parameters().len();
    let ones = |curve: &Curve| vec![1.0; curve.points.len()];
    let own = |curve: &Curve| curve.points.iter().map(|p| p.response).collect::<Vec<f64>>();
    let mut robust = vec![Robust::default(); curves.len()];
    if loss == Loss::LeastSquares {
        return Ok((backend.fit(settings, &curve_set(curves.iter().map(|c| (c, own(c), ones(c)))))?, robust));
    }
    let usable = |curve: &Curve| curve.points.len() > count && curve.points.iter().all(|p| p.response.is_finite());
    let first = |curve: &Curve| if usable(curve) { smoothed(curve) } else { own(curve) };
    let mut fits = backend.fit(settings, &curve_set(curves.iter().map(|c| (c, first(c), ones(c)))))?;
    let mut states: Vec<State> = curves
        .iter()
        .zip(&fits)
        .map(|(curve, fit)| {
            let settled = !usable(curve) || !fit.status.is_fitted();
            let residuals = if settled { Vec::new() } else { residuals(curve, fit, settings) };
            State { scale: scale(&residuals, count), residuals, settled }
        })
        .collect();
    reweight(curves, settings, Loss::Huber, true, &mut fits, &mut states);
    if loss == Loss::Tukey {
        for state in states.iter_mut().filter(|s| !s.residuals.is_empty()) {
            state.settled = false;
        }
        reweight(curves, settings, loss, false, &mut fits, &mut states);
    }
    for (state, robust) in states.iter().zip(&mut robust).filter(|(s, _)| !s.residuals.is_empty()) {
        robust.weights = state.residuals.iter().map(|r| loss.weight(r / state.scale)).collect();
        robust.scale = Some(state.scale);
        robust.n_downweighted = Some(robust.weights.iter().filter(|w| **w < DOWNWEIGHTED).count() as u32);
    }
    Ok((fits, robust))
}

/// Rounds of reweighting until every curve has settled.
fn reweight(
    curves: &[Curve],
    settings: &FitSettings,
    loss: Loss,
    renew_scale: bool,
    fits: &mut [Fit],
    states: &mut [State],
) {
    let model = settings.model.curve_model();
    let count = model.parameters.len();
    for _ in 0..ROUNDS {
        let open: Vec<usize> = (0..curves.len()).filter(|&i| !states[i].settled).collect();
        if open.is_empty() {
            return;
        }
        let set = curve_set(open.iter().map(|&i| {
            let state = &states[i];
            let weight = |r: &f64| loss.weight(r / state.scale).max(LEAST_WEIGHT);
            let responses = curves[i].points.iter().map(|p| p.response).collect();
            (&curves[i], responses, state.residuals.iter().map(weight).collect())
        }));
        let begins: Vec<f64> = open
            .iter()
            .flat_map(|&i| model.nonlinear.iter().map(move |p| (i, *p)))
            .map(|(i, p)| fits[i].parameters[p])
            .collect();
        for ((fit, _), &i) in descend_from(settings, &set, &begins).into_iter().zip(&open) {
            let state = &mut states[i];
            if !fit.status.is_fitted() {
                state.settled = true;
                continue;
            }
            let new = residuals(&curves[i], &fit, settings);
            let moved = new.iter().zip(&state.residuals).fold(0.0, |m: f64, (a, b)| m.max((a - b).abs()));
            let before = state.scale;
            state.residuals = new;
            if renew_scale {
                state.scale = scale(&state.residuals, count);
            }
            let still = moved <= SETTLED * state.scale && (state.scale - before).abs() <= SETTLED * before;
            state.settled = still;
            let iterations = fits[i].iterations + fit.iterations;
            fits[i] = Fit { iterations, ..fit };
        }
    }
}

/// What may be said of robust fits: as [`infer_all`] says it of the wells with their final weights, but for
///
/// - standard errors, whose residual variance is the M-estimate's own: `K² s² [Σψ² / (n - p)] / [mean ψ']²` times the
///   inverse of the unweighted normal matrix, with Huber's correction `K = 1 + (p / n) var(ψ') / mean(ψ')²`
///   (Huber & Ronchetti, chapter 7); `sigma` is that residual deviation;
/// - the test against a flat line, the drop in cost over its expected scale (Schrader & Hettmansperger 1980,
///   doi 10.1093/biomet/67.1.93): `2 [Σρ(flat) - Σρ(curve)] / (q λ)` with `λ = [Σψ² / (n - p)] / mean ψ'`, by F with
///   `q = p - 1` and `n - p` degrees of freedom. The flat line is the location of least cost at the same scale.
pub fn infer_robustly(
    curves: &[Curve],
    fits: &[Fit],
    robust: &[Robust],
    settings: &FitSettings,
    loss: Loss,
) -> Vec<Inference> {
    let model = settings.model;
    let count = model.parameters().len();
    let weighted: Vec<Curve> = curves
        .iter()
        .zip(robust)
        .map(|(curve, robust)| {
            let mut curve = curve.clone();
            for (point, weight) in curve.points.iter_mut().zip(&robust.weights) {
                point.weight *= weight.max(LEAST_WEIGHT);
            }
            curve
        })
        .collect();
    let plain = infer_all(curves, fits, model);
    let mut inferences = infer_all(&weighted, fits, model);
    for (i, inference) in inferences.iter_mut().enumerate() {
        let (Some(scale), Some(least_squares)) = (robust[i].scale, plain[i].sigma) else { continue };
        let u: Vec<f64> = residuals(&curves[i], &fits[i], settings).iter().map(|r| r / scale).collect();
        let n = u.len() as f64;
        let free = inference.degrees_of_freedom.map_or(n - count as f64, f64::from);
        let psi_squares: f64 = u.iter().map(|u| (u * loss.weight(*u)).powi(2)).sum();
        let slope = u.iter().map(|u| loss.psi_slope(*u)).sum::<f64>() / n;
        let slope_variance = u.iter().map(|u| (loss.psi_slope(*u) - slope).powi(2)).sum::<f64>() / n;
        let is_sound = slope > 0.05 && least_squares > 0.0;
        let correction = 1.0 + (n - free) / n * slope_variance / (slope * slope);
        let sigma = correction * scale * (psi_squares / free).sqrt() / slope;
        let unsound = Some("unidentified");
        for k in 0..count {
            let error = plain[i].standard_errors[k].map(|error| error / least_squares * sigma);
            inference.standard_errors[k] = error.filter(|_| is_sound);
            inference.standard_error_reasons[k] =
                plain[i].standard_error_reasons[k].or(unsound.filter(|_| inference.standard_errors[k].is_none()));
        }
        inference.log10_ic50_se =
            plain[i].log10_ic50_se.map(|error| error / least_squares * sigma).filter(|_| is_sound);
        inference.ic50_reason = plain[i].ic50_reason;
        if inference.log10_ic50.is_some() && inference.log10_ic50_se.is_none() {
            inference.ic50_reason = inference.ic50_reason.or(Some("standard_error_unidentified"));
        }
        inference.condition_number = plain[i].condition_number;
        inference.sigma = Some(sigma).filter(|_| is_sound);
        let (numerator, denominator) = (count as f64 - 1.0, n - count as f64);
        let cost = |residuals: &mut dyn Iterator<Item = f64>| residuals.map(|u| loss.rho(u)).sum::<f64>();
        let flat = flat_location(&curves[i], scale, loss);
        let of_flat = cost(&mut curves[i].points.iter().map(|p| p.weight.sqrt() * (p.response - flat) / scale));
        let lambda = psi_squares / denominator / slope;
        let f = 2.0 * (of_flat - cost(&mut u.iter().copied())).max(0.0) / (numerator * lambda);
        let tail = FTail::new(numerator, denominator).filter(|_| is_sound && f.is_finite());
        inference.f = tail.map(|_| f);
        inference.p_value = tail.map(|tail| tail.probability_above(f));
        if tail.is_none() {
            inference.reason = inference.reason.or(Some("no_degrees_of_freedom"));
        }
        inference.reclassify(&weighted[i].points);
    }
    inferences
}

/// The flat line of least cost at a scale, from the median.
fn flat_location(curve: &Curve, scale: f64, loss: Loss) -> f64 {
    let mut location = median(&mut curve.points.iter().map(|p| p.response).collect::<Vec<_>>());
    for _ in 0..ROUNDS {
        let (mut sum, mut weight) = (0.0, 0.0);
        for p in &curve.points {
            let w = p.weight * loss.weight(p.weight.sqrt() * (p.response - location) / scale);
            sum += w * p.response;
            weight += w;
        }
        if weight <= 0.0 {
            break;
        }
        let next = sum / weight;
        let moved = (next - location).abs();
        location = next;
        if moved <= SETTLED * scale {
            break;
        }
    }
    location
}
