//! CPU against GPU: fits per second side by side, and how far the answers are apart.

use crate::Result;
use crate::backend::Backend;
use crate::backend::cpu::Cpu;
use crate::backend::gpu::Gpu;
use crate::backend::gpu::device::ChunkLimits;
use crate::fit::inference::infer;
use crate::fit::{CurveSet, Fit, FitSettings, Refit};
use crate::model::ModelId;
use crate::report::files::write_whole;
use crate::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use serde::Serialize;
use std::path::Path;
use std::time::Instant;

/// Doses of a bench curve.
const DOSES: usize = 10;
/// Doses of a curve of the chunk check: millions of them must fit into memory.
const CHUNK_CHECK_DOSES: usize = 6;
/// Standard deviation of the noise.
const NOISE: f64 = 0.05;
/// Runs of each back end, interleaved; the median counts.
const ROUNDS: usize = 3;
/// The agreement asked of the back ends, in standard errors.
const CLOSE: f64 = 0.01;

/// One back end on one model.
#[derive(Debug, Clone, Serialize)]
pub struct Speed {
    /// `cpu` or `gpu`.
    pub backend: String,
    /// The device.
    pub device: String,
    /// The model.
    pub model: String,
    /// Median over the rounds, checks and certificates included.
    pub fits_per_second: f64,
    /// Share of the fits that ended at a minimum.
    pub converged: f64,
    /// Share that the certificate in f64 changed; 0 on the CPU.
    pub polished: f64,
}

/// How two back ends agree.
#[derive(Debug, Clone, Serialize)]
pub struct Agreement {
    /// The model.
    pub model: String,
    /// Curves compared: those whose every parameter has a standard error and whose midpoint was tested.
    pub identifiable: usize,
    /// Share of them with a parameter further apart than 0.01 standard errors.
    pub apart: f64,
    /// Median of the largest difference of a curve, in standard errors.
    pub median_shift: f64,
}

/// What `isobole bench` prints and saves.
#[derive(Debug, Clone, Serialize)]
pub struct BenchReport {
    /// Version of the program.
    pub version: String,
    /// Curves fitted in each round.
    pub curves: usize,
    /// Threads of the CPU.
    pub threads: usize,
    /// One entry a back end and model.
    pub speeds: Vec<Speed>,
    /// One entry a model, where there are two back ends.
    pub agreements: Vec<Agreement>,
    /// Why a back end is missing.
    pub missing: Option<String>,
}

/// A number in 0..1 from a seed and two places (SplitMix64): the same on every machine and at any thread count.
fn uniform(seed: u64, curve: u64, place: u64) -> f64 {
    let mut z = seed ^ curve.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ place.wrapping_mul(0xD1B5_4A32_D192_ED03);
    for multiplier in [0xBF58_476D_1CE4_E5B9u64, 0x94D0_49BB_1331_11EB] {
        z = (z ^ (z >> 30)).wrapping_mul(multiplier);
    }
    ((z ^ (z >> 31)) >> 11) as f64 / (1u64 << 53) as f64
}

/// `n` noisy curves of `doses` log-spaced doses from 1 nM to 31.6 µM, over a wide range of potencies, slopes and
/// plateaus; one in four has its midpoint beyond the tested range.
pub fn curves(n: usize, doses: usize, seed: u64) -> CurveSet {
    let mut set = CurveSet::new();
    for curve in 0..n as u64 {
        let u = |place| uniform(seed, curve, place);
        let ln_ec50 = (1e-9f64).ln() + std::f64::consts::LN_10 * (-0.75 + 6.0 * u(0));
        let truth = [0.9 + 0.2 * u(1), 0.6 * u(2), ln_ec50, 0.5 + 2.5 * u(3)];
        set.push(
            None,
            (0..doses).map(|k| {
                let dose = 1e-9 * 10f64.powf(4.5 * k as f64 / (doses.max(2) - 1) as f64);
                let place = 10 + 2 * k as u64;
                let normal = (-2.0 * (1.0 - u(place)).ln()).sqrt() * (std::f64::consts::TAU * u(place + 1)).cos();
                (dose, ModelId::Hill4.response(dose, &truth) + NOISE * normal, 1.0)
            }),
        );
    }
    set
}

/// Times both back ends on every model, and compares their answers.
///
/// # Errors
/// Those of the back ends; a missing GPU is not one, it is said in the report.
pub fn bench(n: usize, seed: u64) -> Result<BenchReport> {
    let set = curves(n, DOSES, seed);
    let mut back_ends: Vec<Box<dyn Backend>> = vec![Box::new(Cpu)];
    let mut missing = None;
    match Gpu::open() {
        Ok(gpu) => back_ends.push(Box::new(gpu)),
        Err(error) => missing = Some(error.to_string()),
    }
    let mut report = BenchReport {
        version: env!("CARGO_PKG_VERSION").into(),
        curves: n,
        threads: rayon::current_num_threads(),
        speeds: Vec::new(),
        agreements: Vec::new(),
        missing,
    };
    for &model in ModelId::ALL {
        let settings = FitSettings::new(model);
        let mut seconds = vec![Vec::new(); back_ends.len()];
        let mut fits = vec![Vec::new(); back_ends.len()];
        for _ in 0..ROUNDS {
            for (i, backend) in back_ends.iter().enumerate() {
                let since = Instant::now();
                fits[i] = backend.fit(&settings, &set)?;
                seconds[i].push(since.elapsed().as_secs_f64());
            }
        }
        for (i, backend) in back_ends.iter().enumerate() {
            seconds[i].sort_by(f64::total_cmp);
            let share = |chosen: &dyn Fn(&Fit) -> bool| {
                fits[i].iter().filter(|f| chosen(f)).count() as f64 / fits[i].len().max(1) as f64
            };
            report.speeds.push(Speed {
                backend: backend.name().into(),
                device: backend.device(),
                model: model.name().into(),
                fits_per_second: n as f64 / seconds[i][ROUNDS / 2],
                converged: share(&|f| f.status.is_fitted() && f.status.reason().is_none()),
                polished: share(&|f| f.refit != Refit::None),
            });
        }
        if let [cpu, gpu] = fits.as_slice() {
            report.agreements.push(agreement(model, &set, cpu, gpu));
        }
    }
    Ok(report)
}

/// Fits `n` curves on the GPU in one call, and again in chunks of a prime number of fits with few workgroups along
/// a dimension; gives the number of curves that were not fitted or whose fits differ in any bit, which must be 0.
///
/// # Errors
/// Those of the back end, a missing adapter among them.
pub fn chunk_check(n: usize, seed: u64) -> Result<usize> {
    let set = curves(n, CHUNK_CHECK_DOSES, seed);
    // One short descent each: what is asked is whether every fit arrives, not how good it is.
    let settings = FitSettings { starts: 1, max_iterations: 20, ..FitSettings::new(ModelId::Hill4) };
    let whole = Gpu::open()?.fit(&settings, &set)?;
    let tight = ChunkLimits { units: 99_991, bytes: 16 << 20, groups: 1000 };
    let chunks = Gpu::with_limits(tight)?.fit(&settings, &set)?;
    let unfitted = whole.iter().filter(|f| !f.status.is_fitted()).count();
    Ok(unfitted + whole.iter().zip(&chunks).filter(|(a, b)| a != b).count())
}

/// Compares two sets of fits in standard errors of the first.
pub fn agreement(model: ModelId, set: &CurveSet, reference: &[Fit], other: &[Fit]) -> Agreement {
    let mut shifts: Vec<f64> = (0..set.len()).filter_map(|i| shift(model, set, i, &reference[i], &other[i])).collect();
    shifts.sort_by(f64::total_cmp);
    let apart = shifts.iter().filter(|s| **s > CLOSE).count();
    Agreement {
        model: model.name().into(),
        identifiable: shifts.len(),
        apart: apart as f64 / shifts.len().max(1) as f64,
        median_shift: shifts.get(shifts.len() / 2).copied().unwrap_or(0.0),
    }
}

/// The largest difference of a parameter in standard errors; `None` for a curve that does not tell its parameters:
/// one without all standard errors, with a midpoint less than half a decade inside the tested range, or an effect
/// that the noise hides.
fn shift(model: ModelId, set: &CurveSet, i: usize, reference: &Fit, other: &Fit) -> Option<f64> {
    let (ln_dose, response, weight) = set.points(i);
    let points = ln_dose.iter().zip(response).zip(weight).map(|((x, y), w)| CurvePoint {
        dose: if x.is_finite() { x.exp() } else { 0.0 },
        response: *y,
        weight: *w,
        n: 1,
        sum_of_squares: 0.0,
    });
    let curve = Curve { key: CurveKey { line: 0, drug: 0, schedule: None }, points: points.collect() };
    let inferred = infer(&curve, reference, model);
    let errors: Vec<f64> =
        inferred.standard_errors[..model.parameters().len()].iter().copied().collect::<Option<_>>()?;
    let half_decade = 0.5 * std::f64::consts::LN_10;
    let (low, high) = (ln_dose[0] + half_decade, ln_dose[ln_dose.len() - 1] - half_decade);
    let midpoint = model.location().map(|at| reference.parameters[at]);
    if midpoint.is_some_and(|m| !(low..=high).contains(&m)) || inferred.p_value.is_none_or(|p| p > 1e-4) {
        return None;
    }
    let shifts = errors.iter().enumerate().map(|(p, se)| (reference.parameters[p] - other.parameters[p]).abs() / se);
    Some(shifts.fold(0.0, f64::max))
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

    /// A plain table for the terminal.
    pub fn text(&self) -> String {
        let mut text = format!("{} curves of {DOSES} doses, {} threads\n\n", self.curves, self.threads);
        text += &format!(
            "{:8} {:8} {:>14} {:>10} {:>9}  device\n",
            "model", "back end", "fits/second", "converged", "polished"
        );
        for s in &self.speeds {
            let (converged, polished) = (100.0 * s.converged, 100.0 * s.polished);
            text += &format!(
                "{:8} {:8} {:>14.0} {converged:>9.2}% {polished:>8.2}%  {}\n",
                s.model, s.backend, s.fits_per_second, s.device
            );
        }
        for a in &self.agreements {
            text += &format!(
                "\n{}: of {} identifiable curves {:.3} % differ by more than {CLOSE} standard errors (median {:.1e})",
                a.model,
                a.identifiable,
                100.0 * a.apart,
                a.median_shift
            );
        }
        if let Some(missing) = &self.missing {
            text += &format!("\nno GPU was compared: {missing}");
        }
        text + "\n"
    }
}
