//! The sum of squares of several curves side by side at given nonlinear parameters, with all sums that the next step
//! needs. Everything is a column of an arena, and the sums are a list of products of columns made beforehand: four
//! products go through the points together.

use super::factor::triangle;
use super::layout::Layout;
use super::sums::{ROUNDS, Size, Sums};
use crate::math::{Instructions, Lanes, Scalar, Vectorised, array};
use crate::model::curve_model::{CurveModel, Separated};

/// A column times others; the sums go to consecutive places.
#[derive(Debug)]
struct Products {
    left: usize,
    right: Vec<usize>,
    to: usize,
}

/// A slope that is the sum of several terms: its column, and (term, column, factor) of each.
#[derive(Debug)]
struct Combined {
    column: usize,
    terms: Vec<(usize, usize, Option<usize>)>,
}

/// Curves of one number of points, lane by lane.
#[derive(Debug)]
pub struct Evaluation<'a, const L: usize> {
    kernel: &'a Vectorised,
    separated: &'a Separated,
    points: usize,
    arena: Vec<Lanes<L>>,
    response: usize,
    /// Responses less the constant part; the response itself where there is none.
    rest: usize,
    residual: usize,
    constant: Option<usize>,
    basis: Vec<usize>,
    combined: Vec<Combined>,
    of_basis: Vec<Products>,
    of_slopes: Vec<Products>,
    /// For each nonlinear parameter the term that multiplies its slope where there is only one, and its factor.
    single: Vec<Option<(usize, Option<usize>)>>,
    /// Terms with a slope: (nonlinear parameter, term, factor), in the order of their products with the residuals.
    pulls: Vec<(usize, usize, Option<usize>)>,
    /// (place in the triangle, term, factor) of each second derivative, behind them.
    bends: Vec<(usize, usize, Option<usize>)>,
    /// 1 for the constant part, then what multiplies each recorded basis function.
    level: Vec<Lanes<L>>,
    products: Vec<Lanes<L>>,
    /// What came out.
    pub sums: Sums<Lanes<L>>,
}

impl<'a, const L: usize> Evaluation<'a, L> {
    /// Room for curves of so many points.
    pub fn new(model: &'a CurveModel, points: usize, is_weighted: bool) -> Self {
        let kernel = if is_weighted { &model.weighted_kernel } else { &model.kernel };
        let separated = &model.separated;
        let (linear, nonlinear) = (separated.linear, separated.nonlinear);
        let mut columns = kernel.columns();
        let mut next = || {
            columns += 1;
            columns - 1
        };
        let response = next();
        let constant = kernel.column_of_output(Separated::CONSTANT);
        let rest = if constant.is_some() { next() } else { response };
        // A basis function that is 0 everywhere has a column of zeros, as has a slope that is.
        let mut column = |output: Option<usize>| output.unwrap_or_else(&mut next);
        let basis: Vec<usize> = (0..linear).map(|j| column(kernel.column_of_output(separated.basis(j)))).collect();
        let (mut slopes, mut single, mut combined, mut pulls) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        let mut of_residual = Vec::new();
        let factor = |output: usize| kernel.flat_output(separated.factor(output));
        for i in 0..nonlinear {
            let terms: Vec<(usize, usize, Option<usize>)> = (0..=linear)
                .filter_map(|term| {
                    let output = separated.slope(i, term);
                    Some((term, kernel.column_of_output(output)?, factor(output)))
                })
                .collect();
            pulls.extend(terms.iter().map(|(term, _, factor)| (i, *term, *factor)));
            of_residual.extend(terms.iter().map(|(_, column, _)| *column));
            if let [(term, column, factor)] = terms[..] {
                slopes.push(column);
                single.push(Some((term, factor)));
            } else {
                slopes.push(column(None));
                single.push(None);
                if !terms.is_empty() {
                    combined.push(Combined { column: slopes[i], terms });
                }
            }
        }
        let mut bends = Vec::new();
        if separated.second_order {
            for (i, l) in (0..nonlinear).flat_map(|i| (0..=i).map(move |l| (i, l))) {
                for term in 0..=linear {
                    let output = separated.curvature(i, l, term);
                    if let Some(column) = kernel.column_of_output(output) {
                        bends.push((triangle(i, l), term, factor(output)));
                        of_residual.push(column);
                    }
                }
            }
        }
        // Last, so that all others lie before it.
        let residual = next();
        of_residual.insert(0, residual);
        let mut to = 0;
        let mut products = |left: usize, right: Vec<usize>| {
            to += right.len();
            Products { left, to: to - right.len(), right }
        };
        let of_basis = (0..linear).map(|j| products(basis[j], [&basis[..=j], &[rest]].concat())).collect();
        let mut of_slopes = vec![products(residual, of_residual)];
        of_slopes.extend((0..nonlinear).map(|i| products(slopes[i], [&basis[..], &slopes[..=i]].concat())));
        let lanes = |n: usize| vec![Lanes([0.0; L]); n];
        let products = lanes(to);
        let mut arena = kernel.arena(points);
        arena.resize(kernel.column(columns, points), Lanes([0.0; L]));
        Self {
            kernel,
            separated,
            points,
            arena,
            response,
            rest,
            residual,
            constant,
            basis,
            combined,
            of_basis,
            of_slopes,
            single,
            pulls,
            bends,
            level: vec![Lanes([1.0; L]); linear + 1],
            products,
            sums: Sums::new(linear, nonlinear),
        }
    }

    fn place_of(&mut self, column: usize) -> &mut [Lanes<L>] {
        let from = self.kernel.column(column, self.points);
        &mut self.arena[from..from + self.points]
    }

    /// Gives a lane other points.
    pub fn load_layout(&mut self, lane: usize, layout: &Layout) {
        let columns = if layout.is_weighted() { &layout.weighted_columns } else { &layout.columns };
        let from = self.kernel.column(0, self.points);
        for (slot, value) in self.arena[from..].iter_mut().zip(columns) {
            slot.0[lane] = *value;
        }
    }

    /// Gives a lane other responses.
    pub fn load_response(&mut self, lane: usize, response: &[f64]) {
        for (slot, value) in self.place_of(self.response).iter_mut().zip(response) {
            slot.0[lane] = *value;
        }
    }

    /// The sum of squares at nonlinear parameters `theta`, linear ones solved for in their box; leaves everything
    /// that the next step needs in `sums`.
    #[inline(always)]
    pub fn evaluate(
        &mut self,
        instructions: impl Instructions,
        size: impl Size,
        theta: &[Lanes<L>],
        lower: &[Lanes<L>],
        upper: &[Lanes<L>],
    ) -> Lanes<L> {
        for (i, value) in theta.iter().enumerate() {
            self.arena[self.kernel.curve_input(i)] = *value;
        }
        self.kernel.run(instructions, self.points, &mut self.arena);
        if let Some(constant) = self.constant {
            instructions.run(
                #[inline(always)]
                || self.add(self.rest, Some(self.response), [(constant, Lanes::lit(-1.0))]),
            );
        }
        multiply(instructions, self.kernel, self.points, &self.arena, &self.of_basis, &mut self.products);
        instructions.run(
            #[inline(always)]
            || self.project(size, lower, upper),
        );
        multiply(instructions, self.kernel, self.points, &self.arena, &self.of_slopes, &mut self.products);
        instructions.run(
            #[inline(always)]
            || self.gather(size),
        )
    }

    /// Column `to` becomes column `from`, if there is one, plus multiples of others, all of which lie before it.
    #[inline(always)]
    fn add<const N: usize>(&mut self, to: usize, from: Option<usize>, others: [(usize, Lanes<L>); N]) {
        let (known, column) = self.arena.split_at_mut(self.kernel.column(to, self.points));
        let column = &mut column[..self.points];
        let known = |of: usize| &known[self.kernel.column(of, self.points)..][..self.points];
        let others: [(&[Lanes<L>], Lanes<L>); N] = array(|n| (known(others[n].0), others[n].1));
        let from = from.map(known);
        for k in 0..column.len() {
            let mut value = from.map_or(column[k], |from| from[k]);
            for (other, factor) in &others {
                value = value + *factor * other[k];
            }
            column[k] = value;
        }
    }

    /// The linear parameters and the residuals.
    #[inline(always)]
    fn project(&mut self, size: impl Size, lower: &[Lanes<L>], upper: &[Lanes<L>]) {
        let linear = size.linear();
        let mut at = 0;
        for j in 0..linear {
            for l in 0..=j {
                self.sums.gram[triangle(j, l)] = self.products[at + l];
            }
            self.sums.target[j] = self.products[at + j + 1];
            at += j + 2;
        }
        if self.separated.shares {
            self.sums.linear_from_shares(linear);
        }
        self.sums.solve(linear, lower, upper, ROUNDS, any);
        // What each recorded term is multiplied with: 1 for the constant part, then the linear parameters, or their
        // differences from the last one where the basis functions are shares.
        for j in 0..linear {
            let last = self.sums.solution[linear - 1];
            let own = self.sums.solution[j];
            self.level[1 + j] = if self.separated.shares && j + 1 < linear { own - last } else { own };
        }
        if linear == 2 {
            let others: [(usize, Lanes<L>); 2] = array(|j| (self.basis[j], -self.level[1 + j]));
            self.add(self.residual, Some(self.rest), others);
        } else {
            self.add(self.residual, Some(self.rest), []);
            for j in 0..linear {
                self.add(self.residual, None, [(self.basis[j], -self.level[1 + j])]);
            }
        }
        for at in 0..self.combined.len() {
            let column = self.combined[at].column;
            self.place_of(column).fill(Lanes::lit(0.0));
            for term in 0..self.combined[at].terms.len() {
                let (term, from, factor) = self.combined[at].terms[term];
                let factor = times(self.level[term], factor, &self.arena);
                self.add(column, None, [(from, factor)]);
            }
        }
    }

    /// The sums over the derivatives, from the products of columns. Gives the sum of squares.
    #[inline(always)]
    fn gather(&mut self, size: impl Size) -> Lanes<L> {
        let (linear, nonlinear) = (size.linear(), size.nonlinear());
        let zero = Lanes::lit(0.0);
        let mut products = self.products[self.of_slopes[0].to..].iter().copied();
        let mut next = || products.next().unwrap_or(zero);
        let sums = &mut self.sums;
        let sse = next();
        sums.gradient[..nonlinear].fill(zero);
        sums.pull[..nonlinear * linear].fill(zero);
        sums.bend[..triangle(nonlinear, 0)].fill(zero);
        for (i, term, factor) in &self.pulls {
            let pull = times(next(), *factor, &self.arena);
            sums.gradient[*i] = sums.gradient[*i] + self.level[*term] * pull;
            if *term > 0 {
                sums.pull[i * linear + *term - 1] = pull;
            }
        }
        for (place, term, factor) in &self.bends {
            sums.bend[*place] = sums.bend[*place] + times(self.level[*term], *factor, &self.arena) * next();
        }
        let one = Lanes::lit(1.0);
        let scale = |i: usize| self.single[i].map_or(one, |(term, f)| times(self.level[term], f, &self.arena));
        for i in 0..nonlinear {
            let own = scale(i);
            for j in 0..linear {
                sums.cross[i * linear + j] = own * next();
            }
            for l in 0..=i {
                sums.normal[triangle(i, l)] = own * scale(l) * next();
            }
        }
        if self.separated.shares {
            sums.slopes_from_shares(linear, nonlinear);
        }
        sse
    }
}

/// `value` times what stands at a place of the arena, if there is one.
#[inline(always)]
fn times<const L: usize>(value: Lanes<L>, factor: Option<usize>, arena: &[Lanes<L>]) -> Lanes<L> {
    factor.map_or(value, |at| value * arena[at])
}

/// Whether some lane of a mask is not zero.
#[inline(always)]
pub fn any<const L: usize>(mask: Lanes<L>) -> bool {
    mask.0.iter().any(|m| *m > 0.0)
}

/// A function of its own, so that it is compiled once and not for every size of the algebra.
fn multiply<const L: usize>(
    instructions: impl Instructions,
    kernel: &Vectorised,
    points: usize,
    arena: &[Lanes<L>],
    all: &[Products],
    to: &mut [Lanes<L>],
) {
    instructions.run(
        #[inline(always)]
        || {
            let column = |column: usize| &arena[kernel.column(column, points)..][..points];
            for Products { left, right, to: at } in all {
                let left = column(*left);
                let to = &mut to[*at..*at + right.len()];
                let mut right = right.chunks_exact(4);
                let mut to = to.chunks_exact_mut(4);
                for (right, to) in (&mut right).zip(&mut to) {
                    to.copy_from_slice(&dots::<4, L>(left, array(|i| column(right[i]))));
                }
                let to = to.into_remainder();
                match *right.remainder() {
                    [a, b, c] => to.copy_from_slice(&dots(left, [column(a), column(b), column(c)])),
                    [a, b] => to.copy_from_slice(&dots(left, [column(a), column(b)])),
                    [a] => to.copy_from_slice(&dots(left, [column(a)])),
                    _ => {}
                }
            }
        },
    );
}

/// The sums of a column times others.
#[inline(always)]
fn dots<const N: usize, const L: usize>(left: &[Lanes<L>], right: [&[Lanes<L>]; N]) -> [Lanes<L>; N] {
    let mut sums = [Lanes([0.0; L]); N];
    let right: [&[Lanes<L>]; N] = array(|n| &right[n][..left.len()]);
    for (k, left) in left.iter().enumerate() {
        for (sum, column) in sums.iter_mut().zip(&right) {
            *sum = *sum + *left * column[k];
        }
    }
    sums
}
