//! Kernels put together: the hand-written loop of `shaders/`, and before it the functions recorded from the same
//! generic Rust that the CPU runs.

use super::device::{GROUP, Kernel};
use crate::config::Normalization;
use crate::math::wgsl::function;
use crate::math::{Program, Recorded, Scalar};
use crate::model::surface::{HillCurve, bliss, hsa, loewe};
use crate::model::{Model, hill::Hill4};
use crate::plate::normalization::{normalized_percent_inhibition, percent_of_vehicle};
use std::array::from_fn;

/// Values read and written a dose pair by `surface.wgsl`.
pub const SURFACE_INPUTS: usize = 10;
/// HSA, Bliss, Loewe, ZIP.
pub const SURFACE_OUTPUTS: usize = 4;

/// Names of the entries of an array, or of the fields of a structure.
fn entries(count: usize, name: impl Fn(usize) -> String) -> Vec<String> {
    (0..count).map(name).collect()
}

/// The kernel of the reference surfaces.
pub fn surfaces() -> Kernel {
    let mut source =
        format!("const GROUP = {GROUP}u;\nconst INPUTS = {SURFACE_INPUTS}u;\nconst OUTPUTS = {SURFACE_OUTPUTS}u;\n");
    let program = Program::record(SURFACE_INPUTS, |v| {
        let [z_a, z_b, alone_a, alone_b, top_a, bottom_a, slope_a, top_b, bottom_b, slope_b] = from_fn(|i| v[i]);
        // Doses come relative to each drug's EC50, formed in f64: single precision is kept for the differences.
        let zero = Recorded::lit(0.0);
        let a = HillCurve { top: top_a, bottom: bottom_a, ln_ec50: zero, slope: slope_a };
        let b = HillCurve { top: top_b, bottom: bottom_b, ln_ec50: zero, slope: slope_b };
        let fitted_a = Hill4::response(z_a, [top_a, bottom_a, zero, slope_a]);
        let fitted_b = Hill4::response(z_b, [top_b, bottom_b, zero, slope_b]);
        vec![hsa(alone_a, alone_b), bliss(alone_a, alone_b), loewe(z_a, z_b, a, b), bliss(fitted_a, fitted_b)]
    });
    let inputs = entries(SURFACE_INPUTS, |i| format!("v[{i}]"));
    let result = format!("array<f32, {SURFACE_OUTPUTS}>");
    source += &function("expected", &format!("v: array<f32, {SURFACE_INPUTS}>"), &result, &inputs, &program);
    Kernel { name: "surface".into(), source: source + include_str!("../../../shaders/surface.wgsl") }
}

/// The kernel of a plate normalisation.
pub fn plates(normalization: Normalization) -> Kernel {
    let names = ["signal", "background", "vehicle", "positive"];
    let program = Program::record(names.len(), |v| {
        let [signal, background, vehicle, positive] = from_fn(|i| v[i]);
        vec![match normalization {
            Normalization::PercentOfVehicle => percent_of_vehicle(signal, background, vehicle),
            Normalization::NormalizedPercentInhibition => normalized_percent_inhibition(signal, vehicle, positive),
        }]
    });
    let arguments = names.map(|name| format!("{name}: f32")).join(", ");
    let mut source = format!("const GROUP = {GROUP}u;\n");
    source += &function("normalise", &arguments, "f32", &names.map(String::from), &program);
    Kernel { name: format!("plate_{normalization:?}"), source: source + include_str!("../../../shaders/plate.wgsl") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::gpu::fit_kernel;
    use crate::model::ModelId;

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
        validate(&surfaces());
        validate(&plates(Normalization::PercentOfVehicle));
        validate(&plates(Normalization::NormalizedPercentInhibition));
    }

    #[test]
    #[should_panic(expected = "lm_broken")]
    fn a_broken_kernel_is_noticed() {
        let mut kernel = surfaces();
        kernel.name = "lm_broken".into();
        kernel.source = kernel.source.replacen("let t", "let undefined", 1);
        validate(&kernel);
    }
}
