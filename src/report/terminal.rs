//! The ranking as plain text, for the end of a run. Numbers as in the table `pairs`: fractions, positive for synergy.

use super::quantity;
use crate::rank::RankedPair;
use crate::screen::Screen;

const HEADS: [&str; 8] = ["rank", "pair", "places", "excess", "95 % interval", "q", "over parents", "selectivity"];
/// Columns that are read as words; the rest are numbers and end flush.
const WORDS: [usize; 2] = [1, 7];
const PAIR: usize = 1;
const NARROWEST_PAIR: usize = 16;
const GAP: &str = "  ";

/// The first `limit` pairs as an aligned table of at most `width` columns, where the numbers leave room for that:
/// names of pairs are shortened, numbers never. Ends with a line feed.
pub fn ranking_text(pairs: &[RankedPair], screen: &Screen, width: usize, limit: usize) -> String {
    if pairs.is_empty() {
        return "no pairs to rank\n".into();
    }
    let shown = &pairs[..pairs.len().min(limit)];
    let mut rows: Vec<[String; 8]> = shown.iter().map(|pair| row(pair, screen)).collect();
    let wide = |column: usize, rows: &[[String; 8]]| {
        let cells = rows.iter().map(|r| columns(&r[column])).max().unwrap_or(0);
        cells.max(columns(HEADS[column]))
    };
    let others: usize = (0..8).filter(|c| *c != PAIR).map(|c| wide(c, &rows) + GAP.len()).sum();
    let room = width.saturating_sub(others).max(NARROWEST_PAIR);
    for row in &mut rows {
        row[PAIR] = fit(&row[PAIR], room);
    }
    let widths: [usize; 8] = std::array::from_fn(|c| wide(c, &rows));
    let mut text = String::new();
    let heads = HEADS.map(str::to_owned);
    for row in std::iter::once(&heads).chain(&rows) {
        let mut line = String::new();
        for (c, cell) in row.iter().enumerate() {
            let blanks = " ".repeat(widths[c].saturating_sub(columns(cell)));
            let gap = if c > 0 { GAP } else { "" };
            line += &if WORDS.contains(&c) { format!("{gap}{cell}{blanks}") } else { format!("{gap}{blanks}{cell}") };
        }
        text += line.trim_end();
        text.push('\n');
    }
    if pairs.len() > shown.len() {
        text += &format!("and {} more\n", quantity::count(pairs.len() - shown.len()));
    }
    text
}

fn row(pair: &RankedPair, screen: &Screen) -> [String; 8] {
    let name = |id| quantity::clip(screen.drugs.name(id), 80);
    let schedule = screen.unusual_schedule(pair.schedule).map(|s| format!(" ({})", quantity::clip(s, 40)));
    let third = pair.drug_c.map(|third| format!(" + {}", name(third))).unwrap_or_default();
    let signed = |v: Option<f64>| v.filter(|v| v.is_finite()).map_or("-".to_owned(), |v| format!("{v:+.3}"));
    let interval = match pair.ci_low.zip(pair.ci_high).filter(|(l, h)| l.is_finite() && h.is_finite()) {
        Some((low, high)) => format!("{low:+.3} to {high:+.3}"),
        None => "-".into(),
    };
    let q = pair
        .q
        .filter(|q| q.is_finite())
        .map_or("-".to_owned(), |q| if q == 0.0 || q >= 0.001 { format!("{q:.3}") } else { format!("{q:.0e}") });
    [
        pair.rank.to_string(),
        format!("{} + {}{third}{}", name(pair.drug_a), name(pair.drug_b), schedule.unwrap_or_default()),
        places(pair),
        signed(pair.score),
        interval,
        q,
        signed(pair.differential),
        pair.selectivity.replace('_', " "),
    ]
}

/// The 90 % interval of the rank.
fn places(pair: &RankedPair) -> String {
    match pair.rank_low.zip(pair.rank_high) {
        Some((low, high)) if low == high => low.to_string(),
        Some((low, high)) => format!("{low}-{high}"),
        None => "-".into(),
    }
}

/// Columns a terminal needs: two for wide scripts.
fn columns(text: &str) -> usize {
    text.chars().map(character_columns).sum()
}

fn character_columns(c: char) -> usize {
    match c as u32 {
        0x300..=0x36f | 0x200b..=0x200d | 0xfe00..=0xfe0f => 0,
        0x1100..=0x115f | 0x2e80..=0xa4cf | 0xac00..=0xd7a3 | 0xf900..=0xfaff | 0xff00..=0xff60 | 0x1f300.. => 2,
        _ => 1,
    }
}

fn fit(text: &str, room: usize) -> String {
    if columns(text) <= room {
        return text.to_owned();
    }
    let (mut fitted, mut used) = (String::new(), 1);
    for c in text.chars() {
        used += character_columns(c);
        if used > room {
            break;
        }
        fitted.push(c);
    }
    fitted.push('…');
    fitted
}
