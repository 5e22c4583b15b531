//! The `curves` table: one row a curve, a column for each parameter of whatever model was fitted.

use super::intervals::Interval;
use super::{Inference, IntervalKind, Intervals, ResponseClass};
use crate::fit::Fit;
use crate::model::ModelId;
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::dose_matrix::Curve;

/// The `curves` table: `cell_line`, `drug`, `schedule`, then [`append_columns`]. The three slices run side by side;
/// rows beyond the shortest are left out.
pub fn table(curves: &[Curve], fits: &[Fit], inferences: &[Inference], screen: &Screen, model: ModelId) -> Table {
    let n = curves.len().min(fits.len()).min(inferences.len());
    let (curves, fits, inferences) = (&curves[..n], &fits[..n], &inferences[..n]);
    let table = Table::new("curves")
        .text("cell_line", curves.iter().map(|c| Some(screen.lines.name(c.key.line))))
        .text("drug", curves.iter().map(|c| Some(screen.drugs.name(c.key.drug))))
        .text("schedule", curves.iter().map(|c| c.key.schedule.map(|s| screen.schedules.name(s))));
    append_columns(table, fits, inferences, model)
}

/// Adds the fit's columns to a table that has its key columns already. `reason` joins codes by `;`. Logarithmic parameters (`ln_…`) and their
/// standard errors are shown to base 10 (`log10_…`). Why a standard error is missing stands in `se_reason` as
/// `column:reason` codes joined by `;`.
pub fn append_columns(table: Table, fits: &[Fit], inferences: &[Inference], model: ModelId) -> Table {
    append_columns_of(table, fits, inferences, &model.shown_parameters(), |_, k| Some(k))
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
    append_columns_of(table, fits, inferences, &shown, |row, k| {
        let (_, own) = names.iter().find(|(model, _)| *model == models[row])?;
        own.iter().position(|parameter| *parameter == shown[k])
    })
}

fn append_columns_of(
    mut table: Table,
    fits: &[Fit],
    inferences: &[Inference],
    shown: &[(String, f64)],
    of: impl Fn(usize, usize) -> Option<usize>,
) -> Table {
    let reason = |i: &Inference| {
        let mut codes: Vec<&str> = [i.status.reason(), i.reason, i.area_reason].into_iter().flatten().collect();
        codes.dedup();
        (!codes.is_empty()).then(|| codes.join(";"))
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
    let codes = |(row, i): (usize, &Inference)| {
        let mut codes = String::new();
        for (k, (name, _)) in shown.iter().enumerate() {
            if let Some(reason) = of(row, k).and_then(|parameter| i.standard_error_reasons[parameter]) {
                let separator = if codes.is_empty() { "" } else { ";" };
                codes.push_str(&format!("{separator}{name}:{reason}"));
            }
        }
        (!codes.is_empty()).then_some(codes)
    };
    table
        .code("se_reason", inferences.iter().enumerate().map(codes))
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
