//! Codes: the short texts of reasons and states. Inside they live as long as the program; read back from an archive they
//! are given such a life once each.

use serde::{Deserialize, Deserializer};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// A reason or state, `snake_case`.
pub type Code = &'static str;

/// More distinct codes than this no program has; what an archive says beyond them is one code for all, so that a file
/// made to do harm cannot fill the memory for good.
const MOST_CODES: usize = 4096;
/// Stands for codes beyond those.
const UNKNOWN: Code = "unknown_code";

static KNOWN: Mutex<BTreeSet<Code>> = Mutex::new(BTreeSet::new());

/// The code with this text.
pub fn code(text: &str) -> Code {
    let mut known = KNOWN.lock().unwrap_or_else(PoisonError::into_inner);
    match known.get(text) {
        Some(code) => code,
        None if known.len() >= MOST_CODES => UNKNOWN,
        None => {
            let code: Code = Box::leak(text.to_owned().into_boxed_str());
            known.insert(code);
            code
        }
    }
}

/// What fields of codes are made of.
pub trait Codes: Sized {
    /// What is read.
    type Read: for<'de> Deserialize<'de>;
    /// The codes; `None` where they are not as many as there should be.
    fn of(read: Self::Read) -> Option<Self>;
}

impl Codes for Code {
    type Read = String;
    fn of(read: String) -> Option<Self> {
        Some(code(&read))
    }
}

impl Codes for Option<Code> {
    type Read = Option<String>;
    fn of(read: Option<String>) -> Option<Self> {
        Some(read.as_deref().map(code))
    }
}

impl<const N: usize> Codes for [Option<Code>; N] {
    type Read = Vec<Option<String>>;
    fn of(read: Self::Read) -> Option<Self> {
        let codes: Vec<Option<Code>> = read.iter().map(|text| text.as_deref().map(code)).collect();
        codes.try_into().ok()
    }
}

/// For `#[serde(deserialize_with)]`.
///
/// # Errors
/// Those of the deserialiser; another number of codes than the field has.
pub fn read<'de, D: Deserializer<'de>, T: Codes>(deserializer: D) -> Result<T, D::Error> {
    T::of(T::Read::deserialize(deserializer)?).ok_or_else(|| serde::de::Error::custom("another number of codes"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_text_is_one_code() {
        let first = code("too_few_doses_for_a_test");
        assert!(std::ptr::eq(first, code(&["too_few_doses", "_for_a_test"].concat())));
        let three: [Option<Code>; 2] = Codes::of(vec![Some("a".into()), None]).expect("two codes");
        assert_eq!(three, [Some("a"), None]);
        assert_eq!(<[Option<Code>; 2]>::of(vec![None]), None);
    }
}
