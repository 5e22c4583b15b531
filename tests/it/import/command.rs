//! `isobole import` as it is typed.

use super::Bench;
use assert_cmd::Command;

fn isobole(args: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::cargo_bin("isobole").unwrap().args(args).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code(), text(output.stdout), text(output.stderr))
}

#[test]
fn formats_are_listed_and_files_imported() {
    let (status, listed, _) = isobole(&["import", "--list"]);
    assert_eq!(status, Some(0));
    for format in isobole::import::Format::ALL {
        assert!(listed.lines().any(|line| line.starts_with(format.name())), "{listed}");
    }
    let bench = Bench::new();
    let rows =
        "block_id,drug_row,drug_col,conc_r,conc_c,inhibition,conc_unit,note\n1,x,y,0,0,1.5,uM,\n1,x,y,1,1,,uM,\n";
    let (file, out) = (bench.file("b.csv", rows), bench.plates());
    let (file, out) = (file.to_str().unwrap(), out.to_str().unwrap());
    let (status, stdout, stderr) = isobole(&["import", "drugcomb", file, "--out", out]);
    assert_eq!(status, Some(0), "{stderr}");
    assert_eq!(stdout.lines().collect::<Vec<_>>(), [out.to_owned(), out.replace(".parquet", ".rejected.parquet")]);
    for said in [
        "wells      1 on 1 plates",
        "rejected   1 missing_response",
        "columns not carried over: `note`",
        "no plates in this format",
    ] {
        assert!(stderr.contains(said), "{said}: {stderr}");
    }
    assert_eq!(isobole(&["import", "drugcomb", file]).0, Some(2));
    assert_eq!(isobole(&["import", "drugcom", file, "--out", out]).0, Some(2));
    let (status, _, stderr) = isobole(&["import", "almanac", file, "--out", out]);
    assert_eq!(status, Some(1));
    assert!(stderr.contains("A1: has no column `NSC1`; it has `block_id`") && stderr.contains("hint:"), "{stderr}");
    let (status, _, stderr) = isobole(&["import", "drugcomb", file, "--out", file]);
    assert!(status == Some(1) && stderr.contains("is an input"), "{stderr}");
}
