//! Curves examined several at a time: residuals and gradients at the points of eight curves side by side, then each
//! curve's conclusions. A lane's arithmetic is its own, so the company that a curve is in changes nothing.

use super::covariance::{Matrix, Precision};
use super::doses::{Doses, PLACES};
use super::potency::{self, HalfDose};
use super::{FlatLine, Inference};
use crate::fit::small_residuals::{SmallResiduals, are_small};
use crate::fit::{Fit, MAX_PARAMETERS};
use crate::math::instructions::{InstructionSet, Vectorisable};
use crate::math::special::FTail;
use crate::math::{Instructions, Lanes, Scalar};
use crate::model::{CurveModel, ModelId};
use crate::screen::dose_matrix::{Curve, CurvePoint};
use std::f64::consts::LN_10;

/// Curves side by side.
const LANES: usize = 8;
/// Parameters of most models, at most.
const SMALL: usize = 4;
/// Doses looked back at for those of the next curve.
const REMEMBERED: usize = 16;

/// Sums over the points of eight curves.
struct Sums {
    weight: Lanes<LANES>,
    /// Weighted sum of squares about the fitted curve.
    about_curve: Lanes<LANES>,
    mean: Lanes<LANES>,
    about_mean: Lanes<LANES>,
    /// Lower triangle of the normal matrix, row after row.
    normal: Vec<Lanes<LANES>>,
    /// The response at the further places.
    places: [Lanes<LANES>; PLACES],
}

/// Room for examining curves of one model.
pub(super) struct Examiner {
    model: &'static CurveModel,
    /// The second variable of the curve examined; empty where there is none.
    x2: Vec<f64>,
    known: Vec<Doses>,
    /// Points that the arena is laid out for.
    points: usize,
    arena: Vec<Lanes<LANES>>,
    response: Vec<Lanes<LANES>>,
    weight: Vec<Lanes<LANES>>,
    sums: Sums,
    /// The doses loaded in each lane.
    loaded: [usize; LANES],
    tails: Vec<FTail>,
    ln_dose_unit: f64,
    values: Vec<f64>,
}

/// The part of the work that is done for all lanes together.
struct Summing<'a>(&'a mut Examiner);

impl Vectorisable for Summing<'_> {
    type Output = ();

    fn with(self, instructions: impl Instructions) {
        let Self(examiner) = self;
        let length = examiner.points + PLACES;
        examiner.model.gradient_kernel.run(instructions, length, &mut examiner.arena);
        instructions.run(
            #[inline(always)]
            || examiner.sum(),
        );
    }
}

impl Examiner {
    pub(super) fn new(model: ModelId) -> Self {
        Self::with_second_variable(model, &[])
    }

    /// For one curve, whose points have a second variable.
    pub(super) fn with_second_variable(model: ModelId, x2: &[f64]) -> Self {
        let model = model.curve_model();
        let n = model.parameters.len();
        let zero = Lanes([0.0; LANES]);
        let normal = vec![zero; n * (n + 1) / 2];
        let sums =
            Sums { weight: zero, about_curve: zero, mean: zero, about_mean: zero, normal, places: [zero; PLACES] };
        Self {
            model,
            x2: x2.to_vec(),
            known: Vec::new(),
            points: usize::MAX,
            arena: Vec::new(),
            response: Vec::new(),
            weight: Vec::new(),
            sums,
            loaded: [usize::MAX; LANES],
            tails: Vec::new(),
            ln_dose_unit: libm::log(model.dose_unit),
            values: Vec::new(),
        }
    }

    /// Examines curves; what may be said of each goes into its place of `inferences`, which are as many.
    pub(super) fn examine(&mut self, curves: &[Curve], fits: &[Fit], inferences: &mut [Inference]) {
        let count = self.model.parameters.len();
        // Those that can be examined: (points, doses, curve).
        let mut ready: Vec<(usize, usize, usize)> = Vec::with_capacity(curves.len());
        for (index, ((curve, fit), inference)) in curves.iter().zip(fits).zip(&mut *inferences).enumerate() {
            let doses = self.doses(&curve.points);
            self.begin(curve, doses, inference);
            let is_sound = |p: &CurvePoint| {
                let dose = p.dose.is_finite() && (self.model.any_dose || p.dose >= 0.0);
                dose && p.response.is_finite() && p.weight > 0.0 && p.weight.is_finite()
            };
            let has_range = self.known[doses].ln_range.is_some() || self.model.any_dose;
            if !fit.status.is_fitted() {
                continue;
            }
            if has_range && curve.points.iter().all(is_sound) && fit.parameters[..count].iter().all(|p| p.is_finite()) {
                ready.push((curve.points.len(), doses, index));
            } else {
                let reason = Some("bad_value");
                (inference.reason, inference.ic50_reason, inference.area_reason) = (reason, reason, reason);
            }
        }
        // Full lanes want curves of one number of points.
        ready.sort_unstable();
        for group in ready.chunk_by(|a, b| a.0 == b.0) {
            self.lay_out(group[0].0);
            for chunk in group.chunks(LANES) {
                for (lane, (_, doses, index)) in chunk.iter().enumerate() {
                    self.load(lane, *doses, &curves[*index].points, &fits[*index].parameters[..count]);
                }
                InstructionSet::detect().run(Summing(self));
                for (lane, (_, doses, index)) in chunk.iter().enumerate() {
                    let (curve, fit, inference) = (&curves[*index], &fits[*index], &mut inferences[*index]);
                    // Small matrices are quicker to clear.
                    if count <= SMALL {
                        self.conclude::<SMALL>(lane, *doses, curve, fit, inference);
                    } else {
                        self.conclude::<MAX_PARAMETERS>(lane, *doses, curve, fit, inference);
                    }
                }
            }
        }
    }

    /// The number of these doses among those known.
    fn doses(&mut self, points: &[CurvePoint]) -> usize {
        let recent = self.known.len().saturating_sub(REMEMBERED);
        if self.x2.is_empty()
            && let Some(at) = self.known[recent..].iter().rposition(|doses| doses.is(points))
        {
            return recent + at;
        }
        self.known.push(Doses::new(points, &self.x2, self.model));
        self.known.len() - 1
    }

    /// What is known of a curve before anything is computed.
    fn begin(&self, curve: &Curve, doses: usize, inference: &mut Inference) {
        let doses = &self.known[doses];
        inference.n_points = curve.points.iter().fold(0, |n, p| p.n.saturating_add(n));
        inference.n_doses = doses.distinct;
        inference.log10_dose_low = doses.log10_range.map(|(low, _)| low);
        inference.log10_dose_high = doses.log10_range.map(|(_, high)| high);
    }

    fn lay_out(&mut self, points: usize) {
        if self.points == points {
            return;
        }
        let zero = Lanes([0.0; LANES]);
        self.points = points;
        self.arena = self.model.gradient_kernel.arena(points + PLACES);
        self.response = vec![zero; points];
        self.weight = vec![zero; points];
        self.loaded = [usize::MAX; LANES];
    }

    fn load(&mut self, lane: usize, doses: usize, points: &[CurvePoint], parameters: &[f64]) {
        let kernel = &self.model.gradient_kernel;
        let length = self.points + PLACES;
        let known = &self.known[doses];
        if self.loaded[lane] != doses {
            self.loaded[lane] = doses;
            for column in 0..kernel.point_columns() {
                let from = kernel.column(column, length);
                let values = &known.columns[column * length..(column + 1) * length];
                for (slot, value) in self.arena[from..].iter_mut().zip(values) {
                    slot.0[lane] = *value;
                }
            }
        }
        for (i, value) in parameters.iter().enumerate() {
            self.arena[kernel.curve_input(i)].0[lane] = *value;
        }
        for (k, (point, takes_part)) in points.iter().zip(&known.takes_part).enumerate() {
            self.response[k].0[lane] = point.response;
            self.weight[k].0[lane] = if *takes_part { point.weight } else { 0.0 };
        }
    }

    /// Residuals, gradients and what they add up to, of all lanes.
    #[inline(always)]
    fn sum(&mut self) {
        let (n, length, zero) = (self.points, self.points + PLACES, Lanes([0.0; LANES]));
        let kernel = &self.model.gradient_kernel;
        let fitted = kernel.output(0, length, &self.arena);
        let sums = &mut self.sums;
        let (mut weight, mut weighted, mut about_curve, mut about_mean) = (zero, zero, zero, zero);
        for k in 0..n {
            let (y, w) = (self.response[k], self.weight[k]);
            let residual = y - fitted.at(k);
            about_curve = about_curve + w * residual * residual;
            weight = weight + w;
            weighted = weighted + w * y;
        }
        let mean = weighted / weight;
        for (y, w) in self.response.iter().zip(&self.weight) {
            about_mean = about_mean + *w * (*y - mean) * (*y - mean);
        }
        let count = self.model.parameters.len();
        let mut place = 0;
        for i in 0..count {
            let along = kernel.output(1 + i, length, &self.arena);
            for j in 0..=i {
                let across = kernel.output(1 + j, length, &self.arena);
                let mut entry = zero;
                for (k, w) in self.weight.iter().enumerate() {
                    entry = entry + *w * along.at(k) * across.at(k);
                }
                sums.normal[place] = entry;
                place += 1;
            }
        }
        for (k, slot) in sums.places.iter_mut().enumerate() {
            *slot = fitted.at(n + k);
        }
        (sums.weight, sums.about_curve, sums.mean, sums.about_mean) = (weight, about_curve, mean, about_mean);
    }

    /// The conclusions for the curve in a lane; the model has at most `N` parameters.
    fn conclude<const N: usize>(
        &mut self,
        lane: usize,
        doses: usize,
        curve: &Curve,
        fit: &Fit,
        inference: &mut Inference,
    ) {
        let count = self.model.parameters.len();
        let parameters = &fit.parameters[..count];
        let known = &self.known[doses];
        let at_bound = |parameter: usize| fit.at_bound >> parameter & 1 == 1;
        let sums = &self.sums;
        // Recomputed rather than taken from the fit, which on a GPU was summed in single precision. The scatter of
        // replicates about their mean belongs to it as well.
        let (mut pure_error, mut wells) = (0.0, 0u32);
        for (point, _) in curve.points.iter().zip(&known.takes_part).filter(|(_, takes_part)| **takes_part) {
            wells = wells.saturating_add(point.n);
            if point.sum_of_squares > 0.0 && point.sum_of_squares.is_finite() {
                pure_error += point.sum_of_squares;
            }
        }
        let weight = sums.weight.0[lane];
        let sse = self.about_curve(lane, &curve.points, &known.takes_part, parameters) + pure_error;
        inference.sse = Some(sse);
        inference.rmse = Some((sse / weight).sqrt());
        let mut free = [false; N];
        let mut free_count = 0;
        for (i, free) in free.iter_mut().enumerate().take(count) {
            *free = !at_bound(i);
            free_count += u32::from(*free);
        }
        match wells.checked_sub(free_count).filter(|df| *df > 0) {
            Some(df) => {
                inference.degrees_of_freedom = Some(df);
                inference.sigma = Some((sse / f64::from(df)).sqrt());
            }
            None => inference.reason = inference.reason.or(Some("no_degrees_of_freedom")),
        }
        let mut normal: Matrix<N> = [[0.0; N]; N];
        let mut place = 0;
        for (i, row) in normal.iter_mut().enumerate().take(count) {
            for entry in row.iter_mut().take(i + 1) {
                *entry = sums.normal[place].0[lane];
                place += 1;
            }
        }
        let precision = if self.model.polished {
            Precision::of_jacobian(&self.jacobian(lane), free)
        } else {
            Precision::new(&normal, count, free)
        };
        let mean = sums.mean.0[lane];
        let flat = FlatLine { mean, weight, sum_of_squares: sums.about_mean.0[lane] + pure_error };
        let places = sums.places.map(|place| place.0[lane]);
        let range = known.ln_range;

        self.significance(inference, &flat, count, wells);
        inference.effect = Some(places[0] - places[1]);
        inference.classify(&flat);
        inference.condition_number = precision.condition_number();
        for i in 0..count {
            let outcome = if at_bound(i) {
                Err("at_bound")
            } else {
                match (inference.sigma, precision.parameter_variance(i)) {
                    (None, _) => Err("no_degrees_of_freedom"),
                    (_, None) => Err("unidentified"),
                    (Some(sigma), Some(variance)) => Ok(sigma * variance.sqrt()),
                }
            };
            match outcome {
                Ok(error) => inference.standard_errors[i] = Some(error),
                Err(reason) => inference.standard_error_reasons[i] = Some(reason),
            }
        }
        match range {
            _ if self.model.any_dose || self.model.uses_x2 => {
                // Neither the fall from untreated cells nor potency has a meaning.
                (inference.effect, inference.class) = (None, None);
                inference.ic50_reason = Some("not_a_dose");
                inference.area_reason = Some("not_a_dose");
            }
            Some(range) => {
                self.potency(inference, &curve.points, parameters, &precision, range, [places[2], places[3]])
            }
            None => {
                inference.ic50_reason = Some("no_dose_above_zero");
                inference.area_reason = Some("no_dose_above_zero");
            }
        }
    }

    /// Weighted sum of squares about the curve in a lane.
    fn about_curve(&self, lane: usize, points: &[CurvePoint], takes_part: &[bool], parameters: &[f64]) -> f64 {
        let sum = self.sums.about_curve.0[lane];
        let part = || points.iter().enumerate().filter(|(k, _)| takes_part[*k]);
        let squared = || part().map(|(_, p)| p.weight * p.response * p.response).sum();
        if !self.model.polished || !are_small(sum, squared()) {
            return sum;
        }
        let second = |k: usize| self.x2.get(k).copied().unwrap_or(0.0);
        let point = |(k, p): (usize, &CurvePoint)| (self.model.point(p.dose, second(k)), p.response, p.weight.sqrt());
        SmallResiduals::new(self.model, part().map(point)).sum_of_squares(parameters)
    }

    /// Columns of the weighted Jacobian of the curve in a lane.
    fn jacobian(&self, lane: usize) -> Vec<Vec<f64>> {
        let length = self.points + PLACES;
        let column = |i: usize| {
            let slopes = self.model.gradient_kernel.output(1 + i, length, &self.arena);
            self.weight.iter().enumerate().map(|(k, w)| w.0[lane].sqrt() * slopes.at(k).0[lane]).collect()
        };
        (0..self.model.parameters.len()).map(column).collect()
    }

    /// r² and the F-test against the weighted mean.
    fn significance(&mut self, inference: &mut Inference, flat: &FlatLine, count: usize, wells: u32) {
        let (about_mean, sse) = (flat.sum_of_squares, inference.sse.unwrap_or(flat.sum_of_squares));
        // Rounding alone leaves this much about the mean of identical values.
        if about_mean <= 1e-28 * flat.weight * flat.mean * flat.mean {
            inference.reason = inference.reason.or(Some("constant_response"));
            return;
        }
        inference.r2 = Some(1.0 - sse / about_mean);
        let (numerator, denominator) = (count as f64 - 1.0, f64::from(wells) - count as f64);
        let Some(tail) = self.tail(numerator, denominator) else {
            let reason = if numerator > 0.0 { "no_degrees_of_freedom" } else { "flat_model" };
            inference.reason = inference.reason.or(Some(reason));
            return;
        };
        let f = (Scalar::max(about_mean - sse, 0.0) / numerator) / (sse / denominator);
        // A curve through every well: the statistic is infinite, the tail is exactly 0.
        inference.f = Some(f).filter(|f| f.is_finite());
        inference.p_value = Some(tail.probability_above(f));
    }

    fn tail(&mut self, numerator: f64, denominator: f64) -> Option<FTail> {
        if let Some(known) = self.tails.iter().find(|tail| tail.is(numerator, denominator)) {
            return Some(*known);
        }
        let tail = FTail::new(numerator, denominator)?;
        if self.tails.len() < REMEMBERED {
            self.tails.push(tail);
        }
        Some(tail)
    }

    /// IC50, area, sensitivity scores. `ends` are the responses at the ends of the range in which an IC50 counts.
    fn potency<const N: usize>(
        &mut self,
        inference: &mut Inference,
        points: &[CurvePoint],
        parameters: &[f64],
        precision: &Precision<N>,
        (ln_low, ln_high): (f64, f64),
        ends: [f64; 2],
    ) {
        let model = self.model;
        inference.ic50_reason = None;
        inference.area_reason = None;
        let half_range = potency::half_dose_range(ln_low, ln_high);
        let hill = potency::hill_form(model, parameters);
        match potency::half_dose_between(model, parameters, hill.as_ref(), half_range, ends) {
            HalfDose::At(x) => {
                inference.log10_ic50 = Some((x + self.ln_dose_unit) / LN_10);
                let (gradient, slope) = self.gradient_and_slope(x, parameters, hill.is_some());
                let variance = potency::half_dose_gradient(&gradient, slope).and_then(|g| precision.variance(&g));
                match (inference.sigma, variance) {
                    (Some(sigma), Some(v)) => inference.log10_ic50_se = Some(sigma * v.sqrt() / LN_10),
                    (None, _) => inference.ic50_reason = Some("no_degrees_of_freedom"),
                    (_, None) => inference.ic50_reason = Some("standard_error_unidentified"),
                }
            }
            HalfDose::Above => {
                inference.ic50_censored = "above";
                inference.ic50_reason = Some("above_range");
            }
            HalfDose::Below => {
                inference.ic50_censored = "below";
                inference.ic50_reason = Some("below_range");
            }
            HalfDose::Rising => inference.ic50_reason = Some("rising_curve"),
        }
        inference.auc = match &hill {
            Some(curve) => potency::mean_of_hill(curve, ln_low, ln_high),
            None => potency::mean_viability(model, parameters, ln_low, ln_high),
        };
        inference.auc_observed = potency::observed_mean(points);
        inference.aac = inference.auc.map(|auc| 1.0 - auc);
        inference.dss = hill.and_then(|c| potency::drug_sensitivity(&c, ln_low, ln_high));
        inference.dss_pharmacogx = hill.and_then(|c| potency::drug_sensitivity_pharmacogx(&c, ln_low, ln_high));
        if inference.auc.is_none() {
            inference.area_reason = Some("one_dose");
        } else if hill.is_none() {
            inference.area_reason = Some("not_a_hill_curve");
        }
    }

    /// The response's derivatives by the parameters and by the natural-log dose, at one dose.
    fn gradient_and_slope(&mut self, ln_dose: f64, parameters: &[f64], is_hill: bool) -> ([f64; MAX_PARAMETERS], f64) {
        let model = self.model;
        let mut inputs = [0.0; crate::model::curve_model::POINT_INPUTS + MAX_PARAMETERS];
        let point = model.point_at_ln_dose(ln_dose);
        inputs[..point.len()].copy_from_slice(&point);
        inputs[point.len()..point.len() + parameters.len()].copy_from_slice(parameters);
        model.gradient.evaluate_into(&inputs[..point.len() + parameters.len()], &mut self.values);
        let n = parameters.len();
        let gradient = std::array::from_fn(|i| if i < n { model.gradient.output(1 + i, &self.values) } else { 0.0 });
        // The half-effect dose of a Hill curve shifts it along the dose: the slope is minus the derivative by it.
        let slope = match model.location {
            Some(location) if is_hill => -gradient[location],
            _ => model.slope_at_ln_dose(ln_dose, parameters),
        };
        (gradient, slope)
    }
}
