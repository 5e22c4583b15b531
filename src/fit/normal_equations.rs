//! The arithmetic of one Levenberg–Marquardt iteration, written once over [`Scalar`]: eight lanes run it on the CPU,
//! and the same functions are recorded as WGSL for the GPU. Only the loops around them are written twice.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use crate::math::{Dual, Scalar, array};
use crate::model::{CurveSummary, Model};

/// Damping at the start of a fit.
pub const FIRST_DAMPING: f64 = 1e-2;
/// Damping after an accepted and after a rejected step is multiplied by these.
pub const DAMPING_ACCEPTED: f64 = 0.2;
/// See [`DAMPING_ACCEPTED`].
pub const DAMPING_REJECTED: f64 = 5.0;
/// Damping beyond which no step can help any more.
pub const LAST_DAMPING: f64 = 1e10;
/// Damping below which a short step means that the minimum is near, not that the steps are held back.
pub const FREE_DAMPING: f64 = 1.0;
/// The share of its undamped diagonal that a pivot keeps at least, so that a flat valley has no division by zero.
const PIVOT: f64 = 1e-12;
/// Added to each diagonal: a parameter without any influence then stays where it is.
const TINY: f64 = 1e-30;

/// Weighted normal equations of one curve at one set of parameters.
#[derive(Debug, Clone, Copy)]
pub struct NormalEquations<S, const N: usize> {
    /// JᵀWJ; the lower triangle is used.
    pub curvature: [[S; N]; N],
    /// JᵀW(y - f): minus half the gradient of the weighted sum of squares.
    pub gradient: [S; N],
    /// Weighted sum of squared residuals.
    pub sse: S,
}

impl<S: Scalar, const N: usize> NormalEquations<S, N> {
    /// Of a curve without points.
    #[inline(always)]
    pub fn zero() -> Self {
        let zero = S::lit(0.0);
        Self { curvature: [[zero; N]; N], gradient: [zero; N], sse: zero }
    }

    #[inline(always)]
    fn add(mut self, model: Dual<S, N>, response: S, weight: S) -> Self {
        let residual = response - model.value;
        let weighted: [S; N] = array(|i| weight * model.gradient[i]);
        for i in 0..N {
            for j in 0..=i {
                self.curvature[i][j] = self.curvature[i][j] + weighted[i] * model.gradient[j];
            }
            self.gradient[i] = self.gradient[i] + weighted[i] * residual;
        }
        self.sse = self.sse + weight * residual * residual;
        self
    }

    /// With one more point at a dose above zero.
    #[inline(always)]
    pub fn add_treated<M: Model<N>>(self, ln_dose: S, response: S, weight: S, parameters: [S; N]) -> Self {
        let model = M::response(Dual::constant(ln_dose), array(|i| Dual::<S, N>::parameter(parameters[i], i)));
        self.add(model, response, weight)
    }

    /// With the untreated point (dose zero).
    #[inline(always)]
    pub fn add_untreated<M: Model<N>>(self, response: S, weight: S, parameters: [S; N]) -> Self {
        let model = M::untreated(array(|i| Dual::<S, N>::parameter(parameters[i], i)));
        self.add(model, response, weight)
    }
}

/// Where a step would go, and by how much it would lower the sum of squares if the model were linear.
#[derive(Debug, Clone, Copy)]
pub struct Step<S, const N: usize> {
    /// The new parameters, inside the box.
    pub parameters: [S; N],
    /// Predicted decrease of the weighted sum of squares.
    pub predicted: S,
    /// The decrease that the step would promise were there no box beyond the parameters held: zero at a minimum,
    /// never negative. What convergence is judged by.
    pub offset: S,
}

/// One damped step inside a box, `(JᵀWJ + damping diag) d = JᵀWr` by Cholesky (Marquardt 1963, doi 10.1137/0111030).
///
/// A parameter at its bound whose gradient points outward is held there (an active set), and so are those that are
/// not `allowed`. The step is cut to the box, and the prediction is that of the cut step.
#[inline(always)]
pub fn step<S: Scalar, const N: usize>(
    normal: &NormalEquations<S, N>,
    parameters: [S; N],
    lower: [S; N],
    upper: [S; N],
    damping: S,
    allowed: [bool; N],
) -> Step<S, N> {
    let (zero, one) = (S::lit(0.0), S::lit(1.0));
    let free: [S; N] = array(|i| {
        if !allowed[i] {
            return zero;
        }
        let inward_low = zero.select_less(normal.gradient[i], one, zero);
        let inward_high = normal.gradient[i].select_less(zero, one, zero);
        let off_lower = lower[i].select_less(parameters[i], one, inward_low);
        let off_upper = parameters[i].select_less(upper[i], one, inward_high);
        off_lower * off_upper
    });
    let gradient: [S; N] = array(|i| free[i] * normal.gradient[i]);
    let stretch = one + damping;
    let mut factor = [[zero; N]; N];
    let mut inverse_pivot = [zero; N];
    for i in 0..N {
        for j in 0..i {
            let mut sum = free[i] * free[j] * normal.curvature[i][j];
            for k in 0..j {
                sum = sum - factor[i][k] * factor[j][k];
            }
            factor[i][j] = sum * inverse_pivot[j];
        }
        // A held parameter gets a unit row: its step is zero because its gradient is.
        let diagonal = free[i] * normal.curvature[i][i] * stretch + (one - free[i]) + S::lit(TINY);
        let mut sum = diagonal;
        for k in 0..i {
            sum = sum - factor[i][k] * factor[i][k];
        }
        inverse_pivot[i] = one / sum.max(diagonal * S::lit(PIVOT)).sqrt();
    }
    let mut shift = gradient;
    for i in 0..N {
        for k in 0..i {
            shift[i] = shift[i] - factor[i][k] * shift[k];
        }
        shift[i] = shift[i] * inverse_pivot[i];
    }
    for i in (0..N).rev() {
        for k in i + 1..N {
            shift[i] = shift[i] - factor[k][i] * shift[k];
        }
        shift[i] = shift[i] * inverse_pivot[i];
    }
    let target: [S; N] = array(|i| Scalar::clamp(parameters[i] + shift[i], lower[i], upper[i]));
    let moved: [S; N] = array(|i| target[i] - parameters[i]);
    let (mut predicted, mut offset) = (zero, zero);
    for i in 0..N {
        offset = offset + gradient[i] * shift[i];
        let mut row = normal.curvature[i][i] * moved[i];
        for j in 0..i {
            row = row + S::lit(2.0) * normal.curvature[i][j] * moved[j];
        }
        predicted = predicted + moved[i] * (S::lit(2.0) * normal.gradient[i] - row);
    }
    Step { parameters: target, predicted, offset }
}

/// Start number `index`, its linear parameters not yet solved for, cut to the box.
#[inline(always)]
pub fn start<S: Scalar, M: Model<N>, const N: usize>(
    index: usize,
    curve: CurveSummary<S>,
    lower: [S; N],
    upper: [S; N],
) -> [S; N] {
    let start = M::start(index, curve);
    array(|i| Scalar::clamp(start[i], lower[i], upper[i]))
}

/// A start with its linear parameters solved for; `sse - predicted` is what the start is ranked by.
#[inline(always)]
pub fn solve_linear<S: Scalar, M: Model<N>, const N: usize>(
    normal: &NormalEquations<S, N>,
    parameters: [S; N],
    lower: [S; N],
    upper: [S; N],
) -> Step<S, N> {
    step(normal, parameters, lower, upper, S::lit(1e-6), M::LINEAR)
}
