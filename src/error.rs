//! The one error type of the library. Every message is lower case, names the file, plate, well or column it is
//! about, and where there is a next step carries it as a hint.

use std::path::PathBuf;

/// What can go wrong. Problems of a single well or curve are not errors: they are reason codes in the tables.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A file or folder could not be opened, created or renamed.
    #[error("cannot {action} `{}`: {source}", path.display())]
    File {
        /// What was tried: `read`, `create`, `rename`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// The operating system's answer.
        source: std::io::Error,
    },
    /// A file is not what its place asks for: not Parquet, truncated, corrupt.
    #[error("`{}`{}: {problem}", path.display(), place(*row_group, column.as_deref()))]
    Format {
        /// The file.
        path: PathBuf,
        /// The row group (0-based) in which reading stopped, where known.
        row_group: Option<usize>,
        /// The column, where known.
        column: Option<String>,
        /// What was wrong, in words.
        problem: String,
        /// The next step, where there is one.
        hint: Option<String>,
    },
    /// A value in a table cannot be used and no single well can be blamed or set aside for it.
    #[error("`{}`, plate `{plate}`{}: {problem}", path.display(), well.as_ref().map(|w| format!(", well {w}")).unwrap_or_default())]
    Plate {
        /// The file.
        path: PathBuf,
        /// The plate.
        plate: String,
        /// The well, where one can be named.
        well: Option<String>,
        /// What was wrong.
        problem: String,
        /// The next step, where there is one.
        hint: Option<String>,
    },
    /// A setting (a flag or a key of `screen.toml`) has no meaning.
    #[error("setting `{key}`: {problem}")]
    Setting {
        /// The flag or the dotted key.
        key: String,
        /// What was wrong.
        problem: String,
        /// The next step, where there is one.
        hint: Option<String>,
    },
    /// A model file has a mistake, at a character.
    #[error("`{}`, line {line}, column {column}: {problem}\n{excerpt}", path.display())]
    ModelFile {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What was wrong.
        problem: String,
        /// The line, and a caret under the character.
        excerpt: String,
        /// The next step, where there is one.
        hint: Option<String>,
    },
    /// The screen as a whole cannot be analysed.
    #[error("{problem}")]
    Screen {
        /// What was wrong.
        problem: String,
        /// The next step, where there is one.
        hint: Option<String>,
    },
    /// The GPU back end could not be used or failed.
    #[error("gpu: {problem}")]
    Gpu {
        /// What was wrong.
        problem: String,
        /// The next step, where there is one.
        hint: Option<String>,
    },
}

fn place(row_group: Option<usize>, column: Option<&str>) -> String {
    let mut text = String::new();
    if let Some(group) = row_group {
        text += &format!(", row group {group}");
    }
    if let Some(column) = column {
        text += &format!(", column `{column}`");
    }
    text
}

impl Error {
    /// The next step for the user, where there is one; printed behind `hint:`.
    pub fn hint(&self) -> Option<&str> {
        match self {
            Error::File { .. } => None,
            Error::Format { hint, .. }
            | Error::Plate { hint, .. }
            | Error::Setting { hint, .. }
            | Error::ModelFile { hint, .. }
            | Error::Screen { hint, .. }
            | Error::Gpu { hint, .. } => hint.as_deref(),
        }
    }

    /// A problem with a setting, without a hint.
    pub fn setting(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Error::Setting { key: key.into(), problem: problem.into(), hint: None }
    }
}

/// The library's result.
pub type Result<T> = std::result::Result<T, Error>;
