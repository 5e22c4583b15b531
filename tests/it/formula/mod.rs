//! Formula models: what a formula is worth, and where its mistakes are.

mod minima;
mod mistakes;
mod nist;
mod nist_fit;
mod nist_higher;
pub mod surface;
mod units;

use isobole::math::{Dual, Lanes, Scalar};
use isobole::model::formula::{FormulaFile, LN_DOSE_OF_ZERO, MAX_STARTING_POINTS, PointVariables};
use std::path::Path;

/// A model file whose parameters are `names`.
pub fn model(formula: &str, names: &[&str]) -> FormulaFile {
    let mut text = format!("name = \"tested\"\nformula = '''{formula}'''\n");
    for name in names {
        text += &format!("[parameters.{name}]\n");
    }
    FormulaFile::parse(&text, Path::new("tested.toml")).unwrap_or_else(|error| panic!("{error}"))
}

/// The formula's value at dose 3, x2 5 and with a = 2, b = -1.5, c = 0.5, as far as it names them.
fn value(formula: &str) -> f64 {
    let named = |name: &&str| formula.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').any(|word| word == *name);
    let names: Vec<&str> = ["a", "b", "c"].into_iter().filter(named).collect();
    let parameters: Vec<f64> =
        names.iter().map(|name| [2.0, -1.5, 0.5][usize::from(name.as_bytes()[0] - b'a')]).collect();
    model(formula, &names).expression.evaluate(&PointVariables::at(3.0, 5.0), &parameters)
}

#[test]
fn operators_bind_as_in_mathematics() {
    let (a, b, c, x) = (2.0f64, -1.5f64, 0.5f64, 3.0f64);
    for (formula, by_hand) in [
        ("a - b - c", a - b - c),
        ("a / c / x", a / c / x),
        ("a - b * c", a - b * c),
        ("(a - b) * c", (a - b) * c),
        ("a + 0 * 2 ^ 3 ^ 2", a),
        ("a * (2 ^ 3 ^ 2)", 1024.0),
        ("x ^ a ^ c", 3f64.powf(2f64.powf(0.5))),
        ("(x ^ a) ^ c", 3.0),
        ("-a ^ 2", -4.0),
        ("(-a) ^ 2", 4.0),
        ("b ^ 3", -3.375),
        ("a ^ -2", 0.25),
        ("b ^ -1", -1.0 / 1.5),
        ("a ^ -c * x", 3.0 / 2f64.sqrt()),
        ("a ^ -c ^ 2", 2f64.powf(-0.25)),
        ("-a * -b", -3.0),
        ("--a - -b", 0.5),
        ("+a + +x", 5.0),
        ("a * -b + c", 3.5),
        ("a / -x ^ 2", -2.0 / 9.0),
        ("a ^ 0 + b ^ 0", 2.0),
        ("a*x^2 - b*x2 + 1.5e-1", 18.0 + 7.5 + 0.15),
        ("min(a, b) + 10 * max(a, b)", 18.5),
        ("max(min(a, x), -x2) * .5 + 5.", 6.0),
        ("a * pi - e", 2.0 * std::f64::consts::PI - std::f64::consts::E),
        ("a + ln(e ^ 2) + log10(1e3) + sqrt(16)", 11.0),
        ("a * dose - x", 3.0),
        ("a * ln_dose / log10_dose", 2.0 * std::f64::consts::LN_10),
        ("\n  a\r\n+\tb ", 0.5),
    ] {
        let got = value(formula);
        assert!((got - by_hand).abs() <= 4e-15 * by_hand.abs().max(1.0), "{formula}: {got}, by hand {by_hand}");
    }
    // The comparison can fail: the other association is another number.
    assert!((value("x ^ a ^ c") - value("(x ^ a) ^ c")).abs() > 1.0);
}

#[test]
fn every_function_has_its_value_and_its_derivatives() {
    type Case = (&'static str, fn(f64, f64) -> f64);
    let cases: [Case; 18] = [
        ("exp(a * x + b)", |a, b| libm::exp(a * 3.0 + b)),
        ("ln(a * x) * b", |a, b| libm::log(a * 3.0) * b),
        ("log10(a * x) * b", |a, b| libm::log10(a * 3.0) * b),
        ("sqrt(a * x) * b", |a, b| (a * 3.0).sqrt() * b),
        ("sin(a * x) * b", |a, b| libm::sin(a * 3.0) * b),
        ("cos(a * x) * b", |a, b| libm::cos(a * 3.0) * b),
        ("tan(a) * b", |a, b| libm::tan(a) * b),
        ("atan(a / x) * b", |a, b| libm::atan(a / 3.0) * b),
        ("tanh(a / x) * b", |a, b| libm::tanh(a / 3.0) * b),
        ("tanh(a / 30) * b", |a, b| libm::tanh(a / 30.0) * b),
        ("abs(b) * a", |a, b| b.abs() * a),
        ("logistic(a + b * x)", |a, b| 1.0 / (1.0 + libm::exp(-(a + b * 3.0)))),
        ("min(a, b) * max(a * b, x)", |a, b| a.min(b) * (a * b).max(3.0)),
        ("a ^ b", libm::pow),
        ("(a / dose) ^ b", |a, b| libm::pow(a / 3.0, b)),
        ("(b - a) ^ 3 / (x2 - a)", |a, b| (b - a) * (b - a) * (b - a) / (5.0 - a)),
        ("(b - a) ^ -4", |a, b| libm::pow((b - a) * (b - a), -2.0)),
        ("a + (b - a) / (1 + (dose / a) ^ b)", |a, b| a + (b - a) / (1.0 + libm::pow(3.0 / a, b))),
    ];
    for (formula, truth) in cases {
        let expression = model(formula, &["a", "b"]).expression;
        let (a, b) = (1.3, -0.7);
        let point = PointVariables::at(3.0, 5.0);
        let constant = |v| Dual::<f64, 2>::constant(v);
        let lifted = point.map(constant);
        let dual = expression.evaluate(&lifted, &[Dual::parameter(a, 0), Dual::parameter(b, 1)]);
        assert!((dual.value - truth(a, b)).abs() < 1e-14 * (1.0 + truth(a, b).abs()), "{formula}: {}", dual.value);
        assert_eq!(dual.value, expression.evaluate(&point, &[a, b]), "{formula}: one value whatever the scalar");
        let h = 1e-5;
        let central =
            [(truth(a + h, b) - truth(a - h, b)) / (2.0 * h), (truth(a, b + h) - truth(a, b - h)) / (2.0 * h)];
        for (exact, central) in dual.gradient.iter().zip(central) {
            assert!((exact - central).abs() < 2e-9 * (1.0 + central.abs()), "{formula}: {exact} and {central}");
        }
        let wide = |v| Lanes::<4>::lit(v);
        let lanes = point.map(wide);
        let lanes = expression.evaluate(&lanes, &[Lanes([a, 0.4, 1.1, a]), Lanes([b, -0.2, b, 0.3])]);
        assert_eq!(lanes.0[0].to_bits(), dual.value.to_bits(), "{formula}: lanes have the same bits");
    }
}

#[test]
fn the_ways_to_write_a_hill_curve_agree_at_dose_zero_too() {
    let ways = [
        "bottom + (top - bottom) / (1 + (dose / ec50) ^ hill)",
        "bottom + (top - bottom) / (1 + (ec50 / dose) ^ -hill)",
        "top + (bottom - top) / (1 + (ec50 / dose) ^ hill)",
        "bottom + (top - bottom) * logistic(hill * (ln(ec50) - ln_dose))",
        "bottom + (top - bottom) / (1 + 10 ^ (hill * (log10_dose - log10(ec50))))",
        "bottom + (top - bottom) / (1 + exp(hill * (ln_dose - ln(ec50))))",
    ];
    for hill in [0.02, 0.3, 1.0, 4.0] {
        for dose in [0.0, 0.01, 0.5, 7.0] {
            let p: [Dual<f64, 4>; 4] =
                [Dual::parameter(1.1, 0), Dual::parameter(0.2, 1), Dual::parameter(0.5, 2), Dual::parameter(hill, 3)];
            let point = PointVariables::at(dose, 0.0).map(Dual::constant);
            let all = ways.map(|way| model(way, &["top", "bottom", "ec50", "hill"]).expression.evaluate(&point, &p));
            for (way, y) in ways.iter().zip(&all) {
                assert!((y.value - all[0].value).abs() < 1e-13, "{way} at {dose}: {} and {}", y.value, all[0].value);
                for (ours, first) in y.gradient.iter().zip(all[0].gradient) {
                    assert!((ours - first).abs() < 1e-12, "{way} at {dose}: slopes {ours} and {first}");
                }
            }
            if dose == 0.0 {
                assert_eq!(all[0].value, 1.1);
                assert_eq!(all[0].gradient, [1.0, 0.0, 0.0, 0.0]);
            }
        }
    }
    assert!(LN_DOSE_OF_ZERO < libm::log(f64::MIN_POSITIVE));
}

#[test]
fn without_an_answer_nothing_panics() {
    // A division by zero is a large number, not an infinite one; a logarithm saturates; only a root is NaN.
    let at = |formula: &str, a: f64, b: f64| {
        model(formula, &["a", "b"]).expression.evaluate(&PointVariables::at(0.0, 0.0), &[a, b])
    };
    assert_eq!(at("a / b", 2.0, 0.0), 2e37);
    assert_eq!(at("a / (b * dose)", -2.0, 1.0), -2e37);
    assert_eq!(at("a / b", 0.0, 0.0), 0.0);
    assert!((at("ln(a) + b", -3.0, 0.0) + 708.396).abs() < 1e-3);
    assert_eq!(at("a ^ b", -2.0, 0.5), 0.0);
    assert!(at("sqrt(a) + b", -1.0, 0.0).is_nan());
    // A parameter too few counts as 0.
    assert_eq!(model("a + b", &["a", "b"]).expression.evaluate(&PointVariables::at(1.0, 0.0), &[7.0]), 7.0);
}

#[test]
fn a_file_is_read_whole_and_in_order() {
    let text = "name = 'two_sites'\nreference = 'doi:10.0/none'\ndose_unit = 'nM'\n\
        formula = '''top * (share / (1 + dose / z_first) + (1 - share) / (1 + dose / a_second)) * scale'''\n\
        [parameters.z_first]\nper_dose = true\nunit = 'nM'\n[parameters.top]\nlower = 0.5\nupper = 1.5\nstart = [1, 0.9, 1]\n\
        [parameters.share]\nlower = 1e-3\nupper = 1\n[parameters.a_second]\nper_dose = true\nlower = -1\nupper = 2\n\
        start = 0.5\n[constants]\nscale = 0x2\n";
    let model = FormulaFile::parse(text, Path::new("m.toml")).unwrap();
    let names: Vec<&str> = model.parameters.iter().map(|p| p.name.as_str()).collect();
    assert_eq!(names, ["z_first", "top", "share", "a_second"]);
    assert_eq!((model.name.as_str(), model.dose_unit.as_str(), model.dose_per_molar), ("two_sites", "nM", 1e9));
    assert_eq!(model.reference.as_deref(), Some("doi:10.0/none"));
    assert_eq!(model.parameters[0].unit.as_deref(), Some("nM"));
    assert_eq!(model.constants, [("scale".to_owned(), 2.0)]);
    assert!(!model.uses_x2);
    assert_eq!(model.parameters[1].starts, [1.0, 0.9], "a start given twice is one");
    assert!((model.parameters[2].starts[0] - 0.001f64.sqrt()).abs() < 1e-15, "the geometric middle");

    let first = model.parameters[0].resolve(10.0, 1000.0);
    let close = |a: f64, b: f64| assert!((a / b - 1.0).abs() < 1e-12, "{a} and {b}");
    close(first.lower, 0.01);
    close(first.upper, 1e6);
    first.starts.iter().zip([0.1, 0.3, 0.5, 0.7, 0.9]).for_each(|(s, place)| close(*s, 10f64.powf(1.0 + 2.0 * place)));
    let second = model.parameters[3].resolve(10.0, 1000.0);
    close(second.lower, 1.0);
    close(second.upper, 1e5);
    close(second.starts[0], 100.0);
    let points = model.starting_points(10.0, 1000.0);
    assert_eq!(points.len(), 5 * 2);
    assert!(points.len() <= MAX_STARTING_POINTS && points.iter().all(|point| point.len() == 4));
    assert_eq!((points[0][1], points[1][1], points[2][1]), (1.0, 0.9, 1.0), "the last parameter varies fastest");
    // Doses that are none give a box all the same.
    let _ = model.starting_points(0.0, f64::NAN);
}

#[test]
fn starts_left_open_lie_inside_the_box() {
    for (keys, start) in [
        ("", 1.0),
        ("lower = 0", 1.0),
        ("lower = 5", 10.0),
        ("upper = 7", 1.0),
        ("upper = -2", -4.0),
        ("upper = 0.5", -0.5),
        ("lower = -4\nupper = 2", -1.0),
        ("lower = 1\nupper = 1e4", 100.0),
        ("lower = -1e4\nupper = -1", -100.0),
        ("lower = 1\nupper = 4", 2.5),
    ] {
        let text = format!("name = 'm'\nformula = 'a * x'\n[parameters.a]\n{keys}\n");
        let model = FormulaFile::parse(&text, Path::new("m.toml")).unwrap();
        let a = &model.parameters[0];
        assert!((a.starts[0] - start).abs() < 1e-9, "{keys}: {:?}", a.starts);
        assert!(a.lower < a.starts[0] && a.starts[0] < a.upper);
    }
}
