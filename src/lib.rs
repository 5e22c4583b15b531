//! isobole: plates in, ranked drug pairs out.

pub mod analysis;
pub mod backend;
pub mod bench;
pub mod cli;
pub mod config;
pub mod error;
pub mod fit;
pub mod ingest;
pub mod math;
pub mod model;
pub mod plate;
pub mod rank;
pub mod report;
pub mod resistance;
pub mod run;
pub mod screen;
pub mod simulate;
pub mod synergy;

pub use error::{Error, Result};
