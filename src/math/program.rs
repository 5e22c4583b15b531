//! Arithmetic written down: a model evaluated as [`Recorded`] becomes a [`Program`], a list of operations without
//! branches. A program runs on SIMD lanes, is printed as WGSL, differentiates itself (it is generic over [`Scalar`],
//! so it can be evaluated as [`Dual`](super::Dual) numbers of recorded ones), and is the same thing for a built-in
//! model and for a formula read from a file.

use super::operation::Operation as Op;
use super::operation::Operation;
use super::scalar::power;
use super::{Interval, Scalar, patterns};
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A constant, or the result of an operation of the program being recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Recorded {
    /// A constant, folded where it can be.
    Literal(f64),
    /// The result of operation `n`.
    Value(u32),
}

use Recorded::{Literal, Value};

type Known = HashMap<(std::mem::Discriminant<Operation>, u32, [(bool, u64); 4]), u32>;

/// What is known of an input of a program before it has a value.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Given {
    /// Where it lies.
    pub range: Interval,
    /// The input that is its natural logarithm, and very far below zero where it is zero.
    pub logarithm: Option<usize>,
}

impl Given {
    /// Nothing.
    pub const NOTHING: Self = Self { range: Interval::WHOLE, logarithm: None };
}

#[derive(Default)]
struct Recording {
    operations: Vec<Operation>,
    known: Known,
    given: Vec<Given>,
    /// Where the result of each operation lies.
    ranges: Vec<Interval>,
}

impl Recording {
    fn range(&self, value: Recorded) -> Interval {
        match value {
            Literal(v) => Interval::new(v, v),
            Value(n) => self.ranges.get(n as usize).copied().unwrap_or(Interval::WHOLE),
        }
    }
}

thread_local!(static RECORDING: RefCell<Recording> = RefCell::default());

/// Records an operation, or finds it among those recorded.
fn record(operation: Operation) -> Recorded {
    RECORDING.with_borrow_mut(|recording| {
        let next = recording.operations.len() as u32;
        let number = *recording.known.entry(operation.key()).or_insert(next);
        if number == next {
            let range = match operation {
                Op::Input(n) => recording.given.get(n as usize).map_or(Interval::WHOLE, |given| given.range),
                other => Interval::of(other, |v| recording.range(v)),
            };
            recording.operations.push(operation);
            recording.ranges.push(range);
        }
        Value(number)
    })
}

/// The operation whose result it is.
pub(super) fn operation(value: Recorded) -> Option<Operation> {
    match value {
        Literal(_) => None,
        Value(n) => RECORDING.with_borrow(|recording| recording.operations.get(n as usize).copied()),
    }
}

/// Where a number lies.
pub(super) fn range(value: Recorded) -> Interval {
    RECORDING.with_borrow(|recording| recording.range(value))
}

/// Whether it is this constant.
pub(super) fn is(value: Recorded, constant: f64) -> bool {
    matches!(value, Literal(v) if v == constant)
}

impl Recorded {
    /// Input number `n` of the program being recorded.
    fn input(n: usize) -> Self {
        record(Op::Input(n as u32))
    }

    /// The input that is the logarithm of input number `n`, if one is.
    pub(super) fn logarithm_of_input(n: u32) -> Option<Self> {
        let given = RECORDING.with_borrow(|recording| recording.given.get(n as usize).copied());
        given.and_then(|given| given.logarithm).map(Self::input)
    }
}

impl Add for Recorded {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        match (self, other) {
            (Literal(a), Literal(b)) => return Literal(a + b),
            _ if is(self, 0.0) => return other,
            _ if is(other, 0.0) => return self,
            _ => {}
        }
        // Shares that are written as a rest add up to the whole: `(1 - q) + q`. Models with two plateaus are full
        // of these, and the fitter gains from seeing that the shares of all plateaus are 1.
        match (operation(self), operation(other)) {
            (Some(Op::Sub(whole, part)), _) if part == other => whole,
            (_, Some(Op::Sub(whole, part))) if part == self => whole,
            (_, Some(Op::Neg(a))) => self - a,
            (Some(Op::Neg(a)), _) => other - a,
            _ => record(Op::Add(self, other)),
        }
    }
}

impl Sub for Recorded {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        match (self, other) {
            (Literal(a), Literal(b)) => return Literal(a - b),
            _ if is(self, 0.0) => return -other,
            _ if is(other, 0.0) => return self,
            _ if self == other => return Literal(0.0),
            _ => {}
        }
        match (operation(self), operation(other)) {
            (_, Some(Op::Sub(whole, part))) if whole == self => part,
            (_, Some(Op::Neg(a))) => self + a,
            _ => record(Op::Sub(self, other)),
        }
    }
}

impl Mul for Recorded {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        match (self, other) {
            (Literal(a), Literal(b)) => return Literal(a * b),
            _ if is(self, 0.0) || is(other, 0.0) => return Literal(0.0),
            _ if is(self, 1.0) => return other,
            _ if is(other, 1.0) => return self,
            _ if is(self, -1.0) => return -other,
            _ if is(other, -1.0) => return -self,
            _ => {}
        }
        match (operation(self), operation(other)) {
            (Some(Op::Neg(a)), Some(Op::Neg(b))) => a * b,
            (Some(Op::Neg(a)), _) => -(a * other),
            (_, Some(Op::Neg(b))) => -(self * b),
            _ => {
                // One order, so that a * b and b * a are one operation.
                let rank = |v: Recorded| if let Value(n) = v { n } else { u32::MAX };
                let (a, b) = if rank(self) <= rank(other) { (self, other) } else { (other, self) };
                record(Op::Mul(a, b))
            }
        }
    }
}

impl Div for Recorded {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        match (self, other) {
            (Literal(a), Literal(b)) => return Literal(a / b),
            _ if is(self, 0.0) || is(other, 1.0) => return self,
            _ => {}
        }
        if let Some(logistic) = patterns::logistic(self, other) {
            return logistic;
        }
        match operation(self) {
            Some(Op::Neg(a)) => -(a / other),
            _ => record(Op::Div(self, other)),
        }
    }
}

impl Neg for Recorded {
    type Output = Self;
    fn neg(self) -> Self {
        match (self, operation(self)) {
            (Literal(v), _) => Literal(-v),
            (_, Some(Op::Neg(a))) => a,
            (_, Some(Op::Sub(a, b))) => b - a,
            _ => record(Op::Neg(self)),
        }
    }
}

/// A function of one number: folded for a constant, recorded else.
fn unary(a: Recorded, fold: impl Fn(f64) -> f64, operation: impl Fn(Recorded) -> Operation) -> Recorded {
    match a {
        Literal(v) => Literal(fold(v)),
        Value(_) => record(operation(a)),
    }
}

impl Scalar for Recorded {
    fn lit(value: f64) -> Self {
        Literal(value)
    }
    fn exp(self) -> Self {
        match operation(self) {
            Some(Op::Ln(a)) if range(a).is_positive() => a,
            _ => unary(self, Scalar::exp, Op::Exp),
        }
    }
    fn ln(self) -> Self {
        patterns::ln(self).unwrap_or_else(|| unary(self, Scalar::ln, Op::Ln))
    }
    fn pow(self, exponent: Self) -> Self {
        patterns::pow(self, exponent).unwrap_or_else(|| power(self, exponent))
    }
    fn sqrt(self) -> Self {
        unary(self, Scalar::sqrt, Op::Sqrt)
    }
    fn sin(self) -> Self {
        unary(self, Scalar::sin, Op::Sin)
    }
    fn cos(self) -> Self {
        unary(self, Scalar::cos, Op::Cos)
    }
    fn atan(self) -> Self {
        unary(self, Scalar::atan, Op::Atan)
    }
    fn abs(self) -> Self {
        match range(self) {
            Interval { lower, .. } if lower >= 0.0 => self,
            Interval { upper, .. } if upper <= 0.0 => -self,
            _ => unary(self, Scalar::abs, Op::Abs),
        }
    }
    fn min(self, other: Self) -> Self {
        match (range(self), range(other)) {
            (a, b) if a.upper <= b.lower => self,
            (a, b) if b.upper <= a.lower => other,
            _ => record(Op::Min(self, other)),
        }
    }
    fn max(self, other: Self) -> Self {
        match (range(self), range(other)) {
            (a, b) if a.lower >= b.upper => self,
            (a, b) if b.lower >= a.upper => other,
            _ => record(Op::Max(self, other)),
        }
    }
    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self {
        match (range(self), range(other)) {
            _ if if_less == otherwise => if_less,
            (a, b) if a.upper < b.lower => if_less,
            (a, b) if a.lower >= b.upper => otherwise,
            _ => record(Op::SelectLess(self, other, if_less, otherwise)),
        }
    }
    fn logistic_and_slope(self) -> (Self, Self) {
        if let Literal(v) = self {
            let (value, slope) = v.logistic_and_slope();
            return (Literal(value), Literal(slope));
        }
        let value = record(Op::Logistic(self));
        (value, record(Op::LogisticSlope(self)))
    }
}

/// Operations in an order in which each needs only earlier ones, and which of them are the results.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Program {
    /// The operations that the results need.
    pub operations: Vec<Operation>,
    /// Inputs that evaluations must give.
    pub inputs: usize,
    /// The results.
    pub outputs: Vec<Recorded>,
}

impl Program {
    /// Records what `body` does with `inputs` numbers; its results become the outputs. Not to be nested.
    pub fn record(inputs: usize, body: impl FnOnce(&[Recorded]) -> Vec<Recorded>) -> Self {
        Self::record_given(&vec![Given::NOTHING; inputs], body)
    }

    /// The same of inputs of which something is known. The program is right only where that is so.
    pub fn record_given(given: &[Given], body: impl FnOnce(&[Recorded]) -> Vec<Recorded>) -> Self {
        let inputs = given.len();
        RECORDING.replace(Recording { given: given.to_vec(), ..Recording::default() });
        let arguments: Vec<Recorded> = (0..inputs).map(Recorded::input).collect();
        let outputs = body(&arguments);
        let operations = RECORDING.take().operations;
        Self { operations, inputs, outputs }.without_unused()
    }

    /// The same operations with other results.
    pub(super) fn with_outputs(&self, inputs: usize, outputs: Vec<Recorded>) -> Self {
        Self { operations: self.operations.clone(), inputs, outputs }.without_unused()
    }

    /// Only the operations that some output needs.
    fn without_unused(self) -> Self {
        let mut used = vec![false; self.operations.len()];
        let mark = |used: &mut [bool], v: Recorded| {
            if let Value(n) = v {
                used[n as usize] = true;
            }
        };
        for output in &self.outputs {
            mark(&mut used, *output);
        }
        for n in (0..self.operations.len()).rev() {
            if used[n] {
                for operand in self.operations[n].operands() {
                    mark(&mut used, operand);
                }
            }
        }
        let mut renumbered = vec![0; used.len()];
        let mut operations = Vec::new();
        let rename = |renumbered: &[u32], v: Recorded| match v {
            Literal(_) => v,
            Value(n) => Value(renumbered[n as usize]),
        };
        for (n, operation) in self.operations.iter().enumerate() {
            if used[n] {
                renumbered[n] = operations.len() as u32;
                operations.push(operation.map(|v| rename(&renumbered, v)));
            }
        }
        let outputs = self.outputs.iter().map(|v| rename(&renumbered, *v)).collect();
        Self { operations, inputs: self.inputs, outputs }
    }

    /// The outputs for these inputs, as any kind of number.
    pub fn evaluate<S: Scalar>(&self, inputs: &[S]) -> Vec<S> {
        let mut values = Vec::with_capacity(self.operations.len());
        self.evaluate_into(inputs, &mut values);
        let at = |v: &Recorded| read(&values, *v);
        self.outputs.iter().map(at).collect()
    }

    /// As [`Program::evaluate`], leaving every operation's value in `values`: output `i` is
    /// [`Program::output`] of them. For loops that want no allocation.
    pub fn evaluate_into<S: Scalar>(&self, inputs: &[S], values: &mut Vec<S>) {
        values.clear();
        for operation in &self.operations {
            let at = |v: Recorded| read(values, v);
            let value = match *operation {
                Op::Input(n) => inputs.get(n as usize).copied().unwrap_or(S::lit(0.0)),
                Op::Add(a, b) => at(a) + at(b),
                Op::Sub(a, b) => at(a) - at(b),
                Op::Mul(a, b) => at(a) * at(b),
                Op::Div(a, b) => at(a) / at(b),
                Op::Neg(a) => -at(a),
                Op::Exp(a) => at(a).exp(),
                Op::Ln(a) => at(a).ln(),
                Op::Sqrt(a) => at(a).sqrt(),
                Op::Sin(a) => at(a).sin(),
                Op::Cos(a) => at(a).cos(),
                Op::Atan(a) => at(a).atan(),
                Op::Abs(a) => at(a).abs(),
                Op::Logistic(a) => at(a).logistic(),
                Op::LogisticSlope(a) => at(a).logistic_and_slope().1,
                Op::Min(a, b) => at(a).min(at(b)),
                Op::Max(a, b) => at(a).max(at(b)),
                Op::SelectLess(a, b, c, d) => at(a).select_less(at(b), at(c), at(d)),
            };
            values.push(value);
        }
    }

    /// Output `index` from the values of [`Program::evaluate_into`].
    pub fn output<S: Scalar>(&self, index: usize, values: &[S]) -> S {
        read(values, self.outputs[index])
    }
}

#[inline]
fn read<S: Scalar>(values: &[S], v: Recorded) -> S {
    match v {
        Literal(constant) => S::lit(constant),
        Value(n) => values[n as usize],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Dual;

    #[test]
    fn programs_compute_what_was_recorded_and_derive_it() {
        let program = Program::record(2, |v| {
            let unused = v[0].exp();
            let _ = unused * v[1];
            vec![(v[0] * v[1]).logistic() + v[1].abs(), Literal(2.0) * Literal(3.0)]
        });
        let direct = |a: f64, b: f64| Scalar::logistic(a * b) + b.abs();
        assert_eq!(program.evaluate(&[0.3, -1.2]), vec![direct(0.3, -1.2), 6.0]);
        assert!(program.operations.iter().all(|o| !matches!(o, Operation::Exp(_))), "unused operations are dropped");
        let gradient = Program::record(2, |v| {
            let dual: Vec<Dual<Recorded, 1>> = vec![Dual::parameter(v[0], 0), Dual::constant(v[1])];
            program.evaluate(&dual).iter().map(|d| d.gradient[0]).collect()
        });
        let numeric = (direct(0.3 + 1e-6, -1.2) - direct(0.3 - 1e-6, -1.2)) / 2e-6;
        let got = gradient.evaluate(&[0.3, -1.2]);
        assert!((got[0] - numeric).abs() < 1e-9 && got[1] == 0.0, "{got:?} {numeric}");
        assert!((got[0] + numeric).abs() > 1e-3, "a sign would be seen");
    }

    #[test]
    fn shares_add_up_to_the_whole() {
        let program = Program::record(1, |v| {
            let q = v[0].logistic();
            vec![q + (Literal(1.0) - q), (Literal(1.0) - q) + q, Literal(1.0) + (-q) + q, q - q]
        });
        assert_eq!(program.outputs[..], [Literal(1.0), Literal(1.0), Literal(1.0), Literal(0.0)]);
    }
}
