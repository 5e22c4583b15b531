//! What must hold for any plate.

use super::*;
use proptest::prelude::*;

/// Everything that a result says, bit by bit.
fn bits(stage: &PlateStage) -> Vec<String> {
    let wells = stage.wells.iter().map(|w| format!("{:?} {:016x}", w.well, w.response.to_bits()));
    wells
        .chain(stage.plates.iter().map(|p| format!("{p:?}")))
        .chain(stage.rejected.iter().map(|r| format!("{r:?}")))
        .collect()
}

fn near(a: f64, b: f64, tolerance: f64) -> bool {
    (a - b).abs() <= tolerance * a.abs().max(b.abs()).max(1.0)
}

fn signals() -> impl Strategy<Value = (Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>)> {
    let some = |low: f64, high: f64, n: usize| prop::collection::vec(low..high, 2..n);
    (some(5e4, 9e4, 12), some(2e3, 9e3, 8), some(100.0, 900.0, 8), some(50.0, 1e5, 40))
}

fn plate((vehicle, positive, blank, sample): &(Vec<f64>, Vec<f64>, Vec<f64>, Vec<f64>)) -> Vec<Well> {
    let roles = [(Role::Vehicle, vehicle), (Role::Positive, positive), (Role::Blank, blank), (Role::Sample, sample)];
    let all = roles.iter().flat_map(|(role, signals)| signals.iter().map(move |s| (*role, *s)));
    all.enumerate()
        .map(|(i, (role, signal))| {
            // Scattered over a 384-well plate; 7 and 384 share no divisor, so no place is taken twice.
            let at = i * 7 % 384;
            Well {
                position: WellPosition::new((at / 24 + 1) as u16, (at % 24 + 1) as u16),
                ..well(0, "A1", role, signal)
            }
        })
        .collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn scaling_the_signal_changes_nothing(signals in signals(), factor in 1e-3..1e3f64) {
        let wells = plate(&signals);
        let scaled: Vec<Well> = wells.iter().map(|w| Well { signal: w.signal * factor, ..*w }).collect();
        let (before, after) = (stage(&screen(wells), percent_of_vehicle()), stage(&screen(scaled), percent_of_vehicle()));
        for (a, b) in before.wells.iter().zip(after.wells.iter()) {
            prop_assert!(near(a.response, b.response, 1e-12));
        }
        let (a, b) = (&before.plates[0], &after.plates[0]);
        prop_assert_eq!(&a.reason, &b.reason);
        for (a, b) in [(a.z_prime, b.z_prime), (a.z_prime_robust, b.z_prime_robust), (a.ssmd, b.ssmd), (a.edge_effect, b.edge_effect)] {
            prop_assert_eq!(a.is_some(), b.is_some());
            prop_assert!(a.zip(b).is_none_or(|(a, b)| near(a, b, 1e-11)));
        }
    }

    #[test]
    fn a_constant_added_to_all_wells_leaves_responses_and_separation(signals in signals(), constant in 1.0..1e5f64) {
        let wells = plate(&signals);
        let moved: Vec<Well> = wells.iter().map(|w| Well { signal: w.signal + constant, ..*w }).collect();
        for normalization in [Normalization::PercentOfVehicle, Normalization::NormalizedPercentInhibition] {
            let settings = PlateSettings { normalization, ..PlateSettings::default() };
            let (before, after) = (stage(&screen(wells.clone()), settings), stage(&screen(moved.clone()), settings));
            for (a, b) in before.wells.iter().zip(after.wells.iter()) {
                prop_assert!(near(a.response, b.response, 1e-11));
            }
            let (a, b) = (&before.plates[0], &after.plates[0]);
            for (a, b) in [(a.z_prime, b.z_prime), (a.z_prime_robust, b.z_prime_robust), (a.ssmd, b.ssmd)] {
                prop_assert!(a.zip(b).is_some_and(|(a, b)| near(a, b, 1e-9)));
            }
        }
    }

    #[test]
    fn the_order_of_the_wells_changes_no_bit(signals in signals(), other in signals(), seed in any::<u64>()) {
        let mut wells = plate(&signals);
        wells.extend(plate(&other).into_iter().map(|w| Well { plate: 1, ..w }));
        let before = stage(&screen(wells.clone()), percent_of_vehicle());
        let mut state = seed;
        for i in (1..wells.len()).rev() {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            wells.swap(i, (state >> 33) as usize % (i + 1));
        }
        prop_assert_eq!(bits(&before), bits(&stage(&screen(wells), percent_of_vehicle())));
    }

    #[test]
    fn no_signals_make_it_panic_or_lose_a_well(wells in prop::collection::vec((0..5usize, any::<f64>(), 0..3u32), 0..60)) {
        let at = |i: usize| WellPosition::new((i / 24 + 1) as u16, (i % 24 + 1) as u16);
        let wells = wells.iter().enumerate().map(|(i, (role, signal, line))| {
            let line = (*line < 2).then_some(*line);
            Well { position: at(i), line, ..well(0, "A1", Role::ALL[*role], *signal) }
        });
        stage(&screen(wells.collect()), percent_of_vehicle());
    }
}

#[test]
fn the_number_of_threads_changes_no_bit() {
    let wells: Vec<Well> = (0..40).flat_map(small_plate).collect();
    let screen = screen(wells);
    let on = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| bits(&stage(&screen, percent_of_vehicle())))
    };
    assert_eq!(on(1), on(4));
}
