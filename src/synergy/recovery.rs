//! A surface from a model file, fitted to dose matrices simulated from itself: see [`crate::fit::recovery`].

use super::score::score_matrices;
use super::{Margins, SynergyModel};
use crate::Result;
use crate::backend::Backend;
use crate::fit::recovery::{NOISE, Recovered, Recovery, true_value};
use crate::fit::{Fit, FitSettings};
use crate::math::random::{standard_normal, uniform};
use crate::model::ModelId;
use crate::model::formula::{FormulaFile, FormulaParameter};
use crate::screen::dose_matrix::{Cell, CurvePoint, DoseMatrix, MarginOrigin, MatrixKey};

/// Matrices simulated: they know a coverage of 95 % to two percent.
const MATRICES: u32 = 120;
/// Doses of each drug above zero, over three decades.
const DOSES: usize = 6;
const LOWEST: f64 = 1e-8;
const DECADES: f64 = 3.0;
const REPLICATES: u32 = 3;
/// As for curves: a surface is found back where its residuals are below this share of its range.
const FOUND: f64 = 1e-4;

/// Simulates matrices from the model and fits them.
///
/// # Errors
/// Those of the back end.
pub fn recover(file: &FormulaFile, model: ModelId, seed: u64, backend: &dyn Backend) -> Result<Recovery> {
    let doses: Vec<f64> = (0..DOSES).map(|i| LOWEST * libm::exp10(i as f64 * DECADES / (DOSES - 1) as f64)).collect();
    let truths: Vec<Vec<f64>> = (0..MATRICES)
        .map(|unit| {
            let value = |(k, parameter): (usize, &FormulaParameter)| {
                let place = uniform(seed, u64::from(unit), 0, k as u32);
                // Doses of the first drug are in the file's unit; of the second, the fit has the logarithm of the molar dose.
                if parameter.per_dose_b {
                    return libm::log(true_value(parameter, doses[0], doses[DOSES - 1], place));
                }
                let unit = file.dose_per_molar;
                true_value(parameter, doses[0] * unit, doses[DOSES - 1] * unit, place)
            };
            file.parameters.iter().enumerate().map(value).collect()
        })
        .collect();
    let (mut clean, mut noisy, mut ranges) = (Vec::new(), Vec::new(), Vec::new());
    for (unit, truth) in (0..MATRICES).zip(&truths) {
        let (range, matrix) = simulated(model, truth, &doses, 0.0, seed, unit);
        clean.push(matrix);
        noisy.push(simulated(model, truth, &doses, NOISE * range, seed, unit).1);
        ranges.push(range);
    }
    let models = [SynergyModel::Formula(model)];
    let margins = FitSettings::new(ModelId::Hill4);
    let fitted = |matrices: &[DoseMatrix]| -> Result<Vec<Recovered>> {
        let scores = score_matrices(matrices, &models, Margins::Fitted, &margins, backend)?;
        let of = |(score, truth): (&super::MatrixScore, &Vec<f64>)| match score.interactions.first() {
            Some(found) => Recovered {
                truth: truth.clone(),
                fit: found.fit,
                standard_errors: found.standard_errors.iter().map(|(error, _)| *error).collect(),
                degrees_of_freedom: Some(f64::from((REPLICATES - 1) * (DOSES * DOSES) as u32)),
            },
            None => Recovered {
                truth: truth.clone(),
                fit: Fit::failed(crate::fit::Status::NoFiniteStart),
                standard_errors: Vec::new(),
                degrees_of_freedom: None,
            },
        };
        Ok(scores.iter().zip(&truths).map(of).collect())
    };
    let wells = f64::from(REPLICATES) * ((DOSES + 1) * (DOSES + 1)) as f64;
    let is_found = |(one, range): (&Recovered, &f64)| {
        one.fit.status.is_fitted() && (one.fit.sse / wells).sqrt() <= FOUND * range.max(f64::MIN_POSITIVE)
    };
    let found: Vec<bool> = fitted(&clean)?.iter().zip(&ranges).map(is_found).collect();
    let names: Vec<&str> = file.parameters.iter().map(|p| p.name.as_str()).collect();
    Ok(Recovery::of(&names, &found, &fitted(&noisy)?))
}

/// A matrix with this noise, and the range of its responses.
fn simulated(model: ModelId, truth: &[f64], doses: &[f64], noise: f64, seed: u64, unit: u32) -> (f64, DoseMatrix) {
    let levels: Vec<f64> = std::iter::once(0.0).chain(doses.iter().copied()).collect();
    let model = model.curve_model();
    let ln = |dose: f64| if dose > 0.0 { libm::log(dose) } else { crate::model::LN_DOSE_ZERO };
    let mut cells = Vec::with_capacity(levels.len() * levels.len());
    let (mut low, mut high) = (f64::INFINITY, f64::NEG_INFINITY);
    for dose_a in &levels {
        for dose_b in &levels {
            let expected = model.response(*dose_a, ln(*dose_b), truth);
            (low, high) = (low.min(expected), high.max(expected));
            let place = cells.len() as u32;
            let well = |r: u32| expected + noise * standard_normal(seed, u64::from(unit), 1 + r, place);
            let mean = (0..REPLICATES).map(well).sum::<f64>() / f64::from(REPLICATES);
            cells.push(Cell {
                dose_a: *dose_a,
                dose_b: *dose_b,
                response: mean,
                weight: f64::from(REPLICATES),
                n: REPLICATES,
                sum_of_squares: (0..REPLICATES).map(|r| (well(r) - mean) * (well(r) - mean)).sum(),
            });
        }
    }
    let margin = |dose: fn(&Cell) -> f64, other: fn(&Cell) -> f64| -> Vec<CurvePoint> {
        let of = |cell: &Cell| CurvePoint {
            dose: dose(cell),
            response: cell.response,
            weight: cell.weight,
            n: cell.n,
            sum_of_squares: cell.sum_of_squares,
        };
        cells.iter().filter(|cell| other(cell) == 0.0).map(of).collect()
    };
    let matrix = DoseMatrix {
        key: MatrixKey { block: Some(unit), line: 0, drug_a: 0, drug_b: 1, schedule: None },
        margin_a: margin(|cell| cell.dose_a, |cell| cell.dose_b),
        margin_b: margin(|cell| cell.dose_b, |cell| cell.dose_a),
        cells,
        origins: [MarginOrigin::default(); 2],
    };
    (high - low, matrix)
}
