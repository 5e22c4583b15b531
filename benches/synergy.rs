//! Matrices per second on one thread of the CPU: 8 × 8 doses, 3 wells each, MuSyC truths.

#![expect(clippy::expect_used, reason = "what is made here is as it should be")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isobole::backend::cpu::Cpu;
use isobole::fit::FitSettings;
use isobole::math::random::standard_normal;
use isobole::model::{LN_DOSE_ZERO, ModelId, SurfaceModel, musyc::Musyc};
use isobole::screen::Screen;
use isobole::screen::dose_matrix::{DoseMatrix, MatrixKey, Observation, matrix_from_cells};
use isobole::synergy::bootstrap::{Resampling, add_intervals};
use isobole::synergy::design::Design;
use isobole::synergy::interaction::{Effort, Surface, fit_surfaces};
use isobole::synergy::margins::fit_margins;
use isobole::synergy::score::score_matrices;
use isobole::synergy::{Margins, SynergyModel};

const MATRICES: usize = 100;
const LEVELS: u32 = 8;
const REPLICATES: u32 = 3;
const NOISE: f64 = 0.05;

/// Doses of 10 nM to 10 µM, and none.
fn dose(level: u32) -> f64 {
    if level == 0 { 0.0 } else { 1e-8 * 10f64.powf(0.5 * f64::from(level - 1)) }
}

fn matrix(number: u64, block: u32) -> DoseMatrix {
    // Between the two ends, by a number that looks random.
    let at = |place: u32, from: f64, to: f64| {
        from + (to - from) * (0.5 + 0.25 * standard_normal(1, number, 0, place)).clamp(0.0, 1.0)
    };
    let middle = 1e-6f64.ln();
    let truth = [
        1.0,
        at(0, 0.0, 0.6),
        at(1, 0.0, 0.6),
        at(2, 0.0, 0.2),
        at(3, middle - 2.0, middle + 2.0),
        at(4, middle - 2.0, middle + 2.0),
        at(5, 0.7, 3.0),
        at(6, 0.7, 3.0),
        at(7, -2.3, 2.3),
        at(8, -2.3, 2.3),
    ];
    let mut cells = Vec::new();
    let ln = |dose: f64| if dose > 0.0 { dose.ln() } else { LN_DOSE_ZERO };
    for (a, b) in (0..LEVELS).flat_map(|a| (0..LEVELS).map(move |b| (dose(a), dose(b)))) {
        for _ in 0..REPLICATES {
            let noise = NOISE * standard_normal(2, number, 0, cells.len() as u32);
            let response = Musyc::response(ln(a), ln(b), truth) + noise;
            cells.push(Observation { dose_a: a, dose_b: b, response, weight: 1.0 });
        }
    }
    let key = MatrixKey { block: Some(block), line: 0, drug_a: 0, drug_b: 1, schedule: None };
    matrix_from_cells(key, &cells).expect("a full matrix")
}

fn synergy(criterion: &mut Criterion) {
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let mut screen = Screen::default();
    screen.drugs.intern("a");
    screen.drugs.intern("b");
    screen.lines.intern("line");
    let matrices: Vec<DoseMatrix> =
        (0..MATRICES as u64).map(|n| matrix(n, screen.blocks.intern(&n.to_string()))).collect();
    let fit = FitSettings::new(ModelId::Hill4);
    let mut group = criterion.benchmark_group("synergy");
    group.throughput(Throughput::Elements(MATRICES as u64)).sample_size(10);
    let score = |models: &[SynergyModel]| score_matrices(&matrices, models, Margins::Fitted, &fit, &Cpu);
    for model in SynergyModel::ALL {
        group.bench_function(model.name(), |b| b.iter(|| one_thread.install(|| score(&[model]))));
    }
    group.bench_function("all four references", |b| {
        b.iter(|| one_thread.install(|| score(&SynergyModel::REFERENCES)));
    });
    let designs: Vec<Design> = matrices.iter().map(Design::new).collect();
    let items: Vec<_> = designs.iter().map(|design| (design, design.observed())).collect();
    let margins = fit_margins(&items, &fit, &Cpu).expect("margins");
    for (name, surface) in [
        ("musyc", Surface::Musyc),
        ("musyc_gamma", Surface::MusycGamma),
        ("braid", Surface::Braid),
        ("braid_free", Surface::BraidFree),
    ] {
        for (effort, of) in [(Effort::Data, "data"), (Effort::Draw, "draw")] {
            group.bench_function(format!("{name} fit of {of}"), |b| {
                b.iter(|| one_thread.install(|| fit_surfaces(surface, &items, &margins, fit.max_iterations, effort)));
            });
        }
    }
    group.finish();

    let mut group = criterion.benchmark_group("bootstrap");
    group.sample_size(10);
    let models = SynergyModel::REFERENCES;
    let one = &matrices[..1];
    let scores = score_matrices(one, &models, Margins::Fitted, &fit, &Cpu).expect("scores");
    group.bench_function("1,000 draws of a matrix's four scores", |b| {
        b.iter(|| {
            let mut scores = scores.clone();
            let resampling = Resampling { draws: 1000, seed: 1 };
            one_thread
                .install(|| add_intervals(&mut scores, one, &screen, &models, Margins::Fitted, &fit, resampling, &Cpu))
        });
    });
    group.finish();
}

criterion_group!(benches, synergy);
criterion_main!(benches);
