//! The text of the fitting kernel that is neither recorded nor the same for all models: structures of scalars, loops
//! over the points, and what is done parameter by parameter.

use super::fit_kernel::{ROWS_BEHIND, ROWS_OF_DESCENTS};
use super::table_shape::TableShape;
use crate::math::program::{Program, Recorded};
use crate::math::{Scalar, wgsl};
use crate::model::CurveModel;
use std::fmt::Write;

/// A WGSL structure of numbers.
pub struct Group {
    /// Its name.
    pub name: &'static str,
    /// Names of its numbers.
    pub fields: Vec<String>,
}

impl Group {
    /// With so many fields of each kind, numbered: `part0`, `part1`, …
    pub fn new(name: &'static str, parts: &[(&str, usize)]) -> Self {
        let fields = parts.iter().flat_map(|(part, n)| (0..*n).map(move |i| format!("{part}{i}")));
        Self { name, fields: fields.collect() }
    }

    /// Its declaration.
    pub fn declare(&self) -> String {
        // WGSL has no empty structures.
        let fields: String = match self.fields.is_empty() {
            true => "unused: f32, ".into(),
            false => self.fields.iter().map(|f| format!("{f}: f32, ")).collect(),
        };
        format!("struct {} {{ {fields}}}\n", self.name)
    }

    /// The fields of a variable.
    pub fn of(&self, variable: &str) -> Vec<String> {
        self.fields.iter().map(|f| format!("{variable}.{f}")).collect()
    }

    /// `fn name(arguments) -> this structure`, from a program with an output a field.
    pub fn function(&self, name: &str, arguments: &str, inputs: &[String], mut program: Program) -> String {
        if self.fields.is_empty() {
            program.outputs.push(Recorded::lit(0.0));
        }
        wgsl::function(name, arguments, self.name, inputs, &program)
    }

    /// `fn name(at: u32) -> this structure`, read from `tables` there on.
    pub fn loader(&self, name: &str) -> String {
        let count = self.fields.len().max(1);
        let values: Vec<String> = (0..count).map(|i| format!("tables[at + {i}u]")).collect();
        format!("fn {name}(at: u32) -> {} {{ return {}({}); }}\n", self.name, self.name, values.join(", "))
    }
}

/// A pass over the points: name, what it sums up, arguments, what is done at a point. There, P stands for the point, Y of
/// a curve for its response, U for the columns of a start.
type Pass<'a> = (&'a str, &'a str, String, &'a str);

/// The passes over the points of a fit, written out or as loops, and what they read.
pub fn over_points(shape: &TableShape, unrolled: bool) -> String {
    let mut source = String::new();
    let (point, points) = (shape.point, shape.points);
    if unrolled {
        let all = |text: &dyn Fn(usize) -> String| (0..points).map(text).collect::<String>();
        let _ = writeln!(source, "struct Points {{ {}}}", all(&|n| format!("p{n}: Point, ")));
        let load = all(&|n| format!("load_point(at + {}u), ", n * point));
        let _ = writeln!(source, "fn load_points(at: u32) -> Points {{ return Points({load}); }}");
        let _ = writeln!(source, "struct Responses {{ {}}}", all(&|n| format!("y{n}: f32, ")));
        let load = all(&|n| format!("region({n}u, fit), "));
        let _ = writeln!(source, "fn load_responses(fit: u32) -> Responses {{ return Responses({load}); }}");
    } else {
        source += "struct Points { at: u32, }\nfn load_points(at: u32) -> Points { return Points(at); }\n";
        source +=
            "struct Responses { fit: u32, }\nfn load_responses(fit: u32) -> Responses { return Responses(fit); }\n";
    }
    let of_fit = "points: Points, a: Responses";
    let passes: [Pass<'_>; 2] = [
        ("sum_basis", "BasisSums", format!("{of_fit}, e: EarlyBasis"), "s = add_basis(s, e, P, Y_a)"),
        ("sum_slopes", "SlopeSums", format!("{of_fit}, e: EarlySlopes"), "s = add_slopes(s, e, P, Y_a)"),
    ];
    source + &written(&passes, shape, unrolled)
}

/// The passes over the points that the scan of the starts makes.
pub fn over_starts(shape: &TableShape, unrolled: bool) -> String {
    let mut source = String::new();
    let sums = (0..shape.width).map(|i| format!("a.a{i} + u.u{i} * y"));
    let sums = if shape.width == 0 { "0.0f".into() } else { sums.collect::<Vec<_>>().join(", ") };
    let _ = writeln!(source, "fn add_along(a: Along, u: Vectors, y: f32) -> Along {{ return Along({sums}); }}");
    source += "struct Four { a: Along, b: Along, c: Along, d: Along, }\n";
    let four = ["s.a = add_along(s.a, U, Y_a)", "s.b = add_along(s.b, U, Y_b)", "s.c = add_along(s.c, U, Y_c)"];
    let four = format!("{}; s.d = add_along(s.d, U, Y_d)", four.join("; "));
    let of_fit = "points: Points, a: Responses";
    let passes: [Pass<'_>; 4] = [
        ("sum_level", "f32", format!("{of_fit}, scale: f32"), "s += Y_a * P.w0 * scale"),
        ("sum_square", "f32", format!("{of_fit}, level: f32"), "s += (Y_a - P.w0 * level) * (Y_a - P.w0 * level)"),
        ("sum_along", "Along", "a: Responses, at: u32".into(), "s = add_along(s, U, Y_a)"),
        ("sum_four", "Four", "a: Responses, b: Responses, c: Responses, d: Responses, at: u32".into(), &four),
    ];
    source + &written(&passes, shape, unrolled)
}

fn written(passes: &[Pass<'_>], shape: &TableShape, unrolled: bool) -> String {
    let mut source = String::new();
    let (width, point, points) = (shape.width, shape.point, shape.points);
    for (name, result, arguments, one) in passes {
        let one = *one;
        let _ = writeln!(source, "fn {name}({arguments}) -> {result} {{\n    var s = {result}();");
        let curves = ["a", "b", "c", "d"];
        if unrolled {
            for n in 0..points {
                let mut line = one.replace("P", &format!("points.p{n}")).replace("U", &format!("u{n}"));
                for curve in curves {
                    line = line.replace(&format!("Y_{curve}"), &format!("{curve}.y{n}"));
                }
                if one.contains('U') {
                    let _ = writeln!(source, "    let u{n} = load_vectors(at + {}u);", n * width);
                }
                let _ = writeln!(source, "    {line};");
            }
        } else {
            source += "    for (var k = 0u; k < config.points; k++) {\n";
            if one.contains('P') {
                let _ = writeln!(source, "        let p = load_point(points.at + k * {point}u);");
            }
            if one.contains('U') {
                let _ = writeln!(source, "        let u = load_vectors(at + k * {width}u);");
            }
            let mut line = one.replace("P", "p").replace("U", "u");
            for curve in curves.into_iter().filter(|curve| one.contains(&format!("Y_{curve}"))) {
                let _ = writeln!(source, "        let y_{curve} = region(k, {curve}.fit);");
                line = line.replace(&format!("Y_{curve}"), &format!("y_{curve}"));
            }
            let _ = writeln!(source, "        {line};\n    }}");
        }
        source += "    return s;\n}\n";
    }
    source
}

/// Beginnings read from the input, behind its first rows, and linear parameters written.
pub fn from_beginnings(k: usize, c: usize) -> String {
    let rows = (0..k).map(|i| format!("region(config.points + {}u, fit)", ROWS_BEHIND + i)).collect::<Vec<_>>();
    let mut source = format!("fn beginning_of(fit: u32) -> Theta {{ return Theta({}); }}\n", rows.join(", "));
    source += "fn write_linear(fit: u32, c: Solved) {\n";
    for j in 0..c {
        let _ =
            writeln!(source, "    output[(EVALUATIONS_ROW + {}u) * config.n + fit] = c.c{j};", ROWS_OF_DESCENTS + j);
    }
    source + "}\n"
}

/// What the loops need of each parameter.
pub fn of_parameters(model: &CurveModel, bounds: &Group, k: usize) -> String {
    let mut source = String::new();
    let each = |f: &dyn Fn(&str, usize, usize) -> String| -> Vec<String> {
        let nonlinear = model.nonlinear.iter().enumerate().map(|(i, p)| f("t", i, *p));
        let linear = model.linear.iter().enumerate().map(|(j, p)| f("c", j, *p));
        nonlinear.chain(linear).collect()
    };
    let free = each(&|axis, i, _| format!("select(0.0f, 1.0f, b.lower_{axis}{i} < b.upper_{axis}{i})")).join(" + ");
    let _ = writeln!(source, "fn free_parameters(b: Bounds) -> f32 {{ return {free}; }}");
    let number = |field: &String| {
        let (axis, i) = field.split_at(field.find('_').map_or(0, |at| at + 2));
        let i: usize = i.parse().unwrap_or(0);
        if axis.ends_with('t') { model.nonlinear[i] } else { model.linear[i] }
    };
    let held = bounds.fields.iter().map(|f| format!("select(b.{f}, value, which == {}u)", number(f)));
    let held = held.collect::<Vec<_>>().join(", ");
    let _ = writeln!(source, "fn hold(b: Bounds, which: u32, value: f32) -> Bounds {{ return Bounds({held}); }}");
    // As `Scan::are_neighbours`.
    source += "fn are_neighbours(table: u32, a: u32, b: u32) -> bool {\n    var x = a;\n    var y = b;\n    var near = true;\n";
    for i in (0..k).rev() {
        let _ = writeln!(source, "    let n{i} = u32(tables[table + COUNTS + {i}u]);");
        let _ = writeln!(source, "    near = near && abs(i32(x % n{i}) - i32(y % n{i})) <= 1;");
        let _ = writeln!(source, "    x /= n{i};\n    y /= n{i};");
    }
    source += "    return near;\n}\n";
    let clamped = (0..k).map(|i| format!("clamp(t.t{i}, b.lower_t{i}, b.upper_t{i})")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(source, "fn inside(t: Theta, b: Bounds) -> Theta {{ return Theta({clamped}); }}");
    let target = (0..k).map(|i| format!("m.t{i}")).collect::<Vec<_>>().join(", ");
    let _ = writeln!(source, "fn target_of(m: Move) -> Theta {{ return Theta({target}); }}");
    source += "fn write_theta(fit: u32, t: Theta) {\n";
    for i in 0..k {
        let _ = writeln!(source, "    output[{i}u * config.n + fit] = t.t{i};");
    }
    let _ = writeln!(source, "}}\nconst EVALUATIONS_ROW = {k}u;");
    source
}
