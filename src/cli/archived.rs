//! Commands that begin with a result folder.

use super::flags::{AnalysisFlags, choice};
use crate::Result;
use crate::config::{BackendChoice, ScreenFile};
use clap::Args;
use std::path::PathBuf;

/// `isobole rescore`.
#[derive(Debug, Clone, Args)]
pub struct RescoreArgs {
    /// Result folders of `isobole run`
    #[arg(required = true, value_name = "DIR")]
    pub archives: Vec<PathBuf>,
    /// Folder for the results; of several archives, each goes into a folder of its name in it
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Compare the curve models named by --model: fit, prediction of doses left out, and what the ranking owes to them
    #[arg(long)]
    pub compare: bool,
    /// Folder with strategies.csv, potencies.csv, clinic.csv or validation.csv [default: what the archive was made with]
    #[arg(long, value_name = "DIR")]
    pub knowledge: Option<PathBuf>,
    /// What to do otherwise; what is not said stays as it was.
    #[command(flatten)]
    pub analysis: AnalysisFlags,
}

/// `isobole rank`.
#[derive(Debug, Clone, Args)]
pub struct RankArgs {
    /// The result folder
    #[arg(value_name = "DIR")]
    pub archive: PathBuf,
    /// What ranks: composite, differential, rescue_fraction, efficacy, or a synergy model of the folder
    #[arg(long, value_name = "SCORE")]
    pub rank_by: Option<String>,
    /// The synergy model whose score is pooled and tested
    #[arg(long, value_name = "MODEL")]
    pub score_by: Option<String>,
    /// What the parts of the composite count
    #[arg(long, value_name = "PART=WEIGHT,…")]
    pub rank_weights: Option<String>,
    /// What a pair must keep to stand before those that do not; "none", or GATE=none, takes back the folder's own
    #[arg(long, value_name = "GATE=BOUND,…")]
    pub rank_gates: Option<String>,
    /// k of "probability to be among the best k"
    #[arg(long, value_name = "K")]
    pub top_k: Option<usize>,
    /// Fold resistance from which a line is called resistant where nobody says
    #[arg(long, value_name = "FOLD")]
    pub resistant_fold: Option<f64>,
    /// Pairs to print; 0 for all
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub pairs: usize,
    /// Write the results, so ranked, into this folder
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
}

/// `isobole report`.
#[derive(Debug, Clone, Args)]
pub struct ReportArgs {
    /// The result folder
    #[arg(value_name = "DIR")]
    pub archive: PathBuf,
}

/// `isobole show`.
#[derive(Debug, Clone, Args)]
pub struct ShowArgs {
    /// The result folder
    #[arg(value_name = "DIR")]
    pub archive: PathBuf,
    /// The pair, as "drug A + drug B"
    #[arg(long, value_name = "A + B")]
    pub pair: String,
    /// One cell line alone
    #[arg(long, value_name = "LINE")]
    pub line: Option<String>,
    /// The model whose excess is shown [default: the one that ranks]
    #[arg(long, value_name = "MODEL")]
    pub model: Option<String>,
}

/// `isobole diff`.
#[derive(Debug, Clone, Args)]
pub struct DiffArgs {
    /// The earlier result folder
    #[arg(value_name = "DIR")]
    pub before: PathBuf,
    /// The later one
    #[arg(value_name = "DIR2")]
    pub after: PathBuf,
    /// Write the differences as tables and a page into this folder
    #[arg(short, long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Pairs to print
    #[arg(long, default_value_t = 20, value_name = "N")]
    pub pairs: usize,
}

/// `isobole verify`.
#[derive(Debug, Clone, Args)]
pub struct VerifyArgs {
    /// The result folder
    #[arg(value_name = "DIR")]
    pub archive: PathBuf,
    /// Draw so many dose matrices anew; everything before the draws is computed for all
    #[arg(long, default_value_t = 100, conflicts_with = "all", value_name = "N")]
    pub sample: usize,
    /// Draw every dose matrix anew
    #[arg(long)]
    pub all: bool,
    /// Where to compute [default: as the folder was]
    #[arg(long, value_parser = choice::<BackendChoice>(), value_name = "BACKEND")]
    pub backend: Option<BackendChoice>,
    /// Worker threads, 0 for one a core
    #[arg(long, default_value_t = 0, value_name = "N")]
    pub threads: usize,
}

impl RankArgs {
    /// What is said of the ranking.
    ///
    /// # Errors
    /// As [`AnalysisFlags::said`].
    pub fn said(&self) -> Result<ScreenFile> {
        let Self { archive: _, rank_by, score_by, rank_weights, rank_gates, top_k, resistant_fold, pairs: _, out: _ } =
            self.clone();
        AnalysisFlags { rank_by, score_by, rank_weights, rank_gates, top_k, resistant_fold, ..AnalysisFlags::default() }
            .said()
    }
}
