//! A table with one header row, read row by row: the columns by their names, the cells by their places.

use super::number::{Decimal, number};
use super::sheet::{Sheet, at_cell, of_file, place};
use super::text_file::TextFile;
use super::workbook;
use crate::config::choice::nearest;
use crate::screen::schema::plain;
use crate::{Error, Result};
use csv::StringRecord;
use std::path::{Path, PathBuf};

enum Rows {
    Text(TextFile),
    Sheet(Sheet, usize),
}

/// A table that is being read.
pub(super) struct Table {
    path: PathBuf,
    sheet: Option<String>,
    decimal: Decimal,
    header: Vec<String>,
    header_row: usize,
    rows: Rows,
}

/// One row.
pub(super) struct Row {
    /// Its number in the file, from 0.
    pub number: usize,
    cells: StringRecord,
}

impl Table {
    /// Opens a text table, or a sheet of a workbook: the one named, else the only one.
    ///
    /// # Errors
    /// Those of reading; [`Error::Format`] for a file without a header.
    pub fn open(path: &Path, sheet: Option<&str>, decimal: Decimal) -> Result<Self> {
        let (mut rows, name) = match workbook::is_workbook(path) {
            true => {
                let sheet = workbook::sheet(path, sheet)?;
                let name = sheet.name.clone();
                (Rows::Sheet(sheet, 0), name)
            }
            false => (Rows::Text(TextFile::open(path)?), None),
        };
        let Some((header_row, header)) = next(&mut rows)? else {
            return Err(of_file(path, "has no rows", ""));
        };
        let header: Vec<String> = header.iter().map(|name| name.trim().to_owned()).collect();
        Ok(Self { path: path.to_owned(), sheet: name, decimal, header, header_row, rows })
    }

    /// The names of the columns.
    pub fn header(&self) -> &[String] {
        &self.header
    }

    /// The next row.
    ///
    /// # Errors
    /// Those of reading; [`Error::Format`] for a row with more cells than the header.
    pub fn next(&mut self) -> Result<Option<Row>> {
        let Some((number, cells)) = next(&mut self.rows)? else { return Ok(None) };
        if let Some(extra) = (self.header.len()..cells.len()).find(|column| !cells[*column].trim().is_empty()) {
            let problem = format!("the row has more cells than the header, which has {}", self.header.len());
            let hint = "quote texts with the delimiter in them; numbers with decimal commas need another delimiter";
            return Err(at_cell(&self.path, &place(self.sheet.as_deref(), number, extra), &problem, hint));
        }
        Ok(Some(Row { number, cells }))
    }

    /// The column with one of these names, compared by letters and digits.
    ///
    /// # Errors
    /// [`Error::Format`] where two columns have them.
    pub fn find(&self, names: &[&str]) -> Result<Option<usize>> {
        for name in names {
            let wanted = plain(name);
            let mut found = self.header.iter().enumerate().filter(|(_, n)| plain(n) == wanted).map(|(at, _)| at);
            match (found.next(), found.next()) {
                (Some(at), None) => return Ok(Some(at)),
                (Some(_), Some(two)) => {
                    let problem = format!("a second column `{name}`");
                    return Err(self.at(self.header_row, two, &problem, "rename one of them"));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// As [`Table::find`], for a column without which there is nothing to import.
    ///
    /// # Errors
    /// [`Error::Format`] saying what the table has instead.
    pub fn need(&self, names: &[&str], format: &str) -> Result<usize> {
        self.find(names)?.ok_or_else(|| self.missing(names, format))
    }

    fn missing(&self, names: &[&str], format: &str) -> Error {
        let near = names.iter().find_map(|name| nearest(name, self.header.iter().map(String::as_str)));
        let sheet = self.sheet.as_ref().map(|name| format!("sheet `{name}` ")).unwrap_or_default();
        let hint = match near {
            Some(near) => format!("is it `{near}`? then rename that"),
            None => format!("is it a file of {format}, and the right sheet? (isobole import --list)"),
        };
        let at = place(self.sheet.as_deref(), self.header_row, 0);
        let problem = format!("{at}: {sheet}has no column `{}`; it has `{}`", names[0], self.header.join("`, `"));
        of_file(&self.path, problem, &hint)
    }

    /// The trimmed text of a cell; `None` where it is empty or stands for a missing value.
    pub fn text<'r>(&self, row: &'r Row, column: usize) -> Option<&'r str> {
        let text = row.cells.get(column).map(str::trim)?;
        let missing = ["", "na", "n/a", "nan", "null"].iter().any(|missing| missing.eq_ignore_ascii_case(text));
        (!missing).then_some(text)
    }

    /// The number in a cell.
    ///
    /// # Errors
    /// [`Error::Format`] naming the cell.
    pub fn number(&self, row: &Row, column: usize) -> Result<Option<f64>> {
        let text = row.cells.get(column).unwrap_or("");
        number(text, self.decimal).map_err(|no| self.at(row.number, column, &no.problem, no.hint))
    }

    /// Where a cell is.
    pub fn place(&self, row: &Row, column: usize) -> String {
        place(self.sheet.as_deref(), row.number, column)
    }

    /// An error at a cell.
    pub fn error(&self, row: &Row, column: usize, problem: &str, hint: &str) -> Error {
        self.at(row.number, column, problem, hint)
    }

    /// An error at a column's name.
    pub fn header_error(&self, column: usize, problem: &str, hint: &str) -> Error {
        self.at(self.header_row, column, problem, hint)
    }

    fn at(&self, row: usize, column: usize, problem: &str, hint: &str) -> Error {
        at_cell(&self.path, &place(self.sheet.as_deref(), row, column), problem, hint)
    }

    /// The columns that none of `used` is, as a note for people: nothing is left out in silence.
    pub fn unused(&self, used: &[usize]) -> Option<String> {
        let names: Vec<String> = (0..self.header.len())
            .filter(|at| !used.contains(at) && !self.header[*at].is_empty())
            .map(|at| format!("`{}`", self.header[at]))
            .collect();
        (!names.is_empty()).then(|| format!("{}: columns not carried over: {}", self.path.display(), names.join(", ")))
    }
}

fn next(rows: &mut Rows) -> Result<Option<(usize, StringRecord)>> {
    match rows {
        Rows::Text(file) => loop {
            match file.next()? {
                Some((_, record)) if record.iter().all(|cell| cell.trim().is_empty()) => {}
                other => return Ok(other),
            }
        },
        Rows::Sheet(sheet, at) => {
            while *at < sheet.rows() {
                *at += 1;
                if !sheet.is_blank(*at - 1) {
                    return Ok(Some((*at - 1, sheet.cells[*at - 1].iter().collect())));
                }
            }
            Ok(None)
        }
    }
}
