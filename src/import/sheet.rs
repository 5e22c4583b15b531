//! A sheet of cells, and the names of places in it, as every spreadsheet shows them.

use super::number::{Decimal, number};
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// A sheet of a workbook, or a text table as one.
#[derive(Debug, Clone, PartialEq)]
pub struct Sheet {
    /// The file.
    pub path: PathBuf,
    /// Its name; `None` for a text table.
    pub name: Option<String>,
    /// The texts of the cells; rows may be of different lengths.
    pub cells: Vec<Vec<String>>,
}

impl Sheet {
    /// The trimmed text of a cell, counted from 0; empty where there is none.
    pub fn text(&self, row: usize, column: usize) -> &str {
        self.cells.get(row).and_then(|cells| cells.get(column)).map_or("", |text| text.trim())
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.cells.len()
    }

    /// Number of cells of a row.
    pub fn columns(&self, row: usize) -> usize {
        self.cells.get(row).map_or(0, Vec::len)
    }

    /// Whether a row has no text at all.
    pub fn is_blank(&self, row: usize) -> bool {
        (0..self.columns(row)).all(|column| self.text(row, column).is_empty())
    }

    /// `Sheet2!C14`.
    pub fn place(&self, row: usize, column: usize) -> String {
        place(self.name.as_deref(), row, column)
    }

    /// An error at a cell.
    pub fn error(&self, row: usize, column: usize, problem: impl AsRef<str>, hint: &str) -> Error {
        at_cell(&self.path, &self.place(row, column), problem.as_ref(), hint)
    }

    /// An error of the sheet as a whole.
    pub fn whole(&self, problem: impl AsRef<str>, hint: &str) -> Error {
        match &self.name {
            Some(name) => of_file(&self.path, format!("sheet `{name}`: {}", problem.as_ref()), hint),
            None => of_file(&self.path, problem.as_ref(), hint),
        }
    }

    /// The number in a cell; `None` where it is empty or stands for a missing value.
    ///
    /// # Errors
    /// [`Error::Format`] naming the cell.
    pub fn number(&self, row: usize, column: usize, decimal: Decimal) -> Result<Option<f64>> {
        number(self.text(row, column), decimal).map_err(|no| self.error(row, column, no.problem, no.hint))
    }
}

/// `C14`, with the sheet's name where it has one; counted from 0.
pub(crate) fn place(sheet: Option<&str>, row: usize, column: usize) -> String {
    let (mut letters, mut rest) = (Vec::new(), column + 1);
    while rest > 0 {
        letters.push(char::from(b'A' + ((rest - 1) % 26) as u8));
        rest = (rest - 1) / 26;
    }
    let cell: String = letters.iter().rev().collect::<String>() + &(row + 1).to_string();
    sheet.map_or_else(|| cell.clone(), |sheet| format!("{sheet}!{cell}"))
}

/// An error at a place in a file.
pub(crate) fn at_cell(path: &Path, place: &str, problem: &str, hint: &str) -> Error {
    of_file(path, format!("{place}: {problem}"), hint)
}

/// An error of a file.
pub(super) fn of_file(path: &Path, problem: impl Into<String>, hint: &str) -> Error {
    let hint = (!hint.is_empty()).then(|| hint.to_owned());
    Error::Format { path: path.to_owned(), row_group: None, column: None, problem: problem.into(), hint }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_named_as_in_a_spreadsheet() {
        assert_eq!(place(None, 0, 0), "A1");
        assert_eq!(place(Some("Sheet2"), 13, 2), "Sheet2!C14");
        assert_eq!(place(None, 9, 25), "Z10");
        assert_eq!(place(None, 9, 26), "AA10");
        assert_eq!(place(None, 0, 701), "ZZ1");
        assert_eq!(place(None, 0, 702), "AAA1");
    }
}
