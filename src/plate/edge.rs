//! The edge effect: outer wells evaporate and warm up first, and read higher or lower than the rest of the plate.

use super::quality::{CONTROL_WELLS_GOOD, PlateWells};
use super::spread::mean;
use crate::backend::WellClass;
use crate::screen::well::WellPosition;

/// Rows and columns of the plate formats, smallest first.
const FORMATS: [(u16, u16); 3] = [(8, 12), (16, 24), (32, 48)];

/// Rows and columns of the smallest plate format that has all these wells: 96, 384 or 1536. A plate of fewer than 96
/// wells counts as 96.
pub fn format(positions: impl IntoIterator<Item = WellPosition>) -> (u16, u16) {
    let (mut row, mut column) = (0, 0);
    for position in positions {
        (row, column) = (row.max(position.row), column.max(position.column));
    }
    FORMATS.into_iter().find(|(rows, columns)| row <= *rows && column <= *columns).unwrap_or(FORMATS[2])
}

/// Mean signal of the vehicle wells in the outermost ring over that of the others, minus 1. `None` where either side
/// has fewer than [`CONTROL_WELLS_GOOD`] vehicle wells (samples are no stand-in: layouts put doses at the edge) or
/// the inner mean is not above 0.
pub fn effect(wells: &PlateWells) -> Option<f64> {
    let (rows, columns) = wells.format;
    let (mut outer, mut inner) = (Vec::new(), Vec::new());
    for ((signal, class), place) in wells.signal.iter().zip(wells.class).zip(wells.place) {
        if *class != WellClass::Vehicle {
            continue;
        }
        if let Some(at) = place.position() {
            let ring = at.row == 1 || at.column == 1 || at.row == rows || at.column == columns;
            if ring { &mut outer } else { &mut inner }.push(*signal);
        }
    }
    if outer.len() < CONTROL_WELLS_GOOD || inner.len() < CONTROL_WELLS_GOOD {
        return None;
    }
    let (outer, inner) = (mean(&outer)?, mean(&inner)?);
    (inner > 0.0).then(|| outer / inner - 1.0).filter(|effect| effect.is_finite())
}
