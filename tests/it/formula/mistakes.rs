//! Every mistake is found, at its character, in words that help; nothing that can be typed panics.

use isobole::Error;
use isobole::model::formula::{FormulaFile, MAX_FORMULA_BYTES, MAX_NESTING, MAX_PARAMETERS};
use proptest::prelude::*;
use std::path::Path;

/// Line, column, message with excerpt, and hint of the error in a file.
fn mistake(text: &str) -> (usize, usize, String, String) {
    match FormulaFile::parse(text, Path::new("my.toml")) {
        Err(error @ Error::ModelFile { line, column, .. }) => {
            (line, column, error.to_string(), error.hint().unwrap_or_default().to_owned())
        }
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("no mistake found in\n{text}"),
    }
}

fn file(formula: &str) -> String {
    format!("name = 'm'\nformula = '{formula}'\n[parameters.top]\n[parameters.ec50]\n[constants]\nzero = 0\n")
}

#[test]
fn mistakes_of_a_formula_are_shown_at_their_character() {
    for (formula, offset, message, hint) in [
        ("", 0, "the formula is empty", ""),
        ("   ", 0, "the formula is empty", ""),
        ("top + tip", 6, "unknown name `tip`", "did you mean `top`?"),
        ("top + ec5", 6, "unknown name `ec5`", "did you mean `ec50`?"),
        ("top + quinine", 6, "unknown name `quinine`", "known: top, ec50, zero, dose"),
        ("log(top)", 0, "unknown function `log`", "`ln` is the natural"),
        ("expp(top)", 0, "unknown function `expp`", "did you mean `exp`?"),
        ("exp top", 3, "expected `(` after the function `exp`", ""),
        ("top +", 5, "the formula ends here; expected a number", ""),
        ("top + * 2", 6, "expected a number, a name or `(`, found `*`", "`^`"),
        ("top ** 2", 5, "found `*`", "powers are written `^`"),
        ("2 top", 2, "expected an operator or the end, found `top`", "write `*`"),
        ("2e", 1, "expected an operator or the end, found `e`", "write `*`"),
        ("top (ec50)", 4, "expected an operator or the end, found `(`", "write `*`"),
        ("1.2.3", 3, "found the number 0.3", ""),
        ("(top", 0, "this `(` is never closed", ""),
        ("min(top, (ec50)", 3, "this `(` is never closed", ""),
        ("top)", 3, "this `)` closes nothing", ""),
        ("top + ()", 7, "found `)`", ""),
        ("top, ec50", 3, "a `,` stands only between", ""),
        ("(top, ec50)", 4, "a `,` stands only between", ""),
        ("top + min(ec50)", 6, "`min` takes 2 arguments, found 1", ""),
        ("exp(top, ec50)", 0, "`exp` takes 1 argument, found 2", ""),
        ("top / 0", 4, "division by zero", ""),
        ("top / (3 - 3)", 4, "division by zero", ""),
        ("top / zero", 4, "division by zero", ""),
        ("top * 1e999", 6, "this number is too large", ""),
        ("top * 1e-999", 6, "too small to be told from zero", ""),
        ("top * 1e308 + 1e308 * 10", 20, "not a finite number", ""),
        ("top * ln(0)", 6, "the logarithm of 0 is not a number", ""),
        ("top * sqrt(2 - 3)", 6, "the square root of -1 is not a number", ""),
        ("top * (0 - 8) ^ 0.5", 14, "-8 to the power of 0.5 is not a number", ""),
        ("top * 0 ^ -1", 8, "division by zero", ""),
        ("top * exp(1000)", 6, "too large", ""),
        ("top × 2", 4, "unexpected character `×`", "write `*`"),
        ("top $", 4, "unexpected character `$`", ""),
        ("top .", 4, "a point without digits", ""),
        ("y = top", 0, "unknown name `y`", ""),
    ] {
        let (line, column, text, shown_hint) = mistake(&file(formula));
        assert_eq!((line, column), (2, 12 + offset), "{formula}: {text}");
        assert!(text.contains(message), "{formula}: {text}");
        assert!(shown_hint.contains(hint), "{formula}: hint {shown_hint}");
        assert!(text.starts_with(&format!("`my.toml`, line 2, column {column}: ")), "{text}");
        let caret = text.lines().last().unwrap().chars().position(|c| c == '^').unwrap();
        let shown: Vec<char> = text.lines().nth(1).unwrap().chars().collect();
        let expected = format!("formula = '{formula}'").chars().nth(column - 1);
        assert_eq!(shown.get(caret).copied(), expected, "the caret stands under it: {text}");
    }
}

#[test]
fn the_place_is_right_in_every_kind_of_toml_string() {
    for (written, line, column) in [
        ("'top + tip'", 2, 18),
        ("\"top + tip\"", 2, 18),
        (r#""top\t+ tip""#, 2, 19),
        (r#""\u0074op + tip""#, 2, 23),
        (r#""\x74op + tip""#, 2, 21),
        ("'''\ntop\n + tip'''", 4, 4),
        ("'''\r\ntop\r\n + tip'''", 4, 4),
        ("'''top\n + tip'''", 3, 4),
        ("\"\"\"\ntop +\n tip\"\"\"", 4, 2),
        ("\"\"\"\ntop \\\n   + tip\"\"\"", 4, 6),
        ("\"\"\"top + \\\n\n   tip\"\"\"", 4, 4),
        ("\"\"\"\\\n  top + tip\"\"\"", 3, 9),
    ] {
        let text = format!("name = 'm'\nformula = {written}\n[parameters.top]\n");
        let (found_line, found_column, message, _) = mistake(&text);
        assert!(message.contains("unknown name `tip`"), "{message}");
        assert_eq!((found_line, found_column), (line, column), "{written}");
    }
}

#[test]
fn mistakes_of_a_file_are_shown_too() {
    let good = "name = 'm'\nformula = 'top * x'\n[parameters.top]\n";
    assert!(FormulaFile::parse(good, Path::new("my.toml")).is_ok());
    let with = |more: &str| format!("{good}{more}\n");
    for (text, line, column, message) in [
        (String::new(), 1, 1, "`name` is missing"),
        ("name = 'm'\n".to_owned(), 1, 1, "`formula` is missing"),
        ("name = 'm'\nformula = 3\n".to_owned(), 2, 11, "`formula` must be a text in quotes, not of type integer"),
        ("name = 'm'\nformula = 'x'\n".to_owned(), 2, 11, "the model has no parameters"),
        (good.replace("'m'", "'Hill4'"), 1, 8, "`hill4` is a built-in model"),
        (good.replace("'m'", "' '"), 1, 8, "1 to 100 printable characters"),
        (good.replace("formula", "fromula"), 2, 1, "unknown key `fromula`"),
        (good.replace("[para", "dose_unit = 'ug/mL'\n[para"), 3, 13, "needs a molar mass"),
        (good.replace("[para", "dose_unit = 'furlong'\n[para"), 3, 13, "unknown unit of dose"),
        (good.replace("[para", "name = 'n'\n[para"), 3, 1, "duplicate key"),
        (with("lower = 1\nupper = 1"), 5, 9, "the lower bound, 1, is not below the upper, 1"),
        (with("lower = 2e12"), 4, 9, "is not below"),
        (with("lower = 'a'"), 4, 9, "expected a number, found string"),
        (with("lower = inf"), 4, 9, "expected a finite number"),
        (with("upper = nan"), 4, 9, "expected a finite number"),
        (with("lower = 0\nupper = 1\nstart = [0.5, 2]"), 6, 15, "the start 2 is outside of the box, 0 to 1"),
        (with("per_dose = true\nstart = 2"), 5, 9, "outside of the tested range, 0 to 1"),
        (with("per_dose = 1"), 4, 12, "must be true or false"),
        (with("start = []"), 4, 9, "no start in the list"),
        (with("begin = 1"), 4, 1, "unknown key `begin`"),
        (with("[parameters.bottom]"), 4, 13, "the formula has no `bottom`"),
        (with("[parameters.dose]"), 4, 13, "`dose` has a meaning in every formula"),
        (with("[parameters.exp]"), 4, 13, "`exp` has a meaning in every formula"),
        (with("[parameters.'1st']"), 4, 13, "`1st` is not a name"),
        (with("[parameters.top]"), 4, 13, "duplicate key"),
        (with("[constants]\npi = 3"), 5, 1, "`pi` has a meaning"),
        (with("[constants]\nk = inf"), 5, 5, "expected a finite number"),
        (with("[constants]\ntop = 3"), 3, 13, "`top` is both a parameter and a constant"),
        (with("[constants]\nk = 1\nk = 2"), 6, 1, "duplicate key"),
        (with("[constants"), 4, 11, "`]`"),
    ] {
        let (found_line, found_column, found, _) = mistake(&text);
        assert!(found.contains(message), "{text}\n{found}");
        assert_eq!((found_line, found_column), (line, column), "{text}\n{found}");
    }
    let many: String = (0..=MAX_PARAMETERS).map(|i| format!("[parameters.p{i}]\n")).collect();
    assert!(
        mistake(&format!("name = 'm'\nformula = 'p0'\n{many}"))
            .2
            .contains(&format!("more than {MAX_PARAMETERS} parameters"))
    );
    let starts: String = (0..4).map(|i| format!("[parameters.p{i}]\nper_dose = true\n")).collect();
    let (_, _, message, _) = mistake(&format!("name = 'm'\nformula = 'p0*p1*p2*p3'\n{starts}"));
    assert!(message.contains("the starts up to `p3` make 625 combinations, the limit is 256"), "{message}");
}

#[test]
fn an_error_is_printed_like_this() {
    let (_, _, text, hint) = mistake(&file("top / (1 + dose / ec5O)"));
    insta::assert_snapshot!(format!("{text}\nhint: {hint}"), @r"
    `my.toml`, line 2, column 30: unknown name `ec5O`
      2 | formula = 'top / (1 + dose / ec5O)'
        |                              ^
    hint: did you mean `ec50`?
    ");
}

#[test]
fn nothing_nests_without_end() {
    // Long enough to overflow any stack that grows with it; the limit of length is tested apart from that of depth.
    for (piece, message) in [("(", "nested too deeply"), ("-", "nested too deeply"), ("2^", "nested too deeply")]
        .into_iter()
        .chain([("exp(", "nested too deeply"), ("-(", "nested too deeply"), ("+", "ends here"), ("1+", "ends here")])
    {
        let fitting = piece.repeat((MAX_FORMULA_BYTES - 10) / piece.len());
        let (_, _, text, _) = mistake(&file(&fitting));
        assert!(text.contains(message) || text.contains("empty"), "{piece}: {}", &text[..200.min(text.len())]);
        assert!(text.len() < 1000, "the excerpt is short");
        let (_, _, text, _) = mistake(&file(&piece.repeat(1_000_000)));
        assert!(text.contains("the limit is 10000"), "{piece}: {text}");
        assert!(text.len() < 1000);
    }
    let nested = |depth: usize| file(&format!("{}top{} * ec50", "(".repeat(depth), ")".repeat(depth)));
    assert!(FormulaFile::parse(&nested(MAX_NESTING), Path::new("my.toml")).is_ok());
    assert_eq!(mistake(&nested(MAX_NESTING + 1)).1, 12 + MAX_NESTING);
    let sum = file(&format!("top * ec50{}", " + x".repeat(2000)));
    assert!(FormulaFile::parse(&sum, Path::new("my.toml")).is_ok(), "a long sum is not deep");
    assert!(FormulaFile::parse(&"[".repeat(100_000), Path::new("my.toml")).is_err());
    assert!(FormulaFile::parse(&format!("a={}", "[".repeat(100_000)), Path::new("my.toml")).is_err());
    assert!(FormulaFile::parse(&format!("a={}", "{a=".repeat(100_000)), Path::new("my.toml")).is_err());
    assert!(FormulaFile::parse(&format!("{}=1", "a.".repeat(100_000)), Path::new("my.toml")).is_err());
}

#[test]
fn a_file_that_is_none_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("m.toml");
    assert!(matches!(FormulaFile::read(&path), Err(Error::File { .. })));
    std::fs::write(&path, [0x6e, 0xff, 0x00]).unwrap();
    assert!(FormulaFile::read(&path).unwrap_err().to_string().contains("is not UTF-8 text (byte 1)"));
    std::fs::write(&path, vec![b' '; (1 << 20) + 1]).unwrap();
    assert!(FormulaFile::read(&path).unwrap_err().to_string().contains("is larger than 1024 KiB"));
    std::fs::write(&path, file("top * ec50")).unwrap();
    assert_eq!(FormulaFile::read(&path).unwrap().formula_text, "top * ec50");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 600, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_text_panics(text in any::<String>(), formula in "[ -~\\nµ×²]{0,60}") {
        let _ = FormulaFile::parse(&text, Path::new("my.toml"));
        let _ = FormulaFile::parse(&file(&formula), Path::new("my.toml"));
        let _ = FormulaFile::parse(&format!("name='m'\nformula=\"\"\"{formula}\"\"\"\n[parameters.top]"), Path::new("m"));
    }

    #[test]
    fn no_formula_panics(pieces in prop::collection::vec(prop::sample::select(vec![
        "top", "ec50", "x", "ln_dose", "2", "0", ".5", "1e300", "3", "+", "-", "*", "/", "^", "(", ")", ",", "exp(", "ln(",
        "sqrt(", "min(", "tanh(", "zero", "pi",
    ]), 0..25), dose in prop::num::f64::ANY, a in prop::num::f64::ANY, b in prop::num::f64::ANY) {
        let text = file(&format!("top + ec50 + {}", pieces.join(" ")));
        if let Ok(model) = FormulaFile::parse(&text, Path::new("my.toml")) {
            let point = isobole::model::formula::PointVariables::at(dose, 1.0);
            let _ = model.expression.evaluate(&point, &[a, b]);
        }
    }
}
