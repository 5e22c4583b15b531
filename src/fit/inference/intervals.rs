//! Confidence intervals of fitted parameters: which there are, and Wald's.

use super::Inference;
use crate::fit::{Fit, FitSettings, MAX_PARAMETERS};
use crate::math::special::t_quantile;
use crate::screen::code::{self, Code};
use crate::screen::dose_matrix::Curve;
use std::f64::consts::LN_10;

/// Probability below the upper end of a 95 % interval.
pub(super) const UPPER_TAIL: f64 = 0.975;
/// Degrees of freedom whose quantiles are kept.
const KEPT: usize = 256;

/// Which confidence intervals a table gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum IntervalKind {
    /// None.
    None,
    /// Estimate plus and minus the t quantile times the standard error.
    #[default]
    Wald,
    /// Where the profiled sum of squares rises to the F quantile: see [`super::profile`].
    Profile,
}

impl IntervalKind {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            IntervalKind::None => "none",
            IntervalKind::Wald => "wald",
            IntervalKind::Profile => "profile",
        }
    }
}

/// A 95 % confidence interval, in the units of the fit. An end that is missing has a reason.
#[derive(Debug, Clone, Copy, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: Option<f64>,
    /// Upper end.
    pub high: Option<f64>,
    /// Why an end is missing: `open_below`, `open_above`, `open_both`, or the reason of the standard error.
    #[serde(deserialize_with = "code::read")]
    pub reason: Option<Code>,
}

/// The 95 % intervals of a curve.
#[derive(Debug, Clone, Copy, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Intervals {
    /// Of each parameter, in the model's order and units.
    pub parameters: [Interval; MAX_PARAMETERS],
    /// Of the log10 absolute IC50, by the delta method whatever the kind: estimate plus and minus the t quantile times the standard error.
    pub log10_ic50: Interval,
}

/// Quantiles of Student's t by degrees of freedom.
#[derive(Debug)]
pub(super) struct Quantiles(Vec<Option<f64>>);

impl Quantiles {
    pub(super) fn new() -> Self {
        Self(vec![None; KEPT])
    }

    /// The 97.5 % quantile.
    pub(super) fn upper(&mut self, degrees_of_freedom: u32) -> Option<f64> {
        match self.0.get_mut(degrees_of_freedom as usize) {
            Some(Some(known)) => Some(*known),
            Some(slot) => {
                *slot = t_quantile(UPPER_TAIL, f64::from(degrees_of_freedom));
                *slot
            }
            None => t_quantile(UPPER_TAIL, f64::from(degrees_of_freedom)),
        }
    }
}

fn around(estimate: Option<f64>, error: Option<f64>, t: Option<f64>, reason: Option<&'static str>) -> Interval {
    match (estimate, error, t) {
        (Some(estimate), Some(error), Some(t)) => {
            Interval { low: Some(estimate - t * error), high: Some(estimate + t * error), reason: None }
        }
        _ => Interval { reason, ..Interval::default() },
    }
}

/// Wald's intervals: symmetric about the estimate, on the scale on which the parameter is fitted (log dose for half-effect
/// doses). They are wrong where the sum of squares is far from a parabola within the interval.
pub fn wald_intervals(fits: &[Fit], inferences: &[Inference], parameters: usize) -> Vec<Intervals> {
    let mut quantiles = Quantiles::new();
    fits.iter()
        .zip(inferences)
        .map(|(fit, inference)| {
            let t = inference.degrees_of_freedom.and_then(|df| quantiles.upper(df));
            let mut intervals =
                Intervals { parameters: [Interval::default(); MAX_PARAMETERS], log10_ic50: Interval::default() };
            for i in 0..parameters.min(MAX_PARAMETERS) {
                let reason = inference.standard_error_reasons[i];
                intervals.parameters[i] = around(Some(fit.parameters[i]), inference.standard_errors[i], t, reason);
            }
            intervals.log10_ic50 = around(inference.log10_ic50, inference.log10_ic50_se, t, inference.ic50_reason);
            intervals
        })
        .collect()
}

impl Interval {
    /// The ends as tables show them: decimal logarithms for natural ones.
    pub(super) fn shown(&self, is_logarithm: bool) -> Self {
        let unit = if is_logarithm { LN_10 } else { 1.0 };
        Self { low: self.low.map(|x| x / unit), high: self.high.map(|x| x / unit), reason: self.reason }
    }
}

/// The intervals of least-squares fits, of the kind asked for; none of kind [`IntervalKind::None`]. `x2` has the second
/// variable of each curve's points, or nothing. A curve that was not
/// fitted has the reason of its status.
pub fn intervals(
    kind: IntervalKind,
    curves: &[Curve],
    x2: &[Vec<f64>],
    fits: &[Fit],
    inferences: &[Inference],
    settings: &FitSettings,
) -> Vec<Intervals> {
    let count = settings.model.parameters().len();
    let mut found = match kind {
        IntervalKind::None => return Vec::new(),
        IntervalKind::Wald => wald_intervals(fits, inferences, count),
        IntervalKind::Profile => super::profile::profile_intervals(curves, x2, fits, inferences, settings),
    };
    for (intervals, inference) in found.iter_mut().zip(inferences).filter(|(_, inference)| inference.sse.is_none()) {
        let reason = inference.status.reason().or(inference.reason);
        for interval in &mut intervals.parameters[..count] {
            *interval = Interval { low: None, high: None, reason };
        }
    }
    found
}
