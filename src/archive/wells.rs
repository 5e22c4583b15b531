//! Wells as tables and back.

use super::Reading;
use crate::Result;
use crate::plate::flags::WellFlags;
use crate::plate::{NormalisedWell, NormalisedWells};
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::code::Code;
use crate::screen::well::{Role, Treatment, Well, WellPosition};
use crate::screen::wells::Wells;

/// What stands in a table for a signal that is no finite number.
const NOT_FINITE: [(Code, f64); 3] =
    [("not_a_number", f64::NAN), ("infinite", f64::INFINITY), ("minus_infinite", f64::NEG_INFINITY)];

fn not_finite(signal: f64) -> Option<Code> {
    let same = |other: f64| signal == other || (signal.is_nan() && other.is_nan());
    NOT_FINITE.iter().find(|(_, value)| same(*value)).map(|(code, _)| *code)
}

/// The table `raw_wells`: every well that could be read, in the order of the input, as it was read: doses molar,
/// `signal` as [`Screen::orientation`] says. Where a signal is no finite number, `signal_reason` says what it is.
pub fn raw_wells_table(screen: &Screen) -> Table {
    let wells = || screen.wells.iter();
    let mut table = Table::new("raw_wells")
        .named("plate_id", &screen.plates, wells().map(|w| Some(w.plate)))
        .code("well", wells().map(|w| w.position.map(|position| position.to_string())))
        .named("cell_line", &screen.lines, wells().map(|w| w.line))
        .code("role", wells().map(|w| Some(w.role.name())));
    for (i, (drug, dose)) in DRUGS.into_iter().enumerate() {
        table = table
            .named(drug, &screen.drugs, wells().map(|w| w.treatments[i].map(|t| t.drug)))
            .number(dose, wells().map(|w| w.treatments[i].map(|t| t.dose)));
    }
    table
        .code("conc_unit", wells().map(|_| Some("M")))
        .named("block", &screen.blocks, wells().map(|w| w.block))
        .named("schedule", &screen.schedules, wells().map(|w| w.schedule))
        .named("replicate", &screen.replicates, wells().map(|w| w.replicate))
        .named("batch", &screen.batches, wells().map(|w| w.batch))
        .number("signal_t0", wells().map(|w| w.signal_t0))
        .number("time_h", wells().map(|w| w.time_h))
        .number("signal", wells().map(|w| Some(w.signal)))
        .code("signal_reason", wells().map(|w| not_finite(w.signal)))
}

const DRUGS: [(&str, &str); 3] = [("drug_a", "conc_a"), ("drug_b", "conc_b"), ("drug_c", "conc_c")];

/// What `raw_wells` and `wells` have in common, all but the signal, row by row.
fn common<'a>(table: &'a Reading, screen: &Screen) -> Result<impl Iterator<Item = Result<Well>> + use<'a>> {
    let plate = table.names("plate_id", &screen.plates)?;
    let position = table.codes("well", WellPosition::parse)?;
    let line = table.names("cell_line", &screen.lines)?;
    let role = table.codes("role", Role::parse)?;
    let mut drugs = Vec::with_capacity(DRUGS.len());
    for (drug, dose) in DRUGS {
        drugs.push((table.names(drug, &screen.drugs)?, table.numbers(dose)?));
    }
    let block = table.names("block", &screen.blocks)?;
    let schedule = table.names("schedule", &screen.schedules)?;
    let replicate = table.names("replicate", &screen.replicates)?;
    let batch = table.names("batch", &screen.batches)?;
    let (signal_t0, time_h) = (table.numbers("signal_t0")?, table.numbers("time_h")?);
    let of = move |row: usize| {
        let missing = |what: &str| table.unfit(format!("row {row} has no {what}"));
        let mut treatments = [None; 3];
        for (treatment, (drug, dose)) in treatments.iter_mut().zip(&drugs) {
            *treatment = match (drug[row], dose[row]) {
                (Some(drug), Some(dose)) => Some(Treatment { drug, dose }),
                (None, None) => None,
                _ => return Err(missing("dose beside a drug")),
            };
        }
        Ok(Well {
            plate: plate[row].ok_or_else(|| missing("plate"))?,
            position: position[row],
            role: role[row].ok_or_else(|| missing("role"))?,
            line: line[row],
            treatments,
            signal: 0.0,
            block: block[row],
            schedule: schedule[row],
            replicate: replicate[row],
            batch: batch[row],
            signal_t0: signal_t0[row],
            time_h: time_h[row],
        })
    };
    Ok((0..table.table.rows()).map(of))
}

/// Wells out of `raw_wells`.
pub(super) fn raw_wells(table: &Reading, screen: &Screen) -> Result<Wells> {
    let signal = table.numbers("signal")?;
    let of_code = |text: &str| NOT_FINITE.iter().find(|(code, _)| *code == text).map(|(_, value)| *value);
    let reason = table.codes("signal_reason", of_code)?;
    let with_signal = |(row, well): (usize, Result<Well>)| {
        let well = well?;
        let signal = signal[row].or(reason[row]);
        let signal = signal.ok_or_else(|| table.unfit(format!("row {row} has neither a signal nor a reason")))?;
        Ok(Well { signal, ..well })
    };
    common(table, screen)?.enumerate().map(with_signal).collect()
}

/// Wells out of `wells`.
pub(super) fn normalised_wells(table: &Reading, screen: &Screen) -> Result<NormalisedWells> {
    let (signal, response, weight) = (table.numbers("signal")?, table.numbers("response")?, table.numbers("weight")?);
    let flags = table.codes("flags", WellFlags::parse)?;
    let with_response = |(row, well): (usize, Result<Well>)| {
        let well = well?;
        let missing = |what: &str| table.unfit(format!("row {row} has no {what}"));
        Ok(NormalisedWell {
            well: Well { signal: signal[row].ok_or_else(|| missing("signal"))?, ..well },
            response: response[row].ok_or_else(|| missing("response"))?,
            weight: weight[row].ok_or_else(|| missing("weight"))?,
            flags: flags[row].ok_or_else(|| missing("flags"))?,
        })
    };
    NormalisedWells::collect(table.table.rows(), common(table, screen)?.enumerate().map(with_response))
}
