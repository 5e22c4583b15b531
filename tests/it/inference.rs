//! Inference against scipy, CurveCurator and simulated truth.

use crate::shared;
use arrow::array::{AsArray, Float64Array};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use isobole::backend::{Backend, cpu::Cpu};
use isobole::fit::inference::{Inference, ResponseClass, infer, table};
use isobole::fit::{CurveSet, Fit, FitSettings, Status};
use isobole::model::ModelId;
use isobole::report::table::Values;
use isobole::screen::Screen;
use isobole::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::collections::BTreeMap;
use std::f64::consts::LN_10;
use std::path::PathBuf;

/// Numeric columns (nulls as NaN), in the order asked for.
pub fn numbers(path: &PathBuf, names: &[&str]) -> Vec<Vec<f64>> {
    let file = std::fs::File::open(path).expect("open");
    let mut columns = vec![Vec::new(); names.len()];
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).expect("parquet").build().expect("reader") {
        let batch = batch.expect("batch");
        for (name, column) in names.iter().zip(&mut columns) {
            let array = cast(batch.column_by_name(name).expect(name), &DataType::Float64).expect("numbers");
            let array: &Float64Array = array.as_primitive();
            column.extend(array.iter().map(|v| v.unwrap_or(f64::NAN)));
        }
    }
    columns
}

pub fn texts(path: &PathBuf, name: &str) -> Vec<String> {
    let file = std::fs::File::open(path).expect("open");
    let mut column = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).expect("parquet").build().expect("reader") {
        let array = cast(batch.expect("batch").column_by_name(name).expect(name), &DataType::Utf8).expect("text");
        column.extend(array.as_string::<i32>().iter().map(|v| v.unwrap_or("").to_owned()));
    }
    column
}

/// Wells of weight 1 as a curve: replicates collapsed.
pub fn curve(key: CurveKey, wells: &[(f64, f64)]) -> Curve {
    let mut by_dose: BTreeMap<u64, Vec<f64>> = BTreeMap::new();
    for (dose, response) in wells {
        by_dose.entry(dose.to_bits()).or_default().push(*response);
    }
    let points = by_dose.into_iter().map(|(dose, values)| {
        let n = values.len() as f64;
        let mean = values.iter().sum::<f64>() / n;
        CurvePoint {
            dose: f64::from_bits(dose),
            response: mean,
            weight: n,
            n: values.len() as u32,
            sum_of_squares: values.iter().map(|v| (v - mean) * (v - mean)).sum(),
        }
    });
    Curve { key, points: points.collect() }
}

pub fn fit(curves: &[Curve], model: ModelId) -> Vec<Fit> {
    let mut set = CurveSet::new();
    for curve in curves {
        set.push(None, curve.points.iter().map(|p| (p.dose, p.response, p.weight)));
    }
    Cpu.fit(&FitSettings::new(model), &set).expect("fit")
}

const KEY: CurveKey = CurveKey { line: 0, drug: 0, schedule: None };
const DOSES: [f64; 8] = [1e-9, 3e-9, 1e-8, 3e-8, 1e-7, 3e-7, 1e-6, 3e-6];

fn wells(replicates: &[[f64; 8]]) -> Vec<(f64, f64)> {
    replicates.iter().flat_map(|r| DOSES.iter().copied().zip(r.iter().copied())).collect()
}

const A: [[f64; 8]; 2] =
    [[1.02, 0.97, 0.99, 0.86, 0.61, 0.33, 0.17, 0.14], [0.98, 1.01, 0.95, 0.90, 0.57, 0.36, 0.20, 0.10]];
const B: [[f64; 8]; 1] = [[0.95, 0.93, 0.80, 0.70, 0.52, 0.45, 0.41, 0.36]];
const C: [[f64; 8]; 1] = [[1.01, 1.00, 0.98, 0.97, 0.85, 0.62, 0.30, 0.12]];

/// scipy 1.17.1 `curve_fit` (Levenberg–Marquardt, tolerances 1e-15) on the single wells.
struct Scipy {
    wells: &'static [[f64; 8]],
    model: ModelId,
    parameters: &'static [f64],
    errors: &'static [f64],
    sse: f64,
    f: f64,
    p: f64,
    r2: f64,
    log10_ic50: f64,
    log10_ic50_se: f64,
}

const SCIPY: [Scipy; 4] = [
    Scipy {
        wells: &A,
        model: ModelId::Hill4,
        parameters: &[1.00724891383, 0.11196600468, -15.9375622966, 1.2030503542],
        errors: &[0.01294013157, 0.01959255394, 0.07225755473, 0.09878715251],
        sse: 0.00755821933104,
        f: 1041.960649,
        p: 9.158203202e-15,
        r2: 0.9961757644,
        log10_ic50: -6.824881744,
        log10_ic50_se: 0.022859339,
    },
    Scipy {
        wells: &A,
        model: ModelId::Hill3,
        parameters: &[0.115122304765, -15.9268334451, 1.23391921067],
        errors: &[0.01789613816, 0.06636296363, 0.08191339986],
        sse: 0.00776815132194,
        f: 1647.252543,
        p: 2.311417549e-16,
        r2: 0.996069545,
        log10_ic50: -6.824833203,
        log10_ic50_se: 0.022111333,
    },
    Scipy {
        wells: &B,
        model: ModelId::Hill4,
        parameters: &[0.991830680546, 0.359161531627, -17.2598822921, 0.827993265789],
        errors: &[0.03314366338, 0.02301944118, 0.1843351929, 0.1335087572],
        sse: 0.00161933748926,
        f: 320.7737033,
        p: 3.208323845e-05,
        r2: 0.9958605892,
        log10_ic50: -6.839955285,
        log10_ic50_se: 0.068302284,
    },
    Scipy {
        wells: &C,
        model: ModelId::Hill3,
        parameters: &[0.0264029355447, -14.6320692042, 1.16355376905],
        errors: &[0.01837796679, 0.04983205386, 0.04267925056],
        sse: 0.000327790480919,
        f: 6517.575702,
        p: 2.878845952e-09,
        r2: 0.9996165689,
        log10_ic50: -6.33437774,
        log10_ic50_se: 0.010646426,
    },
];

/// The largest relative difference between what was inferred and what scipy says.
fn departure(expected: &Scipy, curve: &Curve, fit: &Fit) -> f64 {
    let got = infer(curve, fit, expected.model);
    let mut pairs = vec![
        (got.sse, expected.sse),
        (got.f, expected.f),
        (got.p_value, expected.p),
        (got.r2, expected.r2),
        (got.log10_ic50, expected.log10_ic50),
        (got.log10_ic50_se, expected.log10_ic50_se),
    ];
    pairs.extend(expected.errors.iter().enumerate().map(|(i, e)| (got.standard_errors[i], *e)));
    pairs.extend(expected.parameters.iter().enumerate().map(|(i, p)| (Some(fit.parameters[i]), *p)));
    pairs.iter().map(|(got, want)| got.map_or(f64::INFINITY, |got| (got / want - 1.0).abs())).fold(0.0, f64::max)
}

#[test]
fn standard_errors_equal_scipy() {
    for expected in &SCIPY {
        let curve = curve(KEY, &wells(expected.wells));
        let fit = fit(std::slice::from_ref(&curve), expected.model)[0];
        assert_eq!(fit.status, Status::Converged);
        let off = departure(expected, &curve, &fit);
        assert!(off < 1e-4, "{} {:?}: off by {off}", expected.model.name(), expected.parameters);
        // Planted faults: replicates taken for exact, a well counted twice, a parameter moved by a part in a thousand.
        let mut exact = curve.clone();
        exact.points.iter_mut().for_each(|p| p.sum_of_squares = 0.0);
        assert!(expected.wells.len() == 1 || departure(expected, &exact, &fit) > 1e-2);
        let mut doubled = curve.clone();
        doubled.points[0].n += 1;
        assert!(departure(expected, &doubled, &fit) > 1e-2);
        let mut moved = fit;
        moved.parameters[1] *= 1.001;
        assert!(departure(expected, &curve, &moved) > 5e-4);
    }
}

#[test]
fn weights_scale_the_residual_variance_only() {
    let plain = curve(KEY, &wells(&A));
    let mut heavy = plain.clone();
    for p in &mut heavy.points {
        p.weight *= 4.0;
        p.sum_of_squares *= 4.0;
    }
    let fits = fit(&[plain.clone(), heavy.clone()], ModelId::Hill4);
    let (a, b) = (infer(&plain, &fits[0], ModelId::Hill4), infer(&heavy, &fits[1], ModelId::Hill4));
    for i in 0..4 {
        let (x, y) = (a.standard_errors[i].expect("an error"), b.standard_errors[i].expect("an error"));
        assert!((x / y - 1.0).abs() < 1e-5, "{i}: {x} {y}");
    }
    assert!((b.sigma.expect("sigma") / a.sigma.expect("sigma") - 2.0).abs() < 1e-5);
    assert!((a.rmse.expect("rmse") / b.rmse.expect("rmse") - 1.0).abs() < 1e-5);
}

#[test]
fn classes_and_reasons() {
    let one = |wells: &[(f64, f64)]| {
        let curve = curve(KEY, wells);
        let fit = fit(std::slice::from_ref(&curve), ModelId::Hill4)[0];
        infer(&curve, &fit, ModelId::Hill4)
    };
    assert_eq!(one(&wells(&A)).class, Some(ResponseClass::Responder));
    let quiet = one(&wells(&[[1.02, 0.99, 1.01, 0.97, 1.03, 1.0, 0.98, 1.01]]));
    assert_eq!(quiet.class, Some(ResponseClass::NonResponder));
    assert_eq!((quiet.log10_ic50, quiet.ic50_censored, quiet.ic50_reason), (None, "above", Some("above_range")));
    let noisy = one(&wells(&[[1.3, 0.7, 1.2, 0.8, 1.25, 0.75, 1.3, 0.7]]));
    assert_eq!(noisy.class, Some(ResponseClass::Flat));
    let killed = one(&wells(&[[0.05, 0.04, 0.06, 0.05, 0.04, 0.05, 0.06, 0.05]]));
    assert_eq!((killed.log10_ic50, killed.ic50_censored), (None, "below"));
    let rising = one(&wells(&[[0.2, 0.21, 0.25, 0.4, 0.7, 0.9, 0.98, 1.0]]));
    assert_eq!((rising.class, rising.reason), (Some(ResponseClass::Flat), Some("rising_curve")));
    assert_eq!((rising.log10_ic50, rising.ic50_reason), (None, Some("rising_curve")));
    let constant = one(&wells(&[[1.0; 8]]));
    assert_eq!((constant.r2, constant.p_value, constant.reason), (None, None, Some("constant_response")));
}

/// Every null of the table has a code in the row, and no number is anything but a number, on hostile curves too.
#[test]
fn tables_have_no_null_without_a_reason() {
    let hostile: Vec<Vec<(f64, f64)>> = vec![
        wells(&A),
        wells(&[[1.0; 8]]),
        vec![],
        vec![(1e-6, 0.5)],
        vec![(0.0, 1.0), (1e-6, 0.5)],
        vec![(0.0, 1.0)],
        vec![(1e-8, 1.0), (1e-7, 0.8), (1e-6, 0.5), (1e-5, 0.1)],
        vec![(1e-8, f64::NAN), (1e-7, 0.8), (1e-6, 0.5), (1e-5, 0.1), (1e-4, 0.1)],
        vec![(1e-8, 1e300), (1e-7, -1e300), (1e-6, 0.5), (1e-5, 0.1), (1e-4, 0.1)],
        vec![(1e-300, 1.0), (1e-7, 0.8), (1e-6, 0.5), (1e-5, 0.1), (1e300, 0.1)],
        wells(&[[1.0, 0.9, 1.1, 40.0, 1.0, 0.9, 1.1, 1.0]]),
    ];
    for &model in ModelId::ALL {
        let curves: Vec<Curve> = hostile.iter().map(|w| curve(KEY, w)).collect();
        let fits = fit(&curves, model);
        let inferences: Vec<Inference> = curves.iter().zip(&fits).map(|(c, f)| infer(c, f, model)).collect();
        let table = table(&curves, &fits, &inferences, &Screen::default(), model);
        let text = |name: &str, row: usize| {
            let column = table.columns.iter().find(|c| c.name == name).expect(name);
            column.values.text(row).unwrap_or_default().to_owned()
        };
        for column in &table.columns {
            let Values::Number(values) = &column.values else { continue };
            assert_eq!(values.len(), hostile.len(), "{}", column.name);
            for (row, value) in values.iter().enumerate().filter(|(_, v)| v.is_none()) {
                let mut causes = ["reason", "se_reason", "ic50_reason"].map(|name| text(name, row)).to_vec();
                if column.name.contains("gr50") {
                    causes = vec![text("gr50_reason", row)];
                } else if ["gr_max", "gr_aoc", "gr_p_value"].contains(&column.name.as_str()) {
                    causes = vec![text("gr_reason", row)];
                }
                assert!(causes.iter().any(|c| !c.is_empty()), "{} row {row}: {value:?} without reason", column.name);
            }
        }
        let has_error = |p: &&str| table.columns.iter().any(|c| c.name == format!("se_{}", p.replace("ln_", "log10_")));
        assert!(model.parameters().iter().all(has_error), "{}", model.name());
    }
}

/// CurveCurator 0.6.0's own fits of 1,211 curves: at its parameters (its optimiser stops a little early) the residuals
/// and standard errors are those it reports.
#[test]
fn curve_curator_reports_the_same_errors() {
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
    let names = texts(&fits, "Name");
    let parameters = numbers(&fits, &["Curve Front", "Curve Back", "pEC50", "Curve Slope"]);
    let errors = numbers(&fits, &["Curve Front Error", "Curve Back Error", "pEC50 Error", "Curve Slope Error"]);
    let residuals = numbers(&fits, &["Curve RMSE", "Curve R2"]);
    let curves: Vec<Curve> = names.iter().map(|name| curve(KEY, &by_name[name])).collect();
    let (mut compared, mut agree, mut agree_wrong) = (0, 0, 0);
    for (i, curve) in curves.iter().enumerate() {
        let [top, bottom, p_ec50, hill] = [0, 1, 2, 3].map(|k| parameters[k][i]);
        let mut fit = Fit::failed(Status::Converged);
        fit.parameters[..4].copy_from_slice(&[top, bottom, -p_ec50 * LN_10, hill]);
        let theirs = infer(curve, &fit, ModelId::Hill4);
        let rmse = residuals[0][i];
        assert!(theirs.rmse.is_some_and(|r| (r / rmse - 1.0).abs() < 1e-6), "{}: {theirs:?}", names[i]);
        assert!(theirs.r2.is_some_and(|r| (r - residuals[1][i]).abs() < 1e-6), "{}: {theirs:?}", names[i]);
        // Where the problem is well posed; elsewhere the two cut the pseudo-inverse at different places.
        if !theirs.condition_number.is_some_and(|c| c < 1e3) {
            continue;
        }
        compared += 1;
        let close = |unit: f64| {
            (0..4).all(|k| {
                let error = theirs.standard_errors[k].map(|e| if k == 2 { e / LN_10 } else { e * unit });
                error.is_some_and(|e| (e / errors[k][i] - 1.0).abs() < 1e-3)
            })
        };
        agree += usize::from(close(1.0));
        agree_wrong += usize::from(close(1.01));
    }
    println!("curve_curator: {compared} of {} curves compared, {agree} agree", curves.len());
    assert!(compared > 600, "{compared}");
    assert_eq!(agree, compared);
    assert_eq!(agree_wrong, 0, "one per cent off is seen");
}

/// 10,000 simulated curves with known truth: the 95 % interval of the EC50 covers it about as often as it says.
#[test]
fn intervals_cover_the_truth() {
    let (Some(points), Some(truth)) = (shared("peers/curves.parquet"), shared("peers/curves_truth.parquet")) else {
        return;
    };
    let values = numbers(&points, &["curve_id", "dose", "response"]);
    let truth = numbers(&truth, &["log10_ic50", "identifiable", "top", "bottom", "hill"]);
    let mut wells: Vec<Vec<(f64, f64)>> = vec![Vec::new(); truth[0].len()];
    for i in 0..values[0].len() {
        wells[values[0][i] as usize].push((values[1][i] * 1e-6, values[2][i]));
    }
    let curves: Vec<Curve> = wells.iter().map(|w| curve(KEY, w)).collect();
    let fits = fit(&curves, ModelId::Hill4);
    // The 97.5 % quantile of t with 20 wells - 4 parameters.
    let t = 2.119_905;
    let (mut n, mut covered, mut half_covered, mut n_ic50, mut ic50_covered) = (0u32, 0u32, 0u32, 0u32, 0u32);
    for (i, curve) in curves.iter().enumerate().filter(|(i, _)| truth[1][*i] == 1.0) {
        let got = infer(curve, &fits[i], ModelId::Hill4);
        let [log10_ec50, top, bottom, hill] = [0, 2, 3, 4].map(|k| truth[k][i]);
        if let Some(error) = got.standard_errors[2] {
            let off = (fits[i].parameters[2] - (log10_ec50 - 6.0) * LN_10).abs();
            n += 1;
            covered += u32::from(off <= t * error);
            half_covered += u32::from(off <= 0.5 * t * error);
        }
        if let (Some(ic50), Some(error), true) = (got.log10_ic50, got.log10_ic50_se, bottom < 0.4) {
            let truth = log10_ec50 - 6.0 + ((top - 0.5) / (0.5 - bottom)).log10() / hill;
            n_ic50 += 1;
            ic50_covered += u32::from((ic50 - truth).abs() <= t * error);
        }
    }
    let (share, ic50_share) = (f64::from(covered) / f64::from(n), f64::from(ic50_covered) / f64::from(n_ic50));
    println!("95 % intervals cover: EC50 {share:.4} of {n}, absolute IC50 {ic50_share:.4} of {n_ic50}");
    assert!(n > 4000 && (0.93..=0.97).contains(&share), "{share} of {n}");
    assert!(n_ic50 > 2500 && (0.93..=0.97).contains(&ic50_share), "{ic50_share} of {n_ic50}");
    assert!(f64::from(half_covered) / f64::from(n) < 0.8, "half the interval covers less: the count can fail");
}

/// How often noise about a flat line is called significant; and never a responder without an effect.
#[test]
fn flat_curves_are_rarely_significant() {
    let mut state = 12345u64;
    let mut uniform = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    let mut normal = || (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    let curves: Vec<Curve> = (0..4000)
        .map(|_| {
            let replicates = [[(); 8], [(); 8]].map(|r| r.map(|_| 1.0 + 0.08 * normal()));
            curve(KEY, &wells(&replicates))
        })
        .collect();
    let fits = fit(&curves, ModelId::Hill4);
    let (mut significant, mut responders) = (0u32, 0u32);
    for (curve, fit) in curves.iter().zip(&fits) {
        let got = infer(curve, fit, ModelId::Hill4);
        significant += u32::from(got.p_value.is_some_and(|p| p < 0.05));
        responders += u32::from(got.class == Some(ResponseClass::Responder));
    }
    println!("flat curves: p < 0.05 in {significant} of 4000, responders {responders}");
    assert!(significant < 600 && responders < 40, "{significant} {responders}");
}
