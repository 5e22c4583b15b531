//! The sections of the page beyond the ranking: cross-resistance, resensitisation, mechanisms, apoptosis, the clinic.

use super::made_up;
use isobole::apoptosis::synergy::ApoptosisSynergy;
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
    for section in ["cross-resistance", "resensitisation", "mechanisms", "apoptosis", "known"] {
        assert!(!bare.contains(&format!("id=\"{section}\"")), "{section}");
    }
}
