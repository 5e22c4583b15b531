//! CPU against GPU: fits per second side by side, where the time goes, and how far the answers are apart.

pub mod agreement;
pub mod simulated;
pub mod simulated_matrices;
pub mod synergy;
mod text;

use crate::Result;
use crate::backend::Backend;
use crate::backend::cpu::{Cpu, instruction_set};
use crate::backend::gpu::Gpu;
use crate::backend::gpu::device::{AdapterSummary, ChunkLimits};
use crate::backend::gpu::timings::FitTimings;
use crate::config::BackendChoice;
use crate::fit::{Fit, FitSettings, Refit};
use crate::model::ModelId;
use crate::report::files::write_whole;
use agreement::{Agreement, agreement};
use serde::Serialize;
use simulated::{DOSES, REPLICATES, simulate};
use std::path::Path;
use std::time::Instant;

/// Doses of a curve of the chunk check: millions of them must fit into memory.
const CHUNK_CHECK_DOSES: usize = 6;
/// Runs of each back end, interleaved; the median counts.
const ROUNDS: usize = 5;
/// Curves of the untimed first run, in which pipelines are compiled and threads started.
const WARM_UP: usize = 256;

/// What to time.
#[derive(Debug, Clone, PartialEq)]
pub struct BenchSettings {
    /// Curves fitted in each round.
    pub curves: usize,
    /// Seed of the simulated curves.
    pub seed: u64,
    /// Models, in the order of the report.
    pub models: Vec<ModelId>,
    /// `auto` for every back end that is there.
    pub backend: BackendChoice,
}

/// One back end on one model.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// `cpu` or `gpu`.
    pub backend: String,
    /// The device.
    pub device: String,
    /// The model.
    pub model: String,
    /// Median over the rounds, checks and certificates included; replicates were collapsed before.
    pub fits_per_second: f64,
    /// Seconds of each round, in the order in which they were run.
    pub round_seconds: Vec<f64>,
    /// Share of the fits that ended at a minimum.
    pub converged: f64,
    /// Curves that were not fitted.
    pub failed: usize,
    /// Share that the certificate in f64 changed; 0 on the CPU.
    pub polished: f64,
    /// The same on identifiable curves.
    pub polished_identifiable: f64,
    /// Where the time of one round went, the mean of the rounds; on the GPU only.
    pub phases: Option<FitTimings>,
}

/// What `isobole bench` prints and saves.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Version of the program.
    pub version: String,
    /// Curves fitted in each round.
    pub curves: usize,
    /// How many of them can be found again.
    pub identifiable: usize,
    /// Distinct doses of a curve.
    pub doses: usize,
    /// Wells a dose, collapsed before the fit.
    pub replicates: usize,
    /// Seconds that collapsing took, on one thread; not part of the fits per second.
    pub collapse_seconds: f64,
    /// Rounds, the back ends in turn.
    pub rounds: usize,
    /// Threads of the CPU.
    pub threads: usize,
    /// What the CPU's lanes are compiled for.
    pub instruction_set: String,
    /// The GPU with its driver, or the software that stands for one.
    pub adapter: Option<AdapterSummary>,
    /// Models, in order.
    pub models: Vec<String>,
    /// One entry a model and back end.
    pub speeds: Vec<Speed>,
    /// GPU against CPU, one entry a model, where both were run.
    pub agreements: Vec<Agreement>,
    /// Why a back end is missing.
    pub missing: Option<String>,
}

/// Times the back ends on every chosen model, and compares their answers.
///
/// # Errors
/// Those of the back ends. With [`BackendChoice::Auto`] a missing GPU is not one, it is said in the report.
pub fn bench(settings: &BenchSettings) -> Result<BenchReport> {
    let curves = simulate(settings.curves, DOSES, REPLICATES, settings.seed);
    let since = Instant::now();
    let collapsed = curves.collapse();
    let collapse_seconds = since.elapsed().as_secs_f64();
    let warm_up = simulate(WARM_UP, DOSES, REPLICATES, settings.seed).collapse().curves;
    let (gpu, missing) = match settings.backend {
        BackendChoice::Cpu => (None, Some("the CPU was asked for".into())),
        BackendChoice::Gpu => (Some(Gpu::open()?), None),
        BackendChoice::Auto => match Gpu::open() {
            Ok(gpu) => (Some(gpu), None),
            Err(error) => (None, Some(error.to_string())),
        },
    };
    let mut back_ends: Vec<&dyn Backend> = Vec::new();
    if settings.backend != BackendChoice::Gpu {
        back_ends.push(&Cpu);
    }
    back_ends.extend(gpu.as_ref().map(|gpu| gpu as &dyn Backend));
    let mut report = BenchReport {
        version: env!("CARGO_PKG_VERSION").into(),
        curves: curves.len(),
        identifiable: curves.identifiable.iter().filter(|i| **i).count(),
        doses: DOSES,
        replicates: REPLICATES,
        collapse_seconds,
        rounds: ROUNDS,
        threads: rayon::current_num_threads(),
        instruction_set: instruction_set().into(),
        adapter: gpu.as_ref().map(|gpu| gpu.adapter().clone()),
        models: settings.models.iter().map(|model| model.name().into()).collect(),
        speeds: Vec::new(),
        agreements: Vec::new(),
        missing,
    };
    for &model in &settings.models {
        let fit_settings = FitSettings::new(model);
        for backend in &back_ends {
            backend.fit(&fit_settings, &warm_up)?;
        }
        let before = gpu.as_ref().map(Gpu::timings);
        let mut seconds = vec![Vec::new(); back_ends.len()];
        let mut fits = vec![Vec::new(); back_ends.len()];
        for _ in 0..ROUNDS {
            for (i, backend) in back_ends.iter().enumerate() {
                let since = Instant::now();
                fits[i] = backend.fit(&fit_settings, &collapsed.curves)?;
                seconds[i].push(since.elapsed().as_secs_f64());
            }
        }
        let phases = gpu.as_ref().zip(before).map(|(gpu, before)| gpu.timings().since(&before).over(ROUNDS));
        for ((backend, fits), seconds) in back_ends.iter().zip(&fits).zip(seconds) {
            let phases = phases.filter(|_| backend.name() == "gpu");
            report.speeds.push(speed(*backend, model, fits, &curves.identifiable, seconds, phases));
        }
        if let [cpu, gpu] = fits.as_slice() {
            report.agreements.push(agreement(model, &curves, &collapsed.pure_error, cpu, gpu));
        }
    }
    Ok(report)
}

fn speed(
    backend: &dyn Backend,
    model: ModelId,
    fits: &[Fit],
    identifiable: &[bool],
    round_seconds: Vec<f64>,
    phases: Option<FitTimings>,
) -> Speed {
    let share = |of: &dyn Fn(usize) -> bool, chosen: &dyn Fn(&Fit) -> bool| {
        let (mut all, mut hits) = (0usize, 0usize);
        for fit in fits.iter().enumerate().filter(|(i, _)| of(*i)).map(|(_, fit)| fit) {
            all += 1;
            hits += usize::from(chosen(fit));
        }
        hits as f64 / all.max(1) as f64
    };
    let polished = |f: &Fit| f.refit != Refit::None;
    Speed {
        backend: backend.name().into(),
        device: backend.device(),
        model: model.name().into(),
        fits_per_second: fits.len() as f64 / median(&round_seconds).max(f64::MIN_POSITIVE),
        round_seconds,
        converged: share(&|_| true, &|f| f.status.is_fitted() && f.status.reason().is_none()),
        failed: fits.iter().filter(|f| !f.status.is_fitted()).count(),
        polished: share(&|_| true, &polished),
        polished_identifiable: share(&|i| identifiable[i], &polished),
        phases,
    }
}

/// The middle value, the upper of two; 0 of nothing.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted.get(sorted.len() / 2).copied().unwrap_or(0.0)
}

/// Fits `n` curves on the GPU in one call, and again in chunks of a prime number of fits with few workgroups along
/// a dimension; gives the number of curves that were not fitted or whose fits differ in any bit, which must be 0.
///
/// # Errors
/// Those of the back end, a missing adapter among them.
pub fn chunk_check(n: usize, seed: u64) -> Result<usize> {
    let set = simulate(n, CHUNK_CHECK_DOSES, 1, seed).collapse().curves;
    // One short descent each: what is asked is whether every fit arrives, not how good it is.
    let settings = FitSettings { starts: 1, max_iterations: 20, ..FitSettings::new(ModelId::Hill4) };
    let whole = Gpu::open()?.fit(&settings, &set)?;
    let tight = ChunkLimits { units: 99_991, bytes: 16 << 20, groups: 1000 };
    let chunks = Gpu::with_limits(tight)?.fit(&settings, &set)?;
    let unfitted = whole.iter().filter(|f| !f.status.is_fitted()).count();
    Ok(unfitted + whole.iter().zip(&chunks).filter(|(a, b)| a != b).count())
}

impl BenchReport {
    /// Writes the figures as JSON.
    ///
    /// # Errors
    /// [`crate::Error::File`] when writing fails.
    pub fn write(&self, path: &Path) -> Result<()> {
        let failed = |source| crate::Error::File { action: "write", path: path.to_owned(), source };
        let text = serde_json::to_vec_pretty(self).map_err(|e| failed(e.into()))?;
        write_whole(path, |out| out.write_all(&text))
    }
}
