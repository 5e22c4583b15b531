//! The slices of zero interaction potency: along each drug at each dose of the other, one curve a slice, all slices
//! of all matrices in one batch (Yadav 2015, doi 10.1016/j.csbj.2015.09.001).
//!
//! The convention is that of the Python package `synergy`: the slice's response at dose zero is fixed at the *fitted*
//! response of the other drug alone; potency, slope and bottom are free. synergyfinder fixes it at the *observed*
//! one, which carries the noise of one well into a whole row.
//!
//! A slice with fewer than three doses, or whose fit gives nothing, is represented by its observed responses.

use super::design::{Design, Responses};
use super::margins::{Margin, hill_curve, hill4_settings, push, response};
use crate::Result;
use crate::backend::Backend;
use crate::fit::{CurveSet, FitSettings};
use crate::model::surface::zip_fitted;

/// Bottom, potency and slope are free.
const FREE: usize = 3;

/// The smoothed surface of one matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct FittedSurface {
    /// Mean of the two slices at each of [`Design::combinations`]; empty where a margin has no curve.
    pub fitted: Vec<f64>,
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
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<Vec<FittedSurface>> {
    let settings = hill4_settings(fit);
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
            for slice in &design.slices[along] {
                let Some(baseline) =
                    slice.first().and_then(|&i| margins[other].response(design.combinations[i].ln_dose[other]))
                else {
                    continue;
                };
                let curve = if slice.len() >= FREE {
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
                slices.push((item, along, slice, curve));
            }
        }
    }
    let fits = if curves.is_empty() { Vec::new() } else { backend.fit(&settings, &curves)? };

    let mut surfaces = vec![FittedSurface::default(); items.len()];
    let mut along_each = vec![[const { Vec::new() }; 2]; items.len()];
    for (item, along, slice, curve) in slices {
        let (design, responses) = &items[item];
        let surface = &mut surfaces[item];
        let column: &mut Vec<f64> = &mut along_each[item][along];
        column.resize(design.combinations.len(), 0.0);
        let fit = curve.and_then(|curve| fits.get(curve));
        let hill = fit.and_then(|fit| hill_curve(fit, settings.model));
        match (fit, hill) {
            (Some(fit), Some(hill)) => {
                surface.slices_fitted += 1;
                surface.sse += fit.sse;
                surface.degrees_of_freedom += slice.len().saturating_sub(FREE);
                for &i in slice {
                    column[i] = response(hill, design.combinations[i].ln_dose[along]);
                }
            }
            _ => {
                surface.slices_observed += 1;
                for &i in slice {
                    column[i] = responses.combinations[i];
                }
            }
        }
    }
    for (surface, [along_a, along_b]) in surfaces.iter_mut().zip(along_each) {
        surface.fitted = along_a.into_iter().zip(along_b).map(|(a, b)| zip_fitted(a, b)).collect();
    }
    Ok(surfaces)
}
