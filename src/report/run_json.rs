//! `run.json`: what was run on what, with which settings, where the wells went and how long it took. Timings live
//! here and nowhere else, so that tables of the same run are the same bytes.

use super::files::{file_error, write_whole};
use crate::{Error, Result};
use rayon::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Version of the layout of result folders; rises when a column changes its meaning or goes, or later stages need more
/// than a folder had.
///
/// - 1: tables and `run.json`.
/// - 2: with `raw_wells`, `stages.cbor.gz` and the hashes of all files: an [`crate::archive`]. Under this number some of what
///   is new in 3 was written already; the first folders have none of it.
/// - 3: with the degrees of freedom of errors (`df_MODEL` in `synergy`), without which draws cannot be taken over; second
///   partners in `resensitisation`, `drug_c` in `differential`, `shrunken_score` (it was `shrunken`) and the scatter of
///   differentials (`differential_tau` and what follows) in `pairs`, `qc_burden` and `peak_efficacy` in `triples`; copies of
///   the user's tables of what is known; hashes of CSV files too. Where tables of evidence and of what is known lie is no
///   part of the hash of settings any more.
pub const SCHEMA_VERSION: &str = "3";

/// What every table says of the run that wrote it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunIdentity {
    /// Version of the program.
    pub version: String,
    /// [`settings_sha256`] of the settings.
    pub settings_sha256: String,
    /// [`SCHEMA_VERSION`].
    pub schema_version: String,
}

impl RunIdentity {
    /// The identity of a run of this program with these settings.
    pub fn new(settings: &serde_json::Value) -> Self {
        Self {
            version: env!("CARGO_PKG_VERSION").into(),
            settings_sha256: settings_sha256(settings),
            schema_version: SCHEMA_VERSION.into(),
        }
    }
}

/// Settings that say where files lie or how many threads work, which changes no result.
const PLACES: [&str; 7] =
    ["inputs", "lines_file", "out", "threads", "evidence_files", "apoptosis_files", "knowledge_folder"];
/// How many of them the hashes of the first folders leave out: in these the others count.
const PLACES_AT_FIRST: usize = 4;

/// SHA-256, in hexadecimal, of settings as compact JSON with sorted keys.
///
/// Where files lie and how many threads work are left out: the same analysis has one hash.
pub fn settings_sha256(settings: &serde_json::Value) -> String {
    sha256_without(settings, &PLACES)
}

fn sha256_without(settings: &serde_json::Value, places: &[&str]) -> String {
    let mut settings = settings.clone();
    if let Some(map) = settings.as_object_mut() {
        places.iter().for_each(|place| drop(map.remove(*place)));
    }
    sha256(canonical(&settings).to_string().as_bytes())
}

/// Keys in order whatever map type `serde_json` was compiled with.
fn canonical(value: &serde_json::Value) -> serde_json::Value {
    match value {
        serde_json::Value::Object(map) => {
            let sorted: BTreeMap<&String, &serde_json::Value> = map.iter().collect();
            sorted.into_iter().map(|(k, v)| (k.clone(), canonical(v))).collect()
        }
        serde_json::Value::Array(values) => values.iter().map(canonical).collect(),
        other => other.clone(),
    }
}

/// SHA-256 of some bytes, in hexadecimal.
pub fn sha256(bytes: &[u8]) -> String {
    hexadecimal(&Sha256::digest(bytes))
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

/// One input file.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct InputFile {
    /// As given by the user; bytes that are not UTF-8 are replaced.
    pub path: String,
    /// Its length.
    pub bytes: u64,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

impl InputFile {
    /// Reads the file through once.
    ///
    /// # Errors
    /// [`Error::File`] naming it.
    pub fn of(path: &Path) -> Result<Self> {
        let metadata = std::fs::metadata(path).map_err(|source| file_error("read", path, source))?;
        if !metadata.is_file() {
            let (problem, hint) = if metadata.is_dir() {
                ("is a folder, not a file", "name the files in it: FOLDER/*.parquet")
            } else {
                ("is not a regular file", "save it as a file first: a screen is read more than once")
            };
            return Err(Error::Format {
                path: path.to_owned(),
                row_group: None,
                column: None,
                problem: problem.into(),
                hint: Some(hint.into()),
            });
        }
        let mut file = File::open(path).map_err(|source| file_error("read", path, source))?;
        let mut hash = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            let n = file.read(&mut buffer).map_err(|source| file_error("read", path, source))?;
            if n == 0 {
                return Ok(Self {
                    path: path.to_string_lossy().into_owned(),
                    bytes,
                    sha256: hexadecimal(&hash.finalize()),
                });
            }
            hash.update(&buffer[..n]);
            bytes += n as u64;
        }
    }
}

/// Where everything went: `wells_in = wells_used + wells_rejected`.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub struct Counts {
    /// Rows of the input.
    pub wells_in: usize,
    /// Wells with a response.
    pub wells_used: usize,
    /// Wells left out, each with a reason.
    pub wells_rejected: usize,
    /// How many for each reason; they add up to `wells_rejected`.
    pub rejected_by_reason: BTreeMap<String, usize>,
    /// Plates.
    pub plates: usize,
    /// Single-agent curves.
    pub curves: usize,
    /// Dose matrices.
    pub matrices: usize,
    /// Ranked pairs.
    pub pairs: usize,
}

impl Counts {
    /// What does not add up.
    fn problem(&self) -> Option<String> {
        let Self { wells_in, wells_used, wells_rejected, rejected_by_reason, .. } = self;
        let reasons: usize = rejected_by_reason.values().sum();
        if wells_used.checked_add(*wells_rejected) != Some(*wells_in) {
            Some(format!("{wells_in} wells came in, but {wells_used} were used and {wells_rejected} rejected"))
        } else if reasons != *wells_rejected {
            Some(format!("{wells_rejected} wells were rejected, but the reasons account for {reasons}"))
        } else {
            None
        }
    }
}

/// How long one stage took.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Timing {
    /// The stage.
    pub stage: String,
    /// Wall time in seconds.
    pub seconds: f64,
}

/// `run.json`.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RunRecord {
    /// [`SCHEMA_VERSION`].
    pub schema_version: String,
    /// Version of the program.
    pub version: String,
    /// Settings as resolved.
    pub settings: serde_json::Value,
    /// [`settings_sha256`] of them.
    pub settings_sha256: String,
    /// Input files in the order given.
    pub inputs: Vec<InputFile>,
    /// Back end: `cpu` or `gpu`.
    pub backend: String,
    /// The device, its driver or instruction set.
    pub device: String,
    /// Why this back end, where the program chose.
    pub backend_reason: Option<String>,
    /// Seed of every random number.
    pub seed: u64,
    /// Where everything went.
    pub counts: Counts,
    /// Share of the curve fits that were polished or fitted again in f64; `None` where no GPU fitted.
    pub fits_refitted_share: Option<f64>,
    /// What the user should know before reading a result.
    pub warnings: Vec<String>,
    /// Wall time of each stage, in order.
    pub timings: Vec<Timing>,
    /// What the page calls the screen.
    #[serde(default)]
    pub title: String,
    /// SHA-256 of every file written, by its path in the folder.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
    /// The archive that this is another reading of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rescored_from: Option<RescoredFrom>,
}

/// Where results come from that were not computed from inputs.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct RescoredFrom {
    /// The archive's folder, as given.
    pub archive: String,
    /// Program that wrote it.
    pub version: String,
    /// Hash of its settings.
    pub settings_sha256: String,
    /// Stages taken over from it.
    pub reused: Vec<String>,
    /// Seconds that these had taken.
    pub seconds_saved: f64,
    /// Synergy models drawn anew though the settings would let their draws stand: the archive keeps these without degrees
    /// of freedom.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub drawn_anew: Vec<String>,
}

impl RunRecord {
    /// The name of the synergy model whose score was pooled over lines; before there was a composite, the one that ranked.
    pub fn score_model(&self) -> String {
        let model = self.settings.get("score_model").or_else(|| self.settings.get("rank_by"));
        let name = |model: &serde_json::Value| {
            Some(model.as_str().or_else(|| model.get("name").and_then(|name| name.as_str()))?.to_owned())
        };
        model.and_then(name).unwrap_or_else(|| "bliss".into())
    }

    /// A record of a run with these settings, on this back end, that has not counted anything yet.
    pub fn new(settings: serde_json::Value, backend: &str, device: &str, seed: u64) -> Self {
        let identity = RunIdentity::new(&settings);
        Self {
            schema_version: identity.schema_version,
            version: identity.version,
            settings_sha256: identity.settings_sha256,
            settings,
            inputs: Vec::new(),
            backend: backend.into(),
            device: device.into(),
            backend_reason: None,
            seed,
            counts: Counts::default(),
            fits_refitted_share: None,
            warnings: Vec::new(),
            timings: Vec::new(),
            title: String::new(),
            files: BTreeMap::new(),
            rescored_from: None,
        }
    }

    /// Whether its settings are those that its hash is of.
    pub fn has_its_settings(&self) -> bool {
        let is_early = ["1", "2"].contains(&self.schema_version.as_str());
        self.settings_sha256 == settings_sha256(&self.settings)
            || is_early && self.settings_sha256 == sha256_without(&self.settings, &PLACES[..PLACES_AT_FIRST])
    }

    /// What the tables of this run carry.
    pub fn identity(&self) -> RunIdentity {
        RunIdentity {
            version: self.version.clone(),
            settings_sha256: self.settings_sha256.clone(),
            schema_version: self.schema_version.clone(),
        }
    }

    /// Takes in the hashes of files that were written into `dir` or a folder in it; names are relative to `dir`, with `/`
    /// on every system.
    ///
    /// # Errors
    /// [`Error::File`] where one cannot be read again.
    pub fn list(&mut self, dir: &Path, files: &[PathBuf]) -> Result<()> {
        let hashed: Vec<Result<InputFile>> = files.par_iter().map(|path| InputFile::of(path)).collect();
        for (path, file) in files.iter().zip(hashed) {
            let parts = path.strip_prefix(dir).unwrap_or(path).components();
            let parts: Vec<_> = parts.map(|part| part.as_os_str().to_string_lossy()).collect();
            self.files.insert(parts.join("/"), file?.sha256);
        }
        Ok(())
    }

    /// Writes `dir/run.json`.
    ///
    /// # Errors
    /// [`Error::Screen`] when the wells do not add up (nothing is written), [`Error::File`] when writing fails.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        if let Some(problem) = self.counts.problem() {
            let hint = Some("this is a fault of isobole: please report it with the input that shows it".into());
            return Err(Error::Screen { problem, hint });
        }
        let path = dir.join("run.json");
        let mut text = serde_json::to_vec_pretty(self).map_err(|e| file_error("write", &path, e.into()))?;
        text.push(b'\n');
        write_whole(&path, |out| out.write_all(&text))?;
        Ok(path)
    }

    /// Reads `dir/run.json` back.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be opened, [`Error::Format`] when it is not a run record.
    pub fn read(dir: &Path) -> Result<Self> {
        let path = dir.join("run.json");
        let text = std::fs::read(&path).map_err(|source| file_error("read", &path, source))?;
        serde_json::from_slice(&text).map_err(|e| Error::Format {
            path,
            row_group: None,
            column: None,
            problem: format!("not a run record: {e}"),
            hint: Some("`run.json` is written by `isobole run`; was this folder made by it?".into()),
        })
    }
}
