//! A simulated screen as files: the canonical well table, the lines, the truth.

use super::annexin::{apoptosis_csv, apoptosis_truth};
use super::evidence::{evidence_csv, marker_truth};
use super::{Recipe, Simulated, SimulatedPlate, previous};
use crate::screen::well::Role;
use crate::{Error, Result};
use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int32Builder, RecordBatch, StringDictionaryBuilder};
use arrow::datatypes::Int32Type;
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Rows of a row group: small enough to be read in parallel.
const ROW_GROUP: usize = 65_536;
/// What the files say of who made them.
pub(super) const CREATED_BY: &str = "isobole simulate";
/// Plates turned into one batch of columns.
const PLATES_PER_BATCH: usize = 256;

/// What [`write()`] left.
#[derive(Debug, Clone, PartialEq)]
pub struct Written {
    /// The well table.
    pub plates: PathBuf,
    /// The lines.
    pub lines: PathBuf,
    /// The truth.
    pub truth: PathBuf,
    /// Rows of the well table.
    pub wells: usize,
}

/// Writes `plates.parquet`, `lines.csv` and `truth.parquet` into `dir`, which is made if it is not there. Each file is
/// written beside its place and then moved there whole. What an earlier screen left there besides goes.
///
/// # Errors
/// [`Error::File`] where a file cannot be made or removed, [`Error::Format`] where it cannot be encoded.
pub fn write(simulated: &Simulated, dir: &Path) -> Result<Written> {
    let files = [
        ("plates.parquet", plates_parquet(simulated)?),
        ("lines.csv", lines_csv(&simulated.recipe, true).into_bytes()),
        ("truth.parquet", truth_parquet(simulated)?),
    ];
    previous::clear(dir, &files.each_ref().map(|(name, _)| *name))?;
    for (name, bytes) in &files {
        write_whole(dir, name, bytes)?;
    }
    Ok(Written {
        plates: dir.join("plates.parquet"),
        lines: dir.join("lines.csv"),
        truth: dir.join("truth.parquet"),
        wells: simulated.plates.iter().map(|plate| plate.wells.len()).sum(),
    })
}

/// What is measured beside the plates.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Beside {
    /// Blots and PCR of the sublines' proteins: `evidence.csv`, `truth_evidence.parquet`.
    pub evidence: bool,
    /// Annexin V / PI of some pairs: `apoptosis.csv`, `truth_apoptosis.parquet`.
    pub apoptosis: bool,
}

/// Writes what was measured beside the plates into the folder of [`write()`], with its truth, and a `screen.toml` that
/// names all of it; gives the files. With evidence, `lines.csv` no longer says why lines are resistant: that is to be found
/// out, and the truth tables say it.
///
/// # Errors
/// As [`write()`].
pub fn write_beside(recipe: &Recipe, beside: Beside, dir: &Path) -> Result<Vec<PathBuf>> {
    let mut files: Vec<(&str, Vec<u8>)> = Vec::new();
    if beside.evidence {
        files.push(("lines.csv", lines_csv(recipe, false).into_bytes()));
        files.push(("evidence.csv", evidence_csv(recipe).into_bytes()));
        files
            .push(("truth_evidence.parquet", encode("truth_evidence.parquet", std::iter::once(marker_batch(recipe)))?));
    }
    if beside.apoptosis {
        files.push(("apoptosis.csv", apoptosis_csv(recipe).into_bytes()));
        let truth = std::iter::once(apoptosis_batch(recipe));
        files.push(("truth_apoptosis.parquet", encode("truth_apoptosis.parquet", truth)?));
    }
    if !files.is_empty() {
        let anchor = recipe.drugs.get(recipe.anchor).map_or("", |drug| drug.name.as_str());
        files.push(("screen.toml", screen_toml(anchor, beside).into_bytes()));
    }
    for (name, bytes) in &files {
        write_whole(dir, name, bytes)?;
    }
    Ok(files.iter().map(|(name, _)| dir.join(name)).collect())
}

/// Names the plates, the lines and what is measured beside them.
pub(super) fn screen_toml(anchor: &str, beside: Beside) -> String {
    let mut text = format!("plates = 'plates.parquet'\nlines_file = 'lines.csv'\nanchor = '{anchor}'\n");
    for (is_measured, name) in [(beside.evidence, "evidence"), (beside.apoptosis, "apoptosis")] {
        if is_measured {
            text += &format!("[{name}]\nfiles = '{name}.csv'\n");
        }
    }
    text
}

/// What each subline has of each marker.
fn marker_batch(recipe: &Recipe) -> Batch {
    let [mut cell_line, mut parental, mut mechanism, mut marker] = std::array::from_fn::<Text, 4, _>(|_| Text::new());
    let (mut fold, mut is_causal) = (Float64Builder::new(), BooleanBuilder::new());
    for row in marker_truth(recipe) {
        let Some(line) = recipe.lines.get(row.line) else { continue };
        cell_line.append_value(&line.name);
        parental.append_option(line.parental.as_deref());
        mechanism.append_option(line.mechanism.as_deref());
        marker.append_value(row.marker);
        fold.append_value(row.fold);
        is_causal.append_value(row.is_causal);
    }
    vec![
        ("cell_line", text(cell_line)),
        ("parental", text(parental)),
        ("mechanism", text(mechanism)),
        ("marker", text(marker)),
        ("fold", Arc::new(fold.finish())),
        ("is_causal", Arc::new(is_causal.finish())),
    ]
}

/// What each measured pair adds to apoptosis in each line.
fn apoptosis_batch(recipe: &Recipe) -> Batch {
    let [mut cell_line, mut drug_a, mut drug_b, mut schedule] = std::array::from_fn::<Text, 4, _>(|_| Text::new());
    let mut excess = Float64Builder::new();
    for row in apoptosis_truth(recipe) {
        let (Some(line), Some(pair)) = (recipe.lines.get(row.line), recipe.pairs.get(row.pair)) else { continue };
        let drug = |drug: usize| recipe.drugs.get(drug).map(|drug| drug.name.as_str());
        cell_line.append_value(&line.name);
        drug_a.append_option(drug(pair.drug_a));
        drug_b.append_option(drug(pair.drug_b));
        schedule.append_value(pair.schedule);
        excess.append_value(row.mean_bliss_excess);
    }
    vec![
        ("cell_line", text(cell_line)),
        ("drug_a", text(drug_a)),
        ("drug_b", text(drug_b)),
        ("schedule", text(schedule)),
        ("mean_excess_bliss", Arc::new(excess.finish())),
    ]
}

/// Puts `bytes` at `dir/name`: all of them or nothing.
pub(super) fn write_whole(dir: &Path, name: &str, bytes: &[u8]) -> Result<()> {
    let failed = |action, path: &Path| {
        let path = path.to_owned();
        move |source| Error::File { action, path, source }
    };
    std::fs::create_dir_all(dir).map_err(failed("create", dir))?;
    let (partial, path) = (dir.join(format!("{name}.partial")), dir.join(name));
    std::fs::write(&partial, bytes).map_err(failed("create", &partial))?;
    std::fs::rename(&partial, &path).map_err(failed("rename", &path))
}

/// A column of text with few distinct values.
type Text = StringDictionaryBuilder<Int32Type>;

/// The well table, sorted by plate, row and column.
pub(super) fn plates_parquet(simulated: &Simulated) -> Result<Vec<u8>> {
    encode("plates.parquet", simulated.plates.chunks(PLATES_PER_BATCH).map(|plates| well_batch(simulated, plates)))
}

fn well_batch(simulated: &Simulated, plates: &[SimulatedPlate]) -> Batch {
    let recipe = &simulated.recipe;
    let [mut plate_id, mut well_name, mut cell_line, mut role, mut drug_a, mut drug_b, mut conc_unit, mut schedule] =
        std::array::from_fn::<Text, 8, _>(|_| Text::new());
    let [mut conc_a, mut conc_b, mut signal, mut signal_t0, mut time_h] =
        std::array::from_fn::<Float64Builder, 5, _>(|_| Float64Builder::new());
    let mut replicate = Int32Builder::new();
    for plate in plates {
        let line = recipe.lines.get(plate.line).map(|line| line.name.as_str());
        for well in &plate.wells {
            let has_cells = !matches!(well.role, Role::Blank | Role::Empty);
            let pair = well.pair.and_then(|pair| recipe.pairs.get(pair));
            let drug = |drug: usize| recipe.drugs.get(drug).map(|drug| drug.name.as_str());
            plate_id.append_value(&plate.plate_id);
            well_name.append_value(well.position.to_string());
            cell_line.append_option(line.filter(|_| has_cells));
            role.append_value(well.role.name());
            drug_a.append_option(pair.and_then(|pair| drug(pair.drug_a)));
            conc_a.append_option(pair.map(|_| well.dose_a_um));
            drug_b.append_option(pair.and_then(|pair| drug(pair.drug_b)));
            conc_b.append_option(pair.map(|_| well.dose_b_um));
            conc_unit.append_value("uM");
            schedule.append_option(pair.map(|pair| pair.schedule));
            signal.append_value(well.signal);
            signal_t0.append_value(plate.signal_t0);
            time_h.append_value(recipe.time_h);
            replicate.append_value(plate.replicate as i32);
        }
    }
    vec![
        ("plate_id", text(plate_id)),
        ("well", text(well_name)),
        ("cell_line", text(cell_line)),
        ("role", text(role)),
        ("drug_a", text(drug_a)),
        ("conc_a", Arc::new(conc_a.finish())),
        ("drug_b", text(drug_b)),
        ("conc_b", Arc::new(conc_b.finish())),
        ("conc_unit", text(conc_unit)),
        ("schedule", text(schedule)),
        ("replicate", Arc::new(replicate.finish())),
        ("time_h", Arc::new(time_h.finish())),
        ("signal", Arc::new(signal.finish())),
        ("signal_t0", Arc::new(signal_t0.finish())),
    ]
}

/// `cell_line,parental,status,mechanism`, one line a row; with mechanisms where these are told.
fn lines_csv(recipe: &Recipe, mechanisms: bool) -> String {
    let mut text = String::from("cell_line,parental,status,mechanism\n");
    for line in &recipe.lines {
        let parental = line.parental.as_deref().unwrap_or("");
        let mechanism = line.mechanism.as_deref().filter(|_| mechanisms).unwrap_or("");
        text += &[&line.name, parental, line.status.name(), mechanism].map(csv_field).join(",");
        text.push('\n');
    }
    text
}

/// A field as CSV wants it (RFC 4180).
pub(super) fn csv_field(field: &str) -> String {
    if field.contains([',', '"', '\n', '\r']) { format!("\"{}\"", field.replace('"', "\"\"")) } else { field.into() }
}

/// The truth, sorted as in the recipe: by line, then by pair.
pub(super) fn truth_parquet(simulated: &Simulated) -> Result<Vec<u8>> {
    let recipe = &simulated.recipe;
    let [mut cell_line, mut parental, mut status, mut mechanism, mut drug_a, mut drug_b, mut schedule, mut planted] =
        std::array::from_fn::<Text, 8, _>(|_| Text::new());
    const NUMBERS: [&str; 17] = [
        "e0",
        "e1",
        "e2",
        "e3",
        "hill_a",
        "hill_b",
        "log10_ec50_a",
        "log10_ec50_b",
        "alpha12",
        "alpha21",
        "gamma12",
        "gamma21",
        "mean_excess_bliss",
        "mean_excess_hsa",
        "anchor_log10_ec50",
        "anchor_log10_ic50",
        "fold_resistance",
    ];
    let mut numbers: [Float64Builder; NUMBERS.len()] = std::array::from_fn(|_| Float64Builder::new());
    // Concentrations in recipes are in µM, in tables molar.
    let log10_molar = |um: f64| libm::log10(um) - 6.0;
    for row in &simulated.truth {
        let (Some(line), Some(pair)) = (recipe.lines.get(row.line), recipe.pairs.get(row.pair)) else { continue };
        let drug = |drug: usize| recipe.drugs.get(drug).map(|drug| drug.name.as_str());
        cell_line.append_value(&line.name);
        parental.append_option(line.parental.as_deref());
        status.append_value(line.status.name());
        mechanism.append_option(line.mechanism.as_deref());
        drug_a.append_option(drug(pair.drug_a));
        drug_b.append_option(drug(pair.drug_b));
        schedule.append_value(pair.schedule);
        planted.append_value(pair.planted.name());
        let s = &row.surface;
        let values = [
            Some(s.e0),
            Some(s.e1),
            Some(s.e2),
            Some(s.e3),
            Some(s.hill1),
            Some(s.hill2),
            Some(log10_molar(s.ec50_1)),
            Some(log10_molar(s.ec50_2)),
            Some(s.alpha12),
            Some(s.alpha21),
            Some(s.gamma12),
            Some(s.gamma21),
            Some(row.mean_bliss_excess),
            Some(row.mean_hsa_excess),
            Some(log10_molar(row.anchor_ec50_um)),
            row.anchor_ic50_um.map(log10_molar),
            row.fold_resistance,
        ];
        numbers.iter_mut().zip(values).for_each(|(column, value)| column.append_option(value));
    }
    let mut batch: Batch = vec![
        ("cell_line", text(cell_line)),
        ("parental", text(parental)),
        ("status", text(status)),
        ("mechanism", text(mechanism)),
        ("drug_a", text(drug_a)),
        ("drug_b", text(drug_b)),
        ("schedule", text(schedule)),
        ("planted", text(planted)),
    ];
    batch.extend(NUMBERS.into_iter().zip(numbers).map(|(name, mut column)| (name, Arc::new(column.finish()) as _)));
    encode("truth.parquet", std::iter::once(batch))
}

/// Named columns of one length.
type Batch = Vec<(&'static str, ArrayRef)>;

/// Plain text in the file: the dictionary is Parquet's own affair.
fn text(mut column: Text) -> ArrayRef {
    Arc::new(column.finish())
}

/// Parquet bytes of the batches, which must have the same columns.
fn encode(name: &str, batches: impl Iterator<Item = Batch>) -> Result<Vec<u8>> {
    let failed = |problem: String| Error::Format {
        path: PathBuf::from(name),
        row_group: None,
        column: None,
        problem,
        hint: None,
    };
    // The writer's version is left out so that the bytes depend on the screen alone; the schema is stored in Parquet's
    // own terms, as text is dictionary-encoded in memory only.
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(9).map_err(|e| failed(e.to_string()))?))
        .set_created_by(CREATED_BY.into())
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build();
    let mut writer: Option<ArrowWriter<Vec<u8>>> = None;
    for columns in batches {
        let batch =
            RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(name, array)| (name, array, true)))
                .map_err(|e| failed(e.to_string()))?;
        let writer = match &mut writer {
            Some(writer) => writer,
            None => {
                let options =
                    ArrowWriterOptions::new().with_properties(properties.clone()).with_skip_arrow_metadata(true);
                let opened = ArrowWriter::try_new_with_options(Vec::new(), batch.schema(), options);
                writer.insert(opened.map_err(|e| failed(e.to_string()))?)
            }
        };
        writer.write(&batch).map_err(|e| failed(e.to_string()))?;
    }
    match writer {
        Some(writer) => writer.into_inner().map_err(|e| failed(e.to_string())),
        None => Err(failed("there is nothing to write".into())),
    }
}
