//! Two result folders side by side: which ranks moved, by how much, and why.
//!
//! Everything is told from the tables and `run.json` of the two folders, so that folders of older versions can be compared
//! too. Rows are told apart by names (lines, drugs, blocks, schedules, doses), never by their place.

pub mod causes;
pub mod correlation;
mod page;
mod rows;
mod tables;
mod text;

use crate::rank::DISCOVERY_Q;
use crate::report::run_json::RunRecord;
use crate::{Result, archive};
use causes::{Cause, causes};
use correlation::RankCorrelation;
pub use rows::PARTS;
use rows::{Folder, PairKey};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// A number before and after.
pub type Both<T> = [Option<T>; 2];

/// How many results of one stage changed.
#[derive(Debug, Clone, PartialEq)]
pub struct StageChange {
    /// The stage, as in [`crate::analysis::Stage::name`].
    pub stage: &'static str,
    /// What is counted: `wells`, `curves`, `dose pairs`, `matrices`, `pairs`.
    pub unit: &'static str,
    /// How many there are in either folder.
    pub n: usize,
    /// How many of them changed, came or went.
    pub changed: usize,
    /// The largest change of the number that the stage is about, in its unit.
    pub largest: Option<f64>,
    /// That number.
    pub of: &'static str,
}

/// One dose pair of one matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedCell {
    /// The block, where there is one.
    pub block: String,
    /// The line.
    pub cell_line: String,
    /// Molar doses.
    pub dose: [f64; 2],
    /// Mean observed viability.
    pub observed: Both<f64>,
    /// Excess over the model that ranks.
    pub excess: Both<f64>,
}

/// One curve.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedCurve {
    /// The line.
    pub cell_line: String,
    /// The drug.
    pub drug: String,
    /// The schedule, where there is one.
    pub schedule: String,
    /// Its class (`responder`, `flat`, `non_responder`); `none` where it has none, nothing where there is no curve.
    pub class: Both<String>,
    /// log10 molar absolute IC50.
    pub log10_ic50: Both<f64>,
}

/// One pair.
#[derive(Debug, Clone, PartialEq)]
pub struct ChangedPair {
    /// The first drug.
    pub drug_a: String,
    /// The second drug.
    pub drug_b: String,
    /// The third drug; empty for a pair.
    pub drug_c: String,
    /// The schedule, where there is one.
    pub schedule: String,
    /// Place in the ranking.
    pub rank: Both<usize>,
    /// Score.
    pub score: Both<f64>,
    /// Lower end of its interval.
    pub ci_low: Both<f64>,
    /// Upper end.
    pub ci_high: Both<f64>,
    /// Its q.
    pub q: Both<f64>,
    /// `entered` or `left` the pairs with q of at most 0.05; `stays_in`, `stays_out`; `unknown` where a q is missing.
    pub significance: &'static str,
    /// Its composite.
    pub composite: Both<f64>,
    /// Lower end of the composite's interval: what ranks, unless told otherwise.
    pub composite_low: Both<f64>,
    /// What each of [`PARTS`] has in the composite.
    pub parts: [Both<f64>; 5],
    /// Gates that it passes in one folder alone, as `fails gate_q` or `passes gate_q`.
    pub gates: Vec<String>,
    /// The line whose score changed most.
    pub line: Option<String>,
    /// Its score.
    pub line_score: Both<f64>,
    /// The dose pair whose excess changed most.
    pub cell: Option<ChangedCell>,
    /// Curves of its drugs that flipped class, as `DRUG in LINE: responder to flat`.
    pub flipped: Vec<String>,
    /// In words, what changed of it; empty where nothing did.
    pub why: String,
}

impl ChangedPair {
    /// The part of the composite that changed most, as a place in [`PARTS`]; `None` where none did, or a folder (of an older
    /// layout) has none.
    pub fn part_most_changed(&self) -> Option<usize> {
        let size = |part: &usize| self.parts[*part][0].zip(self.parts[*part][1]).map_or(0.0, |(a, b)| (a - b).abs());
        (0..PARTS.len()).filter(|part| size(part) > 0.0).max_by(|a, b| size(a).total_cmp(&size(b)).then(b.cmp(a)))
    }
}

/// Everything that differs.
#[derive(Debug, Clone, PartialEq)]
pub struct Difference {
    /// The folders.
    pub folders: [PathBuf; 2],
    /// Their records.
    pub records: [RunRecord; 2],
    /// What was done otherwise, in the order of the stages.
    pub causes: Vec<Cause>,
    /// What came out otherwise, in the order of the stages.
    pub stages: Vec<StageChange>,
    /// Every pair of either folder, by its later rank; those that went are last.
    pub pairs: Vec<ChangedPair>,
    /// Every curve that flipped class, came or went.
    pub curves: Vec<ChangedCurve>,
    /// Correlation of the ranks of the pairs that both have.
    pub correlation: RankCorrelation,
}

/// Compares two folders.
///
/// # Errors
/// [`crate::Error::File`] and [`crate::Error::Format`] for a folder that is no result folder, is of a newer version, or
/// whose tables are missing, changed or of another run.
pub fn diff(before: &Path, after: &Path) -> Result<Difference> {
    let folders = [before, after];
    let open = |dir: &Path| -> Result<RunRecord> {
        let record = archive::manifest::record(dir)?;
        match archive::manifest::faults_of_data(dir, &record)?.into_iter().next() {
            Some(fault) => Err(fault),
            None => Ok(record),
        }
    };
    let records = [open(before)?, open(after)?];
    let read = [Folder::read(before, &records[0])?, Folder::read(after, &records[1])?];
    let (stages, curves) = (rows::stages(&read), rows::flipped(&read));
    let pairs = changed_pairs(&read, &curves);
    let ranks: Vec<[usize; 2]> =
        pairs.iter().filter_map(|pair| pair.rank[0].zip(pair.rank[1]).map(|(a, b)| [a, b])).collect();
    Ok(Difference {
        folders: folders.map(Path::to_owned),
        causes: causes(&records[0], &records[1]),
        records,
        stages,
        correlation: RankCorrelation::of(&ranks),
        pairs,
        curves,
    })
}

fn changed_pairs(read: &[Folder; 2], curves: &[ChangedCurve]) -> Vec<ChangedPair> {
    let mut keys: Vec<(&PairKey, Both<&rows::Pair>)> = Vec::new();
    for (key, pair) in &read[1].pairs {
        keys.push((key, [read[0].pairs.get(key), Some(pair)]));
    }
    for (key, pair) in read[0].pairs.iter().filter(|(key, _)| !read[1].pairs.contains_key(*key)) {
        keys.push((key, [Some(pair), None]));
    }
    keys.sort_by_key(|(_, [before, after])| (after.is_none(), after.or(*before).map_or(usize::MAX, |pair| pair.rank)));
    let mut flips: BTreeMap<&str, Vec<&ChangedCurve>> = BTreeMap::new();
    curves.iter().for_each(|curve| flips.entry(&curve.drug).or_default().push(curve));
    keys.into_iter().map(|(key, both)| changed_pair(key, both, read, &flips)).collect()
}

fn changed_pair(
    key: &PairKey,
    both: Both<&rows::Pair>,
    read: &[Folder; 2],
    flips: &BTreeMap<&str, Vec<&ChangedCurve>>,
) -> ChangedPair {
    let of = |value: fn(&rows::Pair) -> Option<f64>| both.map(|pair| pair.and_then(value));
    let q = of(|pair| pair.q);
    let is_in = |side: usize| match (both[side], q[side]) {
        (None, _) => Some(false),
        (Some(_), q) => q.map(|q| q <= DISCOVERY_Q),
    };
    let significance = match (is_in(0), is_in(1)) {
        (Some(false), Some(true)) => "entered",
        (Some(true), Some(false)) => "left",
        (Some(true), Some(true)) => "stays_in",
        (Some(false), Some(false)) => "stays_out",
        _ => "unknown",
    };
    let (line, line_score) = match rows::line_most_changed(key, read) {
        Some((line, scores)) => (Some(line), scores),
        None => (None, [None, None]),
    };
    let cell = rows::cell_most_changed(key, read);
    // A curve of the pair's own schedule, or one that all schedules share.
    let own = |curve: &&&ChangedCurve| curve.schedule.is_empty() || curve.schedule == key.schedule;
    let mut flipped = Vec::new();
    for drug in [key.drug_a.as_str(), key.drug_b.as_str(), key.drug_c.as_str()] {
        for curve in flips.get(drug).into_iter().flatten().filter(own) {
            let word = |side: usize| curve.class[side].as_deref().unwrap_or("absent").replace('_', "-");
            flipped.push(format!("{drug} in {}: {} to {}", curve.cell_line, word(0), word(1)));
        }
    }
    let gates = both.map(|pair| pair.map(|pair| pair.gates.clone()).unwrap_or_default());
    let failed = gates[1].difference(&gates[0]).map(|gate| format!("fails {gate}"));
    let passed = gates[0].difference(&gates[1]).map(|gate| format!("passes {gate}"));
    let in_both = both.iter().all(Option::is_some);
    let mut pair = ChangedPair {
        drug_a: key.drug_a.clone(),
        drug_b: key.drug_b.clone(),
        drug_c: key.drug_c.clone(),
        schedule: key.schedule.clone(),
        rank: both.map(|pair| pair.map(|pair| pair.rank)),
        score: of(|pair| pair.score),
        ci_low: of(|pair| pair.ci_low),
        ci_high: of(|pair| pair.ci_high),
        q,
        significance,
        composite: of(|pair| pair.composite),
        composite_low: of(|pair| pair.composite_low),
        parts: std::array::from_fn(|part| both.map(|pair| pair.and_then(|pair| pair.parts[part]))),
        gates: failed.chain(passed).filter(|_| in_both).collect(),
        line,
        line_score,
        cell,
        flipped,
        why: String::new(),
    };
    pair.why = text::why(&pair);
    pair
}

pub use page::write_page;
pub use tables::write_tables;
pub use text::text;
