//! Text tables straight in: the same as Parquet, and errors that name the cell.

use super::{good, write};
use isobole::config::Mapping;
use isobole::ingest::{LongMapping, read_long, read_screen};
use isobole::screen::dose::ConcentrationUnit;
use isobole::screen::{Orientation, Scale};
use std::path::PathBuf;
use tempfile::TempDir;

const WELLS: &str = "plate_id,well,cell_line,role,drug_a,conc_a,conc_unit,signal\n\
    P1,A01,HL-60,vehicle,DMSO,,uM,1000\nP1,A2,HL-60,sample,clofarabine,1,uM,500\n\
    P1,a:3,HL-60,sample,venetoclax,2,nM,700\nP1,B01,,blank,,,,10\n";

fn file(folder: &TempDir, name: &str, text: &str) -> PathBuf {
    let path = folder.path().join(name);
    std::fs::write(&path, text).unwrap();
    path
}

#[test]
fn plates_in_text_are_the_plates_in_parquet() {
    let folder = TempDir::new().unwrap();
    let parquet = folder.path().join("plates.parquet");
    write(&parquet, good());
    let wells = |path: &PathBuf| {
        let screen = read_screen(std::slice::from_ref(path), &Mapping::default(), None).unwrap();
        let one = |well: isobole::screen::well::Well| format!("{well:?}");
        screen.wells.iter().map(one).collect::<Vec<_>>()
    };
    let expected = wells(&parquet);
    assert_eq!(expected.len(), 4);
    for (name, text) in [
        ("plates.csv", WELLS.to_owned()),
        ("plates.tsv", WELLS.replace(',', "\t")),
        ("semicolons.csv", format!("\u{feff}{}", WELLS.replace(',', ";").replace('\n', "\r\n"))),
    ] {
        assert_eq!(wells(&file(&folder, name, &text)), expected, "{name}");
    }
    // The comparator can fail.
    assert_ne!(wells(&file(&folder, "other.csv", &WELLS.replace("700", "701"))), expected);
}

#[test]
fn names_that_look_like_numbers_stay_names() {
    let folder = TempDir::new().unwrap();
    for barcode in ["007", "3230", "P-1"] {
        let path = file(&folder, "p.csv", &WELLS.replace("P1,", &format!("{barcode},")));
        let screen = read_screen(&[path], &Mapping::default(), None).unwrap();
        assert_eq!(screen.plates.iter().collect::<Vec<_>>(), [barcode]);
    }
}

#[test]
fn numbers_with_other_separators_are_named_by_their_cell() {
    let folder = TempDir::new().unwrap();
    let problem = |text: &str| {
        let error = read_screen(&[file(&folder, "p.csv", text)], &Mapping::default(), None).unwrap_err();
        error.to_string().replace(&format!("{}/", folder.path().display()), "")
    };
    assert_eq!(
        problem(&WELLS.replace(',', ";").replace("clofarabine;1;", "clofarabine;0,5;")),
        "`p.csv`: F3: `0,5` has a decimal comma"
    );
    assert_eq!(problem(&WELLS.replace(",1000", ",\"1,000.0\"")), "`p.csv`: H2: `1,000.0` has thousands separators");
    assert_eq!(
        problem(&WELLS.replace("clofarabine,1,", "clofarabine,0,5,")),
        "`p.csv`: I3: the row has more cells than the header, which has 8"
    );
    assert_eq!(problem(""), "`p.csv`: is empty");
    assert!(problem("plate_id,well\n").contains("has no rows"));
    // A reading that is no number at all makes the column one of text.
    assert!(problem(&WELLS.replace(",1000", ",OVER")).contains("holds text, but `signal` must be numbers"));
}

#[test]
fn plain_tables_of_curves_may_be_text() {
    let folder = TempDir::new().unwrap();
    let path = file(&folder, "curves.csv", "curve,dose,response\na,0,1\na,1,0.5\nb,2,\n");
    let mapping = LongMapping {
        group: vec!["curve".into()],
        doses: vec!["dose".into()],
        x2: None,
        plain_numbers: false,
        single_wells: false,
        response: "response".into(),
        dose_unit: ConcentrationUnit::Molar(1e-6),
        orientation: Orientation::Viability,
        scale: Scale::Fraction,
        untreated: None,
    };
    let table = read_long(&path, &mapping).unwrap();
    assert_eq!((table.rows.len(), table.rejected.len(), table.rows_in), (2, 1, 3));
    assert!((table.rows[1].doses[0] - 1e-6).abs() < 1e-20);
}
