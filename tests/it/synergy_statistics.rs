//! Statistics of synergy on simulated screens whose truth is known: p uniform without synergy, intervals that cover,
//! false discoveries as many as are said, the cells that were planted and no others.

use crate::synergy::{key, observation};
use isobole::backend::cpu::Cpu;
use isobole::fit::FitSettings;
use isobole::math::random::{standard_normal, uniform};
use isobole::math::special::benjamini_hochberg;
use isobole::model::ModelId;
use isobole::model::surface::{HillCurve, bliss, loewe};
use isobole::screen::Screen;
use isobole::screen::dose_matrix::{DoseMatrix, MarginOrigin, MatrixKey, Observation, matrix_from_cells};
use isobole::synergy::bootstrap::{Resampling, add_intervals};
use isobole::synergy::departure::{Call, of_reference};
use isobole::synergy::design::Design;
use isobole::synergy::draws::{ResamplingKind, Sampler};
use isobole::synergy::interaction::Effort;
use isobole::synergy::margins::response;
use isobole::synergy::noise::variance_law;
use isobole::synergy::normalisation_error::{NormalisationError, PlateError};
use isobole::synergy::score::{Evaluator, score_matrices};
use isobole::synergy::{Margins, MatrixScore, Score, SynergyModel};

/// A simulated screen: each matrix has two random curves, no interaction but what is planted.
#[derive(Clone, Copy)]
struct Simulation {
    matrices: u32,
    /// Doses of each drug, none included.
    levels: usize,
    /// Wells of a dose pair, and of a single dose.
    replicates: [usize; 2],
    /// Standard deviation at response 0, and what is added for each unit of response, as independent parts.
    noise: [f64; 2],
    /// Standard deviation of a factor that all wells of a matrix share.
    plate: f64,
    is_loewe: bool,
    seed: u64,
}

const SMALL: Simulation = Simulation {
    matrices: 300,
    levels: 5,
    replicates: [2, 2],
    noise: [0.05, 0.0],
    plate: 0.0,
    is_loewe: false,
    seed: 1,
};

impl Simulation {
    fn dose(&self, level: usize) -> f64 {
        if level == 0 { 0.0 } else { 1e-8 * libm::pow(10.0, 3.0 * (level - 1) as f64 / (self.levels - 2) as f64) }
    }

    fn wells(&self, block: u32, planted: impl Fn(usize, usize) -> f64) -> Vec<Observation> {
        let at = |place: u32, from: f64, to: f64| from + (to - from) * uniform(self.seed, u64::from(block), 0, place);
        let curve = |first: u32| HillCurve {
            top: 1.0,
            bottom: at(first, 0.0, 0.6),
            ln_ec50: libm::log(1e-8) + at(first + 1, 1.0, 6.0),
            slope: at(first + 2, 0.7, 2.5),
        };
        let curves = [curve(0), curve(3)];
        let alone = |k: usize, dose: f64| if dose > 0.0 { response(curves[k], libm::log(dose)) } else { 1.0 };
        let normal = |draw: u32, place: u32| standard_normal(self.seed, u64::from(block), draw, place);
        let factor = 1.0 + self.plate * normal(2, 0);
        let mut wells: Vec<Observation> = Vec::new();
        for (i, j) in (0..self.levels).flat_map(|i| (0..self.levels).map(move |j| (i, j))) {
            let (a, b) = (self.dose(i), self.dose(j));
            let expected = match self.is_loewe && i > 0 && j > 0 {
                true => loewe(libm::log(a), libm::log(b), curves[0], curves[1]),
                false => bliss(alone(0, a), alone(1, b)),
            } - planted(i, j);
            for _ in 0..self.replicates[usize::from(i == 0 || j == 0)] {
                let place = wells.len() as u32;
                let noise = self.noise[0] * normal(3, place) + self.noise[1] * expected * normal(4, place);
                wells.push(observation(a, b, factor * (expected + noise)));
            }
        }
        wells
    }

    fn screen(&self, planted: impl Fn(u32, usize, usize) -> f64) -> Vec<DoseMatrix> {
        let matrix = |block| matrix_from_cells(key(block), &self.wells(block, |i, j| planted(block, i, j))).unwrap();
        (0..self.matrices).map(matrix).collect()
    }
}

fn names(blocks: usize) -> Screen {
    let mut screen = Screen::default();
    for block in 0..blocks {
        screen.blocks.intern(&format!("block {block}"));
    }
    screen.lines.intern("HL-60");
    screen.drugs.intern("clofarabine");
    screen.drugs.intern("venetoclax");
    screen
}

fn scored(matrices: &[DoseMatrix], model: SynergyModel, resampling: Resampling) -> Vec<MatrixScore> {
    let fit = FitSettings::new(ModelId::Hill4);
    let mut scores = score_matrices(matrices, &[model], Margins::Fitted, &fit, &Cpu).unwrap();
    let screen = names(matrices.len());
    add_intervals(&mut scores, matrices, &screen, &[model], Margins::Fitted, &fit, resampling, &Cpu).unwrap();
    scores
}

fn drawn(draws: usize) -> Resampling<'static> {
    Resampling { draws, seed: 1, ..Resampling::default() }
}

fn column(scores: &[MatrixScore], value: impl Fn(&Score) -> Option<f64>) -> Vec<f64> {
    scores.iter().map(|matrix| value(&matrix.scores[0]).unwrap()).collect()
}

/// Kolmogorov–Smirnov distance of p from uniform, times √n: 1.63 is its 1 % point.
fn departure_from_uniform(mut p: Vec<f64>) -> f64 {
    p.sort_by(f64::total_cmp);
    let n = p.len() as f64;
    let at = |(i, p): (usize, &f64)| (p - i as f64 / n).abs().max(((i + 1) as f64 / n - p).abs());
    p.iter().enumerate().map(at).fold(0.0, f64::max) * n.sqrt()
}

const ONE_PERCENT: f64 = 1.63;

/// One number of a score.
type Value = fn(&Score) -> Option<f64>;

/// The p of each test, by name.
const TESTS: [(&str, Value); 4] =
    [("p", |s| s.p), ("mean-R", |s| s.mean_r_p), ("max-R", |s| s.max_r_p), ("screen's null", |s| s.p_null)];

/// Share of 95 % intervals with 0, the truth, in them; and of those with a normal quantile.
fn coverage(scores: &[MatrixScore]) -> (f64, f64) {
    let share = |within: &dyn Fn(&Score) -> bool| {
        scores.iter().filter(|matrix| within(&matrix.scores[0])).count() as f64 / scores.len() as f64
    };
    let t = share(&|s| s.ci_low.unwrap() <= 0.0 && s.ci_high.unwrap() >= 0.0);
    let normal = share(&|s| s.score.unwrap().abs() <= 1.96 * s.standard_error.unwrap());
    (t, normal)
}

/// p of mean-R as if margins were known and not fitted.
fn mean_r_of_known_margins(scores: &[MatrixScore], degrees_of_freedom: f64) -> Vec<f64> {
    let of = |matrix: &MatrixScore| {
        let cells: Vec<_> = matrix.cells.iter().filter(|cell| cell.excess[0].is_some()).collect();
        let excess: Vec<f64> = cells.iter().map(|cell| cell.excess[0].unwrap()).collect();
        let deviation: Vec<f64> = cells.iter().map(|cell| matrix.sigma.unwrap() / f64::from(cell.n).sqrt()).collect();
        let shared = vec![0.0; 60 * cells.len()];
        of_reference(&excess, &deviation, &shared, degrees_of_freedom, None).unwrap().mean_r_p
    };
    scores.iter().map(of).collect()
}

#[test]
fn p_of_additive_screens_are_uniform() {
    for (model, is_loewe) in [(SynergyModel::Bliss, false), (SynergyModel::Loewe, true)] {
        let simulation = Simulation { is_loewe, ..SMALL };
        let scores = scored(&simulation.screen(|_, _, _| 0.0), model, drawn(100));
        for (name, p) in TESTS {
            let distance = departure_from_uniform(column(&scores, p));
            println!("{} {name}: {distance:.2}", model.name());
            assert!(distance < ONE_PERCENT, "{} {name}: {distance}", model.name());
        }
        // The planted fault: margins that are taken as known. 24 treated dose pairs and single doses in two wells.
        let known = departure_from_uniform(mean_r_of_known_margins(&scores, 24.0));
        assert!(known > ONE_PERCENT, "{known}");
        // And another truth than the model's.
        let other = Simulation { is_loewe: !is_loewe, ..simulation };
        let scores = scored(&other.screen(|_, _, _| 0.0)[..100], model, drawn(60));
        assert!(departure_from_uniform(column(&scores, |s| s.mean_r_p)) > ONE_PERCENT);
    }
}

#[test]
fn zip_and_noise_from_residuals_are_calibrated_too() {
    let zip = Simulation { matrices: 150, ..SMALL };
    let alone = Simulation { matrices: 150, levels: 6, replicates: [1, 1], ..SMALL };
    for (simulation, model) in [(zip, SynergyModel::Zip), (alone, SynergyModel::Bliss)] {
        let scores = scored(&simulation.screen(|_, _, _| 0.0), model, drawn(120));
        for (name, p) in TESTS {
            let distance = departure_from_uniform(column(&scores, p));
            println!("{} {name}: {distance:.2}", model.name());
            assert!(distance < ONE_PERCENT, "{} {name}: {distance}", model.name());
        }
        // The planted fault: interaction in every matrix.
        let planted =
            scored(&simulation.screen(|_, i, j| if i > 0 && j > 0 { 0.08 } else { 0.0 })[..40], model, drawn(60));
        assert!(departure_from_uniform(column(&planted, |s| s.mean_r_p)) > ONE_PERCENT);
    }
}

#[test]
fn intervals_cover_though_noise_is_hardly_known() {
    // Six treated single doses in two wells each are all that tells the noise.
    let simulation = Simulation { matrices: 700, levels: 4, replicates: [1, 2], ..SMALL };
    let scores = scored(&simulation.screen(|_, _, _| 0.0), SynergyModel::Bliss, drawn(60));
    let (t, normal) = coverage(&scores);
    println!("coverage with 6 degrees of freedom: {t:.3}, by a normal quantile {normal:.3}");
    assert!((0.93..=0.97).contains(&t), "{t}");
    assert!(normal < 0.93, "{normal}");
}

#[test]
fn noise_that_grows_with_the_signal_is_seen_and_allowed_for() {
    let simulation = Simulation { matrices: 300, noise: [0.01, 0.08], ..SMALL };
    let matrices = simulation.screen(|_, _, _| 0.0);
    let law = variance_law(&matrices).unwrap();
    assert!((1.5..2.5).contains(&law.exponent), "{law:?}");
    assert_eq!(variance_law(&SMALL.screen(|_, _, _| 0.0)), None);
    let scores = scored(&matrices, SynergyModel::Bliss, drawn(100));
    let (covered, _) = coverage(&scores);
    let [mean_r, max_r] = [TESTS[1].1, TESTS[2].1].map(|p| departure_from_uniform(column(&scores, p)));
    println!("noise by signal: coverage {covered:.3}, mean-R {mean_r:.2}, max-R {max_r:.2}");
    assert!((0.93..=0.97).contains(&covered), "{covered}");
    assert!(max_r < ONE_PERCENT, "{max_r}");
    // The planted fault: one matrix at a time has too few replicates to show the law.
    let alone: Vec<MatrixScore> =
        matrices.chunks(1).flat_map(|one| scored(one, SynergyModel::Bliss, drawn(60))).collect();
    let max_r = departure_from_uniform(column(&alone, |s| s.max_r_p));
    assert!(max_r > ONE_PERCENT, "{max_r}");
}

#[test]
fn errors_of_vehicle_means_widen_intervals() {
    let simulation = Simulation { matrices: 500, levels: 4, plate: 0.06, noise: [0.03, 0.0], ..SMALL };
    let matrices = simulation.screen(|_, _, _| 0.0);
    let of_matrix = |plate: u64| {
        let one = vec![PlateError { plate, deviation: simulation.plate }];
        NormalisationError { combinations: one.clone(), margins: [one.clone(), one] }
    };
    let errors: Vec<NormalisationError> = (0..matrices.len() as u64).map(of_matrix).collect();
    let known = Resampling { normalisation_errors: &errors, ..drawn(60) };
    let (allowed, _) = coverage(&scored(&matrices, SynergyModel::Bliss, known));
    let (ignored, _) = coverage(&scored(&matrices, SynergyModel::Bliss, drawn(60)));
    println!("coverage with plate errors: {allowed:.3}, ignored {ignored:.3}");
    assert!((0.93..=0.97).contains(&allowed), "{allowed}");
    assert!(ignored < 0.93, "{ignored}");
}

#[test]
fn false_discoveries_are_as_many_as_said() {
    // One matrix in ten is synergistic.
    let simulation = Simulation { matrices: 1500, levels: 4, ..SMALL };
    let is_planted = |block: u32| block.is_multiple_of(10);
    let effect = |block: u32, i: usize, j: usize| if is_planted(block) && i > 0 && j > 0 { 0.2 } else { 0.0 };
    let scores = scored(&simulation.screen(effect), SynergyModel::Bliss, drawn(60));
    // One screen has some eight false discoveries, too few to tell their share: the mean over many that are drawn from it.
    let rate = |p: &dyn Fn(usize) -> f64| {
        let mut rates = Vec::new();
        for draw in 0..200u32 {
            let pick = |place: u32, of_planted: bool| {
                let tenth = (uniform(2, 0, draw, place) * 150.0) as usize * 10;
                if of_planted { tenth } else { tenth + 1 + (uniform(3, 0, draw, place) * 9.0) as usize }
            };
            let chosen: Vec<usize> = (0..300).map(|place| pick(place, place < 30)).collect();
            let q = benjamini_hochberg(&chosen.iter().map(|i| Some(p(*i))).collect::<Vec<_>>());
            let found: Vec<usize> = (0..300).filter(|i| q[*i].unwrap() <= 0.05).collect();
            let false_ones = found.iter().filter(|i| **i >= 30).count();
            rates.push(false_ones as f64 / found.len().max(1) as f64);
        }
        rates.iter().sum::<f64>() / rates.len() as f64
    };
    let by_score = rate(&|i| scores[i].scores[0].p.unwrap());
    let by_null = rate(&|i| scores[i].scores[0].p_null.unwrap());
    // The planted fault: errors taken for two thirds of what they are.
    let bold = rate(&|i| libm::pow(scores[i].scores[0].p.unwrap(), 1.5));
    println!("false discoveries at 5 %: {by_score:.3}, by the screen's null {by_null:.3}, with bold p {bold:.3}");
    assert!((0.03..=0.07).contains(&by_score), "{by_score}");
    assert!((0.03..=0.07).contains(&by_null), "{by_null}");
    assert!(bold > 0.07, "{bold}");
    let found = scores.iter().filter(|s| s.scores[0].q.unwrap() <= 0.05 && is_planted(s.key.block.unwrap())).count();
    assert!(found > 120, "{found} of 150");
}

#[test]
fn the_cells_that_depart_are_called_and_few_others() {
    let simulation = Simulation { matrices: 120, levels: 6, ..SMALL };
    let planted = |block: u32, i: usize, j: usize| match block % 3 {
        0 if (i, j) == (2, 3) => 0.4,
        1 if (i, j) == (3, 2) => -0.4,
        _ => 0.0,
    };
    let scores = scored(&simulation.screen(planted), SynergyModel::Bliss, drawn(100));
    let (mut hits, mut others, mut called_alone) = (0, 0, 0);
    for matrix in &scores {
        let block = matrix.key.block.unwrap();
        let mut here = 0;
        for cell in &matrix.cells {
            let Some(departure) = cell.departures[0] else { continue };
            let is = |i: usize, j: usize| (cell.dose_a, cell.dose_b) == (simulation.dose(i), simulation.dose(j));
            let due = match block % 3 {
                0 if is(2, 3) => Call::Synergy,
                1 if is(3, 2) => Call::Antagonism,
                _ => Call::None,
            };
            let is_call = departure.call != Call::None;
            hits += usize::from(is_call && departure.call == due);
            others += usize::from(is_call && departure.call != due);
            here += usize::from(is_call);
            if is_call {
                assert_eq!(departure.call == Call::Synergy, departure.z > 0.0);
            }
        }
        called_alone += usize::from(block % 3 == 2 && here > 0);
    }
    println!("{hits} of 80 planted cells called, {others} others; {called_alone} of 40 additive matrices have a call");
    assert!(hits >= 70, "{hits}");
    assert!(called_alone <= 6, "{called_alone}");
    assert!(others <= 20, "{others}");
    // Margins and untreated cells have no part in it.
    assert!(scores[0].cells.iter().all(|c| (c.dose_a > 0.0 && c.dose_b > 0.0) == c.departures[0].is_some()));
}

#[test]
fn other_ways_to_draw_noise_agree_on_normal_noise_and_say_where_they_cannot() {
    let simulation = Simulation { matrices: 12, levels: 6, replicates: [3, 3], ..SMALL };
    let matrices = simulation.screen(|_, _, _| 0.0);
    let wells: Vec<Vec<Observation>> = (0..12).map(|block| simulation.wells(block, |_, _| 0.0)).collect();
    let errors = |kind: ResamplingKind, wells: &[Vec<Observation>]| {
        let scores = scored(&matrices, SynergyModel::Bliss, Resampling { kind, wells, ..drawn(400) });
        let flags = scores.iter().map(|s| s.flags.clone()).collect::<String>();
        (column(&scores, |s| s.standard_error), flags)
    };
    let (parametric, flags) = errors(ResamplingKind::Parametric, &[]);
    assert!(!flags.contains("parametrically"));
    let mean_ratio = |errors: &[f64]| errors.iter().zip(&parametric).map(|(x, y)| x / y).sum::<f64>() / 12.0;
    let (residual, flags) = errors(ResamplingKind::Residual, &[]);
    assert!((mean_ratio(&residual) - 1.0).abs() < 0.1 && !flags.contains("parametrically"), "{residual:?}");
    assert_ne!(residual, parametric);
    let (replicates, flags) = errors(ResamplingKind::Replicates, &wells);
    assert!((mean_ratio(&replicates) - 1.0).abs() < 0.1 && !flags.contains("parametrically"), "{replicates:?}");
    assert_ne!(replicates, parametric);
    // The planted fault: wells of half the scatter.
    let halved: Vec<Vec<Observation>> = wells
        .iter()
        .zip(&matrices)
        .map(|(wells, matrix)| {
            let of = |w: &Observation| {
                let cell = matrix.cells.iter().find(|c| (c.dose_a, c.dose_b) == (w.dose_a, w.dose_b)).unwrap();
                Observation { response: 0.5 * (w.response + cell.response), ..*w }
            };
            wells.iter().map(of).collect()
        })
        .collect();
    let (halved, _) = errors(ResamplingKind::Replicates, &halved);
    assert!(mean_ratio(&halved) < 0.75, "{halved:?}");
    // Without wells there is nothing to redraw.
    let (_, flags) = errors(ResamplingKind::Replicates, &[]);
    assert!(flags.contains("cells_resampled_parametrically"));
}

#[test]
fn a_pooled_curve_is_drawn_once_for_all_matrices_of_its_line() {
    let screen = {
        let mut screen = names(2);
        screen.drugs.intern("cytarabine");
        screen
    };
    let fit = FitSettings::new(ModelId::Hill4);
    let draws_of = |pooled: bool, sigma: f64| {
        let mut matrices = Simulation { matrices: 2, ..SMALL }.screen(|_, _, _| 0.0);
        matrices[1].key = MatrixKey { drug_b: 2, ..matrices[1].key };
        matrices[1].margin_a = matrices[0].margin_a.clone();
        matrices.iter_mut().for_each(|m| m.origins[0] = MarginOrigin { pooled, untreated_by_vehicles: false });
        let designs: Vec<Design> = matrices.iter().map(Design::new).collect();
        let items: Vec<_> = designs.iter().map(|design| (design, design.observed())).collect();
        let models = &[SynergyModel::Bliss];
        let evaluator = Evaluator { models, margins: Margins::Fitted, fit: &fit, effort: Effort::Draw, backend: &Cpu };
        let evaluations = evaluator.evaluate(&items, |_| true).unwrap();
        let sampler = |i: usize| {
            let (kind, error) = (ResamplingKind::Parametric, NormalisationError::default());
            Sampler::new(&designs[i], &evaluations[i], sigma, None, kind, error, &[], &screen, 1)
        };
        [0, 1].map(|i| sampler(i).draw(5).margins)
    };
    let [one, other] = draws_of(true, 0.05);
    assert_eq!(one[0], other[0]);
    assert_ne!(one[1], other[1]);
    // Its noise is its own: the matrix's plays no part but in what is the matrix's own.
    let [noisy, _] = draws_of(true, 0.2);
    assert_ne!(noisy[1], one[1]);
    // The planted fault: the same curve as each matrix's own.
    let [one, other] = draws_of(false, 0.05);
    assert!(one[0].iter().zip(&other[0]).all(|(x, y)| x != y));
}

/// Larger numbers, by hand: `cargo test --test it -- --ignored --nocapture calibration_at_large`.
#[test]
#[ignore = "minutes, and prints more than it asserts"]
fn calibration_at_large() {
    for (model, is_loewe) in [(SynergyModel::Bliss, false), (SynergyModel::Loewe, true), (SynergyModel::Zip, false)] {
        for (levels, replicates) in [(4, [2, 2]), (8, [3, 3]), (8, [1, 1])] {
            if model == SynergyModel::Zip && replicates == [1, 1] {
                continue; // its cells are not tested
            }
            let simulation = Simulation { matrices: 500, levels, replicates, is_loewe, seed: 11, ..SMALL };
            let scores = scored(&simulation.screen(|_, _, _| 0.0), model, drawn(200));
            let distances = TESTS.map(|(name, p)| (name, departure_from_uniform(column(&scores, p))));
            let (covered, _) = coverage(&scores);
            println!(
                "{} {levels} levels, {replicates:?} wells: coverage {covered:.3}, KS {distances:.2?}",
                model.name()
            );
            assert!((0.93..=0.97).contains(&covered), "{covered}");
        }
    }
}
