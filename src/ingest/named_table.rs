//! Small tables with known columns (evidence, apoptosis, knowledge), from Parquet, CSV or TSV: cells by column name,
//! every complaint with its file, row and column.

use super::failure;
use super::parquet_file::ParquetFile;
use super::values;
use crate::config::choice::nearest;
use crate::{Error, Result};
use arrow::array::Array;
use std::path::{Path, PathBuf};

/// A column that a table may have: our name, and what else it is called.
pub(super) struct Known {
    pub name: &'static str,
    pub other_names: &'static [&'static str],
}

/// A table in memory: the trimmed texts of its cells, `None` for an empty one.
pub(super) struct NamedTable {
    path: PathBuf,
    /// Names in the file, of the columns that were asked for and are there.
    titles: Vec<Option<String>>,
    rows: Vec<Vec<Option<String>>>,
}

/// One row of a [`NamedTable`].
#[derive(Clone, Copy)]
pub(super) struct Row<'a> {
    table: &'a NamedTable,
    row: usize,
}

impl NamedTable {
    /// Reads `columns`; columns of other names are left to their owner.
    ///
    /// # Errors
    /// As for [`ParquetFile::open`]; [`Error::Format`] for a column that is given twice.
    pub fn read(path: &Path, columns: &[Known]) -> Result<Self> {
        let file = ParquetFile::open(path)?;
        let names = file.column_names();
        let mut at = Vec::with_capacity(columns.len());
        for known in columns {
            let is = |name: &str| {
                let name = name.trim();
                name.eq_ignore_ascii_case(known.name)
                    || known.other_names.iter().any(|other| other.eq_ignore_ascii_case(name))
            };
            let found: Vec<usize> = (0..names.len()).filter(|&i| is(names[i])).collect();
            if let [first, second, ..] = found[..] {
                let problem = format!("columns `{}` and `{}` both mean `{}`", names[first], names[second], known.name);
                return Err(failure::of_file(path, problem, Some("leave one of them out".into())));
            }
            let column = found.first().copied();
            if let Some(column) = column {
                values::check_type(&file, column, known.name, false)?;
            }
            at.push(column);
        }
        let mut wanted: Vec<usize> = at.iter().flatten().copied().collect();
        wanted.sort_unstable();
        let mut rows = Vec::new();
        file.read(&wanted, |_, batch| {
            let texts = (0..wanted.len()).map(|i| values::text(&file, batch, i)).collect::<Result<Vec<_>>>()?;
            let cell = |column: usize, row: usize| {
                let texts = texts.get(wanted.iter().position(|w| *w == column)?)?;
                let text = texts.is_valid(row).then(|| texts.value(row).trim())?;
                (!text.is_empty()).then(|| text.to_owned())
            };
            rows.extend((0..batch.num_rows()).map(|row| -> Vec<Option<String>> {
                at.iter().map(|column| column.and_then(|column| cell(column, row))).collect()
            }));
            Ok(())
        })?;
        let titles = at.iter().map(|column| column.map(|column| names[column].to_owned())).collect();
        let table = Self { path: path.to_owned(), titles, rows };
        if table.titles.iter().all(Option::is_none) {
            let known = columns.iter().map(|known| known.name).collect::<Vec<_>>().join("`, `");
            let problem = format!("has none of the columns `{known}`; it has `{}`", names.join("`, `"));
            return Err(failure::of_file(path, problem, None));
        }
        Ok(table)
    }

    /// Whether the file has the column with this number.
    pub fn has(&self, column: usize) -> bool {
        self.titles.get(column).is_some_and(Option::is_some)
    }

    /// Insists on a column.
    ///
    /// # Errors
    /// [`Error::Format`] with the nearest name that the file has.
    pub fn need(&self, column: usize, known: &Known) -> Result<()> {
        if self.has(column) {
            return Ok(());
        }
        let file = ParquetFile::open(&self.path)?;
        let names = file.column_names();
        let near = nearest(known.name, names.iter().copied()).map(|near| format!("did you mean `{near}`?"));
        let problem = format!("has no column `{}`; it has `{}`", known.name, names.join("`, `"));
        Err(failure::of_file(&self.path, problem, near))
    }

    pub fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        (0..self.rows.len()).map(|row| Row { table: self, row })
    }
}

impl<'a> Row<'a> {
    /// The text of a cell.
    pub fn text(self, column: usize) -> Option<&'a str> {
        self.table.rows.get(self.row)?.get(column)?.as_deref()
    }

    /// The text of a cell that may not be empty.
    pub fn required(self, column: usize) -> Result<&'a str> {
        self.text(column).ok_or_else(|| self.error(Some(column), "is empty", None))
    }

    /// A finite number; `None` for an empty cell and for the usual words for a missing value.
    pub fn number(self, column: usize) -> Result<Option<f64>> {
        let Some(text) = self.text(column) else { return Ok(None) };
        if ["na", "n/a", "nan", "null", "none", "-", "undetermined", "nd", "n.d."]
            .iter()
            .any(|word| word.eq_ignore_ascii_case(text))
        {
            return Ok(None);
        }
        match text.parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(Some(number)),
            _ => {
                let hint = "write numbers with a decimal point and without units";
                Err(self.error(Some(column), format!("`{text}` is not a number"), Some(hint.into())))
            }
        }
    }

    /// An error of this row, rows counted from 1 below the header.
    pub fn error(self, column: Option<usize>, problem: impl AsRef<str>, hint: Option<String>) -> Error {
        Error::Format {
            path: self.table.path.clone(),
            row_group: None,
            column: column.and_then(|column| self.table.titles.get(column).cloned().flatten()),
            problem: format!("row {} below the header: {}", self.row + 1, problem.as_ref()),
            hint,
        }
    }
}
