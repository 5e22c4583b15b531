//! Random numbers that depend on nothing but what they are drawn for.

/// The finaliser of SplitMix64 (Steele 2014, doi 10.1145/2660193.2660195): every input bit reaches every output bit.
fn mix(x: u64) -> u64 {
    let x = x.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A standard normal number for one (seed, unit, draw, place): a function, not a stream, so that neither chunks nor
/// threads nor the rest of the screen change it. Box & Muller 1958, doi 10.1214/aoms/1177706645.
pub fn standard_normal(seed: u64, unit: u64, draw: u32, place: u32) -> f64 {
    let state = mix(mix(mix(seed) ^ unit) ^ (u64::from(draw) << 32 | u64::from(place)));
    let uniform = |bits: u64| ((bits >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64);
    let radius = (-2.0 * libm::log(uniform(state))).sqrt();
    radius * libm::cos(std::f64::consts::TAU * uniform(mix(state)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn draws_are_standard_normal_and_independent_of_their_neighbours() {
        let n = 100_000u32;
        let draws: Vec<f64> = (0..n).map(|i| standard_normal(1, 2, i / 100, i % 100)).collect();
        let moment = |f: &dyn Fn(f64) -> f64| draws.iter().map(|x| f(*x)).sum::<f64>() / f64::from(n);
        assert!(moment(&|x| x).abs() < 0.01);
        assert!((moment(&|x| x * x) - 1.0).abs() < 0.015);
        assert!((moment(&|x| x * x * x * x) - 3.0).abs() < 0.1);
        for lag in [1, 100] {
            let product = draws.iter().zip(&draws[lag..]).map(|(x, y)| x * y).sum::<f64>() / f64::from(n);
            assert!(product.abs() < 0.012, "lag {lag}: {product}");
        }
        assert_ne!(standard_normal(1, 2, 3, 4), standard_normal(1, 2, 4, 3));
    }
}
