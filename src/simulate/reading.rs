//! From the truth to what a reader would have counted.

use super::layout::{Slot, is_outer, lay_out};
use super::random::{Purpose, Stream};
use super::recipe::Recipe;
use super::{SimulatedPlate, SimulatedWell};
use crate::screen::well::{Role, WellPosition};

/// An outlier reads this share of its signal (a bubble, cells that were never added) or …
const OUTLIER_LOW: f64 = 0.15;
/// … this multiple (cells added twice).
const OUTLIER_HIGH: f64 = 2.0;
/// How much louder a noisy plate is.
const NOISY_FACTOR: f64 = 3.0;

/// Which line and pairs a plate holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct PlatePlan {
    /// Number of the plate, from 0.
    pub number: u32,
    /// The line, in [`Recipe::lines`].
    pub line: usize,
    /// The replicate, from 1.
    pub replicate: u32,
    /// The pairs, in [`Recipe::pairs`].
    pub pairs: std::ops::Range<usize>,
}

/// A plate's own departures from the ideal.
struct PlateEffects {
    gain: f64,
    edge_loss: f64,
    row_tilt: f64,
    column_tilt: f64,
    multiplicative_sd: f64,
    /// Counts of an untreated well at the reading, before gain.
    untreated: f64,
}

/// Fills and reads one plate.
pub(super) fn read_plate(recipe: &Recipe, plan: &PlatePlan) -> SimulatedPlate {
    let artefacts = &recipe.artefacts;
    let of_plate = |purpose| Stream::new(recipe.seed, plan.number, 0, purpose);
    let (signal_t0, doublings) =
        recipe.lines.get(plan.line).map_or((0.0, 0.0), |l| (l.signal_t0, recipe.time_h / l.doubling_time_h));
    let noisy = of_plate(Purpose::NoisyPlate).uniform(0) < artefacts.noisy_plates;
    let gain = libm::exp(artefacts.gain_sd * of_plate(Purpose::Gain).normal(0));
    let effects = PlateEffects {
        gain,
        edge_loss: artefacts.edge_loss * of_plate(Purpose::Edge).between(0, 1.0 / 3.0, 1.0),
        row_tilt: artefacts.tilt * of_plate(Purpose::RowTilt).between(0, -1.0, 1.0),
        column_tilt: artefacts.tilt * of_plate(Purpose::ColumnTilt).between(0, -1.0, 1.0),
        multiplicative_sd: artefacts.multiplicative_sd * if noisy { NOISY_FACTOR } else { 1.0 },
        untreated: signal_t0 * libm::exp2(doublings),
    };
    // The plate read before treatment stands beside this one under the same reader: same gain, a mean of many wells.
    let t0_noise = artefacts.multiplicative_sd / 8.0 * of_plate(Purpose::SignalT0).normal(0);
    let signal_t0 = (gain * (artefacts.background + signal_t0 * libm::exp(t0_noise))).round();

    let wells = lay_out(recipe, plan.number, plan.pairs.clone())
        .into_iter()
        .map(|slot| {
            let viability = true_viability(recipe, plan, &slot);
            let signal = count(recipe, plan.number, &effects, slot.position, viability);
            let (pair, dose_a_um, dose_b_um) = slot.sample.map_or((None, 0.0, 0.0), |s| {
                let (a, b) = nominal_doses(recipe, s.pair, s.step_a, s.step_b);
                (Some(s.pair), a, b)
            });
            SimulatedWell { position: slot.position, role: slot.role, pair, dose_a_um, dose_b_um, signal }
        })
        .collect();
    SimulatedPlate {
        plate_id: format!("P{:05}", plan.number + 1),
        line: plan.line,
        replicate: plan.replicate,
        signal_t0,
        noisy,
        wells,
    }
}

/// Doses in µM of a step of each drug; step 0 is no drug.
fn nominal_doses(recipe: &Recipe, pair: usize, step_a: usize, step_b: usize) -> (f64, f64) {
    let dose = |drug: usize, step: usize| {
        step.checked_sub(1).and_then(|i| recipe.drugs.get(drug)?.doses_um.get(i).copied()).unwrap_or(0.0)
    };
    recipe.pairs.get(pair).map_or((0.0, 0.0), |p| (dose(p.drug_a, step_a), dose(p.drug_b, step_b)))
}

/// Viability under the doses that really reached the well; `None` in wells without cells.
fn true_viability(recipe: &Recipe, plan: &PlatePlan, slot: &Slot) -> Option<f64> {
    match slot.role {
        Role::Vehicle => Some(1.0),
        Role::Positive => Some(recipe.artefacts.positive_viability),
        Role::Blank | Role::Empty => None,
        Role::Sample => {
            let sample = slot.sample?;
            let surface = recipe.surface(sample.pair, plan.line)?;
            let well = well_number(slot.position);
            let dispensed = |nominal: f64, which: u32| {
                let failed = Stream::new(recipe.seed, plan.number, well, Purpose::FailedDispense).uniform(which)
                    < recipe.artefacts.failed_dispense;
                let error = Stream::new(recipe.seed, plan.number, well, Purpose::DoseError).normal(which);
                if failed { 0.0 } else { nominal * libm::exp(recipe.artefacts.dose_sd * error) }
            };
            let (dose_a, dose_b) = nominal_doses(recipe, sample.pair, sample.step_a, sample.step_b);
            Some(surface.viability(dispensed(dose_a, 0), dispensed(dose_b, 1)))
        }
    }
}

/// What the reader counts, a whole number.
fn count(recipe: &Recipe, plate: u32, effects: &PlateEffects, position: WellPosition, viability: Option<f64>) -> f64 {
    let artefacts = &recipe.artefacts;
    let draw = |purpose| Stream::new(recipe.seed, plate, well_number(position), purpose);
    let background = artefacts.background * (1.0 + artefacts.background_sd * draw(Purpose::Background).normal(0));
    let mut cells = 0.0;
    if let Some(viability) = viability {
        let ring = if is_outer(recipe.format, position) { 1.0 - effects.edge_loss } else { 1.0 };
        // From -1 at the first row (column) to 1 at the last.
        let across = |at: u16, of: u16| 2.0 * f64::from(at - 1) / f64::from(of.max(2) - 1) - 1.0;
        let gradient = 1.0
            + effects.row_tilt * across(position.row, recipe.format.rows())
            + effects.column_tilt * across(position.column, recipe.format.columns());
        let sd = effects.multiplicative_sd;
        // The mean of a lognormal is exp(sd²/2) times its median: taken off, so that noise does not raise the signal.
        let noise = libm::exp(sd * draw(Purpose::Multiplicative).normal(0) - 0.5 * sd * sd);
        let additive = artefacts.additive_sd * draw(Purpose::Additive).normal(0);
        let outlier = draw(Purpose::Outlier).uniform(0);
        let factor = if outlier < 0.5 * artefacts.outliers {
            OUTLIER_LOW
        } else if outlier < artefacts.outliers {
            OUTLIER_HIGH
        } else {
            1.0
        };
        cells = effects.untreated * (viability * ring * gradient * noise * factor + additive);
    }
    (effects.gain * (background + cells)).round().max(0.0)
}

/// A number for a well that is the same whatever the plate's size.
fn well_number(position: WellPosition) -> u32 {
    u32::from(position.row) * 64 + u32::from(position.column)
}
