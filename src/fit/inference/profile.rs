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
/// A step outwards grows at most by this.
const GROWTH: f64 = 3.0;
/// Secants stay this share of the bracket away from its ends.
const INSIDE: f64 = 0.05;
/// A bracket this narrow, relative to the first step, holds a jump of the profile: the end is there.
const NARROW: f64 = 1e-4;

/// One end of one interval, being sought.
#[derive(Debug, Clone)]
struct Search {
    curve: usize,
    parameter: usize,
    upper: bool,
    /// The first step, in the parameter's units.
    unit: f64,
    /// The quantile that the profile t is to reach.
    target: f64,
    sigma: f64,
    sse: f64,
    /// The farthest known value at which the profile t is too low, and that t.
    inside: (f64, f64),
    /// The nearest known value at which it is too high.
    outside: Option<(f64, f64)>,
    /// Where the box ends.
    limit: f64,
    /// To be tried next.
    next: f64,
    /// Nonlinear parameters of the last fit inside.
    begin: [f64; MAX_PARAMETERS],
    /// Whether the last two trials fell on the same side, and which.
    last_outside: Option<bool>,
}

enum Step {
    Next,
    Found(f64),
    Open,
}

impl Search {
    fn sign(&self) -> f64 {
        if self.upper { 1.0 } else { -1.0 }
    }

    /// Takes in the profile t at the value tried.
    fn learn(&mut self, t: f64) -> Step {
        let x = self.next;
        if (t - self.target).abs() <= NEAR * self.target {
            return Step::Found(x);
        }
        if t > self.target {
            // Twice on one side: the far end counts half, or the secant would creep (the Illinois rule).
            if self.last_outside == Some(true) {
                self.inside.1 = self.target - 0.5 * (self.target - self.inside.1);
            }
            self.outside = Some((x, t));
            self.last_outside = Some(true);
        } else {
            if (x - self.limit).abs() <= 1e-12 * (1.0 + self.limit.abs()) {
                return Step::Open;
            }
            if let (Some(outside), Some(false)) = (&mut self.outside, self.last_outside) {
                outside.1 = self.target + 0.5 * (outside.1 - self.target);
            }
            let rise = (t - self.inside.1) / (x - self.inside.0).abs();
            let advanced = (x - self.inside.0).abs();
            self.inside = (x, t);
            self.last_outside = Some(false);
            if self.outside.is_none() {
                // Outwards: to where the secant promises the end, a little further, but not too far.
                let promised = if rise > 0.0 { 1.1 * (self.target - t) / rise } else { f64::INFINITY };
                let distance = promised.clamp(0.2 * advanced, GROWTH * advanced);
                let reach = x + self.sign() * distance;
                self.next = if self.upper { reach.min(self.limit) } else { reach.max(self.limit) };
                return Step::Next;
            }
        }
        let Some((outer, t_outer)) = self.outside else { return Step::Open };
        let (inner, t_inner) = self.inside;
        let width = outer - inner;
        if width.abs() <= NARROW * self.unit {
            return Step::Found(outer);
        }
        let share = ((self.target - t_inner) / (t_outer - t_inner)).clamp(INSIDE, 1.0 - INSIDE);
        self.next = inner + share * width;
        Step::Next
    }
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
    let mut searches: Vec<Search> = Vec::new();
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
            for (is_upper, limit) in [(false, lower), (true, upper)] {
                let room = (limit - estimate).abs();
                if !(room > 1e-9 * (1.0 + limit.abs()) && unit > 0.0) {
                    continue;
                }
                let sign = if is_upper { 1.0 } else { -1.0 };
                searches.push(Search {
                    curve: index,
                    parameter,
                    upper: is_upper,
                    unit,
                    target,
                    sigma,
                    sse: fit.sse,
                    inside: (estimate, 0.0),
                    outside: None,
                    limit,
                    next: if unit < room { estimate + sign * unit } else { limit },
                    begin,
                    last_outside: None,
                });
            }
        }
    }
    for _ in 0..ROUNDS {
        if searches.is_empty() {
            break;
        }
        let fitted = held_fits(curves, x2, settings, &searches);
        let mut still = Vec::with_capacity(searches.len());
        for (mut search, fit) in searches.into_iter().zip(fitted) {
            if !fit.status.is_fitted() || !fit.sse.is_finite() {
                continue;
            }
            let t = (fit.sse - search.sse).max(0.0).sqrt() / search.sigma;
            if t <= search.target {
                for (slot, parameter) in search.begin.iter_mut().zip(&model.nonlinear) {
                    *slot = fit.parameters[*parameter];
                }
            }
            match search.learn(t) {
                Step::Next => still.push(search),
                Step::Open => {}
                Step::Found(x) => {
                    let interval = &mut intervals[search.curve].parameters[search.parameter];
                    *(if search.upper { &mut interval.high } else { &mut interval.low }) = Some(x);
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
fn held_fits(curves: &[Curve], x2: &[Vec<f64>], settings: &FitSettings, searches: &[Search]) -> Vec<Fit> {
    let nonlinear = settings.model.curve_model().nonlinear.len();
    let mut set = CurveSet::new();
    let mut begins = Vec::with_capacity(searches.len() * nonlinear);
    for search in searches {
        set.push(None, curves[search.curve].points.iter().map(|p| (p.dose, p.response, p.weight)));
        set.x2.extend(x2.get(search.curve).into_iter().flatten());
        set.held.push(Some((search.parameter, search.next)));
        begins.extend_from_slice(&search.begin[..nonlinear]);
    }
    descend_from(settings, &set, &begins).into_iter().map(|(fit, _)| fit).collect()
}
