//! Every normalisation on both back ends.

use isobole::backend::cpu::Cpu;
use isobole::backend::{Backend, PlateBatch, WellClass};
use isobole::config::Normalization;

/// 96-, 384- and 1536-well plates with gaps, gradients and outliers; controls in their own columns on some.
fn placed_plates() -> PlateBatch {
    let mut plates = PlateBatch { offsets: vec![0], ..PlateBatch::default() };
    for plate in 0..24u32 {
        let (rows, columns) = [(8, 12), (16, 24), (32, 48)][plate as usize % 3];
        for (row, column) in (0..rows).flat_map(|r| (0..columns).map(move |c| (r, c))) {
            let draw =
                f64::from((plate * 7919 + row * 131 + column * 17).wrapping_mul(2_654_435_761) >> 8) / 16_777_216.0;
            if draw < 0.03 {
                continue;
            }
            let (r, c) = (f64::from(row), f64::from(column));
            let trend = 1.0 + 0.02 * r - 0.01 * c;
            let outlier = if draw > 0.97 { 0.2 } else { 1.0 };
            let class = match column {
                0 if plate % 2 == 0 => WellClass::Vehicle,
                1 if row < 6 => WellClass::Positive,
                2 if row < 4 => WellClass::Blank,
                2 if row < 8 => WellClass::Vehicle,
                _ => WellClass::Other,
            };
            let level = [6e4, 2e3, 1e5, 1e4][class as usize];
            plates.signal.push(level * trend * outlier * (1.0 + 0.2 * (draw * 40.0).sin()));
            plates.class.push(class);
            plates.place.push((row as u16, column as u16));
            let beginning = if class == WellClass::Blank { 2e3 } else { 3e4 };
            plates.signal_t0.push(if plate % 4 == 3 { 0.0 } else { beginning * (1.0 + 0.1 * draw) });
            plates.growth_time.push(2.0 + draw);
        }
        plates.offsets.push(plates.signal.len());
    }
    plates
}

#[test]
fn every_normalisation_is_the_same_on_both_back_ends() {
    let Some(gpu) = crate::gpu() else { return };
    let plates = placed_plates();
    for normalization in Normalization::ALL {
        let reference = Cpu.normalise(normalization, &plates).unwrap();
        let single = gpu.normalise(normalization, &plates).unwrap();
        assert_eq!((reference.len(), single.len()), (plates.signal.len(), plates.signal.len()));
        let mut compared = 0;
        // A log-fold without a beginning has no value, which the plate stage does not ask for.
        let asked = |i: &usize| normalization != Normalization::Log2FoldPerDay || plates.signal_t0[*i] > 0.0;
        let asked = |i: &usize| {
            asked(i) && (!normalization.is_score() && plates.class[*i] == WellClass::Other || normalization.is_score())
        };
        // A software adapter's logarithm is good to five digits, and growth is a ratio of logarithms.
        let growth = matches!(normalization, Normalization::GrowthRateInhibition | Normalization::Log2FoldPerDay);
        let tolerance = if growth { 2e-4 } else { 2e-5 };
        let agree = |a: f64, b: f64| (a.is_nan() && b.is_nan()) || (a - b).abs() < tolerance * (1.0 + a.abs());
        for i in (0..reference.len()).filter(asked) {
            assert!(agree(reference[i], single[i]), "{normalization:?} {i}: {} {}", reference[i], single[i]);
            // The planted fault: five times the tolerance would be seen.
            let wrong = reference[i] + 5.0 * tolerance * (1.0 + reference[i].abs());
            assert!(reference[i].is_nan() || !agree(wrong, single[i]));
            compared += usize::from(reference[i].is_finite());
        }
        assert!(compared > 5000, "{normalization:?}: {compared}");
    }
}

#[test]
fn plates_without_spread_have_no_score_on_either_back_end() {
    let Some(gpu) = crate::gpu() else { return };
    let mut plates = placed_plates();
    let first = plates.offsets[1];
    plates.signal[..first].fill(7.0);
    for normalization in [Normalization::ZScore, Normalization::RobustZScore, Normalization::BScore] {
        for scores in [Cpu.normalise(normalization, &plates).unwrap(), gpu.normalise(normalization, &plates).unwrap()] {
            assert!(scores[..first].iter().all(|s| s.is_nan()) && scores[first..].iter().any(|s| s.is_finite()));
        }
    }
}
