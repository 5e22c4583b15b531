//! Columns of names, row by row: what was once found out about a text is not asked again.

use super::header::Source;
use super::parquet_file::ParquetFile;
use super::values;
use crate::Result;
use arrow::array::{Array, AsArray, Float64Array, Int32Array, Int64Array, RecordBatch, StringArray};
use arrow::datatypes::{DataType, Int32Type};
use std::borrow::Cow;
use std::collections::HashMap;

/// One column of a batch that holds names, as it was decoded.
pub(super) enum Column {
    Plain(StringArray),
    /// Numbers of texts, as most files store them.
    Coded(Int32Array, StringArray),
    Whole(Int64Array),
    Float(Float64Array),
}

impl Column {
    fn bind(file: &ParquetFile, batch: &RecordBatch, position: usize) -> Result<Self> {
        let array = batch.column(position);
        Ok(match array.data_type() {
            DataType::Float16 | DataType::Float32 | DataType::Float64 => {
                Column::Float(values::numbers(file, batch, position)?)
            }
            whole if values::is_integer(whole) => Column::Whole(values::integers(file, batch, position)?),
            _ => match array.as_dictionary_opt::<Int32Type>() {
                Some(coded) if coded.values().data_type() == &DataType::Utf8 => {
                    Column::Coded(coded.keys().clone(), coded.values().as_string::<i32>().clone())
                }
                _ => Column::Plain(values::text(file, batch, position)?),
            },
        })
    }

    /// The text of a row, trimmed and perhaps empty; `None` where there is none.
    fn get(&self, row: usize) -> Option<Cow<'_, str>> {
        match self {
            Column::Plain(texts) => texts.is_valid(row).then(|| Cow::Borrowed(texts.value(row).trim())),
            Column::Coded(codes, texts) => {
                let code = codes.is_valid(row).then(|| codes.value(row) as usize)?;
                texts.is_valid(code).then(|| Cow::Borrowed(texts.value(code).trim()))
            }
            Column::Whole(numbers) => numbers.is_valid(row).then(|| Cow::Owned(numbers.value(row).to_string())),
            // Tools that know no missing integers write 1003 as 1003.0.
            Column::Float(numbers) => {
                let number = numbers.is_valid(row).then(|| numbers.value(row)).filter(|number| number.is_finite())?;
                Some(Cow::Owned(number.to_string()))
            }
        }
    }
}

/// The columns of a batch that one of ours is made of.
pub(super) enum Texts<'a> {
    Columns(Vec<Column>),
    Constant(&'a str),
}

impl<'a> Texts<'a> {
    /// The columns of `source`, which lie in `batch` where `at` says.
    ///
    /// # Errors
    /// [`crate::Error::Format`] where a column cannot be read as text.
    pub fn bind(
        source: &'a Source,
        file: &ParquetFile,
        batch: &RecordBatch,
        at: impl Fn(usize) -> usize,
    ) -> Result<Self> {
        Ok(match source {
            Source::Constant(text) => Texts::Constant(text),
            Source::Columns(from) => {
                Texts::Columns(from.iter().map(|c| Column::bind(file, batch, at(*c))).collect::<Result<_>>()?)
            }
        })
    }

    /// The text of a row, trimmed; `None` where it, or a part of it, is missing.
    fn get(&self, row: usize) -> Option<Cow<'_, str>> {
        let text = match self {
            Texts::Constant(text) => Cow::Borrowed(text.trim()),
            Texts::Columns(columns) => match &columns[..] {
                [column] => column.get(row)?,
                columns => Cow::Owned(columns.iter().map(|c| c.get(row)).collect::<Option<Vec<_>>>()?.join("/")),
            },
        };
        (!text.is_empty()).then_some(text)
    }
}

/// A text that has been met, and what is known of it.
pub(super) struct Word<T> {
    pub text: String,
    pub known: T,
}

/// The texts of one of our columns that have been met: of one only, as codes are the column's own.
pub(super) struct Words<T> {
    words: Vec<Word<T>>,
    by_text: HashMap<String, usize>,
    /// The word of each row of the batch at hand, or [`MISSING`].
    of_row: Vec<u32>,
    /// By code in the batch at hand: a word, [`MISSING`] or [`UNKNOWN`].
    by_code: Vec<u32>,
    /// Numbers met of late and their words, each where its bits say; [`UNKNOWN`] where there is none yet.
    numbers: [(u64, u32); NUMBERS],
    last_word: usize,
}

const MISSING: u32 = u32::MAX;
const UNKNOWN: u32 = u32::MAX - 1;

/// Numbers remembered: names of drugs and plates come again and again.
const NUMBERS: usize = 64;

/// Where a number is remembered: by all of its bits, as floats of small whole numbers differ in the highest alone.
fn slot(number: u64) -> usize {
    (number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> (64 - NUMBERS.ilog2())) as usize
}

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self {
            words: Vec::new(),
            by_text: HashMap::new(),
            of_row: Vec::new(),
            by_code: Vec::new(),
            numbers: [(0, UNKNOWN); NUMBERS],
            last_word: usize::MAX,
        }
    }
}

impl<T: Default> Words<T> {
    /// Finds the words of a batch of so many rows: codes mean something else in every batch.
    pub fn read(&mut self, texts: &Texts<'_>, rows: usize) {
        let mut of_row = std::mem::take(&mut self.of_row);
        of_row.clear();
        let single = match texts {
            Texts::Columns(columns) => columns.as_slice(),
            Texts::Constant(_) => &[][..],
        };
        match single {
            [Column::Coded(codes, of_codes)] => {
                self.by_code.clear();
                self.by_code.resize(of_codes.len(), UNKNOWN);
                let word = |(row, code): (usize, &i32)| {
                    if codes.is_null(row) { MISSING } else { self.by_code(*code as usize, of_codes) }
                };
                of_row.extend(codes.values().iter().enumerate().map(word));
            }
            [Column::Whole(numbers)] => {
                let is_there = |row: usize| !numbers.is_null(row);
                let word = |(row, number): (usize, &i64)| {
                    if is_there(row) { self.by_number(*number as u64, texts, row) } else { MISSING }
                };
                of_row.extend(numbers.values().iter().enumerate().map(word));
            }
            [Column::Float(numbers)] => {
                let is_there = |row: usize| !numbers.is_null(row);
                let word = |(row, number): (usize, &f64)| {
                    if is_there(row) { self.by_number(number.to_bits(), texts, row) } else { MISSING }
                };
                of_row.extend(numbers.values().iter().enumerate().map(word));
            }
            [] => of_row.resize(rows, self.by_row(texts, 0)),
            _ => of_row.extend((0..rows).map(|row| self.by_row(texts, row))),
        }
        self.of_row = of_row;
    }

    /// The word of a row of the batch read last; `None` where it, or a part of it, is missing.
    #[inline]
    pub fn find(&self, row: usize) -> Option<usize> {
        self.of_row.get(row).filter(|word| **word != MISSING).map(|word| *word as usize)
    }

    /// What is known of the word of a row of the batch read last.
    #[inline]
    pub fn known(&self, row: usize) -> Option<&T> {
        self.find(row).map(|word| &self.words[word].known)
    }

    /// What is known of a word.
    #[inline]
    pub fn get(&mut self, word: usize) -> &mut Word<T> {
        &mut self.words[word]
    }

    fn by_row(&mut self, texts: &Texts<'_>, row: usize) -> u32 {
        texts.get(row).map_or(MISSING, |text| self.by_text(&text) as u32)
    }

    #[inline]
    fn by_number(&mut self, number: u64, texts: &Texts<'_>, row: usize) -> u32 {
        let (known, word) = self.numbers[slot(number)];
        if known == number && word != UNKNOWN {
            return word;
        }
        let word = self.by_row(texts, row);
        if word != MISSING {
            self.numbers[slot(number)] = (number, word);
        }
        word
    }

    #[inline]
    fn by_code(&mut self, code: usize, texts: &StringArray) -> u32 {
        match self.by_code.get(code) {
            Some(&UNKNOWN) | None => {}
            Some(word) => return *word,
        }
        let text = if code < texts.len() && texts.is_valid(code) { texts.value(code).trim() } else { "" };
        let word = if text.is_empty() { MISSING } else { self.by_text(text) as u32 };
        if let Some(known) = self.by_code.get_mut(code) {
            *known = word;
        }
        word
    }

    fn by_text(&mut self, text: &str) -> usize {
        if self.words.get(self.last_word).is_some_and(|last| last.text == text) {
            return self.last_word;
        }
        self.last_word = match self.by_text.get(text) {
            Some(word) => *word,
            None => {
                self.words.push(Word { text: text.to_owned(), known: T::default() });
                self.by_text.insert(text.to_owned(), self.words.len() - 1);
                self.words.len() - 1
            }
        };
        self.last_word
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_a_text_is_stored_it_is_the_same_word() {
        let plain = StringArray::from(vec![Some(" 7 "), None, Some(""), Some("b"), Some("7")]);
        let codes = Int32Array::from(vec![Some(1), None, Some(0), Some(2), Some(1)]);
        let coded = Column::Coded(codes, StringArray::from(vec![Some(" "), Some("7 "), Some("b")]));
        let mut words = Words::<u8>::default();
        let mut all = |texts: &Texts<'_>| {
            words.read(texts, 5);
            (0..5).map(|row| words.find(row)).collect::<Vec<_>>()
        };
        let expected = [Some(0), None, None, Some(1), Some(0)];
        assert_eq!(all(&Texts::Columns(vec![Column::Plain(plain)])), expected);
        assert_eq!(all(&Texts::Columns(vec![coded])), expected);
        let numbers = [Some(7), None, Some(7), Some(8), Some(7)];
        let expected = [Some(0), None, Some(0), Some(2), Some(0)];
        assert_eq!(all(&Texts::Columns(vec![Column::Whole(numbers.to_vec().into())])), expected);
        let floats = numbers.map(|n: Option<i64>| n.map(|n| n as f64));
        assert_eq!(all(&Texts::Columns(vec![Column::Float(floats.to_vec().into())])), expected);
        let nans = Column::Float(vec![f64::NAN; 5].into());
        assert_eq!(all(&Texts::Columns(vec![nans])), [None; 5]);
        assert_eq!(all(&Texts::Constant(" b ")), [Some(1); 5]);
        words.get(1).known = 3;
        let word = words.get(1);
        assert_eq!((word.text.as_str(), word.known), ("b", 3));
    }

    #[test]
    fn the_codes_of_another_batch_are_other_texts() {
        let column =
            |text: &str| Texts::Columns(vec![Column::Coded(Int32Array::from(vec![0]), StringArray::from(vec![text]))]);
        let mut words = Words::<()>::default();
        let mut first = |texts: &Texts<'_>| {
            words.read(texts, 1);
            (words.find(0), words.find(1))
        };
        assert_eq!(first(&column("a")), (Some(0), None));
        assert_eq!(first(&column("b")), (Some(1), None));
        assert_eq!(first(&column("a")), (Some(0), None));
    }
}
