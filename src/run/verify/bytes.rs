//! Tables of the same back end: the same bytes.

use super::{Verdict, Verification};
use crate::Result;
use crate::archive::Archive;
use crate::report::files;
use crate::report::run_json::sha256;
use crate::report::table::{Table, Values};

/// Whether a table that was computed anew has the bytes of the archive's, and of its CSV copy where there is one.
pub(super) fn byte_for_byte(archive: &Archive, table: &Table, found: &mut Verification) -> Result<()> {
    let (name, copy) = (format!("{}.parquet", table.name), format!("{}.csv", table.name));
    let what = format!("table `{}`", table.name);
    let is = |file: &str, bytes: &[u8]| archive.record.files.get(file).is_none_or(|hash| *hash == sha256(bytes));
    if !is(&name, &files::bytes(table, &archive.record.identity())?) {
        let before = files::read(&archive.path(&name))?;
        found.add(what, Verdict::Differs, first_difference(&before, table));
    } else if archive.record.files.contains_key(&copy) && !is(&copy, &files::csv_bytes(table)?) {
        found.add(what, Verdict::Differs, format!("`{copy}` is no copy of it"));
    } else {
        found.add(what, Verdict::Agrees, format!("{} rows, the same bytes", table.rows()));
    }
    Ok(())
}

fn same(a: &Values, b: &Values, row: usize) -> bool {
    a.text(row) == b.text(row)
        && a.number(row).map(f64::to_bits) == b.number(row).map(f64::to_bits)
        && match (a, b) {
            (Values::Flag(a), Values::Flag(b)) => a.get(row) == b.get(row),
            _ => true,
        }
}

/// A cell in words.
pub(super) fn value(values: &Values, row: usize) -> String {
    let number = || values.number(row).map(|number| number.to_string());
    values.text(row).map(str::to_owned).or_else(number).unwrap_or_else(|| "nothing".into())
}

/// Where two tables differ first, column by column, and in how many cells.
fn first_difference(before: &Table, now: &Table) -> String {
    if before.rows() != now.rows() {
        return format!("has {} rows, and {} come out now", before.rows(), now.rows());
    }
    let mut differing = 0usize;
    let mut first = None;
    for column in &now.columns {
        let Some(old) = before.column(&column.name) else {
            return format!("has no column `{}`, which comes out now", column.name);
        };
        for row in (0..now.rows()).filter(|row| !same(old, &column.values, *row)) {
            differing += 1;
            first.get_or_insert_with(|| {
                let (old, new) = (value(old, row), value(&column.values, row));
                format!("`{}` of row {row} is {old}, and {new} comes out now", column.name)
            });
        }
    }
    if let Some(gone) = before.columns.iter().find(|column| now.column(&column.name).is_none()) {
        return format!("has a column `{}`, which does not come out now", gone.name);
    }
    match first {
        Some(first) => format!("{first}; {differing} cells differ"),
        None => "has the same values in other bytes".into(),
    }
}
