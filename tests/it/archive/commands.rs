//! The commands that begin with a result folder, as users type them.

use super::ran;
use assert_cmd::Command;
use std::path::Path;

fn isobole(arguments: &[&str]) -> (bool, String, String) {
    let output = Command::cargo_bin("isobole").unwrap().args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_folder_is_ranked_shown_reported_rescored_compared_and_verified() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, finished) = ran(folder.path(), "run", "bootstrap = 10\nbackend = 'cpu'");
    let path = |path: &Path| path.to_str().unwrap().to_owned();
    let archive = path(&dir);
    let first = &finished.analysis.pairs[0];
    let name = |id| finished.screen.drugs.name(id);
    let pair = format!("{} + {}", name(first.drug_a), name(first.drug_b));

    let (good, ranking, _) = isobole(&["rank", &archive, "--pairs", "2"]);
    let line = ranking.lines().nth(1).unwrap_or_default();
    assert!(good && line.trim_start().starts_with('1') && ranking.contains("and 2 more"), "{ranking}");

    let (good, shown, _) = isobole(&["show", &archive, "--pair", &pair.to_uppercase(), "--model", "zip"]);
    assert!(good && shown.contains(&format!("{pair}: rank 1 of 4")) && shown.contains("excess over zip"), "{shown}");
    let (good, _, error) = isobole(&["show", &archive, "--pair", &pair, "--line", "nowhere"]);
    assert!(!good && error.contains("was not measured in `nowhere`, but in `"), "{error}");

    let page = dir.join("report.html");
    std::fs::remove_file(&page).unwrap();
    let (good, written, error) = isobole(&["report", &archive]);
    assert!(good && written.contains("report.html"), "{error}");
    assert!(std::fs::read_to_string(&page).unwrap().contains("a screen"));

    let out = path(&folder.path().join("again"));
    let (good, _, words) = isobole(&["rescore", &archive, "--synergy", "bliss,loewe", "--out", &out]);
    assert!(good && words.contains("reused     read, plates, curves, intervals: "), "{words}");
    let (good, difference, error) = isobole(&["diff", &archive, &out]);
    assert!(good && difference.contains("synergy: hsa,bliss,loewe,zip to bliss,loewe"), "{difference} {error}");
    let (good, checked, _) = isobole(&["verify", &out, "--all"]);
    assert!(good && checked.contains("agrees   table `synergy`") && !checked.contains("DIFFERS"), "{checked}");
    std::fs::write(Path::new(&out).join("pairs.parquet"), "nothing").unwrap();
    let (good, checked, error) = isobole(&["verify", &out]);
    assert!(!good && checked.contains("DIFFERS  files") && error.contains("is not what it was: files"), "{error}");
}
