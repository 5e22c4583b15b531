//! The probability of a pair to be among the best `k`, given every pair's uncertainty.

use rayon::prelude::*;
use std::f64::consts::TAU;

/// Fowler–Noll–Vo 1a, 64 bits: a hash that is the same for ever and everywhere.
pub fn fnv_1a(bytes: impl IntoIterator<Item = u8>) -> u64 {
    bytes
        .into_iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3))
}

/// The finaliser of SplitMix64 (Steele 2014, doi 10.1145/2660193.2660195): a bijection that scatters its input.
fn scatter(mut x: u64) -> u64 {
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// A standard normal number that depends on nothing but seed, unit and draw (counter-based; Box–Muller 1958,
/// doi 10.1214/aoms/1177706645).
fn normal(seed: u64, unit: u64, draw: u64) -> f64 {
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    let state = scatter(scatter(seed.wrapping_add(GOLDEN)) ^ unit).wrapping_add(draw.wrapping_mul(GOLDEN));
    let bits = [scatter(state), scatter(state ^ 0x5851_f42d_4c95_7f2d)];
    // 53 bits each; the first within (0, 1], so that its logarithm is finite.
    let scale = 1.0 / (1u64 << 53) as f64;
    let (u, v) = (((bits[0] >> 11) + 1) as f64 * scale, (bits[1] >> 11) as f64 * scale);
    (-2.0 * libm::log(u)).sqrt() * libm::cos(TAU * v)
}

/// One contender.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contender {
    /// The score.
    pub score: f64,
    /// Its standard error; `None` competes with its score as it is.
    pub standard_error: Option<f64>,
    /// A number of its own, the same whatever its place in the list.
    pub unit: u64,
}

/// For each contender the share of `draws` in which its score, drawn from a normal distribution about its estimate,
/// is among the `k` highest. Equal draws go to the earlier contender. The same for any number of threads; 0 draws
/// give `None`.
pub fn top_k_probability(contenders: &[Contender], k: usize, seed: u64, draws: u32) -> Option<Vec<f64>> {
    if draws == 0 {
        return None;
    }
    let n = contenders.len();
    if k == 0 || n == 0 {
        return Some(vec![0.0; n]);
    }
    if n <= k {
        return Some(vec![1.0; n]);
    }
    let counts = (0..draws)
        .into_par_iter()
        .fold(
            || (vec![0u32; n], Vec::with_capacity(n)),
            |(mut counts, mut drawn), draw| {
                drawn.clear();
                drawn.extend(contenders.iter().enumerate().map(|(i, c)| {
                    let shift = c.standard_error.map_or(0.0, |e| e * normal(seed, c.unit, u64::from(draw)));
                    (c.score + shift, i)
                }));
                let best_first = |a: &(f64, usize), b: &(f64, usize)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
                let (best, last, _) = drawn.select_nth_unstable_by(k - 1, best_first);
                for (_, i) in best.iter() {
                    counts[*i] += 1;
                }
                counts[last.1] += 1;
                (counts, drawn)
            },
        )
        .map(|(counts, _)| counts)
        .reduce(
            || vec![0; n],
            |mut a, b| {
                a.iter_mut().zip(b).for_each(|(a, b)| *a += b);
                a
            },
        );
    Some(counts.into_iter().map(|count| f64::from(count) / f64::from(draws)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::special::normal_two_sided;

    #[test]
    fn hash_is_pinned() {
        // Published test values of FNV-1a.
        assert_eq!(fnv_1a(*b""), 0xcbf2_9ce4_8422_2325);
        assert_eq!(fnv_1a(*b"a"), 0xaf63_dc4c_8601_ec8c);
        assert_eq!(fnv_1a(*b"foobar"), 0x8594_4171_f739_67e8);
    }

    #[test]
    fn draws_are_standard_normal_and_independent() {
        let n = 200_000u64;
        let (mut moments, mut across, mut tail) = ([0.0f64; 4], 0.0, 0);
        for draw in 0..n {
            let (x, y) = (normal(1, 7, draw), normal(1, 8, draw));
            for (i, m) in moments.iter_mut().enumerate() {
                *m += x.powi(i as i32 + 1) / n as f64;
            }
            across += x * y / n as f64;
            tail += u32::from(x.abs() > 1.96);
        }
        // Five standard errors of each moment.
        for (got, want, sd) in [
            (moments[0], 0.0, 1.0),
            (moments[1], 1.0, 1.42),
            (moments[2], 0.0, 3.9),
            (moments[3], 3.0, 9.8),
            (across, 0.0, 1.0),
        ] {
            assert!((got - want).abs() < 5.0 * sd / (n as f64).sqrt(), "{got} {want}");
        }
        assert!((f64::from(tail) / n as f64 - 0.05).abs() < 0.003);
    }

    #[test]
    fn two_contenders_have_a_closed_form() {
        // P(a > b) = Phi((0.3 - 0.1) / sqrt(0.1² + 0.2²)).
        let contenders = [
            Contender { score: 0.3, standard_error: Some(0.1), unit: fnv_1a(*b"a") },
            Contender { score: 0.1, standard_error: Some(0.2), unit: fnv_1a(*b"b") },
        ];
        let got = top_k_probability(&contenders, 1, 5, 20_000).expect("draws");
        let want = 1.0 - normal_two_sided(0.2 / 0.05f64.sqrt()) / 2.0;
        assert!((got[0] - want).abs() < 0.014, "{got:?} {want}");
        assert!((got[0] + got[1] - 1.0).abs() < 1e-12);
        assert_eq!(top_k_probability(&contenders, 1, 5, 20_000), Some(got));
        let swapped = top_k_probability(&[contenders[1], contenders[0]], 1, 5, 500).expect("draws");
        let straight = top_k_probability(&contenders, 1, 5, 500).expect("draws");
        assert_eq!([swapped[1], swapped[0]], [straight[0], straight[1]]);
        assert_eq!(top_k_probability(&contenders, 5, 5, 500), Some(vec![1.0, 1.0]));
        assert_eq!(top_k_probability(&contenders, 1, 5, 0), None);
        let fixed = contenders.map(|c| Contender { standard_error: None, ..c });
        assert_eq!(top_k_probability(&fixed, 1, 5, 100), Some(vec![1.0, 0.0]));
    }
}
