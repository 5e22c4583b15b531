//! Counter-based random numbers: a draw is a function of (seed, plate, well, purpose, index), so that neither the
//! order of work nor the number of threads can change it.
//!
//! The generator is Philox 4x32-10 (Salmon 2011, doi 10.1145/2063384.2063405).

/// What a draw is for. The numbers are part of the pinned output: append, never renumber.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Purpose {
    /// Shuffling the samples over the plate.
    Layout = 1,
    /// Turning the controls within their columns.
    Controls = 2,
    /// The reader's gain on a plate.
    Gain = 3,
    /// How strongly the outer ring suffers.
    Edge = 4,
    /// The tilt along the rows.
    RowTilt = 5,
    /// The tilt along the columns.
    ColumnTilt = 6,
    /// Whether a plate is a noisy one.
    NoisyPlate = 7,
    /// The reading before treatment.
    SignalT0 = 8,
    /// The dose that really reached a well.
    DoseError = 9,
    /// Whether a dispense failed.
    FailedDispense = 10,
    /// Whether a well is an outlier, and which way.
    Outlier = 11,
    /// Noise in proportion to the signal.
    Multiplicative = 12,
    /// Noise that does not depend on the signal.
    Additive = 13,
    /// Noise of the background.
    Background = 14,
    /// Choosing the lines, drugs and pairs of a generic recipe.
    Recipe = 15,
    /// The truth of a curve of a plain table.
    CurveTruth = 16,
    /// Noise of its wells.
    CurveNoise = 17,
    /// What a subline has of a protein.
    Expression = 18,
    /// What is common to the lanes of a blot.
    Blot = 19,
    /// One lane of a blot, and the same cells in PCR.
    Lane = 20,
    /// How a line, and a culture of it, dies.
    Annexin = 21,
    /// Cells counted in a sample by flow cytometry.
    Quadrants = 22,
    /// What another schedule does.
    Schedule = 23,
}

/// One stream of draws: everything but the index is fixed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    key: [u32; 2],
    plate: u32,
    well: u32,
    purpose: u32,
}

impl Stream {
    /// The stream of a purpose at a well of a plate (0 where there is none).
    pub fn new(seed: u64, plate: u32, well: u32, purpose: Purpose) -> Self {
        Self { key: [seed as u32, (seed >> 32) as u32], plate, well, purpose: purpose as u32 }
    }

    fn words(self, index: u32) -> [u32; 4] {
        philox([self.plate, self.well, self.purpose, index], self.key)
    }

    /// Draw `index`, uniform above 0 and below 1.
    pub fn uniform(self, index: u32) -> f64 {
        let [high, low, ..] = self.words(index);
        unit(high, low)
    }

    /// Draw `index`, uniform between two ends.
    pub fn between(self, index: u32, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform(index)
    }

    /// Draw `index`, standard normal (Box and Muller 1958, doi 10.1214/aoms/1177706645).
    pub fn normal(self, index: u32) -> f64 {
        let [a, b, c, d] = self.words(index);
        let radius = (-2.0 * libm::log(unit(a, b))).sqrt();
        radius * libm::cos(std::f64::consts::TAU * unit(c, d))
    }

    /// Puts `items` in random order (Fisher and Yates).
    pub fn shuffle<T>(self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let [word, ..] = self.words(last as u32);
            // A multiply and a shift; its bias, below 1 in 2^21 for a plate, is of no consequence here.
            let other = ((u64::from(word) * (last as u64 + 1)) >> 32) as usize;
            items.swap(last, other);
        }
    }
}

/// 53 random bits as the middle of one of 2^53 equal steps: never 0, never 1.
fn unit(high: u32, low: u32) -> f64 {
    let bits = (u64::from(high) << 21) | u64::from(low >> 11);
    (bits as f64 + 0.5) * (1.0 / (1u64 << 53) as f64)
}

/// Ten rounds of Philox 4x32.
fn philox(mut counter: [u32; 4], mut key: [u32; 2]) -> [u32; 4] {
    for round in 0..10 {
        if round > 0 {
            key = [key[0].wrapping_add(0x9E37_79B9), key[1].wrapping_add(0xBB67_AE85)];
        }
        let first = u64::from(counter[0]) * 0xD251_1F53;
        let second = u64::from(counter[2]) * 0xCD9E_8D57;
        counter = [
            (second >> 32) as u32 ^ counter[1] ^ key[0],
            second as u32,
            (first >> 32) as u32 ^ counter[3] ^ key[1],
            first as u32,
        ];
    }
    counter
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The known answers that come with the generator's reference implementation (Random123, `kat_vectors`).
    #[test]
    fn philox_gives_its_known_answers() {
        assert_eq!(philox([0; 4], [0; 2]), [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]);
        assert_eq!(philox([u32::MAX; 4], [u32::MAX; 2]), [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]);
        assert_eq!(
            philox([0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344], [0xa409_3822, 0x299f_31d0]),
            [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
        );
    }

    #[test]
    fn draws_have_the_moments_of_their_distributions() {
        let stream = Stream::new(7, 3, 11, Purpose::Additive);
        let n = 100_000;
        let normals: Vec<f64> = (0..n).map(|i| stream.normal(i)).collect();
        let mean = normals.iter().sum::<f64>() / f64::from(n);
        let variance = normals.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / f64::from(n);
        // Five standard errors: 1/sqrt(n) of the mean, sqrt(2/n) of the variance.
        assert!(mean.abs() < 5.0 / f64::from(n).sqrt(), "mean {mean}");
        assert!((variance - 1.0).abs() < 5.0 * (2.0 / f64::from(n)).sqrt(), "variance {variance}");
        let uniform = (0..n).map(|i| stream.uniform(i)).sum::<f64>() / f64::from(n);
        assert!((uniform - 0.5).abs() < 5.0 * (1.0 / 12.0 / f64::from(n)).sqrt(), "mean {uniform}");
    }

    #[test]
    fn every_part_of_the_counter_matters() {
        let base = Stream::new(1, 2, 3, Purpose::Gain).uniform(4);
        for other in [
            Stream::new(1 << 40, 2, 3, Purpose::Gain).uniform(4),
            Stream::new(2, 2, 3, Purpose::Gain).uniform(4),
            Stream::new(1, 3, 3, Purpose::Gain).uniform(4),
            Stream::new(1, 2, 4, Purpose::Gain).uniform(4),
            Stream::new(1, 2, 3, Purpose::Edge).uniform(4),
            Stream::new(1, 2, 3, Purpose::Gain).uniform(5),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_shuffle_keeps_every_item_and_moves_them() {
        let mut items: Vec<u32> = (0..384).collect();
        Stream::new(5, 0, 0, Purpose::Layout).shuffle(&mut items);
        let moved = items.iter().enumerate().filter(|&(i, &item)| i as u32 != item).count();
        assert!(moved > 350, "only {moved} moved");
        items.sort_unstable();
        assert_eq!(items, (0..384).collect::<Vec<_>>());
    }
}
