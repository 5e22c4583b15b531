//! The generated WGSL, and the arithmetic that it is generated from, without a GPU.

use isobole::math::{Dual, Scalar, wgsl};
use isobole::model::hill::Hill4;
use isobole::model::{Axis, Model, ModelId};

#[test]
fn hill4_is_recorded_as_this() {
    let program = &ModelId::Hill4.curve_model().gradient;
    let inputs: Vec<String> =
        ["x", "dose", "x2", "top", "bottom", "ln_ec50", "hill"].into_iter().map(String::from).collect();
    let arguments = inputs.iter().map(|name| format!("{name}: f32")).collect::<Vec<_>>().join(", ");
    insta::assert_snapshot!("hill4", wgsl::function("hill4", &arguments, "array<f32, 5>", &inputs, program));
}

/// Central differences of a model's value against its recorded gradient, worst over a grid.
fn gradient_error(model: ModelId) -> f64 {
    let model = model.curve_model();
    let middle: Vec<f64> = (model.parameters.iter())
        .map(|p| match p.name {
            "ln_ec50_second" => 1.9,
            _ if p.axis == Axis::LnDose => 0.3,
            "hill" | "hill_first" | "hill_second" | "h_gr" | "slope" | "asymmetry" => 1.7,
            "top" => 1.1,
            _ => 0.2,
        })
        .collect();
    let mut worst: f64 = 0.0;
    for step in -12..=12 {
        let point = model.point_at_ln_dose(f64::from(step) * 0.9);
        let (_, exact) = model.response_and_gradient(point, &middle);
        for i in 0..middle.len() {
            let at = |h: f64| {
                let mut p = middle.clone();
                p[i] += h;
                model.response_at(point, &p)
            };
            worst = worst.max((exact[i] - (at(1e-6) - at(-1e-6)) / 2e-6).abs());
        }
    }
    worst
}

#[test]
fn every_model_differentiates_itself() {
    for &model in ModelId::ALL {
        let worst = gradient_error(model);
        assert!(worst < 1e-8, "{}: off by {worst:e}", model.name());
    }
}

#[test]
fn steep_curves_keep_their_gradient_in_single_precision() {
    // A textbook 1 / (1 + e^t) overflows here and gives a gradient that is not a number.
    let p: [Dual<f32, 4>; 4] = [0.95f32, 0.1, -23.0, 20.0].map(Dual::constant);
    let p: [Dual<f32, 4>; 4] = std::array::from_fn(|i| Dual::parameter(p[i].value, i));
    let y = Hill4::response(Dual::constant(-9.0f32), p);
    assert!(y.value.is_finite() && y.gradient.iter().all(|g| g.is_finite()), "{y:?}");
    let naive: f32 = 20.0f32 * (-9.0 + 23.0);
    assert!(!naive.exp().is_finite());
}

#[test]
fn the_stable_primitives_are_stable() {
    for z in [-800.0f64, -40.0, -1.0, 0.0, 1e-9, 2.5, 40.0, 800.0] {
        let (value, slope) = z.logistic_and_slope();
        let small = (-z.abs()).exp();
        let (exact, exact_slope) =
            (if z < 0.0 { small / (1.0 + small) } else { 1.0 / (1.0 + small) }, small / (1.0 + small).powi(2));
        assert!((value - exact).abs() <= 1e-15 && (slope - exact_slope).abs() <= 1e-15, "{z}");
        assert!((z.softplus() - (z.max(0.0) + small.ln_1p())).abs() <= 1e-13, "{z}");
    }
}
