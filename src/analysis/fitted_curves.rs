//! The screen's single-agent curves, fitted, with what the fits are worth.

use crate::Result;
use crate::backend::Backend;
use crate::config::Settings;
use crate::fit::inference::calibration::{Calibration, Design};
use crate::fit::inference::{self, Inference, Intervals};
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::screen::dose_matrix::{Curve, CurvePoint};

/// Fitted single-agent curves, in the order of [`Analysis::curves`](super::Analysis::curves).
#[derive(Debug, Clone, PartialEq, Default, serde::Serialize, serde::Deserialize)]
pub struct FittedCurves {
    /// The fits.
    pub fits: Vec<Fit>,
    /// What they are worth.
    pub inferences: Vec<Inference>,
    /// Confidence intervals of their parameters: as many as curves, or none.
    pub intervals: Vec<Intervals>,
}

/// The curve fitter's settings out of a run's.
pub fn fit_settings(settings: &Settings) -> FitSettings {
    FitSettings { bounds: settings.fit_bounds(), starts: settings.starts, ..FitSettings::new(settings.model) }
}

/// Curves as the fitter takes them.
pub fn curve_set<'a>(curves: impl IntoIterator<Item = &'a [CurvePoint]>) -> CurveSet {
    let mut set = CurveSet::new();
    for points in curves {
        set.push(None, points.iter().map(|p| (p.dose, p.response, p.weight)));
    }
    set
}

/// Fits the curves and says what the fits are worth.
pub(super) fn fitted_curves(
    curves: &[Curve],
    settings: &Settings,
    fit: &FitSettings,
    backend: &dyn Backend,
) -> Result<FittedCurves> {
    let fits = backend.fit(fit, &curve_set(curves.iter().map(|c| c.points.as_slice())))?;
    let mut inferences = inference::infer_all(curves, &fits, settings.model);
    let mut calibration = Calibration::new(fit.clone());
    calibration.prepare(curves.iter().filter_map(Design::of), backend)?;
    calibration.calibrate(&mut inferences, curves);
    let intervals = inference::intervals(settings.ci, curves, &[], &fits, &inferences, fit);
    Ok(FittedCurves { fits, inferences, intervals })
}

impl FittedCurves {
    /// These, if they can be of these curves.
    pub(super) fn of(self, curves: &[Curve]) -> Result<Self> {
        let wells = |curve: &Curve| curve.points.iter().fold(0, |n: u32, point| n.saturating_add(point.n));
        let fits = |(inference, curve): (&Inference, &Curve)| inference.n_points == wells(curve);
        let intervals = self.intervals.is_empty() || self.intervals.len() == curves.len();
        let counts = self.fits.len() == curves.len() && self.inferences.len() == curves.len() && intervals;
        if counts && self.inferences.iter().zip(curves).all(fits) {
            return Ok(self);
        }
        Err(crate::Error::Screen {
            problem: "the archived fits are not of the curves that the archived wells make".into(),
            hint: Some("this archive was not written by one run: run the screen again".into()),
        })
    }
}
