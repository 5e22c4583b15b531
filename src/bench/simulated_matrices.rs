//! Dose matrices with a known truth, for timing: 8 × 8 doses, 3 wells each, MuSyC surfaces, as the peers' 500.

use crate::Result;
use crate::math::random::standard_normal;
use crate::model::{LN_DOSE_ZERO, SurfaceModel, musyc::Musyc};
use crate::screen::Screen;
use crate::screen::dose_matrix::{DoseMatrix, MatrixKey, Observation, matrix_from_cells};

/// Levels of each drug, none among them.
pub const LEVELS: u32 = 8;
/// Wells of each dose pair.
pub const REPLICATES: u32 = 3;
const NOISE: f64 = 0.05;

/// Doses of 10 nM to 10 µM, and none.
fn dose(level: u32) -> f64 {
    if level == 0 { 0.0 } else { 1e-8 * libm::exp10(0.5 * f64::from(level - 1)) }
}

/// So many matrices, each a block of one line and two drugs.
///
/// # Errors
/// None that can be met: the cells are as they should be.
pub fn simulate_matrices(matrices: usize, seed: u64) -> Result<(Screen, Vec<DoseMatrix>)> {
    let mut screen = Screen::default();
    screen.drugs.intern("a");
    screen.drugs.intern("b");
    screen.lines.intern("line");
    let all = (0..matrices as u64).map(|number| matrix(number, seed, screen.blocks.intern(&number.to_string())));
    let all: Vec<DoseMatrix> = all.collect::<Result<_>>()?;
    Ok((screen, all))
}

fn matrix(number: u64, seed: u64, block: u32) -> Result<DoseMatrix> {
    // Between the two ends, by a number that looks random.
    let at = |place: u32, from: f64, to: f64| {
        from + (to - from) * (0.5 + 0.25 * standard_normal(seed, number, 0, place)).clamp(0.0, 1.0)
    };
    let middle = libm::log(1e-6);
    let truth = [
        1.0,
        at(0, 0.0, 0.6),
        at(1, 0.0, 0.6),
        at(2, 0.0, 0.2),
        at(3, middle - 2.0, middle + 2.0),
        at(4, middle - 2.0, middle + 2.0),
        at(5, 0.7, 3.0),
        at(6, 0.7, 3.0),
        at(7, -2.3, 2.3),
        at(8, -2.3, 2.3),
    ];
    let mut cells = Vec::new();
    let ln = |dose: f64| if dose > 0.0 { libm::log(dose) } else { LN_DOSE_ZERO };
    for (a, b) in (0..LEVELS).flat_map(|a| (0..LEVELS).map(move |b| (dose(a), dose(b)))) {
        for _ in 0..REPLICATES {
            let noise = NOISE * standard_normal(seed.wrapping_add(1), number, 0, cells.len() as u32);
            let response = Musyc::response(ln(a), ln(b), truth) + noise;
            cells.push(Observation { dose_a: a, dose_b: b, response, weight: 1.0 });
        }
    }
    let key = MatrixKey { block: Some(block), line: 0, drug_a: 0, drug_b: 1, schedule: None };
    matrix_from_cells(key, &cells)
}
