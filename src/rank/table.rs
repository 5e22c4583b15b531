//! The `pairs` table.

use super::RankedPair;
use crate::report::table::Table;
use crate::screen::Screen;

/// The `pairs` table, in the order of `pairs`. Every null has its cause among `flags`.
pub fn table(pairs: &[RankedPair], screen: &Screen) -> Table {
    let rows = || pairs.iter();
    Table::new("pairs")
        .integer("rank", rows().map(|p| Some(p.rank as i64)))
        .text("drug_a", rows().map(|p| Some(screen.drugs.name(p.drug_a))))
        .text("drug_b", rows().map(|p| Some(screen.drugs.name(p.drug_b))))
        .text("schedule", rows().map(|p| p.schedule.map(|s| screen.schedules.name(s))))
        .number("score", rows().map(|p| p.score))
        .number("ci_low", rows().map(|p| p.ci_low))
        .number("ci_high", rows().map(|p| p.ci_high))
        .number("p", rows().map(|p| p.p))
        .number("q", rows().map(|p| p.q))
        .number("p_top_k", rows().map(|p| p.p_top_k))
        .integer("n_resistant", rows().map(|p| Some(p.n_resistant as i64)))
        .integer("n_parental", rows().map(|p| Some(p.n_parental as i64)))
        .number("score_parental", rows().map(|p| p.score_parental))
        .number("differential", rows().map(|p| p.differential))
        .number("differential_p", rows().map(|p| p.differential_p))
        .number("differential_q", rows().map(|p| p.differential_q))
        .text("selectivity", rows().map(|p| Some(p.selectivity)))
        .number("rescue_fraction", rows().map(|p| p.rescue_fraction))
        .number("fold_change", rows().map(|p| p.fold_change))
        .number("dose_reduction_index", rows().map(|p| p.dose_reduction_index))
        .number("efficacy", rows().map(|p| p.efficacy))
        .number("qc_burden", rows().map(|p| Some(p.qc_burden)))
        .text("mechanism", rows().map(|p| Some(p.mechanism.as_str())))
        .text("rationale", rows().map(|p| Some(p.rationale.as_str())))
        .text("evidence", rows().map(|p| Some(p.evidence.as_str())))
        .text("flags", rows().map(|p| Some(p.flags.as_str())))
}
