//! Rows left out of a streamed table, on their way to their own file.

use super::rejected_table;
use crate::Result;
use crate::ingest::curves::RejectedRow;
use crate::report::run_json::RunIdentity;
use crate::report::table_writer::TableWriter;
use std::path::PathBuf;

/// Rejected rows written at a time.
pub(super) const REJECTED_ROWS: usize = 65_536;

/// The table of rejected rows, which is there only when there are any.
pub(super) struct RejectedRows {
    path: PathBuf,
    identity: RunIdentity,
    waiting: Vec<RejectedRow>,
    writer: Option<TableWriter>,
}

impl RejectedRows {
    /// Nothing yet, to be written to `path`.
    pub(super) fn new(path: PathBuf, identity: RunIdentity) -> Self {
        Self { path, identity, waiting: Vec::new(), writer: None }
    }

    /// Adds rows, and writes where there are enough.
    pub(super) fn push(&mut self, rows: Vec<RejectedRow>) -> Result<()> {
        for row in rows {
            self.waiting.push(row);
            if self.waiting.len() == REJECTED_ROWS {
                let rows = std::mem::take(&mut self.waiting);
                self.write(&rows)?;
            }
        }
        Ok(())
    }

    fn write(&mut self, rows: &[RejectedRow]) -> Result<()> {
        let table = rejected_table(rows);
        let writer = match &mut self.writer {
            Some(writer) => writer,
            None => self.writer.insert(TableWriter::create(&table, &self.path, &self.identity, None)?),
        };
        let rows = writer.encode(&[table])?;
        writer.append(rows)
    }

    /// Writes the rest; the file, where there is one.
    pub(super) fn finish(mut self) -> Result<Option<PathBuf>> {
        let rest = std::mem::take(&mut self.waiting);
        if !rest.is_empty() {
            self.write(&rest)?;
        }
        match self.writer {
            None => {
                // One of an earlier run would speak of rows that are not rejected any more.
                let _ = std::fs::remove_file(&self.path);
                Ok(None)
            }
            Some(writer) => writer.finish(&[]).map(|()| Some(self.path)),
        }
    }
}
