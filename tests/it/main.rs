//! The integration tests: one binary, a module a room.

mod command_line;
mod ingest;

use std::path::PathBuf;

/// A file of the shared real data, or `None`, said aloud, on a machine that does not have them. CI must have them.
pub fn shared(path: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ISOBOLE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let file = root.join(path);
    if file.exists() {
        return Some(file);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "CI must have {}", file.display());
    println!("skipped: {} not there", file.display());
    None
}
