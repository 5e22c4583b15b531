//! isobole: plates in, ranked drug pairs out.
//!
//! # The flow
//!
//! ```text
//! ingest → plate → screen::dose_matrix → fit → synergy → resistance → rank → report
//! read     QC,      curves and matrices   curves  excess   calls        pairs   tables, page
//!          normalise
//! ```
//!
//! [`run::run`] is a run from files to files; [`analysis::analyse`] is the same without a file, and reads as the flow above.
//! Stages are functions from tables to tables; only [`ingest`] and [`report`] know Arrow and Parquet, and only the
//! [`backend`] knows where numbers are computed.
//!
//! | module | is |
//! |---|---|
//! | [`screen`] | what a screen is: plates, wells, lines and their parents, doses, curves and dose matrices |
//! | [`config`], [`cli`] | what was said in flags and `screen.toml`, resolved to concrete [`config::Settings`] |
//! | [`ingest`] | Parquet in: columns of any name, units, orientations, roles |
//! | [`plate`] | quality of plates, signal to viability |
//! | [`math`] | the arithmetic that models are written in, and the kinds of number that they can be evaluated as |
//! | [`model`] | dose-response curves and reference surfaces, one generic function each |
//! | [`fit`] | batches of curves, Levenberg–Marquardt, what a fit is worth |
//! | [`backend`] | the CPU (f64, lanes, threads) and the GPU (wgpu, f32, certified in f64) |
//! | [`synergy`] | HSA, Bliss, Loewe, ZIP; scores and their intervals |
//! | [`resistance`], [`rank`] | who is resistant, and which pair answers it |
//! | [`report`] | tables, `run.json`, the page, pictures |
//! | [`simulate`] | screens with a known truth, from a model that is not fitted |
//! | [`bench`](mod@bench) | CPU against GPU |
//!
//! # One definition a model
//!
//! A model is one generic function over [`math::Scalar`]. `f64` and [`math::Lanes`] run it, [`math::Dual`] differentiates
//! it, [`math::Wgsl`] records it as shader text; the damped step of the fitter goes the same way. Only loops, buffers
//! and barriers are written by hand in `shaders/`.
//!
//! # The contract about numbers
//!
//! - Viability is a fraction, 1 for untreated cells; doses are molar, their logarithms natural inside and decimal in tables;
//!   dose 0 is an exact 0 and never a small number. Excess is positive for synergy.
//! - f64 on the CPU is the reference. Every single-precision fit is continued in f64 until it has converged there; the
//!   share that this moved by more than 0.01 standard errors is reported.
//! - Same input, settings and back end give the same bytes in every table, whatever the number of threads or the size of
//!   chunks: sums run in a sorted order, random numbers are counter-based, elementary functions are our own or `libm`'s.
//! - No NaN leaves the program: a null, with a reason code beside it. Wells in = wells used + wells rejected.

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
