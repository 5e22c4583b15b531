//! Fitting: batches of curves in, parameters with a status out.

pub mod block;
pub mod comparison;
pub mod descent;
pub mod evaluation;
pub mod factor;
pub mod inference;
pub mod layout;
pub mod model_choice;
pub mod nearby;
mod polish;
pub mod recovery;
pub mod robust;
pub mod scan;
pub mod small_residuals;
pub mod status;
pub mod step;
pub mod sums;
pub mod variance;

use crate::model::{CurveModel, ModelId};
use crate::screen::dose_matrix::Curve;
use layout::Points;
use rayon::prelude::*;
pub use status::{Refit, Status};

/// The most parameters a model may have.
pub const MAX_PARAMETERS: usize = 12;
/// Curves turned into a part of a set at a time.
const PART: usize = 8192;
/// Numbers from here on are refused: their squares overflow.
const LARGEST: f64 = 1e100;

/// Curves to fit, concatenated. Replicates at one dose must be collapsed before (see [`CurvePoint`]).
///
/// [`CurvePoint`]: crate::screen::dose_matrix::CurvePoint
#[derive(Debug, Clone, Default)]
pub struct CurveSet {
    /// `offsets[i]..offsets[i + 1]` are the points of curve `i`; one longer than the number of curves.
    pub offsets: Vec<usize>,
    /// Molar dose, or the independent variable of a model of any number.
    pub dose: Vec<f64>,
    /// Natural logarithm of the dose; negative infinity for dose zero and below.
    pub ln_dose: Vec<f64>,
    /// Second independent variable, for models that have one; else empty.
    pub x2: Vec<f64>,
    /// Response (viability fraction).
    pub response: Vec<f64>,
    /// Weight, above zero.
    pub weight: Vec<f64>,
    /// The response at dose zero where it is known and must not be fitted (ZIP slices), one a curve.
    pub baseline: Vec<Option<f64>>,
    /// Any one parameter that is held (profile likelihoods): its number and its value; empty where none is.
    pub held: Vec<Option<(usize, f64)>>,
}

impl CurveSet {
    /// No curves yet.
    pub fn new() -> Self {
        Self { offsets: vec![0], ..Self::default() }
    }

    /// These curves; `x2` has the second variable of each one's points, or nothing.
    pub fn of(curves: &[Curve], x2: &[Vec<f64>]) -> Self {
        let part = |curves: &[Curve]| {
            let mut set = Self::new();
            for curve in curves {
                set.push(None, curve.points.iter().map(|p| (p.dose, p.response, p.weight)));
            }
            set
        };
        let parts: Vec<Self> = curves.par_chunks(PART).map(part).collect();
        let mut set = Self::new();
        for part in parts {
            set.append(part);
        }
        set.x2 = x2.concat();
        set
    }

    /// Adds a curve from (molar dose, response, weight) triples; a dose of zero is the untreated point.
    pub fn push(&mut self, baseline: Option<f64>, points: impl IntoIterator<Item = (f64, f64, f64)>) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        // Curves mostly share their doses: the logarithms of the last one are at hand.
        let before = self.offsets.len().checked_sub(2).map_or(0, |i| self.offsets[i]);
        let start = self.dose.len();
        for (dose, response, weight) in points {
            let twin = before + self.dose.len() - start;
            self.ln_dose.push(match self.dose.get(twin) {
                Some(known) if twin < start && *known == dose => self.ln_dose[twin],
                _ if dose > 0.0 => libm::log(dose),
                _ => f64::NEG_INFINITY,
            });
            self.dose.push(dose);
            self.response.push(response);
            self.weight.push(weight);
        }
        self.offsets.push(self.ln_dose.len());
        self.baseline.push(baseline);
    }

    /// The curves with these numbers, in this order.
    pub fn select(&self, which: &[usize]) -> Self {
        let points = || which.iter().flat_map(|i| self.range(*i));
        let of = |all: &[f64]| -> Vec<f64> { points().filter_map(|k| all.get(k).copied()).collect() };
        let mut offsets = vec![0];
        for i in which {
            offsets.push(offsets[offsets.len() - 1] + self.range(*i).len());
        }
        Self {
            offsets,
            dose: of(&self.dose),
            ln_dose: of(&self.ln_dose),
            x2: of(&self.x2),
            response: of(&self.response),
            weight: of(&self.weight),
            baseline: which.iter().filter_map(|i| self.baseline.get(*i).copied()).collect(),
            held: which.iter().filter_map(|i| self.held.get(*i).copied()).collect(),
        }
    }

    /// Adds a curve from (natural-log molar dose, response, weight) triples; a dose of negative infinity is the
    /// untreated point.
    pub fn push_at_ln_dose(&mut self, baseline: Option<f64>, points: impl IntoIterator<Item = (f64, f64, f64)>) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        for (ln_dose, response, weight) in points {
            self.ln_dose.push(ln_dose);
            self.dose.push(libm::exp(ln_dose));
            self.response.push(response);
            self.weight.push(weight);
        }
        self.offsets.push(self.dose.len());
        self.baseline.push(baseline);
    }

    /// Adds the curves of another set, none of which may have a held parameter.
    pub fn append(&mut self, other: CurveSet) {
        if self.offsets.is_empty() {
            self.offsets.push(0);
        }
        let before = self.dose.len();
        self.offsets.extend(other.offsets.iter().skip(1).map(|offset| before + offset));
        self.dose.extend(other.dose);
        self.ln_dose.extend(other.ln_dose);
        self.x2.extend(other.x2);
        self.response.extend(other.response);
        self.weight.extend(other.weight);
        self.baseline.extend(other.baseline);
    }

    /// Number of curves.
    pub fn len(&self) -> usize {
        self.offsets.len().saturating_sub(1)
    }

    /// Whether there is no curve.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn range(&self, i: usize) -> std::ops::Range<usize> {
        self.offsets[i]..self.offsets[i + 1]
    }

    /// The points of curve `i` as (ln dose, response, weight) slices.
    pub fn points(&self, i: usize) -> (&[f64], &[f64], &[f64]) {
        let range = self.range(i);
        (&self.ln_dose[range.clone()], &self.response[range.clone()], &self.weight[range])
    }

    /// The points of curve `i` without their responses.
    pub fn doses(&self, i: usize) -> Points<'_> {
        let range = self.range(i);
        Points {
            dose: &self.dose[range.clone()],
            ln_dose: &self.ln_dose[range.clone()],
            x2: self.x2.get(range.clone()).unwrap_or(&[]),
            weight: &self.weight[range],
        }
    }

    /// The responses of curve `i`.
    pub fn response(&self, i: usize) -> &[f64] {
        &self.response[self.range(i)]
    }

    /// The parameter of curve `i` that is not to move.
    fn fixed(&self, i: usize, model: &CurveModel) -> Option<(usize, f64)> {
        let held = self.held.get(i).copied().flatten();
        held.or_else(|| model.baseline.zip(self.baseline.get(i).copied().flatten()))
    }
}

/// The box for one parameter. The location parameter's box is relative to the curve's own dose range.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Bound {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
}

/// What to fit and how hard to try.
#[derive(Debug, Clone, PartialEq)]
pub struct FitSettings {
    /// The model.
    pub model: ModelId,
    /// One box a parameter, in the model's order. For `ln_ec50` the ends are natural-log distances beyond the
    /// lowest and the highest nonzero dose of the curve.
    pub bounds: Vec<Bound>,
    /// Starting points tried to the end, best first; at least 1.
    pub starts: usize,
    /// Levenberg–Marquardt iterations a start.
    pub max_iterations: u32,
}

/// One fitted curve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Fit {
    /// Whether and why the parameters may be used.
    pub status: Status,
    /// Parameters in the model's order and units (`ln_ec50`: natural log molar); zeros beyond the model's count.
    pub parameters: [f64; MAX_PARAMETERS],
    /// Weighted sum of squared residuals about the collapsed points.
    pub sse: f64,
    /// Iterations spent, all starts together.
    pub iterations: u32,
    /// Bit `i` set: parameter `i` ended on its bound.
    pub at_bound: u32,
    /// Whether a GPU fit was polished or fitted again in f64.
    pub refit: Refit,
}

impl FitSettings {
    /// The model's own boxes, two starts tried to the end.
    pub fn new(model: ModelId) -> Self {
        Self { model, bounds: model.bounds().to_vec(), starts: 1, max_iterations: 300 }
    }
}

impl Fit {
    /// A curve that was not fitted.
    pub fn failed(status: Status) -> Self {
        Self { status, parameters: [0.0; MAX_PARAMETERS], sse: 0.0, iterations: 0, at_bound: 0, refit: Refit::None }
    }
}
