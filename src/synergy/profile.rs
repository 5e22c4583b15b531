//! Profile likelihoods of the parameters of interaction: how the sum of squares rises as one of them is held ever further
//! from its best value and all others follow. What is lower on the way is the better fit.

use super::interaction::Surface;
use crate::backend::cpu::descend_from;
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::math::special::t_quantile;

/// Steps on either side, up to the width of the parameter's box: fine near the minimum, coarse further out.
const STEPS: usize = 12;
/// Rounds of a walk that has found a lower sum of squares.
const ROUNDS: usize = 3;
/// A sum of squares that is lower by less than this share is no other minimum.
const LOWER: f64 = 1e-6;
/// Quantiles of Student's t: of a two-sided 95 % interval, and of a one-sided 95 % bound.
const TWO_SIDED: f64 = 0.975;
const ONE_SIDED: f64 = 0.95;

/// How the sum of squares rises about the best value of one parameter.
#[derive(Debug, Clone, PartialEq)]
pub struct Walk {
    /// The parameter's number.
    pub parameter: usize,
    /// Its best value.
    pub best: f64,
    /// Values held and sums of squares, below and above the best value, outwards to the ends of the box.
    pub sides: [Vec<(f64, f64)>; 2],
}

/// One parameter of interaction and what the data say of it. On the scale of the fit (natural logarithms).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// The parameter's number.
    pub parameter: usize,
    /// Where the sum of squares is lowest.
    pub best: f64,
    /// Two-sided 95 % interval; an end that lies beyond the box is `None`.
    pub interval: [Option<f64>; 2],
    /// One-sided 95 % bounds: at least, at most.
    pub bounds: [Option<f64>; 2],
}

impl Profile {
    /// From a walk about a fit with this sum of squares; `variance` is that of a single well, known with so many degrees
    /// of freedom.
    pub fn new(walk: &Walk, sse: f64, variance: f64, degrees_of_freedom: usize) -> Self {
        let quantile = |share| t_quantile(share, degrees_of_freedom as f64).unwrap_or(f64::INFINITY);
        let ends = |limit: f64| [0, 1].map(|side| end(walk, side, sse, variance, limit));
        Self {
            parameter: walk.parameter,
            best: walk.best,
            interval: ends(quantile(TWO_SIDED)),
            bounds: ends(quantile(ONE_SIDED)),
        }
    }
}

/// Where the root of the rise, in units of the noise, last comes up to `limit`: beyond a second valley, not before it.
/// These roots are nearly straight between steps.
fn end(walk: &Walk, side: usize, sse: f64, variance: f64, limit: f64) -> Option<f64> {
    let root = |at: f64| ((at - sse).max(0.0) / variance).sqrt();
    let outwards: Vec<(f64, f64)> = std::iter::once((walk.best, 0.0))
        .chain(walk.sides[side].iter().map(|&(value, sum)| (value, root(sum))))
        .collect();
    let last_inside = outwards.iter().rposition(|(_, rise)| *rise < limit)?;
    let &(inner, low) = outwards.get(last_inside)?;
    let &(outer, high) = outwards.get(last_inside + 1)?;
    Some(inner + (limit - low) / (high - low) * (outer - inner))
}

/// Walks from every fit of a set along each parameter of interaction to the ends of its box. A fit that is not the lowest
/// on its way is replaced by what is. Failed fits have no walks.
pub fn walk(surface: Surface, set: &CurveSet, fits: &mut [Fit]) -> Vec<Vec<Walk>> {
    let mut walks = vec![Vec::new(); fits.len()];
    let mut again: Vec<usize> = (0..fits.len()).filter(|item| fits[*item].status.is_fitted()).collect();
    for round in 0..ROUNDS {
        let (found, lower) = walk_once(surface, set, fits, &again);
        for (item, found) in again.iter().zip(found) {
            walks[*item] = found;
        }
        again.clear();
        if round + 1 == ROUNDS || lower.is_empty() {
            break;
        }
        let model = surface.model();
        let nonlinear = &model.curve_model().nonlinear;
        let which: Vec<usize> = lower.iter().map(|(item, _)| *item).collect();
        let begins: Vec<f64> = lower.iter().flat_map(|(_, fit)| nonlinear.iter().map(|p| fit.parameters[*p])).collect();
        let ends = descend_from(&FitSettings::new(model), &set.select(&which), &begins);
        for (item, (fit, _)) in which.into_iter().zip(ends) {
            if fit.status.is_fitted() && fit.sse < fits[item].sse {
                fits[item] = fit;
                again.push(item);
            }
        }
    }
    walks
}

/// One side of one walk.
struct Side {
    item: usize,
    walk: usize,
    side: usize,
    /// Where the last held fit ended.
    last: Fit,
    is_over: bool,
}

/// Walks from the fits of `items`, and the lowest held fit of each that is lower than its own.
fn walk_once(surface: Surface, set: &CurveSet, fits: &[Fit], items: &[usize]) -> (Vec<Vec<Walk>>, Vec<(usize, Fit)>) {
    let model = surface.model();
    let curve_model = model.curve_model();
    let settings = FitSettings::new(model);
    let new = |item: &usize| -> Vec<Walk> {
        let of = |&parameter: &usize| {
            let best = fits[*item].parameters[parameter];
            Walk { parameter, best, sides: [Vec::new(), Vec::new()] }
        };
        surface.interactions().iter().map(of).collect()
    };
    let mut walks: Vec<Vec<Walk>> = items.iter().map(new).collect();
    let mut lowest: Vec<Option<Fit>> = vec![None; items.len()];
    let mut sides: Vec<Side> = Vec::new();
    for (item, number) in items.iter().enumerate() {
        for (walk, side) in (0..walks[item].len()).flat_map(|walk| [(walk, 0), (walk, 1)]) {
            sides.push(Side { item, walk, side, last: fits[*number], is_over: false });
        }
    }
    for step in 1..=STEPS {
        let share = (step * step) as f64 / (STEPS * STEPS) as f64;
        let mut trials: Vec<(usize, f64)> = Vec::new();
        for (place, own) in sides.iter_mut().enumerate().filter(|(_, own)| !own.is_over) {
            let walk = &walks[own.item][own.walk];
            let bound = curve_model.bounds[walk.parameter];
            let reach = (bound.upper - bound.lower) * share;
            let value = if own.side == 0 { walk.best - reach } else { walk.best + reach };
            let value = value.clamp(bound.lower, bound.upper);
            let before = walk.sides[own.side].last().map_or(walk.best, |(value, _)| *value);
            own.is_over = value == before;
            if !own.is_over {
                trials.push((place, value));
            }
        }
        if trials.is_empty() {
            break;
        }
        let which: Vec<usize> = trials.iter().map(|(place, _)| items[sides[*place].item]).collect();
        let parameter = |place: usize| walks[sides[place].item][sides[place].walk].parameter;
        let mut held = set.select(&which);
        held.held = trials.iter().map(|&(place, value)| Some((parameter(place), value))).collect();
        let mut begins: Vec<f64> = Vec::with_capacity(trials.len() * curve_model.nonlinear.len());
        for &(place, value) in &trials {
            let last = &sides[place].last.parameters;
            begins.extend(curve_model.nonlinear.iter().map(|p| if *p == parameter(place) { value } else { last[*p] }));
        }
        for (&(place, value), (fit, _)) in trials.iter().zip(descend_from(&settings, &held, &begins)) {
            let own = &mut sides[place];
            own.is_over = !fit.status.is_fitted();
            if own.is_over {
                continue;
            }
            walks[own.item][own.walk].sides[own.side].push((value, fit.sse));
            own.last = fit;
            let best = fits[items[own.item]].sse;
            let lowest = &mut lowest[own.item];
            if fit.sse < best * (1.0 - LOWER) && lowest.as_ref().is_none_or(|l| fit.sse < l.sse) {
                *lowest = Some(fit);
            }
        }
    }
    let lower = items.iter().zip(lowest).filter_map(|(item, lowest)| Some((*item, lowest?))).collect();
    (walks, lower)
}
