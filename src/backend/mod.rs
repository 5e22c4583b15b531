//! Where the numbers are computed. A back end takes slices and ids and gives numbers; it knows neither files nor names.

pub mod choose;
pub mod cpu;
pub mod gpu;

use crate::Result;
use crate::config::{Normalization, SpatialCorrection};
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::model::reference::{FURTHER, USUAL};
use crate::model::surface::HillCurve;

/// What a well is to its plate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum WellClass {
    /// Read but no control.
    Other = 0,
    /// Background.
    Blank = 1,
    /// Viability 1.
    Vehicle = 2,
    /// Viability 0.
    Positive = 3,
}

/// Raw plates, concatenated.
#[derive(Debug, Clone, Default)]
pub struct PlateBatch {
    /// `offsets[i]..offsets[i + 1]` are the wells of plate `i`; one longer than the number of plates.
    pub offsets: Vec<usize>,
    /// Raw signal of each well.
    pub signal: Vec<f64>,
    /// What each well is.
    pub class: Vec<WellClass>,
    /// Row and column of each well, from 0; empty where no B-scores are asked for.
    pub place: Vec<(u16, u16)>,
    /// Raw signal of each well at the time of treatment, 0 where there is none; empty where no growth is asked for.
    pub signal_t0: Vec<f64>,
    /// How long each well grew, 0 where unknown: days for log-folds, doublings of the untreated line for growth-rate
    /// inhibition without a signal at the time of treatment; empty where no growth is asked for.
    pub growth_time: Vec<f64>,
}

/// One dose pair to be compared with the reference models.
#[derive(Debug, Clone, Copy)]
pub struct SurfacePoint {
    /// Its matrix: an index into [`SurfaceBatch::curves`].
    pub matrix: u32,
    /// Natural log of the molar dose of the first drug, which must be above zero.
    pub ln_dose_a: f64,
    /// Natural log of the molar dose of the second drug, which must be above zero.
    pub ln_dose_b: f64,
    /// Viability under the first drug alone (observed or fitted).
    pub alone_a: f64,
    /// Viability under the second drug alone.
    pub alone_b: f64,
}

/// Dose pairs of many matrices.
#[derive(Debug, Clone, Default)]
pub struct SurfaceBatch {
    /// The fitted single-agent curves of each matrix.
    pub curves: Vec<(HillCurve<f64>, HillCurve<f64>)>,
    /// The dose pairs.
    pub points: Vec<SurfacePoint>,
    /// Whether nobody looks at Loewe's, which has to be solved for: then it may be no number.
    pub without_loewe: bool,
}

/// Plates whose surface is asked for, concatenated.
#[derive(Debug, Clone, Default)]
pub struct SpatialBatch {
    /// `offsets[i]..offsets[i + 1]` are the wells of plate `i`; one longer than the number of plates.
    pub offsets: Vec<usize>,
    /// Row and column of each well.
    pub place: Vec<(u16, u16)>,
    /// What the surface is of: viability.
    pub value: Vec<f64>,
    /// Whether the surface rests on the well.
    pub used: Vec<bool>,
}

/// The surface at one well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SpatialPoint {
    /// Its height.
    pub value: f64,
    /// Its variance over that of one well: the sum of the squares of the wells' coefficients.
    pub squares: f64,
    /// The coefficient that a well at this place has.
    pub own: f64,
}

/// What is to become of a descent that single precision made. In f64 there is no difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Finish {
    /// Nothing: one of many beginnings, wherever it got in the evaluations that it was given.
    AsItIs,
    /// One draw of many: one that did not settle at a minimum is made anew in f64.
    Settled,
    /// A point estimate: f64 has the last word.
    Certified,
}

/// Where the numbers are computed.
pub trait Backend: Send + Sync {
    /// `cpu` or `gpu`.
    fn name(&self) -> &'static str;
    /// The device, for `run.json`: name, driver, instruction set.
    fn device(&self) -> String;
    /// Responses of every well of the batch, in its order; NaN for a well that has none, which no caller may pass on.
    fn normalise(&self, normalization: Normalization, plates: &PlateBatch) -> Result<Vec<f64>>;
    /// The surface of each plate at each of its wells, from the wells that are used.
    fn spatial(&self, kind: SpatialCorrection, plates: &SpatialBatch) -> Result<Vec<SpatialPoint>>;
    /// How many curves of a long list are best given to one call of [`Backend::fit`]: threads keep what fits their
    /// cache busy from the curve to its row in the table, a device wants as many as there are.
    fn curves_a_call(&self) -> usize {
        usize::MAX
    }
    /// Fits every curve; the result is in the order of the curves.
    fn fit(&self, settings: &FitSettings, curves: &CurveSet) -> Result<Vec<Fit>>;
    /// Descends from given nonlinear parameters, in the model's units, those of each curve one after the other: how
    /// surfaces are fitted, for whose beginnings the drugs' own curves are better than a table of starts.
    fn descend(&self, settings: &FitSettings, curves: &CurveSet, begins: &[f64], finish: Finish) -> Result<Vec<Fit>>;
    /// How many surfaces are best fitted together.
    fn surfaces_a_call(&self) -> usize;
    /// How many of so many matrices are best evaluated together: threads share them out, a device wants all.
    fn matrices_a_call(&self, matrices: usize) -> usize {
        matrices.max(1)
    }
    /// Expected viabilities by the usual models ([`crate::model::reference::Usual`]), in the order of the points.
    fn score_surfaces(&self, surfaces: &SurfaceBatch) -> Result<Vec<[f64; USUAL]>>;
    /// What the other models rest on ([`crate::model::reference::Further`]), in the order of the points.
    fn score_further(&self, surfaces: &SurfaceBatch) -> Result<Vec<[f64; FURTHER]>>;
}
