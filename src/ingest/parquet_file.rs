//! A Parquet file read row group by row group, only the columns asked for, every failure named by its place.

use super::{failure, text_table};
use crate::{Error, Result};
use arrow::array::RecordBatch;
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::{
    ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder,
};
use parquet::file::reader::ChunkReader;
use std::cell::Cell;
use std::fmt::Display;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

/// Rows decoded at a time.
const BATCH_ROWS: usize = 16_384;
/// The first and the last four bytes of every Parquet file.
const MAGIC: &[u8; 4] = b"PAR1";

/// An opened Parquet file; its footer has been read.
pub(super) struct ParquetFile {
    path: PathBuf,
    stamp: Stamp,
    metadata: ArrowReaderMetadata,
    /// The file as Parquet, where it is a text table.
    converted: Option<Bytes>,
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
        let converted = text_table::is_text_table(path).then(|| text_table::as_parquet(path)).transpose()?;
        if converted.is_none() {
            check_magic(&mut file, path)?;
        }
        // The Arrow schema that some writers embed is not read: types then come from the Parquet schema alone, and a
        // file means the same whoever wrote it.
        let options = ArrowReaderOptions::new().with_skip_arrow_metadata(true);
        let metadata = guarded(|| match &converted {
            Some(bytes) => ArrowReaderMetadata::load(bytes, options),
            None => ArrowReaderMetadata::load(&file, options),
        });
        let metadata = metadata.map_err(|problem| {
            failure::of_file(
                path,
                format!("the footer cannot be read: {problem}"),
                Some("copy or export it again".into()),
            )
        })?;
        let stamp = Stamp::of(&file).map_err(unreadable)?;
        let length = converted.as_ref().map_or(stamp.length, |bytes| bytes.len() as u64);
        let this = Self { path: path.to_owned(), stamp, metadata, converted };
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

    /// Number of row groups.
    pub fn groups(&self) -> usize {
        self.metadata.metadata().num_row_groups()
    }

    /// Rows of a row group, as the footer speaks of them.
    pub fn group_rows(&self, group: usize) -> u64 {
        u64::try_from(self.metadata.metadata().row_group(group).num_rows()).unwrap_or(0)
    }

    /// Reads `columns` (ascending positions in the file) of every row, in order. `each` gets the number of the
    /// batch's first row in the file, from 0, and the batch.
    ///
    /// # Errors
    /// [`Error::Format`] naming row group and column where the file cannot be decoded; whatever `each` returns.
    pub fn read(&self, columns: &[usize], each: impl FnMut(u64, &RecordBatch) -> Result<()>) -> Result<()> {
        self.read_as(&self.metadata, columns, each)
    }

    /// [`ParquetFile::read`] with texts as codes, Arrow's dictionaries, where the file stores them so: most are names that
    /// come again and again.
    ///
    /// # Errors
    /// As for [`ParquetFile::read`].
    pub fn read_coded(&self, columns: &[usize], each: impl FnMut(u64, &RecordBatch) -> Result<()>) -> Result<()> {
        self.read_as(&self.coded(), columns, each)
    }

    /// What to read texts by that are stored as codes in every row group.
    fn coded(&self) -> ArrowReaderMetadata {
        let groups = self.metadata.metadata().row_groups();
        let fields = self.metadata.schema().fields();
        let is_coded = |column: usize| groups.iter().all(|g| g.column(column).dictionary_page_offset().is_some());
        // In a nested schema a field is not the column with its number.
        if groups.iter().any(|group| group.num_columns() != fields.len()) {
            return self.metadata.clone();
        }
        let read_as = |(column, field): (usize, &Arc<Field>)| match field.data_type() {
            DataType::Utf8 if is_coded(column) => {
                let coded = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
                Arc::new(field.as_ref().clone().with_data_type(coded))
            }
            _ => Arc::clone(field),
        };
        let schema = Arc::new(Schema::new(fields.iter().enumerate().map(read_as).collect::<Vec<_>>()));
        let options = ArrowReaderOptions::new().with_schema(schema);
        ArrowReaderMetadata::try_new(Arc::clone(self.metadata.metadata()), options)
            .unwrap_or_else(|_| self.metadata.clone())
    }

    fn read_as(
        &self,
        metadata: &ArrowReaderMetadata,
        columns: &[usize],
        mut each: impl FnMut(u64, &RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let mut first_row = 0;
        for group in 0..self.groups() {
            let mut reader = self.group_as(metadata, group, columns, first_row)?;
            while let Some((at, batch)) = reader.next_batch(self)? {
                each(at, &batch)?;
            }
            first_row += self.group_rows(group);
        }
        Ok(())
    }

    /// Begins to read `columns` (ascending positions in the file) of a row group whose first row has this number in
    /// the file. Groups may be read side by side: each has a file handle of its own, as a shared one has one position.
    ///
    /// # Errors
    /// [`Error::File`] if the file cannot be opened again, [`Error::Format`] if it is another one by now, or as for
    /// [`ParquetFile::read`].
    pub fn group(&self, group: usize, columns: &[usize], first_row: u64) -> Result<GroupReader> {
        self.group_as(&self.metadata, group, columns, first_row)
    }

    fn group_as(
        &self,
        metadata: &ArrowReaderMetadata,
        group: usize,
        columns: &[usize],
        first_row: u64,
    ) -> Result<GroupReader> {
        let batches = self.batches(metadata, group, columns)?;
        let batches = batches.map_err(|problem| self.located(group, columns, problem))?;
        Ok(GroupReader { group, columns: columns.to_vec(), batches, first_row, seen: 0 })
    }

    fn batches(
        &self,
        metadata: &ArrowReaderMetadata,
        group: usize,
        columns: &[usize],
    ) -> Result<std::result::Result<ParquetRecordBatchReader, String>> {
        if let Some(bytes) = &self.converted {
            return Ok(guarded(|| self.build(bytes.clone(), metadata, group, columns)));
        }
        let unreadable = |source| Error::File { action: "read", path: self.path.clone(), source };
        let file = File::open(&self.path).map_err(unreadable)?;
        if Stamp::of(&file).map_err(unreadable)? != self.stamp {
            return Err(failure::of_file(&self.path, "was changed while it was read", Some("run it again".into())));
        }
        Ok(guarded(|| self.build(file, metadata, group, columns)))
    }

    fn build<T: ChunkReader + 'static>(
        &self,
        source: T,
        metadata: &ArrowReaderMetadata,
        group: usize,
        columns: &[usize],
    ) -> parquet::errors::Result<ParquetRecordBatchReader> {
        let mask = ProjectionMask::roots(self.metadata.parquet_schema(), columns.iter().copied());
        ParquetRecordBatchReaderBuilder::new_with_metadata(source, metadata.clone())
            .with_row_groups(vec![group])
            .with_projection(mask)
            .with_batch_size(BATCH_ROWS)
            .build()
    }

    /// The error for a row group that could not be decoded: reads its columns one by one to find the one to name.
    fn located(&self, group: usize, columns: &[usize], problem: String) -> Error {
        let read = |column: usize| -> std::result::Result<(), String> {
            let Ok(batches) = self.batches(&self.metadata, group, &[column]) else { return Ok(()) };
            let mut batches = batches?;
            while guarded(|| batches.next().transpose())?.is_some() {}
            Ok(())
        };
        let guilty = columns.iter().find_map(|&column| {
            let problem = read(column).err()?;
            Some((self.metadata.schema().field(column).name().clone(), problem))
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

/// One row group on its way in.
pub(super) struct GroupReader {
    group: usize,
    columns: Vec<usize>,
    batches: ParquetRecordBatchReader,
    first_row: u64,
    seen: u64,
}

impl GroupReader {
    /// The next batch of `file`, which this reads, and the number of its first row in the file, from 0.
    ///
    /// # Errors
    /// [`Error::Format`] naming row group and column where the file cannot be decoded.
    pub fn next_batch(&mut self, file: &ParquetFile) -> Result<Option<(u64, RecordBatch)>> {
        let batch = guarded(|| self.batches.next().transpose())
            .map_err(|problem| file.located(self.group, &self.columns, problem))?;
        if let Some(batch) = batch {
            let at = self.first_row + self.seen;
            self.seen += batch.num_rows() as u64;
            return Ok(Some((at, batch)));
        }
        let (expected, seen) = (file.group_rows(self.group), self.seen);
        if seen == expected {
            return Ok(None);
        }
        Err(Error::Format {
            path: file.path.clone(),
            row_group: Some(self.group),
            column: None,
            problem: format!("the footer speaks of {expected} rows, {seen} are there"),
            hint: None,
        })
    }
}

/// What tells a file from one that was put in its place.
#[derive(PartialEq, Eq)]
struct Stamp {
    length: u64,
    modified: Option<SystemTime>,
}

impl Stamp {
    fn of(file: &File) -> std::io::Result<Self> {
        let metadata = file.metadata()?;
        Ok(Self { length: metadata.len(), modified: metadata.modified().ok() })
    }
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
            Some(
                "tables are read as Parquet, and as text from .csv and .tsv; for other formats: isobole import --list"
                    .into(),
            ),
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
