//! Cutting a [`Program`] in two: what follows from some of its inputs alone, to be worked out once, and the rest.

use super::program::{Operation as Op, Program, Recorded};
use Recorded::{Literal, Value};

impl Program {
    /// The operations that depend on the inputs chosen by `is_first`, and on no others, and whose results something
    /// else needs: an operation that depends on other inputs too, or an output.
    pub(super) fn wanted_first(&self, is_first: impl Fn(usize) -> bool) -> Vec<u32> {
        let of_first = self.of_first(is_first);
        let mut wanted: Vec<u32> = Vec::new();
        let mut want = |v: Recorded| {
            if let Value(n) = v
                && of_first[n as usize]
                && !wanted.contains(&n)
            {
                wanted.push(n);
            }
        };
        for (operation, _) in self.operations.iter().zip(&of_first).filter(|(_, of_first)| !**of_first) {
            operation.operands().for_each(&mut want);
        }
        self.outputs.iter().copied().for_each(&mut want);
        wanted
    }

    /// For each operation: whether it depends on some input, and on chosen ones only.
    fn of_first(&self, is_first: impl Fn(usize) -> bool) -> Vec<bool> {
        let mut depends: Vec<(bool, bool)> = Vec::with_capacity(self.operations.len());
        for operation in &self.operations {
            depends.push(match operation {
                Op::Input(i) => (is_first(*i as usize), !is_first(*i as usize)),
                other => other.operands().fold((false, false), |(first, rest), v| match v {
                    Literal(_) => (first, rest),
                    Value(m) => (first || depends[m as usize].0, rest || depends[m as usize].1),
                }),
            });
        }
        depends.into_iter().map(|d| d == (true, false)).collect()
    }

    /// Two programs in place of one. The first takes all inputs, and gives what follows from the chosen ones and is
    /// needed; the second takes these results, then all inputs.
    pub fn split(&self, is_first: impl Fn(usize) -> bool) -> (Self, Self) {
        let wanted = self.wanted_first(is_first);
        let first = self.with_outputs(self.inputs, wanted.iter().map(|n| Value(*n)).collect());
        let mut rest = self.clone();
        for (n, operation) in rest.operations.iter_mut().enumerate() {
            if let Some(place) = wanted.iter().position(|w| *w as usize == n) {
                *operation = Op::Input(place as u32);
            } else if let Op::Input(i) = operation {
                *i += wanted.len() as u32;
            }
        }
        (first, rest.with_outputs(wanted.len() + self.inputs, self.outputs.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Scalar;

    #[test]
    fn both_halves_together_are_the_whole() {
        let program = Program::record(3, |v| {
            let early = (v[0] * v[1]).exp();
            vec![early + v[2], v[2].abs(), early, v[1] * v[2], Recorded::lit(2.0)]
        });
        let (first, rest) = program.split(|i| i < 2);
        let inputs = [0.3, -1.1, 2.5];
        let mut known = first.evaluate(&inputs);
        assert_eq!(known.len(), 2, "the exponential, and the second input, which meets the third");
        assert!(rest.operations.iter().all(|o| !matches!(o, Op::Exp(_))), "it is not worked out twice");
        known.extend(inputs);
        assert_eq!(rest.evaluate(&known), program.evaluate(&inputs));
        known[0] += 1.0;
        assert_ne!(rest.evaluate(&known), program.evaluate(&inputs), "the first half's results are used");
    }
}
