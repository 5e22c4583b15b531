//! CurveCurator's input (doi 10.1038/s41467-023-43696-z): a TSV with a row a curve and columns `Raw 1`, `Raw 2`, …, and
//! the TOML beside it that says what each of these columns is.

use super::ImportSettings;
use super::combination::push;
use super::sheet::of_file;
use super::table::Table;
use super::wells::{Dose, FoundWell, Imported, Reading};
use crate::screen::dose::ConcentrationUnit;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// What the TOML says of the columns.
struct Experiment {
    /// Names as they are behind `Raw`.
    names: Vec<String>,
    doses: Vec<f64>,
    controls: Vec<String>,
    unit: String,
}

/// Imports TSV files, each with the TOML of its name, or with the only TOML that is given.
pub(super) fn import(files: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    let is_toml = |path: &&PathBuf| path.extension().is_some_and(|e| e.eq_ignore_ascii_case("toml"));
    let tomls: Vec<&PathBuf> = files.iter().filter(is_toml).collect();
    let mut imported = Imported::new(Reading::Viability);
    let tables: Vec<&PathBuf> = files.iter().filter(|path| !is_toml(path)).collect();
    if tables.is_empty() {
        return Err(Error::setting("files", "no table is named, only TOML files"));
    }
    for file in tables {
        let experiment = match &tomls[..] {
            [one] => experiment(one)?,
            _ => experiment(&file.with_extension("toml"))?,
        };
        one(file, &experiment, settings, &mut imported)?;
    }
    imported.notes.push("no plates in this format: each curve is one; viability is Raw / mean of its controls".into());
    Ok(imported)
}

fn one(file: &Path, experiment: &Experiment, settings: &ImportSettings, imported: &mut Imported) -> Result<()> {
    let mut table = Table::open(file, settings.sheet.as_deref(), settings.decimal)?;
    let name = table.need(&["Name"], "CurveCurator")?;
    let columns: Vec<usize> = experiment
        .names
        .iter()
        .map(|experiment| table.need(&[&format!("Raw {experiment}")], "CurveCurator"))
        .collect::<Result<_>>()?;
    let is_control: Vec<bool> = experiment.names.iter().map(|name| experiment.controls.contains(name)).collect();
    let used: Vec<usize> = columns.iter().copied().chain([name]).collect();
    imported.notes.extend(table.unused(&used));
    while let Some(row) = table.next()? {
        let Some(curve) = table.text(&row, name) else {
            imported.reject(file, table.place(&row, name), "missing_curve", "no Name");
            continue;
        };
        let values: Vec<Option<f64>> =
            columns.iter().map(|column| table.number(&row, *column)).collect::<Result<_>>()?;
        let controls: Vec<f64> =
            values.iter().zip(&is_control).filter(|(_, is)| **is).filter_map(|(value, _)| *value).collect();
        let mean = controls.iter().sum::<f64>() / controls.len() as f64;
        if !(mean > 0.0 && mean.is_finite()) {
            let detail = format!("the mean of {} controls is not above 0", controls.len());
            imported.reject(file, table.place(&row, columns[0]), "no_control", detail);
            continue;
        }
        for ((column, value), dose) in columns.iter().zip(&values).zip(&experiment.doses) {
            let place = table.place(&row, *column);
            let Some(value) = value else {
                imported.reject(file, place, "missing_response", curve);
                continue;
            };
            let dose = Dose { drug: curve, dose: *dose, unit: &experiment.unit, place: &place };
            let line = settings.cell_line.as_deref();
            let well = FoundWell { line, doses: [Some(dose), None, None], ..FoundWell::on(curve, value / mean) };
            push(imported, well.by_doses(), file)?;
        }
    }
    Ok(())
}

fn experiment(path: &Path) -> Result<Experiment> {
    let hint = "a CurveCurator table is read with its TOML: name it behind the table, or put it beside it";
    let text = std::fs::read_to_string(path).map_err(|source| of_file(path, format!("cannot read: {source}"), hint))?;
    let parsed: toml::Table = toml::from_str(&text)
        .map_err(|error| of_file(path, format!("is not TOML: {}", error.message().replace('\n', " ")), hint))?;
    let wrong = |key: &str, problem: &str| of_file(path, format!("`{key}` under [Experiment] {problem}"), "");
    let section = parsed
        .get("Experiment")
        .and_then(toml::Value::as_table)
        .ok_or_else(|| of_file(path, "has no section [Experiment]", hint))?;
    let list = |key: &str| section.get(key).and_then(toml::Value::as_array).ok_or_else(|| wrong(key, "is not a list"));
    let name = |value: &toml::Value| match value {
        toml::Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let names: Vec<String> = list("experiments")?.iter().map(name).collect();
    let number = |value: &toml::Value| match value {
        toml::Value::Float(x) => Some(*x),
        toml::Value::Integer(x) => Some(*x as f64),
        toml::Value::String(text) => text.parse().ok(),
        _ => None,
    };
    // Scales are written as text: `"1e-6"`.
    let scale = section.get("dose_scale").map_or(Some(1.0), number).filter(|x| *x > 0.0 && x.is_finite());
    let scale = scale.ok_or_else(|| wrong("dose_scale", "is not a number above 0"))?;
    let doses: Vec<f64> = list("doses")?
        .iter()
        .map(|value| number(value).map(|dose| dose * scale).filter(|dose| *dose >= 0.0 && dose.is_finite()))
        .collect::<Option<_>>()
        .ok_or_else(|| wrong("doses", "holds something that is no dose of 0 or more"))?;
    if doses.len() != names.len() {
        return Err(wrong("doses", &format!("has {} values for {} experiments", doses.len(), names.len())));
    }
    let controls: Vec<String> = match section.get("control_experiment") {
        Some(toml::Value::Array(values)) => values.iter().map(name).collect(),
        Some(value) => vec![name(value)],
        None => return Err(wrong("control_experiment", "is missing")),
    };
    if let Some(unknown) = controls.iter().find(|control| !names.contains(control)) {
        return Err(wrong("control_experiment", &format!("names `{unknown}`, which is no experiment")));
    }
    let unit = section.get("dose_unit").and_then(toml::Value::as_str).unwrap_or("M").to_owned();
    if ConcentrationUnit::parse(&unit).is_none() {
        return Err(wrong("dose_unit", &format!("is the unknown unit `{unit}`")));
    }
    Ok(Experiment { names, doses, controls, unit })
}
