//! Tables as Parquet. Arrow and Parquet appear here and in `ingest` only.

use super::files::file_error;
use super::run_json::RunIdentity;
use super::table::{Column, Table, Values};
use crate::screen::names::Names;
use crate::{Error, Result};
use arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, StringArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type, Int64Type, Schema};
use parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReaderBuilder};
use parquet::arrow::arrow_writer::{ArrowColumnChunk, ArrowRowGroupWriterFactory, compute_leaves};
use parquet::arrow::{ArrowSchemaConverter, ProjectionMask};
use parquet::basic::{Compression, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::metadata::{KeyValue, RowGroupMetaData};
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use rayon::prelude::*;
use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;

const ROW_GROUP_ROWS: usize = 1 << 20;
/// Rows turned into one Arrow array at a time: bounds the copy beside the table, and keeps text offsets in range.
const SLICE_ROWS: usize = 1 << 16;

const VERSION: &str = "isobole.version";
const SETTINGS: &str = "isobole.settings_sha256";
const SCHEMA: &str = "isobole.schema_version";
const TABLE: &str = "isobole.table";

pub(super) fn data_type(values: &Values) -> DataType {
    match values {
        Values::Text(_) => DataType::Utf8,
        Values::Named(..) => name_type(),
        Values::Number(_) => DataType::Float64,
        Values::Integer(_) => DataType::Int64,
        Values::Flag(_) => DataType::Boolean,
    }
}

fn name_type() -> DataType {
    DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8))
}

/// What a table says of its run.
pub(super) fn metadata(identity: &RunIdentity, name: &str) -> Vec<KeyValue> {
    let pairs = [
        (VERSION, identity.version.as_str()),
        (SETTINGS, &identity.settings_sha256),
        (SCHEMA, &identity.schema_version),
        (TABLE, name),
    ];
    pairs.map(|(key, value)| KeyValue::new(key.to_owned(), value.to_owned())).to_vec()
}

/// Writes a table that [`Table::problem`] has nothing against. Columns are encoded side by side; the bytes do not
/// depend on how many at a time. The Arrow schema is left out of the file, so every reader sees plain text columns.
pub(super) fn write(table: &Table, identity: &RunIdentity, out: &mut (dyn Write + Send)) -> io::Result<()> {
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_key_value_metadata(Some(metadata(identity, &table.name)))
        .set_max_row_group_row_count(Some(ROW_GROUP_ROWS))
        .build();
    let fields = table.columns.iter().map(|c| Field::new(&c.name, data_type(&c.values), true));
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    let description = ArrowSchemaConverter::new().convert(&schema).map_err(io::Error::other)?;
    let mut file = SerializedFileWriter::new(out, description.root_schema_ptr(), Arc::new(properties))?;
    let factory = ArrowRowGroupWriterFactory::new(&file, Arc::clone(&schema));
    let dictionaries: Vec<Option<ArrayRef>> = table.columns.iter().map(|c| dictionary(&c.values)).collect();
    let rows = table.rows();
    for (group, start) in (0..rows).step_by(ROW_GROUP_ROWS).enumerate() {
        let end = rows.min(start + ROW_GROUP_ROWS);
        let encode = |i: usize, mut writer: parquet::arrow::arrow_writer::ArrowColumnWriter| {
            for from in (start..end).step_by(SLICE_ROWS) {
                let to = end.min(from + SLICE_ROWS);
                let array = slice(&table.columns[i].values, dictionaries[i].as_ref(), from, to)?;
                for leaf in compute_leaves(schema.field(i), &array)? {
                    writer.write(&leaf)?;
                }
            }
            writer.close()
        };
        let writers = factory.create_column_writers(group)?;
        let chunks: std::result::Result<Vec<ArrowColumnChunk>, ParquetError> =
            writers.into_par_iter().enumerate().map(|(i, writer)| encode(i, writer)).collect();
        let mut row_group = file.next_row_group()?;
        for chunk in chunks? {
            chunk.append_to_row_group(&mut row_group)?;
        }
        row_group.close()?;
    }
    file.close()?;
    Ok(())
}

pub(super) fn dictionary(values: &Values) -> Option<ArrayRef> {
    match values {
        Values::Named(names, _) => Some(Arc::new(StringArray::from_iter_values(names.iter())) as ArrayRef),
        _ => None,
    }
}

pub(super) fn slice(
    values: &Values,
    names: Option<&ArrayRef>,
    from: usize,
    to: usize,
) -> std::result::Result<ArrayRef, ParquetError> {
    Ok(match values {
        Values::Text(v) => Arc::new(v[from..to].iter().map(Option::as_deref).collect::<StringArray>()),
        Values::Named(_, ids) => {
            let keys: Int32Array = ids[from..to].iter().map(|id| id.map(|id| id as i32)).collect();
            let names = names.ok_or_else(|| ParquetError::General("a column of names without names".into()))?;
            Arc::new(DictionaryArray::<Int32Type>::try_new(keys, Arc::clone(names))?)
        }
        Values::Number(v) => {
            Arc::new(v[from..to].iter().map(|x| x.filter(|x| x.is_finite())).collect::<Float64Array>())
        }
        Values::Integer(v) => Arc::new(v[from..to].iter().copied().collect::<Int64Array>()),
        Values::Flag(v) => Arc::new(v[from..to].iter().copied().collect::<BooleanArray>()),
    })
}

fn open(path: &Path) -> Result<(File, ArrowReaderMetadata, RunIdentity, Option<String>)> {
    let file = File::open(path).map_err(|source| file_error("read", path, source))?;
    let metadata = ArrowReaderMetadata::load(&file, ArrowReaderOptions::new())
        .map_err(|e| format_error(path, None, format!("not a readable Parquet file: {e}")))?;
    let pairs = metadata.metadata().file_metadata().key_value_metadata();
    let value = |key: &str| pairs.and_then(|p| p.iter().find(|kv| kv.key == key)).and_then(|kv| kv.value.clone());
    let identity = RunIdentity {
        version: value(VERSION).unwrap_or_default(),
        settings_sha256: value(SETTINGS).unwrap_or_default(),
        schema_version: value(SCHEMA).unwrap_or_default(),
    };
    let name = value(TABLE);
    Ok((file, metadata, identity, name))
}

pub(super) fn read_identity(path: &Path) -> Result<RunIdentity> {
    open(path).map(|(_, _, identity, _)| identity)
}

/// Reads a whole table, its columns side by side.
pub(super) fn read(path: &Path) -> Result<(Table, RunIdentity)> {
    let (_, metadata, identity, name) = open(path)?;
    let mut columns = Vec::new();
    let mut fields = Vec::new();
    for field in metadata.schema().fields() {
        // Texts are asked for as dictionaries, which is how they lie in the file.
        let (kind, empty) = match field.data_type() {
            DataType::Utf8 | DataType::Dictionary(..) => (name_type(), Reading::Names(Names::default(), Vec::new())),
            DataType::Float64 => (DataType::Float64, Reading::Number(Vec::new())),
            DataType::Int64 => (DataType::Int64, Reading::Integer(Vec::new())),
            DataType::Boolean => (DataType::Boolean, Reading::Flag(Vec::new())),
            other => {
                let problem = format!("holds {other}, which no isobole table does");
                return Err(format_error(path, Some(field.name()), problem));
            }
        };
        fields.push(Field::new(field.name(), kind, field.is_nullable()));
        columns.push(empty);
    }
    let schema = Arc::new(Schema::new(fields));
    let groups = metadata.metadata().row_groups();
    let rows: usize = groups.iter().map(|group| usize::try_from(group.num_rows()).unwrap_or(0)).sum();
    // Of a column without a value nothing is read: wells alone may have half a dozen of these.
    let is_empty = |column: usize| {
        let nulls = |group: &RowGroupMetaData| group.column(column).statistics().and_then(|s| s.null_count_opt());
        groups.iter().all(|group| nulls(group).is_some_and(|nulls| i64::try_from(nulls) == Ok(group.num_rows())))
    };
    let read = |(column, mut reading): (usize, Reading)| -> Result<Values> {
        if is_empty(column) {
            reading.fill(rows);
            return Ok(reading.finish());
        }
        let name = metadata.schema().field(column).name();
        let problem = |e: &dyn std::fmt::Display| format_error(path, Some(name), e.to_string());
        // A file of its own: clones of one would share the place where they read.
        let file = File::open(path).map_err(|source| file_error("read", path, source))?;
        let options = ArrowReaderOptions::new().with_schema(Arc::clone(&schema));
        let metadata =
            ArrowReaderMetadata::try_new(Arc::clone(metadata.metadata()), options).map_err(|e| problem(&e))?;
        let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(file, metadata);
        let projection = ProjectionMask::roots(builder.parquet_schema(), [column]);
        let builder = builder.with_projection(projection).with_batch_size(SLICE_ROWS);
        for batch in builder.build().map_err(|e| problem(&e))? {
            let batch = batch.map_err(|e| problem(&e))?;
            reading.append(batch.column(0)).map_err(|e| problem(&e))?;
        }
        Ok(reading.finish())
    };
    let values: Vec<Result<Values>> = columns.into_par_iter().enumerate().map(read).collect();
    let mut columns = Vec::with_capacity(values.len());
    for (field, values) in metadata.schema().fields().iter().zip(values) {
        let values = values?;
        if values.len() != rows {
            let problem = format!("has {} values, and the table has {rows} rows", values.len());
            return Err(format_error(path, Some(field.name()), problem));
        }
        columns.push(Column { name: field.name().clone(), values });
    }
    let stem = || path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    Ok((Table { name: name.unwrap_or_else(stem), columns }, identity))
}

enum Reading {
    Names(Names, Vec<Option<u32>>),
    Number(Vec<Option<f64>>),
    Integer(Vec<Option<i64>>),
    Flag(Vec<Option<bool>>),
}

impl Reading {
    fn append(&mut self, array: &ArrayRef) -> std::result::Result<(), String> {
        let unexpected = || format!("came back as {}", array.data_type());
        match self {
            Reading::Names(names, ids) => {
                let array = array.as_dictionary_opt::<Int32Type>().ok_or_else(unexpected)?;
                let texts = array.values().as_string_opt::<i32>().ok_or_else(unexpected)?;
                // Each batch brings its own dictionary, not all of it used.
                let mut known: Vec<Option<u32>> = vec![None; texts.len()];
                ids.reserve(array.len());
                for key in array.keys() {
                    let id = key.and_then(|key| {
                        let slot = known.get_mut(key as usize)?;
                        Some(*slot.get_or_insert_with(|| names.intern(texts.value(key as usize))))
                    });
                    ids.push(id);
                }
            }
            Reading::Number(v) => v.extend(array.as_primitive_opt::<Float64Type>().ok_or_else(unexpected)?),
            Reading::Integer(v) => v.extend(array.as_primitive_opt::<Int64Type>().ok_or_else(unexpected)?),
            Reading::Flag(v) => v.extend(array.as_boolean_opt().ok_or_else(unexpected)?),
        }
        Ok(())
    }

    /// Makes a column of nothing but nulls.
    fn fill(&mut self, rows: usize) {
        match self {
            Reading::Names(_, v) => v.resize(rows, None),
            Reading::Number(v) => v.resize(rows, None),
            Reading::Integer(v) => v.resize(rows, None),
            Reading::Flag(v) => v.resize(rows, None),
        }
    }

    fn finish(self) -> Values {
        match self {
            Reading::Names(names, ids) => Values::Named(names.iter().map(str::to_owned).collect(), ids),
            Reading::Number(v) => Values::Number(v),
            Reading::Integer(v) => Values::Integer(v),
            Reading::Flag(v) => Values::Flag(v),
        }
    }
}

fn format_error(path: &Path, column: Option<&str>, problem: String) -> Error {
    Error::Format { path: path.into(), row_group: None, column: column.map(str::to_owned), problem, hint: None }
}
