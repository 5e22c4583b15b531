//! NIST StRD's nonlinear regression problems (<https://www.itl.nist.gov/div898/strd/nls/nls_main.shtml>) as model
//! files, from both of their starting points, to the digits that NIST certifies.

use super::nist::PROBLEMS;
use super::nist_higher::HIGHER;
use crate::inference::{numbers, texts};
use crate::shared;
use isobole::backend::{Backend, cpu::Cpu};
use isobole::fit::inference::{Inference, infer_with};
use isobole::fit::{CurveSet, Fit, FitSettings};
use isobole::model::ModelId;
use isobole::model::formula::FormulaFile;
use isobole::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use std::path::Path;

/// A problem and its certified solution.
#[derive(Clone)]
pub struct Problem {
    pub name: String,
    pub formula: String,
    /// x, x2, y.
    pub points: Vec<[f64; 3]>,
    pub parameters: Vec<String>,
    /// Start 1, start 2, certified value, certified standard deviation: of each parameter.
    pub figures: Vec<[f64; 4]>,
    pub sum_of_squares: f64,
}

/// Digits that are asked for: of parameters, of standard deviations and sums of squares. Ten and ten are what comes out,
/// but for the six of Lanczos1's deviations, whose residuals feel the rounding of the parameters.
const NEEDED: [f64; 3] = [9.0, 6.0, 6.0];

fn are_enough(digits: [f64; 3]) -> bool {
    digits.iter().zip(NEEDED).all(|(digits, needed)| *digits >= needed)
}

/// Correct digits: minus the decimal logarithm of the relative error.
fn digits(got: f64, certified: f64) -> f64 {
    if got == certified { 15.0 } else { (-((got - certified) / certified).abs().log10()).clamp(0.0, 15.0) }
}

/// A problem fitted.
struct Solved {
    model: ModelId,
    fit: Fit,
    inference: Inference,
}

impl Problem {
    /// Fitted from start 0 or 1, all points with this weight.
    fn solve(&self, start: usize, weight: f64) -> Solved {
        let mut text = format!("name = 'nist'\ndose_unit = 'none'\nformula = '''{}'''\n", self.formula);
        for (name, figures) in self.parameters.iter().zip(&self.figures) {
            text += &format!("[parameters.{name}]\nstart = {:?}\n", figures[start]);
        }
        let file = FormulaFile::parse(&text, Path::new("nist.toml")).unwrap_or_else(|error| panic!("{error}"));
        let model = file.into_model();
        let mut set = CurveSet::new();
        set.push(None, self.points.iter().map(|[x, _, y]| (*x, *y, weight)));
        set.x2 = self.points.iter().map(|p| p[1]).collect();
        let fit = Cpu.fit(&FitSettings { max_iterations: 2000, ..FitSettings::new(model) }, &set).unwrap()[0];
        let point = |p: &[f64; 3]| CurvePoint { dose: p[0], response: p[2], weight, n: 1, sum_of_squares: 0.0 };
        let key = CurveKey { line: 0, drug: 0, schedule: None };
        let curve = Curve { key, points: self.points.iter().map(point).collect() };
        let inference = infer_with(&curve, &set.x2, &fit, model);
        Solved { model, fit, inference }
    }

    /// Digits of the worst parameter, the worst standard deviation and the sum of squares, fitted from start 0 or 1.
    pub fn fit(&self, start: usize) -> [f64; 3] {
        let Solved { fit, inference, .. } = self.solve(start, 1.0);
        let worst = |digits: &mut dyn Iterator<Item = f64>| digits.fold(15.0, f64::min);
        [
            worst(&mut self.figures.iter().zip(fit.parameters).map(|(f, p)| digits(p, f[2]))),
            worst(&mut self.figures.iter().zip(inference.standard_errors).map(|(f, e)| digits(e.unwrap_or(0.0), f[3]))),
            digits(inference.sse.unwrap_or(0.0), self.sum_of_squares),
        ]
    }
}

fn shared_problems() -> Option<Vec<Problem>> {
    let points = shared("data/nist_strd_points.parquet")?;
    let certified = shared("data/nist_strd_certified.parquet")?;
    let (of_point, of_parameter, names) =
        (texts(&points, "dataset"), texts(&certified, "dataset"), texts(&certified, "param"));
    let values = numbers(&points, &["x", "x2", "y"]);
    let answers = numbers(&certified, &["start1", "start2", "certified", "certified_sd", "rss"]);
    let problem = |(name, formula): &(&str, &str)| {
        let rows: Vec<usize> = (0..of_parameter.len()).filter(|&row| of_parameter[row] == *name).collect();
        let of_problem = (0..of_point.len()).filter(|&row| of_point[row] == *name);
        let response = |y: f64| if *name == "Nelson" { y.ln() } else { y };
        let x2 = |x2: f64| if x2.is_nan() { 0.0 } else { x2 };
        Problem {
            name: (*name).to_owned(),
            formula: (*formula).to_owned(),
            points: of_problem.map(|row| [values[0][row], x2(values[1][row]), response(values[2][row])]).collect(),
            parameters: rows.iter().map(|&row| names[row].clone()).collect(),
            figures: rows.iter().map(|&row| std::array::from_fn(|k| answers[k][row])).collect(),
            sum_of_squares: answers[4][rows[0]],
        }
    };
    Some(PROBLEMS.iter().map(problem).collect())
}

#[test]
fn lower_and_average_problems_are_solved_to_nine_digits() {
    let Some(problems) = shared_problems() else { return };
    let mut failures = Vec::new();
    for problem in &problems {
        for start in [0, 1] {
            let digits = problem.fit(start);
            println!("{:10} start {} digits {digits:.1?}", problem.name, start + 1);
            if !are_enough(digits) {
                failures.push(format!("{} from start {}: {digits:.1?}", problem.name, start + 1));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn higher_problems_are_solved_as_well() {
    let mut failures = Vec::new();
    for (name, formula, x, y, figures, sum_of_squares) in HIGHER {
        let problem = Problem {
            name: name.into(),
            formula: formula.into(),
            points: x.iter().zip(y).map(|(x, y)| [*x, 0.0, *y]).collect(),
            parameters: (1..=figures.len()).map(|i| format!("b{i}")).collect(),
            figures: figures.to_vec(),
            sum_of_squares,
        };
        for start in [0, 1] {
            let digits = problem.fit(start);
            println!("{name:10} start {} digits {digits:.1?}", start + 1);
            if !are_enough(digits) {
                failures.push(format!("{name} from start {}: {digits:.1?}", start + 1));
            }
        }
    }
    assert!(failures.is_empty(), "{failures:#?}");
}

#[test]
fn a_datum_that_is_off_by_a_hundred_thousandth_is_seen() {
    let Some(mut problems) = shared_problems() else { return };
    let problem = problems.iter_mut().find(|p| p.name == "Misra1a").unwrap();
    let datum = &mut problem.points.last_mut().unwrap()[2];
    *datum *= 1.0 + 1e-5;
    assert!(problem.fit(0)[0] < 6.0);
}

/// The residuals of Lanczos1 are 1e-13 of its responses, which leaves three digits of them in f64.
#[test]
fn residuals_near_the_rounding_of_f64_have_their_digits() {
    let Some(problems) = shared_problems() else { return };
    let problem = problems.iter().find(|p| p.name == "Lanczos1").unwrap();
    for start in [0, 1] {
        let Solved { model, fit, inference } = problem.solve(start, 1.0);
        let of_fit = digits(fit.sse, problem.sum_of_squares);
        assert!(of_fit >= 6.0, "{of_fit}");
        // Nobody reads it off the residuals that f64 has at the same parameters.
        let in_f64 = problem.points.iter().map(|[x, _, y]| y - model.response(*x, &fit.parameters));
        let in_f64 = digits(in_f64.map(|r| r * r).sum(), problem.sum_of_squares);
        assert!(in_f64 < 4.0, "{in_f64}");
        // Three times the weight is three times the sum of squares, of parameters that are as uncertain as before.
        let heavy = problem.solve(start, 3.0).inference;
        let sum = digits(heavy.sse.unwrap(), 3.0 * problem.sum_of_squares);
        assert!(sum >= 5.0, "{sum}");
        for (a, b) in inference.standard_errors.iter().zip(heavy.standard_errors).take(6) {
            assert!(digits(b.unwrap(), a.unwrap()) >= 5.0, "{a:?} and {b:?}");
        }
    }
    // A response that is off in its sixteenth digit is seen.
    let mut off = problem.clone();
    off.points[0][2] += 2e-15;
    assert!(off.fit(0)[2] < 4.0);
}

#[test]
fn data_without_noise_have_no_residuals_and_no_nan() {
    let line = Problem {
        name: "line".into(),
        formula: "b1 + b2*x".into(),
        points: [0.1, 0.3, 0.7, 1.1, 1.3].map(|x: f64| [x, 0.0, (1e4 * (0.5 + 0.25 * x)).round() / 1e4]).to_vec(),
        parameters: vec!["b1".into(), "b2".into()],
        figures: vec![[1.0; 4]; 2],
        sum_of_squares: 0.0,
    };
    let Solved { fit, inference, .. } = line.solve(0, 1.0);
    assert!((fit.parameters[0] - 0.5).abs() < 1e-15 && (fit.parameters[1] - 0.25).abs() < 1e-15, "{fit:?}");
    assert!(fit.sse >= 0.0 && fit.sse < 1e-30, "{fit:?}");
    assert!(inference.sse.is_some_and(|sse| (0.0..1e-30).contains(&sse)), "{inference:?}");
    assert!(inference.standard_errors[..2].iter().flatten().filter(|e| **e >= 0.0 && **e < 1e-14).count() == 2);
    // One response off in its sixteenth digit, and the sum is above what the rounding of parameters explains.
    let mut off = line.clone();
    off.points[2][2] += 4e-15;
    assert!(off.solve(0, 1.0).fit.sse > 1e-30);
}
