//! A text table (CSV, TSV) as Parquet in memory, so that everything behind reads one format. Types are told by all of a
//! column's cells: whole numbers, numbers, else text.

use super::failure;
use crate::import::number::{Decimal, NoNumber, number};
use crate::import::sheet::{at_cell, place};
use crate::import::text_file::TextFile;
use crate::{Error, Result};
use arrow::array::{ArrayRef, Float64Builder, Int64Builder, RecordBatch, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};
use bytes::Bytes;
use csv::StringRecord;
use parquet::arrow::ArrowWriter;
use std::path::Path;
use std::sync::Arc;

/// Rows turned into Arrow at a time.
const ROWS: usize = 65_536;

/// Whether a file's name says that it is a text table.
pub(super) fn is_text_table(path: &Path) -> bool {
    path.extension().is_some_and(|e| ["csv", "tsv", "txt"].iter().any(|ending| e.eq_ignore_ascii_case(ending)))
}

/// What is known of a column from the cells seen.
struct Seen {
    number: bool,
    whole: bool,
    text: bool,
    /// The first cell that would be a number but for its separators.
    separated: Option<(usize, NoNumber)>,
}

impl Seen {
    fn add(&mut self, row: usize, cell: &str) {
        let cell = cell.trim();
        match number(cell, Decimal::Point) {
            Ok(None) => {}
            Ok(Some(_)) => {
                self.number = true;
                let digits = cell.trim_start_matches('-');
                self.whole &= cell.parse::<i64>().is_ok();
                // `007` is a name.
                self.text |= digits.len() > 1 && digits.starts_with('0') && digits.bytes().all(|b| b.is_ascii_digit());
            }
            Err(no) if no.separators => {
                self.separated.get_or_insert((row, no));
            }
            Err(_) => self.text = true,
        }
    }

    fn data_type(&self) -> DataType {
        match self {
            Seen { number: true, text: false, whole, .. } => {
                if *whole {
                    DataType::Int64
                } else {
                    DataType::Float64
                }
            }
            _ => DataType::Utf8,
        }
    }
}

/// The header and then every row, with its number in the file from 0.
fn walk(path: &Path, mut each: impl FnMut(usize, &StringRecord) -> Result<()>) -> Result<Vec<String>> {
    let mut file = TextFile::open(path)?;
    let Some((_, header)) = file.next()? else { return Err(failure::of_file(path, "is empty", None)) };
    while let Some((row, record)) = file.next()? {
        if let Some(extra) = (header.len()..record.len()).find(|column| !record[*column].trim().is_empty()) {
            let problem = format!("the row has more cells than the header, which has {}", header.len());
            let hint = "numbers with decimal commas need another delimiter; quote texts with the delimiter in them";
            return Err(at_cell(path, &place(None, row, extra), &problem, hint));
        }
        if record.iter().any(|cell| !cell.trim().is_empty()) {
            each(row, &record)?;
        }
    }
    Ok(header.iter().map(|name| name.trim().to_owned()).collect())
}

enum Builder {
    Whole(Int64Builder),
    Number(Float64Builder),
    Text(StringBuilder),
}

impl Builder {
    fn of(data_type: &DataType) -> Self {
        match data_type {
            DataType::Int64 => Builder::Whole(Int64Builder::new()),
            DataType::Float64 => Builder::Number(Float64Builder::new()),
            _ => Builder::Text(StringBuilder::new()),
        }
    }

    fn add(&mut self, cell: &str) {
        match self {
            Builder::Whole(values) => values.append_option(cell.parse().ok()),
            Builder::Number(values) => values.append_option(number(cell, Decimal::Point).ok().flatten()),
            Builder::Text(values) => values.append_option((!cell.is_empty()).then_some(cell)),
        }
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Builder::Whole(values) => Arc::new(values.finish()),
            Builder::Number(values) => Arc::new(values.finish()),
            Builder::Text(values) => Arc::new(values.finish()),
        }
    }
}

/// Reads a text table twice: for the types of its columns, and for its values.
///
/// # Errors
/// [`Error::File`]; [`Error::Format`] naming the cell that is no number where its column's others are.
pub(super) fn as_parquet(path: &Path) -> Result<Bytes> {
    let mut seen: Vec<Seen> = Vec::new();
    let header = walk(path, |row, record| {
        while seen.len() < record.len() {
            seen.push(Seen { number: false, whole: true, text: false, separated: None });
        }
        seen.iter_mut().zip(record).for_each(|(seen, cell)| seen.add(row, cell));
        Ok(())
    })?;
    seen.truncate(header.len());
    for (column, seen) in seen.iter().enumerate() {
        if let Some((row, no)) = seen.separated.as_ref().filter(|_| !seen.text) {
            let hint = "write numbers with a decimal point and without thousands separators";
            return Err(at_cell(path, &place(None, *row, column), &no.problem, hint));
        }
    }
    let types: Vec<DataType> =
        (0..header.len()).map(|at| seen.get(at).map_or(DataType::Utf8, Seen::data_type)).collect();
    let fields: Vec<Field> = header.iter().zip(&types).map(|(name, t)| Field::new(name, t.clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let failed = |problem: String| failure::of_file(path, format!("cannot be taken as a table: {problem}"), None);
    let mut writer = ArrowWriter::try_new(Vec::new(), Arc::clone(&schema), None).map_err(|e| failed(e.to_string()))?;
    let mut builders: Vec<Builder> = types.iter().map(Builder::of).collect();
    let mut rows = 0;
    let mut flush = |builders: &mut Vec<Builder>| -> Result<()> {
        let arrays: Vec<ArrayRef> = builders.iter_mut().map(Builder::finish).collect();
        let batch = RecordBatch::try_new(Arc::clone(&schema), arrays).map_err(|e| failed(e.to_string()))?;
        writer.write(&batch).map_err(|e| failed(e.to_string()))
    };
    let again = walk(path, |_, record| {
        for (column, builder) in builders.iter_mut().enumerate() {
            builder.add(record.get(column).unwrap_or("").trim());
        }
        rows += 1;
        if rows % ROWS == 0 { flush(&mut builders) } else { Ok(()) }
    })?;
    if again != header {
        return Err(Error::Format {
            path: path.to_owned(),
            row_group: None,
            column: None,
            problem: "was changed while it was read".into(),
            hint: Some("run it again".into()),
        });
    }
    flush(&mut builders)?;
    writer.into_inner().map(Bytes::from).map_err(|e| failed(e.to_string()))
}
