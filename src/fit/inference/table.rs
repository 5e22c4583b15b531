//! The `curves` table: one row a curve, a column for each parameter of whatever model was fitted.

use super::{Inference, ResponseClass};
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
pub fn append_columns(mut table: Table, fits: &[Fit], inferences: &[Inference], model: ModelId) -> Table {
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
    let shown = model.shown_parameters();
    for (k, (name, unit)) in shown.iter().enumerate() {
        // `infer` has checked fitted parameters for being numbers: without an sse they are not to be shown.
        let usable = |(f, i): (&Fit, &Inference)| i.sse.map(|_| f.parameters[k] / unit);
        table = table.number(name, fits.iter().zip(inferences).map(usable));
    }
    for (k, (name, unit)) in shown.iter().enumerate() {
        table = table
            .number(&format!("se_{name}"), inferences.iter().map(|i| i.standard_errors[k].map(|error| error / unit)));
    }
    let codes = |i: &Inference| {
        let codes: Vec<String> = shown
            .iter()
            .zip(i.standard_error_reasons)
            .filter_map(|((name, _), reason)| reason.map(|reason| format!("{name}:{reason}")))
            .collect();
        (!codes.is_empty()).then(|| codes.join(";"))
    };
    table
        .code("se_reason", inferences.iter().map(codes))
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
        .number("aac", inferences.iter().map(|i| i.aac))
        .number("dss1", inferences.iter().map(|i| i.dss.map(|d| d[0])))
        .number("dss2", inferences.iter().map(|i| i.dss.map(|d| d[1])))
        .number("dss3", inferences.iter().map(|i| i.dss.map(|d| d[2])))
        .code("refit", fits.iter().map(|f| Some(f.refit.name())))
}
