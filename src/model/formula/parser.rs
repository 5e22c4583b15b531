//! From text to an [`Expression`], without recursion: an operator waits on a stack until what binds tighter is done.

use super::builder::Builder;
use super::expression::{Binary, Expression, Function, Node, Unary, Variable};
use super::lexer::{Lexer, Token};
use crate::config::choice::nearest;
use std::f64::consts::{E, PI};

/// The longest formula, in bytes.
pub const MAX_FORMULA_BYTES: usize = 10_000;
/// How many parentheses, powers and minus signs may be open at one place.
pub const MAX_NESTING: usize = 100;

/// A mistake in a formula.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Fault {
    /// Where, in bytes from the beginning of the formula.
    pub(super) at: usize,
    pub(super) problem: String,
    pub(super) hint: Option<String>,
}

impl Fault {
    pub(super) fn new(at: usize, problem: impl Into<String>) -> Self {
        Self { at, problem: problem.into(), hint: None }
    }

    pub(super) fn hint(mut self, hint: Option<impl Into<String>>) -> Self {
        self.hint = hint.map(Into::into);
        self
    }
}

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Meaning {
    Variable(Variable),
    Function(Function),
    Constant(f64),
    Parameter(usize),
}

/// What a name stands for in every formula.
pub(super) fn built_in(name: &str) -> Option<Meaning> {
    let variable = Variable::NAMES.iter().find(|(known, _)| *known == name).map(|(_, v)| Meaning::Variable(*v));
    let function = || Function::NAMES.iter().find(|(known, _)| *known == name).map(|(_, f)| Meaning::Function(*f));
    variable.or_else(function).or(match name {
        "pi" => Some(Meaning::Constant(PI)),
        "e" => Some(Meaning::Constant(E)),
        _ => None,
    })
}

/// The names that a file declares.
#[derive(Debug, Clone, Copy)]
pub(super) struct Names<'a> {
    pub(super) parameters: &'a [&'a str],
    pub(super) constants: &'a [(String, f64)],
}

impl Names<'_> {
    fn meaning(&self, name: &str) -> Option<Meaning> {
        let parameter = self.parameters.iter().position(|known| *known == name).map(Meaning::Parameter);
        let constant = || self.constants.iter().find(|(known, _)| known == name).map(|(_, v)| Meaning::Constant(*v));
        built_in(name).or(parameter).or_else(constant)
    }

    fn hint(&self, name: &str, is_call: bool) -> String {
        let functions = Function::NAMES.iter().map(|(name, _)| *name);
        let others = self.parameters.iter().copied().chain(self.constants.iter().map(|(name, _)| name.as_str()));
        let others = others.chain(Variable::NAMES.iter().map(|(name, _)| *name)).chain(["pi", "e"]);
        let known: Vec<&str> = if is_call { functions.collect() } else { others.collect() };
        match name.to_ascii_lowercase().as_str() {
            "log" => return "`ln` is the natural logarithm, `log10` the decimal one".into(),
            "pow" | "power" => return "write `a ^ b`".into(),
            "sigmoid" | "expit" => return "did you mean `logistic`?".into(),
            "arctan" => return "did you mean `atan`?".into(),
            "conc" | "concentration" => return "did you mean `dose`?".into(),
            _ => {}
        }
        match nearest(name, known.iter().copied()) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("known: {}", known.join(", ")),
        }
    }
}

/// Something that waits for what comes after it, and where it stands.
#[derive(Debug, Clone, Copy)]
enum Waiting {
    Open,
    Call { function: Function, name_at: usize, commas: usize },
    Negate,
    Binary(Binary),
}

impl Waiting {
    /// How tightly it binds; parentheses hold until they are closed. Minus binds looser than `^`: -x^2 = -(x^2).
    fn binding(self) -> u8 {
        match self {
            Waiting::Open | Waiting::Call { .. } => 0,
            Waiting::Binary(Binary::Add | Binary::Subtract) => 1,
            Waiting::Binary(Binary::Power) => 4,
            Waiting::Binary(_) => 2,
            Waiting::Negate => 3,
        }
    }

    /// Whether any number of these can wait at once, each for the next.
    fn nests(self) -> bool {
        !matches!(self, Waiting::Binary(operation) if operation != Binary::Power)
    }
}

struct Parser<'a> {
    names: Names<'a>,
    builder: Builder,
    operands: Vec<usize>,
    waiting: Vec<(Waiting, usize)>,
    used: Vec<bool>,
}

/// Parses `text`; gives the expression and, for each parameter, whether it occurs.
///
/// # Errors
/// The first mistake, at its character.
pub(super) fn parse(text: &str, names: Names) -> Result<(Expression, Vec<bool>), Fault> {
    if text.len() > MAX_FORMULA_BYTES {
        let problem = format!("the formula has {} bytes, the limit is {MAX_FORMULA_BYTES}", text.len());
        return Err(Fault::new(0, problem));
    }
    let mut parser = Parser {
        names,
        builder: Builder::default(),
        operands: Vec::new(),
        waiting: Vec::new(),
        used: vec![false; names.parameters.len()],
    };
    let mut lexer = Lexer::new(text);
    let mut expects_operand = true;
    while let Some((token, at)) = lexer.next()? {
        expects_operand =
            if expects_operand { parser.operand(token, at, &mut lexer)? } else { parser.operator(token, at)? };
    }
    if expects_operand {
        let end = text.trim_end().len();
        let problem = if parser.waiting.is_empty() {
            "the formula is empty"
        } else {
            "the formula ends here; expected a number, a name or `(`"
        };
        return Err(Fault::new(end, problem));
    }
    parser.settle(1)?;
    if let Some((_, at)) = parser.waiting.last() {
        return Err(Fault::new(*at, "this `(` is never closed"));
    }
    Ok((Expression { nodes: parser.builder.nodes }, parser.used))
}

impl Parser<'_> {
    /// Where a number, name or parenthesis must come; gives whether one must still come.
    fn operand(&mut self, token: Token, at: usize, lexer: &mut Lexer) -> Result<bool, Fault> {
        match token {
            Token::Number(value) => self.operands.push(self.builder.push(Node::Number(value))),
            Token::Name(name) => return self.name(name, at, lexer),
            Token::Sign('(') => {
                self.wait(Waiting::Open, at)?;
                return Ok(true);
            }
            Token::Sign('-') => {
                self.wait(Waiting::Negate, at)?;
                return Ok(true);
            }
            Token::Sign('+') => return Ok(true),
            Token::Sign(sign) => {
                let hint = (sign == '*').then_some("powers are written `^`");
                return Err(Fault::new(at, format!("expected a number, a name or `(`, found `{sign}`")).hint(hint));
            }
        }
        Ok(false)
    }

    fn name(&mut self, name: &str, at: usize, lexer: &mut Lexer) -> Result<bool, Fault> {
        let is_call = lexer.sees('(');
        let node = match self.names.meaning(name) {
            Some(Meaning::Function(function)) => {
                if !is_call {
                    return Err(Fault::new(at + name.len(), format!("expected `(` after the function `{name}`")));
                }
                // The parenthesis belongs to the call.
                let open_at = lexer.next()?.map_or(at, |(_, open_at)| open_at);
                self.wait(Waiting::Call { function, name_at: at, commas: 0 }, open_at)?;
                return Ok(true);
            }
            Some(Meaning::Variable(variable)) => Node::Variable(variable),
            Some(Meaning::Constant(value)) => Node::Number(value),
            Some(Meaning::Parameter(index)) => {
                self.used[index] = true;
                Node::Parameter(index)
            }
            None => {
                let kind = if is_call { "function" } else { "name" };
                let hint = self.names.hint(name, is_call);
                return Err(Fault::new(at, format!("unknown {kind} `{name}`")).hint(Some(hint)));
            }
        };
        self.operands.push(self.builder.push(node));
        Ok(false)
    }

    /// Behind a number, name or parenthesis; gives whether another must come.
    fn operator(&mut self, token: Token, at: usize) -> Result<bool, Fault> {
        let operation = match token {
            Token::Sign('+') => Binary::Add,
            Token::Sign('-') => Binary::Subtract,
            Token::Sign('*') => Binary::Multiply,
            Token::Sign('/') => Binary::Divide,
            Token::Sign('^') => Binary::Power,
            Token::Sign(')') => {
                self.close(at)?;
                return Ok(false);
            }
            Token::Sign(',') => {
                self.settle(1)?;
                let Some((Waiting::Call { commas, .. }, _)) = self.waiting.last_mut() else {
                    return Err(Fault::new(at, "a `,` stands only between the arguments of a function")
                        .hint(Some("the decimal sign is a point")));
                };
                *commas += 1;
                return Ok(true);
            }
            other => {
                return Err(Fault::new(at, format!("expected an operator or the end, found {other}"))
                    .hint(Some("write `*` to multiply")));
            }
        };
        let binding = Waiting::Binary(operation).binding();
        // What binds as tightly and came first is done first, except that a^b^c = a^(b^c).
        self.settle(if operation == Binary::Power { binding + 1 } else { binding })?;
        self.wait(Waiting::Binary(operation), at)?;
        Ok(true)
    }

    fn wait(&mut self, waiting: Waiting, at: usize) -> Result<(), Fault> {
        if waiting.nests() && self.waiting.iter().filter(|(other, _)| other.nests()).count() >= MAX_NESTING {
            let problem =
                format!("nested too deeply: more than {MAX_NESTING} parentheses, powers or signs are open here");
            return Err(Fault::new(at, problem));
        }
        self.waiting.push((waiting, at));
        Ok(())
    }

    /// Does everything that waits and binds at least this tightly.
    fn settle(&mut self, binding: u8) -> Result<(), Fault> {
        while let Some(&(waiting, at)) = self.waiting.last()
            && waiting.binding() >= binding
        {
            self.waiting.pop();
            match waiting {
                Waiting::Negate => self.one(Unary::Negate, at)?,
                Waiting::Binary(operation) => self.two(operation, at)?,
                Waiting::Open | Waiting::Call { .. } => {}
            }
        }
        Ok(())
    }

    fn close(&mut self, at: usize) -> Result<(), Fault> {
        self.settle(1)?;
        match self.waiting.pop() {
            None => Err(Fault::new(at, "this `)` closes nothing")),
            Some((Waiting::Call { function, name_at, commas }, _)) => {
                let takes = match function {
                    Function::One(_) => 1,
                    Function::Two(_) => 2,
                };
                if commas + 1 != takes {
                    let name =
                        Function::NAMES.iter().find(|(_, known)| *known == function).map_or("", |(name, _)| name);
                    let plural = if takes == 1 { "" } else { "s" };
                    let problem = format!("`{name}` takes {takes} argument{plural}, found {}", commas + 1);
                    return Err(Fault::new(name_at, problem));
                }
                match function {
                    Function::One(operation) => self.one(operation, name_at),
                    Function::Two(operation) => self.two(operation, name_at),
                }
            }
            Some(_) => Ok(()),
        }
    }

    fn pop(&mut self, at: usize) -> Result<usize, Fault> {
        self.operands.pop().ok_or_else(|| Fault::new(at, "something is missing here"))
    }

    fn one(&mut self, operation: Unary, at: usize) -> Result<(), Fault> {
        let a = self.pop(at)?;
        self.operands.push(self.builder.unary(operation, a).map_err(|problem| Fault::new(at, problem))?);
        Ok(())
    }

    fn two(&mut self, operation: Binary, at: usize) -> Result<(), Fault> {
        let b = self.pop(at)?;
        let a = self.pop(at)?;
        self.operands.push(self.builder.binary(operation, a, b).map_err(|problem| Fault::new(at, problem))?);
        Ok(())
    }
}
