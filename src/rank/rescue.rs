//! What partners do to the anchor's potency, over the lines of one row of the ranking.

use super::draft::{Flags, mean};
use super::matrix::RankedMatrix;
use super::meta_analysis::NORMAL_975;
use crate::resistance::potency::LogRatio;
use crate::resistance::resensitisation::Resensitisation;

/// What the anchor regains; folds are no logarithms.
#[derive(Default)]
pub(super) struct Rescue {
    pub fold_change: Option<f64>,
    pub rescue_fraction: Option<f64>,
    pub standard_error: Option<f64>,
    pub dose_reduction_index: Option<f64>,
}

/// Resensitisation over the matrices that rank.
pub(super) fn rescue(ranked: &[&RankedMatrix], flags: &mut Flags) -> Rescue {
    let found: Vec<&Resensitisation> = ranked.iter().filter_map(|matrix| matrix.resensitised).collect();
    flags.raise("no_tolerated_partner_dose", found.len() < ranked.len());
    let folds = logs(found.iter().map(|r| r.fold_change), ["fold_change_at_least", "fold_change_at_most"], flags);
    let indices = logs(
        found.iter().map(|r| r.dose_reduction_index),
        ["dose_reduction_index_at_least", "dose_reduction_index_at_most"],
        flags,
    );
    // A fraction is a share of log10s like the others are log10s: its ends are bounds in the same way.
    let fractions = logs(
        found.iter().map(|r| LogRatio {
            log10: r.rescue.fraction,
            low: r.rescue.low,
            high: r.rescue.high,
            reason: r.rescue.reason,
            ..LogRatio::default()
        }),
        ["rescue_fraction_at_least", "rescue_fraction_at_most"],
        flags,
    );
    // Half of Fieller's interval over the normal quantile stands for the error of a fraction.
    let errors: Option<Vec<f64>> = found
        .iter()
        .filter(|r| r.rescue.fraction.is_some())
        .map(|r| r.rescue.low.zip(r.rescue.high).map(|(low, high)| (high - low) / (2.0 * NORMAL_975)))
        .collect();
    let squares = errors.filter(|e| !e.is_empty()).map(|e| e.iter().map(|e| e * e).sum::<f64>().sqrt());
    Rescue {
        standard_error: squares.map(|root| root / fractions.len().max(1) as f64),
        fold_change: mean(&folds).map(libm::exp10),
        rescue_fraction: mean(&fractions),
        dose_reduction_index: mean(&indices).map(libm::exp10),
    }
}

/// The values, with bounds in their places where there are none; a flag for each kind of bound, and the reasons of those
/// that have neither.
fn logs(ratios: impl Iterator<Item = LogRatio>, [at_least, at_most]: [&'static str; 2], flags: &mut Flags) -> Vec<f64> {
    let mut values = Vec::new();
    for ratio in ratios {
        match (ratio.log10, ratio.low, ratio.high) {
            (Some(value), ..) => values.push(value),
            (None, Some(low), _) => {
                flags.raise(at_least, true);
                values.push(low);
            }
            (None, None, Some(high)) => {
                flags.raise(at_most, true);
                values.push(high);
            }
            (None, None, None) => flags.raise(ratio.reason.unwrap_or("no_half_effect"), true),
        }
    }
    values
}
