//! Potencies against CurveCurator's own: two optimisers, one model, one box.

use crate::inference::{curve, numbers, texts};
use crate::shared;
use isobole::backend::{Backend, cpu::Cpu};
use isobole::fit::inference::infer;
use isobole::fit::{Bound, CurveSet, FitSettings};
use isobole::model::ModelId;
use isobole::screen::dose_matrix::{Curve, CurveKey};
use std::collections::BTreeMap;
use std::f64::consts::LN_10;

const KEY: CurveKey = CurveKey { line: 0, drug: 0, schedule: None };

/// CurveCurator 0.6.0 (Bayer 2023, doi 10.1038/s41467-023-43696-z) on 1,211 curves of CTRP: the pEC50 of clear responders.
#[test]
fn potencies_are_those_of_curve_curator() {
    let (Some(points), Some(theirs)) = (
        shared("data/gold_curvecurator_viability_ctrp_40_points.parquet"),
        shared("data/gold_curvecurator_viability_ctrp_40_fits.parquet"),
    ) else {
        return;
    };
    let mut wells: BTreeMap<String, Vec<(f64, f64)>> = BTreeMap::new();
    let columns = numbers(&points, &["conc", "viability_ratio"]);
    let scale = texts(&points, "dose_scale");
    for (i, name) in texts(&points, "curve").into_iter().enumerate() {
        let scale: f64 = scale[i].parse().expect("a scale");
        if columns[1][i].is_finite() {
            wells.entry(name).or_default().push((columns[0][i] * scale, columns[1][i]));
        }
    }
    let names = texts(&theirs, "Name");
    let curves: Vec<Curve> = names.iter().map(|name| curve(KEY, &wells[name])).collect();
    let mut set = CurveSet::new();
    for curve in &curves {
        set.push(None, curve.points.iter().map(|p| (p.dose, p.response, p.weight)));
    }
    // Its box: plateaus above 0 without an upper end that matters, slope up to 10.
    let bound = |lower, upper| Bound { lower, upper };
    let bounds = vec![bound(1e-4, 1e3), bound(1e-4, 1e3), bound(-2.0 * LN_10, 2.0 * LN_10), bound(0.01, 10.0)];
    let fits = Cpu.fit(&FitSettings { bounds, ..FitSettings::new(ModelId::Hill4) }, &set).expect("fits");
    let regulation = texts(&theirs, "Curve Regulation");
    let reported = numbers(&theirs, &["pEC50", "pEC50 Error", "Curve Relevance Score", "Curve Log P_Value"]);
    let rmse = numbers(&theirs, &["Curve RMSE"]);
    // Within two of its standard errors, and within a tenth of a decade: right, and with the planted fault.
    let (mut compared, mut within, mut within_shifted) = (0u32, [0u32; 2], [0u32; 2]);
    for (i, curve) in curves.iter().enumerate() {
        let [p_ec50, error, relevance, log_p] = [0, 1, 2, 3].map(|k| reported[k][i]);
        let ours = infer(curve, &fits[i], ModelId::Hill4);
        let log10_ec50 = fits[i].parameters[2] / LN_10;
        let (Some(low), Some(high)) = (ours.log10_dose_low, ours.log10_dose_high) else { continue };
        let inside = |log10_dose: f64| low < log10_dose && log10_dose < high;
        let clear = regulation[i] == "down" && relevance >= 2.0 && log_p >= 4.0;
        if !(clear && ours.p_value.is_some_and(|p| p < 1e-4) && inside(-p_ec50) && inside(log10_ec50)) {
            continue;
        }
        compared += 1;
        let agrees = |log10_ec50: f64| {
            let off = (log10_ec50 + p_ec50).abs();
            [u32::from(off <= 2.0 * error), u32::from(off <= 0.1)]
        };
        let (right, shifted) = (agrees(log10_ec50), agrees(log10_ec50 + 0.5));
        for k in 0..2 {
            within[k] += right[k];
            within_shifted[k] += shifted[k];
        }
        // Where we are elsewhere, it is because we fit better: its optimiser stops early on flat valleys.
        let no_worse = ours.rmse.is_some_and(|own| own <= rmse[0][i] * (1.0 + 1e-6));
        assert!(no_worse, "{}: {log10_ec50} {:?}, theirs {} {}", names[i], ours.rmse, -p_ec50, rmse[0][i]);
    }
    let share = |n: u32| f64::from(n) / f64::from(compared);
    println!("{compared} clear responders: {within:?} within two standard errors and 0.1, shifted {within_shifted:?}");
    assert!(compared > 400, "{compared}");
    assert!(share(within[0]) >= 0.99 && share(within[1]) >= 0.95, "{within:?} of {compared}");
    // Half a decade off is seen; some of its error bars are wider than that.
    assert!(share(within_shifted[0]) < 0.5 && share(within_shifted[1]) < 0.05, "{within_shifted:?} of {compared}");
}
