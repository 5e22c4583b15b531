//! Flags shared by commands; each is a key of `screen.toml` and becomes one.

use crate::config::choice::{Choice, unknown};
use crate::config::screen_file::{
    ApoptosisSection, EvidenceSection, KnowledgeSection, ResponseSection, RolesSection, Texts, UnitsSection,
};
use crate::config::{
    BackendChoice, LowControl, ModelChoice, Normalization, ScreenFile, SpatialCorrection, SynergyChoice, TableFormat,
    bounds, dose_limits as limits, rank_choice,
};
use crate::fit::inference::IntervalKind;
use crate::fit::robust::Loss;
use crate::fit::variance::Weights;
use crate::screen::well::Role;
use crate::screen::{Orientation, Scale};
use crate::synergy::Margins;
use crate::synergy::draws::ResamplingKind;
use crate::{Error, Result};
use clap::Args;
use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A parser of choices by name: help lists them, errors name the nearest.
pub fn choice<C: Choice>() -> impl TypedValueParser<Value = C> {
    let value = |choice: &C| PossibleValue::new(choice.name()).aliases(choice.other_names().iter().copied());
    PossibleValuesParser::new(C::ALL.iter().map(value))
        .try_map(|text| C::from_name(&text).ok_or_else(|| unknown::<C>(&text)))
}

/// How to analyse.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Analysis")]
pub struct AnalysisFlags {
    /// Where to compute [default: auto]
    #[arg(long, value_parser = choice::<BackendChoice>(), value_name = "BACKEND")]
    pub backend: Option<BackendChoice>,
    /// Curve model: a name (isobole models lists them) or a model file [default: hill4]
    #[arg(long, value_parser = ModelChoice::parse, value_name = "MODEL|FILE")]
    pub model: Option<ModelChoice>,
    /// Boxes of its parameters, as "hill=0.1..8,top=0.8..1.2"; log10_ec50 in decades beyond the doses tested
    #[arg(long, value_name = "BOXES")]
    pub bounds: Option<String>,
    /// 95 % confidence intervals of curve parameters [default: wald]
    #[arg(long, value_parser = choice::<IntervalKind>(), value_name = "KIND")]
    pub ci: Option<IntervalKind>,
    /// What a residual costs, in `fit`: the robust losses leave outliers aside [default: ls]
    #[arg(long, value_parser = choice::<Loss>(), value_name = "LOSS")]
    pub loss: Option<Loss>,
    /// How much wells weigh, in `fit`: by the variance that replicates have at their response [default: equal]
    #[arg(long, value_parser = choice::<Weights>(), value_name = "WEIGHTS")]
    pub weights: Option<Weights>,
    /// Starting points a curve; a GPU tries at most 2 [default: 1]
    #[arg(long, value_name = "N")]
    pub starts: Option<usize>,
    /// Whether the vehicle wells are each curve's point at dose zero [default: true]
    #[arg(long, value_name = "BOOL")]
    pub vehicle_point: Option<bool>,
    /// Models of non-interaction and surfaces by name (isobole models lists them), surfaces from model files, ci for the
    /// combination index, or all [default: hsa,bliss,loewe,zip]
    #[arg(long, value_delimiter = ',', value_parser = SynergyChoice::parse, value_name = "MODEL|FILE,…")]
    pub synergy: Option<Vec<SynergyChoice>>,
    /// Highest doses that count in `box` scores, such as those that patients have, as "clofarabine=1 uM,…"
    #[arg(long, value_name = "DRUG=DOSE,…")]
    pub dose_limits: Option<String>,
    /// What ranks pairs, by the lower end of its interval: composite, differential, rescue_fraction, efficacy, or a
    /// synergy model of the run [default: composite]
    #[arg(long, value_name = "SCORE")]
    pub rank_by: Option<String>,
    /// The synergy model whose score is pooled over lines, tested, and the synergy of the composite [default: bliss]
    #[arg(long, value_name = "MODEL")]
    pub score_by: Option<String>,
    /// What the parts of the composite count [default: synergy=1,selectivity=0.5,rescue=0.05,efficacy=0.05,qc_burden=0.05]
    #[arg(long, value_name = "PART=WEIGHT,…")]
    pub rank_weights: Option<String>,
    /// What a pair must keep to stand before those that do not: min_score, min_efficacy, min_rescue_fraction,
    /// min_differential, max_q, max_qc_burden; "none", or GATE=none, takes back what the archive or screen.toml
    /// asks for [default: none]
    #[arg(long, value_name = "GATE=BOUND,…")]
    pub rank_gates: Option<String>,
    /// Single-agent responses behind HSA and Bliss [default: fitted]
    #[arg(long, value_parser = choice::<Margins>(), value_name = "MARGINS")]
    pub margins: Option<Margins>,
    /// How signals become viability [default: percent-of-vehicle]
    #[arg(long, value_parser = choice::<Normalization>(), value_name = "HOW")]
    pub normalize: Option<Normalization>,
    /// What is done about position on the plate, from vehicle and inactive wells [default: none]
    #[arg(long, value_parser = choice::<SpatialCorrection>(), value_name = "HOW")]
    pub spatial: Option<SpatialCorrection>,
    /// Correct scores for what each place reads on all plates (randomised screens) [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub across_plates: Option<bool>,
    /// B-scores even where doses follow rows or columns, which takes the drugs' effect away [default: false]
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_missing_value = "true")]
    pub force_b_score: Option<bool>,
    /// Low control of Z' and its kin [default: positive, and blank where there is none]
    #[arg(long, value_parser = choice::<LowControl>(), value_name = "ROLE")]
    pub low_control: Option<LowControl>,
    /// The drug that the lines are resistant to [default: clofarabine]
    #[arg(long, value_name = "DRUG")]
    pub anchor: Option<String>,
    /// Fold resistance from which a line is called resistant where nobody says [default: 3]
    #[arg(long, value_name = "FOLD")]
    pub resistant_fold: Option<f64>,
    /// Resampled matrices behind each interval, 0 for none [default: 200]
    #[arg(long, value_name = "N")]
    pub bootstrap: Option<usize>,
    /// Where the noise of resampled matrices comes from [default: parametric]
    #[arg(long = "resample", value_parser = choice::<ResamplingKind>(), value_name = "HOW")]
    pub resampling: Option<ResamplingKind>,
    /// k of "probability to be among the best k" [default: 10]
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Seed of every random number [default: 1]
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Worker threads, 0 for one a core; results do not depend on it [default: 0]
    #[arg(long, value_name = "N")]
    pub threads: Option<usize>,
    /// Write tables as Parquet alone, or as CSV as well [default: parquet]
    #[arg(long, value_parser = choice::<TableFormat>(), value_name = "FORMAT")]
    pub format: Option<TableFormat>,
}

impl AnalysisFlags {
    /// What the flags say, in the terms of `screen.toml`.
    ///
    /// # Errors
    /// [`Error::Setting`] for boxes that cannot be read.
    pub fn said(self) -> Result<ScreenFile> {
        let Self {
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
            normalize,
            spatial,
            across_plates,
            force_b_score,
            low_control,
            anchor,
            resistant_fold,
            bootstrap,
            resampling,
            top_k,
            seed,
            threads,
            format,
        } = self;
        Ok(ScreenFile {
            backend,
            model,
            bounds: bounds.as_deref().map(bounds::parse).transpose()?.unwrap_or_default(),
            ci,
            loss,
            weights,
            starts,
            vehicle_point,
            synergy,
            dose_limits: dose_limits.as_deref().map(limits::parse).transpose()?.unwrap_or_default(),
            rank_by,
            score_by,
            rank_weights: rank_weights
                .as_deref()
                .map(|text| rank_choice::parse("rank_weights", text))
                .transpose()?
                .unwrap_or_default(),
            rank_gates: rank_gates.as_deref().map(rank_choice::parse_gates).transpose()?.unwrap_or_default(),
            margins,
            normalization: normalize,
            spatial,
            across_plates,
            force_b_score,
            low_control,
            anchor,
            resistant_fold,
            bootstrap,
            resampling,
            top_k,
            seed,
            threads,
            format,
            ..ScreenFile::default()
        })
    }
}

/// What the columns of plate files mean.
#[derive(Debug, Clone, Default, Args)]
#[command(next_help_heading = "Columns")]
pub struct MappingFlags {
    /// LINES.csv: cell_line, parental, status, mechanism
    #[arg(long, value_name = "LINES.csv")]
    pub lines: Option<PathBuf>,
    /// Table of evidence on mechanisms of resistance: cell_line, marker, intensities, threshold cycles or folds
    #[arg(long, value_name = "FILE")]
    pub evidence: Vec<PathBuf>,
    /// Table of Annexin V / PI quadrants: cell_line, drugs and concentrations, viable, early, late, necrotic
    #[arg(long, value_name = "FILE")]
    pub apoptosis: Vec<PathBuf>,
    /// Folder with strategies.csv, potencies.csv, clinic.csv or validation.csv in the place of the built-in ones
    #[arg(long, value_name = "DIR")]
    pub knowledge: Option<PathBuf>,
    /// Our column = theirs; several of theirs, separated by commas, are joined
    #[arg(long, value_name = "OURS=THEIRS")]
    pub column: Vec<String>,
    /// Our column = one value for every well
    #[arg(long, value_name = "OURS=VALUE")]
    pub constant: Vec<String>,
    /// Unit of every dose, where no column names it
    #[arg(long, value_name = "UNIT")]
    pub conc_unit: Option<String>,
    /// Molar mass in g/mol of a drug whose doses are mass per volume
    #[arg(long, value_name = "DRUG=MASS")]
    pub molar_mass: Vec<String>,
    /// What the readings are, where their column's name does not say it
    #[arg(long, value_parser = choice::<Orientation>(), value_name = "WHAT")]
    pub orientation: Option<Orientation>,
    /// Whether 1 or 100 is the whole, where the column's name does not say it
    #[arg(long, value_parser = choice::<Scale>(), value_name = "SCALE")]
    pub scale: Option<Scale>,
    /// A role = a value or glob of the role column that stands for it
    #[arg(long, value_name = "ROLE=VALUE")]
    pub role: Vec<String>,
    /// A drug name that means "no drug"
    #[arg(long, value_name = "NAME")]
    pub none: Vec<String>,
    /// Use only rows in which their column has this value
    #[arg(long, value_name = "THEIRS=VALUE")]
    pub only: Vec<String>,
}

impl MappingFlags {
    /// Adds what the flags say to `said`, in the terms of `screen.toml`.
    ///
    /// # Errors
    /// [`Error::Setting`] for a pair without `=`, an unknown role, a molar mass that is no number.
    pub fn said(self, said: ScreenFile) -> Result<ScreenFile> {
        let Self {
            lines,
            evidence,
            apoptosis,
            knowledge,
            column,
            constant,
            conc_unit,
            molar_mass,
            orientation,
            scale,
            role,
            none,
            only,
        } = self;
        let mut columns = BTreeMap::new();
        for (ours, theirs) in pairs("column", column)? {
            columns.insert(ours, Texts(theirs.split(',').map(|name| name.trim().to_owned()).collect()));
        }
        let mut masses = BTreeMap::new();
        for (drug, mass) in pairs("molar-mass", molar_mass)? {
            let mass = mass
                .parse()
                .map_err(|_| Error::setting("molar-mass", format!("`{mass}` of `{drug}` is not a number")))?;
            masses.insert(drug, mass);
        }
        let mut roles = RolesSection::default();
        for (name, value) in pairs("role", role)? {
            let known = Role::from_name(&name).ok_or_else(|| Error::setting("role", unknown::<Role>(&name)))?;
            let values = match known {
                Role::Sample => &mut roles.sample,
                Role::Vehicle => &mut roles.vehicle,
                Role::Positive => &mut roles.positive,
                Role::Blank => &mut roles.blank,
                Role::Empty => &mut roles.empty,
            };
            values.0.push(value);
        }
        let mut wanted: BTreeMap<String, Texts> = BTreeMap::new();
        for (theirs, value) in pairs("only", only)? {
            wanted.entry(theirs).or_default().0.push(value);
        }
        Ok(ScreenFile {
            lines_file: lines,
            evidence: EvidenceSection { files: paths(evidence) },
            apoptosis: ApoptosisSection { files: paths(apoptosis) },
            knowledge: KnowledgeSection { folder: knowledge },
            columns,
            constants: pairs("constant", constant)?.into_iter().collect(),
            units: UnitsSection { conc: conc_unit, molar_mass: masses, ..UnitsSection::default() },
            response: ResponseSection { orientation, scale },
            roles,
            none: (!none.is_empty()).then_some(Texts(none)),
            only: wanted,
            ..said
        })
    }
}

fn paths(paths: Vec<PathBuf>) -> Texts {
    Texts(paths.into_iter().map(|path| path.to_string_lossy().into_owned()).collect())
}

fn pairs(flag: &str, texts: Vec<String>) -> Result<Vec<(String, String)>> {
    texts
        .into_iter()
        .map(|text| match text.split_once('=') {
            Some((left, right)) if !left.trim().is_empty() => Ok((left.trim().to_owned(), right.trim().to_owned())),
            _ => Err(Error::setting(flag, format!("`{text}` has no `NAME=` before its value"))),
        })
        .collect()
}
