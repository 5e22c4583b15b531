//! The GPU back end: wgpu compute shaders in f32, every fit certified on the CPU in f64.

pub mod device;
pub mod kernels;
pub mod timings;

use super::cpu::{descend_from, fit_problems, prepare};
use super::{Backend, Expected, PlateBatch, SurfaceBatch};
use crate::Result;
use crate::config::Normalization;
use crate::fit::levenberg_marquardt::outcome;
use crate::fit::problem::Problem;
use crate::fit::{CurveSet, Fit, FitSettings, Refit};
use crate::model::{Model, ModelVisitor};
use device::{AdapterSummary, Chunk, ChunkLimits, Device, GROUP, Kernel};
use rayon::prelude::*;
use std::array::from_fn;
use std::cell::Cell;
use std::ops::Range;
use std::time::Instant;
use timings::{FitTimings, Recorder};

/// A single-precision fit passes its check when an f64 step from it would move no parameter by more than about this
/// many standard errors; otherwise it is polished.
const CERTIFIED_SHIFT: f64 = 0.01;
/// Point counts are padded up to a multiple of this, so that a screen of ragged curves needs few dispatches.
const POINT_STEP: usize = 4;

/// A GPU.
pub struct Gpu {
    device: Device,
    recorder: Recorder,
}

impl Gpu {
    /// Opens the best adapter.
    ///
    /// # Errors
    /// When there is no adapter with compute shaders, or its driver refuses a device.
    pub fn open() -> Result<Self> {
        Ok(Self { device: Device::open()?, recorder: Recorder::default() })
    }

    /// The best adapter with chunks no larger than `limits`: for proving that chunks change no result.
    ///
    /// # Errors
    /// As [`Gpu::open`].
    pub fn with_limits(limits: ChunkLimits) -> Result<Self> {
        Ok(Self { device: Device::open()?.with_limits(limits), recorder: Recorder::default() })
    }

    /// Whether the adapter is software running on the CPU.
    pub fn is_software(&self) -> bool {
        self.device.summary.software
    }

    /// The adapter: card, interface, driver.
    pub fn adapter(&self) -> &AdapterSummary {
        &self.device.summary
    }

    /// Where the time of the fits went, summed since the back end was opened.
    pub fn timings(&self) -> FitTimings {
        self.recorder.snapshot()
    }

    /// The single-precision answers, parameters centred as in the problems, in their order; `None` where the device
    /// gave something that is not a number.
    fn fit_single<const N: usize>(
        &self,
        kernel: &Kernel,
        settings: &FitSettings,
        problems: &[Problem<N>],
    ) -> Result<Vec<Option<[f64; N]>>> {
        let padded = |p: &Problem<N>| p.ln_dose.len().next_multiple_of(POINT_STEP);
        let rows = |points: usize| 3 * points + 2 + 2 * N + 4;
        let mut ranges = Vec::new();
        let mut at = 0;
        while at < problems.len() {
            let points = padded(&problems[at]);
            let same = problems[at..].partition_point(|p| padded(p) <= points);
            let units = self.device.units_per_chunk(rows(points).max(N + 3) * size_of::<f32>());
            ranges.push(at..at + same.min(units));
            at += same.min(units);
        }
        let mut answers = vec![None; problems.len()];
        let since = Instant::now();
        let (packing, bytes) = (Cell::new(0.0), Cell::new((0, 0)));
        self.device.stream(
            kernel,
            ranges,
            |range| {
                let since = Instant::now();
                let chunk = pack(&problems[range.clone()], rows(padded(&problems[range.start])), settings);
                packing.set(packing.get() + since.elapsed().as_secs_f64());
                let (up, down) = bytes.get();
                let size = |floats: usize| (floats * size_of::<f32>()) as u64;
                bytes.set((up + size(chunk.input.len()), down + size(chunk.output)));
                chunk
            },
            |range, output| {
                let n = range.len();
                answers[range.clone()].par_iter_mut().enumerate().for_each(|(fit, answer)| {
                    let value = |row: usize| f64::from(output[row * n + fit]);
                    let parameters: [f64; N] = from_fn(value);
                    let finite = parameters.iter().all(|p| p.is_finite()) && value(N).is_finite();
                    *answer = finite.then_some(parameters);
                });
            },
        )?;
        self.recorder.record(|t| {
            t.pack_seconds += packing.get();
            t.device_seconds += since.elapsed().as_secs_f64() - packing.get();
            t.bytes_up += bytes.get().0;
            t.bytes_down += bytes.get().1;
        });
        Ok(answers)
    }
}

/// Region-major, so that neighbouring invocations read neighbouring floats.
fn pack<const N: usize>(problems: &[Problem<N>], rows: usize, settings: &FitSettings) -> Chunk {
    let n = problems.len();
    let points = (rows - 2 - 2 * N - 4) / 3;
    let mut input = vec![0.0f32; rows * n];
    let row_of = |row: usize, p: &Problem<N>| -> f64 {
        let of = |values: &[f64], k: usize| values.get(k).copied().unwrap_or(0.0);
        match row {
            _ if row < points => of(&p.ln_dose, row),
            _ if row < 2 * points => of(&p.response, row - points),
            _ if row < 3 * points => of(&p.weight, row - 2 * points),
            _ => match row - 3 * points {
                0 => p.untreated.0,
                1 => p.untreated.1,
                k if k < 2 + N => p.lower[k - 2],
                k if k < 2 + 2 * N => p.upper[k - 2 - N],
                k => [p.range.0, p.range.1, p.ends.0, p.ends.1][k - 2 - 2 * N],
            },
        }
    };
    input.par_chunks_mut(n).enumerate().for_each(|(row, region)| {
        for (slot, problem) in region.iter_mut().zip(problems) {
            *slot = row_of(row, problem) as f32;
        }
    });
    Chunk {
        config: [n as u32, points as u32, settings.max_iterations, settings.starts as u32],
        input,
        output: (N + 3) * n,
        groups: (n as u32).div_ceil(GROUP),
    }
}

impl Backend for Gpu {
    fn name(&self) -> &'static str {
        "gpu"
    }

    fn device(&self) -> String {
        let summary = &self.device.summary;
        format!("{} ({}, {})", summary.name, summary.api, summary.driver)
    }

    fn normalise(&self, normalization: Normalization, plates: &PlateBatch) -> Result<Vec<f64>> {
        let n_plates = plates.offsets.len().saturating_sub(1);
        let largest = (0..n_plates).map(|i| plates.offsets[i + 1] - plates.offsets[i]).max().unwrap_or(0);
        let per_chunk = self.device.units_per_chunk((2 * largest + 2) * size_of::<f32>());
        let ranges = (0..n_plates).step_by(per_chunk).map(|from| from..(from + per_chunk).min(n_plates));
        let mut responses = vec![0.0; plates.signal.len()];
        self.device.stream(
            &kernels::plates(normalization),
            ranges,
            |range| pack_plates(plates, range),
            |range, output| {
                let wells = plates.offsets[range.start]..plates.offsets[range.end];
                for (slot, value) in responses[wells].iter_mut().zip(output) {
                    *slot = f64::from(*value);
                }
            },
        )?;
        Ok(responses)
    }

    fn fit(&self, settings: &FitSettings, curves: &CurveSet) -> Result<Vec<Fit>> {
        struct All<'a>(&'a Gpu, &'a FitSettings, &'a CurveSet);
        impl ModelVisitor for All<'_> {
            type Output = Result<Vec<Fit>>;
            fn visit<M: Model<N>, const N: usize>(self) -> Self::Output {
                let All(gpu, settings, curves) = self;
                let since = Instant::now();
                let (problems, mut fits) = prepare::<M, N>(settings, curves);
                gpu.recorder.record(|t| t.prepare_seconds += since.elapsed().as_secs_f64());
                let answers = gpu.fit_single::<N>(&kernels::fit(settings.model), settings, &problems)?;
                let since = Instant::now();
                for (curve, fit) in certify::<M, N>(settings, problems, answers) {
                    fits[curve] = fit;
                }
                gpu.recorder.record(|t| t.certify_seconds += since.elapsed().as_secs_f64());
                Ok(fits)
            }
        }
        settings.model.visit(All(self, settings, curves))
    }

    fn score_surfaces(&self, surfaces: &SurfaceBatch) -> Result<Vec<Expected>> {
        let n = surfaces.points.len();
        let units = self.device.units_per_chunk(kernels::SURFACE_INPUTS * size_of::<f32>());
        let ranges = (0..n).step_by(units).map(|from| from..(from + units).min(n));
        let mut expected = Vec::with_capacity(n);
        self.device.stream(
            &kernels::surfaces(),
            ranges,
            |range| pack_surfaces(surfaces, range),
            |range, output| {
                let n = range.len();
                let value = |row: usize, i: usize| f64::from(output[row * n + i]);
                expected.extend((0..n).map(|i| Expected {
                    hsa: value(0, i),
                    bliss: value(1, i),
                    loewe: value(2, i),
                    zip: value(3, i),
                }));
            },
        )?;
        Ok(expected)
    }
}

/// Continues every single-precision fit in f64 until it has converged there; one that was already within
/// [`CERTIFIED_SHIFT`] is certified, another counts as polished, and what the device could not fit is fitted anew.
fn certify<M: Model<N>, const N: usize>(
    settings: &FitSettings,
    problems: Vec<Problem<N>>,
    answers: Vec<Option<[f64; N]>>,
) -> Vec<(usize, Fit)> {
    let mut again = Vec::new();
    let mut continued = Vec::with_capacity(problems.len());
    let mut begins = Vec::with_capacity(problems.len());
    for (problem, answer) in problems.into_iter().zip(answers) {
        match answer {
            Some(parameters) => {
                // Rounding to f32 may have put a bound a little outside the box.
                begins.push(from_fn(|i| parameters[i].clamp(problem.lower[i], problem.upper[i])));
                continued.push(problem);
            }
            None => again.push(problem),
        }
    }
    let ends = descend_from::<M, N>(settings, &continued, &begins);
    let mut fits: Vec<(usize, Fit)> = continued
        .iter()
        .zip(&ends)
        .map(|(problem, end)| {
            let certified = end.first_offset <= CERTIFIED_SHIFT * CERTIFIED_SHIFT;
            let refit = if certified { Refit::None } else { Refit::Polished };
            (problem.curve, outcome::<M, N>(problem, std::slice::from_ref(end), refit))
        })
        .collect();
    let refitted = fit_problems::<M, N>(settings, &again);
    fits.extend(refitted.into_iter().map(|(curve, fit)| (curve, Fit { refit: Refit::F64, ..fit })));
    fits
}

fn pack_plates(plates: &PlateBatch, range: &Range<usize>) -> Chunk {
    let wells = plates.offsets[range.start]..plates.offsets[range.end];
    let n = range.len();
    let mut input = Vec::with_capacity(2 * n + 2 * wells.len());
    for plate in range.clone() {
        let (from, to) = (plates.offsets[plate], plates.offsets[plate + 1]);
        input.push((from - wells.start) as f32);
        input.push((to - from) as f32);
    }
    for plate in range.clone() {
        let signal = &plates.signal[plates.offsets[plate]..plates.offsets[plate + 1]];
        let largest = signal.iter().fold(0.0f64, |m, s| m.max(s.abs()));
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        input.extend(signal.iter().map(|s| (s * scale) as f32));
    }
    input.extend(plates.class[wells.clone()].iter().map(|c| f32::from(*c as u8)));
    Chunk { config: [n as u32, wells.len() as u32, 0, 0], input, output: wells.len(), groups: n as u32 }
}

fn pack_surfaces(surfaces: &SurfaceBatch, range: &Range<usize>) -> Chunk {
    let points = &surfaces.points[range.clone()];
    let n = points.len();
    let mut input = vec![0.0f32; kernels::SURFACE_INPUTS * n];
    for (i, point) in points.iter().enumerate() {
        let (a, b) = &surfaces.curves[point.matrix as usize];
        let values = [
            point.ln_dose_a - a.ln_ec50,
            point.ln_dose_b - b.ln_ec50,
            point.alone_a,
            point.alone_b,
            a.top,
            a.bottom,
            a.slope,
            b.top,
            b.bottom,
            b.slope,
        ];
        for (row, value) in values.into_iter().enumerate() {
            input[row * n + i] = value as f32;
        }
    }
    Chunk {
        config: [n as u32, 0, 0, 0],
        input,
        output: kernels::SURFACE_OUTPUTS * n,
        groups: (n as u32).div_ceil(GROUP),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::ModelId;
    use crate::model::hill::Hill4;

    /// Share of clear curves that the certificate in f64 had to polish after a run of `kernel`.
    fn polished(gpu: &Gpu, kernel: &Kernel) -> f64 {
        let settings = FitSettings::new(ModelId::Hill4);
        let mut curves = CurveSet::new();
        for i in 0..400i32 {
            let truth = [1.0, 0.1, -15.0 + f64::from(i % 20) * 0.1, 1.0 + f64::from(i % 9) * 0.1];
            curves.push(
                None,
                (0..10).map(|k| {
                    let dose = 1e-9 * 10f64.powf(f64::from(k) * 0.5);
                    (dose, ModelId::Hill4.response(dose, &truth) + 0.03 * f64::from(i * 37 + k * 11).sin(), 1.0)
                }),
            );
        }
        let (problems, _) = prepare::<Hill4, 4>(&settings, &curves);
        let answers = gpu.fit_single(kernel, &settings, &problems).unwrap();
        let fits = certify::<Hill4, 4>(&settings, problems, answers);
        fits.iter().filter(|(_, f)| f.refit != Refit::None).count() as f64 / fits.len() as f64
    }

    #[test]
    fn the_certificate_notices_a_fault_in_the_kernel() {
        let gpu = match Gpu::open() {
            Ok(gpu) => gpu,
            Err(error) => {
                assert!(
                    std::env::var_os("CI").is_none_or(|v| v != "true"),
                    "a GPU adapter must be there in CI: {error}"
                );
                println!("skipped: {error}");
                return;
            }
        };
        assert!(polished(&gpu, &kernels::fit(ModelId::Hill4)) <= 0.01);
        let sound = kernels::fit(ModelId::Hill4);
        // Planted fault: the step is taken against its own direction.
        let source = sound.source.replacen("target_p[i] = move_to[i];", "target_p[i] = 2.0 * at.p[i] - move_to[i];", 1);
        let faulty = Kernel { name: "lm_faulty".into(), source };
        assert_ne!(faulty.source, sound.source);
        assert!(polished(&gpu, &faulty) > 0.5);
    }
}
