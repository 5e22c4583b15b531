//! What is doubtful about single wells, and what that costs them in every later mean and fit.

/// Codes of a well, as bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct WellFlags(u16);

impl WellFlags {
    /// No doubt.
    pub const NONE: Self = Self(0);
    /// Viability above 2: twice the untreated cells is no effect of a drug that anyone looks for.
    pub const RESPONSE_ABOVE_2: Self = Self(1);
    /// Viability below -0.5: so far below the low control that it cannot be the noise of a good plate.
    pub const RESPONSE_BELOW_MINUS_HALF: Self = Self(1 << 1);
    /// Out of order with its neighbours in dose: a failed dispense, a bubble, a well seeded twice.
    pub const OUT_OF_ORDER: Self = Self(1 << 2);
    /// Technical replicates of one dose on one plate that disagree.
    pub const REPLICATE_SPREAD: Self = Self(1 << 3);
    /// Every well with this dose of this drug on the plate departs from the same treatments elsewhere.
    pub const DOSE_SHIFTED: Self = Self(1 << 4);
    /// The drug's whole dilution series on the plate lies a dilution step beside that of the other plates.
    pub const DOSE_MISREGISTERED: Self = Self(1 << 5);
    /// One of neighbouring wells on the plate that depart from their treatments together.
    pub const CLUSTER: Self = Self(1 << 6);
    /// A blank that reads like a well with cells.
    pub const BLANK_WITH_SIGNAL: Self = Self(1 << 7);
    /// On a plate whose verdict is bad.
    pub const PLATE_BAD: Self = Self(1 << 8);

    /// Each flag with the code used in tables.
    pub const CODES: [(Self, &'static str); 9] = [
        (Self::RESPONSE_ABOVE_2, "response_above_2"),
        (Self::RESPONSE_BELOW_MINUS_HALF, "response_below_minus_half"),
        (Self::OUT_OF_ORDER, "out_of_order"),
        (Self::REPLICATE_SPREAD, "replicate_spread"),
        (Self::DOSE_SHIFTED, "dose_shifted"),
        (Self::DOSE_MISREGISTERED, "dose_misregistered"),
        (Self::CLUSTER, "cluster_of_outliers"),
        (Self::BLANK_WITH_SIGNAL, "blank_with_signal"),
        (Self::PLATE_BAD, "plate_bad"),
    ];

    /// How many of these wells have each flag, in the order of [`WellFlags::CODES`].
    pub fn counts(flags: &[Self]) -> [usize; Self::CODES.len()] {
        let mut counts = [0; Self::CODES.len()];
        for flags in flags.iter().filter(|flags| flags.any()) {
            counts.iter_mut().zip(Self::CODES).for_each(|(n, (flag, _))| *n += usize::from(flags.has(flag)));
        }
        counts
    }

    /// Weight of a well that is doubted for itself. It departs by three or more standard deviations of a sound well
    /// ([`super::dispensing`] looks for 0.25 and more, a sound well has some 0.08): as an inverse variance, a ninth or less.
    pub const WEIGHT_OF_DOUBTFUL_WELL: f64 = 0.1;
    /// Weight of a well on a bad plate. Z' below 0 against 0.5 is at least twice the noise for the same window
    /// (1 - Z' = 3 (s_p + s_n) / |m_p - m_n|): as an inverse variance, a quarter.
    pub const WEIGHT_ON_BAD_PLATE: f64 = 0.25;

    /// The flags of a response alone.
    pub fn of_response(response: f64) -> Self {
        if response > 2.0 {
            Self::RESPONSE_ABOVE_2
        } else if response < -0.5 {
            Self::RESPONSE_BELOW_MINUS_HALF
        } else {
            Self::NONE
        }
    }

    /// Adds flags.
    pub fn insert(&mut self, other: Self) {
        self.0 |= other.0;
    }

    /// Whether any of these flags is set.
    pub fn has(self, any: Self) -> bool {
        self.0 & any.0 != 0
    }

    /// Whether any flag is set.
    pub fn any(self) -> bool {
        self.0 != 0
    }

    /// Weight that a well with these flags has, against 1 for one without.
    pub fn weight(self) -> f64 {
        let own = Self(self.0 & !Self::PLATE_BAD.0);
        match (own.any(), self.has(Self::PLATE_BAD)) {
            (true, _) => Self::WEIGHT_OF_DOUBTFUL_WELL,
            (false, true) => Self::WEIGHT_ON_BAD_PLATE,
            (false, false) => 1.0,
        }
    }

    /// The flags with these codes, joined by `;`; `None` where one is not known.
    pub fn parse(codes: &str) -> Option<Self> {
        let mut flags = Self::NONE;
        for code in codes.split(';').filter(|code| !code.is_empty()) {
            flags.insert(Self::CODES.iter().find(|(_, known)| *known == code)?.0);
        }
        Some(flags)
    }

    /// The codes, joined by `;`.
    pub fn codes(self) -> String {
        let set = Self::CODES.iter().filter(|(flag, _)| self.has(*flag)).map(|(_, code)| *code);
        set.collect::<Vec<_>>().join(";")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_flag_has_a_bit_a_code_and_a_price() {
        let mut all = WellFlags::NONE;
        for (flag, code) in WellFlags::CODES {
            assert!(!all.has(flag), "{code} shares its bit");
            all.insert(flag);
            assert_eq!((flag.codes(), WellFlags::parse(code)), (code.to_owned(), Some(flag)));
            assert!(flag.weight() < 1.0 && flag.weight() > 0.0);
        }
        assert_eq!((WellFlags::parse(&all.codes()), WellFlags::parse("cluster")), (Some(all), None));
        assert_eq!(all.codes().split(';').count(), WellFlags::CODES.len());
        assert_eq!(WellFlags::counts(&[all, WellFlags::NONE, WellFlags::CLUSTER]), [1, 1, 1, 1, 1, 1, 2, 1, 1]);
        assert_eq!((WellFlags::NONE.weight(), WellFlags::NONE.codes()), (1.0, String::new()));
        let mut both = WellFlags::PLATE_BAD;
        assert_eq!(both.weight(), 0.25);
        both.insert(WellFlags::OUT_OF_ORDER);
        assert_eq!(both.weight(), 0.1);
    }
}
