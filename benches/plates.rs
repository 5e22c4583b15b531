//! Plates: reading, quality and percent of vehicle against only decoding the same columns; median polish on both back ends.
//!
//! `ISOBOLE_SHARED` names the folder of published data; without it only simulated plates are timed.

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use isobole::analysis::normalise;
use isobole::backend::cpu::Cpu;
use isobole::backend::gpu::Gpu;
use isobole::backend::{Backend, PlateBatch, WellClass};
use isobole::config::{Normalization, ScreenFile, Settings};
use isobole::ingest::read_screen;
use parquet::arrow::ProjectionMask;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Columns of the file that `datasets/examples/gdsc.toml` makes the program read.
const COLUMNS: [&str; 9] =
    ["plate_id", "row", "col", "cell_line", "well_tag", "drug_id", "conc", "conc_unit", "raw_intensity"];

fn decode(path: &Path) -> usize {
    let open = || std::fs::File::open(path).ok().and_then(|f| ParquetRecordBatchReaderBuilder::try_new(f).ok());
    let Some(builder) = open() else { return 0 };
    let mask = ProjectionMask::columns(builder.parquet_schema(), COLUMNS);
    let Ok(reader) = builder.with_projection(mask).with_batch_size(16_384).build() else { return 0 };
    reader.flatten().map(|batch| black_box(batch).num_rows()).sum()
}

/// Nanoseconds that this thread has computed, which other work on the machine does not stretch; wall time elsewhere than on
/// Linux.
fn computed(since: Instant) -> f64 {
    let told = std::fs::read_to_string("/proc/thread-self/schedstat").ok();
    let spent = told.and_then(|text| text.split(' ').next()?.parse().ok());
    spent.unwrap_or_else(|| since.elapsed().as_nanos() as f64)
}

/// Both in turn on one thread, so that neither has a better moment of the machine than the other.
fn side_by_side(decode: impl Fn() -> usize, whole: impl Fn() -> usize) {
    let start = Instant::now();
    let time = |work: &dyn Fn() -> usize| {
        let before = computed(start);
        black_box(work());
        computed(start) - before
    };
    let mut rounds: Vec<(f64, f64)> = (0..15).map(|_| (time(&decode), time(&whole))).collect();
    rounds.sort_by(|a, b| (a.0 / a.1).total_cmp(&(b.0 / b.1)));
    let (decoding, all) = rounds[rounds.len() / 2];
    println!(
        "reading, quality and percent of vehicle: {:.0} % of the speed of only decoding ({:.1} and {:.1} ms computed)",
        100.0 * decoding / all,
        all / 1e6,
        decoding / 1e6
    );
}

fn reading(criterion: &mut Criterion) {
    let Some(shared) = std::env::var_os("ISOBOLE_SHARED") else { return };
    let path = PathBuf::from(shared).join("data/plates_gdsc_example_raw.parquet");
    let toml = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/examples/gdsc.toml");
    let settings = ScreenFile::read(&toml).and_then(|said| Settings::resolve(said, vec![path.clone()], "out".into()));
    let (rows, Ok(settings)) = (decode(&path), settings) else { return };
    let whole = || {
        let screen = read_screen(&settings.inputs, &settings.mapping, None)?;
        normalise(&screen, &settings, &Cpu).map(|analysis| analysis.wells.len())
    };
    // In a thread of its own, which stays the only one of its pool.
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let Ok(pool) = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build() else { return };
            pool.install(|| side_by_side(|| decode(&path), || whole().unwrap_or(0)));
        });
    });
    let mut group = criterion.benchmark_group("gdsc plates");
    group.throughput(Throughput::Elements(rows as u64)).sample_size(10);
    group.bench_function("decode the columns", |bencher| bencher.iter(|| decode(&path)));
    group.bench_function("read, judge, percent of vehicle", |bencher| bencher.iter(whole));
    group.finish();
}

/// Plates of 384 wells with rows, columns and noise.
fn simulated(n_plates: usize) -> PlateBatch {
    let mut plates = PlateBatch { offsets: vec![0], ..PlateBatch::default() };
    let mut state = 88_172_645_463_325_252_u64;
    for plate in 0..n_plates {
        for (row, column) in (0..16u16).flat_map(|r| (0..24u16).map(move |c| (r, c))) {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let noise = (state >> 11) as f64 / (1u64 << 53) as f64;
            let effect = 1.0 + 0.01 * f64::from(row) - 0.005 * f64::from(column) * (plate % 3) as f64;
            plates.signal.push(1e5 * effect * (0.9 + 0.2 * noise));
            plates.class.push(if column == 0 { WellClass::Vehicle } else { WellClass::Other });
            plates.place.push((row, column));
        }
        plates.offsets.push(plates.signal.len());
    }
    plates
}

fn polish(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("b-scores of plates of 384 wells");
    group.sample_size(10);
    let mut time = |backend: &dyn Backend, n_plates: usize| {
        let plates = simulated(n_plates);
        let name = format!("{n_plates} plates, {}: {}", backend.name(), backend.device());
        group.throughput(Throughput::Elements(n_plates as u64));
        group.bench_function(name, |bencher| bencher.iter(|| backend.normalise(Normalization::BScore, &plates)));
    };
    time(&Cpu, 10_000);
    if let Ok(gpu) = Gpu::open() {
        // Software takes minutes for what a card does in a blink.
        time(&gpu, if gpu.is_software() { 200 } else { 10_000 });
    }
    group.finish();
}

criterion_group!(benches, reading, polish);
criterion_main!(benches);
