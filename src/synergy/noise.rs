//! The noise of a single well, and the number that its random draws are keyed with.

use super::design::Design;
use super::score::Evaluation;
use crate::fit::variance::{ReplicateScatter, VarianceLaw};
use crate::screen::Screen;
use crate::screen::dose_matrix::{Cell, Curve, CurveKey, CurvePoint, DoseMatrix, MatrixKey};
use crate::screen::names::{NameId, Names};
use crate::screen::triple_matrix::TripleKey;

/// Noise below this (of a viability of 1) is rounding: the data were computed, not measured.
pub const ROUNDING: f64 = 1e-9;
/// Pure error on fewer degrees of freedom is too uncertain an estimate to go by.
pub(super) const FEWEST_DEGREES: usize = 6;
/// Standard errors by which the exponent of a law of variance must differ from none.
const CERTAIN: f64 = 4.0;
/// Matrices whose replicates are counted together.
const TOGETHER: usize = 4096;

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

/// The matrix's own cells whose replicates tell the noise. Untreated cells are left out:
/// where vehicle wells stand for them there are hundreds, and their noise is not that of treated cells. So are margins
/// that are pooled over plates: they have noise of their own.
fn own_cells(matrix: &DoseMatrix) -> impl Iterator<Item = &Cell> {
    let [a, b] = matrix.origins.map(|origin| origin.pooled);
    let own = move |cell: &&Cell| match (cell.dose_a > 0.0, cell.dose_b > 0.0) {
        (true, true) => true,
        (true, false) => !a,
        (false, true) => !b,
        (false, false) => false,
    };
    matrix.cells.iter().filter(own)
}

/// The points of one pooled margin; none of one that is not. The untreated one is among them where it has no more wells
/// than the others: one bad well of two bends the curve there as it does elsewhere.
fn pooled_points(matrix: &DoseMatrix, k: usize) -> impl Iterator<Item = &CurvePoint> {
    let margin = if k == 0 { &matrix.margin_a } else { &matrix.margin_b };
    let most = margin.iter().filter(|point| point.dose > 0.0).map(|point| point.n).max().unwrap_or(0);
    margin.iter().filter(move |point| matrix.origins[k].pooled && (point.dose > 0.0 || point.n <= most))
}

/// Sum of squares and degrees of freedom.
fn together(replicates: impl Iterator<Item = (f64, u32)>) -> (f64, usize) {
    replicates.fold((0.0, 0), |(squares, df), (own, n)| (squares + own, df + (n as usize).saturating_sub(1)))
}

fn own_pure_error(matrix: &DoseMatrix) -> (f64, usize) {
    together(own_cells(matrix).map(|cell| (cell.sum_of_squares, cell.n)))
}

fn pooled_pure_error(matrix: &DoseMatrix, k: usize) -> (f64, usize) {
    together(pooled_points(matrix, k).map(|point| (point.sum_of_squares, point.n)))
}

/// The replicates that tell the noise of a well: the matrix's own or, where those are few, those of pooled margins too.
fn pure_error(matrix: &DoseMatrix) -> (f64, usize) {
    let own = own_pure_error(matrix);
    if own.1 >= FEWEST_DEGREES {
        return own;
    }
    let [a, b] = [0, 1].map(|k| pooled_pure_error(matrix, k));
    (own.0 + a.0 + b.0, own.1 + a.1 + b.1)
}

/// Whether the residuals of the fits are needed to tell the noise.
pub fn lacks_replicates(design: &Design) -> bool {
    pure_error(design.matrix).1 < FEWEST_DEGREES
}

/// The noise of a single well of a pooled margin, by its own replicates: with what lies between the plates that they are
/// on. `None` where the margin is the matrix's own, or its replicates are few.
pub fn pooled_margin_sigma(matrix: &DoseMatrix, k: usize) -> Option<f64> {
    let (squares, df) = pooled_pure_error(matrix, k);
    (df >= FEWEST_DEGREES).then(|| (squares / df as f64).sqrt())
}

/// How the variance of a well follows its response, by the replicates of all matrices; `None` where they are too few or
/// do not show beyond doubt that it does.
///
/// Signals are counts of cells: most of their noise is a share of them, so wells near a viability of 1, where margins
/// begin, are noisier than what two drugs leave. One sigma for all makes errors of margins too small and those of
/// killed cells too large.
pub fn variance_law(matrices: &[DoseMatrix]) -> Option<VarianceLaw> {
    let mut scatter = ReplicateScatter::default();
    for part in matrices.chunks(TOGETHER) {
        let curve = |matrix: &DoseMatrix| {
            let point = |cell: &Cell| {
                let Cell { response, weight, n, sum_of_squares, .. } = *cell;
                CurvePoint { dose: 0.0, response, weight, n, sum_of_squares }
            };
            let key = CurveKey { line: 0, drug: 0, schedule: None };
            Curve { key, points: own_cells(matrix).map(point).collect() }
        };
        scatter.add(&part.iter().map(curve).collect::<Vec<Curve>>());
    }
    scatter.law().ok().filter(|law| law.exponent.abs() > CERTAIN * law.exponent_error)
}

/// Variance of a well with an expected response over the variance that the replicates of the matrix have together (those
/// of margin `pooled`, where one is named), by the law; 1 without a law or enough replicates.
pub fn relative_variance<'a>(
    matrix: &DoseMatrix,
    pooled: Option<usize>,
    law: Option<&'a VarianceLaw>,
) -> impl Fn(f64) -> f64 + use<'a> {
    let (mut squares, mut by_law, mut df) = (0.0, 0.0, 0usize);
    let mut take = |response: f64, sum_of_squares: f64, n: u32| {
        squares += sum_of_squares;
        by_law += law.map_or(0.0, |law| sum_of_squares / law.variance(response));
        df += (n as usize).saturating_sub(1);
    };
    match pooled {
        None => own_cells(matrix).for_each(|cell| take(cell.response, cell.sum_of_squares, cell.n)),
        Some(k) => pooled_points(matrix, k).for_each(|point| take(point.response, point.sum_of_squares, point.n)),
    }
    let scale = Some(by_law / squares).filter(|scale| df >= FEWEST_DEGREES && scale.is_finite() && *scale > 0.0);
    move |response| match (law, scale) {
        (Some(law), Some(scale)) => law.variance(response) * scale,
        _ => 1.0,
    }
}

impl Noise {
    /// Pools the replicates' pure error over the matrix; with fewer than 6 degrees of freedom, that together with the
    /// residuals of the margins and of the ZIP slices.
    pub fn estimate(design: &Design, evaluation: &Evaluation) -> Self {
        let (squares, df) = pure_error(design.matrix);
        Self::with_pure_error(squares, df, evaluation)
    }

    /// The same for a draw, whose replicates are drawn too: `relative` is their mean square over `sigma` squared.
    pub fn of_draw(design: &Design, evaluation: &Evaluation, sigma: f64, relative: impl FnOnce(usize) -> f64) -> Self {
        let (_, df) = pure_error(design.matrix);
        Self::with_pure_error(df as f64 * sigma * sigma * relative(df), df, evaluation)
    }

    fn with_pure_error(mut squares: f64, mut df: usize, evaluation: &Evaluation) -> Self {
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

/// The number of a curve that every matrix of a line and drug shares, in the same way; of what all drugs of the line
/// share, without a drug.
pub fn curve_hash(key: &MatrixKey, drug: Option<NameId>, screen: &Screen) -> u64 {
    let name = |names: &Names, id: Option<NameId>| id.map(|id| names.name(id).to_owned());
    let parts = [name(&screen.lines, Some(key.line)), name(&screen.drugs, drug), name(&screen.schedules, key.schedule)];
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
