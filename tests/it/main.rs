//! One integration binary: linking is what costs.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on must stop, and say where")]

mod apoptosis;
mod archive;
mod backends;
mod bench;
mod calibration;
mod command_fit;
mod command_line;
mod curve_curator;
mod end_to_end;
mod formula;
mod gather;
mod growth;
mod identifiability;
mod import;
mod inference;
mod ingest;
mod interaction;
mod intervals;
mod kernels;
mod mechanisms;
mod model_choice;
mod models;
mod musyc_three;
mod plate;
mod rank;
mod rank_designs;
mod rank_scene;
mod rank_simulated;
mod rank_triples;
mod report;
mod resistance;
mod simulate;
mod simulate_beside;
mod streaming;
mod surfaces_on_the_device;
mod synergy;
mod synergy_designs;
mod synergy_models;
mod synergy_statistics;
mod weights;

use std::path::PathBuf;

/// Real data beside the repository. Absent on a user's machine: the test says so and ends; in CI it must be there.
pub fn shared(file: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ISOBOLE_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(file);
    if path.exists() {
        return Some(path);
    }
    assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "{} must be there in CI", path.display());
    println!("skipped: {} is not there", path.display());
    None
}

/// A GPU back end, software or not. Absent on a user's machine: the test says so and ends; in CI it must be there.
pub fn gpu() -> Option<isobole::backend::gpu::Gpu> {
    match isobole::backend::gpu::Gpu::open() {
        Ok(gpu) => Some(gpu),
        Err(error) => {
            assert!(std::env::var_os("CI").is_none_or(|v| v != "true"), "a GPU adapter must be there in CI: {error}");
            println!("skipped: {error}");
            None
        }
    }
}
