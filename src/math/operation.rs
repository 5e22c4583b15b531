//! The operations that a recorded program consists of.

use super::program::Recorded;
use Operation as Op;
use Recorded::{Literal, Value};

/// One operation. Its operands are constants or earlier operations.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Operation {
    /// Input number `n` of the program.
    Input(u32),
    /// a + b.
    Add(Recorded, Recorded),
    /// a - b.
    Sub(Recorded, Recorded),
    /// a * b.
    Mul(Recorded, Recorded),
    /// a / b.
    Div(Recorded, Recorded),
    /// -a.
    Neg(Recorded),
    /// e^a.
    Exp(Recorded),
    /// ln a.
    Ln(Recorded),
    /// Square root.
    Sqrt(Recorded),
    /// Sine.
    Sin(Recorded),
    /// Cosine.
    Cos(Recorded),
    /// Arc tangent.
    Atan(Recorded),
    /// |a|.
    Abs(Recorded),
    /// 1 / (1 + e^-a).
    Logistic(Recorded),
    /// The derivative of the logistic at a; recorded right behind the logistic of the same a.
    LogisticSlope(Recorded),
    /// The smaller.
    Min(Recorded, Recorded),
    /// The larger.
    Max(Recorded, Recorded),
    /// `if a < b { c } else { d }`.
    SelectLess(Recorded, Recorded, Recorded, Recorded),
}

impl Operation {
    /// The operands, in order.
    pub fn operands(self) -> impl Iterator<Item = Recorded> {
        let none = [None; 4];
        let all: [Option<Recorded>; 4] = match self {
            Op::Input(_) => none,
            Op::Add(a, b) | Op::Sub(a, b) | Op::Mul(a, b) | Op::Div(a, b) | Op::Min(a, b) | Op::Max(a, b) => {
                [Some(a), Some(b), None, None]
            }
            Op::Neg(a)
            | Op::Exp(a)
            | Op::Ln(a)
            | Op::Sqrt(a)
            | Op::Sin(a)
            | Op::Cos(a)
            | Op::Atan(a)
            | Op::Abs(a)
            | Op::Logistic(a)
            | Op::LogisticSlope(a) => [Some(a), None, None, None],
            Op::SelectLess(a, b, c, d) => [Some(a), Some(b), Some(c), Some(d)],
        };
        all.into_iter().flatten()
    }

    /// The same operation on other operands.
    pub(super) fn map(self, mut f: impl FnMut(Recorded) -> Recorded) -> Self {
        match self {
            Op::Input(n) => Op::Input(n),
            Op::Add(a, b) => Op::Add(f(a), f(b)),
            Op::Sub(a, b) => Op::Sub(f(a), f(b)),
            Op::Mul(a, b) => Op::Mul(f(a), f(b)),
            Op::Div(a, b) => Op::Div(f(a), f(b)),
            Op::Min(a, b) => Op::Min(f(a), f(b)),
            Op::Max(a, b) => Op::Max(f(a), f(b)),
            Op::Neg(a) => Op::Neg(f(a)),
            Op::Exp(a) => Op::Exp(f(a)),
            Op::Ln(a) => Op::Ln(f(a)),
            Op::Sqrt(a) => Op::Sqrt(f(a)),
            Op::Sin(a) => Op::Sin(f(a)),
            Op::Cos(a) => Op::Cos(f(a)),
            Op::Atan(a) => Op::Atan(f(a)),
            Op::Abs(a) => Op::Abs(f(a)),
            Op::Logistic(a) => Op::Logistic(f(a)),
            Op::LogisticSlope(a) => Op::LogisticSlope(f(a)),
            Op::SelectLess(a, b, c, d) => Op::SelectLess(f(a), f(b), f(c), f(d)),
        }
    }

    /// What tells it from every other operation.
    pub(super) fn key(self) -> (std::mem::Discriminant<Operation>, u32, [(bool, u64); 4]) {
        let mut operands = [(false, 0); 4];
        for (slot, operand) in operands.iter_mut().zip(self.operands()) {
            *slot = match operand {
                Literal(v) => (true, v.to_bits()),
                Value(n) => (false, u64::from(n) + 1),
            };
        }
        let input = if let Op::Input(n) = self { n } else { 0 };
        (std::mem::discriminant(&self), input, operands)
    }
}
