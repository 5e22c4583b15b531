//! The largest of several Student's t that share one estimate of the noise.

/// Steps of the integral a standard deviation of ln(estimate / truth); 4 leave an error below 1e-12.
const STEPS: f64 = 4.0;
/// The longest step, as the other factor of the integrand changes on a scale of its own.
const LONGEST_STEP: f64 = 0.06;
/// The integral goes out to where what is left is below e^-this.
const NEGLIGIBLE: f64 = 40.0;

/// The distribution of `max |z_i| / s` over `n` independent standard normals `z`, with `s²` one chi-square over its
/// degrees of freedom, shared by all (the studentised maximum modulus; Pillai & Ramachandran 1954,
/// doi 10.1214/aoms/1177728792).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LargestT {
    n: f64,
    degrees_of_freedom: f64,
}

impl LargestT {
    /// Of `n` numbers (at least 1) with these degrees of freedom (above zero, infinite where the noise is known).
    pub fn new(n: f64, degrees_of_freedom: f64) -> Option<Self> {
        (n >= 1.0 && n.is_finite() && degrees_of_freedom > 0.0).then_some(Self { n, degrees_of_freedom })
    }

    /// P(max |t| > c): the integral over ln s of P(max |z| > c s), by the trapezoidal rule.
    pub fn probability_above(&self, c: f64) -> f64 {
        if c.is_nan() || c <= 0.0 {
            return 1.0;
        }
        if c.is_infinite() {
            return 0.0;
        }
        let beyond = |s: f64| -libm::expm1(self.n * libm::log1p(-libm::erfc(c * s * std::f64::consts::FRAC_1_SQRT_2)));
        let df = self.degrees_of_freedom;
        // From here on s is 1 to the fourth digit.
        if df > 1e8 {
            return beyond(1.0).clamp(0.0, 1.0);
        }
        let sd = 1.0 / (2.0 * df).sqrt();
        let step = (sd / STEPS).min(LONGEST_STEP);
        // Large c are reached with small s: the peak moves there.
        let low = -0.5 * libm::log1p(c * c / df) - 9.0 * sd - NEGLIGIBLE / df;
        let high = 0.5 * libm::log1p(2.0 * NEGLIGIBLE / df) + 9.0 * sd;
        let ln_constant = std::f64::consts::LN_2 + 0.5 * df * libm::log(0.5 * df) - libm::lgamma(0.5 * df);
        let density = |x: f64| libm::exp(ln_constant + df * (x - 0.5 * libm::exp(2.0 * x)));
        let steps = ((high - low) / step).ceil() as usize;
        let at = |i: usize| low + step * i as f64;
        let sum: f64 = (0..=steps).map(|i| density(at(i)) * beyond(libm::exp(at(i)))).sum();
        (sum * step).clamp(0.0, 1.0)
    }

    /// The number that is exceeded with this probability, which must be above zero and below one.
    ///
    /// By the Illinois variant of false position (Dowell & Jarratt 1971, doi 10.1007/BF01934364) on the logarithm of the
    /// probability.
    pub fn critical(&self, probability: f64) -> f64 {
        let above = |c: f64| libm::log(self.probability_above(c).max(f64::MIN_POSITIVE) / probability);
        let (mut low, mut at_low) = (0.0, -libm::log(probability));
        let (mut high, mut at_high) = (1.0, above(1.0));
        while at_high > 0.0 && high < 1e12 {
            (low, at_low) = (high, at_high);
            high *= 2.0;
            at_high = above(high);
        }
        let (mut rose, mut root) = (None, high);
        for _ in 0..100 {
            let middle = (low * at_high - high * at_low) / (at_high - at_low);
            if !(middle > low && middle < high) {
                break;
            }
            let at_middle = above(middle);
            root = middle;
            if at_middle == 0.0 {
                break;
            }
            // An end that stays where it is twice counts half: the next step then passes the root.
            let rises = at_middle > 0.0;
            let again = rose.replace(rises) == Some(rises);
            let share = if again { 0.5 } else { 1.0 };
            if rises {
                (low, at_low) = (middle, at_middle);
                at_high *= share;
            } else {
                (high, at_high) = (middle, at_middle);
                at_low *= share;
            }
            if high - low <= 1e-14 * high {
                break;
            }
        }
        root
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::standard_normal;
    use crate::math::special::f_upper_tail;

    #[test]
    fn one_is_students_t_and_many_without_noise_are_normal() {
        for df in [1.0, 2.0, 3.5, 12.0, 63.0, 400.0] {
            let one = LargestT::new(1.0, df).expect("degrees of freedom");
            for c in [0.01, 0.5, 2.0, 4.0, 9.0, 30.0] {
                let t = f_upper_tail(c * c, 1.0, df);
                assert!(
                    (one.probability_above(c) / t - 1.0).abs() < 1e-8,
                    "{df} {c}: {} {t}",
                    one.probability_above(c)
                );
                // The planted fault: one degree of freedom more.
                assert!((f_upper_tail(c * c, 1.0, df + 1.0) / t - 1.0).abs() > 1e-8 || df > 100.0);
            }
        }
        let known = LargestT::new(49.0, f64::INFINITY).expect("degrees of freedom");
        let nearly = LargestT::new(49.0, 1e7).expect("degrees of freedom");
        let closed = 1.0 - (1.0 - libm::erfc(3.0 * std::f64::consts::FRAC_1_SQRT_2)).powi(49);
        assert!((known.probability_above(3.0) - closed).abs() < 1e-12);
        assert!((nearly.probability_above(3.0) - closed).abs() < 1e-5);
        assert!(LargestT::new(0.0, 1.0).is_none() && LargestT::new(1.0, 0.0).is_none());
        assert_eq!((known.probability_above(f64::INFINITY), known.probability_above(-1.0)), (0.0, 1.0));
    }

    #[test]
    fn what_is_critical_is_exceeded_with_that_probability() {
        for n in [1.0, 2.0, 27.0, 49.0, 138.0] {
            for df in [1.0, 3.0, 4.7, 13.0, 63.0, 200.0, f64::INFINITY] {
                let law = LargestT::new(n, df).expect("degrees of freedom");
                for probability in [0.5, 0.05, 0.001] {
                    let c = law.critical(probability);
                    let off = |c: f64| (law.probability_above(c) / probability - 1.0).abs();
                    assert!(off(c) < 1e-11, "{n} {df} {probability}: {}", off(c));
                    assert!(off(c * (1.0 + 1e-9)) > 1e-11, "{n} {df} {probability}: the comparison can fail");
                }
            }
        }
    }

    /// Against simulation with one chi-square for all; a chi-square for each is the planted fault.
    #[test]
    fn many_share_one_estimate_of_the_noise() {
        let (n, df, draws) = (20u32, 4u32, 20_000u32);
        let exact = LargestT::new(f64::from(n), f64::from(df)).expect("degrees of freedom");
        let c = exact.critical(0.05);
        assert!((exact.probability_above(c) - 0.05).abs() < 1e-9);
        let chi = |draw: u32, from: u32| {
            let squares = (0..df).map(|i| standard_normal(3, 0, draw, from + i).powi(2)).sum::<f64>();
            (squares / f64::from(df)).sqrt()
        };
        let share = |each: bool| {
            let exceeds = |draw: u32| {
                let s = chi(draw, 100);
                let t = |i: u32| standard_normal(3, 0, draw, i).abs() / if each { chi(draw, 200 + 10 * i) } else { s };
                (0..n).any(|i| t(i) > c)
            };
            f64::from((0..draws).filter(|draw| exceeds(*draw)).count() as u32) / f64::from(draws)
        };
        let (shared, own) = (share(false), share(true));
        // Four standard errors of a share of 5 %.
        assert!((shared - 0.05).abs() < 0.0062, "{shared}");
        assert!((own - 0.05).abs() > 0.0062, "{own}");
    }
}
