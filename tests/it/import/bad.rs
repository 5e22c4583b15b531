//! Files that are wrong in one thing: the error names the cell.

use super::Bench;
use isobole::import::{Decimal, Format, ImportSettings};
use isobole::screen::{Orientation, Scale};

const GOOD: &str = "block_id,drug_row,drug_col,conc_r,conc_c,inhibition,conc_unit\n\
    1,x,y,0,0,1.5,uM\n1,x,y,0.5,0,20,uM\n1,x,y,0,2,30,uM\n1,x,y,0.5,2,70,uM\n";

fn of_text(text: impl AsRef<[u8]>) -> (String, String) {
    let bench = Bench::new();
    let file = bench.file("b.csv", text);
    bench.error(Format::SynergyFinder, &[file], &ImportSettings::default())
}

#[test]
fn the_good_file_is_good() {
    let bench = Bench::new();
    for text in [GOOD.to_owned(), format!("\u{feff}{GOOD}"), GOOD.replace(',', ";"), GOOD.replace('\n', "\r\n")] {
        let file = bench.file("b.csv", text);
        let (imported, screen) = bench.round(Format::SynergyFinder, &[file], &ImportSettings::default());
        assert_eq!((imported.wells(), imported.rejected.len(), screen.drugs.len()), (4, 0, 2));
    }
}

#[test]
fn european_decimals_are_refused_or_read_as_said() {
    let european = GOOD.replace(',', ";").replace("0.5", "0,5").replace("1.5", "1,5");
    let (message, hint) = of_text(&european);
    assert_eq!(message, "`b.csv`: F2: `1,5` has a decimal comma");
    assert_eq!(hint, "if the whole file is written so, say it: --decimal comma");
    let bench = Bench::new();
    let file = bench.file("b.csv", &european);
    let settings = ImportSettings { decimal: Decimal::Comma, ..ImportSettings::default() };
    let (_, screen) = bench.round(Format::SynergyFinder, &[file], &settings);
    assert!(screen.wells.iter().flat_map(|w| w.active()).any(|t| (t.dose - 0.5e-6).abs() < 1e-18));
    // Between commas, a decimal comma makes one cell two.
    let (message, hint) = of_text(GOOD.replace("0.5,2,70", "0,5,2,70"));
    assert_eq!(message, "`b.csv`: H5: the row has more cells than the header, which has 7");
    assert!(hint.contains("decimal commas"), "{hint}");
}

#[test]
fn thousands_and_units_inside_cells_are_refused() {
    assert_eq!(
        of_text(GOOD.replace("0.5,2", "\"1,234\",2")).0,
        "`b.csv`: D5: `1,234` has a thousands separator or a decimal comma"
    );
    assert_eq!(of_text(GOOD.replace("0.5,2", "1'000.5,2")).0, "`b.csv`: D5: `1'000.5` has a thousands separator");
    let (message, hint) = of_text(GOOD.replace("0.5,2", "0.5 uM,2"));
    assert_eq!(message, "`b.csv`: D5: `0.5 uM` is not a number");
    assert!(hint.contains("units go into a column of their own"), "{hint}");
}

#[test]
fn marks_inside_a_file_and_other_encodings_are_refused() {
    assert_eq!(
        of_text(GOOD.replace("1,x,y,0,2", "1,\u{feff}x,y,0,2")).0,
        "`b.csv`: B4: a byte order mark inside the file"
    );
    let utf16: Vec<u8> = b"\xff\xfe".iter().copied().chain(GOOD.encode_utf16().flat_map(u16::to_le_bytes)).collect();
    let (message, hint) = of_text(utf16);
    assert_eq!(message, "`b.csv`: A1: a UTF-16 byte order mark: the file is not UTF-8");
    assert_eq!(hint, "save it as CSV UTF-8");
    let latin1: Vec<u8> = GOOD.replace("20,uM", "20,~M").bytes().map(|b| if b == b'~' { 0xb5 } else { b }).collect();
    assert_eq!(of_text(latin1).0, "`b.csv`: G3: is not UTF-8");
}

#[test]
fn mixed_and_unknown_units_are_refused() {
    let (message, hint) = of_text(GOOD.replace("70,uM", "70,nM"));
    assert_eq!(message, "`b.csv`: D5: `x` is in nM here, and in uM at D3");
    assert!(hint.contains("one unit"), "{hint}");
    assert_eq!(of_text(GOOD.replace("70,uM", "70,molar")).0, "`b.csv`: G5: unknown unit `molar`");
    let bench = Bench::new();
    let file = bench.file("b.csv", GOOD);
    let settings = ImportSettings { dose_unit: Some("nM".into()), ..ImportSettings::default() };
    let (message, _) = bench.error(Format::SynergyFinder, &[file], &settings);
    assert_eq!(message, "`b.csv`: G2: the dose is in `uM`, and --dose-unit says `nM`");
    let (message, hint) = of_text(GOOD.replace(",conc_unit", "").replace(",uM", ""));
    assert_eq!(message, "`b.csv`: A2: nothing says in which unit the dose is");
    assert_eq!(hint, "say it: --dose-unit uM");
}

#[test]
fn what_the_response_is_is_never_guessed() {
    let (message, hint) = of_text(GOOD.replace("inhibition", "response"));
    assert_eq!(message, "`b.csv`: F1: nothing says whether the response is viability or inhibition");
    assert_eq!(hint, "say it: --orientation inhibition");
    let bench = Bench::new();
    let file = bench.file("b.csv", GOOD);
    let settings = ImportSettings { orientation: Some(Orientation::Viability), ..ImportSettings::default() };
    let (message, _) = bench.error(Format::SynergyFinder, std::slice::from_ref(&file), &settings);
    assert_eq!(message, "`b.csv`: F1: is inhibition by its name, and viability by --orientation");
    let percent: String = (0..400).map(|y| format!("1,x,y,{y},0,{},uM\n", 60 + y % 40)).collect();
    let header = "block_id,drug_row,drug_col,conc_r,conc_c,viability,conc_unit\n";
    let file = bench.file("b.csv", format!("{header}{percent}"));
    let settings = ImportSettings { scale: Some(Scale::Fraction), ..ImportSettings::default() };
    let (message, hint) = bench.error(Format::SynergyFinder, &[file], &settings);
    assert!(message.starts_with("`b.csv`: F1: "), "{message}");
    assert_eq!(hint, "check --scale");
}

#[test]
fn files_of_another_format_say_what_they_have() {
    let (message, hint) = of_text("a,b\n1,2\n");
    assert_eq!(message, "`b.csv`: A1: has no column `inhibition`; it has `a`, `b`".replace("inhibition", "response"));
    assert!(hint.contains("isobole import --list"), "{hint}");
    assert_eq!(of_text(GOOD.replace("conc_c", "drug_row")).0, "`b.csv`: E1: a second column `drug_row`");
    assert_eq!(of_text("").0, "`b.csv`: has no rows");
}

#[test]
fn holes_are_listed_by_their_cells() {
    let bench = Bench::new();
    let file = bench
        .file("b.csv", GOOD.replace("0.5,0,20", "0.5,0,").replace("0,2,30", ",2,30").replace("0.5,2,70", "-1,2,70"));
    let (imported, _) = bench.round(Format::SynergyFinder, &[file], &ImportSettings::default());
    let listed: Vec<(&str, &str)> = imported.rejected.iter().map(|r| (r.place.as_str(), r.reason)).collect();
    assert_eq!(listed, [("F3", "missing_response"), ("D4", "missing_dose"), ("D5", "negative_dose")]);
    let beside = bench.plates().with_extension("rejected.parquet");
    let table = isobole::report::files::read(&beside).unwrap();
    assert_eq!(table.rows(), 3);
    assert_eq!(table.column("place").unwrap().text(1), Some("D4"));
}

#[test]
fn plates_of_96_wells_are_not_called_384() {
    let bench = Bench::new();
    let text =
        "BARCODE,POSITION,TAG,DRUG_ID,CONC,INTENSITY,CELL_LINE_NAME\n7,96,L1-D1-S,1,0.5,400,X\n7,1,NC-1,,,900,X\n";
    let file = bench.file("raw.csv", text);
    let settings = ImportSettings { plate_size: Some(384), ..ImportSettings::default() };
    let (message, hint) = bench.error(Format::Gdsc, &[file], &settings);
    assert_eq!(message, "`raw.csv`: B2: the highest POSITION is 96: the plates have 96 wells and not 384");
    assert!(hint.contains("--plate-size"), "{hint}");
}

#[test]
fn a_curve_curator_table_needs_its_toml() {
    let bench = Bench::new();
    let table = bench.file("c.tsv", "Name\tRaw 0\tRaw 1\nx\t1\t0.5\n");
    let none = ImportSettings::default();
    let (message, hint) = bench.error(Format::CurveCurator, std::slice::from_ref(&table), &none);
    assert!(message.starts_with("`c.toml`: cannot read"), "{message}");
    assert!(hint.contains("with its TOML"), "{hint}");
    let toml = |text: &str| bench.file("c.toml", format!("[Experiment]\nexperiments = [0, 1]\n{text}"));
    for (text, problem) in [
        ("doses = [0]\ncontrol_experiment = 0", "`doses` under [Experiment] has 1 values for 2 experiments"),
        (
            "doses = [0, -1]\ncontrol_experiment = 0",
            "`doses` under [Experiment] holds something that is no dose of 0 or more",
        ),
        (
            "doses = [0, 1]\ncontrol_experiment = 7",
            "`control_experiment` under [Experiment] names `7`, which is no experiment",
        ),
        (
            "doses = [0, 1]\ncontrol_experiment = 0\ndose_unit = 'q'",
            "`dose_unit` under [Experiment] is the unknown unit `q`",
        ),
    ] {
        let files = [table.clone(), toml(text)];
        assert_eq!(bench.error(Format::CurveCurator, &files, &none).0, format!("`c.toml`: {problem}"));
    }
}
