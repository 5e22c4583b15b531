//! Surfaces with parameters of interaction: closed forms, known truths, the peers' fits.

use crate::shared;
use crate::synergy::{key, observation, peer_matrices, rows, score, swapped};
use isobole::backend::Backend;
use isobole::backend::cpu::Cpu;
use isobole::fit::{CurveSet, FitSettings};
use isobole::math::random::standard_normal;
use isobole::model::{LN_DOSE_ZERO, Model, ModelId, SurfaceModel, braid, hill::Hill4, musyc};
use isobole::screen::dose_matrix::{DoseMatrix, Observation, matrix_from_cells};
use isobole::synergy::design::Design;
use isobole::synergy::interaction::{Effort, Interaction, Surface, fit_surfaces};
use isobole::synergy::interaction_table::Row;
use isobole::synergy::margins::fit_margins;
use isobole::synergy::{Margins, MatrixScore, SynergyModel};

/// Numbers that look random: between `from` and `to`.
pub fn uniform(trial: u64, place: u32, from: f64, to: f64) -> f64 {
    let z = standard_normal(31, trial, 0, place);
    from + (to - from) * 0.5 * (1.0 + libm::erf(z / 2f64.sqrt()))
}

/// Parameters of a MuSyC surface over doses of 1e-9 to 1e-5 M; `ln_alpha` and `ln_gamma` within ± these.
pub fn truth(trial: u64, ln_alpha: f64) -> [f64; 10] {
    let at = |place, from, to| uniform(trial, place, from, to);
    let middle = 1e-7f64.ln();
    [
        at(0, 0.95, 1.05),
        at(1, 0.2, 0.6),
        at(2, 0.1, 0.5),
        at(3, 0.0, 0.1),
        at(4, middle - 1.5, middle + 1.5),
        at(5, middle - 1.5, middle + 1.5),
        at(6, 0.8, 2.0),
        at(7, 0.8, 2.0),
        at(8, -ln_alpha, ln_alpha),
        at(9, -ln_alpha, ln_alpha),
    ]
}

/// Doses of 10 levels, none included.
pub fn doses() -> impl Iterator<Item = f64> + Clone {
    std::iter::once(0.0).chain((0..9).map(|k| 1e-9 * 10f64.powf(0.5 * f64::from(k))))
}

pub fn ln(dose: f64) -> f64 {
    if dose > 0.0 { dose.ln() } else { LN_DOSE_ZERO }
}

fn matrix(trial: u64, noise: f64, replicates: u32, response: impl Fn(f64, f64) -> f64) -> DoseMatrix {
    let mut cells: Vec<Observation> = Vec::new();
    for a in doses() {
        for b in doses() {
            for _ in 0..replicates {
                let e = noise * standard_normal(5, trial, 1, cells.len() as u32);
                cells.push(observation(a, b, response(ln(a), ln(b)) + e));
            }
        }
    }
    matrix_from_cells(key(trial as u32), &cells).unwrap()
}

fn fitted(matrices: &[DoseMatrix], model: SynergyModel) -> Vec<MatrixScore> {
    score(matrices, &[model], Margins::Fitted)
}

fn row(interaction: &Interaction, parameter: &str) -> Row {
    interaction.rows().into_iter().find(|row| row.parameter == parameter).unwrap()
}

#[test]
fn surfaces_without_interaction_are_what_theory_says() {
    for trial in 0..200 {
        let mut p = truth(trial, 0.0);
        p[0] = 1.0;
        p[3] = p[1] * p[2];
        let (a, b) = (uniform(trial, 20, -20.0, -10.0), uniform(trial, 21, -20.0, -10.0));
        let alone = |x, bottom, c, h| Hill4::response(x, [1.0, bottom, c, h]);
        let bliss = alone(a, p[1], p[4], p[6]) * alone(b, p[2], p[5], p[7]);
        let of = |a, b, p| musyc::Musyc::response(a, b, p);
        assert!((of(a, b, p) - bliss).abs() < 1e-14, "{trial}");
        // Without the other drug each is its own Hill curve, whatever the interaction; without both, nothing happens.
        let q = truth(trial, 3.0);
        assert!((of(a, LN_DOSE_ZERO, q) - Hill4::response(a, [q[0], q[1], q[4], q[6]])).abs() < 1e-14);
        assert!((of(LN_DOSE_ZERO, b, q) - Hill4::response(b, [q[0], q[2], q[5], q[7]])).abs() < 1e-14);
        assert_eq!(of(LN_DOSE_ZERO, LN_DOSE_ZERO, q), q[0]);
        // Potency: so much of the first drug that only its bound states are left.
        let beside = of(60.0, b, q);
        let shifted = Hill4::response(b + q[8], [q[1], q[3], q[5], q[7]]);
        assert!((beside - shifted).abs() < 1e-9, "{trial}: {beside} {shifted}");
        // Cooperativity one: the plain surface.
        let mut with_gamma = [0.0; 12];
        with_gamma[..10].copy_from_slice(&q);
        assert_eq!(musyc::MusycGamma::response(a, b, with_gamma), of(a, b, q));
        // A drug beside itself, by BRAID with kappa 0, is the drug at the sum of the doses.
        let (c, n) = (p[4], p[6]);
        let sham = braid::Braid::response(a, b, [1.0, 0.1, 1.0, 1.0, c, c, n, n, 0.0]);
        let sum = (a.exp() + b.exp()).ln();
        assert!((sham - Hill4::response(sum, [1.0, 0.1, c, n])).abs() < 1e-12, "{trial}");
        // Synergy above, antagonism below.
        let with = |epsilon| braid::Braid::response(a, b, [1.0, 0.1, 0.8, 1.0, c, p[5], n, p[7], epsilon]);
        assert!(with(1.0) <= with(0.0) && with(0.0) <= with(-1.0));
    }
}

#[test]
fn a_surface_without_noise_is_found_again() {
    let truths: Vec<[f64; 10]> = (0..40).map(|trial| truth(trial, 2.0)).collect();
    let make = |(trial, p): (usize, &[f64; 10])| matrix(trial as u64, 0.0, 1, |a, b| musyc::Musyc::response(a, b, *p));
    let matrices: Vec<DoseMatrix> = truths.iter().enumerate().map(make).collect();
    let largest = |truths: &[[f64; 10]]| {
        let mut differences: Vec<f64> = Vec::new();
        for (score, truth) in fitted(&matrices, SynergyModel::Musyc).iter().zip(truths) {
            let fit = score.interactions[0].fit;
            assert!(fit.sse < 1e-9, "{fit:?}");
            differences.push(fit.parameters.iter().zip(truth).map(|(p, t)| (p - t).abs()).fold(0.0, f64::max));
        }
        differences.into_iter().fold(0.0, f64::max)
    };
    assert!(largest(&truths) < 1e-3, "{}", largest(&truths));
    let mut off = truths.clone();
    off[7][8] += 0.01;
    assert!(largest(&off) > 5e-3, "the comparison can fail");
    // BRAID, with unequal efficacies.
    let braids: Vec<[f64; 9]> = (0..20u64)
        .map(|t| {
            let p = truth(t, 0.0);
            [1.0, 0.05, uniform(t, 30, 0.5, 0.9), 1.0, p[4], p[5], p[6], p[7], uniform(t, 31, -0.5, 0.8)]
        })
        .collect();
    let matrices: Vec<DoseMatrix> =
        (0..20u64).map(|t| matrix(t, 0.0, 1, |a, b| braid::Braid::response(a, b, braids[t as usize]))).collect();
    for (score, truth) in fitted(&matrices, SynergyModel::BraidFree).iter().zip(&braids) {
        let fit = score.interactions[0].fit;
        assert!(fit.parameters.iter().zip(truth).all(|(p, t)| (p - t).abs() < 1e-3), "{fit:?} {truth:?}");
        assert_eq!(score.scores[0].score.unwrap() > 0.0, truth[8] > 0.0);
    }
}

#[test]
fn scores_are_zero_without_interaction_and_grow_with_it() {
    let with = |ln_alpha: f64| {
        let mut p = truth(3, 0.0);
        p[3] = p[1].min(p[2]);
        (p[8], p[9]) = (ln_alpha, ln_alpha);
        let matrix = matrix(3, 0.0, 1, |a, b| musyc::Musyc::response(a, b, p));
        fitted(&[matrix], SynergyModel::Musyc)[0].scores[0].score.unwrap()
    };
    assert!(with(0.0).abs() < 1e-6, "{}", with(0.0));
    let [less, more, most] = [-1.0, 1.0, 2.0].map(with);
    assert!(less < -0.003 && more > 0.005 && most > 2.0 * more, "{less} {more} {most}");
}

#[test]
fn neither_the_order_of_the_drugs_nor_the_unit_of_their_doses_matters() {
    let matrices: Vec<DoseMatrix> =
        (0..12).map(|t| matrix(t, 0.03, 2, |a, b| musyc::Musyc::response(a, b, truth(t, 1.5)))).collect();
    let scaled = |matrix: &DoseMatrix| {
        let cells: Vec<Observation> = matrix
            .cells
            .iter()
            .map(|c| Observation { weight: c.weight, ..observation(c.dose_a * 1e3, c.dose_b, c.response) })
            .collect();
        matrix_from_cells(matrix.key, &cells).unwrap()
    };
    // What the first drug does to the second is told of them, wherever they stand.
    let swapped_scores = fitted(&matrices.iter().map(swapped).collect::<Vec<_>>(), SynergyModel::Musyc);
    for (x, y) in fitted(&matrices, SynergyModel::Musyc).iter().zip(swapped_scores) {
        let of = |score: &MatrixScore, name| row(&score.interactions[0], name).value;
        for (one, other) in [("log10_alpha12", "log10_alpha21"), ("log10_alpha21", "log10_alpha12")] {
            if let (Some(a), Some(b)) = (of(x, one), of(&y, other)) {
                assert!((a - b).abs() < 1e-3, "{one}: {a} {b}");
                assert!(of(&y, one).is_none_or(|wrong| (wrong - a).abs() > 1e-3), "the comparison can fail");
            }
        }
    }
    for model in [SynergyModel::Musyc, SynergyModel::BraidFree] {
        let plain = fitted(&matrices, model);
        let others = [matrices.iter().map(swapped).collect::<Vec<_>>(), matrices.iter().map(scaled).collect()];
        for other in others {
            for (x, y) in plain.iter().zip(fitted(&other, model)) {
                let (a, b) = (x.scores[0].score.unwrap(), y.scores[0].score.unwrap());
                assert!((a - b).abs() < 1e-4, "{model:?}: {a} {b}");
                assert!((x.interactions[0].fit.sse / y.interactions[0].fit.sse - 1.0).abs() < 1e-5);
            }
        }
    }
}

#[test]
fn a_fold_change_of_potency_is_told_only_where_the_data_tell_it() {
    let trials = 80u64;
    let truths: Vec<[f64; 10]> = (0..trials).map(|t| truth(100 + t, 1.5)).collect();
    let matrices: Vec<DoseMatrix> = (0..trials)
        .map(|t| matrix(100 + t, 0.05, 3, |a, b| musyc::Musyc::response(a, b, truths[t as usize])))
        .collect();
    let scores = fitted(&matrices, SynergyModel::Musyc);
    let (mut told, mut covered, mut bounded, mut right) = (0, 0, 0, 0);
    for (score, truth) in scores.iter().zip(&truths) {
        for (name, place) in [("log10_alpha12", 8), ("log10_alpha21", 9)] {
            let row = row(&score.interactions[0], name);
            let truth = truth[place] / std::f64::consts::LN_10;
            match (row.interval, row.bounds) {
                ([Some(low), Some(high)], _) => {
                    told += 1;
                    covered += usize::from((low..=high).contains(&truth));
                    assert!(row.value.is_some_and(|v| (low..=high).contains(&v)), "{row:?}");
                }
                (_, [low, high]) => {
                    assert!(row.value.is_none() && row.reason.is_some(), "{row:?}");
                    bounded += usize::from(low.is_some() || high.is_some());
                    let holds = low.is_none_or(|l| l <= truth) && high.is_none_or(|h| truth <= h);
                    right += usize::from((low.is_some() || high.is_some()) && holds);
                }
            }
        }
    }
    println!("told {told}, covered {covered}; one-sided {bounded}, right {right}");
    assert!(
        told > 100 && (0.90..0.99).contains(&(f64::from(covered as u32) / f64::from(told as u32))),
        "{covered} of {told}"
    );
    assert!(right * 100 >= bounded * 85, "{right} of {bounded}");
    // An inert first drug says nothing of what it does to the second one's potency in its own state.
    let inert = matrix(9, 0.05, 3, |_, b| Hill4::response(b, [1.0, 0.1, 1e-7f64.ln(), 1.2]));
    let score = &fitted(&[inert], SynergyModel::Musyc)[0];
    let alpha = row(&score.interactions[0], "log10_alpha21");
    assert!(alpha.value.is_none() && alpha.reason.is_some(), "{alpha:?}");
    // Two inert drugs say next to nothing; a surface that says nothing at all is flagged.
    let nothing = matrix(9, 0.05, 3, |_, _| 1.0);
    let mut silent = fitted(&[nothing], SynergyModel::BraidFree)[0].interactions[0].clone();
    let kappa = row(&silent, "kappa");
    assert!(kappa.value.is_none() && kappa.reason.is_some(), "{kappa:?}");
    silent.profiles.iter_mut().flatten().for_each(|p| (p.interval, p.bounds) = ([None; 2], [None; 2]));
    assert_eq!(
        (silent.flag(), row(&silent, "kappa").reason),
        (Some("braid_free_not_identified"), Some("not_identified"))
    );
    assert!(!scores.iter().any(|score| score.flags.contains("musyc_not_identified")));
    // Without noise there is no interval, and it says so.
    let silent = matrix(9, 0.0, 1, |a, b| musyc::Musyc::response(a, b, truth(9, 1.0)));
    let score = &fitted(&[silent], SynergyModel::Musyc)[0];
    for interaction in &score.interactions {
        assert!(interaction.rows().iter().all(|r| r.value.is_some() || r.reason.is_some()));
    }
}

#[test]
fn intervals_allow_for_noise_that_is_hardly_known() {
    // Seven replicates in all: six degrees of freedom of the noise.
    let trials = 100u64;
    let levels = || [0.0, 1e-8, 1e-7, 1e-6].into_iter();
    let truths: Vec<[f64; 9]> = (0..trials)
        .map(|t| [1.0, 0.1, 0.9, 1.0, 1e-7f64.ln(), 2e-7f64.ln(), 1.2, 1.2, uniform(t, 40, -0.3, 0.5)])
        .collect();
    let make = |t: u64| {
        let mut cells: Vec<Observation> = Vec::new();
        for (a, b) in levels().flat_map(|a| levels().map(move |b| (a, b))) {
            let wells = if a > 0.0 && cells.len() < 12 { 2 } else { 1 };
            for _ in 0..wells {
                let e = 0.03 * standard_normal(6, t, 2, cells.len() as u32);
                cells.push(observation(a, b, braid::Braid::response(ln(a), ln(b), truths[t as usize]) + e));
            }
        }
        matrix_from_cells(key(t as u32), &cells).unwrap()
    };
    let matrices: Vec<DoseMatrix> = (0..trials).map(make).collect();
    let (mut told, mut covered) = (0, 0);
    for (score, truth) in fitted(&matrices, SynergyModel::BraidFree).iter().zip(&truths) {
        let kappa = row(&score.interactions[0], "kappa");
        if let [Some(low), Some(high)] = kappa.interval {
            told += 1;
            covered += usize::from((low..=high).contains(&(2.0 * truth[8].exp() - 2.0)));
            assert!(kappa.standard_error.is_some() || kappa.reason.is_some());
        }
    }
    println!("noise of few degrees: covered {covered} of {told}");
    assert!(told > 80 && covered * 100 >= told * 92, "{covered} of {told}");
}

#[test]
fn of_nested_surfaces_the_one_that_made_the_data_is_chosen() {
    // Shares of the two drugs, and epsilon.
    let kinds: [(&str, [f64; 3]); 6] = [
        ("equal", [1.0, 1.0, 0.0]),
        ("equal_kappa", [1.0, 1.0, 0.7]),
        ("larger", [0.5, 1.0, 0.0]),
        ("larger_kappa", [1.0, 0.5, -0.7]),
        ("free", [0.4, 0.6, 0.0]),
        ("free_kappa", [0.6, 0.4, 0.8]),
    ];
    let trials = 6u64;
    let matrices: Vec<DoseMatrix> = kinds
        .iter()
        .flat_map(|(_, [a, b, epsilon])| (0..trials).map(move |t| (t, [*a, *b, *epsilon])))
        .map(|(t, [share_a, share_b, epsilon])| {
            let p = truth(t, 0.0);
            let all = [1.0, 0.05, share_a, share_b, p[4], p[5], p[6], p[7], epsilon];
            matrix(300 + t, 0.02, 1, |a, b| braid::Braid::response(a, b, all))
        })
        .collect();
    let scores = fitted(&matrices, SynergyModel::BraidFree);
    let right = |shift: usize| {
        let is_right = |(i, score): (usize, &MatrixScore)| {
            let nested = score.interactions[0].criterion.nested.unwrap();
            nested.name == kinds[(i / trials as usize + shift) % kinds.len()].0
        };
        scores.iter().enumerate().filter(|at| is_right(*at)).count()
    };
    println!("{} of {} chosen right", right(0), scores.len());
    assert!(right(0) * 100 >= scores.len() * 80, "{}", right(0));
    assert!(right(1) * 10 < scores.len(), "the comparison can fail");
    for score in &scores {
        let interaction = &score.interactions[0];
        let nested = interaction.criterion.nested.unwrap();
        assert!(nested.delta_bic >= 0.0 && nested.name.ends_with("kappa") == (nested.kappa != 0.0), "{nested:?}");
        // No worse than the whole surface, whose criterion is worked out here; and exactly it where that is chosen.
        let n = interaction.points as f64;
        let whole = n * (interaction.fit.sse / n).ln() + 9.0 * n.ln();
        assert!(nested.bic <= whole + 1e-9, "{nested:?} {whole}");
        assert!(nested.name != "free_kappa" || (nested.bic - whole).abs() < 1e-9);
        let asked = interaction.criterion.delta_bic.unwrap() > 0.0;
        assert!(asked || nested.name != "free_kappa", "{nested:?}");
        assert_eq!(row(interaction, "braid_kappa").value, Some(nested.kappa));
    }
}

#[test]
fn designs_too_small_for_a_surface_say_why() {
    let few: Vec<Observation> =
        [(0.0, 0.0), (1e-7, 0.0), (0.0, 1e-7), (1e-7, 1e-7)].map(|(a, b)| observation(a, b, 0.5)).to_vec();
    let constant = matrix(1, 0.0, 1, |_, _| 1.0);
    for model in [SynergyModel::Musyc, SynergyModel::MusycGamma, SynergyModel::BraidFree] {
        let scores = fitted(&[matrix_from_cells(key(0), &few).unwrap(), constant.clone()], model);
        assert_eq!(scores[0].scores[0].score, None);
        assert_eq!(scores[0].scores[0].reason, Some("too_few_doses"));
        assert!(scores[1].scores[0].score.is_some_and(|s| s.abs() < 1e-6), "{:?}", scores[1].scores[0]);
        for score in &scores {
            let rows = score.interactions[0].rows();
            assert!(rows.iter().all(|r| r.value.is_some_and(f64::is_finite) || r.reason.is_some()), "{rows:?}");
        }
    }
}

/// Sums of squares of all wells about the fitted surfaces.
fn sums_of_squares(matrices: &[DoseMatrix], surface: Surface) -> Vec<f64> {
    let designs: Vec<Design> = matrices.iter().map(Design::new).collect();
    let items: Vec<_> = designs.iter().map(|design| (design, design.observed())).collect();
    let margins = fit_margins(&items, &FitSettings::new(ModelId::Hill4), &Cpu).unwrap();
    let fits = fit_surfaces(surface, &items, &margins, 100, Effort::Data, &Cpu).unwrap();
    let pure = |m: &DoseMatrix| m.cells.iter().map(|c| c.sum_of_squares).sum::<f64>();
    fits.iter().zip(matrices).map(|(fitted, m)| fitted.fit.sse + pure(m)).collect()
}

/// Of the peers' 500 matrices these take part: all take minutes without optimisation.
const EVERY: usize = 10;

/// The lowest sums of squares of a MuSyC surface that the starts of its own grid lead to, many of them to the end.
fn by_search(matrices: &[DoseMatrix]) -> Vec<f64> {
    let mut set = CurveSet::new();
    for m in matrices {
        set.push(None, m.cells.iter().map(|c| (c.dose_a, c.response, c.weight)));
        set.x2.extend(m.cells.iter().map(|c| ln(c.dose_b)));
    }
    let settings = FitSettings { starts: 8, ..FitSettings::new(ModelId::musyc()) };
    let pure = |m: &DoseMatrix| m.cells.iter().map(|c| c.sum_of_squares).sum::<f64>();
    Cpu.fit(&settings, &set).unwrap().iter().zip(matrices).map(|(fit, m)| fit.sse + pure(m)).collect()
}

/// How many are more than a thousandth above the peer's, and how many more than a thousandth below.
fn compared(ours: &[f64], theirs: &[f64]) -> (usize, usize) {
    let count = |f: &dyn Fn(f64, f64) -> bool| ours.iter().zip(theirs).filter(|(o, t)| f(**o, **t)).count();
    (count(&|o, t| o > t * 1.001 || o.is_nan()), count(&|o, t| o < t * 0.999))
}

#[test]
fn fits_are_as_low_as_the_peers() {
    let Some(path) = shared("peers/matrices.parquet") else { return };
    let matrices: Vec<DoseMatrix> = peer_matrices(&path).into_iter().step_by(EVERY).collect();
    // Of MuSyC without gamma the peer has no fits: a search of our own from every start of a grid stands in.
    let theirs = by_search(&matrices);
    let mut ours = sums_of_squares(&matrices, Surface::Musyc);
    let (above, below) = compared(&ours, &theirs);
    println!("Musyc: {above} of {} above a search, {below} below", ours.len());
    assert!(above * 100 <= 5 * ours.len(), "{above}");
    ours.iter_mut().step_by(10).for_each(|sse| *sse *= 1.1);
    assert!(compared(&ours, &theirs).0 * 100 > 5 * ours.len(), "the comparison can fail");
    for (surface, file) in [
        (Surface::MusycGamma, "peers/synergy_raw_MuSyC_bounds_matrix.parquet"),
        (Surface::BraidFree, "peers/synergy_raw_BRAID_kappa_matrix.parquet"),
    ] {
        let Some(path) = shared(file) else { return };
        let theirs: Vec<f64> = rows(&path, ["sse"])
            .iter()
            .step_by(EVERY)
            .map(|[sse]| if sse.is_nan() { f64::MAX } else { *sse })
            .collect();
        let mut ours = sums_of_squares(&matrices, surface);
        let (above, below) = compared(&ours, &theirs);
        println!("{surface:?}: {above} of {} above the peer, {below} below", ours.len());
        assert!(above * 100 <= 5 * ours.len(), "{surface:?}: {above}");
        ours.iter_mut().step_by(10).for_each(|sse| *sse *= 1.1);
        assert!(compared(&ours, &theirs).0 * 100 > 5 * ours.len(), "the comparison can fail");
    }
}
