//! What is known of each combination, by the embedded tables or by tables of the user's own in their place.

use super::RankedPair;
use crate::resistance::evidence::Evidence;
use crate::resistance::knowledge::Knowledge;
use crate::screen::Screen;
use crate::screen::names::NameId;

/// Gives every pair with the anchor the rationale and evidence that `knowledge` has of it.
pub fn join_knowledge(pairs: &mut [RankedPair], screen: &Screen, anchor: Option<NameId>, knowledge: &Knowledge) {
    for pair in pairs {
        let drugs = [Some(pair.drug_a), Some(pair.drug_b), pair.drug_c];
        if anchor.is_none() || !drugs.contains(&anchor) {
            continue;
        }
        let of = |anchor, partner| {
            knowledge.evidence(screen.drugs.name(anchor), screen.drugs.name(partner), &pair.mechanism)
        };
        let known = known(drugs.into_iter().flatten(), anchor, of);
        (pair.rationale, pair.evidence) = (known.rationale, known.evidence);
    }
}

/// What is known of all partners of the anchor in a combination; empty texts where nothing is.
#[derive(Default)]
pub(super) struct Known {
    pub rationale: String,
    pub evidence: String,
}

/// Joins what `of` (the anchor, a partner) knows of each partner.
pub(super) fn known(
    drugs: impl Iterator<Item = NameId> + Clone,
    anchor: Option<NameId>,
    of: impl Fn(NameId, NameId) -> Evidence,
) -> Known {
    let Some(anchor) = anchor.filter(|anchor| drugs.clone().any(|drug| drug == *anchor)) else {
        return Known::default();
    };
    let all: Vec<Evidence> = drugs.filter(|drug| *drug != anchor).map(|partner| of(anchor, partner)).collect();
    Known {
        rationale: distinct(all.iter().map(|known| known.rationale.as_str())),
        evidence: distinct(all.iter().map(|known| known.references.as_str())),
    }
}

/// Texts that are not empty, each once, joined by `; `.
fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    distinct.join("; ")
}
