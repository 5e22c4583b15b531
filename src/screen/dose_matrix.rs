//! Single-agent curves and dose matrices, gathered from normalised wells.
//!
//! A well with one drug above zero belongs to that drug's curve on its line; a well with two drugs named belongs
//! to the pair's matrix. A matrix takes its margins from its own block where the data name blocks, else from every
//! single-agent well of the same line and drug.

use super::names::NameId;

/// One distinct dose of a curve: replicates collapsed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurvePoint {
    /// Molar dose; exactly 0 for the untreated point.
    pub dose: f64,
    /// Weighted mean response (viability fraction).
    pub response: f64,
    /// Sum of the wells' weights.
    pub weight: f64,
    /// Number of wells.
    pub n: u32,
    /// Weighted sum of squares of the wells about `response` (pure error).
    pub sum_of_squares: f64,
}

/// What makes a curve one curve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CurveKey {
    /// The cell line.
    pub line: NameId,
    /// The drug.
    pub drug: NameId,
    /// The schedule, where the screen names any.
    pub schedule: Option<NameId>,
}

/// A single-agent curve, points in ascending dose.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Line, drug, schedule.
    pub key: CurveKey,
    /// Distinct doses, ascending; a zero dose, if present, comes first.
    pub points: Vec<CurvePoint>,
}

/// What makes a matrix one matrix.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MatrixKey {
    /// The block, where the data name blocks.
    pub block: Option<NameId>,
    /// The cell line (0 where the input has none).
    pub line: NameId,
    /// The first drug: the anchor if it is one of the two, else the first by name.
    pub drug_a: NameId,
    /// The second drug.
    pub drug_b: NameId,
    /// The schedule, where the screen names any.
    pub schedule: Option<NameId>,
}

/// One dose pair: replicates collapsed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cell {
    /// Molar dose of the first drug; exactly 0 for none.
    pub dose_a: f64,
    /// Molar dose of the second drug; exactly 0 for none.
    pub dose_b: f64,
    /// Weighted mean response (viability fraction).
    pub response: f64,
    /// Sum of the wells' weights.
    pub weight: f64,
    /// Number of wells.
    pub n: u32,
    /// Weighted sum of squares of the wells about `response`.
    pub sum_of_squares: f64,
}

/// A dose matrix of any design: full, anchored, rays, ragged. Cells ascend by (dose_a, dose_b).
#[derive(Debug, Clone, PartialEq)]
pub struct DoseMatrix {
    /// Block, line, drugs, schedule.
    pub key: MatrixKey,
    /// Every observed dose pair, margins (one dose zero) and the untreated cell (both zero) included.
    pub cells: Vec<Cell>,
    /// Dose-response of the first drug alone (zero dose included where observed).
    pub margin_a: Vec<CurvePoint>,
    /// Dose-response of the second drug alone.
    pub margin_b: Vec<CurvePoint>,
}
