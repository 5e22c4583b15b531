//! The tables `apoptosis` and `apoptosis_synergy`.

use super::ApoptosisSample;
use super::synergy::ApoptosisSynergy;
use crate::report::table::Table;
use crate::screen::quadrants::Quadrants;

/// The `apoptosis` table: a row for each sample, in the order read.
pub fn apoptosis_table(samples: &[ApoptosisSample]) -> Table {
    let rows = || samples.iter();
    let quadrant = |of: fn([f64; 4]) -> f64| {
        rows()
            .map(move |sample| match sample.row.quadrants {
                Quadrants::Known { viable, early, late, necrotic, .. } => Some(of([viable, early, late, necrotic])),
                Quadrants::Missing(_) => None,
            })
            .collect::<Vec<_>>()
    };
    let events = |sample: &ApoptosisSample| match sample.row.quadrants {
        Quadrants::Known { events, .. } => events,
        Quadrants::Missing(_) => None,
    };
    Table::new("apoptosis")
        .text("cell_line", rows().map(|s| Some(s.row.line.as_str())))
        .text("drug_a", rows().map(|s| s.row.drugs[0].as_deref()))
        .text("drug_b", rows().map(|s| s.row.drugs[1].as_deref()))
        .number("dose_a_molar", rows().map(|s| Some(s.row.doses[0])))
        .number("dose_b_molar", rows().map(|s| Some(s.row.doses[1])))
        .text("schedule", rows().map(|s| s.row.schedule.as_deref()))
        .text("replicate", rows().map(|s| Some(s.row.replicate.as_str())))
        .number("viable", quadrant(|q| q[0]))
        .number("early_apoptotic", quadrant(|q| q[1]))
        .number("late_apoptotic", quadrant(|q| q[2]))
        .number("necrotic", quadrant(|q| q[3]))
        .number("events", rows().map(events))
        .number("apoptotic", rows().map(|s| s.apoptotic))
        .number("vehicle_apoptotic", rows().map(|s| s.vehicle))
        .integer("n_vehicle", rows().map(|s| Some(i64::from(s.n_vehicle))))
        .text("vehicle_source", rows().map(|s| s.vehicle_source))
        .number("corrected_apoptotic", rows().map(|s| s.corrected))
        .number("corrected_apoptotic_se", rows().map(|s| s.standard_error))
        .text("reason", rows().map(|s| s.reason))
}

/// The `apoptosis_synergy` table: a row for each line and pair.
pub fn apoptosis_synergy_table(rows: &[ApoptosisSynergy]) -> Table {
    let all = || rows.iter();
    Table::new("apoptosis_synergy")
        .text("cell_line", all().map(|r| Some(r.line.as_str())))
        .text("drug_a", all().map(|r| Some(r.drugs[0].as_str())))
        .text("drug_b", all().map(|r| Some(r.drugs[1].as_str())))
        .text("schedule", all().map(|r| r.schedule.as_deref()))
        .integer("n_cells", all().map(|r| i64::try_from(r.n_cells).ok()))
        .integer("n_replicates", all().map(|r| i64::try_from(r.n_replicates).ok()))
        .number("bliss_score", all().map(|r| r.score))
        .number("bliss_ci_low", all().map(|r| r.interval[0]))
        .number("bliss_ci_high", all().map(|r| r.interval[1]))
        .number("p", all().map(|r| r.p))
        .number("q", all().map(|r| r.q))
        .number("peak", all().map(|r| r.peak.map(|peak| peak.0)))
        .number("peak_dose_a_molar", all().map(|r| r.peak.map(|peak| peak.1)))
        .number("peak_dose_b_molar", all().map(|r| r.peak.map(|peak| peak.2)))
        .number("viability_score", all().map(|r| r.viability_score))
        .number("viability_ci_low", all().map(|r| r.viability_interval[0]))
        .number("viability_ci_high", all().map(|r| r.viability_interval[1]))
        .text("concordance", all().map(|r| Some(r.concordance)))
        .flag("same_sign", all().map(|r| r.same_sign))
        .integer("n_shared_doses", all().map(|r| i64::try_from(r.n_shared).ok()))
        .number("correlation", all().map(|r| r.correlation))
        .text("correlation_reason", all().map(|r| r.correlation_reason))
        .text("flags", all().map(|r| Some(r.flags.as_str())))
}
