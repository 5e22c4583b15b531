//! Delimited text: UTF-8, with or without a byte order mark, between tabs, semicolons or commas.

use super::sheet::{Sheet, at_cell, of_file, place};
use crate::{Error, Result};
use csv::{ByteRecord, Reader, ReaderBuilder, StringRecord};
use std::fs::File;
use std::io::{BufRead, BufReader, Seek, SeekFrom};
use std::path::{Path, PathBuf};

const UTF8_MARK: &[u8] = b"\xef\xbb\xbf";
const NOT_UTF8: &str = "save it as CSV UTF-8";
/// Bytes in which the delimiter is looked for.
const LOOKED_AT: usize = 1 << 16;

/// A delimited text file that is read row by row.
pub(crate) struct TextFile {
    path: PathBuf,
    reader: Reader<BufReader<File>>,
    record: ByteRecord,
}

impl TextFile {
    /// Opens a file and finds its delimiter.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read; [`Error::Format`] if it is not text in UTF-8.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |source| Error::File { action: "read", path: path.to_owned(), source };
        let mut file = BufReader::with_capacity(LOOKED_AT, File::open(path).map_err(unreadable)?);
        let start = file.fill_buf().map_err(unreadable)?;
        if start.starts_with(b"\xff\xfe") || start.starts_with(b"\xfe\xff") {
            return Err(at_cell(path, "A1", "a UTF-16 byte order mark: the file is not UTF-8", NOT_UTF8));
        }
        if start.contains(&0) {
            return Err(of_file(path, "is not a text file", "name a CSV or TSV file, or a workbook with its ending"));
        }
        let mark = if start.starts_with(UTF8_MARK) { UTF8_MARK.len() } else { 0 };
        let delimiter = delimiter(&start[mark..]);
        file.seek(SeekFrom::Start(mark as u64)).map_err(unreadable)?;
        let reader = ReaderBuilder::new().has_headers(false).flexible(true).delimiter(delimiter).from_reader(file);
        Ok(Self { path: path.to_owned(), reader, record: ByteRecord::new() })
    }

    /// The next row that is not empty, with its number in the file from 0.
    ///
    /// # Errors
    /// [`Error::File`], [`Error::Format`] naming the cell that is not UTF-8.
    pub fn next(&mut self) -> Result<Option<(usize, StringRecord)>> {
        let Self { path, reader, record } = self;
        let more = reader.read_byte_record(record).map_err(|error| match error.into_kind() {
            csv::ErrorKind::Io(source) => Error::File { action: "read", path: path.clone(), source },
            other => of_file(path, format!("cannot be read as text between delimiters: {other:?}"), ""),
        })?;
        if !more {
            return Ok(None);
        }
        let row = record.position().map_or(0, |position| position.line() as usize).saturating_sub(1);
        if let Some(column) = record.iter().position(|cell| cell.windows(3).any(|bytes| bytes == UTF8_MARK)) {
            let hint = "two files were joined: take the mark out, or import them apart";
            return Err(at_cell(path, &place(None, row, column), "a byte order mark inside the file", hint));
        }
        match StringRecord::from_byte_record(std::mem::take(record)) {
            Ok(text) => Ok(Some((row, text))),
            Err(error) => {
                let cell = place(None, row, error.utf8_error().field());
                Err(at_cell(path, &cell, "is not UTF-8", NOT_UTF8))
            }
        }
    }

    /// The whole file as a sheet.
    ///
    /// # Errors
    /// As [`TextFile::next`].
    pub fn sheet(path: &Path) -> Result<Sheet> {
        let mut file = Self::open(path)?;
        let mut cells = Vec::new();
        while let Some((row, record)) = file.next()? {
            // Lines without any text are skipped by the reader, and are rows all the same.
            cells.resize_with(row, Vec::new);
            cells.push(record.iter().map(str::to_owned).collect());
        }
        Ok(Sheet { path: path.to_owned(), name: None, cells })
    }
}

/// Tab or semicolon where the first line with text has one (commas are between decimals as well), else whichever of the
/// three is most often in one of the first lines.
fn delimiter(start: &[u8]) -> u8 {
    let lines = || start.split(|byte| *byte == b'\n').filter(|line| !line.trim_ascii().is_empty()).take(20);
    let first = lines().next().unwrap_or_default();
    let most =
        |delimiter: u8| lines().map(|line| line.iter().filter(|byte| **byte == delimiter).count()).max().unwrap_or(0);
    if first.contains(&b'\t') {
        b'\t'
    } else if first.contains(&b';') {
        b';'
    } else {
        [b'\t', b';', b','].into_iter().max_by_key(|delimiter| most(*delimiter)).unwrap_or(b',')
    }
}
