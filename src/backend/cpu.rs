//! The CPU back end: f64, blocks of curves over the thread pool, lanes within a block. The reference.

use super::{Backend, Finish, PlateBatch, SpatialBatch, SpatialPoint, SurfaceBatch, SurfacePoint};
use crate::Result;
use crate::config::{Normalization, SpatialCorrection};
use crate::fit::block::{continue_block, fit_block};
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::math::instructions::{InstructionSet, Vectorisable};
use crate::math::{Instructions, Lanes};
use crate::model::reference::{Direct, DosePair, FURTHER, Further, References, USUAL, Usual};
use crate::model::surface::HillCurve;
use rayon::prelude::*;
use std::array::from_fn;
use std::marker::PhantomData;
use std::ops::Range;

/// Curves handed to a thread at a time, at most: few enough to stay in its cache.
const BLOCK: usize = 2048;
/// And at least: enough to keep lanes full and to share the tables of starts.
const LEAST_BLOCK: usize = 256;
/// Blocks a thread, where there are so many curves: none waits long for the last one.
const BLOCKS_A_THREAD: usize = 4;
/// Matrices evaluated together, at least and at most.
const MATRICES: (usize, usize) = (32, 1024);
/// Surfaces fitted together: enough to fill the lanes, few enough to share the work.
const SURFACES: usize = 24;
/// Curves side by side: two AVX2 registers or one AVX-512 register of f64.
const LANES: usize = 8;

/// The CPU.
#[derive(Debug, Clone, Copy, Default)]
pub struct Cpu;

impl Backend for Cpu {
    fn name(&self) -> &'static str {
        "cpu"
    }

    fn device(&self) -> String {
        format!("{} threads, {}", rayon::current_num_threads(), InstructionSet::detect().name())
    }

    fn normalise(&self, normalization: Normalization, plates: &PlateBatch) -> Result<Vec<f64>> {
        Ok(crate::plate::normalization::normalise(normalization, plates))
    }

    fn spatial(&self, kind: SpatialCorrection, plates: &SpatialBatch) -> Result<Vec<SpatialPoint>> {
        Ok(crate::plate::spatial_correction::surfaces(kind, plates))
    }

    fn curves_a_call(&self) -> usize {
        BLOCK
    }

    fn fit(&self, settings: &FitSettings, curves: &CurveSet) -> Result<Vec<Fit>> {
        let set = InstructionSet::detect();
        Ok(over_blocks(curves.len(), |range| set.run(Fits { curves, range, settings })))
    }

    fn descend(&self, settings: &FitSettings, curves: &CurveSet, begins: &[f64], _: Finish) -> Result<Vec<Fit>> {
        Ok(descend_from(settings, curves, begins).into_iter().map(|(fit, _)| fit).collect())
    }

    fn surfaces_a_call(&self) -> usize {
        SURFACES
    }

    fn matrices_a_call(&self, matrices: usize) -> usize {
        a_part(matrices, MATRICES.0, MATRICES.1)
    }

    fn score_surfaces(&self, surfaces: &SurfaceBatch) -> Result<Vec<[f64; USUAL]>> {
        Ok(if surfaces.without_loewe { score(Direct, surfaces) } else { score(Usual, surfaces) })
    }

    fn score_further(&self, surfaces: &SurfaceBatch) -> Result<Vec<[f64; FURTHER]>> {
        Ok(score(Further, surfaces))
    }
}

/// A list of references at every point.
fn score<R: References<N>, const N: usize>(_: R, surfaces: &SurfaceBatch) -> Vec<[f64; N]> {
    let part =
        |points| InstructionSet::detect().run(Surfaces::<R, N> { curves: &surfaces.curves, points, list: PhantomData });
    let parts: Vec<Vec<[f64; N]>> = surfaces.points.par_chunks(BLOCK).map(part).collect();
    parts.concat()
}

/// Descends in f64 from given nonlinear parameters, those of each curve one after the other: how single-precision fits
/// are certified and how fits are continued under other weights. A curve that cannot be fitted says why.
pub(crate) fn descend_from(settings: &FitSettings, curves: &CurveSet, begins: &[f64]) -> Vec<(Fit, f64)> {
    let set = InstructionSet::detect();
    over_blocks(curves.len(), |range| set.run(Continued { curves, range, settings, begins }))
}

/// Runs `work` over blocks of curves, in parallel; results in order. Where blocks are cut changes no result.
fn over_blocks<T: Send>(n: usize, work: impl Fn(Range<usize>) -> Vec<T> + Sync + Send) -> Vec<T> {
    let block = a_part(n, LEAST_BLOCK, BLOCK);
    let blocks: Vec<Range<usize>> = (0..n).step_by(block).map(|from| from..(from + block).min(n)).collect();
    let results: Vec<Vec<T>> = blocks.into_par_iter().map(&work).collect();
    results.into_iter().flatten().collect()
}

/// Parts of a list that keep all threads busy.
fn a_part(n: usize, least: usize, most: usize) -> usize {
    match rayon::current_num_threads() {
        1 => most,
        threads => n.div_ceil(threads * BLOCKS_A_THREAD).clamp(least, most),
    }
}

struct Fits<'a> {
    curves: &'a CurveSet,
    range: Range<usize>,
    settings: &'a FitSettings,
}

impl Vectorisable for Fits<'_> {
    type Output = Vec<Fit>;
    fn with(self, instructions: impl Instructions) -> Self::Output {
        fit_block::<LANES>(instructions, self.curves, self.range, self.settings)
    }
}

struct Continued<'a> {
    curves: &'a CurveSet,
    range: Range<usize>,
    settings: &'a FitSettings,
    begins: &'a [f64],
}

impl Vectorisable for Continued<'_> {
    type Output = Vec<(Fit, f64)>;
    fn with(self, instructions: impl Instructions) -> Self::Output {
        continue_block::<LANES>(instructions, self.curves, self.range, self.settings, self.begins)
    }
}

struct Surfaces<'a, R, const N: usize> {
    curves: &'a [(HillCurve<f64>, HillCurve<f64>)],
    points: &'a [SurfacePoint],
    list: PhantomData<R>,
}

impl<R: References<N>, const N: usize> Vectorisable for Surfaces<'_, R, N> {
    type Output = Vec<[f64; N]>;
    fn with(self, instructions: impl Instructions) -> Self::Output {
        instructions.run(
            #[inline(always)]
            || self.score(),
        )
    }
}

impl<R: References<N>, const N: usize> Surfaces<'_, R, N> {
    #[inline(always)]
    fn score(self) -> Vec<[f64; N]> {
        let mut expected = Vec::with_capacity(self.points.len());
        for chunk in self.points.chunks(LANES) {
            // A short last chunk repeats its last point: the extra lanes are thrown away.
            let at = |lane: usize| &chunk[lane.min(chunk.len() - 1)];
            let lanes = |f: &dyn Fn(&SurfacePoint) -> f64| Lanes::<LANES>(from_fn(|i| f(at(i))));
            let curve = |second: bool| {
                let of = |p: &SurfacePoint| {
                    let (a, b) = &self.curves[p.matrix as usize];
                    if second { *b } else { *a }
                };
                HillCurve {
                    top: lanes(&|p| of(p).top),
                    bottom: lanes(&|p| of(p).bottom),
                    ln_ec50: lanes(&|p| of(p).ln_ec50),
                    slope: lanes(&|p| of(p).slope),
                }
            };
            let values = R::expected(DosePair {
                ln_dose: [lanes(&|p| p.ln_dose_a), lanes(&|p| p.ln_dose_b)],
                alone: [lanes(&|p| p.alone_a), lanes(&|p| p.alone_b)],
                curves: [curve(false), curve(true)],
            });
            expected.extend((0..chunk.len()).map(|i| values.map(|value| value.0[i])));
        }
        expected
    }
}

/// The name of the instruction set that the lanes use on this machine.
pub fn instruction_set() -> &'static str {
    InstructionSet::detect().name()
}
