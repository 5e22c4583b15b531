//! Resistance to the anchor drug: potency per line, fold resistance against the parent, and the call.

use crate::screen::line::LineStatus;
use crate::screen::names::NameId;

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
    /// 95 % interval of the fold, lower end.
    pub ci_low: Option<f64>,
    /// 95 % interval of the fold, upper end.
    pub ci_high: Option<f64>,
    /// What the line is taken for in the ranking.
    pub status: Option<LineStatus>,
    /// `annotated`, `called`, or why there is no status.
    pub status_source: &'static str,
    /// Why a value is missing.
    pub reason: Option<&'static str>,
}
