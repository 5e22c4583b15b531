//! The table `interactions`: what fitted surfaces say of how two drugs act together, one row a parameter.

use super::MatrixScore;
use super::interaction::{Interaction, Profile, Surface};
use super::table::keyed;
use crate::model::{braid, musyc};
use crate::report::table::Table;
use crate::screen::Screen;

/// One row.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Row {
    /// As shown: decimal logarithms of doses and of fold changes.
    pub parameter: String,
    /// The estimate; null where the data do not tell it.
    pub value: Option<f64>,
    /// Its standard error, from the curvature at the minimum.
    pub standard_error: Option<f64>,
    /// 95 % interval by the profile likelihood: parameters of interaction alone have one.
    pub interval: [Option<f64>; 2],
    /// One-sided 95 % bounds, where a parameter of interaction is not told: at least, at most.
    pub bounds: [Option<f64>; 2],
    /// Why something is missing.
    pub reason: Option<&'static str>,
}

impl Interaction {
    /// A row for each parameter, and for what follows from them: MuSyC's `beta`, the share by which both drugs together
    /// do more than the better one (Wooten 2021), and BRAID's `kappa` in place of `epsilon`.
    pub fn rows(&self) -> Vec<Row> {
        let model = self.surface.model();
        let parameters = &self.fit.parameters;
        let mut rows = Vec::new();
        for (p, (name, unit)) in model.shown_parameters().into_iter().enumerate() {
            if !self.fit.status.is_fitted() {
                rows.push(Row { parameter: name, reason: self.fit.status.reason(), ..Row::default() });
                continue;
            }
            if self.surface.interactions().contains(&p) {
                let kappa = self.surface == Surface::Braid && p == braid::EPSILON;
                let shown = |x: f64| if kappa { 2.0 * x.exp() - 2.0 } else { x / unit };
                let name = if kappa { "kappa".to_owned() } else { name };
                rows.push(told(name, self.profiles.iter().find(|profile| profile.parameter == p), shown));
                continue;
            }
            let (error, reason) = self.standard_errors.get(p).copied().unwrap_or((None, None));
            rows.push(Row {
                parameter: name,
                value: Some(parameters[p] / unit),
                standard_error: error.map(|e| e / unit),
                reason: reason.or(error.is_none().then_some("unidentified")),
                ..Row::default()
            });
        }
        if self.surface != Surface::Braid {
            let [e0, better] = [parameters[0], parameters[musyc::E1].min(parameters[musyc::E2])];
            let beta = (better - parameters[musyc::E3]) / (e0 - better);
            let beta = Some(beta).filter(|b| b.is_finite() && e0 > better && self.fit.status.is_fitted());
            let reason = if beta.is_some() { "no_interval" } else { "no_effect_alone" };
            rows.push(Row { parameter: "beta".into(), value: beta, reason: Some(reason), ..Row::default() });
        }
        rows
    }
}

/// The row of a parameter of interaction.
fn told(parameter: String, profile: Option<&Profile>, shown: impl Fn(f64) -> f64) -> Row {
    let Some(profile) = profile else {
        return Row { parameter, reason: Some("no_noise_estimate"), ..Row::default() };
    };
    let interval = profile.interval.map(|end| end.map(&shown));
    let bounds = profile.bounds.map(|end| end.map(&shown));
    match (interval, bounds) {
        ([Some(_), Some(_)], _) => Row { parameter, value: Some(shown(profile.best)), interval, ..Row::default() },
        (_, [None, None]) => Row { parameter, reason: Some("not_identified"), ..Row::default() },
        _ => Row { parameter, bounds, reason: Some("one_sided"), ..Row::default() },
    }
}

/// How many rows a matrix has.
pub fn rows_of(score: &MatrixScore) -> usize {
    score.interactions.iter().map(|interaction| interaction.rows().len()).sum()
}

/// The table: one row a parameter of each fitted surface. Doses molar, effects viability fractions. `alpha12` is the fold
/// change of the second drug's potency by the first one (above 1, a decimal logarithm above 0: synergy), `alpha21` the
/// reverse. A parameter of interaction that the data do not tell is null: `one_sided` where they say at least or at most,
/// `not_identified` where they say nothing.
pub fn interactions_table(scores: &[MatrixScore], screen: &Screen) -> Table {
    let all: Vec<(&MatrixScore, &Interaction, Row)> = scores
        .iter()
        .flat_map(|score| score.interactions.iter().map(move |interaction| (score, interaction)))
        .flat_map(|(score, interaction)| interaction.rows().into_iter().map(move |row| (score, interaction, row)))
        .collect();
    keyed("interactions", screen, all.iter().map(|(score, ..)| &score.key))
        .code("model", all.iter().map(|(_, interaction, _)| Some(interaction.surface.model().name())))
        .code("status", all.iter().map(|(_, interaction, _)| Some(interaction.fit.status.name())))
        .integer("n_points", all.iter().map(|(_, interaction, _)| Some(interaction.points as i64)))
        .number(
            "sse",
            all.iter().map(|(_, interaction, _)| interaction.fit.status.is_fitted().then_some(interaction.fit.sse)),
        )
        .code("parameter", all.iter().map(|(.., row)| Some(row.parameter.clone())))
        .number("value", all.iter().map(|(.., row)| row.value))
        .number("se", all.iter().map(|(.., row)| row.standard_error))
        .number("ci_low", all.iter().map(|(.., row)| row.interval[0]))
        .number("ci_high", all.iter().map(|(.., row)| row.interval[1]))
        .number("at_least", all.iter().map(|(.., row)| row.bounds[0]))
        .number("at_most", all.iter().map(|(.., row)| row.bounds[1]))
        .code("reason", all.iter().map(|(.., row)| row.reason))
}
