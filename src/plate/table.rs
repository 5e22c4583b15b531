//! The tables `plates` and `wells`.

use super::{NormalisedWell, PlateQuality};
use crate::report::table::Table;
use crate::screen::Screen;

/// Viability above which a well is flagged: twice the untreated cells is no effect of a drug that anyone looks for.
const RESPONSE_HIGH: f64 = 2.0;
/// Viability below which a well is flagged: so far below the low control that it cannot be the noise of a good plate.
const RESPONSE_LOW: f64 = -0.5;

/// The table `plates`: one row a plate (a plate and line, where a plate holds several lines).
///
/// `background` and `vehicle_mean` are in the unit of the raw signal, `cv_vehicle` and `edge_effect` are fractions,
/// `signal_to_background` a ratio; a null has its cause in `reason`.
pub fn table(plates: &[PlateQuality], screen: &Screen) -> Table {
    let count = |n: fn(&PlateQuality) -> usize| plates.iter().map(move |p| Some(n(p) as i64));
    let number = |value: fn(&PlateQuality) -> Option<f64>| plates.iter().map(value);
    Table::new("plates")
        .text("plate_id", plates.iter().map(|p| Some(screen.plates.name(p.plate))))
        .text("cell_line", plates.iter().map(|p| p.line.map(|line| screen.lines.name(line))))
        .integer("n_wells", count(|p| p.n_wells))
        .integer("n_vehicle", count(|p| p.n_vehicle))
        .integer("n_positive", count(|p| p.n_positive))
        .integer("n_blank", count(|p| p.n_blank))
        .integer("n_set_aside", count(|p| p.n_set_aside))
        .text("low_control", plates.iter().map(|p| p.low_control))
        .number("background_signal", number(|p| Some(p.background)))
        .number("vehicle_mean_signal", number(|p| p.vehicle_mean))
        .number("z_prime", number(|p| p.z_prime))
        .number("z_prime_robust", number(|p| p.z_prime_robust))
        .number("ssmd", number(|p| p.ssmd))
        .number("cv_vehicle", number(|p| p.cv_vehicle))
        .number("signal_to_background", number(|p| p.signal_to_background))
        .number("edge_effect", number(|p| p.edge_effect))
        .text("status", plates.iter().map(|p| Some(p.verdict.name())))
        .text("reason", plates.iter().map(|p| Some(p.reason.as_str())))
}

/// The table `wells`: each well with its response (viability fraction), and all that is needed to start from it again.
///
/// Doses are molar, as `conc_unit` says. `flags` are codes joined by `;`: `response_above_2`,
/// `response_below_minus_half`.
pub fn wells_table(wells: &[NormalisedWell], screen: &Screen) -> Table {
    let drug =
        |i: usize| wells.iter().map(move |w| w.well.treatments[i].map(|treatment| screen.drugs.name(treatment.drug)));
    let dose = |i: usize| wells.iter().map(move |w| w.well.treatments[i].map(|treatment| treatment.dose));
    Table::new("wells")
        .text("plate_id", wells.iter().map(|w| Some(screen.plates.name(w.well.plate))))
        .text("well", wells.iter().map(|w| w.well.position.map(|position| position.to_string())))
        .text("cell_line", wells.iter().map(|w| w.well.line.map(|line| screen.lines.name(line))))
        .text("role", wells.iter().map(|w| Some(w.well.role.name())))
        .text("drug_a", drug(0))
        .number("conc_a", dose(0))
        .text("drug_b", drug(1))
        .number("conc_b", dose(1))
        .text("drug_c", drug(2))
        .number("conc_c", dose(2))
        .text("conc_unit", wells.iter().map(|_| Some("M")))
        .text("block", wells.iter().map(|w| w.well.block.map(|block| screen.blocks.name(block))))
        .text("schedule", wells.iter().map(|w| w.well.schedule.map(|schedule| screen.schedules.name(schedule))))
        .number("signal", wells.iter().map(|w| Some(w.well.signal)))
        .number("response", wells.iter().map(|w| Some(w.response)))
        .number("weight", wells.iter().map(|w| Some(w.weight)))
        .text("flags", wells.iter().map(|w| Some(flags(w.response))))
}

fn flags(response: f64) -> &'static str {
    if response > RESPONSE_HIGH {
        "response_above_2"
    } else if response < RESPONSE_LOW {
        "response_below_minus_half"
    } else {
        ""
    }
}
