//! Quantities as people read them: doses with units, percentages, folds, counts. Used by the page, the pictures and
//! the terminal; tables keep the bare numbers.

/// The minus sign of typography; a hyphen is too short beside a plus.
const MINUS: char = '\u{2212}';
/// What stands for a value that is missing.
pub const MISSING: &str = "\u{2013}";

/// Rounds to `digits` significant digits and drops trailing zeros: `316`, `3.16`, `0.05`.
fn significant(value: f64, digits: usize) -> String {
    if value == 0.0 {
        return "0".into();
    }
    let magnitude = value.abs().log10().floor() as i32;
    let decimals = (digits as i32 - 1 - magnitude).clamp(0, 12) as usize;
    trim(&format!("{value:.decimals$}")).to_owned()
}

fn trim(text: &str) -> &str {
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { text }
}

fn with_minus(text: String) -> String {
    match text.strip_prefix('-') {
        Some(rest) if rest.bytes().all(|b| matches!(b, b'0' | b'.' | b',')) => rest.to_owned(),
        Some(rest) => format!("{MINUS}{rest}"),
        None => text,
    }
}

/// A molar dose with the unit that keeps its number short: `316 nM`, `1 µM`; `0` for none.
pub fn dose(molar: f64) -> String {
    if molar == 0.0 {
        return "0".into();
    }
    if !(molar.is_finite() && molar > 0.0) {
        return MISSING.into();
    }
    // A dose that rounds up to 1000 of a unit belongs to the next one.
    let units = [("M", 1.0), ("mM", 1e-3), ("µM", 1e-6), ("nM", 1e-9), ("pM", 1e-12)];
    let (unit, factor) = units.into_iter().find(|(_, f)| molar >= f * 0.9995).unwrap_or(("fM", 1e-15));
    format!("{} {unit}", significant(molar / factor, 3))
}

/// A dose given as log10 molar.
pub fn log10_dose(log10_molar: f64) -> String {
    dose(10_f64.powf(log10_molar))
}

/// A fraction as whole percent, without the sign: `87`.
pub fn percent(fraction: f64) -> String {
    number(fraction * 100.0, 0)
}

/// A difference of fractions in signed percentage points, without the unit: `+12`, `−3.4`.
pub fn points(difference: f64, decimals: usize) -> String {
    let text = number(difference * 100.0, decimals);
    if text == MISSING {
        return text;
    }
    let is_zero = text.chars().all(|c| matches!(c, '0' | '.'));
    if is_zero || text.starts_with(MINUS) { text } else { format!("+{text}") }
}

/// A number with fixed decimals and a true minus sign; [`MISSING`] where it is not finite.
pub fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return MISSING.into();
    }
    with_minus(format!("{value:.decimals$}"))
}

/// A p or q value: `0.34`, `0.03`, `0.0004`, `<0.0001`.
pub fn p_value(p: f64) -> String {
    if !p.is_finite() {
        MISSING.into()
    } else if p < 1e-4 {
        "<0.0001".into()
    } else {
        significant(p, if p < 0.1 { 1 } else { 2 })
    }
}

/// A ratio: `0.4×`, `23×`, `1,200×`.
pub fn fold(ratio: f64) -> String {
    if !(ratio.is_finite() && ratio > 0.0) {
        return MISSING.into();
    }
    let rounded = significant(ratio, 2);
    match rounded.parse::<f64>() {
        Ok(x) if (1000.0..1e15).contains(&x) => format!("{}×", count(x as usize)),
        Ok(x) if !(1e-9..1e15).contains(&x) => format!("{ratio:.0e}×"),
        _ => format!("{rounded}×"),
    }
}

/// A count with thousands separated: `12,345`.
pub fn count(n: usize) -> String {
    let digits = n.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// A count with its noun, in the plural unless it is one: `1 plate`, `2 plates`, `3 matrices`.
pub fn counted(n: usize, one: &str, many: &str) -> String {
    format!("{} {}", count(n), if n == 1 { one } else { many })
}

/// At most `limit` characters, the last an ellipsis where something was cut. Control characters become spaces: no
/// name may break a picture, a page or a terminal.
pub fn clip(text: &str, limit: usize) -> String {
    let mut characters = text.chars().map(|c| if is_unprintable(c) { ' ' } else { c });
    let mut clipped: String = characters.by_ref().take(limit).collect();
    if characters.next().is_some() {
        clipped.pop();
        clipped.push('…');
    }
    clipped
}

/// Controls, directional overrides, and what XML forbids.
fn is_unprintable(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{fffe}' | '\u{ffff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doses_carry_the_unit_that_keeps_them_short() {
        let cases = [
            (0.0, "0"),
            (1e-9, "1 nM"),
            (3.162_277e-7, "316 nM"),
            (9.999_99e-7, "1 µM"),
            (1e-6, "1 µM"),
            (2.5e-5, "25 µM"),
            (1e-3, "1 mM"),
            (4e-13, "400 fM"),
            (f64::NAN, "–"),
            (-1.0, "–"),
        ];
        for (molar, text) in cases {
            assert_eq!(dose(molar), text, "{molar:e}");
        }
        assert_eq!(log10_dose(-7.5), "31.6 nM");
    }

    #[test]
    fn differences_are_signed_and_zero_is_not() {
        assert_eq!(points(0.123, 0), "+12");
        assert_eq!(points(-0.034, 1), "−3.4");
        assert_eq!(points(-0.0001, 0), "0");
        assert_eq!(points(f64::INFINITY, 0), MISSING);
        assert_eq!(percent(0.874), "87");
        assert_eq!(percent(-0.001), "0");
    }

    #[test]
    fn small_and_large_numbers_stay_readable() {
        assert_eq!(p_value(0.034), "0.03");
        assert_eq!(p_value(0.34), "0.34");
        assert_eq!(p_value(4.4e-4), "0.0004");
        assert_eq!(p_value(2.2e-7), "<0.0001");
        assert_eq!(p_value(0.0), "<0.0001");
        assert_eq!(p_value(0.001), "0.001");
        assert_eq!(p_value(1.0), "1");
        assert_eq!(fold(1234.0), "1,234×");
        assert_eq!(fold(0.4), "0.4×");
        assert_eq!(fold(23.4), "23×");
        assert_eq!(fold(1e300), "1e300×");
        assert_eq!(count(0), "0");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(counted(1, "plate", "plates"), "1 plate");
    }

    #[test]
    fn clipping_counts_characters_and_removes_what_cannot_be_shown() {
        assert_eq!(clip("clofarabine", 20), "clofarabine");
        assert_eq!(clip("Ωμέγα-drug", 5), "Ωμέγ…");
        assert_eq!(clip("a\u{1b}[31m\u{202e}b\n", 20), "a [31m b ");
        assert_eq!(clip("", 3), "");
    }
}
