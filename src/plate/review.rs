//! What the responses say of their plates: the second look, after normalisation. Controls lie in a few places and have no
//! dose; samples lie everywhere, repeat each other on other plates, and must not rise with the dose.

use super::dispensing::{self, CurveResidual, Scratch};
use super::flags::WellFlags;
use super::quality::{CV_VEHICLE_GOOD, CV_VEHICLE_USABLE, EDGE_EFFECT_GOOD, PlateQuality, Verdict};
use super::replicates::{Elsewhere, elsewhere};
use super::spatial::{self, Effect, Residual, Spatial};
use super::spread::{MAD_SCALE, median};
use super::{NormalisedWell, PlateSettings, PlateStage, batch, edge, registration};
use crate::Result;
use crate::screen::names::NameId;
use crate::screen::well::Role;
use crate::screen::{Orientation, Screen};
use rayon::prelude::*;
use std::collections::BTreeMap;

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
    flags: Vec<WellFlags>,
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
    let has_plates = screen.orientation == Orientation::Signal || wells.iter().any(|w| w.well.position.is_some());
    if !has_plates {
        return Ok(());
    }
    if !wells.is_sorted_by_key(|w| w.well.plate) {
        wells.par_sort_by_key(|w| w.well.plate);
    }
    let (others, spreads) = elsewhere(wells);
    let mut of_plates = Vec::new();
    let mut start = 0;
    for plate in wells.chunk_by(|a, b| a.well.plate == b.well.plate) {
        of_plates.push((plate, &others[start..start + plate.len()]));
        start += plate.len();
    }
    let by_viability = settings.normalization.is_viability();
    let reviews: Vec<PlateReview> =
        of_plates
            .par_iter()
            .map_init(Scratch::default, |scratch, (wells, others)| {
                if by_viability { one(wells, others, scratch) } else { unreviewed(wells, others) }
            })
            .collect();
    let flags: Vec<WellFlags> = reviews.iter().flat_map(|r| r.flags.iter().copied()).collect();
    wells.iter_mut().zip(flags).for_each(|(w, flags)| w.flags.insert(flags));
    if by_viability {
        *plate_curves = registration::check(wells)?;
    }

    let by_plate: BTreeMap<NameId, &PlateReview> = reviews.iter().map(|r| (r.plate, r)).collect();
    let mut flagged: BTreeMap<NameId, (usize, usize, WellFlags)> = BTreeMap::new();
    for plate in wells.chunk_by(|a, b| a.well.plate == b.well.plate) {
        let seen = flagged.entry(plate[0].well.plate).or_default();
        for w in plate {
            seen.0 += usize::from(w.flags.any());
            seen.2.insert(w.flags);
        }
        seen.1 = plate.len();
    }
    for quality in plates.iter_mut() {
        let (Some(review), Some(flagged)) = (by_plate.get(&quality.plate), flagged.get(&quality.plate)) else {
            continue;
        };
        judge(quality, review, *flagged);
        if !by_viability {
            quality.note("responses_not_reviewed");
        }
    }
    let mut bad: BTreeMap<NameId, Vec<Option<NameId>>> = BTreeMap::new();
    for p in plates.iter().filter(|p| p.verdict == Verdict::Bad) {
        bad.entry(p.plate).or_default().push(p.line);
    }
    for w in wells.iter_mut().filter(|w| !bad.is_empty() || w.flags.any()) {
        // A verdict without a line is that of the whole plate, and a blank is every line's.
        let of_well = |line: &Option<NameId>| line.is_none() || w.well.line.is_none() || *line == w.well.line;
        if bad.get(&w.well.plate).is_some_and(|lines| lines.iter().any(of_well)) {
            w.flags.insert(WellFlags::PLATE_BAD);
        }
        w.weight *= w.flags.weight();
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

fn one(wells: &[NormalisedWell], others: &[Elsewhere], scratch: &mut Scratch) -> PlateReview {
    let mut flags = vec![WellFlags::NONE; wells.len()];
    let mut sides = vec![0.0; wells.len()];
    let mut curves = Vec::new();
    dispensing::check(wells, scratch, &mut flags, &mut sides, &mut curves);
    shifted_doses(wells, others, &mut flags);
    blanks(wells, &mut flags);
    let residual_error = residual_error(&curves);

    // Residuals in standard deviations of an untreated well, whatever told what the well should have read.
    let mut residuals: Vec<Residual> = Vec::new();
    let mut owners: Vec<usize> = Vec::new();
    let mut strong: Vec<bool> = Vec::new();
    let format = edge::format(wells.iter().filter_map(|w| w.well.position));
    let mut push = |i: usize, value: f64, is_strong: bool| {
        if let Some(position) = wells[i].well.position {
            residuals.push(Residual { position, value });
            owners.push(i);
            strong.push(is_strong);
        }
    };
    let mut has_curve = vec![false; wells.len()];
    for c in &curves {
        has_curve[c.well] = true;
        push(c.well, normalised(c), true);
    }
    let departures = || {
        let samples = wells.iter().zip(others).enumerate();
        samples.filter(|(i, (_, other))| other.n > 0 && !has_curve[*i] && sides[*i] == 0.0)
    };
    let departure = |w: &NormalisedWell, other: &Elsewhere| {
        let noise = (1.0 + 1.0 / f64::from(other.n)) * (other.mean.max(0.0) + VARIANCE_OFFSET);
        (w.response - other.mean) / noise.sqrt()
    };
    let mut values: Vec<f64> = departures().map(|(_, (w, other))| departure(w, other)).collect();
    let offset = median(&mut values).unwrap_or(0.0);
    for (i, (w, other)) in departures() {
        push(i, departure(w, other) - offset, other.n >= ELSEWHERE_WELLS);
    }
    for (i, w) in wells.iter().enumerate().filter(|(_, w)| w.well.role == Role::Vehicle) {
        push(i, w.response - 1.0, true);
    }
    let spatial = spatial::test(&residuals, format);

    // Wells out of order count towards clusters by their side: their size is known only roughly.
    let mut values: Vec<f64> = residuals.iter().map(|r| r.value.abs()).collect();
    let far = 1e3 * MAD_SCALE * median(&mut values).unwrap_or(0.0).max(1e-3);
    let mut suspects: Vec<(Residual, usize)> =
        residuals.iter().zip(&owners).zip(&strong).filter(|(_, strong)| **strong).map(|((r, i), _)| (*r, *i)).collect();
    for (i, side) in sides.iter().enumerate().filter(|(_, side)| **side != 0.0) {
        if let Some(position) = wells[i].well.position {
            suspects.push((Residual { position, value: side * far }, i));
        }
    }
    let places: Vec<Residual> = suspects.iter().map(|(r, _)| *r).collect();
    for i in spatial::clusters(&places) {
        flags[suspects[i].1].insert(WellFlags::CLUSTER);
    }
    PlateReview { residual_error, spatial, flags, ..unreviewed(wells, others) }
}

/// What is known of a plate whatever its responses are.
fn unreviewed(wells: &[NormalisedWell], others: &[Elsewhere]) -> PlateReview {
    PlateReview {
        plate: wells.first().map_or(0, |w| w.well.plate),
        correlation: correlation(wells, others),
        residual_error: None,
        spatial: Spatial::default(),
        batch: wells.iter().find_map(|w| w.well.batch),
        replicate: only(wells.iter().map(|w| w.well.replicate)),
        flags: vec![WellFlags::NONE; wells.len()],
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

/// Flags every well with a dose of a drug whose wells depart together from the same treatments elsewhere.
fn shifted_doses(wells: &[NormalisedWell], others: &[Elsewhere], flags: &mut [WellFlags]) {
    let mut departures: Vec<f64> =
        wells.iter().zip(others).filter(|(_, o)| o.n > 0).map(|(w, o)| w.response - o.mean).collect();
    let Some(offset) = median(&mut departures) else { return };
    let mut of_dose: Vec<((u32, u32, u64), u32)> = Vec::new();
    for (i, (w, _)) in wells.iter().zip(others).enumerate().filter(|(_, (_, o))| o.n > 0) {
        let line = w.well.line.unwrap_or(u32::MAX);
        of_dose.extend(w.well.active().map(|t| ((line, t.drug, t.dose.to_bits()), i as u32)));
    }
    of_dose.sort_unstable();
    for dose in of_dose.chunk_by(|a, b| a.0 == b.0).filter(|dose| dose.len() >= DOSE_WELLS) {
        let departure = |i: u32| wells[i as usize].response - others[i as usize].mean - offset;
        let n = dose.len() as f64;
        let mean = dose.iter().map(|(_, i)| departure(*i)).sum::<f64>() / n;
        let squares: f64 = dose.iter().map(|(_, i)| (departure(*i) - mean).powi(2)).sum();
        let error = (squares / (n - 1.0) / n).sqrt();
        // Of two plates nobody knows which is wrong. Where the drug alone is on more of them, those wells decide.
        let told: Vec<f64> =
            dose.iter().filter(|(_, i)| others[*i as usize].plates > 1).map(|(_, i)| departure(*i)).collect();
        let is_here =
            told.is_empty() || told.iter().sum::<f64>() / told.len() as f64 * mean.signum() > 0.5 * mean.abs();
        if is_here && mean.abs() > DOSE_SHIFT && mean.abs() > DOSE_SHIFT_DEVIATIONS * error {
            dose.iter().for_each(|(_, i)| flags[*i as usize].insert(WellFlags::DOSE_SHIFTED));
        }
    }
}

/// Flags blanks that read like wells with cells: above the median blank by a quarter of the untreated viability.
fn blanks(wells: &[NormalisedWell], flags: &mut [WellFlags]) {
    let blank = || wells.iter().enumerate().filter(|(_, w)| w.well.role == Role::Blank);
    let mut responses: Vec<f64> = blank().map(|(_, w)| w.response).collect();
    let Some(middle) = median(&mut responses) else { return };
    for (i, _) in blank().filter(|(_, w)| w.response > middle + BLANK_SIGNAL) {
        flags[i].insert(WellFlags::BLANK_WITH_SIGNAL);
    }
}

/// Pearson correlation of a plate's samples with the same treatments elsewhere.
fn correlation(wells: &[NormalisedWell], others: &[Elsewhere]) -> Option<f64> {
    let pairs = || wells.iter().zip(others).filter(|(_, o)| o.n > 0).map(|(w, o)| (w.response, o.mean));
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
