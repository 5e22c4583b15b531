//! The GPU back end: wgpu compute shaders in f32, every fit certified on the CPU in f64.
//!
//! # What a fit costs on a card (reckoned on paper, not measured on hardware)
//!
//! A `hill4` fit to 10 points of a layout that its neighbours share:
//!
//! - Memory: 56 bytes up (10 responses padded to 12, the table's number and a held value), 12 bytes down. Tables of
//!   starts are one a layout and chunk (14 KB for 10 doses) and are read as broadcasts out of the first or second
//!   cache. 100 million fits a second are then 7 GB/s: a few thousandths of what the memory of a data-centre card
//!   moves, and a ninth of what 16 lanes of PCIe 5 bring in. Memory is not what limits the kernel, and transfer hides
//!   behind it as chunks are streamed two deep.
//! - Arithmetic: the scan of 150 starts takes 12 multiply-adds of the one column that differs and about 30 operations
//!   for the box a start: 6,500 operations. An evaluation takes two passes over 12 points, of 15 and 45 operations and
//!   one exponential and one reciprocal each, then 60 to solve and 350 for the step: 1,200 operations and 50 of the
//!   special functions, which run at a quarter of the rate. The 4.7 (identifiable) to 6.3 (all) evaluations that
//!   descents in single precision take on average are 6,500 to 9,000 operations, so a fit is some 15,000. A card of
//!   30 tera-operations a second (60 TFLOP/s counts a multiply-add as two) would do 2 billion if every invocation
//!   were busy.
//! - Waiting for neighbours: 32 invocations run until the slowest has ended, which takes about 10 evaluations where
//!   curves are identifiable and up to the limit of 40 where not: a factor of 2 to 4. What is left is some hundreds of
//!   millions of fits a second, above the goal of 100 million; stalls of all kinds may take a factor of 3.
//! - Registers: in a descent points and responses 36, the stand (where the fit is) 27, boxes 8, the step's temporaries
//!   about 40: 110 to 130 of 32 bits; in the scan the responses of four fits 48, and about 60 more. So 15 to 18 warps
//!   of the 64 that a multiprocessor has room for. No arrays, no local memory, no shared memory.
//! - Four fits an invocation share what the scan reads: 18 floats a start are 4.5 a fit. A chunk of 2^18 fits is
//!   65,536 invocations: what 132 multiprocessors of 16 warps hold at once.
//! - The certificate: at least one evaluation a fit in f64 on the CPU, about 1 microsecond a fit and core. It, not the
//!   card, bounds the whole call on any card: a host of 64 cores certifies some 50 million fits a second at best. It is
//!   the price of never giving a number that single precision alone vouches for.
//!
//! Measured on a software adapter (llvmpipe of Mesa 22.3, 8 lanes, curves as `bench` simulates them): 120,000 fits a
//! CPU-second without the certificate, identifiable curves or all. Reads are what costs there, as it gathers lane by
//! lane: with one fit an invocation it was 40,000.

mod descents;
pub mod device;
pub mod fit_kernel;
mod fit_text;
mod fits;
pub mod kernels;
mod plates;
mod table_shape;
pub mod timings;

use super::{Backend, Finish, PlateBatch, SpatialBatch, SpatialPoint, SurfaceBatch};
use crate::Result;
use crate::config::{Normalization, SpatialCorrection};
use crate::fit::{CurveSet, Fit, FitSettings, Refit};
use crate::model::reference::{FURTHER, Further, References, USUAL, Usual};
use device::{AdapterSummary, Chunk, ChunkLimits, Device, GROUP};
use std::ops::Range;
use timings::{FitTimings, Recorder};

/// Surfaces fitted together: some 70,000 descents, and host memory of a few hundred megabytes.
const SURFACES: usize = 8192;

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
        plates::normalise(&self.device, normalization, plates)
    }

    fn spatial(&self, kind: SpatialCorrection, plates: &SpatialBatch) -> Result<Vec<SpatialPoint>> {
        plates::spatial(&self.device, kind, plates)
    }

    /// Fits on the device and certifies in f64; models that [`fit_kernel::supports`] declines (no nonlinear parameter
    /// at all, more than three, more than four linear ones, more than two descents), and settings that ask for more starts
    /// than the kernel takes to the end, are fitted by the CPU back end instead, and say so ([`Refit::F64`]).
    fn fit(&self, settings: &FitSettings, curves: &CurveSet) -> Result<Vec<Fit>> {
        if !fit_kernel::supports(settings.model.curve_model()) || settings.starts > fits::MOST_STARTS {
            let mut fits = super::cpu::Cpu.fit(settings, curves)?;
            for fit in fits.iter_mut().filter(|fit| fit.status.is_fitted()) {
                fit.refit = Refit::F64;
            }
            return Ok(fits);
        }
        fits::fit(&self.device, &self.recorder, settings, curves, fit_kernel::kernel)
    }

    /// Descends on the device; models that [`fit_kernel::supports_descents`] declines (no nonlinear parameter at all, more
    /// than eight, more than four linear ones) are left to the CPU back end, and say so ([`Refit::F64`]).
    fn descend(&self, settings: &FitSettings, curves: &CurveSet, begins: &[f64], finish: Finish) -> Result<Vec<Fit>> {
        if !fit_kernel::supports_descents(settings.model.curve_model()) {
            let mut fits = super::cpu::Cpu.descend(settings, curves, begins, finish)?;
            for fit in fits.iter_mut().filter(|fit| fit.status.is_fitted()) {
                fit.refit = Refit::F64;
            }
            return Ok(fits);
        }
        let kernel = fit_kernel::descent_kernel;
        descents::descend(&self.device, &self.recorder, settings, curves, begins, finish, kernel)
    }

    fn surfaces_a_call(&self) -> usize {
        SURFACES
    }

    fn score_surfaces(&self, surfaces: &SurfaceBatch) -> Result<Vec<[f64; USUAL]>> {
        self.score(Usual, surfaces)
    }

    fn score_further(&self, surfaces: &SurfaceBatch) -> Result<Vec<[f64; FURTHER]>> {
        self.score(Further, surfaces)
    }
}

impl Gpu {
    /// A list of references at every point.
    fn score<R: References<N>, const N: usize>(&self, list: R, surfaces: &SurfaceBatch) -> Result<Vec<[f64; N]>> {
        let n = surfaces.points.len();
        let units = self.device.units_per_chunk(kernels::SURFACE_INPUTS * size_of::<f32>());
        let ranges = (0..n).step_by(units).map(|from| from..(from + units).min(n));
        let mut expected = Vec::with_capacity(n);
        self.device.stream(
            &kernels::surfaces(list),
            ranges,
            |range| pack_surfaces(surfaces, range, N),
            |range, output| {
                let n = range.len();
                expected.extend((0..n).map(|i| std::array::from_fn(|row| f64::from(output[row * n + i]))));
            },
        )?;
        Ok(expected)
    }
}

fn pack_surfaces(surfaces: &SurfaceBatch, range: &Range<usize>, outputs: usize) -> Chunk {
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
        tables: Vec::new(),
        output: outputs * n,
        groups: (n as u32).div_ceil(GROUP),
    }
}
