//! `LINES.csv` and `[lines]`.

use super::*;
use isobole::screen::line::LineStatus;

#[test]
fn lines_are_annotated_and_their_mistakes_named_by_line() {
    let folder = TempDir::new().unwrap();
    let (plates, lines) = (folder.path().join("plates.parquet"), folder.path().join("lines.csv"));
    write(&plates, with("cell_line", text(&["HL-60", "HL-60", "HL/CAFdA20", ""])));
    let read = |csv: &str, toml: &str| {
        std::fs::write(&lines, csv).unwrap();
        read_screen(std::slice::from_ref(&plates), &mapping(toml), Some(&lines))
    };
    let csv = "\u{feff}cell_line,passage,parental,status,mechanism\r\nHL-60,3,,parental,\r\n\
               hl/cafda20,,HL-60,resistant,\"dCK low, BCL-2 up\"\r\nK-562,,,sensitive,\r\n";
    let screen = read(csv, "[lines.'HL-60']\nstatus = 'sensitive'").unwrap();
    let (parent, subline) = (screen.annotation(0), screen.annotation(1));
    assert_eq!((parent.status, parent.parental), (Some(LineStatus::Parental), None), "the CSV goes before the TOML");
    assert_eq!((subline.status, subline.parental), (Some(LineStatus::Resistant), Some(0)));
    assert_eq!(subline.mechanism.as_deref(), Some("dCK low, BCL-2 up"));
    assert_eq!(screen.warnings, ["line `K-562` is described and not in the screen"]);
    let screen = read("cell_line,parental\nHL/CAFdA20,HL60\n", "").unwrap();
    assert_eq!(screen.warnings, ["`HL60`, the parent of `HL/CAFdA20`, is not in the screen"]);

    let message = |csv: &str| {
        let error = read(csv, "").unwrap_err();
        let message = error.to_string();
        message.rsplit_once("lines.csv`: ").map_or(message.clone(), |(_, tail)| tail.to_owned())
    };
    assert_eq!(message(""), "line 1: no column names");
    assert_eq!(message("line,status\n"), "line 1: no column `cell_line`; it has `line`, `status`");
    assert_eq!(
        message("cell_line,status\nA,\nB,resistent\n"),
        "line 3: unknown status `resistent`, expected one of `parental`, `resistant`, `sensitive`, `normal`"
    );
    assert_eq!(message("cell_line,status\nA,\n,resistant\n"), "line 3: no cell line");
    assert_eq!(message("cell_line,status\nA,\nA,\n"), "line 3: `A` is named twice");
    assert!(
        message("cell_line,status\nA,\nB,resistant,x\n").contains("line 3"),
        "{}",
        message("cell_line,status\nA,\nB,resistant,x\n")
    );
    assert_eq!(message("cell_line,parental\nA,A\n"), "line `A` is said to be its own parent");
    assert_eq!(message("cell_line,parental\nA,B\nB,A\n"), "the parents of line `A` go round in a circle");
    std::fs::write(&lines, b"cell_line\nA\n\xff\n").unwrap();
    let error = read_screen(std::slice::from_ref(&plates), &Mapping::default(), Some(&lines)).unwrap_err();
    assert!(error.to_string().ends_with("line 3: is not UTF-8 text"), "{error}");
}
