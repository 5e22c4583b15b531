//! Curves out of a plain table, as a stream: rows of one curve that stand together in the file are a curve as soon as
//! the key changes, so that memory holds a few rounds of rows and eight bytes a curve, however long the file.
//!
//! A key that comes back later would make two curves of one. It is noticed by the hashes of all keys ([`Next::KeyReturned`]):
//! the caller then starts anew with the whole table in memory ([`super::read_long`]). Two keys with one 64-bit hash
//! cost the same detour (about 3 in a million for ten million curves), and never a wrong curve.

use super::long::{LongFile, LongMapping, Reading};
use super::parquet_file::GroupReader;
use crate::screen::dose_matrix::{Curve, CurveKey, CurvePoint};
use crate::screen::response::ScaleEvidence;
use crate::{Error, Result};
use arrow::array::{Array, Int64Array, RecordBatch, StringArray};
use rayon::prelude::*;
use std::path::Path;

/// Curves of a block: what is fitted and written at a time.
pub const BLOCK_CURVES: usize = 65_536;
/// Rows decoded at a time, unless a row group that is read side by side with others is larger.
const ROUND_ROWS: u64 = 1 << 19;

/// A row left out: its number in the file from 1, reason code, what was seen.
pub type RejectedRow = (u64, &'static str, String);

/// The values of one key column, one a curve. Whole numbers stay numbers.
#[derive(Debug, Clone, PartialEq)]
pub enum KeyValues {
    /// Of a column of whole numbers.
    Integer(Vec<i64>),
    /// Of any other column.
    Text(Vec<String>),
}

/// Curves and what names them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct CurveBlock {
    /// The key columns, in the order of [`LongMapping::group`].
    pub keys: Vec<KeyValues>,
    /// The curves; their `key` says nothing.
    pub curves: Vec<Curve>,
    /// The second variable of each curve's points; of none where the table has none.
    pub x2: Vec<Vec<f64>>,
}

/// A row of a curve.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CurveRow {
    /// Molar dose.
    pub dose: f64,
    /// The second variable; 0 where there is none.
    pub x2: f64,
    /// Viability.
    pub response: f64,
}

/// A piece of the file.
#[derive(Debug, Clone, Default)]
pub struct Round {
    /// Curves in the order in which their keys first appeared; [`BLOCK_CURVES`] each but for the last of the file.
    pub blocks: Vec<CurveBlock>,
    /// Rows left out.
    pub rejected: Vec<RejectedRow>,
    /// Rows read.
    pub rows_in: usize,
    /// Rows used.
    pub rows_used: usize,
}

/// What [`CurveStream::next_round`] found.
#[derive(Debug)]
pub enum Next {
    /// More of the file.
    Round(Round),
    /// The file is read, and every key stood together.
    End,
    /// Rows of one curve stand in several places of the file: what was given so far is not to be used.
    KeyReturned,
}

/// A plain table with one dose column on its way in.
pub struct CurveStream {
    long: LongFile,
    /// The row group to be read next, and the number of its first row.
    next_group: usize,
    first_row: u64,
    /// A row group too large for one round.
    partly_read: Option<GroupReader>,
    /// The curve at the end of what was read: more of it may come.
    open: Option<OpenCurve>,
    gathered: CurveBlock,
    finished: FinishedKeys,
    scale: ScaleEvidence,
    ended: bool,
}

impl CurveStream {
    /// Opens a table.
    ///
    /// # Errors
    /// As for [`super::read_long`]; [`Error::Setting`] for more than one dose column.
    pub fn open(path: &Path, mapping: &LongMapping) -> Result<Self> {
        if mapping.doses.len() != 1 {
            let found = mapping.doses.len();
            return Err(Error::setting("dose", format!("{found} dose columns; a curve has one")));
        }
        let long = LongFile::open(path, mapping)?;
        let gathered = CurveBlock { keys: no_keys(&long), ..CurveBlock::default() };
        Ok(Self {
            long,
            next_group: 0,
            first_row: 0,
            partly_read: None,
            open: None,
            gathered,
            finished: FinishedKeys::default(),
            scale: ScaleEvidence::default(),
            ended: false,
        })
    }

    /// The key columns of no curve, which have the types of those to come.
    pub fn no_keys(&self) -> Vec<KeyValues> {
        no_keys(&self.long)
    }

    /// Reads on.
    ///
    /// # Errors
    /// As for [`super::read_long`].
    pub fn next_round(&mut self) -> Result<Next> {
        if self.ended {
            return Ok(Next::End);
        }
        let mut round = Round::default();
        match self.decode()? {
            Some(pieces) => pieces.into_iter().for_each(|piece| self.take(piece, &mut round)),
            None => {
                self.ended = true;
                self.close_open();
                self.long.check_scale(&self.scale)?;
            }
        }
        if self.finished.has_returned(self.ended) {
            return Ok(Next::KeyReturned);
        }
        while self.gathered.curves.len() >= BLOCK_CURVES {
            round.blocks.push(self.gathered.take_front(BLOCK_CURVES));
        }
        if self.ended && !self.gathered.curves.is_empty() {
            round.blocks.push(std::mem::take(&mut self.gathered));
        }
        Ok(Next::Round(round))
    }

    /// The next pieces of the file in its order, decoded side by side where row groups are small enough; `None` at
    /// its end.
    fn decode(&mut self) -> Result<Option<Vec<Piece>>> {
        let (long, file) = (&self.long, &self.long.file);
        if self.partly_read.is_none() {
            if self.next_group == file.groups() {
                return Ok(None);
            }
            let mut groups = Vec::new();
            let mut rows = 0;
            while self.next_group < file.groups() {
                let more = file.group_rows(self.next_group);
                if rows > 0 && rows + more > ROUND_ROWS {
                    break;
                }
                groups.push((self.next_group, self.first_row));
                self.next_group += 1;
                self.first_row += more;
                rows += more;
            }
            match groups[..] {
                [(group, first_row)] if rows > ROUND_ROWS => {
                    self.partly_read = Some(file.group(group, &long.columns, first_row)?);
                }
                _ => {
                    let read = |(group, first_row): (usize, u64)| -> Result<Vec<Piece>> {
                        let mut reader = file.group(group, &long.columns, first_row)?;
                        let mut pieces = Vec::new();
                        while let Some((at, batch)) = reader.next_batch(file)? {
                            pieces.push(piece(long, at, &batch)?);
                        }
                        Ok(pieces)
                    };
                    // All outcomes first: of several errors, the one to tell is the first of the file.
                    let read: Vec<Result<Vec<Piece>>> = groups.into_par_iter().map(read).collect();
                    let mut pieces = Vec::new();
                    for of_group in read {
                        pieces.extend(of_group?);
                    }
                    return Ok(Some(pieces));
                }
            }
        }
        let mut batches = Vec::new();
        let mut rows = 0;
        while rows < ROUND_ROWS
            && let Some(reader) = &mut self.partly_read
        {
            match reader.next_batch(file)? {
                Some((at, batch)) => {
                    rows += batch.num_rows() as u64;
                    batches.push((at, batch));
                }
                None => self.partly_read = None,
            }
        }
        let pieces: Vec<Result<Piece>> = batches.par_iter().map(|(at, batch)| piece(long, *at, batch)).collect();
        pieces.into_iter().collect::<Result<_>>().map(Some)
    }

    fn take(&mut self, piece: Piece, round: &mut Round) {
        round.rows_in += piece.rows_in;
        round.rows_used += piece.rows_used;
        round.rejected.extend(piece.rejected);
        self.scale.merge(&piece.scale);
        if let Some(head) = piece.head {
            match &mut self.open {
                Some(open) if open.hash == head.hash && open.key == head.key => open.rows.extend(head.rows),
                _ => {
                    self.close_open();
                    self.open = Some(head);
                }
            }
        }
        if let Some(tail) = piece.tail {
            self.close_open();
            self.finished.hashes.extend(piece.hashes);
            self.gathered.append(piece.whole);
            self.open = Some(tail);
        }
    }

    fn close_open(&mut self) {
        if let Some(OpenCurve { key, hash, mut rows }) = self.open.take() {
            self.finished.hashes.push(hash);
            for (values, value) in self.gathered.keys.iter_mut().zip(key) {
                match (values, value) {
                    (KeyValues::Integer(values), KeyValue::Integer(value)) => values.push(value),
                    (KeyValues::Text(values), KeyValue::Text(value)) => values.push(value),
                    // A column has one type in a whole file.
                    _ => {}
                }
            }
            self.gathered.push(curve(&mut rows, &self.long.mapping));
        }
    }
}

fn no_keys(long: &LongFile) -> Vec<KeyValues> {
    let empty = |key| {
        if long.key_is_integer(key) { KeyValues::Integer(Vec::new()) } else { KeyValues::Text(Vec::new()) }
    };
    (0..long.mapping.group.len()).map(empty).collect()
}

impl CurveBlock {
    fn append(&mut self, other: CurveBlock) {
        for (values, more) in self.keys.iter_mut().zip(other.keys) {
            match (values, more) {
                (KeyValues::Integer(values), KeyValues::Integer(more)) => values.extend(more),
                (KeyValues::Text(values), KeyValues::Text(more)) => values.extend(more),
                _ => {}
            }
        }
        self.curves.extend(other.curves);
        self.x2.extend(other.x2);
    }

    /// Adds a curve; nothing of its key.
    fn push(&mut self, (curve, x2): (Curve, Option<Vec<f64>>)) {
        self.curves.push(curve);
        self.x2.extend(x2);
    }

    fn take_front(&mut self, n: usize) -> Self {
        fn front<T>(values: &mut Vec<T>, n: usize) -> Vec<T> {
            let rest = values.split_off(n);
            std::mem::replace(values, rest)
        }
        let keys = self.keys.iter_mut().map(|values| match values {
            KeyValues::Integer(values) => KeyValues::Integer(front(values, n)),
            KeyValues::Text(values) => KeyValues::Text(front(values, n)),
        });
        let of_x2 = n.min(self.x2.len());
        Self { keys: keys.collect(), curves: front(&mut self.curves, n), x2: front(&mut self.x2, of_x2) }
    }
}

/// One curve from its rows, which are put in order: sums do not depend on that of the file. Replicates, which are alike in
/// dose and second variable, are taken together. With it the second variable of its points, where there is one.
pub fn curve(rows: &mut [CurveRow], mapping: &LongMapping) -> (Curve, Option<Vec<f64>>) {
    rows.sort_unstable_by(|a, b| {
        a.dose.total_cmp(&b.dose).then(a.x2.total_cmp(&b.x2)).then(a.response.total_cmp(&b.response))
    });
    let together = |a: &CurveRow, b: &CurveRow| !mapping.single_wells && a.dose == b.dose && a.x2 == b.x2;
    let mut points = Vec::with_capacity(rows.chunk_by(together).count());
    points.extend(rows.chunk_by(together).map(|same| {
        let n = same.len() as f64;
        let response = same.iter().map(|row| row.response).sum::<f64>() / n;
        let sum_of_squares = same.iter().map(|row| (row.response - response).powi(2)).sum();
        CurvePoint { dose: same[0].dose, response, weight: n, n: same.len() as u32, sum_of_squares }
    }));
    let x2 = mapping.x2.is_some().then(|| rows.chunk_by(together).map(|same| same[0].x2).collect());
    (Curve { key: CurveKey { line: 0, drug: 0, schedule: None }, points }, x2)
}

/// A curve of which more may come.
struct OpenCurve {
    key: Vec<KeyValue>,
    hash: u64,
    rows: Vec<CurveRow>,
}

#[derive(PartialEq)]
enum KeyValue {
    Integer(i64),
    Text(String),
}

/// What one batch holds: its first and its last curve may go on in its neighbours, those between are whole.
struct Piece {
    rows_in: usize,
    rows_used: usize,
    rejected: Vec<RejectedRow>,
    scale: ScaleEvidence,
    head: Option<OpenCurve>,
    whole: CurveBlock,
    /// Of the keys of `whole`.
    hashes: Vec<u64>,
    /// Only beside a head.
    tail: Option<OpenCurve>,
}

fn piece(long: &LongFile, first_row: u64, batch: &RecordBatch) -> Result<Piece> {
    let keys: Vec<KeyColumn> = (0..long.mapping.group.len())
        .map(|key| {
            Ok(if long.key_is_integer(key) {
                KeyColumn::Integer(long.key_integers(batch, key)?)
            } else {
                KeyColumn::Text(long.key_text(batch, key)?)
            })
        })
        .collect::<Result<_>>()?;
    let readings = long.readings(batch)?;
    let mut scale = ScaleEvidence::default();
    let mut rejected = Vec::new();
    let mut rows: Vec<CurveRow> = Vec::with_capacity(batch.num_rows());
    // A row of the batch with the run's key, and where the run begins in `rows`.
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for row in 0..batch.num_rows() {
        let read = match keys.iter().position(|key| key.is_null(row)) {
            Some(missing) => Err(long.missing_key(missing)),
            None => long.row(&readings, row),
        };
        match read {
            Ok(Reading { doses, x2, response }) => {
                scale.add(response);
                if runs.last().is_none_or(|(at, _)| !keys.iter().all(|key| key.same(*at, row))) {
                    runs.push((row, rows.len()));
                }
                rows.push(CurveRow { dose: doses[0], x2, response });
            }
            Err((reason, detail)) => rejected.push((first_row + row as u64 + 1, reason, detail)),
        }
    }
    let hash = |at: usize| keys.iter().fold(KEY_HASH_SEED, |state, key| key.hash(at, state));
    let end = |run: usize| runs.get(run + 1).map_or(rows.len(), |(_, begin)| *begin);
    let open = |run: usize| {
        let (at, begin) = *runs.get(run)?;
        let key = keys.iter().map(|key| key.value(at)).collect();
        Some(OpenCurve { key, hash: hash(at), rows: rows[begin..end(run)].to_vec() })
    };
    let head = open(0);
    let tail = if runs.len() > 1 { open(runs.len() - 1) } else { None };
    let mut whole = CurveBlock { keys: no_keys(long), curves: Vec::with_capacity(runs.len()), x2: Vec::new() };
    let mut hashes = Vec::with_capacity(runs.len());
    // With each run but the first and the last, where the next begins.
    for (&(at, begin), &(_, end)) in runs.iter().zip(runs.iter().skip(1)).skip(1) {
        for (values, key) in whole.keys.iter_mut().zip(&keys) {
            key.push_to(at, values);
        }
        hashes.push(hash(at));
        whole.push(curve(&mut rows[begin..end], &long.mapping));
    }
    let (rows_in, rows_used) = (batch.num_rows(), rows.len());
    Ok(Piece { rows_in, rows_used, rejected, scale, head, whole, hashes, tail })
}

/// A key column of a batch.
enum KeyColumn {
    Integer(Int64Array),
    Text(StringArray),
}

impl KeyColumn {
    #[inline]
    fn is_null(&self, row: usize) -> bool {
        match self {
            KeyColumn::Integer(values) => values.is_null(row),
            KeyColumn::Text(values) => values.is_null(row),
        }
    }

    #[inline]
    fn same(&self, a: usize, b: usize) -> bool {
        match self {
            KeyColumn::Integer(values) => values.value(a) == values.value(b),
            KeyColumn::Text(values) => values.value(a) == values.value(b),
        }
    }

    fn value(&self, row: usize) -> KeyValue {
        match self {
            KeyColumn::Integer(values) => KeyValue::Integer(values.value(row)),
            KeyColumn::Text(values) => KeyValue::Text(values.value(row).to_owned()),
        }
    }

    fn push_to(&self, row: usize, to: &mut KeyValues) {
        match (self, to) {
            (KeyColumn::Integer(values), KeyValues::Integer(to)) => to.push(values.value(row)),
            (KeyColumn::Text(values), KeyValues::Text(to)) => to.push(values.value(row).to_owned()),
            // A column has one type in a whole file.
            _ => {}
        }
    }

    fn hash(&self, row: usize, state: u64) -> u64 {
        match self {
            KeyColumn::Integer(values) => mixed(state, values.value(row) as u64),
            KeyColumn::Text(values) => {
                let bytes = values.value(row).as_bytes();
                // The length keeps ("ab", "c") and ("a", "bc") apart.
                bytes.chunks(8).fold(mixed(state, bytes.len() as u64), |state, chunk| {
                    let mut word = [0; 8];
                    word[..chunk.len()].copy_from_slice(chunk);
                    mixed(state, u64::from_le_bytes(word))
                })
            }
        }
    }
}

const KEY_HASH_SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// One step of the hash of keys, pinned here: the finaliser of SplitMix64 (Steele 2014, doi 10.1145/2660193.2660195), which
/// maps 64 bits onto 64 bits one to one, so that keys of one whole number never share a hash.
fn mixed(state: u64, word: u64) -> u64 {
    let mut z = state.rotate_left(23).wrapping_mul(0x9E37_79B9_7F4A_7C15) ^ word;
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    z ^ (z >> 31)
}

/// The hashes of all keys so far.
#[derive(Default)]
struct FinishedKeys {
    hashes: Vec<u64>,
    /// Looked through again when there are so many.
    look_at: usize,
}

impl FinishedKeys {
    /// Whether a key is there twice. Sorting eight bytes a key when their number has doubled costs less than a look
    /// into a table of them for each; a file that is not sorted by curve is noticed early all the same.
    fn has_returned(&mut self, at_end: bool) -> bool {
        if !at_end && self.hashes.len() < self.look_at {
            return false;
        }
        self.hashes.par_sort_unstable();
        self.look_at = 2 * self.hashes.len();
        self.hashes.par_windows(2).any(|pair| pair[0] == pair[1])
    }
}
