//! The layout of result folders, pinned: what is in a folder, by file, with the columns of tables and the names of fields.
//!
//! Where this fails, the layout has changed, and a folder of before must stay readable in twenty years. Then:
//!
//! 1. keep a folder that the program wrote before the change as `tests/fixtures/archive-vN`, and test it as `version_2.rs`
//!    does (not needed while the layout of that number is in no fixture and no release yet);
//! 2. raise `SCHEMA_VERSION` in `src/report/run_json.rs`, and say in the list there what changed;
//! 3. take the new text as `layout_N.snap`, with `INSTA_UPDATE=always`. Those of older layouts stay as they are.
//!
//! What depends on the settings is of one list of them: columns that are named by a model, tables that are asked for. What is
//! written only where there is something to write must be here to be pinned: extend the screen with what is new.

use super::features::{resolved, screen};
use super::{again, ran};
use flate2::read::GzDecoder;
use isobole::archive::stages::FILE;
use isobole::report::files;
use isobole::report::run_json::SCHEMA_VERSION;
use isobole::report::table::Values;
use isobole::run::{Extent, run};
use serde_json::Value;
use std::collections::BTreeSet;
use std::fmt::Write;
use std::fs::File;
use std::io::BufReader;
use std::path::Path;

/// Every kind of synergy model: of the single drugs, of a fitted surface, and one with choices of its own.
const SETTINGS: &str = "synergy = ['hsa', 'bliss', 'musyc', 'braid', 'ci']\nscore_by = 'bliss'";

/// Evidence of the kinds that the screen has not.
const OTHER_EVIDENCE: &str = "cell_line,marker,replicate,ct_target,ct_reference,fold,fold_se,n\n\
    HL-60,ABCG2,1,28.0,20.0,,,\nHL-60/CLO,ABCG2,1,24.0,20.0,,,\nHL-60/CLO,SAMHD1,,,,2.0,0.3,3\n";

/// What a column holds.
fn kind(values: &Values) -> &'static str {
    match values {
        Values::Text(_) | Values::Named(..) => "text",
        Values::Number(_) => "number",
        Values::Integer(_) => "integer",
        Values::Flag(_) => "yes or no",
    }
}

/// The tables of a folder by name, each with its columns in their order.
fn tables(dir: &Path, text: &mut String) {
    let names = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let tables: BTreeSet<String> = names.filter(|name| name.ends_with(".parquet")).collect();
    for name in tables {
        let table = files::read(&dir.join(&name)).unwrap();
        writeln!(text, "\n{name}").unwrap();
        for column in &table.columns {
            writeln!(text, "  {}: {}", column.name, kind(&column.values)).unwrap();
        }
    }
}

/// The names of all fields by path with the kinds of their values, whatever place a list has them in.
fn fields(value: &Value, path: &str, all: &mut BTreeSet<String>) {
    match value {
        Value::Object(map) => {
            for (name, value) in map {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                fields(value, &path, all);
                all.insert(path);
            }
        }
        Value::Array(values) => {
            all.insert(format!("{path}: list"));
            values.iter().for_each(|value| fields(value, path, all));
        }
        Value::Null => drop(all.insert(format!("{path}: nothing"))),
        Value::Bool(_) => drop(all.insert(format!("{path}: yes or no"))),
        Value::Number(_) => drop(all.insert(format!("{path}: number"))),
        Value::String(_) => drop(all.insert(format!("{path}: text"))),
    }
}

fn listed(file: &str, value: &Value, text: &mut String) {
    let mut all = BTreeSet::new();
    fields(value, "", &mut all);
    assert!(!all.is_empty(), "{file} has no fields");
    writeln!(text, "\n{file}").unwrap();
    all.iter().for_each(|path| writeln!(text, "  {path}").unwrap());
}

fn stages(dir: &Path) -> Value {
    let unpacked = GzDecoder::new(File::open(dir.join(FILE)).unwrap());
    ciborium::from_reader(BufReader::new(unpacked)).unwrap()
}

fn run_json(dir: &Path) -> Value {
    serde_json::from_slice(&std::fs::read(dir.join("run.json")).unwrap()).unwrap()
}

#[test]
fn the_layout_is_the_one_of_its_version() {
    let folder = tempfile::tempdir().unwrap();
    let base = screen(&folder.path().join("screen"));
    let others = folder.path().join("screen/others.csv");
    std::fs::write(&others, OTHER_EVIDENCE).unwrap();
    let blots = folder.path().join("screen/blots.csv");
    let anew = format!("{SETTINGS}\n[evidence]\nfiles = ['{}', '{}']", blots.display(), others.display());
    let settings = |name: &str| resolved(folder.path(), name, &base, &anew);
    let (whole, plates) = (settings("whole"), settings("plates"));
    run(&whole, Extent::Full, "a screen", &mut |_, _| {}).unwrap();
    run(&plates, Extent::Quality, "a screen", &mut |_, _| {}).unwrap();
    let reading = folder.path().join("again");
    again(&whole.out, &reading, "");
    // Of many plates of one line; nothing is drawn.
    let (simulated, _) = ran(folder.path(), "simulated", "backend = 'cpu'\nbootstrap = 0\nspatial = 'median'");

    let mut text = format!("layout version {SCHEMA_VERSION}\n");
    tables(&whole.out, &mut text);
    writeln!(text, "\nof plates alone").unwrap();
    tables(&plates.out, &mut text);
    let stages = [stages(&whole.out), stages(&simulated)];
    listed(FILE, &stages.into(), &mut text);
    let mut record = run_json(&whole.out);
    record["rescored_from"] = run_json(&reading)["rescored_from"].take();
    listed("run.json", &record, &mut text);
    let what_to_do = "the layout of result folders: tests/it/archive/layout.rs says what to do where it has changed";
    insta::with_settings!({ description => what_to_do, omit_expression => true, snapshot_path => "../snapshots" }, {
        insta::assert_snapshot!(format!("layout_{SCHEMA_VERSION}"), text);
    });
}
