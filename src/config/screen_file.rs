//! `screen.toml`: what a screen's owner says of it. Every key is optional and has a flag.

use super::choice::did_you_mean;
use super::rank_choice::GateBound;
use super::synergy_choice::SynergyChoice;
use super::{BackendChoice, LowControl, ModelChoice, Normalization, SpatialCorrection, TableFormat};
use crate::fit::inference::IntervalKind;
use crate::fit::robust::Loss;
use crate::fit::variance::Weights;
use crate::screen::line::LineStatus;
use crate::screen::{Orientation, Scale};
use crate::synergy::Margins;
use crate::synergy::draws::ResamplingKind;
use crate::{Error, Result};
use serde::{Deserialize, Deserializer};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// One text or several; read from either.
#[derive(Debug, Clone, Default, PartialEq, serde::Serialize)]
#[serde(transparent)]
pub struct Texts(pub Vec<String>);

impl<'de> Deserialize<'de> for Texts {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
        struct OneOrMany;
        impl<'de> serde::de::Visitor<'de> for OneOrMany {
            type Value = Texts;
            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a text or a list of texts")
            }
            fn visit_str<E: serde::de::Error>(self, text: &str) -> std::result::Result<Texts, E> {
                Ok(Texts(vec![text.to_owned()]))
            }
            fn visit_seq<A: serde::de::SeqAccess<'de>>(self, mut seq: A) -> std::result::Result<Texts, A::Error> {
                let mut texts = Vec::new();
                while let Some(text) = seq.next_element()? {
                    texts.push(text);
                }
                Ok(Texts(texts))
            }
        }
        deserializer.deserialize_any(OneOrMany)
    }
}

/// `[units]`: units of dose, before any column that names them.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct UnitsSection {
    /// Unit of every dose.
    pub conc: Option<String>,
    /// Unit of `conc_a`.
    pub conc_a: Option<String>,
    /// Unit of `conc_b`.
    pub conc_b: Option<String>,
    /// Unit of `conc_c`.
    pub conc_c: Option<String>,
    /// Molar masses in g/mol by drug, for doses given as mass per volume.
    pub molar_mass: BTreeMap<String, f64>,
}

/// `[response]`: what the readings are.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ResponseSection {
    /// Signal, viability or inhibition.
    pub orientation: Option<Orientation>,
    /// Fraction or percent.
    pub scale: Option<Scale>,
}

/// `[roles]`: the values (or globs) of the role column that stand for each role.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RolesSection {
    /// Treated cells.
    pub sample: Texts,
    /// Untreated or vehicle-treated cells.
    pub vehicle: Texts,
    /// Killed cells.
    pub positive: Texts,
    /// No cells.
    pub blank: Texts,
    /// Nothing to be read.
    pub empty: Texts,
}

/// What is said of one cell line.
#[derive(Debug, Clone, Default, PartialEq, Deserialize, serde::Serialize)]
#[serde(deny_unknown_fields, default)]
pub struct LineEntry {
    /// The line that it was raised from.
    pub parental: Option<String>,
    /// Its status.
    pub status: Option<LineStatus>,
    /// Why it is resistant.
    pub mechanism: Option<String>,
    /// Hours in which untreated cells double: for growth-rate inhibition without a reading at the time of treatment.
    pub doubling_time_h: Option<f64>,
}

/// `[evidence]`: what was measured of the lines' mechanisms of resistance.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct EvidenceSection {
    /// Tables of evidence, relative to this file.
    pub files: Texts,
}

/// `[apoptosis]`: a second readout.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ApoptosisSection {
    /// Tables of Annexin V / PI quadrants, relative to this file.
    pub files: Texts,
}

/// `[knowledge]`: what is known, in the place of the embedded tables.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct KnowledgeSection {
    /// The folder with the tables, relative to this file.
    pub folder: Option<PathBuf>,
}

/// `screen.toml`, and what flags say in the same terms.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ScreenFile {
    /// Plate files: paths or globs, relative to this file.
    pub plates: Texts,
    /// `LINES.csv`, relative to this file.
    pub lines_file: Option<PathBuf>,
    /// Our column = their column; several are joined by `/`; an empty text says that there is none.
    pub columns: BTreeMap<String, Texts>,
    /// Our column = one value for every well.
    pub constants: BTreeMap<String, String>,
    /// Units of dose.
    pub units: UnitsSection,
    /// What the readings are.
    pub response: ResponseSection,
    /// Their roles.
    pub roles: RolesSection,
    /// Drug names that mean "no drug".
    pub none: Option<Texts>,
    /// Their column = the values of the rows to use; other rows are set aside.
    pub only: BTreeMap<String, Texts>,
    /// Parents, status and mechanisms by line.
    pub lines: BTreeMap<String, LineEntry>,
    /// What was measured of their mechanisms.
    pub evidence: EvidenceSection,
    /// Apoptosis, as a second readout.
    pub apoptosis: ApoptosisSection,
    /// Tables of one's own of what is known.
    pub knowledge: KnowledgeSection,
    /// The drug that the lines are resistant to.
    pub anchor: Option<String>,
    /// The low control of Z'.
    pub low_control: Option<LowControl>,
    /// The back end.
    pub backend: Option<BackendChoice>,
    /// The curve model: a name, or a model file relative to this file.
    pub model: Option<ModelChoice>,
    /// Parameter = [lower, upper].
    pub bounds: BTreeMap<String, [f64; 2]>,
    /// Confidence intervals of curve parameters.
    pub ci: Option<IntervalKind>,
    /// What a residual costs, in `fit`.
    pub loss: Option<Loss>,
    /// How much wells weigh, in `fit`.
    pub weights: Option<Weights>,
    /// Starting points a curve.
    pub starts: Option<usize>,
    /// Whether vehicle wells are a curve's point at dose zero.
    pub vehicle_point: Option<bool>,
    /// Models of non-interaction, `ci`, or `all`.
    pub synergy: Option<Vec<SynergyChoice>>,
    /// Drug = the highest dose that counts, as "1 uM".
    pub dose_limits: BTreeMap<String, String>,
    /// What ranks: `composite`, one of its parts, or a synergy model.
    pub rank_by: Option<String>,
    /// The synergy model whose score is pooled over lines and tested.
    pub score_by: Option<String>,
    /// Part of the composite = what it counts.
    pub rank_weights: BTreeMap<String, f64>,
    /// Gate = its bound, or `none`.
    pub rank_gates: BTreeMap<String, GateBound>,
    /// Fitted or observed margins.
    pub margins: Option<Margins>,
    /// Plate normalisation.
    pub normalization: Option<Normalization>,
    /// What is done about position on the plate.
    pub spatial: Option<SpatialCorrection>,
    /// Whether scores are corrected for what a well's place reads on all plates.
    pub across_plates: Option<bool>,
    /// B-scores even where doses follow rows or columns.
    pub force_b_score: Option<bool>,
    /// Resampled matrices behind each interval.
    pub bootstrap: Option<usize>,
    /// Where their noise comes from.
    pub resampling: Option<ResamplingKind>,
    /// Seed of every random number.
    pub seed: Option<u64>,
    /// Worker threads.
    pub threads: Option<usize>,
    /// `k` of "probability to be among the best k".
    pub top_k: Option<usize>,
    /// Fold from which a line is called resistant.
    pub resistant_fold: Option<f64>,
    /// What tables are written as.
    pub format: Option<TableFormat>,
}

impl ScreenFile {
    /// Reads a file; paths in it become relative to its folder.
    ///
    /// # Errors
    /// [`Error::File`] if it cannot be read, [`Error::Format`] with line and key if it cannot be understood.
    pub fn read(path: &Path) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|source| Error::File {
            action: "read",
            path: path.to_owned(),
            source,
        })?;
        let mut file = Self::parse(&text, path)?;
        let folder = path.parent().unwrap_or(Path::new(""));
        for plate in &mut file.plates.0 {
            *plate = folder.join(&plate).to_string_lossy().into_owned();
        }
        file.model = file.model.map(|model| model.relative_to(folder));
        for choice in file.synergy.iter_mut().flatten() {
            *choice = choice.relative_to(folder);
        }
        for path in file.evidence.files.0.iter_mut().chain(&mut file.apoptosis.files.0) {
            *path = folder.join(&path).to_string_lossy().into_owned();
        }
        file.knowledge.folder = file.knowledge.folder.map(|own| folder.join(own));
        file.lines_file = file.lines_file.map(|lines| folder.join(lines));
        Ok(file)
    }

    fn parse(text: &str, path: &Path) -> Result<Self> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let message = error.message().replace("unknown field", "unknown key").replace('\n', " ");
            Error::Format {
                path: path.to_owned(),
                row_group: None,
                column: None,
                hint: message.contains("unknown").then(|| did_you_mean(&message)).flatten(),
                problem: line.map_or_else(|| message.clone(), |line| format!("line {line}: {message}")),
            }
        })
    }

    /// What is said here, and where nothing is said, what `base` says. Tables are merged key by key.
    pub fn over(self, base: Self) -> Self {
        let texts = |ours: Texts, theirs: Texts| if ours.0.is_empty() { theirs } else { ours };
        Self {
            plates: texts(self.plates, base.plates),
            lines_file: self.lines_file.or(base.lines_file),
            columns: merged(self.columns, base.columns),
            constants: merged(self.constants, base.constants),
            units: UnitsSection {
                // One unit typed for all doses silences every unit of the file.
                conc_a: self.units.conc_a.or(self.units.conc.clone()).or(base.units.conc_a),
                conc_b: self.units.conc_b.or(self.units.conc.clone()).or(base.units.conc_b),
                conc_c: self.units.conc_c.or(self.units.conc.clone()).or(base.units.conc_c),
                conc: self.units.conc.or(base.units.conc),
                molar_mass: merged(self.units.molar_mass, base.units.molar_mass),
            },
            response: ResponseSection {
                orientation: self.response.orientation.or(base.response.orientation),
                scale: self.response.scale.or(base.response.scale),
            },
            roles: RolesSection {
                sample: texts(self.roles.sample, base.roles.sample),
                vehicle: texts(self.roles.vehicle, base.roles.vehicle),
                positive: texts(self.roles.positive, base.roles.positive),
                blank: texts(self.roles.blank, base.roles.blank),
                empty: texts(self.roles.empty, base.roles.empty),
            },
            none: self.none.or(base.none),
            only: merged(self.only, base.only),
            lines: merged(self.lines, base.lines),
            evidence: EvidenceSection { files: texts(self.evidence.files, base.evidence.files) },
            apoptosis: ApoptosisSection { files: texts(self.apoptosis.files, base.apoptosis.files) },
            knowledge: KnowledgeSection { folder: self.knowledge.folder.or(base.knowledge.folder) },
            anchor: self.anchor.or(base.anchor),
            low_control: self.low_control.or(base.low_control),
            backend: self.backend.or(base.backend),
            model: self.model.or(base.model),
            bounds: merged(self.bounds, base.bounds),
            ci: self.ci.or(base.ci),
            loss: self.loss.or(base.loss),
            weights: self.weights.or(base.weights),
            starts: self.starts.or(base.starts),
            vehicle_point: self.vehicle_point.or(base.vehicle_point),
            synergy: self.synergy.or(base.synergy),
            dose_limits: merged(self.dose_limits, base.dose_limits),
            rank_by: self.rank_by.or(base.rank_by),
            score_by: self.score_by.or(base.score_by),
            rank_weights: merged(self.rank_weights, base.rank_weights),
            rank_gates: merged(self.rank_gates, base.rank_gates),
            margins: self.margins.or(base.margins),
            normalization: self.normalization.or(base.normalization),
            spatial: self.spatial.or(base.spatial),
            across_plates: self.across_plates.or(base.across_plates),
            force_b_score: self.force_b_score.or(base.force_b_score),
            bootstrap: self.bootstrap.or(base.bootstrap),
            resampling: self.resampling.or(base.resampling),
            seed: self.seed.or(base.seed),
            threads: self.threads.or(base.threads),
            top_k: self.top_k.or(base.top_k),
            resistant_fold: self.resistant_fold.or(base.resistant_fold),
            format: self.format.or(base.format),
        }
    }
}

fn merged<T>(ours: BTreeMap<String, T>, mut theirs: BTreeMap<String, T>) -> BTreeMap<String, T> {
    theirs.extend(ours);
    theirs
}

#[cfg(test)]
mod tests {
    use super::*;

    fn error(text: &str) -> (String, Option<String>) {
        let error = ScreenFile::parse(text, Path::new("screen.toml")).map(|_| ()).unwrap_err();
        (error.to_string(), error.hint().map(str::to_owned))
    }

    #[test]
    fn an_unknown_key_names_itself_its_line_and_the_nearest() {
        let (message, hint) = error("seed = 1\nanchr = 'x'\n");
        assert!(
            message.starts_with("`screen.toml`: line 2: unknown key `anchr`, expected one of `plates`, "),
            "{message}"
        );
        assert_eq!(hint.as_deref(), Some("did you mean `anchor`?"));
    }

    #[test]
    fn unknown_values_list_what_is_known() {
        let (message, hint) = error("model = 'hil4'");
        let known = "`screen.toml`: line 1: unknown model `hil4`, expected one of `hill4`, `hill3`, ";
        assert!(message.starts_with(known) && message.contains("`biphasic`"), "{message}");
        assert_eq!(hint.as_deref(), Some("did you mean `hill4`?"));
        let (message, hint) = error("[roles]\nvehicles = ['NC-*']");
        assert_eq!(
            message,
            "`screen.toml`: line 2: unknown key `vehicles`, expected one of `sample`, `vehicle`, `positive`, `blank`, `empty`"
        );
        assert_eq!(hint.as_deref(), Some("did you mean `vehicle`?"));
        let (message, _) = error("[response]\norientation = 'growth'");
        assert_eq!(
            message,
            "`screen.toml`: line 2: unknown orientation `growth`, expected one of `signal`, `viability`, `inhibition`"
        );
        let (message, _) = error("plates = 3");
        assert!(message.contains("a text or a list of texts"), "{message}");
        let (message, _) = error("[lines.X]\nstatus = 'cured'");
        assert_eq!(
            message,
            "`screen.toml`: line 2: unknown status `cured`, expected one of `parental`, `resistant`, `sensitive`, `normal`"
        );
    }

    #[test]
    fn a_flag_wins_over_the_file() {
        let file = "seed = 1\nthreads = 4\n[units]\nconc_a = 'nM'\nconc_b = 'mM'\n[columns]\nwell = 'w'\nrole = 'r'";
        let flags = "seed = 2\n[units]\nconc = 'uM'\n[columns]\nwell = 'v'";
        let read = |text| ScreenFile::parse(text, Path::new("screen.toml")).unwrap();
        let both = read(flags).over(read(file));
        assert_eq!((both.seed, both.threads), (Some(2), Some(4)));
        assert_eq!(both.units.conc_a.as_deref(), Some("uM"));
        assert_eq!(both.units.conc_b.as_deref(), Some("uM"));
        assert_eq!(both.columns["well"].0, ["v"]);
        assert_eq!(both.columns["role"].0, ["r"]);
    }
}
