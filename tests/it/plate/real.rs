//! Real plates, with roles assigned here: reading foreign columns is another room's trade.

use super::*;
use isobole::plate::Verdict;
use parquet::file::reader::{FileReader, SerializedFileReader};
use parquet::record::{Field, Row};
use std::collections::HashMap;
use std::time::Instant;

/// Rows of a shared file, reduced to the columns named, in that order.
fn rows(file: &str, columns: &[&str]) -> Option<Vec<Vec<Field>>> {
    let path = crate::shared(&format!("data/{file}.parquet"))?;
    let reader = SerializedFileReader::new(std::fs::File::open(path).unwrap()).unwrap();
    let schema = reader.metadata().file_metadata().schema();
    let fields = schema.get_fields().iter().filter(|f| columns.contains(&f.name())).cloned().collect();
    let projection =
        parquet::schema::types::Type::group_type_builder(schema.name()).with_fields(fields).build().unwrap();
    let pick = |row: Row| -> Vec<Field> {
        let mut found: HashMap<String, Field> = row.into_columns().into_iter().collect();
        columns.iter().map(|c| found.remove(*c).unwrap_or_else(|| panic!("no column {c} in {file}"))).collect()
    };
    Some(reader.get_row_iter(Some(projection)).unwrap().map(|row| pick(row.unwrap())).collect())
}

fn number(field: &Field) -> f64 {
    match field {
        Field::Null => f64::NAN,
        Field::Byte(v) => f64::from(*v),
        Field::Short(v) => f64::from(*v),
        Field::Int(v) => f64::from(*v),
        Field::Long(v) => *v as f64,
        Field::Double(v) => *v,
        other => panic!("not a number: {other:?}"),
    }
}

fn text(field: &Field) -> &str {
    match field {
        Field::Str(text) => text,
        other => panic!("not text: {other:?}"),
    }
}

/// Correlation of the replicates of two plates, by numpy.
const KCVIAB_40: f64 = 0.29619133779844936;
const KCVIAB_10: f64 = 0.4778091736817107;

fn median(mut values: Vec<f64>) -> f64 {
    isobole::plate::spread::median(&mut values).unwrap()
}

#[test]
fn gdsc_plates_have_the_z_prime_that_others_computed() {
    let Some(rows) = rows("plates_gdsc_example_raw", &["plate_id", "row", "col", "well_tag", "raw_intensity"]) else {
        return;
    };
    assert_eq!(rows.len(), 873_525);
    let mut input = Screen { wells_in: rows.len(), ..Screen::default() };
    for (number_of_row, row) in rows.iter().enumerate() {
        let role = match text(&row[3]) {
            "B" => Role::Blank,
            tag if tag.starts_with("NC-") => Role::Vehicle,
            tag if tag.starts_with("PC-") => Role::Positive,
            "UN-USED" => Role::Empty,
            _ => Role::Sample,
        };
        let plate = input.plates.intern(&number(&row[0]).to_string());
        let position = WellPosition::new(number(&row[1]) as u16, number(&row[2]) as u16);
        let treatments = [Some(Treatment { drug: number_of_row as u32, dose: 1e-6 }), None, None];
        input.wells.push(Well { position, line: None, treatments, ..well(plate, "A1", role, number(&row[4])) });
    }
    let started = Instant::now();
    let settings = PlateSettings { low_control_blank: true, ..percent_of_vehicle() };
    let stage = stage(&input, settings);
    println!("873,525 wells, balance of wells included: {:.2} s", started.elapsed().as_secs_f64());
    assert_eq!(stage.plates.len(), 1837);
    assert_eq!(stage.rejected.len(), 507_012, "unused wells alone");
    let z_primes: Vec<f64> = stage.plates.iter().map(|p| p.z_prime.unwrap()).collect();
    let (low, high) = z_primes.iter().fold((f64::MAX, f64::MIN), |(low, high), z| (low.min(*z), high.max(*z)));
    println!("Z' median {:.4}, from {low:.4} to {high:.4}", median(z_primes.clone()));
    assert!((median(z_primes) - 0.58).abs() < 0.02);
    assert!((low - 0.378393).abs() < 1e-6 && (high - 0.790263).abs() < 1e-6, "{low} {high}");
    // pandas: plate 3230, one of the first.
    let id = input.plates.id("3230").unwrap();
    let plate = stage.plates.iter().find(|p| p.plate == id).unwrap();
    for (value, expected) in [
        (plate.z_prime, 0.6802034530625913),
        (plate.z_prime_robust, 0.6438765196192244),
        (plate.ssmd, 10.567567885621019),
        (plate.signal_to_background, 46.38481309041749),
    ] {
        assert!((value.unwrap() / expected - 1.0).abs() < 1e-12, "{value:?} {expected}");
    }
    assert_eq!((plate.n_vehicle, plate.n_blank, plate.n_positive), (116, 28, 24));
    let marginal = stage.plates.iter().filter(|p| p.verdict == Verdict::Marginal).count();
    let good = stage.plates.iter().filter(|p| p.verdict == Verdict::Good).count();
    println!("good {good}, marginal {marginal}");
    // One plate has neighbouring untreated wells that all lie far out: its Z' does not show it.
    let bad: Vec<&PlateQuality> = stage.plates.iter().filter(|p| p.verdict == Verdict::Bad).collect();
    assert!(bad.len() == 1 && has(bad[0], "contaminated") && bad[0].z_prime.unwrap() > 0.0, "{bad:?}");
    assert_eq!(good + marginal, 1836);
}

#[test]
fn good_plates_are_told_from_bad_ones() {
    let columns = ["plate_id", "well", "role", "raw_signal", "drug", "conc"];
    let Some(rows) = rows("plates_plateqc_example", &columns) else { return };
    let mut input = Screen { wells_in: rows.len(), ..Screen::default() };
    for row in &rows {
        let role = match text(&row[2]) {
            "neg" => Role::Vehicle,
            "pos" => Role::Positive,
            _ => Role::Sample,
        };
        let plate = input.plates.intern(text(&row[0]));
        let treatments = match role {
            Role::Sample => {
                [Some(Treatment { drug: input.drugs.intern(text(&row[4])), dose: number(&row[5]) * 1e-9 }), None, None]
            }
            _ => [None; 3],
        };
        input.wells.push(Well { treatments, ..well(plate, text(&row[1]), role, number(&row[3])) });
    }
    let stage = stage(&input, percent_of_vehicle());

    let verdict = |name: &str| {
        let id = input.plates.id(name).unwrap();
        stage.plates.iter().find(|p| p.plate == id).map(|p| (p.verdict, p.z_prime.unwrap())).unwrap()
    };
    for (name, expected, z_prime) in [
        ("115858", Verdict::Good, 0.8695138324103855),
        ("101416", Verdict::Bad, -0.13790426002504463),
        ("PSCREEN_M2", Verdict::Bad, -1.3675631422386636),
    ] {
        let (found, z) = verdict(name);
        assert_eq!(found, expected, "{name}");
        assert!((z - z_prime).abs() < 1e-12, "{name}: {z}");
    }
    // The samples say so too, without a look at any control but for the scale.
    let reason = |name: &str| {
        let id = input.plates.id(name).unwrap();
        stage.plates.iter().find(|p| p.plate == id).map(|p| (p.residual_error.unwrap(), p.reason.clone())).unwrap()
    };
    assert!(reason("115858").0 < 0.06 && reason("115858").1 == "edge_not_measured", "{:?}", reason("115858"));
    assert!(reason("PSCREEN_M2").1.contains("residual_error_very_high"), "{:?}", reason("PSCREEN_M2"));
    assert!(reason("101416").1.contains("column_effect_high"), "{:?}", reason("101416"));
}

/// cellHTS2's KcViab, a batch for each of the two readings of every plate; wells of its role `other` are `other`.
fn kc_viab(other: Role) -> Option<Screen> {
    let rows = rows("plates_cellhts2_kcviab", &["plate_id", "replicate", "well", "role", "raw_signal"])?;
    let mut input = Screen { wells_in: rows.len(), ..Screen::default() };
    for row in &rows {
        let role = match text(&row[3]) {
            "neg" => Role::Vehicle,
            "pos" => Role::Positive,
            "sample" => Role::Sample,
            _ => other,
        };
        let plate = input.plates.intern(&format!("{}-{}", number(&row[0]), number(&row[1])));
        let batch = Some(input.batches.intern(&number(&row[1]).to_string()));
        let mut well = Well { batch, ..well(plate, text(&row[2]), role, number(&row[4])) };
        for treatment in well.treatments.iter_mut().flatten() {
            treatment.drug += 4096 * number(&row[0]) as u32; // each of the 57 plates has genes of its own
        }
        input.wells.push(well);
    }
    Some(input)
}

/// Pooled Z' of cellHTS2: `normalizePlates(scale = "multiplicative", method = "median")`, then `getZfactor` by replicate,
/// which numpy computed from their definitions. The plates' correlations are numpy's too.
#[test]
fn pooled_controls_and_correlations_of_kcviab_are_those_of_cellhts2() {
    let Some(input) = kc_viab(Role::Empty) else { return };
    let stage = stage(&input, percent_of_vehicle());
    let pooled = |batch: &str| {
        let id = input.batches.id(batch);
        stage.batches.iter().find(|b| !b.is_screen && b.batch == id).unwrap()
    };
    for (batch, robust, classic) in
        [("1", 0.755797293289348, -0.0376248711343421), ("2", 0.8076827412216202, -0.033545497808357805)]
    {
        let found = pooled(batch);
        assert_eq!((found.controls_as, found.n_plates, found.n_vehicle), ("signal_over_sample_median", 57, 57));
        assert!((found.z_prime_robust.unwrap() - robust).abs() < 1e-12, "{found:?}");
        assert!((found.z_prime.unwrap() - classic).abs() < 1e-12, "{found:?}");
    }
    let correlation = |plate: &str| {
        let id = input.plates.id(plate).unwrap();
        stage.plates.iter().find(|p| p.plate == id).unwrap().replicate_correlation.unwrap()
    };
    for (plate, expected) in [("40", KCVIAB_40), ("10", KCVIAB_10)] {
        for replicate in 1..=2 {
            let found = correlation(&format!("{plate}-{replicate}"));
            assert!((found - expected).abs() < 1e-9, "plate {plate}: {found}");
        }
    }
    let worst = stage.plates.iter().min_by(|a, b| {
        let r = |p: &PlateQuality| p.replicate_correlation.unwrap();
        r(a).total_cmp(&r(b))
    });
    assert!(input.plates.name(worst.unwrap().plate).starts_with("40-"));
}

#[test]
fn the_contaminated_plate_of_kcviab_stands_out() {
    let Some(input) = kc_viab(Role::Sample) else { return };
    let with_signals = stage(&input, percent_of_vehicle());
    let flagged = |stage: &PlateStage| -> Vec<String> {
        let flagged = stage.plates.iter().filter(|p| has(p, "many_wells_set_aside"));
        flagged.map(|p| format!("{} lost {}", input.plates.name(p.plate), p.n_set_aside)).collect()
    };
    assert_eq!(flagged(&with_signals), ["6-1 lost 24", "6-2 lost 24"]);
    // One control well of a kind: no plate has a Z', robust or not, and none passes for good.
    assert_eq!(with_signals.plates.len(), 114);
    assert!(with_signals.plates.iter().all(|p| p.z_prime.is_none() && p.z_prime_robust.is_none()));
    assert!(with_signals.plates.iter().all(|p| has(p, "one_vehicle_well")));
    // On one plate of the published data the vehicle reads 28 % below the positive control; the others pass as marginal.
    let bad = |stage: &PlateStage| -> Vec<String> {
        let bad = stage.plates.iter().filter(|p| p.verdict == Verdict::Bad && has(p, "vehicle_below_positive"));
        bad.map(|p| input.plates.name(p.plate).to_owned()).collect()
    };
    assert_eq!(bad(&with_signals), ["21-1"]);
    assert_eq!(with_signals.plates.iter().filter(|p| p.verdict == Verdict::Marginal).count(), 113);

    // The planted fault: the two control wells swapped, on plates without any spread to judge by.
    let mut swapped = input.clone();
    swapped.wells.for_each_mut(|_, well| {
        well.role = match well.role {
            Role::Vehicle => Role::Positive,
            Role::Positive => Role::Vehicle,
            other => other,
        };
    });
    let swapped = bad(&stage(&swapped, percent_of_vehicle()));
    assert_eq!(swapped.len(), 113);
    assert!(!swapped.contains(&"21-1".to_owned()));
}

/// The definition of cellHTS2 (median polish of the sample wells, eps 1e-5, MAD of the plate's residuals), as numpy computed
/// it from the definition.
#[test]
fn b_scores_of_kcviab_are_those_of_cellhts2_s_definition() {
    let Some(rows) = rows("plates_cellhts2_kcviab", &["plate_id", "replicate", "row", "col", "role", "raw_signal"])
    else {
        return;
    };
    let mut batch = PlateBatch::default();
    for row in rows.iter().filter(|r| number(&r[0]) == 6.0 && number(&r[1]) == 1.0 && !number(&r[5]).is_nan()) {
        batch.place.push((number(&row[2]) as u16 - 1, number(&row[3]) as u16 - 1));
        batch.signal.push(number(&row[5]));
        batch.class.push(match text(&row[4]) {
            "sample" => isobole::backend::WellClass::Other,
            "neg" => isobole::backend::WellClass::Vehicle,
            _ => isobole::backend::WellClass::Positive,
        });
    }
    batch.offsets = vec![0, batch.signal.len()];
    let scores = normalise(Normalization::BScore, &batch);
    let expected = [
        ((3, 3), -0.392_118_850_592_427_57),
        ((8, 12), -0.138_211_656_658_235_5),
        ((10, 21), -4.256_436_062_456_701),
        ((16, 24), 1.719_373_807_052_960_5),
    ];
    for ((row, column), score) in expected {
        let at = batch.place.iter().position(|p| *p == (row - 1, column - 1)).unwrap();
        assert!((scores[at] - score).abs() < 1e-9, "{row} {column}: {} {score}", scores[at]);
        // The planted fault: residuals of columns alone are other numbers.
        let robust = normalise(Normalization::RobustZScore, &batch);
        assert!((robust[at] - score).abs() > 1e-3);
    }
}
