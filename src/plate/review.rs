//! What the responses say of their plates: the second look, after normalisation. Controls lie in a few places and have no
//! dose; samples lie everywhere, repeat each other on other plates, and must not rise with the dose.

use super::dispensing::{self, CurveResidual, Samples};
use super::flags::WellFlags;
use super::quality::{CV_VEHICLE_GOOD, CV_VEHICLE_USABLE, EDGE_EFFECT_GOOD, PlateQuality, Verdict};
use super::replicates::{Elsewhere, elsewhere};
use super::spatial::{self, Effect, Residual, Spatial};
use super::spread::{MAD_SCALE, median};
use super::{NormalisedWells, PlateSettings, PlateStage, batch, edge, plate_ranges, registration};
use crate::Result;
use crate::screen::names::NameId;
use crate::screen::well::Role;
use crate::screen::{Orientation, Screen};
use rayon::prelude::*;
use std::ops::Range;

/// Added to the viability that the variance of a well is in proportion to, so that dead wells keep some: the noise law of
/// bayesynergy (Rønneberg 2021, doi 10.1093/bib/bbab251). Ours: dead wells have a tenth of an untreated well's noise.
const VARIANCE_OFFSET: f64 = 0.01;
/// Standard deviation of row or column effects, as viability, above which a plate is no longer good. Ours: half the CV that a
/// good plate may have, because it is shared by a whole row; half of GDSC's published plates have more than 0.05.
pub const PLACE_EFFECT_GOOD: f64 = 0.1;
/// p below which an effect of place is believed: once in a thousand clean plates.
pub const PLACE_EFFECT_P: f64 = 1e-3;
/// Share of flagged wells above which a plate is no longer good. Ours: a row or column of a 384-well plate is 4 to 6 %.
pub const FLAGGED_GOOD: f64 = 0.05;
/// Flagged wells that a small plate may have whatever their share.
const FLAGGED_WELLS_GOOD: usize = 4;
/// Wells with a dose from which it is asked whether they all depart from the same treatments elsewhere.
const DOSE_WELLS: usize = 4;
/// Mean departure, as viability, of all wells with a dose from which the dose is called shifted. Ours: twice the standard
/// deviation of a sound well.
pub const DOSE_SHIFT: f64 = 0.15;
/// Mean departure over its standard error that it must also have: once in ten million clean doses.
const DOSE_SHIFT_DEVIATIONS: f64 = 5.3;
/// Wells elsewhere from which one residual is evidence against its own well rather than against the other.
const ELSEWHERE_WELLS: u32 = 3;
/// Pairs of wells from which a correlation is reported.
const CORRELATED_WELLS: usize = 10;
/// A blank above this share of the vehicle's signal over the other blanks holds cells, or something that glows.
const BLANK_SIGNAL: f64 = 0.25;
/// Residuals of single drugs that a plate has at least for its residual error.
const CURVE_RESIDUALS: usize = 12;

/// What the review says of one plate.
struct PlateReview {
    plate: NameId,
    /// Those that the review gives, by well.
    flags: Vec<(u32, WellFlags)>,
    spatial: Spatial,
    residual_error: Option<f64>,
    correlation: Option<f64>,
    batch: Option<NameId>,
    replicate: Option<NameId>,
}

/// Flags and weighs the wells, completes the plates' qualities and pools them by batch. What departs is told by limits that
/// are viabilities: wells with other responses are not flagged.
pub(super) fn review(screen: &Screen, settings: PlateSettings, stage: &mut PlateStage) -> Result<()> {
    let PlateStage { wells, plates, batches, plate_curves, .. } = stage;
    // A table of responses without places is no plate: nothing lies beside anything, and its noise is not that of wells.
    let has_place = |wells: &NormalisedWells| wells.wells().places().iter().any(|place| place.position().is_some());
    if screen.orientation != Orientation::Signal && !has_place(wells) {
        return Ok(());
    }
    if !wells.wells().plates().is_sorted() {
        let mut order: Vec<u32> = (0..wells.len() as u32).collect();
        order.par_sort_by_key(|well| wells.plate(*well as usize));
        *wells = wells.select(&order);
    }
    let roles = wells.wells().roles().iter();
    let samples: Vec<u32> = (0..).zip(roles).filter(|(_, role)| **role == Role::Sample).map(|(i, _)| i).collect();
    let (others, spreads) = elsewhere(wells, &samples);
    let of_plates: Vec<Plate> = plate_ranges(wells.wells().plates())
        .map(|range| {
            let first = |well: usize| samples.partition_point(|sample| (*sample as usize) < well);
            let own = first(range.start)..first(range.end);
            Plate { wells, range, samples: &samples[own.clone()], others: &others[own] }
        })
        .collect();
    let by_viability = settings.normalization.is_viability();
    let reviews: Vec<PlateReview> = of_plates
        .par_iter()
        .map_init(Scratch::default, |scratch, plate| if by_viability { one(plate, scratch) } else { unreviewed(plate) })
        .collect();
    let ranges: Vec<Range<usize>> = of_plates.into_iter().map(|plate| plate.range).collect();
    let flags = wells.flags_mut();
    reviews.iter().flat_map(|r| &r.flags).for_each(|(well, found)| flags[*well as usize].insert(*found));
    if by_viability {
        *plate_curves = registration::check(wells, &samples)?;
    }

    // Plates ascend in the reviews as they do among the wells.
    for quality in plates.iter_mut() {
        let Ok(at) = reviews.binary_search_by_key(&quality.plate, |review| review.plate) else { continue };
        let flags = &wells.flags()[ranges[at].clone()];
        let mut flagged = (0, flags.len(), WellFlags::NONE);
        for flags in flags.iter().filter(|flags| flags.any()) {
            flagged.0 += 1;
            flagged.2.insert(*flags);
        }
        judge(quality, &reviews[at], flagged);
        if !by_viability {
            quality.note("responses_not_reviewed");
        }
    }
    for p in plates.iter().filter(|p| p.verdict == Verdict::Bad) {
        let Ok(at) = reviews.binary_search_by_key(&p.plate, |review| review.plate) else { continue };
        for i in ranges[at].clone() {
            // A verdict without a line is that of the whole plate, and a blank is every line's.
            let line = wells.wells().line(i);
            if p.line.is_none() || line.is_none() || p.line == line {
                wells.flags_mut()[i].insert(WellFlags::PLATE_BAD);
            }
        }
    }
    for i in 0..wells.len() {
        let flags = wells.flags()[i];
        if flags.any() {
            wells.weights_mut()[i] *= flags.weight();
        }
    }
    registration::add_batches(plate_curves, plates);
    *batches = batch::pool(wells, plates, &spreads, screen.orientation, settings);
    Ok(())
}

/// Adds to the verdict of the controls what the responses say.
fn judge(quality: &mut PlateQuality, review: &PlateReview, (flagged, all, codes): (usize, usize, WellFlags)) {
    quality.batch = review.batch;
    quality.replicate = review.replicate;
    quality.spatial = review.spatial;
    quality.residual_error = review.residual_error;
    quality.replicate_correlation = review.correlation;
    quality.n_flagged = flagged;
    let has = |effect: Option<Effect>| effect.is_some_and(|e| e.p < PLACE_EFFECT_P && e.sd > PLACE_EFFECT_GOOD);
    for (effect, reason) in [(review.spatial.row, "row_effect_high"), (review.spatial.column, "column_effect_high")] {
        if has(effect) {
            quality.at_best(Verdict::Marginal, reason);
        }
    }
    if review.spatial.edge.is_some_and(|e| e.p < PLACE_EFFECT_P)
        && review.spatial.edge_difference.is_some_and(|d| d.abs() > EDGE_EFFECT_GOOD)
    {
        quality.at_best(Verdict::Marginal, "edge_effect_high");
    }
    match review.residual_error {
        Some(error) if error > CV_VEHICLE_USABLE => quality.at_best(Verdict::Bad, "residual_error_very_high"),
        Some(error) if error > CV_VEHICLE_GOOD => quality.at_best(Verdict::Marginal, "residual_error_high"),
        _ => {}
    }
    if flagged > FLAGGED_WELLS_GOOD && flagged as f64 > FLAGGED_GOOD * all as f64 {
        quality.at_best(Verdict::Marginal, "many_wells_flagged");
    }
    for (flag, verdict, reason) in [
        (WellFlags::CLUSTER, Verdict::Bad, "contaminated"),
        (WellFlags::BLANK_WITH_SIGNAL, Verdict::Marginal, "blank_with_signal"),
        (WellFlags::DOSE_MISREGISTERED, Verdict::Marginal, "dose_misregistered"),
        (WellFlags::DOSE_SHIFTED, Verdict::Marginal, "dose_shifted"),
    ] {
        if codes.has(flag) {
            quality.at_best(verdict, reason);
        }
    }
}

/// One plate's wells, and what is known elsewhere of its samples.
struct Plate<'a> {
    wells: &'a NormalisedWells,
    range: Range<usize>,
    samples: &'a [u32],
    others: &'a [Elsewhere],
}

impl Plate<'_> {
    /// The samples whose treatment is on other plates: their number, their response, what the others say.
    fn told(&self) -> impl Iterator<Item = (usize, f64, &Elsewhere)> + Clone {
        let responses = self.wells.responses();
        let samples = self.samples.iter().zip(self.others).enumerate();
        samples.filter(|(_, (_, o))| o.n > 0).map(|(i, (well, other))| (i, responses[*well as usize], other))
    }

    /// The wells of a role.
    fn of(&self, role: Role) -> impl Iterator<Item = usize> + Clone {
        self.range.clone().filter(move |i| self.wells.role(*i) == role)
    }
}

/// Room that is used again for every plate.
#[derive(Default)]
struct Scratch {
    dispensing: dispensing::Scratch,
    spatial: spatial::Scratch,
    /// By sample.
    response: Vec<f64>,
    flags: Vec<WellFlags>,
    sides: Vec<f64>,
    has_curve: Vec<bool>,
    curves: Vec<CurveResidual>,
    /// By residual: its well, and whether it is evidence against that well.
    residuals: Vec<Residual>,
    owners: Vec<(u32, bool)>,
    values: Vec<f64>,
    of_dose: Vec<((u32, u32, u64), u32)>,
}

fn one(plate: &Plate<'_>, scratch: &mut Scratch) -> PlateReview {
    let Scratch { response, flags, sides, has_curve, curves, residuals, owners, values, .. } = scratch;
    let (wells, n) = (plate.wells, plate.samples.len());
    response.clear();
    response.extend(plate.samples.iter().map(|i| wells.responses()[*i as usize]));
    flags.clear();
    flags.resize(n, WellFlags::NONE);
    sides.clear();
    sides.resize(n, 0.0);
    curves.clear();
    let samples = Samples { wells: wells.wells(), members: plate.samples, response };
    dispensing::check(samples, &mut scratch.dispensing, flags, sides, curves);
    shifted_doses(plate, flags, values, &mut scratch.of_dose);
    let residual_error = residual_error(curves);
    let flagged = plate.samples.iter().zip(flags).filter(|(_, flags)| flags.any());
    let mut found: Vec<(u32, WellFlags)> = flagged.map(|(well, flags)| (*well, *flags)).collect();
    blanks(plate, values, &mut found);

    // Residuals in standard deviations of an untreated well, whatever told what the well should have read.
    residuals.clear();
    owners.clear();
    let format = edge::format(plate.range.clone().filter_map(|i| wells.position(i)));
    let mut push = |i: usize, value: f64, is_strong: bool| {
        if let Some(position) = wells.position(i) {
            residuals.push(Residual { position, value });
            owners.push((i as u32, is_strong));
        }
    };
    has_curve.clear();
    has_curve.resize(n, false);
    for c in curves.iter() {
        has_curve[c.sample] = true;
        push(plate.samples[c.sample] as usize, normalised(c), true);
    }
    let departures = || plate.told().filter(|(i, _, _)| !has_curve[*i] && sides[*i] == 0.0);
    let departure = |response: f64, other: &Elsewhere| {
        let noise = (1.0 + 1.0 / f64::from(other.n)) * (other.mean.max(0.0) + VARIANCE_OFFSET);
        (response - other.mean) / noise.sqrt()
    };
    values.clear();
    values.extend(departures().map(|(_, response, other)| departure(response, other)));
    let offset = median(values).unwrap_or(0.0);
    for (i, response, other) in departures() {
        push(plate.samples[i] as usize, departure(response, other) - offset, other.n >= ELSEWHERE_WELLS);
    }
    for i in plate.of(Role::Vehicle) {
        push(i, wells.responses()[i] - 1.0, true);
    }
    let centre = spatial::centre(residuals, &mut scratch.spatial);
    let spatial = centre.map(|centre| spatial::test(residuals, format, centre, &mut scratch.spatial));

    let one_sided = sides.iter().any(|side| *side != 0.0);
    if !one_sided && owners.iter().all(|(_, strong)| *strong) {
        let clustered = centre.map_or_else(Vec::new, |centre| spatial::clusters(residuals, centre));
        found.extend(clustered.into_iter().map(|i| (owners[i].0, WellFlags::CLUSTER)));
    } else {
        // Wells out of order count towards clusters by their side: their size is known only roughly.
        values.clear();
        values.extend(residuals.iter().map(|r| r.value.abs()));
        let far = 1e3 * MAD_SCALE * median(values).unwrap_or(0.0).max(1e-3);
        let strong = residuals.iter().zip(owners.iter()).filter(|(_, (_, strong))| *strong);
        let (mut places, mut suspects): (Vec<Residual>, Vec<u32>) = strong.map(|(r, (well, _))| (*r, *well)).unzip();
        for (well, side) in plate.samples.iter().zip(sides.iter()).filter(|(_, side)| **side != 0.0) {
            if let Some(position) = wells.position(*well as usize) {
                places.push(Residual { position, value: side * far });
                suspects.push(*well);
            }
        }
        let centre = spatial::centre(&places, &mut scratch.spatial);
        let clustered = centre.map_or_else(Vec::new, |centre| spatial::clusters(&places, centre));
        found.extend(clustered.into_iter().map(|i| (suspects[i], WellFlags::CLUSTER)));
    }
    PlateReview { residual_error, spatial: spatial.unwrap_or_default(), flags: found, ..unreviewed(plate) }
}

/// What is known of a plate whatever its responses are.
fn unreviewed(plate: &Plate<'_>) -> PlateReview {
    let wells = plate.wells.wells();
    PlateReview {
        plate: wells.plates()[plate.range.start],
        correlation: correlation(plate),
        residual_error: None,
        spatial: Spatial::default(),
        batch: plate.range.clone().find_map(|i| wells.batch(i)),
        replicate: only(plate.range.clone().map(|i| wells.replicate(i))),
        flags: Vec::new(),
    }
}

/// The name that all wells share.
fn only(mut names: impl Iterator<Item = Option<NameId>>) -> Option<NameId> {
    let first = names.next()??;
    names.all(|name| name == Some(first)).then_some(first)
}

/// A residual over the noise that its fitted viability has, for a well of viability 1.
fn normalised(c: &CurveResidual) -> f64 {
    c.inflation * c.residual / (c.fitted.max(0.0) + VARIANCE_OFFSET).sqrt()
}

/// Root mean square of the normalised residuals.
fn residual_error(curves: &[CurveResidual]) -> Option<f64> {
    if curves.len() < CURVE_RESIDUALS {
        return None;
    }
    let squares: f64 = curves.iter().map(|c| normalised(c).powi(2)).sum();
    Some((squares / curves.len() as f64).sqrt())
}

/// Flags every sample with a dose of a drug whose wells depart together from the same treatments elsewhere.
fn shifted_doses(
    plate: &Plate<'_>,
    flags: &mut [WellFlags],
    values: &mut Vec<f64>,
    of_dose: &mut Vec<((u32, u32, u64), u32)>,
) {
    values.clear();
    values.extend(plate.told().map(|(_, response, other)| response - other.mean));
    let Some(offset) = median(values) else { return };
    let all = plate.wells.wells();
    of_dose.clear();
    for (i, _, _) in plate.told() {
        let well = plate.samples[i] as usize;
        let line = all.line(well).unwrap_or(u32::MAX);
        let active = all.treatments(well).into_iter().flatten().filter(|t| t.dose > 0.0);
        of_dose.extend(active.map(|t| ((line, t.drug, t.dose.to_bits()), i as u32)));
    }
    of_dose.sort_unstable();
    let responses = plate.wells.responses();
    for dose in of_dose.chunk_by(|a, b| a.0 == b.0).filter(|dose| dose.len() >= DOSE_WELLS) {
        let departure = |i: u32| {
            let i = i as usize;
            responses[plate.samples[i] as usize] - plate.others[i].mean - offset
        };
        let n = dose.len() as f64;
        let mean = dose.iter().map(|(_, i)| departure(*i)).sum::<f64>() / n;
        let squares: f64 = dose.iter().map(|(_, i)| (departure(*i) - mean).powi(2)).sum();
        let error = (squares / (n - 1.0) / n).sqrt();
        // Of two plates nobody knows which is wrong. Where the drug alone is on more of them, those wells decide.
        let told: Vec<f64> =
            dose.iter().filter(|(_, i)| plate.others[*i as usize].plates > 1).map(|(_, i)| departure(*i)).collect();
        let is_here =
            told.is_empty() || told.iter().sum::<f64>() / told.len() as f64 * mean.signum() > 0.5 * mean.abs();
        if is_here && mean.abs() > DOSE_SHIFT && mean.abs() > DOSE_SHIFT_DEVIATIONS * error {
            dose.iter().for_each(|(_, i)| flags[*i as usize].insert(WellFlags::DOSE_SHIFTED));
        }
    }
}

/// Flags blanks that read like wells with cells: above the median blank by a quarter of the untreated viability.
fn blanks(plate: &Plate<'_>, values: &mut Vec<f64>, found: &mut Vec<(u32, WellFlags)>) {
    let responses = plate.wells.responses();
    values.clear();
    values.extend(plate.of(Role::Blank).map(|i| responses[i]));
    let Some(middle) = median(values) else { return };
    let glowing = plate.of(Role::Blank).filter(|i| responses[*i] > middle + BLANK_SIGNAL);
    found.extend(glowing.map(|i| (i as u32, WellFlags::BLANK_WITH_SIGNAL)));
}

/// Pearson correlation of a plate's samples with the same treatments elsewhere.
fn correlation(plate: &Plate<'_>) -> Option<f64> {
    let pairs = || plate.told().map(|(_, response, other)| (response, other.mean));
    let n = pairs().count();
    if n < CORRELATED_WELLS {
        return None;
    }
    let (x, y) = pairs().fold((0.0, 0.0), |(x, y), (a, b)| (x + a / n as f64, y + b / n as f64));
    let (xx, yy, xy) = pairs().fold((0.0, 0.0, 0.0), |(xx, yy, xy), (a, b)| {
        (xx + (a - x) * (a - x), yy + (b - y) * (b - y), xy + (a - x) * (b - y))
    });
    let r = xy / (xx * yy).sqrt();
    r.is_finite().then_some(r)
}
