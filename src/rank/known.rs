//! What is known of each pair by tables of the user's own, in the place of the embedded ones.

use super::RankedPair;
use crate::resistance::knowledge::Knowledge;
use crate::screen::Screen;
use crate::screen::names::NameId;

/// Gives every pair with the anchor the rationale and evidence that `knowledge` has of it.
pub fn join_knowledge(pairs: &mut [RankedPair], screen: &Screen, anchor: Option<NameId>, knowledge: &Knowledge) {
    let Some(anchor) = anchor else { return };
    for pair in pairs {
        let drugs = [Some(pair.drug_a), Some(pair.drug_b), pair.drug_c];
        if !drugs.contains(&Some(anchor)) {
            continue;
        }
        let partners = drugs.into_iter().flatten().filter(|drug| *drug != anchor);
        let of = |drug| knowledge.evidence(screen.drugs.name(anchor), screen.drugs.name(drug), &pair.mechanism);
        let known: Vec<_> = partners.map(of).collect();
        pair.rationale = distinct(known.iter().map(|known| known.rationale.as_str()));
        pair.evidence = distinct(known.iter().map(|known| known.references.as_str()));
    }
}

/// Texts that are not empty, each once, joined by `; `.
pub(super) fn distinct<'a>(texts: impl Iterator<Item = &'a str>) -> String {
    let mut distinct: Vec<&str> = Vec::new();
    for text in texts.filter(|text| !text.is_empty()) {
        if !distinct.contains(&text) {
            distinct.push(text);
        }
    }
    distinct.join("; ")
}
