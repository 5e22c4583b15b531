//! A model file fitted to data simulated from itself, before it is let loose on an archive: does the fitter find the curve
//! back, do the parameters come out where they were, and are their standard errors what they say?

use super::inference::infer;
use super::{CurveSet, Fit, FitSettings, Status};
use crate::Result;
use crate::backend::Backend;
use crate::math::random::{standard_normal, uniform};
use crate::math::special::t_quantile;
use crate::model::formula::{FormulaFile, FormulaParameter};
use crate::model::{CurveModel, ModelId};
use crate::screen::dose_matrix::{Curve, CurveKey, CurvePoint};

/// Curves simulated: they know a coverage of 95 % to one percent.
pub const CURVES: usize = 500;
/// Doses of a curve, over four decades.
pub const DOSES: usize = 10;
/// Wells at each dose.
pub const REPLICATES: usize = 3;
/// Standard deviation of a well, as a share of the curve's range.
pub const NOISE: f64 = 0.05;
/// Lowest molar dose.
const LOWEST: f64 = 1e-9;
const DECADES: f64 = 4.0;
/// A curve without noise is found back where its residuals are below this share of its range.
const FOUND: f64 = 1e-4;
/// A parameter is biased where its estimates are off by more than this share of their standard errors, on average.
pub const BIASED: f64 = 0.25;
/// Intervals of 95 % that hold the truth less often than this promise too much, more often than that too little.
pub const COVERED: (f64, f64) = (0.91, 0.99);
/// Share of the curves in which a parameter must have a standard error to count as identified.
pub const IDENTIFIED: f64 = 0.9;
/// Share of curves that must be found back without noise.
pub const FOUND_SHARE: f64 = 0.95;
/// Ends of a box beyond these are no ends.
const OPEN: f64 = 1e11;

/// One parameter, over all simulated curves.
#[derive(Debug, Clone, PartialEq)]
pub struct ParameterRecovery {
    /// Its name in the formula.
    pub name: String,
    /// Share of the curves in which it has a standard error.
    pub identified: f64,
    /// Mean of estimate minus truth over the standard error; `None` where there is none.
    pub bias: Option<f64>,
    /// Median of the standard errors, in the unit of the formula.
    pub median_standard_error: Option<f64>,
    /// Share of its 95 % intervals that hold the truth.
    pub coverage: Option<f64>,
    /// `recovered`, `weakly_identified`, `biased`, `overconfident`, `overcautious`.
    pub verdict: &'static str,
}

/// How a model recovers itself.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovery {
    /// Curves, or matrices, simulated.
    pub simulated: usize,
    /// Share of them whose fit without noise returns the curve.
    pub found: f64,
    /// Share of them that are fitted with noise.
    pub fitted: f64,
    /// The parameters, in the order of the file.
    pub parameters: Vec<ParameterRecovery>,
    /// `sound`, `usable_with_care`, `not_sound`.
    pub verdict: &'static str,
}

/// One simulated unit with noise: what was put in, what came out.
#[derive(Debug, Clone, PartialEq)]
pub struct Recovered {
    /// The truth, in the units of the fit.
    pub truth: Vec<f64>,
    /// The fit.
    pub fit: Fit,
    /// Standard errors, where the data tell.
    pub standard_errors: Vec<Option<f64>>,
    /// Degrees of freedom behind them.
    pub degrees_of_freedom: Option<f64>,
}

impl Recovery {
    /// Sums up. `found` says of each unit whether its fit without noise returned it.
    pub fn of(names: &[&str], found: &[bool], recovered: &[Recovered]) -> Self {
        let share = |n: usize, of: usize| n as f64 / of.max(1) as f64;
        let fitted: Vec<&Recovered> = recovered.iter().filter(|one| one.fit.status.is_fitted()).collect();
        let parameter = |(k, name): (usize, &&str)| {
            let mut errors = Vec::new();
            let (mut sum, mut covered) = (0.0, 0usize);
            for one in &fitted {
                let Some(se) = one.standard_errors.get(k).copied().flatten().filter(|se| *se > 0.0) else { continue };
                let deviation = (one.fit.parameters[k] - one.truth[k]) / se;
                let quantile = one.degrees_of_freedom.and_then(|df| t_quantile(0.975, df)).unwrap_or(1.96);
                sum += deviation;
                covered += usize::from(deviation.abs() <= quantile);
                errors.push(se);
            }
            errors.sort_by(f64::total_cmp);
            let n = errors.len();
            let known = |value: f64| (n > 0).then_some(value);
            let identified = share(n, fitted.len());
            let (bias, coverage) = (known(sum / n.max(1) as f64), known(share(covered, n)));
            let verdict = match (bias, coverage) {
                _ if identified < IDENTIFIED => "weakly_identified",
                (_, Some(coverage)) if coverage < COVERED.0 => "overconfident",
                (Some(bias), _) if bias.abs() > BIASED => "biased",
                (_, Some(coverage)) if coverage > COVERED.1 => "overcautious",
                (Some(_), Some(_)) => "recovered",
                _ => "weakly_identified",
            };
            let median_standard_error = errors.get(n / 2).copied();
            ParameterRecovery { name: (*name).to_owned(), identified, bias, median_standard_error, coverage, verdict }
        };
        let parameters: Vec<ParameterRecovery> = names.iter().enumerate().map(parameter).collect();
        let found = share(found.iter().filter(|found| **found).count(), found.len());
        let fitted = share(fitted.len(), recovered.len());
        let verdict = match () {
            () if found < FOUND_SHARE || fitted < FOUND_SHARE => "not_sound",
            () if parameters.iter().all(|p| matches!(p.verdict, "recovered" | "overcautious")) => "sound",
            () => "usable_with_care",
        };
        Self { simulated: recovered.len(), found, fitted, parameters, verdict }
    }
}

/// A true value of a parameter, `place` in [0, 1]: about its starts where the file gives some, else in the middle of its
/// box; a dose, between the doses tested.
pub fn true_value(parameter: &FormulaParameter, lowest: f64, highest: f64, place: f64) -> f64 {
    if parameter.per_dose || parameter.per_dose_b {
        let (low, high) = (libm::log10(lowest), libm::log10(highest));
        return libm::exp10(low + (0.3 + 0.4 * place) * (high - low));
    }
    let (lower, upper) = (parameter.lower, parameter.upper);
    let inside = |value: f64| value.max(lower).min(upper);
    if parameter.has_starts || lower < -OPEN || upper > OPEN {
        let low = parameter.starts.iter().copied().fold(f64::INFINITY, f64::min);
        let high = parameter.starts.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        // A lone start is the middle of values a quarter about it, or of a tenth of the box where it is zero.
        let about =
            if low == 0.0 && high == 0.0 { 0.05 * (upper - lower).min(2.0) } else { 0.25 * low.abs().min(high.abs()) };
        let widened = if low == high { (low - about, high + about) } else { (low, high) };
        return inside(widened.0 + place * (widened.1 - widened.0));
    }
    if lower > 0.0 && upper / lower >= 20.0 {
        let (low, high) = (libm::log(lower), libm::log(upper));
        return libm::exp(low + (0.3 + 0.4 * place) * (high - low));
    }
    lower + (0.3 + 0.4 * place) * (upper - lower)
}

/// Simulates curves from a model file and fits them; `None` for a model with a second variable, whose design nobody knows.
///
/// # Errors
/// Those of the back end.
pub fn recover(file: &FormulaFile, model: ModelId, seed: u64, backend: &dyn Backend) -> Result<Option<Recovery>> {
    let curve_model = model.curve_model();
    if file.uses_x2 || file.is_surface {
        return Ok(None);
    }
    let doses: Vec<f64> = if file.dose_unit == "none" {
        (1..=DOSES).map(|i| i as f64).collect()
    } else {
        (0..DOSES).map(|i| LOWEST * libm::exp10(i as f64 * DECADES / (DOSES - 1) as f64)).collect()
    };
    let (lowest, highest) = (doses[0] * file.dose_per_molar, doses[DOSES - 1] * file.dose_per_molar);
    let truths: Vec<Vec<f64>> = (0..CURVES as u64)
        .map(|unit| {
            let place =
                |(k, p): (usize, &FormulaParameter)| true_value(p, lowest, highest, uniform(seed, unit, 0, k as u32));
            file.parameters.iter().enumerate().map(place).collect()
        })
        .collect();
    let (mut clean, mut noisy) = (Vec::new(), Vec::new());
    let mut ranges = Vec::new();
    for (unit, truth) in truths.iter().enumerate() {
        let (range, curve) = simulated(curve_model, truth, &doses, 0.0, seed, unit as u64);
        clean.push(curve);
        noisy.push(simulated(curve_model, truth, &doses, NOISE * range, seed, unit as u64).1);
        ranges.push(range);
    }
    let settings = FitSettings::new(model);
    let found = backend.fit(&settings, &CurveSet::of(&clean, &[]))?;
    let points = (DOSES * REPLICATES) as f64;
    let is_found = |(fit, range): (&Fit, &f64)| {
        fit.status.is_fitted() && (fit.sse / points).sqrt() <= FOUND * range.max(f64::MIN_POSITIVE)
    };
    let found: Vec<bool> = found.iter().zip(&ranges).map(is_found).collect();
    let fits = backend.fit(&settings, &CurveSet::of(&noisy, &[]))?;
    let of = |((truth, fit), curve): ((&Vec<f64>, &Fit), &Curve)| {
        let inference = infer(curve, fit, model);
        let status = if inference.sse.is_some() { fit.status } else { Status::BadValue };
        Recovered {
            truth: truth.clone(),
            fit: Fit { status, ..*fit },
            standard_errors: inference.standard_errors[..truth.len()].to_vec(),
            degrees_of_freedom: inference.degrees_of_freedom.map(f64::from),
        }
    };
    let recovered: Vec<Recovered> = truths.iter().zip(&fits).zip(&noisy).map(of).collect();
    let names: Vec<&str> = file.parameters.iter().map(|p| p.name.as_str()).collect();
    Ok(Some(Recovery::of(&names, &found, &recovered)))
}

/// A curve of replicates with this noise, and the range of its responses.
fn simulated(model: &CurveModel, truth: &[f64], doses: &[f64], noise: f64, seed: u64, unit: u64) -> (f64, Curve) {
    let expected: Vec<f64> = doses.iter().map(|dose| model.response(*dose, 0.0, truth)).collect();
    let low = expected.iter().copied().fold(f64::INFINITY, f64::min);
    let high = expected.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let point = |(i, (dose, expected)): (usize, (&f64, &f64))| {
        let well = |r: usize| expected + noise * standard_normal(seed, unit, 1 + r as u32, i as u32);
        let mean = (0..REPLICATES).map(well).sum::<f64>() / REPLICATES as f64;
        let squares = (0..REPLICATES).map(|r| (well(r) - mean) * (well(r) - mean)).sum();
        let n = REPLICATES as u32;
        CurvePoint { dose: *dose, response: mean, weight: f64::from(n), n, sum_of_squares: squares }
    };
    let points = doses.iter().zip(&expected).enumerate().map(point).collect();
    (high - low, Curve { key: CurveKey { line: 0, drug: 0, schedule: None }, points })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::cpu::Cpu;
    use std::path::Path;

    fn recovery(text: &str) -> Recovery {
        let file = FormulaFile::parse(text, Path::new("mine.toml")).expect("a model");
        let model = file.clone().into_model();
        recover(&file, model, 1, &Cpu).expect("fits").expect("curves")
    }

    #[test]
    fn a_hill_curve_recovers_itself_and_a_model_with_one_parameter_too_many_does_not() {
        let head = "dose_unit = \"uM\"\n[parameters.top]\nlower = 0.5\nupper = 1.5\nstart = [0.9, 1.1]\n\
            [parameters.ec50]\nper_dose = true\n[parameters.hill]\nlower = 0.2\nupper = 6.0\nstart = [0.8, 1.6]\n";
        let hill = format!("name = \"own_hill\"\nformula = \"top / (1 + (dose / ec50)^hill)\"\n{head}");
        let sound = recovery(&hill);
        assert_eq!((sound.verdict, sound.found), ("sound", 1.0), "{sound:?}");
        assert!(sound.parameters.iter().all(|p| p.identified > 0.99), "{sound:?}");
        // Only the product of the two is in the data.
        let twice = format!(
            "name = \"own_twice\"\nformula = \"top * much / (1 + (dose / ec50)^hill)\"\n{head}\
            [parameters.much]\nlower = 0.5\nupper = 2.0\nstart = [0.9, 1.1]\n"
        );
        let unsound = recovery(&twice);
        assert_ne!(unsound.verdict, "sound");
        let of = |name: &str| unsound.parameters.iter().find(|p| p.name == name).map(|p| p.verdict);
        assert_eq!((of("much"), of("top")), (Some("weakly_identified"), Some("weakly_identified")), "{unsound:?}");
    }

    #[test]
    fn standard_errors_that_promise_too_much_and_estimates_that_are_off_are_called_so() {
        let made = |off: f64, se: f64| {
            let one = |unit: u64| {
                let mut fit = Fit::failed(Status::Converged);
                fit.parameters[0] = off + standard_normal(5, unit, 0, 0);
                Recovered { truth: vec![0.0], fit, standard_errors: vec![Some(se)], degrees_of_freedom: Some(1e6) }
            };
            let all: Vec<Recovered> = (0..2_000).map(one).collect();
            Recovery::of(&["k"], &vec![true; all.len()], &all)
        };
        let verdict = |recovery: Recovery| (recovery.parameters[0].verdict, recovery.verdict);
        assert_eq!(verdict(made(0.0, 1.0)), ("recovered", "sound"));
        assert_eq!(verdict(made(0.0, 0.6)), ("overconfident", "usable_with_care"));
        assert_eq!(verdict(made(0.4, 1.0)), ("biased", "usable_with_care"));
        assert_eq!(verdict(made(0.0, 2.0)), ("overcautious", "sound"));
        let coverage = made(0.0, 1.0).parameters[0].coverage.expect("intervals");
        assert!((coverage - 0.95).abs() < 0.015, "{coverage}");
    }
}
