//! Profile intervals and robust fits against simulated truth.

use crate::inference::{curve, fit, numbers};
use crate::shared;
use isobole::backend::cpu::Cpu;
use isobole::fit::inference::intervals::Interval;
use isobole::fit::inference::{IntervalKind, Intervals, infer_all, intervals};
use isobole::fit::robust::{Loss, fit_robustly, infer_robustly};
use isobole::fit::{Fit, FitSettings};
use isobole::math::random::standard_normal;
use isobole::model::ModelId;
use isobole::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use std::f64::consts::LN_10;

const KEY: CurveKey = CurveKey { line: 0, drug: 0, schedule: None };

fn holds(interval: &Interval, truth: f64) -> bool {
    interval.low.is_none_or(|low| low <= truth) && interval.high.is_none_or(|high| truth <= high)
}

/// 10,000 simulated curves: on the identifiable ones the profile interval of every parameter covers as it says.
#[test]
fn profile_intervals_cover_the_truth() {
    let (Some(points), Some(truth)) = (shared("peers/curves.parquet"), shared("peers/curves_truth.parquet")) else {
        return;
    };
    let values = numbers(&points, &["curve_id", "dose", "response"]);
    let truth = numbers(&truth, &["top", "bottom", "log10_ic50", "hill", "identifiable"]);
    let mut wells: Vec<Vec<(f64, f64)>> = vec![Vec::new(); truth[0].len()];
    for i in 0..values[0].len() {
        wells[values[0][i] as usize].push((values[1][i] * 1e-6, values[2][i]));
    }
    let identifiable: Vec<usize> = (0..wells.len()).filter(|&i| truth[4][i] == 1.0).collect();
    let curves: Vec<Curve> = identifiable.iter().map(|&i| curve(KEY, &wells[i])).collect();
    let settings = FitSettings::new(ModelId::Hill4);
    let fits = fit(&curves, ModelId::Hill4);
    let inferences = infer_all(&curves, &fits, ModelId::Hill4);
    let profile = intervals(IntervalKind::Profile, &curves, &[], &fits, &inferences, &settings);
    let wald = intervals(IntervalKind::Wald, &curves, &[], &fits, &inferences, &settings);
    let n = curves.len() as f64;
    for parameter in 0..4 {
        let truth_of = |c: usize| match parameter {
            2 => (truth[2][identifiable[c]] - 6.0) * LN_10,
            p => truth[p][identifiable[c]],
        };
        let covered = |of: &[Intervals], narrow: f64| {
            let count = (0..curves.len()).filter(|&c| {
                let interval = of[c].parameters[parameter];
                let estimate = fits[c].parameters[parameter];
                let end = |x: Option<f64>| x.map(|x| estimate + narrow * (x - estimate));
                holds(&Interval { low: end(interval.low), high: end(interval.high), ..interval }, truth_of(c))
            });
            count.count() as f64 / n
        };
        let open = profile.iter().filter(|p| p.parameters[parameter].reason.is_some()).count();
        println!(
            "parameter {parameter}: profile covers {:.4}, Wald {:.4} of {n}; {open} open",
            covered(&profile, 1.0),
            covered(&wald, 1.0)
        );
        assert!((0.93..=0.97).contains(&covered(&profile, 1.0)), "{parameter}: {}", covered(&profile, 1.0));
        assert!(covered(&profile, 0.5) < 0.8, "half the interval covers less: the count can fail");
    }
}

/// Where the profile interval ends, a fit with the parameter held has the sum of squares that theory says.
#[test]
fn a_profile_ends_where_f_says() {
    let truth = [1.0, 0.2, -16.0, 1.3];
    let points: Vec<(f64, f64)> = (0..14u32)
        .map(|k| {
            let dose = f64::exp(-20.0 + 0.6 * f64::from(k));
            (dose, ModelId::Hill4.response(dose, &truth) + 0.04 * standard_normal(5, 0, 0, k))
        })
        .collect();
    let curves = [curve(KEY, &points)];
    let settings = FitSettings::new(ModelId::Hill4);
    let fits = fit(&curves, ModelId::Hill4);
    let inferences = infer_all(&curves, &fits, ModelId::Hill4);
    let found = intervals(IntervalKind::Profile, &curves, &[], &fits, &inferences, &settings);
    // F(1, 10; 0.95).
    let quantile = 4.964_603;
    let sigma = inferences[0].sigma.expect("sigma");
    for parameter in 0..4 {
        let interval = found[0].parameters[parameter];
        assert_eq!(interval.reason, None, "{parameter}");
        for (end, shift) in [(interval.low, 0.0), (interval.high, 0.0), (interval.high, 0.1)] {
            let held = end.expect("an end") * (1.0 + shift);
            let mut bounds = settings.bounds.clone();
            // Held by a box without room; that of a location is relative to the lowest and the highest dose.
            let relative = |dose: f64| if parameter == 2 { held - dose.ln() } else { held };
            bounds[parameter].lower = relative(points[0].0) - 1e-9;
            bounds[parameter].upper = relative(points[13].0) + 1e-9;
            let settings = FitSettings { bounds, ..settings.clone() };
            let mut set = isobole::fit::CurveSet::new();
            set.push(None, points.iter().map(|(dose, response)| (*dose, *response, 1.0)));
            let fit = isobole::backend::Backend::fit(&Cpu, &settings, &set).expect("fit")[0];
            let f = (fit.sse - fits[0].sse) / (sigma * sigma);
            let agrees = (f / quantile - 1.0).abs() < 5e-3;
            assert_eq!(agrees, shift == 0.0, "parameter {parameter} at {held}: F {f}, quantile {quantile}");
        }
    }
}

/// Planted outliers: Tukey's fit gives what least squares give without them, least squares do not.
#[test]
fn outliers_do_not_move_a_robust_fit() {
    let settings = FitSettings::new(ModelId::Hill4);
    let (mut dirty, mut without): (Vec<Curve>, Vec<Curve>) = Default::default();
    let mut planted = Vec::new();
    for c in 0..300u64 {
        let normal = |k: u32| standard_normal(77, c, 0, k);
        let truth = [1.0, 0.1 + 0.05 * normal(900), -16.0 + normal(901), 1.0 + 0.2 * normal(902).abs()];
        let wells: Vec<CurvePoint> = (0..20u32)
            .map(|k| {
                let dose = f64::exp(-20.0 + f64::from(k / 2));
                let response = ModelId::Hill4.response(dose, &truth) + 0.04 * normal(k);
                CurvePoint { dose, response, weight: 1.0, n: 1, sum_of_squares: 0.0 }
            })
            .collect();
        let bad = (c % 20) as usize;
        let mut spoiled = wells.clone();
        spoiled[bad].response = if c % 3 == 0 { 104.0 } else { 3.0 };
        let mut rest = wells;
        rest.remove(bad);
        dirty.push(Curve { key: KEY, points: spoiled });
        without.push(Curve { key: KEY, points: rest });
        planted.push(bad);
    }
    let clean = fit(&without, ModelId::Hill4);
    let squares = fit(&dirty, ModelId::Hill4);
    let (tukey, robust) = fit_robustly(&dirty, &settings, Loss::Tukey, &Cpu).expect("fits");
    let inferences = infer_robustly(&dirty, &tukey, &robust, &settings, Loss::Tukey);
    let departure = |c: usize, of: &[Fit]| {
        let at = |dose: f64, fit: &Fit| ModelId::Hill4.response(dose, &fit.parameters);
        dirty[c].points.iter().map(|p| (at(p.dose, &of[c]) - at(p.dose, &clean[c])).abs()).fold(0.0, f64::max)
    };
    let near = |of: &[Fit]| (0..dirty.len()).filter(|&c| departure(c, of) < 0.05).count();
    let seen = (0..dirty.len()).filter(|&c| robust[c].weights[planted[c]] < 0.5).count();
    let errors = inferences.iter().filter(|i| i.standard_errors[2].is_some()).count();
    println!(
        "outliers: Tukey near on {}, least squares on {}; {seen} seen, {errors} errors",
        near(&tukey),
        near(&squares)
    );
    assert!(near(&tukey) >= 290 && seen >= 298 && errors >= 290, "{} {seen} {errors}", near(&tukey));
    assert!(near(&squares) < 60, "least squares are moved: {}", near(&squares));
    assert!(robust.iter().all(|r| r.n_downweighted.is_some_and(|n| n >= 1) && r.scale.is_some_and(|s| s < 0.1)));
}
