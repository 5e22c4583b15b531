//! What `--synergy` may name: models, all of them at once, and the combination index.

use super::choice::Choice;
use crate::synergy::SynergyModel;
use crate::{Error, Result};

/// One of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynergyChoice {
    /// A model with a score.
    Model(SynergyModel),
    /// Chou and Talalay's index, in tables of its own.
    CombinationIndex,
    /// Every model, and the index.
    All,
}

const MODELS: usize = SynergyModel::ALL.len();

impl Choice for SynergyChoice {
    const KIND: &'static str = "synergy model";
    const ALL: &'static [Self] = &{
        let mut all = [SynergyChoice::All; MODELS + 2];
        let mut i = 0;
        while i < MODELS {
            all[i] = SynergyChoice::Model(SynergyModel::ALL[i]);
            i += 1;
        }
        all[MODELS] = SynergyChoice::CombinationIndex;
        all
    };

    fn name(self) -> &'static str {
        match self {
            SynergyChoice::Model(model) => model.name(),
            SynergyChoice::CombinationIndex => "ci",
            SynergyChoice::All => "all",
        }
    }

    fn other_names(self) -> &'static [&'static str] {
        match self {
            SynergyChoice::Model(model) => model.other_names(),
            SynergyChoice::CombinationIndex => {
                &["combination_index", "combination-index", "chou_talalay", "chou-talalay"]
            }
            SynergyChoice::All => &[],
        }
    }
}

/// The models asked for, each once, and whether the index was: a model named twice would give a table two columns of one
/// name. The index alone comes with the usual references.
pub(super) fn resolve(said: Option<Vec<SynergyChoice>>) -> Result<(Vec<SynergyModel>, bool)> {
    let Some(said) = said else {
        return Ok((SynergyModel::REFERENCES.to_vec(), false));
    };
    if said.is_empty() {
        return Err(Error::setting("synergy", "names no model"));
    }
    if said.contains(&SynergyChoice::All) {
        return Ok((SynergyModel::ALL.to_vec(), true));
    }
    let mut models: Vec<SynergyModel> = Vec::with_capacity(said.len());
    for choice in &said {
        if let SynergyChoice::Model(model) = choice {
            if models.contains(model) {
                return Err(Error::setting("synergy", format!("`{}` is named twice", model.name())));
            }
            models.push(*model);
        }
    }
    if models.is_empty() {
        models = SynergyModel::REFERENCES.to_vec();
    }
    Ok((models, said.contains(&SynergyChoice::CombinationIndex)))
}
