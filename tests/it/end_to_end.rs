//! The program as users run it: files in, a result folder out.

use crate::{gpu, shared};
use assert_cmd::Command;
use isobole::report::files;
use isobole::report::run_json::RunRecord;
use isobole::report::table::{Table, Values};
use std::path::Path;

fn isobole() -> Command {
    Command::cargo_bin("isobole").unwrap()
}

/// Partners in the order of the ranking.
fn partners(out: &Path) -> Vec<String> {
    let pairs = files::read(&out.join("pairs.parquet")).unwrap();
    let partner = &pairs.column("drug_b").unwrap();
    (0..pairs.rows()).map(|row| partner.text(row).unwrap().to_owned()).collect()
}

fn adds_up(out: &Path) -> RunRecord {
    let record = RunRecord::read(out).unwrap();
    let counts = &record.counts;
    assert_eq!(counts.wells_in, counts.wells_used + counts.wells_rejected);
    assert_eq!(files::read(&out.join("wells.parquet")).unwrap().rows(), counts.wells_used);
    assert_eq!(files::read(&out.join("rejected.parquet")).unwrap().rows(), counts.wells_rejected);
    record
}

#[test]
fn the_demo_finds_what_was_planted_on_both_back_ends() {
    let folder = tempfile::tempdir().unwrap();
    let run = |backend: &str| {
        let out = folder.path().join(backend);
        let arguments = ["demo", "--backend", backend, "--bootstrap", "40", "--out"];
        isobole().args(arguments).arg(&out).assert().success();
        let record = adds_up(&out);
        assert_eq!(record.backend, backend);
        assert_eq!(record.counts.wells_in, 13_824);
        partners(&out)
    };
    let cpu = run("cpu");
    assert_eq!(cpu.len(), 12);
    assert_eq!(cpu[..2], ["venetoclax", "bortezomib"]);
    let mut winners = cpu[..5].to_vec();
    winners.sort();
    assert_eq!(winners, ["Ko143", "S63845", "bortezomib", "melatonin", "venetoclax"]);
    assert_eq!(cpu[11], "palbociclib");
    the_resistant_lines_are_told_as_planted(&folder.path().join("cpu"));
    if gpu().is_some() {
        assert_eq!(run("gpu"), cpu);
    }
}

/// Fold resistances, what else the sublines resist and what gives them their sensitivity back, against the recipe.
fn the_resistant_lines_are_told_as_planted(out: &Path) {
    let read = |name: &str| files::read(&out.join(format!("{name}.parquet"))).unwrap();
    let resistance = read("resistance");
    for (line, fold) in [("CCRF-CEM/CLO-dCK", 60.0), ("HL-60/CLO-ABCG2", 12.0), ("MOLM-13/CLO-BCL", 25.0)] {
        let row = row_of(&resistance, &[("cell_line", line), ("drug", "clofarabine")]);
        let number = |column: &str| resistance.column(column).unwrap().number(row).unwrap();
        assert!((number("fold_resistance") / fold).ln().abs() < 0.35, "{line}: {}", number("fold_resistance"));
        assert_eq!(resistance.column("status_by_interval").unwrap().text(row), Some("resistant"));
        assert!(number("log10_ec50_ci_low") < number("log10_ec50") && number("aac") > 0.1);
    }
    let cross = read("cross_resistance");
    let class = |line: &str, drug: &str| {
        let row = row_of(&cross, &[("cell_line", line), ("drug", drug)]);
        cross.column("class").unwrap().text(row).unwrap().to_owned()
    };
    // Without dCK no cytarabine: 40 times the parent's IC50, beyond the doses tested. Bortezomib needs no dCK; the line with
    // BCL-2 up is 30 times less sensitive to venetoclax.
    assert_eq!(class("CCRF-CEM/CLO-dCK", "cytarabine"), "cross_resistant");
    assert_eq!(class("CCRF-CEM/CLO-dCK", "bortezomib"), "unchanged");
    assert_eq!(class("MOLM-13/CLO-BCL", "venetoclax"), "cross_resistant");
    assert_eq!(cross.column("drug_class").unwrap().text(0), Some("nucleoside analogue"));
    let rescue = read("resensitisation");
    let told = |line: &str, partner: &str, column: &str| {
        let row = (0..rescue.rows())
            .find(|&row| {
                let is = |column: &str, value: &str| rescue.column(column).unwrap().text(row) == Some(value);
                is("cell_line", line) && is("partner", partner) && is_true(&rescue, "is_ranked", row)
            })
            .unwrap();
        rescue.column(column).unwrap().number(row)
    };
    // Ko143 gives back most of 12-fold in the line that owes it to ABCG2, and nothing elsewhere; imatinib nothing.
    let ko143 = told("HL-60/CLO-ABCG2", "Ko143", "rescue_fraction").unwrap();
    assert!((0.7..1.15).contains(&ko143), "{ko143}");
    for (line, partner) in [("MOLM-13/CLO-BCL", "Ko143"), ("HL-60/CLO-ABCG2", "imatinib")] {
        let none = told(line, partner, "rescue_fraction").unwrap();
        assert!(none.abs() < 0.2, "{line} {partner}: {none}");
    }
    assert_eq!(told("HL-60", "Ko143", "rescue_fraction"), None, "a parent has no resistance to be rescued from");
}

fn is_true(table: &Table, column: &str, row: usize) -> bool {
    matches!(table.column(column), Some(Values::Flag(values)) if values[row] == Some(true))
}

/// The one row with these texts.
fn row_of(table: &Table, wanted: &[(&str, &str)]) -> usize {
    let is = |row: usize| wanted.iter().all(|(name, text)| table.column(name).unwrap().text(row) == Some(*text));
    let rows: Vec<usize> = (0..table.rows()).filter(|&row| is(row)).collect();
    assert_eq!(rows.len(), 1, "{wanted:?}");
    rows[0]
}

/// The demo's plates with blots, apoptosis and knowledge beside them, and lines of whose mechanism nothing is said.
#[test]
fn mechanisms_apoptosis_and_knowledge_are_joined() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, text).unwrap();
        path
    };
    let pairs = [("CCRF-CEM/CLO-dCK", "CCRF-CEM"), ("HL-60/CLO-ABCG2", "HL-60"), ("MOLM-13/CLO-BCL", "MOLM-13")];
    let mut lines = "cell_line,parental,mechanism\n".to_owned();
    let mut blots = "cell_line,marker,replicate,loading_control,target_intensity,loading_intensity\n".to_owned();
    for (subline, parent) in pairs {
        lines += &format!("{parent},,\n{subline},{parent},{}\n", if parent == "MOLM-13" { "loss of dCK" } else { "" });
        for (marker, lost_in) in [("dCK", "CCRF-CEM"), ("BCL-2", ""), ("MCL-1", "")] {
            for (replicate, wobble) in [(1, 0.9), (2, 1.1), (3, 1.0)] {
                let fold = if lost_in == parent { 0.15 } else { 1.0 };
                blots += &format!("{parent},{marker},{replicate},GAPDH,{},2000\n", 1000.0 * wobble);
                blots += &format!("{subline},{marker},{replicate},GAPDH,{},2000\n", 1000.0 * fold / wobble);
            }
        }
    }
    let mut annexin =
        "cell_line,drug_a,conc_a,drug_b,conc_b,conc_unit,replicate,viable,early,late,necrotic\n".to_owned();
    for (replicate, wobble) in [(1, -1.0), (2, 0.0), (3, 1.0)] {
        for (a, b, dead) in [(0.0, 0.0, 10.0), (100.0, 0.0, 20.0), (0.0, 1000.0, 25.0), (100.0, 1000.0, 65.0)] {
            let dead = dead + wobble;
            annexin +=
                &format!("MOLM-13/CLO-BCL,clofarabine,{a},venetoclax,{b},nM,{replicate},{},{dead},0,0\n", 100.0 - dead);
        }
    }
    let strategies = "partner,cause,rationale,reference\nimatinib,any,of our own,our notebook\n";
    write("known/strategies.csv", strategies.into());
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo/plates.parquet");
    let screen = format!(
        "plates = '{}'\nlines_file = 'lines.csv'\n[evidence]\nfiles = 'blots.csv'\n[apoptosis]\nfiles = 'annexin.csv'\n\
         [knowledge]\nfolder = 'known'\n",
        demo.display()
    );
    write("lines.csv", lines);
    write("blots.csv", blots);
    write("annexin.csv", annexin);
    let screen = write("screen.toml", screen);
    let out = folder.path().join("out");
    isobole()
        .arg("run")
        .arg(screen)
        .args(["--backend", "cpu", "--bootstrap", "20", "--out"])
        .arg(&out)
        .assert()
        .success();
    let record = adds_up(&out);
    assert_eq!(record.inputs.len(), 5, "plates, lines, blots, apoptosis, strategies: {:?}", record.inputs);

    let read = |name: &str| files::read(&out.join(format!("{name}.parquet"))).unwrap();
    let mechanisms = read("mechanisms");
    let status = |line: &str, mechanism: &str| {
        let row = row_of(&mechanisms, &[("cell_line", line), ("mechanism", mechanism)]);
        mechanisms.column("status").unwrap().text(row).unwrap().to_owned()
    };
    assert_eq!(status("CCRF-CEM/CLO-dCK", "low_dck"), "called");
    assert_eq!(status("CCRF-CEM/CLO-dCK", "anti_apoptotic_shift"), "excluded");
    // Nobody measured ABCG2: the screen's own Ko143 tells.
    assert_eq!(status("HL-60/CLO-ABCG2", "abcg2_efflux"), "called");
    for line in ["CCRF-CEM/CLO-dCK", "MOLM-13/CLO-BCL"] {
        assert_ne!(status(line, "abcg2_efflux"), "called", "{line}");
    }
    assert_eq!(status("MOLM-13/CLO-BCL", "low_dck"), "contradictory");
    assert_eq!(status("MOLM-13/CLO-BCL", "unknown"), "unknown");

    let by_mechanism = read("pairs_by_mechanism");
    let class = &by_mechanism.column("mechanism_class").unwrap();
    let of = |wanted: &str| (0..by_mechanism.rows()).filter(|&row| class.text(row) == Some(wanted)).collect::<Vec<_>>();
    assert_eq!((of("low_dck").len(), of("abcg2_efflux").len(), by_mechanism.rows()), (12, 12, 24));
    let rank = |class: &str, partner: &str| {
        let row = row_of(&by_mechanism, &[("mechanism_class", class), ("drug_b", partner)]);
        by_mechanism.column("rank").unwrap().number(row).unwrap()
    };
    // Planted: Ko143 undoes efflux and nothing else, melatonin gives dCK back and nothing else.
    assert!(rank("abcg2_efflux", "Ko143") <= 2.0 && rank("low_dck", "Ko143") > 3.0);
    assert!(rank("low_dck", "melatonin") <= 3.0 && rank("abcg2_efflux", "melatonin") > 3.0);

    let apoptosis = read("apoptosis_synergy");
    let number = |column: &str| apoptosis.column(column).unwrap().number(0);
    // Corrected: 1/9, 1/6 and 55/90; expected 1/9 + 1/6 - 1/54.
    assert!((number("bliss_score").unwrap() - (55.0 / 90.0 - (1.0 / 9.0 + 1.0 / 6.0 - 1.0 / 54.0))).abs() < 2e-3);
    assert!(number("bliss_ci_low").unwrap() > 0.0 && number("viability_score").unwrap() > 0.0);
    assert_eq!(apoptosis.column("concordance").unwrap().text(0), Some("concordant"));

    let ranked = read("pairs");
    let of_pair = |partner: &str, column: &str| {
        let row = row_of(&ranked, &[("drug_b", partner)]);
        ranked.column(column).unwrap().text(row).unwrap_or_default().to_owned()
    };
    assert_eq!(of_pair("imatinib", "rationale"), "any: of our own");
    assert_eq!(of_pair("venetoclax", "rationale"), "", "the user's table replaces the embedded one");
    assert!(of_pair("cytarabine", "evidence").contains("overall response 38 %"));
    assert!(of_pair("venetoclax", "mechanism").contains("loss of dCK (contradictory)"));
    let resistance = read("resistance");
    let row = row_of(&resistance, &[("cell_line", "CCRF-CEM"), ("drug", "venetoclax")]);
    let literature = resistance.column("literature_log10_ic50").unwrap().number(row).unwrap();
    assert!((literature - (3.37f64.log10() - 6.0)).abs() < 1e-9);
    let Some(Values::Flag(far_off)) = resistance.column("literature_is_far_off") else { panic!("no flags") };
    assert_eq!(far_off[row], Some(false));
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    for section in ["cross-resistance", "resensitisation", "mechanisms", "apoptosis", "known"] {
        assert!(page.contains(&format!("id=\"{section}\"")), "{section}");
    }
}

#[test]
fn the_same_run_gives_the_same_bytes_at_any_number_of_threads() {
    let folder = tempfile::tempdir().unwrap();
    let run = |threads: &str| {
        let out = folder.path().join("out");
        let arguments = ["demo", "--backend", "cpu", "--bootstrap", "10", "--threads", threads, "--out"];
        isobole().args(arguments).arg(&out).assert().success();
        let mut tables = Vec::new();
        for name in [
            "pairs",
            "synergy",
            "surfaces",
            "curves",
            "resistance",
            "cross_resistance",
            "resensitisation",
            "plates",
            "wells",
        ] {
            let table = files::read(&out.join(format!("{name}.parquet"))).unwrap();
            tables.push(table);
        }
        tables
    };
    let (one, three) = (run("1"), run("3"));
    assert_eq!(one, three);
    assert!(one.iter().all(|t| t.rows() > 0));
}

#[test]
fn the_gdsc_plates_are_judged_fitted_and_accounted_for() {
    let Some(plates) = shared("data/plates_gdsc_example_raw.parquet") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/examples/gdsc.toml");
    let out = folder.path().join("gdsc");
    isobole().arg("run").arg(mapping).arg(plates).args(["--backend", "cpu", "--out"]).arg(&out).assert().success();
    let record = adds_up(&out);
    assert_eq!((record.counts.wells_in, record.counts.plates), (873_525, 1837));
    let quality = files::read(&out.join("plates.parquet")).unwrap();
    let z_prime = &quality.column("z_prime").unwrap();
    let mut z_prime: Vec<f64> = (0..quality.rows()).map(|row| z_prime.number(row).unwrap()).collect();
    z_prime.sort_by(f64::total_cmp);
    let median = z_prime[z_prime.len() / 2];
    assert!((median - 0.58).abs() < 0.02, "median Z' {median}");
    let curves = files::read(&out.join("curves.parquet")).unwrap();
    assert_eq!(curves.rows(), record.counts.curves);
    let status = &curves.column("status").unwrap();
    assert!((0..curves.rows()).all(|row| status.text(row).is_some()));
}

#[test]
fn a_screen_without_resistant_lines_is_ranked_and_says_so() {
    let Some(plates) = shared("data/combo_musyc_hts015_pc9_pervia72h.parquet") else { return };
    let folder = tempfile::tempdir().unwrap();
    let mapping = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/examples/pc9.toml");
    let out = folder.path().join("pc9");
    let flags = ["--anchor", "osimertinib", "--bootstrap", "20", "--backend", "cpu", "--out"];
    isobole().arg("run").arg(mapping).arg(plates).args(flags).arg(&out).assert().success();
    let record = adds_up(&out);
    assert_eq!((record.counts.wells_in, record.counts.pairs), (3696, 54));
    let pairs = files::read(&out.join("pairs.parquet")).unwrap();
    let flags = &pairs.column("flags").unwrap();
    assert!((0..pairs.rows()).all(|row| flags.text(row).unwrap().contains("no_resistant_line")));
}
