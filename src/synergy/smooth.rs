//! Responses smoothed in the way of gDR: the mean of what was measured, of the curves along each drug, and of the
//! curve along the combinations of one ratio of doses, as far as each is there.

use super::design::{Design, Responses, by_ratio};
use super::margins::{Margin, hill_curve, hill4_settings, push, response};
use super::zip::FittedSurface;
use crate::Result;
use crate::backend::Backend;
use crate::fit::{CurveSet, FitSettings};

/// Combinations of one ratio that make a curve of their own: more than four, as in gDR.
const FEWEST_OF_A_RATIO: usize = 5;
/// Ratios whose natural logarithms differ by less, a tenth of a decade, are one, as to the one digit that gDR rounds them
/// to: half-log dilutions are 3, 3.33, 3 … fold.
const SAME_RATIO: f64 = 0.23;

/// The combinations of each ratio of doses that has enough of them, ascending in dose.
fn ratios(design: &Design) -> Vec<Vec<usize>> {
    let ln_ratios: Vec<f64> = design.combinations.iter().map(|c| c.ln_dose[1] - c.ln_dose[0]).collect();
    let mut groups = by_ratio(&ln_ratios, SAME_RATIO);
    groups.retain(|group| group.len() >= FEWEST_OF_A_RATIO);
    for group in &mut groups {
        group.sort_by(|&i, &j| design.combinations[i].ln_dose[0].total_cmp(&design.combinations[j].ln_dose[0]));
    }
    groups
}

/// The smoothed response at each of the combinations of each item.
///
/// # Errors
/// Those of the back end.
pub fn smooth(
    items: &[(&Design, Responses)],
    margins: &[[Margin; 2]],
    slices: &[FittedSurface],
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<Vec<Vec<f64>>> {
    let settings = hill4_settings(fit);
    let mut curves = CurveSet::new();
    let mut of_ratio = Vec::new();
    for (item, ((design, responses), margins)) in items.iter().zip(margins).enumerate() {
        let [Some(a), Some(b)] = [margins[0].curve, margins[1].curve] else { continue };
        for group in ratios(design) {
            let ln_dose: Vec<f64> = group.iter().map(|&i| ln_total_dose(design, i)).collect();
            let values: Vec<f64> = group.iter().map(|&i| responses.combinations[i]).collect();
            let weight: Vec<f64> = group.iter().map(|&i| design.combinations[i].weight).collect();
            push(&mut curves, Some(0.5 * (a.top + b.top)), &ln_dose, &values, &weight);
            of_ratio.push((item, group));
        }
    }
    let fits = if curves.is_empty() { Vec::new() } else { backend.fit(&settings, &curves)? };
    let mut sums: Vec<Vec<(f64, u32)>> =
        items.iter().map(|(_, responses)| responses.combinations.iter().map(|r| (*r, 1)).collect()).collect();
    for ((item, group), fit) in of_ratio.iter().zip(&fits) {
        if let Some(curve) = hill_curve(fit, settings.model) {
            for &i in group {
                let sum = &mut sums[*item][i];
                *sum = (sum.0 + response(curve, ln_total_dose(items[*item].0, i)), sum.1 + 1);
            }
        }
    }
    for (sums, slices) in sums.iter_mut().zip(slices) {
        for along in &slices.along {
            for (sum, value) in sums.iter_mut().zip(along) {
                if let Some(value) = value {
                    *sum = (sum.0 + value, sum.1 + 1);
                }
            }
        }
    }
    Ok(sums.into_iter().map(|sums| sums.into_iter().map(|(sum, n)| sum / f64::from(n)).collect()).collect())
}

/// Natural log of the molar sum of both doses.
fn ln_total_dose(design: &Design, i: usize) -> f64 {
    let cell = &design.matrix.cells[design.combinations[i].cell];
    libm::log(cell.dose_a + cell.dose_b)
}
