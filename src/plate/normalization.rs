//! Normalisation: from raw signal to viability or growth by the plate's own controls.
//!
//! The formulas are written once, over [`Scalar`]; the CPU evaluates them here and the GPU's shader is recorded from
//! them. Scores, which look at sample wells instead, are in [`super::scores`].

use super::scores::{PlacedWells, scores};
use crate::backend::{PlateBatch, WellClass};
use crate::config::Normalization;
use crate::fit::inference::growth::{LEAST_RATIO, growth_rate_inhibition, growth_rate_inhibition_at_end};
use crate::math::Scalar;
use rayon::prelude::*;
use std::f64::consts::LOG2_E;
use std::ops::Range;

/// Viability as a share of the vehicle, all in raw signal: 1 for a well that reads as the mean vehicle does, 0 for one
/// that reads as the mean blank. `vehicle_mean` must be above `background`.
#[inline(always)]
pub fn percent_of_vehicle<S: Scalar>(signal: S, background: S, vehicle_mean: S) -> S {
    (signal - background) / (vehicle_mean - background)
}

/// Viability by both controls, all in raw signal: 1 for a well that reads as the mean vehicle does, 0 for one that
/// reads as the mean positive control. The background cancels. `vehicle_mean` must be above `positive_mean`.
///
/// The name is the field's (Malo 2006, doi 10.1038/nbt1186); what comes out is 1 minus the inhibition, so that it is
/// viability like everything else here.
#[inline(always)]
pub fn normalized_percent_inhibition<S: Scalar>(signal: S, vehicle_mean: S, positive_mean: S) -> S {
    (signal - positive_mean) / (vehicle_mean - positive_mean)
}

/// Doublings a day: log2(x / x0) over days, of signals above background.
#[inline(always)]
pub fn log2_fold_per_day<S: Scalar>(signal: S, t0: S, days: S) -> S {
    S::lit(LOG2_E) * (signal / t0).max(S::lit(LEAST_RATIO)).ln() / days
}

/// One well, as formulas see it.
#[derive(Debug, Clone, Copy)]
pub struct Reading<S> {
    /// Raw signal.
    pub signal: S,
    /// Raw signal at the time of treatment; 0 where there is none.
    pub t0: S,
    /// As [`PlateBatch::growth_time`].
    pub growth_time: S,
}

/// The means of a plate's controls, as formulas see them: raw signal, nothing subtracted.
#[derive(Debug, Clone, Copy)]
pub struct ControlMeans<S> {
    /// Of the blanks; 0 without any.
    pub background: S,
    /// Of the vehicle wells.
    pub vehicle: S,
    /// Of the positive controls; looked at by normalised percent inhibition alone.
    pub positive: S,
    /// Of the blanks at the time of treatment; 0 without any.
    pub background_t0: S,
}

/// Response of one well by the formula chosen; scores are no formula of controls and leave the signal as it is.
#[inline(always)]
pub fn normalise_well<S: Scalar>(normalization: Normalization, well: Reading<S>, means: ControlMeans<S>) -> S {
    let Reading { signal, t0, growth_time } = well;
    let ControlMeans { background, vehicle, positive, background_t0 } = means;
    match normalization {
        Normalization::PercentOfVehicle => percent_of_vehicle(signal, background, vehicle),
        Normalization::NormalizedPercentInhibition => normalized_percent_inhibition(signal, vehicle, positive),
        Normalization::GrowthRateInhibition => {
            let (zero, one) = (S::lit(0.0), S::lit(1.0));
            // Both are evaluated: the one that is not meant must not divide by 0.
            let at_beginning = zero.select_less(t0, t0 - background_t0, one);
            let doublings = zero.select_less(growth_time, growth_time, one);
            let by_t0 = growth_rate_inhibition(signal - background, at_beginning, vehicle - background);
            let viability = percent_of_vehicle(signal, background, vehicle);
            zero.select_less(t0, by_t0, growth_rate_inhibition_at_end(viability, doublings))
        }
        Normalization::Log2FoldPerDay => log2_fold_per_day(signal - background, t0 - background_t0, growth_time),
        Normalization::ZScore | Normalization::RobustZScore | Normalization::BScore => signal,
    }
}

/// What the control wells of one plate say, in raw signal (nothing subtracted).
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Controls {
    /// Mean of the blanks; 0 where there are none.
    pub background: f64,
    /// Mean of the vehicle wells, `None` where there are none.
    pub vehicle_mean: Option<f64>,
    /// Mean of the positive controls, `None` where there are none.
    pub positive_mean: Option<f64>,
    /// Blank wells.
    pub n_blank: usize,
    /// Vehicle wells.
    pub n_vehicle: usize,
    /// Positive-control wells.
    pub n_positive: usize,
}

/// Means of the controls of one plate, summed in the order of the wells.
pub fn controls(signal: &[f64], class: &[WellClass]) -> Controls {
    let (mut sum, mut n) = ([0.0f64; 4], [0usize; 4]);
    for (value, class) in signal.iter().zip(class) {
        sum[*class as usize] += value;
        n[*class as usize] += 1;
    }
    let mean = |class: WellClass| (n[class as usize] > 0).then(|| sum[class as usize] / n[class as usize] as f64);
    Controls {
        background: mean(WellClass::Blank).unwrap_or(0.0),
        vehicle_mean: mean(WellClass::Vehicle),
        positive_mean: mean(WellClass::Positive),
        n_blank: n[WellClass::Blank as usize],
        n_vehicle: n[WellClass::Vehicle as usize],
        n_positive: n[WellClass::Positive as usize],
    }
}

/// Means closer than this share of the larger are equal: summing 1,536 equal signals in another order or number
/// moves their mean by up to a few 1e-13 of itself.
pub const SAME_MEAN: f64 = 1e-12;

/// Whether a mean is above another by more than the rounding of sums.
pub fn clearly_above(mean: f64, other: f64) -> bool {
    mean - other > SAME_MEAN * mean.abs().max(other.abs())
}

/// Why wells cannot be normalised.
#[derive(Debug, Clone, PartialEq)]
pub struct Obstacle {
    /// The code, `snake_case`.
    pub reason: &'static str,
    /// What was seen, with its numbers.
    pub detail: String,
}

/// What keeps a plate with these controls from being normalised; `None` if nothing does.
///
/// Reasons: `no_vehicle_wells`, `controls_not_finite`, `vehicle_not_above_background`, `no_positive_wells`,
/// `vehicle_not_above_positive`.
pub fn obstacle(normalization: Normalization, controls: &Controls) -> Option<Obstacle> {
    let stop = |reason, detail| Some(Obstacle { reason, detail });
    let Controls { background, n_blank, n_vehicle, n_positive, .. } = *controls;
    if normalization.is_score() {
        return None;
    }
    let Some(vehicle) = controls.vehicle_mean else {
        return stop("no_vehicle_wells", "there is no vehicle well to compare with".to_owned());
    };
    let finite =
        [Some(background), controls.vehicle_mean, controls.positive_mean].iter().flatten().all(|m| m.is_finite());
    if !finite {
        return stop(
            "controls_not_finite",
            "the mean signal of a kind of control well is beyond any number".to_owned(),
        );
    }
    if !clearly_above(vehicle, background) {
        let of_what = if n_blank > 0 { format!("mean of {n_blank} blank wells") } else { "no blank wells".to_owned() };
        return stop(
            "vehicle_not_above_background",
            format!(
                "mean vehicle signal {vehicle} ({n_vehicle} wells) is not above the background {background} ({of_what})"
            ),
        );
    }
    match (normalization, controls.positive_mean) {
        (Normalization::NormalizedPercentInhibition, None) => stop(
            "no_positive_wells",
            "normalized-percent-inhibition needs positive controls, and there are none".to_owned(),
        ),
        (Normalization::NormalizedPercentInhibition, Some(positive)) if !clearly_above(vehicle, positive) => stop(
            "vehicle_not_above_positive",
            format!(
                "mean vehicle signal {vehicle} ({n_vehicle} wells) is not above the mean positive control {positive} \
                 ({n_positive} wells)"
            ),
        ),
        _ => None,
    }
}

/// Response of every well of the batch, in its order: the CPU back end's `normalise`.
///
/// A plate with an [`obstacle`] has no response: its wells come back as NaN, and no caller may pass them on.
pub fn normalise(normalization: Normalization, plates: &PlateBatch) -> Vec<f64> {
    let responses: Vec<Vec<f64>> = plates
        .offsets
        .par_windows(2)
        .map(|bounds| normalise_plate(normalization, plates, bounds[0]..bounds[1]))
        .collect();
    responses.concat()
}

fn normalise_plate(normalization: Normalization, plates: &PlateBatch, wells: Range<usize>) -> Vec<f64> {
    let (Some(signal), Some(class)) = (plates.signal.get(wells.clone()), plates.class.get(wells.clone())) else {
        return Vec::new();
    };
    if normalization.is_score() {
        let place = plates.place.get(wells).unwrap_or_default();
        return scores(normalization, PlacedWells { signal, class, place });
    }
    let controls = controls(signal, class);
    let Some(vehicle) = controls.vehicle_mean.filter(|_| obstacle(normalization, &controls).is_none()) else {
        return vec![f64::NAN; signal.len()];
    };
    let t0 = plates.signal_t0.get(wells.clone()).unwrap_or_default();
    let growth_time = plates.growth_time.get(wells).unwrap_or_default();
    let means = ControlMeans {
        background: controls.background,
        vehicle,
        // Without positive controls only formulas that do not look at them get here.
        positive: controls.positive_mean.unwrap_or(0.0),
        background_t0: background_t0(t0, class),
    };
    let at = |values: &[f64], i: usize| values.get(i).copied().unwrap_or(0.0);
    let reading = |(i, &signal)| Reading { signal, t0: at(t0, i), growth_time: at(growth_time, i) };
    signal.iter().enumerate().map(|well| normalise_well(normalization, reading(well), means)).collect()
}

/// Mean of the blanks at the time of treatment, over those that were read then; 0 without any.
pub fn background_t0(t0: &[f64], class: &[WellClass]) -> f64 {
    let blanks = t0.iter().zip(class).filter(|(t0, class)| **class == WellClass::Blank && **t0 > 0.0);
    let (sum, n) = blanks.fold((0.0, 0usize), |(sum, n), (t0, _)| (sum + t0, n + 1));
    if n > 0 { sum / n as f64 } else { 0.0 }
}

#[cfg(test)]
mod tests {
    use super::WellClass::{Blank, Other, Positive, Vehicle};
    use super::*;

    const SIGNAL: [f64; 7] = [10.0, 14.0, 100.0, 124.0, 30.0, 34.0, 62.0];
    const CLASS: [WellClass; 7] = [Blank, Blank, Vehicle, Vehicle, Positive, Positive, Other];

    fn batch(signal: &[f64], class: &[WellClass]) -> PlateBatch {
        PlateBatch {
            offsets: vec![0, signal.len()],
            signal: signal.to_vec(),
            class: class.to_vec(),
            ..PlateBatch::default()
        }
    }

    #[test]
    fn a_plate_by_hand() {
        // Blank 12, vehicle 112, positive 32.
        let of_vehicle = normalise(Normalization::PercentOfVehicle, &batch(&SIGNAL, &CLASS));
        assert_eq!(of_vehicle, [-0.02, 0.02, 0.88, 1.12, 0.18, 0.22, 0.5]);
        let by_both = normalise(Normalization::NormalizedPercentInhibition, &batch(&SIGNAL, &CLASS));
        assert_eq!(by_both, [-0.275, -0.225, 0.85, 1.15, -0.025, 0.025, 0.375]);
    }

    #[test]
    fn the_formulas_are_the_same_in_single_precision() {
        assert_eq!(percent_of_vehicle(62.0f32, 12.0, 112.0), 0.5);
        assert_eq!(normalized_percent_inhibition(62.0f32, 112.0, 32.0), 0.375);
    }

    #[test]
    fn every_obstacle_has_its_reason() {
        let reason = |normalization, signal: &[f64], class: &[WellClass]| {
            obstacle(normalization, &controls(signal, class)).map(|o| o.reason)
        };
        let (of_vehicle, by_both) = (Normalization::PercentOfVehicle, Normalization::NormalizedPercentInhibition);
        assert_eq!(reason(of_vehicle, &SIGNAL, &CLASS), None);
        assert_eq!(reason(of_vehicle, &[1.0], &[Other]), Some("no_vehicle_wells"));
        assert_eq!(reason(of_vehicle, &[0.0], &[Vehicle]), Some("vehicle_not_above_background"));
        assert_eq!(reason(of_vehicle, &[5.0, 5.0], &[Vehicle, Blank]), Some("vehicle_not_above_background"));
        assert_eq!(reason(of_vehicle, &[f64::MAX, f64::MAX], &[Vehicle, Vehicle]), Some("controls_not_finite"));
        assert_eq!(reason(by_both, &[5.0], &[Vehicle]), Some("no_positive_wells"));
        assert_eq!(reason(by_both, &[5.0, 6.0], &[Vehicle, Positive]), Some("vehicle_not_above_positive"));
        assert_eq!(reason(by_both, &[6.0, 5.0], &[Vehicle, Positive]), None);
    }

    #[test]
    fn equal_wells_are_equal_however_many_were_summed() {
        // Seven times 0.1 and three times 0.1 have means one unit in the last place apart.
        let class: Vec<WellClass> = [[Vehicle; 7].as_slice(), &[Blank; 3]].concat();
        let controls = controls(&[0.1; 10], &class);
        assert_ne!(controls.vehicle_mean, Some(controls.background), "the sums must differ for this test to bite");
        let found = obstacle(Normalization::PercentOfVehicle, &controls).map(|o| o.reason);
        assert_eq!(found, Some("vehicle_not_above_background"));
    }

    #[test]
    fn a_plate_that_cannot_be_normalised_gives_no_numbers_and_spares_its_neighbours() {
        let plates = PlateBatch {
            offsets: vec![0, 2, 9],
            signal: [[1.0, 2.0].as_slice(), &SIGNAL].concat(),
            class: [[Other, Blank].as_slice(), &CLASS].concat(),
            ..PlateBatch::default()
        };
        let responses = normalise(Normalization::PercentOfVehicle, &plates);
        assert!(responses[..2].iter().all(|r| r.is_nan()));
        assert_eq!(responses[2..], normalise(Normalization::PercentOfVehicle, &batch(&SIGNAL, &CLASS)));
    }
}
