//! gDR's inputs (doi 10.1093/bioinformatics/btad310): exports of EnVision and Tecan readers with templates and a
//! manifest, or one long table. The reader's background is taken off; plates at time 0 become `signal_t0` of the other
//! plates of their line.

use super::combination::push;
use super::grid;
use super::layout::Layout;
use super::plate_grid::{RawPlate, in_manifest, join, raw};
use super::sheet::{Sheet, of_file};
use super::table::Table;
use super::wells::{Dose, FoundWell, Imported, Reading};
use super::{ImportSettings, manifest, workbook};
use crate::screen::well::WellPosition;
use crate::{Error, Result};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Imports readers' files by their manifest, or long tables without one.
pub(super) fn import(files: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    let mut imported = Imported::new(Reading::Signal);
    let Some(manifest_path) = &settings.manifest else {
        for file in files {
            long(file, settings, &mut imported)?;
        }
        return Ok(imported);
    };
    let manifest = manifest::read(manifest_path, settings)?;
    let mut layouts: BTreeMap<PathBuf, Layout> = BTreeMap::new();
    let mut seen = BTreeSet::new();
    let mut backgrounds = false;
    let mut at_zero: BTreeMap<String, (f64, usize)> = BTreeMap::new();
    let mut plates = Vec::new();
    for file in files {
        for (mut plate, background) in reader_plates(file, settings)? {
            let entry = in_manifest(&manifest, &plate, file)?;
            if !seen.insert(plate.name.clone()) {
                let problem = format!("{}: plate `{}` is there a second time", plate.place, plate.name);
                return Err(of_file(file, problem, "name each file once"));
            }
            let Some(path) = entry.layout.as_ref().or(settings.layout.as_ref()) else {
                let problem = format!("{}: plate `{}` has no Template", entry.place, plate.name);
                return Err(of_file(manifest_path, problem, "name one in the manifest, or give --layout"));
            };
            if !layouts.contains_key(path) {
                layouts.insert(path.clone(), Layout::read(path, settings)?);
            }
            let layout = &layouts[path];
            if let Some((_, rows, columns)) = grid::PLATES.iter().find(|size| plate.size == Some(size.0)) {
                layout.fits(*rows, *columns)?;
            }
            for (_, reading, _) in &mut plate.readings {
                *reading = reading.map(|reading| reading - background);
            }
            backgrounds |= background != 0.0;
            let wells = layout.of(&plate.name).cloned().unwrap_or_default();
            let line = entry.line.clone().or_else(|| settings.cell_line.clone());
            if entry.time_h == Some(0.0) {
                let sum = at_zero.entry(line.clone().unwrap_or_default()).or_default();
                for value in plate.readings.iter().filter(|r| wells.contains_key(&r.0)).filter_map(|r| r.1) {
                    *sum = (sum.0 + value, sum.1 + 1);
                }
                continue;
            }
            plates.push((file, plate, wells, line, entry.time_h));
        }
    }
    for (file, plate, wells, line, time_h) in &plates {
        let zero = at_zero.get(line.as_deref().unwrap_or_default()).filter(|(_, n)| *n > 0);
        imported.signal_t0 = zero.map(|(sum, n)| sum / *n as f64);
        join(&mut imported, file, plate, wells, line.as_deref(), *time_h)?;
    }
    imported.signal_t0 = None;
    if plates.is_empty() {
        let problem = "every plate is at time 0, and none is treated".into();
        return Err(Error::Screen { problem, hint: Some("name the files of later times as well".into()) });
    }
    let missing: Vec<&str> = manifest.keys().filter(|name| !seen.contains(*name)).map(String::as_str).collect();
    if !missing.is_empty() {
        imported.notes.push(format!("plates of the manifest that no file has: `{}`", missing.join("`, `")));
    }
    if backgrounds {
        imported.notes.push("the background that the reader reports was taken off every reading".into());
    }
    if !at_zero.is_empty() {
        let note = format!("plates at time 0 of {} lines became signal_t0, the mean of their wells", at_zero.len());
        imported.notes.push(note);
    }
    if settings.dose_unit.is_none() {
        imported.notes.push("doses of gDR's templates are taken as µM; --dose-unit says otherwise".into());
    }
    Ok(imported)
}

/// The plates of a reader's file, each with its background: EnVision's sheets have many, Tecan's sheets one each.
fn reader_plates(file: &Path, settings: &ImportSettings) -> Result<Vec<(RawPlate, f64)>> {
    let sheets = match &settings.sheet {
        Some(name) => vec![workbook::sheet(file, Some(name))?],
        None => workbook::sheets(file)?,
    };
    let mut plates = Vec::new();
    for sheet in &sheets {
        let starts: Vec<usize> =
            (0..sheet.rows()).filter(|row| sheet.text(*row, 0).eq_ignore_ascii_case("Plate information")).collect();
        if starts.is_empty() {
            plates.extend(tecan(sheet, settings)?.map(|plate| (plate, 0.0)));
        }
        for (number, start) in starts.iter().enumerate() {
            let end = starts.get(number + 1).copied().unwrap_or(sheet.rows());
            plates.push(envision(sheet, *start, end, settings)?);
        }
    }
    if plates.is_empty() {
        let names: Vec<&str> = sheets.iter().filter_map(|sheet| sheet.name.as_deref()).collect();
        let problem = format!("no plate of an EnVision or Tecan reader in the sheets `{}`", names.join("`, `"));
        return Err(of_file(file, problem, "is it the right file, and the right --sheet?"));
    }
    Ok(plates)
}

/// A plate between two headings `Plate information`.
fn envision(sheet: &Sheet, start: usize, end: usize, settings: &ImportSettings) -> Result<(RawPlate, f64)> {
    let below = |row: usize, name: &str| -> Option<(usize, usize)> {
        let column = (0..sheet.columns(row)).find(|column| sheet.text(row, *column).eq_ignore_ascii_case(name))?;
        Some((row + 1, column)).filter(|(row, column)| !sheet.text(*row, *column).is_empty())
    };
    let Some((row, column)) = below(start + 1, "Barcode") else {
        return Err(sheet.error(start + 1, 0, "no `Barcode` with a value below it", "is it an EnVision export?"));
    };
    let (name, place) = (sheet.text(row, column).to_owned(), sheet.place(row, column));
    let mut first = row + 1;
    let mut background = 0.0;
    let heading = (first..end).find(|row| sheet.text(*row, 0).eq_ignore_ascii_case("Background information"));
    if let Some(heading) = heading {
        first = heading + 2;
        if let Some((row, column)) = below(heading + 1, "Signal") {
            background = sheet.number(row, column, settings.decimal)?.unwrap_or(0.0);
            first = row + 1;
        }
    }
    // Only this plate's rows are looked at; rows keep their numbers.
    let mut part = sheet.clone();
    part.cells.truncate(end);
    part.cells[..first.min(end)].iter_mut().for_each(Vec::clear);
    let found = grid::find(&part)?;
    match &found.blocks[..] {
        [one] => {
            let mut plate = raw(sheet, one, name, settings)?;
            plate.place = place;
            Ok((plate, background))
        }
        blocks => {
            let problem = format!("{} blocks of readings for plate `{name}`, and one is expected", blocks.len());
            let at = found.left_out.first().map_or((first, 0), |(row, first, _)| (*row, *first));
            Err(sheet.error(at.0, at.1, problem, "blocks have 8 × 12, 16 × 24 or 32 × 48 cells without holes"))
        }
    }
}

/// The one plate of a Tecan sheet: its block begins below the cell `<>`, its name is the sheet's.
fn tecan(sheet: &Sheet, settings: &ImportSettings) -> Result<Option<RawPlate>> {
    let mark = (0..sheet.rows()).find(|row| (0..sheet.columns(*row)).any(|column| sheet.text(*row, column) == "<>"));
    let Some(mark) = mark else { return Ok(None) };
    let mut part = sheet.clone();
    part.cells[..mark].iter_mut().for_each(Vec::clear);
    let found = grid::find(&part)?;
    let Some(block) = found.blocks.iter().find(|block| block.corner.0 == mark + 1) else {
        let hint = "rows are called A, B, … and columns 1, 2, …";
        return Err(sheet.error(mark, 0, "no block of readings below `<>`", hint));
    };
    let stem = sheet.path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    raw(sheet, block, sheet.name.clone().unwrap_or(stem), settings).map(Some)
}

/// A long table: a row a well, with treatments.
fn long(file: &Path, settings: &ImportSettings, imported: &mut Imported) -> Result<()> {
    let format = "gDR (or the manifest of a reader's file: --manifest)";
    let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
    let plate = table.need(&["Barcode", "Plate"], format)?;
    let (row_name, column_name) = (table.need(&["WellRow"], format)?, table.need(&["WellColumn"], format)?);
    let reading = table.need(&["ReadoutValue"], format)?;
    let background = table.find(&["BackgroundValue"])?;
    let line = table.need(&["clid", "CellLineName"], format)?;
    let time = table.find(&["Duration"])?;
    let mut slots = Vec::new();
    for suffix in ["", "_2", "_3"] {
        let names = [format!("DrugName{suffix}"), format!("Gnumber{suffix}")];
        if let Some(drug) = table.find(&[&names[0], &names[1]])? {
            slots.push((drug, table.need(&[&format!("Concentration{suffix}")], format)?));
        }
    }
    if slots.is_empty() {
        table.need(&["Gnumber"], format)?;
    }
    let mut used = vec![plate, row_name, column_name, reading, line];
    used.extend([background, time].into_iter().flatten());
    used.extend(slots.iter().flat_map(|(drug, dose)| [*drug, *dose]));
    imported.notes.extend(table.unused(&used));
    let unit = settings.dose_unit.as_deref().unwrap_or("uM");
    let none = |name: &str| ["vehicle", "untreated"].iter().any(|none| none.eq_ignore_ascii_case(name));
    while let Some(row) = table.next()? {
        let (Some(name), Some(line_name)) = (table.text(&row, plate), table.text(&row, line)) else {
            imported.reject(file, table.place(&row, plate), "missing_plate", "no plate or no cell line");
            continue;
        };
        let letters = table.text(&row, row_name).unwrap_or("");
        let digits = table.text(&row, column_name).unwrap_or("");
        let Some(position) = WellPosition::parse(&format!("{letters}{digits}")) else {
            let detail = format!("`{letters}{digits}` is no well of a plate of up to 1536");
            imported.reject(file, table.place(&row, row_name), "bad_well_name", detail);
            continue;
        };
        let Some(value) = table.number(&row, reading)? else {
            imported.reject(file, table.place(&row, reading), "missing_signal", "");
            continue;
        };
        let places: Vec<String> = slots.iter().map(|(_, dose)| table.place(&row, *dose)).collect();
        let (mut doses, mut trouble) = ([None; 3], None);
        for (at, (drug, dose)) in slots.iter().enumerate() {
            let name = table.text(&row, *drug).filter(|name| !none(name));
            match (name, table.number(&row, *dose)?) {
                (_, Some(dose)) if dose < 0.0 => trouble = Some((at, "negative_dose")),
                (Some(_), None) => trouble = Some((at, "missing_dose")),
                (Some(drug), Some(dose)) => doses[at] = Some(Dose { drug, dose, unit, place: &places[at] }),
                (None, _) => {}
            }
        }
        let said = slots.iter().any(|(drug, _)| table.text(&row, *drug).is_some());
        if !said {
            imported.reject(file, table.place(&row, slots[0].0), "missing_drug", "no drug, vehicle or untreated");
            continue;
        }
        if let Some((at, reason)) = trouble {
            imported.reject(file, places[at].clone(), reason, "");
            continue;
        }
        let background = background.map(|column| table.number(&row, column)).transpose()?.flatten().unwrap_or(0.0);
        let well = FoundWell {
            position: Some(position),
            line: Some(line_name),
            doses,
            time_h: time.map(|column| table.number(&row, column)).transpose()?.flatten(),
            ..FoundWell::on(name, value - background)
        };
        push(imported, well.by_doses(), file)?;
    }
    Ok(())
}
