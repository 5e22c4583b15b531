//! How wide the pairs' statistics scatter where nothing is planted, from the screen itself.
//!
//! Standard errors of scores leave things out (dispensing, places on the plate) or count some twice. In a screen of many
//! pairs most do nothing together, and the middle of the statistics tells how wide they really scatter: a normal law cut
//! off at both ends is fitted to it by maximum likelihood (the empirical null of Efron 2004,
//! doi 10.1198/016214504000000089, with its centre at nothing). Pairs that do something lie outside of the cut.

/// Pairs that it takes.
const FEWEST: usize = 50;
/// The cut, in scales.
const CUT: f64 = 2.0;
/// A scale beyond these says that most of the pairs are not null, or that the errors are no errors.
const LIMITS: [f64; 2] = [0.6, 2.0];

/// The factor by which standard errors are too small in this screen, from z statistics; 1 where there are too few.
pub fn scale(statistics: impl IntoIterator<Item = f64>) -> f64 {
    let z: Vec<f64> = statistics.into_iter().map(f64::abs).filter(|z| z.is_finite()).collect();
    if z.len() < FEWEST {
        return 1.0;
    }
    let mut scale = 1.0;
    for _ in 0..30 {
        let cut = CUT * scale;
        let inside: Vec<f64> = z.iter().copied().filter(|z| *z <= cut).collect();
        if inside.len() < FEWEST / 2 {
            return 1.0;
        }
        let next = truncated_scale(inside.iter().map(|z| z * z).sum::<f64>() / inside.len() as f64, cut);
        let next = next.clamp(LIMITS[0], LIMITS[1]);
        let moved = (next - scale).abs();
        scale = next;
        if moved < 1e-6 {
            break;
        }
    }
    scale
}

/// The standard deviation of the normal law which, cut at +-`cut`, has this mean square: the maximum of the likelihood.
fn truncated_scale(mean_square: f64, cut: f64) -> f64 {
    // E(z²) of a law of scale s cut at c: s² (1 - 2 a phi(a) / (2 Phi(a) - 1)), a = c / s; it rises with s.
    let expected = |scale: f64| {
        let a = cut / scale;
        let density = libm::exp(-0.5 * a * a) / std::f64::consts::TAU.sqrt();
        scale * scale * (1.0 - 2.0 * a * density / libm::erf(a * std::f64::consts::FRAC_1_SQRT_2))
    };
    let (mut low, mut high) = (1e-3, 100.0);
    for _ in 0..60 {
        let middle = 0.5 * (low + high);
        if expected(middle) < mean_square { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::standard_normal;

    #[test]
    fn the_middle_tells_the_scale_whatever_is_planted() {
        for truth in [0.8, 1.0, 1.4] {
            let null = (0..4000u64).map(|i| truth * standard_normal(5, i, 0, 0));
            let found = scale(null.clone());
            assert!((found / truth - 1.0).abs() < 0.06, "{truth}: {found}");
            // 15 % of the pairs far away, on one side.
            let planted = scale(null.chain((0..700u64).map(|i| 8.0 + standard_normal(6, i, 0, 0))));
            assert!((planted / truth - 1.0).abs() < 0.06, "{truth}: {planted}");
        }
        assert_eq!(scale([3.0; 20]), 1.0, "too few");
    }
}
