use super::made_up::{self, MadeUp};
use isobole::report::page;
use isobole::screen::Rejected;

/// What no reader may ever see.
fn assert_clean(text: &str) {
    for bad in ["NaN", "Infinity", ">inf", " inf ", "-inf", "undefined", "Some(", "none</td>"] {
        assert!(!text.contains(bad), "`{bad}` in the page near: {}", near(text, bad));
    }
}

fn near(text: &str, what: &str) -> String {
    let at = text.find(what).unwrap_or(0);
    text.chars().skip(text[..at].chars().count().saturating_sub(80)).take(200).collect()
}

#[test]
fn the_page_of_a_whole_screen() {
    let made = made_up::screen();
    let text = page::render(&made.page()).unwrap();
    if let Ok(path) = std::env::var("ISOBOLE_PAGE_OUT") {
        std::fs::write(path, &text).unwrap();
    }
    assert_clean(&text);
    println!("page: {} bytes", text.len());
    assert!(text.len() < 2_000_000, "{}", text.len());
    assert!(text.contains("36,864 wells came in; 36,860 were used and 4 rejected"), "wells are accounted for");
    let at = |what: &str| text.find(what).unwrap_or_else(|| panic!("`{what}` is not on the page"));
    assert!(at("Before you read on") < at("id=\"ranking\"") && at("id=\"ranking\"") < at("id=\"resistance\""));
    assert_eq!(page::render(&made.page()).unwrap(), text);
}

/// The tables of plates, of batches and of flags, without the picture and the reader's tags.
#[test]
fn what_a_scientist_acts_on_is_told_of_plates_the_worst_first() {
    let mut made = made_up::screen();
    let text = page::render(&made.page()).unwrap();
    let section = |text: &str| {
        let from = text.find("<h2 id=\"plates\">").unwrap();
        let section = &text[from..text.find("<h2 id=\"rejected\">").unwrap()];
        let figure = section.find("<figure>").unwrap()..section.find("</figure>").unwrap();
        section[..figure.start].to_owned() + &section[figure.end..]
    };
    insta::assert_snapshot!("plates", section(&text));
    let order = ["CAF-041", "CAF-036", "monday</td>", "on a plate whose verdict is bad", "failed dispense", "spill"];
    let at = order.map(|what| section(&text).find(what).unwrap_or_else(|| panic!("`{what}` is not said")));
    assert!(at.is_sorted(), "{at:?}");
    // Nothing is said of what is not there.
    (made.flagged, made.batches) = ([0; 9], Vec::new());
    let without = section(&page::render(&made.page()).unwrap());
    assert!(!without.contains("doubtful") && !without.contains("drift"), "{without}");
}

/// Tags in a page that were not in the template or the pictures: what an unescaped name would add.
fn assert_inert(text: &str) {
    for bad in ["<script>alert", "<img", "onerror=\"", "</title><script", "javascript:alert"] {
        assert!(!text.contains(bad), "`{bad}` near: {}", near(text, bad));
    }
    assert_eq!(text.matches("<script").count(), 1, "only the page's own script");
    // Nothing is fetched.
    for bad in ["src=\"http", "href=\"http", "url(", "@import", "<link"] {
        assert!(!text.contains(bad), "`{bad}` near: {}", near(text, bad));
    }
}

const HOSTILE: [&str; 7] = [
    "<script>alert(1)</script>",
    "\"' onerror=\"x",
    "</title><script>",
    "{{ 7777 * 7777 }}{% for %}",
    "",
    "Ωμέγα 药物 \u{202e}\u{0}\u{1b}[31m",
    "very long ",
];

#[test]
fn hostile_names_stay_names() {
    let mut made = made_up::screen();
    let long = HOSTILE[6].repeat(20_000);
    let rename = |n: usize| {
        let mut texts: Vec<String> = (0..n).map(|i| HOSTILE[i % 7].to_owned() + &"'".repeat(i / 7)).collect();
        texts[n - 1] = long.clone();
        made_up::names(texts.iter().map(String::as_str))
    };
    (made.screen.drugs, made.screen.lines, made.screen.plates) = (rename(7), rename(5), rename(96));
    for pair in &mut made.pairs {
        pair.rationale = long.clone() + HOSTILE[0];
        pair.evidence = HOSTILE[1].into();
        pair.mechanism = HOSTILE[2].into();
        pair.flags = format!("{};{}", HOSTILE[3], long);
    }
    made.run.warnings = vec![HOSTILE[0].into(), long.clone()];
    made.run.device = HOSTILE[0].into();
    made.run.settings = serde_json::json!({ HOSTILE[0]: HOSTILE[2], "long": long });
    made.run.inputs[0].path = HOSTILE[1].into();
    let hostile = Rejected { plate: 0, well: None, reason: "bad_well_name", detail: HOSTILE[2].into() };
    made.rejected.push(hostile);
    made.matrices[0].flags = HOSTILE[0].into();
    let mut page = made.page();
    (page.title, page.anchor) = (HOSTILE[2], HOSTILE[0]);
    let text = page::render(&page).unwrap();
    assert_clean(&text);
    assert_inert(&text);
    assert!(text.contains("{{ 7777 * 7777 }}") && !text.contains("60481729"), "a name is no template");
    assert!(!text.contains('\u{0}') && !text.contains('\u{1b}') && !text.contains('\u{202e}'));
    assert!(text.len() < 2_000_000, "{}", text.len());
    // The checks above must be able to fail.
    let planted = text.replace("<h1>", "<h1><script>alert(1)</script>");
    assert!(std::panic::catch_unwind(|| assert_inert(&planted)).is_err());
    let planted = text.replace("<h1>", "<h1>NaN");
    assert!(std::panic::catch_unwind(|| assert_clean(&planted)).is_err());
}

#[test]
fn a_run_with_nothing_to_show_still_makes_a_page() {
    let made = MadeUp::empty();
    let text = page::render(&made.page()).unwrap();
    assert_clean(&text);
    assert_inert(&text);
    for words in ["There is nothing to rank", "No drug pair could be ranked", "There are no plates", "0 wells came in"]
    {
        assert!(text.contains(words), "`{words}` is missing");
    }
    let mut one_plate = MadeUp::empty();
    one_plate.screen.plates = made_up::names(["P1"]);
    one_plate.plates = vec![made_up::quality(0, Some(0.7))];
    let text = page::render(&one_plate.page()).unwrap();
    assert_clean(&text);
    assert!(text.contains("1 good; median Z′ 0.70") && text.contains("1 plate<"), "one plate is in the singular");
}

#[test]
fn missing_and_impossible_numbers_are_dashes() {
    let mut made = made_up::screen();
    let bad = [Some(f64::NAN), Some(f64::INFINITY), Some(f64::NEG_INFINITY), None, Some(1e300), Some(-1e300)];
    for (i, pair) in made.pairs.iter_mut().enumerate() {
        let value = bad[i % bad.len()];
        (pair.score, pair.ci_low, pair.ci_high, pair.q, pair.p) = (value, value, value, value, value);
        (pair.score_parental, pair.differential, pair.differential_q) = (value, value, value);
        (pair.efficacy, pair.fold_change, pair.rescue_fraction, pair.dose_reduction_index) =
            (value, value, value, value);
        (pair.p_top_k, pair.qc_burden) = (value, value.unwrap_or(0.0));
    }
    for (i, r) in made.resistance.iter_mut().enumerate() {
        let value = bad[i % bad.len()];
        (r.log10_ic50, r.fold_resistance, r.ci_low, r.ci_high) = (value, value, value, value);
    }
    for (i, plate) in made.plates.iter_mut().enumerate() {
        let value = bad[i % bad.len()];
        (plate.z_prime, plate.ssmd, plate.cv_vehicle, plate.edge_effect) = (value, value, value, value);
    }
    for (i, matrix) in made.matrices.iter_mut().enumerate() {
        matrix.efficacy = bad[i % bad.len()];
        for score in &mut matrix.scores {
            let value = bad[i % bad.len()];
            (score.score, score.peak, score.q, score.ci_low, score.ci_high) = (value, value, value, value, value);
            (score.peak_dose_a, score.peak_dose_b) = (value, value);
        }
        for (j, cell) in matrix.cells.iter_mut().enumerate().filter(|(j, _)| j % 3 == 0) {
            cell.observed = bad[j % bad.len()].unwrap_or(f64::NAN);
            cell.excess = vec![bad[(j + 1) % bad.len()]; 2];
        }
    }
    for (i, curve) in made.curves.iter_mut().enumerate() {
        for point in &mut curve.points {
            (point.response, point.weight) = (bad[i % bad.len()].unwrap_or(0.5), 0.0);
        }
        made.fits[i].parameters = [f64::NAN; isobole::fit::MAX_PARAMETERS];
    }
    let text = page::render(&made.page()).unwrap();
    assert_clean(&text);
    assert!(text.len() < 2_000_000, "{}", text.len());
}

#[test]
fn curves_without_their_fits_are_refused() {
    let mut made = made_up::screen();
    made.fits.pop();
    assert!(page::render(&made.page()).unwrap_err().to_string().contains("35 curves and 34 fits"));
}

#[test]
fn large_screens_make_small_pages() {
    let mut made = made_up::screen();
    let pair = made.pairs[1].clone();
    made.pairs.extend((6..5000).map(|i| isobole::rank::RankedPair { rank: i + 1, ..pair.clone() }));
    let names: Vec<String> = (0..5000).map(|i| format!("PLATE-{i:05}")).collect();
    made.screen.plates = made_up::names(names.iter().map(String::as_str));
    made.plates = (0..5000).map(|i| made_up::quality(i, Some(0.3 + 0.4 * made_up::wobble(i as usize)))).collect();
    let mut page = made.page();
    page.pairs_drawn = 500;
    let text = page::render(&page).unwrap();
    println!("page of 5,000 pairs and 5,000 plates: {} bytes", text.len());
    assert!(text.len() < 2_000_000, "{}", text.len());
    assert!(text.contains("more pairs are not drawn") && text.contains("4800 more pairs are in the table"));
}

#[test]
fn the_headline_claims_no_more_than_the_interval() {
    let mut made = made_up::screen();
    let mut with = |low: f64, high: f64| {
        (made.pairs[0].ci_low, made.pairs[0].ci_high) = (Some(low), Some(high));
        page::render(&made.page()).unwrap()
    };
    let (unclear, antagonistic) =
        ("not told apart from no synergy by these data", "Even the first pair is antagonistic");
    let positive = with(0.1, 0.2);
    assert!(!positive.contains(unclear) && !positive.contains(antagonistic));
    assert!(with(-0.1, 0.2).contains(unclear));
    assert!(with(-0.2, -0.1).contains(antagonistic));
}
