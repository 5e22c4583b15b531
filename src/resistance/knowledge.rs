//! What is known of clofarabine and its partners: potencies of single agents in lines, responses in the clinic, and a
//! combination whose gain in resistant sublines is published; with the strategies of [`super::evidence`], joined to
//! results as `rationale`, `evidence` and a plausibility check of potencies.
//!
//! The tables are embedded from `datasets/clofarabine`; each can be replaced by a file of the same name and columns in a
//! folder of the user's own. Embedded tables speak of clofarabine alone, a user's of the anchor of the run.

use super::Resistance;
use super::evidence::{
    ANCHOR, Evidence, Strategy, canonical_name, columns, from_strategies, parse_strategies, strategies,
};
use crate::report::table::Table;
use crate::screen::Screen;
use crate::{Error, Result};
use std::path::{Path, PathBuf};

const POTENCIES: &str = include_str!("../../datasets/clofarabine/potencies.csv");
const CLINIC: &str = include_str!("../../datasets/clofarabine/clinic.csv");
const VALIDATION: &str = include_str!("../../datasets/clofarabine/validation.csv");
/// Potencies that differ by more than this from what is published are flagged: log10 of tenfold.
const FAR_OFF: f64 = 1.0;

/// A published IC50, or the range in which it lies.
#[derive(Debug, Clone, PartialEq)]
pub struct PublishedPotency {
    /// The drug.
    pub drug: String,
    /// The lines it holds for.
    pub lines: Vec<String>,
    /// log10 molar, lower and upper end; equal where one value is published.
    pub log10_ic50: [f64; 2],
    /// Where that is written; empty where it is not named.
    pub reference: String,
}

/// Responses of patients to clofarabine with partners.
#[derive(Debug, Clone, PartialEq)]
pub struct ClinicalResponse {
    /// All partners that were given, joined by ` + `.
    pub partners: String,
    /// To whom.
    pub patients: String,
    /// Percent with any response.
    pub overall_percent: Option<f64>,
    /// Percent in complete remission.
    pub complete_percent: Option<f64>,
    /// Where that is written.
    pub reference: String,
}

/// A published effect of a pair on a line and its resistant sublines.
#[derive(Debug, Clone, PartialEq)]
pub struct Validation {
    /// The partner.
    pub partner: String,
    /// The line.
    pub line: String,
    /// Its fold resistance to the anchor.
    pub fold_resistance: Option<f64>,
    /// What was measured.
    pub measure: String,
    /// The value.
    pub value: Option<f64>,
    /// Where that is written.
    pub reference: String,
}

/// A table, and whether it holds for clofarabine alone.
#[derive(Debug, Clone, PartialEq)]
struct Source<T> {
    rows: Vec<T>,
    is_embedded: bool,
}

/// Every table.
#[derive(Debug, Clone, PartialEq)]
pub struct Knowledge {
    strategies: Source<Strategy>,
    potencies: Source<PublishedPotency>,
    clinic: Source<ClinicalResponse>,
    validation: Source<Validation>,
}

/// The files of a folder of one's own, and the columns that each must have.
const FILES: [(&str, &[&str]); 4] = [
    ("strategies.csv", &["partner", "cause", "rationale", "reference"]),
    ("potencies.csv", &["drug", "cell_line", "ic50_low_um", "ic50_high_um", "reference"]),
    ("clinic.csv", &["partners", "patients", "overall_response_percent", "complete_remission_percent", "reference"]),
    ("validation.csv", &["partner", "cell_line", "fold_resistance", "measure", "value", "reference"]),
];

type Parsed<T> = std::result::Result<Vec<T>, String>;

/// A number of a cell; an empty one is none.
fn number(row: usize, column: &str, text: &str) -> std::result::Result<Option<f64>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    match text.parse::<f64>() {
        Ok(value) if value.is_finite() => Ok(Some(value)),
        _ => Err(format!("row {row} below the header: `{text}` under `{column}` is not a number")),
    }
}

fn potencies(text: &str) -> Parsed<PublishedPotency> {
    let rows = columns(text, ["drug", "cell_line", "ic50_low_um", "ic50_high_um", "reference"]);
    let row = |(i, [drug, lines, low, high, reference]): (usize, [String; 5])| {
        let ends = [number(i + 1, "ic50_low_um", &low)?, number(i + 1, "ic50_high_um", &high)?];
        match ends {
            [Some(low), Some(high)] if low > 0.0 && low <= high => Ok(PublishedPotency {
                drug,
                lines: lines.split('|').map(|line| line.trim().to_owned()).collect(),
                log10_ic50: [low, high].map(|um| libm::log10(um) - 6.0),
                reference,
            }),
            _ => Err(format!("row {} below the header: the IC50 is not a range above 0", i + 1)),
        }
    };
    rows.into_iter().enumerate().map(row).collect()
}

fn clinic(text: &str) -> Parsed<ClinicalResponse> {
    let names = ["partners", "patients", "overall_response_percent", "complete_remission_percent", "reference"];
    let row = |(i, [partners, patients, overall, complete, reference]): (usize, [String; 5])| {
        Ok(ClinicalResponse {
            partners,
            patients,
            overall_percent: number(i + 1, names[2], &overall)?,
            complete_percent: number(i + 1, names[3], &complete)?,
            reference,
        })
    };
    columns(text, names).into_iter().enumerate().map(row).collect()
}

fn validation(text: &str) -> Parsed<Validation> {
    let rows = columns(text, ["partner", "cell_line", "fold_resistance", "measure", "value", "reference"]);
    let row = |(i, [partner, line, fold, measure, value, reference]): (usize, [String; 6])| {
        let fold_resistance = number(i + 1, "fold_resistance", &fold)?;
        Ok(Validation { partner, line, fold_resistance, measure, value: number(i + 1, "value", &value)?, reference })
    };
    rows.into_iter().enumerate().map(row).collect()
}

impl Default for Knowledge {
    /// The embedded tables.
    fn default() -> Self {
        // The embedded tables are parsed by a test: none of them fails.
        fn source<T>(parsed: Parsed<T>) -> Source<T> {
            Source { rows: parsed.unwrap_or_default(), is_embedded: true }
        }
        Self {
            strategies: Source { rows: strategies().to_vec(), is_embedded: true },
            potencies: source(potencies(POTENCIES)),
            clinic: source(clinic(CLINIC)),
            validation: source(validation(VALIDATION)),
        }
    }
}

impl Knowledge {
    /// The embedded tables, those replaced that the folder has.
    ///
    /// # Errors
    /// [`Error::File`]; [`Error::Format`] naming file and row; [`Error::Setting`] for a folder without any of the files.
    pub fn read(folder: &Path) -> Result<Self> {
        let mut knowledge = Self::default();
        let mut found = 0;
        for (name, needed) in FILES {
            let path = folder.join(name);
            let text = match std::fs::read_to_string(&path) {
                Ok(text) => text,
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(source) => return Err(Error::File { action: "read", path, source }),
            };
            found += 1;
            let header = text.lines().next().unwrap_or_default().trim_start_matches('\u{feff}');
            let names: Vec<&str> = header.split(',').map(|name| name.trim().trim_matches('"')).collect();
            if let Some(missing) = needed.iter().find(|column| !names.contains(column)) {
                let problem = format!("has no column `{missing}`; it has `{}`", names.join("`, `"));
                let hint = Some(format!("expected {}", needed.join(",")));
                return Err(Error::Format { path, row_group: None, column: None, problem, hint });
            }
            let taken = match name {
                "strategies.csv" => Ok(parse_strategies(&text)).map(|rows| knowledge.strategies = own(rows)),
                "potencies.csv" => potencies(&text).map(|rows| knowledge.potencies = own(rows)),
                "clinic.csv" => clinic(&text).map(|rows| knowledge.clinic = own(rows)),
                _ => validation(&text).map(|rows| knowledge.validation = own(rows)),
            };
            taken.map_err(|problem: String| Error::Format {
                path,
                row_group: None,
                column: None,
                problem,
                hint: None,
            })?;
        }
        if found == 0 {
            return Err(Error::Setting {
                key: "knowledge".into(),
                problem: format!("`{}` has none of the tables", folder.display()),
                hint: Some(format!("they are {}", FILES.map(|(name, _)| name).join(", "))),
            });
        }
        Ok(knowledge)
    }

    /// The files of such a folder that are there.
    pub fn files(folder: &Path) -> Vec<PathBuf> {
        FILES.iter().map(|(name, _)| folder.join(name)).filter(|path| path.is_file()).collect()
    }

    /// What is known of `partner` together with `anchor`, rationales that answer one of the lines' `mechanisms` first, and
    /// then what was published of the pair in resistant sublines and in the clinic.
    pub fn evidence(&self, anchor: &str, partner: &str, mechanisms: &str) -> Evidence {
        let is_clofarabine = canonical_name(anchor) == ANCHOR;
        let speaks = |is_embedded: bool| is_clofarabine || !is_embedded;
        let mut known = Evidence::default();
        if speaks(self.strategies.is_embedded) {
            known = from_strategies(&self.strategies.rows, partner, mechanisms);
        }
        let partner = canonical_name(partner);
        let mut published: Vec<String> = Vec::new();
        if speaks(self.validation.is_embedded) {
            let cases = self.validation.rows.iter().filter(|case| canonical_name(&case.partner) == partner);
            for case in cases {
                let Some(value) = case.value else { continue };
                let fold = case
                    .fold_resistance
                    .filter(|fold| *fold > 1.0)
                    .map(|fold| format!(" ({fold}-fold resistant)"))
                    .unwrap_or_default();
                published
                    .push(with_reference(format!("{} {value} in {}{fold}", case.measure, case.line), &case.reference));
            }
        }
        if speaks(self.clinic.is_embedded) {
            let is_of = |response: &&ClinicalResponse| {
                response.partners.split('+').any(|other| canonical_name(other.trim()) == partner)
            };
            for response in self.clinic.rows.iter().filter(is_of) {
                published.push(format!("clinic, {}", response.words()));
            }
        }
        let parts = std::iter::once(known.references.clone()).filter(|text| !text.is_empty()).chain(published);
        Evidence { references: parts.collect::<Vec<_>>().join("; "), ..known }
    }

    /// The published potency of a drug in a line.
    pub fn potency(&self, anchor: &str, drug: &str, line: &str) -> Option<&PublishedPotency> {
        if self.potencies.is_embedded && canonical_name(anchor) != ANCHOR {
            return None;
        }
        let (drug, line) = (canonical_name(drug), bare_line(line));
        let is = |known: &&PublishedPotency| {
            canonical_name(&known.drug) == drug && known.lines.iter().any(|other| bare_line(other) == line)
        };
        self.potencies.rows.iter().find(is)
    }

    /// Responses in the clinic to the anchor with the partners of this screen, for the page.
    pub fn clinic_of<'a>(&'a self, anchor: &str, is_partner: impl Fn(&str) -> bool + 'a) -> Vec<&'a ClinicalResponse> {
        if self.clinic.is_embedded && canonical_name(anchor) != ANCHOR {
            return Vec::new();
        }
        self.clinic.rows.iter().filter(move |row| row.partners.split('+').any(|name| is_partner(name.trim()))).collect()
    }
}

fn own<T>(rows: Vec<T>) -> Source<T> {
    Source { rows, is_embedded: false }
}

/// Letters and digits of a line's name: `CCRF-CEM` and `CCRF CEM` are one, `CCRF-CEM/R` is another.
fn bare_line(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric() || *c == '/').flat_map(char::to_lowercase).collect()
}

fn with_reference(text: String, reference: &str) -> String {
    format!("{text} [{}]", if reference.is_empty() { "no reference" } else { reference })
}

impl ClinicalResponse {
    /// `with cytarabine, relapsed or refractory AML: overall response 29 %, complete remission 7 %`.
    pub fn words(&self) -> String {
        let percent = |name: &str, value: Option<f64>| value.map(|value| format!("{name} {value} %"));
        let parts: Vec<String> =
            [percent("overall response", self.overall_percent), percent("complete remission", self.complete_percent)]
                .into_iter()
                .flatten()
                .collect();
        with_reference(format!("with {}, {}: {}", self.partners, self.patients, parts.join(", ")), &self.reference)
    }
}

/// How a line's own IC50 stands to what is published.
#[derive(Debug, Clone, PartialEq)]
pub struct PotencyComparison {
    /// log10 molar; the middle (on the log scale) of a range.
    pub log10_ic50: Option<f64>,
    /// Where that is written.
    pub reference: Option<String>,
    /// Whether the line's own is more than tenfold away, from the nearer end of a range.
    pub is_far_off: Option<bool>,
    /// Why it cannot be told: `no_literature_value`, `no_ic50`.
    pub reason: Option<&'static str>,
}

/// Compares a line's IC50, or the bound that is known of it, with what is published.
pub fn compare_potency(own: &Resistance, published: Option<&PublishedPotency>) -> PotencyComparison {
    let Some(published) = published else {
        let reason = Some("no_literature_value");
        return PotencyComparison { log10_ic50: None, reference: None, is_far_off: None, reason };
    };
    let [low, high] = published.log10_ic50;
    let range = match (own.log10_ic50, own.log10_ic50_interval, own.ic50_censored) {
        (Some(own), ..) => Some([own, own]),
        // Beyond the doses tested: as far away as the last of them at least.
        (None, [Some(bound), _], "above") => Some([bound, f64::INFINITY]),
        (None, [_, Some(bound)], "below") => Some([f64::NEG_INFINITY, bound]),
        _ => None,
    };
    let is_far_off = range.and_then(|[least, most]| {
        if least > high + FAR_OFF || most < low - FAR_OFF {
            Some(true)
        } else {
            // A bound that lies near may hide anything behind it.
            (least.is_finite() && most.is_finite()).then_some(false)
        }
    });
    PotencyComparison {
        log10_ic50: Some(0.5 * (low + high)),
        reference: Some(published.reference.clone()).filter(|reference| !reference.is_empty()),
        is_far_off,
        reason: is_far_off.is_none().then_some("no_ic50"),
    }
}

/// Adds to the `resistance` table how its rows stand to what is published: `literature_log10_ic50`,
/// `literature_reference`, `literature_is_far_off` (more than tenfold), `literature_reason`.
pub fn with_literature(
    table: Table,
    resistances: &[Resistance],
    screen: &Screen,
    anchor: &str,
    knowledge: &Knowledge,
) -> Table {
    let rows: Vec<PotencyComparison> = resistances
        .iter()
        .map(|row| {
            let (drug, line) = (screen.drugs.name(row.drug), screen.lines.name(row.line));
            compare_potency(row, knowledge.potency(anchor, drug, line))
        })
        .collect();
    table
        .number("literature_log10_ic50", rows.iter().map(|row| row.log10_ic50))
        .text("literature_reference", rows.iter().map(|row| row.reference.clone()))
        .flag("literature_is_far_off", rows.iter().map(|row| row.is_far_off))
        .text("literature_reason", rows.iter().map(|row| row.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_embedded_table_is_read_whole() {
        let lines = |text: &str| text.trim_end().lines().count() - 1;
        assert_eq!(potencies(POTENCIES).map(|rows| rows.len()), Ok(lines(POTENCIES)));
        assert_eq!(clinic(CLINIC).map(|rows| rows.len()), Ok(lines(CLINIC)));
        assert_eq!(validation(VALIDATION).map(|rows| rows.len()), Ok(lines(VALIDATION)));
        assert!(potencies("drug,cell_line,ic50_low_um,ic50_high_um,reference\nx,y,2,1,\n").is_err());
        for (text, (name, needed)) in [POTENCIES, CLINIC, VALIDATION].iter().zip(&FILES[1..]) {
            assert_eq!(text.lines().next().map(|h| h.split(',').collect::<Vec<_>>()), Some(needed.to_vec()), "{name}");
        }
    }

    #[test]
    fn what_is_published_of_a_pair_is_told() {
        let known = Knowledge::default();
        let text = known.evidence("Clolar", "Ara-C", "").references;
        assert!(text.contains("overall response 38 %, complete remission 22 % [Faderl 2005"), "{text}");
        assert!(
            text.contains("liposomal daunorubicin, relapsed or refractory paediatric AML: overall response 68 % ["),
            "{text}"
        );
        let text = known.evidence("clofarabine", "ABT-737", "BCL-2 up").references;
        assert!(
            text.contains("combination index 0.27 in HL/CAFdA20 (20-fold resistant) [doi:10.1111/cas.12131]"),
            "{text}"
        );
        assert_eq!(known.evidence("imatinib", "cytarabine", ""), Evidence::default());
    }

    #[test]
    fn potencies_are_compared_with_what_is_published() {
        let known = Knowledge::default();
        let published = known.potency("clofarabine", "ABT-199", "ccrf cem");
        let row = |log10: Option<f64>, censored: &'static str, interval| Resistance {
            log10_ic50: log10,
            ic50_censored: censored,
            log10_ic50_interval: interval,
            ..Resistance::unknown(0, 0, "test")
        };
        let compare = |row: &Resistance| compare_potency(row, published);
        let near = compare(&row(Some(-5.0), "none", [None; 2]));
        // 3.37 µM
        assert!(
            (near.log10_ic50.expect("a value") + 5.4724).abs() < 1e-3 && near.is_far_off == Some(false),
            "{near:?}"
        );
        assert_eq!(compare(&row(Some(-4.4), "none", [None; 2])).is_far_off, Some(true));
        assert_eq!(compare(&row(None, "above", [Some(-4.0), None])).is_far_off, Some(true));
        let open = compare(&row(None, "above", [Some(-5.0), None]));
        assert_eq!((open.is_far_off, open.reason), (None, Some("no_ic50")));
        assert_eq!(compare_potency(&row(Some(-5.0), "none", [None; 2]), None).reason, Some("no_literature_value"));
        assert!(known.potency("clofarabine", "venetoclax", "CCRF-CEM/CLO-dCK").is_none(), "a subline is another line");
        assert!(known.potency("imatinib", "venetoclax", "CCRF-CEM").is_none());
        // A range: from its nearer end.
        let range = known.potency("clofarabine", "clofarabine", "REH");
        let of = |log10: f64| compare_potency(&row(Some(log10), "none", [None; 2]), range).is_far_off;
        assert_eq!([of(-6.1), of(-5.9), of(-8.9), of(-9.1)].map(|off| off.expect("told")), [false, true, false, true]);
    }
}
