//! One mean from the scores of several matrices.

use crate::math::special::{f_upper_tail, normal_two_sided, t_quantile};

/// The 97.5 % quantile of the standard normal distribution.
const NORMAL_975: f64 = 1.959_963_984_540_054;

/// A mean over matrices, with what is known of its precision.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pooled {
    /// The mean.
    pub mean: f64,
    /// Its standard error, where there is any to be had.
    pub standard_error: Option<f64>,
    /// Degrees of freedom of the standard error; infinite where the matrices brought their own errors.
    pub degrees_of_freedom: f64,
    /// Variance between matrices (tau², DerSimonian–Laird); 0 for one matrix or a plain mean.
    pub between_variance: f64,
    /// How many matrices.
    pub n: usize,
    /// Whether each matrix had a standard error of its own.
    pub is_weighted: bool,
}

impl Pooled {
    /// 95 % interval.
    pub fn interval(&self) -> Option<(f64, f64)> {
        let error = self.standard_error?;
        let quantile =
            if self.degrees_of_freedom.is_finite() { t_quantile(0.975, self.degrees_of_freedom)? } else { NORMAL_975 };
        Some((self.mean - quantile * error, self.mean + quantile * error))
    }

    /// Two-sided p of a mean of zero.
    pub fn p(&self) -> Option<f64> {
        two_sided_p(self.mean, self.standard_error?, self.degrees_of_freedom)
    }

    /// This minus another mean: difference, standard error, two-sided p (Welch–Satterthwaite where an error is from
    /// few matrices).
    pub fn minus(&self, other: &Pooled) -> (f64, Option<f64>, Option<f64>) {
        let difference = self.mean - other.mean;
        let Some((own, its)) = self.standard_error.zip(other.standard_error) else { return (difference, None, None) };
        let (own, its) = (own * own, its * its);
        let freedom =
            (own + its) * (own + its) / (own * own / self.degrees_of_freedom + its * its / other.degrees_of_freedom);
        let error = (own + its).sqrt();
        // Both errors brought along: the denominator is zero, the degrees of freedom infinite.
        let freedom = if freedom.is_nan() { f64::INFINITY } else { freedom };
        (difference, Some(error), two_sided_p(difference, error, freedom))
    }
}

fn two_sided_p(value: f64, error: f64, degrees_of_freedom: f64) -> Option<f64> {
    if error.is_nan() || error <= 0.0 {
        return None;
    }
    let z = value / error;
    Some(if degrees_of_freedom.is_finite() {
        f_upper_tail(z * z, 1.0, degrees_of_freedom)
    } else {
        normal_two_sided(z)
    })
}

/// Pools (score, standard error) pairs in the order given; `None` for no scores.
///
/// Where every matrix has a standard error above zero: random effects after DerSimonian and Laird 1986
/// (doi 10.1016/0197-2456(86)90046-2), normal interval. Else the plain mean with the standard error of the spread
/// (Student's t), and none at all for a single matrix.
pub fn pool(scores: &[(f64, Option<f64>)]) -> Option<Pooled> {
    let n = scores.len();
    if n == 0 {
        return None;
    }
    let count = n as f64;
    let errors: Option<Vec<f64>> = scores.iter().map(|(_, e)| e.filter(|e| *e > 0.0 && e.is_finite())).collect();
    let Some(errors) = errors else {
        let mean = scores.iter().map(|(y, _)| y).sum::<f64>() / count;
        let squares: f64 = scores.iter().map(|(y, _)| (y - mean) * (y - mean)).sum();
        let error = (squares / (count - 1.0) / count).sqrt();
        return Some(Pooled {
            mean,
            standard_error: Some(error).filter(|e| *e > 0.0),
            degrees_of_freedom: count - 1.0,
            between_variance: 0.0,
            n,
            is_weighted: false,
        });
    };
    // Weights relative to the largest, so that tiny errors cannot overflow.
    let smallest = errors.iter().copied().fold(f64::INFINITY, f64::min);
    let weights: Vec<f64> = errors.iter().map(|e| (smallest / e) * (smallest / e)).collect();
    let weighted_mean = |weights: &[f64]| {
        let total: f64 = weights.iter().sum();
        (scores.iter().zip(weights).map(|((y, _), w)| w * y).sum::<f64>() / total, total)
    };
    let (fixed_mean, total) = weighted_mean(&weights);
    // Cochran's Q and tau², in units of the smallest variance.
    let unit = smallest * smallest;
    let q: f64 =
        scores.iter().zip(&weights).map(|((y, _), w)| w * (y - fixed_mean) * (y - fixed_mean)).sum::<f64>() / unit;
    let spread = total - weights.iter().map(|w| w * w).sum::<f64>() / total;
    let between = if n > 1 && spread > 0.0 { ((q - (count - 1.0)) / spread).max(0.0) } else { 0.0 };
    let random: Vec<f64> = weights.iter().map(|w| 1.0 / (1.0 / w + between)).collect();
    let (mean, total) = weighted_mean(&random);
    Some(Pooled {
        mean,
        standard_error: Some(smallest / total.sqrt()),
        degrees_of_freedom: f64::INFINITY,
        between_variance: between * unit,
        n,
        is_weighted: true,
    })
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
        let pooled = pool(&[(0.1, Some(0.1)), (0.3, Some(0.1)), (0.5, Some(0.2))]).expect("scores");
        assert!(close(pooled.between_variance, 0.015), "{pooled:?}");
        assert!(close(pooled.mean, 276.0 / 1080.0), "{pooled:?}");
        assert!(close(pooled.standard_error.unwrap_or(0.0), (11.0f64 / 1080.0).sqrt()));
        assert!(!close(pooled.mean, 7.0 / 30.0), "the fixed-effect mean is another number");
        let (low, high) = pooled.interval().expect("an error");
        assert!(
            close(low + high, 2.0 * pooled.mean) && close(high - low, 2.0 * NORMAL_975 * (11.0f64 / 1080.0).sqrt())
        );
    }

    #[test]
    fn agreeing_matrices_have_no_between_variance() {
        let pooled = pool(&[(0.2, Some(0.1)), (0.2, Some(0.1))]).expect("scores");
        assert_eq!(pooled.between_variance, 0.0);
        assert!(close(pooled.standard_error.unwrap_or(0.0), 0.1 / 2.0f64.sqrt()));
        let single = pool(&[(0.2, Some(0.1))]).expect("a score");
        assert_eq!((single.mean, single.standard_error), (0.2, Some(0.1)));
        assert!(single.p().is_some_and(|p| (p - 0.045_500_263_896_358_4).abs() < 1e-9));
    }

    #[test]
    fn without_errors_the_spread_speaks() {
        // Mean 0.2, sd 0.1, n = 3; t(2) = 3.464102: p = 0.0741799.
        let pooled = pool(&[(0.1, None), (0.2, Some(0.1)), (0.3, None)]).expect("scores");
        assert!(close(pooled.mean, 0.2) && !pooled.is_weighted);
        assert!(pooled.p().is_some_and(|p| (p - 0.074_179_900_227_448_5).abs() < 1e-9), "{:?}", pooled.p());
        assert_eq!(pool(&[(0.1, None)]).and_then(|p| p.standard_error), None);
        assert_eq!(
            pool(&[(0.1, None), (0.1, None)]).and_then(|p| p.standard_error),
            None,
            "two equal numbers prove nothing"
        );
        assert_eq!(pool(&[]), None);
    }

    #[test]
    fn differences_carry_both_errors() {
        let a = pool(&[(0.5, Some(0.3))]).expect("a");
        let b = pool(&[(0.1, Some(0.4))]).expect("b");
        let (difference, error, p) = a.minus(&b);
        assert!(close(difference, 0.4) && close(error.unwrap_or(0.0), 0.5));
        assert!(p.is_some_and(|p| (p - 0.423_710_797_160_334_5).abs() < 1e-9), "{p:?}");
        let plain = pool(&[(0.1, None)]).expect("plain");
        assert_eq!(a.minus(&plain), (0.4, None, None));
    }
}
