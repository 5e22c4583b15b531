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
    /// By code in the batch at hand: a word, [`MISSING`] or [`UNKNOWN`].
    by_code: Vec<usize>,
    /// The bits of the last number and its word.
    last_number: Option<(u64, Option<usize>)>,
    last_word: usize,
}

const MISSING: usize = usize::MAX;
const UNKNOWN: usize = usize::MAX - 1;

impl<T> Default for Words<T> {
    fn default() -> Self {
        Self { words: Vec::new(), by_text: HashMap::new(), by_code: Vec::new(), last_number: None, last_word: UNKNOWN }
    }
}

impl<T: Default> Words<T> {
    /// Forgets what codes mean: every batch has its own.
    pub fn next_batch(&mut self) {
        self.by_code.clear();
        self.last_number = None;
    }

    /// The word of a row; `None` where it, or a part of it, is missing.
    pub fn find(&mut self, texts: &Texts<'_>, row: usize) -> Option<usize> {
        let number = match texts {
            Texts::Columns(columns) => match &columns[..] {
                [Column::Coded(codes, texts)] => return self.by_code(codes, texts, row),
                [Column::Whole(numbers)] if numbers.is_valid(row) => Some(numbers.value(row) as u64),
                [Column::Float(numbers)] if numbers.is_valid(row) => Some(numbers.value(row).to_bits()),
                _ => None,
            },
            Texts::Constant(_) => None,
        };
        let Some(number) = number else { return texts.get(row).map(|text| self.by_text(&text)) };
        match self.last_number {
            Some((last, word)) if last == number => word,
            _ => {
                let word = texts.get(row).map(|text| self.by_text(&text));
                self.last_number = Some((number, word));
                word
            }
        }
    }

    /// What is known of a word.
    pub fn get(&mut self, word: usize) -> &mut Word<T> {
        &mut self.words[word]
    }

    fn by_code(&mut self, codes: &Int32Array, texts: &StringArray, row: usize) -> Option<usize> {
        if !codes.is_valid(row) {
            return None;
        }
        let code = codes.value(row) as usize;
        if self.by_code.len() <= code {
            self.by_code.resize(texts.len().max(code + 1), UNKNOWN);
        }
        match self.by_code[code] {
            MISSING => None,
            UNKNOWN => {
                let text = if texts.is_valid(code) { texts.value(code).trim() } else { "" };
                let word = (!text.is_empty()).then(|| self.by_text(text));
                self.by_code[code] = word.unwrap_or(MISSING);
                word
            }
            word => Some(word),
        }
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
        let mut all = |texts: &Texts<'_>| (0..5).map(|row| words.find(texts, row)).collect::<Vec<_>>();
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
        assert_eq!(words.find(&column("a"), 0), Some(0));
        // The planted fault: without a word of the batch's end the old text would be found.
        assert_eq!(words.find(&column("b"), 0), Some(0));
        words.next_batch();
        assert_eq!(words.find(&column("b"), 0), Some(1));
    }
}
