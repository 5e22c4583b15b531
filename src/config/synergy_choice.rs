//! What `--synergy` may name: models, all of them at once, and the combination index.

use super::choice::{Choice, unknown};
use super::model_choice::{NameOrFile, formula};
use crate::model::formula::FormulaFile;
use crate::synergy::SynergyModel;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

/// One of the names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SynergyChoice {
    /// A model with a score.
    Model(SynergyModel),
    /// Chou and Talalay's index, in tables of its own.
    CombinationIndex,
    /// Every model, and the index.
    All,
    /// A surface from a model file.
    File(&'static Path),
}

impl SynergyChoice {
    /// A name, or else a path: something with a separator or an extension, or that exists.
    ///
    /// # Errors
    /// What is unknown, and what is known.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        if let Some(choice) = Self::from_name(text) {
            return Ok(choice);
        }
        let path = Path::new(text);
        if text.contains(['/', '\\', '.']) || path.is_file() {
            return Ok(Self::file(path.to_owned()));
        }
        Err(unknown::<Self>(text))
    }

    /// Choices are named a few times in a process, and live as long as it does.
    fn file(path: PathBuf) -> Self {
        SynergyChoice::File(Box::leak(path.into_boxed_path()))
    }

    /// The same, a file being meant relative to `folder`.
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            SynergyChoice::File(path) => Self::file(folder.join(path)),
            other => other,
        }
    }
}

impl<'de> serde::Deserialize<'de> for SynergyChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

impl<'de> serde::Deserialize<'de> for SynergyModel {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        match NameOrFile::deserialize(deserializer)? {
            NameOrFile::Name(text) => {
                Self::from_name(&text).ok_or_else(|| serde::de::Error::custom(unknown::<Self>(&text)))
            }
            NameOrFile::File { name, file } => {
                formula(&name, &file).map(SynergyModel::Formula).map_err(serde::de::Error::custom)
            }
        }
    }
}

/// A model of ours by its name; one from a file with the whole file, so that what was computed can be computed again.
impl serde::Serialize for SynergyModel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self {
            SynergyModel::Formula(model) => model.serialize(serializer),
            model => serializer.serialize_str(model.name()),
        }
    }
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
            SynergyChoice::File(_) => "file",
        }
    }

    fn other_names(self) -> &'static [&'static str] {
        match self {
            SynergyChoice::Model(model) => model.other_names(),
            SynergyChoice::CombinationIndex => {
                &["combination_index", "combination-index", "chou_talalay", "chou-talalay"]
            }
            SynergyChoice::All | SynergyChoice::File(_) => &[],
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
    let all = said.contains(&SynergyChoice::All);
    let mut models: Vec<SynergyModel> = if all { SynergyModel::ALL.to_vec() } else { Vec::with_capacity(said.len()) };
    for choice in &said {
        let model = match choice {
            SynergyChoice::Model(_) if all => continue,
            SynergyChoice::Model(model) => *model,
            SynergyChoice::File(path) => surface(path)?,
            SynergyChoice::CombinationIndex | SynergyChoice::All => continue,
        };
        if models.iter().any(|other| other.name() == model.name()) {
            return Err(Error::setting("synergy", format!("`{}` is named twice", model.name())));
        }
        models.push(model);
    }
    if models.is_empty() {
        models = SynergyModel::REFERENCES.to_vec();
    }
    Ok((models, all || said.contains(&SynergyChoice::CombinationIndex)))
}

/// The surface of a model file. Its name becomes part of columns.
fn surface(path: &Path) -> Result<SynergyModel> {
    let refuse =
        |problem: String, hint: &str| Err(Error::Setting { key: "synergy".into(), problem, hint: Some(hint.into()) });
    let file = FormulaFile::read(path)?;
    if !file.is_surface {
        return refuse(
            format!("`{}` is a curve of one drug", path.display()),
            "a surface has `dose_b` in its formula; a curve goes with --model",
        );
    }
    if SynergyModel::from_name(&file.name).is_some() {
        return refuse(format!("`{}` is a built-in model", file.name), "give the model file another name");
    }
    if !file.name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') {
        return refuse(format!("`{}` becomes part of columns", file.name), "use letters, digits and `_` alone");
    }
    Ok(SynergyModel::Formula(file.into_model()))
}
