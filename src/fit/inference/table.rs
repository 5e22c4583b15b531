//! The `curves` table: one row a curve, a column for each parameter of whatever model was fitted.

use super::growth::{append_growth_columns, growth_metrics_of_curves};
use super::intervals::{Interval, Quantiles};
use super::{Inference, IntervalKind, Intervals, ResponseClass};
use crate::fit::Fit;
use crate::model::{Axis, ModelId};
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::dose_matrix::Curve;
use std::borrow::Cow;
use std::f64::consts::LN_10;
use std::rc::Rc;

/// The 95 % interval of a parameter on the log-dose axis is weak from this width on.
const WEAK_DECADES: f64 = 2.0;
/// That of a parameter whose box reaches both sides of zero, from this share of the box on: 1 for a plateau of viability,
/// which is all there is between untreated and dead cells.
const WEAK_SHARE_OF_BOX: f64 = 0.25;

/// The `curves` table: `cell_line`, `drug`, `schedule`, then [`append_columns`], and [`append_growth_columns`] where the
/// model is that of growth rates. The three slices run side by side;
/// rows beyond the shortest are left out.
pub fn table(curves: &[Curve], fits: &[Fit], inferences: &[Inference], screen: &Screen, model: ModelId) -> Table {
    let n = curves.len().min(fits.len()).min(inferences.len());
    let (curves, fits, inferences) = (&curves[..n], &fits[..n], &inferences[..n]);
    let table = Table::new("curves")
        .text("cell_line", curves.iter().map(|c| Some(screen.lines.name(c.key.line))))
        .text("drug", curves.iter().map(|c| Some(screen.drugs.name(c.key.drug))))
        .text("schedule", curves.iter().map(|c| c.key.schedule.map(|s| screen.schedules.name(s))));
    let table = append_columns(table, fits, inferences, model);
    match model {
        ModelId::GrowthRate => append_growth_columns(table, &growth_metrics_of_curves(curves, fits)),
        _ => table,
    }
}

/// Adds the fit's columns to a table that has its key columns already. `reason` joins codes by `;`. Logarithmic parameters (`ln_…`) and their
/// standard errors are shown to base 10 (`log10_…`). Why a standard error is missing stands in `se_reason` as
/// `column:reason` codes joined by `;`.
///
/// `identifiability` names in the same way each parameter whose value is not to be relied on: the reason of its missing
/// standard error (`unidentified`, `at_bound`, `no_degrees_of_freedom`), or `weak`, where Wald's 95 % interval is too wide:
/// on the log-dose axis at least 2 decades; of a parameter that has one sign (a slope) down to zero or beyond; of any other
/// at least a quarter of the model's box (for a plateau 1, all of the way from untreated to dead). Null where there is
/// none, and where nothing was fitted (`status`, `reason`).
pub fn append_columns(table: Table, fits: &[Fit], inferences: &[Inference], model: ModelId) -> Table {
    append_columns_of(table, fits, inferences, &model.shown_parameters(), |_| model, |_, k| Some(k))
}

/// As [`append_columns`] where each row has a model of its own: the parameters of all of `set`, null where the row's
/// model (column `model`) has none of that name.
pub fn append_columns_of_models(
    table: Table,
    fits: &[Fit],
    inferences: &[Inference],
    models: &[ModelId],
    set: &[ModelId],
) -> Table {
    let mut shown: Vec<(String, f64)> = Vec::new();
    for parameter in set.iter().flat_map(|model| model.shown_parameters()) {
        if !shown.contains(&parameter) {
            shown.push(parameter);
        }
    }
    let names: Vec<(ModelId, Vec<(String, f64)>)> = set.iter().map(|m| (*m, m.shown_parameters())).collect();
    let table = table.code("model", models.iter().map(|m| Some(m.name())));
    let model_of = |row: usize| models[row];
    append_columns_of(table, fits, inferences, &shown, model_of, |row, k| {
        let (_, own) = names.iter().find(|(model, _)| *model == models[row])?;
        own.iter().position(|parameter| *parameter == shown[k])
    })
}

/// Whether a 95 % interval of this half width says next to nothing about a parameter.
fn is_weak(model: ModelId, parameter: usize, value: f64, half_width: f64) -> bool {
    let model = model.curve_model();
    let own = &model.parameters[parameter];
    let is_logarithm = own.axis == Axis::LnDose || (model.is_built_in && own.name.starts_with("ln_"));
    let has_one_sign = own.axis == Axis::Dose || own.bound.lower >= 0.0 || own.bound.upper <= 0.0;
    if is_logarithm {
        2.0 * half_width >= WEAK_DECADES * LN_10
    } else if has_one_sign {
        half_width >= value.abs()
    } else {
        2.0 * half_width >= WEAK_SHARE_OF_BOX * (own.bound.upper - own.bound.lower)
    }
}

/// What was said of the parameters of a curve before: few things are, of many curves.
#[derive(Default)]
struct Said {
    /// The code of each parameter shown, and all of it as text.
    known: Vec<(Vec<Option<&'static str>>, Rc<str>)>,
    /// The same for the curve at hand.
    codes: Vec<Option<&'static str>>,
}

impl Said {
    /// `parameter:code` of the parameters that have one, `;` between them.
    fn text<'a>(
        &mut self,
        parameters: usize,
        name: impl Fn(usize) -> &'a str,
        code: impl FnMut(usize) -> Option<&'static str>,
    ) -> Option<Rc<str>> {
        self.codes.clear();
        self.codes.extend((0..parameters).map(code));
        if self.codes.iter().all(Option::is_none) {
            return None;
        }
        if let Some((_, text)) = self.known.iter().find(|(codes, _)| *codes == self.codes) {
            return Some(text.clone());
        }
        let parts = self.codes.iter().enumerate().filter_map(|(k, code)| Some(format!("{}:{}", name(k), (*code)?)));
        let text: Rc<str> = parts.collect::<Vec<_>>().join(";").into();
        self.known.push((self.codes.clone(), text.clone()));
        Some(text)
    }
}

fn append_columns_of(
    mut table: Table,
    fits: &[Fit],
    inferences: &[Inference],
    shown: &[(String, f64)],
    model_of: impl Fn(usize) -> ModelId,
    of: impl Fn(usize, usize) -> Option<usize>,
) -> Table {
    let reason = |i: &Inference| -> Option<Cow<'static, str>> {
        let mut codes = [i.status.reason(), i.reason, i.area_reason].into_iter().flatten();
        let first = codes.next()?;
        let mut all = Cow::Borrowed(first);
        let mut last = first;
        for code in codes {
            if code != last {
                all = Cow::Owned(format!("{all};{code}"));
                last = code;
            }
        }
        Some(all)
    };
    table = table
        .code("status", inferences.iter().map(|i| Some(i.status.name())))
        .code("reason", inferences.iter().map(reason))
        .integer("n_points", inferences.iter().map(|i| Some(i64::from(i.n_points))))
        .integer("n_doses", inferences.iter().map(|i| Some(i64::from(i.n_doses))));
    for (k, (name, unit)) in shown.iter().enumerate() {
        // `infer` has checked fitted parameters for being numbers: without an sse they are not to be shown.
        let usable = |(row, (f, i)): (usize, (&Fit, &Inference))| {
            of(row, k).filter(|_| i.sse.is_some()).map(|parameter| f.parameters[parameter] / unit)
        };
        table = table.number(name, fits.iter().zip(inferences).enumerate().map(usable));
    }
    for (k, (name, unit)) in shown.iter().enumerate() {
        let error = |(row, i): (usize, &Inference)| i.standard_errors[of(row, k)?].map(|error| error / unit);
        table = table.number(&format!("se_{name}"), inferences.iter().enumerate().map(error));
    }
    let mut said = Said::default();
    let names = |k: usize| shown[k].0.as_str();
    let mut codes = |(row, i): (usize, &Inference)| {
        said.text(shown.len(), names, |k| of(row, k).and_then(|parameter| i.standard_error_reasons[parameter]))
    };
    let codes: Vec<_> = inferences.iter().enumerate().map(&mut codes).collect();
    let mut said = Said::default();
    let mut quantiles = Quantiles::new();
    let identifiability = |(row, (fit, i)): (usize, (&Fit, &Inference))| {
        let t = i.degrees_of_freedom.and_then(|freedom| quantiles.upper(freedom));
        said.text(shown.len(), names, |k| {
            let parameter = of(row, k)?;
            let is_weak = || {
                let error = i.standard_errors[parameter].zip(t);
                error.is_some_and(|(error, t)| is_weak(model_of(row), parameter, fit.parameters[parameter], t * error))
            };
            i.standard_error_reasons[parameter].or_else(|| is_weak().then_some("weak"))
        })
    };
    let identifiability: Vec<_> = fits.iter().zip(inferences).enumerate().map(identifiability).collect();
    table
        .code("se_reason", codes)
        .code("identifiability", identifiability)
        .number("sse", inferences.iter().map(|i| i.sse))
        .number("rmse", inferences.iter().map(|i| i.rmse))
        .number("r2", inferences.iter().map(|i| i.r2))
        .integer("degrees_of_freedom", inferences.iter().map(|i| i.degrees_of_freedom.map(i64::from)))
        .number("condition_number", inferences.iter().map(|i| i.condition_number))
        .number("p_value", inferences.iter().map(|i| i.p_value))
        .number("effect", inferences.iter().map(|i| i.effect))
        .code("class", inferences.iter().map(|i| i.class.map(ResponseClass::name)))
        .number("log10_ic50_absolute", inferences.iter().map(|i| i.log10_ic50))
        .number("se_log10_ic50_absolute", inferences.iter().map(|i| i.log10_ic50_se))
        .code("ic50_censored", inferences.iter().map(|i| Some(i.ic50_censored)))
        .code("ic50_reason", inferences.iter().map(|i| i.ic50_reason))
        .number("auc", inferences.iter().map(|i| i.auc))
        .number("auc_observed", inferences.iter().map(|i| i.auc_observed))
        .number("aac", inferences.iter().map(|i| i.aac))
        .number("dss1", inferences.iter().map(|i| i.dss.map(|d| d[0])))
        .number("dss2", inferences.iter().map(|i| i.dss.map(|d| d[1])))
        .number("dss3", inferences.iter().map(|i| i.dss.map(|d| d[2])))
        .number("dss1_pharmacogx", inferences.iter().map(|i| i.dss_pharmacogx.map(|d| d[0])))
        .number("dss2_pharmacogx", inferences.iter().map(|i| i.dss_pharmacogx.map(|d| d[1])))
        .number("dss3_pharmacogx", inferences.iter().map(|i| i.dss_pharmacogx.map(|d| d[2])))
        .code("refit", fits.iter().map(|f| Some(f.refit.name())))
}

/// Adds `ci_low_…`, `ci_high_…` of each parameter and of the absolute IC50, and `ci_reason`: why ends are missing, as
/// `column:reason` codes joined by `;`. Nothing where no intervals are wanted.
pub fn append_intervals(mut table: Table, kind: IntervalKind, intervals: &[Intervals], model: ModelId) -> Table {
    if kind == IntervalKind::None {
        return table;
    }
    let mut columns: Vec<(String, Vec<Interval>)> = Vec::new();
    for (k, name) in model.parameters().iter().enumerate() {
        let logarithm = name.strip_prefix("ln_");
        let shown = logarithm.map_or_else(|| (*name).to_owned(), |rest| format!("log10_{rest}"));
        let values = intervals.iter().map(|of| of.parameters[k].shown(logarithm.is_some())).collect();
        columns.push((shown, values));
    }
    columns.push(("log10_ic50_absolute".into(), intervals.iter().map(|of| of.log10_ic50).collect()));
    for (name, values) in &columns {
        table = table
            .number(&format!("ci_low_{name}"), values.iter().map(|interval| interval.low))
            .number(&format!("ci_high_{name}"), values.iter().map(|interval| interval.high));
    }
    let reasons = (0..intervals.len()).map(|row| {
        let mut codes = String::new();
        for (name, values) in &columns {
            if let Some(reason) = values[row].reason {
                let separator = if codes.is_empty() { "" } else { ";" };
                codes.push_str(&format!("{separator}{name}:{reason}"));
            }
        }
        (!codes.is_empty()).then_some(codes)
    });
    table.code("ci_reason", reasons)
}
