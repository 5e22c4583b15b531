//! The screen's own null: what scores over their standard errors are where there is no synergy, whatever their
//! distribution. Its members are draws of the bootstrap: each matrix's fitted margins, the reference surface, its own
//! noise and its own noise estimate, scored by the same code. For Loewe, matrices of a drug with itself are additive by
//! definition, and were measured, not drawn: where there are several, and they scatter more than the draws, the null is
//! widened as much (the median ratio, as in Devlin & Roeder 1999, doi 10.1111/j.0006-341X.1999.00997.x).

use super::{MatrixScore, SynergyModel};

/// Numbers kept for each model: they tell a p of 1e-5 apart from nothing.
const MEMBERS: usize = 400_000;
/// Self-combinations from which their scatter is told.
const FEWEST_SHAMS: usize = 10;

/// Standardised scores without synergy, by model.
#[derive(Debug, Clone, PartialEq)]
pub struct ScreenNull {
    /// Members that each matrix gives.
    each: usize,
    members: Vec<Vec<f64>>,
    shams: Vec<Vec<f64>>,
}

impl ScreenNull {
    /// For so many models and matrices.
    pub fn new(models: usize, matrices: usize) -> Self {
        let each = MEMBERS.div_ceil(matrices.max(1));
        Self { each, members: vec![Vec::new(); models], shams: vec![Vec::new(); models] }
    }

    /// Takes in what one matrix's draws are, and what its own is if it cannot be synergistic.
    pub fn add(&mut self, index: usize, model: SynergyModel, is_sham: bool, own: Option<f64>, draws: &[f64]) {
        self.members[index].extend(draws.iter().take(self.each).map(|t| t.abs()));
        if is_sham && model == SynergyModel::Loewe {
            self.shams[index].extend(own.map(f64::abs));
        }
    }

    /// Sorts a model's members, widened where self-combinations scatter more.
    fn ready(&mut self, index: usize) -> (&[f64], f64) {
        let (members, shams) = (&mut self.members[index], &mut self.shams[index]);
        members.sort_by(f64::total_cmp);
        shams.sort_by(f64::total_cmp);
        let widening = match (middle(members), middle(shams)) {
            (Some(drawn), Some(measured)) if shams.len() >= FEWEST_SHAMS && drawn > 0.0 => (measured / drawn).max(1.0),
            _ => 1.0,
        };
        (members, widening)
    }
}

fn middle(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

/// Fills [`super::Score::p_null`] of one model: the share of the null that lies at least as far from zero, the matrix
/// itself counted in, `(1 + k) / (1 + n)` (Phipson & Smyth 2010, doi 10.2202/1544-6115.1585).
pub fn add_screen_null(scores: &mut [MatrixScore], model: usize, null: &mut ScreenNull) {
    let (members, widening) = null.ready(model);
    if members.is_empty() {
        return;
    }
    for matrix in scores {
        let Some(score) = matrix.scores.get_mut(model) else { continue };
        let t = score.score.zip(score.standard_error).map(|(value, error)| (value / error).abs() / widening);
        score.p_null = t.map(|t| {
            let beyond = members.len() - members.partition_point(|member| *member < t);
            (1 + beyond) as f64 / (1 + members.len()) as f64
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::standard_normal;
    use crate::screen::dose_matrix::MatrixKey;
    use crate::synergy::Score;

    fn matrix(score: f64, drug_b: u32) -> MatrixScore {
        let scores = vec![Score { score: Some(score), standard_error: Some(1.0), ..Score::default() }];
        let key = MatrixKey { block: None, line: 0, drug_a: 0, drug_b, schedule: None };
        let (interactions, flags, cells) = (Vec::new(), String::new(), Vec::new());
        let (efficacy, sigma, qc_burden) = (None, None, None);
        MatrixScore { key, n_cells: 9, n_wells: 9, scores, efficacy, sigma, qc_burden, interactions, flags, cells }
    }

    #[test]
    fn p_is_the_share_of_the_null_and_shams_that_scatter_more_widen_it() {
        let draws: Vec<f64> = (0..4_000).map(|i| standard_normal(1, 0, i, 0)).collect();
        let p_of = |model: SynergyModel, shams: usize| {
            let mut null = ScreenNull::new(1, 1);
            null.add(0, model, false, Some(2.0), &draws);
            (0..shams as u32).for_each(|i| null.add(0, model, true, Some(2.0 * standard_normal(2, 0, i, 0)), &[]));
            let mut scores = vec![matrix(1.96, 1), matrix(100.0, 1)];
            add_screen_null(&mut scores, 0, &mut null);
            [0, 1].map(|i: usize| scores[i].scores[0].p_null.unwrap_or(f64::NAN))
        };
        let [p, smallest] = p_of(SynergyModel::Loewe, 0);
        assert!((p - 0.05).abs() < 0.014, "{p}");
        assert_eq!(smallest, 1.0 / 4_001.0);
        // Twice the scatter makes 1.96 less than one standard deviation: 0.327.
        let [widened, _] = p_of(SynergyModel::Loewe, 400);
        assert!((widened - 0.327).abs() < 0.06, "{widened}");
        // Few shams say little, and under other models a drug with itself is not additive.
        assert_eq!(p_of(SynergyModel::Loewe, 9)[0], p);
        assert_eq!(p_of(SynergyModel::Bliss, 400)[0], p);
    }
}
