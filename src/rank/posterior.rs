//! What the order of the pairs is worth: each pair's rank, given the noise of all.
//!
//! Estimates scatter more than what they estimate, so ranks drawn about them as they are would promise too wide an order
//! at the top and cover the true ranks too rarely. The pairs' own distribution is estimated first, as a normal mixture
//! with one centre and a grid of widths by the expectation-maximisation algorithm (adaptive shrinkage, Stephens 2017,
//! doi 10.1093/biostatistics/kxw041); draws are from each pair's posterior.

use super::mixture::Mixture;
use crate::math::random::{standard_normal, uniform};
use rayon::prelude::*;

/// Probability outside of a rank interval, at each end.
const TAIL: f64 = 0.05;
/// Numbers that one ranking holds: draws are fewer where there are more pairs. Those by mechanism are made side by side.
const MOST_NUMBERS: usize = 40_000_000;

/// One contender.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Contender {
    /// The number that ranks.
    pub value: f64,
    /// Its standard error; `None` competes with its value as it is.
    pub standard_error: Option<f64>,
    /// A number of its own, the same whatever its place in the list.
    pub unit: u64,
}

/// What is known of a contender's place.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Place {
    /// Probability to be among the best `k`.
    pub p_top_k: f64,
    /// 90 % interval of its rank, from 1.
    pub rank_low: usize,
    /// 90 % interval of its rank.
    pub rank_high: usize,
}

/// Each value drawn towards the others by its noise: the mean of its posterior; `None` for a value without an error.
pub fn shrunken(values: &[Option<(f64, Option<f64>)>]) -> Vec<Option<f64>> {
    let contender = |value: &Option<(f64, Option<f64>)>| {
        value.map(|(value, standard_error)| Contender { value, standard_error, unit: 0 })
    };
    let known: Vec<Contender> = values.iter().filter_map(contender).collect();
    let Some(mixture) = Mixture::fit(&known) else { return vec![None; values.len()] };
    let drawn = |value: &Option<(f64, Option<f64>)>| {
        let contender = contender(value).filter(|c| c.standard_error.is_some())?;
        Some(mixture.posterior(&contender).iter().map(|(share, mean, _)| share * mean).sum())
    };
    values.iter().map(drawn).collect()
}

/// The places of the contenders, in their order: from `draws` of all of them from their posteriors. Equal draws are put in
/// order by lot. The same for any number of threads; 0 draws give `None`.
pub fn places(contenders: &[Contender], k: usize, seed: u64, draws: u32) -> Option<Vec<Place>> {
    let n = contenders.len();
    if draws == 0 || n == 0 {
        return None;
    }
    let draws = (draws as usize).min((MOST_NUMBERS / n).max(100)) as u32;
    let mixture = Mixture::fit(contenders);
    let posterior = |contender: &Contender| match &mixture {
        Some(mixture) => mixture.posterior(contender),
        None => vec![(1.0, contender.value, 0.0)],
    };
    let posteriors: Vec<Vec<(f64, f64, f64)>> = contenders.par_iter().map(posterior).collect();
    let ranks: Vec<Vec<u32>> = (0..draws)
        .into_par_iter()
        .map(|draw| {
            let value = |(i, parts): (usize, &Vec<(f64, f64, f64)>)| {
                let unit = contenders[i].unit;
                let mut left = uniform(seed, unit, draw, 0);
                let mut chosen = parts[parts.len() - 1];
                for part in parts {
                    if left < part.0 {
                        chosen = *part;
                        break;
                    }
                    left -= part.0;
                }
                let shift = if chosen.2 > 0.0 { chosen.2 * standard_normal(seed, unit, draw, 1) } else { 0.0 };
                (chosen.1 + shift, i)
            };
            let mut drawn: Vec<(f64, usize)> = posteriors.iter().enumerate().map(value).collect();
            let lot = |i: usize| uniform(seed, contenders[i].unit, draw, 2);
            drawn.sort_unstable_by(|a, b| {
                let by_lot = || lot(a.1).total_cmp(&lot(b.1)).then(a.1.cmp(&b.1));
                b.0.total_cmp(&a.0).then_with(by_lot)
            });
            let mut ranks = vec![0; n];
            drawn.iter().enumerate().for_each(|(rank, (_, i))| ranks[*i] = rank as u32 + 1);
            ranks
        })
        .collect();
    let place = |i: usize| {
        let mut own: Vec<u32> = ranks.iter().map(|ranks| ranks[i]).collect();
        own.sort_unstable();
        let at = |share: f64| own[((share * own.len() as f64) as usize).min(own.len() - 1)] as usize;
        Place {
            p_top_k: own.partition_point(|rank| *rank as usize <= k) as f64 / own.len() as f64,
            rank_low: at(TAIL),
            rank_high: at(1.0 - TAIL),
        }
    };
    Some((0..n).into_par_iter().map(place).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// True values: 170 about nothing, 30 spread; estimates with errors of different size.
    fn screen(seed: u64) -> (Vec<f64>, Vec<Contender>) {
        let truth: Vec<f64> = (0..200u64)
            .map(|i| {
                standard_normal(seed, i, 0, 0) * if i < 170 { 0.004 } else { 0.08 } + if i < 170 { 0.0 } else { 0.1 }
            })
            .collect();
        let contender = |(i, truth): (usize, &f64)| {
            let error = 0.006 + 0.01 * uniform(seed, i as u64, 0, 1);
            let value = truth + error * standard_normal(seed, i as u64, 0, 2);
            Contender { value, standard_error: Some(error), unit: i as u64 }
        };
        let contenders = truth.iter().enumerate().map(contender).collect();
        (truth, contenders)
    }

    fn covered(widen: f64) -> f64 {
        let (mut inside, mut all) = (0, 0);
        for seed in 1..=12 {
            let (truth, mut contenders) = screen(seed);
            // A planted fault: errors that are said to be smaller than they are.
            contenders.iter_mut().for_each(|c| c.standard_error = c.standard_error.map(|e| widen * e));
            let places = places(&contenders, 20, 1, 600).expect("draws");
            for (i, place) in places.iter().enumerate() {
                let rank = 1 + truth.iter().filter(|other| **other > truth[i]).count();
                inside += usize::from((place.rank_low..=place.rank_high).contains(&rank));
                all += 1;
            }
        }
        inside as f64 / all as f64
    }

    #[test]
    fn rank_intervals_cover_the_true_ranks() {
        let share = covered(1.0);
        assert!((0.87..=0.93).contains(&share), "{share}");
        assert!(covered(0.4) < 0.85, "the count can fail");
    }

    #[test]
    fn the_order_and_the_threads_change_nothing() {
        let (_, contenders) = screen(3);
        let straight = places(&contenders, 20, 1, 200).expect("draws");
        let one = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
        assert_eq!(one.install(|| places(&contenders, 20, 1, 200)), Some(straight.clone()));
        assert_ne!(places(&contenders, 20, 2, 200), Some(straight.clone()), "another seed");
        let top: f64 = straight.iter().map(|place| place.p_top_k).sum();
        assert!((top - 20.0).abs() < 1e-9, "{top}");
    }

    #[test]
    fn what_has_no_error_keeps_its_value() {
        let contender = |value, unit| Contender { value, standard_error: None, unit };
        let places = places(&[contender(0.3, 1), contender(0.1, 2)], 1, 5, 100).expect("draws");
        assert_eq!((places[0].p_top_k, places[0].rank_high, places[1].rank_low), (1.0, 1, 2));
        assert_eq!(super::places(&[], 1, 5, 100), None);
        assert_eq!(super::places(&[contender(0.3, 1)], 1, 5, 0), None);
    }
}
