//! Files that are either whole or not there: written beside their place under another name, synced, then renamed.

use super::run_json::RunIdentity;
use super::table::Table;
use super::{columnar, delimited};
use crate::{Error, Result};
use std::fs::{self, File};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

/// Creates the output folder and proves that it can be written to, before the long work.
///
/// # Errors
/// [`Error::File`] naming the folder.
pub fn prepare(dir: &Path) -> Result<()> {
    fs::create_dir_all(dir).map_err(|source| file_error("create", dir, source))?;
    let probe = dir.join(format!(".isobole-probe-{}", std::process::id()));
    fs::write(&probe, b"isobole").map_err(|source| file_error("write into", dir, source))?;
    fs::remove_file(&probe).map_err(|source| file_error("remove a file from", dir, source))
}

/// Writes `table` as `dir/NAME.parquet`, and as `dir/NAME.csv` when asked; gives the Parquet file's path. Identical
/// tables make identical bytes.
///
/// # Errors
/// [`Error::File`] when the file cannot be written, [`Error::Format`] for a table whose columns do not fit together.
pub fn write(table: &Table, dir: &Path, identity: &RunIdentity, csv: bool) -> Result<PathBuf> {
    let path = dir.join(format!("{}.parquet", table.name));
    write_parquet(table, &path, identity)?;
    if csv {
        write_whole(&dir.join(format!("{}.csv", table.name)), |out| delimited::write(table, out))?;
    }
    Ok(path)
}

/// The bytes that [`write()`] writes as Parquet.
///
/// # Errors
/// [`Error::Format`] for a table whose columns do not fit together.
pub fn bytes(table: &Table, identity: &RunIdentity) -> Result<Vec<u8>> {
    let path = PathBuf::from(format!("{}.parquet", table.name));
    if let Some(problem) = table.problem() {
        return Err(Error::Format { path, row_group: None, column: None, problem, hint: None });
    }
    let mut bytes = Vec::new();
    columnar::write(table, identity, &mut bytes).map_err(|source| file_error("write", &path, source))?;
    Ok(bytes)
}

/// The bytes that [`write()`] writes as CSV.
///
/// # Errors
/// [`Error::File`] when they cannot be made.
pub fn csv_bytes(table: &Table) -> Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let path = PathBuf::from(format!("{}.csv", table.name));
    delimited::write(table, &mut bytes).map_err(|source| file_error("write", &path, source))?;
    Ok(bytes)
}

/// Copies a table of a run with the settings of `before` as one of a run with those of `now`: the hash of the settings, which
/// stands in the footer, is all that tells the two apart. The bytes are those that writing the table anew would make.
///
/// # Errors
/// [`Error::File`] when it cannot be read or written, [`Error::Format`] for a file that is no table of such a run, or was
/// written by another version.
pub fn copy_as(from: &Path, dir: &Path, before: &RunIdentity, now: &RunIdentity) -> Result<PathBuf> {
    let refuse = |problem: &str| {
        let (path, problem) = (from.to_owned(), problem.to_owned());
        Error::Format { path, row_group: None, column: None, problem, hint: None }
    };
    let path = dir.join(from.file_name().unwrap_or_default());
    let mut bytes = fs::read(from).map_err(|source| file_error("read", from, source))?;
    if (&before.version, &before.schema_version) != (&now.version, &now.schema_version) {
        return Err(refuse("is of another version, and would be written otherwise by this one"));
    }
    // A Parquet file ends with its footer, the footer's length in four bytes, and the letters PAR1.
    let end = bytes.len().checked_sub(8).filter(|end| bytes.get(end + 4..) == Some(b"PAR1".as_slice()));
    let length = end.and_then(|end| bytes.get(end..end + 4)?.try_into().ok()).map(u32::from_le_bytes);
    let footer = end.zip(length).and_then(|(end, length)| Some(end.checked_sub(length as usize)?..end));
    let Some(footer) = footer else { return Err(refuse("has no Parquet footer")) };
    let (old, new) = (before.settings_sha256.as_bytes(), now.settings_sha256.as_bytes());
    let place = bytes[footer.clone()].windows(old.len().max(1)).position(|part| part == old);
    let Some(place) = place.filter(|_| old.len() == new.len()) else {
        return Err(refuse("does not say of which settings it is"));
    };
    let at = footer.start + place;
    bytes[at..at + new.len()].copy_from_slice(new);
    write_whole(&path, |out| out.write_all(&bytes))?;
    Ok(path)
}

/// Writes `table` as Parquet at exactly `path`.
///
/// # Errors
/// As [`write()`].
pub fn write_parquet(table: &Table, path: &Path, identity: &RunIdentity) -> Result<()> {
    if let Some(problem) = table.problem() {
        return Err(Error::Format { path: path.into(), row_group: None, column: None, problem, hint: None });
    }
    write_whole(path, |out| columnar::write(table, identity, out))
}

/// Reads a table that [`write()`] wrote. Text comes back as names.
///
/// # Errors
/// [`Error::File`] when it cannot be opened, [`Error::Format`] when it is no such table.
pub fn read(path: &Path) -> Result<Table> {
    columnar::read(path).map(|(table, _)| table)
}

/// Reads the identity of the run that wrote a table; an empty text for a key that is missing.
///
/// # Errors
/// As [`read`].
pub fn read_identity(path: &Path) -> Result<RunIdentity> {
    columnar::read_identity(path)
}

/// Writes a file as a whole: into a temporary neighbour, synced, renamed. A failure leaves what was there before.
///
/// # Errors
/// [`Error::File`] naming the file.
pub fn write_whole(path: &Path, fill: impl FnOnce(&mut (dyn Write + Send)) -> io::Result<()>) -> Result<()> {
    let partial = Partial::of(path)?;
    let mut out = BufWriter::with_capacity(1 << 18, partial.create()?);
    fill(&mut out)
        .and_then(|()| out.into_inner().map_err(io::IntoInnerError::into_error)?.sync_all())
        .map_err(|source| file_error("write", path, source))?;
    partial.publish()
}

/// The temporary neighbour of a file that is being written; gone when dropped, unless published before.
pub(super) struct Partial {
    /// Where the file is to be.
    pub path: PathBuf,
    /// Where it is until then.
    pub partial: PathBuf,
}

impl Partial {
    /// The neighbour of `path`; nothing is made yet.
    pub fn of(path: &Path) -> Result<Self> {
        let Some(name) = path.file_name() else {
            return Err(file_error("write", path, io::Error::from(io::ErrorKind::InvalidFilename)));
        };
        // A rename would replace a device or a link by a file.
        if fs::symlink_metadata(path).is_ok_and(|m| !m.is_file()) {
            let source = io::Error::new(io::ErrorKind::InvalidInput, "something that is no regular file is there");
            return Err(file_error("write", path, source));
        }
        let mut partial_name = std::ffi::OsString::from(".");
        partial_name.push(name);
        partial_name.push(format!(".{}.partial", std::process::id()));
        Ok(Self { path: path.into(), partial: path.with_file_name(partial_name) })
    }

    /// Makes it, empty.
    pub fn create(&self) -> Result<File> {
        File::create(&self.partial).map_err(|source| file_error("write", &self.path, source))
    }

    /// Moves it to its place. It must have been synced.
    pub fn publish(self) -> Result<()> {
        let path = &self.path;
        fs::rename(&self.partial, path).map_err(|source| file_error("rename a finished file to", path, source))?;
        // The rename itself survives a power cut only once the folder is synced; where folders cannot be opened
        // (Windows) the file system takes care of it.
        if let Some(parent) = path.parent()
            && let Ok(folder) = File::open(if parent.as_os_str().is_empty() { Path::new(".") } else { parent })
        {
            let _ = folder.sync_all();
        }
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        // Not there once published; otherwise the failure that led here is the one to tell.
        let _ = fs::remove_file(&self.partial);
    }
}

pub(super) fn file_error(action: &'static str, path: &Path, source: io::Error) -> Error {
    Error::File { action, path: path.into(), source }
}
