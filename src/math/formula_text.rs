//! Recorded [`Program`]s as people write formulas, a line for each part that is used more than once.

use super::operation::Operation as Op;
use super::program::{Program, Recorded};
use std::collections::BTreeMap;
use std::fmt::Write;

/// The outputs of a program in order, each as `name = expression`, before them the parts that they share. `inputs` are the
/// names of the program's inputs.
pub fn lines(program: &Program, inputs: &[&str], outputs: &[String]) -> String {
    let mut uses: BTreeMap<u32, usize> = BTreeMap::new();
    let mut waiting: Vec<Recorded> = program.outputs.clone();
    while let Some(value) = waiting.pop() {
        let Recorded::Value(n) = value else { continue };
        let count = uses.entry(n).or_default();
        *count += 1;
        if *count == 1 {
            waiting.extend(program.operations.get(n as usize).into_iter().flat_map(|op| op.operands()));
        }
    }
    let mut text = String::new();
    let mut names: BTreeMap<u32, String> = BTreeMap::new();
    for (n, count) in &uses {
        let Some(operation) = program.operations.get(*n as usize) else { continue };
        let whole = expression(*operation, inputs, &names);
        let is_input = matches!(operation, Op::Input(_));
        if *count > 1 && !is_input {
            let name = format!("t{}", names.values().filter(|name| name.starts_with('t')).count() + 1);
            let _ = writeln!(text, "    {name} = {}", bare(&whole));
            names.insert(*n, name);
        } else {
            names.insert(*n, whole);
        }
    }
    for (value, name) in program.outputs.iter().zip(outputs) {
        let _ = writeln!(text, "    {name} = {}", bare(&operand(*value, &names)));
    }
    text
}

fn operand(value: Recorded, names: &BTreeMap<u32, String>) -> String {
    match value {
        Recorded::Literal(constant) if constant < 0.0 => format!("({constant})"),
        Recorded::Literal(constant) => constant.to_string(),
        Recorded::Value(n) => names.get(&n).cloned().unwrap_or_default(),
    }
}

/// An operation; in parentheses where something could be put beside it.
fn expression(operation: Op, inputs: &[&str], names: &BTreeMap<u32, String>) -> String {
    let at = |value: Recorded| operand(value, names);
    let call = |name: &str, value: Recorded| format!("{name}({})", bare(&at(value)));
    let two = |a: Recorded, sign: &str, b: Recorded| format!("({} {sign} {})", at(a), at(b));
    match operation {
        Op::Input(i) => inputs.get(i as usize).copied().unwrap_or("0").to_owned(),
        Op::Add(a, b) => two(a, "+", b),
        Op::Sub(a, b) => two(a, "-", b),
        Op::Mul(a, b) => two(a, "*", b),
        Op::Div(a, b) => two(a, "/", b),
        Op::Neg(a) => format!("(-{})", at(a)),
        Op::Exp(a) => call("exp", a),
        Op::Ln(a) => call("ln", a),
        Op::Sqrt(a) => call("sqrt", a),
        Op::Sin(a) => call("sin", a),
        Op::Cos(a) => call("cos", a),
        Op::Atan(a) => call("atan", a),
        Op::Abs(a) => call("abs", a),
        Op::Logistic(a) => call("logistic", a),
        Op::LogisticSlope(a) => call("logistic'", a),
        Op::Min(a, b) => format!("min({}, {})", bare(&at(a)), bare(&at(b))),
        Op::Max(a, b) => format!("max({}, {})", bare(&at(a)), bare(&at(b))),
        Op::SelectLess(a, b, c, d) => {
            format!("({} if {} < {} else {})", at(c), at(a), at(b), at(d))
        }
    }
}

/// Without parentheses around the whole.
fn bare(text: &str) -> String {
    let inside = text.strip_prefix('(').and_then(|text| text.strip_suffix(')'));
    let Some(inside) = inside else { return text.to_owned() };
    let mut depth = 0i32;
    // The first parenthesis must be closed by the last one.
    let is_one = inside.chars().all(|c| {
        depth += i32::from(c == '(') - i32::from(c == ')');
        depth >= 0
    });
    if is_one { inside.to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Scalar;

    #[test]
    fn a_program_reads_as_its_formula() {
        let program = Program::record(2, |inputs| {
            let (x, k) = (inputs[0], inputs[1]);
            let decay = (Recorded::lit(0.0) - k * x).exp();
            vec![decay, decay * x]
        });
        let text = lines(&program, &["x", "k"], &["f".into(), "df/dk".into()]);
        assert!(text.contains("t1 = exp("), "{text}");
        assert!(text.contains("f = t1\n") && text.contains("df/dk = x * t1"), "{text}");
        assert_eq!((bare("(a + b)"), bare("(a) + (b)"), bare("a")), ("a + b".into(), "(a) + (b)".into(), "a".into()));
    }
}
