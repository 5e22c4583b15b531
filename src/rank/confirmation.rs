//! The next experiment: for the best pairs, the matrix that would confirm them, with as many replicates as it takes.
//!
//! Doses lie about the window where synergy was best in the line that showed it most, at half the steps (on a log scale)
//! of the screen, each drug alone and the untreated included. The effect to be found again is the excess in that window,
//! drawn back by what the ranking says of the pair's score: the best window of a noisy screen looks better than it is.
//! The noise is that of the screen's wells.
//!
//! Power is of a two-sided test at 5 % of the mean Bliss excess over the new matrix, whose error is that of its
//! combinations and of the single doses that each is compared with: with `r` replicates and `n x n` combinations,
//! `sigma² / r (1 / n² + 2 / n v²)`, `v` being the viability that the other drug leaves (at most 1, which is assumed).

use super::meta_analysis::NORMAL_975;
use super::{RankSettings, RankedPair};
use crate::math::special::normal_two_sided;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::synergy::MatrixScore;

/// Pairs that are worth confirming at a time.
const PAIRS: usize = 5;
/// Doses of each drug, besides none.
pub const DOSES: usize = 5;
/// Replicates at least and at most.
const REPLICATES: [u32; 2] = [3, 12];
/// The power that is asked for.
const POWER: f64 = 0.9;
/// Steps finer than this are below what dispensers and cells tell apart, natural log.
const FINEST_STEP: f64 = 0.346_573_590_279_972_65;

/// The reason of a line that is measured for comparison, of which nothing is expected.
pub const COMPARISON: &str = "comparison_line";

/// One pair to be confirmed in one line.
#[derive(Debug, Clone, PartialEq)]
pub struct Confirmation {
    /// Rank of the pair.
    pub rank: usize,
    /// The drugs.
    pub drugs: [NameId; 2],
    /// The schedule, where the screen names any.
    pub schedule: Option<NameId>,
    /// The line: the resistant one that showed the pair most, then its parent.
    pub line: NameId,
    /// Molar doses of each drug, ascending, without zero.
    pub doses: [Vec<f64>; 2],
    /// Replicates of every dose pair.
    pub n_replicates: u32,
    /// The mean excess that is to be found again.
    pub expected_excess: Option<f64>,
    /// Its standard error with these replicates.
    pub standard_error: f64,
    /// Probability to find it.
    pub power: Option<f64>,
    /// `more_replicates_than_are_practical` where the power asked for is not reached; `comparison_line` for the parent, of
    /// which nothing is expected.
    pub reason: Option<&'static str>,
}

/// What to do next for the best pairs, in their order; pairs of which nothing is to be confirmed (no synergy, no window, no
/// noise, three drugs) are passed over.
pub fn confirmations(
    pairs: &[RankedPair],
    scores: &[MatrixScore],
    settings: &RankSettings,
    is_resistant: impl Fn(NameId) -> bool,
    screen: &Screen,
) -> Vec<Confirmation> {
    let mut found = Vec::new();
    let worth = |pair: &&RankedPair| pair.drug_c.is_none() && pair.score.is_some_and(|score| score > 0.0);
    let mut confirmed = 0;
    for pair in pairs.iter().filter(worth) {
        if confirmed == PAIRS {
            break;
        }
        let of_pair = |m: &&MatrixScore| {
            (m.key.drug_a, m.key.drug_b, m.key.schedule) == (pair.drug_a, pair.drug_b, pair.schedule)
        };
        let peak = |m: &MatrixScore| m.scores.get(settings.model).and_then(|s| s.peak).filter(|peak| *peak > 0.0);
        let any_resistant = scores.iter().filter(of_pair).any(|m| is_resistant(m.key.line));
        let name = |m: &MatrixScore| (screen.lines.name(m.key.line), m.key.block.map(|b| screen.blocks.name(b)));
        let best = scores
            .iter()
            .filter(of_pair)
            .filter(|m| !any_resistant || is_resistant(m.key.line))
            .filter(|m| screen.annotation(m.key.line).status != Some(LineStatus::Normal))
            .filter_map(|m| Some((peak(m)?, m)))
            .max_by(|x, y| x.0.total_cmp(&y.0).then_with(|| name(y.1).cmp(&name(x.1))));
        let Some((peak, matrix)) = best else { continue };
        let Some(sigma) = matrix.sigma.filter(|sigma| *sigma > 0.0 && sigma.is_finite()) else { continue };
        let Some(centre) = matrix.scores.get(settings.model).and_then(|s| Some([s.peak_dose_a?, s.peak_dose_b?]))
        else {
            continue;
        };
        let doses = [0, 1].map(|k| about(centre[k], &matrix.levels[k]));
        let drawn = |(score, drawn): (f64, f64)| (drawn / score).clamp(0.0, 1.0);
        let expected = peak * pair.score.zip(pair.shrunken_score).map_or(1.0, drawn);
        if expected <= 0.0 {
            continue;
        }
        let n = DOSES as f64;
        let error = |replicates: u32| sigma * ((1.0 / (n * n) + 2.0 / n) / f64::from(replicates)).sqrt();
        let power = |replicates: u32| {
            let z = expected / error(replicates);
            // The other side of the test is never reached by a positive effect.
            let upper = 0.5 * normal_two_sided(z - NORMAL_975);
            if z > NORMAL_975 { 1.0 - upper } else { upper }
        };
        let enough = (REPLICATES[0]..=REPLICATES[1]).find(|r| power(*r) >= POWER);
        let n_replicates = enough.unwrap_or(REPLICATES[1]);
        let parent = screen.annotation(matrix.key.line).parental.filter(|parent| *parent != matrix.key.line);
        confirmed += 1;
        for line in std::iter::once(matrix.key.line).chain(parent) {
            let is_target = line == matrix.key.line;
            found.push(Confirmation {
                rank: pair.rank,
                drugs: [pair.drug_a, pair.drug_b],
                schedule: pair.schedule,
                line,
                doses: doses.clone(),
                n_replicates,
                expected_excess: is_target.then_some(expected),
                standard_error: error(n_replicates),
                power: is_target.then(|| power(n_replicates)),
                reason: match (is_target, enough) {
                    (false, _) => Some(COMPARISON),
                    (true, None) => Some("more_replicates_than_are_practical"),
                    (true, Some(_)) => None,
                },
            });
        }
    }
    found
}

/// Doses about a centre, at half the step that the levels have there on a log scale.
fn about(centre: f64, levels: &[f64]) -> Vec<f64> {
    let at = levels.iter().position(|level| *level >= centre * (1.0 - 1e-9)).unwrap_or(0);
    let steps = levels.windows(2).skip(at.saturating_sub(1)).take(2).map(|w| libm::log(w[1] / w[0]));
    let widest = steps.filter(|step| step.is_finite()).fold(0.0, f64::max);
    let step = (0.5 * widest).max(FINEST_STEP);
    let middle = (DOSES / 2) as f64;
    (0..DOSES).map(|i| centre * libm::exp(step * (i as f64 - middle))).collect()
}

/// The `confirmation` table.
pub fn table(rows: &[Confirmation], screen: &Screen) -> Table {
    let all = || rows.iter();
    let end = |k: usize, last: bool| {
        all().map(move |c| if last { c.doses[k].last() } else { c.doses[k].first() }.map(|dose| libm::log10(*dose)))
    };
    Table::new("confirmation")
        .integer("rank", all().map(|c| Some(c.rank as i64)))
        .text("drug_a", all().map(|c| Some(screen.drugs.name(c.drugs[0]))))
        .text("drug_b", all().map(|c| Some(screen.drugs.name(c.drugs[1]))))
        .text("schedule", all().map(|c| c.schedule.map(|s| screen.schedules.name(s))))
        .text("cell_line", all().map(|c| Some(screen.lines.name(c.line))))
        .number("log10_dose_a_low", end(0, false))
        .number("log10_dose_a_high", end(0, true))
        .number("log10_dose_b_low", end(1, false))
        .number("log10_dose_b_high", end(1, true))
        .integer("n_doses", all().map(|_| Some(DOSES as i64)))
        .integer("n_replicates", all().map(|c| Some(i64::from(c.n_replicates))))
        .number("expected_excess", all().map(|c| c.expected_excess))
        .number("se", all().map(|c| Some(c.standard_error)))
        .number("power", all().map(|c| c.power))
        .text("reason", all().map(|c| c.reason))
}
