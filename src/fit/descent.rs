//! The descent on the CPU: several curves side by side in f64, a lane whose fit has ended takes the next one. Every
//! lane's arithmetic is its own, so neither the neighbours nor the number of lanes change a result.

use super::MAX_PARAMETERS;
use super::layout::Layout;
use super::separable::{
    DAMPING_ACCEPTED, DAMPING_REJECTED, FIRST_DAMPING, FREE_DAMPING, Known, LAST_DAMPING, LEAST_DAMPING, Room, Size,
    Stand, Sums, step, triangle,
};
use crate::math::vectorised::{Column, Vectorised};
use crate::math::{Instructions, Lanes, Scalar};
use crate::model::curve_model::{CurveModel, Separated};

/// A fit has converged when a further step is predicted to lower the sum of squares by less than this share of the
/// residual variance: every parameter is then within 3e-4 of its standard errors of the minimum (the relative-offset
/// criterion of Bates & Watts 1981, doi 10.1080/00401706.1981.10486297), and, steps being Newton's, nearer by far
/// after it. Scale-free, unlike a limit on the sum of squares itself.
const OFFSET: f64 = 1e-7;
/// For data without noise: residuals of 1e-13 of a response of 1 are rounding.
const ROUNDING: f64 = 1e-26;

/// One descent to be made.
#[derive(Debug, Clone, Copy)]
pub struct Task<'a> {
    /// Doses, weights and box.
    pub layout: &'a Layout,
    /// Responses of the points that take part, times the square roots of their weights.
    pub response: &'a [f64],
    /// A parameter that is not to move, and its value (centred where it is a location).
    pub fixed: Option<(usize, f64)>,
    /// Nonlinear parameters to begin with.
    pub begin: &'a [f64],
}

impl Task<'_> {
    /// The box of a parameter.
    pub fn bounds(&self, parameter: usize) -> (f64, f64) {
        match self.fixed {
            Some((fixed, value)) if fixed == parameter => (value, value),
            _ => (self.layout.lower[parameter], self.layout.upper[parameter]),
        }
    }

    /// Points less parameters that may move, at least 1.
    fn degrees_of_freedom(&self) -> f64 {
        let free = (0..self.layout.lower.len()).map(|p| self.bounds(p)).filter(|(l, u)| l < u).count();
        self.layout.points().saturating_sub(free).max(1) as f64
    }
}

/// Where a descent ended.
#[derive(Debug, Clone, Copy)]
pub struct End {
    /// All parameters in the model's order (locations centred).
    pub parameters: [f64; MAX_PARAMETERS],
    /// Their weighted sum of squares; infinite where the response was no number even at the beginning.
    pub sse: f64,
    /// The decrease that the first step promised, as a share of the residual variance: how far the beginning was
    /// from a minimum.
    pub first_offset: f64,
    /// Times that the model was evaluated.
    pub iterations: u32,
    /// Whether the limit ended it.
    pub exhausted: bool,
}

/// The terms of a model's derivatives that are not zero.
struct Terms {
    constant: bool,
    /// For each nonlinear parameter: (term, output).
    slopes: Vec<Vec<(usize, usize)>>,
    /// (place in the triangle, term, output).
    curvatures: Vec<(usize, usize, usize)>,
}

impl Terms {
    fn new(separated: &Separated, kernel: &Vectorised) -> Self {
        let there = |output: &usize| !kernel.is_constant(*output, 0.0);
        let slopes = (0..separated.nonlinear).map(|i| {
            let terms = (0..=separated.linear).map(|term| (term, separated.slope(i, term)));
            terms.filter(|(_, output)| there(output)).collect()
        });
        let mut curvatures = Vec::new();
        if separated.second_order {
            for i in 0..separated.nonlinear {
                for l in 0..=i {
                    let terms =
                        (0..=separated.linear).map(|term| (triangle(i, l), term, separated.curvature(i, l, term)));
                    curvatures.extend(terms.filter(|(_, _, output)| there(output)));
                }
            }
        }
        Self { constant: there(&Separated::CONSTANT), slopes: slopes.collect(), curvatures }
    }
}

/// Curves of one number of points, lane by lane, and room for what follows from them.
struct Bench<'a, const L: usize> {
    kernel: &'a Vectorised,
    separated: &'a Separated,
    terms: Terms,
    points: usize,
    arena: Vec<Lanes<L>>,
    response: Vec<Lanes<L>>,
    root_weight: Vec<Lanes<L>>,
    /// Weighted basis functions, then weighted slopes, each of `points` values.
    basis: Vec<Lanes<L>>,
    slopes: Vec<Lanes<L>>,
    residual: Vec<Lanes<L>>,
    scale: Vec<Lanes<L>>,
    sums: Sums<Lanes<L>>,
    gradient: Vec<Lanes<L>>,
    level: Vec<Lanes<L>>,
}

#[inline(always)]
fn dot<const L: usize>(a: &[Lanes<L>], b: &[Lanes<L>]) -> Lanes<L> {
    let mut sum = Lanes([0.0; L]);
    for (a, b) in a.iter().zip(b) {
        sum = sum + *a * *b;
    }
    sum
}

/// `f` of every slot, its weight and its value.
#[inline(always)]
fn combine<const L: usize>(
    slots: &mut [Lanes<L>],
    weights: &[Lanes<L>],
    values: Column<'_, L>,
    f: impl Fn(&mut Lanes<L>, Lanes<L>, Lanes<L>),
) {
    match values {
        Column::Same(value) => {
            for (slot, w) in slots.iter_mut().zip(weights) {
                f(slot, *w, value);
            }
        }
        Column::Each(values) => {
            for ((slot, w), value) in slots.iter_mut().zip(weights).zip(values) {
                f(slot, *w, *value);
            }
        }
    }
}

impl<'a, const L: usize> Bench<'a, L> {
    fn new(model: &'a CurveModel, points: usize) -> Self {
        let (kernel, separated) = (&model.kernel, &model.separated);
        let lanes = |n: usize| vec![Lanes([0.0; L]); n];
        let terms = Terms::new(separated, kernel);
        let wide = terms.slopes.iter().map(|t| t.len().max(1)).sum::<usize>();
        Self {
            kernel,
            separated,
            points,
            arena: kernel.arena(points),
            response: lanes(points),
            root_weight: lanes(points),
            basis: lanes(points * separated.linear),
            slopes: lanes(points * (wide + separated.nonlinear)),
            residual: lanes(points),
            scale: lanes(separated.nonlinear),
            sums: Sums::new(separated.linear, separated.nonlinear),
            gradient: lanes(separated.nonlinear),
            level: lanes(separated.linear + 1),
            terms,
        }
    }

    fn load_layout(&mut self, lane: usize, layout: &Layout) {
        for column in 0..self.kernel.point_columns() {
            let from = self.kernel.column(column, self.points);
            let values = &layout.columns[column * self.points..(column + 1) * self.points];
            for (slot, value) in self.arena[from..].iter_mut().zip(values) {
                slot.0[lane] = *value;
            }
        }
        for (slot, value) in self.root_weight.iter_mut().zip(&layout.root_weight) {
            slot.0[lane] = *value;
        }
    }

    /// The sum of squares at nonlinear parameters `theta`, linear ones solved for in their box; leaves everything that the next
    /// step needs in `sums`, `scale` and `gradient`.
    #[inline(always)]
    fn evaluate(
        &mut self,
        instructions: impl Instructions,
        size: impl Size,
        theta: &[Lanes<L>],
        lower: &[Lanes<L>],
        upper: &[Lanes<L>],
    ) -> Lanes<L> {
        let n = self.points;
        for (i, value) in theta.iter().enumerate() {
            self.arena[self.kernel.curve_input(i)] = *value;
        }
        instructions.run(
            #[inline(always)]
            || self.kernel.run(n, &mut self.arena),
        );
        instructions.run(
            #[inline(always)]
            || self.project(size, lower, upper),
        );
        instructions.run(
            #[inline(always)]
            || self.slopes(size),
        );
        dot(&self.residual, &self.residual)
    }

    /// Residuals and the linear parameters.
    #[inline(always)]
    fn project(&mut self, size: impl Size, lower: &[Lanes<L>], upper: &[Lanes<L>]) {
        let (n, linear) = (self.points, size.linear());

        // Residuals of the constant part, and the basis functions: all carry the square roots of the weights.
        self.residual.copy_from_slice(&self.response);
        if self.terms.constant {
            let constant = self.kernel.output(Separated::CONSTANT, n, &self.arena);
            combine(&mut self.residual, &self.root_weight, constant, |slot, w, v| *slot = *slot - w * v);
        }
        for j in 0..linear {
            let column = &mut self.basis[j * n..(j + 1) * n];
            let basis = self.kernel.output(self.separated.basis(j), n, &self.arena);
            combine(column, &self.root_weight, basis, |slot, w, v| *slot = w * v);
        }
        for j in 0..linear {
            let column = &self.basis[j * n..(j + 1) * n];
            for l in 0..=j {
                self.sums.gram[triangle(j, l)] = dot(column, &self.basis[l * n..(l + 1) * n]);
            }
            self.sums.target[j] = dot(column, &self.residual);
        }
        if self.separated.shares {
            self.sums.linear_from_shares(linear);
        }
        self.sums.solve(linear, lower, upper);

        // What each recorded term is multiplied with: 1 for the constant part, then the linear parameters, or their
        // differences from the last one where the basis functions are shares.
        self.level[0] = Lanes::lit(1.0);
        for j in 0..linear {
            let last = self.sums.solution[linear - 1];
            let own = self.sums.solution[j];
            self.level[1 + j] = if self.separated.shares && j + 1 < linear { own - last } else { own };
        }
        for j in 0..linear {
            let level = self.level[1 + j];
            for (r, b) in self.residual.iter_mut().zip(&self.basis[j * n..(j + 1) * n]) {
                *r = *r - level * *b;
            }
        }
    }

    /// Sums over the derivatives, once the residuals and linear parameters are there.
    #[inline(always)]
    fn slopes(&mut self, size: impl Size) {
        let (n, linear, nonlinear) = (self.points, size.linear(), size.nonlinear());
        // Column `i` of the slopes is the derivative by parameter `i` but for the factor `scale[i]`; single terms
        // (behind those) are kept where there are several.
        let mut next = nonlinear * n;
        for i in 0..nonlinear {
            let row = i * linear;
            for j in 0..linear {
                self.sums.pull[row + j] = Lanes::lit(0.0);
            }
            self.gradient[i] = Lanes::lit(0.0);
            self.scale[i] = Lanes::lit(1.0);
            let single = self.terms.slopes[i].len() == 1;
            if self.terms.slopes[i].is_empty() {
                self.slopes[i * n..(i + 1) * n].fill(Lanes::lit(0.0));
            }
            for (nth, (term, which)) in self.terms.slopes[i].iter().enumerate() {
                let values = self.kernel.output(*which, n, &self.arena);
                let level = self.level[*term];
                let to = if single { i * n } else { next };
                let column = &mut self.slopes[to..to + n];
                combine(column, &self.root_weight, values, |slot, w, v| *slot = w * v);
                let pull = dot(column, &self.residual);
                if *term > 0 {
                    self.sums.pull[row + *term - 1] = pull;
                }
                self.gradient[i] = self.gradient[i] + level * pull;
                if single {
                    self.scale[i] = level;
                } else {
                    let (sums, terms) = self.slopes.split_at_mut(nonlinear * n);
                    let term = &terms[next - nonlinear * n..][..n];
                    for (slot, value) in sums[i * n..(i + 1) * n].iter_mut().zip(term) {
                        *slot = if nth == 0 { level * *value } else { *slot + level * *value };
                    }
                    next += n;
                }
            }
        }
        for i in 0..nonlinear {
            let column = &self.slopes[i * n..(i + 1) * n];
            for l in 0..=i {
                let scale = self.scale[i] * self.scale[l];
                self.sums.normal[triangle(i, l)] = scale * dot(column, &self.slopes[l * n..(l + 1) * n]);
                self.sums.bend[triangle(i, l)] = Lanes::lit(0.0);
            }
            for j in 0..linear {
                self.sums.cross[i * linear + j] = self.scale[i] * dot(column, &self.basis[j * n..(j + 1) * n]);
            }
        }
        if !self.terms.curvatures.is_empty() {
            // Both factors carry a square root of the weight; the residual has one already.
            let weighted = &mut self.slopes[..n];
            for ((slot, r), w) in weighted.iter_mut().zip(&self.residual).zip(&self.root_weight) {
                *slot = *r * *w;
            }
            for (place, term, which) in &self.terms.curvatures {
                let values = self.kernel.output(*which, n, &self.arena);
                let sum = match values {
                    Column::Each(values) => dot(&self.slopes[..n], values),
                    Column::Same(value) => self.slopes[..n].iter().fold(Lanes::lit(0.0), |sum, r| sum + *r * value),
                };
                self.sums.bend[*place] = self.sums.bend[*place] + self.level[*term] * sum;
            }
        }
        if self.separated.shares {
            self.sums.slopes_from_shares(linear, nonlinear);
        }
    }
}

#[inline(always)]
fn keep_better<const L: usize>(trial: Lanes<L>, before: Lanes<L>, new: &[Lanes<L>], old: &mut [Lanes<L>]) {
    for (old, new) in old.iter_mut().zip(new) {
        *old = trial.select_less(before, *new, *old);
    }
}

/// Makes every descent; ends are in the order of the tasks, all of which have one number of points.
#[inline(always)]
pub fn descend<const L: usize>(
    instructions: impl Instructions,
    model: &CurveModel,
    tasks: &[Task<'_>],
    max_iterations: u32,
) -> Vec<End> {
    // The algebra of the commonest size is compiled with the size known.
    match (model.separated.linear, model.separated.nonlinear) {
        (2, 2) => instructions.run(
            #[inline(always)]
            || descend_sized::<L>(instructions, Known::<2, 2>, model, tasks, max_iterations),
        ),
        size => instructions.run(
            #[inline(always)]
            || descend_sized::<L>(instructions, size, model, tasks, max_iterations),
        ),
    }
}

/// [`descend`] with the numbers of linear and nonlinear parameters.
#[inline(always)]
fn descend_sized<const L: usize>(
    instructions: impl Instructions,
    size: impl Size,
    model: &CurveModel,
    tasks: &[Task<'_>],
    max_iterations: u32,
) -> Vec<End> {
    let (linear, nonlinear) = (size.linear(), size.nonlinear());
    let points = tasks.first().map_or(0, |t| t.layout.points());
    let lanes = |n: usize| vec![Lanes([0.0; L]); n];
    let mut bench = Bench::<L>::new(model, points);
    let mut room = Room::new(linear, nonlinear);
    let mut stand = Stand::<Lanes<L>>::new(linear, nonlinear);
    let (mut best, mut damping) = (Lanes([0.0; L]), Lanes([FIRST_DAMPING; L]));
    let mut target = lanes(nonlinear);
    let nowhere = End {
        parameters: [0.0; MAX_PARAMETERS],
        sse: f64::INFINITY,
        first_offset: f64::INFINITY,
        iterations: 0,
        exhausted: false,
    };
    let mut ends = vec![nowhere; tasks.len()];
    let mut task = [usize::MAX; L];
    let mut iterations = [0u32; L];
    let (mut freedom, mut floor) = ([1.0; L], [0.0; L]);
    let mut layout: [Option<&Layout>; L] = [None; L];
    let (mut next, mut live) = (0, 0);
    macro_rules! refill {
        ($lane:expr) => {
            if let Some(begin) = tasks.get(next) {
                let lane = $lane;
                task[lane] = next;
                iterations[lane] = 0;
                if !layout[lane].is_some_and(|l| std::ptr::eq(l, begin.layout)) {
                    bench.load_layout(lane, begin.layout);
                    layout[lane] = Some(begin.layout);
                }
                for (slot, value) in bench.response.iter_mut().zip(begin.response) {
                    slot.0[lane] = *value;
                }
                for (j, p) in model.linear.iter().enumerate() {
                    (stand.linear_lower[j].0[lane], stand.linear_upper[j].0[lane]) = begin.bounds(*p);
                }
                for (i, p) in model.nonlinear.iter().enumerate() {
                    let (low, high) = begin.bounds(*p);
                    (stand.lower[i].0[lane], stand.upper[i].0[lane]) = (low, high);
                    stand.theta[i].0[lane] = begin.begin[i].clamp(low, high);
                    target[i].0[lane] = stand.theta[i].0[lane];
                }
                freedom[lane] = begin.degrees_of_freedom();
                floor[lane] = ROUNDING * begin.layout.total_weight;
                best.0[lane] = f64::INFINITY;
                damping.0[lane] = FIRST_DAMPING;
                next += 1;
                live += 1;
            } else {
                task[$lane] = usize::MAX;
            }
        };
    }
    for lane in 0..L {
        refill!(lane);
    }
    while live > 0 {
        // The new lanes' first evaluation is at their beginning; all others' is where their step leads.
        let sse = bench.evaluate(instructions, size, &target, &stand.linear_lower, &stand.linear_upper);
        let before = best;
        keep_better(sse, before, &target[..nonlinear], &mut stand.theta[..nonlinear]);
        keep_better(sse, before, &bench.sums.solution[..linear], &mut stand.linear[..linear]);
        keep_better(sse, before, &bench.gradient[..nonlinear], &mut stand.gradient[..nonlinear]);
        for (new, old) in bench.sums.parts(linear, nonlinear).into_iter().zip(stand.sums.parts_mut(linear, nonlinear)) {
            keep_better(sse, before, new, old);
        }
        best = sse.select_less(before, sse, before);
        let eased = (damping * Lanes::lit(DAMPING_ACCEPTED)).max(Lanes::lit(LEAST_DAMPING));
        let raised = damping.max(Lanes::lit(FIRST_DAMPING)) * Lanes::lit(DAMPING_REJECTED);
        damping = sse.select_less(before, eased, raised);
        for lane in 0..L {
            if task[lane] == usize::MAX {
                continue;
            }
            iterations[lane] += 1;
            if iterations[lane] == 1 {
                damping.0[lane] = FIRST_DAMPING;
            }
        }
        let offset = instructions.run(
            #[inline(always)]
            || {
                let any = |mask: Lanes<L>| mask.0.iter().any(|m| *m > 0.0);
                step(instructions, size, &stand, model.separated.second_order, damping, &mut room, &mut target, any)
            },
        );
        for lane in 0..L {
            if task[lane] == usize::MAX {
                continue;
            }
            let sse = best.0[lane];
            let variance = sse / freedom[lane];
            let offset = offset.0[lane];
            let end = &mut ends[task[lane]];
            if iterations[lane] == 1 {
                end.first_offset = if offset > floor[lane] { offset / variance } else { 0.0 };
            }
            let settled = offset <= OFFSET * variance + floor[lane] && damping.0[lane] <= FREE_DAMPING;
            let stuck = damping.0[lane] > LAST_DAMPING || !sse.is_finite() || offset.is_nan();
            let exhausted = iterations[lane] >= max_iterations;
            if settled || stuck || exhausted {
                for (i, p) in model.nonlinear.iter().enumerate() {
                    end.parameters[*p] = stand.theta[i].0[lane];
                }
                for (j, p) in model.linear.iter().enumerate() {
                    end.parameters[*p] = stand.linear[j].0[lane];
                }
                end.sse = sse;
                end.iterations = iterations[lane];
                end.exhausted = exhausted && !settled && !stuck;
                live -= 1;
                refill!(lane);
            }
        }
    }
    ends
}
