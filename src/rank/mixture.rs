//! How the true values of all contenders are distributed: a normal mixture with one centre and a grid of widths, by the
//! expectation-maximisation algorithm (adaptive shrinkage, Stephens 2017, doi 10.1093/biostatistics/kxw041).

use super::posterior::Contender;
use crate::math::instructions::{InstructionSet, Vectorisable};
use crate::math::{Instructions, Lanes, Scalar};

/// Rounds of the fit; what is left then moves no weight by a percent.
const ROUNDS: usize = 300;
/// Contenders side by side.
const LANES: usize = 8;

/// The distribution of the true values.
pub(super) struct Mixture {
    centre: f64,
    /// Variance and weight of each component, ascending by variance.
    components: Vec<(f64, f64)>,
}

impl Mixture {
    /// By the contenders that have an error; `None` where none has.
    pub fn fit(contenders: &[Contender]) -> Option<Self> {
        let known: Vec<(f64, f64)> = contenders
            .iter()
            .filter_map(|c| Some((c.value, c.standard_error.filter(|e| *e > 0.0 && e.is_finite())?)))
            .collect();
        let mut values: Vec<f64> = known.iter().map(|(value, _)| *value).collect();
        values.sort_by(f64::total_cmp);
        let centre = *values.get(values.len() / 2)?;
        let smallest = known.iter().map(|(_, error)| *error).fold(f64::INFINITY, f64::min);
        let widest = values.iter().map(|value| (value - centre).abs()).fold(0.0, f64::max).max(smallest);
        let mut variances = vec![0.0];
        let mut width = 0.1 * smallest;
        while width < 2.0 * widest {
            variances.push(width * width);
            width *= std::f64::consts::SQRT_2;
        }
        let (centre, weights) = InstructionSet::detect().run(Rounds::new(&known, &variances, centre));
        Some(Self { centre, components: variances.into_iter().zip(weights).collect() })
    }

    /// Posterior of one contender: share, mean and standard deviation by component.
    pub fn posterior(&self, contender: &Contender) -> Vec<(f64, f64, f64)> {
        let Some(error) = contender.standard_error.filter(|e| *e > 0.0 && e.is_finite()) else {
            return vec![(1.0, contender.value, 0.0)];
        };
        let noise = error * error;
        let away = contender.value - self.centre;
        let exponent = |variance: f64| -0.5 * away * away / (variance + noise);
        // The widest has the largest exponent: relative to it nothing is lost where all are tiny.
        let largest = self.components.last().map_or(0.0, |(variance, _)| exponent(*variance));
        let share = |(variance, weight): &(f64, f64)| {
            weight * libm::exp(exponent(*variance) - largest) / (variance + noise).sqrt()
        };
        let shares: Vec<f64> = self.components.iter().map(share).collect();
        let total: f64 = shares.iter().sum();
        let of = |(share, (variance, _)): (&f64, &(f64, f64))| {
            let kept = variance / (variance + noise);
            (share / total, self.centre + kept * away, (kept * noise).sqrt())
        };
        shares.iter().zip(&self.components).map(of).collect()
    }
}

/// The rounds of the fit. What does not change from one to the next is worked out before.
struct Rounds {
    /// By group of contenders; 1 where a lane holds one, 0 where the last group is short.
    values: Vec<Lanes<LANES>>,
    is_held: Vec<Lanes<LANES>>,
    /// By group, by component: 1 over the variance of component and noise together, and its root.
    precisions: Vec<Lanes<LANES>>,
    roots: Vec<Lanes<LANES>>,
    contenders: usize,
    components: usize,
    centre: f64,
}

impl Rounds {
    /// Of values with their errors.
    fn new(known: &[(f64, f64)], variances: &[f64], centre: f64) -> Self {
        let lanes = |chunk: &[(f64, f64)], of: &dyn Fn(f64, f64) -> f64| {
            // A short last group repeats its last contender, which then counts for nothing.
            let at = |lane: usize| chunk[lane.min(chunk.len() - 1)];
            Lanes(std::array::from_fn(|lane| of(at(lane).0, at(lane).1)))
        };
        let chunks = || known.chunks(LANES);
        let precisions: Vec<Lanes<LANES>> = chunks()
            .flat_map(|chunk| {
                variances.iter().map(move |variance| lanes(chunk, &|_, error| 1.0 / (variance + error * error)))
            })
            .collect();
        let held = |chunk: &[(f64, f64)]| Lanes(std::array::from_fn(|lane| if lane < chunk.len() { 1.0 } else { 0.0 }));
        Self {
            values: chunks().map(|chunk| lanes(chunk, &|value, _| value)).collect(),
            is_held: chunks().map(held).collect(),
            roots: precisions.iter().map(|precision| precision.sqrt()).collect(),
            precisions,
            contenders: known.len(),
            components: variances.len(),
            centre,
        }
    }

    #[inline(always)]
    fn all(self) -> (f64, Vec<f64>) {
        let zero = Lanes([0.0; LANES]);
        let n = self.components;
        let mut centre = self.centre;
        let mut weights = vec![1.0 / n as f64; n];
        let (mut shares, mut sums) = (vec![zero; n], vec![zero; n]);
        for _ in 0..ROUNDS {
            sums.fill(zero);
            let (mut pull, mut total) = (zero, zero);
            for (group, (value, is_held)) in self.values.iter().zip(&self.is_held).enumerate() {
                let precisions = &self.precisions[group * n..(group + 1) * n];
                let roots = &self.roots[group * n..(group + 1) * n];
                let away = *value - Lanes([centre; LANES]);
                let square = Lanes([-0.5; LANES]) * away * away;
                // The widest has the largest exponent: relative to it nothing is lost where all are tiny.
                let largest = square * precisions[n - 1];
                let mut all = zero;
                // Numbers are finite here; below e^-700, where the exponential ends, a share is nothing beside the largest.
                for c in 0..n {
                    let exponent = square * precisions[c] - largest;
                    shares[c] = Lanes([weights[c]; LANES]) * exponent.exp() * roots[c];
                    all = all + shares[c];
                }
                let scale = *is_held / all;
                for c in 0..n {
                    let share = shares[c] * scale;
                    let precision = share * precisions[c];
                    sums[c] = sums[c] + share;
                    pull = pull + precision * away;
                    total = total + precision;
                }
            }
            let sum = |lanes: Lanes<LANES>| lanes.0.iter().sum::<f64>();
            centre += sum(pull) / sum(total);
            // One contender more, of which nothing is known: no component ever dies.
            let prior = 1.0 / n as f64;
            for (weight, counted) in weights.iter_mut().zip(&sums) {
                *weight = (sum(*counted) + prior) / (self.contenders as f64 + 1.0);
            }
        }
        (centre, weights)
    }
}

impl Vectorisable for Rounds {
    type Output = (f64, Vec<f64>);
    fn with(self, instructions: impl Instructions) -> Self::Output {
        instructions.run(
            #[inline(always)]
            || self.all(),
        )
    }
}
