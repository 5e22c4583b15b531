//! The table of fits on its way to its file, block by block.

use super::rejected::RejectedRows;
use super::{PART_CURVES, PlainOutcome, identity};
use crate::Result;
use crate::config::Settings;
use crate::fit::Fit;
use crate::fit::inference::growth::{GrowthMetrics, append_growth_columns};
use crate::fit::inference::{
    Inference, IntervalKind, Intervals, append_columns, append_columns_of_models, append_intervals,
};
use crate::fit::robust::Loss;
use crate::ingest::LongMapping;
use crate::ingest::curves::{CurveBlock, KeyValues, RejectedRow};
use crate::math::special::benjamini_hochberg;
use crate::model::ModelId;
use crate::report::table::{Column, Table, Values};
use crate::report::table_writer::TableWriter;
use crate::screen::dose_matrix::Curve;
use rayon::prelude::*;

/// A fitted block on its way out.
pub(super) struct FittedBlock {
    /// Its rows, in parts.
    tables: Vec<Table>,
    units: usize,
    failed: usize,
}

/// Fitted curves.
pub(super) struct Fitted {
    pub(super) fits: Vec<Fit>,
    pub(super) inferences: Vec<Inference>,
    /// As many as curves, or none.
    pub(super) intervals: Vec<Intervals>,
    /// As many as curves, or none: what a choice of models or a robust loss adds.
    pub(super) extras: Vec<Extra>,
    /// As many as curves, or none: what growth-rate inhibition adds.
    pub(super) growth: Vec<GrowthMetrics>,
}

/// What a choice of models or a robust loss adds to a fit.
#[derive(Debug, Clone, Copy)]
pub(super) struct Extra {
    pub(super) model: ModelId,
    pub(super) aicc: Option<f64>,
    pub(super) akaike_weight: Option<f64>,
    pub(super) aicc_reason: Option<&'static str>,
    pub(super) robust_scale: Option<f64>,
    pub(super) n_downweighted: Option<u32>,
}

/// Which of those columns there are.
#[derive(Debug, Clone)]
pub(super) struct Shape {
    columns: Vec<String>,
    model: ModelId,
    set: Vec<ModelId>,
    ci: IntervalKind,
    is_robust: bool,
}

impl Shape {
    pub(super) fn new(settings: &Settings, mapping: &LongMapping) -> Self {
        Self {
            columns: mapping.group.clone(),
            model: settings.model,
            set: settings.model_set.clone(),
            // A parameter's interval has no meaning beyond the model that was chosen.
            ci: if settings.model_set.is_empty() { settings.ci } else { IntervalKind::None },
            is_robust: settings.loss != Loss::LeastSquares,
        }
    }
}

impl FittedBlock {
    /// Fits a block `at_a_time` curves (a multiple of [`PART_CURVES`], or all) and makes its rows, side by side.
    pub(super) fn new(
        block: CurveBlock,
        at_a_time: usize,
        shape: &Shape,
        fit: impl Fn(&[Curve], &[Vec<f64>]) -> Result<Fitted> + Sync,
    ) -> Result<Self> {
        let CurveBlock { keys, curves, x2 } = block;
        let keys = in_parts(keys, curves.len());
        let parts = at_a_time.div_ceil(PART_CURVES).min(keys.len().max(1));
        let of_chunk = |(chunk, keys): (usize, &[Vec<KeyValues>])| -> Result<(Vec<Table>, usize)> {
            let from = chunk * parts * PART_CURVES;
            let to = (from + parts * PART_CURVES).min(curves.len());
            let x2 = if x2.is_empty() { &[] } else { &x2[from..to] };
            let fitted = fit(&curves[from..to], x2)?;
            let table = |(part, keys): (usize, &Vec<KeyValues>)| part_table(keys, Part::of(&fitted, part), shape);
            let failed = fitted.fits.iter().filter(|fit| !fit.status.is_fitted()).count();
            Ok((keys.par_iter().enumerate().map(table).collect(), failed))
        };
        let chunks: Vec<Result<(Vec<Table>, usize)>> = keys.par_chunks(parts).enumerate().map(of_chunk).collect();
        let mut fitted = Self { tables: Vec::with_capacity(keys.len()), units: curves.len(), failed: 0 };
        for chunk in chunks {
            let (tables, failed) = chunk?;
            fitted.tables.extend(tables);
            fitted.failed += failed;
        }
        Ok(fitted)
    }
}

/// The files being written, and what is known of them so far.
pub(super) struct Output {
    fits: TableWriter,
    rejected: RejectedRows,
    /// The p value of every curve; NaN where there is none, as that takes half the memory of an `Option`.
    p_values: Vec<f64>,
    pub(super) outcome: PlainOutcome,
}

impl Output {
    pub(super) fn create(settings: &Settings, no_keys: &[KeyValues], shape: &Shape) -> Result<Self> {
        let identity = identity(settings)?;
        let layout = part_table(no_keys, Part::default(), shape);
        let path = settings.out.with_extension("rejected.parquet");
        Ok(Self {
            fits: TableWriter::create(&layout, &settings.out, &identity, Some("q_value"))?,
            rejected: RejectedRows::new(path, identity),
            p_values: Vec::new(),
            outcome: PlainOutcome { files: vec![settings.out.clone()], ..PlainOutcome::default() },
        })
    }

    pub(super) fn write(&mut self, blocks: Vec<FittedBlock>, rejected: Vec<RejectedRow>) -> Result<()> {
        self.outcome.count_rejected(&rejected);
        self.rejected.push(rejected)?;
        for FittedBlock { tables, units, failed } in blocks {
            self.outcome.units += units;
            self.outcome.failed += failed;
            for p in tables.iter().filter_map(|table| table.column("p_value")) {
                self.p_values.extend((0..p.len()).map(|row| p.number(row).unwrap_or(f64::NAN)));
            }
            let rows = self.fits.encode(&tables)?;
            drop(tables);
            self.fits.append(rows)?;
        }
        Ok(())
    }

    pub(super) fn finish(self) -> Result<PlainOutcome> {
        let Self { fits, rejected, p_values, mut outcome, .. } = self;
        let p: Vec<Option<f64>> = p_values.iter().map(|p| Some(*p).filter(|p| !p.is_nan())).collect();
        drop(p_values);
        let q = benjamini_hochberg(&p);
        drop(p);
        fits.finish(&q)?;
        outcome.files.extend(rejected.finish()?);
        Ok(outcome)
    }
}

/// Key columns cut into the parts of a block.
fn in_parts(keys: Vec<KeyValues>, curves: usize) -> Vec<Vec<KeyValues>> {
    fn cut<T>(values: Vec<T>, wrap: impl Fn(Vec<T>) -> KeyValues, parts: &mut [Vec<KeyValues>]) {
        let mut values = values.into_iter();
        for part in parts {
            part.push(wrap(values.by_ref().take(PART_CURVES).collect()));
        }
    }
    let mut parts: Vec<Vec<KeyValues>> = (0..curves.div_ceil(PART_CURVES)).map(|_| Vec::new()).collect();
    for values in keys {
        match values {
            KeyValues::Integer(values) => cut(values, KeyValues::Integer, &mut parts),
            KeyValues::Text(values) => cut(values, KeyValues::Text, &mut parts),
        }
    }
    parts
}

/// What is known of some curves of a block, side by side; lists may be empty.
#[derive(Default)]
struct Part<'a> {
    fits: &'a [Fit],
    inferences: &'a [Inference],
    intervals: &'a [Intervals],
    extras: &'a [Extra],
    growth: &'a [GrowthMetrics],
}

impl<'a> Part<'a> {
    /// Part number `part`.
    fn of(fitted: &'a Fitted, part: usize) -> Self {
        let Fitted { fits, inferences, intervals, extras, growth } = fitted;
        Self {
            fits: cut(fits, part),
            inferences: cut(inferences, part),
            intervals: cut(intervals, part),
            extras: cut(extras, part),
            growth: cut(growth, part),
        }
    }
}

/// Part number `part` of a list.
fn cut<T>(list: &[T], part: usize) -> &[T] {
    let from = (part * PART_CURVES).min(list.len());
    &list[from..(from + PART_CURVES).min(list.len())]
}

/// A piece of the table of fits; the p values stand in for the q values.
fn part_table(keys: &[KeyValues], part: Part<'_>, shape: &Shape) -> Table {
    let Part { fits, inferences, intervals, extras, growth } = part;
    let keyed = shape.columns.iter().zip(keys).fold(Table::new("fits"), |table, (column, values)| match values {
        KeyValues::Integer(values) => table.integer(column, values.iter().copied().map(Some)),
        KeyValues::Text(values) => table.text(column, values.iter().map(|value| Some(value.as_str()))),
    });
    let mut table = if shape.set.is_empty() {
        append_columns(keyed, fits, inferences, shape.model)
    } else {
        let models: Vec<ModelId> = extras.iter().map(|extra| extra.model).collect();
        append_columns_of_models(keyed, fits, inferences, &models, &shape.set)
            .number("aicc", extras.iter().map(|extra| extra.aicc))
            .number("akaike_weight", extras.iter().map(|extra| extra.akaike_weight))
            .code("aicc_reason", extras.iter().map(|extra| extra.aicc_reason))
    };
    if shape.is_robust {
        table = table
            .number("robust_scale", extras.iter().map(|extra| extra.robust_scale))
            .integer("n_downweighted", extras.iter().map(|extra| extra.n_downweighted.map(i64::from)));
    }
    let models = if shape.set.is_empty() { std::slice::from_ref(&shape.model) } else { &shape.set };
    if models.contains(&ModelId::GrowthRate) {
        table = append_growth_columns(table, growth);
    }
    let at = table.columns.iter().position(|c| c.name == "p_value");
    if let Some((at, Values::Number(p))) = at.map(|at| (at, &table.columns[at].values)) {
        let stand_in = Column { name: "q_value".into(), values: Values::Number(p.clone()) };
        table.columns.insert(at + 1, stand_in);
    }
    append_intervals(table, shape.ci, intervals, shape.model)
}
