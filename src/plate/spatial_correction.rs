//! Spatial correction: the surface that the vehicle and the inactive wells of a plate lie on, divided out.
//!
//! A well's response is divided by what vehicle and inactive wells around it read, relative to the plate. The surface is
//! shrunk by the share of its variance that noise alone would have given it (the positive-part rule of James and Stein
//! 1961), so that a plate without structure is left nearly as it is. Afterwards the vehicle wells have mean 1 again.
//!
//! The surface is a local regression, or what rows and columns say by a median polish and the median of what that leaves
//! around each well: a median of the readings alone would flatten every fall towards the edge.
//!
//! Active wells are left aside. Where doses follow rows or columns, low doses that do a little lie together, and the surface
//! would be theirs: it then rests on vehicle wells alone. It is not drawn out over places that have none of its
//! wells around: such a plate stays as it is, with the reason. What lowers all wells of a neighbourhood by less than the wells'
//! scatter, such as a weak drug in one corner, cannot be told from the plate and is taken for it.

use super::median_polish::polish;
use super::spread::{mean, median_and_mad};
use super::{NormalisedWells, PlateStage, dose_layout, groups};
use crate::Result;
use crate::backend::{Backend, SpatialBatch, SpatialPoint};
use crate::config::SpatialCorrection;
use crate::math::Scalar;
use crate::screen::code::{self, Code};
use crate::screen::names::NameId;
use crate::screen::well::Role;
use rayon::prelude::*;
use std::ops::Range;

/// Squared distance in wells within which neighbours count, where enough of them are there.
pub const NEAR: f64 = 10.5;
/// Neighbours from which there are enough; with fewer the squared distance is doubled, and doubled again.
pub const ENOUGH: usize = 12;
/// How often the squared distance is doubled at most: from one corner of a 1536-well plate to the other.
pub const MOST_DOUBLINGS: usize = 9;
/// Wells that a plate's surface needs at least. Ours: with fewer, one well in two would be its own surface.
pub const FEWEST_WELLS: usize = 24;
/// Squared distance in wells within which every sample well must have [`ENOUGH`] wells of the surface. Ours: nine wells,
/// over which a plate's temperature or evaporation changes little but for its edge.
const FARTHEST: f64 = 8.0 * NEAR;
/// The surface's variance over that of one well, from which it is drawn out rather than laid through wells.
const MOST_SQUARES: f64 = 1.0;
/// Wells this far below or above viability 1 are active at first sight: the largest edge effects of usable plates.
const FIRST_SIGHT: f64 = 0.3;
/// Wells further than this many spreads from the surface are active at second sight.
const SECOND_SIGHT: f64 = 3.0;
/// Times that wells are chosen anew.
const ROUNDS: usize = 2;
/// The surface may not divide by less than this.
const LEAST_FACTOR: f64 = 0.2;
/// Keeps a slope where neighbours lie in one line at 0.
const RIDGE: f64 = 1e-3;
/// Variance of a median over that of a mean, for normal data and many of them: π / 2.
pub const MEDIAN_VARIANCE: f64 = std::f64::consts::FRAC_PI_2;

/// Sums that one neighbour adds to: weight, its moments with place and value, and squared weight with its moments.
pub const SUMS: usize = 15;

/// What a neighbour adds to the sums of a place: `down` and `right` are its distances in wells over the reach. The
/// weight is Cleveland's tricube (1979, doi 10.1080/01621459.1979.10481038).
#[inline(always)]
pub fn neighbour<S: Scalar>(down: S, right: S, value: S) -> [S; SUMS] {
    let one = S::lit(1.0);
    let distance = (down * down + right * right).min(one).sqrt();
    let inside = one - distance * distance * distance;
    let w = inside * inside * inside;
    let v = w * w;
    let (wd, wr, vd, vr) = (w * down, w * right, v * down, v * right);
    let moments = [w, wd, wr, wd * down, wd * right, wr * right];
    let squares = [v, vd, vr, vd * down, vd * right, vr * right];
    let [a, b, c, d, e, f] = moments;
    let [g, h, i, j, k, l] = squares;
    [a, b, c, d, e, f, w * value, wd * value, wr * value, g, h, i, j, k, l]
}

/// The local plane at a place from its sums: its value there, the sum of the squares of the values' coefficients, and the
/// coefficient of a well at the place itself.
#[inline(always)]
pub fn plane<S: Scalar>(sums: [S; SUMS]) -> [S; 3] {
    let [w, wd, wr, wdd, wdr, wrr, y, yd, yr, v, vd, vr, vdd, vdr, vrr] = sums;
    let inverse = S::lit(1.0) / w.max(S::lit(1e-12));
    let (d, r, middle) = (wd * inverse, wr * inverse, y * inverse);
    let ridge = S::lit(RIDGE);
    let (dd, dr, rr) = (wdd * inverse - d * d + ridge, wdr * inverse - d * r, wrr * inverse - r * r + ridge);
    let determinant = S::lit(1.0) / (dd * rr - dr * dr);
    // The slope's coefficients at the place: covariance⁻¹ · centre.
    let (gd, gr) = ((rr * d - dr * r) * determinant, (dd * r - dr * d) * determinant);
    let slope_part = gd * (yd * inverse - d * middle) + gr * (yr * inverse - r * middle);
    let h = S::lit(1.0) + gd * d + gr * r;
    let two = S::lit(2.0);
    let squares = h * h * v - two * h * (gd * vd + gr * vr) + gd * gd * vdd + two * gd * gr * vdr + gr * gr * vrr;
    [middle - slope_part, squares * inverse * inverse, h * inverse]
}

/// Surfaces of every plate of the batch: the CPU back end's.
pub fn surfaces(kind: SpatialCorrection, batch: &SpatialBatch) -> Vec<SpatialPoint> {
    let plates: Vec<Vec<SpatialPoint>> =
        batch.offsets.par_windows(2).map(|b| surface(kind, batch, b[0]..b[1])).collect();
    plates.concat()
}

fn surface(kind: SpatialCorrection, batch: &SpatialBatch, wells: Range<usize>) -> Vec<SpatialPoint> {
    let used: Vec<(f64, f64, f64)> = wells
        .clone()
        .filter(|&i| batch.used[i])
        .map(|i| (f64::from(batch.place[i].0), f64::from(batch.place[i].1), batch.value[i]))
        .collect();
    let mut values = Vec::new();
    wells
        .map(|i| {
            let (row, column) = (f64::from(batch.place[i].0), f64::from(batch.place[i].1));
            let apart = |(r, c, _): &(f64, f64, f64)| (r - row) * (r - row) + (c - column) * (c - column);
            let mut reach = NEAR;
            for _ in 0..MOST_DOUBLINGS {
                if used.iter().filter(|other| apart(other) < reach).count() >= ENOUGH {
                    break;
                }
                reach *= 2.0;
            }
            let near = used.iter().filter(|other| apart(other) < reach);
            if kind == SpatialCorrection::Median {
                values.clear();
                values.extend(near.map(|(_, _, value)| *value));
                let n = values.len().max(1) as f64;
                let value = super::spread::median(&mut values).unwrap_or(1.0);
                return SpatialPoint { value, squares: MEDIAN_VARIANCE / n, own: 1.0 / n };
            }
            let scale = 1.0 / reach.sqrt();
            let mut sums = [0.0; SUMS];
            for (r, c, value) in near {
                let terms = neighbour((r - row) * scale, (c - column) * scale, *value);
                sums.iter_mut().zip(terms).for_each(|(sum, term)| *sum += term);
            }
            let [value, squares, own] = plane(sums);
            SpatialPoint { value, squares, own }
        })
        .collect()
}

/// What was done to one plate (of one line).
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct SpatialOutcome {
    /// The plate.
    pub plate: NameId,
    /// The line.
    pub line: Option<NameId>,
    /// Vehicle and inactive wells that the surface rests on.
    pub n_wells: usize,
    /// Standard deviation of what was divided out, a fraction; 0 where nothing was.
    pub sd: f64,
    /// Share of the surface that was applied: 1 where noise explains none of it.
    pub applied: f64,
    /// Why nothing was done: `no_position`, `few_inactive_wells` (on the plate, or around some sample well),
    /// `structured_layout` (doses follow rows or columns, and vehicle wells are few); empty where something was.
    #[serde(deserialize_with = "code::read")]
    pub reason: Code,
}

/// One plate on its way through the rounds.
struct Work {
    /// Indices of its wells in the stage.
    wells: Vec<usize>,
    used: Vec<bool>,
    /// Whether sample wells may belong to the surface.
    by_samples: bool,
    reason: &'static str,
}

/// Corrects the responses of a stage in place; one outcome a plate and line.
///
/// # Errors
/// Those of the back end.
pub fn correct(stage: &mut PlateStage, kind: SpatialCorrection, backend: &dyn Backend) -> Result<Vec<SpatialOutcome>> {
    let mut plates = work(&stage.wells);
    let mut points = Vec::new();
    let mut batch = SpatialBatch::default();
    for round in 0..=ROUNDS {
        batch = gathered(&stage.wells, &plates);
        points = points_of(kind, &batch, backend)?;
        if round < ROUNDS {
            choose_again(&stage.wells, &mut plates, &batch, &points);
        }
    }
    let mut outcomes = Vec::with_capacity(plates.len());
    let mut in_batch = batch.offsets.windows(2);
    for plate in &plates {
        let Some(first) = plate.wells.first() else { continue };
        let n_wells = plate.used.iter().filter(|used| **used).count();
        let mut outcome = SpatialOutcome {
            plate: stage.wells.plate(*first),
            line: plate.wells.iter().find_map(|i| stage.wells.wells().line(*i)),
            n_wells,
            sd: 0.0,
            applied: 0.0,
            reason: plate.reason,
        };
        if plate.reason.is_empty()
            && let Some(bounds) = in_batch.next()
        {
            let points = &points[bounds[0]..bounds[1]];
            if covers(&stage.wells, plate, points) {
                apply(&mut stage.wells, plate, points, &mut outcome);
            } else {
                outcome.reason = "few_inactive_wells";
            }
        }
        outcomes.push(outcome);
    }
    Ok(outcomes)
}

/// The plates, with the wells that are inactive at first sight.
fn work(wells: &NormalisedWells) -> Vec<Work> {
    let mut plates = Vec::new();
    for members in groups(wells) {
        let samples = members.iter().map(|i| wells.wells().get(*i)).filter(|well| well.role == Role::Sample);
        let by_samples = dose_layout::arranged(samples).is_none();
        let used: Vec<bool> = members
            .iter()
            .map(|i| match wells.role(*i) {
                Role::Vehicle => true,
                Role::Sample => by_samples && (wells.responses()[*i] - 1.0).abs() < FIRST_SIGHT,
                _ => false,
            })
            .collect();
        let reason = if members.iter().any(|i| wells.position(*i).is_none()) {
            "no_position"
        } else if used.iter().filter(|used| **used).count() < FEWEST_WELLS {
            if by_samples { "few_inactive_wells" } else { "structured_layout" }
        } else {
            ""
        };
        plates.push(Work { wells: members, used, by_samples, reason });
    }
    plates
}

fn gathered(wells: &NormalisedWells, plates: &[Work]) -> SpatialBatch {
    let mut batch = SpatialBatch { offsets: vec![0], ..SpatialBatch::default() };
    for plate in plates.iter().filter(|plate| plate.reason.is_empty()) {
        for (well, used) in plate.wells.iter().zip(&plate.used) {
            batch.place.push(wells.position(*well).map_or((0, 0), |at| (at.row, at.column)));
            batch.value.push(wells.responses()[*well]);
            batch.used.push(*used);
        }
        batch.offsets.push(batch.value.len());
    }
    batch
}

/// The whole surface; of medians the back end gives the local ones.
fn points_of(kind: SpatialCorrection, batch: &SpatialBatch, backend: &dyn Backend) -> Result<Vec<SpatialPoint>> {
    if kind != SpatialCorrection::Median {
        return backend.spatial(kind, batch);
    }
    let additive: Vec<Vec<SpatialPoint>> =
        batch.offsets.par_windows(2).map(|b| rows_and_columns(batch, b[0]..b[1])).collect();
    let additive = additive.concat();
    let mut left = batch.clone();
    // Viabilities again, about 1.
    left.value.iter_mut().zip(&additive).for_each(|(value, fitted)| *value -= fitted.value - 1.0);
    let mut points = backend.spatial(kind, &left)?;
    for (point, fitted) in points.iter_mut().zip(&additive) {
        point.value += fitted.value - 1.0;
        point.squares += fitted.squares;
        point.own += fitted.own;
    }
    Ok(points)
}

/// What rows and columns say of each well by a median polish of the used ones. Variances are those of medians of a
/// balanced layout: of a row and of a column less that of the plate.
fn rows_and_columns(batch: &SpatialBatch, wells: Range<usize>) -> Vec<SpatialPoint> {
    let place = |i: usize| (usize::from(batch.place[i].0), usize::from(batch.place[i].1));
    let (n_rows, n_columns) = wells.clone().map(place).fold((0, 0), |most, at| (most.0.max(at.0), most.1.max(at.1)));
    let (mut in_row, mut in_column) = (vec![0.0; n_rows + 1], vec![0.0; n_columns + 1]);
    let mut used = Vec::with_capacity(wells.len());
    for i in wells.clone().filter(|i| batch.used[*i]) {
        let (row, column) = place(i);
        in_row[row] += 1.0;
        in_column[column] += 1.0;
        used.push((row, column, batch.value[i]));
    }
    let fitted = polish(n_rows + 1, n_columns + 1, &used);
    let one_over = |n: f64| if n > 0.0 { 1.0 / n } else { 0.0 };
    wells
        .map(|i| {
            let (row, column) = place(i);
            let own = one_over(in_row[row]) + one_over(in_column[column]) - one_over(used.len() as f64);
            let value = fitted.at(row, column).unwrap_or(fitted.overall);
            SpatialPoint { value, squares: MEDIAN_VARIANCE * own, own }
        })
        .collect()
}

/// Leaves aside what lies far from the surface, and takes up what lies on it.
fn choose_again(wells: &NormalisedWells, plates: &mut [Work], batch: &SpatialBatch, points: &[SpatialPoint]) {
    let mut bounds = batch.offsets.windows(2);
    for plate in plates.iter_mut().filter(|plate| plate.reason.is_empty()) {
        let Some(at) = bounds.next() else { return };
        let points = &points[at[0]..at[1]];
        let members = &plate.wells;
        let away = |i: usize| wells.responses()[members[i]] - points[i].value;
        let mut residuals: Vec<f64> = (0..members.len()).filter(|&i| plate.used[i]).map(away).collect();
        let Some((middle, spread)) = median_and_mad(&mut residuals) else { continue };
        let limit = SECOND_SIGHT * spread;
        let may_be_used = |role: Role| role == Role::Vehicle || (role == Role::Sample && plate.by_samples);
        let chosen: Vec<bool> = (0..members.len())
            .map(|i| may_be_used(wells.role(members[i])) && (away(i) - middle).abs() <= limit)
            .collect();
        // With too few left the first sight stands.
        if chosen.iter().filter(|used| **used).count() >= FEWEST_WELLS {
            plate.used = chosen;
        }
    }
}

/// Whether the surface has wells around every sample well.
fn covers(wells: &NormalisedWells, plate: &Work, points: &[SpatialPoint]) -> bool {
    let place = |i: &usize| wells.position(*i).map_or((0.0, 0.0), |at| (f64::from(at.row), f64::from(at.column)));
    let used: Vec<(f64, f64)> =
        plate.wells.iter().zip(&plate.used).filter(|(_, used)| **used).map(|(i, _)| place(i)).collect();
    let samples = plate.wells.iter().zip(points).filter(|(i, _)| wells.role(**i) == Role::Sample);
    samples.map(|(i, point)| (place(i), point.squares)).all(|((row, column), squares)| {
        let near = |(r, c): &&(f64, f64)| (r - row) * (r - row) + (c - column) * (c - column) < FARTHEST;
        squares <= MOST_SQUARES && used.iter().filter(near).count() >= ENOUGH
    })
}

/// Divides the shrunk surface out and brings the vehicle wells back to 1.
fn apply(wells: &mut NormalisedWells, plate: &Work, points: &[SpatialPoint], outcome: &mut SpatialOutcome) {
    let (members, used) = (&plate.wells, &plate.used);
    let of_used =
        |value: &dyn Fn(usize) -> f64| -> Vec<f64> { (0..used.len()).filter(|&i| used[i]).map(value).collect() };
    let surface = of_used(&|i| points[i].value);
    let Some(level) = mean(&surface).filter(|level| *level > LEAST_FACTOR) else {
        outcome.reason = "few_inactive_wells";
        return;
    };
    let squares = mean(&of_used(&|i| points[i].squares)).unwrap_or(0.0);
    let own = mean(&of_used(&|i| points[i].own)).unwrap_or(0.0);
    let residual = of_used(&|i| (wells.responses()[members[i]] - points[i].value).powi(2));
    // E residual² = noise (1 - 2 own + squares), and of a flat plate E (surface - level)² = noise (squares - 1 / n).
    let noise = mean(&residual).unwrap_or(0.0) / (1.0 - 2.0 * own + squares).max(0.05);
    let seen = mean(&surface.iter().map(|s| (s - level).powi(2)).collect::<Vec<_>>()).unwrap_or(0.0);
    let by_noise = noise * (squares - 1.0 / surface.len() as f64).max(0.0);
    outcome.applied = if seen > by_noise { 1.0 - by_noise / seen } else { 0.0 };
    outcome.sd = outcome.applied * seen.sqrt() / level;
    if outcome.applied == 0.0 {
        return;
    }
    for (i, point) in members.iter().zip(points) {
        wells.responses_mut()[*i] /= (1.0 + outcome.applied * (point.value / level - 1.0)).max(LEAST_FACTOR);
    }
    let vehicles: Vec<f64> =
        members.iter().filter(|i| wells.role(**i) == Role::Vehicle).map(|i| wells.responses()[*i]).collect();
    if let Some(vehicle) = mean(&vehicles).filter(|m| *m > LEAST_FACTOR) {
        members.iter().for_each(|i| wells.responses_mut()[*i] /= vehicle);
    }
}
