//! One row of a well table → a well, or the reason why it cannot be one.

mod plain;
mod treatment;

use super::header::{Header, PositionSource, Source};
use super::parquet_file::ParquetFile;
use super::texts::{Texts, Words};
use super::values;
use crate::config::Mapping;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::names::{NameId, Names};
use crate::screen::rejections::Part;
use crate::screen::response::to_viability;
use crate::screen::well::{Place, Role, Treatment, Well, WellPosition};
use crate::screen::wells::Columns as WellColumns;
use crate::screen::{Orientation, Rejected, Screen};
use crate::{Error, Result};
use arrow::array::{Array, Float64Array, RecordBatch, StringArray};

/// Rows for which there is place from the beginning.
const MOST_ROWS_AT_ONCE: usize = 1 << 20;

/// Why a row is not a well; in a box, as nearly all rows are none of it.
type Trouble = Box<Problem>;

enum Problem {
    /// This row is set aside.
    Reject(&'static str, String),
    /// The whole file cannot be used.
    Fatal(Error),
}

impl From<Error> for Trouble {
    fn from(error: Error) -> Self {
        Box::new(Problem::Fatal(error))
    }
}

fn reject<T>(reason: &'static str, detail: impl Into<String>) -> std::result::Result<T, Trouble> {
    Err(Box::new(Problem::Reject(reason, detail.into())))
}

fn number(column: &Float64Array, row: usize) -> Option<f64> {
    column.is_valid(row).then(|| column.value(row))
}

/// Names that are given numbers where they are used.
type NamedWords = Words<Option<NameId>>;

/// The number of a name, given one where it has none.
fn id(words: &mut NamedWords, word: usize, names: &mut Names) -> NameId {
    let word = words.get(word);
    *word.known.get_or_insert_with(|| names.intern(&word.text))
}

/// What is known of a drug's name.
#[derive(Default)]
struct DrugWord {
    id: Option<NameId>,
    /// Whether it means that there is no drug.
    no_drug: Option<bool>,
}

/// The numbers of a batch; its names are in the reader's words.
struct Columns<'a> {
    row_and_column: Option<(Float64Array, Float64Array)>,
    /// By row and column; unknown where the row must be looked at more closely. Empty without such columns.
    places: Vec<Place>,
    doses: [Option<Float64Array>; 3],
    reading: Float64Array,
    signal_t0: Option<Float64Array>,
    time_h: Option<Float64Array>,
    only: Vec<(StringArray, &'a [String])>,
}

/// Reads the rows of one file into a screen.
pub(super) struct RowReader<'a> {
    file: &'a ParquetFile,
    header: &'a Header,
    mapping: &'a Mapping,
    /// The plate of a file that names none.
    only_plate: String,
    only_plate_id: Option<NameId>,
    columns: Vec<usize>,
    plates: NamedWords,
    lines: NamedWords,
    blocks: NamedWords,
    schedules: NamedWords,
    replicates: NamedWords,
    batches: NamedWords,
    drugs: [Words<DrugWord>; 3],
    units: [Words<Option<ConcentrationUnit>>; 3],
    roles: Words<Option<Option<Role>>>,
    positions: Words<Option<Option<WellPosition>>>,
    /// Whether the file says nothing of its wells that [`RowReader::plain_row`] does not read.
    is_plain: bool,
}

impl<'a> RowReader<'a> {
    pub fn new(file: &'a ParquetFile, header: &'a Header, mapping: &'a Mapping, only_plate: String) -> Self {
        let Header { block, schedule, replicate, batch, signal_t0, time_h, only, .. } = header;
        let is_plain = [block, schedule, replicate, batch].iter().all(|source| source.is_none())
            && (signal_t0, time_h) == (&None, &None)
            && only.is_empty();
        Self {
            file,
            header,
            mapping,
            only_plate,
            only_plate_id: None,
            columns: header.columns(),
            plates: Words::default(),
            lines: Words::default(),
            blocks: Words::default(),
            schedules: Words::default(),
            replicates: Words::default(),
            batches: Words::default(),
            drugs: Default::default(),
            units: Default::default(),
            roles: Words::default(),
            positions: Words::default(),
            is_plain,
        }
    }

    /// Reads every row of the file.
    ///
    /// # Errors
    /// [`Error::Format`] where the file cannot be decoded or a unit, a molar mass or a role has no meaning.
    pub fn read(mut self, screen: &mut Screen) -> Result<()> {
        let (file, projected) = (self.file, self.columns.clone());
        let mut wells = std::mem::take(&mut screen.wells);
        // A footer may say anything of its rows: what it says is believed up to some ten megabytes.
        wells.reserve(usize::try_from(file.rows()).unwrap_or(usize::MAX).min(MOST_ROWS_AT_ONCE));
        let (used, mut rejected) = (wells.columns_mut(), std::mem::take(&mut screen.rejected));
        rejected.add(|rejected| {
            file.read_coded(&projected, |first_row, batch| {
                let columns = self.bind(batch)?;
                for row in 0..batch.num_rows() {
                    if self.plain_row(&columns, row, used, rejected) {
                        continue;
                    }
                    self.row(&columns, row, first_row + row as u64, screen, used, rejected)?;
                }
                screen.wells_in += batch.num_rows();
                Ok(())
            })
        })?;
        (screen.wells, screen.rejected) = (wells, rejected);
        Ok(())
    }

    /// The numbers of a batch, and the words of its names.
    fn bind(&mut self, batch: &RecordBatch) -> Result<Columns<'a>> {
        let (header, file, rows) = (self.header, self.file, batch.num_rows());
        let projected = std::mem::take(&mut self.columns);
        let at = |column: usize| projected.partition_point(|c| *c < column);
        let numbers = |column: usize| values::numbers(file, batch, at(column));
        let texts = |source: &'a Source| Texts::bind(source, file, batch, at);
        let mut doses = [None, None, None];
        for (slot, source) in header.drugs.iter().enumerate() {
            if let Some(source) = source {
                if let Some(unit) = &source.unit.column {
                    self.units[slot].read(&texts(unit)?, rows);
                }
                self.drugs[slot].read(&texts(&source.drug)?, rows);
                doses[slot] = Some(numbers(source.dose)?);
            }
        }
        if let Some(plate) = &header.plate {
            self.plates.read(&texts(plate)?, rows);
        }
        let mut row_and_column = None;
        match &header.position {
            Some(PositionSource::Well(well)) => self.positions.read(&texts(well)?, rows),
            Some(PositionSource::RowAndColumn(row, column)) => {
                row_and_column = Some((numbers(*row)?, numbers(*column)?));
            }
            None => {}
        }
        if let Some(line) = &header.line {
            self.lines.read(&texts(line)?, rows);
        }
        if let Some(role) = &header.role {
            self.roles.read(&texts(role)?, rows);
        }
        let reading = numbers(header.reading)?;
        for (source, words) in [
            (&header.block, &mut self.blocks),
            (&header.schedule, &mut self.schedules),
            (&header.replicate, &mut self.replicates),
            (&header.batch, &mut self.batches),
        ] {
            if let Some(source) = source {
                words.read(&texts(source)?, rows);
            }
        }
        let only = |(column, values): &'a (usize, Vec<String>)| {
            Ok((values::text(file, batch, at(*column))?, values.as_slice()))
        };
        let columns = Columns {
            places: row_and_column.as_ref().map_or_else(Vec::new, |(rows, columns)| plain::places(rows, columns)),
            row_and_column,
            doses,
            reading,
            signal_t0: header.signal_t0.map(numbers).transpose()?,
            time_h: header.time_h.map(numbers).transpose()?,
            only: header.only.iter().map(only).collect::<Result<_>>()?,
        };
        self.columns = projected;
        Ok(columns)
    }

    /// Reads a row into a well of `used`, or into `rejected`; `screen` gives the numbers of names.
    fn row(
        &mut self,
        columns: &Columns<'_>,
        row: usize,
        file_row: u64,
        screen: &mut Screen,
        used: &mut WellColumns,
        rejected: &mut Part,
    ) -> Result<()> {
        let plate = match &self.header.plate {
            None => Some(*self.only_plate_id.get_or_insert_with(|| screen.plates.intern(&self.only_plate))),
            Some(_) => {
                let word = self.plates.find(row);
                word.map(|word| id(&mut self.plates, word, &mut screen.plates))
            }
        };
        let mut position = None;
        let outcome = match plate {
            None => reject("missing_plate", ""),
            Some(plate) => self.position(columns, row).and_then(|found| {
                position = found;
                self.well(columns, row, plate, position, screen, used)
            }),
        };
        // Rows without a plate are kept under a name that is none.
        let plate = plate.unwrap_or_else(|| screen.plates.intern(""));
        match outcome {
            Ok(()) => {}
            Err(problem) => match *problem {
                Problem::Fatal(error) => return Err(error),
                Problem::Reject(reason, detail) => {
                    rejected.push(Rejected {
                        plate,
                        well: position,
                        reason,
                        detail: self.placed(position, file_row, detail),
                    });
                }
            },
        }
        Ok(())
    }

    /// What is said of a row that is no well: without a place on a plate only the row can be named.
    fn placed(&self, position: Option<WellPosition>, file_row: u64, detail: String) -> String {
        if position.is_some() {
            return detail;
        }
        let at = format!("row {} of `{}`", file_row + 1, self.file.path().display());
        if detail.is_empty() { at } else { format!("{at}: {detail}") }
    }

    fn position(&mut self, columns: &Columns<'_>, row: usize) -> std::result::Result<Option<WellPosition>, Trouble> {
        if let Some(PositionSource::Well(_)) = &self.header.position {
            let Some(word) = self.positions.find(row) else { return reject("bad_well_name", "no well") };
            let word = self.positions.get(word);
            return match *word.known.get_or_insert_with(|| WellPosition::parse(&word.text)) {
                Some(position) => Ok(Some(position)),
                None => reject("bad_well_name", format!("`{}` is no well of a plate of up to 1536", word.text)),
            };
        }
        let Some((rows, cols)) = &columns.row_and_column else { return Ok(None) };
        let (Some(row_number), Some(column)) = (number(rows, row), number(cols, row)) else {
            return reject("bad_well_name", "no row or no column");
        };
        // A conversion takes anything beyond, and NaN, to what is not the number.
        let whole = |x: f64| (f64::from(x as u16) == x && (1.0..=48.0).contains(&x)).then_some(x as u16);
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
        used: &mut WellColumns,
    ) -> std::result::Result<(), Trouble> {
        for (column, wanted) in &columns.only {
            let value = if column.is_valid(row) { column.value(row) } else { "" };
            if !wanted.iter().any(|w| w == value) {
                return reject("not_selected", format!("`{value}`"));
            }
        }
        let declared = match &self.header.role {
            None => None,
            Some(_) => Some(self.role(row)?),
        };
        if declared == Some(Role::Empty) {
            return reject("empty_well", "");
        }
        let mut found: [Option<(usize, f64)>; 3] = [None; 3];
        let mut said_something = false;
        for (slot, doses) in columns.doses.iter().enumerate() {
            let Some(doses) = doses else { continue };
            let name = self.drugs[slot].find(row);
            let dose = number(doses, row).filter(|dose| !dose.is_nan());
            said_something |= name.is_some() || dose.is_some();
            found[slot] = self.treatment(slot, name, dose, row, declared)?;
        }
        let active = found.iter().flatten().any(|(_, dose)| *dose > 0.0);
        let has_drug_columns = columns.doses.iter().any(Option::is_some);
        let role = match declared {
            Some(Role::Sample) if has_drug_columns && found.iter().all(Option::is_none) => {
                return reject("missing_drug", "a sample without a drug");
            }
            Some(Role::Vehicle) if active => {
                let there = found.iter().zip(&mut self.drugs).filter_map(|(drug, words)| Some((drug.as_ref()?, words)));
                let names: Vec<&str> = there
                    .filter(|(drug, _)| drug.1 > 0.0)
                    .map(|(drug, words)| words.get(drug.0).text.as_str())
                    .collect();
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
        let line = self.header.line.as_ref().map(|_| self.lines.find(row));
        if matches!(line, Some(None)) && role != Role::Blank {
            return reject("missing_cell_line", "");
        }
        let signal = self.signal(number(&columns.reading, row))?;
        let mut treatments = [None; 3];
        for (slot, drug) in found.into_iter().enumerate() {
            treatments[slot] = drug.map(|(word, dose)| {
                let word = self.drugs[slot].get(word);
                let drug = *word.known.id.get_or_insert_with(|| screen.drugs.intern(&word.text));
                Treatment { drug, dose }
            });
        }
        // Words of a column that is not there are of no row.
        let named = |words: &mut NamedWords, names: &mut Names| {
            let word = words.find(row)?;
            Some(id(words, word, names))
        };
        let beyond = |column: &Option<Float64Array>, least: f64| {
            column.as_ref().and_then(|column| number(column, row)).filter(|x| x.is_finite() && *x >= least)
        };
        used.push(&Well {
            plate,
            position,
            role,
            line: line.flatten().map(|word| id(&mut self.lines, word, &mut screen.lines)),
            treatments,
            signal,
            block: named(&mut self.blocks, &mut screen.blocks),
            schedule: named(&mut self.schedules, &mut screen.schedules),
            replicate: named(&mut self.replicates, &mut screen.replicates),
            batch: named(&mut self.batches, &mut screen.batches),
            signal_t0: beyond(&columns.signal_t0, 0.0),
            time_h: beyond(&columns.time_h, f64::MIN_POSITIVE),
        });
        Ok(())
    }

    fn role(&mut self, row: usize) -> std::result::Result<Role, Trouble> {
        let Some(word) = self.roles.find(row) else { return reject("missing_role", "") };
        let word = self.roles.get(word);
        let value = &word.text;
        let role = match word.known {
            Some(role) => role,
            None => self.mapping.role(value).map_err(|both| Error::Setting {
                key: "roles".into(),
                problem: format!("`{value}` is both {} and {}", both.0.name(), both.1.name()),
                hint: Some("name the value itself under the role that is meant: it goes before globs".into()),
            })?,
        };
        word.known = Some(role);
        match role {
            Some(role) => Ok(role),
            None => reject("unknown_role", format!("`{value}`: name it under [roles]")),
        }
    }

    fn signal(&self, reading: Option<f64>) -> std::result::Result<f64, Trouble> {
        let Some(reading) = reading else { return reject("missing_signal", "") };
        match self.usable(reading) {
            Some(signal) => Ok(signal),
            None if reading.is_finite() => reject("negative_signal", format!("{reading}")),
            None => reject("not_finite_signal", format!("{reading}")),
        }
    }

    /// What a well with this reading has for its signal.
    #[inline]
    fn usable(&self, reading: f64) -> Option<f64> {
        let Header { orientation, scale, .. } = *self.header;
        // A viability may be negative after background subtraction; a count of light may not.
        let is_usable = reading.is_finite() && (orientation != Orientation::Signal || reading >= 0.0);
        is_usable.then(|| to_viability(orientation, scale, reading))
    }
}
