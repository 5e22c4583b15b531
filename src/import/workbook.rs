//! Workbooks: `.xlsx` and `.xls`, and text tables as a workbook of one sheet.

mod archive;
mod xls;
mod xlsx;
mod xml;

use super::sheet::{Sheet, of_file};
use super::text_file::TextFile;
use crate::config::choice::nearest;
use crate::{Error, Result};
use std::path::Path;

/// The name of a sheet and the texts of its cells.
type NamedCells = (String, Vec<Vec<String>>);

const ARCHIVE: &[u8] = b"PK\x03\x04";
const COMPOUND: &[u8] = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1";

/// Whether a file's name says that it is a workbook.
pub(super) fn is_workbook(path: &Path) -> bool {
    let endings = ["xlsx", "xlsm", "xls"];
    path.extension().is_some_and(|e| endings.iter().any(|ending| e.eq_ignore_ascii_case(ending)))
}

/// Every sheet of a workbook or text table, in order. What a file is, is told by its first bytes.
///
/// # Errors
/// [`Error::File`] if it cannot be read; [`Error::Format`] if it is no workbook of a known kind.
pub(super) fn sheets(path: &Path) -> Result<Vec<Sheet>> {
    if !is_workbook(path) {
        return Ok(vec![TextFile::sheet(path)?]);
    }
    let bytes = std::fs::read(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
    let found = if bytes.starts_with(ARCHIVE) {
        xlsx::read(&bytes)
    } else if bytes.starts_with(COMPOUND) {
        xls::read(&bytes)
    } else {
        // Instruments save text under the name of a workbook, and Excel opens it.
        return Ok(vec![TextFile::sheet(path)?]);
    };
    let sheets = found.map_err(|problem| of_file(path, problem, "open it and save it again as .xlsx or CSV"))?;
    if sheets.is_empty() {
        return Err(of_file(path, "has no sheet of cells", ""));
    }
    Ok(sheets.into_iter().map(|(name, cells)| Sheet { path: path.to_owned(), name: Some(name), cells }).collect())
}

/// The sheet with this name; without one, the only sheet that has cells.
///
/// # Errors
/// Those of [`sheets`]; [`Error::Format`] where there is no such sheet, or more than one to choose from.
pub(super) fn sheet(path: &Path, name: Option<&str>) -> Result<Sheet> {
    let sheets = sheets(path)?;
    let names: Vec<String> = sheets.iter().filter_map(|sheet| sheet.name.clone()).collect();
    let listed = names.join("`, `");
    if let Some(name) = name {
        return sheets.into_iter().find(|sheet| sheet.name.as_deref() == Some(name)).ok_or_else(|| {
            let hint = nearest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
            of_file(path, format!("has no sheet `{name}`; it has `{listed}`"), hint.as_deref().unwrap_or(""))
        });
    }
    let mut filled = sheets.into_iter().filter(|sheet| (0..sheet.rows()).any(|row| !sheet.is_blank(row)));
    match (filled.next(), filled.next()) {
        (Some(only), None) => Ok(only),
        (Some(_), Some(_)) => Err(of_file(path, format!("has the sheets `{listed}`"), "say which: --sheet NAME")),
        (None, _) => Err(of_file(path, "has no cell with anything in it", "")),
    }
}
