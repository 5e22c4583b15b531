//! Wells that could not be used. Plates that are not full leave hundreds of thousands of empty ones, all for one reason:
//! those of a plate are kept as bits, and become rows where a table is written.

use super::Rejected;
use super::names::NameId;
use super::well::{Place, WellPosition};
use std::sync::Arc;

const ROWS: usize = 32;
const COLUMNS: usize = 48;

/// One well that could not be used.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Rejection<'a> {
    /// The plate, in [`super::Screen::plates`].
    pub plate: NameId,
    /// The well, as far as it could be read.
    pub well: Option<WellPosition>,
    /// The code, `snake_case`.
    pub reason: &'static str,
    /// What exactly was seen.
    pub detail: &'a str,
}

/// Wells of one plate that follow one another, all for one cause, their places ascending.
#[derive(Debug, Clone)]
struct Run {
    plate: NameId,
    cause: u32,
    first: Place,
    last: Place,
    /// The places, row by row, where there is more than one.
    bits: Option<Box<[u64; ROWS * COLUMNS / 64]>>,
    n: u32,
}

#[inline]
fn bit(place: Place) -> Option<usize> {
    let at = place.position()?;
    let (row, column) = (usize::from(at.row).wrapping_sub(1), usize::from(at.column).wrapping_sub(1));
    (row < ROWS && column < COLUMNS).then_some(row * COLUMNS + column)
}

fn place(bit: usize) -> Option<WellPosition> {
    WellPosition::new((bit / COLUMNS) as u16 + 1, (bit % COLUMNS) as u16 + 1)
}

impl Run {
    /// Takes in a place, if it comes after all others.
    #[inline]
    fn take(&mut self, at: Place) -> bool {
        let Some(new) = bit(at).filter(|_| at > self.last) else { return false };
        let bits = match &mut self.bits {
            Some(bits) => bits,
            none => {
                // Places ascend: what comes before one that has a bit has one, or is unknown.
                let Some(first) = bit(self.first) else { return false };
                let mut bits = Box::new([0; ROWS * COLUMNS / 64]);
                bits[first / 64] |= 1 << (first % 64);
                none.insert(bits)
            }
        };
        bits[new / 64] |= 1 << (new % 64);
        self.last = at;
        self.n += 1;
        true
    }

    fn places(&self) -> impl Iterator<Item = Option<WellPosition>> + Clone + '_ {
        let one = self.bits.is_none().then(|| self.first.position());
        let set = |bits: &u64, word: usize| {
            let mut left = *bits;
            std::iter::from_fn(move || {
                let next = (left != 0).then(|| left.trailing_zeros() as usize)?;
                left &= left - 1;
                Some(place(word * 64 + next))
            })
        };
        let words = self.bits.iter().flat_map(|bits| bits.iter().enumerate());
        one.into_iter().chain(words.flat_map(move |(word, bits)| set(bits, word)))
    }
}

/// Rejected wells in the order in which they were rejected. A clone shares what it is of.
#[derive(Debug, Clone, Default)]
pub struct Rejections {
    parts: Vec<Arc<Part>>,
}

/// The newest wells of [`Rejections`].
#[derive(Debug, Clone, Default)]
pub struct Part {
    runs: Vec<Run>,
    causes: Vec<(&'static str, String)>,
    n: usize,
}

impl Part {
    /// Adds a well at the end.
    #[inline]
    pub fn push(&mut self, rejected: Rejected) {
        let Rejected { plate, well, reason, ref detail } = rejected;
        if !self.continues(Rejection { plate, well, reason, detail }) {
            self.push_run(rejected);
        }
    }

    /// Adds one more well of the last one's plate and cause; `false`, and nothing added, where it has to be told in full.
    #[inline]
    pub fn push_alike(&mut self, well: Option<WellPosition>) -> bool {
        let is_taken = self.runs.last_mut().is_some_and(|run| run.take(Place::from(well)));
        self.n += usize::from(is_taken);
        is_taken
    }

    /// Takes a well into the last run, if it is one more of it.
    #[inline]
    fn continues(&mut self, rejection: Rejection<'_>) -> bool {
        self.n += 1;
        let Some(run) = self.runs.last_mut() else { return false };
        let (reason, detail) = &self.causes[run.cause as usize];
        let is_reason = std::ptr::eq(*reason, rejection.reason) || *reason == rejection.reason;
        let is_same = run.plate == rejection.plate && is_reason && *detail == rejection.detail;
        is_same && run.take(Place::from(rejection.well))
    }

    fn push_run(&mut self, Rejected { plate, well, reason, detail }: Rejected) {
        let at = Place::from(well);
        // The same few causes come in turn; a cause with numbers of its own is a new one.
        let recent = self.causes.len().saturating_sub(8);
        let known = self.causes[recent..].iter().position(|known| known.0 == reason && known.1 == detail);
        let cause = known.map_or_else(
            || {
                self.causes.push((reason, detail));
                self.causes.len() - 1
            },
            |known| recent + known,
        );
        self.runs.push(Run { plate, cause: cause as u32, first: at, last: at, bits: None, n: 1 });
    }

    fn iter(&self) -> impl Iterator<Item = Rejection<'_>> + Clone {
        self.runs.iter().flat_map(|run| {
            let (reason, detail) = &self.causes[run.cause as usize];
            run.places().map(move |well| Rejection { plate: run.plate, well, reason, detail })
        })
    }
}

impl Rejections {
    /// Adds a well at the end.
    pub fn push(&mut self, rejected: Rejected) {
        self.add(|part| part.push(rejected));
    }

    /// Adds wells at the end.
    pub fn add<R>(&mut self, add: impl FnOnce(&mut Part) -> R) -> R {
        // What a clone shares stays as it is.
        let mut part = match self.parts.pop().map(Arc::try_unwrap) {
            Some(Ok(part)) => part,
            Some(Err(shared)) => {
                self.parts.push(shared);
                Part::default()
            }
            None => Part::default(),
        };
        let result = add(&mut part);
        if part.n > 0 {
            self.parts.push(Arc::new(part));
        }
        result
    }

    /// Adds the wells of another list at the end.
    pub fn append(&mut self, other: &Self) {
        self.parts.extend(other.parts.iter().cloned());
    }

    /// How many wells there are.
    pub fn len(&self) -> usize {
        self.parts.iter().map(|part| part.n).sum()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Every well.
    pub fn iter(&self) -> impl Iterator<Item = Rejection<'_>> + Clone {
        self.parts.iter().flat_map(|part| part.iter())
    }

    /// Plate, reason and number of wells that follow one another, in order.
    pub fn counts(&self) -> impl Iterator<Item = (NameId, &'static str, usize)> + '_ {
        self.parts
            .iter()
            .flat_map(|part| part.runs.iter().map(|run| (run.plate, part.causes[run.cause as usize].0, run.n as usize)))
    }
}

impl Extend<Rejected> for Rejections {
    fn extend<I: IntoIterator<Item = Rejected>>(&mut self, rejected: I) {
        self.add(|part| rejected.into_iter().for_each(|one| part.push(one)));
    }
}

impl FromIterator<Rejected> for Rejections {
    fn from_iter<I: IntoIterator<Item = Rejected>>(rejected: I) -> Self {
        let mut all = Self::default();
        all.extend(rejected);
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rejected(plate: NameId, well: &str, reason: &'static str, detail: &str) -> Rejected {
        Rejected { plate, well: WellPosition::parse(well), reason, detail: detail.to_owned() }
    }

    #[test]
    fn comes_out_as_it_went_in_however_it_is_kept() {
        let mut wells = vec![
            rejected(0, "A1", "empty_well", ""),
            rejected(0, "A3", "empty_well", ""),
            rejected(0, "AF48", "empty_well", ""),
            // Out of order, twice the same, without a place, for another cause, on another plate.
            rejected(0, "B1", "empty_well", ""),
            rejected(0, "B1", "empty_well", ""),
            rejected(0, "", "bad_well_name", "row 7"),
            rejected(0, "", "bad_well_name", "row 7"),
            rejected(0, "B2", "missing_drug", "a dose of 1"),
            rejected(0, "B3", "missing_drug", "a dose of 2"),
            rejected(1, "B4", "missing_drug", "a dose of 2"),
        ];
        let beyond = Some(WellPosition { row: 40, column: 60 });
        wells.extend([1, 1].map(|plate| Rejected { well: beyond, ..rejected(plate, "", "empty_well", "") }));
        let mut kept: Rejections = wells.iter().cloned().collect();
        let out = |kept: &Rejections| -> Vec<Rejected> {
            let owned = |r: Rejection<'_>| Rejected {
                plate: r.plate,
                well: r.well,
                reason: r.reason,
                detail: r.detail.to_owned(),
            };
            kept.iter().map(owned).collect()
        };
        assert_eq!(out(&kept), wells);
        // The same, where those like the last one are told by their place alone.
        let mut alike = Rejections::default();
        alike.add(|part| {
            for (i, well) in wells.iter().enumerate() {
                let cause = |well: &Rejected| (well.plate, well.reason, well.detail.clone());
                let is_alike = i > 0 && cause(&wells[i - 1]) == cause(well);
                if !(is_alike && part.push_alike(well.well)) {
                    part.push(well.clone());
                }
            }
        });
        assert_eq!((out(&alike), alike.len()), (wells.clone(), wells.len()));
        assert!(!Part::default().push_alike(wells[0].well), "there is none to be like");
        assert_eq!((kept.len(), kept.counts().map(|(_, _, n)| n).sum::<usize>()), (12, 12));
        assert_eq!(kept.counts().next(), Some((0, "empty_well", 3)), "the first three are one run");
        // What is added to a copy is not in the original.
        let mut copy = kept.clone();
        copy.push(wells[0].clone());
        assert_eq!((out(&kept), copy.len()), (wells.clone(), 13));
        kept.append(&copy);
        wells.extend(out(&copy));
        assert_eq!(out(&kept), wells);
    }
}
