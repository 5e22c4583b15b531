//! Scores: how far a well lies from the plate's sample wells, in their own spread.
//!
//! They ask for no control and give no viability: for primary screens in which most wells do nothing.

use super::median_polish::polish;
use super::spread::{median_and_mad, moments};
use crate::backend::WellClass;
use crate::config::Normalization;
use crate::math::Scalar;

/// Spread over the largest signal up to which it is rounding: a plate that is rows plus columns and nothing else leaves
/// residuals of some 1e-16 of its signals.
pub const ROUNDING: f64 = 1e-12;

/// Distance from `location` in units of `spread`, which must be above 0.
#[inline(always)]
pub fn standard_score<S: Scalar>(value: S, location: S, spread: S) -> S {
    (value - location) / spread
}

/// One plate's wells by place.
#[derive(Debug, Clone, Copy)]
pub struct PlacedWells<'a> {
    /// Raw signal of each well.
    pub signal: &'a [f64],
    /// What each well is; the spread is that of [`WellClass::Other`].
    pub class: &'a [WellClass],
    /// Row and column of each well, from 0; looked at by B-scores alone.
    pub place: &'a [(u16, u16)],
}

/// Scores of every well of a plate: z, robust z (Malo 2006, doi 10.1038/nbt1186) or B (Brideau 2003,
/// doi 10.1177/1087057103258285), the last two with 1.4826 MAD.
///
/// The B-score is cellHTS2's with its variance adjusted by plate: the polish is fitted to sample wells and
/// subtracted from all wells; controls outside every fitted row and column have none. NaN stands for a well that
/// has no score (fewer than two sample wells, no spread), and no caller may pass it on.
pub fn scores(normalization: Normalization, wells: PlacedWells<'_>) -> Vec<f64> {
    let mut values = wells.signal.to_vec();
    if normalization == Normalization::BScore {
        subtract_rows_and_columns(&mut values, wells);
    }
    let samples: Vec<f64> = (values.iter().zip(wells.class))
        .filter(|(value, class)| **class == WellClass::Other && !value.is_nan())
        .map(|(value, _)| *value)
        .collect();
    let found = location_and_spread(normalization, samples);
    let largest = wells.signal.iter().fold(0.0f64, |largest, signal| largest.max(signal.abs()));
    let has_spread = |(_, spread): &(f64, f64)| *spread > ROUNDING * largest && spread.is_finite();
    let Some((location, spread)) = found.filter(has_spread) else {
        return vec![f64::NAN; values.len()];
    };
    values.into_iter().map(|value| standard_score(value, location, spread)).collect()
}

/// Where the samples lie and how wide; a B-score's residuals are about 0 already.
fn location_and_spread(normalization: Normalization, mut samples: Vec<f64>) -> Option<(f64, f64)> {
    if samples.len() < 2 {
        return None;
    }
    match normalization {
        Normalization::ZScore => moments(&samples).and_then(|m| Some((m.mean, m.sd?))),
        Normalization::BScore => median_and_mad(&mut samples).map(|(_, mad)| (0.0, mad)),
        _ => median_and_mad(&mut samples),
    }
}

/// Residuals of a median polish of the sample wells.
fn subtract_rows_and_columns(values: &mut [f64], wells: PlacedWells<'_>) {
    let all = || values.iter().zip(wells.class).zip(wells.place).map(|((v, class), place)| (*v, *class, *place));
    let size = |of: fn(&(u16, u16)) -> u16| wells.place.iter().map(of).max().map_or(0, |last| usize::from(last) + 1);
    let samples: Vec<(usize, usize, f64)> = all()
        .filter(|(_, class, _)| *class == WellClass::Other)
        .map(|(value, _, (row, column))| (usize::from(row), usize::from(column), value))
        .collect();
    let fitted = polish(size(|p| p.0), size(|p| p.1), &samples);
    for (value, (row, column)) in values.iter_mut().zip(wells.place) {
        *value -= fitted.at(usize::from(*row), usize::from(*column)).unwrap_or(f64::NAN);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scores_by_hand() {
        let signal = [1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0, 100.0];
        let mut class = [WellClass::Other; 8];
        class[7] = WellClass::Vehicle;
        let wells = PlacedWells { signal: &signal, class: &class, place: &[] };
        // Of the samples: median 2, MAD 1; mean 25 / 7, variance 60 + ... / 6.
        let robust = scores(Normalization::RobustZScore, wells);
        assert!((robust[5] - 4.0 / 1.4826).abs() < 1e-15 && (robust[7] - 98.0 / 1.4826).abs() < 1e-12);
        let mean = 25.0 / 7.0;
        let sd = (signal[..7].iter().map(|s| (s - mean).powi(2)).sum::<f64>() / 6.0f64).sqrt();
        let z = scores(Normalization::ZScore, wells);
        assert!((z[0] - (1.0 - mean) / sd).abs() < 1e-14);
    }

    #[test]
    fn wells_without_spread_have_no_score() {
        let wells = PlacedWells { signal: &[3.0; 4], class: &[WellClass::Other; 4], place: &[(0, 0); 4] };
        for method in [Normalization::ZScore, Normalization::RobustZScore, Normalization::BScore] {
            assert!(scores(method, wells).iter().all(|s| s.is_nan()), "{method:?}");
        }
        // Rows plus columns, in numbers that leave rounding behind.
        let place: Vec<(u16, u16)> = (0..8).flat_map(|r| (0..12).map(move |c| (r, c))).collect();
        let signal: Vec<f64> = place.iter().map(|(r, c)| 0.1 * f64::from(*r) + 0.7 * f64::from(*c).sqrt()).collect();
        let wells = PlacedWells { signal: &signal, class: &[WellClass::Other; 96], place: &place };
        assert!(scores(Normalization::BScore, wells).iter().all(|s| s.is_nan()));
        assert!(scores(Normalization::ZScore, wells).iter().all(|s| s.is_finite()));
    }
}
