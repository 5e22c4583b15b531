use super::made_up::{self, MadeUp};
use isobole::model::ModelId;
use isobole::report::picture::{curve, heat_map, interval, plate_strip};
use isobole::screen::dose_matrix::CurvePoint;
use isobole::screen::line::LineStatus;
use isobole::synergy::SurfaceCell;

fn cell(dose_a: f64, dose_b: f64, observed: f64, excess: Option<f64>) -> SurfaceCell {
    let expected = vec![excess.map(|e| observed + e)];
    SurfaceCell {
        dose_a,
        dose_b,
        observed,
        n: 2,
        expected,
        excess: vec![excess],
        consensus: None,
        departures: vec![None],
    }
}

fn two_by_two() -> Vec<SurfaceCell> {
    vec![
        cell(0.0, 0.0, 1.0, None),
        cell(0.0, 1e-7, 0.8, None),
        cell(1e-8, 0.0, 0.7, None),
        cell(1e-8, 1e-7, 0.3, Some(0.26)),
    ]
}

fn map<'a>(cells: &'a [SurfaceCell]) -> heat_map::HeatMap<'a> {
    heat_map::HeatMap {
        title: "HL-60 <R>",
        title_class: "resistant",
        drug_a: "clofarabine",
        drug_b: "venetoclax",
        cells,
        model: 0,
        reference: "Bliss",
        peak: Some((1e-8, 1e-7)),
    }
}

#[test]
fn a_small_heat_map() {
    insta::assert_snapshot!("heat_map", heat_map::draw(&map(&two_by_two())).inline());
}

#[test]
fn a_heat_map_says_what_each_cell_says() {
    let text = heat_map::draw(&map(&two_by_two())).inline();
    assert!(text.contains(">30</text>") && text.contains(">+26</text>"), "{text}");
    assert!(text.contains("10 nM + 100 nM: viability 30 %, 2 wells; Bliss expects 56 %"), "{text}");
    let mut swapped = two_by_two();
    swapped[3].excess = vec![Some(-0.26)];
    assert!(heat_map::draw(&map(&swapped)).inline().contains(">−26</text>"));
}

#[test]
fn designs_of_any_shape_are_drawn() {
    let ray: Vec<SurfaceCell> =
        (0..60).map(|i| cell(1e-9 * 1.2_f64.powi(i), 3e-9 * 1.2_f64.powi(i), 0.5, Some(0.1))).collect();
    assert_eq!(heat_map::draw(&map(&ray)).inline().matches("viability 50 %").count(), 120);
    assert!(heat_map::draw(&map(&[])).inline().contains("no dose pair"));
    let one = [cell(1e-8, 1e-7, f64::NAN, None)];
    let text = heat_map::draw(&map(&one)).inline();
    assert!(text.contains("class=\"void\"") && !text.contains("NaN"), "{text}");
}

fn series<'a>(points: &'a [CurvePoint], fit: Option<&'a isobole::fit::Fit>) -> curve::CurveSeries<'a> {
    curve::CurveSeries {
        line: "HL-60/CAF20",
        status: Some(LineStatus::Resistant),
        points,
        model: ModelId::Hill4,
        fit,
        log10_ic50: Some(-6.319),
        ic50_censored: "none",
    }
}

#[test]
fn a_small_curve() {
    let points = made_up::points(&[0.0, 1e-8, 1e-7, 1e-6], 0.1, 4.8e-7, 1.2, 3);
    let fit = made_up::fit(1.0, 0.1, 4.8e-7, 1.2);
    insta::assert_snapshot!("curve", curve::draw("clofarabine", &[series(&points, Some(&fit))]).inline());
}

#[test]
fn curves_without_doses_fits_or_sense_are_drawn_as_far_as_they_go() {
    assert!(curve::draw("x", &[]).inline().contains("no dose above zero"));
    let point = |dose, response| CurvePoint { dose, response, weight: 1.0, n: 1, sum_of_squares: 0.0 };
    let zero_only = [point(0.0, 1.0)];
    assert!(curve::draw("x", &[series(&zero_only, None)]).inline().contains("no dose above zero"));
    let one = [point(1e-6, 97.0)];
    let text = curve::draw("x", &[series(&one, None)]).inline();
    assert!(
        text.contains("hollow") && text.contains("viability 9700 %"),
        "an outlier is open and says its value: {text}"
    );
    let above = curve::CurveSeries { ic50_censored: "above", log10_ic50: None, ..series(&one, None) };
    assert!(curve::draw("x", &[above]).inline().contains("IC50 above 1 µM"));
}

#[test]
fn the_plate_strip_of_5000_plates_is_small_and_keeps_the_bad_ones() {
    let mut made = MadeUp::empty();
    let names: Vec<String> = (0..5000).map(|i| format!("PLATE-{i:05}")).collect();
    made.screen.plates = made_up::names(names.iter().map(String::as_str));
    made.plates = (0..5000).map(|i| made_up::quality(i, Some(if i == 3210 { 0.02 } else { 0.7 }))).collect();
    let text = plate_strip::draw(&made.plates, &made.screen).document();
    println!("strip of 5,000 plates: {} bytes", text.len());
    assert!(text.len() < 100_000, "{}", text.len());
    assert!(text.contains("PLATE-03210: Z′ 0.02"), "one bad plate among thousands is seen");
    let all_bad: Vec<_> = (0..5000).map(|i| made_up::quality(i, Some(-7.0 + 0.001 * f64::from(i)))).collect();
    assert!(plate_strip::draw(&all_bad, &made.screen).document().len() < 100_000);
}

#[test]
fn the_ranking_places_its_dots_by_their_values() {
    let made = made_up::screen();
    let text = interval::ranking(&made.pairs[..2], &made.screen).inline();
    let x: Vec<f64> = text
        .split("<circle class=\"resistant\" cx=\"")
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap().parse().unwrap())
        .collect();
    assert_eq!(x.len(), 2);
    assert!(x[0] > x[1], "the better pair lies further right: {x:?}");
    assert!(interval::ranking(&[], &made.screen).inline().starts_with("<svg"));
    let lines: Vec<_> = made.resistance.iter().filter(|r| r.drug == 0).collect();
    let text = interval::fold_resistance(&lines, &made.screen).inline();
    assert!(text.contains("HL-60/CAF80: 80×") && text.contains("100×"), "{text}");
}

#[test]
fn a_picture_of_its_own_is_well_formed() {
    let made = made_up::screen();
    let text = interval::ranking(&made.pairs, &made.screen).document();
    assert!(text.starts_with("<svg xmlns=") && text.trim_end().ends_with("</svg>"));
    for tag in ["text", "title", "circle", "style"] {
        assert_eq!(text.matches(&format!("<{tag}")).count(), text.matches(&format!("</{tag}>")).count(), "{tag}");
    }
}
