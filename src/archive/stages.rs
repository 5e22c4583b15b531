//! What tables round, or leave out because nobody reads it, kept to the last bit: `stages.cbor.gz`.
//!
//! CBOR (RFC 8949) of maps with the names of the fields, so that it can be read without this program; compressed by gzip.

use crate::analysis::{Analysis, FittedCurves};
use crate::plate::spatial_correction::SpatialOutcome;
use crate::plate::vehicle_noise::VehicleNoise;
use crate::plate::{BatchQuality, PlateCurve, PlateQuality};
use crate::report::files::write_whole;
use crate::screen::line::LineAnnotation;
use crate::screen::measurement::Measurement;
use crate::screen::names::Names;
use crate::screen::quadrants::QuadrantRow;
use crate::screen::{Orientation, Screen};
use crate::{Error, Result};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use std::fs::File;
use std::io::{BufReader, Read};
use std::path::{Path, PathBuf};

/// The file's name.
pub const FILE: &str = "stages.cbor.gz";
/// A file that unpacks to more than this was made to do harm: a screen of ten million curves has some 10 GB.
const MOST_BYTES: u64 = 64 << 30;

/// What an archive keeps of a screen beside its wells.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ScreenNames {
    /// Names of the plates, in the order in which they first appeared; so are all names.
    pub plates: Vec<String>,
    /// Names of the cell lines.
    pub lines: Vec<String>,
    /// Names of the drugs.
    pub drugs: Vec<String>,
    /// Names of blocks.
    pub blocks: Vec<String>,
    /// Names of schedules.
    pub schedules: Vec<String>,
    /// Names of biological replicates.
    pub replicates: Vec<String>,
    /// Names of batches of plates.
    pub batches: Vec<String>,
    /// What is known of each line.
    pub annotations: Vec<LineAnnotation>,
    /// Rows of the input.
    pub wells_in: usize,
    /// How many of the rejected wells were so on reading; they come first.
    pub rejected_on_reading: usize,
    /// What `signal` in `raw_wells` is.
    pub orientation: Orientation,
    /// What reading warned of.
    pub warnings: Vec<String>,
    /// What was measured of the lines' mechanisms of resistance.
    #[serde(default)]
    pub evidence: Vec<Measurement>,
    /// Annexin V / PI quadrants.
    #[serde(default)]
    pub apoptosis: Vec<QuadrantRow>,
}

/// The file.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Stages {
    /// The screen.
    pub screen: ScreenNames,
    /// Quality of every plate.
    pub plates: Vec<PlateQuality>,
    /// Quality of each batch, and of the screen.
    pub batches: Vec<BatchQuality>,
    /// Drugs alone on several plates, plate by plate.
    pub plate_curves: Vec<PlateCurve>,
    /// Noise of each plate's vehicle mean.
    pub vehicle_noise: Vec<VehicleNoise>,
    /// What was done about position.
    pub spatial: Vec<SpatialOutcome>,
    /// The fitted curves, in the order of the table `curves`.
    pub curves: FittedCurves,
}

impl ScreenNames {
    fn of(screen: &Screen) -> Self {
        let list = |names: &Names| names.iter().map(str::to_owned).collect();
        Self {
            plates: list(&screen.plates),
            lines: list(&screen.lines),
            drugs: list(&screen.drugs),
            blocks: list(&screen.blocks),
            schedules: list(&screen.schedules),
            replicates: list(&screen.replicates),
            batches: list(&screen.batches),
            annotations: screen.annotations.clone(),
            wells_in: screen.wells_in,
            rejected_on_reading: screen.rejected.len(),
            orientation: screen.orientation,
            warnings: screen.warnings.clone(),
            evidence: screen.evidence.clone(),
            apoptosis: screen.apoptosis.clone(),
        }
    }

    /// The screen, without wells.
    pub fn screen(&self) -> Screen {
        let names = |list: &[String]| {
            let mut names = Names::default();
            list.iter().for_each(|name| {
                names.intern(name);
            });
            names
        };
        Screen {
            plates: names(&self.plates),
            lines: names(&self.lines),
            drugs: names(&self.drugs),
            blocks: names(&self.blocks),
            schedules: names(&self.schedules),
            replicates: names(&self.replicates),
            batches: names(&self.batches),
            annotations: self.annotations.clone(),
            wells_in: self.wells_in,
            orientation: self.orientation,
            warnings: self.warnings.clone(),
            evidence: self.evidence.clone(),
            apoptosis: self.apoptosis.clone(),
            ..Screen::default()
        }
    }
}

impl Stages {
    /// What is kept of an analysis.
    pub fn of(screen: &Screen, analysis: &Analysis) -> Self {
        Self {
            screen: ScreenNames::of(screen),
            plates: analysis.plates.clone(),
            batches: analysis.batches.clone(),
            plate_curves: analysis.plate_curves.clone(),
            vehicle_noise: analysis.vehicle_noise.clone(),
            spatial: analysis.spatial.clone(),
            curves: FittedCurves {
                fits: analysis.fits.clone(),
                inferences: analysis.inferences.clone(),
                intervals: analysis.intervals.clone(),
            },
        }
    }

    /// Writes the file into `dir`.
    ///
    /// # Errors
    /// [`Error::File`] when writing fails.
    pub fn write(&self, dir: &Path) -> Result<PathBuf> {
        let path = dir.join(FILE);
        write_whole(&path, |out| {
            let mut packed = GzEncoder::new(out, Compression::fast());
            ciborium::into_writer(self, &mut packed).map_err(std::io::Error::other)?;
            packed.finish().map(drop)
        })?;
        Ok(path)
    }

    /// Reads the file.
    ///
    /// # Errors
    /// [`Error::File`] when it cannot be opened, [`Error::Format`] when it is no such file.
    pub fn read(path: &Path) -> Result<Self> {
        let file = File::open(path).map_err(|source| Error::File { action: "read", path: path.to_owned(), source })?;
        let unpacked = GzDecoder::new(BufReader::new(file)).take(MOST_BYTES);
        ciborium::from_reader(BufReader::with_capacity(1 << 16, unpacked)).map_err(|e| Error::Format {
            path: path.to_owned(),
            row_group: None,
            column: None,
            problem: format!("holds no stages that this program can read: {e}"),
            hint: None,
        })
    }
}
