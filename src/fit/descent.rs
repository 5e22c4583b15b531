//! The descent on the CPU: several curves side by side in f64, a lane whose fit has ended takes the next one. Every
//! lane's arithmetic is its own, so neither the neighbours nor the number of lanes change a result.

use super::evaluation::{Evaluation, any};
use super::layout::Layout;
use super::step::{
    DAMPING_ACCEPTED, DAMPING_REJECTED, FIRST_DAMPING, FREE_DAMPING, LAST_DAMPING, LEAST_DAMPING, Room, Stand, step,
};
use super::sums::{Known, Size};
use super::{MAX_PARAMETERS, Status};
use crate::math::{Instructions, Lanes, Scalar};
use crate::model::curve_model::CurveModel;

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
    /// How it ended.
    pub status: Status,
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
    let (points, is_weighted) = tasks.first().map_or((0, false), |t| (t.layout.points(), t.layout.is_weighted()));
    let all = Lanes::<L>::lit;
    let mut evaluation = Evaluation::<L>::new(model, points, is_weighted);
    let mut room = Room::new(linear, nonlinear);
    let mut stand = Stand::<Lanes<L>>::new(linear, nonlinear);
    let mut target = vec![all(0.0); nonlinear];
    let (mut best, mut damping, mut iterations) = (all(0.0), all(FIRST_DAMPING), all(0.0));
    // What the first step promised, and the sum of squares there.
    let (mut first_offset, mut first_sse) = (all(0.0), all(0.0));
    // A promise of no more than `best * share + floor` is none.
    let (mut share, mut floor) = (all(0.0), all(0.0));
    let mut live = all(0.0);
    let mut task = [usize::MAX; L];
    let mut layout: [Option<&Layout>; L] = [None; L];
    let nowhere = End {
        parameters: [0.0; MAX_PARAMETERS],
        sse: f64::INFINITY,
        first_offset: f64::INFINITY,
        iterations: 0,
        status: Status::NoFiniteStart,
    };
    let mut ends = vec![nowhere; tasks.len()];
    let mut next = 0;
    macro_rules! refill {
        ($lane:expr) => {
            let lane = $lane;
            live.0[lane] = 0.0;
            if let Some(begin) = tasks.get(next) {
                task[lane] = next;
                if !layout[lane].is_some_and(|l| std::ptr::eq(l, begin.layout)) {
                    evaluation.load_layout(lane, begin.layout);
                    layout[lane] = Some(begin.layout);
                }
                evaluation.load_response(lane, begin.response);
                for (j, p) in model.linear.iter().enumerate() {
                    (stand.linear_lower[j].0[lane], stand.linear_upper[j].0[lane]) = begin.bounds(*p);
                }
                for (i, p) in model.nonlinear.iter().enumerate() {
                    let (low, high) = begin.bounds(*p);
                    (stand.lower[i].0[lane], stand.upper[i].0[lane]) = (low, high);
                    target[i].0[lane] = begin.begin[i].clamp(low, high);
                }
                share.0[lane] = OFFSET / begin.degrees_of_freedom();
                floor.0[lane] = ROUNDING * begin.layout.total_weight;
                best.0[lane] = f64::INFINITY;
                iterations.0[lane] = 0.0;
                live.0[lane] = 1.0;
                next += 1;
            }
        };
    }
    for lane in 0..L {
        refill!(lane);
    }
    while any(live) {
        // The new lanes' first evaluation is at their beginning; all others' is where their step leads.
        let sse = evaluation.evaluate(instructions, size, &target, &stand.linear_lower, &stand.linear_upper);
        std::mem::swap(&mut stand.sums, &mut evaluation.sums);
        std::mem::swap(&mut stand.theta, &mut target);
        for lane in 0..L {
            // Where it led nowhere, the fit stands where it stood.
            let is_lower = sse.0[lane] < best.0[lane];
            if !is_lower {
                stand.sums.each_with(&evaluation.sums, |new, old| new.0[lane] = old.0[lane]);
                for (new, old) in stand.theta.iter_mut().zip(&target) {
                    new.0[lane] = old.0[lane];
                }
            }
        }
        let eased = (damping * all(DAMPING_ACCEPTED)).max(all(LEAST_DAMPING));
        let raised = damping.max(all(FIRST_DAMPING)) * all(DAMPING_REJECTED);
        damping = sse.select_less(best, eased, raised);
        best = sse.select_less(best, sse, best);
        damping = iterations.select_less(all(0.5), all(FIRST_DAMPING), damping);
        let offset = instructions.run(
            #[inline(always)]
            || step(instructions, size, &stand, model.separated.second_order, damping, &mut room, &mut target, any),
        );
        first_offset = iterations.select_less(all(0.5), offset, first_offset);
        first_sse = iterations.select_less(all(0.5), best, first_sse);
        iterations = iterations + all(1.0);
        // 1 for fits that go on: a promise, or damping that holds the steps back, and neither stuck nor exhausted.
        let (zero, one) = (all(0.0), all(1.0));
        let held_back = all(FREE_DAMPING).select_less(damping, one, zero);
        let mut goes_on = (best * share + floor).select_less(offset, one, held_back);
        goes_on = all(LAST_DAMPING).select_less(damping, zero, goes_on);
        goes_on = best.select_less(all(f64::INFINITY), goes_on, zero);
        goes_on = offset.select_less(all(f64::INFINITY), goes_on, zero);
        goes_on = iterations.select_less(all(f64::from(max_iterations)), goes_on, zero);
        let ended = live * (one - goes_on);
        if !any(ended) {
            continue;
        }
        for lane in 0..L {
            if ended.0[lane] == 0.0 {
                continue;
            }
            let (sse, damping, offset) = (best.0[lane], damping.0[lane], offset.0[lane]);
            let (share, floor) = (share.0[lane], floor.0[lane]);
            let least = sse * share + floor;
            let is_last = damping > LAST_DAMPING;
            // Damping divides the promise by about as much. At a kink, where a linear parameter just touches its bound,
            // it may stay high to the end.
            let settled = if is_last { offset * damping <= least } else { offset <= least && damping <= FREE_DAMPING };
            let end = &mut ends[task[lane]];
            for (i, p) in model.nonlinear.iter().enumerate() {
                end.parameters[*p] = stand.theta[i].0[lane];
            }
            for (j, p) in model.linear.iter().enumerate() {
                end.parameters[*p] = stand.sums.solution[j].0[lane];
            }
            end.sse = sse;
            end.iterations = iterations.0[lane] as u32;
            end.status = match (sse.is_finite(), settled) {
                (false, _) => Status::NoFiniteStart,
                (true, true) => Status::Converged,
                _ if is_last || !offset.is_finite() => Status::Stalled,
                _ => Status::MaxIterations,
            };
            let (first, variance) = (first_offset.0[lane], first_sse.0[lane] * share / OFFSET);
            end.first_offset = match sse.is_finite() {
                true if first > floor => first / variance,
                true => 0.0,
                false => f64::INFINITY,
            };
            refill!(lane);
        }
    }
    ends
}
