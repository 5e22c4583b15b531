//! Lists of wells with raw readings: GDSC's raw data (doi 10.1093/nar/gks1111) and thunor's (Vanderbilt HTS) format
//! (doi 10.1093/nar/gkz286).

use super::ImportSettings;
use super::combination::push;
use super::table::Table;
use super::wells::{Dose, FoundWell, Imported, Reading};
use crate::Result;
use crate::screen::well::{Role, WellPosition};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// Wells of a plate, and its rows and columns.
const PLATES: [(usize, usize, usize); 3] = [(96, 8, 12), (384, 16, 24), (1536, 32, 48)];

/// A GDSC well as it is gathered: a well of a combination has a row for each drug.
struct Gathered {
    line: Option<String>,
    role: Role,
    drugs: Vec<(String, f64, String)>,
    reading: f64,
    batch: Option<String>,
    time_h: Option<f64>,
}

/// Imports GDSC's raw data.
pub(super) fn gdsc(files: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    let format = "GDSC raw data";
    let mut imported = Imported::new(Reading::Signal);
    for file in files {
        let columns = plate_columns(file, settings, format)?;
        let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
        let barcode = table.need(&["BARCODE"], format)?;
        let position = table.need(&["POSITION"], format)?;
        let tag = table.need(&["TAG"], format)?;
        let drug = table.need(&["DRUG_ID"], format)?;
        let dose = table.need(&["CONC"], format)?;
        let reading = table.need(&["INTENSITY"], format)?;
        let line = table.need(&["CELL_LINE_NAME"], format)?;
        let days = table.find(&["DURATION"])?;
        let batch = table.find(&["DRUGSET_ID"])?;
        let mut used = vec![barcode, position, tag, drug, dose, reading, line];
        used.extend([days, batch].into_iter().flatten());
        imported.notes.extend(table.unused(&used));
        let mut plate: (String, BTreeMap<WellPosition, Gathered>) = Default::default();
        while let Some(row) = table.next()? {
            let Some(name) = table.text(&row, barcode) else {
                imported.reject(file, table.place(&row, barcode), "missing_plate", "");
                continue;
            };
            if plate.0 != name {
                let finished = std::mem::replace(&mut plate, (name.to_owned(), BTreeMap::new()));
                flush(&mut imported, file, &finished)?;
            }
            let number = table.number(&row, position)?.filter(|n| n.fract() == 0.0 && *n >= 1.0);
            let Some(well) = number.and_then(|n| {
                let at = n as usize - 1;
                WellPosition::new(u16::try_from(at / columns + 1).ok()?, (at % columns + 1) as u16)
            }) else {
                imported.reject(file, table.place(&row, position), "bad_well_name", "no POSITION on a plate");
                continue;
            };
            let label = table.text(&row, tag).unwrap_or("");
            let Some(role) = gdsc_role(label) else {
                imported.reject(file, table.place(&row, tag), "unknown_role", format!("`{label}`"));
                continue;
            };
            let Some(value) = table.number(&row, reading)? else {
                imported.reject(file, table.place(&row, reading), "missing_signal", "");
                continue;
            };
            let treatment = match (table.text(&row, drug), table.number(&row, dose)?) {
                (Some(name), Some(value)) if value > 0.0 => Some((name.to_owned(), value, table.place(&row, dose))),
                (_, Some(value)) if value < 0.0 => {
                    imported.reject(file, table.place(&row, dose), "negative_dose", format!("{value}"));
                    continue;
                }
                (Some(name), None) if role == Role::Sample => {
                    imported.reject(file, table.place(&row, dose), "missing_dose", format!("drug {name}"));
                    continue;
                }
                (None, _) if role == Role::Sample => {
                    imported.reject(file, table.place(&row, drug), "missing_drug", format!("`{label}`"));
                    continue;
                }
                _ => None,
            };
            let fresh = Gathered {
                line: table.text(&row, line).map(str::to_owned),
                role,
                drugs: treatment.into_iter().collect(),
                reading: value,
                batch: batch.and_then(|column| table.text(&row, column)).map(str::to_owned),
                time_h: days.map(|column| table.number(&row, column)).transpose()?.flatten().map(|days| 24.0 * days),
            };
            match plate.1.entry(well) {
                std::collections::btree_map::Entry::Vacant(place) => {
                    place.insert(fresh);
                }
                std::collections::btree_map::Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    let same = known.reading.to_bits() == value.to_bits() && known.role == role;
                    if !same || known.drugs.len() >= 3 {
                        let detail = format!("{well} of plate {name} has another row that differs");
                        imported.reject(file, table.place(&row, position), "duplicate_well", detail);
                    } else {
                        known.drugs.extend(fresh.drugs);
                    }
                }
            }
        }
        flush(&mut imported, file, &plate)?;
    }
    imported
        .notes
        .push("doses of GDSC's raw data are in µM; blanks are the low control: run with --low-control blank".into());
    Ok(imported)
}

/// The role that a TAG stands for.
fn gdsc_role(tag: &str) -> Option<Role> {
    let sample = |kind: char| tag.starts_with(kind) && tag[1..].starts_with(|c: char| c.is_ascii_digit());
    match tag {
        "B" | "BLANK" => Some(Role::Blank),
        "DMSO" => Some(Role::Vehicle),
        "UN-USED" => Some(Role::Empty),
        _ if tag.starts_with("NC") => Some(Role::Vehicle),
        _ if tag.starts_with("PC") => Some(Role::Positive),
        // Library, anchor and reference drugs.
        _ if ['L', 'A', 'R'].into_iter().any(sample) => Some(Role::Sample),
        _ => None,
    }
}

/// Adds the wells of a plate.
fn flush(imported: &mut Imported, file: &Path, plate: &(String, BTreeMap<WellPosition, Gathered>)) -> Result<()> {
    for (position, gathered) in &plate.1 {
        let mut doses = [None; 3];
        for (slot, (drug, dose, place)) in doses.iter_mut().zip(&gathered.drugs) {
            *slot = Some(Dose { drug, dose: *dose, unit: "uM", place });
        }
        let well = FoundWell {
            position: Some(*position),
            line: gathered.line.as_deref(),
            role: gathered.role,
            doses,
            batch: gathered.batch.as_deref(),
            time_h: gathered.time_h,
            ..FoundWell::on(&plate.0, gathered.reading)
        };
        push(imported, well, file)?;
    }
    Ok(())
}

/// Columns of the plates of a GDSC file, whose POSITION counts along the rows: from the highest of them.
fn plate_columns(file: &Path, settings: &ImportSettings, format: &str) -> Result<usize> {
    let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
    let position = table.need(&["POSITION"], format)?;
    let mut highest: Option<(usize, String)> = None;
    while let Some(row) = table.next()? {
        let Some(number) = table.number(&row, position)? else { continue };
        if number.fract() == 0.0 && (1.0..=1536.0).contains(&number) {
            let number = number as usize;
            if highest.as_ref().is_none_or(|(most, _)| number > *most) {
                highest = Some((number, table.place(&row, position)));
            }
        } else {
            return Err(table.error(&row, position, &format!("{number} is no POSITION on a plate of up to 1536"), ""));
        }
    }
    let (highest, place) = highest.unwrap_or((1, String::new()));
    let fits = if highest <= 96 {
        PLATES[0]
    } else if highest <= 384 {
        PLATES[1]
    } else {
        PLATES[2]
    };
    match settings.plate_size {
        Some(size) if size != fits.0 => Err(super::sheet::of_file(
            file,
            format!("{place}: the highest POSITION is {highest}: the plates have {} wells and not {size}", fits.0),
            "POSITION counts along rows, and needs the right size: correct --plate-size",
        )),
        _ => Ok(fits.2),
    }
}

/// Imports thunor's well lists: one row a well and time, cell counts, doses in their own unit.
pub(super) fn thunor(files: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    let format = "thunor";
    let mut imported = Imported::new(Reading::Signal);
    for file in files {
        let times = times_of_wells(file, settings, format)?;
        let readings = times.values().map(Vec::len).max().unwrap_or(0);
        let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
        let plate = table.need(&["upid"], format)?;
        let well = table.need(&["well"], format)?;
        let reading = table.need(&["cell.count"], format)?;
        let line = table.need(&["cell.line"], format)?;
        let time = table.find(&["time"])?;
        let batch = table.find(&["expt.id", "expt.class"])?;
        let mut slots = Vec::new();
        for slot in 1..=3 {
            if let Some(drug) = table.find(&[&format!("drug{slot}")])? {
                let dose = table.need(&[&format!("drug{slot}.conc")], format)?;
                slots.push((drug, dose, table.find(&[&format!("drug{slot}.units")])?));
            }
        }
        if slots.is_empty() {
            table.need(&["drug1"], format)?;
        }
        let mut used = vec![plate, well, reading, line];
        used.extend([time, batch].into_iter().flatten());
        used.extend(slots.iter().flat_map(|(drug, dose, unit)| [Some(*drug), Some(*dose), *unit]).flatten());
        imported.notes.extend(table.unused(&used));
        while let Some(row) = table.next()? {
            let text = |column: usize| table.text(&row, column);
            let (Some(plate_name), Some(line_name)) = (text(plate), text(line)) else {
                imported.reject(file, table.place(&row, plate), "missing_plate", "no upid or no cell.line");
                continue;
            };
            let Some(position) = text(well).and_then(WellPosition::parse) else {
                let detail = format!("`{}` is no well of a plate of up to 1536", text(well).unwrap_or(""));
                imported.reject(file, table.place(&row, well), "bad_well_name", detail);
                continue;
            };
            let Some(count) = table.number(&row, reading)? else {
                imported.reject(file, table.place(&row, reading), "missing_signal", "");
                continue;
            };
            let places: Vec<String> = slots.iter().map(|(_, dose, _)| table.place(&row, *dose)).collect();
            let mut doses = [None; 3];
            let mut trouble = None;
            for (at, (drug, dose, unit)) in slots.iter().enumerate() {
                match (text(*drug), table.number(&row, *dose)?) {
                    (_, Some(value)) if value < 0.0 => trouble = Some((at, "negative_dose")),
                    (None, Some(value)) if value > 0.0 => trouble = Some((at, "missing_drug")),
                    (Some(_), None) => trouble = Some((at, "missing_dose")),
                    // Wells without a drug name `control` in its place.
                    (Some(_), Some(0.0)) | (None, _) => {}
                    (Some(drug), Some(dose)) => {
                        let unit = unit.and_then(text).unwrap_or("M");
                        if crate::screen::dose::ConcentrationUnit::parse(unit).is_none() {
                            let hint = "known are M, mM, uM, nM, pM, mg/mL, ug/mL, ng/mL";
                            let column = slots[at].2.unwrap_or(slots[at].1);
                            return Err(table.error(&row, column, &format!("unknown unit `{unit}`"), hint));
                        }
                        doses[at] = Some(Dose { drug, dose, unit, place: &places[at] });
                    }
                }
            }
            if let Some((at, reason)) = trouble {
                imported.reject(file, places[at].clone(), reason, "");
                continue;
            }
            let time_h = time.map(|column| table.number(&row, column)).transpose()?.flatten();
            // Hours differ from well to well by the time that a reader takes: readings are numbered.
            let known = times.get(&(plate_name.to_owned(), position)).filter(|_| readings > 1);
            let number = known.zip(time_h).and_then(|(times, time)| times.iter().position(|t| *t == time));
            let name = match number {
                Some(number) => format!("{plate_name} reading {}", number + 1),
                None => plate_name.to_owned(),
            };
            let well = FoundWell {
                position: Some(position),
                line: Some(line_name),
                doses,
                batch: batch.and_then(text),
                time_h,
                ..FoundWell::on(&name, count)
            };
            push(&mut imported, well.by_doses(), file)?;
        }
        if readings > 1 {
            let note = format!("{}: wells are read up to {readings} times: each reading is a plate", file.display());
            imported.notes.push(note);
        }
    }
    Ok(imported)
}

/// The times at which each well was read, ascending.
type Times = HashMap<(String, WellPosition), Vec<f64>>;

fn times_of_wells(file: &Path, settings: &ImportSettings, format: &str) -> Result<Times> {
    let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
    let (plate, well) = (table.need(&["upid"], format)?, table.need(&["well"], format)?);
    let mut times = Times::new();
    let Some(time) = table.find(&["time"])? else { return Ok(times) };
    while let Some(row) = table.next()? {
        let position = table.text(&row, well).and_then(WellPosition::parse);
        if let (Some(plate), Some(position), Some(time)) =
            (table.text(&row, plate), position, table.number(&row, time)?)
        {
            let known = times.entry((plate.to_owned(), position)).or_default();
            if let Err(at) = known.binary_search_by(|t| t.total_cmp(&time)) {
                known.insert(at, time);
            }
        }
    }
    Ok(times)
}
