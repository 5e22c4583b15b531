//! Which parameters a table says not to rely on.

use crate::inference::{curve, fit};
use isobole::fit::inference::{append_columns, infer_all};
use isobole::math::random::standard_normal;
use isobole::model::ModelId;
use isobole::report::table::Table;
use isobole::screen::dose_matrix::{Curve, CurveKey};

const KEY: CurveKey = CurveKey { line: 0, drug: 0, schedule: None };

/// A Hill curve from 1 to 0.1 over the doses 1 nM to 10 µM, two wells each.
fn simulated(ln_ec50: f64, noise: f64) -> Curve {
    let doses = (0..9).map(|k| 10f64.powf(-9.0 + 0.5 * f64::from(k))).flat_map(|dose| [dose; 2]);
    let well = |(dose, place): (f64, u32)| {
        let response = ModelId::Hill4.response(dose, &[1.0, 0.1, ln_ec50, 1.2]);
        (dose, response + noise * standard_normal(3, 1, 0, place))
    };
    curve(KEY, &doses.zip(0..).map(well).collect::<Vec<_>>())
}

#[test]
fn what_the_doses_do_not_show_is_named() {
    let inside = 1e-7f64.ln();
    // Well measured; too noisy to tell; the half effect a decade and a half beyond the doses; no curve at all.
    let curves =
        [simulated(inside, 0.02), simulated(inside, 0.6), simulated(3e-4f64.ln(), 0.02), curve(KEY, &[(1e-6, 0.5)])];
    let fits = fit(&curves, ModelId::Hill4);
    let inferences = infer_all(&curves, &fits, ModelId::Hill4);
    let table = append_columns(Table::new("fits"), &fits, &inferences, ModelId::Hill4);
    let text = |name: &str, row: usize| table.column(name).expect(name).text(row).unwrap_or_default().to_owned();
    let codes: Vec<String> = (0..4).map(|row| text("identifiability", row)).collect();
    println!("{codes:?}");
    assert_eq!(codes[0], "");
    assert!(codes[1].contains(":weak") && !codes[1].is_empty(), "{}", codes[1]);
    assert!(codes[2].contains("log10_ec50:unidentified"), "{}", codes[2]);
    assert!(codes[3].is_empty() && !text("reason", 3).is_empty());
    // What has no standard error is named with its reason.
    for (row, codes) in codes.iter().enumerate() {
        let of_errors = text("se_reason", row);
        assert!(of_errors.split(';').all(|code| codes.contains(code)), "{of_errors} {codes}");
    }
    // The limit by hand: an interval of two decades, by the 97.5 % quantile of t with 18 wells - 4 parameters.
    let weak = |row: usize, factor: f64| {
        let mut inferences = inferences.clone();
        inferences[row].standard_errors.iter_mut().flatten().for_each(|error| *error *= factor);
        let table = append_columns(Table::new("fits"), &fits, &inferences, ModelId::Hill4);
        table.column("identifiability").expect("a column").text(row).unwrap_or_default().matches(":weak").count()
    };
    let [t, error] = [2.144_787, inferences[0].standard_errors[2].expect("an error") / std::f64::consts::LN_10];
    let two_decades = 1.0 / (t * error);
    let location = |factor: f64| {
        let mut inferences = inferences.clone();
        inferences[0].standard_errors[2] = inferences[0].standard_errors[2].map(|error| error * factor);
        let table = append_columns(Table::new("fits"), &fits, &inferences, ModelId::Hill4);
        table.column("identifiability").expect("a column").text(0).unwrap_or_default().to_owned()
    };
    assert_eq!(location(two_decades * 0.999), "");
    assert_eq!(location(two_decades * 1.001), "log10_ec50:weak");
    assert_eq!((weak(0, 1.0), weak(0, 1e3)), (0, 4));
}
