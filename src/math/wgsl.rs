//! A scalar that records: arithmetic on [`Wgsl`] becomes `let` lines of a WGSL function, one per distinct operation,
//! so that equal sub-expressions are computed once.

use super::Scalar;
use std::cell::RefCell;
use std::collections::HashMap;
use std::fmt::Write;
use std::ops::{Add, Div, Mul, Neg, Sub};

/// A literal, or a line of the function being recorded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Wgsl {
    /// A constant, folded where it can be.
    Literal(f64),
    /// Line `t{n}`.
    Line(u32),
}

use Wgsl::{Line, Literal};

#[derive(Default)]
struct Recording {
    lines: Vec<String>,
    known: HashMap<String, u32>,
}

thread_local!(static RECORDING: RefCell<Recording> = RefCell::default());

fn text(value: Wgsl) -> String {
    match value {
        Literal(v) => format!("{:?}f", v as f32),
        Line(n) => format!("t{n}"),
    }
}

fn line(expression: String) -> Wgsl {
    RECORDING.with_borrow_mut(|recording| {
        if let Some(&known) = recording.known.get(&expression) {
            return Line(known);
        }
        let number = recording.lines.len() as u32;
        recording.known.insert(expression.clone(), number);
        recording.lines.push(expression);
        Line(number)
    })
}

/// An argument of the function being recorded, as a WGSL expression (`p[2]`, `x`).
pub fn argument(expression: impl Into<String>) -> Wgsl {
    line(expression.into())
}

fn is(value: Wgsl, constant: f64) -> bool {
    matches!(value, Literal(v) if v == constant)
}

impl Add for Wgsl {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        match (self, other) {
            (Literal(a), Literal(b)) => Literal(a + b),
            _ if is(self, 0.0) => other,
            _ if is(other, 0.0) => self,
            _ => line(format!("{} + {}", text(self), text(other))),
        }
    }
}

impl Sub for Wgsl {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        match (self, other) {
            (Literal(a), Literal(b)) => Literal(a - b),
            _ if is(self, 0.0) => -other,
            _ if is(other, 0.0) => self,
            _ => line(format!("{} - {}", text(self), text(other))),
        }
    }
}

impl Mul for Wgsl {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        match (self, other) {
            (Literal(a), Literal(b)) => Literal(a * b),
            _ if is(self, 0.0) || is(other, 0.0) => Literal(0.0),
            _ if is(self, 1.0) => other,
            _ if is(other, 1.0) => self,
            _ => line(format!("{} * {}", text(self), text(other))),
        }
    }
}

impl Div for Wgsl {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        match (self, other) {
            (Literal(a), Literal(b)) => Literal(a / b),
            _ if is(self, 0.0) || is(other, 1.0) => self,
            _ => line(format!("{} / {}", text(self), text(other))),
        }
    }
}

impl Neg for Wgsl {
    type Output = Self;
    fn neg(self) -> Self {
        match self {
            Literal(v) => Literal(-v),
            Line(_) => line(format!("-{}", text(self))),
        }
    }
}

impl Scalar for Wgsl {
    fn lit(value: f64) -> Self {
        Literal(value)
    }
    fn exp(self) -> Self {
        match self {
            Literal(v) => Literal(Scalar::exp(v)),
            Line(_) => line(format!("exp(clamp({}, -85.0f, 85.0f))", text(self))),
        }
    }
    fn ln(self) -> Self {
        line(format!("log({})", text(self)))
    }
    fn sin(self) -> Self {
        line(format!("sin({})", text(self)))
    }
    fn cos(self) -> Self {
        line(format!("cos({})", text(self)))
    }
    fn atan(self) -> Self {
        line(format!("atan({})", text(self)))
    }
    fn sqrt(self) -> Self {
        line(format!("sqrt({})", text(self)))
    }
    fn abs(self) -> Self {
        line(format!("abs({})", text(self)))
    }
    fn min(self, other: Self) -> Self {
        line(format!("min({}, {})", text(self), text(other)))
    }
    fn max(self, other: Self) -> Self {
        line(format!("max({}, {})", text(self), text(other)))
    }
    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self {
        if if_less == otherwise {
            return if_less;
        }
        line(format!("select({}, {}, {} < {})", text(otherwise), text(if_less), text(self), text(other)))
    }
}

/// Records `fn name(arguments) -> array<f32, n>`: `body` does the arithmetic and gives the `n` results.
/// `arguments` is the WGSL text between the parentheses.
pub fn function(name: &str, arguments: &str, body: impl FnOnce() -> Vec<Wgsl>) -> String {
    RECORDING.take();
    let results = body();
    let recording = RECORDING.take();
    let mut source = format!("fn {name}({arguments}) -> array<f32, {}> {{\n", results.len());
    for (number, expression) in recording.lines.iter().enumerate() {
        let _ = writeln!(source, "    let t{number} = {expression};");
    }
    let results = results.iter().map(|r| text(*r)).collect::<Vec<_>>().join(", ");
    let _ = writeln!(source, "    return array<f32, {}>({results});\n}}", results.split(", ").count());
    source
}
