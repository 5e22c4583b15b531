//! Fold resistance of each line to each drug, and from the anchor's fold the call.

use super::potency::{Potency, WIDEST_DECADES, median};
use super::{RelativePotency, Resistance};
use crate::fit::Fit;
use crate::fit::inference::potency::{HALF_VIABILITY, IC50_MARGIN_DECADES};
use crate::fit::inference::{Inference, ResponseClass};
use crate::math::special::t_quantile;
use crate::model::ModelId;
use crate::screen::Screen;
use crate::screen::dose_matrix::Curve;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use std::collections::{BTreeMap, BTreeSet};
use std::f64::consts::LN_10;

/// Lines needed before their median stands in for a sensitive reference that nobody named.
const PANEL_LINES: usize = 3;
/// Probability below the upper end of a 95 % interval.
const UPPER_TAIL: f64 = 0.975;

/// One line's response to one drug.
#[derive(Debug, Clone, Copy)]
struct Response {
    potency: Potency,
    censored: &'static str,
    reason: Option<&'static str>,
    n_wells: u32,
    relative: RelativePotency,
    area: (Option<f64>, Option<&'static str>),
    log10_dose_range: [Option<f64>; 2],
}

/// Fold resistance for every (line, drug) that has a curve, and for the anchor on every line of the screen, ascending
/// by the names of drug and line.
///
/// The reference is the parent's IC50 of the same drug; for a line without a parent the median IC50 of the lines
/// that are annotated sensitive or parental or named as someone's parent; where nothing at all is annotated, the
/// median of the other lines, if there are at least three lines. The interval is of the difference of log10 IC50s,
/// with Welch–Satterthwaite degrees of freedom; the standard error of a panel's median is 1.2533 s / sqrt(n). A
/// censored IC50 gives a one-sided statement from the highest (lowest) dose tested: one of `ci_low` and `ci_high`.
///
/// The call, for the anchor only: what is annotated; else `parental` for a line that others name as parent; else
/// `resistant` where the whole interval lies above `resistant_fold`, `sensitive` where it lies below, and no status
/// (`uncertain`) where it straddles. [`Resistance::status_by_interval`] says what the interval alone would have said.
///
/// An IC50 beyond the doses tested that the curve only guesses at counts as beyond them ([`Potency::or_bound`]).
///
/// Where a drug was used on several schedules, the one with curves on the most lines is compared (ties: the one
/// with most wells, then the first by name), so that like is compared with like. The three slices run side by side.
pub fn call(
    curves: &[Curve],
    fits: &[Fit],
    inferences: &[Inference],
    model: ModelId,
    screen: &Screen,
    anchor: Option<NameId>,
    resistant_fold: f64,
) -> Vec<Resistance> {
    let n = curves.len().min(fits.len()).min(inferences.len());
    let mut by_drug: BTreeMap<NameId, BTreeMap<Option<NameId>, BTreeMap<NameId, Response>>> = BTreeMap::new();
    for i in 0..n {
        let key = curves[i].key;
        let lines = by_drug.entry(key.drug).or_default().entry(key.schedule).or_default();
        lines.entry(key.line).or_insert_with(|| response(&curves[i], &fits[i], &inferences[i], model));
    }
    let named_parents: BTreeSet<NameId> = (0..screen.lines.len() as NameId).filter_map(|l| parent(screen, l)).collect();
    let is_reference = |line: NameId| {
        matches!(screen.annotation(line).status, Some(LineStatus::Parental | LineStatus::Sensitive))
            || screen.annotation(line).status.is_none() && named_parents.contains(&line)
    };
    let nothing_annotated = named_parents.is_empty() && screen.annotations.iter().all(|a| a.status.is_none());

    let mut results = Vec::new();
    for (&drug, schedules) in &by_drug {
        let schedule = schedules.iter().min_by(|(a, in_a), (b, in_b)| {
            let name = |s: &Option<NameId>| s.map(|s| screen.schedules.name(s));
            let wells = |lines: &BTreeMap<NameId, Response>| lines.values().map(|r| u64::from(r.n_wells)).sum::<u64>();
            let by_lines = in_b.len().cmp(&in_a.len());
            by_lines.then_with(|| wells(in_b).cmp(&wells(in_a))).then_with(|| name(a).cmp(&name(b)))
        });
        let Some((_, chosen)) = schedule else { continue };
        let lines: BTreeSet<NameId> = schedules.values().flat_map(|lines| lines.keys().copied()).collect();
        for line in lines {
            let Some(own) = chosen.get(&line) else {
                results.push(Resistance::unknown(line, drug, "other_schedule"));
                continue;
            };
            let parent = parent(screen, line);
            let reference = match parent {
                Some(parent) => chosen.get(&parent).map_or(Potency::Unknown("no_parental_curve"), |r| r.potency),
                None => {
                    let panel = |other: &NameId| {
                        *other != line
                            && if nothing_annotated { lines_enough(chosen.len()) } else { is_reference(*other) }
                    };
                    let panel = chosen.iter().filter(|(other, _)| panel(other)).map(|(_, r)| r.potency);
                    median(&panel.collect::<Vec<_>>())
                }
            };
            results.push(compare(line, drug, parent, own, reference));
        }
    }
    if let Some(anchor) = anchor {
        let seen: BTreeSet<NameId> = results.iter().filter(|r| r.drug == anchor).map(|r| r.line).collect();
        let unseen = (0..screen.lines.len() as NameId).filter(|line| !seen.contains(line));
        results.extend(unseen.map(|line| Resistance {
            parental: parent(screen, line),
            ..Resistance::unknown(line, anchor, "no_anchor_curve")
        }));
    }
    for result in &mut results {
        let by_interval = from_interval(result, resistant_fold);
        result.status_by_interval = match (anchor, by_interval) {
            (Some(anchor), (status, source)) if anchor == result.drug => status.map_or(source, LineStatus::name),
            (Some(_), _) => "not_anchor",
            (None, _) => "no_anchor",
        };
        (result.status, result.status_source) = match anchor {
            None => (None, "no_anchor"),
            Some(anchor) if anchor != result.drug => (None, "not_anchor"),
            Some(_) => match screen.annotation(result.line).status {
                Some(status) => (Some(status), "annotated"),
                None if named_parents.contains(&result.line) => (Some(LineStatus::Parental), "named_as_parent"),
                None => by_interval,
            },
        };
    }
    results.sort_by_key(|r| (screen.drugs.name(r.drug), screen.lines.name(r.line)));
    results
}

fn lines_enough(lines: usize) -> bool {
    lines >= PANEL_LINES
}

/// The parent of a line; a line given as its own parent has none.
fn parent(screen: &Screen, line: NameId) -> Option<NameId> {
    screen.annotation(line).parental.filter(|parent| *parent != line)
}

fn from_interval(result: &Resistance, resistant_fold: f64) -> (Option<LineStatus>, &'static str) {
    if result.ci_low.is_some_and(|low| low > resistant_fold) {
        (Some(LineStatus::Resistant), "called")
    } else if result.ci_high.is_some_and(|high| high < resistant_fold) {
        (Some(LineStatus::Sensitive), "called")
    } else if result.fold_resistance.or(result.ci_low).or(result.ci_high).is_some() {
        (None, "uncertain")
    } else {
        (None, "no_fold")
    }
}

fn response(curve: &Curve, fit: &Fit, inference: &Inference, model: ModelId) -> Response {
    let reason = inference.status.reason().or(inference.reason).or(inference.ic50_reason);
    let potency = match (inference.log10_ic50, inference.ic50_censored) {
        (Some(log10), _) => Potency::Known {
            log10,
            standard_error: inference.log10_ic50_se,
            degrees_of_freedom: f64::from(inference.degrees_of_freedom.unwrap_or(0)),
        },
        (None, "above") => inference.log10_dose_high.map_or(Potency::Unknown("no_dose_range"), Potency::Above),
        (None, "below") => inference.log10_dose_low.map_or(Potency::Unknown("no_dose_range"), Potency::Below),
        // The IC50's own reason says most; a fit without any has its status.
        (None, _) => Potency::Unknown(inference.ic50_reason.or(reason).unwrap_or("no_ic50")),
    };
    let potency = match inference.sigma {
        Some(sigma) => potency.or_bound(&curve.points, HALF_VIABILITY, sigma),
        None => potency,
    };
    Response {
        potency,
        censored: match potency {
            Potency::Above(_) => "above",
            Potency::Below(_) => "below",
            Potency::Known { .. } | Potency::Unknown(_) => inference.ic50_censored,
        },
        reason,
        n_wells: inference.n_points,
        relative: relative_potency(fit, inference, model),
        area: match inference.aac {
            Some(aac) => (Some(aac), None),
            None => (None, inference.area_reason.or(reason).or(Some("no_area"))),
        },
        log10_dose_range: [inference.log10_dose_low, inference.log10_dose_high],
    }
}

/// The half-effect dose of a curve, as far as the data tell it: a flat line has none, and one beyond the doses tested
/// is the model's guess.
fn relative_potency(fit: &Fit, inference: &Inference, model: ModelId) -> RelativePotency {
    let unknown = |reason| RelativePotency { reason: Some(reason), ..RelativePotency::default() };
    let Some(place) = model.curve_model().names.iter().position(|name| *name == "ln_ec50") else {
        return unknown("model_without_ec50");
    };
    if !fit.status.is_fitted() {
        return unknown(fit.status.reason().unwrap_or("not_fitted"));
    }
    if inference.class != Some(ResponseClass::Responder) {
        return unknown(inference.reason.unwrap_or("not_a_responder"));
    }
    let log10 = fit.parameters[place] / LN_10;
    let is_inside = |low: f64, high: f64| log10 >= low - IC50_MARGIN_DECADES && log10 <= high + IC50_MARGIN_DECADES;
    if !inference.log10_dose_low.zip(inference.log10_dose_high).is_some_and(|(low, high)| is_inside(low, high)) {
        return unknown("outside_doses_tested");
    }
    let half_width = inference.standard_errors[place].and_then(|error| {
        let t = t_quantile(UPPER_TAIL, f64::from(inference.degrees_of_freedom?))?;
        Some(t * error / LN_10).filter(|width| width.is_finite())
    });
    match (half_width, inference.standard_error_reasons[place]) {
        (Some(width), _) if width > WIDEST_DECADES => unknown("unidentified"),
        (Some(width), _) => RelativePotency {
            log10_ec50: Some(log10),
            interval: [Some(log10 - width), Some(log10 + width)],
            reason: None,
        },
        // What the data do not tell is no number, however finely it is printed.
        (None, Some(reason @ ("at_bound" | "unidentified"))) => unknown(reason),
        (None, reason) => RelativePotency { log10_ec50: Some(log10), ..unknown(reason.unwrap_or("no_standard_error")) },
    }
}

fn compare(line: NameId, drug: NameId, parental: Option<NameId>, own: &Response, reference: Potency) -> Resistance {
    let ratio = own.potency.minus(reference);
    let is_vague = own.potency.log10().is_some() && own.potency.interval() == [None; 2];
    let vague = is_vague.then_some("ic50_not_identified");
    let [fold_resistance, ci_low, ci_high] = ratio.fold();
    Resistance {
        log10_ic50: own.potency.log10(),
        log10_ic50_se: own.potency.standard_error(),
        log10_ic50_interval: own.potency.interval(),
        ic50_censored: own.censored,
        relative: own.relative,
        aac: own.area.0,
        aac_reason: own.area.1,
        log10_dose_range: own.log10_dose_range,
        parental,
        reference,
        fold_resistance,
        ci_low,
        ci_high,
        p: ratio.p(),
        reason: ratio.reason.or(own.reason).or(vague).or(ratio.fold_reason()),
        ..Resistance::unknown(line, drug, "no_fold")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_vague_parent_is_why_the_fold_has_no_interval() {
        let own = Response {
            potency: Potency::Known { log10: -6.0, standard_error: Some(0.1), degrees_of_freedom: 8.0 },
            censored: "none",
            reason: None,
            n_wells: 20,
            relative: RelativePotency::default(),
            area: (Some(0.4), None),
            log10_dose_range: [Some(-9.0), Some(-5.0)],
        };
        let of = |error: f64| {
            let parent = Potency::Known { log10: -7.0, standard_error: Some(error), degrees_of_freedom: 8.0 };
            compare(0, 0, Some(1), &own, parent)
        };
        let (told, vague) = (of(0.1), of(8.0));
        assert!(told.ci_low.is_some() && told.ci_high.is_some() && told.reason.is_none(), "{told:?}");
        assert_eq!((vague.ci_low, vague.ci_high, vague.reason), (None, None, Some("unidentified")));
        assert!(vague.fold_resistance.is_some_and(|fold| (fold - 10.0).abs() < 1e-9), "{vague:?}");
    }
}
