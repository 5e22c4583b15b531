//! How much of a line's resistance a partner undoes, and whether anything of it is left.

use super::potency::{LogRatio, Potency, spread};

/// Potencies closer than this fold count as equal in the equivalence test: twofold, one step of the usual dilution series,
/// below which two runs of one assay do not tell IC50s apart.
pub const EQUIVALENCE_FOLD: f64 = 2.0;
/// Level of each of the two one-sided tests.
const EQUIVALENCE_P: f64 = 0.05;

/// 1 - log fold-resistance with the partner / log fold-resistance without: 0 for no change, 1 for a line as sensitive as
/// its parent, above 1 for one that is more so, below 0 for a partner that makes matters worse.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Rescue {
    /// The fraction.
    pub fraction: Option<f64>,
    /// 95 % interval, lower end; alone, the fraction is at least this.
    pub low: Option<f64>,
    /// 95 % interval, upper end; alone, the fraction is at most this.
    pub high: Option<f64>,
    /// Half of the interval over the t quantile that it is made with: what a mean of several fractions is as sure of.
    pub standard_error: Option<f64>,
    /// Why something is missing: `no_established_fold_resistance` (the interval of the fold without the partner reaches 1),
    /// `not_resistant`, `no_standard_error`, `ic50_above_range` and its like, or the cause that a potency has.
    pub reason: Option<&'static str>,
}

impl Rescue {
    /// None, and why.
    pub fn none(reason: &'static str) -> Self {
        Self { reason: Some(reason), ..Self::default() }
    }
}

/// The rescue fraction of a line with the anchor's potency alone, with the partner, and the reference's (the parent's)
/// alone. Its interval is Fieller's (1954, doi 10.1111/j.2517-6161.1954.tb00159.x): numerator and denominator share the
/// potency alone, and a ratio of two normal variables is not one. The t quantile has Welch and Satterthwaite's degrees of
/// freedom of all three.
///
/// A potency alone beyond the highest dose leaves a lower bound: the fraction grows with it as long as the line stays
/// resistant, and is above 1 where it does not. A potency with the partner beyond the doses leaves a bound as well.
pub fn rescue(alone: Potency, with_partner: Potency, reference: Potency) -> Rescue {
    use Potency::{Above, Below, Known, Unknown};
    let exact = |log10| Known { log10, standard_error: Some(0.0), degrees_of_freedom: 1.0 };
    let known = |potency| match potency {
        Above(bound) | Below(bound) => exact(bound),
        known => known,
    };
    for potency in [alone, with_partner, reference] {
        if let Unknown(reason) = potency {
            return Rescue::none(reason);
        }
    }
    match reference {
        Above(_) => return Rescue::none("reference_ic50_above_range"),
        Below(_) => return Rescue::none("reference_ic50_below_range"),
        _ => {}
    }
    let found = match fieller(known(alone), known(with_partner), reference) {
        Ok(found) => found,
        Err(reason) => return Rescue::none(reason),
    };
    match (alone, with_partner) {
        (Known { .. }, Known { .. }) => found,
        (Above(_), Known { .. } | Below(_)) => {
            Rescue { low: found.low.map(|low| low.min(1.0)), ..Rescue::none("ic50_above_range") }
        }
        (Known { .. }, Below(_)) => Rescue { low: found.low, ..Rescue::none("ic50_with_partner_below_range") },
        (Known { .. }, Above(_)) => Rescue { high: found.high, ..Rescue::none("ic50_with_partner_above_range") },
        (Above(_), Above(_)) => Rescue::none("both_ic50_out_of_range"),
        (Below(_), _) => Rescue::none("ic50_below_range"),
        (Unknown(reason), _) | (_, Unknown(reason)) => Rescue::none(reason),
    }
}

fn fieller(alone: Potency, with_partner: Potency, reference: Potency) -> Result<Rescue, &'static str> {
    let (Some(x), Some(x_with), Some(x_reference)) = (alone.log10(), with_partner.log10(), reference.log10()) else {
        return Err("no_ic50");
    };
    let (numerator, denominator) = (x - x_with, x - x_reference);
    let Some(all) = spread(&[alone, with_partner, reference]) else { return Err("no_standard_error") };
    let t = if all.standard_error > 0.0 { all.half_width / all.standard_error } else { 0.0 };
    let [own, partner, parent] =
        [alone, with_partner, reference].map(|potency| potency.standard_error().unwrap_or(0.0).powi(2) * t * t);
    let a = denominator * denominator - own - parent;
    if denominator <= 0.0 || a <= 0.0 {
        return Err("no_established_fold_resistance");
    }
    let b = numerator * denominator - own;
    let c = numerator * numerator - own - partner;
    // Positive as long as `a` is, up to rounding.
    let root = (b * b - a * c).max(0.0).sqrt();
    let fraction = Some(numerator / denominator);
    let standard_error = Some(if t > 0.0 { root / a / t } else { 0.0 });
    Ok(Rescue { fraction, low: Some((b - root) / a), high: Some((b + root) / a), standard_error, reason: None })
}

/// Whether a potency is that of the parent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Equivalence {
    /// The larger p of the two one-sided tests; `None` without a standard error.
    pub p: Option<f64>,
    /// `equivalent` (p below 0.05), `still_resistant` (the 95 % interval of the fold lies above [`EQUIVALENCE_FOLD`]),
    /// `more_sensitive` (it lies below one over that), else `uncertain`: no difference shown is not equality shown.
    pub verdict: &'static str,
}

/// Two one-sided tests (Schuirmann 1987, doi 10.1007/BF01068419) that the fold against the parent lies within
/// [`EQUIVALENCE_FOLD`] of 1, on the logarithm of the IC50.
pub fn equivalence(against_parent: &LogRatio) -> Equivalence {
    let margin = libm::log10(EQUIVALENCE_FOLD);
    let tails = against_parent.upper_tail(-margin).zip(against_parent.lower_tail(margin));
    let p = tails.map(|(above, below)| above.max(below));
    let is_inside =
        against_parent.low.is_some_and(|low| low > -margin) && against_parent.high.is_some_and(|h| h < margin);
    let verdict = if p.is_some_and(|p| p < EQUIVALENCE_P) || is_inside {
        "equivalent"
    } else if against_parent.low.is_some_and(|low| low > margin) {
        "still_resistant"
    } else if against_parent.high.is_some_and(|high| high < -margin) {
        "more_sensitive"
    } else {
        "uncertain"
    };
    Equivalence { p, verdict }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(log10: f64, standard_error: f64) -> Potency {
        Potency::Known { log10, standard_error: Some(standard_error), degrees_of_freedom: 12.0 }
    }

    #[test]
    fn rescue_by_hand() {
        // A hundredfold resistance, of which the partner undoes tenfold: one half, on the log scale.
        let got = rescue(known(-5.0, 0.0), known(-6.0, 0.0), known(-7.0, 0.0));
        assert_eq!((got.fraction, got.low, got.high, got.reason), (Some(0.5), Some(0.5), Some(0.5), None));
        assert_eq!(rescue(known(-5.0, 0.0), known(-7.0, 0.0), known(-7.0, 0.0)).fraction, Some(1.0));
        assert_eq!(rescue(known(-5.0, 0.0), known(-4.0, 0.0), known(-7.0, 0.0)).fraction, Some(-0.5));
        // Each end of Fieller's interval is a ratio that a t test at 95 % just does not reject: (n - r d)^2 equals
        // t^2 ((1 - r)^2 v + v_with + r^2 v_parent).
        let errors = [0.10, 0.15, 0.08];
        let potencies = [known(-5.2, errors[0]), known(-6.0, errors[1]), known(-7.0, errors[2])];
        let got = rescue(potencies[0], potencies[1], potencies[2]);
        let all = spread(&potencies).expect("errors");
        let t = all.half_width / all.standard_error;
        for end in [got.low.expect("low"), got.high.expect("high")] {
            let [v, v_with, v_parent] = errors.map(|e| e * e);
            let variance = (1.0 - end) * (1.0 - end) * v + v_with + end * end * v_parent;
            assert!(((0.8 - end * 1.8_f64).abs() / variance.sqrt() - t).abs() < 1e-9, "{end}");
        }
        assert!(got.low < got.fraction && got.fraction < got.high);
        // With small errors it is that of the ratio by differentials.
        let small = errors.map(|error| 1e-4 * error);
        let near = rescue(known(-5.2, small[0]), known(-6.0, small[1]), known(-7.0, small[2]));
        let r = 0.8 / 1.8;
        let wanted = ((1.0 - r) * small[0]).hypot(small[1]).hypot(r * small[2]) / 1.8;
        assert!((near.standard_error.expect("an error") / wanted - 1.0).abs() < 1e-6, "{near:?}");
        // Without their shared potency (a covariance left out) the ends would be others.
        let without = 0.8 / 1.8 - t * (0.01f64 + 0.0225).sqrt() / 1.8;
        assert!((got.low.expect("low") - without).abs() > 0.01);
    }

    #[test]
    fn no_resistance_no_rescue() {
        let got = rescue(known(-6.9, 0.1), known(-7.5, 0.1), known(-7.0, 0.1));
        assert_eq!(got, Rescue::none("no_established_fold_resistance"));
        assert_eq!(rescue(known(-7.5, 0.01), known(-8.0, 0.01), known(-7.0, 0.01)).fraction, None);
        let bare = Potency::Known { log10: -5.0, standard_error: None, degrees_of_freedom: 0.0 };
        assert_eq!(rescue(bare, known(-6.0, 0.1), known(-7.0, 0.1)).reason, Some("no_standard_error"));
        assert_eq!(rescue(known(-5.0, 0.1), Potency::Unknown("x"), known(-7.0, 0.1)).reason, Some("x"));
    }

    #[test]
    fn bounds_hold_wherever_the_potency_is() {
        let (with, parent) = (known(-6.2, 0.0), known(-7.0, 0.0));
        let bound = rescue(Potency::Above(-5.0), with, parent);
        let low = bound.low.expect("a bound");
        assert_eq!((bound.fraction, bound.high), (None, None));
        for alone in [-5.0, -4.5, -4.0, -2.0] {
            assert!(rescue(known(alone, 0.0), with, parent).fraction.expect("a fraction") >= low - 1e-12, "{alone}");
        }
        // Made more sensitive than the parent: the fraction falls with the potency alone, towards 1.
        let beyond = rescue(Potency::Above(-5.0), known(-7.5, 0.0), parent).low.expect("a bound");
        for alone in [-5.0, -4.0, 0.0] {
            assert!(rescue(known(alone, 0.0), known(-7.5, 0.0), parent).fraction.expect("a fraction") >= beyond);
        }
        assert!(rescue(known(-5.0, 0.0), Potency::Below(-9.0), parent).low.is_some_and(|low| low > 1.0));
        assert!(rescue(known(-5.0, 0.0), Potency::Above(-4.5), parent).high.is_some_and(|high| high < 0.0));
        assert_eq!(rescue(Potency::Above(-5.0), Potency::Above(-5.0), parent).low, None);
    }

    #[test]
    fn equality_must_be_shown() {
        let against = |log10, error| equivalence(&known(log10, error).minus(known(0.0, 0.0)));
        assert_eq!(against(0.0, 0.05).verdict, "equivalent");
        assert_eq!(against(0.05, 0.3).verdict, "uncertain", "not different is not equal");
        assert_eq!(against(1.0, 0.1).verdict, "still_resistant");
        assert_eq!(against(-1.0, 0.1).verdict, "more_sensitive");
        assert_eq!(against(0.0, 0.0).verdict, "equivalent");
        // t = log10(2) / 0.1 = 3.0103 with 12 degrees of freedom: between the 0.99 (2.681) and 0.995 (3.055) quantiles.
        let p = against(0.0, 0.1).p.expect("p");
        assert!(p > 0.005 && p < 0.01, "{p}");
        // At the margin itself a coin would do as well: never called equal more often than 1 in 20.
        assert!(against(EQUIVALENCE_FOLD.log10(), 0.05).p.is_some_and(|p| (p - 0.5).abs() < 1e-9));
        let above = Potency::Above(-5.0).minus(known(-7.0, 0.1));
        assert_eq!(equivalence(&above), Equivalence { p: None, verdict: "still_resistant" });
    }
}
