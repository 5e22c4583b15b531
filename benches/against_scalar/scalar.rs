//! The scalar loop: one curve after the other through the `levenberg-marquardt` crate in f64, as a competent user of
//! it would write it: sizes known at compile time, the analytic Jacobian, the logistic evaluated once for both,
//! a start read off the data.

use levenberg_marquardt::{LeastSquaresProblem, LevenbergMarquardt};
use nalgebra::allocator::{Allocator, Reallocator};
use nalgebra::storage::Owned;
use nalgebra::{DefaultAllocator, DimMax, DimMaximum, DimMin, DimName, OMatrix, OVector, U4, Vector4};

/// `ftol`, `xtol` and `gtol`.
pub const TOLERANCE: f64 = 1e-8;

/// Where a fit ended.
#[derive(Debug, Clone, Copy)]
pub struct ScalarFit {
    /// Top, bottom, ln EC50, hill; unbounded.
    pub parameters: [f64; 4],
    /// Sum of squares of the residuals that were fitted.
    pub sse: f64,
    /// Whether the crate calls it a success.
    pub successful: bool,
}

/// `bottom + (top - bottom) / (1 + (dose / EC50)^hill)` through `M` points.
struct FourParameters<'a, M: DimName>
where
    DefaultAllocator: Allocator<M>,
{
    ln_dose: &'a [f64],
    response: &'a [f64],
    root_weight: f64,
    parameters: Vector4<f64>,
    /// The logistic at every dose, of the parameters above.
    fraction: OVector<f64, M>,
}

impl<M: DimName> LeastSquaresProblem<f64, M, U4> for FourParameters<'_, M>
where
    DefaultAllocator: Allocator<M> + Allocator<M, U4> + Allocator<U4>,
{
    type ParameterStorage = Owned<f64, U4>;
    type ResidualStorage = Owned<f64, M>;
    type JacobianStorage = Owned<f64, M, U4>;

    fn set_params(&mut self, x: &Vector4<f64>) {
        self.parameters.copy_from(x);
        let (ln_ec50, hill) = (x[2], x[3]);
        for (fraction, ln_dose) in self.fraction.iter_mut().zip(self.ln_dose) {
            *fraction = 1.0 / (1.0 + (hill * (ln_dose - ln_ec50)).exp());
        }
    }

    fn params(&self) -> Vector4<f64> {
        self.parameters
    }

    fn residuals(&self) -> Option<OVector<f64, M>> {
        let (top, bottom) = (self.parameters[0], self.parameters[1]);
        let mut residuals = OVector::<f64, M>::zeros();
        for ((residual, fraction), response) in residuals.iter_mut().zip(self.fraction.iter()).zip(self.response) {
            *residual = self.root_weight * (bottom + (top - bottom) * fraction - response);
        }
        Some(residuals)
    }

    fn jacobian(&self) -> Option<OMatrix<f64, M, U4>> {
        let [top, bottom, ln_ec50, hill] = self.parameters.into();
        let mut jacobian = OMatrix::<f64, M, U4>::zeros();
        for (k, (fraction, ln_dose)) in self.fraction.iter().zip(self.ln_dose).enumerate() {
            let slope = self.root_weight * (top - bottom) * fraction * (1.0 - fraction);
            jacobian[(k, 0)] = self.root_weight * fraction;
            jacobian[(k, 1)] = self.root_weight * (1.0 - fraction);
            jacobian[(k, 2)] = slope * hill;
            jacobian[(k, 3)] = slope * (ln_ec50 - ln_dose);
        }
        Some(jacobian)
    }
}

/// Fits one curve of `M` points in order of dose, `replicates` of them side by side at each; every point stands for
/// `weight` wells.
pub fn fit<M>(ln_dose: &[f64], response: &[f64], replicates: usize, weight: f64) -> ScalarFit
where
    M: DimName + DimMin<U4> + DimMax<U4>,
    DefaultAllocator: Allocator<M> + Allocator<M, U4> + Allocator<U4> + Reallocator<f64, M, U4, DimMaximum<M, U4>, U4>,
{
    let mut problem = FourParameters::<M> {
        ln_dose,
        response,
        root_weight: weight.sqrt(),
        parameters: Vector4::zeros(),
        fraction: OVector::<f64, M>::zeros(),
    };
    problem.set_params(&start(ln_dose, response, replicates));
    let tolerances = LevenbergMarquardt::new().with_ftol(TOLERANCE).with_xtol(TOLERANCE).with_gtol(TOLERANCE);
    let (problem, report) = tolerances.minimize(problem);
    let sse = 2.0 * report.objective_function;
    let finite = sse.is_finite() && problem.parameters.iter().all(|p| p.is_finite());
    ScalarFit {
        parameters: problem.parameters.into(),
        sse: if finite { sse } else { f64::INFINITY },
        successful: finite && report.termination.was_successful(),
    }
}

/// Plateaus from the means at the outermost doses, the midpoint where the means cross half way, slope 1.
fn start(ln_dose: &[f64], response: &[f64], replicates: usize) -> Vector4<f64> {
    let mean = |wells: &[f64]| wells.iter().sum::<f64>() / wells.len() as f64;
    let doses = response.len() / replicates;
    let at = |k: usize| mean(&response[k * replicates..(k + 1) * replicates]);
    let (top, bottom) = (at(0), at(doses - 1));
    let half = 0.5 * (top + bottom);
    let mut ln_ec50 = 0.5 * (ln_dose[0] + ln_dose[ln_dose.len() - 1]);
    let mut before = top;
    for k in 1..doses {
        let here = at(k);
        if (before - half) * (here - half) <= 0.0 && before != here {
            let (x0, x1) = (ln_dose[(k - 1) * replicates], ln_dose[k * replicates]);
            ln_ec50 = x0 + (x1 - x0) * (before - half) / (before - here);
            break;
        }
        before = here;
    }
    Vector4::new(top, bottom, ln_ec50, 1.0)
}
