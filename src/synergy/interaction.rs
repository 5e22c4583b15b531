//! Surfaces with parameters of interaction, such as MuSyC and BRAID, fitted to a whole matrix at once, and how sure those
//! parameters are: their likelihood is often flat on one side, and sometimes on both.

use super::design::{Design, Responses};
use super::margins::Margin;
use super::nested_braid::{self, Criterion};
use super::profile::{Profile, Walk, walk};
use crate::backend::{Backend, Finish};
use crate::fit::inference::infer_with;
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::model::{Axis, LN_DOSE_ZERO, ModelId, Starts, SurfaceModel, braid, effective_dose, musyc};
use crate::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use rayon::prelude::*;

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
/// Width of an interval of `epsilon` that is the prior's rather than the data's.
const HARDLY_MORE_THAN_THE_PRIOR: f64 = 3.0;
/// Beginnings of a surface from a file, at most.
const MOST_BEGINNINGS: usize = 81;
/// A surface with parameters of interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Surface {
    /// Potency and efficacy apart.
    Musyc,
    /// And cooperativity.
    MusycGamma,
    /// One parameter, with a prior that keeps it near 0 as long as the data do not object.
    Braid,
    /// One parameter.
    BraidFree,
    /// Effective doses.
    EffectiveDose,
    /// One from a model file.
    Formula(ModelId),
}

/// How much work a fit is worth.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// The data: no better minimum is known when all was tried, and how the sum of squares rises about it.
    Data,
    /// Other data of the same matrix, for their score alone: all was tried, but not how the sum of squares rises.
    Score,
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
            Surface::BraidFree => ModelId::braid_free(),
            Surface::EffectiveDose => ModelId::effective_dose(),
            Surface::Formula(model) => model,
        }
    }

    /// The name in tables.
    pub fn name(self) -> &'static str {
        self.model().name()
    }

    /// The model that is fitted to the data before a prior has its say.
    fn model_of_data(self) -> ModelId {
        if self == Surface::Braid { ModelId::braid_free() } else { self.model() }
    }

    /// The parameter that alone makes the surface one with interaction: without it, its value is 0.
    pub fn null_parameter(self) -> Option<usize> {
        match self {
            Surface::Braid | Surface::BraidFree => Some(braid::EPSILON),
            _ => None,
        }
    }

    /// Strength of the prior on that parameter, a normal distribution about 0 with a standard deviation of 1 over this,
    /// on the scale of `epsilon` (braidrm's moderate one; Twarog 2016, doi 10.1038/srep25523).
    fn prior_strength(self) -> Option<f64> {
        (self == Surface::Braid).then_some(1.0)
    }

    /// The parameters without interaction: what the surface is compared with.
    pub fn without_interaction(self, parameters: &[f64]) -> Vec<f64> {
        let mut own = parameters[..self.model().parameters().len()].to_vec();
        match self {
            Surface::Musyc | Surface::MusycGamma => {
                own[musyc::E3] = own[musyc::E1].min(own[musyc::E2]);
                own[musyc::LN_ALPHA12..].fill(0.0);
            }
            Surface::Braid | Surface::BraidFree => own[braid::EPSILON] = 0.0,
            Surface::EffectiveDose => own[effective_dose::LN_ALPHA12..].fill(0.0),
            Surface::Formula(model) => {
                let model = model.curve_model();
                for (parameter, value) in model.interactions.iter().zip(&model.without_interaction) {
                    own[*parameter] = *value;
                }
            }
        }
        own
    }

    /// The parameters of interaction, by number.
    pub fn interactions(self) -> &'static [usize] {
        match self {
            Surface::Musyc => &[musyc::LN_ALPHA12, musyc::LN_ALPHA21],
            Surface::MusycGamma => &[musyc::LN_ALPHA12, musyc::LN_ALPHA21, musyc::LN_GAMMA12, musyc::LN_GAMMA21],
            Surface::Braid | Surface::BraidFree => &[braid::EPSILON],
            Surface::EffectiveDose => &[effective_dose::LN_ALPHA12, effective_dose::LN_ALPHA21],
            Surface::Formula(model) => &model.curve_model().interactions,
        }
    }

    /// The response at a pair of doses, as natural logs, negative infinity for none.
    pub fn response(self, ln_dose: [f64; 2], parameters: &[f64]) -> f64 {
        let [a, b] = ln_dose.map(|x| x.max(LN_DOSE_ZERO));
        let of = |p: &[f64]| match self {
            Surface::Musyc => musyc::Musyc::response(a, b, std::array::from_fn(|i| p[i])),
            Surface::MusycGamma => musyc::MusycGamma::response(a, b, std::array::from_fn(|i| p[i])),
            Surface::Braid | Surface::BraidFree => braid::Braid::response(a, b, std::array::from_fn(|i| p[i])),
            Surface::EffectiveDose => effective_dose::EffectiveDose::response(a, b, std::array::from_fn(|i| p[i])),
            Surface::Formula(model) => {
                let dose = if a > LN_DOSE_ZERO { libm::exp(a) } else { 0.0 };
                model.curve_model().response(dose, b, p)
            }
        };
        of(parameters)
    }

    /// Beginnings, as nonlinear parameters in the model's order, from what the drugs do alone: the half-effect dose,
    /// the slope, and the response that is left.
    fn beginnings(self, alone: [[f64; 3]; 2], top: f64) -> Vec<Vec<f64>> {
        let [[c1, h1, bottom1], [c2, h2, bottom2]] = alone;
        let mut all = Vec::new();
        // Interactions begin where the model's own search does.
        let starts = |parameter: usize| match self.model().curve_model().parameters[parameter].starts {
            Starts::Values(values) => values,
            Starts::Positions(_) | Starts::Places(_) => &[],
        };
        match self {
            Surface::Musyc | Surface::MusycGamma => {
                let gammas = if self == Surface::MusycGamma { 2 } else { 0 };
                for alpha12 in starts(musyc::LN_ALPHA12) {
                    let begin = |alpha21: &f64| [vec![c1, c2, h1, h2, *alpha12, *alpha21], vec![0.0; gammas]].concat();
                    all.extend(starts(musyc::LN_ALPHA21).iter().map(begin));
                }
            }
            Surface::Formula(model) => {
                // What is known of the drugs alone says where doses are; everything else begins where the file says.
                let model = model.curve_model();
                all.push(Vec::new());
                for &parameter in &model.nonlinear {
                    let own = &model.parameters[parameter];
                    let values: Vec<f64> = match (own.axis, own.starts) {
                        (Axis::LnSecond, _) => vec![c2],
                        (Axis::Dose, _) => vec![libm::exp(c1) / model.dose_unit],
                        (Axis::LnDose, _) => vec![c1],
                        (Axis::Plain, Starts::Values(values)) if all.len() * values.len() <= MOST_BEGINNINGS => {
                            values.to_vec()
                        }
                        (Axis::Plain, Starts::Values(values)) => {
                            values.get(values.len() / 2).into_iter().copied().collect()
                        }
                        (Axis::Plain, _) => Vec::new(),
                    };
                    let values = if values.is_empty() { vec![0.0] } else { values };
                    all = all
                        .iter()
                        .flat_map(|begin| values.iter().map(|v| [begin.as_slice(), &[*v]].concat()))
                        .collect();
                }
            }
            Surface::EffectiveDose => {
                for alpha12 in starts(effective_dose::LN_ALPHA12) {
                    let begin = |alpha21: &f64| vec![c1, c2, h1, h2, *alpha12, *alpha21];
                    all.extend(starts(effective_dose::LN_ALPHA21).iter().map(begin));
                }
            }
            Surface::Braid | Surface::BraidFree => {
                let fall = (top - bottom1.min(bottom2)).max(0.05);
                for times in [1.0, LESS] {
                    let [a, b] = [bottom1, bottom2].map(|b| times * ((top - b) / fall).clamp(SHARES.0, SHARES.1));
                    let begin = |epsilon: &f64| vec![a, b, c1, c2, h1, h2, *epsilon];
                    all.extend(starts(braid::EPSILON).iter().map(begin));
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
    /// What the data say of the parameters of interaction, or why they say nothing.
    pub profiles: Result<Vec<Profile>, &'static str>,
    /// Dose pairs and single doses fitted.
    pub points: usize,
    /// What the Bayesian information criterion says of BRAID.
    pub criterion: Criterion,
}

impl Interaction {
    /// The flag of a surface none of whose parameters of interaction the data tell, not even to one side: its excess is
    /// then no more than one way among many to explain them.
    pub fn flag(&self) -> Option<&'static str> {
        let says_nothing = |profile: &Profile| match (self.surface, profile.interval) {
            // The prior alone leaves an interval of 3.9 on this scale.
            (Surface::Braid, [Some(low), Some(high)]) => high - low > HARDLY_MORE_THAN_THE_PRIOR,
            (_, interval) => interval == [None; 2],
        };
        let unknown = self.profiles.as_ref().is_ok_and(|profiles| profiles.iter().all(says_nothing));
        unknown.then_some(match self.surface {
            Surface::Musyc => "musyc_not_identified",
            Surface::MusycGamma => "musyc_gamma_not_identified",
            Surface::Braid => "braid_not_identified",
            Surface::BraidFree => "braid_free_not_identified",
            Surface::EffectiveDose => "effective_dose_not_identified",
            Surface::Formula(_) => "surface_not_identified",
        })
    }
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
    // Untreated cells are the same for both drugs: what is measured counts, not what is assumed, and two means that
    // differ, as those of curves pooled apart, count by their weights.
    let mut untreated: Vec<(bool, f64, f64)> = Vec::new();
    for k in 0..2 {
        let margin = &design.margins[k];
        for (i, (ln_dose, response)) in margin.ln_dose.iter().zip(&responses.margins[k]).enumerate() {
            if ln_dose.is_finite() {
                let mut at = [f64::NEG_INFINITY; 2];
                at[k] = *ln_dose;
                points.push((at, *response, margin.weight[i]));
            } else {
                untreated.push((margin.untreated_assumed, *response, margin.weight[i]));
            }
        }
    }
    if untreated.iter().any(|(assumed, ..)| !assumed) {
        untreated.retain(|(assumed, ..)| !assumed);
    }
    let weight = untreated.iter().map(|(.., weight)| weight).sum::<f64>();
    if weight > 0.0 {
        let response = untreated.iter().map(|(_, response, weight)| response * weight).sum::<f64>() / weight;
        points.push(([f64::NEG_INFINITY; 2], response, weight / untreated.len() as f64));
    }
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

/// The best beginnings of each item after `settings.max_iterations` evaluations, at most `kept` of them, best first:
/// (item, nonlinear parameters).
pub(super) fn heat(
    backend: &dyn Backend,
    settings: &FitSettings,
    set: &CurveSet,
    contenders: &[(usize, Vec<f64>)],
    kept: usize,
    finish: Finish,
) -> crate::Result<Vec<(usize, Fit)>> {
    let which: Vec<usize> = contenders.iter().map(|(item, _)| *item).collect();
    let begins: Vec<f64> = contenders.iter().flat_map(|(_, begin)| begin.iter().copied()).collect();
    let fits = backend.descend(settings, &set.select(&which), &begins, finish)?;
    let mut ends: Vec<(usize, Fit)> = which.into_iter().zip(fits).collect();
    let sse = |fit: &Fit| if fit.status.is_fitted() { fit.sse } else { f64::INFINITY };
    ends.sort_by(|a, b| a.0.cmp(&b.0).then(sse(&a.1).total_cmp(&sse(&b.1))));
    let mut best: Vec<(usize, Fit)> = Vec::new();
    for run in ends.chunk_by(|a, b| a.0 == b.0) {
        best.extend_from_slice(&run[..kept.min(run.len())]);
    }
    Ok(best)
}

/// A surface fitted to one item.
#[derive(Debug, Clone, PartialEq)]
pub struct Fitted {
    /// The fit. The sum of squares is over means, weighted with their wells; without that of the prior.
    pub fit: Fit,
    /// What the prior adds to the sum of squares of the walks.
    pub prior: f64,
    /// Weight of the prior's point; 0 where there is none.
    pub prior_weight: f64,
    /// See [`Interaction::criterion`].
    pub criterion: Criterion,
    /// How the sum of squares rises about it, for each parameter of interaction; empty where only the score counts, and for failed fits.
    pub walks: Vec<Walk>,
}

/// Fits a surface to every item; results in their order. Walks along the parameters of interaction are in f64 on the CPU:
/// every step of theirs begins where the last one ended, so that its certificate would cost what it costs itself.
///
/// # Errors
/// Those of the back end.
pub fn fit_surfaces(
    surface: Surface,
    items: &[(&Design, Responses)],
    margins: &[[Margin; 2]],
    max_iterations: u32,
    effort: Effort,
    backend: &dyn Backend,
) -> crate::Result<Vec<Fitted>> {
    let model = surface.model_of_data();
    let nonlinear = &model.curve_model().nonlinear;
    let with_iterations = |max_iterations| FitSettings { max_iterations, ..FitSettings::new(model) };
    let settings = with_iterations(max_iterations);
    let finish = if effort != Effort::Draw { Finish::Certified } else { Finish::Settled };
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
        let is_braid = surface.null_parameter().is_some();
        let (iterations, kept) = if effort != Effort::Draw && !is_braid { HEAT } else { (1, 1) };
        let best = heat(backend, &with_iterations(iterations), &set, &contenders, kept, Finish::AsItIs)?;
        let begin = |fit: &Fit| -> Vec<f64> { nonlinear.iter().map(|p| fit.parameters[*p]).collect() };
        let beginnings = contenders;
        let contenders: Vec<(usize, Vec<f64>)> = best.iter().map(|(item, fit)| (*item, begin(fit))).collect();
        let ends = heat(backend, &settings, &set, &contenders, 1, finish)?;
        let mut fits: Vec<Fit> = ends.into_iter().map(|(_, fit)| fit).collect();
        let criteria = match (effort, is_braid) {
            (Effort::Data, true) => nested_braid::compare(&settings, &set, &fits, beginnings)?,
            _ => vec![Criterion::default(); fits.len()],
        };
        let mut prior_weight = vec![0.0; fits.len()];
        if let Some(strength) = surface.prior_strength() {
            prior_weight =
                (0..fits.len()).map(|item| strength * strength * spread(&set, item, &fits[item], model)).collect();
            set = with_prior(&set, &prior_weight);
            let begins: Vec<f64> = fits.iter().flat_map(&begin).collect();
            let settings = FitSettings { max_iterations, ..FitSettings::new(surface.model()) };
            fits = backend.descend(&settings, &set, &begins, finish)?;
        }
        let walks = match effort {
            Effort::Data => walk(surface, &set, &mut fits),
            Effort::Score | Effort::Draw => vec![Vec::new(); fits.len()],
        };
        let mut fitted = Vec::with_capacity(fits.len());
        for (((mut fit, walks), prior_weight), criterion) in fits.into_iter().zip(walks).zip(prior_weight).zip(criteria)
        {
            let held = surface.null_parameter().map_or(0.0, |parameter| fit.parameters[parameter]);
            let prior = if fit.status.is_fitted() { prior_weight * held * held } else { 0.0 };
            fit.sse = (fit.sse - prior).max(0.0);
            fitted.push(Fitted { fit, prior, prior_weight, criterion, walks });
        }
        Ok(fitted)
    };
    let together = backend.surfaces_a_call();
    let parts = items.par_chunks(together).zip(margins.par_chunks(together)).map(part);
    Ok(parts.collect::<crate::Result<Vec<Vec<Fitted>>>>()?.concat())
}

/// The variance of a single well about a fit: what the prior is measured in.
fn spread(set: &CurveSet, item: usize, fit: &Fit, model: ModelId) -> f64 {
    let range = set.offsets[item]..set.offsets[item + 1];
    let parameters = model.parameters().len();
    let n = range.len();
    let variance = if n > parameters && fit.status.is_fitted() {
        fit.sse / (n - parameters) as f64
    } else {
        let weight: f64 = set.weight[range.clone()].iter().sum();
        let points = || range.clone().map(|k| (set.response[k], set.weight[k]));
        let mean = points().map(|(y, w)| y * w).sum::<f64>() / weight;
        points().map(|(y, w)| w * (y - mean) * (y - mean)).sum::<f64>() / n.max(1) as f64
    };
    // A perfect fit leaves no scale: the prior then has no say.
    if variance.is_finite() && variance > 0.0 { variance } else { f64::MIN_POSITIVE.sqrt() }
}

/// The same curves, each with the point of its prior.
fn with_prior(set: &CurveSet, prior_weight: &[f64]) -> CurveSet {
    let mut with = CurveSet::new();
    for (item, weight) in prior_weight.iter().enumerate() {
        let range = set.offsets[item]..set.offsets[item + 1];
        let points = range.clone().map(|k| (set.ln_dose[k], set.response[k], set.weight[k]));
        with.push_at_ln_dose(None, points.chain([(f64::NEG_INFINITY, 0.0, *weight)]));
        with.x2.extend_from_slice(&set.x2[range]);
        with.x2.push(braid::LN_DOSE_PRIOR);
    }
    with
}

/// The standard error of each parameter of one fitted item, or why there is none. `sigma` is the noise of a single well
/// where it is known better than from the residuals.
pub fn standard_errors(
    surface: Surface,
    design: &Design,
    responses: &Responses,
    fitted: &Fitted,
    sigma: Option<f64>,
) -> Vec<(Option<f64>, Option<&'static str>)> {
    let mut set = CurveSet::new();
    push(&mut set, design, responses);
    if fitted.prior_weight > 0.0 {
        set = with_prior(&set, &[fitted.prior_weight]);
    }
    let point = |k: usize| CurvePoint {
        dose: set.dose[k],
        response: set.response[k],
        weight: set.weight[k],
        n: 1,
        sum_of_squares: 0.0,
    };
    let key = CurveKey { line: 0, drug: 0, schedule: None };
    let curve = Curve { key, points: (0..set.dose.len()).map(point).collect() };
    let found = infer_with(&curve, &set.x2, &fitted.fit, surface.model());
    let count = surface.model().parameters().len();
    let scale = sigma.zip(found.sigma).map_or(1.0, |(known, residual)| known / residual);
    let scaled = found.standard_errors.into_iter().map(|error| error.map(|e| scale * e).filter(|e| e.is_finite()));
    scaled.zip(found.standard_error_reasons).take(count).collect()
}
