//! Every kind of input and setting: an archive of a screen with all of them is read again to the bytes of a run.

use super::{again, contents, differing, said};
use isobole::config::Settings;
use isobole::diff::{diff, text, write_tables};
use isobole::math::random::standard_normal;
use isobole::report::files;
use isobole::report::run_json::{InputFile, RunIdentity, RunRecord};
use isobole::report::table::Table;
use isobole::run::rescore::rescore;
use isobole::run::{Extent, run};
use std::path::{Path, PathBuf};

const DRUGS: [&str; 3] = ["clofarabine", "venetoclax", "cytarabine"];
const DOSES_UM: [[f64; 4]; 3] = [[0.0, 0.03, 0.1, 0.3], [0.0, 0.1, 0.3, 1.0], [0.0, 0.05, 0.2, 0.8]];
/// A parent, its resistant subline, and healthy cells.
const LINES: [&str; 3] = ["HL-60", "HL-60/CLO", "CD34+"];
const SCHEDULES: [&str; 2] = ["simultaneous", "clofarabine first"];

/// What is in a well: micromolar doses of [`DRUGS`]; `None` for controls.
type Content = (&'static str, Option<[f64; 3]>);

/// Wells of one plate: controls, all pairs with the first drug, and all three drugs at the higher doses.
fn layout() -> Vec<Content> {
    let mut wells = vec![("vehicle", None); 12];
    wells.extend([("positive", None); 6]);
    let [first, second, third] = DOSES_UM;
    for dose in first {
        let pairs = second.into_iter().zip(third).flat_map(|(b, c)| [[dose, b, 0.0], [dose, 0.0, c]]);
        wells.extend(pairs.filter(|doses| doses.iter().any(|d| *d > 0.0)).map(|doses| ("sample", Some(doses))));
    }
    for &a in &first[1..] {
        for &b in &second[1..] {
            wells.extend(third[1..].iter().map(|&c| ("sample", Some([a, b, c]))));
        }
    }
    wells
}

/// Independent drugs; the first two do more together in the subline, which the first does little to.
fn viability(line: usize, schedule: usize, doses: [f64; 3]) -> f64 {
    let ec50 = [[0.05, 0.4, 0.2], [0.9, 0.4, 0.2], [0.2, 0.8, 0.3]][line];
    let alone: f64 = doses.iter().zip(ec50).map(|(dose, ec50)| 1.0 / (1.0 + (dose / ec50).powf(1.2))).product();
    let together = doses[0] > 0.0 && doses[1] > 0.0 && line == 1;
    alone * if together { 0.7 - 0.2 * schedule as f64 } else { 1.0 }
}

fn plates(path: &Path) {
    let mut rows = Vec::new();
    for (line, name) in LINES.into_iter().enumerate() {
        for (schedule, order) in SCHEDULES.into_iter().enumerate() {
            for replicate in 0..2u32 {
                let plate = format!("{name}-{schedule}-{replicate}");
                for (place, (role, doses)) in layout().into_iter().enumerate() {
                    let well = format!("{}{:02}", (b'A' + (place / 24) as u8) as char, place % 24 + 1);
                    let mean = match (role, doses) {
                        ("positive", _) => 0.01,
                        (_, Some(doses)) => viability(line, schedule, doses),
                        _ => 1.0,
                    };
                    let noise = standard_normal(3, (line * 2 + schedule) as u64, replicate, place as u32);
                    let signal = 4e4 * (mean + 0.03 * noise * mean.max(0.1)).max(0.0);
                    rows.push((plate.clone(), well, name, role, doses, order, replicate, signal));
                }
            }
        }
    }
    let mut table = Table::new("plates")
        .text("plate_id", rows.iter().map(|row| Some(row.0.clone())))
        .text("well", rows.iter().map(|row| Some(row.1.clone())))
        .text("cell_line", rows.iter().map(|row| Some(row.2)))
        .text("role", rows.iter().map(|row| Some(row.3)));
    for (k, suffix) in ["a", "b", "c"].into_iter().enumerate() {
        let dose = move |doses: Option<[f64; 3]>| doses.map(|doses| doses[k]).filter(|dose| *dose > 0.0);
        table = table
            .text(&format!("drug_{suffix}"), rows.iter().map(|row| dose(row.4).map(|_| DRUGS[k])))
            .number(&format!("conc_{suffix}"), rows.iter().map(|row| dose(row.4)));
    }
    let table = table
        .text("conc_unit", rows.iter().map(|_| Some("uM")))
        .text("schedule", rows.iter().map(|row| row.4.map(|_| row.5)))
        .text("replicate", rows.iter().map(|row| Some(row.6.to_string())))
        .number("signal", rows.iter().map(|row| Some(row.7)));
    files::write_parquet(&table, path, &RunIdentity::new(&serde_json::json!({}))).unwrap();
}

/// A screen with everything in `folder`, and what `screen.toml` would say of it.
pub fn screen(folder: &Path) -> String {
    std::fs::create_dir_all(folder.join("known")).unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.join(name), text).unwrap();
    plates(&folder.join("plates.parquet"));
    write("lines.csv", "cell_line,parental,status,mechanism\nHL-60,,parental,\nHL-60/CLO,HL-60,,\nCD34+,,normal,\n");
    let mut blots = "cell_line,marker,replicate,loading_control,target_intensity,loading_intensity\n".to_owned();
    for (replicate, wobble) in [(1, 0.9), (2, 1.1), (3, 1.0)] {
        for (line, fold) in [("HL-60", 1.0), ("HL-60/CLO", 0.15)] {
            blots += &format!("{line},dCK,{replicate},GAPDH,{},2000\n", 1000.0 * fold * wobble);
        }
    }
    write("blots.csv", &blots);
    let mut annexin =
        "cell_line,drug_a,conc_a,drug_b,conc_b,conc_unit,replicate,viable,early,late,necrotic\n".to_owned();
    for replicate in 1..4 {
        for (a, b, dead) in [(0.0, 0.0, 10.0), (100.0, 0.0, 20.0), (0.0, 1000.0, 25.0), (100.0, 1000.0, 65.0)] {
            let dead = dead + f64::from(replicate);
            annexin +=
                &format!("HL-60/CLO,clofarabine,{a},venetoclax,{b},nM,{replicate},{},{dead},0,0\n", 100.0 - dead);
        }
    }
    write("annexin.csv", &annexin);
    write("known/strategies.csv", "partner,cause,rationale,reference\nvenetoclax,any,of our own,our notebook\n");
    write(
        "known/potencies.csv",
        "drug,cell_line,ic50_low_um,ic50_high_um,reference\nclofarabine,HL-60,0.01,0.1,our notebook\n",
    );
    let at = |name: &str| folder.join(name).display().to_string();
    format!(
        "backend = 'cpu'\nbootstrap = 10\nformat = 'csv'\nscore_by = 'hsa'\ntop_k = 1\nlines_file = '{}'\n\
         [evidence]\nfiles = '{}'\n[apoptosis]\nfiles = '{}'\n[knowledge]\nfolder = '{}'\n\
         [rank_weights]\nefficacy = 0.2\n[rank_gates]\nmin_efficacy = 0.99\n[dose_limits]\nclofarabine = '0.1 uM'\n",
        at("lines.csv"),
        at("blots.csv"),
        at("annexin.csv"),
        at("known")
    )
}

/// Settings of a run of the screen with what is said of it and `anew` besides.
pub fn resolved(folder: &Path, name: &str, base: &str, anew: &str) -> Settings {
    let text = said(anew).over(said(base));
    Settings::resolve(text, vec![folder.join("screen/plates.parquet")], folder.join(name)).unwrap()
}

/// A run with them.
fn full(folder: &Path, name: &str, base: &str, anew: &str) -> PathBuf {
    let settings = resolved(folder, name, base, anew);
    run(&settings, Extent::Full, "a screen", &mut |_, _| {}).unwrap();
    settings.out
}

#[test]
fn an_archive_with_every_kind_of_input_is_read_again_to_the_bytes_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let base = screen(&folder.path().join("screen"));
    let archive = full(folder.path(), "archive", &base, "");
    let kept = contents(&archive);
    let tables = ["schedules", "triples", "apoptosis_synergy", "mechanisms", "evidence", "pairs_by_mechanism", "pairs"];
    for table in tables {
        assert!(files::read(&archive.join(format!("{table}.parquet"))).unwrap().rows() > 0, "{table} is empty");
        assert!(kept.contains_key(&format!("{table}.csv")), "{table}");
    }
    assert!(kept.contains_key("knowledge/strategies.csv") && kept.contains_key("next_experiment.csv"));
    let pairs = files::read(&archive.join("pairs.parquet")).unwrap();
    let number = |column: &str| pairs.column(column).unwrap().number(0);
    assert!(number("n_normal") == Some(1.0) && number("n_resistant") == Some(1.0), "{pairs:?}");
    let text_of = |column: &str, row: usize| pairs.column(column).unwrap().text(row).unwrap_or_default().to_owned();
    let rows = || 0..pairs.rows();
    assert!(rows().any(|row| text_of("flags", row).contains("gate_efficacy")));
    assert!(
        rows().any(|row| !text_of("drug_c", row).is_empty())
            && rows().any(|row| text_of("rationale", row).contains("of our own"))
    );

    // Said anew, in the terms of screen.toml.
    let cases = [
        "",
        "synergy = ['loewe', 'bliss', 'hsa']\nscore_by = 'loewe'",
        "top_k = 2\n[rank_weights]\nselectivity = 2.0\nefficacy = 0.0",
        "rank_by = 'differential'\n[rank_gates]\nmin_efficacy = 'none'\nmax_q = 0.01",
        "model = 'hill3'\nformat = 'parquet'",
        "spatial = 'median'\n[dose_limits]\nvenetoclax = '0.3 uM'",
        "anchor = 'venetoclax'\nseed = 5",
    ];
    for (i, anew) in cases.into_iter().enumerate() {
        let out = folder.path().join(format!("again{i}"));
        again(&archive, &out, anew);
        let whole = full(folder.path(), &format!("full{i}"), &base, anew);
        assert_eq!(differing(&out, &whole), [""; 0], "{anew}");
        if i > 0 {
            assert!(differing(&out, &archive).contains(&"pairs.parquet".to_owned()), "{anew}: nothing changed");
        }
    }

    // Another weight moves the composite by its part; a gate that is gone is told; three drugs have their own columns.
    let weighed = diff(&archive, &folder.path().join("again2")).unwrap();
    assert!(weighed.pairs.iter().any(|pair| pair.why.contains("most of it selectivity ")), "{}", text(&weighed, 20));
    let ungated = diff(&archive, &folder.path().join("again3")).unwrap();
    assert!(ungated.pairs.iter().any(|pair| pair.why.contains("passes gate_efficacy")), "{}", text(&ungated, 20));
    let out = folder.path().join("difference");
    files::prepare(&out).unwrap();
    write_tables(&weighed, &out).unwrap();
    let table = files::read(&out.join("diff_pairs.parquet")).unwrap();
    let third = table.column("drug_c").unwrap();
    let of_three: Vec<usize> = (0..table.rows()).filter(|row| third.text(*row).is_some()).collect();
    // Two schedules.
    assert_eq!(of_three.len(), 2);
    for row in of_three {
        let name = |column: &str| table.column(column).unwrap().text(row).unwrap().to_owned();
        assert_eq!(["drug_a", "drug_b", "drug_c"].map(name), ["clofarabine", "cytarabine", "venetoclax"]);
        let part = |side: &str| table.column(&format!("composite_selectivity_{side}")).unwrap().number(row).unwrap();
        assert!((part("after") - 4.0 * part("before")).abs() < 1e-12, "0.5 to 2 times the same");
    }
}

#[test]
fn an_archive_that_has_moved_keeps_what_was_known() {
    let folder = tempfile::tempdir().unwrap();
    let base = screen(&folder.path().join("screen"));
    let archive = full(folder.path(), "archive", &base, "");
    let whole = full(folder.path(), "whole", &base, "synergy = ['hsa']");
    // On another machine: neither the inputs nor the tables of what is known.
    let moved = folder.path().join("elsewhere");
    std::fs::rename(&archive, &moved).unwrap();
    std::fs::remove_dir_all(folder.path().join("screen")).unwrap();
    let out = folder.path().join("again");
    again(&moved, &out, "synergy = ['hsa']");
    assert_eq!(differing(&out, &whole), [""; 0]);
    let third = folder.path().join("third");
    again(&out, &third, "synergy = ['hsa']");
    assert_eq!(differing(&third, &whole), [""; 0]);
    let record = RunRecord::read(&out).unwrap();
    assert_eq!(record.inputs, RunRecord::read(&moved).unwrap().inputs, "inputs are what the screen was run on");

    // Others, said anew, take their place, and are what the archive keeps and names.
    let other = folder.path().join("other");
    std::fs::create_dir(&other).unwrap();
    let strategies = other.join("strategies.csv");
    std::fs::write(&strategies, "partner,cause,rationale,reference\nvenetoclax,any,of others,theirs\n").unwrap();
    let mut anew = said("");
    anew.knowledge.folder = Some(other.clone());
    let fourth = folder.path().join("fourth");
    let finished = rescore(&moved, anew, &fourth, &mut |_, _| {}).unwrap().finished;
    assert!(finished.analysis.pairs.iter().any(|pair| pair.rationale.contains("of others")));
    assert_eq!(finished.record.inputs.len(), record.inputs.len() - 1, "one table of what is known instead of two");
    assert_eq!(finished.record.inputs.last().unwrap().sha256, InputFile::of(&strategies).unwrap().sha256);
    assert!(fourth.join("knowledge/strategies.csv").is_file() && !fourth.join("knowledge/potencies.csv").exists());

    // What is kept is checked like any table; a picklist that was filled in keeps nobody from reading on.
    std::fs::write(moved.join("next_experiment.csv"), "plate_id,signal\n").unwrap();
    again(&moved, &folder.path().join("fifth"), "");
    let kept = moved.join("knowledge/strategies.csv");
    std::fs::write(&kept, std::fs::read_to_string(&kept).unwrap() + "\n").unwrap();
    let error = rescore(&moved, said(""), &out, &mut |_, _| {}).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("strategies.csv`: was changed after the run"), "{error}");
    std::fs::remove_file(&kept).unwrap();
    let error = rescore(&moved, said(""), &out, &mut |_, _| {}).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("strategies.csv`: is missing"), "{error}");

    // Results would take the place of what is to be known.
    let inside = out.join("knowledge");
    let mut anew = said("");
    anew.knowledge.folder = Some(inside.clone());
    let error = rescore(&third, anew, &out, &mut |_, _| {}).map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("setting `out`: ") && inside.join("strategies.csv").is_file(), "{error}");
}
