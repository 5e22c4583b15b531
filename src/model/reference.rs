//! Expected responses at a pair of doses by every model that follows from the two drugs alone: the lists that both
//! back ends compute.

use super::hill::Hill4;
use super::surface::{Additivity, HillCurve, additivity, bliss, bliss_growth, hsa, loewe_generalised, schindler};
use super::{Model, surface};
use crate::math::Scalar;

/// What is known of a pair of doses.
#[derive(Debug, Clone, Copy)]
pub struct DosePair<S> {
    /// Natural log of each dose, above zero, measured from the same dose as the curve's half-effect dose.
    pub ln_dose: [S; 2],
    /// Viability under each drug alone, fitted or observed.
    pub alone: [S; 2],
    /// The fitted curve of each drug.
    pub curves: [HillCurve<S>; 2],
}

/// A list of numbers that follow from a pair of doses.
pub trait References<const N: usize>: Send + Sync {
    /// What the kernel is called.
    const NAME: &'static str;
    /// The numbers.
    fn expected<S: Scalar>(pair: DosePair<S>) -> [S; N];
}

/// How many numbers [`Usual`] has.
pub const USUAL: usize = 4;

/// HSA, Bliss (both of the responses alone), Loewe, and Bliss of the fitted curves, which is ZIP's reference.
pub struct Usual;

impl References<USUAL> for Usual {
    const NAME: &'static str = "surface";

    #[inline(always)]
    fn expected<S: Scalar>(pair: DosePair<S>) -> [S; USUAL] {
        let DosePair { ln_dose: [x, y], alone: [alone_a, alone_b], curves: [a, b] } = pair;
        let [fitted_a, fitted_b] = fitted(pair);
        [hsa(alone_a, alone_b), bliss(alone_a, alone_b), surface::loewe(x, y, a, b), bliss(fitted_a, fitted_b)]
    }
}

/// [`Usual`] with no number in Loewe's place, for those who do not look at it: it alone has to be solved for.
pub struct Direct;

impl References<USUAL> for Direct {
    const NAME: &'static str = "surface_direct";

    #[inline(always)]
    fn expected<S: Scalar>(pair: DosePair<S>) -> [S; USUAL] {
        let [alone_a, alone_b] = pair.alone;
        let [fitted_a, fitted_b] = fitted(pair);
        [hsa(alone_a, alone_b), bliss(alone_a, alone_b), S::lit(f64::NAN), bliss(fitted_a, fitted_b)]
    }
}

/// How many numbers [`Further`] has.
pub const FURTHER: usize = 5;

/// Generalised Loewe; how much room there is below the weaker drug's bottom (below zero where one drug alone is past
/// it) and that bottom; Schindler's surface; Bliss on growth rates, of the responses alone.
pub struct Further;

impl References<FURTHER> for Further {
    const NAME: &'static str = "surface_further";

    #[inline(always)]
    fn expected<S: Scalar>(pair: DosePair<S>) -> [S; FURTHER] {
        let DosePair { ln_dose: [x, y], alone: [alone_a, alone_b], curves: [a, b] } = pair;
        let Additivity { room, weaker_bottom, .. } = additivity(x, y, a, b);
        [loewe_generalised(x, y, a, b), room, weaker_bottom, schindler(x, y, a, b), bliss_growth(alone_a, alone_b)]
    }
}

/// What each drug's curve says alone.
#[inline(always)]
fn fitted<S: Scalar>(pair: DosePair<S>) -> [S; 2] {
    let of = |x: S, c: HillCurve<S>| Hill4::response(x, [c.top, c.bottom, c.ln_ec50, c.slope]);
    [of(pair.ln_dose[0], pair.curves[0]), of(pair.ln_dose[1], pair.curves[1])]
}
