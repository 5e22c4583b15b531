//! A folder that is what it was verifies; one whose numbers were changed does not, though every hash be right.

use super::ran;
use isobole::config::{BackendChoice, Settings};
use isobole::report::files;
use isobole::report::run_json::RunRecord;
use isobole::report::table::Values;
use isobole::run::verify::{Scope, Verdict, Verification, verify};
use isobole::run::{Extent, run};
use std::path::Path;

fn differing(found: &Verification) -> Vec<&str> {
    found.with(Verdict::Differs)
}

/// Changes one column of a table, and sets its hash right.
fn forge(dir: &Path, table: &str, column: &str, change: impl Fn(f64) -> f64) {
    let path = dir.join(format!("{table}.parquet"));
    let mut record = RunRecord::read(dir).unwrap();
    let mut forged = files::read(&path).unwrap();
    for own in forged.columns.iter_mut().filter(|own| own.name == column) {
        if let Values::Number(values) = &mut own.values {
            values.iter_mut().flatten().for_each(|value| *value = change(*value));
        }
    }
    files::write_parquet(&forged, &path, &record.identity()).unwrap();
    record.list(dir, &[path]).unwrap();
    record.write(dir).unwrap();
}

#[test]
fn numbers_are_computed_again_and_forged_ones_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, _) = ran(folder.path(), "run", "bootstrap = 20\nbackend = 'cpu'");
    let check = |scope: Scope| verify(&dir, scope, None, &mut |_, _| {}).unwrap();
    for scope in [Scope::All, Scope::Sample(3)] {
        let found = check(scope);
        assert!(found.is_sound(), "{:?}", differing(&found));
        assert!(found.checked.len() >= 15 && found.notes.is_empty(), "{found:?}");
    }
    let intact = |name: &str| std::fs::read(dir.join(name)).unwrap();
    let kept = ["synergy.parquet", "pairs.parquet", "run.json"].map(|name| (name, intact(name)));
    let bring_back = || kept.iter().for_each(|(name, bytes)| std::fs::write(dir.join(name), bytes).unwrap());

    forge(&dir, "pairs", "score", |score| score + 0.01);
    let found = check(Scope::Sample(1));
    assert_eq!(differing(&found), ["table `pairs`"]);
    let detail = &found.checked.iter().find(|one| one.verdict == Verdict::Differs).unwrap().detail;
    assert!(detail.starts_with("`score` of row 0 is "), "{detail}");
    bring_back();

    // A standard error is what only draws can tell: a sample of one matrix does.
    forge(&dir, "synergy", "se_bliss", |error| 0.5 * error);
    assert!(differing(&check(Scope::Sample(1))).contains(&"draws of bliss"));
    assert!(differing(&check(Scope::All)).contains(&"table `synergy`"));
    bring_back();
    assert!(check(Scope::Sample(1)).is_sound());

    // What follows from all p is compared with them.
    forge(&dir, "synergy", "q_bliss", |q| 0.5 * q);
    assert_eq!(differing(&check(Scope::Sample(1))), ["`q` of bliss"]);
    bring_back();
    forge(&dir, "synergy", "df_bliss", |df| df + 1.0);
    assert!(differing(&check(Scope::All)).contains(&"table `synergy`"));
    bring_back();
    // A page that was changed is named, and the numbers are checked all the same.
    let page = intact("report.html");
    std::fs::write(dir.join("report.html"), "none").unwrap();
    let found = check(Scope::Sample(1));
    assert_eq!((differing(&found), found.with(Verdict::NotChecked)), (vec!["files"], vec!["`p_null`"]));
    std::fs::write(dir.join("report.html"), page).unwrap();

    // A hash that is wrong is told, and an input that has changed.
    let mut bytes = intact("curves.parquet");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    let curves = intact("curves.parquet");
    std::fs::write(dir.join("curves.parquet"), &bytes).unwrap();
    let found = check(Scope::Sample(1));
    assert_eq!((differing(&found), found.with(Verdict::NotChecked)), (vec!["files"], vec!["numbers"]));
    assert!(found.checked[0].detail.contains("curves.parquet"), "{:?}", found.checked[0]);
    std::fs::write(dir.join("curves.parquet"), &curves).unwrap();
    let lines = folder.path().join("input/lines.csv");
    std::fs::write(&lines, std::fs::read_to_string(&lines).unwrap() + "\n").unwrap();
    assert_eq!(differing(&check(Scope::Sample(1))), ["inputs"]);
    std::fs::remove_file(&lines).unwrap();
    let found = check(Scope::Sample(1));
    assert!(found.is_sound() && found.with(Verdict::NotChecked) == ["inputs", "`p_null`"], "{found:?}");
    let skipped = found.checked.iter().find(|one| one.verdict == Verdict::NotChecked).unwrap();
    assert!(skipped.detail.contains("lines.csv` is not there"), "{skipped:?}");
}

/// A folder of plates alone has no curve to compute, and what it has is computed again.
#[test]
fn folders_of_plates_alone_are_checked_from_their_inputs() {
    let folder = tempfile::tempdir().unwrap();
    let (plates, lines) = super::screen(folder.path());
    for (name, extent) in [("qc", Extent::Quality), ("normalised", Extent::Normalised)] {
        let settings =
            Settings::resolve(super::said("backend = 'cpu'"), vec![plates.clone()], folder.path().join(name));
        let settings = Settings { lines_file: Some(lines.clone()), ..settings.unwrap() };
        run(&settings, extent, "plates", &mut |_, _| {}).unwrap();
        let found = verify(&settings.out, Scope::All, None, &mut |_, _| {}).unwrap();
        assert!(found.is_sound() && found.with(Verdict::NotChecked).is_empty(), "{found:?}");
        assert!(found.with(Verdict::Agrees).contains(&"table `plates`"), "{found:?}");
        forge(&settings.out, "plates", "z_prime", |z| z + 0.1);
        let found = verify(&settings.out, Scope::All, None, &mut |_, _| {}).unwrap();
        assert_eq!(differing(&found), ["table `plates`"]);
    }
    std::fs::remove_file(&plates).unwrap();
    let found = verify(&folder.path().join("qc"), Scope::All, None, &mut |_, _| {}).unwrap();
    assert!(found.is_sound() && found.with(Verdict::NotChecked) == ["inputs", "numbers"], "{found:?}");
    let detail = &found.checked.last().unwrap().detail;
    assert!(detail.contains("plates.parquet`: is not there any more, and the folder keeps no wells"), "{detail}");
}

#[test]
fn another_back_end_agrees_within_what_is_certified() {
    if crate::gpu().is_none() {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let (dir, _) = ran(folder.path(), "run", "bootstrap = 20\nbackend = 'cpu'");
    let check = || verify(&dir, Scope::Sample(3), Some(BackendChoice::Gpu), &mut |_, _| {}).unwrap();
    let found = check();
    assert!(found.is_sound(), "{found:?}");
    assert!(found.notes[0].contains("certified tolerance") && found.with(Verdict::NotChecked).contains(&"draws"));
    // Rows that change places are the same rows.
    let mut record = RunRecord::read(&dir).unwrap();
    let (path, bytes) = (dir.join("pairs.parquet"), std::fs::read(dir.join("run.json")).unwrap());
    let kept = std::fs::read(&path).unwrap();
    let mut turned = files::read(&path).unwrap();
    for column in &mut turned.columns {
        match &mut column.values {
            Values::Text(values) => values.reverse(),
            Values::Named(_, values) => values.reverse(),
            Values::Number(values) => values.reverse(),
            Values::Integer(values) => values.reverse(),
            Values::Flag(values) => values.reverse(),
        }
    }
    files::write_parquet(&turned, &path, &record.identity()).unwrap();
    record.list(&dir, std::slice::from_ref(&path)).unwrap();
    record.write(&dir).unwrap();
    assert_eq!(differing(&check()), [""; 0]);
    // A table that nobody listed ends nothing.
    std::fs::remove_file(&path).unwrap();
    record.files.remove("pairs.parquet");
    record.write(&dir).unwrap();
    assert_eq!(differing(&check()), ["table `pairs`"]);
    std::fs::write(&path, kept).unwrap();
    std::fs::write(dir.join("run.json"), bytes).unwrap();
    forge(&dir, "synergy", "score_hsa", |score| score + 0.02);
    assert!(differing(&check()).contains(&"table `synergy`"));
}
