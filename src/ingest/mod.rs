//! Files in: well tables, tables of curves and matrices, and what is said of the lines.
//!
//! Parquet is read by row group with only the columns needed; CSV and TSV become Parquet in memory. Every row of a well table ends in [`Screen::wells`] or
//! in [`Screen::rejected`]; doses leave here in moles per litre, one value for all doses that are meant to be one.

mod apoptosis;
pub mod curves;
mod evidence;
mod failure;
mod header;
mod lines;
pub mod long;
mod named_table;
mod parquet_file;
mod rows;
mod text_table;
mod texts;
mod values;

use crate::config::screen_file::LineEntry;
use crate::config::{Mapping, ScreenFile};
use crate::screen::dose::DoseLevels;
use crate::screen::response::implausible_scale;
use crate::screen::well::{Well, WellPosition};
use crate::screen::{Orientation, Rejected, Scale, Screen};
use crate::{Error, Result};
pub use apoptosis::read_apoptosis;
pub use evidence::read_evidence;
use header::Header;
pub use long::{LongMapping, LongRow, LongTable, read_long};
use parquet_file::ParquetFile;
pub use parquet_file::is_decoding;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Reads the plates of a screen.
///
/// Viabilities and inhibitions, fractions and percentages become viability fractions; raw signals stay as they are
/// ([`Screen::orientation`]). `lines` is a `LINES.csv`; it goes before what `mapping` says of the same line.
///
/// # Errors
/// [`Error::File`] for a file that cannot be opened; [`Error::Format`] for one that is not a whole Parquet file, lacks
/// a column, or holds the wrong type or an unknown unit; [`Error::Screen`] where the files do not fit together.
pub fn read_screen(inputs: &[PathBuf], mapping: &Mapping, lines: Option<&Path>) -> Result<Screen> {
    if inputs.is_empty() {
        return Err(Error::Screen {
            problem: "no plate files".into(),
            hint: Some("name them: isobole run PLATES.parquet, or `plates = [...]` in screen.toml".into()),
        });
    }
    let said = lines::read(lines, mapping)?;
    let mut screen = Screen::default();
    let mut seen = BTreeSet::new();
    let mut read_as: Option<(Orientation, Scale)> = None;
    for path in inputs {
        let file = ParquetFile::open(path)?;
        if !seen.insert(std::fs::canonicalize(path).unwrap_or_else(|_| path.clone())) {
            return Err(Error::setting("plates", format!("`{}` is given twice", path.display())));
        }
        let header = Header::find(&file, mapping)?;
        let orientation = match header.orientation {
            Orientation::Signal => Orientation::Signal,
            Orientation::Viability | Orientation::Inhibition => Orientation::Viability,
        };
        if read_as.is_some_and(|(first, _)| first != orientation) {
            return Err(Error::Screen {
                problem: format!(
                    "`{}` holds {}, and `{}` does not",
                    path.display(),
                    if orientation == Orientation::Signal { "raw signals" } else { "normalised responses" },
                    inputs[0].display()
                ),
                hint: Some("analyse raw and normalised plates apart".into()),
            });
        }
        read_as = Some((orientation, header.scale));
        let from = screen.wells.len();
        rows::RowReader::new(&file, &header, mapping, plate_name(path, inputs)).read(&mut screen)?;
        if orientation != Orientation::Signal {
            let viabilities = screen.wells.signals()[from..].iter().copied();
            if let Some(problem) = implausible_scale(header.scale, viabilities) {
                return Err(failure::of_file(path, problem, Some("check `scale` under [response], or --scale".into())));
            }
        }
    }
    screen.orientation = read_as.map_or(Orientation::Signal, |(orientation, _)| orientation);
    set_duplicates_aside(&mut screen);
    level_doses(&mut screen);
    lines::annotate(&mut screen, &said);
    Ok(screen)
}

/// Reads a `LINES.csv` by itself: what is said of each line, by its name.
///
/// # Errors
/// [`Error::File`], [`Error::Format`] naming the line of the file; [`Error::Screen`] for parents that go round in a
/// circle.
pub fn read_lines(path: &Path) -> Result<BTreeMap<String, LineEntry>> {
    lines::read(Some(path), &Mapping::resolve(&ScreenFile::default())?)
}

/// The plate of a file that names none: its stem, or its whole path where two inputs share the stem.
fn plate_name(path: &Path, inputs: &[PathBuf]) -> String {
    let stem = path.file_stem();
    let shared = inputs.iter().filter(|other| other.file_stem() == stem).count() > 1;
    match stem {
        Some(stem) if !shared => stem.to_string_lossy().into_owned(),
        _ => path.display().to_string(),
    }
}

/// Wells of a 1536-well plate.
const POSITIONS: usize = 32 * 48;

fn place(position: WellPosition) -> usize {
    (usize::from(position.row) - 1) * 48 + usize::from(position.column) - 1
}

/// A well that was read twice: nobody can know which reading is the right one. Rows that agree in everything are one.
fn set_duplicates_aside(screen: &mut Screen) {
    let mut taken = vec![[0_u64; POSITIONS / 64]; screen.plates.len()];
    let mut twice = BTreeSet::new();
    for (&plate, position) in screen.wells.plates().iter().zip(screen.wells.places()) {
        let Some(position) = position.position() else { continue };
        let (at, taken) = (place(position), &mut taken[plate as usize]);
        if taken[at / 64] >> (at % 64) & 1 == 1 {
            twice.insert((plate, position));
        }
        taken[at / 64] |= 1 << (at % 64);
    }
    if twice.is_empty() {
        return;
    }
    let key = |well: &Well| well.position.map(|position| (well.plate, position)).filter(|key| twice.contains(key));
    let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
    for (index, well) in screen.wells.iter().enumerate() {
        if let Some(key) = key(&well) {
            groups.entry(key).or_default().push(index);
        }
    }
    let mut stays = vec![true; screen.wells.len()];
    for ((plate, position), rows) in groups {
        let first = screen.wells.get(rows[0]);
        let agree = rows.iter().all(|&row| same(&first, &screen.wells.get(row)));
        let detail = if agree {
            format!("{} equal rows, one used", rows.len())
        } else {
            format!("{} rows that differ, none used; are replicates or times part of the plate's name?", rows.len())
        };
        for &row in rows.iter().skip(usize::from(agree)) {
            stays[row] = false;
            let detail = detail.clone();
            screen.rejected.push(Rejected { plate, well: Some(position), reason: "duplicate_well", detail });
        }
    }
    let stay: Vec<u32> = (0..).zip(&stays).filter(|(_, stays)| **stays).map(|(well, _)| well).collect();
    screen.wells = screen.wells.select(&stay);
}

fn same(a: &Well, b: &Well) -> bool {
    let Well { plate, position, role, line, treatments, signal, block, schedule, replicate, batch, signal_t0, time_h } =
        *a;
    (plate, position, role, line, block, schedule) == (b.plate, b.position, b.role, b.line, b.block, b.schedule)
        && (replicate, batch) == (b.replicate, b.batch)
        && treatments == b.treatments
        && signal.to_bits() == b.signal.to_bits()
        && (signal_t0, time_h) == (b.signal_t0, b.time_h)
}

/// Replaces every dose by the level that it stands for among all doses of its drug.
fn level_doses(screen: &mut Screen) {
    let mut doses: Vec<Vec<f64>> = vec![Vec::new(); screen.drugs.len()];
    for treatment in screen.wells.active() {
        doses[treatment.drug as usize].push(treatment.dose);
    }
    let levels: Vec<DoseLevels> = doses.into_iter().map(DoseLevels::new).collect();
    screen.wells.replace_doses(|treatment| levels[treatment.drug as usize].level(treatment.dose));
}
