//! The responses of a resampled matrix: what the fits expect of every cell and margin point, each with noise anew.

use super::design::{Design, Responses};
use super::flagged::key_of;
use super::margins::Margin;
use super::noise::{Noise, curve_hash, lacks_replicates, matrix_hash, pooled_margin_sigma, relative_variance};
use super::normalisation_error::{NormalisationError, PlateError};
use super::score::Evaluation;
use crate::fit::variance::VarianceLaw;
use crate::math::random::{standard_normal, uniform};
use crate::plate::{NormalisedWell, NormalisedWells};
use crate::screen::Screen;
use crate::screen::dose_matrix::{CurvePoint, DoseMatrix, Observation};
use crate::screen::well::{Role, Treatment};
use std::collections::BTreeMap;

/// Where the noise of a draw comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ResamplingKind {
    /// Normal, with the standard deviation of a well over the square root of a cell's weight.
    #[default]
    Parametric,
    /// The residuals of the fits, centred, and scaled to the noise that is estimated with the degrees of freedom that
    /// the fits have taken.
    Residual,
    /// The wells of each cell, drawn with replacement; parametric where a cell has one well or is of a pooled curve.
    Replicates,
}

impl ResamplingKind {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            ResamplingKind::Parametric => "parametric",
            ResamplingKind::Residual => "residual",
            ResamplingKind::Replicates => "replicates",
        }
    }
}

/// Fewer residuals than this do not show what noise looks like.
const FEWEST_RESIDUALS: usize = 8;

/// Where in a matrix a random number is for: the high bits say which part.
const OF_MARGIN: [u32; 2] = [1 << 30, 2 << 30];
const OF_UNTREATED: u32 = 3 << 30;
const OF_PLATES: u32 = (3 << 30) | 1;
/// Random numbers of the noise estimate; the next 15 are taken too.
pub(super) const OF_NOISE: u32 = (3 << 30) | 16;

/// One cell or margin point as it is drawn.
#[derive(Debug, Clone)]
struct Source {
    /// The response about which it is drawn.
    centre: f64,
    /// Standard deviation of the mean of its wells.
    deviation: f64,
    /// Whose random number it takes, and which.
    unit: u64,
    place: u32,
    /// Its wells about their mean (inflated by √(n / (n - 1)), as a mean of `n` takes one degree of freedom) and their
    /// shares in it, where they are to be drawn.
    wells: Vec<(f64, f64)>,
    /// Whether the errors of its plates move it.
    is_moved_by_plates: bool,
}

impl Source {
    /// What the errors of its plates add to it.
    fn moved(&self, factor: f64) -> f64 {
        if self.is_moved_by_plates { self.centre * factor } else { 0.0 }
    }
}

/// Makes the draws of one matrix.
#[derive(Debug, Clone)]
pub struct Sampler {
    combinations: Vec<Source>,
    margins: [Vec<Source>; 2],
    /// The errors of their plates.
    plates: NormalisationError,
    /// Standardised residuals to draw from, where they are to be drawn.
    residuals: Vec<f64>,
    /// Codes for what was asked for and could not be done.
    pub flags: Vec<&'static str>,
    hash: u64,
    seed: u64,
}

impl Sampler {
    /// Every code that [`Sampler::flags`] may have.
    pub const FLAGS: [&'static str; 2] = ["resampled_parametrically", "cells_resampled_parametrically"];

    /// For a matrix with the fits of its data. `wells` are its own wells, ascending by doses; they are needed for
    /// [`ResamplingKind::Replicates`] alone.
    #[expect(clippy::too_many_arguments, reason = "each is a separate thing that a draw depends on")]
    pub fn new(
        design: &Design,
        evaluation: &Evaluation,
        sigma: f64,
        law: Option<&VarianceLaw>,
        kind: ResamplingKind,
        normalisation: NormalisationError,
        wells: &[Observation],
        screen: &Screen,
        seed: u64,
    ) -> Self {
        let matrix = design.matrix;
        let hash = matrix_hash(&matrix.key, screen);
        let observed = design.observed();
        let smooth = evaluation.surface.fitted.len() == design.combinations.len();
        let centre = if smooth { &evaluation.surface.fitted } else { &observed.combinations };
        let relative = relative_variance(matrix, None, law);
        let mut combinations: Vec<Source> = design
            .combinations
            .iter()
            .zip(centre)
            .map(|(combination, centre)| Source {
                centre: *centre,
                deviation: sigma * (relative(*centre) / combination.weight).sqrt(),
                unit: hash,
                place: combination.cell as u32,
                wells: Vec::new(),
                is_moved_by_plates: true,
            })
            .collect();
        let mut margins = [0, 1].map(|k| {
            let (margin, origin) = (&design.margins[k], matrix.origins[k]);
            let points: &[CurvePoint] = if k == 0 { &matrix.margin_a } else { &matrix.margin_b };
            let drug = if k == 0 { matrix.key.drug_a } else { matrix.key.drug_b };
            // A pooled curve is one curve for all matrices of its line and drug, and so is its draw.
            let (unit, of_line) = match origin.pooled {
                true => (curve_hash(&matrix.key, Some(drug), screen), curve_hash(&matrix.key, None, screen)),
                false => (hash, hash),
            };
            // A pooled curve has noise of its own, as far as its replicates tell.
            let of_curve = pooled_margin_sigma(matrix, k);
            let of_curve = of_curve.map(|sigma| (sigma, relative_variance(matrix, Some(k), law)));
            let deviation = |centre: f64, weight: f64| match &of_curve {
                Some((sigma, relative)) => sigma * (relative(centre) / weight).sqrt(),
                None => sigma * (relative(centre) / weight).sqrt(),
            };
            let assumed = usize::from(margin.untreated_assumed);
            let of = |(i, (ln_dose, observed)): (usize, (&f64, &f64))| {
                let point = i.checked_sub(assumed).and_then(|i| points.get(i));
                let fitted = evaluation.margins[k].response(*ln_dose).filter(|centre| centre.is_finite());
                let mut source = Source {
                    centre: fitted.unwrap_or(*observed),
                    deviation: 0.0,
                    unit,
                    place: OF_MARGIN[usize::from(k == 1 && unit == hash)] | i as u32,
                    wells: Vec::new(),
                    is_moved_by_plates: true,
                };
                match point {
                    // What is 1 by definition has no noise, whichever plate it is on.
                    None => source.is_moved_by_plates = false,
                    Some(point) if point.dose == 0.0 && origin.untreated_by_vehicles => {
                        source.is_moved_by_plates = false
                    }
                    // Untreated cells are the same for both drugs.
                    Some(point) if point.dose == 0.0 => {
                        source.deviation = deviation(source.centre, f64::from(point.n.max(1)));
                        (source.unit, source.place) = (of_line, OF_UNTREATED);
                    }
                    Some(point) => source.deviation = deviation(source.centre, point.weight),
                }
                source
            };
            margin.ln_dose.iter().zip(&observed.margins[k]).enumerate().map(of).collect::<Vec<Source>>()
        });
        let mut flags = Vec::new();
        let residuals = match kind {
            ResamplingKind::Residual => {
                let combined = smooth.then(|| combinations.iter().zip(&observed.combinations));
                let alone = [0, 1].map(|k| {
                    let fitted = evaluation.margins[k].curve.is_some();
                    fitted.then(|| margins[k].iter().zip(&observed.margins[k]))
                });
                let all = combined.into_iter().flatten().chain(alone.into_iter().flatten().flatten());
                let noisy = all.filter(|(source, _)| source.deviation > 0.0);
                let residuals = standardised(noisy.map(|(source, seen)| (seen - source.centre) / source.deviation));
                if residuals.is_empty() {
                    flags.push(Self::FLAGS[0]);
                }
                residuals
            }
            _ => Vec::new(),
        };
        if lacks_replicates(design) {
            // What the noise would be found to be is told by draws about a surface that has slices without lack of fit:
            // the mean of two sets of fitted slices has none, independence of the fitted drugs has.
            for (source, combination) in combinations.iter_mut().zip(&design.combinations) {
                if let Some(independent) = independent(&evaluation.margins, combination.ln_dose) {
                    source.centre = independent;
                }
            }
        }
        if kind == ResamplingKind::Replicates {
            let mut few = false;
            for (source, combination) in combinations.iter_mut().zip(&design.combinations) {
                let cell = &matrix.cells[combination.cell];
                source.wells = about_their_mean(wells, cell.dose_a, cell.dose_b);
                few |= source.wells.is_empty();
            }
            for (k, sources) in margins.iter_mut().enumerate() {
                let points: &[CurvePoint] = if k == 0 { &matrix.margin_a } else { &matrix.margin_b };
                let assumed = usize::from(design.margins[k].untreated_assumed);
                for (source, point) in sources.iter_mut().skip(assumed).zip(points) {
                    if !matrix.origins[k].pooled && source.deviation > 0.0 {
                        let [a, b] = if k == 0 { [point.dose, 0.0] } else { [0.0, point.dose] };
                        source.wells = about_their_mean(wells, a, b);
                    }
                    few |= source.wells.is_empty() && source.deviation > 0.0;
                }
            }
            if few {
                flags.push(Self::FLAGS[1]);
            }
        }
        Self { combinations, margins, plates: normalisation, residuals, flags, hash, seed }
    }

    /// The responses of one draw.
    pub fn draw(&self, draw: u32) -> Responses {
        let response = |source: &Source| {
            let noise = match (source.deviation > 0.0, source.wells.is_empty(), self.residuals.len()) {
                (false, ..) => 0.0,
                (true, false, _) => redrawn(&source.wells, self.seed, source.unit, draw, source.place),
                (true, true, 0) => source.deviation * standard_normal(self.seed, source.unit, draw, source.place),
                (true, true, n) => {
                    let at = (uniform(self.seed, source.unit, draw, source.place) * n as f64) as usize;
                    source.deviation * self.residuals[at.min(n - 1)]
                }
            };
            source.centre + noise
        };
        let moved = |sources: &[Source], plates: &[PlateError]| {
            let moved = self.moved(plates, draw);
            sources.iter().map(|source| response(source) + source.moved(moved)).collect()
        };
        Responses {
            combinations: moved(&self.combinations, &self.plates.combinations),
            margins: [0, 1].map(|k| moved(&self.margins[k], &self.plates.margins[k])),
        }
    }

    /// The factor, less 1, that the errors of vehicle means put on responses of these plates in one draw.
    fn moved(&self, plates: &[PlateError], draw: u32) -> f64 {
        let errors = plates.iter().filter(|error| error.deviation > 0.0);
        errors.map(|error| error.deviation * standard_normal(self.seed, error.plate, draw, OF_PLATES)).sum()
    }

    /// What the plates add to each combination in one draw.
    pub fn plate_shift(&self, draw: u32) -> impl Iterator<Item = f64> {
        let moved = self.moved(&self.plates.combinations, draw);
        self.combinations.iter().map(move |source| source.moved(moved))
    }

    /// The combinations' responses about which draws are made.
    pub fn centre(&self) -> impl Iterator<Item = f64> {
        self.combinations.iter().map(|source| source.centre)
    }

    /// Standard deviation of each combination's mean.
    pub fn deviations(&self) -> impl Iterator<Item = f64> {
        self.combinations.iter().map(|source| source.deviation)
    }

    /// The noise that one draw would be found to have.
    pub fn noise_of(&self, design: &Design, evaluation: &Evaluation, sigma: f64, draw: u32) -> Noise {
        let chi_square = |df| crate::math::random::relative_chi_square(df, self.seed, self.hash, draw, OF_NOISE);
        Noise::of_draw(design, evaluation, sigma, chi_square)
    }
}

/// The viability that two fitted drugs leave independently of each other, from a common untreated level.
fn independent(margins: &[Margin; 2], ln_dose: [f64; 2]) -> Option<f64> {
    let top = 0.5 * (margins[0].curve?.top + margins[1].curve?.top);
    let product = margins[0].response(ln_dose[0])? * margins[1].response(ln_dose[1])?;
    Some(product / top).filter(|x| x.is_finite())
}

/// Centres residuals and gives them the mean square 1; none where they are few or all the same.
fn standardised(residuals: impl Iterator<Item = f64>) -> Vec<f64> {
    let residuals: Vec<f64> = residuals.collect();
    let n = residuals.len() as f64;
    let mean = residuals.iter().sum::<f64>() / n;
    let spread = (residuals.iter().map(|r| (r - mean) * (r - mean)).sum::<f64>() / n).sqrt();
    if residuals.len() < FEWEST_RESIDUALS || !(spread > 0.0 && spread.is_finite()) {
        return Vec::new();
    }
    residuals.iter().map(|r| (r - mean) / spread).collect()
}

/// Each matrix's own wells, [`ascending`].
pub fn wells_of(matrices: &[DoseMatrix], wells: &NormalisedWells) -> Vec<Vec<Observation>> {
    let mut by_key: BTreeMap<_, Vec<Observation>> = BTreeMap::new();
    for NormalisedWell { well, response, weight, .. } in wells.iter().filter(|w| w.well.role == Role::Sample) {
        // The pair that a well belongs to: what it was treated with or, of single drugs and none, what is named for it.
        let named: Vec<Treatment> = well.named().collect();
        let active: Vec<Treatment> = well.active().collect();
        let pair = if active.len() == 2 { active } else { named };
        let &[a, b] = pair.as_slice() else { continue };
        let line = well.line.unwrap_or(0);
        let key = (well.block, line, [a.drug.min(b.drug), a.drug.max(b.drug)], well.schedule);
        // By the drug with the smaller number first, for now.
        let (a, b) = if a.drug <= b.drug { (a, b) } else { (b, a) };
        let observation = Observation { dose_a: a.dose, dose_b: b.dose, response, weight };
        by_key.entry(key).or_default().push(observation);
    }
    let of = |matrix: &DoseMatrix| {
        let mut own = by_key.get(&key_of(&matrix.key)).cloned().unwrap_or_default();
        if matrix.key.drug_a > matrix.key.drug_b {
            own.iter_mut().for_each(|w| (w.dose_a, w.dose_b) = (w.dose_b, w.dose_a));
        }
        ascending(own)
    };
    matrices.iter().map(of).collect()
}

/// Wells by their doses and then by response, so that no order of input plays a part.
pub fn ascending(mut wells: Vec<Observation>) -> Vec<Observation> {
    wells.sort_by(|x, y| {
        let parts = |w: &Observation| [w.dose_a, w.dose_b, w.response, w.weight];
        let pairs = parts(x).into_iter().zip(parts(y));
        pairs.map(|(x, y)| x.total_cmp(&y)).find(|o| o.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    });
    wells
}

/// The wells of one dose pair about their mean, with their shares; none for fewer than two.
fn about_their_mean(wells: &[Observation], dose_a: f64, dose_b: f64) -> Vec<(f64, f64)> {
    let below = |w: &Observation| w.dose_a.total_cmp(&dose_a).then(w.dose_b.total_cmp(&dose_b)).is_lt();
    let own = &wells[wells.partition_point(below)..];
    let own = &own[..own.partition_point(|w| w.dose_a == dose_a && w.dose_b == dose_b)];
    if own.len() < 2 {
        return Vec::new();
    }
    let weight: f64 = own.iter().map(|w| w.weight).sum();
    let mean = own.iter().map(|w| w.weight * w.response).sum::<f64>() / weight;
    let inflation = (own.len() as f64 / (own.len() - 1) as f64).sqrt();
    own.iter().map(|w| (inflation * (w.response - mean), w.weight)).collect()
}

/// The weighted mean of as many wells as there are, drawn with replacement.
fn redrawn(wells: &[(f64, f64)], seed: u64, unit: u64, draw: u32, place: u32) -> f64 {
    let n = wells.len();
    let (mut sum, mut weight) = (0.0, 0.0);
    for i in 0..n {
        // Every well has a unit of its own: an odd number takes the unit round all 2^64.
        let unit = unit.wrapping_add((i as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let at = (uniform(seed, unit, draw, place) * n as f64) as usize;
        let (deviation, share) = wells[at.min(n - 1)];
        sum += share * deviation;
        weight += share;
    }
    sum / weight
}
