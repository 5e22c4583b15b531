//! `report.html`: one self-contained page for readers who do not program. Nothing is fetched; it works without
//! scripts, on paper and in the dark. The only place where fractions become percentages.

mod answers;
mod experiments;
mod pair;
mod plates;
mod quality;
mod ranking;
mod wording;

use super::files::write_whole;
use super::run_json::RunRecord;
use super::{quantity, svg};
use crate::apoptosis::synergy::ApoptosisSynergy;
use crate::fit::Fit;
use crate::model::ModelId;
use crate::plate::flags::WellFlags;
use crate::plate::{BatchQuality, PlateQuality};
use crate::rank::RankedPair;
use crate::rank::confirmation::Confirmation;
use crate::rank::schedule::ScheduleComparison;
use crate::resistance::Resistance;
use crate::resistance::cross_resistance::CrossResistanceRow;
use crate::resistance::mechanism::Mechanisms;
use crate::resistance::resensitisation::Resensitisation;
use crate::screen::Screen;
use crate::screen::dose_matrix::Curve;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::screen::rejections::Rejections;
use crate::synergy::{MatrixScore, SynergyModel};
use crate::{Error, Result};
use minijinja::value::Serde;
use minijinja::{Environment, Value, context};
use serde::Serialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// Pictures of pairs stop here, so that the page opens in a mail client; the rest is in the tables.
const PICTURE_BYTES: usize = 1_300_000;
/// Longest name shown; hostile and accidental ones are longer.
const NAME: usize = 60;
/// Longest sentence taken over from the input.
const SENTENCE: usize = 400;
const WARNINGS: usize = 50;
/// Sentences of what is known.
const ROWS_KNOWN: usize = 20;

/// Everything the page shows. Slices are in the order in which the tables list them.
#[derive(Debug, Clone, Copy)]
pub struct Page<'a> {
    /// What the screen is called.
    pub title: &'a str,
    /// Names and annotations.
    pub screen: &'a Screen,
    /// Inputs, settings, counts, back end, warnings.
    pub run: &'a RunRecord,
    /// The drug that the lines are resistant to.
    pub anchor: &'a str,
    /// Reference models in the order of [`MatrixScore::scores`].
    pub models: &'a [SynergyModel],
    /// The one that ranks.
    pub score_model: SynergyModel,
    /// The ranking, best first.
    pub pairs: &'a [RankedPair],
    /// Combinations that were given in several schedules.
    pub schedules: &'a [ScheduleComparison],
    /// The next experiment.
    pub confirmations: &'a [Confirmation],
    /// Every scored matrix.
    pub matrices: &'a [MatrixScore],
    /// Single-agent curves.
    pub curves: &'a [Curve],
    /// Their fits, one a curve, in the same order.
    pub fits: &'a [Fit],
    /// The model of the fits.
    pub model: ModelId,
    /// Potency and fold resistance of every line and drug.
    pub resistance: &'a [Resistance],
    /// What else the resistant lines resist.
    pub cross_resistance: &'a [CrossResistanceRow],
    /// What partners do to the anchor's potency.
    pub resensitisation: &'a [Resensitisation],
    /// Why lines are resistant.
    pub mechanisms: &'a Mechanisms,
    /// Synergy in apoptosis.
    pub apoptosis: &'a [ApoptosisSynergy],
    /// What is known of the anchor with the screen's partners in the clinic, a sentence each.
    pub clinic: &'a [String],
    /// Quality of every plate.
    pub plates: &'a [PlateQuality],
    /// Quality of each batch, and of the screen.
    pub batches: &'a [BatchQuality],
    /// How many wells have each flag: [`WellFlags::counts`].
    pub flagged: [usize; WellFlags::CODES.len()],
    /// Every well left out.
    pub rejected: &'a Rejections,
    /// How many of the best pairs are drawn.
    pub pairs_drawn: usize,
}

/// What several parts of the page look up.
struct Lookup<'a> {
    page: &'a Page<'a>,
    anchor: Option<NameId>,
    /// Place of the ranking model in [`MatrixScore::scores`].
    model: usize,
    by_line_and_drug: BTreeMap<(NameId, NameId), &'a Resistance>,
}

impl<'a> Lookup<'a> {
    fn new(page: &'a Page<'a>) -> Self {
        Self {
            page,
            anchor: page.screen.drugs.id_ignoring_case(page.anchor),
            model: page.models.iter().position(|m| *m == page.score_model).unwrap_or(0),
            by_line_and_drug: page.resistance.iter().map(|r| ((r.line, r.drug), r)).collect(),
        }
    }

    fn line(&self, id: NameId) -> String {
        shown(self.page.screen.lines.name(id))
    }

    fn pair_name(&self, pair: &RankedPair) -> String {
        self.drugs_name([pair.drug_a, pair.drug_b], pair.drug_c, pair.schedule)
    }

    fn drugs_name(&self, [a, b]: [NameId; 2], third: Option<NameId>, schedule: Option<NameId>) -> String {
        let drug = |id| shown(self.page.screen.drugs.name(id));
        let schedule = self.page.screen.unusual_schedule(schedule);
        let schedule = schedule.map(|s| format!(" ({})", quantity::clip(s, NAME)));
        let third = third.map(|third| format!(" + {}", drug(third)));
        let [third, schedule] = [third, schedule].map(Option::unwrap_or_default);
        format!("{} + {}{third}{schedule}", drug(a), drug(b))
    }

    fn resistance(&self, line: NameId, drug: NameId) -> Option<&'a Resistance> {
        self.by_line_and_drug.get(&(line, drug)).copied()
    }

    /// What a line is taken for: as called, else as its owner says.
    fn status(&self, line: NameId) -> Option<LineStatus> {
        let called = self.anchor.and_then(|anchor| self.resistance(line, anchor)).and_then(|r| r.status);
        called.or_else(|| self.page.screen.annotation(line).status)
    }

    fn parent(&self, line: NameId) -> Option<NameId> {
        let called = self.anchor.and_then(|anchor| self.resistance(line, anchor)).and_then(|r| r.parental);
        called.or_else(|| self.page.screen.annotation(line).parental)
    }
}

/// A name short enough for the page; words for one that is blank, so that nothing looks left out.
fn shown(name: &str) -> String {
    if name.trim().is_empty() { "(no name)".into() } else { quantity::clip(name, NAME) }
}

/// A cell of a sortable table: what is read, and what it is sorted by.
#[derive(Debug, Clone, Serialize)]
struct Cell {
    text: String,
    sort: Option<f64>,
}

impl Cell {
    fn new(value: Option<f64>, text: impl FnOnce(f64) -> String) -> Self {
        let value = value.filter(|v| v.is_finite());
        Self { text: value.map_or_else(|| quantity::MISSING.into(), text), sort: value }
    }
}

/// `[18, 28]` in percentage points; empty where there is no interval.
fn interval_in_points(low: Option<f64>, high: Option<f64>, decimals: usize) -> String {
    match low.zip(high).filter(|(l, h)| l.is_finite() && h.is_finite()) {
        Some((low, high)) => {
            format!("{} to {}", quantity::points(low, decimals), quantity::points(high, decimals))
        }
        None => String::new(),
    }
}

/// Makes the page.
///
/// # Errors
/// [`Error::Screen`] where curves and fits are not of one length.
pub fn render(page: &Page<'_>) -> Result<String> {
    if page.curves.len() != page.fits.len() {
        let problem = format!("the report was given {} curves and {} fits", page.curves.len(), page.fits.len());
        return Err(Error::Screen { problem, hint: None });
    }
    let lookup = Lookup::new(page);
    let run = page.run;
    let warnings: Vec<String> = run.warnings.iter().take(WARNINGS).map(|w| quantity::clip(w, SENTENCE)).collect();
    let (cards, cards_left_out) = pair::cards(&lookup);
    let context = context! {
        title => if page.title.trim().is_empty() { "Drug-combination screen".into() } else { quantity::clip(page.title, 120) },
        style => Value::from_safe_string(svg::style(true)),
        anchor => quantity::clip(page.anchor, NAME),
        reference => wording::reference(page.score_model),
        reference_meaning => wording::reference_meaning(page.score_model),
        warnings => warnings,
        warnings_left_out => run.warnings.len().saturating_sub(WARNINGS),
        counts => Value::from(Serde(quality::counts(page))),
        headline => ranking::headline(&lookup),
        ranking => Value::from(Serde(ranking::table(&lookup))),
        cards => Value::from(Serde(&cards)),
        cards_left_out => cards_left_out,
        schedules => Value::from(Serde(experiments::schedules(&lookup))),
        next => Value::from(Serde(experiments::confirmations(&lookup))),
        resistance => Value::from(Serde(quality::resistance(&lookup))),
        cross_resistance => Value::from(Serde(answers::cross_resistance(&lookup))),
        gains => Value::from(Serde(answers::resensitisation(&lookup))),
        causes => Value::from(Serde(answers::mechanisms(&lookup))),
        deaths => Value::from(Serde(answers::apoptosis(&lookup))),
        clinic => page.clinic.iter().take(ROWS_KNOWN).map(|text| quantity::clip(text, SENTENCE)).collect::<Vec<_>>(),
        plates => Value::from(Serde(plates::plates(&lookup))),
        batches => Value::from(Serde(plates::batches(page))),
        flags => Value::from(Serde(plates::flags(page))),
        rejected => Value::from(Serde(quality::rejected(page))),
        run => Value::from(Serde(quality::run(page))),
        settings => Value::from(Serde(wording::flatten(&run.settings))),
    };
    let failed = |e: minijinja::Error| Error::Screen { problem: format!("the report page failed: {e:#}"), hint: None };
    let mut templates = Environment::new();
    templates.add_template("page.html", include_str!("page.html")).map_err(failed)?;
    templates.get_template("page.html").and_then(|t| t.render(context)).map_err(failed)
}

/// Writes `dir/report.html`.
///
/// # Errors
/// As [`render`]; [`Error::File`] when writing fails.
pub fn write(page: &Page<'_>, dir: &Path) -> Result<PathBuf> {
    let text = render(page)?;
    let path = dir.join("report.html");
    write_whole(&path, |out| out.write_all(text.as_bytes()))?;
    Ok(path)
}
