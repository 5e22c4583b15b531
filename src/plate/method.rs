//! What a normalisation asks of wells beyond signal and controls, and the wells that cannot give it.

use super::normalization::{background_t0, controls};
use super::{Group, PlateSettings, dose_layout, reject};
use crate::backend::{PlateBatch, WellClass};
use crate::config::Normalization;
use crate::fit::inference::growth::FEWEST_DOUBLINGS;
use crate::screen::well::{Role, Well};
use crate::screen::wells::Wells;
use crate::screen::{Rejected, Screen};

const HOURS_A_DAY: f64 = 24.0;

/// Takes out of a group the wells that the normalisation chosen cannot answer for.
pub(super) fn set_aside(
    screen: &Screen,
    wells: &Wells,
    settings: PlateSettings,
    group: &mut Group,
    rejected: &mut Vec<Rejected>,
) {
    match settings.normalization {
        Normalization::BScore => unplaced(wells, settings, group, rejected),
        Normalization::GrowthRateInhibition | Normalization::Log2FoldPerDay => {
            without_growth(screen, wells, settings.normalization, group, rejected);
        }
        _ => {}
    }
}

/// B-scores: every well or none.
fn unplaced(wells: &Wells, settings: PlateSettings, group: &mut Group, rejected: &mut Vec<Rejected>) {
    let mut places: Vec<_> = group.members.iter().map(|well| wells.places()[*well as usize].position()).collect();
    places.sort_unstable();
    let why = if places.contains(&None) {
        Some(("no_position", "a B-score needs the place of every well of the plate".to_owned()))
    } else if places.windows(2).any(|pair| pair[0] == pair[1]) {
        Some(("repeated_wells", "a B-score needs one well a place".to_owned()))
    } else if settings.force_b_score {
        None
    } else {
        let samples =
            group.members.iter().map(|well| wells.get(*well as usize)).filter(|well| well.role == Role::Sample);
        dose_layout::arranged(samples).map(|why| ("structured_layout", why))
    };
    if let Some((reason, detail)) = why {
        keep(wells, group, rejected, |_| Some((reason, detail.clone())));
    }
}

/// Growth: each well by its own signal at the time of treatment or its line's doubling time.
fn without_growth(
    screen: &Screen,
    wells: &Wells,
    normalization: Normalization,
    group: &mut Group,
    rejected: &mut Vec<Rejected>,
) {
    let t0: Vec<f64> = group.members.iter().map(|index| wells.get(*index as usize).signal_t0.unwrap_or(0.0)).collect();
    let background = background_t0(&t0, &group.class);
    let means = controls(&group.signal, &group.class);
    let vehicle = means.vehicle_mean.unwrap_or(0.0) - means.background;
    let log_fold = normalization == Normalization::Log2FoldPerDay;
    keep(wells, group, rejected, |well| {
        let because = |reason: &'static str, detail: String| Some((reason, detail));
        if well.signal_t0.is_none_or(|t0| t0 <= 0.0) {
            if log_fold {
                return because("no_signal_t0", "a log-fold needs the signal at the time of treatment".to_owned());
            }
            return match growth_time(screen, normalization, well) {
                None if well.time_h.is_none() => because(
                    "no_signal_t0",
                    "neither `signal_t0`, nor `time_h` and the line's doubling time, says how untreated cells grow"
                        .to_owned(),
                ),
                None => because("no_doubling_time", "no `signal_t0`, and no doubling time of the line".to_owned()),
                Some(doublings) if doublings < FEWEST_DOUBLINGS => because(
                    "doubling_time_too_long",
                    format!("untreated cells double {doublings:.2} times in the assay, fewer than 0.67"),
                ),
                Some(_) => None,
            };
        }
        let at_beginning = well.signal_t0.unwrap_or(0.0) - background;
        if at_beginning <= 0.0 {
            return because(
                "signal_t0_not_above_background",
                format!("signal at the time of treatment is {at_beginning} above the blanks of that time"),
            );
        }
        if log_fold {
            return match growth_time(screen, normalization, well) {
                None => because("no_time", "doublings a day need `time_h`".to_owned()),
                Some(_) => None,
            };
        }
        (vehicle <= at_beginning).then(|| {
            (
                "vehicle_not_growing",
                format!("vehicle wells read {vehicle} above background, and {at_beginning} at first"),
            )
        })
    });
}

/// How long a well grew, in the terms of [`PlateBatch::growth_time`].
fn growth_time(screen: &Screen, normalization: Normalization, well: &Well) -> Option<f64> {
    match normalization {
        Normalization::Log2FoldPerDay => well.time_h.map(|hours| hours / HOURS_A_DAY),
        Normalization::GrowthRateInhibition => {
            let doubling = well.line.and_then(|line| screen.annotations.get(line as usize)?.doubling_time_h);
            well.time_h.zip(doubling).map(|(hours, doubling)| hours / doubling)
        }
        _ => None,
    }
}

/// Takes out the owned wells for which `why` has a reason; of wells that other groups answer for it takes what would
/// otherwise be normalised in vain.
fn keep(
    wells: &Wells,
    group: &mut Group,
    rejected: &mut Vec<Rejected>,
    why: impl Fn(&Well) -> Option<(&'static str, String)>,
) {
    let stays: Vec<bool> = (group.members.iter().zip(&group.owned).zip(&group.class))
        .map(|((index, owned), class)| {
            let well = wells.get(*index as usize);
            let Some((reason, detail)) = why(&well) else { return true };
            if *owned {
                rejected.push(reject(&well, reason, detail));
            }
            // Controls without an answer of their own still say what the plate's background and vehicle are.
            *class != WellClass::Other && !matches!(reason, "structured_layout" | "no_position" | "repeated_wells")
        })
        .collect();
    for (owned, (index, stays)) in group.owned.iter_mut().zip(group.members.iter().zip(&stays)) {
        *owned &= !(*stays && why(&wells.get(*index as usize)).is_some());
    }
    retain(&mut group.members, &stays);
    retain(&mut group.owned, &stays);
    retain(&mut group.signal, &stays);
    retain(&mut group.class, &stays);
}

fn retain<T>(values: &mut Vec<T>, stays: &[bool]) {
    let mut stays = stays.iter();
    values.retain(|_| stays.next().copied().unwrap_or(true));
}

/// Adds to the batch what the normalisation asks for beyond signal and class.
pub(super) fn describe(
    normalization: Normalization,
    screen: &Screen,
    wells: &Wells,
    members: &[u32],
    batch: &mut PlateBatch,
) {
    let wells = members.iter().map(|index| wells.get(*index as usize));
    match normalization {
        Normalization::BScore => {
            let place = |well: Well| well.position.map_or((0, 0), |at| (at.row - 1, at.column - 1));
            batch.place.extend(wells.map(place));
        }
        Normalization::GrowthRateInhibition | Normalization::Log2FoldPerDay => {
            for well in wells {
                batch.signal_t0.push(well.signal_t0.unwrap_or(0.0));
                batch.growth_time.push(growth_time(screen, normalization, &well).unwrap_or(0.0));
            }
        }
        _ => {}
    }
}
