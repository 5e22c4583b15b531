//! What each reference model expects at one combination, from the numbers that back ends compute.

use super::SynergyModel;
use crate::model::reference::{FURTHER, USUAL};

/// What is known of one combination.
#[derive(Debug, Clone, Copy)]
pub struct Combined<'a> {
    /// The usual numbers.
    pub usual: &'a [f64; USUAL],
    /// The others, where a model that rests on them was asked for.
    pub further: Option<&'a [f64; FURTHER]>,
    /// The response of each drug alone, where there is one.
    pub alone: [Option<f64>; 2],
    /// Whether both drugs have a curve.
    pub has_curves: bool,
}

impl SynergyModel {
    /// Whether the model rests on the numbers that are not usual.
    pub(super) fn needs_further(self) -> bool {
        matches!(
            self,
            SynergyModel::LoeweGeneralised
                | SynergyModel::LoeweNan
                | SynergyModel::LoeweWeakest
                | SynergyModel::Schindler
                | SynergyModel::BlissGrowth
        )
    }

    /// Whether the model rests on Loewe's own number.
    pub(super) fn needs_loewe(self) -> bool {
        matches!(self, SynergyModel::Loewe | SynergyModel::LoeweNan | SynergyModel::LoeweWeakest)
    }

    /// The expected viability; `None` where the model has none, and for surfaces, whose fits tell.
    pub(super) fn expected(self, at: Combined<'_>) -> Option<f64> {
        let &[hsa, bliss, loewe, zip] = at.usual;
        let [a, b] = [at.alone[0], at.alone[1]];
        let both = a.zip(b);
        let curves = |value: f64| at.has_curves.then_some(value);
        let further = |number: usize| at.further.map(|numbers| numbers[number]);
        // Both drugs have a part in the effect, or only the stronger one can have.
        let shared = || further(1).map(|room| room >= 0.0);
        let expected = match self {
            SynergyModel::Hsa | SynergyModel::GdrHsa => both.map(|_| hsa),
            SynergyModel::Bliss => both.map(|_| bliss),
            SynergyModel::GdrBliss => both.map(|(a, b)| if a.min(b) < 0.0 { hsa } else { bliss }),
            SynergyModel::BlissGrowth => both.and(further(4)),
            SynergyModel::Loewe => curves(loewe),
            SynergyModel::LoeweGeneralised => further(0).and_then(curves),
            SynergyModel::LoeweNan => shared().filter(|shared| *shared).and(curves(loewe)),
            SynergyModel::LoeweWeakest => {
                shared().and_then(|shared| if shared { curves(loewe) } else { further(2).and_then(curves) })
            }
            SynergyModel::Schindler => further(3).and_then(curves),
            SynergyModel::Zip | SynergyModel::ZipPaper2015 | SynergyModel::ZipSfplus => curves(zip),
            SynergyModel::Musyc
            | SynergyModel::MusycGamma
            | SynergyModel::Braid
            | SynergyModel::BraidFree
            | SynergyModel::EffectiveDose
            | SynergyModel::Formula(_) => None,
        };
        expected.filter(|value| value.is_finite())
    }
}
