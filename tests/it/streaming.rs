//! `isobole fit` as a stream: the same bytes whatever the order of the rows and the cut of the file.

use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use clap::Parser;
use isobole::cli::{Cli, Command, resolve_fit};
use isobole::report::files;
use isobole::report::run_json::RunIdentity;
use isobole::report::table::{Table, Values};
use isobole::report::table_writer::TableWriter;
use isobole::run::on_threads;
use isobole::run::plain::{PlainOutcome, fit};
use isobole::simulate::{CurveRecipe, write_curves};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use parquet::file::properties::WriterProperties;
use std::path::Path;
use std::sync::Arc;
use tempfile::TempDir;

/// One row: two keys (the first also as a number), dose, response.
#[derive(Debug, Clone, PartialEq)]
struct Row {
    plate: Option<i64>,
    drug: &'static str,
    dose: Option<f64>,
    response: f64,
}

const DRUGS: [&str; 3] = ["ab", "a", ""];

/// A number between 0 and 1 that looks drawn: the steps of a Weyl sequence, bent.
fn drawn(i: usize) -> f64 {
    let x = (i as f64 * 0.618_033_988_749_895).fract();
    (x * 997.0 + x * x * 131.0).fract()
}

/// Thirty curves of 16 rows in good order: falling ones, flat ones, one with a single dose, a few bad rows.
fn rows() -> Vec<Row> {
    let mut rows = Vec::new();
    for curve in 0..30 {
        for well in 0..16 {
            let dose = if curve == 11 { 1e-6 } else { 10f64.powf(-9.0 + (well / 2) as f64 * 0.5) };
            let fall = if curve % 4 == 0 { 0.0 } else { 0.8 / (1.0 + (1e-7 / dose).powf(1.0 + drawn(curve))) };
            let response = 1.0 - fall + 0.1 * (drawn(1000 + curve * 16 + well) - 0.5);
            rows.push(Row { plate: Some(10 - curve as i64 / 3), drug: DRUGS[curve % 3], dose: Some(dose), response });
        }
        match curve {
            3 => rows.push(Row { plate: None, drug: "a", dose: Some(1e-6), response: 1.0 }),
            7 => rows.push(Row { plate: Some(8), drug: "a", dose: Some(-1e-6), response: 1.0 }),
            9 => rows.push(Row { plate: Some(7), drug: "ab", dose: None, response: f64::NAN }),
            _ => {}
        }
    }
    rows
}

fn write(path: &Path, rows: &[Row], rows_per_group: usize) {
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("plate", Arc::new(rows.iter().map(|r| r.plate).collect::<Int64Array>())),
        ("drug", Arc::new(rows.iter().map(|r| Some(r.drug)).collect::<StringArray>())),
        ("dose", Arc::new(rows.iter().map(|r| r.dose).collect::<Float64Array>())),
        ("response", Arc::new(rows.iter().map(|r| Some(r.response)).collect::<Float64Array>())),
    ];
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let properties = WriterProperties::builder().set_max_row_group_row_count(Some(rows_per_group)).build();
    let file = std::fs::File::create(path).unwrap();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

fn try_fitted(input: &Path, out: &Path, keys: &str) -> isobole::Result<PlainOutcome> {
    try_fitted_by(input, out, keys, &[])
}

fn try_fitted_by(input: &Path, out: &Path, keys: &str, more: &[&str]) -> isobole::Result<PlainOutcome> {
    let (input, out) = (input.to_str().unwrap(), out.to_str().unwrap());
    let typed =
        ["isobole", "fit", input, "--out", out, "--curve", keys, "--orientation", "viability", "--backend", "cpu"];
    let typed = [&typed[..], more].concat();
    let Command::Fit(args) = Cli::try_parse_from(typed).unwrap().command else { panic!("not fit") };
    let (settings, mapping) = resolve_fit(&args)?;
    fit(&settings, &mapping)
}

/// Numbered curves, (curve, dose, response) a row.
pub fn write_numbered(path: &Path, rows: &[(i64, f64, f64)]) {
    let row = |(plate, dose, response): &(i64, f64, f64)| Row {
        plate: Some(*plate),
        drug: "x",
        dose: Some(*dose),
        response: *response,
    };
    write(path, &rows.iter().map(row).collect::<Vec<_>>(), 1000);
}

/// Curves of (dose, response), numbered from 0.
pub fn write_wells(path: &Path, curves: &[Vec<(f64, f64)>]) {
    let of_curve = |(i, wells): (usize, &Vec<(f64, f64)>)| -> Vec<(i64, f64, f64)> {
        wells.iter().map(|(dose, response)| (i as i64, *dose, *response)).collect()
    };
    write_numbered(path, &curves.iter().enumerate().flat_map(of_curve).collect::<Vec<_>>());
}

/// The outcome and the bytes of the fits of a table with the key `plate`, with more flags.
pub fn fitted_by(write: impl Fn(&Path), more: &[&str]) -> isobole::Result<(PlainOutcome, Vec<u8>)> {
    let folder = TempDir::new().unwrap();
    let (input, out) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    write(&input);
    let outcome = try_fitted_by(&input, &out, "plate", more)?;
    Ok((outcome, std::fs::read(out).unwrap()))
}

/// The outcome, the bytes of the fits, and those of the rejected rows.
fn fitted(rows: &[Row], rows_per_group: usize, keys: &str) -> (PlainOutcome, Vec<u8>, Vec<u8>) {
    let folder = TempDir::new().unwrap();
    let (input, out) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    write(&input, rows, rows_per_group);
    let outcome = try_fitted(&input, &out, keys).unwrap();
    let rejected = std::fs::read(out.with_extension("rejected.parquet")).unwrap_or_default();
    let left = std::fs::read_dir(folder.path()).unwrap().count();
    assert_eq!(left, 1 + outcome.files.len(), "something temporary was left");
    (outcome, std::fs::read(out).unwrap(), rejected)
}

/// The first row of every key where it was, all other rows behind them from the last to the first: no curve stands
/// together, and keys still appear in the same order.
fn torn_apart(rows: &[Row], key: impl Fn(&Row) -> (Option<i64>, &'static str)) -> Vec<Row> {
    let mut seen = Vec::new();
    let (mut first, mut rest) = (Vec::new(), Vec::new());
    for row in rows {
        // A row that is rejected does not make its key appear.
        if row.plate.is_some() && row.dose.is_some_and(|d| d >= 0.0) && !seen.contains(&key(row)) {
            seen.push(key(row));
            first.push(row.clone());
        } else {
            rest.push(row.clone());
        }
    }
    first.extend(rest.into_iter().rev());
    first
}

#[test]
fn neither_the_order_of_rows_nor_the_cut_of_the_file_changes_a_byte() {
    let rows = rows();
    for (keys, key) in [
        ("plate,drug", (|r| (r.plate, r.drug)) as fn(&Row) -> (Option<i64>, &'static str)),
        ("plate", |r| (r.plate, "")),
        ("drug", |r| (None, r.drug)),
        ("", |_| (None, "")),
    ] {
        // In the order of the key's first appearance, each key together.
        let mut order: Vec<_> = Vec::new();
        rows.iter().for_each(|r| {
            if !order.contains(&key(r)) {
                order.push(key(r))
            }
        });
        let mut sorted = rows.clone();
        sorted.sort_by_key(|r| order.iter().position(|k| *k == key(r)));
        let (streamed, bytes, rejected) = fitted(&sorted, usize::MAX >> 1, keys);
        assert!(streamed.notes.is_empty(), "{keys}: {:?}", streamed.notes);
        assert_eq!((streamed.rows_in, streamed.rows_used), (483, 480 + usize::from(keys == "drug" || keys.is_empty())));
        for rows_per_group in [1, 7, 16, 100] {
            let (again, same, same_rejected) = fitted(&sorted, rows_per_group, keys);
            assert!(again.notes.is_empty());
            assert!(same == bytes && same_rejected == rejected, "{keys}, {rows_per_group} rows a group");
        }
        let mut backwards = sorted.clone();
        backwards.chunk_by_mut(|a, b| key(a) == key(b)).for_each(<[Row]>::reverse);
        assert!(fitted(&backwards, 5, keys).1 == bytes, "{keys}: rows of a curve in another order");
        if !keys.is_empty() {
            let (gathered, same, _) = fitted(&torn_apart(&sorted, key), 50, keys);
            assert_eq!(gathered.notes.len(), 1, "{keys}: the key's return went unnoticed");
            assert!(same == bytes, "{keys}: in memory");
            assert_eq!(gathered.rejected_by_reason, streamed.rejected_by_reason);
        }
        // The comparison can fail: one value in one row.
        let mut other = sorted.clone();
        other[5].response += 1e-9;
        assert!(fitted(&other, 7, keys).1 != bytes, "{keys}: a planted fault went unnoticed");
    }
}

#[test]
fn a_single_late_row_of_an_early_curve_is_noticed() {
    let mut rows = rows();
    let row = rows.remove(4);
    rows.push(row);
    for rows_per_group in [3, 483] {
        let (outcome, late, _) = fitted(&rows, rows_per_group, "plate,drug");
        assert_eq!(outcome.notes.len(), 1);
        assert!(late == fitted(&self::rows(), rows_per_group, "plate,drug").1);
    }
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let run = |threads| on_threads(threads, || Ok(fitted(&rows(), 11, "plate,drug").1)).unwrap();
    let one = run(1);
    assert!(run(2) == one && run(3) == one);
}

/// More curves and more rejected rows than go into one block; with one dose each, they cost no fitting.
#[test]
fn blocks_are_cut_alike_in_both_ways() {
    let row = |i: i64, dose: f64| Row { plate: Some(i), drug: "x", dose: Some(dose), response: 1.0 };
    let n = 70_000;
    let mut together = vec![row(0, 1e-6), row(0, 1e-5)];
    let mut apart = vec![row(0, 1e-6)];
    for i in 1..n {
        for rows in [&mut together, &mut apart] {
            rows.push(row(i, 1e-6));
            rows.push(row(i, -1.0));
        }
    }
    apart.push(row(0, 1e-5));
    let (streamed, bytes, rejected) = fitted(&together, 30_000, "plate");
    let (gathered, same, _) = fitted(&apart, 30_000, "plate");
    assert_eq!((streamed.notes.len(), gathered.notes.len()), (0, 1));
    assert_eq!((streamed.units, streamed.failed), (n as usize, n as usize));
    assert_eq!(streamed.rejected_by_reason["negative_dose"], n as usize - 1);
    assert!(bytes == same);
    assert_eq!(fitted(&together, 1 << 20, "plate").1, bytes);
    assert!(!rejected.is_empty());
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("f.parquet");
    std::fs::write(&path, bytes).unwrap();
    let table = files::read(&path).unwrap();
    assert!((0..n as usize).all(|i| table.column("plate").unwrap().number(i) == Some(i as f64)));
    assert_eq!(table.column("n_points").unwrap().number(0), Some(2.0));
    std::fs::write(&path, rejected).unwrap();
    let table = files::read(&path).unwrap();
    assert_eq!(table.rows(), n as usize - 1);
    assert!((0..table.rows()).all(|i| table.column("row").unwrap().number(i) == Some(4.0 + 2.0 * i as f64)));
}

/// Straight from the definition (Benjamini and Hochberg 1995): the least p·m/rank of all p that are no smaller.
fn q_by_definition(p: &[Option<f64>]) -> Vec<Option<f64>> {
    let there: Vec<f64> = p.iter().copied().flatten().collect();
    let adjusted = |p: f64| p * there.len() as f64 / there.iter().filter(|other| **other <= p).count() as f64;
    let q = |p: f64| there.iter().filter(|other| **other >= p).map(|p| adjusted(*p)).fold(1.0, f64::min);
    p.iter().map(|p| p.map(q)).collect()
}

#[test]
fn q_values_are_those_of_the_column_of_p_values_beside_them() {
    let (outcome, bytes, _) = fitted(&rows(), 40, "plate,drug");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("f.parquet");
    std::fs::write(&path, bytes).unwrap();
    let table = files::read(&path).unwrap();
    assert_eq!(table.rows(), outcome.units);
    let at = table.columns.iter().position(|c| c.name == "p_value").unwrap();
    assert_eq!(table.columns[at + 1].name, "q_value");
    let column = |name: &str| -> Vec<Option<f64>> {
        (0..table.rows()).map(|row| table.column(name).unwrap().number(row)).collect()
    };
    let (p, q) = (column("p_value"), column("q_value"));
    assert!(p.iter().any(Option::is_none), "the curve with one dose has no p value");
    let agrees = |p: &[Option<f64>]| {
        q_by_definition(p).iter().zip(&q).all(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => (a - b).abs() <= 1e-15,
            (None, None) => true,
            _ => false,
        })
    };
    assert!(agrees(&p));
    assert!(q.iter().zip(&p).any(|(q, p)| q > p), "the q values are more than a copy");
    // The comparison can fail: two p values exchanged, one missing.
    let mut wrong = p.clone();
    let order = |a: &usize, b: &usize| p[*a].unwrap_or(0.5).total_cmp(&p[*b].unwrap_or(0.5));
    let (low, high) = ((0..p.len()).min_by(order).unwrap(), (0..p.len()).max_by(order).unwrap());
    wrong.swap(low, high);
    assert!(!agrees(&wrong));
    wrong = p.clone();
    wrong[low] = None;
    assert!(!agrees(&wrong));
}

#[test]
fn whole_number_keys_stay_numbers_and_statistics_name_no_stand_in() {
    let (_, bytes, _) = fitted(&rows(), 40, "plate,drug");
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("f.parquet");
    std::fs::write(&path, bytes).unwrap();
    let table = files::read(&path).unwrap();
    assert!(matches!(table.column("plate"), Some(Values::Integer(_))));
    assert_eq!(table.column("plate").unwrap().number(29), Some(1.0));
    assert_eq!(table.column("drug").unwrap().text(1), Some("a"));
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(&path).unwrap()).unwrap();
    let group = reader.metadata().row_group(0);
    let statistics = |name: &str| {
        let column = group.columns().iter().find(|c| c.column_path().string() == name).unwrap();
        column.statistics().is_some()
    };
    assert!(statistics("p_value") && !statistics("q_value"));
}

#[test]
fn a_scale_that_cannot_be_is_refused_and_nothing_is_left() {
    let percentages: Vec<Row> = rows().into_iter().map(|r| Row { response: r.response * 100.0, ..r }).collect();
    let folder = TempDir::new().unwrap();
    let (input, out) = (folder.path().join("in.parquet"), folder.path().join("out.parquet"));
    write(&input, &percentages, 50);
    std::fs::write(&out, b"of an earlier run").unwrap();
    let error = try_fitted(&input, &out, "plate,drug").unwrap_err();
    assert!(error.to_string().contains("these are percentages"), "{error}");
    assert_eq!(std::fs::read(&out).unwrap(), b"of an earlier run");
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
}

#[test]
fn a_late_column_takes_values_only_where_it_said_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("t.parquet");
    let identity = RunIdentity::new(&serde_json::json!({"a": 1}));
    let n = 50_000;
    let stand_in = |from: usize, to: usize| (from..to).map(|i| (i % 7 != 3).then_some(0.5));
    let part = |from: usize, to: usize| {
        let names = (from..to).map(|i| Some(format!("row {i}")));
        Table::new("t")
            .text("name", names)
            .number("late", stand_in(from, to))
            .code("code", (from..to).map(|_| Some("x")))
    };
    let begin = || {
        let mut writer = TableWriter::create(&part(0, 0), &path, &identity, Some("late")).unwrap();
        for (from, to) in [(0, 20_000), (20_000, 20_000), (20_000, n)] {
            let middle = from + (to - from) / 3;
            let rows = writer.encode(&[part(from, middle), part(middle, to)]).unwrap();
            writer.append(rows).unwrap();
        }
        writer
    };
    let late: Vec<Option<f64>> = (0..n).map(|i| (i % 7 != 3).then_some(i as f64)).collect();
    begin().finish(&late).unwrap();
    let table = files::read(&path).unwrap();
    assert_eq!(files::read_identity(&path).unwrap(), identity);
    assert_eq!(table.column("late"), Some(&Values::Number(late.clone())));
    assert!((0..n).all(|i| table.column("name").unwrap().text(i) == Some(&format!("row {i}"))));
    std::fs::remove_file(&path).unwrap();

    let mut fewer = late.clone();
    fewer.pop();
    let mut moved = late.clone();
    moved.swap(3, 4);
    let mut not_finite = late.clone();
    not_finite[0] = Some(f64::NAN);
    for (wrong, said) in [(fewer, "49999 rows, not 50000"), (moved, "in row 3"), (not_finite, "in row 0")] {
        let error = begin().finish(&wrong).unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
    let writer = begin();
    let other = Table::new("t").text("name", [Some("x")]).number("late", [Some(0.5)]).integer("code", [Some(1)]);
    assert!(writer.encode(&[other]).is_err());
    drop(writer);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "a file that was not finished is gone");
}

#[test]
fn simulated_curves_are_what_their_truth_says() {
    let folder = TempDir::new().unwrap();
    let recipe = CurveRecipe { curves: 2_000, replicates: 2, seed: 7 };
    let written = write_curves(&recipe, folder.path()).unwrap();
    assert_eq!(written.rows, 40_000);
    let read = |path: &Path| {
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap()
    };
    let numbers = |batch: &RecordBatch, name: &str| -> Vec<f64> {
        let column = arrow::compute::cast(batch.column_by_name(name).unwrap(), &arrow::datatypes::DataType::Float64);
        column.unwrap().as_any().downcast_ref::<Float64Array>().unwrap().values().to_vec()
    };
    let (rows, truth) = (read(&written.curves), read(&written.truth));
    let [id, dose, viability] = ["curve_id", "dose", "viability"].map(|name| numbers(&rows, name));
    let [top, bottom, hill, log10_ec50] = ["top", "bottom", "hill", "log10_ec50"].map(|name| numbers(&truth, name));
    // The residuals about the truth, recomputed in another form of the equation.
    let residual = |row: usize, shift: f64| {
        let k = id[row] as usize - 1;
        let ratio = dose[row] / 10f64.powf(log10_ec50[k] + shift);
        viability[row] - (bottom[k] + (top[k] - bottom[k]) * (1.0 - ratio.powf(hill[k]) / (1.0 + ratio.powf(hill[k]))))
    };
    let deviation =
        |shift: f64| ((0..id.len()).map(|row| residual(row, shift).powi(2)).sum::<f64>() / id.len() as f64).sqrt();
    // The standard error of a standard deviation is 1/sqrt(2n) of it: five of them.
    let tolerance = 5.0 * 0.05 / (2.0 * id.len() as f64).sqrt();
    assert!((deviation(0.0) - 0.05).abs() < tolerance, "{}", deviation(0.0));
    assert!((deviation(0.1) - 0.05).abs() > tolerance, "a planted shift goes unnoticed");
    let beyond = log10_ec50.iter().filter(|x| **x < -10.0 || **x > -3.5).count() as f64 / 2_000.0;
    assert!((beyond - 0.15).abs() < 5.0 * (0.15f64 * 0.85 / 2_000.0).sqrt(), "{beyond}");
    assert!(hill.iter().all(|h| (0.5..=4.0).contains(h)) && bottom.iter().all(|b| (0.0..=0.6).contains(b)));

    let again = TempDir::new().unwrap();
    let written_again = on_threads(1, || write_curves(&recipe, again.path())).unwrap();
    assert!(std::fs::read(&written.curves).unwrap() == std::fs::read(&written_again.curves).unwrap());
    let other = write_curves(&CurveRecipe { seed: 8, ..recipe }, again.path()).unwrap();
    assert!(std::fs::read(&written.curves).unwrap() != std::fs::read(&other.curves).unwrap());
    for wrong in [CurveRecipe { curves: 0, ..recipe }, CurveRecipe { replicates: 0, ..recipe }] {
        assert!(write_curves(&wrong, folder.path()).is_err());
    }
}
