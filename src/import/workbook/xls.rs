//! `.xls`: the cells of BIFF8 records in a compound file ([MS-CFB] and [MS-XLS], as Microsoft publishes them).

use super::NamedCells;
use super::archive::{u16_at, u32_at};

/// Sector numbers from here on are marks, not sectors.
const FIRST_MARK: u32 = 0xFFFF_FFFA;
const BOUND_SHEET: u16 = 0x0085;
const SHARED_TEXTS: u16 = 0x00FC;
const CONTINUE: u16 = 0x003C;
const END: u16 = 0x000A;

/// Names and cells of the sheets.
pub(super) fn read(bytes: &[u8]) -> Result<Vec<NamedCells>, String> {
    let damaged = |what: &str| format!("is a damaged workbook: {what}");
    let stream = workbook_stream(bytes).ok_or_else(|| damaged("it has no stream of cells"))?;
    let mut shared = Vec::new();
    let mut places = Vec::new();
    let mut records = Records { bytes: &stream, at: 0 };
    while let Some((kind, data)) = records.next() {
        match kind {
            0x002F => return Err("is protected by a password".into()),
            0x0809 if u16_at(data, 0) != Some(0x0600) => return Err("is from before Excel 97".into()),
            // Charts and modules (another type than 0) have no cells.
            BOUND_SHEET if data.get(5) == Some(&0) => {
                let name = short_text(data.get(6..).unwrap_or_default()).ok_or_else(|| damaged("a sheet's name"))?;
                places.push((name, u32_at(data, 0).unwrap_or(0) as usize));
            }
            SHARED_TEXTS => {
                let mut pieces = vec![data];
                while records.peek() == Some(CONTINUE) {
                    pieces.extend(records.next().map(|(_, data)| data));
                }
                shared = shared_texts(&pieces).ok_or_else(|| damaged("the table of texts"))?;
            }
            END => break,
            _ => {}
        }
    }
    let mut sheets = Vec::new();
    for (name, at) in places {
        let cells =
            cells(Records { bytes: &stream, at }, &shared).ok_or_else(|| damaged(&format!("sheet `{name}`")))?;
        sheets.push((name, cells));
    }
    Ok(sheets)
}

/// The stream `Workbook` of a compound file.
fn workbook_stream(bytes: &[u8]) -> Option<Vec<u8>> {
    let size = 1_usize.checked_shl(u32::from(u16_at(bytes, 30)?)).filter(|size| matches!(size, 512 | 4096))?;
    let sector = |number: u32| -> Option<&[u8]> {
        let at = (number as usize).checked_add(1)?.checked_mul(size)?;
        // The last sector may be cut off where the file ends.
        bytes.get(at..bytes.len().min(at.checked_add(size)?))
    };
    // The table of sectors: 109 of its own sectors are in the header, more in a chain.
    let mut table_sectors: Vec<u32> = (0..109).filter_map(|i| u32_at(bytes, 76 + 4 * i)).collect();
    let mut more = u32_at(bytes, 68)?;
    let limit = bytes.len() / size + 1;
    while more < FIRST_MARK && table_sectors.len() <= limit + 109 {
        let numbers = sector(more)?;
        table_sectors.extend((0..size / 4 - 1).filter_map(|i| u32_at(numbers, 4 * i)));
        more = u32_at(numbers, size - 4)?;
    }
    let mut table: Vec<u32> = Vec::new();
    for number in table_sectors.into_iter().filter(|number| *number < FIRST_MARK) {
        let numbers = sector(number)?;
        table.extend((0..size / 4).map(|i| u32_at(numbers, 4 * i).unwrap_or(u32::MAX)));
    }
    let chain = |first: u32, table: &[u32], part: &dyn Fn(u32) -> Option<Vec<u8>>| -> Option<Vec<u8>> {
        let (mut out, mut number, mut steps) = (Vec::new(), first, 0);
        while number < FIRST_MARK {
            out.extend(part(number)?);
            number = *table.get(number as usize)?;
            steps += 1;
            // A chain that comes back to itself has no end.
            if steps > table.len() {
                return None;
            }
        }
        Some(out)
    };
    let whole = |number: u32| sector(number).map(<[u8]>::to_vec);
    let directory = chain(u32_at(bytes, 48)?, &table, &whole)?;
    let entry = |wanted: &str| {
        directory.chunks_exact(128).find(|entry| {
            let length = usize::from(u16_at(entry, 64).unwrap_or(0)).saturating_sub(2).min(62);
            let name: Vec<u16> = (0..length / 2).filter_map(|i| u16_at(entry, 2 * i)).collect();
            String::from_utf16_lossy(&name) == wanted
        })
    };
    let found = entry("Workbook").or_else(|| entry("Book"))?;
    let (first, length) = (u32_at(found, 116)?, u32_at(found, 120)? as usize);
    let mut stream = if length >= u32_at(bytes, 56)? as usize {
        chain(first, &table, &whole)?
    } else {
        // Short streams lie in sectors of 64 bytes inside the stream of the root.
        let root = entry("Root Entry")?;
        let small = chain(u32_at(root, 116)?, &table, &whole)?;
        let small_table = chain(u32_at(bytes, 60)?, &table, &whole)?;
        let small_table: Vec<u32> = (0..small_table.len() / 4).filter_map(|i| u32_at(&small_table, 4 * i)).collect();
        let part = |number: u32| {
            let at = (number as usize).checked_mul(64)?;
            small.get(at..at.checked_add(64)?).map(<[u8]>::to_vec)
        };
        chain(first, &small_table, &part)?
    };
    stream.truncate(length);
    Some(stream)
}

struct Records<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Records<'a> {
    fn peek(&self) -> Option<u16> {
        u16_at(self.bytes, self.at)
    }

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let kind = self.peek()?;
        let length = usize::from(u16_at(self.bytes, self.at + 2)?);
        let data = self.bytes.get(self.at + 4..self.at + 4 + length)?;
        self.at += 4 + length;
        Some((kind, data))
    }
}

/// Characters of one byte (the first 256 of Unicode) or of two.
fn characters(bytes: &[u8], wide: bool) -> String {
    if wide {
        let units: Vec<u16> = bytes.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
        String::from_utf16_lossy(&units)
    } else {
        bytes.iter().map(|byte| char::from(*byte)).collect()
    }
}

/// A text whose length is one byte.
fn short_text(data: &[u8]) -> Option<String> {
    let (length, wide) = (usize::from(*data.first()?), data.get(1)? & 1 == 1);
    let bytes = if wide { 2 * length } else { length };
    Some(characters(data.get(2..2 + bytes)?, wide))
}

/// A text whose length is two bytes.
fn long_text(data: &[u8]) -> Option<String> {
    let (length, wide) = (usize::from(u16_at(data, 0)?), data.get(2)? & 1 == 1);
    let bytes = if wide { 2 * length } else { length };
    Some(characters(data.get(3..3 + bytes)?, wide))
}

/// Reads on through a record and those that continue it.
struct Continued<'a> {
    pieces: &'a [&'a [u8]],
    piece: usize,
    at: usize,
}

impl Continued<'_> {
    /// Steps into the next piece where this one is used up.
    fn settle(&mut self) -> Option<()> {
        while self.at >= self.pieces.get(self.piece)?.len() {
            (self.piece, self.at) = (self.piece + 1, 0);
        }
        Some(())
    }

    fn byte(&mut self) -> Option<u8> {
        self.settle()?;
        let byte = self.pieces[self.piece][self.at];
        self.at += 1;
        Some(byte)
    }

    fn number(&mut self, bytes: u32) -> Option<usize> {
        (0..bytes).try_fold(0_usize, |n, i| Some(n | usize::from(self.byte()?) << (8 * i)))
    }

    /// `length` characters; each piece that they reach into says anew how wide they are.
    fn text(&mut self, length: usize, mut wide: bool) -> Option<String> {
        let (mut text, mut left) = (String::new(), length);
        while left > 0 {
            if self.at >= self.pieces.get(self.piece)?.len() {
                self.settle()?;
                wide = self.byte()? & 1 == 1;
            }
            let width = if wide { 2 } else { 1 };
            let rest = self.pieces.get(self.piece)?.get(self.at..)?;
            let here = left.min(rest.len() / width);
            if here == 0 {
                return None;
            }
            text += &characters(&rest[..here * width], wide);
            (self.at, left) = (self.at + here * width, left - here);
        }
        Some(text)
    }

    fn skip(&mut self, bytes: usize) -> Option<()> {
        (0..bytes).try_for_each(|_| self.byte().map(|_| ()))
    }
}

fn shared_texts(pieces: &[&[u8]]) -> Option<Vec<String>> {
    let mut reader = Continued { pieces, piece: 0, at: 0 };
    reader.skip(4)?;
    let count = reader.number(4)?;
    let mut texts = Vec::new();
    for _ in 0..count {
        let (length, flags) = (reader.number(2)?, reader.byte()?);
        let runs = if flags & 8 != 0 { reader.number(2)? } else { 0 };
        let phonetic = if flags & 4 != 0 { reader.number(4)? } else { 0 };
        texts.push(reader.text(length, flags & 1 == 1)?);
        reader.skip(4 * runs + phonetic)?;
    }
    Some(texts)
}

/// The packed number of an RK record: an integer or the upper half of a double, perhaps a hundredfold.
fn packed_number(packed: u32) -> f64 {
    let value = if packed & 2 != 0 {
        f64::from((packed as i32) >> 2)
    } else {
        f64::from_bits(u64::from(packed & 0xFFFF_FFFC) << 32)
    };
    if packed & 1 != 0 { value / 100.0 } else { value }
}

fn cells(mut records: Records<'_>, shared: &[String]) -> Option<Vec<Vec<String>>> {
    let mut rows: Vec<Vec<String>> = Vec::new();
    let mut put = |row: usize, column: usize, text: String| {
        if rows.len() <= row {
            rows.resize_with(row + 1, Vec::new);
        }
        if rows[row].len() <= column {
            rows[row].resize(column + 1, String::new());
        }
        rows[row][column] = text;
    };
    let double =
        |data: &[u8], at: usize| -> Option<f64> { Some(f64::from_le_bytes(data.get(at..at + 8)?.try_into().ok()?)) };
    // A formula whose result is a text is followed by that text.
    let mut waiting = None;
    let mut depth = 0;
    while let Some((kind, data)) = records.next() {
        let place = || Some((usize::from(u16_at(data, 0)?), usize::from(u16_at(data, 2)?)));
        match kind {
            // Charts inside a sheet begin and end within it.
            0x0809 => depth += 1,
            END => {
                depth -= 1;
                if depth == 0 {
                    return Some(rows);
                }
            }
            _ if depth != 1 => {}
            0x00FD => {
                let (row, column) = place()?;
                put(row, column, shared.get(u32_at(data, 6)? as usize)?.clone());
            }
            0x0203 => {
                let (row, column) = place()?;
                put(row, column, double(data, 6)?.to_string());
            }
            0x027E => {
                let (row, column) = place()?;
                put(row, column, packed_number(u32_at(data, 6)?).to_string());
            }
            0x00BD => {
                let (row, first) = place()?;
                for i in 0..data.len().saturating_sub(6) / 6 {
                    put(row, first + i, packed_number(u32_at(data, 6 + 6 * i)?).to_string());
                }
            }
            0x0204 => {
                let (row, column) = place()?;
                put(row, column, long_text(data.get(6..)?)?);
            }
            0x0006 => {
                let (row, column) = place()?;
                match (u16_at(data, 12)?, data.get(6)?) {
                    (0xFFFF, 0) => waiting = Some((row, column)),
                    (0xFFFF, 1) => put(row, column, if *data.get(8)? == 1 { "TRUE" } else { "FALSE" }.into()),
                    (0xFFFF, 2) => put(row, column, "#ERROR".into()),
                    (0xFFFF, _) => {}
                    _ => put(row, column, double(data, 6)?.to_string()),
                }
            }
            0x0207 => {
                if let Some((row, column)) = waiting.take() {
                    put(row, column, long_text(data)?);
                }
            }
            0x0205 => {
                let (row, column) = place()?;
                let shown = match (data.get(7)?, data.get(6)?) {
                    (0, value) => {
                        if *value == 1 {
                            "TRUE"
                        } else {
                            "FALSE"
                        }
                    }
                    _ => "#ERROR",
                };
                put(row, column, shown.into());
            }
            _ => {}
        }
    }
    // A sheet without its end record has been cut off.
    None
}
