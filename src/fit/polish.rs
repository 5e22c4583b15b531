//! The last digits: Gauss–Newton steps of all parameters at once by Householder's QR of the Jacobian itself, whose
//! condition number the normal equations of the descent square (Golub & Van Loan, Matrix Computations, 5.3). One
//! curve at a time in f64: for models of which there are few curves ([`CurveModel::polished`]). Residuals of which f64
//! has no digits are taken with more of them ([`SmallResiduals`]).

use super::MAX_PARAMETERS;
use super::block::Block;
use super::small_residuals::{SmallResiduals, are_small};
use crate::model::CurveModel;

/// Steps, at most.
const STEPS: usize = 100;
/// Halvings of a step that leads uphill.
const HALVINGS: usize = 30;
/// Pivots below this share of their column mean that the data do not determine the step.
const DEPENDENT: f64 = 1e-14;
/// Steps that lower the sum of squares by less than this share cannot be judged by it: rounding is as large.
const BELOW_ROUNDING: f64 = 1e-9;

/// Below rounding, a step must promise less than this share of what the one before it did.
const SHORTER: f64 = 0.9;

/// A curve and what is known of its parameters.
struct Curve<'a> {
    model: &'a CurveModel,
    points: Vec<[f64; crate::model::curve_model::POINT_INPUTS]>,
    response: &'a [f64],
    root_weight: &'a [f64],
    lower: Vec<f64>,
    upper: Vec<f64>,
    /// Where f64 has too few digits of the residuals.
    small: Option<SmallResiduals<'a>>,
}

impl<'a> Curve<'a> {
    fn new(block: &'a Block, index: usize, model: &'a CurveModel) -> Self {
        let task = block.task(index, &[]);
        let bounds = (0..model.parameters.len()).map(|i| {
            let (lower, upper) = task.bounds(i);
            (task.layout.outer(model, i, lower), task.layout.outer(model, i, upper))
        });
        let (lower, upper) = bounds.unzip();
        Self {
            model,
            points: task.layout.kept.iter().map(|&k| task.layout.point(model, k)).collect(),
            response: task.response,
            root_weight: &task.layout.root_weight,
            lower,
            upper,
            small: None,
        }
    }

    fn sum_of_squares(&self, parameters: &[f64]) -> f64 {
        if let Some(small) = &self.small {
            return small.sum_of_squares(parameters);
        }
        let points = self.points.iter().zip(self.response).zip(self.root_weight);
        points.map(|((point, y), w)| y - w * self.model.response_at(*point, parameters)).map(|r| r * r).sum()
    }

    /// The Gauss–Newton step of the parameters that `free` names, and how much of the residuals it takes away, as a
    /// sum of squares. `None` where the data do not determine it.
    fn step(&self, parameters: &[f64], free: &[usize]) -> Option<(Vec<f64>, f64)> {
        let (n, m) = (self.points.len(), free.len());
        let mut columns = vec![vec![0.0; n]; m];
        let mut residual = self.small.as_ref().map_or_else(|| vec![0.0; n], |small| small.at(parameters));
        for (k, point) in self.points.iter().enumerate() {
            let (fitted, gradient) = self.model.response_and_gradient(*point, parameters);
            if self.small.is_none() {
                residual[k] = self.response[k] - self.root_weight[k] * fitted;
            }
            for (column, i) in columns.iter_mut().zip(free) {
                column[k] = self.root_weight[k] * gradient[*i];
            }
        }
        let scale: Vec<f64> = columns.iter().map(|c| c.iter().map(|v| v * v).sum::<f64>().sqrt()).collect();
        if !scale.iter().all(|s| *s > 0.0 && s.is_finite()) {
            return None;
        }
        for (column, scale) in columns.iter_mut().zip(&scale) {
            column.iter_mut().for_each(|v| *v /= scale);
        }
        let mut diagonal = vec![0.0; m];
        for j in 0..m {
            let (done, rest) = columns.split_at_mut(j + 1);
            let reflector = &mut done[j][j..];
            let length = reflector.iter().map(|v| v * v).sum::<f64>().sqrt();
            if length <= DEPENDENT {
                return None;
            }
            diagonal[j] = if reflector[0] > 0.0 { -length } else { length };
            reflector[0] -= diagonal[j];
            let square: f64 = reflector.iter().map(|v| v * v).sum();
            let reflect = |v: &mut [f64]| {
                let along = 2.0 * reflector.iter().zip(v.iter()).map(|(a, b)| a * b).sum::<f64>() / square;
                v.iter_mut().zip(reflector.iter()).for_each(|(v, u)| *v -= along * u);
            };
            rest.iter_mut().for_each(|column| reflect(&mut column[j..]));
            reflect(&mut residual[j..]);
        }
        let gain = residual[..m].iter().map(|v| v * v).sum();
        let mut step = vec![0.0; m];
        for j in (0..m).rev() {
            let known: f64 = (j + 1..m).map(|l| columns[l][j] * step[l]).sum();
            step[j] = (residual[j] - known) / diagonal[j];
        }
        step.iter_mut().zip(&scale).for_each(|(s, scale)| *s /= scale);
        step.iter().all(|s| s.is_finite()).then_some((step, gain))
    }

    /// Takes the parameters to the minimum as far as the residuals' digits go; gives their sum of squares.
    fn converge(&self, parameters: &mut [f64; MAX_PARAMETERS]) -> f64 {
        let mut best = self.sum_of_squares(parameters);
        let mut last_gain = f64::INFINITY;
        for _ in 0..STEPS {
            let inside = |i: &usize| self.lower[*i] < parameters[*i] && parameters[*i] < self.upper[*i];
            let free: Vec<usize> = (0..self.lower.len()).filter(inside).collect();
            if free.is_empty() || self.points.len() < free.len() {
                break;
            }
            let Some((step, gain)) = self.step(parameters, &free) else { break };
            let is_below_rounding = gain <= BELOW_ROUNDING * best;
            // There, steps are taken for as long as they become shorter.
            if is_below_rounding && gain > SHORTER * last_gain {
                break;
            }
            last_gain = if is_below_rounding { gain } else { f64::INFINITY };
            let mut length = 1.0;
            let mut moved = false;
            for _ in 0..HALVINGS {
                let mut trial = *parameters;
                for (i, step) in free.iter().zip(&step) {
                    trial[*i] = (parameters[*i] + length * step).clamp(self.lower[*i], self.upper[*i]);
                }
                let sum = self.sum_of_squares(&trial);
                if sum < best || (is_below_rounding && sum <= best * (1.0 + BELOW_ROUNDING)) {
                    moved = trial != *parameters;
                    (best, *parameters) = (sum, trial);
                    break;
                }
                length *= 0.5;
            }
            if !moved {
                break;
            }
        }
        best
    }
}

/// Takes the parameters of ready curve `index` (in the model's units) to the minimum as far as f64 goes; gives their
/// sum of squares. Parameters on their bounds stay there.
pub fn polish(block: &Block, index: usize, model: &CurveModel, parameters: &mut [f64; MAX_PARAMETERS]) -> f64 {
    let mut curve = Curve::new(block, index, model);
    let sum = curve.converge(parameters);
    if !are_small(sum, curve.response.iter().map(|y| y * y).sum()) {
        return sum;
    }
    // A weight that is no square costs a response its last digit. That moves parameters by as little as it is, and the
    // sum of squares of inference is taken at the responses themselves.
    let points = curve.points.iter().zip(curve.response).zip(curve.root_weight);
    curve.small = Some(SmallResiduals::new(model, points.map(|((point, y), w)| (*point, y / w, *w))));
    curve.converge(parameters)
}

/// The sum of squares of ready curve `index` at parameters in the model's units.
pub fn sum_of_squares(block: &Block, index: usize, model: &CurveModel, parameters: &[f64]) -> f64 {
    Curve::new(block, index, model).sum_of_squares(parameters)
}
