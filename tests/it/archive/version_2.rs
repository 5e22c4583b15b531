//! Folders of layout version 2 stay readable: restored, read again from what they keep, checked and compared. They have no
//! degrees of freedom, so what was drawn is drawn anew.

use super::{again, differing, said};
use assert_cmd::Command;
use isobole::analysis::{Analysis, analyse};
use isobole::archive::Archive;
use isobole::backend::cpu::Cpu;
use isobole::config::Settings;
use isobole::diff::diff;
use isobole::ingest::read_screen;
use isobole::report::files;
use isobole::report::pair_text::pair_text;
use isobole::report::run_json::{RunRecord, SCHEMA_VERSION};
use isobole::report::table::{Column, Table, Values};
use isobole::run::verify::{Scope, Verdict, Verification, verify};
use isobole::run::{Extent, run};
use isobole::synergy::SynergyModel;
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

/// A copy of the folder that may be changed.
fn copy(folder: &Path) -> PathBuf {
    let dir = folder.join("v2");
    std::fs::create_dir(&dir).unwrap();
    for entry in std::fs::read_dir(fixture("archive-v2")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    dir
}

/// The settings of the folder with something said anew, for a run of its inputs into `out`.
fn settings(archive: &Archive, anew: &str, out: PathBuf) -> Settings {
    let settings = archive.settings.said_anew(said(anew), out).unwrap();
    let input = |name: &str| fixture("archive-v1-input").join(name);
    Settings { inputs: vec![input("plates.parquet")], lines_file: Some(input("lines.csv")), ..settings }
}

/// Writes a table of a folder anew, and sets its hash right.
fn forge(dir: &Path, table: &str, change: impl FnOnce(&mut Table)) {
    let path = dir.join(format!("{table}.parquet"));
    let mut record = RunRecord::read(dir).unwrap();
    let mut forged = files::read(&path).unwrap();
    change(&mut forged);
    files::write_parquet(&forged, &path, &record.identity()).unwrap();
    record.list(dir, &[path]).unwrap();
    record.write(dir).unwrap();
}

/// Whether numbers are the same but for the last bits, which another processor may round otherwise.
fn same(a: f64, b: f64) -> bool {
    a == b || (a - b).abs() <= 1e-9 * a.abs().max(1.0)
}

#[test]
fn it_is_restored_to_the_wells_and_curves_of_its_inputs() {
    let archive = Archive::open(&fixture("archive-v2")).unwrap();
    assert_eq!((archive.record.schema_version.as_str(), archive.has_stages()), ("2", true));
    let restored = archive.restore(true).unwrap();
    let settings = settings(&archive, "", PathBuf::new());
    let screen = read_screen(&settings.inputs, &settings.mapping, settings.lines_file.as_deref()).unwrap();
    let whole: Analysis = analyse(&screen, &settings, &Cpu, &mut |_, _| {}).unwrap();
    assert_eq!(format!("{:?}", restored.screen.wells), format!("{:?}", screen.wells));
    assert_eq!(format!("{:?}", restored.screen.annotations), format!("{:?}", screen.annotations));
    let (plates, curves) = (restored.plates.unwrap(), restored.curves.unwrap());
    let rejected = |analysis: &Analysis| format!("{:?}", analysis.rejected.iter().collect::<Vec<_>>());
    assert_eq!(rejected(&plates), rejected(&whole));
    assert!(plates.wells.len() == whole.wells.len() && whole.wells.len() > 200);
    for (old, new) in plates.wells.iter().zip(whole.wells.iter()) {
        assert_eq!(format!("{:?} {:?}", old.well, old.flags), format!("{:?} {:?}", new.well, new.flags));
        assert!(same(old.response, new.response) && same(old.weight, new.weight), "{old:?} {new:?}");
    }
    assert!(curves.fits.len() == whole.fits.len() && whole.fits.len() >= 4);
    for (old, new) in curves.fits.iter().zip(&whole.fits) {
        assert_eq!((old.status, old.parameters.len()), (new.status, new.parameters.len()));
        let parameters = old.parameters.iter().zip(&new.parameters);
        assert!(parameters.clone().all(|(old, new)| (old - new).abs() < 1e-6), "{old:?} {new:?}");
    }
    let pair = files::read(&archive.path("pairs.parquet")).unwrap();
    let name = |column: &str| pair.column(column).unwrap().text(0).unwrap().to_owned();
    let shown = pair_text(&archive.dir, &format!("{} + {}", name("drug_b"), name("drug_a")), None, None).unwrap();
    assert!(shown.contains(": rank 1 of 1") && shown.contains("excess over bliss"), "{shown}");
}

#[test]
fn it_is_read_again_from_what_it_keeps_with_draws_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = fixture("archive-v2");
    let archive = Archive::open(&dir).unwrap();
    let models = archive.settings.synergy.clone();
    let full = |name: &str, anew: &str| {
        let settings = settings(&archive, anew, folder.path().join(name));
        run(&settings, Extent::Full, &archive.record.title, &mut |_, _| {}).unwrap();
        settings.out
    };
    // From the wells as read: nothing else is the archive's.
    let out = folder.path().join("corrected");
    let (rescored, _) = again(&dir, &out, "spatial = 'median'");
    assert_eq!(rescored.finished.record.rescored_from.unwrap().reused, [""; 0]);
    assert_eq!(differing(&out, &full("corrected-whole", "spatial = 'median'")), [""; 0]);

    // With nothing said: curves stand, and draws do not.
    let out = folder.path().join("again");
    let (rescored, begun) = again(&dir, &out, "");
    assert!(begun.contains(&"intervals".into()) && !begun.contains(&"curves".into()), "{begun:?}");
    assert_eq!((rescored.kept.drawn, rescored.kept.drawn_anew), (Vec::new(), models.clone()));
    let record = &rescored.finished.record;
    let from = record.rescored_from.as_ref().unwrap();
    assert_eq!(from.reused, ["read", "plates", "curves"]);
    let stands = |stage: &str| ["read", "plates", "curves"].contains(&stage);
    let seconds: f64 = archive.record.timings.iter().filter(|t| stands(&t.stage)).map(|t| t.seconds).sum();
    assert!((from.seconds_saved - seconds).abs() < 1e-12 && seconds > 0.0);
    assert_eq!(from.drawn_anew, models.iter().map(|model| model.name()).collect::<Vec<_>>());
    assert_eq!(record.schema_version, SCHEMA_VERSION);
    let found = diff(&full("again-whole", ""), &out).unwrap();
    assert!(found.causes.is_empty(), "{:?}", found.causes);
    assert!(found.stages.iter().all(|stage| stage.largest.unwrap_or(0.0) < 1e-9), "{:?}", found.stages);
    let synergy = |dir: &Path| files::read(&dir.join("synergy.parquet")).unwrap();
    let (whole, reading) = (synergy(&folder.path().join("again-whole")), synergy(&out));
    for column in ["df_bliss", "se_bliss", "p_hsa"] {
        for row in 0..whole.rows() {
            let number = |table: &Table| table.column(column).unwrap().number(row).unwrap();
            assert!(same(number(&whole), number(&reading)), "{column} of row {row}");
        }
    }

    // That reading keeps degrees of freedom: of it everything stands.
    let (third, begun) = again(&out, &folder.path().join("third"), "");
    assert!(!begun.contains(&"intervals".into()) && third.kept.drawn == models, "{begun:?}");
    let text = serde_json::to_value(&third.finished.record).unwrap()["rescored_from"].to_string();
    assert!(text.contains("\"intervals\"") && !text.contains("drawn_anew"), "{text}");
}

/// Some folders of layout 2 have degrees of freedom, which came before the number was raised.
#[test]
fn only_draws_without_degrees_of_freedom_are_made_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = copy(folder.path());
    let out = folder.path().join("again");
    again(&fixture("archive-v2"), &out, "");
    let whole = files::read(&out.join("synergy.parquet")).unwrap();
    let kept = ["df_hsa", "df_zip"];
    forge(&dir, "synergy", |table| {
        let columns = kept.map(|name| Column { name: name.into(), values: whole.column(name).unwrap().clone() });
        table.columns.extend(columns);
    });
    let (some, begun) = again(&dir, &folder.path().join("some"), "");
    assert_eq!(some.kept.drawn, [SynergyModel::Hsa, SynergyModel::Zip]);
    assert!(begun.contains(&"intervals".into()) && !some.kept.drawn_anew.contains(&SynergyModel::Hsa));
    let from = some.finished.record.rescored_from.unwrap();
    assert_eq!((from.reused.last().unwrap().as_str(), from.drawn_anew.contains(&"bliss".into())), ("curves", true));
    let (all, begun) = again(&dir, &folder.path().join("all"), "synergy = ['zip', 'hsa']");
    assert!(!begun.contains(&"intervals".into()) && all.kept.drawn_anew.is_empty(), "{begun:?}");
    let from = all.finished.record.rescored_from.unwrap();
    assert_eq!(from.reused, ["read", "plates", "curves", "intervals"]);
}

#[test]
fn it_is_verified_but_for_what_its_layout_did_not_have() {
    let folder = tempfile::tempdir().unwrap();
    let dir = copy(folder.path());
    let check = || verify(&dir, Scope::Sample(5), None, &mut |_, _| {}).unwrap();
    let found: Verification = check();
    assert!(found.is_sound(), "{found:?}");
    // Inputs lie where they lay, or do not, as the folder from which this runs will have it.
    let skipped: Vec<&str> = found.with(Verdict::NotChecked).into_iter().filter(|what| *what != "inputs").collect();
    let tables = ["table `wells`", "table `curves`", "table `synergy`", "table `pairs`", "other tables"];
    assert_eq!(skipped, [&tables[..], &["draws"]].concat());
    for what in ["files", "table `wells`", "table `curves`", "table `synergy`", "table `pairs`"] {
        assert!(found.with(Verdict::Agrees).contains(&what), "{what}: {found:?}");
    }
    assert_eq!(found.notes.len(), 3, "{:?}", found.notes);
    assert_eq!(found.notes[0], "written in layout version 2: compared within the certified tolerance");
    assert!(
        found.notes[1].starts_with("this folder of layout version 2 has no ") && found.notes[1].contains("df_bliss")
    );
    assert!(found.notes[2].starts_with("this folder of layout version 2 has shrunken of "), "{:?}", found.notes);

    // Its settings are those of its hash, in which places of tables counted still.
    let record = RunRecord::read(&dir).unwrap();
    for (setting, value) in [("seed", 2.into()), ("knowledge_folder", "known".into())] {
        let mut edited = record.clone();
        edited.settings[setting] = value;
        edited.write(&dir).unwrap();
        let error = Archive::open(&dir).map(|_| ()).unwrap_err().to_string();
        assert!(error.contains("its settings are not those that its hash is of"), "{setting}: {error}");
    }
    record.write(&dir).unwrap();
    let later = RunRecord { schema_version: "3".into(), ..record.clone() };
    assert!(record.has_its_settings() && !later.has_its_settings(), "later layouts have one hash for all places");

    // What it did have must be there, and be what it was.
    let synergy = std::fs::read(dir.join("synergy.parquet")).unwrap();
    forge(&dir, "synergy", |table| table.columns.retain(|column| column.name != "score_bliss"));
    let lacking = check();
    assert_eq!(lacking.with(Verdict::Differs), ["table `synergy`"]);
    std::fs::write(dir.join("synergy.parquet"), synergy).unwrap();
    assert_eq!(check().with(Verdict::Differs), ["files"], "its hash is that of the other table");
    forge(&dir, "synergy", |_| {});
    assert!(check().is_sound());
    forge(&dir, "pairs", |table| {
        for column in table.columns.iter_mut().filter(|column| column.name == "score") {
            if let Values::Number(values) = &mut column.values {
                values.iter_mut().flatten().for_each(|score| *score += 0.05);
            }
        }
    });
    assert_eq!(check().with(Verdict::Differs), ["table `pairs`"]);
}

#[test]
fn a_reading_of_it_differs_by_its_layout_and_users_are_told_what_was_drawn_anew() {
    let folder = tempfile::tempdir().unwrap();
    let dir = fixture("archive-v2");
    let out = folder.path().join("again");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let output =
        Command::cargo_bin("isobole").unwrap().args(["rescore", &path(&dir), "--out", &path(&out)]).output().unwrap();
    let words = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.success() && words.contains("reused     read, plates, curves: "), "{words}");
    let told = "drawn anew hsa, bliss, loewe, zip: the archive keeps their draws without degrees of freedom";
    assert!(words.contains(told), "{words}");
    let found = diff(&dir, &out).unwrap();
    let causes: Vec<(&str, &str)> = found.causes.iter().map(|cause| (cause.kind, cause.detail.as_str())).collect();
    let layout = format!("layout version 2 to {SCHEMA_VERSION}");
    assert_eq!(causes, [("version", layout.as_str())]);
    let wells = &found.stages[0];
    assert!(wells.unit == "wells" && wells.changed == 0, "{:?}", found.stages);
}
