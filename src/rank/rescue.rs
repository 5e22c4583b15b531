//! What partners do to the anchor's potency, over the lines of one row of the ranking.

use super::composite::WITHOUT_AN_ERROR;
use super::draft::{Flags, mean};
use super::matrix::RankedMatrix;
use super::meta_analysis::NORMAL_975;
use crate::resistance::potency::LogRatio;
use crate::resistance::rescue as potency;
use crate::resistance::resensitisation::Resensitisation;

/// What the anchor regains; folds are no logarithms.
#[derive(Default)]
pub(super) struct Rescue {
    pub fold_change: Option<f64>,
    pub rescue_fraction: Option<f64>,
    /// That of the rescue fraction: [`error_of_mean`].
    pub standard_error: Option<f64>,
    /// The error of a normal law whose interval is as wide as those of the fractions.
    pub normal_error: Option<f64>,
    pub dose_reduction_index: Option<f64>,
}

/// Resensitisation over the matrices that rank.
pub(super) fn rescue(ranked: &[&RankedMatrix], flags: &mut Flags) -> Rescue {
    let found: Vec<&Resensitisation> = ranked.iter().filter_map(|matrix| matrix.resensitised).collect();
    flags.raise("no_tolerated_partner_dose", found.len() < ranked.len());
    const FOLD: Codes =
        Codes { at_least: "fold_change_at_least", at_most: "fold_change_at_most", open: "fold_change_open" };
    const INDEX: Codes = Codes {
        at_least: "dose_reduction_index_at_least",
        at_most: "dose_reduction_index_at_most",
        open: "dose_reduction_index_open",
    };
    const FRACTION: Codes = Codes {
        at_least: "rescue_fraction_at_least",
        at_most: "rescue_fraction_at_most",
        open: "rescue_fraction_open",
    };
    let folds = logs(found.iter().map(|r| r.fold_change), &FOLD, flags);
    let indices = logs(found.iter().map(|r| r.dose_reduction_index), &INDEX, flags);
    // A fraction is a share of log10s like the others are log10s: its ends are bounds in the same way.
    let fraction = |r: &&Resensitisation| LogRatio {
        log10: r.rescue.fraction,
        low: r.rescue.low,
        high: r.rescue.high,
        // By itself the code would speak of the score.
        reason: r.rescue.reason.map(|code| if code == "no_standard_error" { "no_rescue_standard_error" } else { code }),
        ..LogRatio::default()
    };
    let fractions = logs(found.iter().map(fraction), &FRACTION, flags);
    let known = || found.iter().map(|r| &r.rescue).filter(|rescue| rescue.fraction.is_some());
    let bounds = fractions.len() - known().count();
    let of_mean = |errors: Option<Vec<f64>>| error_of_mean(&errors?, bounds);
    let half_width = |rescue: &potency::Rescue| Some((rescue.high? - rescue.low?) / (2.0 * NORMAL_975));
    Rescue {
        standard_error: of_mean(known().map(|rescue| rescue.standard_error).collect()),
        normal_error: of_mean(known().map(half_width).collect()),
        fold_change: mean(&folds).map(libm::exp10),
        rescue_fraction: mean(&fractions),
        dose_reduction_index: mean(&indices).map(libm::exp10),
    }
}

/// The error of the mean of values with these errors and of so many bounds; `None` of bounds alone.
///
/// A bound has no error. What its value is beyond it is not known, and bounds that lie on one side of their values do not
/// average out: each counts in full with what stands in the composite for a part without an error, or with the largest of the
/// errors that are known where that is more. So a bound never makes the mean surer than a value in its place, and a mean of
/// ever more bounds comes to what one of bounds alone counts.
fn error_of_mean(errors: &[f64], bounds: usize) -> Option<f64> {
    let of_values = errors.iter().map(|e| e * e).sum::<f64>().sqrt();
    let of_bounds = bounds as f64 * errors.iter().copied().fold(WITHOUT_AN_ERROR, f64::max);
    (!errors.is_empty()).then(|| of_values.hypot(of_bounds) / (errors.len() + bounds) as f64)
}

/// What is said of bounds.
struct Codes {
    at_least: &'static str,
    at_most: &'static str,
    open: &'static str,
}

/// The values, with bounds in their places where there are none; a flag for each kind of bound, and the reasons of those
/// that have neither. A bound that leaves open whether there is a change at all is no value: "at least a thirtieth" would
/// read as a loss.
fn logs(ratios: impl Iterator<Item = LogRatio>, codes: &Codes, flags: &mut Flags) -> Vec<f64> {
    let mut values = Vec::new();
    for ratio in ratios {
        match (ratio.log10, ratio.low, ratio.high) {
            (Some(value), ..) => values.push(value),
            (None, Some(low), _) if low > 0.0 => {
                flags.raise(codes.at_least, true);
                values.push(low);
            }
            (None, _, Some(high)) if high < 0.0 => {
                flags.raise(codes.at_most, true);
                values.push(high);
            }
            (None, None, None) => flags.raise(ratio.reason.unwrap_or("no_half_effect"), true),
            (None, ..) => flags.raise(codes.open, true),
        }
    }
    values
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bound_among_values_makes_their_mean_no_surer() {
        for (errors, bounds, expected) in [
            (&[0.3, 0.4][..], 0, 0.25),
            // Half of the whole way for the bound: hypot(0.3, 0.5) / 2.
            (&[0.3], 1, 0.291_547_594_742_265),
            // The largest of the errors is more: hypot(0.8, 0.8) / 2.
            (&[0.8], 1, 0.565_685_424_949_238),
            // Two bounds count in full: hypot(hypot(0.3, 0.4), 2 0.5) / 4.
            (&[0.3, 0.4], 2, 0.279_508_497_187_474),
        ] {
            let found = error_of_mean(errors, bounds).expect("an error");
            assert!((found - expected).abs() < 1e-14, "{errors:?} and {bounds} bounds: {found}");
        }
        assert_eq!([error_of_mean(&[], 2), error_of_mean(&[], 0)], [None; 2], "the composite knows what to do");
        // One value of many: as if all were bounds.
        assert!(error_of_mean(&[0.1], 1000).is_some_and(|error| (error - 0.5).abs() < 1e-3));
    }

    #[test]
    fn a_bound_that_says_nothing_is_no_value() {
        const CODES: Codes = Codes { at_least: "at_least", at_most: "at_most", open: "open" };
        let of = |log10: Option<f64>, low: Option<f64>, high: Option<f64>| {
            let mut flags = Flags::default();
            let ratio = LogRatio { log10, low, high, ..LogRatio::default() };
            (logs(std::iter::once(ratio), &CODES, &mut flags), flags.joined())
        };
        assert_eq!(of(Some(-0.2), Some(-1.0), Some(0.6)), (vec![-0.2], String::new()));
        assert_eq!(of(None, Some(0.7), None), (vec![0.7], "at_least".into()));
        assert_eq!(of(None, Some(-1.5), None), (vec![], "open".into()));
        assert_eq!(of(None, None, Some(-0.4)), (vec![-0.4], "at_most".into()));
        assert_eq!(of(None, None, Some(0.4)), (vec![], "open".into()));
        assert_eq!(of(None, None, None), (vec![], "no_half_effect".into()));
    }
}
