//! Result folders read back: whole or refused, and read again to the same bytes as a run.

mod commands;
mod diff;
mod errors;
mod faults;
mod features;
mod imported;
mod layout;
mod models;
pub mod rescore;
mod verify;
mod version_1;
mod version_2;
mod version_3;

use isobole::config::{ScreenFile, Settings};
use isobole::run::rescore::{Rescored, rescore};
use isobole::run::{Extent, Finished, run};
use isobole::simulate::{PlateFormat, Recipe, Scale, Simulated, SimulatedWell, simulate, write};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const SCALE: Scale = Scale {
    plates: Some(8),
    lines: Some(3),
    pairs: Some(4),
    resistant: Some(1),
    format: PlateFormat::Wells384,
    seed: 7,
};

/// What `screen.toml` with this text would say.
pub fn said(text: &str) -> ScreenFile {
    toml::from_str(text).unwrap()
}

/// A simulated screen of eight plates, written into `folder`.
pub fn screen(folder: &Path) -> (PathBuf, PathBuf) {
    let scale =
        Scale { plates: Some(8), lines: Some(3), pairs: Some(4), resistant: Some(1), seed: 7, ..Scale::default() };
    let written = write(&simulate(&Recipe::generic(scale).unwrap()).unwrap(), &folder.join("input")).unwrap();
    (written.plates, written.lines)
}

/// The same screen with the signals of some wells changed.
pub fn changed_screen(folder: &Path, change: impl Fn(&Simulated, usize, &mut SimulatedWell)) -> (PathBuf, PathBuf) {
    let mut simulated = simulate(&Recipe::generic(SCALE).unwrap()).unwrap();
    let before = simulated.clone();
    for plate in &mut simulated.plates {
        let line = plate.line;
        plate.wells.iter_mut().for_each(|well| change(&before, line, well));
    }
    let written = write(&simulated, folder).unwrap();
    (written.plates, written.lines)
}

/// A run of it, as `text` says.
pub fn ran(folder: &Path, name: &str, text: &str) -> (PathBuf, Finished) {
    let (plates, lines) = screen(folder);
    ran_on(folder, name, text, plates, lines)
}

/// A run of some plates and lines, as `text` says.
pub fn ran_on(folder: &Path, name: &str, text: &str, plates: PathBuf, lines: PathBuf) -> (PathBuf, Finished) {
    let out = folder.join(name);
    let settings = Settings::resolve(said(text), vec![plates], out.clone()).unwrap();
    let settings = Settings { lines_file: Some(lines), ..settings };
    let finished = run(&settings, Extent::Full, "a screen", &mut |_, _| {}).unwrap();
    (out, finished)
}

/// An archive read again, and the stages that were begun.
pub fn again(archive: &Path, out: &Path, text: &str) -> (Rescored, Vec<String>) {
    let mut begun = Vec::new();
    let rescored = rescore(archive, said(text), out, &mut |stage, _| begun.push(stage.name().to_owned())).unwrap();
    (rescored, begun)
}

/// Every file but those that say when and where, by its path in the folder.
pub fn contents(dir: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut all = BTreeMap::new();
    for entry in std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()) {
        let (name, path) = (entry.file_name().into_string().unwrap(), entry.path());
        if path.is_dir() {
            all.extend(contents(&path).into_iter().map(|(inner, bytes)| (format!("{name}/{inner}"), bytes)));
        } else if !["run.json", "report.html"].contains(&name.as_str()) {
            all.insert(name, std::fs::read(path).unwrap());
        }
    }
    all
}

/// The files that differ between two folders.
pub fn differing(a: &Path, b: &Path) -> Vec<String> {
    let (a, b) = (contents(a), contents(b));
    let names: std::collections::BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).cloned().collect()
}
