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
pub mod normalised;
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
use crate::screen::rejections::Rejections;
use crate::screen::well::{Place, Role, Treatment, Well};
use crate::screen::wells::{NONE, Wells};
use crate::screen::{Orientation, Rejected, Screen};
use crate::{Error, Result};
pub use batch::BatchQuality;
use flags::WellFlags;
pub use normalised::{NormalisedWell, NormalisedWells};
use quality::PlateWells;
pub use quality::{PlateQuality, Verdict};
use rayon::prelude::*;
pub use registration::PlateCurve;
use spatial_correction::SpatialOutcome;
use std::cmp::Ordering;
use std::ops::Range;
pub use table::{batches_table, flagged_table, plate_curves_table, table, wells_table};
use vehicle_noise::VehicleNoise;

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
    pub wells: NormalisedWells,
    /// Quality, by plate and line.
    pub plates: Vec<PlateQuality>,
    /// Quality of each batch, and of the screen.
    pub batches: Vec<BatchQuality>,
    /// Drugs that are alone on several plates, plate by plate.
    pub plate_curves: Vec<PlateCurve>,
    /// Wells that this stage had to set aside; those of [`Screen::rejected`] are not repeated.
    pub rejected: Rejections,
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
    let wells = in_order(&screen.wells);
    let set_aside = set_aside_by_plate(screen);
    let ranges: Vec<Range<usize>> = plate_ranges(wells.plates()).collect();
    let judge = |members: &Range<usize>| Plate::new(screen, &wells, settings, members.clone(), &set_aside);
    let plates: Vec<Plate> = ranges.par_iter().map(judge).collect();

    let mut stage = PlateStage::default();
    let mut batch = PlateBatch { offsets: vec![0], ..PlateBatch::default() };
    batch.signal.reserve(wells.len());
    batch.class.reserve(wells.len());
    // For each well of the batch the well, or [`NONE`] where another group of the batch answers for it.
    let mut owners: Vec<u32> = Vec::with_capacity(wells.len());
    let mut accepted = Accepted::new(&wells);
    for plate in plates {
        stage.rejected.extend(plate.rejected);
        for group in plate.groups {
            if group.quality.verdict != Verdict::Unusable && screen.orientation == Orientation::Signal {
                owners.extend(group.members.iter().zip(&group.owned).map(|(i, owned)| if *owned { *i } else { NONE }));
                batch.signal.extend(group.signal);
                batch.class.extend(group.class);
                method::describe(settings.normalization, screen, &wells, &group.members, &mut batch);
                batch.offsets.push(batch.signal.len());
            } else if screen.orientation != Orientation::Signal {
                for index in &group.members {
                    accepted.take(*index, wells.signals()[*index as usize], true, &mut stage.rejected);
                }
            }
            stage.plates.push(group.quality);
        }
    }
    stage.plates.extend(plates_without_wells(screen, &set_aside));
    stage.plates.sort_by_key(|quality| quality.plate);
    if batch.signal.is_empty() {
        stage.wells = accepted.into_wells();
        return Ok(stage);
    }
    let responses = normalise(settings.normalization, &batch)?;
    if responses.len() != batch.signal.len() {
        let problem = format!("{} wells went to be normalised and {} came back", batch.signal.len(), responses.len());
        return Err(Error::Screen { problem, hint: None });
    }
    accepted.reserve(responses.len());
    for (index, response) in owners.into_iter().zip(responses).filter(|(index, _)| *index != NONE) {
        if response.is_finite() {
            accepted.take(index, response, settings.normalization.is_viability(), &mut stage.rejected);
        } else {
            let well = wells.get(index as usize);
            let detail = format!("signal {} normalises to no finite number", well.signal);
            stage.rejected.push(reject(&well, "response_not_finite", detail));
        }
    }
    stage.wells = accepted.into_wells();
    Ok(stage)
}

/// Wells plate by plate and place by place: as they are where they lie so.
fn in_order(wells: &Wells) -> Wells {
    let place = |i: usize| (wells.plates()[i], wells.places()[i]);
    let compare =
        |a: usize, b: usize| place(a).cmp(&place(b)).then_with(|| by_what_is_in_it(&wells.get(a), &wells.get(b)));
    if (1..wells.len()).all(|i| compare(i - 1, i).is_le()) {
        return wells.clone();
    }
    let mut order: Vec<u32> = (0..wells.len() as u32).collect();
    order.par_sort_unstable_by(|a, b| compare(*a as usize, *b as usize));
    wells.select(&order)
}

/// Where each plate begins and ends among wells that lie plate by plate.
fn plate_ranges(plates: &[NameId]) -> impl Iterator<Item = Range<usize>> + '_ {
    let mut start = 0;
    plates.chunk_by(|a, b| a == b).map(move |plate| {
        start += plate.len();
        start - plate.len()..start
    })
}

/// Viabilities beyond these are a reader's or a file's fault, not biology: five times the untreated cells, or as far
/// below none as two screens' worth. One such well would outweigh every other of its curve.
const PLAUSIBLE: std::ops::RangeInclusive<f64> = -2.0..=5.0;

/// Wells on their way to their responses.
struct Accepted<'a> {
    wells: &'a Wells,
    members: Vec<u32>,
    response: Vec<f64>,
    flags: Vec<WellFlags>,
}

impl<'a> Accepted<'a> {
    /// None yet of `wells`.
    fn new(wells: &'a Wells) -> Self {
        Self { wells, members: Vec::new(), response: Vec::new(), flags: Vec::new() }
    }

    fn reserve(&mut self, wells: usize) {
        self.members.reserve(wells);
        self.response.reserve(wells);
        self.flags.reserve(wells);
    }

    /// Takes a well with its response, or sets it aside as impossible.
    fn take(&mut self, well: u32, response: f64, viability: bool, rejected: &mut Rejections) {
        if !viability || PLAUSIBLE.contains(&response) {
            self.members.push(well);
            self.response.push(response);
            self.flags.push(if viability { WellFlags::of_response(response) } else { WellFlags::NONE });
        } else {
            let detail = format!("a viability of {response} is outside {} to {}", PLAUSIBLE.start(), PLAUSIBLE.end());
            rejected.push(reject(&self.wells.get(well as usize), "implausible_response", detail));
        }
    }

    /// Those that were taken, which may be all there are.
    fn into_wells(self) -> NormalisedWells {
        let Self { wells, members, response, flags } = self;
        let is_all = members.len() == wells.len() && (0..).zip(&members).all(|(i, well)| i == *well);
        let wells = if is_all { wells.clone() } else { wells.select(&members) };
        NormalisedWells::new(wells, response, flags).unwrap_or_default()
    }
}

impl PlateStage {
    /// Sets aside viabilities that a correction has made impossible.
    fn judge_responses_again(&mut self) {
        let mut accepted = Accepted::new(self.wells.wells());
        for (well, response) in (0..).zip(self.wells.responses()) {
            accepted.take(well, *response, true, &mut self.rejected);
        }
        self.wells = accepted.into_wells();
    }
}

/// The wells of each plate, and of each line where a plate names several, without the blanks: indices in order. Wells must
/// lie plate by plate.
fn groups(wells: &NormalisedWells) -> Vec<Vec<usize>> {
    let line = |i: &usize| wells.wells().line(*i);
    let mut groups = Vec::new();
    let mut add = |plate: Vec<usize>| {
        let lines = lines(plate.iter().map(line));
        if lines.len() < 2 {
            groups.extend((!plate.is_empty()).then_some(plate));
        } else {
            groups.extend(lines.iter().map(|of| plate.iter().filter(|i| line(i) == *of).copied().collect::<Vec<_>>()));
        }
    };
    let has_cells = |i: &usize| wells.role(*i) != Role::Blank;
    plate_ranges(wells.wells().plates()).for_each(|plate| add(plate.filter(has_cells).collect()));
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
    /// `members` are the plate's wells, in order of place; `set_aside` counts by plate those that were before.
    fn new(screen: &Screen, wells: &Wells, settings: PlateSettings, members: Range<usize>, set_aside: &[u32]) -> Self {
        let mut rejected = Vec::new();
        let mut usable: Vec<u32> = Vec::with_capacity(members.len());
        let mut faulty = 0;
        for i in members.clone() {
            let signal = wells.signals()[i];
            if wells.roles()[i] == Role::Empty {
                let detail = "the role says that there is nothing to be read".to_owned();
                rejected.push(reject(&wells.get(i), "empty_well", detail));
            } else if !signal.is_finite() {
                faulty += 1;
                rejected.push(reject(&wells.get(i), "signal_not_finite", format!("signal {signal}")));
            } else {
                usable.push(i as u32);
            }
        }
        let Some(&plate) = wells.plates().get(members.start) else { return Self { groups: Vec::new(), rejected } };
        let n_set_aside = faulty + of_plate(set_aside, plate);
        let format = edge::format(usable.iter().filter_map(|i| wells.places()[*i as usize].position()));
        let n_on_plate = usable.len();
        let line_of = |i: &u32| wells.line(*i as usize);
        let role_of = |i: &u32| wells.roles()[*i as usize];

        let judge = |line: Option<NameId>, members: Vec<u32>| {
            let signal: Vec<f64> = members.iter().map(|i| wells.signals()[*i as usize]).collect();
            let class: Vec<WellClass> = members.iter().map(|i| class(role_of(i))).collect();
            let place: Vec<Place> = members.iter().map(|i| wells.places()[*i as usize]).collect();
            let (signal_slice, class_slice, place) = (&signal[..], &class[..], &place[..]);
            let wells = PlateWells {
                plate,
                line,
                signal: signal_slice,
                class: class_slice,
                place,
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
            Orientation::Signal => lines(usable.iter().filter(|i| role_of(i) != Role::Blank).map(line_of)),
            Orientation::Viability | Orientation::Inhibition => Vec::new(),
        };
        let mut groups: Vec<Group> = if lines.len() < 2 {
            vec![judge(only_line(usable.iter().map(line_of)), usable)]
        } else {
            let of = |line: Option<NameId>| {
                let belongs = |i: &&u32| role_of(i) == Role::Blank || line_of(i) == line;
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
                method::set_aside(screen, wells, settings, group, &mut rejected);
            }
            if group.quality.verdict == Verdict::Unusable {
                let (reason, mut detail) = why_unusable(settings, group);
                if several {
                    let line = group.quality.line.map_or("no named line", |line| screen.lines.name(line));
                    detail = format!("of several lines on the plate, {line}: {detail}");
                }
                let owned = group.members.iter().zip(&group.owned).filter(|(_, owned)| **owned);
                rejected.extend(owned.map(|(i, _)| reject(&wells.get(*i as usize), reason, detail.clone())));
            }
        }
        Self { groups, rejected }
    }
}

/// The lines whose cells are on a plate (of its wells without the blanks), each a group of its own; a single entry where
/// only one is named, because then wells that name none are of that line.
fn lines(of_wells: impl Iterator<Item = Option<NameId>>) -> Vec<Option<NameId>> {
    let mut lines: Vec<Option<NameId>> = Vec::new();
    for line in of_wells {
        // Most plates are of one line: hardly anything is left to sort.
        if lines.last() != Some(&line) {
            lines.push(line);
        }
    }
    lines.sort_unstable();
    lines.dedup();
    if lines.iter().flatten().count() < 2 {
        lines.truncate(1);
    }
    lines
}

/// The line of the wells, if they name exactly one.
fn only_line(of_wells: impl Iterator<Item = Option<NameId>>) -> Option<NameId> {
    let mut named = of_wells.flatten();
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

/// Wells of each plate that were rejected for a fault of theirs, by the number of the plate.
fn set_aside_by_plate(screen: &Screen) -> Vec<u32> {
    let mut counts = vec![0; screen.plates.len()];
    // Empty wells are no loss: nobody meant to read them.
    for (plate, _, n) in screen.rejected.counts().filter(|(_, reason, _)| !reason.contains("empty")) {
        if let Some(count) = counts.get_mut(plate as usize) {
            *count += n as u32;
        }
    }
    counts
}

fn of_plate(counts: &[u32], plate: NameId) -> usize {
    counts.get(plate as usize).map_or(0, |n| *n as usize)
}

/// Plates all of whose wells were rejected before this stage: they too get their row.
fn plates_without_wells(screen: &Screen, set_aside: &[u32]) -> Vec<PlateQuality> {
    let mut seen = vec![false; screen.plates.len()];
    for plate in screen.wells.plates() {
        if let Some(seen) = seen.get_mut(*plate as usize) {
            *seen = true;
        }
    }
    let missing = (0..screen.plates.len() as NameId).filter(|plate| !seen[*plate as usize]);
    missing.map(|plate| quality::without_wells(plate, of_plate(set_aside, plate))).collect()
}

/// Everything but plate and place that tells two wells apart: sums must not depend on the input's order.
fn by_what_is_in_it(a: &Well, b: &Well) -> Ordering {
    let treatments = |t: &[Option<Treatment>; 3]| t.map(|t| t.map(|t| (t.drug, t.dose.to_bits())));
    let names = |w: &Well| (w.line, w.role.name(), w.block, w.schedule);
    names(a)
        .cmp(&names(b))
        .then_with(|| treatments(&a.treatments).cmp(&treatments(&b.treatments)))
        .then_with(|| a.signal.total_cmp(&b.signal))
}
