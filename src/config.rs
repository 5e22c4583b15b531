//! Settings: what was typed and what `screen.toml` says, resolved to concrete values and written beside the results.
//!
//! Flags become a [`ScreenFile`] too, so that a flag and a key of the file are one thing with one meaning; a flag wins.

pub mod archived;
pub mod bounds;
pub mod choice;
pub mod dose_limits;
pub mod mapping;
pub mod model_choice;
pub mod rank_choice;
pub mod screen_file;
pub mod synergy_choice;

use crate::fit::inference::IntervalKind;
use crate::fit::robust::Loss;
use crate::fit::variance::Weights;
use crate::model::ModelId;
use crate::rank::composite::{CompositeWeights, Gates, RankBy};
use crate::resistance::knowledge::Knowledge;
use crate::synergy::draws::ResamplingKind;
use crate::synergy::{Margins, SynergyModel};
use crate::{Error, Result};
pub use bounds::ParameterBounds;
pub use mapping::Mapping;
pub use model_choice::ModelChoice;
pub use screen_file::ScreenFile;
use std::collections::BTreeMap;
use std::path::PathBuf;
pub use synergy_choice::SynergyChoice;

/// Which back end to compute on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum BackendChoice {
    /// A hardware GPU where there is one, else the CPU; says which and why.
    #[default]
    Auto,
    /// The CPU, f64.
    Cpu,
    /// The GPU, f32 certified in f64; an error without an adapter.
    Gpu,
}

impl BackendChoice {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            BackendChoice::Auto => "auto",
            BackendChoice::Cpu => "cpu",
            BackendChoice::Gpu => "gpu",
        }
    }
}

/// How signals become viability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Normalization {
    /// (signal - background) / mean vehicle (above background).
    #[default]
    PercentOfVehicle,
    /// (signal - mean positive) / (mean vehicle - mean positive): 1 untreated, 0 killed.
    NormalizedPercentInhibition,
    /// (signal - mean) / standard deviation, both of the plate's sample wells.
    ZScore,
    /// (signal - median) / 1.4826 MAD, both of the plate's sample wells.
    RobustZScore,
    /// Residual of a two-way median polish of the plate's sample wells over 1.4826 MAD of those residuals.
    BScore,
    /// Growth-rate inhibition value: 1 untreated, 0 no growth, below 0 death.
    GrowthRateInhibition,
    /// log2 of signal over signal at the time of treatment, a day: doublings a day.
    Log2FoldPerDay,
}

impl Normalization {
    /// Every one, in the order in which help texts list them.
    pub const ALL: [Normalization; 7] = [
        Normalization::PercentOfVehicle,
        Normalization::NormalizedPercentInhibition,
        Normalization::ZScore,
        Normalization::RobustZScore,
        Normalization::BScore,
        Normalization::GrowthRateInhibition,
        Normalization::Log2FoldPerDay,
    ];

    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Normalization::PercentOfVehicle => "percent-of-vehicle",
            Normalization::NormalizedPercentInhibition => "normalized-percent-inhibition",
            Normalization::ZScore => "z-score",
            Normalization::RobustZScore => "robust-z-score",
            Normalization::BScore => "b-score",
            Normalization::GrowthRateInhibition => "growth-rate-inhibition",
            Normalization::Log2FoldPerDay => "log2-fold-per-day",
        }
    }

    /// Whether it gives viability fractions, which curves, synergy and ranking are about.
    pub fn is_viability(self) -> bool {
        matches!(self, Normalization::PercentOfVehicle | Normalization::NormalizedPercentInhibition)
    }

    /// Whether it compares wells with the plate's sample wells, and not with its controls.
    pub fn is_score(self) -> bool {
        matches!(self, Normalization::ZScore | Normalization::RobustZScore | Normalization::BScore)
    }
}

/// How position on the plate is corrected for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SpatialCorrection {
    /// Not at all.
    #[default]
    None,
    /// By a local regression over vehicle and inactive wells: on simulated ring effects it took away 91 % of the added
    /// variance.
    LocalRegression,
    /// By the medians of rows and columns over those wells and of what they leave around: 80 % there, as rows and columns
    /// do not meet in corners as rings do; for effects of whole rows and columns, and where wells are wild.
    Median,
}

impl SpatialCorrection {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            SpatialCorrection::None => "none",
            SpatialCorrection::LocalRegression => "local-regression",
            SpatialCorrection::Median => "median",
        }
    }
}

/// The low control of Z' and its kin.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum LowControl {
    /// Killed cells, and blanks on plates that have none.
    #[default]
    Positive,
    /// Wells without cells.
    Blank,
}

impl LowControl {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            LowControl::Positive => "positive",
            LowControl::Blank => "blank",
        }
    }
}

/// What result tables are written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum TableFormat {
    /// Parquet.
    #[default]
    Parquet,
    /// Parquet, and CSV beside it.
    Csv,
}

impl TableFormat {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            TableFormat::Parquet => "parquet",
            TableFormat::Csv => "csv",
        }
    }
}

/// Everything that decides a result; every field concrete. What a stage needs, it takes from here.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Settings {
    /// Input files, in the order given.
    pub inputs: Vec<PathBuf>,
    /// What the columns of the inputs mean.
    pub mapping: Mapping,
    /// `LINES.csv`: parents, status and mechanisms of the lines.
    pub lines_file: Option<PathBuf>,
    /// Tables of evidence on the lines' mechanisms of resistance.
    pub evidence_files: Vec<PathBuf>,
    /// Tables of Annexin V / PI quadrants.
    pub apoptosis_files: Vec<PathBuf>,
    /// The folder with tables in the place of the embedded ones of what is known.
    pub knowledge_folder: Option<PathBuf>,
    /// Where results go.
    pub out: PathBuf,
    /// The back end.
    pub backend: BackendChoice,
    /// The curve model.
    pub model: ModelId,
    /// Boxes that differ from the model's own.
    pub bounds: Vec<ParameterBounds>,
    /// Confidence intervals of curve parameters.
    pub ci: IntervalKind,
    /// What a residual costs, in `fit`.
    pub loss: Loss,
    /// How much wells weigh, in `fit`.
    pub weights: Weights,
    /// The models to choose from for each curve, in `fit`; empty where there is no choice.
    pub model_set: Vec<ModelId>,
    /// Starting points a curve, tried to the end; at least 1.
    pub starts: usize,
    /// Whether a curve gets its plates' vehicle wells as its point at dose zero.
    pub vehicle_point: bool,
    /// Reference models, in the order in which tables list them.
    pub synergy: Vec<SynergyModel>,
    /// Whether Chou and Talalay's index is tabulated.
    pub combination_index: bool,
    /// Molar doses by drug beyond which combinations do not count in `box` scores; empty for no such scores.
    pub dose_limits: BTreeMap<String, f64>,
    /// What ranks.
    pub rank_by: RankBy,
    /// The model whose score is pooled over lines, tested, and the synergy of the composite.
    pub score_model: SynergyModel,
    /// What the parts of the composite count.
    pub rank_weights: CompositeWeights,
    /// What a pair must keep to stand before those that do not.
    pub rank_gates: Gates,
    /// Fitted or observed margins for HSA and Bliss.
    pub margins: Margins,
    /// Plate normalisation.
    pub normalization: Normalization,
    /// What is done about position on the plate.
    pub spatial: SpatialCorrection,
    /// Whether scores are corrected for what a well's place reads on all plates.
    pub across_plates: bool,
    /// B-scores even where doses follow rows or columns.
    pub force_b_score: bool,
    /// The low control of Z' and its kin: `false` takes positives, and blanks where there are none.
    pub low_control_blank: bool,
    /// The drug that the lines are resistant to.
    pub anchor: String,
    /// Resampled matrices behind each interval; 0 for none.
    pub bootstrap: usize,
    /// Where the noise of resampled matrices comes from.
    pub resampling: ResamplingKind,
    /// Seed of every random number.
    pub seed: u64,
    /// Worker threads; 0 for one a core.
    pub threads: usize,
    /// `k` of "probability to be among the best k".
    pub top_k: usize,
    /// Fold resistance from which a line is called resistant where nobody says.
    pub resistant_fold: f64,
    /// Write CSV beside Parquet.
    pub csv: bool,
}

/// The anchor drug where nobody says otherwise.
const ANCHOR: &str = "clofarabine";

impl Settings {
    /// Concrete settings from what was said; what nobody said gets its default here and nowhere else.
    ///
    /// # Errors
    /// [`Error::Setting`], naming the key, for a value that has no meaning.
    pub fn resolve(said: ScreenFile, inputs: Vec<PathBuf>, out: PathBuf) -> Result<Self> {
        let mapping = Mapping::resolve(&said)?;
        // Every field by name: a key that is read and then forgotten does not compile.
        let ScreenFile {
            plates: _,
            lines_file,
            columns: _,
            constants: _,
            units: _,
            response: _,
            roles: _,
            none: _,
            only: _,
            lines: _,
            evidence,
            apoptosis,
            knowledge,
            anchor,
            low_control,
            backend,
            model,
            bounds,
            ci,
            loss,
            weights,
            starts,
            vehicle_point,
            synergy,
            dose_limits,
            rank_by,
            score_by,
            rank_weights,
            rank_gates,
            margins,
            normalization,
            spatial,
            across_plates,
            force_b_score,
            bootstrap,
            resampling,
            seed,
            threads,
            top_k,
            resistant_fold,
            format,
        } = said;
        let model_set = model.as_ref().map_or(&[][..], ModelChoice::set).to_vec();
        let model = model.map_or(Ok(ModelId::Hill4), |choice| choice.model())?;
        let (synergy, combination_index) = synergy_choice::resolve(synergy)?;
        let (rank_by, score_model) = rank_choice::resolve(rank_by.as_deref(), score_by.as_deref(), &synergy)?;
        let anchor = anchor.unwrap_or_else(|| ANCHOR.into()).trim().to_owned();
        if anchor.is_empty() {
            return Err(Error::setting("anchor", "is empty"));
        }
        let resistant_fold = resistant_fold.unwrap_or(3.0);
        if !(resistant_fold > 1.0 && resistant_fold.is_finite()) {
            return Err(Error::setting("resistant_fold", format!("{resistant_fold} is not above 1")));
        }
        corrections_have_sense(
            normalization.unwrap_or_default(),
            spatial.unwrap_or_default(),
            across_plates.unwrap_or(false),
        )?;
        Ok(Self {
            inputs,
            mapping,
            lines_file,
            evidence_files: evidence.files.0.into_iter().map(PathBuf::from).collect(),
            apoptosis_files: apoptosis.files.0.into_iter().map(PathBuf::from).collect(),
            knowledge_folder: knowledge.folder,
            out,
            backend: backend.unwrap_or_default(),
            model,
            bounds: bounds::resolve(model, &bounds)?,
            ci: ci.unwrap_or_default(),
            loss: loss.unwrap_or_default(),
            weights: weights.unwrap_or_default(),
            model_set,
            starts: at_most("starts", at_least_one("starts", starts.unwrap_or(1))?, 100)?,
            vehicle_point: vehicle_point.unwrap_or(true),
            synergy,
            combination_index,
            dose_limits: dose_limits::resolve(&dose_limits)?,
            rank_by,
            score_model,
            rank_weights: rank_choice::weights(&rank_weights)?,
            rank_gates: rank_choice::gates(&rank_gates)?,
            margins: margins.unwrap_or(Margins::Fitted),
            normalization: normalization.unwrap_or_default(),
            spatial: spatial.unwrap_or_default(),
            across_plates: across_plates.unwrap_or(false),
            force_b_score: force_b_score.unwrap_or(false),
            low_control_blank: low_control == Some(LowControl::Blank),
            anchor,
            bootstrap: enough_draws(bootstrap.unwrap_or(200))?,
            resampling: resampling.unwrap_or_default(),
            seed: seed.unwrap_or(1),
            threads: at_most("threads", threads.unwrap_or(0), 1024)?,
            top_k: at_least_one("top_k", top_k.unwrap_or(10))?,
            resistant_fold,
            csv: format == Some(TableFormat::Csv),
        })
    }
}

impl Settings {
    /// Every file that a run reads.
    pub fn files_read(&self) -> Vec<PathBuf> {
        let knowledge = self.knowledge_folder.iter().flat_map(|folder| Knowledge::files(folder));
        let tables = self.evidence_files.iter().chain(&self.apoptosis_files).cloned();
        self.inputs.iter().chain(&self.lines_file).cloned().chain(tables).chain(knowledge).collect()
    }

    /// The molar dose of a drug beyond which combinations do not count in `box` scores.
    pub fn dose_limit(&self, drug: &str) -> Option<f64> {
        self.dose_limits.iter().find(|(name, _)| name.eq_ignore_ascii_case(drug)).map(|(_, dose)| *dose)
    }
}

/// Refuses corrections of numbers that they are not made for.
fn corrections_have_sense(normalization: Normalization, spatial: SpatialCorrection, across: bool) -> Result<()> {
    let refuse = |key: &str, problem: String, hint: &str| {
        let (key, hint) = (key.into(), Some(hint.into()));
        Err(Error::Setting { key, problem, hint })
    };
    if spatial != SpatialCorrection::None && !normalization.is_viability() {
        let problem = format!("a surface is a share of viability, and `{}` gives none", normalization.name());
        return refuse("spatial", problem, "leave it out, or take percent-of-vehicle");
    }
    if across && !normalization.is_score() {
        let problem = format!(
            "`{}` keeps the effects of drugs, which a place that gets the same drug on every plate would lose",
            normalization.name()
        );
        return refuse("across_plates", problem, "it is for z-score, robust-z-score and b-score of randomised screens");
    }
    Ok(())
}

fn at_most(key: &str, value: usize, most: usize) -> Result<usize> {
    if value > most { Err(Error::setting(key, format!("{value} is more than {most}"))) } else { Ok(value) }
}

/// A standard error from fewer draws would be off by a quarter and more, and the p values with it.
const FEWEST_DRAWS: usize = 10;

fn enough_draws(draws: usize) -> Result<usize> {
    if (1..FEWEST_DRAWS).contains(&draws) {
        return Err(Error::Setting {
            key: "bootstrap".into(),
            problem: format!("{draws} draws are too few for a standard error"),
            hint: Some(format!("take at least {FEWEST_DRAWS}, or 0 for no intervals")),
        });
    }
    at_most("bootstrap", draws, 1_000_000)
}

fn at_least_one(key: &str, value: usize) -> Result<usize> {
    if value == 0 { Err(Error::setting(key, "0 is not at least 1")) } else { Ok(value) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolve(text: &str) -> Result<Settings> {
        let file: ScreenFile = toml::from_str(text).map_err(|e| Error::setting("toml", e.message()))?;
        Settings::resolve(file, vec![], "out".into())
    }

    #[test]
    fn nothing_said_gives_the_documented_defaults() {
        let settings = resolve("").unwrap();
        assert_eq!(settings.model, ModelId::Hill4);
        assert_eq!(settings.synergy, SynergyModel::REFERENCES);
        assert_eq!((settings.rank_by, settings.score_model), (RankBy::Composite, SynergyModel::Bliss));
        assert_eq!(settings.anchor, "clofarabine");
        assert!(!settings.csv && settings.vehicle_point && !settings.low_control_blank);
        assert_eq!((settings.bootstrap, settings.seed, settings.threads, settings.top_k), (200, 1, 0, 10));
    }

    #[test]
    fn settings_are_written_by_name() {
        let settings = resolve("model = 'hill3'\nsynergy = ['zip']\nnone = ['water']\n[units]\nconc = 'nM'").unwrap();
        let json = serde_json::to_value(&settings).unwrap();
        assert_eq!(json["model"], "hill3");
        assert_eq!((&json["rank_by"], &json["score_model"]), (&"composite".into(), &"zip".into()));
        assert_eq!(json["backend"], "auto");
        assert_eq!(json["mapping"]["units"][0], "nM");
        assert_eq!(json["mapping"]["none"][0], "water");
    }

    #[test]
    fn values_without_meaning_are_refused_by_key() {
        let message = |text: &str| resolve(text).map(|_| ()).unwrap_err().to_string();
        assert_eq!(message("synergy = []"), "setting `synergy`: names no model");
        assert_eq!(message("synergy = ['hsa', 'HSA']"), "setting `synergy`: `hsa` is named twice");
        assert_eq!(
            message("synergy = ['hsa']\nrank_by = 'zip'"),
            "setting `rank_by`: `zip` is not among the synergy models of this run"
        );
        assert_eq!(message("starts = 0"), "setting `starts`: 0 is not at least 1");
        assert_eq!(message("top_k = 0"), "setting `top_k`: 0 is not at least 1");
        assert_eq!(message("resistant_fold = 1.0"), "setting `resistant_fold`: 1 is not above 1");
        assert_eq!(message("resistant_fold = nan"), "setting `resistant_fold`: NaN is not above 1");
        assert_eq!(message("anchor = ' '"), "setting `anchor`: is empty");
    }
}
