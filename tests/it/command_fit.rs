//! `isobole fit` and `isobole bench` as a user meets them: model files, second variables, files that are wrong, data that
//! are hostile. Exit codes, words on stderr, and no null without a reason.

use arrow::array::{Array, ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use assert_cmd::Command;
use isobole::model::ModelId;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use tempfile::TempDir;

fn write(path: &Path, columns: Vec<(&str, ArrayRef)>) {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut writer = ArrowWriter::try_new(std::fs::File::create(path).unwrap(), batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
}

/// Rows of (curve, dose, x2, response).
fn write_rows(path: &Path, rows: &[(i64, f64, f64, f64)]) {
    let column = |of: fn(&(i64, f64, f64, f64)) -> f64| -> ArrayRef {
        Arc::new(rows.iter().map(|row| Some(of(row))).collect::<Float64Array>())
    };
    write(
        path,
        vec![
            ("curve", Arc::new(rows.iter().map(|row| row.0).collect::<Int64Array>())),
            ("dose", column(|row| row.1)),
            ("time", column(|row| row.2)),
            ("response", column(|row| row.3)),
        ],
    );
}

/// One row group of a table.
pub struct Read(RecordBatch);

impl Read {
    pub fn new(path: &Path) -> Self {
        let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
        let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
        Self(arrow::compute::concat_batches(&batches[0].schema(), &batches).unwrap())
    }

    pub fn number(&self, column: &str, row: usize) -> Option<f64> {
        let array = cast(self.0.column_by_name(column).expect(column), &DataType::Float64).unwrap();
        let array = array.as_primitive::<Float64Type>();
        array.is_valid(row).then(|| array.value(row))
    }

    pub fn text(&self, column: &str, row: usize) -> Option<String> {
        let array = cast(self.0.column_by_name(column).expect(column), &DataType::Utf8).unwrap();
        let array = array.as_string::<i32>();
        array.is_valid(row).then(|| array.value(row).to_owned())
    }

    pub fn rows(&self) -> usize {
        self.0.num_rows()
    }

    pub fn flag(&self, column: &str, row: usize) -> bool {
        let array = self.0.column_by_name(column).expect(column).as_boolean();
        array.is_valid(row) && array.value(row)
    }

    /// Rows with a null that no reason explains, or a number that is none.
    pub fn unexplained(&self) -> Vec<String> {
        let mut found = Vec::new();
        let schema = self.0.schema();
        for row in 0..self.0.num_rows() {
            let codes: String = schema
                .fields()
                .iter()
                .filter(|field| field.name().contains("reason") || field.name() == "flags")
                .filter_map(|field| self.text(field.name(), row))
                .collect::<Vec<_>>()
                .join(";")
                .split(';')
                // What is always there explains nothing.
                .filter(|code| !code.starts_with("noise_from_") && !code.starts_with("untreated_"))
                .collect();
            for field in schema.fields().iter().filter(|field| field.data_type() == &DataType::Float64) {
                match self.number(field.name(), row) {
                    None if codes.is_empty() => found.push(format!("row {row}: `{}` is null", field.name())),
                    Some(value) if !value.is_finite() => {
                        found.push(format!("row {row}: `{}` is {value}", field.name()))
                    }
                    _ => {}
                }
            }
            if schema.field_with_name("status").is_ok() && self.text("status", row).is_none() {
                found.push(format!("row {row} has no status"));
            }
        }
        found
    }
}

struct Place {
    folder: TempDir,
}

impl Place {
    fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Exit code and stderr of `isobole` in this folder.
    fn isobole(&self, line: &str) -> (Option<i32>, String) {
        let output = Command::cargo_bin("isobole")
            .unwrap()
            .current_dir(self.folder.path())
            .args(line.split_whitespace())
            .output()
            .unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert!(!said.contains("panicked"), "{line}\n{said}");
        (output.status.code(), said)
    }

    fn fit(&self, flags: &str) -> (Option<i32>, String) {
        self.isobole(&format!(
            "fit in.parquet --out out.parquet --curve curve --orientation viability --backend cpu {flags}"
        ))
    }

    fn out(&self) -> Read {
        Read::new(&self.path("out.parquet"))
    }
}

/// Twelve Hill curves of ten doses (molar) twice, with a little noise of fixed pattern.
fn hill_rows() -> Vec<(i64, f64, f64, f64)> {
    let mut rows = Vec::new();
    for curve in 0..12 {
        let truth = [1.0, 0.1, (10f64).ln() * (-7.0 + 0.1 * curve as f64), 1.2];
        for well in 0..20 {
            let dose = 10f64.powf(-9.0 + 0.5 * f64::from(well / 2));
            let noise = 0.02 * (f64::from(well * 7 + curve as i32 * 3).sin());
            rows.push((curve, dose, 0.0, ModelId::Hill4.response(dose, &truth) + noise));
        }
    }
    rows
}

const TWIN: &str = "name = 'twin'\ndose_unit = 'uM'\nformula = 'bottom + (top - bottom) / (1 + (dose / ec50) ^ h)'\n\
    [parameters.top]\nlower = -1\nupper = 3\n[parameters.bottom]\nlower = -1\nupper = 3\n\
    [parameters.ec50]\nper_dose = true\nlower = -3\nupper = 3\n[parameters.h]\nlower = 0.01\nupper = 20\nstart = [0.5, 1, 2, 4]\n";

#[test]
fn a_model_file_fits_as_its_built_in_twin() {
    let place = Place::new();
    write_rows(&place.path("in.parquet"), &hill_rows());
    std::fs::write(place.path("twin.toml"), TWIN).unwrap();
    let (code, said) = place.fit("--model twin.toml");
    assert_eq!(code, Some(0), "{said}");
    let twin = place.out();
    assert_eq!(place.fit("--bounds top=-1..3,bottom=-1..3,log10_ec50=-3..3,hill=0.01..20").0, Some(0));
    let built_in = place.out();
    assert_eq!(twin.0.num_rows(), 12);
    let apart = |shift: f64| -> usize {
        (0..12)
            .filter(|&row| {
                let theirs = built_in.number("log10_ec50", row).unwrap();
                // The file's dose is micromolar.
                let ours = twin.number("ec50", row).unwrap().log10() - 6.0 + shift;
                let sse = |read: &Read| read.number("sse", row).unwrap();
                // Either ends within 3e-4 standard errors of the minimum.
                (ours - theirs).abs() > 1e-4 || (sse(&twin) / sse(&built_in) - 1.0).abs() > 1e-6
            })
            .count()
    };
    assert_eq!(apart(0.0), 0);
    assert_eq!(apart(1e-3), 12, "a thousandth of a decade is seen");
    assert_eq!(twin.unexplained(), [""; 0]);
}

#[test]
fn wrong_model_files_end_in_an_error_at_the_character() {
    let place = Place::new();
    write_rows(&place.path("in.parquet"), &hill_rows());
    let of = |formula: &str| format!("name = 'm'\nformula = '{formula}'\n[parameters.top]\n[parameters.k]\n");
    let deep = format!("{}top{} * k", "(".repeat(3000), ")".repeat(3000));
    for (text, said) in [
        (of("top * exp(-kk * dose)"), "line 2, column 23: unknown name `kk`"),
        (of("top * (k - dose"), "line 2, column 18: this `(` is never closed"),
        (of("top / 0 * k"), "line 2, column 16: division by zero"),
        (of(&deep), "nested too deeply"),
        (
            of("top * k * dose").replace("[parameters.k]", "[parameters.k]\nlower = 1\nupper = 1"),
            "line 6, column 9: `k`: the lower bound, 1, is not below",
        ),
        (String::new(), "line 1, column 1: `name` is missing"),
        ("name = 'm'\nformula = 'x'\n".into(), "line 2, column 11: the model has no parameters"),
    ] {
        std::fs::write(place.path("m.toml"), &text).unwrap();
        let (code, found) = place.fit("--model m.toml");
        assert_eq!(code, Some(1), "{found}");
        assert!(found.starts_with("error: `m.toml`, line ") && found.contains(said), "{text:.200}\n{found}");
        assert!(found.lines().any(|line| line.trim_end().ends_with('^')), "a caret shows the place: {found}");
        assert!(found.len() < 1000 && !place.path("out.parquet").exists());
    }
    std::fs::write(place.path("m.toml"), [0x6e, 0xff, 0x00, 0x7f]).unwrap();
    let (code, found) = place.fit("--model m.toml");
    assert!(code == Some(1) && found.contains("is not UTF-8 text (byte 1)"), "{found}");
    std::fs::create_dir(place.path("folder.toml")).unwrap();
    for (file, said) in [("folder.toml", "folder.toml`"), ("gone.toml", "cannot read `gone.toml`")] {
        let (code, found) = place.fit(&format!("--model {file}"));
        assert!(code == Some(1) && found.contains(said), "{found}");
    }
    // A file without bounds is no mistake: the box is as wide as numbers are, and the fit is there.
    std::fs::write(place.path("m.toml"), of("top - k * dose")).unwrap();
    let (code, found) = place.fit("--model m.toml");
    assert_eq!(code, Some(0), "{found}");
    assert!((0..12).all(|row| place.out().number("top", row).is_some()));
    assert_eq!(place.fit("--model hil4").0, Some(2));
}

#[test]
fn a_second_variable_comes_from_its_column() {
    let place = Place::new();
    // 0.9 exp(-k t) / (1 + dose/ec50): dose in micromolar, t in hours.
    let surface = |dose: f64, time: f64| 0.9 * (-0.02 * time).exp() / (1.0 + dose / 3e-7);
    let doses = [0.0, 1e-8, 1e-7, 3e-7, 1e-6, 1e-5];
    let mut rows = Vec::new();
    for curve in 0..3 {
        for (dose, time) in doses.iter().flat_map(|d| [0.0, 24.0, 48.0].map(|t| (*d, t))) {
            for replicate in [-1.0, 1.0] {
                let noise = 0.001 * replicate * (1.0 + curve as f64);
                rows.push((curve, dose, time, surface(dose, time) + noise));
            }
        }
    }
    rows.push((2, 1e-7, f64::NAN, 0.5));
    rows.push((2, 1e-7, f64::INFINITY, 0.5));
    write_rows(&place.path("in.parquet"), &rows);
    let model = "name = 'decay'\ndose_unit = 'uM'\nformula = 'top * exp(-k * x2) / (1 + dose / ec50)'\n[parameters.top]\n\
                 lower = 0\nupper = 2\n[parameters.k]\nlower = 0\nupper = 1\nstart = 0.1\n\
                 [parameters.ec50]\nper_dose = true\nlower = -1\nupper = 1\n";
    std::fs::write(place.path("decay.toml"), model).unwrap();
    let (code, said) = place.fit("--model decay.toml --x2 time --ci profile");
    assert_eq!(code, Some(0), "{said}");
    for part in ["110 in = 108 used + 2 rejected", "1 missing_x2", "1 not_finite_x2"] {
        assert!(said.contains(part), "{said}");
    }
    let out = place.out();
    assert_eq!(out.unexplained(), [""; 0]);
    for row in 0..3 {
        for (name, truth) in [("top", 0.9), ("k", 0.02), ("ec50", 0.3)] {
            let found = out.number(name, row).unwrap();
            assert!((found / truth - 1.0).abs() < 1e-6, "{name}: {found}");
            let low = out.number(&format!("ci_low_{name}"), row);
            let high = out.number(&format!("ci_high_{name}"), row);
            assert!(low.unwrap() < found && found < high.unwrap(), "{name}: {low:?} {high:?}");
        }
        // Replicates at one dose and time were taken together, those at other times were not: the pure error is all.
        let pure = 36.0 * (0.001 * (1.0 + row as f64)).powi(2);
        assert!((out.number("sse", row).unwrap() / pure - 1.0).abs() < 1e-6);
        assert_eq!(out.number("n_points", row), Some(36.0));
    }
    // The same with the rows of a curve apart, by way of memory.
    let streamed = std::fs::read(place.path("out.parquet")).unwrap();
    let (late, early) = rows.split_at(5);
    write_rows(&place.path("in.parquet"), &[&late[..3], early, &late[3..]].concat());
    let (code, said) = place.fit("--model decay.toml --x2 time --ci profile");
    assert!(code == Some(0) && said.contains("stand apart"), "{said}");
    assert!(std::fs::read(place.path("out.parquet")).unwrap() == streamed);
    // The planted fault: another column in its place finds other numbers.
    assert_eq!(place.fit("--model decay.toml --x2 response").0, Some(0));
    assert!((place.out().number("k", 0).unwrap() / 0.02 - 1.0).abs() > 0.1);

    for (flags, problem, hint) in [
        ("--model decay.toml", "no column of it is named", "hint: name it: --x2 COLUMN"),
        ("--model hill4 --x2 time", "model `hill4` has no second variable", "hint: leave --x2 out"),
        ("--model auto --x2 time", "has no second variable", "hint:"),
        ("--model decay.toml --x2 tiem", "has no column `tiem` (second variable)", "hint: did you mean `time`?"),
        ("--model decay.toml --x2 time --loss huber", "robust losses", "hint:"),
    ] {
        let (code, said) = place.fit(flags);
        assert!(code == Some(1) && said.contains(problem) && said.contains(hint), "{flags}\n{said}");
    }
}

/// A model of plain numbers has no null that doses could be simulated for: p is that of the F distribution.
#[test]
fn a_model_of_plain_numbers_keeps_the_p_of_its_f() {
    let place = Place::new();
    let mut rows = Vec::new();
    for curve in 0..4i64 {
        for k in 0..12 {
            let x = f64::from(k) * 0.5;
            let noise = 0.2 * f64::from(k * 5 + curve as i32 * 11).sin();
            rows.push((curve, x, 0.0, 0.3 * (-0.4 * x).exp() + noise));
        }
    }
    write_rows(&place.path("in.parquet"), &rows);
    let model = "name = 'decay'\ndose_unit = 'none'\nformula = 'a * exp(-k * x) + c'\n[parameters.a]\nlower=-5\nupper=5\n\
                 [parameters.k]\nlower = 0.01\nupper = 5\nstart = 0.5\n[parameters.c]\nlower=-5\nupper=5\n";
    std::fs::write(place.path("m.toml"), model).unwrap();
    let (code, said) = place.fit("--model m.toml");
    assert_eq!(code, Some(0), "{said}");
    let out = place.out();
    for row in 0..4 {
        let (r2, p) = (out.number("r2", row).unwrap(), out.number("p_value", row).unwrap());
        // The upper tail of F with 2 and 9 degrees of freedom has a closed form.
        let tail = |r2: f64| (1.0 - r2).powf(4.5);
        assert!((p - tail(r2)).abs() < 1e-9, "{p} {}", tail(r2));
        assert!((p - tail(r2 * 0.99)).abs() > 1e-6, "one per cent is seen");
        assert_eq!(out.text("class", row), None);
    }
}

#[test]
fn hostile_data_have_a_status_and_every_null_a_reason() {
    let place = Place::new();
    let decades = |from: f64, to: f64| {
        (0..10).map(move |k| 10f64.powf(from + (to - from) * f64::from(k) / 9.0)).collect::<Vec<_>>()
    };
    let usual = decades(-9.0, -4.0);
    let step = |k: usize| if k < 5 { 1.0 } else { 0.0 };
    let at = |doses: &[f64], response: &dyn Fn(usize) -> f64| -> Vec<(f64, f64)> {
        doses.iter().enumerate().map(|(k, dose)| (*dose, response(k))).collect()
    };
    let two: Vec<f64> = [1e-7, 1e-6].repeat(5);
    let mut curves = vec![
        at(&usual, &|_| 1.0),
        at(&usual, &|_| 0.0),
        at(&usual, &|_| -0.0),
        at(&two, &step),
        at(&usual[..3], &step),
        at(&usual[..1], &step),
        at(&usual, &|k| if k == 3 { f64::NAN } else { step(k) }),
        at(&usual, &|k| if k == 3 { f64::INFINITY } else { step(k) }),
        at(&usual, &|_| f64::NAN),
        at(&usual, &|k| if k == 3 { 1e30 } else { step(k) }),
        at(&usual, &|k| if k == 3 { -1e30 } else { step(k) }),
        at(&usual, &|k| if k == 3 { 1e308 } else { step(k) }),
        at(&decades(-20.0, 0.0), &step),
        at(&decades(-300.0, 0.0), &step),
        at(&[usual.clone(), usual.clone(), usual.clone()].concat(), &|k| step(k % 10)),
        at(&[1e-6; 10], &step),
        at(&[0.0; 10], &step),
        at(&usual.iter().map(|d| -d).collect::<Vec<_>>(), &step),
        at(&[0.0, 0.0, 1e-6], &step),
        at(&usual, &|k| (k % 2) as f64),
        at(&usual, &|k| step(9 - k)),
        at(&usual, &|k| step(k) * 1e-300),
        at(&[5e-324, 1e-300, 1e-6, 1.0, 1e50, 1e300], &step),
        at(&[f64::INFINITY, f64::NAN, 1e-6, 1e-5], &step),
    ];
    for n in [2, 4, 5] {
        curves.push(at(&usual[..n], &step));
    }
    let rows: Vec<(i64, f64, f64, f64)> = curves
        .iter()
        .enumerate()
        .flat_map(|(i, points)| points.iter().map(move |(dose, response)| (i as i64, *dose, 0.0, *response)))
        .collect();
    write_rows(&place.path("in.parquet"), &rows);
    std::fs::write(place.path("twin.toml"), TWIN).unwrap();
    let rejected = rows.iter().filter(|r| !(r.1 >= 0.0 && r.1.is_finite() && r.3.is_finite())).count();
    // Every model meets such curves in `models::hostile_curves_give_numbers_or_a_reason`; here it is every way through the
    // command.
    for flags in [
        "--ci profile",
        "--model biphasic --ci none",
        "--model gr",
        "--model flat",
        "--model twin.toml",
        "--model auto:flat,hill3,hill4",
        "--model auto:gr,flat",
        "--loss tukey",
    ] {
        let (code, said) = place.fit(flags);
        assert_eq!(code, Some(0), "{flags}\n{said}");
        assert!(said.contains(&format!("{} in = {} used + {rejected} rejected", rows.len(), rows.len() - rejected)));
        let out = place.out();
        // Curves without a usable row are none.
        assert_eq!(out.0.num_rows(), curves.len() - 2, "{flags}");
        assert_eq!(out.unexplained(), [""; 0], "{flags}");
        let ids: Vec<f64> = (0..out.0.num_rows()).map(|row| out.number("curve", row).unwrap()).collect();
        assert!(!ids.contains(&8.0) && !ids.contains(&17.0));
    }
    // The check can fail: a null and a NaN without a word.
    let nothing = [None, Some(f64::NAN)].into_iter().collect::<Float64Array>();
    write(
        &place.path("bad.parquet"),
        vec![("status", Arc::new(StringArray::from(vec!["ok"; 2])) as ArrayRef), ("sse", Arc::new(nothing))],
    );
    assert_eq!(Read::new(&place.path("bad.parquet")).unexplained().len(), 2);
}

#[test]
fn wrong_data_files_end_in_an_error_that_names_them() {
    let place = Place::new();
    let input = place.path("in.parquet");
    let refused = |said: &str| {
        let (code, found) = place.fit("");
        assert_eq!(code, Some(1), "{found}");
        assert!(found.starts_with("error: ") && found.contains(said), "{found}");
        assert!(!place.path("out.parquet").exists(), "nothing is left of a failed run");
    };
    refused("cannot read `in.parquet`");
    std::fs::write(&input, "").unwrap();
    refused("`in.parquet`: is empty");
    std::fs::write(&input, "curve,dose,response\n1,2,3\n").unwrap();
    refused("`in.parquet`: is not a Parquet file");
    write_rows(&input, &hill_rows());
    let whole = std::fs::read(&input).unwrap();
    for length in [4, whole.len() / 2, whole.len() - 1] {
        std::fs::write(&input, &whole[..length]).unwrap();
        refused("`in.parquet`: ");
    }
    write_rows(&input, &[]);
    refused("`in.parquet`: has no rows");
    let numbers = || -> ArrayRef { Arc::new(Float64Array::from(vec![1.0, 2.0])) };
    let words = || -> ArrayRef { Arc::new(StringArray::from(vec!["one", "two"])) };
    write(&input, vec![("curve", words()), ("dose", words()), ("response", numbers())]);
    refused("column `dose`");
    write(&input, vec![("curve", words()), ("dose", numbers()), ("response", words())]);
    refused("column `response`");
    write(&input, vec![("curve", words()), ("dosis", numbers()), ("response", numbers())]);
    refused("has no column `dose`");
    std::fs::remove_file(&input).unwrap();
    std::fs::create_dir(&input).unwrap();
    refused("is a folder");
}

#[test]
fn a_choice_with_growth_rates_has_their_columns() {
    let place = Place::new();
    let mut rows = Vec::new();
    for curve in 0..9i64 {
        for well in 0..20 {
            let dose = 10f64.powf(-9.0 + 0.5 * f64::from(well / 2));
            let noise = 0.02 * f64::from(well * 7 + curve as i32 * 3).sin();
            let growth = match curve % 3 {
                0 => ModelId::GrowthRate.response(dose, &[-0.4, (10f64).ln() * -7.0, 1.3]),
                1 => 1.0,
                // Two falls, of which the model of growth rates knows one.
                _ => 1.0 - 0.5 / (1.0 + (1e-8 / dose).powi(3)) - 0.45 / (1.0 + (3e-6 / dose).powi(3)),
            };
            rows.push((curve, dose, 0.0, growth + noise));
        }
    }
    write_rows(&place.path("in.parquet"), &rows);
    let (code, said) = place.fit("--model auto:flat,gr,biphasic");
    assert_eq!(code, Some(0), "{said}");
    let chosen = place.out();
    assert_eq!(chosen.unexplained(), [""; 0]);
    assert_eq!(place.fit("--model gr").0, Some(0));
    let alone = place.out();
    for row in 0..9 {
        let expected = ["gr", "flat", "biphasic"][row % 3];
        assert_eq!(chosen.text("model", row).as_deref(), Some(expected), "row {row}");
        for name in ["gr_max", "gr_aoc"] {
            assert_eq!(chosen.number(name, row), alone.number(name, row), "{name} needs no fit");
        }
        match expected {
            "gr" => {
                assert_eq!(chosen.number("log10_gr50", row), alone.number("log10_gr50", row));
                assert_eq!(chosen.number("gr_p_value", row), alone.number("gr_p_value", row));
                assert!((chosen.number("log10_gr50", row).unwrap() + 7.0).abs() < 0.3);
                assert_eq!(chosen.text("gr_reason", row), None);
            }
            other => {
                let reason = if other == "flat" { "flat_curve" } else { "other_model" };
                assert_eq!(chosen.number("log10_gr50", row), None);
                assert_eq!(chosen.text("gr50_reason", row).as_deref(), Some(reason));
                assert_eq!(chosen.text("gr_reason", row).as_deref(), Some(reason));
            }
        }
    }
    assert!(alone.number("log10_gr50", 2).is_some(), "by itself the model answers for the two falls as well");
    assert_eq!(place.fit("--model auto").0, Some(0));
    assert!(place.out().0.column_by_name("gr_max").is_none());
}

#[test]
fn model_files_are_timed_beside_built_in_models() {
    let place = Place::new();
    std::fs::write(place.path("twin.toml"), TWIN).unwrap();
    let (code, said) =
        place.isobole("bench --curves 500 --backend cpu --models hill4,twin.toml --json bench.json --threads 1");
    assert_eq!(code, Some(0), "{said}");
    let saved: serde_json::Value = serde_json::from_slice(&std::fs::read(place.path("bench.json")).unwrap()).unwrap();
    assert_eq!(saved["models"], serde_json::json!(["hill4", "twin"]));
    for (k, name) in ["hill4", "twin"].into_iter().enumerate() {
        assert_eq!((&saved["speeds"][k]["model"], &saved["speeds"][k]["failed"]), (&name.into(), &0.into()));
        assert!(saved["speeds"][k]["fits_per_second"].as_f64().unwrap() > 0.0);
    }
    std::fs::write(place.path("bad.toml"), TWIN.replace("ec50)", "ec5O)")).unwrap();
    std::fs::write(place.path("x2.toml"), TWIN.replace("bottom + (", "bottom + x2 * (")).unwrap();
    for (models, code, said) in [
        ("bad.toml", 1, "line 3, column"),
        ("x2.toml", 1, "second variable"),
        ("auto", 1, "each is timed by itself"),
        ("gone.toml", 1, "cannot read `gone.toml`"),
        ("hil4", 2, "unknown model `hil4`"),
    ] {
        let (found_code, found) = place.isobole(&format!("bench --curves 10 --backend cpu --models {models}"));
        assert!(found_code == Some(code) && found.contains(said), "{models}\n{found}");
    }
}
