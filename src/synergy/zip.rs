//! The slices of zero interaction potency: along each drug at each dose of the other, one curve a slice, all slices
//! of all matrices in one batch (Yadav 2015, doi 10.1016/j.csbj.2015.09.001). Its implementations differ in where a
//! slice begins and ends ([`Slices`]); ours begins, as the Python package `synergy`, at the *fitted* response of the
//! other drug alone, because an observed one carries the noise of one well into a whole row.
//!
//! A slice with fewer doses than its curve has parameters, or whose fit gives nothing, is represented by its observed
//! responses.

use super::design::{Combination, Design, Responses};
use super::margins::{Margin, hill_curve, hill4_settings, push, response};
use crate::Result;
use crate::backend::Backend;
use crate::fit::{Bound, CurveSet, FitSettings};
use crate::model::surface::{HillCurve, zip_fitted};

/// Where slices begin and end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Slices {
    /// From the fitted response of the other drug alone; bottom, potency and slope are free.
    FromFitted,
    /// From the observed response of the other drug alone, the fitted one where there is none; else the same.
    FromObserved,
    /// From the fitted response to no viability at all; potency and slope are free.
    ToNothing,
}

impl Slices {
    /// Free parameters of a slice's curve: fewer doses are not a slice.
    fn free(self) -> usize {
        if self == Slices::ToNothing { 2 } else { 3 }
    }

    fn baseline(
        self,
        design: &Design,
        responses: &Responses,
        margins: &[Margin; 2],
        combination: &Combination,
        other: usize,
    ) -> Option<f64> {
        let fitted = || margins[other].response(combination.ln_dose[other]);
        match self {
            Slices::FromObserved => design.alone(responses, combination, other).or_else(fitted),
            Slices::FromFitted | Slices::ToNothing => fitted(),
        }
    }

    fn settings(self, fit: &FitSettings) -> FitSettings {
        /// Place of the bottom among the parameters of `hill4`.
        const BOTTOM: usize = 1;
        let mut settings = hill4_settings(fit);
        if self == Slices::ToNothing {
            settings.bounds[BOTTOM] = Bound { lower: 0.0, upper: 0.0 };
        }
        settings
    }
}

/// The smoothed surface of one matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FittedSurface {
    /// Mean of the two slices at each of [`Design::combinations`]; empty where a margin has no curve.
    pub fitted: Vec<f64>,
    /// The slice along each drug alone, where there is a fitted one.
    pub along: [Vec<Option<f64>>; 2],
    /// The curve of each of [`Design::slices`] that has one.
    pub curves: [Vec<Option<HillCurve<f64>>>; 2],
    /// Slices fitted.
    pub slices_fitted: usize,
    /// Slices represented by their observed responses.
    pub slices_observed: usize,
    /// Weighted sum of squared residuals over the fitted slices.
    pub sse: f64,
    /// Points less free parameters, over the fitted slices.
    pub degrees_of_freedom: usize,
}

/// Fits every slice of every wanted item once.
///
/// # Errors
/// Those of the back end.
pub fn fit_slices(
    items: &[(&Design, Responses)],
    margins: &[[Margin; 2]],
    wanted: impl Fn(usize) -> bool,
    kind: Slices,
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<Vec<FittedSurface>> {
    let settings = kind.settings(fit);
    let mut curves = CurveSet::new();
    let mut slices = Vec::new();
    let (mut ln_dose, mut values, mut weight) = (Vec::new(), Vec::new(), Vec::new());
    for (item, ((design, responses), margins)) in items.iter().zip(margins).enumerate() {
        if !wanted(item) {
            continue;
        }
        let (Some(_), Some(_)) = (margins[0].curve, margins[1].curve) else {
            continue;
        };
        for along in 0..2 {
            let other = 1 - along;
            for (level, slice) in design.slices[along].iter().enumerate() {
                let baseline = |&i: &usize| kind.baseline(design, responses, margins, &design.combinations[i], other);
                let Some(baseline) = slice.first().and_then(baseline) else {
                    continue;
                };
                let curve = if slice.len() >= kind.free() {
                    ln_dose.clear();
                    values.clear();
                    weight.clear();
                    ln_dose.extend(slice.iter().map(|&i| design.combinations[i].ln_dose[along]));
                    values.extend(slice.iter().map(|&i| responses.combinations[i]));
                    weight.extend(slice.iter().map(|&i| design.combinations[i].weight));
                    push(&mut curves, Some(baseline), &ln_dose, &values, &weight);
                    Some(curves.len() - 1)
                } else {
                    None
                };
                slices.push((item, along, level, curve));
            }
        }
    }
    let fits = if curves.is_empty() { Vec::new() } else { backend.fit(&settings, &curves)? };

    let mut surfaces = vec![FittedSurface::default(); items.len()];
    for (item, along, level, curve) in slices {
        let design = items[item].0;
        let slice = &design.slices[along][level];
        let surface = &mut surfaces[item];
        surface.curves[along].resize(design.slices[along].len(), None);
        surface.along[along].resize(design.combinations.len(), None);
        let fit = curve.and_then(|curve| fits.get(curve));
        let hill = fit.and_then(|fit| hill_curve(fit, settings.model));
        match (fit, hill) {
            (Some(fit), Some(hill)) => {
                surface.slices_fitted += 1;
                surface.curves[along][level] = Some(hill);
                surface.sse += fit.sse;
                surface.degrees_of_freedom += slice.len().saturating_sub(kind.free());
                for &i in slice {
                    surface.along[along][i] = Some(response(hill, design.combinations[i].ln_dose[along]));
                }
            }
            _ => surface.slices_observed += 1,
        }
    }
    for (surface, (_, responses)) in surfaces.iter_mut().zip(items) {
        let [a, b] = &surface.along;
        let slices = a.iter().zip(b).zip(&responses.combinations);
        surface.fitted =
            slices.map(|((a, b), observed)| zip_fitted(a.unwrap_or(*observed), b.unwrap_or(*observed))).collect();
    }
    Ok(surfaces)
}
