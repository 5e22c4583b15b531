//! Scores of dose matrices: expected surfaces, excess, and its summaries.

use super::design::{Design, Responses};
use super::interaction::{Effort, Fitted, Interaction, Surface, fit_surfaces, points_of, standard_errors};
use super::margins::{Margin, fit_margins, margin_flags, response};
use super::noise::{Noise, ROUNDING};
use super::profile::Profile;
use super::reference::Combined;
use super::sensitivity::Sensitivity;
use super::smooth::smooth;
use super::summary::{self, Consensus};
use super::zip::{FittedSurface, Slices, fit_slices};
use super::{Margins, MatrixScore, Measured, Score, SurfaceCell, SynergyModel};
use crate::Result;
use crate::backend::{Backend, SurfaceBatch, SurfacePoint};
use crate::fit::{Fit, FitSettings};
use crate::model::surface::HillCurve;
use crate::screen::dose_matrix::DoseMatrix;
use rayon::prelude::*;

/// Fewer combinations than this are flagged: their mean is hardly a surface.
const FEW_CELLS: usize = 4;
/// Curves fitted in one batch at most, so that memory does not grow with the screen.
pub(super) const BATCH_CURVES: usize = 1 << 18;
/// Stands in for a curve that there is none of; what is computed from it is not used.
const NO_CURVE: HillCurve<f64> = HillCurve { top: 1.0, bottom: 0.0, ln_ec50: 0.0, slope: 1.0 };

/// What the reference models make of one matrix, or of one draw.
#[derive(Debug, Clone)]
pub struct Evaluation {
    /// The fitted margins.
    pub margins: [Margin; 2],
    /// The slices of our ZIP, where they are needed.
    pub surface: FittedSurface,
    /// Those of other variants that were asked for.
    pub variants: Vec<(Slices, FittedSurface)>,
    /// The smoothed responses of the combinations; empty where nobody asked.
    pub smooth: Vec<f64>,
    /// The surfaces with parameters of interaction that were asked for.
    pub interactions: Vec<(Surface, Fitted)>,
    /// By model, by combination: expected viability.
    pub expected: Vec<Vec<Option<f64>>>,
    /// By model, by combination: expected minus observed viability, or minus what the model takes in its place.
    pub excess: Vec<Vec<Option<f64>>>,
    /// By model of [`SynergyModel::REFERENCES`], by combination: expected viability, whatever was asked for; nothing for
    /// draws.
    pub references: Vec<Vec<Option<f64>>>,
    /// Which drugs' observed single-agent responses stood in for a curve that could not be fitted.
    pub observed_instead: [bool; 2],
}

impl Evaluation {
    /// What excess is measured on, at each combination; empty where there is nothing, as for surfaces.
    fn measured<'a>(&'a self, measured: Measured, responses: &'a Responses) -> &'a [f64] {
        match measured {
            Measured::Wells => &responses.combinations,
            Measured::Smooth => &self.smooth,
            Measured::Slices(Slices::FromFitted) => &self.surface.fitted,
            Measured::Slices(kind) => {
                let of_kind = self.variants.iter().find(|(other, _)| *other == kind);
                of_kind.map_or(&[], |(_, surface)| &surface.fitted)
            }
            Measured::Surface(_) => &[],
        }
    }

    /// The fit of a surface that was asked for.
    fn fit_of(&self, surface: Surface) -> Option<&Fit> {
        self.interactions.iter().find(|(other, _)| *other == surface).map(|(_, fitted)| &fitted.fit)
    }
}

/// How to evaluate: the same for the data and for every draw.
pub struct Evaluator<'a> {
    /// Reference models, in the order of every result.
    pub models: &'a [SynergyModel],
    /// Where HSA and Bliss take single-agent responses from.
    pub margins: Margins,
    /// The margins' model, box and effort.
    pub fit: &'a FitSettings,
    /// What fits of whole surfaces are worth.
    pub effort: Effort,
    /// Where it is computed.
    pub backend: &'a dyn Backend,
}

impl Evaluator<'_> {
    /// Evaluates matrices with their responses. `slices` says which items get ZIP slices though ZIP is not among the
    /// models. An item's evaluation does not depend on the others.
    ///
    /// # Errors
    /// Those of the back end.
    pub fn evaluate(
        &self,
        items: &[(&Design, Responses)],
        slices: impl Fn(usize) -> bool + Sync,
    ) -> Result<Vec<Evaluation>> {
        let together = self.backend.matrices_a_call(items.len());
        let parts = items.par_chunks(together).enumerate();
        let parts = parts.map(|(part, items)| self.evaluate_together(items, |i| slices(part * together + i)));
        Ok(parts.collect::<Result<Vec<_>>>()?.into_iter().flatten().collect())
    }

    /// The same with all fits of a kind in one batch.
    fn evaluate_together(
        &self,
        items: &[(&Design, Responses)],
        slices: impl Fn(usize) -> bool,
    ) -> Result<Vec<Evaluation>> {
        let margins = fit_margins(items, self.fit, self.backend)?;
        let is_asked = |measured: Measured| self.models.iter().any(|model| model.measured() == measured);
        let zip = is_asked(Measured::Slices(Slices::FromFitted)) || is_asked(Measured::Smooth);
        let surfaces = fit_slices(items, &margins, |i| zip || slices(i), Slices::FromFitted, self.fit, self.backend)?;
        let mut variants = Vec::new();
        for kind in [Slices::FromObserved, Slices::ToNothing] {
            if is_asked(Measured::Slices(kind)) {
                let of_kind = fit_slices(items, &margins, |_| true, kind, self.fit, self.backend)?;
                variants.push((kind, of_kind.into_iter()));
            }
        }
        let smooth = match is_asked(Measured::Smooth) {
            true => smooth(items, &margins, &surfaces, self.fit, self.backend)?,
            false => vec![Vec::new(); items.len()],
        };
        let mut smooth = smooth.into_iter();
        let wanted = self.models.iter().filter_map(|model| model.surface());
        let mut interactions: Vec<(Surface, std::vec::IntoIter<Fitted>)> = Vec::new();
        for surface in wanted {
            let iterations = self.fit.max_iterations;
            let fits = fit_surfaces(surface, items, &margins, iterations, self.effort, self.backend)?;
            interactions.push((surface, fits.into_iter()));
        }
        // All references have a part in the consensus, which draws have none of.
        let without_loewe = self.effort == Effort::Draw && !self.models.iter().any(|model| model.needs_loewe());
        let mut batch = SurfaceBatch { without_loewe, ..SurfaceBatch::default() };
        let mut alone = Vec::new();
        let mut observed_instead = vec![[false; 2]; items.len()];
        for (item, ((design, responses), margins)) in items.iter().zip(&margins).enumerate() {
            batch.curves.push((margins[0].curve.unwrap_or(NO_CURVE), margins[1].curve.unwrap_or(NO_CURVE)));
            for combination in &design.combinations {
                let [a, b] = [0, 1].map(|k| {
                    let observed = || design.alone(responses, combination, k);
                    match (self.margins, margins[k].curve) {
                        (Margins::Fitted, Some(curve)) => Some(response(curve, combination.ln_dose[k])),
                        (Margins::Fitted, None) => {
                            observed_instead[item][k] |= observed().is_some();
                            observed()
                        }
                        (Margins::Observed, _) => observed(),
                    }
                });
                alone.push([a, b]);
                batch.points.push(SurfacePoint {
                    matrix: item as u32,
                    ln_dose_a: combination.ln_dose[0],
                    ln_dose_b: combination.ln_dose[1],
                    alone_a: a.unwrap_or(1.0),
                    alone_b: b.unwrap_or(1.0),
                });
            }
        }
        let usual = self.backend.score_surfaces(&batch)?;
        let further = match self.models.iter().any(|model| model.needs_further()) {
            true => self.backend.score_further(&batch)?,
            false => Vec::new(),
        };
        let mut cells = usual.iter().zip(&alone).enumerate();
        let mut evaluations = Vec::with_capacity(items.len());
        for (((design, responses), (margins, surface)), observed_instead) in
            items.iter().zip(margins.into_iter().zip(surfaces)).zip(observed_instead)
        {
            let n = responses.combinations.len();
            let has_curves = margins[0].curve.is_some() && margins[1].curve.is_some();
            let combined = |(i, (usual, alone)): (usize, (_, &[Option<f64>; 2]))| Combined {
                usual,
                further: further.get(i),
                alone: *alone,
                has_curves,
            };
            let cells: Vec<Combined> = cells.by_ref().take(n).map(combined).collect();
            let mut evaluation = Evaluation {
                margins,
                surface,
                variants: variants.iter_mut().filter_map(|(kind, fits)| Some((*kind, fits.next()?))).collect(),
                smooth: smooth.next().unwrap_or_default(),
                interactions: interactions
                    .iter_mut()
                    .filter_map(|(which, fits)| Some((*which, fits.next()?)))
                    .collect(),
                expected: Vec::with_capacity(self.models.len()),
                excess: Vec::with_capacity(self.models.len()),
                observed_instead,
                references: Vec::new(),
            };
            if self.effort != Effort::Draw {
                let of = |model: SynergyModel| cells.iter().map(|cell| model.expected(*cell)).collect();
                evaluation.references = SynergyModel::REFERENCES.map(of).to_vec();
            }
            for model in self.models {
                if let Some(which) = model.surface() {
                    let fit = evaluation.fit_of(which);
                    let (expected, excess) = of_surface(which, fit, design);
                    evaluation.expected.push(expected);
                    evaluation.excess.push(excess);
                    continue;
                }
                let expected: Vec<Option<f64>> = cells.iter().map(|cell| model.expected(*cell)).collect();
                let measured = evaluation.measured(model.measured(), responses);
                let excess = (0..n).map(|i| Some(expected[i]? - measured.get(i)?)).collect();
                evaluation.expected.push(expected);
                evaluation.excess.push(excess);
            }
            evaluations.push(evaluation);
        }
        Ok(evaluations)
    }
}

/// What a fitted surface expects without interaction at each combination, and how far below that it lies itself.
fn of_surface(which: Surface, fit: Option<&Fit>, design: &Design) -> (Vec<Option<f64>>, Vec<Option<f64>>) {
    let Some(fit) = fit.filter(|fit| fit.status.is_fitted()) else {
        let none = vec![None; design.combinations.len()];
        return (none.clone(), none);
    };
    let reference = which.without_interaction(&fit.parameters);
    let at = |ln_dose: [f64; 2]| {
        let (expected, fitted) = (which.response(ln_dose, &reference), which.response(ln_dose, &fit.parameters));
        (Some(expected).filter(|e| e.is_finite()), Some(expected - fitted).filter(|e| e.is_finite()))
    };
    design.combinations.iter().map(|combination| at(combination.ln_dose)).unzip()
}

/// Mean of the values that are there.
pub(crate) fn mean(values: &[Option<f64>]) -> Option<f64> {
    let (sum, n) = values.iter().flatten().fold((0.0, 0usize), |(sum, n), x| (sum + x, n + 1));
    (n > 0).then(|| sum / n as f64)
}

/// The window of nine values with the largest mean, the first where equal; `None` if each lacks a value.
fn best_window(windows: &[[usize; 9]], value: impl Fn(usize) -> Option<f64>) -> Option<(f64, usize)> {
    let mut best: Option<(f64, usize)> = None;
    for window in windows {
        let Some(sum) = window.iter().try_fold(0.0, |sum, &i| Some(sum + value(i)?)) else {
            continue;
        };
        let mean = sum / 9.0;
        if best.is_none_or(|(largest, _)| mean > largest) {
            best = Some((mean, window[4]));
        }
    }
    best
}

/// Scores matrices under each model. Standard errors, p and q are left empty with the reason `not_resampled`:
/// [`super::bootstrap::add_intervals`] fills them.
///
/// - Excess is expected minus observed viability; ZIP's is expected minus *fitted* viability.
/// - `score` is the mean excess over the combinations for which it is defined. A combination lacks one under HSA and
///   Bliss where a drug has neither a curve nor a response alone at that dose (`cells_without_margin`).
/// - A margin that cannot be fitted leaves Loewe and ZIP null with its reason; HSA and Bliss then take the observed
///   single-agent responses (`margin_a_observed`).
/// - `peak` is the best mean over 3 × 3 neighbouring levels with all nine dose pairs measured.
///
/// # Errors
/// Those of the back end.
pub fn score_matrices(
    matrices: &[DoseMatrix],
    models: &[SynergyModel],
    margins: Margins,
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<Vec<MatrixScore>> {
    score_with_effort(matrices, models, margins, fit, Effort::Data, backend)
}

/// [`score_matrices`] with so much work for fits of whole surfaces: without [`Effort::Data`] nothing is said of their
/// parameters.
pub(super) fn score_with_effort(
    matrices: &[DoseMatrix],
    models: &[SynergyModel],
    margins: Margins,
    fit: &FitSettings,
    effort: Effort,
    backend: &dyn Backend,
) -> Result<Vec<MatrixScore>> {
    let evaluator = Evaluator { models, margins, fit, effort, backend };
    let mut scores = Vec::with_capacity(matrices.len());
    let mut from = 0;
    while from < matrices.len() {
        let (mut items, mut curves) = (Vec::new(), 0);
        while let Some(matrix) = matrices.get(from + items.len()).filter(|_| curves < BATCH_CURVES) {
            let design = Design::new(matrix);
            curves += 2 + design.levels[0].len() + design.levels[1].len();
            items.push(design);
        }
        from += items.len();
        let items: Vec<(&Design, Responses)> = items.iter().map(|design| (design, design.observed())).collect();
        // Slices tell the sensitivity, and the noise where replicates do not; a score by itself asks for neither.
        let evaluations = evaluator.evaluate(&items, |_| effort == Effort::Data)?;
        let scored = items.par_iter().zip(&evaluations);
        scores.par_extend(scored.map(|((design, responses), evaluation)| score(design, responses, evaluation, models)));
    }
    Ok(scores)
}

fn score(design: &Design, responses: &Responses, evaluation: &Evaluation, models: &[SynergyModel]) -> MatrixScore {
    let matrix = design.matrix;
    let windows = design.windows();
    let mut flags = margin_flags(design, &evaluation.margins);
    let noise = Noise::estimate(design, evaluation);
    flags.push(noise.source());
    for (k, flag) in ["margin_a_observed", "margin_b_observed"].into_iter().enumerate() {
        if evaluation.observed_instead[k] {
            flags.push(flag);
        }
    }
    let n_cells = design.combinations.len();
    if n_cells < FEW_CELLS {
        flags.push("few_cells");
    }
    let has_slices = |model: &SynergyModel| matches!(model.measured(), Measured::Slices(_) | Measured::Smooth);
    let slices = std::iter::once(&evaluation.surface).chain(evaluation.variants.iter().map(|(_, slices)| slices));
    if models.iter().any(has_slices) && slices.map(|slices| slices.slices_observed).sum::<usize>() > 0 {
        flags.push("zip_slices_observed");
    }
    if n_cells > 0 && windows.is_empty() {
        flags.push("no_3x3_window");
    }
    if n_cells > 0 && summary::volume(design, &vec![Some(0.0); n_cells]).is_none() {
        flags.push("no_rectangle_of_doses");
    }
    let interactions = interactions(design, responses, evaluation, &noise);
    flags.extend(interactions.iter().filter_map(Interaction::flag));
    let scores: Vec<Score> = models
        .iter()
        .zip(&evaluation.excess)
        .map(|(model, excess)| {
            let score = mean(excess);
            let Some(_) = score else {
                return Score { reason: Some(why_no_score(*model, evaluation, n_cells)), ..Score::default() };
            };
            if excess.iter().any(Option::is_none) {
                flags.push(match model {
                    SynergyModel::LoeweNan => "cells_beyond_weaker_drug",
                    _ => "cells_without_margin",
                });
            }
            let peak = best_window(&windows, |i| excess[i]);
            let centre = peak.map(|(_, i)| &matrix.cells[design.combinations[i].cell]);
            let volume = summary::volume(design, excess);
            Score {
                score,
                top_decile: summary::top_decile(excess),
                volume,
                peak: peak.map(|(mean, _)| mean),
                peak_efficacy: peak.and_then(|(_, centre)| {
                    let window = windows.iter().find(|window| window[4] == centre)?;
                    mean(&window.map(|i| Some(1.0 - responses.combinations[i])))
                }),
                peak_dose_a: centre.map(|cell| cell.dose_a),
                peak_dose_b: centre.map(|cell| cell.dose_b),
                reason: Some("not_resampled"),
                ..Score::default()
            }
        })
        .collect();
    flags.extend(summary::disagreement(models, &scores, design, &evaluation.margins));
    let consensus = Consensus::new(&evaluation.references, &responses.combinations);
    let inhibition = |i: usize| Some(1.0 - matrix.cells[design.combinations[i].cell].response);
    let best_pair = || (0..n_cells).filter_map(inhibition).reduce(f64::max);
    let efficacy = best_window(&windows, inhibition).map(|(mean, _)| mean).or_else(best_pair);
    let mut seen = Vec::new();
    flags.retain(|flag| !seen.contains(flag) && (seen.push(*flag), true).1);
    MatrixScore {
        key: matrix.key,
        n_cells,
        n_wells: design.combination_wells(),
        scores,
        efficacy,
        sigma: noise.sigma,
        qc_burden: None,
        interactions,
        flags: flags.join(";"),
        cells: surface_cells(design, evaluation, &consensus, models.len()),
        consensus: consensus.score,
        consensus_share: consensus.share,
        sensitivity: Sensitivity::new(design, &evaluation.margins, &evaluation.surface),
        curves: [0, 1].map(|k| evaluation.margins[k].curve),
        levels: design.levels.clone(),
        slices: evaluation.surface.curves.clone(),
    }
}

/// The fitted surfaces of an item, with what the data say of their parameters. Where nothing else tells the noise, the
/// residuals of the surface do.
fn interactions(design: &Design, responses: &Responses, evaluation: &Evaluation, noise: &Noise) -> Vec<Interaction> {
    let points = points_of(design);
    let of = |(surface, fitted): &(Surface, Fitted)| {
        let Fitted { fit, walks, prior, criterion, .. } = fitted;
        let residual = points.saturating_sub(surface.model().parameters().len());
        let (variance, degrees_of_freedom) = match noise.sigma {
            Some(sigma) => (Some(sigma * sigma), noise.degrees_of_freedom),
            None => ((residual > 0).then(|| fit.sse / residual as f64), residual),
        };
        let profiles = match variance {
            None => Err("no_noise_estimate"),
            Some(variance) if variance.sqrt() <= ROUNDING => Err("no_noise"),
            Some(variance) => {
                Ok(walks.iter().map(|walk| Profile::new(walk, fit.sse + prior, variance, degrees_of_freedom)).collect())
            }
        };
        Interaction {
            surface: *surface,
            fit: *fit,
            standard_errors: match fit.status.is_fitted() {
                true => standard_errors(*surface, design, responses, fitted, noise.sigma.filter(|s| *s > ROUNDING)),
                false => Vec::new(),
            },
            profiles,
            points,
            criterion: *criterion,
        }
    };
    evaluation.interactions.iter().map(of).collect()
}

fn why_no_score(model: SynergyModel, evaluation: &Evaluation, n_cells: usize) -> &'static str {
    if n_cells == 0 {
        return "no_combination_cells";
    }
    let failed = |k: usize| evaluation.margins[k].reason.map(|reason| reason.code(k));
    let margins = failed(0).or_else(|| failed(1));
    if let Some(surface) = model.surface() {
        return evaluation.fit_of(surface).and_then(|fit| fit.status.reason()).unwrap_or("not_finite");
    }
    match model {
        SynergyModel::Hsa | SynergyModel::Bliss | SynergyModel::BlissGrowth => "no_margins",
        SynergyModel::GdrHsa | SynergyModel::GdrBliss => margins.unwrap_or("no_margins"),
        SynergyModel::LoeweNan => margins.unwrap_or("beyond_weaker_drug"),
        _ => margins.unwrap_or("not_finite"),
    }
}

/// Every measured dose pair in the matrix's order, the combinations with what was expected of them.
fn surface_cells(design: &Design, evaluation: &Evaluation, consensus: &Consensus, models: usize) -> Vec<SurfaceCell> {
    let mut cells: Vec<SurfaceCell> = design
        .matrix
        .cells
        .iter()
        .map(|cell| SurfaceCell {
            dose_a: cell.dose_a,
            dose_b: cell.dose_b,
            observed: cell.response,
            n: cell.n,
            expected: vec![None; models],
            excess: vec![None; models],
            consensus: None,
            departures: vec![None; models],
        })
        .collect();
    for (i, combination) in design.combinations.iter().enumerate() {
        let cell = &mut cells[combination.cell];
        cell.expected = evaluation.expected.iter().map(|expected| expected[i]).collect();
        cell.excess = evaluation.excess.iter().map(|excess| excess[i]).collect();
        cell.consensus = consensus.excess[i];
    }
    cells
}
