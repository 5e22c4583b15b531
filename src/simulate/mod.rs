//! Screens with known truth: plates as a reader would have read them, from surfaces that nobody fitted.
//!
//! A [`Recipe`] says what the screen is: lines with parents, drugs with true curves, pairs with true interactions
//! (MuSyC), and what goes wrong on the plates. [`simulate`] fills and reads the plates; [`write()`] leaves
//! `plates.parquet`, `lines.csv` and `truth.parquet`, [`write_beside`] blots, PCR and flow cytometry of the same lines with
//! their truth. [`write_curves`] makes plain tables of single curves. Nothing here is shared with the models that are fitted.

mod annexin;
mod curves;
mod demo;
mod evidence;
mod generic;
mod layout;
mod leukaemia;
mod previous;
mod random;
mod reading;
mod recipe;
mod surface;
mod truth;
mod write;

pub use annexin::{ApoptosisTruth, apoptosis_truth, measured_pairs};
pub use curves::{CurveRecipe, CurveTruth, WrittenCurves, write_curves};
pub use demo::{demo_lines, demo_plates, demo_truth, write_demo};
pub use evidence::{MarkerTruth, marker_truth};
pub use generic::Scale;
pub use recipe::{Artefacts, DrugRecipe, LineRecipe, PairRecipe, Planted, PlateFormat, Recipe};
pub use surface::{Interaction, MusycSurface, TrueCurve};
pub use truth::{Truth, truth};
pub use write::{Beside, Written, write, write_beside};

use crate::screen::well::{Role, WellPosition};
use crate::{Error, Result};
use rayon::prelude::*;
use reading::PlatePlan;

/// One read well.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct SimulatedWell {
    /// Its place.
    pub position: WellPosition,
    /// What it is for.
    pub role: Role,
    /// The pair that it belongs to, in [`Recipe::pairs`]; sample wells only.
    pub pair: Option<usize>,
    /// Nominal concentration of the pair's first drug in µM; 0 for none.
    pub dose_a_um: f64,
    /// Nominal concentration of the pair's second drug in µM; 0 for none.
    pub dose_b_um: f64,
    /// The reader's counts.
    pub signal: f64,
}

/// One read plate: one line, one replicate.
#[derive(Debug, Clone, PartialEq)]
pub struct SimulatedPlate {
    /// Its name: `P00001`, …
    pub plate_id: String,
    /// The line, in [`Recipe::lines`].
    pub line: usize,
    /// The replicate, from 1.
    pub replicate: u32,
    /// Counts of untreated cells when the drugs were added.
    pub signal_t0: f64,
    /// Whether it was drawn as a noisy plate.
    pub noisy: bool,
    /// Every well, in order of row and column.
    pub wells: Vec<SimulatedWell>,
}

/// A simulated screen.
#[derive(Debug, Clone, PartialEq)]
pub struct Simulated {
    /// What it was made from.
    pub recipe: Recipe,
    /// The plates, in order of their names.
    pub plates: Vec<SimulatedPlate>,
    /// The truth of every line and pair.
    pub truth: Vec<Truth>,
}

/// Makes the screen. The same recipe gives the same screen at any number of threads.
///
/// # Errors
/// [`Error::Setting`] for a recipe whose parts do not fit each other.
pub fn simulate(recipe: &Recipe) -> Result<Simulated> {
    recipe.check()?;
    let plans = plan(recipe)?;
    let plates = plans.par_iter().map(|plan| reading::read_plate(recipe, plan)).collect();
    Ok(Simulated { recipe: recipe.clone(), plates, truth: truth(recipe) })
}

/// Most plates that a screen may have: names and counters stay within their digits.
const MAX_PLATES: usize = 99_999;

/// Which plate holds what: replicate by replicate, line by line.
fn plan(recipe: &Recipe) -> Result<Vec<PlatePlan>> {
    let runs = layout::pairs_by_plate(recipe);
    let a_replicate = recipe.lines.len().saturating_mul(runs.len());
    if let Some(limit) = recipe.plate_limit.filter(|limit| *limit < a_replicate) {
        // Some pairs would be on no plate and yet among the truths.
        return Err(Error::Setting {
            key: "plates".into(),
            problem: format!("{limit} plates do not hold every line and pair once: that takes {a_replicate}"),
            hint: Some(format!("ask for at least {a_replicate} plates, or for fewer lines, pairs or schedules")),
        });
    }
    let wanted = a_replicate.saturating_mul(recipe.replicates as usize);
    let wanted = recipe.plate_limit.map_or(wanted, |limit| limit.min(wanted));
    if wanted > MAX_PLATES {
        return Err(Error::Setting {
            key: "plates".into(),
            problem: format!("{wanted} plates are more than {MAX_PLATES}"),
            hint: Some("simulate several screens with different seeds".into()),
        });
    }
    let mut plans = Vec::with_capacity(wanted);
    for replicate in 1..=recipe.replicates {
        for line in 0..recipe.lines.len() {
            for pairs in &runs {
                if plans.len() == wanted {
                    return Ok(plans);
                }
                plans.push(PlatePlan { number: plans.len() as u32, line, replicate, pairs: pairs.clone() });
            }
        }
    }
    Ok(plans)
}
