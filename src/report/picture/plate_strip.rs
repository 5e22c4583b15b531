//! Z′ of every plate in the order of the screen. Thousands of plates share a few hundred columns, each of which shows
//! the spread and the middle of its plates, so the picture stays small and its bad stretches stay visible.

use crate::plate::PlateQuality;
use crate::report::colour::verdict_class;
use crate::report::quantity;
use crate::report::svg::{Canvas, Picture, Scale};
use crate::screen::Screen;

const COLUMNS: usize = 240;
const LEFT: f64 = 34.0;
const WIDTH: f64 = 720.0;
const TOP: f64 = 20.0;
const BOTTOM: f64 = 138.0;
/// A Z′ below is drawn on the lower edge; the value is in the hover text and in the table `plates`.
const LOWEST: f64 = -0.5;

/// Draws the strip; plates without a Z′ leave a gap.
pub fn draw(plates: &[PlateQuality], screen: &Screen) -> Picture {
    let known = plates.iter().filter(|p| p.z_prime.is_some()).count();
    let mut canvas = Canvas::new(LEFT + WIDTH + 62.0, BOTTOM + 24.0, "Z′ of every plate, in the order of the screen");
    canvas.text("small muted", (4.0, 11.0), "Z′");
    let least = plates.iter().filter_map(|p| p.z_prime).filter(|z| z.is_finite()).fold(0.0, f64::min);
    let y = Scale { from: ((least - 0.05).max(LOWEST), BOTTOM), to: (1.0, TOP) };
    for (value, words, label) in [(1.0, "", "1"), (0.5, "good", "0.5"), (0.0, "", "0")] {
        canvas.line(if value == 0.0 { "axis" } else { "grid" }, (LEFT, y.at(value)), (LEFT + WIDTH, y.at(value)));
        canvas.text("end small muted", (LEFT - 5.0, y.at(value) + 3.5), label);
        let up = if value == 0.5 { -3.0 } else { 9.0 };
        canvas.text("small muted", (LEFT + WIDTH + 6.0, y.at(value) + up), words);
    }
    if known == 0 {
        canvas.text("muted", (LEFT + 8.0, y.at(0.25)), "no plate has a Z′");
        return canvas.finish();
    }
    let per_column = plates.len().div_ceil(COLUMNS);
    let columns = plates.len().div_ceil(per_column);
    let step = WIDTH / columns as f64;
    let (mut bands, mut dots) = (Vec::new(), Vec::new());
    for (i, group) in plates.chunks(per_column).enumerate() {
        let x = LEFT + step * (i as f64 + 0.5);
        let mut sorted: Vec<(f64, &PlateQuality)> =
            group.iter().filter_map(|p| p.z_prime.filter(|z| z.is_finite()).map(|z| (z, p))).collect();
        sorted.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.plate.cmp(&b.1.plate)));
        let (Some(worst), Some(best)) = (sorted.first(), sorted.last()) else { continue };
        if per_column > 1 {
            bands.push(((x, y.at_most(worst.0)), (x, y.at_most(best.0))));
        }
        let middle = sorted[sorted.len() / 2];
        let shown = [Some(middle), (verdict_class(worst.1.verdict) != "good").then_some(*worst)];
        let mut drawn = None;
        for (z, plate) in shown.into_iter().flatten() {
            if drawn == Some(plate.plate) {
                continue;
            }
            drawn = Some(plate.plate);
            let name = quantity::clip(screen.plates.name(plate.plate), 40);
            let hover = format!("{name}: Z′ {}", quantity::number(z, 2));
            let hollow = if z < LOWEST { " hollow" } else { "" };
            let class = format!("{}{hollow}", verdict_class(plate.verdict));
            dots.push((class, (x, y.at_most(z)), hover));
        }
    }
    canvas.strokes("band", bands);
    for (class, at, hover) in dots {
        canvas.dot(&class, at, (step * 0.42).clamp(1.2, 3.2), &hover);
    }
    let mut words = quantity::counted(plates.len(), "plate", "plates");
    if per_column > 1 {
        words += &format!("; each column {per_column}: range, middle, and the worst where it is not good");
    }
    if known < plates.len() {
        words += &format!("; {} without Z′", quantity::count(plates.len() - known));
    }
    canvas.text("small muted", (LEFT, BOTTOM + 17.0), &words);
    canvas.finish()
}
