//! What is known of partners for clofarabine: the embedded knowledge tables of `datasets/clofarabine`.
//!
//! `strategies.csv` (partner, cause, rationale, reference) says which partner answers which cause of resistance;
//! `synonyms.csv` (name, synonyms) lists what else a drug is called. Several names in one field are joined by `|`.
//! Names match when their letters and digits do, whatever the case: `ABT-199`, `abt199` and `ABT 199` are one.

use super::knowledge::Knowledge;
use std::collections::BTreeMap;
use std::sync::OnceLock;

const STRATEGIES: &str = include_str!("../../datasets/clofarabine/strategies.csv");
const SYNONYMS: &str = include_str!("../../datasets/clofarabine/synonyms.csv");
/// The drug that the tables are about.
pub(super) const ANCHOR: &str = "clofarabine";
/// Words of a cause that say in which direction, not what.
const DIRECTIONS: [&str; 14] = [
    "and",
    "the",
    "loss",
    "low",
    "lower",
    "down",
    "high",
    "higher",
    "raised",
    "gain",
    "over",
    "expression",
    "mutation",
    "increased",
];

/// One known reason to try a partner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Strategy {
    /// The partner's names.
    pub partners: Vec<String>,
    /// The cause of resistance it answers.
    pub cause: String,
    /// Why it may help.
    pub rationale: String,
    /// Where that is shown.
    pub reference: String,
}

/// What is known of one pair; empty texts where nothing is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Evidence {
    /// Rationales as `cause: rationale`, joined by `; `.
    pub rationale: String,
    /// Distinct references, joined by `; `.
    pub references: String,
}

/// Rows of comma-separated text (RFC 4180: fields may be quoted, quotes doubled), the header included.
fn parse_csv(text: &str) -> Vec<Vec<String>> {
    let (mut rows, mut row, mut field, mut is_quoted) = (Vec::new(), Vec::new(), String::new(), false);
    let mut characters = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(c) = characters.next() {
        match c {
            '"' if is_quoted && characters.peek() == Some(&'"') => {
                characters.next();
                field.push('"');
            }
            '"' => is_quoted = !is_quoted,
            ',' if !is_quoted => row.push(std::mem::take(&mut field)),
            '\r' if !is_quoted => {}
            '\n' if !is_quoted => {
                row.push(std::mem::take(&mut field));
                rows.push(std::mem::take(&mut row));
            }
            c => field.push(c),
        }
    }
    if !field.is_empty() || !row.is_empty() {
        row.push(field);
        rows.push(row);
    }
    rows.retain(|row| row.iter().any(|field| !field.trim().is_empty()));
    rows
}

/// The fields of the named columns, row by row; empty for a column that is not there.
pub(super) fn columns<const N: usize>(text: &str, names: [&str; N]) -> Vec<[String; N]> {
    let mut rows = parse_csv(text).into_iter();
    let header = rows.next().unwrap_or_default();
    let places = names.map(|name| header.iter().position(|column| column.trim() == name));
    rows.map(|row| places.map(|place| place.and_then(|p| row.get(p)).map_or(String::new(), |f| f.trim().to_owned())))
        .collect()
}

/// Letters and digits in lower case: what names are compared by.
fn bare(name: &str) -> String {
    name.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// A drug's name as names are compared: the main name of its synonyms, in bare letters and digits.
pub fn canonical_name(name: &str) -> String {
    static MAIN_NAMES: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    let main_names = MAIN_NAMES.get_or_init(|| {
        let mut map = BTreeMap::new();
        for [name, synonyms] in columns(SYNONYMS, ["name", "synonyms"]) {
            for synonym in synonyms.split('|') {
                map.entry(bare(synonym)).or_insert_with(|| bare(&name));
            }
        }
        map
    });
    let bare = bare(name);
    main_names.get(&bare).cloned().unwrap_or(bare)
}

/// The embedded strategies, in file order.
pub fn strategies() -> &'static [Strategy] {
    static TABLE: OnceLock<Vec<Strategy>> = OnceLock::new();
    TABLE.get_or_init(|| parse_strategies(STRATEGIES))
}

/// A table of strategies, in file order.
pub(super) fn parse_strategies(text: &str) -> Vec<Strategy> {
    columns(text, ["partner", "cause", "rationale", "reference"])
        .into_iter()
        .map(|[partner, cause, rationale, reference]| Strategy {
            partners: partner.split('|').map(|p| p.trim().to_owned()).collect(),
            cause,
            rationale,
            reference,
        })
        .collect()
}

/// What a cause is about: its words without directions and without words of fewer than three letters.
fn subjects(text: &str) -> Vec<String> {
    text.split(|c: char| c.is_whitespace() || matches!(c, ',' | ';' | '/' | '(' | ')'))
        .map(bare)
        .filter(|word| word.chars().count() >= 3 && !DIRECTIONS.contains(&word.as_str()))
        .collect()
}

/// What the embedded tables know of `partner` together with `anchor` ([`Knowledge::evidence`]). Empty for an anchor other
/// than clofarabine: the tables do not speak of it.
pub fn evidence(anchor: &str, partner: &str, mechanisms: &str) -> Evidence {
    static EMBEDDED: OnceLock<Knowledge> = OnceLock::new();
    EMBEDDED.get_or_init(Knowledge::default).evidence(anchor, partner, mechanisms)
}

/// Rationales and references of the strategies with `partner`, those that answer one of the lines' `mechanisms` first.
pub(super) fn from_strategies(strategies: &[Strategy], partner: &str, mechanisms: &str) -> Evidence {
    let partner = canonical_name(partner);
    let wanted = subjects(mechanisms);
    let mut found: Vec<&Strategy> =
        strategies.iter().filter(|s| s.partners.iter().any(|p| canonical_name(p) == partner)).collect();
    found.sort_by_key(|s| !subjects(&s.cause).iter().any(|subject| wanted.contains(subject)));
    let (mut rationales, mut references): (Vec<String>, Vec<&str>) = (Vec::new(), Vec::new());
    for strategy in found {
        let parts = [strategy.cause.as_str(), strategy.rationale.as_str()];
        let text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
        if !text.is_empty() && !rationales.contains(&text) {
            rationales.push(text);
        }
        if !strategy.reference.is_empty() && !references.contains(&strategy.reference.as_str()) {
            references.push(&strategy.reference);
        }
    }
    Evidence { rationale: rationales.join("; "), references: references.join("; ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn csv_fields_may_be_quoted() {
        let rows = parse_csv("a,b\r\n\"x, y\",\"said \"\"no\"\"\"\n\n1,");
        assert_eq!(rows, [vec!["a", "b"], vec!["x, y", "said \"no\""], vec!["1", ""]]);
        assert_eq!(columns("b,a\n1,2\n", ["a", "missing"]), [["2".to_owned(), String::new()]]);
    }

    #[test]
    fn every_embedded_row_is_complete_and_means_one_drug() {
        assert!(!strategies().is_empty());
        for strategy in strategies() {
            assert!(strategy.partners.iter().all(|p| !p.is_empty()), "{strategy:?}");
            assert!(!strategy.cause.is_empty() && !strategy.rationale.is_empty(), "{strategy:?}");
        }
        let mut owners = BTreeMap::new();
        for [name, synonyms] in columns(SYNONYMS, ["name", "synonyms"]) {
            for synonym in synonyms.split('|') {
                assert!(!bare(synonym).is_empty(), "{name}");
                assert_eq!(owners.insert(bare(synonym), name.clone()), None, "{synonym} is two drugs");
            }
        }
    }

    #[test]
    fn partners_are_found_by_any_of_their_names() {
        let known = evidence("Clofarabine", "Venetoclax", "");
        assert!(!known.rationale.is_empty() && !known.references.is_empty());
        for (anchor, partner) in [("clolar", "abt 199"), ("CAFdA", "GDC-0199")] {
            assert_eq!(evidence(anchor, partner, ""), known, "{anchor} {partner}");
        }
        assert_eq!(evidence("clofarabine", "water", ""), Evidence::default());
        assert_eq!(evidence("imatinib", "venetoclax", ""), Evidence::default());
    }
}
