//! Drawing: a canvas of SVG elements, the style they share, and scales with their ticks.

use std::fmt::Write as _;

/// Inks of one theme, in the order of [`style`].
struct Theme {
    ink: &'static str,
    muted: &'static str,
    faint: &'static str,
    paper: &'static str,
    resistant: &'static str,
    parental: &'static str,
    unknown: &'static str,
    marginal: &'static str,
}

/// Okabe and Ito's vermilion, blue and green, toned for the paper behind them.
const LIGHT: Theme = Theme {
    ink: "#1f2328",
    muted: "#606870",
    faint: "#d5d9dd",
    paper: "#ffffff",
    resistant: "#c4520a",
    parental: "#0067a8",
    unknown: "#5b6670",
    marginal: "#b07d00",
};
const DARK: Theme = Theme {
    ink: "#e4e7ea",
    muted: "#9aa3ab",
    faint: "#3a4149",
    paper: "#15181c",
    resistant: "#f0894a",
    parental: "#62b5ea",
    unknown: "#a9b3bc",
    marginal: "#e0b23f",
};

fn theme_css(theme: &Theme) -> String {
    let Theme { ink, muted, faint, paper, resistant, parental, unknown, marginal } = theme;
    let mut css = format!(
        ".pic text{{fill:{ink}}}.pic .muted{{fill:{muted}}}.pic .axis{{stroke:{muted}}}.pic .grid{{stroke:{faint}}}\
         .pic .void{{fill:none;stroke:{faint}}}.pic .frame{{stroke:{ink}}}.pic .band{{stroke:{faint}}}"
    );
    let classes = [
        ("resistant", resistant),
        ("parental", parental),
        ("unknown", unknown),
        ("good", parental),
        ("marginal", marginal),
        ("bad", resistant),
    ];
    for (class, colour) in classes {
        // Writing into a String cannot fail.
        let _ = write!(
            css,
            ".pic .{class}{{stroke:{colour};fill:{colour}}}.pic text.{class}{{stroke:none}}\
             .pic .{class}.hollow{{fill:{paper}}}.pic .{class}.line{{fill:none}}"
        );
    }
    css
}

/// The style sheet of the pictures, for a page (`dark_too`: follow the reader's preference) or for a file.
pub fn style(dark_too: bool) -> String {
    let mut css = String::from(
        ".pic{font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Helvetica Neue',Arial,sans-serif;font-size:11px}\
         .pic .end{text-anchor:end}.pic .mid{text-anchor:middle}.pic .small{font-size:9.5px}.pic .strong{font-weight:600}\
         .pic .line{fill:none;stroke-width:1.8}.pic .thin{fill:none;stroke-width:1}.pic .axis,.pic .grid{stroke-width:1;fill:none}\
         .pic .dash{stroke-dasharray:3 3}.pic .frame{fill:none;stroke-width:1.5}.pic .hollow{stroke-width:1.4}\
         .pic .band{fill:none;stroke-width:2}",
    );
    css += &theme_css(&LIGHT);
    if dark_too {
        let _ = write!(css, "@media screen and (prefers-color-scheme:dark){{{}}}", theme_css(&DARK));
    }
    css
}

/// Escaped for text and attributes; what XML forbids is replaced.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out.push_str("&amp;"),
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            '\n' | '\t' => out.push(c),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// About how wide a text is, in pixels at this font size: rather too wide than cut off. Wide scripts take a full em.
pub fn text_width(text: &str, font_size: f64) -> f64 {
    let em = |c: char| match c {
        'i' | 'j' | 'l' | 'f' | 't' | 'I' | ' ' | '.' | ',' | ':' | '-' | '/' | '(' | ')' => 0.38,
        'm' | 'w' | 'M' | 'W' | '\u{2e80}'.. => 1.0,
        'A'..='Z' | '+' | '−' | '…' => 0.76,
        _ => 0.62,
    };
    text.chars().map(em).sum::<f64>() * font_size
}

/// A finished picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    width: f64,
    height: f64,
    title: String,
    body: String,
}

impl Picture {
    /// The element to put into a page that carries [`style`].
    pub fn inline(&self) -> String {
        self.element("", "")
    }

    /// A file of its own.
    pub fn document(&self) -> String {
        let paper = format!("<rect width=\"100%\" height=\"100%\" fill=\"{}\"/>", LIGHT.paper);
        self.element(" xmlns=\"http://www.w3.org/2000/svg\"", &format!("<style>{}</style>{paper}", style(false)))
    }

    fn element(&self, attributes: &str, head: &str) -> String {
        let Self { width, height, title, body } = self;
        let (width, height, title) = (coordinate(*width), coordinate(*height), escape(title));
        format!(
            "<svg{attributes} class=\"pic\" role=\"img\" aria-label=\"{title}\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\">{head}{body}</svg>\n"
        )
    }
}

/// One decimal is a tenth of a pixel; more only makes the file longer.
fn coordinate(value: f64) -> String {
    let text = format!("{value:.1}");
    match text.strip_suffix(".0").unwrap_or(&text) {
        "-0" => "0".into(),
        text => text.into(),
    }
}

/// Where elements are drawn. An element with a coordinate that is not finite is left out: no picture can show it.
#[derive(Debug)]
pub struct Canvas {
    picture: Picture,
}

impl Canvas {
    /// An empty canvas; `title` is what a screen reader says.
    pub fn new(width: f64, height: f64, title: &str) -> Self {
        Self { picture: Picture { width, height, title: title.to_owned(), body: String::new() } }
    }

    /// The picture.
    pub fn finish(self) -> Picture {
        self.picture
    }

    fn draw(&mut self, numbers: &[f64], element: impl FnOnce(&[String]) -> String) {
        if numbers.iter().all(|x| x.is_finite()) {
            let coordinates: Vec<String> = numbers.iter().map(|x| coordinate(*x)).collect();
            self.picture.body += &element(&coordinates);
        }
    }

    /// A straight line.
    pub fn line(&mut self, class: &str, from: (f64, f64), to: (f64, f64)) {
        self.draw(&[from.0, from.1, to.0, to.1], |c| {
            format!("<path class=\"{class}\" d=\"M{} {}L{} {}\"/>", c[0], c[1], c[2], c[3])
        });
    }

    /// A line through points; breaks where a point is not finite.
    pub fn polyline(&mut self, class: &str, points: impl IntoIterator<Item = (f64, f64)>) {
        let mut path = String::new();
        let mut pen_down = false;
        for (x, y) in points {
            if x.is_finite() && y.is_finite() {
                path.push(if pen_down { 'L' } else { 'M' });
                path += &format!("{} {}", coordinate(x), coordinate(y));
                pen_down = true;
            } else {
                pen_down = false;
            }
        }
        if !path.is_empty() {
            self.picture.body += &format!("<path class=\"{class}\" d=\"{path}\"/>");
        }
    }

    /// Many separate strokes as one element.
    pub fn strokes(&mut self, class: &str, strokes: impl IntoIterator<Item = ((f64, f64), (f64, f64))>) {
        let gap = (f64::NAN, f64::NAN);
        self.polyline(class, strokes.into_iter().flat_map(|(from, to)| [from, to, gap]));
    }

    /// A dot, with a text shown on hovering unless that is empty.
    pub fn dot(&mut self, class: &str, centre: (f64, f64), radius: f64, hover: &str) {
        let hover = hover_element(hover);
        self.draw(&[centre.0, centre.1, radius], |c| {
            format!("<circle class=\"{class}\" cx=\"{}\" cy=\"{}\" r=\"{}\">{hover}</circle>", c[0], c[1], c[2])
        });
    }

    /// A rectangle from its upper left corner; `paint` is a class (`class="…"`) or a fill (`fill="…"`).
    pub fn rect(&mut self, paint: &str, corner: (f64, f64), size: (f64, f64), hover: &str) {
        let hover = hover_element(hover);
        self.draw(&[corner.0, corner.1, size.0, size.1], |c| {
            let (x, y, w, h) = (&c[0], &c[1], &c[2], &c[3]);
            format!("<rect {paint} x=\"{x}\" y=\"{y}\" width=\"{w}\" height=\"{h}\">{hover}</rect>")
        });
    }

    /// Text with its base line at `at`.
    pub fn text(&mut self, class: &str, at: (f64, f64), text: &str) {
        let text = escape(text);
        self.draw(&[at.0, at.1], |c| format!("<text class=\"{class}\" x=\"{}\" y=\"{}\">{text}</text>", c[0], c[1]));
    }

    /// Text in a colour of its own, centred at `at`.
    pub fn text_filled(&mut self, fill: &str, class: &str, at: (f64, f64), text: &str) {
        let text = escape(text);
        self.draw(&[at.0, at.1], |c| {
            format!("<text class=\"{class}\" style=\"fill:{fill}\" x=\"{}\" y=\"{}\">{text}</text>", c[0], c[1])
        });
    }

    /// Text reading upwards, centred at `at`.
    pub fn text_upwards(&mut self, class: &str, at: (f64, f64), text: &str) {
        let text = escape(text);
        self.draw(&[at.0, at.1], |c| {
            let (x, y) = (&c[0], &c[1]);
            format!("<text class=\"{class}\" x=\"{x}\" y=\"{y}\" transform=\"rotate(-90 {x} {y})\">{text}</text>")
        });
    }
}

fn hover_element(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!("<title>{}</title>", escape(text)) }
}

/// A straight map from values to pixels.
#[derive(Debug, Clone, Copy)]
pub struct Scale {
    /// Value and pixel of one end.
    pub from: (f64, f64),
    /// Value and pixel of the other.
    pub to: (f64, f64),
}

impl Scale {
    /// The pixel of a value; the middle where both ends are the same value.
    pub fn at(&self, value: f64) -> f64 {
        let span = self.to.0 - self.from.0;
        let share = if span == 0.0 { 0.5 } else { (value - self.from.0) / span };
        self.from.1 + (self.to.1 - self.from.1) * share
    }

    /// The pixel of a value, no further than the ends.
    pub fn at_most(&self, value: f64) -> f64 {
        let (low, high) = (self.from.0.min(self.to.0), self.from.0.max(self.to.0));
        self.at(value.max(low).min(high))
    }

    /// Round values within the ends, at most `limit` + 1 of them, a step of 1, 2 or 5 times a power of ten apart.
    pub fn ticks(&self, limit: usize) -> Vec<f64> {
        let (low, high) = (self.from.0.min(self.to.0), self.from.0.max(self.to.0));
        let rough = (high - low) / limit.max(1) as f64;
        if !(rough.is_finite() && rough > 0.0) {
            return Vec::new();
        }
        let power = 10_f64.powf(rough.log10().floor());
        let step = [1.0, 2.0, 5.0, 10.0].map(|m| m * power).into_iter().find(|s| *s >= rough * 0.999_999);
        let step = step.unwrap_or(power * 10.0);
        let (first, last) = ((low / step - 1e-9).ceil(), (high / step + 1e-9).floor());
        (0..=limit).map(|i| first + i as f64).take_while(|i| *i <= last).map(|i| i * step).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hostile_text_stays_text() {
        let mut canvas = Canvas::new(10.0, 10.0, "\"><script>alert(1)</script>");
        canvas.text("mid", (1.0, 2.0), "<b>&'\"\u{0}\u{7}");
        canvas.dot("good", (1.0, 1.0), 2.0, "</title><script>");
        let text = canvas.finish().document();
        assert!(!text.contains("<script") && !text.contains("<b>") && !text.contains('\u{0}'), "{text}");
        assert!(text.contains("&lt;b&gt;&amp;&#39;&quot;\u{fffd}\u{fffd}"), "{text}");
    }

    #[test]
    fn what_has_no_place_is_not_drawn() {
        let mut canvas = Canvas::new(10.0, 10.0, "t");
        canvas.line("axis", (f64::NAN, 0.0), (1.0, 1.0));
        canvas.dot("good", (f64::INFINITY, 0.0), 1.0, "");
        canvas.polyline("line", [(0.0, 0.0), (1.0, f64::NAN), (2.0, 2.0), (3.0, 3.0)]);
        let text = canvas.finish().inline();
        assert!(!text.contains("NaN") && !text.contains("inf") && !text.contains("circle"), "{text}");
        assert!(text.contains("d=\"M0 0M2 2L3 3\""), "{text}");
    }

    #[test]
    fn ticks_are_round_and_within() {
        let scale = |low, high| Scale { from: (low, 0.0), to: (high, 100.0) };
        assert_eq!(scale(0.0, 1.0).ticks(5), [0.0, 0.2, 0.4, 0.6000000000000001, 0.8, 1.0]);
        assert_eq!(scale(-12.0, 31.0).ticks(5), [-10.0, 0.0, 10.0, 20.0, 30.0]);
        assert!(scale(1.0, 1.0).ticks(5).is_empty());
        assert!(scale(f64::NAN, 1.0).ticks(5).is_empty());
        assert_eq!(scale(0.0, 2.0).at(0.5), 25.0);
        assert_eq!(scale(0.0, 2.0).at_most(9.0), 100.0);
    }
}
