//! The classes of mechanism, and the markers whose expression speaks of them.

/// What makes a line resistant, as far as it is looked for here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Mechanism {
    /// Less of the kinase that activates clofarabine, deoxycytidine kinase.
    LowDck,
    /// Efflux by the transporter ABCG2 (BCRP).
    Abcg2Efflux,
    /// More of a protein that holds apoptosis back (BCL-2, MCL-1, BCL-XL), or less of one that drives it (BAX, BIM).
    AntiApoptoticShift,
    /// Loss of p53.
    P53Loss,
}

impl Mechanism {
    /// Every class, in the order of tables.
    pub const ALL: [Mechanism; 4] =
        [Mechanism::LowDck, Mechanism::Abcg2Efflux, Mechanism::AntiApoptoticShift, Mechanism::P53Loss];

    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::LowDck => "low_dck",
            Mechanism::Abcg2Efflux => "abcg2_efflux",
            Mechanism::AntiApoptoticShift => "anti_apoptotic_shift",
            Mechanism::P53Loss => "p53_loss",
        }
    }

    /// In the words of people and of the knowledge tables.
    pub fn words(self) -> &'static str {
        match self {
            Mechanism::LowDck => "low dCK",
            Mechanism::Abcg2Efflux => "ABCG2 efflux",
            Mechanism::AntiApoptoticShift => "anti-apoptotic shift",
            Mechanism::P53Loss => "p53 loss",
        }
    }
}

/// A change of expression, or of potency.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Beyond chance and large enough to matter.
    Up,
    /// Likewise, downwards.
    Down,
    /// The whole interval within a factor of two.
    Unchanged,
    /// The evidence leaves it open.
    Open,
}

impl Direction {
    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Direction::Up => "up",
            Direction::Down => "down",
            Direction::Unchanged => "unchanged",
            Direction::Open => "open",
        }
    }
}

/// A protein whose expression belongs to a mechanism.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Marker {
    /// Deoxycytidine kinase.
    Dck,
    /// The transporter ABCG2, also called BCRP.
    Abcg2,
    /// BCL-2.
    Bcl2,
    /// MCL-1.
    Mcl1,
    /// BCL-XL, the long product of BCL2L1.
    BclXl,
    /// BAX.
    Bax,
    /// BIM, the product of BCL2L11.
    Bim,
    /// p53.
    P53,
}

impl Marker {
    /// Every marker.
    pub const ALL: [Marker; 8] =
        [Marker::Dck, Marker::Abcg2, Marker::Bcl2, Marker::Mcl1, Marker::BclXl, Marker::Bax, Marker::Bim, Marker::P53];

    /// The name used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Marker::Dck => "dCK",
            Marker::Abcg2 => "ABCG2",
            Marker::Bcl2 => "BCL-2",
            Marker::Mcl1 => "MCL-1",
            Marker::BclXl => "BCL-XL",
            Marker::Bax => "BAX",
            Marker::Bim => "BIM",
            Marker::P53 => "p53",
        }
    }

    /// What else it is called, in letters and digits alone and in lower case.
    fn bare_names(self) -> &'static [&'static str] {
        match self {
            Marker::Dck => &["dck", "deoxycytidinekinase"],
            Marker::Abcg2 => &["abcg2", "bcrp", "mxr", "cd338"],
            Marker::Bcl2 => &["bcl2"],
            Marker::Mcl1 => &["mcl1"],
            Marker::BclXl => &["bclxl", "bclx", "bcl2l1"],
            Marker::Bax => &["bax"],
            Marker::Bim => &["bim", "bcl2l11"],
            Marker::P53 => &["p53", "tp53"],
        }
    }

    /// The marker with this name, whatever its case and hyphens.
    pub fn parse(text: &str) -> Option<Self> {
        let bare = bare(text);
        Self::ALL.into_iter().find(|marker| marker.bare_names().contains(&bare.as_str()))
    }

    /// The mechanism that it speaks of.
    pub fn mechanism(self) -> Mechanism {
        match self {
            Marker::Dck => Mechanism::LowDck,
            Marker::Abcg2 => Mechanism::Abcg2Efflux,
            Marker::Bcl2 | Marker::Mcl1 | Marker::BclXl | Marker::Bax | Marker::Bim => Mechanism::AntiApoptoticShift,
            Marker::P53 => Mechanism::P53Loss,
        }
    }

    /// The change that makes a line resistant.
    pub fn causal(self) -> Direction {
        match self {
            Marker::Dck | Marker::Bax | Marker::Bim | Marker::P53 => Direction::Down,
            Marker::Abcg2 | Marker::Bcl2 | Marker::Mcl1 | Marker::BclXl => Direction::Up,
        }
    }
}

/// Letters and digits in lower case.
pub(super) fn bare(text: &str) -> String {
    text.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect()
}

/// Words that take an annotation back.
const NEGATIONS: [&str; 7] = ["no", "not", "normal", "unchanged", "intact", "wildtype", "wt"];

/// Words of a change downwards, and upwards.
const DOWN: [&str; 7] = ["loss", "lost", "low", "lower", "down", "reduced", "decreased"];
const UP: [&str; 8] = ["up", "high", "higher", "raised", "gain", "increased", "overexpression", "overexpressed"];

/// One mechanism that an annotation names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotated {
    /// The class.
    pub mechanism: Mechanism,
    /// The protein, where it names one.
    pub marker: Option<Marker>,
    /// The owner's words.
    pub text: String,
}

/// The mechanisms that a line's annotation names (`loss of dCK; BCL-2 up`); what is not understood is left out, and so is
/// what is denied (`dCK normal`) or goes the other way (`BCL-2 low`).
pub fn annotated(text: &str) -> Vec<Annotated> {
    let mut found = Vec::new();
    for piece in text.split([';', ',', '|', '+']).map(str::trim).filter(|piece| !piece.is_empty()) {
        let words: Vec<String> = piece.split(|c: char| c.is_whitespace() || "/()".contains(c)).map(bare).collect();
        let whole = bare(piece);
        if words.iter().any(|word| NEGATIONS.contains(&word.as_str())) || whole.contains("wildtype") {
            continue;
        }
        let marker = Marker::ALL
            .into_iter()
            .find(|marker| words.iter().any(|word| marker.bare_names().contains(&word.as_str())))
            .or_else(|| whole.contains("deoxycytidinekinase").then_some(Marker::Dck));
        // A change the other way makes no line resistant: `BCL-2 low` is no mechanism.
        let says = |list: &[&str]| words.iter().any(|word| list.contains(&word.as_str()));
        let is_opposite = |marker: Marker| match marker.causal() {
            Direction::Up => says(&DOWN),
            _ => says(&UP),
        };
        if marker.is_some_and(is_opposite) {
            continue;
        }
        let mechanism = match marker {
            Some(marker) => marker.mechanism(),
            None if whole.contains("efflux") => Mechanism::Abcg2Efflux,
            None if whole.contains("apopto") => Mechanism::AntiApoptoticShift,
            None => continue,
        };
        found.push(Annotated { mechanism, marker, text: piece.to_owned() });
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markers_go_by_their_names() {
        for (text, marker) in [
            ("DCK", Some(Marker::Dck)),
            ("BCL2", Some(Marker::Bcl2)),
            ("Bcl-xL", Some(Marker::BclXl)),
            ("BCL2L1", Some(Marker::BclXl)),
            ("BCL2L11", Some(Marker::Bim)),
            ("TP53", Some(Marker::P53)),
            ("BCRP", Some(Marker::Abcg2)),
            ("GAPDH", None),
        ] {
            assert_eq!(Marker::parse(text), marker, "{text}");
        }
    }

    #[test]
    fn annotations_are_understood_or_left_out() {
        let of = |text: &str| annotated(text).into_iter().map(|a| (a.mechanism, a.marker)).collect::<Vec<_>>();
        assert_eq!(of("loss of dCK"), [(Mechanism::LowDck, Some(Marker::Dck))]);
        assert_eq!(of("ABCG2 efflux; BCL-2 up").len(), 2);
        assert_eq!(of("BCL-2 up"), [(Mechanism::AntiApoptoticShift, Some(Marker::Bcl2))]);
        assert_eq!(of("drug efflux"), [(Mechanism::Abcg2Efflux, None)]);
        assert_eq!(of("dCK normal; hENT1 loss; p53 wild type; BCL-2 low, dCK up"), []);
        assert_eq!(of("TP53 mutation"), [(Mechanism::P53Loss, Some(Marker::P53))]);
    }
}
