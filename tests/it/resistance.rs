//! Potencies by line, cross-resistance and resensitisation, against closed forms and constructed truth.

use crate::inference::curve;
use crate::rank::{Noise, annotation, calls, doses, of, response_curve};
use isobole::backend::cpu::Cpu;
use isobole::resistance::Resistance;
use isobole::resistance::cross_resistance::{CrossResistance, cross_resistance, table};
use isobole::resistance::potency::{LogRatio, Potency};
use isobole::resistance::resensitisation::{Resensitisation, resensitisation};
use isobole::screen::Screen;
use isobole::screen::dose_matrix::{Cell, CurveKey, CurvePoint, DoseMatrix, MarginOrigin, MatrixKey};
use isobole::screen::line::LineStatus;
use isobole::screen::names::NameId;
use isobole::simulate::{Interaction, MusycSurface, TrueCurve};
use isobole::synergy::MatrixScore;

#[test]
fn relative_potency_and_area_follow_closed_forms() {
    let mut screen = Screen::default();
    let drug = screen.drugs.intern("clofarabine");
    let (shallow, dead) = (screen.lines.intern("shallow"), screen.lines.intern("inert"));
    let mut noise = Noise(4);
    let mut make = |line: NameId, bottom: f64, sd: f64| {
        let response = |d: f64| bottom + (1.0 - bottom) / (1.0 + 10f64.powf(d.log10() + 7.0));
        let wells: Vec<(f64, f64)> =
            doses().flat_map(|d| [d, d]).map(|d| (d, response(d) + sd * noise.normal())).collect();
        curve(CurveKey { line, drug, schedule: None }, &wells)
    };
    let curves = [make(shallow, 0.6, 0.02), make(dead, 1.0, 0.02)];
    let calls = calls(&screen, &curves, Some(drug), 3.0);
    // Never at one half, and yet with a half-effect dose: EC50 1e-7 M.
    let r = of(&calls, &screen, "shallow");
    assert_eq!((r.log10_ic50, r.ic50_censored), (None, "above"));
    let [low, high] = r.relative.interval.map(|end| end.expect("an end"));
    assert!(low < -7.0 && -7.0 < high && high - low < 0.6, "{low} {high}");
    assert_eq!(r.relative.reason, None);
    // Mean inhibition of a slope of 1 over decades -9 to -4.5, EC50 at -7: 0.4 (log10(1 + 10^2.5) - log10(1 + 10^-2)) / 4.5.
    let aac = 0.4 * ((1.0 + 10f64.powf(2.5)).log10() - (1.0 + 10f64.powf(-2.0)).log10()) / 4.5;
    assert!((r.aac.expect("an area") - aac).abs() < 0.02, "{:?} {aac}", r.aac);
    assert!((r.log10_dose_range[0].expect("low") + 9.0).abs() < 1e-9);
    let inert = of(&calls, &screen, "inert");
    assert_eq!((inert.relative.log10_ec50, inert.relative.reason), (None, Some("not_a_responder")));
    assert!(inert.aac.expect("an area").abs() < 0.03);
}

#[test]
fn cross_resistance_follows_the_truth() {
    let mut screen = Screen::default();
    let parent = screen.lines.intern("CCRF-CEM");
    let dck = screen.lines.intern("CCRF-CEM/dCK");
    let other = screen.lines.intern("sensitive");
    screen.annotations = vec![annotation(None, None), annotation(Some(parent), None), annotation(Some(parent), None)];
    // (drug, log10 fold in the subline)
    let truth = [
        ("venetoclax", -1.0, CrossResistance::CollateralSensitivity),
        ("clofarabine", 1.8, CrossResistance::CrossResistant),
        ("azacitidine", 0.0, CrossResistance::Unchanged),
        ("compound 7", 0.0, CrossResistance::Unchanged),
        ("Ara-C", 1.6, CrossResistance::CrossResistant),
        ("bortezomib", 0.477, CrossResistance::Uncertain),
    ];
    let mut noise = Noise(11);
    let mut curves = Vec::new();
    for (name, log10_fold, _) in truth {
        let drug = screen.drugs.intern(name);
        for (line, shift) in [(parent, 0.0), (dck, log10_fold), (other, 0.0)] {
            curves.push(response_curve(line, drug, -7.2 + shift, 0.04, &mut noise));
        }
    }
    let anchor = screen.drugs.id("clofarabine");
    let map = |curves: &[_]| cross_resistance(&calls(&screen, curves, anchor, 3.0), &screen, anchor, 3.0);
    let rows = map(&curves);
    let name = |row: &isobole::resistance::cross_resistance::CrossResistanceRow| screen.drugs.name(row.resistance.drug);
    // Nucleoside analogues first, then classes by name, the unknown last; the anchor and the lines that are not resistant
    // are not there.
    let order: Vec<&str> = rows.iter().map(name).collect();
    assert_eq!(order, ["Ara-C", "azacitidine", "venetoclax", "bortezomib", "compound 7"]);
    for row in &rows {
        let (_, log10_fold, class) = truth[truth.iter().position(|t| t.0 == name(row)).expect("a drug")];
        assert_eq!(row.resistance.line, dck);
        assert_eq!(row.class, class, "{}", name(row));
        let fold = row.resistance.fold_resistance.expect("a fold");
        assert!((fold.log10() - log10_fold).abs() < 0.15, "{}: {fold}", name(row));
        assert!(row.q >= row.resistance.p && row.q.is_some(), "{row:?}");
        assert_eq!(row.q.is_some_and(|q| q < 0.01), log10_fold != 0.0, "{}", name(row));
    }
    assert_eq!(rows[0].drug_class.map(|class| class.activated_by.as_str()), Some("dCK"));
    assert_eq!(rows[4].drug_class, None);
    assert_eq!(table(&rows, &screen).rows(), 5);
    // Without an anchor the annotated lines are the resistant ones, and nobody is annotated here.
    assert!(cross_resistance(&calls(&screen, &curves, None, 3.0), &screen, None, 3.0).is_empty());
    screen.annotations[1].status = Some(LineStatus::Resistant);
    assert_eq!(cross_resistance(&calls(&screen, &curves, None, 3.0), &screen, None, 3.0).len(), 6);
    // The parent's curves on the subline turn every class round.
    for curve in &mut curves {
        curve.key.line = [dck, parent, other][curve.key.line as usize];
    }
    let swapped = cross_resistance(&calls(&screen, &curves, anchor, 3.0), &screen, anchor, 3.0);
    assert_eq!(swapped[0].class, CrossResistance::CollateralSensitivity, "{:?}", swapped[0]);
}

const ANCHOR_DOSES: [f64; 8] = [3e-9, 1e-8, 3e-8, 1e-7, 3e-7, 1e-6, 3e-6, 1e-5];
const LINE: NameId = 0;

/// A matrix with margins: two wells a dose pair, of this response and noise.
pub fn matrix(
    block: NameId,
    partner_doses: &[f64],
    response: impl Fn(f64, f64) -> f64,
    mut noise: impl FnMut() -> f64,
) -> DoseMatrix {
    let key = MatrixKey { block: Some(block), line: LINE, drug_a: 0, drug_b: 1, schedule: None };
    let mut point = |dose_a: f64, dose_b: f64| {
        let wells = [0, 1].map(|_| response(dose_a, dose_b) + noise());
        let mean = 0.5 * (wells[0] + wells[1]);
        let sum_of_squares = wells.iter().map(|w| (w - mean) * (w - mean)).sum();
        CurvePoint { dose: 0.0, response: mean, weight: 2.0, n: 2, sum_of_squares }
    };
    let with_zero = |doses: &[f64]| std::iter::once(0.0).chain(doses.iter().copied()).collect::<Vec<f64>>();
    let margin_a = with_zero(&ANCHOR_DOSES).into_iter().map(|dose| CurvePoint { dose, ..point(dose, 0.0) }).collect();
    let margin_b = with_zero(partner_doses).into_iter().map(|dose| CurvePoint { dose, ..point(0.0, dose) }).collect();
    let mut cells = Vec::new();
    for dose_a in ANCHOR_DOSES {
        for &dose_b in partner_doses {
            let CurvePoint { response, weight, n, sum_of_squares, .. } = point(dose_a, dose_b);
            cells.push(Cell { dose_a, dose_b, response, weight, n, sum_of_squares });
        }
    }
    DoseMatrix { key, cells, margin_a, margin_b, origins: [MarginOrigin::default(); 2] }
}

/// The line's call: resistant, compared with this potency.
fn resistant(reference: Potency) -> Resistance {
    Resistance { reference, status: Some(LineStatus::Resistant), ..Resistance::unknown(LINE, 0, "test") }
}

fn exact(log10: f64) -> Potency {
    Potency::Known { log10, standard_error: Some(0.0), degrees_of_freedom: 1.0 }
}

fn rows(matrices: &[DoseMatrix], lines: &[Resistance]) -> Vec<Resensitisation> {
    let scores: Vec<MatrixScore> = matrices.iter().map(|m| MatrixScore::unscored(m.key)).collect();
    resensitisation(matrices, &scores, &[], lines, Some(0), &Cpu).expect("rows")
}

fn hill(dose: f64, ec50: f64) -> f64 {
    1.0 / (1.0 + dose / ec50)
}

fn fold(ratio: LogRatio) -> f64 {
    10f64.powf(ratio.log10.expect("a value"))
}

const PARTNER_DOSES: [f64; 3] = [1e-8, 1e-7, 1e-6];

#[test]
fn resensitisation_is_potency_not_kill() {
    let of = |response: &dyn Fn(f64, f64) -> f64| {
        rows(&[matrix(0, &PARTNER_DOSES, response, || 0.0)], &[resistant(exact(-8.0))])
    };
    // An independent partner that itself kills up to 40 %: the anchor is no more potent, yet less of it is needed: where
    // the partner leaves v, one half is reached at (2 v - 1) times the dose.
    let alone = |b: f64| 0.6 + 0.4 * hill(b, 1e-7);
    let got = of(&|a, b| hill(a, 1e-7) * alone(b));
    assert_eq!(got.len(), 3);
    for row in &got {
        let left = alone(row.partner_dose);
        assert!((row.partner_viability.expect("viability") - left).abs() < 1e-12);
        assert!((fold(row.fold_change) - 1.0).abs() < 1e-3, "{row:?}");
        assert!((fold(row.dose_reduction_index) * (2.0 * left - 1.0) - 1.0).abs() < 1e-3, "{row:?}");
        assert!(row.rescue.fraction.expect("a fraction").abs() < 1e-3, "{row:?}");
        assert_eq!(row.alpha.reason, Some("musyc_not_fitted"));
    }
    assert_eq!(got.iter().map(|r| r.is_ranked).collect::<Vec<_>>(), [false, false, true], "the highest tolerated dose");
    // A silent partner that makes the anchor up to ten times as potent, on a line a hundred times as resistant as its
    // parent: half of it undone, on the log scale.
    let sensitised = |a: f64, b: f64| hill(a, 1e-6 / (1.0 + 9.0 * b / 1e-6));
    let got = of(&sensitised);
    for row in &got {
        let truth = 1.0 + 9.0 * row.partner_dose / 1e-6;
        assert!((fold(row.fold_change) / truth - 1.0).abs() < 1e-3, "{row:?}");
        assert!((fold(row.dose_reduction_index) / truth - 1.0).abs() < 1e-3, "{row:?}");
        assert!((fold(row.fold_resistance) * truth / 100.0 - 1.0).abs() < 1e-3, "{row:?}");
        assert!((row.rescue.fraction.expect("a fraction") - truth.log10() / 2.0).abs() < 1e-3, "{row:?}");
        assert_eq!(row.equivalence.map(|e| e.verdict), Some("still_resistant"));
    }
    // All of it undone: the parent's potency again.
    let restored = of(&|a, b| hill(a, if b > 5e-7 { 1e-8 } else { 1e-6 }));
    assert_eq!(
        restored.iter().map(|r| r.equivalence.expect("tested").verdict).collect::<Vec<_>>(),
        ["still_resistant", "still_resistant", "equivalent"]
    );
    // The partner's response taken for the anchor's is seen.
    let swapped = of(&|a, b| sensitised(b, a));
    assert!(swapped.iter().all(|row| row.fold_change.log10.is_none_or(|log10| (log10 - 1.0).abs() > 0.1)));
}

#[test]
fn what_cannot_be_told_has_a_reason() {
    let of = |response: &dyn Fn(f64, f64) -> f64| {
        rows(&[matrix(0, &PARTNER_DOSES, response, || 0.0)], &[resistant(exact(-8.0))])
    };
    // No half effect alone, one with the partner: at least so many times as potent.
    let bound = of(&|a, b| hill(a, if b > 5e-7 { 1e-7 } else { 1.0 }));
    let last = &bound[2];
    assert_eq!((last.fold_change.log10, last.fold_change.high), (None, None));
    assert!((last.fold_change.low.expect("a bound") - 2.0).abs() < 1e-3, "10 µM over 0.1 µM: {last:?}");
    assert_eq!(last.fold_change.reason, Some("reference_ic50_above_range"));
    assert!(last.rescue.low.is_some() && last.rescue.fraction.is_none(), "{last:?}");
    assert_eq!(bound[0].fold_change.reason, Some("both_ic50_out_of_range"));
    // A partner that alone leaves a third speaks for nobody; one that leaves nothing has no potency beside it.
    let toxic = of(&|a, b| {
        hill(a, 1e-7)
            * if b > 5e-7 {
                0.01
            } else if b > 0.0 {
                0.3
            } else {
                1.0
            }
    });
    assert!(toxic.iter().all(|row| !row.is_ranked));
    assert_eq!(toxic[2].with_partner, Potency::Unknown("no_viability_without_anchor"));
    assert!(toxic[0].half_viability.log10().is_none() && toxic[0].dose_reduction_index.low.is_some(), "{:?}", toxic[0]);
    // No parent; a line that is not resistant; a matrix without the anchor; too few doses.
    let one = [matrix(0, &PARTNER_DOSES, |a, _| hill(a, 1e-7), || 0.0)];
    let orphan = rows(&one, &[resistant(Potency::Unknown("no_reference"))]);
    assert_eq!(
        (orphan[0].rescue.reason, orphan[0].fold_resistance.reason),
        (Some("no_reference"), Some("no_reference"))
    );
    assert!(fold(orphan[0].fold_change) > 0.99, "a fold change needs no parent");
    let sensitive = Resistance { status: Some(LineStatus::Sensitive), ..resistant(exact(-7.0)) };
    let plain = rows(&one, &[sensitive]);
    assert_eq!((plain[0].rescue.reason, plain[0].equivalence), (Some("not_resistant"), None));
    let unscored = [MatrixScore::unscored(one[0].key)];
    assert!(resensitisation(&one, &unscored, &[], &[], Some(7), &Cpu).expect("rows").is_empty());
    assert!(resensitisation(&one, &unscored, &[], &[], None, &Cpu).expect("rows").is_empty());
    let mut short = one.clone();
    short[0].cells.retain(|cell| cell.dose_a > 2e-6);
    let short = rows(&short, &[resistant(exact(-8.0))]);
    assert_eq!((short[0].fold_change.reason, short[0].is_ranked), (Some("too_few_doses"), false));
}

/// Share of `hits`, and whether it could well be `expected`: within three standard errors.
fn share(hits: usize, of: usize, expected: f64) -> (f64, bool) {
    let (share, n) = (hits as f64 / of as f64, of as f64);
    (share, (share - expected).abs() < 3.0 * (expected * (1.0 - expected) / n).sqrt() + 0.015)
}

#[test]
fn intervals_cover_the_truth_and_tests_keep_their_level() {
    const DRAWS: u32 = 400;
    let mut noise = Noise(21);
    // The partner alone leaves 0.8 and makes the anchor 8 times as potent; the line resists 50-fold. The partner dose after
    // it does nothing at all; the last one leaves the line at exactly twice the parent's dose.
    let (ec50, log10_parent) = (1e-6, (1e-6f64 / 50.0).log10());
    let response = |a: f64, b: f64| match b {
        b if b > 5e-7 => hill(a, ec50 / 25.0),
        b if b > 5e-8 => hill(a, ec50),
        b if b > 0.0 => 0.8 * hill(a, ec50 / 8.0),
        _ => hill(a, ec50),
    };
    let reference_error = 0.05;
    let (mut covered, mut halved, mut rescued, mut null, mut equal, mut n) = (0, 0, 0, 0, 0, 0);
    let matrices: Vec<DoseMatrix> =
        (0..DRAWS).map(|i| matrix(i, &PARTNER_DOSES, response, || 0.06 * noise.normal())).collect();
    for matrix in &matrices {
        let reference = Potency::Known {
            log10: log10_parent + reference_error * noise.normal(),
            standard_error: Some(reference_error),
            degrees_of_freedom: 200.0,
        };
        let rows = rows(std::slice::from_ref(matrix), &[resistant(reference)]);
        let (ratio, rescue) = (rows[0].fold_change, rows[0].rescue);
        let (Some(low), Some(high), Some(log10)) = (ratio.low, ratio.high, ratio.log10) else { continue };
        let (Some(rescue_low), Some(rescue_high)) = (rescue.low, rescue.high) else { continue };
        let truth = 8f64.log10();
        n += 1;
        covered += usize::from(low < truth && truth < high);
        halved += usize::from((log10 - truth).abs() < 0.25 * (high - low));
        let true_rescue = truth / 50f64.log10();
        rescued += usize::from(rescue_low < true_rescue && true_rescue < rescue_high);
        null += usize::from(rows[1].fold_change.p().is_some_and(|p| p < 0.05));
        equal += usize::from(rows[2].equivalence.is_some_and(|e| e.verdict == "equivalent"));
    }
    assert!(n > 395, "{n} of {DRAWS} have intervals");
    assert!(share(covered, n, 0.95).1, "fold change covered {:?}", share(covered, n, 0.95));
    assert!(share(rescued, n, 0.95).1, "rescue covered {:?}", share(rescued, n, 0.95));
    assert!(share(null, n, 0.05).1, "p below 0.05 without effect {:?}", share(null, n, 0.05));
    // At the margin itself: called equal in at most 5 %.
    let level = share(equal, n, 0.05);
    assert!(level.0 < 0.05 || level.1, "called equal at the margin {level:?}");
    // The planted fault: intervals of half the width.
    assert!(!share(halved, n, 0.95).1, "half the width covers {:?}", share(halved, n, 0.95));
}

#[test]
fn a_simulated_partner_gives_the_potency_that_it_was_planted_with() {
    // MuSyC surfaces are not what is fitted: the truth is the surface's own dose of half effect, by bisection.
    let anchor = TrueCurve { ec50_um: 1.0, hill: 1.6, bottom: 0.03 };
    let partner = TrueCurve { ec50_um: 0.05, hill: 1.2, bottom: 0.6 };
    let mut noise = Noise(5);
    for alpha21 in [1.0, 4.0, 20.0] {
        let surface = MusycSurface::new(anchor, partner, Interaction::sensitises(alpha21));
        let response = |a: f64, b: f64| surface.viability(a * 1e6, b * 1e6);
        let half = |b: f64| {
            let (mut low, mut high) = (-12.0f64, -2.0f64);
            for _ in 0..60 {
                let middle = 0.5 * (low + high);
                if response(10f64.powf(middle), b) > 0.5 * response(0.0, b) {
                    low = middle;
                } else {
                    high = middle;
                }
            }
            low
        };
        let matrix = matrix(0, &PARTNER_DOSES, response, || 0.02 * noise.normal());
        let got = rows(&[matrix], &[resistant(exact(-7.5))]);
        for row in &got {
            let truth = half(0.0) - half(row.partner_dose);
            let ratio = row.fold_change;
            let error = ratio.standard_error.expect("an error");
            assert!((ratio.log10.expect("a value") - truth).abs() < 4.0 * error + 0.02, "{alpha21}: {truth} {ratio:?}");
            assert!(error < 0.1, "{ratio:?}");
        }
        // The planted fold is seen, and no other.
        let last = got.last().expect("rows").fold_change;
        assert_eq!(last.low.expect("low") > 1.5f64.log10(), alpha21 > 1.0, "{alpha21}: {last:?}");
    }
}
