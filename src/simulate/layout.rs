//! Where things lie on a plate: controls scattered over four columns, samples over the rest at random.

use super::random::{Purpose, Stream};
use super::recipe::{PlateFormat, Recipe};
use crate::screen::well::{Role, WellPosition};

/// Columns that hold controls, as shares of the plate's width.
const CONTROL_COLUMNS: [f64; 4] = [0.08, 0.36, 0.64, 0.92];
/// What the 16 wells of a control column hold; each column starts at another place in the cycle.
const CONTROL_CYCLE: [Role; 16] = {
    use Role::{Blank as B, Positive as P, Vehicle as V};
    [V, P, V, V, B, V, P, V, V, P, B, V, V, P, V, B]
};

/// What a well of a plate is meant to hold.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Slot {
    /// Its place.
    pub position: WellPosition,
    /// What it is for.
    pub role: Role,
    /// The pair, and the steps of its two drugs' doses (0 for none), in sample wells.
    pub sample: Option<Sample>,
}

/// One dose pair of one pair of drugs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sample {
    /// The pair, in [`Recipe::pairs`].
    pub pair: usize,
    /// Step of the first drug: 0 for none, else 1 more than its place in the drug's doses.
    pub step_a: usize,
    /// Step of the second drug.
    pub step_b: usize,
}

/// Number of wells that can hold samples.
pub(super) fn sample_wells(format: PlateFormat) -> usize {
    format.wells() - CONTROL_COLUMNS.len() * usize::from(format.rows())
}

/// Splits the pairs into runs that fit on one plate each; every run is used with every line.
pub(super) fn pairs_by_plate(recipe: &Recipe) -> Vec<std::ops::Range<usize>> {
    let capacity = sample_wells(recipe.format);
    let steps = |drug: usize| recipe.drugs.get(drug).map_or(0, |d| d.doses_um.len()) + 1;
    let mut runs = Vec::new();
    let (mut start, mut used) = (0, 0);
    for (i, pair) in recipe.pairs.iter().enumerate() {
        let wells = steps(pair.drug_a) * steps(pair.drug_b);
        if used + wells > capacity && i > start {
            runs.push(start..i);
            (start, used) = (i, 0);
        }
        used += wells;
    }
    runs.push(start..recipe.pairs.len());
    runs
}

/// Whether a well is on the plate's outer ring.
pub(super) fn is_outer(format: PlateFormat, position: WellPosition) -> bool {
    position.row == 1 || position.row == format.rows() || position.column == 1 || position.column == format.columns()
}

/// Lays out plate number `plate` with these pairs; wells in order of row and column. Samples lie at random; the wells
/// that are left over are those of the outer ring, where evaporation is worst.
pub(super) fn lay_out(recipe: &Recipe, plate: u32, pairs: std::ops::Range<usize>) -> Vec<Slot> {
    let format = recipe.format;
    let control_columns = CONTROL_COLUMNS.map(|share| (share * f64::from(format.columns())) as u16 + 1);
    let mut slots = Vec::with_capacity(format.wells());
    let mut free = Vec::with_capacity(sample_wells(format));
    let turns = Stream::new(recipe.seed, plate, 0, Purpose::Controls);
    for row in 1..=format.rows() {
        for column in 1..=format.columns() {
            let Some(position) = WellPosition::new(row, column) else { continue };
            let role = match control_columns.iter().position(|&c| c == column) {
                Some(which) => {
                    let turn = (turns.uniform(which as u32) * CONTROL_CYCLE.len() as f64) as usize;
                    CONTROL_CYCLE[(usize::from(row) + turn) % CONTROL_CYCLE.len()]
                }
                None => {
                    free.push(slots.len());
                    Role::Empty
                }
            };
            slots.push(Slot { position, role, sample: None });
        }
    }
    // Choose the wells (inner ones first), then shuffle what goes into them.
    let shuffle = Stream::new(recipe.seed, plate, 0, Purpose::Layout);
    shuffle.shuffle(&mut free);
    free.sort_by_key(|&i| is_outer(format, slots[i].position));
    let mut samples = Vec::with_capacity(free.len());
    for pair in pairs {
        let steps = |drug: usize| 0..=recipe.drugs.get(drug).map_or(0, |d| d.doses_um.len());
        let Some(drugs) = recipe.pairs.get(pair) else { continue };
        for step_a in steps(drugs.drug_a) {
            samples.extend(steps(drugs.drug_b).map(|step_b| Sample { pair, step_a, step_b }));
        }
    }
    free.truncate(samples.len());
    Stream::new(recipe.seed, plate, 1, Purpose::Layout).shuffle(&mut free);
    for (i, sample) in free.into_iter().zip(samples) {
        slots[i].role = Role::Sample;
        slots[i].sample = Some(sample);
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(slots: &[Slot], role: Role) -> usize {
        slots.iter().filter(|slot| slot.role == role).count()
    }

    #[test]
    fn a_plate_holds_its_controls_and_every_dose_pair_once() {
        let recipe = Recipe::leukaemia_demo();
        let runs = pairs_by_plate(&recipe);
        assert_eq!(runs, [0..6, 6..12]);
        for plate in 0..8 {
            let slots = lay_out(&recipe, plate, runs[1].clone());
            assert_eq!(slots.len(), 384);
            assert_eq!([Role::Vehicle, Role::Positive, Role::Blank].map(|role| count(&slots, role)), [36, 16, 12]);
            assert_eq!(count(&slots, Role::Sample), 6 * 49);
            let mut samples: Vec<_> =
                slots.iter().filter_map(|s| s.sample).map(|s| (s.pair, s.step_a, s.step_b)).collect();
            samples.sort_unstable();
            samples.dedup();
            assert_eq!(samples.len(), 6 * 49);
            assert!(slots.iter().filter(|s| s.role == Role::Empty).all(|s| is_outer(recipe.format, s.position)));
        }
        assert_ne!(lay_out(&recipe, 0, 0..6), lay_out(&recipe, 1, 0..6), "plates are laid out differently");
    }

    #[test]
    fn large_plates_have_places_to_row_32_and_column_48() {
        let recipe = Recipe { format: PlateFormat::Wells1536, ..Recipe::leukaemia_demo() };
        assert_eq!(pairs_by_plate(&recipe).len(), 1);
        let slots = lay_out(&recipe, 0, 0..12);
        assert_eq!(slots.len(), 1536);
        assert_eq!(slots.last().map(|s| s.position.to_string()), Some("AF48".into()));
        assert_eq!(count(&slots, Role::Vehicle), 72);
        assert_eq!(count(&slots, Role::Sample), 12 * 49);
    }
}
