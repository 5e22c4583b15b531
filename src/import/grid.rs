//! Plates as blocks of cells: with rows called A, B, … and columns 1, 2, …, or as bare rectangles of 8 × 12, 16 × 24 or
//! 32 × 48 numbers. A block that is nearly a plate is an error at the cell where it stops being one.

use super::number::Decimal;
use super::sheet::Sheet;
use crate::Result;
use crate::screen::well::WellPosition;
use std::collections::BTreeSet;

/// Wells, rows and columns of plates.
pub(super) const PLATES: [(usize, usize, usize); 3] = [(96, 8, 12), (384, 16, 24), (1536, 32, 48)];
/// The fewest column numbers that make a header.
const HEADER: usize = 3;

/// A plate in a sheet.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Block {
    /// The text above it, where there is one.
    pub title: Option<String>,
    /// Row and column of the sheet in which its first well is.
    pub corner: (usize, usize),
    /// Number of wells, where the block is a whole plate.
    pub size: Option<usize>,
    /// Wells with their cells.
    pub wells: Vec<(WellPosition, (usize, usize))>,
}

/// Plates of a sheet, and cells with numbers that belong to none: row, first and last column.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Found {
    pub blocks: Vec<Block>,
    pub left_out: Vec<(usize, usize, usize)>,
}

/// Whether a cell is meant as a number, well written or not.
fn numeric(text: &str) -> bool {
    let rest = text.strip_prefix(['-', '+', '.']).unwrap_or(text);
    let mark = |c: char| matches!(c, ',' | '.' | '\'' | ' ' | 'e' | 'E' | '+' | '-');
    rest.starts_with(|c: char| c.is_ascii_digit()) && rest.chars().all(|c| c.is_ascii_digit() || mark(c))
}

/// The number of a row called `A` to `AF`, from 1.
fn row_letter(text: &str) -> Option<u16> {
    WellPosition::parse(&format!("{text}1")).filter(|_| text.bytes().all(|b| b.is_ascii_alphabetic())).map(|w| w.row)
}

/// Finds the plates of a sheet.
///
/// # Errors
/// [`crate::Error::Format`] at the cell where a block stops being a plate.
pub(super) fn find(sheet: &Sheet) -> Result<Found> {
    let mut found = Found::default();
    let mut taken = BTreeSet::new();
    for row in 0..sheet.rows() {
        let mut column = 0;
        while column < sheet.columns(row) {
            let width = header_width(sheet, row, column);
            if width >= HEADER && column > 0 && row_letter(sheet.text(row + 1, column - 1)).is_some() {
                labelled(sheet, row, column, width, &mut taken, &mut found)?;
                column += width;
            } else {
                column += 1;
            }
        }
    }
    bare(sheet, &taken, &mut found)?;
    found.blocks.sort_by_key(|block| block.corner);
    Ok(found)
}

/// How many cells from here on count up by one, as column numbers of a plate do.
fn header_width(sheet: &Sheet, row: usize, column: usize) -> usize {
    let number = |at: usize| sheet.text(row, at).trim_end_matches(".0").parse::<u16>().ok();
    let Some(first) = number(column).filter(|n| (1..=48).contains(n)) else { return 0 };
    // A header begins where the cell before it is not the number before.
    if column > 0 && first > 1 && number(column - 1) == Some(first - 1) {
        return 0;
    }
    (0..49).take_while(|i| number(column + i) == Some(first + *i as u16)).count()
}

fn labelled(
    sheet: &Sheet,
    header: usize,
    column: usize,
    width: usize,
    taken: &mut BTreeSet<(usize, usize)>,
    found: &mut Found,
) -> Result<()> {
    let first_column = sheet.text(header, column).trim_end_matches(".0").parse::<u16>().unwrap_or(1);
    taken.extend((0..width).map(|i| (header, column + i)));
    let mut wells = Vec::new();
    let (mut row, mut expected) = (header + 1, None);
    while let Some(letter) = row_letter(sheet.text(row, column - 1)) {
        if expected.is_some_and(|expected| expected != letter) {
            let problem = format!("row `{}` is out of order", sheet.text(row, column - 1));
            return Err(sheet.error(row, column - 1, problem, "rows of a plate are called A, B, C, … in turn"));
        }
        for i in 0..width {
            if let Some(well) = WellPosition::new(letter, first_column + i as u16) {
                wells.push((well, (row, column + i)));
            }
            taken.insert((row, column + i));
        }
        // A reading beside the labelled columns belongs to a well that has no name.
        if numeric(sheet.text(row, column + width)) {
            let hint = "is the block shifted against its labels?";
            return Err(sheet.error(row, column + width, "a number outside the labelled columns", hint));
        }
        expected = Some(letter + 1);
        row += 1;
    }
    let (rows, last) = (row - header - 1, expected.unwrap_or(1));
    let whole = |size: &&(usize, usize, usize)| rows == size.1 && width == size.2 && usize::from(last) == size.1 + 1;
    let size = PLATES.iter().find(whole).filter(|_| first_column == 1).map(|size| size.0);
    found.blocks.push(Block {
        title: title(sheet, header, column - 1, width + 1),
        corner: (header + 1, column),
        size,
        wells,
    });
    Ok(())
}

/// The text above a block: in the first row above it that has any, two rows at most.
fn title(sheet: &Sheet, top: usize, column: usize, width: usize) -> Option<String> {
    let above = (top.saturating_sub(2)..top).rev();
    let mut texts = above.flat_map(|row| (column..column + width).map(move |at| sheet.text(row, at)));
    texts.find(|text| !text.is_empty() && !numeric(text)).map(str::to_owned)
}

/// A rectangle that grows downwards.
#[derive(Clone, Copy)]
struct Open {
    top: usize,
    rows: usize,
    first: usize,
    last: usize,
}

impl Open {
    fn width(self) -> usize {
        self.last - self.first + 1
    }

    fn is_wide(self) -> bool {
        PLATES.iter().any(|size| self.width() == size.2)
    }
}

fn bare(sheet: &Sheet, taken: &BTreeSet<(usize, usize)>, found: &mut Found) -> Result<()> {
    let mut open: Vec<Open> = Vec::new();
    for row in 0..=sheet.rows() {
        let runs = runs(sheet, row, taken);
        let mut still = Vec::new();
        for block in open {
            if let Some(at) = runs.iter().position(|run| (run.0, run.1) == (block.first, block.last)) {
                still.push((at, Open { rows: block.rows + 1, ..block }));
                continue;
            }
            let overlaps = runs.iter().any(|run| run.0 <= block.last && run.1 >= block.first);
            let complete = PLATES.iter().any(|size| (block.rows, block.width()) == (size.1, size.2));
            if overlaps && block.is_wide() && !complete {
                return Err(broken(sheet, row, block));
            }
            close(sheet, block, found)?;
        }
        open = runs
            .iter()
            .enumerate()
            .map(|(at, run)| {
                let grown = still.iter().find(|(run, _)| *run == at).map(|(_, block)| *block);
                grown.unwrap_or(Open { top: row, rows: 1, first: run.0, last: run.1 })
            })
            .collect();
    }
    Ok(())
}

/// Runs of cells with numbers in a row: first and last column.
fn runs(sheet: &Sheet, row: usize, taken: &BTreeSet<(usize, usize)>) -> Vec<(usize, usize)> {
    let mut runs: Vec<(usize, usize)> = Vec::new();
    for column in 0..sheet.columns(row) {
        if !numeric(sheet.text(row, column)) || taken.contains(&(row, column)) {
            continue;
        }
        match runs.last_mut() {
            Some(run) if run.1 + 1 == column => run.1 = column,
            _ => runs.push((column, column)),
        }
    }
    runs
}

/// The cell where a row does not go on as the block above it.
fn broken(sheet: &Sheet, row: usize, block: Open) -> crate::Error {
    let hint = "is the block shifted, or a well empty? rows called A, B, … and columns 1, 2, … allow for empty wells";
    for column in block.first..=block.last {
        let text = sheet.text(row, column);
        if !numeric(text) {
            let what = if text.is_empty() { "is empty".to_owned() } else { format!("`{text}` is not a number") };
            let problem = format!("{what}, inside a block of {} columns", block.width());
            return sheet.error(row, column, problem, hint);
        }
    }
    let beyond =
        if block.first > 0 && numeric(sheet.text(row, block.first - 1)) { block.first - 1 } else { block.last + 1 };
    sheet.error(row, beyond, format!("a number beside a block of {} columns", block.width()), hint)
}

fn close(sheet: &Sheet, block: Open, found: &mut Found) -> Result<()> {
    let size = PLATES.iter().find(|size| (block.rows, block.width()) == (size.1, size.2));
    let Some(size) = size else {
        // Rows of a plate's width, and nearly as many of them, are a plate with a fault; anything else is no plate.
        if let Some(size) = PLATES.iter().find(|size| block.width() == size.2 && block.rows * 2 > size.1) {
            let problem =
                format!("a block of {} rows and {} columns, and a plate has {}", block.rows, block.width(), size.1);
            let row = block.top + block.rows.min(size.1);
            return Err(sheet.error(row, block.first, problem, "is a row missing, or one too many?"));
        }
        found.left_out.extend((block.top..block.top + block.rows).map(|row| (row, block.first, block.last)));
        return Ok(());
    };
    let mut wells = Vec::with_capacity(size.0);
    for row in 0..size.1 {
        for column in 0..size.2 {
            if let Some(well) = WellPosition::new(row as u16 + 1, column as u16 + 1) {
                wells.push((well, (block.top + row, block.first + column)));
            }
        }
    }
    let title = title(sheet, block.top, block.first, block.width());
    found.blocks.push(Block { title, corner: (block.top, block.first), size: Some(size.0), wells });
    Ok(())
}

/// A well, its reading and its cell.
pub(super) type ReadWell = (WellPosition, Option<f64>, (usize, usize));

/// The readings of a block; `None` for an empty well.
///
/// # Errors
/// [`crate::Error::Format`] at a cell that holds something else than a number.
pub(super) fn readings(sheet: &Sheet, block: &Block, decimal: Decimal) -> Result<Vec<ReadWell>> {
    let read = |(well, at): &(WellPosition, (usize, usize))| Ok((*well, sheet.number(at.0, at.1, decimal)?, *at));
    block.wells.iter().map(read).collect()
}
