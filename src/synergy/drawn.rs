//! What draws said of each matrix, kept from an earlier run of the same matrices, fits, seed and number of draws.

use super::departure::CellDeparture;
use super::draws::Sampler;
use super::{MatrixScore, Score, SynergyModel};

/// One matrix under one model.
#[derive(Debug, Clone, PartialEq)]
pub struct DrawnScore {
    /// Standard error, interval, tests and their reason; nothing of what the data say without draws.
    pub score: Score,
    /// By cell of the matrix.
    pub departures: Vec<Option<CellDeparture>>,
}

/// Some models, all matrices.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Drawn {
    /// By model, by matrix.
    pub models: Vec<(SynergyModel, Vec<DrawnScore>)>,
    /// By matrix: [`MatrixScore::flags`] after the draws.
    pub flags: Vec<String>,
}

impl Drawn {
    /// What was drawn under a model.
    pub fn of(&self, model: SynergyModel) -> Option<&[DrawnScore]> {
        self.models.iter().find(|(other, _)| *other == model).map(|(_, scores)| scores.as_slice())
    }

    /// The models of a list that nothing was drawn under.
    pub fn lacking(&self, models: &[SynergyModel]) -> Vec<SynergyModel> {
        models.iter().copied().filter(|model| self.of(*model).is_none()).collect()
    }
}

/// Scores under some of the models alone, as if no other had been asked for.
pub fn restricted(scores: &[MatrixScore], models: &[SynergyModel], wanted: &[SynergyModel]) -> Vec<MatrixScore> {
    let places: Vec<usize> =
        wanted.iter().filter_map(|wanted| models.iter().position(|model| model == wanted)).collect();
    let of = |matrix: &MatrixScore| {
        let mut matrix = matrix.clone();
        matrix.scores = places.iter().filter_map(|m| matrix.scores.get(*m).cloned()).collect();
        for cell in &mut matrix.cells {
            cell.expected = places.iter().map(|m| cell.expected.get(*m).copied().flatten()).collect();
            cell.excess = places.iter().map(|m| cell.excess.get(*m).copied().flatten()).collect();
            cell.departures = places.iter().map(|m| cell.departures.get(*m).copied().flatten()).collect();
        }
        matrix
    };
    scores.iter().map(of).collect()
}

/// Puts what draws said into `scores`, model by model: out of `drawn`, or out of `fresh`, the [`restricted`] scores of
/// the others with draws. Flags come in the order in which a run of all models together raises them.
pub fn add_drawn(scores: &mut [MatrixScore], models: &[SynergyModel], drawn: &Drawn, fresh: &[MatrixScore]) {
    let lacking = drawn.lacking(models);
    for (i, matrix) in scores.iter_mut().enumerate() {
        let archived: Vec<&str> = drawn.flags.get(i).map_or("", String::as_str).split(';').collect();
        let raised: Vec<&str> = fresh.get(i).map_or("", |fresh| fresh.flags.as_str()).split(';').collect();
        let mut flags = Vec::new();
        for (m, model) in models.iter().enumerate() {
            let untested = format!("no_cell_tests_{}", model.name());
            let known = match drawn.of(*model).and_then(|scores| scores.get(i)) {
                Some(known) => {
                    if archived.contains(&untested.as_str()) {
                        flags.push(untested);
                    }
                    Some((&known.score, known.departures.clone()))
                }
                None => {
                    if raised.contains(&untested.as_str()) {
                        flags.push(untested);
                    }
                    let place = lacking.iter().position(|other| other == model);
                    fresh.get(i).zip(place).and_then(|(fresh, place)| {
                        let departures = fresh.cells.iter().map(|cell| cell.departures.get(place).copied().flatten());
                        Some((fresh.scores.get(place)?, departures.collect()))
                    })
                }
            };
            let Some((said, departures)) = known else { continue };
            if let Some(score) = matrix.scores.get_mut(m) {
                take(score, said);
            }
            for (cell, departure) in matrix.cells.iter_mut().zip(departures) {
                if let Some(place) = cell.departures.get_mut(m) {
                    *place = departure;
                }
            }
        }
        let of_draws = |flag: &&&str| Sampler::FLAGS.contains(*flag);
        let source = if lacking.is_empty() { &archived } else { &raised };
        flags.extend(source.iter().filter(of_draws).map(|flag| (*flag).to_owned()));
        flags.iter().for_each(|flag| matrix.add_flag(flag));
    }
}

/// Takes over what draws say, and leaves what the data say.
fn take(score: &mut Score, drawn: &Score) {
    score.standard_error = drawn.standard_error;
    score.degrees_of_freedom = drawn.degrees_of_freedom;
    score.p = drawn.p;
    score.q = drawn.q;
    score.ci_low = drawn.ci_low;
    score.ci_high = drawn.ci_high;
    score.mean_r_f = drawn.mean_r_f;
    score.mean_r_p = drawn.mean_r_p;
    score.mean_r_q = drawn.mean_r_q;
    score.max_r = drawn.max_r;
    score.max_r_p = drawn.max_r_p;
    score.p_null = drawn.p_null;
    score.q_null = drawn.q_null;
    score.reason = drawn.reason;
}
