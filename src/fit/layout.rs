//! What curves with the same doses and weights share: points made ready for the kernel, the box, and a table of
//! starts. Screens have few layouts and many curves, so what is worked out here costs next to nothing.

use super::{FitSettings, Status};
use crate::model::LN_DOSE_ZERO;
use crate::model::curve_model::{Axis, CurveModel, POINT_INPUTS, Starts};

/// Starts reach this far beyond the doses tested, in natural-log units.
const BEYOND: f64 = 1.5;
/// Positions of starts for each distinct dose, and at least and at most.
const POSITIONS_A_DOSE: f64 = 3.0;
const POSITIONS: (f64, f64) = (12.0, 64.0);
/// Where there is time, the search begins at these multiples of the starts as well.
const AROUND: [f64; 5] = [0.01, 0.1, 1.0, 10.0, 100.0];
/// Starts in all, at most.
const MOST_STARTS: usize = 4096;

/// The points of a curve as they were given.
#[derive(Debug, Clone, Copy)]
pub struct Points<'a> {
    /// Molar doses.
    pub dose: &'a [f64],
    /// Their natural logs, negative infinity for dose zero.
    pub ln_dose: &'a [f64],
    /// The second variable; empty where there is none.
    pub x2: &'a [f64],
    /// Weights.
    pub weight: &'a [f64],
}

/// Doses and weights, ready to be fitted with a model.
#[derive(Debug, Clone)]
pub struct Layout {
    dose: Vec<f64>,
    x2: Vec<f64>,
    weight: Vec<f64>,
    /// Indices of the points that take part: all, but for untreated ones where the model does not level off.
    pub kept: Vec<usize>,
    /// What was subtracted from natural-log doses.
    pub centre: f64,
    /// Columns that follow from the points, one after the other.
    pub columns: Vec<f64>,
    /// Those of the weighted kernel; empty where all weights are 1.
    pub weighted_columns: Vec<f64>,
    /// Square roots of the weights; all are 1 where all weights are the same, which is then in `scale`.
    pub root_weight: Vec<f64>,
    /// What sums of squares are to be multiplied with.
    pub scale: f64,
    /// Sum of the weights, in units of `scale`.
    pub total_weight: f64,
    /// Distinct doses, dose zero included (distinct pairs with the second variable where there is one).
    pub distinct: usize,
    /// Lower ends of the box, in the model's order, ln doses centred.
    pub lower: Vec<f64>,
    /// Upper ends of the box.
    pub upper: Vec<f64>,
    /// Lowest and highest natural-log dose above zero, centred.
    pub ln_range: (f64, f64),
    /// The same of the second variable, where it is a natural-log dose.
    pub second_range: (f64, f64),
}

/// Lowest and highest; zeros where there is none.
fn range(all: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = all.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
    if low <= high { (low, high) } else { (0.0, 0.0) }
}

impl Layout {
    /// Checks points and makes them ready, or says why no curve with them can be fitted.
    pub fn new(points: Points<'_>, model: &CurveModel, settings: &FitSettings) -> Result<Self, Status> {
        let Points { dose, ln_dose, x2, weight } = points;
        let usable = |v: &f64| v.is_finite() && v.abs() < super::LARGEST;
        let dose_ok = |d: &f64| usable(d) && (model.any_dose || *d >= 0.0);
        if !dose.iter().all(dose_ok) || !x2.iter().all(usable) || !weight.iter().all(|w| usable(w) && *w > 0.0) {
            return Err(Status::BadValue);
        }
        let takes_part = |k: &usize| model.any_dose || model.levels_off || dose[*k] > 0.0;
        let kept: Vec<usize> = (0..dose.len()).filter(takes_part).collect();
        let at = |k: usize| (dose[k], x2.get(k).copied().unwrap_or(0.0));
        let mut distinct: Vec<(f64, f64)> = kept.iter().map(|&k| at(k)).collect();
        distinct.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        distinct.dedup();
        if !model.any_dose && kept.iter().all(|&k| dose[k] <= 0.0) {
            return Err(Status::TooFewDoses);
        }
        if distinct.len() == 1 && kept.len() > 1 && model.parameters.len() > 1 {
            return Err(Status::OneDose);
        }
        let unit = libm::log(model.dose_unit);
        let (low, high) = range(kept.iter().filter(|&&k| dose[k] > 0.0).map(|&k| ln_dose[k] - unit));
        let centre = if model.location.is_some() { 0.5 * (low + high) } else { 0.0 };
        let ln_range = (low - centre, high - centre);
        let second_range = range(kept.iter().filter_map(|&k| x2.get(k).copied()).filter(|x| *x > LN_DOSE_ZERO));
        let mut lower = Vec::with_capacity(model.parameters.len());
        let mut upper = Vec::with_capacity(model.parameters.len());
        for (i, parameter) in model.parameters.iter().enumerate() {
            let bound = settings.bounds.get(i).copied().unwrap_or(parameter.bound);
            let (from, to) = match parameter.axis {
                Axis::Plain => (bound.lower, bound.upper),
                Axis::LnDose | Axis::Dose => (ln_range.0 + bound.lower, ln_range.1 + bound.upper),
                Axis::LnSecond => (second_range.0 + bound.lower, second_range.1 + bound.upper),
            };
            lower.push(from);
            upper.push(to);
        }
        let first_weight = kept.first().map_or(1.0, |&k| weight[k]);
        let is_uniform = kept.iter().all(|&k| weight[k].to_bits() == first_weight.to_bits());
        let scale = if is_uniform { first_weight } else { 1.0 };
        let root_weight: Vec<f64> = kept.iter().map(|&k| if is_uniform { 1.0 } else { weight[k].sqrt() }).collect();
        let (plain, weighted) = (&model.kernel, &model.weighted_kernel);
        let mut columns = vec![0.0; plain.point_columns() * kept.len()];
        let mut weighted_columns = vec![0.0; if is_uniform { 0 } else { weighted.point_columns() * kept.len() }];
        for (at, &k) in kept.iter().enumerate() {
            let point: [f64; POINT_INPUTS + 1] = [
                if dose[k] > 0.0 { ln_dose[k] - unit - centre } else { LN_DOSE_ZERO },
                dose[k] / model.dose_unit,
                x2.get(k).copied().unwrap_or(0.0),
                root_weight[at],
            ];
            for (column, value) in plain.hoist(&point[..POINT_INPUTS]).into_iter().enumerate() {
                columns[column * kept.len() + at] = value;
            }
            if !is_uniform {
                for (column, value) in weighted.hoist(&point).into_iter().enumerate() {
                    weighted_columns[column * kept.len() + at] = value;
                }
            }
        }
        Ok(Self {
            dose: dose.to_vec(),
            x2: x2.to_vec(),
            weight: weight.to_vec(),
            centre,
            columns,
            weighted_columns,
            root_weight,
            scale,
            total_weight: kept.iter().map(|&k| weight[k] / scale).sum(),
            distinct: distinct.len(),
            lower,
            upper,
            ln_range,
            second_range,
            kept,
        })
    }

    /// Whether a curve has these very points.
    pub fn is(&self, points: Points<'_>) -> bool {
        let same =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        same(&self.dose, points.dose) && same(&self.weight, points.weight) && same(&self.x2, points.x2)
    }

    /// Whether another layout has the same points.
    pub fn is_same(&self, other: &Self) -> bool {
        self.is(Points { dose: &other.dose, ln_dose: &[], x2: &other.x2, weight: &other.weight })
    }

    /// A parameter as the descent moves it: logarithms of doses, centred.
    pub fn inner(&self, model: &CurveModel, parameter: usize, value: f64) -> f64 {
        match model.parameters[parameter].axis {
            Axis::Plain | Axis::LnSecond => value,
            Axis::LnDose => value - self.centre,
            Axis::Dose => libm::log(value.max(f64::MIN_POSITIVE)),
        }
    }

    /// A parameter as the model has it, from [`Layout::inner`].
    pub fn outer(&self, model: &CurveModel, parameter: usize, inner: f64) -> f64 {
        match model.parameters[parameter].axis {
            Axis::Plain | Axis::LnSecond => inner,
            Axis::LnDose => inner + self.centre,
            Axis::Dose => libm::exp(inner),
        }
    }

    /// Point `k` of those given, as the model's programs are told of it.
    pub fn point(&self, model: &CurveModel, k: usize) -> [f64; POINT_INPUTS] {
        model.point(self.dose[k], self.x2.get(k).copied().unwrap_or(0.0))
    }

    /// Whether the weights differ.
    pub fn is_weighted(&self) -> bool {
        !self.weighted_columns.is_empty()
    }

    /// Number of points that take part.
    pub fn points(&self) -> usize {
        self.kept.len()
    }

    /// Starting values of the nonlinear parameters, every combination, one after the other; and how many values each
    /// parameter takes, the last one changing fastest.
    pub fn starts(&self, model: &CurveModel) -> (Vec<f64>, Vec<usize>) {
        let mut values: Vec<Vec<f64>> = Vec::with_capacity(model.nonlinear.len());
        for &i in &model.nonlinear {
            let parameter = &model.parameters[i];
            let list: Vec<f64> = match parameter.starts {
                Starts::Values(values) if model.polished => {
                    let mut around: Vec<f64> = values.iter().flat_map(|v| AROUND.map(|factor| factor * v)).collect();
                    around.sort_by(f64::total_cmp);
                    around.dedup();
                    around
                }
                Starts::Values(values) => values.to_vec(),
                Starts::Positions(density) => {
                    let count = (POSITIONS_A_DOSE * self.distinct as f64).clamp(POSITIONS.0, POSITIONS.1);
                    let count = (count * density).max(2.0) as usize;
                    let (from, to) = (self.ln_range.0 - BEYOND, self.ln_range.1 + BEYOND);
                    let position = |n: usize| from + (to - from) * n as f64 / (count - 1) as f64;
                    (0..count).map(position).collect()
                }
                Starts::Places(places) => {
                    let (from, to) = if parameter.axis == Axis::LnSecond { self.second_range } else { self.ln_range };
                    places.iter().map(|place| from + place * (to - from)).collect()
                }
            };
            values.push(list.into_iter().map(|v| v.clamp(self.lower[i], self.upper[i])).collect());
        }
        // Too many combinations: every other value of the longest list goes.
        while values.iter().map(Vec::len).product::<usize>() > MOST_STARTS {
            let Some(longest) = values.iter_mut().max_by_key(|v| v.len()) else { break };
            let mut n = 0;
            longest.retain(|_| {
                n += 1;
                n % 2 == 1
            });
        }
        let counts: Vec<usize> = values.iter().map(Vec::len).collect();
        let total = counts.iter().product();
        let mut all = Vec::with_capacity(total * counts.len());
        for mut n in 0..total {
            let from = all.len();
            all.resize(from + counts.len(), 0.0);
            for i in (0..counts.len()).rev() {
                all[from + i] = values[i][n % counts[i]];
                n /= counts[i];
            }
        }
        (all, counts)
    }
}
