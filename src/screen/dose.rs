//! Doses: units in, molar inside, and the matching of doses that are meant to be one.

/// Doses that differ by less than this share are one dose (dispensers and rounding disagree by 1–3 %).
pub const DOSE_TOLERANCE: f64 = 0.05;

/// A unit of concentration that needs no molar mass, or one that does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum ConcentrationUnit {
    /// Moles per litre times this factor.
    Molar(f64),
    /// Grams per litre times this factor: needs the drug's molar mass.
    MassPerVolume(f64),
}

impl ConcentrationUnit {
    /// Reads `M`, `mM`, `uM`, `µM`, `nM`, `pM`, `mg/mL`, `ug/mL`, `ng/mL`. Case matters only for `M` and `mM`.
    pub fn parse(text: &str) -> Option<Self> {
        use ConcentrationUnit::{MassPerVolume, Molar};
        let text = text.trim().trim_start_matches('\\').replace("mu", "u").replace(['µ', 'μ'], "u");
        Some(match text.as_str() {
            "M" | "mol/L" | "mol/l" => Molar(1.0),
            "mM" | "mm" => Molar(1e-3),
            "uM" | "um" | "UM" => Molar(1e-6),
            "nM" | "nm" | "NM" => Molar(1e-9),
            "pM" | "pm" | "PM" => Molar(1e-12),
            "g/L" | "mg/mL" | "mg/ml" => MassPerVolume(1.0),
            "ug/mL" | "ug/ml" | "mg/L" => MassPerVolume(1e-3),
            "ng/mL" | "ng/ml" | "ug/L" => MassPerVolume(1e-6),
            _ => return None,
        })
    }

    /// Molar concentration of `value` in this unit; `None` if a molar mass (g/mol) is needed and not given.
    pub fn to_molar(self, value: f64, molar_mass: Option<f64>) -> Option<f64> {
        match self {
            ConcentrationUnit::Molar(factor) => Some(value * factor),
            ConcentrationUnit::MassPerVolume(factor) => molar_mass.map(|mass| value * factor / mass),
        }
    }
}

/// Maps each dose of one drug to the dose it stands for: doses within [`DOSE_TOLERANCE`] of the smallest of a
/// group become the group's most frequent one (ties: the smaller). Zero stays zero. Input need not be sorted.
#[derive(Debug, Clone, Default)]
pub struct DoseLevels {
    /// (lowest dose of the group, the dose that the group stands for), ascending.
    groups: Vec<(f64, f64)>,
}

impl DoseLevels {
    /// Levels of a drug from every dose at which it was used.
    pub fn new(doses: impl IntoIterator<Item = f64>) -> Self {
        let mut bits: Vec<u64> = doses.into_iter().filter(|d| *d > 0.0 && d.is_finite()).map(f64::to_bits).collect();
        // The bits of positive numbers ascend as the numbers do, and are sorted in half the time.
        bits.sort_unstable();
        let doses: Vec<f64> = bits.into_iter().map(f64::from_bits).collect();
        let mut groups = Vec::new();
        let mut start = 0;
        while start < doses.len() {
            let low = doses[start];
            let end = start + doses[start..].partition_point(|d| *d <= low * (1.0 + DOSE_TOLERANCE));
            let (mut best, mut best_count, mut at) = (low, 0, start);
            while at < end {
                let next = at + doses[at..end].partition_point(|d| *d <= doses[at]);
                if next - at > best_count {
                    (best, best_count) = (doses[at], next - at);
                }
                at = next;
            }
            groups.push((low, best));
            start = end;
        }
        Self { groups }
    }

    /// The level that `dose` belongs to; `dose` itself if it is zero or was never seen.
    pub fn level(&self, dose: f64) -> f64 {
        let after = self.groups.partition_point(|(low, _)| *low <= dose);
        match after.checked_sub(1).map(|i| self.groups[i]) {
            Some((low, level)) if dose <= low * (1.0 + DOSE_TOLERANCE) => level,
            _ => dose,
        }
    }
}
