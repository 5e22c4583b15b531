//! What the ranking takes of a dose matrix, so that combinations of two drugs and of three stand on the same footing.

use super::RankSettings;
use super::meta_analysis::Estimate;
use crate::resistance::resensitisation::Resensitisation;
use crate::screen::Screen;
use crate::screen::names::NameId;
use crate::screen::triple_matrix::TripleKey;
use crate::synergy::three::reference::Reference;
use crate::synergy::three::{TripleMatrixScore, TripleScore};
use crate::synergy::{MatrixScore, Score, SynergyModel};

/// What makes a combination one row of the ranking.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Combination {
    pub drug_a: NameId,
    pub drug_b: NameId,
    pub drug_c: Option<NameId>,
    pub schedule: Option<NameId>,
}

impl Combination {
    pub fn drugs(self) -> impl Iterator<Item = NameId> + Clone {
        [Some(self.drug_a), Some(self.drug_b), self.drug_c].into_iter().flatten()
    }
}

/// One matrix of a combination.
pub(super) struct RankedMatrix<'a> {
    pub combination: Combination,
    pub line: NameId,
    block: Option<NameId>,
    /// The score that ranks with its standard error, or why there is none.
    pub score: Result<Estimate, &'static str>,
    /// The scores of every model that may disagree about what the combination is.
    pub models: Vec<Option<f64>>,
    /// Of three drugs: the score against the best of the pairs within them.
    pub beyond_best_pair: Option<Estimate>,
    pub efficacy: Option<f64>,
    /// Mean kill in the window of the best synergy.
    pub peak_efficacy: Option<f64>,
    /// Wells in such a window, for want of the count itself.
    pub window_wells: f64,
    /// Noise of a single well.
    pub sigma: Option<f64>,
    pub n_wells: usize,
    /// Share of the wells that are doubtful.
    pub qc_burden: Option<f64>,
    /// The partner doses that speak for the matrix.
    pub resensitised: Option<&'a Resensitisation>,
}

/// The reference of three drugs that stands for a model of pairs, and whether it is another one.
pub(super) fn reference(model: SynergyModel) -> (Reference, bool) {
    match model {
        SynergyModel::Hsa => (Reference::Hsa, false),
        SynergyModel::Bliss => (Reference::Bliss, false),
        SynergyModel::Loewe => (Reference::Loewe, false),
        _ => (Reference::Bliss, true),
    }
}

fn window_wells(combinations: f64, n_wells: usize, n_cells: usize) -> f64 {
    (combinations * n_wells as f64 / (n_cells as f64).max(1.0)).max(1.0)
}

fn estimate(
    score: Option<f64>,
    standard_error: Option<f64>,
    degrees_of_freedom: f64,
    reason: Option<&'static str>,
) -> Result<Estimate, &'static str> {
    let value = score.filter(|value| value.is_finite()).ok_or(reason.unwrap_or("no_score"))?;
    Ok(Estimate { value, standard_error, degrees_of_freedom })
}

impl<'a> RankedMatrix<'a> {
    /// Of two drugs. `tails` are the degrees of freedom that the tails of the screen's scores leave to each
    /// ([`super::screen_tails`]).
    pub fn of_pair(
        matrix: &'a MatrixScore,
        settings: &RankSettings,
        tails: f64,
        resensitised: Option<&'a Resensitisation>,
    ) -> Self {
        let key = matrix.key;
        let own = matrix.scores.get(settings.model);
        let score = |s: &Score| {
            let degrees_of_freedom = s.degrees_of_freedom.unwrap_or(f64::INFINITY).min(tails);
            estimate(s.score, s.standard_error, degrees_of_freedom, s.reason)
        };
        Self {
            combination: Combination { drug_a: key.drug_a, drug_b: key.drug_b, drug_c: None, schedule: key.schedule },
            line: key.line,
            block: key.block,
            score: own.ok_or("model_not_scored").and_then(score),
            models: matrix.scores.iter().map(|s| s.score).collect(),
            beyond_best_pair: None,
            efficacy: matrix.efficacy,
            peak_efficacy: own.and_then(|s| s.peak_efficacy),
            window_wells: window_wells(9.0, matrix.n_wells, matrix.n_cells),
            sigma: matrix.sigma,
            n_wells: matrix.n_wells,
            qc_burden: matrix.qc_burden,
            resensitised,
        }
    }

    /// Of three drugs.
    pub fn of_triple(
        key: TripleKey,
        matrix: &'a TripleMatrixScore,
        settings: &RankSettings,
        tails: f64,
        resensitised: Option<&'a Resensitisation>,
    ) -> Self {
        let [drug_a, drug_b, drug_c] = key.drugs;
        let own = matrix.of(reference(settings.score_model).0);
        let score = |s: &TripleScore| {
            estimate(s.score, s.standard_error, (matrix.degrees_of_freedom as f64).min(tails), s.reason)
        };
        Self {
            combination: Combination { drug_a, drug_b, drug_c: Some(drug_c), schedule: key.schedule },
            line: key.line,
            block: key.block,
            score: score(own),
            models: [Reference::Hsa, Reference::Bliss, Reference::Loewe].map(|r| matrix.of(r).score).to_vec(),
            beyond_best_pair: score(matrix.of(Reference::BestPair)).ok(),
            efficacy: matrix.efficacy,
            peak_efficacy: own.peak_efficacy,
            window_wells: window_wells(27.0, matrix.n_wells, matrix.n_cells),
            sigma: matrix.sigma,
            n_wells: matrix.n_wells,
            qc_burden: matrix.qc_burden,
            resensitised,
        }
    }

    /// An order by names, then by the numbers themselves: sums of floats depend on their order, whatever the input's was.
    pub fn order<'s>(&self, screen: &'s Screen) -> impl Ord + use<'s> {
        let own = self.score.ok().map(|score| score.value.to_bits());
        (screen.lines.name(self.line), self.block.map(|block| screen.blocks.name(block)), own, self.n_wells)
    }
}
