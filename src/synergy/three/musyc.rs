//! MuSyC of three drugs, fitted to a whole matrix: what the pairs do to one another's potency and efficacy, and what all
//! three do beyond that ([`crate::model::musyc_three`]).

use super::descent::{ALL, ParameterBox, Points, TripleFit};
use crate::fit::inference::covariance::Precision;
use crate::fit::inference::search::{Search, Step};
use crate::math::special::{f_upper_tail, t_quantile};
use crate::math::{Dual, array};
use crate::model::LN_DOSE_ZERO;
use crate::model::musyc_three::{
    DRUGS, EFFECTS, LN_ALPHA, LN_ALPHA_OF_PAIR, LN_C, NONLINEAR, PARAMETERS, SLOPE, STATES, ln_alpha, response,
};
use crate::model::surface::HillCurve;
use crate::screen::triple_matrix::TripleMatrix;
use crate::synergy::noise::ROUNDING;
use crate::synergy::profile::Profile;

/// The state with all drugs bound.
pub const EVERY: usize = STATES - 1;
/// Distinct doses above zero that each drug needs among the combinations of each pair and of all three.
const FEWEST_LEVELS: usize = 2;
/// Fold changes of potency at which fits begin, natural log.
const BEGINNINGS: [f64; 3] = [-1.5, 0.0, 1.5];
/// Every beginning is followed for so many evaluations, and the best so many of them to the end.
const HEAT: (u32, usize) = (8, 2);
/// A single drug's slope, as a beginning; half-effect doses begin no further beyond the doses tested than this, in
/// natural-log units. As for pairs.
const SLOPES: (f64, f64) = (0.5, 1.8);
const BEYOND: f64 = 1.0;
/// Quantiles of Student's t: of a two-sided 95 % interval, and of a one-sided 95 % bound.
const TWO_SIDED: f64 = 0.975;
const ONE_SIDED: f64 = 0.95;
/// An end of an interval is found where the profile t is this near to its quantile, relatively.
const NEAR: f64 = 0.01;
/// Held fits for one end, at most.
const MOST_TRIALS: usize = 25;
/// A held fit that is lower than the free one by this share has found a better minimum.
const LOWER: f64 = 1e-6;
/// Rounds of profiles that have found a lower sum of squares.
const ROUNDS: usize = 3;
/// An effect this near to the end of its box, as a share of it, is on it.
const ON_BOUND: f64 = 1e-9;

/// A value with its standard error, or why there is none.
pub type Estimate = (f64, Result<f64, &'static str>);

/// A fitted surface of three drugs and what the data say of its parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct TripleMusyc {
    /// The fit.
    pub fit: TripleFit,
    /// Cells fitted.
    pub points: usize,
    /// Variance of a single well, and its degrees of freedom.
    pub variance: f64,
    /// See `variance`.
    pub degrees_of_freedom: usize,
    /// Standard error of each effect, by state, then of each nonlinear parameter, or why there is none.
    pub standard_errors: Vec<Result<f64, &'static str>>,
    /// What the data say of the fold changes of potency, from [`LN_ALPHA`] on; or why there are no intervals.
    pub profiles: Result<Vec<Profile>, &'static str>,
    /// Fold changes by a pair, of drug `k`, that the data do not tell and that are held at 1.
    pub held: [bool; DRUGS],
    /// Share by which all three do more than the best pair, `(best pair - all) / (e0 - best pair)`.
    pub beta: Option<Estimate>,
    /// Mean excess over the combinations of all three: expected without interaction of the third order, less fitted. Its
    /// standard error is by linear propagation, which the best of three pairs is not: 95 % intervals cover 91 % of simulated
    /// truths where pairs are nearly equal.
    pub score: Estimate,
    /// Expected and fitted viability of each combination, in the order of [`TripleMatrix::combinations`].
    pub cells: Vec<(f64, f64)>,
}

/// The surface without interaction of the third order: all three do what the best pair does, and potencies follow from
/// those of pairs.
fn without_third_order<S: crate::math::Scalar>(
    mut effects: [S; STATES],
    mut nonlinear: [S; NONLINEAR],
) -> ([S; STATES], [S; NONLINEAR]) {
    effects[EVERY] = PAIRS.iter().map(|pair| effects[*pair]).reduce(S::min).unwrap_or(effects[EVERY]);
    nonlinear[LN_ALPHA_OF_PAIR..].fill(S::lit(0.0));
    (effects, nonlinear)
}

/// The states with two drugs bound.
const PAIRS: [usize; 3] = [0b011, 0b101, 0b110];

/// Why a design is too small for the surface; `curves` are those of the single drugs.
fn too_small(matrix: &TripleMatrix, curves: &[Option<HillCurve<f64>>; DRUGS]) -> Option<&'static str> {
    if matrix.combinations().next().is_none() {
        return Some("no_combination_cells");
    }
    if curves.iter().any(Option::is_none) {
        return Some("no_margins");
    }
    for drugs in PAIRS.into_iter().chain([EVERY]) {
        let has = |k: &usize| drugs & (1 << k) != 0;
        let cells = || {
            let is_it = move |dose: &[f64; DRUGS]| (0..DRUGS).all(|k| (dose[k] > 0.0) == has(&k));
            matrix.cells.iter().map(|cell| cell.dose).filter(is_it)
        };
        let few = |k: usize| {
            let mut levels: Vec<f64> = cells().map(|dose| dose[k]).collect();
            levels.sort_by(f64::total_cmp);
            levels.dedup();
            levels.len() < FEWEST_LEVELS
        };
        if (0..DRUGS).filter(has).any(few) {
            return Some(match (drugs == EVERY, cells().next()) {
                (false, None) => "no_pairs",
                (false, Some(_)) => "too_few_doses_of_pairs",
                (true, _) => "too_few_doses_of_three",
            });
        }
    }
    (matrix.cells.len() <= ALL).then_some("too_few_cells")
}

fn ln_dose(dose: [f64; DRUGS]) -> [f64; DRUGS] {
    dose.map(|dose| if dose > 0.0 { libm::log(dose) } else { LN_DOSE_ZERO })
}

/// Fits the surface to a matrix. `noise` is the standard deviation of a single well and its degrees of freedom, where
/// replicates tell it; else the residuals do.
///
/// # Errors
/// Why there is no fit: `no_margins`, `no_pairs`, `too_few_doses_of_pairs`, `too_few_doses_of_three`, `too_few_cells`,
/// `no_combination_cells`, `bad_value`, `no_finite_start`.
pub fn fit_triple(
    matrix: &TripleMatrix,
    curves: &[Option<HillCurve<f64>>; DRUGS],
    noise: Option<(f64, usize)>,
    max_iterations: u32,
) -> Result<TripleMusyc, &'static str> {
    if let Some(reason) = too_small(matrix, curves) {
        return Err(reason);
    }
    let cells: Vec<([f64; DRUGS], f64, f64)> =
        matrix.cells.iter().map(|cell| (ln_dose(cell.dose), cell.response, cell.weight)).collect();
    if cells.iter().any(|(_, response, weight)| !response.is_finite() || !weight.is_finite() || *weight <= 0.0) {
        return Err("bad_value");
    }
    let points = Points::new(&cells);
    let (everything, begin) = box_and_beginning(&cells, curves);
    let beginnings = beginnings(&cells, &everything, &begin, max_iterations);
    let Some(mut fit) = best_of(&points, &beginnings, &everything, max_iterations) else {
        return Err("no_finite_start");
    };
    // Where nothing else tells the noise, the residuals of the surface do.
    let residual = points.n - ALL;
    let noise_of = |fit: &TripleFit| noise.unwrap_or(((fit.sse / residual as f64).sqrt(), residual));
    let mut within = everything;
    let mut held = [false; DRUGS];
    let mut profiles = Err("no_noise");
    if noise_of(&fit).0 > ROUNDING {
        // First what a pair does to the third drug: what the data do not tell is held, so that it costs the others nothing.
        let thirds: Vec<usize> = (LN_ALPHA_OF_PAIR..NONLINEAR).collect();
        let first = profile(&points, &mut fit, &within, &thirds, noise_of, max_iterations);
        for (k, profile) in first.iter().enumerate() {
            let [low, high] = profile.interval;
            let has_one = low.is_none_or(|low| low <= 0.0) && high.is_none_or(|high| high >= 0.0);
            held[k] = (low.is_none() || high.is_none()) && has_one;
            if held[k] {
                within = within.hold(LN_ALPHA_OF_PAIR + k, 0.0);
            }
        }
        if held.contains(&true) {
            let begins: Vec<[f64; NONLINEAR]> = std::iter::once(fit.nonlinear).chain(beginnings).collect();
            fit = best_of(&points, &begins, &within, max_iterations).unwrap_or(fit);
        }
        let free: Vec<usize> = (LN_ALPHA..NONLINEAR).filter(|p| within.is_free(*p)).collect();
        profiles = Ok(profile(&points, &mut fit, &within, &free, noise_of, max_iterations));
    }
    let (sigma, degrees_of_freedom) = noise_of(&fit);
    Ok(examined(matrix, &points, fit, &within, sigma * sigma, degrees_of_freedom, profiles, held))
}

/// The box of the parameters, and the single drugs' curves as a beginning, drawn towards the doses tested.
fn box_and_beginning(
    cells: &[([f64; DRUGS], f64, f64)],
    curves: &[Option<HillCurve<f64>>; DRUGS],
) -> (ParameterBox, [f64; NONLINEAR]) {
    let mut within =
        ParameterBox { lower: array(|p| PARAMETERS[p].bound.lower), upper: array(|p| PARAMETERS[p].bound.upper) };
    let mut begin = [0.0; NONLINEAR];
    for k in 0..DRUGS {
        let doses = cells.iter().map(|(x, ..)| x[k]).filter(|x| *x > LN_DOSE_ZERO);
        let (low, high) = doses.fold((f64::INFINITY, f64::NEG_INFINITY), |(l, h), x| (l.min(x), h.max(x)));
        within.lower[LN_C + k] += low;
        within.upper[LN_C + k] += high;
        let (place, slope) = curves[k].map_or((0.5 * (low + high), 1.0), |curve| (curve.ln_ec50, curve.slope));
        begin[LN_C + k] = place.max(low - BEYOND).min(high + BEYOND);
        begin[SLOPE + k] = slope.max(SLOPES.0).min(SLOPES.1);
    }
    (within, begin)
}

/// Beginnings of the whole surface: what the pairs do by themselves, each from several fold changes of potency, with the
/// third order at several values; and no change at all.
fn beginnings(
    cells: &[([f64; DRUGS], f64, f64)],
    everything: &ParameterBox,
    begin: &[f64; NONLINEAR],
    max_iterations: u32,
) -> Vec<[f64; NONLINEAR]> {
    let mut of_pairs = *begin;
    for third in 0..DRUGS {
        let of_pair: Vec<_> = cells.iter().filter(|(x, ..)| x[third] <= LN_DOSE_ZERO).copied().collect();
        let points = Points::new(&of_pair);
        let [i, j] = [(third + 1) % DRUGS, (third + 2) % DRUGS];
        let (on_j, on_i) = (ln_alpha(i, j), ln_alpha(j, i));
        let takes_part = |p: usize| [LN_C + i, LN_C + j, SLOPE + i, SLOPE + j, on_i, on_j].contains(&p);
        let within = (0..NONLINEAR).filter(|p| !takes_part(*p)).fold(*everything, |b, p| b.hold(p, begin[p]));
        let begins: Vec<[f64; NONLINEAR]> = BEGINNINGS
            .iter()
            .flat_map(|x| BEGINNINGS.iter().map(move |y| (*x, *y)))
            .map(|(x, y)| {
                let mut begin = *begin;
                (begin[on_i], begin[on_j]) = (x, y);
                begin
            })
            .collect();
        if let Some(fit) = best_of(&points, &begins, &within, max_iterations) {
            (of_pairs[on_i], of_pairs[on_j]) = (fit.nonlinear[on_i], fit.nonlinear[on_j]);
        }
    }
    let third_order = |ln_fold: &f64| {
        let mut begin = of_pairs;
        begin[LN_ALPHA_OF_PAIR..].fill(*ln_fold);
        begin
    };
    BEGINNINGS.iter().map(third_order).chain([*begin]).collect()
}

/// The lowest of the fits from several beginnings.
fn best_of(
    points: &Points,
    begins: &[[f64; NONLINEAR]],
    within: &ParameterBox,
    max_iterations: u32,
) -> Option<TripleFit> {
    let mut fits: Vec<TripleFit> = begins.iter().map(|begin| points.descend(begin, within, HEAT.0)).collect();
    fits.sort_by(|a, b| a.sse.total_cmp(&b.sse));
    fits.truncate(HEAT.1);
    let ends = fits.iter().map(|fit| points.descend(&fit.nonlinear, within, max_iterations));
    ends.filter(|fit| fit.status.is_fitted() && fit.sse.is_finite()).min_by(|a, b| a.sse.total_cmp(&b.sse))
}

/// The precision of the free parameters: effects inside their box, and nonlinear ones inside theirs. And which they are.
fn precision(points: &Points, fit: &TripleFit, within: &ParameterBox) -> (Precision<ALL>, [bool; ALL]) {
    let inside = |value: f64, lower: f64, upper: f64| {
        let margin = ON_BOUND * (upper - lower);
        value > lower + margin && value < upper - margin
    };
    let free: [bool; ALL] = array(|p| match p.checked_sub(STATES) {
        None => inside(fit.effects[p], EFFECTS[p].bound.lower, EFFECTS[p].bound.upper),
        Some(p) => inside(fit.nonlinear[p], within.lower[p], within.upper[p]),
    });
    let mut normal = [[0.0; ALL]; ALL];
    for row in points.jacobian(fit) {
        for i in 0..ALL {
            for j in 0..=i {
                normal[i][j] += row[i] * row[j];
            }
        }
    }
    (Precision::new(&normal, ALL, free), free)
}

/// Profile likelihoods of the parameters named. Where a held fit is lower than `fit`, that is replaced by what the held
/// one leads to, and they are begun anew.
fn profile(
    points: &Points,
    fit: &mut TripleFit,
    within: &ParameterBox,
    parameters: &[usize],
    noise_of: impl Fn(&TripleFit) -> (f64, usize),
    max_iterations: u32,
) -> Vec<Profile> {
    let mut found = Vec::new();
    for _ in 0..ROUNDS {
        found.clear();
        let (sigma, degrees) = noise_of(fit);
        let quantile = |share| t_quantile(share, degrees as f64).unwrap_or(f64::INFINITY);
        let (precision, _) = precision(points, fit, within);
        let mut lowest = *fit;
        for &parameter in parameters {
            let best = fit.nonlinear[parameter];
            let error = precision.parameter_variance(STATES + parameter).map(|v| sigma * v.sqrt());
            let width = within.upper[parameter] - within.lower[parameter];
            let unit = |t: f64| error.map_or(0.02 * width, |error| (t * error).min(width));
            let mut end = |upper: bool, t: f64| {
                let limit = if upper { within.upper[parameter] } else { within.lower[parameter] };
                let mut search = Search::new(best, unit(t), limit, t, NEAR)?;
                let mut begin = fit.nonlinear;
                for _ in 0..MOST_TRIALS {
                    let held = within.hold(parameter, search.next());
                    let trial = points.descend(&begin, &held, max_iterations);
                    if !trial.sse.is_finite() {
                        return None;
                    }
                    if trial.sse < lowest.sse {
                        lowest = trial;
                    }
                    let rise = (trial.sse - fit.sse).max(0.0).sqrt() / sigma;
                    if search.is_inside(rise) {
                        begin = trial.nonlinear;
                    }
                    match search.learn(rise) {
                        Step::Next => {}
                        Step::Found(value) => return Some(value),
                        Step::Open => return None,
                    }
                }
                None
            };
            let interval = [false, true].map(|upper| end(upper, quantile(TWO_SIDED)));
            let bounds = match interval {
                [Some(_), None] => [end(false, quantile(ONE_SIDED)), None],
                [None, Some(_)] => [None, end(true, quantile(ONE_SIDED))],
                _ => [None; 2],
            };
            found.push(Profile { parameter, best, interval, bounds });
        }
        if lowest.sse >= fit.sse * (1.0 - LOWER) {
            break;
        }
        let lower = points.descend(&lowest.nonlinear, within, max_iterations);
        if lower.sse >= fit.sse {
            break;
        }
        *fit = lower;
    }
    found
}

/// What follows from a fit.
#[expect(clippy::too_many_arguments, reason = "all that a fit came to")]
fn examined(
    matrix: &TripleMatrix,
    points: &Points,
    fit: TripleFit,
    within: &ParameterBox,
    variance: f64,
    degrees_of_freedom: usize,
    profiles: Result<Vec<Profile>, &'static str>,
    held: [bool; DRUGS],
) -> TripleMusyc {
    let (precision, free) = precision(points, &fit, within);
    let error = |gradient: &[f64]| match precision.variance(gradient) {
        Some(v) if v > 0.0 && variance > 0.0 => Ok((v * variance).sqrt()),
        Some(_) => Err("no_noise"),
        None => Err("unidentified"),
    };
    let of_parameter = |p: usize| match free[p] {
        true => error(&array::<f64, ALL>(|i| if i == p { 1.0 } else { 0.0 })),
        false if p >= STATES && !within.is_free(p - STATES) => Err("held_at_1"),
        false => Err("at_bound"),
    };
    type D = Dual<f64, ALL>;
    let effects: [D; STATES] = array(|j| D::parameter(fit.effects[j], j));
    let nonlinear: [D; NONLINEAR] = array(|i| D::parameter(fit.nonlinear[i], STATES + i));
    let expected = without_third_order(effects, nonlinear);
    let mut sum = D::constant(0.0);
    let mut cells = Vec::new();
    for (_, cell) in matrix.combinations() {
        let at = ln_dose(cell.dose).map(D::constant);
        let (without, with) = (response(at, expected.0, expected.1), response(at, effects, nonlinear));
        cells.push((without.value, with.value));
        sum = sum + (without - with);
    }
    let mean = sum / D::constant(cells.len().max(1) as f64);
    let best_pair = expected.0[EVERY];
    // An effect that its box has cut off is not known, nor is what is made of it.
    let on_bound = [0, EVERY].into_iter().chain(PAIRS).any(|state| !free[state]);
    let of_dual = |value: D| (value.value, if on_bound { Err("at_bound") } else { error(&value.gradient) });
    let room = effects[0] - best_pair;
    let beta = (room.value > 0.0).then(|| of_dual((best_pair - effects[EVERY]) / room));
    TripleMusyc {
        fit,
        points: points.n,
        variance,
        degrees_of_freedom,
        standard_errors: (0..ALL).map(of_parameter).collect(),
        profiles,
        held,
        beta,
        score: of_dual(mean),
        cells,
    }
}

impl TripleMusyc {
    /// 95 % interval (Student's t) and two-sided p of no difference from 0.
    pub fn interval_and_p(&self, (value, error): Estimate) -> Option<([f64; 2], f64)> {
        let (error, degrees) = (error.ok()?, self.degrees_of_freedom as f64);
        let reach = t_quantile(TWO_SIDED, degrees)? * error;
        Some(([value - reach, value + reach], f_upper_tail((value / error).powi(2), 1.0, degrees)))
    }
}
