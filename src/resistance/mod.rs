//! Resistance to the anchor drug: potency per line, fold resistance against the parent, the call, resensitisation by
//! a partner, and what is known of why a partner may help.

pub mod call;
pub mod evidence;
pub mod resensitisation;

use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
pub use call::call;

/// How a line responds to one drug. Logs are base 10 of molar concentrations.
#[derive(Debug, Clone, PartialEq)]
pub struct Resistance {
    /// The line.
    pub line: NameId,
    /// The drug (the anchor, or any other single agent).
    pub drug: NameId,
    /// log10 of the absolute IC50 (viability one half); `None` with a reason.
    pub log10_ic50: Option<f64>,
    /// Its standard error.
    pub log10_ic50_se: Option<f64>,
    /// `none`, `above` the highest or `below` the lowest dose tested.
    pub ic50_censored: &'static str,
    /// The parent, or `None` where the line was compared with the panel of sensitive lines.
    pub parental: Option<NameId>,
    /// IC50 over the parent's (or the panel median's).
    pub fold_resistance: Option<f64>,
    /// 95 % interval of the fold, lower end. Alone (without a fold) it is a bound: the fold is at least this.
    pub ci_low: Option<f64>,
    /// 95 % interval of the fold, upper end. Alone it is a bound: the fold is at most this.
    pub ci_high: Option<f64>,
    /// What the line is taken for in the ranking; on rows of the anchor only.
    pub status: Option<LineStatus>,
    /// `annotated`, `named_as_parent`, `called`, or why there is no status: `uncertain`, `no_fold`, `no_anchor`,
    /// `not_anchor`.
    pub status_source: &'static str,
    /// Why a value is missing.
    pub reason: Option<&'static str>,
}

/// The `resistance` table, in the order of `resistances`.
pub fn table(resistances: &[Resistance], screen: &Screen) -> Table {
    let rows = || resistances.iter();
    Table::new("resistance")
        .text("cell_line", rows().map(|r| Some(screen.lines.name(r.line))))
        .text("drug", rows().map(|r| Some(screen.drugs.name(r.drug))))
        .number("log10_ic50", rows().map(|r| r.log10_ic50))
        .number("log10_ic50_se", rows().map(|r| r.log10_ic50_se))
        .text("ic50_censored", rows().map(|r| Some(r.ic50_censored)))
        .number("fold_resistance", rows().map(|r| r.fold_resistance))
        .number("ci_low", rows().map(|r| r.ci_low))
        .number("ci_high", rows().map(|r| r.ci_high))
        .text("status", rows().map(|r| r.status.map(LineStatus::name)))
        .text("status_source", rows().map(|r| Some(r.status_source)))
        .text("parental", rows().map(|r| r.parental.map(|p| screen.lines.name(p))))
        .text("reason", rows().map(|r| r.reason))
}
