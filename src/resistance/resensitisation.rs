//! What each dose of a partner does to the anchor's potency: fold change, dose-reduction index, rescue, and whether a
//! resistant line is brought back to its parent. Of three drugs, what each pair of doses of the two partners does.
//!
//! The dose that speaks for a matrix in the ranking is chosen without a look at the combination: the highest one that alone
//! leaves viability at one half or more, by the partner's fitted curve. Taking the best of all partner doses instead would
//! reward noise. Of two partners, the doses whose places in their series add up to most, the more even of those that add
//! up to the same, among those that together leave one half or more of what was not given the anchor.

use super::Resistance;
use super::potency::{LogRatio, Potency};
use super::rescue::{Equivalence, Rescue, equivalence, rescue};
use super::slice::{Half, slice_potency, slice_settings};
use crate::Result;
use crate::backend::Backend;
use crate::fit::{CurveSet, Fit};
use crate::report::table::Table;
use crate::screen::Screen;
use crate::screen::dose::DOSE_TOLERANCE;
use crate::screen::dose_matrix::{CurvePoint, DoseMatrix, MatrixKey};
use crate::screen::line::LineStatus;
use crate::screen::names::NameId;
use crate::screen::triple_matrix::{TripleKey, TripleMatrix};
use crate::synergy::MatrixScore;
use crate::synergy::interaction::Surface;
use crate::synergy::margins::response;
use rayon::prelude::*;
use std::collections::BTreeMap;

/// A partner dose may speak for its matrix where the partner alone leaves at least this viability.
const TOLERATED: f64 = 0.5;
/// Fewer doses of the anchor than this, all above zero, are not a curve.
const FEWEST_DOSES: usize = 3;
/// Matrices whose slices are fitted in one batch.
const BATCH: usize = 2048;

/// MuSyC's fold change of the anchor's potency by the partner, log10 (above 0: more potent).
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Alpha {
    /// The estimate, where its likelihood has two ends.
    pub log10: Option<f64>,
    /// 95 % interval by the profile likelihood.
    pub interval: [Option<f64>; 2],
    /// Why it is missing: `musyc_not_fitted`, or what the table `interactions` says of it.
    pub reason: Option<&'static str>,
}

/// One matrix with the anchor at one dose of the partner, or of both partners. Potencies are of the anchor.
#[derive(Debug, Clone, PartialEq)]
pub struct Resensitisation {
    /// The matrix: the anchor is drug a.
    pub key: MatrixKey,
    /// The partner's dose, molar.
    pub partner_dose: f64,
    /// Of three drugs, the second partner and its dose, molar.
    pub second_partner: Option<(NameId, f64)>,
    /// What the partner leaves alone at that dose, by its fitted curve; as observed where there is no curve, and of two
    /// partners.
    pub partner_viability: Option<f64>,
    /// Alone, by the matrix's own margin.
    pub alone: Potency,
    /// With the partner, for half of what the partner leaves without the anchor ([`Half::OfPartnerAlone`]).
    pub with_partner: Potency,
    /// With the partner, for half of untreated viability ([`Half::OfUntreated`]).
    pub half_viability: Potency,
    /// `alone` against `with_partner`: above 1 (a logarithm above 0) the partner makes the anchor more potent; 1 for
    /// partners that act independently, however much they kill themselves.
    pub fold_change: LogRatio,
    /// `alone` against `half_viability`: the dose reduction index of the anchor for viability one half (Chou 2006,
    /// doi 10.1124/pr.58.3.10), which counts what the partner kills itself.
    pub dose_reduction_index: LogRatio,
    /// `with_partner` against the reference: what is left of the fold resistance.
    pub fold_resistance: LogRatio,
    /// The share of the log fold resistance that is undone; resistant lines alone have any.
    pub rescue: Rescue,
    /// Whether a resistant line has its parent's potency again; `None` for lines that are not resistant.
    pub equivalence: Option<Equivalence>,
    /// MuSyC's alpha of the matrix, the same at every dose.
    pub alpha: Alpha,
    /// Whether this dose speaks for its matrix in `pairs`.
    pub is_ranked: bool,
}

/// The anchor's curve at one dose of the partner, or of both partners.
struct Slice {
    partner_dose: f64,
    second_partner: Option<(NameId, f64)>,
    partner_viability: Option<f64>,
    points: Vec<CurvePoint>,
}

/// The anchor's curves of one matrix: alone, and at each partner dose.
struct Slices {
    key: MatrixKey,
    alone: Vec<CurvePoint>,
    with_partner: Vec<Slice>,
    alpha: Alpha,
}

impl Slices {
    fn of_pair(matrix: &DoseMatrix, score: &MatrixScore) -> Self {
        let mut with_partner: Vec<Slice> = Vec::new();
        let mut cells: Vec<_> = matrix.cells.iter().filter(|c| c.dose_a > 0.0 && c.dose_b > 0.0).collect();
        cells.sort_by(|x, y| x.dose_b.total_cmp(&y.dose_b).then(x.dose_a.total_cmp(&y.dose_a)));
        for level in cells.chunk_by(|x, y| x.dose_b == y.dose_b) {
            let dose = level[0].dose_b;
            let is_same = |other: f64| other > 0.0 && (libm::log(other / dose)).abs() <= DOSE_TOLERANCE;
            // The partner alone is the untreated point of the anchor's curve.
            let without = matrix.margin_b.iter().find(|p| is_same(p.dose)).map(|p| CurvePoint { dose: 0.0, ..*p });
            let points = level.iter().map(|c| CurvePoint {
                dose: c.dose_a,
                response: c.response,
                weight: c.weight,
                n: c.n,
                sum_of_squares: c.sum_of_squares,
            });
            let fitted = score.curves[1].map(|curve| response(curve, libm::log(dose)));
            with_partner.push(Slice {
                partner_dose: dose,
                second_partner: None,
                partner_viability: fitted.or(without.map(|point| point.response)),
                points: without.into_iter().chain(points).collect(),
            });
        }
        Self { key: matrix.key, alone: matrix.margin_a.clone(), with_partner, alpha: alpha(score) }
    }

    fn of_triple(key: &TripleKey, matrix: &TripleMatrix) -> Self {
        let mut partners: Vec<[f64; 2]> = matrix.combinations().map(|(_, cell)| [cell.dose[1], cell.dose[2]]).collect();
        partners.sort_by(|x, y| x[0].total_cmp(&y[0]).then(x[1].total_cmp(&y[1])));
        partners.dedup();
        let slice = |[b, c]: [f64; 2]| {
            let at = matrix.cells.iter().filter(|cell| cell.dose[1] == b && cell.dose[2] == c);
            let points: Vec<CurvePoint> = at
                .map(|cell| CurvePoint {
                    dose: cell.dose[0],
                    response: cell.response,
                    weight: cell.weight,
                    n: cell.n,
                    sum_of_squares: cell.sum_of_squares,
                })
                .collect();
            Slice {
                partner_dose: b,
                second_partner: Some((key.drugs[2], c)),
                partner_viability: points.first().filter(|point| point.dose == 0.0).map(|point| point.response),
                points,
            }
        };
        let TripleKey { block, line, drugs, schedule } = *key;
        Self {
            key: MatrixKey { block, line, drug_a: drugs[0], drug_b: drugs[1], schedule },
            alone: matrix.margins[0].clone(),
            with_partner: partners.into_iter().map(slice).collect(),
            alpha: Alpha { reason: Some("three_drugs"), ..Alpha::default() },
        }
    }

    fn curves(&self) -> impl Iterator<Item = &[CurvePoint]> {
        std::iter::once(self.alone.as_slice()).chain(self.with_partner.iter().map(|slice| slice.points.as_slice()))
    }

    /// The slice that speaks for the matrix. Designs need not be full: only doses at which the anchor was titrated count.
    fn ranked(&self) -> Option<usize> {
        let may_speak = |slice: &Slice| {
            slice.partner_viability.is_some_and(|v| v >= TOLERATED) && doses(&slice.points) >= FEWEST_DOSES
        };
        let places = |dose: fn(&Slice) -> f64| {
            let mut levels: Vec<f64> = self.with_partner.iter().map(dose).collect();
            levels.sort_by(f64::total_cmp);
            levels.dedup();
            self.with_partner.iter().map(move |slice| levels.partition_point(|level| *level < dose(slice)))
        };
        let second = |slice: &Slice| slice.second_partner.map_or(0.0, |(_, dose)| dose);
        let places: Vec<(usize, usize)> = places(|slice| slice.partner_dose).zip(places(second)).collect();
        let height = |i: usize| (places[i].0 + places[i].1, std::cmp::Reverse(places[i].0.abs_diff(places[i].1)));
        (0..self.with_partner.len()).filter(|&i| may_speak(&self.with_partner[i])).max_by_key(|&i| height(i))
    }
}

fn doses(points: &[CurvePoint]) -> usize {
    points.iter().filter(|p| p.dose > 0.0).count()
}

fn potency(points: &[CurvePoint], fit: Option<&Fit>, half: Half) -> Potency {
    match fit {
        _ if doses(points) == 0 => Potency::Unknown("no_anchor_margin"),
        _ if doses(points) < FEWEST_DOSES => Potency::Unknown("too_few_doses"),
        None => Potency::Unknown("not_fitted"),
        Some(fit) => slice_potency(points, fit, half),
    }
}

/// A row for each partner dose of each matrix with the anchor, matrices in their order, doses ascending; those of three
/// drugs after those of two. `scores` stand side by side with `matrices`; `resistances` has the lines' references and
/// calls.
///
/// # Errors
/// Those of the back end.
pub fn resensitisation(
    matrices: &[DoseMatrix],
    scores: &[MatrixScore],
    triples: &[(TripleKey, &TripleMatrix)],
    resistances: &[Resistance],
    anchor: Option<NameId>,
    backend: &dyn Backend,
) -> Result<Vec<Resensitisation>> {
    let of_anchor = |key: &MatrixKey| Some(key.drug_a) == anchor && Some(key.drug_b) != anchor;
    let pairs: Vec<(&DoseMatrix, &MatrixScore)> =
        matrices.iter().zip(scores).filter(|(matrix, _)| of_anchor(&matrix.key)).collect();
    let triples: Vec<_> = triples.iter().filter(|(key, _)| Some(key.drugs[0]) == anchor).collect();
    let lines: BTreeMap<NameId, &Resistance> =
        resistances.iter().filter(|r| Some(r.drug) == anchor).map(|r| (r.line, r)).collect();
    let of_pairs =
        pairs.chunks(BATCH).map(|batch| batch.iter().map(|(m, s)| Slices::of_pair(m, s)).collect::<Vec<Slices>>());
    let of_triples = triples.chunks(BATCH).map(|batch| batch.iter().map(|(k, m)| Slices::of_triple(k, m)).collect());
    let mut rows = Vec::new();
    for batch in of_pairs.chain(of_triples) {
        let mut set = CurveSet::new();
        for points in batch.iter().flat_map(Slices::curves) {
            set.push(None, points.iter().map(|p| (p.dose, p.response, p.weight)));
        }
        let fits = if set.is_empty() { Vec::new() } else { backend.fit(&slice_settings(), &set)? };
        let mut fits = fits.as_slice();
        let own = |slices: &Slices| {
            let (own, rest) = fits.split_at(fits.len().min(1 + slices.with_partner.len()));
            fits = rest;
            own
        };
        let own: Vec<&[Fit]> = batch.iter().map(own).collect();
        let of = |(slices, own): (&Slices, &[Fit])| of_matrix(slices, own, lines.get(&slices.key.line).copied());
        rows.par_extend(batch.par_iter().zip(own).flat_map_iter(of));
    }
    Ok(rows)
}

fn of_matrix(slices: &Slices, fits: &[Fit], line: Option<&Resistance>) -> Vec<Resensitisation> {
    let alone = potency(&slices.alone, fits.first(), Half::OfUntreated);
    let reference = line.map_or(Potency::Unknown("no_anchor_curve"), |line| line.reference);
    let is_resistant =
        line.is_some_and(|line| line.status == Some(LineStatus::Resistant) || line.ci_low.is_some_and(|low| low > 1.0));
    let ranked = slices.ranked();
    let row = |(i, slice): (usize, &Slice)| {
        let [with_partner, half_viability] =
            [Half::OfPartnerAlone, Half::OfUntreated].map(|half| potency(&slice.points, fits.get(i + 1), half));
        let fold_resistance = with_partner.minus(reference);
        Resensitisation {
            key: slices.key,
            partner_dose: slice.partner_dose,
            second_partner: slice.second_partner,
            partner_viability: slice.partner_viability,
            alone,
            with_partner,
            half_viability,
            fold_change: with_partner.minus(alone).inverse(),
            dose_reduction_index: half_viability.minus(alone).inverse(),
            fold_resistance,
            rescue: if is_resistant { rescue(alone, with_partner, reference) } else { Rescue::none("not_resistant") },
            equivalence: is_resistant.then(|| equivalence(&fold_resistance)),
            alpha: slices.alpha,
            is_ranked: ranked == Some(i),
        }
    };
    slices.with_partner.iter().enumerate().map(row).collect()
}

/// What a fitted MuSyC surface says of the anchor's potency: `alpha21`, the change of drug a's by drug b.
fn alpha(score: &MatrixScore) -> Alpha {
    let of = |surface| score.interactions.iter().find(|interaction| interaction.surface == surface);
    let Some(interaction) = of(Surface::Musyc).or_else(|| of(Surface::MusycGamma)) else {
        return Alpha { reason: Some("musyc_not_fitted"), ..Alpha::default() };
    };
    match interaction.rows().into_iter().find(|row| row.parameter == "log10_alpha21") {
        Some(row) => Alpha { log10: row.value, interval: row.interval, reason: row.reason },
        None => Alpha { reason: Some("musyc_not_fitted"), ..Alpha::default() },
    }
}

/// The `resensitisation` table, in the order of `rows`.
pub fn table(rows: &[Resensitisation], screen: &Screen, resistances: &[Resistance]) -> Table {
    let statuses: BTreeMap<(NameId, NameId), Option<LineStatus>> =
        resistances.iter().map(|r| ((r.line, r.drug), r.status)).collect();
    let all = || rows.iter();
    let status =
        |r: &Resensitisation| statuses.get(&(r.key.line, r.key.drug_a)).copied().flatten().map(LineStatus::name);
    let mut table = Table::new("resensitisation")
        .text("block", all().map(|r| r.key.block.map(|b| screen.blocks.name(b))))
        .text("cell_line", all().map(|r| Some(screen.lines.name(r.key.line))))
        .code("status", all().map(status))
        .text("anchor", all().map(|r| Some(screen.drugs.name(r.key.drug_a))))
        .text("partner", all().map(|r| Some(screen.drugs.name(r.key.drug_b))))
        .text("schedule", all().map(|r| r.key.schedule.map(|s| screen.schedules.name(s))))
        .number("partner_dose_molar", all().map(|r| Some(r.partner_dose)))
        .text("second_partner", all().map(|r| r.second_partner.map(|(drug, _)| screen.drugs.name(drug))))
        .number("second_partner_dose_molar", all().map(|r| r.second_partner.map(|(_, dose)| dose)))
        .number("partner_viability", all().map(|r| r.partner_viability))
        .flag("is_ranked", all().map(|r| Some(r.is_ranked)));
    type Of<T> = fn(&Resensitisation) -> T;
    let potencies: [(&str, Of<Potency>); 3] = [
        ("log10_ic50_alone", |r| r.alone),
        ("log10_ic50_with_partner", |r| r.with_partner),
        ("log10_ic50_half_viability", |r| r.half_viability),
    ];
    for (name, potency) in potencies {
        table = table
            .number(name, all().map(|r| potency(r).log10()))
            .number(&format!("{name}_se"), all().map(|r| potency(r).standard_error()))
            .text(&format!("{name}_reason"), all().map(|r| potency(r).reason()));
    }
    let folds: [(&str, Of<LogRatio>); 3] = [
        ("fold_change", |r| r.fold_change),
        ("dose_reduction_index", |r| r.dose_reduction_index),
        ("fold_resistance_with_partner", |r| r.fold_resistance),
    ];
    for (name, ratio) in folds {
        table = table
            .number(name, all().map(|r| ratio(r).fold()[0]))
            .number(&format!("{name}_ci_low"), all().map(|r| ratio(r).fold()[1]))
            .number(&format!("{name}_ci_high"), all().map(|r| ratio(r).fold()[2]))
            .text(&format!("{name}_reason"), all().map(|r| ratio(r).fold_reason()));
    }
    table
        .number("fold_change_log10_se", all().map(|r| r.fold_change.standard_error))
        .number("fold_change_degrees_of_freedom", all().map(|r| r.fold_change.degrees_of_freedom))
        .number("fold_change_p", all().map(|r| r.fold_change.p()))
        .number("rescue_fraction", all().map(|r| r.rescue.fraction))
        .number("rescue_fraction_ci_low", all().map(|r| r.rescue.low))
        .number("rescue_fraction_ci_high", all().map(|r| r.rescue.high))
        .text("rescue_fraction_reason", all().map(|r| r.rescue.reason))
        .text("return_to_parent", all().map(|r| Some(r.equivalence.map_or("not_resistant", |e| e.verdict))))
        .number("equivalence_p", all().map(|r| r.equivalence.and_then(|e| e.p)))
        .number("musyc_log10_alpha", all().map(|r| r.alpha.log10))
        .number("musyc_log10_alpha_ci_low", all().map(|r| r.alpha.interval[0]))
        .number("musyc_log10_alpha_ci_high", all().map(|r| r.alpha.interval[1]))
        .text("musyc_log10_alpha_reason", all().map(|r| r.alpha.reason))
}
