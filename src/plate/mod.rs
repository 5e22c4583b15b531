//! Plates: quality control and normalisation.

pub mod normalization;

use crate::screen::names::NameId;
use crate::screen::well::Well;

/// A well with its response: the input of everything after the plate stage.
#[derive(Debug, Clone, Copy)]
pub struct NormalisedWell {
    /// The well as read.
    pub well: Well,
    /// Viability as a fraction, 1 for untreated cells.
    pub response: f64,
    /// Weight in every later mean and fit, above 0; 1 unless the plate stage says otherwise.
    pub weight: f64,
}

/// A plate's verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Controls separate well.
    Good,
    /// Usable; scores from it carry a burden.
    Marginal,
    /// Not to be trusted; used, and flagged.
    Bad,
    /// Could not be normalised: every well of it is rejected.
    Unusable,
    /// Already normalised input: there are no controls to judge by.
    NotJudged,
}

impl Verdict {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::Good => "good",
            Verdict::Marginal => "marginal",
            Verdict::Bad => "bad",
            Verdict::Unusable => "unusable",
            Verdict::NotJudged => "not_judged",
        }
    }
}

/// Quality of one plate. A `None` has its cause in `reason`.
#[derive(Debug, Clone, PartialEq)]
pub struct PlateQuality {
    /// The plate, in [`crate::screen::Screen::plates`].
    pub plate: NameId,
    /// Wells present.
    pub n_wells: usize,
    /// Vehicle wells used.
    pub n_vehicle: usize,
    /// Positive-control wells used.
    pub n_positive: usize,
    /// Blank wells used.
    pub n_blank: usize,
    /// Mean of the blanks, 0 where there are none.
    pub background: f64,
    /// Mean vehicle signal above background.
    pub vehicle_mean: Option<f64>,
    /// Which low control the separation metrics use: `positive` or `blank`.
    pub low_control: Option<&'static str>,
    /// 1 - 3 (s_p + s_n) / |m_p - m_n| (Zhang 1999, doi 10.1177/108705719900400206).
    pub z_prime: Option<f64>,
    /// The same with medians and 1.4826 MAD.
    pub z_prime_robust: Option<f64>,
    /// Strictly standardised mean difference, (m_n - m_p) / sqrt(s_n² + s_p²) (Zhang 2007, doi 10.1016/j.ygeno.2007.01.002).
    pub ssmd: Option<f64>,
    /// s / m of the vehicle wells.
    pub cv_vehicle: Option<f64>,
    /// Mean vehicle over mean low control.
    pub signal_to_background: Option<f64>,
    /// Mean outer-ring over mean inner vehicle signal, minus 1.
    pub edge_effect: Option<f64>,
    /// The verdict.
    pub verdict: Verdict,
    /// Why, as codes joined by `;`; empty for a good plate.
    pub reason: String,
}
