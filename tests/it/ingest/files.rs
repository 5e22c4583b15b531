//! A file wrong in one thing: the exact sentence, and never a panic.

use super::*;
use arrow::array::BooleanArray;
use isobole::Error;
use std::path::PathBuf;

/// A table, a `screen.toml`, the message and the hint.
type Case = (Vec<(&'static str, ArrayRef)>, &'static str, String, &'static str);

#[test]
fn what_is_wrong_with_a_file_is_said_in_one_sentence() {
    let all = "`plate_id`, `well`, `cell_line`, `role`, `drug_a`, `conc_a`, `conc_unit`, `signal`";
    let left_out = |name: &str| all.replace(&format!(", `{name}`"), "");
    let cases: Vec<Case> = vec![
        (
            without("signal"),
            "",
            format!("`plates.parquet`: has no column `signal` (and none of `response`); it has {}", left_out("signal")),
            "name it: --column signal=\"THEIR NAME\", or `signal = \"THEIR NAME\"` under [columns]",
        ),
        (
            vec![("well", text(&["A01"])), ("signal", numbers(&[1.0]))],
            "",
            "`plates.parquet`: has no column `role` (and no `drug_a` to tell samples from vehicles); it has `well`, `signal`".into(),
            "name it: --column role=\"THEIR NAME\", or `role = \"THEIR NAME\"` under [columns]",
        ),
        (
            without("conc_a"),
            "",
            format!("`plates.parquet`: has no column `conc_a` (`drug_a` is there); it has {}", left_out("conc_a")),
            "name it: --column conc_a=\"THEIR NAME\", or `conc_a = \"THEIR NAME\"` under [columns]",
        ),
        (
            without("conc_unit"),
            "",
            "`plates.parquet`: nothing says the unit of `conc_a`".into(),
            "give it: --conc-unit uM, or `conc = \"uM\"` under [units]",
        ),
        (
            good(),
            "[columns]\ncell_line = 'cell_lin'",
            format!("`plates.parquet`: has no column `cell_lin`, which `columns.cell_line` names; it has {all}"),
            "did you mean `cell_line`?",
        ),
        (
            with("signal", text(&["1", "2", "3", "4"])),
            "",
            "`plates.parquet`, column `signal`: holds text, but `signal` must be numbers".into(),
            "",
        ),
        (
            with("conc_a", Arc::new(BooleanArray::from(vec![true; 4]))),
            "",
            "`plates.parquet`, column `conc_a`: holds true or false, but `conc_a` must be numbers".into(),
            "",
        ),
        (
            with("conc_unit", text(&["uM", "uMol", "nM", ""])),
            "",
            "`plates.parquet`: unknown unit `uMol`, expected one of `M`, `mM`, `uM`, `nM`, `pM`, `mg/mL`, `ug/mL`, `ng/mL`".into(),
            "",
        ),
        (
            with("conc_unit", text(&["uM", "ng/mL", "nM", ""])),
            "",
            "`plates.parquet`: doses of `clofarabine` are mass per volume, and its molar mass is not known".into(),
            "give it in g/mol: --molar-mass \"clofarabine=…\", or under [units.molar_mass]",
        ),
        (
            good(),
            "[units]\nconc = 'nM'",
            "`plates.parquet`: doses are in uM by their column, and in nM by the unit that was given".into(),
            "leave the given unit out, or say that there is no such column: conc_unit = \"\"",
        ),
        (
            with("viability_pct", numbers(&[100.0; 4])),
            "",
            "`plates.parquet`: columns `signal` and `viability_pct` could both be the reading".into(),
            "say which: --column signal=\"signal\"",
        ),
        (
            with("Signal", numbers(&[100.0; 4])),
            "",
            "`plates.parquet`: columns `signal` and `Signal` both stand for `signal`".into(),
            "say which: --column signal=…",
        ),
        (
            good(),
            "[response]\norientation = 'viability'\nscale = 'percent'",
            "`plates.parquet`, column `signal`: is signal by its name, and viability by the orientation that was given".into(),
            "rename the column if its name is wrong",
        ),
        (
            good(),
            "[roles]\nsample = ['s*']\nblank = ['sam*']",
            "setting `roles`: `sample` is both sample and blank".into(),
            "name the value itself under the role that is meant: it goes before globs",
        ),
    ];
    for (columns, toml, message, hint) in cases {
        let (found, found_hint) = refusal(read(columns, toml));
        assert_eq!(found, message);
        assert_eq!(found_hint.unwrap_or_default(), hint, "{message}");
    }
    let masses = "[units.molar_mass]\nclofarabine = 303.68";
    let screen = read(with("conc_unit", text(&["uM", "ng/mL", "nM", ""])), masses).unwrap();
    let dose = screen.wells.treatments(1)[0].unwrap().dose;
    assert!((dose - 1e-6 / 303.68).abs() < 1e-20, "1 ng/mL of 303.68 g/mol, not {dose}");
}

#[test]
fn files_that_are_not_whole_parquet_say_so() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("plates.parquet");
    let read = |path: &PathBuf| refusal(read_screen(std::slice::from_ref(path), &Mapping::default(), None));
    let error = read_screen(std::slice::from_ref(&path), &Mapping::default(), None).unwrap_err();
    assert!(matches!(&error, Error::File { action: "read", path: p, .. } if *p == path), "{error}");
    assert_eq!(refusal(read_screen(&[], &Mapping::default(), None)).0, "no plate files");

    std::fs::write(&path, "").unwrap();
    assert_eq!(read(&path).0, "`plates.parquet`: is empty");
    std::fs::write(&path, "plate_id,well,signal\nP1,A01,3\n").unwrap();
    let hint = "tables are read as Parquet, and as text from .csv and .tsv; for other formats: isobole import --list";
    assert_eq!(read(&path), ("`plates.parquet`: is not a Parquet file".into(), Some(hint.into())));

    write(&path, good());
    let bytes = std::fs::read(&path).unwrap();
    std::fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let length = bytes.len() - 1;
    let cut = format!("`plates.parquet`: is cut off: its {length} bytes do not end as a Parquet file ends");
    assert_eq!(read(&path), (cut, Some("copy or export it again".into())));

    let none = good().into_iter().map(|(name, array)| (name, array.slice(0, 0))).collect();
    write(&path, none);
    assert_eq!(read(&path).0, "`plates.parquet`: has no rows");
    let folder_itself = folder.path().join("folder");
    std::fs::create_dir(&folder_itself).unwrap();
    let (message, hint) = read(&folder_itself);
    assert!(message.ends_with("folder`: is a folder") && hint.unwrap().ends_with("*.parquet"), "{message}");

    write(&path, good());
    let twice = read_screen(&[path.clone(), folder.path().join("./plates.parquet")], &Mapping::default(), None);
    assert!(refusal(twice).0.ends_with("is given twice"));
}

#[test]
fn a_damaged_page_is_named_by_row_group_and_column() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("plates.parquet");
    write(&path, good());
    let mut bytes = std::fs::read(&path).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    let metadata = parquet::file::metadata::ParquetMetaDataReader::new().parse_and_finish(&file).unwrap();
    let chunk = metadata.row_group(1).column(5);
    assert_eq!(chunk.column_path().string(), "conc_a");
    let (start, length) = chunk.byte_range();
    bytes[start as usize..(start + length) as usize].fill(0xff);
    std::fs::write(&path, bytes).unwrap();
    let (message, hint) = refusal(read_screen(&[path], &Mapping::default(), None));
    assert!(message.starts_with("`plates.parquet`, row group 1, column `conc_a`: cannot be decoded: "), "{message}");
    assert_eq!(hint.as_deref(), Some("the file is damaged: copy or export it again"));
}

/// Every prefix, and every byte changed in two ways: an error or a screen in which no row is lost, never a panic.
#[test]
fn no_damage_to_a_file_panics_or_loses_a_row() {
    let folder = TempDir::new().unwrap();
    let path = folder.path().join("plates.parquet");
    write(&path, good());
    let bytes = std::fs::read(&path).unwrap();
    let mut refused = 0;
    let mut attempt = |bytes: &[u8]| {
        std::fs::write(&path, bytes).unwrap();
        match read_screen(std::slice::from_ref(&path), &Mapping::default(), None) {
            Ok(screen) => {
                assert_eq!(screen.wells.len() + screen.rejected.len(), screen.wells_in);
                assert!(screen.wells.iter().all(|well| well.signal.is_finite() && well.signal >= 0.0));
                assert!(screen.wells.iter().flat_map(|w| w.named()).all(|t| t.dose.is_finite() && t.dose >= 0.0));
            }
            Err(error) => {
                refused += 1;
                assert!(!error.to_string().is_empty());
            }
        }
    };
    for length in 0..bytes.len() {
        attempt(&bytes[..length]);
    }
    for at in 0..bytes.len() {
        for flip in [0xff, 0x01] {
            let mut damaged = bytes.clone();
            damaged[at] ^= flip;
            attempt(&damaged);
        }
    }
    assert!(refused >= bytes.len(), "every prefix at least must be refused: {refused}");
}

#[test]
fn raw_and_normalised_plates_do_not_mix() {
    let folder = TempDir::new().unwrap();
    let (raw, normalised) = (folder.path().join("raw.parquet"), folder.path().join("viability.parquet"));
    write(&raw, good());
    let mut columns = without("signal");
    columns.push(("viability_frac", numbers(&[1.0, 0.5, 0.7, 0.0])));
    write(&normalised, columns);
    let error = read_screen(&[raw, normalised], &Mapping::default(), None).unwrap_err();
    assert!(error.to_string().contains("holds normalised responses, and `"), "{error}");
}

/// Texts stored as codes, as themselves, and first the one and then the other, are the same wells.
#[test]
fn however_texts_are_stored_the_wells_are_the_same() {
    let n = 3000;
    let named =
        |name: fn(usize) -> String| -> ArrayRef { Arc::new(StringArray::from_iter((0..n).map(|i| Some(name(i))))) };
    let columns = vec![
        ("plate_id", named(|i| format!("plate {}", i / 300))),
        ("well", named(|i| format!("{}{}", char::from(b'A' + (i % 300 / 24) as u8), i % 24 + 1))),
        ("role", named(|i| if i % 7 == 0 { "vehicle".into() } else { "sample".into() })),
        ("drug_a", named(|i| if i % 7 == 0 { "DMSO".into() } else { format!("drug number {}", i * 31 % 977) })),
        ("conc_a", Arc::new(Float64Array::from_iter((0..n).map(|i| (i % 7 > 0).then_some(1.0)))) as ArrayRef),
        ("conc_unit", named(|i| if i % 3 == 0 { "nM".into() } else { "uM".into() })),
        ("signal", numbers(&(0..n).map(|i| i as f64).collect::<Vec<_>>())),
    ];
    let batch = RecordBatch::try_from_iter_with_nullable(columns.into_iter().map(|(n, a)| (n, a, true))).unwrap();
    let folder = TempDir::new().unwrap();
    let read_batch = |batch: &RecordBatch, properties: WriterProperties| {
        let path = folder.path().join("plates.parquet");
        let file = std::fs::File::create(&path).unwrap();
        let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties)).unwrap();
        writer.write(batch).unwrap();
        writer.close().unwrap();
        let screen = read_screen(&[path], &mapping(""), None).unwrap();
        let names = |names: &isobole::screen::names::Names| names.iter().map(str::to_owned).collect::<Vec<_>>();
        (format!("{:?}", screen.wells), names(&screen.drugs), names(&screen.plates))
    };
    let read = |properties: WriterProperties| read_batch(&batch, properties);
    let builder = WriterProperties::builder;
    let plain = read(builder().set_dictionary_enabled(false).build());
    assert!(
        plain.0.len() > 100 * n && plain.1.len() > 800 && plain.2.len() == 10,
        "{} {}",
        plain.1.len(),
        plain.2.len()
    );
    assert!(plain == read(builder().build()), "codes");
    let both =
        builder().set_dictionary_page_size_limit(4000).set_data_page_row_count_limit(500).set_write_batch_size(100);
    assert!(plain == read(both.build()), "codes, then texts");
    assert!(plain == read(builder().set_max_row_group_row_count(Some(700)).build()), "codes of several groups");
    // The planted fault: another unit in one row is seen.
    let mut columns = batch.columns().to_vec();
    columns[5] = named(|i| if i % 3 == 0 || i == 2000 { "nM".into() } else { "uM".into() });
    let other = RecordBatch::try_new(batch.schema(), columns).unwrap();
    assert!(plain.0 != read_batch(&other, builder().build()).0);
}
