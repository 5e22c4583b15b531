//! `isobole fit`: curves stream from file to file in blocks. While one block is fitted, the one before it is written and
//! the one after it is read.

use super::gathered::Gathered;
use super::output::{Extra, Fitted, FittedBlock, Output, Shape};
use super::rejected::REJECTED_ROWS;
use super::{PlainOutcome, only_input};
use crate::analysis::fit_settings;
use crate::backend::Backend;
use crate::backend::choose::choose;
use crate::config::Settings;
use crate::fit::inference::calibration::{Calibration, Design};
use crate::fit::inference::growth::{GrowthMetrics, growth_metrics_of_choice, growth_metrics_of_curves};
use crate::fit::inference::{IntervalKind, infer_all_with, intervals};
use crate::fit::model_choice::{ModelChoice, choose_models};
use crate::fit::robust::{Loss, Robust, fit_robustly, infer_robustly};
use crate::fit::variance::{ReplicateScatter, VarianceLaw, Weights, fit_weighted};
use crate::fit::{CurveSet, Fit, FitSettings};
use crate::ingest::curves::{CurveBlock, CurveStream, Next, Round};
use crate::ingest::{LongMapping, read_long};
use crate::model::ModelId;
use crate::report::files;
use crate::screen::dose_matrix::Curve;
use crate::{Error, Result};
use std::path::Path;

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
        law: None,
        shape: Shape::new(settings, mapping),
    };
    let mut notes = Vec::new();
    if settings.weights == Weights::Variance {
        let law = law_of_variance(input, mapping)?;
        notes.push(law.describe());
        fitting.law = Some(law);
    }
    let mut stream = CurveStream::open(input, mapping)?;
    let mut output = Output::create(settings, &stream.no_keys(), &fitting.shape)?;
    let streamed = fitting.pass(|| stream.next_round(), &mut output)?;
    drop(stream);
    if !streamed {
        drop(output);
        let table = read_long(input, mapping)?;
        let mut rounds = Gathered::new(table, mapping)?;
        output = Output::create(settings, &rounds.no_keys(), &fitting.shape)?;
        fitting.pass(|| rounds.next_round(), &mut output)?;
        let note = "the rows of some curves stand apart: the whole table was read into memory (sort it by curve to \
                    have it streamed)";
        notes.push(note.into());
    }
    output.outcome.notes = notes;
    output.outcome.backend = format!("{} ({}; {})", backend.name(), backend.device(), chosen.reason);
    output.finish()
}

/// How the variance of wells depends on their response, by the replicates of the whole table, in memory that does not grow
/// with it. The table is read once for this alone.
fn law_of_variance(input: &Path, mapping: &LongMapping) -> Result<VarianceLaw> {
    let scatter_of = |next: &mut dyn FnMut() -> Result<Next>| -> Result<Option<ReplicateScatter>> {
        let mut scatter = ReplicateScatter::default();
        loop {
            match next()? {
                Next::Round(round) => round.blocks.iter().for_each(|block| scatter.add(&block.curves)),
                Next::End => return Ok(Some(scatter)),
                Next::KeyReturned => return Ok(None),
            }
        }
    };
    let mut stream = CurveStream::open(input, mapping)?;
    let mut scatter = scatter_of(&mut || stream.next_round())?;
    drop(stream);
    if scatter.is_none() {
        let mut rounds = Gathered::new(read_long(input, mapping)?, mapping)?;
        scatter = scatter_of(&mut || rounds.next_round())?;
    }
    scatter.unwrap_or_default().law()
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
    /// The law that wells are weighted by; `None` where they weigh all alike.
    law: Option<VarianceLaw>,
    shape: Shape,
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
        if self.set.is_empty() && self.loss == Loss::LeastSquares {
            self.calibration.prepare(block.curves.iter().filter_map(Design::of), self.backend)?;
        }
        FittedBlock::new(block, self.backend.curves_a_call(), &self.shape, |curves, x2| {
            if !self.set.is_empty() {
                self.choose(curves)
            } else if self.loss != Loss::LeastSquares {
                self.fit_robustly(curves)
            } else {
                self.fit_by_least_squares(curves, x2)
            }
        })
    }

    fn fit_by_least_squares(&self, given: &[Curve], x2: &[Vec<f64>]) -> Result<Fitted> {
        let (fits, weighted) = match &self.law {
            None => (self.backend.fit(&self.settings, &CurveSet::of(given, x2))?, None),
            Some(law) => {
                let (fits, weighted) = fit_weighted(given, x2, &self.settings, law, self.backend)?;
                (fits, Some(weighted))
            }
        };
        let curves = weighted.as_deref().unwrap_or(given);
        let mut inferences = infer_all_with(curves, x2, &fits, self.settings.model);
        // A flat curve has one variance: its null, and what makes a non-responder, are those of equal weights.
        self.calibration.calibrate(&mut inferences, given);
        let intervals = intervals(self.ci, curves, x2, &fits, &inferences, &self.settings);
        let growth = self.growth(given, &fits);
        Ok(Fitted { fits, inferences, intervals, extras: Vec::new(), growth })
    }

    fn fit_robustly(&self, curves: &[Curve]) -> Result<Fitted> {
        let (fits, robust) = fit_robustly(curves, &self.settings, self.loss, self.backend)?;
        let inferences = infer_robustly(curves, &fits, &robust, &self.settings, self.loss);
        let intervals = intervals(self.ci, curves, &[], &fits, &inferences, &self.settings);
        let extra = |found: &Robust| Extra {
            model: self.settings.model,
            aicc: None,
            akaike_weight: None,
            aicc_reason: None,
            robust_scale: found.scale,
            n_downweighted: found.n_downweighted,
        };
        let extras = robust.iter().map(extra).collect();
        let growth = self.growth(curves, &fits);
        Ok(Fitted { fits, inferences, intervals, extras, growth })
    }

    fn growth(&self, curves: &[Curve], fits: &[Fit]) -> Vec<GrowthMetrics> {
        match self.settings.model {
            ModelId::GrowthRate => growth_metrics_of_curves(curves, fits),
            _ => Vec::new(),
        }
    }

    fn choose(&self, curves: &[Curve]) -> Result<Fitted> {
        let chosen = choose_models(curves, &self.set, self.backend)?;
        let extra = |choice: &ModelChoice| Extra {
            model: choice.model,
            aicc: choice.aicc,
            akaike_weight: choice.akaike_weight,
            aicc_reason: choice.reason,
            robust_scale: None,
            n_downweighted: None,
        };
        let extras = chosen.iter().map(extra).collect();
        let growth = if self.set.iter().any(|settings| settings.model == ModelId::GrowthRate) {
            let of_choice =
                |(c, choice): (&Curve, &ModelChoice)| growth_metrics_of_choice(c, &choice.fit, choice.model);
            curves.iter().zip(&chosen).map(of_choice).collect()
        } else {
            Vec::new()
        };
        let (fits, inferences) = chosen.into_iter().map(|choice| (choice.fit, choice.inference)).unzip();
        Ok(Fitted { fits, inferences, intervals: Vec::new(), extras, growth })
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
