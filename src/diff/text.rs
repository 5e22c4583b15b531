//! The difference in words, for the terminal.

use super::{Both, ChangedPair, Difference, PARTS};
use crate::report::quantity;
use std::fmt::Write;

/// What became of a number: `+0.120 to +0.080`.
fn moved(values: Both<f64>) -> String {
    let shown = |value: Option<f64>| value.map_or("nothing".to_owned(), |value| format!("{value:+.3}"));
    format!("{} to {}", shown(values[0]), shown(values[1]))
}

/// Why a pair is where it is.
pub(super) fn why(pair: &ChangedPair) -> String {
    let mut reasons = pair.gates.clone();
    if let Some(part) = pair.part_most_changed() {
        reasons.push(format!(
            "composite {}, most of it {} {}",
            moved(pair.composite),
            PARTS[part],
            moved(pair.parts[part])
        ));
    } else if pair.rank[0] != pair.rank[1]
        && pair.composite_low[0].zip(pair.composite_low[1]).is_some_and(|(before, after)| before != after)
    {
        reasons.push(format!("lower end of its composite {}", moved(pair.composite_low)));
    }
    if let Some(line) = &pair.line {
        reasons.push(format!("score in {line} {}", moved(pair.line_score)));
    }
    if let Some(cell) = &pair.cell {
        let at = cell.dose.map(quantity::dose).join(" and ");
        if cell.observed[0].map(f64::to_bits) != cell.observed[1].map(f64::to_bits) {
            reasons.push(format!("viability of {} at {at} {}", cell.cell_line, moved(cell.observed).replace('+', "")));
        } else {
            reasons.push(format!("excess in {} at {at} {}", cell.cell_line, moved(cell.excess)));
        }
    }
    if let [first, rest @ ..] = pair.flipped.as_slice() {
        let more = if rest.is_empty() { String::new() } else { format!(" and {} more", rest.len()) };
        reasons.push(format!("curve of {first}{more}"));
    }
    let is_untouched = pair.line.is_none() && pair.cell.is_none() && pair.flipped.is_empty();
    if is_untouched && pair.score[0] != pair.score[1] {
        reasons.push("weights of its lines".into());
    } else if reasons.is_empty() && pair.rank[0] != pair.rank[1] {
        reasons.push("others moved past it".into());
    }
    reasons.join("; ")
}

/// The whole as text; of the pairs those that moved most, `limit` of them.
pub fn text(difference: &Difference, limit: usize) -> String {
    let Difference { folders, causes, stages, pairs, curves, correlation, records } = difference;
    let mut text = String::new();
    let _ = writeln!(text, "before  {} (isobole {})", folders[0].display(), records[0].version);
    let _ = writeln!(text, "after   {} (isobole {})", folders[1].display(), records[1].version);
    let _ = writeln!(text, "\ndone otherwise");
    if causes.is_empty() {
        let _ = writeln!(text, "  nothing: settings, inputs and version are the same");
    }
    for cause in causes {
        let _ = writeln!(text, "  {:10} {:9} {}", cause.stage.name(), cause.kind, cause.detail);
    }
    let _ = writeln!(text, "\ncame out otherwise");
    for stage in stages {
        let largest = stage.largest.map_or(String::new(), |largest| match stage.of {
            "rank" => format!(", by up to {largest} places"),
            of => format!(", {of} by up to {largest:.3}"),
        });
        let (changed, n) = (quantity::count(stage.changed), quantity::count(stage.n));
        let _ = writeln!(text, "  {:10} {changed} of {n} {}{largest}", stage.stage, stage.unit);
    }
    if !curves.is_empty() {
        let _ = writeln!(text, "  curves     {} flipped class", quantity::count(curves.len()));
    }
    let shown = |value: Option<f64>| value.map_or("-".to_owned(), |value| format!("{value:.4}"));
    let _ = writeln!(
        text,
        "\nranks of {} pairs: Spearman {}, Kendall {}",
        correlation.n,
        shown(correlation.spearman),
        shown(correlation.kendall)
    );
    for (which, words) in [("entered", "entered the significant (q <= 0.05)"), ("left", "left the significant")] {
        let of: Vec<String> = pairs.iter().filter(|pair| pair.significance == which).map(name).collect();
        if !of.is_empty() {
            let _ = writeln!(text, "{} {words}: {}", of.len(), quantity::clip(&of.join(", "), 300));
        }
    }
    let mut changed: Vec<&ChangedPair> = pairs.iter().filter(|pair| !pair.why.is_empty()).collect();
    // Those that came or went first, then by places moved, then by how much the score did.
    let places = |pair: &ChangedPair| match pair.rank {
        [Some(before), Some(after)] => before.abs_diff(after),
        _ => usize::MAX,
    };
    let score = |pair: &ChangedPair| pair.score[0].zip(pair.score[1]).map_or(f64::MAX, |(a, b)| (a - b).abs());
    changed.sort_by(|a, b| places(b).cmp(&places(a)).then(score(b).total_cmp(&score(a))));
    if !changed.is_empty() {
        let _ = writeln!(text, "\n{:>9}  {:34}  {:32}  {:32}  why", "rank", "pair", "before", "after");
    }
    for pair in changed.iter().take(limit) {
        let rank = |rank: Option<usize>| rank.map_or("-".to_owned(), |rank| rank.to_string());
        let ranks = format!("{}→{}", rank(pair.rank[0]), rank(pair.rank[1]));
        let side = |side: usize| scored(pair, side);
        let name = quantity::clip(&name(pair), 34);
        let _ = writeln!(text, "{ranks:>9}  {name:34}  {:32}  {:32}  {}", side(0), side(1), pair.why);
    }
    if changed.len() > limit {
        let _ = writeln!(text, "and {} more", quantity::count(changed.len() - limit));
    }
    text
}

/// `A + B`, with its schedule where it has one.
pub(super) fn name(pair: &ChangedPair) -> String {
    let usual = pair.schedule.is_empty() || pair.schedule.eq_ignore_ascii_case("simultaneous");
    let schedule = if usual { String::new() } else { format!(" ({})", pair.schedule) };
    let third = if pair.drug_c.is_empty() { String::new() } else { format!(" + {}", pair.drug_c) };
    format!("{} + {}{third}{schedule}", pair.drug_a, pair.drug_b)
}

/// `+0.120 (+0.100 to +0.140)`.
pub(super) fn scored(pair: &ChangedPair, side: usize) -> String {
    let Some(score) = pair.score[side] else { return "-".into() };
    match pair.ci_low[side].zip(pair.ci_high[side]) {
        Some((low, high)) => format!("{score:+.3} ({low:+.3} to {high:+.3})"),
        None => format!("{score:+.3}"),
    }
}
