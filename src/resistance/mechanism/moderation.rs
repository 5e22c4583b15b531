//! Variances of few replicates, moderated: each is drawn towards what the others say of the method's noise.
//!
//! Three blots have two degrees of freedom, and a t of 4.3 is asked of them; how noisy densitometry is, all markers on
//! all lines tell together. Smyth 2004 (doi 10.2202/1544-6115.1027): the variances are taken as drawn from a scaled
//! inverse chi-square distribution, whose degrees of freedom and scale follow from the mean and the spread of their
//! logarithms.

use crate::math::polygamma::{digamma, trigamma, trigamma_inverse};

/// Fewer variances than this say nothing of how they spread.
const FEWEST: usize = 3;

/// What a method's variances have in common.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Prior {
    /// Degrees of freedom that it is worth; infinite where the variances spread no more than chance has it.
    pub degrees_of_freedom: f64,
    /// The variance.
    pub variance: f64,
    /// All degrees of freedom together: more than these no variance can have.
    pub most: f64,
}

impl Prior {
    /// From variances with their degrees of freedom; `None` from fewer than three that are above zero.
    pub fn of(variances: &[(f64, f64)]) -> Option<Self> {
        let known: Vec<(f64, f64)> =
            variances.iter().copied().filter(|(v, d)| *v > 0.0 && v.is_finite() && *d > 0.0).collect();
        if known.len() < FEWEST {
            return None;
        }
        let n = known.len() as f64;
        let most: f64 = known.iter().map(|(_, d)| d).sum();
        let e: Vec<f64> = known.iter().map(|(v, d)| libm::log(*v) - digamma(0.5 * d) + libm::log(0.5 * d)).collect();
        let mean = e.iter().sum::<f64>() / n;
        let spread = e.iter().map(|e| (e - mean) * (e - mean)).sum::<f64>() / (n - 1.0);
        let chance = known.iter().map(|(_, d)| trigamma(0.5 * d)).sum::<f64>() / n;
        if spread <= chance {
            let variance = known.iter().map(|(v, d)| v * d).sum::<f64>() / most;
            return Some(Self { degrees_of_freedom: f64::INFINITY, variance, most });
        }
        let half = trigamma_inverse(spread - chance);
        let variance = libm::exp(mean + digamma(half) - libm::log(half));
        Some(Self { degrees_of_freedom: 2.0 * half, variance, most })
    }

    /// A variance drawn towards the prior, and its degrees of freedom.
    pub fn moderate(&self, variance: f64, degrees_of_freedom: f64) -> (f64, f64) {
        if self.degrees_of_freedom.is_infinite() {
            return (self.variance, self.most);
        }
        let total = self.degrees_of_freedom + degrees_of_freedom;
        let moderated = (self.degrees_of_freedom * self.variance + degrees_of_freedom * variance) / total;
        (moderated, total.min(self.most))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::relative_chi_square;

    #[test]
    fn the_prior_comes_back() {
        // Variances s0² d0 / chi²(d0), each seen through chi²(2) / 2.
        let (d0, s0) = (8usize, 0.09);
        let drawn: Vec<(f64, f64)> = (0..20_000u64)
            .map(|i| (s0 / relative_chi_square(d0, 5, i, 0, 0) * relative_chi_square(2, 5, i, 0, 100), 2.0))
            .collect();
        let prior = Prior::of(&drawn).expect("a prior");
        assert!((prior.degrees_of_freedom - 8.0).abs() < 0.8 && (prior.variance / s0 - 1.0).abs() < 0.05, "{prior:?}");
        // Half of the weight of 8 + 2 and so on, by hand.
        let by_hand = Prior { degrees_of_freedom: 8.0, variance: 0.1, most: 9.0 };
        let (variance, degrees) = by_hand.moderate(0.6, 2.0);
        assert!((variance - 0.2).abs() < 1e-12 && degrees == 9.0);
        // Nothing but chance between them.
        let equal: Vec<(f64, f64)> = (0..50u64).map(|i| (0.04 * (1.0 + 1e-3 * i as f64), 2.0)).collect();
        let prior = Prior::of(&equal).expect("a prior");
        assert!(prior.degrees_of_freedom.is_infinite() && prior.moderate(9.0, 2.0) == (prior.variance, 100.0));
        assert_eq!(Prior::of(&[(0.1, 2.0), (0.0, 2.0), (0.1, 0.0)]), None);
    }
}
