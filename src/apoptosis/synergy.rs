//! Bliss excess on apoptosis for each line and pair, and whether viability says the same.
//!
//! The excess is taken within each biological replicate, with its own single agents and vehicle, and the interval is
//! Student's t over replicates: whatever varies between experiments is in it. A single replicate with counted cells has
//! a binomial interval, which knows nothing of that and is flagged (`binomial_only`).

use super::{ApoptosisSample, binomial_variance};
use crate::math::special::{benjamini_hochberg, f_upper_tail, normal_two_sided, t_quantile};
use crate::screen::dose::DOSE_TOLERANCE;
use std::collections::{BTreeMap, BTreeSet};

/// Probability below the upper end of a 95 % interval.
const UPPER_TAIL: f64 = 0.975;
/// The 97.5 % quantile of the standard normal distribution.
const NORMAL_975: f64 = 1.959_963_984_540_054;
/// Fewer shared dose pairs than this have no correlation worth the name.
const FEWEST_SHARED: usize = 4;

/// What viability says of a line and pair.
#[derive(Debug, Clone, PartialEq)]
pub struct ViabilitySynergy {
    /// The line.
    pub line: String,
    /// The drugs.
    pub drugs: [String; 2],
    /// The schedule.
    pub schedule: Option<String>,
    /// Mean excess and its 95 % interval.
    pub score: Option<f64>,
    /// See `score`.
    pub interval: [Option<f64>; 2],
    /// Molar doses of the two drugs and the excess there.
    pub cells: Vec<(f64, f64, f64)>,
}

/// One line and pair.
#[derive(Debug, Clone, PartialEq)]
pub struct ApoptosisSynergy {
    /// The line.
    pub line: String,
    /// The drugs.
    pub drugs: [String; 2],
    /// The schedule.
    pub schedule: Option<String>,
    /// Dose pairs with an excess.
    pub n_cells: usize,
    /// Replicates with an excess.
    pub n_replicates: usize,
    /// Mean excess over dose pairs and replicates, a fraction of all cells.
    pub score: Option<f64>,
    /// 95 % interval.
    pub interval: [Option<f64>; 2],
    /// Two-sided p of no excess.
    pub p: Option<f64>,
    /// Benjamini–Hochberg over the rows.
    pub q: Option<f64>,
    /// The largest excess of a dose pair (the mean over its replicates), and its molar doses.
    pub peak: Option<(f64, f64, f64)>,
    /// Viability's mean excess.
    pub viability_score: Option<f64>,
    /// Its interval.
    pub viability_interval: [Option<f64>; 2],
    /// Dose pairs that both readouts have.
    pub n_shared: usize,
    /// Pearson's correlation of the excesses over them.
    pub correlation: Option<f64>,
    /// Why there is none: `too_few_shared_doses`, `no_variation`, `no_viability_matrix`.
    pub correlation_reason: Option<&'static str>,
    /// Whether both means have the same sign.
    pub same_sign: Option<bool>,
    /// `concordant`, `discordant` (both intervals clear of zero), `apoptosis_only`, `viability_only`, `neither`; `unknown`
    /// where one of them has no interval.
    pub concordance: &'static str,
    /// Codes joined by `;`: `binomial_only`, `one_replicate`, `replicates_unnamed`, `no_single_agents`,
    /// `single_agents_of_other_replicates`, `no_viability_matrix`, and those of samples left out.
    pub flags: String,
}

type Pair = (String, [String; 2], Option<String>);
type Dose = u64;

fn bits(dose: f64) -> Dose {
    dose.to_bits()
}

/// Mean of the samples of one dose, and what a binomial error needs.
#[derive(Debug, Clone, Copy, Default)]
struct Effect {
    corrected: f64,
    raw: f64,
    n: f64,
    events: Option<f64>,
}

impl Effect {
    fn add(&mut self, sample: &ApoptosisSample, corrected: f64) {
        use crate::screen::quadrants::Quadrants;
        let events = match sample.row.quadrants {
            Quadrants::Known { events, .. } => events,
            Quadrants::Missing(_) => None,
        };
        self.events = if self.n == 0.0 { events } else { self.events.zip(events).map(|(a, b)| a + b) };
        self.corrected += corrected;
        self.raw += sample.apoptotic.unwrap_or(0.0);
        self.n += 1.0;
    }

    fn mean(&self) -> f64 {
        self.corrected / self.n
    }

    fn variance(&self) -> Option<f64> {
        Some(binomial_variance(self.raw / self.n, self.events?))
    }
}

/// One replicate of one line and pair.
#[derive(Default)]
struct Replicate {
    singles: [BTreeMap<Dose, Effect>; 2],
    cells: BTreeMap<(Dose, Dose), Effect>,
    vehicle: Option<(f64, f64)>,
}

/// Bliss excess of every line and pair, by their names. `anchor` is the first drug of its pairs.
pub fn synergy(samples: &[ApoptosisSample], viability: &[ViabilitySynergy], anchor: &str) -> Vec<ApoptosisSynergy> {
    let is_anchor = |drug: &str| drug.eq_ignore_ascii_case(anchor);
    let mut pairs: BTreeMap<Pair, ()> = BTreeMap::new();
    for sample in samples {
        if let [Some(a), Some(b)] = &sample.row.drugs {
            let mut drugs = [a.clone(), b.clone()];
            let by_name = drugs[0].to_lowercase() > drugs[1].to_lowercase();
            if is_anchor(&drugs[1]) || by_name && !is_anchor(&drugs[0]) {
                drugs.swap(0, 1);
            }
            pairs.insert((sample.row.line.clone(), drugs, sample.row.schedule.clone()), ());
        }
    }
    let mut rows: Vec<ApoptosisSynergy> = pairs.into_keys().map(|pair| of_pair(pair, samples, viability)).collect();
    let q = benjamini_hochberg(&rows.iter().map(|row| row.p).collect::<Vec<_>>());
    for (row, q) in rows.iter_mut().zip(q) {
        row.q = q;
    }
    rows
}

fn of_pair(pair: Pair, samples: &[ApoptosisSample], viability: &[ViabilitySynergy]) -> ApoptosisSynergy {
    let (line, drugs, schedule) = pair;
    let mut flags: BTreeSet<&'static str> = BTreeSet::new();
    let mut replicates: BTreeMap<String, Replicate> = BTreeMap::new();
    let same = |a: &Option<String>, b: &str| a.as_ref().is_some_and(|a| a.eq_ignore_ascii_case(b));
    for sample in samples.iter().filter(|sample| sample.row.line.eq_ignore_ascii_case(&line)) {
        let row = &sample.row;
        let place = [0, 1].map(|k| (0..2).find(|&at| same(&row.drugs[at], &drugs[k])));
        let n_drugs = row.drugs.iter().flatten().count();
        let is_schedule = row.schedule == schedule || n_drugs < 2 && (row.schedule.is_none() || schedule.is_none());
        let is_own = place.iter().flatten().count() == n_drugs && is_schedule;
        if !is_own {
            continue;
        }
        let Some(corrected) = sample.corrected else {
            flags.extend(sample.reason);
            continue;
        };
        let replicate = replicates.entry(row.replicate.to_lowercase()).or_default();
        match place {
            [None, None] => {
                replicate.vehicle = sample.vehicle.zip(match row.quadrants {
                    crate::screen::quadrants::Quadrants::Known { events, .. } => events,
                    _ => None,
                });
            }
            [Some(a), Some(b)] => {
                let key = (bits(row.doses[a]), bits(row.doses[b]));
                replicate.cells.entry(key).or_default().add(sample, corrected);
            }
            [Some(at), None] => replicate.singles[0].entry(bits(row.doses[at])).or_default().add(sample, corrected),
            [None, Some(at)] => replicate.singles[1].entry(bits(row.doses[at])).or_default().add(sample, corrected),
        }
    }
    let mut all: [BTreeMap<Dose, Effect>; 2] = Default::default();
    for (k, singles) in all.iter_mut().enumerate() {
        for (dose, effect) in replicates.values().flat_map(|replicate| &replicate.singles[k]) {
            let sum = singles.entry(*dose).or_default();
            sum.corrected += effect.mean();
            sum.n += 1.0;
        }
    }
    let mut by_cell: BTreeMap<(Dose, Dose), Vec<f64>> = BTreeMap::new();
    let mut means = Vec::new();
    for replicate in replicates.values() {
        let mut own = Vec::new();
        for (&(a, b), effect) in &replicate.cells {
            let single = |k: usize, dose: Dose, flags: &mut BTreeSet<&'static str>| {
                let own = replicate.singles[k].get(&dose);
                if own.is_none() && all[k].contains_key(&dose) {
                    flags.insert("single_agents_of_other_replicates");
                }
                own.or_else(|| all[k].get(&dose)).map(Effect::mean)
            };
            match (single(0, a, &mut flags), single(1, b, &mut flags)) {
                (Some(x), Some(y)) => {
                    let excess = effect.mean() - (x + y - x * y);
                    own.push(excess);
                    by_cell.entry((a, b)).or_default().push(excess);
                }
                _ => {
                    flags.insert("no_single_agents");
                }
            }
        }
        if !own.is_empty() {
            means.push(mean(&own));
        }
    }
    let estimate = estimate(&means, &replicates, &mut flags);
    let cells: Vec<(f64, f64, f64)> =
        by_cell.iter().map(|(&(a, b), excess)| (f64::from_bits(a), f64::from_bits(b), mean(excess))).collect();
    let peak = cells.iter().copied().max_by(|x, y| x.2.total_cmp(&y.2)).map(|(a, b, excess)| (excess, a, b));
    let seen = viability.iter().find(|v| {
        let same = |k: usize, at: usize| v.drugs[k].eq_ignore_ascii_case(&drugs[at]);
        v.line.eq_ignore_ascii_case(&line)
            && (same(0, 0) && same(1, 1) || same(0, 1) && same(1, 0))
            && (v.schedule == schedule || v.schedule.is_none() || schedule.is_none())
    });
    let mut row = ApoptosisSynergy {
        n_cells: cells.len(),
        n_replicates: means.len(),
        score: estimate.score,
        interval: estimate.interval,
        p: estimate.p,
        q: None,
        peak,
        viability_score: seen.and_then(|v| v.score),
        viability_interval: seen.map_or([None; 2], |v| v.interval),
        n_shared: 0,
        correlation: None,
        correlation_reason: None,
        same_sign: None,
        concordance: "unknown",
        flags: String::new(),
        line,
        drugs,
        schedule,
    };
    match seen {
        None => {
            flags.insert("no_viability_matrix");
            row.correlation_reason = Some("no_viability_matrix");
        }
        Some(seen) => compare(&mut row, &cells, seen),
    }
    row.flags = flags.into_iter().collect::<Vec<_>>().join(";");
    row
}

#[derive(Default)]
struct Estimate {
    score: Option<f64>,
    interval: [Option<f64>; 2],
    p: Option<f64>,
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn estimate(means: &[f64], replicates: &BTreeMap<String, Replicate>, flags: &mut BTreeSet<&'static str>) -> Estimate {
    if means.is_empty() {
        return Estimate::default();
    }
    let (score, n) = (mean(means), means.len() as f64);
    let mut estimate = Estimate { score: Some(score), ..Estimate::default() };
    if means.len() > 1 {
        let variance = means.iter().map(|m| (m - score) * (m - score)).sum::<f64>() / (n - 1.0);
        let error = (variance / n).sqrt();
        if let Some(t) = t_quantile(UPPER_TAIL, n - 1.0).filter(|t| error > 0.0 && t.is_finite()) {
            estimate.interval = [Some(score - t * error), Some(score + t * error)];
            estimate.p = Some(f_upper_tail((score / error).powi(2), 1.0, n - 1.0));
        } else {
            flags.insert("no_spread");
        }
        return estimate;
    }
    flags.insert("one_replicate");
    if replicates.contains_key("") {
        flags.insert("replicates_unnamed");
    }
    let error = replicates.values().find(|r| !r.cells.is_empty()).and_then(binomial_error);
    if let Some(error) = error {
        flags.insert("binomial_only");
        estimate.interval = [Some(score - NORMAL_975 * error), Some(score + NORMAL_975 * error)];
        estimate.p = Some(normal_two_sided(score / error));
    }
    estimate
}

/// The error of a replicate's mean excess by the cells that were counted: combinations, single agents and vehicle, each
/// with its weight in the mean.
fn binomial_error(replicate: &Replicate) -> Option<f64> {
    let (c, events) = replicate.vehicle?;
    let scored: Vec<(&(Dose, Dose), &Effect)> = replicate
        .cells
        .iter()
        .filter(|((a, b), _)| replicate.singles[0].contains_key(a) && replicate.singles[1].contains_key(b))
        .collect();
    let n = scored.len() as f64;
    let effect = |k: usize, dose: Dose| replicate.singles[k].get(&dose);
    let mut weights: [BTreeMap<Dose, f64>; 2] = Default::default();
    let (mut variance, mut of_vehicle) = (0.0, 0.0);
    for (&(a, b), cell) in scored {
        let (x, y) = (effect(0, a)?.mean(), effect(1, b)?.mean());
        variance += cell.variance()?;
        *weights[0].entry(a).or_default() += 1.0 - y;
        *weights[1].entry(b).or_default() += 1.0 - x;
        of_vehicle += 2.0 * (1.0 - x) * (1.0 - y) - (1.0 - cell.mean());
    }
    for (k, weights) in weights.iter().enumerate() {
        for (dose, weight) in weights {
            variance += weight * weight * effect(k, *dose)?.variance()?;
        }
    }
    variance += of_vehicle * of_vehicle * binomial_variance(c, events);
    let error = variance.sqrt() / (n * (1.0 - c));
    (error > 0.0 && error.is_finite()).then_some(error)
}

/// Sign and correlation against viability.
fn compare(row: &mut ApoptosisSynergy, cells: &[(f64, f64, f64)], seen: &ViabilitySynergy) {
    let is_swapped = !seen.drugs[0].eq_ignore_ascii_case(&row.drugs[0]);
    let is_dose = |x: f64, y: f64| x.max(y) <= x.min(y) * (1.0 + DOSE_TOLERANCE);
    let shared: Vec<(f64, f64)> = cells
        .iter()
        .filter_map(|&(a, b, excess)| {
            let (first, second) = if is_swapped { (b, a) } else { (a, b) };
            let cell = seen.cells.iter().find(|(x, y, _)| is_dose(*x, first) && is_dose(*y, second))?;
            Some((excess, cell.2))
        })
        .collect();
    row.n_shared = shared.len();
    (row.correlation, row.correlation_reason) = match shared.len() {
        n if n < FEWEST_SHARED => (None, Some("too_few_shared_doses")),
        _ => match pearson(&shared) {
            Some(r) => (Some(r), None),
            None => (None, Some("no_variation")),
        },
    };
    row.same_sign = row.score.zip(row.viability_score).map(|(a, b)| (a > 0.0) == (b > 0.0));
    // +1 above zero, -1 below, 0 where the interval has zero in it.
    let side = |interval: [Option<f64>; 2]| match interval {
        [Some(low), _] if low > 0.0 => Some(1),
        [_, Some(high)] if high < 0.0 => Some(-1),
        [Some(_), Some(_)] => Some(0),
        _ => None,
    };
    row.concordance = match (side(row.interval), side(row.viability_interval)) {
        (Some(0), Some(0)) => "neither",
        (Some(_), Some(0)) => "apoptosis_only",
        (Some(0), Some(_)) => "viability_only",
        (Some(a), Some(b)) if a == b => "concordant",
        (Some(_), Some(_)) => "discordant",
        _ => "unknown",
    };
}

fn pearson(values: &[(f64, f64)]) -> Option<f64> {
    let n = values.len() as f64;
    let (mx, my) = (values.iter().map(|v| v.0).sum::<f64>() / n, values.iter().map(|v| v.1).sum::<f64>() / n);
    let sum = |of: &dyn Fn(&(f64, f64)) -> f64| values.iter().map(of).sum::<f64>();
    let (xx, yy) = (sum(&|v| (v.0 - mx).powi(2)), sum(&|v| (v.1 - my).powi(2)));
    let r = sum(&|v| (v.0 - mx) * (v.1 - my)) / (xx * yy).sqrt();
    r.is_finite().then(|| r.clamp(-1.0, 1.0))
}
