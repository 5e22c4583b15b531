//! The first two derivatives of ln Γ, and the inverse of the second: what moments of logarithms of variances need.

/// Arguments are raised to this by recurrence, where the asymptotic series are exact to rounding.
const ASYMPTOTIC: f64 = 10.0;
/// Newton steps of the inverse; convergence is quadratic and from one side.
const STEPS: usize = 60;

/// ψ(x), for x above 0; NaN elsewhere.
pub fn digamma(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < ASYMPTOTIC {
        sum -= 1.0 / x;
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    // Bernoulli numbers B2k / 2k.
    let series = r * (1.0 / 12.0 - r * (1.0 / 120.0 - r * (1.0 / 252.0 - r * (1.0 / 240.0 - r * (1.0 / 132.0)))));
    sum + libm::log(x) - 0.5 / x - series
}

/// ψ'(x), for x above 0; NaN elsewhere.
pub fn trigamma(x: f64) -> f64 {
    if x.is_nan() || x <= 0.0 {
        return f64::NAN;
    }
    let (mut x, mut sum) = (x, 0.0);
    while x < ASYMPTOTIC {
        sum += 1.0 / (x * x);
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = r * (1.0 / 6.0 - r * (1.0 / 30.0 - r * (1.0 / 42.0 - r * (1.0 / 30.0 - r * (5.0 / 66.0)))));
    sum + 1.0 / x + 0.5 * r + series / x
}

/// ψ''(x), for x above 0.
fn tetragamma(x: f64) -> f64 {
    let (mut x, mut sum) = (x, 0.0);
    while x < ASYMPTOTIC {
        sum -= 2.0 / (x * x * x);
        x += 1.0;
    }
    let r = 1.0 / (x * x);
    let series = r * r * (0.5 - r * (1.0 / 6.0 - r * (1.0 / 6.0 - r * (0.3 - r * (5.0 / 6.0)))));
    sum - r - 1.0 / (x * x * x) - series
}

/// The x at which ψ'(x) is `y`, for y above 0; NaN elsewhere. Newton's method on 1/ψ', which is convex and nearly linear,
/// so that it converges from one side whatever `y` (Smyth 2004, appendix, doi 10.2202/1544-6115.1027).
pub fn trigamma_inverse(y: f64) -> f64 {
    if y.is_nan() || y <= 0.0 {
        return f64::NAN;
    }
    // The asymptotes, beyond which Newton's steps would lose all digits.
    if y > 1e12 {
        return 1.0 / y.sqrt();
    }
    if y < 1e-6 {
        return 0.5 + 1.0 / y;
    }
    let mut x = 0.5 + 1.0 / y;
    for _ in 0..STEPS {
        let value = trigamma(x);
        let step = value * (1.0 - value / y) / tetragamma(x);
        x += step;
        if step.abs() <= 1e-14 * x {
            break;
        }
    }
    x
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::f64::consts::{LN_2, PI};

    const EULER: f64 = 0.577_215_664_901_532_9;

    fn close(got: f64, want: f64) -> bool {
        (got - want).abs() <= 1e-13 * want.abs().max(1.0)
    }

    #[test]
    fn values_in_closed_form() {
        assert!(close(digamma(1.0), -EULER) && close(digamma(0.5), -EULER - 2.0 * LN_2));
        assert!(close(digamma(4.0), 1.0 + 0.5 + 1.0 / 3.0 - EULER));
        assert!(close(trigamma(1.0), PI * PI / 6.0) && close(trigamma(0.5), PI * PI / 2.0));
        assert!(close(trigamma(3.0), PI * PI / 6.0 - 1.25));
        // -2 ζ(3)
        assert!(close(tetragamma(1.0), -2.404_113_806_319_188_6));
        assert!(!close(trigamma(1.001), PI * PI / 6.0));
        assert!(digamma(0.0).is_nan() && trigamma(-1.0).is_nan() && trigamma_inverse(0.0).is_nan());
    }

    #[test]
    fn the_inverse_inverts() {
        for x in [1e-4, 0.03, 0.5, 1.0, 2.5, 40.0, 1e5] {
            assert!((trigamma_inverse(trigamma(x)) / x - 1.0).abs() < 1e-9, "{x}");
        }
        assert!((trigamma_inverse(1e-9) * 1e-9 - 1.0).abs() < 1e-6);
    }
}
