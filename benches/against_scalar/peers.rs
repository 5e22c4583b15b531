//! The peers' curves with the lowest sums of squares known for them, from the folder that `ISOBOLE_PEERS` names.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use isobole::bench::simulated::ReplicatedCurves;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::error::Error;
use std::fs::File;
use std::path::Path;

/// Lowest sums of squares of the wells, one a curve.
pub struct Best {
    /// Of any parameters.
    pub unbounded: Vec<f64>,
    /// Of parameters inside the box.
    pub in_box: Vec<f64>,
}

/// Reads `curves`, `curves_truth` and `curves_best_known`.
pub fn read(folder: &Path) -> Result<(ReplicatedCurves, Best), Box<dyn Error>> {
    let curves = batches(&folder.join("curves.parquet"))?;
    let truth = batches(&folder.join("curves_truth.parquet"))?;
    let best = batches(&folder.join("curves_best_known.parquet"))?;
    let (id, dose, response) =
        (numbers(&curves, "curve_id")?, numbers(&curves, "dose")?, numbers(&curves, "response")?);
    let replicate = numbers(&curves, "replicate")?;
    let mut order: Vec<usize> = (0..id.len()).collect();
    let key = |row: usize| [id[row], dose[row], replicate[row]];
    order.sort_by(|&a, &b| key(a).partial_cmp(&key(b)).unwrap_or(std::cmp::Ordering::Equal));
    let identifiable: Vec<bool> = numbers(&truth, "identifiable")?.into_iter().map(|flag| flag == 1.0).collect();
    let n = identifiable.len();
    let replicates = replicate.iter().fold(0.0, |most: f64, r| most.max(*r)) as usize;
    let wells = order.len() / n.max(1);
    let first: Vec<f64> = order.iter().take(wells).step_by(replicates.max(1)).map(|&row| dose[row]).collect();
    let regular = order
        .iter()
        .enumerate()
        .all(|(at, &row)| id[row] == (at / wells) as f64 && dose[row] == first[at % wells / replicates]);
    let ids_in_order = |table: &[RecordBatch]| -> Result<bool, Box<dyn Error>> {
        let ids = numbers(table, "curve_id")?;
        Ok(ids.len() == n && ids.iter().enumerate().all(|(i, id)| *id == i as f64))
    };
    if wells * n != order.len() || first.len() * replicates != wells || !regular {
        return Err("curves.parquet: every curve must have the same doses and replicates".into());
    }
    if !ids_in_order(&truth)? || !ids_in_order(&best)? {
        return Err("curves_truth and curves_best_known: one row a curve in the order of curve_id was expected".into());
    }
    let curves = ReplicatedCurves {
        // Doses are in µM there.
        ln_dose: first.iter().map(|dose| (dose * 1e-6).ln()).collect(),
        replicates,
        response: order.iter().map(|&row| response[row]).collect(),
        identifiable,
    };
    let best = Best { unbounded: numbers(&best, "best_sse_unbounded")?, in_box: numbers(&best, "best_sse_box")? };
    Ok((curves, best))
}

fn batches(path: &Path) -> Result<Vec<RecordBatch>, Box<dyn Error>> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    Ok(ParquetRecordBatchReaderBuilder::try_new(file)?.build()?.collect::<Result<_, _>>()?)
}

fn numbers(batches: &[RecordBatch], column: &str) -> Result<Vec<f64>, Box<dyn Error>> {
    let mut all = Vec::new();
    for batch in batches {
        let array = batch.column_by_name(column).ok_or_else(|| format!("no column `{column}`"))?;
        let array = cast(array, &DataType::Float64)?;
        if array.null_count() > 0 {
            return Err(format!("column `{column}` has nulls").into());
        }
        all.extend_from_slice(array.as_primitive::<Float64Type>().values());
    }
    Ok(all)
}
