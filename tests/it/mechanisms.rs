//! Mechanisms of resistance from evidence: simulated blots, PCR and Ko143 matrices whose truth is planted by other models
//! (saturating bands with gamma noise, PCR below full efficiency, MuSyC-free shifts of potency), and cases that cannot
//! be told.

use crate::rank::Noise;
use crate::resistance::matrix;
use isobole::backend::cpu::Cpu;
use isobole::ingest::read_evidence;
use isobole::report::files;
use isobole::report::run_json::RunIdentity;
use isobole::report::table::Table;
use isobole::resistance::Resistance;
use isobole::resistance::cross_resistance::CrossResistance;
use isobole::resistance::mechanism::evidence_item::EvidenceItem;
use isobole::resistance::mechanism::expression::expression;
use isobole::resistance::mechanism::marker::{Direction, Mechanism};
use isobole::resistance::mechanism::{
    EffluxTest, Inputs, LineFact, MechanismCall, Mechanisms, SingleAgent, Status, mechanisms,
};
use isobole::resistance::potency::LogRatio;
use isobole::resistance::resensitisation::resensitisation;
use isobole::run::mechanism::{MechanismInputs, run_mechanism};
use isobole::screen::measurement::{Measurement, Reading};
use isobole::synergy::MatrixScore;
use std::path::{Path, PathBuf};

const MARKERS: [&str; 7] = ["DCK", "ABCG2", "BCL2", "MCL1", "BCL2L1", "BAX", "TP53"];
/// What a subline of each kind has of [`MARKERS`], as folds of its parent.
const KINDS: [(Option<Mechanism>, [f64; 7]); 6] = [
    (None, [1.0; 7]),
    (Some(Mechanism::LowDck), [0.2, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    (Some(Mechanism::Abcg2Efflux), [1.0, 6.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    (Some(Mechanism::AntiApoptoticShift), [1.0, 1.0, 4.0, 1.0, 1.0, 1.0, 1.0]),
    (Some(Mechanism::AntiApoptoticShift), [1.0, 1.0, 1.0, 1.0, 4.0, 1.0, 1.0]),
    (Some(Mechanism::P53Loss), [1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 0.2]),
];

/// A gamma variate of mean 1 with this coefficient of variation: squares of normals, as a band's noise is skewed.
fn skewed(cv: f64, noise: &mut Noise) -> f64 {
    let half_degrees = (1.0 / (cv * cv)).round();
    let squares: f64 = (0..2 * half_degrees as usize).map(|_| noise.normal().powi(2)).sum();
    squares / (2.0 * half_degrees)
}

fn row(line: &str, marker: &str, method: &str, replicate: &str, reading: Reading) -> Measurement {
    Measurement {
        line: line.into(),
        marker: marker.into(),
        method: method.into(),
        parental: None,
        replicate: replicate.into(),
        loading_control: "GAPDH".into(),
        reading,
    }
}

/// Three blots and three PCR runs of a parent and its subline. A normalised band's coefficient of variation is `cv`;
/// a threshold cycle's standard deviation 0.25.
fn evidence(parent: &str, subline: &str, folds: &[f64; 7], cv: f64, noise: &mut Noise) -> Vec<Measurement> {
    let mut rows = Vec::new();
    for replicate in ["1", "2", "3"] {
        for (marker, fold) in MARKERS.iter().zip(folds) {
            // Exposure and transfer are a blot's own; bright bands saturate.
            let exposure = (0.5 * noise.normal()).exp();
            for (line, amount) in [(parent, 1.0), (subline, *fold)] {
                let seen = exposure * amount * 0.1;
                let target = seen / (1.0 + 0.15 * seen) * skewed(cv, noise);
                rows.push(row(
                    line,
                    marker,
                    "western_blot",
                    replicate,
                    Reading::Densitometry { target, loading: exposure },
                ));
            }
        }
        for (marker, fold) in MARKERS.iter().zip(folds).take(2) {
            for (line, amount) in [(parent, 1.0f64), (subline, *fold)] {
                let loaded = 0.4 * noise.normal();
                let mut cycle =
                    |start: f64, amount: f64| start - amount.ln() / 1.95f64.ln() + loaded + 0.25 * noise.normal();
                let reading =
                    Reading::ThresholdCycles { target: Some(cycle(27.0, amount)), reference: cycle(18.0, 1.0) };
                rows.push(row(line, marker, "qrt_pcr", replicate, reading));
            }
        }
    }
    rows
}

/// The anchor with Ko143, which makes it this much more potent at its highest dose: through the same slices as a run.
fn ko143(line: &str, gain: f64, noise: &mut Noise) -> EffluxTest {
    let response = |a: f64, b: f64| {
        let ic50 = 4e-7 / (1.0 + (gain - 1.0) * b / (b + 1e-8));
        0.02 + 0.98 / (1.0 + (a / ic50).powf(1.3))
    };
    let matrix = matrix(0, &[1e-8, 1e-7, 1e-6], response, || 0.05 * noise.normal());
    let scores = [MatrixScore::unscored(matrix.key)];
    let unknown = [Resistance::unknown(matrix.key.line, 0, "test")];
    let rows = resensitisation(&[matrix], &scores, &[], &unknown, Some(0), &Cpu).expect("rows");
    let fold_change = rows.iter().find(|row| row.is_ranked).expect("a tolerated dose").fold_change;
    EffluxTest { line: line.into(), inhibitor: "Ko143".into(), fold_change }
}

fn fact(name: &str, parental: Option<&str>, annotation: Option<&str>) -> LineFact {
    LineFact {
        name: name.into(),
        parental: parental.map(str::to_owned),
        annotation: annotation.map(str::to_owned),
        is_resistant: parental.is_some(),
    }
}

fn called(found: &Mechanisms, line: &str) -> Vec<Mechanism> {
    let own = found.calls.iter().filter(|call| call.line == line && call.status == Some(Status::Called));
    own.filter_map(|call| call.mechanism).collect()
}

/// Shares of the affected sublines whose mechanism alone is called, and of the others that are called anything.
fn shares(screens: u64, cv: f64, spoil: impl Fn(&mut Measurement)) -> (f64, f64, usize) {
    let (mut right, mut affected, mut false_calls, mut unaffected) = (0.0, 0.0, 0.0, 0.0);
    for screen in 0..screens {
        let mut noise = Noise(1 + screen * 7919);
        let (mut lines, mut rows, mut tests) = (Vec::new(), Vec::new(), Vec::new());
        for couple in 0..2 {
            for (kind, (truth, folds)) in KINDS.iter().enumerate() {
                let (parent, subline) = (format!("P{couple}{kind}"), format!("R{couple}{kind}"));
                rows.extend(evidence(&parent, &subline, folds, cv, &mut noise));
                let gain = if *truth == Some(Mechanism::Abcg2Efflux) { 6.0 } else { 1.0 };
                tests.push(ko143(&subline, gain, &mut noise));
                tests.push(ko143(&parent, 1.0, &mut noise));
                lines.push(fact(&subline, Some(&parent), None));
                lines.push(fact(&parent, None, None));
            }
        }
        rows.iter_mut().for_each(&spoil);
        let found = mechanisms(&Inputs { lines, measurements: &rows, efflux_tests: tests, single_agents: Vec::new() });
        for couple in 0..2 {
            for (kind, (truth, _)) in KINDS.iter().enumerate() {
                let got = called(&found, &format!("R{couple}{kind}"));
                match truth {
                    Some(truth) => {
                        affected += 1.0;
                        right += f64::from(got == [*truth]);
                    }
                    None => {
                        unaffected += 1.0;
                        false_calls += f64::from(!got.is_empty());
                    }
                }
            }
        }
    }
    (right / affected, false_calls / unaffected, affected as usize)
}

#[test]
fn planted_mechanisms_are_called() {
    for cv in [0.25, 0.3] {
        let (right, false_calls, n) = shares(60, cv, |_| {});
        println!("cv {cv}: {right:.3} of {n} right, {false_calls:.3} false calls");
        assert!(right >= 0.95, "cv {cv}: {right} of {n}");
        assert!(false_calls <= 0.05, "cv {cv}: {false_calls}");
    }
    // Target and loading exchanged, on every blot and in every run: the comparator must see it.
    let (right, ..) = shares(6, 0.25, |row| {
        row.reading = match row.reading {
            Reading::Densitometry { target, loading } => Reading::Densitometry { target: loading, loading: target },
            Reading::ThresholdCycles { target, reference } => {
                Reading::ThresholdCycles { target: Some(reference), reference: target.unwrap_or(0.0) }
            }
            other => other,
        };
    });
    assert!(right < 0.5, "{right} right with targets and loading controls exchanged");
}

#[test]
fn intervals_cover_the_planted_fold() {
    let (mut covered, mut all, mut too_narrow) = (0.0, 0.0, 0.0);
    for screen in 0..120u64 {
        let mut noise = Noise(31 + screen * 104_729);
        let mut rows = Vec::new();
        for kind in 0..4 {
            rows.extend(evidence(&format!("P{kind}"), &format!("R{kind}"), &[0.5; 7], 0.27, &mut noise));
        }
        let parent = |line: &str| line.strip_prefix('R').or(line.strip_prefix('r')).map(|kind| format!("P{kind}"));
        for row in expression(&rows, &parent).into_iter().filter(|row| row.method == "western_blot") {
            let [low, high] = row.interval.map(|end| end.expect("an interval"));
            // Saturation of 0.15 x at x of 0.1 and 0.05 is below a hundredth of the fold.
            covered += f64::from(low <= -1.0 && -1.0 <= high);
            let middle = 0.5 * (low + high);
            too_narrow += f64::from((-1.0 - middle).abs() <= 0.25 * (high - low));
            all += 1.0;
        }
    }
    let share: f64 = covered / all;
    println!("{share:.3} of {all} intervals cover");
    assert!((share - 0.95).abs() < 0.02, "{share} of {all}");
    assert!(too_narrow / all < 0.9, "half the interval would be seen");
}

fn find<'a>(found: &'a Mechanisms, line: &str, mechanism: Mechanism) -> &'a MechanismCall {
    found.calls.iter().find(|call| call.line == line && call.mechanism == Some(mechanism)).expect("a row")
}

fn item<'a>(found: &'a Mechanisms, line: &str, method: &str) -> &'a EvidenceItem {
    found.evidence.iter().find(|item| item.line == line && item.method == method).expect("evidence")
}

/// Blots with these targets in line and parent, one a replicate; 0 for no band.
fn blots(line: &str, parent: &str, marker: &str, own: &[f64], theirs: &[f64]) -> Vec<Measurement> {
    let of = |name: &str, targets: &[f64]| -> Vec<Measurement> {
        let band = |(i, target): (usize, &f64)| {
            row(name, marker, "western_blot", &i.to_string(), Reading::Densitometry { target: *target, loading: 1.0 })
        };
        targets.iter().enumerate().map(band).collect()
    };
    [of(line, own), of(parent, theirs)].concat()
}

fn fold_row(line: &str, marker: &str, method: &str, fold: f64, error: f64) -> Measurement {
    row(line, marker, method, "", Reading::Fold { log2: fold.log2(), log2_standard_error: Some(error), n: Some(6) })
}

#[test]
fn what_cannot_be_told_has_a_reason() {
    let tight = [1.0, 1.02, 0.98];
    let rows = [
        // Annotated as loss of dCK, and the protein is there.
        blots("R/annotated", "P", "dCK", &[1.0, 1.05, 0.97], &tight),
        // The protein is gone and the messenger is not.
        blots("R/methods", "P", "DCK", &[0.2, 0.21, 0.19], &tight),
        vec![fold_row("R/methods", "dck", "qrt_pcr", 1.0, 0.1)],
        blots("orphan", "P", "dCK", &[0.2, 0.2, 0.21], &[]),
        blots("R/once", "P", "dCK", &[0.2], &[]),
        blots("R/gone", "P", "dCK", &[0.0, 0.0, 0.0], &[]),
        blots("R/partly", "P", "dCK", &[0.0, 0.3, 0.2], &[]),
        vec![row("R/bare", "dCK", "western_blot", "0", Reading::Missing("loading_control_zero"))],
        vec![row("R/elsewhere", "dCK", "western_blot", "9", Reading::Densitometry { target: 1.0, loading: 1.0 })],
        // More of ABCG2, and Ko143 changes nothing; the other way round.
        vec![fold_row("R/idle", "ABCG2", "fold", 5.0, 0.1), fold_row("R/active", "ABCG2", "fold", 1.0, 0.1)],
        vec![fold_row("R/other", "MCL-1", "fold", 4.0, 0.1), fold_row("R/other", "BCL-2", "fold", 1.0, 0.1)],
        vec![fold_row("R/p53", "TP53", "fold", 6.0, 0.1)],
    ]
    .concat();
    let mut lines: Vec<LineFact> = [
        "R/methods",
        "R/once",
        "R/gone",
        "R/partly",
        "R/bare",
        "R/elsewhere",
        "R/idle",
        "R/active",
        "R/p53",
        "R/nothing",
    ]
    .iter()
    .map(|line| fact(line, Some("P"), None))
    .collect();
    lines.push(fact("R/annotated", Some("P"), Some("loss of dCK")));
    lines.push(fact("R/other", Some("P"), Some("BCL-2 up")));
    lines.push(fact("R/cross", Some("P"), Some("low dCK")));
    lines.push(fact("R/hint", Some("P"), None));
    lines.push(fact("R/spared", Some("P"), None));
    lines.push(LineFact { is_resistant: true, ..fact("orphan", None, None) });
    let told = |log10: f64, error: f64| LogRatio {
        log10: Some(log10),
        standard_error: Some(error),
        degrees_of_freedom: Some(20.0),
        low: Some(log10 - 2.086 * error),
        high: Some(log10 + 2.086 * error),
        reason: None,
    };
    let test = |line: &str, log10: f64| EffluxTest {
        line: line.into(),
        inhibitor: "Ko143".into(),
        fold_change: told(log10, 0.05),
    };
    let agent = |line: &str, drug: &str, class| SingleAgent { line: line.into(), drug: drug.into(), class };
    let found = mechanisms(&Inputs {
        lines,
        measurements: &rows,
        efflux_tests: vec![test("R/idle", 0.0), test("R/active", 0.8), test("P", 0.02)],
        single_agents: vec![
            agent("R/cross", "Ara-C", CrossResistance::Unchanged),
            agent("R/spared", "cytarabine", CrossResistance::Unchanged),
            agent("R/hint", "cytarabine", CrossResistance::CrossResistant),
            agent("R/hint", "daunorubicin", CrossResistance::Unchanged),
            agent("R/hint", "venetoclax", CrossResistance::CollateralSensitivity),
        ],
    });
    let dck = |line: &str| {
        let call = find(&found, line, Mechanism::LowDck);
        (call.status.expect("a status"), call.reason)
    };
    assert_eq!(dck("R/annotated"), (Status::Contradictory, Some("annotation_against_evidence")));
    assert_eq!(dck("R/methods"), (Status::Contradictory, Some("methods_disagree")));
    assert_eq!(dck("orphan"), (Status::Open, Some("no_parental_line")));
    assert_eq!(dck("R/once"), (Status::Open, Some("one_replicate")));
    assert_eq!(dck("R/gone"), (Status::Called, None), "no band on three blots, where the parent has one on each");
    assert_eq!(dck("R/partly"), (Status::Open, Some("target_partly_undetected")));
    assert_eq!(dck("R/bare"), (Status::Open, Some("loading_control_zero")));
    assert_eq!(dck("R/elsewhere"), (Status::Open, Some("no_parental_in_replicate")));
    assert_eq!(dck("R/nothing"), (Status::NoEvidence, Some("no_evidence")));
    assert_eq!(dck("R/cross"), (Status::Contradictory, Some("annotation_against_cross_resistance")));
    assert_eq!(dck("R/spared"), (Status::Open, Some("indirect_evidence_against")));
    assert_eq!(dck("R/hint"), (Status::Suspected, Some("indirect_evidence_only")));
    assert_eq!(find(&found, "R/hint", Mechanism::AntiApoptoticShift).status, Some(Status::Suspected));
    assert_eq!(item(&found, "R/once", "western_blot").interval, [None; 2]);
    assert!((item(&found, "R/once", "western_blot").log2_fold.expect("a value") - 0.2f64.log2()).abs() < 1e-12);
    let efflux = |line: &str| find(&found, line, Mechanism::Abcg2Efflux);
    assert_eq!(efflux("R/idle").reason, Some("expression_without_function"));
    assert_eq!(
        (efflux("R/active").status, efflux("R/active").reason),
        (Some(Status::Called), Some("expression_unchanged"))
    );
    // Ko143 makes the anchor 10^0.8 times as potent, 10^0.02 times in the parent.
    let functional = item(&found, "R/active", "efflux_inhibitor");
    assert_eq!((functional.comparison, functional.direction), (Some("against_parental"), Direction::Up));
    assert!((functional.log2_fold.expect("a fold") - 0.78 * 10f64.log2()).abs() < 1e-9);
    let other = find(&found, "R/other", Mechanism::AntiApoptoticShift);
    assert_eq!((other.status, other.words.as_str()), (Some(Status::Called), "MCL-1 up"));
    assert_eq!(other.reason, Some("annotation_not_confirmed"));
    assert_eq!(find(&found, "R/p53", Mechanism::P53Loss).status, Some(Status::Open), "mutant p53 accumulates");
    let unknown =
        |line: &str| found.calls.iter().find(|c| c.line == line && c.mechanism.is_none()).and_then(|c| c.reason);
    assert_eq!(unknown("R/nothing"), Some("no_evidence"));
    assert_eq!(unknown("R/annotated"), Some("contradictory_evidence"));
    assert_eq!(unknown("R/gone"), None);
    assert_eq!(found.words("r/other").as_deref(), Some("MCL-1 up"));
    assert_eq!(found.words("R/annotated").as_deref(), Some("loss of dCK (contradictory)"));
    assert_eq!(found.words("R/nothing"), None);
    assert!(found.has("R/gone", Mechanism::LowDck) && !found.has("R/annotated", Mechanism::LowDck));
}

#[test]
fn folds_by_hand() {
    // ΔΔCt: (24 - 18) - (22 - 18) = 2 cycles, a quarter; two loading controls of one blot count once.
    let mut rows = vec![
        row("R", "dCK", "qrt_pcr", "", Reading::ThresholdCycles { target: Some(24.0), reference: 18.0 }),
        row("R", "dCK", "qrt_pcr", "", Reading::ThresholdCycles { target: Some(24.5), reference: 18.0 }),
        row("P", "dCK", "qrt_pcr", "", Reading::ThresholdCycles { target: Some(22.0), reference: 18.0 }),
        row("P", "dCK", "qrt_pcr", "", Reading::ThresholdCycles { target: Some(22.5), reference: 18.0 }),
    ];
    for (line, targets) in [("R", [8.0, 16.0]), ("P", [2.0, 2.0])] {
        for (replicate, target) in ["a", "b"].iter().zip(targets) {
            let mut blot = row(line, "MCL1", "western_blot", replicate, Reading::Densitometry { target, loading: 1.0 });
            rows.push(blot.clone());
            blot.loading_control = "beta-actin".into();
            rows.push(blot);
        }
    }
    let got = expression(&rows, &|line| (line.eq_ignore_ascii_case("R")).then(|| "P".to_owned()));
    assert_eq!(got.len(), 2, "parents have no rows: {got:?}");
    let pcr = got.iter().find(|row| row.method == "qrt_pcr").expect("pcr");
    assert_eq!((pcr.log2_fold, pcr.comparison, pcr.n), (Some(-2.0), Some("separate_replicates"), 2));
    // Pooled variance 0.125 with 2 degrees of freedom; error sqrt(0.125 (1/2 + 1/2)).
    assert!((pcr.standard_error.expect("an error") - 0.125f64.sqrt()).abs() < 1e-12);
    let blot = got.iter().find(|row| row.method == "western_blot").expect("blot");
    // Fourfold and eightfold: 2.5 doublings, variance 0.5, error 0.5; t of one degree of freedom 12.7062.
    assert_eq!((blot.log2_fold, blot.comparison, blot.n), (Some(2.5), Some("same_replicate"), 2));
    assert!((blot.standard_error.expect("an error") - 0.5).abs() < 1e-12);
    assert!((blot.interval[1].expect("an end") - (2.5 + 12.7062 * 0.5)).abs() < 1e-3);
}

fn scratch(name: &str) -> PathBuf {
    let dir = std::env::temp_dir().join(format!("isobole-mechanisms-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&dir).expect("a folder");
    dir
}

fn written(dir: &Path, name: &str, text: &str) -> PathBuf {
    let path = dir.join(name);
    std::fs::write(&path, text).expect("written");
    path
}

#[test]
fn tables_of_evidence_are_read_or_refused_by_place() {
    let dir = scratch("read");
    let csv = "Cell_Line,gene,method,blot,loading_control,target_intensity,loading_intensity,ct_target,ct_reference,fold,fold_se,n\n\
               R,DCK,Western blot,1,GAPDH,1200,30000,,,,,\nR,DCK,WB,2,GAPDH,0,30000,,,,,\nR,DCK,WB,3,GAPDH,900,0,,,,,\n\
               R,DCK,qRT-PCR,1,ACTB,,,24.5,18,,,\nR,DCK,,1,ACTB,,,undetermined,18,,,\nR,MCL1,Flow cytometry,,,,,,,4,0.5,3\n";
    let rows = read_evidence(&[written(&dir, "evidence.csv", csv)]).expect("rows");
    let readings: Vec<(&str, Reading)> = rows.iter().map(|row| (row.method.as_str(), row.reading)).collect();
    assert_eq!(
        readings,
        [
            ("western_blot", Reading::Densitometry { target: 1200.0, loading: 30000.0 }),
            ("western_blot", Reading::Densitometry { target: 0.0, loading: 30000.0 }),
            ("western_blot", Reading::Missing("loading_control_zero")),
            ("qrt_pcr", Reading::ThresholdCycles { target: Some(24.5), reference: 18.0 }),
            ("qrt_pcr", Reading::ThresholdCycles { target: None, reference: 18.0 }),
            (
                "flow cytometry",
                Reading::Fold { log2: 2.0, log2_standard_error: Some(0.125 / std::f64::consts::LN_2), n: Some(3) }
            ),
        ]
    );
    // The same as Parquet.
    let numbers = |values: [Option<f64>; 2]| values;
    let table = Table::new("evidence")
        .text("cell_line", [Some("R"), Some("R")])
        .text("marker", [Some("DCK"), Some("DCK")])
        .integer("replicate", [Some(1), Some(2)])
        .number("ct_target", numbers([Some(24.5), None]))
        .number("ct_reference", numbers([Some(18.0), Some(18.0)]));
    let parquet = dir.join("evidence.parquet");
    files::write_parquet(&table, &parquet, &RunIdentity::new(&serde_json::json!({}))).expect("written");
    let rows = read_evidence(&[parquet]).expect("rows");
    assert_eq!(rows[0].reading, Reading::ThresholdCycles { target: Some(24.5), reference: 18.0 });
    assert_eq!((rows[1].replicate.as_str(), rows[1].method.as_str()), ("2", "qrt_pcr"));

    let refused = |text: &str| {
        let error = read_evidence(&[written(&dir, "bad.csv", text)]).expect_err("refused");
        (error.to_string().replace(&dir.display().to_string(), ""), error.hint().map(str::to_owned))
    };
    for (text, part) in [
        ("cell_line,marker\nR,DCK\n", "has no column `target_intensity`"),
        ("line,fold\nR,2\n", "has no column `marker`"),
        ("line,marker,fold\nR,DCK,\nR,DCK,2 fold\n", "column `fold`: row 2 below the header: `2 fold` is not a number"),
        ("line,marker,fold\nR,DCK,-2\n", "column `fold`: row 1 below the header: -2 is not above 0"),
        ("line,marker,fold\n,DCK,2\n", "column `line`: row 1 below the header: is empty"),
        ("line,marker,fold,ct_target\nR,DCK,2,24\n", "row 1 below the header: gives more than one kind of reading"),
        (
            "line,marker,method,ct_target\nR,DCK,western,24\n",
            "column `ct_target`: row 1 below the header: method `western`",
        ),
        ("line,marker,ct_target,ct_reference\nR,DCK,240,18\n", "is not a threshold cycle between 0 and 60"),
        (
            "line,marker,target_intensity,loading_intensity\nR,DCK,-3,18\n",
            "column `target_intensity`: row 1 below the header: is below 0",
        ),
        ("line,marker,fold,fold_se\nR,DCK,2,0\n", "column `fold_se`: row 1 below the header: is not above 0"),
        ("line,cell,marker,fold\nR,R,DCK,2\n", "columns `line` and `cell` both mean `cell_line`"),
    ] {
        let (message, _) = refused(text);
        assert!(message.starts_with("`/bad.csv`") && message.contains(part), "{message}");
    }
    std::fs::remove_dir_all(&dir).expect("removed");
}

#[test]
fn the_command_reads_what_a_run_left() {
    let dir = scratch("command");
    let result = dir.join("result");
    std::fs::create_dir_all(&result).expect("a folder");
    let identity = RunIdentity::new(&serde_json::json!({}));
    let write = |table: Table| files::write(&table, &result, &identity, false).expect("written");
    write(
        Table::new("resistance")
            .text("cell_line", ["HL-60", "HL-60/R"].map(Some))
            .text("status", ["parental", "resistant"].map(Some))
            .text("status_source", ["annotated", "called"].map(Some))
            .text("parental", [None, Some("HL-60")]),
    );
    write(
        Table::new("resensitisation")
            .text("cell_line", ["HL-60", "HL-60/R", "HL-60/R"].map(Some))
            .text("partner", ["Ko143", "Ko143", "venetoclax"].map(Some))
            .flag("is_ranked", [true; 3].map(Some))
            .number("fold_change", [1.0, 6.0, 50.0].map(Some))
            .number("fold_change_ci_low", [0.8, 4.5, 40.0].map(Some))
            .number("fold_change_ci_high", [1.25, 8.0, 60.0].map(Some))
            .number("fold_change_log10_se", [0.05; 3].map(Some))
            .number("fold_change_degrees_of_freedom", [20.0; 3].map(Some)),
    );
    write(
        Table::new("cross_resistance")
            .text("cell_line", [Some("HL-60/R")])
            .text("drug", [Some("cytarabine")])
            .text("class", [Some("unchanged")]),
    );
    let evidence = written(&dir, "e.csv", "cell_line,marker,fold,fold_se,n\nhl-60/r,BCL-2,1.0,0.1,6\n");
    let inputs = MechanismInputs {
        evidence: vec![evidence],
        lines: None,
        result: Some(result.clone()),
        out: dir.join("out"),
        csv: true,
    };
    let (found, written) = run_mechanism(&inputs).expect("run");
    assert_eq!(written.len(), 2);
    assert_eq!(called(&found, "HL-60/R"), [Mechanism::Abcg2Efflux]);
    assert_eq!(find(&found, "HL-60/R", Mechanism::AntiApoptoticShift).status, Some(Status::Excluded));
    let table = files::read(&dir.join("out/evidence.parquet")).expect("a table");
    let fold = (0..table.rows())
        .find(|row| table.column("method").and_then(|c| c.text(*row)) == Some("efflux_inhibitor"))
        .and_then(|row| table.column("fold")?.number(row));
    assert!((fold.expect("a fold") - 6.0).abs() < 1e-9, "{fold:?}");
    let into_result = MechanismInputs { out: result.clone(), ..inputs.clone() };
    assert!(run_mechanism(&into_result).is_err_and(|error| error.to_string().contains("result folder of a run")));
    let stale = MechanismInputs { result: Some(dir.join("nowhere")), ..inputs };
    assert!(run_mechanism(&stale).is_err_and(|error| error.to_string().contains("resistance.parquet")));
    std::fs::remove_dir_all(&dir).expect("removed");
}
