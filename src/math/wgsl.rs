//! Recorded [`Program`]s printed as WGSL: one `let` line an operation, scalars with names, no arrays, so that a
//! driver keeps all of it in registers.

use super::operation::Operation as Op;
use super::program::{Program, Recorded};
use std::collections::HashMap;
use std::fmt::Write;

/// Largest exponent of e in single precision, with some room: see [`Scalar::exp`](super::Scalar::exp).
const LARGEST_EXPONENT: &str = "85.0f";
/// As far below zero exponents go: what is left, 3e-33, has quotients, and may be multiplied with a small share, before it is
/// no longer a normal number, which devices take for zero.
const LEAST_EXPONENT: &str = "-75.0f";
/// The smallest normal number: logarithms saturate there.
const SMALLEST: &str = "1.17549435e-38f";

/// A constant. Beyond the range of single precision it saturates: WGSL has no literal for infinity.
pub fn literal(value: f64) -> String {
    format!("{:?}f", (value as f32).clamp(-f32::MAX, f32::MAX))
}

/// Whether a program can be printed: all its constants are numbers.
pub fn can_be_printed(program: &Program) -> bool {
    let constants = program.operations.iter().flat_map(|o| o.operands()).chain(program.outputs.iter().copied());
    constants.into_iter().all(|v| !matches!(v, Recorded::Literal(constant) if constant.is_nan()))
}

/// `program` as `fn name(arguments) -> result`, where `result` is a structure of as many numbers as the program has
/// outputs. `inputs` are the WGSL expressions of the program's inputs.
pub fn function(name: &str, arguments: &str, result: &str, inputs: &[String], program: &Program) -> String {
    let mut source = format!("fn {name}({arguments}) -> {result} {{\n");
    let mut names: Vec<String> = Vec::with_capacity(program.operations.len());
    // Parts of logistics already printed, by operand.
    let mut logistics: HashMap<String, usize> = HashMap::new();
    for (n, operation) in program.operations.iter().enumerate() {
        let at = |v: Recorded| match v {
            Recorded::Literal(constant) => literal(constant),
            Recorded::Value(m) => names[m as usize].clone(),
        };
        let mut line = |expression: String| {
            let _ = writeln!(source, "    let t{n} = {expression};");
            format!("t{n}")
        };
        let mut print_logistic = |source: &mut String, z: &str| {
            *logistics.entry(z.to_owned()).or_insert_with(|| {
                let _ = writeln!(source, "    let e{n} = exp(max(-abs({z}), {LEAST_EXPONENT}));");
                let _ = writeln!(source, "    let i{n} = 1.0f / (1.0f + e{n});");
                n
            })
        };
        let name = match *operation {
            Op::Input(i) => inputs.get(i as usize).cloned().unwrap_or_else(|| literal(0.0)),
            Op::Add(a, b) => line(format!("{} + {}", at(a), at(b))),
            Op::Sub(a, b) => line(format!("{} - {}", at(a), at(b))),
            Op::Mul(a, b) => line(format!("{} * {}", at(a), at(b))),
            Op::Div(a, b) => line(format!("{} / {}", at(a), at(b))),
            Op::Neg(a) => line(format!("-({})", at(a))),
            Op::Exp(a) => line(format!("exp(clamp({}, {LEAST_EXPONENT}, {LARGEST_EXPONENT}))", at(a))),
            Op::Ln(a) => line(format!("log(max({}, {SMALLEST}))", at(a))),
            Op::Sqrt(a) => line(format!("sqrt({})", at(a))),
            Op::Sin(a) => line(format!("sin({})", at(a))),
            Op::Cos(a) => line(format!("cos({})", at(a))),
            Op::Atan(a) => line(format!("atan({})", at(a))),
            Op::Abs(a) => line(format!("abs({})", at(a))),
            Op::Logistic(a) => {
                let z = at(a);
                let m = print_logistic(&mut source, &z);
                let _ = writeln!(source, "    let t{n} = select(i{m}, e{m} * i{m}, {z} < 0.0f);");
                format!("t{n}")
            }
            Op::LogisticSlope(a) => {
                let m = print_logistic(&mut source, &at(a));
                let _ = writeln!(source, "    let t{n} = e{m} * i{m} * i{m};");
                format!("t{n}")
            }
            Op::Min(a, b) => line(format!("min({}, {})", at(a), at(b))),
            Op::Max(a, b) => line(format!("max({}, {})", at(a), at(b))),
            Op::SelectLess(a, b, c, d) => line(format!("select({}, {}, {} < {})", at(d), at(c), at(a), at(b))),
        };
        names.push(name);
    }
    let outputs = program.outputs.iter().map(|v| match v {
        Recorded::Literal(constant) => literal(*constant),
        Recorded::Value(n) => names[*n as usize].clone(),
    });
    let _ = writeln!(source, "    return {result}({});\n}}", outputs.collect::<Vec<_>>().join(", "));
    source
}
