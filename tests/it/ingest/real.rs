//! Real screens in: every row a well or a reason, doses in molar, responses as fractions.

use super::mapping;
use crate::shared;
use isobole::config::{Mapping, ScreenFile, Settings};
use isobole::ingest::{LongMapping, read_long, read_screen};
use isobole::screen::dose::ConcentrationUnit;
use isobole::screen::well::Role;
use isobole::screen::{Orientation, Scale, Screen};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// The mapping of an example that is shipped.
fn example(name: &str) -> Mapping {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("datasets/examples").join(name);
    Settings::resolve(ScreenFile::read(&path).unwrap(), vec![], "out".into()).unwrap().mapping
}

fn read(path: PathBuf, mapping: &Mapping) -> Screen {
    let screen = read_screen(&[path], mapping, None).unwrap();
    assert_eq!(screen.wells.len() + screen.rejected.len(), screen.wells_in, "every row is a well or has a reason");
    assert!(screen.wells.iter().all(|well| well.signal.is_finite()));
    screen
}

fn reasons(screen: &Screen) -> BTreeMap<&'static str, usize> {
    let mut counts = BTreeMap::new();
    for rejected in screen.rejected.iter() {
        *counts.entry(rejected.reason).or_default() += 1;
    }
    counts
}

fn roles(screen: &Screen) -> Vec<usize> {
    Role::ALL.iter().map(|role| screen.wells.iter().filter(|well| well.role == *role).count()).collect()
}

/// Sum of the molar doses of a slot, and of the readings: what an independent reader gets from the same columns.
fn sums(screen: &Screen, slot: usize) -> (f64, f64) {
    (
        screen.wells.iter().filter_map(|well| well.treatments[slot]).map(|t| t.dose).sum(),
        screen.wells.iter().map(|well| well.signal).sum(),
    )
}

fn close(a: f64, b: f64) -> bool {
    (a - b).abs() <= 1e-9 * b.abs()
}

#[test]
fn gdsc_plates_are_read_whole() {
    let Some(path) = shared("data/plates_gdsc_example_raw.parquet") else { return };
    let screen = read(path, &example("gdsc.toml"));
    assert_eq!(screen.wells_in, 873_525);
    assert_eq!(screen.plates.len(), 1_837);
    assert_eq!(screen.lines.len(), 739);
    assert_eq!(reasons(&screen), BTreeMap::from([("empty_well", 507_012)]));
    // sample, vehicle, positive, blank, empty: counted with pandas.
    assert_eq!(roles(&screen), [57_897, 202_070 + 11_022, 36_740 + 4 * 1_837, 51_436, 0]);
    assert_eq!(screen.orientation, Orientation::Signal);
    assert!(screen.wells.iter().all(|well| well.position.is_some()));
    // Float ids are names of drugs, and the solvent's id is no drug of a vehicle well.
    assert!(screen.drugs.id("1862").is_some() && screen.drugs.id("4000").is_none());
    assert_eq!(screen.plates.name(0), "3230");
    let vehicle = screen.wells.iter().find(|well| well.role == Role::Vehicle).unwrap();
    assert_eq!(vehicle.named().count(), 0);
    let highest = screen.wells.iter().flat_map(|well| well.active()).map(|t| t.dose).fold(0.0, f64::max);
    assert!(highest < 1e-3, "molar, not micromolar: {highest}");
}

#[test]
fn pc9_combinations_are_read_with_their_two_absurd_wells() {
    let Some(path) = shared("data/combo_musyc_hts015_pc9_pervia72h.parquet") else { return };
    let screen = read(path, &example("pc9.toml"));
    assert_eq!((screen.wells_in, screen.wells.len()), (3_696, 3_696));
    assert_eq!(screen.orientation, Orientation::Viability);
    assert_eq!(screen.wells.iter().filter(|well| well.signal > 30.0).count(), 2, "flagged later, never dropped here");
    assert_eq!(screen.plates.len(), 12);
    assert_eq!(screen.drugs.id("control"), None);
    // 54 partners and osimertinib; the 672 control wells name no drug.
    assert_eq!(screen.drugs.len(), 55);
    let untreated = screen.wells.iter().filter(|well| well.named().next().is_none());
    assert_eq!(untreated.clone().count(), 672);
    assert!(untreated.clone().all(|well| well.role == Role::Vehicle));
    let (_, readings) = sums(&screen, 0);
    assert!(close(readings, 2_232.354_946_721_845), "summed with pandas, not {readings}");
}

#[test]
fn syntoxprofiler_has_no_plates_and_two_kinds_of_sample() {
    let Some(path) = shared("data/combo_syntoxprofiler_20.parquet") else { return };
    let screen = read(path, &example("syntoxprofiler.toml"));
    assert_eq!((screen.wells_in, screen.wells.len()), (2_560, 2_560));
    assert_eq!(screen.lines.iter().collect::<Vec<_>>(), ["control", "sample"]);
    assert_eq!(screen.plates.iter().collect::<Vec<_>>(), ["combo_syntoxprofiler_20"]);
    assert!(screen.wells.iter().all(|well| well.position.is_none()));
    // One 0/0 cell a matrix; it belongs to its pair, so both drugs stay named.
    let zero: Vec<_> = screen.wells.iter().filter(|well| well.role == Role::Vehicle).collect();
    assert_eq!(zero.len(), 40);
    assert!(zero.iter().all(|well| well.named().count() == 2));
    assert!(close(screen.wells.signals()[0], 1.0 - 0.310_396_983_034_212 / 100.0));
    // 2,560 less the inhibitions as pandas adds them up.
    assert!(close(sums(&screen, 0).1, 2_560.0 - 492.770_303_982_578_25));
}

/// Files whose columns other tools named: read without any `screen.toml`.
#[test]
fn columns_of_other_tools_are_recognised() {
    for (file, rows, expected) in [
        ("combo_mathews_griner_2014_tmd8", 16_776, Orientation::Viability),
        ("combo_oneil_2016_subset", 15_100, Orientation::Viability),
        ("combo_oneil_2016_a375_two_hard_matrices", 464, Orientation::Viability),
        ("combo_oneil_2016_synergyfinder_2blocks", 200, Orientation::Viability),
        ("single_oneil_2016_merck", 78_432, Orientation::Viability),
        ("single_tavor_2020_aml", 32_006, Orientation::Viability),
        ("single_aml_fimm_dss_example", 7_245, Orientation::Viability),
    ] {
        let Some(path) = shared(&format!("data/{file}.parquet")) else { return };
        let screen = read(path, &Mapping::default());
        assert_eq!((screen.wells_in, screen.wells.len()), (rows, rows), "{file} {:?}", reasons(&screen));
        assert_eq!(screen.orientation, expected, "{file}");
        let highest = screen.wells.iter().flat_map(|well| well.active()).map(|t| t.dose).fold(0.0, f64::max);
        assert!(highest > 1e-7 && highest < 1e-2, "{file}: molar doses up to {highest}");
    }
    let Some(path) = shared("data/combo_mathews_griner_2014_tmd8.parquet") else { return };
    let screen = read(path, &Mapping::default());
    // 466 blocks share row and column numbers: without plates these are cells of matrices, not wells.
    assert_eq!(screen.blocks.len(), 466);
    assert!(screen.wells.iter().all(|well| well.position.is_none()));
    // The very first row: bendamustine 2500 nM, ibrutinib 50 nM, 14.474993 %.
    let first = screen.wells.get(0);
    assert!(close(first.treatments[0].unwrap().dose, 2.5e-6) && close(first.treatments[1].unwrap().dose, 5e-8));
    assert!((first.signal - 0.14474993).abs() < 1e-8);
}

#[test]
fn an_ambiguous_response_must_be_declared_and_then_reads() {
    for (file, rows, of) in [
        ("combo_mathews_synergyfinder_2blocks", 72, "viability"),
        ("combo_ncats_malaria_tact_3drug", 2_400, "viability"),
    ] {
        let Some(path) = shared(&format!("data/{file}.parquet")) else { return };
        let refused = read_screen(std::slice::from_ref(&path), &Mapping::default(), None).unwrap_err();
        assert_eq!(
            refused.to_string(),
            format!("`{}`, column `response`: nothing says whether it is viability or inhibition", path.display())
        );
        assert_eq!(
            refused.hint(),
            Some("say it: --orientation viability, or `orientation = \"viability\"` under [response]")
        );
        let screen = read(path, &mapping(&format!("[response]\norientation = '{of}'\nscale = 'percent'")));
        assert_eq!((screen.wells_in, screen.wells.len()), (rows, rows), "{file} {:?}", reasons(&screen));
    }
}

#[test]
fn cellhts2_replicates_are_plates_of_their_own() {
    let Some(path) = shared("data/plates_cellhts2_kcviab.parquet") else { return };
    let roles_section = "[roles]\nvehicle = 'neg'\npositive = 'pos'\nempty = 'other'";
    let text = format!("[columns]\nplate_id = ['plate_id', 'replicate']\n{roles_section}");
    let screen = read(path.clone(), &mapping(&text));
    assert_eq!(screen.wells_in, 43_776);
    assert_eq!(screen.plates.len(), 57 * 2);
    assert_eq!(screen.plates.name(0), "1/1");
    assert_eq!(reasons(&screen)["empty_well"], 228);
    assert_eq!(reasons(&screen)["missing_signal"] + screen.wells.len(), 43_776 - 228);
    assert_eq!(reasons(&screen).len(), 2);
    // Taken as one plate, the two replicates contradict each other well by well: nothing may be used.
    let merged = read(path, &mapping(roles_section));
    assert!(reasons(&merged)["duplicate_well"] > 40_000, "{:?}", reasons(&merged));
}

#[test]
fn breeze_and_plateqc_plates_are_read_with_their_roles() {
    let Some(path) = shared("data/plates_breeze_demo_384.parquet") else { return };
    let text = "[roles]\nvehicle = 'neg'\npositive = 'pos'\nblank = 'empty_cells'";
    let screen = read(path.clone(), &mapping(text));
    assert_eq!((screen.wells_in, screen.wells.len(), screen.plates.len()), (6_144, 6_144, 16));
    assert_eq!(roles(&screen), [5_280, 192, 176, 496, 0]);
    // Without `[roles]` nothing is guessed from "pos" and "neg", which mean opposite things in different tools.
    let bare = read(path, &Mapping::default());
    assert_eq!(reasons(&bare), BTreeMap::from([("unknown_role", 192 + 176 + 496)]));
    let Some(path) = shared("data/plates_plateqc_example.parquet") else { return };
    // One plate gives its vehicle a "dose": until `none` says that it is no drug, these wells are no vehicles.
    let text = "[roles]\nvehicle = 'neg'\npositive = 'pos'";
    let screen = read(path.clone(), &mapping(text));
    assert_eq!((screen.wells_in, roles(&screen)), (737, vec![571, 90, 62, 0, 0]));
    assert_eq!(reasons(&screen), BTreeMap::from([("vehicle_with_drug", 14)]));
    let screen = read(path, &mapping(&format!("none = 'NEG_CTRL'\n{text}")));
    assert_eq!((screen.wells_in, roles(&screen)), (737, vec![571, 104, 62, 0, 0]));
}

#[test]
fn combenefit_wells_with_a_dose_and_no_drug_are_set_aside() {
    let Some(path) = shared("data/combo_combenefit_examples.parquet") else { return };
    let screen = read(path, &Mapping::default());
    assert_eq!(screen.wells_in, 3_920);
    let counts = reasons(&screen);
    // One file of five replicates names neither drugs nor line: 315 rows have a dose, 5 are untreated.
    assert_eq!(counts, BTreeMap::from([("missing_drug", 315), ("missing_cell_line", 5)]));
}

fn curves(dose_unit: ConcentrationUnit, scale: Scale) -> LongMapping {
    LongMapping {
        plain_numbers: false,
        x2: None,
        single_wells: false,
        group: vec!["curve_id".into()],
        doses: vec!["dose".into()],
        response: "response".into(),
        dose_unit,
        orientation: Orientation::Viability,
        scale,
        untreated: None,
    }
}

#[test]
fn simulated_curves_are_read_by_key() {
    let Some(path) = shared("peers/curves.parquet") else { return };
    let table = read_long(&path, &curves(ConcentrationUnit::Molar(1.0), Scale::Fraction)).unwrap();
    assert_eq!((table.rows_in, table.rows.len(), table.groups.len()), (200_000, 200_000, 10_000));
    assert!(table.rejected.is_empty());
    let sizes = table.rows.iter().fold(vec![0; 10_000], |mut sizes, row| {
        sizes[row.group as usize] += 1;
        sizes
    });
    assert!(sizes.iter().all(|size| *size == 20));
    let micro = read_long(&path, &curves(ConcentrationUnit::Molar(1e-6), Scale::Fraction)).unwrap();
    assert!(close(micro.rows[7].doses[0] * 1e6, table.rows[7].doses[0]));
    let error = read_long(&path, &curves(ConcentrationUnit::Molar(1.0), Scale::Percent)).unwrap_err();
    assert!(error.to_string().contains("these are fractions"), "{error}");
}

#[test]
fn simulated_matrices_are_read_with_two_doses() {
    let Some(path) = shared("peers/matrices.parquet") else { return };
    let mapping = LongMapping {
        plain_numbers: false,
        x2: None,
        single_wells: false,
        group: vec!["matrix_id".into()],
        doses: vec!["dose1".into(), "dose2".into()],
        ..curves(ConcentrationUnit::Molar(1e-6), Scale::Fraction)
    };
    let table = read_long(&path, &mapping).unwrap();
    assert_eq!((table.rows_in, table.rows.len(), table.groups.len()), (96_000, 96_000, 500));
    assert_eq!(table.rows.iter().filter(|row| row.doses == [0.0; 3]).count(), 500 * 3);
}
