//! Three drugs at once: what each alone, and each pair, would let one expect of all three.

pub mod bootstrap;
pub mod descent;
pub mod musyc;
pub mod musyc_table;
pub mod reference;
pub mod score;
pub mod table;

use musyc::TripleMusyc;
use reference::Reference;

/// One reference's score of one triple matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TripleScore {
    /// Mean excess over the combinations of all three drugs, a viability fraction.
    pub score: Option<f64>,
    /// Mean of its best tenth.
    pub top_decile: Option<f64>,
    /// Largest mean excess over 3 × 3 × 3 neighbouring doses, all measured.
    pub peak: Option<f64>,
    /// Mean inhibition over that window.
    pub peak_efficacy: Option<f64>,
    /// Molar doses at the centre of these.
    pub peak_dose: Option<[f64; 3]>,
    /// Standard error of `score`, from matrices drawn anew with single drugs fitted anew.
    pub standard_error: Option<f64>,
    /// 95 % interval.
    pub interval: Option<[f64; 2]>,
    /// Two-sided p of no departure.
    pub p: Option<f64>,
    /// Benjamini–Hochberg q over all matrices.
    pub q: Option<f64>,
    /// Why something above is missing.
    pub reason: Option<&'static str>,
}

/// A scored triple matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct TripleMatrixScore {
    /// Combinations of all three drugs.
    pub n_cells: usize,
    /// Wells in them.
    pub n_wells: usize,
    /// By [`Reference::ALL`].
    pub scores: Vec<TripleScore>,
    /// By [`Reference::ALL`], by combination in the order of [`crate::screen::triple_matrix::TripleMatrix::combinations`]: expected viability.
    pub expected: Vec<Vec<Option<f64>>>,
    /// Largest inhibition over 3 × 3 × 3 neighbouring doses, of a single combination in smaller designs.
    pub efficacy: Option<f64>,
    /// Noise of a single well.
    pub sigma: Option<f64>,
    /// Degrees of freedom behind it.
    pub degrees_of_freedom: usize,
    /// Share of the wells that are flagged or on a plate that is not good; `None` before it was looked for.
    pub qc_burden: Option<f64>,
    /// The fitted surface, where it was asked for, or why there is none.
    pub musyc: Option<Result<TripleMusyc, &'static str>>,
    /// The score by that surface: see [`TripleMusyc::score`].
    pub musyc_score: TripleScore,
    /// Codes joined by `;`.
    pub flags: String,
}

impl TripleMatrixScore {
    /// The score under a reference.
    pub fn of(&self, reference: Reference) -> &TripleScore {
        &self.scores[reference as usize]
    }
}
