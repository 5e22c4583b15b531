//! Fits and reference surfaces per second on the CPU.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isobole::backend::cpu::Cpu;
use isobole::backend::{Backend, SurfaceBatch, SurfacePoint};
use isobole::bench::simulated::{DOSES, REPLICATES, simulate};
use isobole::fit::FitSettings;
use isobole::model::ModelId;
use isobole::model::surface::HillCurve;

const CURVES: usize = 4096;

fn fits(criterion: &mut Criterion) {
    let set = simulate(CURVES, DOSES, REPLICATES, 1).collapse().curves;
    let mut group = criterion.benchmark_group("fit");
    group.throughput(Throughput::Elements(CURVES as u64)).sample_size(10);
    for &model in ModelId::ALL {
        let settings = FitSettings::new(model);
        group.bench_function(model.name(), |bencher| bencher.iter(|| Cpu.fit(&settings, &set)));
    }
    group.finish();
}

fn surfaces(criterion: &mut Criterion) {
    let curve = HillCurve { top: 1.0, bottom: 0.1, ln_ec50: -16.0, slope: 1.4 };
    let point = |i: usize| SurfacePoint {
        matrix: (i / 49) as u32,
        ln_dose_a: -20.0 + (i % 7) as f64,
        ln_dose_b: -20.0 + (i / 7 % 7) as f64,
        alone_a: 0.8,
        alone_b: 0.6,
    };
    let batch = SurfaceBatch {
        curves: vec![(curve, curve); 1000],
        points: (0..49_000).map(point).collect(),
        without_loewe: false,
    };
    let mut group = criterion.benchmark_group("surfaces");
    group.throughput(Throughput::Elements(1000)).sample_size(10);
    group.bench_function("7 x 7 matrices", |bencher| bencher.iter(|| Cpu.score_surfaces(&batch)));
    group.finish();
}

criterion_group!(benches, fits, surfaces);
criterion_main!(benches);
