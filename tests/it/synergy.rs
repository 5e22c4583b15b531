//! Synergy scores against the peers' numbers, against closed forms, and against planted faults.

use crate::shared;
use arrow::array::{Array, AsArray, Float64Array};
use arrow::datatypes::{DataType, Float64Type, Int8Type, Int32Type, Int64Type};
use isobole::backend::cpu::Cpu;
use isobole::fit::FitSettings;
use isobole::math::random::standard_normal;
use isobole::model::ModelId;
use isobole::model::surface::{HillCurve, loewe};
use isobole::screen::Screen;
use isobole::screen::dose_matrix::{DoseMatrix, MatrixKey, Observation, matrix_from_cells};
use isobole::synergy::bootstrap::{Resampling, add_intervals};
use isobole::synergy::margins::response;
use isobole::synergy::score::score_matrices;
use isobole::synergy::{Margins, MatrixScore, SynergyModel};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::path::Path;

/// Rows of the named numeric columns; a null is a NaN.
pub fn rows<const N: usize>(path: &Path, columns: [&str; N]) -> Vec<[f64; N]> {
    let file = std::fs::File::open(path).unwrap();
    let mut rows = Vec::new();
    for batch in ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap() {
        let batch = batch.unwrap();
        let columns = columns.map(|name| {
            let array = batch.column_by_name(name).unwrap();
            let numbers: Float64Array = match array.data_type() {
                DataType::Int8 => array.as_primitive::<Int8Type>().unary(f64::from),
                DataType::Int32 => array.as_primitive::<Int32Type>().unary(f64::from),
                DataType::Int64 => array.as_primitive::<Int64Type>().unary(|v| v as f64),
                _ => array.as_primitive::<Float64Type>().clone(),
            };
            (0..numbers.len()).map(|i| if numbers.is_null(i) { f64::NAN } else { numbers.value(i) }).collect::<Vec<_>>()
        });
        rows.extend((0..batch.num_rows()).map(|row| std::array::from_fn(|c| columns[c][row])));
    }
    rows
}

pub fn key(block: u32) -> MatrixKey {
    MatrixKey { block: Some(block), line: 0, drug_a: 0, drug_b: 1, schedule: None }
}

pub fn observation(dose_a: f64, dose_b: f64, response: f64) -> Observation {
    Observation { dose_a, dose_b, response, weight: 1.0 }
}

/// The peers' input matrices, by their number.
pub fn peer_matrices(path: &Path) -> Vec<DoseMatrix> {
    let mut by_id: BTreeMap<u32, Vec<Observation>> = BTreeMap::new();
    for [id, a, b, y] in rows(path, ["matrix_id", "dose1", "dose2", "response"]) {
        by_id.entry(id as u32).or_default().push(observation(a, b, y));
    }
    by_id.into_iter().map(|(id, cells)| matrix_from_cells(key(id), &cells).unwrap()).collect()
}

/// The same with every cell's replicates taken for one well.
fn means(matrices: Vec<DoseMatrix>) -> Vec<DoseMatrix> {
    let one = |matrix: DoseMatrix| {
        let cells: Vec<_> = matrix.cells.iter().map(|c| observation(c.dose_a, c.dose_b, c.response)).collect();
        matrix_from_cells(matrix.key, &cells).unwrap()
    };
    matrices.into_iter().map(one).collect()
}

pub fn score(matrices: &[DoseMatrix], models: &[SynergyModel], margins: Margins) -> Vec<MatrixScore> {
    score_matrices(matrices, models, margins, &FitSettings::new(ModelId::Hill4), &Cpu).unwrap()
}

fn correlation(x: &[f64], y: &[f64]) -> f64 {
    let n = x.len() as f64;
    let (mx, my) = (x.iter().sum::<f64>() / n, y.iter().sum::<f64>() / n);
    let sum = |f: &dyn Fn(f64, f64) -> f64| x.iter().zip(y).map(|(x, y)| f(x - mx, y - my)).sum::<f64>();
    sum(&|x, y| x * y) / (sum(&|x, _| x * x) * sum(&|_, y| y * y)).sqrt()
}

/// A matrix without noise: Bliss-independent drugs over `levels` doses of each, dose zero included.
fn bliss_matrix(block: u32, levels: usize, replicates: usize, noise: impl Fn(u32) -> f64) -> DoseMatrix {
    let a = HillCurve { top: 1.0, bottom: 0.1, ln_ec50: libm::log(2e-7), slope: 1.2 };
    let b = HillCurve { top: 1.0, bottom: 0.3, ln_ec50: libm::log(1e-6), slope: 0.9 };
    let dose = |i: usize| if i == 0 { 0.0 } else { 1e-8 * libm::pow(10.0, 0.5 * i as f64) };
    let alone = |c: HillCurve<f64>, d: f64| if d > 0.0 { response(c, libm::log(d)) } else { c.top };
    let mut cells = Vec::new();
    for (i, j) in (0..levels).flat_map(|i| (0..levels).map(move |j| (i, j))) {
        for _ in 0..replicates {
            let place = cells.len() as u32;
            cells.push(observation(dose(i), dose(j), alone(a, dose(i)) * alone(b, dose(j)) + noise(place)));
        }
    }
    matrix_from_cells(key(block), &cells).unwrap()
}

/// Largest difference to synergyfinder's excess (in percentage points there, in a fraction here) and cells compared.
fn difference_to_synergyfinder(
    ours: &[MatrixScore],
    model: usize,
    theirs: &[[f64; 4]],
    block_offset: u32,
) -> (f64, usize) {
    let close = |a: f64, b: f64| (a - b).abs() <= 1e-9 * a.abs().max(b.abs());
    let (mut worst, mut compared) = (0.0f64, 0);
    for matrix in ours {
        let block = f64::from(matrix.key.block.unwrap() + block_offset);
        let theirs: Vec<&[f64; 4]> = theirs.iter().filter(|row| row[0] == block).collect();
        for cell in &matrix.cells {
            if let Some(excess) = cell.excess[model] {
                // Their doses are rounded to ten digits.
                let near = |ours: f64, theirs: f64| close(ours, theirs) || (ours - theirs).abs() < 1e-9;
                let same: Vec<_> =
                    theirs.iter().filter(|r| near(cell.dose_a, r[1]) && near(cell.dose_b, r[2])).collect();
                assert_eq!(same.len(), 1, "block {block}, doses {} and {}", cell.dose_a, cell.dose_b);
                worst = worst.max((excess - same[0][3] / 100.0).abs());
                compared += 1;
            }
        }
    }
    (worst, compared)
}

#[test]
fn bliss_and_hsa_of_observed_margins_are_synergyfinders() {
    let (Some(mathews), Some(simulated)) = (shared("peers/mathews.parquet"), shared("peers/matrices.parquet")) else {
        return;
    };
    let simulated: Vec<DoseMatrix> = means(peer_matrices(&simulated)).into_iter().take(100).collect();
    let models = [SynergyModel::Hsa, SynergyModel::Bliss];
    for (matrices, stem, offset, cells) in
        [(peer_matrices(&mathews), "sf_mathews_M_0_cells", 0, 50), (simulated, "sf_mean_M_cells", 1, 4900)]
    {
        let observed = score(&matrices, &models, Margins::Observed);
        let fitted = score(&matrices, &models, Margins::Fitted);
        for (m, name) in ["HSA", "Bliss"].into_iter().enumerate() {
            let path = shared(&format!("peers/{}.parquet", stem.replace('M', name))).unwrap();
            let theirs = rows(&path, ["block_id", "conc1", "conc2", &format!("{name}_synergy")]);
            let (worst, compared) = difference_to_synergyfinder(&observed, m, &theirs, offset);
            assert_eq!(compared, cells);
            assert!(worst < 1e-6, "{stem} {name}: {worst}");
            // Planted faults: the other reference, and fitted instead of observed margins.
            assert!(difference_to_synergyfinder(&observed, 1 - m, &theirs, offset).0 > 0.01);
            assert!(difference_to_synergyfinder(&fitted, m, &theirs, offset).0 > 0.01);
        }
    }
}

/// Mean excess over the combinations of each matrix, from a table of cells.
fn matrix_means(cells: &[[f64; 4]]) -> BTreeMap<u32, f64> {
    let mut sums: BTreeMap<u32, (f64, f64)> = BTreeMap::new();
    for [id, a, b, excess] in cells {
        if *a > 0.0 && *b > 0.0 && excess.is_finite() {
            let sum = sums.entry(*id as u32).or_default();
            *sum = (sum.0 + excess, sum.1 + 1.0);
        }
    }
    sums.into_iter().map(|(id, (sum, n))| (id, sum / n)).collect()
}

/// Our scores beside theirs, where there are both.
fn paired(ours: &[MatrixScore], model: usize, theirs: &BTreeMap<u32, f64>) -> (Vec<f64>, Vec<f64>) {
    let of = |matrix: &MatrixScore| Some((matrix.scores[model].score?, *theirs.get(&matrix.key.block?)?));
    ours.iter().filter_map(of).unzip()
}

#[test]
fn zip_agrees_with_both_peers() {
    let Some(path) = shared("peers/matrices.parquet") else {
        return;
    };
    let matrices: Vec<DoseMatrix> = means(peer_matrices(&path)).into_iter().take(100).collect();
    let ours = score(&matrices, &[SynergyModel::Zip, SynergyModel::Bliss], Margins::Fitted);
    let package =
        rows(&shared("peers/synergy_mean_ZIP_cells.parquet").unwrap(), ["matrix_id", "dose1", "dose2", "synergy"]);
    let finder: Vec<[f64; 4]> =
        rows(&shared("peers/sf_mean_ZIP_cells.parquet").unwrap(), ["block_id", "conc1", "conc2", "ZIP_synergy"])
            .into_iter()
            .map(|[id, a, b, excess]| [id - 1.0, a, b, excess / 100.0])
            .collect();
    for (name, theirs, n) in [("synergy", package, 49), ("synergyfinder", finder, 100)] {
        let theirs = matrix_means(&theirs);
        let (x, y) = paired(&ours, 0, &theirs);
        assert_eq!(x.len(), n);
        let r = correlation(&x, &y);
        let worst = x.iter().zip(&y).map(|(x, y)| (x - y).abs()).fold(0.0, f64::max);
        println!("zip against {name}: r {r:.5}, largest difference {worst:.5}");
        assert!(r >= 0.99, "{name}: {r}");
        // Planted fault: the scores of the next matrix.
        let shifted: BTreeMap<u32, f64> = theirs.iter().map(|(id, v)| (id + 1, *v)).collect();
        let (x, y) = paired(&ours, 0, &shifted);
        assert!(correlation(&x, &y) < 0.9);
    }
}

#[test]
fn loewe_agrees_with_the_synergy_package() {
    let (Some(path), Some(theirs)) =
        (shared("peers/matrices.parquet"), shared("peers/synergy_raw_Loewe_delta_hsa_matrix.parquet"))
    else {
        return;
    };
    let matrices = peer_matrices(&path);
    let ours = score(&matrices, &[SynergyModel::Loewe, SynergyModel::Hsa], Margins::Fitted);
    let theirs: BTreeMap<u32, f64> = rows(&theirs, ["matrix_id", "mean_synergy"])
        .into_iter()
        .filter(|row| row[1].is_finite())
        .map(|row| (row[0] as u32, row[1]))
        .collect();
    let (x, y) = paired(&ours, 0, &theirs);
    let r = correlation(&x, &y);
    println!("loewe against synergy: r {r:.5} over {} matrices", x.len());
    assert!(x.len() >= 490, "{}", x.len());
    // Where the two drugs' fits are the same this is the same number; what is left is the meaning of "untreated" (one
    // top for both here) and the fits themselves.
    assert!(r >= 0.998, "{r}");
    // Planted fault: highest single agent in place of Loewe, which correlates closely but not so closely.
    let (x, y) = paired(&ours, 1, &theirs);
    assert!(correlation(&x, &y) < 0.997, "{}", correlation(&x, &y));
}

#[test]
fn the_real_blocks_with_a_saturated_margin_are_sane() {
    let Some(path) = shared("peers/mathews.parquet") else {
        return;
    };
    let ours = score(&peer_matrices(&path), &[SynergyModel::Zip, SynergyModel::Loewe], Margins::Fitted);
    let of = |matrix: usize, model: usize| ours[matrix].scores[model].score.unwrap();
    println!("mathews: zip {:.4} {:.4}, loewe {:.4} {:.4}", of(0, 0), of(1, 0), of(0, 1), of(1, 1));
    // synergyfinder: ZIP 0.196 and -0.030, Loewe 0.255 and -0.418; the synergy package falls into the trap of the
    // first block: ZIP 0.016, Loewe 0.966.
    assert!((0.10..0.30).contains(&of(0, 0)), "zip {}", of(0, 0));
    assert!((-0.20..0.05).contains(&of(1, 0)), "zip {}", of(1, 0));
    assert!((0.15..0.35).contains(&of(0, 1)), "loewe {}", of(0, 1));
    assert!((-0.50..-0.20).contains(&of(1, 1)), "loewe {}", of(1, 1));
    assert!(ours[0].flags.contains("margin_a_saturated"), "{}", ours[0].flags);
    assert!(!ours[1].flags.contains("saturated"), "{}", ours[1].flags);
}

pub fn swapped(matrix: &DoseMatrix) -> DoseMatrix {
    let MatrixKey { drug_a, drug_b, .. } = matrix.key;
    let cells = matrix.cells.iter().map(|c| Observation {
        dose_a: c.dose_b,
        dose_b: c.dose_a,
        response: c.response,
        weight: c.weight,
    });
    matrix_from_cells(MatrixKey { drug_a: drug_b, drug_b: drug_a, ..matrix.key }, &cells.collect::<Vec<_>>()).unwrap()
}

fn largest_difference(x: &[MatrixScore], y: &[MatrixScore]) -> f64 {
    let scores = |all: &[MatrixScore]| -> Vec<[f64; 2]> {
        let values = all.iter().flat_map(|m| &m.scores).map(|s| [s.score.unwrap(), s.peak.unwrap()]);
        values.collect()
    };
    let pairs = scores(x).into_iter().zip(scores(y));
    pairs.map(|(x, y)| (x[0] - y[0]).abs().max((x[1] - y[1]).abs())).fold(0.0, f64::max)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn order_of_drugs_and_units_of_dose_do_not_matter(seed in 0u64..1000, scale in prop::sample::select(vec![1e-3, 0.125, 1e3, 1e6])) {
        let matrix = bliss_matrix(3, 6, 1, |place| 0.05 * standard_normal(seed, 1, 0, place));
        let plain = score(std::slice::from_ref(&matrix), &SynergyModel::REFERENCES, Margins::Fitted);
        let exchanged = score(&[swapped(&matrix)], &SynergyModel::REFERENCES, Margins::Fitted);
        prop_assert!(largest_difference(&plain, &exchanged) < 1e-9);
        let scaled = |factor: f64, power: f64| {
            let cells: Vec<_> = matrix.cells.iter()
                .map(|c| observation(libm::pow(c.dose_a * factor, power), c.dose_b, c.response))
                .collect();
            score(&[matrix_from_cells(matrix.key, &cells).unwrap()], &SynergyModel::REFERENCES, Margins::Fitted)
        };
        // A noisy curve fitted from doses that differ in the last bit ends within 1e-4 standard errors.
        prop_assert!(largest_difference(&plain, &scaled(scale, 1.0)) < 1e-4);
        // Planted fault: a scale that is not a change of unit.
        prop_assert!(largest_difference(&plain, &scaled(1.0, 3.0)) > 1e-4);
    }
}

#[test]
fn a_drug_with_itself_is_loewe_additive_and_independent_drugs_are_bliss() {
    let curve = HillCurve { top: 1.0, bottom: 0.15, ln_ec50: libm::log(3e-7), slope: 1.7 };
    let dose = |i: usize| if i == 0 { 0.0 } else { 1e-8 * libm::pow(4.0, i as f64) };
    let at = |d: f64| if d > 0.0 { response(curve, libm::log(d)) } else { curve.top };
    let cells: Vec<_> = (0..36).map(|i| observation(dose(i / 6), dose(i % 6), at(dose(i / 6) + dose(i % 6)))).collect();
    let sham = matrix_from_cells(MatrixKey { drug_b: 0, ..key(0) }, &cells).unwrap();
    let scores = score(&[sham], &SynergyModel::REFERENCES, Margins::Fitted);
    let of = |name| SynergyModel::REFERENCES.iter().position(|m| m.name() == name).unwrap();
    assert!(scores[0].scores[of("loewe")].score.unwrap().abs() < 1e-6);
    assert!(scores[0].scores[of("loewe")].peak.unwrap().abs() < 1e-6);
    for other in ["hsa", "bliss", "zip"] {
        assert!(scores[0].scores[of(other)].score.unwrap().abs() > 0.01, "{other}");
    }
    let independent = score(&[bliss_matrix(0, 6, 1, |_| 0.0)], &SynergyModel::REFERENCES, Margins::Fitted);
    for zero in ["bliss", "zip"] {
        assert!(independent[0].scores[of(zero)].score.unwrap().abs() < 1e-6, "{zero}");
    }
    assert!(independent[0].scores[of("hsa")].score.unwrap() > 0.05);
    // The expectation itself, cell by cell.
    let cell = scores[0].cells.iter().find(|c| c.dose_a > 0.0 && c.dose_b > 0.0).unwrap();
    let direct = loewe(libm::log(cell.dose_a), libm::log(cell.dose_b), curve, curve);
    assert!((cell.expected[of("loewe")].unwrap() - direct).abs() < 1e-6);
}

#[test]
fn every_missing_score_has_a_reason() {
    let full = bliss_matrix(0, 4, 1, |_| 0.0);
    let only = |keep: &dyn Fn(f64, f64) -> bool| {
        let cells: Vec<_> = full
            .cells
            .iter()
            .filter(|c| keep(c.dose_a, c.dose_b))
            .map(|c| observation(c.dose_a, c.dose_b, c.response))
            .collect();
        matrix_from_cells(full.key, &cells).unwrap()
    };
    let low = full.cells.iter().map(|c| c.dose_a).filter(|d| *d > 0.0).fold(f64::INFINITY, f64::min);
    let matrices = [
        only(&|a, b| a > 0.0 && b > 0.0),
        only(&|_, b| b > 0.0),
        only(&|a, b| (a == 0.0 || a == low) || b == 0.0 && a < 2.0 * low),
        only(&|a, b| a == 0.0 || b == 0.0),
    ];
    let scores = score(&matrices, &SynergyModel::REFERENCES, Margins::Fitted);
    let reasons = |matrix: usize| -> Vec<_> {
        scores[matrix].scores.iter().map(|s| if s.score.is_none() { s.reason } else { None }).collect()
    };
    assert_eq!(
        reasons(0),
        [Some("no_margins"), Some("no_margins"), Some("margin_a_missing"), Some("margin_a_missing")]
    );
    assert_eq!(
        reasons(1),
        [Some("no_margins"), Some("no_margins"), Some("margin_a_missing"), Some("margin_a_missing")]
    );
    let few = Some("margin_a_too_few_doses");
    assert_eq!(reasons(2), [None, None, few, few]);
    assert!(
        scores[2].flags.contains("margin_a_observed") && scores[2].flags.contains("few_cells"),
        "{}",
        scores[2].flags
    );
    assert_eq!(reasons(3), [Some("no_combination_cells"); 4]);
    assert!(scores[2].scores[0].peak.is_none() && scores[2].flags.contains("no_3x3_window"));
    assert_eq!(scores[3].efficacy, None);
}

/// Kolmogorov–Smirnov distance of p from the uniform distribution.
fn distance_to_uniform(mut p: Vec<f64>) -> f64 {
    p.sort_by(f64::total_cmp);
    let n = p.len() as f64;
    let at = |(i, p): (usize, &f64)| (p - i as f64 / n).abs().max(((i + 1) as f64 / n - p).abs());
    p.iter().enumerate().map(at).fold(0.0, f64::max)
}

fn resample(matrices: &[DoseMatrix], scores: &mut [MatrixScore], models: &[SynergyModel], resampling: Resampling) {
    let screen = named_blocks();
    let fit = FitSettings::new(ModelId::Hill4);
    add_intervals(scores, matrices, &screen, models, Margins::Fitted, &fit, resampling, &Cpu).unwrap();
}

pub fn named_blocks() -> Screen {
    let mut screen = Screen::default();
    for block in 0..400 {
        screen.blocks.intern(&format!("block {block}"));
    }
    screen.lines.intern("HL-60");
    screen.drugs.intern("clofarabine");
    screen.drugs.intern("venetoclax");
    screen
}

#[test]
fn p_of_independent_drugs_is_uniform() {
    let models = [SynergyModel::Bliss];
    let matrices: Vec<DoseMatrix> =
        (0..200).map(|b| bliss_matrix(b, 6, 2, |place| 0.05 * standard_normal(7, u64::from(b), 0, place))).collect();
    let plain = score(&matrices, &models, Margins::Fitted);
    let distance = |factor: f64| {
        let mut scores = plain.clone();
        for matrix in &mut scores {
            matrix.sigma = matrix.sigma.map(|sigma| sigma * factor);
        }
        resample(&matrices, &mut scores, &models, Resampling { draws: 64, seed: 1, ..Resampling::default() });
        distance_to_uniform(scores.iter().map(|s| s.scores[0].p.unwrap()).collect())
    };
    let (calibrated, doubled, halved) = (distance(1.0), distance(2.0), distance(0.5));
    println!("distance of p from uniform: {calibrated:.3}; sigma doubled {doubled:.3}, halved {halved:.3}");
    // 1.63 / sqrt(200) is the 1 % point of the distance under uniformity.
    assert!(calibrated < 0.115, "{calibrated}");
    assert!(doubled > 0.2 && halved > 0.2, "{doubled} {halved}");
}

#[test]
fn intervals_do_not_depend_on_the_rest_of_the_screen_and_cover_the_score() {
    let models = SynergyModel::REFERENCES;
    let matrices: Vec<DoseMatrix> =
        (0..3).map(|b| bliss_matrix(b, 5, 2, |place| 0.05 * standard_normal(9, u64::from(b), 0, place))).collect();
    let resampling = Resampling { draws: 20, seed: 3, ..Resampling::default() };
    let mut together = score(&matrices, &models, Margins::Fitted);
    resample(&matrices, &mut together, &models, resampling);
    let mut alone = score(&matrices[2..], &models, Margins::Fitted);
    resample(&matrices[2..], &mut alone, &models, resampling);
    for (x, y) in together[2].scores.iter().zip(&alone[0].scores) {
        assert_eq!(x.standard_error, y.standard_error);
        assert_eq!((x.p, x.reason), (y.p, None));
        assert!(x.ci_low.unwrap() < x.score.unwrap() && x.score.unwrap() < x.ci_high.unwrap());
        assert!(x.q.unwrap() >= x.p.unwrap());
    }
    let mut other_seed = score(&matrices, &models, Margins::Fitted);
    resample(&matrices, &mut other_seed, &models, Resampling { seed: 4, ..resampling });
    assert_ne!(other_seed[0].scores[0].standard_error, together[0].scores[0].standard_error);
    let threads = rayon::ThreadPoolBuilder::new().num_threads(1).build().unwrap();
    let mut single = score(&matrices, &models, Margins::Fitted);
    threads.install(|| resample(&matrices, &mut single, &models, resampling));
    assert_eq!(single, together);
}

#[test]
fn noiseless_matrices_have_no_interval_and_say_so() {
    let matrices = [bliss_matrix(0, 5, 2, |_| 0.0)];
    let mut scores = score(&matrices, &[SynergyModel::Hsa], Margins::Fitted);
    resample(&matrices, &mut scores, &[SynergyModel::Hsa], Resampling { draws: 10, seed: 1, ..Resampling::default() });
    assert_eq!((scores[0].scores[0].p, scores[0].scores[0].reason), (None, Some("no_noise")));
}
