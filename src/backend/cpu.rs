//! The CPU back end: f64, blocks of curves over the thread pool, lanes within a block. The reference.

use super::{Backend, Expected, PlateBatch, SurfaceBatch, SurfacePoint};
use crate::Result;
use crate::config::Normalization;
use crate::fit::levenberg_marquardt::{Begin, End, best_starts, descend, outcome};
use crate::fit::problem::Problem;
use crate::fit::{CurveSet, Fit, FitSettings, Refit, Status};
use crate::math::Lanes;
use crate::model::surface::{HillCurve, bliss, hsa, loewe};
use crate::model::{Model, ModelVisitor, hill::Hill4};
use rayon::prelude::*;
use std::array::from_fn;

/// Curves handed to a thread at a time: enough to keep lanes full, few enough to share the work.
const BLOCK: usize = 512;
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

    fn fit(&self, settings: &FitSettings, curves: &CurveSet) -> Result<Vec<Fit>> {
        struct All<'a>(&'a FitSettings, &'a CurveSet);
        impl ModelVisitor for All<'_> {
            type Output = Vec<Fit>;
            fn visit<M: Model<N>, const N: usize>(self) -> Vec<Fit> {
                let (problems, mut fits) = prepare::<M, N>(self.0, self.1);
                for (curve, fit) in fit_problems::<M, N>(self.0, &problems) {
                    fits[curve] = fit;
                }
                fits
            }
        }
        Ok(settings.model.visit(All(settings, curves)))
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

/// Checks and centres every curve. The fits hold the reasons of those that cannot be fitted; problems come grouped
/// by length, each group in the order of the curves.
pub(super) fn prepare<M: Model<N>, const N: usize>(
    settings: &FitSettings,
    curves: &CurveSet,
) -> (Vec<Problem<N>>, Vec<Fit>) {
    let checked: Vec<_> = (0..curves.len()).into_par_iter().map(|i| Problem::new::<M>(curves, i, settings)).collect();
    let mut fits = vec![Fit::failed(Status::BadValue); curves.len()];
    let mut problems = Vec::with_capacity(curves.len());
    for (fit, checked) in fits.iter_mut().zip(checked) {
        match checked {
            Ok(problem) => problems.push(problem),
            Err(status) => *fit = Fit::failed(status),
        }
    }
    problems.sort_by_key(|p| (p.ln_dose.len(), p.curve));
    (problems, fits)
}

/// Fits prepared problems (grouped by length); gives (curve, fit).
pub(super) fn fit_problems<M: Model<N>, const N: usize>(
    settings: &FitSettings,
    problems: &[Problem<N>],
) -> Vec<(usize, Fit)> {
    let set = InstructionSet::detect();
    over_blocks(problems, |block, _| {
        let model = std::marker::PhantomData;
        let begins = set.run(Starts::<M, N> { problems: block, settings, model });
        let ends = set.run(Descents::<M, N> { problems: block, begins: &begins, settings, model });
        let mut at = 0;
        block
            .iter()
            .enumerate()
            .map(|(i, problem)| {
                let from = at;
                while at < begins.len() && begins[at].problem == i {
                    at += 1;
                }
                (problem.curve, outcome::<M, N>(problem, &ends[from..at], Refit::None))
            })
            .collect()
    })
}

/// Descends in f64 from one given beginning a problem: how single-precision fits are certified. `begins[i]` belongs
/// to `problems[i]`.
pub(super) fn descend_from<M: Model<N>, const N: usize>(
    settings: &FitSettings,
    problems: &[Problem<N>],
    begins: &[[f64; N]],
) -> Vec<End<N>> {
    let set = InstructionSet::detect();
    over_blocks(problems, |block, first| {
        let begins: Vec<Begin<N>> =
            (0..block.len()).map(|problem| Begin { problem, parameters: begins[first + problem] }).collect();
        set.run(Descents::<M, N> { problems: block, begins: &begins, settings, model: std::marker::PhantomData })
    })
}

/// Runs `work` over blocks of problems of one length, in parallel; results in order. `work` is given the block and
/// the index of its first problem.
fn over_blocks<const N: usize, T: Send>(
    problems: &[Problem<N>],
    work: impl Fn(&[Problem<N>], usize) -> Vec<T> + Sync,
) -> Vec<T> {
    let mut blocks = Vec::new();
    let mut at = 0;
    while at < problems.len() {
        let length = problems[at].ln_dose.len();
        let same = problems[at..].partition_point(|p| p.ln_dose.len() <= length);
        let end = at + same.min(BLOCK);
        blocks.push(at..end);
        at = end;
    }
    let results: Vec<Vec<T>> =
        blocks.into_par_iter().map(|range| work(&problems[range.clone()], range.start)).collect();
    results.into_iter().flatten().collect()
}

/// Work that is compiled once for each instruction set. `run` must be `#[inline(always)]`.
trait Vectorised {
    type Output;
    fn run(self) -> Self::Output;
}

struct Starts<'a, M, const N: usize> {
    problems: &'a [Problem<N>],
    settings: &'a FitSettings,
    model: std::marker::PhantomData<M>,
}

impl<M: Model<N>, const N: usize> Vectorised for Starts<'_, M, N> {
    type Output = Vec<Begin<N>>;
    #[inline(always)]
    fn run(self) -> Self::Output {
        best_starts::<M, N, LANES>(self.problems, self.settings.starts.max(1))
    }
}

struct Descents<'a, M, const N: usize> {
    problems: &'a [Problem<N>],
    begins: &'a [Begin<N>],
    settings: &'a FitSettings,
    model: std::marker::PhantomData<M>,
}

impl<M: Model<N>, const N: usize> Vectorised for Descents<'_, M, N> {
    type Output = Vec<End<N>>;
    #[inline(always)]
    fn run(self) -> Self::Output {
        descend::<M, N, LANES>(self.problems, self.begins, self.settings.max_iterations)
    }
}

struct Surfaces<'a> {
    curves: &'a [(HillCurve<f64>, HillCurve<f64>)],
    points: &'a [SurfacePoint],
}

impl Vectorised for Surfaces<'_> {
    type Output = Vec<Expected>;
    #[inline(always)]
    fn run(self) -> Vec<Expected> {
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

/// What the processor can do, found at run time: a prebuilt program uses it without compile flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InstructionSet {
    Portable,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

impl InstructionSet {
    fn detect() -> Self {
        #[cfg(target_arch = "x86_64")]
        {
            if is_x86_feature_detected!("avx512f") && is_x86_feature_detected!("avx512dq") {
                return InstructionSet::Avx512;
            }
            if is_x86_feature_detected!("avx2") {
                return InstructionSet::Avx2;
            }
        }
        InstructionSet::Portable
    }

    fn name(self) -> &'static str {
        match self {
            InstructionSet::Portable => "portable",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx2 => "AVX2",
            #[cfg(target_arch = "x86_64")]
            InstructionSet::Avx512 => "AVX-512",
        }
    }

    fn run<W: Vectorised>(self, work: W) -> W::Output {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx512f,avx512dq")]
            fn avx512<W: Vectorised>(work: W) -> W::Output {
                work.run()
            }
            #[target_feature(enable = "avx2")]
            fn avx2<W: Vectorised>(work: W) -> W::Output {
                work.run()
            }
            match self {
                // SAFETY: `detect` found the instructions that each function needs.
                InstructionSet::Avx512 => return unsafe { avx512(work) },
                // SAFETY: as above.
                InstructionSet::Avx2 => return unsafe { avx2(work) },
                InstructionSet::Portable => {}
            }
        }
        work.run()
    }
}
