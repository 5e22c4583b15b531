//! What flow cytometry of Annexin V and PI would show of some of the pairs: cells counted in four quadrants, with more
//! spread than counting alone gives. Of the cells that a drug takes away, a share that is the line's own is seen dying;
//! the rest never divided.

use super::random::{Purpose, Stream};
use super::recipe::{Planted, Recipe};

/// Doses of each drug, in their places in the series.
const DOSES: [usize; 3] = [2, 3, 4];
/// Independent experiments.
const REPLICATES: u32 = 3;
/// Cells counted in a sample.
const EVENTS: f64 = 10_000.0;
/// Numbers of streams that an experiment has in a row.
const STREAMS: u32 = 10_000;
/// Untreated samples of a line in an experiment.
const VEHICLES: u32 = 2;

/// One pair in one line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct ApoptosisTruth {
    /// The line, in [`Recipe::lines`].
    pub line: usize,
    /// The pair, in [`Recipe::pairs`].
    pub pair: usize,
    /// Mean of what the combinations have above independence, in apoptotic fractions corrected for vehicle.
    pub mean_bliss_excess: f64,
}

/// The pairs that are measured: all that are planted, and as many of the others.
pub fn measured_pairs(recipe: &Recipe) -> Vec<usize> {
    let is_planted = |pair: &usize| recipe.pairs[*pair].planted != Planted::None;
    let (planted, others): (Vec<usize>, Vec<usize>) = (0..recipe.pairs.len()).partition(is_planted);
    let n = planted.len().max(1);
    let mut pairs: Vec<usize> = planted.into_iter().chain(others.into_iter().take(n)).collect();
    pairs.sort_unstable();
    pairs
}

/// Doses of one drug that are measured, µM.
fn doses(recipe: &Recipe, drug: usize) -> Vec<f64> {
    let series = recipe.drugs.get(drug).map_or(&[][..], |drug| &drug.doses_um);
    DOSES.iter().filter_map(|at| series.get(*at)).copied().collect()
}

/// The share of cells that a treatment makes apoptotic, beyond those that are so anyway.
fn apoptotic(recipe: &Recipe, line: usize, viability: f64) -> f64 {
    let share = Stream::new(recipe.seed, line as u32, 0, Purpose::Annexin).between(0, 0.55, 0.9);
    1.0 - libm::pow(viability.clamp(0.0, 1.0), share)
}

/// The truth of every measured pair in every line.
pub fn apoptosis_truth(recipe: &Recipe) -> Vec<ApoptosisTruth> {
    let mut rows = Vec::new();
    for line in 0..recipe.lines.len() {
        for pair in measured_pairs(recipe) {
            let Some(surface) = recipe.surface(pair, line) else { continue };
            let of = |a: f64, b: f64| apoptotic(recipe, line, surface.viability(a, b));
            let (series_a, series_b) =
                (doses(recipe, recipe.pairs[pair].drug_a), doses(recipe, recipe.pairs[pair].drug_b));
            let mut sum = 0.0;
            for &a in &series_a {
                for &b in &series_b {
                    sum += of(a, b) - (1.0 - (1.0 - of(a, 0.0)) * (1.0 - of(0.0, b)));
                }
            }
            let n = series_a.len() * series_b.len();
            rows.push(ApoptosisTruth { line, pair, mean_bliss_excess: sum / n.max(1) as f64 });
        }
    }
    rows
}

/// The table that `[apoptosis]` reads.
pub fn apoptosis_csv(recipe: &Recipe) -> String {
    let mut text = String::from(
        "cell_line,drug_a,conc_a,drug_b,conc_b,conc_unit,schedule,replicate,viable,early_apoptotic,late_apoptotic,necrotic\n",
    );
    let name = |drug: usize| super::write::csv_field(&recipe.drugs[drug].name);
    for (line, own) in recipe.lines.iter().enumerate() {
        let line_name = super::write::csv_field(&own.name);
        for replicate in 1..=REPLICATES {
            let mut sample = 0;
            let mut push = |treatment: &str, viability: f64| {
                sample += 1;
                let draw = Stream::new(recipe.seed, line as u32, stream(replicate, sample), Purpose::Quadrants);
                let [viable, early, late, necrotic] = quadrants(recipe, line, replicate, viability, draw);
                text += &format!("{line_name},{treatment},{replicate},{viable},{early},{late},{necrotic}\n");
            };
            (0..VEHICLES).for_each(|_| push(",,,,,", 1.0));
            for pair in measured_pairs(recipe) {
                let drugs = &recipe.pairs[pair];
                let Some(surface) = recipe.surface(pair, line) else { continue };
                let (series_a, series_b) = (doses(recipe, drugs.drug_a), doses(recipe, drugs.drug_b));
                let (a_name, b_name, schedule) = (name(drugs.drug_a), name(drugs.drug_b), drugs.schedule);
                for a in &series_a {
                    push(&format!("{a_name},{a},,,uM,{schedule}"), surface.viability(*a, 0.0));
                }
                for b in &series_b {
                    push(&format!("{b_name},{b},,,uM,{schedule}"), surface.viability(0.0, *b));
                    for a in &series_a {
                        push(&format!("{a_name},{a},{b_name},{b},uM,{schedule}"), surface.viability(*a, *b));
                    }
                }
            }
        }
    }
    text
}

/// The stream of a sample of a line, both from 1: each experiment has every [`REPLICATES`]th run of [`STREAMS`] numbers, so
/// that no two samples share one, however many there are. The first runs are where they were before there were more.
fn stream(replicate: u32, sample: u32) -> u32 {
    STREAMS * (replicate + REPLICATES * (sample / STREAMS)) + sample % STREAMS
}

/// Cells counted in one sample: viable, early, late, necrotic.
fn quadrants(recipe: &Recipe, line: usize, replicate: u32, viability: f64, draw: Stream) -> [u32; 4] {
    // How well a culture does is the experiment's own.
    let culture = Stream::new(recipe.seed, line as u32, replicate, Purpose::Annexin);
    let untreated = culture.between(1, 0.03, 0.09);
    let share = untreated + (1.0 - untreated) * apoptotic(recipe, line, viability);
    let odds = share / (1.0 - share).max(1e-9) * libm::exp(0.15 * draw.normal(0));
    let apoptotic = odds / (1.0 + odds);
    let early = draw.between(1, 0.35, 0.65);
    let necrotic = (1.0 - apoptotic) * draw.between(2, 0.01, 0.03);
    // One quadrant after the other, of the cells that are left.
    let (mut left, mut share_left) = (EVENTS, 1.0);
    let mut counts = [0; 4];
    for (i, share) in [apoptotic * early, apoptotic * (1.0 - early), necrotic].into_iter().enumerate() {
        let of_left = (share / share_left).clamp(0.0, 1.0);
        let spread = (left * of_left * (1.0 - of_left)).sqrt();
        let count = libm::round(left * of_left + spread * draw.normal(3 + i as u32)).clamp(0.0, left);
        counts[i + 1] = count as u32;
        (left, share_left) = (left - count, (share_left - share).max(1e-9));
    }
    counts[0] = left as u32;
    counts
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn samples_of_a_big_screen_have_streams_of_their_own() {
        // Fifteen samples of each of 3,000 pairs, and the untreated ones.
        const SAMPLES: u32 = 45_002;
        let all = (1..=REPLICATES).flat_map(|replicate| (1..=SAMPLES).map(move |sample| stream(replicate, sample)));
        assert_eq!(all.collect::<BTreeSet<u32>>().len(), (REPLICATES * SAMPLES) as usize);
        // Small screens are pinned: the number of the experiment stands before that of the sample.
        assert_eq!([stream(1, 1), stream(2, 9_999), stream(3, 17)], [10_001, 29_999, 30_017]);
    }
}
