//! Reference models of three drugs. All in viability.

use crate::model::surface::HillCurve;
use crate::screen::triple_matrix::TripleMatrix;
use crate::synergy::margins::response;

/// A reference model of three drugs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reference {
    /// The best of the three alone.
    Hsa,
    /// Viabilities alone multiply.
    Bliss,
    /// Doses are equivalent to one another.
    Loewe,
    /// The best of the three pairs, as observed at the same doses: does the third drug add anything?
    BestPair,
    /// What the pairs already do, and no more: `a bc + b ac + c ab - 2 a b c`, with viabilities under drugs alone and pairs
    /// (Beppler 2016, doi 10.1098/rsif.2016.0800).
    Pairs,
}

impl Reference {
    /// Every reference, in the order of every result.
    pub const ALL: [Reference; 5] =
        [Reference::Hsa, Reference::Bliss, Reference::Loewe, Reference::BestPair, Reference::Pairs];

    /// The name in columns.
    pub fn name(self) -> &'static str {
        match self {
            Reference::Hsa => "hsa",
            Reference::Bliss => "bliss",
            Reference::Loewe => "loewe",
            Reference::BestPair => "best_pair",
            Reference::Pairs => "pairs",
        }
    }
}

/// Halvings of the bracket of viabilities: it is then narrower than rounding.
const HALVINGS: usize = 60;

/// Loewe additivity of any number of drugs: the viability `E` at which the sum of `d / D(E)` is 1. Beyond its bottom a
/// drug has no part in it (Harbron 2010, doi 10.1002/sim.3916). Curves start from the mean of their tops, because the
/// untreated are the same. The sum falls as `E` does, from all doses being more than enough, to none: one root.
pub fn loewe_of_many(ln_dose: &[f64], curves: &[HillCurve<f64>]) -> f64 {
    let top = curves.iter().map(|curve| curve.top).sum::<f64>() / curves.len() as f64;
    let bottom = curves.iter().map(|curve| curve.bottom).fold(f64::INFINITY, f64::min);
    let sum = |viability: f64| -> f64 {
        let share = |(ln_dose, curve): (&f64, &HillCurve<f64>)| {
            if viability <= curve.bottom {
                return 0.0;
            }
            let odds = (top - viability) / (viability - curve.bottom);
            (ln_dose - curve.ln_ec50 - odds.ln() / curve.slope).exp()
        };
        ln_dose.iter().zip(curves).map(share).sum()
    };
    if bottom >= top {
        return top;
    }
    let (mut low, mut high) = (bottom, top);
    for _ in 0..HALVINGS {
        let middle = 0.5 * (low + high);
        if sum(middle) > 1.0 { high = middle } else { low = middle }
    }
    0.5 * (low + high)
}

/// Expected viabilities at every combination of a matrix, by [`Reference::ALL`]. `responses` are those of
/// [`TripleMatrix::cells`], measured or drawn; `curves` the fitted single drugs.
pub fn expected(
    matrix: &TripleMatrix,
    responses: &[f64],
    curves: &[Option<HillCurve<f64>>; 3],
) -> [Vec<Option<f64>>; 5] {
    let mut all = [const { Vec::new() }; 5];
    let at = |dose: [f64; 3]| matrix.find(dose).map(|cell| responses[cell]);
    for (_, cell) in matrix.combinations() {
        let ln_dose = cell.dose.map(libm::log);
        let without = |k: usize| {
            let mut dose = cell.dose;
            dose[k] = 0.0;
            dose
        };
        let only = |k: usize| {
            let mut dose = [0.0; 3];
            dose[k] = cell.dose[k];
            dose
        };
        let alone = [0, 1, 2].map(|k| match curves[k] {
            Some(curve) => Some(response(curve, ln_dose[k])),
            None => at(only(k)),
        });
        let pairs = [0, 1, 2].map(|k| at(without(k)));
        let singles = all_of(alone);
        let fitted = all_of(*curves);
        let pairs = all_of(pairs);
        let values = [
            singles.map(|alone| alone.into_iter().fold(f64::INFINITY, f64::min)),
            singles.map(|alone| alone.into_iter().product()),
            fitted.map(|curves| loewe_of_many(&ln_dose, &curves)),
            pairs.map(|pairs| pairs.into_iter().fold(f64::INFINITY, f64::min)),
            singles.zip(pairs).map(|(alone, without)| {
                let one_and_pair: f64 = alone.iter().zip(&without).map(|(alone, pair)| alone * pair).sum();
                one_and_pair - 2.0 * alone.iter().product::<f64>()
            }),
        ];
        for (all, value) in all.iter_mut().zip(values) {
            all.push(value.filter(|value| value.is_finite()));
        }
    }
    all
}

/// The three values, if all are there.
fn all_of<T: Copy>(values: [Option<T>; 3]) -> Option<[T; 3]> {
    let [a, b, c] = values;
    Some([a?, b?, c?])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::surface::loewe;

    fn curve(bottom: f64, ec50: f64, slope: f64) -> HillCurve<f64> {
        HillCurve { top: 1.0, bottom, ln_ec50: libm::log(ec50), slope }
    }

    #[test]
    fn additivity_of_two_is_that_of_the_pair_kernel() {
        let mut most_effect: f64 = 1.0;
        for (a, b) in [(0.0, 0.0), (0.4, 0.1), (0.1, 0.6), (0.9, 0.0)] {
            for (dose_a, dose_b) in [(1e-8, 1e-6), (1e-7, 1e-7), (3e-6, 1e-5)] {
                let (c, d) = (curve(a, 1e-7, 1.5), curve(b, 1e-6, 0.8));
                let ln = [libm::log(dose_a), libm::log(dose_b)];
                let two = loewe(ln[0], ln[1], c, d);
                assert!((loewe_of_many(&ln, &[c, d]) - two).abs() < 1e-8);
                most_effect = most_effect.min(two);
            }
        }
        assert!(most_effect < 0.2, "the doses did something: {most_effect}");
    }

    #[test]
    fn three_times_the_same_drug_is_that_drug_at_the_sum() {
        let c = curve(0.15, 2e-7, 1.7);
        for dose in [[1e-8, 3e-8, 5e-8], [1e-7, 1e-7, 1e-6], [1e-5, 1e-9, 1e-6]] {
            let sum: f64 = dose.iter().sum();
            let expected = loewe_of_many(&dose.map(libm::log), &[c, c, c]);
            assert!((expected - response(c, libm::log(sum))).abs() < 1e-9);
            assert!((expected - response(c, libm::log(2.0 * sum))).abs() > 1e-4 || sum > 1e-6);
        }
    }
}
