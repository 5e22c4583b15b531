//! The CPU back end: f64, blocks of curves over the thread pool, lanes within a block. The reference.

use super::{Backend, Expected, PlateBatch, SpatialBatch, SpatialPoint, SurfaceBatch, SurfacePoint};
use crate::Result;
use crate::config::{Normalization, SpatialCorrection};
use crate::fit::block::{continue_block, fit_block};
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::math::instructions::{InstructionSet, Vectorisable};
use crate::math::{Instructions, Lanes};
use crate::model::surface::{HillCurve, bliss, hsa, loewe};
use crate::model::{Model, hill::Hill4};
use rayon::prelude::*;
use std::array::from_fn;
use std::ops::Range;

/// Curves handed to a thread at a time: enough to keep lanes full and to share the tables of starts, few enough to
/// share the work.
const BLOCK: usize = 2048;
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

    fn score_surfaces(&self, surfaces: &SurfaceBatch) -> Result<Vec<Expected>> {
        let groups: Vec<Vec<Expected>> = surfaces
            .points
            .par_chunks(BLOCK)
            .map(|points| InstructionSet::detect().run(Surfaces { curves: &surfaces.curves, points }))
            .collect();
        Ok(groups.concat())
    }
}

/// Descends in f64 from given nonlinear parameters, those of each curve one after the other: how single-precision fits
/// are certified and how fits are continued under other weights. A curve that cannot be fitted says why.
pub(crate) fn descend_from(settings: &FitSettings, curves: &CurveSet, begins: &[f64]) -> Vec<(Fit, f64)> {
    let set = InstructionSet::detect();
    over_blocks(curves.len(), |range| set.run(Continued { curves, range, settings, begins }))
}

/// Runs `work` over blocks of curves, in parallel; results in order.
fn over_blocks<T: Send>(n: usize, work: impl Fn(Range<usize>) -> Vec<T> + Sync + Send) -> Vec<T> {
    let blocks: Vec<Range<usize>> = (0..n).step_by(BLOCK).map(|from| from..(from + BLOCK).min(n)).collect();
    let results: Vec<Vec<T>> = blocks.into_par_iter().map(&work).collect();
    results.into_iter().flatten().collect()
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

struct Surfaces<'a> {
    curves: &'a [(HillCurve<f64>, HillCurve<f64>)],
    points: &'a [SurfacePoint],
}

impl Vectorisable for Surfaces<'_> {
    type Output = Vec<Expected>;
    fn with(self, instructions: impl Instructions) -> Vec<Expected> {
        instructions.run(
            #[inline(always)]
            || self.score(),
        )
    }
}

impl Surfaces<'_> {
    #[inline(always)]
    fn score(self) -> Vec<Expected> {
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
            let (a, b) = (curve(false), curve(true));
            let (ln_dose_a, ln_dose_b) = (lanes(&|p| p.ln_dose_a), lanes(&|p| p.ln_dose_b));
            let (alone_a, alone_b) = (lanes(&|p| p.alone_a), lanes(&|p| p.alone_b));
            let fitted = |x, c: HillCurve<Lanes<LANES>>| Hill4::response(x, [c.top, c.bottom, c.ln_ec50, c.slope]);
            let by_hsa = hsa(alone_a, alone_b);
            let by_bliss = bliss(alone_a, alone_b);
            let by_loewe = loewe(ln_dose_a, ln_dose_b, a, b);
            let by_zip = bliss(fitted(ln_dose_a, a), fitted(ln_dose_b, b));
            expected.extend((0..chunk.len()).map(|i| Expected {
                hsa: by_hsa.0[i],
                bliss: by_bliss.0[i],
                loewe: by_loewe.0[i],
                zip: by_zip.0[i],
            }));
        }
        expected
    }
}

/// The name of the instruction set that the lanes use on this machine.
pub fn instruction_set() -> &'static str {
    InstructionSet::detect().name()
}
