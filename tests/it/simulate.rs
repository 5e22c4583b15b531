//! Simulated screens: the truth against other programs' numbers, the plates against what laboratories see, the
//! embedded demo against its recipe.

use arrow::array::{ArrayRef, AsArray, RecordBatch};
use arrow::datatypes::{Float64Type, Int32Type};
use isobole::screen::well::Role;
use isobole::simulate::{
    Artefacts, MusycSurface, Planted, PlateFormat, Recipe, Scale, Simulated, SimulatedPlate, demo_lines, demo_plates,
    demo_truth, simulate, write, write_demo,
};
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::path::{Path, PathBuf};

/// A file of the shared reference data; `None`, and a line that says so, where a user has none. In CI it must be there.
fn shared(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ISOBOLE_SHARED")
        .map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../shared"), PathBuf::from);
    let path = root.join(name);
    if path.is_file() {
        return Some(path);
    }
    assert!(std::env::var("CI").as_deref() != Ok("true"), "{} is not there", path.display());
    eprintln!("skipped: {} not there", path.display());
    None
}

/// A Parquet file as one batch.
fn read(path: &Path) -> RecordBatch {
    let reader = ParquetRecordBatchReaderBuilder::try_new(std::fs::File::open(path).unwrap()).unwrap();
    let schema = reader.schema().clone();
    let batches: Vec<RecordBatch> = reader.build().unwrap().map(Result::unwrap).collect();
    arrow::compute::concat_batches(&schema, &batches).unwrap()
}

fn column<'a>(batch: &'a RecordBatch, name: &str) -> &'a ArrayRef {
    batch.column_by_name(name).unwrap_or_else(|| panic!("column {name}"))
}

fn numbers(batch: &RecordBatch, name: &str) -> Vec<Option<f64>> {
    column(batch, name).as_primitive::<Float64Type>().iter().collect()
}

fn texts(batch: &RecordBatch, name: &str) -> Vec<Option<String>> {
    column(batch, name).as_string::<i32>().iter().map(|v| v.map(str::to_owned)).collect()
}

#[test]
fn the_surface_is_the_one_the_python_package_computes() {
    let (Some(truth), Some(cells)) =
        (shared("peers/matrices_truth.parquet"), shared("peers/matrices_noiseless.parquet"))
    else {
        return;
    };
    let (truth, cells) = (read(&truth), read(&cells));
    let parameter = |name: &str| numbers(&truth, name);
    let names = ["E0", "E1", "E2", "E3", "h1", "h2", "C1", "C2", "alpha12", "alpha21", "gamma12", "gamma21"];
    let parameters: Vec<Vec<Option<f64>>> = names.into_iter().map(parameter).collect();
    let ids: Vec<i32> = column(&truth, "matrix_id").as_primitive::<Int32Type>().values().to_vec();
    let surfaces: Vec<MusycSurface> = (0..ids.len())
        .map(|i| {
            let p: Vec<f64> = parameters.iter().map(|values| values[i].unwrap()).collect();
            MusycSurface {
                e0: p[0],
                e1: p[1],
                e2: p[2],
                e3: p[3],
                hill1: p[4],
                hill2: p[5],
                ec50_1: p[6],
                ec50_2: p[7],
                alpha12: p[8],
                alpha21: p[9],
                gamma12: p[10],
                gamma21: p[11],
            }
        })
        .collect();
    let cell_ids = column(&cells, "matrix_id").as_primitive::<Int32Type>().values().to_vec();
    let (dose1, dose2, expected) = (numbers(&cells, "dose1"), numbers(&cells, "dose2"), numbers(&cells, "truth"));
    let worst = |change: fn(MusycSurface) -> MusycSurface| {
        let mut worst: f64 = 0.0;
        for i in 0..cell_ids.len() {
            let which = ids.iter().position(|id| *id == cell_ids[i]).unwrap();
            let ours = change(surfaces[which]).viability(dose1[i].unwrap(), dose2[i].unwrap());
            worst = worst.max((ours - expected[i].unwrap()).abs());
        }
        worst
    };
    assert_eq!(cell_ids.len(), 32_000);
    let difference = worst(|surface| surface);
    assert!(difference < 1e-9, "largest difference {difference}");
    // Planted faults: the comparison sees exchanged alphas and exchanged gammas.
    assert!(worst(|s| MusycSurface { alpha12: s.alpha21, alpha21: s.alpha12, ..s }) > 0.01);
    assert!(worst(|s| MusycSurface { gamma12: s.gamma21, gamma21: s.gamma12, ..s }) > 0.01);
}

fn demo() -> Simulated {
    simulate(&Recipe::leukaemia_demo()).unwrap()
}

fn datasets() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/demo")
}

/// `ISOBOLE_REGENERATE=1 cargo test --test it simulate::the_embedded_demo` writes the committed files anew.
#[test]
fn the_embedded_demo_is_what_its_recipe_gives() {
    if std::env::var("ISOBOLE_REGENERATE").as_deref() == Ok("1") {
        write(&demo(), &datasets()).unwrap();
    }
    let directory = tempfile::tempdir().unwrap();
    let fresh = write(&demo(), directory.path()).unwrap();
    assert_eq!(fresh.wells, 36 * 384);
    assert_eq!(read(&fresh.plates), read(&datasets().join("plates.parquet")));
    assert_eq!(read(&fresh.truth), read(&datasets().join("truth.parquet")));
    assert_eq!(
        std::fs::read_to_string(&fresh.lines).unwrap(),
        std::fs::read_to_string(datasets().join("lines.csv")).unwrap()
    );
    assert!(demo_plates().len() + demo_lines().len() + demo_truth().len() < 1_500_000);
    // A planted fault shows: another seed gives other plates.
    let other = simulate(&Recipe { seed: 1, ..Recipe::leukaemia_demo() }).unwrap();
    let other = write(&other, &directory.path().join("other")).unwrap();
    assert_ne!(read(&other.plates), read(&fresh.plates));
}

#[test]
fn write_demo_leaves_the_embedded_files() {
    let directory = tempfile::tempdir().unwrap();
    let folder = directory.path().join("new/folder");
    write_demo(&folder).unwrap();
    assert_eq!(std::fs::read(folder.join("plates.parquet")).unwrap(), demo_plates());
    assert_eq!(std::fs::read(folder.join("truth.parquet")).unwrap(), demo_truth());
    assert_eq!(std::fs::read_to_string(folder.join("lines.csv")).unwrap(), demo_lines());
    assert_eq!(std::fs::read_dir(&folder).unwrap().count(), 3, "nothing half-written stays behind");
    // A folder that cannot be made is an error that names it.
    let error = write_demo(&folder.join("lines.csv/below")).unwrap_err().to_string();
    assert!(error.contains("lines.csv"), "{error}");
}

#[test]
fn the_well_table_has_the_canonical_columns_and_counts() {
    let table = read(&datasets().join("plates.parquet"));
    let names: Vec<&str> = table.schema_ref().fields().iter().map(|f| f.name().as_str()).collect();
    for name in [
        "plate_id",
        "well",
        "cell_line",
        "role",
        "drug_a",
        "conc_a",
        "drug_b",
        "conc_b",
        "conc_unit",
        "signal",
        "schedule",
        "replicate",
        "time_h",
        "signal_t0",
    ] {
        assert!(names.contains(&name), "{name} in {names:?}");
    }
    let (role, line, drug, dose) =
        (texts(&table, "role"), texts(&table, "cell_line"), texts(&table, "drug_a"), numbers(&table, "conc_a"));
    for (name, a_plate) in [("sample", 294), ("vehicle", 36), ("positive", 16), ("blank", 12), ("empty", 26)] {
        let rows: Vec<usize> = (0..role.len()).filter(|&i| role[i].as_deref() == Some(name)).collect();
        assert_eq!(rows.len(), 36 * a_plate, "{name}");
        for i in rows {
            assert_eq!(line[i].is_some(), !["blank", "empty"].contains(&name), "row {i}");
            assert_eq!((drug[i].is_some(), dose[i].is_some()), (name == "sample", name == "sample"), "row {i}");
        }
    }
    let (plate, well) = (texts(&table, "plate_id"), texts(&table, "well"));
    let keys: Vec<_> = plate.iter().zip(&well).collect();
    assert!(keys.windows(2).all(|pair| pair[0] < pair[1]), "sorted by plate and well, no well twice");
    assert!(numbers(&table, "signal").iter().all(|signal| signal.is_some_and(|s| s >= 0.0 && s.fract() == 0.0)));
    // Each matrix of each replicate has its 49 dose pairs.
    let matrices = 6 * 12 * 3;
    assert_eq!(role.iter().filter(|r| r.as_deref() == Some("sample")).count(), matrices * 49);
    let pre_treatment = texts(&table, "schedule").iter().filter(|s| s.as_deref() == Some("pre-treatment")).count();
    assert_eq!(pre_treatment, 6 * 3 * 49);
}

/// Mean true excess of each pair over the lines that are (or are not) resistant, by the partner's name.
fn true_excess(screen: &Simulated, resistant: bool) -> Vec<(String, f64)> {
    let recipe = &screen.recipe;
    (0..recipe.pairs.len())
        .map(|pair| {
            let of_pair = screen.truth.iter().filter(|t| t.pair == pair);
            let rows: Vec<f64> = of_pair
                .filter(|t| recipe.lines[t.line].parental.is_some() == resistant)
                .map(|t| t.mean_bliss_excess)
                .collect();
            (recipe.drugs[recipe.pairs[pair].drug_b].name.clone(), rows.iter().sum::<f64>() / rows.len() as f64)
        })
        .collect()
}

#[test]
fn planted_pairs_lead_the_demos_truth_and_idle_ones_are_at_zero() {
    let demo = demo();
    let mut ranked = true_excess(&demo, true);
    ranked.sort_by(|a, b| b.1.total_cmp(&a.1));
    let names: Vec<&str> = ranked.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names[..6], ["venetoclax", "bortezomib", "S63845", "Ko143", "melatonin", "cytarabine"]);
    for pair in ranked[..6].windows(2) {
        assert!(pair[0].1 - pair[1].1 > 0.015, "well apart: {pair:?}");
    }
    assert_eq!(names[11], "palbociclib");
    assert!(ranked[11].1 < -0.02);
    for (name, excess) in &ranked[6..11] {
        assert!(excess.abs() < 1e-12, "{name}: {excess}");
    }
    // Parental lines show next to nothing of what is selective.
    for (name, excess) in true_excess(&demo, false) {
        assert!(excess < 0.02, "{name}: {excess}");
    }
    // Each cause has its remedy, and the remedy does nothing elsewhere.
    let excess = |line: &str, partner: &str| {
        let recipe = &demo.recipe;
        demo.truth
            .iter()
            .find(|t| recipe.lines[t.line].name == line && recipe.drugs[recipe.pairs[t.pair].drug_b].name == partner)
            .map(|t| t.mean_bliss_excess)
            .unwrap()
    };
    assert!(excess("HL-60/CLO-ABCG2", "Ko143") > 0.1 && excess("MOLM-13/CLO-BCL", "Ko143").abs() < 1e-12);
    assert!(excess("CCRF-CEM/CLO-dCK", "melatonin") > 0.08 && excess("HL-60/CLO-ABCG2", "melatonin").abs() < 1e-12);
    assert!(excess("MOLM-13/CLO-BCL", "venetoclax") > 0.15);
    assert!(excess("CCRF-CEM/CLO-dCK", "cytarabine").abs() < 1e-12 && excess("HL-60/CLO-ABCG2", "cytarabine") > 0.01);
}

#[test]
fn clofarabine_is_as_potent_and_resistance_as_high_as_stated() {
    let generic = Recipe::generic(Scale { seed: 4, lines: Some(40), ..Scale::default() }).unwrap();
    for screen in [demo(), simulate(&generic).unwrap()] {
        for row in &screen.truth {
            let (line, ic50) = (&screen.recipe.lines[row.line], row.anchor_ic50_um.unwrap());
            match (&line.parental, row.fold_resistance) {
                (None, fold) => assert!((0.01..=0.1).contains(&ic50) && fold.is_none(), "{}: {ic50}", line.name),
                (Some(_), Some(fold)) => assert!((8.0..=80.0).contains(&fold), "{}: {fold}", line.name),
                (Some(_), None) => panic!("{} has a parent and no fold", line.name),
            }
            let doses = &screen.recipe.drugs[0].doses_um;
            assert!(doses[0] < ic50 && ic50 < doses[5], "{}: the doses cover {ic50}", line.name);
        }
    }
}

#[test]
fn controls_separate_as_in_a_real_laboratory() {
    let mut z: Vec<f64> = demo().plates.iter().filter(|plate| !plate.noisy).map(z_prime).collect();
    z.sort_by(f64::total_cmp);
    let median = z[z.len() / 2];
    assert!((0.6..0.8).contains(&median), "median {median}");
    let usual = z.iter().filter(|z| (0.5..0.85).contains(*z)).count();
    assert!(usual * 10 >= z.len() * 9, "{usual} of {} between 0.5 and 0.85", z.len());
    // A laboratory where everything shakes would not pass.
    let artefacts = Artefacts { multiplicative_sd: 0.25, ..Artefacts::ORDINARY };
    let shaky = simulate(&Recipe { artefacts, ..Recipe::leukaemia_demo() }).unwrap();
    assert!(shaky.plates.iter().all(|plate| z_prime(plate) < 0.5));
}

#[test]
fn without_artefacts_readings_are_the_truth() {
    let recipe = Recipe { artefacts: Artefacts::NONE, ..Recipe::leukaemia_demo() };
    let screen = simulate(&recipe).unwrap();
    for plate in &screen.plates {
        let mean = |role: Role| {
            let signals: Vec<f64> = plate.wells.iter().filter(|w| w.role == role).map(|w| w.signal).collect();
            signals.iter().sum::<f64>() / signals.len() as f64
        };
        let (blank, vehicle) = (mean(Role::Blank), mean(Role::Vehicle));
        for well in plate.wells.iter().filter(|well| well.role == Role::Sample) {
            let truth = recipe.surface(well.pair.unwrap(), plate.line).unwrap();
            let seen = (well.signal - blank) / (vehicle - blank);
            let expected = truth.viability(well.dose_a_um, well.dose_b_um);
            // Counts are whole: one count in a million.
            assert!((seen - expected).abs() < 2e-6, "{} {}: {seen}, {expected}", plate.plate_id, well.position);
        }
    }
}

#[test]
fn the_screen_does_not_depend_on_the_number_of_threads() {
    let recipe = Recipe::generic(Scale { seed: 9, plates: Some(24), ..Scale::default() }).unwrap();
    let with = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let directory = tempfile::tempdir().unwrap();
        let written = pool.install(|| write(&simulate(&recipe).unwrap(), directory.path()).unwrap());
        [written.plates, written.lines, written.truth].map(|path| std::fs::read(path).unwrap())
    };
    let one = with(1);
    assert!(one == with(4), "other bytes with 4 threads than with 1");
    let other = Recipe { seed: 10, ..recipe.clone() };
    assert_ne!(simulate(&other).unwrap().plates, simulate(&recipe).unwrap().plates, "the seed matters");
}

#[test]
fn a_generic_screen_is_as_large_as_asked_for() {
    let scale =
        Scale { seed: 2, plates: Some(50), lines: Some(5), pairs: Some(20), resistant: Some(2), ..Scale::default() };
    let screen = simulate(&Recipe::generic(scale).unwrap()).unwrap();
    assert_eq!(screen.plates.len(), 50);
    assert_eq!(screen.plates.iter().map(|plate| plate.wells.len()).sum::<usize>(), 50 * 384);
    assert_eq!(screen.recipe.lines.iter().filter(|line| line.parental.is_some()).count(), 2);
    assert_eq!((screen.recipe.pairs.len(), screen.truth.len()), (20, 100));
    for plates in [1, 2, 3, 7, 11, 100] {
        let recipe = Recipe::generic(Scale { plates: Some(plates), ..Scale::default() }).unwrap();
        assert_eq!(simulate(&recipe).unwrap().plates.len(), plates);
    }
    let large = Scale { format: PlateFormat::Wells1536, plates: Some(4), lines: Some(2), ..Scale::default() };
    let large = simulate(&Recipe::generic(large).unwrap()).unwrap();
    assert_eq!(large.plates.iter().map(|plate| plate.wells.len()).sum::<usize>(), 4 * 1536);
}

#[test]
fn a_generic_screens_truth_is_what_was_planted() {
    let scale = Scale { seed: 3, pairs: Some(200), lines: Some(8), ..Scale::default() };
    let recipe = Recipe::generic(scale).unwrap();
    let count = |kind: Planted| recipe.pairs.iter().filter(|pair| pair.planted == kind).count();
    assert_eq!(
        [Planted::None, Planted::ResistantSelective, Planted::Shared, Planted::Antagonistic].map(count),
        [172, 12, 8, 8]
    );
    for row in isobole::simulate::truth(&recipe) {
        let resistant = recipe.lines[row.line].parental.is_some();
        let excess = row.mean_bliss_excess;
        match (recipe.pairs[row.pair].planted, resistant) {
            (Planted::None, _) | (Planted::ResistantSelective, false) => assert!(excess.abs() < 1e-12, "{excess}"),
            (Planted::ResistantSelective, true) | (Planted::Shared, _) => assert!(excess > 0.03, "{excess}"),
            (Planted::Antagonistic, _) => assert!(excess < 0.0, "{excess}"),
        }
    }
}

#[test]
fn impossible_screens_are_refused_with_a_hint() {
    let refused = |scale: Scale| Recipe::generic(scale).unwrap_err();
    let too_few = refused(Scale { plates: Some(3), lines: Some(4), ..Scale::default() });
    assert!(too_few.to_string().contains("plates") && too_few.hint().is_some_and(|hint| hint.contains('4')));
    for scale in [
        Scale { lines: Some(4), resistant: Some(4), ..Scale::default() },
        Scale { lines: Some(0), ..Scale::default() },
        Scale { plates: Some(0), ..Scale::default() },
        Scale { pairs: Some(0), ..Scale::default() },
        Scale { plates: Some(usize::MAX), ..Scale::default() },
        Scale { lines: Some(usize::MAX), ..Scale::default() },
        Scale { pairs: Some(usize::MAX), ..Scale::default() },
    ] {
        let error = refused(scale);
        assert!(matches!(error, isobole::Error::Setting { .. }), "{scale:?}: {error}");
    }
    let demo = Recipe::leukaemia_demo();
    let broken: [fn(&mut Recipe); 6] = [
        |r| r.pairs[0].drug_b = 99,
        |r| r.drugs[1].doses_um[0] = 0.0,
        |r| r.drugs[1].doses_um = (1..100).map(f64::from).collect(),
        |r| r.drugs[2].responses[0].ec50_um = f64::NAN,
        |r| r.pairs[2].interactions.truncate(3),
        |r| r.replicates = u32::MAX,
    ];
    assert!(simulate(&demo).is_ok());
    for break_it in broken {
        let mut recipe = demo.clone();
        break_it(&mut recipe);
        assert!(matches!(simulate(&recipe), Err(isobole::Error::Setting { .. })));
    }
}

#[test]
fn every_strategy_has_a_partner_a_cause_and_a_reason() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/clofarabine/strategies.csv");
    let text = std::fs::read_to_string(path).unwrap();
    let mut rows = text.lines();
    assert_eq!(rows.next(), Some("partner,cause,rationale,reference"));
    let mut partners = Vec::new();
    for row in rows {
        // Fields may be quoted; none has a quote within.
        let parts: Vec<&str> = row.split('"').collect();
        let outside = |(i, part): (usize, &&str)| if i % 2 == 0 { (*part).to_owned() } else { part.replace(',', ";") };
        let row: String = parts.iter().enumerate().map(outside).collect();
        let fields: Vec<&str> = row.split(',').collect();
        let [partner, cause, rationale, reference] = fields[..] else { panic!("{row}: four fields") };
        assert!(!partner.is_empty() && !cause.is_empty() && !rationale.is_empty(), "{row}");
        assert!(reference.is_empty() || reference.starts_with("doi:10."), "{row}");
        partners.push(partner.to_owned());
    }
    for partner in ["cytarabine", "bortezomib", "venetoclax", "melatonin", "Ko143", "ABT-737"] {
        assert!(partners.iter().any(|p| p.split('|').any(|name| name == partner)), "{partner}");
    }
}

/// Z' of vehicle and positive controls (Zhang 1999).
fn z_prime(plate: &SimulatedPlate) -> f64 {
    let moments = |role: Role| {
        let signals: Vec<f64> = plate.wells.iter().filter(|w| w.role == role).map(|w| w.signal).collect();
        let n = signals.len() as f64;
        let mean = signals.iter().sum::<f64>() / n;
        (mean, (signals.iter().map(|s| (s - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt())
    };
    let ((vehicle, vehicle_sd), (positive, positive_sd)) = (moments(Role::Vehicle), moments(Role::Positive));
    1.0 - 3.0 * (vehicle_sd + positive_sd) / (vehicle - positive).abs()
}
