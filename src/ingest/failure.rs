//! Errors of a file, by the place in it.

use crate::Error;
use std::path::Path;

/// A problem of a file as a whole.
pub(super) fn of_file(path: &Path, problem: impl Into<String>, hint: Option<String>) -> Error {
    Error::Format { path: path.to_owned(), row_group: None, column: None, problem: problem.into(), hint }
}

/// A problem of one column.
pub(super) fn of_column(path: &Path, column: &str, problem: impl Into<String>, hint: Option<String>) -> Error {
    Error::Format {
        path: path.to_owned(),
        row_group: None,
        column: Some(column.to_owned()),
        problem: problem.into(),
        hint,
    }
}
