//! The tables `mechanisms` and `evidence`.

use super::evidence_item::{EvidenceItem, Strength};
use super::marker::Mechanism;
use super::{Mechanisms, Status, direction_of};
use crate::report::table::Table;

/// The `mechanisms` table: a row for each line and mechanism, and `unknown` for a resistant line that has none.
pub fn mechanisms_table(found: &Mechanisms) -> Table {
    let rows = || found.calls.iter();
    Table::new("mechanisms")
        .text("cell_line", rows().map(|call| Some(call.line.as_str())))
        .text("mechanism", rows().map(|call| Some(call.mechanism.map_or("unknown", Mechanism::name))))
        .text("status", rows().map(|call| Some(call.status.map_or("unknown", Status::name))))
        .flag("is_taken", rows().map(|call| Some(call.is_taken())))
        .text("words", rows().map(|call| Some(call.words.as_str())))
        .text("direction", rows().map(|call| direction_of(call, &found.evidence)))
        .text("strength", rows().map(|call| call.strength.map(Strength::name)))
        .number("p_adjusted", rows().map(|call| call.p_adjusted))
        .text("evidence", rows().map(|call| Some(call.evidence.join("; "))))
        .text("reason", rows().map(|call| call.reason))
}

/// The `evidence` table: a row for each line, marker and method. Folds are against the parental line; for an inhibitor of
/// efflux, of the anchor's potency with it.
pub fn evidence_table(found: &Mechanisms) -> Table {
    let rows = || found.evidence.iter();
    let fold = |log2: Option<f64>| log2.map(libm::exp2);
    // What is no measurement of a marker has no numbers.
    let reason = |item: &EvidenceItem| match item.strength {
        Strength::Indirect => item.reason.or(Some("indirect_evidence")),
        Strength::Annotated => item.reason.or(Some("annotation")),
        Strength::Direct | Strength::Functional => item.reason,
    };
    Table::new("evidence")
        .text("cell_line", rows().map(|item| Some(item.line.as_str())))
        .text("marker", rows().map(|item| Some(item.marker.as_str())))
        .text("method", rows().map(|item| Some(item.method.as_str())))
        .text("mechanism", rows().map(|item| item.mechanism.map(Mechanism::name)))
        .text("strength", rows().map(|item| Some(item.strength.name())))
        .text("parental", rows().map(|item| item.parental.as_deref()))
        .text("comparison", rows().map(|item| item.comparison))
        .integer("n", rows().map(|item| item.n.map(i64::from)))
        .integer("n_left_out", rows().map(|item| Some(i64::from(item.n_left_out))))
        .number("log2_fold", rows().map(|item| item.log2_fold))
        .number("log2_fold_ci_low", rows().map(|item| item.interval[0]))
        .number("log2_fold_ci_high", rows().map(|item| item.interval[1]))
        .number("fold", rows().map(|item| fold(item.log2_fold)))
        .number("fold_ci_low", rows().map(|item| fold(item.interval[0])))
        .number("fold_ci_high", rows().map(|item| fold(item.interval[1])))
        .number("p", rows().map(|item| item.p))
        .number("p_adjusted", rows().map(|item| item.p_adjusted))
        .text("direction", rows().map(|item| Some(item.direction.name())))
        .text("verdict", rows().map(|item| Some(item.verdict.name())))
        .text("detail", rows().map(|item| Some(item.detail.as_str()).filter(|detail| !detail.is_empty())))
        .text("reason", rows().map(reason))
}
