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

    /// How p of a model's standardised scores is read off, once all matrices are in.
    pub fn reader(&mut self, index: usize) -> NullReader<'_> {
        let (members, shams) = (&mut self.members[index], &mut self.shams[index]);
        members.sort_by(f64::total_cmp);
        shams.sort_by(f64::total_cmp);
        let widening = match (middle(members), middle(shams)) {
            (Some(drawn), Some(measured)) if shams.len() >= FEWEST_SHAMS && drawn > 0.0 => (measured / drawn).max(1.0),
            _ => 1.0,
        };
        NullReader { members, widening }
    }
}

fn middle(sorted: &[f64]) -> Option<f64> {
    sorted.get(sorted.len() / 2).copied()
}

/// A null that is complete.
#[derive(Debug, Clone, Copy)]
pub struct NullReader<'a> {
    members: &'a [f64],
    widening: f64,
}

impl NullReader<'_> {
    /// Share of the null that lies at least as far from zero, the matrix itself counted in, `(1 + k) / (1 + n)` (Phipson &
    /// Smyth 2010, doi 10.2202/1544-6115.1585); `None` where there is no null.
    pub fn p(&self, t: f64) -> Option<f64> {
        let n = self.members.len();
        let beyond = n - self.members.partition_point(|member| *member < t.abs() / self.widening);
        (n > 0).then(|| (1 + beyond) as f64 / (1 + n) as f64)
    }
}

/// Fills [`super::Score::p_null`] of one model.
pub fn add_screen_null(scores: &mut [MatrixScore], model: usize, null: &mut ScreenNull) {
    let null = null.reader(model);
    for score in scores.iter_mut().filter_map(|matrix| matrix.scores.get_mut(model)) {
        let t = score.score.zip(score.standard_error).map(|(value, error)| value / error);
        score.p_null = t.and_then(|t| null.p(t));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::math::random::standard_normal;

    #[test]
    fn p_is_the_share_of_the_null_and_shams_that_scatter_more_widen_it() {
        let draws: Vec<f64> = (0..4_000).map(|i| standard_normal(1, 0, i, 0)).collect();
        let p_of = |model: SynergyModel, shams: usize| {
            let mut null = ScreenNull::new(1, 1);
            null.add(0, model, false, Some(2.0), &draws);
            (0..shams as u32).for_each(|i| null.add(0, model, true, Some(2.0 * standard_normal(2, 0, i, 0)), &[]));
            [-1.96, 100.0].map(|t| null.reader(0).p(t).unwrap_or(f64::NAN))
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
        assert_eq!(ScreenNull::new(1, 1).reader(0).p(1.0), None);
    }
}
