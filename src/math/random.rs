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
    let state = state(seed, unit, draw, place);
    let radius = (-2.0 * libm::log(fraction(state))).sqrt();
    radius * libm::cos(std::f64::consts::TAU * fraction(mix(state)))
}

/// A number between 0 and 1, neither of them, for one (seed, unit, draw, place).
pub fn uniform(seed: u64, unit: u64, draw: u32, place: u32) -> f64 {
    fraction(state(seed, unit, draw, place))
}

/// A chi-square over its degrees of freedom for one (seed, unit, draw, place), which together with the next 15 places
/// must be used for nothing else: squares of normals, from 17 degrees on Wilson & Hilferty's cube (1931,
/// doi 10.1073/pnas.17.12.684), whose 5 and 95 % points are then off by less than 0.1 %.
pub fn relative_chi_square(degrees_of_freedom: usize, seed: u64, unit: u64, draw: u32, place: u32) -> f64 {
    let df = degrees_of_freedom as f64;
    if degrees_of_freedom > 16 {
        let spread = 2.0 / (9.0 * df);
        return (1.0 - spread + spread.sqrt() * standard_normal(seed, unit, draw, place)).max(0.0).powi(3);
    }
    let squares = (0..degrees_of_freedom as u32).map(|i| standard_normal(seed, unit, draw, place + i).powi(2));
    squares.sum::<f64>() / df.max(1.0)
}

fn state(seed: u64, unit: u64, draw: u32, place: u32) -> u64 {
    mix(mix(mix(seed) ^ unit) ^ (u64::from(draw) << 32 | u64::from(place)))
}

fn fraction(bits: u64) -> f64 {
    ((bits >> 11) as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
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

    #[test]
    fn uniform_and_chi_square_draws_have_their_moments() {
        let n = 50_000u32;
        let mean = |f: &dyn Fn(u32) -> f64| (0..n).map(f).sum::<f64>() / f64::from(n);
        let u = |i: u32| uniform(3, 4, i, 0);
        assert!((mean(&u) - 0.5).abs() < 0.006);
        assert!((mean(&|i| u(i) * u(i)) - 1.0 / 3.0).abs() < 0.006);
        for df in [1usize, 5, 16, 17, 60] {
            let x = |i: u32| relative_chi_square(df, 5, 6, i, 0);
            let variance = mean(&|i| (x(i) - 1.0).powi(2));
            assert!((mean(&x) - 1.0).abs() < 0.03, "{df}");
            assert!((variance / (2.0 / df as f64) - 1.0).abs() < 0.08, "{df}: {variance}");
        }
    }
}
