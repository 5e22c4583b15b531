//! The one final reduction: pairs ranked by their synergy in the resistant lines.

use crate::screen::names::NameId;

/// One ranked pair.
#[derive(Debug, Clone, PartialEq)]
pub struct RankedPair {
    /// The first drug (the anchor, if it is one of the two).
    pub drug_a: NameId,
    /// The second drug.
    pub drug_b: NameId,
    /// The schedule, where the screen names any.
    pub schedule: Option<NameId>,
    /// 1 for the best.
    pub rank: usize,
    /// Mean score over the resistant lines (over all lines where none is resistant), weighted by precision.
    pub score: Option<f64>,
    /// 95 % interval.
    pub ci_low: Option<f64>,
    /// 95 % interval.
    pub ci_high: Option<f64>,
    /// Two-sided p of no synergy.
    pub p: Option<f64>,
    /// Benjamini–Hochberg over the pairs.
    pub q: Option<f64>,
    /// Probability that the pair is among the best `k` (see `Settings::top_k`).
    pub p_top_k: Option<f64>,
    /// Matrices in resistant lines.
    pub n_resistant: usize,
    /// Matrices in parental or sensitive lines.
    pub n_parental: usize,
    /// Mean score in the parental or sensitive lines.
    pub score_parental: Option<f64>,
    /// Resistant minus parental.
    pub differential: Option<f64>,
    /// Its two-sided p.
    pub differential_p: Option<f64>,
    /// Benjamini–Hochberg over the pairs.
    pub differential_q: Option<f64>,
    /// `resistant_selective`, `shared`, `parental_only` or `none`.
    pub selectivity: &'static str,
    /// IC50 of the anchor alone over its IC50 with the partner, resistant lines (geometric mean); pairs with the anchor only.
    pub fold_change: Option<f64>,
    /// 1 - log fold-resistance with partner / log fold-resistance without.
    pub rescue_fraction: Option<f64>,
    /// Anchor dose alone over anchor dose in combination for half effect.
    pub dose_reduction_index: Option<f64>,
    /// Mean of the matrices' efficacies in the resistant lines.
    pub efficacy: Option<f64>,
    /// Share of the pair's wells on plates that are not good.
    pub qc_burden: f64,
    /// What the resistant lines are resistant by, joined by `;`.
    pub mechanism: String,
    /// Why this pair is worth trying, from the knowledge tables; empty where nothing is known.
    pub rationale: String,
    /// References behind the rationale.
    pub evidence: String,
    /// Codes joined by `;`: `no_resistant_line`, `no_parent`, `discordant_models`, …
    pub flags: String,
}
