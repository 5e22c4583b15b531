//! Chou and Talalay's combination index, dose-reduction indices, median-effect lines and isoboles, and the same from
//! fitted curves (Chou & Talalay 1984, doi 10.1016/0065-2571(84)90007-4; Chou 2006, doi 10.1124/pr.58.3.10). Below 1 is
//! synergy, 1 additivity.
//!
//! The median-effect line takes the untreated response for 1 and the bottom for 0: for a drug that leaves a part of the
//! cells alive it is wrong, and the indices by fitted curves beside it say by how much.

use super::MatrixScore;
use super::design::by_ratio;
use crate::model::surface::HillCurve;
use crate::screen::dose_matrix::{CurvePoint, DoseMatrix};

/// Effects at which isoboles are drawn: shares affected.
pub const LEVELS: [f64; 3] = [0.5, 0.75, 0.9];
/// Doses are told by curves up to so many times beyond those that were combined.
const BEYOND: f64 = 5.0;
/// Fewer doses are not a line.
const FEWEST_POINTS: usize = 2;
/// Combinations of one ratio that make a line of their own.
const FEWEST_OF_A_RATIO: usize = 2;
/// Ratios whose natural logarithms differ by less are one.
const SAME_RATIO: f64 = 0.02;

/// What a median-effect line is of.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum LineOf {
    /// One drug alone: 0 or 1.
    Drug(usize),
    /// Both at a constant ratio, the dose of the second over that of the first; doses are sums.
    Ratio(f64),
}

/// `ln(fa / fu) = m (ln D - ln Dm)` by least squares.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MedianEffect {
    /// What of.
    pub of: LineOf,
    /// Median-effect dose (molar) and slope; none where the points make no falling line.
    pub line: Option<(f64, f64)>,
    /// Correlation of the line's points.
    pub r: Option<f64>,
    /// Points used.
    pub n: usize,
    /// Points at or beyond no effect or full effect, whose logarithm does not exist.
    pub n_excluded: usize,
    /// Why there is no line: `too_few_points`, `no_falling_line`.
    pub reason: Option<&'static str>,
}

impl MedianEffect {
    /// The line of doses and responses (viabilities); doses of zero are no points of it.
    fn new(of: LineOf, points: impl Iterator<Item = (f64, f64)>) -> Self {
        let (mut xs, mut ys, mut n_excluded) = (Vec::new(), Vec::new(), 0);
        for (dose, viability) in points.filter(|(dose, _)| *dose > 0.0) {
            if viability > 0.0 && viability < 1.0 {
                xs.push(libm::log(dose));
                ys.push(((1.0 - viability) / viability).ln());
            } else {
                n_excluded += 1;
            }
        }
        let n = xs.len();
        let none = |reason| Self { of, line: None, r: None, n, n_excluded, reason: Some(reason) };
        if n < FEWEST_POINTS {
            return none("too_few_points");
        }
        let mean = |values: &[f64]| values.iter().sum::<f64>() / n as f64;
        let (x, y) = (mean(&xs), mean(&ys));
        let sum = |f: &dyn Fn(f64, f64) -> f64| xs.iter().zip(&ys).map(|(a, b)| f(a - x, b - y)).sum::<f64>();
        let (xx, xy, yy) = (sum(&|a, _| a * a), sum(&|a, b| a * b), sum(&|_, b| b * b));
        let m = xy / xx;
        let dm = (x - y / m).exp();
        if !(xx > 0.0 && m > 0.0 && dm.is_finite() && dm > 0.0) {
            return none("no_falling_line");
        }
        Self { of, line: Some((dm, m)), r: Some(xy / (xx * yy).sqrt()), n, n_excluded, reason: None }
    }

    /// The dose that leaves this viability, between 0 and 1.
    fn dose(&self, viability: f64) -> Option<f64> {
        let (dm, m) = self.line?;
        let odds = (1.0 - viability) / viability;
        Some(dm * odds.powf(1.0 / m)).filter(|dose| dose.is_finite() && *dose > 0.0)
    }
}

/// The dose of a fitted curve that leaves this viability.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Reach {
    /// This one, molar.
    At(f64),
    /// None does: the curve ends above it.
    Never,
    /// The curve begins at or below it: no dose at all.
    Already,
}

fn reach(curve: HillCurve<f64>, viability: f64) -> Reach {
    if viability >= curve.top {
        return Reach::Already;
    }
    if viability <= curve.bottom {
        return Reach::Never;
    }
    let odds = (curve.top - viability) / (viability - curve.bottom);
    Reach::At((curve.ln_ec50 + odds.ln() / curve.slope).exp())
}

/// An index, or why there is none.
pub type Index = Result<f64, &'static str>;

/// The indices of one combination.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellIndex {
    /// Molar doses.
    pub dose: [f64; 2],
    /// Share affected: 1 minus viability.
    pub fraction_affected: f64,
    /// The index by the median-effect lines.
    pub index: Index,
    /// How many times less of each drug the combination needs than the drug alone for the same effect, by the lines.
    pub dose_reduction: [Index; 2],
    /// The index by the fitted curves. A drug that alone never reaches the effect has no part in it.
    pub index_fitted: Index,
    /// Dose-reduction indices by the fitted curves; `never_alone` where the drug alone never reaches the effect.
    pub dose_reduction_fitted: [Index; 2],
}

/// A point of an isobole, by the fitted curves.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IsobolePoint {
    /// Share affected.
    pub level: f64,
    /// Molar dose of the second drug.
    pub dose_b: f64,
    /// Molar dose of the first drug that makes the effect beside it, by the curve of that slice; or why none.
    pub dose_a: Index,
    /// The same if the two were additive: on the straight line between the doses of the drugs alone.
    pub additive_dose_a: Index,
}

/// Everything of one matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct CombinationIndices {
    /// Median-effect lines: the first drug, the second, each constant ratio.
    pub lines: Vec<MedianEffect>,
    /// Combinations.
    pub cells: Vec<CellIndex>,
    /// Isoboles at [`LEVELS`].
    pub isoboles: Vec<IsobolePoint>,
}

impl CombinationIndices {
    /// Of a scored matrix.
    pub fn new(matrix: &DoseMatrix, score: &MatrixScore) -> Self {
        let points = |margin: &[CurvePoint]| margin.iter().map(|p| (p.dose, p.response)).collect::<Vec<_>>();
        let alone = [&matrix.margin_a, &matrix.margin_b].map(|margin| points(margin));
        let lines = [0, 1].map(|k| MedianEffect::new(LineOf::Drug(k), alone[k].iter().copied()));
        let combined: Vec<&super::SurfaceCell> =
            score.cells.iter().filter(|cell| cell.dose_a > 0.0 && cell.dose_b > 0.0).collect();
        let cells = combined.iter().map(|cell| cell_index(cell, &lines, score.curves)).collect();
        let mut all = lines.to_vec();
        all.extend(ratios(&combined));
        Self { lines: all, cells, isoboles: isoboles(score) }
    }

    /// Combinations whose index by the curves there is none of for this reason.
    pub fn missing(&self, reason: &str) -> usize {
        self.cells.iter().filter(|cell| cell.index_fitted == Err(reason)).count()
    }

    /// Geometric mean of the indices that there are, and how many. What has no index is left out: effects beyond both
    /// drugs, which would lower it, and no effect at all, which would raise it.
    pub fn mean(&self, of: impl Fn(&CellIndex) -> Index) -> (Option<f64>, usize) {
        let logs: Vec<f64> = self.cells.iter().filter_map(|cell| of(cell).ok()).map(f64::ln).collect();
        let n = logs.len();
        ((n > 0).then(|| (logs.iter().sum::<f64>() / n as f64).exp()), n)
    }
}

fn cell_index(cell: &super::SurfaceCell, lines: &[MedianEffect; 2], curves: [Option<HillCurve<f64>>; 2]) -> CellIndex {
    let dose = [cell.dose_a, cell.dose_b];
    let viability = cell.observed;
    // By the lines.
    let within = if viability >= 1.0 {
        Err("no_effect")
    } else if viability <= 0.0 {
        Err("full_effect")
    } else {
        Ok(())
    };
    let needed: [Index; 2] = [0, 1].map(|k| {
        within?;
        lines[k].dose(viability).ok_or(lines[k].reason.unwrap_or("not_finite"))
    });
    let dose_reduction = [0, 1].map(|k| needed[k].map(|alone| alone / dose[k]));
    let index = needed[0].and_then(|a| needed[1].map(|b| dose[0] / a + dose[1] / b));
    // By the curves.
    let reached: [Result<Reach, &'static str>; 2] =
        [0, 1].map(|k| curves[k].map(|curve| reach(curve, viability)).ok_or("no_curve"));
    let dose_reduction_fitted = [0, 1].map(|k| match reached[k]? {
        Reach::At(alone) => Ok(alone / dose[k]),
        Reach::Never => Err("never_alone"),
        Reach::Already => Err("no_effect"),
    });
    let index_fitted = reached[0].and_then(|a| {
        reached[1].and_then(|b| match (a, b) {
            (Reach::Already, _) | (_, Reach::Already) => Err("no_effect"),
            (Reach::Never, Reach::Never) => Err("beyond_both_drugs"),
            (Reach::At(a), Reach::Never) => Ok(dose[0] / a),
            (Reach::Never, Reach::At(b)) => Ok(dose[1] / b),
            (Reach::At(a), Reach::At(b)) => Ok(dose[0] / a + dose[1] / b),
        })
    });
    CellIndex { dose, fraction_affected: 1.0 - viability, index, dose_reduction, index_fitted, dose_reduction_fitted }
}

/// The median-effect line of each constant ratio of doses.
fn ratios(cells: &[&super::SurfaceCell]) -> Vec<MedianEffect> {
    let ln_ratios: Vec<f64> = cells.iter().map(|cell| libm::log(cell.dose_b / cell.dose_a)).collect();
    let groups = by_ratio(&ln_ratios, SAME_RATIO);
    let enough = groups.into_iter().filter(|group| group.len() >= FEWEST_OF_A_RATIO);
    enough
        .map(|group| {
            let ratio = cells[group[0]].dose_b / cells[group[0]].dose_a;
            let points = group.iter().map(|&i| (cells[i].dose_a + cells[i].dose_b, cells[i].observed));
            MedianEffect::new(LineOf::Ratio(ratio), points)
        })
        .collect()
}

/// Isoboles: where the slice along the first drug, at each dose of the second, reaches each level.
fn isoboles(score: &MatrixScore) -> Vec<IsobolePoint> {
    let dose_at = |k: usize, curve: Option<HillCurve<f64>>, viability: f64| match curve.map(|c| reach(c, viability)) {
        None => Err("no_curve"),
        // So far out a curve is a guess.
        Some(Reach::At(dose)) if score.levels[k].last().is_none_or(|highest| dose > BEYOND * highest) => {
            Err("beyond_tested_doses")
        }
        Some(Reach::At(dose)) if score.levels[k].first().is_none_or(|lowest| dose * BEYOND < *lowest) => {
            Err("below_tested_doses")
        }
        Some(Reach::At(dose)) => Ok(dose),
        Some(Reach::Never) => Err("not_reached"),
        Some(Reach::Already) => Err("reached_without"),
    };
    let mut points = Vec::new();
    for level in LEVELS {
        let viability = 1.0 - level;
        let alone = [0, 1].map(|k| dose_at(k, score.curves[k], viability));
        for (j, &dose_b) in score.levels[1].iter().enumerate() {
            let slice = score.slices[0].get(j).copied().flatten();
            let additive = || {
                let a = alone[0]?;
                // A drug that never gets there takes nothing off the other one's dose.
                let share = match alone[1] {
                    Ok(b) => dose_b / b,
                    Err("not_reached") => 0.0,
                    Err(reason) => return Err(reason),
                };
                if share < 1.0 { Ok(a * (1.0 - share)) } else { Err("reached_without") }
            };
            points.push(IsobolePoint {
                level,
                dose_b,
                dose_a: dose_at(0, slice, viability),
                additive_dose_a: additive(),
            });
        }
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_effect_line_finds_its_own_parameters() {
        let viability = |dose: f64| 1.0 / (1.0 + (dose / 3e-7f64).powf(1.4));
        let doses = [0.0, 1e-8, 1e-7, 1e-6, 1e-5];
        let of = MedianEffect::new(LineOf::Drug(0), doses.iter().map(|d| (*d, viability(*d))));
        let (dm, m) = of.line.expect("a line");
        assert!((dm / 3e-7 - 1.0).abs() < 1e-9 && (m - 1.4).abs() < 1e-9, "{dm} {m}");
        assert!((of.r.expect("r") - 1.0).abs() < 1e-12);
        assert_eq!((of.n, of.n_excluded), (4, 0));
        assert!((of.dose(viability(2e-6)).expect("a dose") / 2e-6 - 1.0).abs() < 1e-9);
        // Without any effect, and with full effect, the logarithm does not exist.
        let of = MedianEffect::new(LineOf::Drug(0), [(1e-8, 1.02), (1e-7, 0.5), (1e-6, 0.0)].into_iter());
        assert_eq!((of.n, of.n_excluded, of.reason), (1, 2, Some("too_few_points")));
        let rising = MedianEffect::new(LineOf::Drug(1), [(1e-8, 0.5), (1e-7, 0.6)].into_iter());
        assert_eq!(rising.reason, Some("no_falling_line"));
    }

    #[test]
    fn a_dose_inverts_the_curve_or_says_why_not() {
        let curve = HillCurve { top: 1.0, bottom: 0.3, ln_ec50: libm::log(1e-6), slope: 2.0 };
        assert_eq!(reach(curve, 1.0), Reach::Already);
        assert_eq!(reach(curve, 0.3), Reach::Never);
        let Reach::At(dose) = reach(curve, 0.65) else { panic!("it is reached") };
        assert!((dose / 1e-6 - 1.0).abs() < 1e-9);
    }
}
