//! Special functions of statistics: tails of the normal, t and F distributions.

use rayon::prelude::*;
use statrs::distribution::{ContinuousCDF, FisherSnedecor, Normal, StudentsT};

/// Two-sided tail of the standard normal distribution: P(|Z| > |z|).
pub fn normal_two_sided(z: f64) -> f64 {
    if !z.is_finite() {
        return if z.is_nan() { 1.0 } else { 0.0 };
    }
    Normal::standard().sf(z.abs()) * 2.0
}

/// P(F > f) for an F distribution; 1 where the degrees of freedom leave it undefined.
pub fn f_upper_tail(f: f64, numerator: f64, denominator: f64) -> f64 {
    match FisherSnedecor::new(numerator, denominator) {
        Ok(distribution) if f.is_finite() && f > 0.0 => distribution.sf(f),
        Ok(_) if f.is_infinite() => 0.0,
        _ => 1.0,
    }
}

/// The quantile of Student's t, e.g. `probability` 0.975 for a 95 % interval.
pub fn t_quantile(probability: f64, degrees_of_freedom: f64) -> Option<f64> {
    StudentsT::new(0.0, 1.0, degrees_of_freedom).ok().map(|t| t.inverse_cdf(probability))
}

/// Benjamini–Hochberg q values (1995, doi 10.1111/j.2517-6161.1995.tb02031.x) of the p that are there.
pub fn benjamini_hochberg(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(f64, usize)> = p.iter().enumerate().filter_map(|(i, p)| Some(((*p)?, i))).collect();
    order.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let m = order.len() as f64;
    let mut q = vec![None; p.len()];
    let mut running = 1.0f64;
    for (rank, &(p, i)) in order.iter().enumerate().rev() {
        // Rounding must not take q below p.
        running = running.min((p * m / (rank + 1) as f64).max(p));
        q[i] = Some(running);
    }
    q
}
