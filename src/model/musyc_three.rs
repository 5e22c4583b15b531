//! MuSyC of three drugs: eight states of a cell, one for each set of drugs that are bound to it, and mass action along the
//! twelve edges of that cube (Meyer 2019, doi 10.1016/j.cels.2019.01.003; Wooten 2021, doi 10.1038/s41467-021-24789-z, with
//! the rates of unbinding equal to 1, as for two drugs).
//!
//! A set of drugs is a number whose bit `k` is set if drug `k` is in it. The rate at which drug `k` binds to a cell that has
//! the set `s` bound is `(alpha d_k / C_k)^h_k`; `alpha` is the product of the fold changes of its potency by each drug of
//! `s` and, where both others are bound, of one by the two together beyond that product. With that last one 1 the
//! potencies of three drugs follow from those of pairs. (What Wooten calls the alpha of a pair on a third is the whole
//! product.) The cube is in no detailed balance, so the states have no closed form that anyone would want to read: they
//! are solved for.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use super::Parameter;
use super::hill::{location, plateau, steepness};
use super::musyc::{LN_ALPHA as LN_FOLD, ratio};
use crate::math::{Scalar, array};

/// Drugs.
pub const DRUGS: usize = 3;
/// States, as many effects, which the response is linear in.
pub const STATES: usize = 1 << DRUGS;
/// The other parameters, by place: half-effect doses, natural log ...
pub const LN_C: usize = 0;
/// ... slopes ...
pub const SLOPE: usize = 3;
/// ... fold changes of one drug's potency by another, natural log: see [`ln_alpha`] ...
pub const LN_ALPHA: usize = 6;
/// ... and of drug `k`'s by both others, beyond the product of the two, natural log, at this and `k`.
pub const LN_ALPHA_OF_PAIR: usize = 12;
/// How many that are.
pub const NONLINEAR: usize = 15;

/// Logarithms of rates beyond this are all the same: e^80 states to one are all of them. It keeps products of seven rates
/// within the numbers there are.
const MOST_LN_RATE: f64 = 80.0;

/// Place of the fold change of the potency of drug `of` by drug `by`.
#[inline(always)]
pub const fn ln_alpha(by: usize, of: usize) -> usize {
    LN_ALPHA + 2 * of + if by > of { by - 1 } else { by }
}

/// The nonlinear parameters, in order; the effects are boxed as those of two drugs are.
pub const PARAMETERS: [Parameter; NONLINEAR] = [
    location("ln_c_a", 0.2),
    location("ln_c_b", 0.2),
    location("ln_c_c", 0.2),
    steepness("h_a", &[0.7, 2.0]),
    steepness("h_b", &[0.7, 2.0]),
    steepness("h_c", &[0.7, 2.0]),
    fold("ln_alpha_b_on_a"),
    fold("ln_alpha_c_on_a"),
    fold("ln_alpha_a_on_b"),
    fold("ln_alpha_c_on_b"),
    fold("ln_alpha_a_on_c"),
    fold("ln_alpha_b_on_c"),
    fold("ln_alpha_bc_on_a"),
    fold("ln_alpha_ac_on_b"),
    fold("ln_alpha_ab_on_c"),
];

/// The effects, by state.
pub const EFFECTS: [Parameter; STATES] = [
    plateau("e0"),
    plateau("e_a"),
    plateau("e_b"),
    plateau("e_ab"),
    plateau("e_c"),
    plateau("e_ac"),
    plateau("e_bc"),
    plateau("e_abc"),
];

const fn fold(name: &'static str) -> Parameter {
    ratio(name, LN_FOLD, &[-1.5, 0.0, 1.5])
}

/// The states at one combination of doses.
#[derive(Debug, Clone, Copy)]
pub struct States<S> {
    /// The share of cells in each state.
    pub shares: [S; STATES],
    /// Natural logarithm of the rate of binding of drug `k` to a state without it, before it is cut off.
    ln_rate: [[S; STATES]; DRUGS],
    /// From a state to one with a higher number, as a share of all ways out of that one; to one with a lower number, as it
    /// was when the states above had been taken out. `None` where there is no way.
    way: [[Option<S>; STATES]; STATES],
    /// Inverse of the sum of a state's ways to those with lower numbers.
    over: [S; STATES],
    rate: [[S; STATES]; DRUGS],
    slope: [S; DRUGS],
    distance: [[S; STATES]; DRUGS],
}

/// The others of three drugs.
const OTHERS: [[usize; 2]; DRUGS] = [[1, 2], [0, 2], [0, 1]];

impl<S: Scalar> States<S> {
    /// The states at natural-log doses ([`super::LN_DOSE_ZERO`] for none) and nonlinear parameters.
    ///
    /// They are taken out one by one, their ways going on as ways between the others, and come back in by what flows into
    /// them (Grassmann, Taksar & Heyman 1985, doi 10.1287/opre.33.5.1107): nothing is ever subtracted, so that shares have
    /// all their digits, however small, and no pivots need be chosen. Every state has a way down to one with a lower
    /// number, at a rate of 1, so that no sum is 0.
    #[inline(always)]
    pub fn new(ln_dose: [S; DRUGS], parameters: [S; NONLINEAR]) -> Self {
        let (zero, one) = (S::lit(0.0), S::lit(1.0));
        let (low, high) = (S::lit(-MOST_LN_RATE), S::lit(MOST_LN_RATE));
        let mut way: [[Option<S>; STATES]; STATES] = [[None; STATES]; STATES];
        let mut rate = [[zero; STATES]; DRUGS];
        let (mut ln_rate, mut distance) = (rate, rate);
        for k in 0..DRUGS {
            let alone = ln_dose[k] - parameters[LN_C + k];
            let [i, j] = OTHERS[k];
            let (by_i, by_j) = (parameters[ln_alpha(i, k)], parameters[ln_alpha(j, k)]);
            let at = [alone, alone + by_i, alone + by_j, alone + by_i + by_j + parameters[LN_ALPHA_OF_PAIR + k]];
            for (n, at) in at.into_iter().enumerate() {
                let state = (n & 1) << i | (n >> 1) << j;
                distance[k][state] = at;
                ln_rate[k][state] = parameters[SLOPE + k] * at;
                rate[k][state] = ln_rate[k][state].clamp(low, high).exp();
                way[state][state | 1 << k] = Some(rate[k][state]);
                way[state | 1 << k][state] = Some(one);
            }
        }
        let mut over = [one; STATES];
        for last in (1..STATES).rev() {
            over[last] = one / way[last][..last].iter().flatten().copied().reduce(|a, b| a + b).unwrap_or(one);
            for from in 0..last {
                let Some(into) = way[from][last] else { continue };
                let share = into * over[last];
                way[from][last] = Some(share);
                for to in (0..last).filter(|to| *to != from) {
                    if let Some(onwards) = way[last][to] {
                        let through = share * onwards;
                        way[from][to] = Some(way[from][to].map_or(through, |direct| direct + through));
                    }
                }
            }
        }
        let mut shares = [one; STATES];
        let mut sum = one;
        for state in 1..STATES {
            let flow = |from: usize| way[from][state].map(|share| shares[from] * share);
            shares[state] = (0..state).filter_map(flow).reduce(|a, b| a + b).unwrap_or(zero);
            sum = sum + shares[state];
        }
        let whole = one / sum;
        let slope = array(|k| parameters[SLOPE + k]);
        Self { shares: array(|state| shares[state] * whole), ln_rate, way, over, rate, slope, distance }
    }

    /// The response.
    #[inline(always)]
    pub fn response(&self, effects: [S; STATES]) -> S {
        let mut response = self.shares[0] * effects[0];
        for state in 1..STATES {
            response = response + self.shares[state] * effects[state];
        }
        response
    }

    /// The derivatives of the response by the nonlinear parameters: what one more cell in a state is worth in the long run
    /// (the bias of the chain, by the same elimination) says what one more step along an edge is worth. One solution for
    /// all parameters, where dual numbers carry fifteen.
    #[inline(always)]
    pub fn slopes(&self, effects: [S; STATES]) -> [S; NONLINEAR] {
        let (zero, one) = (S::lit(0.0), S::lit(1.0));
        let response = self.response(effects);
        let mut gain: [S; STATES] = array(|state| effects[state] - response);
        for last in (1..STATES).rev() {
            for from in 0..last {
                if let Some(share) = self.way[from][last] {
                    gain[from] = gain[from] + share * gain[last];
                }
            }
        }
        let mut bias = [zero; STATES];
        for state in 1..STATES {
            let mut sum = gain[state];
            for to in 0..state {
                if let Some(onwards) = self.way[state][to] {
                    sum = sum + onwards * bias[to];
                }
            }
            bias[state] = sum * self.over[state];
        }
        let mut slopes = [zero; NONLINEAR];
        for k in 0..DRUGS {
            let [i, j] = OTHERS[k];
            // By the logarithm of the rate of each edge; none where that is cut off.
            let by = array::<S, 4>(|n| {
                let state = (n & 1) << i | (n >> 1) << j;
                let worth = self.shares[state] * self.rate[k][state] * (bias[state | 1 << k] - bias[state]);
                let within = self.ln_rate[k][state].abs().select_less(S::lit(MOST_LN_RATE), one, zero);
                within * worth
            });
            for (n, by) in by.into_iter().enumerate() {
                let state = (n & 1) << i | (n >> 1) << j;
                // Where it is cut off the distance may be that of no dose at all, which is no number to multiply by.
                let distance = self.distance[k][state].clamp(S::lit(-1e5), S::lit(1e5));
                slopes[SLOPE + k] = slopes[SLOPE + k] + by * distance;
            }
            let slope = self.slope[k];
            slopes[LN_C + k] = -(slope * (by[0] + by[1] + by[2] + by[3]));
            slopes[ln_alpha(i, k)] = slope * (by[1] + by[3]);
            slopes[ln_alpha(j, k)] = slope * (by[2] + by[3]);
            slopes[LN_ALPHA_OF_PAIR + k] = slope * by[3];
        }
        slopes
    }
}

/// The share of cells in each state.
#[inline(always)]
pub fn shares<S: Scalar>(ln_dose: [S; DRUGS], parameters: [S; NONLINEAR]) -> [S; STATES] {
    States::new(ln_dose, parameters).shares
}

/// The response.
#[inline(always)]
pub fn response<S: Scalar>(ln_dose: [S; DRUGS], effects: [S; STATES], parameters: [S; NONLINEAR]) -> S {
    States::new(ln_dose, parameters).response(effects)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::Dual;
    use crate::math::random::uniform;
    use crate::model::LN_DOSE_ZERO;

    #[test]
    fn slopes_are_those_of_dual_numbers() {
        type D = Dual<f64, NONLINEAR>;
        let mut largest: f64 = 0.0;
        for trial in 0..200 {
            let at = |place: usize, from: f64, to: f64| from + (to - from) * uniform(3, trial, 0, place as u32);
            let p: [f64; NONLINEAR] =
                array(|i| if (SLOPE..LN_ALPHA).contains(&i) { at(i, 0.5, 3.0) } else { at(i, -2.0, 2.0) });
            let effects: [f64; STATES] = array(|i| at(20 + i, 0.0, 1.0));
            let mut x: [f64; DRUGS] = array(|k| at(30 + k, -4.0, 4.0));
            if trial % 4 == 0 {
                x[trial as usize / 4 % DRUGS] = LN_DOSE_ZERO;
            }
            let dual = response(x.map(D::constant), effects.map(D::constant), array(|i| D::parameter(p[i], i)));
            let slopes = States::new(x, p).slopes(effects);
            for (ours, theirs) in slopes.iter().zip(dual.gradient) {
                assert!((ours - theirs).abs() < 1e-12, "{trial}: {slopes:?} {:?}", dual.gradient);
                largest = largest.max(theirs.abs());
            }
        }
        assert!(largest > 0.05, "the comparison is with nothing: {largest}");
    }
}
