//! A model file's text, and errors that point into it.

use crate::Error;
use std::ops::Range;
use std::path::Path;

/// The widest excerpt, in characters: a longer line is shown around the place.
const WIDTH: usize = 100;

/// A model file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Source<'a> {
    pub(super) path: &'a Path,
    pub(super) text: &'a str,
}

impl Source<'_> {
    /// An error at byte `at` of the file.
    pub(super) fn error(&self, at: usize, problem: impl Into<String>, hint: Option<String>) -> Error {
        let at = floor_char_boundary(self.text, at);
        let start = self.text[..at].rfind('\n').map_or(0, |newline| newline + 1);
        let line = 1 + self.text[..start].matches('\n').count();
        let column = 1 + self.text[start..at].chars().count();
        let shown = self.text[start..].lines().next().unwrap_or_default();
        Error::ModelFile {
            path: self.path.to_owned(),
            line,
            column,
            problem: problem.into(),
            excerpt: excerpt(shown, line, column),
            hint,
        }
    }

    /// Where in the file the character is that stands at byte `inner` of a TOML string. `span` is the string with its
    /// quotes, `value` what it says; quotes, escapes and line endings make the difference.
    pub(super) fn inside_string(&self, span: Range<usize>, value: &str, inner: usize) -> usize {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        let quote = if raw.starts_with('"') { '"' } else { '\'' };
        let quotes = raw.chars().take_while(|c| *c == quote).count();
        let mut at = if quotes >= 3 { 3 } else { quotes.min(1) };
        if at == 3 {
            // A line break directly behind the opening quotes does not count.
            at += ["\r\n", "\n"].iter().find(|ending| raw[at..].starts_with(**ending)).map_or(0, |ending| ending.len());
        }
        for c in value[..floor_char_boundary(value, inner)].chars() {
            at += joined_lines(&raw[at..], quote);
            let rest = &raw[at..];
            at += match (c, quote) {
                (_, '"') if rest.starts_with('\\') => match rest[1..].chars().next() {
                    Some('u') => 6,
                    Some('U') => 10,
                    Some('x') => 4,
                    _ => 2,
                },
                ('\n', _) if rest.starts_with("\r\n") => 2,
                _ => rest.chars().next().map_or(0, char::len_utf8),
            };
            at = floor_char_boundary(raw, at);
        }
        at += joined_lines(&raw[at..], quote);
        span.start + at
    }
}

/// The length of a backslash at the end of a line with all the space behind it: TOML joins such lines.
fn joined_lines(rest: &str, quote: char) -> usize {
    match rest.strip_prefix('\\') {
        Some(behind) if quote == '"' && behind.trim_start_matches([' ', '\t', '\r']).starts_with('\n') => {
            rest.len() - behind.trim_start().len()
        }
        _ => 0,
    }
}

/// `at`, or the beginning of the character that it is inside of, or the end.
fn floor_char_boundary(text: &str, at: usize) -> usize {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    at
}

/// The line and, beneath it, a caret at `column` (from 1).
fn excerpt(line_text: &str, line: usize, column: usize) -> String {
    let characters: Vec<char> = line_text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    let from = if characters.len() > WIDTH { (column - 1).saturating_sub(WIDTH / 2) } else { 0 };
    let to = characters.len().min(from + WIDTH);
    let mut shown: String = characters[from.min(to)..to].iter().collect();
    let mut before = column - 1 - from;
    if from > 0 {
        shown.insert(0, '…');
        before += 1;
    }
    if to < characters.len() {
        shown.push('…');
    }
    let number = line.to_string();
    format!("  {number} | {shown}\n  {:1$} | {2:3$}^", "", number.len(), "", before)
}
