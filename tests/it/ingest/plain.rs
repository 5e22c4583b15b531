//! The plain tables of `isobole fit` and `isobole synergy`.

use super::*;
use isobole::ingest::{LongMapping, read_long};
use isobole::screen::dose::ConcentrationUnit;
use isobole::screen::{Orientation, Scale};

#[test]
fn plain_tables_keep_keys_apart_and_set_bad_rows_aside() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("plates.parquet");
    let columns = vec![
        ("line", text(&["ab", "a", "ab", "", "a", "a", "a", "a"])),
        ("drug", text(&["c", "bc", "c", "c", "bc", "bc", "bc", "bc"])),
        ("dose", optional(&[Some(1.0), Some(2.0), Some(-0.0), Some(1.0), None, Some(-1.0), Some(1.0), Some(1.0)])),
        (
            "response",
            optional(&[Some(20.0), Some(0.0), Some(-10.0), Some(1.0), Some(1.0), Some(1.0), None, Some(f64::NAN)]),
        ),
    ];
    write(&path, columns);
    let mapping = LongMapping {
        plain_numbers: false,
        x2: None,
        single_wells: false,
        group: vec!["line".into(), "drug".into()],
        doses: vec!["dose".into()],
        response: "response".into(),
        dose_unit: ConcentrationUnit::Molar(1e-6),
        orientation: Orientation::Inhibition,
        scale: Scale::Percent,
        untreated: None,
    };
    let table = read_long(&path, &mapping).unwrap();
    assert_eq!(table.groups, [["ab", "c"], ["a", "bc"]]);
    let rows: Vec<(u32, f64, f64)> = table.rows.iter().map(|r| (r.group, r.doses[0], r.response)).collect();
    assert_eq!(rows, [(0, 1e-6, 0.8), (1, 2e-6, 1.0), (0, 0.0, 1.1)]);
    assert!(table.rows[2].doses[0].is_sign_positive(), "zero is one number");
    let reasons: Vec<(u64, &str)> = table.rejected.iter().map(|(row, reason, _)| (*row, *reason)).collect();
    assert_eq!(
        reasons,
        [
            (4, "missing_key"),
            (5, "missing_dose"),
            (6, "negative_dose"),
            (7, "missing_response"),
            (8, "not_finite_response")
        ]
    );
    assert_eq!(table.rows_in, table.rows.len() + table.rejected.len());

    let message = |change: &dyn Fn(&mut LongMapping)| {
        let mut changed = mapping.clone();
        change(&mut changed);
        refusal(read_long(&path, &changed))
    };
    assert_eq!(
        message(&|m| m.response = "respons".into()),
        (
            "`plates.parquet`: has no column `respons` (response); it has `line`, `drug`, `dose`, `response`".into(),
            Some("did you mean `response`?".into())
        )
    );
    assert_eq!(
        message(&|m| m.doses = vec!["drug".into()]).0,
        "`plates.parquet`, column `drug`: holds text, but `dose` must be numbers"
    );
    assert_eq!(message(&|m| m.doses.clear()).0, "setting `dose`: 0 dose columns; one to three are needed");
    assert_eq!(
        message(&|m| m.dose_unit = ConcentrationUnit::MassPerVolume(1.0)).0,
        "setting `dose-unit`: is mass per volume, and the molar mass is not known"
    );
    assert_eq!(
        message(&|m| m.orientation = Orientation::Signal).0,
        "setting `orientation`: raw signals have no controls in a table of curves"
    );
}
