//! A dose matrix as two maps side by side: observed viability, and excess over a reference model.

use crate::report::colour::{self, Rgb};
use crate::report::quantity;
use crate::report::svg::{Canvas, Picture, text_width};
use crate::synergy::SurfaceCell;

const SMALL: f64 = 9.5;
const TITLES: f64 = 46.0;
/// Set between the margins (one drug alone) and the combinations.
const MARGIN_GAP: f64 = 4.0;
const PANEL_GAP: f64 = 34.0;

/// A dose matrix to be drawn.
#[derive(Debug, Clone, Copy)]
pub struct HeatMap<'a> {
    /// What stands above: the cell line.
    pub title: &'a str,
    /// Class of the title: what the line is taken for ([`colour::line_class`]).
    pub title_class: &'a str,
    /// First drug, along the horizontal axis.
    pub drug_a: &'a str,
    /// Second drug, along the vertical axis.
    pub drug_b: &'a str,
    /// Every observed dose pair.
    pub cells: &'a [SurfaceCell],
    /// Which of the models in [`SurfaceCell::excess`].
    pub model: usize,
    /// The reference as a reader says it: `Bliss`.
    pub reference: &'a str,
    /// Molar doses at the centre of the best 3 × 3 window, framed where given.
    pub peak: Option<(f64, f64)>,
}

/// Distinct doses and where their cells lie along one axis.
struct Axis {
    doses: Vec<f64>,
    cell: f64,
}

impl Axis {
    fn new(doses: impl Iterator<Item = f64>, sizes: [f64; 3]) -> Self {
        let mut doses: Vec<f64> = doses.filter(|d| d.is_finite() && *d >= 0.0).collect();
        doses.sort_by(f64::total_cmp);
        doses.dedup();
        let cell = match doses.len() {
            0..=8 => sizes[0],
            9..=12 => sizes[1],
            n => (12.0 * sizes[1] / n as f64).max(sizes[2]),
        };
        Self { doses, cell }
    }

    fn index(&self, dose: f64) -> Option<usize> {
        self.doses.binary_search_by(|d| d.total_cmp(&dose)).ok()
    }

    fn offset(&self, index: usize) -> f64 {
        let gap = if index > 0 && self.doses.first() == Some(&0.0) { MARGIN_GAP } else { 0.0 };
        index as f64 * self.cell + gap
    }

    fn length(&self) -> f64 {
        self.offset(self.doses.len().saturating_sub(1)) + self.cell
    }

    /// Every how many cells a label has room.
    fn every(&self, needed: f64) -> usize {
        (needed / self.cell).ceil().max(1.0) as usize
    }

    /// From and to (pixels) of the cells of a window of three doses about one above zero.
    fn window(&self, centre: f64) -> Option<(f64, f64)> {
        let centre = self.index(centre)?;
        let first = usize::from(self.doses.first() == Some(&0.0));
        let (low, high) = (centre.saturating_sub(1).max(first), (centre + 1).min(self.doses.len() - 1));
        (centre >= first).then(|| (self.offset(low), self.offset(high) + self.cell))
    }
}

/// Draws the pair of maps.
pub fn draw(map: &HeatMap<'_>) -> Picture {
    let a = Axis::new(map.cells.iter().map(|c| c.dose_a), [34.0, 27.0, 5.0]);
    let b = Axis::new(map.cells.iter().map(|c| c.dose_b), [24.0, 21.0, 5.0]);
    let (drug_a, drug_b) = (quantity::clip(map.drug_a, 36), quantity::clip(map.drug_b, 28));
    let title = quantity::clip(map.title, 40);
    let label = |doses: &[f64]| doses.iter().map(|d| text_width(&quantity::dose(*d), SMALL)).fold(0.0, f64::max);
    let left = 24.0 + label(&b.doses);
    let lying = label(&a.doses) <= a.cell - 3.0;
    let below = if lying { 14.0 } else { label(&a.doses) + 8.0 };
    // A narrow matrix still needs room for the words above it.
    let panel = a.length().max(150.0);
    let width = left + 2.0 * panel + PANEL_GAP + 8.0;
    let height = TITLES + b.length() + below + 20.0;
    let describe = format!("{title}: {drug_a} with {drug_b}, viability and excess over {}", map.reference);
    let mut canvas = Canvas::new(width, height, &describe);
    canvas.text(&format!("strong {}", map.title_class), (left, 13.0), &title);
    if map.cells.is_empty() {
        canvas.text("muted", (left, TITLES), "no dose pair was read");
        return canvas.finish();
    }
    let over = format!("excess over {}, points", map.reference);
    let panels: [(&str, Legend); 2] = [
        ("viability, %", (colour::viability, [(0.0, "0"), (1.0, "100")])),
        (&over, (colour::excess, [(-colour::EXCESS_FULL, "−50"), (colour::EXCESS_FULL, "+50")])),
    ];
    for (i, (words, legend)) in panels.into_iter().enumerate() {
        let from = left + i as f64 * (panel + PANEL_GAP);
        canvas.text("small muted", (from, TITLES - 7.0), words);
        draw_legend(&mut canvas, legend, from + panel, TITLES - 16.0);
        for cell in map.cells {
            draw_cell(&mut canvas, map, i, cell, &a, &b, from);
        }
        for (index, dose) in a.doses.iter().enumerate() {
            let (centre, text) = (from + a.offset(index) + a.cell / 2.0, quantity::dose(*dose));
            let floor = TITLES + b.length();
            if lying {
                canvas.text("mid small muted", (centre, floor + 12.0), &text);
            } else if index % a.every(11.0) == 0 {
                canvas.text_upwards("end small muted", (centre + 3.5, floor + 5.0), &text);
            }
        }
        canvas.text("small", (from, height - 5.0), &format!("{drug_a} →"));
        let framed = map.peak.filter(|_| i == 1).and_then(|(pa, pb)| Some((a.window(pa)?, b.window(pb)?)));
        if let Some(((x0, x1), (y0, y1))) = framed {
            let corner = (from + x0, TITLES + b.length() - y1);
            canvas.rect("class=\"frame\"", corner, (x1 - x0, y1 - y0), "the best 3 × 3 window");
        }
    }
    for (index, dose) in b.doses.iter().enumerate().filter(|(i, _)| i % b.every(11.0) == 0) {
        let middle = TITLES + b.length() - b.offset(index) - b.cell / 2.0;
        canvas.text("end small muted", (left - 5.0, middle + 3.5), &quantity::dose(*dose));
    }
    canvas.text_upwards("mid small", (11.0, TITLES + b.length() / 2.0), &format!("{drug_b} →"));
    canvas.finish()
}

/// A colour map and the values at its ends with their labels.
type Legend = (fn(f64) -> Rgb, [(f64, &'static str); 2]);

/// A strip of colours ending at `right`.
fn draw_legend(canvas: &mut Canvas, (map, [low, high]): Legend, right: f64, top: f64) {
    const STEPS: usize = 12;
    let end = right - 22.0;
    for i in 0..STEPS {
        let value = low.0 + (high.0 - low.0) * (i as f64 + 0.5) / STEPS as f64;
        let from = end - 3.0 * (STEPS - i) as f64;
        canvas.rect(&format!("fill=\"{}\"", colour::hex(map(value))), (from, top + 2.0), (3.2, 7.0), "");
    }
    canvas.text("end small muted", (end - 3.0 * STEPS as f64 - 3.0, top + 9.0), low.1);
    canvas.text("small muted", (end + 3.0, top + 9.0), high.1);
}

fn draw_cell(canvas: &mut Canvas, map: &HeatMap<'_>, panel: usize, cell: &SurfaceCell, a: &Axis, b: &Axis, left: f64) {
    let (Some(column), Some(row)) = (a.index(cell.dose_a), b.index(cell.dose_b)) else { return };
    let corner = (left + a.offset(column), TITLES + b.length() - b.offset(row) - b.cell);
    let of_model = |values: &[Option<f64>]| values.get(map.model).copied().flatten().filter(|v| v.is_finite());
    let excess = of_model(&cell.excess);
    let (value, paint, text) = if panel == 0 {
        let value = Some(cell.observed).filter(|v| v.is_finite());
        (value, value.map(colour::viability), value.map(quantity::percent))
    } else {
        (excess, excess.map(colour::excess), excess.map(|e| quantity::points(e, 0)))
    };
    let size = (a.cell - 1.0, b.cell - 1.0);
    // The margins have no excess by definition: nothing is missing there.
    let is_combination = cell.dose_a > 0.0 && cell.dose_b > 0.0;
    let (Some(_), Some(paint), Some(text)) = (value, paint, text) else {
        if panel == 0 || is_combination {
            canvas.rect("class=\"void\"", (corner.0 + 0.5, corner.1 + 0.5), (size.0 - 1.0, size.1 - 1.0), "");
        }
        return;
    };
    let mut hover = format!(
        "{} + {}: viability {} %, {}",
        quantity::dose(cell.dose_a),
        quantity::dose(cell.dose_b),
        quantity::percent(cell.observed),
        quantity::counted(cell.n as usize, "well", "wells")
    );
    if let Some(expected) = of_model(&cell.expected).filter(|_| panel == 1) {
        hover += &format!("; {} expects {} %", map.reference, quantity::percent(expected));
    }
    canvas.rect(&format!("fill=\"{}\"", colour::hex(paint)), corner, size, &hover);
    if text_width(&text, SMALL) <= size.0 - 1.0 && size.1 >= 11.0 {
        let centre = (corner.0 + size.0 / 2.0, corner.1 + size.1 / 2.0 + 3.4);
        canvas.text_filled(colour::ink_on(paint), "mid small", centre, &text);
    }
}
