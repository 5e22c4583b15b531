//! Row-a-well tables: the real data in the layout of their tool, imported, against the same data read by a mapping.

use super::{Bench, column, contents, delimited, read};
use crate::shared;
use isobole::import::{Format, ImportSettings};
use isobole::run::Extent;
use isobole::screen::Orientation;
use isobole::screen::well::Role;
use std::collections::BTreeMap;

fn says(orientation: Orientation) -> ImportSettings {
    ImportSettings { orientation: Some(orientation), ..ImportSettings::default() }
}

#[test]
fn synergyfinder_in_both_styles_of_columns() {
    let Some(path) = shared("data/combo_mathews_synergyfinder_2blocks.parquet") else { return };
    let theirs = ["block_id", "drug_row", "drug_col", "conc_r", "conc_c", "response", "conc_r_unit", "conc_c_unit"];
    let columns: Vec<Vec<String>> = theirs.iter().map(|name| column(&path, name)).collect();
    let direct = read(&path, "[response]\norientation = 'viability'\nscale = 'percent'");
    for (header, mark) in [
        (theirs, ','),
        (["PairIndex", "DrugRow", "DrugCol", "ConcRow", "ConcCol", "Response", "ConcRUnit", "ConcCUnit"], '\t'),
        (["BlockId", "drug1", "drug2", "conc1", "conc2", "response", "conc_unit1", "conc_unit2"], ';'),
    ] {
        let bench = Bench::new();
        let file = bench.file("blocks.csv", delimited(&header, &columns, mark, |_| true));
        let (imported, screen) = bench.round(Format::SynergyFinder, &[file], &says(Orientation::Viability));
        assert_eq!((imported.wells(), imported.plates(), imported.rejected.len()), (72, 2, 0));
        assert_eq!(contents(&screen), contents(&direct));
        assert!(imported.notes.iter().any(|note| note.starts_with("no plates in this format")));
        // The planted fault: the other orientation is another screen.
        let file = bench.file("blocks.csv", delimited(&header, &columns, mark, |_| true));
        let (_, mirrored) =
            bench.round(Format::SynergyFinder, std::slice::from_ref(&file), &says(Orientation::Inhibition));
        assert_ne!(contents(&mirrored), contents(&direct));
        bench.round(Format::SynergyFinder, &[file], &says(Orientation::Viability));
        let finished = bench.run(Extent::Full, "anchor = 'ibrutinib'");
        assert_eq!((finished.analysis.matrices.len(), finished.analysis.pairs.len()), (2, 2));
    }
}

#[test]
fn three_drugs_of_synergyfinder_are_three_drugs() {
    let Some(path) = shared("data/combo_ncats_malaria_tact_3drug.parquet") else { return };
    let header = [
        "block_id",
        "drug1",
        "drug2",
        "drug3",
        "conc1",
        "conc2",
        "conc3",
        "response",
        "conc_unit1",
        "conc_unit2",
        "conc_unit3",
    ];
    let columns: Vec<Vec<String>> = header.iter().map(|name| column(&path, name)).collect();
    let bench = Bench::new();
    let file = bench.file("three.csv", delimited(&header, &columns, ',', |_| true));
    let (imported, screen) = bench.round(Format::SynergyFinder, &[file], &says(Orientation::Viability));
    assert_eq!((imported.wells(), imported.plates()), (2400, 2));
    let direct = read(&path, "[response]\norientation = 'viability'\nscale = 'percent'");
    assert_eq!(contents(&screen), contents(&direct));
}

#[test]
fn drugcomb_blocks_with_single_agents() {
    let Some(path) = shared("data/combo_oneil_2016_synergyfinder_2blocks.parquet") else { return };
    let theirs =
        ["block_id", "drug_a", "drug_b", "cell_line", "conc_a", "conc_b", "inhibition_pct", "conc_unit", "conc_unit"];
    let header = [
        "block_id",
        "drug_row",
        "drug_col",
        "cell_line_name",
        "conc_r",
        "conc_c",
        "inhibition",
        "conc_r_unit",
        "conc_c_unit",
    ];
    let mut columns: Vec<Vec<String>> = theirs.iter().map(|name| column(&path, name)).collect();
    // A single agent as DrugComb has it: no second drug at all.
    for (cells, extra) in columns.iter_mut().zip(["9", "MK-1775", "NULL", "OCUBM", "0.5", "", "12.5", "uM", ""]) {
        cells.push(extra.into());
    }
    let bench = Bench::new();
    let file = bench.file("drugcomb.csv", delimited(&header, &columns, ',', |_| true));
    let (imported, screen) = bench.round(Format::DrugComb, &[file], &ImportSettings::default());
    assert_eq!((imported.wells(), imported.plates(), imported.rejected.len()), (201, 3, 0));
    let direct = read(&path, "");
    let (ours, theirs) = (contents(&screen), contents(&direct));
    assert_eq!(ours.len(), theirs.len() + 1);
    assert!(theirs.iter().all(|well| ours.contains(well)));
    let finished = bench.run(Extent::Full, "anchor = 'MK-1775'");
    assert_eq!(finished.analysis.pairs.len(), 2);
}

/// The replicates of a row side by side, as the Merck tables have them.
fn side_by_side(
    keys: &[Vec<String>],
    values: &[f64],
    replicates: usize,
    scale: impl Fn(f64) -> f64,
) -> Vec<Vec<String>> {
    let mut rows: BTreeMap<Vec<String>, Vec<f64>> = BTreeMap::new();
    for (at, value) in values.iter().enumerate() {
        rows.entry(keys.iter().map(|key| key[at].clone()).collect()).or_default().push(scale(*value));
    }
    let mut columns: Vec<Vec<String>> = vec![Vec::new(); keys.len() + replicates];
    for (key, values) in rows {
        for (column, text) in columns.iter_mut().zip(&key) {
            column.push(text.clone());
        }
        for replicate in 0..replicates {
            columns[keys.len() + replicate].push(values.get(replicate).map_or_else(|| "NA".into(), f64::to_string));
        }
    }
    columns
}

#[test]
fn the_merck_screen_has_its_margins_in_another_file() {
    let (Some(pairs), Some(singles)) =
        (shared("data/combo_oneil_2016_subset.parquet"), shared("data/single_oneil_2016_merck.parquet"))
    else {
        return;
    };
    let values = |path, name| column(path, name).iter().map(|v| v.parse().unwrap()).collect::<Vec<f64>>();
    let texts = |path, names: &[&str]| names.iter().map(|name| column(path, name)).collect::<Vec<_>>();
    let keys = texts(&pairs, &["batch", "cell_line", "drug_a", "conc_a", "drug_b", "conc_b"]);
    let combinations = side_by_side(&keys, &values(&pairs, "viability_frac"), 4, |v| v);
    let keys = texts(&singles, &["batch_seq", "cell_line", "drug", "conc"]);
    let alone = side_by_side(&keys, &values(&singles, "inhibition_pct"), 6, |pct| 1.0 - pct / 100.0);
    let bench = Bench::new();
    let header = [
        "BatchID",
        "cell_line",
        "drugA_name",
        "drugA Conc (µM)",
        "drugB_name",
        "drugB Conc (µM)",
        "viability1",
        "viability2",
        "viability3",
        "viability4",
    ];
    let only = |cells: &[&str]| cells[1] == "A375";
    let one = bench.file("pairs.csv", delimited(&header, &combinations, ',', only));
    let header = [
        "BatchID",
        "cell_line",
        "drug_name",
        "Drug_concentration (µM)",
        "viability1",
        "viability2",
        "viability3",
        "viability4",
        "viability5",
        "viability6",
    ];
    let two = bench.file("singles.csv", delimited(&header, &alone, ',', only));
    let (imported, screen) = bench.round(Format::ONeil, &[one, two], &ImportSettings::default());
    let expected = |path| column(path, "cell_line").iter().filter(|line| *line == "A375").count();
    assert_eq!(imported.wells(), expected(&pairs) + expected(&singles));
    assert!(imported.rejected.is_empty());
    let sum: f64 = screen.wells.iter().map(|well| well.signal).sum();
    let line = column(&pairs, "cell_line");
    let of_line = |values: Vec<f64>, lines: &[String]| -> f64 {
        values.iter().zip(lines).filter(|(_, line)| *line == "A375").map(|(v, _)| *v).sum()
    };
    let n = expected(&singles) as f64;
    let direct = of_line(values(&pairs, "viability_frac"), &line) + n
        - of_line(values(&singles, "inhibition_pct"), &column(&singles, "cell_line")) / 100.0;
    assert!((sum - direct).abs() < 1e-6, "{sum} {direct}");
    let finished = bench.run(Extent::Full, "anchor = 'MK-4541'\nsynergy = ['hsa']");
    assert!(finished.analysis.matrices.len() >= 50, "{}", finished.analysis.matrices.len());
    assert!(finished.analysis.scores.iter().any(|score| !score.scores.is_empty()));
}

const ALMANAC: &str = "COMBODRUGSEQ,SCREENER,STUDY,TESTDATE,PLATE,PANELNBR,CELLNBR,PREFIX1,NSC1,SAMPLE1,CONCINDEX1,CONC1,CONCUNIT1,PREFIX2,NSC2,SAMPLE2,CONCINDEX2,CONC2,CONCUNIT2,PERCENTGROWTH,PERCENTGROWTHNOTZ,TESTVALUE,CONTROLVALUE,TZVALUE,EXPECTEDGROWTH,SCORE,VALID,PANEL,CELLNAME\n";

#[test]
fn almanac_growth_rows_become_viabilities() {
    let rows = "\
        1,FG,ST1,06/01/2010,P1,1,2,NSC,740,1,0,0,M,NSC,752,1,1,1e-7,M,60,70,70,100,30,,,Y,Leukemia,HL-60(TB)\n\
        1,FG,ST1,06/01/2010,P1,1,2,NSC,740,1,1,1e-8,M,,,,,,,80,90,90,100,30,,,Y,Leukemia,HL-60(TB)\n\
        1,FG,ST1,06/01/2010,P1,1,2,NSC,740,1,1,1e-8,M,NSC,752,1,1,1e-7,M,10,40,40,100,30,,,Y,Leukemia,HL-60(TB)\n\
        1,FG,ST1,06/01/2010,P1,1,2,NSC,740,1,1,1e-8,M,NSC,752,1,1,1e-7,M,10,40,40,100,30,,,N,Leukemia,HL-60(TB)\n\
        1,FG,ST1,06/01/2010,P1,1,2,NSC,740,1,1,1e-8,M,NSC,752,1,1,1e-7,M,10,,,,,,,Y,Leukemia,HL-60(TB)\n\
        1,FG,ST1,06/01/2010,P1,1,2,NSC,740,1,1,1e-8,M,NSC,752,1,1,1e-7,M,10,,50,0,,,,Y,Leukemia,HL-60(TB)\n";
    let bench = Bench::new();
    let file = bench.file("ComboDrugGrowth.csv", format!("{ALMANAC}{rows}"));
    let (imported, screen) = bench.round(Format::Almanac, &[file], &ImportSettings::default());
    let reasons = imported.rejected_by_reason();
    assert_eq!(reasons, BTreeMap::from([("marked_invalid", 1), ("missing_response", 1), ("no_control", 1)]));
    let places: Vec<&str> = imported.rejected.iter().map(|row| row.place.as_str()).collect();
    assert_eq!(places, ["AA5", "V6", "W7"]);
    assert_eq!(
        contents(&screen),
        [
            "HL-60(TB) None [\"NSC740 1.000000000e-8\", \"NSC752 1.000000000e-7\"] 4.000000000000e-1",
            "HL-60(TB) None [\"NSC740 1.000000000e-8\"] 9.000000000000e-1",
            "HL-60(TB) None [\"NSC752 1.000000000e-7\"] 7.000000000000e-1",
        ]
    );
    assert!(imported.notes[0].contains("`PERCENTGROWTH`"), "{:?}", imported.notes);
    bench.run(Extent::Full, "anchor = 'NSC740'");
    let by_mass = bench.file("mass.csv", format!("{ALMANAC}{}", rows.replace("1e-7,M", "2,u")));
    let imported = isobole::import::import(Format::Almanac, &[by_mass], &ImportSettings::default()).unwrap();
    assert!(imported.notes.iter().any(|note| note.contains("`NSC752`; run needs their molar masses")));
}

#[test]
fn gdsc_raw_plates_are_told_by_tag_and_position() {
    let Some(path) = shared("data/plates_gdsc_example_raw.parquet") else { return };
    let theirs = [
        "plate_id",
        "well_index",
        "well_tag",
        "drug_id",
        "conc",
        "raw_intensity",
        "cell_line",
        "duration",
        "drugset_id",
    ];
    let header =
        ["BARCODE", "POSITION", "TAG", "DRUG_ID", "CONC", "INTENSITY", "CELL_LINE_NAME", "DURATION", "DRUGSET_ID"];
    let mut columns: Vec<Vec<String>> = theirs.iter().map(|name| column(&path, name)).collect();
    for drug in &mut columns[3] {
        *drug = if drug.is_empty() { "NA".into() } else { drug.trim_end_matches(".0").to_owned() };
    }
    let few: Vec<String> = {
        let mut plates = columns[0].clone();
        plates.dedup();
        plates.into_iter().take(5).collect()
    };
    let bench = Bench::new();
    let text = delimited(&header, &columns, ',', |cells| few.iter().any(|plate| plate == cells[0]));
    let file = bench.file("raw_data.csv", text);
    let (imported, screen) = bench.round(Format::Gdsc, &[file], &ImportSettings::default());
    assert_eq!(imported.plates(), 5);
    assert!(imported.rejected.is_empty(), "{:?}", imported.rejected_by_reason());
    let example = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/datasets/examples/gdsc.toml")).unwrap();
    let direct = read(&path, &example);
    let keep = |plate: &str| few.iter().any(|name| name == plate);
    let wells = |screen: &isobole::screen::Screen| {
        let wells = screen.wells.iter().filter(|well| keep(screen.plates.name(well.plate)));
        Role::ALL.map(|role| wells.clone().filter(|well| well.role == role).count())
    };
    assert_eq!(wells(&screen), wells(&direct));
    let of_few = |screen: &isobole::screen::Screen| {
        let mut few = screen.clone();
        few.wells = screen.wells.iter().filter(|well| keep(screen.plates.name(well.plate))).collect();
        contents(&few)
    };
    assert_eq!(of_few(&screen), of_few(&direct));
    let finished = bench.run(Extent::Quality, "low_control = 'blank'");
    assert_eq!(finished.analysis.plates.len(), 5);
    assert!(finished.analysis.plates.iter().all(|plate| plate.z_prime.is_some_and(|z| (0.3..0.9).contains(&z))));
}

#[test]
fn a_gdsc_combination_well_has_a_row_for_each_drug() {
    let bench = Bench::new();
    let rows = "BARCODE,POSITION,TAG,DRUG_ID,CONC,INTENSITY,CELL_LINE_NAME\n\
        7,1,L1-D1-C,1001,0.5,400,HL-60\n7,1,A1-D2-C,1002,2,400,HL-60\n7,2,NC-1,NA,NA,1000,HL-60\n\
        7,3,FAIL,NA,NA,5,HL-60\n7,384,L1-D1-C,1001,0.5,400,HL-60\n7,384,A1-D1-C,1002,2,401,HL-60\n";
    let file = bench.file("raw.csv", rows);
    let (imported, screen) = bench.round(Format::Gdsc, &[file], &ImportSettings::default());
    let reasons = imported.rejected_by_reason();
    assert_eq!(reasons, BTreeMap::from([("duplicate_well", 1), ("unknown_role", 1)]));
    let pair = screen.wells.iter().find(|well| well.active().count() == 2).unwrap();
    let place = pair.position.unwrap();
    assert_eq!((place.row, place.column), (1, 1));
    // The last of 384 wells: position 384 is P24, and not a place on a larger plate.
    assert!(screen.wells.iter().any(|well| well.position.is_some_and(|p| (p.row, p.column) == (16, 24))));
}

#[test]
fn thunor_counts_of_the_musyc_plates() {
    let Some(path) = shared("data/combo_musyc_hts015_pc9_pervia72h.parquet") else { return };
    let theirs = [
        "plate_id",
        "well",
        "time",
        "cell_count",
        "cell_line",
        "drug_a",
        "conc_a",
        "conc_a_unit",
        "drug_b",
        "conc_b",
        "conc_b_unit",
    ];
    let header = [
        "upid",
        "well",
        "time",
        "cell.count",
        "cell.line",
        "drug1",
        "drug1.conc",
        "drug1.units",
        "drug2",
        "drug2.conc",
        "drug2.units",
    ];
    let columns: Vec<Vec<String>> = theirs.iter().map(|name| column(&path, name)).collect();
    let bench = Bench::new();
    let file = bench.file("hts.tsv", delimited(&header, &columns, '\t', |_| true));
    let (imported, screen) = bench.round(Format::Thunor, &[file], &ImportSettings::default());
    assert_eq!((imported.wells(), imported.plates(), imported.rejected.len()), (3696, 12, 0));
    let direct = read(&path, "none = 'control'\n[columns]\nsignal = 'cell_count'\nresponse = ''");
    assert_eq!(contents(&screen), contents(&direct));
    let finished = bench.run(Extent::Full, "anchor = 'osimertinib'\nsynergy = ['hsa']");
    assert!(finished.analysis.pairs.len() > 40, "{}", finished.analysis.pairs.len());
}

#[test]
fn wells_that_are_read_again_are_plates_of_their_own() {
    let bench = Bench::new();
    let rows = "upid,well,time,cell.count,cell.line,drug1,drug1.conc,drug1.units\n\
        P,A01,0.1,100,X,d,0,M\nP,A02,0.2,100,X,d,1e-6,M\nP,A01,24.1,400,X,d,0,M\nP,A02,24.3,200,X,d,1e-6,M\n";
    let file = bench.file("hts.csv", rows);
    let (imported, screen) = bench.round(Format::Thunor, &[file], &ImportSettings::default());
    assert_eq!((imported.wells(), imported.plates()), (4, 2));
    assert_eq!(screen.plates.iter().collect::<Vec<_>>(), ["P reading 1", "P reading 2"]);
}

#[test]
fn curve_curator_curves_with_their_toml() {
    let Some(path) = shared("data/gold_curvecurator_viability_ctrp_40_points.parquet") else { return };
    let [curves, experiments, doses, values] =
        ["curve", "exp", "conc", "viability_ratio"].map(|name| column(&path, name));
    let mut rows: BTreeMap<&str, BTreeMap<usize, &str>> = BTreeMap::new();
    let mut dose_of: BTreeMap<usize, &str> = BTreeMap::new();
    for at in 0..curves.len() {
        let experiment = experiments[at].parse().unwrap();
        rows.entry(&curves[at]).or_default().insert(experiment, &values[at]);
        dose_of.insert(experiment, &doses[at]);
    }
    let names: Vec<String> = dose_of.keys().map(|experiment| format!("Raw {experiment}")).collect();
    let mut tsv = format!("Name\t{}\n", names.join("\t"));
    for (curve, cells) in &rows {
        tsv += &format!("{curve}\t{}\n", cells.values().copied().collect::<Vec<_>>().join("\t"));
    }
    let list = |items: Vec<String>| items.join(", ");
    let toml = format!(
        "[Meta]\nid = 'ctrp'\n[Experiment]\nexperiments = [{}]\ndoses = [{}]\ndose_scale = '1e-6'\ndose_unit = 'M'\ncontrol_experiment = 0\n",
        list(dose_of.keys().map(usize::to_string).collect()),
        list(dose_of.values().map(|dose| (*dose).to_owned()).collect()),
    );
    let bench = Bench::new();
    let files = [bench.file("curves.tsv", tsv), bench.file("curves.toml", toml)];
    let settings = ImportSettings { cell_line: Some("CTRP".into()), ..ImportSettings::default() };
    let (imported, screen) = bench.round(Format::CurveCurator, &files, &settings);
    // 673 of 20,587 points have no ratio: counted with pandas.
    assert_eq!((imported.wells(), imported.plates()), (20_587 - 673, 1_211));
    assert_eq!(imported.rejected_by_reason(), BTreeMap::from([("missing_response", 673)]));
    let direct: f64 = values.iter().filter_map(|v| v.parse::<f64>().ok()).filter(|v| v.is_finite()).sum();
    let ours: f64 = screen.wells.iter().map(|well| well.signal).sum();
    assert!((ours - direct).abs() < 1e-9 * direct, "{ours} {direct}");
    let highest = screen.wells.iter().flat_map(|well| well.active()).map(|t| t.dose).fold(0.0, f64::max);
    assert!((highest - 4e-5).abs() < 1e-12, "{highest}");
}
