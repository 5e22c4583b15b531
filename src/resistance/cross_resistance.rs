//! The cross-resistance map: what else a resistant line resists, and what it is more sensitive to than its parent.

use super::Resistance;
use super::drug_class::{DrugClass, drug_class};
use crate::math::special::benjamini_hochberg;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use std::collections::BTreeSet;

/// What a single agent does to a resistant line, against the line's parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CrossResistance {
    /// The whole interval of the fold lies above the threshold.
    CrossResistant,
    /// The whole interval lies below one over the threshold: the line pays for its resistance.
    CollateralSensitivity,
    /// The whole interval lies between the two: no difference that would matter.
    Unchanged,
    /// The interval leaves it open, or there is none.
    Uncertain,
}

impl CrossResistance {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            CrossResistance::CrossResistant => "cross_resistant",
            CrossResistance::CollateralSensitivity => "collateral_sensitivity",
            CrossResistance::Unchanged => "unchanged",
            CrossResistance::Uncertain => "uncertain",
        }
    }

    /// The class with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        use CrossResistance::{CollateralSensitivity, CrossResistant, Uncertain, Unchanged};
        [CrossResistant, CollateralSensitivity, Unchanged, Uncertain].into_iter().find(|class| class.name() == name)
    }

    /// The class of an interval of the fold, of which an end alone is a bound, about a threshold above 1.
    pub fn of_interval(low: Option<f64>, high: Option<f64>, threshold: f64) -> Self {
        if low.is_some_and(|low| low > threshold) {
            CrossResistance::CrossResistant
        } else if high.is_some_and(|high| high < 1.0 / threshold) {
            CrossResistance::CollateralSensitivity
        } else if low.is_some_and(|low| low >= 1.0 / threshold) && high.is_some_and(|high| high <= threshold) {
            CrossResistance::Unchanged
        } else {
            CrossResistance::Uncertain
        }
    }
}

/// One resistant line and one single agent other than the anchor.
#[derive(Debug, Clone, PartialEq)]
pub struct CrossResistanceRow {
    /// The comparison of IC50s.
    pub resistance: Resistance,
    /// What it amounts to.
    pub class: CrossResistance,
    /// What kind of drug it is, where that is known.
    pub drug_class: Option<&'static DrugClass>,
    /// Benjamini–Hochberg over the rows that have a p.
    pub q: Option<f64>,
}

/// A row for every line that is resistant to the anchor (called or annotated) and every other drug that it was given
/// alone: nucleoside analogues first, then classes and drugs by name, those without a class last; lines by name within a
/// drug. `threshold` is the fold above which a line counts as resistant (`resistant_fold`).
///
/// The p behind q is that of a fold of 1: a fold may be beyond doubt (q near 0) and yet too small to matter
/// (`unchanged`), or large and open (`uncertain`).
pub fn cross_resistance(
    resistances: &[Resistance],
    screen: &Screen,
    anchor: Option<NameId>,
    threshold: f64,
) -> Vec<CrossResistanceRow> {
    let called = resistances.iter().filter(|r| Some(r.drug) == anchor && r.status == Some(LineStatus::Resistant));
    let annotated = resistances.iter().filter(|r| screen.annotation(r.line).status == Some(LineStatus::Resistant));
    let resistant: BTreeSet<NameId> = called.chain(annotated).map(|r| r.line).collect();
    let mut rows: Vec<CrossResistanceRow> = resistances
        .iter()
        .filter(|r| Some(r.drug) != anchor && resistant.contains(&r.line))
        .map(|r| CrossResistanceRow {
            resistance: r.clone(),
            class: CrossResistance::of_interval(r.ci_low, r.ci_high, threshold),
            drug_class: drug_class(screen.drugs.name(r.drug)),
            q: None,
        })
        .collect();
    rows.sort_by_key(|row| {
        let class = row.drug_class;
        let order = class.map_or(2, |class| u8::from(!class.is_nucleoside_analogue()));
        let name = screen.drugs.name(row.resistance.drug);
        (order, class.map(|class| class.class.as_str()), name, screen.lines.name(row.resistance.line))
    });
    let q = benjamini_hochberg(&rows.iter().map(|row| row.resistance.p).collect::<Vec<_>>());
    for (row, q) in rows.iter_mut().zip(q) {
        row.q = q;
    }
    rows
}

/// The `cross_resistance` table, in the order of `rows`.
pub fn table(rows: &[CrossResistanceRow], screen: &Screen) -> Table {
    let rows = || rows.iter().map(|row| (row, &row.resistance));
    let of_class = |text: fn(&DrugClass) -> &str| {
        rows().map(move |(row, _)| row.drug_class.map(text).filter(|text| !text.is_empty())).collect::<Vec<_>>()
    };
    Table::new("cross_resistance")
        .text("cell_line", rows().map(|(_, r)| Some(screen.lines.name(r.line))))
        .text("drug", rows().map(|(_, r)| Some(screen.drugs.name(r.drug))))
        .text("drug_class", of_class(|class| &class.class))
        .text("activated_by", of_class(|class| &class.activated_by))
        .text("drug_class_reference", of_class(|class| &class.reference))
        .text("class", rows().map(|(row, _)| Some(row.class.name())))
        .number("fold_resistance", rows().map(|(_, r)| r.fold_resistance))
        .number("ci_low", rows().map(|(_, r)| r.ci_low))
        .number("ci_high", rows().map(|(_, r)| r.ci_high))
        .number("p", rows().map(|(_, r)| r.p))
        .number("q", rows().map(|(row, _)| row.q))
        .number("log10_ic50", rows().map(|(_, r)| r.log10_ic50))
        .number("log10_ic50_se", rows().map(|(_, r)| r.log10_ic50_se))
        .number("reference_log10_ic50", rows().map(|(_, r)| r.reference.log10()))
        .text("parental", rows().map(|(_, r)| r.parental.map(|p| screen.lines.name(p))))
        .text("reason", rows().map(|(_, r)| r.reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_go_by_the_interval() {
        use CrossResistance::{CollateralSensitivity, CrossResistant, Uncertain, Unchanged};
        for (low, high, class) in [
            (Some(3.1), Some(9.0), CrossResistant),
            (Some(2.9), Some(9.0), Uncertain),
            (Some(3.1), None, CrossResistant),
            (Some(0.1), Some(0.3), CollateralSensitivity),
            (None, Some(0.3), CollateralSensitivity),
            (Some(0.1), Some(0.4), Uncertain),
            (Some(0.4), Some(2.9), Unchanged),
            (Some(1.2), Some(1.4), Unchanged),
            (Some(1.0), None, Uncertain),
            (None, Some(1.0), Uncertain),
            (None, None, Uncertain),
        ] {
            assert_eq!(CrossResistance::of_interval(low, high, 3.0), class, "{low:?} {high:?}");
        }
    }
}
