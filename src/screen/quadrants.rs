//! Annexin V / PI quadrants of one sample, as read.

use crate::screen::code::{self, Code};

/// One sample of a flow cytometer.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct QuadrantRow {
    /// The cell line.
    pub line: String,
    /// The drugs, those that were given first; none for vehicle.
    pub drugs: [Option<String>; 2],
    /// Their molar doses; 0 where there is no drug.
    pub doses: [f64; 2],
    /// The schedule, where the file names any.
    pub schedule: Option<String>,
    /// The biological replicate. Empty where the file does not say.
    pub replicate: String,
    /// What was counted.
    pub quadrants: Quadrants,
}

/// The four quadrants.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Quadrants {
    /// Shares of all cells.
    Known {
        /// Annexin V and PI negative.
        viable: f64,
        /// Annexin V positive, PI negative.
        early: f64,
        /// Annexin V and PI positive.
        late: f64,
        /// PI positive alone.
        necrotic: f64,
        /// Cells counted, where that is known.
        events: Option<f64>,
    },
    /// Nothing that can be used, and why: `missing_quadrant`, `negative_quadrant`, `quadrants_do_not_add_up`,
    /// `no_events`.
    Missing(#[serde(deserialize_with = "code::read")] Code),
}
