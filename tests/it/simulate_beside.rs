//! From `isobole simulate --evidence --apoptosis` over `isobole mechanism` and `isobole run` to the calls: what was planted
//! beside the plates, by models that nobody fits (saturating bands, cycles below full efficiency, counted cells that die
//! or only stop dividing), is found again.

use crate::command_fit::Read;
use assert_cmd::Command;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use tempfile::TempDir;

fn isobole(folder: &Path, arguments: &str) {
    let mut command = Command::cargo_bin("isobole").expect("the program");
    command.args(arguments.split_whitespace()).current_dir(folder).assert().success();
}

/// The class of mechanism that a marker belongs to.
fn class(marker: &str) -> &'static str {
    match marker {
        "dCK" => "low_dck",
        "ABCG2" => "abcg2_efflux",
        "p53" => "p53_loss",
        _ => "anti_apoptotic_shift",
    }
}

/// Every subline with the class that was planted, if any.
fn planted(folder: &Path) -> BTreeMap<String, Option<&'static str>> {
    let truth = Read::new(&folder.join("truth_evidence.parquet"));
    let mut planted: BTreeMap<String, Option<&'static str>> = BTreeMap::new();
    for row in 0..truth.rows() {
        let of_line = planted.entry(truth.text("cell_line", row).expect("a line")).or_default();
        if truth.flag("is_causal", row) {
            *of_line = Some(class(&truth.text("marker", row).expect("a marker")));
        }
    }
    planted
}

/// Sublines whose cause alone is called, sublines that have one; sublines without that are called anything, and all of those.
fn told(folder: &Path, mechanisms: &Path) -> [usize; 4] {
    let table = Read::new(mechanisms);
    let mut called: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for row in 0..table.rows() {
        if table.text("status", row).as_deref() == Some("called") {
            let mechanism = table.text("mechanism", row).expect("a mechanism");
            called.entry(table.text("cell_line", row).expect("a line")).or_default().insert(mechanism);
        }
    }
    let mut told = [0; 4];
    for (line, truth) in planted(folder) {
        let got: Vec<&str> = called.get(&line).into_iter().flatten().map(String::as_str).collect();
        let (at, is) = match truth {
            Some(truth) => (0, got == [truth]),
            None => (2, !got.is_empty()),
        };
        told[at] += usize::from(is);
        told[at + 1] += 1;
    }
    told
}

#[test]
fn planted_causes_are_called_by_the_command() {
    let mut all = [0; 4];
    for seed in 1..=8 {
        let folder = TempDir::new().expect("a folder");
        let at = folder.path();
        isobole(
            at,
            &format!("simulate --lines 70 --resistant 35 --pairs 1 --plates 70 --evidence --seed {seed} --out ."),
        );
        isobole(at, "mechanism evidence.csv --lines lines.csv --out why --quiet");
        let told = told(at, &at.join("why/mechanisms.parquet"));
        all.iter_mut().zip(told).for_each(|(all, one)| *all += one);
        if seed == 1 {
            // Targets and loading controls exchanged: nothing of it would be found.
            let text = std::fs::read_to_string(at.join("evidence.csv")).expect("evidence");
            let (target, loading) = ("target_intensity,loading_intensity", "ct_target,ct_reference");
            let exchanged = text.replacen(target, "loading_intensity,target_intensity", 1);
            std::fs::write(at.join("evidence.csv"), exchanged.replacen(loading, "ct_reference,ct_target", 1))
                .expect("file");
            isobole(at, "mechanism evidence.csv --lines lines.csv --out spoilt --quiet");
            let spoilt = self::told(at, &at.join("spoilt/mechanisms.parquet"));
            assert!(spoilt[0] * 2 < spoilt[1], "{spoilt:?}");
        }
    }
    let [right, affected, false_calls, unaffected] = all;
    println!("{right} of {affected} causes called, {false_calls} of {unaffected} sublines without one called");
    assert_eq!((affected, unaffected), (240, 40));
    assert!(right as f64 >= 0.95 * affected as f64, "{right} of {affected}");
    assert!(false_calls as f64 <= 0.05 * unaffected as f64, "{false_calls} of {unaffected}");
}

#[test]
fn a_whole_run_tells_causes_apoptosis_and_schedules_as_planted() {
    let folder = TempDir::new().expect("a folder");
    let at = folder.path();
    isobole(at, "simulate --demo --evidence --apoptosis --schedules 4 --out .");
    // What is to be found out is not said.
    let lines = std::fs::read_to_string(at.join("lines.csv")).expect("lines");
    assert!(lines.contains("CCRF-CEM/CLO-dCK,CCRF-CEM,resistant,\n") && !lines.contains("efflux"), "{lines}");
    isobole(at, "run screen.toml --synergy bliss --bootstrap 40 --backend cpu --quiet --out out");
    assert_eq!(told(at, &at.join("out/mechanisms.parquet")), [3, 3, 0, 0]);
    for table in ["mechanisms", "evidence", "schedules", "apoptosis_synergy"] {
        let unexplained = Read::new(&at.join(format!("out/{table}.parquet"))).unexplained();
        assert_eq!(unexplained, Vec::<String>::new(), "{table}");
    }

    // Apoptosis: the excess of every pair and line within what its interval leaves, at the stated level or nearly so.
    let truth = Read::new(&at.join("truth_apoptosis.parquet"));
    let found = Read::new(&at.join("out/apoptosis_synergy.parquet"));
    let key = |table: &Read, row: usize| ["cell_line", "drug_a", "drug_b", "schedule"].map(|c| table.text(c, row));
    let rows: BTreeMap<_, usize> = (0..found.rows()).map(|row| (key(&found, row), row)).collect();
    let (mut covered, mut shifted, mut n) = (0, 0, 0);
    for row in 0..truth.rows() {
        let of = rows.get(&key(&truth, row)).unwrap_or_else(|| panic!("{:?}", key(&truth, row)));
        let [low, high] = ["bliss_ci_low", "bliss_ci_high"].map(|column| found.number(column, *of).expect("an end"));
        let excess = truth.number("mean_excess_bliss", row).expect("a truth");
        covered += usize::from(low <= excess && excess <= high);
        shifted += usize::from(low <= excess + 0.1 && excess + 0.1 <= high);
        n += 1;
    }
    println!("{covered} of {n} intervals of apoptosis cover");
    assert!(n >= 60 && covered * 10 >= n * 8, "{covered} of {n}");
    assert!(shifted * 2 < n, "a truth a tenth higher would be seen: {shifted} of {n}");

    // Schedules: those that do more in the second are told, and none the other way round.
    let truth = Read::new(&at.join("truth.parquet"));
    let excess = |partner: &str, schedule: &str| {
        let is_meant = |row: &usize| {
            truth.text("drug_b", *row).as_deref() == Some(partner)
                && truth.text("schedule", *row).as_deref() == Some(schedule)
                && truth.text("status", *row).as_deref() == Some("resistant")
        };
        let values: Vec<f64> =
            (0..truth.rows()).filter(is_meant).filter_map(|row| truth.number("mean_excess_bliss", row)).collect();
        values.iter().sum::<f64>() / values.len() as f64
    };
    let schedules = Read::new(&at.join("out/schedules.parquet"));
    assert_eq!(schedules.rows(), 4);
    for row in 0..4 {
        let [partner, first, second] =
            ["drug_b", "schedule_first", "schedule_second"].map(|c| schedules.text(c, row).expect(c));
        let planted = excess(&partner, &first) - excess(&partner, &second);
        let [low, high] = ["ci_low", "ci_high"].map(|column| schedules.number(column, row).expect(column));
        println!("{partner}: {first} - {second} planted {planted:.3}, found {low:.3} to {high:.3}");
        assert!(low - 0.03 < planted && planted < high + 0.03, "{partner}: {planted} not in {low} to {high}");
        let better = schedules.text("better", row).expect("a word");
        assert!(
            planted.abs() < 0.03 || better == if planted > 0.0 { "first" } else { "second" },
            "{partner}: {better}"
        );
    }
}

#[test]
fn an_earlier_screen_leaves_nothing_beside_a_new_one() {
    let folder = TempDir::new().expect("a folder");
    let at = folder.path();
    let names = || -> Vec<String> {
        let entries = std::fs::read_dir(at).expect("a folder").map(|entry| entry.expect("a file").file_name());
        let names: BTreeSet<String> = entries.map(|name| name.to_string_lossy().into_owned()).collect();
        names.into_iter().collect()
    };
    let screen = "simulate --lines 2 --resistant 1 --pairs 1 --plates 2 --out .";
    isobole(at, &format!("{screen} --evidence --apoptosis"));
    assert_eq!(names().len(), 8, "{:?}", names());
    isobole(at, &format!("{screen} --apoptosis"));
    let tables = || -> Vec<String> { names().into_iter().filter(|name| name.ends_with(".parquet")).collect() };
    assert_eq!(tables(), ["plates.parquet", "truth.parquet", "truth_apoptosis.parquet"]);
    assert!(!std::fs::read_to_string(at.join("screen.toml")).expect("a file").contains("evidence"));
    // What a user has put there is not simulation's to remove: texts, and a screen.toml with a word more.
    let write = |name: &str, text: &str| std::fs::write(at.join(name), text).expect("a file");
    let changed = std::fs::read_to_string(at.join("screen.toml")).expect("a file") + "# mine\n";
    for (name, text) in [("evidence.csv", "mine"), ("notes.txt", "mine"), ("screen.toml", &changed)] {
        write(name, text);
    }
    isobole(at, screen);
    let texts = ["apoptosis.csv", "evidence.csv", "lines.csv", "notes.txt", "screen.toml"].map(str::to_owned);
    let has_texts = || texts.iter().all(|name| names().contains(name));
    assert!(tables() == ["plates.parquet", "truth.parquet"] && has_texts(), "{:?}", names());
    assert_eq!(std::fs::read_to_string(at.join("evidence.csv")).expect("a file"), "mine");
    isobole(at, "simulate --curves 3 --out .");
    assert!(tables() == ["curves.parquet", "truth.parquet"] && has_texts(), "{:?}", names());
    // A table of other curves has a name of simulation's, and is none.
    write("curves.parquet", "mine");
    isobole(at, screen);
    assert!(names().contains(&"curves.parquet".to_owned()), "{:?}", names());
}

#[test]
fn schedules_that_the_screen_has_no_pairs_or_plates_for_are_refused() {
    let refused = |more: &str| {
        let folder = TempDir::new().expect("a folder");
        let arguments = format!("simulate --lines 2 --resistant 1 --out new {more}");
        let mut command = Command::cargo_bin("isobole").expect("the program");
        let run = command.args(arguments.split_whitespace()).current_dir(folder.path()).assert().failure();
        assert!(!folder.path().join("new").exists(), "nothing is written");
        String::from_utf8_lossy(&run.get_output().stderr).into_owned()
    };
    let pairs = refused("--pairs 3 --schedules 4");
    assert!(pairs.contains("`schedules`") && pairs.contains("hint: ask for at most 3"), "{pairs}");
    // Six matrices fill a plate: the seventh takes a second one of each line.
    let plates = refused("--pairs 6 --plates 2 --schedules 1");
    assert!(plates.contains("`plates`") && plates.contains("hint: ask for at least 4"), "{plates}");
    let folder = TempDir::new().expect("a folder");
    isobole(folder.path(), "simulate --lines 2 --resistant 1 --pairs 3 --schedules 3 --out new");
}
