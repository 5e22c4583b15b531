//! From a model file to a model that the fitter takes.

use super::{FormulaFile, FormulaParameter, PointVariables};
use crate::fit::{Bound, MAX_PARAMETERS};
use crate::math::{Program, Recorded, Scalar};
use crate::model::curve_model::{Axis, CurveModel, Description, POINT_INPUTS, Parameter, Starts, given};
use crate::model::{LN_DOSE_ZERO, ModelId};
use std::collections::BTreeMap;
use std::f64::consts::LN_10;
use std::sync::{Mutex, PoisonError};

/// Shares of a box at which the search for a parameter begins that the file gives no start for.
const PLACES: [f64; 9] = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9];
/// A positive box whose ends are this many times apart is divided by decades.
const FAR_APART: f64 = 100.0;
/// Responses this near to each other, relative to their size, are one.
const SAME: f64 = 1e-9;
/// A dose, in the formula's unit, below any that was ever tested.
const HARDLY_ANY_DOSE: f64 = 1e-200;

impl FormulaFile {
    /// The model, for as long as the program runs: a process reads few files, and fits refer to their model from
    /// everywhere. The same text is the same model, whether it comes from a file or from an archive.
    pub fn into_model(self) -> ModelId {
        static READ: Mutex<BTreeMap<String, &'static CurveModel>> = Mutex::new(BTreeMap::new());
        let mut read = READ.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(model) = read.get(&self.file_text) {
            return ModelId::Formula(model);
        }
        let text = self.file_text.clone();
        let model: &'static CurveModel = Box::leak(Box::new(self.curve_model()));
        read.insert(text, model);
        ModelId::Formula(model)
    }

    fn curve_model(self) -> CurveModel {
        let any_dose = self.dose_unit == "none";
        let parameters: Vec<Parameter> = self.parameters.iter().map(FormulaParameter::leaked).collect();
        let ln_unit = libm::log(self.dose_per_molar);
        let value = Program::record_given(&given(&parameters, any_dose, false), |inputs| {
            // Of a surface, the second variable is the natural log of the second drug's molar dose.
            let ln_dose_b = inputs[2] + Recorded::Literal(ln_unit);
            let point = PointVariables {
                dose_b: ln_dose_b.exp(),
                ln_dose_b,
                log10_dose_b: ln_dose_b * Recorded::Literal(1.0 / LN_10),
                ln_dose: inputs[0],
                log10_dose: inputs[0] * Recorded::Literal(1.0 / LN_10),
                dose: inputs[1],
                x2: inputs[2],
            };
            let own = inputs[POINT_INPUTS..].iter().zip(&self.parameters);
            let own: Vec<Recorded> = own
                .map(|(value, p)| if p.per_dose_b { (*value + Recorded::Literal(ln_unit)).exp() } else { *value })
                .collect();
            vec![self.expression.evaluate(&point, &own)]
        });
        let (baseline, levels_off) = if any_dose || self.uses_x2 || self.is_surface {
            (None, true)
        } else {
            towards_dose_zero(&value, &parameters)
        };
        let formula = match &self.reference {
            Some(reference) => format!("{}   {reference}", self.formula_text),
            None => self.formula_text,
        };
        let description = Description {
            name: leak(self.name),
            formula: leak(formula),
            file_text: Some(leak(self.file_text)),
            parameters,
            baseline,
            levels_off,
            exchanges: &[],
            descents: 1,
            any_dose,
            dose_unit: 1.0 / self.dose_per_molar,
            uses_x2: self.uses_x2 || self.is_surface,
            interactions: self
                .parameters
                .iter()
                .enumerate()
                .filter_map(|(i, parameter)| Some((i, parameter.without_interaction?)))
                .collect(),
        };
        CurveModel::new(description, value)
    }
}

fn leak(text: String) -> &'static str {
    Box::leak(text.into_boxed_str())
}

impl FormulaParameter {
    fn leaked(&self) -> Parameter {
        let per_dose = self.per_dose || self.per_dose_b;
        let scale = if per_dose { LN_10 } else { 1.0 };
        let starts = match (self.has_starts, per_dose) {
            (false, true) if self.per_dose_b => Starts::Places(self.starts.clone().leak()),
            (true, true) => Starts::Places(self.starts.clone().leak()),
            (true, false) => Starts::Values(self.starts.clone().leak()),
            (false, true) => Starts::Positions(1.0),
            (false, false) => Starts::Values(spread(self).leak()),
        };
        Parameter {
            name: leak(if self.per_dose_b { format!("ln_{}", self.name) } else { self.name.clone() }),
            unit: leak(self.unit.clone().unwrap_or_default()),
            bound: Bound { lower: self.lower * scale, upper: self.upper * scale },
            axis: match (self.per_dose, self.per_dose_b) {
                (true, _) => Axis::Dose,
                (_, true) => Axis::LnSecond,
                _ => Axis::Plain,
            },
            starts,
        }
    }
}

/// Values across the box, where the file gives both ends of it; else the one start that it has.
fn spread(parameter: &FormulaParameter) -> Vec<f64> {
    let FormulaParameter { lower, upper, has_box, .. } = *parameter;
    if !has_box {
        return parameter.starts.clone();
    }
    let by_decades = lower > 0.0 && upper / lower > FAR_APART;
    let place = |share: &f64| match by_decades {
        true => libm::exp(libm::log(lower) + share * (libm::log(upper) - libm::log(lower))),
        false => lower + share * (upper - lower),
    };
    PLACES.iter().map(place).collect()
}

/// The parameter that is the response at dose zero, if one is, and whether the response levels off towards it. Found
/// by trying, at parameters of no special kind.
fn towards_dose_zero(value: &Program, parameters: &[Parameter]) -> (Option<usize>, bool) {
    let mut is_baseline = vec![true; parameters.len()];
    let mut levels_off = true;
    for share in [0.37, 0.53, 0.71] {
        let chosen: Vec<f64> = parameters
            .iter()
            .enumerate()
            .map(|(i, p)| {
                let share = (share + 0.067 * i as f64).fract().max(0.1);
                match p.axis {
                    Axis::Plain => {
                        let (low, high) =
                            (p.bound.lower.max(-3.0).min(p.bound.upper), p.bound.upper.min(3.0).max(p.bound.lower));
                        low + share * (high - low)
                    }
                    _ => 0.5 + share,
                }
            })
            .collect();
        let at = |dose: f64, ln_dose: f64| {
            let mut inputs = vec![ln_dose, dose, 0.0];
            inputs.extend(&chosen);
            value.evaluate(&inputs).first().copied().unwrap_or(f64::NAN)
        };
        let zero = at(0.0, LN_DOSE_ZERO);
        let same = |other: f64| (zero - other).abs() <= SAME * (1.0 + zero.abs());
        levels_off &= same(at(HARDLY_ANY_DOSE, libm::log(HARDLY_ANY_DOSE)));
        for (is, parameter) in is_baseline.iter_mut().zip(&chosen) {
            *is &= same(*parameter);
        }
    }
    (is_baseline.iter().position(|is| *is).filter(|_| levels_off), levels_off)
}

const _: () = assert!(super::MAX_PARAMETERS <= MAX_PARAMETERS);
