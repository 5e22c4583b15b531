//! Result tables: columns of optional values, written as Parquet (and CSV) with the run's identity in the metadata.
//! Arrow and Parquet appear here and in `ingest` only.

/// The values of one column; `None` is a null, and a null always has a reason code beside it.
#[derive(Debug, Clone, PartialEq)]
pub enum Values {
    /// Text.
    Text(Vec<Option<String>>),
    /// Numbers. A NaN or an infinity is written as null.
    Number(Vec<Option<f64>>),
    /// Whole numbers.
    Integer(Vec<Option<i64>>),
    /// Yes or no.
    Flag(Vec<Option<bool>>),
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

    /// Adds a column of text.
    pub fn text<T: Into<String>>(mut self, name: &str, values: impl IntoIterator<Item = Option<T>>) -> Self {
        let values = values.into_iter().map(|v| v.map(Into::into)).collect();
        self.columns.push(Column { name: name.into(), values: Values::Text(values) });
        self
    }

    /// Adds a column of numbers; anything not finite becomes null.
    pub fn number(mut self, name: &str, values: impl IntoIterator<Item = Option<f64>>) -> Self {
        let values = values.into_iter().map(|v| v.filter(|x| x.is_finite())).collect();
        self.columns.push(Column { name: name.into(), values: Values::Number(values) });
        self
    }

    /// Adds a column of whole numbers.
    pub fn integer(mut self, name: &str, values: impl IntoIterator<Item = Option<i64>>) -> Self {
        self.columns.push(Column { name: name.into(), values: Values::Integer(values.into_iter().collect()) });
        self
    }

    /// Adds a column of yes or no.
    pub fn flag(mut self, name: &str, values: impl IntoIterator<Item = Option<bool>>) -> Self {
        self.columns.push(Column { name: name.into(), values: Values::Flag(values.into_iter().collect()) });
        self
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.columns.first().map_or(0, |c| match &c.values {
            Values::Text(v) => v.len(),
            Values::Number(v) => v.len(),
            Values::Integer(v) => v.len(),
            Values::Flag(v) => v.len(),
        })
    }
}
