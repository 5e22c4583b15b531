//! Curves to the device and back: sorted by number of points, cut into chunks, packed in single precision, and the
//! answers continued in f64.

use super::device::{Chunk, Device, GROUP, Kernel};
use super::fit_kernel::{FITS, HELD, ROWS_BEHIND, ROWS_OF_DESCENTS, most_evaluations, most_evaluations_of_descents};
use super::table_shape::{HEADER, TableShape};
use super::timings::Recorder;
use crate::Result;
use crate::backend::Backend;
use crate::backend::cpu::{Cpu, descend_from};
use crate::fit::block::{Block, Ready};
use crate::fit::layout::Layout;
use crate::fit::scan::Scan;
use crate::fit::{CurveSet, Fit, FitSettings, Refit, Status};
use crate::math::instructions::Portable;
use crate::model::CurveModel;
use rayon::prelude::*;
use std::cell::Cell;
use std::ops::Range;
use std::time::Instant;

/// Starts of a table worked out side by side.
const STARTS_TOGETHER: usize = 8;

/// A single-precision fit passes its check when an f64 step from it would move no parameter by more than about this
/// many standard errors; otherwise it is polished.
pub(super) const CERTIFIED_SHIFT: f64 = 0.01;
/// Point counts are padded up to a multiple of this, so that a screen of ragged curves needs few dispatches.
const POINT_STEP: usize = 4;
/// Curves checked together on one thread.
const BLOCK: usize = 2048;
/// The same of surfaces, many of which have points of their own, all of which are compared.
const BLOCK_OF_SURFACES: usize = 256;
/// Whole numbers up to this are exact in f32: tables begin below it.
const EXACT: usize = 1 << 24;
/// Starts that the kernel takes to the end, at most.
pub(super) const MOST_STARTS: usize = 2;
/// Tables of a chunk that a new layout is compared with, the latest first: screens alternate between few.
const TABLES_REMEMBERED: usize = 8;

/// Where a curve lies in the blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    block: usize,
    index: usize,
}

/// Curves checked and sorted.
pub(super) struct Prepared<'a> {
    pub blocks: Vec<Block>,
    /// By padded number of points, then in the order of the blocks.
    pub order: Vec<Place>,
    /// Nonlinear parameters to begin with, those of each curve one after the other; none where the kernel scans starts.
    begins: Option<&'a [f64]>,
}

impl<'a> Prepared<'a> {
    pub fn new(settings: &FitSettings, curves: &CurveSet, begins: Option<&'a [f64]>) -> Self {
        let block = if begins.is_some() { BLOCK_OF_SURFACES } else { BLOCK };
        let starts: Vec<usize> = (0..curves.len()).step_by(block).collect();
        let range = |from: usize| from..(from + block).min(curves.len());
        let blocks: Vec<Block> = starts.into_par_iter().map(|from| Block::new(curves, range(from), settings)).collect();
        let places = |(block, b): (usize, &Block)| (0..b.curves.len()).map(move |index| Place { block, index });
        let mut prepared = Self { order: blocks.iter().enumerate().flat_map(places).collect(), blocks, begins };
        let Self { blocks, order, .. } = &mut prepared;
        order.sort_by_key(|place| {
            padded(blocks[place.block].layouts[blocks[place.block].curves[place.index].layout].points())
        });
        prepared
    }

    pub fn ready(&self, place: Place) -> (&Ready, &Layout) {
        let block = &self.blocks[place.block];
        let ready = &block.curves[place.index];
        (ready, &block.layouts[ready.layout])
    }

    /// Number of points of a curve, padded.
    pub fn points(&self, place: Place) -> usize {
        padded(self.ready(place).1.points())
    }

    /// Cuts `range` of the order, all of one padded number of points, into chunks. Curves whose table of starts
    /// alone is too large for the device are left out.
    pub fn batches(&self, model: &CurveModel, range: Range<usize>, shape: &TableShape, device: &Device) -> Vec<Batch> {
        let unit = self.rows(shape).max(self.rows_out(shape));
        let (units, floats) = (device.units_per_chunk(unit * size_of::<f32>()), device.floats_per_chunk().min(EXACT));
        let mut batches: Vec<Batch> = Vec::new();
        let mut current = Batch::default();
        let mut last: Option<(usize, usize)> = None;
        for at in range {
            let place = self.order[at];
            let (ready, layout) = self.ready(place);
            if current.members.len() == units {
                batches.push(std::mem::take(&mut current));
                last = None;
            }
            if last != Some((place.block, ready.layout)) {
                let latest = current.tables.iter().enumerate().rev().take(TABLES_REMEMBERED);
                let known = latest.map(|(n, owner)| (n, self.ready(*owner).1)).find(|(_, l)| l.is_same(layout));
                let known = known.map(|(n, _)| n);
                current.table = match known {
                    Some(number) => number,
                    None => {
                        let starts = if self.begins.is_some() { 0 } else { layout.starts(model).1.iter().product() };
                        let size = 1 + shape.floats(starts);
                        if size > floats {
                            continue;
                        }
                        if current.floats + size > floats {
                            batches.push(std::mem::take(&mut current));
                        }
                        current.floats += size;
                        current.tables.push(place);
                        current.tables.len() - 1
                    }
                };
                last = Some((place.block, ready.layout));
            }
            current.members.push((place, current.table));
        }
        if !current.members.is_empty() {
            batches.push(current);
        }
        batches
    }

    /// Rows of input.
    fn rows(&self, shape: &TableShape) -> usize {
        shape.points + ROWS_BEHIND + self.begins.map_or(0, |_| shape.nonlinear)
    }

    /// Rows of output.
    pub fn rows_out(&self, shape: &TableShape) -> usize {
        shape.nonlinear + self.begins.map_or(1, |_| ROWS_OF_DESCENTS + shape.linear)
    }

    pub fn pack(&self, model: &CurveModel, batch: &Batch, shape: &TableShape, settings: &FitSettings) -> Chunk {
        let n = batch.members.len();
        let mut input = vec![0.0f32; self.rows(shape) * n];
        input.par_chunks_mut(n).enumerate().for_each(|(row, region)| {
            for (slot, (place, table)) in region.iter_mut().zip(&batch.members) {
                let (ready, layout) = self.ready(*place);
                *slot = match row.checked_sub(shape.points) {
                    None if row < layout.points() => self.blocks[place.block].responses[ready.from + row] as f32,
                    None => 0.0,
                    Some(0) => (table * HELD + ready.fixed.map_or(0, |(p, _)| p + 1)) as f32,
                    Some(1) => ready.fixed.map_or(0.0, |(_, value)| value) as f32,
                    Some(behind) => {
                        let i = behind - ROWS_BEHIND;
                        let begin = self.begins.and_then(|all| all.get(ready.curve * shape.nonlinear + i).copied());
                        layout.inner(model, model.nonlinear[i], begin.unwrap_or(0.0)) as f32
                    }
                };
            }
        });
        let tables: Vec<Vec<f32>> =
            batch.tables.par_iter().map(|owner| self.table(model, self.ready(*owner).1, shape)).collect();
        let mut all = Vec::with_capacity(batch.floats);
        let mut at = tables.len();
        for table in &tables {
            all.push(at as f32);
            at += table.len();
        }
        all.extend(tables.into_iter().flatten());
        let starts = settings.starts.max(model.descents).clamp(1, MOST_STARTS) as u32;
        let (evaluations, fits) = match self.begins {
            Some(_) => (most_evaluations_of_descents(settings.max_iterations, shape.points), 1),
            None => (most_evaluations(settings.max_iterations), FITS),
        };
        Chunk {
            config: [n as u32, shape.points as u32, evaluations, starts],
            input,
            tables: all,
            output: self.rows_out(shape) * n,
            groups: (n as u32).div_ceil(GROUP * fits),
        }
    }

    /// The table of a layout, as [`TableShape`] lays it out.
    fn table(&self, model: &CurveModel, layout: &Layout, shape: &TableShape) -> Vec<f32> {
        if self.begins.is_some() {
            return head(model, layout, shape, 0);
        }
        let (starts, counts) = layout.starts(model);
        let scan = Scan::new::<STARTS_TOGETHER>(Portable, layout, &model.separated, &model.kernel, starts, counts);
        let mut all = head(model, layout, shape, scan.len());
        put(&mut all[shape.counts()..], scan.counts.iter().map(|c| *c as f64));
        for (start, row) in all[shape.starts_at()..].chunks_exact_mut(shape.start()).enumerate() {
            let k = shape.nonlinear;
            put(row, scan.starts[start * k..(start + 1) * k].iter().copied());
            let (figures, to) = row[k..].split_at_mut(Scan::figures(shape.linear));
            match scan.figures_of(start) {
                Some(values) => put(figures, values.iter().copied()),
                // No sum of squares there is less than any other.
                None => figures.fill(f32::INFINITY),
            }
            for column in 0..shape.width {
                let from = scan.column(start, shape.first + column);
                for (point, value) in from.iter().enumerate() {
                    to[point * shape.width + column] = *value as f32;
                }
            }
        }
        all
    }
}

/// Curves of one dispatch.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Each curve and the number of its table.
    pub members: Vec<(Place, usize)>,
    /// For each table a curve that it belongs to.
    tables: Vec<Place>,
    /// Floats of all tables and of the list of where they begin.
    floats: usize,
    /// The table in use.
    table: usize,
}

fn padded(points: usize) -> usize {
    points.max(1).next_multiple_of(POINT_STEP)
}

/// Numbers to the beginning of a table.
fn put(slots: &mut [f32], values: impl Iterator<Item = f64>) {
    for (slot, value) in slots.iter_mut().zip(values) {
        *slot = value as f32;
    }
}

/// A table with room for so many starts, filled but for them.
fn head(model: &CurveModel, layout: &Layout, shape: &TableShape, starts: usize) -> Vec<f32> {
    let n = layout.points();
    let mut all = vec![0.0f32; shape.floats(starts)];
    let header: [f64; HEADER] = [n as f64, starts as f64, layout.total_weight];
    put(&mut all, header.into_iter());
    let of = |parameters: &[usize], values: &[f64]| parameters.iter().map(|p| values[*p]).collect::<Vec<f64>>();
    let nonlinear = [of(&model.nonlinear, &layout.lower), of(&model.nonlinear, &layout.upper)].concat();
    let linear = [of(&model.linear, &layout.lower), of(&model.linear, &layout.upper)].concat();
    put(&mut all[shape.bounds()..], nonlinear.into_iter().chain(linear));
    for point in 0..shape.points {
        // Padding repeats the last point, with weight 0.
        let from = point.min(n.saturating_sub(1));
        let weight = if point < n { layout.root_weight[point] } else { 0.0 };
        let columns = (0..shape.point - 1).map(|column| layout.columns[column * n + from]);
        put(&mut all[shape.points_at() + point * shape.point..], columns.chain([weight]));
    }
    all
}

/// What the device said of every curve.
struct Answers {
    /// Nonlinear parameters in true units, curve after curve.
    begins: Vec<f64>,
    /// Evaluations, none where the device has no answer.
    evaluations: Vec<Option<u32>>,
}

/// Fits every curve on the device with the kernels that `kernel` gives for numbers of points, and continues every
/// fit in f64 until it has converged there. One that was already within [`CERTIFIED_SHIFT`] is certified, another
/// counts as polished, and what the device could not fit is fitted anew.
pub(super) fn fit(
    device: &Device,
    recorder: &Recorder,
    settings: &FitSettings,
    curves: &CurveSet,
    kernel: impl Fn(&CurveModel, usize) -> Kernel,
) -> Result<Vec<Fit>> {
    let since = Instant::now();
    let prepared = Prepared::new(settings, curves, None);
    recorder.record(|t| t.prepare_seconds += since.elapsed().as_secs_f64());
    let answers = answers(device, recorder, settings, curves.len(), &prepared, kernel)?;
    drop(prepared);
    let since = Instant::now();
    let continued = descend_from(settings, curves, &answers.begins);
    let mut fits = Vec::with_capacity(curves.len());
    let mut again = Vec::new();
    for (curve, (mut fit, first_offset)) in continued.into_iter().enumerate() {
        match answers.evaluations[curve] {
            // The device's beginning may be one where f64 has no number.
            _ if fit.status == Status::NoFiniteStart => again.push(curve),
            _ if !fit.status.is_fitted() => {}
            Some(evaluations) => {
                fit.iterations += evaluations;
                fit.refit =
                    if first_offset <= CERTIFIED_SHIFT * CERTIFIED_SHIFT { Refit::None } else { Refit::Polished };
            }
            None => again.push(curve),
        }
        fits.push(fit);
    }
    for (curve, fit) in again.iter().zip(Cpu.fit(settings, &curves.select(&again))?) {
        fits[*curve] = Fit { refit: Refit::F64, ..fit };
    }
    recorder.record(|t| t.certify_seconds += since.elapsed().as_secs_f64());
    Ok(fits)
}

fn answers(
    device: &Device,
    recorder: &Recorder,
    settings: &FitSettings,
    curves: usize,
    prepared: &Prepared<'_>,
    kernel: impl Fn(&CurveModel, usize) -> Kernel,
) -> Result<Answers> {
    let model = settings.model.curve_model();
    let k = model.nonlinear.len();
    let mut answers = Answers { begins: vec![0.0; curves * k], evaluations: vec![None; curves] };
    let mut from = 0;
    for run in prepared.order.chunk_by(|a, b| prepared.points(*a) == prepared.points(*b)) {
        let range = from..from + run.len();
        from = range.end;
        let points = prepared.points(run[0]);
        let shape = TableShape::new(model, points);
        let since = Instant::now();
        let batches = prepared.batches(model, range, &shape, device);
        recorder.record(|t| t.prepare_seconds += since.elapsed().as_secs_f64());
        let since = Instant::now();
        let (packing, bytes) = (Cell::new(0.0), Cell::new((0, 0)));
        device.stream(
            &kernel(model, points),
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
                let n = members.len();
                for (fit, (place, _)) in members.iter().enumerate() {
                    let (ready, layout) = prepared.ready(*place);
                    let value = |row: usize| f64::from(output[row * n + fit]);
                    if (0..=k).all(|row| value(row).is_finite()) && value(k) > 0.0 {
                        answers.evaluations[ready.curve] = Some(value(k) as u32);
                        for (i, parameter) in model.nonlinear.iter().enumerate() {
                            answers.begins[ready.curve * k + i] = layout.outer(model, *parameter, value(i));
                        }
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
    Ok(answers)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::fit_kernel;
    use crate::model::ModelId;

    /// Share of clear curves that the certificate in f64 had to polish after a run of kernels of which `fault` has
    /// made something else.
    fn polished(device: &Device, fault: (&str, &str)) -> f64 {
        let settings = FitSettings::new(ModelId::Hill4);
        let mut curves = CurveSet::new();
        for i in 0..400i32 {
            let truth = [1.0, 0.1, -15.0 + f64::from(i % 20) * 0.1, 1.0 + f64::from(i % 9) * 0.1];
            let point = |k: i32| {
                let dose = 1e-9 * 10f64.powf(f64::from(k) * 0.5);
                (dose, ModelId::Hill4.response(dose, &truth) + 0.03 * f64::from(i * 37 + k * 11).sin(), 1.0)
            };
            curves.push(None, (0..10).map(point));
        }
        let kernel = |model: &CurveModel, points: usize| {
            let sound = fit_kernel::kernel(model, points);
            let source = sound.source.replacen(fault.0, fault.1, 1);
            assert!(fault.0.is_empty() || source != sound.source, "nothing was planted");
            Kernel { name: format!("{}{}", sound.name, fault.1), source }
        };
        let fits = fit(device, &Recorder::default(), &settings, &curves, kernel).unwrap();
        let sound = Cpu.fit(&settings, &curves).unwrap();
        let apart = |(a, b): &(&Fit, &Fit)| (a.sse - b.sse).abs() > 1e-6 * b.sse;
        assert!(fits.iter().zip(&sound).filter(apart).count() <= 4, "a fault in f32 changes no result");
        fits.iter().filter(|f| f.refit != Refit::None).count() as f64 / fits.len() as f64
    }

    #[test]
    fn the_certificate_notices_a_fault_in_the_kernel() {
        let device = match Device::open() {
            Ok(device) => device,
            Err(error) => {
                let required = std::env::var_os("CI").is_some_and(|v| v == "true");
                assert!(!required, "a GPU adapter must be there in CI: {error}");
                println!("skipped: {error}");
                return;
            }
        };
        assert!(polished(&device, ("", "")) <= 0.01);
        // Planted faults: results shifted by a twentieth of an e-fold; descents that end where they begin; fits that
        // come back as no number.
        assert!(polished(&device, ("= t.t0;", "= t.t0 + 0.05f;")) > 0.5);
        assert!(polished(&device, ("evaluations >= config.max_evaluations", "evaluations >= 1u")) > 0.5);
        assert!(polished(&device, ("f32(evaluations), found.sse < NOTHING", "-1.0f, found.sse < NOTHING")) > 0.99);
    }
}
