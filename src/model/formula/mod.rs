//! Formula models: a dose-response model from a text file.
//!
//! ```toml
//! name = "four_parameter"
//! reference = "doi:10.1016/S0169-5002(01)00293-5"
//! dose_unit = "uM"                  # the unit of `dose` in the formula: M unless told; "none" for a plain x
//! formula = "bottom + (top - bottom) / (1 + (dose / ec50)^hill)"
//!
//! [parameters.top]
//! lower = 0.5
//! upper = 1.5
//! start = [0.9, 1.1]                # every combination of starts is tried
//!
//! [parameters.bottom]
//! lower = -0.5
//! upper = 1.0
//!
//! [parameters.ec50]
//! unit = "uM"
//! per_dose = true                   # a dose: 3 decades beyond the tested ones, five starts between them
//!
//! [parameters.hill]
//! lower = 0.1
//! upper = 10.0
//!
//! [constants]                       # named numbers, where the formula has any
//! ```
//!
//! # The formula
//!
//! - Variables: `dose` (also `x`), `ln_dose`, `log10_dose`, and `x2`, a second independent variable.
//! - Of a surface of two drugs: `dose_a` (the same as `dose`), `dose_b`, and their logarithms `ln_dose_a`, `log10_dose_b` …
//! - Operators, from loose to tight: `+ -`, `* /`, the minus sign, `^`. `a^b^c` is `a^(b^c)`, `-x^2` is `-(x^2)`.
//!   A whole literal exponent up to 64 is repeated multiplication, so the base may be negative: `(x - b4)^2`.
//! - Functions: exp ln log10 sqrt sin cos tan atan tanh abs logistic, and min and max of two. Constants: pi and e.
//! - What comes out where the arithmetic has no answer: see [`Expression`].
//!
//! # Parameters
//!
//! | key | means | unless told |
//! |---|---|---|
//! | `unit` | for people | none |
//! | `lower`, `upper` | the box | ∓1e12 |
//! | `start` | a number or a list of them inside the box | the middle of the box, geometric if its ends have one sign and are more than 100 times apart; with an end left open, 1 or something inside the other end |
//! | `per_dose` | the parameter is a dose, in `dose_unit`, and box and starts are relative to the tested ones: `lower` and `upper` in decades from the lowest and the highest nonzero dose, `start` from 0 (the lowest) to 1 (the highest) by decades | false; if true −3, 3 and 0.1, 0.3, 0.5, 0.7, 0.9 |
//! | `per_dose_b` | the same for a dose of the second drug; tables have its natural logarithm, molar, as `ln_NAME` | false; if true −3, 3 and 0.2, 0.5, 0.8 |
//! | `without_interaction` | the parameter's value where two drugs do not interact: `isobole synergy` compares the fitted surface with this one; a surface needs at least one | no parameter of interaction |

mod builder;
mod curve_model;
pub mod descents;
mod expression;
mod file;
mod lexer;
mod parser;
mod source;
mod table;

pub use expression::{Expression, LN_DOSE_OF_ZERO, PointVariables};
pub use parser::{MAX_FORMULA_BYTES, MAX_NESTING};

/// The most parameters that a formula may have: as many as a fit.
pub const MAX_PARAMETERS: usize = crate::fit::MAX_PARAMETERS;
/// The most starting points, over all combinations of the parameters' starts.
pub const MAX_STARTING_POINTS: usize = 256;

/// A model file, checked.
#[derive(Debug, Clone, PartialEq)]
pub struct FormulaFile {
    /// The model's name in tables; no built-in model has it.
    pub name: String,
    /// The formula as it was written.
    pub formula_text: String,
    /// Where the model comes from.
    pub reference: Option<String>,
    /// The unit in which `dose` enters the formula; `none` for a plain number.
    pub dose_unit: String,
    /// `dose` = molar dose × this. 1 for the unit `none`.
    pub dose_per_molar: f64,
    /// The parameters, in the order of the file.
    pub parameters: Vec<FormulaParameter>,
    /// Named numbers, in the order of the file. The expression has them in it already.
    pub constants: Vec<(String, f64)>,
    /// The formula, ready to be evaluated.
    pub expression: Expression,
    /// Whether the formula needs the second independent variable, `x2`.
    pub uses_x2: bool,
    /// Whether it is a surface of two drugs.
    pub is_surface: bool,
    /// The whole file.
    pub file_text: String,
}

/// A parameter of a formula. Without `per_dose`, everything is in the units of the formula.
#[derive(Debug, Clone, PartialEq)]
pub struct FormulaParameter {
    /// Its name in the formula.
    pub name: String,
    /// Its unit, for people.
    pub unit: Option<String>,
    /// Lower end of the box. With `per_dose`: decades from the lowest nonzero dose, below it if negative.
    pub lower: f64,
    /// Upper end of the box. With `per_dose`: decades from the highest dose.
    pub upper: f64,
    /// Starts, at least one. With `per_dose`: from 0 at the lowest dose to 1 at the highest, by decades.
    pub starts: Vec<f64>,
    /// Whether the file gives the starts.
    pub has_starts: bool,
    /// Whether the file gives both ends of the box.
    pub has_box: bool,
    /// Whether the parameter is a dose, boxed and started relative to the tested ones.
    pub per_dose: bool,
    /// Whether it is a dose of the second drug.
    pub per_dose_b: bool,
    /// Its value without interaction, for a parameter of interaction.
    pub without_interaction: Option<f64>,
}

/// A parameter's box and starts for one curve, in the units of the formula.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterBox {
    /// Lower end.
    pub lower: f64,
    /// Upper end.
    pub upper: f64,
    /// Starts inside, at least one.
    pub starts: Vec<f64>,
}

impl FormulaParameter {
    /// Box and starts for a curve tested between `lowest_dose` (above zero) and `highest_dose`, in the file's unit.
    pub fn resolve(&self, lowest_dose: f64, highest_dose: f64) -> ParameterBox {
        if !self.per_dose {
            return ParameterBox { lower: self.lower, upper: self.upper, starts: self.starts.clone() };
        }
        let (low, high) = (libm::log10(lowest_dose), libm::log10(highest_dose));
        let (lower, upper) = (libm::exp10(low + self.lower), libm::exp10(high + self.upper));
        let start = |place: &f64| libm::exp10(low + place * (high - low)).max(lower).min(upper);
        ParameterBox { lower, upper, starts: self.starts.iter().map(start).collect() }
    }
}

impl FormulaFile {
    /// Every combination of the parameters' starts, each in the order of the parameters; at most
    /// [`MAX_STARTING_POINTS`]. The doses are those of [`FormulaParameter::resolve`].
    pub fn starting_points(&self, lowest_dose: f64, highest_dose: f64) -> Vec<Vec<f64>> {
        let mut points = vec![Vec::with_capacity(self.parameters.len())];
        for parameter in &self.parameters {
            let starts = parameter.resolve(lowest_dose, highest_dose).starts;
            points = points
                .iter()
                .flat_map(|point: &Vec<f64>| starts.iter().map(|start| [point.as_slice(), &[*start]].concat()))
                .collect();
        }
        points
    }
}
