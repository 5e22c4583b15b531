//! Tables of a TOML file in the order in which they were written, with the place of every key and value.

use super::file::nearest_key;
use super::source::Source;
use crate::Result;
use std::ops::Range;
use toml::de::{DeTable, DeValue};

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry<'a> {
    pub(super) key: &'a str,
    pub(super) key_at: usize,
    pub(super) value: &'a DeValue<'a>,
    pub(super) value_at: Range<usize>,
}

/// The entries of a table, as they stand in the file.
pub(super) fn entries<'a>(table: &'a DeTable<'a>) -> Vec<Entry<'a>> {
    let mut entries: Vec<Entry> = table
        .iter()
        .map(|(key, value)| Entry {
            key: key.get_ref(),
            key_at: key.span().start,
            value: value.get_ref(),
            value_at: value.span(),
        })
        .collect();
    entries.sort_by_key(|entry| entry.key_at);
    entries
}

pub(super) fn find<'e, 'a>(entries: &'e [Entry<'a>], key: &str) -> Option<&'e Entry<'a>> {
    entries.iter().find(|entry| entry.key == key)
}

/// # Errors
/// At the first key that is not known.
pub(super) fn only(source: &Source, entries: &[Entry], known: &[&str]) -> Result<()> {
    match entries.iter().find(|entry| !known.contains(&entry.key)) {
        Some(entry) => {
            let problem = format!("unknown key `{}`", entry.key.escape_debug());
            Err(source.error(entry.key_at, problem, Some(nearest_key(entry.key, known))))
        }
        None => Ok(()),
    }
}

fn expected<T>(source: &Source, entry: &Entry, what: &str) -> Result<T> {
    let problem = format!("`{}` must be {what}, not of type {}", entry.key.escape_debug(), entry.value.type_str());
    Err(source.error(entry.value_at.start, problem, None))
}

pub(super) fn text<'a>(source: &Source, entry: &Entry<'a>) -> Result<&'a str> {
    entry.value.as_str().map_or_else(|| expected(source, entry, "a text in quotes"), Ok)
}

pub(super) fn table<'a>(source: &Source, entry: &Entry<'a>) -> Result<&'a DeTable<'a>> {
    entry.value.as_table().map_or_else(|| expected(source, entry, "a table"), Ok)
}

pub(super) fn boolean(source: &Source, entry: &Entry) -> Result<bool> {
    entry.value.as_bool().map_or_else(|| expected(source, entry, "true or false"), Ok)
}

/// A finite number, written as an integer or a float.
pub(super) fn number(source: &Source, value: &DeValue, at: &Range<usize>) -> Result<f64> {
    let number = match value {
        DeValue::Float(float) => float.as_str().parse::<f64>().ok(),
        DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str().parse::<f64>().ok(),
        DeValue::Integer(integer) => i64::from_str_radix(integer.as_str(), integer.radix()).ok().map(|n| n as f64),
        other => {
            return Err(source.error(at.start, format!("expected a number, found {}", other.type_str()), None));
        }
    };
    match number {
        Some(number) if number.is_finite() => Ok(number),
        _ => Err(source.error(at.start, "expected a finite number", None)),
    }
}
