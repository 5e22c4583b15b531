//! Blocks of wells: laboratories' workbooks, readers' exports, Combenefit's grids, dispensers' lists.

use super::workbook::workbook;
use super::{Bench, column};
use crate::shared;
use isobole::import::{Decimal, Format, ImportSettings};
use isobole::run::Extent;
use isobole::screen::Screen;
use isobole::screen::well::Role;
use std::collections::BTreeMap;
use std::path::PathBuf;

fn laid(layout: PathBuf) -> ImportSettings {
    ImportSettings { layout: Some(layout), ..ImportSettings::default() }
}

/// Plate and well → signal and drugs.
type Wells = BTreeMap<(String, String), (f64, Vec<(String, f64)>)>;

/// Signals of a screen by plate and well, with the drugs.
fn wells(screen: &Screen) -> Wells {
    let drugs = |well: isobole::screen::well::Well| {
        well.active().map(|t| (screen.drugs.name(t.drug).to_owned(), t.dose)).collect::<Vec<_>>()
    };
    let name = |well: isobole::screen::well::Well| {
        (screen.plates.name(well.plate).to_owned(), well.position.unwrap().to_string())
    };
    screen.wells.iter().map(|well| (name(well), (well.signal, drugs(well)))).collect()
}

#[test]
fn two_plates_a_sheet_of_a_workbook_kept_by_hand() {
    let Some(path) = shared("data/importers/lab_xlsx/Criz_sel_SRB_data.xlsx") else { return };
    let mut layout = "plate_id,well,drug_a,conc_a,drug_b,conc_b,conc_unit,role\n".to_owned();
    for (at, dose) in [0.0, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0].into_iter().enumerate() {
        for row in ["B", "C", "D"] {
            layout += &format!("* Control plate,{row}{:02},crizotinib,{dose},,,uM,\n", at + 2);
            layout += &format!("* Combination plate,{row}{:02},crizotinib,{dose},selumetinib,{dose},uM,\n", at + 2);
        }
        for row in ["E", "F", "G"] {
            layout += &format!("* Control plate,{row}{:02},selumetinib,{dose},,,uM,\n", at + 2);
        }
    }
    layout += "* plate,A01,,,,,,blank\n* Control plate,A02,,,,,,blank\n* Combination plate,A02,,,,,,blank\n";
    let bench = Bench::new();
    let settings = ImportSettings { cell_line: Some("H1975".into()), ..laid(bench.file("layout.csv", layout)) };
    let (imported, screen) = bench.round(Format::Grid, &[path], &settings);
    assert_eq!(imported.plates(), 6);
    assert_eq!(imported.wells(), 3 * (42 + 1 + 21 + 1));
    let reasons = imported.rejected_by_reason();
    assert_eq!(reasons["not_in_layout"], 6 * 96 - imported.wells());
    assert!(reasons["not_a_plate"] > 0, "the tables below the plates are named");
    // The laboratory's own means below the plates: cells C18, D20 and P18 of the first sheet.
    let wells = wells(&screen);
    let mean = |plate: &str, names: [&str; 3]| {
        names.iter().map(|name| wells[&(plate.to_owned(), (*name).to_owned())].0).sum::<f64>() / 3.0
    };
    for (plate, names, theirs) in [
        ("CxS 1 Control plate", ["B03", "C03", "D03"], 0.964_333),
        ("CxS 1 Control plate", ["E04", "F04", "G04"], 0.430_666),
        ("CxS 1 Combination plate", ["B03", "C03", "D03"], 0.691),
    ] {
        assert!((mean(plate, names) - theirs).abs() < 1e-5, "{plate}: {}", mean(plate, names));
    }
    assert!((mean("CxS 2 Control plate", ["B03", "C03", "D03"]) - 0.964_333).abs() > 1e-3);
    let finished = bench.run(Extent::Normalised, "");
    assert_eq!(finished.analysis.plates.len(), 6);
}

#[test]
fn grids_of_every_size_with_and_without_labels() {
    for (rows, columns, corner) in [(8_usize, 12_usize, "H12"), (16, 24, "P24"), (32, 48, "AF48")] {
        let value = |row: usize, column: usize| (1000 * (row + 1) + column + 1).to_string();
        let block: Vec<Vec<String>> = (0..rows).map(|r| (0..columns).map(|c| value(r, c)).collect()).collect();
        let letters = |row: usize| {
            let letter = |n: usize| char::from(b'A' + n as u8).to_string();
            if row < 26 { letter(row) } else { format!("A{}", letter(row - 26)) }
        };
        let mut labelled = vec![vec!["P1".to_owned()]];
        labelled.push(std::iter::once(String::new()).chain((1..=columns).map(|c| c.to_string())).collect());
        labelled.extend((0..rows).map(|r| std::iter::once(letters(r)).chain(block[r].iter().cloned()).collect()));
        let text = |rows: &[Vec<String>]| rows.iter().map(|row| row.join(",") + "\n").collect::<String>();
        let bench = Bench::new();
        let layout = format!("well,drug,conc,conc_unit\nA01,,,\n{corner},x,2,nM\n");
        let files = [
            bench.file("bare.csv", text(&block)),
            bench.file("labelled.csv", text(&labelled)),
            bench.file("both.xlsx", workbook(&[("s", labelled.clone())])),
        ];
        for file in files {
            let settings =
                ImportSettings { plate_size: Some(rows * columns), ..laid(bench.file("layout.csv", &layout)) };
            let (imported, screen) = bench.round(Format::Grid, std::slice::from_ref(&file), &settings);
            assert_eq!(imported.rejected_by_reason(), BTreeMap::from([("not_in_layout", rows * columns - 2)]));
            let stem = file.file_stem().unwrap().to_str().unwrap().to_owned();
            let wells = wells(&screen);
            assert_eq!(wells[&(stem.clone(), "A01".into())].0, 1001.0);
            let last = &wells[&(stem, corner.into())];
            assert_eq!(last.0, (1000 * rows + columns) as f64);
            assert!((last.1[0].1 - 2e-9).abs() < 1e-20);
        }
    }
}

#[test]
fn combenefit_replicates_from_old_workbooks() {
    let (Some(folder), Some(truth)) =
        (shared("data/importers/combenefit"), shared("data/combo_combenefit_examples.parquet"))
    else {
        return;
    };
    let files: Vec<PathBuf> = (1..=4).map(|n| folder.join(format!("REPLI{n}.xls"))).collect();
    let bench = Bench::new();
    let settings = ImportSettings { cell_line: Some("X".into()), ..ImportSettings::default() };
    let (imported, screen) = bench.round(Format::Combenefit, &files, &settings);
    assert_eq!((imported.wells(), imported.plates(), imported.rejected.len()), (256, 4, 0));
    let [file, conc_a, conc_b, viability] =
        ["file", "conc_a", "conc_b", "viability_pct"].map(|name| column(&truth, name));
    let mut expected: Vec<String> = Vec::new();
    for at in (0..file.len()).filter(|at| file[*at].starts_with("EXAMPLE 3/")) {
        let stem = file[at].trim_start_matches("EXAMPLE 3/").trim_end_matches(".xls");
        let [a, b, v] = [&conc_a, &conc_b, &viability].map(|column| column[at].parse::<f64>().unwrap());
        expected.push(format!("EXAMPLE 3 {stem} {a:.4} {b:.4} {v:.5}"));
    }
    let dose = |well: isobole::screen::well::Well, drug: &str| {
        let found = well.named().find(|t| screen.drugs.name(t.drug) == drug);
        found.map_or(0.0, |t| t.dose * 1e9)
    };
    let mut ours: Vec<String> = screen
        .wells
        .iter()
        .map(|well| {
            let (a, b) = (dose(well, "DRUG 1"), dose(well, "DRUG 2"));
            format!("{} {a:.4} {b:.4} {:.5}", screen.plates.name(well.plate), 100.0 * well.signal)
        })
        .collect();
    ours.sort();
    expected.sort();
    assert_eq!(ours, expected);
    let finished = bench.run(Extent::Full, "anchor = 'DRUG 1'");
    assert_eq!((finished.analysis.matrices.len(), finished.analysis.pairs.len()), (1, 1));
    assert_eq!(finished.analysis.matrices[0].cells.iter().map(|cell| cell.n).max(), Some(4));
}

/// Rows of the tables that gDR's own importer made of these files.
fn expected(file: &str) -> Vec<Vec<String>> {
    let text = std::fs::read_to_string(shared(&format!("data/importers/gdr_envision/{file}")).unwrap()).unwrap();
    let clean = |cell: &str| cell.trim_matches('"').replace(',', ".");
    text.lines().skip(1).map(|line| line.split(';').map(clean).collect()).collect()
}

#[test]
fn envision_plates_are_those_of_gdr_s_own_importer() {
    let Some(folder) = shared("data/importers/gdr_envision") else { return };
    let files = ["RawData_day0.xlsx", "RawData_day7.xlsx"].map(|name| folder.join(name));
    let bench = Bench::new();
    let settings = ImportSettings { manifest: Some(folder.join("manifest.xlsx")), ..ImportSettings::default() };
    let (imported, screen) = bench.round(Format::Gdr, &files, &settings);
    assert_eq!(imported.plates(), 6);
    // Well → drugs at micromolar doses; wells that the template leaves empty are not there.
    let mut template: BTreeMap<String, Vec<(String, f64)>> = BTreeMap::new();
    for row in expected("ref_template_treated_xlsx.csv") {
        let dose = |at: usize| row[at].parse::<f64>().unwrap_or(0.0);
        let well = format!("{}{:02}", row[0], row[1].parse::<u16>().unwrap());
        if row[2] != "NA" {
            let drugs = [(row[2].clone(), dose(3)), (row[4].clone(), dose(5))];
            template.insert(well, drugs.into_iter().filter(|(_, dose)| *dose > 0.0).collect());
        }
    }
    let ours = wells(&screen);
    let mut seen = 0;
    let (mut zero, mut zero_wells) = (0.0, 0);
    for row in expected("ref_RawData_day0_day7_xlsx.csv") {
        let well = format!("{}{:02}", row[1], row[2].parse::<u16>().unwrap());
        let signal = row[3].parse::<f64>().unwrap() - row[4].parse::<f64>().unwrap();
        if row[0] == "201904190a" && template.contains_key(&well) {
            (zero, zero_wells) = (zero + signal, zero_wells + 1);
        }
        let found = ours.get(&(row[0].clone(), well.clone()));
        match template.get(&well).filter(|_| row[0].starts_with("201904197")) {
            None => assert!(found.is_none(), "{} {well}", row[0]),
            Some(drugs) => {
                let (reading, ours) = found.unwrap();
                assert_eq!(*reading, signal, "{} {well}", row[0]);
                assert_eq!(ours.len(), drugs.len());
                for ((name, dose), (theirs, micromolar)) in ours.iter().zip(drugs) {
                    assert_eq!(name, theirs);
                    assert!((dose * 1e6 / micromolar - 1.0).abs() < 1e-9);
                }
                seen += 1;
            }
        }
    }
    assert_eq!(seen, imported.wells());
    let table = imported.table();
    let lines = table.column("cell_line").unwrap();
    let first = (0..table.rows()).find(|row| lines.text(*row) == Some("CL00011")).unwrap();
    let t0 = table.column("signal_t0").unwrap().number(first).unwrap();
    assert!((t0 - zero / f64::from(zero_wells)).abs() < 1e-6, "{t0}");
    let finished = bench.run(Extent::Full, "anchor = 'G00002'\nsynergy = ['hsa']");
    assert!(!finished.analysis.pairs.is_empty());
}

#[test]
fn tecan_sheets_with_a_template_of_the_dispenser() {
    let Some(folder) = shared("data/importers/tecan_d300") else { return };
    let bench = Bench::new();
    let manifest = Some(folder.join("manifest_Tecan_96_well_plates.xlsx"));
    let settings = ImportSettings { manifest, ..ImportSettings::default() };
    let raw = folder.join("RawData_Tecan_96_well_plates.xlsx");
    let (imported, screen) = bench.round(Format::Gdr, &[raw], &settings);
    assert_eq!((imported.wells(), imported.plates(), imported.rejected.len()), (240, 4, 0));
    assert_eq!(screen.wells.iter().filter(|well| well.role == Role::Vehicle).count(), 24);
    // Cells B25 and G30 of the sheet H2122-2, B2 and G7 of the template.
    let wells = wells(&screen);
    let at = |well: &str| &wells[&("H2122-2".to_owned(), well.to_owned())];
    assert_eq!((at("B02").0, at("B02").1[0].0.as_str()), (1193.0, "G03406036"));
    assert!((at("B02").1[0].1 - 0.3e-6).abs() < 1e-18);
    assert_eq!((at("G07").0, at("G07").1[0].0.as_str()), (677_659.0, "G03476459"));
    assert!((at("G07").1[0].1 / 0.031_622_776_601_68e-6 - 1.0).abs() < 1e-9);
    bench.run(Extent::Full, "anchor = 'G03406036'");
}

#[test]
fn a_long_table_of_gdr_needs_no_manifest() {
    let bench = Bench::new();
    let text = "Barcode;WellRow;WellColumn;ReadoutValue;BackgroundValue;clid;Duration;Gnumber;Concentration;Gnumber_2;Concentration_2\n\
        p;A;1;1000;100;CL1;72;vehicle;0;vehicle;0\np;A;2;600;100;CL1;72;G1;0,5;vehicle;0\n\
        p;A;3;400;100;CL1;72;G1;0,5;G2;2\np;AF;48;500;;CL1;72;;;;\n";
    let file = bench.file("long.csv", text);
    let settings = ImportSettings { decimal: Decimal::Comma, ..ImportSettings::default() };
    let (imported, screen) = bench.round(Format::Gdr, &[file], &settings);
    assert_eq!(imported.rejected_by_reason(), BTreeMap::from([("missing_drug", 1)]));
    let wells = wells(&screen);
    let pair = &wells[&("p".to_owned(), "A03".to_owned())];
    assert_eq!(pair.0, 300.0);
    assert!((pair.1[0].1 - 0.5e-6).abs() < 1e-18 && (pair.1[1].1 - 2e-6).abs() < 1e-18);
}

/// A 96-well plate of 100s.
fn plate() -> Vec<Vec<String>> {
    vec![vec!["100".to_owned(); 12]; 8]
}

fn csv(rows: &[Vec<String>]) -> String {
    rows.iter().map(|row| row.join(",") + "\n").collect()
}

#[test]
fn picklists_of_dispensers_are_layouts() {
    let bench = Bench::new();
    let data = bench.file("plate.csv", csv(&plate()));
    let echo = "Source Plate Barcode,Source Well,Destination Plate Barcode,Destination Well,Transfer Volume,Sample Name,Sample Concentration,Sample Concentration Units\n\
        S,A1,plate,A1,25,x,10,mM\nS,A1,plate,A1,25,x,10,mM\nS,A2,plate,A2,100,DMSO,,\nS,A1,plate,A3,200,x,10,mM\nS,A3,plate,A3,50,y,1,mM\n";
    let settings = ImportSettings { well_volume_ul: Some(50.0), ..laid(bench.file("echo.csv", echo)) };
    let (_, screen) = bench.round(Format::Grid, std::slice::from_ref(&data), &settings);
    let found = wells(&screen);
    let at = |well: &str| &found[&("plate".to_owned(), well.to_owned())].1;
    // Two transfers of 25 nL of 10 mM into 50 µL; 200 nL and 50 nL.
    assert!((at("A01")[0].1 - 0.01 * 50.0 / 50_050.0).abs() < 1e-15);
    assert_eq!(at("A02").len(), 0);
    assert!((at("A03")[1].1 - 0.001 * 50.0 / 50_250.0).abs() < 1e-15);
    let (message, hint) = bench.error(Format::Grid, std::slice::from_ref(&data), &laid(bench.file("echo.csv", echo)));
    assert_eq!(
        message,
        "setting `well-volume`: `echo.csv` has volumes of stocks, and the volume of a well is not known"
    );
    assert_eq!(hint, "say it in microlitres: --well-volume 50");
    let d300 = "Plate,Dispensed well,Fluid name,Dispensed conc.,Conc. units\n\
        plate,B2,x,0.5,uM\nplate,B3,DMSO normalization,,\n";
    let (imported, screen) = bench.round(Format::Grid, &[data], &laid(bench.file("d300.csv", d300)));
    assert_eq!(imported.wells(), 2);
    assert!((wells(&screen)[&("plate".to_owned(), "B02".to_owned())].1[0].1 - 0.5e-6).abs() < 1e-18);
}

#[test]
fn a_block_that_is_not_where_it_should_be_is_named_by_its_cell() {
    let bench = Bench::new();
    let layout = bench.file("layout.csv", "well,role\nA01,vehicle\n");
    let error =
        |rows: &[Vec<String>]| bench.error(Format::Grid, &[bench.file("p.csv", csv(rows))], &laid(layout.clone())).0;
    let mut shifted = plate();
    shifted[4].insert(0, String::new());
    assert_eq!(error(&shifted), "`p.csv`: A5: is empty, inside a block of 12 columns");
    let mut text = plate();
    text[2][6] = "OVER".into();
    assert_eq!(error(&text), "`p.csv`: G3: `OVER` is not a number, inside a block of 12 columns");
    let mut european = plate();
    european[1][1] = "\"0,5\"".into();
    assert_eq!(error(&european), "`p.csv`: B2: `0,5` has a decimal comma");
    let short = plate()[..7].to_vec();
    assert_eq!(error(&short), "`p.csv`: A8: a block of 7 rows and 12 columns, and a plate has 8");
    let mut ninth = plate();
    ninth.push(ninth[0].clone());
    assert_eq!(error(&ninth), "`p.csv`: A9: a block of 9 rows and 12 columns, and a plate has 8");
    // In the second sheet of a workbook the sheet is named as well.
    let mut rows = vec![vec![String::new(); 2]; 9];
    for (row, cells) in plate().into_iter().enumerate() {
        let shift = usize::from(row == 5);
        rows[row + 1] = [vec![String::new(); 2 + shift], cells].concat();
    }
    let file = bench.file("p.xlsx", workbook(&[("Notes", vec![vec!["read me".into()]]), ("Sheet2", rows)]));
    let (message, hint) = bench.error(Format::Grid, &[file], &laid(layout.clone()));
    assert_eq!(message, "`p.xlsx`: Sheet2!C7: is empty, inside a block of 12 columns");
    assert!(hint.contains("shifted"), "{hint}");
}

#[test]
fn labels_that_do_not_fit_their_block_are_named() {
    let bench = Bench::new();
    let layout = bench.file("layout.csv", "well,role\nA01,vehicle\n");
    let error = |text: &str| bench.error(Format::Grid, &[bench.file("p.csv", text)], &laid(layout.clone())).0;
    assert_eq!(error(",1,2,3\nA,1,2,3\nC,4,5,6\n"), "`p.csv`: A3: row `C` is out of order");
    assert_eq!(error(",1,2,3\nA,1,2,3\nB,4,5,6,7\n"), "`p.csv`: E3: a number outside the labelled columns");
    assert_eq!(error(",1,2,3\nA,1,2,3\nB,4,\"5,5\",6\n"), "`p.csv`: C3: `5,5` has a decimal comma");
}

#[test]
fn a_layout_and_its_plates_must_fit() {
    let bench = Bench::new();
    let data = bench.file("p.csv", csv(&plate()));
    let error = |layout: &str| {
        bench.error(Format::Grid, std::slice::from_ref(&data), &laid(bench.file("layout.csv", layout))).0
    };
    assert_eq!(
        error("well,role\nA01,vehicle\nP24,vehicle\n"),
        "`layout.csv`: A3: well P24 is not on the data's plate of 96 wells"
    );
    assert_eq!(error("plate_id,well,role\nother,A01,vehicle\n"), "`p.csv`: A1: plate `p` is not in `layout.csv`");
    assert_eq!(error("well,role\nA01,vehicle\na1,vehicle\n"), "`layout.csv`: A3: well A01 is there a second time");
    assert_eq!(error("well,role\nA01,neg\n"), "`layout.csv`: B2: unknown role `neg`");
    assert_eq!(error("well,drug,conc\nA01,x,1\n"), "`layout.csv`: A2: nothing says in which unit the dose is");
    assert_eq!(
        error("well,drug,conc,conc_unit\nA01,x,1,uM\nA02,x,1,nM\n"),
        "`p.csv`: C3: `x` is in nM here, and in uM at C2"
    );
    let mut settings = laid(bench.file("layout.csv", "well,role\nA01,vehicle\n"));
    settings.plate_size = Some(384);
    let (message, _) = bench.error(Format::Grid, std::slice::from_ref(&data), &settings);
    assert_eq!(message, "`p.csv`: A1: a block of 96 wells begins here, and --plate-size says 384");
    settings.plate_size = None;
    settings.orientation = Some(isobole::screen::Orientation::Viability);
    assert_eq!(bench.error(Format::Grid, &[data], &settings).0, "setting `orientation`: has no meaning for `grid`");
}

#[test]
fn readers_files_and_their_manifest_must_fit() {
    let Some(folder) = shared("data/importers/gdr_envision") else { return };
    let bench = Bench::new();
    let day7 = folder.join("RawData_day7.xlsx");
    let row = |barcode: &str, template: &str| format!("{barcode},168,{},CL\n", folder.join(template).display());
    let error = |manifest: String| {
        let manifest = Some(bench.file("manifest.csv", format!("Barcode,Duration,Template,clid\n{manifest}")));
        let settings = ImportSettings { manifest, ..ImportSettings::default() };
        let (message, hint) = bench.error(Format::Gdr, std::slice::from_ref(&day7), &settings);
        (message.replace(&format!("{}/", folder.display()), ""), hint)
    };
    let treated = "Template_7daytreated.xlsx";
    let (message, hint) = error(row("201904197a", treated));
    assert_eq!(message, "`RawData_day7.xlsx`: Readout_0077vs0068_day7!C28: plate `201904197b` is not in the manifest");
    assert_eq!(hint, "add a row for it, or take the plate out");
    let (message, _) = error(row("201904197a", treated) + &row("201904197a", treated));
    assert_eq!(message, "`manifest.csv`: A3: plate `201904197a` is there a second time, after A2");
    // A template whose two sheets do not lie over one another.
    let cells = |shift: usize, text: &str| vec![[vec![String::new(); shift], vec![text.to_owned(); 2]].concat()];
    let template = workbook(&[("Gnumber", cells(0, "G1")), ("Concentration", cells(1, "0.5"))]);
    let template = bench.file("shifted.xlsx", template);
    let (message, _) = error(format!("201904197a,168,{},CL\n", template.display()));
    assert_eq!(message, "`shifted.xlsx`: Concentration!A1: no concentration for `G1` of Gnumber!A1");
    // The manifest in the place of the data.
    let settings = ImportSettings { manifest: Some(folder.join("manifest.xlsx")), ..ImportSettings::default() };
    let (message, hint) = bench.error(Format::Gdr, &[folder.join("manifest.xlsx")], &settings);
    assert!(message.contains("no plate of an EnVision or Tecan reader in the sheets `Sheet1`"), "{message}");
    assert!(hint.contains("--sheet"), "{hint}");
    let settings = ImportSettings { sheet: Some("Readout".into()), ..settings };
    let (message, _) = bench.error(Format::Gdr, &[day7], &settings);
    assert!(message.contains("has no sheet `Readout`; it has `Readout_0077vs0068_day7`"), "{message}");
}

#[test]
fn combenefit_grids_with_a_fault_are_named_by_the_cell() {
    let bench = Bench::new();
    let good = ",0,1,3\n0,100,80,60\n10,90,50,20\nCompound 1,x\nCompound 2,y\nUnit 1,nM\nUnit 2,uM\nTitle,t\n";
    let none = ImportSettings::default();
    let (_, screen) = bench.round(Format::Combenefit, &[bench.file("g.csv", good)], &none);
    let corner = screen.wells.iter().find(|well| well.signal == 0.2).unwrap();
    let doses: Vec<f64> = corner.active().map(|t| t.dose).collect();
    assert!((doses[0] - 1e-8).abs() < 1e-20 && (doses[1] - 3e-6).abs() < 1e-18, "{doses:?}");
    let error = |text: String| bench.error(Format::Combenefit, &[bench.file("g.csv", text)], &none).0;
    assert_eq!(
        error(good.replace("0,100,80,60", "0,100,80,60,40")),
        "`g.csv`: E2: a cell beside the grid, which has no dose above it"
    );
    assert_eq!(error(good.replace("50", "n.d.x")), "`g.csv`: C3: `n.d.x` is not a number");
    assert_eq!(error(good.replace(",0,1,3", ",0,3,1")), "`g.csv`: D1: dose 1 is not above the one before it");
    assert_eq!(error(good.replace("Unit 1,nM", "Unit 1,molar")), "`g.csv`: B6: unknown unit `molar`");
    assert_eq!(error(good.replace("Compound 2,y\n", "")), "`g.csv`: no row names `Compound 2`");
}

#[test]
fn damaged_workbooks_are_refused_without_a_panic() {
    let bench = Bench::new();
    let layout = bench.file("layout.csv", "well,role\nA01,vehicle\n");
    let good = workbook(&[("s", plate())]);
    let error =
        |name: &str, bytes: &[u8]| bench.error(Format::Grid, &[bench.file(name, bytes)], &laid(layout.clone())).0;
    assert_eq!(
        error("p.xlsx", &good[..good.len() - 30]),
        "`p.xlsx`: is a damaged archive: its directory cannot be read"
    );
    for cut in (0..good.len() - 1).step_by(97) {
        error("p.xlsx", &good[..cut]);
    }
    if let Some(path) = shared("data/importers/combenefit/REPLI1.xls") {
        let bytes = std::fs::read(path).unwrap();
        for cut in (8..bytes.len() - 4096).step_by(1009) {
            bench.error(Format::Combenefit, &[bench.file("g.xls", &bytes[..cut])], &ImportSettings::default());
        }
    }
}
