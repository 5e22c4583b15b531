//! Least squares of the surface of three drugs, effects solved for at every step (variable projection), one surface at a
//! time in f64: it has more parameters than curves and surfaces of two drugs may have, and there are few of it. Points go
//! side by side through the model and its derivatives.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use crate::fit::Status;
use crate::fit::factor::triangle;
use crate::fit::step::{
    DAMPING_ACCEPTED, DAMPING_REJECTED, FIRST_DAMPING, FREE_DAMPING, LAST_DAMPING, LEAST_DAMPING, Room, Stand, step,
};
use crate::fit::sums::{Known, ROUNDS, Sums};
use crate::math::instructions::{InstructionSet, Portable, Vectorisable};
use crate::math::{Instructions, Lanes, Scalar, array};
use crate::model::musyc_three::{DRUGS, EFFECTS, NONLINEAR, STATES, States};

/// Points side by side.
const LANES: usize = 8;
type L = Lanes<LANES>;
/// All parameters: effects by state, then the nonlinear ones.
pub const ALL: usize = STATES + NONLINEAR;
/// As for curves: a step that promises less than this share of the residual variance is none, ...
const OFFSET: f64 = 1e-7;
/// ... nor is rounding.
const ROUNDING: f64 = 1e-26;

/// Points of a surface.
#[derive(Debug, Clone)]
pub struct Points {
    chunks: Vec<Chunk>,
    /// How many.
    pub n: usize,
    weight: f64,
}

/// Points side by side; those that fill up the last ones weigh nothing.
#[derive(Debug, Clone)]
struct Chunk {
    ln_dose: [L; DRUGS],
    root_weight: L,
    /// Times the root of the weight.
    response: L,
}

/// A box of the nonlinear parameters; one that is held has equal ends.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ParameterBox {
    /// Lower ends.
    pub lower: [f64; NONLINEAR],
    /// Upper ends.
    pub upper: [f64; NONLINEAR],
}

impl ParameterBox {
    /// The same with a parameter held.
    pub fn hold(mut self, parameter: usize, value: f64) -> Self {
        (self.lower[parameter], self.upper[parameter]) = (value, value);
        self
    }

    /// Whether a parameter may move.
    pub fn is_free(&self, parameter: usize) -> bool {
        self.lower[parameter] < self.upper[parameter]
    }
}

/// A fitted surface.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct TripleFit {
    /// How the fit ended.
    pub status: Status,
    /// Effects by state: viabilities.
    pub effects: [f64; STATES],
    /// The other parameters, by [`crate::model::musyc_three::PARAMETERS`].
    pub nonlinear: [f64; NONLINEAR],
    /// Weighted sum of squares; infinite where there is no fit.
    pub sse: f64,
}

/// The states at every point, and the sums over them. Derivatives of the shares one by one are left out, as Kaufman's form of
/// variable projection does (1975, doi 10.1007/BF01932995): the gradient is exact, and the effects follow a step to first
/// order in the residuals.
struct Evaluation {
    states: Vec<States<L>>,
    sums: Sums<f64>,
}

impl Points {
    /// From (natural-log doses, response, weight).
    pub fn new(points: &[([f64; DRUGS], f64, f64)]) -> Self {
        let chunk = |points: &[([f64; DRUGS], f64, f64)]| {
            let at = |lane: usize| points[lane.min(points.len() - 1)];
            let root = |lane: usize| if lane < points.len() { at(lane).2.sqrt() } else { 0.0 };
            Chunk {
                ln_dose: array(|k| Lanes(array(|lane| at(lane).0[k]))),
                root_weight: Lanes(array(root)),
                response: Lanes(array(|lane| root(lane) * at(lane).1)),
            }
        };
        let weight = points.iter().map(|(.., weight)| weight).sum();
        Self { chunks: points.chunks(LANES).map(chunk).collect(), n: points.len(), weight }
    }

    /// Follows the sum of squares down from `begin`, inside the box.
    pub fn descend(&self, begin: &[f64; NONLINEAR], within: &ParameterBox, max_iterations: u32) -> TripleFit {
        InstructionSet::detect().run(Descent { points: self, begin, within, max_iterations })
    }

    /// The rows of the weighted Jacobian at a fit, by point in the order given: effects, then the others.
    pub fn jacobian(&self, fit: &TripleFit) -> Vec<[f64; ALL]> {
        let (effects, nonlinear) = (fit.effects.map(L::lit), fit.nonlinear.map(L::lit));
        let mut rows = Vec::with_capacity(self.n);
        for chunk in &self.chunks {
            let states = States::new(chunk.ln_dose, nonlinear);
            let slopes = states.slopes(effects);
            for lane in 0..LANES.min(self.n - rows.len()) {
                let of = |p: usize| if p < STATES { states.shares[p] } else { slopes[p - STATES] };
                rows.push(array(|p| (chunk.root_weight * of(p)).0[lane]));
            }
        }
        rows
    }
}

/// The effects' box.
fn plateaus() -> ([f64; STATES], [f64; STATES]) {
    (array(|j| EFFECTS[j].bound.lower), array(|j| EFFECTS[j].bound.upper))
}

fn sum(lanes: L) -> f64 {
    lanes.0.iter().sum()
}

impl Evaluation {
    fn new() -> Self {
        Self { states: Vec::new(), sums: Sums::new(STATES, NONLINEAR) }
    }

    /// The sum of squares, effects solved for in their box; leaves what the next step needs in `sums`.
    #[inline(always)]
    fn evaluate(&mut self, points: &Points, theta: &[f64; NONLINEAR]) -> f64 {
        let zero = L::lit(0.0);
        let parameters = theta.map(L::lit);
        let mut gram = [zero; STATES * (STATES + 1) / 2];
        let mut target = [zero; STATES];
        self.states.clear();
        for chunk in &points.chunks {
            let states = States::new(chunk.ln_dose, parameters);
            let basis: [L; STATES] = array(|j| chunk.root_weight * states.shares[j]);
            for j in 0..STATES {
                for l in 0..=j {
                    gram[triangle(j, l)] = gram[triangle(j, l)] + basis[j] * basis[l];
                }
                target[j] = target[j] + basis[j] * chunk.response;
            }
            self.states.push(states);
        }
        let sums = &mut self.sums;
        sums.gram.iter_mut().zip(gram).for_each(|(to, lanes)| *to = sum(lanes));
        sums.target.iter_mut().zip(target).for_each(|(to, lanes)| *to = sum(lanes));
        let (lower, upper) = plateaus();
        sums.solve(STATES, &lower, &upper, ROUNDS, |mask| mask > 0.0);
        let effects: [L; STATES] = array(|j| L::lit(sums.solution[j]));
        let mut sse = zero;
        let mut cross = [[zero; STATES]; NONLINEAR];
        let mut gradient = [zero; NONLINEAR];
        let mut normal = [zero; NONLINEAR * (NONLINEAR + 1) / 2];
        for (chunk, states) in points.chunks.iter().zip(&self.states) {
            let root = chunk.root_weight;
            let residual = chunk.response - root * states.response(effects);
            sse = sse + residual * residual;
            let slopes = states.slopes(effects);
            for i in 0..NONLINEAR {
                let slope = root * slopes[i];
                gradient[i] = gradient[i] + residual * slope;
                let slope = root * slope;
                for j in 0..STATES {
                    cross[i][j] = cross[i][j] + slope * states.shares[j];
                }
                for l in 0..=i {
                    normal[triangle(i, l)] = normal[triangle(i, l)] + slope * slopes[l];
                }
            }
        }
        for i in 0..NONLINEAR {
            for j in 0..STATES {
                sums.cross[i * STATES + j] = sum(cross[i][j]);
            }
            sums.gradient[i] = sum(gradient[i]);
        }
        sums.normal.iter_mut().zip(normal).for_each(|(to, lanes)| *to = sum(lanes));
        sum(sse)
    }
}

struct Descent<'a> {
    points: &'a Points,
    begin: &'a [f64; NONLINEAR],
    within: &'a ParameterBox,
    max_iterations: u32,
}

impl Vectorisable for Descent<'_> {
    type Output = TripleFit;
    /// The steps and the rule for ending are those of [`crate::fit::descent`], of one fit.
    fn with(self, instructions: impl Instructions) -> TripleFit {
        let Self { points, begin, within, max_iterations } = self;
        let mut evaluation = Evaluation::new();
        let mut room = Room::new(STATES, NONLINEAR);
        let mut stand = Stand::<f64>::new(STATES, NONLINEAR);
        stand.lower.copy_from_slice(&within.lower);
        stand.upper.copy_from_slice(&within.upper);
        let (lower, upper) = plateaus();
        stand.linear_lower.copy_from_slice(&lower);
        stand.linear_upper.copy_from_slice(&upper);
        let mut theta: [f64; NONLINEAR] = array(|i| Scalar::clamp(begin[i], within.lower[i], within.upper[i]));
        let free = STATES + (0..NONLINEAR).filter(|i| within.is_free(*i)).count();
        let least = |sse: f64| sse * OFFSET / points.n.saturating_sub(free).max(1) as f64 + ROUNDING * points.weight;
        let (mut best, mut damping) = (f64::INFINITY, FIRST_DAMPING);
        let mut status = Status::NoFiniteStart;
        for iteration in 0..max_iterations.max(1) {
            let sse = instructions.run(
                #[inline(always)]
                || evaluation.evaluate(points, &theta),
            );
            if sse < best {
                damping = if iteration == 0 { FIRST_DAMPING } else { (damping * DAMPING_ACCEPTED).max(LEAST_DAMPING) };
                best = sse;
                stand.theta.copy_from_slice(&theta);
                std::mem::swap(&mut stand.sums, &mut evaluation.sums);
            } else {
                damping = damping.max(FIRST_DAMPING) * DAMPING_REJECTED;
            }
            if !best.is_finite() {
                break;
            }
            let size = Known::<STATES, NONLINEAR>;
            let offset = step(Portable, size, &stand, false, damping, &mut room, &mut theta, |mask| mask > 0.0);
            let (is_last, is_free) = (damping > LAST_DAMPING, damping <= FREE_DAMPING);
            if offset <= least(best) && is_free || is_last && offset * damping <= least(best) {
                status = Status::Converged;
                break;
            }
            status = Status::MaxIterations;
            if is_last || !offset.is_finite() {
                status = Status::Stalled;
                break;
            }
        }
        TripleFit {
            status,
            effects: array(|j| stand.sums.solution[j]),
            nonlinear: array(|i| stand.theta[i]),
            sse: best,
        }
    }
}
