//! A parsed formula: nodes in a flat list, each behind those that it needs, so that evaluation is one loop.

use crate::math::Scalar;
use std::f64::consts::LN_10;

/// `ln_dose` at dose 0: far enough down for any slope above 0.01, and finite, so that derivatives stay so too.
pub const LN_DOSE_OF_ZERO: f64 = -1.0e4;
/// What stands for zero in a denominator: its inverse is still a number in single precision.
const ZERO_DIVISOR: f64 = 1e-37;

/// What a formula may know of the point at which it is evaluated.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PointVariables<S> {
    /// `dose` and `x`: the dose in the file's unit.
    pub dose: S,
    /// `ln_dose`: its natural logarithm.
    pub ln_dose: S,
    /// `log10_dose`: its decimal logarithm.
    pub log10_dose: S,
    /// `x2`: the second independent variable; anything where the formula has none.
    pub x2: S,
    /// `dose_b`: the second drug's dose in the file's unit; anything where the formula has none, as the next two.
    pub dose_b: S,
    /// `ln_dose_b`: its natural logarithm.
    pub ln_dose_b: S,
    /// `log10_dose_b`: its decimal logarithm.
    pub log10_dose_b: S,
}

impl PointVariables<f64> {
    /// The point at `dose`, in the file's unit. At or below zero the logarithms are those of [`LN_DOSE_OF_ZERO`].
    pub fn at(dose: f64, x2: f64) -> Self {
        let ln_dose = if dose > 0.0 { libm::log(dose) } else { LN_DOSE_OF_ZERO };
        let [dose_b, ln_dose_b, log10_dose_b] = [0.0, LN_DOSE_OF_ZERO, LN_DOSE_OF_ZERO / LN_10];
        Self { dose, ln_dose, log10_dose: ln_dose / LN_10, x2, dose_b, ln_dose_b, log10_dose_b }
    }
}

impl<S: Copy> PointVariables<S> {
    /// The same point as other kinds of numbers.
    pub fn map<T>(self, f: impl Fn(S) -> T) -> PointVariables<T> {
        PointVariables {
            dose: f(self.dose),
            ln_dose: f(self.ln_dose),
            log10_dose: f(self.log10_dose),
            x2: f(self.x2),
            dose_b: f(self.dose_b),
            ln_dose_b: f(self.ln_dose_b),
            log10_dose_b: f(self.log10_dose_b),
        }
    }
}

/// An independent variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Variable {
    Dose,
    LnDose,
    Log10Dose,
    X2,
    DoseB,
    LnDoseB,
    Log10DoseB,
}

impl Variable {
    pub(super) const NAMES: [(&'static str, Variable); 11] = [
        ("dose", Variable::Dose),
        ("ln_dose", Variable::LnDose),
        ("log10_dose", Variable::Log10Dose),
        ("x", Variable::Dose),
        ("x2", Variable::X2),
        ("dose_a", Variable::Dose),
        ("ln_dose_a", Variable::LnDose),
        ("log10_dose_a", Variable::Log10Dose),
        ("dose_b", Variable::DoseB),
        ("ln_dose_b", Variable::LnDoseB),
        ("log10_dose_b", Variable::Log10DoseB),
    ];
}

/// An operation on one number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unary {
    Negate,
    Exp,
    Ln,
    Log10,
    Sqrt,
    Sin,
    Cos,
    Tan,
    Atan,
    Tanh,
    Abs,
    Logistic,
}

impl Unary {
    #[inline(always)]
    pub(super) fn apply<S: Scalar>(self, a: S) -> S {
        match self {
            Unary::Negate => -a,
            Unary::Exp => a.exp(),
            Unary::Ln => a.ln(),
            Unary::Log10 => a.ln() * S::lit(1.0 / LN_10),
            Unary::Sqrt => a.sqrt(),
            Unary::Sin => a.sin(),
            Unary::Cos => a.cos(),
            Unary::Tan => a.tan(),
            Unary::Atan => a.atan(),
            Unary::Tanh => a.tanh(),
            Unary::Abs => a.abs(),
            Unary::Logistic => a.logistic(),
        }
    }
}

/// An operation on two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Binary {
    Add,
    Subtract,
    Multiply,
    Divide,
    Power,
    Min,
    Max,
}

impl Binary {
    #[inline(always)]
    pub(super) fn apply<S: Scalar>(self, a: S, b: S) -> S {
        match self {
            Binary::Add => a + b,
            Binary::Subtract => a - b,
            Binary::Multiply => a * b,
            Binary::Divide => {
                let zero = S::lit(0.0);
                let above = zero.select_less(b, b, S::lit(ZERO_DIVISOR));
                a / b.select_less(zero, b, above)
            }
            Binary::Power => a.pow(b),
            Binary::Min => a.min(b),
            Binary::Max => a.max(b),
        }
    }
}

/// A function that a formula may call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Function {
    One(Unary),
    Two(Binary),
}

impl Function {
    pub(super) const NAMES: [(&'static str, Function); 13] = [
        ("exp", Function::One(Unary::Exp)),
        ("ln", Function::One(Unary::Ln)),
        ("log10", Function::One(Unary::Log10)),
        ("sqrt", Function::One(Unary::Sqrt)),
        ("sin", Function::One(Unary::Sin)),
        ("cos", Function::One(Unary::Cos)),
        ("tan", Function::One(Unary::Tan)),
        ("atan", Function::One(Unary::Atan)),
        ("tanh", Function::One(Unary::Tanh)),
        ("abs", Function::One(Unary::Abs)),
        ("logistic", Function::One(Unary::Logistic)),
        ("min", Function::Two(Binary::Min)),
        ("max", Function::Two(Binary::Max)),
    ];
}

/// One step of the evaluation; the numbers are places of earlier nodes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Node {
    Number(f64),
    Variable(Variable),
    Parameter(usize),
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    /// A number to the power of a whole one: repeated multiplication, so that the base may be negative.
    WholePower(usize, i32),
}

/// A formula, ready to be evaluated with any [`Scalar`]: as numbers, lanes, derivatives, or recorded.
///
/// Where the arithmetic has no answer, evaluation gives this and never panics:
///
/// - a division by exactly 0 divides by 1e-37 instead: `1 / (1 + ec50 / dose)` is right at dose 0, with its derivatives;
/// - `ln` and `log10` of zero or less give the logarithm of the smallest normal number ([`Scalar::ln`]);
/// - a power that is no whole literal takes a base at or below zero for 0 ([`Scalar::pow`]); `(a / dose)^b` is computed
///   as `(dose / a)^-b`, so that it is right at dose 0;
/// - `exp` saturates at e^±700 (single precision: e^±85);
/// - `sqrt` of a negative number is NaN, and a sum or product beyond the largest number is infinite: a fit must not
///   accept a step to a response that is not finite.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    pub(super) nodes: Vec<Node>,
}

impl Expression {
    /// The formula's value at a point. `parameters` are in the order of the file, in the file's units; one that is
    /// missing counts as 0.
    pub fn evaluate<S: Scalar>(&self, point: &PointVariables<S>, parameters: &[S]) -> S {
        let mut values: Vec<S> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            values.push(match *node {
                Node::Number(value) => S::lit(value),
                Node::Variable(Variable::Dose) => point.dose,
                Node::Variable(Variable::LnDose) => point.ln_dose,
                Node::Variable(Variable::Log10Dose) => point.log10_dose,
                Node::Variable(Variable::X2) => point.x2,
                Node::Variable(Variable::DoseB) => point.dose_b,
                Node::Variable(Variable::LnDoseB) => point.ln_dose_b,
                Node::Variable(Variable::Log10DoseB) => point.log10_dose_b,
                Node::Parameter(index) => parameters.get(index).copied().unwrap_or(S::lit(0.0)),
                Node::Unary(operation, a) => operation.apply(values[a]),
                Node::Binary(operation, a, b) => operation.apply(values[a], values[b]),
                Node::WholePower(base, exponent) => whole_power(values[base], exponent),
            });
        }
        values.last().copied().unwrap_or(S::lit(0.0))
    }

    /// Whether a dose of a second drug occurs.
    pub(super) fn is_surface(&self) -> bool {
        let second = [Variable::DoseB, Variable::LnDoseB, Variable::Log10DoseB];
        second.into_iter().any(|variable| self.nodes.contains(&Node::Variable(variable)))
    }

    /// Whether the second independent variable, `x2`, occurs.
    pub(super) fn uses_x2(&self) -> bool {
        self.nodes.contains(&Node::Variable(Variable::X2))
    }
}

/// `base` to the power of `exponent`, by repeated squaring.
pub(super) fn whole_power<S: Scalar>(base: S, exponent: i32) -> S {
    let (mut square, mut left) = (base, exponent.unsigned_abs());
    let mut product: Option<S> = None;
    while left > 0 {
        if left & 1 == 1 {
            product = Some(product.map_or(square, |product| product * square));
        }
        left >>= 1;
        if left > 0 {
            square = square * square;
        }
    }
    let power = product.unwrap_or(S::lit(1.0));
    if exponent < 0 { Binary::Divide.apply(S::lit(1.0), power) } else { power }
}
