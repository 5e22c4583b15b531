//! The plate stage: constructed plates with answers computed elsewhere, properties, and real plates.

mod both_back_ends;
mod constructed;
mod mtt;
mod normalization;
mod properties;
mod real;
mod review;

use isobole::backend::PlateBatch;
use isobole::config::Normalization;
use isobole::plate::normalization::normalise;
use isobole::plate::{PlateQuality, PlateSettings, PlateStage, run_with};
use isobole::screen::Screen;
use isobole::screen::rejections::Rejection;
use isobole::screen::well::{Role, Treatment, Well, WellPosition};
use std::collections::BTreeMap;

/// A well with everything but its place, role and signal left out.
fn well(plate: u32, position: &str, role: Role, signal: f64) -> Well {
    let position = WellPosition::parse(position);
    // Every sample is a treatment of its own: nothing is to be compared with it.
    let drug = position.map_or(0, |at| u32::from(at.row) * 64 + u32::from(at.column));
    Well {
        plate,
        position,
        role,
        line: Some(0),
        treatments: match role {
            Role::Sample => [Some(Treatment { drug, dose: 1e-6 }), None, None],
            _ => [None; 3],
        },
        signal,
        block: None,
        schedule: None,
        replicate: None,
        batch: None,
        signal_t0: None,
        time_h: None,
    }
}

/// A screen of these wells; plates are named `plate 0`, `plate 1`, …
fn screen(wells: Vec<Well>) -> Screen {
    let mut screen = Screen { wells_in: wells.len(), ..Screen::default() };
    for plate in 0..=wells.iter().map(|w| w.plate).max().unwrap_or(0) {
        screen.plates.intern(&format!("plate {plate}"));
    }
    for name in ["HL-60", "HL/CAFdA"] {
        screen.lines.intern(name);
    }
    screen.drugs.intern("clofarabine");
    screen.wells = wells.into();
    screen
}

/// Runs the stage with the CPU's normalisation and checks that every well came out exactly once.
fn stage(screen: &Screen, settings: PlateSettings) -> PlateStage {
    let stage = run_with(screen, settings, |n: Normalization, p: &PlateBatch| Ok(normalise(n, p))).unwrap();
    let mut balance: BTreeMap<_, i64> = BTreeMap::new();
    for well in screen.wells.iter() {
        *balance.entry((well.plate, well.position)).or_default() += 1;
    }
    for well in stage.wells.iter() {
        assert!(well.response.is_finite() && well.weight > 0.0);
        *balance.entry((well.well.plate, well.well.position)).or_default() -= 1;
    }
    for Rejection { plate, well, reason, detail } in stage.rejected.iter() {
        assert!(!reason.is_empty() && !detail.is_empty());
        *balance.entry((plate, well)).or_default() -= 1;
    }
    assert!(balance.values().all(|n| *n == 0), "wells lost or doubled: {balance:?}");
    for quality in &stage.plates {
        let values = [
            quality.z_prime,
            quality.z_prime_robust,
            quality.ssmd,
            quality.cv_vehicle,
            quality.signal_to_background,
            quality.edge_effect,
        ];
        assert!(values.iter().flatten().all(|v| v.is_finite()));
        assert!(
            values.iter().all(Option::is_some) || !quality.reason.is_empty(),
            "a null without a reason: {quality:?}"
        );
    }
    stage
}

fn percent_of_vehicle() -> PlateSettings {
    PlateSettings::default()
}

fn has(quality: &PlateQuality, reason: &str) -> bool {
    quality.reason.split(';').any(|r| r == reason)
}

/// Vehicle, positive and blank signals whose metrics numpy computed.
const VEHICLE: [f64; 8] = [101.0, 97.0, 110.0, 95.0, 104.0, 99.0, 120.0, 94.0];
const POSITIVE: [f64; 4] = [12.0, 9.0, 14.0, 10.0];
const BLANK: [f64; 4] = [3.0, 5.0, 4.0, 6.0];

/// A 96-well plate of those controls and two samples; vehicles in column 6, so away from the edge but for A and H.
fn small_plate(plate: u32) -> Vec<Well> {
    let rows = ["A", "B", "C", "D", "E", "F", "G", "H"];
    let column = |column: u32, role: Role, signals: &[f64]| -> Vec<Well> {
        signals.iter().zip(rows).map(|(s, row)| well(plate, &format!("{row}{column}"), role, *s)).collect()
    };
    [
        column(6, Role::Vehicle, &VEHICLE),
        column(7, Role::Positive, &POSITIVE),
        column(8, Role::Blank, &BLANK),
        column(9, Role::Sample, &[4.5, 53.5]),
    ]
    .concat()
}
