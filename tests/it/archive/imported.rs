//! Results of others without raw plates: matrices of viabilities, imported and analysed, are archives like any other.

use super::{contents, differing};
use assert_cmd::Command;
use isobole::archive::Archive;
use isobole::math::random::standard_normal;
use isobole::report::files;
use std::path::Path;

/// Two pairs of drugs as percent inhibition, in the columns of DrugComb.
fn matrices() -> String {
    let mut rows = "block_id,drug_row,drug_col,cell_line_name,conc_r,conc_c,inhibition,conc_unit\n".to_owned();
    let doses = [0.0, 0.01, 0.1, 1.0, 10.0];
    let hill = |dose: f64, ec50: f64| 1.0 / (1.0 + (dose / ec50).powf(1.1));
    for (block, (partner, line, ec50)) in
        [("venetoclax", "HL-60", 0.5), ("cytarabine", "HL-60", 0.05), ("venetoclax", "MOLM-13", 0.2)]
            .into_iter()
            .enumerate()
    {
        for (i, a) in doses.into_iter().enumerate() {
            for (j, b) in doses.into_iter().enumerate() {
                let noise = 0.02 * standard_normal(9, block as u64, i as u32, j as u32);
                let inhibition = 100.0 * (1.0 - hill(a, 0.08) * hill(b, ec50) + noise);
                rows += &format!("{block},clofarabine,{partner},{line},{a},{b},{inhibition:.3},uM\n");
            }
        }
    }
    rows
}

fn isobole(folder: &Path, arguments: &str) -> String {
    let command =
        Command::cargo_bin("isobole").unwrap().current_dir(folder).args(arguments.split_whitespace()).output();
    let output = command.unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{arguments}: {error}");
    error + &String::from_utf8_lossy(&output.stdout)
}

#[test]
fn imported_viabilities_are_read_again_to_the_bytes_of_a_run() {
    let folder = tempfile::tempdir().unwrap();
    let run = |arguments: &str| isobole(folder.path(), arguments);
    std::fs::write(folder.path().join("combos.csv"), matrices()).unwrap();
    run("import drugcomb combos.csv --out plates.parquet");
    let common = "--backend cpu --bootstrap 10";
    run(&format!("run plates.parquet {common} --out archive"));
    let cases = ["--synergy loewe,bliss", "--model hill3", "--anchor venetoclax --seed 4", "--ci profile --format csv"];
    for (i, flags) in cases.into_iter().enumerate() {
        run(&format!("run plates.parquet {common} {flags} --out full{i}"));
    }
    // Nothing but the folder is left.
    std::fs::remove_file(folder.path().join("plates.parquet")).unwrap();
    let archive = folder.path().join("archive");
    let normalised = files::read(&archive.join("wells.parquet")).unwrap();
    assert_eq!(normalised.rows(), 75);
    assert!(Archive::open(&archive).unwrap().has_stages());
    for (i, flags) in cases.into_iter().enumerate() {
        let words = run(&format!("rescore archive {flags} --out again{i}"));
        assert!(words.contains("reused     read, plates"), "{words}");
        let at = |name: &str| folder.path().join(format!("{name}{i}"));
        assert_eq!(differing(&at("again"), &at("full")), [""; 0], "{flags}");
        assert!(!differing(&at("again"), &archive).is_empty() && contents(&at("again")).len() >= 15, "{flags}");
    }
    let checked = run("verify again0 --all");
    assert!(checked.contains("agrees   table `synergy`") && !checked.contains("DIFFERS"), "{checked}");
    assert!(
        checked.contains("SKIPPED  inputs") && checked.contains("is not there: only its hash is known"),
        "{checked}"
    );
    let difference = run("diff archive again0");
    assert!(difference.contains("synergy: hsa,bliss,loewe,zip to loewe,bliss"), "{difference}");
}
