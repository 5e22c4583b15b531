//! Plates: quality control and normalisation, the first stage after reading.
//!
//! [`run`] takes a screen's wells plate by plate (and, where a plate holds several cell lines, line by line), judges
//! each plate by its controls and turns raw signal into viability. Every well comes out once: with a response in
//! [`PlateStage::wells`] or with a reason in [`PlateStage::rejected`].
//!
//! The responses are then reviewed (`review`): what they say of their plates that the controls cannot, and which wells
//! are doubtful. Nothing is dropped for that; a doubtful well is flagged and weighs less.

pub mod across_plates;
pub mod batch;
pub mod dispensing;
pub mod dose_layout;
pub mod edge;
pub mod flags;
pub mod median_polish;
mod method;
mod monotone;
pub mod normalization;
pub mod normalization_table;
pub mod quality;
pub mod registration;
mod replicates;
mod review;
pub mod scores;
pub mod spatial;
pub mod spatial_correction;
pub mod spread;
mod table;
pub mod vehicle_noise;

use crate::backend::{Backend, PlateBatch, WellClass};
use crate::config::{Normalization, Settings, SpatialCorrection};
use crate::screen::names::NameId;
use crate::screen::well::{Role, Treatment, Well, WellPosition};
use crate::screen::{Orientation, Rejected, Screen};
use crate::{Error, Result};
pub use batch::BatchQuality;
use flags::WellFlags;
use quality::PlateWells;
pub use quality::{PlateQuality, Verdict};
use rayon::prelude::*;
pub use registration::PlateCurve;
use spatial_correction::SpatialOutcome;
use std::cmp::Ordering;
use std::collections::HashMap;
pub use table::{batches_table, flagged_table, plate_curves_table, table, wells_table};
use vehicle_noise::VehicleNoise;

/// A well with its response: the input of everything after the plate stage.
#[derive(Debug, Clone, Copy)]
pub struct NormalisedWell {
    /// The well as read.
    pub well: Well,
    /// Viability as a fraction, 1 for untreated cells.
    pub response: f64,
    /// Weight in every later mean and fit, above 0; 1 for a well without flags.
    pub weight: f64,
    /// What is doubtful about it.
    pub flags: WellFlags,
}

/// What this stage needs of the [`Settings`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PlateSettings {
    /// How signal becomes viability.
    pub normalization: Normalization,
    /// Judge by the blanks even where there are positive controls.
    pub low_control_blank: bool,
    /// B-scores even where doses follow rows or columns.
    pub force_b_score: bool,
    /// What is done about position on the plate.
    pub spatial: SpatialCorrection,
    /// Whether scores are corrected for what a well's place reads on all plates.
    pub across_plates: bool,
}

impl From<&Settings> for PlateSettings {
    fn from(settings: &Settings) -> Self {
        Self {
            normalization: settings.normalization,
            low_control_blank: settings.low_control_blank,
            force_b_score: settings.force_b_score,
            spatial: settings.spatial,
            across_plates: settings.across_plates,
        }
    }
}

/// What comes out of the stage.
#[derive(Debug, Clone, Default)]
pub struct PlateStage {
    /// Wells with a response, controls and blanks among them: by plate, line, position.
    pub wells: Vec<NormalisedWell>,
    /// Quality, by plate and line.
    pub plates: Vec<PlateQuality>,
    /// Quality of each batch, and of the screen.
    pub batches: Vec<BatchQuality>,
    /// Drugs that are alone on several plates, plate by plate.
    pub plate_curves: Vec<PlateCurve>,
    /// Wells that this stage had to set aside; those of [`Screen::rejected`] are not repeated.
    pub rejected: Vec<Rejected>,
    /// The noise of each plate's vehicle mean; none where responses are no viabilities.
    pub vehicle_noise: Vec<VehicleNoise>,
    /// What was done about position, a plate and line; none where nothing was asked for.
    pub spatial: Vec<SpatialOutcome>,
}

/// Judges and normalises a screen.
///
/// Reasons in [`PlateStage::rejected`]: `empty_well`, `signal_not_finite`, `response_not_finite`,
/// `implausible_response`, those of
/// [`normalization::obstacle`], `controls_reversed`; for B-scores `no_position`, `repeated_wells`, `structured_layout`;
/// for growth `no_signal_t0`, `no_time`, `no_doubling_time`, `doubling_time_too_long`, `signal_t0_not_above_background`,
/// `vehicle_not_growing`.
///
/// # Errors
/// What the back end answers, or [`Error::Screen`] if it gives another number of responses than there are wells.
pub fn run(screen: &Screen, settings: PlateSettings, backend: &dyn Backend) -> Result<PlateStage> {
    let mut stage = normalised(screen, settings, |normalization, plates| backend.normalise(normalization, plates))?;
    if settings.across_plates {
        across_plates::correct(&mut stage, backend)?;
    }
    if settings.spatial != SpatialCorrection::None {
        stage.spatial = spatial_correction::correct(&mut stage, settings.spatial, backend)?;
        stage.judge_responses_again();
    }
    // After the corrections: an effect that was taken out is no reason to doubt a well.
    review::review(screen, settings, &mut stage)?;
    if settings.normalization.is_viability() {
        stage.vehicle_noise = vehicle_noise::weigh(&mut stage);
    }
    Ok(stage)
}

/// [`run`] without corrections, and with the normalising step alone in place of a back end.
pub fn run_with(
    screen: &Screen,
    settings: PlateSettings,
    normalise: impl FnOnce(Normalization, &PlateBatch) -> Result<Vec<f64>>,
) -> Result<PlateStage> {
    let mut stage = normalised(screen, settings, normalise)?;
    review::review(screen, settings, &mut stage)?;
    Ok(stage)
}

/// Plates judged by their controls and wells with their responses, before anything is said of the responses.
fn normalised(
    screen: &Screen,
    settings: PlateSettings,
    normalise: impl FnOnce(Normalization, &PlateBatch) -> Result<Vec<f64>>,
) -> Result<PlateStage> {
    if screen.orientation != Orientation::Signal && !settings.normalization.is_viability() {
        let name = settings.normalization.name();
        let problem = format!("`{name}` is made of raw signals, and these wells come as viability or inhibition");
        let hint = Some("leave it out, or give the signals".into());
        return Err(Error::Setting { key: "normalize".into(), problem, hint });
    }
    let mut order: Vec<u32> = (0..screen.wells.len() as u32).collect();
    let well = |index: u32| &screen.wells[index as usize];
    order.par_sort_unstable_by(|a, b| by_place(well(*a), well(*b)));
    let set_aside = set_aside_by_plate(screen);
    let plates: Vec<&[u32]> = order.chunk_by(|a, b| well(*a).plate == well(*b).plate).collect();
    let plates: Vec<Plate> =
        plates.par_iter().map(|members| Plate::new(screen, settings, members, &set_aside)).collect();

    let mut stage = PlateStage::default();
    let mut batch = PlateBatch { offsets: vec![0], ..PlateBatch::default() };
    let mut owners: Vec<Option<u32>> = Vec::with_capacity(order.len());
    for plate in plates {
        stage.rejected.extend(plate.rejected);
        for group in plate.groups {
            if group.quality.verdict != Verdict::Unusable && screen.orientation == Orientation::Signal {
                owners.extend(group.members.iter().zip(&group.owned).map(|(index, owned)| owned.then_some(*index)));
                batch.signal.extend(group.signal);
                batch.class.extend(group.class);
                method::describe(settings.normalization, screen, &group.members, &mut batch);
                batch.offsets.push(batch.signal.len());
            } else if screen.orientation != Orientation::Signal {
                for index in &group.members {
                    let well = *well(*index);
                    stage.accept(well, well.signal, true);
                }
            }
            stage.plates.push(group.quality);
        }
    }
    stage.plates.extend(plates_without_wells(screen, &set_aside));
    stage.plates.sort_by_key(|quality| quality.plate);
    if batch.signal.is_empty() {
        return Ok(stage);
    }
    let responses = normalise(settings.normalization, &batch)?;
    if responses.len() != batch.signal.len() {
        let problem = format!("{} wells went to be normalised and {} came back", batch.signal.len(), responses.len());
        return Err(Error::Screen { problem, hint: None });
    }
    stage.wells.reserve(responses.len());
    for (index, response) in owners.into_iter().zip(responses) {
        let Some(well) = index.map(|index| *well(index)) else { continue };
        if response.is_finite() {
            stage.accept(well, response, settings.normalization.is_viability());
        } else {
            let detail = format!("signal {} normalises to no finite number", well.signal);
            stage.rejected.push(reject(&well, "response_not_finite", detail));
        }
    }
    Ok(stage)
}

/// Viabilities beyond these are a reader's or a file's fault, not biology: five times the untreated cells, or as far
/// below none as two screens' worth. One such well would outweigh every other of its curve.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = -2.0..=5.0;

impl PlateStage {
    /// Takes a well with its response, or sets it aside as impossible.
    fn accept(&mut self, well: Well, response: f64, viability: bool) {
        if !viability || PLAUSIBLE.contains(&response) {
            let flags = if viability { WellFlags::of_response(response) } else { WellFlags::NONE };
            self.wells.push(NormalisedWell { well, response, weight: 1.0, flags });
        } else {
            let detail = format!("a viability of {response} is outside {} to {}", PLAUSIBLE.start(), PLAUSIBLE.end());
            self.rejected.push(reject(&well, "implausible_response", detail));
        }
    }

    /// The same for viabilities that a correction has changed.
    fn judge_responses_again(&mut self) {
        for NormalisedWell { well, response, .. } in std::mem::take(&mut self.wells) {
            self.accept(well, response, true);
        }
    }
}

/// The wells of each plate, and of each line where a plate names several, without the blanks: indices in order.
fn groups(wells: &[NormalisedWell]) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..wells.len()).filter(|i| wells[*i].well.role != Role::Blank).collect();
    order.sort_by_key(|i| wells[*i].well.plate);
    let mut groups = Vec::new();
    for plate in order.chunk_by(|a, b| wells[*a].well.plate == wells[*b].well.plate) {
        let of_line = |i: &usize| wells[*i].well.line;
        let lines = lines(plate.iter().map(|i| &wells[*i].well));
        if lines.len() < 2 {
            groups.push(plate.to_vec());
            continue;
        }
        groups.extend(lines.iter().map(|line| plate.iter().filter(|i| of_line(i) == *line).copied().collect()));
    }
    groups
}

/// The wells of one line on one plate, with the plate's blanks.
struct Group {
    /// Indices into [`Screen::wells`].
    members: Vec<u32>,
    /// Whether the group answers for the well: blanks serve every line of a plate and are listed once.
    owned: Vec<bool>,
    signal: Vec<f64>,
    class: Vec<WellClass>,
    quality: PlateQuality,
}

/// One plate, judged.
struct Plate {
    groups: Vec<Group>,
    rejected: Vec<Rejected>,
}

impl Plate {
    /// `members` are the plate's wells, in order of place.
    fn new(screen: &Screen, settings: PlateSettings, members: &[u32], set_aside: &HashMap<NameId, usize>) -> Self {
        let well = |index: &u32| &screen.wells[*index as usize];
        let mut rejected = Vec::new();
        let mut usable = Vec::with_capacity(members.len());
        for index in members {
            let well = well(index);
            if well.role == Role::Empty {
                rejected.push(reject(well, "empty_well", "the role says that there is nothing to be read".to_owned()));
            } else if !well.signal.is_finite() {
                rejected.push(reject(well, "signal_not_finite", format!("signal {}", well.signal)));
            } else {
                usable.push(*index);
            }
        }
        let Some(first) = members.first().map(well) else { return Self { groups: Vec::new(), rejected } };
        let faulty = rejected.iter().filter(|r| r.reason != "empty_well").count();
        let n_set_aside = faulty + set_aside.get(&first.plate).copied().unwrap_or(0);
        let format = edge::format(usable.iter().filter_map(|index| well(index).position));

        let judge = |line: Option<NameId>, members: Vec<u32>| {
            let signal: Vec<f64> = members.iter().map(|index| well(index).signal).collect();
            let class: Vec<WellClass> = members.iter().map(|index| class(well(index).role)).collect();
            let position: Vec<Option<WellPosition>> = members.iter().map(|index| well(index).position).collect();
            let (signal_slice, class_slice, position) = (&signal[..], &class[..], &position[..]);
            let n_on_plate = usable.len();
            let wells = PlateWells {
                plate: first.plate,
                line,
                signal: signal_slice,
                class: class_slice,
                position,
                format,
                n_on_plate,
                n_set_aside,
            };
            let quality = match screen.orientation {
                Orientation::Signal => quality::judge(settings, wells),
                Orientation::Viability | Orientation::Inhibition => quality::already_normalised(wells),
            };
            Group { owned: vec![true; members.len()], members, signal, class, quality }
        };
        // Viabilities have no controls to share: one entry a plate is enough.
        let lines = match screen.orientation {
            Orientation::Signal => lines(usable.iter().map(well)),
            Orientation::Viability | Orientation::Inhibition => Vec::new(),
        };
        let mut groups: Vec<Group> = if lines.len() < 2 {
            vec![judge(only_line(usable.iter().map(well)), usable.clone())]
        } else {
            let of = |line: Option<NameId>| {
                let belongs = |index: &&u32| well(index).role == Role::Blank || well(index).line == line;
                judge(line, usable.iter().filter(belongs).copied().collect())
            };
            lines.iter().map(|line| of(*line)).collect()
        };
        let several = groups.len() > 1;
        let owner = groups.iter().position(|g| g.quality.verdict != Verdict::Unusable).unwrap_or(0);
        for (number, group) in groups.iter_mut().enumerate() {
            if number != owner {
                group.owned = group.class.iter().map(|class| *class != WellClass::Blank).collect();
            }
            if screen.orientation == Orientation::Signal && group.quality.verdict != Verdict::Unusable {
                method::set_aside(screen, settings, group, &mut rejected);
            }
            if group.quality.verdict == Verdict::Unusable {
                let (reason, mut detail) = why_unusable(settings, group);
                if several {
                    let line = group.quality.line.map_or("no named line", |line| screen.lines.name(line));
                    detail = format!("of several lines on the plate, {line}: {detail}");
                }
                let owned = group.members.iter().zip(&group.owned).filter(|(_, owned)| **owned);
                rejected.extend(owned.map(|(index, _)| reject(well(index), reason, detail.clone())));
            }
        }
        Self { groups, rejected }
    }
}

/// The lines whose cells are on a plate, each a group of its own; a single entry where only one is named, because
/// then wells that name none are of that line.
fn lines<'a>(wells: impl Iterator<Item = &'a Well>) -> Vec<Option<NameId>> {
    let mut lines: Vec<Option<NameId>> = wells.filter(|w| w.role != Role::Blank).map(|w| w.line).collect();
    // Most plates are of one line: hardly anything is left to sort.
    lines.dedup();
    lines.sort_unstable();
    lines.dedup();
    if lines.iter().flatten().count() < 2 {
        lines.truncate(1);
    }
    lines
}

/// The line of the wells, if they name exactly one.
fn only_line<'a>(wells: impl Iterator<Item = &'a Well>) -> Option<NameId> {
    let mut named = wells.filter_map(|w| w.line);
    let first = named.next()?;
    named.all(|line| line == first).then_some(first)
}

/// The code and the sentence for every well of a group that has no usable controls.
fn why_unusable(settings: PlateSettings, group: &Group) -> (&'static str, String) {
    let controls = normalization::controls(&group.signal, &group.class);
    match normalization::obstacle(settings.normalization, &controls) {
        Some(obstacle) => (obstacle.reason, obstacle.detail),
        None => (
            quality::CONTROLS_REVERSED,
            format!(
                "mean vehicle signal {} ({} wells) lies clearly below the mean positive control {} ({} wells): the \
                 roles are swapped, or the signal is high for dead cells",
                controls.vehicle_mean.unwrap_or(0.0),
                controls.n_vehicle,
                controls.positive_mean.unwrap_or(0.0),
                controls.n_positive
            ),
        ),
    }
}

/// What a role is to normalisation.
fn class(role: Role) -> WellClass {
    match role {
        Role::Vehicle => WellClass::Vehicle,
        Role::Positive => WellClass::Positive,
        Role::Blank => WellClass::Blank,
        Role::Sample | Role::Empty => WellClass::Other,
    }
}

fn reject(well: &Well, reason: &'static str, detail: String) -> Rejected {
    Rejected { plate: well.plate, well: well.position, reason, detail }
}

/// Wells of each plate that were rejected for a fault of theirs; only ever looked up, never walked.
fn set_aside_by_plate(screen: &Screen) -> HashMap<NameId, usize> {
    let mut counts = HashMap::new();
    // Empty wells are no loss: nobody meant to read them.
    for rejected in screen.rejected.iter().filter(|r| !r.reason.contains("empty")) {
        *counts.entry(rejected.plate).or_insert(0) += 1;
    }
    counts
}

/// Plates all of whose wells were rejected before this stage: they too get their row.
fn plates_without_wells(screen: &Screen, set_aside: &HashMap<NameId, usize>) -> Vec<PlateQuality> {
    let mut seen = vec![false; screen.plates.len()];
    for well in &screen.wells {
        if let Some(seen) = seen.get_mut(well.plate as usize) {
            *seen = true;
        }
    }
    let missing = (0..screen.plates.len() as NameId).filter(|plate| !seen[*plate as usize]);
    missing.map(|plate| quality::without_wells(plate, set_aside.get(&plate).copied().unwrap_or(0))).collect()
}

/// Plate, position, and then everything else that tells two wells apart: sums must not depend on the input's order.
fn by_place(a: &Well, b: &Well) -> Ordering {
    let treatments = |t: &[Option<Treatment>; 3]| t.map(|t| t.map(|t| (t.drug, t.dose.to_bits())));
    (a.plate, a.position)
        .cmp(&(b.plate, b.position))
        .then_with(|| (a.line, a.role.name(), a.block, a.schedule).cmp(&(b.line, b.role.name(), b.block, b.schedule)))
        .then_with(|| treatments(&a.treatments).cmp(&treatments(&b.treatments)))
        .then_with(|| a.signal.total_cmp(&b.signal))
}
