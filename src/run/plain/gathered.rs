//! A whole table in memory, curve by curve: for files in which the rows of a curve stand apart.

use crate::ingest::curves::{BLOCK_CURVES, CurveBlock, CurveRow, KeyValues, Next, Round, curve};
use crate::ingest::{LongMapping, LongTable};
use crate::{Error, Result};
use rayon::prelude::*;

/// The rows of a whole table, by curve.
pub(super) struct Gathered {
    keys: Vec<KeyValues>,
    /// Curve after curve.
    rows: Vec<CurveRow>,
    /// Where in `rows` each curve begins, and where the last one ends.
    offsets: Vec<usize>,
    /// Curves given so far.
    given: usize,
    first: Option<Round>,
    mapping: LongMapping,
}

impl Gathered {
    pub(super) fn new(table: LongTable, mapping: &LongMapping) -> Result<Self> {
        let mut keys: Vec<KeyValues> = Vec::new();
        for (k, is_integer) in table.integer_keys.iter().enumerate() {
            let values = table.groups.iter().map(|group| group.get(k).map_or("", String::as_str));
            keys.push(if *is_integer {
                let numbers = values.map(|value| {
                    value.parse().map_err(|_| Error::Screen {
                        problem: format!("the key `{value}` is not a whole number"),
                        hint: None,
                    })
                });
                KeyValues::Integer(numbers.collect::<Result<_>>()?)
            } else {
                KeyValues::Text(values.map(str::to_owned).collect())
            });
        }
        let mut offsets = vec![0; table.groups.len() + 1];
        for row in &table.rows {
            offsets[row.group as usize + 1] += 1;
        }
        for i in 1..offsets.len() {
            offsets[i] += offsets[i - 1];
        }
        let mut next = offsets.clone();
        let mut rows = vec![CurveRow { dose: 0.0, x2: 0.0, response: 0.0 }; table.rows.len()];
        for row in &table.rows {
            let at = &mut next[row.group as usize];
            rows[*at] = CurveRow { dose: row.doses[0], x2: row.x2, response: row.response };
            *at += 1;
        }
        let (rows_in, rows_used) = (table.rows_in, table.rows.len());
        let first = Some(Round { rejected: table.rejected, rows_in, rows_used, blocks: Vec::new() });
        Ok(Self { keys, rows, offsets, given: 0, first, mapping: mapping.clone() })
    }

    pub(super) fn no_keys(&self) -> Vec<KeyValues> {
        self.keys.iter().map(|values| values.slice(0, 0)).collect()
    }

    pub(super) fn next_round(&mut self) -> Result<Next> {
        if let Some(first) = self.first.take() {
            return Ok(Next::Round(first));
        }
        let from = self.given;
        let to = (from + BLOCK_CURVES).min(self.offsets.len() - 1);
        if from == to {
            return Ok(Next::End);
        }
        self.given = to;
        let (curves, x2): (Vec<_>, Vec<_>) = self.offsets[from..=to]
            .par_windows(2)
            .map(|ends| curve(&mut self.rows[ends[0]..ends[1]].to_vec(), &self.mapping))
            .unzip();
        let block = CurveBlock {
            curves,
            x2: x2.into_iter().flatten().collect(),
            keys: self.keys.iter().map(|values| values.slice(from, to)).collect(),
        };
        Ok(Next::Round(Round { blocks: vec![block], ..Round::default() }))
    }
}

impl KeyValues {
    fn slice(&self, from: usize, to: usize) -> Self {
        match self {
            KeyValues::Integer(values) => KeyValues::Integer(values[from..to].to_vec()),
            KeyValues::Text(values) => KeyValues::Text(values[from..to].to_vec()),
        }
    }
}
