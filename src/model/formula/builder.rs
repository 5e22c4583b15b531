//! The list of nodes as it grows: constants are folded, and what can never have a value is found.

use super::expression::{Binary, Node, Unary, Variable, whole_power};

/// The largest whole exponent that becomes repeated multiplication.
const WHOLE_POWER_LIMIT: f64 = 64.0;

/// Nodes in the order of evaluation. Operands are always the latest nodes that no other node has used yet.
#[derive(Debug, Default)]
pub(super) struct Builder {
    pub(super) nodes: Vec<Node>,
}

impl Builder {
    pub(super) fn push(&mut self, node: Node) -> usize {
        self.nodes.push(node);
        self.nodes.len() - 1
    }

    fn number(&self, node: usize) -> Option<f64> {
        match self.nodes.get(node) {
            Some(Node::Number(value)) => Some(*value),
            _ => None,
        }
    }

    /// Puts the number that the latest `count` nodes amount to in their place.
    fn fold(&mut self, count: usize, value: f64) -> Result<usize, String> {
        if !value.is_finite() {
            return Err("this is not a finite number".into());
        }
        self.nodes.truncate(self.nodes.len() - count);
        Ok(self.push(Node::Number(value)))
    }

    /// # Errors
    /// What is wrong, where a constant has no such value.
    pub(super) fn unary(&mut self, operation: Unary, a: usize) -> Result<usize, String> {
        let Some(value) = self.number(a) else {
            return Ok(self.push(Node::Unary(operation, a)));
        };
        match operation {
            Unary::Ln | Unary::Log10 if value <= 0.0 => Err(format!("the logarithm of {value} is not a number")),
            Unary::Sqrt if value < 0.0 => Err(format!("the square root of {value} is not a number")),
            Unary::Exp if value > 700.0 => Err(format!("e^{value} is too large a number")),
            _ => self.fold(1, operation.apply(value)),
        }
    }

    /// # Errors
    /// What is wrong, where constants have no such value or the divisor is always zero.
    pub(super) fn binary(&mut self, operation: Binary, a: usize, b: usize) -> Result<usize, String> {
        if operation == Binary::Power {
            return self.power(a, b);
        }
        if operation == Binary::Divide && self.number(b) == Some(0.0) {
            return Err("division by zero".into());
        }
        match (self.number(a), self.number(b)) {
            (Some(x), Some(y)) => self.fold(2, operation.apply(x, y)),
            _ => Ok(self.push(Node::Binary(operation, a, b))),
        }
    }

    fn power(&mut self, base: usize, exponent: usize) -> Result<usize, String> {
        let whole = self.number(exponent).filter(|n| n.fract() == 0.0 && n.abs() <= WHOLE_POWER_LIMIT);
        match (self.number(base), self.number(exponent)) {
            (Some(0.0), Some(y)) if y < 0.0 => return Err(format!("0 to the power of {y} is a division by zero")),
            (Some(x), Some(y)) if x < 0.0 && whole.is_none() => {
                return Err(format!("{x} to the power of {y} is not a number"));
            }
            (Some(x), Some(y)) => {
                let value = whole.map_or_else(|| libm::pow(x, y), |n| whole_power(x, n as i32));
                return self.fold(2, value);
            }
            _ => {}
        }
        if let Some(n) = whole {
            // The literal is the latest node, and is no longer needed.
            self.nodes.truncate(exponent);
            return Ok(self.push(Node::WholePower(base, n as i32)));
        }
        // (a / dose)^b at dose 0 is infinity to the power of b, which no division by a small number can stand for.
        if let Node::Binary(Binary::Divide, above, below) = self.nodes[base]
            && self.nodes[below] == Node::Variable(Variable::Dose)
        {
            self.nodes[base] = Node::Binary(Binary::Divide, below, above);
            let negative = self.unary(Unary::Negate, exponent)?;
            return Ok(self.push(Node::Binary(Binary::Power, base, negative)));
        }
        Ok(self.push(Node::Binary(Binary::Power, base, exponent)))
    }
}
