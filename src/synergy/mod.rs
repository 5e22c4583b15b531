//! Synergy: what two drugs would do together under a reference model, and how far the data depart from it.
//! Excess is reference minus observed viability: positive is synergy.

pub mod bootstrap;
pub mod combination_index;
pub mod combination_index_table;
pub mod departure;
pub mod design;
pub mod drawn;
pub mod draws;
pub mod flagged;
pub mod interaction;
pub mod interaction_table;
pub mod margins;
pub mod nested_braid;
pub mod noise;
pub mod normalisation_error;
pub mod null;
pub mod profile;
pub mod recovery;
mod reference;
pub mod score;
pub mod sensitivity;
mod smooth;
pub mod summary;
pub mod table;
pub mod three;
pub mod zip;

use crate::model::ModelId;
use crate::model::surface::HillCurve;
use crate::screen::dose_matrix::MatrixKey;
use interaction::{Interaction, Surface};
use sensitivity::Sensitivity;
use zip::Slices;

/// A model of non-interaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynergyModel {
    /// Highest single agent.
    Hsa,
    /// Independence: viabilities multiply (Bliss 1939, doi 10.1111/j.1744-7348.1939.tb06990.x).
    Bliss,
    /// Dose additivity; beyond the weaker drug's bottom the stronger one stands alone, so that it is always defined.
    Loewe,
    /// Zero interaction potency (Yadav 2015, doi 10.1016/j.csbj.2015.09.001).
    Zip,
    /// A MuSyC surface fitted to the whole matrix, against itself without interaction.
    Musyc,
    /// The same with cooperativities that change too.
    MusycGamma,
    /// A BRAID surface, in the same way, with the prior of its authors that keeps an uncertain kappa near 0.
    Braid,
    /// The same without prior: what the data alone say.
    BraidFree,
    /// A surface of effective doses, in the same way.
    EffectiveDose,
    /// Loewe in which each drug keeps its bottom, as in BIGL.
    LoeweGeneralised,
    /// Loewe that is not defined beyond the weaker drug's bottom.
    LoeweNan,
    /// Loewe that stays at the weaker drug's bottom beyond it.
    LoeweWeakest,
    /// The Hill surface of a mixture's logistic differential equation.
    Schindler,
    /// Bliss for responses that are growth-rate inhibition values.
    BlissGrowth,
    /// ZIP as in its paper: slices run from the fitted single drug to no viability at all.
    ZipPaper2015,
    /// ZIP as in synergyfinder 3: slices begin at the observed single drug.
    ZipSfplus,
    /// HSA against responses smoothed along both drugs and along constant ratios, as in gDR.
    GdrHsa,
    /// Bliss in the same way; where one drug alone leaves less than nothing, HSA.
    GdrBliss,
    /// A surface from a model file, against itself without interaction.
    Formula(ModelId),
}

/// What a model's excess is measured on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measured {
    /// The observed responses.
    Wells,
    /// Curves fitted along each drug at each dose of the other.
    Slices(Slices),
    /// Responses smoothed along both drugs and along constant ratios.
    Smooth,
    /// A surface fitted to the whole matrix.
    Surface(Surface),
}

impl SynergyModel {
    /// Every model of ours: the one list that flags, tables, tests and benches walk.
    pub const ALL: [SynergyModel; 18] = [
        SynergyModel::Hsa,
        SynergyModel::Bliss,
        SynergyModel::Loewe,
        SynergyModel::Zip,
        SynergyModel::Musyc,
        SynergyModel::MusycGamma,
        SynergyModel::Braid,
        SynergyModel::BraidFree,
        SynergyModel::EffectiveDose,
        SynergyModel::LoeweGeneralised,
        SynergyModel::LoeweNan,
        SynergyModel::LoeweWeakest,
        SynergyModel::Schindler,
        SynergyModel::BlissGrowth,
        SynergyModel::ZipPaper2015,
        SynergyModel::ZipSfplus,
        SynergyModel::GdrHsa,
        SynergyModel::GdrBliss,
    ];
    /// Those that are computed unless others are asked for.
    pub const REFERENCES: [SynergyModel; 4] =
        [SynergyModel::Hsa, SynergyModel::Bliss, SynergyModel::Loewe, SynergyModel::Zip];

    /// The name used in flags and columns.
    pub fn name(self) -> &'static str {
        match self {
            SynergyModel::Hsa => "hsa",
            SynergyModel::Bliss => "bliss",
            SynergyModel::Loewe => "loewe",
            SynergyModel::Zip => "zip",
            SynergyModel::Musyc => "musyc",
            SynergyModel::MusycGamma => "musyc_gamma",
            SynergyModel::Braid => "braid",
            SynergyModel::BraidFree => "braid_free",
            SynergyModel::EffectiveDose => "effective_dose",
            SynergyModel::LoeweGeneralised => "loewe_generalised",
            SynergyModel::LoeweNan => "loewe_nan",
            SynergyModel::LoeweWeakest => "loewe_weakest",
            SynergyModel::Schindler => "schindler",
            SynergyModel::BlissGrowth => "bliss_growth",
            SynergyModel::ZipPaper2015 => "zip_paper2015",
            SynergyModel::ZipSfplus => "zip_sfplus",
            SynergyModel::GdrHsa => "gdr_hsa",
            SynergyModel::GdrBliss => "gdr_bliss",
            SynergyModel::Formula(model) => model.name(),
        }
    }

    /// Other names that people know a model by.
    pub fn other_names(self) -> &'static [&'static str] {
        match self {
            SynergyModel::Loewe => &["loewe_hsa", "loewe_harbron", "loewe-hsa", "loewe-harbron"],
            SynergyModel::LoeweGeneralised => &["loewe-generalised", "loewe_bigl", "loewe-bigl"],
            SynergyModel::LoeweNan => &["loewe-nan"],
            SynergyModel::LoeweWeakest => &["loewe-weakest"],
            SynergyModel::ZipPaper2015 => &["zip-paper2015"],
            SynergyModel::ZipSfplus => &["zip-sfplus"],
            SynergyModel::MusycGamma => &["musyc-gamma"],
            SynergyModel::EffectiveDose => &["effective-dose", "zimmer"],
            SynergyModel::BraidFree => &["braid-free"],
            SynergyModel::BlissGrowth => &["bliss-growth"],
            SynergyModel::GdrHsa => &["gdr-hsa"],
            SynergyModel::GdrBliss => &["gdr-bliss"],
            _ => &[],
        }
    }

    /// What its excess is measured on.
    pub fn measured(self) -> Measured {
        match self {
            SynergyModel::Zip => Measured::Slices(Slices::FromFitted),
            SynergyModel::ZipSfplus => Measured::Slices(Slices::FromObserved),
            SynergyModel::ZipPaper2015 => Measured::Slices(Slices::ToNothing),
            SynergyModel::GdrHsa | SynergyModel::GdrBliss => Measured::Smooth,
            SynergyModel::Musyc => Measured::Surface(Surface::Musyc),
            SynergyModel::MusycGamma => Measured::Surface(Surface::MusycGamma),
            SynergyModel::Braid => Measured::Surface(Surface::Braid),
            SynergyModel::BraidFree => Measured::Surface(Surface::BraidFree),
            SynergyModel::EffectiveDose => Measured::Surface(Surface::EffectiveDose),
            SynergyModel::Formula(model) => Measured::Surface(Surface::Formula(model)),
            _ => Measured::Wells,
        }
    }

    /// The surface that is fitted, where the model is one.
    pub fn surface(self) -> Option<Surface> {
        match self.measured() {
            Measured::Surface(surface) => Some(surface),
            _ => None,
        }
    }
}

/// Where the single-agent responses of a reference come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Margins {
    /// The fitted single-agent curves.
    Fitted,
    /// The observed single-agent means (HSA and Bliss; Loewe and ZIP always need curves).
    Observed,
}

/// One dose pair of one matrix. Vectors run over the models asked for, in the order asked.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct SurfaceCell {
    /// Molar dose of the first drug.
    pub dose_a: f64,
    /// Molar dose of the second drug.
    pub dose_b: f64,
    /// Mean observed viability.
    pub observed: f64,
    /// Wells behind it.
    pub n: u32,
    /// Expected viability by each model; `None` where it is not defined.
    pub expected: Vec<Option<f64>>,
    /// Excess by each model (positive: synergy); `None` on margins and where not defined. For ZIP the excess is
    /// reference minus the *fitted* surface, as its authors define it, and so it is for MuSyC and BRAID.
    pub excess: Vec<Option<f64>>,
    /// The most demanding reference minus the observed viability: above zero, the pair does more than every reference
    /// expects.
    pub consensus: Option<f64>,
    /// How far the cell departs from each model; `None` before resampling and where there is no excess.
    pub departures: Vec<Option<departure::CellDeparture>>,
}

/// One model's score of one matrix.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Score {
    /// Mean excess over the combination cells (both doses above zero), a viability fraction.
    pub score: Option<f64>,
    /// What it would be without the wells that the plate stage flagged.
    pub unflagged: Option<f64>,
    /// Largest mean excess over 3 × 3 neighbouring dose pairs.
    pub peak: Option<f64>,
    /// Mean inhibition over that window: synergy between doses that do nothing is no use.
    pub peak_efficacy: Option<f64>,
    /// Mean of the best tenth of the combinations' excesses: a description, which noise alone makes positive.
    pub top_decile: Option<f64>,
    /// Mean height of the excess over the logarithms of both doses.
    pub volume: Option<f64>,
    /// Mean excess over the combinations within the dose limits that were given.
    pub boxed: Option<f64>,
    /// Molar doses at the centre of the best window.
    pub peak_dose_a: Option<f64>,
    /// Molar doses at the centre of the best window.
    pub peak_dose_b: Option<f64>,
    /// Standard error of `score`, from resampled matrices with margins fitted anew.
    pub standard_error: Option<f64>,
    /// Degrees of freedom of that.
    pub degrees_of_freedom: Option<f64>,
    /// Two-sided p of no departure of the mean, by Student's t.
    pub p: Option<f64>,
    /// Benjamini–Hochberg q over all matrices of the run.
    pub q: Option<f64>,
    /// 95 % interval, lower end.
    pub ci_low: Option<f64>,
    /// 95 % interval, upper end.
    pub ci_high: Option<f64>,
    /// Mean-R: mean of squared standardised excess of the cells, F without departure from the model in any of them.
    pub mean_r_f: Option<f64>,
    /// Its p.
    pub mean_r_p: Option<f64>,
    /// Benjamini–Hochberg q of `mean_r_p` over all matrices of the run.
    pub mean_r_q: Option<f64>,
    /// Max-R: the largest absolute standardised excess of a cell.
    pub max_r: Option<f64>,
    /// Its p, family-wise over the cells.
    pub max_r_p: Option<f64>,
    /// p of no departure of the mean by the screen's own null.
    pub p_null: Option<f64>,
    /// Benjamini–Hochberg q of `p_null` over all matrices of the run.
    pub q_null: Option<f64>,
    /// Why something above is missing.
    pub reason: Option<&'static str>,
}

/// A scored matrix.
#[derive(Debug, Clone, PartialEq)]
pub struct MatrixScore {
    /// Block, line, drugs, schedule.
    pub key: MatrixKey,
    /// Distinct combination cells.
    pub n_cells: usize,
    /// Wells in them.
    pub n_wells: usize,
    /// Scores in the order of the models asked for.
    pub scores: Vec<Score>,
    /// Largest mean inhibition over 3 × 3 neighbouring dose pairs, or the best single pair in smaller designs.
    pub efficacy: Option<f64>,
    /// Noise (standard deviation of a single well) estimated for this matrix.
    pub sigma: Option<f64>,
    /// Share of the wells that are flagged or on a plate that is not good; `None` before it was looked for.
    pub qc_burden: Option<f64>,
    /// Mean over the combinations of [`SurfaceCell::consensus`].
    pub consensus: Option<f64>,
    /// Share of the combinations in which it is above zero.
    pub consensus_share: Option<f64>,
    /// Sensitivity scores, or why there are none.
    pub sensitivity: Result<Sensitivity, &'static str>,
    /// The fitted single-agent curves.
    pub curves: [Option<HillCurve<f64>>; 2],
    /// Molar dose levels of the two drugs among the combinations, ascending.
    pub levels: [Vec<f64>; 2],
    /// The fitted curve along each drug at each level of the other one.
    pub slices: [Vec<Option<HillCurve<f64>>>; 2],
    /// Codes joined by `;`: `margin_a_flat`, `no_margins`, `few_cells`, …
    pub flags: String,
    /// The fitted surface of each model asked for that is one.
    pub interactions: Vec<Interaction>,
    /// Every dose pair, margins included, ascending by (dose_a, dose_b).
    pub cells: Vec<SurfaceCell>,
}

impl MatrixScore {
    /// A matrix of which nothing is known yet.
    pub fn unscored(key: MatrixKey) -> Self {
        Self {
            key,
            n_cells: 0,
            n_wells: 0,
            scores: Vec::new(),
            efficacy: None,
            sigma: None,
            qc_burden: None,
            consensus: None,
            consensus_share: None,
            sensitivity: Err("not_scored"),
            curves: [None; 2],
            levels: [Vec::new(), Vec::new()],
            slices: [Vec::new(), Vec::new()],
            flags: String::new(),
            interactions: Vec::new(),
            cells: Vec::new(),
        }
    }
}
