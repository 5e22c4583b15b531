//! Other tools' files in: real ones and small ones, round through `run`; and files that are wrong in one thing.

mod bad;
mod command;
mod grids;
mod tables;
mod workbook;

use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use isobole::config::{ScreenFile, Settings};
use isobole::import::{Format, ImportSettings, Imported, import, write};
use isobole::ingest::read_screen;
use isobole::run::{Extent, Finished, run};
use isobole::screen::Screen;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use std::path::{Path, PathBuf};

/// A folder with the files of a test.
pub struct Bench {
    folder: tempfile::TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap() }
    }

    pub fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// Imports, writes and reads back: the screen that `run` would see, from the file as it is.
    pub fn round(&self, format: Format, files: &[PathBuf], settings: &ImportSettings) -> (Imported, Screen) {
        let imported = import(format, files, settings).unwrap_or_else(|e| panic!("{e} ({:?})", e.hint()));
        let out = self.plates();
        let written = write(&imported, &out, format).unwrap();
        assert_eq!(written.len(), 1 + usize::from(!imported.rejected.is_empty()));
        let screen = read(&out, "");
        assert_eq!(screen.wells_in, imported.wells(), "every well is a row");
        (imported, screen)
    }

    /// What [`Bench::round`] wrote.
    pub fn plates(&self) -> PathBuf {
        self.folder.path().join("plates.parquet")
    }

    /// Runs what [`Bench::round`] wrote, without a word about its columns.
    pub fn run(&self, extent: Extent, said: &str) -> Finished {
        let text = format!("backend = 'cpu'\nbootstrap = 0\n{said}");
        let file: ScreenFile = toml::from_str(&text).unwrap();
        let settings = Settings::resolve(file, vec![self.plates()], self.folder.path().join("out")).unwrap();
        run(&settings, extent, "import", &mut |_, _| {}).unwrap_or_else(|e| panic!("{e} ({:?})", e.hint()))
    }

    /// The message and hint of an import that must fail.
    pub fn error(&self, format: Format, files: &[PathBuf], settings: &ImportSettings) -> (String, String) {
        let error = import(format, files, settings).map(|i| i.wells()).unwrap_err();
        let message = error.to_string().replace(&format!("{}/", self.folder.path().display()), "");
        (message, error.hint().unwrap_or_default().to_owned())
    }
}

/// A screen from a Parquet file and what is said of its columns.
pub fn read(path: &Path, said: &str) -> Screen {
    let file: ScreenFile = toml::from_str(said).unwrap();
    let settings = Settings::resolve(file, vec![path.to_owned()], "out".into()).unwrap();
    read_screen(&settings.inputs, &settings.mapping, None).unwrap_or_else(|e| panic!("{e} ({:?})", e.hint()))
}

/// A column of a Parquet file as text, empty for nulls.
pub fn column(path: &Path, name: &str) -> Vec<String> {
    let file = std::fs::File::open(path).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap().build().unwrap();
    let mut texts = Vec::new();
    for batch in reader {
        let batch = batch.unwrap();
        let array = cast(batch.column_by_name(name).unwrap_or_else(|| panic!("no {name}")), &DataType::Utf8).unwrap();
        let array = array.as_string::<i32>();
        texts.extend(
            (0..array.len()).map(|i| if array.is_valid(i) { array.value(i).to_owned() } else { String::new() }),
        );
    }
    texts
}

/// Columns under other names as delimited text; `keep` sees the cells of a row.
pub fn delimited(header: &[&str], columns: &[Vec<String>], mark: char, keep: impl Fn(&[&str]) -> bool) -> String {
    let mut text = header.join(&mark.to_string()) + "\n";
    for row in 0..columns[0].len() {
        let cells: Vec<&str> = columns.iter().map(|column| column[row].as_str()).collect();
        if keep(&cells) {
            text += &(cells.join(&mark.to_string()) + "\n");
        }
    }
    text
}

/// What a well says, apart from its plate: line, place, drugs with molar doses, reading. Sorted, so that screens compare.
pub fn contents(screen: &Screen) -> Vec<String> {
    let mut all: Vec<String> = screen
        .wells
        .iter()
        .map(|well| {
            let mut drugs: Vec<String> =
                well.active().map(|t| format!("{} {:.9e}", screen.drugs.name(t.drug), t.dose)).collect();
            drugs.sort();
            let line = well.line.map_or("", |line| screen.lines.name(line));
            format!("{line} {:?} {drugs:?} {:.12e}", well.position, well.signal)
        })
        .collect();
    all.sort();
    all
}
