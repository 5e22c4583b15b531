//! What a resistant line says beyond its fold: what else it resists, what gives it its sensitivity back, why it is
//! resistant, whether apoptosis agrees, and what is known of the partners.

use super::{Cell, Lookup, NAME, SENTENCE, wording};
use crate::apoptosis::synergy::ApoptosisSynergy;
use crate::report::quantity;
use crate::resistance::cross_resistance::{CrossResistance, CrossResistanceRow};
use crate::resistance::mechanism::{MechanismCall, Status};
use crate::resistance::resensitisation::Resensitisation;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use serde::Serialize;

const DRUGS: usize = 60;
const LINES: usize = 12;
const ROWS: usize = 40;

/// A cell of the map.
#[derive(Debug, Clone, Serialize)]
struct MapCell {
    text: String,
    class: &'static str,
    title: String,
}

/// A drug's row of the map.
#[derive(Debug, Serialize)]
struct MapRow {
    drug: String,
    kind: String,
    cells: Vec<MapCell>,
}

/// The cross-resistance map.
#[derive(Debug, Serialize)]
pub(super) struct Map {
    lines: Vec<String>,
    rows: Vec<MapRow>,
    left_out: usize,
}

/// Drugs down, resistant lines across.
pub(super) fn cross_resistance(lookup: &Lookup<'_>) -> Map {
    let rows = lookup.page.cross_resistance;
    let screen = lookup.page.screen;
    let mut lines: Vec<NameId> = Vec::new();
    let mut drugs: Vec<NameId> = Vec::new();
    for row in rows {
        let (line, drug) = (row.resistance.line, row.resistance.drug);
        if !lines.contains(&line) {
            lines.push(line);
        }
        if !drugs.contains(&drug) {
            drugs.push(drug);
        }
    }
    lines.sort_by_key(|line| screen.lines.name(*line));
    let lines_left_out = lines.len().saturating_sub(LINES);
    lines.truncate(LINES);
    let of_drug = |drug: NameId| {
        let found = |line: &NameId| rows.iter().find(|row| row.resistance.line == *line && row.resistance.drug == drug);
        let kind = rows.iter().find(|row| row.resistance.drug == drug).and_then(|row| row.drug_class);
        MapRow {
            drug: quantity::clip(screen.drugs.name(drug), NAME),
            kind: kind.map(|kind| kind.class.clone()).unwrap_or_default(),
            cells: lines.iter().map(|line| map_cell(found(line))).collect(),
        }
    };
    // Drugs that leave every line out of reach tell nothing.
    let is_told = |drug: &&NameId| {
        let own = rows.iter().filter(|row| row.resistance.drug == **drug).map(|row| &row.resistance);
        own.into_iter().any(|r| r.fold_resistance.is_some() || r.ci_low.is_some() || r.ci_high.is_some())
    };
    let told: Vec<&NameId> = drugs.iter().filter(is_told).collect();
    let left_out = drugs.len() - told.len().min(DRUGS) + lines_left_out;
    let rows = told.into_iter().take(DRUGS).map(|drug| of_drug(*drug)).collect();
    Map { lines: lines.iter().map(|line| lookup.line(*line)).collect(), rows, left_out }
}

fn map_cell(row: Option<&CrossResistanceRow>) -> MapCell {
    let Some(row) = row else {
        return MapCell { text: String::new(), class: "", title: "not measured".into() };
    };
    let r = &row.resistance;
    let text = match (r.fold_resistance, r.ci_low, r.ci_high) {
        (Some(fold), ..) => quantity::fold(fold),
        (None, Some(low), None) => format!("> {}", quantity::fold(low)),
        (None, None, Some(high)) => format!("< {}", quantity::fold(high)),
        _ => quantity::MISSING.into(),
    };
    let class = match row.class {
        CrossResistance::CrossResistant => "hot",
        CrossResistance::CollateralSensitivity => "cold",
        CrossResistance::Unchanged => "same",
        CrossResistance::Uncertain => "open",
    };
    let ends = r.ci_low.zip(r.ci_high).map(|(l, h)| format!(", {} to {}", quantity::fold(l), quantity::fold(h)));
    MapCell { text, class, title: format!("{}{}", wording::explain(row.class.name()), ends.unwrap_or_default()) }
}

/// A partner on a resistant line.
#[derive(Debug, Serialize)]
pub(super) struct Gain {
    line: String,
    partner: String,
    dose: String,
    fold_change: Cell,
    interval: String,
    rescue: Cell,
    back: String,
    notes: String,
}

/// Partners of resistant lines that are sure to make the anchor more potent, by the lower end of the interval, largest first;
/// and how many others there are.
pub(super) fn resensitisation(lookup: &Lookup<'_>) -> (Vec<Gain>, usize) {
    let is_resistant = |row: &&Resensitisation| lookup.status(row.key.line) == Some(LineStatus::Resistant);
    let mut rows: Vec<&Resensitisation> =
        lookup.page.resensitisation.iter().filter(|row| row.is_ranked).filter(is_resistant).collect();
    let sure = |row: &Resensitisation| row.fold_change.low.filter(|low| low.is_finite()).unwrap_or(f64::NEG_INFINITY);
    let all = rows.len();
    rows.retain(|row| sure(row) > 0.0);
    rows.sort_by(|a, b| sure(b).total_cmp(&sure(a)).then(a.key.cmp(&b.key)));
    let gain = |row: &&Resensitisation| {
        let [fold, low, high] = row.fold_change.fold();
        Gain {
            line: lookup.line(row.key.line),
            partner: lookup.drugs_name(
                [row.key.drug_a, row.key.drug_b],
                row.second_partner.map(|(drug, _)| drug),
                row.key.schedule,
            ),
            dose: match row.second_partner {
                Some((_, second)) => format!("{} and {}", quantity::dose(row.partner_dose), quantity::dose(second)),
                None => quantity::dose(row.partner_dose),
            },
            fold_change: Cell::new(fold, quantity::fold),
            interval: match (low, high) {
                (Some(low), Some(high)) => format!("{} to {}", quantity::fold(low), quantity::fold(high)),
                (Some(low), None) => format!("at least {}", quantity::fold(low)),
                (None, Some(high)) => format!("at most {}", quantity::fold(high)),
                (None, None) => String::new(),
            },
            rescue: Cell::new(row.rescue.fraction, quantity::percent),
            back: row.equivalence.map(|e| wording::explain(e.verdict)).unwrap_or_default(),
            notes: row.fold_change.fold_reason().map(wording::explain).unwrap_or_default(),
        }
    };
    (rows.iter().take(ROWS).map(gain).collect(), all - rows.len().min(ROWS))
}

/// A mechanism of a line.
#[derive(Debug, Serialize)]
pub(super) struct Cause {
    line: String,
    words: String,
    status: &'static str,
    class: &'static str,
    strength: &'static str,
    evidence: String,
    notes: String,
}

/// What is called, said, suspected or contradicted; what is excluded or unheard of stays in the table.
pub(super) fn mechanisms(lookup: &Lookup<'_>) -> (Vec<Cause>, usize) {
    let is_shown =
        |call: &&MechanismCall| !matches!(call.status, Some(Status::NoEvidence | Status::Excluded | Status::Open));
    let calls: Vec<&MechanismCall> = lookup.page.mechanisms.calls.iter().filter(is_shown).collect();
    let cause = |call: &&MechanismCall| Cause {
        line: quantity::clip(&call.line, NAME),
        words: quantity::clip(&call.words, 120),
        status: call.status.map_or("unknown", Status::name),
        class: if call.status == Some(Status::Contradictory) { "bad" } else { "" },
        strength: call.strength.map_or("", |strength| strength.name()),
        evidence: quantity::clip(&call.evidence.join("; "), SENTENCE),
        notes: call.reason.map(wording::explain).unwrap_or_default(),
    };
    (calls.iter().take(ROWS).map(cause).collect(), calls.len().saturating_sub(ROWS))
}

/// A pair's apoptosis on a line.
#[derive(Debug, Serialize)]
pub(super) struct Death {
    line: String,
    pair: String,
    score: Cell,
    interval: String,
    viability: Cell,
    viability_interval: String,
    concordance: String,
    correlation: Cell,
    flags: String,
}

/// Synergy in apoptosis beside that in viability, largest first.
pub(super) fn apoptosis(lookup: &Lookup<'_>) -> (Vec<Death>, usize) {
    let mut rows: Vec<&ApoptosisSynergy> = lookup.page.apoptosis.iter().collect();
    rows.sort_by(|a, b| b.score.unwrap_or(f64::NEG_INFINITY).total_cmp(&a.score.unwrap_or(f64::NEG_INFINITY)));
    let death = |row: &&ApoptosisSynergy| Death {
        line: quantity::clip(&row.line, NAME),
        pair: quantity::clip(&row.drugs.join(" + "), 2 * NAME),
        score: Cell::new(row.score, |v| quantity::points(v, 1)),
        interval: super::interval_in_points(row.interval[0], row.interval[1], 1),
        viability: Cell::new(row.viability_score, |v| quantity::points(v, 1)),
        viability_interval: super::interval_in_points(row.viability_interval[0], row.viability_interval[1], 1),
        concordance: wording::explain(row.concordance),
        correlation: Cell::new(row.correlation, |v| quantity::number(v, 2)),
        flags: wording::explain_all(&row.flags),
    };
    (rows.iter().take(ROWS).map(death).collect(), rows.len().saturating_sub(ROWS))
}
