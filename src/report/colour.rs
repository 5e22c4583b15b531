//! Colours: one map for viability, one for excess, a few for lines and verdicts. All can be told apart by people with
//! any common colour vision.

use crate::plate::Verdict;
use crate::screen::line::LineStatus;

/// Red, green, blue.
pub type Rgb = [u8; 3];

/// Purple through teal to yellow, lightness rising evenly (the anchor points of matplotlib's CC0 map viridis).
const VIABILITY: [Rgb; 9] = [
    [68, 1, 84],
    [71, 44, 122],
    [59, 81, 139],
    [44, 113, 142],
    [33, 144, 141],
    [39, 173, 129],
    [92, 200, 99],
    [170, 220, 50],
    [253, 231, 37],
];

/// Blue for antagonism, white for none, orange for synergy.
const EXCESS: [Rgb; 7] =
    [[33, 82, 140], [86, 139, 190], [176, 205, 228], [247, 247, 245], [250, 205, 160], [232, 142, 62], [178, 84, 10]];

/// The excess that the strongest colours stand for; the same in every picture, so that pictures compare.
pub const EXCESS_FULL: f64 = 0.5;

fn along(map: &[Rgb], position: f64) -> Rgb {
    let last = map.len() - 1;
    // A position that is not a number takes the first colour; callers draw no such cell.
    let at = (position.clamp(0.0, 1.0) * last as f64).max(0.0);
    let low = (at.floor() as usize).min(last);
    let (from, to, share) = (map[low], map[(low + 1).min(last)], at - low as f64);
    std::array::from_fn(|i| (f64::from(from[i]) + (f64::from(to[i]) - f64::from(from[i])) * share).round() as u8)
}

/// The colour of a viability: dark for dead, bright for living cells; ends hold beyond 0 and 1.
pub fn viability(fraction: f64) -> Rgb {
    along(&VIABILITY, fraction)
}

/// The colour of an excess: orange for synergy, blue for antagonism; ends hold beyond [`EXCESS_FULL`].
pub fn excess(fraction: f64) -> Rgb {
    along(&EXCESS, 0.5 + fraction / (2.0 * EXCESS_FULL))
}

/// Black or white, whichever reads better on `background`.
pub fn ink_on(background: Rgb) -> &'static str {
    // Relative luminance (WCAG 2.1); contrast with black and with white is equal at 0.179.
    let linear = |c: u8| (f64::from(c) / 255.0).powf(2.2);
    let [r, g, b] = background.map(linear);
    if 0.2126 * r + 0.7152 * g + 0.0722 * b > 0.179 { "#111" } else { "#fff" }
}

/// `#rrggbb`.
pub fn hex([r, g, b]: Rgb) -> String {
    format!("#{r:02x}{g:02x}{b:02x}")
}

/// The class of a line's marks, coloured by [`super::svg::style`].
pub fn line_class(status: Option<LineStatus>) -> &'static str {
    match status {
        Some(LineStatus::Resistant) => "resistant",
        Some(LineStatus::Parental | LineStatus::Sensitive | LineStatus::Normal) => "parental",
        None => "unknown",
    }
}

/// The class of a plate's marks.
pub fn verdict_class(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good | Verdict::NotJudged => "good",
        Verdict::Marginal => "marginal",
        Verdict::Bad | Verdict::Unusable => "bad",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn maps_start_end_and_turn_where_they_should() {
        assert_eq!(viability(0.0), VIABILITY[0]);
        assert_eq!(viability(1.0), VIABILITY[8]);
        assert_eq!(viability(7.0), VIABILITY[8]);
        assert_eq!(excess(0.0), EXCESS[3]);
        assert_eq!(excess(EXCESS_FULL), EXCESS[6]);
        assert_eq!(excess(-9.0), EXCESS[0]);
        // Synergy is warm, antagonism cold.
        assert!(excess(0.2)[0] > excess(0.2)[2] && excess(-0.2)[2] > excess(-0.2)[0]);
        assert_eq!(excess(f64::NAN).len(), 3);
    }

    #[test]
    fn ink_contrasts_with_what_it_is_written_on() {
        assert_eq!((ink_on([255, 255, 255]), ink_on([0, 0, 0])), ("#111", "#fff"));
        assert_eq!((ink_on(viability(0.0)), ink_on(viability(1.0))), ("#fff", "#111"));
    }
}
