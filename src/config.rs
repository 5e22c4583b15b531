//! Settings: what was typed and what `screen.toml` says, resolved to concrete values and written beside the results.

use crate::model::ModelId;
use crate::synergy::{Margins, SynergyModel};
use std::path::PathBuf;

/// Which back end to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, Default)]
#[serde(rename_all = "lowercase")]
pub enum BackendChoice {
    /// A hardware GPU where there is one, else the CPU; says which and why.
    #[default]
    Auto,
    /// The CPU, f64.
    Cpu,
    /// The GPU, f32 certified in f64; an error without an adapter.
    Gpu,
}

/// How signals become viability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize, Default)]
#[serde(rename_all = "kebab-case")]
pub enum Normalization {
    /// (signal - background) / mean vehicle (above background).
    #[default]
    PercentOfVehicle,
    /// (signal - mean positive) / (mean vehicle - mean positive): 1 untreated, 0 killed.
    NormalizedPercentInhibition,
}

/// Everything that decides a result; every field concrete. What a stage needs, it takes from here.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// Input files, in the order given.
    pub inputs: Vec<PathBuf>,
    /// Where results go.
    pub out: PathBuf,
    /// The back end.
    pub backend: BackendChoice,
    /// The curve model.
    pub model: ModelId,
    /// Reference models, in the order in which tables list them.
    pub synergy: Vec<SynergyModel>,
    /// The reference model that ranks; one of `synergy`.
    pub rank_by: SynergyModel,
    /// Fitted or observed margins for HSA and Bliss.
    pub margins: Margins,
    /// Plate normalisation.
    pub normalization: Normalization,
    /// The low control of Z' and its kin: `None` takes positives, and blanks where there are none.
    pub low_control_blank: bool,
    /// The drug that the lines are resistant to.
    pub anchor: String,
    /// Resampled matrices behind each interval; 0 for none.
    pub bootstrap: usize,
    /// Seed of every random number.
    pub seed: u64,
    /// Worker threads; 0 for one a core.
    pub threads: usize,
    /// `k` of "probability to be among the best k".
    pub top_k: usize,
    /// Fold resistance from which a line is called resistant where nobody says.
    pub resistant_fold: f64,
    /// Write CSV beside Parquet.
    pub csv: bool,
}
