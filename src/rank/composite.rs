//! The one number that a ranking goes by: synergy, selectivity, rescue, efficacy and quality, weighed in points of
//! excess kill.
//!
//! `composite = synergy + 0.5 selectivity + 0.05 rescue + 0.05 efficacy - 0.05 qc_burden` unless told otherwise.
//! Synergy is the pooled score (mean excess over the whole matrix), selectivity what it is above that of the reference
//! lines: both are shares of cells, and a strong pair has 0.1 to 0.2. Rescue (0: none, 1: as sensitive as the parent; cut to
//! -1..1), efficacy (share killed in the best window) and burden (share of doubtful wells) run from 0 to 1: at their weights
//! the whole way is worth a moderate synergy, so that they decide between pairs whose synergy is alike and never make a
//! leader of a pair without any.
//!
//! A part that is not known counts 0, and a flag says so.

/// What ranks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum RankBy {
    /// [`Parts::composite`].
    #[default]
    Composite,
    /// The score of one model.
    Score,
    /// The score less that of the reference lines.
    Differential,
    /// The share of the resistance that is undone.
    RescueFraction,
    /// The share of cells killed in the best window.
    Efficacy,
}

impl RankBy {
    /// Those that are no model.
    pub const MEASURES: [RankBy; 4] =
        [RankBy::Composite, RankBy::Differential, RankBy::RescueFraction, RankBy::Efficacy];

    /// The name in flags and columns.
    pub fn name(self) -> &'static str {
        match self {
            RankBy::Composite => "composite",
            RankBy::Score => "score",
            RankBy::Differential => "differential",
            RankBy::RescueFraction => "rescue_fraction",
            RankBy::Efficacy => "efficacy",
        }
    }

    /// The number of a pair that ranks it.
    pub fn value(self, pair: &super::RankedPair) -> Option<f64> {
        match self {
            RankBy::Composite => pair.composite,
            RankBy::Score => pair.score,
            RankBy::Differential => pair.differential,
            RankBy::RescueFraction => pair.rescue_fraction,
            RankBy::Efficacy => pair.peak_efficacy,
        }
    }
}

impl serde::Serialize for RankBy {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> serde::Deserialize<'de> for RankBy {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        let all = RankBy::MEASURES.into_iter().chain([RankBy::Score]);
        // Before there was a composite, the model that ranked stood here.
        Ok(all.into_iter().find(|by| by.name() == text).unwrap_or(RankBy::Score))
    }
}

/// What each part counts.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct CompositeWeights {
    /// Of the pooled score.
    pub synergy: f64,
    /// Of the score less that of the reference lines.
    pub selectivity: f64,
    /// Of the rescue fraction.
    pub rescue: f64,
    /// Of the efficacy.
    pub efficacy: f64,
    /// Taken off for the share of doubtful wells.
    pub qc_burden: f64,
}

impl Default for CompositeWeights {
    fn default() -> Self {
        Self { synergy: 1.0, selectivity: 0.5, rescue: 0.05, efficacy: 0.05, qc_burden: 0.05 }
    }
}

impl CompositeWeights {
    /// Every weight by its name.
    pub fn parts_mut(&mut self) -> [(&'static str, &mut f64); 5] {
        [
            ("synergy", &mut self.synergy),
            ("selectivity", &mut self.selectivity),
            ("rescue", &mut self.rescue),
            ("efficacy", &mut self.efficacy),
            ("qc_burden", &mut self.qc_burden),
        ]
    }
}

/// Bounds that a pair must keep to stand before those that do not.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Gates {
    /// Least score.
    pub min_score: Option<f64>,
    /// Least efficacy.
    pub min_efficacy: Option<f64>,
    /// Least rescue fraction.
    pub min_rescue_fraction: Option<f64>,
    /// Least differential.
    pub min_differential: Option<f64>,
    /// Largest q of the score.
    pub max_q: Option<f64>,
    /// Largest share of doubtful wells.
    pub max_qc_burden: Option<f64>,
}

impl Gates {
    /// Every bound by its name.
    pub fn bounds_mut(&mut self) -> [(&'static str, &mut Option<f64>); 6] {
        [
            ("min_score", &mut self.min_score),
            ("min_efficacy", &mut self.min_efficacy),
            ("min_rescue_fraction", &mut self.min_rescue_fraction),
            ("min_differential", &mut self.min_differential),
            ("max_q", &mut self.max_q),
            ("max_qc_burden", &mut self.max_qc_burden),
        ]
    }

    /// The gates that a pair does not pass, as flags. A value that is missing passes none.
    pub fn failed(&self, pair: &super::RankedPair) -> Vec<&'static str> {
        let below = |bound: Option<f64>, value: Option<f64>| {
            bound.is_some_and(|bound| value.is_none_or(|value| value.is_nan() || value < bound))
        };
        let above = |bound: Option<f64>, value: Option<f64>| {
            bound.is_some_and(|bound| value.is_none_or(|value| value.is_nan() || value > bound))
        };
        let gates = [
            ("gate_score", below(self.min_score, pair.score)),
            ("gate_efficacy", below(self.min_efficacy, pair.efficacy)),
            ("gate_rescue_fraction", below(self.min_rescue_fraction, pair.rescue_fraction)),
            ("gate_differential", below(self.min_differential, pair.differential)),
            ("gate_q", above(self.max_q, pair.q)),
            ("gate_qc_burden", above(self.max_qc_burden, Some(pair.qc_burden))),
        ];
        gates.into_iter().filter(|(_, failed)| *failed).map(|(flag, _)| flag).collect()
    }
}

/// Correlation assumed between the errors of a pair's score and of its rescue and efficacy, which are of the same wells:
/// on simulated screens it is 0.1 to 0.35.
const SAME_WELLS: f64 = 0.2;

/// What a share may be off where it is known without an error, as bounds are: half of the whole way.
pub(super) const WITHOUT_AN_ERROR: f64 = 0.5;

/// A number and its standard error.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Part {
    /// The number; `None` where it is not known.
    pub value: Option<f64>,
    /// Its standard error.
    pub standard_error: Option<f64>,
}

/// What a composite is made of.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Parts {
    /// The pooled score.
    pub synergy: Part,
    /// What the score is above that of the reference lines.
    pub selectivity: Part,
    /// The rescue fraction.
    pub rescue: Part,
    /// The efficacy.
    pub efficacy: Part,
    /// The share of doubtful wells.
    pub qc_burden: f64,
}

impl Parts {
    /// The composite with its standard error, and each part's share in it in the order of [`CompositeWeights`]; no value without a
    /// score.
    pub fn composite(&self, weights: &CompositeWeights) -> (Part, [f64; 5]) {
        let cut = |value: Option<f64>| value.unwrap_or(0.0).clamp(-1.0, 1.0);
        let shares = [
            weights.synergy * self.synergy.value.unwrap_or(0.0),
            weights.selectivity * self.selectivity.value.unwrap_or(0.0),
            weights.rescue * cut(self.rescue.value),
            weights.efficacy * cut(self.efficacy.value),
            -weights.qc_burden * self.qc_burden,
        ];
        if self.synergy.value.is_none() {
            return (Part::default(), shares);
        }
        let own = self.synergy.standard_error;
        let total = own.map(|own| {
            // The differential is the score less the references': its error is theirs and the score's.
            let own_variance = own * own;
            let of_references = self
                .selectivity
                .standard_error
                .filter(|_| self.selectivity.value.is_some())
                .map_or(0.0, |error| (error * error - own_variance).max(0.0));
            let shares_own = if self.selectivity.value.is_some() { weights.selectivity } else { 0.0 };
            let of_scores = (weights.synergy + shares_own) * own;
            let mut variance = of_scores * of_scores + weights.selectivity * weights.selectivity * of_references;
            for (part, weight) in [(&self.rescue, weights.rescue), (&self.efficacy, weights.efficacy)] {
                let of_part = part.standard_error.unwrap_or(WITHOUT_AN_ERROR).min(1.0);
                let error = part.value.map_or(0.0, |_| weight * of_part);
                variance += error * error + 2.0 * SAME_WELLS * error * of_scores;
            }
            variance.sqrt()
        });
        (Part { value: Some(shares.iter().sum()), standard_error: total }, shares)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parts_add_up_and_errors_follow_from_what_they_share() {
        let part = |value, error| Part { value: Some(value), standard_error: Some(error) };
        let parts =
            Parts { synergy: part(0.1, 0.03), selectivity: part(0.08, 0.05), qc_burden: 0.2, ..Parts::default() };
        let (composite, shares) = parts.composite(&CompositeWeights::default());
        assert!((composite.value.unwrap() - (0.1 + 0.04 - 0.01)).abs() < 1e-15, "{shares:?}");
        // R - P has 0.05 = hypot(0.03, 0.04): 1.5 R - 0.5 P has hypot(0.045, 0.02).
        assert!((composite.standard_error.unwrap() - 0.045f64.hypot(0.02)).abs() < 1e-15);
        assert_eq!(Parts::default().composite(&CompositeWeights::default()).0, Part::default());
        let wild = Parts { rescue: part(7.0, 3.0), ..parts };
        assert!(
            (wild.composite(&CompositeWeights::default()).0.value.unwrap() - composite.value.unwrap() - 0.05).abs()
                < 1e-15
        );
    }
}
