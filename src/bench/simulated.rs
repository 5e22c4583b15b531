//! Curves with a known truth and replicates, for timing: the recipe of the peers' 10,000 curves, in any number.
//!
//! Half-log doses from 1 nM to 31.6 µM, normal noise of standard deviation 0.05; midpoints uniform within a decade of
//! the tested range for 85 % of the curves, one to three decades beyond it for the others; top 1 ± 0.03, bottom
//! uniform in 0..0.6, slope log-uniform in 0.5..4.

use crate::fit::CurveSet;
use crate::model::ModelId;
use std::f64::consts::{LN_10, TAU};
use std::ops::Range;

/// Doses of the recipe.
pub const DOSES: usize = 10;
/// Replicates of the recipe.
pub const REPLICATES: usize = 2;
/// Standard deviation of the noise, as a fraction of the untreated response.
const NOISE: f64 = 0.05;
/// Lowest dose, log10 molar.
const LOG10_LOWEST: f64 = -9.0;
/// From the lowest dose to the highest, decades.
const DECADES: f64 = 4.5;
/// Share of the curves with their midpoint within a decade of the range.
const NEAR: f64 = 0.85;
/// A curve tells its parameters when the midpoint lies this many decades inside the range ...
const INSIDE: f64 = 0.5;
/// ... and the response falls by this much.
const EFFECT: f64 = 0.3;

/// Curves on common doses, replicates not yet collapsed.
#[derive(Debug, Clone, PartialEq)]
pub struct ReplicatedCurves {
    /// Natural logarithms of the molar doses, ascending: the same for every curve.
    pub ln_dose: Vec<f64>,
    /// Wells a dose.
    pub replicates: usize,
    /// Responses (viability fraction): curve by curve, dose by dose, replicates side by side.
    pub response: Vec<f64>,
    /// Whether the truth of each curve can be found again: midpoint at least half a decade inside the tested range,
    /// and a fall of at least 0.3.
    pub identifiable: Vec<bool>,
}

/// Replicates collapsed to means.
#[derive(Debug, Clone)]
pub struct Collapsed {
    /// One point a dose, weighted by its number of wells.
    pub curves: CurveSet,
    /// Sum of squares of the wells about their means, one a curve: what a fit's sum of squares lacks to be that of
    /// the wells.
    pub pure_error: Vec<f64>,
}

impl ReplicatedCurves {
    /// Number of curves.
    pub fn len(&self) -> usize {
        self.identifiable.len()
    }

    /// Whether there is no curve.
    pub fn is_empty(&self) -> bool {
        self.identifiable.is_empty()
    }

    /// The responses of curve `i`, dose by dose.
    pub fn wells(&self, i: usize) -> &[f64] {
        &self.response[self.range(i)]
    }

    fn range(&self, i: usize) -> Range<usize> {
        let wells = self.ln_dose.len() * self.replicates;
        i * wells..(i + 1) * wells
    }

    /// The curves that can be found again.
    pub fn identifiable(&self) -> Self {
        let chosen = (0..self.len()).filter(|&i| self.identifiable[i]);
        Self {
            ln_dose: self.ln_dose.clone(),
            replicates: self.replicates,
            response: chosen.clone().flat_map(|i| self.wells(i)).copied().collect(),
            identifiable: chosen.map(|_| true).collect(),
        }
    }

    /// Replicates to means, which is exact for least squares: the sum of squares of the wells about a curve is that
    /// of the weighted means about it plus the pure error.
    pub fn collapse(&self) -> Collapsed {
        let (n, doses, wells) = (self.len(), self.ln_dose.len(), self.replicates as f64);
        let mut response = Vec::with_capacity(n * doses);
        let mut pure_error = Vec::with_capacity(n);
        for i in 0..n {
            let mut error = 0.0;
            for same in self.wells(i).chunks_exact(self.replicates) {
                let mean = same.iter().sum::<f64>() / wells;
                error += same.iter().map(|y| (y - mean) * (y - mean)).sum::<f64>();
                response.push(mean);
            }
            pure_error.push(error);
        }
        let curves = CurveSet {
            offsets: (0..=n).map(|i| i * doses).collect(),
            dose: self.ln_dose.iter().map(|x| libm::exp(*x)).collect::<Vec<_>>().repeat(n),
            ln_dose: self.ln_dose.repeat(n),
            x2: Vec::new(),
            held: Vec::new(),
            weight: vec![wells; response.len()],
            response,
            baseline: vec![None; n],
        };
        Collapsed { curves, pure_error }
    }
}

/// A number in 0..1 from a seed and two places (SplitMix64): the same on every machine and at any thread count.
fn uniform(seed: u64, curve: u64, place: u64) -> f64 {
    let mut z = seed ^ curve.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ place.wrapping_mul(0xD1B5_4A32_D192_ED03);
    for multiplier in [0xBF58_476D_1CE4_E5B9u64, 0x94D0_49BB_1331_11EB] {
        z = (z ^ (z >> 30)).wrapping_mul(multiplier);
    }
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// `n` curves of `doses` log-spaced doses with `replicates` wells each; equal for equal seeds.
pub fn simulate(n: usize, doses: usize, replicates: usize, seed: u64) -> ReplicatedCurves {
    let step = DECADES / (doses.max(2) - 1) as f64;
    let ln_dose: Vec<f64> = (0..doses).map(|k| LN_10 * (LOG10_LOWEST + step * k as f64)).collect();
    let mut response = Vec::with_capacity(n * doses * replicates);
    let mut identifiable = Vec::with_capacity(n);
    for curve in 0..n as u64 {
        let u = |place| uniform(seed, curve, place);
        let normal = |place| (-2.0 * libm::log(1.0 - u(place))).sqrt() * libm::cos(TAU * u(place + 1));
        // Decades above the lowest dose. Of the far ones a quarter lies below the range.
        let position = match (u(0) < NEAR, u(1) < 0.25) {
            (true, _) => -1.0 + (DECADES + 2.0) * u(2),
            (false, true) => -3.0 + 2.0 * u(2),
            (false, false) => DECADES + 1.0 + 2.0 * u(2),
        };
        let (top, bottom) = (1.0 + 0.03 * normal(3), 0.6 * u(5));
        let hill = libm::exp(libm::log(0.5) + libm::log(8.0) * u(6));
        let truth = [top, bottom, LN_10 * (LOG10_LOWEST + position), hill];
        identifiable.push((INSIDE..=DECADES - INSIDE).contains(&position) && top - bottom >= EFFECT);
        for (k, x) in ln_dose.iter().enumerate() {
            let expected = ModelId::Hill4.response(libm::exp(*x), &truth);
            for replicate in 0..replicates {
                let place = 10 + 2 * (k * replicates + replicate) as u64;
                response.push(expected + NOISE * normal(place));
            }
        }
    }
    ReplicatedCurves { ln_dose, replicates, response, identifiable }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collapsing_loses_nothing_of_the_sum_of_squares() {
        let curves = simulate(50, DOSES, 3, 5);
        let collapsed = curves.collapse();
        for i in 0..curves.len() {
            // Any curve will do, also one that fits nothing.
            let predicted = |k: usize| 0.3 + 0.05 * k as f64;
            let wells: f64 = curves.wells(i).iter().enumerate().map(|(w, y)| (y - predicted(w / 3)).powi(2)).sum();
            let (x, y, weight) = collapsed.curves.points(i);
            assert_eq!(x, curves.ln_dose);
            let means: f64 = (0..DOSES).map(|k| weight[k] * (y[k] - predicted(k)).powi(2)).sum();
            assert!((means + collapsed.pure_error[i] - wells).abs() < 1e-12 * wells);
            // Planted fault: weights forgotten.
            let unweighted: f64 = (0..DOSES).map(|k| (y[k] - predicted(k)).powi(2)).sum();
            assert!((unweighted + collapsed.pure_error[i] - wells).abs() > 1e-3 * wells);
        }
    }

    /// The shares and the scatter of the peers' 10,000 curves, as their truth table has them.
    #[test]
    fn the_recipe_is_that_of_the_peers() {
        let curves = simulate(20_000, DOSES, REPLICATES, 1);
        let share = curves.identifiable.iter().filter(|i| **i).count() as f64 / curves.len() as f64;
        // 0.4525 of theirs; five standard errors of their number and ours.
        assert!((share - 0.4525).abs() < 5.0 * (0.4525f64 * 0.5475 * 1.5 / 1e4).sqrt(), "{share}");
        // With two wells a dose, pure error over its ten degrees of freedom is the variance of the noise.
        let pure_error = curves.collapse().pure_error;
        let variance = pure_error.iter().sum::<f64>() / (curves.len() * DOSES) as f64;
        assert!((variance / (NOISE * NOISE) - 1.0).abs() < 5.0 * (2.0 / 2e5f64).sqrt(), "{variance}");
        let chosen = curves.identifiable();
        assert_eq!(chosen.len(), curves.identifiable.iter().filter(|i| **i).count());
        let first = curves.identifiable.iter().position(|i| *i).unwrap_or(0);
        assert_eq!(chosen.wells(0), curves.wells(first));
    }
}
