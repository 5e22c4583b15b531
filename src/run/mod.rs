//! A run: inputs read, analysed, and written as a result folder.

pub mod check_model;
pub mod compare;
pub mod mechanism;
pub mod plain;
pub mod rescore;
pub mod verify;

use crate::analysis::{Analysis, Observer, Stage, analyse, normalise};
use crate::apoptosis::table::{apoptosis_synergy_table, apoptosis_table};
use crate::archive::stages::{self, Stages};
use crate::archive::{manifest, raw_wells_table};
use crate::backend::Backend;
use crate::backend::choose::{Chosen, choose};
use crate::config::{Normalization, Settings};
use crate::fit::inference;
use crate::plate::flags::WellFlags;
use crate::rank::known::join_knowledge;
use crate::report::page::{self, Page};
use crate::report::picture::interval;
use crate::report::run_json::{Counts, InputFile, RunRecord, Timing};
use crate::report::{files, table::Table};
use crate::resistance::evidence::canonical_name;
use crate::resistance::knowledge::{ClinicalResponse, Knowledge, with_literature};
use crate::screen::Screen;
use crate::screen::rejections::Rejections;
use crate::{Error, Result, ingest, plate, rank, resistance, synergy};
use rayon::prelude::*;
use std::path::{Path, PathBuf};
use std::time::Instant;

/// Pairs drawn in the report.
const PAIRS_DRAWN: usize = 12;

/// How far a run goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Extent {
    /// Plate quality only.
    Quality,
    /// Quality and normalised wells.
    Normalised,
    /// Everything.
    Full,
}

/// A finished run.
#[derive(Debug, Clone)]
pub struct Finished {
    /// The screen.
    pub screen: Screen,
    /// What was found.
    pub analysis: Analysis,
    /// What was written to `run.json`.
    pub record: RunRecord,
    /// Files written, in order.
    pub files: Vec<PathBuf>,
}

/// Times stages as they follow one another.
struct Clock {
    timings: Vec<Timing>,
    running: Option<(Stage, Instant)>,
}

impl Clock {
    fn begin(&mut self, stage: Option<Stage>) {
        if let Some((stage, since)) = self.running.take() {
            self.timings.push(Timing { stage: stage.name().into(), seconds: since.elapsed().as_secs_f64() });
        }
        self.running = stage.map(|s| (s, Instant::now()));
    }
}

/// Runs `work` on a thread pool of the size that the settings ask for: the library leaves the global pool alone.
///
/// # Errors
/// [`Error::Screen`] where the threads cannot be started; those of `work`.
pub fn on_threads<T: Send>(threads: usize, work: impl FnOnce() -> Result<T> + Send) -> Result<T> {
    let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().map_err(|e| Error::Screen {
        problem: format!("cannot start {threads} threads: {e}"),
        hint: Some("try fewer: `--threads 2`".into()),
    })?;
    pool.install(work)
}

/// Reads, analyses and writes. The output folder is made before anything is read, so that a bad path fails at once.
///
/// # Errors
/// Those of reading, of the back end, and of writing.
pub fn run(settings: &Settings, extent: Extent, title: &str, observe: Observer<'_>) -> Result<Finished> {
    if extent == Extent::Full && !settings.normalization.is_viability() {
        return Err(no_viability(settings.normalization));
    }
    files::prepare(&settings.out)?;
    spare_the_inputs(settings)?;
    clear_previous(&settings.out);
    let Chosen { backend, reason } = choose(settings.backend)?;
    let value = serde_json::to_value(settings)
        .map_err(|e| Error::Screen { problem: format!("the settings cannot be written: {e}"), hint: None })?;
    let mut record = RunRecord::new(value, backend.name(), &backend.device(), settings.seed);
    record.backend_reason = Some(reason);
    let mut clock = Clock { timings: Vec::new(), running: None };

    clock.begin(Some(Stage::Read));
    observe(Stage::Read, &format!("{} files", settings.inputs.len()));
    for input in settings.files_read() {
        record.inputs.push(InputFile::of(&input)?);
    }
    let mut screen = ingest::read_screen(&settings.inputs, &settings.mapping, settings.lines_file.as_deref())?;
    screen.evidence = ingest::read_evidence(&settings.evidence_files)?;
    screen.apoptosis = ingest::read_apoptosis(&settings.apoptosis_files, &settings.mapping)?;
    let knowledge = knowledge_of(settings)?;

    let mut analysis = if extent == Extent::Full {
        let mut timed = |stage: Stage, detail: &str| {
            clock.begin(Some(stage));
            observe(stage, detail);
        };
        analyse(&screen, settings, backend.as_ref(), &mut timed)?
    } else {
        clock.begin(Some(Stage::Plates));
        observe(Stage::Plates, &format!("{} wells on {} plates", screen.wells.len(), screen.plates.len()));
        normalise(&screen, settings, backend.as_ref())?
    };

    know(&mut analysis, &screen, settings, &knowledge);
    clock.begin(Some(Stage::Write));
    observe(Stage::Write, &settings.out.display().to_string());
    record.title = title.to_owned();
    let found = Found { screen, analysis, knowledge, taken: Vec::new() };
    write(settings, extent, found, record, clock, backend.as_ref())
}

/// What is known of the anchor and its partners: the user's own tables, or the embedded ones.
fn knowledge_of(settings: &Settings) -> Result<Knowledge> {
    settings.knowledge_folder.as_deref().map_or_else(|| Ok(Knowledge::default()), Knowledge::read)
}

/// Joins the user's own tables to the rankings; the embedded ones are joined already.
fn know(analysis: &mut Analysis, screen: &Screen, settings: &Settings, knowledge: &Knowledge) {
    if settings.knowledge_folder.is_some() {
        let anchor = analysis.anchor;
        let of_mechanisms = analysis.pairs_by_mechanism.iter_mut().map(|ranking| &mut ranking.pairs);
        for pairs in std::iter::once(&mut analysis.pairs).chain(of_mechanisms) {
            join_knowledge(pairs, screen, anchor, knowledge);
        }
    }
}

/// What is to be written.
struct Found {
    screen: Screen,
    analysis: Analysis,
    knowledge: Knowledge,
    /// Files of an archive that are written already, as they were.
    taken: Vec<PathBuf>,
}

/// Writes what was found, `run.json` last: a folder without it is not finished.
fn write(
    settings: &Settings,
    extent: Extent,
    found: Found,
    mut record: RunRecord,
    mut clock: Clock,
    backend: &dyn Backend,
) -> Result<Finished> {
    let Found { screen, analysis, knowledge, taken } = found;
    record.counts = counts(&screen, &analysis);
    record.fits_refitted_share = analysis.refitted_share(backend);
    record.warnings.clone_from(&analysis.warnings);
    let is_taken = |file: &str| taken.iter().any(|path| path.file_name().is_some_and(|name| name == file));
    let wanted = |table: &str| !is_taken(&format!("{table}.parquet"));
    let mut written = Vec::new();
    let identity = record.identity();
    let write_table = |table: Table| -> Result<Vec<PathBuf>> {
        // Of raw wells the input is the text that people read; a picklist is for a dispenser, and those read CSV.
        let csv = table.name == rank::picklist::NAME || settings.csv && table.name != "raw_wells";
        let parquet = files::write(&table, &settings.out, &identity, csv)?;
        let text = csv.then(|| settings.out.join(format!("{}.csv", table.name)));
        Ok(std::iter::once(parquet).chain(text).collect())
    };
    // Small tables keep one thread busy each, and each waits for the disk.
    let all = tables(&screen, settings, &analysis, &knowledge, extent, &wanted);
    let of_tables: Vec<Result<Vec<PathBuf>>> = all.into_par_iter().map(write_table).collect();
    for paths in of_tables {
        written.extend(paths?);
    }
    if extent == Extent::Full {
        if !is_taken(stages::FILE) {
            written.push(Stages::of(&screen, &analysis).write(&settings.out)?);
        }
        written.extend(keep_knowledge(settings)?);
        written.extend(write_page(settings, &screen, &analysis, &knowledge, &record)?);
    }
    written.extend(taken);
    record.list(&settings.out, &written)?;
    clock.begin(None);
    record.timings = clock.timings;
    written.push(record.write(&settings.out)?);
    if analysis.wells.is_empty() {
        return Err(nothing_usable(&record.counts, &analysis.rejected));
    }
    Ok(Finished { screen, analysis, record, files: written })
}

/// Copies the user's own tables of what is known into the results: on another machine they would not be where they lay.
fn keep_knowledge(settings: &Settings) -> Result<Vec<PathBuf>> {
    let Some(folder) = settings.knowledge_folder.as_deref() else { return Ok(Vec::new()) };
    let into = settings.out.join(manifest::KNOWLEDGE);
    files::prepare(&into)?;
    if into != folder {
        // Of a run that was interrupted: what is not listed must not be read.
        Knowledge::files(&into).iter().for_each(|stale| drop(std::fs::remove_file(stale)));
    }
    let copy = |from: PathBuf| {
        let bytes =
            std::fs::read(&from).map_err(|source| Error::File { action: "read", path: from.clone(), source })?;
        let path = into.join(from.file_name().unwrap_or_default());
        files::write_whole(&path, |out| out.write_all(&bytes)).map(|()| path)
    };
    Knowledge::files(folder).into_iter().map(copy).collect()
}

/// Writes what people read: the page, and the picture of the ranking where there is one.
fn write_page(
    settings: &Settings,
    screen: &Screen,
    analysis: &Analysis,
    knowledge: &Knowledge,
    record: &RunRecord,
) -> Result<Vec<PathBuf>> {
    let mut written = Vec::new();
    if !analysis.pairs.is_empty() {
        let picture = interval::ranking(&analysis.pairs, screen).document();
        let path = settings.out.join("ranking.svg");
        files::write_whole(&path, |out| out.write_all(picture.as_bytes()))?;
        written.push(path);
    }
    let is_partner = |name: &str| screen.drugs.iter().any(|drug| canonical_name(drug) == canonical_name(name));
    let clinic = knowledge.clinic_of(&settings.anchor, is_partner);
    let clinic: Vec<String> = clinic.into_iter().map(ClinicalResponse::words).collect();
    written.push(page::write(&page_of(screen, settings, analysis, record, &clinic), &settings.out)?);
    Ok(written)
}

/// An input inside the output folder, or where it keeps what is known, could be overwritten by the table of its name.
fn spare_the_inputs(settings: &Settings) -> Result<()> {
    let Ok(out) = settings.out.canonicalize() else { return Ok(()) };
    for input in settings.files_read() {
        let folder = input.canonicalize().ok().and_then(|path| path.parent().map(Path::to_owned));
        if folder.is_some_and(|folder| folder == out || folder == out.join(manifest::KNOWLEDGE)) {
            return Err(Error::Setting {
                key: "out".into(),
                problem: format!("`{}` holds the input `{}`", settings.out.display(), input.display()),
                hint: Some("choose another folder: results have names of their own and would replace inputs".into()),
            });
        }
    }
    Ok(())
}

/// Everything that a run may write. A new run into the same folder first removes what an earlier one left, its
/// `run.json` before all, so that results of two runs never stand side by side as if they were one.
fn clear_previous(out: &Path) {
    if !out.join("run.json").is_file() {
        return;
    }
    let tables = [
        "wells",
        "plates",
        "batches",
        "plate_curves",
        "flagged",
        "normalization",
        "curves",
        "matrices",
        "surfaces",
        "synergy",
        "resistance",
        "cross_resistance",
        "resensitisation",
        "differential",
        "schedules",
        "confirmation",
        "next_experiment",
        "mechanisms",
        "evidence",
        "pairs",
        "pairs_by_mechanism",
        "apoptosis",
        "apoptosis_synergy",
        "rejected",
        "triples",
        "triple_surfaces",
        "triple_interactions",
        "raw_wells",
    ];
    let written =
        tables.iter().chain(&synergy::table::OPTIONAL).flat_map(|t| [format!("{t}.parquet"), format!("{t}.csv")]);
    for name in ["run.json", "report.html", "ranking.svg", stages::FILE].map(str::to_owned).into_iter().chain(written) {
        // What cannot be removed cannot be replaced either: writing will say so.
        let _ = std::fs::remove_file(out.join(name));
    }
    let knowledge = out.join(manifest::KNOWLEDGE);
    for path in Knowledge::files(&knowledge) {
        let _ = std::fs::remove_file(path);
    }
    // Goes if it is empty.
    let _ = std::fs::remove_dir(knowledge);
}

/// Curves, synergy and ranking are about viability.
fn no_viability(normalization: Normalization) -> Error {
    Error::Setting {
        key: "normalize".into(),
        problem: format!("`{}` gives no viability, and curves and synergy are about viability", normalization.name()),
        hint: Some("`isobole normalize` gives these values; `run` takes percent-of-vehicle".into()),
    }
}

/// The tables say why for each well; this says it once.
fn nothing_usable(counts: &Counts, rejected: &Rejections) -> Error {
    let commonest = counts.rejected_by_reason.iter().max_by_key(|(reason, n)| (**n, std::cmp::Reverse(*reason)));
    let problem = match commonest {
        None => "the screen has no well".to_owned(),
        Some((reason, n)) => {
            let detail = rejected.iter().find(|r| r.reason == reason.as_str()).map_or("", |r| r.detail);
            format!("none of the {} wells can be used; {n} are `{reason}`: {detail}", counts.wells_in)
        }
    };
    Error::Screen { problem, hint: Some("the table `rejected` names every well and its reason".into()) }
}

fn counts(screen: &Screen, analysis: &Analysis) -> Counts {
    let mut counts = Counts {
        wells_in: screen.wells_in,
        wells_used: analysis.wells.len(),
        wells_rejected: analysis.rejected.len(),
        plates: analysis.plates.len(),
        curves: analysis.curves.len(),
        matrices: analysis.matrices.len(),
        pairs: analysis.pairs.len(),
        ..Counts::default()
    };
    for (_, reason, n) in analysis.rejected.counts() {
        *counts.rejected_by_reason.entry(reason.to_owned()).or_default() += n;
    }
    counts
}

/// The tables of a run, but for those that are not `wanted`.
fn tables(
    screen: &Screen,
    settings: &Settings,
    analysis: &Analysis,
    knowledge: &Knowledge,
    extent: Extent,
    wanted: &dyn Fn(&str) -> bool,
) -> Vec<Table> {
    let mut tables = Vec::new();
    let mut add = |name: &str, table: &dyn Fn() -> Table| tables.extend(wanted(name).then(table));
    add("plates", &|| plate::table(&analysis.plates, screen));
    add("batches", &|| plate::batches_table(&analysis.batches, screen));
    add("plate_curves", &|| plate::plate_curves_table(&analysis.plate_curves, screen));
    add("rejected", &|| rejected_table(&analysis.rejected, screen));
    match extent {
        Extent::Quality => add("flagged", &|| plate::flagged_table(&analysis.wells, screen)),
        Extent::Normalised | Extent::Full => add("wells", &|| plate::wells_table(&analysis.wells, screen)),
    }
    if extent != Extent::Quality {
        add("normalization", &|| plate::normalization_table::table(&analysis.vehicle_noise, &analysis.spatial, screen));
    }
    if extent == Extent::Full {
        let Analysis { curves, fits, inferences, intervals, scores, resistances, pairs, .. } = analysis;
        add("curves", &|| {
            let curves_table = inference::table(curves, fits, inferences, screen, settings.model);
            inference::append_intervals(curves_table, settings.ci, intervals, settings.model)
        });
        add("matrices", &|| matrices_table(analysis, screen));
        add("raw_wells", &|| raw_wells_table(screen));
        let of_synergy = synergy::table::tables(scores, &analysis.matrices, settings, screen);
        tables.extend(of_synergy.into_iter().map(|table| table.table));
        tables.extend(triple_tables(analysis, screen));
        let resistance_table = resistance::table(resistances, screen);
        tables.push(with_literature(resistance_table, resistances, screen, &settings.anchor, knowledge));
        tables.push(resistance::cross_resistance::table(&analysis.cross_resistances, screen));
        tables.push(resistance::resensitisation::table(&analysis.resensitisations, screen, resistances));
        tables.push(resistance::mechanism::table::mechanisms_table(&analysis.mechanisms));
        tables.push(resistance::mechanism::table::evidence_table(&analysis.mechanisms));
        tables.push(rank::differential::table(&analysis.differentials, screen));
        if !analysis.schedules.is_empty() {
            tables.push(rank::schedule::table(&analysis.schedules, screen));
        }
        if !analysis.confirmations.is_empty() {
            tables.push(rank::confirmation::table(&analysis.confirmations, screen));
            tables.push(rank::picklist::table(&analysis.confirmations, screen, settings.seed));
        }
        tables.push(rank::table(pairs, screen));
        tables.push(rank::by_mechanism::by_mechanism_table(&analysis.pairs_by_mechanism, screen));
        if !analysis.apoptosis.is_empty() {
            tables.push(apoptosis_table(&analysis.apoptosis));
            tables.push(apoptosis_synergy_table(&analysis.apoptosis_synergy));
        }
    }
    tables
}

/// The tables of three drugs, where there are any.
fn triple_tables(analysis: &Analysis, screen: &Screen) -> Vec<Table> {
    use synergy::three::musyc_table::{rows_of, triple_interactions_table};
    use synergy::three::table::{keyed, triple_surfaces_table, triples_table};
    let Analysis { triple_keys, triples, triple_scores, .. } = analysis;
    if triples.is_empty() {
        return Vec::new();
    }
    let cells =
        || triple_keys.iter().zip(triple_scores).flat_map(|(key, score)| std::iter::repeat_n(key, score.n_cells));
    let mut tables = vec![
        triples_table(keyed("triples", screen, triple_keys.iter()), triple_scores),
        triple_surfaces_table(keyed("triple_surfaces", screen, cells()), triples, triple_scores),
    ];
    if triple_scores.iter().any(|score| score.musyc.is_some()) {
        let rows = || triple_keys.iter().zip(triple_scores).flat_map(|(key, s)| std::iter::repeat_n(key, rows_of(s)));
        tables.push(triple_interactions_table(keyed("triple_interactions", screen, rows()), triple_scores));
    }
    tables
}

/// The `rejected` table: every well left out, with its reason.
fn rejected_table(rejected: &Rejections, screen: &Screen) -> Table {
    Table::new("rejected")
        .named("plate_id", &screen.plates, rejected.iter().map(|r| Some(r.plate)))
        .code("well", rejected.iter().map(|r| r.well.map(|w| w.to_string())))
        .code("reason", rejected.iter().map(|r| Some(r.reason)))
        .code("detail", rejected.iter().map(|r| Some(r.detail)))
}

fn page_of<'a>(
    screen: &'a Screen,
    settings: &'a Settings,
    analysis: &'a Analysis,
    record: &'a RunRecord,
    clinic: &'a [String],
) -> Page<'a> {
    Page {
        title: &record.title,
        screen,
        run: record,
        anchor: &settings.anchor,
        models: &settings.synergy,
        score_model: settings.score_model,
        pairs: &analysis.pairs,
        schedules: &analysis.schedules,
        confirmations: &analysis.confirmations,
        matrices: &analysis.scores,
        curves: &analysis.curves,
        fits: &analysis.fits,
        model: settings.model,
        resistance: &analysis.resistances,
        cross_resistance: &analysis.cross_resistances,
        resensitisation: &analysis.resensitisations,
        mechanisms: &analysis.mechanisms,
        apoptosis: &analysis.apoptosis_synergy,
        clinic,
        plates: &analysis.plates,
        batches: &analysis.batches,
        flagged: WellFlags::counts(analysis.wells.flags()),
        rejected: &analysis.rejected,
        pairs_drawn: PAIRS_DRAWN,
    }
}

/// The `matrices` table: every observed dose pair, replicates collapsed; what a later re-scoring starts from.
fn matrices_table(analysis: &Analysis, screen: &Screen) -> Table {
    let cells = || analysis.matrices.iter().flat_map(|m| m.cells.iter().map(move |c| (m.key, c)));
    Table::new("matrices")
        .named("block", &screen.blocks, cells().map(|(k, _)| k.block))
        .code("cell_line", cells().map(|(k, _)| Some(screen.lines.name(k.line))))
        .named("drug_a", &screen.drugs, cells().map(|(k, _)| Some(k.drug_a)))
        .named("drug_b", &screen.drugs, cells().map(|(k, _)| Some(k.drug_b)))
        .named("schedule", &screen.schedules, cells().map(|(k, _)| k.schedule))
        .number("dose_a_molar", cells().map(|(_, c)| Some(c.dose_a)))
        .number("dose_b_molar", cells().map(|(_, c)| Some(c.dose_b)))
        .number("response", cells().map(|(_, c)| Some(c.response)))
        .number("weight", cells().map(|(_, c)| Some(c.weight)))
        .integer("n", cells().map(|(_, c)| Some(i64::from(c.n))))
        .number("sum_of_squares", cells().map(|(_, c)| Some(c.sum_of_squares)))
}
