//! Standard errors of triple scores, by parametric resampling of whole matrices with the single drugs fitted anew, as
//! for pairs.

use super::TripleMatrixScore;
use super::reference::{Reference, expected};
use super::score::{Margins, excesses, fit_margins};
use crate::Result;
use crate::backend::Backend;
use crate::fit::FitSettings;
use crate::math::random::standard_normal;
use crate::math::special::{benjamini_hochberg, f_upper_tail, t_quantile};
use crate::screen::triple_matrix::{TripleCell, TripleMatrix};
use crate::synergy::noise::ROUNDING;
use crate::synergy::score::mean;
use rayon::prelude::*;

/// Draws fitted together at most, of one matrix or of many.
const TOGETHER: usize = 1 << 12;
/// Iterations of a fit to drawn data, as for pairs.
const RESAMPLED_ITERATIONS: u32 = 60;

/// Fills standard errors, 95 % intervals, p and q into scores of the same matrices. `unit` is each matrix's own number,
/// which its random draws are keyed with.
///
/// # Errors
/// Those of the back end.
pub fn add_triple_intervals(
    scores: &mut [TripleMatrixScore],
    matrices: &[TripleMatrix],
    unit: &[u64],
    fit: &FitSettings,
    draws: usize,
    seed: u64,
    backend: &dyn Backend,
) -> Result<()> {
    if draws < 2 {
        return Ok(());
    }
    let fit = &FitSettings { starts: 1, max_iterations: RESAMPLED_ITERATIONS.min(fit.max_iterations), ..fit.clone() };
    let mut drawn: Vec<usize> = Vec::new();
    for (number, score) in scores.iter_mut().enumerate().take(matrices.len().min(unit.len())) {
        if score.sigma.is_some_and(|sigma| sigma > ROUNDING) {
            drawn.push(number);
            continue;
        }
        let reason = if score.sigma.is_none() { "no_noise_estimate" } else { "no_noise" };
        let scored = score.scores.iter_mut().filter(|s| s.score.is_some());
        scored.for_each(|s| s.reason = Some(reason));
    }
    // Of each matrix and reference: draws with a score, and the sums of their differences from it and of their squares.
    let mut sums = vec![vec![(0usize, 0.0, 0.0); Reference::ALL.len()]; matrices.len()];
    // Draws of several small matrices are fitted together.
    for from in (0..drawn.len() * draws).step_by(TOGETHER) {
        let numbers: Vec<(usize, usize)> =
            (from..(from + TOGETHER).min(drawn.len() * draws)).map(|at| (drawn[at / draws], at % draws)).collect();
        let draw = |&(number, draw): &(usize, usize)| {
            let (matrix, sigma) = (&matrices[number], scores[number].sigma.unwrap_or(0.0));
            let cell = |(place, cell): (usize, &TripleCell)| {
                let noise = standard_normal(seed, unit[number], draw as u32, place as u32);
                cell.response + sigma / cell.weight.sqrt() * noise
            };
            (matrix, matrix.cells.iter().enumerate().map(cell).collect::<Vec<f64>>())
        };
        let items: Vec<(&TripleMatrix, Vec<f64>)> = numbers.par_iter().map(draw).collect();
        let margins = fit_margins(&items, fit, backend)?;
        let of_draw = |((matrix, responses), margins): (&(&TripleMatrix, Vec<f64>), &Margins)| {
            let expected = expected(matrix, responses, &margins.curves);
            excesses(matrix, responses, &expected).iter().map(|excess| mean(excess)).collect::<Vec<Option<f64>>>()
        };
        let of_draws: Vec<Vec<Option<f64>>> = items.par_iter().zip(&margins).map(of_draw).collect();
        // In the order of the draws: a sum over threads would depend on their number.
        for ((number, _), values) in numbers.iter().zip(&of_draws) {
            for ((sum, value), score) in sums[*number].iter_mut().zip(values).zip(&scores[*number].scores) {
                if let (Some(value), Some(about)) = (value, score.score) {
                    // About the score itself, so that squares do not cancel.
                    let value = value - about;
                    *sum = (sum.0 + 1, sum.1 + value, sum.2 + value * value);
                }
            }
        }
    }
    for number in drawn {
        let score = &mut scores[number];
        let degrees = score.degrees_of_freedom as f64;
        let quantile = t_quantile(0.975, degrees);
        for ((score, (n, sum, squares)), reference) in score.scores.iter_mut().zip(&sums[number]).zip(Reference::ALL) {
            let Some(value) = score.score else { continue };
            if reference == Reference::BestPair {
                // The best of three noisy pairs is better than any of them is: a shift that draws do not show.
                score.reason = Some("biased_by_selection");
                continue;
            }
            let variance = (squares - sum * sum / (*n).max(1) as f64) / ((*n).max(2) - 1) as f64;
            match quantile.filter(|_| 2 * n >= draws && variance > 0.0) {
                Some(quantile) => {
                    let error = variance.sqrt();
                    score.standard_error = Some(error);
                    score.interval = Some([value - quantile * error, value + quantile * error]);
                    // The square of Student's t has an F distribution.
                    score.p = Some(f_upper_tail((value / error).powi(2), 1.0, degrees));
                    score.reason = None;
                }
                None => score.reason = Some("too_few_draws"),
            }
        }
    }
    let references = scores.first().map_or(0, |score| score.scores.len());
    for reference in 0..references {
        let p: Vec<Option<f64>> = scores.iter().map(|score| score.scores[reference].p).collect();
        for (score, q) in scores.iter_mut().zip(benjamini_hochberg(&p)) {
            score.scores[reference].q = q;
        }
    }
    Ok(())
}
