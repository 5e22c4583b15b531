//! The same treatment elsewhere: what the other plates say of a well.

use super::NormalisedWells;
use crate::screen::names::NameId;
use crate::screen::well::Treatment;
use crate::screen::wells::{NONE, Wells};

/// Line, schedule and one or two drugs with their doses, in an order that does not depend on the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TreatmentKey {
    line: u32,
    schedule: u32,
    /// The drugs, ascending; [`NONE`] for none.
    pub drugs: [u32; 2],
    /// Bits of the molar doses: of numbers that are not negative, they ascend as the doses do.
    pub doses: [u64; 2],
}

impl TreatmentKey {
    /// The key of at most two treatments; `None` for three.
    #[inline]
    fn new(wells: &Wells, well: usize, treatments: impl Iterator<Item = Treatment>) -> Option<Self> {
        let mut key = Self {
            line: wells.line(well).unwrap_or(NONE),
            schedule: wells.schedule(well).unwrap_or(NONE),
            drugs: [NONE; 2],
            doses: [0; 2],
        };
        for (slot, treatment) in treatments.enumerate() {
            *key.drugs.get_mut(slot)? = treatment.drug;
            key.doses[slot] = treatment.dose.to_bits();
        }
        if key.drugs[1] < key.drugs[0] {
            key.drugs.swap(0, 1);
            key.doses.swap(0, 1);
        }
        Some(key)
    }

    /// By the drugs that are there at a dose above zero.
    #[inline]
    pub fn active(wells: &Wells, well: usize) -> Option<Self> {
        Self::new(wells, well, wells.treatments(well).into_iter().flatten().filter(|t| t.dose > 0.0))
    }

    /// By the drugs named, a dose of zero included: the place of a well in its pair's matrix.
    #[inline]
    pub fn named(wells: &Wells, well: usize) -> Option<Self> {
        Self::new(wells, well, wells.treatments(well).into_iter().flatten())
    }

    /// Line, schedule and drugs without the doses.
    pub fn series(&self) -> (u32, u32, [u32; 2]) {
        (self.line, self.schedule, self.drugs)
    }

    /// The drug, for a key of a single drug above zero.
    pub fn only_drug(&self) -> Option<NameId> {
        (self.drugs[0] != NONE && self.drugs[1] == NONE).then_some(self.drugs[0])
    }

    /// A number that is the same for equal keys and hardly ever for others.
    fn hash(&self) -> u64 {
        let words = [
            u64::from(self.line) << 32 | u64::from(self.schedule),
            u64::from(self.drugs[0]) << 32 | u64::from(self.drugs[1]),
            self.doses[0],
            self.doses[1],
        ];
        words.iter().fold(0x9e37_79b9_7f4a_7c15, |hash: u64, word| {
            let mixed = (hash ^ word).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            mixed ^ mixed >> 29
        })
    }
}

/// What wells of other plates with the same treatment read.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Elsewhere {
    /// Mean response of the others.
    pub mean: f64,
    /// How many there are; `mean` says nothing where there is none.
    pub n: u32,
    /// How many plates they are on.
    pub plates: u32,
}

/// Technical and biological spread of one response, pooled over treatments.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(super) struct Spreads {
    /// Sum of squares of wells about the mean of their treatment in their biological replicate.
    pub within: f64,
    /// Its degrees of freedom.
    pub df_within: f64,
    /// Sum of squares of those means about the mean of the treatment, by wells.
    pub between: f64,
    /// Its degrees of freedom.
    pub df_between: f64,
    /// Wells a biological replicate, as the expectation of `between` weighs them, summed over the treatments.
    pub wells_each: f64,
}

/// Treatments of sample wells, found again on other plates: what the others say of each of `samples`. Wells must lie plate
/// by plate, and `samples` ascend.
pub(super) fn elsewhere(wells: &NormalisedWells, samples: &[u32]) -> (Vec<Elsewhere>, Spreads) {
    use rayon::prelude::*;
    let keys: Vec<Option<TreatmentKey>> =
        samples.par_iter().map(|well| TreatmentKey::active(wells.wells(), *well as usize)).collect();
    let hashed = |(sample, key): (u32, &Option<TreatmentKey>)| Some((key.as_ref()?.hash(), sample));
    let mut order: Vec<(u64, u32)> = (0..).zip(&keys).filter_map(hashed).collect();
    order.par_sort_unstable();
    let mut found = vec![Elsewhere::default(); samples.len()];
    let mut spreads = Spreads::default();
    let plate = |sample: u32| wells.plate(samples[sample as usize] as usize);
    let response = |sample: u32| wells.responses()[samples[sample as usize] as usize];
    let same = |a: &(u64, u32), b: &(u64, u32)| a.0 == b.0 && keys[a.1 as usize] == keys[b.1 as usize];
    let mut replicates: Vec<((u32, u32), f64)> = Vec::new();
    for group in order.chunk_by(same).filter(|group| group.len() > 1) {
        let on_one = |a: &(u64, u32), b: &(u64, u32)| plate(a.1) == plate(b.1);
        let n = group.len() as u32;
        let sum: f64 = group.iter().map(|(_, i)| response(*i)).sum();
        let plates = group.chunk_by(on_one).count() as u32;
        if plates > 1 {
            for plate in group.chunk_by(on_one) {
                let own: f64 = plate.iter().map(|(_, i)| response(*i)).sum();
                let others = n - plate.len() as u32;
                let seen = Elsewhere { mean: (sum - own) / f64::from(others), n: others, plates: plates - 1 };
                plate.iter().for_each(|(_, i)| found[*i as usize] = seen);
            }
        }
        replicates.clear();
        replicates.extend(group.iter().map(|(_, i)| {
            let (all, well) = (wells.wells(), samples[*i as usize] as usize);
            // Where nobody says what a biological replicate is, a plate is one.
            let which = all.replicate(well).map_or((plate(*i), NONE), |r| (r, all.batch(well).unwrap_or(NONE)));
            (which, response(*i))
        }));
        replicates.sort_unstable_by_key(|(which, _)| *which);
        spreads.add(&replicates, sum / f64::from(n));
    }
    (found, spreads)
}

impl Spreads {
    /// One treatment: wells sorted by their biological replicate.
    fn add(&mut self, wells: &[((u32, u32), f64)], mean: f64) {
        let (mut groups, mut squares_of_sizes) = (0.0, 0.0);
        for group in wells.chunk_by(|a, b| a.0 == b.0) {
            let size = group.len() as f64;
            let own = group.iter().map(|(_, y)| y).sum::<f64>() / size;
            self.within += group.iter().map(|(_, y)| (y - own) * (y - own)).sum::<f64>();
            self.df_within += size - 1.0;
            self.between += size * (own - mean) * (own - mean);
            groups += 1.0;
            squares_of_sizes += size * size;
        }
        let n = wells.len() as f64;
        self.df_between += groups - 1.0;
        // E[between] = (groups - 1) s_t² + (n - Σ size² / n) s_b²: Searle 1992, doi 10.1002/9780470316856.
        self.wells_each += n - squares_of_sizes / n;
    }

    /// Standard deviation of technical replicates.
    pub fn technical(&self) -> Option<f64> {
        (self.df_within > 0.0).then(|| (self.within / self.df_within).sqrt())
    }

    /// Standard deviation that biological replicates have beyond their technical noise, 0 where that explains it all
    /// (analysis of variance, one way, nested). Needs both kinds.
    pub fn biological(&self) -> Option<f64> {
        if !(self.df_within > 0.0 && self.df_between > 0.0 && self.wells_each > 0.0) {
            return None;
        }
        let technical = self.within / self.df_within;
        Some(((self.between - self.df_between * technical) / self.wells_each).max(0.0).sqrt())
    }

    /// p of no difference between biological replicates beyond technical noise.
    pub fn p(&self) -> Option<f64> {
        let tail = crate::math::special::FTail::new(self.df_between, self.df_within)?;
        let technical = self.within / self.df_within;
        (technical > 0.0).then(|| tail.probability_above(self.between / self.df_between / technical))
    }
}
