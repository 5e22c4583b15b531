//! `isobole import`.

use super::choice;
use crate::config::mapping::known_unit;
use crate::import::{Decimal, Format, ImportSettings};
use crate::screen::{Orientation, Scale};
use crate::{Error, Result};
use clap::Args;
use std::path::PathBuf;

/// `isobole import`.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// The format of the files
    #[arg(value_parser = choice::<Format>(), value_name = "FORMAT", required_unless_present = "list")]
    pub format: Option<Format>,
    /// The files: text between commas, semicolons or tabs, or workbooks (.xlsx, .xls)
    #[arg(value_name = "FILE", required_unless_present = "list")]
    pub files: Vec<PathBuf>,
    /// The well table (Parquet); rows that cannot be mapped go to a file beside it
    #[arg(short, long, value_name = "PLATES.parquet", required_unless_present = "list")]
    pub out: Option<PathBuf>,
    /// List the formats and what each needs
    #[arg(long)]
    pub list: bool,
    /// Whether responses are viability or inhibition, where no column says it
    #[arg(long, value_parser = choice::<Orientation>(), value_name = "WHAT")]
    pub orientation: Option<Orientation>,
    /// Whether 1 or 100 is the whole, where the format leaves it open
    #[arg(long, value_parser = choice::<Scale>(), value_name = "SCALE")]
    pub scale: Option<Scale>,
    /// Unit of doses, where no column says it
    #[arg(long, value_name = "UNIT")]
    pub dose_unit: Option<String>,
    /// What is between whole and broken numbers in text [default: point]
    #[arg(long, value_parser = choice::<Decimal>(), value_name = "MARK")]
    pub decimal: Option<Decimal>,
    /// The sheet of a workbook, where there are several
    #[arg(long, value_name = "NAME")]
    pub sheet: Option<String>,
    /// The cell line of every well, where no column says it
    #[arg(long, value_name = "NAME")]
    pub cell_line: Option<String>,
    /// Wells of a plate, to be checked against the files
    #[arg(long, value_parser = ["96", "384", "1536"], value_name = "WELLS")]
    pub plate_size: Option<String>,
    /// Microlitres of medium in a well, for picklists of volumes
    #[arg(long, value_name = "MICROLITRES")]
    pub well_volume: Option<f64>,
    /// What is in which well of the plates: a list of wells, a workbook of grids or a picklist
    #[arg(long, value_name = "FILE")]
    pub layout: Option<PathBuf>,
    /// Which plate has which layout, cell line and time
    #[arg(long, value_name = "FILE")]
    pub manifest: Option<PathBuf>,
}

/// An import as asked for.
#[derive(Debug, Clone, PartialEq)]
pub struct Import {
    /// The format.
    pub format: Format,
    /// The files.
    pub files: Vec<PathBuf>,
    /// The well table to write.
    pub out: PathBuf,
    /// What is said of the files.
    pub settings: ImportSettings,
}

/// What `import` is to do; `None` for listing the formats.
///
/// # Errors
/// [`Error::Setting`] for a value that has no meaning.
pub fn resolve_import(args: &ImportArgs) -> Result<Option<Import>> {
    let ImportArgs {
        format,
        files,
        out,
        list,
        orientation,
        scale,
        dose_unit,
        decimal,
        sheet,
        cell_line,
        plate_size,
        well_volume,
        layout,
        manifest,
    } = args.clone();
    let (Some(format), Some(out), false) = (format, out, list) else { return Ok(None) };
    if let Some(unit) = &dose_unit {
        known_unit("dose-unit", unit)?;
    }
    if let Some(same) =
        files.iter().find(|file| file.canonicalize().ok().is_some_and(|f| out.canonicalize().ok() == Some(f)))
    {
        return Err(Error::setting("out", format!("`{}` is an input", same.display())));
    }
    if let Some(volume) = well_volume.filter(|volume| !(*volume > 0.0 && volume.is_finite())) {
        return Err(Error::setting("well-volume", format!("{volume} is not above 0")));
    }
    let settings = ImportSettings {
        orientation,
        scale,
        dose_unit,
        decimal: decimal.unwrap_or_default(),
        sheet,
        cell_line,
        plate_size: plate_size.and_then(|size| size.parse().ok()),
        well_volume_ul: well_volume,
        layout,
        manifest,
    };
    Ok(Some(Import { format, files, out, settings }))
}
