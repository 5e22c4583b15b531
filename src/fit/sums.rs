//! Sums over the points of a curve in a separable least-squares fit (variable projection: Golub & Pereyra 1973,
//! doi 10.1137/0710036; Kaufman 1975, doi 10.1007/BF01932995), and the linear parameters `c` that follow from them
//! inside their box, written once over [`Scalar`]: lanes run it on the CPU, and it is recorded as WGSL for the GPU.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use super::factor::{PIVOT, backward, entry, factorise, forward, masked, triangle};
use crate::math::Scalar;

/// Rounds that the active set takes at most, for each linear parameter.
pub const ROUNDS: usize = 3;
/// The share of its terms below which a slope is rounding.
const SLOPE: f64 = 1e-13;

/// `1 / square`; 0 for a basis function that is 0 at every point.
#[inline(always)]
fn over<S: Scalar>(square: S) -> S {
    let zero = S::lit(0.0);
    zero.select_less(square, S::lit(1.0) / square, zero)
}

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

    /// Solves for the linear parameters inside their box. `rounds` are those of the active set for each of them, of
    /// three or more; `any` says whether some lane of a mask is not zero.
    #[inline(always)]
    pub fn solve(&mut self, c: usize, lower: &[S], upper: &[S], rounds: usize, any: impl Fn(S) -> bool) {
        let (zero, one) = (S::lit(0.0), S::lit(1.0));
        let (lower, upper) = (&lower[..c], &upper[..c]);
        match c {
            0 => {}
            1 => {
                let best = self.target[0] * over(self.gram[0]);
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
                let (over_a, over_d) = (over(a), over(d));
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
            _ => self.solve_by_active_set(lower, upper, rounds, any),
        }
    }

    /// Bounded least squares by an active set (Stark & Parker 1995, Computational Statistics 10:129): from the free
    /// solution cut to the box, towards the best of the parameters that are free until one meets its bound and is held
    /// there; where none does, the held one that pulls inward hardest is released. The sum of squares never rises.
    #[inline(always)]
    fn solve_by_active_set(&mut self, lower: &[S], upper: &[S], rounds: usize, any: impl Fn(S) -> bool) {
        let (n, zero, one) = (self.linear, S::lit(0.0), S::lit(1.0));
        let mut wish = vec![zero; n];
        let mut reach = vec![one; n];
        self.free.fill(one);
        self.best_of_free(&mut wish);
        for i in 0..n {
            self.solution[i] = wish[i].clamp(lower[i], upper[i]);
            self.free[i] = inside(wish[i], lower[i], upper[i]);
        }
        for _ in 0..rounds * n {
            self.best_of_free(&mut wish);
            // The part of the way that all of them can go.
            let mut part = one;
            for i in 0..n {
                let way = wish[i] - self.solution[i];
                let room = way.select_less(zero, lower[i], upper[i]) - self.solution[i];
                reach[i] = room.abs().select_less(way.abs(), room / way, one);
                part = part.min(reach[i]);
            }
            for i in 0..n {
                let way = wish[i] - self.solution[i];
                let bound = way.select_less(zero, lower[i], upper[i]);
                let along = part.select_less(one, self.solution[i] + part * way, wish[i]);
                let meets = part.select_less(reach[i], zero, reach[i].select_less(one, one, zero));
                self.solution[i] = zero.select_less(meets, bound, along.clamp(lower[i], upper[i]));
                self.free[i] = self.free[i] * (one - meets);
            }
            // Release one where all went the whole way.
            let (mut most, mut released) = (zero, S::lit(-1.0));
            for i in 0..n {
                let own = self.gram[triangle(i, i)];
                let (mut slope, mut size) = (self.target[i], self.target[i].abs());
                for j in 0..n {
                    let term = entry(&self.gram, i, j) * self.solution[j];
                    slope = slope - term;
                    size = size + term.abs();
                }
                let bound = slope.select_less(zero, lower[i], upper[i]);
                let has_room = zero.select_less((bound - self.solution[i]).abs(), one, zero);
                let is_slope = (S::lit(SLOPE) * size).select_less(slope.abs(), one, zero);
                let may = (one - self.free[i]) * has_room * is_slope;
                let gain = zero.select_less(may, slope * slope / own, zero);
                released = most.select_less(gain, S::lit(i as f64), released);
                most = most.max(gain);
            }
            let whole = part.select_less(one, zero, one);
            for i in 0..n {
                let is_it = (released - S::lit(i as f64)).abs().select_less(S::lit(0.5), whole, zero);
                self.free[i] = self.free[i].max(is_it);
            }
            if !any((one - whole).max(zero.select_less(most, one, zero))) {
                break;
            }
        }
        for i in 0..n {
            self.free[i] = self.free[i] * inside(self.solution[i], lower[i], upper[i]);
        }
    }

    /// The best of the free linear parameters with the others where they are.
    #[inline(always)]
    fn best_of_free(&mut self, to: &mut [S]) {
        let (n, one) = (self.linear, S::lit(1.0));
        masked(n, &self.gram, &self.free, &mut self.work);
        factorise(n, &mut self.work);
        for i in 0..n {
            let mut rest = self.target[i];
            for j in 0..n {
                rest = rest - entry(&self.gram, i, j) * (one - self.free[j]) * self.solution[j];
            }
            to[i] = self.free[i] * rest;
        }
        forward(n, &self.work, to);
        backward(n, &self.work, to);
        for i in 0..n {
            to[i] = self.free[i] * to[i] + (one - self.free[i]) * self.solution[i];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::standard_normal;

    /// Twice what the sum of squares loses by `x`, from the sums themselves.
    fn height(sums: &Sums<f64>, x: &[f64]) -> f64 {
        let n = x.len();
        let pushed = |i: usize| (0..n).map(|j| entry(&sums.gram, i, j) * x[j]).sum::<f64>();
        (0..n).map(|i| x[i] * (pushed(i) - 2.0 * sums.target[i])).sum()
    }

    /// The lowest point of the box by trying every face of it: each parameter free, at its lower or at its upper end.
    fn by_all_faces(sums: &Sums<f64>, lower: &[f64], upper: &[f64]) -> f64 {
        let n = lower.len();
        let mut least = f64::INFINITY;
        for face in 0..3usize.pow(n as u32) {
            let side: Vec<usize> = (0..n).map(|i| face / 3usize.pow(i as u32) % 3).collect();
            let mut x: Vec<f64> = (0..n).map(|i| [0.0, lower[i], upper[i]][side[i]]).collect();
            let free: Vec<usize> = (0..n).filter(|i| side[*i] == 0).collect();
            // Gauss–Jordan with pivots on the free ones.
            let mut rows: Vec<Vec<f64>> = free
                .iter()
                .map(|&i| {
                    let held: f64 = (0..n).map(|j| entry(&sums.gram, i, j) * x[j]).sum();
                    free.iter().map(|&j| entry(&sums.gram, i, j)).chain([sums.target[i] - held]).collect()
                })
                .collect();
            let m = free.len();
            for column in 0..m {
                let best = (column..m).max_by(|a, b| rows[*a][column].abs().total_cmp(&rows[*b][column].abs()));
                rows.swap(column, best.unwrap());
                for row in 0..m {
                    if row != column {
                        let factor = rows[row][column] / rows[column][column];
                        for k in column..=m {
                            rows[row][k] -= factor * rows[column][k];
                        }
                    }
                }
            }
            for (k, &i) in free.iter().enumerate() {
                x[i] = rows[k][m] / rows[k][k];
            }
            if (0..n).all(|i| x[i] >= lower[i] && x[i] <= upper[i]) {
                least = least.min(height(sums, &x));
            }
        }
        least
    }

    const TRIALS: u64 = 1000;

    /// How many of [`TRIALS`] random problems with `n` linear parameters end above the lowest point of their box.
    fn missed(n: usize, rounds: usize, basis: impl Fn(u64, usize, usize) -> f64, scale: &[f64]) -> usize {
        (0..TRIALS)
            .filter(|&trial| {
                let draw = |place: usize| standard_normal(7, trial, 0, place as u32);
                let mut sums = Sums::<f64>::new(n, 0);
                for k in 0..9 {
                    let column: Vec<f64> = (0..n).map(|j| basis(trial, j, k) * scale[j]).collect();
                    let response = 0.5 + draw(k);
                    for i in 0..n {
                        for j in 0..=i {
                            sums.gram[triangle(i, j)] += column[i] * column[j];
                        }
                        sums.target[i] += column[i] * response;
                    }
                }
                let lower = vec![0.0; n];
                let upper: Vec<f64> = (0..n).map(|j| 1.0 / scale[j]).collect();
                sums.solve(n, &lower, &upper, rounds, |mask| mask > 0.0);
                let inside = (0..n).all(|i| sums.solution[i] >= lower[i] && sums.solution[i] <= upper[i]);
                let (found, best) = (height(&sums, &sums.solution[..n]), by_all_faces(&sums, &lower, &upper));
                !inside || found.is_nan() || found > best + 1e-9 * (1.0 + best.abs())
            })
            .count()
    }

    #[test]
    fn linear_parameters_are_the_best_of_their_box() {
        let power = |_: u64, j: usize, k: usize| (k as f64 / 8.0).powi(j as i32);
        let random = |trial: u64, j: usize, k: usize| standard_normal(8, trial, j as u32, k as u32);
        let scale = [1e9, 1e-9, 1e-18, 1.0, 1e18];
        for n in 1..=5 {
            assert_eq!(missed(n, ROUNDS, power, &[1.0; 5]), 0, "{n} powers");
            assert_eq!(missed(n, ROUNDS, random, &[1.0; 5]), 0, "{n} random columns");
            assert_eq!(missed(n, ROUNDS, power, &scale), 0, "{n} powers in other units");
        }
        // A comparison that could not fail would be none: too few rounds are seen.
        assert!(missed(4, 0, power, &[1.0; 5]) > 100);
    }
}
