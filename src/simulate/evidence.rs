//! What a laboratory would measure of the sublines' causes of resistance: blots and PCR beside their parents, from bands
//! that saturate and cycles below full efficiency. None of it is how such tables are analysed.

use super::random::{Purpose, Stream};
use super::recipe::{LineRecipe, Recipe};

/// What is measured of every subline.
const MARKERS: [&str; 7] = ["dCK", "ABCG2", "BCL-2", "MCL-1", "BCL-XL", "BAX", "p53"];
/// Markers that are measured by PCR besides.
const BY_PCR: usize = 3;
/// Independent experiments.
const REPLICATES: u32 = 3;
/// A band's light, in units of a parent's own, at which half of the detector's range is used up.
const SATURATION: f64 = 12.0;
/// Counts of a band that fills the detector.
const FULL_SCALE: f64 = 60_000.0;

/// One marker of one subline.
#[derive(Debug, Clone, PartialEq)]
pub struct MarkerTruth {
    /// The subline, in [`Recipe::lines`].
    pub line: usize,
    /// The protein.
    pub marker: &'static str,
    /// Its amount over the parent's.
    pub fold: f64,
    /// Whether it is why the line is resistant.
    pub is_causal: bool,
}

/// Which marker a planted mechanism changes, and the least and the largest fold that it is changed by.
fn cause(mechanism: &str) -> Option<(&'static str, [f64; 2])> {
    let has = |name: &str| mechanism.to_lowercase().contains(&name.to_lowercase());
    let marker = MARKERS.into_iter().find(|marker| has(marker))?;
    let fold = match marker {
        "dCK" | "BAX" | "p53" => [0.08, 0.3],
        "ABCG2" => [4.0, 12.0],
        _ => [2.5, 6.0],
    };
    Some((marker, fold))
}

/// Why sublines are resistant, in turn; the last has nothing to do with any marker.
const CAUSES: [Option<&str>; 7] = [
    Some("loss of dCK"),
    Some("ABCG2 efflux"),
    Some("BCL-2 up"),
    Some("MCL-1 up"),
    Some("BCL-XL up"),
    Some("loss of p53"),
    None,
];

impl Recipe {
    /// Gives sublines other causes than the four of a generic screen, some of them none that is looked for.
    pub fn vary_causes(&mut self) {
        let sublines = self.lines.iter_mut().filter(|line| line.parental.is_some());
        sublines.zip(CAUSES.into_iter().cycle()).for_each(|(line, cause)| line.mechanism = cause.map(str::to_owned));
    }
}

/// What every subline has of each marker. Those that have nothing to do with its resistance drift a little.
pub fn marker_truth(recipe: &Recipe) -> Vec<MarkerTruth> {
    let mut rows = Vec::new();
    for (line, own) in sublines(recipe) {
        let cause = own.mechanism.as_deref().and_then(cause);
        for (number, marker) in MARKERS.into_iter().enumerate() {
            let draw = Stream::new(recipe.seed, line as u32, number as u32, Purpose::Expression);
            let fold = match cause.filter(|(causal, _)| *causal == marker) {
                Some((_, [low, high])) => libm::exp(draw.between(0, libm::log(low), libm::log(high))),
                None => libm::exp(0.1 * draw.normal(1)),
            };
            rows.push(MarkerTruth { line, marker, fold, is_causal: cause.is_some_and(|(causal, _)| causal == marker) });
        }
    }
    rows
}

/// The lines that have a parent in the screen.
fn sublines(recipe: &Recipe) -> impl Iterator<Item = (usize, &LineRecipe)> {
    let has_parent =
        |line: &LineRecipe| line.parental.as_ref().is_some_and(|p| recipe.lines.iter().any(|l| l.name == *p));
    recipe.lines.iter().enumerate().filter(move |(_, line)| has_parent(line))
}

/// A number about 1 with this coefficient of variation, skewed as counts of light are: a mean of squares.
fn skewed(draw: Stream, first: u32, variation: f64) -> f64 {
    let n = libm::round(1.0 / (variation * variation)) as u32 * 2;
    (first..first + n).map(|i| draw.normal(i).powi(2)).sum::<f64>() / f64::from(n)
}

/// What a detector makes of light.
fn band(light: f64, noise: f64) -> f64 {
    FULL_SCALE * (light / (light + SATURATION) * noise + 2e-4)
}

/// The table that `[evidence]` reads: three blots and three PCR runs of every parent beside its sublines.
pub fn evidence_csv(recipe: &Recipe) -> String {
    let truth = marker_truth(recipe);
    let mut text = String::from(
        "cell_line,marker,method,replicate,loading_control,target_intensity,loading_intensity,ct_target,ct_reference\n",
    );
    for (parent, own) in recipe.lines.iter().enumerate() {
        let children = sublines(recipe).filter(|(_, line)| line.parental.as_deref() == Some(&own.name));
        let lanes: Vec<usize> = children.map(|(line, _)| line).collect();
        if lanes.is_empty() {
            continue;
        }
        let lanes: Vec<usize> = std::iter::once(parent).chain(lanes).collect();
        for replicate in 1..=REPLICATES {
            for (number, marker) in MARKERS.into_iter().enumerate() {
                // Transfer and exposure are a blot's own.
                let blot = Stream::new(recipe.seed, parent as u32, number as u32 + 100 * replicate, Purpose::Blot);
                let exposure = libm::exp(0.5 * blot.normal(0));
                let efficiency = blot.between(1, 1.88, 2.0);
                let control = if blot.uniform(2) < 0.5 { "GAPDH" } else { "beta-actin" };
                for &line in &lanes {
                    let of_line = truth.iter().find(|row| row.line == line && row.marker == marker);
                    let lane = Stream::new(recipe.seed, line as u32, number as u32 + 100 * replicate, Purpose::Lane);
                    // Cultures of one line differ from week to week.
                    let amount = of_line.map_or(1.0, |row| row.fold) * libm::exp(0.12 * lane.normal(0));
                    let loaded = libm::exp(0.2 * lane.normal(1));
                    let target = band(exposure * loaded * amount, skewed(lane, 100, 0.15));
                    let loading = band(3.0 * loaded, skewed(lane, 200, 0.08));
                    let name = super::write::csv_field(&recipe.lines[line].name);
                    text += &format!("{name},{marker},western_blot,{replicate},{control},{target:.0},{loading:.0},,\n");
                    if number < BY_PCR {
                        let template = 0.4 * lane.normal(2);
                        let cycle = |start: f64, amount: f64, i: u32| {
                            start - libm::log(amount) / libm::log(efficiency) + template + 0.2 * lane.normal(i)
                        };
                        let (target, reference) = (cycle(27.0, amount, 3), cycle(18.0, 1.0, 4));
                        text += &format!("{name},{marker},qrt_pcr,{replicate},GAPDH,,,{target:.2},{reference:.2}\n");
                    }
                }
            }
        }
    }
    text
}
