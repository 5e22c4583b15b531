//! Surfaces of two drugs from model files, through `isobole synergy`.

use crate::command_fit::Read;
use assert_cmd::Command;
use isobole::model::formula::FormulaFile;
use isobole::model::{LN_DOSE_ZERO, SurfaceModel, braid::Braid};
use std::fmt::Write;
use std::path::Path;
use tempfile::TempDir;

/// Bliss, and a power of the product where both are there: `gamma` above 0 is synergy.
pub const POWER: &str = r#"
name = "power_of_bliss"
dose_unit = "uM"
formula = """
e0 / (1 + (dose_a / ec50_a)^h_a) / (1 + (dose_b / ec50_b)^h_b)
 * exp(-gamma * dose_a / (dose_a + ec50_a) * dose_b / (dose_b + ec50_b))
"""
[parameters.e0]
lower = 0.0
upper = 2.0
[parameters.ec50_a]
per_dose = true
[parameters.h_a]
lower = 0.2
upper = 5.0
start = [0.8, 2.0]
[parameters.ec50_b]
per_dose_b = true
[parameters.h_b]
lower = 0.2
upper = 5.0
start = [0.8, 2.0]
[parameters.gamma]
lower = -5.0
upper = 5.0
start = [-1.0, 0.0, 1.0]
without_interaction = 0.0
"#;

const DOSES: [f64; 7] = [0.0, 0.01, 0.05, 0.25, 1.0, 4.0, 16.0];

fn matrix(response: impl Fn(f64, f64) -> f64) -> String {
    let mut text = "dose_a,dose_b,response\n".to_owned();
    for a in DOSES {
        for b in DOSES {
            let _ = writeln!(text, "{a},{b},{}", response(a, b));
        }
    }
    text
}

fn isobole(folder: &Path, arguments: &str) -> (bool, String) {
    let output = Command::cargo_bin("isobole")
        .unwrap()
        .current_dir(folder)
        .arg("synergy")
        .args(arguments.split_whitespace())
        .output()
        .unwrap();
    (output.status.success(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn a_surface_from_a_file_finds_its_own_parameters() {
    let folder = TempDir::new().unwrap();
    let truth = |a: f64, b: f64| {
        let both = a / (a + 0.3) * b / (b + 2.0);
        1.0 / (1.0 + (a / 0.3).powf(1.4)) / (1.0 + (b / 2.0).powf(0.9)) * (-1.7 * both).exp()
    };
    std::fs::write(folder.path().join("m.csv"), matrix(truth)).unwrap();
    std::fs::write(folder.path().join("power.model"), POWER).unwrap();
    let common = "m.csv --dose-unit uM --orientation viability --bootstrap 0";
    let (done, words) = isobole(folder.path(), &format!("{common} --synergy bliss,power.model --out out"));
    assert!(done, "{words}");
    let table = Read::new(&folder.path().join("out/interactions.parquet"));
    let expected = [
        ("e0", 1.0),
        ("ec50_a", 0.3),
        ("h_a", 1.4),
        // A dose of the second drug is shown as its natural logarithm, molar.
        ("ln_ec50_b", 2e-6f64.ln()),
        ("h_b", 0.9),
        ("gamma", 1.7),
    ];
    for (row, (name, value)) in expected.into_iter().enumerate() {
        assert_eq!(table.text("parameter", row).as_deref(), Some(name));
        assert_eq!(table.text("model", row).as_deref(), Some("power_of_bliss"));
        let found = table.number("value", row).unwrap();
        assert!((found - value).abs() < 1e-3 * value.abs().max(1.0), "{name}: {found}");
    }
    // Without gamma the surface is Bliss: both scores are of the same excess.
    let table = Read::new(&folder.path().join("out/synergy.parquet"));
    let [own, bliss] = ["power_of_bliss", "bliss"].map(|model| table.number(&format!("score_{model}"), 0).unwrap());
    assert!((own - bliss).abs() < 1e-6 && own > 0.01, "{own} {bliss}");
}

#[test]
fn a_surface_written_out_is_the_built_in_one() {
    let folder = TempDir::new().unwrap();
    // BRAID with the shares of both drugs 1 and one slope: the built-in model has these in its box.
    let text = r#"
name = "braid_of_equals"
dose_unit = "uM"
formula = """
e0 + (ef - e0) / (1 + (dose_a / id_a + dose_b / id_b
  + (2 * exp(epsilon) - 2) * exp(0.5 * (ln_dose_a - ln(id_a) + ln_dose_b - ln(id_b))))^(-n))
"""
[parameters.e0]
lower = 0.0
upper = 2.0
[parameters.ef]
lower = -1.0
upper = 1.0
[parameters.id_a]
per_dose = true
[parameters.id_b]
per_dose_b = true
[parameters.n]
lower = 0.2
upper = 5.0
start = [0.8, 2.0]
[parameters.epsilon]
lower = -3.9
upper = 3.9
start = [-0.7, 0.0, 0.7]
without_interaction = 0.0
"#;
    let ln = |dose: f64| if dose > 0.0 { (1e-6 * dose).ln() } else { LN_DOSE_ZERO };
    let truth = [1.0, 0.1, 1.0, 1.0, 3e-7f64.ln(), 2e-6f64.ln(), 1.3, 1.3, 0.5];
    std::fs::write(folder.path().join("m.csv"), matrix(|a, b| Braid::response(ln(a), ln(b), truth))).unwrap();
    std::fs::write(folder.path().join("equals.model"), text).unwrap();
    let common = "m.csv --dose-unit uM --orientation viability --bootstrap 0";
    let (done, words) = isobole(folder.path(), &format!("{common} --synergy braid_free,equals.model --out out"));
    assert!(done, "{words}");
    let table = Read::new(&folder.path().join("out/surfaces.parquet"));
    let mut furthest: f64 = 0.0;
    for row in 0..49 {
        let Some(ours) = table.number("excess_braid_free", row) else { continue };
        let file = table.number("excess_braid_of_equals", row).unwrap();
        assert!((ours - file).abs() < 1e-4, "{ours} {file}");
        furthest = furthest.max(ours);
    }
    assert!(furthest > 0.05, "there is something to compare: {furthest}");
}

#[test]
fn mistakes_in_surfaces_are_named() {
    let parse = |text: &str| FormulaFile::parse(text, Path::new("s.model")).unwrap_err().to_string();
    for (from, to, says) in [
        ("without_interaction = 0.0", "", "no parameter of interaction"),
        ("without_interaction = 0.0", "without_interaction = 9.0", "no value inside of its box"),
        ("per_dose_b = true", "per_dose = true\nper_dose_b = true", "a dose of both drugs"),
        ("dose_unit = \"uM\"", "dose_unit = \"none\"", "the doses of a surface are doses"),
        ("e0 / (1 +", "x2 * e0 / (1 +", "both `dose_b` and `x2`"),
    ] {
        let text = POWER.replacen(from, to, 1);
        assert_ne!(text, POWER);
        assert!(parse(&text).contains(says), "{says}: {}", parse(&text));
    }
    let curve = "name = 'c'\nformula = 'a * dose'\n[parameters.a]\nwithout_interaction = 0.0";
    assert!(parse(curve).contains("is for surfaces"), "{}", parse(curve));
    // A curve is no surface, a surface no curve, and names are names of columns.
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(folder.path().join(name), text).unwrap();
    write("m.csv", &matrix(|_, _| 1.0));
    write("curve.model", "name = 'c'\nformula = 'a * dose'\n[parameters.a]\n");
    write("named.model", &POWER.replace("power_of_bliss", "power of bliss"));
    write("bliss.model", &POWER.replace("power_of_bliss", "Bliss"));
    let common = "m.csv --dose-unit uM --orientation viability --bootstrap 0 --out out --synergy";
    for (file, says) in [
        ("curve.model", "a curve of one drug"),
        ("named.model", "becomes part of columns"),
        ("bliss.model", "is a built-in model"),
        ("missing.model", "missing.model"),
        ("blis", "expected one of"),
    ] {
        let (done, words) = isobole(folder.path(), &format!("{common} {file}"));
        assert!(!done && words.contains(says), "{file}: {words}");
    }
}
