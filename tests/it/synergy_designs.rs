//! `isobole synergy` on designs that are no full matrix: margins from another table, raw responses, rays, three drugs; and
//! on the real screens.

use crate::command_fit::Read;
use crate::shared;
use assert_cmd::Command;
use isobole::math::random::standard_normal;
use std::fmt::Write;
use std::path::Path;
use tempfile::TempDir;

fn first(dose: f64) -> f64 {
    0.1 + 0.9 / (1.0 + (dose / 0.2).powf(1.3))
}

fn second(dose: f64) -> f64 {
    0.3 + 0.7 / (1.0 + (dose / 1.0).powf(0.9))
}

fn third(dose: f64) -> f64 {
    0.2 + 0.8 / (1.0 + (dose / 0.5).powf(1.6))
}

/// Doses in uM.
const DOSES: [f64; 6] = [0.02, 0.08, 0.3, 1.2, 5.0, 20.0];

fn isobole(arguments: &str, folder: &Path) -> assert_cmd::assert::Assert {
    let arguments: Vec<&str> = arguments.split_whitespace().collect();
    Command::cargo_bin("isobole").unwrap().args(["synergy"]).args(arguments).current_dir(folder).assert()
}

fn words(assert: &assert_cmd::assert::Assert) -> String {
    String::from_utf8_lossy(&assert.get_output().stderr).into_owned()
}

#[test]
fn margins_from_another_table_are_as_good_as_ones_own() {
    let folder = TempDir::new().unwrap();
    let (mut whole, mut inner, mut singles) = (
        "line,a,b,dose_a,dose_b,response\n".to_owned(),
        "line,a,b,dose_a,dose_b,response\n".to_owned(),
        "compound,line,conc,inhibition\n".to_owned(),
    );
    for (line, shift) in [("HL-60", 0u64), ("R20", 1)] {
        for (i, a) in [0.0].iter().chain(&DOSES).enumerate() {
            for (j, b) in [0.0].iter().chain(&DOSES).enumerate() {
                let noise = 0.02 * standard_normal(5, shift, i as u32, j as u32);
                let response = first(*a) * second(*b) + noise;
                let _ = writeln!(whole, "{line},clofarabine,venetoclax,{a},{b},{response}");
                match (i, j) {
                    (0, 0) => {}
                    // Percent, inhibition, nM, and doses as another dispenser has them.
                    (_, 0) => {
                        let _ = writeln!(singles, "clofarabine,{line},{},{}", a * 1010.0, 100.0 * (1.0 - response));
                    }
                    (0, _) => {
                        let _ = writeln!(singles, "venetoclax,{line},{},{}", b * 1010.0, 100.0 * (1.0 - response));
                    }
                    _ => {
                        let _ = writeln!(inner, "{line},clofarabine,venetoclax,{a},{b},{response}");
                    }
                }
            }
        }
    }
    let _ = writeln!(singles, "venetoclax,R20,,50");
    for (name, text) in [("whole.csv", &whole), ("inner.csv", &inner), ("singles.csv", &singles)] {
        std::fs::write(folder.path().join(name), text).unwrap();
    }
    let common = "--matrix line,a,b --dose-unit uM --orientation viability --bootstrap 20";
    isobole(&format!("whole.csv {common} --out whole"), folder.path()).success();
    let elsewhere = "--single-agents singles.csv --drugs a,b --single-by line --single-drug compound --single-dose conc \
                     --single-dose-unit nM --single-response inhibition --single-orientation inhibition \
                     --single-scale percent";
    let run = isobole(&format!("inner.csv {common} {elsewhere} --out inner"), folder.path()).success();
    assert!(words(&run).contains("24 single-agent responses of 4 curves"), "{}", words(&run));
    isobole(&format!("inner.csv {common} --out alone"), folder.path()).success();
    let table = |of: &str| Read::new(&folder.path().join(of).join("synergy.parquet"));
    let (whole, inner, alone) = (table("whole"), table("inner"), table("alone"));
    for row in 0..2 {
        assert!(inner.text("flags", row).unwrap().contains("untreated_a_assumed"));
        for column in ["score_hsa", "score_bliss", "score_loewe", "score_zip", "peak_bliss", "css"] {
            let [theirs, ours] = [&whole, &inner].map(|table| table.number(column, row).unwrap());
            // All but the untreated well, and doses that differ by a hundredth.
            let tolerance = if column == "css" { 1.0 } else { 0.01 };
            assert!((theirs - ours).abs() < tolerance, "{column}: {theirs} {ours}");
        }
        assert_eq!(alone.text("reason_bliss", row).as_deref(), Some("no_margins"));
        assert_eq!(alone.text("reason_loewe", row).as_deref(), Some("margin_a_missing"));
    }
    assert_eq!(inner.unexplained(), Vec::<String>::new());
    let rejected = Read::new(&folder.path().join("inner/rejected_single_agents.parquet"));
    assert_eq!(rejected.text("reason", 0).as_deref(), Some("missing_dose"));
    // Mistakes name the column and say what to do.
    let unnamed = isobole(
        &format!("inner.csv --matrix line {} {elsewhere} --out x", &common["--matrix line,a,b".len()..]),
        folder.path(),
    );
    assert!(words(&unnamed.failure()).contains("hint: add it: --matrix line,a"));
    let wrong = elsewhere.replace("compound", "drug");
    let wrong = isobole(&format!("inner.csv {common} {wrong} --out x"), folder.path()).failure();
    assert!(words(&wrong).contains("`singles.csv`") && words(&wrong).contains("no column `drug`"), "{}", words(&wrong));
}

#[test]
fn raw_responses_are_shares_of_the_untreated() {
    let folder = TempDir::new().unwrap();
    let (mut raw, mut viability) = ("dose_a,dose_b,response\n".to_owned(), "dose_a,dose_b,response\n".to_owned());
    for a in [0.0].iter().chain(&DOSES) {
        for b in [0.0].iter().chain(&DOSES) {
            let response = first(*a) * second(*b);
            for _ in 0..2 {
                let _ = writeln!(raw, "{a},{b},{}", 4096.0 * response);
                let _ = writeln!(viability, "{a},{b},{response}");
            }
        }
    }
    std::fs::write(folder.path().join("raw.csv"), raw).unwrap();
    std::fs::write(folder.path().join("viability.csv"), viability).unwrap();
    let common = "--dose-unit uM --orientation viability --bootstrap 0";
    isobole(&format!("raw.csv {common} --untreated 4096 --out raw"), folder.path()).success();
    isobole(&format!("viability.csv {common} --out viability"), folder.path()).success();
    let table = |of: &str| std::fs::read(folder.path().join(of).join("surfaces.parquet")).unwrap();
    assert_eq!(table("raw").len(), table("viability").len());
    let numbers = |of: &str| {
        let table = Read::new(&folder.path().join(of).join("surfaces.parquet"));
        (0..49).map(|row| table.number("observed", row).unwrap()).collect::<Vec<f64>>()
    };
    assert_eq!(numbers("raw"), numbers("viability"));
    let failed = isobole(&format!("raw.csv {common} --out x"), folder.path()).failure();
    assert!(words(&failed).contains("check --scale"), "{}", words(&failed));
    let inhibition = common.replace("viability", "inhibition");
    let failed = isobole(&format!("raw.csv {inhibition} --untreated 4096 --out x"), folder.path()).failure();
    assert!(words(&failed).contains("raw responses are no inhibition"), "{}", words(&failed));
    let failed = isobole(&format!("raw.csv {common} --untreated 0 --out x"), folder.path()).failure();
    assert!(words(&failed).contains("not above 0"), "{}", words(&failed));
}

#[test]
fn rays_are_scored_without_a_grid() {
    let folder = TempDir::new().unwrap();
    let mut rays = "dose_a,dose_b,response\n0,0,1\n".to_owned();
    for dose in DOSES {
        let _ = writeln!(rays, "{dose},0,{}\n0,{dose},{}", first(dose), second(dose));
        for ratio in [0.25, 1.0, 4.0] {
            let (a, b) = (dose / (1.0 + ratio), dose * ratio / (1.0 + ratio));
            let _ = writeln!(rays, "{a},{b},{}", first(a) * second(b));
        }
    }
    std::fs::write(folder.path().join("rays.csv"), rays).unwrap();
    isobole("rays.csv --dose-unit uM --orientation viability --bootstrap 0 --synergy all --out out", folder.path())
        .success();
    let table = Read::new(&folder.path().join("out/synergy.parquet"));
    assert_eq!(table.number("n_cells", 0), Some(18.0));
    assert!(table.number("score_bliss", 0).unwrap().abs() < 1e-6);
    assert!(table.number("score_hsa", 0).unwrap() > 0.02);
    // Nothing to smooth along either drug: ZIP takes the wells themselves.
    assert!((table.number("score_zip", 0).unwrap() - table.number("score_bliss", 0).unwrap()).abs() < 1e-9);
    let flags = table.text("flags", 0).unwrap();
    for flag in ["zip_slices_observed", "no_3x3_window", "no_rectangle_of_doses"] {
        assert!(flags.contains(flag), "{flags}");
    }
    assert_eq!(table.text("css_reason", 0).as_deref(), Some("too_few_slices"));
    let lines = Read::new(&folder.path().join("out/median_effect.parquet"));
    let of_rays: Vec<f64> = (0..5).filter_map(|row| lines.number("dose_b_per_dose_a", row)).collect();
    assert_eq!(of_rays.iter().map(|ratio| (ratio * 100.0).round()).collect::<Vec<_>>(), [25.0, 100.0, 400.0]);
    for table in ["synergy", "surfaces", "combination_index", "isobologram"] {
        let path = folder.path().join(format!("out/{table}.parquet"));
        assert_eq!(Read::new(&path).unexplained(), Vec::<String>::new(), "{table}");
    }
}

/// Three drugs that act independently, but for what `more` adds where all three are.
fn triple(more: f64, replicates: u64) -> String {
    let mut rows = "dose_a,dose_b,dose_c,response\n".to_owned();
    let doses: Vec<f64> = [0.0].iter().chain(&DOSES[1..]).copied().collect();
    let mut place = 0;
    for a in &doses {
        for b in &doses {
            for c in &doses {
                for replicate in 0..replicates {
                    place += 1;
                    let all = *a > 0.0 && *b > 0.0 && *c > 0.0;
                    let response = first(*a) * second(*b) * third(*c) * (1.0 - if all { more } else { 0.0 });
                    let noise = 0.03 * standard_normal(11, replicate, 0, place);
                    let _ = writeln!(rows, "{a},{b},{c},{}", response + noise);
                }
            }
        }
    }
    rows
}

#[test]
fn three_drugs_are_told_from_what_two_do() {
    let folder = TempDir::new().unwrap();
    for (name, more) in [("independent", 0.0), ("more", 0.5)] {
        std::fs::write(folder.path().join(format!("{name}.csv")), triple(more, 2)).unwrap();
        let flags = "--dose-c dose_c --dose-unit uM --orientation viability --bootstrap 60";
        isobole(&format!("{name}.csv {flags} --out {name}"), folder.path()).success();
    }
    let table = |of: &str| Read::new(&folder.path().join(of).join("triples.parquet"));
    let (independent, more) = (table("independent"), table("more"));
    assert_eq!(independent.number("n_cells", 0), Some(125.0));
    let of = |table: &Read, column: &str| table.number(column, 0).unwrap();
    for reference in ["bliss", "pairs"] {
        let [low, high] = ["ci_low", "ci_high"].map(|end| of(&independent, &format!("{end}_{reference}")));
        assert!(low < 0.0 && high > 0.0 && high - low < 0.1, "{reference}: {low} {high}");
        assert!(of(&more, &format!("ci_low_{reference}")) > 0.02, "{reference}");
        assert!(of(&more, &format!("p_{reference}")) < 1e-3);
    }
    // The third independent drug does more than the best pair, and than the best drug.
    assert!(of(&independent, "score_best_pair") > 0.005, "{}", of(&independent, "score_best_pair"));
    // The best of three noisy pairs is no fair reference: there is no p.
    assert_eq!(independent.text("reason_best_pair", 0).as_deref(), Some("biased_by_selection"));
    assert!(of(&independent, "score_hsa") > of(&independent, "score_best_pair"));
    for table in ["triples", "triple_surfaces"] {
        let read = Read::new(&folder.path().join("more").join(format!("{table}.parquet")));
        assert_eq!(read.unexplained(), Vec::<String>::new(), "{table}");
    }
    assert!(!folder.path().join("more/synergy.parquet").exists());
}

#[test]
fn a_surface_of_three_drugs_tells_its_parameters_or_why_not() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("triple.csv"), triple(0.5, 1)).unwrap();
    let flags =
        "--dose-c dose_c --dose-unit uM --orientation viability --bootstrap 0 --synergy bliss,musyc --out surface";
    isobole(&format!("triple.csv {flags}"), folder.path()).success();
    let table = Read::new(&folder.path().join("surface/triples.parquet"));
    assert!(table.number("score_musyc", 0).is_some_and(|score| score.abs() < 0.5));
    // Of the surface, each parameter has a value or a reason, and fold changes that are told have an interval.
    let table = Read::new(&folder.path().join("surface/triple_interactions.parquet"));
    let mut told = 0;
    for row in 0..24 {
        let name = table.text("parameter", row).unwrap();
        let value = table.number("value", row);
        assert!(value.is_some() || table.text("reason", row).is_some(), "{name}");
        if let (true, Some(value)) = (name.starts_with("log10_alpha"), value) {
            let [low, high] = ["ci_low", "ci_high"].map(|end| table.number(end, row).unwrap());
            assert!(low <= value && value <= high, "{name}: {low} {value} {high}");
            told += 1;
        }
    }
    assert!(told > 0, "no fold change of 9 is told");
}

#[test]
fn the_order_of_three_drugs_does_not_matter() {
    let folder = TempDir::new().unwrap();
    std::fs::write(folder.path().join("triple.csv"), triple(0.2, 1)).unwrap();
    let common = "--dose-unit uM --orientation viability --bootstrap 0";
    isobole(&format!("triple.csv {common} --dose-c dose_c --out abc"), folder.path()).success();
    let turned = "--dose-a dose_c --dose-b dose_a --dose-c dose_b";
    isobole(&format!("triple.csv {common} {turned} --out cab"), folder.path()).success();
    let table = |of: &str| Read::new(&folder.path().join(of).join("triples.parquet"));
    let (one, other) = (table("abc"), table("cab"));
    for reference in ["hsa", "bliss", "loewe", "best_pair", "pairs"] {
        for column in ["score", "peak"] {
            let column = format!("{column}_{reference}");
            let [x, y] = [&one, &other].map(|table| table.number(&column, 0).unwrap());
            assert!((x - y).abs() < 1e-9, "{column}: {x} {y}");
        }
    }
}

#[test]
fn real_screens_have_no_score_missing_without_a_reason() {
    let files = [
        (
            "combo_mathews_griner_2014_tmd8.parquet",
            "--matrix block_id --dose-a conc_a --dose-b conc_b --response viability_pct --scale percent --dose-unit nM \
             --orientation viability",
            466,
        ),
        (
            "combo_syntoxprofiler_20.parquet",
            "--matrix drug_a,drug_b,sample_type --dose-a conc_a --dose-b conc_b --response inhibition_pct --scale percent \
             --dose-unit nM --orientation inhibition",
            40,
        ),
        (
            "combo_oneil_2016_subset.parquet",
            "--matrix cell_line,drug_a,drug_b --dose-a conc_a --dose-b conc_b --response viability_frac --dose-unit uM \
             --orientation viability --single-by cell_line --single-dose conc --single-response inhibition_pct \
             --single-orientation inhibition --single-scale percent --single-agents",
            1350,
        ),
    ];
    for (file, flags, matrices) in files {
        let Some(path) = shared(&format!("data/{file}")) else { return };
        let folder = TempDir::new().unwrap();
        let singles = shared("data/single_oneil_2016_merck.parquet").unwrap();
        let singles = if flags.ends_with("--single-agents") { singles.display().to_string() } else { String::new() };
        let arguments =
            format!("{} {flags} {singles} --bootstrap 10 --synergy hsa,bliss,loewe,zip,ci --out out", path.display());
        isobole(&arguments, folder.path()).success();
        let table = Read::new(&folder.path().join("out/synergy.parquet"));
        assert_eq!(
            (0..).take_while(|row| *row < matrices).filter_map(|row| table.number("n_cells", row)).count(),
            matrices
        );
        for model in ["hsa", "bliss", "loewe", "zip"] {
            let scored = (0..matrices).filter(|row| table.number(&format!("score_{model}"), *row).is_some()).count();
            println!("{file}: {scored} of {matrices} have a score by {model}");
            assert!(scored * 100 >= matrices * 99, "{file} {model}: {scored}");
            for row in 0..matrices {
                let number = |name: &str| table.number(&format!("{name}_{model}"), row);
                let reason = table.text(&format!("reason_{model}"), row);
                for name in ["score", "se", "p", "ci_low"] {
                    let value = number(name);
                    assert!(value.is_none_or(f64::is_finite), "{file} {row} {name}_{model}");
                    assert!(value.is_some() || reason.is_some(), "{file} {row} {name}_{model}");
                }
            }
        }
    }
}

#[test]
fn scores_within_dose_limits_are_of_those_doses() {
    let folder = TempDir::new().unwrap();
    let mut text = "a,b,dose_a,dose_b,response\n".to_owned();
    for a in [0.0].iter().chain(&DOSES) {
        for b in [0.0].iter().chain(&DOSES) {
            // Synergy at high doses of the first drug alone.
            let more = if *a > 1.0 && *b > 0.0 { 0.5 } else { 1.0 };
            let _ = writeln!(text, "clofarabine,venetoclax,{a},{b},{}", first(*a) * second(*b) * more);
        }
    }
    std::fs::write(folder.path().join("m.csv"), text).unwrap();
    let common = "m.csv --matrix a,b --drugs a,b --dose-unit uM --orientation viability --bootstrap 0 --out out";
    let number = |limits: &str, column: &str| {
        isobole(&format!("{common} --dose-limits {limits}"), folder.path()).success();
        Read::new(&folder.path().join("out/synergy.parquet")).number(column, 0)
    };
    let all = number("Clofarabine=100uM", "box_bliss").unwrap();
    assert_eq!(Some(all), number("clofarabine=100uM", "score_bliss"));
    let low = number("clofarabine=1uM", "box_bliss").unwrap();
    assert!(low.abs() < 1e-6 && all > 0.02, "{low} {all}");
    assert_eq!(number("clofarabine=1nM,venetoclax=1nM", "box_bliss"), None);
    let table = Read::new(&folder.path().join("out/synergy.parquet"));
    assert!(table.text("flags", 0).unwrap().contains("no_dose_within_limits"));
    let failed = isobole(&format!("{common} --dose-limits melatonin=1uM"), folder.path()).failure();
    assert!(words(&failed).contains("`melatonin` is none of the drugs"), "{}", words(&failed));
}

#[test]
fn real_rays_and_three_drugs_are_scored() {
    let (Some(rays), Some(triples)) =
        (shared("data/combo_drugcombo_ray.parquet"), shared("data/combo_ncats_malaria_tact_3drug.parquet"))
    else {
        return;
    };
    let folder = TempDir::new().unwrap();
    // Raw counts without controls: the drugs' own curves begin at about 4,100.
    let flags = "--dose-a conc_a --dose-b conc_b --response effect --untreated 4100 --orientation viability \
                 --dose-unit uM --bootstrap 50 --synergy hsa,bliss,loewe,zip,ci --out rays";
    isobole(&format!("{} {flags}", rays.display()), folder.path()).success();
    let table = Read::new(&folder.path().join("rays/synergy.parquet"));
    assert_eq!(table.number("n_cells", 0), Some(45.0));
    for model in ["hsa", "bliss", "loewe", "zip"] {
        let [low, score, high] =
            ["ci_low", "score", "ci_high"].map(|n| table.number(&format!("{n}_{model}"), 0).unwrap());
        assert!(low < score && score < high && high - low < 0.2, "{model}: {low} {score} {high}");
    }
    // Two drugs of one kind: what Loewe expects, more or less, and less than Bliss does.
    assert!(table.number("score_loewe", 0).unwrap().abs() < 0.1);
    assert!(table.number("score_hsa", 0).unwrap() > table.number("score_bliss", 0).unwrap());

    let flags = "--matrix block_id,drug1,drug2,drug3 --dose-a conc1 --dose-b conc2 --dose-c conc3 --response response \
                 --scale percent --orientation viability --dose-unit uM --bootstrap 20 --out triples";
    isobole(&format!("{} {flags}", triples.display()), folder.path()).success();
    for name in ["triples", "triple_surfaces"] {
        let table = Read::new(&folder.path().join(format!("triples/{name}.parquet")));
        assert_eq!(table.unexplained(), Vec::<String>::new(), "{name}");
    }
    let table = Read::new(&folder.path().join("triples/triples.parquet"));
    for block in 0..2 {
        assert_eq!(table.number("n_cells", block), Some(891.0));
        assert!(table.number("score_bliss", block).unwrap().abs() < 0.5);
    }
}
