//! The one final reduction: pairs ranked by their synergy in the resistant lines.

pub mod by_mechanism;
pub mod known;
pub mod meta_analysis;
mod pair;
mod table;
pub mod top_k;

use crate::math::special::benjamini_hochberg;
use crate::resistance::Resistance;
use crate::resistance::resensitisation::Resensitisation;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::synergy::MatrixScore;
use pair::{Draft, PairKey, draft};
use std::collections::BTreeMap;
pub use table::table;
use top_k::{Contender, fnv_1a, top_k_probability};

/// A q below this is a discovery.
pub const DISCOVERY_Q: f64 = 0.05;

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
    /// Where the pair is synergistic (score above 0 with q below [`DISCOVERY_Q`]): `resistant_selective` in resistant
    /// lines and there significantly more than in parental ones; `shared` in resistant lines, without a significant
    /// difference in their favour; `parental_only` in parental lines alone; `none` in neither, or not to be told
    /// (flags `no_parental_matrix`, `no_resistant_line`, `no_standard_error`).
    pub selectivity: &'static str,
    /// IC50 of the anchor alone over its IC50 with the partner, resistant lines (geometric mean); pairs with the anchor
    /// only, each matrix at the partner dose that [`crate::resistance::resensitisation`] marks as ranked. A bound where a
    /// flag says so, as with the two below.
    pub fold_change: Option<f64>,
    /// 1 - log fold-resistance with partner / log fold-resistance without, mean over resistant lines; only for lines
    /// whose resistance is established (see [`crate::resistance::rescue`]).
    pub rescue_fraction: Option<f64>,
    /// Anchor dose alone over anchor dose in combination for half effect.
    pub dose_reduction_index: Option<f64>,
    /// Mean of the matrices' efficacies in the resistant lines.
    pub efficacy: Option<f64>,
    /// Share of the pair's wells that are flagged or on plates that are not good.
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

/// What the ranking is to go by.
#[derive(Debug, Clone, PartialEq)]
pub struct RankSettings {
    /// Index into [`MatrixScore::scores`] of the model that ranks.
    pub rank_by: usize,
    /// `k` of "probability to be among the best k".
    pub top_k: usize,
    /// The drug that the lines are resistant to.
    pub anchor: Option<NameId>,
    /// Seed of the draws behind `p_top_k`.
    pub seed: u64,
    /// How many draws; [`RankSettings::DRAWS`] unless there is a reason.
    pub draws: u32,
}

impl RankSettings {
    /// Draws that leave `p_top_k` a standard error of at most 0.012.
    pub const DRAWS: u32 = 2000;
}

/// The status of every line: as called for the anchor, else as annotated, else parental if named as a parent.
fn line_statuses(resistances: &[Resistance], screen: &Screen, anchor: Option<NameId>) -> BTreeMap<NameId, LineStatus> {
    let mut statuses = BTreeMap::new();
    for line in 0..screen.annotations.len() as NameId {
        let annotation = screen.annotation(line);
        if let Some(parent) = annotation.parental.filter(|parent| *parent != line) {
            statuses.entry(parent).or_insert(LineStatus::Parental);
        }
        if let Some(status) = annotation.status {
            statuses.insert(line, status);
        }
    }
    for resistance in resistances.iter().filter(|r| Some(r.drug) == anchor) {
        if let Some(status) = resistance.status {
            statuses.insert(resistance.line, status);
        }
    }
    statuses
}

/// Ranks the pairs: one row for each (drug a, drug b, schedule) of `scores`, best first.
///
/// The score of a pair is the mean over its matrices in resistant lines ([`meta_analysis::pool`]); the differential
/// is that minus the mean over matrices in parental or sensitive lines. Where the screen has no resistant line at all,
/// every matrix counts (`no_resistant_line`). `plate_burden` is each matrix's share of wells on plates that are not
/// good, side by side with `scores`. Order: score descending, then names; pairs without a score last, with the cause
/// among their flags. The order of the inputs makes no difference.
pub fn rank(
    scores: &[MatrixScore],
    resistances: &[Resistance],
    resensitised: &[Resensitisation],
    screen: &Screen,
    settings: &RankSettings,
    plate_burden: &[f64],
) -> Vec<RankedPair> {
    let statuses = line_statuses(resistances, screen, settings.anchor);
    let has_resistant_line = scores.iter().any(|s| statuses.get(&s.key.line) == Some(&LineStatus::Resistant));
    let resensitised = resensitised.iter().filter(|row| row.is_ranked).map(|row| (row.key, row)).collect();
    let mut groups: BTreeMap<PairKey, Vec<usize>> = BTreeMap::new();
    for (i, score) in scores.iter().enumerate() {
        let key = PairKey { drug_a: score.key.drug_a, drug_b: score.key.drug_b, schedule: score.key.schedule };
        groups.entry(key).or_default().push(i);
    }
    let input = pair::Input {
        resensitised: &resensitised,
        scores,
        screen,
        settings,
        plate_burden,
        statuses: &statuses,
        has_resistant_line,
    };
    let mut drafts: Vec<Draft> = groups.into_iter().map(|(key, matrices)| draft(&input, key, matrices)).collect();
    // Draws go to the earlier contender when equal: an order by name keeps that independent of the input's order.
    let names = |p: &RankedPair| {
        let schedule = p.schedule.map(|s| screen.schedules.name(s));
        (screen.drugs.name(p.drug_a), screen.drugs.name(p.drug_b), schedule)
    };
    drafts.sort_by(|x, y| names(&x.pair).cmp(&names(&y.pair)));

    let q = benjamini_hochberg(&drafts.iter().map(|d| d.pair.p).collect::<Vec<_>>());
    let differential_q = benjamini_hochberg(&drafts.iter().map(|d| d.pair.differential_p).collect::<Vec<_>>());
    let parental_q = benjamini_hochberg(&drafts.iter().map(|d| d.parental_p).collect::<Vec<_>>());
    for (i, draft) in drafts.iter_mut().enumerate() {
        draft.pair.q = q[i];
        draft.pair.differential_q = differential_q[i];
        draft.pair.selectivity = selectivity(draft, parental_q[i], has_resistant_line);
    }

    let scored: Vec<usize> = (0..drafts.len()).filter(|&i| drafts[i].pair.score.is_some()).collect();
    let contenders: Vec<Contender> = scored
        .iter()
        .map(|&i| {
            let (a, b, schedule) = names(&drafts[i].pair);
            let text = [a, b, schedule.unwrap_or("")].join("\u{0}");
            Contender {
                score: drafts[i].pair.score.unwrap_or(0.0),
                standard_error: drafts[i].standard_error,
                unit: fnv_1a(text.bytes()),
            }
        })
        .collect();
    if let Some(probabilities) = top_k_probability(&contenders, settings.top_k, settings.seed, settings.draws) {
        for (&i, probability) in scored.iter().zip(probabilities) {
            // Without a standard error the pair competed with its bare score: no probability of its own.
            drafts[i].pair.p_top_k = drafts[i].standard_error.map(|_| probability);
        }
    }

    let mut pairs: Vec<RankedPair> = drafts.into_iter().map(|d| d.pair).collect();
    pairs.sort_by(|x, y| {
        let descending = |p: &RankedPair| std::cmp::Reverse(p.score.map(Ordered));
        descending(x).cmp(&descending(y)).then_with(|| names(x).cmp(&names(y)))
    });
    for (i, pair) in pairs.iter_mut().enumerate() {
        pair.rank = i + 1;
    }
    pairs
}

/// A finite number in its natural order.
#[derive(PartialEq)]
struct Ordered(f64);

impl Eq for Ordered {}

impl PartialOrd for Ordered {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ordered {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.total_cmp(&other.0)
    }
}

fn selectivity(draft: &Draft, parental_q: Option<f64>, has_resistant_line: bool) -> &'static str {
    let pair = &draft.pair;
    let is_positive =
        |value: Option<f64>, q: Option<f64>| value.is_some_and(|v| v > 0.0) && q.is_some_and(|q| q < DISCOVERY_Q);
    if !has_resistant_line || pair.score.is_none() || pair.score_parental.is_none() {
        "none"
    } else if is_positive(pair.score, pair.q) {
        let selective =
            is_positive(pair.differential, pair.differential_q) && !is_positive(pair.score_parental, parental_q);
        if selective { "resistant_selective" } else { "shared" }
    } else if is_positive(pair.score_parental, parental_q) {
        "parental_only"
    } else {
        "none"
    }
}
