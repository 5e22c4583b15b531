//! Location and spread of a handful of wells: mean with n - 1 standard deviation, median with scaled MAD.

/// Makes the MAD of normal data estimate their standard deviation: 1 / Φ⁻¹(3/4).
pub const MAD_SCALE: f64 = 1.4826;

/// Mean and sample standard deviation of some wells.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Moments {
    /// Number of values.
    pub n: usize,
    /// Mean.
    pub mean: f64,
    /// Standard deviation with n - 1 in the denominator; `None` for fewer than two values.
    pub sd: Option<f64>,
}

/// Mean and standard deviation, summed in the order given; `None` for no values.
pub fn moments(values: &[f64]) -> Option<Moments> {
    let mean = mean(values)?;
    // Two passes: the squares of raw signals near 1e6 would cost the one-pass form half its digits.
    let sum_of_squares: f64 = values.iter().map(|v| (v - mean) * (v - mean)).sum();
    let sd = (values.len() > 1).then(|| (sum_of_squares / (values.len() - 1) as f64).sqrt());
    // Rounding of the mean leaves equal values a spread of a few units in the last place: it is none.
    let equal = values.iter().all(|v| *v == values[0]);
    Some(Moments {
        n: values.len(),
        mean: if equal { values[0] } else { mean },
        sd: sd.map(|s| if equal { 0.0 } else { s }),
    })
}

/// Mean, summed in the order given; `None` for no values.
pub fn mean(values: &[f64]) -> Option<f64> {
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Median (mean of the middle two for an even number), reordering `values`; `None` for no values.
pub fn median(values: &mut [f64]) -> Option<f64> {
    let n = values.len();
    if n == 0 {
        return None;
    }
    let (below, middle, _) = values.select_nth_unstable_by(n / 2, f64::total_cmp);
    let middle = *middle;
    if n % 2 == 1 {
        return Some(middle);
    }
    below.iter().copied().max_by(f64::total_cmp).map(|lower| lower + (middle - lower) * 0.5)
}

/// Median and 1.4826 × median absolute deviation from it, overwriting `values`; `None` for no values.
pub fn median_and_mad(values: &mut [f64]) -> Option<(f64, f64)> {
    let middle = median(values)?;
    for value in values.iter_mut() {
        *value = (*value - middle).abs();
    }
    median(values).map(|deviation| (middle, MAD_SCALE * deviation))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_and_medians_of_small_sets() {
        assert_eq!(moments(&[]), None);
        assert_eq!(moments(&[7.0]), Some(Moments { n: 1, mean: 7.0, sd: None }));
        let m = moments(&[2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0]).unwrap();
        assert_eq!(m.mean, 5.0);
        assert!((m.sd.unwrap() - (32.0f64 / 7.0).sqrt()).abs() < 1e-15);
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 3.0, 2.0]), Some(2.5));
        // 1 1 2 2 4 6 9: median 2, deviations 1 1 0 0 2 4 7, their median 1.
        assert_eq!(median_and_mad(&mut [1.0, 1.0, 2.0, 2.0, 4.0, 6.0, 9.0]), Some((2.0, 1.4826)));
    }

    #[test]
    fn equal_values_have_no_spread_whatever_their_size() {
        for value in [0.1, 1.0 / 3.0, 123_456.7] {
            assert_eq!(moments(&[value; 7]), Some(Moments { n: 7, mean: value, sd: Some(0.0) }));
        }
    }
}
