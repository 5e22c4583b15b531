//! A result folder checked: its files by their hashes, and its numbers by computing them again from the wells as read.
//!
//! On the back end that computed them, the tables must come out with the same bytes. On another one, and where an older
//! layout wrote them, they must agree within what is certified between back ends. Draws are compared on the
//! same back end alone. What cannot be checked is said to be so, and is no difference.

mod bytes;
mod columns;
mod draws;
mod tolerance;

use super::{Extent, know, knowledge_of, tables};
use crate::analysis::{Observer, Reuse, Stage, analyse_again, draw, normalise};
use crate::archive::{Archive, Restored, manifest};
use crate::backend::choose::choose;
use crate::config::BackendChoice;
use crate::report::files;
use crate::report::run_json::{InputFile, RunRecord, SCHEMA_VERSION};
use crate::report::table::Table;
use crate::{Error, Result};
use std::collections::BTreeSet;
use std::path::Path;

/// How much of the draws is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Every matrix.
    All,
    /// So many matrices, chosen by the archive's seed; everything but draws is computed for all.
    Sample(usize),
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Agrees,
    /// Not as it should be.
    Differs,
    /// Nobody can tell.
    NotChecked,
}

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Checked {
    /// What: a file, an input, a table.
    pub what: String,
    /// In words: what agrees, where and how it differs, or why it could not be checked.
    pub detail: String,
    /// What came of it.
    pub verdict: Verdict,
}

/// What came of a check.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Verification {
    /// Everything that was looked at, in order.
    pub checked: Vec<Checked>,
    /// What else should be known.
    pub notes: Vec<String>,
}

impl Verification {
    /// Whether nothing differs; what could not be checked does not.
    pub fn is_sound(&self) -> bool {
        self.with(Verdict::Differs).is_empty()
    }

    /// What came to this verdict, by name.
    pub fn with(&self, verdict: Verdict) -> Vec<&str> {
        self.checked.iter().filter(|one| one.verdict == verdict).map(|one| one.what.as_str()).collect()
    }

    fn add(&mut self, what: impl Into<String>, verdict: Verdict, detail: impl Into<String>) {
        self.checked.push(Checked { what: what.into(), detail: detail.into(), verdict });
    }
}

/// Checks a folder.
///
/// # Errors
/// Where there is no `run.json` that this program can read, or where the back end cannot be opened. What differs or cannot be
/// checked is no error but in the result.
pub fn verify(dir: &Path, scope: Scope, backend: Option<BackendChoice>, observe: Observer<'_>) -> Result<Verification> {
    let record = manifest::record(dir)?;
    let mut found = Verification::default();
    let is_whole = listed_files(dir, &record, &mut found)?;
    inputs(&record, &mut found);
    if !is_whole {
        let why = "not computed again: the files to compute them from are not sound";
        found.add("numbers", Verdict::NotChecked, why);
        return Ok(found);
    }
    let archive = Archive::open(dir)?;
    let restored = match archive.restore(true) {
        Err(error) if !archive.has_stages() => {
            found.add("numbers", Verdict::NotChecked, format!("not computed again: {error}"));
            return Ok(found);
        }
        restored => restored?,
    };
    let backend = match backend {
        None => archive.backend()?,
        Some(choice) => choose(choice)?.backend,
    };
    numbers(&archive, &restored, scope, backend.as_ref(), &mut found, observe)?;
    Ok(found)
}

/// Compares the numbers with those that are computed now.
fn numbers(
    archive: &Archive,
    restored: &Restored,
    scope: Scope,
    backend: &dyn crate::backend::Backend,
    found: &mut Verification,
    observe: Observer<'_>,
) -> Result<()> {
    let Archive { record, settings, dir } = archive;
    let screen = &restored.screen;
    if record.version != env!("CARGO_PKG_VERSION") {
        let now = env!("CARGO_PKG_VERSION");
        found.notes.push(format!("the numbers are of isobole {}, and checked by isobole {now}", record.version));
    }
    let kept = tables_of(dir, record)?;
    let extent = match (kept.contains("curves"), kept.contains("wells")) {
        (true, _) => Extent::Full,
        (false, true) => Extent::Normalised,
        (false, false) => Extent::Quality,
    };
    let same_layout = record.schema_version == SCHEMA_VERSION;
    let same_backend = backend.name() == record.backend;
    // Older layouts kept less of what draws said than is asked of them here.
    let all = scope == Scope::All || record.counts.matrices == 0 || !same_layout;
    let mut analysis = match extent {
        Extent::Full => {
            let drawn = |matrices: &[crate::screen::dose_matrix::DoseMatrix]| {
                archive.drawn(matrices, &settings.synergy, screen)
            };
            let known = Reuse { drawn: (!all).then_some(&drawn), ..Reuse::default() };
            analyse_again(screen, settings, backend, known, observe)?
        }
        Extent::Quality | Extent::Normalised => {
            observe(Stage::Plates, &format!("{} wells on {} plates", screen.wells.len(), screen.plates.len()));
            normalise(screen, settings, backend)?
        }
    };
    let knowledge = knowledge_of(settings)?;
    know(&mut analysis, screen, settings, &knowledge);
    let computed = tables(screen, settings, &analysis, &knowledge, extent, &|_| true);
    for name in kept.iter().filter(|name| !computed.iter().any(|table| table.name == **name)) {
        found.add(format!("table `{name}`"), Verdict::Differs, "is in the archive, and does not come out now");
    }
    let (there, not_there): (Vec<&Table>, Vec<&Table>) =
        computed.iter().partition(|table| kept.contains(table.name.as_str()));
    if same_layout {
        for table in not_there {
            let problem = "is not in the archive, and comes out now";
            found.add(format!("table `{}`", table.name), Verdict::Differs, problem);
        }
    } else if !not_there.is_empty() {
        let names: Vec<&str> = not_there.iter().map(|table| table.name.as_str()).collect();
        let note = format!("layout version {} had no {}", record.schema_version, names.join(", "));
        found.notes.push(note);
    }
    if same_backend && same_layout {
        for table in there {
            bytes::byte_for_byte(archive, table, found)?;
        }
    } else {
        let why = match same_backend {
            true => format!("written in layout version {}", record.schema_version),
            false => format!("computed on {}, checked on {}", record.backend, backend.name()),
        };
        found.notes.push(format!("{why}: compared within the certified tolerance"));
        let (mut others, mut one_sided) = (Vec::new(), columns::OneSided::default());
        for table in there {
            let before = files::read(&archive.path(&format!("{}.parquet", table.name)))?;
            let name = &table.name;
            one_sided.look(&before, table, same_layout, &tolerance::needed(&before, table), found);
            match tolerance::within_tolerance(&before, table, same_backend, found) {
                None => others.push(name.clone()),
                Some(rest) if rest.is_empty() => {}
                Some(rest) => {
                    let why = format!("no tolerance is certified for its columns {}", rest.join(", "));
                    found.add(format!("table `{name}`"), Verdict::NotChecked, why);
                }
            }
        }
        one_sided.note(&record.schema_version, found);
        if !others.is_empty() {
            let why = format!("no tolerance is certified for any number of {}", others.join(", "));
            found.add("other tables", Verdict::NotChecked, why);
        }
        if record.counts.matrices > 0 {
            let why = "another back end or layout ends a single draw of a flat valley elsewhere in it";
            found.add("draws", Verdict::NotChecked, why);
        }
        return Ok(());
    }
    if let (Scope::Sample(n), false) = (scope, all) {
        let only = draws::sample(analysis.scores.len(), n, settings.seed);
        let mut scores = draws::without_draws(&analysis.scores);
        draw(&mut scores, &analysis, &settings.synergy, &only, screen, settings, backend)?;
        draws::draws(&analysis, &scores, &only, settings, screen, found);
    }
    Ok(())
}

/// Whether the files are those of the hashes; of layout version 1, which has none, whether each table is one of this run.
fn listed_files(dir: &Path, record: &RunRecord, found: &mut Verification) -> Result<bool> {
    if record.schema_version == "1" {
        let names = tables_of(dir, record)?;
        for name in &names {
            let path = dir.join(format!("{name}.parquet"));
            let fault = match files::read(&path).and_then(|_| files::read_identity(&path)) {
                Err(error) => error.to_string(),
                Ok(identity) if identity.settings_sha256 != record.settings_sha256 => {
                    format!("`{}`: is a table of another run: its settings are not those in `run.json`", path.display())
                }
                Ok(identity) if identity.schema_version != record.schema_version => {
                    let (own, said) = (&identity.schema_version, &record.schema_version);
                    format!("`{}`: is of layout version {own}, not of {said} as `run.json` says", path.display())
                }
                Ok(_) => continue,
            };
            found.add("files", Verdict::Differs, fault);
        }
        let is_whole = found.is_sound();
        if is_whole {
            let detail = format!("{} tables can be read and carry the hash of these settings", names.len());
            found.add("files", if names.is_empty() { Verdict::Differs } else { Verdict::Agrees }, detail);
        }
        let why =
            "layout version 1 recorded none: what was changed in a table shows only where numbers are computed again";
        found.add("hashes of files", Verdict::NotChecked, why);
        return Ok(is_whole && !names.is_empty());
    }
    let faults = manifest::faults(dir, record)?;
    for fault in &faults {
        found.add("files", Verdict::Differs, fault.to_string());
    }
    if faults.is_empty() {
        let verdict = if record.files.is_empty() { Verdict::Differs } else { Verdict::Agrees };
        found.add("files", verdict, format!("{} files have their hashes", record.files.len()));
    }
    let has = |name: &str| record.files.contains_key(name);
    if has("curves.parquet") && !has(crate::archive::stages::FILE) {
        let detail = format!("the list in `run.json` lacks `{}`, which every run writes", crate::archive::stages::FILE);
        found.add("files", Verdict::Differs, detail);
    }
    // A page that was lost or a picklist that was filled in is named above, and keeps no number from being checked.
    Ok(manifest::faults_of_data(dir, record)?.is_empty())
}

/// Names of the tables of a folder: those that it lists; of layout version 1, which has no list, those that are there.
fn tables_of(dir: &Path, record: &RunRecord) -> Result<BTreeSet<String>> {
    let table = |file: &str| file.strip_suffix(".parquet").map(str::to_owned);
    if record.schema_version != "1" {
        return Ok(record.files.keys().filter_map(|file| table(file)).collect());
    }
    let unreadable = |source| Error::File { action: "read", path: dir.to_owned(), source };
    let mut names = BTreeSet::new();
    for entry in std::fs::read_dir(dir).map_err(unreadable)? {
        names.extend(entry.map_err(unreadable)?.file_name().to_str().and_then(table));
    }
    Ok(names)
}

/// Inputs that are where they were.
fn inputs(record: &RunRecord, found: &mut Verification) {
    for InputFile { path, sha256, .. } in &record.inputs {
        match InputFile::of(Path::new(path)) {
            // Copies are checked with the other files.
            Err(Error::File { .. }) if record.files.values().any(|hash| hash == sha256) => {
                found.add("inputs", Verdict::Agrees, format!("`{path}` is not there, and its copy in the archive is"));
            }
            Err(Error::File { .. }) => {
                found.add("inputs", Verdict::NotChecked, format!("`{path}` is not there: only its hash is known"));
            }
            Err(error) => found.add("inputs", Verdict::Differs, error.to_string()),
            Ok(now) if now.sha256 == *sha256 => found.add("inputs", Verdict::Agrees, format!("`{path}` has its hash")),
            Ok(_) => found.add("inputs", Verdict::Differs, format!("`{path}` has changed since the run")),
        }
    }
}
