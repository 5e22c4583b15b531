//! Residuals so small beside the responses that f64 has few of their digits, or none: of a difference of 1e-13 between
//! numbers near 1, three. They are computed with twice the digits ([`DoubleDouble`]), of the decimal numbers that people
//! wrote: f64's rounding of the data themselves is as large as that of the model. Parameters are numbers of f64, and what
//! their rounding adds to a sum of squares is second order; a formula's constants are those that f64 has.

use crate::math::{DoubleDouble, Scalar};
use crate::model::CurveModel;
use crate::model::curve_model::POINT_INPUTS;

/// Root mean square residuals below this share of the responses' have fewer than six digits in f64.
const SMALL: f64 = 1e-10;

/// Whether a sum of squares, of f64's residuals, wants more digits: beside the sum of the squared responses.
pub fn are_small(sum_of_squares: f64, squared_responses: f64) -> bool {
    sum_of_squares <= SMALL * SMALL * squared_responses
}

/// The points of a curve, with the digits that people wrote.
#[derive(Debug)]
pub struct SmallResiduals<'a> {
    model: &'a CurveModel,
    points: Vec<[DoubleDouble; POINT_INPUTS]>,
    response: Vec<DoubleDouble>,
    root_weight: Vec<f64>,
}

impl<'a> SmallResiduals<'a> {
    /// From points as [`CurveModel::point`] makes them, responses and square roots of weights.
    pub fn new(model: &'a CurveModel, points: impl IntoIterator<Item = ([f64; POINT_INPUTS], f64, f64)>) -> Self {
        let mut all = Self { model, points: Vec::new(), response: Vec::new(), root_weight: Vec::new() };
        for ([ln_dose, dose, x2], response, root_weight) in points {
            let has_logarithm = dose > 0.0;
            let dose = DoubleDouble::from_decimal(dose);
            let ln_dose = if has_logarithm { dose.ln() } else { DoubleDouble::lit(ln_dose) };
            all.points.push([ln_dose, dose, DoubleDouble::from_decimal(x2)]);
            all.response.push(DoubleDouble::from_decimal(response));
            all.root_weight.push(root_weight);
        }
        all
    }

    /// Responses minus fitted ones, times the square roots of the weights; `parameters` in the model's order and units.
    pub fn at(&self, parameters: &[f64]) -> Vec<f64> {
        let program = &self.model.value;
        let mut inputs = vec![DoubleDouble::ZERO; POINT_INPUTS];
        inputs.extend(parameters.iter().take(self.model.parameters.len()).map(|p| DoubleDouble::lit(*p)));
        let mut values = Vec::with_capacity(program.operations.len());
        let mut residuals = Vec::with_capacity(self.points.len());
        for ((point, response), root_weight) in self.points.iter().zip(&self.response).zip(&self.root_weight) {
            inputs[..POINT_INPUTS].copy_from_slice(point);
            program.evaluate_into(&inputs, &mut values);
            residuals.push((*response - program.output(0, &values)).high * root_weight);
        }
        residuals
    }

    /// The sum of their squares.
    pub fn sum_of_squares(&self, parameters: &[f64]) -> f64 {
        self.at(parameters).iter().map(|r| r * r).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::formula::FormulaFile;
    use std::path::Path;

    #[test]
    fn the_sum_of_squares_is_that_of_the_decimals() {
        let text = "name = 'line'\ndose_unit = 'none'\nformula = 'a + b*x*x2 + c*ln_dose'\n[parameters.a]\n[parameters.b]\n[parameters.c]\n";
        let Ok(file) = FormulaFile::parse(text, Path::new("line.toml")) else { panic!("the formula is sound") };
        let model = file.into_model().curve_model();
        // 1/2 + 1/4 · x · x2, and what is off, in units of 1e-15; the third has twice the weight.
        let data =
            [(0.1, 1.0, 0.525_000_000_000_003), (0.7, 3.0, 1.024_999_999_999_998), (1.3, 0.2, 0.565_000_000_000_001)];
        let root_weight = [1.0, 1.0, 2.0f64.sqrt()];
        let points = || data.iter().zip(root_weight).map(|((x, x2, y), w)| (model.point(*x, *x2), *y, w));
        let truth = 9e-30 + 4e-30 + 2e-30;
        let parameters = [0.5, 0.25, 0.0];
        let sum = SmallResiduals::new(model, points()).sum_of_squares(&parameters);
        assert!((sum / truth - 1.0).abs() < 1e-12, "{sum:e}");
        // f64 has hardly a digit of it.
        let in_f64 = points().map(|(point, y, w)| w * (y - model.response_at(point, &parameters))).map(|r| r * r);
        let in_f64: f64 = in_f64.sum();
        assert!((in_f64 / truth - 1.0).abs() > 1e-3, "{in_f64:e}");
        assert!(are_small(in_f64, 3.0) && !are_small(1e-18, 3.0) && !are_small(f64::NAN, 3.0));
    }
}
