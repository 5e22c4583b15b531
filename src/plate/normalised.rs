//! Wells with their responses, column by column: what everything after the plate stage starts from.

use super::flags::WellFlags;
use crate::screen::names::NameId;
use crate::screen::well::{Role, Well, WellPosition};
use crate::screen::wells::Wells;

/// A well with its response: a row of [`NormalisedWells`].
#[derive(Debug, Clone, Copy)]
pub struct NormalisedWell {
    /// The well as read.
    pub well: Well,
    /// Viability as a fraction, 1 for untreated cells.
    pub response: f64,
    /// Weight in every later mean and fit, above 0; 1 for a well without flags.
    pub weight: f64,
    /// What is doubtful about it.
    pub flags: WellFlags,
}

/// Wells with their responses. The wells themselves are the screen's own where all of them have one, in their order.
#[derive(Debug, Clone, Default)]
pub struct NormalisedWells {
    wells: Wells,
    response: Vec<f64>,
    weight: Vec<f64>,
    flags: Vec<WellFlags>,
}

impl NormalisedWells {
    /// Wells with as many responses and flags, each with weight 1; `None` where there are more or fewer.
    pub(super) fn new(wells: Wells, response: Vec<f64>, flags: Vec<WellFlags>) -> Option<Self> {
        let fits = wells.len() == response.len() && wells.len() == flags.len();
        fits.then(|| Self { weight: vec![1.0; wells.len()], wells, response, flags })
    }

    /// How many wells there are.
    pub fn len(&self) -> usize {
        self.wells.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.wells.is_empty()
    }

    /// A well.
    ///
    /// # Panics
    /// Where there are not so many.
    #[inline]
    pub fn get(&self, well: usize) -> NormalisedWell {
        let (response, weight, flags) = (self.response[well], self.weight[well], self.flags[well]);
        NormalisedWell { well: self.wells.get(well), response, weight, flags }
    }

    /// Every well.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = NormalisedWell> + DoubleEndedIterator + Clone + '_ {
        (0..self.len()).map(|well| self.get(well))
    }

    /// The wells as read.
    pub fn wells(&self) -> &Wells {
        &self.wells
    }

    /// What a well is for.
    #[inline]
    pub fn role(&self, well: usize) -> Role {
        self.wells.roles()[well]
    }

    /// A well's plate.
    #[inline]
    pub fn plate(&self, well: usize) -> NameId {
        self.wells.plates()[well]
    }

    /// A well's place, where it is known.
    #[inline]
    pub fn position(&self, well: usize) -> Option<WellPosition> {
        self.wells.places()[well].position()
    }

    /// Each well's response: viability as a fraction.
    pub fn responses(&self) -> &[f64] {
        &self.response
    }

    /// The same, to be changed.
    pub fn responses_mut(&mut self) -> &mut [f64] {
        &mut self.response
    }

    /// Each well's weight.
    pub fn weights(&self) -> &[f64] {
        &self.weight
    }

    /// The same, to be changed.
    pub fn weights_mut(&mut self) -> &mut [f64] {
        &mut self.weight
    }

    /// Each well's flags.
    pub fn flags(&self) -> &[WellFlags] {
        &self.flags
    }

    /// The same, to be changed.
    pub fn flags_mut(&mut self) -> &mut [WellFlags] {
        &mut self.flags
    }

    /// These wells, in this order.
    pub fn select(&self, wells: &[u32]) -> Self {
        let at = |well: &u32| *well as usize;
        Self {
            wells: self.wells.select(wells),
            response: wells.iter().map(|well| self.response[at(well)]).collect(),
            weight: wells.iter().map(|well| self.weight[at(well)]).collect(),
            flags: wells.iter().map(|well| self.flags[at(well)]).collect(),
        }
    }

    /// The wells without any flag.
    pub fn unflagged(&self) -> Self {
        let sound: Vec<u32> = (0..).zip(&self.flags).filter(|(_, flags)| !flags.any()).map(|(well, _)| well).collect();
        if sound.len() == self.len() { self.clone() } else { self.select(&sound) }
    }
}

impl NormalisedWells {
    /// Collects so many wells, or the first error.
    pub fn collect<E>(
        n: usize,
        wells: impl Iterator<Item = std::result::Result<NormalisedWell, E>>,
    ) -> std::result::Result<Self, E> {
        let mut all = Self {
            wells: Wells::default(),
            response: Vec::with_capacity(n),
            weight: Vec::with_capacity(n),
            flags: Vec::with_capacity(n),
        };
        all.wells.reserve(n);
        let columns = all.wells.columns_mut();
        for well in wells {
            let NormalisedWell { well, response, weight, flags } = well?;
            columns.push(&well);
            all.response.push(response);
            all.weight.push(weight);
            all.flags.push(flags);
        }
        Ok(all)
    }
}

impl FromIterator<NormalisedWell> for NormalisedWells {
    fn from_iter<I: IntoIterator<Item = NormalisedWell>>(wells: I) -> Self {
        let wells = wells.into_iter();
        let Ok(all) = Self::collect(wells.size_hint().0, wells.map(Ok::<_, std::convert::Infallible>));
        all
    }
}
