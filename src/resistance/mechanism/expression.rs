//! Expression of markers against the parental line: densitometry of Western blots, ΔΔCt, and folds that were given.
//!
//! A replicate's log ratio is that of target to loading control in the line, less that in the parental line on the same
//! blot (in the same PCR run): only within a blot are intensities comparable. ΔΔCt after Livak and Schmittgen 2001
//! (doi 10.1006/meth.2001.1262), with a doubling a cycle. The fold is the mean of the replicates' log ratios, its interval
//! Student's t with a variance drawn towards that of the method as a whole ([`super::moderation`]).

use super::marker::{Direction, Marker, bare};
use super::moderation::Prior;
use crate::math::special::{f_upper_tail, normal_two_sided, t_quantile};
use crate::screen::measurement::{Measurement, Reading};
use std::collections::{BTreeMap, BTreeSet};

/// Probability below the upper end of a 95 % interval.
const UPPER_TAIL: f64 = 0.975;
/// The family-wise error that a line's calls are held to.
pub const ALPHA: f64 = 0.05;
/// Changes of less than 1.5-fold are not taken for a cause, however sure they are: log2.
pub const SMALLEST_LOG2: f64 = 0.584_962_500_721_156_2;
/// Within a factor of two either way expression counts as unchanged: log2.
pub const UNCHANGED_LOG2: f64 = 1.0;
/// Replicates without a signal that are needed before its absence is believed.
const SILENT_REPLICATES: usize = 2;

/// One marker on one line by one method, against the parental line.
#[derive(Debug, Clone, PartialEq)]
pub struct Expression {
    /// The line, as the file first calls it.
    pub line: String,
    /// The marker's usual name; as the file calls it where it is not known here.
    pub marker: String,
    /// The marker, where it is one whose change is a mechanism.
    pub known: Option<Marker>,
    /// `western_blot`, `qrt_pcr`, or what the file calls it.
    pub method: String,
    /// The parental line.
    pub parental: Option<String>,
    /// `same_replicate`: line and parent compared within each blot or run; `separate_replicates`: means compared; `given`.
    pub comparison: Option<&'static str>,
    /// Replicates behind the fold.
    pub n: u32,
    /// Rows that could not be used.
    pub n_left_out: u32,
    /// log2 of the fold.
    pub log2_fold: Option<f64>,
    /// Its standard error.
    pub standard_error: Option<f64>,
    /// Degrees of freedom of the standard error; infinite where an error was given without a number of replicates.
    pub degrees_of_freedom: Option<f64>,
    /// Its 95 % interval.
    pub interval: [Option<f64>; 2],
    /// Two-sided p of a fold of 1.
    pub p: Option<f64>,
    /// What cannot be told in numbers and yet is told: no signal at all on one side.
    pub silent: Option<Direction>,
    /// Why something is missing: `no_parental_line`, `no_parental_measurement`, `no_parental_in_replicate`,
    /// `parental_lines_differ`, `one_replicate`, `no_standard_error`, `no_spread`, `target_not_detected`,
    /// `target_not_detected_in_parent`, `target_partly_undetected`, `loading_control_zero`, `no_loading_control`,
    /// `no_target_intensity`, `no_reference_gene`, `no_reading`.
    pub reason: Option<&'static str>,
}

/// Rows of one line, marker and method.
type Group<'a> = Vec<&'a Measurement>;

/// What a line's rows come to, by replicate and loading control.
#[derive(Default)]
struct Values {
    /// Log ratios to the loading control, log2.
    detected: BTreeMap<(String, String), Vec<f64>>,
    silent: BTreeSet<(String, String)>,
    left_out: Vec<&'static str>,
    folds: Vec<(f64, Option<f64>, Option<u32>)>,
}

/// A fold before its variance is moderated.
struct Raw {
    log2: f64,
    /// Of a single difference of two replicates, with its degrees of freedom.
    variance: f64,
    degrees_of_freedom: f64,
    /// The square of the fold's standard error, in these variances.
    share: f64,
}

fn values(rows: &[&Measurement]) -> Values {
    let mut values = Values::default();
    for row in rows {
        let key = (row.replicate.to_lowercase(), bare(&row.loading_control));
        let ratio = match row.reading {
            Reading::Densitometry { target, loading } if target > 0.0 => libm::log2(target) - libm::log2(loading),
            Reading::ThresholdCycles { target: Some(target), reference } => reference - target,
            Reading::Densitometry { .. } | Reading::ThresholdCycles { .. } => {
                values.silent.insert(key);
                continue;
            }
            Reading::Fold { log2, log2_standard_error, n } => {
                values.folds.push((log2, log2_standard_error, n));
                continue;
            }
            Reading::Missing(reason) => {
                values.left_out.push(reason);
                continue;
            }
        };
        values.detected.entry(key).or_default().push(ratio);
    }
    values
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn sum_of_squares(values: &[f64]) -> f64 {
    let mean = mean(values);
    values.iter().map(|v| (v - mean) * (v - mean)).sum()
}

/// Every marker on every line that has a reading, against its parent; lines by name, then markers and methods. Lines that
/// serve as parents have no rows of their own. `parent_of` is asked where the rows name no parent.
pub fn expression(measurements: &[Measurement], parent_of: &dyn Fn(&str) -> Option<String>) -> Vec<Expression> {
    let mut groups: BTreeMap<(String, String, &str), Group> = BTreeMap::new();
    for row in measurements {
        let marker = Marker::parse(&row.marker).map_or_else(|| row.marker.to_uppercase(), |m| m.name().to_owned());
        groups.entry((row.line.to_lowercase(), marker, &row.method)).or_default().push(row);
    }
    let parents: BTreeSet<String> = measurements
        .iter()
        .filter_map(|row| row.parental.clone().or_else(|| parent_of(&row.line)))
        .map(|parent| parent.to_lowercase())
        .collect();
    let mut rows = Vec::new();
    for ((line, marker, method), group) in &groups {
        let named: BTreeSet<String> =
            group.iter().filter_map(|row| row.parental.as_ref()).map(|p| p.to_lowercase()).collect();
        let parent = match group.iter().find_map(|row| row.parental.clone()) {
            Some(parent) => Some(parent),
            None => parent_of(&group[0].line),
        }
        .filter(|parent| !parent.eq_ignore_ascii_case(line));
        let own = values(group);
        if parent.is_none() && parents.contains(line) {
            continue;
        }
        let mut row = Expression {
            line: group[0].line.clone(),
            marker: marker.clone(),
            known: Marker::parse(marker),
            method: (*method).to_owned(),
            parental: parent.clone(),
            comparison: None,
            n: 0,
            n_left_out: own.left_out.len() as u32,
            log2_fold: None,
            standard_error: None,
            degrees_of_freedom: None,
            interval: [None; 2],
            p: None,
            silent: None,
            reason: None,
        };
        let raw = if named.len() > 1 {
            row.reason = Some("parental_lines_differ");
            None
        } else if own.folds.is_empty() {
            let of_parent = parent.as_ref().map(|parent| {
                let key = (parent.to_lowercase(), marker.clone(), *method);
                groups.get(&key).map_or_else(Values::default, |rows| values(rows))
            });
            compare(&mut row, &own, of_parent.as_ref())
        } else {
            given(&mut row, &own)
        };
        rows.push((row, raw));
    }
    moderate(&mut rows);
    rows.into_iter().map(|(row, _)| row).collect()
}

/// Folds that were given: one with its own standard error, or several as replicates, whose spread counts.
fn given(row: &mut Expression, own: &Values) -> Option<Raw> {
    row.comparison = Some("given");
    if let [(log2, error, n)] = own.folds[..] {
        row.n = n.unwrap_or(1);
        row.log2_fold = Some(log2);
        match (error, n) {
            (Some(_), Some(1)) => row.reason = Some("one_replicate"),
            (Some(error), n) => {
                row.degrees_of_freedom = Some(n.map_or(f64::INFINITY, |n| f64::from(n) - 1.0));
                row.standard_error = Some(error);
            }
            (None, Some(n)) if n > 1 => row.reason = Some("no_standard_error"),
            (None, _) => row.reason = Some("one_replicate"),
        }
        return None;
    }
    let ratios: Vec<f64> = own.folds.iter().map(|(log2, ..)| *log2).collect();
    paired(row, &ratios)
}

fn paired(row: &mut Expression, ratios: &[f64]) -> Option<Raw> {
    let n = ratios.len() as f64;
    row.n = ratios.len() as u32;
    row.log2_fold = Some(mean(ratios));
    if ratios.len() < 2 {
        row.reason = Some("one_replicate");
        return None;
    }
    let variance = sum_of_squares(ratios) / (n - 1.0);
    Some(Raw { log2: mean(ratios), variance, degrees_of_freedom: n - 1.0, share: 1.0 / n })
}

fn compare(row: &mut Expression, own: &Values, parent: Option<&Values>) -> Option<Raw> {
    let first_cause = |values: &Values, otherwise| Some(values.left_out.first().copied().unwrap_or(otherwise));
    let Some(parent) = parent else {
        row.reason = Some("no_parental_line");
        return None;
    };
    if own.detected.is_empty() && own.silent.is_empty() {
        row.reason = first_cause(own, "no_reading");
        return None;
    }
    if parent.detected.is_empty() && parent.silent.is_empty() {
        row.reason = first_cause(parent, "no_parental_measurement");
        return None;
    }
    // An absent band has no logarithm; leaving its replicate out would raise the mean.
    if !own.silent.is_empty() || !parent.silent.is_empty() {
        let is_enough = own.silent.len().max(parent.silent.len()) >= SILENT_REPLICATES
            && own.detected.len().max(parent.detected.len()) >= SILENT_REPLICATES;
        row.n = (own.silent.len() + own.detected.len()) as u32;
        (row.silent, row.reason) = match (own.detected.is_empty(), parent.detected.is_empty()) {
            (true, false) if parent.silent.is_empty() && is_enough => {
                (Some(Direction::Down), Some("target_not_detected"))
            }
            (false, true) if own.silent.is_empty() && is_enough => {
                (Some(Direction::Up), Some("target_not_detected_in_parent"))
            }
            _ => (None, Some("target_partly_undetected")),
        };
        return None;
    }
    let mut ratios: BTreeMap<&str, Vec<f64>> = BTreeMap::new();
    for ((replicate, control), values) in &own.detected {
        if let Some(others) = parent.detected.get(&(replicate.clone(), control.clone())) {
            ratios.entry(replicate).or_default().push(mean(values) - mean(others));
        }
    }
    let is_named = |values: &Values| values.detected.keys().any(|(replicate, _)| !replicate.is_empty());
    let named = is_named(own) && is_named(parent);
    if named && !ratios.is_empty() {
        row.comparison = Some("same_replicate");
        row.n_left_out +=
            own.detected.keys().filter(|(replicate, _)| !ratios.contains_key(replicate.as_str())).count() as u32;
        // Two loading controls of one blot are no two blots.
        let ratios: Vec<f64> = ratios.values().map(|ratios| mean(ratios)).collect();
        return paired(row, &ratios);
    }
    if named && row.method == "western_blot" {
        row.reason = Some("no_parental_in_replicate");
        return None;
    }
    separate(row, own, parent)
}

/// Means of replicates that were not measured side by side, within the loading control that has most of them.
fn separate(row: &mut Expression, own: &Values, parent: &Values) -> Option<Raw> {
    let of_control = |values: &Values, control: &str| -> Vec<f64> {
        let mut all = Vec::new();
        for ((replicate, other), values) in &values.detected {
            if other == control {
                // Rows of a named replicate are technical repeats; rows without a name are replicates themselves.
                if replicate.is_empty() { all.extend(values) } else { all.push(mean(values)) }
            }
        }
        all
    };
    let controls: BTreeSet<&str> = own.detected.keys().map(|(_, control)| control.as_str()).collect();
    let best = controls
        .into_iter()
        .map(|control| (of_control(own, control), of_control(parent, control)))
        .filter(|(ours, theirs)| !ours.is_empty() && !theirs.is_empty())
        .max_by_key(|(ours, theirs)| ours.len().min(theirs.len()));
    let Some((ours, theirs)) = best else {
        row.reason = Some("no_parental_measurement");
        return None;
    };
    row.comparison = Some("separate_replicates");
    row.n = ours.len().min(theirs.len()) as u32;
    let log2 = mean(&ours) - mean(&theirs);
    row.log2_fold = Some(log2);
    let degrees_of_freedom = (ours.len() + theirs.len()) as f64 - 2.0;
    if ours.len() < 2 || theirs.len() < 2 {
        row.reason = Some("one_replicate");
        return None;
    }
    let pooled = (sum_of_squares(&ours) + sum_of_squares(&theirs)) / degrees_of_freedom;
    // The variance of a difference of two single replicates, so that both comparisons speak of one thing.
    let share = 0.5 * (1.0 / ours.len() as f64 + 1.0 / theirs.len() as f64);
    Some(Raw { log2, variance: 2.0 * pooled, degrees_of_freedom, share })
}

/// Intervals and p, with variances moderated among all rows of a method.
fn moderate(rows: &mut [(Expression, Option<Raw>)]) {
    let methods: BTreeSet<String> = rows.iter().map(|(row, _)| row.method.clone()).collect();
    for method in methods {
        let of_method = || rows.iter().filter(|(row, _)| row.method == method).filter_map(|(_, raw)| raw.as_ref());
        let variances: Vec<(f64, f64)> = of_method().map(|raw| (raw.variance, raw.degrees_of_freedom)).collect();
        let prior = Prior::of(&variances);
        for (row, raw) in rows.iter_mut().filter(|(row, _)| row.method == method) {
            if let Some(raw) = raw {
                let own = (raw.variance, raw.degrees_of_freedom);
                let (variance, freedom) = prior.map_or(own, |prior| prior.moderate(own.0, own.1));
                row.log2_fold = Some(raw.log2);
                if variance > 0.0 {
                    row.standard_error = Some((variance * raw.share).sqrt());
                    row.degrees_of_freedom = Some(freedom);
                } else {
                    row.reason = Some("no_spread");
                }
            }
            infer(row);
        }
    }
}

fn infer(row: &mut Expression) {
    let (Some(log2), Some(error), Some(freedom)) = (row.log2_fold, row.standard_error, row.degrees_of_freedom) else {
        return;
    };
    let t = log2 / error;
    let (quantile, p) = if freedom.is_finite() {
        (t_quantile(UPPER_TAIL, freedom), f_upper_tail(t * t, 1.0, freedom))
    } else {
        (Some(1.959_963_984_540_054), normal_two_sided(t))
    };
    let Some(quantile) = quantile.filter(|q| q.is_finite()) else { return };
    row.interval = [Some(log2 - quantile * error), Some(log2 + quantile * error)];
    row.p = Some(p);
}

/// What a change amounts to: `p` is adjusted for all that was tested on the line.
pub fn direction(log2: Option<f64>, interval: [Option<f64>; 2], p: Option<f64>) -> Direction {
    let is_sure = p.is_some_and(|p| p <= ALPHA);
    match (log2, interval) {
        (Some(log2), _) if is_sure && log2 >= SMALLEST_LOG2 => Direction::Up,
        (Some(log2), _) if is_sure && log2 <= -SMALLEST_LOG2 => Direction::Down,
        (_, [Some(low), Some(high)]) if low > -UNCHANGED_LOG2 && high < UNCHANGED_LOG2 => Direction::Unchanged,
        _ => Direction::Open,
    }
}
