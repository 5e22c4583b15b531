//! Whether a folder is whole: the files that `run.json` lists, with the bytes that it lists.

use crate::report::files;
use crate::report::run_json::{InputFile, RunRecord, SCHEMA_VERSION};
use crate::resistance::knowledge::Knowledge;
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::Path;

/// Reads `run.json`, if this program knows its layout.
///
/// # Errors
/// [`Error::File`] where there is none, [`Error::Format`] for one of a newer layout or settings that were edited.
pub fn record(dir: &Path) -> Result<RunRecord> {
    let path = dir.join("run.json");
    let text = std::fs::read(&path).map_err(|source| Error::File { action: "read", path: path.clone(), source })?;
    let refuse = |problem: String, hint: &str| Error::Format {
        path: path.clone(),
        row_group: None,
        column: None,
        problem,
        hint: Some(hint.into()),
    };
    // The version first: what else is in a newer one may not be what this program expects.
    let version = |text: &[u8]| -> Option<(String, String)> {
        let value: serde_json::Value = serde_json::from_slice(text).ok()?;
        let text = |key: &str| value.get(key)?.as_str().map(str::to_owned);
        Some((text("schema_version")?, text("version").unwrap_or_default()))
    };
    if let Some((layout, program)) = version(&text) {
        let newest: u32 = SCHEMA_VERSION.parse().unwrap_or(0);
        if layout.parse::<u32>().map_or(true, |layout| layout > newest) {
            return Err(refuse(
                format!(
                    "is of layout version {layout}, written by isobole {program}; this is isobole {}, which reads up to {newest}",
                    env!("CARGO_PKG_VERSION")
                ),
                "use the newer isobole",
            ));
        }
    }
    let record = RunRecord::read(dir)?;
    if !record.has_its_settings() {
        return Err(refuse(
            "its settings are not those that its hash is of: the file was edited".into(),
            "run the screen again, or bring back the original file",
        ));
    }
    Ok(record)
}

/// The folder in a result folder with the tables of what is known that were not the built-in ones.
pub const KNOWLEDGE: &str = "knowledge";

/// Whether something is computed from a file. Pages, pictures and CSV copies of tables are for people, who may fill in a
/// picklist or lose a page; what is known is CSV too, and is computed from.
fn is_data(name: &str) -> bool {
    let for_people = [".html", ".svg", ".csv"].iter().any(|ending| name.ends_with(ending));
    !for_people || is_knowledge(name)
}

/// Whether a listed file is a table of what is known.
pub fn is_knowledge(name: &str) -> bool {
    name.strip_prefix(KNOWLEDGE).is_some_and(|rest| rest.starts_with('/'))
}

/// The same for the files that later stages begin with: a page that is lost or was edited keeps nobody from reading on.
///
/// # Errors
/// As [`faults`].
pub fn faults_of_data(dir: &Path, record: &RunRecord) -> Result<Vec<Error>> {
    let mut data = record.clone();
    data.files.retain(|name, _| is_data(name));
    faults(dir, &data)
}

/// What is wrong with the files that the record lists, one fault a file, in the order of names.
///
/// # Errors
/// Where files cannot be read though they are there.
pub fn faults(dir: &Path, record: &RunRecord) -> Result<Vec<Error>> {
    let listed: Vec<(&String, &String)> = record.files.iter().collect();
    let found: Vec<Option<Error>> = listed.par_iter().map(|(name, hash)| fault(dir, record, name, hash)).collect();
    Ok(found.into_iter().flatten().collect())
}

/// Whether every table of what is known that would be read is one that the run has read.
///
/// # Errors
/// [`Error::Format`] for one that was changed since, or that came later.
pub fn faults_of_knowledge(record: &RunRecord, folder: Option<&Path>) -> Result<()> {
    for path in folder.map(Knowledge::files).unwrap_or_default() {
        let now = InputFile::of(&path)?;
        if !record.inputs.iter().any(|input| input.sha256 == now.sha256) {
            let problem = "is no table that the run has read: it was changed, or came later".into();
            let hint = Some("bring back the tables that it has read".into());
            return Err(Error::Format { path, row_group: None, column: None, problem, hint });
        }
    }
    Ok(())
}

fn fault(dir: &Path, record: &RunRecord, name: &str, hash: &str) -> Option<Error> {
    let path = dir.join(name);
    let broken = |problem: String, hint: &str| {
        let (path, hint) = (path.clone(), Some(hint.into()));
        Some(Error::Format { path, row_group: None, column: None, problem, hint })
    };
    // A name in an edited record could lead anywhere.
    let inside = if is_knowledge(name) { &name[KNOWLEDGE.len() + 1..] } else { name };
    let plain = |part: std::path::Component<'_>| matches!(part, std::path::Component::Normal(_));
    if Path::new(inside).components().count() != 1 || !Path::new(inside).components().all(plain) {
        return broken("is no file of a result folder".into(), "the list of files in `run.json` was edited");
    }
    if !path.exists() {
        return broken("is missing: `run.json` lists it".into(), "bring it back, or run the screen again");
    }
    if name.ends_with(".parquet") {
        match files::read_identity(&path) {
            Err(error) => return Some(error),
            Ok(identity) if identity.settings_sha256 != record.settings_sha256 => {
                return broken(
                    "is a table of another run: its settings are not those in `run.json`".into(),
                    "bring back the table of this run, or run the screen again",
                );
            }
            Ok(identity) if identity.schema_version != record.schema_version => {
                let (own, said) = (&identity.schema_version, &record.schema_version);
                return broken(
                    format!("is of layout version {own}, not of {said} as `run.json` says"),
                    "bring back the original files, or run the screen again",
                );
            }
            Ok(_) => {}
        }
    }
    match InputFile::of(&path) {
        Err(error) => Some(error),
        Ok(file) if file.sha256 != hash => broken(
            "was changed after the run: its bytes are not those that `run.json` has the hash of".into(),
            "bring back the original file, or run the screen again",
        ),
        Ok(_) => None,
    }
}
