//! A result folder read back: the screen and what every stage found of it, as they were to the last bit, so that a later
//! model starts where it differs from what was done.
//!
//! | file | holds |
//! |---|---|
//! | `run.json` | settings as resolved (the text of model files with them), inputs and their hashes, hashes of all files |
//! | `wells` | wells with a response: what curves and matrices are gathered from |
//! | `raw_wells` | every well that could be read, as read: what is normalised |
//! | `rejected` | wells left out, and why; those of reading first |
//! | `stages.cbor.gz` | names in their order, lines, qualities of plates, fits: CBOR (RFC 8949), fields by name |
//! | `synergy`, `surfaces` | scores and what draws said of them |
//! | `knowledge/` | copies of the user's own tables of what is known, where the run had any |
//!
//! Nothing is taken from a folder that is not whole: [`Archive::open`] compares every file with its hash in `run.json`, and
//! every table with the settings that it should be from.

pub mod drawn;
pub mod manifest;
pub mod stages;
mod wells;

use crate::analysis::{Analysis, FittedCurves};
use crate::backend::Backend;
use crate::backend::choose::choose;
use crate::config::{BackendChoice, Settings};
use crate::report::files;
use crate::report::run_json::{InputFile, RunRecord};
use crate::report::table::{Table, Values};
use crate::screen::code::code;
use crate::screen::names::{NameId, Names};
use crate::screen::rejections::Rejections;
use crate::screen::well::WellPosition;
use crate::screen::{Rejected, Screen};
use crate::{Error, Result, ingest};
use stages::Stages;
use std::path::{Path, PathBuf};
pub use wells::raw_wells_table;

/// A result folder that is whole.
#[derive(Debug, Clone)]
pub struct Archive {
    /// The folder.
    pub dir: PathBuf,
    /// Its `run.json`.
    pub record: RunRecord,
    /// The settings that it was made with.
    pub settings: Settings,
}

/// What an archive says of a screen and of the stages up to its curves.
#[derive(Debug, Clone)]
pub struct Restored {
    /// The screen as it was read.
    pub screen: Screen,
    /// Wells, plates and what was rejected, and nothing of later stages; `None` where the folder keeps no stages.
    pub plates: Option<Analysis>,
    /// The fitted curves; `None` where the folder keeps no stages.
    pub curves: Option<FittedCurves>,
}

impl Archive {
    /// Opens a folder that `isobole run` (or `demo`, or `rescore`) wrote, and compares every file that something is computed
    /// from with its hash: all but the page, the picture and CSV copies of tables.
    ///
    /// # Errors
    /// [`Error::File`] for a file that is missing; [`Error::Format`] for an archive of a newer version, a table of another
    /// run, a file that was changed since.
    pub fn open(dir: &Path) -> Result<Self> {
        let record = manifest::record(dir)?;
        if let Some(fault) = manifest::faults_of_data(dir, &record)?.into_iter().next() {
            return Err(fault);
        }
        let mut settings = Settings::of_archive(&record.settings, &dir.join("run.json"))?;
        // Where they lay when the screen was run is nobody's promise: the archive's own copies are the ones of the hashes.
        if record.files.keys().any(|name| manifest::is_knowledge(name)) {
            settings.knowledge_folder = Some(dir.join(manifest::KNOWLEDGE));
        }
        manifest::faults_of_knowledge(&record, settings.knowledge_folder.as_deref())?;
        Ok(Self { dir: dir.to_owned(), record, settings })
    }

    /// The back end that it was computed on.
    ///
    /// # Errors
    /// [`Error::Gpu`] where that was a GPU and there is none.
    pub fn backend(&self) -> Result<Box<dyn Backend>> {
        let choice = if self.record.backend == "gpu" { BackendChoice::Gpu } else { BackendChoice::Cpu };
        choose(choice).map(|chosen| chosen.backend)
    }

    /// The path of a file in the folder.
    pub fn path(&self, file: &str) -> PathBuf {
        self.dir.join(file)
    }

    /// Whether it says enough for a later stage to go on from; folders of version 1, of `qc` and of `normalize` do not.
    pub fn has_stages(&self) -> bool {
        self.record.files.contains_key(stages::FILE)
    }

    /// The screen and the stages that were computed of it. A folder of layout version 1 keeps neither: its screen is read
    /// from its inputs, if they are where they were, as they were. Without `raw_wells` the screen has no wells, which
    /// stages after the plates do not look at.
    ///
    /// # Errors
    /// [`Error::Format`] where the folder does not hold them, or they do not fit together; where it holds none and an input
    /// is gone or has changed.
    pub fn restore(&self, raw_wells: bool) -> Result<Restored> {
        if !self.has_stages() {
            return self.read_inputs();
        }
        let read = |table: &str| {
            let path = self.path(&format!("{table}.parquet"));
            files::read(&path).map(|table| Reading { path, table })
        };
        let (stages, tables) =
            rayon::join(|| Stages::read(&self.path(stages::FILE)), || (read("wells"), read("rejected")));
        let (stages, wells, rejected) = (stages?, tables.0?, tables.1?);
        let mut screen = stages.screen.screen();
        if raw_wells {
            screen.wells = wells::raw_wells(&read("raw_wells")?, &screen)?;
        }
        let on_reading = stages.screen.rejected_on_reading;
        let (first, later) = rejections(&rejected, &screen.plates, on_reading)?;
        let mut all_rejected = first.clone();
        all_rejected.append(&later);
        screen.rejected = first;
        let plates = Analysis {
            wells: wells::normalised_wells(&wells, &screen)?,
            plates: stages.plates,
            batches: stages.batches,
            plate_curves: stages.plate_curves,
            vehicle_noise: stages.vehicle_noise,
            spatial: stages.spatial,
            rejected: all_rejected,
            ..Analysis::default()
        };
        Ok(Restored { screen, plates: Some(plates), curves: Some(stages.curves) })
    }

    /// The screen out of the inputs.
    fn read_inputs(&self) -> Result<Restored> {
        let refuse = |path: &Path, problem: String| Error::Format {
            path: path.to_owned(),
            row_group: None,
            column: None,
            problem,
            hint: Some("put the inputs back where they were, or run the screen again".into()),
        };
        let lacks = match self.record.schema_version.as_str() {
            "1" => "a folder of layout version 1 keeps no wells as read",
            _ => "the folder keeps no wells as read",
        };
        let mut paths = Vec::with_capacity(self.record.inputs.len());
        for input in &self.record.inputs {
            let path = PathBuf::from(&input.path);
            match InputFile::of(&path) {
                Ok(now) if now.sha256 == input.sha256 => paths.push(path),
                Ok(_) => return Err(refuse(&path, format!("has changed since the run, and {lacks}"))),
                Err(_) => return Err(refuse(&path, format!("is not there any more, and {lacks}"))),
            }
        }
        // Plates, lines, evidence and apoptosis, in the order of [`Settings::files_read`].
        let mut others = paths.split_off(self.settings.inputs.len().min(paths.len())).into_iter();
        let lines = self.settings.lines_file.as_ref().and_then(|_| others.next());
        let evidence: Vec<PathBuf> = others.by_ref().take(self.settings.evidence_files.len()).collect();
        let apoptosis: Vec<PathBuf> = others.by_ref().take(self.settings.apoptosis_files.len()).collect();
        let mut screen = ingest::read_screen(&paths, &self.settings.mapping, lines.as_deref())?;
        screen.evidence = ingest::read_evidence(&evidence)?;
        screen.apoptosis = ingest::read_apoptosis(&apoptosis, &self.settings.mapping)?;
        Ok(Restored { screen, plates: None, curves: None })
    }
}

/// A table that is being read back.
struct Reading {
    path: PathBuf,
    table: Table,
}

impl Reading {
    fn unfit(&self, problem: String) -> Error {
        Error::Format {
            path: self.path.clone(),
            row_group: None,
            column: None,
            problem,
            hint: Some("this folder was not written by one run of isobole".into()),
        }
    }

    fn column(&self, name: &str) -> Result<&Values> {
        self.table.column(name).ok_or_else(|| self.unfit(format!("has no column `{name}`")))
    }

    /// The texts of a column as numbers of names.
    fn names(&self, column: &str, names: &Names) -> Result<Vec<Option<NameId>>> {
        self.codes(column, |text| names.id(text))
    }

    /// The texts of a column, each distinct one looked up once.
    fn codes<T: Copy>(&self, column: &str, of: impl Fn(&str) -> Option<T>) -> Result<Vec<Option<T>>> {
        let unknown =
            |text: &str| self.unfit(format!("column `{column}` has `{text}`, which the archive does not know"));
        match self.column(column)? {
            Values::Named(texts, ids) => {
                let known: Vec<Option<T>> = texts.iter().map(|text| of(text)).collect();
                let value = |id: &Option<NameId>| match id.map(|id| id as usize) {
                    None => Ok(None),
                    Some(at) => match known.get(at).copied().flatten() {
                        Some(value) => Ok(Some(value)),
                        None => Err(unknown(texts.get(at).map_or("", String::as_str))),
                    },
                };
                ids.iter().map(value).collect()
            }
            _ => Err(self.unfit(format!("column `{column}` holds no text"))),
        }
    }

    fn numbers(&self, column: &str) -> Result<&[Option<f64>]> {
        match self.column(column)? {
            Values::Number(numbers) => Ok(numbers),
            _ => Err(self.unfit(format!("column `{column}` holds no numbers"))),
        }
    }
}

/// The first rejected wells of a table, and the others.
fn rejections(rejected: &Reading, plates: &Names, first: usize) -> Result<(Rejections, Rejections)> {
    let plate = rejected.names("plate_id", plates)?;
    // What is no well of a plate is none here, as on reading.
    let well = rejected.codes("well", |text| Some(WellPosition::parse(text)))?;
    let reason = rejected.codes("reason", |text| Some(code(text)))?;
    let Values::Named(details, detail) = rejected.column("detail")? else {
        return Err(rejected.unfit("column `detail` holds no text".into()));
    };
    if first > plate.len() {
        return Err(rejected.unfit(format!("has {} wells, not the {first} of reading", plate.len())));
    }
    let part = |rows: std::ops::Range<usize>| -> Result<Rejections> {
        let mut part = Rejections::default();
        part.add(|part| {
            for row in rows.clone() {
                let said = (plate[row], reason[row], detail[row]);
                let is_alike = |before: usize| said == (plate[before], reason[before], detail[before]);
                // Hundreds of thousands are empty wells of plates that are not full.
                if row > rows.start && is_alike(row - 1) && part.push_alike(well[row].flatten()) {
                    continue;
                }
                let detail = said.2.and_then(|id| details.get(id as usize)).cloned().unwrap_or_default();
                let plate = said.0.ok_or_else(|| rejected.unfit(format!("row {row} names no plate")))?;
                let reason = said.1.ok_or_else(|| rejected.unfit(format!("row {row} gives no reason")))?;
                part.push(Rejected { plate, well: well[row].flatten(), reason, detail });
            }
            Ok(())
        })?;
        Ok(part)
    };
    Ok((part(0..first)?, part(first..plate.len())?))
}
