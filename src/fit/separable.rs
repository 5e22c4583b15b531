//! The arithmetic of one step of a separable least-squares fit (variable projection: Golub & Pereyra 1973,
//! doi 10.1137/0710036; Kaufman 1975, doi 10.1007/BF01932995), written once over [`Scalar`]: lanes run it on the CPU,
//! and the same functions are recorded as WGSL for the GPU.
//!
//! The linear parameters `c` are solved for inside their box at every value of the nonlinear parameters `theta`, so
//! the search is over `theta` alone. Symmetric matrices are lower triangles, row after row.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use crate::math::{Instructions, Scalar};

/// Damping at the start of a fit.
pub const FIRST_DAMPING: f64 = 0.1;
/// Damping after an accepted step is multiplied by this, down to [`LEAST_DAMPING`].
pub const DAMPING_ACCEPTED: f64 = 0.1;
/// Damping after a rejected step is at least [`FIRST_DAMPING`] times this, or as much more.
pub const DAMPING_REJECTED: f64 = 6.0;
/// See [`DAMPING_ACCEPTED`].
pub const LEAST_DAMPING: f64 = 1e-9;
/// Damping beyond which no step can help any more.
pub const LAST_DAMPING: f64 = 1e8;
/// Damping below which a short step means that the minimum is near, not that the steps are held back.
pub const FREE_DAMPING: f64 = 1.0;
/// The share of its diagonal that a pivot keeps at least, so that a flat valley has no division by zero.
const PIVOT: f64 = 1e-12;
/// Pivots below this share mean that a Newton matrix has no minimum to lead to.
const DEFINITE: f64 = 1e-10;
/// Added to each diagonal: a parameter without any influence then stays where it is.
const TINY: f64 = 1e-30;

/// How many linear and nonlinear parameters there are, known when the program is compiled or only when it runs.
pub trait Size: Copy {
    /// Linear parameters.
    fn linear(self) -> usize;
    /// Nonlinear parameters.
    fn nonlinear(self) -> usize;
}

/// `C` linear and `K` nonlinear parameters.
#[derive(Debug, Clone, Copy)]
pub struct Known<const C: usize, const K: usize>;

impl<const C: usize, const K: usize> Size for Known<C, K> {
    #[inline(always)]
    fn linear(self) -> usize {
        C
    }
    #[inline(always)]
    fn nonlinear(self) -> usize {
        K
    }
}

/// So many linear and nonlinear parameters.
impl Size for (usize, usize) {
    #[inline(always)]
    fn linear(self) -> usize {
        self.0
    }
    #[inline(always)]
    fn nonlinear(self) -> usize {
        self.1
    }
}

/// Place of row `i`, column `j <= i` in a lower triangle.
#[inline(always)]
pub fn triangle(i: usize, j: usize) -> usize {
    i * (i + 1) / 2 + j
}

/// Entry of a symmetric matrix.
#[inline(always)]
fn entry<S: Copy>(matrix: &[S], i: usize, j: usize) -> S {
    if i >= j { matrix[triangle(i, j)] } else { matrix[triangle(j, i)] }
}

/// Cholesky factor with inverted diagonal, in place; gives the smallest pivot as a share of its diagonal.
#[inline(always)]
fn factorise<S: Scalar>(n: usize, matrix: &mut [S]) -> S {
    let mut smallest = S::lit(1.0);
    for i in 0..n {
        for j in 0..i {
            let mut sum = matrix[triangle(i, j)];
            for k in 0..j {
                sum = sum - matrix[triangle(i, k)] * matrix[triangle(j, k)];
            }
            matrix[triangle(i, j)] = sum * matrix[triangle(j, j)];
        }
        let diagonal = matrix[triangle(i, i)];
        let mut sum = diagonal;
        for k in 0..i {
            sum = sum - matrix[triangle(i, k)] * matrix[triangle(i, k)];
        }
        let size = diagonal.abs() + S::lit(TINY);
        smallest = smallest.min(sum / size);
        matrix[triangle(i, i)] = S::lit(1.0) / sum.max(size * S::lit(PIVOT)).sqrt();
    }
    smallest
}

/// Solves `L x = b` in place.
#[inline(always)]
fn forward<S: Scalar>(n: usize, factor: &[S], x: &mut [S]) {
    for i in 0..n {
        for k in 0..i {
            x[i] = x[i] - factor[triangle(i, k)] * x[k];
        }
        x[i] = x[i] * factor[triangle(i, i)];
    }
}

/// Solves `L' x = b` in place.
#[inline(always)]
fn backward<S: Scalar>(n: usize, factor: &[S], x: &mut [S]) {
    for i in (0..n).rev() {
        for k in i + 1..n {
            x[i] = x[i] - factor[triangle(k, i)] * x[k];
        }
        x[i] = x[i] * factor[triangle(i, i)];
    }
}

/// 1 strictly between the ends, 0 elsewhere.
#[inline(always)]
fn inside<S: Scalar>(x: S, lower: S, upper: S) -> S {
    let (zero, one) = (S::lit(0.0), S::lit(1.0));
    lower.select_less(x, x.select_less(upper, one, zero), zero)
}

/// Copies `matrix` with unit rows for what is not `free`.
#[inline(always)]
fn masked<S: Scalar>(n: usize, matrix: &[S], free: &[S], to: &mut [S]) {
    for i in 0..n {
        for j in 0..i {
            to[triangle(i, j)] = matrix[triangle(i, j)] * free[i] * free[j];
        }
        to[triangle(i, i)] = matrix[triangle(i, i)] * free[i] + (S::lit(1.0) - free[i]);
    }
}

/// Sums over the points of one curve, and what follows from them. Bases `j` are those of the linear parameters.
#[derive(Debug, Clone)]
pub struct Sums<S> {
    /// Linear parameters.
    pub linear: usize,
    /// Nonlinear parameters.
    pub nonlinear: usize,
    /// Basis by basis.
    pub gram: Vec<S>,
    /// Basis by response less the constant part.
    pub target: Vec<S>,
    /// Linear parameters that fit best in their box.
    pub solution: Vec<S>,
    /// 1 for a linear parameter inside its box, 0 for one on its bound.
    pub free: Vec<S>,
    /// Slope by basis: `[i * linear + j]`.
    pub cross: Vec<S>,
    /// Residual by derivative of basis `j` by parameter `i`: `[i * linear + j]`.
    pub pull: Vec<S>,
    /// Slope by slope.
    pub normal: Vec<S>,
    /// Residual by second derivative.
    pub bend: Vec<S>,
    work: Vec<S>,
}

impl<S: Scalar> Sums<S> {
    /// All zero.
    pub fn new(linear: usize, nonlinear: usize) -> Self {
        let zeros = |n: usize| vec![S::lit(0.0); n];
        let (c, k) = (triangle(linear, 0), triangle(nonlinear, 0));
        Self {
            linear,
            nonlinear,
            gram: zeros(c),
            target: zeros(linear),
            solution: zeros(linear),
            free: zeros(linear),
            cross: zeros(nonlinear * linear),
            pull: zeros(nonlinear * linear),
            normal: zeros(k),
            bend: zeros(k),
            work: zeros(c),
        }
    }

    /// What a step needs of them.
    #[inline(always)]
    pub fn parts(&self, c: usize, k: usize) -> [&[S]; 6] {
        let (gram, normal) = (triangle(c, 0), triangle(k, 0));
        [
            &self.free[..c],
            &self.gram[..gram],
            &self.cross[..k * c],
            &self.pull[..k * c],
            &self.normal[..normal],
            &self.bend[..normal],
        ]
    }

    /// The same, to be changed.
    #[inline(always)]
    pub fn parts_mut(&mut self, c: usize, k: usize) -> [&mut [S]; 6] {
        let (gram, normal) = (triangle(c, 0), triangle(k, 0));
        [
            &mut self.free[..c],
            &mut self.gram[..gram],
            &mut self.cross[..k * c],
            &mut self.pull[..k * c],
            &mut self.normal[..normal],
            &mut self.bend[..normal],
        ]
    }

    /// From sums over shares (`c_j - c_last` and the constant 1) to sums over the linear parameters themselves.
    #[inline(always)]
    pub fn linear_from_shares(&mut self, c: usize) {
        let last = c - 1;
        let (gram, target) = (&mut self.gram[..triangle(c, 0)], &mut self.target[..c]);
        let mut of_all = gram[triangle(last, last)];
        for j in 0..last {
            let mut rest = gram[triangle(last, j)];
            of_all = of_all - rest;
            for l in 0..last {
                rest = rest - entry(gram, j, l);
            }
            of_all = of_all - rest;
            gram[triangle(last, j)] = rest;
            target[last] = target[last] - target[j];
        }
        gram[triangle(last, last)] = of_all.max(S::lit(0.0));
    }

    /// The same for what depends on the nonlinear parameters.
    #[inline(always)]
    pub fn slopes_from_shares(&mut self, c: usize, k: usize) {
        let last = c - 1;
        let (cross, pull) = (&mut self.cross[..k * c], &mut self.pull[..k * c]);
        for i in 0..k {
            let row = i * c;
            for j in 0..last {
                cross[row + last] = cross[row + last] - cross[row + j];
                pull[row + last] = pull[row + last] - pull[row + j];
            }
        }
    }

    /// Solves for the linear parameters inside their box.
    #[inline(always)]
    pub fn solve(&mut self, c: usize, lower: &[S], upper: &[S]) {
        let (zero, one, tiny) = (S::lit(0.0), S::lit(1.0), S::lit(TINY));
        let (lower, upper) = (&lower[..c], &upper[..c]);
        match c {
            0 => {}
            1 => {
                let best = self.target[0] / (self.gram[0] + tiny);
                self.solution[0] = best.clamp(lower[0], upper[0]);
                self.free[0] = lower[0].select_less(best, best.select_less(upper[0], one, zero), zero);
            }
            2 => {
                let [a, b, d] = [self.gram[0], self.gram[1], self.gram[2]];
                let (s, t) = (self.target[0], self.target[1]);
                let determinant = a * d - b * b;
                let well = (S::lit(PIVOT) * a * d).select_less(determinant, one, zero);
                let inverse = one / (well * determinant + (one - well));
                let (x, y) = ((s * d - t * b) * inverse, (t * a - s * b) * inverse);
                let both = well * inside(x, lower[0], upper[0]) * inside(y, lower[1], upper[1]);
                // Otherwise the best lies on an edge: the best of each of the four, and the best of these.
                let (over_a, over_d) = (one / (a + tiny), one / (d + tiny));
                let mut best = [lower[0], lower[1], S::lit(1e300), zero, zero];
                for edge in 0..4 {
                    let (x, y, free_x, free_y);
                    if edge < 2 {
                        x = if edge == 0 { lower[0] } else { upper[0] };
                        let wish = (t - b * x) * over_d;
                        y = wish.clamp(lower[1], upper[1]);
                        (free_x, free_y) = (zero, inside(wish, lower[1], upper[1]));
                    } else {
                        y = if edge == 2 { lower[1] } else { upper[1] };
                        let wish = (s - b * y) * over_a;
                        x = wish.clamp(lower[0], upper[0]);
                        (free_x, free_y) = (inside(wish, lower[0], upper[0]), zero);
                    }
                    let height = x * (a * x + b * y - s - s) + y * (b * x + d * y - t - t);
                    let least = best[2];
                    for (kept, new) in best.iter_mut().zip([x, y, height, free_x, free_y]) {
                        *kept = height.select_less(least, new, *kept);
                    }
                }
                self.solution[0] = zero.select_less(both, x, best[0]);
                self.solution[1] = zero.select_less(both, y, best[1]);
                self.free[0] = zero.select_less(both, one, best[3]);
                self.free[1] = zero.select_less(both, one, best[4]);
            }
            _ => self.solve_by_active_set(lower, upper),
        }
    }

    /// Primal-dual active set: holds what leaves the box, releases what is pushed back into it (Hintermüller, Ito &
    /// Kunisch 2002, doi 10.1137/S1052623401383558).
    #[inline(always)]
    fn solve_by_active_set(&mut self, lower: &[S], upper: &[S]) {
        let (n, zero, one) = (self.linear, S::lit(0.0), S::lit(1.0));
        let mut held = vec![zero; n];
        self.free.fill(one);
        for round in 0..=n {
            masked(n, &self.gram, &self.free, &mut self.work);
            factorise(n, &mut self.work);
            for i in 0..n {
                let mut rest = self.target[i];
                for j in 0..n {
                    rest = rest - entry(&self.gram, i, j) * (one - self.free[j]) * held[j];
                }
                self.solution[i] = self.free[i] * rest;
            }
            forward(n, &self.work, &mut self.solution);
            backward(n, &self.work, &mut self.solution);
            for i in 0..n {
                self.solution[i] = self.free[i] * self.solution[i] + (one - self.free[i]) * held[i];
            }
            if round == n {
                break;
            }
            for i in 0..n {
                let mut slope = self.target[i];
                for j in 0..n {
                    slope = slope - entry(&self.gram, i, j) * self.solution[j];
                }
                // Where a free parameter has gone, or where a held one would go.
                let wish = self.free[i] * self.solution[i] + (one - self.free[i]) * (held[i] + slope);
                let inside = lower[i].select_less(wish, wish.select_less(upper[i], one, zero), zero);
                held[i] = wish.clamp(lower[i], upper[i]);
                self.free[i] = inside;
            }
        }
        for i in 0..n {
            self.solution[i] = self.solution[i].clamp(lower[i], upper[i]);
        }
    }
}

/// Room for [`step`].
#[derive(Debug, Clone)]
pub struct Room<S> {
    /// 1 for a nonlinear parameter that may move.
    moves: Vec<S>,
    /// 1 for a linear parameter that follows.
    follows: Vec<S>,
    /// How far a linear parameter that does not follow is moved.
    shift: Vec<S>,
    factor: Vec<S>,
    plain: Vec<S>,
    bent: Vec<S>,
    along: Vec<S>,
    gradient: Vec<S>,
    gauss: Vec<S>,
    newton: Vec<S>,
    by_gauss: Vec<S>,
    by_newton: Vec<S>,
}

impl<S: Scalar> Room<S> {
    /// For so many linear and nonlinear parameters.
    pub fn new(linear: usize, nonlinear: usize) -> Self {
        let zeros = |n: usize| vec![S::lit(0.0); n];
        let t = triangle(nonlinear, 0);
        Self {
            moves: zeros(nonlinear),
            follows: zeros(linear),
            shift: zeros(linear),
            factor: zeros(triangle(linear, 0)),
            plain: zeros(linear * nonlinear),
            bent: zeros(linear * nonlinear),
            along: zeros(linear),
            gradient: zeros(nonlinear),
            gauss: zeros(t),
            newton: zeros(t),
            by_gauss: zeros(nonlinear),
            by_newton: zeros(nonlinear),
        }
    }
}

/// Where a fit stands: everything at the best parameters seen.
#[derive(Debug, Clone)]
pub struct Stand<S> {
    /// Nonlinear parameters.
    pub theta: Vec<S>,
    /// Linear parameters.
    pub linear: Vec<S>,
    /// Sums over the points.
    pub sums: Sums<S>,
    /// Minus half the gradient of the sum of squares by the nonlinear parameters.
    pub gradient: Vec<S>,
    /// Box of the nonlinear parameters.
    pub lower: Vec<S>,
    /// Its upper ends.
    pub upper: Vec<S>,
    /// Box of the linear parameters.
    pub linear_lower: Vec<S>,
    /// Its upper ends.
    pub linear_upper: Vec<S>,
}

impl<S: Scalar> Stand<S> {
    /// All zero.
    pub fn new(linear: usize, nonlinear: usize) -> Self {
        let zeros = |n: usize| vec![S::lit(0.0); n];
        Self {
            theta: zeros(nonlinear),
            linear: zeros(linear),
            sums: Sums::new(linear, nonlinear),
            gradient: zeros(nonlinear),
            lower: zeros(nonlinear),
            upper: zeros(nonlinear),
            linear_lower: zeros(linear),
            linear_upper: zeros(linear),
        }
    }
}

/// One damped step of the nonlinear parameters inside their box (Levenberg–Marquardt: Marquardt 1963,
/// doi 10.1137/0111030), by the Newton matrix where that leads downhill and else by the Gauss–Newton one; `target` is
/// where it leads. A parameter on its bound that would leave the box is held there. `any` says whether some lane of a
/// mask is not zero.
///
/// Linear parameters follow the step; one that would leave its box is taken to its bound and the step worked out
/// anew with it there: the minimum often lies where a linear parameter just touches its bound, with a flat valley on
/// one side and a steep wall on the other, and a step that knew only the valley would overshoot for ever.
///
/// What comes out is the decrease of the sum of squares that the step promises: zero at a minimum.
#[inline(always)]
#[expect(clippy::too_many_arguments, reason = "the whole state of a step, in lanes or as recorded text")]
pub fn step<S: Scalar>(
    instructions: impl Instructions,
    size: impl Size,
    stand: &Stand<S>,
    second_order: bool,
    damping: S,
    room: &mut Room<S>,
    target: &mut [S],
    any: impl Fn(S) -> bool,
) -> S {
    let (c, k, zero, one) = (size.linear(), size.nonlinear(), S::lit(0.0), S::lit(1.0));
    let target = &mut target[..k];
    for i in 0..k {
        let inward_low = zero.select_less(stand.gradient[i], one, zero);
        let inward_high = stand.gradient[i].select_less(zero, one, zero);
        let off_lower = stand.lower[i].select_less(stand.theta[i], one, inward_low);
        let off_upper = stand.theta[i].select_less(stand.upper[i], one, inward_high);
        room.moves[i] = off_lower * off_upper;
    }
    room.follows.copy_from_slice(&stand.sums.free);
    room.shift.fill(zero);
    instructions.run(
        #[inline(always)]
        || work_out(size, stand, second_order, damping, room),
    );
    // Where the linear parameters would be then.
    for j in 0..c {
        room.along[j] = zero;
        for i in 0..k {
            room.along[j] = room.along[j] - room.bent[i * c + j] * room.by_gauss[i];
        }
    }
    backward(c, &room.factor, &mut room.along);
    let mut met = zero;
    for j in 0..c {
        let wish = stand.linear[j] + stand.sums.free[j] * room.along[j];
        let within = wish.clamp(stand.linear_lower[j], stand.linear_upper[j]);
        let outside = zero.select_less(stand.sums.free[j] * (wish - within).abs(), one, zero);
        met = met.max(outside);
        room.follows[j] = stand.sums.free[j] * (one - outside);
        room.shift[j] = outside * (within - stand.linear[j]);
    }
    let mut promise = zero;
    for i in 0..k {
        promise = promise + room.gradient[i] * room.moves[i] * room.by_gauss[i];
        target[i] = room.by_gauss[i];
    }
    if any(met) {
        let cost = instructions.run(
            #[inline(always)]
            || work_out(size, stand, second_order, damping, room),
        );
        let mut other = -cost;
        for i in 0..k {
            other = other + room.gradient[i] * room.moves[i] * room.by_gauss[i];
        }
        let better = |new: S, old: S| zero.select_less(met * other, new, old);
        promise = better(other, promise);
        for i in 0..k {
            target[i] = better(room.by_gauss[i], target[i]);
        }
    }
    for i in 0..k {
        target[i] = (stand.theta[i] + target[i]).clamp(stand.lower[i], stand.upper[i]);
    }
    promise
}

/// The step with linear parameters that follow or are shifted as `room` says; leaves it in `room.by_gauss`. Gives
/// what the shift costs at these nonlinear parameters.
#[inline(always)]
fn work_out<S: Scalar>(size: impl Size, stand: &Stand<S>, second_order: bool, damping: S, room: &mut Room<S>) -> S {
    let (c, k, zero, one) = (size.linear(), size.nonlinear(), S::lit(0.0), S::lit(1.0));
    let [_, gram, cross, pull, normals, bend] = stand.sums.parts(c, k);
    let (moves, gradient) = (&room.moves[..k], &mut room.gradient[..k]);
    let (follows, shift, along) = (&room.follows[..c], &room.shift[..c], &mut room.along[..c]);
    let factor = &mut room.factor[..triangle(c, 0)];
    let (plain, bent) = (&mut room.plain[..k * c], &mut room.bent[..k * c]);
    let (gauss, newton) = (&mut room.gauss[..triangle(k, 0)], &mut room.newton[..triangle(k, 0)]);
    let (by_gauss, by_newton) = (&mut room.by_gauss[..k], &mut room.by_newton[..k]);
    masked(c, gram, follows, factor);
    factorise(c, factor);
    let mut cost = zero;
    for j in 0..c {
        let mut pushed = zero;
        for l in 0..c {
            pushed = pushed + entry(gram, j, l) * shift[l];
        }
        cost = cost + shift[j] * pushed;
        along[j] = follows[j] * pushed;
    }
    forward(c, factor, along);
    for j in 0..c {
        cost = cost - along[j] * along[j];
    }
    for i in 0..k {
        let row = i * c..(i + 1) * c;
        let (plain, bent) = (&mut plain[row.clone()], &mut bent[row]);
        gradient[i] = stand.gradient[i];
        for j in 0..c {
            let curved = cross[i * c + j] - pull[i * c + j];
            gradient[i] = gradient[i] - curved * shift[j];
            plain[j] = follows[j] * cross[i * c + j];
            bent[j] = follows[j] * curved;
        }
        forward(c, factor, plain);
        forward(c, factor, bent);
        for j in 0..c {
            gradient[i] = gradient[i] + bent[j] * along[j];
        }
    }
    // Gauss–Newton and Newton matrix of the sum of squares as a function of the nonlinear parameters alone.
    for i in 0..k {
        for l in 0..=i {
            let normal = normals[triangle(i, l)];
            let (mut straight, mut curved) = (normal, normal - bend[triangle(i, l)]);
            for j in 0..c {
                straight = straight - plain[i * c + j] * plain[l * c + j];
                curved = curved - bent[i * c + j] * bent[l * c + j];
            }
            gauss[triangle(i, l)] = straight;
            newton[triangle(i, l)] = curved;
        }
        gauss[triangle(i, i)] = gauss[triangle(i, i)].max(zero);
    }
    // A parameter held has a unit row and no gradient.
    for i in 0..k {
        for j in 0..i {
            let both = moves[i] * moves[j];
            gauss[triangle(i, j)] = both * gauss[triangle(i, j)];
            newton[triangle(i, j)] = both * newton[triangle(i, j)];
        }
        let diagonal = gauss[triangle(i, i)];
        let held = (one - moves[i]) + S::lit(TINY);
        gauss[triangle(i, i)] = moves[i] * (diagonal + damping * diagonal) + held;
        newton[triangle(i, i)] = moves[i] * (newton[triangle(i, i)] + damping * diagonal) + held;
        by_gauss[i] = moves[i] * gradient[i];
        by_newton[i] = by_gauss[i];
    }
    factorise(k, gauss);
    forward(k, gauss, by_gauss);
    backward(k, gauss, by_gauss);
    if second_order {
        let smallest = factorise(k, newton);
        forward(k, newton, by_newton);
        backward(k, newton, by_newton);
        for i in 0..k {
            by_gauss[i] = S::lit(DEFINITE).select_less(smallest, by_newton[i], by_gauss[i]);
        }
    }
    cost
}
