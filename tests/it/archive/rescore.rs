//! Reading an archive again gives the bytes of a full run with the same settings, from the first stage that is touched.

use super::{again, contents, differing, ran, said};
use isobole::archive::Archive;
use isobole::config::BackendChoice;
use isobole::run::rescore::{places, rescore};
use isobole::run::verify::{Scope, Verdict, verify};
use std::path::PathBuf;

const DRAWN: &str = "bootstrap = 20\nbackend = 'cpu'\n";
/// A fall in the logarithm of the dose with a sharper end than a beginning (Gompertz).
pub const GOMPERTZ: &str = "name = \"gompertz\"\ndose_unit = \"uM\"\n\
    formula = \"bottom + (top - bottom) * exp(-exp(slope * (ln_dose - ln(mid))))\"\n\
    [parameters.top]\nlower = 0.5\nupper = 1.5\n[parameters.bottom]\nlower = -0.2\nupper = 1.0\n\
    [parameters.slope]\nlower = 0.1\nupper = 5.0\nstart = [0.5, 1.5]\n[parameters.mid]\nper_dose = true\n";
/// A fall with a bell of better growth before it.
pub const BELL: &str = "name = \"bell\"\ndose_unit = \"uM\"\n\
    formula = \"top / (1 + (dose / ec50)^hill) + rise * exp(-((ln_dose - ln(peak)) / 1.5)^2)\"\n\
    [parameters.top]\nlower = 0.5\nupper = 1.5\n[parameters.ec50]\nper_dose = true\n\
    [parameters.hill]\nlower = 0.2\nupper = 5.0\nstart = [0.7, 1.5]\n\
    [parameters.rise]\nlower = -0.5\nupper = 0.5\nstart = 0.0\n[parameters.peak]\nper_dose = true\nstart = [0.2, 0.6]\n";

/// Independence, with a term that grows with both effects.
const TILTED: &str = "name = \"tilted\"\ndose_unit = \"uM\"\n\
    formula = \"top / (1 + (dose_a / a)^ha) / (1 + (dose_b / exp(lb))^hb) - k * (1 - 1 / (1 + (dose_a / a)^ha)) * (1 - 1 / (1 + (dose_b / exp(lb))^hb))\"\n\
    [parameters.top]\nlower = 0.5\nupper = 1.5\n[parameters.a]\nper_dose = true\n\
    [parameters.ha]\nlower = 0.3\nupper = 5.0\nstart = 1.0\n[parameters.lb]\nlower = -12.0\nupper = 8.0\nstart = [-3.0, 0.0]\n\
    [parameters.hb]\nlower = 0.3\nupper = 5.0\nstart = 1.0\n\
    [parameters.k]\nlower = -1.0\nupper = 1.0\nstart = 0.0\nwithout_interaction = 0.0\n";

#[test]
fn an_archive_is_restored_to_the_bit() {
    let folder = tempfile::tempdir().unwrap();
    let (out, finished) = ran(folder.path(), "run", DRAWN);
    let archive = Archive::open(&out).unwrap();
    let restored = archive.restore(true).unwrap();
    assert_eq!(format!("{:?}", restored.screen.wells), format!("{:?}", finished.screen.wells));
    assert_eq!(format!("{:?}", restored.screen.annotations), format!("{:?}", finished.screen.annotations));
    assert_eq!(restored.screen.drugs.iter().collect::<Vec<_>>(), finished.screen.drugs.iter().collect::<Vec<_>>());
    let (now, before) = (restored.plates.as_ref().unwrap(), &finished.analysis);
    let wells = |wells: &isobole::plate::NormalisedWells| format!("{:?}", wells.iter().collect::<Vec<_>>());
    assert_eq!(wells(&now.wells), wells(&before.wells));
    assert_eq!(
        (&now.plates, &now.batches, &now.plate_curves, &now.vehicle_noise),
        (&before.plates, &before.batches, &before.plate_curves, &before.vehicle_noise)
    );
    let rejected =
        |analysis: &isobole::analysis::Analysis| format!("{:?}", analysis.rejected.iter().collect::<Vec<_>>());
    assert_eq!(rejected(now), rejected(before));
    let curves = restored.curves.as_ref().unwrap();
    assert_eq!(
        (&curves.fits, &curves.inferences, &curves.intervals),
        (&before.fits, &before.inferences, &before.intervals)
    );
    assert!(before.fits.len() > 5 && before.wells.len() > 1000);
    let drawn = archive.drawn(&before.matrices, &archive.settings.synergy, &restored.screen).unwrap();
    for (m, (_, scores)) in drawn.models.iter().enumerate() {
        for (drawn, matrix) in scores.iter().zip(&before.scores) {
            assert_eq!(drawn.score.standard_error, matrix.scores[m].standard_error);
            assert_eq!((drawn.score.p_null, drawn.score.q), (matrix.scores[m].p_null, matrix.scores[m].q));
            let departures: Vec<_> = matrix.cells.iter().map(|cell| cell.departures[m]).collect();
            assert_eq!(drawn.departures, departures);
        }
    }
}

#[test]
fn a_rescored_archive_equals_a_run_byte_for_byte_and_begins_where_it_differs() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, _) = ran(folder.path(), "archive", DRAWN);
    let early = ["read", "plates", "gather", "curves"];
    // What is said anew; stages that must not be begun again.
    let cases: [(&str, &[&str]); 8] = [
        ("", &["plates", "curves", "intervals"]),
        ("synergy = ['loewe', 'bliss']", &["plates", "curves", "intervals"]),
        ("synergy = ['zip', 'gdr_hsa', 'hsa']", &["plates", "curves"]),
        ("rank_by = 'zip'\ntop_k = 3\nresistant_fold = 2.0", &["plates", "curves", "intervals"]),
        ("model = 'hill3'", &["plates"]),
        ("ci = 'profile'", &["plates", "intervals"]),
        ("seed = 5\nmargins = 'observed'", &["plates", "curves"]),
        ("spatial = 'median'\nformat = 'csv'", &[]),
    ];
    for (i, (text, unbegun)) in cases.into_iter().enumerate() {
        let (out, full) = (folder.path().join(format!("again{i}")), format!("full{i}"));
        let (rescored, begun) = again(&archive, &out, text);
        let (full, finished) = ran(folder.path(), &full, &format!("{DRAWN}{text}"));
        assert_eq!(differing(&out, &full), [""; 0], "{text}");
        assert!(contents(&out).len() >= 15, "{:?}", contents(&out).keys());
        assert!(unbegun.iter().all(|stage| !begun.contains(&(*stage).to_owned())), "{text}: {begun:?}");
        let computed = early.iter().filter(|stage| !unbegun.contains(stage));
        assert!(computed.clone().all(|stage| begun.contains(&(*stage).to_owned())), "{text}: {begun:?}");
        assert_eq!(rescored.finished.analysis.warnings, finished.analysis.warnings, "{text}");
        assert_eq!(rescored.finished.record.inputs[0].sha256, finished.record.inputs[0].sha256);
        let from = rescored.finished.record.rescored_from.unwrap();
        let reused: Vec<&str> = from.reused.iter().map(String::as_str).filter(|stage| *stage != "read").collect();
        assert_eq!(reused, unbegun, "{text}");
        assert_eq!(
            (from.seconds_saved > 0.0, from.reused.contains(&"read".to_owned())),
            (!unbegun.is_empty(), !unbegun.is_empty())
        );
    }
    // A reading of a reading is the same again; and the comparator sees a difference where there is one.
    let (out, back) = (folder.path().join("again1"), folder.path().join("back"));
    again(&out, &back, "synergy = ['bliss']");
    let (full, _) = ran(folder.path(), "bliss", &format!("{DRAWN}synergy = ['bliss']"));
    assert_eq!(differing(&back, &full), [""; 0]);
    assert!(differing(&back, &out).contains(&"synergy.parquet".to_owned()));
}

#[test]
fn formulas_of_curves_are_read_again_alike_on_both_back_ends() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, _) = ran(folder.path(), "archive", "bootstrap = 0\nbackend = 'cpu'");
    for (name, text) in [("gompertz", GOMPERTZ), ("bell", BELL)] {
        let file = folder.path().join(format!("{name}.toml"));
        std::fs::write(&file, text).unwrap();
        let model = format!("bootstrap = 0\nmodel = '{}'\n", file.display());
        let cpu = folder.path().join(format!("{name}-cpu"));
        let (rescored, begun) = again(&archive, &cpu, &format!("{model}backend = 'cpu'"));
        assert!(!begun.contains(&"plates".to_owned()));
        let (full, _) = ran(folder.path(), &format!("{name}-full"), &format!("{model}backend = 'cpu'"));
        assert_eq!(differing(&cpu, &full), [""; 0]);
        // The text is in the archive: the file may go.
        std::fs::remove_file(&file).unwrap();
        assert_eq!(Archive::open(&cpu).unwrap().settings.model.name(), name);
        std::fs::write(&file, text).unwrap();
        if crate::gpu().is_none() {
            continue;
        }
        let gpu = folder.path().join(format!("{name}-gpu"));
        let (on_gpu, _) = again(&archive, &gpu, &format!("{model}backend = 'gpu'"));
        let (a, b) = (&rescored.finished.analysis, &on_gpu.finished.analysis);
        assert_eq!(a.fits.len(), b.fits.len());
        for ((one, other), inference) in a.fits.iter().zip(&b.fits).zip(&a.inferences) {
            assert_eq!(one.status.is_fitted(), other.status.is_fitted());
            // The same minimum: the sum of squares is what a fit is worth.
            let noise = inference.sse.unwrap_or(1.0).max(1e-12);
            assert!((one.sse - other.sse).abs() <= 1e-3 * noise, "{name}: {} {}", one.sse, other.sse);
        }
        let order = |analysis: &isobole::analysis::Analysis| {
            analysis.pairs.iter().map(|pair| (pair.drug_a, pair.drug_b)).collect::<Vec<_>>()
        };
        assert_eq!(order(a), order(b), "{name}");
        let classes = |analysis: &isobole::analysis::Analysis| {
            analysis.inferences.iter().map(|inference| inference.class).collect::<Vec<_>>()
        };
        assert_eq!(classes(a), classes(b), "{name}");
        // Every parameter, IC50 and score within the certified tolerance, from either side.
        for (dir, other) in [(&cpu, BackendChoice::Gpu), (&gpu, BackendChoice::Cpu)] {
            let found = verify(dir, Scope::Sample(1), Some(other), &mut |_, _| {}).unwrap();
            assert!(found.is_sound() && found.with(Verdict::Agrees).contains(&"table `curves`"), "{name}: {found:?}");
        }
    }
}

#[test]
fn a_surface_from_a_file_is_one_more_synergy_model() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, _) = ran(folder.path(), "archive", DRAWN);
    let file = folder.path().join("tilted.toml");
    std::fs::write(&file, TILTED).unwrap();
    let text = format!("synergy = ['bliss', '{}']\nbootstrap = 10\n", file.display());
    let (out, begun) = (folder.path().join("again"), |(_, begun): (_, Vec<String>)| begun);
    let stages = begun(again(&archive, &out, &text));
    assert!(!stages.contains(&"curves".to_owned()), "{stages:?}");
    let (full, finished) = ran(folder.path(), "full", &format!("backend = 'cpu'\n{text}"));
    assert_eq!(differing(&out, &full), [""; 0]);
    assert!(finished.analysis.scores.iter().all(|matrix| matrix.scores[1].score.is_some()));
    // Read again, its draws stand, though its file is gone.
    std::fs::remove_file(&file).unwrap();
    let (_, begun) = again(&out, &folder.path().join("third"), "rank_by = 'bliss'");
    assert!(!begun.contains(&"intervals".to_owned()), "{begun:?}");
}

#[test]
fn several_archives_go_into_folders_of_their_names() {
    let [a, b] = ["x/one", "y/two"].map(PathBuf::from);
    let out = PathBuf::from("out");
    assert_eq!(places(std::slice::from_ref(&a), &out).unwrap(), [PathBuf::from("out")]);
    assert_eq!(places(&[a.clone(), b], &out).unwrap(), ["out/one", "out/two"].map(PathBuf::from));
    let error = places(&[a, "z/one".into()], &out).unwrap_err().to_string();
    assert_eq!(error, "setting `out`: two archives would go to `out/one`");
}

#[test]
fn an_archive_is_not_overwritten_by_its_reading() {
    let folder = tempfile::tempdir().unwrap();
    let (archive, _) = ran(folder.path(), "archive", "bootstrap = 0\nbackend = 'cpu'");
    let before = contents(&archive);
    let error = rescore(&archive, said(""), &archive, &mut |_, _| {}).map(|_| ()).unwrap_err().to_string();
    assert!(error.starts_with("setting `out`: ") && error.ends_with(" is the archive itself"), "{error}");
    let into = folder.path().join("input");
    assert!(rescore(&archive, said(""), &into, &mut |_, _| {}).is_err(), "the folder of the inputs");
    assert_eq!(contents(&archive), before);
}
