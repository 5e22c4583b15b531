//! A Parquet file read row group by row group, only the columns asked for, every failure named by its place.

use super::failure;
use crate::{Error, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::DataType;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use std::cell::Cell;
use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

/// Rows decoded at a time.
const BATCH_ROWS: usize = 16_384;
/// The first and the last four bytes of every Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";

/// An opened Parquet file; its footer has been read.
pub(super) struct ParquetFile {
    path: PathBuf,
    file: File,
    metadata: ArrowReaderMetadata,
}

impl ParquetFile {
    /// Opens a file and reads its footer.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be opened, [`Error::Format`] if it is not a whole Parquet file.
    pub fn open(path: &Path) -> Result<Self> {
        let unreadable = |source| Error::File { action: "read", path: path.to_owned(), source };
        let mut file = File::open(path).map_err(unreadable)?;
        if file.metadata().map_err(unreadable)?.is_dir() {
            return Err(failure::of_file(
                path,
                "is a folder",
                Some(format!("name the files in it: {}", path.join("*.parquet").display())),
            ));
        }
        check_magic(&mut file, path)?;
        // The Arrow schema that some writers embed is not read: types then come from the Parquet schema alone, and a
        // file means the same whoever wrote it.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = guarded(|| ArrowReaderMetadata::load(&file, options)).map_err(|problem| {
            failure::of_file(
                path,
                format!("the footer cannot be read: {problem}"),
                Some("copy or export it again".into()),
            )
        })?;
        let length = file.metadata().map_err(unreadable)?.len();
        let this = Self { path: path.to_owned(), file, metadata };
        this.check_places(length)?;
        if this.rows() == 0 {
            return Err(failure::of_file(path, "has no rows", None));
        }
        Ok(this)
    }

    /// Refuses a footer that places a column outside the file, where the decoder would give up without a place.
    fn check_places(&self, file_length: u64) -> Result<()> {
        for (group, metadata) in self.metadata.metadata().row_groups().iter().enumerate() {
            for chunk in metadata.columns() {
                let start = chunk.dictionary_page_offset().unwrap_or(chunk.data_page_offset());
                let end = u64::try_from(start)
                    .ok()
                    .and_then(|start| start.checked_add(u64::try_from(chunk.compressed_size()).ok()?));
                if end.is_none_or(|end| end > file_length) || metadata.num_rows() < 0 {
                    return Err(Error::Format {
                        path: self.path.clone(),
                        row_group: Some(group),
                        column: Some(chunk.column_path().string()),
                        problem: "the footer places it outside the file".into(),
                        hint: Some("the file is damaged: copy or export it again".into()),
                    });
                }
            }
        }
        Ok(())
    }

    /// The path as it was given.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Number of rows that the footer speaks of.
    pub fn rows(&self) -> u64 {
        self.metadata.metadata().row_groups().iter().map(|group| u64::try_from(group.num_rows()).unwrap_or(0)).sum()
    }

    /// Names of the columns, in the order of the file.
    pub fn column_names(&self) -> Vec<&str> {
        self.metadata.schema().fields().iter().map(|field| field.name().as_str()).collect()
    }

    /// The type of a column.
    pub fn column_type(&self, column: usize) -> &DataType {
        self.metadata.schema().field(column).data_type()
    }

    /// An error of this file, without a place in it.
    pub fn error(&self, problem: impl Into<String>) -> Error {
        failure::of_file(&self.path, problem, None)
    }

    /// Reads `columns` (ascending positions in the file) of every row, in order. `each` gets the number of the
    /// batch's first row in the file, from 0, and the batch.
    ///
    /// # Errors
    /// [`Error::Format`] naming row group and column where the file cannot be decoded; whatever `each` returns.
    pub fn read(&self, columns: &[usize], mut each: impl FnMut(u64, &RecordBatch) -> Result<()>) -> Result<()> {
        let mut first_row = 0;
        for group in 0..self.metadata.metadata().num_row_groups() {
            let expected = u64::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(0);
            let mut seen = 0;
            let outcome = self.read_group(group, columns, |batch| {
                let at = first_row + seen;
                seen += batch.num_rows() as u64;
                each(at, batch)
            });
            match outcome {
                Ok(()) if seen == expected => {}
                Ok(()) => {
                    return Err(Error::Format {
                        path: self.path.clone(),
                        row_group: Some(group),
                        column: None,
                        problem: format!("the footer speaks of {expected} rows, {seen} are there"),
                        hint: None,
                    });
                }
                Err(Failure::Caller(error)) => return Err(error),
                Err(Failure::Decoding(problem)) => return Err(self.located(group, columns, problem)),
            }
            first_row += expected;
        }
        Ok(())
    }

    fn read_group(
        &self,
        group: usize,
        columns: &[usize],
        mut each: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> std::result::Result<(), Failure> {
        let file = self
            .file
            .try_clone()
            .map_err(|source| Failure::Caller(Error::File { action: "read", path: self.path.clone(), source }))?;
        let mut batches = guarded(|| {
            let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
            ParquetRecordBatchReaderBuilder::new_with_metadata(file, self.metadata.clone())
                .with_row_groups(vec![group])
                .with_projection(mask)
                .with_batch_size(BATCH_ROWS)
                .build()
        })
        .map_err(Failure::Decoding)?;
        while let Some(batch) = guarded(|| batches.next().transpose()).map_err(Failure::Decoding)? {
            each(&batch).map_err(Failure::Caller)?;
        }
        Ok(())
    }

    /// The error for a row group that could not be decoded: reads its columns one by one to find the one to name.
    fn located(&self, group: usize, columns: &[usize], problem: String) -> Error {
        let guilty = columns.iter().find_map(|&column| match self.read_group(group, &[column], |_| Ok(())) {
            Err(Failure::Decoding(problem)) => Some((self.metadata.schema().field(column).name().clone(), problem)),
            _ => None,
        });
        let (column, problem) = guilty.map_or((None, problem), |(column, problem)| (Some(column), problem));
        Error::Format {
            path: self.path.clone(),
            row_group: Some(group),
            column,
            problem: format!("cannot be decoded: {problem}"),
            hint: Some("the file is damaged: copy or export it again".into()),
        }
    }
}

enum Failure {
    Decoding(String),
    Caller(Error),
}

/// Tells a file that never was Parquet from one that was cut off, which the footer's parser cannot.
fn check_magic(file: &mut File, path: &Path) -> Result<()> {
    let unreadable = |source| Error::File { action: "read", path: path.to_owned(), source };
    let length = file.seek(SeekFrom::End(0)).map_err(unreadable)?;
    let (mut head, mut tail) = ([0; 4], [0; 4]);
    if length >= 4 {
        file.rewind().map_err(unreadable)?;
        file.read_exact(&mut head).map_err(unreadable)?;
        file.seek(SeekFrom::End(-4)).map_err(unreadable)?;
        file.read_exact(&mut tail).map_err(unreadable)?;
    }
    file.rewind().map_err(unreadable)?;
    if &head != MAGIC {
        let problem = if length == 0 { "is empty" } else { "is not a Parquet file" };
        return Err(failure::of_file(
            path,
            problem,
            Some("tables are read as Parquet; other formats must be converted first".into()),
        ));
    }
    if &tail != MAGIC || length < 12 {
        return Err(failure::of_file(
            path,
            format!("is cut off: its {length} bytes do not end as a Parquet file ends"),
            Some("copy or export it again".into()),
        ));
    }
    Ok(())
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside the Parquet decoder, whose panics on hostile bytes become errors that name the
/// place. A program's panic hook asks here whether to stay silent.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// Runs a piece of decoding; a panic inside the decoder on hostile bytes becomes an ordinary error.
fn guarded<T, E: Display>(decode: impl FnOnce() -> std::result::Result<T, E>) -> std::result::Result<T, String> {
    DECODING.set(true);
    let outcome = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    match outcome {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(error.to_string()),
        Err(_) => Err("the decoder gave up".into()),
    }
}
