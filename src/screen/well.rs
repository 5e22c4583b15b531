//! A well: where it lies, what is in it, what was read.

use super::names::NameId;
use std::fmt;

/// Row and column of a well, both counted from 1; `A01` is (1, 1), `AF48` (32, 48).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WellPosition {
    /// Row, from 1 (`A`) to 32 (`AF`).
    pub row: u16,
    /// Column, from 1 to 48.
    pub column: u16,
}

impl WellPosition {
    /// Reads `A1`, `A01`, `a01`, `AF48` and `A:1`; nothing beyond a 1536-well plate.
    pub fn parse(text: &str) -> Option<Self> {
        let text = text.trim();
        let letters = text.bytes().take_while(u8::is_ascii_alphabetic).count();
        let (row_text, column_text) = text.split_at(letters);
        let column_text = column_text.strip_prefix(':').unwrap_or(column_text);
        if column_text.is_empty() || !column_text.bytes().all(|b| b.is_ascii_digit()) {
            return None;
        }
        let row = match row_text.as_bytes() {
            [a] => u16::from(a.to_ascii_uppercase() - b'A') + 1,
            [a, b] => {
                (u16::from(a.to_ascii_uppercase() - b'A') + 1) * 26 + u16::from(b.to_ascii_uppercase() - b'A') + 1
            }
            _ => return None,
        };
        Self::new(row, column_text.parse().ok()?)
    }

    /// Row and column counted from 1, if a 1536-well plate has them.
    pub fn new(row: u16, column: u16) -> Option<Self> {
        ((1..=32).contains(&row) && (1..=48).contains(&column)).then_some(Self { row, column })
    }
}

/// A place that may not be known, in the size of one number; unknown comes first, then row by row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Place(u32);

impl From<Option<WellPosition>> for Place {
    #[inline]
    fn from(position: Option<WellPosition>) -> Self {
        Self(position.map_or(0, |at| u32::from(at.row) << 16 | u32::from(at.column)))
    }
}

impl Place {
    /// The position, where it is known.
    #[inline]
    pub fn position(self) -> Option<WellPosition> {
        (self.0 != 0).then_some(WellPosition { row: (self.0 >> 16) as u16, column: self.0 as u16 })
    }
}

impl fmt::Display for WellPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let row = self.row - 1;
        if row >= 26 {
            write!(f, "{}", char::from(b'A' + (row / 26 - 1) as u8))?;
        }
        write!(f, "{}{:02}", char::from(b'A' + (row % 26) as u8), self.column)
    }
}

/// What a well is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Treated cells.
    Sample,
    /// Untreated or vehicle-treated cells: viability 1 by definition.
    Vehicle,
    /// Killed cells: viability 0 for normalised percent inhibition.
    Positive,
    /// No cells: the reader's background.
    Blank,
    /// Nothing to be read; always set aside.
    Empty,
}

impl Role {
    /// Every role, in the order in which help texts list them.
    pub const ALL: [Role; 5] = [Role::Sample, Role::Vehicle, Role::Positive, Role::Blank, Role::Empty];

    /// The canonical name.
    pub fn name(self) -> &'static str {
        match self {
            Role::Sample => "sample",
            Role::Vehicle => "vehicle",
            Role::Positive => "positive",
            Role::Blank => "blank",
            Role::Empty => "empty",
        }
    }

    /// The role with this canonical name.
    pub fn parse(text: &str) -> Option<Self> {
        Role::ALL.into_iter().find(|role| role.name().eq_ignore_ascii_case(text.trim()))
    }
}

/// One drug in one well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Treatment {
    /// The drug, in [`super::Screen::drugs`].
    pub drug: NameId,
    /// Molar concentration. Zero is exact and means: named for this well, but not added.
    pub dose: f64,
}

/// One well of the screen: a row of [`super::wells::Wells`].
#[derive(Debug, Clone, Copy)]
pub struct Well {
    /// The plate, in [`super::Screen::plates`].
    pub plate: NameId,
    /// Its place on the plate; `None` where the input names none (tables of dose matrices).
    pub position: Option<WellPosition>,
    /// What it is for.
    pub role: Role,
    /// The cell line, in [`super::Screen::lines`]; blanks may have none.
    pub line: Option<NameId>,
    /// The drugs in it, in the order of the columns `drug_a`, `drug_b`, `drug_c`.
    pub treatments: [Option<Treatment>; 3],
    /// What was read: raw signal, or already a viability fraction (see [`super::Screen::orientation`]).
    pub signal: f64,
    /// The block, in [`super::Screen::blocks`], where the data name dose matrices themselves.
    pub block: Option<NameId>,
    /// The schedule (`simultaneous`, `pre-treatment`, …), in [`super::Screen::schedules`].
    pub schedule: Option<NameId>,
    /// The biological replicate, in [`super::Screen::replicates`]: wells of one are technical replicates of each other.
    pub replicate: Option<NameId>,
    /// The batch of plates, in [`super::Screen::batches`].
    pub batch: Option<NameId>,
    /// Raw signal at the time of treatment, above or at 0.
    pub signal_t0: Option<f64>,
    /// Hours from treatment to reading, above 0.
    pub time_h: Option<f64>,
}

impl Well {
    /// The drugs present at a dose above zero.
    pub fn active(self) -> impl Iterator<Item = Treatment> + Clone {
        self.named().filter(|t| t.dose > 0.0)
    }

    /// The drugs named for the well, at any dose.
    pub fn named(self) -> impl Iterator<Item = Treatment> + Clone {
        self.treatments.into_iter().flatten()
    }
}
