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
pub(super) fn gates(said: &BTreeMap<String, f64>) -> Result<Gates> {
    let mut gates = Gates::default();
    for (name, value) in said {
        let place = set("rank_gates", name, gates.bounds_mut())?;
        if !value.is_finite() {
            return Err(Error::setting(format!("rank_gates.{name}"), format!("{value} is no bound")));
        }
        *place = Some(*value);
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
        assert_eq!(gates(&parse("rank_gates", "max_q=0.05").unwrap()).unwrap().max_q, Some(0.05));
        for bad in ["synergie=1", "synergy=-1", "synergy=nan"] {
            assert!(weights(&parse("rank_weights", bad).unwrap()).is_err(), "{bad}");
        }
        assert!(parse("rank_gates", "max_q").is_err() && gates(&parse("rank_gates", "q=1").unwrap()).is_err());
    }
}
