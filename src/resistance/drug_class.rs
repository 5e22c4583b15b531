//! What kind of drug a single agent is: the embedded table `datasets/clofarabine/drug_classes.csv` (name, drug class, the
//! enzyme that activates a prodrug, reference). A line that lost the enzyme which activates clofarabine, deoxycytidine
//! kinase (dCK), is expected to resist every drug that needs it, and none that does not.

use super::evidence::{canonical_name, columns};
use std::sync::OnceLock;

const CLASSES: &str = include_str!("../../datasets/clofarabine/drug_classes.csv");
/// The class that the anchor belongs to: first in every list.
const NUCLEOSIDE_ANALOGUE: &str = "nucleoside analogue";

/// What is known of a drug.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrugClass {
    /// The drug's name.
    pub name: String,
    /// The class, e.g. `nucleoside analogue`.
    pub class: String,
    /// The enzyme that makes the active form (`dCK`), empty where none is needed or known to matter.
    pub activated_by: String,
    /// Where that is written.
    pub reference: String,
}

impl DrugClass {
    /// Whether the drug is one of the anchor's own kind.
    pub fn is_nucleoside_analogue(&self) -> bool {
        self.class == NUCLEOSIDE_ANALOGUE
    }
}

/// The embedded table, in file order.
pub fn drug_classes() -> &'static [DrugClass] {
    static TABLE: OnceLock<Vec<DrugClass>> = OnceLock::new();
    TABLE.get_or_init(|| {
        columns(CLASSES, ["name", "drug_class", "activated_by", "reference"])
            .into_iter()
            .map(|[name, class, activated_by, reference]| DrugClass { name, class, activated_by, reference })
            .collect()
    })
}

/// What is known of the drug with this name, or any of its synonyms.
pub fn drug_class(name: &str) -> Option<&'static DrugClass> {
    let name = canonical_name(name);
    drug_classes().iter().find(|class| canonical_name(&class.name) == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_row_is_complete_and_names_one_drug() {
        let names: BTreeSet<String> = drug_classes().iter().map(|class| canonical_name(&class.name)).collect();
        assert_eq!(names.len(), drug_classes().len());
        for class in drug_classes() {
            assert!(!class.name.is_empty() && !class.class.is_empty() && !class.reference.is_empty(), "{class:?}");
            assert!(!class.is_nucleoside_analogue() || !class.activated_by.is_empty(), "{class:?}");
        }
    }

    #[test]
    fn drugs_are_found_by_their_other_names() {
        assert_eq!(drug_class("ara-c").map(|c| c.activated_by.as_str()), Some("dCK"));
        assert_eq!(drug_class("Vidaza").map(|c| c.activated_by.as_str()), Some("uridine-cytidine kinase"));
        assert!(drug_class("ABT-199").is_some_and(|c| c.class.contains("BCL-2") && !c.is_nucleoside_analogue()));
        assert_eq!(drug_class("water"), None);
    }
}
