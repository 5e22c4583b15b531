//! Apoptosis as a second readout: Annexin V / PI quadrants, corrected for vehicle, and what a pair does beyond its drugs.
//!
//! A sample's apoptotic fraction is early and late together. Cells die without a drug too: the corrected fraction is
//! (x - c) / (1 - c), with c the vehicle's (Abbott 1925, doi 10.1093/jee/18.2.265a). Two drugs that act independently
//! leave (1 - a)(1 - b) of the cells (Bliss 1939, doi 10.1111/j.1744-7348.1939.tb06990.x): excess is what a combination
//! has above a + b - ab, positive for synergy.

pub mod synergy;
pub mod table;
pub mod viability;

use crate::screen::dose::DoseLevels;
use crate::screen::quadrants::{QuadrantRow, Quadrants};
use std::collections::BTreeMap;

/// From this share of apoptotic cells on, a vehicle says more about the culture than about the drugs.
const UNHEALTHY: f64 = 0.5;

/// One sample with its apoptotic fraction.
#[derive(Debug, Clone, PartialEq)]
pub struct ApoptosisSample {
    /// The sample as read, doses that are meant to be one made equal.
    pub row: QuadrantRow,
    /// Early and late together, a fraction of all cells.
    pub apoptotic: Option<f64>,
    /// The vehicle's: of the same line and replicate, else of the line.
    pub vehicle: Option<f64>,
    /// Vehicle samples behind it.
    pub n_vehicle: u32,
    /// Where the vehicle is from: `same_replicate`, `same_line`.
    pub vehicle_source: Option<&'static str>,
    /// The corrected fraction; below 0 where fewer cells are apoptotic than in vehicle.
    pub corrected: Option<f64>,
    /// Its binomial standard error, by the cells counted here and in the vehicle; replicates spread more than that.
    pub standard_error: Option<f64>,
    /// Why something is missing: that of the reading, `no_vehicle`, `vehicle_unhealthy`, `no_event_counts`.
    pub reason: Option<&'static str>,
}

impl ApoptosisSample {
    /// Whether no drug was given.
    pub fn is_vehicle(&self) -> bool {
        self.row.drugs[0].is_none()
    }
}

/// Vehicle of a line, or of one of its replicates.
#[derive(Debug, Clone, Copy, Default)]
struct Vehicle {
    sum: f64,
    n: u32,
    /// Cells counted, as long as that is known for every sample.
    events: Option<f64>,
}

impl Vehicle {
    fn add(&mut self, apoptotic: f64, events: Option<f64>) {
        self.events = if self.n == 0 { events } else { self.events.zip(events).map(|(a, b)| a + b) };
        self.sum += apoptotic;
        self.n += 1;
    }

    fn mean(&self) -> f64 {
        self.sum / f64::from(self.n)
    }
}

/// Variance of a share of so many cells, never zero: a sample without one apoptotic cell is not known to have none.
pub(crate) fn binomial_variance(share: f64, events: f64) -> f64 {
    let share = (share * events + 0.5) / (events + 1.0);
    share * (1.0 - share) / events
}

/// Early and late, and the cells counted.
fn apoptotic(quadrants: &Quadrants) -> Result<(f64, Option<f64>), &'static str> {
    match *quadrants {
        Quadrants::Known { early, late, events, .. } => Ok((early + late, events)),
        Quadrants::Missing(reason) => Err(reason),
    }
}

/// Apoptotic fractions of every sample, in the order given, corrected for vehicle.
pub fn correct(rows: &[QuadrantRow]) -> Vec<ApoptosisSample> {
    let mut doses: BTreeMap<String, Vec<f64>> = BTreeMap::new();
    for row in rows {
        for (drug, dose) in row.drugs.iter().zip(row.doses) {
            if let Some(drug) = drug {
                doses.entry(drug.to_lowercase()).or_default().push(dose);
            }
        }
    }
    let levels: BTreeMap<String, DoseLevels> = doses.into_iter().map(|(drug, d)| (drug, DoseLevels::new(d))).collect();
    let mut of_line: BTreeMap<String, Vehicle> = BTreeMap::new();
    let mut of_replicate: BTreeMap<(String, String), Vehicle> = BTreeMap::new();
    for row in rows.iter().filter(|row| row.drugs[0].is_none()) {
        if let Ok((share, events)) = apoptotic(&row.quadrants) {
            let line = row.line.to_lowercase();
            of_replicate.entry((line.clone(), row.replicate.to_lowercase())).or_default().add(share, events);
            of_line.entry(line).or_default().add(share, events);
        }
    }
    let of = |row: &QuadrantRow| {
        let line = row.line.to_lowercase();
        let own = of_replicate.get(&(line.clone(), row.replicate.to_lowercase())).map(|v| (*v, "same_replicate"));
        own.or_else(|| of_line.get(&line).map(|v| (*v, "same_line")))
    };
    rows.iter()
        .map(|row| {
            let mut row = row.clone();
            for (drug, dose) in row.drugs.iter().zip(&mut row.doses) {
                if let Some(levels) = drug.as_ref().and_then(|drug| levels.get(&drug.to_lowercase())) {
                    *dose = levels.level(*dose);
                }
            }
            let vehicle = of(&row);
            sample(row, vehicle)
        })
        .collect()
}

fn sample(row: QuadrantRow, vehicle: Option<(Vehicle, &'static str)>) -> ApoptosisSample {
    let read = apoptotic(&row.quadrants);
    let mut sample = ApoptosisSample {
        apoptotic: read.ok().map(|(share, _)| share),
        vehicle: vehicle.map(|(v, _)| v.mean()),
        n_vehicle: vehicle.map_or(0, |(v, _)| v.n),
        vehicle_source: vehicle.map(|(_, source)| source),
        corrected: None,
        standard_error: None,
        reason: None,
        row,
    };
    let (share, events) = match read {
        Ok(read) => read,
        Err(reason) => return ApoptosisSample { reason: Some(reason), ..sample },
    };
    let Some((vehicle, _)) = vehicle else { return ApoptosisSample { reason: Some("no_vehicle"), ..sample } };
    let c = vehicle.mean();
    if c >= UNHEALTHY {
        return ApoptosisSample { reason: Some("vehicle_unhealthy"), ..sample };
    }
    sample.corrected = Some((share - c) / (1.0 - c));
    match events.zip(vehicle.events) {
        Some((events, of_vehicle)) => {
            // Both ends of the ratio are counted.
            let own = binomial_variance(share, events) / (1.0 - c).powi(2);
            let theirs = binomial_variance(c, of_vehicle) * ((1.0 - share) / (1.0 - c).powi(2)).powi(2);
            sample.standard_error = Some((own + theirs).sqrt());
        }
        None => sample.reason = Some("no_event_counts"),
    }
    sample
}
