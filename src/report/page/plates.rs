//! How good the plates were: their controls, what places and doses on them say, wells that are doubted.

use super::{Cell, Lookup, NAME, Page, wording};
use crate::plate::flags::WellFlags;
use crate::plate::spatial::Effect;
use crate::plate::{BatchQuality, PlateQuality, Verdict};
use crate::report::picture::plate_strip;
use crate::report::quantity;
use minijinja::Value;
use serde::Serialize;

const PLATES: usize = 60;
const BATCHES: usize = 40;

/// A plate that is not good. What lies `below` a value is its robust kin, its p or the share that it is.
#[derive(Debug, Serialize)]
struct Plate {
    plate: String,
    batch: String,
    verdict: String,
    class: &'static str,
    z_prime: Cell,
    z_prime_below: String,
    ssmd: Cell,
    ssmd_below: String,
    cv: Cell,
    signal_to_background: Cell,
    edge: Cell,
    row: Cell,
    row_below: String,
    column: Cell,
    column_below: String,
    residual_error: Cell,
    replicate_correlation: Cell,
    flagged: Cell,
    flagged_below: String,
    controls: String,
    reason: String,
}

/// Plates by verdict, their Z′, and those that are not good, worst first.
#[derive(Debug, Serialize)]
pub(super) struct Plates {
    verdicts: Vec<String>,
    median: String,
    rows: Vec<Plate>,
    left_out: usize,
    picture: Option<Value>,
}

pub(super) fn plates(lookup: &Lookup<'_>) -> Plates {
    let plates = lookup.page.plates;
    let order = [
        (Verdict::Good, "good"),
        (Verdict::Marginal, "marginal"),
        (Verdict::Bad, "bad"),
        (Verdict::Unusable, "unusable"),
        (Verdict::NotJudged, "not judged"),
    ];
    let count = |verdict| plates.iter().filter(|p| p.verdict == verdict).count();
    let verdicts = order.into_iter().map(|(v, words)| (count(v), words)).filter(|(n, _)| *n > 0);
    let mut known: Vec<f64> = plates.iter().filter_map(|p| p.z_prime).filter(|z| z.is_finite()).collect();
    known.sort_by(f64::total_cmp);
    let mut worst: Vec<&PlateQuality> =
        plates.iter().filter(|p| !matches!(p.verdict, Verdict::Good | Verdict::NotJudged)).collect();
    let severity = |p: &PlateQuality| match p.verdict {
        Verdict::Unusable => 0,
        Verdict::Bad => 1,
        _ => 2,
    };
    let z = |p: &PlateQuality| p.z_prime.filter(|z| z.is_finite()).unwrap_or(f64::INFINITY);
    worst.sort_by(|a, b| severity(a).cmp(&severity(b)).then(z(a).total_cmp(&z(b))).then(a.plate.cmp(&b.plate)));
    let middle = known.get(known.len() / 2).map(|z| quantity::number(*z, 2));
    let picture = || plate_strip::draw(plates, lookup.page.screen).inline();
    Plates {
        verdicts: verdicts.map(|(n, words)| format!("{} {words}", quantity::count(n))).collect(),
        median: middle.unwrap_or_default(),
        rows: worst.iter().take(PLATES).map(|p| row(lookup.page, p)).collect(),
        left_out: worst.len().saturating_sub(PLATES),
        picture: (!known.is_empty()).then(|| Value::from_safe_string(picture())),
    }
}

fn row(page: &Page<'_>, p: &PlateQuality) -> Plate {
    let screen = page.screen;
    let robust = |value: Option<f64>, decimals: usize| {
        let value = value.filter(|v| v.is_finite());
        value.map(|v| format!("robust {}", quantity::number(v, decimals))).unwrap_or_default()
    };
    let sd = |effect: Option<Effect>| Cell::new(effect.map(|e| e.sd), quantity::percent);
    let p_of = |effect: Option<Effect>| {
        effect.filter(|e| e.p.is_finite()).map(|e| format!("p {}", quantity::p_value(e.p))).unwrap_or_default()
    };
    let share = p.n_flagged as f64 / p.n_wells.max(1) as f64;
    Plate {
        plate: quantity::clip(screen.plates.name(p.plate), NAME),
        batch: p.batch.map(|batch| quantity::clip(screen.batches.name(batch), NAME)).unwrap_or_default(),
        verdict: wording::explain(p.verdict.name()),
        class: crate::report::colour::verdict_class(p.verdict),
        z_prime: Cell::new(p.z_prime, |v| quantity::number(v, 2)),
        z_prime_below: robust(p.z_prime_robust, 2),
        ssmd: Cell::new(p.ssmd, |v| quantity::number(v, 1)),
        ssmd_below: robust(p.ssmd_robust, 1),
        cv: Cell::new(p.cv_vehicle, quantity::percent),
        signal_to_background: Cell::new(p.signal_to_background, quantity::fold),
        edge: Cell::new(p.edge_effect, |v| quantity::points(v, 0)),
        row: sd(p.spatial.row),
        row_below: p_of(p.spatial.row),
        column: sd(p.spatial.column),
        column_below: p_of(p.spatial.column),
        residual_error: Cell::new(p.residual_error, quantity::percent),
        replicate_correlation: Cell::new(p.replicate_correlation, |v| quantity::number(v, 2)),
        flagged: Cell::new(Some(p.n_flagged as f64), |_| quantity::count(p.n_flagged)),
        flagged_below: if p.n_flagged > 0 { format!("{} %", quantity::percent(share)) } else { String::new() },
        controls: format!("{} / {} / {}", p.n_vehicle, p.n_positive, p.n_blank),
        reason: wording::explain_all(&p.reason),
    }
}

/// A batch, or the screen.
#[derive(Debug, Serialize)]
struct Batch {
    batch: String,
    plates: String,
    z_prime: Cell,
    cv: Cell,
    drift: Cell,
    drift_below: String,
    replicate_correlation: Cell,
    flagged: String,
}

/// Batches in the order of their table, the screen last.
#[derive(Debug, Serialize)]
pub(super) struct Batches {
    rows: Vec<Batch>,
    left_out: usize,
}

pub(super) fn batches(page: &Page<'_>) -> Batches {
    let row = |b: &BatchQuality| Batch {
        batch: match b.batch {
            Some(batch) => quantity::clip(page.screen.batches.name(batch), NAME),
            None => "all plates".into(),
        },
        plates: format!("{} / {} / {}", b.n_plates, b.n_good, b.n_bad),
        z_prime: Cell::new(b.z_prime, |v| quantity::number(v, 2)),
        cv: Cell::new(b.cv_vehicle, quantity::percent),
        drift: Cell::new(b.drift_per_plate.map(libm::expm1), |v| quantity::points(v, 2)),
        drift_below: b
            .drift_p
            .filter(|p| p.is_finite())
            .map(|p| format!("p {}", quantity::p_value(p)))
            .unwrap_or_default(),
        replicate_correlation: Cell::new(b.replicate_correlation, |v| quantity::number(v, 2)),
        flagged: format!("{} of {}", quantity::count(b.n_flagged), quantity::count(b.n_wells)),
    };
    let left_out = page.batches.len().saturating_sub(BATCHES);
    // The screen is the last: it stays whatever is left out.
    Batches { rows: page.batches.iter().skip(left_out).map(row).collect(), left_out }
}

/// Wells that are doubted for one reason.
#[derive(Debug, Serialize)]
pub(super) struct Flag {
    reason: String,
    code: &'static str,
    wells: String,
}

/// Flags by kind, the commonest first.
pub(super) fn flags(page: &Page<'_>) -> Vec<Flag> {
    let known = page.flagged.into_iter().zip(WellFlags::CODES).map(|(n, (_, code))| (n, code));
    let mut found: Vec<(usize, &'static str)> = known.filter(|(n, _)| *n > 0).collect();
    found.sort_by_key(|(n, _)| std::cmp::Reverse(*n));
    let flag = |(n, code)| Flag { reason: wording::explain(code), code, wells: quantity::count(n) };
    found.into_iter().map(flag).collect()
}
