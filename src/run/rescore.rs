//! An archive read again: from the first stage that what is said anew touches, with everything above it as it is.

use super::{Clock, Extent, Finished, Found, clear_previous, know, knowledge_of, spare_the_inputs, write, write_page};
use crate::analysis::{Observer, Reuse, Stage, analyse_again, fit_settings};
use crate::archive::{Archive, Restored, stages};
use crate::backend::Backend;
use crate::backend::choose::choose;
use crate::config::{ScreenFile, Settings};
use crate::plate::PlateSettings;
use crate::report::files;
use crate::report::run_json::{InputFile, RescoredFrom, RunIdentity, RunRecord};
use crate::resistance::knowledge::Knowledge;
use crate::synergy::SynergyModel;
use crate::synergy::margins::{hill4_settings, margin_settings};
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// What of an archive is as these settings would have it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Wells and plates.
    pub plates: bool,
    /// Fitted curves.
    pub curves: bool,
    /// The models whose draws stand.
    pub drawn: Vec<SynergyModel>,
    /// Models whose draws these settings would let stand, and that the archive does not keep whole: they are drawn anew.
    pub drawn_anew: Vec<SynergyModel>,
    /// Whether dose matrices and their scores are as they were, whatever models are asked for.
    pub matrices: bool,
}

impl Kept {
    /// What stands of a run with the settings `before`, computed on `backend_before`, under the settings `now`.
    pub fn of(before: &Settings, backend_before: &str, now: &Settings, backend_now: &str) -> Self {
        let same = |equal: bool, above: bool| equal && above;
        let plates = same(
            backend_before == backend_now && PlateSettings::from(before) == PlateSettings::from(now),
            before.mapping == now.mapping,
        );
        let fit = |s: &Settings| (s.model, s.bounds.clone(), s.starts, s.vehicle_point);
        let fits = same(fit(before) == fit(now), plates);
        let curves = same(before.ci == now.ci, fits);
        // Margins and slices are Hill curves whatever else curves are fitted with.
        let margins = |s: &Settings| {
            let fit = fit_settings(s);
            (margin_settings(&fit), hill4_settings(&fit), s.vehicle_point)
        };
        // The anchor is the first drug of its matrices.
        let drawn = |s: &Settings| (s.anchor.clone(), s.margins, s.bootstrap, s.resampling, s.seed);
        let matrices = same(drawn(before) == drawn(now) && margins(before) == margins(now), plates);
        let drawn = match matrices {
            true => now.synergy.iter().copied().filter(|model| before.synergy.contains(model)).collect(),
            false => Vec::new(),
        };
        Self { plates, curves, drawn, drawn_anew: Vec::new(), matrices }
    }

    /// The stages of a run that are not computed again.
    fn stages(&self, now: &Settings) -> Vec<Stage> {
        let mut stages = Vec::new();
        if self.plates {
            stages.extend([Stage::Read, Stage::Plates]);
        }
        if self.curves {
            stages.push(Stage::Curves);
        }
        if self.matrices && self.drawn.len() == now.synergy.len() {
            stages.push(Stage::Intervals);
        }
        stages
    }
}

/// A finished reading of an archive.
#[derive(Debug, Clone)]
pub struct Rescored {
    /// As of a run.
    pub finished: Finished,
    /// What was taken over.
    pub kept: Kept,
    /// Seconds that the archive's stages had taken, and this reading altogether.
    pub seconds: (f64, f64),
}

/// Reads one archive again with what is said anew, into `out`.
///
/// # Errors
/// Those of [`Archive::open`] and [`Archive::restore`]; [`Error::Setting`] for what has no meaning and for an output folder
/// that is the archive; those of the back end and of writing.
pub fn rescore(dir: &Path, said: ScreenFile, out: &Path, observe: Observer<'_>) -> Result<Rescored> {
    let archive = Archive::open(dir)?;
    let settings = archive.settings.said_anew(said, out.to_owned())?;
    if !settings.normalization.is_viability() {
        return Err(super::no_viability(settings.normalization));
    }
    apart(dir, out)?;
    spare_the_inputs(&settings)?;
    read_again(&archive, &settings, observe)
}

/// What an analysis of an archive under other settings is, without writing it.
///
/// # Errors
/// As [`rescore`].
pub fn analyse_archive(
    archive: &Archive,
    settings: &Settings,
    backend: &dyn Backend,
    observe: Observer<'_>,
) -> Result<(crate::screen::Screen, crate::analysis::Analysis, Kept)> {
    let mut kept = Kept::of(&archive.settings, &archive.record.backend, settings, backend.name());
    // Only where wells are normalised anew, or written by another version, does anyone look at them as they were read.
    let raw_wells = !(kept.plates && is_of_this_version(archive)) || settings.csv;
    let Restored { screen, plates, curves } = archive.restore(raw_wells)?;
    if plates.is_none() {
        kept = Kept { plates: false, curves: false, drawn: Vec::new(), drawn_anew: Vec::new(), matrices: false };
    }
    // Without matrices there is nothing that could have been drawn.
    if archive.record.counts.matrices == 0 {
        kept.drawn.clear();
    }
    let models = std::mem::take(&mut kept.drawn);
    // Which of them the archive keeps whole shows only where it is read.
    let taken_over = OnceLock::new();
    let drawn = |matrices: &[crate::screen::dose_matrix::DoseMatrix]| {
        let drawn = archive.drawn(matrices, &models, &screen)?;
        taken_over.get_or_init(|| drawn.models.iter().map(|(model, _)| *model).collect::<Vec<_>>());
        Ok(drawn)
    };
    let known = Reuse {
        plates: plates.filter(|_| kept.plates),
        curves: curves.filter(|_| kept.curves),
        drawn: (!models.is_empty()).then_some(&drawn),
    };
    let mut analysis = analyse_again(&screen, settings, backend, known, observe)?;
    kept.drawn = taken_over.get().cloned().unwrap_or_default();
    // Where nothing was drawn, nothing is lost.
    let lost = |model: &&SynergyModel| settings.bootstrap > 0 && !kept.drawn.contains(model);
    kept.drawn_anew = models.iter().filter(lost).copied().collect();
    know(&mut analysis, &screen, settings, &knowledge_of(settings)?);
    Ok((screen, analysis, kept))
}

/// The inputs of an archive's reading: those of the archive, with other tables of what is known where such were said.
fn inputs(archive: &Archive, settings: &Settings) -> Result<Vec<InputFile>> {
    let mut inputs = archive.record.inputs.clone();
    if settings.knowledge_folder != archive.settings.knowledge_folder {
        // They come last, as in [`Settings::files_read`].
        let Settings { inputs: plates, lines_file, evidence_files, apoptosis_files, .. } = &archive.settings;
        inputs
            .truncate(plates.len() + usize::from(lines_file.is_some()) + evidence_files.len() + apoptosis_files.len());
        for path in settings.knowledge_folder.iter().flat_map(|folder| Knowledge::files(folder)) {
            inputs.push(InputFile::of(&path)?);
        }
    }
    Ok(inputs)
}

fn is_of_this_version(archive: &Archive) -> bool {
    let now = RunIdentity::new(&archive.record.settings);
    (&archive.record.version, &archive.record.schema_version) == (&now.version, &now.schema_version)
}

/// Copies the files of stages that stand: what this version wrote it would write again.
fn take_over(archive: &Archive, kept: &Kept, settings: &Settings, now: &RunIdentity) -> Result<Vec<PathBuf>> {
    let mut taken = Vec::new();
    if !kept.plates || !is_of_this_version(archive) || settings.csv {
        return Ok(taken);
    }
    let mut tables = vec!["plates", "batches", "plate_curves", "rejected", "wells", "normalization", "raw_wells"];
    if kept.curves {
        tables.push("curves");
        let path = settings.out.join(stages::FILE);
        let bytes = std::fs::read(archive.path(stages::FILE)).map_err(|source| Error::File {
            action: "read",
            path: archive.path(stages::FILE),
            source,
        })?;
        files::write_whole(&path, |out| out.write_all(&bytes))?;
        taken.push(path);
    }
    if kept.matrices {
        tables.push("matrices");
    }
    let before = archive.record.identity();
    let copy = |table: &&str| files::copy_as(&archive.path(&format!("{table}.parquet")), &settings.out, &before, now);
    let copied: Vec<Result<PathBuf>> = tables.par_iter().map(copy).collect();
    for path in copied {
        taken.push(path?);
    }
    Ok(taken)
}

fn read_again(archive: &Archive, settings: &Settings, observe: Observer<'_>) -> Result<Rescored> {
    let begun = std::time::Instant::now();
    files::prepare(&settings.out)?;
    clear_previous(&settings.out);
    let chosen = choose(settings.backend)?;
    let value = serde_json::to_value(settings)
        .map_err(|e| Error::Screen { problem: format!("the settings cannot be written: {e}"), hint: None })?;
    let mut record = RunRecord::new(value, chosen.backend.name(), &chosen.backend.device(), settings.seed);
    record.backend_reason = Some(chosen.reason.clone());
    record.inputs = inputs(archive, settings)?;
    record.title.clone_from(&archive.record.title);
    let mut clock = Clock { timings: Vec::new(), running: None };
    clock.begin(Some(Stage::Read));
    observe(Stage::Read, &archive.dir.display().to_string());
    let (screen, analysis, kept) = {
        let mut timed = |stage: Stage, detail: &str| {
            clock.begin(Some(stage));
            observe(stage, detail);
        };
        analyse_archive(archive, settings, chosen.backend.as_ref(), &mut timed)?
    };
    let reused = kept.stages(settings);
    let of_stage = |stage: &Stage| {
        archive
            .record
            .timings
            .iter()
            .filter(|timing| timing.stage == stage.name())
            .map(|timing| timing.seconds)
            .sum::<f64>()
    };
    record.rescored_from = Some(RescoredFrom {
        archive: archive.dir.to_string_lossy().into_owned(),
        version: archive.record.version.clone(),
        settings_sha256: archive.record.settings_sha256.clone(),
        reused: reused.iter().map(|stage| stage.name().to_owned()).collect(),
        seconds_saved: reused.iter().map(of_stage).sum(),
        drawn_anew: kept.drawn_anew.iter().map(|model| model.name().to_owned()).collect(),
    });
    clock.begin(Some(Stage::Write));
    observe(Stage::Write, &settings.out.display().to_string());
    let taken = take_over(archive, &kept, settings, &record.identity())?;
    let knowledge = knowledge_of(settings)?;
    let found = Found { screen, analysis, knowledge, taken };
    let finished = write(settings, Extent::Full, found, record, clock, chosen.backend.as_ref())?;
    let before = archive.record.timings.iter().map(|timing| timing.seconds).sum();
    Ok(Rescored { finished, kept, seconds: (before, begun.elapsed().as_secs_f64()) })
}

/// Writes the page and the picture of the ranking of an archive anew, into it; gives their paths.
///
/// # Errors
/// As [`rescore`].
pub fn rewrite_report(dir: &Path, observe: Observer<'_>) -> Result<Vec<PathBuf>> {
    let archive = Archive::open(dir)?;
    let settings = Settings { out: dir.to_owned(), ..archive.settings.clone() };
    let backend = archive.backend()?;
    let (screen, analysis, _) = analyse_archive(&archive, &settings, backend.as_ref(), observe)?;
    let knowledge = knowledge_of(&settings)?;
    let mut record = archive.record;
    let written = write_page(&settings, &screen, &analysis, &knowledge, &record)?;
    record.list(dir, &written)?;
    record.write(dir)?;
    Ok(written)
}

/// Refuses an output folder that is the archive: what was measured once is not overwritten.
fn apart(dir: &Path, out: &Path) -> Result<()> {
    let real = |path: &Path| path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if real(dir) == real(out) {
        return Err(Error::Setting {
            key: "out".into(),
            problem: format!("`{}` is the archive itself", out.display()),
            hint: Some("choose another folder: an archive is not overwritten by a reading of it".into()),
        });
    }
    Ok(())
}

/// Where each of several archives goes: into a folder of its own name under `out`; a single one into `out` itself.
///
/// # Errors
/// [`Error::Setting`] where two archives have the same name.
pub fn places(dirs: &[PathBuf], out: &Path) -> Result<Vec<PathBuf>> {
    if let [_] = dirs {
        return Ok(vec![out.to_owned()]);
    }
    let mut places: Vec<PathBuf> = Vec::with_capacity(dirs.len());
    for dir in dirs {
        let real = dir.canonicalize().unwrap_or_else(|_| dir.clone());
        let place = out.join(real.file_name().unwrap_or_default());
        if places.contains(&place) {
            return Err(Error::Setting {
                key: "out".into(),
                problem: format!("two archives would go to `{}`", place.display()),
                hint: Some("read them again one by one, each with an --out of its own".into()),
            });
        }
        places.push(place);
    }
    Ok(places)
}
