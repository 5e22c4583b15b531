//! Which curve model: a built-in one by name, or one from a file.

use super::Settings;
use super::choice::{Choice, nearest, unknown};
use crate::fit::model_choice::parse_set;
use crate::model::ModelId;
use crate::model::formula::FormulaFile;
use crate::{Error, Result};
use serde::ser::SerializeMap;
use std::path::{Path, PathBuf};

/// What was said of the model.
#[derive(Debug, Clone, PartialEq)]
pub enum ModelChoice {
    /// A built-in model.
    BuiltIn(ModelId),
    /// A model file.
    File(PathBuf),
    /// The one of these that each curve calls for.
    Auto(Vec<ModelId>),
    /// Several, to be compared.
    Several(Vec<ModelChoice>),
}

impl ModelChoice {
    /// A built-in model's name, or else a path: something with a separator, an extension, or that exists.
    ///
    /// # Errors
    /// What is unknown, and what is known and near.
    pub fn parse(text: &str) -> std::result::Result<Self, String> {
        if let Some(model) = ModelId::parse(text) {
            return Ok(ModelChoice::BuiltIn(model));
        }
        if let Some(set) = parse_set(text).map_err(|error| error.to_string())? {
            return Ok(ModelChoice::Auto(set));
        }
        if text.contains(',') && !Path::new(text).is_file() {
            return text.split(',').map(Self::parse).collect::<std::result::Result<_, _>>().map(ModelChoice::Several);
        }
        let path = Path::new(text);
        if text.contains(['/', '\\', '.']) || path.is_file() {
            return Ok(ModelChoice::File(path.to_owned()));
        }
        Err(unknown::<ModelId>(text))
    }

    /// The same, a file being meant relative to `folder`.
    pub fn relative_to(self, folder: &Path) -> Self {
        match self {
            ModelChoice::File(path) => ModelChoice::File(folder.join(path)),
            ModelChoice::Several(all) => {
                ModelChoice::Several(all.into_iter().map(|one| one.relative_to(folder)).collect())
            }
            other => other,
        }
    }

    /// The model, read from its file where it has one.
    ///
    /// # Errors
    /// Those of [`FormulaFile::read`].
    pub fn model(&self) -> Result<ModelId> {
        match self {
            ModelChoice::BuiltIn(model) => Ok(*model),
            ModelChoice::File(path) => Ok(FormulaFile::read(path)?.into_model()),
            // Stages that know no choice take the model that they take where nobody says one.
            ModelChoice::Auto(_) => Ok(ModelId::Hill4),
            ModelChoice::Several(_) => Err(Error::Setting {
                key: "model".into(),
                problem: "several models are named, and curves are fitted by one".into(),
                hint: Some("`isobole rescore DIR --model A,B --compare` compares them".into()),
            }),
        }
    }

    /// Each of the models that are named, read from its file where it has one.
    ///
    /// # Errors
    /// As [`ModelChoice::model`]; [`Error::Setting`] for a choice and for a model named twice.
    pub fn each(&self) -> Result<Vec<ModelId>> {
        let ModelChoice::Several(all) = self else { return Ok(vec![self.model()?]) };
        let mut models: Vec<ModelId> = Vec::with_capacity(all.len());
        for choice in all {
            let model = match choice {
                ModelChoice::Auto(_) => return Err(Error::setting("model", "`auto` is a choice, not a model")),
                choice => choice.model()?,
            };
            if models.iter().any(|other| other.name() == model.name()) {
                return Err(Error::setting("model", format!("`{}` is named twice", model.name())));
            }
            models.push(model);
        }
        Ok(models)
    }

    /// The models to choose from, where there is a choice.
    pub fn set(&self) -> &[ModelId] {
        if let ModelChoice::Auto(set) = self { set } else { &[] }
    }

    /// The model that `text` names, for commands that take one as an argument.
    ///
    /// # Errors
    /// [`Error::Setting`] for `key` where there is no such model; those of [`ModelChoice::model`].
    pub fn named(key: &str, text: &str) -> Result<ModelId> {
        let choice = Self::parse(text).map_err(|problem| Error::Setting {
            key: key.into(),
            problem,
            hint: Some(match nearest(text, ModelId::ALL.iter().map(|m| m.name())) {
                Some(near) => format!("did you mean `{near}`?"),
                None => "a model file is named by its path".into(),
            }),
        })?;
        choice.model()
    }
}

impl Settings {
    /// These settings, if each curve is to be fitted by one model that is said, by least squares with equal weights:
    /// all but `fit` can do nothing else.
    ///
    /// # Errors
    /// [`Error::Setting`] for a choice of models, a robust loss or weights by variance.
    pub fn of_one_model(self) -> Result<Self> {
        let only = |key: &str, problem: &str| {
            let hint = Some("`isobole fit` can".to_owned());
            Err(Error::Setting { key: key.into(), problem: problem.into(), hint })
        };
        if !self.model_set.is_empty() {
            return only("model", "models are not chosen for each curve here");
        }
        if self.loss != crate::fit::robust::Loss::LeastSquares {
            return only("loss", "curves are fitted by least squares here");
        }
        if self.weights != crate::fit::variance::Weights::Equal {
            return only("weights", "wells weigh all alike here");
        }
        Ok(self)
    }

    /// These settings, if their model needs nothing but doses.
    ///
    /// # Errors
    /// [`Error::Setting`] for a model with a second variable.
    pub fn of_doses(self) -> Result<Self> {
        if !self.model.curve_model().uses_x2 {
            return Ok(self);
        }
        Err(Error::Setting {
            key: "model".into(),
            problem: format!("`{}` has a second variable, `x2`, and the data have none", self.model.name()),
            hint: Some("`isobole fit --x2 COLUMN` fits such models".into()),
        })
    }
}

impl<'de> serde::Deserialize<'de> for ModelChoice {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

/// How settings name a model: a built-in one by its name, one from a file with the file's text.
#[derive(serde::Deserialize)]
#[serde(untagged)]
pub(super) enum NameOrFile {
    /// A built-in model.
    Name(String),
    /// A model file, as it was.
    File {
        /// The model's name.
        name: String,
        /// The text of the file.
        file: String,
    },
}

/// The model of a file that is kept as text.
pub(super) fn formula(name: &str, text: &str) -> Result<ModelId> {
    FormulaFile::parse(text, Path::new(name)).map(FormulaFile::into_model)
}

impl<'de> serde::Deserialize<'de> for ModelId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        use serde::de::Error;
        match NameOrFile::deserialize(deserializer)? {
            NameOrFile::Name(text) => ModelId::parse(&text).ok_or_else(|| D::Error::custom(unknown::<Self>(&text))),
            NameOrFile::File { name, file } => formula(&name, &file).map_err(D::Error::custom),
        }
    }
}

/// A built-in model by its name; one from a file with the whole file, so that what was computed can be computed again.
impl serde::Serialize for ModelId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> std::result::Result<S::Ok, S::Error> {
        match self.curve_model().file_text {
            None => serializer.serialize_str(Choice::name(*self)),
            Some(text) => {
                let mut map = serializer.serialize_map(Some(2))?;
                map.serialize_entry("name", self.name())?;
                map.serialize_entry("file", text)?;
                map.end()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_paths_are_told_apart() {
        assert_eq!(ModelChoice::parse("HILL4"), Ok(ModelChoice::BuiltIn(ModelId::Hill4)));
        let named = ModelChoice::parse("hill4,mine.toml").unwrap();
        assert_eq!(
            named,
            ModelChoice::Several(vec![ModelChoice::BuiltIn(ModelId::Hill4), ModelChoice::File("mine.toml".into())])
        );
        assert!(named.model().is_err(), "curves are fitted by one");
        assert!(ModelChoice::parse("hill4,hill4").unwrap().each().is_err());
        for path in ["models/mine.toml", "mine.toml", "./hill4"] {
            assert_eq!(ModelChoice::parse(path), Ok(ModelChoice::File(path.into())));
        }
        assert!(ModelChoice::parse("hil4").unwrap_err().contains("unknown model `hil4`"));
        let error = ModelChoice::named("model", "hil4").unwrap_err();
        assert_eq!(error.hint(), Some("did you mean `hill4`?"));
        let there = ModelChoice::File("mine.toml".into()).relative_to(Path::new("screens/a"));
        assert_eq!(there, ModelChoice::File("screens/a/mine.toml".into()));
    }
}
