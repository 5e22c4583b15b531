//! Standard errors by parametric resampling: every cell and margin point is drawn anew about its mean with the noise
//! of its wells, margins and slices are fitted anew in every draw, and the spread of the scores is their error. So
//! the uncertainty of the single-agent curves is in it, as in BIGL's statistics (Van der Borght 2017,
//! doi 10.1038/s41598-017-18068-5).

use super::design::{Design, Responses};
use super::interaction::Effort;
use super::noise::{ROUNDING, matrix_hash};
use super::score::{BATCH_CURVES, Evaluator, mean};
use super::{Margins, MatrixScore, SynergyModel};
use crate::Result;
use crate::backend::Backend;
use crate::fit::FitSettings;
use crate::math::random::standard_normal;
use crate::math::special::{benjamini_hochberg, normal_two_sided};
use crate::screen::Screen;
use crate::screen::dose_matrix::{CurvePoint, DoseMatrix};
use rayon::prelude::*;

/// The 97.5 % quantile of the normal distribution.
const Z_95: f64 = 1.959_963_984_540_054;
/// Iterations of a fit to resampled data, from its best start alone: a standard error needs no digit beyond its
/// third, and the slow crawl along flat valleys changes the curve by less than the noise that was just added.
const RESAMPLED_ITERATIONS: u32 = 60;
/// Draws in which a score must have been defined for a standard error, as a share of all.
const ENOUGH_DRAWS: f64 = 0.5;

/// Where in a matrix a random number is for: the high bits say which part.
const OF_MARGIN: [u32; 2] = [1 << 30, 2 << 30];
const OF_UNTREATED: u32 = 3 << 30;

/// How to resample.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Resampling {
    /// Draws a matrix; fewer than 2 leave everything as it is.
    pub draws: usize,
    /// Seed of every random number.
    pub seed: u64,
}

/// Running mean and sum of squares (Welford 1962, doi 10.1080/00401706.1962.10490022), in the order of the draws.
#[derive(Debug, Clone, Copy, Default)]
struct Spread {
    n: usize,
    mean: f64,
    squares: f64,
}

impl Spread {
    fn add(&mut self, x: f64) {
        self.n += 1;
        let before = x - self.mean;
        self.mean += before / self.n as f64;
        self.squares += before * (x - self.mean);
    }

    fn standard_deviation(&self) -> Option<f64> {
        (self.n > 1).then(|| (self.squares / (self.n - 1) as f64).sqrt())
    }
}

/// Fills standard errors, 95 % intervals, two-sided p and Benjamini–Hochberg q (by model, over all matrices given)
/// into `scores`, which must be [`super::score::score_matrices`] of the same matrices and settings.
///
/// The noise is normal with [`MatrixScore::sigma`] over the square root of a cell's weight (of the number of wells,
/// for the untreated point). The untreated cell is one draw for both margins. A score that stays without an interval
/// has a reason: `no_noise_estimate`, `no_noise`, `too_few_draws`.
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
    let fit = &FitSettings { starts: 1, max_iterations: RESAMPLED_ITERATIONS.min(fit.max_iterations), ..fit.clone() };
    let evaluator = Evaluator { models, margins, fit, effort: Effort::Draw, backend };
    let draws = resampling.draws.min(u32::MAX as usize);
    let mut spreads = vec![vec![Spread::default(); models.len()]; matrices.len()];
    let noisy = |i: usize| scores.get(i).and_then(|score| score.sigma).filter(|sigma| *sigma > ROUNDING);
    let jobs: Vec<(usize, u64, f64)> = (0..matrices.len().min(scores.len()))
        .filter_map(|i| Some((i, matrix_hash(&matrices[i].key, screen), noisy(i)?)))
        .collect();
    // A chunk of work is a run of (matrix, draw) pairs, matrix by matrix, with a bounded number of curves.
    let mut at = (0, 0);
    while at.0 < jobs.len() {
        let mut designs = Vec::new();
        let mut chunk = Vec::new();
        let mut curves = 0;
        while at.0 < jobs.len() && curves < BATCH_CURVES {
            let design = Design::new(&matrices[jobs[at.0].0]);
            let each = 2 + design.levels[0].len() + design.levels[1].len();
            let take = (draws - at.1).min((BATCH_CURVES - curves).div_ceil(each));
            chunk.extend((at.1..at.1 + take).map(|draw| (designs.len(), at.0, draw as u32)));
            designs.push(design);
            curves += take * each;
            at = if at.1 + take == draws { (at.0 + 1, 0) } else { (at.0, at.1 + take) };
        }
        let items: Vec<(&Design, Responses)> = chunk
            .par_iter()
            .map(|&(design, job, draw)| {
                let (_, hash, sigma) = jobs[job];
                (&designs[design], drawn(&designs[design], sigma, resampling.seed, hash, draw))
            })
            .collect();
        let evaluations = evaluator.evaluate(&items, |_| false)?;
        for (&(_, job, _), evaluation) in chunk.iter().zip(&evaluations) {
            for (spread, excess) in spreads[jobs[job].0].iter_mut().zip(&evaluation.excess) {
                if let Some(score) = mean(excess) {
                    spread.add(score);
                }
            }
        }
    }
    for (matrix, spreads) in scores.iter_mut().zip(&spreads) {
        for (score, spread) in matrix.scores.iter_mut().zip(spreads) {
            let Some(value) = score.score else {
                continue; // the reason why there is no score stands
            };
            let enough = spread.n as f64 >= ENOUGH_DRAWS * draws as f64;
            let error = match (matrix.sigma, spread.standard_deviation()) {
                (None, _) => Err("no_noise_estimate"),
                (Some(sigma), _) if sigma <= ROUNDING => Err("no_noise"),
                (_, Some(error)) if enough && error > 0.0 => Ok(error),
                _ => Err("too_few_draws"),
            };
            match error {
                Ok(error) => {
                    score.standard_error = Some(error);
                    score.ci_low = Some(value - Z_95 * error);
                    score.ci_high = Some(value + Z_95 * error);
                    score.p = Some(normal_two_sided(value / error));
                    score.reason = None;
                }
                Err(reason) => score.reason = Some(reason),
            }
        }
    }
    for model in 0..models.len() {
        let of_model = |matrix: &MatrixScore| matrix.scores.get(model).and_then(|score| score.p);
        let p: Vec<Option<f64>> = scores.iter().map(of_model).collect();
        for (matrix, q) in scores.iter_mut().zip(benjamini_hochberg(&p)) {
            if let Some(score) = matrix.scores.get_mut(model) {
                score.q = q;
            }
        }
    }
    Ok(())
}

/// The responses of one draw: the measured ones, each with noise of its own.
fn drawn(design: &Design, sigma: f64, seed: u64, hash: u64, draw: u32) -> Responses {
    let mut responses = design.observed();
    let noise = |place: u32, wells: f64| sigma / wells.sqrt() * standard_normal(seed, hash, draw, place);
    for (response, combination) in responses.combinations.iter_mut().zip(&design.combinations) {
        *response += noise(combination.cell as u32, combination.weight);
    }
    let untreated = standard_normal(seed, hash, draw, OF_UNTREATED);
    let points: [&[CurvePoint]; 2] = [&design.matrix.margin_a, &design.matrix.margin_b];
    for k in 0..2 {
        // An assumed untreated point is 1 by definition and comes first: it has no noise.
        let measured = usize::from(design.margins[k].untreated_assumed);
        let margin = responses.margins[k].iter_mut().skip(measured);
        for (i, (response, point)) in margin.zip(points[k]).enumerate() {
            *response += if point.dose > 0.0 {
                noise(OF_MARGIN[k] | i as u32, point.weight)
            } else {
                sigma / f64::from(point.n.max(1)).sqrt() * untreated
            };
        }
    }
    responses
}
