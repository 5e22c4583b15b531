//! Formulas against the certified residual sums of squares of NIST StRD (<https://www.itl.nist.gov/div898/strd/nls/>):
//! at the certified parameters, a formula that is read rightly gives them.

use super::model;
use crate::inference::{numbers, texts};
use crate::shared;
use isobole::model::formula::PointVariables;

const LANCZOS: &str = "b1*exp(-b2*x) + b3*exp(-b4*x) + b5*exp(-b6*x)";
const GAUSS: &str = "b1*exp(-b2*x) + b3*exp(-(x - b4)^2 / b5^2) + b6*exp(-(x - b7)^2 / b8^2)";
const CHWIRUT: &str = "exp(-b1*x) / (b2 + b3*x)";

/// Problem and formula; the response of Nelson is the logarithm of the one in the table.
pub const PROBLEMS: [(&str, &str); 19] = [
    ("Misra1a", "b1 * (1 - exp(-b2*x))"),
    ("Misra1b", "b1 * (1 - (1 + b2*x/2)^(-2))"),
    ("Misra1c", "b1 * (1 - (1 + 2*b2*x)^(-.5))"),
    ("Misra1d", "b1*b2*x * (1 + b2*x)^-1"),
    ("Chwirut1", CHWIRUT),
    ("Chwirut2", CHWIRUT),
    ("Lanczos1", LANCZOS),
    ("Lanczos2", LANCZOS),
    ("Lanczos3", LANCZOS),
    ("Gauss1", GAUSS),
    ("Gauss2", GAUSS),
    ("Gauss3", GAUSS),
    ("DanWood", "b1 * x^b2"),
    ("Kirby2", "(b1 + b2*x + b3*x^2) / (1 + b4*x + b5*x^2)"),
    ("Hahn1", "(b1 + b2*x + b3*x^2 + b4*x^3) / (1 + b5*x + b6*x^2 + b7*x^3)"),
    ("Nelson", "b1 - b2*x * exp(-b3*x2)"),
    ("MGH17", "b1 + b2*exp(-x*b4) + b3*exp(-x*b5)"),
    ("Roszman1", "b1 - b2*x - atan(b3 / (x - b4)) / pi"),
    (
        "ENSO",
        "b1 + b2*cos(2*pi*x/12) + b3*sin(2*pi*x/12) + b5*cos(2*pi*x/b4) + b6*sin(2*pi*x/b4) \
         + b8*cos(2*pi*x/b7) + b9*sin(2*pi*x/b7)",
    ),
];

#[test]
fn formulas_give_the_certified_sums_of_squares() {
    let (Some(points), Some(certified)) =
        (shared("data/nist_strd_points.parquet"), shared("data/nist_strd_certified.parquet"))
    else {
        return;
    };
    let (of_point, of_parameter, parameter) =
        (texts(&points, "dataset"), texts(&certified, "dataset"), texts(&certified, "param"));
    let (values, answers) = (numbers(&points, &["x", "x2", "y"]), numbers(&certified, &["certified", "rss"]));
    for (problem, formula) in PROBLEMS {
        let rows: Vec<usize> = (0..of_parameter.len()).filter(|&row| of_parameter[row] == problem).collect();
        let names: Vec<&str> = rows.iter().map(|&row| parameter[row].as_str()).collect();
        let at: Vec<f64> = rows.iter().map(|&row| answers[0][row]).collect();
        let model = model(formula, &names);
        assert_eq!(model.uses_x2, problem == "Nelson");
        let sum_of_squares = |parameters: &[f64]| -> f64 {
            let points = (0..of_point.len()).filter(|&row| of_point[row] == problem);
            let residual = |row: usize| {
                let y = if problem == "Nelson" { values[2][row].ln() } else { values[2][row] };
                y - model.expression.evaluate(&PointVariables::at(values[0][row], values[1][row]), parameters)
            };
            points.map(|row| residual(row).powi(2)).sum()
        };
        let rss = answers[1][rows[0]];
        // Parameters are certified to 11 digits: where the residuals are no larger than that, they are all that is seen.
        let tolerance = if rss < 1e-12 { 1e-20 } else { 1e-9 * rss };
        let ours = sum_of_squares(&at);
        assert!((ours - rss).abs() <= tolerance, "{problem}: {ours:e}, certified {rss:e}");
        let mut wrong = at.clone();
        wrong[0] *= 1.01;
        assert!((sum_of_squares(&wrong) - rss).abs() > tolerance, "{problem}: one per cent in b1 is seen");
    }
}
