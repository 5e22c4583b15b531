//! The review of the responses: planted faults are found, and sound plates are left alone.

use super::*;
use isobole::plate::Verdict;
use isobole::plate::flags::WellFlags;
use isobole::simulate::{Artefacts, Recipe, Scale, Simulated, simulate};

/// Nothing goes wrong but the noise that every laboratory has.
const CLEAN: Artefacts = Artefacts {
    edge_loss: 0.0,
    tilt: 0.0,
    failed_dispense: 0.0,
    outliers: 0.0,
    noisy_plates: 0.0,
    ..Artefacts::ORDINARY
};

fn simulated(artefacts: Artefacts, plates: usize, lines: usize, seed: u64) -> Simulated {
    let scale = Scale { plates: Some(plates), lines: Some(lines), seed, ..Scale::default() };
    simulate(&Recipe { artefacts, ..Recipe::generic(scale).unwrap() }).unwrap()
}

/// The simulated plates as ingest would give them, every dose canonical.
fn screen_of(simulated: &Simulated) -> Screen {
    let recipe = &simulated.recipe;
    let mut screen = Screen::default();
    for drug in &recipe.drugs {
        screen.drugs.intern(&drug.name);
    }
    for line in &recipe.lines {
        screen.lines.intern(&line.name);
    }
    for plate in &simulated.plates {
        let id = screen.plates.intern(&plate.plate_id);
        let replicate = Some(screen.replicates.intern(&plate.replicate.to_string()));
        let batch = Some(screen.batches.intern("monday"));
        for well in plate.wells.iter().filter(|w| w.role != Role::Empty) {
            let treatment = |drug: usize, dose_um: f64| Some(Treatment { drug: drug as u32, dose: dose_um * 1e-6 });
            let treatments = well.pair.map_or([None; 3], |pair| {
                let pair = &recipe.pairs[pair];
                [treatment(pair.drug_a, well.dose_a_um), treatment(pair.drug_b, well.dose_b_um), None]
            });
            screen.wells.push(Well {
                plate: id,
                position: Some(well.position),
                role: well.role,
                line: (well.role != Role::Blank).then_some(plate.line as u32),
                treatments,
                signal: well.signal,
                block: None,
                schedule: None,
                replicate,
                batch,
                signal_t0: None,
                time_h: None,
            });
        }
    }
    screen.wells_in = screen.wells.len();
    screen
}

fn reviewed(screen: &Screen) -> PlateStage {
    stage(screen, percent_of_vehicle())
}

fn flagged(stage: &PlateStage, flag: WellFlags) -> Vec<(u32, String)> {
    let wells = stage.wells.iter().filter(|w| w.flags.has(flag));
    wells.map(|w| (w.well.plate, w.well.position.unwrap().to_string())).collect()
}

/// 120 clean plates: of 43,000 wells, of 120 × 3 tests of place, and of 120 verdicts by the review.
#[test]
fn sound_plates_are_left_alone() {
    let mut wells = 0;
    let mut doubted = Vec::new();
    let (mut tests, mut below_5_percent, mut below_1_in_1000) = (0, 0, 0);
    let mut misregistered = 0;
    for seed in [7, 8] {
        let stage = reviewed(&screen_of(&simulated(CLEAN, 60, 5, seed)));
        wells += stage.wells.len();
        doubted.extend(stage.wells.iter().filter(|w| w.flags.any()).map(|w| w.flags.codes()));
        for plate in &stage.plates {
            let p = [plate.spatial.row, plate.spatial.column, plate.spatial.edge].map(|e| e.unwrap().p);
            tests += p.len();
            below_5_percent += p.iter().filter(|p| **p < 0.05).count();
            below_1_in_1000 += p.iter().filter(|p| **p < 1e-3).count();
            assert_eq!(plate.verdict, Verdict::Good, "{plate:?}");
            assert!(["", "edge_not_measured"].contains(&plate.reason.as_str()), "{plate:?}");
            assert!(plate.residual_error.unwrap() < 0.12 && plate.replicate_correlation.unwrap() > 0.95);
        }
        misregistered += stage.plate_curves.iter().filter(|c| c.steps_off != 0).count();
        assert!(stage.plate_curves.len() >= 60, "{}", stage.plate_curves.len());
    }
    println!(
        "{wells} wells, {} doubted: {doubted:?}; {below_5_percent} and {below_1_in_1000} of {tests}",
        doubted.len()
    );
    // Fewer than 1 in 5,000 wells; tests of place at their level (18 and 0.4 of 360 expected).
    assert!(doubted.len() * 5000 <= wells, "{doubted:?}");
    assert!((6..=30).contains(&below_5_percent) && below_1_in_1000 <= 2, "{below_5_percent} {below_1_in_1000}");
    assert_eq!(misregistered, 0);
}

/// Wells of both screens that differ by more than this share of an untreated well.
fn changed(with: &Screen, without: &Screen, by: f64) -> Vec<(u32, String)> {
    let untreated: f64 = {
        let vehicle: Vec<f64> = without.wells.iter().filter(|w| w.role == Role::Vehicle).map(|w| w.signal).collect();
        vehicle.iter().sum::<f64>() / vehicle.len() as f64
    };
    let pairs =
        with.wells.iter().zip(without.wells.iter()).filter(|(a, b)| (a.signal - b.signal).abs() > by * untreated);
    pairs.map(|(a, _)| (a.plate, a.position.unwrap().to_string())).collect()
}

#[test]
fn failed_dispenses_and_bubbles_are_found() {
    let with = Artefacts { failed_dispense: 0.01, outliers: 0.01, ..CLEAN };
    let (with, without) = (screen_of(&simulated(with, 24, 4, 3)), screen_of(&simulated(CLEAN, 24, 4, 3)));
    let stage = reviewed(&with);
    let found = flagged(&stage, WellFlags::OUT_OF_ORDER);
    let planted = changed(&with, &without, 0.45);
    let samples: Vec<_> = stage.wells.iter().filter(|w| w.well.role == Role::Sample).collect();
    let planted: Vec<_> = planted
        .into_iter()
        .filter(|(plate, at)| {
            samples.iter().any(|w| w.well.plate == *plate && w.well.position.unwrap().to_string() == *at)
        })
        .collect();
    let hits = planted.iter().filter(|well| found.contains(well)).count();
    let touched = changed(&with, &without, 0.02);
    let wrong = found.iter().filter(|well| !touched.contains(well)).count();
    println!("{} planted, {hits} found; {} flagged, {wrong} of them sound", planted.len(), found.len());
    assert!(planted.len() >= 40, "{}", planted.len());
    assert!(hits * 10 >= planted.len() * 6, "{hits} of {}", planted.len());
    assert!(wrong * 20 <= found.len(), "{wrong} of {}", found.len());
    assert!(stage.wells.iter().all(|w| w.weight == w.flags.weight() && (w.weight < 1.0) == w.flags.any()));
}

/// Plate 0 with the readings of the same screen whose anchor was dispensed at `factor` times its labelled doses.
fn misdispensed(plates: usize, which: u32, factor: f64, dose: Option<usize>) -> Screen {
    let recipe = simulated(CLEAN, plates, 1, 5).recipe;
    let mut wrong = recipe.clone();
    wrong.drugs[0].doses_um.iter_mut().for_each(|d| *d *= factor);
    let (right, wrong) = (simulate(&recipe).unwrap(), simulate(&wrong).unwrap());
    let mut screen = screen_of(&right);
    let readings = screen_of(&wrong);
    let anchor_dose = dose.map(|i| recipe.drugs[0].doses_um[i] * 1e-6);
    screen.wells.for_each_mut(|i, well| {
        let has_dose = |dose: f64| well.treatments.iter().flatten().any(|t| t.drug == 0 && t.dose == dose);
        if well.plate == which && anchor_dose.is_none_or(has_dose) {
            well.signal = readings.wells.signals()[i];
        }
    });
    screen
}

#[test]
fn a_dilution_series_a_step_off_is_found_and_measured() {
    for (factor, steps) in [(0.25, 1), (4.0, -1), (1.0, 0)] {
        let screen = misdispensed(6, 2, factor, None);
        let stage = reviewed(&screen);
        let off: Vec<(u32, u32, i32)> =
            stage.plate_curves.iter().filter(|c| c.steps_off != 0).map(|c| (c.plate, c.drug, c.steps_off)).collect();
        if steps == 0 {
            assert_eq!((off.len(), flagged(&stage, WellFlags::DOSE_MISREGISTERED).len()), (0, 0));
            continue;
        }
        assert_eq!(off, [(2, 0, steps)], "{:?}", stage.plate_curves);
        let curve = stage.plate_curves.iter().find(|c| c.plate == 2 && c.drug == 0).unwrap();
        assert!((curve.dilution_step - 4f64.log10()).abs() < 1e-9);
        assert!((curve.shift.unwrap() + factor.log10()).abs() < 0.2, "{curve:?}");
        let wells = flagged(&stage, WellFlags::DOSE_MISREGISTERED);
        assert!(wells.iter().all(|(plate, _)| *plate == 2));
        let with_anchor = screen.wells.iter().filter(|w| w.plate == 2 && w.active().any(|t| t.drug == 0)).count();
        assert_eq!(wells.len(), with_anchor);
        assert!(has(&stage.plates[2], "dose_misregistered") && stage.plates[2].verdict == Verdict::Marginal);
    }
}

#[test]
fn a_dose_that_was_not_dispensed_is_found_on_its_plate() {
    // Dose 4 of 6 of the anchor never reached the plate; the others have it.
    let screen = misdispensed(6, 1, 1e-6, Some(3));
    let stage = reviewed(&screen);
    let wells = flagged(&stage, WellFlags::DOSE_SHIFTED);
    let dose = screen.wells.iter().filter(|w| w.plate == 1).flat_map(|w| w.active()).filter(|t| t.drug == 0);
    let mut doses: Vec<f64> = dose.map(|t| t.dose).collect();
    doses.sort_by(f64::total_cmp);
    doses.dedup();
    let is_planted = |(plate, at): &(u32, String)| {
        let well = screen.wells.iter().find(|w| w.plate == *plate && w.position.unwrap().to_string() == *at).unwrap();
        *plate == 1 && well.active().any(|t| t.drug == 0 && t.dose == doses[3])
    };
    assert!(wells.len() >= 30 && wells.iter().all(is_planted), "{} {wells:?}", wells.len());
    assert!(has(&stage.plates[1], "dose_shifted") && !has(&stage.plates[0], "dose_shifted"));
    assert!(flagged(&reviewed(&misdispensed(6, 1, 1.0, Some(3))), WellFlags::DOSE_SHIFTED).is_empty());
}

/// Every plate's doses scaled by a factor of its own: the shrunk shifts are nearer to the truth than the raw ones.
#[test]
fn shrunk_shifts_are_nearer_to_the_truth() {
    let recipe = simulated(CLEAN, 16, 1, 9).recipe;
    let right = simulate(&recipe).unwrap();
    let mut screen = screen_of(&right);
    let truth: Vec<f64> = (0..16).map(|i| 0.02 * isobole::math::random::standard_normal(1, 2, 3, i)).collect();
    for (plate, shift) in truth.iter().enumerate() {
        let mut moved = recipe.clone();
        moved.drugs[0].doses_um.iter_mut().for_each(|d| *d *= 10f64.powf(-shift));
        let readings = screen_of(&simulate(&moved).unwrap());
        screen.wells.for_each_mut(|i, well| {
            if well.plate == plate as u32 {
                well.signal = readings.wells.signals()[i];
            }
        });
    }
    let stage = reviewed(&screen);
    let of_anchor: Vec<_> = stage.plate_curves.iter().filter(|c| c.drug == 0).collect();
    assert_eq!(of_anchor.len(), 16);
    let middle = truth.iter().sum::<f64>() / 16.0;
    let error = |value: &dyn Fn(&isobole::plate::PlateCurve) -> f64| {
        let mean = of_anchor.iter().map(|c| value(c)).sum::<f64>() / 16.0;
        let squares = of_anchor.iter().map(|c| (value(c) - mean - truth[c.plate as usize] + middle).powi(2));
        (squares.sum::<f64>() / 16.0).sqrt()
    };
    let raw = error(&|c| c.shift.unwrap());
    let shrunk = error(&|c| c.shift_shrunk.unwrap());
    let nothing = error(&|_| 0.0);
    let sd = of_anchor[0].between_plates_sd.unwrap();
    println!("error of shifts: raw {raw:.4}, shrunk {shrunk:.4}, pooled {nothing:.4}; sd between plates {sd:.4}");
    assert!(shrunk < raw && shrunk < nothing, "{raw} {shrunk} {nothing}");
    assert!((0.01..0.04).contains(&sd));
    for c in of_anchor {
        assert!((c.log10_ec50_shrunk.unwrap() - c.log10_ec50_pooled - c.shift_shrunk.unwrap()).abs() < 1e-12);
        assert!(c.steps_off == 0);
    }
}

#[test]
fn a_stain_and_a_row_effect_are_told_from_each_other() {
    let clean = screen_of(&simulated(CLEAN, 8, 2, 4));
    let mut stained = clean.clone();
    let stain = |at: WellPosition| (5..=9).contains(&at.row) && (12..=15).contains(&at.column);
    stained.wells.for_each_mut(|_, well| {
        if well.plate == 3 && stain(well.position.unwrap()) {
            well.signal *= 0.05;
        }
    });
    let stage = reviewed(&stained);
    let contaminated: Vec<u32> = stage.plates.iter().filter(|p| has(p, "contaminated")).map(|p| p.plate).collect();
    assert_eq!(contaminated, [3]);
    assert_eq!(stage.plates[3].verdict, Verdict::Bad);
    let cluster = flagged(&stage, WellFlags::CLUSTER);
    assert!(cluster.len() >= 4 && cluster.iter().all(|(p, at)| *p == 3 && stain(WellPosition::parse(at).unwrap())));
    let on_plate = stage.wells.iter().filter(|w| w.well.plate == 3);
    assert!(on_plate.clone().all(|w| w.flags.has(WellFlags::PLATE_BAD) && w.weight <= 0.25));

    let mut striped = clean.clone();
    striped.wells.for_each_mut(|_, well| {
        if well.plate == 3 && well.position.unwrap().row % 2 == 1 {
            well.signal *= 0.5;
        }
    });
    let stage = reviewed(&striped);
    let rows: Vec<u32> = stage.plates.iter().filter(|p| has(p, "row_effect_high")).map(|p| p.plate).collect();
    assert_eq!(rows, [3]);
    let effect = stage.plates[3].spatial.row.unwrap();
    assert!(effect.p < 1e-10 && effect.sd > 0.1, "{effect:?}");
    assert!(stage.plates.iter().all(|p| !has(p, "contaminated") && !has(p, "column_effect_high")));
}

#[test]
fn drift_is_measured_and_gain_is_not_drift() {
    let clean = screen_of(&simulated(CLEAN, 60, 5, 6));
    let of_screen = |screen: &Screen| reviewed(screen).batches.last().cloned().unwrap();
    let before = of_screen(&clean);
    assert!(before.is_screen && before.drift_p.unwrap() > 1e-3);
    let mut drifting = clean.clone();
    drifting.wells.for_each_mut(|_, well| well.signal *= (-0.02 * f64::from(well.plate)).exp());
    let after = of_screen(&drifting);
    assert!((after.drift_per_plate.unwrap() - before.drift_per_plate.unwrap() + 0.02).abs() < 1e-3, "{after:?}");
    assert!(after.drift_p.unwrap() < 1e-6);
    // Technical noise is what was simulated: 7 % of a well that is partly killed.
    assert!((0.02..0.08).contains(&before.sd_technical.unwrap()), "{before:?}");
    assert!(before.sd_biological.unwrap() < before.sd_technical.unwrap());
}

#[test]
fn a_blank_with_cells_is_flagged() {
    let mut screen = screen_of(&simulated(CLEAN, 4, 2, 2));
    let vehicle = screen.wells.iter().find(|w| w.role == Role::Vehicle).unwrap().signal;
    let glowing = screen.wells.iter().position(|w| w.plate == 2 && w.role == Role::Blank).unwrap();
    screen.wells.for_each_mut(|i, well| {
        if i == glowing {
            well.signal = vehicle;
        }
    });
    let place = screen.wells.get(glowing).position.unwrap().to_string();
    let stage = reviewed(&screen);
    assert_eq!(flagged(&stage, WellFlags::BLANK_WITH_SIGNAL), [(2, place)]);
    assert!(has(&stage.plates[2], "blank_with_signal"));
}

/// A matrix with planted failures: without the flagged wells its score is nearer to that of the sound screen.
#[test]
fn scores_say_what_they_would_be_without_the_flagged_wells() {
    use isobole::backend::cpu::Cpu;
    use isobole::fit::FitSettings;
    use isobole::model::ModelId;
    use isobole::screen::dose_matrix::gather;
    use isobole::synergy::flagged::{add_burden, add_unflagged, unflagged_matrices};
    use isobole::synergy::score::score_matrices;
    use isobole::synergy::{Margins, MatrixScore, SynergyModel};
    let models = [SynergyModel::Hsa, SynergyModel::Bliss];
    let fit = FitSettings::new(ModelId::Hill4);
    let scored = |screen: &Screen| -> Vec<MatrixScore> {
        let stage = reviewed(screen);
        let matrices = gather(&stage.wells, screen, Some(0), true).matrices;
        let mut scores = score_matrices(&matrices, &models, Margins::Fitted, &fit, &Cpu).unwrap();
        add_burden(&mut scores, &stage.wells, &stage.plates);
        let again = |wells: &isobole::plate::NormalisedWells| gather(wells, screen, Some(0), true);
        let sound = unflagged_matrices(&stage.wells, again);
        add_unflagged(&mut scores, &matrices, sound, &models, Margins::Fitted, &fit, &Cpu).unwrap();
        scores
    };
    let clean = screen_of(&simulated(CLEAN, 4, 2, 11));
    // Two combinations of one pair read as if nobody had dispensed anything.
    let mut broken = clean.clone();
    let vehicle = |plate: u32| clean.wells.iter().find(|w| w.plate == plate && w.role == Role::Vehicle).unwrap().signal;
    let pair = |w: &Well| w.treatments[1].map(|t| t.drug);
    let drug = clean.wells.iter().find_map(|w| pair(&w)).unwrap();
    let wells = clean.wells.iter().enumerate().filter(|(_, w)| w.line == Some(0) && pair(w) == Some(drug));
    let dead = wells.filter(|(_, w)| w.active().count() == 2 && w.signal < 0.2 * vehicle(w.plate));
    let failed: Vec<usize> = dead.step_by(5).take(2).map(|(i, _)| i).collect();
    broken.wells.for_each_mut(|i, w| {
        if failed.contains(&i) {
            w.signal = vehicle(w.plate);
        }
    });
    let (sound, broken) = (scored(&clean), scored(&broken));
    let of = |scores: &[MatrixScore]| {
        scores.iter().find(|s| s.key.line == 0 && [s.key.drug_a, s.key.drug_b].contains(&drug)).cloned().unwrap()
    };
    let (sound, of_broken) = (of(&sound), of(&broken));
    for m in 0..2 {
        let truth = sound.scores[m].score.unwrap();
        let (all, unflagged) = (of_broken.scores[m].score.unwrap(), of_broken.scores[m].unflagged.unwrap());
        println!("sound {truth:.4}, broken {all:.4}, without flagged wells {unflagged:.4}");
        assert!((unflagged - truth).abs() < 0.5 * (all - truth).abs() || (all - truth).abs() < 0.003);
        assert_ne!(all, unflagged);
    }
    assert!(of_broken.qc_burden.unwrap() > 0.01, "{:?}", of_broken.qc_burden);
    for score in broken.iter().filter(|s| s.key.line == 1) {
        for s in &score.scores {
            assert!(score.qc_burden == Some(0.0) && s.unflagged == s.score || score.qc_burden > Some(0.0));
        }
    }
}

#[test]
fn a_batch_with_weaker_stock_is_told_from_its_plates() {
    let recipe = simulated(CLEAN, 12, 1, 21).recipe;
    let mut weaker = recipe.clone();
    weaker.drugs[0].doses_um.iter_mut().for_each(|d| *d *= 10f64.powf(-0.15));
    let mut screen = screen_of(&simulate(&recipe).unwrap());
    let readings = screen_of(&simulate(&weaker).unwrap());
    let tuesday = Some(screen.batches.intern("tuesday"));
    screen.wells.for_each_mut(|i, well| {
        if well.plate >= 6 {
            (well.signal, well.batch) = (readings.wells.signals()[i], tuesday);
        }
    });
    let stage = reviewed(&screen);
    let shift = |batch: &str| {
        let id = screen.batches.id(batch);
        let curve = stage.plate_curves.iter().find(|c| c.drug == 0 && c.batch == id).unwrap();
        (curve.batch_shift.unwrap(), curve.batch_shift_se.unwrap())
    };
    let (monday, tuesday) = (shift("monday"), shift("tuesday"));
    assert!((tuesday.0 - monday.0 - 0.15).abs() < 0.04, "{monday:?} {tuesday:?}");
    assert!(tuesday.1 < 0.03 && tuesday.0 > 3.0 * tuesday.1);
    assert_eq!(stage.batches.iter().map(|b| b.n_plates).collect::<Vec<_>>(), [6, 6, 12]);
}
