//! How heavy the tails of the matrices' statistics are where nothing is planted, from the screen itself.
//!
//! The degrees of freedom of a score are those of its noise, as if the noise of wells were normal and told by replicates in
//! full. A well that was never filled, a dose that missed, a plate with a noise of its own: such things are rare, and make
//! large statistics more common than the degrees of freedom say. Student's t, cut off at both ends and with a scale of its
//! own, is fitted to the middle of the statistics by maximum likelihood: the empirical null of
//! [`super::screen_scale`] with one parameter more. It takes many matrices to tell tails from scale, so all of the screen
//! speak together, and of few none is believed.

use crate::math::special::f_upper_tail;

/// Matrices that it takes.
const FEWEST: usize = 300;
/// The cut, in scales: further out than that of the scale, since tails begin at its end.
const CUT: f64 = 3.0;
/// Degrees of freedom that are tried; the most stand for a normal law, which has half of the prior. The rest is shared alike.
const TRIED: [f64; 10] = [5.0, 6.0, 8.0, 10.0, 12.0, 15.0, 20.0, 30.0, 60.0, 200.0];
/// A scale at an end of these says that the errors are no errors.
const LIMITS: [f64; 2] = [0.3, 4.0];
/// The last of them.
const NORMAL: f64 = TRIED[TRIED.len() - 1];
/// Statistics are counted in bins of this width: a density hardly changes over it.
const BIN: f64 = 0.02;

/// Degrees of freedom of the screen's statistics (scores over their standard errors); infinite where there are too few, or
/// where their tails are those of a normal law.
pub fn degrees_of_freedom(statistics: impl IntoIterator<Item = f64>) -> f64 {
    let mut counts: Vec<f64> = Vec::new();
    let (mut n, widest) = (0usize, 10.0);
    for z in statistics.into_iter().map(f64::abs).filter(|z| z.is_finite()) {
        n += 1;
        if z < widest {
            let bin = (z / BIN) as usize;
            counts.resize(counts.len().max(bin + 1), 0.0);
            counts[bin] += 1.0;
        }
    }
    if n < FEWEST {
        return f64::INFINITY;
    }
    let mut scale = 1.0;
    let mut uncertain = 0.0;
    for _ in 0..20 {
        let inside = &counts[..counts.len().min((CUT * scale / BIN).round() as usize)];
        let total: f64 = inside.iter().sum();
        if total < 0.5 * n as f64 {
            // Most matrices are not null, or their errors are no errors: nothing is to be learnt of tails.
            return f64::INFINITY;
        }
        let cut = BIN * inside.len() as f64;
        let fits = TRIED.map(|nu| (nu, likeliest(inside, total, cut, nu)));
        // The mean of the posterior, not its top: with few matrices that would jump with each.
        let prior = |nu: f64| if nu == NORMAL { 0.5 } else { 0.5 / (TRIED.len() - 1) as f64 };
        let top = fits.iter().map(|(_, (likelihood, _))| *likelihood).fold(f64::NEG_INFINITY, f64::max);
        let shares = fits.map(|(nu, (likelihood, _))| prior(nu) * libm::exp(likelihood - top));
        let total_share: f64 = shares.iter().sum();
        let mean = |of: fn(&(f64, (f64, f64))) -> f64| {
            fits.iter().zip(&shares).map(|(fit, share)| share * of(fit)).sum::<f64>() / total_share
        };
        uncertain = mean(|(nu, _)| 1.0 / nu);
        let next = mean(|(_, (_, scale))| *scale);
        if !(1.01 * LIMITS[0]..=0.99 * LIMITS[1]).contains(&next) {
            return f64::INFINITY;
        }
        let moved = (next - scale).abs();
        scale = next;
        if moved < 0.5 * BIN / CUT {
            break;
        }
    }
    if uncertain > 0.0 { 1.0 / uncertain } else { f64::INFINITY }
}

/// The largest log-likelihood of a cut t law with these degrees of freedom, and the scale where it is.
fn likeliest(counts: &[f64], total: f64, cut: f64, nu: f64) -> (f64, f64) {
    let likelihood = |log_scale: f64| {
        let scale = libm::exp(log_scale);
        let inside = 1.0 - f_upper_tail((cut / scale) * (cut / scale), 1.0, nu);
        let of_bin = |(bin, count): (usize, &f64)| {
            let t = (bin as f64 + 0.5) * BIN / scale;
            -0.5 * (nu + 1.0) * count * libm::log1p(t * t / nu)
        };
        let constant = libm::lgamma(0.5 * (nu + 1.0)) - libm::lgamma(0.5 * nu) - 0.5 * libm::log(nu) - log_scale;
        counts.iter().enumerate().map(of_bin).sum::<f64>() + total * (constant - libm::log(inside))
    };
    // Golden section: the likelihood has one top.
    let golden = 0.5 * (5f64.sqrt() - 1.0);
    let (mut low, mut high) = (libm::log(LIMITS[0]), libm::log(LIMITS[1]));
    for _ in 0..40 {
        let width = golden * (high - low);
        let (left, right) = (high - width, low + width);
        if likelihood(left) < likelihood(right) { low = left } else { high = right }
    }
    let log_scale = 0.5 * (low + high);
    (likelihood(log_scale), libm::exp(log_scale))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::standard_normal;

    /// Student's t with a whole number of degrees of freedom, from normals.
    fn student(seed: u64, i: u64, nu: u32) -> f64 {
        if nu == 0 {
            return standard_normal(seed, i, 0, 0);
        }
        let squares: f64 = (1..=nu).map(|k| standard_normal(seed, i, k, 0).powi(2)).sum();
        standard_normal(seed, i, 0, 0) / (squares / f64::from(nu)).sqrt()
    }

    #[test]
    fn tails_are_told_from_scale_whatever_is_planted() {
        for (nu, scale, told) in
            [(0, 1.0, 40.0..=f64::INFINITY), (8, 0.9, 6.0..=12.0), (5, 1.3, 5.0..=6.0), (15, 1.0, 10.0..=30.0)]
        {
            let null = (0..6000u64).map(|i| scale * student(5, i, nu));
            let found = degrees_of_freedom(null.clone());
            assert!(told.contains(&found), "{nu}: {found}");
            // 12 % of the matrices far away, on one side.
            let planted = degrees_of_freedom(null.chain((0..800u64).map(|i| 9.0 + student(6, i, nu))));
            assert!(told.contains(&planted), "{nu} with planted ones: {planted}");
        }
    }

    #[test]
    fn a_few_hundred_normal_statistics_keep_most_of_their_degrees_of_freedom() {
        let of = |nu: u32, screen: u64| degrees_of_freedom((0..400u64).map(|i| student(90 + screen, i, nu)));
        let mean = |nu: u32| (0..20).map(|screen| 1.0 / of(nu, screen)).sum::<f64>() / 20.0;
        let (normal, heavy) = (mean(0), mean(5));
        assert!(normal < 0.045 && heavy > 0.08, "{normal} {heavy}");
        // One matrix more changes little.
        let (less, more) = (of(5, 3), degrees_of_freedom((0..401u64).map(|i| student(93, i, 5))));
        assert!((less / more - 1.0).abs() < 0.1, "{less} {more}");
    }

    #[test]
    fn few_or_strange_statistics_say_nothing() {
        assert_eq!(degrees_of_freedom((0..299u64).map(|i| student(5, i, 5))), f64::INFINITY);
        assert_eq!(degrees_of_freedom([50.0; 1000]), f64::INFINITY);
        assert_eq!(degrees_of_freedom([0.0; 1000]), f64::INFINITY);
        assert_eq!(degrees_of_freedom([f64::NAN; 1000]), f64::INFINITY);
    }
}
