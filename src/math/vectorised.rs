//! A [`Program`] made ready to run for many points of many curves at once: what depends on the point alone is worked
//! out beforehand, what depends on the curve alone once a call, and the rest as loops over points of [`Lanes`] of
//! curves. The loops are long enough that choosing the operation costs next to nothing.

use super::operation::Operation as Op;
use super::program::{Program, Recorded};
use super::{Instructions, Lanes, Scalar};
use Recorded::{Literal, Value};

/// Programs with fewer columns are short, as are the curves that they are run for: all their columns are near.
const MANY_COLUMNS: usize = 100;

/// Where an operand lies in the arena.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Place {
    /// One value a curve, at this index.
    Flat(usize),
    /// One value a point, in this column.
    Column(usize),
}

#[derive(Debug, Clone, Copy)]
struct Step {
    operation: Op,
    operands: [Place; 4],
    to: Place,
    /// Where the slope of a logistic goes that is wanted as well.
    slope: Option<Place>,
}

/// A program laid out over an arena: first the flat values (constants, inputs of the curve, what follows from
/// these), then columns of as many values as there are points (what follows from the points alone, then the rest).
#[derive(Debug, Clone)]
pub struct Vectorised {
    constants: Vec<f64>,
    curve_inputs: usize,
    flat: usize,
    columns: usize,
    /// From the inputs of a point to the first [`Vectorised::point_columns`] columns.
    hoisted: Program,
    curve_steps: Vec<Step>,
    point_steps: Vec<Step>,
    outputs: Vec<Place>,
    /// Outputs without a column of their own that are given one, and those of them that are constants.
    spread: Vec<(usize, usize)>,
    filled: Vec<(usize, f64)>,
    /// The column of each output; none for the constant 0.
    columns_of_outputs: Vec<Option<usize>>,
}

impl Vectorised {
    /// Of a program whose first `point_inputs` inputs belong to the point, the others to the curve.
    pub fn new(program: &Program, point_inputs: usize) -> Self {
        let operations = &program.operations;
        // What each operation depends on: the point, the curve.
        let mut depends = vec![(false, false); operations.len()];
        for (n, operation) in operations.iter().enumerate() {
            depends[n] = match operation {
                Op::Input(i) => ((*i as usize) < point_inputs, (*i as usize) >= point_inputs),
                other => other.operands().fold((false, false), |(point, curve), v| match v {
                    Literal(_) => (point, curve),
                    Value(m) => (point || depends[m as usize].0, curve || depends[m as usize].1),
                }),
            };
        }
        let of_point = |n: usize| depends[n] == (true, false);
        // Values of the point alone that something else needs.
        let wanted = program.wanted_first(|i| i < point_inputs);
        let hoisted = program.with_outputs(point_inputs, wanted.iter().map(|n| Value(*n)).collect());

        let mut constants: Vec<f64> = Vec::new();
        let mut literal = |v: f64| match constants.iter().position(|c| c.to_bits() == v.to_bits()) {
            Some(at) => at,
            None => {
                constants.push(v);
                constants.len() - 1
            }
        };
        let literals = operations.iter().flat_map(|o| o.operands()).chain(program.outputs.iter().copied());
        for v in literals {
            if let Literal(v) = v {
                literal(v);
            }
        }
        let curve_inputs = program.inputs.saturating_sub(point_inputs);
        let mut flat = constants.len() + curve_inputs;
        let mut columns = wanted.len();
        let mut places = vec![Place::Flat(0); operations.len()];
        let (mut curve_steps, mut point_steps): (Vec<Step>, Vec<Step>) = Default::default();
        let place = |places: &[Place], v: Recorded| match v {
            Literal(v) => Place::Flat(constants.iter().position(|c| c.to_bits() == v.to_bits()).unwrap_or(0)),
            Value(n) => places[n as usize],
        };
        for (n, operation) in operations.iter().enumerate() {
            if of_point(n) {
                if let Some(column) = wanted.iter().position(|w| *w as usize == n) {
                    places[n] = Place::Column(column);
                }
                continue;
            }
            if let Op::Input(i) = operation {
                places[n] = Place::Flat(constants.len() + *i as usize - point_inputs);
                continue;
            }
            let is_point = depends[n].0;
            let (steps, to) = if is_point {
                columns += 1;
                (&mut point_steps, Place::Column(columns - 1))
            } else {
                flat += 1;
                (&mut curve_steps, Place::Flat(flat - 1))
            };
            places[n] = to;
            // A slope stands right behind its logistic where both are wanted: one step makes both.
            if let (Op::LogisticSlope(a), Some(last)) = (*operation, steps.last_mut())
                && last.operation == Op::Logistic(a)
            {
                last.slope = Some(to);
                continue;
            }
            let mut operands = [Place::Flat(0); 4];
            for (slot, v) in operands.iter_mut().zip(operation.operands()) {
                *slot = place(&places, v);
            }
            steps.push(Step { operation: *operation, operands, to, slope: None });
        }
        let mut outputs: Vec<Place> = program.outputs.iter().map(|v| place(&places, *v)).collect();
        Self {
            columns: reuse_columns(wanted.len(), columns, &mut point_steps, &mut outputs),
            constants,
            curve_inputs,
            flat,
            hoisted,
            curve_steps,
            point_steps,
            outputs,
            spread: Vec::new(),
            filled: Vec::new(),
            columns_of_outputs: Vec::new(),
        }
    }

    /// The same with a column for each of the first `count` outputs but for the constant 0, whether the points differ
    /// or not.
    pub fn with_columns(mut self, count: usize) -> Self {
        for n in 0..count {
            let output = self.outputs[n];
            let column = match output {
                Place::Column(column) => Some(column),
                Place::Flat(at) => match self.constants.get(at) {
                    Some(0.0) => None,
                    Some(value) => {
                        let known = self.filled.iter().find(|(_, v)| v.to_bits() == value.to_bits());
                        Some(known.map(|(column, _)| *column).unwrap_or_else(|| {
                            self.filled.push((self.columns, *value));
                            self.columns += 1;
                            self.columns - 1
                        }))
                    }
                    None => {
                        let known = self.spread.iter().find(|(_, from)| *from == at);
                        Some(known.map(|(column, _)| *column).unwrap_or_else(|| {
                            self.spread.push((self.columns, at));
                            self.columns += 1;
                            self.columns - 1
                        }))
                    }
                },
            };
            self.columns_of_outputs.push(column);
        }
        self
    }

    /// The column of output `n`; none for the constant 0 (and before [`Vectorised::with_columns`]).
    pub fn column_of_output(&self, n: usize) -> Option<usize> {
        self.columns_of_outputs.get(n).copied().flatten()
    }

    /// Where in the arena output `n` lies if it is the same at all points; none if it is 1.
    pub fn flat_output(&self, n: usize) -> Option<usize> {
        match self.outputs[n] {
            Place::Flat(at) => (self.constants.get(at) != Some(&1.0)).then_some(at),
            Place::Column(_) => None,
        }
    }

    /// Number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// Columns that follow from the points alone.
    pub fn point_columns(&self) -> usize {
        self.hoisted.outputs.len()
    }

    /// The values of those columns at a point.
    pub fn hoist(&self, point: &[f64]) -> Vec<f64> {
        self.hoisted.evaluate(point)
    }

    /// An arena for `points` points, constants in place.
    pub fn arena<const L: usize>(&self, points: usize) -> Vec<Lanes<L>> {
        let mut arena = vec![Lanes([0.0; L]); self.flat + self.columns * points];
        for (slot, constant) in arena.iter_mut().zip(&self.constants) {
            *slot = Lanes([*constant; L]);
        }
        for (column, value) in &self.filled {
            arena[self.column(*column, points)..self.column(column + 1, points)].fill(Lanes([*value; L]));
        }
        arena
    }

    /// Index in the arena of input `n` of the curve.
    pub fn curve_input(&self, n: usize) -> usize {
        self.constants.len() + n
    }

    /// Index in the arena of the first value of a column.
    #[inline(always)]
    pub fn column(&self, column: usize, points: usize) -> usize {
        self.flat + column * points
    }

    /// Where output `n` lies.
    pub fn place(&self, n: usize) -> Place {
        self.outputs[n]
    }

    /// Whether output `n` is this constant whatever the inputs.
    pub fn is_constant(&self, n: usize, constant: f64) -> bool {
        matches!(self.outputs[n], Place::Flat(at) if self.constants.get(at) == Some(&constant))
    }

    /// Output `n` as a column, or as the value that all points share.
    #[inline(always)]
    pub fn output<'a, const L: usize>(&self, n: usize, points: usize, arena: &'a [Lanes<L>]) -> Column<'a, L> {
        match self.outputs[n] {
            Place::Flat(at) => Column::Same(arena[at]),
            Place::Column(c) => Column::Each(&arena[self.column(c, points)..self.column(c + 1, points)]),
        }
    }

    /// Works out everything from the curve inputs and point columns in the arena. A function of its own, which is
    /// compiled once for each set of instructions.
    pub fn run<const L: usize>(&self, instructions: impl Instructions, points: usize, arena: &mut [Lanes<L>]) {
        instructions.run(
            #[inline(always)]
            || self.run_steps(points, arena),
        );
    }

    #[inline(always)]
    fn run_steps<const L: usize>(&self, points: usize, arena: &mut [Lanes<L>]) {
        for step in &self.curve_steps {
            self.step(step, 1, points, arena);
        }
        for step in &self.point_steps {
            self.step(step, points, points, arena);
        }
        for (column, from) in &self.spread {
            let value = arena[*from];
            arena[self.column(*column, points)..self.column(column + 1, points)].fill(value);
        }
    }

    #[inline(always)]
    fn step<const L: usize>(&self, step: &Step, length: usize, points: usize, arena: &mut [Lanes<L>]) {
        let at = |place: Place| match place {
            Place::Flat(n) => n,
            Place::Column(c) => self.column(c, points),
        };
        // No result takes the place of an operand of its own, and the slope of a logistic lies behind its value.
        let to = at(step.to);
        let (before, rest) = arena.split_at_mut(to);
        let (out, after) = rest.split_at_mut(length);
        let behind = to + length;
        if let (Op::Logistic(_), Some(slope)) = (step.operation, step.slope) {
            let (between, rest) = after.split_at_mut(at(slope) - behind);
            let (slopes, after) = rest.split_at_mut(length);
            let a = match (step.operands[0], at(step.operands[0])) {
                (Place::Flat(n), _) => Column::Same(before[n]),
                (_, from) if from < to => Column::Each(&before[from..][..length]),
                (_, from) if from < at(slope) => Column::Each(&between[from - behind..][..length]),
                (_, from) => Column::Each(&after[from - at(slope) - length..][..length]),
            };
            for (k, (value, slope)) in out.iter_mut().zip(slopes).enumerate() {
                (*value, *slope) = a.at(k).logistic_and_slope();
            }
            return;
        }
        let operand = |n: usize| match (step.operands[n], at(step.operands[n])) {
            (Place::Flat(n), _) => Column::Same(before[n]),
            (_, from) if from < to => Column::Each(&before[from..][..length]),
            (_, from) => Column::Each(&after[from - behind..][..length]),
        };
        match step.operation {
            Op::Input(_) => {}
            Op::Add(..) => binary(out, operand(0), operand(1), |a, b| a + b),
            Op::Sub(..) => binary(out, operand(0), operand(1), |a, b| a - b),
            Op::Mul(..) => binary(out, operand(0), operand(1), |a, b| a * b),
            Op::Div(..) => binary(out, operand(0), operand(1), |a, b| a / b),
            Op::Min(..) => binary(out, operand(0), operand(1), Scalar::min),
            Op::Max(..) => binary(out, operand(0), operand(1), Scalar::max),
            Op::Neg(_) => unary(out, operand(0), |a| -a),
            Op::Exp(_) => unary(out, operand(0), Scalar::exp),
            Op::Ln(_) => unary(out, operand(0), Scalar::ln),
            Op::Sqrt(_) => unary(out, operand(0), Scalar::sqrt),
            Op::Sin(_) => unary(out, operand(0), Scalar::sin),
            Op::Cos(_) => unary(out, operand(0), Scalar::cos),
            Op::Atan(_) => unary(out, operand(0), Scalar::atan),
            Op::Abs(_) => unary(out, operand(0), Scalar::abs),
            Op::Logistic(_) => unary(out, operand(0), Scalar::logistic),
            Op::LogisticSlope(_) => unary(out, operand(0), |a| a.logistic_and_slope().1),
            Op::SelectLess(..) => {
                let [a, b, c, d] = [operand(0), operand(1), operand(2), operand(3)];
                for (k, out) in out.iter_mut().enumerate() {
                    *out = a.at(k).select_less(b.at(k), c.at(k), d.at(k));
                }
            }
        }
    }

    /// Number of inputs that belong to the curve.
    pub fn curve_inputs(&self) -> usize {
        self.curve_inputs
    }
}

/// Lets results take the columns of what no later step and no output needs, where there are so many that the arena of a
/// surface would leave the near cache. The first `fixed` of the `columns` are given and stay. Gives how many are left.
fn reuse_columns(fixed: usize, columns: usize, steps: &mut [Step], outputs: &mut [Place]) -> usize {
    if columns < MANY_COLUMNS {
        return columns;
    }
    let mut last_use = vec![0; columns];
    for (n, step) in steps.iter().enumerate() {
        for place in step.operands {
            if let Place::Column(column) = place {
                last_use[column] = n;
            }
        }
    }
    for place in outputs.iter() {
        if let Place::Column(column) = place {
            last_use[*column] = usize::MAX;
        }
    }
    let mut moved: Vec<usize> = (0..columns).collect();
    let mut free: Vec<usize> = Vec::new();
    let mut count = fixed;
    for (n, step) in steps.iter_mut().enumerate() {
        let given = step.operands;
        let mut results = [Some(&mut step.to), step.slope.as_mut()].map(|place| match place {
            Some(Place::Column(column)) => Some(column),
            _ => None,
        });
        let mut taken: Vec<usize> = results
            .iter()
            .flatten()
            .map(|_| {
                free.pop().unwrap_or_else(|| {
                    count += 1;
                    count - 1
                })
            })
            .collect();
        taken.sort_unstable();
        for (result, to) in results.iter_mut().flatten().zip(taken) {
            moved[**result] = to;
            **result = to;
        }
        let mut freed = Vec::new();
        for (operand, from) in step.operands.iter_mut().zip(given) {
            if let (Place::Column(operand), Place::Column(from)) = (operand, from) {
                *operand = moved[from];
                if last_use[from] == n && from >= fixed && !freed.contains(operand) {
                    freed.push(*operand);
                }
            }
        }
        free.extend(freed);
    }
    for place in outputs {
        if let Place::Column(column) = place {
            *column = moved[*column];
        }
    }
    count
}

/// Values of the points: each its own, or all the same.
#[derive(Debug, Clone, Copy)]
pub enum Column<'a, const L: usize> {
    /// The same for all.
    Same(Lanes<L>),
    /// One each.
    Each(&'a [Lanes<L>]),
}

impl<const L: usize> Column<'_, L> {
    /// The value at point `k`.
    #[inline(always)]
    pub fn at(&self, k: usize) -> Lanes<L> {
        match self {
            Column::Same(v) => *v,
            Column::Each(all) => all[k],
        }
    }
}

#[inline(always)]
fn unary<const L: usize>(out: &mut [Lanes<L>], a: Column<'_, L>, f: impl Fn(Lanes<L>) -> Lanes<L>) {
    match a {
        Column::Same(a) => out.fill(f(a)),
        Column::Each(a) => {
            for (out, a) in out.iter_mut().zip(a) {
                *out = f(*a);
            }
        }
    }
}

#[inline(always)]
fn binary<const L: usize>(
    out: &mut [Lanes<L>],
    a: Column<'_, L>,
    b: Column<'_, L>,
    f: impl Fn(Lanes<L>, Lanes<L>) -> Lanes<L>,
) {
    match (a, b) {
        (Column::Same(a), Column::Same(b)) => out.fill(f(a, b)),
        (Column::Same(a), Column::Each(b)) => {
            for (out, b) in out.iter_mut().zip(b) {
                *out = f(a, *b);
            }
        }
        (Column::Each(a), Column::Same(b)) => {
            for (out, a) in out.iter_mut().zip(a) {
                *out = f(*a, b);
            }
        }
        (Column::Each(a), Column::Each(b)) => {
            for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
                *out = f(*a, *b);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::instructions::Portable;

    #[test]
    fn lanes_compute_what_the_program_says() {
        // Inputs: one of the point, two of the curve. Something of each kind of dependence, and a constant output.
        let program = Program::record(3, |v| {
            let [x, a, b] = [v[0], v[1], v[2]];
            let (q, s) = ((x - a) * b.exp()).logistic_and_slope();
            vec![q, s * x.abs(), a / b, x.sqrt().max(a), Literal(1.0), a.select_less(x, b, x)]
        });
        let vectorised = Vectorised::new(&program, 1);
        let points = [0.25, 1.0, 2.5];
        let mut arena = vectorised.arena::<4>(points.len());
        for (k, x) in points.iter().enumerate() {
            for (c, value) in vectorised.hoist(&[*x]).into_iter().enumerate() {
                arena[vectorised.column(c, points.len()) + k] = Lanes([value; 4]);
            }
        }
        let curves = [[0.5, 0.2], [1.5, -0.7], [0.0, 1.0], [-2.0, 3.0]];
        for (lane, [a, b]) in curves.iter().enumerate() {
            arena[vectorised.curve_input(0)].0[lane] = *a;
            arena[vectorised.curve_input(1)].0[lane] = *b;
        }
        vectorised.run(Portable, points.len(), &mut arena);
        for (k, x) in points.iter().enumerate() {
            for (lane, [a, b]) in curves.iter().enumerate() {
                let direct = program.evaluate(&[*x, *a, *b]);
                for (n, value) in direct.iter().enumerate() {
                    assert_eq!(vectorised.output(n, points.len(), &arena).at(k).0[lane], *value, "{n} {k} {lane}");
                }
            }
        }
        assert!(vectorised.is_constant(4, 1.0) && !vectorised.is_constant(4, 0.0) && !vectorised.is_constant(0, 1.0));
    }
}
