//! One row wrong in one thing: its reason, and the others untouched.

use super::*;
use arrow::array::{BooleanArray, DictionaryArray, Int16Array, Int64Array, LargeStringArray, StringViewArray};
use arrow::datatypes::Int8Type;
use isobole::screen::Orientation;

#[test]
fn a_good_table_is_read_as_it_is() {
    let screen = read(good(), "").unwrap();
    assert!(screen.rejected.is_empty());
    assert_eq!(screen.drugs.iter().collect::<Vec<_>>(), ["clofarabine", "venetoclax"]);
    let doses: Vec<f64> = screen.wells.iter().flat_map(|w| w.active()).map(|t| t.dose).collect();
    assert!((doses[0] - 1e-6).abs() < 1e-18 && (doses[1] - 2e-9).abs() < 1e-20, "{doses:?}");
    let positions: Vec<String> = screen.wells.iter().map(|w| w.position.unwrap().to_string()).collect();
    assert_eq!(positions, ["A01", "A02", "A03", "B01"]);
    assert_eq!(screen.wells.line(3), None);
}

#[test]
fn every_arrow_type_that_makes_sense_is_read() {
    let expected = read(good(), "").unwrap();
    let same = |columns, what: &str| {
        let screen = read(columns, "").unwrap();
        assert_eq!(format!("{:?}", screen.wells), format!("{:?}", expected.wells), "{what}");
    };
    let plates = ["P1"; 4];
    same(with("plate_id", Arc::new(LargeStringArray::from(plates.to_vec()))), "large text");
    same(with("plate_id", Arc::new(StringViewArray::from(plates.to_vec()))), "views");
    same(with("plate_id", Arc::new(plates.into_iter().collect::<DictionaryArray<Int8Type>>())), "dictionary");
    same(with("signal", Arc::new(Int64Array::from(vec![1000, 500, 700, 10]))), "whole numbers");
    same(with("signal", Arc::new(Int16Array::from(vec![1000, 500, 700, 10]))), "small whole numbers");
    for (ids, name) in [
        (Arc::new(Int64Array::from(vec![3230; 4])) as ArrayRef, "3230"),
        (numbers(&[1003.0; 4]), "1003"),
        (Arc::new(BooleanArray::from(vec![true; 4])), "true"),
    ] {
        assert_eq!(read(with("plate_id", ids), "").unwrap().plates.iter().collect::<Vec<_>>(), [name]);
    }
}

/// A table, a `screen.toml`, the reason and its detail.
type Case = (Vec<(&'static str, ArrayRef)>, &'static str, &'static str, &'static str);

#[test]
fn every_bad_row_has_its_reason() {
    let one = |columns, toml: &str| rejected(&read(columns, toml).unwrap());
    let cases: Vec<Case> = vec![
        (
            with("well", text(&["A01", "A49", "A3", "B1"])),
            "",
            "bad_well_name",
            "row 2 of `P`: `A49` is no well of a plate of up to 1536",
        ),
        (with("well", text(&["A01", "", "A3", "B1"])), "", "bad_well_name", "row 2 of `P`: no well"),
        (with("plate_id", text(&["P1", "", "P1", "P1"])), "", "missing_plate", "row 2 of `P`"),
        (
            with("role", text(&["vehicle", "neg", "sample", "blank"])),
            "",
            "unknown_role",
            "`neg`: name it under [roles]",
        ),
        (with("role", text(&["vehicle", "", "sample", "blank"])), "", "missing_role", ""),
        (with("role", text(&["vehicle", "empty", "sample", "blank"])), "", "empty_well", ""),
        (with("cell_line", text(&["HL-60", "", "HL-60", ""])), "", "missing_cell_line", ""),
        (with("drug_a", text(&["DMSO", "", "venetoclax", ""])), "", "missing_drug", "a dose of 1, and no drug"),
        (with("drug_a", text(&["DMSO", "None", "venetoclax", ""])), "", "missing_drug", "a dose of 1, and no drug"),
        (with("conc_a", optional(&[None, None, Some(2.0), None])), "", "missing_dose", "`clofarabine`"),
        (with("conc_a", optional(&[None, Some(f64::NAN), Some(2.0), None])), "", "missing_dose", "`clofarabine`"),
        (with("conc_a", optional(&[None, Some(-1.0), Some(2.0), None])), "", "negative_dose", "`clofarabine` at -1"),
        (
            with("conc_a", optional(&[None, Some(f64::INFINITY), Some(2.0), None])),
            "",
            "not_finite_dose",
            "`clofarabine` at inf",
        ),
        (
            with("conc_a", optional(&[None, Some(1e-320), Some(2.0), None])),
            "",
            "not_finite_dose",
            "`clofarabine` at 0.000",
        ),
        (with("conc_unit", text(&["uM", "", "nM", ""])), "", "missing_unit", "`clofarabine` at 1"),
        (with("signal", optional(&[Some(1000.0), None, Some(700.0), Some(10.0)])), "", "missing_signal", ""),
        (with("signal", numbers(&[1000.0, f64::NAN, 700.0, 10.0])), "", "not_finite_signal", "NaN"),
        (with("signal", numbers(&[1000.0, f64::INFINITY, 700.0, 10.0])), "", "not_finite_signal", "inf"),
        (with("signal", numbers(&[1000.0, -3.0, 700.0, 10.0])), "", "negative_signal", "-3"),
        (
            with("role", text(&["vehicle", "vehicle", "sample", "blank"])),
            "",
            "vehicle_with_drug",
            "`clofarabine` at a dose above 0; a solvent belongs under `none`",
        ),
        (good(), "[only]\ndrug_a = ['DMSO', 'venetoclax', '']", "not_selected", "`clofarabine`"),
    ];
    for (columns, toml, reason, detail) in cases {
        let found = one(columns, toml);
        assert_eq!(found.len(), 1, "{reason}: {found:?}");
        let (well, found_reason, found_detail) = &found[0];
        assert_eq!(*found_reason, reason);
        assert_eq!(well, if detail.contains("row 2 of") { "" } else { "A02" }, "{reason}");
        let shown = match (found_detail.find('`'), found_detail.find("plates.parquet`")) {
            (Some(from), Some(end)) if found_detail.starts_with("row") => {
                format!("{}P{}", &found_detail[..=from], &found_detail[end + "plates.parquet".len()..])
            }
            _ => found_detail.clone(),
        };
        assert!(shown == detail || (detail.ends_with("0.000") && shown.starts_with(detail)), "{reason}: {shown}");
    }
}

#[test]
fn wells_without_a_role_are_told_by_their_doses() {
    let roles =
        |columns| -> Vec<&'static str> { read(columns, "").unwrap().wells.iter().map(|w| w.role.name()).collect() };
    let mut columns = without("role");
    columns.retain(|(name, _)| *name != "cell_line");
    columns.push(("cell_line", text(&["HL-60"; 4])));
    assert_eq!(roles(columns.clone()), ["vehicle", "sample", "sample"], "neither role nor drug nor dose: no vehicle");
    let found = rejected(&read(columns, "").unwrap());
    assert_eq!(found, [("B01".into(), "missing_role", "neither role, drug nor dose".into())]);
}

#[test]
fn negative_responses_are_no_errors() {
    let mut columns = without("signal");
    columns.push(("inhibition_pct", numbers(&[-5.0, 120.0, 40.0, 0.0])));
    let screen = read(columns, "").unwrap();
    assert_eq!(screen.orientation, Orientation::Viability);
    let signals: Vec<f64> = screen.wells.iter().map(|well| well.signal).collect();
    for (signal, expected) in signals.iter().zip([1.05, -0.2, 0.6, 1.0]) {
        assert!((signal - expected).abs() < 1e-15, "{signals:?}");
    }
}

#[test]
fn a_well_read_twice_is_used_only_if_both_agree() {
    let twice = |second_signal: f64| {
        let mut columns = with("well", text(&["A01", "A02", "A02", "B01"]));
        for (name, array) in &mut columns {
            match *name {
                "drug_a" => *array = text(&["DMSO", "clofarabine", "clofarabine", ""]),
                "conc_a" => *array = optional(&[None, Some(1.0), Some(1.0), None]),
                "conc_unit" => *array = text(&["uM", "uM", "uM", ""]),
                "signal" => *array = numbers(&[1000.0, 500.0, second_signal, 10.0]),
                _ => {}
            }
        }
        read(columns, "").unwrap()
    };
    let agree = twice(500.0);
    assert_eq!(agree.wells.len(), 3);
    assert_eq!(rejected(&agree), [("A02".into(), "duplicate_well", "2 equal rows, one used".into())]);
    let differ = twice(501.0);
    assert_eq!(differ.wells.len(), 2);
    let detail = "2 rows that differ, none used; are replicates or times part of the plate's name?";
    assert_eq!(rejected(&differ), vec![("A02".into(), "duplicate_well", detail.to_owned()); 2]);
}

#[test]
fn doses_that_are_meant_to_be_one_become_one_across_files() {
    let folder = TempDir::new().unwrap();
    let plate = |plate: &'static str, dose: f64| {
        let path = folder.path().join(format!("{plate}.parquet"));
        let mut columns = with("plate_id", text(&[plate; 4]));
        columns.retain(|(name, _)| *name != "conc_a" && *name != "drug_a" && *name != "conc_unit");
        columns.push(("drug_a", text(&["DMSO", "clofarabine", "clofarabine", ""])));
        columns.push(("conc_a", optional(&[Some(0.0), Some(1.0), Some(dose), None])));
        columns.push(("conc_unit", text(&["uM"; 4])));
        write(&path, columns);
        path
    };
    let screen = read_screen(&[plate("P1", 1.02), plate("P2", 3.0)], &Mapping::default(), None).unwrap();
    let doses: Vec<f64> = screen.wells.iter().flat_map(|w| w.active()).map(|t| t.dose).collect();
    assert_eq!(doses, [1e-6, 1e-6, 1e-6, 3e-6]);
}
