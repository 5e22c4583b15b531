//! Which column of a file is what: by `screen.toml` where it speaks, else by canonical name, else by synonym.

use super::failure;
use super::parquet_file::ParquetFile;
use super::values::check_type;
use crate::config::Mapping;
use crate::config::choice::nearest;
use crate::config::mapping::known_unit;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::schema::{column, plain};
use crate::screen::{Orientation, Scale};
use crate::{Error, Result};

/// Where a text comes from.
pub(super) enum Source {
    /// Columns of the file, joined by `/`.
    Columns(Vec<usize>),
    /// The same for every row.
    Constant(String),
}

/// Where one of the drugs of a well comes from.
pub(super) struct DrugSource {
    pub drug: Source,
    pub dose: usize,
    pub unit: UnitSource,
}

/// Where the unit of a dose comes from.
pub(super) struct UnitSource {
    /// The column that names it.
    pub column: Option<Source>,
    /// The unit that was declared; the column may not contradict it.
    pub declared: Option<(String, ConcentrationUnit)>,
}

/// Where a well's place comes from.
pub(super) enum PositionSource {
    Well(Source),
    RowAndColumn(usize, usize),
}

/// Which column of one file is what.
pub(super) struct Header {
    pub plate: Option<Source>,
    pub position: Option<PositionSource>,
    pub line: Option<Source>,
    pub role: Option<Source>,
    pub drugs: [Option<DrugSource>; 3],
    pub reading: usize,
    pub orientation: Orientation,
    pub scale: Scale,
    pub block: Option<Source>,
    pub schedule: Option<Source>,
    pub replicate: Option<Source>,
    pub batch: Option<Source>,
    pub signal_t0: Option<usize>,
    pub time_h: Option<usize>,
    pub only: Vec<(usize, Vec<String>)>,
}

const DRUGS: [&str; 3] = ["drug_a", "drug_b", "drug_c"];
const DOSES: [&str; 3] = ["conc_a", "conc_b", "conc_c"];
const UNITS: [&str; 3] = ["conc_a_unit", "conc_b_unit", "conc_c_unit"];

impl Header {
    /// Finds the columns of `file` that `mapping` and the well table ask for.
    ///
    /// # Errors
    /// [`Error::Format`] for a column that is missing, of the wrong type or of undeclared meaning.
    pub fn find(file: &ParquetFile, mapping: &Mapping) -> Result<Self> {
        let finder = Finder { file, mapping, names: file.column_names() };
        let (reading, orientation, scale) = finder.reading()?;
        let plate = finder.text("plate_id")?;
        let position = match finder.text("well")? {
            Some(well) => Some(PositionSource::Well(well)),
            // `row` and `col` of a table without plates number the cells of a dose matrix, not wells.
            None if plate.is_some() || orientation == Orientation::Signal || mapping.columns.contains_key("row") => {
                match (finder.number("row")?, finder.number("col")?) {
                    (Some(row), Some(col)) => Some(PositionSource::RowAndColumn(row, col)),
                    (None, None) => None,
                    (Some(_), None) => return Err(finder.missing("col", "`row` is there")),
                    (None, Some(_)) => return Err(finder.missing("row", "`col` is there")),
                }
            }
            None => None,
        };
        let mut drugs = [None, None, None];
        for (slot, found) in drugs.iter_mut().enumerate() {
            *found = finder.drug(slot)?;
        }
        let role = finder.text("role")?;
        if role.is_none() && drugs.iter().all(Option::is_none) {
            return Err(finder.missing("role", "and no `drug_a` to tell samples from vehicles"));
        }
        let mut only = Vec::new();
        for (theirs, values) in &mapping.only {
            let at = finder.theirs("only", theirs)?;
            check_type(file, at, theirs, false)?;
            only.push((at, values.clone()));
        }
        Ok(Self {
            plate,
            position,
            line: finder.text("cell_line")?,
            role,
            drugs,
            reading,
            orientation,
            scale,
            block: finder.text("block")?,
            schedule: finder.text("schedule")?,
            replicate: finder.text("replicate")?,
            batch: finder.text("batch")?,
            signal_t0: finder.number("signal_t0")?,
            time_h: finder.number("time_h")?,
            only,
        })
    }

    /// Positions of every column that is read, ascending.
    pub fn columns(&self) -> Vec<usize> {
        fn of(source: Option<&Source>) -> &[usize] {
            match source {
                Some(Source::Columns(columns)) => columns,
                Some(Source::Constant(_)) | None => &[],
            }
        }
        let mut columns = vec![self.reading];
        columns.extend(self.signal_t0.iter().chain(&self.time_h));
        let named = [&self.plate, &self.line, &self.role, &self.block, &self.schedule, &self.replicate, &self.batch];
        for source in named {
            columns.extend(of(source.as_ref()));
        }
        for drug in self.drugs.iter().flatten() {
            columns.extend(of(Some(&drug.drug)).iter().chain(of(drug.unit.column.as_ref())).chain([&drug.dose]));
        }
        match &self.position {
            Some(PositionSource::Well(well)) => columns.extend(of(Some(well))),
            Some(PositionSource::RowAndColumn(row, column)) => columns.extend([row, column]),
            None => {}
        }
        columns.extend(self.only.iter().map(|(at, _)| at));
        columns.sort_unstable();
        columns.dedup();
        columns
    }
}

struct Finder<'a> {
    file: &'a ParquetFile,
    mapping: &'a Mapping,
    names: Vec<&'a str>,
}

impl Finder<'_> {
    /// The column of the file with exactly this name.
    fn theirs(&self, section: &str, name: &str) -> Result<usize> {
        let mut found = self.names.iter().enumerate().filter(|(_, n)| **n == name).map(|(at, _)| at);
        match (found.next(), found.next()) {
            (Some(at), None) => Ok(at),
            (Some(_), Some(_)) => Err(self.file.error(format!("has two columns `{name}`"))),
            (None, _) => Err(failure::of_file(
                self.file.path(),
                format!("has no column `{name}`, which `{section}` names; it has {}", self.found()),
                nearest(name, self.names.iter().copied()).map(|near| format!("did you mean `{near}`?")),
            )),
        }
    }

    fn found(&self) -> String {
        let names: Vec<String> = self.names.iter().map(|name| format!("`{name}`")).collect();
        names.join(", ")
    }

    fn missing(&self, ours: &str, because: &str) -> Error {
        let spec_synonyms = column(ours).map_or(&[][..], |spec| spec.synonyms);
        let near = nearest(ours, self.names.iter().copied())
            .or_else(|| spec_synonyms.iter().find_map(|synonym| nearest(synonym, self.names.iter().copied())));
        let theirs = near.unwrap_or("THEIR NAME");
        failure::of_file(
            self.file.path(),
            format!("has no column `{ours}` ({because}); it has {}", self.found()),
            Some(format!("name it: --column {ours}=\"{theirs}\", or `{ours} = \"{theirs}\"` under [columns]")),
        )
    }

    /// The columns for one of ours; `None` where the file has none or is said to have none.
    fn columns(&self, ours: &str) -> Result<Option<Vec<usize>>> {
        if let Some(theirs) = self.mapping.columns.get(ours) {
            let key = format!("columns.{ours}");
            let at: Vec<usize> = theirs.iter().map(|name| self.theirs(&key, name)).collect::<Result<_>>()?;
            return Ok(Some(at).filter(|at| !at.is_empty()));
        }
        // Where doses are named by the rows and columns of a matrix, `c` is for column and not for the third drug.
        let by_row_and_column = self.names.iter().any(|name| plain(name) == "concr");
        let ours = match ours {
            "conc_c" | "conc_c_unit" if by_row_and_column => return Ok(None),
            "conc_b" if by_row_and_column => "conc_c",
            "conc_b_unit" if by_row_and_column => "conc_c_unit",
            _ => ours,
        };
        let synonyms = column(ours).map_or(&[][..], |spec| spec.synonyms);
        for name in std::iter::once(&ours).chain(synonyms) {
            let wanted = plain(name);
            // A column that was given to another of ours is no longer free to be taken for its synonym.
            let free = |n: &str| *name == ours || !self.mapping.columns.values().flatten().any(|given| given == n);
            let mut found =
                self.names.iter().enumerate().filter(|(_, n)| plain(n) == wanted && free(n)).map(|(at, _)| at);
            match (found.next(), found.next()) {
                (Some(at), None) => return Ok(Some(vec![at])),
                (Some(one), Some(two)) => {
                    return Err(failure::of_file(
                        self.file.path(),
                        format!("columns `{}` and `{}` both stand for `{ours}`", self.names[one], self.names[two]),
                        Some(format!("say which: --column {ours}=…")),
                    ));
                }
                _ => {}
            }
        }
        Ok(None)
    }

    fn text(&self, ours: &str) -> Result<Option<Source>> {
        if let Some(value) = self.mapping.constants.get(ours) {
            return Ok(Some(Source::Constant(value.clone())));
        }
        let Some(at) = self.columns(ours)? else { return Ok(None) };
        for &column in &at {
            check_type(self.file, column, ours, false)?;
        }
        Ok(Some(Source::Columns(at)))
    }

    fn number(&self, ours: &str) -> Result<Option<usize>> {
        let Some(at) = self.columns(ours)?.and_then(|at| at.first().copied()) else { return Ok(None) };
        check_type(self.file, at, ours, true)?;
        Ok(Some(at))
    }

    fn drug(&self, slot: usize) -> Result<Option<DrugSource>> {
        let (drug, dose) = (self.text(DRUGS[slot])?, self.number(DOSES[slot])?);
        let (drug, dose) = match (drug, dose) {
            (None, None) => return Ok(None),
            (Some(drug), Some(dose)) => (drug, dose),
            (Some(_), None) => return Err(self.missing(DOSES[slot], &format!("`{}` is there", DRUGS[slot]))),
            (None, Some(_)) => return Err(self.missing(DRUGS[slot], &format!("`{}` is there", DOSES[slot]))),
        };
        let column = match self.text(UNITS[slot])? {
            Some(own) => Some(own),
            None => self.text("conc_unit")?,
        };
        let declared = match &self.mapping.units[slot] {
            Some(unit) => Some((unit.clone(), known_unit(&format!("units.{}", DOSES[slot]), unit)?)),
            None => None,
        };
        if column.is_none() && declared.is_none() {
            return Err(failure::of_file(
                self.file.path(),
                format!("nothing says the unit of `{}`", self.names[dose]),
                Some("give it: --conc-unit uM, or `conc = \"uM\"` under [units]".into()),
            ));
        }
        Ok(Some(DrugSource { drug, dose, unit: UnitSource { column, declared } }))
    }

    /// The column of readings, and what it holds: said by `[response]`, else by its own name, never guessed.
    fn reading(&self) -> Result<(usize, Orientation, Scale)> {
        // Another role given to a column by name leaves it out of the search.
        let (signal, response) = (self.columns("signal")?, self.response()?);
        let (at, is_signal) = match (signal, response) {
            (Some(at), None) => (at[0], true),
            (None, Some(at)) => (at[0], false),
            (None, None) => return Err(self.missing("signal", "and none of `response`")),
            (Some(signal), Some(response)) => {
                // An orientation that was declared says which of the two is meant.
                match (
                    self.mapping.orientation,
                    self.mapping.columns.contains_key("signal"),
                    self.mapping.columns.contains_key("response"),
                ) {
                    (Some(Orientation::Signal), _, _) | (None, true, false) => (signal[0], true),
                    (Some(_), _, _) | (None, false, true) => (response[0], false),
                    _ => return Err(self.two_readings(signal[0], response[0])),
                }
            }
        };
        check_type(self.file, at, if is_signal { "signal" } else { "response" }, true)?;
        let name = self.names[at];
        let (said_orientation, said_scale) = own_meaning(name);
        let orientation = self.mapping.orientation.or(said_orientation);
        let orientation = match orientation {
            Some(orientation) => orientation,
            None if is_signal => Orientation::Signal,
            None => return Err(self.undeclared(name, "viability or inhibition", "orientation", "viability")),
        };
        if let Some(said) = said_orientation.filter(|said| *said != orientation) {
            return Err(self.contradiction(name, said.name(), orientation.name(), "orientation"));
        }
        let scale = match (self.mapping.scale, said_scale) {
            _ if orientation == Orientation::Signal => Scale::Fraction,
            (Some(declared), Some(said)) if declared != said => {
                return Err(self.contradiction(name, said.name(), declared.name(), "scale"));
            }
            (Some(scale), _) | (None, Some(scale)) => scale,
            (None, None) => return Err(self.undeclared(name, "fraction or percent", "scale", "percent")),
        };
        Ok((at, orientation, scale))
    }

    /// The column of a response: the only one there is, because two that speak for themselves are a question.
    fn response(&self) -> Result<Option<Vec<usize>>> {
        if self.mapping.columns.contains_key("response") {
            return self.columns("response");
        }
        let synonyms = column("response").map_or(&[][..], |spec| spec.synonyms);
        let wanted: Vec<String> = synonyms.iter().chain(&["response"]).map(|name| plain(name)).collect();
        let found: Vec<usize> =
            self.names.iter().enumerate().filter(|(_, name)| wanted.contains(&plain(name))).map(|(at, _)| at).collect();
        match found[..] {
            [] => Ok(None),
            [one] => Ok(Some(vec![one])),
            [one, two, ..] => Err(self.two_readings(one, two)),
        }
    }

    fn two_readings(&self, one: usize, two: usize) -> Error {
        failure::of_file(
            self.file.path(),
            format!("columns `{}` and `{}` could both be the reading", self.names[one], self.names[two]),
            Some(format!(
                "say which: --column {}=\"{}\"",
                if plain(self.names[one]).contains("signal") { "signal" } else { "response" },
                self.names[one]
            )),
        )
    }

    fn undeclared(&self, name: &str, of: &str, key: &str, example: &str) -> Error {
        failure::of_column(
            self.file.path(),
            name,
            format!("nothing says whether it is {of}"),
            Some(format!("say it: --{key} {example}, or `{key} = \"{example}\"` under [response]")),
        )
    }

    fn contradiction(&self, name: &str, said: &str, declared: &str, key: &str) -> Error {
        failure::of_column(
            self.file.path(),
            name,
            format!("is {said} by its name, and {declared} by the {key} that was given"),
            Some("rename the column if its name is wrong".into()),
        )
    }
}

/// What the name of a column of readings says of it.
fn own_meaning(name: &str) -> (Option<Orientation>, Option<Scale>) {
    let name = plain(name);
    let is_signal = column("signal")
        .is_some_and(|spec| std::iter::once(&spec.name).chain(spec.synonyms).any(|synonym| plain(synonym) == name));
    if is_signal {
        return (Some(Orientation::Signal), None);
    }
    match name.as_str() {
        "viabilityfrac" | "relativeviability" => (Some(Orientation::Viability), Some(Scale::Fraction)),
        "viabilitypct" => (Some(Orientation::Viability), Some(Scale::Percent)),
        "inhibitionfrac" => (Some(Orientation::Inhibition), Some(Scale::Fraction)),
        "inhibitionpct" => (Some(Orientation::Inhibition), Some(Scale::Percent)),
        "viability" => (Some(Orientation::Viability), None),
        "inhibition" => (Some(Orientation::Inhibition), None),
        _ => (None, None),
    }
}
