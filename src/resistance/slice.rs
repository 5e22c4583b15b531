//! The anchor's curve at one dose of a partner: a Hill curve of its own, so that its potency has a standard error.
//!
//! The slices of ZIP ([`crate::synergy::MatrixScore::slices`]) begin at the fitted response of the partner alone, as if
//! that were known. Here the partner's own wells are the curve's untreated point, and what they leave open is part of the
//! error of the potency.

use super::potency::Potency;
use crate::fit::inference::covariance::{Matrix, Precision};
use crate::fit::inference::potency::{HALF_VIABILITY, IC50_MARGIN_DECADES};
use crate::fit::{Fit, FitSettings};
use crate::math::Scalar;
use crate::model::ModelId;
use crate::screen::dose_matrix::CurvePoint;
use std::f64::consts::LN_10;

/// Parameters of the curve: top, bottom, ln EC50, slope.
const PARAMETERS: usize = 4;
/// Where the partner alone leaves less than this (a viability), half of that is noise.
const LEAST_VIABILITY: f64 = 0.1;

/// Which effect is half an effect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Half of the viability of untreated cells, whoever kills them.
    OfUntreated,
    /// Half of the viability that the partner leaves without the anchor: what the anchor does, whatever the partner does
    /// alone. Partners that act independently (Bliss) leave this dose where it was.
    OfPartnerAlone,
}

/// Settings of the slices' fits: all four parameters free, in the model's own box.
pub fn slice_settings() -> FitSettings {
    FitSettings::new(ModelId::Hill4)
}

/// The anchor's dose of half effect by a curve that [`slice_settings`] fitted to `points` (ascending in the anchor's dose,
/// the partner alone at dose 0). A dose counts up to half a decade beyond those tested, if it is known so well
/// ([`Potency::or_bound`]). The standard error is by the delta
/// method, from the scatter of single wells about the curve; parameters on a bound count as known.
pub fn slice_potency(points: &[CurvePoint], fit: &Fit, half: Half) -> Potency {
    if !fit.status.is_fitted() {
        return Potency::Unknown(fit.status.reason().unwrap_or("not_fitted"));
    }
    let doses = || points.iter().map(|p| p.dose).filter(|dose| *dose > 0.0);
    let (low, high) = (doses().fold(f64::INFINITY, f64::min), doses().fold(0.0, f64::max));
    if high <= 0.0 {
        return Potency::Unknown("no_doses");
    }
    let [low, high] = [low, high].map(|dose| libm::log(dose) / LN_10);
    let [top, bottom, ln_ec50, slope] = std::array::from_fn(|i| fit.parameters[i]);
    if half == Half::OfPartnerAlone && top < LEAST_VIABILITY {
        return Potency::Unknown("no_viability_without_anchor");
    }
    let level = match half {
        Half::OfUntreated => HALF_VIABILITY,
        Half::OfPartnerAlone => 0.5 * top,
    };
    match (top > level, bottom < level) {
        (true, false) => return Potency::Above(high),
        (false, true) => return Potency::Below(low),
        (false, false) if bottom > level => return Potency::Unknown("rising_curve"),
        (false, false) => return Potency::Below(low),
        (true, true) => {}
    }
    let logit = Scalar::ln((top - level) / (level - bottom));
    let log10 = (ln_ec50 + logit / slope) / LN_10;
    if log10 > high + IC50_MARGIN_DECADES {
        return Potency::Above(high);
    }
    if log10 < low - IC50_MARGIN_DECADES {
        return Potency::Below(low);
    }
    let (by_top, by_bottom) = match half {
        Half::OfUntreated => (1.0 / (top - level), 1.0 / (level - bottom)),
        Half::OfPartnerAlone => (1.0 / top - 0.5 / (level - bottom), 1.0 / (level - bottom)),
    };
    let gradient = [by_top / slope, by_bottom / slope, 1.0, -logit / (slope * slope)].map(|g| g / LN_10);
    let free: [bool; PARAMETERS] = std::array::from_fn(|i| fit.at_bound & (1 << i) == 0);
    let wells: u32 = points.iter().map(|p| p.n).sum();
    let degrees_of_freedom = f64::from(wells) - free.iter().filter(|free| **free).count() as f64;
    let residual = fit.sse.max(0.0) + points.iter().map(|p| p.sum_of_squares.max(0.0)).sum::<f64>();
    let variance = || {
        let of_gradient = Precision::new(&normal_matrix(points, [top, bottom, ln_ec50, slope]), PARAMETERS, free);
        Some(residual / degrees_of_freedom * of_gradient.variance(&gradient)?)
    };
    if degrees_of_freedom <= 0.0 {
        return Potency::Known { log10, standard_error: None, degrees_of_freedom: 0.0 };
    }
    let standard_error = variance().map(f64::sqrt).filter(|error| error.is_finite());
    let sigma = (residual / degrees_of_freedom).sqrt();
    Potency::Known { log10, standard_error, degrees_of_freedom }.or_bound(points, level, sigma)
}

/// `J' W J` of the curve at its points.
fn normal_matrix(points: &[CurvePoint], [top, bottom, ln_ec50, slope]: [f64; PARAMETERS]) -> Matrix<PARAMETERS> {
    let mut normal = [[0.0; PARAMETERS]; PARAMETERS];
    for point in points {
        let row = if point.dose > 0.0 {
            let distance = ln_ec50 - libm::log(point.dose);
            let share = Scalar::logistic(slope * distance);
            let steepness = (top - bottom) * share * (1.0 - share);
            [share, 1.0 - share, steepness * slope, steepness * distance]
        } else {
            [1.0, 0.0, 0.0, 0.0]
        };
        for i in 0..PARAMETERS {
            for j in 0..PARAMETERS {
                normal[i][j] += point.weight * row[i] * row[j];
            }
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::{Refit, Status};
    use crate::model::{Model, hill::Hill4};

    fn fit(parameters: [f64; PARAMETERS], sse: f64) -> Fit {
        let mut all = [0.0; crate::fit::MAX_PARAMETERS];
        all[..PARAMETERS].copy_from_slice(&parameters);
        Fit { status: Status::Converged, parameters: all, sse, iterations: 1, at_bound: 0, refit: Refit::None }
    }

    fn points(response: impl Fn(f64) -> f64) -> Vec<CurvePoint> {
        let doses = std::iter::once(0.0).chain((0..8).map(|i| 1e-9 * 4f64.powi(i)));
        doses
            .map(|dose| CurvePoint { dose, response: response(dose), weight: 2.0, n: 2, sum_of_squares: 0.01 })
            .collect()
    }

    const CURVE: [f64; PARAMETERS] = [0.8, 0.1, -16.5, 1.3];

    #[test]
    fn the_dose_lies_where_the_curve_passes_the_level() {
        let points = points(|_| 0.5);
        for (half, level) in [(Half::OfUntreated, 0.5), (Half::OfPartnerAlone, 0.4)] {
            let potency = slice_potency(&points, &fit(CURVE, 0.01), half);
            let x = potency.log10().expect("a dose") * LN_10;
            assert!((Hill4::response(x, CURVE) - level).abs() < 1e-12, "{half:?}");
        }
        // A partner that alone leaves 0.4 has done half of the killing; one that leaves 0.05 has left nothing to measure.
        let weak = fit([0.4, 0.05, -16.5, 1.3], 0.01);
        assert!(matches!(slice_potency(&points, &weak, Half::OfUntreated), Potency::Below(_)));
        assert!(slice_potency(&points, &weak, Half::OfPartnerAlone).log10().is_some());
        let gone = fit([0.05, 0.0, -16.5, 1.3], 0.01);
        assert_eq!(
            slice_potency(&points, &gone, Half::OfPartnerAlone),
            Potency::Unknown("no_viability_without_anchor")
        );
        let rising = fit([0.3, 0.9, -16.5, 1.3], 0.01);
        assert_eq!(slice_potency(&points, &rising, Half::OfUntreated), Potency::Unknown("rising_curve"));
        assert!(matches!(slice_potency(&points, &rising, Half::OfPartnerAlone), Potency::Above(_)));
        let shallow = fit([1.0, 0.6, -16.5, 1.3], 0.01);
        assert!(matches!(slice_potency(&points, &shallow, Half::OfUntreated), Potency::Above(_)));
    }

    #[test]
    fn the_delta_method_agrees_with_numeric_derivatives() {
        let points = points(|dose| Hill4::response(if dose > 0.0 { dose.ln() } else { f64::NEG_INFINITY }, CURVE));
        for half in [Half::OfUntreated, Half::OfPartnerAlone] {
            let at = |parameters| slice_potency(&points, &fit(parameters, 0.02), half);
            // The normal matrix by differences, inverted by elimination.
            let step = 1e-5;
            let shifted = |i: usize, by: f64| {
                let mut p = CURVE;
                p[i] += by;
                p
            };
            let x = |dose: f64| if dose > 0.0 { dose.ln() } else { f64::NEG_INFINITY };
            let slope_of = |i: usize, dose: f64| {
                (Hill4::response(x(dose), shifted(i, step)) - Hill4::response(x(dose), shifted(i, -step)))
                    / (2.0 * step)
            };
            let gradient: [f64; 4] = std::array::from_fn(|i| {
                let [up, down] = [step, -step].map(|by| at(shifted(i, by)).log10().expect("a dose"));
                (up - down) / (2.0 * step)
            });
            let mut system = [[0.0; 5]; 4];
            for (i, row) in system.iter_mut().enumerate() {
                let sum =
                    |j: usize| points.iter().map(|p| p.weight * slope_of(i, p.dose) * slope_of(j, p.dose)).sum::<f64>();
                *row = std::array::from_fn(|j| if j < 4 { sum(j) } else { gradient[i] });
            }
            for i in 0..4 {
                let pivot = system[i];
                for (_, row) in system.iter_mut().enumerate().filter(|(k, _)| *k != i) {
                    let by = row[i] / pivot[i];
                    row.iter_mut().zip(pivot).for_each(|(a, b)| *a -= by * b);
                }
            }
            let variance: f64 = (0..4).map(|i| gradient[i] * system[i][4] / system[i][i]).sum();
            // 18 wells less 4 parameters; residuals 0.02 about the means and 9 times 0.01 within.
            let expected = (variance * (0.02 + 0.09) / 14.0).sqrt();
            let Potency::Known { standard_error: Some(error), degrees_of_freedom, .. } = at(CURVE) else {
                panic!("{:?}", at(CURVE))
            };
            assert!((error / expected - 1.0).abs() < 1e-5, "{half:?}: {error} {expected}");
            assert_eq!(degrees_of_freedom, 14.0);
        }
    }
}
