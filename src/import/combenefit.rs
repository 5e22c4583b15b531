//! Combenefit's grids (doi 10.1093/bioinformatics/btw230): doses of compound 2 along the first row, of compound 1 down
//! the first column, viabilities in percent of control between; below, names, units and a title.

use super::combination::push;
use super::sheet::Sheet;
use super::wells::{Dose, FoundWell, Imported, Reading};
use super::{ImportSettings, workbook};
use crate::Result;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::schema::plain;
use std::path::PathBuf;

/// Imports grids; each file is a replicate of the dose matrix that its title names.
pub(super) fn import(files: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    let mut imported = Imported::new(Reading::Viability);
    for (number, file) in files.iter().enumerate() {
        let sheet = workbook::sheet(file, settings.sheet.as_deref())?;
        one(&sheet, number + 1, settings, &mut imported)?;
    }
    imported
        .notes
        .push("no plates in this format: each file is one, a replicate of the matrix that its title names".into());
    Ok(imported)
}

/// The text beside a label in the first column, and its cell.
fn labelled<'s>(sheet: &'s Sheet, names: &[&str]) -> Option<(usize, &'s str)> {
    let wanted: Vec<String> = names.iter().map(|name| plain(name)).collect();
    // `(=compound1)` beside the doses is a remark, with nothing beside it.
    let row = (0..sheet.rows())
        .find(|row| wanted.contains(&plain(sheet.text(*row, 0))) && !sheet.text(*row, 1).is_empty())?;
    Some((row, sheet.text(row, 1)))
}

fn one(sheet: &Sheet, number: usize, settings: &ImportSettings, imported: &mut Imported) -> Result<()> {
    let hint = "Combenefit's grids have doses in the first row from B1 and in the first column from A2";
    let doses = |along_row: bool| -> Result<Vec<f64>> {
        let mut doses = Vec::new();
        loop {
            let at = doses.len() + 1;
            let (row, column) = if along_row { (0, at) } else { (at, 0) };
            let text = sheet.text(row, column);
            // Behind the doses comes `(=compound2)`, or nothing.
            if text.is_empty() || text.starts_with(|c: char| c.is_alphabetic() || c == '(') {
                break;
            }
            let dose = sheet.number(row, column, settings.decimal)?.filter(|dose| *dose >= 0.0);
            let Some(dose) = dose else { return Err(sheet.error(row, column, "is no dose of 0 or more", hint)) };
            if doses.last().is_some_and(|before| *before >= dose) {
                return Err(sheet.error(row, column, format!("dose {dose} is not above the one before it"), hint));
            }
            doses.push(dose);
        }
        if doses.len() < 2 {
            let (row, column) = if along_row { (0, doses.len() + 1) } else { (doses.len() + 1, 0) };
            return Err(sheet.error(row, column, "there is no dose here", hint));
        }
        Ok(doses)
    };
    let (down, along) = (doses(false)?, doses(true)?);
    if !sheet.text(0, 0).is_empty() {
        return Err(sheet.error(0, 0, format!("`{}` is in the corner, which is empty", sheet.text(0, 0)), hint));
    }
    let name = |which: usize| -> Result<&str> {
        let labels = [format!("Compound {which}"), format!("Agent {which}"), format!("Drug {which}")];
        let labels: Vec<&str> = labels.iter().map(String::as_str).collect();
        let found = labelled(sheet, &labels).map(|(_, text)| text);
        found.ok_or_else(|| sheet.whole(format!("no row names `Compound {which}`"), "is it the right sheet?"))
    };
    let unit = |which: usize| -> Result<String> {
        let said = labelled(sheet, &[&format!("Unit {which}")]);
        match (said, &settings.dose_unit) {
            (Some((row, said)), given) => match ConcentrationUnit::parse(said) {
                Some(unit) if given.as_deref().is_none_or(|g| ConcentrationUnit::parse(g) == Some(unit)) => {
                    Ok(said.to_owned())
                }
                Some(_) => {
                    Err(sheet.error(row, 1, format!("`{said}`, and --dose-unit says otherwise"), "leave it out"))
                }
                None => Err(sheet.error(row, 1, format!("unknown unit `{said}`"), "known are M, mM, uM, nM, pM")),
            },
            (None, Some(given)) => Ok(given.clone()),
            (None, None) => Err(sheet.whole(format!("no row says `Unit {which}`"), "say it: --dose-unit uM")),
        }
    };
    let (drugs, units) = ([name(1)?, name(2)?], [unit(1)?, unit(2)?]);
    let file = &sheet.path;
    let stem = file.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default();
    let title = labelled(sheet, &["Title"]).map_or(stem.as_str(), |(_, title)| title);
    let plate = if title == stem { stem.clone() } else { format!("{title} {stem}") };
    let rows_end = down.len() + 1;
    for row in 1..rows_end {
        if !sheet.text(row, along.len() + 1).is_empty() {
            let problem = "a cell beside the grid, which has no dose above it";
            return Err(sheet.error(row, along.len() + 1, problem, "is the block shifted against its doses?"));
        }
        for column in 1..=along.len() {
            let place = sheet.place(row, column);
            let Some(percent) = sheet.number(row, column, settings.decimal)? else {
                imported.reject(file, place, "missing_response", "");
                continue;
            };
            let dose =
                |slot: usize, dose: f64| Some(Dose { drug: drugs[slot], dose, unit: &units[slot], place: &place });
            let well = FoundWell {
                line: settings.cell_line.as_deref(),
                doses: [dose(0, down[row - 1]), dose(1, along[column - 1]), None],
                block: Some(title),
                replicate: i64::try_from(number).ok(),
                ..FoundWell::on(&plate, percent / 100.0)
            };
            push(imported, well.by_doses(), file)?;
        }
    }
    Ok(())
}
