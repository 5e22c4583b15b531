//! A workbook made by hand: the archive stores, the cells hold their texts or numbers in place.

use std::fmt::Write;

fn stored(files: &[(String, String)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in files {
        let length = u32::try_from(text.len()).unwrap().to_le_bytes();
        let name_length = u16::try_from(name.len()).unwrap().to_le_bytes();
        let at = u32::try_from(out.len()).unwrap().to_le_bytes();
        out.extend(b"PK\x03\x04\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
        out.extend([length, length].concat());
        out.extend(name_length);
        out.extend(b"\0\0");
        out.extend(name.bytes().chain(text.bytes()));
        directory.extend(b"PK\x01\x02\x14\0\x14\0\0\0\0\0\0\0\0\0\0\0\0\0");
        directory.extend([length, length].concat());
        directory.extend(name_length);
        directory.extend([0; 12]);
        directory.extend(at);
        directory.extend(name.bytes());
    }
    let count = u16::try_from(files.len()).unwrap().to_le_bytes();
    let (start, length) = (u32::try_from(out.len()).unwrap(), u32::try_from(directory.len()).unwrap());
    out.extend(directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend([count, count].concat());
    out.extend(length.to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend(b"\0\0");
    out
}

fn letters(column: usize) -> String {
    let letter = |n: usize| char::from(b'A' + n as u8);
    if column < 26 { letter(column).into() } else { format!("{}{}", letter(column / 26 - 1), letter(column % 26)) }
}

/// An `.xlsx` with these sheets.
pub fn workbook(sheets: &[(&str, Vec<Vec<String>>)]) -> Vec<u8> {
    let (mut book, mut relations) = ("<workbook><sheets>".to_owned(), "<Relationships>".to_owned());
    let mut files = Vec::new();
    for (number, (name, rows)) in sheets.iter().enumerate() {
        write!(book, "<sheet name=\"{name}\" r:id=\"r{number}\"/>").unwrap();
        write!(relations, "<Relationship Id=\"r{number}\" Target=\"worksheets/s{number}.xml\"/>").unwrap();
        let mut xml = "<worksheet><sheetData>".to_owned();
        for (row, cells) in rows.iter().enumerate() {
            write!(xml, "<row r=\"{}\">", row + 1).unwrap();
            for (column, text) in cells.iter().enumerate().filter(|(_, text)| !text.is_empty()) {
                let place = format!("{}{}", letters(column), row + 1);
                match text.parse::<f64>() {
                    Ok(_) => write!(xml, "<c r=\"{place}\"><v>{text}</v></c>").unwrap(),
                    Err(_) => write!(xml, "<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>").unwrap(),
                }
            }
            xml += "</row>";
        }
        files.push((format!("xl/worksheets/s{number}.xml"), xml + "</sheetData></worksheet>"));
    }
    files.push(("xl/workbook.xml".into(), book + "</sheets></workbook>"));
    files.push(("xl/_rels/workbook.xml.rels".into(), relations + "</Relationships>"));
    stored(&files)
}
