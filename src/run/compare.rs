//! Curve models compared on an archive: which the curves call for, which predicts doses left out, and what the ranking owes
//! to the choice.

use super::rescore::{Rescored, rescore};
use crate::analysis::{Observer, Stage, fit_settings};
use crate::archive::Archive;
use crate::config::{ModelChoice, ScreenFile, Settings};
use crate::diff::correlation::RankCorrelation;
use crate::fit::FitSettings;
use crate::fit::comparison::{Compared, compare};
use crate::fit::inference::{Inference, ResponseClass};
use crate::model::ModelId;
use crate::rank::{DISCOVERY_Q, RankedPair};
use crate::report::files;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::dose_matrix::{Curve, gather};
use crate::screen::names::NameId;
use crate::{Error, Result};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Pairs at the head of a ranking whose agreement is told.
const HEAD: usize = 10;

/// One model among the curves of one class.
#[derive(Debug, Clone, PartialEq)]
pub struct ClassSummary {
    /// `responder`, `flat`, `non_responder`, `none` (no class), or `all`.
    pub class: &'static str,
    /// The model.
    pub model: ModelId,
    /// Curves of the class.
    pub n_curves: usize,
    /// Curves on which it has the lowest AICc, BIC and cross-validated error of all.
    pub best: [usize; 3],
    /// Median of AICc over the best model's; `None` where it has none.
    pub median_delta_aicc: Option<f64>,
    /// Root mean square of the cross-validated errors of the curves for which every model has one.
    pub cross_validated: Option<f64>,
    /// How many those are.
    pub n_cross_validated: usize,
}

/// What the ranking is with a model, against the first one.
#[derive(Debug, Clone, PartialEq)]
pub struct RankingSummary {
    /// The model.
    pub model: ModelId,
    /// Correlation with the ranking by the first model.
    pub correlation: RankCorrelation,
    /// Pairs among the first ten of both.
    pub in_both_heads: usize,
    /// Pairs with q of at most 0.05.
    pub significant: usize,
    /// Of them those that are not so with the first model, and the other way round.
    pub entered_and_left: (usize, usize),
}

/// The whole comparison.
#[derive(Debug, Clone, PartialEq)]
pub struct Comparison {
    /// By class and model.
    pub classes: Vec<ClassSummary>,
    /// By model.
    pub rankings: Vec<RankingSummary>,
    /// Files written.
    pub files: Vec<PathBuf>,
}

/// Compares models on an archive. Each model's results go into `out/MODEL`, the comparison into `out`.
///
/// # Errors
/// As [`rescore`]; [`Error::Setting`] for fewer than two models, and for one that needs more than doses.
pub fn compare_models(dir: &Path, said: &ScreenFile, out: &Path, observe: Observer<'_>) -> Result<Comparison> {
    let models = match &said.model {
        Some(choice) => choice.each()?,
        None => Vec::new(),
    };
    if models.len() < 2 {
        return Err(Error::Setting {
            key: "model".into(),
            problem: "a comparison needs two models or more".into(),
            hint: Some("name them: --model hill4,biphasic,mine.toml --compare".into()),
        });
    }
    let archive = Archive::open(dir)?;
    let mut rescored: Vec<Rescored> = Vec::with_capacity(models.len());
    for model in &models {
        let said = ScreenFile { model: Some(ModelChoice::BuiltIn(*model)), ..said.clone() };
        observe(Stage::Read, &format!("{} with {}", dir.display(), model.name()));
        rescored.push(rescore(dir, said, &out.join(folder_of(*model)), observe)?);
    }
    // Curves are gathered alike whatever they are fitted with; their class is the archive's.
    let restored = archive.restore(false)?;
    let anchor = restored.screen.drugs.id_ignoring_case(&archive.settings.anchor);
    let (Some(plates), Some(fitted)) = (&restored.plates, &restored.curves) else {
        return Err(Error::Screen {
            problem: format!("`{}` keeps no curves to compare models on", dir.display()),
            hint: Some("read it again first: `isobole rescore DIR --out DIR2`".into()),
        });
    };
    let curves = gather(&plates.wells, &restored.screen, anchor, archive.settings.vehicle_point).curves;
    let fits: Vec<FitSettings> = models
        .iter()
        .map(|model| {
            let own = |settings: &Settings| settings.model == *model;
            let of_archive = own(&archive.settings).then(|| fit_settings(&archive.settings));
            of_archive.unwrap_or_else(|| FitSettings { starts: archive.settings.starts, ..FitSettings::new(*model) })
        })
        .collect();
    observe(Stage::Curves, &format!("{} curves, doses left out in turn", curves.len()));
    let compared = compare(&curves, &fits, archive.backend()?.as_ref())?;
    let classes = classes(&models, &compared, &fitted.inferences);
    let rankings: Vec<RankingSummary> = models
        .iter()
        .zip(&rescored)
        .map(|(model, one)| ranking_summary(*model, &rescored[0].finished.analysis.pairs, &one.finished.analysis.pairs))
        .collect();
    files::prepare(out)?;
    let identity = archive.record.identity();
    let tables = [
        curves_table(&models, &curves, &compared, &fitted.inferences, &restored.screen),
        classes_table(&classes),
        rankings_table(&rankings),
        pairs_table(&models, &rescored),
    ];
    let written = tables.iter().map(|table| files::write(table, out, &identity, archive.settings.csv));
    Ok(Comparison { classes, rankings, files: written.collect::<Result<_>>()? })
}

/// A model's name as that of a folder: names from files may have anything in them.
fn folder_of(model: ModelId) -> String {
    let plain = |c: char| if c.is_alphanumeric() || matches!(c, '_' | '-') { c } else { '_' };
    model.name().chars().map(plain).collect()
}

fn class_of(inference: Option<&Inference>) -> &'static str {
    inference.and_then(|inference| inference.class).map_or("none", ResponseClass::name)
}

fn classes(models: &[ModelId], compared: &[Vec<Compared>], inferences: &[Inference]) -> Vec<ClassSummary> {
    let mut all = Vec::new();
    for class in ["all", "responder", "flat", "non_responder", "none"] {
        let rows: Vec<&Vec<Compared>> = compared
            .iter()
            .enumerate()
            .filter(|(i, _)| class == "all" || class_of(inferences.get(*i)) == class)
            .map(|(_, row)| row)
            .collect();
        if rows.is_empty() {
            continue;
        }
        let complete: Vec<&&Vec<Compared>> =
            rows.iter().filter(|row| row.iter().all(|one| one.cross_validated.is_some())).collect();
        for (m, model) in models.iter().enumerate() {
            let best = |value: fn(&Compared) -> Option<f64>| {
                let is_best = |row: &&&Vec<Compared>| {
                    // Equal ones: the first named.
                    let least = row.iter().enumerate().filter_map(|(i, one)| Some((value(one)?, i)));
                    least.min_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))).is_some_and(|(_, i)| i == m)
                };
                rows.iter().filter(is_best).count()
            };
            let delta = |row: &&Vec<Compared>| {
                let least = row.iter().filter_map(|one| one.aicc).reduce(f64::min)?;
                Some(row[m].aicc? - least)
            };
            let mut deltas: Vec<f64> = rows.iter().filter_map(delta).collect();
            deltas.sort_by(f64::total_cmp);
            let errors = complete.iter().filter_map(|row| row[m].cross_validated).map(|error| error * error);
            let n = complete.len();
            all.push(ClassSummary {
                class,
                model: *model,
                n_curves: rows.len(),
                best: [best(|one| one.aicc), best(|one| one.bic), best(|one| one.cross_validated)],
                median_delta_aicc: deltas.get(deltas.len() / 2).copied(),
                cross_validated: (n > 0).then(|| (errors.sum::<f64>() / n as f64).sqrt()),
                n_cross_validated: n,
            });
        }
    }
    all
}

type PairKey = (NameId, NameId, Option<NameId>, Option<NameId>);

fn by_pair(pairs: &[RankedPair]) -> BTreeMap<PairKey, &RankedPair> {
    pairs.iter().map(|pair| ((pair.drug_a, pair.drug_b, pair.drug_c, pair.schedule), pair)).collect()
}

fn ranking_summary(model: ModelId, first: &[RankedPair], now: &[RankedPair]) -> RankingSummary {
    let (before, after) = (by_pair(first), by_pair(now));
    let both: Vec<(&RankedPair, &RankedPair)> =
        before.iter().filter_map(|(key, pair)| Some((*pair, *after.get(key)?))).collect();
    let ranks: Vec<[usize; 2]> = both.iter().map(|(a, b)| [a.rank, b.rank]).collect();
    let is_in = |pair: &RankedPair| pair.q.is_some_and(|q| q <= DISCOVERY_Q);
    RankingSummary {
        model,
        correlation: RankCorrelation::of(&ranks),
        in_both_heads: ranks.iter().filter(|[a, b]| *a <= HEAD && *b <= HEAD).count(),
        significant: now.iter().filter(|pair| is_in(pair)).count(),
        entered_and_left: (
            both.iter().filter(|(a, b)| !is_in(a) && is_in(b)).count(),
            both.iter().filter(|(a, b)| is_in(a) && !is_in(b)).count(),
        ),
    }
}

/// The table `model_comparison`: one row a curve and model. Criteria are up to a constant that all models of a curve share;
/// `cross_validated_error` is a viability; `class` is that of the archive.
fn curves_table(
    models: &[ModelId],
    curves: &[Curve],
    compared: &[Vec<Compared>],
    inferences: &[Inference],
    screen: &Screen,
) -> Table {
    let rows = || {
        curves
            .iter()
            .zip(compared)
            .enumerate()
            .flat_map(|(i, (curve, row))| models.iter().zip(row).map(move |(model, one)| (i, curve, model, one)))
    };
    let best = |i: usize| compared[i].iter().filter_map(|one| one.aicc).reduce(f64::min);
    Table::new("model_comparison")
        .named("cell_line", &screen.lines, rows().map(|(_, curve, ..)| Some(curve.key.line)))
        .named("drug", &screen.drugs, rows().map(|(_, curve, ..)| Some(curve.key.drug)))
        .named("schedule", &screen.schedules, rows().map(|(_, curve, ..)| curve.key.schedule))
        .code("class", rows().map(|(i, ..)| Some(class_of(inferences.get(i)))))
        .code("model", rows().map(|(_, _, model, _)| Some(model.name())))
        .integer("n_parameters", rows().map(|(_, _, model, _)| Some(model.parameters().len() as i64)))
        .number("sse", rows().map(|(.., one)| one.sse))
        .number("aicc", rows().map(|(.., one)| one.aicc))
        .number("delta_aicc", rows().map(|(i, _, _, one)| Some(one.aicc? - best(i)?)))
        .number("akaike_weight", rows().map(|(.., one)| one.akaike_weight))
        .number("bic", rows().map(|(.., one)| one.bic))
        .number("cross_validated_error", rows().map(|(.., one)| one.cross_validated))
        .integer("n_predicted", rows().map(|(.., one)| Some(one.n_predicted as i64)))
        .code("reason", rows().map(|(.., one)| one.reason))
}

fn classes_table(classes: &[ClassSummary]) -> Table {
    let count = |value: fn(&ClassSummary) -> usize| classes.iter().map(move |c| Some(value(c) as i64));
    Table::new("model_classes")
        .code("class", classes.iter().map(|c| Some(c.class)))
        .code("model", classes.iter().map(|c| Some(c.model.name())))
        .integer("n_curves", count(|c| c.n_curves))
        .integer("n_best_aicc", count(|c| c.best[0]))
        .integer("n_best_bic", count(|c| c.best[1]))
        .integer("n_best_cross_validated", count(|c| c.best[2]))
        .number("median_delta_aicc", classes.iter().map(|c| c.median_delta_aicc))
        .number("cross_validated_error", classes.iter().map(|c| c.cross_validated))
        .integer("n_cross_validated", count(|c| c.n_cross_validated))
}

fn rankings_table(rankings: &[RankingSummary]) -> Table {
    let count = |value: fn(&RankingSummary) -> usize| rankings.iter().map(move |r| Some(value(r) as i64));
    Table::new("model_rankings")
        .code("model", rankings.iter().map(|r| Some(r.model.name())))
        .code("against", rankings.iter().map(|_| rankings.first().map(|first| first.model.name())))
        .integer("n_pairs", count(|r| r.correlation.n))
        .number("spearman", rankings.iter().map(|r| r.correlation.spearman))
        .number("kendall", rankings.iter().map(|r| r.correlation.kendall))
        .integer("n_in_both_first_10", count(|r| r.in_both_heads))
        .integer("n_significant", count(|r| r.significant))
        .integer("n_entered", count(|r| r.entered_and_left.0))
        .integer("n_left", count(|r| r.entered_and_left.1))
}

/// The table `model_pairs`: the place and score of each pair with each model.
fn pairs_table(models: &[ModelId], rescored: &[Rescored]) -> Table {
    let rankings: Vec<BTreeMap<PairKey, &RankedPair>> =
        rescored.iter().map(|one| by_pair(&one.finished.analysis.pairs)).collect();
    let first = &rescored[0].finished;
    let pairs = &first.analysis.pairs;
    let of =
        |m: usize, pair: &RankedPair| rankings[m].get(&(pair.drug_a, pair.drug_b, pair.drug_c, pair.schedule)).copied();
    let mut table = Table::new("model_pairs")
        .named("drug_a", &first.screen.drugs, pairs.iter().map(|pair| Some(pair.drug_a)))
        .named("drug_b", &first.screen.drugs, pairs.iter().map(|pair| Some(pair.drug_b)))
        .named("drug_c", &first.screen.drugs, pairs.iter().map(|pair| pair.drug_c))
        .named("schedule", &first.screen.schedules, pairs.iter().map(|pair| pair.schedule));
    for (m, model) in models.iter().enumerate() {
        table = table
            .integer(&format!("rank_{}", model.name()), pairs.iter().map(|p| of(m, p).map(|p| p.rank as i64)))
            .number(&format!("score_{}", model.name()), pairs.iter().map(|p| of(m, p)?.score));
    }
    let ranks =
        |pair: &RankedPair| (0..models.len()).filter_map(|m| of(m, pair).map(|p| p.rank as i64)).collect::<Vec<_>>();
    table
        .integer("best_rank", pairs.iter().map(|pair| ranks(pair).into_iter().min()))
        .integer("worst_rank", pairs.iter().map(|pair| ranks(pair).into_iter().max()))
}

impl Comparison {
    /// The comparison as text.
    pub fn text(&self) -> String {
        use std::fmt::Write;
        let mut text = String::new();
        let _ = writeln!(
            text,
            "{:14} {:16} {:>7} {:>10} {:>9} {:>9} {:>12} {:>10}",
            "class", "model", "curves", "best AICc", "best BIC", "best CV", "median dAICc", "CV error"
        );
        let shown =
            |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
        for one in &self.classes {
            let _ = writeln!(
                text,
                "{:14} {:16} {:>7} {:>10} {:>9} {:>9} {:>12} {:>10}",
                one.class.replace('_', " "),
                one.model.name(),
                one.n_curves,
                one.best[0],
                one.best[1],
                one.best[2],
                shown(one.median_delta_aicc, 2),
                shown(one.cross_validated, 4)
            );
        }
        let first = self.rankings.first().map_or("", |first| first.model.name());
        let _ = writeln!(
            text,
            "\n{:16} {:>9} {:>9} {:>14} {:>12} {:>8} {:>6}   (ranking, against {first})",
            "model", "Spearman", "Kendall", "in both top 10", "significant", "entered", "left"
        );
        for one in &self.rankings {
            let _ = writeln!(
                text,
                "{:16} {:>9} {:>9} {:>14} {:>12} {:>8} {:>6}",
                one.model.name(),
                shown(one.correlation.spearman, 4),
                shown(one.correlation.kendall, 4),
                one.in_both_heads,
                one.significant,
                one.entered_and_left.0,
                one.entered_and_left.1
            );
        }
        text
    }
}
