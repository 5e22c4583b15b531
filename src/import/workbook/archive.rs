//! The files inside a ZIP archive: stored or deflated, as workbooks have them. Format: PKWARE APPNOTE 6.3.

use flate2::read::DeflateDecoder;
use std::io::Read;

/// What one file inside may grow to: far more than a sheet of Excel's 1,048,576 rows, far less than memory.
const LARGEST: u64 = 1 << 30;

/// An archive in memory.
pub(super) struct Archive<'a> {
    bytes: &'a [u8],
    entries: Vec<Entry>,
}

struct Entry {
    name: String,
    method: u16,
    packed: usize,
    header: usize,
}

/// Little-endian numbers at places that may not be there.
pub(super) fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    Some(u16::from_le_bytes(bytes.get(at..at.checked_add(2)?)?.try_into().ok()?))
}

pub(super) fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_le_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

impl<'a> Archive<'a> {
    /// Reads the directory at the end of an archive.
    pub fn open(bytes: &'a [u8]) -> Result<Self, String> {
        let damaged = || "is a damaged archive: its directory cannot be read".to_owned();
        // The end record is 22 bytes and a comment of up to 65,535.
        let from = bytes.len().saturating_sub(22 + 65_535);
        let end = bytes[from..].windows(4).rposition(|w| w == b"PK\x05\x06").ok_or_else(damaged)? + from;
        let count = u16_at(bytes, end + 10).ok_or_else(damaged)?;
        let mut at = u32_at(bytes, end + 16).ok_or_else(damaged)? as usize;
        let mut entries = Vec::new();
        for _ in 0..count {
            let entry = Self::entry(bytes, &mut at).ok_or_else(damaged)?;
            entries.push(entry);
        }
        Ok(Self { bytes, entries })
    }

    fn entry(bytes: &[u8], at: &mut usize) -> Option<Entry> {
        let start = *at;
        if bytes.get(start..start + 4)? != b"PK\x01\x02" {
            return None;
        }
        let length = |offset: usize| u16_at(bytes, start + offset).map(usize::from);
        let (name_length, extra, comment) = (length(28)?, length(30)?, length(32)?);
        let name = bytes.get(start + 46..start + 46 + name_length)?;
        *at = start + 46 + name_length + extra + comment;
        Some(Entry {
            // Some writers use the separator of their own system.
            name: String::from_utf8_lossy(name).replace('\\', "/"),
            method: u16_at(bytes, start + 10)?,
            packed: u32_at(bytes, start + 20)? as usize,
            header: u32_at(bytes, start + 42)? as usize,
        })
    }

    /// The text of a file; `None` where there is no such file.
    pub fn text(&self, name: &str) -> Result<Option<String>, String> {
        let Some(entry) = self.entries.iter().find(|entry| entry.name.eq_ignore_ascii_case(name)) else {
            return Ok(None);
        };
        let packed = self.packed(entry).ok_or_else(|| format!("is a damaged archive: `{name}` is not whole"))?;
        let mut text = Vec::new();
        let read = match entry.method {
            0 => packed.take(LARGEST).read_to_end(&mut text),
            8 => DeflateDecoder::new(packed).take(LARGEST).read_to_end(&mut text),
            other => return Err(format!("`{name}` inside is packed by method {other}, which is not known")),
        };
        match read {
            Err(error) => Err(format!("is a damaged archive: `{name}`: {error}")),
            Ok(length) if length as u64 == LARGEST => Err(format!("`{name}` inside is too large")),
            Ok(_) => String::from_utf8(text).map(Some).map_err(|_| format!("`{name}` inside is not UTF-8")),
        }
    }

    fn packed(&self, entry: &Entry) -> Option<&'a [u8]> {
        let at = entry.header;
        if self.bytes.get(at..at.checked_add(4)?)? != b"PK\x03\x04" {
            return None;
        }
        let start = at + 30 + usize::from(u16_at(self.bytes, at + 26)?) + usize::from(u16_at(self.bytes, at + 28)?);
        self.bytes.get(start..start.checked_add(entry.packed)?)
    }
}
