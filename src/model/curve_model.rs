//! A curve model at run time: what it is called, its parameters and boxes, and its arithmetic as recorded programs.
//! Built-in models and formulas from files are the same thing from here on.

use super::{LN_DOSE_ZERO, Model, SurfaceModel, exchange, formula};
use crate::fit::{Bound, MAX_PARAMETERS};
use crate::math::program::{Given, Program, Recorded};
use crate::math::{Dual, Interval, Scalar, Vectorised};

/// What a parameter's box is relative to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Axis {
    /// Nothing: the box is as it stands.
    Plain,
    /// A natural-log dose: the box reaches from `lower` beyond the lowest to `upper` beyond the highest dose tested,
    /// in natural-log units.
    LnDose,
    /// The same for the second variable, which is a natural-log dose itself.
    LnSecond,
    /// A dose: the same box, but the parameter is the dose itself, in the model's unit. The fitter moves its logarithm.
    Dose,
}

/// Where the search for a parameter begins. Parameters that the response is linear in need none.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Starts {
    /// Positions across the doses tested, this many times the usual density.
    Positions(f64),
    /// Places between the lowest dose tested (0) and the highest (1), by decades.
    Places(&'static [f64]),
    /// These values.
    Values(&'static [f64]),
}

/// A parameter of a curve model.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Parameter {
    /// Its name; `ln_…` is shown as `log10_…`.
    pub name: &'static str,
    /// Its unit, empty for a pure number.
    pub unit: &'static str,
    /// Its box.
    pub bound: Bound,
    /// What the box is relative to.
    pub axis: Axis,
    /// Where the search begins.
    pub starts: Starts,
}

/// What a program is told of a point: natural-log dose, dose, second variable.
pub const POINT_INPUTS: usize = 3;

/// Up to so many nonlinear parameters, steps are Newton's: those of Gauss–Newton crawl where noise dominates.
const NEWTON_PARAMETERS: usize = 4;

/// A curve model.
#[derive(Debug)]
pub struct CurveModel {
    /// The name used in flags and tables.
    pub name: &'static str,
    /// The formula as people write it, and its reference.
    pub formula: &'static str,
    /// Whether it is one of ours, not a formula from a file.
    pub is_built_in: bool,
    /// The text of the file that it was read from.
    pub file_text: Option<&'static str>,
    /// Parameters in order.
    pub parameters: Vec<Parameter>,
    /// Their names.
    pub names: Vec<&'static str>,
    /// Their boxes.
    pub bounds: Vec<Bound>,
    /// The parameter that is the response at dose zero.
    pub baseline: Option<usize>,
    /// The first parameter on the ln-dose axis.
    pub location: Option<usize>,
    /// Whether untreated wells can be part of the curve.
    pub levels_off: bool,
    /// Pairs of parameters that can change places together: see [`Model::EXCHANGES`].
    pub exchanges: &'static [(usize, usize)],
    /// Of polished models, all exchanges that leave the response as it is: see [`exchange::exchanges`].
    pub trades: Vec<Vec<(usize, usize)>>,
    /// Starts tried to the end, at least.
    pub descents: usize,
    /// Whether doses may be any number, not only zero and above.
    pub any_dose: bool,
    /// Molar dose of one unit of `dose`.
    pub dose_unit: f64,
    /// Whether the response depends on a second variable.
    pub uses_x2: bool,
    /// Parameters of interaction of a surface from a file.
    pub interactions: Vec<usize>,
    /// Their values without interaction.
    pub without_interaction: Vec<f64>,
    /// Whether fits are taken to the last digit: models of any number are no dose-response curves, of which there are
    /// millions, and long sums have no Newton steps that would bring the digits.
    pub polished: bool,
    /// Parameters that the response is linear in, together.
    pub linear: Vec<usize>,
    /// The others.
    pub nonlinear: Vec<usize>,
    /// The response: inputs are those of a point, then the parameters.
    pub value: Program,
    /// The response and its derivative by each parameter.
    pub gradient: Program,
    /// The response taken apart for the fitter.
    pub separated: Separated,
    /// The same, ready for lanes, with a factor of each derivative behind all others: [`Separated::factor`].
    pub kernel: Vectorised,
    /// The same, all outputs times the square root of the point's weight, which is an input behind those of a point.
    pub weighted_kernel: Vectorised,
    /// The response and its gradient, ready for lanes.
    pub gradient_kernel: Vectorised,
}

/// A response `f = constant + sum of c_j basis_j`, with `c` the linear parameters, and its derivatives by the
/// nonlinear parameters. Inputs of the program are those of a point, then the nonlinear parameters; of those that are
/// doses ([`Axis::Dose`]), the natural logarithms.
#[derive(Debug, Clone, PartialEq)]
pub struct Separated {
    /// All outputs, in the order of the fields below.
    pub program: Program,
    /// Linear parameters.
    pub linear: usize,
    /// Nonlinear parameters.
    pub nonlinear: usize,
    /// Whether the basis functions add up to 1. Then the last one is replaced by that sum: the functions recorded
    /// belong to `c_j - c_last`, and the last, 1, to `c_last`.
    pub shares: bool,
    /// Whether second derivatives are among the outputs.
    pub second_order: bool,
}

impl Separated {
    /// Output number of the part of the response that no linear parameter multiplies.
    pub const CONSTANT: usize = 0;

    /// Output number of basis function `j`.
    pub fn basis(&self, j: usize) -> usize {
        1 + j
    }

    /// Output number of the derivative by nonlinear parameter `i` of the constant part (`term` 0) or of basis
    /// function `term - 1`.
    pub fn slope(&self, i: usize, term: usize) -> usize {
        (1 + i) * (1 + self.linear) + term
    }

    /// Output number of the second derivative by nonlinear parameters `i` and `l <= i` of the same term.
    pub fn curvature(&self, i: usize, l: usize, term: usize) -> usize {
        (1 + self.nonlinear + i * (i + 1) / 2 + l) * (1 + self.linear) + term
    }

    /// Output number, in the kernels for lanes, of what the derivative with output number `output` is to be multiplied
    /// with.
    pub fn factor(&self, output: usize) -> usize {
        output + self.program.outputs.len() - (1 + self.linear)
    }
}

type Third = Dual<Dual<Dual<Recorded, 1>, 1>, 1>;

/// The value of a program with one output, or its derivative by the inputs named.
fn derivative(program: &Program, inputs: &[Recorded], by: [Option<usize>; 3]) -> Recorded {
    let zero = Recorded::lit(0.0);
    let seed = |level: usize, input: usize| Recorded::lit(if by[level] == Some(input) { 1.0 } else { 0.0 });
    let flat = |value| Dual { value, gradient: [zero] };
    let arguments: Vec<Third> = inputs
        .iter()
        .enumerate()
        .map(|(n, v)| {
            let inner = Dual { value: *v, gradient: [seed(2, n)] };
            let middle = Dual { value: inner, gradient: [flat(seed(1, n))] };
            Dual { value: middle, gradient: [Dual { value: flat(seed(0, n)), gradient: [flat(zero)] }] }
        })
        .collect();
    let Some(third) = program.evaluate(&arguments).into_iter().next() else {
        return zero;
    };
    let second = if by[0].is_some() { third.gradient[0] } else { third.value };
    let first = if by[1].is_some() { second.gradient[0] } else { second.value };
    if by[2].is_some() { first.gradient[0] } else { first.value }
}

/// What is known of the inputs of a model's programs: those of a point, then the parameters. Boxes of built-in models
/// are not relied upon, as people may widen them. `logarithmic`: of doses among the parameters, the logarithms.
pub(super) fn given(parameters: &[Parameter], any_dose: bool, logarithmic: bool) -> Vec<Given> {
    let mut all = vec![Given::NOTHING; POINT_INPUTS];
    if !any_dose {
        all[1] = Given { range: Interval::NOT_NEGATIVE, logarithm: Some(0) };
    }
    all.extend(parameters.iter().map(|p| match p.axis {
        Axis::Plain => Given { range: Interval::new(p.bound.lower, p.bound.upper), ..Given::NOTHING },
        Axis::Dose if !logarithmic => Given { range: Interval::POSITIVE, ..Given::NOTHING },
        Axis::Dose | Axis::LnDose | Axis::LnSecond => Given::NOTHING,
    }));
    all
}

/// Parameters that the response is linear in together, as many as a pass over `order` finds.
fn linear_parameters(value: &Program, given: &[Given], order: impl Iterator<Item = usize>) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    for candidate in order {
        let mixed = |other: usize| {
            let second = Program::record_given(given, |inputs| {
                let by = [Some(POINT_INPUTS + candidate), Some(POINT_INPUTS + other), None];
                vec![derivative(value, inputs, by)]
            });
            second.outputs[0] == Recorded::Literal(0.0)
        };
        if mixed(candidate) && found.iter().all(|other| mixed(*other)) {
            found.push(candidate);
        }
    }
    found.sort_unstable();
    found
}

fn separate(value: &Program, given: &[Given], linear: &[usize], nonlinear: &[usize]) -> Separated {
    let second_order = nonlinear.len() <= NEWTON_PARAMETERS;
    let mut shares = false;
    let mut known = given[..POINT_INPUTS].to_vec();
    known.extend(nonlinear.iter().map(|p| given[POINT_INPUTS + p]));
    let program = Program::record_given(&known, |inputs| {
        let mut all = vec![Recorded::lit(0.0); value.inputs];
        all[..POINT_INPUTS].copy_from_slice(&inputs[..POINT_INPUTS]);
        for (slot, input) in nonlinear.iter().zip(&inputs[POINT_INPUTS..]) {
            all[POINT_INPUTS + slot] = *input;
        }
        let at = |term: usize, first: Option<usize>, second: Option<usize>| {
            let parameter = |p: usize| POINT_INPUTS + p;
            let by_term = (term > 0).then(|| parameter(linear[term - 1]));
            derivative(
                value,
                &all,
                [by_term, first.map(|i| parameter(nonlinear[i])), second.map(|i| parameter(nonlinear[i]))],
            )
        };
        let mut outputs: Vec<Recorded> = (0..=linear.len()).map(|term| at(term, None, None)).collect();
        let sum = outputs[1..].iter().copied().reduce(|a, b| a + b);
        shares = linear.len() > 1 && sum == Some(Recorded::Literal(1.0));
        if shares {
            outputs[linear.len()] = Recorded::lit(1.0);
        }
        let derivatives = |first, second| -> Vec<Recorded> {
            let mut row: Vec<Recorded> = (0..=linear.len()).map(|term| at(term, first, second)).collect();
            if shares {
                row[linear.len()] = Recorded::lit(0.0);
            }
            row
        };
        for i in 0..nonlinear.len() {
            outputs.extend(derivatives(Some(i), None));
        }
        if second_order {
            for i in 0..nonlinear.len() {
                for l in 0..=i {
                    outputs.extend(derivatives(Some(i), Some(l)));
                }
            }
        }
        outputs
    });
    Separated { program, linear: linear.len(), nonlinear: nonlinear.len(), shares, second_order }
}

/// The program with the square root of a point's weight as a further input of the point, which multiplies all outputs.
fn weighted(program: &Program) -> Program {
    Program::record(program.inputs.max(POINT_INPUTS) + 1, |inputs| {
        let root_weight = inputs[POINT_INPUTS];
        let rest: Vec<Recorded> = inputs[..POINT_INPUTS].iter().chain(&inputs[POINT_INPUTS + 1..]).copied().collect();
        let zero = Recorded::Literal(0.0);
        let outputs = program.evaluate(&rest);
        outputs.into_iter().map(|value| if value == zero { zero } else { root_weight * value }).collect()
    })
}

fn kernel(separated: &Separated, program: &Program, point_inputs: usize) -> Vectorised {
    let factored = program.factored(1 + separated.linear, |input| input >= point_inputs);
    Vectorised::new(&factored, point_inputs).with_columns(program.outputs.len())
}

/// What a model is called and made of, before its arithmetic has been looked at.
pub struct Description {
    /// The name used in flags and tables.
    pub name: &'static str,
    /// The formula as people write it, and its reference.
    pub formula: &'static str,
    /// The text of the file that it was read from, if it is not one of ours.
    pub file_text: Option<&'static str>,
    /// Parameters in order; at most [`MAX_PARAMETERS`].
    pub parameters: Vec<Parameter>,
    /// The parameter that is the response at dose zero.
    pub baseline: Option<usize>,
    /// Whether untreated wells can be part of the curve.
    pub levels_off: bool,
    /// Pairs of parameters that can change places together: see [`Model::EXCHANGES`].
    pub exchanges: &'static [(usize, usize)],
    /// Starts tried to the end, at least.
    pub descents: usize,
    /// Whether doses may be any number, not only zero and above.
    pub any_dose: bool,
    /// Molar dose of one unit of `dose`.
    pub dose_unit: f64,
    /// Whether the response depends on a second variable.
    pub uses_x2: bool,
    /// Of a surface from a file: parameters of interaction, and their values without.
    pub interactions: Vec<(usize, f64)>,
}

impl CurveModel {
    /// A model from its description and its response, recorded with [`POINT_INPUTS`] inputs and then the parameters.
    pub fn new(description: Description, value: Program) -> Self {
        let Description {
            name,
            formula,
            file_text,
            parameters,
            baseline,
            levels_off,
            exchanges,
            descents,
            any_dose,
            dose_unit,
            uses_x2,
            interactions,
        } = description;
        let is_built_in = file_text.is_none();
        let n = parameters.len().min(MAX_PARAMETERS);
        let known = |logarithmic| match is_built_in {
            true => vec![Given::NOTHING; value.inputs],
            false => given(&parameters, any_dose, logarithmic),
        };
        let inner_known = known(true);
        let inner = Program::record_given(&inner_known, |inputs| {
            let mut outer = inputs.to_vec();
            for (slot, parameter) in outer[POINT_INPUTS..].iter_mut().zip(&parameters) {
                if parameter.axis == Axis::Dose {
                    *slot = slot.exp();
                }
            }
            value.evaluate(&outer)
        });
        let forward = linear_parameters(&inner, &inner_known, 0..n);
        let backward = linear_parameters(&inner, &inner_known, (0..n).rev());
        let linear = if backward.len() > forward.len() { backward } else { forward };
        let nonlinear: Vec<usize> = (0..n).filter(|i| !linear.contains(i)).collect();
        let gradient = Program::record_given(&known(false), |inputs| {
            let by = |p: Option<usize>| derivative(&value, inputs, [p.map(|p| POINT_INPUTS + p), None, None]);
            std::iter::once(None).chain((0..n).map(Some)).map(by).collect()
        });
        let separated = separate(&inner, &inner_known, &linear, &nonlinear);
        let is_surface = !interactions.is_empty();
        let polished = !is_built_in && !is_surface && (any_dose || uses_x2 || nonlinear.len() > NEWTON_PARAMETERS);
        let own = (is_built_in || is_surface || polished).then_some(descents);
        let descents = own.unwrap_or_else(|| formula::descents::descents_of_formula(&parameters, &nonlinear));
        Self {
            trades: if polished { exchange::exchanges(&value, &parameters[..n]) } else { Vec::new() },
            name,
            formula,
            is_built_in,
            file_text,
            uses_x2,
            interactions: interactions.iter().map(|(parameter, _)| *parameter).collect(),
            without_interaction: interactions.into_iter().map(|(_, value)| value).collect(),
            polished,
            names: parameters.iter().map(|p| p.name).collect(),
            bounds: parameters.iter().map(|p| p.bound).collect(),
            location: parameters.iter().position(|p| p.axis == Axis::LnDose),
            kernel: kernel(&separated, &separated.program, POINT_INPUTS),
            weighted_kernel: kernel(&separated, &weighted(&separated.program), POINT_INPUTS + 1),
            gradient_kernel: Vectorised::new(&gradient, POINT_INPUTS),
            separated,
            parameters,
            baseline,
            levels_off,
            exchanges,
            descents,
            any_dose,
            dose_unit,
            linear,
            nonlinear,
            value,
            gradient,
        }
    }

    /// A built-in model, recorded from its one definition.
    pub fn built_in<M: Model<N>, const N: usize>() -> Self {
        let value = Program::record(POINT_INPUTS + N, |inputs| {
            vec![M::response(inputs[0], std::array::from_fn(|i| inputs[POINT_INPUTS + i]))]
        });
        let description = Description {
            name: M::NAME,
            formula: M::FORMULA,
            file_text: None,
            parameters: M::PARAMETERS.to_vec(),
            baseline: M::BASELINE,
            levels_off: M::LEVELS_OFF,
            exchanges: M::EXCHANGES,
            descents: M::DESCENTS,
            any_dose: false,
            dose_unit: 1.0,
            uses_x2: false,
            interactions: Vec::new(),
        };
        Self::new(description, value)
    }

    /// A built-in surface, recorded from its one definition.
    pub fn surface<M: SurfaceModel<N>, const N: usize>() -> Self {
        let value = Program::record(POINT_INPUTS + N, |inputs| {
            vec![M::response(inputs[0], inputs[2], std::array::from_fn(|i| inputs[POINT_INPUTS + i]))]
        });
        let description = Description {
            name: M::NAME,
            formula: M::FORMULA,
            file_text: None,
            parameters: M::PARAMETERS.to_vec(),
            baseline: Some(0),
            levels_off: true,
            exchanges: &[],
            descents: 1,
            any_dose: false,
            dose_unit: 1.0,
            uses_x2: true,
            interactions: Vec::new(),
        };
        Self::new(description, value)
    }

    /// What a parameter's box is divided by to be shown: boxes on the dose axis are in decades there.
    pub fn box_unit(&self, parameter: usize) -> f64 {
        let own = &self.parameters[parameter];
        let is_logarithm = self.is_built_in && own.name.starts_with("ln_");
        if own.axis != Axis::Plain || is_logarithm { std::f64::consts::LN_10 } else { 1.0 }
    }

    /// What the programs are told of a point: `dose` molar (any number for a model of any number), `x2` the second
    /// variable.
    pub fn point(&self, dose: f64, x2: f64) -> [f64; POINT_INPUTS] {
        let dose = dose / self.dose_unit;
        let ln_dose = if dose > 0.0 { libm::log(dose) } else { LN_DOSE_ZERO };
        [ln_dose, dose, x2]
    }

    /// The response, in f64; `parameters` in the model's order and units, at least as many as it has.
    pub fn response(&self, dose: f64, x2: f64, parameters: &[f64]) -> f64 {
        self.response_at(self.point(dose, x2), parameters)
    }

    /// The point at a natural-log dose in the model's unit.
    pub fn point_at_ln_dose(&self, ln_dose: f64) -> [f64; POINT_INPUTS] {
        [ln_dose, libm::exp(ln_dose), 0.0]
    }

    /// The response at a natural-log dose in the model's unit.
    pub fn response_at_ln_dose(&self, ln_dose: f64, parameters: &[f64]) -> f64 {
        self.response_at(self.point_at_ln_dose(ln_dose), parameters)
    }

    /// Its derivative by the natural-log dose.
    pub fn slope_at_ln_dose(&self, ln_dose: f64, parameters: &[f64]) -> f64 {
        let [x, dose, x2] = self.point_at_ln_dose(ln_dose);
        let mut inputs =
            vec![Dual::<f64, 1>::parameter(x, 0), Dual { value: dose, gradient: [dose] }, Dual::constant(x2)];
        inputs.extend(parameters.iter().map(|p| Dual::constant(*p)));
        self.value.evaluate(&inputs).first().map_or(0.0, |y| y.gradient[0])
    }

    /// As [`CurveModel::response`], for a point made ready.
    pub fn response_at(&self, point: [f64; POINT_INPUTS], parameters: &[f64]) -> f64 {
        let inputs = self.inputs(point, parameters);
        let mut values = Vec::with_capacity(self.value.operations.len());
        self.value.evaluate_into(&inputs[..self.value.inputs], &mut values);
        self.value.output(0, &values)
    }

    /// The response and its derivative by each parameter (zeros beyond the model's count).
    pub fn response_and_gradient(
        &self,
        point: [f64; POINT_INPUTS],
        parameters: &[f64],
    ) -> (f64, [f64; MAX_PARAMETERS]) {
        let inputs = self.inputs(point, parameters);
        let mut values = Vec::with_capacity(self.gradient.operations.len());
        self.gradient.evaluate_into(&inputs[..self.gradient.inputs], &mut values);
        let n = self.parameters.len();
        let gradient = std::array::from_fn(|i| if i < n { self.gradient.output(1 + i, &values) } else { 0.0 });
        (self.gradient.output(0, &values), gradient)
    }

    fn inputs(&self, point: [f64; POINT_INPUTS], parameters: &[f64]) -> [f64; POINT_INPUTS + MAX_PARAMETERS] {
        let mut inputs = [0.0; POINT_INPUTS + MAX_PARAMETERS];
        inputs[..POINT_INPUTS].copy_from_slice(&point);
        for (slot, value) in inputs[POINT_INPUTS..].iter_mut().zip(parameters) {
            *slot = *value;
        }
        inputs
    }
}
