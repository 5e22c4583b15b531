//! Tables of dose combinations whose responses are already normalised: synergyfinder (the columns of its versions 1 to
//! 3; doi 10.1093/nar/gkac382), DrugComb (doi 10.1093/nar/gkab438), and the Merck screen of O'Neil et al.
//! (doi 10.1158/1535-7163.MCT-15-0843). They have no plates: each block becomes one.

use super::ImportSettings;
use super::sheet::of_file;
use super::table::{Row, Table};
use super::wells::{Dose, FoundWell, Imported, Reading};
use crate::Result;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::response::{implausible_scale, to_viability};
use crate::screen::{Orientation, Scale};
use std::path::{Path, PathBuf};

const DRUGS: [&[&str]; 3] = [&["drug1", "drug_row", "drug_a"], &["drug2", "drug_col", "drug_b"], &["drug3", "drug_c"]];
const DOSES: [&[&str]; 3] =
    [&["conc1", "conc_r", "conc_row", "conc_a"], &["conc2", "conc_c", "conc_col", "conc_b"], &["conc3"]];
const UNITS: [&[&str]; 3] = [
    &["conc_unit1", "conc_r_unit", "conc_row_unit", "conc_a_unit", "conc_unit"],
    &["conc_unit2", "conc_c_unit", "conc_col_unit", "conc_b_unit", "conc_unit"],
    &["conc_unit3", "conc_unit"],
];

/// Columns of one drug.
struct Slot {
    drug: usize,
    dose: usize,
    unit: Option<usize>,
}

/// The unit in which a cell says that doses are, or the one that was given for all.
fn unit<'a>(table: &'a Table, row: &'a Row, column: Option<usize>, given: Option<&'a str>) -> Result<&'a str> {
    let said = column.and_then(|column| Some((column, table.text(row, column)?)));
    match (said, given) {
        (Some((column, said)), Some(given)) if ConcentrationUnit::parse(said) != ConcentrationUnit::parse(given) => {
            let problem = format!("the dose is in `{said}`, and --dose-unit says `{given}`");
            Err(table.error(row, column, &problem, "leave --dose-unit out: the file speaks for itself"))
        }
        (Some((column, said)), _) => match ConcentrationUnit::parse(said) {
            Some(_) => Ok(said),
            None => {
                let problem = format!("unknown unit `{said}`");
                Err(table.error(row, column, &problem, "known are M, mM, uM, nM, pM, mg/mL, ug/mL, ng/mL"))
            }
        },
        (None, Some(given)) => Ok(given),
        (None, None) => {
            let (column, problem) = (column.unwrap_or(0), "nothing says in which unit the dose is");
            Err(table.error(row, column, problem, "say it: --dose-unit uM"))
        }
    }
}

/// Imports tables of synergyfinder or DrugComb.
pub(super) fn synergyfinder(files: &[PathBuf], settings: &ImportSettings, format: &str) -> Result<Imported> {
    let mut imported = Imported::new(Reading::Viability);
    for file in files {
        let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
        let block = table.find(&["block_id", "pair_index", "block"])?;
        let line = table.find(&["cell_line_name", "cell_line", "cell_name"])?;
        let replicate = table.find(&["replicate"])?;
        let batch = table.find(&["study_name", "study", "source"])?;
        let (response, orientation) = response_column(&table, settings, format)?;
        let scale = settings.scale.unwrap_or(Scale::Percent);
        let mut slots = Vec::new();
        for slot in 0..3 {
            let drug = if slot == 0 { Some(table.need(DRUGS[slot], format)?) } else { table.find(DRUGS[slot])? };
            if let Some(drug) = drug {
                slots.push(Slot { drug, dose: table.need(DOSES[slot], format)?, unit: table.find(UNITS[slot])? });
            }
        }
        let mut used = vec![response];
        used.extend([block, line, replicate, batch].into_iter().flatten());
        used.extend(slots.iter().flat_map(|slot| [Some(slot.drug), Some(slot.dose), slot.unit]).flatten());
        imported.notes.extend(table.unused(&used));
        let from = imported.wells();
        while let Some(row) = table.next()? {
            let Some(value) = table.number(&row, response)? else {
                imported.reject(file, table.place(&row, response), "missing_response", "");
                continue;
            };
            let mut doses: [Option<Dose<'_>>; 3] = [None; 3];
            let mut places = [const { String::new() }; 3];
            for (place, slot) in places.iter_mut().zip(&slots) {
                *place = table.place(&row, slot.dose);
            }
            let mut trouble = None;
            for ((out, slot), place) in doses.iter_mut().zip(&slots).zip(&places) {
                let name = table.text(&row, slot.drug);
                match (name, table.number(&row, slot.dose)?) {
                    // DrugComb's single agents have no second drug.
                    (None, None | Some(0.0)) => {}
                    (None, Some(dose)) => trouble = Some((place, "missing_drug", format!("a dose of {dose}"))),
                    (Some(name), None) => trouble = Some((place, "missing_dose", name.to_owned())),
                    (Some(name), Some(dose)) if dose < 0.0 => {
                        trouble = Some((place, "negative_dose", format!("`{name}` at {dose}")));
                    }
                    (Some(drug), Some(dose)) => {
                        let unit = unit(&table, &row, slot.unit, settings.dose_unit.as_deref())?;
                        *out = Some(Dose { drug, dose, unit, place });
                    }
                }
            }
            if let Some((place, reason, detail)) = trouble {
                imported.reject(file, place.clone(), reason, detail);
                continue;
            }
            if doses.iter().all(Option::is_none) {
                imported.reject(file, table.place(&row, slots[0].drug), "missing_drug", "no drug is named");
                continue;
            }
            let block = block.and_then(|column| table.text(&row, column));
            let plate = plate_name(file, files, block);
            let well = FoundWell {
                doses,
                line: line.and_then(|column| table.text(&row, column)).or(settings.cell_line.as_deref()),
                block: block.is_some().then_some(plate.as_str()),
                replicate: whole(&table, &row, replicate)?,
                batch: batch.and_then(|column| table.text(&row, column)),
                ..FoundWell::on(&plate, to_viability(orientation, scale, value))
            };
            if line.is_some() && well.line.is_none() {
                imported.reject(file, table.place(&row, line.unwrap_or(0)), "missing_cell_line", "");
                continue;
            }
            push(&mut imported, well.by_doses(), file)?;
        }
        if let Some(problem) = implausible_scale(scale, imported.readings()[from..].iter().copied()) {
            return Err(table.header_error(response, &problem, "check --scale"));
        }
    }
    imported
        .notes
        .push("no plates in this format: each block is one, its responses are viabilities as fractions".into());
    Ok(imported)
}

/// The column of responses, and what they are: never guessed where its name does not say it.
fn response_column(table: &Table, settings: &ImportSettings, format: &str) -> Result<(usize, Orientation)> {
    let named = [
        (&["inhibition", "inhibition_pct"][..], Orientation::Inhibition),
        (&["viability", "viability_pct"][..], Orientation::Viability),
    ];
    let mut found = None;
    for (names, orientation) in named {
        if let Some(column) = table.find(names)? {
            if let Some((other, _)) = found {
                let problem = format!("`{}` could be the response as well", table.header()[other]);
                return Err(table.header_error(column, &problem, "rename the one that is not"));
            }
            found = Some((column, orientation));
        }
    }
    match (found, settings.orientation) {
        (Some((column, says)), Some(given)) if says != given => {
            let problem = format!("is {} by its name, and {} by --orientation", says.name(), given.name());
            Err(table.header_error(column, &problem, "leave --orientation out, or rename the column"))
        }
        (Some(found), _) => Ok(found),
        (None, given) => {
            let column = table.need(&["response"], format)?;
            match given {
                Some(orientation) if orientation != Orientation::Signal => Ok((column, orientation)),
                _ => {
                    let problem = "nothing says whether the response is viability or inhibition";
                    Err(table.header_error(column, problem, "say it: --orientation inhibition"))
                }
            }
        }
    }
}

/// A plate for each block, named by the file as well where there are several files.
fn plate_name(file: &Path, files: &[PathBuf], block: Option<&str>) -> String {
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    match block {
        None => stem,
        Some(block) if files.len() > 1 => format!("{stem} block {block}"),
        Some(block) => format!("block {block}"),
    }
}

pub(super) fn whole(table: &Table, row: &Row, column: Option<usize>) -> Result<Option<i64>> {
    let Some(column) = column else { return Ok(None) };
    match table.number(row, column)? {
        Some(number) if number.fract() == 0.0 && number.abs() < 1e15 => Ok(Some(number as i64)),
        None => Ok(None),
        Some(number) => Err(table.error(row, column, &format!("{number} is not a whole number"), "")),
    }
}

/// Adds a well, or says in which cell the unit of its drug changes.
pub(super) fn push(imported: &mut Imported, well: FoundWell<'_>, file: &Path) -> Result<()> {
    imported.push(well).map_err(|(place, problem)| {
        of_file(file, format!("{place}: {problem}"), "give all doses of a drug on a plate in one unit")
    })
}

/// Imports the tables of the Merck screen: combinations, single agents, or both.
pub(super) fn oneil(files: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    let format = "the Merck screen";
    let mut imported = Imported::new(Reading::Viability);
    for file in files {
        let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
        let line = table.need(&["cell_line"], format)?;
        let batch = table.find(&["BatchID", "batch"])?;
        let single = table.find(&["drug_name"])?;
        let slots = match single {
            Some(drug) => vec![(drug, dose_column(&table, &["Drug_concentration (µM)", "drug_concentration"])?)],
            None => {
                let drugs = [table.need(&["drugA_name"], format)?, table.need(&["drugB_name"], format)?];
                let doses = [
                    dose_column(&table, &["drugA Conc (µM)", "drugA Conc"])?,
                    dose_column(&table, &["drugB Conc (µM)", "drugB Conc"])?,
                ];
                drugs.into_iter().zip(doses).collect()
            }
        };
        let mut replicates = Vec::new();
        for number in 1..=99 {
            replicates.extend(table.find(&[&format!("viability{number}")])?.map(|column| (number, column)));
        }
        if replicates.is_empty() {
            table.need(&["viability1"], format)?;
        }
        let mut used: Vec<usize> = [Some(line), batch].into_iter().flatten().collect();
        used.extend(slots.iter().flat_map(|(drug, dose)| [*drug, *dose]).chain(replicates.iter().map(|r| r.1)));
        imported.notes.extend(table.unused(&used));
        let from = imported.wells();
        while let Some(row) = table.next()? {
            let places: Vec<String> = slots.iter().map(|(_, dose)| table.place(&row, *dose)).collect();
            let Some(line_name) = table.text(&row, line) else {
                imported.reject(file, table.place(&row, line), "missing_cell_line", "");
                continue;
            };
            let mut doses = [None; 3];
            for ((out, (drug, dose)), place) in doses.iter_mut().zip(&slots).zip(&places) {
                if let (Some(drug), Some(dose)) = (table.text(&row, *drug), table.number(&row, *dose)?) {
                    *out = Some(Dose { drug, dose, unit: "uM", place });
                }
            }
            if doses.iter().flatten().count() < slots.len() {
                imported.reject(file, places[0].clone(), "missing_dose", "a drug or a dose is missing");
                continue;
            }
            if let Some(dose) = doses.iter().flatten().find(|dose| dose.dose < 0.0) {
                imported.reject(file, dose.place.into(), "negative_dose", format!("`{}` at {}", dose.drug, dose.dose));
                continue;
            }
            let names: Vec<&str> = doses.iter().flatten().map(|dose| dose.drug).collect();
            let plate = format!("{} / {line_name}", names.join(" + "));
            let before = imported.wells();
            for (number, column) in &replicates {
                let Some(viability) = table.number(&row, *column)? else { continue };
                let well = FoundWell {
                    line: Some(line_name),
                    doses,
                    replicate: Some(*number),
                    batch: batch.and_then(|column| table.text(&row, column)),
                    ..FoundWell::on(&plate, viability)
                };
                push(&mut imported, well.by_doses(), file)?;
            }
            if imported.wells() == before {
                imported.reject(file, table.place(&row, replicates[0].1), "missing_response", "no replicate has one");
            }
        }
        if let Some(problem) = implausible_scale(Scale::Fraction, imported.readings()[from..].iter().copied()) {
            let hint = "the screen's own files have viabilities as fractions";
            return Err(table.header_error(replicates[0].1, &problem, hint));
        }
    }
    imported.notes.push("no plates in this format: each pair or drug in a line is one; doses are in µM".into());
    Ok(imported)
}

/// The column of doses in µM; one in another unit by its name is refused.
fn dose_column(table: &Table, names: &[&str]) -> Result<usize> {
    if let Some(column) = table.find(names)? {
        return Ok(column);
    }
    let stem = crate::screen::schema::plain(names[names.len() - 1]);
    let near = table.header().iter().position(|name| crate::screen::schema::plain(name).starts_with(&stem));
    let known = |name: &str| name.contains(['u', 'µ', 'μ']) && name.contains('M');
    match near {
        Some(column) if known(&table.header()[column]) => Ok(column),
        Some(column) => {
            Err(table.header_error(column, "the doses of this format are in µM, and the name says other", ""))
        }
        None => table.need(names, "the Merck screen"),
    }
}
