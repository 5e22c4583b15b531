//! Responses to three drugs at once, gathered from normalised wells.

use super::dose_matrix::{Curve, CurveKey, CurvePoint, DoseMatrix};
use super::names::NameId;
use std::cmp::Ordering;
use std::collections::BTreeMap;

/// What makes a triple matrix one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TripleKey {
    /// The block, where the data name blocks.
    pub block: Option<NameId>,
    /// The cell line (0 where the input has none).
    pub line: NameId,
    /// The drugs: the anchor first if it is one of them, the others by name.
    pub drugs: [NameId; 3],
    /// The schedule, where the screen names any.
    pub schedule: Option<NameId>,
}

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
    /// Weight, above zero.
    pub weight: f64,
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
    pub fn new(observations: Vec<TripleObservation>) -> Self {
        Self::from_cells(collapse(observations))
    }

    /// From cells in any order; of cells with equal doses the first counts.
    fn from_cells(mut cells: Vec<TripleCell>) -> Self {
        cells.sort_by(|a, b| by_doses(a.dose, b.dose));
        cells.dedup_by(|later, first| later.dose == first.dose);
        let margins = [0, 1, 2].map(|k| {
            let alone = cells.iter().filter(|cell| (0..3).all(|j| j == k || cell.dose[j] == 0.0));
            let point = |cell: &TripleCell| {
                let TripleCell { dose, response, weight, n, sum_of_squares } = *cell;
                CurvePoint { dose: dose[k], response, weight, n, sum_of_squares }
            };
            alone.map(point).collect()
        });
        Self { cells, margins }
    }

    /// The combinations of all three drugs.
    pub fn combinations(&self) -> impl Iterator<Item = (usize, &TripleCell)> {
        self.cells.iter().enumerate().filter(|(_, cell)| cell.dose.iter().all(|dose| *dose > 0.0))
    }

    /// The cell with these doses.
    pub fn find(&self, dose: [f64; 3]) -> Option<usize> {
        self.cells.binary_search_by(|cell| by_doses(cell.dose, dose)).ok()
    }
}

fn by_doses(a: [f64; 3], b: [f64; 3]) -> Ordering {
    a.iter().zip(&b).map(|(x, y)| x.total_cmp(y)).find(|order| order.is_ne()).unwrap_or(Ordering::Equal)
}

/// Turns the observations of each combination of doses into one cell, ascending. They are sorted by doses, then by
/// value: sums have the same bits whatever the order of the wells.
fn collapse(mut observations: Vec<TripleObservation>) -> Vec<TripleCell> {
    observations.sort_by(|a, b| {
        let values = a.response.total_cmp(&b.response).then(a.weight.total_cmp(&b.weight));
        by_doses(a.dose, b.dose).then(values)
    });
    let cell = |wells: &[TripleObservation]| {
        let weight: f64 = wells.iter().map(|w| w.weight).sum();
        let response = wells.iter().map(|w| w.weight * w.response).sum::<f64>() / weight;
        let squares = wells.iter().map(|w| w.weight * (w.response - response) * (w.response - response));
        TripleCell { dose: wells[0].dose, response, weight, n: wells.len() as u32, sum_of_squares: squares.sum() }
    };
    observations.chunk_by(|a, b| a.dose == b.dose).map(cell).collect()
}

/// Triple matrices from the wells with three drugs; ascending by key. What each drug does alone comes from the line's
/// curves (of the schedule, or of none), what each pair does from the line's dose matrices, first of the same block.
pub fn gather_triples(
    mut observations: Vec<(TripleKey, TripleObservation)>,
    curves: &[Curve],
    matrices: &[DoseMatrix],
) -> Vec<(TripleKey, TripleMatrix)> {
    observations.sort_by_key(|(key, _)| *key);
    let curve_of: BTreeMap<CurveKey, &Curve> = curves.iter().map(|curve| (curve.key, curve)).collect();
    let matrix = |group: &[(TripleKey, TripleObservation)]| {
        let key = group[0].0;
        let mut cells = collapse(group.iter().map(|(_, observation)| *observation).collect());
        for (k, &drug) in key.drugs.iter().enumerate() {
            let of = |schedule| curve_of.get(&CurveKey { line: key.line, drug, schedule }).copied();
            let points = of(key.schedule).or_else(|| of(None)).map_or(&[][..], |curve| &curve.points);
            for &CurvePoint { dose, response, weight, n, sum_of_squares } in points {
                let mut at = [0.0; 3];
                at[k] = dose;
                cells.push(TripleCell { dose: at, response, weight, n, sum_of_squares });
            }
        }
        let same_line = matrices.iter().filter(|m| m.key.line == key.line && m.key.schedule == key.schedule);
        let mut pairs: Vec<&DoseMatrix> = same_line.collect();
        pairs.sort_by_key(|m| m.key.block != key.block);
        for pair in pairs {
            let place = |drug: NameId| key.drugs.iter().position(|other| *other == drug);
            let (Some(a), Some(b)) = (place(pair.key.drug_a), place(pair.key.drug_b)) else { continue };
            if a == b {
                continue;
            }
            for cell in pair.cells.iter().filter(|cell| cell.dose_a > 0.0 && cell.dose_b > 0.0) {
                let mut at = [0.0; 3];
                (at[a], at[b]) = (cell.dose_a, cell.dose_b);
                let (response, weight, n, sum_of_squares) = (cell.response, cell.weight, cell.n, cell.sum_of_squares);
                cells.push(TripleCell { dose: at, response, weight, n, sum_of_squares });
            }
        }
        (key, TripleMatrix::from_cells(cells))
    };
    observations.chunk_by(|a, b| a.0 == b.0).map(matrix).collect()
}
