//! Curves made ready for a kernel: checked, doses centred, the untreated point apart, the box in place.

use super::{CurveSet, FitSettings, Status};
use crate::model::Model;
use std::array::from_fn;

/// The weight that carries the most sums of squares; beyond it squares overflow.
const LARGEST: f64 = 1e100;

/// One curve, ready to be fitted with `N` parameters.
#[derive(Debug, Clone)]
pub struct Problem<const N: usize> {
    /// Its index in the [`CurveSet`].
    pub curve: usize,
    /// Middle of the tested range (ln molar): what was subtracted from the doses.
    pub centre: f64,
    /// Centred natural-log doses, ascending input order kept.
    pub ln_dose: Vec<f64>,
    /// Responses.
    pub response: Vec<f64>,
    /// Weights.
    pub weight: Vec<f64>,
    /// Response and weight of the untreated point; weight 0 where there is none.
    pub untreated: (f64, f64),
    /// Lower ends of the box, the location centred.
    pub lower: [f64; N],
    /// Upper ends of the box, the location centred.
    pub upper: [f64; N],
    /// Lowest and highest centred dose.
    pub range: (f64, f64),
    /// Responses at those.
    pub ends: (f64, f64),
}

impl<const N: usize> Problem<N> {
    /// Checks curve `curve` and centres it, or says why it cannot be fitted.
    pub fn new<M: Model<N>>(curves: &CurveSet, curve: usize, settings: &FitSettings) -> Result<Self, Status> {
        let (ln_dose, response, weight) = curves.points(curve);
        let baseline = curves.baseline.get(curve).copied().flatten();
        let usable = |y: &f64| y.is_finite() && y.abs() < LARGEST;
        let doses_ok = ln_dose.iter().all(|x| x.is_finite() || *x == f64::NEG_INFINITY);
        let weights_ok = weight.iter().all(|w| usable(w) && *w > 0.0);
        if !doses_ok || !weights_ok || !response.iter().all(usable) || !baseline.iter().all(usable) {
            return Err(Status::BadValue);
        }
        let (mut low, mut high, mut treated) = (usize::MAX, usize::MAX, 0);
        let mut untreated = (0.0, 0.0);
        for (k, &x) in ln_dose.iter().enumerate() {
            if x == f64::NEG_INFINITY {
                let total = untreated.1 + weight[k];
                untreated = ((untreated.0 * untreated.1 + response[k] * weight[k]) / total, total);
                continue;
            }
            treated += 1;
            if low == usize::MAX || x < ln_dose[low] {
                low = k;
            }
            if high == usize::MAX || x > ln_dose[high] {
                high = k;
            }
        }
        if treated == 0 {
            return Err(Status::TooFewDoses);
        }
        if treated > 1 && ln_dose[low] == ln_dose[high] {
            return Err(Status::OneDose);
        }
        let fixed = usize::from(baseline.is_some() && M::BASELINE.is_some());
        if treated + usize::from(untreated.1 > 0.0) < N - fixed {
            return Err(Status::TooFewDoses);
        }
        let centre = 0.5 * (ln_dose[low] + ln_dose[high]);
        let range = (ln_dose[low] - centre, ln_dose[high] - centre);
        let ends = (response[low], response[high]);
        let mut lower: [f64; N] = from_fn(|i| settings.bounds.get(i).map_or(M::BOUNDS[i].lower, |b| b.lower));
        let mut upper: [f64; N] = from_fn(|i| settings.bounds.get(i).map_or(M::BOUNDS[i].upper, |b| b.upper));
        lower[M::LOCATION] += range.0;
        upper[M::LOCATION] += range.1;
        if let (Some(value), Some(index)) = (baseline, M::BASELINE) {
            (lower[index], upper[index]) = (value, value);
        }
        let keep = |values: &[f64]| -> Vec<f64> {
            let both = values.iter().zip(ln_dose);
            both.filter(|(_, x)| x.is_finite()).map(|(v, _)| *v).collect()
        };
        Ok(Self {
            curve,
            centre,
            ln_dose: keep(ln_dose).into_iter().map(|x| x - centre).collect(),
            response: keep(response),
            weight: keep(weight),
            untreated,
            lower,
            upper,
            range,
            ends,
        })
    }

    /// Total weight, untreated point included.
    pub fn total_weight(&self) -> f64 {
        self.weight.iter().sum::<f64>() + self.untreated.1
    }

    /// Points less parameters that may move, at least 1.
    pub fn degrees_of_freedom(&self) -> f64 {
        let points = self.ln_dose.len() + usize::from(self.untreated.1 > 0.0);
        let free = (0..N).filter(|&i| self.lower[i] < self.upper[i]).count();
        points.saturating_sub(free).max(1) as f64
    }
}
