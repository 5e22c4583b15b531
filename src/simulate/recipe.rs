//! What a simulated screen is made of: lines, drugs, pairs, plates, and what goes wrong on them.

use super::random::{Purpose, Stream};
use super::surface::{Interaction, MusycSurface, TrueCurve};
use crate::screen::line::LineStatus;
use crate::{Error, Result};

/// The plates of a screen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PlateFormat {
    /// 16 rows of 24 wells.
    #[default]
    Wells384,
    /// 32 rows of 48 wells.
    Wells1536,
}

impl PlateFormat {
    /// Rows on a plate.
    pub fn rows(self) -> u16 {
        match self {
            PlateFormat::Wells384 => 16,
            PlateFormat::Wells1536 => 32,
        }
    }

    /// Columns on a plate.
    pub fn columns(self) -> u16 {
        match self {
            PlateFormat::Wells384 => 24,
            PlateFormat::Wells1536 => 48,
        }
    }

    /// Wells on a plate.
    pub fn wells(self) -> usize {
        usize::from(self.rows()) * usize::from(self.columns())
    }
}

/// A cell line.
#[derive(Debug, Clone, PartialEq)]
pub struct LineRecipe {
    /// Its name.
    pub name: String,
    /// The line that it was raised from, for a resistant subline.
    pub parental: Option<String>,
    /// Parental, resistant or sensitive.
    pub status: LineStatus,
    /// Why it is resistant.
    pub mechanism: Option<String>,
    /// Reader counts of an untreated well when the drugs are added.
    pub signal_t0: f64,
    /// Hours in which untreated cells double.
    pub doubling_time_h: f64,
}

/// A drug.
#[derive(Debug, Clone, PartialEq)]
pub struct DrugRecipe {
    /// Its name.
    pub name: String,
    /// Nonzero concentrations in µM, ascending; every matrix has the zero dose besides.
    pub doses_um: Vec<f64>,
    /// The true response of each line, in the order of [`Recipe::lines`].
    pub responses: Vec<TrueCurve>,
}

/// What a pair was made to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Planted {
    /// Nothing: independence in every line.
    None,
    /// Synergy in resistant lines, little or none in the others.
    ResistantSelective,
    /// Synergy in resistant and parental lines alike.
    Shared,
    /// Each spares cells from the other.
    Antagonistic,
}

impl Planted {
    /// The name used in the truth table.
    pub fn name(self) -> &'static str {
        match self {
            Planted::None => "none",
            Planted::ResistantSelective => "resistant_selective",
            Planted::Shared => "shared",
            Planted::Antagonistic => "antagonistic",
        }
    }
}

/// A pair of drugs, tested in every line.
#[derive(Debug, Clone, PartialEq)]
pub struct PairRecipe {
    /// The first drug, in [`Recipe::drugs`]: drug 1 of the interactions.
    pub drug_a: usize,
    /// The second drug.
    pub drug_b: usize,
    /// `simultaneous` or `pre-treatment`.
    pub schedule: &'static str,
    /// What was planted.
    pub planted: Planted,
    /// The true interaction in each line, in the order of [`Recipe::lines`].
    pub interactions: Vec<Interaction>,
}

/// What keeps a reading from the truth. Shares are fractions, standard deviations of logs are natural logs.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Artefacts {
    /// Standard deviation of the log of a plate's gain.
    pub gain_sd: f64,
    /// The reader's counts in a well without cells.
    pub background: f64,
    /// Standard deviation of those, as a share.
    pub background_sd: f64,
    /// Standard deviation of the log of a well's signal.
    pub multiplicative_sd: f64,
    /// Standard deviation of a well's signal as a share of the untreated signal.
    pub additive_sd: f64,
    /// The most that the outer ring of wells loses; each plate loses between a third of it and all.
    pub edge_loss: f64,
    /// The most by which the first and the last row (and column) depart from the middle; each plate has its own.
    pub tilt: f64,
    /// Standard deviation of the log of a dispensed dose.
    pub dose_sd: f64,
    /// Share of dispenses that never reach the well.
    pub failed_dispense: f64,
    /// Share of wells that read far too low or too high.
    pub outliers: f64,
    /// Share of plates whose multiplicative noise is three times as large.
    pub noisy_plates: f64,
    /// Viability left by the positive control.
    pub positive_viability: f64,
}

impl Artefacts {
    /// A tidy laboratory on an ordinary day: Z' of most plates between 0.5 and 0.8.
    pub const ORDINARY: Self = Self {
        gain_sd: 0.12,
        background: 3000.0,
        background_sd: 0.08,
        multiplicative_sd: 0.07,
        additive_sd: 0.004,
        edge_loss: 0.08,
        tilt: 0.03,
        dose_sd: 0.05,
        failed_dispense: 0.002,
        outliers: 0.002,
        noisy_plates: 0.03,
        positive_viability: 0.01,
    };

    /// Nothing goes wrong: readings are the truth, to the count.
    pub const NONE: Self = Self {
        gain_sd: 0.0,
        background: 3000.0,
        background_sd: 0.0,
        multiplicative_sd: 0.0,
        additive_sd: 0.0,
        edge_loss: 0.0,
        tilt: 0.0,
        dose_sd: 0.0,
        failed_dispense: 0.0,
        outliers: 0.0,
        noisy_plates: 0.0,
        positive_viability: 0.0,
    };
}

/// A screen to be simulated: every line with every pair, on as many plates as that takes, in replicates.
#[derive(Debug, Clone, PartialEq)]
pub struct Recipe {
    /// Seed of every random number.
    pub seed: u64,
    /// The plates.
    pub format: PlateFormat,
    /// The drug that lines are resistant to, in [`Recipe::drugs`].
    pub anchor: usize,
    /// The cell lines.
    pub lines: Vec<LineRecipe>,
    /// The drugs.
    pub drugs: Vec<DrugRecipe>,
    /// The pairs.
    pub pairs: Vec<PairRecipe>,
    /// How often everything is done.
    pub replicates: u32,
    /// Plates after which the screen stops, in the middle of a replicate but the first if need be; `None` for no limit.
    pub plate_limit: Option<usize>,
    /// Hours between the drugs and the reading.
    pub time_h: f64,
    /// What goes wrong.
    pub artefacts: Artefacts,
}

/// What every other planted pair gains in the second schedule: the anchor's shift of potency by the partner, as a factor.
const SCHEDULE_GAIN: f64 = 6.0;

impl Recipe {
    /// Gives this many pairs in a second schedule as well, the planted ones first: `pre-treatment`, or `simultaneous` for those that
    /// were a pre-treatment. Every other planted pair does more in it; independent pairs stay so.
    ///
    /// # Errors
    /// [`Error::Setting`] where there are not as many pairs; the recipe stays as it was.
    pub fn add_schedules(&mut self, pairs: usize) -> Result<()> {
        let there_are = self.pairs.len();
        if pairs > there_are {
            return Err(Error::Setting {
                key: "schedules".into(),
                problem: format!("{pairs} pairs in a second schedule are more than the {there_are} of the screen"),
                hint: Some(format!("ask for at most {there_are}, or for more pairs")),
            });
        }
        let is_planted = |pair: &usize| self.pairs[*pair].planted != Planted::None;
        let (planted, others): (Vec<usize>, Vec<usize>) = (0..there_are).partition(is_planted);
        for (n, pair) in planted.into_iter().chain(others).take(pairs).enumerate() {
            let mut again = self.pairs[pair].clone();
            again.schedule = if again.schedule == "pre-treatment" { "simultaneous" } else { "pre-treatment" };
            let draw = Stream::new(self.seed, pair as u32, 0, Purpose::Schedule);
            for interaction in &mut again.interactions {
                if *interaction != Interaction::NONE && n % 2 == 0 {
                    interaction.alpha21 *= SCHEDULE_GAIN * draw.between(0, 0.8, 1.25);
                }
            }
            self.pairs.push(again);
        }
        Ok(())
    }

    /// The true surface of a pair in a line; doses in µM. `None` where the recipe has no such pair or line.
    pub fn surface(&self, pair: usize, line: usize) -> Option<MusycSurface> {
        let pair = self.pairs.get(pair)?;
        let first = self.drugs.get(pair.drug_a)?.responses.get(line)?;
        let second = self.drugs.get(pair.drug_b)?.responses.get(line)?;
        Some(MusycSurface::new(*first, *second, *pair.interactions.get(line)?))
    }

    /// Checks that the parts fit each other and that every number can be computed with.
    ///
    /// # Errors
    /// [`Error::Setting`] naming the part that does not fit.
    pub fn check(&self) -> Result<()> {
        let problem = |part: &str, name: &str, problem: &str| {
            Err(Error::setting(format!("recipe.{part}"), format!("`{name}` {problem}")))
        };
        for (part, empty) in [("lines", self.lines.is_empty()), ("pairs", self.pairs.is_empty())] {
            if empty {
                return Err(Error::setting(format!("recipe.{part}"), "there are none"));
            }
        }
        if self.replicates == 0 || self.drugs.get(self.anchor).is_none() {
            return Err(Error::setting("recipe", "there is no replicate or no anchor drug"));
        }
        let time_is_sane = self.time_h > 0.0 && self.time_h.is_finite();
        for line in &self.lines {
            let growth = self.time_h / line.doubling_time_h;
            if !(time_is_sane && line.signal_t0 > 0.0 && line.signal_t0 < 1e12 && growth.abs() < 60.0) {
                return problem("lines", &line.name, "has a signal or growth out of range");
            }
        }
        for drug in &self.drugs {
            let ascending = drug.doses_um.windows(2).all(|w| w[0] < w[1]);
            let in_range = drug.doses_um.iter().all(|dose| (1e-12..1e12).contains(dose));
            if drug.doses_um.is_empty() || !ascending || !in_range {
                return problem("drugs", &drug.name, "needs concentrations above zero in ascending order");
            }
            let sane = |c: &TrueCurve| {
                (1e-15..1e15).contains(&c.ec50_um)
                    && (0.01..100.0).contains(&c.hill)
                    && (0.0..=10.0).contains(&c.bottom)
            };
            if drug.responses.len() != self.lines.len() || !drug.responses.iter().all(sane) {
                return problem("drugs", &drug.name, "needs one true curve a line, with parameters in range");
            }
        }
        for pair in &self.pairs {
            let (Some(a), Some(b)) = (self.drugs.get(pair.drug_a), self.drugs.get(pair.drug_b)) else {
                return Err(Error::setting("recipe.pairs", "a pair names a drug that is not there"));
            };
            let sane = |i: &Interaction| {
                [i.alpha12, i.alpha21, i.gamma12, i.gamma21].iter().all(|v| (1e-6..1e6).contains(v))
                    && (-10.0..=1.0).contains(&i.extra_kill)
            };
            if pair.interactions.len() != self.lines.len() || !pair.interactions.iter().all(sane) {
                return problem("pairs", &b.name, "needs one interaction a line, with parameters in range");
            }
            let wells = (a.doses_um.len() + 1) * (b.doses_um.len() + 1);
            if wells > super::layout::sample_wells(self.format) {
                return problem("pairs", &b.name, "makes a dose matrix larger than a plate");
            }
        }
        Ok(())
    }
}
