//! The simple tables of `isobole fit` and `isobole synergy`: keys, one to three doses, a response.

use super::failure;
use super::parquet_file::ParquetFile;
use super::values::{check_type, numbers, text};
use crate::config::choice::nearest;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::response::{implausible_scale, to_viability};
use crate::screen::{Orientation, Scale};
use crate::{Error, Result};
use arrow::array::{Array, StringArray};
use std::collections::HashMap;
use std::path::Path;

/// What the columns of a simple table mean.
#[derive(Debug, Clone, PartialEq)]
pub struct LongMapping {
    /// Columns whose values together name a curve or a matrix; none for a file that is one.
    pub group: Vec<String>,
    /// One to three columns of doses.
    pub doses: Vec<String>,
    /// The column of the second variable, for models that have one.
    pub x2: Option<String>,
    /// Whether the "doses" are plain numbers: of any sign, and responses of any size.
    pub plain_numbers: bool,
    /// The column of responses.
    pub response: String,
    /// The unit of every dose; a molar one, as there are no drugs to have a molar mass.
    pub dose_unit: ConcentrationUnit,
    /// Viability or inhibition.
    pub orientation: Orientation,
    /// Fraction or percent.
    pub scale: Scale,
}

/// One response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LongRow {
    /// Its curve or matrix: an index into [`LongTable::groups`].
    pub group: u32,
    /// Molar doses; exactly 0 for none, and beyond the columns given.
    pub doses: [f64; 3],
    /// The second variable; 0 where there is none.
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
}

/// Reads a simple table.
///
/// # Errors
/// [`Error::File`], [`Error::Format`] as for [`super::read_screen`]; [`Error::Setting`] for a mapping without sense.
pub fn read_long(path: &Path, mapping: &LongMapping) -> Result<LongTable> {
    let ConcentrationUnit::Molar(factor) = mapping.dose_unit else {
        return Err(Error::Setting {
            key: "dose-unit".into(),
            problem: "is mass per volume, and the molar mass is not known".into(),
            hint: Some("convert the doses, or give the table as plates with `[units.molar_mass]`".into()),
        });
    };
    if mapping.doses.is_empty() || mapping.doses.len() > 3 {
        return Err(Error::setting("dose", format!("{} dose columns; one to three are needed", mapping.doses.len())));
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
    let x2 = mapping.x2.as_ref().map(|name| find(name, "x2", true)).transpose()?;
    let response = find(&mapping.response, "response", true)?;
    let mut columns: Vec<usize> = keys.iter().chain(&doses).copied().chain(x2).chain([response]).collect();
    columns.sort_unstable();
    columns.dedup();
    let at = |column: usize| columns.partition_point(|c| *c < column);

    let mut table = LongTable::default();
    let capacity = usize::try_from(file.rows()).unwrap_or(0).min(1 << 24);
    table.rows.reserve(capacity);
    let mut groups = Groups::default();
    file.read(&columns, |first_row, batch| {
        let keys: Vec<StringArray> = keys.iter().map(|k| text(&file, batch, at(*k))).collect::<Result<_>>()?;
        let doses: Vec<_> = doses.iter().map(|d| numbers(&file, batch, at(*d))).collect::<Result<_>>()?;
        let x2 = x2.map(|x2| numbers(&file, batch, at(x2))).transpose()?;
        let responses = numbers(&file, batch, at(response))?;
        for row in 0..batch.num_rows() {
            table.rows_in += 1;
            let mut reject = |reason, detail: String| table.rejected.push((first_row + row as u64 + 1, reason, detail));
            if let Some(missing) = keys.iter().position(|key| key.is_null(row)) {
                reject("missing_key", format!("`{}`", mapping.group[missing]));
                continue;
            }
            let mut molar = [0.0; 3];
            let mut trouble = None;
            for ((slot, dose), name) in molar.iter_mut().zip(&doses).zip(&mapping.doses) {
                let value = dose.is_valid(row).then(|| dose.value(row)).filter(|value| !value.is_nan());
                match value {
                    None => trouble = Some(("missing_dose", format!("`{name}`"))),
                    Some(value) if value < 0.0 && !mapping.plain_numbers => trouble = Some(("negative_dose", format!("`{name}` is {value}"))),
                    Some(value) => {
                        // 0.0 + … turns a negative zero into the exact zero that means "none".
                        *slot = 0.0 + value * factor;
                        if !slot.is_finite() || (*slot == 0.0 && value != 0.0) {
                            trouble = Some(("not_finite_dose", format!("`{name}` is {value}")));
                        }
                    }
                }
                if trouble.is_some() {
                    break;
                }
            }
            if let Some((reason, detail)) = trouble {
                reject(reason, detail);
                continue;
            }
            let second = x2.as_ref().map(|x2| x2.is_valid(row).then(|| x2.value(row)).filter(|value| value.is_finite()));
            if second == Some(None) {
                reject("missing_x2", String::new());
                continue;
            }
            if responses.is_null(row) {
                reject("missing_response", String::new());
                continue;
            }
            let value = responses.value(row);
            if !value.is_finite() {
                reject("not_finite_response", format!("{value}"));
                continue;
            }
            table.rows.push(LongRow {
                group: groups.number(&keys, row, &mut table.groups)?,
                doses: molar,
                x2: second.flatten().unwrap_or(0.0),
                response: to_viability(mapping.orientation, mapping.scale, value),
            });
        }
        Ok(())
    })?;
    let problem = implausible_scale(mapping.scale, table.rows.iter().map(|row| row.response));
    if let Some(problem) = problem.filter(|_| !mapping.plain_numbers) {
        return Err(failure::of_column(path, &mapping.response, problem, Some("check --scale".into())));
    }
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
