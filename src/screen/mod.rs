//! What a screen is: plates and wells, lines and their parents, drugs and doses, curves and dose matrices.

pub mod code;
pub mod column;
pub mod dose;
pub mod dose_matrix;
pub mod line;
pub mod measurement;
pub mod names;
pub mod quadrants;
pub mod rejections;
pub mod response;
pub mod schema;
pub mod triple_matrix;
pub mod well;
pub mod wells;

use line::LineAnnotation;
use measurement::Measurement;
use names::{NameId, Names};
use quadrants::QuadrantRow;
use rejections::Rejections;
pub use response::{Orientation, Scale};
use well::WellPosition;
use wells::Wells;

/// Why a well, or a value, could not be used: a code for tables and a sentence for people.
#[derive(Debug, Clone, PartialEq)]
pub struct Rejected {
    /// The plate, in [`Screen::plates`].
    pub plate: NameId,
    /// The well, as far as it could be read.
    pub well: Option<WellPosition>,
    /// The code, `snake_case`.
    pub reason: &'static str,
    /// What exactly was seen.
    pub detail: String,
}

/// A screen as read: every row of the input is in `wells` or in `rejected`.
#[derive(Debug, Clone, Default)]
pub struct Screen {
    /// Names of the plates.
    pub plates: Names,
    /// Names of the cell lines.
    pub lines: Names,
    /// Names of the drugs.
    pub drugs: Names,
    /// Names of dose-matrix blocks, where the input names them.
    pub blocks: Names,
    /// Names of schedules.
    pub schedules: Names,
    /// Names of biological replicates.
    pub replicates: Names,
    /// Names of batches of plates.
    pub batches: Names,
    /// What is known of each line, by its id; may be shorter than `lines`.
    pub annotations: Vec<LineAnnotation>,
    /// What was measured of the lines' mechanisms of resistance, in input order.
    pub evidence: Vec<Measurement>,
    /// Annexin V / PI quadrants, in input order.
    pub apoptosis: Vec<QuadrantRow>,
    /// Wells that can be used so far, in input order.
    pub wells: Wells,
    /// Wells that cannot, with the reason.
    pub rejected: Rejections,
    /// Rows of the input.
    pub wells_in: usize,
    /// What `Well::signal` holds: [`Orientation::Signal`] or, already a fraction, [`Orientation::Viability`].
    pub orientation: Orientation,
    /// What the user should know and no single well can be blamed for, one sentence each.
    pub warnings: Vec<String>,
}

impl Screen {
    /// The name of a schedule that a reader must be told of: any but `simultaneous`, which is what a pair means.
    pub fn unusual_schedule(&self, schedule: Option<NameId>) -> Option<&str> {
        schedule.map(|id| self.schedules.name(id)).filter(|name| !name.eq_ignore_ascii_case("simultaneous"))
    }

    /// What is known of a line; nothing, for a line that nobody spoke of.
    pub fn annotation(&self, line: NameId) -> LineAnnotation {
        self.annotations.get(line as usize).cloned().unwrap_or_default()
    }
}
