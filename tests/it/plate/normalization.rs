//! Scores, growth, spatial correction and weights: against definitions computed elsewhere and simulated truth.

use super::*;
use isobole::backend::cpu::Cpu;
use isobole::backend::{Backend, SpatialBatch};
use isobole::config::SpatialCorrection;
use isobole::plate::run;
use isobole::report::table::Values;

fn settings(normalization: Normalization) -> PlateSettings {
    PlateSettings { normalization, ..PlateSettings::default() }
}

/// A number near normal, the same for the same arguments: the sum of twelve uniform ones.
fn noise(seed: u64) -> f64 {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ 0xD1B5_4A32_D192_ED03;
    let mut uniform = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 11) as f64 / (1u64 << 53) as f64
    };
    (0..24).map(|_| uniform()).skip(12).sum::<f64>() - 6.0
}

/// A simulated 384-well plate: vehicles scattered, a fifth of the samples active, 5 % noise, and `factor` of each place.
fn plate_of(number: u32, factor: impl Fn(u16, u16) -> f64) -> Vec<Well> {
    let mut wells = Vec::new();
    for (row, column) in (1..=16u16).flat_map(|r| (1..=24u16).map(move |c| (r, c))) {
        let id = u64::from(number) * 1000 + u64::from(row) * 24 + u64::from(column);
        let shuffled = (id.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 40) % 20;
        let (role, viability) = match shuffled {
            0 | 1 => (Role::Vehicle, 1.0),
            2 => (Role::Blank, 0.0),
            3..=6 => (Role::Sample, 0.1 + 0.15 * (shuffled - 3) as f64),
            _ => (Role::Sample, 1.0),
        };
        let signal = 500.0 + 5e4 * viability * factor(row, column) * (1.0 + 0.05 * noise(id));
        let name = format!("{}{column}", char::from(b'A' + row as u8 - 1));
        wells.push(well(number, &name, role, signal));
    }
    wells
}

/// The outer ring reads up to 25 % low and it fades inwards, and one side is 8 % above the other.
fn edge(row: u16, column: u16) -> f64 {
    let ring = [row - 1, 16 - row, column - 1, 24 - column].into_iter().min().unwrap_or(0);
    (1.0 - 0.25 * (-f64::from(ring)).exp()) * (1.0 + 0.08 * (f64::from(column) / 24.0 - 0.5))
}

fn responses(wells: Vec<Well>, spatial: SpatialCorrection) -> Vec<f64> {
    let settings = PlateSettings { spatial, ..PlateSettings::default() };
    let stage = run(&screen(wells), settings, &Cpu).unwrap();
    stage.wells.iter().filter(|w| w.well.role == Role::Sample).map(|w| w.response).collect()
}

/// Mean square of relative differences; small responses count as 0.1.
fn distance(a: &[f64], b: &[f64]) -> f64 {
    assert_eq!(a.len(), b.len());
    a.iter().zip(b).map(|(a, b)| ((a - b) / b.abs().max(0.1)).powi(2)).sum::<f64>() / a.len() as f64
}

#[test]
fn spatial_correction_removes_edge_effects_and_leaves_clean_plates_alone() {
    for kind in [SpatialCorrection::LocalRegression, SpatialCorrection::Median] {
        let (mut added, mut left, mut changed) = (0.0, 0.0, 0.0);
        let plates = 20;
        for number in 0..plates {
            // Each plate by itself: the plate's own controls are all it has.
            let clean = responses(plate_of(number, |_, _| 1.0), SpatialCorrection::None);
            let bent = responses(plate_of(number, edge), SpatialCorrection::None);
            added += distance(&bent, &clean);
            left += distance(&responses(plate_of(number, edge), kind), &clean);
            changed += distance(&responses(plate_of(number, |_, _| 1.0), kind), &clean);
        }
        let removed = 1.0 - left / added;
        let change = (changed / f64::from(plates)).sqrt();
        println!(
            "{kind:?}: removes {:.1} % of the added variance, changes clean plates by {:.2} %",
            100.0 * removed,
            100.0 * change
        );
        assert!(removed >= 0.8, "{kind:?}: {removed}");
        assert!(change < 0.01, "{kind:?}: {change}");
        // The planted fault: without a correction nothing is removed.
        assert!(
            distance(
                &responses(plate_of(0, edge), SpatialCorrection::None),
                &responses(plate_of(0, |_, _| 1.0), SpatialCorrection::None)
            ) > 1e-3
        );
    }
}

#[test]
fn a_plane_is_its_own_surface_and_its_coefficients_are_those_of_least_squares() {
    let mut batch = SpatialBatch { offsets: vec![0], ..SpatialBatch::default() };
    for (row, column) in (1..=8u16).flat_map(|r| (1..=12u16).map(move |c| (r, c))) {
        batch.place.push((row, column));
        batch.value.push(0.9 + 0.01 * f64::from(row) - 0.02 * f64::from(column));
        batch.used.push(true);
    }
    batch.offsets.push(batch.value.len());
    let points = Cpu.spatial(SpatialCorrection::LocalRegression, &batch).unwrap();
    for (i, point) in points.iter().enumerate() {
        // The ridge bends a plane near the edge by a few thousandths of a step.
        assert!((point.value - batch.value[i]).abs() < 5e-4, "{i}");
    }
    // Coefficients by changing one value at a time.
    let at = 12 * 3 + 5;
    let coefficient = |j: usize| {
        let mut other = batch.clone();
        other.value[j] += 1.0;
        Cpu.spatial(SpatialCorrection::LocalRegression, &other).unwrap()[at].value - points[at].value
    };
    let squares: f64 = (0..batch.value.len()).map(|j| coefficient(j).powi(2)).sum();
    assert!((squares - points[at].squares).abs() < 1e-9 && (coefficient(at) - points[at].own).abs() < 1e-9);
}

#[test]
fn surfaces_are_the_same_on_both_back_ends() {
    let Some(gpu) = crate::gpu() else { return };
    let mut batch = SpatialBatch { offsets: vec![0], ..SpatialBatch::default() };
    for (number, (rows, columns, keep)) in
        [(8, 12, 1), (8, 12, 4), (16, 24, 1), (16, 24, 3), (16, 24, 14), (32, 48, 1), (32, 48, 7), (32, 48, 55)]
            .into_iter()
            .enumerate()
    {
        for (i, (row, column)) in (1..=rows).flat_map(|r| (1..=columns).map(move |c| (r, c))).enumerate() {
            // Some wells are missing, some neighbours are equal, and no plate has fewer used wells than a surface needs.
            if i % 17 == 5 {
                continue;
            }
            batch.place.push((row, column));
            let slope = 1.0 - 0.02 * f64::from(row.min(6)) + 0.003 * f64::from(column);
            batch.value.push((1e3 * (slope + 0.05 * noise((number * 10_000 + i) as u64))).round() / 1e3);
            batch.used.push(i % keep == 0);
        }
        batch.offsets.push(batch.value.len());
    }
    for kind in [SpatialCorrection::LocalRegression, SpatialCorrection::Median] {
        let (cpu, single) = (Cpu.spatial(kind, &batch).unwrap(), gpu.spatial(kind, &batch).unwrap());
        assert_eq!(cpu.len(), single.len());
        for (a, b) in cpu.iter().zip(&single) {
            // Where a well has few neighbours on one side the plane is drawn out of them, and coefficients are large.
            let near = |x: f64, y: f64, size: f64| (x - y).abs() < 2e-5 * (1.0 + size.abs());
            assert!(near(a.value, b.value, 0.0), "{kind:?} {a:?} {b:?}");
            assert!(near(a.squares, b.squares, a.own * a.own) && near(a.own, b.own, a.own), "{kind:?} {a:?} {b:?}");
            assert!(!near(a.value + 1e-4, b.value, 0.0) && !near(a.own * 1.001 + 1e-4, b.own, a.own));
        }
    }
}

#[test]
fn b_scores_are_refused_where_doses_follow_rows_or_columns() {
    let placed = |arranged: bool| -> Vec<Well> {
        let mut wells = plate_of(0, |_, _| 1.0);
        for (i, w) in wells.iter_mut().enumerate().filter(|(_, w)| w.role == Role::Sample) {
            let column = w.position.unwrap().column;
            let step = if arranged { i32::from(column) % 8 } else { ((noise(i as u64 + 1) + 6.0) * 1e4) as i32 % 8 };
            w.treatments[0] = Some(Treatment { drug: 0, dose: 1e-9 * 10f64.powi(step) });
        }
        wells
    };
    let reasons = |arranged: bool, force: bool| {
        let settings = PlateSettings { force_b_score: force, ..settings(Normalization::BScore) };
        let stage = stage(&screen(placed(arranged)), settings);
        (stage.wells.len(), stage.rejected.iter().filter(|r| r.reason == "structured_layout").count())
    };
    assert_eq!(reasons(true, false), (0, 384));
    assert_eq!(reasons(false, false), (384, 0));
    assert_eq!(reasons(true, true), (384, 0));
}

#[test]
fn growth_needs_a_beginning_or_a_doubling_time() {
    let mut wells = small_plate(0);
    for w in wells.iter_mut() {
        (w.signal_t0, w.time_h) = (Some(if w.role == Role::Blank { 4.5 } else { 29.5 }), Some(48.0));
    }
    let growth = settings(Normalization::GrowthRateInhibition);
    let found = stage(&screen(wells.clone()), growth);
    let sample = found.wells.iter().find(|w| w.well.signal == 53.5).unwrap();
    let vehicle = VEHICLE.iter().sum::<f64>() / 8.0 - 4.5;
    let expected = 2f64.powf((49.0f64 / 25.0).log2() / (vehicle / 25.0).log2()) - 1.0;
    assert!((sample.response - expected).abs() < 1e-12);
    let fold = stage(&screen(wells.clone()), settings(Normalization::Log2FoldPerDay));
    let sample = fold.wells.iter().find(|w| w.well.signal == 53.5).unwrap();
    assert!((sample.response - (49.0f64 / 25.0).log2() / 2.0).abs() < 1e-12);
    assert!(fold.rejected.iter().filter(|r| r.reason == "signal_t0_not_above_background").count() >= BLANK.len());

    wells.iter_mut().for_each(|w| w.signal_t0 = None);
    let without = stage(&screen(wells.clone()), growth);
    assert!(without.wells.is_empty() && without.rejected.iter().all(|r| r.reason == "no_doubling_time"));
    let mut known = screen(wells);
    known.annotations = vec![Default::default(); 2];
    known.annotations[0].doubling_time_h = Some(24.0);
    let by_line = stage(&known, growth);
    let sample = by_line.wells.iter().find(|w| w.well.signal == 53.5).unwrap();
    let expected = 2f64.powf(1.0 + (49.0 / vehicle).log2() / 2.0) - 1.0;
    assert!((sample.response - expected).abs() < 1e-12);
    known.annotations[0].doubling_time_h = Some(80.0);
    assert!(stage(&known, growth).rejected.iter().any(|r| r.reason == "doubling_time_too_long"));
    known.wells.for_each_mut(|_, w| {
        if w.role != Role::Blank {
            w.signal_t0 = Some(500.0);
        }
    });
    assert!(stage(&known, growth).rejected.iter().any(|r| r.reason == "vehicle_not_growing"));
}

#[test]
fn a_plate_with_few_or_noisy_vehicle_wells_weighs_less() {
    let plate = |number: u32, vehicles: &[f64]| -> Vec<Well> {
        let named = |i: usize| format!("A{}", i + 1);
        let controls = vehicles.iter().enumerate().map(|(i, v)| well(number, &named(i), Role::Vehicle, *v));
        controls.chain([well(number, "C3", Role::Sample, 50.0)]).collect()
    };
    let quiet = [96.0, 104.0, 97.0, 103.0, 95.0, 105.0, 100.0, 100.0];
    let noisy = [60.0, 140.0, 70.0, 130.0, 50.0, 150.0, 100.0, 100.0];
    let wells = [plate(0, &quiet), plate(1, &quiet), plate(2, &noisy), plate(3, &quiet[..2])].concat();
    let stage = run(&screen(wells), PlateSettings::default(), &Cpu).unwrap();
    // Variances: quiet 100 / 7e-4, noisy 8400 / 7e-4, two wells 32e-4. The median of four is the mean of the middle two.
    let quiet_variance = 100.0 / 7.0 * 1e-4;
    let typical = (quiet_variance + 32e-4) / 2.0;
    let expected = |variance: f64, n: f64| {
        let drawn = (4.0 * typical + (n - 1.0) * variance) / (3.0 + n);
        typical / (typical + drawn / n)
    };
    let weights = [
        expected(quiet_variance, 8.0),
        expected(quiet_variance, 8.0),
        expected(1e4 / 7.0 * 1e-4, 8.0),
        expected(32e-4, 2.0),
    ];
    for w in stage.wells.iter() {
        // The noisy plate is bad besides: variances add.
        assert_eq!(w.flags.any(), w.well.plate == 2);
        let expected = 1.0 / (1.0 / w.flags.weight() + 1.0 / weights[w.well.plate as usize] - 1.0);
        assert!((w.weight - expected).abs() < 1e-9, "{} {}", w.well.plate, w.weight);
        // The planted fault: the next plate's weight.
        let other = weights[(w.well.plate as usize + 1) % 4];
        assert!(w.well.plate == 0 || (w.weight - other).abs() > 1e-3);
    }
    assert!(weights[2] < 0.2 && weights[3] < weights[0]);
}

#[test]
fn what_a_place_reads_on_all_plates_is_taken_out_of_scores() {
    let wells: Vec<Well> = (0..12).flat_map(|p| plate_of(p, |r, c| if (r, c) == (5, 7) { 0.6 } else { 1.0 })).collect();
    let at_place = |across_plates: bool| {
        let settings = PlateSettings { across_plates, ..settings(Normalization::RobustZScore) };
        let stage = run(&screen(wells.clone()), settings, &Cpu).unwrap();
        let mut scores: Vec<f64> = stage
            .wells
            .iter()
            .filter(|w| w.well.role == Role::Sample && w.well.position == WellPosition::new(5, 7))
            .map(|w| w.response)
            .collect();
        assert!(scores.len() >= 8);
        scores.sort_by(f64::total_cmp);
        scores[scores.len() / 2]
    };
    assert!(at_place(false) < -3.0, "{}", at_place(false));
    assert!(at_place(true).abs() < 0.5, "{}", at_place(true));
}

#[test]
fn an_effect_that_is_corrected_burdens_no_well() {
    // Column 1 and most other wells are vehicle, and the first columns read up to 28 % low.
    let fall = |_: u16, column: u16| 1.0 - 0.28 * (-f64::from(column - 1) / 1.5).exp();
    let wells = || -> Vec<Well> {
        let mut wells = plate_of(0, fall);
        for (i, w) in wells.iter_mut().enumerate() {
            let at = w.position.unwrap();
            if at.column == 1 {
                w.signal = 500.0 + 5e4 * fall(at.row, 1) * (1.0 + 0.05 * noise(7_000 + i as u64));
            }
            if at.column == 1 || (w.role == Role::Sample && w.signal > 2.5e4) {
                (w.role, w.treatments) = (Role::Vehicle, [None; 3]);
            }
        }
        wells
    };
    let flagged = |spatial: SpatialCorrection| {
        let stage = run(&screen(wells()), PlateSettings { spatial, ..PlateSettings::default() }, &Cpu).unwrap();
        let sd = stage.spatial.first().map(|outcome| outcome.sd);
        let codes: std::collections::BTreeSet<String> = stage.wells.iter().map(|w| w.flags.codes()).collect();
        (stage.wells.iter().filter(|w| w.flags.any()).count(), format!("{} {codes:?}", stage.plates[0].reason), sd)
    };
    let (n, reason, sd) = flagged(SpatialCorrection::None);
    assert!(n > 10 && reason.contains("contaminated") && sd.is_none(), "{n} {reason}");
    let (n, reason, sd) = flagged(SpatialCorrection::LocalRegression);
    assert!(n == 0 && !reason.contains("contaminated") && sd.unwrap() > 0.05, "{n} {reason} {sd:?}");
}

#[test]
fn scores_are_not_judged_by_the_limits_of_viability() {
    let stage = stage(&screen(plate_of(0, |_, _| 1.0)), settings(Normalization::RobustZScore));
    assert!(stage.wells.iter().any(|w| w.response < -5.0));
    assert!(stage.wells.iter().all(|w| !w.flags.any() && w.weight == 1.0));
    assert!(has(&stage.plates[0], "responses_not_reviewed") && stage.plates[0].residual_error.is_none());
    let mut viabilities = screen(plate_of(0, |_, _| 1.0));
    viabilities.orientation = isobole::screen::Orientation::Viability;
    let refused = run(&viabilities, settings(Normalization::RobustZScore), &Cpu).unwrap_err().to_string();
    assert!(refused.contains("`robust-z-score` is made of raw signals"), "{refused}");
}

#[test]
fn the_table_says_of_each_plate_what_was_done() {
    let mut wells = [plate_of(0, edge), plate_of(1, edge), plate_of(2, |_, _| 1.0)].concat();
    wells.iter_mut().filter(|w| w.plate == 0).for_each(|w| w.position = None);
    let screen = screen(wells);
    let settings = PlateSettings { spatial: SpatialCorrection::LocalRegression, ..PlateSettings::default() };
    let stage = run(&screen, settings, &Cpu).unwrap();
    let table = isobole::plate::normalization_table::table(&stage.vehicle_noise, &stage.spatial, &screen);
    let column = |name: &str| table.columns.iter().find(|c| c.name == name).map(|c| &c.values).unwrap();
    let (Values::Text(plates), Values::Text(reasons)) = (column("plate_id"), column("reason")) else { panic!("text") };
    let (Values::Number(sd), Values::Number(weight)) = (column("spatial_sd"), column("weight")) else {
        panic!("numbers")
    };
    assert_eq!(plates.iter().flatten().collect::<Vec<_>>(), ["plate 0", "plate 1", "plate 2"]);
    assert_eq!(reasons.iter().flatten().collect::<Vec<_>>(), ["no_position", "", ""]);
    assert!(sd[0].is_none() && sd[1].unwrap() > 0.05 && sd[2].unwrap() < 0.01, "{sd:?}");
    assert!(weight.iter().flatten().all(|w| *w > 0.8 && *w < 1.0) && weight.len() == 3, "{weight:?}");
}

#[test]
fn doses_that_follow_columns_are_not_taken_for_the_plate() {
    // A clean plate on which the drug does more from column to column.
    let viability = |column: u16| 1.0 / (1.0 + (f64::from(column) / 16.0).powi(3));
    let arranged = |kept: bool, vehicles: bool| {
        let mut wells = plate_of(0, |_, _| 1.0);
        for (i, w) in wells.iter_mut().enumerate() {
            let column = w.position.unwrap().column;
            if w.role == Role::Vehicle && !vehicles && i > 60 {
                w.role = Role::Empty;
            }
            if w.role == Role::Sample {
                let drug = if kept { 0 } else { i as u32 };
                w.treatments[0] = Some(Treatment { drug, dose: 1e-9 * 2f64.powi(i32::from(column)) });
                w.signal = 500.0 + 5e4 * viability(column) * (1.0 + 0.05 * noise(90_000 + i as u64));
            }
        }
        screen(wells)
    };
    let changed = |screen: &Screen, kind: SpatialCorrection| {
        let stage = |spatial| run(screen, PlateSettings { spatial, ..PlateSettings::default() }, &Cpu).unwrap();
        let (before, after) = (stage(SpatialCorrection::None), stage(kind));
        let of = |stage: &PlateStage| -> Vec<f64> { stage.wells.iter().map(|w| w.response).collect() };
        (distance(&of(&after), &of(&before)).sqrt(), after.spatial[0].reason)
    };
    for kind in [SpatialCorrection::LocalRegression, SpatialCorrection::Median] {
        let (by_vehicles, reason) = changed(&arranged(true, true), kind);
        assert!(by_vehicles < 0.02 && matches!(reason, "" | "few_inactive_wells"), "{by_vehicles} {reason}");
        assert_eq!(changed(&arranged(true, false), kind), (0.0, "structured_layout"));
        // The planted fault: were the samples not known to follow the columns, low doses would be taken for the plate.
        let (by_samples, reason) = changed(&arranged(false, true), kind);
        assert!(by_samples > 0.05 || reason == "few_inactive_wells", "{by_samples} {reason}");
    }
}
