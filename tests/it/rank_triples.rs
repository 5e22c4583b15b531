//! Three drugs beside pairs in the ranking of one screen: on the same footing, whatever the third one does.

use crate::command_fit::Read;
use assert_cmd::Command;
use isobole::math::random::standard_normal;
use isobole::report::files;
use isobole::report::run_json::{RunIdentity, SCHEMA_VERSION};
use isobole::report::table::Table;
use std::path::{Path, PathBuf};
use tempfile::TempDir;

/// One well: plate, line, drugs with their doses (nM), signal.
struct Row {
    line: &'static str,
    plate: &'static str,
    role: &'static str,
    doses: [f64; 3],
    signal: f64,
}

const DRUGS: [&str; 3] = ["clofarabine", "venetoclax", "idle"];

/// Viability of a line that is 30 times as resistant as its parent, but for venetoclax, which gives a tenth of the IC50
/// back; the third drug leaves `idle` of the cells at every dose, alone and with others.
fn viability(line: &str, [clofarabine, venetoclax, third]: [f64; 3], idle: f64) -> f64 {
    let hill = |dose: f64, ic50: f64| 1.0 / (1.0 + (dose / ic50).powf(1.3));
    let potentiated = if line == "HL-60" { 1.0 } else { 1.0 + 9.0 * venetoclax / (venetoclax + 300.0) };
    let ic50 = if line == "HL-60" { 30.0 } else { 900.0 };
    hill(clofarabine * potentiated, ic50) * hill(venetoclax, 20_000.0) * if third > 0.0 { idle } else { 1.0 }
}

/// A plate for each line: every combination of doses of three drugs twice, vehicles and blanks. Of the wells with all three
/// drugs, a share of `spoilt` reads four times what it should.
fn screen(idle: f64, spoilt: f64) -> Vec<Row> {
    let mut rows = Vec::new();
    for (line, plate) in [("HL-60", "P1"), ("HL-60/CLO", "P2")] {
        let series = [
            [0.0, 5.0, 20.0, 80.0, 320.0, 1280.0, 5120.0].as_slice(),
            [0.0, 100.0, 400.0, 1600.0].as_slice(),
            [0.0, 10.0, 30.0, 100.0].as_slice(),
        ];
        let mut place = 0;
        let mut push = |role, doses: [f64; 3], viability: f64| {
            place += 1;
            let noise = 1.0 + 0.04 * standard_normal(5, u64::from(line == "HL-60"), 0, place);
            let is_triple = doses.iter().all(|dose| *dose > 0.0);
            let times = if is_triple && f64::from(place % 100) < 100.0 * spoilt { 4.0 } else { 1.0 };
            rows.push(Row { line, plate, role, doses, signal: times * (100.0 + 10_000.0 * viability * noise) });
        };
        for _ in 0..24 {
            push("vehicle", [0.0; 3], 1.0);
            push("blank", [0.0; 3], 0.0);
        }
        for a in series[0] {
            for b in series[1] {
                for c in series[2] {
                    let doses = [*a, *b, *c];
                    for _ in 0..if doses == [0.0; 3] { 0 } else { 2 } {
                        push("sample", doses, viability(line, doses, idle));
                    }
                }
            }
        }
    }
    rows
}

fn run(folder: &Path, rows: &[Row]) -> PathBuf {
    let mut table = Table::new("plates")
        .text("plate_id", rows.iter().map(|row| Some(row.plate)))
        .text("cell_line", rows.iter().map(|row| Some(row.line)))
        .text("role", rows.iter().map(|row| Some(row.role)))
        .number("signal", rows.iter().map(|row| Some(row.signal)))
        .text("conc_unit", rows.iter().map(|_| Some("nM")));
    for (k, (drug, dose)) in [("drug_a", "conc_a"), ("drug_b", "conc_b"), ("drug_c", "conc_c")].into_iter().enumerate()
    {
        let given = move |row: &Row| row.doses[k] > 0.0;
        table = table
            .text(drug, rows.iter().map(|row| given(row).then_some(DRUGS[k])))
            .number(dose, rows.iter().map(|row| given(row).then_some(row.doses[k])));
    }
    let identity =
        RunIdentity { version: "0".into(), settings_sha256: "0".repeat(64), schema_version: SCHEMA_VERSION.into() };
    let plates = files::write(&table, folder, &identity, false).expect("plates");
    std::fs::write(folder.join("lines.csv"), "cell_line,parental\nHL-60,\nHL-60/CLO,HL-60\n").expect("lines");
    let out = folder.join("out");
    let mut command = Command::cargo_bin("isobole").expect("the program");
    command.arg("run").arg(plates).arg("--lines").arg(folder.join("lines.csv"));
    command.args(["--synergy", "bliss", "--bootstrap", "40", "--backend", "cpu", "--quiet", "--out"]).arg(&out);
    command.assert().success();
    out
}

/// The rows of the pair with venetoclax and of the triple.
fn pair_and_triple(pairs: &Read) -> [usize; 2] {
    let has = |row: &usize, third: Option<&str>| {
        pairs.text("drug_a", *row).as_deref() == Some(DRUGS[0]) && pairs.text("drug_c", *row).as_deref() == third
    };
    let partner = |row: &usize| pairs.text("drug_b", *row).as_deref() == Some("venetoclax");
    let find = |wanted: &dyn Fn(&usize) -> bool| (0..pairs.rows()).find(|row| wanted(row)).expect("a row");
    // Partners stand by name: `idle` before `venetoclax`.
    [find(&|row| has(row, None) && partner(row)), find(&|row| has(row, Some("venetoclax")))]
}

#[test]
fn a_third_drug_that_does_nothing_leaves_the_triple_beside_its_best_pair() {
    let folder = TempDir::new().expect("a folder");
    let out = run(folder.path(), &screen(0.97, 0.0));
    let pairs = Read::new(&out.join("pairs.parquet"));
    let [pair, triple] = pair_and_triple(&pairs);
    let number = |column: &str, row: usize| pairs.number(column, row).unwrap_or_else(|| panic!("{column}"));
    println!(
        "{:?}",
        ["composite", "score", "rescue_fraction", "peak_efficacy"].map(|c| [number(c, pair), number(c, triple)])
    );
    // The same wells of the anchor and venetoclax, thrice: synergy, rescue and kill are those of the pair.
    for (column, tolerance) in
        [("score", 0.02), ("peak_efficacy", 0.08), ("rescue_fraction", 0.15), ("composite", 0.03)]
    {
        let [of_pair, of_triple] = [number(column, pair), number(column, triple)];
        assert!((of_pair - of_triple).abs() < tolerance, "{column}: {of_pair} {of_triple}");
    }
    assert_eq!(pairs.number("tie_group", pair), pairs.number("tie_group", triple));
    // What the triple did not have before: each would have cost it more than that.
    assert!(number("composite_efficacy", triple) > 0.03 && number("composite_rescue", triple) > 0.01);
    let flags = pairs.text("flags", triple).expect("flags");
    assert!(!flags.contains("no_plate_quality") && !flags.contains("composite_without"), "{flags}");
    assert!(number("added_by_third", triple).abs() < 0.05 && number("qc_burden", triple) == 0.0);

    // The rescue is that of both partners, at doses that together leave half of the cells.
    let rows = Read::new(&out.join("resensitisation.parquet"));
    let of_triple: Vec<usize> = (0..rows.rows()).filter(|row| rows.text("second_partner", *row).is_some()).collect();
    assert_eq!(of_triple.len(), 2 * 3 * 3);
    let speaks = |line: &str| {
        let of_line = of_triple.iter().filter(|row| rows.text("cell_line", **row).as_deref() == Some(line));
        of_line.filter(|row| rows.flag("is_ranked", **row)).copied().collect::<Vec<_>>()
    };
    let [row] = speaks("HL-60/CLO")[..] else { panic!("one row speaks") };
    // The highest of both: venetoclax alone leaves 0.96 there.
    let doses =
        ["partner_dose_molar", "second_partner_dose_molar"].map(|column| rows.number(column, row).expect("dose"));
    assert!((doses[0] / 1e-7 - 1.0).abs() < 1e-6 && (doses[1] / 1.6e-6 - 1.0).abs() < 1e-6, "{doses:?}");
    // The truth: 1 + 9 * 1600 / 1900 = 8.6 of 30.
    let fold = rows.number("fold_change", row).expect("fold");
    assert!((fold / 8.58).ln().abs() < 0.3, "{fold}");
    let rescued = 8.58f64.ln() / 30f64.ln();
    assert!((rows.number("rescue_fraction", row).expect("rescue") - rescued).abs() < 0.12);
    for table in ["triples", "resensitisation"] {
        assert_eq!(Read::new(&out.join(format!("{table}.parquet"))).unexplained(), Vec::<String>::new(), "{table}");
    }
}

#[test]
fn doubtful_wells_of_three_drugs_are_a_burden_of_the_triple_alone() {
    let folder = TempDir::new().expect("a folder");
    let out = run(folder.path(), &screen(0.97, 0.2));
    let pairs = Read::new(&out.join("pairs.parquet"));
    let [pair, triple] = pair_and_triple(&pairs);
    let burden = |row: usize| pairs.number("qc_burden", row).expect("a burden");
    assert!(burden(triple) > 0.02 && burden(triple) < 0.3, "{}", burden(triple));
    assert!(burden(pair) < 0.5 * burden(triple), "{} {}", burden(pair), burden(triple));
    let share = pairs.number("composite_qc", triple).expect("a share");
    assert!((share + 0.05 * burden(triple)).abs() < 1e-12, "{share}");
    // As in the table of the matrices: weighed by their wells.
    let triples = Read::new(&out.join("triples.parquet"));
    let of = |column: &str| (0..2).map(|row| triples.number(column, row).expect("a number")).collect::<Vec<_>>();
    let (shares, wells) = (of("qc_burden"), of("n_wells"));
    let mean = (shares[0] * wells[0] + shares[1] * wells[1]) / (wells[0] + wells[1]);
    assert!((mean - burden(triple)).abs() < 1e-12 && shares.iter().all(|share| *share > 0.0));
}
