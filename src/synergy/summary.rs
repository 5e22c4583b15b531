//! What a matrix of excesses comes to, beyond its mean: the best tenth, the volume over the doses, the part within
//! doses that a patient can have, what lies beyond every reference, and why references disagree.

use super::design::Design;
use super::margins::{Margin, response};
use super::{MatrixScore, Score, SurfaceCell, SynergyModel};
use crate::screen::dose::DOSE_TOLERANCE;
use crate::screen::names::NameId;
use std::f64::consts::LN_10;

/// The best share of the combinations, as gDR summarises a matrix.
const BEST_SHARE: f64 = 0.1;
/// Reference models whose scores lie on either side of zero by more than this disagree.
const DISAGREEMENT: f64 = 0.03;
/// Bottoms of two drugs that differ by more make Bliss, HSA and Loewe differ.
const UNEQUAL_BOTTOMS: f64 = 0.3;
/// A curve steeper than this is a step: Loewe and Bliss part where both drugs are near it.
const STEEP: f64 = 3.0;
/// Doses that span less than this, in decades, see a part of the surface only.
const NARROW_DECADES: f64 = 1.5;

/// Mean of the best tenth of the values, those at or above their 90th percentile (interpolated as R's type 7 does). Noise
/// alone makes it positive: it describes a matrix and tests nothing.
pub fn top_decile(excess: &[Option<f64>]) -> Option<f64> {
    let mut values: Vec<f64> = excess.iter().copied().flatten().collect();
    values.sort_by(f64::total_cmp);
    let last = values.len().checked_sub(1)?;
    let place = (1.0 - BEST_SHARE) * last as f64;
    let (below, share) = (place.floor() as usize, place.fract());
    let limit = values[below] + share * (values[(below + 1).min(last)] - values[below]);
    // What the interpolation makes of equal values must not lie above them.
    let best: Vec<f64> = values.iter().copied().filter(|v| *v >= limit.min(values[last])).collect();
    Some(best.iter().sum::<f64>() / best.len() as f64)
}

/// Mean height of the excess over the logarithms of both doses: the trapezoidal volume over the area of all
/// rectangles of neighbouring levels whose four corners were measured. Unlike the mean over the cells it does not depend
/// on where doses lie close together.
pub fn volume(design: &Design, excess: &[Option<f64>]) -> Option<f64> {
    let (rows, columns) = (design.levels[0].len(), design.levels[1].len());
    let mut at = vec![None; rows * columns];
    for (combination, excess) in design.combinations.iter().zip(excess) {
        at[combination.level[0] * columns + combination.level[1]] = *excess;
    }
    let ln = |k: usize| design.levels[k].iter().map(|dose| libm::log(*dose)).collect::<Vec<f64>>();
    let (x, y) = (ln(0), ln(1));
    let (mut volume, mut area) = (0.0, 0.0);
    for r in 1..rows {
        for c in 1..columns {
            let corner = |r: usize, c: usize| at[r * columns + c];
            let corners = [corner(r - 1, c - 1), corner(r - 1, c), corner(r, c - 1), corner(r, c)];
            if let [Some(a), Some(b), Some(c1), Some(d)] = corners {
                let base = (x[r] - x[r - 1]) * (y[c] - y[c - 1]);
                volume += base * 0.25 * (a + b + c1 + d);
                area += base;
            }
        }
    }
    (area > 0.0).then(|| volume / area)
}

/// Fills [`Score::boxed`]: the mean excess over the combinations within the molar limits that `limit` has for the drugs;
/// a drug without one is free. Where no combination is within them, `no_dose_within_limits` is among the flags.
pub fn add_box_scores(scores: &mut [MatrixScore], limit: impl Fn(NameId) -> Option<f64>) {
    for matrix in scores {
        let limits = [matrix.key.drug_a, matrix.key.drug_b].map(&limit);
        let is_within = |dose: f64, limit: Option<f64>| {
            dose > 0.0 && limit.is_none_or(|limit| dose <= limit * (1.0 + DOSE_TOLERANCE))
        };
        let inside: Vec<&SurfaceCell> = matrix
            .cells
            .iter()
            .filter(|cell| is_within(cell.dose_a, limits[0]) && is_within(cell.dose_b, limits[1]))
            .collect();
        for (m, score) in matrix.scores.iter_mut().enumerate() {
            let excess: Vec<Option<f64>> = inside.iter().map(|cell| cell.excess.get(m).copied().flatten()).collect();
            score.boxed = super::score::mean(&excess);
        }
        if inside.is_empty() {
            matrix.add_flag("no_dose_within_limits");
        }
    }
}

/// What observed responses are beyond every reference that was computed.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Consensus {
    /// By combination: the most demanding of the references that expect something there, minus the observed viability. Above zero the pair does more than
    /// every reference expects.
    pub excess: Vec<Option<f64>>,
    /// Its mean.
    pub score: Option<f64>,
    /// Share of the combinations in which it is above zero.
    pub share: Option<f64>,
}

impl Consensus {
    /// Over what the usual references expect, each by combination: always the same ones, so that it does not depend on
    /// which models were asked for.
    pub fn new(references: &[Vec<Option<f64>>], observed: &[f64]) -> Self {
        let of_cell = |(i, observed): (usize, &f64)| {
            let expected = references.iter().filter_map(|e| e.get(i).copied().flatten());
            expected.reduce(f64::min).map(|expected| expected - observed)
        };
        let excess: Vec<Option<f64>> = observed.iter().enumerate().map(of_cell).collect();
        let (n, beyond) = excess.iter().flatten().fold((0, 0), |(n, k), e| (n + 1, k + usize::from(*e > 0.0)));
        Self { score: super::score::mean(&excess), share: (n > 0).then(|| beyond as f64 / n as f64), excess }
    }
}

/// Why reference models disagree about a matrix; empty where they do not. `models_disagree` comes first, then what
/// about the drugs or the design makes them.
pub fn disagreement(
    models: &[SynergyModel],
    scores: &[Score],
    design: &Design,
    margins: &[Margin; 2],
) -> Vec<&'static str> {
    let of_references = models.iter().zip(scores).filter(|(model, _)| SynergyModel::REFERENCES.contains(model));
    let values: Vec<f64> = of_references.filter_map(|(_, score)| score.score).collect();
    let (lowest, highest) =
        values.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), v| (low.min(*v), high.max(*v)));
    if !(lowest < -DISAGREEMENT && highest > DISAGREEMENT) {
        return Vec::new();
    }
    let mut reasons = vec!["models_disagree"];
    if let [Some(a), Some(b)] = [margins[0].curve, margins[1].curve] {
        let ends = |k: usize| {
            let doses = design.combinations.iter().map(|c| c.ln_dose[k]);
            doses.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)))
        };
        let last = [(a, ends(0).1), (b, ends(1).1)].map(|(curve, x)| response(curve, x));
        if (last[0] - last[1]).abs() > UNEQUAL_BOTTOMS {
            reasons.push("unequal_effects");
        }
        if a.slope.max(b.slope) > STEEP {
            reasons.push("steep_slope");
        }
        if (0..2).any(|k| ends(k).1 - ends(k).0 < NARROW_DECADES * LN_10) {
            reasons.push("narrow_dose_range");
        }
    }
    reasons
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::screen::dose_matrix::{DoseMatrix, MatrixKey, Observation, matrix_from_cells};

    fn matrix(doses: &[(f64, f64)]) -> DoseMatrix {
        let key = MatrixKey { block: None, line: 0, drug_a: 0, drug_b: 1, schedule: None };
        let cell = |&(dose_a, dose_b): &(f64, f64)| Observation { dose_a, dose_b, response: 0.5, weight: 1.0 };
        matrix_from_cells(key, &doses.iter().map(cell).collect::<Vec<_>>()).expect("sound cells")
    }

    #[test]
    fn the_top_decile_is_that_of_r() {
        // quantile(0:20 / 20, 0.9) is 0.9: 0.9, 0.95 and 1 are above it.
        let values: Vec<Option<f64>> = (0..21).rev().map(|i| Some(f64::from(i) / 20.0)).collect();
        assert!((top_decile(&values).expect("values") - 0.95).abs() < 1e-12);
        assert_eq!(top_decile(&[Some(0.3), None, Some(0.3)]), Some(0.3));
        assert_eq!(top_decile(&[None]), None);
    }

    #[test]
    fn the_volume_does_not_mind_where_doses_lie_close_together() {
        // Excess rises with the logarithm of the first dose: over two decades its mean height is that of the middle.
        let doses: Vec<(f64, f64)> =
            [1e-8, 1e-7, 5e-7, 8e-7, 1e-6].iter().flat_map(|a| [1e-9, 1e-8].map(|b| (*a, b))).collect();
        let matrix = matrix(&doses);
        let design = Design::new(&matrix);
        let excess: Vec<Option<f64>> =
            design.combinations.iter().map(|c| Some((c.ln_dose[0] - libm::log(1e-8)) / LN_10)).collect();
        assert!((volume(&design, &excess).expect("rectangles") - 1.0).abs() < 1e-12);
        let mean = super::super::score::mean(&excess).expect("values");
        assert!(mean > 1.2, "the mean over cells does: {mean}");
        // A hole takes the rectangles about it away and nothing else.
        let mut holed = excess.clone();
        holed[0] = None;
        assert!((volume(&design, &holed).expect("rectangles") - 1.5).abs() < 1e-12);
    }

    #[test]
    fn consensus_is_beyond_the_most_demanding_reference() {
        let expected = vec![vec![Some(0.6), Some(0.6), Some(0.6)], vec![Some(0.4), None, None]];
        let consensus = Consensus::new(&expected, &[0.3, 0.5, 0.2]);
        let rounded: Vec<Option<i64>> = consensus.excess.iter().map(|e| e.map(|e| (e * 1e9).round() as i64)).collect();
        assert_eq!(rounded, [Some(100_000_000), Some(100_000_000), Some(400_000_000)]);
        assert_eq!(consensus.share, Some(1.0));
        let beaten = Consensus::new(&expected, &[0.5, 0.5, 0.7]);
        assert_eq!(beaten.share, Some(1.0 / 3.0));
        assert_eq!(Consensus::new(&[vec![None]], &[0.3]).score, None);
    }
}
