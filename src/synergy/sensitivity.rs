//! How sensitive a line is to a pair, as DrugComb has it: the relative inhibition of each drug alone, that of one drug
//! along doses of the other (combination sensitivity score), and what the pair adds (Malyutina 2019,
//! doi 10.1371/journal.pcbi.1006752). In percent of inhibition; nothing is clipped. Everything is over the doses that
//! were combined: margins from elsewhere may reach further, and scores of different ranges cannot be subtracted.

use super::design::Design;
use super::margins::{Margin, response};
use super::zip::FittedSurface;
use crate::model::surface::HillCurve;

/// Scores of one matrix.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Sensitivity {
    /// Relative inhibition of each drug alone: mean inhibition by its curve over the logarithms of its doses.
    pub relative_inhibition: [f64; 2],
    /// That of the first drug with the second at its half-effect dose, and the reverse.
    pub combined: [f64; 2],
}

impl Sensitivity {
    /// Combination sensitivity score: the mean of both directions.
    pub fn css(&self) -> f64 {
        0.5 * (self.combined[0] + self.combined[1])
    }

    /// The score less the sum, the larger and the mean of the drugs' own.
    pub fn s_sum(&self) -> f64 {
        self.css() - (self.relative_inhibition[0] + self.relative_inhibition[1])
    }

    /// See [`Sensitivity::s_sum`].
    pub fn s_max(&self) -> f64 {
        self.css() - self.relative_inhibition[0].max(self.relative_inhibition[1])
    }

    /// See [`Sensitivity::s_sum`].
    pub fn s_mean(&self) -> f64 {
        self.css() - 0.5 * (self.relative_inhibition[0] + self.relative_inhibition[1])
    }

    /// From the margins' curves and the slices. The half-effect dose is the relative one, at most the highest dose
    /// that was combined, as in DrugComb. Along the first drug's doses the response at the second one's half-effect
    /// dose is read from the slices' curves and integrated by trapezoids; DrugComb fits one curve more.
    ///
    /// # Errors
    /// The reason why there are none: a margin without a curve, or too few slices.
    pub fn new(design: &Design, margins: &[Margin; 2], slices: &FittedSurface) -> Result<Self, &'static str> {
        let failed = |k: usize| margins[k].reason.map(|reason| reason.code(k));
        let [Some(a), Some(b)] = [margins[0].curve, margins[1].curve] else {
            return Err(failed(0).or_else(|| failed(1)).unwrap_or("not_finite"));
        };
        let curves = [a, b];
        let mut relative_inhibition = [0.0; 2];
        let mut highest = [0.0; 2];
        for k in 0..2 {
            let [Some(low), Some(high)] = [design.levels[k].first(), design.levels[k].last()] else {
                return Err("no_combination_cells");
            };
            let (low, high) = (libm::log(*low), libm::log(*high));
            highest[k] = high;
            relative_inhibition[k] = 100.0 * mean_inhibition(curves[k], low, high);
        }
        let mut combined = [0.0; 2];
        for (k, combined) in combined.iter_mut().enumerate() {
            let other = 1 - k;
            let at = curves[other].ln_ec50.min(highest[other]);
            // Slices along the other drug, one for each level of this one.
            let of_levels = design.levels[k].iter().zip(&slices.curves[other]);
            let along: Vec<(f64, f64)> = of_levels
                .filter_map(|(dose, curve)| curve.map(|curve| (libm::log(*dose), 1.0 - response(curve, at))))
                .collect();
            let span = along.last().map_or(0.0, |last| last.0 - along[0].0);
            if along.len() < 2 || span <= 0.0 {
                return Err("too_few_slices");
            }
            let trapezoids = along.windows(2).map(|w| (w[1].0 - w[0].0) * 0.5 * (w[0].1 + w[1].1));
            *combined = 100.0 * trapezoids.sum::<f64>() / span;
        }
        Ok(Self { relative_inhibition, combined })
    }
}

/// Mean of 1 minus the curve over natural-log doses from `low` to `high`, in closed form.
fn mean_inhibition(curve: HillCurve<f64>, low: f64, high: f64) -> f64 {
    if high <= low {
        return 1.0 - response(curve, low);
    }
    // The integral of the logistic is the softplus.
    let softplus = |x: f64| {
        let z = curve.slope * (x - curve.ln_ec50);
        z.max(0.0) + (-z.abs()).exp().ln_1p()
    };
    let bound = (softplus(high) - softplus(low)) / (curve.slope * (high - low));
    1.0 - curve.top + (curve.top - curve.bottom) * bound
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::LN_10;

    #[test]
    fn the_mean_inhibition_is_the_integral_of_the_curve() {
        let curve = HillCurve { top: 1.05, bottom: 0.2, ln_ec50: -15.0, slope: 1.7 };
        let (low, high) = (-15.0 - 2.0 * LN_10, -15.0 + 1.0 * LN_10);
        let steps = 20_000;
        let width = (high - low) / f64::from(steps);
        let sum: f64 = (0..steps).map(|i| 1.0 - response(curve, low + (f64::from(i) + 0.5) * width)).sum();
        let numeric = sum / f64::from(steps);
        assert!((mean_inhibition(curve, low, high) - numeric).abs() < 1e-8);
        assert!((mean_inhibition(curve, low, high + 1.0) - numeric).abs() > 1e-3, "the comparison can fail");
    }
}
