//! Standard errors of triple scores, by parametric resampling of whole matrices with the single drugs fitted anew, as
//! for pairs.

use super::TripleMatrixScore;
use super::reference::{Reference, expected};
use super::score::{excesses, fit_margins};
use crate::Result;
use crate::backend::Backend;
use crate::fit::FitSettings;
use crate::math::random::standard_normal;
use crate::math::special::{benjamini_hochberg, f_upper_tail, t_quantile};
use crate::screen::triple_matrix::{TripleCell, TripleMatrix};
use crate::synergy::noise::ROUNDING;
use crate::synergy::score::mean;
use rayon::prelude::*;

/// Draws fitted together at most.
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
    for ((score, matrix), unit) in scores.iter_mut().zip(matrices).zip(unit) {
        let sigma = match score.sigma {
            Some(sigma) if sigma > ROUNDING => sigma,
            missing => {
                let reason = if missing.is_none() { "no_noise_estimate" } else { "no_noise" };
                let scored = score.scores.iter_mut().filter(|s| s.score.is_some());
                scored.for_each(|s| s.reason = Some(reason));
                continue;
            }
        };
        let mut sums = vec![(0usize, 0.0, 0.0); score.scores.len()];
        let mut from = 0;
        while from < draws {
            let to = (from + TOGETHER).min(draws);
            let drawn = |draw: usize| {
                let cell = |(place, cell): (usize, &TripleCell)| {
                    cell.response + sigma / cell.weight.sqrt() * standard_normal(seed, *unit, draw as u32, place as u32)
                };
                (matrix, matrix.cells.iter().enumerate().map(cell).collect::<Vec<f64>>())
            };
            let items: Vec<(&TripleMatrix, Vec<f64>)> = (from..to).into_par_iter().map(drawn).collect();
            let margins = fit_margins(&items, fit, backend)?;
            let of_draw = |((matrix, responses), margins): (&(&TripleMatrix, Vec<f64>), &super::score::Margins)| {
                let expected = expected(matrix, responses, &margins.curves);
                excesses(matrix, responses, &expected).iter().map(|excess| mean(excess)).collect::<Vec<Option<f64>>>()
            };
            let of_draws: Vec<Vec<Option<f64>>> = items.par_iter().zip(&margins).map(of_draw).collect();
            // In the order of the draws: a sum over threads would depend on their number.
            for values in &of_draws {
                for ((sum, value), score) in sums.iter_mut().zip(values).zip(&score.scores) {
                    if let (Some(value), Some(about)) = (value, score.score) {
                        // About the score itself, so that squares do not cancel.
                        let value = value - about;
                        *sum = (sum.0 + 1, sum.1 + value, sum.2 + value * value);
                    }
                }
            }
            from = to;
        }
        let degrees = score.degrees_of_freedom as f64;
        let quantile = t_quantile(0.975, degrees);
        for ((score, (n, sum, squares)), reference) in score.scores.iter_mut().zip(sums).zip(Reference::ALL) {
            let Some(value) = score.score else { continue };
            if reference == Reference::BestPair {
                // The best of three noisy pairs is better than any of them is: a shift that draws do not show.
                score.reason = Some("biased_by_selection");
                continue;
            }
            let variance = (squares - sum * sum / n.max(1) as f64) / (n.max(2) - 1) as f64;
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
