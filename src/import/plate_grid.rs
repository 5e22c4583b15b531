//! Generic plate grids: blocks of 8 × 12, 16 × 24 or 32 × 48 readings in text or workbooks, with a layout.

use super::combination::push;
use super::grid::{self, Block, PLATES};
use super::layout::{LaidWell, Layout};
use super::manifest::{self, Entry};
use super::sheet::{Sheet, of_file};
use super::wells::{Dose, FoundWell, Imported, Reading};
use super::{ImportSettings, workbook};
use crate::screen::well::{Role, WellPosition};
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// A plate's readings, wherever they came from.
pub(super) struct RawPlate {
    pub name: String,
    /// Where its name or its first well is.
    pub place: String,
    /// Well, reading, and the cell that holds it.
    pub readings: Vec<(WellPosition, Option<f64>, String)>,
    /// The plate's number of wells, where the block is a whole plate.
    pub size: Option<usize>,
}

/// Imports grids.
pub(super) fn import(files: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    let Some(layout_path) = &settings.layout else {
        return Err(Error::Setting {
            key: "layout".into(),
            problem: "grids say nothing about what is in their wells".into(),
            hint: Some("give a file that does: --layout LAYOUT.csv (columns well, drug_a, conc_a, role, …)".into()),
        });
    };
    let layout = Layout::read(layout_path, settings)?;
    let manifest = settings.manifest.as_ref().map(|path| manifest::read(path, settings)).transpose()?;
    let mut imported = Imported::new(Reading::Signal);
    let mut names = BTreeSet::new();
    for file in files {
        for plate in plates(file, files.len() > 1, settings, &mut imported)? {
            if !names.insert(plate.name.clone()) {
                let problem = format!("{}: a second plate `{}`", plate.place, plate.name);
                return Err(of_file(file, problem, "give each block a title of its own above it"));
            }
            let entry = match &manifest {
                None => None,
                Some(manifest) => Some(in_manifest(manifest, &plate, file)?),
            };
            let Some(wells) = layout.of(&plate.name) else {
                let problem = format!("{}: plate `{}` is not in `{}`", plate.place, plate.name, layout_path.display());
                return Err(of_file(file, problem, "rows without a plate_id are for every plate; globs name several"));
            };
            if let Some((_, rows, columns)) = PLATES.iter().find(|size| plate.size == Some(size.0)) {
                layout.fits(*rows, *columns)?;
            }
            let line = entry.and_then(|entry| entry.line.as_deref()).or(settings.cell_line.as_deref());
            let time_h = entry.and_then(|entry| entry.time_h);
            join(&mut imported, file, &plate, wells, line, time_h)?;
        }
    }
    if names.is_empty() {
        let problem = "has no block of 8 × 12, 16 × 24 or 32 × 48 numbers".to_owned();
        return Err(of_file(&files[0], problem, "is it the right sheet? (--sheet NAME)"));
    }
    Ok(imported)
}

/// What the manifest says of a plate.
pub(super) fn in_manifest<'m>(
    manifest: &'m BTreeMap<String, Entry>,
    plate: &RawPlate,
    file: &Path,
) -> Result<&'m Entry> {
    manifest.get(&plate.name).ok_or_else(|| {
        let problem = format!("{}: plate `{}` is not in the manifest", plate.place, plate.name);
        of_file(file, problem, "add a row for it, or take the plate out")
    })
}

/// The plates of a file, named by file, sheet and title as far as these tell them apart.
fn plates(file: &Path, several: bool, settings: &ImportSettings, imported: &mut Imported) -> Result<Vec<RawPlate>> {
    let sheets = match &settings.sheet {
        Some(name) => vec![workbook::sheet(file, Some(name))?],
        None => workbook::sheets(file)?,
    };
    let mut found: Vec<(&Sheet, Block)> = Vec::new();
    for sheet in &sheets {
        let grid::Found { blocks, left_out } = grid::find(sheet)?;
        for (row, first, last) in left_out {
            let detail = format!("{} numbers that are no plate", last - first + 1);
            imported.reject(file, sheet.place(row, first), "not_a_plate", detail);
        }
        found.extend(blocks.into_iter().map(|block| (sheet, block)));
    }
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let several_sheets = found.iter().any(|(sheet, _)| sheet.name != found[0].0.name);
    let many = found.len() > 1;
    let mut plates = Vec::new();
    for (number, (sheet, block)) in found.iter().enumerate() {
        let sheet_name = sheet.name.as_deref().filter(|_| several_sheets);
        let title =
            block.title.clone().or_else(|| (many && sheet_name.is_none()).then(|| format!("plate {}", number + 1)));
        let parts = [several.then_some(stem.as_str()), sheet_name, title.as_deref().filter(|_| many)];
        let parts: Vec<&str> = parts.into_iter().flatten().collect();
        let name = if parts.is_empty() { stem.clone() } else { parts.join(" ") };
        plates.push(raw(sheet, block, name, settings)?);
    }
    Ok(plates)
}

/// The readings of a block, with the check that it is as large as was said.
pub(super) fn raw(sheet: &Sheet, block: &Block, name: String, settings: &ImportSettings) -> Result<RawPlate> {
    if let (Some(size), Some(said)) = (block.size, settings.plate_size)
        && size != said
    {
        let problem = format!("a block of {size} wells begins here, and --plate-size says {said}");
        return Err(sheet.error(block.corner.0, block.corner.1, problem, "correct --plate-size, or leave it out"));
    }
    let readings = grid::readings(sheet, block, settings.decimal)?;
    Ok(RawPlate {
        name,
        place: sheet.place(block.corner.0, block.corner.1),
        readings: readings.into_iter().map(|(well, value, at)| (well, value, sheet.place(at.0, at.1))).collect(),
        size: block.size,
    })
}

/// Readings and layout together; what has only one of the two is listed.
pub(super) fn join(
    imported: &mut Imported,
    file: &Path,
    plate: &RawPlate,
    wells: &BTreeMap<WellPosition, LaidWell>,
    line: Option<&str>,
    time_h: Option<f64>,
) -> Result<()> {
    let mut read = BTreeSet::new();
    for (position, reading, place) in &plate.readings {
        let Some(laid) = wells.get(position) else {
            let detail = format!("well {position} of `{}`", plate.name);
            imported.reject(file, place.clone(), "not_in_layout", detail);
            continue;
        };
        read.insert(*position);
        let Some(reading) = reading else {
            imported.reject(file, place.clone(), "missing_signal", format!("well {position} of `{}`", plate.name));
            continue;
        };
        let mut doses = [None; 3];
        for (slot, dose) in doses.iter_mut().zip(&laid.doses) {
            *slot = Some(Dose { drug: &dose.drug, dose: dose.dose, unit: &dose.unit, place: &dose.place });
        }
        let role = laid.role();
        let line = laid.line.as_deref().or(line).filter(|_| role != Role::Blank);
        let well =
            FoundWell { position: Some(*position), line, role, doses, time_h, ..FoundWell::on(&plate.name, *reading) };
        push(imported, well, file)?;
    }
    for (position, laid) in wells.iter().filter(|(position, _)| !read.contains(position)) {
        if laid.role() != Role::Empty {
            let detail = format!("well {position} of `{}` is laid out and not read", plate.name);
            imported.reject(file, plate.place.clone(), "no_reading", detail);
        }
    }
    Ok(())
}
