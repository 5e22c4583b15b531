use super::made_up;
use isobole::report::terminal::ranking_text;

#[test]
fn the_ranking_as_text() {
    let made = made_up::screen();
    let text = ranking_text(&made.pairs, &made.screen, 120, 3);
    insta::assert_snapshot!(text, @r"
    rank  pair                      places  excess     95 % interval      q  over parents  selectivity
       1  clofarabine + venetoclax     1-2  +0.144  +0.119 to +0.169   2e-5        +0.079  resistant selective
       2  clofarabine + cytarabine     1-3  +0.090  +0.065 to +0.115   6e-4        +0.049  shared
       3  clofarabine + decitabine     2-4  +0.064  +0.039 to +0.089  0.018        +0.035  shared
    and 3 more
    ");
}

#[test]
fn names_are_shortened_to_the_width_and_numbers_never() {
    let mut made = made_up::screen();
    made.screen.drugs = made_up::names([
        "clofarabine",
        "a drug with a very long name indeed",
        "药物药物药物药物药物药物药物",
        "\u{1b}[31mred\n",
    ]);
    made.pairs.truncate(3);
    let text = ranking_text(&made.pairs, &made.screen, 100, 10);
    assert!(text.lines().all(|l| l.chars().count() <= 100), "{text}");
    assert!(text.contains('…') && text.contains("+0.119 to +0.169"), "{text}");
    assert!(!text.contains('\u{1b}'), "{text:?}");
    let narrow = ranking_text(&made.pairs, &made.screen, 10, 10);
    assert!(narrow.contains("+0.119 to +0.169"), "{narrow}");
}

#[test]
fn what_is_missing_is_a_dash() {
    let mut made = made_up::screen();
    made.pairs[0].score = Some(f64::NAN);
    made.pairs[0].q = None;
    made.pairs[0].ci_low = None;
    let text = ranking_text(&made.pairs[..1], &made.screen, 200, 10);
    assert!(!text.contains("NaN") && text.lines().nth(1).unwrap().contains("  -  "), "{text}");
    assert_eq!(ranking_text(&[], &made.screen, 80, 10), "no pairs to rank\n");
    assert!(ranking_text(&made.pairs, &made.screen, 80, 0).contains("and 6 more"));
}
