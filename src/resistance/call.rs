//! Fold resistance of each line to each drug, and from the anchor's fold the call.

use super::Resistance;
use crate::fit::Fit;
use crate::fit::inference::Inference;
use crate::math::special::t_quantile;
use crate::screen::Screen;
use crate::screen::dose_matrix::Curve;
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use std::collections::{BTreeMap, BTreeSet};

/// Lines needed before their median stands in for a sensitive reference that nobody named.
const PANEL_LINES: usize = 3;
/// Standard error of a median over that of a mean, for normal values.
const MEDIAN_EFFICIENCY: f64 = 1.253_314_137_315_500_3;

/// An IC50 or what is known of it; log10 molar.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Potency {
    /// A value, its standard error, degrees of freedom.
    Known { log10: f64, error: Option<f64>, degrees_of_freedom: f64 },
    /// Above this dose, the highest tested.
    Above(f64),
    /// Below this dose, the lowest tested.
    Below(f64),
    /// Nothing, and why.
    Unknown(&'static str),
}

/// One line's response to one drug.
#[derive(Debug, Clone, Copy)]
struct Response {
    potency: Potency,
    censored: &'static str,
    reason: Option<&'static str>,
    n_wells: u32,
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
/// (`uncertain`) where it straddles.
///
/// Where a drug was used on several schedules, the one with curves on the most lines is compared (ties: the one
/// with most wells, then the first by name), so that like is compared with like. The three slices run side by side.
pub fn call(
    curves: &[Curve],
    fits: &[Fit],
    inferences: &[Inference],
    screen: &Screen,
    anchor: Option<NameId>,
    resistant_fold: f64,
) -> Vec<Resistance> {
    let n = curves.len().min(fits.len()).min(inferences.len());
    let mut by_drug: BTreeMap<NameId, BTreeMap<Option<NameId>, BTreeMap<NameId, Response>>> = BTreeMap::new();
    for i in 0..n {
        let key = curves[i].key;
        let lines = by_drug.entry(key.drug).or_default().entry(key.schedule).or_default();
        lines.entry(key.line).or_insert_with(|| response(&inferences[i]));
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
                results.push(blank(line, drug, "other_schedule"));
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
                    median(chosen.iter().filter(|(other, _)| panel(other)).map(|(_, r)| r.potency).collect())
                }
            };
            results.push(compare(line, drug, parent, own, reference));
        }
    }
    if let Some(anchor) = anchor {
        let seen: BTreeSet<NameId> = results.iter().filter(|r| r.drug == anchor).map(|r| r.line).collect();
        let unseen = (0..screen.lines.len() as NameId).filter(|line| !seen.contains(line));
        results.extend(
            unseen.map(|line| Resistance { parental: parent(screen, line), ..blank(line, anchor, "no_anchor_curve") }),
        );
    }
    for result in &mut results {
        (result.status, result.status_source) = match anchor {
            None => (None, "no_anchor"),
            Some(anchor) if anchor != result.drug => (None, "not_anchor"),
            Some(_) => match screen.annotation(result.line).status {
                Some(status) => (Some(status), "annotated"),
                None if named_parents.contains(&result.line) => (Some(LineStatus::Parental), "named_as_parent"),
                None => from_interval(result, resistant_fold),
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
    } else if result.ci_low.is_some() || result.ci_high.is_some() {
        (None, "uncertain")
    } else {
        (None, "no_fold")
    }
}

fn blank(line: NameId, drug: NameId, reason: &'static str) -> Resistance {
    Resistance {
        line,
        drug,
        log10_ic50: None,
        log10_ic50_se: None,
        ic50_censored: "none",
        parental: None,
        fold_resistance: None,
        ci_low: None,
        ci_high: None,
        status: None,
        status_source: "no_anchor",
        reason: Some(reason),
    }
}

fn response(inference: &Inference) -> Response {
    let reason = inference.status.reason().or(inference.reason).or(inference.ic50_reason);
    let potency = match (inference.log10_ic50, inference.ic50_censored) {
        (Some(log10), _) => Potency::Known {
            log10,
            error: inference.log10_ic50_se,
            degrees_of_freedom: f64::from(inference.degrees_of_freedom.unwrap_or(0)),
        },
        (None, "above") => inference.log10_dose_high.map_or(Potency::Unknown("no_dose_range"), Potency::Above),
        (None, "below") => inference.log10_dose_low.map_or(Potency::Unknown("no_dose_range"), Potency::Below),
        // The IC50's own reason says most; a fit without any has its status.
        (None, _) => Potency::Unknown(inference.ic50_reason.or(reason).unwrap_or("no_ic50")),
    };
    Response { potency, censored: inference.ic50_censored, reason, n_wells: inference.n_points }
}

/// The median of a panel. Censored IC50s take their place beyond all others; only a finite median is a reference.
fn median(panel: Vec<Potency>) -> Potency {
    let mut values: Vec<f64> = panel
        .iter()
        .filter_map(|p| match p {
            Potency::Known { log10, .. } => Some(*log10),
            Potency::Above(_) => Some(f64::INFINITY),
            Potency::Below(_) => Some(f64::NEG_INFINITY),
            Potency::Unknown(_) => None,
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 {
        return Potency::Unknown("no_reference");
    }
    let (low, high) = (values[(n - 1) / 2], values[n / 2]);
    if !low.is_finite() || !high.is_finite() {
        return Potency::Unknown("reference_ic50_censored");
    }
    let log10 = 0.5 * (low + high);
    if n == 1 {
        return panel
            .into_iter()
            .find(|p| matches!(p, Potency::Known { .. }))
            .unwrap_or(Potency::Unknown("no_reference"));
    }
    let known: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count;
    let deviation = (known.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (count - 1.0)).sqrt();
    // One or two finite values have no spread worth the name: an interval from them would span the world.
    let error = (known.len() > 2).then(|| MEDIAN_EFFICIENCY * deviation / (n as f64).sqrt());
    Potency::Known { log10, error, degrees_of_freedom: count - 1.0 }
}

fn compare(line: NameId, drug: NameId, parental: Option<NameId>, own: &Response, reference: Potency) -> Resistance {
    use Potency::{Above, Below, Known, Unknown};
    let (log10_ic50, log10_ic50_se) = match own.potency {
        Known { log10, error, .. } => (Some(log10), error),
        _ => (None, None),
    };
    let fold = |log10: f64| Some(libm::exp10(log10)).filter(|f| f.is_finite());
    let (mut fold_resistance, mut ci_low, mut ci_high) = (None, None, None);
    // The half width of a one-sided statement is that of the side whose value is known.
    let reason = match (own.potency, reference) {
        (Unknown(reason), _) => Some(reason),
        (_, Unknown(reason)) => Some(reason),
        (Known { log10: a, .. }, Known { log10: b, .. }) => {
            fold_resistance = fold(a - b);
            match half_width(&[own.potency, reference]) {
                Some(width) => {
                    (ci_low, ci_high) = (fold(a - b - width), fold(a - b + width));
                    None
                }
                None => Some("no_standard_error"),
            }
        }
        (Above(a), Known { log10: b, .. }) => {
            ci_low = half_width(&[reference]).and_then(|width| fold(a - b - width));
            Some("ic50_above_range")
        }
        (Below(a), Known { log10: b, .. }) => {
            ci_high = half_width(&[reference]).and_then(|width| fold(a - b + width));
            Some("ic50_below_range")
        }
        (Known { log10: a, .. }, Above(b)) => {
            ci_high = half_width(&[own.potency]).and_then(|width| fold(a - b + width));
            Some("reference_ic50_above_range")
        }
        (Known { log10: a, .. }, Below(b)) => {
            ci_low = half_width(&[own.potency]).and_then(|width| fold(a - b - width));
            Some("reference_ic50_below_range")
        }
        (Above(a), Below(b)) => {
            ci_low = fold(a - b);
            Some("ic50_above_range")
        }
        (Below(a), Above(b)) => {
            ci_high = fold(a - b);
            Some("ic50_below_range")
        }
        (Above(_), Above(_)) | (Below(_), Below(_)) => Some("both_ic50_out_of_range"),
    };
    Resistance {
        line,
        drug,
        log10_ic50,
        log10_ic50_se,
        ic50_censored: own.censored,
        parental,
        fold_resistance,
        ci_low,
        ci_high,
        status: None,
        status_source: "no_anchor",
        reason: reason.or(own.reason),
    }
}

/// Half the 95 % interval of a sum or difference of independent estimates, Student's t with Welch–Satterthwaite
/// degrees of freedom; `None` unless each has a standard error.
fn half_width(terms: &[Potency]) -> Option<f64> {
    let (mut variance, mut denominator) = (0.0, 0.0);
    for term in terms {
        let Potency::Known { error: Some(error), degrees_of_freedom, .. } = *term else { return None };
        let own = error * error;
        if own > 0.0 {
            denominator += own * own / degrees_of_freedom;
        }
        variance += own;
    }
    if variance == 0.0 {
        return Some(0.0);
    }
    let t = t_quantile(0.975, variance * variance / denominator)?;
    Some(t * variance.sqrt()).filter(|w| w.is_finite())
}
