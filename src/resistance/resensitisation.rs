//! What a partner does to the anchor's potency, read from the observed dose matrix without a surface model.
//!
//! Responses along the anchor's doses are first made non-increasing (isotonic regression, each cell weighted by its
//! wells: Ayer 1955, doi 10.1214/aoms/1177728423), so that a curve has one crossing; the crossing dose is
//! interpolated linearly in log dose. The partner dose is chosen without looking at the combination: the highest one
//! that alone leaves viability at one half or more. Taking the best of all partner doses instead would reward noise.

use crate::synergy::SurfaceCell;

/// The viability, or share of viability, that defines half effect.
const HALF: f64 = 0.5;

/// A ratio of doses and whether it is a number or only a bound.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct DoseRatio {
    /// Dose alone over dose with the partner; above 1: the partner makes the anchor more potent.
    pub ratio: f64,
    /// The true ratio is at least this (half effect alone lies above the doses tested, or with the partner below).
    pub at_least: bool,
    /// The true ratio is at most this (half effect with the partner lies above the doses tested).
    pub at_most: bool,
}

/// How a partner changes the anchor's potency in one matrix.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Resensitisation {
    /// The partner's dose that was looked at, molar.
    pub partner_dose: Option<f64>,
    /// Anchor IC50 alone over anchor IC50 with the partner, both relative to the response without the anchor: 1 for
    /// partners that act independently (Bliss), however much they kill themselves.
    pub fold_change: Option<DoseRatio>,
    /// Anchor dose alone over anchor dose in the combination for viability one half (Chou 2006,
    /// doi 10.1124/pr.58.3.10): counts what the partner kills itself.
    pub dose_reduction_index: Option<DoseRatio>,
    /// Why a value is missing.
    pub reason: Option<&'static str>,
}

#[derive(Debug, Clone, Copy)]
struct Point {
    dose: f64,
    response: f64,
    weight: f64,
}

/// The dose at which a non-increasing curve passes a level.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Crossing {
    At(f64),
    /// Above this, the highest dose.
    Above(f64),
    /// Below this, the lowest dose.
    Below(f64),
}

/// Non-increasing least-squares fit, by pooling adjacent violators.
fn isotonic(points: &[Point]) -> Vec<f64> {
    // (weighted mean, weight, number of points) of each block.
    let mut blocks: Vec<(f64, f64, usize)> = Vec::with_capacity(points.len());
    for point in points {
        let mut block = (point.response, point.weight, 1);
        while let Some(&(mean, weight, count)) = blocks.last() {
            if mean >= block.0 {
                break;
            }
            let total = weight + block.1;
            block = ((mean * weight + block.0 * block.1) / total, total, count + block.2);
            blocks.pop();
        }
        blocks.push(block);
    }
    blocks.into_iter().flat_map(|(mean, _, count)| std::iter::repeat_n(mean, count)).collect()
}

/// Where the isotonic curve through points of ascending dose (all above zero) falls to `level`.
fn crossing(points: &[Point], level: f64) -> Option<Crossing> {
    let fitted = isotonic(points);
    let (first, last) = (points.first()?, points.last()?);
    let Some(below) = fitted.iter().position(|v| *v <= level) else { return Some(Crossing::Above(last.dose)) };
    if below == 0 {
        return Some(Crossing::Below(first.dose));
    }
    let (high, low) = (fitted[below - 1], fitted[below]);
    let (x0, x1) = (libm::log(points[below - 1].dose), libm::log(points[below].dose));
    Some(Crossing::At(libm::exp(x0 + (x1 - x0) * (high - level) / (high - low))))
}

fn ratio(alone: Crossing, combined: Crossing) -> Option<DoseRatio> {
    use Crossing::{Above, At, Below};
    let (at_least, at_most) = (true, true);
    let value = |ratio: f64, at_least: bool, at_most: bool| Some(DoseRatio { ratio, at_least, at_most });
    match (alone, combined) {
        (At(a), At(c)) => value(a / c, false, false),
        (Above(a), At(c)) | (At(a), Below(c)) | (Above(a), Below(c)) => value(a / c, at_least, false),
        (At(a), Above(c)) | (Below(a), At(c)) | (Below(a), Above(c)) => value(a / c, false, at_most),
        (Above(_), Above(_)) | (Below(_), Below(_)) => None,
    }
}

/// The anchor's potency with and without the partner. `cells` are a matrix's dose pairs in any order, margins
/// included; `anchor_first` says whether the anchor is `dose_a`.
pub fn resensitisation(cells: &[SurfaceCell], anchor_first: bool) -> Resensitisation {
    let missing = |reason| Resensitisation { reason: Some(reason), ..Resensitisation::default() };
    // (anchor dose, partner dose, point), ascending.
    let mut all: Vec<(f64, f64, Point)> = cells
        .iter()
        .filter(|c| c.observed.is_finite())
        .map(|c| {
            let (anchor, partner) = if anchor_first { (c.dose_a, c.dose_b) } else { (c.dose_b, c.dose_a) };
            (anchor, partner, Point { dose: anchor, response: c.observed, weight: f64::from(c.n.max(1)) })
        })
        .collect();
    all.sort_by(|x, y| x.0.total_cmp(&y.0).then(x.1.total_cmp(&y.1)));
    let along_anchor = |partner: f64| -> Vec<Point> {
        all.iter().filter(|(anchor, other, _)| *anchor > 0.0 && *other == partner).map(|x| x.2).collect()
    };
    let alone = along_anchor(0.0);
    if alone.len() < 2 {
        return missing("no_anchor_margin");
    }
    let partner_alone: Vec<Point> = all
        .iter()
        .filter(|(anchor, partner, _)| *anchor == 0.0 && *partner > 0.0)
        .map(|(_, partner, point)| Point { dose: *partner, ..*point })
        .collect();
    if partner_alone.is_empty() {
        return missing("no_partner_margin");
    }
    let tolerated = partner_alone.iter().zip(isotonic(&partner_alone)).filter(|(_, v)| *v >= HALF);
    // Designs need not be full: only doses at which the anchor was titrated count.
    let chosen = tolerated.map(|(p, v)| (p.dose, v, along_anchor(p.dose))).rfind(|(_, _, slice)| slice.len() >= 2);
    let Some((partner_dose, partner_viability, slice)) = chosen else { return missing("no_tolerated_partner_dose") };
    // Untreated cells are 1 by definition; a partner that alone reads above 1 reads noise.
    let partner_viability = partner_viability.min(1.0);
    let pair = |level_alone: f64, level_combined: f64| {
        crossing(&alone, level_alone).zip(crossing(&slice, level_combined)).and_then(|(a, c)| ratio(a, c))
    };
    let fold_change = pair(HALF, HALF * partner_viability);
    let dose_reduction_index = pair(HALF, HALF);
    let is_missing = fold_change.is_none() || dose_reduction_index.is_none();
    Resensitisation {
        partner_dose: Some(partner_dose),
        fold_change,
        dose_reduction_index,
        reason: is_missing.then_some("no_half_effect"),
    }
}
