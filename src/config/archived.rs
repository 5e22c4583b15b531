//! Settings of an earlier run, and those settings with something said anew.

use super::bounds::ParameterBounds;
use super::rank_choice::GateBound;
use super::screen_file::{Texts, UnitsSection};
use super::{BackendChoice, LowControl, ModelChoice, ScreenFile, Settings, SynergyChoice, TableFormat};
use crate::model::ModelId;
use crate::rank::composite::RankBy;
use crate::synergy::SynergyModel;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

impl Settings {
    /// Reads the settings that a `run.json` at `path` has; model files are read from the text kept there.
    ///
    /// # Errors
    /// [`Error::Format`] naming the file where this program cannot understand them.
    pub fn of_archive(value: &serde_json::Value, path: &Path) -> Result<Self> {
        let mut value = value.clone();
        // Before there was a composite, the model that ranked was the one whose score was pooled.
        if let Some(known) = value.as_object_mut()
            && let (Some(ranked), false) = (known.get("rank_by").cloned(), known.contains_key("score_model"))
        {
            known.insert("score_model".into(), ranked);
            known.insert("rank_by".into(), RankBy::Score.name().into());
        }
        // What an older program did not know has the value that changes nothing: the usual one.
        let usual = Self::resolve(ScreenFile::default(), Vec::new(), PathBuf::new())?;
        if let (Some(known), Ok(serde_json::Value::Object(usual))) =
            (value.as_object_mut(), serde_json::to_value(usual))
        {
            for (key, usual) in usual {
                known.entry(key).or_insert(usual);
            }
        }
        serde::Deserialize::deserialize(&value).map_err(|e: serde_json::Error| Error::Format {
            path: path.to_owned(),
            row_group: None,
            column: None,
            problem: format!("its settings cannot be read: {e}"),
            hint: Some("was it written by another version, or edited?".into()),
        })
    }

    /// These settings with what is said anew, resolved as those of a run are. What the inputs mean stays.
    ///
    /// Boxes belong to their curve model: another model begins with its own. Where the model that ranks is no longer
    /// among those computed, the usual one ranks.
    ///
    /// # Errors
    /// [`Error::Setting`] for a value without meaning, and for a model file that has the name of an archived model and
    /// another text.
    pub fn said_anew(&self, said: ScreenFile, out: PathBuf) -> Result<Self> {
        let mut base = self.as_said();
        if let Some(choice) = &said.model {
            let model = choice.model()?;
            self.is_unchanged(model)?;
            if model != self.model {
                base.bounds.clear();
            }
        }
        for choice in said.synergy.iter().flatten() {
            if let SynergyChoice::File(path) = choice {
                let choice = ModelChoice::File((*path).to_owned());
                self.is_unchanged(choice.model()?)?;
            }
        }
        let (ranks, scores) = (said.rank_by.clone(), said.score_by.clone());
        let limits = said.dose_limits.clone();
        let mut said = said.over(base);
        let (synergy, _) = super::synergy_choice::resolve(said.synergy.clone())?;
        // What ranked or was pooled and is no longer computed gives way to the usual; so does one of the two that the other,
        // said anew, contradicts.
        let is_computed = |name: &String| synergy.iter().any(|model| model.name() == name);
        let is_measure = |name: &String| RankBy::MEASURES.iter().any(|by| by.name().eq_ignore_ascii_case(name.trim()));
        if ranks.is_none() {
            said.rank_by = said.rank_by.filter(|name| is_measure(name) || is_computed(name) && scores.is_none());
        }
        if scores.is_none() {
            let is_ranked_by_model = said.rank_by.as_ref().is_some_and(|name| !is_measure(name));
            said.score_by = said.score_by.filter(|name| is_computed(name) && !is_ranked_by_model);
        }
        said.dose_limits = limits;
        let resolved = Self::resolve(said, self.inputs.clone(), out)?;
        let mut dose_limits = self.dose_limits.clone();
        dose_limits.retain(|drug, _| !resolved.dose_limits.keys().any(|other| other.eq_ignore_ascii_case(drug)));
        dose_limits.extend(resolved.dose_limits.clone());
        let settings = Self {
            dose_limits,
            mapping: self.mapping.clone(),
            lines_file: self.lines_file.clone(),
            evidence_files: self.evidence_files.clone(),
            apoptosis_files: self.apoptosis_files.clone(),
            knowledge_folder: resolved.knowledge_folder.clone().or_else(|| self.knowledge_folder.clone()),
            ..resolved
        };
        settings.of_doses()?.of_one_model()
    }

    /// Refuses a model that has the name of one of ours and another text: two models of one name could not be told apart.
    fn is_unchanged(&self, model: ModelId) -> Result<()> {
        let surfaces = self.synergy.iter().filter_map(|other| match other {
            SynergyModel::Formula(other) => Some(*other),
            _ => None,
        });
        let ours = std::iter::once(self.model).chain(surfaces).find(|other| other.name() == model.name());
        let text = |model: ModelId| model.curve_model().file_text;
        let Some(ours) = ours.filter(|ours| text(*ours) != text(model)) else { return Ok(()) };
        let (Some(before), Some(now)) = (text(ours), text(model)) else { return Ok(()) };
        let lines = before.lines().zip(now.lines()).position(|(a, b)| a != b);
        let line = lines.unwrap_or_else(|| before.lines().count().min(now.lines().count()));
        let shown = |text: &str| text.lines().nth(line).unwrap_or("nothing").trim().to_owned();
        Err(Error::Setting {
            key: "model".into(),
            problem: format!(
                "the file of `{}` has changed since the archive was made: line {} was `{}` and is `{}`",
                model.name(),
                line + 1,
                shown(before),
                shown(now)
            ),
            hint: Some("give the changed model another name, or leave it out to use the archive's own text".into()),
        })
    }

    /// What would have to be said to get these settings, but for inputs, what they mean, and dose limits.
    fn as_said(&self) -> ScreenFile {
        let Self {
            inputs: _,
            mapping: _,
            lines_file: _,
            evidence_files: _,
            apoptosis_files: _,
            knowledge_folder: _,
            out: _,
            backend,
            model,
            bounds,
            ci,
            loss,
            weights,
            model_set: _,
            starts,
            vehicle_point,
            synergy,
            combination_index,
            dose_limits: _,
            rank_by,
            score_model,
            rank_weights,
            rank_gates,
            margins,
            normalization,
            spatial,
            across_plates,
            force_b_score,
            low_control_blank,
            anchor,
            bootstrap,
            resampling,
            seed,
            threads,
            top_k,
            resistant_fold,
            csv,
        } = self;
        let index = combination_index.then_some(SynergyChoice::CombinationIndex);
        ScreenFile {
            plates: Texts::default(),
            lines_file: None,
            columns: Default::default(),
            constants: Default::default(),
            units: UnitsSection::default(),
            response: Default::default(),
            roles: Default::default(),
            none: None,
            only: Default::default(),
            lines: Default::default(),
            evidence: Default::default(),
            apoptosis: Default::default(),
            knowledge: Default::default(),
            anchor: Some(anchor.clone()),
            low_control: Some(if *low_control_blank { LowControl::Blank } else { LowControl::Positive }),
            backend: Some(*backend).filter(|backend| *backend != BackendChoice::Auto),
            model: Some(ModelChoice::BuiltIn(*model)),
            bounds: bounds
                .iter()
                .map(|ParameterBounds { parameter, lower, upper }| (parameter.clone(), [*lower, *upper]))
                .collect(),
            ci: Some(*ci),
            loss: Some(*loss),
            weights: Some(*weights),
            starts: Some(*starts),
            vehicle_point: Some(*vehicle_point),
            synergy: Some(synergy.iter().map(|model| SynergyChoice::Model(*model)).chain(index).collect()),
            dose_limits: Default::default(),
            rank_by: match rank_by {
                RankBy::Score => Some(score_model.name().into()),
                measure => Some(measure.name().into()),
            },
            score_by: Some(score_model.name().into()),
            rank_weights: rank_weights.clone().parts_mut().map(|(name, weight)| (name.to_owned(), *weight)).into(),
            rank_gates: rank_gates
                .clone()
                .bounds_mut()
                .into_iter()
                .filter_map(|(name, bound)| Some((name.to_owned(), GateBound(Some((*bound)?)))))
                .collect(),
            margins: Some(*margins),
            normalization: Some(*normalization),
            spatial: Some(*spatial),
            across_plates: Some(*across_plates),
            force_b_score: Some(*force_b_score),
            bootstrap: Some(*bootstrap),
            resampling: Some(*resampling),
            seed: Some(*seed),
            threads: Some(*threads),
            top_k: Some(*top_k),
            resistant_fold: Some(*resistant_fold),
            format: Some(if *csv { TableFormat::Csv } else { TableFormat::Parquet }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(text: &str) -> Settings {
        let file: ScreenFile = toml::from_str(text).expect("a screen file");
        Settings::resolve(file, vec!["plates.parquet".into()], "out".into()).expect("settings")
    }

    #[test]
    fn settings_come_back_from_a_run_json_as_they_were() {
        let text = "model = 'hill3'\nsynergy = ['zip', 'ci']\nci = 'profile'\nbootstrap = 40\ncsv = true\n\
            [dose_limits]\nx = '1 uM'\n[bounds]\nhill = [0.5, 4.0]\n[roles]\nvehicle = ['NC-*']\n[lines.a]\nparental = 'b'";
        let before = settings(&text.replace("csv = true", "format = 'csv'"));
        let value = serde_json::to_value(&before).expect("json");
        let after = Settings::of_archive(&value, Path::new("run.json")).expect("settings");
        assert_eq!(after, before);
        let anew = after.said_anew(ScreenFile::default(), "out".into()).expect("settings");
        assert_eq!(anew, before, "nothing said, nothing changed");
    }

    #[test]
    fn what_is_said_anew_wins_and_what_depends_on_it_follows() {
        let before =
            settings("model = 'hill3'\nrank_by = 'zip'\n[bounds]\nhill = [0.5, 4.0]\n[dose_limits]\nX = '1 uM'");
        let said = |text: &str| -> ScreenFile { toml::from_str(text).expect("flags") };
        let again = |text: &str| before.said_anew(said(text), "other".into()).expect("settings");
        assert_eq!(again("seed = 3").bounds, before.bounds);
        assert_eq!((again("seed = 3").seed, again("seed = 3").out), (3, PathBuf::from("other")));
        assert!(again("model = 'hill4'").bounds.is_empty(), "boxes of another model");
        assert_eq!(again("synergy = ['hsa', 'zip']").score_model, SynergyModel::Zip);
        assert_eq!(again("synergy = ['hsa', 'bliss']").score_model, SynergyModel::Bliss);
        assert_eq!(again("rank_by = 'composite'").score_model, SynergyModel::Zip);
        assert_eq!((again("seed = 3").rank_by, again("score_by = 'hsa'").rank_by), (RankBy::Score, RankBy::Composite));
        let limits = again("[dose_limits]\nx = '2 uM'\ny = '3 uM'").dose_limits;
        assert_eq!(limits.keys().collect::<Vec<_>>(), ["x", "y"]);
        assert!(before.said_anew(said("rank_by = 'musyc'"), "other".into()).is_err());
        let gated = settings("[rank_gates]\nmax_q = 0.05\nmin_efficacy = 0.5");
        let gates = |text: &str| gated.said_anew(said(text), "other".into()).expect("settings").rank_gates;
        assert_eq!((gates("seed = 3").max_q, gates("seed = 3").min_efficacy), (Some(0.05), Some(0.5)));
        let one = gates("[rank_gates]\nmax_q = 'none'");
        assert_eq!((one.max_q, one.min_efficacy), (None, Some(0.5)), "one gate is taken back, the other stands");
    }

    #[test]
    fn a_model_file_that_changed_under_its_name_is_refused() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("mine.toml");
        let text = "name = \"mine\"\nformula = \"top - k * ln_dose\"\n[parameters.top]\n[parameters.k]\n";
        std::fs::write(&path, text).expect("written");
        let before = settings(&format!("model = '{}'", path.display()));
        let value = serde_json::to_value(&before).expect("json");
        let archived = Settings::of_archive(&value, Path::new("run.json")).expect("settings");
        assert_eq!(archived.model, before.model, "the same text is the same model");
        let said = || ScreenFile { model: Some(ModelChoice::File(path.clone())), ..ScreenFile::default() };
        assert!(archived.said_anew(said(), "out".into()).is_ok());
        std::fs::write(&path, text.replace("k * ln_dose", "k * log10_dose")).expect("written");
        let error = archived.said_anew(said(), "out".into()).map(|_| ()).unwrap_err();
        assert_eq!(
            error.to_string(),
            "setting `model`: the file of `mine` has changed since the archive was made: line 2 was \
             `formula = \"top - k * ln_dose\"` and is `formula = \"top - k * log10_dose\"`"
        );
    }
}
