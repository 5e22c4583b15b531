//! Apoptosis as a second readout: closed forms, simulated flow cytometry with planted excess, and what cannot be told.

use crate::rank::Noise;
use isobole::apoptosis::synergy::{ApoptosisSynergy, ViabilitySynergy, synergy};
use isobole::apoptosis::{ApoptosisSample, correct};
use isobole::config::Mapping;
use isobole::ingest::read_apoptosis;
use isobole::screen::quadrants::{QuadrantRow, Quadrants};
use std::path::PathBuf;

const DOSES_A: [f64; 3] = [1e-8, 3e-8, 1e-7];
const DOSES_B: [f64; 2] = [1e-7, 1e-6];

fn quadrants(apoptotic: f64, events: Option<f64>) -> Quadrants {
    let early = 0.6 * apoptotic;
    let necrotic = 0.02 * (1.0 - apoptotic);
    Quadrants::Known { viable: 1.0 - apoptotic - necrotic, early, late: apoptotic - early, necrotic, events }
}

fn row(replicate: &str, a: f64, b: f64, quadrants: Quadrants) -> QuadrantRow {
    let drugs = [(a, "venetoclax"), (b, "clofarabine")];
    let given: Vec<(f64, &str)> = drugs.into_iter().filter(|(dose, _)| *dose > 0.0).collect();
    let at = |k: usize| given.get(k).copied();
    QuadrantRow {
        line: "HL-60".into(),
        drugs: [0, 1].map(|k| at(k).map(|(_, drug)| drug.to_owned())),
        doses: [0, 1].map(|k| at(k).map_or(0.0, |(dose, _)| dose)),
        schedule: None,
        replicate: replicate.into(),
        quadrants,
    }
}

/// Share of cells that a drug drives into apoptosis.
fn alone(dose: f64, ec50: f64) -> f64 {
    0.7 * dose / (dose + ec50)
}

/// A full experiment of `share(a, b)` of the cells that are not apoptotic anyway (8 % in vehicle).
fn design(
    replicates: &[&str],
    mut share: impl FnMut(f64, f64) -> f64,
    mut count: impl FnMut(f64) -> Quadrants,
) -> Vec<QuadrantRow> {
    let mut rows = Vec::new();
    for replicate in replicates {
        for a in std::iter::once(0.0).chain(DOSES_A) {
            for b in std::iter::once(0.0).chain(DOSES_B) {
                let driven = if a + b > 0.0 { share(a, b) } else { 0.0 };
                rows.push(row(replicate, a, b, count(0.08 + 0.92 * driven)));
            }
        }
    }
    rows
}

fn independent(a: f64, b: f64) -> f64 {
    let (x, y) = (alone(a, 3e-8), alone(b, 5e-7));
    x + y - x * y
}

fn with_excess(excess: f64) -> impl Fn(f64, f64) -> f64 {
    move |a, b| independent(a, b) + if a > 0.0 && b > 0.0 { excess } else { 0.0 }
}

fn only(rows: &[ApoptosisSynergy]) -> &ApoptosisSynergy {
    assert_eq!(rows.len(), 1, "{rows:?}");
    &rows[0]
}

#[test]
fn abbott_and_bliss_follow_closed_forms() {
    let rows = design(&["1"], with_excess(0.1), |x| quadrants(x, Some(1e4)));
    let samples = correct(&rows);
    for (sample, row) in samples.iter().zip(&rows) {
        let given = |drug: &str| (0..2).find(|&k| row.drugs[k].as_deref() == Some(drug)).map_or(0.0, |k| row.doses[k]);
        let (a, b) = (given("venetoclax"), given("clofarabine"));
        let driven = if a + b > 0.0 { with_excess(0.1)(a, b) } else { 0.0 };
        assert!((sample.corrected.expect("a fraction") - driven).abs() < 1e-12, "{sample:?}");
        assert_eq!(sample.vehicle_source, Some("same_replicate"));
    }
    let got = synergy(&samples, &[], "Clofarabine");
    let got = only(&got);
    assert_eq!(got.drugs, ["clofarabine", "venetoclax"], "the anchor comes first");
    assert!((got.score.expect("a score") - 0.1).abs() < 1e-12, "{got:?}");
    assert_eq!((got.n_cells, got.n_replicates), (6, 1));
    assert_eq!(got.flags, "binomial_only;no_viability_matrix;one_replicate");
    assert!((got.peak.expect("a peak").0 - 0.1).abs() < 1e-12);
    // Without the correction for vehicle the same samples give another number.
    let raw: Vec<ApoptosisSample> =
        samples.iter().map(|s| ApoptosisSample { corrected: s.apoptotic, ..s.clone() }).collect();
    assert!((only(&synergy(&raw, &[], "clofarabine")).score.expect("a score") - 0.1).abs() > 0.01);
    // A sample of 10,000 cells in a vehicle of as many: sqrt(p q / n) of both ends, by hand for 8 % against 8 %.
    let vehicle = samples.iter().find(|s| s.is_vehicle()).expect("vehicle");
    let by_hand = (2.0 * 0.08 * 0.92 / 1e4 / (0.92f64 * 0.92)).sqrt();
    assert!((vehicle.standard_error.expect("an error") / by_hand - 1.0).abs() < 0.01, "{vehicle:?}");
}

/// Counts of so many cells: the share wobbles between samples as cultures do, and the count is drawn.
fn flow(events: f64, between: f64, noise: &mut Noise) -> impl FnMut(f64) -> Quadrants + '_ {
    move |share| {
        let share = (share + between * noise.normal()).clamp(0.005, 0.97);
        let seen = share + (share * (1.0 - share) / events).sqrt() * noise.normal();
        quadrants(seen.clamp(0.0, 0.98), Some(events))
    }
}

#[test]
fn intervals_cover_the_planted_excess() {
    for (replicates, between) in [(&["1", "2", "3"][..], 0.03), (&["1"][..], 0.0)] {
        for truth in [0.0, 0.12] {
            let (mut covered, mut seen, screens) = (0.0, 0.0, 600);
            for screen in 0..screens {
                let mut noise = Noise(11 + screen * 7919);
                let rows = design(replicates, with_excess(truth), flow(5000.0, between, &mut noise));
                let got = synergy(&correct(&rows), &[], "clofarabine");
                let [low, high] = only(&got).interval.map(|end| end.expect("an interval"));
                covered += f64::from(low <= truth && truth <= high);
                seen += f64::from(low > 0.0);
            }
            let (covered, seen) = (covered / screens as f64, seen / screens as f64);
            println!("{replicates:?}, excess {truth}: {covered:.3} cover, {seen:.3} above zero");
            assert!((covered - 0.95).abs() < 0.03, "{replicates:?} {truth}: {covered}");
            assert!(if truth > 0.0 { seen > 0.85 } else { seen < 0.045 }, "{replicates:?} {truth}: {seen}");
        }
    }
}

#[test]
fn viability_agrees_or_does_not() {
    let rows = design(&["1", "2", "3"], with_excess(0.2), flow(1e4, 0.01, &mut Noise(3)));
    let samples = correct(&rows);
    let viability = |score: f64, sign: f64| ViabilitySynergy {
        line: "hl-60".into(),
        drugs: ["Venetoclax".into(), "Clofarabine".into()],
        schedule: None,
        score: Some(score),
        interval: [Some(score - 0.05), Some(score + 0.05)],
        // Dispensed 2 % off.
        cells: DOSES_A.iter().flat_map(|a| DOSES_B.map(|b| (a * 1.02, b, sign * alone(*a, 3e-8) * b * 1e6))).collect(),
    };
    let of = |seen: ViabilitySynergy| only(&synergy(&samples, &[seen], "clofarabine")).clone();
    let both = of(viability(0.2, 1.0));
    assert_eq!((both.concordance, both.same_sign, both.n_shared), ("concordant", Some(true), 6));
    assert!(both.correlation.is_some());
    assert_eq!(of(viability(-0.2, 1.0)).concordance, "discordant");
    assert_eq!(of(viability(0.01, 1.0)).concordance, "apoptosis_only");
    let flat = of(viability(0.2, 0.0));
    assert_eq!((flat.correlation, flat.correlation_reason), (None, Some("no_variation")));
    let nothing = ViabilitySynergy { interval: [None; 2], cells: Vec::new(), ..viability(0.2, 1.0) };
    let nothing = of(nothing);
    assert_eq!((nothing.concordance, nothing.correlation_reason), ("unknown", Some("too_few_shared_doses")));
    // The excess itself, as viability has it: perfectly correlated, and reversed.
    let exact =
        correct(&design(&["1"], |a, b| independent(a, b) + 1e5 * a * f64::from(b > 0.0), |x| quadrants(x, None)));
    let mirror = |sign: f64| ViabilitySynergy {
        cells: DOSES_A.iter().flat_map(|a| DOSES_B.map(|b| (*a, b, sign * a))).collect(),
        ..viability(0.1, 1.0)
    };
    for sign in [1.0, -1.0] {
        let r = only(&synergy(&exact, &[mirror(sign)], "clofarabine")).correlation.expect("a correlation");
        assert!((r - sign).abs() < 1e-9, "{r}");
    }
}

#[test]
fn what_cannot_be_told_has_a_reason() {
    let rows = design(&["1"], independent, |x| quadrants(x, None));
    let got = synergy(&correct(&rows), &[], "clofarabine");
    let got = only(&got);
    assert_eq!((got.interval, got.p), ([None; 2], None), "no cells counted, one replicate");
    assert!(got.score.expect("a score").abs() < 1e-12 && got.flags.contains("one_replicate"), "{got:?}");
    let without_vehicle: Vec<QuadrantRow> = rows.iter().filter(|row| row.drugs[0].is_some()).cloned().collect();
    let samples = correct(&without_vehicle);
    assert!(samples.iter().all(|s| s.corrected.is_none() && s.reason == Some("no_vehicle")));
    assert!(only(&synergy(&samples, &[], "x")).flags.contains("no_vehicle"));
    let mut dying = rows.clone();
    for row in dying.iter_mut().filter(|row| row.drugs[0].is_none()) {
        row.quadrants = quadrants(0.6, None);
    }
    assert!(correct(&dying).iter().all(|s| s.reason == Some("vehicle_unhealthy")));
    let mut gap = rows.clone();
    gap[5].quadrants = Quadrants::Missing("quadrants_do_not_add_up");
    assert_eq!(correct(&gap)[5].reason, Some("quadrants_do_not_add_up"));
    // Combinations whose single agents nobody measured.
    let bare: Vec<QuadrantRow> =
        rows.iter().filter(|row| row.drugs[1].is_some() || row.drugs[0].is_none()).cloned().collect();
    let bare = synergy(&correct(&bare), &[], "clofarabine");
    assert_eq!((only(&bare).score, only(&bare).n_cells), (None, 0));
    assert!(only(&bare).flags.contains("no_single_agents"));
    assert!(synergy(&[], &[], "clofarabine").is_empty());
}

#[test]
fn tables_of_quadrants_are_read_or_refused_by_place() {
    let dir = std::env::temp_dir().join(format!("isobole-apoptosis-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    let read = |name: &str, text: &str| {
        let path: PathBuf = dir.join(name);
        std::fs::write(&path, text).expect("written");
        read_apoptosis(&[path], &Mapping::default())
    };
    let header =
        "cell_line,drug_a,conc_a,drug_b,conc_b,conc_unit,replicate,viable,early_apoptotic,late_apoptotic,necrotic";
    let percent = format!(
        "{header}\nR,,,,,nM,1,90,6,3,1\nR,clofarabine,100,venetoclax,1000,nM,1,40,30,25,5\nR,clofarabine,100,,,nM,1,70,20,5,1\n\
         R,clofarabine,100,,,nM,2,70,20,,5\n"
    );
    let rows = read("percent.csv", &percent).expect("rows");
    assert_eq!(rows[0].drugs, [None, None]);
    assert_eq!(rows[1].drugs, [Some("clofarabine".to_owned()), Some("venetoclax".to_owned())]);
    assert!((rows[1].doses[0] / 1e-7 - 1.0).abs() < 1e-12 && (rows[1].doses[1] / 1e-6 - 1.0).abs() < 1e-12);
    assert_eq!(
        rows[1].quadrants,
        Quadrants::Known { viable: 0.4, early: 0.3, late: 0.25, necrotic: 0.05, events: None }
    );
    assert_eq!(rows[2].quadrants, Quadrants::Missing("quadrants_do_not_add_up"), "96 of 100");
    assert_eq!(rows[3].quadrants, Quadrants::Missing("missing_quadrant"));
    let counts = format!(
        "{header}\nR,,,,,uM,1,9000,500,400,100\nR,clofarabine,1,,,uM,1,0,0,0,0\nR,clofarabine,1,,,uM,1,9,-1,0,0\n"
    );
    let rows = read("counts.csv", &counts).expect("rows");
    assert_eq!(
        rows[0].quadrants,
        Quadrants::Known { viable: 0.9, early: 0.05, late: 0.04, necrotic: 0.01, events: Some(1e4) }
    );
    assert_eq!(rows[1].quadrants, Quadrants::Missing("no_events"));
    assert_eq!(rows[2].quadrants, Quadrants::Missing("negative_quadrant"));
    for (row, part) in [
        (
            "R,clofarabine,,,,uM,1,9,1,0,0",
            "column `conc_a`: row 1 below the header: `clofarabine` has no concentration",
        ),
        (
            "R,clofarabine,1,,,,1,9,1,0,0",
            "column `conc_a`: row 1 below the header: the unit of the concentration is not known",
        ),
        ("R,clofarabine,1,,,ug/mL,1,9,1,0,0", "needs the molar mass of `clofarabine`"),
        (
            "R,clofarabine,1,Clofarabine,2,uM,1,9,1,0,0",
            "column `drug_b`: row 1 below the header: `Clofarabine` is the first drug too",
        ),
        ("R,clofarabine,-1,,,uM,1,9,1,0,0", "-1 is below 0"),
        (
            "R,clofarabine,1,,,uM,1,9,many,0,0",
            "column `early_apoptotic`: row 1 below the header: `many` is not a number",
        ),
        (",clofarabine,1,,,uM,1,9,1,0,0", "column `cell_line`: row 1 below the header: is empty"),
    ] {
        let error = read("bad.csv", &format!("{header}\n{row}\n")).expect_err("refused").to_string();
        assert!(error.contains(part), "{error}");
    }
    let error = read("short.csv", "cell_line,drug_a,conc_a,viable,early\nR,x,1,90,10\n").expect_err("refused");
    assert!(error.to_string().contains("has no column `late_apoptotic`"), "{error}");
    std::fs::remove_dir_all(&dir).expect("removed");
}
