use super::made_up::{self, MadeUp};
use isobole::report::page;

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
