//! `LINES.csv`: where each line comes from and what is known of its resistance.

use crate::config::Mapping;
use crate::config::choice::{did_you_mean, unknown};
use crate::config::screen_file::LineEntry;
use crate::screen::Screen;
use crate::screen::line::{LineAnnotation, LineStatus};
use crate::{Error, Result};
use arrow::array::{Array, AsArray, StringArray};
use arrow::csv::ReaderBuilder;
use arrow::datatypes::{DataType, Field, Schema};
use std::collections::BTreeMap;
use std::io::{Cursor, Read};
use std::path::Path;
use std::sync::Arc;

/// The columns that are read; others are left to their owner.
const COLUMNS: [&str; 5] = ["cell_line", "parental", "status", "mechanism", "doubling_time_h"];

/// What `LINES.csv` says, over what the mapping says.
///
/// # Errors
/// [`Error::File`] or [`Error::Format`] naming the line of the file.
pub(super) fn read(path: Option<&Path>, mapping: &Mapping) -> Result<BTreeMap<String, LineEntry>> {
    let mut said = mapping.lines.clone();
    if let Some(path) = path {
        let mut bytes = Vec::new();
        std::fs::File::open(path).and_then(|mut file| file.read_to_end(&mut bytes)).map_err(|source| Error::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        said.extend(parse(path, &bytes)?);
    }
    for (line, entry) in &said {
        if let Some(hours) = entry.doubling_time_h.filter(|hours| !(hours.is_finite() && *hours > 0.0)) {
            return Err(Error::setting("doubling_time_h", format!("{hours} of line `{line}` is not above 0 hours")));
        }
        if entry.parental.as_ref() == Some(line) {
            return Err(Error::Screen {
                problem: format!("line `{line}` is said to be its own parent"),
                hint: Some("leave `parental` empty for a line that came from no other".into()),
            });
        }
        // A chain of parents longer than the list of lines must go round in a circle.
        let mut ancestor = Some(line);
        for _ in 0..=said.len() {
            ancestor = ancestor.and_then(|name| said.get(name)).and_then(|entry| entry.parental.as_ref());
        }
        if ancestor.is_some() {
            return Err(Error::Screen {
                problem: format!("the parents of line `{line}` go round in a circle"),
                hint: None,
            });
        }
    }
    Ok(said)
}

fn parse(path: &Path, bytes: &[u8]) -> Result<BTreeMap<String, LineEntry>> {
    let wrong = |problem: String, hint: Option<String>| Error::Format {
        path: path.to_owned(),
        row_group: None,
        column: None,
        problem,
        hint,
    };
    // Spreadsheets put a byte order mark before the first name.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = 1 + bytes[..error.valid_up_to()].iter().filter(|b| **b == b'\n').count();
        wrong(format!("line {line}: is not UTF-8 text"), Some("save it as CSV UTF-8".into()))
    })?;
    let header = text.lines().next().unwrap_or("").trim_end_matches('\r');
    if header.trim().is_empty() {
        return Err(wrong("line 1: no column names".into(), Some(format!("expected {}", COLUMNS.join(",")))));
    }
    let names: Vec<&str> = header.split(',').map(|name| name.trim().trim_matches('"')).collect();
    let at: Vec<Option<usize>> =
        COLUMNS.iter().map(|ours| names.iter().position(|n| n.eq_ignore_ascii_case(ours))).collect();
    let Some(line_at) = at[0] else {
        return Err(wrong(
            format!("line 1: no column `cell_line`; it has `{}`", names.join("`, `")),
            names.contains(&"").then(|| "columns are separated by commas".into()),
        ));
    };
    let schema = Arc::new(Schema::new(
        names.iter().enumerate().map(|(i, _)| Field::new(format!("{i}"), DataType::Utf8, true)).collect::<Vec<_>>(),
    ));
    // Line breaks at the end are trimmed so that a blank last line is no row.
    let reader = ReaderBuilder::new(schema)
        .with_header(true)
        .build(Cursor::new(text.as_bytes()))
        .map_err(|error| wrong(error.to_string(), None))?;
    let mut said = BTreeMap::new();
    let mut number = 1;
    for batch in reader {
        let batch = batch.map_err(|error| wrong(csv_words(&error.to_string()), None))?;
        let column = |at: usize| batch.column(at).as_string::<i32>();
        let text = |column: &StringArray, row: usize| {
            Some(column)
                .filter(|c| c.is_valid(row))
                .map(|c| c.value(row).trim().to_owned())
                .filter(|text| !text.is_empty())
        };
        for row in 0..batch.num_rows() {
            number += 1;
            let get = |ours: usize| at[ours].and_then(|at| text(column(at), row));
            let Some(line) = text(column(line_at), row) else {
                return Err(wrong(format!("line {number}: no cell line"), None));
            };
            let status = match get(2) {
                None => None,
                Some(status) => Some(LineStatus::parse(&status).ok_or_else(|| {
                    let message = unknown::<LineStatus>(&status);
                    wrong(format!("line {number}: {message}"), did_you_mean(&message))
                })?),
            };
            let doubling_time_h = match get(4) {
                None => None,
                Some(hours) => Some(hours.parse().map_err(|_| {
                    wrong(format!("line {number}: `{hours}` under `doubling_time_h` is not a number of hours"), None)
                })?),
            };
            let entry = LineEntry { parental: get(1), status, mechanism: get(3), doubling_time_h };
            if said.insert(line.clone(), entry).is_some() {
                return Err(wrong(format!("line {number}: `{line}` is named twice"), None));
            }
        }
    }
    Ok(said)
}

/// The reader's message without its prefix.
fn csv_words(message: &str) -> String {
    message.trim_start_matches("Csv error: ").replace("incorrect number of fields for", "wrong number of fields in")
}

/// Writes what is said onto the lines of the screen; what fits no line becomes a warning.
pub(super) fn annotate(screen: &mut Screen, said: &BTreeMap<String, LineEntry>) {
    screen.annotations = vec![LineAnnotation::default(); screen.lines.len()];
    for (name, entry) in said {
        let Some(line) = screen.lines.id_ignoring_case(name) else {
            screen.warnings.push(format!("line `{name}` is described and not in the screen"));
            continue;
        };
        let parental = entry.parental.as_ref().and_then(|parent| {
            let found = screen.lines.id_ignoring_case(parent);
            if found.is_none() {
                screen.warnings.push(format!("`{parent}`, the parent of `{name}`, is not in the screen"));
            }
            found
        });
        screen.annotations[line as usize] = LineAnnotation {
            parental,
            status: entry.status,
            mechanism: entry.mechanism.clone(),
            doubling_time_h: entry.doubling_time_h,
        };
    }
}
