//! Models compared on an archive, and model files checked before they meet one.

use super::rescore::{BELL, GOMPERTZ};
use super::{ran, said};
use isobole::backend::cpu::Cpu;
use isobole::report::files;
use isobole::run::check_model::check;
use isobole::run::compare::compare_models;

#[test]
fn models_are_compared_by_curve_class_and_ranking() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, finished) = ran(folder.path(), "archive", "bootstrap = 10\nbackend = 'cpu'");
    let file = folder.path().join("gompertz.toml");
    std::fs::write(&file, GOMPERTZ).unwrap();
    let out = folder.path().join("compared");
    let models = said(&format!("model = 'hill4,flat,{}'", file.display()));
    let found = compare_models(&archive, &models, &out, &mut |_, _| {}).unwrap();
    let curves = finished.analysis.curves.len();
    let table = files::read(&out.join("model_comparison.parquet")).unwrap();
    assert_eq!(table.rows(), 3 * curves);
    let all: Vec<_> = found.classes.iter().filter(|class| class.class == "all").collect();
    assert_eq!(all.iter().map(|class| class.model.name()).collect::<Vec<_>>(), ["hill4", "flat", "gompertz"]);
    assert_eq!(all.iter().map(|class| class.best[0]).sum::<usize>(), curves, "each curve has one best");
    // Drugs that kill are not flat; those that do nothing are.
    let of = |class: &str, model: &str| {
        found.classes.iter().find(|one| one.class == class && one.model.name() == model).unwrap()
    };
    let (hill, flat) = (of("responder", "hill4"), of("responder", "flat"));
    assert!(hill.cross_validated.unwrap() < 0.5 * flat.cross_validated.unwrap(), "{hill:?} {flat:?}");
    assert_eq!(flat.best[..2], [0; 2]);
    let weights = table.column("akaike_weight").unwrap();
    let first: f64 = (0..3).filter_map(|row| weights.number(row)).sum();
    assert!((first - 1.0).abs() < 1e-9);
    // The first ranking against itself, and each model's own results beside it.
    assert_eq!(found.rankings[0].correlation.spearman, Some(1.0));
    assert!(found.rankings[1].correlation.spearman.is_some());
    for model in ["hill4", "flat", "gompertz"] {
        assert!(out.join(model).join("pairs.parquet").is_file(), "{model}");
    }
    assert_eq!(super::differing(&archive, &out.join("hill4")), [""; 0]);
    assert!(found.text().contains("responder"));
    let one = compare_models(&archive, &said("model = 'hill4'"), &out, &mut |_, _| {});
    assert_eq!(one.map(|_| ()).unwrap_err().to_string(), "setting `model`: a comparison needs two models or more");
}

#[test]
fn a_model_file_is_checked_with_derivatives_device_code_and_recovery() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, GOMPERTZ).unwrap();
    let checked = check(&path, &Cpu).unwrap();
    let recovery = checked.recovery.clone().unwrap();
    assert!(recovery.found > 0.9 && recovery.fitted > 0.95, "{recovery:?}");
    let text = checked.text();
    assert!(text.contains("df/dslope = ") && text.contains("verdict: "), "{text}");
    // The device's code is what a validator takes, with the structures that it is given.
    let code = checked.wgsl().unwrap();
    let whole = format!(
        "struct Parameters {{ top: f32, bottom: f32, slope: f32, mid: f32 }}\n\
         struct Gradient {{ f: f32, a: f32, b: f32, c: f32, d: f32 }}\n{code}"
    );
    assert!(naga::front::wgsl::parse_str(&whole).is_ok(), "{whole}");
    // The derivatives are those of the response: central differences.
    let model = checked.model.curve_model();
    let at = [1.1, 0.2, 1.3, 0.4];
    let (_, gradient) = model.response_and_gradient(model.point(3e-7, 0.0), &at);
    for k in 0..4 {
        let step = |h: f64| {
            let mut moved = at;
            moved[k] += h;
            model.response(3e-7, 0.0, &moved)
        };
        assert!((gradient[k] - (step(1e-6) - step(-1e-6)) / 2e-6).abs() < 1e-7);
    }
    std::fs::write(&path, BELL).unwrap();
    assert!(check(&path, &Cpu).unwrap().recovery.is_some());
    std::fs::write(&path, GOMPERTZ.replace("exp(-exp", "exp(-expp")).unwrap();
    let error = check(&path, &Cpu).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("expp") && error.contains("line 3"), "{error}");
}
