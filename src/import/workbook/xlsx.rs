//! `.xlsx`: the texts of cells from the XML files of the archive (ECMA-376, part 1, section 18).

use super::NamedCells;
use super::archive::Archive;
use super::xml::{Piece, Pieces, attribute, text};

/// Excel's own limits.
const ROWS: usize = 1 << 20;
const COLUMNS: usize = 1 << 14;

/// Names and cells of the sheets.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<NamedCells>, String> {
    let archive = Archive::open(bytes)?;
    let need = |name: &str| archive.text(name)?.ok_or_else(|| format!("has no `{name}` inside: is it a workbook?"));
    let workbook = need("xl/workbook.xml")?;
    let relations = relations(&need("xl/_rels/workbook.xml.rels")?);
    let shared = archive.text("xl/sharedStrings.xml")?.map(|text| shared_texts(&text)).unwrap_or_default();
    let mut sheets = Vec::new();
    for piece in Pieces::of(&workbook) {
        let Piece::Start { name: "sheet", attributes, .. } = piece else { continue };
        let (Some(name), Some(id)) = (attribute(attributes, "name"), attribute(attributes, "id")) else { continue };
        let Some((_, target)) = relations.iter().find(|(known, _)| *known == id) else { continue };
        let path = match target.strip_prefix('/') {
            Some(absolute) => absolute.to_owned(),
            None => format!("xl/{target}"),
        };
        // Sheets of charts have no cells.
        if path.contains("worksheets/") {
            sheets.push((name.clone(), cells(&need(&path)?, &shared).map_err(|e| format!("sheet `{name}`: {e}"))?));
        }
    }
    Ok(sheets)
}

fn relations(xml: &str) -> Vec<(String, String)> {
    Pieces::of(xml)
        .filter_map(|piece| match piece {
            Piece::Start { name: "Relationship", attributes, .. } => {
                Some((attribute(attributes, "Id")?, attribute(attributes, "Target")?))
            }
            _ => None,
        })
        .collect()
}

/// The table of texts that cells refer to by number; runs of different type are one text, readings aloud are none.
fn shared_texts(xml: &str) -> Vec<String> {
    let mut texts = Vec::new();
    let (mut inside_text, mut inside_phonetic) = (false, false);
    for piece in Pieces::of(xml) {
        match piece {
            Piece::Start { name: "si", .. } => texts.push(String::new()),
            Piece::Start { name: "t", empty, .. } => inside_text = !empty,
            Piece::End("t") => inside_text = false,
            Piece::Start { name: "rPh", empty, .. } => inside_phonetic = !empty,
            Piece::End("rPh") => inside_phonetic = false,
            Piece::Text(raw) if inside_text && !inside_phonetic => {
                if let Some(last) = texts.last_mut() {
                    *last += &text(raw);
                }
            }
            _ => {}
        }
    }
    texts
}

fn cells(xml: &str, shared: &[String]) -> Result<Vec<Vec<String>>, String> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let (mut row, mut column) = (0_usize, 0_usize);
    let (mut kind, mut value, mut in_value) = (String::new(), String::new(), false);
    for piece in Pieces::of(xml) {
        match piece {
            Piece::Start { name: "row", attributes, empty: _ } => {
                let said = attribute(attributes, "r").and_then(|r| r.parse::<usize>().ok());
                row = said.unwrap_or(row + 1);
                column = 0;
                if row == 0 || row > ROWS {
                    return Err(format!("row {row} is beyond a sheet"));
                }
            }
            Piece::Start { name: "c", attributes, empty } => {
                column = match attribute(attributes, "r").as_deref().and_then(column_of) {
                    Some(column) => column,
                    None => column + 1,
                };
                if column == 0 || column > COLUMNS || row == 0 {
                    return Err(format!("row {row}, column {column} is beyond a sheet"));
                }
                kind = attribute(attributes, "t").unwrap_or_default();
                value.clear();
                in_value = false;
                if empty {
                    kind.clear();
                }
            }
            Piece::Start { name: "v" | "t", empty, .. } => in_value = !empty,
            Piece::End("v" | "t") => in_value = false,
            Piece::Text(raw) if in_value => value += &text(raw),
            Piece::End("c") if !value.is_empty() => {
                let shown = match kind.as_str() {
                    "s" => {
                        let number = value.trim().parse::<usize>().ok();
                        number
                            .and_then(|n| shared.get(n))
                            .cloned()
                            .ok_or_else(|| format!("no shared text `{value}`"))?
                    }
                    "b" => if value.trim() == "1" { "TRUE" } else { "FALSE" }.to_owned(),
                    _ => std::mem::take(&mut value),
                };
                if rows.len() < row {
                    rows.resize_with(row, Vec::new);
                }
                let cells = &mut rows[row - 1];
                if cells.len() < column {
                    cells.resize(column, String::new());
                }
                cells[column - 1] = shown;
            }
            _ => {}
        }
    }
    Ok(rows)
}

/// The number of the column of `C14`, from 1.
fn column_of(cell: &str) -> Option<usize> {
    let letters = cell.bytes().take_while(u8::is_ascii_alphabetic);
    let column = letters.fold(0_usize, |n, letter| {
        n.saturating_mul(26).saturating_add(usize::from(letter.to_ascii_uppercase() - b'A') + 1)
    });
    (column > 0).then_some(column)
}
