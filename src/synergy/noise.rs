//! The noise of a single well, and the number that its random draws are keyed with.

use super::design::Design;
use super::score::Evaluation;
use crate::screen::Screen;
use crate::screen::dose_matrix::{DoseMatrix, MatrixKey};
use crate::screen::names::{NameId, Names};
use crate::screen::triple_matrix::TripleKey;

/// Noise below this (of a viability of 1) is rounding: the data were computed, not measured.
pub const ROUNDING: f64 = 1e-9;
/// Pure error on fewer degrees of freedom is too uncertain an estimate to go by.
const FEWEST_DEGREES: usize = 6;

/// The noise of one matrix.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Standard deviation of a single well of weight 1; `None` where nothing tells.
    pub sigma: Option<f64>,
    /// Degrees of freedom behind it.
    pub degrees_of_freedom: usize,
    /// Whether replicates tell, rather than the residuals of the fits.
    pub from_replicates: bool,
}

/// Sum of squares and degrees of freedom of the replicates. Untreated cells are left out: where vehicle wells stand
/// for them there are hundreds, and their noise is not that of treated cells.
fn pure_error(matrix: &DoseMatrix) -> (f64, usize) {
    let treated = matrix.cells.iter().filter(|cell| cell.dose_a > 0.0 || cell.dose_b > 0.0);
    treated
        .fold((0.0, 0), |(squares, df), cell| (squares + cell.sum_of_squares, df + (cell.n as usize).saturating_sub(1)))
}

impl Noise {
    /// Pools the replicates' pure error over the matrix; with fewer than 6 degrees of freedom, that together with the
    /// residuals of the margins and of the ZIP slices.
    pub fn estimate(design: &Design, evaluation: &Evaluation) -> Self {
        let (mut squares, mut df) = pure_error(design.matrix);
        let from_replicates = df >= FEWEST_DEGREES;
        if !from_replicates {
            for margin in &evaluation.margins {
                squares += margin.sse;
                df += margin.degrees_of_freedom;
            }
            squares += evaluation.surface.sse;
            df += evaluation.surface.degrees_of_freedom;
        }
        let sigma = (df > 0).then(|| (squares / df as f64).sqrt()).filter(|sigma| sigma.is_finite());
        Self { sigma, degrees_of_freedom: df, from_replicates }
    }

    /// The code for tables.
    pub fn source(&self) -> &'static str {
        match (self.sigma, self.from_replicates) {
            (None, _) => "no_noise_estimate",
            (Some(_), true) => "noise_from_replicates",
            (Some(_), false) => "noise_from_residuals",
        }
    }
}

/// A matrix's own number, from its names: FNV-1a, so that it is the same on every machine, in every partition and
/// whatever order names were first seen in.
pub fn matrix_hash(key: &MatrixKey, screen: &Screen) -> u64 {
    let name = |names: &'_ Names, id: Option<NameId>| id.map(|id| names.name(id).to_owned());
    let parts = [
        name(&screen.blocks, key.block),
        name(&screen.lines, Some(key.line)),
        name(&screen.drugs, Some(key.drug_a)),
        name(&screen.drugs, Some(key.drug_b)),
        name(&screen.schedules, key.schedule),
    ];
    hash_of_names(parts.iter().map(|part| part.as_deref()))
}

/// The same of a matrix of three drugs.
pub fn triple_hash(key: &TripleKey, screen: &Screen) -> u64 {
    let name = |names: &'_ Names, id: Option<NameId>| id.map(|id| names.name(id).to_owned());
    let [a, b, c] = key.drugs.map(|drug| name(&screen.drugs, Some(drug)));
    let line = name(&screen.lines, Some(key.line));
    let parts = [name(&screen.blocks, key.block), line, a, b, c, name(&screen.schedules, key.schedule)];
    hash_of_names(parts.iter().map(|part| part.as_deref()))
}

/// FNV-1a of a list of names, some of which may be none.
pub fn hash_of_names<'a>(names: impl Iterator<Item = Option<&'a str>>) -> u64 {
    const OFFSET: u64 = 0xcbf2_9ce4_8422_2325;
    const PRIME: u64 = 0x0000_0100_0000_01b3;
    let mut hash = OFFSET;
    for part in names {
        // 0xff occurs in no UTF-8 text: it ends each part, and twice stands for "none".
        let bytes = part.map_or(&[0xff][..], str::as_bytes);
        for byte in bytes.iter().chain(&[0xff]) {
            hash = (hash ^ u64::from(*byte)).wrapping_mul(PRIME);
        }
    }
    hash
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_pinned_and_follow_names_not_numbers() {
        let screen_of = |drugs: [&str; 2]| {
            let mut screen = Screen::default();
            screen.lines.intern("HL-60");
            for drug in drugs {
                screen.drugs.intern(drug);
            }
            screen
        };
        let key = |drug_a, drug_b| MatrixKey { block: None, line: 0, drug_a, drug_b, schedule: None };
        let (one, other) = (screen_of(["clofarabine", "venetoclax"]), screen_of(["venetoclax", "clofarabine"]));
        assert_eq!(matrix_hash(&key(0, 1), &one), matrix_hash(&key(1, 0), &other));
        assert_ne!(matrix_hash(&key(0, 1), &one), matrix_hash(&key(0, 1), &other));
        assert_eq!(matrix_hash(&key(0, 1), &one), PINNED);
    }

    /// FNV-1a, by an independent program, of the bytes ff ff "HL-60" ff "clofarabine" ff "venetoclax" ff ff ff.
    const PINNED: u64 = 0x95f7_e26a_cd31_6fa6;
}
