//! What users see of a folder that is not sound: a message that names the file, the next step, exit status 1.

use super::rescore::GOMPERTZ;
use super::{again, contents, ran};
use assert_cmd::Command;
use std::path::{Path, PathBuf};

/// Exit status, standard output, and standard error with the folder's path as DIR.
fn isobole(folder: &Path, arguments: &[&str]) -> (Option<i32>, String, String) {
    let output = Command::cargo_bin("isobole").unwrap().current_dir(folder).args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

fn edited(path: &Path, edit: impl FnOnce(&mut serde_json::Value)) {
    let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    edit(&mut value);
    std::fs::write(path, serde_json::to_vec(&value).unwrap()).unwrap();
}

fn flip(path: &Path) {
    let mut bytes = std::fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(path, bytes).unwrap();
}

/// What was done to the folder, and the message and the next step that every command must give.
type Fault = (fn(&Path), &'static str, &'static str);

const FAULTS: [Fault; 6] = [
    (
        |dir| flip(&dir.join("synergy.parquet")),
        "error: `archive/synergy.parquet`: was changed after the run: its bytes are not those that `run.json` has the hash of",
        "hint: bring back the original file, or run the screen again",
    ),
    (
        |dir| std::fs::remove_file(dir.join("curves.parquet")).unwrap(),
        "error: `archive/curves.parquet`: is missing: `run.json` lists it",
        "hint: bring it back, or run the screen again",
    ),
    (
        |dir| {
            std::fs::copy(dir.join("../other/pairs.parquet"), dir.join("pairs.parquet")).unwrap();
        },
        "error: `archive/pairs.parquet`: is a table of another run: its settings are not those in `run.json`",
        "hint: bring back the table of this run, or run the screen again",
    ),
    (
        |dir| {
            edited(&dir.join("run.json"), |run| (run["schema_version"], run["version"]) = ("99".into(), "7.0.0".into()))
        },
        "error: `archive/run.json`: is of layout version 99, written by isobole 7.0.0; this is isobole ",
        "hint: use the newer isobole",
    ),
    (
        |dir| edited(&dir.join("run.json"), |run| run["settings"]["seed"] = 2.into()),
        "error: `archive/run.json`: its settings are not those that its hash is of: the file was edited",
        "hint: run the screen again, or bring back the original file",
    ),
    (
        |dir| std::fs::write(dir.join("run.json"), "{}").unwrap(),
        "error: `archive/run.json`: not a run record: ",
        "hint: `run.json` is written by `isobole run`; was this folder made by it?",
    ),
];

#[test]
fn commands_refuse_a_folder_that_is_not_sound_and_say_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, _) = ran(folder.path(), "archive", "bootstrap = 0\nbackend = 'cpu'");
    again(&dir, &folder.path().join("other"), "top_k = 2");
    let sound = contents(&dir);
    let record = std::fs::read(dir.join("run.json")).unwrap();
    let bring_back = || {
        sound.iter().for_each(|(name, bytes)| std::fs::write(dir.join(name), bytes).unwrap());
        std::fs::write(dir.join("run.json"), &record).unwrap();
    };
    let commands: [&[&str]; 7] = [
        &["rescore", "archive", "--synergy", "bliss", "--out", "again"],
        &["rescore", "archive", "--model", "hill4,hill3", "--compare", "--out", "again"],
        &["diff", "archive", "other"],
        &["diff", "other", "archive"],
        &["rank", "archive"],
        &["report", "archive"],
        &["verify", "archive"],
    ];
    for (i, (harm, message, hint)) in FAULTS.into_iter().enumerate() {
        harm(&dir);
        for command in commands {
            let (status, out, error) = isobole(folder.path(), command);
            assert_eq!(status, Some(1), "{command:?}: {out} {error}");
            // To check is to go through all of it: what differs is the answer, not a failure to give one.
            if command[0] == "verify" && i < 3 {
                let said = message.trim_start_matches("error: ");
                assert!(out.contains("DIFFERS  files") && out.contains(said), "{out}");
                assert!(out.contains("SKIPPED  numbers") && out.contains("not computed again"), "{out}");
                let last = "error: `archive` is not what it was: files\nhint: each line above that begins with DIFFERS";
                assert!(error.contains(last), "{error}");
                continue;
            }
            assert!(error.contains(message) && error.contains(hint), "{command:?}: {error}");
            assert!(out.is_empty(), "{command:?}: {out}");
        }
        assert!(!folder.path().join("again/run.json").exists(), "nothing is written of a folder that is refused");
        bring_back();
    }
    let (status, _, error) = isobole(folder.path(), &["rescore", "nowhere", "--out", "again"]);
    assert!(status == Some(1) && error.contains("error: cannot read `nowhere/run.json`: "), "{error}");
    let (status, out, error) = isobole(folder.path(), commands[6]);
    assert_eq!((status, out.contains("DIFFERS")), (Some(0), false), "{out} {error}");
}

#[test]
fn a_model_file_that_changed_since_is_refused_and_the_archive_s_own_text_still_serves() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| -> PathBuf { folder.path().join(name) };
    std::fs::write(at("mine.toml"), GOMPERTZ).unwrap();
    let text = format!("bootstrap = 0\nbackend = 'cpu'\nmodel = '{}'", at("mine.toml").display());
    ran(folder.path(), "archive", &text);
    let rescore = |more: &[&str]| {
        isobole(folder.path(), &[&["rescore", "archive", "--bootstrap", "0", "--out", "again"], more].concat())
    };
    std::fs::write(at("mine.toml"), GOMPERTZ.replace("lower = 0.1\n", "lower = 0.2\n")).unwrap();
    let (status, _, error) = rescore(&["--model", "mine.toml"]);
    assert_eq!(status, Some(1), "{error}");
    let message = "error: setting `model`: the file of `gompertz` has changed since the archive was made: line 11 was \
        `lower = 0.1` and is `lower = 0.2`\nhint: give the changed model another name, or leave it out to use the \
        archive's own text";
    assert!(error.contains(message), "{error}");
    // Without its file, and under another name, there is nothing to be mistaken.
    let (status, _, error) = rescore(&[]);
    assert!(status == Some(0) && error.contains("reused     read, plates, curves"), "{error}");
    std::fs::write(at("other.toml"), GOMPERTZ.replace("\"gompertz\"", "\"steeper\"")).unwrap();
    let (status, _, error) = rescore(&["--model", "other.toml"]);
    assert_eq!(status, Some(0), "{error}");
    // A file with a mistake is named with its place before the archive is touched.
    std::fs::write(at("other.toml"), GOMPERTZ.replace("exp(-exp", "exp(-expp")).unwrap();
    let (status, _, error) = rescore(&["--model", "other.toml"]);
    assert!(status == Some(1) && error.contains("other.toml`, line 3") && error.contains("expp"), "{error}");
}

#[test]
fn gates_of_an_archive_are_taken_back() {
    let folder = tempfile::tempdir().unwrap();
    let (dir, _) = ran(folder.path(), "archive", "bootstrap = 10\nbackend = 'cpu'\n[rank_gates]\nmin_efficacy = 0.999");
    let (open, _) = ran(folder.path(), "open", "bootstrap = 10\nbackend = 'cpu'");
    let rescore =
        |gates: &str| isobole(folder.path(), &["rescore", "archive", "--rank-gates", gates, "--out", "again"]);
    for gates in ["none", "min_efficacy=none"] {
        let (status, _, error) = rescore(gates);
        assert_eq!(status, Some(0), "{error}");
        assert_eq!(super::differing(&folder.path().join("again"), &open), [""; 0], "{gates}");
    }
    assert!(super::differing(&dir, &open).contains(&"pairs.parquet".to_owned()), "the gate does something");
    let (status, ranking, _) = isobole(folder.path(), &["rank", "archive", "--rank-gates", "none"]);
    assert_eq!((status, &ranking), (Some(0), &isobole(folder.path(), &["rank", "open"]).1));
    let (status, _, error) = rescore("min_eficacy=none");
    assert!(status == Some(1) && error.contains("hint: did you mean `min_efficacy`?"), "{error}");
    let (_, help, _) = isobole(folder.path(), &["rescore", "--help"]);
    let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(help.contains("\"none\", or GATE=none, takes back what the archive or screen.toml asks for"), "{help}");
}
