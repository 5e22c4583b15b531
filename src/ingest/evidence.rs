//! Tables of evidence: what was measured of the lines' mechanisms of resistance.

use super::named_table::{Known, NamedTable, Row};
use crate::Result;
use crate::screen::measurement::{Measurement, Reading};
use std::f64::consts::LN_2;
use std::path::{Path, PathBuf};

const fn known(name: &'static str, other_names: &'static [&'static str]) -> Known {
    Known { name, other_names }
}

const LINE: usize = 0;
const MARKER: usize = 1;
const METHOD: usize = 2;
const PARENTAL: usize = 3;
const REPLICATE: usize = 4;
const LOADING_CONTROL: usize = 5;
const TARGET_INTENSITY: usize = 6;
const LOADING_INTENSITY: usize = 7;
const CT_TARGET: usize = 8;
const CT_REFERENCE: usize = 9;
const FOLD: usize = 10;
const FOLD_SE: usize = 11;
const LOG2_FOLD: usize = 12;
const LOG2_FOLD_SE: usize = 13;
const N: usize = 14;

/// The columns of a table of evidence, in the order of the constants above.
const COLUMNS: [Known; 15] = [
    known("cell_line", &["line", "cell", "sample"]),
    known("marker", &["protein", "gene", "target"]),
    known("method", &["assay"]),
    known("parental", &["parental_line", "parent", "control_line"]),
    known("replicate", &["blot", "biological_replicate", "experiment"]),
    known("loading_control", &["reference_gene", "housekeeping"]),
    known("target_intensity", &["target_density", "band_intensity"]),
    known("loading_intensity", &["loading_density", "loading_control_intensity"]),
    known("ct_target", &["cq_target", "target_ct"]),
    known("ct_reference", &["cq_reference", "reference_ct"]),
    known("fold", &["fold_change"]),
    known("fold_se", &["fold_change_se"]),
    known("log2_fold", &["log2_fold_change", "log2fc"]),
    known("log2_fold_se", &["log2_fold_change_se"]),
    known("n", &["n_replicates"]),
];

/// What a method is about, by its name.
#[derive(PartialEq, Clone, Copy)]
enum Kind {
    Western,
    QuantitativePcr,
    Other,
}

/// Reads tables of evidence, in the order given.
///
/// A row has `cell_line`, `marker` and one reading: `target_intensity` with `loading_intensity`; `ct_target` with
/// `ct_reference`; or `fold` (or `log2_fold`) with or without its standard error and `n`. `method`, `parental`,
/// `replicate` and `loading_control` may be left out.
///
/// # Errors
/// [`crate::Error::File`]; [`crate::Error::Format`] naming file, row and column for a missing column, a cell that is no
/// number, two readings in one row, or a reading that its method does not have.
pub fn read_evidence(paths: &[PathBuf]) -> Result<Vec<Measurement>> {
    let mut measurements = Vec::new();
    for path in paths {
        read_one(path, &mut measurements)?;
    }
    Ok(measurements)
}

fn read_one(path: &Path, into: &mut Vec<Measurement>) -> Result<()> {
    let table = NamedTable::read(path, &COLUMNS)?;
    for column in [LINE, MARKER] {
        table.need(column, &COLUMNS[column])?;
    }
    if ![TARGET_INTENSITY, CT_TARGET, FOLD, LOG2_FOLD].iter().any(|column| table.has(*column)) {
        table.need(TARGET_INTENSITY, &COLUMNS[TARGET_INTENSITY])?;
    }
    for row in table.rows() {
        let text = |column: usize| row.text(column).unwrap_or_default().to_owned();
        let (kind, said) = method(row.text(METHOD));
        let (reading, found) = reading(row, kind)?;
        let method = match (kind, found) {
            (Kind::Western, _) | (Kind::Other, Kind::Western) => "western_blot".to_owned(),
            (Kind::QuantitativePcr, _) | (Kind::Other, Kind::QuantitativePcr) => "qrt_pcr".to_owned(),
            (Kind::Other, Kind::Other) => said.unwrap_or_else(|| "fold".into()),
        };
        into.push(Measurement {
            line: row.required(LINE)?.to_owned(),
            marker: row.required(MARKER)?.to_owned(),
            method,
            parental: row.text(PARENTAL).map(str::to_owned),
            replicate: text(REPLICATE),
            loading_control: text(LOADING_CONTROL),
            reading,
        });
    }
    Ok(())
}

fn method(text: Option<&str>) -> (Kind, Option<String>) {
    let Some(text) = text else { return (Kind::Other, None) };
    let bare: String = text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    let kind = match bare.as_str() {
        b if b.contains("western") || b.contains("blot") || b.contains("densitometry") || b == "wb" => Kind::Western,
        b if b.contains("pcr") || b == "taqman" => Kind::QuantitativePcr,
        _ => Kind::Other,
    };
    (kind, Some(text.to_lowercase()))
}

/// The reading of a row, and which kind of method has such readings.
fn reading(row: Row<'_>, kind: Kind) -> Result<(Reading, Kind)> {
    let mut numbers = [None; N + 1];
    for (column, slot) in numbers.iter_mut().enumerate().skip(TARGET_INTENSITY) {
        *slot = row.number(column)?;
    }
    let is_given = |columns: &[usize]| columns.iter().any(|column| numbers[*column].is_some());
    let intensities = is_given(&[TARGET_INTENSITY, LOADING_INTENSITY]);
    let cycles = is_given(&[CT_TARGET, CT_REFERENCE]);
    let folds = is_given(&[FOLD, LOG2_FOLD]);
    if usize::from(intensities) + usize::from(cycles) + usize::from(folds) > 1
        || is_given(&[FOLD]) && is_given(&[LOG2_FOLD])
    {
        let hint = "a row is one reading: two intensities, two threshold cycles, or one fold";
        return Err(row.error(None, "gives more than one kind of reading", Some(hint.into())));
    }
    if kind == Kind::Western && cycles || kind == Kind::QuantitativePcr && intensities {
        let column = if cycles { CT_TARGET } else { TARGET_INTENSITY };
        let problem = format!("method `{}` has no such reading", row.text(METHOD).unwrap_or_default());
        return Err(row.error(
            Some(column),
            problem,
            Some("intensities are a blot's, threshold cycles a PCR's".into()),
        ));
    }
    if intensities {
        return Ok((densitometry(row, numbers[TARGET_INTENSITY], numbers[LOADING_INTENSITY])?, Kind::Western));
    }
    if cycles {
        let reading = match numbers[CT_REFERENCE] {
            None => Reading::Missing("no_reference_gene"),
            Some(reference) => {
                for column in [CT_TARGET, CT_REFERENCE] {
                    if numbers[column].is_some_and(|cycle| !(0.0..=60.0).contains(&cycle)) {
                        return Err(row.error(Some(column), "is not a threshold cycle between 0 and 60", None));
                    }
                }
                Reading::ThresholdCycles { target: numbers[CT_TARGET], reference }
            }
        };
        return Ok((reading, Kind::QuantitativePcr));
    }
    // Ct of neither: a sample in which nothing was amplified says nothing of the target alone.
    if !folds {
        return Ok((Reading::Missing("no_reading"), kind));
    }
    Ok((fold(row, &numbers)?, Kind::Other))
}

fn densitometry(row: Row<'_>, target: Option<f64>, loading: Option<f64>) -> Result<Reading> {
    for (column, intensity) in [(TARGET_INTENSITY, target), (LOADING_INTENSITY, loading)] {
        if intensity.is_some_and(|intensity| intensity < 0.0) {
            return Err(row.error(Some(column), "is below 0", Some("give intensities above background".into())));
        }
    }
    Ok(match (target, loading) {
        (None, _) => Reading::Missing("no_target_intensity"),
        (_, None) => Reading::Missing("no_loading_control"),
        (_, Some(0.0)) => Reading::Missing("loading_control_zero"),
        (Some(target), Some(loading)) => Reading::Densitometry { target, loading },
    })
}

fn fold(row: Row<'_>, numbers: &[Option<f64>; N + 1]) -> Result<Reading> {
    for column in [FOLD_SE, LOG2_FOLD_SE] {
        if numbers[column].is_some_and(|error| error <= 0.0) {
            return Err(row.error(Some(column), "is not above 0", None));
        }
    }
    let n = match numbers[N] {
        Some(n) if n < 1.0 || n.fract() != 0.0 || n > 1e6 => {
            return Err(row.error(Some(N), format!("{n} is not a number of replicates"), None));
        }
        n => n.map(|n| n as u32),
    };
    let (log2, log2_standard_error) = match (numbers[FOLD], numbers[LOG2_FOLD]) {
        (Some(fold), _) if fold <= 0.0 => {
            let hint = "folds are ratios; a logarithm belongs under `log2_fold`";
            return Err(row.error(Some(FOLD), format!("{fold} is not above 0"), Some(hint.into())));
        }
        // The delta method: exact enough where the error is a fraction of the fold.
        (Some(fold), _) => (libm::log2(fold), numbers[FOLD_SE].map(|error| error / (fold * LN_2))),
        (None, Some(log2)) => (log2, numbers[LOG2_FOLD_SE]),
        (None, None) => return Ok(Reading::Missing("no_reading")),
    };
    Ok(Reading::Fold { log2, log2_standard_error, n })
}
