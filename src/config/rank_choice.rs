//! What a ranking goes by: the composite with its weights, or one score; and the gates before it.

use super::choice::nearest;
use crate::rank::composite::{CompositeWeights, Gates, RankBy};
use crate::synergy::SynergyModel;
use crate::{Error, Result};
use std::collections::BTreeMap;

/// What ranks, and the model whose score is pooled and tested; from names, among the `models` of the run.
///
/// # Errors
/// [`Error::Setting`] for a name that is neither a measure nor a model of this run.
pub(super) fn resolve(
    rank_by: Option<&str>,
    score_by: Option<&str>,
    models: &[SynergyModel],
) -> Result<(RankBy, SynergyModel)> {
    let usual = if models.contains(&SynergyModel::Bliss) { SynergyModel::Bliss } else { models[0] };
    let score = score_by.map(|name| model("score_by", name, models)).transpose()?;
    let Some(name) = rank_by else { return Ok((RankBy::Composite, score.unwrap_or(usual))) };
    if let Some(by) = RankBy::MEASURES.into_iter().find(|by| by.name().eq_ignore_ascii_case(name.trim())) {
        return Ok((by, score.unwrap_or(usual)));
    }
    if name.trim().eq_ignore_ascii_case(RankBy::Score.name()) {
        return Ok((RankBy::Score, score.unwrap_or(usual)));
    }
    let ranking = model("rank_by", name, models)?;
    match score.filter(|score| *score != ranking) {
        Some(score) => Err(Error::Setting {
            key: "rank_by".into(),
            problem: format!("`{}` cannot rank scores by `{}`", ranking.name(), score.name()),
            hint: Some("leave out one of the two".into()),
        }),
        None => Ok((RankBy::Score, ranking)),
    }
}

fn model(key: &str, name: &str, models: &[SynergyModel]) -> Result<SynergyModel> {
    let is = |known: &str| known.eq_ignore_ascii_case(name.trim());
    let named = |model: &&SynergyModel| is(model.name()) || model.other_names().iter().any(|other| is(other));
    if let Some(model) = models.iter().find(named) {
        return Ok(*model);
    }
    let (problem, hint) = match SynergyModel::ALL.iter().find(named) {
        Some(known) => (
            format!("`{}` is not among the synergy models of this run", known.name()),
            Some(format!("add it: --synergy …,{}", known.name())),
        ),
        None => {
            let measures = RankBy::MEASURES.iter().filter(|_| key == "rank_by").map(|by| by.name());
            let known: Vec<&str> = measures.chain(models.iter().map(|model| model.name())).collect();
            let list: Vec<String> = known.iter().map(|name| format!("`{name}`")).collect();
            (
                format!("`{}` is none of {}", name.trim(), list.join(", ")),
                nearest(name.trim(), known).map(|name| format!("did you mean `{name}`?")),
            )
        }
    };
    Err(Error::Setting { key: key.into(), problem, hint })
}

/// The bound of a gate as it is said: a number, or `none`, which takes back what an archive or a file says.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GateBound(pub Option<f64>);

/// The word that takes a gate back; for all gates where it stands alone.
const NO_GATE: &str = "none";

impl<'de> serde::Deserialize<'de> for GateBound {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct NumberOrNone;
        impl serde::de::Visitor<'_> for NumberOrNone {
            type Value = GateBound;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                write!(f, "a number or \"{NO_GATE}\"")
            }
            fn visit_f64<E: serde::de::Error>(self, bound: f64) -> std::result::Result<GateBound, E> {
                Ok(GateBound(Some(bound)))
            }
            fn visit_i64<E: serde::de::Error>(self, bound: i64) -> std::result::Result<GateBound, E> {
                Ok(GateBound(Some(bound as f64)))
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<GateBound, E> {
                if text.eq_ignore_ascii_case(NO_GATE) {
                    return Ok(GateBound(None));
                }
                Err(E::invalid_value(serde::de::Unexpected::Str(text), &self))
            }
        }
        deserializer.deserialize_any(NumberOrNone)
    }
}

/// Reads `GATE=BOUND,…` of a flag, in which a bound may be `none`; `none` alone stands for all gates.
///
/// # Errors
/// [`Error::Setting`] for what is not that.
pub fn parse_gates(text: &str) -> Result<BTreeMap<String, GateBound>> {
    if text.trim().eq_ignore_ascii_case(NO_GATE) {
        return Ok(Gates::default().bounds_mut().map(|(name, _)| (name.to_owned(), GateBound(None))).into());
    }
    let is_none =
        |part: &&str| part.split_once('=').is_some_and(|(_, bound)| bound.trim().eq_ignore_ascii_case(NO_GATE));
    let (taken_back, bounds): (Vec<&str>, Vec<&str>) = text.split(',').partition(is_none);
    let named = parse("rank_gates", &bounds.join(","))?.into_iter().map(|(name, bound)| (name, GateBound(Some(bound))));
    let names = taken_back.into_iter().filter_map(|part| part.split_once('='));
    Ok(named.chain(names.map(|(name, _)| (name.trim().to_owned(), GateBound(None)))).collect())
}

/// Reads `NAME=NUMBER,…` of a flag.
///
/// # Errors
/// [`Error::Setting`] for what is not that.
pub fn parse(key: &str, text: &str) -> Result<BTreeMap<String, f64>> {
    let one = |part: &str| {
        let found = part.split_once('=').and_then(|(name, value)| Some((name.trim(), value.trim().parse().ok()?)));
        let (name, value) = found.ok_or_else(|| Error::Setting {
            key: key.into(),
            problem: format!("`{part}` is no NAME=NUMBER"),
            hint: Some("for instance --rank-weights \"synergy=1,rescue=0.1\" --rank-gates \"min_efficacy=0.5\"".into()),
        })?;
        Ok((name.to_owned(), value))
    };
    text.split(',').filter(|part| !part.trim().is_empty()).map(one).collect()
}

/// The weights, the defaults where nothing is said.
///
/// # Errors
/// [`Error::Setting`] for a part that there is not, or a weight that is no number from 0 on.
pub(super) fn weights(said: &BTreeMap<String, f64>) -> Result<CompositeWeights> {
    let mut weights = CompositeWeights::default();
    for (name, value) in said {
        let place = set("rank_weights", name, weights.parts_mut())?;
        if !(value.is_finite() && *value >= 0.0) {
            return Err(Error::setting(format!("rank_weights.{name}"), format!("{value} is not a number from 0 on")));
        }
        *place = *value;
    }
    Ok(weights)
}

/// The gates; none where nothing is said.
///
/// # Errors
/// [`Error::Setting`] for a gate that there is not, or a bound that is no number.
pub(super) fn gates(said: &BTreeMap<String, GateBound>) -> Result<Gates> {
    let mut gates = Gates::default();
    for (name, GateBound(bound)) in said {
        let place = set("rank_gates", name, gates.bounds_mut())?;
        if let Some(value) = bound.filter(|value| !value.is_finite()) {
            return Err(Error::setting(format!("rank_gates.{name}"), format!("{value} is no bound")));
        }
        *place = *bound;
    }
    Ok(gates)
}

fn set<'a, T, const N: usize>(key: &str, name: &str, places: [(&'static str, &'a mut T); N]) -> Result<&'a mut T> {
    let known = places.each_ref().map(|(name, _)| *name);
    places.into_iter().find(|(known, _)| *known == name).map(|(_, place)| place).ok_or_else(|| Error::Setting {
        key: key.into(),
        problem: format!("unknown key `{name}`, expected one of `{}`", known.join("`, `")),
        hint: nearest(name, known).map(|name| format!("did you mean `{name}`?")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_measures_or_models_of_the_run() {
        let models = SynergyModel::REFERENCES;
        assert_eq!(resolve(None, None, &models).unwrap(), (RankBy::Composite, SynergyModel::Bliss));
        assert_eq!(resolve(None, Some("ZIP"), &models).unwrap(), (RankBy::Composite, SynergyModel::Zip));
        assert_eq!(resolve(Some("loewe-hsa"), None, &models).unwrap(), (RankBy::Score, SynergyModel::Loewe));
        assert_eq!(resolve(Some("efficacy"), None, &models[..1]).unwrap(), (RankBy::Efficacy, SynergyModel::Hsa));
        let error = |by, score| resolve(by, score, &models).unwrap_err();
        assert_eq!(
            error(Some("musyc"), None).to_string(),
            "setting `rank_by`: `musyc` is not among the synergy models of this run"
        );
        assert_eq!(error(Some("eficacy"), None).hint(), Some("did you mean `efficacy`?"));
        assert!(error(Some("zip"), Some("hsa")).to_string().contains("cannot rank"));
    }

    #[test]
    fn weights_and_gates_are_named() {
        let said = parse("rank_weights", "synergy=2, rescue = 0").unwrap();
        let chosen = weights(&said).unwrap();
        assert_eq!((chosen.synergy, chosen.rescue, chosen.efficacy), (2.0, 0.0, CompositeWeights::default().efficacy));
        assert_eq!(gates(&parse_gates("max_q=0.05").unwrap()).unwrap().max_q, Some(0.05));
        for bad in ["synergie=1", "synergy=-1", "synergy=nan"] {
            assert!(weights(&parse("rank_weights", bad).unwrap()).is_err(), "{bad}");
        }
        for bad in ["max_q", "q=1", "q=none", "max_q=nan", "max_q=nobody"] {
            assert!(parse_gates(bad).and_then(|said| gates(&said)).is_err(), "{bad}");
        }
    }

    #[test]
    fn gates_are_taken_back_by_name_or_all_at_once() {
        let said = parse_gates("max_q=None, min_score = 0.1").unwrap();
        assert_eq!((said["max_q"], said["min_score"]), (GateBound(None), GateBound(Some(0.1))));
        assert_eq!(gates(&said).unwrap(), Gates { min_score: Some(0.1), ..Gates::default() });
        let all = parse_gates(" none ").unwrap();
        assert_eq!((all.len(), gates(&all).unwrap()), (6, Gates::default()));
        let file: BTreeMap<String, GateBound> = toml::from_str("max_q = 'none'\nmin_score = 1\n").unwrap();
        assert_eq!((file["max_q"], file["min_score"]), (GateBound(None), GateBound(Some(1.0))));
        let error = toml::from_str::<BTreeMap<String, GateBound>>("max_q = 'no'").unwrap_err().to_string();
        assert!(error.contains("a number or \"none\""), "{error}");
    }
}
