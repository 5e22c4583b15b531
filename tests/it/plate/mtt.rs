//! The worked example of an MTT assay: absorbance at 570 nm to viability to IC50.

use assert_cmd::Command;
use isobole::report::files;
use std::path::Path;

#[test]
fn absorbance_becomes_viability_and_the_true_ic50() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("mtt");
    let example = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/examples/mtt.toml");
    let mut command = Command::cargo_bin("isobole").unwrap();
    command.args(["run", "--backend", "cpu", "--out"]).arg(&out).arg(example).assert().success();

    let wells = files::read(&out.join("wells.parquet")).unwrap();
    let (signal, response, role, plate) = (
        wells.column("signal").unwrap(),
        wells.column("response").unwrap(),
        wells.column("role").unwrap(),
        wells.column("plate_id").unwrap(),
    );
    for name in ["MTT-1", "MTT-2"] {
        let of = |wanted: &str| -> Vec<f64> {
            let rows = (0..wells.rows()).filter(|&i| plate.text(i) == Some(name) && role.text(i) == Some(wanted));
            rows.map(|i| signal.number(i).unwrap()).collect()
        };
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len() as f64;
        assert_eq!((of("blank").len(), of("vehicle").len(), of("sample").len()), (8, 8, 80));
        let (blank, vehicle) = (mean(of("blank")), mean(of("vehicle")));
        for i in (0..wells.rows()).filter(|&i| plate.text(i) == Some(name)) {
            let viability = (signal.number(i).unwrap() - blank) / (vehicle - blank);
            assert!((response.number(i).unwrap() - viability).abs() < 1e-12);
        }
    }

    let curves = files::read(&out.join("curves.parquet")).unwrap();
    let (line, ic50) = (curves.column("cell_line").unwrap(), curves.column("log10_ic50_absolute").unwrap());
    assert_eq!(curves.rows(), 2);
    for (name, truth) in [("HL-60", 0.05e-6_f64), ("HL-60/CLO", 1.5e-6)] {
        let row = (0..2).find(|&i| line.text(i) == Some(name)).unwrap();
        let found = ic50.number(row).unwrap();
        // A vehicle mean of eight wells at 5 % noise is good to 2 %; the curve to a few hundredths of a decade.
        assert!((found - truth.log10()).abs() < 0.06, "{name}: {found} for {}", truth.log10());
        // The planted fault: the other line's.
        assert!((found - if name == "HL-60" { -5.824 } else { -7.301 }).abs() > 1.0);
    }
}
