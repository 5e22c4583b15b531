//! A table that is written as it comes, a row group at a time, with one column that may be known only at the end.
//!
//! Such a late column (q values: each depends on every row) is laid down at first with what stands in for it, plain and
//! uncompressed, so that the values that follow take the same bytes in the same places: they are put there when the
//! rest has been written, before the file gets its name. Only a value's bits change: nulls must be where they were.

use super::columnar::{data_type, dictionary, metadata, slice};
use super::files::{Partial, file_error};
use super::run_json::RunIdentity;
use super::table::{Table, Values};
use crate::{Error, Result};
use arrow::array::{ArrayRef, Float64Array};
use arrow::datatypes::{DataType, Field, Schema};
use parquet::arrow::ArrowSchemaConverter;
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowColumnWriter, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, ParquetMetaData};
use parquet::file::properties::{EnabledStatistics, WriterProperties};
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Seek, SeekFrom, Write};
use std::path::Path;
use std::sync::Arc;

type Encoded<T> = std::result::Result<T, ParquetError>;

/// A table on its way into a file. Dropped before [`TableWriter::finish`], it leaves nothing behind.
pub struct TableWriter {
    partial: Partial,
    name: String,
    schema: Arc<Schema>,
    factory: ArrowRowGroupWriterFactory,
    file: SerializedFileWriter<BufWriter<File>>,
    late: Option<usize>,
    /// Rows of the parts of each row group so far.
    parts: Vec<Vec<usize>>,
    /// For each row so far, whether the late column's is not null.
    late_valid: Vec<bool>,
}

/// Rows that are ready to be written.
pub struct EncodedRows {
    chunks: Vec<ArrowColumnChunk>,
    parts: Vec<usize>,
    late_valid: Vec<bool>,
}

impl TableWriter {
    /// Begins a file at `path` with the columns of `layout`, whose rows are not looked at. The values of the column
    /// `late` (of numbers) are given to [`TableWriter::finish`]; until then, those in the rows stand in for them.
    ///
    /// # Errors
    /// [`Error::File`] when the file cannot be made, [`Error::Format`] for columns that do not fit together.
    pub fn create(layout: &Table, path: &Path, identity: &RunIdentity, late: Option<&str>) -> Result<Self> {
        let refused = |problem: String| unfit(path, problem);
        if let Some(problem) = layout.problem() {
            return Err(refused(problem));
        }
        let late = match late {
            None => None,
            Some(name) => Some(
                layout
                    .columns
                    .iter()
                    .position(|c| c.name == name && matches!(c.values, Values::Number(_)))
                    .ok_or_else(|| refused(format!("table `{}` has no numbers `{name}`", layout.name)))?,
            ),
        };
        let fields: Vec<Field> =
            layout.columns.iter().map(|c| Field::new(&c.name, data_type(&c.values), true)).collect();
        let late_name = late.map(|at| layout.columns[at].name.as_str());
        let properties = properties(&fields, late_name, metadata(identity, &layout.name));
        let schema = Arc::new(Schema::new(fields));
        let partial = Partial::of(path)?;
        let out = BufWriter::with_capacity(1 << 18, partial.create()?);
        let (file, factory) = open(out, &schema, properties).map_err(|e| failed(path, e))?;
        Ok(Self {
            partial,
            name: layout.name.clone(),
            schema,
            factory,
            file,
            late,
            parts: Vec::new(),
            late_valid: Vec::new(),
        })
    }

    /// Encodes the rows of `parts`, one after the other, as one row group. Columns are encoded side by side; the bytes
    /// depend on the parts alone.
    ///
    /// # Errors
    /// [`Error::Format`] for a part whose columns are not those of the file.
    pub fn encode(&self, parts: &[Table]) -> Result<EncodedRows> {
        let path = &self.partial.path;
        for part in parts {
            let names = part.columns.iter().map(|c| &c.name);
            let same_columns = names.eq(self.schema.fields().iter().map(|f| f.name()))
                && part.columns.iter().zip(self.schema.fields()).all(|(c, f)| data_type(&c.values) == *f.data_type());
            if !same_columns {
                return Err(unfit(path, format!("table `{}` changes its columns on the way", self.name)));
            }
            if let Some(problem) = part.problem() {
                return Err(unfit(path, problem));
            }
        }
        let encode = |column: usize, mut writer: ArrowColumnWriter| {
            for part in parts {
                let values = &part.columns[column].values;
                let array = slice(values, dictionary(values).as_ref(), 0, part.rows())?;
                write(&mut writer, self.schema.field(column), &array)?;
            }
            writer.close()
        };
        let writers = self.factory.create_column_writers(self.parts.len()).map_err(|e| failed(path, e))?;
        let chunks: Encoded<Vec<ArrowColumnChunk>> =
            writers.into_par_iter().enumerate().map(|(column, writer)| encode(column, writer)).collect();
        let chunks = chunks.map_err(|e| failed(path, e))?;
        let mut late_valid = Vec::new();
        if let Some(column) = self.late {
            for part in parts {
                let values = &part.columns[column].values;
                late_valid.extend((0..part.rows()).map(|row| values.number(row).is_some_and(f64::is_finite)));
            }
        }
        Ok(EncodedRows { chunks, parts: parts.iter().map(Table::rows).collect(), late_valid })
    }

    /// Writes rows that [`TableWriter::encode`] of this table made.
    ///
    /// # Errors
    /// [`Error::File`] when writing fails.
    pub fn append(&mut self, rows: EncodedRows) -> Result<()> {
        let EncodedRows { chunks, parts, late_valid } = rows;
        if parts.iter().all(|rows| *rows == 0) {
            return Ok(());
        }
        let write = || -> Encoded<()> {
            let mut group = self.file.next_row_group()?;
            for chunk in chunks {
                chunk.append_to_row_group(&mut group)?;
            }
            group.close().map(|_| ())
        };
        write().map_err(|e| failed(&self.partial.path, e))?;
        self.parts.push(parts);
        self.late_valid.extend(late_valid);
        Ok(())
    }

    /// Ends the file, puts the late column's values, one a row, into it, and moves it to its place.
    ///
    /// # Errors
    /// [`Error::File`] when writing fails, [`Error::Format`] for late values that are not as many as the rows, or are
    /// null where what stood in for them was not, or the other way round.
    pub fn finish(self, late: &[Option<f64>]) -> Result<()> {
        let Self { partial, mut file, schema, late: column, parts, late_valid, name, factory: _ } = self;
        let path = &partial.path;
        if let Some(column) = column {
            let (column, found, rows) = (schema.field(column).name(), late.len(), late_valid.len());
            if found != rows {
                return Err(unfit(path, format!("column `{column}` of table `{name}` has {found} rows, not {rows}")));
            }
            // A NaN would be a value where the stand-in of a null was.
            let valid = |value: &Option<f64>| value.is_some_and(f64::is_finite);
            if let Some(row) = late.iter().zip(&late_valid).position(|(value, was)| valid(value) != *was) {
                let problem =
                    format!("column `{column}` of table `{name}` changes between null and a value in row {row}");
                return Err(unfit(path, problem));
            }
        }
        let metadata = file.finish().map_err(|e| failed(path, e))?;
        drop(file);
        let unfinished = |source| file_error("write", path, source);
        let mut out = OpenOptions::new().write(true).open(&partial.partial).map_err(unfinished)?;
        if let Some(column) = column {
            let mut from = 0;
            for (group, parts) in parts.iter().enumerate() {
                let to = from + parts.iter().sum::<usize>();
                let values = late_chunk(schema.field(column), &late[from..to], parts).map_err(|e| failed(path, e))?;
                let (at, length) = place(&metadata, group, column);
                if values.len() as u64 != length {
                    return Err(failed(path, ParquetError::General("late values take another place".into())));
                }
                out.seek(SeekFrom::Start(at)).and_then(|_| out.write_all(&values)).map_err(unfinished)?;
                from = to;
            }
        }
        out.sync_all().map_err(unfinished)?;
        drop(out);
        partial.publish()
    }
}

/// Numbers of curves hardly repeat and hardly compress: neither a dictionary nor a compressor is tried on them.
fn properties(fields: &[Field], late: Option<&str>, metadata: Vec<KeyValue>) -> WriterProperties {
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(metadata))
        .set_max_row_group_row_count(None);
    for field in fields {
        let column = || ColumnPath::new(vec![field.name().clone()]);
        if *field.data_type() == DataType::Float64 {
            properties = properties
                .set_column_dictionary_enabled(column(), false)
                .set_column_compression(column(), Compression::UNCOMPRESSED);
        }
        if late == Some(field.name()) {
            // The extremes are not known when they would be written.
            properties = properties.set_column_statistics_enabled(column(), EnabledStatistics::None);
        }
    }
    properties.build()
}

fn open<W: Write + Send>(
    out: W,
    schema: &Arc<Schema>,
    properties: WriterProperties,
) -> Encoded<(SerializedFileWriter<W>, ArrowRowGroupWriterFactory)> {
    let description = ArrowSchemaConverter::new().convert(schema)?;
    let file = SerializedFileWriter::new(out, description.root_schema_ptr(), Arc::new(properties))?;
    let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(schema));
    Ok((file, factory))
}

fn write(writer: &mut ArrowColumnWriter, field: &Field, array: &ArrayRef) -> Encoded<()> {
    for leaf in compute_leaves(field, array)? {
        writer.write(&leaf)?;
    }
    Ok(())
}

/// The bytes of a late column's chunk: encoded by the same hand as what stood in for it, in the same parts.
fn late_chunk(field: &Field, values: &[Option<f64>], parts: &[usize]) -> Encoded<Vec<u8>> {
    let schema = Arc::new(Schema::new(vec![field.clone()]));
    let properties = properties(std::slice::from_ref(field), Some(field.name()), Vec::new());
    let mut bytes = Vec::new();
    let (mut file, factory) = open(&mut bytes, &schema, properties)?;
    let mut writers = factory.create_column_writers(0)?;
    let mut group = file.next_row_group()?;
    if let Some(mut writer) = writers.pop() {
        let mut from = 0;
        for rows in parts {
            let array: ArrayRef = Arc::new(values[from..from + rows].iter().copied().collect::<Float64Array>());
            write(&mut writer, field, &array)?;
            from += rows;
        }
        writer.close()?.append_to_row_group(&mut group)?;
    }
    group.close()?;
    let (at, length) = place(&file.close()?, 0, 0);
    let range = usize::try_from(at).ok().zip(usize::try_from(at + length).ok());
    range
        .and_then(|(from, to)| bytes.get(from..to).map(<[u8]>::to_vec))
        .ok_or_else(|| ParquetError::General("a late column lies outside its file".into()))
}

/// Where a column chunk is in its file: offset and length in bytes.
fn place(metadata: &ParquetMetaData, group: usize, column: usize) -> (u64, u64) {
    let chunk = metadata.row_group(group).column(column);
    chunk.byte_range()
}

fn unfit(path: &Path, problem: String) -> Error {
    Error::Format { path: path.into(), row_group: None, column: None, problem, hint: None }
}

fn failed(path: &Path, error: ParquetError) -> Error {
    file_error("write", path, io::Error::other(error))
}
