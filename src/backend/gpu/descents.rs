//! Descents from given parameters on the device: how surfaces are fitted, which are begun where the drugs' own curves
//! say. Draws stay in single precision where it settled at a minimum; fits of data are continued in f64 as curves are.

use super::device::{Device, Kernel};
use super::fit_kernel::most_evaluations_of_descents;
use super::fits::{CERTIFIED_SHIFT, Prepared};
use super::table_shape::TableShape;
use super::timings::Recorder;
use crate::Result;
use crate::backend::Finish;
use crate::backend::cpu::descend_from;
use crate::fit::{CurveSet, Fit, FitSettings, MAX_PARAMETERS, Refit, Status};
use crate::model::CurveModel;
use std::cell::Cell;
use std::time::Instant;

/// Descends on the device with the kernel that `kernel` gives, and finishes on the CPU what is to be finished.
pub(super) fn descend(
    device: &Device,
    recorder: &Recorder,
    settings: &FitSettings,
    curves: &CurveSet,
    begins: &[f64],
    finish: Finish,
    kernel: impl Fn(&CurveModel) -> Kernel,
) -> Result<Vec<Fit>> {
    let k = settings.model.curve_model().nonlinear.len();
    let mut fits = on_device(device, recorder, settings, curves, begins, kernel)?;
    let since = Instant::now();
    let has_answer = |fit: &Fit| fit.status != Status::NoFiniteStart;
    match finish {
        Finish::AsItIs | Finish::Settled => {
            // Where steps came to nothing, or crawled on to the last evaluation, rounding may have been in the way.
            let is_done = |fit: &Fit| match fit.status {
                Status::NoFiniteStart => false,
                Status::Stalled | Status::MaxIterations => finish == Finish::AsItIs,
                _ => true,
            };
            let again: Vec<usize> = (0..fits.len()).filter(|curve| !is_done(&fits[*curve])).collect();
            redo(settings, curves, begins, &again, &mut fits);
        }
        Finish::Certified => {
            let nonlinear = &settings.model.curve_model().nonlinear;
            let mut from = begins.to_vec();
            for (own, fit) in from.chunks_exact_mut(k).zip(&fits).filter(|(_, fit)| fit.status.is_fitted()) {
                own.iter_mut().zip(nonlinear).for_each(|(value, p)| *value = fit.parameters[*p]);
            }
            let mut again = Vec::new();
            for (curve, (mut fit, first_offset)) in descend_from(settings, curves, &from).into_iter().enumerate() {
                let single = &fits[curve];
                if has_answer(single) && fit.status == Status::NoFiniteStart {
                    again.push(curve);
                } else if fit.status.is_fitted() {
                    fit.iterations += single.iterations;
                    fit.refit = match first_offset <= CERTIFIED_SHIFT * CERTIFIED_SHIFT {
                        _ if !has_answer(single) => Refit::F64,
                        true => Refit::None,
                        false => Refit::Polished,
                    };
                }
                fits[curve] = fit;
            }
            // The device ended where f64 has no number.
            redo(settings, curves, begins, &again, &mut fits);
        }
    }
    recorder.record(|t| t.certify_seconds += since.elapsed().as_secs_f64());
    Ok(fits)
}

/// Descends in f64 from the beginnings themselves.
fn redo(settings: &FitSettings, curves: &CurveSet, begins: &[f64], which: &[usize], fits: &mut [Fit]) {
    let k = settings.model.curve_model().nonlinear.len();
    let from: Vec<f64> = which.iter().flat_map(|curve| begins[curve * k..(curve + 1) * k].iter().copied()).collect();
    for (curve, (fit, _)) in which.iter().zip(descend_from(settings, &curves.select(which), &from)) {
        let refit = if fit.status.is_fitted() { Refit::F64 } else { fit.refit };
        fits[*curve] = Fit { refit, ..fit };
    }
}

/// What single precision finds; [`Status::NoFiniteStart`] where the device has no answer.
fn on_device(
    device: &Device,
    recorder: &Recorder,
    settings: &FitSettings,
    curves: &CurveSet,
    begins: &[f64],
    kernel: impl Fn(&CurveModel) -> Kernel,
) -> Result<Vec<Fit>> {
    let since = Instant::now();
    let model = settings.model.curve_model();
    let prepared = Prepared::new(settings, curves, Some(begins));
    recorder.record(|t| t.prepare_seconds += since.elapsed().as_secs_f64());
    let kernel = kernel(model);
    let mut fits = vec![Fit::failed(Status::NoFiniteStart); curves.len()];
    for (curve, status) in prepared.blocks.iter().flat_map(|block| &block.refused) {
        fits[*curve] = Fit::failed(*status);
    }
    let mut from = 0;
    for run in prepared.order.chunk_by(|a, b| prepared.points(*a) == prepared.points(*b)) {
        let range = from..from + run.len();
        from = range.end;
        let shape = TableShape::new(model, prepared.points(run[0]));
        let most_evaluations = most_evaluations_of_descents(settings.max_iterations, shape.points);
        let batches = prepared.batches(model, range, &shape, device);
        let since = Instant::now();
        let (packing, bytes) = (Cell::new(0.0), Cell::new((0, 0)));
        device.stream(
            &kernel,
            (0..batches.len()).map(|batch| batch..batch + 1),
            |range| {
                let since = Instant::now();
                let chunk = prepared.pack(model, &batches[range.start], &shape, settings);
                packing.set(packing.get() + since.elapsed().as_secs_f64());
                let (up, down) = bytes.get();
                let size = |floats: usize| (floats * size_of::<f32>()) as u64;
                bytes.set((up + size(chunk.input.len() + chunk.tables.len()), down + size(chunk.output)));
                chunk
            },
            |range, output| {
                let members = &batches[range.start].members;
                for (at, (place, _)) in members.iter().enumerate() {
                    let (ready, layout) = prepared.ready(*place);
                    let rows: Vec<f64> =
                        (0..prepared.rows_out(&shape)).map(|row| f64::from(output[row * members.len() + at])).collect();
                    if let Some(fit) = found(model, &rows, most_evaluations) {
                        let mut parameters = [0.0; MAX_PARAMETERS];
                        let mut at_bound = 0;
                        for (i, value) in fit.parameters.iter().enumerate().take(model.parameters.len()) {
                            let fixed = ready.fixed.filter(|(p, _)| *p == i);
                            let (lower, upper) = (layout.lower[i] as f32, layout.upper[i] as f32);
                            let ends_there = *value <= f64::from(lower) || *value >= f64::from(upper);
                            at_bound |= u32::from(fixed.is_none() && lower < upper && ends_there) << i;
                            parameters[i] = layout.outer(model, i, fixed.map_or(*value, |(_, held)| held));
                        }
                        fits[ready.curve] = Fit { parameters, at_bound, sse: fit.sse * layout.scale, ..fit };
                    }
                }
            },
        )?;
        recorder.record(|t| {
            t.pack_seconds += packing.get();
            t.device_seconds += since.elapsed().as_secs_f64() - packing.get();
            t.bytes_up += bytes.get().0;
            t.bytes_down += bytes.get().1;
        });
    }
    Ok(fits)
}

/// The rows of one descent, as `lm_from.wgsl` writes them, with its parameters as the kernel has them.
fn found(model: &CurveModel, rows: &[f64], most_evaluations: u32) -> Option<Fit> {
    let (nonlinear, rest) = rows.split_at_checked(model.nonlinear.len())?;
    let &[evaluations, sse, settled, ref linear @ ..] = rest else { return None };
    if !(rows.iter().all(|value| value.is_finite()) && evaluations > 0.0) {
        return None;
    }
    let mut parameters = [0.0; MAX_PARAMETERS];
    for (p, value) in model.nonlinear.iter().zip(nonlinear).chain(model.linear.iter().zip(linear)) {
        parameters[*p] = *value;
    }
    let status = match settled > 0.5 {
        true => Status::Converged,
        false if evaluations as u32 >= most_evaluations => Status::MaxIterations,
        false => Status::Stalled,
    };
    Some(Fit { parameters, sse, iterations: evaluations as u32, ..Fit::failed(status) })
}
