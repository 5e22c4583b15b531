//! Choices by name: one list a choice, walked by flags, `screen.toml`, error messages and `run.json`.

use super::{BackendChoice, LowControl, Normalization, SpatialCorrection, TableFormat};
use crate::fit::inference::IntervalKind;
use crate::fit::robust::Loss;
use crate::fit::variance::Weights;
use crate::import::{Decimal, Format};
use crate::model::ModelId;
use crate::screen::line::LineStatus;
use crate::screen::well::Role;
use crate::screen::{Orientation, Scale};
use crate::synergy::draws::ResamplingKind;
use crate::synergy::{Margins, SynergyModel};

/// Something chosen from a short list by name.
pub trait Choice: Copy + Send + Sync + 'static {
    /// What is being chosen, as error messages call it.
    const KIND: &'static str;
    /// Everything that can be chosen.
    const ALL: &'static [Self];
    /// The name by which it is chosen.
    fn name(self) -> &'static str;

    /// Other names that it goes by.
    fn other_names(self) -> &'static [&'static str] {
        &[]
    }

    /// The choice with this name, whatever its case.
    fn from_name(text: &str) -> Option<Self> {
        let is = |name: &str| name.eq_ignore_ascii_case(text.trim());
        let named = |choice: &Self| is(choice.name()) || choice.other_names().iter().any(|name| is(name));
        Self::ALL.iter().copied().find(named)
    }
}

/// `unknown model `hil4`, expected one of `hill4`, `hill3``: the words that serde uses, so that all errors read alike.
pub fn unknown<C: Choice>(text: &str) -> String {
    let known: Vec<String> = C::ALL.iter().map(|choice| format!("`{}`", choice.name())).collect();
    format!("unknown {} `{text}`, expected one of {}", C::KIND, known.join(", "))
}

/// The nearest of `names` to `text`, if it is near enough to be what was meant.
pub fn nearest<'a>(text: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let text = text.to_lowercase();
    names
        .into_iter()
        .map(|name| (edit_distance(&text, &name.to_lowercase()), name))
        .filter(|(distance, name)| *distance <= 1 + name.chars().count().min(text.chars().count()) / 4)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// Levenshtein's distance in characters.
fn edit_distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = i;
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

/// `did you mean …?`, from a message that quotes first what was found and then what is known.
pub fn did_you_mean(message: &str) -> Option<String> {
    let mut quoted = message.split('`').skip(1).step_by(2);
    let found = quoted.next()?;
    nearest(found, quoted).map(|name| format!("did you mean `{name}`?"))
}

macro_rules! choices {
    ($($kind:literal $type:ty = $all:expr;)+) => {
        $(impl Choice for $type {
            const KIND: &'static str = $kind;
            const ALL: &'static [Self] = $all;
            fn name(self) -> &'static str {
                <$type>::name(self)
            }
        })+
    };
}

macro_rules! serialised_by_name {
    ($($type:ty),+) => {
        $(impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(Choice::name(*self))
            }
        }
        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                Self::from_name(&text).ok_or_else(|| serde::de::Error::custom(unknown::<Self>(&text)))
            }
        })+
    };
}

choices! {
    "backend" BackendChoice = &[BackendChoice::Auto, BackendChoice::Cpu, BackendChoice::Gpu];
    "normalization" Normalization = &Normalization::ALL;
    "spatial correction" SpatialCorrection =
        &[SpatialCorrection::None, SpatialCorrection::LocalRegression, SpatialCorrection::Median];
    "low control" LowControl = &[LowControl::Positive, LowControl::Blank];
    "interval" IntervalKind = &[IntervalKind::None, IntervalKind::Wald, IntervalKind::Profile];
    "loss" Loss = &[Loss::LeastSquares, Loss::Huber, Loss::Tukey];
    "weights" Weights = &[Weights::Equal, Weights::Variance];
    "table format" TableFormat = &[TableFormat::Parquet, TableFormat::Csv];
    "model" ModelId = ModelId::ALL;
    "resampling" ResamplingKind =
        &[ResamplingKind::Parametric, ResamplingKind::Residual, ResamplingKind::Replicates];
    "orientation" Orientation = &[Orientation::Signal, Orientation::Viability, Orientation::Inhibition];
    "scale" Scale = &[Scale::Fraction, Scale::Percent];
    "role" Role = &Role::ALL;
    "format" Format = Format::ALL;
    "decimal mark" Decimal = &[Decimal::Point, Decimal::Comma];
    "status" LineStatus =
        &[LineStatus::Parental, LineStatus::Resistant, LineStatus::Sensitive, LineStatus::Normal];
}

impl Choice for SynergyModel {
    const KIND: &'static str = "synergy model";
    const ALL: &'static [Self] = &SynergyModel::ALL;
    fn name(self) -> &'static str {
        SynergyModel::name(self)
    }
    fn other_names(self) -> &'static [&'static str] {
        SynergyModel::other_names(self)
    }
}

impl Choice for Margins {
    const KIND: &'static str = "margins";
    const ALL: &'static [Self] = &[Margins::Fitted, Margins::Observed];
    fn name(self) -> &'static str {
        match self {
            Margins::Fitted => "fitted",
            Margins::Observed => "observed",
        }
    }
}

serialised_by_name!(
    BackendChoice,
    Normalization,
    SpatialCorrection,
    LowControl,
    TableFormat,
    IntervalKind,
    Loss,
    Weights,
    ResamplingKind,
    Orientation,
    Scale,
    Role,
    LineStatus
);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances_are_levenshtein_s() {
        for (a, b, distance) in [("", "abc", 3), ("kitten", "sitting", 3), ("hill4", "hill4", 0), ("ab", "ba", 2)] {
            assert_eq!(edit_distance(a, b), distance, "{a} {b}");
        }
    }

    #[test]
    fn the_nearest_name_is_offered_only_when_near() {
        assert_eq!(nearest("hil4", ["hill3", "hill4"]), Some("hill4"));
        assert_eq!(nearest("Bliss", ["hsa", "bliss"]), Some("bliss"));
        assert_eq!(nearest("weibull", ["hill4", "hill3"]), None);
    }

    #[test]
    fn every_choice_is_found_by_its_name() {
        fn check<C: Choice + PartialEq + std::fmt::Debug>() {
            for choice in C::ALL {
                assert_eq!(C::from_name(choice.name()), Some(*choice));
            }
        }
        check::<BackendChoice>();
        check::<Normalization>();
        check::<SpatialCorrection>();
        check::<LowControl>();
        check::<TableFormat>();
        check::<IntervalKind>();
        check::<Loss>();
        check::<Weights>();
        check::<ModelId>();
        check::<SynergyModel>();
        check::<crate::config::SynergyChoice>();
        check::<ResamplingKind>();
        check::<Orientation>();
        check::<Scale>();
        check::<Role>();
        check::<LineStatus>();
        check::<Format>();
        check::<Decimal>();
        check::<Margins>();
    }
}
