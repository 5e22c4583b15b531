//! The fitting kernels of a model, put together: the hand-written loops of `shaders/lm*.wgsl`, and before them the
//! arithmetic, recorded from the Rust that the CPU runs (the model's recorded response, [`Sums::solve`], [`step`]).
//!
//! Everything is scalars with names, in structures without arrays, and the loop over the points is written out up to
//! `UNROLLED` points: an array indexed by a variable lives in memory, on cards and on software adapters alike,
//! and made the kernel before this one tens of times slower.

use super::device::{GROUP, Kernel};
use super::fit_text::{Group, from_beginnings, of_parameters, over_points, over_starts};
use super::table_shape::TableShape;
use crate::fit::factor::triangle;
use crate::fit::scan::{Scan, cost_of_box};
use crate::fit::step::{DAMPING_ACCEPTED, DAMPING_REJECTED, FIRST_DAMPING, FREE_DAMPING, Room, Stand, step};
use crate::fit::sums::Sums;
use crate::math::instructions::Portable;
use crate::math::program::{Program, Recorded};
use crate::math::{Scalar, wgsl};
use crate::model::CurveModel;
use crate::model::curve_model::Separated;
use std::fmt::Write;

/// Points in registers at most: beyond, they are read from memory in each pass.
const UNROLLED: usize = 16;
/// Parameters of a kernel that begins at starts of its own, at most. Beyond three nonlinear ones there are no second
/// derivatives, and Gauss–Newton steps in single precision get lost in flat valleys: of biphasic fits a quarter ended above
/// the CPU's.
const MOST_NONLINEAR: usize = 3;
const MOST_LINEAR: usize = 4;
/// Nonlinear parameters of a kernel whose beginnings are given, at most: those of MuSyC with its cooperativities. The text
/// of a step grows with their cube.
const MOST_NONLINEAR_OF_SURFACES: usize = 8;
/// A descent in single precision ends when the next step is predicted to lower the sum of squares by less than this
/// share of the residual variance, and takes that step: what is left then is for f64.
const OFFSET: f64 = 1e-4;
/// The same of descents from given parameters, most of which f64 does not continue: Gauss–Newton steps along a valley
/// promise little, each of many. With 1e-4 one draw in ten ended above f64's by a hundred-thousandth, with 1e-6 one in three
/// did not settle at all.
const OFFSET_OF_DESCENTS: f64 = 1e-5;
/// Residuals of 3e-7 of a response of 1 are rounding in f32.
const ROUNDING: f64 = 1e-13;
/// Damping stays above what single precision resolves beside a diagonal of 1.
const LEAST_DAMPING: f64 = 1e-6;
/// Where a sum of squares does not fall any more even for steps damped so much, rounding decides.
const LAST_DAMPING: f64 = 1e4;
/// Evaluations a descent, at most: neighbours wait for the slowest fit, which f64 continues with less waste.
const MOST_EVALUATIONS: u32 = 40;
/// The same of surfaces, whose draws f64 does not continue.
const MOST_EVALUATIONS_OF_DESCENTS: u32 = 60;
/// Rounds of loops of one invocation, all loops together.
const MOST_ROUNDS: u32 = 65_000;

/// Fits of one invocation: what is read of a start serves all of them. `lm.wgsl` is written for four.
pub const FITS: u32 = 4;
/// Rows of input behind the responses: table and held parameter, and its value.
pub const ROWS_BEHIND: usize = 2;
/// Rows of output of a descent from given parameters between the nonlinear and the linear parameters: evaluations, sum of
/// squares, whether it settled.
pub const ROWS_OF_DESCENTS: usize = 3;
/// `table * HELD + held parameter + 1` is one number of input.
pub const HELD: usize = 16;

/// Descents from one curve at most: models that want more have valleys that single precision confuses.
const MOST_DESCENTS: usize = 2;

/// Whether the device can fit this model: one to three nonlinear and up to four linear parameters, and not one of those
/// that are taken to the last digit, from several starts, in f64 anyhow.
pub fn supports(model: &CurveModel) -> bool {
    let separated = &model.separated;
    !model.polished
        && model.descents <= MOST_DESCENTS
        && (1..=MOST_NONLINEAR).contains(&separated.nonlinear)
        && separated.linear <= MOST_LINEAR
        && wgsl::can_be_printed(&separated.program)
}

/// Whether the device can descend from given parameters with this model.
pub fn supports_descents(model: &CurveModel) -> bool {
    let separated = &model.separated;
    !model.polished
        && (1..=MOST_NONLINEAR_OF_SURFACES).contains(&separated.nonlinear)
        && separated.linear <= MOST_LINEAR
        && wgsl::can_be_printed(&separated.program)
}

/// Evaluations of one descent at most, where the settings say so many.
pub fn most_evaluations(max_iterations: u32) -> u32 {
    max_iterations.min(MOST_EVALUATIONS)
}

/// The same of a descent from given parameters, over so many points. Gauss–Newton steps are many; software adapters end
/// every loop after 65,535 rounds of all loops of an invocation together.
pub fn most_evaluations_of_descents(max_iterations: u32, points: usize) -> u32 {
    let rounds = 2 * points as u32 + 1;
    max_iterations.min(MOST_EVALUATIONS_OF_DESCENTS).min((MOST_ROUNDS / rounds).saturating_sub(1)).max(1)
}

pub(super) fn has_constant(separated: &Separated) -> bool {
    !is_zero(separated, Separated::CONSTANT)
}

fn is_zero(separated: &Separated, output: usize) -> bool {
    separated.program.outputs[output] == Recorded::Literal(0.0)
}

/// Hands out the inputs of a program in order.
struct Inputs<'a>(std::slice::Iter<'a, Recorded>);

impl Inputs<'_> {
    fn take(&mut self, n: usize) -> Vec<Recorded> {
        self.0.by_ref().take(n).copied().collect()
    }

    fn one(&mut self) -> Recorded {
        self.0.next().copied().unwrap_or(Recorded::lit(0.0))
    }
}

/// Records arithmetic with the inputs of these names.
fn record(names: &[String], body: impl FnOnce(&mut Inputs<'_>) -> Vec<Recorded>) -> Program {
    Program::record(names.len(), |inputs| body(&mut Inputs(inputs.iter())))
}

/// The derivatives of a model that are not zero, as the sums over the points need them.
struct Terms {
    /// (nonlinear parameter, term) of each product of a residual with a slope.
    pulls: Vec<(usize, usize)>,
    /// (place in the triangle, term, output) of each product of a residual with a second derivative.
    bends: Vec<(usize, usize, usize)>,
}

impl Terms {
    fn new(separated: &Separated) -> Self {
        let terms = |i: usize| (0..=separated.linear).map(move |term| (i, term));
        let pulls = (0..separated.nonlinear).flat_map(terms);
        let mut bends = Vec::new();
        if separated.second_order {
            for (i, l) in (0..separated.nonlinear).flat_map(|i| (0..=i).map(move |l| (i, l))) {
                let all = (0..=separated.linear).map(|term| (triangle(i, l), term, separated.curvature(i, l, term)));
                bends.extend(all.filter(|(_, _, output)| !is_zero(separated, *output)));
            }
        }
        Self { pulls: pulls.filter(|(i, term)| !is_zero(separated, separated.slope(*i, *term))).collect(), bends }
    }

    /// The one term that parameter `i` acts through, where it is one.
    fn only(&self, i: usize) -> Option<usize> {
        let mut of = self.pulls.iter().filter(|(parameter, _)| *parameter == i);
        of.next().filter(|_| of.next().is_none()).map(|(_, term)| *term)
    }
}

/// Where descents begin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Beginnings {
    /// At the best start of a table.
    Scanned,
    /// Where the input says.
    Given,
}

/// The kernel that fits a model to curves of `points` points (padded), from the best of its starts.
pub fn kernel(model: &CurveModel, points: usize) -> Kernel {
    assemble(model, points, Beginnings::Scanned)
}

/// The kernel that descends from given parameters, for any number of points: matrices have so many that they would not
/// stay in registers, and one text compiles once.
pub fn descent_kernel(model: &CurveModel) -> Kernel {
    assemble(model, 0, Beginnings::Given)
}

fn assemble(model: &CurveModel, points: usize, beginnings: Beginnings) -> Kernel {
    let separated = &model.separated;
    let (k, c) = (separated.nonlinear, separated.linear);
    let (of_linear, of_nonlinear) = (triangle(c, 0), triangle(k, 0));
    let columns = model.kernel.point_columns();
    let shape = TableShape::new(model, points);
    let is_scanned = beginnings == Beginnings::Scanned;
    let unrolled = is_scanned && points <= UNROLLED;
    let terms = Terms::new(separated);
    // The recorded response, with what follows from the point alone as its first inputs.
    let point_inputs = crate::model::curve_model::POINT_INPUTS;
    let (_, response) = separated.program.split(|i| i < point_inputs);
    let respond = |x: &[Recorded], theta: &[Recorded]| {
        let rest = vec![Recorded::lit(0.0); point_inputs];
        response.evaluate(&[x, &rest, theta].concat())
    };

    let theta = Group::new("Theta", &[("t", k)]);
    let bounds = Group::new("Bounds", &[("lower_t", k), ("upper_t", k), ("lower_c", c), ("upper_c", c)]);
    let point = Group::new("Point", &[("x", columns), ("w", 1)]);
    let basis_sums = Group::new("BasisSums", &[("gram", of_linear), ("target", c)]);
    let solved = Group::new("Solved", &[("gram", of_linear), ("c", c), ("free", c), ("level", c)]);
    let slope_sums = Group::new(
        "SlopeSums",
        &[
            ("sse", 1),
            ("pull", terms.pulls.len()),
            ("cross", k * c),
            ("normal", of_nonlinear),
            ("bend", terms.bends.len()),
        ],
    );
    let slopes = Group::new(
        "Slopes",
        &[("gradient", k), ("cross", k * c), ("pull", k * c), ("normal", of_nonlinear), ("bend", of_nonlinear)],
    );
    let moved = Group::new("Move", &[("t", k), ("promise", 1)]);

    let mut source = String::new();
    for (name, value) in [
        ("FIRST_DAMPING", FIRST_DAMPING),
        ("DAMPING_ACCEPTED", DAMPING_ACCEPTED),
        ("DAMPING_REJECTED", DAMPING_REJECTED),
        ("FREE_DAMPING", FREE_DAMPING),
        ("LEAST_DAMPING", LEAST_DAMPING),
        ("LAST_DAMPING", LAST_DAMPING),
        ("OFFSET", if is_scanned { OFFSET } else { OFFSET_OF_DESCENTS }),
        ("ROUNDING", ROUNDING),
        ("COMMON", shape.first as f64),
    ] {
        let _ = writeln!(source, "const {name} = {};", wgsl::literal(value));
    }
    for (name, value) in [
        ("GROUP", GROUP as usize),
        ("FITS", FITS as usize),
        ("HELD", HELD),
        ("COUNTS", shape.counts()),
        ("BOUNDS", shape.bounds()),
        ("POINTS", shape.points_at()),
        ("STARTS", shape.starts_at()),
        ("START", shape.start()),
        ("FIGURES", k),
        ("VECTORS", k + Scan::figures(c)),
    ] {
        let _ = writeln!(source, "const {name} = {value}u;");
    }
    source.push_str(include_str!("../../../shaders/lm_bindings.wgsl"));

    // First pass over the points: products of the basis functions. What follows from the curve alone comes out of
    // the loop.
    let names = [point.of("p"), vec!["y".into()], theta.of("theta"), basis_sums.of("s")].concat();
    let program = record(&names, |inputs| {
        let (x, w, y, at, sums) =
            (inputs.take(columns), inputs.one(), inputs.one(), inputs.take(k), inputs.take(of_linear + c));
        let outputs = respond(&x, &at);
        let basis: Vec<Recorded> = (0..c).map(|j| w * outputs[separated.basis(j)]).collect();
        let rest = y - w * outputs[Separated::CONSTANT];
        let products = (0..c).flat_map(|j| (0..=j).map(move |l| (j, l))).map(|(j, l)| basis[j] * basis[l]);
        let added: Vec<Recorded> = products.chain(basis.iter().map(|b| *b * rest)).collect();
        sums.iter().zip(added).map(|(sum, product)| *sum + product).collect()
    });
    let of_theta = point.fields.len() + 1..point.fields.len() + 1 + k;
    let (early, late) = program.split(|i| of_theta.contains(&i));
    let early_basis = Group::new("EarlyBasis", &[("e", early.outputs.len())]);
    let early_source = early_basis.function("early_basis", "theta: Theta", &names, early);
    let late_names = [early_basis.of("e"), names].concat();
    // What theta itself gives is in `e`: the name is there for the inputs that the second half does not use.
    let late_source =
        basis_sums.function("add_basis", "s: BasisSums, e: EarlyBasis, p: Point, y: f32", &late_names, late);

    // Linear parameters inside their box.
    let names = [basis_sums.of("s"), bounds.of("bounds")].concat();
    let program = record(&names, |inputs| {
        let mut sums = Sums::<Recorded>::new(c, k);
        sums.gram = inputs.take(of_linear);
        sums.target = inputs.take(c);
        inputs.take(2 * k);
        let (lower, upper) = (inputs.take(c), inputs.take(c));
        if separated.shares {
            sums.linear_from_shares(c);
        }
        // What more rounds would find is left to the continuation in f64: each is a page of the shader.
        sums.solve(c, &lower, &upper, 1, |_| true);
        let level = (0..c).map(|j| match separated.shares && j + 1 < c {
            true => sums.solution[j] - sums.solution[c - 1],
            false => sums.solution[j],
        });
        let level: Vec<Recorded> = level.collect();
        [sums.gram, sums.solution, sums.free, level].concat()
    });
    let solve_source = solved.function("solve", "s: BasisSums, bounds: Bounds", &names, program);

    // Second pass: residuals and products with the slopes.
    let levels: Vec<String> = (0..c).map(|j| format!("c.level{j}")).collect();
    let names = [point.of("p"), vec!["y".into()], theta.of("theta"), levels.clone(), slope_sums.of("s")].concat();
    let program = record(&names, |inputs| {
        let (x, w, y, at, level) = (inputs.take(columns), inputs.one(), inputs.one(), inputs.take(k), inputs.take(c));
        let sums = inputs.take(slope_sums.fields.len());
        let outputs = respond(&x, &at);
        let of_term = |term: usize, value: Recorded| if term == 0 { value } else { level[term - 1] * value };
        let basis: Vec<Recorded> = (0..c).map(|j| w * outputs[separated.basis(j)]).collect();
        let mut residual = y - w * outputs[Separated::CONSTANT];
        for j in 0..c {
            residual = residual - level[j] * basis[j];
        }
        let column = |i: usize| match terms.only(i) {
            Some(term) => w * outputs[separated.slope(i, term)],
            None => {
                let of = terms.pulls.iter().filter(|(parameter, _)| *parameter == i);
                let parts = of.map(|(_, term)| of_term(*term, w * outputs[separated.slope(i, *term)]));
                parts.fold(Recorded::lit(0.0), |sum, part| sum + part)
            }
        };
        let column: Vec<Recorded> = (0..k).map(column).collect();
        let mut added = vec![residual * residual];
        added.extend(terms.pulls.iter().map(|(i, term)| residual * (w * outputs[separated.slope(*i, *term)])));
        added.extend((0..k).flat_map(|i| (0..c).map(move |j| (i, j))).map(|(i, j)| column[i] * basis[j]));
        added.extend((0..k).flat_map(|i| (0..=i).map(move |l| (i, l))).map(|(i, l)| column[i] * column[l]));
        added.extend(terms.bends.iter().map(|(_, _, output)| residual * w * outputs[*output]));
        sums.iter().zip(added).map(|(sum, product)| *sum + product).collect()
    });
    let of_curve = point.fields.len() + 1..point.fields.len() + 1 + k + c;
    let (early, late) = program.split(|i| of_curve.contains(&i));
    let early_slopes = Group::new("EarlySlopes", &[("e", early.outputs.len())]);
    let early_slopes_source = early_slopes.function("early_slopes", "theta: Theta, c: Solved", &names, early);
    let late_names = [early_slopes.of("e"), names].concat();
    let late_slopes_source =
        slope_sums.function("add_slopes", "s: SlopeSums, e: EarlySlopes, p: Point, y: f32", &late_names, late);

    let names = [slope_sums.of("s"), levels].concat();
    let program = record(&names, |inputs| {
        inputs.one();
        let (pulls, cross, normal) = (inputs.take(terms.pulls.len()), inputs.take(k * c), inputs.take(of_nonlinear));
        let (bends, level) = (inputs.take(terms.bends.len()), inputs.take(c));
        let factor = |term: usize| if term == 0 { Recorded::lit(1.0) } else { level[term - 1] };
        let scale: Vec<Recorded> = (0..k).map(|i| terms.only(i).map_or(Recorded::lit(1.0), factor)).collect();
        let mut sums = Sums::<Recorded>::new(c, k);
        let mut gradient = vec![Recorded::lit(0.0); k];
        for ((i, term), pull) in terms.pulls.iter().zip(&pulls) {
            gradient[*i] = gradient[*i] + factor(*term) * *pull;
            if *term > 0 {
                sums.pull[i * c + term - 1] = *pull;
            }
        }
        for i in 0..k {
            for j in 0..c {
                sums.cross[i * c + j] = scale[i] * cross[i * c + j];
            }
            for l in 0..=i {
                sums.normal[triangle(i, l)] = scale[i] * scale[l] * normal[triangle(i, l)];
            }
        }
        for ((place, term, _), bend) in terms.bends.iter().zip(&bends) {
            sums.bend[*place] = sums.bend[*place] + factor(*term) * *bend;
        }
        if separated.shares {
            sums.slopes_from_shares(c, k);
        }
        [gradient, sums.cross, sums.pull, sums.normal, sums.bend].concat()
    });
    let slopes_source = slopes.function("slopes", "s: SlopeSums, c: Solved", &names, program);

    // The step.
    let names =
        [theta.of("theta"), bounds.of("bounds"), solved.of("c"), slopes.of("s"), vec!["damping".into()]].concat();
    let program = record(&names, |inputs| {
        let mut stand = Stand::<Recorded>::new(c, k);
        stand.theta = inputs.take(k);
        (stand.lower, stand.upper) = (inputs.take(k), inputs.take(k));
        (stand.linear_lower, stand.linear_upper) = (inputs.take(c), inputs.take(c));
        stand.sums.gram = inputs.take(of_linear);
        stand.sums.solution = inputs.take(c);
        stand.sums.free = inputs.take(c);
        inputs.take(c);
        stand.sums.gradient = inputs.take(k);
        (stand.sums.cross, stand.sums.pull) = (inputs.take(k * c), inputs.take(k * c));
        (stand.sums.normal, stand.sums.bend) = (inputs.take(of_nonlinear), inputs.take(of_nonlinear));
        let damping = inputs.one();
        let mut target = vec![Recorded::lit(0.0); k];
        let mut room = Room::new(c, k);
        let promise = step(Portable, (c, k), &stand, separated.second_order, damping, &mut room, &mut target, |_| true);
        target.push(promise);
        target
    });
    let arguments = "theta: Theta, bounds: Bounds, c: Solved, s: Slopes, damping: f32";
    let step_source = moved.function("take_step", arguments, &names, program);

    for group in [&theta, &bounds, &point, &early_basis, &basis_sums, &solved, &early_slopes, &slope_sums, &slopes] {
        source += &group.declare();
    }
    source += &moved.declare();
    for loader in [theta.loader("load_theta"), bounds.loader("load_bounds"), point.loader("load_point")] {
        source += &loader;
    }
    for function in [early_source, late_source, solve_source, early_slopes_source, late_slopes_source] {
        source += &function;
    }
    source += &slopes_source;
    source += &step_source;
    source += &over_points(&shape, unrolled);
    source += &of_parameters(model, &bounds, k);
    match beginnings {
        Beginnings::Scanned => {
            source += &start_cost(separated, &shape, &bounds);
            source += &over_starts(&shape, unrolled);
            source += include_str!("../../../shaders/lm.wgsl");
            source += include_str!("../../../shaders/lm_scan.wgsl");
        }
        Beginnings::Given => {
            source += &from_beginnings(k, c);
            source += include_str!("../../../shaders/lm.wgsl");
            source += include_str!("../../../shaders/lm_from.wgsl");
        }
    }
    let name = match beginnings {
        Beginnings::Scanned => format!("lm_{}_{:p}_{}", model.name, model, if unrolled { points } else { 0 }),
        Beginnings::Given => format!("lm_from_{}_{:p}", model.name, model),
    };
    Kernel { name, source }
}

/// The sum of squares at a start, and what is read of a start for it.
fn start_cost(separated: &Separated, shape: &TableShape, bounds: &Group) -> String {
    let (k, c) = (separated.nonlinear, separated.linear);
    let (of_linear, constant) = (triangle(c, 0), has_constant(separated));
    let along = Group::new("Along", &[("a", shape.width)]);
    let vectors = Group::new("Vectors", &[("u", shape.width)]);
    let figures = Group::new("Figures", &[("f", Scan::figures(c))]);
    let names = [along.of("a"), figures.of("f"), bounds.of("bounds"), vec!["square".into(), "level".into()]].concat();
    let program = record(&names, |inputs| {
        let (products, figure) = (inputs.take(shape.width), inputs.take(figures.fields.len()));
        inputs.take(2 * k);
        let (lower, upper, mut sum, level) = (inputs.take(c), inputs.take(c), inputs.one(), inputs.one());
        let of_constant = &figure[2 * of_linear..];
        if constant {
            let two = Recorded::lit(2.0);
            sum = sum + of_constant[c] - two * products[shape.width - 1];
        }
        let mut all: Vec<Recorded> = Vec::with_capacity(c);
        for j in 0..c {
            if j < shape.first {
                all.push(level);
                continue;
            }
            let product = products[j - shape.first];
            all.push(if constant { product - of_constant[j] } else { product });
            sum = sum - all[j] * all[j];
        }
        let (mut best, mut cut) = (vec![Recorded::lit(0.0); c], vec![Recorded::lit(0.0); c]);
        let room = (&mut best[..], &mut cut[..]);
        let share = separated.shares;
        vec![sum + cost_of_box(share, &all, |n| figure[n], &lower, &upper, room)]
    });
    let arguments = "a: Along, f: Figures, bounds: Bounds, square: f32, level: f32";
    let cost = wgsl::function("start_cost", arguments, "f32", &names, &program);
    let mut source = String::new();
    for group in [&along, &vectors, &figures] {
        source += &group.declare();
    }
    source + &figures.loader("load_figures") + &vectors.loader("load_vectors") + &cost
}
