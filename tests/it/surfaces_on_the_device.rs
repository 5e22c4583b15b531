//! Surfaces with parameters of interaction are fitted on the device as on the CPU.

use crate::formula::surface::POWER;
use crate::gpu;
use crate::interaction::{doses, ln, truth, uniform};
use crate::synergy::{key, named_blocks, observation};
use isobole::backend::cpu::Cpu;
use isobole::backend::{Backend, Finish};
use isobole::fit::{CurveSet, Fit, FitSettings, Refit};
use isobole::math::random::standard_normal;
use isobole::model::formula::FormulaFile;
use isobole::model::{Axis, ModelId, Starts, SurfaceModel, braid, effective_dose, musyc};
use isobole::screen::dose_matrix::{DoseMatrix, matrix_from_cells};
use isobole::synergy::bootstrap::{Resampling, add_intervals};
use isobole::synergy::design::Design;
use isobole::synergy::interaction::{Effort, Surface, fit_surfaces};
use isobole::synergy::margins::fit_margins;
use isobole::synergy::score::score_matrices;
use isobole::synergy::{Margins, MatrixScore, SynergyModel};
use std::path::Path;

/// A noisy matrix of one to three wells a pair, of a surface's own kind; every third has few doses.
fn matrix(surface: Surface, trial: u64) -> DoseMatrix {
    let p = truth(trial, 2.5);
    let at = |place, from, to| uniform(trial, place, from, to);
    let response = |a: f64, b: f64| match surface {
        Surface::MusycGamma => {
            let mut q = [0.0; 12];
            q[..10].copy_from_slice(&p);
            (q[10], q[11]) = (at(40, -0.7, 0.7), at(41, -0.7, 0.7));
            musyc::MusycGamma::response(a, b, q)
        }
        Surface::Braid | Surface::BraidFree => {
            let q = [1.0, 0.1, at(40, 0.4, 1.0), at(41, 0.4, 1.0), p[4], p[5], p[6], p[7], at(42, -1.0, 1.0)];
            braid::Braid::response(a, b, q)
        }
        Surface::EffectiveDose => {
            effective_dose::EffectiveDose::response(a, b, [1.0, p[4], p[5], p[6], p[7], p[8], p[9]])
        }
        Surface::Musyc | Surface::Formula(_) => musyc::Musyc::response(a, b, p),
    };
    let step = if trial.is_multiple_of(3) { 2 } else { 1 };
    let mut wells = Vec::new();
    for (i, a) in doses().step_by(step).enumerate() {
        for (j, b) in doses().step_by(step).enumerate() {
            for _ in 0..1 + (7 * i + 3 * j + trial as usize) % 3 {
                let noise = 0.06 * standard_normal(5, trial, 1, wells.len() as u32);
                wells.push(observation(a, b, response(ln(a), ln(b)) + noise));
            }
        }
    }
    matrix_from_cells(key(trial as u32), &wells).unwrap()
}

fn matrices(surface: Surface, count: u64) -> Vec<DoseMatrix> {
    (0..count).map(|trial| matrix(surface, trial)).collect()
}

fn surfaces() -> Vec<Surface> {
    let formula = FormulaFile::parse(&POWER.replace("dose_unit = \"uM\"\n", ""), Path::new("power.toml"));
    let all = [Surface::Musyc, Surface::MusycGamma, Surface::Braid, Surface::BraidFree, Surface::EffectiveDose];
    all.into_iter().chain([Surface::Formula(formula.unwrap().into_model())]).collect()
}

fn fits(surface: Surface, matrices: &[DoseMatrix], effort: Effort, backend: &dyn Backend) -> Vec<Fit> {
    let designs: Vec<Design> = matrices.iter().map(Design::new).collect();
    let items: Vec<_> = designs.iter().map(|design| (design, design.observed())).collect();
    let margins = fit_margins(&items, &FitSettings::new(ModelId::Hill4), &Cpu).unwrap();
    let fits = fit_surfaces(surface, &items, &margins, 100, effort, backend).unwrap();
    fits.into_iter().map(|fitted| fitted.fit).collect()
}

/// Share of the fits whose sum of squares is above that of the reference by more than this share.
fn above(reference: &[Fit], fits: &[Fit], by: f64) -> f64 {
    assert!(!fits.is_empty() && reference.len() == fits.len());
    let all = reference.iter().zip(fits);
    all.filter(|(a, b)| b.sse.is_nan() || b.sse > a.sse * (1.0 + by)).count() as f64 / fits.len() as f64
}

fn share(fits: &[Fit], refit: Refit) -> f64 {
    fits.iter().filter(|fit| fit.refit == refit).count() as f64 / fits.len() as f64
}

/// The cells of matrices as curves of two variables, and one rough beginning for each: the middle of the doses.
fn curves(model: ModelId, matrices: &[DoseMatrix]) -> (CurveSet, Vec<f64>) {
    let mut set = CurveSet::new();
    for m in matrices {
        set.push(None, m.cells.iter().map(|c| (c.dose_a, c.response, c.weight)));
        set.x2.extend(m.cells.iter().map(|c| ln(c.dose_b)));
    }
    let model = model.curve_model();
    let begin = model.nonlinear.iter().map(|p| match (model.parameters[*p].axis, model.parameters[*p].starts) {
        (Axis::Plain, Starts::Values(values)) => values[values.len() / 2],
        (Axis::Dose, _) => 1e-7,
        _ => 1e-7f64.ln(),
    });
    let begin: Vec<f64> = begin.collect();
    (set, begin.repeat(matrices.len()))
}

#[test]
fn descents_on_the_device_end_where_those_of_the_cpu_do() {
    let Some(gpu) = gpu() else { return };
    for surface in surfaces() {
        let settings = FitSettings::new(surface.model());
        let (set, begins) = curves(surface.model(), &matrices(surface, 120));
        let cpu = Cpu.descend(&settings, &set, &begins, Finish::Certified).unwrap();
        let single = gpu.descend(&settings, &set, &begins, Finish::Certified).unwrap();
        let (polished, again) = (share(&single, Refit::Polished), share(&single, Refit::F64));
        let (higher, lower) = (above(&cpu, &single, 1e-5), above(&single, &cpu, 1e-5));
        println!("{}: {higher:.3} above, {lower:.3} below, {polished:.3} polished, {again:.3} again", surface.name());
        assert!(higher <= 0.03 && polished <= 0.12 && again <= 0.02);
        assert!(cpu.iter().zip(&single).all(|(a, b)| a.status.is_fitted() == b.status.is_fitted()));
        // Planted faults: sums of squares too high by a ten-thousandth; fits that end where they begin.
        let worse: Vec<Fit> = single.iter().map(|fit| Fit { sse: fit.sse * 1.0001, ..*fit }).collect();
        assert!(above(&cpu, &worse, 1e-5) > 0.9);
        let hasty = FitSettings { max_iterations: 1, ..settings };
        assert!(above(&cpu, &gpu.descend(&hasty, &set, &begins, Finish::Certified).unwrap(), 1e-5) > 0.9);
    }
}

#[test]
fn fits_of_data_agree_between_back_ends() {
    let Some(gpu) = gpu() else { return };
    for surface in [Surface::Musyc, Surface::Braid] {
        let matrices = matrices(surface, 10);
        let (cpu, single) =
            (fits(surface, &matrices, Effort::Data, &Cpu), fits(surface, &matrices, Effort::Data, &gpu));
        assert!(above(&cpu, &single, 1e-5) == 0.0 && above(&single, &cpu, 1e-5) == 0.0);
        // At the dose pairs measured: what the data do not tell may differ.
        let furthest = |of: &[Fit]| {
            let of_matrix = |((a, b), m): ((&Fit, &Fit), &DoseMatrix)| {
                let response = |fit: &Fit, at: [f64; 2]| surface.response(at, &fit.parameters);
                let places = m.cells.iter().map(|c| [ln(c.dose_a), ln(c.dose_b)]);
                places.map(|at| (response(a, at) - response(b, at)).abs()).fold(0.0, f64::max)
            };
            cpu.iter().zip(of).zip(&matrices).map(of_matrix).fold(0.0, f64::max)
        };
        println!("{}: responses differ by {:.1e} at most", surface.name(), furthest(&single));
        assert!(furthest(&single) < 2e-3);
        let mut moved = single.clone();
        moved[3].parameters[1] += 0.01;
        assert!(furthest(&moved) > 4e-3, "the comparison can fail");
    }
}

#[test]
fn draws_stay_in_single_precision_and_are_as_good() {
    let Some(gpu) = gpu() else { return };
    for surface in surfaces() {
        let matrices = matrices(surface, 120);
        let (cpu, single) =
            (fits(surface, &matrices, Effort::Draw, &Cpu), fits(surface, &matrices, Effort::Draw, &gpu));
        let (higher, lower) = (above(&cpu, &single, 1e-3), above(&single, &cpu, 1e-3));
        let again = share(&single, Refit::F64);
        println!("{}: {higher:.3} above, {lower:.3} below, {again:.3} in f64", surface.name());
        assert!(higher <= 0.02 && again <= 0.15);
        let worse: Vec<Fit> = single.iter().map(|fit| Fit { sse: fit.sse * 1.002, ..*fit }).collect();
        assert!(above(&cpu, &worse, 1e-3) > 0.9, "the comparison can fail");
    }
}

#[test]
fn a_bootstrap_of_surfaces_runs_on_the_device() {
    let Some(gpu) = gpu() else { return };
    let matrices = matrices(Surface::Musyc, 3);
    let models = [SynergyModel::Musyc, SynergyModel::Braid];
    let fit = FitSettings::new(ModelId::Hill4);
    let screen = named_blocks();
    let draws = 60;
    let resampled = |backend: &dyn Backend, seed: u64| -> Vec<MatrixScore> {
        let mut scores = score_matrices(&matrices, &models, Margins::Fitted, &fit, &Cpu).unwrap();
        let resampling = Resampling { draws, seed, ..Resampling::default() };
        let (all, fit) = (&mut scores, &fit);
        add_intervals(all, &matrices, &screen, &models, Margins::Fitted, fit, resampling, backend).unwrap();
        scores
    };
    let errors = |scores: &[MatrixScore]| -> Vec<f64> {
        scores.iter().flat_map(|s| s.scores.iter().map(|score| score.standard_error.unwrap())).collect()
    };
    let furthest = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| (a / b - 1.0).abs()).fold(0.0, f64::max);
    let cpu = errors(&resampled(&Cpu, 1));
    let before = gpu.timings();
    let single = errors(&resampled(&gpu, 1));
    let after = gpu.timings().since(&before);
    println!("standard errors differ by {:.4} at most", furthest(&cpu, &single));
    assert!(furthest(&cpu, &single) < 0.05);
    assert!(furthest(&errors(&resampled(&Cpu, 2)), &single) > 0.05, "other draws are noticed");
    // Nine beginnings of MuSyC and six of BRAID for each draw of 25 and more dose pairs went up.
    assert!(after.bytes_up > (3 * draws * 15 * 25 * 4) as u64, "{after:?}");
}
