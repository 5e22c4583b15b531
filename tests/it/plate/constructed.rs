//! Plates whose answers are known: computed with numpy, by hand, or defined as edge cases.

use super::*;
use isobole::plate::flags::WellFlags;
use isobole::plate::{Verdict, table, wells_table};
use isobole::report::table::Values;
use isobole::screen::{Orientation, Rejected};

fn close(value: Option<f64>, expected: f64) -> bool {
    value.is_some_and(|v| (v - expected).abs() <= 1e-12 * expected.abs())
}

#[test]
fn metrics_equal_those_of_numpy() {
    let screen = screen(small_plate(0));
    let by_positive = &stage(&screen, percent_of_vehicle()).plates[0];
    assert!(close(by_positive.z_prime, 0.6388763939795377), "{by_positive:?}");
    assert!(close(by_positive.z_prime_robust, 0.7001483146067415));
    assert!(close(by_positive.ssmd, 10.090803704662333));
    assert!(close(by_positive.cv_vehicle, 0.08552995675298262));
    assert!(close(by_positive.signal_to_background, 9.11111111111111));
    assert_eq!((by_positive.background, by_positive.vehicle_mean), (4.5, Some(98.0)));
    assert_eq!((by_positive.verdict, by_positive.reason.as_str()), (Verdict::Good, "edge_not_measured"));
    assert_eq!(
        (by_positive.n_wells, by_positive.n_vehicle, by_positive.n_positive, by_positive.n_blank),
        (18, 8, 4, 4)
    );

    let settings = PlateSettings { low_control_blank: true, ..percent_of_vehicle() };
    let by_blank = &stage(&screen, settings).plates[0];
    assert_eq!((by_positive.low_control, by_blank.low_control), (Some("positive"), Some("blank")));
    assert!(close(by_blank.z_prime, 0.6921077035943921), "{by_blank:?}");
    assert!(close(by_blank.z_prime_robust, 0.7438439790575917));
    assert!(close(by_blank.ssmd, 11.059242860067881));
    assert!(close(by_blank.signal_to_background, 22.77777777777778));
}

#[test]
fn responses_are_those_of_the_formulas() {
    let screen = screen(small_plate(0));
    let samples = |stage: &PlateStage| -> Vec<f64> {
        stage.wells.iter().filter(|w| w.well.role == Role::Sample).map(|w| w.response).collect()
    };
    let of_vehicle = stage(&screen, percent_of_vehicle());
    assert_eq!(samples(&of_vehicle), [0.0, 0.5]);
    assert_eq!(of_vehicle.wells.len(), 18);
    let settings = PlateSettings { normalization: Normalization::NormalizedPercentInhibition, ..percent_of_vehicle() };
    let by_both = stage(&screen, settings);
    assert_eq!(samples(&by_both), [(4.5 - 11.25) / 91.25, (53.5 - 11.25) / 91.25]);
}

#[test]
fn swapped_roles_do_not_pass_for_a_plate() {
    let mut wells = small_plate(0);
    for well in &mut wells {
        well.role = match well.role {
            Role::Vehicle => Role::Positive,
            Role::Positive => Role::Vehicle,
            other => other,
        };
    }
    let (right, wrong) = (screen(small_plate(0)), screen(wells));
    for low_control_blank in [false, true] {
        let settings = PlateSettings { low_control_blank, ..percent_of_vehicle() };
        assert_eq!(stage(&right, settings).plates[0].verdict, Verdict::Good);
        let swapped = stage(&wrong, settings);
        assert_eq!(swapped.plates[0].verdict, Verdict::Unusable, "{:?}", swapped.plates[0]);
        assert!(swapped.wells.is_empty());
        assert!(swapped.rejected.iter().all(|r| r.reason == "controls_reversed" && r.detail.contains("102.5")));
    }
    // The metric alone would not have noticed: Z' has the difference's absolute value.
    assert!(close(stage(&wrong, percent_of_vehicle()).plates[0].z_prime, 0.6388763939795377));
}

#[test]
fn one_swapped_well_changes_the_verdict() {
    let mut wells = small_plate(0);
    assert_eq!(stage(&screen(wells.clone()), percent_of_vehicle()).plates[0].verdict, Verdict::Good);
    wells[8].role = Role::Vehicle;
    let quality = &stage(&screen(wells), percent_of_vehicle()).plates[0];
    assert_eq!(quality.verdict, Verdict::Bad, "{quality:?}");
    assert!(has(quality, "z_prime_negative"));
}

/// The verdict, the reasons and the reasons of rejected wells of one plate with these wells.
fn judged(settings: PlateSettings, wells: &[(Role, f64)]) -> (PlateQuality, Vec<&'static str>) {
    let at = |i: usize| format!("{}{}", ["B", "C", "D", "E"][i / 10], i % 10 + 2);
    let wells = wells.iter().enumerate().map(|(i, (role, signal))| well(0, &at(i), *role, *signal)).collect();
    let mut stage = stage(&screen(wells), settings);
    let mut reasons: Vec<_> = stage.rejected.iter().map(|r| r.reason).collect();
    reasons.dedup();
    (stage.plates.remove(0), reasons)
}

#[test]
fn every_edge_case_has_a_verdict_and_a_reason() {
    use Role::{Blank, Positive, Sample, Vehicle};
    use Verdict::{Bad, Marginal, NotJudged, Unusable};
    let of_vehicle = percent_of_vehicle();
    let by_both = PlateSettings { normalization: Normalization::NormalizedPercentInhibition, ..of_vehicle };
    let vehicle = [(Vehicle, 99.0), (Vehicle, 101.0), (Vehicle, 103.0)];
    let positive = [(Positive, 9.0), (Positive, 10.0), (Positive, 11.0)];
    let with = |more: &[(Role, f64)]| [vehicle.as_slice(), more].concat();
    type Case = (&'static str, PlateSettings, Vec<(Role, f64)>, Verdict, &'static str);
    let rejecting: [Case; 4] = [
        ("no vehicle", of_vehicle, vec![(Sample, 1.0), (Blank, 0.0)], Unusable, "no_vehicle_wells"),
        (
            "vehicle below blank",
            of_vehicle,
            vec![(Vehicle, 5.0), (Vehicle, 6.0), (Blank, 5.0), (Blank, 7.0)],
            Unusable,
            "vehicle_not_above_background",
        ),
        ("npi without positives", by_both, with(&[(Blank, 3.0), (Blank, 4.0)]), Unusable, "no_positive_wells"),
        (
            "npi with equal controls",
            by_both,
            vec![(Vehicle, 5.0), (Vehicle, 5.0), (Positive, 5.0), (Positive, 5.0)],
            Unusable,
            "vehicle_not_above_positive",
        ),
    ];
    for (name, settings, wells, verdict, reason) in rejecting {
        let (quality, reasons) = judged(settings, &wells);
        assert_eq!((quality.verdict, reasons.as_slice()), (verdict, [reason].as_slice()), "{name}: {quality:?}");
        assert!(has(&quality, reason), "{name}: {quality:?}");
    }
    let keeping: [Case; 11] = [
        ("one vehicle", of_vehicle, [&[(Vehicle, 100.0)], positive.as_slice()].concat(), Marginal, "one_vehicle_well"),
        ("two vehicles", of_vehicle, [&vehicle[..2], &positive].concat(), Marginal, "few_vehicle_wells"),
        ("two positives", of_vehicle, with(&positive[..2]), Marginal, "few_low_control_wells"),
        ("one positive", of_vehicle, with(&positive[..1]), NotJudged, "one_low_control_well"),
        ("no low control", of_vehicle, vehicle.to_vec(), NotJudged, "no_low_control"),
        (
            "noisy, no low control",
            of_vehicle,
            [80.0, 100.0, 160.0].map(|s| (Vehicle, s)).into(),
            Bad,
            "cv_vehicle_very_high",
        ),
        (
            "equal controls",
            of_vehicle,
            with(&[(Positive, 99.0), (Positive, 101.0), (Positive, 103.0)]),
            Bad,
            "vehicle_equals_low_control",
        ),
        (
            "all identical",
            of_vehicle,
            vec![(Vehicle, 0.1); 7].into_iter().chain([(Positive, 0.1); 3]).collect(),
            Bad,
            "vehicle_equals_low_control",
        ),
        (
            "identical vehicles",
            of_vehicle,
            [[(Vehicle, 100.0); 3], positive].concat(),
            Marginal,
            "identical_vehicle_wells",
        ),
        (
            "positives a little above",
            of_vehicle,
            with(&[(Positive, 98.0), (Positive, 103.0), (Positive, 108.0)]),
            Bad,
            "vehicle_below_positive",
        ),
        (
            "dead reader",
            of_vehicle,
            [[(Vehicle, 100.0); 3], [(Positive, 10.0); 3]].concat(),
            Marginal,
            "controls_without_spread",
        ),
    ];
    for (name, settings, wells, verdict, reason) in keeping {
        let (quality, reasons) = judged(settings, &wells);
        assert_eq!((quality.verdict, reasons.len()), (verdict, 0), "{name}: {quality:?}");
        assert!(has(&quality, reason), "{name}: {quality:?}");
    }
    // One well has no spread: a robust Z' of 1 would be the best plate of the screen.
    let (quality, _) = judged(of_vehicle, &[(Vehicle, 100.0), (Positive, 10.0)]);
    assert_eq!((quality.z_prime, quality.z_prime_robust, quality.ssmd, quality.cv_vehicle), (None, None, None, None));
    assert_eq!(quality.signal_to_background, Some(10.0));
    // More than half of the vehicles equal: MAD 0.
    let (quality, _) = judged(of_vehicle, &[&[(Vehicle, 100.0); 4], [(Vehicle, 108.0)].as_slice(), &positive].concat());
    assert!(quality.z_prime.is_some() && quality.z_prime_robust.is_none() && has(&quality, "vehicle_mad_0"));
}

#[test]
fn unusable_wells_are_rejected_and_good_plates_are_spared() {
    let mut wells = small_plate(1);
    wells.extend(small_plate(0).into_iter().filter(|w| w.role != Role::Vehicle));
    wells.push(well(1, "A1", Role::Empty, 1.0));
    wells.push(well(1, "A2", Role::Sample, f64::NAN));
    let stage = stage(&screen(wells), percent_of_vehicle());
    let verdicts: Vec<_> = stage.plates.iter().map(|p| (p.plate, p.verdict)).collect();
    assert_eq!(verdicts, [(0, Verdict::Unusable), (1, Verdict::Marginal)]);
    assert!(has(&stage.plates[1], "many_wells_set_aside"), "1 of 19");
    let of = |reason: &str| stage.rejected.iter().filter(|r| r.reason == reason).count();
    assert_eq!((of("no_vehicle_wells"), of("empty_well"), of("signal_not_finite")), (10, 1, 1));
}

#[test]
fn each_line_of_a_plate_has_its_own_vehicle() {
    // A slow line beside a fast one, one blank column for both: pooled vehicles would call every slow well half dead.
    let mut wells = small_plate(0);
    for (i, signal) in [(1, 44.0), (2, 46.0), (3, 45.0)] {
        wells.push(Well { line: Some(1), ..well(0, &format!("C{i}"), Role::Vehicle, signal) });
    }
    for (i, signal) in [(1, 9.0), (2, 10.0), (3, 11.0)] {
        wells.push(Well { line: Some(1), ..well(0, &format!("D{i}"), Role::Positive, signal) });
    }
    wells.push(Well { line: Some(1), ..well(0, "E1", Role::Sample, 45.0) });
    for well in wells.iter_mut().filter(|w| w.role == Role::Blank) {
        well.line = None;
    }
    let result = stage(&screen(wells.clone()), percent_of_vehicle());
    assert_eq!(result.plates.iter().map(|p| p.line).collect::<Vec<_>>(), [Some(0), Some(1)]);
    let slow = result.wells.iter().find(|w| w.well.line == Some(1) && w.well.role == Role::Sample).unwrap();
    assert_eq!(slow.response, 1.0);

    wells.retain(|w| w.line != Some(1) || w.role != Role::Vehicle);
    let result = stage(&screen(wells), percent_of_vehicle());
    assert_eq!(result.rejected.len(), 4);
    assert!(result.rejected.iter().all(|r| r.reason == "no_vehicle_wells" && r.detail.contains("HL/CAFdA")));
}

#[test]
fn the_outer_ring_is_compared_with_the_inner_wells() {
    let mut wells = Vec::new();
    for (position, signal) in
        [("A1", 120.0), ("H12", 130.0), ("C1", 125.0), ("B2", 98.0), ("D6", 100.0), ("G11", 102.0)]
    {
        wells.push(well(0, position, Role::Vehicle, signal));
    }
    wells.extend(["C3", "C4", "C5"].map(|p| well(0, p, Role::Positive, 5.0)));
    let quality = &stage(&screen(wells.clone()), percent_of_vehicle()).plates[0];
    assert_eq!(quality.edge_effect, Some(0.25));
    assert!(has(quality, "edge_effect_high"));
    // On a 384-well plate the same H12 lies inside, and two outer wells are too few to judge by.
    wells.push(well(0, "P24", Role::Sample, 50.0));
    let quality = &stage(&screen(wells), percent_of_vehicle()).plates[0];
    assert_eq!(quality.edge_effect, None);
    assert!(has(quality, "edge_not_measured"));
}

#[test]
fn viabilities_pass_as_they_are() {
    let wells = vec![well(0, "A1", Role::Sample, 0.25), Well { position: None, ..well(0, "A2", Role::Vehicle, 1.5) }];
    let screen = Screen { orientation: Orientation::Viability, ..screen(wells) };
    let stage = stage(&screen, percent_of_vehicle());
    assert_eq!(stage.wells.iter().map(|w| w.response).collect::<Vec<_>>(), [1.5, 0.25]);
    assert_eq!(stage.plates[0].verdict, Verdict::NotJudged);
    assert_eq!(stage.plates[0].reason, "already_normalised");
}

#[test]
fn a_plate_without_readable_wells_keeps_its_row() {
    let mut screen = screen(small_plate(1));
    screen.rejected.push(Rejected { plate: 0, well: None, reason: "signal_missing", detail: "no signal".to_owned() });
    let stage = stage(&screen, percent_of_vehicle());
    assert_eq!(stage.plates.len(), 2);
    assert_eq!((stage.plates[0].verdict, stage.plates[0].reason.as_str()), (Verdict::Unusable, "no_wells"));
    assert_eq!(stage.plates[0].n_set_aside, 1);
}

#[test]
fn a_back_end_that_loses_wells_is_an_error() {
    let screen = screen(small_plate(0));
    let short = run_with(&screen, percent_of_vehicle(), |_, plates| Ok(vec![1.0; plates.signal.len() - 1]));
    assert!(short.unwrap_err().to_string().contains("18 wells went to be normalised and 17 came back"));
    let broken = run_with(&screen, percent_of_vehicle(), |_, plates| Ok(vec![f64::NAN; plates.signal.len()])).unwrap();
    assert_eq!((broken.wells.len(), broken.rejected.len()), (0, 18));
}

#[test]
fn tables_have_the_columns_that_are_promised() {
    let screen = screen(small_plate(0));
    let mut stage = stage(&screen, percent_of_vehicle());
    stage.wells.responses_mut()[0] = 36.0;
    stage.wells.flags_mut()[0] = WellFlags::of_response(36.0);
    let (plates, wells) = (table(&stage.plates, &screen), wells_table(&stage.wells, &screen));
    assert_eq!((plates.name.as_str(), plates.rows(), wells.name.as_str(), wells.rows()), ("plates", 1, "wells", 18));
    for name in
        "plate_id n_vehicle z_prime z_prime_robust ssmd cv_vehicle signal_to_background edge_effect status reason"
            .split(' ')
    {
        assert!(plates.columns.iter().any(|c| c.name == name), "no column {name}");
    }
    for name in "plate_id well response weight flags role cell_line drug_a conc_a conc_unit".split(' ') {
        assert!(wells.columns.iter().any(|c| c.name == name), "no column {name}");
    }
    let column = |name: &str| wells.columns.iter().find(|c| c.name == name).map(|c| &c.values);
    let flags = column("flags").expect("a column");
    assert_eq!(flags.text(0), Some("response_above_2"));
    assert!((1..flags.len()).all(|row| flags.text(row) == Some("")));
    let Some(Values::Text(places)) = column("well") else { panic!("wells are text") };
    assert_eq!(places[0].as_deref(), Some("A06"));
}
