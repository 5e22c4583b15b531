//! Matrices per second on one thread of the CPU: 8 × 8 doses, 3 wells each, MuSyC truths.

#![expect(clippy::expect_used, reason = "what is made here is as it should be")]

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isobole::backend::cpu::Cpu;
use isobole::bench::simulated_matrices::simulate_matrices;
use isobole::fit::FitSettings;
use isobole::model::ModelId;
use isobole::synergy::bootstrap::{Resampling, add_intervals};
use isobole::synergy::design::Design;
use isobole::synergy::interaction::{Effort, Surface, fit_surfaces};
use isobole::synergy::margins::fit_margins;
use isobole::synergy::score::score_matrices;
use isobole::synergy::{Margins, SynergyModel};

const MATRICES: usize = 100;

fn synergy(criterion: &mut Criterion) {
    let one_thread = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("one thread");
    let (screen, matrices) = simulate_matrices(MATRICES, 1).expect("full matrices");
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
                b.iter(|| {
                    one_thread.install(|| fit_surfaces(surface, &items, &margins, fit.max_iterations, effort, &Cpu))
                });
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
            let resampling = Resampling { draws: 1000, seed: 1, ..Resampling::default() };
            one_thread
                .install(|| add_intervals(&mut scores, one, &screen, &models, Margins::Fitted, &fit, resampling, &Cpu))
        });
    });
    group.finish();
}

criterion_group!(benches, synergy);
criterion_main!(benches);
