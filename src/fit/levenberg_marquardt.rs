//! The Levenberg–Marquardt loop on the CPU: several curves side by side in f64, a lane whose fit has ended takes the
//! next one. Every lane's arithmetic is its own, so neither the neighbours nor the number of lanes change a result.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use super::normal_equations::{
    DAMPING_ACCEPTED, DAMPING_REJECTED, FIRST_DAMPING, FREE_DAMPING, LAST_DAMPING, NormalEquations, solve_linear,
    start, step,
};
use super::problem::Problem;
use super::{Fit, MAX_PARAMETERS, Refit, Status};
use crate::math::{Lanes, Scalar, array};
use crate::model::{CurveSummary, Model};

/// A fit has converged when a further step is predicted to lower the sum of squares by less than this share of the
/// residual variance: every parameter is then within 1e-4 of its standard errors of the minimum (the relative-offset
/// criterion of Bates & Watts 1981, doi 10.1080/00401706.1981.10486297). Scale-free, unlike a limit on the
/// sum of squares itself.
const OFFSET: f64 = 1e-8;
/// For data without noise: residuals of 1e-13 of a response of 1 are rounding.
const ROUNDING: f64 = 1e-26;

/// Where a fit begins.
#[derive(Debug, Clone, Copy)]
pub struct Begin<const N: usize> {
    /// Index into the problems.
    pub problem: usize,
    /// The first parameters, inside the box.
    pub parameters: [f64; N],
}

/// Where one descent ended.
#[derive(Debug, Clone, Copy)]
pub struct End<const N: usize> {
    /// The best parameters seen (location centred).
    pub parameters: [f64; N],
    /// Their weighted sum of squares.
    pub sse: f64,
    /// The decrease that the first step promised, as a share of the residual variance: how far the start was from a minimum.
    pub first_offset: f64,
    /// Iterations.
    pub iterations: u32,
    /// Whether the limit ended it.
    pub exhausted: bool,
}

/// Problems of one length, lane by lane.
struct Bench<const N: usize, const L: usize> {
    ln_dose: Vec<Lanes<L>>,
    response: Vec<Lanes<L>>,
    weight: Vec<Lanes<L>>,
    untreated: (Lanes<L>, Lanes<L>),
    lower: [Lanes<L>; N],
    upper: [Lanes<L>; N],
}

impl<const N: usize, const L: usize> Bench<N, L> {
    fn new(points: usize) -> Self {
        let zero = Lanes([0.0; L]);
        Self {
            ln_dose: vec![zero; points],
            response: vec![zero; points],
            weight: vec![zero; points],
            untreated: (zero, zero),
            lower: [zero; N],
            upper: [Lanes([1.0; L]); N],
        }
    }

    fn load(&mut self, lane: usize, problem: &Problem<N>) {
        for (k, ((x, y), w)) in problem.ln_dose.iter().zip(&problem.response).zip(&problem.weight).enumerate() {
            self.ln_dose[k].0[lane] = *x;
            self.response[k].0[lane] = *y;
            self.weight[k].0[lane] = *w;
        }
        self.untreated.0.0[lane] = problem.untreated.0;
        self.untreated.1.0[lane] = problem.untreated.1;
        for i in 0..N {
            self.lower[i].0[lane] = problem.lower[i];
            self.upper[i].0[lane] = problem.upper[i];
        }
    }

    #[inline(always)]
    fn evaluate<M: Model<N>>(&self, parameters: [Lanes<L>; N]) -> NormalEquations<Lanes<L>, N> {
        let mut normal = NormalEquations::zero();
        for ((x, y), w) in self.ln_dose.iter().zip(&self.response).zip(&self.weight) {
            normal = normal.add_treated::<M>(*x, *y, *w, parameters);
        }
        normal.add_untreated::<M>(self.untreated.0, self.untreated.1, parameters)
    }
}

/// The `keep` best starts of every problem (all of one length), best first.
#[inline(always)]
pub fn best_starts<M: Model<N>, const N: usize, const L: usize>(problems: &[Problem<N>], keep: usize) -> Vec<Begin<N>> {
    let points = problems.first().map_or(0, |p| p.ln_dose.len());
    let mut bench = Bench::<N, L>::new(points);
    let mut begins = Vec::with_capacity(problems.len() * keep);
    let mut ranked = vec![(0.0, [0.0; N]); M::STARTS];
    let mut all = vec![([Lanes([0.0; L]); N], Lanes([0.0; L])); M::STARTS];
    for (group, chunk) in problems.chunks(L).enumerate() {
        let mut summary = [Lanes([0.0; L]), Lanes([0.0; L]), Lanes([0.0; L]), Lanes([0.0; L])];
        for (lane, problem) in chunk.iter().enumerate() {
            bench.load(lane, problem);
            summary[0].0[lane] = problem.range.0;
            summary[1].0[lane] = problem.range.1;
            summary[2].0[lane] = problem.ends.0;
            summary[3].0[lane] = problem.ends.1;
        }
        let [ln_dose_low, ln_dose_high, response_low, response_high] = summary;
        let curve = CurveSummary { ln_dose_low, ln_dose_high, response_low, response_high };
        for (index, slot) in all.iter_mut().enumerate() {
            let parameters = start::<_, M, N>(index, curve, bench.lower, bench.upper);
            let normal = bench.evaluate::<M>(parameters);
            let solved = solve_linear::<_, M, N>(&normal, parameters, bench.lower, bench.upper);
            *slot = (solved.parameters, normal.sse - solved.predicted);
        }
        for lane in 0..chunk.len() {
            for (index, slot) in ranked.iter_mut().enumerate() {
                *slot = (all[index].1.0[lane], array(|i| all[index].0[i].0[lane]));
            }
            ranked.sort_by(|a, b| a.0.total_cmp(&b.0));
            for (_, parameters) in ranked.iter().take(keep) {
                begins.push(Begin { problem: group * L + lane, parameters: *parameters });
            }
        }
    }
    begins
}

/// Descends from every beginning; ends are in the order of the beginnings. All problems have one length.
#[inline(always)]
pub fn descend<M: Model<N>, const N: usize, const L: usize>(
    problems: &[Problem<N>],
    begins: &[Begin<N>],
    max_iterations: u32,
) -> Vec<End<N>> {
    let points = problems.first().map_or(0, |p| p.ln_dose.len());
    let mut bench = Bench::<N, L>::new(points);
    let nowhere =
        End { parameters: [0.0; N], sse: f64::INFINITY, first_offset: f64::INFINITY, iterations: 0, exhausted: false };
    let mut ends = vec![nowhere; begins.len()];
    let mut task = [usize::MAX; L];
    let mut iterations = [0u32; L];
    let (mut freedom, mut floor) = ([1.0; L], [0.0; L]);
    let mut parameters = [Lanes([0.0; L]); N];
    let mut normal = NormalEquations::<Lanes<L>, N>::zero();
    let mut damping = Lanes([FIRST_DAMPING; L]);
    let (mut next, mut live) = (0, 0);
    macro_rules! refill {
        ($lane:expr) => {
            if next < begins.len() {
                let begin = &begins[next];
                let problem = &problems[begin.problem];
                task[$lane] = next;
                iterations[$lane] = 0;
                freedom[$lane] = problem.degrees_of_freedom();
                floor[$lane] = ROUNDING * problem.total_weight();
                bench.load($lane, problem);
                // With an infinite sum of squares and no gradient the first "step" stays at the start and is accepted.
                for i in 0..N {
                    parameters[i].0[$lane] = begin.parameters[i];
                    normal.gradient[i].0[$lane] = 0.0;
                }
                normal.sse.0[$lane] = f64::INFINITY;
                damping.0[$lane] = FIRST_DAMPING;
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
        let step = step(&normal, parameters, bench.lower, bench.upper, damping, [true; N]);
        let trial = bench.evaluate::<M>(step.parameters);
        let before = normal.sse;
        let better = |new: Lanes<L>, old: Lanes<L>| trial.sse.select_less(before, new, old);
        for i in 0..N {
            parameters[i] = better(step.parameters[i], parameters[i]);
            normal.gradient[i] = better(trial.gradient[i], normal.gradient[i]);
            for j in 0..=i {
                normal.curvature[i][j] = better(trial.curvature[i][j], normal.curvature[i][j]);
            }
        }
        normal.sse = better(trial.sse, normal.sse);
        let used = damping;
        damping = damping * better(Lanes::lit(DAMPING_ACCEPTED), Lanes::lit(DAMPING_REJECTED));
        for lane in 0..L {
            if task[lane] == usize::MAX {
                continue;
            }
            iterations[lane] += 1;
            if iterations[lane] == 1 {
                damping.0[lane] = FIRST_DAMPING;
                if normal.sse.0[lane].is_finite() {
                    continue;
                }
            }
            let end = &mut ends[task[lane]];
            let variance = normal.sse.0[lane] / freedom[lane];
            let offset = step.offset.0[lane];
            if iterations[lane] == 2 {
                end.first_offset = if offset > floor[lane] { offset / variance } else { 0.0 };
            }
            let accepted = trial.sse.0[lane] < before.0[lane];
            let small = offset <= OFFSET * variance + floor[lane];
            let settled = small && (used.0[lane] <= FREE_DAMPING || !accepted);
            let stuck = damping.0[lane] > LAST_DAMPING;
            let exhausted = iterations[lane] >= max_iterations;
            if settled || stuck || exhausted {
                end.parameters = array(|i| parameters[i].0[lane]);
                end.sse = normal.sse.0[lane];
                end.iterations = iterations[lane];
                end.exhausted = exhausted && !settled && !stuck;
                live -= 1;
                refill!(lane);
            }
        }
    }
    ends
}

/// The outcome of a problem from the ends of its descents: the lowest sum of squares, the first where equal.
pub fn outcome<M: Model<N>, const N: usize>(problem: &Problem<N>, ends: &[End<N>], refit: Refit) -> Fit {
    let mut best: Option<&End<N>> = None;
    for end in ends {
        if best.is_none_or(|b| end.sse < b.sse) {
            best = Some(end);
        }
    }
    let Some(best) = best.filter(|b| b.sse.is_finite()) else {
        return Fit::failed(Status::BadValue);
    };
    let mut parameters = [0.0; MAX_PARAMETERS];
    let mut at_bound = 0;
    for i in 0..N {
        parameters[i] = best.parameters[i];
        if problem.lower[i] < problem.upper[i]
            && (best.parameters[i] <= problem.lower[i] || best.parameters[i] >= problem.upper[i])
        {
            at_bound |= 1 << i;
        }
    }
    parameters[M::LOCATION] += problem.centre;
    Fit {
        status: if best.exhausted { Status::MaxIterations } else { Status::Converged },
        parameters,
        sse: best.sse,
        iterations: ends.iter().map(|e| e.iterations).sum(),
        at_bound,
        refit,
    }
}
