//! A result folder checked: its files by their hashes, and its numbers by computing them again from the wells as read.
//!
//! On the back end that computed them, the tables must come out with the same bytes. On another one they must agree within
//! what is certified between back ends: fits within 0.01 standard errors ([`crate::bench::agreement::CLOSE`]), on 99 of 100
//! curves at least, as some curves have several minima that are as deep. Draws are compared on the same back end alone.

use super::rescore::archived_knowledge;
use super::{Extent, know, tables};
use crate::analysis::{Analysis, Observer, Reuse, analyse_again, draw};
use crate::archive::{Archive, manifest};
use crate::backend::choose::choose;
use crate::config::{BackendChoice, Settings};
use crate::math::random::uniform;
use crate::report::files;
use crate::report::run_json::InputFile;
use crate::report::table::{Table, Values};
use crate::screen::Screen;
use crate::synergy::{MatrixScore, Score};
use crate::{Error, Result};
use sha2::{Digest, Sha256};
use std::path::Path;

/// Share of rows that another back end may give another minimum for.
const OTHER_MINIMUM: f64 = 0.01;
/// Viabilities of wells on two back ends.
const WELLS: f64 = 3e-6;

/// How much of the draws is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every matrix.
    All,
    /// So many matrices, chosen by the archive's seed; everything but draws is computed for all.
    Sample(usize),
}

/// One thing that was checked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What: a file, an input, a table.
    pub what: String,
    /// In words: what agrees, or where and how it differs.
    pub detail: String,
    /// Whether it is as it should be.
    pub agrees: bool,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Everything that was checked, in order.
    pub checked: Vec<Checked>,
    /// What could not be checked, and what else should be known.
    pub notes: Vec<String>,
}

impl Verification {
    /// Whether nothing differs.
    pub fn is_sound(&self) -> bool {
        self.checked.iter().all(|one| one.agrees)
    }

    fn add(&mut self, what: impl Into<String>, agrees: bool, detail: impl Into<String>) {
        self.checked.push(Checked { what: what.into(), detail: detail.into(), agrees });
    }
}

/// Checks a folder.
///
/// # Errors
/// Where there is no `run.json` that this program can read, where the back end cannot be opened, or where the archive holds
/// nothing to compute from. What differs is no error but in the result.
pub fn verify(dir: &Path, scope: Scope, backend: Option<BackendChoice>, observe: Observer<'_>) -> Result<Verification> {
    let record = manifest::record(dir)?;
    let mut found = Verification::default();
    let faults = manifest::faults(dir, &record)?;
    for fault in &faults {
        found.add("files", false, fault.to_string());
    }
    if faults.is_empty() {
        found.add("files", !record.files.is_empty(), format!("{} files have their hashes", record.files.len()));
    }
    inputs(&record.inputs, &mut found);
    if !faults.is_empty() {
        found.notes.push("numbers were not computed again: the files to compute them from are not sound".into());
        return Ok(found);
    }
    let archive = Archive::open(dir)?;
    let restored = archive.restore(true)?;
    if record.version != env!("CARGO_PKG_VERSION") {
        let now = env!("CARGO_PKG_VERSION");
        found.notes.push(format!("the numbers are of isobole {}, and checked by isobole {now}", record.version));
    }
    let backend = match backend {
        None => archive.backend()?,
        Some(choice) => choose(choice)?.backend,
    };
    let settings = &archive.settings;
    let screen = &restored.screen;
    let all = scope == Scope::All || record.counts.matrices == 0;
    let drawn =
        |matrices: &[crate::screen::dose_matrix::DoseMatrix]| archive.drawn(matrices, &settings.synergy, screen);
    let known = Reuse { drawn: (!all).then_some(&drawn), ..Reuse::default() };
    let mut analysis = analyse_again(screen, settings, backend.as_ref(), known, observe)?;
    let knowledge = archived_knowledge(&archive, settings)?;
    know(&mut analysis, screen, settings, &knowledge);
    let same_backend = backend.name() == record.backend;
    let computed = tables(screen, settings, &analysis, &knowledge, Extent::Full, &|_| true);
    for name in record.files.keys().filter_map(|file| file.strip_suffix(".parquet")) {
        if !computed.iter().any(|table| table.name == name) {
            found.add(format!("table `{name}`"), false, "is in the archive, and does not come out now");
        }
    }
    if same_backend {
        for table in &computed {
            byte_for_byte(&archive, table, &mut found)?;
        }
    } else {
        found.notes.push(format!(
            "computed on {}, checked on {}: compared within the certified tolerance",
            record.backend,
            backend.name()
        ));
        for table in &computed {
            within_tolerance(&archive, table, &mut found)?;
        }
    }
    if let (Scope::Sample(_), false, false) = (scope, all, same_backend) {
        let note = "draws were not made again: another back end ends a single draw of a flat valley elsewhere in it";
        found.notes.push(note.into());
    }
    if let (Scope::Sample(n), false, true) = (scope, all, same_backend) {
        let only = sample(analysis.scores.len(), n, settings.seed);
        let mut scores = without_draws(&analysis.scores);
        draw(&mut scores, &analysis, &settings.synergy, &only, screen, settings, backend.as_ref())?;
        draws(&analysis, &scores, &only, settings, screen, &mut found);
    }
    Ok(found)
}

/// Inputs that are where they were.
fn inputs(inputs: &[InputFile], found: &mut Verification) {
    for input in inputs {
        let path = Path::new(&input.path);
        match InputFile::of(path) {
            Err(Error::File { .. }) => {
                found.notes.push(format!("input `{}` is not there: only its hash is known", input.path));
            }
            Err(error) => found.add("inputs", false, error.to_string()),
            Ok(now) if now.sha256 == input.sha256 => {
                found.add("inputs", true, format!("`{}` has its hash", input.path))
            }
            Ok(_) => found.add("inputs", false, format!("`{}` has changed since the run", input.path)),
        }
    }
}

/// Whether a table that was computed anew has the bytes of the archive's.
fn byte_for_byte(archive: &Archive, table: &Table, found: &mut Verification) -> Result<()> {
    let name = format!("{}.parquet", table.name);
    let what = format!("table `{}`", table.name);
    let Some(hash) = archive.record.files.get(&name) else {
        found.add(what, false, "is not in the archive, and comes out now");
        return Ok(());
    };
    let bytes = files::bytes(table, &archive.record.identity())?;
    let now: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if now == *hash {
        found.add(what, true, format!("{} rows, the same bytes", table.rows()));
        return Ok(());
    }
    let before = files::read(&archive.path(&name))?;
    found.add(what, false, first_difference(&before, table));
    Ok(())
}

fn same(a: &Values, b: &Values, row: usize) -> bool {
    a.text(row) == b.text(row)
        && a.number(row).map(f64::to_bits) == b.number(row).map(f64::to_bits)
        && match (a, b) {
            (Values::Flag(a), Values::Flag(b)) => a.get(row) == b.get(row),
            _ => true,
        }
}

fn value(values: &Values, row: usize) -> String {
    let number = || values.number(row).map(|number| number.to_string());
    values.text(row).map(str::to_owned).or_else(number).unwrap_or_else(|| "nothing".into())
}

/// Where two tables differ first, column by column, and in how many cells.
fn first_difference(before: &Table, now: &Table) -> String {
    if before.rows() != now.rows() {
        return format!("has {} rows, and {} come out now", before.rows(), now.rows());
    }
    let mut differing = 0usize;
    let mut first = None;
    for column in &now.columns {
        let Some(old) = before.column(&column.name) else {
            return format!("has no column `{}`, which comes out now", column.name);
        };
        for row in (0..now.rows()).filter(|row| !same(old, &column.values, *row)) {
            differing += 1;
            first.get_or_insert_with(|| {
                let (old, new) = (value(old, row), value(&column.values, row));
                format!("`{}` of row {row} is {old}, and {new} comes out now", column.name)
            });
        }
    }
    if let Some(gone) = before.columns.iter().find(|column| now.column(&column.name).is_none()) {
        return format!("has a column `{}`, which does not come out now", gone.name);
    }
    match first {
        Some(first) => format!("{first}; {differing} cells differ"),
        None => "has the same values in other bytes".into(),
    }
}

/// The columns of a table that another back end must give alike, each with how far a row may be off.
fn tolerances(table: &Table) -> Vec<(String, Vec<Option<f64>>)> {
    let numbers = |name: &str| match table.column(name) {
        Some(Values::Number(numbers)) => Some(numbers.as_slice()),
        _ => None,
    };
    let errors = |name: &str, share: f64, floor: f64| -> Option<Vec<Option<f64>>> {
        Some(numbers(name)?.iter().map(|se| se.map(|se| share * se + floor)).collect())
    };
    let mut all = Vec::new();
    for column in &table.columns {
        let name = column.name.as_str();
        let allowed = match (table.name.as_str(), name) {
            ("wells", "response") => numbers(name).map(|all| vec![Some(WELLS); all.len()]),
            ("curves", _) if !name.starts_with("se_") => {
                errors(&format!("se_{name}"), crate::bench::agreement::CLOSE, 1e-9)
            }
            // A mean excess rests on fits that may each be off by that.
            ("synergy", _) if name.starts_with("score_") && !name.ends_with("_unflagged") => {
                errors(&name.replacen("score_", "se_", 1), 0.05, 1e-4)
            }
            ("pairs", "score") => match (numbers("ci_low"), numbers("ci_high")) {
                (Some(low), Some(high)) => {
                    let width = |(low, high): (&Option<f64>, &Option<f64>)| Some(0.05 * ((*high)? - (*low)?) + 1e-4);
                    Some(low.iter().zip(high).map(width).collect())
                }
                _ => None,
            },
            _ => None,
        };
        all.extend(allowed.map(|allowed| (name.to_owned(), allowed)));
    }
    all
}

fn within_tolerance(archive: &Archive, table: &Table, found: &mut Verification) -> Result<()> {
    let name = format!("{}.parquet", table.name);
    let before = files::read(&archive.path(&name))?;
    let what = format!("table `{}`", table.name);
    if before.rows() != table.rows() {
        found.add(what, false, first_difference(&before, table));
        return Ok(());
    }
    for (column, allowed) in tolerances(&before) {
        let (Some(old), Some(new)) = (before.column(&column), table.column(&column)) else {
            found.add(what.clone(), false, format!("column `{column}` is on one back end alone"));
            continue;
        };
        let compared = (0..table.rows()).filter_map(|row| {
            let (allowed, old) = ((*allowed.get(row)?)?, old.number(row)?);
            Some((row, new.number(row).is_some_and(|new| (old - new).abs() <= allowed)))
        });
        let (mut n, mut apart, mut first) = (0usize, 0usize, None);
        for (row, near) in compared {
            n += 1;
            if !near {
                apart += 1;
                first.get_or_insert(row);
            }
        }
        // Of few rows one may be.
        let agrees = apart as f64 <= (OTHER_MINIMUM * n as f64).max(1.0);
        let detail = match first {
            None => format!("column `{column}`: all of {n} agree"),
            Some(row) => format!(
                "column `{column}`: {apart} of {n} are apart, the first in row {row}, {} and {}",
                value(old, row),
                value(new, row)
            ),
        };
        found.add(what.clone(), agrees, detail);
    }
    Ok(())
}

/// Which matrices to draw: `n` of `of`, the same for the same seed.
fn sample(of: usize, n: usize, seed: u64) -> Vec<bool> {
    let mut order: Vec<(f64, usize)> = (0..of).map(|i| (uniform(seed, i as u64, 0, 0), i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut chosen = vec![false; of];
    order.into_iter().take(n).for_each(|(_, i)| chosen[i] = true);
    chosen
}

/// Scores as they are before draws.
fn without_draws(scores: &[MatrixScore]) -> Vec<MatrixScore> {
    let mut scores = scores.to_vec();
    for matrix in &mut scores {
        for score in &mut matrix.scores {
            let Score { score: value, unflagged, peak, peak_efficacy, top_decile, volume, boxed, .. } = *score;
            let (peak_dose_a, peak_dose_b) = (score.peak_dose_a, score.peak_dose_b);
            let reason = if value.is_some() { Some("not_resampled") } else { score.reason };
            *score = Score {
                score: value,
                unflagged,
                peak,
                peak_efficacy,
                top_decile,
                volume,
                boxed,
                peak_dose_a,
                peak_dose_b,
                reason,
                ..Score::default()
            };
        }
        matrix.cells.iter_mut().for_each(|cell| cell.departures.iter_mut().for_each(|one| *one = None));
    }
    scores
}

/// Compares what draws say of the sampled matrices with the archive's, which the analysis has.
fn draws(
    analysis: &Analysis,
    drawn: &[MatrixScore],
    only: &[bool],
    settings: &Settings,
    screen: &Screen,
    found: &mut Verification,
) {
    let sampled = || (0..only.len()).filter(|i| only[*i]);
    let n = sampled().count();
    for (m, model) in settings.synergy.iter().enumerate() {
        let numbers = |score: &Score| {
            [
                score.standard_error,
                score.p,
                score.ci_low,
                score.ci_high,
                score.mean_r_f,
                score.mean_r_p,
                score.max_r,
                score.max_r_p,
            ]
        };
        let differs = |i: usize| {
            let (old, new) = (&analysis.scores[i].scores[m], &drawn[i].scores[m]);
            let cells = analysis.scores[i].cells.iter().zip(&drawn[i].cells);
            let bits = |score: &Score| numbers(score).map(|number| number.map(f64::to_bits));
            bits(old) != bits(new) || cells.into_iter().any(|(a, b)| a.departures.get(m) != b.departures.get(m))
        };
        let differing: Vec<usize> = sampled().filter(|i| differs(*i)).collect();
        let what = format!("draws of {}", model.name());
        match differing.first() {
            None => found.add(what, true, format!("{n} of {} matrices drawn anew agree", only.len())),
            Some(first) => {
                let key = analysis.scores[*first].key;
                let name = format!(
                    "{} + {} in {}",
                    screen.drugs.name(key.drug_a),
                    screen.drugs.name(key.drug_b),
                    screen.lines.name(key.line)
                );
                let detail = format!("{} of {n} matrices drawn anew differ, the first {name}", differing.len());
                found.add(what, false, detail);
            }
        }
    }
}
