//! Folders of layout version 1 stay readable: compared, shown, and read again from their inputs where these are.

use super::said;
use isobole::archive::Archive;
use isobole::diff::diff;
use isobole::report::files;
use isobole::report::pair_text::pair_text;
use isobole::report::run_json::SCHEMA_VERSION;
use isobole::report::table::Values;
use isobole::run::rescore::rescore;
use isobole::run::verify::{Scope, Verdict, verify};
use std::path::{Path, PathBuf};

fn fixture(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(name)
}

#[test]
fn a_folder_of_version_1_is_opened_compared_and_shown() {
    let dir = fixture("archive-v1");
    let archive = Archive::open(&dir).unwrap();
    assert_eq!((archive.record.schema_version.as_str(), archive.has_stages()), ("1", false));
    assert_eq!(archive.settings.bootstrap, 10);
    let found = diff(&dir, &dir).unwrap();
    assert!(found.causes.is_empty() && found.stages.iter().all(|stage| stage.changed == 0));
    let pair = &found.pairs[0];
    let shown = pair_text(&dir, &format!("{} + {}", pair.drug_b, pair.drug_a), None, None).unwrap();
    assert!(shown.contains(": rank 1 of 1") && shown.contains("excess over bliss"), "{shown}");
}

#[test]
fn it_is_read_again_from_its_inputs_where_they_are_as_they_were() {
    let folder = tempfile::tempdir().unwrap();
    let dir = folder.path().join("v1");
    std::fs::create_dir(&dir).unwrap();
    for entry in std::fs::read_dir(fixture("archive-v1")).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), dir.join(entry.file_name())).unwrap();
    }
    // What can be checked agrees, and what cannot is said to be so.
    let check = || verify(&dir, Scope::Sample(5), None, &mut |_, _| {}).unwrap();
    let found = check();
    assert!(found.is_sound(), "{found:?}");
    assert_eq!(found.with(Verdict::NotChecked), ["hashes of files", "inputs", "inputs", "numbers"]);
    let agreed = found.checked.iter().find(|one| one.verdict == Verdict::Agrees).unwrap();
    assert_eq!(agreed.detail, "14 tables can be read and carry the hash of these settings");
    let out = folder.path().join("again");
    let run = || rescore(&dir, said("backend = 'cpu'"), &out, &mut |_, _| {});
    // Paths in the record are from where the run was; here they lead nowhere.
    let error = run().map(|_| ()).unwrap_err().to_string();
    assert!(
        error.contains("plates.parquet`: is not there any more, and a folder of layout version 1 keeps"),
        "{error}"
    );
    let record = dir.join("run.json");
    let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(&record).unwrap()).unwrap();
    for (input, name) in value["inputs"].as_array_mut().unwrap().iter_mut().zip(["plates.parquet", "lines.csv"]) {
        input["path"] = fixture("archive-v1-input").join(name).to_string_lossy().into_owned().into();
    }
    std::fs::write(&record, serde_json::to_vec(&value).unwrap()).unwrap();
    let found = check();
    assert!(found.is_sound() && !found.with(Verdict::NotChecked).contains(&"numbers"), "{found:?}");
    let tables = ["table `wells`", "table `curves`", "table `synergy`", "table `pairs`", "other tables"];
    assert_eq!(found.with(Verdict::NotChecked), [&["hashes of files"], &tables[..], &["draws"]].concat());
    for table in ["table `wells`", "table `curves`", "table `synergy`", "table `pairs`"] {
        assert!(found.with(Verdict::Agrees).contains(&table), "{table}: {found:?}");
    }
    // A number that was changed, in a table that carries the right hash of settings.
    let (path, bytes) = (dir.join("pairs.parquet"), std::fs::read(dir.join("pairs.parquet")).unwrap());
    let mut pairs = files::read(&path).unwrap();
    for column in pairs.columns.iter_mut().filter(|column| column.name == "score") {
        if let Values::Number(values) = &mut column.values {
            values.iter_mut().flatten().for_each(|score| *score += 0.05);
        }
    }
    files::write_parquet(&pairs, &path, &files::read_identity(&path).unwrap()).unwrap();
    assert_eq!(check().with(Verdict::Differs), ["table `pairs`"]);
    std::fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert_eq!(
        (check().with(Verdict::Differs), check().with(Verdict::NotChecked).last()),
        (vec!["files"], Some(&"numbers"))
    );
    std::fs::write(&path, &bytes).unwrap();
    let rescored = run().unwrap();
    assert!(rescored.finished.record.rescored_from.unwrap().reused.is_empty());
    assert_eq!(rescored.finished.record.schema_version, SCHEMA_VERSION);
    // The numbers are those that version 1 found.
    let found = diff(&dir, &out).unwrap();
    assert!(found.stages.iter().all(|stage| stage.largest.unwrap_or(0.0) < 1e-9), "{:?}", found.stages);
    // What version 1 did not know is no change, and is said once.
    let version: Vec<&str> = found.causes.iter().filter(|c| c.kind == "version").map(|c| c.detail.as_str()).collect();
    assert_eq!((version.len(), version[0]), (2, format!("layout version 1 to {SCHEMA_VERSION}").as_str()));
    assert!(version[1].starts_with("layout version 1 did not record: "), "{version:?}");
    assert!(version[1].contains("score_model") && found.causes.iter().all(|cause| !cause.detail.contains("not there")));
    value["inputs"][0]["sha256"] = "0".repeat(64).into();
    std::fs::write(&record, serde_json::to_vec(&value).unwrap()).unwrap();
    let error = run().map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("has changed since the run"), "{error}");
}
