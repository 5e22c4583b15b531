//! Rows, columns, the edge and neighbourhoods: what residuals say of places on a plate. Controls are few and lie in a
//! few columns; the residuals of the samples lie everywhere.

use super::spread::{MAD_SCALE, median};
use crate::math::special::FTail;
use crate::screen::well::WellPosition;

/// Residuals a plate has at least for a test of its rows and columns.
const FEWEST_RESIDUALS: usize = 24;
/// Residuals are cut at so many robust standard deviations before the tests: one bubble is no row effect.
const CUT: f64 = 3.0;
/// Robust standard deviations from which a well may be part of a cluster. Ours.
const CLUSTER_DEVIATION: f64 = 3.5;
/// Neighbours, beside or above one another, that make a cluster. Of independent normal residuals 5 in 10,000 lie so far out:
/// four of one sign together happen on fewer than one 384-well plate in a million. Ours.
const CLUSTER_WELLS: usize = 4;
/// Rows and columns of the largest plate.
const LARGEST: (usize, usize) = (32, 48);

/// The residual of one well, in standard deviations of an untreated well or any other unit that is the same for all.
#[derive(Debug, Clone, Copy)]
pub struct Residual {
    /// Where the well lies.
    pub position: WellPosition,
    /// Its residual.
    pub value: f64,
}

/// One effect of place.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Effect {
    /// Standard deviation of the true effects, in the unit of the residuals, by the method of moments; 0 where noise
    /// explains what is seen.
    pub sd: f64,
    /// p of no effect: F test of a one-way analysis of variance.
    pub p: f64,
}

/// Effects of place on one plate.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Spatial {
    /// Differences between rows.
    pub row: Option<Effect>,
    /// Differences between columns.
    pub column: Option<Effect>,
    /// The outer ring against the rest.
    pub edge: Option<Effect>,
    /// Mean residual of the outer ring less that of the rest.
    pub edge_difference: Option<f64>,
}

/// What tests of many plates use again: room, and tails of the distributions, which plates of one layout share.
#[derive(Debug, Default)]
pub struct Scratch {
    values: Vec<f64>,
    tails: [Option<FTail>; 3],
}

/// Where residuals lie and how wide.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Centre {
    /// Their median.
    pub middle: f64,
    /// Their scaled median absolute deviation, above 0.
    pub scale: f64,
}

/// Median and spread of residuals; `None` for fewer than 24, or without any spread.
pub fn centre(residuals: &[Residual], scratch: &mut Scratch) -> Option<Centre> {
    if residuals.len() < FEWEST_RESIDUALS {
        return None;
    }
    scratch.values.clear();
    scratch.values.extend(residuals.iter().map(|r| r.value));
    centre_of(&mut scratch.values)
}

/// Tests the rows, columns and outer ring of a plate of `format` rows and columns, by residuals cut at three robust
/// standard deviations about their centre.
pub fn test(residuals: &[Residual], format: (u16, u16), centre: Centre, scratch: &mut Scratch) -> Spatial {
    let Centre { middle, scale } = centre;
    let cut = |r: &Residual| (r.value - middle).clamp(-CUT * scale, CUT * scale);
    let is_outer = |at: WellPosition| at.row == 1 || at.column == 1 || at.row == format.0 || at.column == format.1;
    let (mut sum, mut n) = ([0.0; 2], [0.0; 2]);
    for r in residuals {
        let ring = usize::from(is_outer(r.position));
        sum[ring] += cut(r);
        n[ring] += 1.0;
    }
    let [of_rows, of_columns, of_edge] = &mut scratch.tails;
    Spatial {
        row: effect(residuals.iter().map(|r| (usize::from(r.position.row), cut(r))), of_rows),
        column: effect(residuals.iter().map(|r| (usize::from(r.position.column), cut(r))), of_columns),
        edge: effect(residuals.iter().map(|r| (usize::from(is_outer(r.position)), cut(r))), of_edge),
        edge_difference: (n[0] > 0.0 && n[1] > 0.0).then(|| sum[1] / n[1] - sum[0] / n[0]),
    }
}

/// Median and scaled median absolute deviation; `None` without spread.
fn centre_of(values: &mut [f64]) -> Option<Centre> {
    let middle = median(values)?;
    values.iter_mut().for_each(|v| *v = (*v - middle).abs());
    let scale = MAD_SCALE * median(values)?;
    (scale > 0.0 && scale.is_finite()).then_some(Centre { middle, scale })
}

/// One-way analysis of variance of (group, value) pairs, groups below 50. `tail` is the last one's.
fn effect(values: impl Iterator<Item = (usize, f64)>, tail: &mut Option<FTail>) -> Option<Effect> {
    let (mut n, mut sum) = ([0.0f64; 50], [0.0f64; 50]);
    let mut squares = 0.0;
    for (group, value) in values {
        let group = group.min(49);
        n[group] += 1.0;
        sum[group] += value;
        squares += value * value;
    }
    let (all, total): (f64, f64) = (n.iter().sum(), sum.iter().sum());
    let groups = n.iter().filter(|n| **n > 0.0).count() as f64;
    let explained: f64 = n.iter().zip(&sum).filter(|(n, _)| **n > 0.0).map(|(n, s)| s * s / n).sum();
    let (df_between, df_within) = (groups - 1.0, all - groups);
    let between = (explained - total * total / all).max(0.0);
    let within = squares - explained;
    if !tail.is_some_and(|tail| tail.is(df_between, df_within)) {
        *tail = FTail::new(df_between, df_within);
    }
    let tail = (*tail)?;
    if within <= 0.0 {
        return None;
    }
    let noise = within / df_within;
    // E[between] = (groups - 1) noise + (n - Σ nᵢ² / n) variance of the effects (Searle 1992, doi 10.1002/9780470316856).
    let wells_each = all - n.iter().map(|n| n * n).sum::<f64>() / all;
    Some(Effect {
        sd: ((between - df_between * noise) / wells_each).max(0.0).sqrt(),
        p: tail.probability_above(between / df_between / noise),
    })
}

/// Wells that are part of a cluster of outliers: at least four neighbours, side by side or one above the other, whose
/// residuals all lie more than 3.5 robust standard deviations from the plate's centre, on the same side. Answers
/// indices into `residuals`, ascending.
pub fn clusters(residuals: &[Residual], Centre { middle, scale }: Centre) -> Vec<usize> {
    let side = |r: &Residual| {
        let deviation = (r.value - middle) / scale;
        if deviation.abs() < CLUSTER_DEVIATION { 0i8 } else { deviation.signum() as i8 }
    };
    if residuals.iter().filter(|r| side(r) != 0).count() < CLUSTER_WELLS {
        return Vec::new();
    }
    // A frame of empty places around the plate spares every test for its edge.
    let width = LARGEST.1 + 2;
    let mut plate = vec![(0i8, usize::MAX); (LARGEST.0 + 2) * width];
    let place = |at: WellPosition| usize::from(at.row) * width + usize::from(at.column);
    for (i, r) in residuals.iter().enumerate() {
        if let Some(slot) = plate.get_mut(place(r.position)) {
            *slot = (side(r), i);
        }
    }
    let mut found = Vec::new();
    for start in 0..plate.len() {
        let sign = plate[start].0;
        if sign == 0 {
            continue;
        }
        let (mut cluster, mut at) = (vec![start], 0);
        let mut members = vec![plate[start].1];
        plate[start].0 = 0;
        while at < cluster.len() {
            let here = cluster[at];
            for next in [here.wrapping_sub(1), here + 1, here.wrapping_sub(width), here + width] {
                if let Some(slot) = plate.get_mut(next).filter(|slot| slot.0 == sign) {
                    slot.0 = 0;
                    members.push(slot.1);
                    cluster.push(next);
                }
            }
            at += 1;
        }
        if members.len() >= CLUSTER_WELLS {
            found.extend(members);
        }
    }
    found.sort_unstable();
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::standard_normal;

    fn tested(residuals: &[Residual]) -> Spatial {
        let mut scratch = Scratch::default();
        let about = centre(residuals, &mut scratch).expect("residuals with a spread");
        test(residuals, (16, 24), about, &mut scratch)
    }

    fn clustered(residuals: &[Residual]) -> Vec<usize> {
        clusters(residuals, centre(residuals, &mut Scratch::default()).expect("residuals with a spread"))
    }

    fn noise(plate: u32) -> Vec<Residual> {
        let places = (1..=16).flat_map(|row| (1..=24).map(move |column| (row, column)));
        places
            .filter_map(|(row, column)| WellPosition::new(row, column))
            .map(|position| Residual {
                position,
                value: standard_normal(4, 0, plate, u32::from(position.row) * 64 + u32::from(position.column)),
            })
            .collect()
    }

    #[test]
    fn the_test_is_the_textbooks_analysis_of_variance() {
        // scipy.stats.f_oneway([1, 2, 3, 4], [2, 3, 4, 6], [5, 6, 7, 9]): F 7.633333333333335, p 0.011522473866737036.
        let groups = [[1.0, 2.0, 3.0, 4.0], [2.0, 3.0, 4.0, 6.0], [5.0, 6.0, 7.0, 9.0]];
        let values = groups.iter().enumerate().flat_map(|(g, values)| values.iter().map(move |v| (g, *v)));
        let found = effect(values, &mut None).expect("an effect");
        assert!((found.p - 0.011_522_473_866_737_036).abs() < 1e-12, "{found:?}");
        // Sums of squares between and within, by hand.
        let (between, within): (f64, f64) = (229.0 / 6.0, 22.5);
        assert!((found.sd - ((between - 2.0 * within / 9.0) / 8.0).sqrt()).abs() < 1e-12);
    }

    #[test]
    fn noise_is_called_an_effect_as_often_as_the_level_says() {
        let plates = 2000;
        let mut called = [0; 3];
        let mut n_clustered = 0;
        for plate in 0..plates {
            let residuals = noise(plate);
            let found = tested(&residuals);
            for (count, effect) in called.iter_mut().zip([found.row, found.column, found.edge]) {
                *count += u32::from(effect.is_some_and(|e| e.p < 0.05));
            }
            n_clustered += clustered(&residuals).len();
        }
        // 100 expected of each, standard deviation 9.7.
        assert!(called.iter().all(|n| (65..=135).contains(n)), "{called:?}");
        assert_eq!(n_clustered, 0);
    }

    #[test]
    fn planted_effects_are_found_and_measured() {
        for (plate, sd) in [(1, 0.5), (2, 1.0)] {
            let planted = |r: &Residual| sd * 1.414 * if r.position.row.is_multiple_of(2) { 0.707 } else { -0.707 };
            let mut residuals = noise(plate);
            residuals.iter_mut().for_each(|r| r.value += planted(r));
            let found = tested(&residuals);
            let row = found.row.expect("rows");
            assert!(row.p < 1e-6 && (row.sd / sd - 1.0).abs() < 0.3, "{row:?}");
            assert!(found.column.expect("columns").p > 1e-3);
            let mut residuals = noise(plate);
            let outer = |at: WellPosition| at.row == 1 || at.row == 16 || at.column == 1 || at.column == 24;
            residuals.iter_mut().filter(|r| outer(r.position)).for_each(|r| r.value -= sd);
            let found = tested(&residuals);
            assert!(found.edge.expect("edge").p < 1e-3);
            assert!((found.edge_difference.expect("edge") + sd).abs() < 0.4);
        }
    }

    #[test]
    fn a_stain_is_a_cluster_and_scattered_outliers_are_none() {
        let mut residuals = noise(3);
        let stained = |at: WellPosition| (4..=6).contains(&at.row) && (10..=11).contains(&at.column);
        residuals.iter_mut().filter(|r| stained(r.position)).for_each(|r| r.value = -8.0);
        let found = clustered(&residuals);
        assert_eq!(found.len(), 6);
        assert!(found.iter().all(|i| stained(residuals[*i].position)));
        let mut residuals = noise(3);
        residuals.iter_mut().step_by(30).for_each(|r| r.value = -8.0);
        assert!(clustered(&residuals).is_empty());
        // Neighbours on either side of zero are not one stain.
        let mut residuals = noise(3);
        let stained = residuals.iter_mut().filter(|r| stained(r.position));
        stained.enumerate().for_each(|(i, r)| r.value = if i % 2 == 0 { -8.0 } else { 8.0 });
        assert_eq!(clustered(&residuals).len(), 0);
    }
}
