//! Model files: TOML in, [`FormulaFile`] out.

use super::parser::{self, Names, built_in};
use super::source::Source;
use super::table::{self, Entry};
use super::{FormulaFile, FormulaParameter, MAX_PARAMETERS, MAX_STARTING_POINTS};
use crate::config::choice::nearest;
use crate::model::ModelId;
use crate::screen::dose::ConcentrationUnit;
use crate::{Error, Result};
use std::io::Read;
use std::path::Path;
use toml::de::{DeTable, DeValue};

/// The largest file, in bytes.
const MAX_FILE_BYTES: u64 = 1 << 20;
/// A bound that is not given is this far out.
const FAR: f64 = 1e12;
/// How far a `per_dose` parameter may lie beyond the tested doses unless told, in decades.
const DECADES_BEYOND: f64 = 3.0;
/// Where a `per_dose` parameter starts unless told: places between the lowest (0) and the highest dose (1), by decades.
const STARTS_PER_DOSE: [f64; 5] = [0.1, 0.3, 0.5, 0.7, 0.9];
/// Where a `per_dose_b` parameter does.
const STARTS_PER_DOSE_B: [f64; 3] = [0.2, 0.5, 0.8];
/// A positive box whose ends are this many times apart has its middle at the geometric mean.
const FAR_APART: f64 = 100.0;

impl FormulaFile {
    /// Reads a model file.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::Format`] if it is too large or no text, otherwise as
    /// [`FormulaFile::parse`].
    pub fn read(path: &Path) -> Result<Self> {
        let failed = |source| Error::File { action: "read", path: path.to_owned(), source };
        let mut bytes = Vec::new();
        let file = std::fs::File::open(path).map_err(failed)?;
        file.take(MAX_FILE_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
        let format = |problem: String| Error::Format {
            path: path.to_owned(),
            row_group: None,
            column: None,
            problem,
            hint: Some("a model file is a short TOML text: name, formula, [parameters.NAME]".into()),
        };
        if bytes.len() as u64 > MAX_FILE_BYTES {
            return Err(format(format!("is larger than {} KiB", MAX_FILE_BYTES >> 10)));
        }
        let text = String::from_utf8(bytes)
            .map_err(|error| format(format!("is not UTF-8 text (byte {})", error.utf8_error().valid_up_to())))?;
        Self::parse(&text, path)
    }

    /// Reads the text of a model file; `shown_path` is how errors name it.
    ///
    /// # Errors
    /// [`Error::ModelFile`] at the first mistake, with its line, column and a caret under it.
    pub fn parse(text: &str, shown_path: &Path) -> Result<Self> {
        let source = Source { path: shown_path, text };
        let document = DeTable::parse(text).map_err(|error| {
            let at = error.span().map_or(0, |span| span.start);
            source.error(at, error.message().replace('\n', ", "), None)
        })?;
        let entries = table::entries(document.get_ref());
        let known = ["name", "formula", "reference", "dose_unit", "parameters", "constants"];
        table::only(&source, &entries, &known)?;
        let required = |key: &str, example: &str| {
            table::find(&entries, key)
                .ok_or_else(|| source.error(0, format!("`{key}` is missing"), Some(format!("add `{key} = {example}`"))))
        };

        let name_entry = required("name", "\"my_model\"")?;
        let name = table::text(&source, name_entry)?.trim().to_owned();
        if name.is_empty() || name.len() > 100 || name.contains(char::is_control) {
            return Err(source.error(name_entry.value_at.start, "a name has 1 to 100 printable characters", None));
        }
        if let Some(taken) = ModelId::parse(&name) {
            let problem = format!("`{}` is a built-in model", taken.name());
            return Err(source.error(name_entry.value_at.start, problem, Some("choose another name".into())));
        }
        let optional_text = |key: &str| -> Result<Option<String>> {
            table::find(&entries, key).map(|entry| Ok(table::text(&source, entry)?.trim().to_owned())).transpose()
        };
        let (dose_unit, dose_per_molar) = dose_unit(&source, table::find(&entries, "dose_unit"))?;
        let constants = constants(&source, table::find(&entries, "constants"))?;
        let sections = match table::find(&entries, "parameters") {
            Some(entry) => table::entries(table::table(&source, entry)?),
            None => Vec::new(),
        };
        let parameters = parameters(&source, &sections, &constants)?;

        let formula_entry = required("formula", "\"bottom + (top - bottom) * logistic(hill * (ln_ec50 - ln_dose))\"")?;
        let formula = table::text(&source, formula_entry)?;
        let parameter_names: Vec<&str> = parameters.iter().map(|p| p.name.as_str()).collect();
        let names = Names { parameters: &parameter_names, constants: &constants };
        let (expression, used) = parser::parse(formula, names).map_err(|fault| {
            let at = source.inside_string(formula_entry.value_at.clone(), formula, fault.at);
            source.error(at, fault.problem, fault.hint)
        })?;
        if let Some((unused, section)) = used.iter().zip(&sections).find(|(used, _)| !**used).map(|(_, s)| (s.key, s)) {
            let hint = "take it out of the file, or write it into the formula";
            return Err(source.error(section.key_at, format!("the formula has no `{unused}`"), Some(hint.into())));
        }
        if parameters.is_empty() {
            let hint = "declare one as `[parameters.top]`";
            return Err(source.error(formula_entry.value_at.start, "the model has no parameters", Some(hint.into())));
        }
        let is_surface = expression.is_surface();
        let surface_only = ["per_dose_b", "without_interaction"];
        let is_misplaced = |entry: &Entry| surface_only.contains(&entry.key);
        for section in &sections {
            let keys = table::entries(table::table(&source, section)?);
            if let Some(key) = keys.iter().find(|key| !is_surface && is_misplaced(key)) {
                let problem = format!("`{}` is for surfaces, and the formula has no `dose_b`", key.key);
                return Err(source.error(key.key_at, problem, None));
            }
        }
        if is_surface {
            let at = formula_entry.value_at.start;
            if expression.uses_x2() {
                let hint = "a surface has `dose_a` and `dose_b` alone";
                return Err(source.error(at, "the formula has both `dose_b` and `x2`", Some(hint.into())));
            }
            if dose_unit == "none" {
                let hint = "give `dose_unit` a unit of concentration";
                return Err(source.error(at, "the doses of a surface are doses", Some(hint.into())));
            }
            if parameters.iter().all(|parameter| parameter.without_interaction.is_none()) {
                let hint = "say what it is without: `without_interaction = 0.0` under a parameter";
                return Err(source.error(at, "the surface has no parameter of interaction", Some(hint.into())));
            }
        }
        Ok(Self {
            name,
            is_surface,
            formula_text: formula.trim().to_owned(),
            reference: optional_text("reference")?,
            dose_unit,
            dose_per_molar,
            uses_x2: expression.uses_x2(),
            parameters,
            constants,
            expression,
            file_text: text.to_owned(),
        })
    }
}

fn dose_unit(source: &Source, entry: Option<&Entry>) -> Result<(String, f64)> {
    let Some(entry) = entry else {
        return Ok(("M".into(), 1.0));
    };
    let unit = table::text(source, entry)?.trim();
    match ConcentrationUnit::parse(unit) {
        _ if unit == "none" => Ok((unit.to_owned(), 1.0)),
        // Units are whole powers of ten below 1 M: rounding undoes that 1 / 1e-9 is not 1e9.
        Some(ConcentrationUnit::Molar(factor)) => Ok((unit.to_owned(), (1.0 / factor).round())),
        Some(ConcentrationUnit::MassPerVolume(_)) => {
            let hint = "doses reach a formula as M, mM, uM, nM or pM";
            Err(source.error(entry.value_at.start, format!("`{unit}` needs a molar mass"), Some(hint.into())))
        }
        None => {
            let hint = "known: M, mM, uM, nM, pM, none";
            Err(source.error(entry.value_at.start, format!("unknown unit of dose `{unit}`"), Some(hint.into())))
        }
    }
}

fn constants(source: &Source, entry: Option<&Entry>) -> Result<Vec<(String, f64)>> {
    let Some(entry) = entry else {
        return Ok(Vec::new());
    };
    let mut constants = Vec::new();
    for constant in table::entries(table::table(source, entry)?) {
        check_name(source, &constant)?;
        constants.push((constant.key.to_owned(), table::number(source, constant.value, &constant.value_at)?));
    }
    Ok(constants)
}

/// A name that a formula can write, and that means nothing else there.
fn check_name(source: &Source, entry: &Entry) -> Result<()> {
    let name = entry.key;
    let begins = name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    let (problem, hint) = if !begins || !name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        (
            format!("`{}` is not a name", name.escape_debug()),
            "names have letters, digits and `_`, and begin with no digit",
        )
    } else if built_in(name).is_some() {
        (format!("`{name}` has a meaning in every formula"), "choose another name")
    } else {
        return Ok(());
    };
    Err(source.error(entry.key_at, problem, Some(hint.into())))
}

fn parameters(source: &Source, sections: &[Entry], constants: &[(String, f64)]) -> Result<Vec<FormulaParameter>> {
    let mut parameters = Vec::new();
    let mut points = 1usize;
    for section in sections {
        check_name(source, section)?;
        if constants.iter().any(|(name, _)| name == section.key) {
            let problem = format!("`{}` is both a parameter and a constant", section.key);
            return Err(source.error(section.key_at, problem, Some("keep one of them".into())));
        }
        if parameters.len() == MAX_PARAMETERS {
            return Err(source.error(section.key_at, format!("more than {MAX_PARAMETERS} parameters"), None));
        }
        let keys = table::entries(table::table(source, section)?);
        let parameter = parameter(source, section, &keys)?;
        points = points.saturating_mul(parameter.starts.len());
        if points > MAX_STARTING_POINTS {
            let at = table::find(&keys, "start").map_or(section.key_at, |entry| entry.key_at);
            let problem = format!(
                "the starts up to `{}` make {points} combinations, the limit is {MAX_STARTING_POINTS}",
                section.key
            );
            return Err(source.error(at, problem, Some("give fewer starts a parameter".into())));
        }
        parameters.push(parameter);
    }
    Ok(parameters)
}

fn parameter(source: &Source, section: &Entry, keys: &[Entry]) -> Result<FormulaParameter> {
    table::only(source, keys, &["unit", "lower", "upper", "start", "per_dose", "per_dose_b", "without_interaction"])?;
    let unit = table::find(keys, "unit").map(|entry| table::text(source, entry)).transpose()?;
    let is_set = |key: &str| table::find(keys, key).map_or(Ok(false), |entry| table::boolean(source, entry));
    let (per_dose_a, per_dose_b) = (is_set("per_dose")?, is_set("per_dose_b")?);
    if per_dose_a && per_dose_b {
        let problem = format!("`{}` cannot be a dose of both drugs", section.key);
        return Err(source.error(section.key_at, problem, Some("keep one of per_dose and per_dose_b".into())));
    }
    let per_dose = per_dose_a || per_dose_b;
    let bound =
        |key: &str| table::find(keys, key).map(|entry| table::number(source, entry.value, &entry.value_at)).transpose();
    let (said_lower, said_upper) = (bound("lower")?, bound("upper")?);
    let far = if per_dose { DECADES_BEYOND } else { FAR };
    let (lower, upper) = (said_lower.unwrap_or(-far), said_upper.unwrap_or(far));
    if lower >= upper {
        let key = if said_upper.is_some() { "upper" } else { "lower" };
        let at = table::find(keys, key).map_or(section.key_at, |entry| entry.value_at.start);
        let problem = format!("`{}`: the lower bound, {lower}, is not below the upper, {upper}", section.key);
        return Err(source.error(at, problem, None));
    }
    let starts = match table::find(keys, "start") {
        Some(entry) => starts(source, entry, lower, upper, per_dose)?,
        None if per_dose_b => STARTS_PER_DOSE_B.to_vec(),
        None if per_dose => STARTS_PER_DOSE.to_vec(),
        None => vec![default_start(said_lower, said_upper)],
    };
    let without_interaction = match table::find(keys, "without_interaction") {
        None => None,
        Some(entry) => {
            let value = table::number(source, entry.value, &entry.value_at)?;
            if per_dose || !(lower..=upper).contains(&value) {
                let problem = format!("`{}`: {value} is no value inside of its box", section.key);
                return Err(source.error(entry.value_at.start, problem, None));
            }
            Some(value)
        }
    };
    Ok(FormulaParameter {
        name: section.key.to_owned(),
        unit: unit.map(str::to_owned),
        lower,
        upper,
        starts,
        has_starts: table::find(keys, "start").is_some(),
        has_box: said_lower.is_some() && said_upper.is_some(),
        per_dose: per_dose_a,
        per_dose_b,
        without_interaction,
    })
}

fn starts(source: &Source, entry: &Entry, lower: f64, upper: f64, per_dose: bool) -> Result<Vec<f64>> {
    let single = [(entry.value, entry.value_at.clone())];
    let listed: Vec<_> = match entry.value {
        DeValue::Array(list) => list.iter().map(|value| (value.get_ref(), value.span())).collect(),
        _ => single.to_vec(),
    };
    if listed.is_empty() {
        return Err(source.error(entry.value_at.start, "no start in the list", Some("leave the key out".into())));
    }
    let mut starts = Vec::with_capacity(listed.len());
    for (value, at) in listed {
        let start = table::number(source, value, &at)?;
        // Places in the tested range lie inside every box that reaches beyond it.
        let (low, high, of) = if per_dose { (0.0, 1.0, "the tested range") } else { (lower, upper, "the box") };
        if !(low..=high).contains(&start) {
            return Err(source.error(at.start, format!("the start {start} is outside of {of}, {low} to {high}"), None));
        }
        if !starts.contains(&start) {
            starts.push(start);
        }
    }
    Ok(starts)
}

/// The middle of the box; the geometric one where both ends have one sign and are far apart. With an end left open,
/// 1, or as far inside of the other end as that is from zero.
fn default_start(lower: Option<f64>, upper: Option<f64>) -> f64 {
    match (lower, upper) {
        (Some(lower), Some(upper)) if lower > 0.0 && upper / lower > FAR_APART => lower.sqrt() * upper.sqrt(),
        (Some(lower), Some(upper)) if upper < 0.0 && lower / upper > FAR_APART => -(-lower).sqrt() * (-upper).sqrt(),
        (Some(lower), Some(upper)) => 0.5 * lower + 0.5 * upper,
        (Some(lower), None) if lower >= 1.0 => lower.midpoint(FAR.min(3.0 * lower)),
        (None, Some(upper)) if upper <= 1.0 => (upper - upper.abs().max(1.0)).max(upper.midpoint(-FAR)),
        _ => 1.0,
    }
}

/// The nearest of the keys that are known here, as a hint.
pub(super) fn nearest_key(key: &str, known: &[&str]) -> String {
    match nearest(key, known.iter().copied()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => format!("known: {}", known.join(", ")),
    }
}
