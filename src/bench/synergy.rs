//! `isobole bench --synergy`: matrices per second of the whole process (`--threads 1` for one core), model by model, and
//! a bootstrap.

use super::median;
use super::simulated_matrices::{LEVELS, REPLICATES, simulate_matrices};
use crate::Result;
use crate::backend::cpu::{Cpu, instruction_set};
use crate::fit::FitSettings;
use crate::model::ModelId;
use crate::report::files::write_whole;
use crate::synergy::bootstrap::{Resampling, add_intervals};
use crate::synergy::design::Design;
use crate::synergy::interaction::{Effort, Surface, fit_surfaces};
use crate::synergy::margins::fit_margins;
use crate::synergy::score::score_matrices;
use crate::synergy::{Margins, SynergyModel};
use serde::Serialize;
use std::fmt::Write;
use std::path::Path;
use std::time::Instant;

/// Runs of each, interleaved; the median counts.
const ROUNDS: usize = 3;
/// Draws of the bootstrap.
const DRAWS: usize = 1000;
/// Matrices that are drawn anew.
const DRAWN: usize = 5;

/// One thing timed.
#[derive(Debug, Clone, Serialize)]
pub struct SynergySpeed {
    /// What.
    pub what: String,
    /// Matrices of a second, by the median of the rounds.
    pub matrices_per_second: f64,
    /// Seconds of each round.
    pub round_seconds: Vec<f64>,
}

/// What is printed and saved.
#[derive(Debug, Clone, Serialize)]
pub struct SynergyBench {
    /// Version of the program.
    pub version: String,
    /// Matrices scored in each round.
    pub matrices: usize,
    /// Threads: the figures are of the whole process.
    pub threads: usize,
    /// What the lanes are compiled for.
    pub instruction_set: String,
    /// One entry a thing timed.
    pub speeds: Vec<SynergySpeed>,
    /// Seconds that 1,000 draws of one matrix's four scores take.
    pub bootstrap_seconds: f64,
}

/// Times scoring on the CPU.
///
/// # Errors
/// Those of the back end.
pub fn bench_synergy(matrices: usize, seed: u64) -> Result<SynergyBench> {
    let (screen, matrices) = simulate_matrices(matrices, seed)?;
    let fit = FitSettings::new(ModelId::Hill4);
    let score = |models: &[SynergyModel]| -> Result<()> {
        score_matrices(&matrices, models, Margins::Fitted, &fit, &Cpu).map(drop)
    };
    let designs: Vec<Design> = matrices.iter().map(Design::new).collect();
    let items: Vec<_> = designs.iter().map(|design| (design, design.observed())).collect();
    let margins = fit_margins(&items, &fit, &Cpu)?;
    let surface = |surface: Surface, effort: Effort| -> Result<()> {
        fit_surfaces(surface, &items, &margins, fit.max_iterations, effort, &Cpu).map(drop)
    };
    type Work<'a> = (&'a str, Box<dyn Fn() -> Result<()> + 'a>);
    let work: Vec<Work> = vec![
        ("HSA, Bliss, Loewe, ZIP, sensitivity", Box::new(|| score(&SynergyModel::REFERENCES))),
        ("Bliss", Box::new(|| score(&[SynergyModel::Bliss]))),
        ("MuSyC, best beginning", Box::new(|| surface(Surface::Musyc, Effort::Draw))),
        ("MuSyC, all beginnings, profiles", Box::new(|| surface(Surface::Musyc, Effort::Data))),
        ("BRAID, best beginning", Box::new(|| surface(Surface::BraidFree, Effort::Draw))),
        ("BRAID, all beginnings, profiles", Box::new(|| surface(Surface::BraidFree, Effort::Data))),
        ("BRAID with its prior, profiles", Box::new(|| surface(Surface::Braid, Effort::Data))),
        ("effective dose, best beginning", Box::new(|| surface(Surface::EffectiveDose, Effort::Draw))),
    ];
    let mut seconds = vec![Vec::new(); work.len()];
    for _ in 0..ROUNDS {
        for ((_, work), seconds) in work.iter().zip(&mut seconds) {
            let since = Instant::now();
            work()?;
            seconds.push(since.elapsed().as_secs_f64());
        }
    }
    let drawn = &matrices[..DRAWN.min(matrices.len())];
    let models = SynergyModel::REFERENCES;
    let scores = score_matrices(drawn, &models, Margins::Fitted, &fit, &Cpu)?;
    let resampling = Resampling { draws: DRAWS, seed, ..Resampling::default() };
    let mut draws = Vec::new();
    for _ in 0..ROUNDS {
        let mut scores = scores.clone();
        let since = Instant::now();
        add_intervals(&mut scores, drawn, &screen, &models, Margins::Fitted, &fit, resampling, &Cpu)?;
        draws.push(since.elapsed().as_secs_f64() / drawn.len().max(1) as f64);
    }
    let speed = |((what, _), round_seconds): (&Work, Vec<f64>)| SynergySpeed {
        what: (*what).to_owned(),
        matrices_per_second: matrices.len() as f64 / median(&round_seconds).max(f64::MIN_POSITIVE),
        round_seconds,
    };
    Ok(SynergyBench {
        version: env!("CARGO_PKG_VERSION").into(),
        matrices: matrices.len(),
        threads: rayon::current_num_threads(),
        instruction_set: instruction_set().into(),
        speeds: work.iter().zip(seconds).map(speed).collect(),
        bootstrap_seconds: median(&draws),
    })
}

impl SynergyBench {
    /// A plain table for the terminal.
    pub fn text(&self) -> String {
        let Self { version, matrices, threads, instruction_set, speeds, bootstrap_seconds } = self;
        let mut text = format!(
            "isobole {version}: {matrices} matrices of {LEVELS} x {LEVELS} doses x {REPLICATES} wells\n\
             median of {ROUNDS} interleaved rounds, {threads} threads, {instruction_set}\n\n\
             {:40} {:>16}\n",
            "model", "matrices/second"
        );
        for speed in speeds {
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{:40} {:>16.0}", speed.what, speed.matrices_per_second);
        }
        let _ = writeln!(text, "\n{DRAWS} draws of a matrix's four scores: {:.1} ms", 1e3 * bootstrap_seconds);
        text
    }

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
