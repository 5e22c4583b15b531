use isobole::Error;
use isobole::report::files;
use isobole::report::run_json::{InputFile, RunIdentity, RunRecord};
use isobole::report::table::{Table, Values};
use isobole::screen::names::Names;
use std::fs;
use std::path::Path;

fn identity() -> RunIdentity {
    RunIdentity::new(&serde_json::json!({"b": 1, "a": [2, {"d": 3, "c": 4}]}))
}

fn names(texts: &[&str]) -> Names {
    let mut names = Names::default();
    for text in texts {
        names.intern(text);
    }
    names
}

fn sample() -> Table {
    let drugs = names(&["clofarabine", "=cmd()", "", "Ωmega, \"x\"\nline"]);
    Table::new("pairs")
        .named("drug", &drugs, [Some(0), Some(1), None, Some(2), Some(3)])
        .text("detail", [Some("plain"), None, Some("-1"), Some(""), Some(" padded ")])
        .code("status", [Some("ok"), Some("ok"), Some("failed"), None, Some("ok")])
        .number("score", [Some(0.1 + 0.2), Some(-0.0), None, Some(1e-9), Some(5e300)])
        .integer("n", [Some(i64::MIN), Some(0), None, Some(i64::MAX), Some(3)])
        .flag("used", [Some(true), Some(false), None, Some(true), None])
}

#[test]
fn a_table_comes_back_as_it_was() {
    let dir = tempfile::tempdir().unwrap();
    let path = files::write(&sample(), dir.path(), &identity(), false).unwrap();
    let read = files::read(&path).unwrap();
    assert_eq!(read, sample());
    assert_eq!(files::read_identity(&path).unwrap(), identity());
    // The comparison must see one changed cell.
    let mut other = sample();
    if let Values::Named(_, ids) = &mut other.columns[0].values {
        ids[4] = Some(0);
    }
    assert_ne!(read, other);
}

#[test]
fn equal_tables_are_equal_bytes_at_any_number_of_threads() {
    let write = |threads: usize| {
        let dir = tempfile::tempdir().unwrap();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        let path = pool.install(|| files::write(&sample(), dir.path(), &identity(), true)).unwrap();
        let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
        assert_eq!(left.len(), 2, "only the two finished files stay: {left:?}");
        (fs::read(path).unwrap(), fs::read(dir.path().join("pairs.csv")).unwrap())
    };
    assert_eq!(write(1), write(3));
}

#[test]
fn many_row_groups_and_no_rows_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let plates = names(&["P1", "P2", "P3"]);
    for rows in [0_u32, 1, (1 << 20) + 70_001] {
        let table = Table::new("wells")
            .named("plate_id", &plates, (0..rows).map(|i| Some(i % 3)))
            .text("detail", (0..rows).map(|i| (i % 1000 == 0).then(|| format!("row {i}"))))
            .number("response", (0..rows).map(|i| Some(f64::from(i) * 0.1)));
        let path = files::write(&table, dir.path(), &identity(), false).unwrap();
        assert!(files::read(&path).unwrap() == table, "{rows} rows");
    }
}

#[test]
fn csv_quotes_what_could_be_misread_and_changes_no_text() {
    let dir = tempfile::tempdir().unwrap();
    files::write(&sample(), dir.path(), &identity(), true).unwrap();
    let text = fs::read_to_string(dir.path().join("pairs.csv")).unwrap();
    let expected = "drug,detail,status,score,n,used\n\
        clofarabine,plain,ok,0.30000000000000004,-9223372036854775808,true\n\
        \"=cmd()\",,ok,-0,0,false\n\
        ,\"-1\",failed,,,\n\
        \"\",\"\",,1e-9,9223372036854775807,true\n\
        \"Ωmega, \"\"x\"\"\nline\",\" padded \",ok,5e300,3,\n";
    assert_eq!(text, expected);
}

#[test]
fn what_is_not_finite_is_null() {
    let dir = tempfile::tempdir().unwrap();
    let mut table = Table::new("t").number("x", [Some(f64::NAN), Some(f64::INFINITY), Some(1.0)]);
    assert_eq!(table.columns[0].values, Values::Number(vec![None, None, Some(1.0)]));
    table.columns[0].values = Values::Number(vec![Some(f64::NAN), None, Some(1.0)]);
    let path = files::write(&table, dir.path(), &identity(), true).unwrap();
    assert_eq!(files::read(&path).unwrap().column("x"), Some(&Values::Number(vec![None, None, Some(1.0)])));
    assert_eq!(fs::read_to_string(dir.path().join("t.csv")).unwrap(), "x\n\n\n1\n");
}

#[test]
fn tables_that_do_not_fit_together_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let refused = |table: Table, what: &str| {
        let problem = files::write(&table, dir.path(), &identity(), false).unwrap_err().to_string();
        assert!(problem.contains(what), "{problem}");
        assert!(!dir.path().join("t.parquet").exists());
    };
    refused(Table::new("t"), "no columns");
    refused(Table::new("t").integer("a", [Some(1)]).integer("b", [Some(1), None]), "has 2 rows, not 1");
    refused(Table::new("t").integer("a", [Some(1)]).flag("a", [None]), "two columns `a`");
    refused(Table::new("t").named("a", &names(&["x"]), [Some(1)]), "names nothing in row 0");
}

#[test]
fn files_that_are_no_tables_are_errors_with_their_name() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("x.parquet");
    assert!(matches!(files::read(&path), Err(Error::File { .. })));
    fs::write(&path, b"PAR1 but not really PAR1").unwrap();
    assert!(files::read(&path).unwrap_err().to_string().contains("x.parquet"));
    let whole = files::write(&sample(), dir.path(), &identity(), false).unwrap();
    let bytes = fs::read(&whole).unwrap();
    fs::write(&path, &bytes[..bytes.len() / 2]).unwrap();
    assert!(matches!(files::read(&path), Err(Error::Format { .. })));
}

#[test]
fn a_failed_write_leaves_what_was_there() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("note.txt");
    files::write_whole(&path, |out| out.write_all(b"first")).unwrap();
    let failed = files::write_whole(&path, |out| {
        out.write_all(b"second")?;
        Err(std::io::Error::other("disk full"))
    });
    assert!(failed.unwrap_err().to_string().contains("note.txt"));
    assert_eq!(fs::read(&path).unwrap(), b"first");
    assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 1);
}

#[test]
fn an_output_folder_that_cannot_be_is_named() {
    let dir = tempfile::tempdir().unwrap();
    files::prepare(&dir.path().join("a/b")).unwrap();
    assert_eq!(fs::read_dir(dir.path().join("a/b")).unwrap().count(), 0);
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let problem = files::prepare(&file.join("below")).unwrap_err().to_string();
    assert!(problem.contains("file"), "{problem}");
}

#[test]
fn run_json_refuses_lost_wells_and_comes_back() {
    let dir = tempfile::tempdir().unwrap();
    let mut record = RunRecord::new(serde_json::json!({"seed": 7}), "cpu", "avx2", 7);
    record.counts.wells_in = 10;
    record.counts.wells_used = 8;
    record.counts.wells_rejected = 1;
    assert!(record.write(dir.path()).unwrap_err().to_string().contains("10 wells came in"));
    record.counts.wells_rejected = 2;
    assert!(record.write(dir.path()).unwrap_err().to_string().contains("account for 0"));
    assert!(!dir.path().join("run.json").exists());
    record.counts.rejected_by_reason.insert("no_signal".into(), 2);
    let input = dir.path().join("plates.parquet");
    fs::write(&input, b"abc").unwrap();
    record.inputs.push(InputFile::of(&input).unwrap());
    // FIPS 180-2, appendix B.1: the message "abc".
    assert_eq!(record.inputs[0].sha256, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    assert_eq!(record.inputs[0].bytes, 3);
    record.write(dir.path()).unwrap();
    assert_eq!(RunRecord::read(dir.path()).unwrap(), record);
    assert!(InputFile::of(Path::new("no/such/file")).is_err());
}

#[test]
fn the_settings_hash_ignores_the_order_of_keys_and_nothing_else() {
    let hash = |text: &str| RunIdentity::new(&serde_json::from_str(text).unwrap()).settings_sha256;
    assert_eq!(hash(r#"{"a": 1, "b": {"x": 2, "y": 3}}"#), hash(r#"{"b": {"y": 3, "x": 2}, "a": 1}"#));
    assert_ne!(hash(r#"{"a": [1, 2]}"#), hash(r#"{"a": [2, 1]}"#));
    // Of the bytes `{}`, by sha256sum.
    assert_eq!(hash("{}"), "44136fa355b3678a1146ad16f7e8649e94fb4fc21fe77e8310c060f61caaff8a");
}
