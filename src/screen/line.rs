//! Cell lines, the parents they came from, and what is said of their resistance.

use super::names::NameId;

/// What the screen's owner says of a line; where nothing is said it is called from the data.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LineStatus {
    /// The line from which resistant sublines were raised.
    Parental,
    /// Resistant to the anchor drug.
    Resistant,
    /// Sensitive to the anchor drug.
    Sensitive,
    /// Healthy cells (of blood or bone marrow, fibroblasts): what a pair should spare.
    Normal,
}

impl LineStatus {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            LineStatus::Parental => "parental",
            LineStatus::Resistant => "resistant",
            LineStatus::Sensitive => "sensitive",
            LineStatus::Normal => "normal",
        }
    }

    /// The status with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [LineStatus::Parental, LineStatus::Resistant, LineStatus::Sensitive, LineStatus::Normal]
            .into_iter()
            .find(|status| status.name().eq_ignore_ascii_case(text.trim()))
    }
}

/// What is known of one cell line before its data are looked at.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct LineAnnotation {
    /// The line that a resistant subline came from.
    pub parental: Option<NameId>,
    /// Its status, where the owner says so.
    pub status: Option<LineStatus>,
    /// Why it is resistant, in the owner's words (`loss of dCK`, `ABCG2 efflux`, `MCL-1 up`, …).
    pub mechanism: Option<String>,
    /// Hours in which untreated cells double.
    pub doubling_time_h: Option<f64>,
}
