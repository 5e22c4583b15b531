//! One mean from the scores of several lines, and how much the lines differ.

use crate::math::special::{chi_square_upper_tail, f_upper_tail, normal_two_sided, t_quantile};
use std::collections::{BTreeMap, BTreeSet};

/// The 97.5 % quantile of the standard normal distribution.
pub(super) const NORMAL_975: f64 = 1.959_963_984_540_054;

/// A mean over lines, with what is known of its precision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// The mean.
    pub mean: f64,
    /// Its standard error as the mean of these lines, where there is any to be had: the noise of their scores.
    pub standard_error: Option<f64>,
    /// Its standard error as the mean of all such lines, of which these are a few: that noise, and tau.
    pub population_standard_error: Option<f64>,
    /// Degrees of freedom of the standard error: of the lines' own errors together, or of their spread.
    pub degrees_of_freedom: f64,
    /// Variance between lines (tau², DerSimonian–Laird); 0 for one line or a plain mean.
    pub between_variance: f64,
    /// Cochran's Q, and the degrees of freedom that it has where lines do not differ.
    pub cochran: Option<(f64, usize)>,
    /// How many lines.
    pub n: usize,
    /// Whether each line had a standard error of its own.
    pub is_weighted: bool,
}

/// Which errors go on.
#[derive(Debug, Clone, Copy)]
pub(super) enum Errors {
    /// Those of the estimates: what numbers are drawn by.
    Themselves,
    /// Those of normal laws whose 95 % intervals are as wide as the estimates' own of Student's t.
    OfIntervals,
}

impl Pooled {
    /// 95 % interval of the mean over these lines. Of lines in general two or three tell little: tau says how far they
    /// differ.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let width = quantile_975(self.degrees_of_freedom)? * self.standard_error?;
        Some((self.mean - width, self.mean + width))
    }

    /// Its error, of this kind.
    pub(super) fn error(&self, errors: Errors) -> Option<f64> {
        match errors {
            Errors::Themselves => self.standard_error,
            Errors::OfIntervals => self.normal_error(),
        }
    }

    /// The error of a normal law whose 95 % interval is as wide.
    pub fn normal_error(&self) -> Option<f64> {
        Some(quantile_975(self.degrees_of_freedom)? / NORMAL_975 * self.standard_error?)
    }

    /// Two-sided p of no effect in any line.
    pub fn p(&self) -> Option<f64> {
        let error = self.standard_error.filter(|e| *e > 0.0)?;
        Some(two_sided(self.mean / error, self.degrees_of_freedom))
    }

    /// The same with its standard error multiplied.
    pub fn scaled(self, factor: f64) -> Self {
        Self { standard_error: self.standard_error.map(|error| factor * error), ..self }
    }

    /// Share of the variation between lines that is not the noise of their scores (Higgins 2003,
    /// doi 10.1136/bmj.327.7414.557).
    pub fn i_squared(&self) -> Option<f64> {
        let (q, degrees) = self.cochran?;
        Some(if q > 0.0 { ((q - degrees as f64) / q).max(0.0) } else { 0.0 })
    }

    /// p of no difference between the lines.
    pub fn heterogeneity_p(&self) -> Option<f64> {
        let (q, degrees) = self.cochran?;
        Some(chi_square_upper_tail(q, degrees as f64))
    }

    /// What is known of one line by the others: its own value drawn towards the mean by the share of the variance that
    /// is noise (the best linear prediction of a random effect), and the error of that.
    pub fn shrunken(&self, value: f64, error: f64) -> Option<(f64, f64)> {
        let own = error * error;
        let of_mean = self.population_standard_error.filter(|_| self.is_weighted && own > 0.0)?;
        let share = self.between_variance / (self.between_variance + own);
        let variance = share * own + (1.0 - share) * (1.0 - share) * of_mean * of_mean;
        Some((self.mean + share * (value - self.mean), variance.sqrt()))
    }
}

/// A value with its standard error, where it has one.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Estimate {
    /// The value.
    pub value: f64,
    /// Its standard error.
    pub standard_error: Option<f64>,
    /// Degrees of freedom of that; infinite where it is known exactly.
    pub degrees_of_freedom: f64,
}

impl Estimate {
    /// A value whose error is not known, or known exactly.
    pub fn exact(value: f64, standard_error: Option<f64>) -> Self {
        Self { value, standard_error, degrees_of_freedom: f64::INFINITY }
    }

    /// What is known of one line from its pooled matrices: an error from the spread of two blocks is not known as those of
    /// resampling are.
    pub fn of_line(pooled: Pooled) -> Self {
        let standard_error = pooled.standard_error.filter(|_| pooled.is_weighted);
        Self { value: pooled.mean, standard_error, degrees_of_freedom: pooled.degrees_of_freedom }
    }

    /// Whether it is told from nothing: two-sided p, with an error larger by a factor.
    pub fn p(&self, factor: f64) -> Option<f64> {
        let error = self.standard_error.filter(|error| *error > 0.0)?;
        Some(two_sided(self.value / (factor * error), self.degrees_of_freedom))
    }

    /// Half the width of its 95 % interval.
    pub fn half_width(&self) -> Option<f64> {
        Some(quantile_975(self.degrees_of_freedom)? * self.standard_error?)
    }
}

/// Two-sided p of Student's t, or of the normal law that it becomes.
fn two_sided(t: f64, degrees_of_freedom: f64) -> f64 {
    if degrees_of_freedom.is_finite() { f_upper_tail(t * t, 1.0, degrees_of_freedom) } else { normal_two_sided(t) }
}

fn quantile_975(degrees_of_freedom: f64) -> Option<f64> {
    if degrees_of_freedom.is_finite() { t_quantile(0.975, degrees_of_freedom) } else { Some(NORMAL_975) }
}

/// Degrees of freedom of a sum of variances, each with its own (Welch 1947, doi 10.2307/2332510; Satterthwaite 1946,
/// doi 10.2307/3002019).
fn of_sum(variances: impl Iterator<Item = (f64, f64)>) -> f64 {
    let (mut sum, mut uncertain) = (0.0, 0.0);
    for (variance, degrees_of_freedom) in variances {
        sum += variance;
        uncertain += variance * variance / degrees_of_freedom;
    }
    if uncertain > 0.0 { sum * sum / uncertain } else { f64::INFINITY }
}

/// Pools estimates in the order given; `None` for none.
///
/// Where every one has a standard error above zero: the mean by random effects after DerSimonian and Laird 1986
/// (doi 10.1016/0197-2456(86)90046-2), which lets lines count alike where they differ more than their noise; its error is of
/// these lines, so that a pair that helps one of three is not taken for noise, with the degrees of freedom of its parts
/// together. Else the plain mean with the standard error of the spread (Student's t), and none at all for a single one.
pub fn pool(estimates: &[Estimate]) -> Option<Pooled> {
    let each_its_own: Vec<Couple> = estimates
        .iter()
        .enumerate()
        .map(|(i, own)| Couple { own: *own, reference: Estimate::exact(0.0, Some(0.0)), group: i })
        .collect();
    pool_differences(&each_its_own)
}

/// An estimate and what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Couple {
    /// Of the line.
    pub own: Estimate,
    /// Of its reference.
    pub reference: Estimate,
    /// Couples with the same number share their reference.
    pub group: usize,
}

impl Couple {
    /// The difference, with its error.
    pub fn difference(&self) -> Estimate {
        let errors = self.own.standard_error.zip(self.reference.standard_error);
        let parts = errors.map(|(own, reference)| {
            [(own * own, self.own.degrees_of_freedom), (reference * reference, self.reference.degrees_of_freedom)]
        });
        Estimate {
            value: self.own.value - self.reference.value,
            standard_error: errors.map(|(own, reference)| own.hypot(reference)),
            degrees_of_freedom: parts.map_or(f64::INFINITY, |parts| of_sum(parts.into_iter())),
        }
    }
}

/// Pools differences as [`pool`] does estimates. The error of a reference that several couples share counts once, as large
/// as all of them together weigh.
pub fn pool_differences(couples: &[Couple]) -> Option<Pooled> {
    let n = couples.len();
    if n == 0 {
        return None;
    }
    let count = n as f64;
    let distinct: BTreeSet<usize> = couples.iter().map(|couple| couple.group).collect();
    let shares_references = distinct.len() < n;
    let differences: Vec<Estimate> = couples.iter().map(Couple::difference).collect();
    let errors: Option<Vec<f64>> =
        differences.iter().map(|d| d.standard_error.filter(|e| *e > 0.0 && e.is_finite())).collect();
    let Some(errors) = errors else {
        let mean = differences.iter().map(|d| d.value).sum::<f64>() / count;
        let squares: f64 = differences.iter().map(|d| (d.value - mean) * (d.value - mean)).sum();
        let error = (squares / (count - 1.0) / count).sqrt();
        return Some(Pooled {
            mean,
            // What lines share does not show in their spread.
            standard_error: Some(error).filter(|e| *e > 0.0 && !shares_references),
            population_standard_error: None,
            degrees_of_freedom: count - 1.0,
            between_variance: 0.0,
            cochran: None,
            n,
            is_weighted: false,
        });
    };
    // Weights relative to the largest, so that tiny errors cannot overflow.
    let smallest = errors.iter().copied().fold(f64::INFINITY, f64::min);
    let unit = smallest * smallest;
    let weights: Vec<f64> = errors.iter().map(|e| (smallest / e) * (smallest / e)).collect();
    let weighted_mean = |weights: &[f64]| {
        let total: f64 = weights.iter().sum();
        (differences.iter().zip(weights).map(|(d, w)| w * d.value).sum::<f64>() / total, total)
    };
    let (fixed_mean, total) = weighted_mean(&weights);
    // Cochran's Q and tau², in units of the smallest variance.
    let away = |d: &Estimate| d.value - fixed_mean;
    let q: f64 = differences.iter().zip(&weights).map(|(d, w)| w * away(d) * away(d)).sum::<f64>() / unit;
    let spread = total - weights.iter().map(|w| w * w).sum::<f64>() / total;
    let between = if n > 1 && spread > 0.0 { ((q - (count - 1.0)) / spread).max(0.0) } else { 0.0 };
    let random: Vec<f64> = weights.iter().map(|w| 1.0 / (1.0 / w + between)).collect();
    let (mean, total) = weighted_mean(&random);
    // What each variance adds to that of the sum, with its degrees of freedom: a shared one as large as all of its couples
    // together weigh.
    let variance = |estimate: &Estimate| estimate.standard_error.map_or(0.0, |e| (e / smallest) * (e / smallest));
    let mut of_group: BTreeMap<usize, (f64, Estimate)> = BTreeMap::new();
    for (couple, weight) in couples.iter().zip(&random) {
        of_group.entry(couple.group).or_insert((0.0, couple.reference)).0 += weight;
    }
    let of_own = couples.iter().zip(&random).map(|(couple, weight)| (*weight, couple.own));
    let parts: Vec<(f64, f64)> = of_own
        .chain(of_group.into_values())
        .map(|(weight, estimate)| (weight * weight * variance(&estimate), estimate.degrees_of_freedom))
        .collect();
    let noise = parts.iter().map(|(variance, _)| variance).sum::<f64>();
    let noise = noise * for_estimated_weights(&differences, &weights, &random);
    let of_lines: f64 = random.iter().map(|weight| weight * weight * between).sum();
    Some(Pooled {
        mean,
        standard_error: Some(smallest * noise.sqrt() / total),
        population_standard_error: Some(smallest * (noise + of_lines).sqrt() / total),
        degrees_of_freedom: of_sum(parts.into_iter()),
        between_variance: between * unit,
        cochran: (n > 1).then_some((q, n - 1)),
        n,
        is_weighted: true,
    })
}

/// How much larger the variance of the mean is than its weights say: they are from errors that are estimates themselves, so
/// that what is too sure of itself weighs too much (Meier 1953, doi 10.2307/3001633). Weights that differences between lines
/// have levelled follow the errors less, and so does this.
fn for_estimated_weights(differences: &[Estimate], fixed: &[f64], random: &[f64]) -> f64 {
    let total: f64 = random.iter().sum();
    let of = |((difference, fixed), random): ((&Estimate, &f64), &f64)| {
        let (share, follows) = (random / total, random / fixed);
        share * (1.0 - share) * follows * follows / difference.degrees_of_freedom
    };
    1.0 + 4.0 * differences.iter().zip(fixed).zip(random).map(of).sum::<f64>()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn close(got: f64, want: f64) -> bool {
        (got - want).abs() < 1e-12
    }

    #[test]
    fn random_effects_by_hand() {
        // y = 0.1, 0.3, 0.5; variances 0.01, 0.01, 0.04. w = 100, 100, 25; fixed mean = (10 + 30 + 12.5) / 225 = 7/30.
        // Q = 100 (16/900) + 100 (4/900) + 25 (64/900) = 4; C = 225 - 20625/225 = 400/3; tau² = (4 - 2) / C = 0.015.
        // w* = 40, 40, 200/11; total = 1080/11; mean = (4 + 12 + 100/11) / (1080/11) = 276/1080; variance = 11/1080.
        let pooled =
            pool(&[Estimate::exact(0.1, Some(0.1)), Estimate::exact(0.3, Some(0.1)), Estimate::exact(0.5, Some(0.2))])
                .expect("scores");
        assert!(close(pooled.between_variance, 0.015), "{pooled:?}");
        assert!(close(pooled.mean, 276.0 / 1080.0), "{pooled:?}");
        assert!(close(pooled.population_standard_error.unwrap_or(0.0), (11.0f64 / 1080.0).sqrt()));
        // Of these lines: (40² 0.01 + 40² 0.01 + (200/11)² 0.04) / (1080/11)².
        let of_these = ((32.0 + 40_000.0 / 121.0 * 0.04) / (1080.0f64 / 11.0).powi(2)).sqrt();
        assert!(close(pooled.standard_error.unwrap_or(0.0), of_these));
        assert!(!close(pooled.mean, 7.0 / 30.0), "the fixed-effect mean is another number");
        let (low, high) = pooled.interval().expect("an error");
        assert!(close(low + high, 2.0 * pooled.mean) && close(high - low, 2.0 * NORMAL_975 * of_these));
    }

    #[test]
    fn agreeing_matrices_have_no_between_variance() {
        let pooled = pool(&[Estimate::exact(0.2, Some(0.1)), Estimate::exact(0.2, Some(0.1))]).expect("scores");
        assert_eq!(pooled.between_variance, 0.0);
        assert!(close(pooled.standard_error.unwrap_or(0.0), 0.1 / 2.0f64.sqrt()));
        let single = pool(&[Estimate::exact(0.2, Some(0.1))]).expect("a score");
        assert_eq!((single.mean, single.standard_error), (0.2, Some(0.1)));
        assert!(single.p().is_some_and(|p| (p - 0.045_500_263_896_358_4).abs() < 1e-9));
    }

    #[test]
    fn without_errors_the_spread_speaks() {
        // Mean 0.2, sd 0.1, n = 3; t(2) = 3.464102: p = 0.0741799.
        let pooled = pool(&[Estimate::exact(0.1, None), Estimate::exact(0.2, Some(0.1)), Estimate::exact(0.3, None)])
            .expect("scores");
        assert!(close(pooled.mean, 0.2) && !pooled.is_weighted);
        assert!(pooled.p().is_some_and(|p| (p - 0.074_179_900_227_448_5).abs() < 1e-9), "{:?}", pooled.p());
        assert_eq!(pool(&[Estimate::exact(0.1, None)]).and_then(|p| p.standard_error), None);
        assert_eq!(
            pool(&[Estimate::exact(0.1, None), Estimate::exact(0.1, None)]).and_then(|p| p.standard_error),
            None,
            "two equal numbers prove nothing"
        );
        assert_eq!(pool(&[]), None);
    }

    #[test]
    fn differences_carry_both_errors() {
        let couple =
            |group| Couple { own: Estimate::exact(0.5, Some(0.3)), reference: Estimate::exact(0.1, Some(0.4)), group };
        let one = pool_differences(&[couple(0)]).expect("a");
        assert!(close(one.mean, 0.4) && close(one.standard_error.unwrap_or(0.0), 0.5));
        assert!(one.p().is_some_and(|p| (p - 0.423_710_797_160_334_5).abs() < 1e-9), "{one:?}");
        // Two lines of one parent: (0.09 + 0.09) / 4 of their own, and all of the parent's 0.16; of two parents half of it.
        let error = |a, b| pool_differences(&[couple(a), couple(b)]).and_then(|p| p.standard_error).unwrap_or(0.0);
        assert!(close(error(0, 0), (0.045f64 + 0.16).sqrt()), "{}", error(0, 0));
        assert!(close(error(0, 1), (0.045f64 + 0.08).sqrt()));
        let plain = Couple { reference: Estimate::exact(0.1, None), ..couple(0) };
        assert_eq!(pool_differences(&[plain]).map(|p| (p.mean, p.standard_error)), Some((0.4, None)));
    }

    #[test]
    fn p_and_intervals_are_exact_whether_lines_differ_or_not() {
        use crate::math::random::standard_normal;
        for (n, tau) in [(2usize, 0.0), (3, 0.0), (6, 0.0), (3, 0.2)] {
            let draws = 40_000u32;
            let (mut below, mut covered) = ([0u32; 3], 0);
            for draw in 0..draws {
                // True values, and scores about them with errors that are not all the same.
                let normal = |place: usize| standard_normal(7, n as u64, draw, place as u32);
                let truth: Vec<f64> = (0..n).map(|i| tau * normal(100 + i)).collect();
                let of = |i: usize| Estimate::exact(truth[i] + 0.1 * normal(i), Some(0.1));
                let pooled = pool(&(0..n).map(of).collect::<Vec<_>>()).expect("lines");
                let p = pooled.p().expect("an error");
                for (count, level) in below.iter_mut().zip([0.01, 0.05, 0.5]) {
                    *count += u32::from(p < level);
                }
                let (low, high) = pooled.interval().expect("an error");
                assert_eq!(p < 0.05, low > 0.0 || high < 0.0, "{pooled:?}");
                let mean = truth.iter().sum::<f64>() / n as f64;
                covered += u32::from(low < mean && mean < high);
            }
            let share = |count: u32| f64::from(count) / f64::from(draws);
            assert!((share(covered) - 0.95).abs() < 0.005, "{n} lines, tau {tau}: {}", share(covered));
            for (count, level) in below.iter().zip([0.01f64, 0.05, 0.5]).filter(|_| tau == 0.0) {
                let error = (level * (1.0 - level) / f64::from(draws)).sqrt();
                assert!((share(*count) - level).abs() < 4.0 * error, "{n} lines at {level}: {}", share(*count));
            }
            assert!(tau == 0.0 || share(below[1]) > 0.1, "a mean that is not nothing is found");
        }
    }

    #[test]
    fn errors_that_are_estimates_are_taken_for_such() {
        use crate::math::random::standard_normal;
        for (n, nu) in [(2usize, 8u32), (3, 8), (3, 33)] {
            let draws = 20_000u32;
            let mut below = [[0u32; 2]; 2];
            for draw in 0..draws {
                let normal = |place: usize| standard_normal(11, u64::from(nu) + n as u64, draw, place as u32);
                let of = |i: usize| {
                    let squares: f64 = (1..=nu as usize).map(|k| normal(100 * i + k).powi(2)).sum();
                    let degrees_of_freedom = f64::from(nu);
                    let standard_error = Some((squares / degrees_of_freedom).sqrt());
                    Estimate { value: normal(100 * i), standard_error, degrees_of_freedom }
                };
                let told: Vec<Estimate> = (0..n).map(of).collect();
                let exact: Vec<Estimate> = told.iter().map(|e| Estimate::exact(e.value, e.standard_error)).collect();
                for (counts, estimates) in below.iter_mut().zip([told, exact]) {
                    let p = pool(&estimates).and_then(|pooled| pooled.p()).expect("an error");
                    for (count, level) in counts.iter_mut().zip([0.01, 0.05]) {
                        *count += u32::from(p < level);
                    }
                }
            }
            let [told, exact] = below.map(|counts| counts.map(|count| f64::from(count) / f64::from(draws)));
            assert!(told[0] < 0.0135 && told[1] < 0.058 && told[1] > 0.045, "{n} lines, {nu}: {told:?}");
            assert!(nu > 8 || exact[0] > 0.018, "the count can fail: {exact:?}");
        }
    }

    #[test]
    fn a_line_is_drawn_towards_the_others_by_its_noise() {
        // tau² = 0.015 in the example above: share of a line with variance 0.01 is 0.6.
        let pooled =
            pool(&[Estimate::exact(0.1, Some(0.1)), Estimate::exact(0.3, Some(0.1)), Estimate::exact(0.5, Some(0.2))])
                .expect("scores");
        let (value, error) = pooled.shrunken(0.3, 0.1).expect("an error");
        assert!(close(value, pooled.mean + 0.6 * (0.3 - pooled.mean)));
        assert!(error < 0.1 && error > 0.0);
        assert!(close(pooled.i_squared().expect("Q"), 0.5), "{pooled:?}");
        // P(chi-square of 2 > 4) = exp(-2).
        assert!((pooled.heterogeneity_p().expect("Q") - libm::exp(-2.0)).abs() < 1e-12);
    }
}
