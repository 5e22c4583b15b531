//! The rows of a result folder by what they are of.

use super::{Both, ChangedCell, ChangedCurve, StageChange};
use crate::Result;
use crate::report::files;
use crate::report::run_json::RunRecord;
use crate::report::table::{Table, Values};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;

/// What makes a pair (or three drugs) one: its drugs in alphabetical order, and its schedule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PairKey {
    pub drug_a: String,
    pub drug_b: String,
    /// Empty for a pair.
    pub drug_c: String,
    pub schedule: String,
}

/// The parts of the composite, as in the columns `composite_…`.
pub const PARTS: [&str; 5] = ["synergy", "selectivity", "rescue", "efficacy", "qc"];

/// What is compared of a pair.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Pair {
    pub rank: usize,
    pub score: Option<f64>,
    pub ci_low: Option<f64>,
    pub ci_high: Option<f64>,
    pub q: Option<f64>,
    /// The composite, the lower end of its interval, and what each of [`PARTS`] has in it.
    pub composite: Option<f64>,
    pub composite_low: Option<f64>,
    pub parts: [Option<f64>; 5],
    /// Gates that it does not pass.
    pub gates: BTreeSet<String>,
}

/// A matrix of a pair: block and line.
type MatrixKey = (String, String);
/// Bits of the doses, in the order of the pair's drugs.
type Doses = [u64; 2];

/// What is compared of a curve: class, log10 molar IC50, area under the curve.
type Curve = (Option<String>, Option<f64>, Option<f64>);

/// Observed viability, and excess over the model that ranks.
type Cell = (Option<f64>, Option<f64>);

/// One result folder.
pub(super) struct Folder {
    wells: HashMap<String, Option<f64>>,
    curves: BTreeMap<[String; 3], Curve>,
    scores: BTreeMap<PairKey, BTreeMap<MatrixKey, Option<f64>>>,
    cells: BTreeMap<PairKey, BTreeMap<(MatrixKey, Doses), Cell>>,
    pub pairs: BTreeMap<PairKey, Pair>,
}

fn text(table: &Table, column: &str, row: usize) -> String {
    table.column(column).and_then(|values| values.text(row)).unwrap_or_default().to_owned()
}

fn number(table: &Table, column: &str, row: usize) -> Option<f64> {
    table.column(column).and_then(|values| values.number(row))
}

/// The pair of a row, and whether its drugs stand in reverse.
fn pair_key(table: &Table, row: usize) -> (PairKey, bool) {
    let schedule = text(table, "schedule", row);
    let mut drugs = ["drug_a", "drug_b", "drug_c"].map(|column| text(table, column, row));
    let reversed = drugs[1] < drugs[0];
    let drugs_given = if drugs[2].is_empty() { 2 } else { 3 };
    drugs[..drugs_given].sort();
    let [drug_a, drug_b, drug_c] = drugs;
    (PairKey { drug_a, drug_b, drug_c, schedule }, reversed)
}

/// The score of `triples` that stands for that of a model of pairs, as in [`crate::rank`].
fn score_of_three(model: &str) -> &'static str {
    match model {
        "hsa" => "score_hsa",
        "loewe" => "score_loewe",
        _ => "score_bliss",
    }
}

impl Folder {
    pub(super) fn read(dir: &Path, record: &RunRecord) -> Result<Self> {
        let table = |name: &str| files::read(&dir.join(format!("{name}.parquet")));
        let ranks = record.score_model();
        let (synergy, surfaces) = (table("synergy")?, table("surfaces")?);
        let (score, excess) = (format!("score_{ranks}"), format!("excess_{ranks}"));
        let mut scores: BTreeMap<PairKey, BTreeMap<MatrixKey, Option<f64>>> = BTreeMap::new();
        for row in 0..synergy.rows() {
            let matrix = (text(&synergy, "block", row), text(&synergy, "cell_line", row));
            scores.entry(pair_key(&synergy, row).0).or_default().insert(matrix, number(&synergy, &score, row));
        }
        if dir.join("triples.parquet").exists() {
            let triples = table("triples")?;
            for row in 0..triples.rows() {
                let matrix = (text(&triples, "block", row), text(&triples, "cell_line", row));
                let score = number(&triples, score_of_three(&ranks), row);
                scores.entry(pair_key(&triples, row).0).or_default().insert(matrix, score);
            }
        }
        let mut cells: BTreeMap<PairKey, BTreeMap<(MatrixKey, Doses), Cell>> = BTreeMap::new();
        for row in 0..surfaces.rows() {
            let (key, reversed) = pair_key(&surfaces, row);
            let matrix = (text(&surfaces, "block", row), text(&surfaces, "cell_line", row));
            let mut doses = ["dose_a_molar", "dose_b_molar"]
                .map(|column| number(&surfaces, column, row).unwrap_or_default().to_bits());
            if reversed {
                doses.reverse();
            }
            let cell = (number(&surfaces, "observed", row), number(&surfaces, &excess, row));
            cells.entry(key).or_default().insert((matrix, doses), cell);
        }
        let pairs = table("pairs")?;
        let of_pair = |row: usize| Pair {
            rank: number(&pairs, "rank", row).unwrap_or_default() as usize,
            score: number(&pairs, "score", row),
            ci_low: number(&pairs, "ci_low", row),
            ci_high: number(&pairs, "ci_high", row),
            q: number(&pairs, "q", row),
            composite: number(&pairs, "composite", row),
            composite_low: number(&pairs, "composite_ci_low", row),
            parts: PARTS.map(|part| number(&pairs, &format!("composite_{part}"), row)),
            gates: text(&pairs, "flags", row)
                .split(';')
                .map(str::trim)
                .filter(|flag| flag.starts_with("gate_"))
                .map(str::to_owned)
                .collect(),
        };
        let curves = table("curves")?;
        let of_curve = |row: usize| {
            let class = Some(text(&curves, "class", row)).filter(|class| !class.is_empty());
            (class, number(&curves, "log10_ic50_absolute", row), number(&curves, "auc", row))
        };
        Ok(Self {
            wells: wells(&table("wells")?),
            curves: (0..curves.rows())
                .map(|row| (["cell_line", "drug", "schedule"].map(|column| text(&curves, column, row)), of_curve(row)))
                .collect(),
            pairs: (0..pairs.rows()).map(|row| (pair_key(&pairs, row).0, of_pair(row))).collect(),
            scores,
            cells,
        })
    }
}

/// Responses by plate, place and what is in the well; wells that cannot be told apart are numbered.
fn wells(table: &Table) -> HashMap<String, Option<f64>> {
    let texts: Vec<&Values> =
        ["plate_id", "well", "cell_line", "role", "drug_a", "drug_b", "drug_c", "block", "schedule"]
            .iter()
            .filter_map(|name| table.column(name))
            .collect();
    let doses: Vec<&Values> = ["conc_a", "conc_b", "conc_c"].iter().filter_map(|name| table.column(name)).collect();
    let mut wells = HashMap::with_capacity(table.rows());
    let mut seen: HashMap<String, usize> = HashMap::new();
    for row in 0..table.rows() {
        let mut key = String::new();
        for values in &texts {
            key.push_str(values.text(row).unwrap_or_default());
            key.push('\u{1f}');
        }
        for values in &doses {
            key.push_str(&values.number(row).map_or(0, f64::to_bits).to_string());
            key.push('\u{1f}');
        }
        let response = number(table, "response", row);
        if wells.contains_key(&key) {
            let n = seen.entry(key.clone()).or_default();
            *n += 1;
            key.push_str(&n.to_string());
        }
        wells.insert(key, response);
    }
    wells
}

/// Whether two values are one, to the last bit.
fn same(a: Option<f64>, b: Option<f64>) -> bool {
    a.map(f64::to_bits) == b.map(f64::to_bits)
}

fn gap(a: Option<f64>, b: Option<f64>) -> Option<f64> {
    a.zip(b).map(|(a, b)| (a - b).abs())
}

/// Counts what came, went or changed, and finds the largest change.
fn change(
    stage: &'static str,
    unit: &'static str,
    of: &'static str,
    values: impl Iterator<Item = (bool, Option<f64>)>,
) -> StageChange {
    let mut found = StageChange { stage, unit, n: 0, changed: 0, largest: None, of };
    for (changed, gap) in values {
        found.n += 1;
        found.changed += usize::from(changed);
        if let Some(gap) = gap.filter(|gap| *gap > 0.0) {
            found.largest = Some(found.largest.map_or(gap, |largest: f64| largest.max(gap)));
        }
    }
    found
}

/// Every key of either map, with both values.
fn both<'a, K: Ord, V>(a: &'a BTreeMap<K, V>, b: &'a BTreeMap<K, V>) -> impl Iterator<Item = (&'a K, Both<&'a V>)> {
    let keys: BTreeSet<&K> = a.keys().chain(b.keys()).collect();
    keys.into_iter().map(|key| (key, [a.get(key), b.get(key)]))
}

/// What came out otherwise, stage by stage.
pub(super) fn stages(read: &[Folder; 2]) -> Vec<StageChange> {
    let [before, after] = read;
    let wells = before.wells.iter().map(|(key, response)| {
        let now = after.wells.get(key);
        (now.is_none_or(|now| !same(*now, *response)), now.and_then(|now| gap(*now, *response)))
    });
    let new = after.wells.keys().filter(|key| !before.wells.contains_key(*key)).map(|_| (true, None));
    let curves = both(&before.curves, &after.curves).map(|(_, sides)| match sides {
        [Some(a), Some(b)] => (a.0 != b.0 || !same(a.1, b.1) || !same(a.2, b.2), gap(a.2, b.2)),
        _ => (true, None),
    });
    let none = BTreeMap::new();
    let cells = both(&before.cells, &after.cells).flat_map(|(_, [a, b])| {
        let cells = both(a.unwrap_or(&none), b.unwrap_or(&none));
        cells.map(|(_, sides)| match sides {
            [Some(a), Some(b)] => (!same(a.0, b.0) || !same(a.1, b.1), gap(a.1, b.1)),
            _ => (true, None),
        })
    });
    let nothing = BTreeMap::new();
    let scores = both(&before.scores, &after.scores).flat_map(|(_, [a, b])| {
        let matrices = both(a.unwrap_or(&nothing), b.unwrap_or(&nothing));
        matrices.map(|(_, sides)| match sides {
            [Some(a), Some(b)] => (!same(*a, *b), gap(*a, *b)),
            _ => (true, None),
        })
    });
    let pairs = both(&before.pairs, &after.pairs).map(|(_, sides)| match sides {
        [Some(a), Some(b)] => (a != b, Some(a.rank.abs_diff(b.rank) as f64)),
        _ => (true, None),
    });
    vec![
        change("plates", "wells", "response", wells.chain(new)),
        change("curves", "curves", "auc", curves),
        change("synergy", "dose pairs", "excess", cells),
        change("synergy", "matrices", "score", scores),
        change("rank", "pairs", "rank", pairs),
    ]
}

/// Curves whose class is another, and those that came or went.
pub(super) fn flipped(read: &[Folder; 2]) -> Vec<ChangedCurve> {
    let flipped = |(key, sides): (&[String; 3], Both<&Curve>)| {
        let class = sides.map(|side| side.map(|curve| curve.0.clone().unwrap_or_else(|| "none".into())));
        let [cell_line, drug, schedule] = key.clone();
        let log10_ic50 = sides.map(|side| side.and_then(|curve| curve.1));
        (class[0] != class[1]).then_some(ChangedCurve { cell_line, drug, schedule, class, log10_ic50 })
    };
    both(&read[0].curves, &read[1].curves).filter_map(flipped).collect()
}

/// The line of a pair whose score changed most, and its scores.
pub(super) fn line_most_changed(key: &PairKey, read: &[Folder; 2]) -> Option<(String, Both<f64>)> {
    let none = BTreeMap::new();
    let [a, b] = [0, 1].map(|side| read[side].scores.get(key).unwrap_or(&none));
    let changed = both(a, b).map(|((block, line), sides)| {
        let scores = sides.map(|side| side.copied().flatten());
        let name = if block.is_empty() { line.clone() } else { format!("{line} ({block})") };
        (name, scores)
    });
    // What came or went is the largest change of all.
    let size = |scores: &Both<f64>| gap(scores[0], scores[1]).unwrap_or(f64::MAX);
    let changed = changed.filter(|(_, scores)| !same(scores[0], scores[1]));
    changed.max_by(|(_, a), (_, b)| size(a).total_cmp(&size(b)))
}

/// The dose pair of a pair whose observed viability changed most or, where none did, whose excess did.
pub(super) fn cell_most_changed(key: &PairKey, read: &[Folder; 2]) -> Option<ChangedCell> {
    let none = BTreeMap::new();
    let [a, b] = [0, 1].map(|side| read[side].cells.get(key).unwrap_or(&none));
    let cells = both(a, b).map(|(((block, line), doses), sides)| ChangedCell {
        block: block.clone(),
        cell_line: line.clone(),
        dose: doses.map(f64::from_bits),
        observed: sides.map(|side| side.and_then(|cell| cell.0)),
        excess: sides.map(|side| side.and_then(|cell| cell.1)),
    });
    let size = |cell: &ChangedCell| {
        let [observed, excess] = [cell.observed, cell.excess].map(|[a, b]| gap(a, b).unwrap_or(0.0));
        [observed, excess]
    };
    let changed = cells.filter(|cell| size(cell) != [0.0, 0.0]);
    changed.max_by(|a, b| {
        let (a, b) = (size(a), size(b));
        a[0].total_cmp(&b[0]).then(a[1].total_cmp(&b[1]))
    })
}
