//! The simple tables of `isobole fit` and `isobole synergy`: keys, one to three doses, a response.

use super::failure;
use super::parquet_file::ParquetFile;
use super::values::{check_type, integers, is_integer, numbers, text};
use crate::config::choice::nearest;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::response::{ScaleEvidence, to_viability};
use crate::screen::{Orientation, Scale};
use crate::{Error, Result};
use arrow::array::{Array, Float64Array, Int64Array, RecordBatch, StringArray};
use std::collections::HashMap;
use std::path::Path;

/// What the columns of a simple table mean.
#[derive(Debug, Clone, PartialEq)]
pub struct LongMapping {
    /// Columns whose values together name a curve or a matrix; none for a file that is one.
    pub group: Vec<String>,
    /// One to three columns of doses.
    pub doses: Vec<String>,
    /// The column of a second independent variable, which is a plain number, where the model has one.
    pub x2: Option<String>,
    /// Whether the "doses" are plain numbers: of any sign, and responses of any size.
    pub plain_numbers: bool,
    /// Whether each well is a point of its own: replicates are not taken together.
    pub single_wells: bool,
    /// The column of responses.
    pub response: String,
    /// The unit of every dose; a molar one, as there are no drugs to have a molar mass.
    pub dose_unit: ConcentrationUnit,
    /// Viability or inhibition.
    pub orientation: Orientation,
    /// Fraction or percent.
    pub scale: Scale,
    /// The response of untreated cells where responses are in a unit of their own, such as counts; these are divided by
    /// it.
    pub untreated: Option<f64>,
}

/// One response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LongRow {
    /// Its curve or matrix: an index into [`LongTable::groups`].
    pub group: u32,
    /// Molar doses; exactly 0 for none, and beyond the columns given.
    pub doses: [f64; 3],
    /// The second independent variable; 0 where there is none.
    pub x2: f64,
    /// Viability as a fraction.
    pub response: f64,
}

/// A simple table as read: every row of the file is in `rows` or in `rejected`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LongTable {
    /// The distinct keys, in the order in which they first appeared; one value a group column.
    pub groups: Vec<Vec<String>>,
    /// Rows that can be used, in the order of the file.
    pub rows: Vec<LongRow>,
    /// Rows that cannot: number in the file from 1, reason code, what was seen.
    pub rejected: Vec<(u64, &'static str, String)>,
    /// Rows of the file.
    pub rows_in: usize,
    /// Which key columns hold whole numbers; their values are decimal digits in `groups`.
    pub integer_keys: Vec<bool>,
}

/// An opened simple table: its columns are there and of the right types.
pub(super) struct LongFile {
    pub file: ParquetFile,
    pub mapping: LongMapping,
    factor: f64,
    keys: Vec<usize>,
    doses: Vec<usize>,
    response: usize,
    x2: Option<usize>,
    /// Every column to be read, in the order of the file.
    pub columns: Vec<usize>,
}

/// The doses and responses of a batch.
pub(super) struct Readings {
    doses: Vec<Float64Array>,
    responses: Float64Array,
    x2: Option<Float64Array>,
}

/// What one row says.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reading {
    pub doses: [f64; 3],
    pub x2: f64,
    pub response: f64,
}

/// Why a row cannot be used: reason code, what was seen.
pub(super) type Trouble = (&'static str, String);

impl LongFile {
    /// Opens a file and finds its columns.
    ///
    /// # Errors
    /// Those of [`read_long`] that need no row.
    pub fn open(path: &Path, mapping: &LongMapping) -> Result<Self> {
        let ConcentrationUnit::Molar(factor) = mapping.dose_unit else {
            return Err(Error::Setting {
                key: "dose-unit".into(),
                problem: "is mass per volume, and the molar mass is not known".into(),
                hint: Some("convert the doses, or give the table as plates with `[units.molar_mass]`".into()),
            });
        };
        if mapping.doses.is_empty() || mapping.doses.len() > 3 {
            return Err(Error::setting(
                "dose",
                format!("{} dose columns; one to three are needed", mapping.doses.len()),
            ));
        }
        if mapping.orientation == Orientation::Signal {
            return Err(Error::Setting {
                key: "orientation".into(),
                problem: "raw signals have no controls in a table of curves".into(),
                hint: Some("normalise them first: isobole normalize".into()),
            });
        }
        let file = ParquetFile::open(path)?;
        let find = |name: &String, ours: &str, is_number: bool| -> Result<usize> {
            let names = file.column_names();
            let Some(at) = names.iter().position(|n| n == name) else {
                return Err(failure::of_file(
                    path,
                    format!("has no column `{name}` ({ours}); it has `{}`", names.join("`, `")),
                    nearest(name, names.iter().copied()).map(|near| format!("did you mean `{near}`?")),
                ));
            };
            check_type(&file, at, ours, is_number)?;
            Ok(at)
        };
        let keys: Vec<usize> = mapping.group.iter().map(|name| find(name, "key", false)).collect::<Result<_>>()?;
        let doses: Vec<usize> = mapping.doses.iter().map(|name| find(name, "dose", true)).collect::<Result<_>>()?;
        let response = find(&mapping.response, "response", true)?;
        let x2 = mapping.x2.as_ref().map(|name| find(name, "second variable", true)).transpose()?;
        let mut columns: Vec<usize> = keys.iter().chain(&doses).copied().chain([response]).chain(x2).collect();
        columns.sort_unstable();
        columns.dedup();
        Ok(Self { file, mapping: mapping.clone(), factor, keys, doses, response, x2, columns })
    }

    /// Where in a batch a column of the file is.
    fn at(&self, column: usize) -> usize {
        self.columns.partition_point(|c| *c < column)
    }

    /// Whether the values of a key column are whole numbers, which then stay numbers.
    pub fn key_is_integer(&self, key: usize) -> bool {
        self.keys.get(key).is_some_and(|column| is_integer(self.file.column_type(*column)))
    }

    /// A key column of a batch as text.
    pub fn key_text(&self, batch: &RecordBatch, key: usize) -> Result<StringArray> {
        text(&self.file, batch, self.at(self.keys[key]))
    }

    /// A key column of a batch for which [`LongFile::key_is_integer`] holds.
    pub fn key_integers(&self, batch: &RecordBatch, key: usize) -> Result<Int64Array> {
        integers(&self.file, batch, self.at(self.keys[key]))
    }

    /// The doses and responses of a batch.
    pub fn readings(&self, batch: &RecordBatch) -> Result<Readings> {
        Ok(Readings {
            doses: self.doses.iter().map(|d| numbers(&self.file, batch, self.at(*d))).collect::<Result<_>>()?,
            responses: numbers(&self.file, batch, self.at(self.response))?,
            x2: self.x2.map(|x2| numbers(&self.file, batch, self.at(x2))).transpose()?,
        })
    }

    /// Why a row with this key column missing cannot be used.
    pub fn missing_key(&self, key: usize) -> Trouble {
        ("missing_key", format!("`{}`", self.mapping.group[key]))
    }

    /// Molar doses, second variable and viability of a row, or why it cannot be used.
    #[inline]
    pub fn row(&self, readings: &Readings, row: usize) -> std::result::Result<Reading, Trouble> {
        let mut molar = [0.0; 3];
        for ((slot, dose), name) in molar.iter_mut().zip(&readings.doses).zip(&self.mapping.doses) {
            let value = if dose.is_valid(row) { dose.value(row) } else { f64::NAN };
            if value.is_nan() {
                return Err(("missing_dose", format!("`{name}`")));
            }
            if value < 0.0 && !self.mapping.plain_numbers {
                return Err(("negative_dose", format!("`{name}` is {value}")));
            }
            // 0.0 + … turns a negative zero into the exact zero that means "none".
            *slot = 0.0 + value * self.factor;
            if !slot.is_finite() || (*slot == 0.0 && value != 0.0) {
                return Err(("not_finite_dose", format!("`{name}` is {value}")));
            }
        }
        let mut x2 = 0.0;
        if let (Some(values), Some(name)) = (&readings.x2, &self.mapping.x2) {
            let value = if values.is_valid(row) { values.value(row) } else { f64::NAN };
            if value.is_nan() {
                return Err(("missing_x2", format!("`{name}`")));
            }
            if value.is_infinite() {
                return Err(("not_finite_x2", format!("`{name}` is {value}")));
            }
            x2 = 0.0 + value;
        }
        if readings.responses.is_null(row) {
            return Err(("missing_response", String::new()));
        }
        let value = readings.responses.value(row);
        if !value.is_finite() {
            return Err(("not_finite_response", format!("{value}")));
        }
        let value = self.mapping.untreated.map_or(value, |untreated| value / untreated);
        let response = to_viability(self.mapping.orientation, self.mapping.scale, value);
        Ok(Reading { doses: molar, x2, response })
    }

    /// The error for responses that cannot be on the declared scale.
    ///
    /// # Errors
    /// [`Error::Format`] naming the column.
    pub fn check_scale(&self, seen: &ScaleEvidence) -> Result<()> {
        match seen.problem(self.mapping.scale).filter(|_| !self.mapping.plain_numbers) {
            None => Ok(()),
            Some(problem) => {
                let hint = Some("check --scale".into());
                Err(failure::of_column(self.file.path(), &self.mapping.response, problem, hint))
            }
        }
    }
}

/// Reads a simple table.
///
/// # Errors
/// [`Error::File`], [`Error::Format`] as for [`super::read_screen`]; [`Error::Setting`] for a mapping without sense.
pub fn read_long(path: &Path, mapping: &LongMapping) -> Result<LongTable> {
    let long = LongFile::open(path, mapping)?;
    let integer_keys = (0..mapping.group.len()).map(|key| long.key_is_integer(key)).collect();
    let mut table = LongTable { integer_keys, ..LongTable::default() };
    let capacity = usize::try_from(long.file.rows()).unwrap_or(0).min(1 << 24);
    table.rows.reserve(capacity);
    let mut groups = Groups::default();
    let mut scale = ScaleEvidence::default();
    long.file.read(&long.columns, |first_row, batch| {
        let keys: Vec<StringArray> =
            (0..mapping.group.len()).map(|key| long.key_text(batch, key)).collect::<Result<_>>()?;
        let readings = long.readings(batch)?;
        for row in 0..batch.num_rows() {
            table.rows_in += 1;
            let read = match keys.iter().position(|key| key.is_null(row)) {
                Some(missing) => Err(long.missing_key(missing)),
                None => long.row(&readings, row),
            };
            match read {
                Ok(Reading { doses, x2, response }) => {
                    scale.add(response);
                    let group = groups.number(&keys, row, &mut table.groups)?;
                    table.rows.push(LongRow { group, doses, x2, response });
                }
                Err((reason, detail)) => table.rejected.push((first_row + row as u64 + 1, reason, detail)),
            }
        }
        Ok(())
    })?;
    long.check_scale(&scale)?;
    Ok(table)
}

/// Numbers of keys. Neighbouring rows mostly share theirs, so the last one is asked first.
#[derive(Default)]
struct Groups {
    numbers: HashMap<String, u32>,
    key: String,
    last: Option<u32>,
}

impl Groups {
    fn number(&mut self, keys: &[StringArray], row: usize, groups: &mut Vec<Vec<String>>) -> Result<u32> {
        if let Some(last) = self.last {
            let same = groups
                .get(last as usize)
                .is_some_and(|values| values.iter().zip(keys).all(|(value, key)| value == key.value(row)));
            if same {
                return Ok(last);
            }
        }
        self.key.clear();
        for key in keys {
            // Lengths before the values keep ("ab", "c") and ("a", "bc") apart.
            self.key += &format!("{}:", key.value(row).len());
            self.key += key.value(row);
        }
        let number = match self.numbers.get(&self.key) {
            Some(number) => *number,
            None => {
                let number = u32::try_from(groups.len()).map_err(|_| Error::Screen {
                    problem: "more than 4,294,967,295 curves in one file".into(),
                    hint: Some("split it".into()),
                })?;
                groups.push(keys.iter().map(|key| key.value(row).to_owned()).collect());
                self.numbers.insert(self.key.clone(), number);
                number
            }
        };
        self.last = Some(number);
        Ok(number)
    }
}
