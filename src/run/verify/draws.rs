//! Draws made anew for some of the matrices.

use super::{Verdict, Verification};
use crate::analysis::Analysis;
use crate::config::Settings;
use crate::math::random::uniform;
use crate::math::special::benjamini_hochberg;
use crate::screen::Screen;
use crate::synergy::{MatrixScore, Score};

/// Which matrices to draw: `n` of `of`, the same for the same seed.
pub(super) fn sample(of: usize, n: usize, seed: u64) -> Vec<bool> {
    let mut order: Vec<(f64, usize)> = (0..of).map(|i| (uniform(seed, i as u64, 0, 0), i)).collect();
    order.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
    let mut chosen = vec![false; of];
    order.into_iter().take(n).for_each(|(_, i)| chosen[i] = true);
    chosen
}

/// Scores as they are before draws.
pub(super) fn without_draws(scores: &[MatrixScore]) -> Vec<MatrixScore> {
    let mut scores = scores.to_vec();
    for matrix in &mut scores {
        for score in &mut matrix.scores {
            let Score { score: value, unflagged, peak, peak_efficacy, top_decile, volume, boxed, .. } = *score;
            let (peak_dose_a, peak_dose_b) = (score.peak_dose_a, score.peak_dose_b);
            let reason = if value.is_some() { Some("not_resampled") } else { score.reason };
            *score = Score {
                score: value,
                unflagged,
                peak,
                peak_efficacy,
                top_decile,
                volume,
                boxed,
                peak_dose_a,
                peak_dose_b,
                reason,
                ..Score::default()
            };
        }
        matrix.cells.iter_mut().for_each(|cell| cell.departures.iter_mut().for_each(|one| *one = None));
    }
    scores
}

/// Compares what draws say of the sampled matrices with the archive's, which the analysis has.
pub(super) fn draws(
    analysis: &Analysis,
    drawn: &[MatrixScore],
    only: &[bool],
    settings: &Settings,
    screen: &Screen,
    found: &mut Verification,
) {
    let matrices = analysis.scores.iter();
    for (m, model) in settings.synergy.iter().enumerate() {
        // Over all matrices, drawn or not: they follow from the p.
        let q_of = |p: fn(&Score) -> Option<f64>| {
            benjamini_hochberg(&matrices.clone().map(|matrix| p(&matrix.scores[m])).collect::<Vec<_>>())
        };
        let is_of = |of: Vec<Option<f64>>, q: fn(&Score) -> Option<f64>| {
            matrices.clone().zip(of).all(|(matrix, of)| q(&matrix.scores[m]).map(f64::to_bits) == of.map(f64::to_bits))
        };
        let all = [
            ("q", is_of(q_of(|s| s.p), |s| s.q)),
            ("mean_r_q", is_of(q_of(|s| s.mean_r_p), |s| s.mean_r_q)),
            ("q_null", is_of(q_of(|s| s.p_null), |s| s.q_null)),
        ];
        for (name, _) in all.iter().filter(|(_, agrees)| !agrees) {
            let what = format!("`{name}` of {}", model.name());
            found.add(what, Verdict::Differs, "does not follow from the p of the matrices");
        }
    }
    if only.iter().any(|drawn| !drawn) {
        let why = "the screen's own null takes the draws of every matrix";
        found.add("`p_null`", Verdict::NotChecked, why);
    }
    let sampled = || (0..only.len()).filter(|i| only[*i]);
    let n = sampled().count();
    for (m, model) in settings.synergy.iter().enumerate() {
        let numbers = |score: &Score| {
            [
                score.standard_error,
                score.degrees_of_freedom,
                score.p,
                score.ci_low,
                score.ci_high,
                score.mean_r_f,
                score.mean_r_p,
                score.max_r,
                score.max_r_p,
            ]
        };
        let differs = |i: usize| {
            let (old, new) = (&analysis.scores[i].scores[m], &drawn[i].scores[m]);
            let cells = analysis.scores[i].cells.iter().zip(&drawn[i].cells);
            let bits = |score: &Score| numbers(score).map(|number| number.map(f64::to_bits));
            bits(old) != bits(new)
                || old.reason != new.reason
                || cells.into_iter().any(|(a, b)| a.departures.get(m) != b.departures.get(m))
        };
        let differing: Vec<usize> = sampled().filter(|i| differs(*i)).collect();
        let what = format!("draws of {}", model.name());
        match differing.first() {
            None => found.add(what, Verdict::Agrees, format!("{n} of {} matrices drawn anew agree", only.len())),
            Some(first) => {
                let key = analysis.scores[*first].key;
                let name = format!(
                    "{} + {} in {}",
                    screen.drugs.name(key.drug_a),
                    screen.drugs.name(key.drug_b),
                    screen.lines.name(key.line)
                );
                let detail = format!("{} of {n} matrices drawn anew differ, the first {name}", differing.len());
                found.add(what, Verdict::Differs, detail);
            }
        }
    }
}
