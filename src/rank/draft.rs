//! One row of the ranking, of two drugs or of three, as far as it can be told without the other rows.

use super::composite::{Part, Parts};
use super::differential::{LineScore, couples};
use super::known::{Known, known};
use super::matrix::{Combination, RankedMatrix, reference};
use super::meta_analysis::{Couple, Errors, Estimate, Pooled, pool, pool_differences};
use super::rescue::{Rescue, rescue};
use super::{RankSettings, RankedPair};
use crate::resistance::evidence::evidence;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use std::collections::BTreeMap;

/// Mean scores of two models beyond this, with opposite signs, are discordant (viability fraction).
const DISCORDANCE: f64 = 0.05;

/// What every row is drawn up by.
pub(super) struct Input<'a> {
    pub screen: &'a Screen,
    pub settings: &'a RankSettings,
    pub statuses: &'a BTreeMap<NameId, LineStatus>,
    pub has_resistant_line: bool,
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
    /// The error of a normal law whose interval is as wide as that of the rescue.
    pub rescue_normal_error: Option<f64>,
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

/// Scores of matrices, which stand line by line, pooled by line.
fn line_scores(matrices: &[&RankedMatrix], score: impl Fn(&RankedMatrix) -> Option<Estimate>) -> Vec<LineScore> {
    let of_line = |matrices: &[&RankedMatrix]| {
        let pooled = pool(&matrices.iter().filter_map(|m| score(m)).collect::<Vec<_>>())?;
        Some(LineScore { line: matrices[0].line, estimate: Estimate::of_line(pooled) })
    };
    matrices.chunk_by(|x, y| x.line == y.line).filter_map(of_line).collect()
}

fn pool_lines(lines: &[LineScore]) -> Option<Pooled> {
    pool(&lines.iter().map(|line| line.estimate).collect::<Vec<_>>())
}

/// Draws up the row of one combination from its matrices.
pub(super) fn draft(input: &Input, combination: Combination, mut matrices: Vec<RankedMatrix>) -> Draft {
    let Input { screen, settings, statuses, has_resistant_line } = *input;
    matrices.sort_by_key(|matrix| matrix.order(screen));
    let status = |matrix: &RankedMatrix| statuses.get(&matrix.line).copied();
    let with_status = |wanted: &[LineStatus]| -> Vec<&RankedMatrix> {
        matrices.iter().filter(|matrix| status(matrix).is_some_and(|status| wanted.contains(&status))).collect()
    };
    let resistant = with_status(&[LineStatus::Resistant]);
    let parental = with_status(&[LineStatus::Parental, LineStatus::Sensitive]);
    let normal = with_status(&[LineStatus::Normal]);
    let diseased: Vec<_> = matrices.iter().filter(|matrix| status(matrix) != Some(LineStatus::Normal)).collect();
    let ranked = if has_resistant_line { &resistant } else { &diseased };
    let is_triple = combination.drug_c.is_some();

    let mut flags = Flags::default();
    flags.raise("three_drugs", is_triple);
    flags.raise("three_drugs_scored_by_bliss", is_triple && reference(settings.score_model).1);
    flags.raise("no_resistant_line", !has_resistant_line);
    flags.raise("no_resistant_matrix", has_resistant_line && resistant.is_empty());
    flags.raise("no_parental_matrix", parental.is_empty());
    flags.raise("lines_without_status", matrices.iter().any(|matrix| status(matrix).is_none()));
    flags.raise("same_drug", combination.drug_a == combination.drug_b);
    flags.raise("one_line", !ranked.is_empty() && ranked.iter().all(|matrix| matrix.line == ranked[0].line));
    ranked.iter().filter_map(|matrix| matrix.score.err()).for_each(|reason| flags.raise(reason, true));

    let own = |matrix: &RankedMatrix| matrix.score.ok();
    let (lines, references) = (line_scores(ranked, own), line_scores(&parental, own));
    let (score, pooled_normal) = (pool_lines(&lines), pool_lines(&line_scores(&normal, own)));
    let couples = if has_resistant_line { couples(&lines, &references, screen) } else { Vec::new() };
    let differential = pool_differences(&couples);
    let added = pool_lines(&line_scores(ranked, |matrix| matrix.beyond_best_pair));
    let added_interval = added.and_then(|added| added.interval());
    flags.raise("no_pairs_to_add_to", is_triple && added.is_none());
    flags.raise("no_standard_error", score.is_some_and(|p| p.standard_error.is_none()));
    flags.raise("spread_between_matrices_only", score.is_some_and(|p| !p.is_weighted && p.standard_error.is_some()));
    flags.raise("heterogeneous", score.is_some_and(|p| p.between_variance.sqrt() > p.mean.abs()));
    flags.raise("discordant_models", is_discordant(ranked));
    let without_reference = has_resistant_line && !parental.is_empty() && !lines.is_empty();
    flags.raise("no_parental_score", couples.is_empty() && without_reference);
    let lacks_parent = |line: &LineScore| {
        let parent = screen.annotation(line.line).parental.filter(|parent| *parent != line.line);
        parent.is_some_and(|parent| !references.iter().any(|reference| reference.line == parent))
    };
    flags.raise("parent_without_score", differential.is_some() && lines.iter().any(lacks_parent));
    flags.raise("no_differential_error", differential.is_some_and(|d| d.standard_error.is_none()));

    let efficacies: Vec<f64> = ranked.iter().filter_map(|m| m.efficacy).filter(|e| e.is_finite()).collect();
    flags.raise("no_efficacy", efficacies.is_empty());
    let has_anchor = settings.anchor.is_some_and(|anchor| combination.drugs().any(|drug| drug == anchor));
    flags.raise("anchor_not_in_pair", !has_anchor);
    let rescue = if has_anchor { rescue(ranked, &mut flags) } else { Rescue::default() };
    let peak_efficacy = peak_efficacy(ranked);
    let mechanism = mechanisms(screen, ranked.iter().map(|matrix| matrix.line));
    let Known { rationale, evidence } = known(combination.drugs(), settings.anchor, |anchor, partner| {
        evidence(screen.drugs.name(anchor), screen.drugs.name(partner), &mechanism)
    });
    let pair = RankedPair {
        drug_a: combination.drug_a,
        drug_b: combination.drug_b,
        drug_c: combination.drug_c,
        schedule: combination.schedule,
        added_by_third: added.map(|added| added.mean),
        added_ci_low: added_interval.map(|interval| interval.0),
        added_ci_high: added_interval.map(|interval| interval.1),
        n_resistant: resistant.len(),
        n_parental: parental.len(),
        n_normal: normal.len(),
        selectivity: "none",
        fold_change: rescue.fold_change,
        rescue_fraction: rescue.rescue_fraction,
        dose_reduction_index: rescue.dose_reduction_index,
        efficacy: mean(&efficacies),
        peak_efficacy: peak_efficacy.value,
        qc_burden: burden(&matrices, &mut flags),
        mechanism,
        rationale,
        evidence,
        flags: flags.joined(),
        ..RankedPair::default()
    };
    Draft {
        pair,
        score,
        parental: pool_lines(&references),
        differential,
        couples,
        normal: pooled_normal,
        over_normal: over_normal(&lines, pooled_normal),
        lines,
        references,
        rescue: Part { value: rescue.rescue_fraction, standard_error: rescue.standard_error },
        rescue_normal_error: rescue.normal_error,
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
    pub fn parts(&self, errors: Errors) -> Parts {
        let of = |pooled: Option<Pooled>| Part {
            value: pooled.map(|p| p.mean),
            standard_error: pooled.and_then(|p| p.error(errors)),
        };
        let rescue = match errors {
            Errors::Themselves => self.rescue,
            Errors::OfIntervals => Part { standard_error: self.rescue_normal_error, ..self.rescue },
        };
        Parts {
            synergy: of(self.score),
            // Over the parent or over healthy cells, whichever is less.
            selectivity: match (self.differential, self.over_normal) {
                (Some(parent), Some(normal)) if normal.mean < parent.mean => of(Some(normal)),
                (parent, normal) => of(parent.or(normal)),
            },
            rescue,
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
fn over_normal(lines: &[LineScore], normal: Option<Pooled>) -> Option<Pooled> {
    let reference = Estimate::of_line(normal?);
    let couple = |line: &LineScore| Couple { own: line.estimate, reference, group: 0 };
    pool_differences(&lines.iter().map(couple).collect::<Vec<_>>())
}

/// Mean kill in the window of the best synergy, and its error from the noise of the wells there.
fn peak_efficacy(ranked: &[&RankedMatrix]) -> Part {
    let mut values = Vec::new();
    let mut squares = Some(0.0);
    for matrix in ranked {
        let Some(value) = matrix.peak_efficacy else { continue };
        values.push(value);
        squares = squares.zip(matrix.sigma).map(|(sum, sigma)| sum + sigma * sigma / matrix.window_wells);
    }
    let n = values.len() as f64;
    Part { value: mean(&values), standard_error: squares.filter(|_| n > 0.0).map(|squares| squares.sqrt() / n) }
}

pub(super) fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Whether reference models disagree about the sign of the mean score.
fn is_discordant(ranked: &[&RankedMatrix]) -> bool {
    let models = ranked.iter().map(|matrix| matrix.models.len()).max().unwrap_or(0);
    let (mut lowest, mut highest) = (f64::INFINITY, f64::NEG_INFINITY);
    for model in 0..models {
        let scores = ranked.iter().filter_map(|matrix| *matrix.models.get(model)?);
        if let Some(mean) = mean(&scores.filter(|v| v.is_finite()).collect::<Vec<_>>()) {
            (lowest, highest) = (lowest.min(mean), highest.max(mean));
        }
    }
    lowest < -DISCORDANCE && highest > DISCORDANCE
}

/// The lines' annotated mechanisms, in the order of the lines, each once.
fn mechanisms(screen: &Screen, lines: impl Iterator<Item = NameId>) -> String {
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

/// Share of the combination's wells that are doubtful.
fn burden(matrices: &[RankedMatrix], flags: &mut Flags) -> f64 {
    let (mut burdened, mut wells) = (0.0, 0.0);
    for matrix in matrices {
        let n = matrix.n_wells as f64;
        match matrix.qc_burden.filter(|burden| burden.is_finite()) {
            Some(burden) => burdened += burden * n,
            None => flags.raise("no_plate_quality", true),
        }
        wells += n;
    }
    if wells > 0.0 { burdened / wells } else { 0.0 }
}
