//! One pair's row of the ranking, as far as it can be told without the other pairs.

use super::composite::{Part, Parts};
use super::differential::{LineScore, couples};
use super::meta_analysis::{Couple, Estimate, NORMAL_975, Pooled, pool, pool_differences};
use super::{RankSettings, RankedPair};
use crate::resistance::evidence::evidence;
use crate::resistance::potency::LogRatio;
use crate::resistance::resensitisation::Resensitisation;
use crate::screen::Screen;
use crate::screen::dose_matrix::MatrixKey;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::synergy::{MatrixScore, Score};
use std::collections::BTreeMap;

/// Mean scores of two models beyond this, with opposite signs, are discordant (viability fraction).
const DISCORDANCE: f64 = 0.05;

/// Combinations in a window.
const WINDOW: f64 = 9.0;

/// What makes a pair one pair.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PairKey {
    pub drug_a: NameId,
    pub drug_b: NameId,
    pub schedule: Option<NameId>,
}

/// What a pair is drawn up from.
pub(super) struct Input<'a> {
    pub scores: &'a [MatrixScore],
    pub screen: &'a Screen,
    pub settings: &'a RankSettings,
    pub plate_burden: &'a [f64],
    pub statuses: &'a BTreeMap<NameId, LineStatus>,
    /// The row of each matrix that speaks for it.
    pub resensitised: &'a BTreeMap<MatrixKey, &'a Resensitisation>,
    pub has_resistant_line: bool,
    /// Degrees of freedom that the tails of the screen's scores leave to each ([`super::screen_tails`]).
    pub tails: f64,
}

/// A row and what the comparison with other rows needs beside it.
pub(super) struct Draft {
    pub pair: RankedPair,
    pub score: Option<Pooled>,
    pub parental: Option<Pooled>,
    pub differential: Option<Pooled>,
    /// What that is pooled from.
    pub couples: Vec<Couple>,
    pub normal: Option<Pooled>,
    /// The score less that of healthy cells.
    pub over_normal: Option<Pooled>,
    /// Scores of the lines that rank, and of those that they are compared with.
    pub lines: Vec<LineScore>,
    pub references: Vec<LineScore>,
    pub rescue: Part,
    pub peak_efficacy: Part,
}

/// Codes in the order in which they were raised, each once.
#[derive(Default)]
pub(super) struct Flags(Vec<&'static str>);

impl Flags {
    /// The codes, joined by `;`.
    pub fn joined(&self) -> String {
        self.0.join(";")
    }

    /// Notes the code where it is raised.
    pub fn raise(&mut self, code: &'static str, is_raised: bool) {
        if is_raised && !self.0.contains(&code) {
            self.0.push(code);
        }
    }
}

impl Input<'_> {
    fn status(&self, matrix: usize) -> Option<LineStatus> {
        self.statuses.get(&self.scores[matrix].key.line).copied()
    }

    /// The ranking model's scores of these matrices, pooled by line; `matrices` stand line by line.
    fn line_scores(&self, matrices: &[usize]) -> Vec<LineScore> {
        let line = |i: &usize| self.scores[*i].key.line;
        let of_line = |matrices: &[usize]| {
            let scores = matrices.iter().filter_map(|&i| self.scores[i].scores.get(self.settings.model));
            let estimate = |s: &Score| {
                let degrees_of_freedom = s.degrees_of_freedom.unwrap_or(f64::INFINITY).min(self.tails);
                let value = s.score.filter(|value| value.is_finite())?;
                Some(Estimate { value, standard_error: s.standard_error, degrees_of_freedom })
            };
            let values: Vec<Estimate> = scores.filter_map(estimate).collect();
            Some(LineScore { line: line(&matrices[0]), estimate: Estimate::of_line(pool(&values)?) })
        };
        matrices.chunk_by(|x, y| line(x) == line(y)).filter_map(of_line).collect()
    }
}

/// Draws up the row of one pair from its matrices.
pub(super) fn draft(input: &Input, key: PairKey, mut matrices: Vec<usize>) -> Draft {
    let Input { scores, screen, settings, .. } = input;
    // Sums of floats depend on their order: by names, then by the numbers themselves, whatever the input's order.
    let order = |&i: &usize| {
        let score = &scores[i];
        let own = score.scores.get(settings.model).and_then(|s| s.score).map(f64::to_bits);
        let block = score.key.block.map(|b| screen.blocks.name(b));
        (screen.lines.name(score.key.line), block, own, score.n_wells)
    };
    matrices.sort_by(|x, y| order(x).cmp(&order(y)));
    let with_status = |wanted: &[LineStatus]| -> Vec<usize> {
        matrices.iter().copied().filter(|&i| input.status(i).is_some_and(|s| wanted.contains(&s))).collect()
    };
    let resistant = with_status(&[LineStatus::Resistant]);
    let parental = with_status(&[LineStatus::Parental, LineStatus::Sensitive]);
    let normal = with_status(&[LineStatus::Normal]);
    let diseased: Vec<usize> = matrices.iter().copied().filter(|i| !normal.contains(i)).collect();
    let ranked = if input.has_resistant_line { &resistant } else { &diseased };

    let mut flags = Flags::default();
    flags.raise("no_resistant_line", !input.has_resistant_line);
    flags.raise("no_resistant_matrix", input.has_resistant_line && resistant.is_empty());
    flags.raise("no_parental_matrix", parental.is_empty());
    flags.raise("lines_without_status", matrices.iter().any(|&i| input.status(i).is_none()));
    flags.raise("same_drug", key.drug_a == key.drug_b);
    let first_line = ranked.first().map(|&i| scores[i].key.line);
    flags.raise("one_line", first_line.is_some() && ranked.iter().all(|&i| Some(scores[i].key.line) == first_line));
    for &i in ranked {
        match scores[i].scores.get(settings.model) {
            None => flags.raise("model_not_scored", true),
            Some(s) if s.score.is_none() => flags.raise(s.reason.unwrap_or("no_score"), true),
            Some(_) => {}
        }
    }

    let lines = input.line_scores(ranked);
    let references = input.line_scores(&parental);
    let estimates = |lines: &[LineScore]| lines.iter().map(|line| line.estimate).collect::<Vec<_>>();
    let pooled = pool(&estimates(&lines));
    let pooled_parental = pool(&estimates(&references));
    let couples = if input.has_resistant_line { couples(&lines, &references, screen) } else { Vec::new() };
    let differential = pool_differences(&couples);
    let pooled_normal = pool(&estimates(&input.line_scores(&normal)));
    let over_normal = over_normal(&lines, pooled_normal);
    flags.raise("no_standard_error", pooled.is_some_and(|p| p.standard_error.is_none()));
    flags.raise("spread_between_matrices_only", pooled.is_some_and(|p| !p.is_weighted && p.standard_error.is_some()));
    flags.raise("heterogeneous", pooled.is_some_and(|p| p.between_variance.sqrt() > p.mean.abs()));
    flags.raise("discordant_models", is_discordant(ranked.iter().map(|&i| &scores[i])));
    let without_reference = input.has_resistant_line && !parental.is_empty() && !lines.is_empty();
    flags.raise("no_parental_score", couples.is_empty() && without_reference);
    let lacks_parent = |line: &LineScore| {
        let parent = screen.annotation(line.line).parental.filter(|parent| *parent != line.line);
        parent.is_some_and(|parent| !references.iter().any(|reference| reference.line == parent))
    };
    flags.raise("parent_without_score", differential.is_some() && lines.iter().any(lacks_parent));
    flags.raise("no_differential_error", differential.is_some_and(|d| d.standard_error.is_none()));

    let efficacies: Vec<f64> = ranked.iter().filter_map(|&i| scores[i].efficacy).filter(|e| e.is_finite()).collect();
    flags.raise("no_efficacy", efficacies.is_empty());
    let rescue = rescue(input, key, ranked, &mut flags);
    let peak_efficacy = peak_efficacy(input, ranked);
    let mechanism = mechanisms(screen, ranked.iter().map(|&i| scores[i].key.line));
    let known = match settings.anchor.and_then(|anchor| partner(key, anchor).map(|partner| (anchor, partner))) {
        Some((anchor, partner)) => evidence(screen.drugs.name(anchor), screen.drugs.name(partner), &mechanism),
        None => Default::default(),
    };
    let pair = RankedPair {
        drug_a: key.drug_a,
        drug_b: key.drug_b,
        schedule: key.schedule,
        n_resistant: resistant.len(),
        n_parental: parental.len(),
        n_normal: normal.len(),
        selectivity: "none",
        fold_change: rescue.fold_change,
        rescue_fraction: rescue.rescue_fraction,
        dose_reduction_index: rescue.dose_reduction_index,
        efficacy: mean(&efficacies),
        peak_efficacy: peak_efficacy.value,
        qc_burden: burden(input, &matrices, &mut flags),
        mechanism,
        rationale: known.rationale,
        evidence: known.references,
        flags: flags.joined(),
        ..RankedPair::default()
    };
    Draft {
        pair,
        score: pooled,
        parental: pooled_parental,
        differential,
        couples,
        normal: pooled_normal,
        over_normal,
        lines,
        references,
        rescue: Part { value: rescue.rescue_fraction, standard_error: rescue.standard_error },
        peak_efficacy,
    }
    .with_scores()
}

impl Draft {
    /// With what of the row follows from the scores alone.
    pub fn with_scores(mut self) -> Self {
        let (score, pair) = (self.score, &mut self.pair);
        pair.score = score.map(|p| p.mean);
        pair.score_parental = self.parental.map(|p| p.mean);
        pair.differential = self.differential.map(|d| d.mean);
        pair.score_normal = self.normal.map(|p| p.mean);
        pair.over_normal = self.over_normal.map(|d| d.mean);
        let more = self.differential.filter(|d| d.cochran.is_some());
        pair.differential_tau = more.map(|d| d.between_variance.sqrt());
        pair.differential_heterogeneity_p = more.and_then(|d| d.heterogeneity_p());
        pair.tau = score.filter(|p| p.cochran.is_some()).map(|p| p.between_variance.sqrt());
        pair.i_squared = score.and_then(|p| p.i_squared());
        pair.heterogeneity_p = score.and_then(|p| p.heterogeneity_p());
        self
    }

    /// What the composite is made of; only after the standard errors have been scaled.
    pub fn parts(&self) -> Parts {
        // An interval of Student's t goes on as a normal one as wide.
        let of = |pooled: Option<Pooled>| Part {
            value: pooled.map(|p| p.mean),
            standard_error: pooled.and_then(|p| p.normal_error()),
        };
        Parts {
            synergy: of(self.score),
            // Over the parent or over healthy cells, whichever is less.
            selectivity: match (self.differential, self.over_normal) {
                (Some(parent), Some(normal)) if normal.mean < parent.mean => of(Some(normal)),
                (parent, normal) => of(parent.or(normal)),
            },
            rescue: self.rescue,
            efficacy: self.peak_efficacy,
            qc_burden: self.pair.qc_burden,
        }
    }

    /// Adds a code to the flags of the row.
    pub fn raise(&mut self, code: &str) {
        if !self.pair.flags.split(';').any(|flag| flag == code) {
            let separator = if self.pair.flags.is_empty() { "" } else { ";" };
            self.pair.flags += &format!("{separator}{code}");
        }
    }
}

/// The scores of lines less that of healthy cells, which all of them share.
pub(super) fn over_normal(lines: &[LineScore], normal: Option<Pooled>) -> Option<Pooled> {
    let normal = normal?;
    let reference = Estimate {
        value: normal.mean,
        standard_error: normal.standard_error,
        degrees_of_freedom: normal.degrees_of_freedom,
    };
    let couple = |line: &LineScore| Couple { own: line.estimate, reference, group: 0 };
    pool_differences(&lines.iter().map(couple).collect::<Vec<_>>())
}

/// Mean kill in the window of the best synergy, and its error from the noise of the wells there.
fn peak_efficacy(input: &Input, ranked: &[usize]) -> Part {
    let mut values = Vec::new();
    let mut squares = Some(0.0);
    for &i in ranked {
        let matrix = &input.scores[i];
        let Some(value) = matrix.scores.get(input.settings.model).and_then(|s| s.peak_efficacy) else { continue };
        values.push(value);
        let wells = WINDOW * matrix.n_wells as f64 / (matrix.n_cells as f64).max(1.0);
        squares = squares.zip(matrix.sigma).map(|(sum, sigma)| sum + sigma * sigma / wells.max(1.0));
    }
    let n = values.len() as f64;
    Part { value: mean(&values), standard_error: squares.filter(|_| n > 0.0).map(|squares| squares.sqrt() / n) }
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// The other drug of a pair with the anchor.
fn partner(key: PairKey, anchor: NameId) -> Option<NameId> {
    match key {
        PairKey { drug_a, drug_b, .. } if drug_a == anchor => Some(drug_b),
        PairKey { drug_a, drug_b, .. } if drug_b == anchor => Some(drug_a),
        _ => None,
    }
}

/// Whether reference models disagree about the sign of the pair's mean score.
fn is_discordant<'a>(matrices: impl Iterator<Item = &'a MatrixScore> + Clone) -> bool {
    let models = matrices.clone().map(|m| m.scores.len()).max().unwrap_or(0);
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for model in 0..models {
        let scores = matrices.clone().filter_map(|m| m.scores.get(model)).filter_map(|s| s.score);
        if let Some(mean) = mean(&scores.filter(|v| v.is_finite()).collect::<Vec<_>>()) {
            (lowest, highest) = (lowest.min(mean), highest.max(mean));
        }
    }
    lowest < -DISCORDANCE && highest > DISCORDANCE
}

/// The lines' annotated mechanisms, in the order of the lines, each once.
pub(super) fn mechanisms(screen: &Screen, lines: impl Iterator<Item = NameId>) -> String {
    let mut found: Vec<String> = Vec::new();
    for line in lines {
        if let Some(text) = screen.annotation(line).mechanism.map(|m| m.trim().to_owned()).filter(|m| !m.is_empty())
            && !found.contains(&text)
        {
            found.push(text);
        }
    }
    found.join(";")
}

/// Share of the pair's wells on plates that are not good.
fn burden(input: &Input, matrices: &[usize], flags: &mut Flags) -> f64 {
    let (mut burdened, mut wells) = (0.0, 0.0);
    for &i in matrices {
        let n = input.scores[i].n_wells as f64;
        match input.plate_burden.get(i).filter(|b| b.is_finite()) {
            Some(burden) => burdened += burden * n,
            None => flags.raise("no_plate_quality", true),
        }
        wells += n;
    }
    if wells > 0.0 { burdened / wells } else { 0.0 }
}

#[derive(Default)]
struct Rescue {
    fold_change: Option<f64>,
    rescue_fraction: Option<f64>,
    standard_error: Option<f64>,
    dose_reduction_index: Option<f64>,
}

/// Resensitisation over the matrices that rank.
fn rescue(input: &Input, key: PairKey, ranked: &[usize], flags: &mut Flags) -> Rescue {
    if input.settings.anchor.and_then(|anchor| partner(key, anchor)).is_none() {
        flags.raise("anchor_not_in_pair", true);
        return Rescue::default();
    };
    let found: Vec<&Resensitisation> =
        ranked.iter().filter_map(|&i| input.resensitised.get(&input.scores[i].key).copied()).collect();
    flags.raise("no_tolerated_partner_dose", found.len() < ranked.len());
    let folds = logs(found.iter().map(|r| r.fold_change), ["fold_change_at_least", "fold_change_at_most"], flags);
    let indices = logs(
        found.iter().map(|r| r.dose_reduction_index),
        ["dose_reduction_index_at_least", "dose_reduction_index_at_most"],
        flags,
    );
    // A fraction is a share of log10s like the others are log10s: its ends are bounds in the same way.
    let fractions = logs(
        found.iter().map(|r| LogRatio {
            log10: r.rescue.fraction,
            low: r.rescue.low,
            high: r.rescue.high,
            reason: r.rescue.reason,
            ..LogRatio::default()
        }),
        ["rescue_fraction_at_least", "rescue_fraction_at_most"],
        flags,
    );
    // Half of Fieller's interval over the normal quantile stands for the error of a fraction.
    let errors: Option<Vec<f64>> = found
        .iter()
        .filter(|r| r.rescue.fraction.is_some())
        .map(|r| r.rescue.low.zip(r.rescue.high).map(|(low, high)| (high - low) / (2.0 * NORMAL_975)))
        .collect();
    let squares = errors.filter(|e| !e.is_empty()).map(|e| e.iter().map(|e| e * e).sum::<f64>().sqrt());
    Rescue {
        standard_error: squares.map(|root| root / fractions.len().max(1) as f64),
        fold_change: mean(&folds).map(libm::exp10),
        rescue_fraction: mean(&fractions),
        dose_reduction_index: mean(&indices).map(libm::exp10),
    }
}

/// The values, with bounds in their places where there are none; a flag for each kind of bound, and the reasons of those
/// that have neither.
fn logs(ratios: impl Iterator<Item = LogRatio>, [at_least, at_most]: [&'static str; 2], flags: &mut Flags) -> Vec<f64> {
    let mut values = Vec::new();
    for ratio in ratios {
        match (ratio.log10, ratio.low, ratio.high) {
            (Some(value), ..) => values.push(value),
            (None, Some(low), _) => {
                flags.raise(at_least, true);
                values.push(low);
            }
            (None, None, Some(high)) => {
                flags.raise(at_most, true);
                values.push(high);
            }
            (None, None, None) => flags.raise(ratio.reason.unwrap_or("no_half_effect"), true),
        }
    }
    values
}
