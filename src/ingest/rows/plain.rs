//! The rows that most rows of a plate file are, read without detours.

use super::{Columns, RowReader, number};
use crate::screen::Rejected;
use crate::screen::rejections::Part;
use crate::screen::well::{Place, Role, Well, WellPosition};
use crate::screen::wells::Columns as WellColumns;
use arrow::array::{Array, Float64Array};

/// Places by rows and columns that are whole numbers on a plate; unknown for all others.
pub(super) fn places(rows: &Float64Array, columns: &Float64Array) -> Vec<Place> {
    // Adding this to a number below 2^51 rounds it to a whole one, which sits in the low bits of the sum.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let whole = |x: f64| {
        let shifted = x + ROUND;
        if (1.0..=48.0).contains(&x) && shifted - ROUND == x { shifted.to_bits() as u16 } else { 0 }
    };
    let mut places: Vec<Place> = (rows.values().iter().zip(columns.values()))
        .map(|(row, column)| WellPosition::new(whole(*row), whole(*column)).into())
        .collect();
    if rows.null_count() + columns.null_count() > 0 {
        let is_known = |row: usize| rows.is_valid(row) && columns.is_valid(row);
        places.iter_mut().enumerate().for_each(|(row, place)| {
            if !is_known(row) {
                *place = Place::default();
            }
        });
    }
    places
}

impl RowReader<'_> {
    /// Reads a row of the kinds that most rows are, with names that have been met: an empty well, or a control without a dose.
    /// Answers whether it was one; [`RowReader::row`] reads any row and says what is wrong with it.
    #[inline]
    pub(super) fn plain_row(
        &self,
        columns: &Columns<'_>,
        row: usize,
        used: &mut WellColumns,
        rejected: &mut Part,
    ) -> bool {
        let named_place = || self.positions.known(row).copied().flatten().flatten();
        let position = columns.places.get(row).map_or_else(named_place, |place| place.position());
        let plate = self.plates.known(row).copied().flatten();
        let role = self.roles.known(row).copied().flatten().flatten();
        let (true, Some(_), Some(plate), Some(role)) = (self.is_plain, position, plate, role) else { return false };
        match role {
            Role::Sample => false,
            Role::Empty => {
                rejected.push(Rejected { plate, well: position, reason: "empty_well", detail: String::new() });
                true
            }
            Role::Vehicle | Role::Positive | Role::Blank => {
                let line = self.lines.known(row).copied().flatten();
                let has_dose = columns.doses.iter().flatten().any(|doses| doses.is_valid(row));
                if has_dose || line.is_none() && self.header.line.is_some() {
                    return false;
                }
                let Some(signal) = number(&columns.reading, row).and_then(|reading| self.usable(reading)) else {
                    return false;
                };
                used.push(&Well {
                    plate,
                    position,
                    role,
                    line,
                    treatments: [None; 3],
                    signal,
                    block: None,
                    schedule: None,
                    replicate: None,
                    batch: None,
                    signal_t0: None,
                    time_h: None,
                });
                true
            }
        }
    }
}
