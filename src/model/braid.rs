//! BRAID, a surface with one parameter of interaction: the doses of both drugs, as doses of one that does what they do,
//! are added up, and `kappa` times their geometric mean with them (Twarog 2016, doi 10.1038/srep25523).

use super::hill::{location, plateau, steepness};
use super::{Axis, Parameter, SurfaceModel, location_second};
use crate::fit::Bound;
use crate::math::Scalar;

/// Places of what either drug can do alone of what both can do.
pub const SHARE_A: usize = 2;
/// See [`SHARE_A`].
pub const SHARE_B: usize = 3;
/// Place of the parameter of interaction.
pub const EPSILON: usize = 8;
/// The second drug's "ln dose" at which the response of the model with a prior is `epsilon` itself: one more point there, of response 0,
/// draws it towards 0 as its prior does. It lies beyond [`super::LN_DOSE_ZERO`], where no dose is.
pub const LN_DOSE_PRIOR: f64 = 2.0 * super::LN_DOSE_ZERO;

const fn plain(name: &'static str, lower: f64, upper: f64, starts: &'static [f64]) -> Parameter {
    Parameter {
        name,
        unit: "",
        bound: Bound { lower, upper },
        axis: Axis::Plain,
        starts: super::Starts::Values(starts),
    }
}

/// `[e0, ef, share_a, share_b, ln_id_a, ln_id_b, n_a, n_b, epsilon]`: `share` is what a drug alone can do of the fall
/// from `e0` to `ef`; `kappa = 2 e^epsilon - 2` is above 0 for synergy and never below -2.
pub struct Braid;

impl SurfaceModel<9> for Braid {
    const NAME: &'static str = "braid_free";
    const FORMULA: &'static str = "e0 + (ef - e0) D^n / (1 + D^n), D = A^(1/n) + B^(1/n) + kappa (A B)^(1/2n), n = sqrt(n_a n_b), kappa = 2 e^epsilon - 2   Twarog 2016, doi 10.1038/srep25523";
    const PARAMETERS: [Parameter; 9] = [
        plateau("e0"),
        plateau("ef"),
        plain("share_a", 0.001, 1.0, &[0.5, 1.0]),
        plain("share_b", 0.001, 1.0, &[0.5, 1.0]),
        location("ln_id_a", 0.2),
        location_second("ln_id_b", &[0.2, 0.5, 0.8]),
        steepness("n_a", &[0.7, 2.0]),
        steepness("n_b", &[0.7, 2.0]),
        plain("epsilon", -3.9, 3.9, &[-0.7, 0.0, 0.7]),
    ];

    #[inline(always)]
    fn response<S: Scalar>(ln_dose_a: S, ln_dose_b: S, parameters: [S; 9]) -> S {
        let [e0, ef, share_a, share_b, ln_id_a, ln_id_b, n_a, n_b, epsilon] = parameters;
        let (one, two, half) = (S::lit(1.0), S::lit(2.0), S::lit(0.5));
        let n = (n_a * n_b).sqrt();
        // The logarithm of share x / (1 + (1 - share) x), from x / (1 + x).
        let common = |share: S, ln_x: S| {
            let (bound, not_bound) = (ln_x.logistic(), (-ln_x).logistic());
            (share * bound).ln() - (not_bound + (one - share) * bound).ln()
        };
        let a = common(share_a, n_a * (ln_dose_a - ln_id_a)) / n;
        let b = common(share_b, n_b * (ln_dose_b - ln_id_b)) / n;
        let kappa = two * epsilon.exp() - two;
        let both = a.exp() + b.exp() + kappa * (half * (a + b)).exp();
        e0 + (ef - e0) * (n * both.ln()).logistic()
    }
}

/// The same surface, whose response at [`LN_DOSE_PRIOR`] is `epsilon`.
pub struct BraidWithPrior;

impl SurfaceModel<9> for BraidWithPrior {
    const NAME: &'static str = "braid";
    const FORMULA: &'static str = "braid_free, with a normal prior on epsilon about 0 of standard deviation 1   Twarog 2016, doi 10.1038/srep25523";
    const PARAMETERS: [Parameter; 9] = Braid::PARAMETERS;

    #[inline(always)]
    fn response<S: Scalar>(ln_dose_a: S, ln_dose_b: S, parameters: [S; 9]) -> S {
        let response = Braid::response(ln_dose_a, ln_dose_b, parameters);
        ln_dose_b.select_less(S::lit(0.75 * LN_DOSE_PRIOR), parameters[EPSILON], response)
    }
}
