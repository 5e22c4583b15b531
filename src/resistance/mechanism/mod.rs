//! Why a line is resistant: evidence from expression, from the screen itself and from its owner, and what it comes to.
//!
//! A mechanism is *called* by direct evidence (expression of its marker changed in the direction that makes resistant) or
//! functional evidence (an ABCG2 inhibitor gives the anchor its potency back). All tests of a line share a family-wise
//! error of 5 % (Holm 1979, Scand J Stat 6:65-70), and a change must be 1.5-fold at least. Cross-resistance fits more than
//! one mechanism: it makes a line *suspected*, or speaks against an annotation, and calls nothing.

pub mod evidence_item;
pub mod expression;
pub mod marker;
pub mod moderation;
pub mod of_screen;
pub mod table;

use super::cross_resistance::CrossResistance;
use super::drug_class::drug_class;
use super::potency::LogRatio;
use crate::screen::measurement::Measurement;
use evidence_item::{EvidenceItem, Strength, Verdict, efflux, hints};
use expression::expression;
use marker::{Direction, Marker, Mechanism, annotated};
use std::collections::BTreeMap;

/// What is known of a line beside its evidence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LineFact {
    /// The line.
    pub name: String,
    /// The line that it was raised from.
    pub parental: Option<String>,
    /// Why it is resistant, in its owner's words.
    pub annotation: Option<String>,
    /// Whether it is resistant to the anchor (called or annotated).
    pub is_resistant: bool,
}

/// The anchor with a drug that may be an inhibitor of efflux: how much more potent it is with it.
#[derive(Debug, Clone, PartialEq)]
pub struct EffluxTest {
    /// The line.
    pub line: String,
    /// The inhibitor.
    pub inhibitor: String,
    /// log10 of the fold, above 0 where the anchor is more potent.
    pub fold_change: LogRatio,
}

impl EffluxTest {
    /// Whether a drug blocks ABCG2, by the table of drug classes.
    pub fn is_inhibitor(drug: &str) -> bool {
        drug_class(drug).is_some_and(|class| class.class.contains("ABCG2"))
    }
}

/// A single agent on a resistant line, against its parent.
#[derive(Debug, Clone, PartialEq)]
pub struct SingleAgent {
    /// The line.
    pub line: String,
    /// The drug.
    pub drug: String,
    /// What the comparison amounts to.
    pub class: CrossResistance,
}

/// Everything that mechanisms are told from.
#[derive(Debug, Clone, Default)]
pub struct Inputs<'a> {
    /// The lines.
    pub lines: Vec<LineFact>,
    /// Expression, as read.
    pub measurements: &'a [Measurement],
    /// The anchor with inhibitors of ABCG2.
    pub efflux_tests: Vec<EffluxTest>,
    /// Single agents other than the anchor.
    pub single_agents: Vec<SingleAgent>,
}

/// What the evidence on one mechanism of one line comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Direct or functional evidence for it.
    Called,
    /// Evidence disagrees: with itself, or with the annotation.
    Contradictory,
    /// The owner says so, and nothing speaks for or against it.
    Annotated,
    /// Indirect evidence alone.
    Suspected,
    /// Direct or functional evidence against it, none for it.
    Excluded,
    /// There is evidence, and it leaves the question open.
    Open,
    /// There is none.
    NoEvidence,
}

impl Status {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Status::Called => "called",
            Status::Contradictory => "contradictory",
            Status::Annotated => "annotated",
            Status::Suspected => "suspected",
            Status::Excluded => "excluded",
            Status::Open => "open",
            Status::NoEvidence => "no_evidence",
        }
    }
}

/// One mechanism of one line.
#[derive(Debug, Clone, PartialEq)]
pub struct MechanismCall {
    /// The line.
    pub line: String,
    /// The mechanism; `None` for `unknown`, where a resistant line has none.
    pub mechanism: Option<Mechanism>,
    /// What the evidence comes to.
    pub status: Option<Status>,
    /// In words, with the proteins behind it (`BCL-2 up`); the owner's own where they agree.
    pub words: String,
    /// The strongest evidence for it.
    pub strength: Option<Strength>,
    /// The smallest adjusted p of the evidence for it.
    pub p_adjusted: Option<f64>,
    /// Every piece of evidence, in short.
    pub evidence: Vec<String>,
    /// Why it is no call: `methods_disagree`, `expression_without_function`, `annotation_against_evidence`,
    /// `annotation_against_cross_resistance`, `indirect_evidence_only`, `indirect_evidence_against`, `interval_too_wide`,
    /// `annotation_only`, `evidence_against`, `no_evidence`, `contradictory_evidence`, `evidence_open`, or the cause that
    /// the evidence has. With a call: `annotation_not_confirmed`, `expression_unchanged`.
    pub reason: Option<&'static str>,
}

impl MechanismCall {
    /// Whether the line counts as one of its mechanism in rankings.
    pub fn is_taken(&self) -> bool {
        matches!(self.status, Some(Status::Called | Status::Annotated))
    }
}

/// All mechanisms of all lines, and the evidence.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Mechanisms {
    /// A row for each line and mechanism; lines by name, mechanisms in their order, `unknown` last.
    pub calls: Vec<MechanismCall>,
    /// Every piece of evidence, lines by name.
    pub evidence: Vec<EvidenceItem>,
}

impl Mechanisms {
    /// What makes this line resistant, for the ranking: calls and uncontradicted annotations, joined by `; `; `None` where
    /// there is neither.
    pub fn words(&self, line: &str) -> Option<String> {
        let of_line = self.calls.iter().filter(|call| call.line.eq_ignore_ascii_case(line));
        let words: Vec<String> = of_line
            .filter_map(|call| match call.status? {
                Status::Called | Status::Annotated => Some(call.words.clone()),
                Status::Contradictory => Some(format!("{} (contradictory)", call.words)),
                _ => None,
            })
            .collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Whether the line counts as one of this mechanism.
    pub fn has(&self, line: &str, mechanism: Mechanism) -> bool {
        self.calls
            .iter()
            .any(|call| call.mechanism == Some(mechanism) && call.is_taken() && call.line.eq_ignore_ascii_case(line))
    }
}

/// Holm's adjusted p, in the order given.
fn holm(p: &[f64]) -> Vec<f64> {
    let mut order: Vec<usize> = (0..p.len()).collect();
    order.sort_by(|&a, &b| p[a].total_cmp(&p[b]).then(a.cmp(&b)));
    let mut adjusted = vec![1.0; p.len()];
    let mut running = 0.0f64;
    for (rank, &i) in order.iter().enumerate() {
        running = running.max((p[i] * (p.len() - rank) as f64).min(1.0));
        adjusted[i] = running;
    }
    adjusted
}

/// Calls the mechanisms of every line that is resistant, annotated or has evidence.
pub fn mechanisms(inputs: &Inputs<'_>) -> Mechanisms {
    let fact = |line: &str| inputs.lines.iter().find(|fact| fact.name.eq_ignore_ascii_case(line));
    let parent_of = |line: &str| fact(line).and_then(|fact| fact.parental.clone());
    // Line by its name in lower case: the name to show, and its evidence.
    let mut lines: BTreeMap<String, (String, Vec<EvidenceItem>)> = BTreeMap::new();
    for fact in inputs.lines.iter().filter(|fact| fact.is_resistant || fact.annotation.is_some()) {
        lines.entry(fact.name.to_lowercase()).or_insert_with(|| (fact.name.clone(), Vec::new()));
    }
    for row in expression(inputs.measurements, &parent_of) {
        let key = row.line.to_lowercase();
        let shown = fact(&row.line).map_or_else(|| row.line.clone(), |fact| fact.name.clone());
        lines.entry(key).or_insert_with(|| (shown, Vec::new())).1.push(EvidenceItem::of_expression(row));
    }
    let mut result = Mechanisms::default();
    for (key, (name, mut items)) in lines {
        let parent = parent_of(&key).or_else(|| items.iter().find_map(|item| item.parental.clone()));
        items.extend(efflux(&name, parent.as_deref(), &inputs.efflux_tests));
        items.extend(hints(&name, &inputs.single_agents));
        let annotation = fact(&name).and_then(|fact| fact.annotation.as_deref()).unwrap_or_default();
        items.extend(annotated(annotation).into_iter().map(|said| EvidenceItem::of_annotation(&name, said)));
        let tested: Vec<usize> = (0..items.len()).filter(|&i| items[i].is_tested()).collect();
        let adjusted = holm(&tested.iter().filter_map(|&i| items[i].p).collect::<Vec<_>>());
        for (&i, p) in tested.iter().zip(adjusted) {
            items[i].p_adjusted = Some(p);
        }
        for item in &mut items {
            item.line.clone_from(&name);
            item.decide();
        }
        let own: Vec<MechanismCall> =
            Mechanism::ALL.into_iter().map(|mechanism| call(&name, mechanism, &items)).collect();
        let is_resistant = fact(&name).is_some_and(|fact| fact.is_resistant);
        let unknown = (is_resistant && !own.iter().any(MechanismCall::is_taken)).then(|| unknown(&name, &own));
        result.calls.extend(own);
        result.calls.extend(unknown);
        result.evidence.extend(items);
    }
    result
}

fn unknown(line: &str, calls: &[MechanismCall]) -> MechanismCall {
    let any = |status: Status| calls.iter().any(|call| call.status == Some(status));
    let reason = if any(Status::Contradictory) {
        "contradictory_evidence"
    } else if calls.iter().all(|call| call.status == Some(Status::NoEvidence)) {
        "no_evidence"
    } else if any(Status::Open) || any(Status::Suspected) {
        "evidence_open"
    } else {
        "none_found"
    };
    MechanismCall {
        line: line.to_owned(),
        mechanism: None,
        status: None,
        words: "unknown".into(),
        strength: None,
        p_adjusted: None,
        evidence: Vec::new(),
        reason: Some(reason),
    }
}

fn call(line: &str, mechanism: Mechanism, items: &[EvidenceItem]) -> MechanismCall {
    let own: Vec<&EvidenceItem> = items.iter().filter(|item| item.mechanism == Some(mechanism)).collect();
    let strong: Vec<&EvidenceItem> = own.iter().copied().filter(|item| item.strength >= Strength::Direct).collect();
    let any = |items: &[&EvidenceItem], verdict: Verdict| items.iter().any(|item| item.verdict == verdict);
    let said = own.iter().copied().find(|item| item.strength == Strength::Annotated);
    let indirect: Vec<&EvidenceItem> = own.iter().copied().filter(|item| item.strength == Strength::Indirect).collect();
    let (status, reason) = status(&own, &strong, &indirect, said);
    let supporting: Vec<&EvidenceItem> = own.iter().copied().filter(|item| item.verdict == Verdict::For).collect();
    // The owner's words where the evidence does not name another protein.
    let confirms = |said: &EvidenceItem| {
        said.known.is_none()
            || !any(&strong, Verdict::For)
            || strong.iter().any(|item| item.verdict == Verdict::For && item.known == said.known)
    };
    let words = match said.filter(|said| confirms(said)) {
        Some(said) => said.detail.clone(),
        None => words(mechanism, &strong),
    };
    MechanismCall {
        line: line.to_owned(),
        mechanism: Some(mechanism),
        status: Some(status),
        words,
        strength: supporting.iter().map(|item| item.strength).max(),
        p_adjusted: supporting.iter().filter_map(|item| item.p_adjusted).min_by(f64::total_cmp),
        evidence: own.iter().map(|item| item.summary()).collect(),
        reason,
    }
}

/// `BCL-2 up and BAX down`, of the proteins that changed.
fn words(mechanism: Mechanism, strong: &[&EvidenceItem]) -> String {
    if mechanism != Mechanism::AntiApoptoticShift {
        return mechanism.words().to_owned();
    }
    let mut parts: Vec<String> = Vec::new();
    for item in strong.iter().filter(|item| item.verdict == Verdict::For) {
        let part = format!("{} {}", item.marker, item.direction.name());
        if !parts.contains(&part) {
            parts.push(part);
        }
    }
    if parts.is_empty() { mechanism.words().to_owned() } else { parts.join(" and ") }
}

fn status(
    own: &[&EvidenceItem],
    strong: &[&EvidenceItem],
    indirect: &[&EvidenceItem],
    said: Option<&EvidenceItem>,
) -> (Status, Option<&'static str>) {
    let any = |items: &[&EvidenceItem], verdict: Verdict| items.iter().any(|item| item.verdict == verdict);
    let of = |strength: Strength, verdict: Verdict| {
        strong.iter().any(|item| item.strength == strength && item.verdict == verdict)
    };
    let disagree = |marker: Marker| {
        let of_marker = |verdict: Verdict| {
            let direct = |item: &&&EvidenceItem| item.strength == Strength::Direct && item.known == Some(marker);
            strong.iter().filter(direct).any(|item| item.verdict == verdict)
        };
        of_marker(Verdict::For) && of_marker(Verdict::Against)
    };
    if Marker::ALL.into_iter().any(disagree) {
        return (Status::Contradictory, Some("methods_disagree"));
    }
    // A transporter that is there and does nothing for the drug is no cause; one that works needs no more of itself.
    if of(Strength::Direct, Verdict::For) && of(Strength::Functional, Verdict::Against) {
        return (Status::Contradictory, Some("expression_without_function"));
    }
    if any(strong, Verdict::For) {
        let protein = said.and_then(|said| said.known);
        let confirmed = strong.iter().any(|item| item.verdict == Verdict::For && item.known == protein);
        let reason = if of(Strength::Functional, Verdict::For) && of(Strength::Direct, Verdict::Against) {
            Some("expression_unchanged")
        } else {
            (protein.is_some() && !confirmed).then_some("annotation_not_confirmed")
        };
        return (Status::Called, reason);
    }
    if let Some(said) = said {
        // Another protein's evidence says nothing of the one that the owner names.
        let speaks = |item: &&&EvidenceItem| said.known.is_none() || item.known == said.known;
        return if strong.iter().filter(speaks).any(|item| item.verdict == Verdict::Against) {
            (Status::Contradictory, Some("annotation_against_evidence"))
        } else if any(indirect, Verdict::Against) {
            (Status::Contradictory, Some("annotation_against_cross_resistance"))
        } else {
            (Status::Annotated, Some("annotation_only"))
        };
    }
    let is_open = strong.iter().any(|item| item.verdict == Verdict::Open);
    if any(indirect, Verdict::For) && !any(strong, Verdict::Against) {
        (Status::Suspected, Some("indirect_evidence_only"))
    } else if !strong.is_empty() && !is_open {
        (Status::Excluded, Some("evidence_against"))
    } else if !own.is_empty() {
        let cause = strong.iter().find(|item| item.verdict == Verdict::Open).and_then(|item| item.reason);
        let otherwise = match (is_open, any(indirect, Verdict::Against)) {
            (true, _) => "interval_too_wide",
            (false, true) => "indirect_evidence_against",
            (false, false) => "indirect_evidence_only",
        };
        (Status::Open, Some(cause.unwrap_or(otherwise)))
    } else {
        (Status::NoEvidence, Some("no_evidence"))
    }
}

/// The direction in which a marker of a mechanism changed, as tables name it.
pub(super) fn direction_of(call: &MechanismCall, evidence: &[EvidenceItem]) -> Option<&'static str> {
    let own = evidence.iter().filter(|item| item.line == call.line && item.mechanism == call.mechanism);
    let mut found: Vec<Direction> =
        own.filter(|item| item.verdict == Verdict::For).map(|item| item.direction).collect();
    found.retain(|direction| matches!(direction, Direction::Up | Direction::Down));
    let first = *found.first()?;
    found.iter().all(|direction| *direction == first).then(|| first.name())
}
