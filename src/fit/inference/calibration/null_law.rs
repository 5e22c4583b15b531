//! The law of r² under the null: a sample from simulated flat curves, smoothed, continued into the tail, and carried over
//! to any number of replicates.
//!
//! # The tail
//!
//! For a model with free height and amplitude, r² is the squared cosine between the residuals and the nearest of the
//! model's shapes, and {r² > c} is a tube about those shapes on a sphere. The volume of a tube is a sum of beta tails
//! `B(j/2, (d - j)/2)`, `j` from 1 to the number of parameters less one, weighted by the shapes' count, length, area ...
//! (Hotelling 1939, doi 10.2307/2371512; Weyl 1939, doi 10.2307/2371513; Johansen & Johnstone 1990,
//! doi 10.1214/aos/1176347620). The weights are fitted to the sample's top tenth by maximum likelihood, all at or
//! above 0, so that the tail falls without end and in the end as fast as that of the classic F.
//!
//! # Replicates
//!
//! With `d` degrees of freedom among the dose means and `e` of replicates, the share of the sum of squares that lies
//! among the means is Beta(d/2, e/2), independent of the direction of their residuals: a law of r² among the means
//! becomes a law of r² among wells by one average over beta tails.
//!
//! Everywhere the unexplained share `1 - r²` is carried instead of r²: it is what must not lose its digits.

use rayon::prelude::*;
use statrs::function::beta::{checked_beta_reg, ln_beta};

/// Share of the sample that the tail is fitted to, and above which r² follows the fitted tail.
const TAIL_SHARE: f64 = 0.1;
/// Points that stand for the sample's lower nine tenths.
const BULK_NODES: usize = 192;
/// Points a decade of p that stand for the tail, and decades.
const TAIL_NODES: (u32, u32) = (8, 12);
/// Steps of expectation and maximisation: the weights are then settled to a part in a thousand.
const WEIGHT_STEPS: u32 = 200;
/// A law in which the curve is no better than the flat line more often than this is none to test against.
const FEWEST_IMPROVED: f64 = 0.5;
/// Halvings that find a quantile in the logarithm of the unexplained share.
const HALVINGS: u32 = 60;
/// Unexplained shares below this are rounding.
const SMALLEST: f64 = 1e-150;

/// P(X > 1 - `unexplained`) of X from Beta(`explained`/2, `residual`/2), both degrees of freedom above 0.
fn beta_tail(unexplained: f64, explained: f64, residual: f64) -> f64 {
    checked_beta_reg(0.5 * residual, 0.5 * explained, unexplained.clamp(0.0, 1.0)).unwrap_or(1.0)
}

/// P(F > `f`) for the F distribution; unlike a quantile function of r², exact to the smallest p.
pub(super) fn classic_p(f: f64, numerator: f64, denominator: f64) -> f64 {
    let odds = f.max(0.0) * numerator / denominator;
    if odds.is_finite() { beta_tail(1.0 / (1.0 + odds), numerator, denominator) } else { 0.0 }
}

/// The `x` between the logarithm of [`SMALLEST`] and 0 at which the rising function `f` of `exp(x)` passes `level`,
/// exponentiated.
fn solve(level: f64, f: impl Fn(f64) -> f64) -> f64 {
    let (mut low, mut high) = (libm::log(SMALLEST), 0.0);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if f(libm::exp(middle)) < level {
            low = middle;
        } else {
            high = middle;
        }
    }
    libm::exp(0.5 * (low + high))
}

/// The law of the unexplained share among dose means.
#[derive(Debug, Clone)]
pub(super) struct NullLaw {
    /// Degrees of freedom among the means.
    degrees: f64,
    /// Parameters of the model less one: the classic numerator.
    numerator: f64,
    /// Ascending unexplained shares, each with the mass that it stands for; the mass missing from 1 lies at 1.
    nodes: Vec<(f64, f64)>,
    tail: Option<Tail>,
}

/// P(unexplained share < q) for a small q.
#[derive(Debug, Clone)]
struct Tail {
    /// Below this share the tail holds ...
    below: f64,
    /// ... and there it is this.
    p: f64,
    degrees: f64,
    /// Weight over the beta tail at `below`, for each number of explained degrees of freedom from 1 on.
    weights: Vec<f64>,
}

impl Tail {
    /// Fits the weights to the ascending shares below `below`, which are the fraction `p` of all.
    fn fit(shares: &[f64], below: f64, p: f64, degrees: f64, numerator: usize) -> Self {
        let explained = || (1..=numerator).map(|j| j as f64);
        let at_threshold: Vec<f64> = explained().map(|j| beta_tail(below, j, degrees - j)).collect();
        let densities: Vec<Vec<f64>> = shares
            .iter()
            .map(|share| {
                let c = share.max(SMALLEST);
                explained()
                    .zip(&at_threshold)
                    .map(|(j, tail)| {
                        let (a, b) = (0.5 * (degrees - j), 0.5 * j);
                        libm::exp((a - 1.0) * libm::log(c) + (b - 1.0) * libm::log1p(-c) - ln_beta(a, b)) / tail
                    })
                    .collect()
            })
            .collect();
        let mut weights = vec![1.0 / numerator as f64; numerator];
        for _ in 0..WEIGHT_STEPS {
            let mut sums = vec![0.0; numerator];
            for density in &densities {
                let total: f64 = weights.iter().zip(density).map(|(w, d)| w * d).sum();
                if total > 0.0 && total.is_finite() {
                    sums.iter_mut().zip(&weights).zip(density).for_each(|((sum, w), d)| *sum += w * d / total);
                }
            }
            let all: f64 = sums.iter().sum();
            if all > 0.0 {
                weights = sums.iter().map(|s| s / all).collect();
            }
        }
        let weights = weights.iter().zip(&at_threshold).map(|(w, tail)| w / tail).collect();
        Self { below, p, degrees, weights }
    }

    fn p(&self, unexplained: f64) -> f64 {
        let along = (1..)
            .zip(&self.weights)
            .map(|(j, w)| w * beta_tail(unexplained, f64::from(j), self.degrees - f64::from(j)));
        self.p * along.sum::<f64>()
    }
}

impl NullLaw {
    /// From the unexplained shares of simulated flat curves with `degrees` degrees of freedom among their means, fitted
    /// with `numerator + 1` parameters. `None` where the shares are too few, or the model no better than the flat line
    /// in most curves.
    pub fn new(mut shares: Vec<f64>, degrees: usize, numerator: usize) -> Option<Self> {
        shares.retain(|share| share.is_finite());
        shares.sort_by(f64::total_cmp);
        let n = shares.len();
        let in_tail = (TAIL_SHARE * n as f64) as usize;
        let improved = shares.partition_point(|share| *share < 1.0);
        if numerator == 0 || degrees == 0 || in_tail < 10 * numerator || (improved as f64) < FEWEST_IMPROVED * n as f64
        {
            return None;
        }
        // With no more degrees of freedom than parameters the means say nothing: there is no tail to fit, and what
        // replicates add is smooth without it.
        let below = shares[in_tail];
        let p = in_tail as f64 / n as f64;
        let has_tail = degrees > numerator && below > SMALLEST;
        let tail = has_tail.then(|| Tail::fit(&shares[..in_tail], below, p, degrees as f64, numerator));
        let mut nodes = Vec::new();
        if let Some(tail) = &tail {
            let (steps, decades) = TAIL_NODES;
            let level = |k: u32| p * libm::exp(-std::f64::consts::LN_10 * f64::from(k) / f64::from(steps));
            for k in (0..steps * decades).rev() {
                let middle = (level(k) * level(k + 1)).sqrt();
                nodes.push((solve(middle, |q| tail.p(q)).min(below), level(k) - level(k + 1)));
            }
        }
        let first = if tail.is_some() { in_tail } else { 0 };
        for k in 0..BULK_NODES {
            let at = |k: usize| first + (n - first) * k / BULK_NODES;
            let (from, to) = (at(k), at(k + 1));
            let share = shares[(from + to) / 2];
            if to > from && share < 1.0 {
                nodes.push((share, (to - from) as f64 / n as f64));
            }
        }
        Some(Self { degrees: degrees as f64, numerator: numerator as f64, nodes, tail })
    }

    /// P(unexplained share < `unexplained`) with `replicates` degrees of freedom among replicates.
    fn p(&self, unexplained: f64, replicates: f64) -> f64 {
        if replicates > 0.0 {
            // r² of wells is r² of the means times the share of the means: exceeds r where the latter exceeds r / r².
            let over = self.nodes.iter().take_while(|(share, _)| *share < unexplained);
            let tail = |share: f64| beta_tail((unexplained - share) / (1.0 - share), self.degrees, replicates);
            return over.map(|(share, mass)| mass * tail(*share)).sum();
        }
        match &self.tail {
            Some(tail) if unexplained < tail.below => tail.p(unexplained),
            _ => {
                // Between the nodes of the sample, half of a node's mass on either side of it.
                let (mut before, mut last) = (0.0, (0.0, 0.0));
                for &(share, mass) in &self.nodes {
                    let here = before + 0.5 * mass;
                    if share >= unexplained {
                        let width = share - last.0;
                        let along = if width > 0.0 { (unexplained - last.0) / width } else { 1.0 };
                        return last.1 + (here - last.1) * along;
                    }
                    last = (share, here);
                    before += mass;
                }
                let along = (unexplained - last.0) / (1.0 - last.0).max(f64::MIN_POSITIVE);
                (last.1 + (before - last.1) * along).min(1.0)
            }
        }
    }

    /// The map from classic to calibrated p for `residual` classic denominator degrees of freedom; `None` where there
    /// are fewer wells than the law needs.
    pub fn map(&self, residual: u32) -> Option<TailMap> {
        let residual = f64::from(residual);
        let replicates = residual + self.numerator - self.degrees;
        if replicates < 0.0 || (replicates == 0.0 && self.tail.is_none()) {
            return None;
        }
        let classic = |q: f64| beta_tail(q, self.numerator, residual);
        let mut knots: Vec<(f64, f64)> = KNOTS
            .iter()
            .flat_map(|(count, from, to)| {
                (0..*count).map(move |k| from + (to - from) * f64::from(k) / f64::from(*count))
            })
            .collect::<Vec<f64>>()
            .into_par_iter()
            .map(|x| {
                let unexplained = solve(libm::exp(-x), classic);
                (-libm::log(classic(unexplained)), -libm::log(self.p(unexplained, replicates)))
            })
            .collect();
        knots.retain(|(x, y)| x.is_finite() && y.is_finite());
        knots.insert(0, (0.0, 0.0));
        // Sampling may not make a better curve less significant.
        let mut highest = 0.0f64;
        for (_, y) in &mut knots {
            highest = highest.max(*y);
            *y = highest;
        }
        Some(TailMap { knots })
    }
}

/// Knots of the map in -ln p: number, from, to.
const KNOTS: [(u32, f64, f64); 3] = [(60, 0.02, 3.0), (30, 3.0, 12.0), (12, 12.0, 26.0)];

/// From the classic p of the F distribution to the calibrated one: straight lines between knots of -ln p, and a constant
/// ratio beyond the last, as in the tail of a tube.
#[derive(Debug, Clone)]
pub(super) struct TailMap {
    knots: Vec<(f64, f64)>,
}

impl TailMap {
    /// The calibrated p of a classic p.
    pub fn p(&self, classic: f64) -> f64 {
        if classic <= 0.0 {
            return 0.0;
        }
        let x = -libm::log(classic.min(1.0));
        let after = self.knots.partition_point(|(knot, _)| *knot <= x);
        let y = match (self.knots.get(after.wrapping_sub(1)), self.knots.get(after)) {
            (Some(a), Some(b)) => a.1 + (b.1 - a.1) * (x - a.0) / (b.0 - a.0),
            (Some(last), None) => last.1 + (x - last.0),
            _ => x,
        };
        libm::exp(-y).min(1.0)
    }
}
