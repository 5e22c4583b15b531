//! Files in: real ones, and small ones made to be wrong in one thing.

mod files;
mod lines;
mod plain;
mod real;
mod rows;
mod text;

use arrow::array::{ArrayRef, Float64Array, RecordBatch, StringArray};
use isobole::Result;
use isobole::config::{Mapping, ScreenFile, Settings};
use isobole::ingest::read_screen;
use isobole::screen::Screen;
use parquet::arrow::ArrowWriter;
use parquet::file::properties::WriterProperties;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

pub fn text(values: &[&str]) -> ArrayRef {
    Arc::new(values.iter().map(|v| (!v.is_empty()).then_some(*v)).collect::<StringArray>())
}

pub fn numbers(values: &[f64]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

pub fn optional(values: &[Option<f64>]) -> ArrayRef {
    Arc::new(Float64Array::from(values.to_vec()))
}

/// Writes a table, two rows a row group.
pub fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(2)).build();
    let mut writer =
        ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// A small good table: a vehicle, two samples, a blank.
pub fn good() -> Vec<(&'static str, ArrayRef)> {
    vec![
        ("plate_id", text(&["P1", "P1", "P1", "P1"])),
        ("well", text(&["A01", "A2", "a:3", "B01"])),
        ("cell_line", text(&["HL-60", "HL-60", "HL-60", ""])),
        ("role", text(&["vehicle", "sample", "sample", "blank"])),
        ("drug_a", text(&["DMSO", "clofarabine", "venetoclax", ""])),
        ("conc_a", optional(&[None, Some(1.0), Some(2.0), None])),
        ("conc_unit", text(&["uM", "uM", "nM", ""])),
        ("signal", numbers(&[1000.0, 500.0, 700.0, 10.0])),
    ]
}

/// The table with one column replaced (or added).
pub fn with(name: &'static str, array: ArrayRef) -> Vec<(&'static str, ArrayRef)> {
    let mut columns = good();
    match columns.iter_mut().find(|(n, _)| *n == name) {
        Some(column) => column.1 = array,
        None => columns.push((name, array)),
    }
    columns
}

pub fn without(name: &str) -> Vec<(&'static str, ArrayRef)> {
    good().into_iter().filter(|(n, _)| *n != name).collect()
}

/// The mapping that a `screen.toml` speaks of.
pub fn mapping(text: &str) -> Mapping {
    let file: ScreenFile = toml::from_str(text).unwrap();
    Settings::resolve(file, vec![], "out".into()).unwrap().mapping
}

pub fn read(columns: Vec<(&str, ArrayRef)>, toml: &str) -> Result<Screen> {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("plates.parquet");
    write(&path, columns);
    let outcome = read_screen(&[path], &mapping(toml), None);
    if let Ok(screen) = &outcome {
        assert_eq!(screen.wells.len() + screen.rejected.len(), screen.wells_in, "a row was lost");
    }
    outcome
}

/// The message without the folder of this run, and the hint.
pub fn refusal<T>(outcome: Result<T>) -> (String, Option<String>) {
    let error = outcome.map(|_| ()).unwrap_err();
    let hint = error.hint().map(str::to_owned);
    let message = error.to_string();
    let Some(start) = message.find("/plates.parquet") else { return (message, hint) };
    let from = message[..start].rfind('`').unwrap();
    (format!("{}{}", &message[..=from], &message[start + 1..]), hint)
}

pub fn rejected(screen: &Screen) -> Vec<(String, &'static str, String)> {
    screen
        .rejected
        .iter()
        .map(|r| (r.well.map(|w| w.to_string()).unwrap_or_default(), r.reason, r.detail.to_owned()))
        .collect()
}
