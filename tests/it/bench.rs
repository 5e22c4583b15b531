//! What `isobole bench` says of the back ends.

use crate::gpu;
use isobole::bench::{BenchSettings, bench};
use isobole::config::BackendChoice;
use isobole::model::ModelId;
use serde_json::Value;

fn settings(backend: BackendChoice, models: &[ModelId]) -> BenchSettings {
    BenchSettings { curves: 2000, seed: 4, models: models.to_vec(), backend }
}

#[test]
fn the_chosen_back_end_and_models_are_timed_and_no_others() {
    let models = [ModelId::Hill3, ModelId::Hill4];
    let report = bench(&settings(BackendChoice::Cpu, &models)).unwrap();
    let timed: Vec<_> = report.speeds.iter().map(|s| (s.model.as_str(), s.backend.as_str())).collect();
    assert_eq!(timed, [("hill3", "cpu"), ("hill4", "cpu")]);
    assert!(report.agreements.is_empty() && report.adapter.is_none() && report.missing.is_some());
    for speed in &report.speeds {
        assert_eq!(speed.round_seconds.len(), report.rounds);
        assert!(speed.fits_per_second > 0.0 && speed.failed == 0 && speed.phases.is_none());
    }
    let text = report.text();
    assert!(text.contains("hill3") && text.contains(&report.instruction_set), "{text}");
}

#[test]
fn both_back_ends_agree_and_the_phases_of_the_gpu_are_those_of_its_calls() {
    if gpu().is_none() {
        return;
    }
    let report = bench(&settings(BackendChoice::Auto, &[ModelId::Hill4])).unwrap();
    let [cpu, gpu] = report.speeds.as_slice() else { panic!("{:?}", report.speeds) };
    assert_eq!((cpu.backend.as_str(), gpu.backend.as_str()), ("cpu", "gpu"));
    let phases = gpu.phases.unwrap();
    let mean = gpu.round_seconds.iter().sum::<f64>() / report.rounds as f64;
    // The phases are parts of the calls that were timed, warm-up excluded.
    assert!(phases.total_seconds() > 0.0 && phases.total_seconds() <= mean, "{phases:?} {mean}");
    // Up go 10 responses padded to 12 a curve, and once what their layout shares; back come the nonlinear parameters
    // and the sum of squares.
    assert!((2000 * 4 * 12..2000 * 4 * 20).contains(&phases.bytes_up), "{}", phases.bytes_up);
    assert_eq!(phases.bytes_down, 2000 * 4 * 3);
    let agreement = &report.agreements[0];
    assert!(agreement.compared > 800 && agreement.compared <= report.identifiable, "{agreement:?}");
    assert!(agreement.apart <= 0.001 && agreement.fitted_by_one == 0, "{agreement:?}");
    assert!(agreement.largest_sse_difference <= 1e-5, "{agreement:?}");

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("bench.json");
    report.write(&file).unwrap();
    let saved: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
    assert_eq!(saved["speeds"][1]["phases"]["bytes_down"], phases.bytes_down);
    assert_eq!(saved["agreements"][0]["compared"], agreement.compared);
    for key in ["version", "threads", "instruction_set", "models", "identifiable"] {
        assert!(!saved[key].is_null(), "{key}");
    }
    assert!(saved["adapter"]["driver"].is_string());
}
