//! Kernels put together: the hand-written loop of `shaders/`, and before it the functions recorded from the same
//! generic Rust that the CPU runs.

use super::device::{GROUP, Kernel};
use crate::config::Normalization;
use crate::fit::normal_equations::{
    DAMPING_ACCEPTED, DAMPING_REJECTED, FIRST_DAMPING, FREE_DAMPING, LAST_DAMPING, NormalEquations, Step, solve_linear,
    start, step,
};
use crate::math::wgsl::{argument, function};
use crate::math::{Scalar, Wgsl};
use crate::model::surface::{HillCurve, bliss, hsa, loewe};
use crate::model::{CurveSummary, Model, ModelId, ModelVisitor, hill::Hill4};
use crate::plate::normalization::{normalized_percent_inhibition, percent_of_vehicle};
use std::array::from_fn;
use std::fmt::Write;

/// Single precision's [offset](crate::fit::levenberg_marquardt): a fit that stops here is within 1e-3 of a standard
/// error, and is certified in f64 afterwards.
const OFFSET: f64 = 1e-6;
/// Residuals of 1e-6 of a response of 1 are rounding in f32.
const ROUNDING: f64 = 1e-12;

/// Values read and written a dose pair by `surface.wgsl`.
pub const SURFACE_INPUTS: usize = 10;
/// HSA, Bliss, Loewe, ZIP.
pub const SURFACE_OUTPUTS: usize = 4;

/// Floats of the normal equations: lower triangle, gradient, sum of squares.
const fn normal_floats(parameters: usize) -> usize {
    parameters * (parameters + 1) / 2 + parameters + 1
}

fn flatten<const N: usize>(normal: NormalEquations<Wgsl, N>) -> Vec<Wgsl> {
    let triangle = (0..N).flat_map(|i| (0..=i).map(move |j| (i, j))).map(|(i, j)| normal.curvature[i][j]);
    triangle.chain(normal.gradient).chain([normal.sse]).collect()
}

fn normal_argument<const N: usize>() -> NormalEquations<Wgsl, N> {
    let mut normal = NormalEquations::zero();
    let mut at = 0;
    let mut next = || {
        at += 1;
        argument(format!("normal[{}]", at - 1))
    };
    for i in 0..N {
        for j in 0..=i {
            normal.curvature[i][j] = next();
        }
    }
    for i in 0..N {
        normal.gradient[i] = next();
    }
    normal.sse = next();
    normal
}

fn array_argument<const N: usize>(name: &str) -> [Wgsl; N] {
    from_fn(|i| argument(format!("{name}[{i}]")))
}

fn step_results<const N: usize>(step: Step<Wgsl, N>) -> Vec<Wgsl> {
    step.parameters.into_iter().chain([step.predicted, step.offset]).collect()
}

/// The functions of a model that `lm.wgsl` calls.
fn model_functions<M: Model<N>, const N: usize>() -> String {
    let (k, box_arguments) = (normal_floats(N), format!("lower: array<f32, {N}>, upper: array<f32, {N}>"));
    let normal = format!("normal: array<f32, {k}>");
    let p = format!("p: array<f32, {N}>");
    let mut source = function("add_treated", &format!("{normal}, x: f32, y: f32, w: f32, {p}"), || {
        let [x, y, w] = ["x", "y", "w"].map(argument);
        flatten(normal_argument::<N>().add_treated::<M>(x, y, w, array_argument("p")))
    });
    source += &function("add_untreated", &format!("{normal}, y: f32, w: f32, {p}"), || {
        let [y, w] = ["y", "w"].map(argument);
        flatten(normal_argument::<N>().add_untreated::<M>(y, w, array_argument("p")))
    });
    source += &function("lm_step", &format!("{normal}, {p}, {box_arguments}, damping: f32"), || {
        let (lower, upper) = (array_argument("lower"), array_argument("upper"));
        step_results(step(&normal_argument::<N>(), array_argument("p"), lower, upper, argument("damping"), [true; N]))
    });
    source += &function("solve_linear", &format!("{normal}, {p}, {box_arguments}"), || {
        let (lower, upper) = (array_argument("lower"), array_argument("upper"));
        step_results(solve_linear::<_, M, N>(&normal_argument::<N>(), array_argument("p"), lower, upper))
    });
    let ends = "ln_dose_low: f32, ln_dose_high: f32, response_low: f32, response_high: f32";
    let mut choice =
        format!("fn start(index: u32, {ends}, {box_arguments}) -> array<f32, {N}> {{\n    switch index {{\n");
    for index in 0..M::STARTS {
        source += &function(&format!("start_{index}"), &format!("{ends}, {box_arguments}"), || {
            let [ln_dose_low, ln_dose_high, response_low, response_high] =
                ["ln_dose_low", "ln_dose_high", "response_low", "response_high"].map(argument);
            let curve = CurveSummary { ln_dose_low, ln_dose_high, response_low, response_high };
            start::<_, M, N>(index, curve, array_argument("lower"), array_argument("upper")).to_vec()
        });
        let case = if index + 1 == M::STARTS { "default".to_owned() } else { format!("case {index}u") };
        let _ = writeln!(
            choice,
            "        {case}: {{ return start_{index}(ln_dose_low, ln_dose_high, response_low, response_high, lower, upper); }}"
        );
    }
    source + &choice + "    }\n}\n"
}

/// The fitting kernel of a model.
pub fn fit(model: ModelId) -> Kernel {
    struct Source;
    impl ModelVisitor for Source {
        type Output = String;
        fn visit<M: Model<N>, const N: usize>(self) -> String {
            let k = normal_floats(N);
            let mut source = format!(
                "const PARAMETERS = {N}u;\nconst NORMAL = {k}u;\nconst SSE = {}u;\nconst STARTS = {}u;\n\
                 const GROUP = {GROUP}u;\n",
                k - 1,
                M::STARTS
            );
            for (name, value) in [
                ("FIRST_DAMPING", FIRST_DAMPING),
                ("DAMPING_ACCEPTED", DAMPING_ACCEPTED),
                ("DAMPING_REJECTED", DAMPING_REJECTED),
                ("LAST_DAMPING", LAST_DAMPING),
                ("FREE_DAMPING", FREE_DAMPING),
                ("OFFSET", OFFSET),
                ("ROUNDING", ROUNDING),
            ] {
                let _ = writeln!(source, "const {name} = {:?}f;", value as f32);
            }
            source + &model_functions::<M, N>() + include_str!("../../../shaders/lm.wgsl")
        }
    }
    Kernel { name: format!("lm_{}", model.name()), source: model.visit(Source) }
}

/// The kernel of the reference surfaces.
pub fn surfaces() -> Kernel {
    let mut source =
        format!("const GROUP = {GROUP}u;\nconst INPUTS = {SURFACE_INPUTS}u;\nconst OUTPUTS = {SURFACE_OUTPUTS}u;\n");
    source += &function("expected", &format!("v: array<f32, {SURFACE_INPUTS}>"), || {
        let [z_a, z_b, alone_a, alone_b, top_a, bottom_a, slope_a, top_b, bottom_b, slope_b] =
            array_argument::<SURFACE_INPUTS>("v");
        // Doses come relative to each drug's EC50, formed in f64: single precision is kept for the differences.
        let zero = Wgsl::lit(0.0);
        let a = HillCurve { top: top_a, bottom: bottom_a, ln_ec50: zero, slope: slope_a };
        let b = HillCurve { top: top_b, bottom: bottom_b, ln_ec50: zero, slope: slope_b };
        let fitted_a = Hill4::response(z_a, [top_a, bottom_a, zero, slope_a]);
        let fitted_b = Hill4::response(z_b, [top_b, bottom_b, zero, slope_b]);
        vec![hsa(alone_a, alone_b), bliss(alone_a, alone_b), loewe(z_a, z_b, a, b), bliss(fitted_a, fitted_b)]
    });
    Kernel { name: "surface".into(), source: source + include_str!("../../../shaders/surface.wgsl") }
}

/// The kernel of a plate normalisation.
pub fn plates(normalization: Normalization) -> Kernel {
    let mut source = format!("const GROUP = {GROUP}u;\n");
    source += &function("normalise", "signal: f32, background: f32, vehicle: f32, positive: f32", || {
        let [signal, background, vehicle, positive] = ["signal", "background", "vehicle", "positive"].map(argument);
        vec![match normalization {
            Normalization::PercentOfVehicle => percent_of_vehicle(signal, background, vehicle),
            Normalization::NormalizedPercentInhibition => normalized_percent_inhibition(signal, vehicle, positive),
        }]
    });
    Kernel { name: format!("plate_{normalization:?}"), source: source + include_str!("../../../shaders/plate.wgsl") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validate(kernel: &Kernel) {
        let module = naga::front::wgsl::parse_str(&kernel.source)
            .unwrap_or_else(|e| panic!("{}: {}", kernel.name, e.emit_to_string(&kernel.source)));
        naga::valid::Validator::new(naga::valid::ValidationFlags::all(), naga::valid::Capabilities::empty())
            .validate(&module)
            .unwrap_or_else(|e| panic!("{}: {e:?}", kernel.name));
    }

    #[test]
    fn every_kernel_is_valid_wgsl() {
        for model in ModelId::ALL {
            validate(&fit(*model));
        }
        validate(&surfaces());
        validate(&plates(Normalization::PercentOfVehicle));
        validate(&plates(Normalization::NormalizedPercentInhibition));
    }

    #[test]
    #[should_panic(expected = "lm_broken")]
    fn a_broken_kernel_is_noticed() {
        let mut kernel = fit(ModelId::Hill4);
        kernel.name = "lm_broken".into();
        kernel.source = kernel.source.replacen("t0 *", "undefined *", 1).replacen("t1 ", "nowhere ", 1);
        validate(&kernel);
    }
}
