//! Result tables: columns of optional values, written as Parquet (and CSV) with the run's identity in the metadata.

use crate::screen::names::{NameId, Names};
use std::sync::Arc;

/// Codes of a column that are compared one by one before the others are looked up.
const CODES_LOOKED_AT: usize = 8;

/// The values of one column; `None` is a null, and a null always has a reason code beside it.
#[derive(Debug, Clone)]
pub enum Values {
    /// Text of which most differs from row to row.
    Text(Vec<Option<String>>),
    /// A few names repeated over many rows: the names, and for each row the number of one.
    Named(Arc<[String]>, Vec<Option<NameId>>),
    /// Numbers. A NaN or an infinity is written as null.
    Number(Vec<Option<f64>>),
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Yes or no.
    Flag(Vec<Option<bool>>),
}

impl Values {
    /// Number of rows.
    pub fn len(&self) -> usize {
        match self {
            Values::Text(v) => v.len(),
            Values::Named(_, v) => v.len(),
            Values::Number(v) => v.len(),
            Values::Integer(v) => v.len(),
            Values::Flag(v) => v.len(),
        }
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The text of a row, however it is held; `None` for a null, a row beyond the end or a column that is not text.
    pub fn text(&self, row: usize) -> Option<&str> {
        match self {
            Values::Text(v) => v.get(row)?.as_deref(),
            Values::Named(names, ids) => names.get((*ids.get(row)?)? as usize).map(String::as_str),
            _ => None,
        }
    }

    /// The number of a row, whole or not; `None` for a null, a row beyond the end or a column without numbers.
    pub fn number(&self, row: usize) -> Option<f64> {
        match self {
            Values::Number(v) => v.get(row).copied().flatten(),
            Values::Integer(v) => v.get(row).copied().flatten().map(|x| x as f64),
            _ => None,
        }
    }
}

/// Columns are equal when their cells are: whether text is held as names or row by row does not matter.
impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        use Values::{Flag, Integer, Named, Number, Text};
        match (self, other) {
            (Number(a), Number(b)) => a == b,
            (Integer(a), Integer(b)) => a == b,
            (Flag(a), Flag(b)) => a == b,
            (Text(_) | Named(..), Text(_) | Named(..)) => {
                self.len() == other.len() && (0..self.len()).all(|row| self.text(row) == other.text(row))
            }
            _ => false,
        }
    }
}

/// A named column.
#[derive(Debug, Clone, PartialEq)]
pub struct Column {
    /// The name, with its unit where it has one.
    pub name: String,
    /// The values, one a row.
    pub values: Values,
}

/// A result table.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    /// The file's stem: `pairs`, `curves`, …
    pub name: String,
    /// The columns, all of one length.
    pub columns: Vec<Column>,
}

impl Table {
    /// An empty table.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), columns: Vec::new() }
    }

    fn with(mut self, name: &str, values: Values) -> Self {
        self.columns.push(Column { name: name.into(), values });
        self
    }

    /// Adds a column of text.
    pub fn text<T: Into<String>>(self, name: &str, values: impl IntoIterator<Item = Option<T>>) -> Self {
        self.with(name, Values::Text(values.into_iter().map(|v| v.map(Into::into)).collect()))
    }

    /// Adds a column of interned names: no text is copied per row. An id that `names` never gave fails the writing.
    pub fn named(self, name: &str, names: &Names, ids: impl IntoIterator<Item = Option<NameId>>) -> Self {
        let names = names.iter().map(str::to_owned).collect();
        self.with(name, Values::Named(names, ids.into_iter().collect()))
    }

    /// Adds a column of codes (`status`, `reason`, `role`, …): text with few distinct values.
    pub fn code<T: AsRef<str>>(self, name: &str, codes: impl IntoIterator<Item = Option<T>>) -> Self {
        let mut names = Names::default();
        // Few codes are found faster by looking at them than by hashing.
        let mut intern = |code: &str| {
            let near = names.iter().take(CODES_LOOKED_AT).position(|name| name == code);
            near.map_or_else(|| names.intern(code), |at| at as NameId)
        };
        let ids = codes.into_iter().map(|code| code.map(|c| intern(c.as_ref()))).collect();
        let names = names.iter().map(str::to_owned).collect();
        self.with(name, Values::Named(names, ids))
    }

    /// Adds a column of numbers; anything not finite becomes null.
    pub fn number(self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        self.with(name, Values::Number(values.into_iter().map(|v| v.filter(|x| x.is_finite())).collect()))
    }

    /// Adds a column of whole numbers.
    pub fn integer(self, name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.with(name, Values::Integer(values.into_iter().collect()))
    }

    /// Adds a column of yes or no.
    pub fn flag(self, name: &str, values: impl IntoIterator<Item = Option<bool>>) -> Self {
        self.with(name, Values::Flag(values.into_iter().collect()))
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |c| c.values.len())
    }

    /// The values of the column with this name.
    pub fn column(&self, name: &str) -> Option<&Values> {
        self.columns.iter().find(|c| c.name == name).map(|c| &c.values)
    }

    /// What keeps the table from being written: no column, a name used twice, lengths that differ, a name id
    /// beyond the names.
    pub(crate) fn problem(&self) -> Option<String> {
        let rows = self.rows();
        if self.columns.is_empty() {
            return Some(format!("table `{}` has no columns", self.name));
        }
        for (i, Column { name, values }) in self.columns.iter().enumerate() {
            if self.columns[..i].iter().any(|c| c.name == *name) {
                return Some(format!("table `{}` has two columns `{name}`", self.name));
            }
            if values.len() != rows {
                let found = values.len();
                return Some(format!("column `{name}` of table `{}` has {found} rows, not {rows}", self.name));
            }
            if let Values::Named(names, ids) = values
                && let Some(row) = ids.iter().position(|id| id.is_some_and(|id| id as usize >= names.len()))
            {
                return Some(format!("column `{name}` of table `{}` names nothing in row {row}", self.name));
            }
        }
        None
    }
}
