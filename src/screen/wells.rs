//! The wells of a screen, column by column: stages that look at millions of them read only what they need.

use super::column::{Column, Same};
use super::names::NameId;
use super::well::{Place, Role, Treatment, Well};
use std::fmt;
use std::ops::Range;
use std::sync::Arc;

/// Stands for "none" among the numbers of names; no screen has so many.
pub const NONE: NameId = NameId::MAX;

/// Wells in a fixed order. A clone shares what it is of until one of the two is changed.
#[derive(Clone, Default)]
pub struct Wells(Arc<Columns>);

/// The columns of [`Wells`], by what [`Well`] calls them.
#[derive(Clone, Default)]
pub struct Columns {
    plate: Vec<NameId>,
    place: Vec<Place>,
    role: Vec<Role>,
    line: Column<NameId>,
    treatments: [Column<Drug>; 3],
    signal: Vec<f64>,
    context: Column<Context>,
}

/// A treatment, or none where the drug is [`NONE`].
#[derive(Debug, Clone, Copy)]
struct Drug {
    drug: NameId,
    dose: f64,
}

impl Default for Drug {
    fn default() -> Self {
        Self { drug: NONE, dose: 0.0 }
    }
}

impl Same for Drug {
    #[inline]
    fn same(self, other: Self) -> bool {
        self.drug == other.drug && self.dose.to_bits() == other.dose.to_bits()
    }
}

impl Drug {
    #[inline]
    fn treatment(self) -> Option<Treatment> {
        (self.drug != NONE).then_some(Treatment { drug: self.drug, dose: self.dose })
    }

    fn is_none(self) -> bool {
        self.drug == NONE
    }
}

/// What few screens say of their wells, and those that do say the same of most; names are [`NONE`] where they are not said.
#[derive(Debug, Clone, Copy)]
struct Context {
    block: NameId,
    schedule: NameId,
    replicate: NameId,
    batch: NameId,
    signal_t0: Option<f64>,
    time_h: Option<f64>,
}

impl Default for Context {
    fn default() -> Self {
        Self { block: NONE, schedule: NONE, replicate: NONE, batch: NONE, signal_t0: None, time_h: None }
    }
}

impl Same for Context {
    #[inline]
    fn same(self, other: Self) -> bool {
        let names = |c: Self| [c.block, c.schedule, c.replicate, c.batch];
        names(self) == names(other) && self.signal_t0.same(other.signal_t0) && self.time_h.same(other.time_h)
    }
}

fn named(id: NameId) -> Option<NameId> {
    (id != NONE).then_some(id)
}

impl Columns {
    /// Adds a well at the end.
    #[inline]
    pub fn push(&mut self, well: &Well) {
        let Well { plate, position, role, line, treatments, signal, .. } = *well;
        self.plate.push(plate);
        self.place.push(position.into());
        self.role.push(role);
        self.line.push(line.unwrap_or(NONE));
        for (column, treatment) in self.treatments.iter_mut().zip(treatments) {
            column.push(treatment.map_or_else(Drug::default, |t| Drug { drug: t.drug, dose: t.dose }));
        }
        self.signal.push(signal);
        self.context.push(Context {
            block: well.block.unwrap_or(NONE),
            schedule: well.schedule.unwrap_or(NONE),
            replicate: well.replicate.unwrap_or(NONE),
            batch: well.batch.unwrap_or(NONE),
            signal_t0: well.signal_t0,
            time_h: well.time_h,
        });
    }
}

impl Wells {
    /// How many wells there are.
    pub fn len(&self) -> usize {
        self.0.signal.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Adds a well at the end.
    pub fn push(&mut self, well: Well) {
        Arc::make_mut(&mut self.0).push(&well);
    }

    /// The columns, for many wells to be added.
    pub fn columns_mut(&mut self) -> &mut Columns {
        Arc::make_mut(&mut self.0)
    }

    /// Makes place for so many more.
    pub fn reserve(&mut self, wells: usize) {
        let columns = Arc::make_mut(&mut self.0);
        columns.plate.reserve(wells);
        columns.place.reserve(wells);
        columns.role.reserve(wells);
        columns.signal.reserve(wells);
    }

    /// A well.
    ///
    /// # Panics
    /// Where there are not so many.
    #[inline]
    pub fn get(&self, well: usize) -> Well {
        let columns = &*self.0;
        let Context { block, schedule, replicate, batch, signal_t0, time_h } = columns.context.at(well);
        Well {
            plate: columns.plate[well],
            position: columns.place[well].position(),
            role: columns.role[well],
            line: self.line(well),
            treatments: self.treatments(well),
            signal: columns.signal[well],
            block: named(block),
            schedule: named(schedule),
            replicate: named(replicate),
            batch: named(batch),
            signal_t0,
            time_h,
        }
    }

    /// Every well.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Well> + DoubleEndedIterator + Clone + '_ {
        (0..self.len()).map(|well| self.get(well))
    }

    /// These wells.
    pub fn range(&self, wells: Range<usize>) -> impl Iterator<Item = Well> + Clone + '_ {
        wells.map(|well| self.get(well))
    }

    /// The plate of each well.
    pub fn plates(&self) -> &[NameId] {
        &self.0.plate
    }

    /// The place of each well.
    pub fn places(&self) -> &[Place] {
        &self.0.place
    }

    /// What each well is for.
    pub fn roles(&self) -> &[Role] {
        &self.0.role
    }

    /// What was read of each well.
    pub fn signals(&self) -> &[f64] {
        &self.0.signal
    }

    /// A well's cell line.
    #[inline]
    pub fn line(&self, well: usize) -> Option<NameId> {
        named(self.0.line.at(well))
    }

    /// A well's drugs.
    #[inline]
    pub fn treatments(&self, well: usize) -> [Option<Treatment>; 3] {
        self.0.treatments.each_ref().map(|column| column.at(well).treatment())
    }

    /// A well's schedule.
    #[inline]
    pub fn schedule(&self, well: usize) -> Option<NameId> {
        named(self.0.context.at(well).schedule)
    }

    /// A well's biological replicate.
    #[inline]
    pub fn replicate(&self, well: usize) -> Option<NameId> {
        named(self.0.context.at(well).replicate)
    }

    /// A well's batch of plates.
    #[inline]
    pub fn batch(&self, well: usize) -> Option<NameId> {
        named(self.0.context.at(well).batch)
    }

    /// These wells, in this order.
    pub fn select(&self, wells: &[u32]) -> Self {
        fn of<T: Copy>(values: &[T], wells: &[u32]) -> Vec<T> {
            wells.iter().map(|well| values[*well as usize]).collect()
        }
        let columns = &*self.0;
        Self(Arc::new(Columns {
            plate: of(&columns.plate, wells),
            place: of(&columns.place, wells),
            role: of(&columns.role, wells),
            line: columns.line.select(wells),
            treatments: columns.treatments.each_ref().map(|column| column.select(wells)),
            signal: of(&columns.signal, wells),
            context: columns.context.select(wells),
        }))
    }

    /// Changes every well as `change` does.
    pub fn for_each_mut(&mut self, mut change: impl FnMut(usize, &mut Well)) {
        let changed = self.iter().enumerate().map(|(i, mut well)| {
            change(i, &mut well);
            well
        });
        *self = changed.collect();
    }

    /// Replaces the dose of every treatment by what `replace` makes of it.
    pub fn replace_doses(&mut self, replace: impl Fn(Treatment) -> f64) {
        let changed = |drug: Drug| match drug.treatment() {
            Some(treatment) => Drug { dose: replace(treatment), ..drug },
            None => drug,
        };
        Arc::make_mut(&mut self.0).treatments.iter_mut().for_each(|column| column.replace(changed));
    }

    /// Every treatment at a dose above zero, drug column by drug column.
    pub fn active(&self) -> impl Iterator<Item = Treatment> + '_ {
        let used = self.0.treatments.iter().filter(|column| column.only().is_none_or(|drug| !drug.is_none()));
        used.flat_map(|column| (0..self.len()).filter_map(|well| column.at(well).treatment()).filter(|t| t.dose > 0.0))
    }
}

impl FromIterator<Well> for Wells {
    fn from_iter<I: IntoIterator<Item = Well>>(wells: I) -> Self {
        let mut columns = Columns::default();
        wells.into_iter().for_each(|well| columns.push(&well));
        Self(Arc::new(columns))
    }
}

impl From<Vec<Well>> for Wells {
    fn from(wells: Vec<Well>) -> Self {
        wells.into_iter().collect()
    }
}

impl fmt::Debug for Wells {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.iter()).finish()
    }
}
