//! The list of plates: which has which layout, cell line and time.

use super::ImportSettings;
use super::table::Table;
use crate::Result;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What is said of a plate.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub line: Option<String>,
    pub time_h: Option<f64>,
    /// The layout, a path beside the manifest.
    pub layout: Option<PathBuf>,
    /// The cell that names the plate.
    pub place: String,
}

/// Reads a manifest: plates by name.
///
/// # Errors
/// [`crate::Error::File`], [`crate::Error::Format`] naming the cell.
pub(super) fn read(path: &Path, settings: &ImportSettings) -> Result<BTreeMap<String, Entry>> {
    let mut table = Table::open(path, None, settings.decimal)?;
    let plate = table.need(&["Barcode", "plate_id", "plate"], "manifests")?;
    let line = table.find(&["clid", "CellLineName", "cell_line"])?;
    let time = table.find(&["Duration", "time_h"])?;
    let layout = table.find(&["Template", "Treatment", "layout"])?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let mut plates = BTreeMap::new();
    while let Some(row) = table.next()? {
        let Some(name) = table.text(&row, plate) else {
            return Err(table.error(&row, plate, "a row without a plate", "name the plate, or take the row out"));
        };
        let text = |column: Option<usize>| column.and_then(|column| table.text(&row, column));
        let entry = Entry {
            line: text(line).map(str::to_owned),
            time_h: time.map(|column| table.number(&row, column)).transpose()?.flatten(),
            layout: text(layout).map(|name| folder.join(name)),
            place: table.place(&row, plate),
        };
        if let Some(before) = plates.insert(name.to_owned(), entry) {
            let problem = format!("plate `{name}` is there a second time, after {}", before.place);
            return Err(table.error(&row, plate, &problem, "one row a plate"));
        }
    }
    Ok(plates)
}
