//! What an earlier screen left in the folder of a new one: a table of its evidence, or its `screen.toml`, would be read as
//! belonging to the new plates.

use super::write::{Beside, CREATED_BY, screen_toml};
use crate::{Error, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::path::Path;

/// Every table of wells or of truth, with the text that is written beside it. Parquet says what made it; a text is known
/// by the table beside it.
const FILES: [(&str, Option<&str>); 5] = [
    ("plates.parquet", Some("lines.csv")),
    ("truth_evidence.parquet", Some("evidence.csv")),
    ("truth_apoptosis.parquet", Some("apoptosis.csv")),
    ("curves.parquet", None),
    ("truth.parquet", None),
];

/// Removes from `dir` what an earlier screen, or an earlier table of curves, left there and `written` does not replace.
/// Files of these names that simulation did not write stay, and so does a `screen.toml` that was changed.
///
/// # Errors
/// [`Error::File`] where a file cannot be removed.
pub(super) fn clear(dir: &Path, written: &[&str]) -> Result<()> {
    let remove = |name: &str| {
        let path = dir.join(name);
        if written.contains(&name) || !path.is_file() {
            return Ok(());
        }
        std::fs::remove_file(&path).map_err(|source| Error::File { action: "remove", path, source })
    };
    let name = "screen.toml";
    if std::fs::read_to_string(dir.join(name)).is_ok_and(|text| is_as_written(&text)) {
        remove(name)?;
    }
    for (table, text) in FILES {
        if is_simulated(&dir.join(table)) {
            // The text first: alone it would not be known again.
            text.map_or(Ok(()), remove)?;
            remove(table)?;
        }
    }
    Ok(())
}

/// Whether a file is Parquet that simulation wrote.
fn is_simulated(path: &Path) -> bool {
    let reader = std::fs::File::open(path).ok().and_then(|file| SerializedFileReader::new(file).ok());
    reader.is_some_and(|reader| reader.metadata().file_metadata().created_by() == Some(CREATED_BY))
}

/// Whether this is a `screen.toml` that nobody has changed.
fn is_as_written(text: &str) -> bool {
    let anchor = text.lines().find_map(|line| line.strip_prefix("anchor = '")?.strip_suffix('\''));
    let all = [(true, false), (false, true), (true, true)].map(|(evidence, apoptosis)| Beside { evidence, apoptosis });
    anchor.is_some_and(|anchor| all.into_iter().any(|beside| screen_toml(anchor, beside) == text))
}
