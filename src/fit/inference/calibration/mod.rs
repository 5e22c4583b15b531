//! A calibrated test of a curve against the flat line.
//!
//! F against the flat line does not follow the F distribution with `parameters - 1` and `wells - parameters` degrees
//! of freedom: a flat curve has no location and no slope, so the usual theory does not hold (Davies 1987,
//! doi 10.1093/biomet/74.1.33); with 8 doses the classic p of hill4 is below 0.05 in 2 % of flat curves, not in 5 %.
//! So the null is simulated: flat curves of the same design are fitted by the same fitter, and p is the share of
//! those that the curve explains better, smoothed and continued into the tail as `null_law` tells.
//!
//! # What the null depends on
//!
//! With normal noise, r² on the dose means depends on the direction of their residuals about the mean and not on the
//! size of the noise; the scatter of replicates is independent of it and enters exactly. What is left is the model,
//! its box, the number of distinct doses, and how heavy the untreated point is. Distances between doses (1.5 to 6
//! decades in all) and unequal numbers of wells move the rejection rate by less than simulations of 20,000 curves can
//! see, so a class of designs is only ([`Design`]) a number of doses and a weight of the untreated point.
//!
//! # What it does not cover
//!
//! - The noise is normal, independent and of one variance up to the weights. Outliers make any F-test wrong.
//! - The simulated curves lie about 1 with a standard deviation of 0.05. The box matters only where it binds: for plateaus
//!   within -1 to 3 it hardly does.
//! - A model whose untreated response is fixed at 1 tests "flat at any height" against "leaves 1"; its null is
//!   simulated at height 1. There 13 % of flat curves leave nothing to improve and have p = 1; below 0.6 p is uniform.
//!   On flat curves at 0.9 the rejection rates at 0.05 and 0.01 are 0.049 and 0.013.
//! - Doses at absolute places: a model without a location that moves with the doses tested, or with a second variable,
//!   would need a null at the very points of each curve. Its p stays that of the F distribution.

mod null_law;

use super::{Inference, flat_line};
use crate::Result;
use crate::backend::Backend;
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::math::random::standard_normal;
use crate::model::Axis;
use crate::screen::dose_matrix::Curve;
use null_law::{NullLaw, TailMap};
use rayon::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Flat curves simulated for a class of designs, a constant so that p does not depend on who asks: the relative standard error of a p of 0.05 is then below 5 %.
pub const NULL_CURVES: u32 = 8192;
/// Where simulated flat curves lie, and the standard deviation of one of their wells.
const NULL_RESPONSE: (f64, f64) = (1.0, 0.05);
/// Seed of the simulation: a constant, so that p does not change with the seed of a run.
const SEED: u64 = 0x0063_616c_6962;
/// Distance of the simulated doses, decades, and the lowest (log10 molar).
const DOSE_STEP: (f64, f64) = (0.5, -9.0);
/// Up to this many doses each number is a class of its own ...
const EXACT_DOSES: u32 = 24;
/// ... beyond it each multiple of this ...
const DOSES_STEP: u32 = 8;
/// ... and from here on all are one: further doses count as replicates.
const MOST_DOSES: u32 = 64;
/// Weight of the untreated point over the mean weight of a dose, log2: the lightest and the heaviest class.
const UNTREATED_LEVELS: (f64, f64) = (-2.0, 6.0);
/// Up to this denominator every number of degrees of freedom has its own map; beyond it steps of a sixteenth.
const EXACT_RESIDUAL: u32 = 48;

/// What the null of a curve's test depends on, beside the model and its box.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Design {
    /// Distinct doses above zero.
    pub doses: u32,
    /// Weight of the untreated point over the mean weight of a dose; `None` without one.
    pub untreated: Option<f64>,
    /// Wells, untreated ones included.
    pub wells: u32,
}

impl Design {
    /// The design of a curve; `None` without a treated point.
    pub fn of(curve: &Curve) -> Option<Self> {
        let sums = |treated: bool| {
            let points = curve.points.iter().filter(|p| (p.dose > 0.0) == treated);
            points.fold((0u32, 0.0), |(n, weight), p| (n + 1, weight + p.weight))
        };
        let ((doses, weight), (untreated, untreated_weight)) = (sums(true), sums(false));
        let mean = weight / f64::from(doses.max(1));
        let ratio = untreated_weight / mean;
        let is_sound = doses > 0 && (untreated == 0 || (ratio > 0.0 && ratio.is_finite()));
        let wells = curve.points.iter().fold(0u32, |wells, p| wells.saturating_add(p.n));
        is_sound.then_some(Self { doses, untreated: (untreated > 0).then_some(ratio), wells })
    }

    fn class(&self) -> Class {
        let doses =
            if self.doses <= EXACT_DOSES { self.doses } else { (self.doses / DOSES_STEP * DOSES_STEP).min(MOST_DOSES) };
        let (lightest, heaviest) = UNTREATED_LEVELS;
        let untreated = self.untreated.map(|ratio| libm::log2(ratio).round().clamp(lightest, heaviest) as i32);
        Class { doses, untreated }
    }
}

/// Designs that share a null.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    doses: u32,
    /// log2 of the weight of the untreated point over that of a dose.
    untreated: Option<i32>,
}

/// Denominator degrees of freedom as maps know them.
fn residual_level(residual: u32) -> u32 {
    if residual <= EXACT_RESIDUAL {
        return residual;
    }
    let mut step = 1;
    while residual / step > 2 * 16 {
        step *= 2;
    }
    residual / step * step
}

/// Calibrated p values for one model and box. Grows by [`Calibration::prepare`]; what it then answers depends neither on the order
/// nor on the company in which designs were prepared.
#[derive(Debug, Clone)]
pub struct Calibration {
    settings: FitSettings,
    null_curves: u32,
    laws: BTreeMap<Class, Option<NullLaw>>,
    maps: BTreeMap<(Class, u32), Option<TailMap>>,
}

impl Calibration {
    /// Nothing simulated yet. `settings` are those that the curves are fitted with.
    pub fn new(settings: FitSettings) -> Self {
        Self { settings, null_curves: NULL_CURVES, laws: BTreeMap::new(), maps: BTreeMap::new() }
    }

    /// Another number of simulated curves than [`NULL_CURVES`].
    #[must_use]
    pub fn with_null_curves(self, null_curves: u32) -> Self {
        Self { null_curves, ..self }
    }

    /// Whether the simulated doses can stand for those of a curve.
    fn applies(&self) -> bool {
        let model = self.settings.model.curve_model();
        let moves = model.parameters.iter().any(|p| p.axis != Axis::Plain) && !model.any_dose && !model.uses_x2;
        // Of a model that is linear in every parameter the F distribution is the law itself.
        moves && !model.nonlinear.is_empty()
    }

    fn parameters(&self) -> u32 {
        self.settings.model.parameters().len() as u32
    }

    fn key(&self, design: &Design) -> Option<(Class, u32)> {
        if !self.applies() {
            return None;
        }
        let residual = design.wells.checked_sub(self.parameters()).filter(|residual| *residual > 0)?;
        Some((design.class(), residual_level(residual)))
    }

    /// Simulates the null of every design that is not known yet: [`NULL_CURVES`] fits for each class of designs.
    ///
    /// # Errors
    /// Those of the back end.
    pub fn prepare(&mut self, designs: impl IntoIterator<Item = Design>, backend: &dyn Backend) -> Result<()> {
        let keys: BTreeSet<(Class, u32)> = designs
            .into_iter()
            .filter_map(|design| self.key(&design))
            .filter(|key| !self.maps.contains_key(key))
            .collect();
        for (class, _) in &keys {
            if !self.laws.contains_key(class) {
                let law = self.simulate(*class, backend)?;
                self.laws.insert(*class, law);
            }
        }
        for (class, residual) in keys {
            let law = self.laws.get(&class).and_then(Option::as_ref);
            self.maps.insert((class, residual), law.and_then(|law| law.map(residual)));
        }
        Ok(())
    }

    /// Fits flat curves of a class.
    fn simulate(&self, class: Class, backend: &dyn Backend) -> Result<Option<NullLaw>> {
        let (mean, deviation) = NULL_RESPONSE;
        let (step, lowest) = DOSE_STEP;
        let treated = (0..class.doses).map(|k| (libm::exp10(lowest + step * f64::from(k)), 1.0));
        let untreated = class.untreated.map(|level| (0.0, libm::exp2(f64::from(level))));
        let design: Vec<(f64, f64)> = untreated.into_iter().chain(treated).collect();
        let responses: Vec<Vec<f64>> = (0..self.null_curves)
            .into_par_iter()
            .map(|curve| {
                let draw = |(place, (_, weight)): (u32, &(f64, f64))| {
                    mean + deviation * standard_normal(SEED, 0, curve, place) / weight.sqrt()
                };
                (0..).zip(&design).map(draw).collect()
            })
            .collect();
        let mut set = CurveSet::new();
        for response in &responses {
            set.push(None, design.iter().zip(response).map(|((dose, weight), y)| (*dose, *y, *weight)));
        }
        let fits = backend.fit(&self.settings, &set)?;
        let weight: f64 = design.iter().map(|(_, weight)| weight).sum();
        let share = |(response, fit): (&Vec<f64>, &Fit)| {
            let mean = design.iter().zip(response).map(|((_, w), y)| w * y).sum::<f64>() / weight;
            let flat: f64 = design.iter().zip(response).map(|((_, w), y)| w * (y - mean) * (y - mean)).sum();
            fit.status.is_fitted().then_some((fit.sse / flat).min(1.0))
        };
        let shares: Vec<f64> = responses.iter().zip(&fits).filter_map(share).collect();
        // A class in which some curves cannot be fitted has no null.
        let numerator = self.parameters().saturating_sub(1) as usize;
        Ok((shares.len() == fits.len()).then(|| NullLaw::new(shares, design.len() - 1, numerator)).flatten())
    }

    /// Calibrated p of the F statistic of a curve of this design; `None` where the design was not prepared, leaves no degrees of
    /// freedom, or has no null (the model does not fit flat curves).
    pub fn p_value(&self, design: &Design, f: f64) -> Option<f64> {
        let numerator = f64::from(self.parameters()) - 1.0;
        let residual = f64::from(design.wells.checked_sub(self.parameters())?);
        self.calibrated(design, null_law::classic_p(f, numerator, residual))
    }

    /// Calibrated p from that of the F distribution.
    fn calibrated(&self, design: &Design, classic: f64) -> Option<f64> {
        let map = self.maps.get(&self.key(design)?)?.as_ref()?;
        Some(map.p(classic))
    }

    /// Puts calibrated p values in place of the classic ones, and the classes that follow from them. The two run side by side. Where
    /// there is no calibrated p ([`Calibration::p_value`]) the classic one stays.
    pub fn calibrate(&self, inferences: &mut [Inference], curves: &[Curve]) {
        if !self.applies() {
            return;
        }
        inferences.par_iter_mut().zip(curves).for_each(|(inference, curve)| {
            let (Some(classic), Some(design)) = (inference.p_value, Design::of(curve)) else { return };
            // An infinite statistic is not kept: its p is 0 in either law.
            let p = inference.f.map_or(Some(classic), |f| self.p_value(&design, f));
            if let Some(p) = p {
                inference.p_value = Some(p);
                inference.classify(&flat_line(&curve.points));
            }
        });
    }
}
