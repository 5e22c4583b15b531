//! Measurements of what may make a line resistant, as read: expression of a marker by Western blot or by qRT-PCR, or a
//! fold that somebody has worked out.

use crate::screen::code::{self, Code};

/// What was read.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub enum Reading {
    /// Densitometry of a Western blot: intensities above background, in any unit, of the target's band and of the loading
    /// control's (GAPDH, beta-actin) in the same lane.
    Densitometry {
        /// The target's band.
        target: f64,
        /// The loading control's.
        loading: f64,
    },
    /// Threshold cycles of the target and of a reference gene in the same sample. Missing for a target without
    /// amplification.
    ThresholdCycles {
        /// The target's.
        target: Option<f64>,
        /// The reference gene's.
        reference: f64,
    },
    /// A fold against the parental line, already taken.
    Fold {
        /// log2 of the fold.
        log2: f64,
        /// Its standard error.
        log2_standard_error: Option<f64>,
        /// The replicates behind it.
        n: Option<u32>,
    },
    /// Nothing that can be used, and why.
    Missing(#[serde(deserialize_with = "code::read")] Code),
}

/// One row of a table of evidence.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Measurement {
    /// The cell line.
    pub line: String,
    /// The protein or gene, as the file calls it.
    pub marker: String,
    /// `western_blot`, `qrt_pcr`, or what the file calls it; `fold` where it does not say.
    pub method: String,
    /// The parental line, where the row names one.
    pub parental: Option<String>,
    /// What was measured together: the blot or the biological replicate. Empty where the file does not say.
    pub replicate: String,
    /// Loading control or reference gene. Empty where the file does not say.
    pub loading_control: String,
    /// What was read.
    pub reading: Reading,
}
