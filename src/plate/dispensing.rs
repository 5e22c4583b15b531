//! Doses out of order: wells that neither less nor more of a drug explains, and what a falling curve leaves of the rest.
//!
//! Everything is asked of the dose matrices of one plate, a single drug being a matrix of one row; no model is fitted.

use super::flags::WellFlags;
use super::monotone::Falling;
use super::replicates::TreatmentKey;
use super::spread::median;
use crate::screen::wells::Wells;

/// A well that lies beyond all its neighbours in dose by more than this viability is out of order: the step of
/// Combocat's monotonicity check (doi 10.1038/s41467-025-66223-8; ±25 % cell death).
pub const OUT_OF_ORDER: f64 = 0.25;
/// Standard deviation of technical replicates, as viability, from which they disagree (Combocat: 20 %).
pub const REPLICATE_SD: f64 = 0.2;
/// Distance from the median of three or more replicates from which one of them is to blame (Combocat's largest residual:
/// 30 %).
pub const REPLICATE_DISTANCE: f64 = 0.3;
/// Neighbours that a combination must have to be called out of order: with fewer, the corner of a matrix is all slope.
const NEIGHBOURS: usize = 3;
/// Distinct doses from which a single drug is a curve.
const CURVE_DOSES: usize = 4;

/// One distinct dose pair.
#[derive(Debug, Clone, Copy)]
struct Cell {
    doses: [u64; 2],
    /// Mean response, the median of three or more wells.
    response: f64,
    /// Its wells, in the order sorted.
    first: usize,
    n: usize,
}

/// The residual of a well about the falling curve of its drug on its plate.
#[derive(Debug, Clone, Copy)]
pub(super) struct CurveResidual {
    /// Which of the samples given.
    pub sample: usize,
    /// Response by the curve.
    pub fitted: f64,
    /// Response less that.
    pub residual: f64,
    /// What the fit's freedom took off the residual: multiply by it to have the noise. 1 / sqrt(1 - levels / points).
    pub inflation: f64,
}

/// Room that is used again for every matrix of a plate.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    order: Vec<(TreatmentKey, u32)>,
    cells: Vec<Cell>,
    levels: [Vec<u64>; 2],
    table: Vec<u32>,
    values: Vec<f64>,
    curve: Vec<usize>,
    falling: Falling,
    fitted: Vec<f64>,
}

/// The sample wells of one plate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Samples<'a> {
    /// All wells of the screen.
    pub wells: &'a Wells,
    /// Which of them are the samples.
    pub members: &'a [u32],
    /// The response of each sample.
    pub response: &'a [f64],
}

/// Flags the samples of one plate that are out of order or disagree with their technical replicates, and leaves the
/// residuals of every well with a single drug. `sides` becomes 1 for a well that reads too high among its neighbours, -1
/// for one that reads too low. All of these are by sample.
pub(super) fn check(
    samples: Samples<'_>,
    scratch: &mut Scratch,
    flags: &mut [WellFlags],
    sides: &mut [f64],
    residuals: &mut Vec<CurveResidual>,
) {
    let response = samples.response;
    let key = |(i, well): (usize, &u32)| Some((TreatmentKey::named(samples.wells, *well as usize)?, i as u32));
    let mut order = std::mem::take(&mut scratch.order);
    order.clear();
    order.extend(samples.members.iter().enumerate().filter_map(key));
    order.sort_unstable();
    for group in order.chunk_by(|a, b| a.0.series() == b.0.series()) {
        scratch.cells.clear();
        let mut first = 0;
        for cell in group.chunk_by(|a, b| a.0.doses == b.0.doses) {
            scratch.values.clear();
            scratch.values.extend(cell.iter().map(|(_, i)| response[*i as usize]));
            let middle = middle(&mut scratch.values);
            replicates(cell, middle, response, flags);
            scratch.cells.push(Cell { doses: cell[0].0.doses, response: middle, first, n: cell.len() });
            first += cell.len();
        }
        scratch.neighbours(group, flags, sides);
        for drug in 0..2 {
            scratch.single(drug, group, response, flags, residuals);
        }
    }
    scratch.order = order;
}

/// The mean of one or two values, the median of more.
fn middle(values: &mut [f64]) -> f64 {
    if values.len() < 3 {
        return values.iter().sum::<f64>() / values.len().max(1) as f64;
    }
    median(values).unwrap_or(0.0)
}

/// Flags technical replicates that disagree: those far from the median of three or more, both of two.
fn replicates(cell: &[(TreatmentKey, u32)], middle: f64, response: &[f64], flags: &mut [WellFlags]) {
    if cell.len() < 2 {
        return;
    }
    let distance = |i: u32| (response[i as usize] - middle).abs();
    let mean = cell.iter().map(|(_, i)| response[*i as usize]).sum::<f64>() / cell.len() as f64;
    let squares: f64 = cell.iter().map(|(_, i)| (response[*i as usize] - mean).powi(2)).sum();
    if (squares / (cell.len() - 1) as f64).sqrt() <= REPLICATE_SD {
        return;
    }
    for (_, i) in cell.iter().filter(|(_, i)| cell.len() == 2 || distance(*i) > REPLICATE_DISTANCE) {
        flags[*i as usize].insert(WellFlags::REPLICATE_SPREAD);
    }
}

fn range(values: impl Iterator<Item = f64>) -> (f64, f64) {
    values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(value), high.max(value)))
}

/// Between which responses a single drug's dose number `step` should lie, by the doses beside it. Before the lowest dose
/// come untreated cells, which are 1 by definition. The highest may kill more than the one below it, and may not rise above
/// the two below it where these agree; `None` where they do not, or there is too little to go by.
fn on_a_curve(step: usize, response: impl Fn(usize) -> Option<f64>) -> Option<(f64, f64)> {
    let below = if step == 0 { Some(1.0) } else { response(step - 1) };
    match (below, response(step + 1)) {
        (Some(below), Some(above)) => Some(range([below, above].into_iter())),
        (Some(below), None) => {
            let second = response(step.checked_sub(2)?)?;
            ((below - second).abs() < OUT_OF_ORDER).then_some((f64::NEG_INFINITY, below.max(second)))
        }
        (None, _) => None,
    }
}

impl Scratch {
    /// Flags cells beyond all their neighbours.
    fn neighbours(&mut self, group: &[(TreatmentKey, u32)], flags: &mut [WellFlags], sides: &mut [f64]) {
        for k in 0..2 {
            self.levels[k].clear();
            self.levels[k].extend(self.cells.iter().map(|cell| cell.doses[k]));
            self.levels[k].sort_unstable();
            self.levels[k].dedup();
        }
        let [rows, columns] = [self.levels[0].len(), self.levels[1].len()];
        if rows * columns > 1 << 16 {
            return; // no plate holds such a matrix: doses that are all different, in one drug or the other
        }
        self.table.clear();
        self.table.resize(rows * columns, u32::MAX);
        let level = |levels: &[u64], dose: u64| levels.partition_point(|l| *l < dose);
        for (i, cell) in self.cells.iter().enumerate() {
            self.table[level(&self.levels[0], cell.doses[0]) * columns + level(&self.levels[1], cell.doses[1])] =
                i as u32;
        }
        for cell in self.cells.iter().filter(|cell| cell.doses != [0; 2]) {
            let (row, column) = (level(&self.levels[0], cell.doses[0]), level(&self.levels[1], cell.doses[1]));
            let at = |row: usize, column: usize| {
                let inside = row < rows && column < columns;
                inside.then(|| self.table[row * columns + column]).and_then(|i| self.cells.get(i as usize))
            };
            let range = if rows == 1 || columns == 1 {
                let along = |step: usize| if columns == 1 { at(step, 0) } else { at(0, step) };
                on_a_curve(row.max(column), |step| along(step).map(|cell| cell.response))
            } else {
                let (up, left) = (row.wrapping_sub(1), column.wrapping_sub(1));
                let beside = [at(up, column), at(row + 1, column), at(row, left), at(row, column + 1)];
                let is_combination = cell.doses[0] > 0 && cell.doses[1] > 0;
                let enough = if is_combination { NEIGHBOURS } else { 2 };
                let responses = beside.iter().flatten().map(|cell| cell.response);
                (beside.iter().flatten().count() >= enough).then(|| range(responses))
            };
            let Some((low, high)) = range else { continue };
            if cell.response > high + OUT_OF_ORDER || cell.response < low - OUT_OF_ORDER {
                for (_, i) in &group[cell.first..cell.first + cell.n] {
                    flags[*i as usize].insert(WellFlags::OUT_OF_ORDER);
                    sides[*i as usize] = if cell.response > high { 1.0 } else { -1.0 };
                }
            }
        }
    }

    /// The residuals of one drug alone about a falling curve from 1 at no dose. Wells out of order are left out of the
    /// curve: one of them would pull its neighbours along.
    fn single(
        &mut self,
        drug: usize,
        group: &[(TreatmentKey, u32)],
        response: &[f64],
        flags: &[WellFlags],
        residuals: &mut Vec<CurveResidual>,
    ) {
        let Self { cells, curve, falling, fitted, .. } = self;
        let sound = |cell: &Cell| {
            let (_, i) = group[cell.first];
            !flags[i as usize].has(WellFlags::OUT_OF_ORDER)
        };
        curve.clear();
        let alone = cells.iter().enumerate().filter(|(_, c)| c.doses[1 - drug] == 0 && c.doses[drug] > 0 && sound(c));
        curve.extend(alone.map(|(i, _)| i));
        if curve.len() < CURVE_DOSES {
            return;
        }
        // The cells ascend by the first drug's dose and then by the second's: either alone ascends.
        let points: usize = curve.iter().map(|i| cells[*i].n).sum();
        let untreated = std::iter::once((1.0, 1.0));
        let doses = curve.iter().map(|i| (cells[*i].response, cells[*i].n as f64));
        let levels = falling.fit(untreated.chain(doses), fitted);
        let freedom = points as f64 + 1.0 - levels as f64;
        if freedom < 1.0 {
            return;
        }
        let inflation = ((points as f64 + 1.0) / freedom).sqrt();
        for (i, fitted) in curve.iter().zip(fitted.iter().skip(1)) {
            let cell = &cells[*i];
            residuals.extend(group[cell.first..cell.first + cell.n].iter().map(|(_, well)| CurveResidual {
                sample: *well as usize,
                fitted: *fitted,
                residual: response[*well as usize] - fitted,
                inflation,
            }));
        }
    }
}
