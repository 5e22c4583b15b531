//! What the doses of a curve decide before its responses are looked at; many curves have the same.

use super::potency;
use crate::model::{CurveModel, LN_DOSE_ZERO};
use crate::screen::dose_matrix::CurvePoint;

/// Places beside the points at which the response is wanted: where the effect begins and ends, and the ends of the range
/// in which an IC50 counts.
pub(super) const PLACES: usize = 4;

/// Doses that curves share, and what follows from them.
pub(super) struct Doses {
    /// Molar doses of the points.
    pub doses: Vec<f64>,
    /// Point columns of the gradient's program, at the points and then at the further places.
    pub columns: Vec<f64>,
    /// Whether each point takes part: untreated ones do not where the model does not level off.
    pub takes_part: Vec<bool>,
    /// Distinct doses above zero.
    pub distinct: u32,
    /// Lowest and highest dose above zero, natural log, in the model's unit of dose.
    pub ln_range: Option<(f64, f64)>,
    /// The same, log10 molar.
    pub log10_range: Option<(f64, f64)>,
}

impl Doses {
    pub fn new(points: &[CurvePoint], x2: &[f64], model: &CurveModel) -> Self {
        let doses: Vec<f64> = points.iter().map(|p| p.dose).collect();
        let treated = || doses.iter().copied().filter(|d| *d > 0.0 && d.is_finite());
        let (low, high) = treated().fold((f64::INFINITY, 0.0f64), |(low, high), d| (low.min(d), high.max(d)));
        let mut sorted: Vec<f64> = treated().collect();
        sorted.sort_by(f64::total_cmp);
        sorted.dedup();
        let unit = libm::log(model.dose_unit);
        let log10_range = (high > 0.0).then(|| (libm::log10(low), libm::log10(high)));
        let ln_range = (high > 0.0).then(|| (libm::log(low) - unit, libm::log(high) - unit));
        let has_untreated = doses.contains(&0.0) || model.baseline.is_none();
        let (ln_low, ln_high) = ln_range.unwrap_or((0.0, 0.0));
        let begin = if has_untreated && model.levels_off { LN_DOSE_ZERO } else { ln_low };
        let half = potency::half_dose_range(ln_low, ln_high);
        let places = [begin, ln_high, half.0, half.1].map(|x| model.point_at_ln_dose(x));
        let second = |k: usize| x2.get(k).copied().unwrap_or(0.0);
        let inputs: Vec<_> = doses.iter().enumerate().map(|(k, d)| model.point(*d, second(k))).chain(places).collect();
        let kernel = &model.gradient_kernel;
        let mut columns = vec![0.0; kernel.point_columns() * inputs.len()];
        for (k, point) in inputs.iter().enumerate() {
            for (column, value) in kernel.hoist(point).into_iter().enumerate() {
                columns[column * inputs.len() + k] = value;
            }
        }
        let takes_part = doses.iter().map(|d| model.any_dose || model.levels_off || *d > 0.0).collect();
        Self { doses, columns, takes_part, distinct: sorted.len() as u32, ln_range, log10_range }
    }

    pub fn is(&self, points: &[CurvePoint]) -> bool {
        self.doses.len() == points.len() && self.doses.iter().zip(points).all(|(d, p)| d.to_bits() == p.dose.to_bits())
    }
}
