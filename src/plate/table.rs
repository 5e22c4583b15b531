//! The tables `plates` and `wells`.

use super::spatial::Effect;
use super::{BatchQuality, NormalisedWells, PlateCurve, PlateQuality};
use crate::report::table::Table;
use crate::screen::Screen;

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
        .text("batch", plates.iter().map(|p| p.batch.map(|batch| screen.batches.name(batch))))
        .text("replicate", plates.iter().map(|p| p.replicate.map(|replicate| screen.replicates.name(replicate))))
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
        .number("ssmd_robust", number(|p| p.ssmd_robust))
        .number("cv_vehicle", number(|p| p.cv_vehicle))
        .number("signal_to_background", number(|p| p.signal_to_background))
        .number("signal_to_noise", number(|p| p.signal_to_noise))
        .number("edge_effect", number(|p| p.edge_effect))
        .number("edge_effect_samples", number(|p| p.spatial.edge_difference))
        .number("edge_effect_p", number(|p| p_of(p.spatial.edge)))
        .number("row_effect_sd", number(|p| sd_of(p.spatial.row)))
        .number("row_effect_p", number(|p| p_of(p.spatial.row)))
        .number("column_effect_sd", number(|p| sd_of(p.spatial.column)))
        .number("column_effect_p", number(|p| p_of(p.spatial.column)))
        .number("residual_error", number(|p| p.residual_error))
        .number("replicate_correlation", number(|p| p.replicate_correlation))
        .integer("n_flagged", count(|p| p.n_flagged))
        .text("status", plates.iter().map(|p| Some(p.verdict.name())))
        .text("reason", plates.iter().map(|p| Some(p.reason.as_str())))
}

/// The table `wells`: each well with its response (viability fraction), and all that is needed to start from it again.
///
/// Doses are molar, as `conc_unit` says. `flags` are codes joined by `;`: those of [`super::flags::WellFlags::CODES`].
pub fn wells_table(wells: &NormalisedWells, screen: &Screen) -> Table {
    let wells = || wells.iter();
    let drug = |i: usize| wells().map(move |w| w.well.treatments[i].map(|treatment| treatment.drug));
    let dose = |i: usize| wells().map(move |w| w.well.treatments[i].map(|treatment| treatment.dose));
    Table::new("wells")
        .named("plate_id", &screen.plates, wells().map(|w| Some(w.well.plate)))
        .text("well", wells().map(|w| w.well.position.map(|position| position.to_string())))
        .named("cell_line", &screen.lines, wells().map(|w| w.well.line))
        .code("role", wells().map(|w| Some(w.well.role.name())))
        .named("drug_a", &screen.drugs, drug(0))
        .number("conc_a", dose(0))
        .named("drug_b", &screen.drugs, drug(1))
        .number("conc_b", dose(1))
        .named("drug_c", &screen.drugs, drug(2))
        .number("conc_c", dose(2))
        .named("replicate", &screen.replicates, wells().map(|w| w.well.replicate))
        .named("batch", &screen.batches, wells().map(|w| w.well.batch))
        .code("conc_unit", wells().map(|_| Some("M")))
        .named("block", &screen.blocks, wells().map(|w| w.well.block))
        .named("schedule", &screen.schedules, wells().map(|w| w.well.schedule))
        .number("signal_t0", wells().map(|w| w.well.signal_t0))
        .number("time_h", wells().map(|w| w.well.time_h))
        .number("signal", wells().map(|w| Some(w.well.signal)))
        .number("response", wells().map(|w| Some(w.response)))
        .number("weight", wells().map(|w| Some(w.weight)))
        .code("flags", wells().map(|w| Some(w.flags.codes())))
}

fn p_of(effect: Option<Effect>) -> Option<f64> {
    effect.map(|e| e.p)
}

fn sd_of(effect: Option<Effect>) -> Option<f64> {
    effect.map(|e| e.sd)
}

/// The table `batches`: one row a batch, and one with `level` `screen` for all plates together. The controls are pooled as
/// `controls_as` says; `drift_per_plate` is the change of the natural log of the vehicle signal from a plate to the next
/// in the order of the input.
pub fn batches_table(batches: &[BatchQuality], screen: &Screen) -> Table {
    let number = |value: fn(&BatchQuality) -> Option<f64>| batches.iter().map(value);
    let count = |n: fn(&BatchQuality) -> usize| batches.iter().map(move |b| Some(n(b) as i64));
    Table::new("batches")
        .text("level", batches.iter().map(|b| Some(if b.is_screen { "screen" } else { "batch" })))
        .text("batch", batches.iter().map(|b| b.batch.map(|batch| screen.batches.name(batch))))
        .integer("n_plates", count(|b| b.n_plates))
        .integer("n_good", count(|b| b.n_good))
        .integer("n_bad", count(|b| b.n_bad))
        .integer("n_wells", count(|b| b.n_wells))
        .integer("n_flagged", count(|b| b.n_flagged))
        .text("controls_as", batches.iter().map(|b| Some(b.controls_as)))
        .integer("n_vehicle", count(|b| b.n_vehicle))
        .integer("n_low_control", count(|b| b.n_low_control))
        .number("z_prime", number(|b| b.z_prime))
        .number("z_prime_robust", number(|b| b.z_prime_robust))
        .number("ssmd", number(|b| b.ssmd))
        .number("ssmd_robust", number(|b| b.ssmd_robust))
        .number("cv_vehicle", number(|b| b.cv_vehicle))
        .number("signal_to_background", number(|b| b.signal_to_background))
        .number("drift_per_plate", number(|b| b.drift_per_plate))
        .number("drift_p", number(|b| b.drift_p))
        .number("replicate_correlation", number(|b| b.replicate_correlation))
        .number("sd_technical", number(|b| b.sd_technical))
        .number("sd_biological", number(|b| b.sd_biological))
        .number("biological_p", number(|b| b.biological_p))
        .text("reason", batches.iter().map(|b| Some(b.reason.as_str())))
}

/// The table `flagged`: the rows of `wells` that have a flag.
pub fn flagged_table(wells: &NormalisedWells, screen: &Screen) -> Table {
    let is_flagged = |(well, flags): (u32, &super::flags::WellFlags)| flags.any().then_some(well);
    let flagged = wells.select(&(0..).zip(wells.flags()).filter_map(is_flagged).collect::<Vec<u32>>());
    Table { name: "flagged".into(), ..wells_table(&flagged, screen) }
}

/// The table `plate_curves`: a drug alone in one line on one plate against the same on all plates; see
/// [`super::registration`]. Shifts and their errors are log10 of dose, EC50 log10 molar.
pub fn plate_curves_table(curves: &[PlateCurve], screen: &Screen) -> Table {
    let number = |value: fn(&PlateCurve) -> Option<f64>| curves.iter().map(value);
    Table::new("plate_curves")
        .text("plate_id", curves.iter().map(|c| Some(screen.plates.name(c.plate))))
        .text("cell_line", curves.iter().map(|c| c.line.map(|line| screen.lines.name(line))))
        .text("drug", curves.iter().map(|c| Some(screen.drugs.name(c.drug))))
        .integer("n_wells", curves.iter().map(|c| Some(c.n_wells as i64)))
        .integer("n_plates", curves.iter().map(|c| Some(c.n_plates as i64)))
        .number("log10_ec50_pooled", number(|c| Some(c.log10_ec50_pooled)))
        .number("log10_shift", number(|c| c.shift))
        .number("se_log10_shift", number(|c| c.shift_se))
        .number("log10_shift_shrunk", number(|c| c.shift_shrunk))
        .number("log10_ec50_shrunk", number(|c| c.log10_ec50_shrunk))
        .text("batch", curves.iter().map(|c| c.batch.map(|batch| screen.batches.name(batch))))
        .number("log10_batch_shift", number(|c| c.batch_shift))
        .number("se_log10_batch_shift", number(|c| c.batch_shift_se))
        .number("sd_between_plates", number(|c| c.between_plates_sd))
        .number("log10_dilution_step", number(|c| Some(c.dilution_step)))
        .integer("steps_off", curves.iter().map(|c| Some(i64::from(c.steps_off))))
        .text("reason", curves.iter().map(|c| Some(c.reason)))
}
