//! The one final reduction: pairs ranked by what they do in the resistant lines, and by how sure that is.

pub mod by_mechanism;
pub mod composite;
pub mod confirmation;
pub mod differential;
mod draft;
pub mod known;
mod matrix;
pub mod meta_analysis;
mod mixture;
pub mod picklist;
pub mod posterior;
mod rescue;
pub mod schedule;
pub mod screen_scale;
pub mod screen_tails;
mod significance;
mod table;

use crate::resistance::Resistance;
use crate::resistance::resensitisation::Resensitisation;
use crate::screen::Screen;
use crate::screen::dose_matrix::MatrixKey;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::screen::triple_matrix::TripleKey;
use crate::synergy::noise::hash_of_names;
use crate::synergy::three::TripleMatrixScore;
use crate::synergy::{MatrixScore, SynergyModel};
use composite::{CompositeWeights, Gates, Part, RankBy};
use differential::{Differential, differentials};
use draft::{Draft, draft};
use matrix::{Combination, RankedMatrix};
use meta_analysis::{Errors, NORMAL_975};
use posterior::{Contender, places};
use schedule::ScheduleComparison;
use std::collections::BTreeMap;
pub use table::table;

/// A q below this is a discovery.
pub const DISCOVERY_Q: f64 = 0.05;

/// One ranked pair.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RankedPair {
    /// The first drug (the anchor, if it is one of the two).
    pub drug_a: NameId,
    /// The second drug.
    pub drug_b: NameId,
    /// The third drug, where there is one.
    pub drug_c: Option<NameId>,
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
    /// What the third drug kills beyond the best of the three pairs at the same doses, mean over the resistant lines.
    pub added_by_third: Option<f64>,
    /// 95 % interval.
    pub added_ci_low: Option<f64>,
    /// 95 % interval.
    pub added_ci_high: Option<f64>,
    /// Standard deviation between the lines' true scores (DerSimonian–Laird); `None` for a single line.
    pub tau: Option<f64>,
    /// Share of the scatter between lines that is not noise.
    pub i_squared: Option<f64>,
    /// p of no difference between the lines.
    pub heterogeneity_p: Option<f64>,
    /// Lowest score that is left without one of the lines; `None` for a single line.
    pub leave_one_out_low: Option<f64>,
    /// Highest such score.
    pub leave_one_out_high: Option<f64>,
    /// The line without which the score is lowest.
    pub leave_one_out_line: Option<NameId>,
    /// Synergy, selectivity, rescue, efficacy and quality in one number ([`composite`]).
    pub composite: Option<f64>,
    /// 95 % interval; its lower end ranks.
    pub composite_ci_low: Option<f64>,
    /// 95 % interval.
    pub composite_ci_high: Option<f64>,
    /// What synergy, selectivity, rescue, efficacy and quality contribute to it.
    pub composite_parts: [f64; 5],
    /// Probability that the pair is among the best `k` (see `Settings::top_k`).
    pub p_top_k: Option<f64>,
    /// The score, drawn towards those of the other pairs by its noise; `None` where its noise is not known.
    pub shrunken_score: Option<f64>,
    /// 90 % interval of the rank ([`posterior`]).
    pub rank_low: Option<usize>,
    /// 90 % interval of the rank.
    pub rank_high: Option<usize>,
    /// Pairs that follow each other and are not told apart from the first of them (one-sided 5 %) have one number, from 1.
    pub tie_group: usize,
    /// Matrices in resistant lines.
    pub n_resistant: usize,
    /// Matrices in parental or sensitive lines.
    pub n_parental: usize,
    /// Mean score in the parental or sensitive lines.
    pub score_parental: Option<f64>,
    /// Resistant minus parental, line by line, each with its parent (else with the mean of the parental and sensitive
    /// lines).
    pub differential: Option<f64>,
    /// 95 % interval.
    pub differential_ci_low: Option<f64>,
    /// 95 % interval.
    pub differential_ci_high: Option<f64>,
    /// Standard deviation between the lines' true differentials; `None` for a single line.
    pub differential_tau: Option<f64>,
    /// p of no difference between the lines in that.
    pub differential_heterogeneity_p: Option<f64>,
    /// Lowest differential that is left without one of the lines; `None` for a single line.
    pub differential_leave_one_out_low: Option<f64>,
    /// The line without which the differential is lowest.
    pub differential_leave_one_out_line: Option<NameId>,
    /// Its two-sided p.
    pub differential_p: Option<f64>,
    /// Benjamini–Hochberg over the pairs.
    pub differential_q: Option<f64>,
    /// Matrices in healthy cells.
    pub n_normal: usize,
    /// Mean score in them.
    pub score_normal: Option<f64>,
    /// Score less that of the healthy cells.
    pub over_normal: Option<f64>,
    /// 95 % interval.
    pub over_normal_ci_low: Option<f64>,
    /// 95 % interval.
    pub over_normal_ci_high: Option<f64>,
    /// Its two-sided p.
    pub over_normal_p: Option<f64>,
    /// Where the pair is synergistic (score above 0 with q below [`DISCOVERY_Q`]): `resistant_selective` in resistant
    /// lines, there significantly more than in parental ones, and in those either not significantly or less than half as
    /// much; `shared` in resistant lines otherwise; `parental_only` in parental lines alone; `none` in neither, or not to be told
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
    /// Mean kill in the windows of the best synergy, resistant lines.
    pub peak_efficacy: Option<f64>,
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
    /// Index into [`MatrixScore::scores`] of the model whose score is pooled and tested.
    pub model: usize,
    /// That model.
    pub score_model: SynergyModel,
    /// What ranks.
    pub by: RankBy,
    /// What the parts of the composite count.
    pub weights: CompositeWeights,
    /// What a pair must keep to stand before those that do not.
    pub gates: Gates,
    /// `k` of "probability to be among the best k".
    pub top_k: usize,
    /// The drug that the lines are resistant to.
    pub anchor: Option<NameId>,
    /// Seed of the draws behind `p_top_k`.
    pub seed: u64,
    /// How many draws; [`RankSettings::DRAWS`] unless there is a reason.
    pub draws: u32,
}

impl Default for RankSettings {
    fn default() -> Self {
        Self {
            model: 0,
            score_model: SynergyModel::Bliss,
            by: RankBy::default(),
            weights: CompositeWeights::default(),
            gates: Gates::default(),
            top_k: 10,
            anchor: None,
            seed: 1,
            draws: Self::DRAWS,
        }
    }
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

/// The ranking.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Ranking {
    /// The pairs, best first.
    pub pairs: Vec<RankedPair>,
    /// Each of them in each resistant line.
    pub differentials: Vec<Differential>,
    /// Combinations that were tested in several schedules.
    pub schedules: Vec<ScheduleComparison>,
    /// Factor that the screen itself puts on the standard errors of the scores ([`screen_scale`]).
    pub error_scale: f64,
}

/// What is ranked.
#[derive(Debug, Clone, Copy)]
pub struct RankInput<'a> {
    /// Scored matrices of two drugs.
    pub scores: &'a [&'a MatrixScore],
    /// Scored matrices of three drugs.
    pub triples: &'a [(TripleKey, &'a TripleMatrixScore)],
    /// What the lines are.
    pub resistances: &'a [Resistance],
    /// What partners do to the anchor's potency.
    pub resensitised: &'a [Resensitisation],
    /// Names and annotations.
    pub screen: &'a Screen,
}

/// Ranks the combinations: one row for each (drugs, schedule), best first.
///
/// The score of a pair is the mean over its resistant lines ([`meta_analysis::pool`]); the differential is that minus
/// each line's parent. Where the screen has no resistant line at all, every matrix but those of healthy
/// cells counts (`no_resistant_line`).
/// Order: pairs that
/// pass the gates first; then by the lower end of the 95 % interval of what ranks, so that a vague number does not stand
/// above a sure one; numbers without an interval after those, descending; then names; pairs without a number last, with the
/// cause among their flags. The order of the inputs makes no difference.
pub fn rank(input: &RankInput, settings: &RankSettings) -> Ranking {
    rank_with_tails(input, settings, tails(input.scores, settings))
}

/// Degrees of freedom that the tails of the matrices' own statistics leave to each ([`screen_tails`]).
fn tails(scores: &[&MatrixScore], settings: &RankSettings) -> f64 {
    let statistic = |matrix: &&MatrixScore| {
        let score = matrix.scores.get(settings.model)?;
        Some(score.score? / score.standard_error.filter(|error| *error > 0.0)?)
    };
    screen_tails::degrees_of_freedom(scores.iter().filter_map(statistic))
}

/// [`rank`] of some of a screen's lines, with the tails of the whole screen.
fn rank_with_tails(input: &RankInput, settings: &RankSettings, tails: f64) -> Ranking {
    let RankInput { scores, triples, resistances, screen, .. } = *input;
    let statuses = line_statuses(resistances, screen, settings.anchor);
    let mut lines = scores.iter().map(|s| s.key.line).chain(triples.iter().map(|(key, _)| key.line));
    let has_resistant_line = lines.any(|line| statuses.get(&line) == Some(&LineStatus::Resistant));
    let speaking = input.resensitised.iter().filter(|row| row.is_ranked);
    let resensitised: BTreeMap<(MatrixKey, Option<NameId>), &Resensitisation> =
        speaking.map(|row| ((row.key, row.second_partner.map(|(drug, _)| drug)), row)).collect();
    let of_pairs = scores
        .iter()
        .map(|matrix| RankedMatrix::of_pair(matrix, settings, tails, resensitised.get(&(matrix.key, None)).copied()));
    let of_triples = triples.iter().map(|(key, matrix)| {
        let TripleKey { block, line, drugs: [drug_a, drug_b, drug_c], schedule } = *key;
        let pair = MatrixKey { block, line, drug_a, drug_b, schedule };
        RankedMatrix::of_triple(*key, matrix, settings, tails, resensitised.get(&(pair, Some(drug_c))).copied())
    });
    let mut groups: BTreeMap<Combination, Vec<RankedMatrix>> = BTreeMap::new();
    for matrix in of_pairs.chain(of_triples) {
        groups.entry(matrix.combination).or_default().push(matrix);
    }
    let by = draft::Input { screen, settings, statuses: &statuses, has_resistant_line };
    let mut drafts: Vec<Draft> = groups.into_iter().map(|(key, matrices)| draft(&by, key, matrices)).collect();
    // Sums over pairs and equal numbers must not depend on the input's order.
    let names = |p: &RankedPair| {
        let schedule = p.schedule.map(|s| screen.schedules.name(s));
        (screen.drugs.name(p.drug_a), screen.drugs.name(p.drug_b), p.drug_c.map(|d| screen.drugs.name(d)), schedule)
    };
    drafts.sort_by(|x, y| names(&x.pair).cmp(&names(&y.pair)));
    let differentials = if has_resistant_line { differentials(&drafts, screen) } else { Vec::new() };
    let schedules = schedule::compare(&drafts);
    let error_scale = significance::test(&mut drafts, has_resistant_line);

    let mut ranked: Vec<Ranked> = drafts.iter_mut().map(|draft| ranked(draft, settings)).collect();
    let contenders: Vec<usize> = (0..drafts.len()).filter(|&i| ranked[i].part.value.is_some()).collect();
    let contender = |&i: &usize| {
        let (a, b, c, schedule) = names(&drafts[i].pair);
        let Part { value, standard_error } = ranked[i].drawn;
        Contender {
            value: value.unwrap_or(0.0),
            standard_error,
            unit: hash_of_names([Some(a), Some(b), c, schedule].into_iter()),
        }
    };
    let competing: Vec<Contender> = contenders.iter().map(contender).collect();
    // Pairs that pass the gates have the first places among themselves, the others those behind.
    let passing = contenders.iter().filter(|&&i| !ranked[i].is_gated).count();
    for (is_gated, ahead) in [(false, 0), (true, passing)] {
        let of: Vec<usize> = (0..contenders.len()).filter(|&c| ranked[contenders[c]].is_gated == is_gated).collect();
        let competing: Vec<Contender> = of.iter().map(|&c| competing[c]).collect();
        let top_k = settings.top_k.saturating_sub(ahead);
        let Some(places) = places(&competing, top_k, settings.seed, settings.draws) else { continue };
        for (i, place) in of.iter().map(|&c| contenders[c]).zip(places) {
            // Without a standard error the pair competed with its bare number: no place of its own is known.
            if ranked[i].part.standard_error.is_some() {
                drafts[i].pair.p_top_k = Some(place.p_top_k);
                drafts[i].pair.rank_low = Some(ahead + place.rank_low);
                drafts[i].pair.rank_high = Some(ahead + place.rank_high);
            }
        }
    }
    let scores: Vec<Option<(f64, Option<f64>)>> =
        drafts.iter().map(|d| d.score.map(|score| (score.mean, score.standard_error))).collect();
    for (draft, shrunken) in drafts.iter_mut().zip(posterior::shrunken(&scores)) {
        draft.pair.shrunken_score = shrunken;
    }
    let mut order: Vec<usize> = (0..drafts.len()).collect();
    order.sort_by(|&x, &y| {
        let key = |i: usize| {
            let Ranked { part, low, is_gated, .. } = ranked[i];
            let number = low.or(part.value).map(Ordered);
            (is_gated, part.value.is_none(), low.is_none(), std::cmp::Reverse(number))
        };
        key(x).cmp(&key(y)).then_with(|| names(&drafts[x].pair).cmp(&names(&drafts[y].pair)))
    });
    let mut pairs: Vec<RankedPair> = order.iter().map(|&i| drafts[i].pair.clone()).collect();
    ranked = order.iter().map(|&i| ranked[i]).collect();
    let mut first = 0;
    for i in 0..pairs.len() {
        pairs[i].rank = i + 1;
        if i > 0 && !is_tied(&ranked[first], &ranked[i]) {
            first = i;
        }
        pairs[i].tie_group = if i == 0 { 1 } else { pairs[i - 1].tie_group + usize::from(first == i) };
    }
    Ranking { pairs, differentials, schedules, error_scale }
}

/// What a pair ranks by.
#[derive(Debug, Clone, Copy)]
struct Ranked {
    /// With an error as wide as its 95 % interval.
    part: Part,
    /// With the error itself, which places are drawn by.
    drawn: Part,
    /// The lower end of its 95 % interval.
    low: Option<f64>,
    is_gated: bool,
}

/// Whether the second of two is not told from the first (one-sided 5 %).
fn is_tied(first: &Ranked, second: &Ranked) -> bool {
    const NORMAL_95: f64 = 1.644_853_626_951_472_2;
    if first.is_gated != second.is_gated {
        return false;
    }
    let (Some(a), Some(b)) = (first.part.value, second.part.value) else {
        return first.part.value.is_none() && second.part.value.is_none();
    };
    match first.part.standard_error.zip(second.part.standard_error) {
        Some((x, y)) => a - b <= NORMAL_95 * x.hypot(y),
        None => a == b,
    }
}

/// Fills in the composite, and says what ranks the pair.
fn ranked(draft: &mut Draft, settings: &RankSettings) -> Ranked {
    let parts = draft.parts(Errors::OfIntervals);
    let (composite, shares) = parts.composite(&settings.weights);
    let half_width = composite.standard_error.map(|error| NORMAL_975 * error);
    draft.pair.composite = composite.value;
    draft.pair.composite_ci_low = composite.value.zip(half_width).map(|(value, width)| value - width);
    draft.pair.composite_ci_high = composite.value.zip(half_width).map(|(value, width)| value + width);
    draft.pair.composite_parts = shares;
    if settings.by == RankBy::Composite && composite.value.is_some() {
        let missing = [
            ("composite_without_selectivity", parts.selectivity.value.is_none() && settings.weights.selectivity > 0.0),
            ("composite_without_rescue", parts.rescue.value.is_none() && settings.weights.rescue > 0.0),
            ("composite_without_efficacy", parts.efficacy.value.is_none() && settings.weights.efficacy > 0.0),
        ];
        missing.into_iter().filter(|(_, is_missing)| *is_missing).for_each(|(code, _)| draft.raise(code));
    }
    let gates = settings.gates.failed(&draft.pair);
    gates.iter().for_each(|code| draft.raise(code));
    let differential = draft.differential;
    let by = |errors| {
        let parts = draft.parts(errors);
        match settings.by {
            RankBy::Composite => parts.composite(&settings.weights).0,
            RankBy::Score => parts.synergy,
            RankBy::Differential => {
                Part { value: draft.pair.differential, standard_error: differential.and_then(|d| d.error(errors)) }
            }
            RankBy::RescueFraction => parts.rescue,
            RankBy::Efficacy => parts.efficacy,
        }
    };
    let (part, drawn) = (by(Errors::OfIntervals), by(Errors::Themselves));
    let low = match settings.by {
        RankBy::Score => draft.pair.ci_low,
        RankBy::Differential => draft.pair.differential_ci_low,
        _ => part.value.zip(part.standard_error).map(|(value, error)| value - NORMAL_975 * error),
    };
    Ranked { part, drawn, low, is_gated: !gates.is_empty() }
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
