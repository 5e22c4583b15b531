//! The row of a combination of three drugs, so that it stands among the pairs: its synergy against the three drugs alone,
//! and what the third one adds to the best of the pairs within it.

use super::composite::Part;
use super::differential::{LineScore, couples};
use super::known::distinct;
use super::meta_analysis::{Estimate, Pooled, pool, pool_differences};
use super::pair::{Draft, Flags, mean, mechanisms, over_normal};
use super::{RankSettings, RankedPair};
use crate::resistance::evidence::evidence;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::screen::triple_matrix::TripleKey;
use crate::synergy::SynergyModel;
use crate::synergy::three::TripleMatrixScore;
use crate::synergy::three::reference::Reference;
use std::collections::BTreeMap;

/// The reference of three drugs that stands for a model of pairs, and whether it is another one.
pub(super) fn reference(model: SynergyModel) -> (Reference, bool) {
    match model {
        SynergyModel::Hsa => (Reference::Hsa, false),
        SynergyModel::Bliss => (Reference::Bliss, false),
        SynergyModel::Loewe => (Reference::Loewe, false),
        _ => (Reference::Bliss, true),
    }
}

/// The drafts of all triples, in no order. `statuses` are the lines'.
pub(super) fn drafts(
    keys: &[TripleKey],
    scores: &[TripleMatrixScore],
    screen: &Screen,
    settings: &RankSettings,
    statuses: &BTreeMap<NameId, LineStatus>,
    has_resistant_line: bool,
    tails: f64,
) -> Vec<Draft> {
    let mut groups: BTreeMap<([NameId; 3], Option<NameId>), Vec<usize>> = BTreeMap::new();
    for (i, key) in keys.iter().enumerate().take(scores.len()) {
        groups.entry((key.drugs, key.schedule)).or_default().push(i);
    }
    let of = |((drugs, schedule), mut members): (([NameId; 3], Option<NameId>), Vec<usize>)| {
        let name = |i: &usize| {
            let key = &keys[*i];
            (screen.lines.name(key.line), key.block.map(|block| screen.blocks.name(block)))
        };
        members.sort_by(|x, y| name(x).cmp(&name(y)));
        let with = |wanted: &[LineStatus]| -> Vec<usize> {
            let is = |i: &usize| statuses.get(&keys[*i].line).is_some_and(|status| wanted.contains(status));
            members.iter().copied().filter(is).collect()
        };
        let resistant = with(&[LineStatus::Resistant]);
        let parental = with(&[LineStatus::Parental, LineStatus::Sensitive]);
        let normal = with(&[LineStatus::Normal]);
        let diseased: Vec<usize> = members.iter().copied().filter(|i| !normal.contains(i)).collect();
        let ranked = if has_resistant_line { &resistant } else { &diseased };
        let (reference, is_other) = reference(settings.score_model);
        let lines = |members: &[usize], of: Reference| -> Vec<LineScore> {
            let line = |i: &usize| keys[*i].line;
            let score = |members: &[usize]| {
                let estimate = |i: &usize| {
                    let score = scores[*i].scores.get(of as usize)?;
                    let value = score.score.filter(|value| value.is_finite())?;
                    let degrees_of_freedom = (scores[*i].degrees_of_freedom as f64).min(tails);
                    Some(Estimate { value, standard_error: score.standard_error, degrees_of_freedom })
                };
                let values: Vec<Estimate> = members.iter().filter_map(estimate).collect();
                Some(LineScore { line: line(&members[0]), estimate: Estimate::of_line(pool(&values)?) })
            };
            members.chunk_by(|x, y| line(x) == line(y)).filter_map(score).collect()
        };
        let pooled = |lines: &[LineScore]| pool(&lines.iter().map(|line| line.estimate).collect::<Vec<_>>());
        let (own, references) = (lines(ranked, reference), lines(&parental, reference));
        let score: Option<Pooled> = pooled(&own);
        let couples = if has_resistant_line { couples(&own, &references, screen) } else { Vec::new() };
        let differential = pool_differences(&couples);
        let pooled_normal = pooled(&lines(&normal, reference));
        let added = pooled(&lines(ranked, Reference::BestPair));
        let added_interval = added.and_then(|added| added.interval());

        let mut flags = Flags::default();
        flags.raise("three_drugs", true);
        flags.raise("three_drugs_scored_by_bliss", is_other);
        flags.raise("no_resistant_line", !has_resistant_line);
        flags.raise("no_resistant_matrix", has_resistant_line && resistant.is_empty());
        flags.raise("no_parental_matrix", parental.is_empty());
        flags.raise("no_plate_quality", true);
        flags.raise("one_line", own.len() == 1);
        flags.raise("no_parental_score", has_resistant_line && !parental.is_empty() && references.is_empty());
        flags.raise("no_differential_error", differential.is_some_and(|d| d.standard_error.is_none()));
        flags.raise("heterogeneous", score.is_some_and(|p| p.between_variance.sqrt() > p.mean.abs()));
        flags.raise("no_pairs_to_add_to", added.is_none());
        flags.raise("anchor_not_in_pair", settings.anchor.is_none_or(|anchor| !drugs.contains(&anchor)));
        flags.raise("no_standard_error", score.is_some_and(|s| s.standard_error.is_none()));
        for &i in ranked {
            if let Some(none) = scores[i].scores.get(reference as usize).filter(|s| s.score.is_none()) {
                flags.raise(none.reason.unwrap_or("no_score"), true);
            }
        }
        let efficacies: Vec<f64> = ranked.iter().filter_map(|&i| scores[i].efficacy).collect();
        flags.raise("no_efficacy", efficacies.is_empty());
        let mechanism = mechanisms(screen, ranked.iter().map(|&i| keys[i].line));
        let known: Vec<_> = match settings.anchor.filter(|anchor| drugs.contains(anchor)) {
            Some(anchor) => drugs
                .iter()
                .filter(|drug| **drug != anchor)
                .map(|drug| evidence(screen.drugs.name(anchor), screen.drugs.name(*drug), &mechanism))
                .collect(),
            None => Vec::new(),
        };
        let pair = RankedPair {
            drug_a: drugs[0],
            drug_b: drugs[1],
            drug_c: Some(drugs[2]),
            schedule,
            added_by_third: added.map(|added| added.mean),
            added_ci_low: added_interval.map(|interval| interval.0),
            added_ci_high: added_interval.map(|interval| interval.1),
            n_resistant: resistant.len(),
            n_parental: parental.len(),
            n_normal: normal.len(),
            selectivity: "none",
            efficacy: mean(&efficacies),
            rationale: distinct(known.iter().map(|known| known.rationale.as_str())),
            evidence: distinct(known.iter().map(|known| known.references.as_str())),
            mechanism,
            flags: flags.joined(),
            ..RankedPair::default()
        };
        Draft {
            pair,
            score,
            parental: pooled(&references),
            differential,
            couples,
            normal: pooled_normal,
            over_normal: over_normal(&own, pooled_normal),
            lines: own,
            references,
            rescue: Part::default(),
            peak_efficacy: Part::default(),
        }
        .with_scores()
    };
    groups.into_iter().map(of).collect()
}
