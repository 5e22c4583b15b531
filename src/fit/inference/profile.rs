//! Profile-likelihood intervals (Bates & Watts 1988, doi 10.1002/9780470316757; Venzon & Moolgavkar 1988,
//! doi 10.2307/2347496): for each parameter the values at which the sum of squares, minimised over all others, has
//! risen by the residual variance times F(1, df; 0.95).
//!
//! The signed root of the rise over the residual standard deviation, the profile t, is close to a straight line in the
//! parameter and exactly one for a linear model. So each end is sought with secants on it, kept inside a bracket.
//! All ends of all curves move on together, one batch of fits with a parameter held a round; each fit begins where the
//! last one on its side ended, so the profile is followed from the minimum outwards. Where a held fit has several minima,
//! that path can miss a lower one far off.
//!
//! An end at which the box stops the search, or beyond which the profile stays too low however far one goes, is open.

use super::Inference;
use super::intervals::{Interval, Intervals, Quantiles, wald_intervals};
use super::search::{Search, Step};
use crate::backend::cpu::descend_from;
use crate::fit::{CurveSet, Fit, FitSettings, MAX_PARAMETERS};
use crate::model::Axis;
use crate::screen::dose_matrix::Curve;

/// Curves whose ends are sought at a time: bounds the memory.
const BLOCK: usize = 4096;
/// Batches of fits at most.
const ROUNDS: usize = 40;
/// An end has been found where the profile t is this near to its quantile, relatively.
const NEAR: f64 = 1e-3;

/// One end of one interval, being sought.
#[derive(Debug, Clone)]
struct Sought {
    curve: usize,
    parameter: usize,
    upper: bool,
    sigma: f64,
    sse: f64,
    /// Nonlinear parameters of the last fit inside.
    begin: [f64; MAX_PARAMETERS],
    search: Search,
}

/// The box of a parameter of a curve, in the units of the fit.
fn limits(settings: &FitSettings, curve: &Curve, parameter: usize) -> Option<(f64, f64)> {
    let model = settings.model.curve_model();
    let bound = settings.bounds.get(parameter).copied().unwrap_or(model.parameters[parameter].bound);
    let unit = libm::log(model.dose_unit);
    let treated = curve.points.iter().map(|p| p.dose).filter(|d| *d > 0.0);
    let (low, high) = treated.fold((f64::INFINITY, 0.0f64), |(l, h), d| (l.min(d), h.max(d)));
    let ends = || (high > 0.0).then(|| (libm::log(low) - unit + bound.lower, libm::log(high) - unit + bound.upper));
    match model.parameters[parameter].axis {
        Axis::Plain => Some((bound.lower, bound.upper)),
        Axis::LnDose => ends(),
        // Profiles are of curves.
        Axis::LnSecond => None,
        Axis::Dose => ends().map(|(low, high)| (libm::exp(low), libm::exp(high))),
    }
}

/// Profile-likelihood intervals of all parameters of all curves; those of the absolute IC50 are by the delta method.
/// `inferences` are those of `fits` by least squares; `x2` has the second variable of each curve's points, or nothing.
pub fn profile_intervals(
    curves: &[Curve],
    x2: &[Vec<f64>],
    fits: &[Fit],
    inferences: &[Inference],
    settings: &FitSettings,
) -> Vec<Intervals> {
    let count = settings.model.parameters().len();
    let mut intervals = wald_intervals(fits, inferences, count);
    for found in &mut intervals {
        for interval in &mut found.parameters[..count] {
            // Open until shown otherwise; no statistics, no interval.
            *interval = Interval { low: None, high: None, reason: Some("no_degrees_of_freedom") };
        }
    }
    for from in (0..curves.len().min(fits.len()).min(inferences.len())).step_by(BLOCK) {
        let to = (from + BLOCK).min(curves.len());
        let x2 = x2.get(from..to).unwrap_or(&[]);
        profile_block(
            &curves[from..to],
            x2,
            &fits[from..to],
            &inferences[from..to],
            settings,
            &mut intervals[from..to],
        );
    }
    intervals
}

fn profile_block(
    curves: &[Curve],
    x2: &[Vec<f64>],
    fits: &[Fit],
    inferences: &[Inference],
    settings: &FitSettings,
    intervals: &mut [Intervals],
) {
    let model = settings.model.curve_model();
    let count = model.parameters.len();
    let mut quantiles = Quantiles::new();
    let mut searches: Vec<Sought> = Vec::new();
    for (index, ((curve, fit), inference)) in curves.iter().zip(fits).zip(inferences).enumerate() {
        let known = (inference.sigma, inference.degrees_of_freedom.and_then(|df| quantiles.upper(df)));
        let (Some(sigma), Some(target)) = known else { continue };
        if inference.sse.is_none() || sigma.is_nan() || sigma <= 0.0 {
            continue;
        }
        let mut begin = [0.0; MAX_PARAMETERS];
        for (slot, parameter) in begin.iter_mut().zip(&model.nonlinear) {
            *slot = fit.parameters[*parameter];
        }
        for parameter in 0..count {
            intervals[index].parameters[parameter].reason = Some("open_both");
            let Some((lower, upper)) = limits(settings, curve, parameter) else { continue };
            let estimate = fit.parameters[parameter];
            let unit = match inference.standard_errors[parameter] {
                Some(error) if error > 0.0 => (target * error).min(upper - lower),
                _ => 0.02 * (upper - lower),
            };
            for (upper, limit) in [(false, lower), (true, upper)] {
                if let Some(search) = Search::new(estimate, unit, limit, target, NEAR) {
                    searches.push(Sought { curve: index, parameter, upper, sigma, sse: fit.sse, begin, search });
                }
            }
        }
    }
    for _ in 0..ROUNDS {
        if searches.is_empty() {
            break;
        }
        let fitted = held_fits(curves, x2, settings, &searches);
        let mut still = Vec::with_capacity(searches.len());
        for (mut sought, fit) in searches.into_iter().zip(fitted) {
            if !fit.status.is_fitted() || !fit.sse.is_finite() {
                continue;
            }
            let t = (fit.sse - sought.sse).max(0.0).sqrt() / sought.sigma;
            if sought.search.is_inside(t) {
                for (slot, parameter) in sought.begin.iter_mut().zip(&model.nonlinear) {
                    *slot = fit.parameters[*parameter];
                }
            }
            match sought.search.learn(t) {
                Step::Next => still.push(sought),
                Step::Open => {}
                Step::Found(x) => {
                    let interval = &mut intervals[sought.curve].parameters[sought.parameter];
                    *(if sought.upper { &mut interval.high } else { &mut interval.low }) = Some(x);
                }
            }
        }
        searches = still;
    }
    for interval in intervals.iter_mut().flat_map(|found| &mut found.parameters[..count]) {
        if interval.reason != Some("no_degrees_of_freedom") {
            interval.reason = match (interval.low, interval.high) {
                (Some(_), Some(_)) => None,
                (None, Some(_)) => Some("open_below"),
                (Some(_), None) => Some("open_above"),
                (None, None) => Some("open_both"),
            };
        }
    }
}

/// One fit a search, its parameter held.
fn held_fits(curves: &[Curve], x2: &[Vec<f64>], settings: &FitSettings, searches: &[Sought]) -> Vec<Fit> {
    let nonlinear = settings.model.curve_model().nonlinear.len();
    let mut set = CurveSet::new();
    let mut begins = Vec::with_capacity(searches.len() * nonlinear);
    for sought in searches {
        set.push(None, curves[sought.curve].points.iter().map(|p| (p.dose, p.response, p.weight)));
        set.x2.extend(x2.get(sought.curve).into_iter().flatten());
        set.held.push(Some((sought.parameter, sought.search.next())));
        begins.extend_from_slice(&sought.begin[..nonlinear]);
    }
    descend_from(settings, &set, &begins).into_iter().map(|(fit, _)| fit).collect()
}
