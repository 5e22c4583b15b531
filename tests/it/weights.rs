//! Weights by the variance of replicates, against simulated truth.

use crate::streaming::{fitted_by, write_wells};
use isobole::backend::Backend;
use isobole::backend::cpu::Cpu;
use isobole::fit::inference::{infer, infer_all};
use isobole::fit::variance::{LARGEST_RATIO, ReplicateScatter, VarianceLaw, fit_weighted};
use isobole::fit::{CurveSet, Fit, FitSettings};
use isobole::math::random::standard_normal;
use isobole::model::ModelId;
use isobole::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use std::f64::consts::LN_10;

const DOSES: usize = 10;

/// One curve in four is flat; the others fall within the doses tested.
fn truth(curve: u32) -> [f64; 4] {
    let share = |step: f64| (f64::from(curve) * step).fract();
    let bottom = if curve % 4 == 3 { 1.0 } else { 0.02 + 0.5 * share(0.754_877_666) };
    [1.0, bottom, LN_10 * (-7.5 + 1.5 * share(0.569_840_291)), 0.8 + 1.2 * share(0.618_033_989)]
}

/// (dose, response) of single wells, curve after curve, with a standard deviation that depends on the expected response.
fn wells(curves: u32, replicates: u32, seed: u64, deviation: impl Fn(f64) -> f64) -> Vec<Vec<(f64, f64)>> {
    let of_curve = |curve| {
        let truth = truth(curve);
        let well = |place: u32| {
            let dose = 10f64.powf(-9.0 + 0.5 * f64::from(place / replicates));
            let expected = ModelId::Hill4.response(dose, &truth);
            (dose, expected + deviation(expected) * standard_normal(seed, 0, curve, place))
        };
        (0..DOSES as u32 * replicates).map(well).collect()
    };
    (0..curves).map(of_curve).collect()
}

fn collapsed(wells: &[Vec<(f64, f64)>]) -> Vec<Curve> {
    let points = |wells: &Vec<(f64, f64)>| -> Vec<CurvePoint> {
        let point = |same: &[(f64, f64)]| {
            let n = same.len() as f64;
            let response = same.iter().map(|w| w.1).sum::<f64>() / n;
            let sum_of_squares = same.iter().map(|w| (w.1 - response).powi(2)).sum();
            CurvePoint { dose: same[0].0, response, weight: n, n: same.len() as u32, sum_of_squares }
        };
        wells.chunk_by(|a, b| a.0 == b.0).map(point).collect()
    };
    let key = CurveKey { line: 0, drug: 0, schedule: None };
    wells.iter().map(|wells| Curve { key, points: points(wells) }).collect()
}

fn law(curves: &[Curve]) -> VarianceLaw {
    let mut scatter = ReplicateScatter::default();
    scatter.add(curves);
    scatter.law().unwrap()
}

#[test]
fn the_exponent_of_the_noise_is_found() {
    for (exponent, deviation) in [(2.0, (|m| 0.1 * m) as fn(f64) -> f64), (1.0, |m| 0.07 * m.sqrt()), (0.0, |_| 0.05)] {
        for replicates in [2, 3, 5] {
            let curves = collapsed(&wells(4_000, replicates, 1, deviation));
            let found = law(&curves);
            println!("{exponent} {replicates}: {}", found.describe());
            assert!((found.exponent - exponent).abs() < 0.12, "{exponent} {replicates}: {found:?}");
            for response in [1.0, 0.5, 0.2] {
                let ratio = found.variance(response).sqrt() / deviation(response);
                assert!((ratio - 1.0).abs() < 0.05, "{exponent} {replicates}, at {response}: {ratio}");
            }
            // The planted fault: scatter and mean of different doses.
            let mut torn = curves.clone();
            for curve in &mut torn {
                let mut sums: Vec<f64> = curve.points.iter().map(|p| p.sum_of_squares).collect();
                sums.reverse();
                curve.points.iter_mut().zip(sums).for_each(|(point, sum)| point.sum_of_squares = sum);
            }
            assert!(exponent == 0.0 || (law(&torn).exponent - exponent).abs() > 0.5, "{:?}", law(&torn));
        }
    }
}

#[test]
fn noise_without_signal_and_outliers_do_not_mislead() {
    let deviation = |m: f64| (0.03f64.powi(2) + (0.1 * m).powi(2)).sqrt();
    let mut wells = wells(4_000, 3, 2, deviation);
    let sound = law(&collapsed(&wells));
    println!("{}", sound.describe());
    for response in [1.0, 0.5, 0.2, 0.05] {
        let ratio = sound.variance(response).sqrt() / deviation(response);
        assert!((ratio - 1.0).abs() < 0.08, "at {response}: {ratio}");
    }
    // Every twentieth well is anything; every fourth dose has such a one.
    wells.iter_mut().flatten().step_by(20).for_each(|well| well.1 = 3.0 - 2.0 * well.1);
    let spoilt = law(&collapsed(&wells));
    println!("{}", spoilt.describe());
    for response in [1.0, 0.5, 0.2] {
        let ratio = spoilt.variance(response).sqrt() / deviation(response);
        assert!((ratio - 1.0).abs() < 0.25, "at {response}: {ratio}");
    }
    // The means of squares are far off: what a law that outliers rule would say.
    let curves = collapsed(&wells);
    let points = || curves.iter().flat_map(|c| &c.points).filter(|p| p.response > 0.9);
    let mean = points().map(|p| p.sum_of_squares).sum::<f64>() / points().map(|p| f64::from(p.n - 1)).sum::<f64>();
    assert!(mean.sqrt() > 1.5 * deviation(1.0), "{}", mean.sqrt());
}

#[test]
fn the_order_of_curves_changes_nothing_and_no_weight_explodes() {
    let mut curves = collapsed(&wells(3_000, 2, 3, |m| 0.1 * m));
    let found = law(&curves);
    let mut in_parts = ReplicateScatter::default();
    curves.reverse();
    curves.chunks(100).for_each(|part| in_parts.add(part));
    assert_eq!(in_parts.law().unwrap(), found);
    let highest = found.variance(1e30);
    for response in [0.0, -0.0, 1e-300, -0.2, 1e300, f64::INFINITY, f64::NAN] {
        let variance = found.variance(response);
        assert!(variance.is_finite() && variance >= highest / LARGEST_RATIO && variance <= highest, "{response}");
    }
}

#[test]
fn without_replicates_there_is_no_law() {
    let refusal = |curves: &[Curve]| {
        let mut scatter = ReplicateScatter::default();
        scatter.add(curves);
        let error = scatter.law().unwrap_err();
        assert!(error.hint().is_some(), "{error}");
        error.to_string()
    };
    assert!(refusal(&collapsed(&wells(500, 1, 4, |_| 0.05))).contains("no dose of any curve has replicates"));
    assert!(refusal(&collapsed(&wells(2, 3, 4, |_| 0.05))).contains("leave 40 degrees of freedom"));
    assert!(refusal(&collapsed(&wells(500, 3, 4, |_| 0.0))).contains("equal to the last digit"));
    let mut zero = collapsed(&wells(500, 3, 4, |_| 0.05));
    zero.iter_mut().flat_map(|c| &mut c.points).for_each(|p| (p.response, p.sum_of_squares) = (0.0, 0.0));
    assert!(refusal(&zero).contains("equal to the last digit"));
}

/// Root mean square error, and the share of 95 % intervals that hold the truth, of log10 EC50 and of the bottom.
fn quality(curves: &[Curve], fits: &[Fit]) -> [(f64, f64); 2] {
    let inferences = infer_all(curves, fits, ModelId::Hill4);
    [2, 1].map(|parameter| {
        let (mut square, mut inside, mut n, mut with_error) = (0.0, 0.0, 0.0, 0.0);
        for (i, (fit, inference)) in fits.iter().zip(&inferences).enumerate() {
            let truth = truth(i as u32);
            if truth[1] > 0.6 || !fit.status.is_fitted() {
                continue;
            }
            let miss = fit.parameters[parameter] - truth[parameter];
            square += miss * miss;
            n += 1.0;
            if let (Some(error), Some(df)) = (inference.standard_errors[parameter], inference.degrees_of_freedom) {
                with_error += 1.0;
                let t = isobole::math::special::t_quantile(0.975, f64::from(df)).unwrap();
                inside += f64::from(u8::from(miss.abs() <= t * error));
            }
        }
        ((square / n).sqrt(), inside / with_error)
    })
}

#[test]
fn weights_make_estimates_better_and_intervals_honest() {
    let curves = collapsed(&wells(4_000, 3, 5, |m| 0.15 * m));
    let settings = FitSettings::new(ModelId::Hill4);
    let equal = Cpu.fit(&settings, &CurveSet::of(&curves, &[])).unwrap();
    let (fits, weighted) = fit_weighted(&curves, &[], &settings, &law(&curves), &Cpu).unwrap();
    let (before, after) = (quality(&curves, &equal), quality(&weighted, &fits));
    println!("log10 EC50 and bottom, (error, coverage): equal {before:?}, by variance {after:?}");
    for (k, share) in [(0, 0.85), (1, 0.7)] {
        assert!(after[k].0 < share * before[k].0, "{before:?} {after:?}");
        assert!((0.93..=0.97).contains(&after[k].1), "{after:?}");
    }
    // The planted fault: the same with equal weights does not hold what 95 % promise.
    assert!(before.iter().any(|(_, coverage)| !(0.93..=0.97).contains(coverage)), "{before:?}");
}

#[test]
fn where_variances_are_equal_weights_are_one() {
    let curves = collapsed(&wells(2_000, 2, 6, |_| 0.05));
    let settings = FitSettings::new(ModelId::Hill4);
    let farthest = |law: &VarianceLaw| {
        let (_, weighted) = fit_weighted(&curves, &[], &settings, law, &Cpu).unwrap();
        let pairs = weighted.iter().zip(&curves).flat_map(|(w, c)| w.points.iter().zip(&c.points));
        pairs.map(|(w, c)| (w.weight / c.weight).ln().abs()).fold(0.0, f64::max)
    };
    let one = farthest(&law(&curves));
    assert!(one < 0.15, "{one}");
    // The planted fault: the law of other data.
    let other = law(&collapsed(&wells(2_000, 2, 6, |m| 0.1 * m)));
    assert!(farthest(&other) > 1.0);
    let (_, weighted) = fit_weighted(&curves, &[], &settings, &other, &Cpu).unwrap();
    for (weighted, curve) in weighted.iter().zip(&curves) {
        let sum = |curve: &Curve| curve.points.iter().map(|p| p.weight).sum::<f64>();
        assert!((sum(weighted) / sum(curve) - 1.0).abs() < 1e-12, "the weights of wells have mean 1");
    }
}

/// What is done to a flat curve: its test must not become bolder by weights that its own noise has chosen.
#[test]
fn flat_curves_are_not_called_more_often() {
    let flat: Vec<Curve> = collapsed(&wells(8_000, 3, 7, |m| 0.1 * m)).into_iter().skip(3).step_by(4).collect();
    let settings = FitSettings::new(ModelId::Hill4);
    let law = law(&collapsed(&wells(4_000, 3, 8, |m| 0.1 * m)));
    let (fits, weighted) = fit_weighted(&flat, &[], &settings, &law, &Cpu).unwrap();
    let equal = Cpu.fit(&settings, &CurveSet::of(&flat, &[])).unwrap();
    let small = |curves: &[Curve], fits: &[Fit]| {
        let p = curves.iter().zip(fits).filter_map(|(c, f)| infer(c, f, ModelId::Hill4).p_value);
        p.filter(|p| *p < 0.05).count() as f64 / flat.len() as f64
    };
    let (before, after) = (small(&flat, &equal), small(&weighted, &fits));
    println!("p below 0.05 before calibration: {before} with equal weights, {after} by variance");
    assert!(after <= before + 0.02, "{before} {after}");
}

#[test]
fn the_command_weighs_and_says_so() {
    let wells = wells(200, 3, 9, |m| 0.1 * m);
    let (outcome, weighted) = fitted_by(|path| write_wells(path, &wells), &["--weights", "variance"]).unwrap();
    assert!(outcome.notes.iter().any(|n| n.starts_with("weights: variance of a well ~")), "{:?}", outcome.notes);
    let (plain, equal) = fitted_by(|path| write_wells(path, &wells), &["--weights", "equal"]).unwrap();
    assert!(plain.notes.is_empty());
    assert!(weighted != equal);
    // Rows of a curve apart: the same numbers, by way of memory.
    let mut apart = wells.clone();
    let late = apart[0].split_off(5);
    let torn = |path: &std::path::Path| {
        let mut rows: Vec<(i64, f64, f64)> = Vec::new();
        for (curve, wells) in apart.iter().enumerate() {
            rows.extend(wells.iter().map(|(dose, response)| (curve as i64, *dose, *response)));
        }
        rows.extend(late.iter().map(|(dose, response)| (0, *dose, *response)));
        crate::streaming::write_numbered(path, &rows);
    };
    let (outcome, gathered) = fitted_by(torn, &["--weights", "variance"]).unwrap();
    assert_eq!(outcome.notes.len(), 2, "{:?}", outcome.notes);
    assert!(gathered == weighted);
    let single: Vec<Vec<(f64, f64)>> = wells.iter().map(|w| w.iter().copied().step_by(3).collect()).collect();
    let error = fitted_by(|path| write_wells(path, &single), &["--weights", "variance"]).unwrap_err();
    assert!(error.to_string().starts_with("setting `weights`: no dose of any curve has replicates"), "{error}");
    for other in [["--model", "auto"], ["--loss", "tukey"], ["--model", "gr"]] {
        let flags = [&["--weights", "variance"][..], &other].concat();
        let error = fitted_by(|path| write_wells(path, &wells), &flags).unwrap_err();
        assert!(error.to_string().starts_with("setting `weights`"), "{error}");
        assert!(error.hint().is_some());
    }
}
