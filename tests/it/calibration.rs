//! The calibrated test against the flat line: p is uniform on flat curves.

use crate::inference::{curve, fit, numbers, texts};
use crate::shared;
use isobole::backend::cpu::Cpu;
use isobole::fit::FitSettings;
use isobole::fit::inference::calibration::{Calibration, Design};
use isobole::fit::inference::{Inference, ResponseClass, infer};
use isobole::model::ModelId;
use isobole::screen::dose_matrix::{Curve, CurveKey};
use std::collections::BTreeMap;

const KEY: CurveKey = CurveKey { line: 0, drug: 0, schedule: None };

/// Normal numbers by another generator and another method than those that the null is simulated with.
struct Normal(u64);

impl Normal {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Marsaglia's polar method.
    fn draw(&mut self) -> f64 {
        loop {
            let (u, v) = (2.0 * self.uniform() - 1.0, 2.0 * self.uniform() - 1.0);
            let s = u * u + v * v;
            if s > 0.0 && s < 1.0 {
                return u * (-2.0 * s.ln() / s).sqrt();
            }
        }
    }
}

/// Doses with the number of wells at each; dose 0 is untreated.
type Layout = Vec<(f64, usize)>;

fn series(doses: usize, decades: f64, wells: usize) -> Layout {
    (0..doses).map(|k| (10f64.powf(-8.0 + decades * k as f64 / (doses - 1) as f64), wells)).collect()
}

fn flat(layout: &Layout, n: usize, mean: f64, deviation: f64, seed: u64) -> Vec<Curve> {
    let mut normal = Normal(seed);
    (0..n)
        .map(|_| {
            let wells: Vec<(f64, f64)> = layout
                .iter()
                .flat_map(|(dose, wells)| std::iter::repeat_n(*dose, *wells))
                .map(|dose| (dose, mean + deviation * normal.draw()))
                .collect();
            curve(KEY, &wells)
        })
        .collect()
}

/// Curves, their classic and their calibrated inferences.
struct Judged {
    curves: Vec<Curve>,
    classic: Vec<Inference>,
    calibrated: Vec<Inference>,
}

fn judge(model: ModelId, null_curves: u32, curves: Vec<Curve>) -> Judged {
    let fits = fit(&curves, model);
    let classic: Vec<Inference> = curves.iter().zip(&fits).map(|(c, f)| infer(c, f, model)).collect();
    let mut calibration = Calibration::new(FitSettings::new(model)).with_null_curves(null_curves);
    calibration.prepare(curves.iter().filter_map(Design::of), &Cpu).expect("prepared");
    let mut calibrated = classic.clone();
    calibration.calibrate(&mut calibrated, &curves);
    Judged { curves, classic, calibrated }
}

fn p_values(inferences: &[Inference]) -> Vec<f64> {
    inferences.iter().map(|i| i.p_value.expect("a p")).collect()
}

fn share_below(p: &[f64], level: f64) -> f64 {
    p.iter().filter(|p| **p < level).count() as f64 / p.len() as f64
}

/// What is wrong with p values that should be uniform up to `limit`, where `n` null curves stand behind them.
fn not_uniform(p: &[f64], limit: f64, n: u32) -> Option<String> {
    let mut sorted = p.to_vec();
    sorted.sort_by(f64::total_cmp);
    let count = p.len() as f64;
    let step = |(i, p): (usize, &f64)| (p - i as f64 / count).abs().max((p - (i + 1) as f64 / count).abs());
    let distance = sorted.iter().enumerate().filter(|(_, p)| **p < limit).map(step).fold(0.0, f64::max);
    // Both samples vary: one in a thousand pairs of equal laws is farther apart (Smirnov's two-sample limit).
    let spread = 1.0 / count + 1.0 / f64::from(n);
    if distance > 1.95 * spread.sqrt() {
        return Some(format!("Kolmogorov-Smirnov distance {distance}"));
    }
    [0.2, 0.05, 0.01].iter().find_map(|level| {
        let share = share_below(p, *level);
        let error = (level * (1.0 - level) * spread).sqrt();
        ((share - level).abs() > 3.3 * error).then(|| format!("{share} of p are below {level}"))
    })
}

const NULL_CURVES: u32 = 3000;
const FLAT_CURVES: usize = 3000;

#[test]
fn p_is_uniform_on_flat_curves() {
    let mut untreated = series(6, 3.0, 2);
    untreated.insert(0, (0.0, 4));
    let ragged: Layout = series(7, 2.0, 1).into_iter().zip([1, 3, 1, 2, 4, 1, 2]).map(|((d, _), n)| (d, n)).collect();
    // With the top fixed, a seventh of the flat curves leaves nothing to improve: their p is 1.
    for (name, model, limit, layout) in [
        ("8 doses", ModelId::Hill4, 1.0, series(8, 3.5, 1)),
        ("5 doses in triplicate", ModelId::Hill4, 1.0, series(5, 2.0, 3)),
        ("untreated wells", ModelId::Hill4, 1.0, untreated),
        ("ragged, narrow", ModelId::Hill4, 1.0, ragged),
        ("fixed top", ModelId::Hill3, 0.6, series(8, 3.5, 1)),
    ] {
        let judged = judge(model, NULL_CURVES, flat(&layout, FLAT_CURVES, 1.0, 0.05, 77));
        let (classic, calibrated) = (p_values(&judged.classic), p_values(&judged.calibrated));
        let shares = |p: &[f64]| [0.5, 0.05, 0.01, 0.001].map(|level| share_below(p, level));
        println!("{name}: below 0.5, 0.05, 0.01, 0.001: {:?}, classic {:?}", shares(&calibrated), shares(&classic));
        assert_eq!(not_uniform(&calibrated, limit, NULL_CURVES), None, "{name}");
        assert!(not_uniform(&classic, limit, NULL_CURVES).is_some(), "{name}: the classic p must be seen to be wrong");
    }
}

#[test]
fn real_effects_are_found_at_least_as_often() {
    let mut normal = Normal(5);
    let mut curves = Vec::new();
    for fall in [0.15, 0.8] {
        for _ in 0..300 {
            let wells: Vec<(f64, f64)> = series(8, 3.5, 1)
                .into_iter()
                .map(|(dose, _)| (dose, 1.0 - fall / (1.0 + 3e-7 / dose) + 0.05 * normal.draw()))
                .collect();
            curves.push(curve(KEY, &wells));
        }
    }
    let judged = judge(ModelId::Hill4, NULL_CURVES, curves);
    let (classic, calibrated) = (p_values(&judged.classic), p_values(&judged.calibrated));
    let found = |p: &[f64]| share_below(p, 0.05);
    println!("a fall of 0.15: {} by classic p, {} by calibrated", found(&classic[..300]), found(&calibrated[..300]));
    assert!(found(&calibrated[..300]) > found(&classic[..300]) + 0.05);
    assert!(found(&calibrated[300..]) > 0.99);
    let responders = judged.calibrated[300..].iter().filter(|i| i.class == Some(ResponseClass::Responder)).count();
    assert!(responders > 290, "{responders}");
    assert_eq!(judged.curves.len(), judged.calibrated.len());
}

#[test]
fn p_depends_neither_on_order_nor_company_nor_threads() {
    let design = |doses, untreated, wells| Design { doses, untreated, wells };
    let designs = [design(6, None, 6), design(6, None, 18), design(5, Some(2.2), 12), design(6, Some(40.0), 30)];
    let prepared = |batches: &[&[Design]]| {
        let mut calibration = Calibration::new(FitSettings::new(ModelId::Hill4)).with_null_curves(300);
        for batch in batches {
            calibration.prepare(batch.iter().copied(), &Cpu).expect("prepared");
        }
        designs.map(|d| [0.5, 3.0, 40.0, 5e3].map(|f| calibration.p_value(&d, f).expect("a p").to_bits()))
    };
    let together = prepared(&[&designs]);
    let mut reversed = designs;
    reversed.reverse();
    assert_eq!(together, prepared(&[&reversed[..1], &reversed[1..], &reversed]));
    let single = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    assert_eq!(together, single.install(|| prepared(&[&designs])));
    assert_ne!(together[0], together[1], "replicates must count");
}

#[test]
fn p_falls_as_f_rises_and_keeps_the_tail() {
    let mut designs = Vec::new();
    for (doses, untreated) in [(3, Some(1.0)), (4, None), (5, None), (7, Some(9.0))] {
        let points = doses + u32::from(untreated.is_some());
        for wells in [points, points + 1, 3 * points, 200] {
            designs.push(Design { doses, untreated, wells });
        }
    }
    // Straight lines have the F distribution itself; curves from 1 to 0 or below have no null, because they improve
    // on the flat line in few flat curves.
    let has_null = |m: &&ModelId| !m.curve_model().nonlinear.is_empty() && !["hill2", "gr"].contains(&m.name());
    for &model in ModelId::ALL.iter().filter(has_null) {
        let parameters = model.parameters().len() as u32;
        let mut calibration = Calibration::new(FitSettings::new(model)).with_null_curves(400.max(100 * parameters));
        assert_eq!(calibration.p_value(&designs[5], 3.0), None, "nothing is known before it is prepared");
        calibration.prepare(designs.iter().copied(), &Cpu).expect("prepared");
        for design in &designs {
            let Some(at_zero) = calibration.p_value(design, 0.0) else {
                let points = design.doses + u32::from(design.untreated.is_some());
                assert!(design.wells <= parameters || points < parameters, "{design:?} has degrees of freedom");
                continue;
            };
            assert_eq!(at_zero, 1.0);
            let mut last = at_zero;
            for k in -40..200 {
                let p = calibration.p_value(design, 10f64.powf(f64::from(k) / 10.0)).expect("a p");
                assert!((0.0..=last).contains(&p), "{model:?} {design:?}: {p} after {last}");
                last = p;
            }
            assert!(last < 1e-3, "{design:?}: {last}");
            assert_eq!(calibration.p_value(design, f64::INFINITY), Some(0.0));
        }
    }
}

/// CurveCurator 0.6.0's calibrated p on real viabilities (16 doses and an untreated well), which has its own
/// calibration and another box.
#[test]
fn curve_curator_calls_the_same_curves() {
    let (Some(points), Some(fits)) = (
        shared("data/gold_curvecurator_viability_ctrp_40_points.parquet"),
        shared("data/gold_curvecurator_viability_ctrp_40_fits.parquet"),
    ) else {
        return;
    };
    let mut by_name: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let values = numbers(&points, &["conc", "viability_ratio"]);
    for (i, name) in texts(&points, "curve").into_iter().enumerate() {
        if values[1][i].is_finite() {
            by_name.entry(name).or_default().push((values[0][i] * 1e-6, values[1][i]));
        }
    }
    let theirs = numbers(&fits, &["Curve P_Value"]).remove(0);
    let names = texts(&fits, "Name");
    let complete: Vec<usize> =
        (0..names.len()).filter(|i| by_name[&names[*i]].len() == 17 && theirs[*i].is_finite()).collect();
    let curves = complete.iter().map(|i| curve(KEY, &by_name[&names[*i]])).collect();
    let judged = judge(ModelId::Hill4, 2048, curves);
    let (classic, calibrated) = (p_values(&judged.classic), p_values(&judged.calibrated));
    let agreement = |ours: &[f64], level: f64| {
        let same = complete.iter().zip(ours).filter(|(i, p)| (theirs[**i] < level) == (**p < level)).count();
        same as f64 / complete.len() as f64
    };
    for level in [0.05, 0.001] {
        println!(
            "{} curves at {level}: calibrated agrees with CurveCurator in {}, classic in {}",
            complete.len(),
            agreement(&calibrated, level),
            agreement(&classic, level)
        );
        assert!(agreement(&calibrated, level) > 0.9);
    }
    let turned: Vec<f64> = calibrated.iter().map(|p| 1.0 - p).collect();
    assert!(agreement(&turned, 0.05) < 0.5, "the comparison can fail");
}
