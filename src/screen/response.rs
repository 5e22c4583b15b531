//! What a column of readings holds, and how it becomes a viability.

/// What the column of readings holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Orientation {
    /// Raw reader signal, high for living cells: normalised plate by plate.
    #[default]
    Signal,
    /// Viability, 1 (or 100 %) for untreated cells.
    Viability,
    /// Inhibition, 0 for untreated cells, 1 (or 100 %) for a full kill.
    Inhibition,
}

impl Orientation {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Orientation::Signal => "signal",
            Orientation::Viability => "viability",
            Orientation::Inhibition => "inhibition",
        }
    }
}

/// The scale of a viability or an inhibition.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Scale {
    /// 1 is the whole.
    #[default]
    Fraction,
    /// 100 is the whole.
    Percent,
}

impl Scale {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Scale::Fraction => "fraction",
            Scale::Percent => "percent",
        }
    }
}

/// Fewer readings than a small plate say nothing about their scale.
const ENOUGH_TO_JUDGE: usize = 96;

/// A reading as it goes on: raw signals unchanged, everything else as a viability fraction.
pub fn to_viability(orientation: Orientation, scale: Scale, value: f64) -> f64 {
    let fraction = match scale {
        Scale::Fraction => value,
        Scale::Percent => value / 100.0,
    };
    match orientation {
        Orientation::Signal => value,
        Orientation::Viability => fraction,
        Orientation::Inhibition => 1.0 - fraction,
    }
}

/// What speaks against the declared scale in a whole table of viability fractions, if anything does: the scale is
/// never guessed, and one that cannot be is refused, because a hundredfold error still gives curves and scores.
pub fn implausible_scale(scale: Scale, viability: impl IntoIterator<Item = f64>) -> Option<String> {
    let mut seen = ScaleEvidence::default();
    viability.into_iter().for_each(|value| seen.add(value));
    seen.problem(scale)
}

/// What [`implausible_scale`] needs to know of a table, gathered row by row: counts and extremes, which are the same
/// in whatever order and parts the rows come.
///
/// Percentages read as fractions have a median far above any biology; fractions read as percentages never reach 2 %.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ScaleEvidence {
    n: usize,
    above_ten: usize,
    low: f64,
    high: f64,
}

impl Default for ScaleEvidence {
    fn default() -> Self {
        Self { n: 0, above_ten: 0, low: f64::INFINITY, high: 0.0 }
    }
}

impl ScaleEvidence {
    /// Takes note of one viability fraction.
    #[inline]
    pub fn add(&mut self, viability: f64) {
        let distance = viability.abs();
        self.n += 1;
        self.above_ten += usize::from(distance > 10.0);
        self.low = self.low.min(distance);
        self.high = self.high.max(distance);
    }

    /// Takes over what was seen in another part of the table.
    pub fn merge(&mut self, other: &Self) {
        self.n += other.n;
        self.above_ten += other.above_ten;
        self.low = self.low.min(other.low);
        self.high = self.high.max(other.high);
    }

    /// What speaks against `scale`, as [`implausible_scale`].
    pub fn problem(&self, scale: Scale) -> Option<String> {
        let Self { n, above_ten, low, high } = *self;
        if n < ENOUGH_TO_JUDGE {
            return None;
        }
        match scale {
            // The value in the middle lies above ten when those up to ten end before it.
            Scale::Fraction => (n - above_ten <= n / 2).then(|| {
                format!("read as fractions, {above_ten} of {n} viabilities lie beyond 10: these are percentages")
            }),
            Scale::Percent => {
                // Either viabilities near 0..1 read as 0..1 %, or inhibitions, which then all look like no effect.
                let fractions = high < 0.02 || (low > 0.98 && high < 1.005 && high > low);
                fractions.then(|| {
                    format!(
                        "read as percentages, every viability lies between {:.3} and {:.3} %: these are fractions",
                        low * 100.0,
                        high * 100.0
                    )
                })
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_become_viability_fractions() {
        assert_eq!(to_viability(Orientation::Signal, Scale::Percent, 123.0), 123.0);
        assert_eq!(to_viability(Orientation::Viability, Scale::Percent, 25.0), 0.25);
        assert_eq!(to_viability(Orientation::Inhibition, Scale::Percent, 25.0), 0.75);
        assert_eq!(to_viability(Orientation::Inhibition, Scale::Fraction, -0.25), 1.25);
    }

    #[test]
    fn a_scale_that_cannot_be_is_refused() {
        let fractions: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
        let read = |orientation, scale, factor: f64| {
            let values: Vec<f64> = fractions.iter().map(|f| to_viability(orientation, scale, f * factor)).collect();
            implausible_scale(scale, values)
        };
        for orientation in [Orientation::Viability, Orientation::Inhibition] {
            assert_eq!(read(orientation, Scale::Fraction, 1.0), None);
            assert_eq!(read(orientation, Scale::Percent, 100.0), None);
            assert!(read(orientation, Scale::Fraction, 100.0).is_some(), "{orientation:?} percentages as fractions");
            assert!(read(orientation, Scale::Percent, 1.0).is_some(), "{orientation:?} fractions as percentages");
        }
        assert_eq!(implausible_scale(Scale::Fraction, [90.0; 95]), None, "too few to judge");
        // A few absurd wells must not condemn a table.
        assert_eq!(implausible_scale(Scale::Fraction, (0..200).map(|i| if i < 3 { 100.0 } else { 0.9 })), None);
    }
}
