//! What an earlier screen left in the folder of a new one: a table of its evidence, or its `screen.toml`, would be read as
//! belonging to the new plates.

use super::write::{Beside, CREATED_BY, screen_toml};
use crate::{Error, Result};
use parquet::file::reader::{FileReader, SerializedFileReader};
use std::path::Path;

/// Every table of wells or of truth. Parquet says what made it; a text beside them may have become a user's own.
const TABLES: [&str; 5] =
    ["plates.parquet", "truth_evidence.parquet", "truth_apoptosis.parquet", "curves.parquet", "truth.parquet"];

/// Removes from `dir` the tables that an earlier screen, or an earlier table of curves, left there and `written` does not
/// replace, and the `screen.toml` that named them. Tables of these names that simulation did not write stay; so does a
/// `screen.toml` that was changed, and so do other texts, which nothing reads that is not told to.
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
    TABLES.into_iter().filter(|table| is_simulated(&dir.join(table))).try_for_each(remove)
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
