//! One step of the nonlinear parameters `theta` of a separable fit, linear ones following, written once over [`Scalar`].

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use super::factor::{backward, entry, factorise, forward, masked, product, triangle};
use super::sums::{Size, Sums};
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
/// A parameter that would change the response by less than the root of this share, moved through its whole box, has
/// no influence: what its derivatives say is rounding.
const NO_INFLUENCE: f64 = 1e-28;

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
    diagonal: Vec<S>,
    gauss: Vec<S>,
    newton: Vec<S>,
    by_gauss: Vec<S>,
    /// The step.
    by: Vec<S>,
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
            diagonal: zeros(nonlinear),
            gauss: zeros(t),
            newton: zeros(t),
            by_gauss: zeros(nonlinear),
            by: zeros(nonlinear),
        }
    }
}

/// Where a fit stands: everything at the best parameters seen.
#[derive(Debug, Clone)]
pub struct Stand<S> {
    /// Nonlinear parameters.
    pub theta: Vec<S>,
    /// Sums over the points, and the linear parameters that follow.
    pub sums: Sums<S>,
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
            sums: Sums::new(linear, nonlinear),
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
    any: impl Fn(S) -> bool + Copy,
) -> S {
    let (c, k, zero, one) = (size.linear(), size.nonlinear(), S::lit(0.0), S::lit(1.0));
    let target = &mut target[..k];
    // About the sum of squares of the response.
    let mut energy = zero;
    for j in 0..c {
        energy = energy + stand.sums.solution[j] * stand.sums.solution[j] * stand.sums.gram[triangle(j, j)];
    }
    energy = energy * S::lit(NO_INFLUENCE);
    for i in 0..k {
        let inward_low = zero.select_less(stand.sums.gradient[i], one, zero);
        let inward_high = stand.sums.gradient[i].select_less(zero, one, zero);
        let off_lower = stand.lower[i].select_less(stand.theta[i], one, inward_low);
        let off_upper = stand.theta[i].select_less(stand.upper[i], one, inward_high);
        let width = stand.upper[i] - stand.lower[i];
        let influence = stand.sums.normal[triangle(i, i)] * width * width;
        room.moves[i] = energy.select_less(influence, off_lower * off_upper, zero);
    }
    room.follows.copy_from_slice(&stand.sums.free);
    room.shift.fill(zero);
    instructions.run(
        #[inline(always)]
        || work_out(size, stand, second_order, damping, room, any),
    );
    // Where the linear parameters would be then.
    for j in 0..c {
        room.along[j] = zero;
        for i in 0..k {
            room.along[j] = room.along[j] - room.bent[i * c + j] * room.by[i];
        }
    }
    backward(c, &room.factor, &mut room.along);
    let mut met = zero;
    for j in 0..c {
        let wish = stand.sums.solution[j] + stand.sums.free[j] * room.along[j];
        let within = wish.clamp(stand.linear_lower[j], stand.linear_upper[j]);
        let outside = zero.select_less(stand.sums.free[j] * (wish - within).abs(), one, zero);
        met = met.max(outside);
        room.follows[j] = stand.sums.free[j] * (one - outside);
        room.shift[j] = outside * (within - stand.sums.solution[j]);
    }
    let mut promise = zero;
    for i in 0..k {
        promise = promise + room.gradient[i] * room.by[i];
        target[i] = room.by[i];
    }
    if any(met) {
        let cost = instructions.run(
            #[inline(always)]
            || work_out(size, stand, second_order, damping, room, any),
        );
        let mut other = -cost;
        for i in 0..k {
            other = other + room.gradient[i] * room.by[i];
        }
        let better = |new: S, old: S| zero.select_less(met * other, new, old);
        promise = better(other, promise);
        for i in 0..k {
            target[i] = better(room.by[i], target[i]);
        }
    }
    for i in 0..k {
        target[i] = (stand.theta[i] + target[i]).clamp(stand.lower[i], stand.upper[i]);
    }
    promise
}

/// The step with linear parameters that follow or are shifted as `room` says; leaves it in `room.by`. Gives what the
/// shift costs at these nonlinear parameters.
#[inline(always)]
fn work_out<S: Scalar>(
    size: impl Size,
    stand: &Stand<S>,
    second_order: bool,
    damping: S,
    room: &mut Room<S>,
    any: impl Fn(S) -> bool,
) -> S {
    let (c, k, zero, one) = (size.linear(), size.nonlinear(), S::lit(0.0), S::lit(1.0));
    let [_, gram, cross, pull, normals, bend] = stand.sums.parts(c, k);
    let (moves, gradient, diagonal) = (&room.moves[..k], &mut room.gradient[..k], &mut room.diagonal[..k]);
    let (follows, shift, along) = (&room.follows[..c], &room.shift[..c], &mut room.along[..c]);
    let factor = &mut room.factor[..triangle(c, 0)];
    let (plain, bent) = (&mut room.plain[..k * c], &mut room.bent[..k * c]);
    let (gauss, newton) = (&mut room.gauss[..triangle(k, 0)], &mut room.newton[..triangle(k, 0)]);
    let (by_gauss, by) = (&mut room.by_gauss[..k], &mut room.by[..k]);
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
    cost = cost - product(c, factor, along, along);
    for i in 0..k {
        let row = i * c..(i + 1) * c;
        let (plain, bent) = (&mut plain[row.clone()], &mut bent[row]);
        gradient[i] = stand.sums.gradient[i];
        for j in 0..c {
            let curved = cross[i * c + j] - pull[i * c + j];
            gradient[i] = gradient[i] - curved * shift[j];
            plain[j] = follows[j] * cross[i * c + j];
            bent[j] = follows[j] * curved;
        }
        forward(c, factor, plain);
        forward(c, factor, bent);
        // Of the Gauss–Newton matrix of the sum of squares as a function of the nonlinear parameters alone.
        diagonal[i] = (normals[triangle(i, i)] - product(c, factor, plain, plain)).max(zero);
        gradient[i] = moves[i] * (gradient[i] + product(c, factor, bent, along));
    }
    // A parameter held has a unit row and no gradient.
    let mut indefinite = one;
    if second_order {
        for i in 0..k {
            for l in 0..=i {
                let curved = product(c, factor, &bent[i * c..(i + 1) * c], &bent[l * c..(l + 1) * c]);
                let entry = normals[triangle(i, l)] - bend[triangle(i, l)] - curved;
                newton[triangle(i, l)] = moves[i] * moves[l] * entry;
            }
            newton[triangle(i, i)] = newton[triangle(i, i)] + moves[i] * damping * diagonal[i] + (one - moves[i]);
            by[i] = gradient[i];
        }
        indefinite = one - factorise(k, newton);
        forward(k, newton, by);
        backward(k, newton, by);
    }
    if any(indefinite) {
        for i in 0..k {
            for l in 0..i {
                let straight = product(c, factor, &plain[i * c..(i + 1) * c], &plain[l * c..(l + 1) * c]);
                gauss[triangle(i, l)] = moves[i] * moves[l] * (normals[triangle(i, l)] - straight);
            }
            gauss[triangle(i, i)] = moves[i] * (diagonal[i] + damping * diagonal[i]) + (one - moves[i]);
            by_gauss[i] = gradient[i];
        }
        factorise(k, gauss);
        forward(k, gauss, by_gauss);
        backward(k, gauss, by_gauss);
        for i in 0..k {
            by[i] = zero.select_less(indefinite, by_gauss[i], by[i]);
        }
    }
    cost
}
