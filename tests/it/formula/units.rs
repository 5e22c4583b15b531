//! A formula fits the same curve in whatever units its doses and parameters are, and its terms change places only
//! where the curve stays the same.

use isobole::backend::{Backend, cpu::Cpu};
use isobole::fit::{CurveSet, Fit, FitSettings, Status};
use isobole::model::formula::FormulaFile;
use std::path::Path;

/// Fits `formula` with parameters of given starts and bounds.
fn fit(formula: &str, parameters: &[(&str, &str)], points: impl Iterator<Item = (f64, f64)>) -> Fit {
    let mut text = format!("name = 'units'\ndose_unit = 'none'\nformula = '''{formula}'''\n");
    for (name, rest) in parameters {
        text += &format!("[parameters.{name}]\n{rest}\n");
    }
    let file = FormulaFile::parse(&text, Path::new("units.toml")).unwrap_or_else(|error| panic!("{error}"));
    let mut set = CurveSet::new();
    set.push(None, points.map(|(x, y)| (x, y, 1.0)));
    Cpu.fit(&FitSettings::new(file.into_model()), &set).unwrap()[0]
}

/// The largest relative error of the parameters.
fn error(fit: &Fit, truth: &[f64]) -> f64 {
    fit.parameters.iter().zip(truth).map(|(p, t)| (p / t - 1.0).abs()).fold(0.0, f64::max)
}

/// Bounds beyond those that a parameter has by itself.
const WIDE: &str = "lower = -1e30\nupper = 1e30";

#[test]
fn a_parameter_whose_unit_makes_it_huge_is_found() {
    // Doses of 1e-9 and a coefficient of their square: the basis function is 1e-18, its square 1e-36.
    for unit in [1.0, 1e-9, 1e-12] {
        let doses = move |k: i32| (f64::from(k) + 0.5) * unit;
        let (linear, quadratic) = (0.3 / unit, -0.02 / unit / unit);
        let alone = fit("c*dose^2", &[("c", WIDE)], (0..8).map(|k| (doses(k), quadratic * doses(k).powi(2))));
        assert!(error(&alone, &[quadratic]) < 1e-9, "unit {unit}: {alone:?}");
        let with = |d: f64| 1.0 + linear * d + quadratic * d * d;
        let all = fit(
            "a + b*dose + c*dose^2",
            &[("a", ""), ("b", WIDE), ("c", WIDE)],
            (0..8).map(|k| (doses(k), with(doses(k)))),
        );
        assert!(error(&all, &[1.0, linear, quadratic]) < 1e-9, "unit {unit}: {all:?}");
        // The same where it is not linear.
        let curved = fit(
            "exp(-c*dose^2)",
            &[("c", &format!("start = {}\n{WIDE}", 0.01 / unit / unit))],
            (0..8).map(|k| (doses(k), (quadratic * doses(k).powi(2)).exp())),
        );
        assert!(error(&curved, &[-quadratic]) < 1e-7, "unit {unit}: {curved:?}");
        assert_eq!(curved.status, Status::Converged);
        assert!(error(&curved, &[-1.001 * quadratic]) > 1e-4, "the comparison can fail");
    }
}

#[test]
fn terms_that_only_look_alike_keep_their_places() {
    // Below dose 10 nothing tells the terms apart by more than rounding; at 1,000 one of them has a tail.
    let formula = "a*exp(-b*dose) + c*exp(-d*dose) + b*(dose/1000)^8";
    let truth = [2.0, 0.9, 1.0, 0.2];
    let response = |x: f64| {
        let [a, b, c, d] = truth;
        a * (-b * x).exp() + c * (-d * x).exp() + b * (x / 1000.0).powi(8)
    };
    let doses = [0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 12.0, 20.0, 600.0, 800.0, 1000.0];
    // The starts ask for the other order.
    let parameters = [("a", "start = 1"), ("b", "start = 0.3"), ("c", "start = 1"), ("d", "start = 1.1")];
    let found = fit(formula, &parameters, doses.iter().map(|x| (*x, response(*x))));
    assert!(error(&found, &truth) < 1e-6, "{found:?}");
    // Without the tail they do change places.
    let formula = "a*exp(-b*dose) + c*exp(-d*dose)";
    let tail = |x: f64| truth[1] * (x / 1000.0).powi(8);
    let found = fit(formula, &parameters, doses.iter().map(|x| (*x, response(*x) - tail(*x))));
    assert!(error(&found, &[1.0, 0.2, 2.0, 0.9]) < 1e-6, "{found:?}");
}

#[test]
fn a_kink_ends_a_fit_with_what_is_true_of_it() {
    // The sum of absolute differences of a corner: no parabola is its minimum, and the corner is found all the same.
    let corner = |x: f64| 0.5 + 0.3 * (x - 2.7_f64).abs();
    let parameters = [("a", ""), ("b", ""), ("m", "lower = 0\nupper = 6\nstart = [1, 2, 3, 4]")];
    let points = (0..13).map(|k| f64::from(k) / 2.0).map(|x| (x, corner(x)));
    let found = fit("a + b*abs(dose - m)", &parameters, points);
    assert!(error(&found, &[0.5, 0.3, 2.7]) < 1e-6, "{found:?}");
    assert!(found.status.is_fitted());
}
