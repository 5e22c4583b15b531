//! Intervals and tests from resampled matrices: every cell and margin point is drawn anew about what the fits expect of
//! it, margins and slices are fitted anew in every draw, so the uncertainty of the single-agent curves reaches the score,
//! as in BIGL's statistics (Van der Borght 2017, doi 10.1038/s41598-017-18068-5).
//!
//! - **Standard error** of a score against HSA, Bliss or Loewe: the noise of the cells' own wells, which is known without
//!   drawing, and the spread over the draws of what the cells share (margins, vehicle means). Of ZIP and fitted surfaces,
//!   and where noise is not drawn parametrically: the spread of the score over the draws.
//! - **Intervals and p** are of Student's t, with the degrees of freedom of the noise and of the spread over a finite
//!   number of draws (Satterthwaite 1946, doi 10.2307/3002019).
//! - **Noise without replicates** is from the residuals of margins and slices, which are not as many independent numbers as
//!   points less parameters say. The draws, whose noise is known, tell how large it comes out, and how variable.
//! - Mean-R, max-R and the calls of cells are in [`super::departure`], the screen's own null in [`super::null`].

use super::departure::{self, CellDeparture, DrawnNull};
use super::design::{Design, Responses};
use super::draws::{ResamplingKind, Sampler};
use super::interaction::Effort;
use super::noise::{Noise, ROUNDING, lacks_replicates, variance_law};
use super::normalisation_error::NormalisationError;
use super::null::{ScreenNull, add_screen_null};
use super::score::{BATCH_CURVES, Evaluation, Evaluator, mean};
use super::{Margins, MatrixScore, Measured, Score, SynergyModel};
use crate::Result;
use crate::backend::Backend;
use crate::fit::FitSettings;
use crate::fit::variance::VarianceLaw;
use crate::math::special::{benjamini_hochberg, f_upper_tail, t_quantile};
use crate::screen::Screen;
use crate::screen::dose_matrix::{DoseMatrix, Observation};
use rayon::prelude::*;

/// Iterations of a fit to resampled data, from its best start alone: a standard error needs no digit beyond its
/// third, and the slow crawl along flat valleys changes the curve by less than the noise that was just added.
const RESAMPLED_ITERATIONS: u32 = 60;
/// Draws in which a score must have been defined for a standard error, as a share of all.
const ENOUGH_DRAWS: f64 = 0.5;
/// Draws that covariances are taken from at most: 2,000 know the variance of a cell to 3 %.
const DRAWS_FOR_COVARIANCE: usize = 2_000;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Resampling<'a> {
    /// Draws a matrix; fewer than 2 leave everything as it is.
    pub draws: usize,
    /// Seed of every random number.
    pub seed: u64,
    /// Where noise comes from.
    pub kind: ResamplingKind,
    /// Errors of vehicle means, one a matrix; empty where none are known.
    pub normalisation_errors: &'a [NormalisationError],
    /// Whether each matrix is to be drawn; empty for all. Of some, q and the screen's null are of these alone.
    pub only: &'a [bool],
    /// Each matrix's own wells, ascending by doses, for [`ResamplingKind::Replicates`]; else empty.
    pub wells: &'a [Vec<Observation>],
}

/// What one matrix's draws have shown so far.
struct Shown {
    /// By model: the cells that the data have an excess for.
    cells: Vec<Vec<usize>>,
    /// By model, by draw in which it was defined: the score, and the part of it that cells share.
    scores: Vec<Vec<[f64; 2]>>,
    /// By model, draw after draw: each cell's excess, without the noise of its own wells where the model is a reference.
    deviations: Vec<Vec<f64>>,
    /// By model: the draws that these are of, those in which every cell was defined.
    complete: Vec<Vec<u32>>,
    /// The same deviations with that noise, for references whose noise is from residuals.
    whole: Vec<Vec<f64>>,
    /// By draw: the variance that its noise would be found to have, over the one that it was drawn with.
    relative_variances: Vec<f64>,
    /// By model, by draw as `scores`: index of the draw.
    draws: Vec<Vec<u32>>,
}

/// One matrix of the group that is being resampled.
struct Job<'m> {
    index: usize,
    design: Design<'m>,
    sigma: f64,
    evaluation: Evaluation,
    sampler: Sampler,
    shown: Shown,
}

/// Fills standard errors, 95 % intervals, p and Benjamini–Hochberg q (by model, over all matrices given), mean-R, max-R,
/// calls of cells and the screen's null into `scores`, which must be [`super::score::score_matrices`] of the same
/// matrices and settings.
///
/// The noise is that of [`MatrixScore::sigma`] over the square root of a cell's weight. A score that stays without an
/// interval has a reason: `no_noise_estimate`, `no_noise`, `too_few_draws`.
///
/// # Errors
/// Those of the back end.
#[expect(
    clippy::too_many_arguments,
    reason = "each is a separate thing that the stage needs; a struct would only rename them"
)]
pub fn add_intervals(
    scores: &mut [MatrixScore],
    matrices: &[DoseMatrix],
    screen: &Screen,
    models: &[SynergyModel],
    margins: Margins,
    fit: &FitSettings,
    resampling: Resampling,
    backend: &dyn Backend,
) -> Result<()> {
    if resampling.draws < 2 {
        return Ok(());
    }
    let drawn_fit =
        &FitSettings { starts: 1, max_iterations: RESAMPLED_ITERATIONS.min(fit.max_iterations), ..fit.clone() };
    let of_data = Evaluator { models, margins, fit, effort: Effort::Draw, backend };
    let of_draws = Evaluator { fit: drawn_fit, ..of_data };
    let draws = resampling.draws.min(u32::MAX as usize);
    let mut waiting = Vec::new();
    let wanted = |index: &usize| resampling.only.get(*index).is_none_or(|wanted| *wanted);
    for (index, score) in scores.iter_mut().enumerate().take(matrices.len()).filter(|(index, _)| wanted(index)) {
        match score.sigma {
            Some(sigma) if sigma > ROUNDING => waiting.push((index, sigma)),
            sigma => {
                let reason = if sigma.is_some() { "no_noise" } else { "no_noise_estimate" };
                score.scores.iter_mut().filter(|s| s.score.is_some()).for_each(|s| s.reason = Some(reason));
            }
        }
    }
    let law = variance_law(matrices);
    let mut null = ScreenNull::new(models.len(), waiting.len());
    let mut waiting = waiting.into_iter().peekable();
    while waiting.peek().is_some() {
        // As many whole matrices as make a batch, or one.
        let (mut designs, mut curves) = (Vec::new(), 0);
        while let Some((index, sigma)) = waiting.next_if(|_| curves == 0 || curves * draws < BATCH_CURVES) {
            let design = Design::new(&matrices[index]);
            curves += 2 + design.levels[0].len() + design.levels[1].len();
            designs.push((index, design, sigma));
        }
        let mut jobs = begin(designs, screen, law.as_ref(), resampling, &of_data)?;
        let together = (BATCH_CURVES / curves.max(1)).clamp(1, draws);
        for from in (0..draws).step_by(together) {
            let numbers = from as u32..(from + together).min(draws) as u32;
            let items: Vec<(&Design, Responses)> = jobs
                .par_iter()
                .flat_map_iter(|job| numbers.clone().map(|draw| (&job.design, job.sampler.draw(draw))))
                .collect();
            let lacking: Vec<bool> = jobs.iter().map(|job| lacks_replicates(&job.design)).collect();
            let evaluations = of_draws.evaluate(&items, |i| lacking[i / numbers.len()])?;
            drop(items);
            jobs.par_iter_mut().zip(evaluations.par_chunks(numbers.len())).for_each(|(job, evaluations)| {
                numbers.clone().zip(evaluations).for_each(|(draw, evaluation)| job.see(draw, evaluation, models));
            });
        }
        let found: Vec<_> =
            jobs.par_iter().map(|job| job.conclude(models, margins, resampling, &scores[job.index])).collect();
        for (job, found) in jobs.iter().zip(found) {
            let matrix = &mut scores[job.index];
            let is_sham = matrix.key.drug_a == matrix.key.drug_b;
            for (m, concluded) in found.into_iter().enumerate() {
                if concluded.t.is_some() && concluded.departure.is_none() && models[m].surface().is_none() {
                    matrix.add_flag(&format!("no_cell_tests_{}", models[m].name()));
                }
                null.add(m, models[m], is_sham, concluded.t, &concluded.null);
                concluded.departure.into_iter().flatten().zip(&job.shown.cells[m]).for_each(|(cell, i)| {
                    let at = job.design.combinations[*i].cell;
                    matrix.cells[at].departures[m] = Some(cell);
                });
                matrix.scores[m] = concluded.score;
            }
            job.sampler.flags.iter().for_each(|flag| matrix.add_flag(flag));
        }
    }
    for model in 0..models.len() {
        add_q(scores, model, |score| score.p, |score, q| score.q = q);
        add_q(scores, model, |score| score.mean_r_p, |score, q| score.mean_r_q = q);
        add_screen_null(scores, model, &mut null);
        add_q(scores, model, |score| score.p_null, |score, q| score.q_null = q);
    }
    Ok(())
}

/// Benjamini–Hochberg q of one kind of p of one model, over all matrices.
fn add_q(
    scores: &mut [MatrixScore],
    model: usize,
    p: impl Fn(&Score) -> Option<f64>,
    put: impl Fn(&mut Score, Option<f64>),
) {
    let all: Vec<Option<f64>> = scores.iter().map(|matrix| matrix.scores.get(model).and_then(&p)).collect();
    for (matrix, q) in scores.iter_mut().zip(benjamini_hochberg(&all)) {
        if let Some(score) = matrix.scores.get_mut(model) {
            put(score, q);
        }
    }
}

/// Fits the data of a group once more, slices included: draws are about the fits.
fn begin<'m>(
    designs: Vec<(usize, Design<'m>, f64)>,
    screen: &Screen,
    law: Option<&VarianceLaw>,
    resampling: Resampling,
    evaluator: &Evaluator,
) -> Result<Vec<Job<'m>>> {
    let items: Vec<(&Design, Responses)> = designs.iter().map(|(_, d, _)| (d, d.observed())).collect();
    let evaluations = evaluator.evaluate(&items, |_| true)?;
    let models = evaluator.models.len();
    let job = |((index, design, sigma), evaluation): ((usize, Design<'m>, f64), Evaluation)| {
        let defined = |excess: &Vec<Option<f64>>| (0..excess.len()).filter(|i| excess[*i].is_some()).collect();
        let shown = Shown {
            cells: evaluation.excess.iter().map(defined).collect(),
            scores: vec![Vec::new(); models],
            deviations: vec![Vec::new(); models],
            complete: vec![Vec::new(); models],
            whole: vec![Vec::new(); models],
            relative_variances: Vec::new(),
            draws: vec![Vec::new(); models],
        };
        let normalisation = resampling.normalisation_errors.get(index).cloned().unwrap_or_default();
        let wells = resampling.wells.get(index).map_or(&[][..], Vec::as_slice);
        let sampler = Sampler::new(
            &design,
            &evaluation,
            sigma,
            law,
            resampling.kind,
            normalisation,
            wells,
            screen,
            resampling.seed,
        );
        Job { index, design, sigma, evaluation, sampler, shown }
    };
    Ok(designs.into_par_iter().zip(evaluations).map(job).collect())
}

/// Whether a model's excess is expected minus observed viability, so that the noise of a cell's wells enters it as it is.
fn is_reference(model: SynergyModel) -> bool {
    model.measured() == Measured::Wells
}

/// What was concluded of one matrix under one model.
struct Concluded {
    score: Score,
    departure: Option<Vec<CellDeparture>>,
    /// Score over its standard error, and what that is in draws without synergy.
    t: Option<f64>,
    null: Vec<f64>,
}

impl Job<'_> {
    /// Takes in one draw.
    fn see(&mut self, draw: u32, evaluation: &Evaluation, models: &[SynergyModel]) {
        let noise = self.sampler.noise_of(&self.design, evaluation, self.sigma, draw);
        let relative = noise.sigma.map_or(1.0, |sigma| (sigma / self.sigma) * (sigma / self.sigma));
        self.shown.relative_variances.push(relative);
        let shift: Vec<f64> = self.sampler.plate_shift(draw).collect();
        let centre: Vec<f64> = self.sampler.centre().collect();
        for (m, model) in models.iter().enumerate() {
            let cells = &self.shown.cells[m];
            let excess = &evaluation.excess[m];
            // Of a model that is not defined everywhere, some cells of a draw may have no excess.
            let defined = cells.iter().filter(|i| excess[**i].is_some()).count();
            let Some(score) = mean(excess).filter(|_| 2 * defined >= cells.len()) else {
                continue;
            };
            let shared = |i: &usize| Some(evaluation.expected[m][*i]? - centre[*i] - shift[*i]);
            let of_cell = |i: &usize| if is_reference(*model) { shared(i) } else { excess[*i] };
            let shared = mean(&cells.iter().map(of_cell).collect::<Vec<_>>()).unwrap_or(0.0);
            if defined == cells.len() && self.shown.complete[m].len() < DRAWS_FOR_COVARIANCE {
                self.shown.complete[m].push(draw);
                self.shown.deviations[m].extend(cells.iter().filter_map(of_cell));
                if is_reference(*model) && !noise.from_replicates {
                    self.shown.whole[m].extend(cells.iter().filter_map(|i| excess[*i]));
                }
            }
            self.shown.scores[m].push([score, shared]);
            self.shown.draws[m].push(draw);
        }
    }

    /// What all draws say.
    fn conclude(
        &self,
        models: &[SynergyModel],
        margins: Margins,
        resampling: Resampling,
        before: &MatrixScore,
    ) -> Vec<Concluded> {
        let noise = Noise::estimate(&self.design, &self.evaluation);
        let (variance, freedom) = if noise.from_replicates {
            (1.0, noise.degrees_of_freedom as f64)
        } else {
            let (mean, variance) = moments(self.shown.relative_variances.iter().copied());
            let freedom = (2.0 * mean * mean / variance).min(noise.degrees_of_freedom as f64).max(1.0);
            (if mean > 0.0 { mean } else { 1.0 }, freedom)
        };
        // The noise by which draws were made is too large or too small by this, as an estimate from them would be.
        let found = variance.sqrt();
        let deviation: Vec<f64> = self.sampler.deviations().collect();
        let of = |(m, model): (usize, &SynergyModel)| {
            let mut score = before.scores.get(m).cloned().unwrap_or_default();
            let nothing = |score| Concluded { score, departure: None, t: None, null: Vec::new() };
            let Some(value) = score.score else {
                return nothing(score); // the reason why there is no score stands
            };
            let (cells, drawn) = (&self.shown.cells[m], &self.shown.scores[m]);
            let count = drawn.len() as f64;
            let analytic = is_reference(*model) && resampling.kind == ResamplingKind::Parametric;
            let n = cells.len() as f64;
            let own = cells.iter().map(|i| deviation[*i] * deviation[*i]).sum::<f64>() / (n * n);
            let (_, spread) = moments(drawn.iter().map(|[score, shared]| if analytic { *shared } else { *score }));
            let squared = if analytic { own + spread } else { spread };
            let enough = count >= ENOUGH_DRAWS * resampling.draws as f64 && count > 1.0;
            if !(enough && squared > 0.0 && squared.is_finite()) {
                score.reason = Some("too_few_draws");
                return nothing(score);
            }
            let error = squared.sqrt() / found;
            let share = spread / squared;
            let of_score = 1.0 / (1.0 / freedom + share * share / (count - 1.0));
            let t = value / error;
            let quantile = t_quantile(0.975, of_score).unwrap_or(f64::INFINITY);
            score.standard_error = Some(error);
            score.degrees_of_freedom = Some(of_score);
            score.ci_low = Some(value - quantile * error);
            score.ci_high = Some(value + quantile * error);
            score.p = Some(f_upper_tail(t * t, 1.0, of_score));
            score.reason = None;

            let excess: Vec<f64> = cells.iter().map(|i| found * self.evaluation.excess[m][*i].unwrap_or(0.0)).collect();
            let kept = &self.shown.deviations[m];
            let of_draw = |draw: &u32| self.shown.relative_variances[*draw as usize] / variance;
            let relative: Vec<f64> = self.shown.complete[m].iter().map(of_draw).collect();
            let whole = if is_reference(*model) { &self.shown.whole[m] } else { kept };
            let null_of_cells = DrawnNull { excess: whole, relative_variance: &relative };
            let null_of_cells = Some(null_of_cells).filter(|_| !noise.from_replicates);
            let departure = match model.surface() {
                Some(_) => None,
                None if is_reference(*model) => {
                    let deviation: Vec<f64> = cells.iter().map(|i| deviation[*i]).collect();
                    departure::of_reference(&excess, &deviation, kept, freedom, null_of_cells)
                }
                // Slices that tell the noise and are the excess too have no test of cells that simulation bears out.
                None if !noise.from_replicates => None,
                None => departure::of_fitted_surface(&excess, kept, freedom),
            };
            if let Some(departure) = &departure {
                score.mean_r_f = Some(departure.mean_r_f);
                score.mean_r_p = Some(departure.mean_r_p);
                score.max_r = Some(departure.max_r);
                score.max_r_p = Some(departure.max_r_p);
            }

            // A draw is a matrix without synergy but for what it was drawn about, which is taken off.
            let (centre, _) = moments(drawn.iter().map(|[score, _]| *score));
            let about = match (is_reference(*model), margins) {
                (true, Margins::Fitted) => {
                    let seen: Vec<f64> = self.sampler.centre().collect();
                    let of = |i: &usize| self.evaluation.expected[m][*i].unwrap_or(0.0) - seen[*i];
                    cells.iter().map(of).sum::<f64>() / n
                }
                _ => centre,
            };
            let null = drawn.iter().zip(&self.shown.draws[m]).take(resampling.draws).map(|([score, _], draw)| {
                let relative = self.shown.relative_variances[*draw as usize] / variance;
                (score - about) / (error * found * relative.sqrt())
            });
            Concluded {
                score,
                departure: departure.map(|departure| departure.cells),
                t: Some(t),
                null: null.filter(|t| t.is_finite()).collect(),
            }
        };
        models.iter().enumerate().map(of).collect()
    }
}

/// Mean and variance, with one degree of freedom less than there are numbers.
fn moments(x: impl Iterator<Item = f64> + Clone) -> (f64, f64) {
    let n = x.clone().count() as f64;
    let mean = x.clone().sum::<f64>() / n.max(1.0);
    let squares = x.map(|x| (x - mean) * (x - mean)).sum::<f64>();
    (mean, squares / (n - 1.0).max(1.0))
}
