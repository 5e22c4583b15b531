//! Batches and the whole screen: controls pooled over plates, drift from plate to plate, replicates.

use super::quality::{CONTROL_WELLS_GOOD, PlateQuality, Verdict};
use super::replicates::Spreads;
use super::spread::{median, median_and_mad, moments};
use super::{NormalisedWells, PlateSettings, plate_ranges};
use crate::math::special::FTail;
use crate::screen::Orientation;
use crate::screen::code::{self, Code};
use crate::screen::names::NameId;
use crate::screen::well::Role;
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

/// Plates from which a trend over their order is looked for.
const FEWEST_PLATES: usize = 5;

/// Quality of a batch of plates, or of the screen. A `None` has its cause in `reason`.
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct BatchQuality {
    /// Whether this is the whole screen.
    pub is_screen: bool,
    /// The batch.
    pub batch: Option<NameId>,
    /// Plates (plates and lines, where plates hold several lines).
    pub n_plates: usize,
    /// Good ones among them.
    pub n_good: usize,
    /// Bad and unusable ones.
    pub n_bad: usize,
    /// Wells with a response.
    pub n_wells: usize,
    /// Wells flagged for themselves.
    pub n_flagged: usize,
    /// How controls of different plates were made comparable: `response`, or `signal_over_sample_median` where plates have too
    /// few vehicle wells to be normalised by them without making every vehicle 1. The latter is cellHTS2's
    /// `normalizePlates(scale = "multiplicative", method = "median")` (Boutros 2006, doi 10.1186/gb-2006-7-7-r66).
    #[serde(deserialize_with = "code::read")]
    pub controls_as: Code,
    /// Vehicle wells pooled.
    pub n_vehicle: usize,
    /// Low-control wells pooled.
    pub n_low_control: usize,
    /// Z' of the pooled controls.
    pub z_prime: Option<f64>,
    /// The same with medians and 1.4826 MAD: cellHTS2's `getZfactor`.
    pub z_prime_robust: Option<f64>,
    /// Strictly standardised mean difference.
    pub ssmd: Option<f64>,
    /// The same with medians and 1.4826 MAD.
    pub ssmd_robust: Option<f64>,
    /// s / m of the pooled vehicle wells.
    pub cv_vehicle: Option<f64>,
    /// Mean vehicle over mean low control.
    pub signal_to_background: Option<f64>,
    /// Slope of the natural log of the vehicle signal over the order of plates, each line about its own mean.
    pub drift_per_plate: Option<f64>,
    /// p of no drift.
    pub drift_p: Option<f64>,
    /// Median over plates of the correlation with other plates.
    pub replicate_correlation: Option<f64>,
    /// Standard deviation of technical replicates, viability; of the screen only.
    pub sd_technical: Option<f64>,
    /// Standard deviation of biological replicates beyond that; of the screen only.
    pub sd_biological: Option<f64>,
    /// p of no difference between biological replicates beyond technical noise.
    pub biological_p: Option<f64>,
    /// Codes joined by `;`.
    pub reason: String,
}

/// Pools by batch, where any is named, and over the screen (last).
pub(super) fn pool(
    wells: &NormalisedWells,
    plates: &[PlateQuality],
    spreads: &Spreads,
    orientation: Orientation,
    settings: PlateSettings,
) -> Vec<BatchQuality> {
    let batches: BTreeSet<NameId> = plates.iter().filter_map(|p| p.batch).collect();
    let scales = scales(wells, plates, orientation);
    // A plate is of one batch: wells are asked by the plate.
    let of_plates: Vec<(Option<NameId>, Range<usize>)> = plate_ranges(wells.wells().plates())
        .map(|plate| (plate.clone().find_map(|i| wells.wells().batch(i)), plate))
        .collect();
    let of = |is_in: &dyn Fn(Option<NameId>) -> bool| {
        let plates: Vec<&PlateQuality> = plates.iter().filter(|p| is_in(p.batch)).collect();
        let members = of_plates.iter().filter(|(batch, _)| is_in(*batch)).flat_map(|(_, plate)| plate.clone());
        one(wells, members, &plates, scales.as_ref(), settings)
    };
    let mut found: Vec<BatchQuality> =
        batches.iter().map(|batch| BatchQuality { batch: Some(*batch), ..of(&|b| b == Some(*batch)) }).collect();
    let mut screen = BatchQuality {
        is_screen: true,
        sd_technical: spreads.technical(),
        sd_biological: spreads.biological(),
        biological_p: spreads.p(),
        ..of(&|_| true)
    };
    if screen.sd_technical.is_none() {
        note(&mut screen.reason, "no_technical_replicates");
    }
    if screen.sd_biological.is_none() {
        note(&mut screen.reason, "no_biological_replicates");
    }
    found.push(screen);
    found
}

fn note(reason: &mut String, code: &str) {
    if !reason.is_empty() {
        reason.push(';');
    }
    reason.push_str(code);
}

/// The median raw signal of each plate's samples, where that must stand in for vehicle wells that are too few; `None`
/// where the responses are comparable as they are.
fn scales(wells: &NormalisedWells, plates: &[PlateQuality], orientation: Orientation) -> Option<BTreeMap<NameId, f64>> {
    let enough = plates.iter().filter(|p| p.n_vehicle > 0).all(|p| p.n_vehicle >= CONTROL_WELLS_GOOD);
    if enough || orientation != Orientation::Signal {
        return None;
    }
    let mut scales = BTreeMap::new();
    for plate in plate_ranges(wells.wells().plates()) {
        let (first, samples) = (plate.start, plate.filter(|i| wells.role(*i) == Role::Sample));
        let mut signals: Vec<f64> = samples.map(|i| wells.wells().signals()[i]).collect();
        if let Some(scale) = median(&mut signals).filter(|m| *m > 0.0) {
            scales.insert(wells.plate(first), scale);
        }
    }
    Some(scales)
}

fn one(
    wells: &NormalisedWells,
    members: impl Iterator<Item = usize>,
    plates: &[&PlateQuality],
    scales: Option<&BTreeMap<NameId, f64>>,
    settings: PlateSettings,
) -> BatchQuality {
    let verdict = |of: &[Verdict]| plates.iter().filter(|p| of.contains(&p.verdict)).count();
    let mut found = BatchQuality {
        n_plates: plates.len(),
        n_good: verdict(&[Verdict::Good]),
        n_bad: verdict(&[Verdict::Bad, Verdict::Unusable]),
        controls_as: if scales.is_some() { "signal_over_sample_median" } else { "response" },
        ..BatchQuality::default()
    };
    let (mut vehicle, mut positive, mut blank) = (Vec::new(), Vec::new(), Vec::new());
    for i in members {
        let flags = wells.flags()[i];
        found.n_wells += 1;
        found.n_flagged += usize::from(flags.weight() < 1.0 && flags != super::WellFlags::PLATE_BAD);
        let into = match wells.role(i) {
            Role::Vehicle => &mut vehicle,
            Role::Positive => &mut positive,
            Role::Blank => &mut blank,
            Role::Sample | Role::Empty => continue,
        };
        match scales {
            None => into.push(wells.responses()[i]),
            Some(scales) => into.extend(scales.get(&wells.plate(i)).map(|scale| wells.wells().signals()[i] / scale)),
        }
    }
    let low =
        if positive.is_empty() || settings.low_control_blank && !blank.is_empty() { &mut blank } else { &mut positive };
    separation(&mut vehicle, low, &mut found);
    drift(plates, &mut found);
    let mut correlations: Vec<f64> = plates.iter().filter_map(|p| p.replicate_correlation).collect();
    found.replicate_correlation = median(&mut correlations);
    if found.replicate_correlation.is_none() {
        note(&mut found.reason, "no_replicates");
    }
    found
}

fn separation(vehicle: &mut [f64], low: &mut [f64], found: &mut BatchQuality) {
    (found.n_vehicle, found.n_low_control) = (vehicle.len(), low.len());
    let high = moments(vehicle);
    if let Some((sd, mean)) = high.and_then(|m| Some((m.sd?, m.mean))).filter(|(_, mean)| *mean > 0.0) {
        found.cv_vehicle = Some(sd / mean);
    }
    let (Some(high), Some(bottom)) = (high, moments(low)) else {
        note(&mut found.reason, if high.is_none() { "no_vehicle_wells" } else { "no_low_control" });
        return;
    };
    if bottom.mean > 0.0 {
        found.signal_to_background = Some(high.mean / bottom.mean).filter(|r| r.is_finite());
    }
    let difference = high.mean - bottom.mean;
    let (Some(sd_high), Some(sd_low)) = (high.sd, bottom.sd) else {
        note(&mut found.reason, "one_control_well");
        return;
    };
    let finite = |value: f64| Some(value).filter(|v| v.is_finite());
    found.z_prime = finite(1.0 - 3.0 * (sd_high + sd_low) / difference.abs());
    found.ssmd = finite(difference / (sd_high * sd_high + sd_low * sd_low).sqrt());
    if let (Some((high, mad_high)), Some((bottom, mad_low))) = (median_and_mad(vehicle), median_and_mad(low))
        && mad_high > 0.0
    {
        found.z_prime_robust = finite(1.0 - 3.0 * (mad_high + mad_low) / (high - bottom).abs());
        found.ssmd_robust = finite((high - bottom) / (mad_high * mad_high + mad_low * mad_low).sqrt());
    } else {
        note(&mut found.reason, "vehicle_mad_0");
    }
}

/// Least squares of the log vehicle signal on the plate's place in the input, lines as fixed effects: a line that grows
/// faster is no drift.
fn drift(plates: &[&PlateQuality], found: &mut BatchQuality) {
    let mut of_line: BTreeMap<Option<NameId>, Vec<(f64, f64)>> = BTreeMap::new();
    for p in plates {
        if let Some(mean) = p.vehicle_mean.filter(|m| *m > 0.0) {
            of_line.entry(p.line).or_default().push((f64::from(p.plate), libm::log(mean)));
        }
    }
    let n: usize = of_line.values().map(Vec::len).sum();
    let (mut xx, mut xy, mut yy) = (0.0, 0.0, 0.0);
    for points in of_line.values() {
        let n = points.len() as f64;
        let (x_mean, y_mean) = points.iter().fold((0.0, 0.0), |(x, y), p| (x + p.0 / n, y + p.1 / n));
        for (x, y) in points {
            xx += (x - x_mean) * (x - x_mean);
            xy += (x - x_mean) * (y - y_mean);
            yy += (y - y_mean) * (y - y_mean);
        }
    }
    let freedom = n as f64 - of_line.len() as f64 - 1.0;
    let tail = FTail::new(1.0, freedom).filter(|_| n >= FEWEST_PLATES && xx > 0.0);
    let Some(tail) = tail else {
        note(&mut found.reason, "too_few_plates_for_drift");
        return;
    };
    let slope = xy / xx;
    let noise = (yy - slope * xy).max(0.0) / freedom;
    found.drift_per_plate = Some(slope);
    found.drift_p = (noise > 0.0).then(|| tail.probability_above(slope * xy / noise));
    if found.drift_p.is_none() {
        note(&mut found.reason, "vehicle_means_without_spread");
    }
}
