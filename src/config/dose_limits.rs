//! The highest doses that count, such as a drug's highest concentration in patients: `clofarabine = "1 uM"`.

use crate::screen::dose::ConcentrationUnit;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// Molar limits by drug, from texts.
///
/// # Errors
/// [`Error::Setting`] for what is no dose.
pub(super) fn resolve(said: &BTreeMap<String, String>) -> Result<BTreeMap<String, f64>> {
    said.iter().map(|(drug, text)| Ok((drug.clone(), molar(drug, text)?))).collect()
}

/// Reads `DRUG=DOSE,…`.
///
/// # Errors
/// [`Error::Setting`] where there is no `=`.
pub fn parse(text: &str) -> Result<BTreeMap<String, String>> {
    let pair = |part: &str| {
        let (drug, dose) = part.rsplit_once('=').ok_or_else(|| Error::Setting {
            key: "dose-limits".into(),
            problem: format!("`{part}` is no DRUG=DOSE"),
            hint: Some("for instance --dose-limits \"clofarabine=1 uM,venetoclax=2.5 uM\"".into()),
        })?;
        Ok((drug.trim().to_owned(), dose.trim().to_owned()))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(pair).collect()
}

fn molar(drug: &str, text: &str) -> Result<f64> {
    let at = text.find(|c: char| c.is_alphabetic() && !matches!(c, 'e' | 'E')).unwrap_or(text.len());
    let (number, unit) = text.split_at(at);
    let value: Option<f64> = number.trim().parse().ok().filter(|value: &f64| value.is_finite() && *value > 0.0);
    let dose = value.and_then(|value| ConcentrationUnit::parse(unit)?.to_molar(value, None));
    dose.ok_or_else(|| Error::Setting {
        key: format!("dose_limits.{drug}"),
        problem: format!("`{text}` is no dose above zero"),
        hint: Some("write a number and a molar unit: \"1 uM\"".into()),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_molar() {
        let said = parse("clofarabine=1 uM, ABT-737=2.5e2nM").expect("pairs");
        let limits = resolve(&said).expect("doses");
        assert!((limits["clofarabine"] - 1e-6).abs() < 1e-18 && (limits["ABT-737"] - 2.5e-7).abs() < 1e-18);
        for bad in ["clofarabine", "clofarabine=", "clofarabine=1", "clofarabine=-1 uM", "clofarabine=1 ng/mL"] {
            assert!(parse(bad).and_then(|said| resolve(&said)).is_err(), "{bad}");
        }
    }
}
