//! The sections of the page beyond the ranking: cross-resistance, resensitisation, mechanisms, apoptosis, the clinic.

use super::made_up;
use isobole::apoptosis::synergy::ApoptosisSynergy;
use isobole::rank::confirmation::Confirmation;
use isobole::rank::schedule::ScheduleComparison;
use isobole::report::page::{self, Page};
use isobole::resistance::Resistance;
use isobole::resistance::cross_resistance::{CrossResistance, CrossResistanceRow};
use isobole::resistance::drug_class::drug_class;
use isobole::resistance::mechanism::evidence_item::Strength;
use isobole::resistance::mechanism::marker::Mechanism;
use isobole::resistance::mechanism::{MechanismCall, Mechanisms, Status};

fn call(line: &str, mechanism: Option<Mechanism>, status: Option<Status>, words: &str) -> MechanismCall {
    MechanismCall {
        line: line.into(),
        mechanism,
        status,
        words: words.into(),
        strength: Some(Strength::Direct),
        p_adjusted: Some(0.001),
        evidence: vec!["western_blot dCK 0.20-fold (0.14 to 0.29)".into()],
        reason: None,
    }
}

fn apoptosis(line: &str, score: Option<f64>) -> ApoptosisSynergy {
    ApoptosisSynergy {
        line: line.into(),
        drugs: ["clofarabine".into(), "venetoclax".into()],
        schedule: None,
        n_cells: 6,
        n_replicates: 3,
        score,
        interval: score.map_or([None; 2], |score| [Some(score - 0.05), Some(score + 0.05)]),
        p: None,
        q: None,
        peak: None,
        viability_score: score,
        viability_interval: [None; 2],
        n_shared: 2,
        correlation: None,
        correlation_reason: Some("too_few_shared_doses"),
        same_sign: None,
        concordance: "apoptosis_only",
        flags: "binomial_only".into(),
    }
}

#[test]
fn what_resistant_lines_say_is_on_the_page_and_what_is_not_known_is_not() {
    let made = made_up::screen();
    let row = |drug: u32, fold: Option<f64>, low: Option<f64>, class| CrossResistanceRow {
        resistance: Resistance {
            fold_resistance: fold,
            ci_low: low,
            ci_high: fold.map(|f| f * 1.4),
            ..Resistance::unknown(1, drug, "x")
        },
        class,
        drug_class: drug_class("cytarabine"),
        q: None,
    };
    let rows = [
        row(1, Some(40.0), Some(28.0), CrossResistance::CrossResistant),
        row(2, None, Some(12.0), CrossResistance::CrossResistant),
        row(3, Some(0.1), Some(0.07), CrossResistance::CollateralSensitivity),
        row(4, None, None, CrossResistance::Uncertain),
    ];
    let mechanisms = Mechanisms {
        calls: vec![
            call("HL-60/R", Some(Mechanism::LowDck), Some(Status::Called), "low dCK"),
            call("<script>alert(1)</script>", Some(Mechanism::P53Loss), Some(Status::Contradictory), "p53 loss"),
            call("HL-60/R", Some(Mechanism::P53Loss), Some(Status::Excluded), "excluded words"),
        ],
        evidence: Vec::new(),
    };
    let deaths = [apoptosis("HL-60/R", Some(0.2)), apoptosis("HL-60", None)];
    let clinic = ["clinic, with cytarabine, relapsed AML: overall response 38 %".to_owned()];
    let page =
        Page { cross_resistance: &rows, mechanisms: &mechanisms, apoptosis: &deaths, clinic: &clinic, ..made.page() };
    let text = page::render(&page).unwrap();
    for bad in ["NaN", "inf×", "<script>alert", "Some(", "none</td>"] {
        assert!(!text.contains(bad), "`{bad}`");
    }
    for (class, cell) in [("hot", "40×"), ("hot", "&gt; 12×"), ("cold", "0.1×")] {
        assert!(text.contains(&format!("<td class=\"{class}\"")) && text.contains(&format!(">{cell}</td>")), "{cell}");
    }
    assert!(text.contains("1 more, most of them with no IC50"), "a drug of which nothing is told");
    assert!(text.contains("low dCK") && text.contains("<span class=\"tag bad\">contradictory</span>"));
    assert!(!text.contains("excluded words"), "what is excluded stays in the table");
    assert!(text.contains("+20.0") && text.contains("+15.0 to +25.0") && text.contains("overall response 38 %"));
    // Without any of it the sections are not there.
    let bare = page::render(&made.page()).unwrap();
    for section in ["cross-resistance", "resensitisation", "mechanisms", "apoptosis", "known", "schedules", "next"] {
        assert!(!bare.contains(&format!("id=\"{section}\"")), "{section}");
    }
}

fn compared(first: Option<u32>, difference: Option<f64>, better: &'static str) -> ScheduleComparison {
    ScheduleComparison {
        drugs: (0, 1, None),
        first,
        second: Some(1),
        n_lines: if difference.is_some() { 3 } else { 0 },
        difference,
        ci_low: difference.map(|d| d - 0.03),
        ci_high: difference.map(|d| d + 0.03),
        p: difference.map(|_| 0.001),
        q: difference.map(|d| if d > 0.05 { 0.002 } else { 0.6 }),
        better,
        reason: difference.is_none().then_some("no_common_line"),
    }
}

fn confirmation(line: u32, is_target: bool) -> Confirmation {
    Confirmation {
        rank: 1,
        drugs: [0, 1],
        schedule: None,
        line,
        doses: [1e-8, 1e-7].map(|centre| [0.25, 0.5, 1.0, 2.0, 4.0].map(|x| x * centre).to_vec()),
        n_replicates: 4,
        expected_excess: is_target.then_some(0.214),
        standard_error: 0.031,
        power: is_target.then_some(0.968),
        reason: (!is_target).then_some("comparison_line"),
    }
}

/// The rows of a section's table, tags taken out.
fn rows(text: &str, section: &str) -> Vec<String> {
    let from = text.find(&format!("id=\"{section}\"")).unwrap_or_else(|| panic!("no section {section}"));
    let body = &text[from..][text[from..].find("<tbody>").unwrap()..];
    let body = &body[..body.find("</tbody>").unwrap()];
    let words = |row: &str| {
        let mut words = String::new();
        let mut is_tag = false;
        for c in row.chars() {
            match c {
                '<' => (is_tag, words) = (true, words + " "),
                '>' => is_tag = false,
                c if !is_tag => words.push(c),
                _ => {}
            }
        }
        words.split_whitespace().collect::<Vec<_>>().join(" ")
    };
    body.split("<tr>").skip(1).map(words).collect()
}

#[test]
fn schedules_are_set_against_each_other_on_the_page() {
    let mut made = made_up::screen();
    made.screen.schedules = made_up::names(["clofarabine first", "<b>together</b>"]);
    let schedules = [
        compared(None, None, "not_told_apart"),
        compared(Some(0), Some(0.01), "not_told_apart"),
        compared(Some(0), Some(0.12), "first"),
    ];
    let text = page::render(&Page { schedules: &schedules, ..made.page() }).unwrap();
    let rows = rows(&text, "schedules");
    // The surest first; names as they are, codes as words.
    assert_eq!(
        rows[0],
        "clofarabine + venetoclax clofarabine first &lt;b&gt;together&lt;&#x2f;b&gt; 3 +12.0 +9.0 to +15.0 0.002 clofarabine first"
    );
    assert!(rows[1].contains("+1.0") && rows[1].ends_with("not told apart"), "{}", rows[1]);
    assert!(
        rows[2].contains("not named") && rows[2].ends_with("not compared no cell line was given both"),
        "{}",
        rows[2]
    );
}

#[test]
fn the_next_experiment_is_on_the_page() {
    let made = made_up::screen();
    let plan = [confirmation(1, true), confirmation(0, false)];
    let text = page::render(&Page { confirmations: &plan, ..made.page() }).unwrap();
    // In both lines 4 replicates of 6 × 6 dose pairs without the untreated one.
    assert_eq!(
        rows(&text, "next"),
        [
            "1 clofarabine + venetoclax HL-60&#x2f;CAF20 and HL-60, for comparison clofarabine: 2.5 nM to 40 nM, each 2× the one before \
          venetoclax: 25 nM to 400 nM, each 2× the one before 4 280 +21.4 ± 3.1 97"
        ]
    );
    assert!(!text.contains("comparison_line") && !text.contains("id=\"schedules\""));
}
