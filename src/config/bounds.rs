//! Boxes for the parameters of the curve model, in the units in which people read them.

use super::Settings;
use crate::fit::Bound;
use crate::model::ModelId;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// A box for one parameter, as it was typed.
#[derive(Debug, Clone, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct ParameterBounds {
    /// The parameter, as tables name it (`log10_ec50`, not `ln_ec50`).
    pub parameter: String,
    /// Lower end. For `log10_ec50`: decades from the lowest nonzero dose of the curve.
    pub lower: f64,
    /// Upper end. For `log10_ec50`: decades from the highest dose of the curve.
    pub upper: f64,
}

/// Checks what was typed against the parameters of the model; in the model's order.
pub(super) fn resolve(model: ModelId, said: &BTreeMap<String, [f64; 2]>) -> Result<Vec<ParameterBounds>> {
    let known: Vec<String> = model.shown_parameters().into_iter().map(|(name, _)| name).collect();
    let curve_model = model.curve_model();
    for (parameter, [lower, upper]) in said {
        let key = format!("bounds.{parameter}");
        if !known.contains(parameter) {
            let message = format!("unknown parameter `{parameter}`, {} has `{}`", model.name(), known.join("`, `"));
            let hint = super::choice::nearest(parameter, known.iter().map(String::as_str))
                .map(|name| format!("did you mean `{name}`?"));
            return Err(Error::Setting { key, problem: message, hint });
        }
        if !(lower.is_finite() && upper.is_finite() && lower < upper) {
            return Err(Error::setting(key, format!("{lower}..{upper} is no interval")));
        }
        if let Some(own) = curve_model.file_text.and(known.iter().position(|name| name == parameter)) {
            // What the formula is computed by relies on the file's box.
            let unit = curve_model.box_unit(own);
            let Bound { lower: from, upper: to } = curve_model.bounds[own];
            let slack = 1e-12 * (to - from);
            if lower * unit < from - slack || upper * unit > to + slack {
                return Err(Error::Setting {
                    key,
                    problem: format!(
                        "{lower}..{upper} reaches beyond the box of the model file, {}..{}",
                        from / unit,
                        to / unit
                    ),
                    hint: Some("widen the box in the model file".into()),
                });
            }
        }
        if curve_model.is_built_in && parameter == "hill" && *lower <= 0.0 {
            return Err(Error::Setting {
                key,
                problem: format!("the slope must stay above 0, not {lower}..{upper}"),
                hint: Some("a falling curve has a positive slope here: top is the untreated end".into()),
            });
        }
    }
    Ok(known
        .into_iter()
        .filter_map(|parameter| {
            let [lower, upper] = *said.get(&parameter)?;
            Some(ParameterBounds { parameter, lower, upper })
        })
        .collect())
}

/// Reads `hill=0.1..8,top=0.8..1.2`.
///
/// # Errors
/// [`Error::Setting`] for `bounds` where the text has another form.
pub fn parse(text: &str) -> Result<BTreeMap<String, [f64; 2]>> {
    let mut bounds = BTreeMap::new();
    for part in text.split(',') {
        let read = || {
            let (parameter, range) = part.split_once('=')?;
            let (lower, upper) = range.split_once("..")?;
            Some((parameter.trim().to_owned(), [lower.trim().parse().ok()?, upper.trim().parse().ok()?]))
        };
        let Some((parameter, range)) = read() else {
            return Err(Error::Setting {
                key: "bounds".into(),
                problem: format!("`{part}` is not PARAMETER=LOWER..UPPER"),
                hint: Some("for example: --bounds \"hill=0.1..8,top=0.8..1.2\"".into()),
            });
        };
        if bounds.contains_key(&parameter) {
            return Err(Error::setting("bounds", format!("`{parameter}` is given twice")));
        }
        bounds.insert(parameter, range);
    }
    Ok(bounds)
}

impl Settings {
    /// The boxes of the fit: the model's own, and over them what was asked for; in the model's order and inner units.
    pub fn fit_bounds(&self) -> Vec<Bound> {
        let mut bounds = self.model.bounds().to_vec();
        for (i, ((parameter, _), bound)) in self.model.shown_parameters().iter().zip(&mut bounds).enumerate() {
            let factor = self.model.curve_model().box_unit(i);
            if let Some(asked) = self.bounds.iter().find(|b| b.parameter == *parameter) {
                *bound = Bound { lower: asked.lower * factor, upper: asked.upper * factor };
            }
        }
        bounds
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::ScreenFile;
    use std::f64::consts::LN_10;

    fn settings(text: &str) -> Result<Settings> {
        Settings::resolve(ScreenFile { bounds: parse(text)?, ..ScreenFile::default() }, vec![], "out".into())
    }

    #[test]
    fn boxes_replace_the_models_own_in_inner_units() {
        let asked = settings("hill=0.5..4, log10_ec50=-1..2").unwrap().fit_bounds();
        let own = ModelId::Hill4.bounds();
        assert_eq!(asked[..2], own[..2]);
        assert_eq!(asked[2], Bound { lower: -LN_10, upper: 2.0 * LN_10 });
        assert_eq!(asked[3], Bound { lower: 0.5, upper: 4.0 });
    }

    #[test]
    fn boxes_without_meaning_are_refused() {
        let message = |text: &str| settings(text).map(|_| ()).unwrap_err().to_string();
        assert_eq!(message("hill"), "setting `bounds`: `hill` is not PARAMETER=LOWER..UPPER");
        assert_eq!(message("hill=1..2,hill=1..3"), "setting `bounds`: `hill` is given twice");
        assert_eq!(message("hill=2..1"), "setting `bounds.hill`: 2..1 is no interval");
        assert_eq!(message("hill=NaN..1"), "setting `bounds.hill`: NaN..1 is no interval");
        assert_eq!(message("hill=0..1"), "setting `bounds.hill`: the slope must stay above 0, not 0..1");
        assert_eq!(
            message("hil=1..2"),
            "setting `bounds.hil`: unknown parameter `hil`, hill4 has `top`, `bottom`, `log10_ec50`, `hill`"
        );
        assert_eq!(settings("hil=1..2").unwrap_err().hint(), Some("did you mean `hill`?"));
    }
}
