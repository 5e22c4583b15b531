//! Sums over the points of a curve in a separable least-squares fit (variable projection: Golub & Pereyra 1973,
//! doi 10.1137/0710036; Kaufman 1975, doi 10.1007/BF01932995), and the linear parameters `c` that follow from them
//! inside their box, written once over [`Scalar`]: lanes run it on the CPU, and it is recorded as WGSL for the GPU.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use super::factor::{PIVOT, TINY, backward, entry, factorise, forward, masked, triangle};
use crate::math::Scalar;

/// 1 strictly between the ends, 0 elsewhere.
#[inline(always)]
fn inside<S: Scalar>(x: S, lower: S, upper: S) -> S {
    let (zero, one) = (S::lit(0.0), S::lit(1.0));
    lower.select_less(x, x.select_less(upper, one, zero), zero)
}

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
    /// Minus half the gradient of the sum of squares by the nonlinear parameters.
    pub gradient: Vec<S>,
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
            gradient: zeros(nonlinear),
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

    /// Hands everything that a step needs to `copy`, with its counterpart of `other`.
    #[inline(always)]
    pub fn each_with(&mut self, other: &Self, mut copy: impl FnMut(&mut S, &S)) {
        let pairs = [
            (&mut self.solution, &other.solution),
            (&mut self.free, &other.free),
            (&mut self.gram, &other.gram),
            (&mut self.cross, &other.cross),
            (&mut self.pull, &other.pull),
            (&mut self.normal, &other.normal),
            (&mut self.bend, &other.bend),
            (&mut self.gradient, &other.gradient),
        ];
        for (own, other) in pairs {
            for (own, other) in own.iter_mut().zip(other) {
                copy(own, other);
            }
        }
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

    /// Solves for the linear parameters inside their box. `any` says whether some lane of a mask is not zero.
    #[inline(always)]
    pub fn solve(&mut self, c: usize, lower: &[S], upper: &[S], any: impl Fn(S) -> bool) {
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
                (self.solution[0], self.solution[1]) = (x, y);
                (self.free[0], self.free[1]) = (one, one);
                if !any(one - both) {
                    return;
                }
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
        for round in 0..=2 * n {
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
            if round == 2 * n {
                break;
            }
            for i in 0..n {
                let mut slope = self.target[i];
                for j in 0..n {
                    slope = slope - entry(&self.gram, i, j) * self.solution[j];
                }
                // Where a free parameter has gone, or where a held one would go.
                let own = slope / (self.gram[triangle(i, i)] + S::lit(TINY));
                let wish = self.free[i] * self.solution[i] + (one - self.free[i]) * (held[i] + own);
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
