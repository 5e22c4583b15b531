//! Other tools' formats in, the canonical well table out: `isobole import FORMAT FILES… --out PLATES.parquet`.
//!
//! What cannot be mapped is listed with its place and a reason; what cannot be understood is an error that names the
//! cell. Columns that have no place in the well table are named in a note. Formats of normalised data have no plates:
//! each block becomes one, and its responses are viabilities as fractions.

mod almanac;
mod combenefit;
mod combination;
mod curve_curator;
mod gdr;
mod grid;
mod layout;
mod manifest;
pub(crate) mod number;
mod plate_grid;
pub(crate) mod sheet;
mod table;
pub(crate) mod text_file;
mod well_list;
mod wells;
mod workbook;

use crate::report::files;
use crate::report::run_json::RunIdentity;
use crate::screen::{Orientation, Scale};
use crate::{Error, Result};
pub use number::Decimal;
use std::path::{Path, PathBuf};
pub use wells::{Imported, Reading, RejectedRow};

/// What the user says of files that do not say it themselves.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ImportSettings {
    /// Whether responses are viability or inhibition.
    pub orientation: Option<Orientation>,
    /// Whether 1 or 100 is the whole.
    pub scale: Option<Scale>,
    /// The unit of doses.
    pub dose_unit: Option<String>,
    /// What is between whole and broken numbers.
    pub decimal: Decimal,
    /// The sheet of a workbook.
    pub sheet: Option<String>,
    /// The cell line.
    pub cell_line: Option<String>,
    /// Wells of a plate: 96, 384 or 1536.
    pub plate_size: Option<usize>,
    /// Microlitres of medium in a well.
    pub well_volume_ul: Option<f64>,
    /// The layout of plates.
    pub layout: Option<PathBuf>,
    /// The list of plates.
    pub manifest: Option<PathBuf>,
}

impl ImportSettings {
    /// Refuses what a format has no use for: a flag that changes nothing would be believed to.
    fn used_by(&self, format: Format) -> Result<()> {
        use Format::{Combenefit, CurveCurator, DrugComb, Gdr, Gdsc, Grid, SynergyFinder};
        let checks = [
            ("orientation", self.orientation.is_some(), &[SynergyFinder, DrugComb][..]),
            ("scale", self.scale.is_some(), &[SynergyFinder, DrugComb]),
            ("dose-unit", self.dose_unit.is_some(), &[SynergyFinder, DrugComb, Grid, Combenefit, Gdr]),
            ("cell-line", self.cell_line.is_some(), &[SynergyFinder, DrugComb, CurveCurator, Grid, Combenefit, Gdr]),
            ("plate-size", self.plate_size.is_some(), &[Gdsc, Grid, Gdr]),
            ("well-volume", self.well_volume_ul.is_some(), &[Grid, Gdr]),
            ("layout", self.layout.is_some(), &[Grid, Gdr]),
            ("manifest", self.manifest.is_some(), &[Grid, Gdr]),
        ];
        match checks.iter().find(|(_, given, formats)| *given && !formats.contains(&format)) {
            Some((key, ..)) => Err(Error::Setting {
                key: (*key).into(),
                problem: format!("has no meaning for `{}`", format.name()),
                hint: Some("leave it out".into()),
            }),
            None => Ok(()),
        }
    }
}

/// A format that can be imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Tables of synergyfinder.
    SynergyFinder,
    /// Downloads of DrugComb.
    DrugComb,
    /// NCI-ALMANAC's ComboDrugGrowth.
    Almanac,
    /// The Merck screen of O'Neil et al.
    ONeil,
    /// GDSC raw data.
    Gdsc,
    /// thunor, Vanderbilt HTS.
    Thunor,
    /// CurveCurator's TSV and TOML.
    CurveCurator,
    /// Blocks of 8 × 12, 16 × 24 or 32 × 48 readings, with a layout.
    Grid,
    /// Combenefit's grids.
    Combenefit,
    /// gDR's long tables, or EnVision and Tecan files with templates and a manifest.
    Gdr,
}

impl Format {
    /// Every format, in the order in which they are listed.
    pub const ALL: &'static [Format] = &[
        Format::SynergyFinder,
        Format::DrugComb,
        Format::Almanac,
        Format::ONeil,
        Format::Gdsc,
        Format::Thunor,
        Format::CurveCurator,
        Format::Grid,
        Format::Combenefit,
        Format::Gdr,
    ];

    /// The name by which it is chosen.
    pub fn name(self) -> &'static str {
        match self {
            Format::SynergyFinder => "synergyfinder",
            Format::DrugComb => "drugcomb",
            Format::Almanac => "almanac",
            Format::ONeil => "oneil",
            Format::Gdsc => "gdsc",
            Format::Thunor => "thunor",
            Format::CurveCurator => "curvecurator",
            Format::Grid => "grid",
            Format::Combenefit => "combenefit",
            Format::Gdr => "gdr",
        }
    }

    /// One line for people: the files, and what has to be said beside them.
    pub fn describe(self) -> &'static str {
        match self {
            Format::SynergyFinder => {
                "long tables of dose matrices, columns of versions 1 to 3; say --orientation; percent unless --scale"
            }
            Format::DrugComb => "downloads of blocks: drug_row, drug_col, conc_r, conc_c, inhibition (percent)",
            Format::Almanac => "NCI-ALMANAC ComboDrugGrowth: NSC1, CONC1, …, TESTVALUE, CONTROLVALUE",
            Format::ONeil => "the Merck screen: combinations and single agents, viability1, viability2, …",
            Format::Gdsc => "GDSC raw data: BARCODE, POSITION, TAG, DRUG_ID, CONC, INTENSITY",
            Format::Thunor => "thunor and Vanderbilt HTS: upid, well, cell.line, cell.count, drug1, drug1.conc, …",
            Format::CurveCurator => "CurveCurator: a TSV of Name, Raw 1, Raw 2, … and its TOML",
            Format::Grid => {
                "blocks of 8x12, 16x24, 32x48 readings and --layout: a list of wells, sheets of grids, an Echo picklist \
                 (with --well-volume) or a D300 list"
            }
            Format::Combenefit => "grids of viability in percent, a file a replicate (.xls, .xlsx, .csv)",
            Format::Gdr => "EnVision or Tecan files with --manifest, which names the templates; or one long table",
        }
    }
}

/// The lines of `isobole import --list`.
pub fn list() -> String {
    Format::ALL.iter().map(|format| format!("{:14} {}\n", format.name(), format.describe())).collect()
}

/// Reads files of a format.
///
/// # Errors
/// [`Error::File`] for a file that cannot be read; [`Error::Format`] naming file, sheet and cell for what cannot be
/// understood; [`Error::Setting`] for what has to be said, or has no meaning.
pub fn import(format: Format, inputs: &[PathBuf], settings: &ImportSettings) -> Result<Imported> {
    if inputs.is_empty() {
        return Err(Error::setting("files", "no file is named"));
    }
    settings.used_by(format)?;
    let mut imported = match format {
        Format::SynergyFinder | Format::DrugComb => combination::synergyfinder(inputs, settings, format.name()),
        Format::Almanac => almanac::import(inputs, settings),
        Format::ONeil => combination::oneil(inputs, settings),
        Format::Gdsc => well_list::gdsc(inputs, settings),
        Format::Thunor => well_list::thunor(inputs, settings),
        Format::CurveCurator => curve_curator::import(inputs, settings),
        Format::Grid => plate_grid::import(inputs, settings),
        Format::Combenefit => combenefit::import(inputs, settings),
        Format::Gdr => gdr::import(inputs, settings),
    }?;
    let by_mass = imported.drugs_by_mass();
    if !by_mass.is_empty() {
        imported.notes.push(format!(
            "doses as mass per volume: `{}`; run needs their molar masses: --molar-mass \"NAME=…\"",
            by_mass.join("`, `")
        ));
    }
    if imported.wells() == 0 {
        let why: Vec<String> = imported.rejected_by_reason().iter().map(|(r, n)| format!("{n} are `{r}`")).collect();
        return Err(Error::Screen {
            problem: format!("nothing could be imported; of the rows {}", why.join(", ")),
            hint: imported.rejected.first().map(|r| format!("the first: {}, {}", r.place, r.detail)),
        });
    }
    Ok(imported)
}

/// Writes the well table, and beside it, where there are any, the rows that could not be mapped: the files written.
///
/// # Errors
/// [`Error::File`] where they cannot be written.
pub fn write(imported: &Imported, out: &Path, format: Format) -> Result<Vec<PathBuf>> {
    let identity = RunIdentity::new(&serde_json::json!({ "import": format.name() }));
    if let Some(folder) = out.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        files::prepare(folder)?;
    }
    files::write_parquet(&imported.table(), out, &identity)?;
    let beside = out.with_extension("rejected.parquet");
    if imported.rejected.is_empty() {
        // One of an earlier import would speak of rows that are not rejected any more.
        let _ = std::fs::remove_file(&beside);
        return Ok(vec![out.to_owned()]);
    }
    files::write_parquet(&imported.rejected_table(), &beside, &identity)?;
    Ok(vec![out.to_owned(), beside])
}
