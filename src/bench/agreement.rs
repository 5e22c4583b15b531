//! How far the fits of two back ends are apart, in the unit that matters: standard errors.

use super::simulated::ReplicatedCurves;
use crate::fit::Fit;
use crate::fit::inference::infer;
use crate::model::ModelId;
use crate::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use rayon::prelude::*;
use serde::Serialize;

/// The agreement asked of the back ends, in standard errors.
pub const CLOSE: f64 = 0.01;

/// How the fits of a back end compare with those of the reference, curve by curve.
#[derive(Debug, Clone, Serialize)]
pub struct Agreement {
    /// The model.
    pub model: String,
    /// Curves whose parameters were compared: identifiable by their truth, and with a standard error for every
    /// parameter of the reference's fit.
    pub compared: usize,
    /// Share of them with a parameter more than [`CLOSE`] standard errors apart.
    pub apart: f64,
    /// Median over them of the largest shift of a parameter, in standard errors.
    pub median_shift: f64,
    /// Largest shift of all, in standard errors.
    pub largest_shift: f64,
    /// Largest difference of the wells' sums of squares over the reference's, on identifiable curves.
    pub largest_sse_difference: f64,
    /// The same on all curves: where the data do not tell the curve there may be several minima.
    pub largest_sse_difference_all: f64,
    /// Curves fitted by one of the two only.
    pub fitted_by_one: usize,
}

/// Compares `other` with `reference`: fits of `model` to the collapsed `curves`, in their order, with the pure error
/// that collapsing took out.
pub fn agreement(
    model: ModelId,
    curves: &ReplicatedCurves,
    pure_error: &[f64],
    reference: &[Fit],
    other: &[Fit],
) -> Agreement {
    let both = |i: usize| reference[i].status.is_fitted() && other[i].status.is_fitted();
    let fitted_by_one =
        reference.iter().zip(other).filter(|(a, b)| a.status.is_fitted() != b.status.is_fitted()).count();
    let mut shifts: Vec<f64> = (0..curves.len())
        .into_par_iter()
        .filter(|&i| curves.identifiable[i] && both(i))
        .filter_map(|i| shift(model, curves, i, &reference[i], &other[i]))
        .collect();
    shifts.sort_by(f64::total_cmp);
    let sse_difference = |i: usize| {
        let difference = (reference[i].sse - other[i].sse).abs();
        if difference > 0.0 { difference / (reference[i].sse + pure_error[i]) } else { 0.0 }
    };
    let largest = |chosen: &dyn Fn(usize) -> bool| {
        (0..curves.len()).filter(|&i| chosen(i) && both(i)).map(sse_difference).fold(0.0, f64::max)
    };
    Agreement {
        model: model.name().into(),
        compared: shifts.len(),
        apart: shifts.iter().filter(|s| **s > CLOSE).count() as f64 / shifts.len().max(1) as f64,
        median_shift: shifts.get(shifts.len() / 2).copied().unwrap_or(0.0),
        largest_shift: shifts.last().copied().unwrap_or(0.0),
        largest_sse_difference: largest(&|i| curves.identifiable[i]),
        largest_sse_difference_all: largest(&|_| true),
        fitted_by_one,
    }
}

/// The largest difference of a parameter in standard errors of the reference; `None` where one has no standard error.
fn shift(model: ModelId, curves: &ReplicatedCurves, i: usize, reference: &Fit, other: &Fit) -> Option<f64> {
    let wells = curves.wells(i).chunks_exact(curves.replicates);
    let points = curves.ln_dose.iter().zip(wells).map(|(x, same)| {
        let response = same.iter().sum::<f64>() / same.len() as f64;
        CurvePoint {
            dose: libm::exp(*x),
            response,
            weight: same.len() as f64,
            n: same.len() as u32,
            sum_of_squares: same.iter().map(|y| (y - response) * (y - response)).sum(),
        }
    });
    let curve = Curve { key: CurveKey { line: 0, drug: 0, schedule: None }, points: points.collect() };
    let inferred = infer(&curve, reference, model);
    let mut largest = 0.0f64;
    for (p, error) in inferred.standard_errors[..model.parameters().len()].iter().enumerate() {
        let error = error.filter(|e| *e > 0.0)?;
        largest = largest.max((reference.parameters[p] - other.parameters[p]).abs() / error);
    }
    Some(largest)
}

#[cfg(test)]
mod tests {
    use super::super::simulated::{DOSES, REPLICATES, simulate};
    use super::*;
    use crate::Result;
    use crate::backend::{Backend, cpu::Cpu};
    use crate::fit::FitSettings;

    /// Every comparison must see what it is there to see.
    #[test]
    fn a_planted_difference_is_measured() -> Result<()> {
        let model = ModelId::Hill4;
        let curves = simulate(300, DOSES, REPLICATES, 3);
        let collapsed = curves.collapse();
        let fits = Cpu.fit(&FitSettings::new(model), &collapsed.curves)?;
        let same = agreement(model, &curves, &collapsed.pure_error, &fits, &fits);
        assert!(same.compared > 100, "{same:?}");
        assert_eq!(
            (same.apart, same.largest_shift, same.largest_sse_difference, same.fitted_by_one),
            (0.0, 0.0, 0.0, 0)
        );

        // One identifiable curve moved by two of its standard errors of `top`, its sum of squares by 1 %.
        let i = curves.identifiable.iter().position(|i| *i).unwrap_or(0);
        let mut moved = fits.clone();
        let mut step = 1e-3;
        for _ in 0..2 {
            moved[i].parameters[0] = fits[i].parameters[0] + step;
            step *= 2.0 / agreement(model, &curves, &collapsed.pure_error, &fits, &moved).largest_shift;
        }
        moved[i].sse += 0.01 * (fits[i].sse + collapsed.pure_error[i]);
        let other = (0..curves.len()).find(|&i| !curves.identifiable[i]).unwrap_or(0);
        moved[other].status = crate::fit::Status::BadValue;
        let apart = agreement(model, &curves, &collapsed.pure_error, &fits, &moved);
        assert!((apart.largest_shift - 2.0).abs() < 1e-9, "{apart:?}");
        assert_eq!(apart.apart, 1.0 / apart.compared as f64);
        assert!((apart.largest_sse_difference - 0.01).abs() < 1e-12, "{apart:?}");
        assert_eq!((apart.median_shift, apart.fitted_by_one), (0.0, 1));
        Ok(())
    }
}
