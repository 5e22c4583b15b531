//! A screen of any size with random drugs: mostly pairs that do nothing together, and some that were planted.

use super::random::{Purpose, Stream};
use super::recipe::{Artefacts, DrugRecipe, LineRecipe, PairRecipe, Planted, PlateFormat, Recipe};
use super::surface::{Interaction, TrueCurve};
use crate::screen::line::LineStatus;
use crate::{Error, Result};

/// How large a generic screen is to be; what is `None` follows from the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Scale {
    /// Plates; default: as many as lines, pairs and two replicates take.
    pub plates: Option<usize>,
    /// Cell lines; default 6, or fewer where there are fewer plates.
    pub lines: Option<usize>,
    /// Pairs of the anchor drug with a partner; default 24, or what fills the plates in two replicates.
    pub pairs: Option<usize>,
    /// Resistant sublines among the lines; default half of them.
    pub resistant: Option<usize>,
    /// Size of the plates.
    pub format: PlateFormat,
    /// Seed of every random number.
    pub seed: u64,
}

/// Nonzero doses of each drug, each four times the one before.
const DOSE_STEPS: usize = 6;
/// Wells of a matrix.
const MATRIX: usize = (DOSE_STEPS + 1) * (DOSE_STEPS + 1);
/// Mechanisms given to the resistant lines in turn.
const MECHANISMS: [&str; 4] = ["loss of dCK", "ABCG2 efflux", "BCL-2 up", "MCL-1 up"];

impl Recipe {
    /// A screen of the anchor drug (clofarabine) against random partners. Of the pairs about 6 % are planted to be
    /// synergistic in resistant lines only, 4 % in all lines and 4 % antagonistic (at least one of the first
    /// where there is a resistant line and a pair to spare); the rest are independent in every line.
    ///
    /// # Errors
    /// [`Error::Setting`] where the numbers exclude each other.
    pub fn generic(scale: Scale) -> Result<Self> {
        let per_plate = super::layout::sample_wells(scale.format) / MATRIX;
        let most = super::MAX_PLATES;
        let asked = [("plates", scale.plates), ("lines", scale.lines), ("pairs", scale.pairs)];
        for (key, number) in asked.into_iter().filter_map(|(key, asked)| Some((key, asked?))) {
            if number == 0 || number > most {
                return Err(Error::setting(key, format!("must be between 1 and {most}, not {number}")));
            }
        }
        let n_lines = scale.lines.unwrap_or_else(|| scale.plates.map_or(6, |plates| plates.min(6)));
        let n_resistant = scale.resistant.unwrap_or(n_lines / 2);
        let n_pairs = scale.pairs.unwrap_or_else(|| match scale.plates {
            Some(plates) => (plates / (2 * n_lines)).max(1) * per_plate,
            None => 24,
        });
        if n_resistant >= n_lines && n_resistant > 0 {
            return Err(Error::Setting {
                key: "resistant".into(),
                problem: format!("{n_resistant} resistant of {n_lines} lines leave no parent"),
                hint: Some(format!("ask for at most {}, or for more lines", n_lines - 1)),
            });
        }
        let a_replicate = n_lines.saturating_mul(n_pairs.div_ceil(per_plate));
        if scale.plates.is_some_and(|plates| plates < a_replicate) {
            return Err(Error::Setting {
                key: "plates".into(),
                problem: format!("{n_lines} lines with {n_pairs} pairs need {a_replicate} plates a replicate"),
                hint: Some(format!("ask for at least {a_replicate} plates, or for fewer lines or pairs")),
            });
        }
        let replicates = scale.plates.map_or(2, |plates| plates.div_ceil(a_replicate));

        let lines = lines(scale.seed, n_lines, n_resistant);
        let mut drugs = vec![anchor(scale.seed, &lines)];
        let mut pairs = Vec::with_capacity(n_pairs);
        let kinds = kinds(scale.seed, n_pairs, n_resistant > 0);
        for (i, planted) in kinds.into_iter().enumerate() {
            let (drug, pair) = partner(scale.seed, i, planted, &lines);
            drugs.push(drug);
            pairs.push(pair);
        }
        Ok(Recipe {
            seed: scale.seed,
            format: scale.format,
            anchor: 0,
            lines,
            drugs,
            pairs,
            replicates: replicates as u32,
            plate_limit: scale.plates,
            time_h: 72.0,
            artefacts: Artefacts::ORDINARY,
        })
    }
}

/// The draws of one part of the recipe: `what` tells kinds of part apart, `which` the parts of a kind.
fn draws(seed: u64, what: u32, which: usize) -> Stream {
    Stream::new(seed, what, which as u32, Purpose::Recipe)
}

/// Parental lines, and resistant ones raised from them in turn.
fn lines(seed: u64, n_lines: usize, n_resistant: usize) -> Vec<LineRecipe> {
    let n_parental = n_lines - n_resistant;
    (0..n_lines)
        .map(|i| {
            let draw = draws(seed, 0, i);
            let subline = i.checked_sub(n_parental);
            let parent = format!("line-{:03}", subline.map_or(i, |k| k % n_parental.max(1)) + 1);
            LineRecipe {
                name: subline.map_or_else(|| parent.clone(), |k| format!("{parent}/CLO-{:03}", k + 1)),
                status: if subline.is_some() { LineStatus::Resistant } else { LineStatus::Parental },
                mechanism: subline.map(|k| MECHANISMS[k % MECHANISMS.len()].into()),
                parental: subline.map(|_| parent),
                signal_t0: draw.between(0, 1.2e5, 2.4e5),
                doubling_time_h: draw.between(1, 22.0, 34.0),
            }
        })
        .collect()
}

/// Six concentrations, each four times the one before, with `center_um` between the third and the fourth.
fn doses_um(center_um: f64) -> Vec<f64> {
    (0..DOSE_STEPS).map(|step| center_um * libm::pow(4.0, step as f64 - 2.5)).collect()
}

/// The anchor: IC50 of 0.01–0.1 µM in parental lines, 8- to 80-fold higher in resistant ones.
fn anchor(seed: u64, lines: &[LineRecipe]) -> DrugRecipe {
    let draw = |i| draws(seed, 1, i);
    let parental_ic50_um = |name: &str| {
        let i = lines.iter().position(|line| line.name == name).unwrap_or(0);
        libm::pow(10.0, draw(i).between(0, -2.0, -1.0))
    };
    let responses = lines
        .iter()
        .enumerate()
        .map(|(i, line)| {
            let parent = parental_ic50_um(line.parental.as_deref().unwrap_or(&line.name));
            let fold = if line.parental.is_some() {
                libm::exp(draw(i).between(1, libm::log(8.0), libm::log(80.0)))
            } else {
                1.0
            };
            TrueCurve::from_ic50(parent * fold, 1.6, 0.03)
        })
        .collect();
    DrugRecipe { name: "clofarabine".into(), doses_um: doses_um(0.3), responses }
}

/// What is planted in each pair: fixed numbers of each kind, at random places.
fn kinds(seed: u64, n_pairs: usize, any_resistant: bool) -> Vec<Planted> {
    let share = |percent: usize| (n_pairs * percent + 50) / 100;
    let selective = if any_resistant { share(6).max(usize::from(n_pairs > 1)) } else { 0 };
    let mut kinds = vec![Planted::None; n_pairs];
    let planted = std::iter::repeat_n(Planted::ResistantSelective, selective)
        .chain(std::iter::repeat_n(Planted::Shared, share(4)))
        .chain(std::iter::repeat_n(Planted::Antagonistic, share(4)));
    kinds.iter_mut().zip(planted).for_each(|(kind, planted)| *kind = planted);
    draws(seed, 2, 0).shuffle(&mut kinds);
    kinds
}

/// A random partner and what it does with the anchor in each line.
fn partner(seed: u64, number: usize, planted: Planted, lines: &[LineRecipe]) -> (DrugRecipe, PairRecipe) {
    let of_drug = draws(seed, 3, number);
    let center_um = libm::pow(10.0, of_drug.between(0, -2.0, 1.5));
    let hill = of_drug.between(1, 0.8, 2.2);
    // A quarter of the partners do nothing alone.
    let bottom = if of_drug.uniform(2) < 0.25 { of_drug.between(3, 0.95, 1.0) } else { of_drug.between(3, 0.05, 0.5) };
    let fold = of_drug.between(4, 8.0, 30.0);
    let extra_kill = of_drug.between(5, 0.3, 0.8);
    // The lines' own variation has a stream a line, so that more lines do not change the first ones.
    let responses = (0..lines.len())
        .map(|line| {
            let of_line = Stream::new(seed, 4 + number as u32, line as u32, Purpose::Recipe);
            TrueCurve { ec50_um: center_um * libm::pow(10.0, 0.2 * of_line.normal(0)), hill, bottom }
        })
        .collect();
    let interactions = lines
        .iter()
        .map(|line| match (planted, line.parental.is_some()) {
            (Planted::None, _) | (Planted::ResistantSelective, false) => Interaction::NONE,
            (Planted::ResistantSelective, true) | (Planted::Shared, _) => {
                Interaction::mutual(fold, 0.5 * fold).with_extra_kill(extra_kill)
            }
            (Planted::Antagonistic, _) => Interaction::mutual(3.0 / fold, 1.0),
        })
        .collect();
    let drug = DrugRecipe { name: format!("compound-{:05}", number + 1), doses_um: doses_um(center_um), responses };
    (drug, PairRecipe { drug_a: 0, drug_b: number + 1, schedule: "simultaneous", planted, interactions })
}
