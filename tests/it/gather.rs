//! Wells into curves and matrices: every rule once, every well accounted for.

use isobole::plate::NormalisedWell;
use isobole::plate::flags::WellFlags;
use isobole::screen::Screen;
use isobole::screen::dose_matrix::{Gathered, MatrixKey, Observation, gather, matrix_from_cells};
use isobole::screen::well::{Role, Treatment, Well, WellPosition};

/// A screen with one line and the drugs A, B, clofarabine and C; the ids are 0 to 3.
fn screen() -> Screen {
    let mut screen = Screen::default();
    screen.plates.intern("P1");
    screen.lines.intern("HL-60");
    for drug in ["A", "B", "clofarabine", "C"] {
        screen.drugs.intern(drug);
    }
    screen.blocks.intern("block 1");
    screen
}

const ANCHOR: u32 = 2;

fn well(role: Role, treatments: &[(u32, f64)], response: f64) -> NormalisedWell {
    let mut slots = [None; 3];
    for (slot, &(drug, dose)) in slots.iter_mut().zip(treatments) {
        *slot = Some(Treatment { drug, dose });
    }
    let well = Well {
        plate: 0,
        position: WellPosition::new(1, 1),
        role,
        line: Some(0),
        treatments: slots,
        signal: 0.0,
        block: None,
        schedule: None,
        replicate: None,
        batch: None,
        signal_t0: None,
        time_h: None,
    };
    NormalisedWell { well, response, weight: 1.0, flags: WellFlags::NONE }
}

fn sample(treatments: &[(u32, f64)], response: f64) -> NormalisedWell {
    well(Role::Sample, treatments, response)
}

fn gathered(wells: &[NormalisedWell]) -> Gathered {
    gather(&wells.iter().copied().collect(), &screen(), Some(ANCHOR), true)
}

#[test]
fn single_agents_become_curves_and_vehicles_their_untreated_point() {
    let wells = [
        sample(&[(0, 1e-6)], 0.4),
        sample(&[(0, 1e-6)], 0.6),
        sample(&[(0, 1e-7)], 0.9),
        well(Role::Vehicle, &[], 0.98),
        well(Role::Vehicle, &[], 1.04),
        well(Role::Blank, &[], 0.0),
    ];
    let result = gathered(&wells);
    assert_eq!((result.curves.len(), result.matrices.len(), result.unused.len()), (1, 0, 0));
    let points = &result.curves[0].points;
    assert_eq!(points.iter().map(|p| p.dose).collect::<Vec<_>>(), [0.0, 1e-7, 1e-6]);
    assert!((points[0].response - 1.01).abs() < 1e-15);
    assert_eq!((points[0].n, points[0].weight, points[0].sum_of_squares), (1, 1.5, 0.0));
    assert_eq!((points[2].response, points[2].n, points[2].weight), (0.5, 2, 2.0));
    assert!((points[2].sum_of_squares - 0.02).abs() < 1e-15);
}

#[test]
fn pairs_are_ordered_by_the_anchor_then_by_name() {
    let of = |first: u32, second: u32| {
        let key = gathered(&[sample(&[(first, 1e-6), (second, 1e-7)], 0.5)]).matrices[0].key;
        (key.drug_a, key.drug_b)
    };
    assert_eq!((of(0, 2), of(2, 0)), ((2, 0), (2, 0)));
    // By name: A, B, C.
    assert_eq!((of(3, 1), of(1, 3), of(1, 0)), ((1, 3), (1, 3), (0, 1)));
    let matrix = &gathered(&[sample(&[(3, 1e-6), (1, 1e-7)], 0.5)]).matrices[0];
    assert_eq!((matrix.cells[0].dose_a, matrix.cells[0].dose_b), (1e-7, 1e-6));
    // Without an anchor, by name alone.
    let key =
        gather(&std::iter::once(sample(&[(2, 1e-6), (0, 1e-7)], 0.5)).collect(), &screen(), None, true).matrices[0].key;
    assert_eq!((key.drug_a, key.drug_b), (0, 2));
}

#[test]
fn a_dose_of_zero_is_a_margin_and_two_are_untreated() {
    let wells = [
        sample(&[(2, 0.0), (0, 0.0)], 1.02),
        sample(&[(2, 1e-7), (0, 0.0)], 0.8),
        sample(&[(2, 0.0), (0, 1e-6)], 0.7),
        sample(&[(2, 1e-7), (0, 1e-6)], 0.4),
    ];
    let result = gathered(&wells);
    let matrix = &result.matrices[0];
    let cells: Vec<_> = matrix.cells.iter().map(|c| (c.dose_a, c.dose_b, c.response)).collect();
    assert_eq!(cells, [(0.0, 0.0, 1.02), (0.0, 1e-6, 0.7), (1e-7, 0.0, 0.8), (1e-7, 1e-6, 0.4)]);
    let margin = |points: &[isobole::screen::dose_matrix::CurvePoint]| -> Vec<(f64, f64)> {
        points.iter().map(|p| (p.dose, p.response)).collect()
    };
    assert_eq!(margin(&matrix.margin_a), [(0.0, 1.02), (1e-7, 0.8)]);
    assert_eq!(margin(&matrix.margin_b), [(0.0, 1.02), (1e-6, 0.7)]);
    // The same wells are the single-agent curves, the untreated well in both.
    assert_eq!(result.curves.len(), 2);
    assert_eq!(margin(&result.curves[0].points), [(0.0, 1.02), (1e-6, 0.7)]);
    assert_eq!(margin(&result.curves[1].points), [(0.0, 1.02), (1e-7, 0.8)]);
}

#[test]
fn a_matrix_without_margins_takes_the_lines_curves() {
    let mut wells = vec![sample(&[(2, 1e-7), (0, 1e-6)], 0.4)];
    wells[0].well.block = Some(0);
    for (k, dose) in [1e-8, 1e-7, 1e-6].into_iter().enumerate() {
        wells.push(sample(&[(2, dose)], 0.9 - 0.2 * k as f64));
        wells.push(sample(&[(0, dose)], 0.95 - 0.1 * k as f64));
    }
    let matrix = &gathered(&wells).matrices[0];
    assert_eq!((matrix.margin_a.len(), matrix.margin_b.len()), (3, 3));
    // Shown at the doses combined, and at no other.
    let cells: Vec<_> = matrix.cells.iter().map(|c| (c.dose_a, c.dose_b, c.response)).collect();
    assert_eq!(cells, [(0.0, 1e-6, 0.75), (1e-7, 0.0, 0.7), (1e-7, 1e-6, 0.4)]);
    // A block's own margins are kept when they are a curve.
    let own: Vec<NormalisedWell> = [1e-8, 1e-7, 1e-6].map(|d| sample(&[(2, d), (0, 0.0)], 0.5)).to_vec();
    let in_block = own.into_iter().map(|mut w| {
        w.well.block = Some(0);
        w
    });
    let wells: Vec<_> = wells.iter().copied().chain(in_block).collect();
    assert_eq!(gathered(&wells).matrices[0].margin_a[0].response, 0.5);
}

#[test]
fn three_drugs_take_what_is_known_of_each_and_of_each_pair() {
    let mut wells = vec![
        sample(&[(0, 1e-6), (1, 1e-7), (2, 1e-8)], 0.2),
        sample(&[(2, 1e-8), (0, 1e-6), (1, 1e-7)], 0.3),
        sample(&[(0, 1e-6), (1, 1e-7)], 0.5),
        sample(&[(1, 1e-7), (2, 1e-8)], 0.6),
    ];
    for dose in [1e-8, 1e-7, 1e-6] {
        wells.extend([0, 1, 2].map(|drug| sample(&[(drug, dose)], 0.9)));
    }
    let result = gathered(&wells);
    assert!(result.unused.is_empty());
    let [(key, triple)] = result.triples.as_slice() else { panic!("one matrix: {:?}", result.triples) };
    // The anchor first, the others by name.
    assert_eq!(key.drugs, [2, 0, 1]);
    let at = |dose: [f64; 3]| triple.find(dose).map(|cell| (triple.cells[cell].response, triple.cells[cell].n));
    assert_eq!(at([1e-8, 1e-6, 1e-7]), Some((0.25, 2)));
    assert_eq!(at([0.0, 1e-6, 1e-7]), Some((0.5, 1)));
    assert_eq!(at([1e-8, 0.0, 1e-7]), Some((0.6, 1)));
    assert_eq!(at([1e-8, 1e-6, 0.0]), None);
    assert!(triple.margins.iter().all(|margin| margin.iter().filter(|point| point.dose > 0.0).count() == 3));
    assert_eq!(triple.combinations().count(), 1);
}

#[test]
fn what_cannot_be_used_is_said() {
    let wells = [
        sample(&[(0, 1e-6), (1, 1e-6), (0, 1e-6)], 0.5),
        sample(&[], 0.5),
        sample(&[(0, 1e-6)], f64::NAN),
        sample(&[(0, -1.0)], 0.5),
        sample(&[(0, 1e-6), (1, 1e-6), (2, 0.0)], 0.5),
    ];
    let result = gathered(&wells);
    let reasons: Vec<_> = result.unused.iter().map(|(_, r)| r.reason).collect();
    assert_eq!(reasons, ["drug_named_twice", "no_drug", "bad_value", "bad_value"]);
    assert_eq!(result.unused.iter().map(|(index, _)| *index).collect::<Vec<_>>(), [0, 1, 2, 3]);
    assert_eq!(result.unused[0].1.detail, "A + A + B");
    assert_eq!(result.matrices.len(), 1);
    assert!(result.curves.is_empty());
}

#[test]
fn the_order_of_the_wells_changes_no_bit() {
    let mut wells = Vec::new();
    for i in 0..60u32 {
        let dose = |k: u32| f64::from(k % 3) * 1e-7;
        wells.push(sample(&[(2, dose(i)), (0, dose(i / 3))], 0.1 + libm::sin(f64::from(i))));
    }
    let forward = gathered(&wells);
    wells.reverse();
    assert_eq!(forward, gathered(&wells));
    wells.rotate_left(17);
    assert_eq!(forward, gathered(&wells));
    // The comparison can fail.
    wells[0].response += 1e-15;
    assert_ne!(forward, gathered(&wells));
}

#[test]
fn a_table_of_cells_is_a_matrix_or_an_error_that_names_the_dose_pair() {
    let key = MatrixKey { block: None, line: 0, drug_a: 0, drug_b: 1, schedule: None };
    let cell = |dose_a, dose_b, response| Observation { dose_a, dose_b, response, weight: 1.0 };
    let matrix = matrix_from_cells(key, &[cell(1e-6, 1e-7, 0.5), cell(0.0, 1e-7, 0.8), cell(1e-6, 1e-7, 0.7)]).unwrap();
    assert_eq!(matrix.cells.len(), 2);
    assert_eq!((matrix.cells[1].response, matrix.cells[1].n), (0.6, 2));
    assert_eq!((matrix.margin_a.len(), matrix.margin_b.len()), (0, 1));
    let error = matrix_from_cells(key, &[cell(1e-6, f64::INFINITY, 0.5)]).unwrap_err();
    assert!(error.to_string().contains("1e-6 M") || error.to_string().contains("0.000001 M"), "{error}");
    assert!(error.hint().is_some());
}
