//! The command line: what can be typed, and how it becomes [`Settings`].
//!
//! Every argument is destructured by name on its way, so that a flag that nobody reads does not compile.

pub mod archived;
pub mod flags;
pub mod import;
pub mod mechanism;
pub mod plates;
pub mod single_agents;

use crate::bench::BenchSettings;
use crate::config::mapping::known_unit;
use crate::config::{BackendChoice, ModelChoice, Settings};
use crate::fit::inference::IntervalKind;
use crate::fit::robust::Loss;
use crate::fit::variance::Weights;
use crate::ingest::LongMapping;
use crate::model::ModelId;
use crate::run::plain::single_agents::SingleAgents;
use crate::screen::dose::ConcentrationUnit;
use crate::screen::{Orientation, Scale};
use crate::{Error, Result};
pub use archived::{DiffArgs, RankArgs, ReportArgs, RescoreArgs, ShowArgs, VerifyArgs};
use clap::{Args, Parser, Subcommand, ValueEnum};
pub use flags::{AnalysisFlags, MappingFlags, choice};
pub use import::{ImportArgs, resolve_import};
pub use mechanism::{MechanismArgs, resolve_mechanism};
use single_agents::{SingleAgentFlags, raw_has_sense};
use std::path::PathBuf;

/// Analyse high-throughput drug-combination screens: plates in, ranked pairs out.
#[derive(Debug, Parser)]
#[command(name = "isobole", version, propagate_version = true, max_term_width = 110)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
    /// What to say on the way.
    #[command(flatten)]
    pub console: Console,
}

/// What to say on the way; results are never affected.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Console")]
pub struct Console {
    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    pub quiet: bool,
    /// Say more: settings as resolved, timings of every stage
    #[arg(short, long, global = true)]
    pub verbose: bool,
    /// Colour in messages
    #[arg(long, global = true, value_enum, default_value_t = Color::Auto, value_name = "WHEN")]
    pub color: Color,
}

/// When messages have colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// Where stderr is a terminal
    Auto,
    /// Always
    Always,
    /// Never
    Never,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole pipeline on the built-in demo screen
    Demo(DemoArgs),
    /// Run the whole pipeline: plates in, ranked pairs and a report out
    Run(RunArgs),
    /// Judge the plates, and stop there
    Qc(RunArgs),
    /// Judge and normalise the plates, and stop there
    Normalize(RunArgs),
    /// Fit curves in a plain table
    Fit(FitArgs),
    /// Score dose matrices in a plain table
    Synergy(SynergyArgs),
    /// Tell why lines are resistant from a table of evidence
    Mechanism(MechanismArgs),
    /// Read archived results again with other models, settings or rankings
    Rescore(RescoreArgs),
    /// Rank the pairs of a result folder
    Rank(RankArgs),
    /// Write the report of a result folder anew
    Report(ReportArgs),
    /// Show one pair of a result folder
    Show(ShowArgs),
    /// Tell which ranks moved between two result folders, and why
    Diff(DiffArgs),
    /// Check a result folder: its hashes, and its numbers computed again
    Verify(VerifyArgs),
    /// Turn other tools' formats into plates that `run` reads
    Import(ImportArgs),
    /// Make a screen with a known truth
    Simulate(SimulateArgs),
    /// Time and compare the back ends
    Bench(BenchArgs),
    /// List the models, or describe one
    Models(ModelsArgs),
    /// List the devices that can compute
    Devices,
}

/// `isobole demo`.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// Folder for the results
    #[arg(short, long, default_value = "isobole-demo", value_name = "DIR")]
    pub out: PathBuf,
    /// How to analyse.
    #[command(flatten)]
    pub analysis: AnalysisFlags,
}

/// `isobole run`, `qc`, `normalize`.
#[derive(Debug, Clone, Args)]
pub struct RunArgs {
    /// A screen.toml, plate files (Parquet, CSV, TSV), or both: plates given here replace those of the file
    #[arg(required = true, value_name = "SCREEN.toml|PLATES.parquet")]
    pub inputs: Vec<PathBuf>,
    /// Folder for the results
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// What the columns mean.
    #[command(flatten)]
    pub mapping: MappingFlags,
    /// How to analyse.
    #[command(flatten)]
    pub analysis: AnalysisFlags,
}

/// What the columns of a plain table mean.
#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Columns")]
pub struct LongFlags {
    /// Column of responses
    #[arg(long, default_value = "response", value_name = "COLUMN")]
    pub response: String,
    /// Unit of every dose
    #[arg(long, default_value = "M", value_name = "UNIT")]
    pub dose_unit: String,
    /// Whether responses are viability or inhibition: never guessed
    #[arg(long, value_parser = choice::<Orientation>(), value_name = "WHAT")]
    pub orientation: Orientation,
    /// Whether 1 or 100 is the whole
    #[arg(long, value_parser = choice::<Scale>(), default_value = "fraction", value_name = "SCALE")]
    pub scale: Scale,
    /// Response of untreated cells where responses are raw (counts, light): they are divided by it
    #[arg(long, value_name = "NUMBER", conflicts_with = "scale")]
    pub untreated: Option<f64>,
}

/// `isobole fit`.
#[derive(Debug, Clone, Args)]
pub struct FitArgs {
    /// The table (Parquet, CSV, TSV)
    #[arg(value_name = "CURVES.parquet")]
    pub input: PathBuf,
    /// The fits (Parquet)
    #[arg(short, long, value_name = "FITS.parquet")]
    pub out: PathBuf,
    /// Columns that together name a curve; without them the file is one curve
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    pub curve: Vec<String>,
    /// Column of doses
    #[arg(long, default_value = "dose", value_name = "COLUMN")]
    pub dose: String,
    /// Column of the second independent variable, `x2`, of a model file that has one
    #[arg(long, value_name = "COLUMN")]
    pub x2: Option<String>,
    /// The other columns.
    #[command(flatten)]
    pub long: LongFlags,
    /// How to analyse.
    #[command(flatten)]
    pub analysis: AnalysisFlags,
}

/// `isobole synergy`.
#[derive(Debug, Clone, Args)]
pub struct SynergyArgs {
    /// The table (Parquet, CSV, TSV)
    #[arg(value_name = "MATRICES.parquet")]
    pub input: PathBuf,
    /// Folder for the results
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Columns that together name a matrix; without them the file is one matrix
    #[arg(long, value_delimiter = ',', value_name = "COLUMN,…")]
    pub matrix: Vec<String>,
    /// Column of the first drug's doses
    #[arg(long, default_value = "dose_a", value_name = "COLUMN")]
    pub dose_a: String,
    /// Column of the second drug's doses
    #[arg(long, default_value = "dose_b", value_name = "COLUMN")]
    pub dose_b: String,
    /// Column of a third drug's doses: all combinations are then of three drugs
    #[arg(long, value_name = "COLUMN")]
    pub dose_c: Option<String>,
    /// The other columns.
    #[command(flatten)]
    pub long: LongFlags,
    /// Margins from elsewhere.
    #[command(flatten)]
    pub singles: SingleAgentFlags,
    /// How to analyse.
    #[command(flatten)]
    pub analysis: AnalysisFlags,
}

/// `isobole simulate`.
#[derive(Debug, Clone, Args)]
pub struct SimulateArgs {
    /// Folder for the screen and its truth
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Number of plates
    #[arg(long, value_name = "N")]
    pub plates: Option<usize>,
    /// Number of cell lines
    #[arg(long, value_name = "N")]
    pub lines: Option<usize>,
    /// Number of drug pairs
    #[arg(long, value_name = "N")]
    pub pairs: Option<usize>,
    /// Number of resistant lines among them
    #[arg(long, value_name = "N")]
    pub resistant: Option<usize>,
    /// The recipe of the built-in demo screen instead
    #[arg(long, conflicts_with_all = ["plates", "lines", "pairs", "resistant"])]
    pub demo: bool,
    /// A plain table of this many single curves instead, for `isobole fit`: curve_id, dose (M), viability
    #[arg(long, conflicts_with_all = ["plates", "lines", "pairs", "resistant", "demo"], value_name = "N")]
    pub curves: Option<u64>,
    /// Wells at each dose of these curves
    #[arg(long, requires = "curves", default_value_t = 1, value_name = "N")]
    pub replicates: u32,
    /// Blots and PCR of the resistant lines beside the plates, for `isobole run` and `isobole mechanism`; lines.csv then
    /// leaves out why lines are resistant
    #[arg(long, conflicts_with = "curves")]
    pub evidence: bool,
    /// Annexin V / PI of the planted pairs, and of as many others, beside the plates
    #[arg(long, conflicts_with = "curves")]
    pub apoptosis: bool,
    /// Pairs that are given in a second schedule too, the planted ones first
    #[arg(long, default_value_t = 0, conflicts_with = "curves", value_name = "N")]
    pub schedules: usize,
    /// Seed of every random number
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
}

/// `isobole bench`.
#[derive(Debug, Clone, Args)]
pub struct BenchArgs {
    /// Number of curves to fit
    #[arg(long, default_value_t = 100_000, value_name = "N")]
    pub curves: usize,
    /// Models to time: names or model files [default: all that are built in]
    #[arg(long, value_delimiter = ',', value_parser = ModelChoice::parse, value_name = "MODEL|FILE,…")]
    pub models: Vec<ModelChoice>,
    /// Time this back end only; auto for all that are there
    #[arg(long, default_value = "auto", value_parser = choice::<BackendChoice>(), value_name = "BACKEND")]
    pub backend: BackendChoice,
    /// Compare instead the GPU's fits in one call with the same in chunks
    #[arg(long, conflicts_with_all = ["json", "models", "backend"])]
    pub chunk_check: bool,
    /// Time synergy models on so many simulated dose matrices instead
    #[arg(long, value_name = "N", num_args = 0..=1, default_missing_value = "500", conflicts_with_all = ["models", "backend", "chunk_check"])]
    pub synergy: Option<usize>,
    /// Write the figures to this file as JSON
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,
    /// Seed of every random number
    #[arg(long, default_value_t = 1, value_name = "N")]
    pub seed: u64,
    /// Worker threads; 0 for one a core
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
}

/// `isobole models`.
#[derive(Debug, Clone, Args)]
pub struct ModelsArgs {
    /// The model to describe
    #[arg(value_name = "NAME")]
    pub name: Option<String>,
    /// Check a model file: its derivatives, its device code, and whether it recovers itself from simulated data
    #[arg(long, conflicts_with = "name", value_name = "FILE")]
    pub check: Option<PathBuf>,
}

/// Settings of `demo`; the demo screen's plates are put into [`Settings::inputs`] by the caller.
///
/// # Errors
/// [`Error::Setting`] for a value that has no meaning.
pub fn resolve_demo(args: &DemoArgs) -> Result<Settings> {
    let DemoArgs { out, analysis } = args.clone();
    Settings::resolve(analysis.said()?, Vec::new(), out)?.of_doses()?.of_one_model()
}

/// Settings of `run`, `qc` and `normalize`: flags over `screen.toml` over defaults.
///
/// # Errors
/// [`Error::File`], [`Error::Format`] for a `screen.toml` that cannot be read; [`Error::Setting`] for a value that has
/// no meaning; [`Error::Screen`] where there is no plate.
pub fn resolve(args: &RunArgs) -> Result<Settings> {
    let RunArgs { inputs, out, mapping, analysis } = args.clone();
    let (file, inputs) = plates::inputs(inputs)?;
    Settings::resolve(mapping.said(analysis.said()?)?.over(file), inputs, out)?.of_doses()?.of_one_model()
}

/// Settings and columns of `fit`.
///
/// # Errors
/// [`Error::Setting`] for a value that has no meaning.
pub fn resolve_fit(args: &FitArgs) -> Result<(Settings, LongMapping)> {
    let FitArgs { input, out, curve, dose, x2, long, analysis } = args.clone();
    let settings = Settings::resolve(analysis.said()?, vec![input], out)?;
    let model = settings.model.curve_model();
    let mut mapping = long_mapping(long, "curve", curve, vec![dose])?;
    mapping.plain_numbers = model.any_dose;
    mapping.x2 = second_variable(&settings, x2)?;
    // A robust loss weighs every well by itself.
    mapping.single_wells = settings.loss != Loss::LeastSquares;
    if settings.loss != Loss::LeastSquares && !settings.model_set.is_empty() {
        return Err(Error::setting("loss", "a model is chosen by least squares alone"));
    }
    if settings.loss != Loss::LeastSquares && settings.ci == IntervalKind::Profile {
        return Err(Error::setting("ci", "the profiled intervals are those of least squares"));
    }
    if settings.weights == Weights::Variance {
        weights_have_sense(&settings)?;
    }
    if mapping.plain_numbers && mapping.dose_unit != ConcentrationUnit::Molar(1.0) {
        return Err(Error::Setting {
            key: "dose-unit".into(),
            problem: format!("the `x` of model `{}` is a plain number and has no unit", model.name),
            hint: Some("leave --dose-unit out, or give the model file a dose_unit".into()),
        });
    }
    Ok((settings, mapping))
}

/// The column of the second variable, which there is if and only if the model has one.
fn second_variable(settings: &Settings, column: Option<String>) -> Result<Option<String>> {
    let refuse = |problem: String, hint: &str| {
        let (key, hint) = ("x2".into(), Some(hint.into()));
        Err(Error::Setting { key, problem, hint })
    };
    let model = settings.model.curve_model();
    match &column {
        _ if !model.interactions.is_empty() => {
            let problem = format!("model `{}` is a surface of two drugs", model.name);
            refuse(problem, "`isobole synergy --synergy FILE` fits it")
        }
        None if model.uses_x2 => {
            let problem = format!("model `{}` has a second variable, `x2`, and no column of it is named", model.name);
            refuse(problem, "name it: --x2 COLUMN")
        }
        Some(column) if !model.uses_x2 || !settings.model_set.is_empty() => {
            let problem = format!("column `{column}` is named, and model `{}` has no second variable", model.name);
            refuse(problem, "leave --x2 out, or use `x2` in a model file")
        }
        Some(_) if settings.loss != Loss::LeastSquares => {
            refuse("robust losses know no second variable".into(), "leave --loss out")
        }
        _ => Ok(column),
    }
}

/// Refuses what weights by variance cannot go with.
fn weights_have_sense(settings: &Settings) -> Result<()> {
    let refuse = |problem: &str, hint: &str| {
        let (key, problem, hint) = ("weights".into(), problem.into(), Some(hint.into()));
        Err(Error::Setting { key, problem, hint })
    };
    if !settings.model_set.is_empty() {
        return refuse("models are compared on the same weights, and each would have its own", "name one --model");
    }
    if settings.loss != Loss::LeastSquares {
        return refuse("a robust loss weighs wells by their residuals", "leave out --weights or --loss");
    }
    if settings.model == ModelId::GrowthRate {
        return refuse("a growth rate of zero is not a signal of zero: its variance is no law of it", "leave it out");
    }
    Ok(())
}

/// What `bench` times.
///
/// # Errors
/// [`Error::Setting`] for a choice of models and for a model that needs a second variable; those of reading a model file.
pub fn resolve_bench(args: &BenchArgs) -> Result<BenchSettings> {
    let BenchArgs { curves, models, backend, chunk_check: _, synergy: _, json: _, seed, threads: _ } = args;
    let refuse = |problem: String, hint: &str| {
        let (key, hint) = ("models".into(), Some(hint.into()));
        Err(Error::Setting { key, problem, hint })
    };
    let mut chosen = Vec::with_capacity(models.len());
    for choice in models {
        if !choice.set().is_empty() {
            return refuse(
                "`auto` is a choice of models, and each is timed by itself".into(),
                "name them: hill3,hill4",
            );
        }
        let model = choice.model()?;
        if model.curve_model().uses_x2 {
            let problem = format!("`{}` has a second variable, `x2`, which the simulated curves lack", model.name());
            return refuse(problem, "time a model of doses alone");
        }
        chosen.push(model);
    }
    if chosen.is_empty() {
        chosen = ModelId::ALL.to_vec();
    }
    Ok(BenchSettings { curves: *curves, seed: *seed, models: chosen, backend: *backend })
}

/// Settings and columns of `synergy`.
///
/// # Errors
/// [`Error::Setting`] for a value that has no meaning.
pub fn resolve_synergy(args: &SynergyArgs) -> Result<(Settings, LongMapping, Vec<String>, Option<SingleAgents>)> {
    let SynergyArgs { input, out, matrix, dose_a, dose_b, dose_c, long, singles, analysis } = args.clone();
    let settings = Settings::resolve(analysis.said()?, vec![input], out)?.of_doses()?.of_one_model()?;
    let doses = [dose_a, dose_b].into_iter().chain(dose_c).collect();
    let mapping = long_mapping(long, "matrix", matrix, doses)?;
    let drugs = singles.drugs.clone();
    let singles = singles.resolve(&mapping)?;
    Ok((settings, mapping, drugs, singles))
}

fn long_mapping(flags: LongFlags, key: &str, group: Vec<String>, doses: Vec<String>) -> Result<LongMapping> {
    let LongFlags { response, dose_unit, orientation, scale, untreated } = flags;
    raw_has_sense("untreated", untreated, orientation)?;
    let group: Vec<String> = group.into_iter().filter(|name| !name.is_empty()).collect();
    if let Some(twice) = group.iter().enumerate().find(|(i, name)| group[..*i].contains(name)) {
        return Err(Error::setting(key, format!("column `{}` is named twice", twice.1)));
    }
    let dose_unit = known_unit("dose-unit", &dose_unit)?;
    Ok(LongMapping {
        group,
        doses,
        x2: None,
        plain_numbers: false,
        single_wells: false,
        response,
        dose_unit,
        orientation,
        scale,
        untreated,
    })
}
