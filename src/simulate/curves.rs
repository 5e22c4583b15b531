//! Plain tables of curves with a known truth, of any length: a curve is a function of the seed and its number, so
//! memory holds a few thousand curves at a time.

use super::previous;
use super::random::{Purpose, Stream};
use super::write::CREATED_BY;
use crate::report::files;
use crate::{Error, Result};
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, RecordBatch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_writer::ArrowWriterOptions;
use parquet::basic::{Compression, Encoding, ZstdLevel};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::schema::types::ColumnPath;
use rayon::prelude::*;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Doses of a curve, half a decade apart.
const DOSES: u32 = 10;
/// The lowest dose and the highest, log10 molar: 1 nM to 31.6 µM.
const LOG10_DOSE: (f64, f64) = (-9.0, -4.5);
/// Standard deviation of a well's viability.
const NOISE: f64 = 0.05;
/// Share of the curves whose EC50 lies far outside the doses.
const BEYOND: f64 = 0.15;
/// Rows of a row group: small enough to be read side by side.
const ROW_GROUP: usize = 1 << 17;
/// Row groups made side by side.
const GROUPS_AT_ONCE: usize = 8;

/// What a table of curves is made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CurveRecipe {
    /// Number of curves.
    pub curves: u64,
    /// Wells at each dose.
    pub replicates: u32,
    /// Seed of every random number.
    pub seed: u64,
}

/// What one curve was made from: `bottom + (top - bottom) / (1 + (dose / ec50)^hill)`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurveTruth {
    /// Viability of untreated cells.
    pub top: f64,
    /// Viability at an infinite dose.
    pub bottom: f64,
    /// Hill slope, positive for a fall.
    pub hill: f64,
    /// log10 of the molar dose with half the effect.
    pub log10_ec50: f64,
}

impl CurveTruth {
    /// Whether the data can be expected to show it: the EC50 at least half a decade inside the doses, and a fall of
    /// at least 0.3.
    pub fn is_identifiable(&self) -> bool {
        let (low, high) = LOG10_DOSE;
        self.log10_ec50 >= low + 0.5 && self.log10_ec50 <= high - 0.5 && self.top - self.bottom >= 0.3
    }

    /// Viability at a log10 molar dose.
    pub fn viability(&self, log10_dose: f64) -> f64 {
        let odds = libm::exp10(self.hill * (log10_dose - self.log10_ec50));
        self.bottom + (self.top - self.bottom) / (1.0 + odds)
    }
}

/// What [`write_curves`] left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WrittenCurves {
    /// The table: `curve_id`, `dose` (molar), `viability`.
    pub curves: PathBuf,
    /// The truth: `curve_id`, `top`, `bottom`, `hill`, `log10_ec50`, `identifiable`.
    pub truth: PathBuf,
    /// Rows of the table.
    pub rows: u64,
}

impl CurveRecipe {
    fn stream(&self, curve: u64, purpose: Purpose) -> Stream {
        Stream::new(self.seed, curve as u32, (curve >> 32) as u32, purpose)
    }

    /// The truth of curve `curve`, from 0: top normal about 1 (standard deviation 0.02), bottom uniform in 0..0.6, slope
    /// log-uniform in 0.5..4; the EC50 log-uniform over the doses and a decade to either side, but for 15 % one to
    /// three decades beyond.
    pub fn truth(&self, curve: u64) -> CurveTruth {
        let draw = self.stream(curve, Purpose::CurveTruth);
        let (low, high) = LOG10_DOSE;
        let log10_ec50 = if draw.uniform(0) >= BEYOND {
            draw.between(1, low - 1.0, high + 1.0)
        } else {
            let beyond = draw.between(1, 1.0, 3.0);
            if draw.uniform(2) < 0.5 { low - beyond } else { high + beyond }
        };
        CurveTruth {
            top: 1.0 + 0.02 * draw.normal(3),
            bottom: draw.between(4, 0.0, 0.6),
            hill: libm::exp2(draw.between(5, -1.0, 2.0)),
            log10_ec50,
        }
    }

    /// The rows of curves `from..to`.
    fn rows(&self, from: u64, to: u64) -> std::result::Result<RecordBatch, ParquetError> {
        let doses: Vec<(f64, f64)> = (0..DOSES)
            .map(|k| LOG10_DOSE.0 + 0.5 * f64::from(k))
            .map(|log10_dose| (log10_dose, libm::exp10(log10_dose)))
            .collect();
        let n = (to - from) as usize * doses.len() * self.replicates as usize;
        let [mut dose, mut viability] = [(); 2].map(|()| Vec::with_capacity(n));
        let mut id = Vec::with_capacity(n);
        for curve in from..to {
            let truth = self.truth(curve);
            let noise = self.stream(curve, Purpose::CurveNoise);
            let mut well = 0;
            for (log10_dose, molar) in &doses {
                let mean = truth.viability(*log10_dose);
                for _ in 0..self.replicates {
                    id.push(curve as i64 + 1);
                    dose.push(*molar);
                    viability.push(mean + NOISE * noise.normal(well));
                    well += 1;
                }
            }
        }
        batch(vec![
            ("curve_id", Arc::new(Int64Array::from(id))),
            ("dose", Arc::new(Float64Array::from(dose))),
            ("viability", Arc::new(Float64Array::from(viability))),
        ])
    }

    fn truth_rows(&self, from: u64, to: u64) -> std::result::Result<RecordBatch, ParquetError> {
        let truth: Vec<CurveTruth> = (from..to).map(|curve| self.truth(curve)).collect();
        let number = |value: fn(&CurveTruth) -> f64| -> ArrayRef {
            Arc::new(truth.iter().map(value).collect::<Vec<f64>>().into_iter().collect::<Float64Array>())
        };
        batch(vec![
            ("curve_id", Arc::new((from..to).map(|curve| curve as i64 + 1).collect::<Int64Array>())),
            ("top", number(|t| t.top)),
            ("bottom", number(|t| t.bottom)),
            ("hill", number(|t| t.hill)),
            ("log10_ec50", number(|t| t.log10_ec50)),
            ("identifiable", Arc::new(truth.iter().map(|t| Some(t.is_identifiable())).collect::<BooleanArray>())),
        ])
    }
}

/// Writes `curves.parquet` and `truth.parquet` into `dir`, which is made if it is not there. The same recipe gives the
/// same bytes at any number of threads. What an earlier screen left there goes.
///
/// # Errors
/// [`Error::Setting`] for no curves, no replicates, or more of them than can be numbered; [`Error::File`] where a file
/// cannot be written or removed.
pub fn write_curves(recipe: &CurveRecipe, dir: &Path) -> Result<WrittenCurves> {
    let rows_per_curve = u64::from(DOSES) * u64::from(recipe.replicates);
    if !(1..=1 << 40).contains(&recipe.curves) {
        return Err(Error::setting("curves", format!("{} is not within 1..1099511627776", recipe.curves)));
    }
    if !(1..=1_000).contains(&recipe.replicates) {
        return Err(Error::setting("replicates", format!("{} is not within 1..1000", recipe.replicates)));
    }
    files::prepare(dir)?;
    previous::clear(dir, &["curves.parquet", "truth.parquet"])?;
    let (curves, truth) = (dir.join("curves.parquet"), dir.join("truth.parquet"));
    let per_group = (ROW_GROUP as u64 / rows_per_curve).max(1);
    files::write_whole(&curves, |out| encode(out, recipe.curves, per_group, |from, to| recipe.rows(from, to)))?;
    let per_group = ROW_GROUP as u64;
    files::write_whole(&truth, |out| encode(out, recipe.curves, per_group, |from, to| recipe.truth_rows(from, to)))?;
    Ok(WrittenCurves { curves, truth, rows: recipe.curves * rows_per_curve })
}

fn batch(columns: Vec<(&str, ArrayRef)>) -> std::result::Result<RecordBatch, ParquetError> {
    let columns = columns.into_iter().map(|(name, array)| (name, array, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// Writes `n` curves, `per_group` a row group.
fn encode(
    out: &mut (dyn Write + Send),
    n: u64,
    per_group: u64,
    rows: impl Fn(u64, u64) -> std::result::Result<RecordBatch, ParquetError> + Sync,
) -> io::Result<()> {
    let column = |name: &str| ColumnPath::new(vec![name.into()]);
    let mut properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::default()))
        .set_created_by(CREATED_BY.into())
        .set_dictionary_enabled(false)
        .set_column_encoding(column("curve_id"), Encoding::DELTA_BINARY_PACKED)
        .set_column_dictionary_enabled(column("dose"), true);
    // What is drawn at random does not compress.
    for drawn in ["viability", "top", "bottom", "hill", "log10_ec50"] {
        properties = properties.set_column_compression(column(drawn), Compression::UNCOMPRESSED);
    }
    let options = ArrowWriterOptions::new().with_properties(properties.build()).with_skip_arrow_metadata(true);
    let mut writer = ArrowWriter::try_new_with_options(out, rows(0, 0)?.schema(), options)?;
    let starts: Vec<u64> = (0..n).step_by(per_group as usize).collect();
    for starts in starts.chunks(GROUPS_AT_ONCE) {
        let made: Vec<_> = starts.par_iter().map(|&from| rows(from, n.min(from + per_group))).collect();
        for batch in made {
            writer.write(&batch?)?;
            writer.flush()?;
        }
    }
    writer.close()?;
    Ok(())
}
