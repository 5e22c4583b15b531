//! Single-agent curves and dose matrices, gathered from normalised wells.
//!
//! A well with one drug above zero belongs to that drug's curve on its line; a well with two drugs named belongs
//! to the pair's matrix. A matrix takes its margins from its own block where the data name blocks, else from every
//! single-agent well of the same line and drug.

use super::names::NameId;
use super::triple_matrix::{TripleKey, TripleMatrix, TripleObservation, gather_triples};
use super::well::{Role, Treatment};
use super::{Rejected, Screen};
use crate::plate::NormalisedWells;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};

/// Distinct nonzero doses from which a margin is taken as it is, though the line's curve may have more.
pub const ENOUGH_DOSES: usize = 3;

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
    /// Where the two come from.
    pub origins: [MarginOrigin; 2],
}

/// Where a margin of a matrix comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct MarginOrigin {
    /// The curve of the line, which every matrix of that line and drug shares, and not the matrix's own wells.
    pub pooled: bool,
    /// Its untreated point is the mean of the vehicle wells: what every viability is a share of, so it is 1 without
    /// an error of its own.
    pub untreated_by_vehicles: bool,
}

/// One response at one dose pair.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Observation {
    /// Molar dose of the first drug; exactly 0 for none.
    pub dose_a: f64,
    /// Molar dose of the second drug; exactly 0 for none.
    pub dose_b: f64,
    /// Viability fraction.
    pub response: f64,
    /// Weight, above zero.
    pub weight: f64,
}

impl Observation {
    fn is_usable(&self) -> bool {
        let dose = |d: f64| d.is_finite() && d >= 0.0;
        dose(self.dose_a)
            && dose(self.dose_b)
            && self.response.is_finite()
            && self.weight.is_finite()
            && self.weight > 0.0
    }

    /// The full key: doses, then the values themselves, so that a sum over sorted observations has the same bits
    /// whatever the order, the files or the partitions they came in.
    fn compare(&self, other: &Self) -> std::cmp::Ordering {
        let parts = |o: &Self| [o.dose_a, o.dose_b, o.response, o.weight];
        let pairs = parts(self).into_iter().zip(parts(other));
        pairs.map(|(a, b)| a.total_cmp(&b)).find(|order| order.is_ne()).unwrap_or(std::cmp::Ordering::Equal)
    }
}

/// What [`gather`] makes of the wells.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Gathered {
    /// Single-agent curves, ascending by key.
    pub curves: Vec<Curve>,
    /// Dose matrices with at least one combination cell, ascending by key.
    pub matrices: Vec<DoseMatrix>,
    /// Matrices of three drugs, ascending by key.
    pub triples: Vec<(TripleKey, TripleMatrix)>,
    /// Sample wells that entered none of these, in input order: which of the wells, and why (`drug_named_twice`,
    /// `no_drug`, `bad_value`).
    pub unused: Vec<(usize, Rejected)>,
}

/// Gathers wells into single-agent curves and dose matrices.
///
/// Only wells of the roles sample and vehicle enter. Doses must already be canonical levels
/// ([`super::dose::DoseLevels`]): equal doses are equal numbers.
///
/// - One drug above zero: a point of that drug's curve; if a second drug is named at dose zero, a margin cell of the
///   pair's matrix too.
/// - Two drugs above zero: a cell of the pair's matrix. The same drug twice is a matrix of the drug with itself, in
///   the order of the columns.
/// - Three drugs above zero: a cell of their triple matrix ([`gather_triples`]).
/// - No drug above zero: the untreated point of every drug named, and of the pair's matrix where two are named.
/// - Vehicle wells of a line (or without a line, on the line's plates) become the untreated point of each of its
///   curves that has none: their mean response, with the mean weight of the curve's other points, so that hundreds
///   of vehicle wells do not pin the curve at the expense of the treated ones. Not without `vehicle_point`.
/// - A matrix takes its margins from the line's curves (of its schedule, or of none), which pool every single-agent
///   well of the screen: a drug that is on every plate is then known far better than from one matrix alone. Where the
///   data name blocks, a matrix keeps the margins of its own block, unless they have fewer than 3 nonzero doses and
///   the line's curve has more. Margins from elsewhere are shown in `cells` at the doses that were combined.
pub fn gather(wells: &NormalisedWells, screen: &Screen, anchor: Option<NameId>, vehicle_point: bool) -> Gathered {
    let mut unused = Vec::new();
    let mut singles: Vec<(CurveKey, Observation)> = Vec::new();
    let mut pairs: Vec<(MatrixKey, Observation)> = Vec::new();
    let mut triples: Vec<(TripleKey, TripleObservation)> = Vec::new();
    let mut plates_of_line: BTreeMap<NameId, BTreeSet<NameId>> = BTreeMap::new();
    for (index, normalised) in wells.iter().enumerate().filter(|(_, w)| w.well.role == Role::Sample) {
        let well = &normalised.well;
        let line = well.line.unwrap_or(0);
        let mut reject = |reason: &'static str, detail: String| {
            unused.push((index, Rejected { plate: well.plate, well: well.position, reason, detail }));
        };
        let observe = |dose_a: f64, dose_b: f64| Observation {
            dose_a,
            dose_b,
            response: normalised.response,
            weight: normalised.weight,
        };
        let named: Vec<Treatment> = well.named().collect();
        let active: Vec<Treatment> = well.active().collect();
        if named.is_empty() {
            reject("no_drug", "sample well without a drug".to_owned());
            continue;
        }
        if !named.iter().all(|t| observe(t.dose, 0.0).is_usable()) {
            reject("bad_value", format!("response {}, weight {}", normalised.response, normalised.weight));
            continue;
        }
        if let &[first, second, third] = active.as_slice() {
            let mut all = [first, second, third];
            all.sort_by_key(|t| (anchor != Some(t.drug), screen.drugs.name(t.drug), t.drug));
            let drugs = all.map(|t| t.drug);
            if drugs[0] == drugs[1] || drugs[1] == drugs[2] {
                let names: Vec<&str> = drugs.iter().map(|drug| screen.drugs.name(*drug)).collect();
                reject("drug_named_twice", names.join(" + "));
                continue;
            }
            let key = TripleKey { block: well.block, line, drugs, schedule: well.schedule };
            let (response, weight) = (normalised.response, normalised.weight);
            triples.push((key, TripleObservation { dose: all.map(|t| t.dose), response, weight }));
            continue;
        }
        plates_of_line.entry(line).or_default().insert(well.plate);
        let alone: BTreeMap<NameId, f64> = match active.as_slice() {
            [_, _] => BTreeMap::new(),
            [one] => BTreeMap::from([(one.drug, one.dose)]),
            _ => named.iter().map(|t| (t.drug, 0.0)).collect(),
        };
        for (&drug, &dose) in &alone {
            singles.push((CurveKey { line, drug, schedule: well.schedule }, observe(dose, 0.0)));
        }
        let pair = match (active.as_slice(), named.as_slice()) {
            (&[first, second], _) | (_, &[first, second]) => Some(in_order(first, second, screen, anchor)),
            _ => None,
        };
        if let Some((a, b)) = pair {
            let key = MatrixKey { block: well.block, line, drug_a: a.drug, drug_b: b.drug, schedule: well.schedule };
            pairs.push((key, observe(a.dose, b.dose)));
        }
    }
    let vehicles = if vehicle_point { vehicles_of_lines(wells, &plates_of_line) } else { BTreeMap::new() };
    let curves = curves(singles, &vehicles);
    let matrices = matrices(pairs, &curves, &vehicles);
    let triples = gather_triples(triples, &curves, &matrices);
    Gathered { curves, matrices, triples, unused }
}

/// The pair in canonical order: the anchor first, else by name; a drug with itself as it stands.
fn in_order(first: Treatment, second: Treatment, screen: &Screen, anchor: Option<NameId>) -> (Treatment, Treatment) {
    let rank = |t: Treatment| (anchor != Some(t.drug), screen.drugs.name(t.drug), t.drug);
    if rank(second) < rank(first) { (second, first) } else { (first, second) }
}

/// The untreated point of each line: every vehicle well of the line, and those without a line on its plates.
fn vehicles_of_lines(
    wells: &NormalisedWells,
    plates_of_line: &BTreeMap<NameId, BTreeSet<NameId>>,
) -> BTreeMap<NameId, CurvePoint> {
    let mut lines_of_plate: BTreeMap<NameId, Vec<NameId>> = BTreeMap::new();
    for (&line, plates) in plates_of_line {
        for &plate in plates {
            lines_of_plate.entry(plate).or_default().push(line);
        }
    }
    let mut observed: BTreeMap<NameId, Vec<Observation>> = BTreeMap::new();
    for vehicle in wells.iter().filter(|w| w.well.role == Role::Vehicle) {
        let observation = Observation { dose_a: 0.0, dose_b: 0.0, response: vehicle.response, weight: vehicle.weight };
        if !observation.is_usable() {
            continue; // a control, which the plate stage has judged and reported
        }
        match vehicle.well.line {
            Some(line) => observed.entry(line).or_default().push(observation),
            None => {
                for &line in lines_of_plate.get(&vehicle.well.plate).map_or(&[][..], Vec::as_slice) {
                    observed.entry(line).or_default().push(observation);
                }
            }
        }
    }
    let point = |observations: Vec<Observation>| collapse(observations).first().map(|cell| point_at(cell, 0.0));
    observed.into_iter().filter_map(|(line, observations)| Some((line, point(observations)?))).collect()
}

fn point_at(cell: &Cell, dose: f64) -> CurvePoint {
    CurvePoint { dose, response: cell.response, weight: cell.weight, n: cell.n, sum_of_squares: cell.sum_of_squares }
}

/// Sorts by the full key and turns the observations of each dose pair into one cell.
fn collapse(mut observations: Vec<Observation>) -> Vec<Cell> {
    observations.sort_by(Observation::compare);
    let same = |a: &Observation, b: &Observation| a.dose_a == b.dose_a && a.dose_b == b.dose_b;
    let cell = |wells: &[Observation]| {
        let weight: f64 = wells.iter().map(|w| w.weight).sum();
        let response = wells.iter().map(|w| w.weight * w.response).sum::<f64>() / weight;
        let squares = wells.iter().map(|w| w.weight * (w.response - response) * (w.response - response));
        Cell {
            dose_a: wells[0].dose_a,
            dose_b: wells[0].dose_b,
            response,
            weight,
            n: wells.len() as u32,
            sum_of_squares: squares.sum(),
        }
    };
    observations.chunk_by(same).map(cell).collect()
}

/// Puts the vehicles' point before a curve that has points but none at dose zero.
fn with_untreated(mut points: Vec<CurvePoint>, vehicle: Option<&CurvePoint>) -> Vec<CurvePoint> {
    if let (Some(vehicle), Some(first)) = (vehicle, points.first())
        && first.dose > 0.0
    {
        let weight = points.iter().map(|p| p.weight).sum::<f64>() / points.len() as f64;
        // One point's worth of evidence, in its weight, its count and its spread alike: residual variances and
        // degrees of freedom are those of the treated wells.
        points.insert(0, CurvePoint { weight, n: 1, sum_of_squares: 0.0, ..*vehicle });
    }
    points
}

/// Splits keyed observations into groups, ascending by key.
fn grouped<K: Ord + Copy>(mut keyed: Vec<(K, Observation)>) -> Vec<(K, Vec<Observation>)> {
    keyed.sort_by_key(|(key, _)| *key);
    let groups = keyed.chunk_by(|a, b| a.0 == b.0);
    groups.map(|group| (group[0].0, group.iter().map(|(_, observation)| *observation).collect())).collect()
}

fn curves(singles: Vec<(CurveKey, Observation)>, vehicles: &BTreeMap<NameId, CurvePoint>) -> Vec<Curve> {
    let curve = |(key, observations): (CurveKey, Vec<Observation>)| {
        let points = collapse(observations).iter().map(|cell| point_at(cell, cell.dose_a)).collect();
        Curve { key, points: with_untreated(points, vehicles.get(&key.line)) }
    };
    // A drug named only at dose zero has no curve: its wells are untreated cells of the matrices they name.
    let is_curve = |curve: &Curve| curve.points.iter().any(|p| p.dose > 0.0);
    grouped(singles).into_iter().map(curve).filter(is_curve).collect()
}

fn matrices(
    pairs: Vec<(MatrixKey, Observation)>,
    curves: &[Curve],
    vehicles: &BTreeMap<NameId, CurvePoint>,
) -> Vec<DoseMatrix> {
    let curve_of = |line: NameId, drug: NameId, schedule: Option<NameId>| {
        let find = |schedule| {
            let key = CurveKey { line, drug, schedule };
            curves.binary_search_by(|curve| curve.key.cmp(&key)).ok().map(|i| &curves[i])
        };
        find(schedule).or_else(|| find(None))
    };
    let matrix = |(key, observations): (MatrixKey, Vec<Observation>)| {
        let mut matrix = assemble(key, collapse(observations));
        if !matrix.cells.iter().any(|cell| cell.dose_a > 0.0 && cell.dose_b > 0.0) {
            return None; // margins alone: the wells are in the curves
        }
        for (second, drug) in [(false, key.drug_a), (true, key.drug_b)] {
            let margin = if second { &mut matrix.margin_b } else { &mut matrix.margin_a };
            let own = nonzero(margin);
            let curve = curve_of(key.line, drug, key.schedule)
                .filter(|curve| key.block.is_none() || own < ENOUGH_DOSES && nonzero(&curve.points) > own);
            let vehicle = vehicles.get(&key.line);
            let by_vehicles = |points: &[CurvePoint]| {
                let of = |(point, vehicle): (&CurvePoint, &CurvePoint)| {
                    point.dose == 0.0 && point.n == 1 && point.response == vehicle.response
                };
                points.first().zip(vehicle).is_some_and(of)
            };
            let Some(curve) = curve else {
                *margin = with_untreated(std::mem::take(margin), vehicle);
                let untreated_by_vehicles = by_vehicles(margin);
                matrix.origins[usize::from(second)] = MarginOrigin { pooled: false, untreated_by_vehicles };
                continue;
            };
            *margin = curve.points.clone();
            let untreated_by_vehicles = by_vehicles(margin);
            matrix.origins[usize::from(second)] = MarginOrigin { pooled: true, untreated_by_vehicles };
            show_margin(&mut matrix.cells, &curve.points, second);
        }
        Some(matrix)
    };
    grouped(pairs).into_iter().filter_map(matrix).collect()
}

impl DoseMatrix {
    /// Takes a margin from single-agent responses measured elsewhere, where the matrix has fewer than 3 doses above zero
    /// of its own: (molar dose, viability), of the second drug or of the first. An untreated point of the matrix's own
    /// stays where those have none.
    pub fn take_margin(&mut self, second: bool, alone: Vec<(f64, f64)>) {
        let observation = |(dose_a, response): (f64, f64)| Observation { dose_a, dose_b: 0.0, response, weight: 1.0 };
        let usable: Vec<Observation> = alone.into_iter().map(observation).filter(Observation::is_usable).collect();
        let mut points: Vec<CurvePoint> = collapse(usable).iter().map(|cell| point_at(cell, cell.dose_a)).collect();
        let margin = if second { &mut self.margin_b } else { &mut self.margin_a };
        if nonzero(margin) >= ENOUGH_DOSES || nonzero(&points) <= nonzero(margin) {
            return;
        }
        if let (Some(own), Some(first)) = (margin.iter().find(|point| point.dose == 0.0), points.first())
            && first.dose > 0.0
        {
            points.insert(0, *own);
        }
        margin.clone_from(&points);
        self.origins[usize::from(second)] = MarginOrigin { pooled: true, untreated_by_vehicles: false };
        show_margin(&mut self.cells, &points, second);
    }
}

fn nonzero(points: &[CurvePoint]) -> usize {
    points.iter().filter(|point| point.dose > 0.0).count()
}

/// Adds to the cells the single-agent responses at the doses that were combined, where there are none yet.
fn show_margin(cells: &mut Vec<Cell>, points: &[CurvePoint], second: bool) {
    let doses = |cell: &Cell| if second { (cell.dose_b, cell.dose_a) } else { (cell.dose_a, cell.dose_b) };
    for point in points.iter().filter(|point| point.dose > 0.0) {
        let combined = cells.iter().any(|cell| doses(cell).0 == point.dose && doses(cell).1 > 0.0);
        let shown = cells.iter().any(|cell| doses(cell) == (point.dose, 0.0));
        if combined && !shown {
            let (dose_a, dose_b) = if second { (0.0, point.dose) } else { (point.dose, 0.0) };
            let CurvePoint { response, weight, n, sum_of_squares, .. } = *point;
            cells.push(Cell { dose_a, dose_b, response, weight, n, sum_of_squares });
        }
    }
    cells.sort_by(|a, b| a.dose_a.total_cmp(&b.dose_a).then(a.dose_b.total_cmp(&b.dose_b)));
}

/// A matrix with the margins that are among its own cells.
fn assemble(key: MatrixKey, cells: Vec<Cell>) -> DoseMatrix {
    let margin_a = cells.iter().filter(|cell| cell.dose_b == 0.0).map(|cell| point_at(cell, cell.dose_a)).collect();
    let margin_b = cells.iter().filter(|cell| cell.dose_a == 0.0).map(|cell| point_at(cell, cell.dose_b)).collect();
    DoseMatrix { key, cells, margin_a, margin_b, origins: [MarginOrigin::default(); 2] }
}

/// A matrix from the rows of a long table: replicates are collapsed, and the margins are the rows with one dose zero.
///
/// # Errors
/// If a dose is negative, or a dose, response or weight is not finite (a weight also if it is not above zero).
pub fn matrix_from_cells(key: MatrixKey, cells: &[Observation]) -> Result<DoseMatrix> {
    if let Some(bad) = cells.iter().find(|cell| !cell.is_usable()) {
        return Err(Error::Screen {
            problem: format!(
                "the dose pair {} M, {} M has the response {} and the weight {}",
                bad.dose_a, bad.dose_b, bad.response, bad.weight
            ),
            hint: Some("remove rows without a response, and give doses that are not negative".to_owned()),
        });
    }
    Ok(assemble(key, collapse(cells.to_vec())))
}
