//! The table `interactions`: what fitted surfaces say of how two drugs act together, one row a parameter.

use super::MatrixScore;
use super::interaction::{Interaction, Surface};
use super::profile::Profile;
use super::table::keyed;
use crate::model::{braid, musyc};
use crate::report::table::Table;
use crate::screen::Screen;

/// One row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// As shown: decimal logarithms of doses and of fold changes.
    pub parameter: String,
    /// The estimate; null for a parameter of interaction that the data do not tell.
    pub value: Option<f64>,
    /// Its standard error, from the curvature at the minimum and the noise of the wells.
    pub standard_error: Option<f64>,
    /// 95 % interval by the profile likelihood: parameters of interaction alone have one.
    pub interval: [Option<f64>; 2],
    /// One-sided 95 % bound, where a parameter of interaction is told on one side: at least, at most.
    pub bounds: [Option<f64>; 2],
    /// Why something is missing.
    pub reason: Option<&'static str>,
}

impl Interaction {
    /// A row for each parameter, and for what follows from them: MuSyC's `beta`, the share by which both drugs together
    /// do more than the better one (Wooten 2021), and BRAID's `kappa` in place of `epsilon`.
    pub fn rows(&self) -> Vec<Row> {
        let model = self.surface.model();
        let mut rows: Vec<Row> = Vec::new();
        for (p, (name, unit)) in model.shown_parameters().into_iter().enumerate() {
            let is_kappa = matches!(self.surface, Surface::Braid | Surface::BraidFree) && p == braid::EPSILON;
            let row = Row { parameter: if is_kappa { "kappa".to_owned() } else { name }, ..Row::default() };
            let kappa = |epsilon: f64| 2.0 * epsilon.exp() - 2.0;
            let shown = |x: f64| if is_kappa { kappa(x) } else { x / unit };
            let value = self.fit.parameters[p];
            let (error, reason) = self.standard_errors.get(p).copied().unwrap_or((None, None));
            // By the delta method where it is not a multiple.
            let error = error.map(|e| if is_kappa { (kappa(value) + 2.0) * e } else { e / unit });
            rows.push(if !self.fit.status.is_fitted() {
                Row { reason: self.fit.status.reason(), ..row }
            } else if self.surface.interactions().contains(&p) {
                self.told(p, Row { standard_error: error, ..row }, shown)
            } else {
                let reason = reason.or(error.is_none().then_some("unidentified"));
                Row { value: Some(shown(value)), standard_error: error, reason, ..row }
            });
        }
        if matches!(self.surface, Surface::Musyc | Surface::MusycGamma) {
            rows.push(self.beta());
        }
        if self.surface.null_parameter().is_some() {
            let (delta_bic, nested) = (self.criterion.delta_bic, self.criterion.nested);
            for (parameter, value) in [
                ("delta_bic", delta_bic),
                ("braid_bic", nested.map(|nested| nested.bic)),
                ("braid_delta_bic", nested.map(|nested| nested.delta_bic)),
                ("braid_kappa", nested.map(|nested| nested.kappa)),
            ] {
                let reason = value.map_or(self.fit.status.reason().unwrap_or("not_finite"), |_| "no_interval");
                rows.push(Row { parameter: parameter.into(), value, reason: Some(reason), ..Row::default() });
            }
        }
        rows
    }

    /// A parameter of interaction, as far as its profile tells it.
    fn told(&self, parameter: usize, row: Row, shown: impl Fn(f64) -> f64) -> Row {
        let profiles = match &self.profiles {
            Ok(profiles) => profiles,
            Err(reason) => return Row { standard_error: None, reason: Some(reason), ..row },
        };
        told(row, profiles.iter().find(|profile| profile.parameter == parameter), shown)
    }

    /// MuSyC's `beta`; none where an effect that it is made of is not told.
    fn beta(&self) -> Row {
        let row = Row { parameter: "beta".into(), ..Row::default() };
        let p = &self.fit.parameters;
        let better = if p[musyc::E1] < p[musyc::E2] { musyc::E1 } else { musyc::E2 };
        let untold = |parameter: usize| match self.standard_errors.get(parameter) {
            Some((Some(_), _)) => None,
            Some((None, reason)) => Some(reason.unwrap_or("unidentified")),
            None => Some("unidentified"),
        };
        let reason = if !self.fit.status.is_fitted() {
            self.fit.status.reason()
        } else if p[0] <= p[better] {
            Some("no_effect_alone")
        } else {
            untold(musyc::E3).or(untold(better))
        };
        match reason {
            Some(reason) => Row { reason: Some(reason), ..row },
            None => {
                let beta = (p[better] - p[musyc::E3]) / (p[0] - p[better]);
                Row { value: Some(beta), reason: Some("no_interval"), ..row }
            }
        }
    }
}

/// A parameter of interaction, as far as its profile tells it: a value where that has two ends, a bound where it has one.
pub(super) fn told(row: Row, profile: Option<&Profile>, shown: impl Fn(f64) -> f64) -> Row {
    let silent = Row { value: None, standard_error: None, ..row.clone() };
    let Some(profile) = profile else {
        return Row { reason: Some("not_identified"), ..silent };
    };
    let interval = profile.interval.map(|end| end.map(&shown));
    let [at_least, at_most] = profile.bounds.map(|end| end.map(&shown));
    match interval {
        [Some(_), Some(_)] => {
            let reason = row.standard_error.is_none().then_some("unidentified");
            Row { value: Some(shown(profile.best)), interval, reason, ..row }
        }
        [Some(_), None] => Row { bounds: [at_least, None], reason: Some("one_sided"), ..silent },
        [None, Some(_)] => Row { bounds: [None, at_most], reason: Some("one_sided"), ..silent },
        [None, None] => Row { reason: Some("not_identified"), ..silent },
    }
}

/// How many rows a matrix has.
pub fn rows_of(score: &MatrixScore) -> usize {
    score.interactions.iter().map(|interaction| interaction.rows().len()).sum()
}

/// The table: one row a parameter of each fitted surface. Doses molar, effects viability fractions. `alpha12` is the fold
/// change of the second drug's potency by the first one (above 1, a decimal logarithm above 0: synergy), `alpha21` the
/// reverse. A parameter of interaction that the data do not tell is null: `one_sided` where they say at least or at most,
/// `not_identified` where they say nothing. `delta_bic` is how much lower the Bayesian information criterion is with
/// BRAID's kappa than without it (both without prior): above 0 the data ask for it. `braid_model` is the one that the
/// criterion chooses among six ([`super::nested_braid::NestedBraid`]), `braid_bic`, `braid_delta_bic` and `braid_kappa` its
/// own. `fit_reason` is that of the whole surface.
pub fn interactions_table(scores: &[MatrixScore], screen: &Screen) -> Table {
    let all: Vec<(&MatrixScore, &Interaction, Row)> = scores
        .iter()
        .flat_map(|score| score.interactions.iter().map(move |interaction| (score, interaction)))
        .flat_map(|(score, interaction)| interaction.rows().into_iter().map(move |row| (score, interaction, row)))
        .collect();
    let table = keyed("interactions", screen, all.iter().map(|(score, ..)| &score.key))
        .code("model", all.iter().map(|(_, interaction, _)| Some(interaction.surface.name())))
        .code("status", all.iter().map(|(_, interaction, _)| Some(interaction.fit.status.name())))
        .code("fit_reason", all.iter().map(|(_, interaction, _)| interaction.fit.status.reason()))
        .code(
            "braid_model",
            all.iter().map(|(_, interaction, _)| interaction.criterion.nested.map(|nested| nested.name)),
        )
        .integer("n_points", all.iter().map(|(_, interaction, _)| Some(interaction.points as i64)))
        .number(
            "sse",
            all.iter().map(|(_, interaction, _)| interaction.fit.status.is_fitted().then_some(interaction.fit.sse)),
        );
    with_rows(table, all.iter().map(|(.., row)| row))
}

/// Adds the columns of rows.
pub(super) fn with_rows<'a>(table: Table, rows: impl Iterator<Item = &'a Row> + Clone) -> Table {
    table
        .code("parameter", rows.clone().map(|row| Some(row.parameter.clone())))
        .number("value", rows.clone().map(|row| row.value))
        .number("se", rows.clone().map(|row| row.standard_error))
        .number("ci_low", rows.clone().map(|row| row.interval[0]))
        .number("ci_high", rows.clone().map(|row| row.interval[1]))
        .number("at_least", rows.clone().map(|row| row.bounds[0]))
        .number("at_most", rows.clone().map(|row| row.bounds[1]))
        .code("reason", rows.clone().map(|row| row.reason))
}
