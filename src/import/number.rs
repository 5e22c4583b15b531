//! Numbers as people write them: never guessed, so that a decimal comma is not a factor of a thousand.

/// What separates whole from broken numbers in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimal {
    /// `0.5`
    #[default]
    Point,
    /// `0,5`
    Comma,
}

impl Decimal {
    /// The name by which it is chosen.
    pub fn name(self) -> &'static str {
        match self {
            Decimal::Point => "point",
            Decimal::Comma => "comma",
        }
    }
}

/// Why a text is no number, and the next step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NoNumber {
    pub problem: String,
    pub hint: &'static str,
    /// Whether it would be one but for its separators.
    pub separators: bool,
}

/// Texts that stand for a missing value.
const MISSING: [&str; 8] = ["", "na", "n/a", "nan", "null", "none", "-", "#n/a"];

/// The number that a cell holds; `None` where it holds none.
pub(crate) fn number(text: &str, decimal: Decimal) -> Result<Option<f64>, NoNumber> {
    let text = text.trim();
    if MISSING.iter().any(|missing| missing.eq_ignore_ascii_case(text)) {
        return Ok(None);
    }
    let (point, other) = match decimal {
        Decimal::Point => ('.', ','),
        Decimal::Comma => (',', '.'),
    };
    if is_number(text, point) {
        let value = text.replace(',', ".").parse::<f64>().unwrap_or(f64::NAN);
        return if value.is_finite() {
            Ok(Some(value))
        } else {
            Err(NoNumber {
                problem: format!("`{text}` is beyond every number"),
                hint: "look at this cell",
                separators: false,
            })
        };
    }
    let plain: String = text.chars().filter(|c| !matches!(c, ' ' | '\u{a0}' | '\u{202f}' | '\'')).collect();
    if plain.len() < text.len() && (is_number(&plain, '.') || is_number(&plain, ',')) {
        let hint = "export the file without thousands separators";
        return Err(NoNumber { problem: format!("`{text}` has a thousands separator"), hint, separators: true });
    }
    if is_number(&text.replace(other, ""), point)
        && text.contains(other)
        && (text.contains(point) || grouped(text, other))
    {
        let (problem, hint) = if text.contains(point) || text.matches(other).count() > 1 {
            (format!("`{text}` has thousands separators"), "export the file without them")
        } else {
            let names = format!("`{text}` has a thousands separator or a decimal {}", Decimal::of(other).name());
            (names, "export without separators; --decimal says what is between whole and broken")
        };
        return Err(NoNumber { problem, hint, separators: true });
    }
    if is_number(text, other) {
        let problem = format!("`{text}` has a decimal {}", Decimal::of(other).name());
        let hint = match decimal {
            Decimal::Point => "if the whole file is written so, say it: --decimal comma",
            Decimal::Comma => "if the whole file is written so, leave --decimal out",
        };
        return Err(NoNumber { problem, hint, separators: true });
    }
    let hint = match text.starts_with(|c: char| c.is_ascii_digit()) {
        true => "cells of numbers hold nothing else: units go into a column of their own",
        false => "is it the right column, and does the block begin at the right cell?",
    };
    Err(NoNumber { problem: format!("`{text}` is not a number"), hint, separators: false })
}

impl Decimal {
    fn of(separator: char) -> Self {
        if separator == ',' { Decimal::Comma } else { Decimal::Point }
    }
}

/// `1`, `-1.5`, `.5`, `2.`, `1e-6`, with `point` before the decimals.
fn is_number(text: &str, point: char) -> bool {
    let text = text.strip_prefix(['+', '-']).unwrap_or(text);
    let (mantissa, exponent) = match text.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (text, None),
    };
    let digits = |t: &str| t.bytes().all(|b| b.is_ascii_digit());
    let (whole, broken) = mantissa.split_once(point).unwrap_or((mantissa, ""));
    let exponent_is_one = exponent.is_none_or(|e| {
        let e = e.strip_prefix(['+', '-']).unwrap_or(e);
        !e.is_empty() && digits(e)
    });
    whole.len() + broken.len() > 0 && digits(whole) && digits(broken) && exponent_is_one
}

/// Whether all parts behind the first are three digits long, as between thousands.
fn grouped(text: &str, separator: char) -> bool {
    let mut parts = text.trim_start_matches(['+', '-']).split(separator);
    parts.next().is_some_and(|first| (1..=3).contains(&first.len()) && first != "0")
        && parts.all(|part| part.len() == 3)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_and_holes_are_holes() {
        for (text, value) in
            [("1", 1.0), (" -1.5 ", -1.5), (".5", 0.5), ("9.486832980505E-05", 9.486832980505e-5), ("+2.", 2.0)]
        {
            assert_eq!(number(text, Decimal::Point), Ok(Some(value)), "{text}");
        }
        assert_eq!(number("0,37", Decimal::Comma), Ok(Some(0.37)));
        for text in ["", "NA", "nan", " - ", "#N/A"] {
            assert_eq!(number(text, Decimal::Point), Ok(None), "{text}");
        }
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        let problem = |text, decimal| number(text, decimal).unwrap_err().problem;
        assert_eq!(problem("0,37", Decimal::Point), "`0,37` has a decimal comma");
        assert_eq!(problem("1,234", Decimal::Point), "`1,234` has a thousands separator or a decimal comma");
        assert_eq!(problem("1,234,567", Decimal::Point), "`1,234,567` has thousands separators");
        assert_eq!(problem("1,234.5", Decimal::Point), "`1,234.5` has thousands separators");
        assert_eq!(problem("1.234,5", Decimal::Comma), "`1.234,5` has thousands separators");
        assert_eq!(problem("1 234", Decimal::Point), "`1 234` has a thousands separator");
        assert_eq!(problem("0.37", Decimal::Comma), "`0.37` has a decimal point");
        assert_eq!(problem("10 uM", Decimal::Point), "`10 uM` is not a number");
        assert_eq!(problem("inf", Decimal::Point), "`inf` is not a number");
        assert_eq!(problem("1e999", Decimal::Point), "`1e999` is beyond every number");
        assert_eq!(problem("OVER", Decimal::Point), "`OVER` is not a number");
    }
}
