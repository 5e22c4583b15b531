//! Reference surfaces of non-interaction, each one generic function of viabilities or of two fitted curves.
//! All in viability: 1 untreated, smaller is more effect.

use crate::math::Scalar;

/// A log-logistic curve as the Loewe root needs it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct HillCurve<S> {
    /// Response at dose zero.
    pub top: S,
    /// Response at infinite dose.
    pub bottom: S,
    /// Natural logarithm of the molar half-effect dose.
    pub ln_ec50: S,
    /// Slope, above zero.
    pub slope: S,
}

/// Highest single agent: the smaller of the two viabilities.
#[inline(always)]
pub fn hsa<S: Scalar>(viability_a: S, viability_b: S) -> S {
    viability_a.min(viability_b)
}

/// Bliss independence: viabilities multiply (Bliss 1939, doi 10.1111/j.1744-7348.1939.tb06990.x).
#[inline(always)]
pub fn bliss<S: Scalar>(viability_a: S, viability_b: S) -> S {
    viability_a * viability_b
}

/// Newton steps of the Loewe root. From the upper end of the bracket 8 leave at most 3e-9 of viability over slopes of
/// 0.05 to 20, doses of 9 e-folds about the half-effect doses and any two bottoms, and 1e-11 in 999 of 1000 draws.
const LOEWE_STEPS: usize = 8;
/// A curve that falls by less than this has no effect that a dose could be equivalent to.
const INERT: f64 = 1e-6;

/// Loewe additivity: the viability `E` at which `d_a / D_a(E) + d_b / D_b(E) = 1`, with `D(E)` the dose of one drug
/// that alone leaves `E` (Loewe & Muischnek 1926, doi 10.1007/BF01952257). Always defined.
///
/// `ln_dose_*` are natural logs of molar doses, both above zero (a margin is the drug's own curve). Untreated cells
/// are the same cells for both drugs, so both curves start from the mean of the two tops. Beyond the bottom of the
/// weaker drug no dose of it is equivalent to anything: its share is then zero and the stronger drug stands alone
/// (Harbron 2010, doi 10.1002/sim.3916). So the expected effect is never less than that of either drug, and it is
/// continuous. The form that instead averages the two bottoms by their shares (Van der Borght 2017,
/// doi 10.1038/s41598-017-18068-5) is equal to this one where the bottoms are equal; where they are not, it expects
/// a strong drug to lose effect beside a saturated weak one, and would call what the strong drug does alone synergy.
///
/// With `m` the fall of each curve from top to bottom, `r = m_strong / m_weak`, `z = ln d - ln EC50` and an effect of
/// `m_weak / (1 + e^o)`, the sum of shares is `exp(z_weak + o / h_weak) + exp(z_strong + ln(r - 1 + r e^o) / h_strong)`:
/// convex and rising in `o`, so Newton from the upper end of the bracket, where one drug alone makes the effect, is
/// monotone; the number of steps is fixed and there are no branches.
#[inline(always)]
pub fn loewe<S: Scalar>(ln_dose_a: S, ln_dose_b: S, a: HillCurve<S>, b: HillCurve<S>) -> S {
    additivity(ln_dose_a, ln_dose_b, a, b).expected
}

/// [`loewe`], and whether both drugs have a part in it.
#[derive(Debug, Clone, Copy)]
pub struct Additivity<S> {
    /// The expected viability.
    pub expected: S,
    /// Below zero where the stronger drug alone is past the weaker one's bottom, so that only it can be responsible.
    pub room: S,
    /// The weaker drug's bottom: the larger of the two.
    pub weaker_bottom: S,
}

/// Loewe additivity as [`loewe`] describes it, with what its variants need.
#[inline(always)]
pub fn additivity<S: Scalar>(ln_dose_a: S, ln_dose_b: S, a: HillCurve<S>, b: HillCurve<S>) -> Additivity<S> {
    let (zero, one, tiny) = (S::lit(0.0), S::lit(1.0), S::lit(1e-30));
    let top = (a.top + b.top) * S::lit(0.5);
    let (z_a, z_b) = (ln_dose_a - a.ln_ec50, ln_dose_b - b.ln_ec50);
    let (fall_a, fall_b) = (top - a.bottom, top - b.bottom);
    let weaker = |of_a: S, of_b: S| fall_a.select_less(fall_b, of_a, of_b);
    let (z_weak, z_strong) = (weaker(z_a, z_b), weaker(z_b, z_a));
    let (slope_weak, slope_strong) = (weaker(a.slope, b.slope), weaker(b.slope, a.slope));
    let (fall_weak, fall_strong) = (weaker(fall_a, fall_b), weaker(fall_b, fall_a));
    let (rate_weak, rate_strong) = (one / slope_weak, one / slope_strong);
    let ratio = (fall_strong / fall_weak.max(S::lit(INERT))).max(one);
    let more = ratio - one;
    let (ln_ratio, ln_more) = (ratio.ln(), more.max(tiny).ln());

    // Below zero: the stronger drug alone is past the weaker one's bottom.
    let alone = -(slope_strong * z_strong);
    let room = one - more * (-alone).exp();
    let upper_strong = alone + room.max(tiny).ln() - ln_ratio;
    let mut o = (-(slope_weak * z_weak)).min(upper_strong);
    for _ in 0..LOEWE_STEPS {
        let distance = o + ln_ratio - ln_more;
        let (growth, _) = distance.logistic_and_slope();
        let share_weak = (z_weak + o * rate_weak).exp();
        let share_strong = (z_strong + (ln_more + distance.softplus()) * rate_strong).exp();
        let rise = share_weak * rate_weak + share_strong * rate_strong * growth;
        o = o - (share_weak + share_strong - one) / rise.max(tiny);
    }
    let shared = fall_weak * (-o).logistic();
    let single = (fall_weak * (slope_weak * z_weak).logistic()).max(fall_strong * (slope_strong * z_strong).logistic());
    let effect = room.select_less(zero, single, shared);
    let expected = top - fall_weak.select_less(S::lit(INERT), single, effect);
    Additivity { expected, room, weaker_bottom: weaker(a.bottom, b.bottom) }
}

/// Generalised Loewe additivity, in which each drug keeps its own bottom: the odds `e^o` at which
/// `exp(z_a + o / h_a) + exp(z_b + o / h_b) = 1` weigh the two falls by their shares (Van der Borght 2017,
/// doi 10.1038/s41598-017-18068-5, as in BIGL). Equal to [`loewe`] where the bottoms are equal; where they are not, a
/// strong drug is expected to lose effect beside a weak one that is saturated.
///
/// The sum is convex and rises in `o`; the root lies below the smaller of `-h z`, whence Newton's steps are monotone.
#[inline(always)]
pub fn loewe_generalised<S: Scalar>(ln_dose_a: S, ln_dose_b: S, a: HillCurve<S>, b: HillCurve<S>) -> S {
    let one = S::lit(1.0);
    let top = (a.top + b.top) * S::lit(0.5);
    let (z_a, z_b) = (ln_dose_a - a.ln_ec50, ln_dose_b - b.ln_ec50);
    let (rate_a, rate_b) = (one / a.slope, one / b.slope);
    let mut o = (-(a.slope * z_a)).min(-(b.slope * z_b));
    for _ in 0..LOEWE_STEPS {
        let (share_a, share_b) = ((z_a + o * rate_a).exp(), (z_b + o * rate_b).exp());
        o = o - (share_a + share_b - one) / (share_a * rate_a + share_b * rate_b).max(S::lit(1e-30));
    }
    let (share_a, share_b) = ((z_a + o * rate_a).exp(), (z_b + o * rate_b).exp());
    top + (share_a * (a.bottom - top) + share_b * (b.bottom - top)) * (-o).logistic()
}

/// The Hill surface that solves the logistic differential equation of a mixture (Schindler 2017,
/// doi 10.1186/s12976-017-0060-y): a Hill curve of the summed doses, each in half-effect doses of its drug, with slope
/// and fall averaged by the same.
#[inline(always)]
pub fn schindler<S: Scalar>(ln_dose_a: S, ln_dose_b: S, a: HillCurve<S>, b: HillCurve<S>) -> S {
    let top = (a.top + b.top) * S::lit(0.5);
    let (z_a, z_b) = (ln_dose_a - a.ln_ec50, ln_dose_b - b.ln_ec50);
    let (share_a, share_b) = ((z_a - z_b).logistic(), (z_b - z_a).logistic());
    let slope = share_a * a.slope + share_b * b.slope;
    let fall = share_a * (top - a.bottom) + share_b * (top - b.bottom);
    top - fall * (slope * (z_a + (z_b - z_a).softplus())).logistic()
}

/// Growth-rate inhibition of nothing that grows: below it a logarithm of `value + 1` has no meaning.
const NO_GROWTH: f64 = 1e-6;

/// Bliss independence of growth-rate inhibition values (1: as untreated, 0: standstill, -1: all dead), whose doublings
/// multiply: `2^(log2(a + 1) log2(b + 1)) - 1` (Hafner 2016, doi 10.1038/nmeth.3853, with the growth rates multiplied as
/// in gDR).
#[inline(always)]
pub fn bliss_growth<S: Scalar>(value_a: S, value_b: S) -> S {
    let doublings = |value: S| (value + S::lit(1.0)).max(S::lit(NO_GROWTH)).ln() * S::lit(1.0 / std::f64::consts::LN_2);
    (doublings(value_a) * doublings(value_b) * S::lit(std::f64::consts::LN_2)).exp() - S::lit(1.0)
}

/// The ZIP surface observed at a dose pair: the mean of the two slice fits (Yadav 2015, doi 10.1016/j.csbj.2015.09.001).
#[inline(always)]
pub fn zip_fitted<S: Scalar>(slice_along_a: S, slice_along_b: S) -> S {
    (slice_along_a + slice_along_b) * S::lit(0.5)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Model, hill::Hill4};

    fn curve(top: f64, bottom: f64, ec50: f64, slope: f64) -> HillCurve<f64> {
        HillCurve { top, bottom, ln_ec50: libm::log(ec50), slope }
    }

    fn response(c: HillCurve<f64>, dose: f64) -> f64 {
        Hill4::response(libm::log(dose), [c.top, c.bottom, c.ln_ec50, c.slope])
    }

    /// The dose of one drug that leaves `viability`; none where the curve does not get there.
    fn inverse(c: HillCurve<f64>, viability: f64) -> f64 {
        let odds = (c.top - viability) / (viability - c.bottom);
        if odds > 0.0 { (c.ln_ec50 + odds.ln() / c.slope).exp() } else { f64::INFINITY }
    }

    /// Slow and plain: halves the bracket of viabilities between the stronger drug's bottom and the top.
    fn by_bisection(dose_a: f64, dose_b: f64, a: HillCurve<f64>, b: HillCurve<f64>) -> f64 {
        let (mut low, mut high) = (a.bottom.min(b.bottom), a.top);
        for _ in 0..200 {
            let middle = 0.5 * (low + high);
            let sum = dose_a / inverse(a, middle) + dose_b / inverse(b, middle);
            if sum > 1.0 { high = middle } else { low = middle }
        }
        0.5 * (low + high)
    }

    fn grid() -> Vec<(f64, f64, HillCurve<f64>, HillCurve<f64>)> {
        let mut all = Vec::new();
        for (bottom_a, bottom_b) in [(0.0, 0.0), (0.5, 0.1), (0.1, 0.5), (0.9, 0.0), (-0.2, 0.3)] {
            for (slope_a, slope_b) in [(1.0, 1.0), (0.3, 4.0), (15.0, 0.7), (2.0, 2.5)] {
                for (dose_a, dose_b) in [(1e-9, 1e-6), (1e-7, 1e-7), (1e-6, 1e-8), (3e-5, 1e-5), (1e-6, 2e-6)] {
                    let (a, b) = (curve(1.0, bottom_a, 3e-7, slope_a), curve(1.0, bottom_b, 1e-6, slope_b));
                    all.push((dose_a, dose_b, a, b));
                }
            }
        }
        all
    }

    #[test]
    fn loewe_solves_its_defining_equation() {
        let (mut worst, mut of_average_form): (f64, f64) = (0.0, 0.0);
        for (dose_a, dose_b, a, b) in grid() {
            let ours = loewe(libm::log(dose_a), libm::log(dose_b), a, b);
            let truth = by_bisection(dose_a, dose_b, a, b);
            worst = worst.max((ours - truth).abs());
            // The planted fault: both bottoms taken for their mean.
            let bottom = 0.5 * (a.bottom + b.bottom);
            let blunt =
                loewe(libm::log(dose_a), libm::log(dose_b), HillCurve { bottom, ..a }, HillCurve { bottom, ..b });
            of_average_form = of_average_form.max((blunt - truth).abs());
        }
        assert!(worst < 1e-8, "off by {worst}");
        assert!(of_average_form > 0.1, "the comparison cannot fail: {of_average_form}");
    }

    #[test]
    fn loewe_is_no_weaker_than_either_drug_and_does_not_mind_their_order() {
        for (dose_a, dose_b, a, b) in grid() {
            let (x, y) = (libm::log(dose_a), libm::log(dose_b));
            let expected = loewe(x, y, a, b);
            assert!(expected <= response(a, dose_a).min(response(b, dose_b)) + 1e-9);
            assert!((expected - loewe(y, x, b, a)).abs() < 1e-12);
        }
    }

    #[test]
    fn a_drug_with_itself_is_additive() {
        for slope in [0.2, 1.0, 3.0, 18.0] {
            let c = curve(1.05, 0.15, 2e-7, slope);
            for (dose_a, dose_b) in [(1e-8, 3e-8), (1e-7, 1e-7), (1e-6, 1e-9), (1e-5, 3e-5)] {
                let expected = loewe(libm::log(dose_a), libm::log(dose_b), c, c);
                assert!((expected - response(c, dose_a + dose_b)).abs() < 1e-9, "slope {slope}");
                assert!((expected - response(c, 2.0 * (dose_a + dose_b))).abs() > 1e-9 || slope * dose_a > 1e-6);
            }
        }
    }

    #[test]
    fn all_forms_of_additivity_agree_where_the_bottoms_do() {
        let (mut worst, mut of_unequal): (f64, f64) = (0.0, 0.0);
        for (dose_a, dose_b, a, b) in grid() {
            let (x, y) = (libm::log(dose_a), libm::log(dose_b));
            let level = HillCurve { bottom: a.bottom, ..b };
            worst = worst.max((loewe_generalised(x, y, a, level) - loewe(x, y, a, level)).abs());
            of_unequal = of_unequal.max((loewe_generalised(x, y, a, b) - loewe(x, y, a, b)).abs());
        }
        assert!(worst < 1e-7, "{worst}");
        assert!(of_unequal > 0.1, "the comparison cannot fail: {of_unequal}");
    }

    #[test]
    fn schindler_s_surface_and_generalised_loewe_are_sham_compliant_and_do_not_mind_the_order() {
        let c = curve(1.05, 0.15, 2e-7, 1.7);
        for (dose_a, dose_b, a, b) in grid() {
            let (x, y) = (libm::log(dose_a), libm::log(dose_b));
            for of in [schindler::<f64>, loewe_generalised::<f64>] {
                assert!((of(x, y, c, c) - response(c, dose_a + dose_b)).abs() < 1e-9);
                assert!((of(x, y, a, b) - of(y, x, b, a)).abs() < 1e-12);
                // Next to nothing of the second drug leaves the first one's curve.
                assert!((of(x, -60.0, a, b) - response(a, dose_a)).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn room_ends_where_the_stronger_drug_alone_passes_the_weaker_one_s_bottom() {
        let (mut inside, mut outside) = (0, 0);
        for (dose_a, dose_b, a, b) in grid() {
            let (weak, strong, dose) = if a.bottom > b.bottom { (a, b, dose_b) } else { (b, a, dose_a) };
            let Additivity { room, weaker_bottom, .. } = additivity(libm::log(dose_a), libm::log(dose_b), a, b);
            assert_eq!(weaker_bottom, weak.bottom);
            let past = response(strong, dose) < weak.bottom;
            assert_eq!(room < 0.0, past, "{room}");
            *(if past { &mut outside } else { &mut inside }) += 1;
        }
        assert!(inside > 10 && outside > 10, "{inside} {outside}");
    }

    #[test]
    fn growth_rates_multiply() {
        // 1 doubling of 1 is as untreated; half the doublings under each drug are a quarter under both.
        let half = 2.0f64.sqrt() - 1.0;
        assert!((bliss_growth(1.0, 1.0) - 1.0f64).abs() < 1e-12);
        assert!((bliss_growth(half, half) - (2.0f64.powf(0.25) - 1.0)).abs() < 1e-12);
        assert!((bliss_growth(0.0, 0.7f64)).abs() < 1e-12, "a standstill stays one");
        assert!(bliss_growth(-1.0, 0.5f64) < -0.99 && bliss_growth(-1.0, -1.0f64).is_finite());
        assert!((bliss_growth(half, half) - bliss(half, half)).abs() > 0.01);
    }

    #[test]
    fn an_inert_or_rising_drug_leaves_the_other_alone() {
        let strong = curve(1.0, 0.1, 1e-7, 1.5);
        for bottom in [1.0, 1.0 - 1e-9, 1.3] {
            let inert = curve(1.0, bottom, 1e-7, 1.0);
            let expected = loewe(libm::log(2e-7), libm::log(1e-6), strong, inert);
            assert!((expected - response(strong, 2e-7)).abs() < 1e-9, "bottom {bottom}");
        }
        let rising = curve(1.0, 1.4, 1e-7, 1.0);
        let both = loewe(libm::log(2e-7), libm::log(1e-6), rising, rising);
        assert!((1.0..=1.4).contains(&both), "{both}");
    }

    #[test]
    fn single_precision_stays_finite_at_the_ends() {
        for slope in [0.01f32, 1.0, 20.0] {
            for z in [-25.0f32, 0.0, 25.0] {
                for bottom in [-1.0f32, 0.0, 0.999, 1.5] {
                    let a = HillCurve { top: 1.0f32, bottom, ln_ec50: 0.0, slope };
                    let b = HillCurve { top: 1.0f32, bottom: 0.2, ln_ec50: 0.0, slope: 20.0 };
                    for y in [-25.0f32, 0.0, 25.0] {
                        let expected = loewe(z, y, a, b);
                        assert!(expected.is_finite() && (-1.01..=1.51).contains(&expected), "{slope} {z} {bottom} {y}");
                    }
                }
            }
        }
    }
}
