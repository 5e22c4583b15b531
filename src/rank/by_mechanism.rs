//! Rankings for each mechanism of resistance: the same ranking over the resistant lines that share it, and their parents.

use super::{RankInput, RankSettings, RankedPair, line_statuses, rank_with_tails};
use crate::report::table::{Column, Table, Values};
use crate::resistance::mechanism::Mechanisms;
use crate::resistance::mechanism::marker::Mechanism;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use rayon::prelude::*;
use std::collections::BTreeSet;

/// The ranking among the resistant lines of one mechanism.
#[derive(Debug, Clone, PartialEq)]
pub struct MechanismRanking {
    /// The mechanism.
    pub mechanism: Mechanism,
    /// The resistant lines that have it, by name.
    pub lines: Vec<NameId>,
    /// The ranking; its p and q are those of this family alone.
    pub pairs: Vec<RankedPair>,
}

/// A ranking for each mechanism that a resistant line with matrices has (called, or annotated and uncontradicted). Lines
/// of other mechanisms are left out; the parents of those that stay are kept, and all parental and sensitive lines where
/// one of those has no parent. Inputs as for [`super::rank()`].
pub fn rank_by_mechanism(found: &Mechanisms, input: &RankInput, settings: &RankSettings) -> Vec<MechanismRanking> {
    let RankInput { scores, triples, resistances, screen, .. } = *input;
    let statuses = line_statuses(resistances, screen, settings.anchor);
    let of_triples = triples.iter().map(|(key, _)| key.line);
    let measured: BTreeSet<NameId> = scores.iter().map(|score| score.key.line).chain(of_triples).collect();
    let tails = super::tails(scores, settings);
    let ranking = |mechanism: Mechanism| {
        let has = |line: &NameId| {
            statuses.get(line) == Some(&LineStatus::Resistant) && found.has(screen.lines.name(*line), mechanism)
        };
        let mut lines: Vec<NameId> = measured.iter().copied().filter(has).collect();
        if lines.is_empty() {
            return None;
        }
        lines.sort_by_key(|line| screen.lines.name(*line));
        let parents: Vec<Option<NameId>> = lines.iter().map(|line| screen.annotation(*line).parental).collect();
        let is_compared = |line: NameId| {
            matches!(statuses.get(&line), Some(LineStatus::Parental | LineStatus::Sensitive))
                && parents.iter().any(|parent| parent.is_none_or(|parent| parent == line))
        };
        let is_normal = |line: NameId| statuses.get(&line) == Some(&LineStatus::Normal);
        let is_kept = |line: NameId| lines.contains(&line) || is_compared(line) || is_normal(line);
        let of_lines = RankInput {
            scores: &scores.iter().copied().filter(|matrix| is_kept(matrix.key.line)).collect::<Vec<_>>(),
            triples: &triples.iter().copied().filter(|(key, _)| is_kept(key.line)).collect::<Vec<_>>(),
            ..*input
        };
        let pairs = rank_with_tails(&of_lines, settings, tails).pairs;
        Some(MechanismRanking { mechanism, lines, pairs })
    };
    Mechanism::ALL.into_par_iter().filter_map(ranking).collect()
}

/// The `pairs_by_mechanism` table: `mechanism_class` and its lines before the columns of `pairs`.
pub fn by_mechanism_table(rankings: &[MechanismRanking], screen: &Screen) -> Table {
    let all: Vec<RankedPair> = rankings.iter().flat_map(|ranking| ranking.pairs.iter().cloned()).collect();
    let rows = || rankings.iter().flat_map(|ranking| std::iter::repeat_n(ranking, ranking.pairs.len()));
    let lines = |ranking: &MechanismRanking| {
        ranking.lines.iter().map(|line| screen.lines.name(*line)).collect::<Vec<_>>().join("; ")
    };
    let mut table = super::table(&all, screen);
    table.name = "pairs_by_mechanism".into();
    let texts = |texts: Vec<Option<String>>| Values::Text(texts);
    let class = texts(rows().map(|ranking| Some(ranking.mechanism.name().to_owned())).collect());
    table.columns.insert(0, Column { name: "mechanism_class".into(), values: class });
    table
        .columns
        .insert(1, Column { name: "cell_lines".into(), values: texts(rows().map(|r| Some(lines(r))).collect()) });
    table
}
