//! Tables of Annexin V / PI quadrants.

use super::named_table::{Known, NamedTable, Row};
use crate::Result;
use crate::config::Mapping;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::quadrants::{QuadrantRow, Quadrants};
use std::path::{Path, PathBuf};

const fn known(name: &'static str, other_names: &'static [&'static str]) -> Known {
    Known { name, other_names }
}

const LINE: usize = 0;
const DRUGS: [usize; 2] = [1, 3];
const DOSES: [usize; 2] = [2, 4];
const UNIT: usize = 5;
const SCHEDULE: usize = 6;
const REPLICATE: usize = 7;
const QUADRANTS: [usize; 4] = [8, 9, 10, 11];
const EVENTS: usize = 12;

/// The columns, in the order of the constants above.
const COLUMNS: [Known; 13] = [
    known("cell_line", &["line", "cell"]),
    known("drug_a", &["drug", "drug1", "drug_1"]),
    known("conc_a", &["conc", "dose", "dose_a", "conc1", "conc_1"]),
    known("drug_b", &["drug2", "drug_2"]),
    known("conc_b", &["dose_b", "conc2", "conc_2"]),
    known("conc_unit", &["unit", "dose_unit"]),
    known("schedule", &[]),
    known("replicate", &["biological_replicate", "experiment"]),
    known("viable", &["live", "annexin_neg_pi_neg"]),
    known("early_apoptotic", &["early", "annexin_pos_pi_neg"]),
    known("late_apoptotic", &["late", "annexin_pos_pi_pos"]),
    known("necrotic", &["necrosis", "dead", "annexin_neg_pi_pos"]),
    known("events", &["total_events", "cells_counted"]),
];

/// How far the quadrants of a percentage may be from 100 in sum: rounding of four numbers to whole ones, and a gate that
/// leaves a few cells out.
const SUM_TOLERANCE: f64 = 0.02;

/// What the numbers of a file are.
#[derive(Clone, Copy, PartialEq)]
enum Scale {
    Counts,
    /// Shares of this whole: 1 or 100.
    Shares(f64),
}

/// Reads tables of quadrants, in the order given: `cell_line`, `drug_a`, `conc_a`, `drug_b`, `conc_b` with `conc_unit` (or
/// the unit of `[units]`), `viable`, `early_apoptotic`, `late_apoptotic`, `necrotic`, and if known `events`, `replicate`,
/// `schedule`. Rows without a drug are vehicle. A file whose rows mostly add to 100 holds percentages, to 1 fractions, else
/// counts.
///
/// # Errors
/// [`crate::Error::File`]; [`crate::Error::Format`] naming file, row and column for a missing column, a cell that is no
/// number, a dose without a unit or a drug without a dose.
pub fn read_apoptosis(paths: &[PathBuf], mapping: &Mapping) -> Result<Vec<QuadrantRow>> {
    let mut rows = Vec::new();
    for path in paths {
        read_one(path, mapping, &mut rows)?;
    }
    Ok(rows)
}

fn read_one(path: &Path, mapping: &Mapping, into: &mut Vec<QuadrantRow>) -> Result<()> {
    let table = NamedTable::read(path, &COLUMNS)?;
    for column in [LINE, DRUGS[0], DOSES[0]].into_iter().chain(QUADRANTS) {
        table.need(column, &COLUMNS[column])?;
    }
    let mut cells = Vec::new();
    for row in table.rows() {
        let mut quadrants = [None; 4];
        for (slot, column) in quadrants.iter_mut().zip(QUADRANTS) {
            *slot = row.number(column)?;
        }
        cells.push(quadrants);
    }
    let scale = scale(&cells);
    for (row, quadrants) in table.rows().zip(cells) {
        let mut treatments = Vec::new();
        for (column, (drug, dose)) in DRUGS.into_iter().zip(DOSES).enumerate() {
            if let Some(treatment) = treatment(row, drug, dose, mapping.units[column].as_deref(), mapping)? {
                treatments.push(treatment);
            }
        }
        if let [(first, _), (second, _)] = &treatments[..]
            && first.eq_ignore_ascii_case(second)
        {
            return Err(row.error(Some(DRUGS[1]), format!("`{second}` is the first drug too"), None));
        }
        let mut drugs = [None, None];
        let mut doses = [0.0; 2];
        for (k, (drug, dose)) in treatments.into_iter().enumerate().take(2) {
            drugs[k] = Some(drug);
            doses[k] = dose;
        }
        into.push(QuadrantRow {
            line: row.required(LINE)?.to_owned(),
            drugs,
            doses,
            schedule: row.text(SCHEDULE).map(str::to_owned),
            replicate: row.text(REPLICATE).unwrap_or_default().to_owned(),
            quadrants: self::quadrants(quadrants, row.number(EVENTS)?, scale),
        });
    }
    Ok(())
}

/// A drug and its molar dose; `None` where there is none.
fn treatment(
    row: Row<'_>,
    drug: usize,
    dose: usize,
    unit: Option<&str>,
    mapping: &Mapping,
) -> Result<Option<(String, f64)>> {
    let is_none = |name: &&str| !mapping.none.iter().any(|none| none.trim().eq_ignore_ascii_case(name));
    let Some(name) = row.text(drug).filter(is_none) else { return Ok(None) };
    let Some(value) = row.number(dose)? else {
        return Err(row.error(Some(dose), format!("`{name}` has no concentration"), None));
    };
    if value < 0.0 {
        return Err(row.error(Some(dose), format!("{value} is below 0"), None));
    }
    if value == 0.0 {
        return Ok(None);
    }
    let Some(text) = row.text(UNIT).or(unit) else {
        let hint = "add a column `conc_unit`, or say `conc` under [units] (--conc-unit)";
        return Err(row.error(Some(dose), "the unit of the concentration is not known", Some(hint.into())));
    };
    let Some(unit) = ConcentrationUnit::parse(text) else {
        return Err(row.error(Some(UNIT), format!("`{text}` is not a unit of concentration"), None));
    };
    let mass = mapping.molar_mass.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, mass)| *mass);
    match unit.to_molar(value, mass).filter(|molar| molar.is_finite() && *molar > 0.0) {
        Some(molar) => Ok(Some((name.to_owned(), molar))),
        None => {
            let hint = "give it under [units.molar_mass], or --molar-mass DRUG=MASS";
            Err(row.error(Some(dose), format!("`{text}` needs the molar mass of `{name}`"), Some(hint.into())))
        }
    }
}

/// What the numbers of a file are, by what most of its rows add to.
fn scale(rows: &[[Option<f64>; 4]]) -> Scale {
    let sums: Vec<f64> = rows.iter().filter_map(|row| row.iter().copied().sum::<Option<f64>>()).collect();
    let add_to =
        |whole: f64| 2 * sums.iter().filter(|sum| (**sum / whole - 1.0).abs() <= SUM_TOLERANCE).count() > sums.len();
    [100.0, 1.0].into_iter().find(|whole| add_to(*whole)).map_or(Scale::Counts, Scale::Shares)
}

fn quadrants(cells: [Option<f64>; 4], events: Option<f64>, scale: Scale) -> Quadrants {
    let [Some(viable), Some(early), Some(late), Some(necrotic)] = cells else {
        return Quadrants::Missing("missing_quadrant");
    };
    let all = [viable, early, late, necrotic];
    if all.iter().any(|part| *part < 0.0) {
        return Quadrants::Missing("negative_quadrant");
    }
    let sum: f64 = all.iter().sum();
    let events = match scale {
        Scale::Shares(whole) if (sum / whole - 1.0).abs() > SUM_TOLERANCE => {
            return Quadrants::Missing("quadrants_do_not_add_up");
        }
        Scale::Shares(_) => events.filter(|events| *events >= 1.0),
        Scale::Counts if sum == 0.0 => return Quadrants::Missing("no_events"),
        Scale::Counts => Some(sum),
    };
    let [viable, early, late, necrotic] = all.map(|part| part / sum);
    Quadrants::Known { viable, early, late, necrotic, events }
}
