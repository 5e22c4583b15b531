//! Scores of triple matrices.

use super::musyc::fit_triple;
use super::reference::{Reference, expected};
use super::{TripleMatrixScore, TripleScore};
use crate::Result;
use crate::backend::Backend;
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::math::special::benjamini_hochberg;
use crate::model::surface::HillCurve;
use crate::screen::triple_matrix::TripleMatrix;
use crate::synergy::margins::{FEWEST_DOSES, hill_curve, margin_settings};
use crate::synergy::noise::FEWEST_DEGREES;
use crate::synergy::score::mean;
use crate::synergy::summary::top_decile;
use rayon::prelude::*;

/// Places of a grid of levels for each combination measured, beyond which it is no grid.
const MOST_PLACES: usize = 64;

/// The flag of a matrix whose replicates tell the noise.
const NOISE_FROM_REPLICATES: &str = "noise_from_replicates";

/// The fitted single drugs of one matrix.
#[derive(Debug, Clone, Copy)]
pub(super) struct Margins {
    pub curves: [Option<HillCurve<f64>>; 3],
    pub sse: f64,
    pub degrees_of_freedom: usize,
}

/// Fits the single drugs of every item, a matrix and the responses of its cells; in their order.
///
/// # Errors
/// Those of the back end.
pub(super) fn fit_margins(
    items: &[(&TripleMatrix, Vec<f64>)],
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<Vec<Margins>> {
    let settings = margin_settings(fit);
    let mut curves = CurveSet::new();
    let mut numbers: Vec<[Option<(usize, usize)>; 3]> = Vec::with_capacity(items.len());
    for (matrix, responses) in items {
        numbers.push([0, 1, 2].map(|k| {
            let margin = &matrix.margins[k];
            let doses = margin.iter().filter(|point| point.dose > 0.0).count();
            if doses < FEWEST_DOSES {
                return None;
            }
            let response = |dose: f64, own: f64| {
                let mut at = [0.0; 3];
                at[k] = dose;
                matrix.find(at).map_or(own, |cell| responses[cell])
            };
            // Without an untreated point it is 1: responses are shares of the untreated by definition.
            let assumed = (doses == margin.len())
                .then(|| (0.0, 1.0, margin.iter().map(|point| point.weight).sum::<f64>() / margin.len() as f64));
            let points = margin.iter().map(|point| (point.dose, response(point.dose, point.response), point.weight));
            let points: Vec<(f64, f64, f64)> = assumed.into_iter().chain(points).collect();
            let n = points.len();
            curves.push(None, points);
            Some((curves.len() - 1, n))
        }));
    }
    let fits: Vec<Fit> = if curves.is_empty() { Vec::new() } else { backend.fit(&settings, &curves)? };
    let parameters = settings.model.parameters().len();
    let margins = |numbers: [Option<(usize, usize)>; 3]| {
        let mut margins = Margins { curves: [None; 3], sse: 0.0, degrees_of_freedom: 0 };
        for (k, number) in numbers.into_iter().enumerate() {
            let Some((fit, n)) = number.and_then(|(number, n)| Some((fits.get(number)?, n))) else { continue };
            margins.curves[k] = hill_curve(fit, settings.model);
            if margins.curves[k].is_some() {
                margins.sse += fit.sse;
                margins.degrees_of_freedom += n.saturating_sub(parameters);
            }
        }
        margins
    };
    Ok(numbers.into_iter().map(margins).collect())
}

/// Expected minus observed at each combination, by reference.
pub(super) fn excesses(
    matrix: &TripleMatrix,
    responses: &[f64],
    expected: &[Vec<Option<f64>>],
) -> Vec<Vec<Option<f64>>> {
    let observed: Vec<f64> = matrix.combinations().map(|(cell, _)| responses[cell]).collect();
    let of_one = |expected: &Vec<Option<f64>>| {
        expected.iter().zip(&observed).map(|(expected, observed)| expected.map(|e| e - observed)).collect()
    };
    expected.iter().map(of_one).collect()
}

/// Scores matrices under every reference; standard errors are left empty with the reason `not_resampled`. With `musyc`, a
/// surface is fitted to each and scored too, whose standard errors need no draws.
///
/// # Errors
/// Those of the back end.
pub fn score_triples(
    matrices: &[TripleMatrix],
    musyc: bool,
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<Vec<TripleMatrixScore>> {
    let observed = |matrix: &TripleMatrix| matrix.cells.iter().map(|cell| cell.response).collect::<Vec<f64>>();
    let items: Vec<(&TripleMatrix, Vec<f64>)> = matrices.iter().map(|m| (m, observed(m))).collect();
    let margins = fit_margins(&items, fit, backend)?;
    let score = |((matrix, responses), margins): (&(&TripleMatrix, Vec<f64>), &Margins)| {
        let mut score = score(matrix, responses, margins);
        if musyc {
            add_musyc(&mut score, matrix, margins, fit.max_iterations);
        }
        score
    };
    let mut scores: Vec<TripleMatrixScore> = items.par_iter().zip(&margins).map(score).collect();
    let p: Vec<Option<f64>> = scores.iter().map(|score| score.musyc_score.p).collect();
    scores.iter_mut().zip(benjamini_hochberg(&p)).for_each(|(score, q)| score.musyc_score.q = q);
    Ok(scores)
}

/// Fits the surface of three drugs and scores by it.
fn add_musyc(score: &mut TripleMatrixScore, matrix: &TripleMatrix, margins: &Margins, max_iterations: u32) {
    let from_replicates = score.flags.split(';').any(|flag| flag == NOISE_FROM_REPLICATES);
    let noise = score.sigma.filter(|_| from_replicates).map(|sigma| (sigma, score.degrees_of_freedom));
    let found = fit_triple(matrix, &margins.curves, noise, max_iterations);
    score.musyc_score = match &found {
        Ok(musyc) => {
            let excess: Vec<Option<f64>> =
                musyc.cells.iter().map(|(expected, fitted)| Some(expected - fitted)).collect();
            let combinations: Vec<[f64; 3]> = matrix.combinations().map(|(_, cell)| cell.dose).collect();
            let windows = windows(&combinations);
            let peak = best_window(&windows, &|i| excess[i]);
            let inhibition: Vec<f64> = matrix.combinations().map(|(_, cell)| 1.0 - cell.response).collect();
            let interval_and_p = musyc.interval_and_p(musyc.score);
            TripleScore {
                score: Some(musyc.score.0),
                top_decile: top_decile(&excess),
                peak: peak.map(|(mean, _)| mean),
                peak_efficacy: peak.map(|(_, window)| mean_of(window, &inhibition)),
                peak_dose: peak.map(|(_, window)| combinations[centre(window)]),
                standard_error: musyc.score.1.ok(),
                interval: interval_and_p.map(|(interval, _)| interval),
                p: interval_and_p.map(|(_, p)| p),
                q: None,
                reason: musyc.score.1.err(),
            }
        }
        Err(reason) => TripleScore { reason: Some(reason), ..TripleScore::default() },
    };
    score.musyc = Some(found);
}

/// The combination in the middle of a window.
fn centre(window: &[usize]) -> usize {
    window[window.len() / 2]
}

fn mean_of(window: &[usize], values: &[f64]) -> f64 {
    window.iter().map(|&i| values[i]).sum::<f64>() / window.len() as f64
}

/// The best mean over a window, and that window; the first where equal.
fn best_window<'w>(windows: &'w [Vec<usize>], value: &dyn Fn(usize) -> Option<f64>) -> Option<(f64, &'w [usize])> {
    let mean = |window: &'w Vec<usize>| {
        let sum = window.iter().try_fold(0.0, |sum, &i| Some(sum + value(i)?))?;
        Some((sum / window.len() as f64, window.as_slice()))
    };
    windows.iter().filter_map(mean).fold(None, |best: Option<(f64, &[usize])>, next| match best {
        Some(best) if best.0 >= next.0 => Some(best),
        _ => Some(next),
    })
}

fn score(matrix: &TripleMatrix, responses: &[f64], margins: &Margins) -> TripleMatrixScore {
    let expected = expected(matrix, responses, &margins.curves);
    let excess = excesses(matrix, responses, &expected);
    let combinations: Vec<[f64; 3]> = matrix.combinations().map(|(_, cell)| cell.dose).collect();
    let windows = windows(&combinations);
    let inhibition: Vec<f64> = matrix.combinations().map(|(cell, _)| 1.0 - responses[cell]).collect();
    let mut flags: Vec<&str> = Vec::new();
    for (k, flag) in ["margin_a_missing", "margin_b_missing", "margin_c_missing"].into_iter().enumerate() {
        if margins.curves[k].is_none() {
            flags.push(flag);
        }
    }
    let scores = Reference::ALL
        .into_iter()
        .zip(&excess)
        .map(|(reference, excess)| {
            let Some(score) = mean(excess) else {
                let reason = match reference {
                    _ if excess.is_empty() => "no_combination_cells",
                    Reference::BestPair | Reference::Pairs => "no_pairs",
                    _ => "no_margins",
                };
                return TripleScore { reason: Some(reason), ..TripleScore::default() };
            };
            let peak = best_window(&windows, &|i| excess[i]);
            TripleScore {
                score: Some(score),
                top_decile: top_decile(excess),
                peak: peak.map(|(mean, _)| mean),
                peak_efficacy: peak.map(|(_, window)| mean_of(window, &inhibition)),
                peak_dose: peak.map(|(_, window)| combinations[centre(window)]),
                reason: Some("not_resampled"),
                ..TripleScore::default()
            }
        })
        .collect();
    if windows.is_empty() {
        flags.push("no_3x3x3_window");
    }
    let efficacy = best_window(&windows, &|i| Some(inhibition[i])).map(|(mean, _)| mean);
    let (sigma, degrees_of_freedom, source) = noise(matrix, margins);
    flags.push(source);
    TripleMatrixScore {
        n_cells: combinations.len(),
        n_wells: matrix.combinations().map(|(_, cell)| cell.n as usize).sum(),
        scores,
        expected: expected.to_vec(),
        efficacy: efficacy.or_else(|| inhibition.into_iter().reduce(f64::max)),
        sigma,
        degrees_of_freedom,
        qc_burden: None,
        musyc: None,
        musyc_score: TripleScore { reason: Some("not_asked"), ..TripleScore::default() },
        flags: flags.join(";"),
    }
}

/// Standard deviation of a single well: from replicates, else with the residuals of the single drugs.
fn noise(matrix: &TripleMatrix, margins: &Margins) -> (Option<f64>, usize, &'static str) {
    let treated = matrix.cells.iter().filter(|cell| cell.dose.iter().any(|dose| *dose > 0.0));
    let (mut squares, mut degrees) = treated.fold((0.0, 0), |(squares, degrees), cell| {
        (squares + cell.sum_of_squares, degrees + (cell.n as usize).saturating_sub(1))
    });
    let mut source = NOISE_FROM_REPLICATES;
    if degrees < FEWEST_DEGREES {
        squares += margins.sse;
        degrees += margins.degrees_of_freedom;
        source = "noise_from_residuals";
    }
    let sigma = (degrees > 0).then(|| (squares / degrees as f64).sqrt()).filter(|sigma| sigma.is_finite());
    if sigma.is_none() {
        source = "no_noise_estimate";
    }
    (sigma, degrees, source)
}

/// The 3 × 3 × 3 windows of neighbouring levels all of whose combinations were measured; the centre in the middle.
fn windows(combinations: &[[f64; 3]]) -> Vec<Vec<usize>> {
    let levels = [0, 1, 2].map(|k| {
        let mut levels: Vec<f64> = combinations.iter().map(|dose| dose[k]).collect();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        levels
    });
    let [n, m, l] = [0, 1, 2].map(|k: usize| levels[k].len());
    // Rays and dispensed doses have nearly as many levels as combinations: they have no windows, and a table of all
    // levels would not fit into memory.
    if n.saturating_mul(m).saturating_mul(l) > MOST_PLACES * combinations.len().max(1) {
        return Vec::new();
    }
    let mut at = vec![usize::MAX; n * m * l];
    for (i, dose) in combinations.iter().enumerate() {
        let [a, b, c] = [0, 1, 2].map(|k| levels[k].partition_point(|level| *level < dose[k]));
        at[(a * m + b) * l + c] = i;
    }
    let inner = |n: usize| 1..n.saturating_sub(1);
    let mut windows = Vec::new();
    for a in inner(n) {
        for b in inner(m) {
            for c in inner(l) {
                let near = |i: usize| (a + i / 9 - 1, b + i / 3 % 3 - 1, c + i % 3 - 1);
                let window: Vec<usize> = (0..27).map(near).map(|(a, b, c)| at[(a * m + b) * l + c]).collect();
                if window.iter().all(|i| *i != usize::MAX) {
                    windows.push(window);
                }
            }
        }
    }
    windows
}
