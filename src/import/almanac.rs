//! NCI-ALMANAC, `ComboDrugGrowth` (doi 10.1158/0008-5472.CAN-17-0489; columns as the NCI wiki's page
//! "ALMANAC_DataFields" lists them). A row is the mean of a plate's wells with one dose pair, beside the plate's control
//! and time-zero values; viability is TESTVALUE / CONTROLVALUE.

use super::ImportSettings;
use super::combination::push;
use super::table::{Row, Table};
use super::wells::{Dose, FoundWell, Imported, Reading};
use crate::Result;
use std::path::PathBuf;

const FORMAT: &str = "NCI-ALMANAC";

/// Columns of one drug.
struct Slot {
    prefix: Option<usize>,
    nsc: usize,
    dose: usize,
    unit: usize,
}

/// Imports ComboDrugGrowth files.
pub(super) fn import(files: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    let mut imported = Imported::new(Reading::Viability);
    for file in files {
        let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
        let mut slots = Vec::new();
        for slot in 1..=2 {
            slots.push(Slot {
                prefix: table.find(&[&format!("PREFIX{slot}")])?,
                nsc: table.need(&[&format!("NSC{slot}")], FORMAT)?,
                dose: table.need(&[&format!("CONC{slot}")], FORMAT)?,
                unit: table.need(&[&format!("CONCUNIT{slot}")], FORMAT)?,
            });
        }
        let line = table.need(&["CELLNAME"], FORMAT)?;
        let plate = table.need(&["PLATE"], FORMAT)?;
        let parts: Vec<usize> = ["SCREENER", "STUDY", "TESTDATE"]
            .iter()
            .filter_map(|name| table.find(&[name]).transpose())
            .collect::<Result<_>>()?;
        let (test, control) = (table.need(&["TESTVALUE"], FORMAT)?, table.need(&["CONTROLVALUE"], FORMAT)?);
        let valid = table.find(&["VALID"])?;
        let mut used = vec![line, plate, test, control];
        used.extend(parts.iter().copied().chain(valid));
        used.extend(slots.iter().flat_map(|s| [s.prefix, Some(s.nsc), Some(s.dose), Some(s.unit)]).flatten());
        imported.notes.extend(table.unused(&used));
        while let Some(row) = table.next()? {
            if valid.and_then(|column| table.text(&row, column)).is_some_and(|v| v.eq_ignore_ascii_case("N")) {
                imported.reject(file, table.place(&row, valid.unwrap_or(0)), "marked_invalid", "VALID is N");
                continue;
            }
            let (value, vehicle) = (table.number(&row, test)?, table.number(&row, control)?);
            let (Some(value), Some(vehicle)) = (value, vehicle) else {
                let detail = "TESTVALUE or CONTROLVALUE is missing: growth alone is not viability";
                imported.reject(file, table.place(&row, test), "missing_response", detail);
                continue;
            };
            if vehicle <= 0.0 {
                let detail = format!("CONTROLVALUE is {vehicle}");
                imported.reject(file, table.place(&row, control), "no_control", detail);
                continue;
            }
            let Some(line_name) = table.text(&row, line) else {
                imported.reject(file, table.place(&row, line), "missing_cell_line", "");
                continue;
            };
            let names: Vec<Option<String>> = slots.iter().map(|slot| drug_name(&table, &row, slot)).collect();
            let places: Vec<String> = slots.iter().map(|slot| table.place(&row, slot.dose)).collect();
            let mut doses = [None; 3];
            let mut trouble = None;
            for (at, slot) in slots.iter().enumerate() {
                let dose = table.number(&row, slot.dose)?;
                match (&names[at], dose) {
                    // Single agents have an empty second drug.
                    (None, None | Some(0.0)) => {}
                    (None, Some(_)) => trouble = Some((&places[at], "missing_drug")),
                    (Some(_), None) => trouble = Some((&places[at], "missing_dose")),
                    (Some(_), Some(dose)) if dose < 0.0 => trouble = Some((&places[at], "negative_dose")),
                    (Some(drug), Some(dose)) => {
                        let unit = unit(&table, &row, slot.unit)?;
                        doses[at] = Some(Dose { drug, dose, unit, place: &places[at] });
                    }
                }
            }
            if trouble.is_none() && doses.iter().all(Option::is_none) {
                trouble = Some((&places[0], "missing_drug"));
            }
            if let Some((place, reason)) = trouble {
                imported.reject(file, place.clone(), reason, "");
                continue;
            }
            let of_plate: Vec<&str> =
                parts.iter().chain([&plate]).filter_map(|column| table.text(&row, *column)).collect();
            let name = format!("{} / {line_name}", of_plate.join(" "));
            let batch = parts.get(1).and_then(|column| table.text(&row, *column));
            let well =
                FoundWell { line: Some(line_name), doses, batch, ..FoundWell::on(&name, value / vehicle) }.by_doses();
            push(&mut imported, well, file)?;
        }
    }
    imported
        .notes
        .push("viability is TESTVALUE / CONTROLVALUE, a mean of wells: single wells are not in this format".into());
    Ok(imported)
}

fn drug_name(table: &Table, row: &Row, slot: &Slot) -> Option<String> {
    let nsc = table.text(row, slot.nsc)?;
    // `NSC` is the prefix of nearly all; others (`S`) number other things.
    let prefix = slot.prefix.and_then(|column| table.text(row, column)).unwrap_or("NSC");
    Some(format!("{prefix}{nsc}"))
}

fn unit<'a>(table: &Table, row: &Row, column: usize) -> Result<&'a str> {
    match table.text(row, column) {
        Some("M") => Ok("M"),
        Some("u") => Ok("ug/mL"),
        other => {
            let problem = format!("unknown unit `{}`", other.unwrap_or(""));
            Err(table.error(row, column, &problem, "known here are `M` and `u` (µg/mL)"))
        }
    }
}
