//! Whether the same drug has the same potency on every plate: shifts of its curve between plates, shrunk to what is sure
//! of them, and dilution series that lie a step beside their label.
//!
//! The pooled curve of a line and drug is fitted to all its plates. A plate's own curve is that one moved along the dose;
//! by how much is least squares in one unknown. True shifts are taken for normal with a variance estimated from all
//! plates (DerSimonian & Laird 1986, doi 10.1016/0197-2456(86)90046-2), and each plate's shift is drawn towards their
//! mean by how little is known of it (empirical Bayes: Efron & Morris 1973, doi 10.1080/01621459.1973.10481350).

use super::NormalisedWells;
use super::PlateQuality;
use super::flags::WellFlags;
use super::replicates::TreatmentKey;
use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::fit::{CurveSet, FitSettings};
use crate::math::instructions::{InstructionSet, Instructions, Vectorisable};
use crate::math::{Lanes, Scalar};
use crate::model::{Model, ModelId, hill::Hill4};
use crate::rank::meta_analysis::{Estimate, Pooled, pool};
use crate::screen::code::{self, Code};
use crate::screen::names::NameId;
use std::array;
use std::collections::{BTreeMap, HashMap};
use std::f64::consts::LN_10;

/// Plates that tell which of them is wrong.
const FEWEST_PLATES: usize = 3;
/// Distinct doses above zero that a plate must have of the drug.
const FEWEST_DOSES: usize = 4;
/// Fall of the pooled curve over the doses tested, as viability, below which its place on the dose axis is not known.
const FEWEST_FALL: f64 = 0.3;
/// Standard error of a shift (log10 of dose) beyond which nothing is said of it.
const LARGEST_ERROR: f64 = 0.5;
/// A shift of this share of a dilution step, towards a whole step, is the wrong row of the dilution series and not biology …
const SHARE_OF_STEP: f64 = 0.7;
/// … if it is also this many standard deviations (its own error and the other plates' shifts) from the others.
const DEVIATIONS: f64 = 4.0;
/// Largest shift looked for, log10 of dose.
const LARGEST_SHIFT: f64 = 2.0;

/// One drug alone in one line on one plate, against the same on all plates.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct PlateCurve {
    /// The plate.
    pub plate: NameId,
    /// The cell line.
    pub line: Option<NameId>,
    /// The drug.
    pub drug: NameId,
    /// Wells of the drug alone on the plate.
    pub n_wells: usize,
    /// Plates that the pooled curve is from.
    pub n_plates: usize,
    /// log10 of the molar EC50 of the pooled curve.
    pub log10_ec50_pooled: f64,
    /// By how much the plate's curve lies at higher doses, log10 of dose.
    pub shift: Option<f64>,
    /// Its standard error.
    pub shift_se: Option<f64>,
    /// The shift drawn towards the mean of all plates.
    pub shift_shrunk: Option<f64>,
    /// Pooled EC50 moved by the shrunk shift: what this plate's EC50 most likely is, log10 molar.
    pub log10_ec50_shrunk: Option<f64>,
    /// The plate's batch.
    pub batch: Option<NameId>,
    /// Mean shift of the batch's plates less that of all plates (mis-registered ones left out), log10 of dose.
    pub batch_shift: Option<f64>,
    /// Its standard error, plates of the batch taken for a sample of what it could have.
    pub batch_shift_se: Option<f64>,
    /// Standard deviation of the true shifts between plates, log10 of dose.
    pub between_plates_sd: Option<f64>,
    /// log10 of the dilution step on this plate.
    pub dilution_step: f64,
    /// Whole dilution steps by which the series seems to be mis-registered; 0 for none.
    pub steps_off: i32,
    /// Why a value is missing: `too_flat`, `shift_not_determined`, `too_few_plates`; or `dose_misregistered`.
    #[serde(deserialize_with = "code::read")]
    pub reason: Code,
}

/// Line, schedule and drug; the first two are [`u32::MAX`] where there is none.
type Series = (u32, u32, u32);

/// A single-agent well.
#[derive(Debug, Clone, Copy)]
struct Point {
    series: Series,
    plate: NameId,
    dose: u64,
    well: u32,
}

/// The shifts of every drug that is alone on at least three plates with the same line, and flags on the wells of
/// mis-registered series, combinations with that drug included. `wells` must lie plate by plate; `samples` are the sample
/// wells among them. The pooled curves are
/// fitted on the CPU whatever the back end, so that a verdict does not depend on the machine.
///
/// # Errors
/// Those of the fitter.
pub(super) fn check(wells: &mut NormalisedWells, samples: &[u32]) -> crate::Result<Vec<PlateCurve>> {
    // Gathered by hash, which is never walked in its own order: most series are on too few plates to be sorted at all.
    let mut of_series: HashMap<Series, Vec<Point>> = HashMap::new();
    for &i in samples {
        let Some(key) = TreatmentKey::active(wells.wells(), i as usize) else { continue };
        let is_in_order = !wells.flags()[i as usize].has(WellFlags::OUT_OF_ORDER);
        if let Some(drug) = key.only_drug().filter(|_| is_in_order) {
            let (line, schedule, _) = key.series();
            let (series, plate) = ((line, schedule, drug), wells.plate(i as usize));
            of_series.entry(series).or_default().push(Point { series, plate, dose: key.doses[0], well: i });
        }
    }
    let mut series: Vec<Vec<Point>> = of_series.into_values().filter(|group| plates(group) >= FEWEST_PLATES).collect();
    series.sort_unstable_by_key(|group| group[0].series);
    // By well last: sums run in an order that does not depend on threads.
    series.iter_mut().for_each(|group| group.sort_unstable_by_key(|p| (p.plate, p.dose, p.well)));
    let is_told = |group: &Vec<Point>| {
        group.chunk_by(|a, b| a.plate == b.plate).filter(|plate| doses(plate) >= FEWEST_DOSES).count() >= FEWEST_PLATES
    };
    series.retain(is_told);
    let mut curves = CurveSet::new();
    for group in &series {
        let mut observed: Vec<(u64, f64)> =
            group.iter().map(|p| (p.dose, wells.responses()[p.well as usize])).collect();
        observed.sort_unstable_by(|a, b| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let means = observed.chunk_by(|a, b| a.0 == b.0).map(|same| {
            let n = same.len() as f64;
            (f64::from_bits(same[0].0), same.iter().map(|(_, y)| y).sum::<f64>() / n, n)
        });
        curves.push(None, std::iter::once((0.0, 1.0, 1.0)).chain(means));
    }
    if series.is_empty() {
        return Ok(Vec::new());
    }
    let fits = Cpu.fit(&FitSettings::new(ModelId::Hill4), &curves)?;
    let mut found = Vec::new();
    let mut wrong = Vec::new();
    for (group, fit) in series.iter().zip(&fits) {
        let parameters: [f64; 4] = std::array::from_fn(|i| fit.parameters[i]);
        if fit.status.is_fitted() && parameters.iter().all(|p| p.is_finite()) {
            one_drug(group, parameters, wells, &mut found, &mut wrong);
        }
    }
    flag(wells, samples, &wrong);
    found.sort_by_key(|c| (c.plate, c.line, c.drug));
    Ok(found)
}

fn plates(by_plate: &[Point]) -> usize {
    by_plate.chunk_by(|a, b| a.plate == b.plate).count()
}

fn doses(sorted: &[Point]) -> usize {
    sorted.chunk_by(|a, b| a.dose == b.dose).count()
}

/// The plates of one line and drug.
fn one_drug(
    group: &[Point],
    parameters: [f64; 4],
    wells: &NormalisedWells,
    found: &mut Vec<PlateCurve>,
    wrong: &mut Vec<(NameId, u32, NameId)>,
) {
    let ln_dose = |p: &Point| libm::log(f64::from_bits(p.dose));
    let curve = |x: f64| Hill4::response(x, parameters);
    let (low, high) =
        group.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), p| (l.min(ln_dose(p)), h.max(ln_dose(p))));
    let is_flat = (curve(low) - curve(high)).abs() < FEWEST_FALL;
    let plates: Vec<&[Point]> =
        group.chunk_by(|a, b| a.plate == b.plate).filter(|plate| doses(plate) >= FEWEST_DOSES).collect();
    let from = found.len();
    let instructions = InstructionSet::detect();
    let mut squares = 0.0;
    let mut freedom = 0.0;
    for plate in &plates {
        let observed: Vec<(f64, f64)> =
            plate.iter().map(|p| (ln_dose(p), wells.responses()[p.well as usize])).collect();
        let (shift, sse) = instructions.run(LeastSquares { points: &observed, parameters });
        squares += sse;
        freedom += observed.len() as f64 - 1.0;
        let (line, _, drug) = group[0].series;
        found.push(PlateCurve {
            plate: plate[0].plate,
            line: (line != u32::MAX).then_some(line),
            drug,
            n_wells: plate.len(),
            n_plates: plates.len(),
            log10_ec50_pooled: parameters[2] / LN_10,
            shift: Some(shift / LN_10),
            shift_se: None,
            shift_shrunk: None,
            log10_ec50_shrunk: None,
            batch: None,
            batch_shift: None,
            batch_shift_se: None,
            between_plates_sd: None,
            dilution_step: dilution_step(plate) / LN_10,
            steps_off: 0,
            reason: if is_flat { "too_flat" } else { "" },
        });
    }
    let variance = squares / f64::max(freedom, 1.0);
    for (curve_of_plate, plate) in found[from..].iter_mut().zip(&plates) {
        let Some(shift) = curve_of_plate.shift.map(|s| s * LN_10) else { continue };
        let information: f64 = plate.iter().map(|p| slope(&curve, ln_dose(p) - shift).powi(2)).sum();
        let error = (variance / information).sqrt() / LN_10;
        // Without any slope at its doses the plate's error is infinite, or no number.
        if is_flat || error.is_nan() || error >= LARGEST_ERROR || shift.abs() >= LARGEST_SHIFT * LN_10 * 0.999 {
            curve_of_plate.shift = None;
            if !is_flat {
                curve_of_plate.reason = "shift_not_determined";
            }
        } else {
            // A spread of exactly nothing (computed data) would be an infinite weight.
            curve_of_plate.shift_se = Some(error.max(1e-6));
        }
    }
    judge(&mut found[from..], group[0].series.0, wrong);
}

/// Shrinks the shifts of one line and drug and finds the series that lie whole steps beside the others.
fn judge(curves: &mut [PlateCurve], line: u32, wrong: &mut Vec<(NameId, u32, NameId)>) {
    let mut shifts: Vec<f64> = curves.iter().filter_map(|c| c.shift).collect();
    let Some(middle) = super::spread::median(&mut shifts).filter(|_| shifts.len() >= FEWEST_PLATES) else {
        curves.iter_mut().filter(|c| c.shift.is_some()).for_each(|c| c.reason = "too_few_plates");
        return;
    };
    // Those that may be a step off must not widen the spread that they are judged by.
    let is_near = |c: &PlateCurve| c.shift.is_some_and(|s| (s - middle).abs() < SHARE_OF_STEP * c.dilution_step);
    let near: Vec<Estimate> =
        curves.iter().filter(|c| is_near(c)).filter_map(|c| Some(Estimate::exact(c.shift?, c.shift_se))).collect();
    let Some(Pooled { mean, between_variance: between, .. }) = pool(&near) else { return };
    for c in curves.iter_mut() {
        let (Some(shift), Some(error)) = (c.shift, c.shift_se) else { continue };
        c.between_plates_sd = Some(between.sqrt());
        let off = shift - mean;
        let steps = (off / c.dilution_step).round();
        let distance = off.abs() / (error * error + between).sqrt();
        if steps != 0.0
            && off.abs() > SHARE_OF_STEP * c.dilution_step
            && distance > DEVIATIONS
            && near.len() >= FEWEST_PLATES - 1
        {
            c.steps_off = steps as i32;
            c.reason = "dose_misregistered";
            wrong.push((c.plate, line, c.drug));
            continue; // its shift is a fault to be mended, not an effect to be drawn towards the others
        }
        let shrunk = mean + off * between / (between + error * error);
        c.shift_shrunk = Some(shrunk);
        c.log10_ec50_shrunk = Some(c.log10_ec50_pooled + shrunk);
    }
}

/// Names each curve's batch, and says by how much batches of the same line and drug lie apart.
pub(super) fn add_batches(curves: &mut [PlateCurve], plates: &[PlateQuality]) {
    let batch_of: BTreeMap<NameId, NameId> = plates.iter().filter_map(|p| Some((p.plate, p.batch?))).collect();
    let mut of_drug: BTreeMap<(Option<NameId>, NameId), Vec<Estimate>> = BTreeMap::new();
    let mut of_batch: BTreeMap<(Option<NameId>, NameId, NameId), Vec<Estimate>> = BTreeMap::new();
    for c in curves.iter_mut() {
        c.batch = batch_of.get(&c.plate).copied();
        if let (Some(batch), Some(shift), 0) = (c.batch, c.shift, c.steps_off) {
            let shift = Estimate::exact(shift, c.shift_se);
            of_drug.entry((c.line, c.drug)).or_default().push(shift);
            of_batch.entry((c.line, c.drug, batch)).or_default().push(shift);
        }
    }
    for c in curves.iter_mut() {
        let Some(batch) = c.batch else { continue };
        let own = of_batch.get(&(c.line, c.drug, batch)).and_then(|shifts| pool(shifts));
        let all = of_drug.get(&(c.line, c.drug)).and_then(|shifts| pool(shifts));
        if let (Some(own), Some(all)) = (own, all) {
            c.batch_shift = Some(own.mean - all.mean);
            c.batch_shift_se = own.standard_error;
        }
    }
}

/// Points of which the curve's residuals are worked out side by side.
const LANES: usize = 8;

/// The shift in ln dose that brings the curve nearest to (ln dose, response) points, and the sum of squares there.
struct LeastSquares<'a> {
    points: &'a [(f64, f64)],
    parameters: [f64; 4],
}

impl Vectorisable for LeastSquares<'_> {
    type Output = (f64, f64);

    fn with(self, instructions: impl Instructions) -> Self::Output {
        let lanes = |points: &[(f64, f64)]| {
            let at = |i: usize| points.get(i).copied().unwrap_or_default();
            (Lanes(array::from_fn(|i| at(i).0)), Lanes(array::from_fn(|i| at(i).1)), points.len())
        };
        let points: Vec<_> = self.points.chunks(LANES).map(lanes).collect();
        instructions.run(|| least_squares_shift(&points, self.parameters))
    }
}

/// Points side by side: ln doses, responses, and how many of them there are.
type Points = (Lanes<LANES>, Lanes<LANES>, usize);

/// Of the residuals about the curve moved by `shift`. Inlined, or it is not compiled for the processor's instructions.
#[inline(always)]
fn sum_of_squares(points: &[Points], parameters: [Lanes<LANES>; 4], shift: f64) -> f64 {
    let mut sum = 0.0;
    for (x, y, n) in points {
        let residual = *y - Hill4::response(*x - Lanes::lit(shift), parameters);
        let squares = residual * residual;
        // One after the other: the sum is the same however many lanes there are.
        squares.0.iter().take(*n).for_each(|square| sum += square);
    }
    sum
}

/// The best of a grid (the sum has several minima), made exact by golden section.
#[inline(always)]
fn least_squares_shift(points: &[Points], parameters: [f64; 4]) -> (f64, f64) {
    const GRID: i32 = 80;
    let parameters = parameters.map(Lanes::lit);
    let at = |i: i32| f64::from(i) / f64::from(GRID) * LARGEST_SHIFT * LN_10;
    let mut best = (f64::INFINITY, 0.0);
    // From the middle outwards: of equal sums the smaller shift.
    for shift in (0..=GRID).flat_map(|i| [at(i), at(-i)]) {
        let sum = sum_of_squares(points, parameters, shift);
        if sum < best.0 {
            best = (sum, shift);
        }
    }
    let step = LARGEST_SHIFT * LN_10 / f64::from(GRID);
    let golden = 0.5 * (5.0f64.sqrt() - 1.0);
    let (mut low, mut high) = (best.1 - step, best.1 + step);
    for _ in 0..40 {
        let width = golden * (high - low);
        let at = |shift: f64| sum_of_squares(points, parameters, shift);
        if at(high - width) < at(low + width) { high = low + width } else { low = high - width }
    }
    let shift = 0.5 * (low + high);
    (shift, sum_of_squares(points, parameters, shift))
}

/// Derivative of the curve by ln dose.
fn slope(curve: &impl Fn(f64) -> f64, x: f64) -> f64 {
    const H: f64 = 1e-4;
    (curve(x + H) - curve(x - H)) / (2.0 * H)
}

/// Median ratio of neighbouring doses, natural log.
fn dilution_step(sorted: &[Point]) -> f64 {
    let doses: Vec<f64> =
        sorted.chunk_by(|a, b| a.dose == b.dose).map(|d| libm::log(f64::from_bits(d[0].dose))).collect();
    let mut steps: Vec<f64> = doses.windows(2).map(|w| w[1] - w[0]).collect();
    super::spread::median(&mut steps).unwrap_or(f64::INFINITY)
}

/// Flags every well of the plates and lines with the drug at a dose above zero.
fn flag(wells: &mut NormalisedWells, samples: &[u32], wrong: &[(NameId, u32, NameId)]) {
    if wrong.is_empty() {
        return;
    }
    for &i in samples {
        let well = wells.wells().get(i as usize);
        let (plate, line) = (well.plate, well.line.unwrap_or(u32::MAX));
        if well.active().any(|t| wrong.contains(&(plate, line, t.drug))) {
            wells.flags_mut()[i as usize].insert(WellFlags::DOSE_MISREGISTERED);
        }
    }
}
