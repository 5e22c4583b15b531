//! Resistance to the anchor drug: potency per line, fold resistance against the parent, the call, resensitisation by
//! a partner, and what is known of why a partner may help.

pub mod call;
pub mod cross_resistance;
pub mod drug_class;
pub mod evidence;
pub mod knowledge;
pub mod mechanism;
pub mod plausibility;
pub mod potency;
pub mod rescue;
pub mod resensitisation;
pub mod slice;

use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
pub use call::call;
use potency::Potency;

/// The dose of half of a drug's own effect (midway between top and bottom), which is there for drugs that never reach
/// viability one half as well.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct RelativePotency {
    /// log10 molar; `None` with a reason.
    pub log10_ec50: Option<f64>,
    /// 95 % interval (Wald, on the log scale).
    pub interval: [Option<f64>; 2],
    /// Why the value or its interval is missing: `not_a_responder`, `rising_curve`, `outside_doses_tested` (more than
    /// half a decade beyond them), `at_bound`, `unidentified`, `no_degrees_of_freedom`, `model_without_ec50`, or that
    /// of the fit.
    pub reason: Option<&'static str>,
}

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
    /// Its 95 % interval; the bound alone where it lies beyond the doses tested.
    pub log10_ic50_interval: [Option<f64>; 2],
    /// `none`, `above` the highest or `below` the lowest dose tested.
    pub ic50_censored: &'static str,
    /// The relative IC50.
    pub relative: RelativePotency,
    /// Area above the curve: 1 less its mean viability over the logarithms of the doses tested. Comparable between lines
    /// that were given the same doses.
    pub aac: Option<f64>,
    /// Why there is no area.
    pub aac_reason: Option<&'static str>,
    /// Lowest and highest dose tested, log10 molar.
    pub log10_dose_range: [Option<f64>; 2],
    /// The parent, or `None` where the line was compared with the panel of sensitive lines.
    pub parental: Option<NameId>,
    /// What the line was compared with: the parent's IC50 or the panel's median.
    pub reference: Potency,
    /// IC50 over the parent's (or the panel median's).
    pub fold_resistance: Option<f64>,
    /// 95 % interval of the fold, lower end. Alone (without a fold) it is a bound: the fold is at least this.
    pub ci_low: Option<f64>,
    /// 95 % interval of the fold, upper end. Alone it is a bound: the fold is at most this.
    pub ci_high: Option<f64>,
    /// Two-sided p of a fold of 1.
    pub p: Option<f64>,
    /// What the line is taken for in the ranking; on rows of the anchor only.
    pub status: Option<LineStatus>,
    /// `annotated`, `named_as_parent`, `called`, or why there is no status: `uncertain`, `no_fold`, `no_anchor`,
    /// `not_anchor`.
    pub status_source: &'static str,
    /// What the fold's interval alone says of the line, whatever is annotated: `resistant`, `sensitive`, `uncertain`,
    /// or why it says nothing (`no_fold`, `no_anchor`, `not_anchor`).
    pub status_by_interval: &'static str,
    /// Why a value is missing.
    pub reason: Option<&'static str>,
}

impl Resistance {
    /// A line and drug of which nothing is known, and why.
    pub fn unknown(line: NameId, drug: NameId, reason: &'static str) -> Self {
        Self {
            line,
            drug,
            log10_ic50: None,
            log10_ic50_se: None,
            log10_ic50_interval: [None; 2],
            ic50_censored: "none",
            relative: RelativePotency { reason: Some(reason), ..RelativePotency::default() },
            aac: None,
            aac_reason: Some(reason),
            log10_dose_range: [None; 2],
            parental: None,
            reference: Potency::Unknown(reason),
            fold_resistance: None,
            ci_low: None,
            ci_high: None,
            p: None,
            status: None,
            status_source: "no_anchor",
            status_by_interval: "no_anchor",
            reason: Some(reason),
        }
    }
}

/// The `resistance` table, in the order of `resistances`. A status that the interval leaves open is `uncertain`.
pub fn table(resistances: &[Resistance], screen: &Screen) -> Table {
    let rows = || resistances.iter();
    let status = |r: &Resistance| match r.status {
        Some(status) => Some(status.name()),
        None => Some("uncertain").filter(|uncertain| r.status_source == *uncertain),
    };
    Table::new("resistance")
        .text("cell_line", rows().map(|r| Some(screen.lines.name(r.line))))
        .text("drug", rows().map(|r| Some(screen.drugs.name(r.drug))))
        .number("log10_ic50", rows().map(|r| r.log10_ic50))
        .number("log10_ic50_se", rows().map(|r| r.log10_ic50_se))
        .number("log10_ic50_ci_low", rows().map(|r| r.log10_ic50_interval[0]))
        .number("log10_ic50_ci_high", rows().map(|r| r.log10_ic50_interval[1]))
        .text("ic50_censored", rows().map(|r| Some(r.ic50_censored)))
        .number("log10_ec50", rows().map(|r| r.relative.log10_ec50))
        .number("log10_ec50_ci_low", rows().map(|r| r.relative.interval[0]))
        .number("log10_ec50_ci_high", rows().map(|r| r.relative.interval[1]))
        .text("ec50_reason", rows().map(|r| r.relative.reason))
        .number("aac", rows().map(|r| r.aac))
        .text("aac_reason", rows().map(|r| r.aac_reason))
        .number("log10_dose_low", rows().map(|r| r.log10_dose_range[0]))
        .number("log10_dose_high", rows().map(|r| r.log10_dose_range[1]))
        .number("fold_resistance", rows().map(|r| r.fold_resistance))
        .number("ci_low", rows().map(|r| r.ci_low))
        .number("ci_high", rows().map(|r| r.ci_high))
        .number("p", rows().map(|r| r.p))
        .text("status", rows().map(status))
        .text("status_source", rows().map(|r| Some(r.status_source)))
        .text("status_by_interval", rows().map(|r| Some(r.status_by_interval)))
        .text("parental", rows().map(|r| r.parental.map(|p| screen.lines.name(p))))
        .text("reason", rows().map(|r| r.reason))
}
