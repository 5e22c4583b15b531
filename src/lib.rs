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
//! | [`import`](mod@import) | other tools' formats, as canonical well tables |
//! | [`ingest`] | Parquet in: columns of any name, units, orientations, roles |
//! | [`plate`] | quality of plates, signal to viability |
//! | [`math`] | the arithmetic that models are written in, and the kinds of number that they can be evaluated as |
//! | [`model`] | dose-response curves and reference surfaces, one generic function each |
//! | [`fit`] | batches of curves, variable projection, what a fit is worth, which model a curve calls for |
//! | [`backend`] | the CPU (f64, lanes, threads) and the GPU (wgpu, f32, certified in f64) |
//! | [`synergy`] | HSA, Bliss, Loewe, ZIP; scores and their intervals |
//! | [`apoptosis`] | Annexin V / PI quadrants as a second readout of synergy |
//! | [`resistance`], [`rank`] | who is resistant, and which pair answers it |
//! | [`report`] | tables, `run.json`, the page, pictures |
//! | [`simulate`] | screens with a known truth, from a model that is not fitted |
//! | [`bench`](mod@bench) | CPU against GPU |
//!
//! # One definition a model
//!
//! A model is one generic function over [`math::Scalar`], or a formula from a file ([`model::formula`]); a
//! [`math::Program`] records it once. The program differentiates itself, finds out which parameters it is linear in
//! ([`model::curve_model`]), runs on SIMD lanes ([`math::Vectorised`]) and is printed as WGSL ([`math::wgsl`]). The step
//! of the fitter is generic arithmetic of the same kind ([`fit::step`]): lanes run it on the CPU, and recorded it
//! is part of the kernel. Only loops, buffers and barriers are written by hand in `shaders/`.
//!
//! # A fit
//!
//! Linear parameters are solved for inside their box at every value of the nonlinear ones (variable projection), so
//! the search is over two parameters for a Hill curve. [`fit::layout`]: curves with the same doses share their points,
//! box and starts. [`fit::scan`]: the sum of squares at some 150 starts, one dot product each. [`fit::descent`]: Newton
//! steps from the best start, eight curves side by side, a lane that has ended takes the next. [`fit::inference`]: what
//! the fit is worth.
//!
//! # The contract about numbers
//!
//! - Viability is a fraction, 1 for untreated cells; doses are molar, their logarithms natural inside and decimal in tables;
//!   dose 0 is an exact 0 and never a small number. Excess is positive for synergy.
//! - f64 on the CPU is the reference. Every single-precision fit is continued in f64 until it has converged there; the
//!   share that this moved by more than 0.01 standard errors is reported.
//! - Residuals of formulas that are too small beside the responses for f64 are taken with twice the digits
//!   ([`fit::small_residuals`]).
//! - Same input, settings and back end give the same bytes in every table, whatever the number of threads or the size of
//!   chunks: sums run in a sorted order, random numbers are counter-based, elementary functions are our own or `libm`'s.
//! - No NaN leaves the program: a null, with a reason code beside it. Wells in = wells used + wells rejected.

pub mod analysis;
pub mod apoptosis;
pub mod archive;
pub mod backend;
pub mod bench;
pub mod cli;
pub mod config;
pub mod diff;
pub mod error;
pub mod fit;
pub mod import;
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
