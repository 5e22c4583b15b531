//! Tables as CSV (RFC 4180, line feeds). A null is an empty field, an empty text is `""`.

use super::table::{Table, Values};
use std::io::{self, Write};

/// Writes the header and every row.
pub(super) fn write(table: &Table, out: &mut dyn Write) -> io::Result<()> {
    let mut line = String::new();
    for (i, column) in table.columns.iter().enumerate() {
        separate(&mut line, i);
        quote(&mut line, &column.name);
    }
    line.push('\n');
    out.write_all(line.as_bytes())?;
    for row in 0..table.rows() {
        line.clear();
        for (i, column) in table.columns.iter().enumerate() {
            separate(&mut line, i);
            cell(&mut line, &column.values, row);
        }
        line.push('\n');
        out.write_all(line.as_bytes())?;
    }
    Ok(())
}

fn separate(line: &mut String, column: usize) {
    if column > 0 {
        line.push(',');
    }
}

fn cell(line: &mut String, values: &Values, row: usize) {
    use std::fmt::Write as _;
    // Writing into a String cannot fail.
    let _ = match values {
        Values::Text(_) | Values::Named(..) => {
            if let Some(text) = values.text(row) {
                quote(line, text);
            }
            Ok(())
        }
        Values::Number(v) => match v[row].filter(|x| x.is_finite()) {
            // Both forms are the shortest text that reads back as the same number.
            Some(x) if x == 0.0 || (1e-4..1e15).contains(&x.abs()) => write!(line, "{x}"),
            Some(x) => write!(line, "{x:e}"),
            None => Ok(()),
        },
        Values::Integer(v) => v[row].map_or(Ok(()), |x| write!(line, "{x}")),
        Values::Flag(v) => v[row].map_or(Ok(()), |x| write!(line, "{x}")),
    };
}

/// Quotes where a reader could take the text for something else: separators, an empty text, outer blanks, and a
/// leading `=`, `+`, `-` or `@`, which some programs run as a formula unless told that the field is text. The text
/// itself is never changed: it is data.
fn quote(line: &mut String, text: &str) {
    let plain = !text.is_empty()
        && !text.starts_with(['=', '+', '-', '@', ' ', '\t'])
        && !text.ends_with([' ', '\t'])
        && !text.contains([',', '"', '\n', '\r']);
    if plain {
        line.push_str(text);
        return;
    }
    line.push('"');
    for (i, part) in text.split('"').enumerate() {
        if i > 0 {
            line.push_str("\"\"");
        }
        line.push_str(part);
    }
    line.push('"');
}
