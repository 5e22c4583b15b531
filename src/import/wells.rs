//! Wells on their way into the canonical table, and the rows that could not become any.

use crate::report::table::Table;
use crate::screen::names::{NameId, Names};
use crate::screen::well::{Role, WellPosition};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

/// What the readings of a format are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reading {
    /// Counts of a reader.
    Signal,
    /// Viability as a fraction, already normalised.
    Viability,
}

/// A drug in a well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Dose<'a> {
    pub drug: &'a str,
    pub dose: f64,
    pub unit: &'a str,
    /// The cell that names it, for errors.
    pub place: &'a str,
}

/// A well as it is found.
#[derive(Debug, Clone, Copy)]
pub(super) struct FoundWell<'a> {
    pub plate: &'a str,
    pub position: Option<WellPosition>,
    pub line: Option<&'a str>,
    pub role: Role,
    pub doses: [Option<Dose<'a>>; 3],
    pub reading: f64,
    pub block: Option<&'a str>,
    pub replicate: Option<i64>,
    pub batch: Option<&'a str>,
    pub time_h: Option<f64>,
}

impl<'a> FoundWell<'a> {
    /// A sample on a plate, with nothing else said.
    pub fn on(plate: &'a str, reading: f64) -> Self {
        Self {
            plate,
            position: None,
            line: None,
            role: Role::Sample,
            doses: [None; 3],
            reading,
            block: None,
            replicate: None,
            batch: None,
            time_h: None,
        }
    }

    /// A sample where a drug is there, else a vehicle well.
    pub fn by_doses(self) -> Self {
        let active = self.doses.iter().flatten().any(|dose| dose.dose > 0.0);
        Self { role: if active { Role::Sample } else { Role::Vehicle }, ..self }
    }
}

/// A row that could not become a well.
#[derive(Debug, Clone, PartialEq)]
pub struct RejectedRow {
    /// The file.
    pub file: PathBuf,
    /// The cell or row in it, as spreadsheets show it.
    pub place: String,
    /// Why, as a code.
    pub reason: &'static str,
    /// What was seen.
    pub detail: String,
}

#[derive(Debug, Default, Clone)]
struct Texts {
    names: Names,
    ids: Vec<Option<NameId>>,
}

impl Texts {
    fn push(&mut self, text: Option<&str>) -> Option<NameId> {
        let id = text.map(|text| self.names.intern(text));
        self.ids.push(id);
        id
    }

    fn is_empty(&self) -> bool {
        self.names.is_empty()
    }
}

#[derive(Debug, Default, Clone)]
struct Slot {
    drugs: Texts,
    units: Texts,
    doses: Vec<Option<f64>>,
}

/// Wells, rejected rows and notes of an import.
#[derive(Debug, Clone)]
pub struct Imported {
    /// What the readings are.
    pub reading: Reading,
    /// Rows, or wells of grids, that could not be mapped.
    pub rejected: Vec<RejectedRow>,
    /// What the user should know.
    pub notes: Vec<String>,
    plates: Texts,
    positions: Vec<Option<WellPosition>>,
    lines: Texts,
    roles: Vec<Role>,
    slots: [Slot; 3],
    readings: Vec<f64>,
    blocks: Texts,
    replicates: Vec<Option<i64>>,
    batches: Texts,
    times: Vec<Option<f64>>,
    /// Signals at the time of treatment.
    signals_t0: Vec<Option<f64>>,
    /// The signal at the time of treatment of the wells that are added from here on.
    pub(super) signal_t0: Option<f64>,
    /// Unit in which a drug was first seen on a plate, and where.
    units_seen: HashMap<(NameId, String), (String, String)>,
}

impl Imported {
    /// Nothing yet.
    pub fn new(reading: Reading) -> Self {
        Self {
            reading,
            rejected: Vec::new(),
            notes: Vec::new(),
            plates: Texts::default(),
            positions: Vec::new(),
            lines: Texts::default(),
            roles: Vec::new(),
            slots: Default::default(),
            readings: Vec::new(),
            blocks: Texts::default(),
            replicates: Vec::new(),
            batches: Texts::default(),
            times: Vec::new(),
            signals_t0: Vec::new(),
            signal_t0: None,
            units_seen: HashMap::new(),
        }
    }

    /// Number of wells.
    pub fn wells(&self) -> usize {
        self.readings.len()
    }

    /// Number of plates.
    pub fn plates(&self) -> usize {
        self.plates.names.len()
    }

    /// The readings, in order.
    pub fn readings(&self) -> &[f64] {
        &self.readings
    }

    /// Sets a row aside.
    pub(super) fn reject(&mut self, file: &Path, place: String, reason: &'static str, detail: impl Into<String>) {
        self.rejected.push(RejectedRow { file: file.to_owned(), place, reason, detail: detail.into() });
    }

    /// Adds a well; `Err` holds the problem where a drug's unit changes within a plate, and the cell.
    pub(super) fn push(&mut self, well: FoundWell<'_>) -> std::result::Result<(), (String, String)> {
        let plate = self.plates.push(Some(well.plate));
        for dose in well.doses.iter().flatten().filter(|dose| dose.dose > 0.0) {
            let seen = self.units_seen.entry((plate.unwrap_or(0), dose.drug.to_owned()));
            let seen = seen.or_insert_with(|| (dose.unit.to_owned(), dose.place.to_owned()));
            if seen.0 != dose.unit {
                let problem = format!("`{}` is in {} here, and in {} at {}", dose.drug, dose.unit, seen.0, seen.1);
                return Err((dose.place.to_owned(), problem));
            }
        }
        self.positions.push(well.position);
        self.lines.push(well.line);
        self.roles.push(well.role);
        for (slot, dose) in self.slots.iter_mut().zip(&well.doses) {
            slot.drugs.push(dose.map(|dose| dose.drug));
            slot.units.push(dose.map(|dose| dose.unit));
            slot.doses.push(dose.map(|dose| dose.dose));
        }
        self.readings.push(well.reading);
        self.blocks.push(well.block);
        self.replicates.push(well.replicate);
        self.batches.push(well.batch);
        self.times.push(well.time_h);
        self.signals_t0.push(self.signal_t0);
        Ok(())
    }

    /// Drugs whose doses are mass per volume, which `run` cannot use without molar masses.
    pub(super) fn drugs_by_mass(&self) -> Vec<String> {
        let mut drugs = std::collections::BTreeSet::new();
        for slot in &self.slots {
            for (drug, unit) in slot.drugs.ids.iter().zip(&slot.units.ids) {
                let (Some(drug), Some(unit)) = (drug, unit) else { continue };
                if slot.units.names.name(*unit).contains('/') {
                    drugs.insert(slot.drugs.names.name(*drug).to_owned());
                }
            }
        }
        drugs.into_iter().collect()
    }

    /// How many rows were set aside for which reason.
    pub fn rejected_by_reason(&self) -> BTreeMap<&'static str, usize> {
        let mut counts = BTreeMap::new();
        for rejected in &self.rejected {
            *counts.entry(rejected.reason).or_default() += 1;
        }
        counts
    }

    /// The canonical well table; columns in which no well has a value are left out.
    pub fn table(&self) -> Table {
        let mut table = Table::new("wells").named("plate_id", &self.plates.names, self.plates.ids.iter().copied());
        if self.positions.iter().any(Option::is_some) {
            table = table.code("well", self.positions.iter().map(|well| well.map(|well| well.to_string())));
        }
        if !self.lines.is_empty() {
            table = table.named("cell_line", &self.lines.names, self.lines.ids.iter().copied());
        }
        table = table.code("role", self.roles.iter().map(|role| Some(role.name())));
        for (slot, letter) in self.slots.iter().zip(["a", "b", "c"]) {
            if !slot.drugs.is_empty() {
                let (drugs, units) = (&slot.drugs, &slot.units);
                table = table
                    .named(&format!("drug_{letter}"), &drugs.names, drugs.ids.iter().copied())
                    .number(&format!("conc_{letter}"), slot.doses.iter().copied())
                    .named(&format!("conc_{letter}_unit"), &units.names, units.ids.iter().copied());
            }
        }
        let reading = match self.reading {
            Reading::Signal => "signal",
            Reading::Viability => "viability_frac",
        };
        table = table.number(reading, self.readings.iter().map(|reading| Some(*reading)));
        if !self.blocks.is_empty() {
            table = table.named("block", &self.blocks.names, self.blocks.ids.iter().copied());
        }
        if self.replicates.iter().any(Option::is_some) {
            table = table.integer("replicate", self.replicates.iter().copied());
        }
        if !self.batches.is_empty() {
            table = table.named("batch", &self.batches.names, self.batches.ids.iter().copied());
        }
        if self.times.iter().any(Option::is_some) {
            table = table.number("time_h", self.times.iter().copied());
        }
        if self.signals_t0.iter().any(Option::is_some) {
            table = table.number("signal_t0", self.signals_t0.iter().copied());
        }
        table
    }

    /// The table of rejected rows.
    pub fn rejected_table(&self) -> Table {
        Table::new("rejected")
            .code("file", self.rejected.iter().map(|row| Some(row.file.display().to_string())))
            .text("place", self.rejected.iter().map(|row| Some(row.place.as_str())))
            .code("reason", self.rejected.iter().map(|row| Some(row.reason)))
            .text("detail", self.rejected.iter().map(|row| Some(row.detail.as_str())))
    }
}
