//! One row of a well table → a well, or the reason why it cannot be one.

use super::failure;
use super::header::{Header, PositionSource, Source};
use super::parquet_file::ParquetFile;
use super::values;
use crate::config::Mapping;
use crate::config::mapping::known_unit;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::names::{NameId, Names};
use crate::screen::response::to_viability;
use crate::screen::well::{Role, Treatment, Well, WellPosition};
use crate::screen::{Orientation, Rejected, Screen};
use crate::{Error, Result};
use arrow::array::{Array, Float64Array, RecordBatch, StringArray};
use std::borrow::Cow;

/// Why a row is not a well.
enum Trouble {
    /// This row is set aside.
    Reject(&'static str, String),
    /// The whole file cannot be used.
    Fatal(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Trouble::Fatal(error)
    }
}

fn reject<T>(reason: &'static str, detail: impl Into<String>) -> std::result::Result<T, Trouble> {
    Err(Trouble::Reject(reason, detail.into()))
}

/// The columns of a batch that one of ours is made of.
enum Texts<'a> {
    Columns(Vec<StringArray>),
    Constant(&'a str),
}

impl Texts<'_> {
    /// The text of a row, trimmed; `None` where it, or a part of it, is missing.
    fn get(&self, row: usize) -> Option<Cow<'_, str>> {
        let one = |column: &StringArray| column.is_valid(row).then(|| column.value(row).trim().to_owned());
        let text = match self {
            Texts::Constant(text) => Cow::Borrowed(text.trim()),
            Texts::Columns(columns) => match &columns[..] {
                [column] => Cow::Borrowed(column.is_valid(row).then(|| column.value(row).trim())?),
                columns => Cow::Owned(columns.iter().map(one).collect::<Option<Vec<_>>>()?.join("/")),
            },
        };
        (!text.is_empty()).then_some(text)
    }
}

fn number(column: &Float64Array, row: usize) -> Option<f64> {
    column.is_valid(row).then(|| column.value(row))
}

/// The last name seen and its number: neighbouring rows mostly share plate, line and drug.
#[derive(Default)]
struct Last(Option<(String, NameId)>);

impl Last {
    fn id(&mut self, names: &mut Names, text: &str) -> NameId {
        match &self.0 {
            Some((last, id)) if last == text => *id,
            _ => {
                let id = names.intern(text);
                self.0 = Some((text.to_owned(), id));
                id
            }
        }
    }
}

/// The columns of a batch, by what they are.
struct Columns<'a> {
    plate: Option<Texts<'a>>,
    well: Option<Texts<'a>>,
    row_and_column: Option<(Float64Array, Float64Array)>,
    line: Option<Texts<'a>>,
    role: Option<Texts<'a>>,
    drugs: [Option<Drug<'a>>; 3],
    reading: Float64Array,
    block: Option<Texts<'a>>,
    schedule: Option<Texts<'a>>,
    replicate: Option<Texts<'a>>,
    batch: Option<Texts<'a>>,
    signal_t0: Option<Float64Array>,
    time_h: Option<Float64Array>,
    only: Vec<(StringArray, &'a [String])>,
}

struct Drug<'a> {
    drug: Texts<'a>,
    dose: Float64Array,
    unit: Option<Texts<'a>>,
}

/// Reads the rows of one file into a screen.
pub(super) struct RowReader<'a> {
    file: &'a ParquetFile,
    header: &'a Header,
    mapping: &'a Mapping,
    /// The plate of a file that names none.
    only_plate: String,
    columns: Vec<usize>,
    last_plate: Last,
    last_line: Last,
    last_replicate: Last,
    last_batch: Last,
    last_drug: [Last; 3],
    last_unit: Option<(String, ConcentrationUnit)>,
    last_role: Option<(String, Option<Role>)>,
}

impl<'a> RowReader<'a> {
    pub fn new(file: &'a ParquetFile, header: &'a Header, mapping: &'a Mapping, only_plate: String) -> Self {
        Self {
            file,
            header,
            mapping,
            only_plate,
            columns: header.columns(),
            last_plate: Last::default(),
            last_line: Last::default(),
            last_replicate: Last::default(),
            last_batch: Last::default(),
            last_drug: Default::default(),
            last_unit: None,
            last_role: None,
        }
    }

    /// Reads every row of the file.
    ///
    /// # Errors
    /// [`Error::Format`] where the file cannot be decoded or a unit, a molar mass or a role has no meaning.
    pub fn read(mut self, screen: &mut Screen) -> Result<()> {
        let (file, projected) = (self.file, self.columns.clone());
        file.read(&projected, |first_row, batch| {
            let columns = self.bind(batch)?;
            for row in 0..batch.num_rows() {
                self.row(&columns, row, first_row + row as u64, screen)?;
            }
            Ok(())
        })
    }

    fn bind(&self, batch: &RecordBatch) -> Result<Columns<'a>> {
        let (header, file) = (self.header, self.file);
        let at = |column: usize| self.columns.partition_point(|c| *c < column);
        let numbers = |column: usize| values::numbers(file, batch, at(column));
        let texts = |source: &'a Source| -> Result<Texts<'a>> {
            Ok(match source {
                Source::Constant(text) => Texts::Constant(text),
                Source::Columns(from) => {
                    Texts::Columns(from.iter().map(|c| values::text(file, batch, at(*c))).collect::<Result<_>>()?)
                }
            })
        };
        let optional = |source: &'a Option<Source>| source.as_ref().map(texts).transpose();
        let mut drugs = [None, None, None];
        for (bound, source) in drugs.iter_mut().zip(&header.drugs) {
            if let Some(source) = source {
                let unit = optional(&source.unit.column)?;
                *bound = Some(Drug { drug: texts(&source.drug)?, dose: numbers(source.dose)?, unit });
            }
        }
        Ok(Columns {
            plate: optional(&header.plate)?,
            well: match &header.position {
                Some(PositionSource::Well(well)) => Some(texts(well)?),
                _ => None,
            },
            row_and_column: match &header.position {
                Some(PositionSource::RowAndColumn(row, column)) => Some((numbers(*row)?, numbers(*column)?)),
                _ => None,
            },
            line: optional(&header.line)?,
            role: optional(&header.role)?,
            drugs,
            reading: numbers(header.reading)?,
            block: optional(&header.block)?,
            schedule: optional(&header.schedule)?,
            replicate: optional(&header.replicate)?,
            batch: optional(&header.batch)?,
            signal_t0: header.signal_t0.map(numbers).transpose()?,
            time_h: header.time_h.map(numbers).transpose()?,
            only: header
                .only
                .iter()
                .map(|(column, values)| Ok((values::text(file, batch, at(*column))?, values.as_slice())))
                .collect::<Result<_>>()?,
        })
    }

    fn row(&mut self, columns: &Columns<'_>, row: usize, file_row: u64, screen: &mut Screen) -> Result<()> {
        screen.wells_in += 1;
        let named = columns.plate.as_ref().map(|plate| plate.get(row));
        let plate_name: &str = match &named {
            None => &self.only_plate,
            Some(Some(name)) => name,
            Some(None) => "",
        };
        let plate = self.last_plate.id(&mut screen.plates, plate_name);
        let mut position = None;
        let outcome = if plate_name.is_empty() {
            reject("missing_plate", "")
        } else {
            self.position(columns, row).and_then(|found| {
                position = found;
                self.well(columns, row, plate, position, screen)
            })
        };
        match outcome {
            Ok(well) => screen.wells.push(well),
            Err(Trouble::Fatal(error)) => return Err(error),
            Err(Trouble::Reject(reason, mut detail)) => {
                if position.is_none() {
                    // Without a place on a plate only the row can be named.
                    let at = format!("row {} of `{}`", file_row + 1, self.file.path().display());
                    detail = if detail.is_empty() { at } else { format!("{at}: {detail}") };
                }
                screen.rejected.push(Rejected { plate, well: position, reason, detail });
            }
        }
        Ok(())
    }

    fn position(&self, columns: &Columns<'_>, row: usize) -> std::result::Result<Option<WellPosition>, Trouble> {
        if let Some(well) = &columns.well {
            let Some(name) = well.get(row) else { return reject("bad_well_name", "no well") };
            return match WellPosition::parse(&name) {
                Some(position) => Ok(Some(position)),
                None => reject("bad_well_name", format!("`{name}` is no well of a plate of up to 1536")),
            };
        }
        let Some((rows, cols)) = &columns.row_and_column else { return Ok(None) };
        let (Some(row_number), Some(column)) = (number(rows, row), number(cols, row)) else {
            return reject("bad_well_name", "no row or no column");
        };
        let whole = |x: f64| (x.fract() == 0.0 && (1.0..=48.0).contains(&x)).then_some(x as u16);
        match whole(row_number).zip(whole(column)).and_then(|(r, c)| WellPosition::new(r, c)) {
            Some(position) => Ok(Some(position)),
            None => reject(
                "bad_well_name",
                format!("row {row_number}, column {column} is no well of a plate of up to 1536"),
            ),
        }
    }

    fn well(
        &mut self,
        columns: &Columns<'_>,
        row: usize,
        plate: NameId,
        position: Option<WellPosition>,
        screen: &mut Screen,
    ) -> std::result::Result<Well, Trouble> {
        for (column, wanted) in &columns.only {
            let value = if column.is_valid(row) { column.value(row) } else { "" };
            if !wanted.iter().any(|w| w == value) {
                return reject("not_selected", format!("`{value}`"));
            }
        }
        let declared = match &columns.role {
            None => None,
            Some(role) => Some(self.role(role.get(row).as_deref())?),
        };
        if declared == Some(Role::Empty) {
            return reject("empty_well", "");
        }
        let mut found: [Option<(Cow<'_, str>, f64)>; 3] = [None, None, None];
        let mut said_something = false;
        for (slot, drug) in columns.drugs.iter().enumerate() {
            let Some(drug) = drug else { continue };
            let name = drug.drug.get(row);
            let dose = number(&drug.dose, row).filter(|dose| !dose.is_nan());
            said_something |= name.is_some() || dose.is_some();
            found[slot] = self.treatment(slot, drug, name, dose, row, declared)?;
        }
        let active = found.iter().flatten().any(|(_, dose)| *dose > 0.0);
        let has_drug_columns = columns.drugs.iter().any(Option::is_some);
        let role = match declared {
            Some(Role::Sample) if has_drug_columns && found.iter().all(Option::is_none) => {
                return reject("missing_drug", "a sample without a drug");
            }
            Some(Role::Vehicle) if active => {
                let names: Vec<&str> = found.iter().flatten().filter(|t| t.1 > 0.0).map(|t| t.0.as_ref()).collect();
                return reject(
                    "vehicle_with_drug",
                    format!("`{}` at a dose above 0; a solvent belongs under `none`", names.join("`, `")),
                );
            }
            Some(role) => role,
            None if active => Role::Sample,
            None if has_drug_columns && !said_something => {
                return reject("missing_role", "neither role, drug nor dose");
            }
            None => Role::Vehicle,
        };
        let line = columns.line.as_ref().map(|line| line.get(row));
        if matches!(line, Some(None)) && role != Role::Blank {
            return reject("missing_cell_line", "");
        }
        let signal = self.signal(number(&columns.reading, row))?;
        let mut treatments = [None; 3];
        for (slot, drug) in found.into_iter().enumerate() {
            treatments[slot] =
                drug.map(|(name, dose)| Treatment { drug: self.last_drug[slot].id(&mut screen.drugs, &name), dose });
        }
        let intern = |texts: &Option<Texts<'_>>, names: &mut Names| {
            texts.as_ref().and_then(|texts| texts.get(row)).map(|name| names.intern(&name))
        };
        let beyond = |column: &Option<Float64Array>, least: f64| {
            column.as_ref().and_then(|column| number(column, row)).filter(|x| x.is_finite() && *x >= least)
        };
        Ok(Well {
            plate,
            position,
            role,
            line: line.flatten().map(|name| self.last_line.id(&mut screen.lines, &name)),
            treatments,
            signal,
            block: intern(&columns.block, &mut screen.blocks),
            schedule: intern(&columns.schedule, &mut screen.schedules),
            replicate: columns
                .replicate
                .as_ref()
                .and_then(|texts| texts.get(row))
                .map(|name| self.last_replicate.id(&mut screen.replicates, &name)),
            batch: columns
                .batch
                .as_ref()
                .and_then(|texts| texts.get(row))
                .map(|name| self.last_batch.id(&mut screen.batches, &name)),
            signal_t0: beyond(&columns.signal_t0, 0.0),
            time_h: beyond(&columns.time_h, f64::MIN_POSITIVE),
        })
    }

    fn role(&mut self, value: Option<&str>) -> std::result::Result<Role, Trouble> {
        let Some(value) = value else { return reject("missing_role", "") };
        let role = match &self.last_role {
            Some((last, role)) if last == value => *role,
            _ => {
                let role = self.mapping.role(value).map_err(|both| Error::Setting {
                    key: "roles".into(),
                    problem: format!("`{value}` is both {} and {}", both.0.name(), both.1.name()),
                    hint: Some("name the value itself under the role that is meant: it goes before globs".into()),
                })?;
                self.last_role = Some((value.to_owned(), role));
                role
            }
        };
        match role {
            Some(role) => Ok(role),
            None => reject("unknown_role", format!("`{value}`: name it under [roles]")),
        }
    }

    /// One drug of a well with its molar dose; `None` where the slot is not used.
    fn treatment<'t>(
        &mut self,
        slot: usize,
        source: &Drug<'_>,
        name: Option<Cow<'t, str>>,
        dose: Option<f64>,
        row: usize,
        declared: Option<Role>,
    ) -> std::result::Result<Option<(Cow<'t, str>, f64)>, Trouble> {
        // Controls often carry the name of their vehicle, with or without a concentration.
        let control = matches!(declared, Some(Role::Vehicle | Role::Positive | Role::Blank));
        let no_drug = name.as_deref().is_none_or(|name| self.mapping.means_no_drug(name));
        let shown = name.as_deref().unwrap_or("");
        match dose {
            Some(dose) if dose.is_infinite() => return reject("not_finite_dose", format!("`{shown}` at {dose}")),
            Some(dose) if dose < 0.0 => return reject("negative_dose", format!("`{shown}` at {dose}")),
            _ => {}
        }
        let (Some(name), false) = (name, no_drug) else {
            return match dose {
                Some(dose) if dose > 0.0 && !control => {
                    reject("missing_drug", format!("a dose of {dose}, and no drug"))
                }
                _ => Ok(None),
            };
        };
        let Some(dose) = dose else {
            return if control { Ok(None) } else { reject("missing_dose", format!("`{name}`")) };
        };
        if dose == 0.0 {
            return Ok(Some((name, 0.0)));
        }
        let unit = self.unit(slot, source.unit.as_ref().and_then(|unit| unit.get(row)).as_deref())?;
        let Some(unit) = unit else { return reject("missing_unit", format!("`{name}` at {dose}")) };
        let molar = unit.to_molar(dose, self.mapping.molar_mass.get(name.as_ref()).copied());
        match molar {
            None => Err(failure::of_file(
                self.file.path(),
                format!("doses of `{name}` are mass per volume, and its molar mass is not known"),
                Some(format!("give it in g/mol: --molar-mass \"{name}=…\", or under [units.molar_mass]")),
            ))?,
            // Zero means "not added": a dose must not become it by underflow.
            Some(molar) if molar > 0.0 && molar.is_finite() => Ok(Some((name, molar))),
            Some(_) => reject("not_finite_dose", format!("`{name}` at {dose}")),
        }
    }

    /// The unit of a dose: as declared, else as its column says. The two may not disagree.
    fn unit(&mut self, slot: usize, text: Option<&str>) -> Result<Option<ConcentrationUnit>> {
        let Some(source) = &self.header.drugs[slot] else { return Ok(None) };
        let Some(text) = text else { return Ok(source.unit.declared.as_ref().map(|(_, unit)| *unit)) };
        let read = match &self.last_unit {
            Some((last, unit)) if last == text => *unit,
            _ => {
                let unit = known_unit("conc_unit", text).map_err(|error| match error {
                    Error::Setting { problem, .. } => self.file.error(problem),
                    other => other,
                })?;
                self.last_unit = Some((text.to_owned(), unit));
                unit
            }
        };
        match &source.unit.declared {
            Some((declared, unit)) if *unit != read => Err(failure::of_file(
                self.file.path(),
                format!("doses are in {text} by their column, and in {declared} by the unit that was given"),
                Some("leave the given unit out, or say that there is no such column: conc_unit = \"\"".into()),
            )),
            _ => Ok(Some(read)),
        }
    }

    fn signal(&self, reading: Option<f64>) -> std::result::Result<f64, Trouble> {
        let Some(reading) = reading else { return reject("missing_signal", "") };
        if !reading.is_finite() {
            return reject("not_finite_signal", format!("{reading}"));
        }
        // A viability may be negative after background subtraction; a count of light may not.
        if self.header.orientation == Orientation::Signal && reading < 0.0 {
            return reject("negative_signal", format!("{reading}"));
        }
        Ok(to_viability(self.header.orientation, self.header.scale, reading))
    }
}
