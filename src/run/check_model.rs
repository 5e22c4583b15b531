//! `isobole models --check`: everything about a model file that can be known before it meets data.

use crate::backend::Backend;
use crate::fit::recovery::{self, CURVES, DOSES, NOISE, REPLICATES, Recovery};
use crate::math::{formula_text, wgsl};
use crate::model::ModelId;
use crate::model::curve_model::POINT_INPUTS;
use crate::model::formula::FormulaFile;
use crate::{Result, synergy};
use std::fmt::Write;
use std::path::Path;

/// Seed of the simulated data: the same file is judged alike wherever it is checked.
const SEED: u64 = 1;

/// What is known of a model file.
#[derive(Debug, Clone)]
pub struct ModelCheck {
    /// The file.
    pub file: FormulaFile,
    /// The model.
    pub model: ModelId,
    /// How it recovers itself; `None` for a model with a second variable.
    pub recovery: Option<Recovery>,
}

/// Reads a model file and fits the model to data simulated from it.
///
/// # Errors
/// Those of [`FormulaFile::read`], with line and column; those of the back end.
pub fn check(path: &Path, backend: &dyn Backend) -> Result<ModelCheck> {
    let file = FormulaFile::read(path)?;
    let model = file.clone().into_model();
    let recovery = match file.is_surface {
        true => Some(synergy::recovery::recover(&file, model, SEED, backend)?),
        false => recovery::recover(&file, model, SEED, backend)?,
    };
    Ok(ModelCheck { file, model, recovery })
}

impl ModelCheck {
    /// The derivatives of the response by each parameter, as formulas.
    pub fn derivatives(&self) -> String {
        let model = self.model.curve_model();
        let second = if self.file.is_surface { "ln_dose_b_molar" } else { "x2" };
        let inputs: Vec<&str> = ["ln_dose", "dose", second]
            .into_iter()
            .chain(self.file.parameters.iter().map(|p| p.name.as_str()))
            .collect();
        let outputs: Vec<String> = std::iter::once("f".to_owned())
            .chain(self.file.parameters.iter().map(|p| format!("df/d{}", p.name)))
            .collect();
        formula_text::lines(&model.gradient, &inputs, &outputs)
    }

    /// The response and its derivatives as the device computes them; `None` where they have a constant that is no number.
    pub fn wgsl(&self) -> Option<String> {
        let model = self.model.curve_model();
        let names = self.file.parameters.iter().map(|p| format!("p.{}", p.name));
        let inputs: Vec<String> = ["ln_dose", "dose", "x2"].map(str::to_owned).into_iter().chain(names).collect();
        let arguments = "ln_dose: f32, dose: f32, x2: f32, p: Parameters";
        wgsl::can_be_printed(&model.gradient)
            .then(|| wgsl::function("response_and_gradient", arguments, "Gradient", &inputs, &model.gradient))
    }

    /// All of it as text, the verdict last.
    pub fn text(&self) -> String {
        let model = self.model.curve_model();
        let mut text = self.model.describe();
        let operations = model.gradient.operations.len()
            - (model.gradient.inputs - POINT_INPUTS).min(model.gradient.operations.len());
        let linear: Vec<&str> = model.linear.iter().map(|i| model.names[*i]).collect();
        let _ = writeln!(text, "\nvalid: {} parameters, linear in {}", model.names.len(), words(&linear));
        let _ = writeln!(text, "\nderivatives\n{}", self.derivatives().trim_end());
        match self.wgsl() {
            Some(code) => {
                let _ = writeln!(text, "\nWGSL, some {operations} operations\n{}", code.trim_end());
            }
            None => text += "\nWGSL: none, as a constant is no number; the model runs on the CPU alone\n",
        }
        let Some(recovery) = &self.recovery else {
            text += "\nnot simulated: nobody knows how the second variable is laid out\n";
            return text;
        };
        let _ = match self.file.is_surface {
            true => {
                writeln!(text, "\nrecovery from {} simulated matrices, noise {NOISE} of the range", recovery.simulated)
            }
            false => writeln!(
                text,
                "\nrecovery from {CURVES} simulated curves of {DOSES} doses in {REPLICATES} wells, noise {NOISE} of the range"
            ),
        };
        let _ = writeln!(
            text,
            "  without noise {:.1} % return their curve; with noise {:.1} % are fitted",
            100.0 * recovery.found,
            100.0 * recovery.fitted
        );
        let _ = writeln!(
            text,
            "  {:16} {:>11} {:>10} {:>12} {:>10}  verdict",
            "parameter", "identified", "bias / SE", "median SE", "coverage"
        );
        for one in &recovery.parameters {
            let shown =
                |value: Option<f64>, digits: usize| value.map_or("-".to_owned(), |value| format!("{value:.digits$}"));
            let percent = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{:.1} %", 100.0 * value));
            let _ = writeln!(
                text,
                "  {:16} {:>11} {:>10} {:>12} {:>10}  {}",
                one.name,
                percent(Some(one.identified)),
                shown(one.bias, 2),
                one.median_standard_error.map_or("-".to_owned(), |error| format!("{error:.3e}")),
                percent(one.coverage),
                one.verdict.replace('_', " ")
            );
        }
        let _ = writeln!(text, "\nverdict: {}", verdict(recovery));
        text
    }
}

fn words(names: &[&str]) -> String {
    if names.is_empty() { "none of them".into() } else { names.join(", ") }
}

fn verdict(recovery: &Recovery) -> String {
    let of = |verdict: &str| -> Vec<&str> {
        recovery.parameters.iter().filter(|p| p.verdict == verdict).map(|p| p.name.as_str()).collect()
    };
    let mut reasons = Vec::new();
    if recovery.found < recovery::FOUND_SHARE {
        reasons.push("the fitter does not find its curves back: give starts, or a narrower box".to_owned());
    }
    for (code, words) in [
        ("weakly_identified", "hardly told by such data"),
        ("biased", "biased"),
        ("overconfident", "less certain than its standard error says"),
    ] {
        let names = of(code);
        if !names.is_empty() {
            reasons.push(format!("{}: {words}", names.join(", ")));
        }
    }
    let head = recovery.verdict.replace('_', " ");
    if reasons.is_empty() { head } else { format!("{head} ({})", reasons.join("; ")) }
}
