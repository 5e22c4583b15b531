//! Three drugs at once: what each alone, and each pair, would let one expect of all three.

pub mod bootstrap;
pub mod reference;
pub mod score;
pub mod table;

use crate::screen::dose_matrix::CurvePoint;
use reference::Reference;

/// One combination of three doses: replicates collapsed.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripleCell {
    /// Molar doses; exactly 0 for none.
    pub dose: [f64; 3],
    /// Weighted mean response (viability fraction).
    pub response: f64,
    /// Sum of the wells' weights.
    pub weight: f64,
    /// Number of wells.
    pub n: u32,
    /// Weighted sum of squares of the wells about `response`.
    pub sum_of_squares: f64,
}

/// One response to three doses.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripleObservation {
    /// Molar doses; exactly 0 for none.
    pub dose: [f64; 3],
    /// Viability fraction.
    pub response: f64,
}

/// Responses to three drugs, of any design.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TripleMatrix {
    /// Every distinct combination of doses, ascending; single drugs, pairs and the untreated included.
    pub cells: Vec<TripleCell>,
    /// Dose-response of each drug alone, the untreated point first where there is one.
    pub margins: [Vec<CurvePoint>; 3],
}

impl TripleMatrix {
    /// From observations in any order; equal doses must be equal numbers.
    pub fn new(mut observations: Vec<TripleObservation>) -> Self {
        // By doses, then by response: sums have the same bits whatever the order of the file.
        observations.sort_by(|a, b| {
            let parts = |o: &TripleObservation| [o.dose[0], o.dose[1], o.dose[2], o.response];
            let pairs = parts(a).into_iter().zip(parts(b));
            pairs.map(|(x, y)| x.total_cmp(&y)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        });
        let cell = |wells: &[TripleObservation]| {
            let n = wells.len() as f64;
            let response = wells.iter().map(|w| w.response).sum::<f64>() / n;
            let squares = wells.iter().map(|w| (w.response - response) * (w.response - response));
            TripleCell {
                dose: wells[0].dose,
                response,
                weight: n,
                n: wells.len() as u32,
                sum_of_squares: squares.sum(),
            }
        };
        let cells: Vec<TripleCell> = observations.chunk_by(|a, b| a.dose == b.dose).map(cell).collect();
        let margins = [0, 1, 2].map(|k| {
            let alone = cells.iter().filter(|cell| (0..3).all(|j| j == k || cell.dose[j] == 0.0));
            alone
                .map(|cell| CurvePoint {
                    dose: cell.dose[k],
                    response: cell.response,
                    weight: cell.weight,
                    n: cell.n,
                    sum_of_squares: cell.sum_of_squares,
                })
                .collect()
        });
        Self { cells, margins }
    }

    /// The combinations of all three drugs.
    pub fn combinations(&self) -> impl Iterator<Item = (usize, &TripleCell)> {
        self.cells.iter().enumerate().filter(|(_, cell)| cell.dose.iter().all(|dose| *dose > 0.0))
    }

    /// The cell with these doses.
    pub fn find(&self, dose: [f64; 3]) -> Option<usize> {
        let order = |cell: &TripleCell| {
            let pairs = cell.dose.iter().zip(&dose);
            pairs.map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
        };
        self.cells.binary_search_by(order).ok()
    }
}

/// One reference's score of one triple matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct TripleScore {
    /// Mean excess over the combinations of all three drugs, a viability fraction.
    pub score: Option<f64>,
    /// Mean of its best tenth.
    pub top_decile: Option<f64>,
    /// Largest mean excess over 3 × 3 × 3 neighbouring doses, all measured.
    pub peak: Option<f64>,
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
    /// By [`Reference::ALL`], by combination in the order of [`TripleMatrix::combinations`]: expected viability.
    pub expected: Vec<Vec<Option<f64>>>,
    /// Largest inhibition over 3 × 3 × 3 neighbouring doses, of a single combination in smaller designs.
    pub efficacy: Option<f64>,
    /// Noise of a single well.
    pub sigma: Option<f64>,
    /// Degrees of freedom behind it.
    pub degrees_of_freedom: usize,
    /// Codes joined by `;`.
    pub flags: String,
}

impl TripleMatrixScore {
    /// The score under a reference.
    pub fn of(&self, reference: Reference) -> &TripleScore {
        &self.scores[reference as usize]
    }
}
