//! The demo screen that is built into the program; see `datasets/README.md`.

use super::write::write_whole;
use crate::Result;
use std::path::Path;

/// The well table of the demo screen, as Parquet.
pub fn demo_plates() -> &'static [u8] {
    include_bytes!("../../datasets/demo/plates.parquet")
}

/// Its lines, as CSV.
pub fn demo_lines() -> &'static str {
    include_str!("../../datasets/demo/lines.csv")
}

/// What was planted in it, as Parquet.
pub fn demo_truth() -> &'static [u8] {
    include_bytes!("../../datasets/demo/truth.parquet")
}

/// Writes the demo screen (`plates.parquet`, `lines.csv`, `truth.parquet`) into `dir`, which is made if it is not there.
///
/// # Errors
/// [`crate::Error::File`] where a file cannot be made.
pub fn write_demo(dir: &Path) -> Result<()> {
    write_whole(dir, "plates.parquet", demo_plates())?;
    write_whole(dir, "lines.csv", demo_lines().as_bytes())?;
    write_whole(dir, "truth.parquet", demo_truth())
}
