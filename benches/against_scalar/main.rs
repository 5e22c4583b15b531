//! The honest yardstick: the four-parameter log-logistic through 20 points, fitted by this crate's CPU back end on one
//! thread, and by the scalar f64 loop that a competent user of the `levenberg-marquardt` crate would write.
//!
//! `cargo bench --bench against_scalar [-- --curves N --rounds N --json FILE]`. With `ISOBOLE_PEERS` naming a folder
//! that holds `curves.parquet`, `curves_truth.parquet` and `curves_best_known.parquet`, those curves are fitted, and
//! the sums of squares held against the best known. Rounds are interleaved, so that a noisy machine is noisy to all.

mod peers;
mod quality;
mod scalar;

use clap::Parser;
use isobole::Result;
use isobole::backend::cpu::{Cpu, instruction_set};
use isobole::backend::{Backend, gpu::Gpu};
use isobole::bench::median;
use isobole::bench::simulated::{DOSES, REPLICATES, ReplicatedCurves, simulate};
use isobole::fit::{Bound, Fit, FitSettings};
use isobole::model::ModelId;
use nalgebra::{U10, U20};
use quality::{Quality, of_isobole, of_scalar};
use scalar::ScalarFit;
use serde::Serialize;
use std::f64::consts::LN_10;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// A measurement goes on until it has taken this long, in seconds.
const SHORTEST: f64 = 0.25;
/// Fits of one call when the cores are compared, at least: enough blocks for every core.
const SCALING_FITS: usize = 200_000;

#[derive(Parser)]
struct Options {
    /// Curves to simulate, where `ISOBOLE_PEERS` names none
    #[arg(long, default_value_t = 10_000)]
    curves: usize,
    /// Interleaved rounds; medians count
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Seed of the simulated curves
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Write the figures to this file
    #[arg(long)]
    json: Option<PathBuf>,
    /// Given by cargo
    #[arg(long, hide = true)]
    bench: bool,
}

/// One kind of fit on one set of curves.
#[derive(Debug, Default, Serialize)]
struct Contestant {
    fits_per_second: f64,
    /// Over the scalar loop: the median of the rounds' ratios.
    ratio: f64,
    #[serde(skip)]
    seconds: Vec<f64>,
}

/// The contestants on one set of curves.
#[derive(Debug, Serialize)]
struct Race {
    curves: usize,
    scalar: Contestant,
    scalar_collapsed: Contestant,
    isobole: Contestant,
    /// Share of isobole's time that went into collapsing the replicates.
    collapsing: f64,
}

#[derive(Debug, Serialize)]
struct Scaling {
    threads: usize,
    one_thread_fits_per_second: f64,
    all_threads_fits_per_second: f64,
    /// Speed on all threads over that on one, over the number of threads.
    efficiency: f64,
}

#[derive(Debug, Serialize)]
struct GpuSpeed {
    device: String,
    software: bool,
    identifiable_fits_per_second_and_core: f64,
    all_fits_per_second_and_core: f64,
    identifiable_ratio_to_scalar: f64,
    all_ratio_to_scalar: f64,
}

#[derive(Debug, Serialize)]
struct Report {
    data: String,
    clock: &'static str,
    instruction_set: &'static str,
    rounds: usize,
    identifiable: Race,
    all: Race,
    quality: Vec<Quality>,
    scaling: Scaling,
    gpu: std::result::Result<GpuSpeed, String>,
}

fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
    let options = Options::parse();
    let (data, curves, best) = match std::env::var_os("ISOBOLE_PEERS") {
        Some(folder) => {
            let (curves, best) = peers::read(Path::new(&folder))?;
            ("the peers' simulated curves", curves, Some(best))
        }
        None => ("simulated curves", simulate(options.curves, DOSES, REPLICATES, options.seed), None),
    };
    if (curves.ln_dose.len(), curves.replicates) != (DOSES, REPLICATES) {
        return Err(format!("curves of {DOSES} doses and {REPLICATES} replicates are needed").into());
    }
    let chosen = curves.identifiable();
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build()?;
    let rounds = options.rounds.max(1);
    // Everything below runs on the one worker, the scalar loop too: its CPU time is that of the work.
    let (identifiable, all, scalar_fits, fits) = one_thread.install(|| races(&chosen, &curves, rounds))?;
    let pure_error = curves.collapse().pure_error;
    let found = quality::Found { curves: &curves, scalar: &scalar_fits, isobole: &fits, pure_error: &pure_error };
    let best = best.unwrap_or_else(|| found.best_of_both());
    let report = Report {
        data: format!("{} {data}, {} identifiable", curves.len(), chosen.len()),
        clock: if thread_seconds().is_some() { "CPU time of the thread" } else { "wall time on one thread" },
        instruction_set: instruction_set(),
        rounds,
        quality: vec![of_scalar(&found, &best), of_isobole(&found, &best)],
        scaling: scaling(&curves, rounds, &one_thread)?,
        gpu: gpu(&chosen, &curves, rounds, &identifiable, &all)?,
        identifiable,
        all,
    };
    print(&report);
    if let Some(path) = options.json {
        std::fs::write(path, serde_json::to_vec_pretty(&report)?)?;
    }
    Ok(())
}

/// The settings of the comparison: the box that the best known sums of squares are of.
fn settings() -> FitSettings {
    let bound = |lower, upper| Bound { lower, upper };
    let mut settings = FitSettings::new(ModelId::Hill4);
    settings.bounds = vec![bound(-1.0, 3.0), bound(-1.0, 3.0), bound(-3.0 * LN_10, 3.0 * LN_10), bound(0.01, 20.0)];
    settings
}

/// Nanosecond CPU time of the calling thread, where the system tells (Linux).
fn thread_seconds() -> Option<f64> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    Some(text.split_whitespace().next()?.parse::<f64>().ok()? * 1e-9)
}

/// Runs `work` until [`SHORTEST`] has passed; its last result, and the seconds of one run on this thread.
fn timed<T>(mut work: impl FnMut() -> T) -> (f64, T) {
    let (wall, cpu) = (Instant::now(), thread_seconds());
    let mut runs = 0.0;
    loop {
        let result = work();
        runs += 1.0;
        if wall.elapsed().as_secs_f64() >= SHORTEST {
            let used = thread_seconds().zip(cpu).map_or(wall.elapsed().as_secs_f64(), |(now, then)| now - then);
            return (used / runs, result);
        }
    }
}

fn scalar_fits(curves: &ReplicatedCurves) -> Vec<ScalarFit> {
    let ln_dose: Vec<f64> = curves.ln_dose.iter().flat_map(|x| [*x; REPLICATES]).collect();
    (0..curves.len()).map(|i| scalar::fit::<U20>(&ln_dose, curves.wells(i), REPLICATES, 1.0)).collect()
}

/// What the scalar loop would gain from collapsing, too.
fn collapsed_scalar_fits(curves: &ReplicatedCurves) -> Vec<ScalarFit> {
    let collapsed = curves.collapse().curves;
    (0..curves.len())
        .map(|i| scalar::fit::<U10>(&curves.ln_dose, collapsed.points(i).1, 1, REPLICATES as f64))
        .collect()
}

fn isobole_fits(curves: &ReplicatedCurves) -> Result<Vec<Fit>> {
    Cpu.fit(&settings(), &curves.collapse().curves)
}

type Races = (Race, Race, Vec<ScalarFit>, Vec<Fit>);

fn races(chosen: &ReplicatedCurves, curves: &ReplicatedCurves, rounds: usize) -> Result<Races> {
    let mut seconds = [chosen, curves].map(|set| (set, <[Vec<f64>; 4]>::default()));
    let mut last = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        for (set, [scalar, isobole, collapsed, collapsing]) in &mut seconds {
            let (used, scalar_fits) = timed(|| scalar_fits(set));
            scalar.push(used);
            let (used, fits) = timed(|| isobole_fits(set));
            isobole.push(used);
            last = (scalar_fits, fits?);
            collapsed.push(timed(|| collapsed_scalar_fits(set)).0);
            collapsing.push(timed(|| set.collapse()).0);
        }
    }
    let [identifiable, all] = seconds.map(|(set, [scalar, isobole, collapsed, collapsing])| {
        let contestant = |seconds: Vec<f64>| {
            let ratios: Vec<f64> = scalar.iter().zip(&seconds).map(|(s, own)| s / own).collect();
            let fits_per_second = set.len() as f64 / median(&seconds);
            Contestant { fits_per_second, ratio: median(&ratios), seconds }
        };
        let isobole = contestant(isobole);
        Race {
            curves: set.len(),
            collapsing: median(&collapsing) / median(&isobole.seconds),
            scalar_collapsed: contestant(collapsed),
            scalar: contestant(scalar.clone()),
            isobole,
        }
    });
    Ok((identifiable, all, last.0, last.1))
}

/// Wall time of the fits alone on one thread and on all.
fn scaling(curves: &ReplicatedCurves, rounds: usize, one: &rayon::ThreadPool) -> Result<Scaling> {
    let times = SCALING_FITS.div_ceil(curves.len().max(1));
    let many = ReplicatedCurves {
        response: curves.response.repeat(times),
        identifiable: curves.identifiable.repeat(times),
        ..curves.clone()
    };
    let set = many.collapse().curves;
    let wall = || -> Result<f64> {
        let since = Instant::now();
        Cpu.fit(&settings(), &set)?;
        Ok(since.elapsed().as_secs_f64())
    };
    let (mut alone, mut together) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        alone.push(one.install(wall)?);
        together.push(wall()?);
    }
    let threads = rayon::current_num_threads();
    let gains: Vec<f64> = alone.iter().zip(&together).map(|(alone, together)| alone / together).collect();
    Ok(Scaling {
        threads,
        one_thread_fits_per_second: set.len() as f64 / median(&alone),
        all_threads_fits_per_second: set.len() as f64 / median(&together),
        efficiency: median(&gains) / threads as f64,
    })
}

/// The GPU back end, certificate included, over all cores: a software adapter and the certificate use them all.
fn gpu(
    chosen: &ReplicatedCurves,
    curves: &ReplicatedCurves,
    rounds: usize,
    identifiable: &Race,
    all: &Race,
) -> Result<std::result::Result<GpuSpeed, String>> {
    let gpu = match Gpu::open() {
        Ok(gpu) => gpu,
        Err(error) => return Ok(Err(error.to_string())),
    };
    let cores = rayon::current_num_threads() as f64;
    let sets = [chosen, curves];
    let mut seconds = [Vec::new(), Vec::new()];
    // The first round compiles the pipeline and is not counted.
    for round in 0..=rounds {
        for (set, seconds) in sets.iter().zip(&mut seconds) {
            let since = Instant::now();
            gpu.fit(&settings(), &set.collapse().curves)?;
            if round > 0 {
                seconds.push(since.elapsed().as_secs_f64());
            }
        }
    }
    let [on_chosen, on_all] = [0, 1].map(|i| sets[i].len() as f64 / median(&seconds[i]) / cores);
    Ok(Ok(GpuSpeed {
        device: gpu.device(),
        software: gpu.is_software(),
        identifiable_fits_per_second_and_core: on_chosen,
        all_fits_per_second_and_core: on_all,
        identifiable_ratio_to_scalar: on_chosen / identifiable.scalar.fits_per_second,
        all_ratio_to_scalar: on_all / all.scalar.fits_per_second,
    }))
}

fn print(report: &Report) {
    let Report { data, clock, instruction_set, rounds, identifiable, all, quality, scaling, gpu } = report;
    println!("four-parameter log-logistic, {DOSES} doses x {REPLICATES}: {data}");
    println!("{clock}, medians of {rounds} interleaved rounds; lanes: {instruction_set}\n");
    println!("{:34} {:>12} {:>7} {:>12} {:>7}", "fits per second", "identifiable", "ratio", "all", "ratio");
    let row = |name: &str, of: &dyn Fn(&Race) -> &Contestant| {
        let (i, a) = (of(identifiable), of(all));
        println!("{name:34} {:>12.0} {:>7.1} {:>12.0} {:>7.1}", i.fits_per_second, i.ratio, a.fits_per_second, a.ratio);
    };
    row("scalar, 20 points, tol 1e-8", &|race| &race.scalar);
    row("scalar, collapsed to 10 points", &|race| &race.scalar_collapsed);
    row("isobole, one thread", &|race| &race.isobole);
    let (i, a) = (100.0 * identifiable.collapsing, 100.0 * all.collapsing);
    println!("{:34} {i:>11.1}% {:>7} {a:>11.1}%\n", "  of which collapsing", "");
    println!("{:48} {:>12} {:>10}", "share of curves", "identifiable", "all");
    for q in quality {
        for (what, [identifiable, all]) in q.rows() {
            println!("{:9} {what:38} {:>11.3}% {:>9.3}%", q.name, 100.0 * identifiable, 100.0 * all);
        }
    }
    println!(
        "\ncores, fits alone, wall time: {:.0} a second on one thread, {:.0} on {}: efficiency {:.2}",
        scaling.one_thread_fits_per_second, scaling.all_threads_fits_per_second, scaling.threads, scaling.efficiency
    );
    match gpu {
        Err(reason) => println!("GPU: {reason}"),
        Ok(gpu) => println!(
            "GPU back end on {}, wall time over {} cores: {:.0} identifiable, {:.0} of all a second and core: {:.1} and {:.1} times the scalar loop",
            gpu.device,
            scaling.threads,
            gpu.identifiable_fits_per_second_and_core,
            gpu.all_fits_per_second_and_core,
            gpu.identifiable_ratio_to_scalar,
            gpu.all_ratio_to_scalar
        ),
    }
}
