//! Surfaces with parameters of interaction, MuSyC and BRAID, fitted to a whole matrix at once, and how sure those
//! parameters are: their likelihood is often flat on one side, and sometimes on both.

use super::design::{Design, Responses};
use super::margins::Margin;
use crate::backend::cpu::descend_from;
use crate::fit::inference::infer_with;
use crate::fit::{CurveSet, Fit, FitSettings, MAX_PARAMETERS};
use crate::model::{LN_DOSE_ZERO, ModelId, SurfaceModel, braid, musyc};
use crate::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use rayon::prelude::*;

/// Items fitted together: enough to fill the lanes, few enough to share the work.
const TOGETHER: usize = 24;
/// Where the fold changes of potency of MuSyC (natural logs) and BRAID's epsilon are tried.
const LN_ALPHAS: [f64; 3] = [-1.5, 0.0, 1.5];
const EPSILONS: [f64; 3] = [-0.7, 0.0, 0.7];
/// A single drug's slope, as a beginning: those of noisy margins are often steps.
const SLOPES: (f64, f64) = (0.5, 1.8);
/// What a drug does of what both do, as a beginning, and that times this.
const SHARES: (f64, f64) = (0.05, 0.98);
const LESS: f64 = 0.6;
/// Half-effect doses begin no further beyond the doses tested than this, in natural-log units.
const BEYOND: f64 = 1.0;
/// Every beginning of MuSyC is followed for so many evaluations, and the best so many of them to the end: a fold change
/// of potency has minima on either side of 1. BRAID's one parameter of interaction has not.
const HEAT: (u32, usize) = (6, 2);
/// Steps of a profile on either side, up to the width of the parameter's box, and how far the sum of squares must rise, in
/// units of the noise: the 95 % point of chi-squared with one degree of freedom, and its 90 % point for one side.
const PROFILE_STEPS: usize = 12;
const TWO_SIDED: f64 = 3.841_458_820_694_124;
const ONE_SIDED: f64 = 2.705_543_454_095_404;

/// A surface with parameters of interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Potency and efficacy apart.
    Musyc,
    /// And cooperativity.
    MusycGamma,
    /// One parameter.
    Braid,
}

/// How much work a fit is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// The data: every beginning is followed for a while.
    Data,
    /// One draw of many: the best beginning alone.
    Draw,
}

impl Surface {
    /// The model that is fitted.
    pub fn model(self) -> ModelId {
        match self {
            Surface::Musyc => ModelId::musyc(),
            Surface::MusycGamma => ModelId::musyc_gamma(),
            Surface::Braid => ModelId::braid(),
        }
    }

    /// The parameters without interaction: what the surface is compared with.
    pub fn without_interaction(self, parameters: &[f64]) -> Vec<f64> {
        let mut own = parameters[..self.model().parameters().len()].to_vec();
        match self {
            Surface::Musyc | Surface::MusycGamma => {
                own[musyc::E3] = own[musyc::E1].min(own[musyc::E2]);
                own[musyc::LN_ALPHA12..].fill(0.0);
            }
            Surface::Braid => own[braid::EPSILON] = 0.0,
        }
        own
    }

    /// The parameters of interaction, by number.
    pub fn interactions(self) -> &'static [usize] {
        match self {
            Surface::Musyc => &[musyc::LN_ALPHA12, musyc::LN_ALPHA21],
            Surface::MusycGamma => &[musyc::LN_ALPHA12, musyc::LN_ALPHA21, musyc::LN_GAMMA12, musyc::LN_GAMMA21],
            Surface::Braid => &[braid::EPSILON],
        }
    }

    /// The response at a pair of doses, as natural logs, negative infinity for none.
    pub fn response(self, ln_dose: [f64; 2], parameters: &[f64]) -> f64 {
        let [a, b] = ln_dose.map(|x| x.max(LN_DOSE_ZERO));
        let of = |p: &[f64]| match self {
            Surface::Musyc => musyc::Musyc::response(a, b, std::array::from_fn(|i| p[i])),
            Surface::MusycGamma => musyc::MusycGamma::response(a, b, std::array::from_fn(|i| p[i])),
            Surface::Braid => braid::Braid::response(a, b, std::array::from_fn(|i| p[i])),
        };
        of(parameters)
    }

    /// Beginnings, as nonlinear parameters in the model's order, from what the drugs do alone: the half-effect dose,
    /// the slope, and the response that is left.
    fn beginnings(self, alone: [[f64; 3]; 2], top: f64) -> Vec<Vec<f64>> {
        let [[c1, h1, bottom1], [c2, h2, bottom2]] = alone;
        let mut all = Vec::new();
        match self {
            Surface::Musyc | Surface::MusycGamma => {
                let gammas = if self == Surface::MusycGamma { 2 } else { 0 };
                for alpha12 in LN_ALPHAS {
                    let begin = |alpha21| [vec![c1, c2, h1, h2, alpha12, alpha21], vec![0.0; gammas]].concat();
                    all.extend(LN_ALPHAS.map(begin));
                }
            }
            Surface::Braid => {
                let fall = (top - bottom1.min(bottom2)).max(0.05);
                for times in [1.0, LESS] {
                    let [a, b] = [bottom1, bottom2].map(|b| times * ((top - b) / fall).clamp(SHARES.0, SHARES.1));
                    all.extend(EPSILONS.map(|epsilon| vec![a, b, c1, c2, h1, h2, epsilon]));
                }
            }
        }
        all
    }
}

/// A surface as it fits one matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct Interaction {
    /// Which one.
    pub surface: Surface,
    /// The fit; a status without parameters where there is none.
    pub fit: Fit,
    /// Standard error of each parameter, or why there is none.
    pub standard_errors: Vec<(Option<f64>, Option<&'static str>)>,
    /// What the data say of the parameters of interaction; empty where the noise is not known.
    pub profiles: Vec<Profile>,
    /// Dose pairs and single doses fitted.
    pub points: usize,
}

impl Interaction {
    /// The flag of a surface none of whose parameters of interaction the data tell, not even to one side: its excess is
    /// then no more than one way among many to explain them.
    pub fn flag(&self) -> Option<&'static str> {
        let says_nothing = |profile: &Profile| profile.bounds == [None; 2];
        let unknown = !self.profiles.is_empty() && self.profiles.iter().all(says_nothing);
        unknown.then_some(match self.surface {
            Surface::Musyc => "musyc_not_identified",
            Surface::MusycGamma => "musyc_gamma_not_identified",
            Surface::Braid => "braid_not_identified",
        })
    }
}

/// One parameter of interaction and what the data say of it. On the scale of the fit (natural logarithms).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Profile {
    /// The parameter's number.
    pub parameter: usize,
    /// Where the sum of squares is lowest.
    pub best: f64,
    /// Two-sided 95 % interval by the profile likelihood; an end that the box does not reach is `None`.
    pub interval: [Option<f64>; 2],
    /// One-sided 95 % bounds: at least, at most.
    pub bounds: [Option<f64>; 2],
}

/// Points that a surface of a design is fitted to: combinations, doses of either drug alone, the untreated once.
pub fn points_of(design: &Design) -> usize {
    let doses: usize = design.margins.iter().map(|margin| margin.doses).sum();
    let untreated = design.margins.iter().any(|margin| margin.ln_dose.iter().any(|x| !x.is_finite()));
    design.combinations.len() + doses + usize::from(untreated)
}

/// The points of an item: combinations, then both drugs alone, the untreated once.
fn push(set: &mut CurveSet, design: &Design, responses: &Responses) {
    let combinations = design.combinations.iter().zip(&responses.combinations);
    let mut points: Vec<([f64; 2], f64, f64)> =
        combinations.map(|(c, response)| (c.ln_dose, *response, c.weight)).collect();
    let mut untreated: Option<(bool, f64, f64)> = None;
    for k in 0..2 {
        let margin = &design.margins[k];
        for (i, (ln_dose, response)) in margin.ln_dose.iter().zip(&responses.margins[k]).enumerate() {
            if ln_dose.is_finite() {
                let mut at = [f64::NEG_INFINITY; 2];
                at[k] = *ln_dose;
                points.push((at, *response, margin.weight[i]));
            } else if untreated.is_none_or(|(assumed, ..)| assumed && !margin.untreated_assumed) {
                untreated = Some((margin.untreated_assumed, *response, margin.weight[i]));
            }
        }
    }
    points.extend(untreated.map(|(_, response, weight)| ([f64::NEG_INFINITY; 2], response, weight)));
    set.push_at_ln_dose(None, points.iter().map(|(at, response, weight)| (at[0], *response, *weight)));
    set.x2.extend(points.iter().map(|(at, ..)| at[1].max(LN_DOSE_ZERO)));
}

/// What a drug does alone as a beginning: its curve, drawn towards the doses tested.
fn alone(margin: &Margin, design: &Design, k: usize) -> [f64; 3] {
    let doses = || {
        let combined = design.combinations.iter().map(|c| c.ln_dose[k]);
        combined.chain(design.margins[k].ln_dose.iter().copied()).filter(|x| x.is_finite())
    };
    let (low, high) = (doses().fold(f64::INFINITY, f64::min), doses().fold(f64::NEG_INFINITY, f64::max));
    match margin.curve {
        Some(c) => {
            let place = c.ln_ec50.clamp(low - BEYOND, (high + BEYOND).max(low - BEYOND));
            [place, c.slope.clamp(SLOPES.0, SLOPES.1), c.bottom]
        }
        None => [0.5 * (low + high), 1.0, 0.3],
    }
}

/// The best beginnings of each item after `iterations` evaluations, at most `kept` of them, best first:
/// (item, nonlinear parameters).
fn heat(
    settings: &FitSettings,
    set: &CurveSet,
    contenders: &[(usize, Vec<f64>)],
    iterations: u32,
    kept: usize,
) -> Vec<(usize, Fit)> {
    let which: Vec<usize> = contenders.iter().map(|(item, _)| *item).collect();
    let begins: Vec<f64> = contenders.iter().flat_map(|(_, begin)| begin.iter().copied()).collect();
    let settings = FitSettings { max_iterations: iterations, ..settings.clone() };
    let fits = descend_from(&settings, &set.select(&which), &begins);
    let mut ends: Vec<(usize, Fit)> = which.into_iter().zip(fits.into_iter().map(|(fit, _)| fit)).collect();
    let sse = |fit: &Fit| if fit.status.is_fitted() { fit.sse } else { f64::INFINITY };
    ends.sort_by(|a, b| a.0.cmp(&b.0).then(sse(&a.1).total_cmp(&sse(&b.1))));
    let mut best: Vec<(usize, Fit)> = Vec::new();
    for run in ends.chunk_by(|a, b| a.0 == b.0) {
        best.extend_from_slice(&run[..kept.min(run.len())]);
    }
    best
}

/// Fits a surface to every item, on the CPU in f64; results in their order. The sum of squares is over means, weighted
/// with their wells.
pub fn fit_surfaces(
    surface: Surface,
    items: &[(&Design, Responses)],
    margins: &[[Margin; 2]],
    max_iterations: u32,
    effort: Effort,
) -> Vec<Fit> {
    let model = surface.model();
    let nonlinear = &model.curve_model().nonlinear;
    let settings = FitSettings::new(model);
    let part = |(items, margins): (&[(&Design, Responses)], &[[Margin; 2]])| {
        let mut set = CurveSet::new();
        let mut contenders = Vec::new();
        for (item, ((design, responses), margins)) in items.iter().zip(margins).enumerate() {
            push(&mut set, design, responses);
            let tops = margins.iter().filter_map(|m| m.curve.map(|c| c.top));
            let top = tops.clone().sum::<f64>() / tops.count().max(1) as f64;
            let alone = [0, 1].map(|k| alone(&margins[k], design, k));
            contenders
                .extend(surface.beginnings(alone, if top > 0.0 { top } else { 1.0 }).into_iter().map(|b| (item, b)));
        }
        let (iterations, kept) = if effort == Effort::Data && surface != Surface::Braid { HEAT } else { (1, 1) };
        let best = heat(&settings, &set, &contenders, iterations, kept);
        let begin = |fit: &Fit| nonlinear.iter().map(|p| fit.parameters[*p]).collect();
        let contenders: Vec<(usize, Vec<f64>)> = best.iter().map(|(item, fit)| (*item, begin(fit))).collect();
        heat(&settings, &set, &contenders, max_iterations, 1).into_iter().map(|(_, fit)| fit).collect::<Vec<Fit>>()
    };
    let parts: Vec<Vec<Fit>> = items.par_chunks(TOGETHER).zip(margins.par_chunks(TOGETHER)).map(part).collect();
    parts.concat()
}

/// The standard error of each parameter of one fitted item, or why there is none.
pub fn standard_errors(
    surface: Surface,
    design: &Design,
    responses: &Responses,
    fit: &Fit,
) -> Vec<(Option<f64>, Option<&'static str>)> {
    let mut set = CurveSet::new();
    push(&mut set, design, responses);
    let point = |k: usize| CurvePoint {
        dose: set.dose[k],
        response: set.response[k],
        weight: set.weight[k],
        n: 1,
        sum_of_squares: 0.0,
    };
    let key = CurveKey { line: 0, drug: 0, schedule: None };
    let curve = Curve { key, points: (0..set.dose.len()).map(point).collect() };
    let found = infer_with(&curve, &set.x2, fit, surface.model());
    let count = surface.model().parameters().len();
    found.standard_errors.into_iter().zip(found.standard_error_reasons).take(count).collect()
}

/// A fitted item to be profiled.
pub struct Fitted<'a> {
    /// Its design.
    pub design: &'a Design<'a>,
    /// What was measured.
    pub responses: &'a Responses,
    /// The fit.
    pub fit: Fit,
    /// Variance of a single well of weight 1.
    pub variance: f64,
}

/// One side of one profile, walked outwards.
struct Walk {
    item: usize,
    profile: usize,
    side: usize,
    /// Where the last fit was held, the root of its rise, and where it ended.
    at: f64,
    rise: f64,
    parameters: [f64; MAX_PARAMETERS],
    is_over: bool,
}

/// Profiles the parameters of interaction of fitted items, in their order. The roots of the rise of the sum of squares
/// are nearly straight, so the ends are interpolated in them.
pub fn profiles(surface: Surface, items: &[Fitted<'_>]) -> Vec<Vec<Profile>> {
    let model = surface.model();
    let curve_model = model.curve_model();
    let settings = FitSettings::new(model);
    let mut own = CurveSet::new();
    let mut found: Vec<Vec<Profile>> = Vec::with_capacity(items.len());
    let mut walks = Vec::new();
    for (item, fitted) in items.iter().enumerate() {
        push(&mut own, fitted.design, fitted.responses);
        let profile = |(profile, &parameter): (usize, &usize)| {
            let best = fitted.fit.parameters[parameter];
            walks.extend([0, 1].map(|side| Walk {
                item,
                profile,
                side,
                at: best,
                rise: 0.0,
                parameters: fitted.fit.parameters,
                is_over: false,
            }));
            Profile { parameter, best, interval: [None; 2], bounds: [None; 2] }
        };
        found.push(surface.interactions().iter().enumerate().map(profile).collect());
    }
    for n in 1..=PROFILE_STEPS {
        let mut trials: Vec<(usize, f64)> = Vec::new();
        for (walk, own) in walks.iter_mut().enumerate().filter(|(_, own)| !own.is_over) {
            let profile = &found[own.item][own.profile];
            let bound = curve_model.bounds[profile.parameter];
            // Fine steps near the minimum, coarse ones further out.
            let reach = (bound.upper - bound.lower) * ((n * n) as f64 / (PROFILE_STEPS * PROFILE_STEPS) as f64);
            let sign = if own.side == 0 { -1.0 } else { 1.0 };
            let at = (profile.best + sign * reach).clamp(bound.lower, bound.upper);
            own.is_over = at == own.at;
            if !own.is_over {
                trials.push((walk, at));
            }
        }
        if trials.is_empty() {
            break;
        }
        let which: Vec<usize> = trials.iter().map(|(walk, _)| walks[*walk].item).collect();
        let mut set = own.select(&which);
        set.held = trials
            .iter()
            .map(|&(walk, at)| Some((found[walks[walk].item][walks[walk].profile].parameter, at)))
            .collect();
        let begins: Vec<f64> = trials
            .iter()
            .flat_map(|&(walk, at)| {
                let own = &walks[walk];
                let parameter = found[own.item][own.profile].parameter;
                curve_model.nonlinear.iter().map(move |p| if *p == parameter { at } else { own.parameters[*p] })
            })
            .collect();
        let fits = descend_from(&settings, &set, &begins);
        for (&(walk, at), (held, _)) in trials.iter().zip(&fits) {
            let own = &mut walks[walk];
            if !held.status.is_fitted() {
                own.is_over = true;
                continue;
            }
            let fitted = &items[own.item];
            let rise = ((held.sse - fitted.fit.sse).max(0.0) / fitted.variance).sqrt();
            let profile = &mut found[own.item][own.profile];
            for (limit, end) in [(TWO_SIDED, &mut profile.interval), (ONE_SIDED, &mut profile.bounds)] {
                let limit = limit.sqrt();
                if end[own.side].is_none() && rise >= limit {
                    let share = (limit - own.rise) / (rise - own.rise).max(f64::MIN_POSITIVE);
                    end[own.side] = Some(own.at + share.clamp(0.0, 1.0) * (at - own.at));
                }
            }
            own.is_over = profile.interval[own.side].is_some();
            (own.at, own.rise, own.parameters) = (at, rise, held.parameters);
        }
    }
    found
}
