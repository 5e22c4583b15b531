//! Special functions of statistics: tails of the normal, t and F distributions.

use super::Scalar;
use rayon::prelude::*;
use statrs::distribution::{ChiSquared, ContinuousCDF, FisherSnedecor, Normal};

/// Two-sided tail of the standard normal distribution: P(|Z| > |z|).
pub fn normal_two_sided(z: f64) -> f64 {
    if !z.is_finite() {
        return if z.is_nan() { 1.0 } else { 0.0 };
    }
    Normal::standard().sf(z.abs()) * 2.0
}

/// P(X > x) for a chi-square distribution; 1 where the degrees of freedom leave it undefined.
pub fn chi_square_upper_tail(x: f64, degrees_of_freedom: f64) -> f64 {
    match ChiSquared::new(degrees_of_freedom) {
        Ok(distribution) if x.is_finite() && x > 0.0 => distribution.sf(x),
        Ok(_) if x.is_infinite() && x > 0.0 => 0.0,
        _ => 1.0,
    }
}

/// P(F > f) for an F distribution; 1 where the degrees of freedom leave it undefined.
pub fn f_upper_tail(f: f64, numerator: f64, denominator: f64) -> f64 {
    match FisherSnedecor::new(numerator, denominator) {
        Ok(distribution) if f.is_finite() && f > 0.0 => distribution.sf(f),
        Ok(_) if f.is_infinite() => 0.0,
        _ => 1.0,
    }
}

/// The upper tail of one F distribution, made ready for many statistics: what depends on the degrees of freedom alone is
/// worked out once.
#[derive(Debug, Clone, Copy)]
pub struct FTail {
    numerator: f64,
    denominator: f64,
    /// ln of the beta function of half the degrees of freedom.
    ln_beta: f64,
}

impl FTail {
    /// For these degrees of freedom; `None` unless both are above zero.
    pub fn new(numerator: f64, denominator: f64) -> Option<Self> {
        let usable = |d: f64| d > 0.0 && d.is_finite();
        let (a, b) = (0.5 * denominator, 0.5 * numerator);
        (usable(numerator) && usable(denominator)).then(|| Self {
            numerator,
            denominator,
            ln_beta: libm::lgamma(a) + libm::lgamma(b) - libm::lgamma(a + b),
        })
    }

    /// Whether these are its degrees of freedom.
    pub fn is(&self, numerator: f64, denominator: f64) -> bool {
        self.numerator == numerator && self.denominator == denominator
    }

    /// P(F > f); 0 for an infinite statistic, 1 for one that is no number or not above zero.
    pub fn probability_above(&self, f: f64) -> f64 {
        if f.is_nan() || f <= 0.0 {
            return 1.0;
        }
        // P(F > f) = I_x(a, b), the regularised incomplete beta function, with 1 - x = y.
        let (a, b) = (0.5 * self.denominator, 0.5 * self.numerator);
        let product = self.numerator * f;
        if product.is_infinite() {
            return 0.0;
        }
        let total = self.denominator + product;
        let (x, y) = (self.denominator / total, product / total);
        let front = libm::exp(a * Scalar::ln(x) + b * Scalar::ln(y) - self.ln_beta);
        if x * (a + b + 2.0) < a + 1.0 {
            Scalar::min(front / a * beta_fraction(a, b, x), 1.0)
        } else {
            Scalar::max(1.0 - front / b * beta_fraction(b, a, y), 0.0)
        }
    }
}

/// The continued fraction of the incomplete beta function (DLMF 8.17.22), by Lentz's method: converges fast for
/// `x < (a + 1) / (a + b + 2)`.
fn beta_fraction(a: f64, b: f64, x: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away_from_zero = |v: f64| if v.abs() < TINY { TINY } else { v };
    let mut c = 1.0;
    let mut d = 1.0 / away_from_zero(1.0 - (a + b) * x / (a + 1.0));
    let mut fraction = d;
    for m in 1..500 {
        let m = f64::from(m);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away_from_zero(1.0 + even * d);
        c = away_from_zero(1.0 + even / c);
        fraction *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away_from_zero(1.0 + odd * d);
        c = away_from_zero(1.0 + odd / c);
        let factor = d * c;
        fraction *= factor;
        if (factor - 1.0).abs() < 1e-15 {
            break;
        }
    }
    fraction
}

/// From here on a normal law, four terms corrected, is Student's t to the last digits, for tails above 1e-12.
const NEARLY_NORMAL: f64 = 1e4;

/// The quantile of Student's t, e.g. `probability` 0.975 for a 95 % interval; `None` for a probability outside of 0 to 1,
/// for degrees of freedom that are not above zero, and for so few of them that no number is far enough out.
///
/// Begins where the expansion about the normal quantile lies (Abramowitz & Stegun 26.7.5) and goes on by Newton's method on
/// the logarithms of tail and quantile, which nearly lie on a line however heavy the tail is.
pub fn t_quantile(probability: f64, degrees_of_freedom: f64) -> Option<f64> {
    let df = degrees_of_freedom;
    if df.is_nan() || df <= 0.0 || !(0.0..=1.0).contains(&probability) {
        return None;
    }
    let tail = Scalar::min(probability, 1.0 - probability);
    let signed = |t: f64| if probability < 0.5 { -t } else { t };
    if tail == 0.5 {
        return Some(0.0);
    }
    let z = -normal_quantile(tail);
    if !z.is_finite() {
        return Some(signed(f64::INFINITY));
    }
    let z2 = z * z;
    let terms = [
        (z2 + 1.0) / 4.0,
        ((5.0 * z2 + 16.0) * z2 + 3.0) / 96.0,
        (((3.0 * z2 + 19.0) * z2 + 17.0) * z2 - 15.0) / 384.0,
        ((((79.0 * z2 + 776.0) * z2 + 1482.0) * z2 - 1920.0) * z2 - 945.0) / 92_160.0,
    ];
    let expanded = z * (1.0 + terms.iter().rev().fold(0.0, |sum, term| (sum + term) / df));
    if df > NEARLY_NORMAL {
        return Some(signed(expanded));
    }
    let law = FTail::new(1.0, df)?;
    // Of few degrees of freedom the expansion is anything; a normal quantile is too small, which costs a few rounds.
    let mut t = if df > 3.0 { Scalar::max(expanded, z) } else { z };
    for _ in 0..100 {
        let above = 0.5 * law.probability_above(t * t);
        let density = libm::exp(-law.ln_beta - 0.5 * (libm::log(df) + (df + 1.0) * libm::log1p(t * t / df)));
        let step = libm::log(above / tail) * above / (density * t);
        if !step.is_finite() {
            break;
        }
        // Near the middle the tail hardly falls: no step by more than a factor.
        t *= libm::exp(step.clamp(-2.0, 2.0));
        // The next step would be about the square of this one.
        if step.abs() < 1e-8 {
            return Some(signed(t));
        }
    }
    // Of hundredths of a degree of freedom the quantile is beyond what numbers hold.
    None
}

/// The quantile of the standard normal distribution.
pub fn normal_quantile(probability: f64) -> f64 {
    Normal::standard().inverse_cdf(probability)
}

/// Benjamini–Hochberg q values (1995, doi 10.1111/j.2517-6161.1995.tb02031.x) of the p that are there.
pub fn benjamini_hochberg(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let mut order: Vec<(f64, usize)> = p.iter().enumerate().filter_map(|(i, p)| Some(((*p)?, i))).collect();
    order.par_sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let m = order.len() as f64;
    let mut q = vec![None; p.len()];
    let mut running = 1.0f64;
    for (rank, &(p, i)) in order.iter().enumerate().rev() {
        // Rounding must not take q below p.
        running = running.min((p * m / (rank + 1) as f64).max(p));
        q[i] = Some(running);
    }
    q
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_prepared_tail_is_the_tail() {
        let mut worst: f64 = 0.0;
        let mut worst_beside: f64 = f64::INFINITY;
        for numerator in [1.0, 2.0, 3.0, 4.0, 7.0] {
            for denominator in [1.0, 2.0, 3.0, 6.0, 16.0, 92.0, 381.0] {
                let tail = FTail::new(numerator, denominator).expect("degrees of freedom");
                let beside = FTail::new(numerator, denominator + 0.01).expect("degrees of freedom");
                for f in [1e-3, 0.1, 0.5, 0.9, 1.0, 1.5, 3.0, 10.0, 100.0, 1e4] {
                    let reference = f_upper_tail(f, numerator, denominator);
                    worst = worst.max((tail.probability_above(f) / reference - 1.0).abs());
                    if f > 3.0 {
                        worst_beside = worst_beside.min((beside.probability_above(f) / reference - 1.0).abs());
                    }
                }
            }
        }
        assert!(worst < 1e-10, "off by {worst}");
        assert!(worst_beside > 1e-8, "a hundredth of a degree of freedom is seen: {worst_beside}");
        // F(2, d) has the tail (1 + 2 f / d)^(-d / 2).
        let tail = FTail::new(2.0, 9.0).expect("degrees of freedom");
        assert!((tail.probability_above(4.0) / (1.0f64 + 8.0 / 9.0).powf(-4.5) - 1.0).abs() < 1e-13);
        assert_eq!((tail.probability_above(f64::INFINITY), tail.probability_above(f64::NAN)), (0.0, 1.0));
        assert!(FTail::new(0.0, 3.0).is_none() && FTail::new(2.0, f64::NAN).is_none());
    }

    #[test]
    fn quantiles_of_t_are_those_of_the_closed_forms() {
        // One degree of freedom: -cot(pi p); two: (2p - 1) / sqrt(2p (1 - p)); four: by Shaw (2006), doi
        // 10.21314/JCF.2006.150.
        // By the cotangent of the tail: next to a quarter turn a tangent has lost its digits.
        let one = |p: f64| (p - 0.5).signum() / libm::tan(std::f64::consts::PI * p.min(1.0 - p));
        let two = |p: f64| (2.0 * p - 1.0) / (2.0 * p * (1.0 - p)).sqrt();
        let four = |p: f64| {
            let alpha = 4.0 * p * (1.0 - p);
            let q = libm::cos(libm::acos(alpha.sqrt()) / 3.0) / alpha.sqrt();
            2.0 * (p - 0.5).signum() * (q - 1.0).sqrt()
        };
        let mut worst: f64 = 0.0;
        let mut worst_beside: f64 = f64::INFINITY;
        for p in [1e-6, 0.001, 0.025, 0.2, 0.45, 0.7, 0.95, 0.975, 0.9999] {
            for (df, closed) in [(1.0, one(p)), (2.0, two(p)), (4.0, four(p))] {
                let of = |df| t_quantile(p, df).expect("a quantile");
                worst = worst.max((of(df) / closed - 1.0).abs());
                worst_beside = worst_beside.min((of(df + 1e-6) / closed - 1.0).abs());
            }
        }
        assert!(worst < 1e-11, "off by {worst}");
        assert!(worst_beside > 1e-9, "a millionth of a degree of freedom is seen: {worst_beside}");
        // Tables; the two ways meet where one takes over from the other; and the quantile undoes the tail.
        for (df, table) in
            [(10.0, 2.228_138_851_986_274), (30.0, 2.042_272_456_301_236), (1e300, 1.959_963_984_540_054)]
        {
            assert!((t_quantile(0.975, df).expect("a quantile") - table).abs() < 1e-13, "{df}");
        }
        for p in [0.6, 0.975, 1.0 - 1e-9] {
            let beside = |df: f64| t_quantile(p, df).expect("a quantile");
            assert!((beside(NEARLY_NORMAL) / beside(NEARLY_NORMAL * (1.0 + 1e-15)) - 1.0).abs() < 1e-10, "{p}");
        }
        for df in [1.7, 5.5, 77.0, 4000.0] {
            for tail in [1e-6, 1e-4, 0.025, 0.3] {
                let t = t_quantile(tail, df).expect("a quantile");
                assert!(t < 0.0 && (0.5 * f_upper_tail(t * t, 1.0, df) / tail - 1.0).abs() < 1e-8, "{df} {tail} {t}");
            }
        }
        // Far out the tail is a power: df^(df / 2 - 1) gamma((df + 1) / 2) / (sqrt(pi) gamma(df / 2)) t^-df.
        let (df, tail) = (0.3f64, 1e-12f64);
        let constant = df.powf(0.5 * df - 1.0) * libm::tgamma(0.5 * (df + 1.0))
            / (std::f64::consts::PI.sqrt() * libm::tgamma(0.5 * df));
        let far = t_quantile(tail, df).expect("a quantile");
        assert!((constant * (-far).powf(-df) / tail - 1.0).abs() < 1e-12, "{far}");
        assert_eq!((t_quantile(0.001, 0.002), t_quantile(1.0, f64::INFINITY)), (None, Some(f64::INFINITY)));
        assert_eq!((t_quantile(0.5, 3.0), t_quantile(1.5, 3.0), t_quantile(0.9, 0.0)), (Some(0.0), None, None));
        assert_eq!((t_quantile(0.9, f64::NAN), t_quantile(1.0, 3.0)), (None, Some(f64::INFINITY)));
    }
}
