//! `isobole fit`: curves stream from file to file in blocks. While one block is fitted, the one before it is written and
//! the one after it is read.

use super::rejected::{REJECTED_ROWS, RejectedRows};
use super::{PlainOutcome, identity, only_input};
use crate::analysis::fit_settings;
use crate::backend::Backend;
use crate::backend::choose::choose;
use crate::config::Settings;
use crate::fit::inference::calibration::{Calibration, Design};
use crate::fit::inference::growth::{GrowthMetrics, append_growth_columns, growth_metrics_of_curves};
use crate::fit::inference::{
    Inference, IntervalKind, Intervals, append_columns, append_columns_of_models, append_intervals, infer_all,
    intervals,
};
use crate::fit::model_choice::{ModelChoice, choose_models};
use crate::fit::robust::{Loss, Robust, fit_robustly, infer_robustly};
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::ingest::curves::{BLOCK_CURVES, CurveBlock, CurveStream, KeyValues, Next, RejectedRow, Round, curve};
use crate::ingest::{LongMapping, LongTable, read_long};
use crate::math::special::benjamini_hochberg;
use crate::model::ModelId;
use crate::report::files;
use crate::report::table::{Column, Table, Values};
use crate::report::table_writer::TableWriter;
use crate::screen::dose_matrix::Curve;
use crate::{Error, Result};
use rayon::prelude::*;
use std::path::Path;

/// Curves turned into one piece of the table at a time.
const PART_CURVES: usize = 8_192;

/// Fits the curves of a plain table and writes them to `settings.out`, a Parquet file; rows left out go to
/// `<out>.rejected.parquet` beside it, where there are any. `q_value` is by Benjamini and Hochberg over all curves of
/// the file that have a p value.
///
/// Memory holds a few blocks of curves and 16 bytes a curve (the key's hash and the p value; three times that at the
/// end, for the q values), so long as the rows of each curve stand together. Where they do not, the whole table is read
/// into memory; the result is the same.
///
/// # Errors
/// Those of reading, of the back end, and of writing.
pub fn fit(settings: &Settings, mapping: &LongMapping) -> Result<PlainOutcome> {
    let parent = settings.out.parent().filter(|p| !p.as_os_str().is_empty()).unwrap_or(Path::new("."));
    files::prepare(parent)?;
    let input = only_input(settings)?;
    let same = |a: &Path, b: &Path| a.canonicalize().ok().zip(b.canonicalize().ok()).is_some_and(|(a, b)| a == b);
    if same(input, &settings.out) {
        return Err(Error::setting("out", format!("`{}` is the input", settings.out.display())));
    }
    let chosen = choose(settings.backend)?;
    let backend = chosen.backend.as_ref();
    let calibration = Calibration::new(fit_settings(settings));
    let set = settings.model_set.iter();
    let mut fitting = Fitting {
        backend,
        settings: fit_settings(settings),
        ci: settings.ci,
        loss: settings.loss,
        set: set.map(|model| FitSettings { starts: settings.starts, ..FitSettings::new(*model) }).collect(),
        calibration,
    };
    let mut stream = CurveStream::open(input, mapping)?;
    let mut output = Output::create(settings, mapping, stream.no_keys())?;
    let streamed = fitting.pass(|| stream.next_round(), &mut output)?;
    drop(stream);
    if !streamed {
        drop(output);
        let table = read_long(input, mapping)?;
        let mut rounds = Gathered::new(table, mapping.single_wells)?;
        output = Output::create(settings, mapping, rounds.no_keys())?;
        fitting.pass(|| rounds.next_round(), &mut output)?;
        let note = "the rows of some curves stand apart: the whole table was read into memory (sort it by curve to \
                    have it streamed)";
        output.outcome.notes.push(note.into());
    }
    output.outcome.backend = format!("{} ({}; {})", backend.name(), backend.device(), chosen.reason);
    output.finish()
}

/// Who fits, how, and what is known of the fits of flat curves.
struct Fitting<'a> {
    backend: &'a dyn Backend,
    settings: FitSettings,
    ci: IntervalKind,
    loss: Loss,
    /// What to choose from for each curve; empty where there is no choice.
    set: Vec<FitSettings>,
    calibration: Calibration,
}

/// A fitted block on its way out.
struct FittedBlock {
    block: CurveBlock,
    fits: Vec<Fit>,
    inferences: Vec<Inference>,
    /// As many as curves, or none.
    intervals: Vec<Intervals>,
    /// As many as curves, or none: what a choice of models or a robust loss adds.
    extras: Vec<Extra>,
    /// As many as curves, or none: what growth-rate inhibition adds.
    growth: Vec<GrowthMetrics>,
}

/// What a choice of models or a robust loss adds to a fit.
#[derive(Debug, Clone, Copy)]
struct Extra {
    model: ModelId,
    aicc: Option<f64>,
    akaike_weight: Option<f64>,
    aicc_reason: Option<&'static str>,
    robust_scale: Option<f64>,
    n_downweighted: Option<u32>,
}

/// Which of those columns there are.
#[derive(Debug, Clone)]
struct Shape {
    model: ModelId,
    set: Vec<ModelId>,
    ci: IntervalKind,
    is_robust: bool,
}

impl Fitting<'_> {
    /// Takes every round to the output; `false` where a key came back, and the output is not to be used.
    fn pass(&mut self, mut next: impl FnMut() -> Result<Next> + Send, output: &mut Output) -> Result<bool> {
        let (mut reading, mut fitted): (Round, Vec<FittedBlock>) = Default::default();
        let mut ended = false;
        loop {
            let round = std::mem::take(&mut reading);
            let done = std::mem::take(&mut fitted);
            if ended && round.is_empty() && done.is_empty() {
                return Ok(true);
            }
            let Round { blocks, rejected, rows_in, rows_used } = round;
            let (read, (now_fitted, written)) = rayon::join(
                || if ended { Ok(Next::End) } else { read_on(&mut next) },
                || {
                    rayon::join(
                        || blocks.into_iter().map(|block| self.fit(block)).collect::<Result<Vec<_>>>(),
                        || output.write(done, rejected),
                    )
                },
            );
            // In the order of the file: what is further on comes last.
            written?;
            output.outcome.rows_in += rows_in;
            output.outcome.rows_used += rows_used;
            fitted = now_fitted?;
            match read? {
                Next::Round(round) => reading = round,
                Next::End => ended = true,
                Next::KeyReturned => return Ok(false),
            }
        }
    }

    fn fit(&mut self, block: CurveBlock) -> Result<FittedBlock> {
        if !self.set.is_empty() {
            return self.choose(block);
        }
        if self.loss != Loss::LeastSquares {
            return self.fit_robustly(block);
        }
        let fits = self.backend.fit(&self.settings, &curve_set(&block.curves))?;
        self.calibration.prepare(block.curves.iter().filter_map(Design::of), self.backend)?;
        let mut inferences = infer_all(&block.curves, &fits, self.settings.model);
        self.calibration.calibrate(&mut inferences, &block.curves);
        let intervals = intervals(self.ci, &block.curves, &fits, &inferences, &self.settings);
        let growth = self.growth(&block, &fits);
        Ok(FittedBlock { block, fits, inferences, intervals, extras: Vec::new(), growth })
    }

    fn fit_robustly(&self, block: CurveBlock) -> Result<FittedBlock> {
        let (fits, robust) = fit_robustly(&block.curves, &self.settings, self.loss, self.backend)?;
        let inferences = infer_robustly(&block.curves, &fits, &robust, &self.settings, self.loss);
        let intervals = intervals(self.ci, &block.curves, &fits, &inferences, &self.settings);
        let extra = |found: &Robust| Extra {
            model: self.settings.model,
            aicc: None,
            akaike_weight: None,
            aicc_reason: None,
            robust_scale: found.scale,
            n_downweighted: found.n_downweighted,
        };
        let extras = robust.iter().map(extra).collect();
        let growth = self.growth(&block, &fits);
        Ok(FittedBlock { block, fits, inferences, intervals, extras, growth })
    }

    fn growth(&self, block: &CurveBlock, fits: &[Fit]) -> Vec<GrowthMetrics> {
        match self.settings.model {
            ModelId::GrowthRate => growth_metrics_of_curves(&block.curves, fits),
            _ => Vec::new(),
        }
    }

    fn choose(&self, block: CurveBlock) -> Result<FittedBlock> {
        let chosen = choose_models(&block.curves, &self.set, self.backend)?;
        let extra = |choice: &ModelChoice| Extra {
            model: choice.model,
            aicc: choice.aicc,
            akaike_weight: choice.akaike_weight,
            aicc_reason: choice.reason,
            robust_scale: None,
            n_downweighted: None,
        };
        let extras = chosen.iter().map(extra).collect();
        let (fits, inferences) = chosen.into_iter().map(|choice| (choice.fit, choice.inference)).unzip();
        Ok(FittedBlock { block, fits, inferences, intervals: Vec::new(), extras, growth: Vec::new() })
    }
}

/// Reads until there is something to fit, or much to reject.
fn read_on(next: &mut impl FnMut() -> Result<Next>) -> Result<Next> {
    let mut gathered = Round::default();
    loop {
        match next()? {
            Next::Round(round) => {
                gathered.rows_in += round.rows_in;
                gathered.rows_used += round.rows_used;
                gathered.rejected.extend(round.rejected);
                gathered.blocks.extend(round.blocks);
                if !gathered.blocks.is_empty() || gathered.rejected.len() >= REJECTED_ROWS {
                    return Ok(Next::Round(gathered));
                }
            }
            Next::End if gathered.is_empty() => return Ok(Next::End),
            // The end is told again.
            Next::End => return Ok(Next::Round(gathered)),
            Next::KeyReturned => return Ok(Next::KeyReturned),
        }
    }
}

impl Round {
    fn is_empty(&self) -> bool {
        self.rows_in == 0 && self.blocks.is_empty() && self.rejected.is_empty()
    }
}

/// The curves as the fitter takes them.
fn curve_set(curves: &[Curve]) -> CurveSet {
    let parts: Vec<CurveSet> = curves.par_chunks(PART_CURVES).map(part_of_curve_set).collect();
    let mut set = CurveSet::new();
    for part in parts {
        set.append(part);
    }
    set
}

fn part_of_curve_set(curves: &[Curve]) -> CurveSet {
    let mut set = CurveSet::new();
    for curve in curves {
        set.push(None, curve.points.iter().map(|p| (p.dose, p.response, p.weight)));
    }
    set
}

/// The rows of a whole table, by curve.
struct Gathered {
    keys: Vec<KeyValues>,
    /// (molar dose, viability), curve after curve.
    rows: Vec<(f64, f64)>,
    /// Where in `rows` each curve begins, and where the last one ends.
    offsets: Vec<usize>,
    /// Curves given so far.
    given: usize,
    first: Option<Round>,
    single_wells: bool,
}

impl Gathered {
    fn new(table: LongTable, single_wells: bool) -> Result<Self> {
        let mut keys: Vec<KeyValues> = Vec::new();
        for (k, is_integer) in table.integer_keys.iter().enumerate() {
            let values = table.groups.iter().map(|group| group.get(k).map_or("", String::as_str));
            keys.push(if *is_integer {
                let numbers = values.map(|value| {
                    value.parse().map_err(|_| Error::Screen {
                        problem: format!("the key `{value}` is not a whole number"),
                        hint: None,
                    })
                });
                KeyValues::Integer(numbers.collect::<Result<_>>()?)
            } else {
                KeyValues::Text(values.map(str::to_owned).collect())
            });
        }
        let mut offsets = vec![0; table.groups.len() + 1];
        for row in &table.rows {
            offsets[row.group as usize + 1] += 1;
        }
        for i in 1..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        let mut next = offsets.clone();
        let mut rows = vec![(0.0, 0.0); table.rows.len()];
        for row in &table.rows {
            let at = &mut next[row.group as usize];
            rows[*at] = (row.doses[0], row.response);
            *at += 1;
        }
        let (rows_in, rows_used) = (table.rows_in, table.rows.len());
        let first = Some(Round { rejected: table.rejected, rows_in, rows_used, blocks: Vec::new() });
        Ok(Self { keys, rows, offsets, given: 0, first, single_wells })
    }

    fn no_keys(&self) -> Vec<KeyValues> {
        self.keys.iter().map(|values| values.slice(0, 0)).collect()
    }

    fn next_round(&mut self) -> Result<Next> {
        if let Some(first) = self.first.take() {
            return Ok(Next::Round(first));
        }
        let from = self.given;
        let to = (from + BLOCK_CURVES).min(self.offsets.len() - 1);
        if from == to {
            return Ok(Next::End);
        }
        self.given = to;
        let curves = self.offsets[from..=to]
            .par_windows(2)
            .map(|ends| curve(&mut self.rows[ends[0]..ends[1]].to_vec(), self.single_wells));
        let block = CurveBlock {
            curves: curves.collect(),
            keys: self.keys.iter().map(|values| values.slice(from, to)).collect(),
        };
        Ok(Next::Round(Round { blocks: vec![block], ..Round::default() }))
    }
}

impl KeyValues {
    fn slice(&self, from: usize, to: usize) -> Self {
        match self {
            KeyValues::Integer(values) => KeyValues::Integer(values[from..to].to_vec()),
            KeyValues::Text(values) => KeyValues::Text(values[from..to].to_vec()),
        }
    }
}

/// The files being written, and what is known of them so far.
struct Output {
    fits: TableWriter,
    rejected: RejectedRows,
    columns: Vec<String>,
    shape: Shape,
    /// The p value of every curve; NaN where there is none, as that takes half the memory of an `Option`.
    p_values: Vec<f64>,
    outcome: PlainOutcome,
}

impl Output {
    fn create(settings: &Settings, mapping: &LongMapping, no_keys: Vec<KeyValues>) -> Result<Self> {
        let identity = identity(settings)?;
        let shape = Shape {
            model: settings.model,
            set: settings.model_set.clone(),
            // A parameter's interval has no meaning beyond the model that was chosen.
            ci: if settings.model_set.is_empty() { settings.ci } else { IntervalKind::None },
            is_robust: settings.loss != Loss::LeastSquares,
        };
        let layout = part_table(&mapping.group, no_keys, Part::default(), &shape);
        let path = settings.out.with_extension("rejected.parquet");
        Ok(Self {
            fits: TableWriter::create(&layout, &settings.out, &identity, Some("q_value"))?,
            rejected: RejectedRows::new(path, identity),
            columns: mapping.group.clone(),
            shape,
            p_values: Vec::new(),
            outcome: PlainOutcome { files: vec![settings.out.clone()], ..PlainOutcome::default() },
        })
    }

    fn write(&mut self, blocks: Vec<FittedBlock>, rejected: Vec<RejectedRow>) -> Result<()> {
        self.outcome.count_rejected(&rejected);
        self.rejected.push(rejected)?;
        for FittedBlock { block: CurveBlock { keys, curves }, fits, inferences, intervals, extras, growth } in blocks {
            self.outcome.units += curves.len();
            self.outcome.failed += fits.iter().filter(|fit| !fit.status.is_fitted()).count();
            let tables: Vec<Table> = in_parts(keys, curves.len())
                .into_par_iter()
                .enumerate()
                .map(|(part, keys)| {
                    let part = Part {
                        fits: cut(&fits, part),
                        inferences: cut(&inferences, part),
                        intervals: cut(&intervals, part),
                        extras: cut(&extras, part),
                        growth: cut(&growth, part),
                    };
                    part_table(&self.columns, keys, part, &self.shape)
                })
                .collect();
            drop(curves);
            for p in tables.iter().filter_map(|table| table.column("p_value")) {
                self.p_values.extend((0..p.len()).map(|row| p.number(row).unwrap_or(f64::NAN)));
            }
            let rows = self.fits.encode(&tables)?;
            drop(tables);
            self.fits.append(rows)?;
        }
        Ok(())
    }

    fn finish(self) -> Result<PlainOutcome> {
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

/// Part number `part` of a list.
fn cut<T>(list: &[T], part: usize) -> &[T] {
    let from = (part * PART_CURVES).min(list.len());
    &list[from..(from + PART_CURVES).min(list.len())]
}

/// A piece of the table of fits; the p values stand in for the q values.
fn part_table(columns: &[String], keys: Vec<KeyValues>, part: Part<'_>, shape: &Shape) -> Table {
    let Part { fits, inferences, intervals, extras, growth } = part;
    let keyed = columns.iter().zip(keys).fold(Table::new("fits"), |table, (column, values)| match values {
        KeyValues::Integer(values) => table.integer(column, values.into_iter().map(Some)),
        KeyValues::Text(values) => table.text(column, values.into_iter().map(Some)),
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
    if shape.set.is_empty() && shape.model == ModelId::GrowthRate {
        table = append_growth_columns(table, growth);
    }
    let at = table.columns.iter().position(|c| c.name == "p_value");
    if let Some((at, Values::Number(p))) = at.map(|at| (at, &table.columns[at].values)) {
        let stand_in = Column { name: "q_value".into(), values: Values::Number(p.clone()) };
        table.columns.insert(at + 1, stand_in);
    }
    append_intervals(table, shape.ci, intervals, shape.model)
}
