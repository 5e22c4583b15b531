//! A folder that is not whole is refused, and the file that is wrong is named.

use super::{again, ran};
use isobole::Result;
use isobole::archive::Archive;
use isobole::report::run_json::{RunRecord, SCHEMA_VERSION};
use std::path::Path;

fn refused(dir: &Path) -> String {
    let error = Archive::open(dir).and_then(|archive| archive.restore(true).map(|_| ()));
    let error = error.unwrap_err();
    error.to_string().replace(&dir.display().to_string(), "DIR")
}

fn edited(dir: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let path = dir.join("run.json");
    let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    edit(&mut value);
    std::fs::write(&path, serde_json::to_vec(&value).unwrap()).unwrap();
}

#[test]
fn what_is_wrong_with_a_folder_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, _) = ran(folder.path(), "archive", "bootstrap = 0\nbackend = 'cpu'");
    let (other, _) = ran(folder.path(), "other", "bootstrap = 0\nbackend = 'cpu'\nmodel = 'hill3'");
    let sound = |dir: &Path| -> Result<()> { Archive::open(dir)?.restore(true).map(|_| ()) };
    sound(&dir).unwrap();

    let wells = dir.join("wells.parquet");
    let bytes = std::fs::read(&wells).unwrap();
    // One bit of one value in the middle of a table.
    let mut tampered = bytes.clone();
    tampered[bytes.len() / 2] ^= 1;
    std::fs::write(&wells, &tampered).unwrap();
    assert_eq!(
        refused(&dir),
        "`DIR/wells.parquet`: was changed after the run: its bytes are not those that `run.json` has the hash of"
    );
    std::fs::remove_file(&wells).unwrap();
    assert_eq!(refused(&dir), "`DIR/wells.parquet`: is missing: `run.json` lists it");
    std::fs::copy(other.join("wells.parquet"), &wells).unwrap();
    assert_eq!(
        refused(&dir),
        "`DIR/wells.parquet`: is a table of another run: its settings are not those in `run.json`"
    );
    std::fs::write(&wells, &bytes).unwrap();
    sound(&dir).unwrap();

    let stages = dir.join("stages.cbor.gz");
    let packed = std::fs::read(&stages).unwrap();
    std::fs::write(&stages, &packed[..packed.len() / 2]).unwrap();
    assert!(refused(&dir).starts_with("`DIR/stages.cbor.gz`: was changed after the run"));
    std::fs::write(&stages, &packed).unwrap();

    let record = std::fs::read(dir.join("run.json")).unwrap();
    let bring_back = || std::fs::write(dir.join("run.json"), &record).unwrap();
    let newer = SCHEMA_VERSION.parse::<u32>().unwrap() + 1;
    edited(&dir, |run| run["schema_version"] = newer.to_string().into());
    assert!(
        refused(&dir).starts_with(&format!("`DIR/run.json`: is of layout version {newer}, written by isobole ")),
        "{}",
        refused(&dir)
    );
    bring_back();
    edited(&dir, |run| run["settings"]["seed"] = 2.into());
    assert_eq!(refused(&dir), "`DIR/run.json`: its settings are not those that its hash is of: the file was edited");
    bring_back();
    edited(&dir, |run| run["files"]["../other/wells.parquet"] = "00".into());
    assert!(refused(&dir).contains("is no file of a result folder"), "{}", refused(&dir));
    bring_back();
    std::fs::remove_file(dir.join("run.json")).unwrap();
    assert!(refused(&dir).starts_with("cannot read `DIR/run.json`: "));
    bring_back();
    sound(&dir).unwrap();
}

#[test]
fn tables_that_do_not_fit_together_are_refused_though_every_hash_is_right() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, _) = ran(folder.path(), "archive", "bootstrap = 20\nbackend = 'cpu'");
    let relist = |name: &str| {
        let mut record = RunRecord::read(&dir).unwrap();
        record.list(&dir, &[dir.join(name)]).unwrap();
        record.write(&dir).unwrap();
    };
    let path = dir.join("synergy.parquet");
    let identity = RunRecord::read(&dir).unwrap().identity();
    let mut table = isobole::report::files::read(&path).unwrap();
    for column in &mut table.columns {
        use isobole::report::table::Values;
        match &mut column.values {
            Values::Named(_, ids) => ids.swap(0, 1),
            Values::Number(values) => values.swap(0, 1),
            _ => {}
        }
    }
    isobole::report::files::write_parquet(&table, &path, &identity).unwrap();
    relist("synergy.parquet");
    let out = folder.path().join("again");
    let problem = isobole::run::rescore::rescore(&dir, super::said(""), &out, &mut |_, _| {});
    let problem = problem.map(|_| ()).unwrap_err().to_string();
    assert!(problem.contains("synergy.parquet`: row 0 is of "), "{problem}");

    let stages = dir.join("stages.cbor.gz");
    let mut kept = isobole::archive::stages::Stages::read(&stages).unwrap();
    kept.curves.fits.pop();
    kept.write(&dir).unwrap();
    relist("stages.cbor.gz");
    let problem = isobole::run::rescore::rescore(&dir, super::said(""), &out, &mut |_, _| {});
    let problem = problem.map(|_| ()).unwrap_err().to_string();
    assert_eq!(problem, "the archived fits are not of the curves that the archived wells make");
    std::fs::write(&stages, b"nothing").unwrap();
    relist("stages.cbor.gz");
    assert!(
        Archive::open(&dir).unwrap().restore(true).map(|_| ()).unwrap_err().to_string().contains("holds no stages")
    );
}

#[test]
fn a_rescored_folder_is_an_archive_too() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, _) = ran(folder.path(), "archive", "bootstrap = 0\nbackend = 'cpu'");
    let out = folder.path().join("again");
    again(&dir, &out, "synergy = ['bliss']");
    assert!(Archive::open(&out).unwrap().has_stages());
}
