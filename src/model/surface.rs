//! Reference surfaces of non-interaction, each one generic function of viabilities or of two fitted curves.
//! All in viability: 1 untreated, smaller is more effect.

use crate::math::Scalar;

/// A log-logistic curve as the Loewe root needs it.
#[derive(Debug, Clone, Copy)]
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

/// Newton steps of the Loewe root; from the upper end of its bracket 7 reach 1e-12 in f64.
const LOEWE_STEPS: usize = 8;

/// Generalised Loewe additivity for two curves that may end at different levels: always defined.
///
/// `ln_dose_*` are natural logs of molar doses, both above zero (a margin is the drug's own curve). With
/// `z = ln d - ln EC50`, the occupancy `o` solves `exp(z_a + o/h_a) + exp(z_b + o/h_b) = 1`; the two terms are the
/// drugs' shares of the effect, and the expected response is
/// `top + (share_a (bottom_a - top) + share_b (bottom_b - top)) / (1 + e^o)` with the mean of the two tops.
/// For curves with common ends this is Loewe 1926; the partial-effect form follows Van der Borght 2017,
/// doi 10.1038/s41598-017-18068-5. Newton from the upper end of the bracket is monotone, so the number of steps is
/// fixed and there are no branches.
#[inline(always)]
pub fn loewe<S: Scalar>(ln_dose_a: S, ln_dose_b: S, a: HillCurve<S>, b: HillCurve<S>) -> S {
    let one = S::lit(1.0);
    let (z_a, z_b) = (ln_dose_a - a.ln_ec50, ln_dose_b - b.ln_ec50);
    let (rate_a, rate_b) = (one / a.slope, one / b.slope);
    let mut o = (-(a.slope * z_a)).min(-(b.slope * z_b));
    for _ in 0..LOEWE_STEPS {
        let share_a = (z_a + o * rate_a).exp();
        let share_b = (z_b + o * rate_b).exp();
        o = o - (share_a + share_b - one) / (share_a * rate_a + share_b * rate_b);
    }
    let share_a = (z_a + o * rate_a).exp();
    let share_b = (z_b + o * rate_b).exp();
    let total = share_a + share_b;
    let top = (a.top + b.top) * S::lit(0.5);
    let effect = (share_a * (a.bottom - top) + share_b * (b.bottom - top)) / total;
    top + effect * (-o).logistic()
}

/// The ZIP surface observed at a dose pair: the mean of the two slice fits (Yadav 2015, doi 10.1016/j.csbj.2015.09.001).
#[inline(always)]
pub fn zip_fitted<S: Scalar>(slice_along_a: S, slice_along_b: S) -> S {
    (slice_along_a + slice_along_b) * S::lit(0.5)
}
