//! `isobole mechanism`: why lines are resistant, from a table of evidence alone.

use super::choice;
use crate::config::TableFormat;
use crate::run::mechanism::MechanismInputs;
use clap::Args;
use std::path::PathBuf;

/// `isobole mechanism`.
#[derive(Debug, Clone, Args)]
pub struct MechanismArgs {
    /// Tables of evidence (Parquet, CSV, TSV): cell_line, marker, and intensities, threshold cycles or folds
    #[arg(required = true, value_name = "EVIDENCE")]
    pub evidence: Vec<PathBuf>,
    /// LINES.csv: cell_line, parental, status, mechanism
    #[arg(long, value_name = "LINES.csv")]
    pub lines: Option<PathBuf>,
    /// Result folder of `isobole run`: efflux inhibitors and cross-resistance
    #[arg(long, value_name = "DIR")]
    pub result: Option<PathBuf>,
    /// Folder for the results
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// Write tables as Parquet alone, or as CSV as well
    #[arg(long, value_parser = choice::<TableFormat>(), default_value = "parquet", value_name = "FORMAT")]
    pub format: TableFormat,
}

/// What `mechanism` reads and writes.
pub fn resolve_mechanism(args: &MechanismArgs) -> MechanismInputs {
    let MechanismArgs { evidence, lines, result, out, format } = args.clone();
    MechanismInputs { evidence, lines, result, out, csv: format == TableFormat::Csv }
}
