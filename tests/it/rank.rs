//! Resistance calls, resensitisation and the ranking, against constructed truth.

use crate::inference::{curve, fit};
use crate::rank_scene::{self, Scene, scene};
use isobole::fit::inference::{Inference, infer};
use isobole::model::ModelId;
use isobole::rank::composite::{CompositeWeights, Gates, RankBy};
use isobole::rank::{RankSettings, RankedPair, differential, table};
use isobole::resistance::potency::LogRatio;
use isobole::resistance::rescue::Rescue;
use isobole::resistance::{Resistance, call};
use isobole::screen::Screen;
use isobole::screen::dose_matrix::{Curve, CurveKey};
use isobole::screen::line::{LineAnnotation, LineStatus};
use isobole::screen::names::NameId;

/// A small deterministic source of nearly normal numbers.
pub struct Noise(pub u64);

impl Noise {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 11) as f64 / (1u64 << 53) as f64
    }
    pub fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.uniform()).sum::<f64>() - 6.0
    }
}

/// Half-log doses from 1 nM to 31.6 µM.
pub fn doses() -> impl Iterator<Item = f64> + Clone {
    (0..10).map(|i| 10f64.powf(-9.0 + 0.5 * f64::from(i)))
}

/// A two-replicate curve with this true absolute IC50 (top 1, bottom 0, slope 1.2).
pub fn response_curve(line: NameId, drug: NameId, log10_ic50: f64, sd: f64, noise: &mut Noise) -> Curve {
    let wells: Vec<(f64, f64)> = doses()
        .flat_map(|d| [d, d])
        .map(|d| (d, 1.0 / (1.0 + 10f64.powf(1.2 * (d.log10() - log10_ic50))) + sd * noise.normal()))
        .collect();
    curve(CurveKey { line, drug, schedule: None }, &wells)
}

pub fn annotation(parental: Option<NameId>, status: Option<LineStatus>) -> LineAnnotation {
    LineAnnotation { parental, status, mechanism: None, doubling_time_h: None }
}

pub fn calls(screen: &Screen, curves: &[Curve], anchor: Option<NameId>, fold: f64) -> Vec<Resistance> {
    let fits = fit(curves, ModelId::Hill4);
    let inferences: Vec<Inference> = curves.iter().zip(&fits).map(|(c, f)| infer(c, f, ModelId::Hill4)).collect();
    call(curves, &fits, &inferences, ModelId::Hill4, screen, anchor, fold)
}

pub fn of<'a>(calls: &'a [Resistance], screen: &Screen, line: &str) -> &'a Resistance {
    calls.iter().find(|r| screen.lines.name(r.line) == line).expect(line)
}

#[test]
fn folds_and_calls_follow_the_truth() {
    let mut screen = Screen::default();
    let drug = screen.drugs.intern("clofarabine");
    let lines = ["HL-60", "HL-60/R20", "HL-60/R80", "HL-60/same", "HL-60/off", "HL-60/never", "annotated"];
    let ids: Vec<NameId> = lines.iter().map(|l| screen.lines.intern(l)).collect();
    screen.annotations = vec![annotation(Some(ids[0]), None); 6];
    screen.annotations.push(annotation(Some(ids[0]), Some(LineStatus::Sensitive)));
    let mut noise = Noise(8);
    // log10 IC50: fold 1, 20, 80, 1, 10^4 (beyond the doses), no curve at all; an annotated line with fold 100.
    let truth = [-7.5, -7.5 + 20f64.log10(), -7.5 + 80f64.log10(), -7.5, -3.5];
    let mut curves: Vec<Curve> =
        truth.iter().enumerate().map(|(i, t)| response_curve(ids[i], drug, *t, 0.04, &mut noise)).collect();
    curves.push(response_curve(ids[6], drug, -5.5, 0.04, &mut noise));
    let calls = calls(&screen, &curves, Some(drug), 3.0);
    assert_eq!(calls.len(), 7);
    for (line, fold) in [("HL-60/R20", 20.0), ("HL-60/R80", 80.0), ("HL-60/same", 1.0)] {
        let r = of(&calls, &screen, line);
        let (low, high) = (r.ci_low.expect("low"), r.ci_high.expect("high"));
        assert!(low < fold && fold < high && high / low < 2.5, "{line}: {low} {high}");
        let got = r.fold_resistance.expect("fold");
        assert!(low < got && got < high && (got / fold).ln().abs() < 0.35, "{line}: {got}");
        assert_eq!(r.parental, Some(ids[0]));
    }
    let status = |line| (of(&calls, &screen, line).status, of(&calls, &screen, line).status_source);
    assert_eq!(status("HL-60"), (Some(LineStatus::Parental), "named_as_parent"));
    assert_eq!(status("HL-60/R20"), (Some(LineStatus::Resistant), "called"));
    assert_eq!(status("HL-60/same"), (Some(LineStatus::Sensitive), "called"));
    assert_eq!(status("annotated"), (Some(LineStatus::Sensitive), "annotated"));
    // What is annotated stands; that the data say otherwise stands beside it.
    assert_eq!(of(&calls, &screen, "annotated").status_by_interval, "resistant");
    assert_eq!(of(&calls, &screen, "HL-60/same").status_by_interval, "sensitive");
    assert_eq!(status("HL-60/never"), (None, "no_fold"));
    assert_eq!(of(&calls, &screen, "HL-60/never").reason, Some("no_anchor_curve"));
    // Out of range: no number, but at least 31.6 µM over the parent's IC50.
    let off = of(&calls, &screen, "HL-60/off");
    assert_eq!((off.fold_resistance, off.ci_high, off.reason), (None, None, Some("ic50_above_range")));
    assert_eq!((off.ic50_censored, off.status), ("above", Some(LineStatus::Resistant)));
    let bound = off.ci_low.expect("a bound");
    assert!((300.0..1000.0).contains(&bound), "{bound}");
    // A threshold inside the interval: no call.
    let near =
        self::calls(&screen, &curves, Some(drug), of(&calls, &screen, "HL-60/R20").fold_resistance.expect("fold"));
    assert_eq!(of(&near, &screen, "HL-60/R20").status_source, "uncertain");
    assert_eq!(of(&near, &screen, "HL-60/R20").status_by_interval, "uncertain");
    // No anchor: folds, but no status.
    let none = self::calls(&screen, &curves, None, 3.0);
    assert!(none.iter().all(|r| r.status.is_none() && r.status_source == "no_anchor"));
    assert!(of(&none, &screen, "HL-60/R20").fold_resistance.is_some());
    // Swapped columns (the parent's curve on the subline) would be seen.
    let mut swapped = curves.clone();
    (swapped[0].key.line, swapped[1].key.line) = (ids[1], ids[0]);
    assert!(of(&self::calls(&screen, &swapped, Some(drug), 3.0), &screen, "HL-60/R20").fold_resistance < Some(0.1));
}

#[test]
fn without_parents_the_panel_is_the_reference() {
    let mut screen = Screen::default();
    let drug = screen.drugs.intern("clofarabine");
    let ids: Vec<NameId> = ["a", "b", "c", "d", "e"].iter().map(|l| screen.lines.intern(l)).collect();
    let mut noise = Noise(3);
    let truth = [-7.0, -7.2, -7.4, -7.3, -5.0];
    let curves: Vec<Curve> =
        truth.iter().enumerate().map(|(i, t)| response_curve(ids[i], drug, *t, 0.03, &mut noise)).collect();
    let all = calls(&screen, &curves, Some(drug), 5.0);
    let e = of(&all, &screen, "e");
    // The median of the other four is -7.25.
    assert!((e.fold_resistance.expect("fold").log10() - 2.25).abs() < 0.1, "{e:?}");
    assert_eq!((e.parental, e.status), (None, Some(LineStatus::Resistant)));
    // Two lines are no panel.
    let two = calls(&screen, &curves[..2], Some(drug), 5.0);
    assert_eq!(of(&two, &screen, "a").reason, Some("no_reference"));
    // Annotated sensitive lines are, even one; and they are the only ones.
    screen.annotations = vec![LineAnnotation::default(); 5];
    screen.annotations[0].status = Some(LineStatus::Sensitive);
    let one = calls(&screen, &curves, Some(drug), 5.0);
    assert!((of(&one, &screen, "e").fold_resistance.expect("fold").log10() - 2.0).abs() < 0.1);
    assert_eq!(of(&one, &screen, "a").reason, Some("no_reference"));
    // The order of the curves is no matter.
    let mut reversed = curves.clone();
    reversed.reverse();
    assert_eq!(one, calls(&screen, &reversed, Some(drug), 5.0));
}

#[test]
fn pairs_come_in_the_order_of_their_synergy_in_resistant_lines() {
    let scene = scene(false, true);
    let pairs = scene.rank();
    let name = |p: &RankedPair| scene.screen.drugs.name(p.drug_b).to_owned();
    let order: Vec<String> = pairs.iter().map(name).collect();
    assert_eq!(order, ["venetoclax", "idarubicin", "selinexor", "parental friend", "inert", "unscored"]);
    assert_eq!(pairs.iter().map(|p| p.rank).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    let best = &pairs[0];
    // Two equal errors of 0.02: the mean, its error 0.02 / sqrt(2); the differential's error sqrt(0.0002 + 0.0004).
    assert!((best.score.expect("score") - 0.21).abs() < 1e-12);
    assert!((best.ci_high.expect("high") - 0.21 - 1.959_964 * 0.02 / 2f64.sqrt()).abs() < 1e-6);
    assert!((best.differential.expect("difference") - 0.19).abs() < 1e-12);
    // Both lines have one parent: its error counts in full.
    let z = 0.19 / 0.0006f64.sqrt();
    let p = isobole::math::special::normal_two_sided(z);
    let found = best.differential_p.expect("p");
    assert!((found / p - 1.0).abs() < 1e-9, "{found} {p}");
    assert_eq!((best.n_resistant, best.n_parental), (2, 1));
    assert!(best.p_top_k.expect("probability") > 0.99 && pairs[4].p_top_k.expect("probability") < 0.01);
    assert!((best.qc_burden - 0.25).abs() < 1e-12, "half of 200 of 400 wells");
    // Anchor ten times as potent, resistance 100-fold: half of the resistance (on a log scale) is undone.
    assert!((best.fold_change.expect("fold") - 10.0).abs() < 1e-9);
    assert!((best.rescue_fraction.expect("rescue") - 0.5).abs() < 1e-12);
    assert!((best.dose_reduction_index.expect("index") - 100.0).abs() < 1e-9);
    assert_eq!(best.mechanism, "loss of dCK;BCL-2 up");
    assert!(!best.rationale.is_empty() && !best.evidence.is_empty() && pairs[2].rationale.is_empty());
    let classes: Vec<&str> = pairs.iter().map(|p| p.selectivity).collect();
    assert_eq!(classes, ["resistant_selective", "shared", "shared", "parental_only", "none", "none"]);
    let last = &pairs[5];
    assert_eq!((last.score, last.p_top_k, last.q), (None, None, None));
    assert!(last.flags.contains("few_cells"), "{}", last.flags);
    assert!(pairs[2].flags.contains("anchor_not_in_pair") && pairs[2].fold_change.is_none());
    // q is never below p, and p is there wherever a score with an error is.
    assert!(pairs[..5].iter().all(|p| p.q >= p.p && p.p.is_some()));
    assert_eq!(table(&pairs, &scene.screen).rows(), 6);
}

/// What a pair says, in names instead of ids.
fn told(scene: &Scene) -> Vec<String> {
    let drug = |id| scene.screen.drugs.name(id).to_owned();
    let line = |id: Option<NameId>| id.map(|id| scene.screen.lines.name(id));
    let row = |p: &RankedPair| {
        let lines = [p.leave_one_out_line, p.differential_leave_one_out_line].map(line);
        let (leave_one_out_line, differential_leave_one_out_line) = (None, None);
        let rest =
            RankedPair { drug_a: 0, drug_b: 0, leave_one_out_line, differential_leave_one_out_line, ..p.clone() };
        format!("{} {} {lines:?} {rest:?}", drug(p.drug_a), drug(p.drug_b))
    };
    scene.rank().iter().map(row).collect()
}

#[test]
fn the_order_of_the_input_changes_no_bit() {
    let (straight, reversed) = (scene(false, true), scene(true, true));
    let id = |scene: &Scene| scene.screen.drugs.id("venetoclax");
    assert_ne!(id(&straight), id(&reversed), "other ids");
    assert_eq!(told(&straight), told(&reversed));
    // The comparison can fail: another seed, and a burden that did not move with its matrix.
    let mut other = scene(true, true);
    other.settings.seed = 2;
    other.settings.top_k = 3;
    assert_ne!(told(&straight), told(&other));
    let mut shifted = scene(true, true);
    shifted.scores[0].qc_burden = Some(0.9);
    assert_ne!(told(&straight), told(&shifted));
    // Any number of threads.
    let pool = rayon::ThreadPoolBuilder::new().num_threads(1).build().expect("a pool");
    assert_eq!(pool.install(|| told(&straight)), told(&straight));
}

#[test]
fn without_a_resistant_line_all_lines_rank() {
    let scene = scene(false, false);
    let pairs = scene.rank();
    assert!(pairs.iter().all(|p| p.flags.contains("no_resistant_line") && p.selectivity == "none"));
    assert!(pairs.iter().all(|p| p.differential.is_none()));
    let best = &pairs[0];
    assert_eq!(scene.screen.drugs.name(best.drug_b), "venetoclax");
    assert!((best.score.expect("score") - 0.44 / 3.0).abs() < 0.03, "{:?}", best.score);
    // A pair tested only elsewhere has no score where resistant lines exist.
    let mut partial = rank_scene::scene(false, true);
    partial.scores.truncate(7);
    let pairs = partial.rank();
    let last = pairs.last().expect("pairs");
    assert_eq!((last.score, last.n_parental), (None, 1));
    assert!(last.flags.contains("no_resistant_matrix"), "{}", last.flags);
    // One line, no standard errors: a bare mean, and it says so.
    let mut bare = rank_scene::scene(false, true);
    bare.scores.retain(|s| bare.screen.lines.name(s.key.line) == "R20");
    bare.scores.iter_mut().for_each(|s| s.scores[1].standard_error = None);
    bare.scores.iter_mut().for_each(|s| s.qc_burden = None);
    let pairs = bare.rank();
    let best = &pairs[0];
    assert_eq!((best.score, best.ci_low, best.p, best.p_top_k), (Some(0.20), None, None, None));
    for flag in ["one_line", "no_standard_error", "no_parental_matrix", "no_plate_quality"] {
        assert!(best.flags.contains(flag), "{flag} in {}", best.flags);
    }
    bare.scores.clear();
    assert_eq!(bare.rank(), vec![]);
}

#[test]
fn a_pair_tells_bounds_from_values_of_resensitisation() {
    let mut scene = scene(false, true);
    let venetoclax = scene.screen.drugs.id("venetoclax").expect("drug");
    let r20 = scene.screen.lines.id("R20").expect("line");
    let idarubicin = scene.screen.drugs.id("idarubicin").expect("drug");
    for row in scene.resensitised.iter_mut().filter(|row| row.key.line == r20 && row.is_ranked) {
        if row.key.drug_b == venetoclax {
            // Alone beyond the doses: at least a hundredfold.
            row.fold_change =
                LogRatio { low: Some(2.0), reason: Some("reference_ic50_above_range"), ..LogRatio::default() };
            row.rescue = Rescue { low: Some(0.7), reason: Some("ic50_above_range"), ..Rescue::default() };
        } else if row.key.drug_b == idarubicin {
            row.is_ranked = false;
        }
    }
    let pairs = scene.rank();
    let of = |drug| pairs.iter().find(|p| p.drug_b == drug).expect("a pair");
    let best = of(venetoclax);
    // The geometric mean of 10 and at least 100.
    assert!((best.fold_change.expect("fold").log10() - 1.5).abs() < 1e-9);
    assert!((best.rescue_fraction.expect("rescue") - 0.6).abs() < 1e-9);
    assert!(
        best.flags.contains("fold_change_at_least") && best.flags.contains("rescue_fraction_at_least"),
        "{}",
        best.flags
    );
    assert!(!best.flags.contains("dose_reduction_index_at"), "{}", best.flags);
    let second = of(idarubicin);
    assert!(second.flags.contains("no_tolerated_partner_dose") && second.fold_change.is_some(), "{}", second.flags);
    assert!(!of(scene.screen.drugs.id("inert").expect("drug")).flags.contains("no_tolerated_partner_dose"));
}

#[test]
fn differentials_stand_line_by_line_and_without_one_of_them() {
    let scene = scene(false, true);
    let ranking = scene.ranking();
    let drug = |name: &str| scene.screen.drugs.id(name).expect("drug");
    let line = |name: &str| scene.screen.lines.id(name).expect("line");
    let row = |partner: &str, name: &str| {
        let found = ranking.differentials.iter().find(|d| d.drug_b == drug(partner) && d.line == line(name));
        found.expect("a row")
    };
    assert_eq!(ranking.differentials.len(), 10, "five scored pairs in two lines");
    let r80 = row("venetoclax", "R80");
    assert_eq!((r80.parental, r80.reference, r80.class), (Some(line("HL-60")), "parent", "resistant_selective"));
    assert!((r80.differential.expect("difference") - 0.20).abs() < 1e-12);
    // Two errors of 0.02.
    let width = (r80.ci_high.expect("high") - r80.ci_low.expect("low")) / 2.0;
    assert!((width - 1.959_964 * 0.0008f64.sqrt()).abs() < 1e-6, "{width}");
    // 0.18 and 0.20 differ less than their noise: each is drawn to their mean.
    assert!((r80.shrunken.expect("shrunken") - 0.19).abs() < 1e-9 && r80.shrunken_ci_high < r80.ci_high);
    assert_eq!(row("idarubicin", "R20").class, "shared");
    assert_eq!(row("parental friend", "R20").class, "parental_only");
    assert_eq!(row("inert", "R20").class, "none");
    let best = &ranking.pairs[0];
    assert_eq!((best.leave_one_out_low, best.leave_one_out_high), (Some(0.20), Some(0.22)));
    assert_eq!(best.leave_one_out_line, Some(line("R80")));
    assert!((best.differential_leave_one_out_low.expect("a difference") - 0.18).abs() < 1e-12);
    assert_eq!(best.differential_leave_one_out_line, Some(line("R80")));
    assert_eq!((best.i_squared, best.tau), (Some(0.0), Some(0.0)));
    assert_eq!(differential::table(&ranking.differentials, &scene.screen).rows(), 10);
    // A line without a parent in the screen is compared with the panel; a pair that rests on one line says so.
    let mut orphan = rank_scene::scene(false, true);
    orphan.screen.annotations[line("R80") as usize].parental = None;
    orphan.screen.annotations[line("HL-60") as usize].status = Some(LineStatus::Sensitive);
    for score in orphan.scores.iter_mut().filter(|s| s.key.drug_b == drug("venetoclax") && s.key.line == line("R20")) {
        score.scores[1].score = Some(0.01);
    }
    let ranking = orphan.ranking();
    let row = ranking.differentials.iter().find(|d| d.drug_b == drug("venetoclax") && d.line == line("R80"));
    assert_eq!(row.map(|d| (d.parental, d.reference)), Some((None, "panel")));
    let pair = ranking.pairs.iter().find(|p| p.drug_b == drug("venetoclax")).expect("a pair");
    assert!(pair.flags.contains("heterogeneous") && pair.i_squared > Some(0.9), "{pair:?}");
    // No parental matrix at all.
    let mut alone = rank_scene::scene(false, true);
    alone.scores.retain(|s| s.key.line != line("HL-60"));
    let ranking = alone.ranking();
    assert!(ranking.differentials.iter().all(|d| d.reason == Some("no_parental_matrix") && d.differential.is_none()));
    assert!(ranking.pairs.iter().all(|p| p.flags.contains("no_parental_matrix")));
}

#[test]
fn the_composite_ranks_by_its_lower_end_and_gates_come_before() {
    let mut scene = scene(false, true);
    scene.settings.by = RankBy::Composite;
    let drug = |scene: &Scene, name: &str| scene.screen.drugs.id(name).expect("drug");
    let pairs = scene.rank();
    let best = &pairs[0];
    assert_eq!(best.drug_b, drug(&scene, "venetoclax"));
    // 0.21 synergy, half of 0.19, 0.05 of a rescue of one half, no window, 0.05 of a burden of a quarter.
    let want = [0.21, 0.095, 0.025, 0.0, -0.0125];
    for (got, want) in best.composite_parts.iter().zip(want) {
        assert!((got - want).abs() < 1e-12, "{:?}", best.composite_parts);
    }
    assert!((best.composite.expect("composite") - want.iter().sum::<f64>()).abs() < 1e-12);
    assert!(best.flags.contains("composite_without_efficacy"), "{}", best.flags);
    assert!(pairs[5].composite.is_none() && pairs[4].tie_group < pairs[5].tie_group);
    assert!(best.rank_low == Some(1) && best.rank_high == Some(1), "{best:?}");
    // A vague leader stands behind a sure second.
    let venetoclax = drug(&scene, "venetoclax");
    for score in scene.scores.iter_mut().filter(|s| s.key.drug_b == venetoclax) {
        score.scores[1].standard_error = Some(0.4);
    }
    let vague = scene.rank();
    let place = |pairs: &[RankedPair]| pairs.iter().position(|p| p.drug_b == venetoclax).expect("a pair");
    assert!(place(&vague) > 0 && vague[place(&vague)].composite > vague[0].composite);
    // Synergy alone, at weights; and the weight of a part takes its part away.
    scene.settings.weights =
        CompositeWeights { selectivity: 0.0, rescue: 0.0, qc_burden: 0.0, ..CompositeWeights::default() };
    let plain = scene.rank();
    assert!(plain.iter().all(|p| p.score == p.composite));
    // Gates.
    let mut gated = rank_scene::scene(false, true);
    gated.settings.gates = Gates { min_differential: Some(0.05), ..Gates::default() };
    let pairs = gated.rank();
    assert_eq!(pairs[0].drug_b, drug(&gated, "venetoclax"));
    assert!(pairs[1..].iter().all(|p| p.flags.contains("gate_differential")), "{}", pairs[1].flags);
    gated.settings.gates = Gates { max_q: Some(1e-12), min_efficacy: Some(0.8), ..Gates::default() };
    assert_eq!(gated.rank()[0].drug_b, drug(&gated, "venetoclax"));
    gated.settings.gates = Gates { min_efficacy: Some(0.99), ..Gates::default() };
    assert!(gated.rank().iter().all(|p| p.flags.contains("gate_efficacy")));
    // Any other measure.
    gated.settings = RankSettings { by: RankBy::Differential, gates: Gates::default(), ..gated.settings };
    let order = gated.rank();
    assert_eq!(order[0].drug_b, drug(&gated, "venetoclax"));
    assert_eq!(order.iter().position(|p| p.drug_b == drug(&gated, "parental friend")), Some(4));
}
