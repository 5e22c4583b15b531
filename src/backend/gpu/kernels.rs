//! Kernels put together: the hand-written loop of `shaders/`, and before it the functions recorded from the same
//! generic Rust that the CPU runs.

use super::device::{GROUP, Kernel};
use crate::config::{Normalization, SpatialCorrection};
use crate::math::wgsl::{function, literal};
use crate::math::{Program, Recorded, Scalar};
use crate::model::reference::{DosePair, References};
use crate::model::surface::HillCurve;
use crate::plate::median_polish;
use crate::plate::normalization::{ControlMeans, Reading, normalise_well};
use crate::plate::scores::standard_score;
use crate::plate::spatial_correction::{ENOUGH, MEDIAN_VARIANCE, MOST_DOUBLINGS, NEAR, SUMS, neighbour, plane};
use crate::plate::spread::MAD_SCALE;
use std::array::from_fn;

/// Values read and written a dose pair by `surface.wgsl`.
pub const SURFACE_INPUTS: usize = 10;
/// Names of the entries of an array, or of the fields of a structure.
fn entries(count: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(name).collect()
}

/// The kernel of a list of reference models.
pub fn surfaces<R: References<N>, const N: usize>(_: R) -> Kernel {
    let mut source = format!("const GROUP = {GROUP}u;\nconst INPUTS = {SURFACE_INPUTS}u;\nconst OUTPUTS = {N}u;\n");
    let program = Program::record(SURFACE_INPUTS, |v| {
        let [z_a, z_b, alone_a, alone_b, top_a, bottom_a, slope_a, top_b, bottom_b, slope_b] = from_fn(|i| v[i]);
        // Doses come relative to each drug's EC50, formed in f64: single precision is kept for the differences.
        let zero = Recorded::lit(0.0);
        let a = HillCurve { top: top_a, bottom: bottom_a, ln_ec50: zero, slope: slope_a };
        let b = HillCurve { top: top_b, bottom: bottom_b, ln_ec50: zero, slope: slope_b };
        R::expected(DosePair { ln_dose: [z_a, z_b], alone: [alone_a, alone_b], curves: [a, b] }).to_vec()
    });
    let inputs = entries(SURFACE_INPUTS, |i| format!("v[{i}]"));
    let result = format!("array<f32, {N}>");
    source += &function("expected", &format!("v: array<f32, {SURFACE_INPUTS}>"), &result, &inputs, &program);
    Kernel { name: R::NAME.into(), source: source + include_str!("../../../shaders/surface.wgsl") }
}

/// Floats read of each plate before its wells: first well, number of wells, rows, columns.
pub const PLATE_HEAD: usize = 4;
/// Floats read of each plate before its wells where a surface is asked for: first well, number of wells.
pub const SPATIAL_HEAD: usize = 2;
/// Rows and columns of the largest plate, whose values kernels keep in shared memory.
pub const LARGEST_PLATE: (usize, usize) = (32, 48);
/// Invocations in a workgroup of the median polish: enough that the largest plate stays below llvmpipe's 65,535 rounds of
/// loops an invocation, and not more than every device has.
const POLISH_GROUP: u32 = 256;
/// Share of the sum of residuals by which single precision may miss the change that ends a median polish: some rounds of
/// rounding residuals a few times below the largest deviation.
const POLISH_DOUBT: f64 = 3e-7;
/// Spread of residuals over the plate's largest deviation below which rounding is part of every score.
const LEAST_SPREAD: f64 = 1e-4;
/// What all kernels of plates are given.
const PLATE_BINDINGS: &str = include_str!("../../../shaders/plate_bindings.wgsl");

/// The kernel of a plate normalisation.
pub fn plates(normalization: Normalization) -> Kernel {
    let group = if normalization == Normalization::BScore { POLISH_GROUP } else { GROUP };
    let mut source = format!("{PLATE_BINDINGS}const GROUP = {group}u;\nconst HEAD = {PLATE_HEAD}u;\n");
    let text = if normalization.is_score() {
        let program = Program::record(3, |v| vec![standard_score(v[0], v[1], v[2])]);
        let names = ["value", "location", "spread"].map(String::from);
        source += &function("standard_score", "value: f32, location: f32, spread: f32", "f32", &names, &program);
        source += &format!("const MAD_SCALE = {};\n", literal(MAD_SCALE));
        match normalization {
            Normalization::ZScore => include_str!("../../../shaders/z_score.wgsl").to_owned(),
            Normalization::RobustZScore => {
                let scores = include_str!("../../../shaders/robust_z_score.wgsl");
                include_str!("../../../shaders/median.wgsl").to_owned() + scores
            }
            _ => {
                let (rows, columns) = LARGEST_PLATE;
                source += &format!("const ROWS = {rows}u;\nconst COLUMNS = {columns}u;\n");
                source += &format!("const TOLERANCE = {};\n", literal(median_polish::TOLERANCE));
                source += &format!("const MOST_ITERATIONS = {}u;\n", median_polish::MOST_ITERATIONS);
                source += &format!("const DOUBT = {};\n", literal(POLISH_DOUBT));
                source += &format!("const LEAST_SPREAD = {};\n", literal(LEAST_SPREAD));
                let polish = include_str!("../../../shaders/polish.wgsl");
                include_str!("../../../shaders/median.wgsl").to_owned() + polish
            }
        }
    } else {
        let names = ["signal", "t0", "growth_time", "background", "vehicle", "positive", "background_t0"];
        let program = Program::record(names.len(), |v| {
            let [signal, t0, growth_time, background, vehicle, positive, background_t0] = from_fn(|i| v[i]);
            let means = ControlMeans { background, vehicle, positive, background_t0 };
            vec![normalise_well(normalization, Reading { signal, t0, growth_time }, means)]
        });
        let arguments = names.map(|name| format!("{name}: f32")).join(", ");
        source += &function("normalise", &arguments, "f32", &names.map(String::from), &program);
        include_str!("../../../shaders/plate.wgsl").to_owned()
    };
    Kernel { name: format!("plate_{normalization:?}"), source: source + &text }
}

/// The kernel of a plate's surface; an invocation a well for the regression, a workgroup a well for the median.
pub fn spatial(kind: SpatialCorrection) -> Kernel {
    let mut source = format!("{PLATE_BINDINGS}const GROUP = {GROUP}u;\nconst HEAD = {SPATIAL_HEAD}u;\n");
    source += &format!("const NEAR = {};\nconst ENOUGH = {ENOUGH}u;\n", literal(NEAR));
    source += &format!("const MOST_DOUBLINGS = {MOST_DOUBLINGS}u;\n");
    if kind == SpatialCorrection::Median {
        source += &format!("const LARGEST = {}u;\n", LARGEST_PLATE.0 * LARGEST_PLATE.1);
        source += &format!("const MEDIAN_VARIANCE = {};\n", literal(MEDIAN_VARIANCE));
        source += include_str!("../../../shaders/spatial_median.wgsl");
        return Kernel { name: "spatial_median".into(), source };
    }
    source += &format!("const SUMS = {SUMS}u;\n");
    let names = ["down", "right", "value"];
    let terms = Program::record(names.len(), |v| neighbour(v[0], v[1], v[2]).to_vec());
    let arguments = names.map(|name| format!("{name}: f32")).join(", ");
    source += &function("neighbour", &arguments, &format!("array<f32, {SUMS}>"), &names.map(String::from), &terms);
    let height = Program::record(SUMS, |v| plane(from_fn(|i| v[i])).to_vec());
    let sums = entries(SUMS, |i| format!("sums[{i}]"));
    source += &function("plane", &format!("sums: array<f32, {SUMS}>"), "array<f32, 3>", &sums, &height);
    Kernel { name: "spatial".into(), source: source + include_str!("../../../shaders/spatial.wgsl") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::fit_kernel;
    use crate::model::ModelId;
    use crate::model::reference::{Further, Usual};

    fn validate(kernel: &Kernel) {
        let module = naga::front::wgsl::parse_str(&kernel.source)
            .unwrap_or_else(|e| panic!("{}: {}", kernel.name, e.emit_to_string(&kernel.source)));
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{}: {e:?}", kernel.name));
    }

    #[test]
    fn every_kernel_is_valid_wgsl() {
        for &model in ModelId::ALL {
            for points in [1, 8, 12, 16, 20] {
                validate(&fit_kernel::kernel(model.curve_model(), points));
            }
        }
        for model in ModelId::surfaces() {
            assert!(fit_kernel::supports_descents(model.curve_model()));
            validate(&fit_kernel::descent_kernel(model.curve_model()));
        }
        validate(&surfaces(Usual));
        validate(&surfaces(Further));
        for normalization in Normalization::ALL {
            validate(&plates(normalization));
        }
        validate(&spatial(SpatialCorrection::LocalRegression));
        validate(&spatial(SpatialCorrection::Median));
    }

    #[test]
    #[should_panic(expected = "lm_broken")]
    fn a_broken_kernel_is_noticed() {
        let mut kernel = surfaces(Usual);
        kernel.name = "lm_broken".into();
        kernel.source = kernel.source.replacen("let t", "let undefined", 1);
        validate(&kernel);
    }
}
