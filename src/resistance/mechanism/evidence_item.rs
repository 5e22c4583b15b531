//! One piece of evidence on a line's mechanism: expression, the screen's own efflux test, cross-resistance, annotation.

use super::expression::{ALPHA, Expression, SMALLEST_LOG2, UNCHANGED_LOG2, direction};
use super::marker::{Annotated, Direction, Marker, Mechanism};
use super::{EffluxTest, SingleAgent};
use crate::resistance::cross_resistance::CrossResistance;
use crate::resistance::drug_class::{DrugClass, drug_class};
use crate::resistance::potency::{LogRatio, Potency, spread};
use std::collections::BTreeMap;
use std::f64::consts::{LN_2, LN_10};

/// How much a piece of evidence can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Strength {
    /// What the line's owner says of it.
    Annotated,
    /// Fits a mechanism, and others too: never enough for a call.
    Indirect,
    /// Expression of the protein or its messenger.
    Direct,
    /// What the mechanism does, seen to be undone.
    Functional,
}

impl Strength {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Strength::Annotated => "annotated",
            Strength::Indirect => "indirect",
            Strength::Direct => "direct",
            Strength::Functional => "functional",
        }
    }
}

/// What a piece of evidence says of its mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The mechanism is there.
    For,
    /// It is not.
    Against,
    /// It may be.
    Open,
}

impl Verdict {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Verdict::For => "for",
            Verdict::Against => "against",
            Verdict::Open => "open",
        }
    }
}

/// One piece of evidence. Folds are against the parental line.
#[derive(Debug, Clone, PartialEq)]
pub struct EvidenceItem {
    /// The line.
    pub line: String,
    /// The protein, or what it was inferred from.
    pub marker: String,
    /// The protein, where it is known here.
    pub known: Option<Marker>,
    /// `western_blot`, `qrt_pcr`, …, `efflux_inhibitor`, `cross_resistance`, `annotation`.
    pub method: String,
    /// What it speaks of; `None` for a marker that no mechanism is known of.
    pub mechanism: Option<Mechanism>,
    /// How much it can carry.
    pub strength: Strength,
    /// The parental line.
    pub parental: Option<String>,
    /// How line and parent were compared.
    pub comparison: Option<&'static str>,
    /// Replicates (of expression), matrices (of an efflux inhibitor).
    pub n: Option<u32>,
    /// Rows that could not be used.
    pub n_left_out: u32,
    /// log2 of the fold: of expression, or of how much more potent an efflux inhibitor makes the anchor.
    pub log2_fold: Option<f64>,
    /// Its 95 % interval.
    pub interval: [Option<f64>; 2],
    /// Two-sided p of no change.
    pub p: Option<f64>,
    /// The same, adjusted for everything that was tested on the line (Holm 1979).
    pub p_adjusted: Option<f64>,
    /// The change.
    pub direction: Direction,
    /// What that says of the mechanism.
    pub verdict: Verdict,
    /// Why something is missing.
    pub reason: Option<&'static str>,
    /// What lies behind it, in words.
    pub detail: String,
}

impl EvidenceItem {
    pub(super) fn bare(line: &str, marker: String, method: &str, strength: Strength) -> Self {
        Self {
            line: line.to_owned(),
            marker,
            known: None,
            method: method.to_owned(),
            mechanism: None,
            strength,
            parental: None,
            comparison: None,
            n: None,
            n_left_out: 0,
            log2_fold: None,
            interval: [None; 2],
            p: None,
            p_adjusted: None,
            direction: Direction::Open,
            verdict: Verdict::Open,
            reason: None,
            detail: String::new(),
        }
    }

    /// From expression; directions and verdicts follow when p has been adjusted ([`EvidenceItem::decide`]).
    pub(super) fn of_expression(row: Expression) -> Self {
        let Expression {
            line,
            marker,
            known,
            method,
            parental,
            comparison,
            n,
            n_left_out,
            log2_fold,
            interval,
            p,
            silent,
            reason,
            ..
        } = row;
        Self {
            known,
            mechanism: known.map(Marker::mechanism),
            parental,
            comparison,
            n: Some(n),
            n_left_out,
            log2_fold,
            interval,
            p,
            direction: silent.unwrap_or(Direction::Open),
            reason,
            ..Self::bare(&line, marker, &method, Strength::Direct)
        }
    }

    /// From what an owner says.
    pub(super) fn of_annotation(line: &str, annotated: Annotated) -> Self {
        let Annotated { mechanism, marker, text } = annotated;
        Self {
            known: marker,
            mechanism: Some(mechanism),
            direction: marker.map_or(Direction::Open, Marker::causal),
            verdict: Verdict::For,
            detail: text,
            ..Self::bare(
                line,
                marker.map_or(mechanism.words(), Marker::name).to_owned(),
                "annotation",
                Strength::Annotated,
            )
        }
    }

    /// Whether its p counts among the tests of a line.
    pub(super) fn is_tested(&self) -> bool {
        self.mechanism.is_some() && self.p.is_some()
    }

    /// Direction and verdict from the adjusted p.
    pub(super) fn decide(&mut self) {
        let Some(mechanism) = self.mechanism else {
            self.direction = direction(self.log2_fold, self.interval, self.p);
            return;
        };
        match self.strength {
            Strength::Direct => {
                if !matches!(self.reason, Some("target_not_detected" | "target_not_detected_in_parent")) {
                    self.direction = direction(self.log2_fold, self.interval, self.p_adjusted);
                }
                let causal = self.known.map_or(Direction::Up, Marker::causal);
                self.verdict = match self.direction {
                    Direction::Open => Verdict::Open,
                    // More p53 is no p53 that works: mutants accumulate.
                    Direction::Up if mechanism == Mechanism::P53Loss => Verdict::Open,
                    direction if direction == causal => Verdict::For,
                    _ => Verdict::Against,
                };
            }
            Strength::Functional => self.decide_efflux(),
            Strength::Indirect | Strength::Annotated => {}
        }
    }

    fn decide_efflux(&mut self) {
        let is_restored = self.p_adjusted.is_some_and(|p| p <= ALPHA) && self.log2_fold.is_some_and(|f| f >= SMALLEST_LOG2)
            // Beyond the doses tested there is no p, and the bound says it.
            || self.log2_fold.is_none() && self.interval[0].is_some_and(|low| low >= SMALLEST_LOG2);
        let is_unchanged = self.interval[1].is_some_and(|high| high < UNCHANGED_LOG2);
        (self.direction, self.verdict) = if is_restored {
            (Direction::Up, Verdict::For)
        } else if is_unchanged {
            (Direction::Unchanged, Verdict::Against)
        } else {
            (Direction::Open, Verdict::Open)
        };
    }

    /// `western blot BCL-2 3.1-fold (1.9 to 5)`, as lists of evidence name it.
    pub fn summary(&self) -> String {
        let mut text = format!("{} {}", self.method.replace('_', " "), self.marker);
        if let Some(log2) = self.log2_fold {
            text += &format!(" {}-fold", short(log2));
        }
        if let [Some(low), Some(high)] = self.interval {
            text += &format!(" ({} to {})", short(low), short(high));
        } else if let [Some(low), None] = self.interval {
            text += &format!(" at least {}-fold", short(low));
        }
        for word in [self.detail.as_str(), self.reason.unwrap_or_default()].into_iter().filter(|word| !word.is_empty())
        {
            text += &format!(" [{}]", word.replace('_', " "));
        }
        text
    }
}

/// A fold with two digits.
fn short(log2: f64) -> String {
    let fold = libm::exp2(log2);
    let decimals = (1 - libm::log10(fold).floor() as i32).clamp(0, 6) as usize;
    format!("{fold:.decimals$}")
}

/// The anchor with an inhibitor of ABCG2: does the line get its sensitivity back, and more of it than its parent gains?
/// One item for each inhibitor; matrices of one inhibitor are averaged.
pub(super) fn efflux(line: &str, parent: Option<&str>, tests: &[EffluxTest]) -> Vec<EvidenceItem> {
    let of_line = |name: &str| {
        let mut found: BTreeMap<&str, Vec<LogRatio>> = BTreeMap::new();
        for test in tests.iter().filter(|test| test.line.eq_ignore_ascii_case(name)) {
            found.entry(&test.inhibitor).or_default().push(test.fold_change);
        }
        found
    };
    let parents = parent.map(of_line).unwrap_or_default();
    let own = of_line(line);
    own.into_iter()
        .map(|(inhibitor, folds)| {
            let n = folds.len() as u32;
            let own = averaged(&folds);
            let theirs = parents.get(inhibitor).map(|folds| averaged(folds)).filter(is_told);
            let gained = match theirs {
                Some(theirs) => difference(own, theirs),
                None => own,
            };
            let log2 = |log10: Option<f64>| log10.map(|log10| log10 * LN_10 / LN_2);
            let mut item = EvidenceItem::bare(line, inhibitor.to_owned(), "efflux_inhibitor", Strength::Functional);
            item.known = Some(Marker::Abcg2);
            item.mechanism = Some(Mechanism::Abcg2Efflux);
            item.parental = parent.map(str::to_owned);
            item.comparison = Some(if theirs.is_some() { "against_parental" } else { "line_alone" });
            item.n = Some(n);
            item.log2_fold = log2(gained.log10);
            item.interval = [log2(gained.low), log2(gained.high)];
            item.p = gained.p();
            item.reason = match (gained.reason, parent, theirs) {
                (Some(reason), ..) => Some(reason),
                (None, None, _) => Some("no_parental_line"),
                (None, Some(_), None) => Some("no_parental_matrix"),
                _ => None,
            };
            if let Some(own) = own.log10 {
                item.detail = format!("potency of the anchor {}-fold with it", short(own * LN_10 / LN_2));
            }
            item
        })
        .collect()
}

fn is_told(ratio: &LogRatio) -> bool {
    ratio.log10.is_some() || ratio.low.is_some() || ratio.high.is_some()
}

fn known(ratio: &LogRatio) -> Potency {
    match (ratio.log10, ratio.low, ratio.high) {
        (Some(log10), ..) => Potency::Known {
            log10,
            standard_error: ratio.standard_error,
            degrees_of_freedom: ratio.degrees_of_freedom.unwrap_or(0.0),
        },
        (None, Some(low), None) => Potency::Above(low),
        (None, None, Some(high)) => Potency::Below(high),
        _ => Potency::Unknown(ratio.reason.unwrap_or("no_fold_change")),
    }
}

/// A line's fold less its parent's. A bound stays one: what is known of the other side widens it.
fn difference(own: LogRatio, theirs: LogRatio) -> LogRatio {
    let mut gained = known(&own).minus(known(&theirs));
    gained.reason = own.reason.or(theirs.reason).or(gained.reason);
    gained
}

/// The mean over matrices that have a value; the first bound where none has.
fn averaged(folds: &[LogRatio]) -> LogRatio {
    let values: Vec<&LogRatio> = folds.iter().filter(|fold| fold.log10.is_some()).collect();
    match values[..] {
        [] => folds.iter().find(|fold| is_told(fold)).or(folds.first()).copied().unwrap_or_default(),
        [one] => *one,
        _ => {
            let n = values.len() as f64;
            let terms: Vec<Potency> = values.iter().map(|fold| known(fold)).collect();
            let mean = values.iter().filter_map(|fold| fold.log10).sum::<f64>() / n;
            match spread(&terms) {
                Some(spread) => LogRatio {
                    log10: Some(mean),
                    standard_error: Some(spread.standard_error / n),
                    degrees_of_freedom: Some(spread.degrees_of_freedom),
                    low: Some(mean - spread.half_width / n),
                    high: Some(mean + spread.half_width / n),
                    reason: None,
                },
                None => LogRatio { log10: Some(mean), reason: Some("no_standard_error"), ..LogRatio::default() },
            }
        }
    }
}

/// What single agents hint at: a line that lost dCK resists what dCK activates, and nothing else; one that leans on BCL-2
/// pays for it with a sensitivity to BH3 mimetics. Others fit too: never a call by itself.
pub(super) fn hints(line: &str, agents: &[SingleAgent]) -> Vec<EvidenceItem> {
    let own: Vec<(&SingleAgent, &DrugClass)> = agents
        .iter()
        .filter(|agent| agent.line.eq_ignore_ascii_case(line))
        .filter_map(|agent| Some((agent, drug_class(&agent.drug)?)))
        .collect();
    let names = |wanted: &dyn Fn(&SingleAgent, &DrugClass) -> bool| -> Vec<&str> {
        own.iter().filter(|(agent, class)| wanted(agent, class)).map(|(agent, _)| agent.drug.as_str()).collect()
    };
    let needs_dck = |class: &DrugClass| class.activated_by == "dCK";
    let is_independent = |class: &DrugClass| !class.activated_by.contains("dCK");
    let is = |agent: &SingleAgent, class: CrossResistance| agent.class == class;
    let resisted = names(&|a, c| needs_dck(c) && is(a, CrossResistance::CrossResistant));
    let spared = names(&|a, c| {
        needs_dck(c) && (is(a, CrossResistance::Unchanged) || is(a, CrossResistance::CollateralSensitivity))
    });
    let others_resisted = names(&|a, c| is_independent(c) && is(a, CrossResistance::CrossResistant));
    let others_spared = names(&|a, c| {
        is_independent(c) && (is(a, CrossResistance::Unchanged) || is(a, CrossResistance::CollateralSensitivity))
    });
    let mut items = Vec::new();
    if !resisted.is_empty() || !spared.is_empty() {
        let mut item = EvidenceItem::bare(line, Marker::Dck.name().into(), "cross_resistance", Strength::Indirect);
        item.known = Some(Marker::Dck);
        item.mechanism = Some(Mechanism::LowDck);
        let parts = [
            ("needs dCK and is resisted", &resisted),
            ("needs dCK and is not", &spared),
            ("needs none and is resisted", &others_resisted),
            ("needs none and is not", &others_spared),
        ];
        let told = parts.iter().filter(|(_, drugs)| !drugs.is_empty());
        item.detail = told.map(|(what, drugs)| format!("{what}: {}", drugs.join(", "))).collect::<Vec<_>>().join("; ");
        item.verdict = if resisted.is_empty() {
            Verdict::Against
        } else if spared.is_empty() && others_resisted.is_empty() && !others_spared.is_empty() {
            Verdict::For
        } else {
            Verdict::Open
        };
        items.push(item);
    }
    let mimetics = names(&|a, c| c.class.starts_with("BH3 mimetic") && is(a, CrossResistance::CollateralSensitivity));
    if !mimetics.is_empty() {
        let mut item = EvidenceItem::bare(line, "BH3 mimetics".into(), "cross_resistance", Strength::Indirect);
        item.mechanism = Some(Mechanism::AntiApoptoticShift);
        item.verdict = Verdict::For;
        item.detail = format!("more sensitive than the parent to {}", mimetics.join(", "));
        items.push(item);
    }
    items
}
