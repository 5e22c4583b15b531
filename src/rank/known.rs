//! What is known of each pair by tables of the user's own, in the place of the embedded ones.

use super::RankedPair;
use crate::resistance::knowledge::Knowledge;
use crate::screen::Screen;
use crate::screen::names::NameId;

/// Gives every pair with the anchor the rationale and evidence that `knowledge` has of it.
pub fn join_knowledge(pairs: &mut [RankedPair], screen: &Screen, anchor: Option<NameId>, knowledge: &Knowledge) {
    let Some(anchor) = anchor else { return };
    for pair in pairs {
        let partner = match (pair.drug_a == anchor, pair.drug_b == anchor) {
            (true, _) => pair.drug_b,
            (_, true) => pair.drug_a,
            _ => continue,
        };
        let known = knowledge.evidence(screen.drugs.name(anchor), screen.drugs.name(partner), &pair.mechanism);
        (pair.rationale, pair.evidence) = (known.rationale, known.references);
    }
}
