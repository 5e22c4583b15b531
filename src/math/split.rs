//! Cutting a [`Program`] in two: what follows from some of its inputs alone, to be worked out once, and the rest.

use super::Scalar;
use super::operation::Operation as Op;
use super::program::{Program, Recorded};
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

/// A value as a product: what comes from chosen inputs alone, as powers of these, and the rest.
#[derive(Debug, Clone, Copy)]
struct Factored {
    factor: Recorded,
    core: Recorded,
}

impl Factored {
    fn new(core: Recorded) -> Self {
        Self { factor: Recorded::lit(1.0), core }
    }

    fn value(self) -> Recorded {
        self.factor * self.core
    }
}

macro_rules! of_values {
    ($($trait:ident $method:ident)*) => {$(
        impl std::ops::$trait for Factored {
            type Output = Self;
            fn $method(self, other: Self) -> Self {
                Self::new(std::ops::$trait::$method(self.value(), other.value()))
            }
        }
    )*};
}
of_values!(Add add Sub sub Div div);

impl std::ops::Mul for Factored {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self { factor: self.factor * other.factor, core: self.core * other.core }
    }
}

impl std::ops::Neg for Factored {
    type Output = Self;
    fn neg(self) -> Self {
        Self { factor: self.factor, core: -self.core }
    }
}

macro_rules! functions {
    ($($name:ident)*) => {$(
        fn $name(self) -> Self {
            Self::new(self.value().$name())
        }
    )*};
}

impl Scalar for Factored {
    functions!(exp ln sqrt sin cos atan abs);

    fn lit(value: f64) -> Self {
        Self::new(Recorded::lit(value))
    }
    fn min(self, other: Self) -> Self {
        Self::new(self.value().min(other.value()))
    }
    fn max(self, other: Self) -> Self {
        Self::new(self.value().max(other.value()))
    }
    fn select_less(self, other: Self, if_less: Self, otherwise: Self) -> Self {
        Self::new(self.value().select_less(other.value(), if_less.value(), otherwise.value()))
    }
    fn logistic_and_slope(self) -> (Self, Self) {
        let (value, slope) = self.value().logistic_and_slope();
        (Self::new(value), Self::new(slope))
    }
}

impl Program {
    /// The same with all but the `first` outputs as products: inputs chosen by `is_factor` are taken out of them, and
    /// what they come to follows as further outputs, one each. What is then the same at all points need not be
    /// worked out at each.
    pub fn factored(&self, first: usize, is_factor: impl Fn(usize) -> bool) -> Self {
        Self::record(self.inputs, |inputs| {
            let inputs = inputs.iter().enumerate().map(|(n, input)| match is_factor(n) {
                true => Factored { factor: *input, core: Recorded::lit(1.0) },
                false => Factored::new(*input),
            });
            let outputs = self.evaluate(&inputs.collect::<Vec<_>>());
            let (whole, products) = outputs.split_at(first);
            let cores = whole.iter().map(|v| v.value()).chain(products.iter().map(|v| v.core));
            cores.chain(products.iter().map(|v| v.factor)).collect()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn factors_times_the_rest_are_the_whole() {
        let program = Program::record(2, |v| {
            let [x, h] = [v[0], v[1]];
            let s = (h * x).exp();
            vec![h * s, h * s, x * (h * (h * s)), h + s, Recorded::lit(0.0), -(s * h)]
        });
        let factored = program.factored(1, |i| i == 1);
        let inputs = [0.7, 1.3];
        let (whole, parts) = (program.evaluate(&inputs), factored.evaluate(&inputs));
        assert_eq!(parts.len(), 6 + 5);
        assert_eq!(parts[0], whole[0]);
        for n in 1..6 {
            assert!((parts[n] * parts[5 + n] - whole[n]).abs() <= 1e-15 * whole[n].abs(), "output {n}");
        }
        assert_eq!(parts[6..], [1.3, 1.3 * 1.3, 1.0, 1.0, 1.3], "what was taken out");
        assert_eq!(factored.outputs[4], Recorded::Literal(0.0), "nothing stays nothing");
    }

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
