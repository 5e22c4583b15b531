//! Three drugs beside pairs, schedules against each other, and the next experiment.

use crate::rank_scene::{Scene, scene};
use isobole::math::special::normal_two_sided;
use isobole::rank::composite::RankBy;
use isobole::rank::confirmation::{DOSES, confirmations};
use isobole::rank::{Ranking, picklist, schedule};
use isobole::report::table::Table;
use isobole::screen::names::NameId;
use isobole::screen::triple_matrix::TripleKey;
use isobole::synergy::MatrixScore;
use isobole::synergy::three::reference::Reference;
use isobole::synergy::three::{TripleMatrixScore, TripleScore};
use std::collections::{BTreeMap, BTreeSet};

fn with_triples(scene: &Scene, keys: &[TripleKey], scores: &[TripleMatrixScore]) -> Ranking {
    scene.with_triples(&keys.iter().copied().zip(scores).collect::<Vec<_>>())
}

fn triple(bliss: f64, beyond_best_pair: f64) -> TripleMatrixScore {
    let scores = Reference::ALL.map(|reference| TripleScore {
        score: Some(if reference == Reference::BestPair { beyond_best_pair } else { bliss }),
        standard_error: Some(0.02),
        ..TripleScore::default()
    });
    TripleMatrixScore {
        n_cells: 27,
        n_wells: 54,
        scores: scores.to_vec(),
        expected: vec![Vec::new(); Reference::ALL.len()],
        efficacy: Some(0.95),
        sigma: Some(0.05),
        degrees_of_freedom: 27,
        qc_burden: Some(0.0),
        flags: String::new(),
        musyc: None,
        musyc_score: TripleScore::default(),
    }
}

#[test]
fn three_drugs_stand_among_the_pairs() {
    let scene = scene(false, true);
    let drug = |name: &str| scene.screen.drugs.id(name).expect("drug");
    let drugs = [drug("clofarabine"), drug("idarubicin"), drug("venetoclax")];
    let keys: Vec<TripleKey> = ["HL-60", "R20", "R80"]
        .map(|line| TripleKey { block: None, line: scene.screen.lines.id(line).expect("line"), drugs, schedule: None })
        .to_vec();
    let ranking = with_triples(&scene, &keys, &[triple(0.01, 0.0), triple(0.30, 0.10), triple(0.34, 0.12)]);
    assert_eq!(ranking.pairs.len(), 7);
    let best = &ranking.pairs[0];
    assert_eq!((best.drug_b, best.drug_c), (drugs[1], Some(drugs[2])));
    assert!(
        (best.score.expect("score") - 0.32).abs() < 1e-12 && (best.differential.expect("more") - 0.31).abs() < 1e-12
    );
    assert!((best.added_by_third.expect("added") - 0.11).abs() < 1e-12 && best.added_ci_low > Some(0.07));
    assert!(best.flags.contains("three_drugs") && best.selectivity == "resistant_selective", "{best:?}");
    assert!(best.rationale.contains("BCL-2"), "{}", best.rationale);
    assert!(ranking.pairs[1..].iter().all(|p| p.drug_c.is_none() && p.added_by_third.is_none()));
    assert_eq!(
        ranking.differentials.iter().filter(|d| d.drug_b == drugs[1]).count(),
        4,
        "pair and triple in two lines"
    );
    // A score that is not there has its reason.
    let mut none = triple(0.3, 0.1);
    none.scores[Reference::Bliss as usize] = TripleScore { reason: Some("no_margins"), ..TripleScore::default() };
    let ranking = with_triples(&scene, &keys[1..2], &[none]);
    let row = ranking.pairs.iter().find(|p| p.drug_c.is_some()).expect("a triple");
    assert!(row.score.is_none() && row.flags.contains("no_margins"), "{row:?}");
}

#[test]
fn three_drugs_have_the_composite_of_a_pair_that_does_as_much() {
    let mut scene = scene(false, true);
    scene.settings.by = RankBy::Composite;
    let drug = |name: &str| scene.screen.drugs.id(name).expect("drug");
    let drugs = [drug("clofarabine"), drug("idarubicin"), drug("venetoclax")];
    let venetoclax: Vec<MatrixScore> = scene.scores.iter().filter(|s| s.key.drug_b == drugs[2]).cloned().collect();
    for score in scene.scores.iter_mut().filter(|s| s.key.drug_b == drugs[2]) {
        (score.sigma, score.scores[1].peak_efficacy) = (Some(0.05), Some(0.8));
        score.scores[1].degrees_of_freedom = Some(27.0);
    }
    // The same score, kill and burden in each line, and what both partners do to the anchor.
    let rows: Vec<_> = scene.resensitised.iter().filter(|row| row.key.drug_b == drugs[2]).cloned().collect();
    scene.resensitised.extend(rows.into_iter().map(|mut row| {
        row.second_partner = Some((row.key.drug_b, row.partner_dose));
        row.key.drug_b = drugs[1];
        row
    }));
    let of_three = |matrix: &MatrixScore, peak: Option<f64>, qc_burden: Option<f64>| {
        let key = TripleKey { block: None, line: matrix.key.line, drugs, schedule: None };
        let mut score = triple(matrix.scores[1].score.expect("score"), 0.0);
        score.scores.iter_mut().for_each(|s| s.peak_efficacy = peak);
        // As many wells a window as the pair has.
        (score.n_cells, score.n_wells, score.qc_burden) = (300, matrix.n_wells, qc_burden);
        (key, score)
    };
    let composites = |peak: Option<f64>, burden: &dyn Fn(&MatrixScore) -> Option<f64>| {
        let all: Vec<_> = venetoclax.iter().map(|matrix| of_three(matrix, peak, burden(matrix))).collect();
        let ranking = scene.with_triples(&all.iter().map(|(key, score)| (*key, score)).collect::<Vec<_>>());
        let find = |third: Option<NameId>, second: NameId| {
            ranking.pairs.iter().find(|p| p.drug_c == third && p.drug_b == second).expect("a row").clone()
        };
        [find(None, drugs[2]), find(Some(drugs[2]), drugs[1])]
    };
    let [pair, triple] = composites(Some(0.8), &|matrix| matrix.qc_burden);
    let ends =
        |row: &isobole::rank::RankedPair| [row.composite, row.composite_ci_low, row.rescue_fraction, row.fold_change];
    assert_eq!((pair.composite_parts, ends(&pair)), (triple.composite_parts, ends(&triple)));
    assert!(triple.composite_parts.iter().all(|part| *part != 0.0), "{:?}", triple.composite_parts);
    assert_eq!(pair.tie_group, triple.tie_group);
    // What is not known counts nothing, and the flags say so; a burden counts.
    let [pair, bare] = composites(None, &|_| None);
    let without_both = pair.composite.expect("a composite") - 0.05 * 0.8 + 0.05 * 0.25;
    assert!((bare.composite.expect("one") - without_both).abs() < 1e-12, "{pair:?} {bare:?}");
    assert!(
        bare.flags.contains("composite_without_efficacy") && bare.flags.contains("no_plate_quality"),
        "{}",
        bare.flags
    );
    let [_, flagged] = composites(Some(0.8), &|_| Some(1.0));
    assert!((flagged.composite_parts[4] + 0.05).abs() < 1e-12 && flagged.composite < triple.composite);
}

/// The scene's venetoclax matrices in two schedules, the second weaker by `less` in every line.
fn in_two_schedules(less: f64) -> (Scene, [NameId; 2]) {
    let mut scene = scene(false, true);
    let schedules = ["simultaneous", "pre-treatment"].map(|name| scene.screen.schedules.intern(name));
    let venetoclax = scene.screen.drugs.id("venetoclax").expect("drug");
    let mut again = Vec::new();
    for score in scene.scores.iter_mut().filter(|s| s.key.drug_b == venetoclax) {
        let mut second = score.clone();
        score.key.schedule = Some(schedules[0]);
        second.key.schedule = Some(schedules[1]);
        second.scores[1].score = second.scores[1].score.map(|score| score - less);
        again.push(second);
    }
    scene.scores.extend(again);
    (scene, schedules)
}

#[test]
fn schedules_are_compared_and_not_mixed() {
    let (scene, [simultaneous, before]) = in_two_schedules(0.12);
    let ranking = scene.ranking();
    assert_eq!(ranking.pairs.len(), 7);
    let [row] = &ranking.schedules[..] else { panic!("{:?}", ranking.schedules) };
    // By name: pre-treatment first.
    assert_eq!((row.first, row.second, row.n_lines), (Some(before), Some(simultaneous), 2));
    assert!((row.difference.expect("difference") + 0.12).abs() < 1e-12 && row.better == "second", "{row:?}");
    assert!(row.ci_high < Some(0.0) && row.p < Some(1e-6));
    let (scene, _) = in_two_schedules(0.01);
    let close = scene.ranking();
    assert_eq!((close.schedules[0].better, close.schedules[0].reason), ("not_told_apart", None));
    assert_eq!(schedule::table(&close.schedules, &scene.screen).rows(), 1);
    // No line had both.
    let (mut apart, _) = in_two_schedules(0.1);
    let r20 = apart.screen.lines.id("R20").expect("line");
    apart.scores.retain(|s| (s.key.line == r20) == (s.key.schedule == Some(before)) || s.key.schedule.is_none());
    assert_eq!(apart.ranking().schedules[0].reason, Some("no_common_line"));
}

fn texts(table: &Table, column: &str) -> Vec<String> {
    let values = table.column(column).expect(column);
    (0..table.rows()).map(|row| values.text(row).unwrap_or("").to_owned()).collect()
}

#[test]
fn the_next_experiment_has_the_doses_and_the_power_it_says() {
    let mut scene = scene(false, true);
    let r80 = scene.screen.lines.id("R80").expect("line");
    let levels: Vec<f64> = (0..7).map(|i| 1e-8 * 4f64.powi(i)).collect();
    for score in &mut scene.scores {
        score.sigma = Some(0.08);
        score.levels = [levels.clone(), levels.clone()];
        let own = score.scores[1].score.unwrap_or(0.0);
        score.scores[1].peak = Some(2.0 * own);
        (score.scores[1].peak_dose_a, score.scores[1].peak_dose_b) = (Some(levels[3]), Some(levels[4]));
    }
    let pairs = scene.ranking().pairs;
    let is_resistant = |line: NameId| scene.screen.lines.name(line) != "HL-60";
    let plan = confirmations(&pairs, &scene.scores, &scene.settings, is_resistant, &scene.screen);
    let first = &plan[0];
    assert_eq!((first.rank, first.line, plan[1].rank), (1, r80, 1), "the resistant line, then its parent");
    assert_eq!(scene.screen.lines.name(plan[1].line), "HL-60");
    assert_eq!(first.doses[0].len(), DOSES);
    // About the window, at half the step of four.
    assert!(
        (first.doses[0][2] / levels[3] - 1.0).abs() < 1e-12
            && (first.doses[1][3] / first.doses[1][2] - 2.0).abs() < 1e-9
    );
    assert!(first.expected_excess <= Some(0.44) && first.expected_excess > Some(0.3), "{first:?}");
    assert!(plan.iter().all(|c| (3..=12).contains(&c.n_replicates) && (c.power >= Some(0.9)) == c.reason.is_none()));
    // The power against its definition, for the weakest of them.
    assert_eq!((plan[1].power, plan[1].reason), (None, Some("comparison_line")));
    let targets = plan.iter().filter_map(|c| Some((c.power?, c)));
    let (_, weak) = targets.min_by(|x, y| x.0.total_cmp(&y.0)).expect("a plan");
    let error = 0.08 * ((1.0 / 25.0 + 2.0 / 5.0) / f64::from(weak.n_replicates)).sqrt();
    let z = weak.expected_excess.expect("an effect") / error - 1.959_963_984_540_054;
    let want = if z > 0.0 { 1.0 - 0.5 * normal_two_sided(z) } else { 0.5 * normal_two_sided(z) };
    assert!(
        (weak.power.expect("power") - want).abs() < 1e-9 && (weak.standard_error - error).abs() < 1e-12,
        "{weak:?} {want}"
    );
    // More noise, more replicates, or the reason why not.
    scene.scores.iter_mut().for_each(|score| score.sigma = Some(0.6));
    let noisy = confirmations(&pairs, &scene.scores, &scene.settings, is_resistant, &scene.screen);
    assert!(noisy.iter().zip(&plan).all(|(n, p)| n.n_replicates >= p.n_replicates));
    assert!(noisy.iter().any(|c| c.reason == Some("more_replicates_than_are_practical")));

    let table = picklist::table(&plan, &scene.screen, 1);
    let (plate, well, role) = (texts(&table, "plate_id"), texts(&table, "well"), texts(&table, "role"));
    let places: BTreeSet<_> = plate.iter().zip(&well).collect();
    assert_eq!(places.len(), table.rows(), "no well twice");
    let mut vehicles: BTreeMap<&String, usize> = BTreeMap::new();
    plate
        .iter()
        .zip(&role)
        .filter(|(_, role)| *role == "vehicle")
        .for_each(|(p, _)| *vehicles.entry(p).or_default() += 1);
    assert!(vehicles.values().all(|n| *n == 24), "{vehicles:?}");
    let samples = role.iter().filter(|role| *role == "sample").count();
    let want: usize = plan.iter().map(|c| c.n_replicates as usize * ((DOSES + 1) * (DOSES + 1) - 1)).sum();
    assert_eq!(samples, want);
    assert!(well.iter().all(|w| !w.starts_with('A') && !w.starts_with('B') && !w.starts_with('P')), "not at the edge");
    assert_ne!(texts(&picklist::table(&plan, &scene.screen, 2), "drug_b"), texts(&table, "drug_b"), "at random");
}

#[test]
fn healthy_cells_are_spared_and_never_ranked() {
    use isobole::screen::line::LineStatus;
    let mut scene = scene(false, true);
    let drug = |scene: &Scene, name: &str| scene.screen.drugs.id(name).expect("drug");
    let healthy = scene.screen.lines.intern("CD34+");
    scene
        .screen
        .annotations
        .push(isobole::screen::line::LineAnnotation { status: Some(LineStatus::Normal), ..Default::default() });
    let venetoclax = drug(&scene, "venetoclax");
    let parent = scene.screen.lines.id("HL-60").expect("line");
    let of_parent: Vec<_> = scene.scores.iter().filter(|s| s.key.line == parent).cloned().collect();
    for mut score in of_parent {
        score.key.line = healthy;
        score.scores[1].score = Some(if score.key.drug_b == venetoclax { 0.20 } else { 0.0 });
        scene.scores.push(score);
        scene.scores.last_mut().expect("a score").qc_burden = Some(0.0);
    }
    scene.settings.by = isobole::rank::composite::RankBy::Composite;
    let ranking = scene.ranking();
    let pair = ranking.pairs.iter().find(|p| p.drug_b == venetoclax).expect("a pair");
    assert_eq!((pair.n_normal, pair.n_resistant), (1, 2));
    assert!((pair.over_normal.expect("difference") - 0.01).abs() < 1e-12 && pair.over_normal_p > Some(0.3), "{pair:?}");
    // Over the parent it is 0.19, over healthy cells 0.01: the less of the two counts.
    assert!((pair.composite_parts[1] - 0.005).abs() < 1e-12, "{:?}", pair.composite_parts);
    assert!((pair.differential.expect("difference") - 0.19).abs() < 1e-12);
    // Without a resistant line, healthy cells still are no target.
    scene.resistances.clear();
    scene.screen.annotations.iter_mut().for_each(|a| {
        if a.status != Some(LineStatus::Normal) {
            (a.status, a.parental) = (None, None);
        }
    });
    let all = scene.ranking();
    let inert = all.pairs.iter().find(|p| p.drug_b == drug(&scene, "parental friend")).expect("a pair");
    assert!((inert.score.expect("score") - 0.16 / 3.0).abs() < 0.03, "{:?}", inert.score);
    assert_eq!(inert.score_normal, Some(0.0));
}
