//! Where to begin: the sum of squares of every start of a layout, linear parameters solved for. The basis functions
//! at a start are the same for all curves of a layout, so they are made orthonormal once, and a curve costs one dot
//! product a start.

#![expect(clippy::needless_range_loop, reason = "matrix algebra is read by its indices")]

use super::layout::Layout;
use crate::math::{Instructions, Lanes, Scalar, Vectorised};
use crate::model::curve_model::Separated;

/// Columns that keep less than this share of their length beside the columns before them are left out.
const INDEPENDENT: f64 = 1e-7;

/// A box that costs no more than this share of the responses' sum of squares is not in the way.
const ROUNDING: f64 = 1e-14;
/// The starts of a layout. All columns carry the square roots of the weights.
#[derive(Debug, Clone)]
pub struct Scan {
    points: usize,
    linear: usize,
    shares: bool,
    /// Nonlinear parameters, start after start.
    pub starts: Vec<f64>,
    /// How many values each of them takes, the last one changing fastest.
    pub counts: Vec<usize>,
    /// For each start what [`Scan::figures`] says.
    figures: Vec<f64>,
    /// The orthonormal columns and then the constant part where there is one: `[(column * starts + start) * points]`.
    vectors: Vec<f64>,
    has_constant: bool,
    /// How many there are.
    total: usize,
    /// Those where the response is not a number at all points.
    unusable: Vec<usize>,
}

impl Scan {
    /// Values kept for each start: the triangle R of the columns, then its inverse, then the products of the
    /// orthonormal columns with the constant part, then the constant part's square.
    #[inline(always)]
    pub fn figures(linear: usize) -> usize {
        linear * (linear + 1) + linear + 1
    }

    /// Works out the table of a layout, `L` starts side by side.
    pub fn new<const L: usize>(
        instructions: impl Instructions,
        layout: &Layout,
        separated: &Separated,
        kernel: &Vectorised,
        starts: Vec<f64>,
        counts: Vec<usize>,
    ) -> Self {
        let (n, linear, nonlinear) = (layout.points(), separated.linear, separated.nonlinear);
        let has_constant = !kernel.is_constant(Separated::CONSTANT, 0.0);
        let total: usize = counts.iter().product();
        let mut figures = vec![0.0; total * Self::figures(linear)];
        let mut vectors = vec![0.0; total * (linear + usize::from(has_constant)) * n];
        let shares = separated.shares;
        let mut unusable = Vec::new();
        let mut arena = kernel.arena::<L>(n);
        for column in 0..kernel.point_columns() {
            for k in 0..n {
                arena[kernel.column(column, n) + k] = Lanes([layout.columns[column * n + k]; L]);
            }
        }
        let mut columns = vec![vec![0.0; n]; linear];
        let mut constant = vec![0.0; n];
        for (start, figures) in figures.chunks_mut(Self::figures(linear)).enumerate() {
            let lane = start % L;
            if lane == 0 {
                for i in 0..nonlinear {
                    // The last starts are fewer than lanes: the others repeat the last.
                    let of_lane = |lane: usize| starts[(start + lane).min(total - 1) * nonlinear + i];
                    arena[kernel.curve_input(i)] = Lanes(std::array::from_fn(of_lane));
                }
                kernel.run(instructions, n, &mut arena);
            }
            let weighted = |output: usize, column: &mut [f64]| {
                let values = kernel.output(output, n, &arena);
                for (k, value) in column.iter_mut().enumerate() {
                    *value = layout.root_weight[k] * values.at(k).0[lane];
                }
            };
            weighted(Separated::CONSTANT, &mut constant);
            // Where the basis functions are shares, the sum of all comes first: it is the same at every start.
            let order = |j: usize| if shares { (linear - 1 + j) % linear } else { j };
            for (j, column) in columns.iter_mut().enumerate() {
                weighted(separated.basis(order(j)), column);
            }
            // What is too large to be squared is as good as infinite.
            let is_number = |column: &Vec<f64>| column.iter().all(|v| v.abs() < super::LARGEST);
            if !is_number(&constant) || !columns.iter().all(is_number) {
                unusable.push(start);
            }
            orthonormalise(&mut columns, figures);
            let (r, rest) = figures.split_at_mut(linear * (linear + 1) / 2);
            let (inverse, rest) = rest.split_at_mut(linear * (linear + 1) / 2);
            invert(linear, r, inverse);
            for (j, column) in columns.iter().enumerate() {
                rest[j] = column.iter().zip(&constant).map(|(u, p)| u * p).sum();
                vectors[(j * total + start) * n..][..n].copy_from_slice(column);
            }
            rest[linear] = constant.iter().map(|p| p * p).sum();
            if has_constant {
                vectors[(linear * total + start) * n..][..n].copy_from_slice(&constant);
            }
        }
        Self { points: n, linear, shares, starts, counts, figures, vectors, has_constant, total, unusable }
    }

    /// The figures of a start; none where the response is no number there.
    pub fn figures_of(&self, start: usize) -> Option<&[f64]> {
        let count = Self::figures(self.linear);
        (!self.unusable.contains(&start)).then(|| &self.figures[start * count..(start + 1) * count])
    }

    /// An orthonormal column of a start, or, behind them, the constant part where there is one.
    pub fn column(&self, start: usize, column: usize) -> &[f64] {
        &self.vectors[(column * self.len() + start) * self.points..][..self.points]
    }

    /// Number of starts.
    pub fn len(&self) -> usize {
        self.total
    }

    /// Whether there is no start.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of squares at every start, for curves of this layout side by side; `response` carries the square
    /// roots of the weights. `lower` and `upper` are the box of the linear parameters. Gives each curve's best start.
    ///
    /// `everywhere`: the box counts in all sums left in `room`. Otherwise in none of them: it only makes a sum larger,
    /// so where a curve's lowest sum needs no box, that is its best start, and nothing else has to be worked out.
    #[inline(always)]
    pub fn sums_of_squares<const L: usize>(
        &self,
        response: &[Lanes<L>],
        lower: &[Lanes<L>],
        upper: &[Lanes<L>],
        everywhere: bool,
        room: &mut ScanRoom<L>,
    ) -> Best<L> {
        // The common numbers of linear parameters are known where the loops over them are compiled.
        match self.linear {
            1 => self.all_starts(1, response, lower, upper, everywhere, room),
            2 => self.all_starts(2, response, lower, upper, everywhere, room),
            n => self.all_starts(n, response, lower, upper, everywhere, room),
        }
    }

    #[inline(always)]
    fn all_starts<const L: usize>(
        &self,
        linear: usize,
        response: &[Lanes<L>],
        lower: &[Lanes<L>],
        upper: &[Lanes<L>],
        everywhere: bool,
        room: &mut ScanRoom<L>,
    ) -> Best<L> {
        self.products(linear, response, room);
        let mut square = Lanes([0.0; L]);
        for y in response {
            square = square + *y * *y;
        }
        let total = self.total;
        let sums = &mut room.sums[..total];
        if self.has_constant {
            for (start, sum) in sums.iter_mut().enumerate() {
                let constant = self.constant(start);
                *sum = square + Lanes([constant[linear]; L]) - Lanes([2.0; L]) * room.products[linear * total + start];
                for j in 0..linear {
                    let along = room.products[self.column_at(start, j)] - Lanes([constant[j]; L]);
                    *sum = *sum - along * along;
                }
            }
        } else {
            let common = if self.shares { square - room.products[0] * room.products[0] } else { square };
            sums.fill(common);
            for j in usize::from(self.shares)..linear {
                for (sum, along) in sums.iter_mut().zip(&room.products[j * total..(j + 1) * total]) {
                    *sum = *sum - *along * *along;
                }
            }
        }
        for start in &self.unusable {
            sums[*start] = Lanes([f64::INFINITY; L]);
        }
        let mut least = Lanes([f64::INFINITY; L]);
        let (mut least_at, mut number) = (Lanes([0.0; L]), Lanes([0.0; L]));
        for sum in sums {
            least_at = sum.select_less(least, number, least_at);
            least = sum.select_less(least, *sum, least);
            number = number + Lanes([1.0; L]);
        }
        let (lower, upper) = (&lower[..linear], &upper[..linear]);
        let mut needs_box = [false; L];
        for lane in 0..L {
            let cost = self.cost(linear, least_at.0[lane] as usize, lane, lower, upper, room);
            needs_box[lane] = cost > ROUNDING * square.0[lane];
            if needs_box[lane] {
                least.0[lane] += cost;
            }
        }
        if everywhere || needs_box.contains(&true) {
            let mut at = [Lanes([0.0; L]); super::MAX_PARAMETERS];
            let (mut best, mut moved) = (at, at);
            for (start, figures) in self.figures.chunks_exact(Self::figures(linear)).enumerate() {
                let sum = room.sums[start];
                if !everywhere && !(0..L).any(|lane| sum.0[lane] < least.0[lane]) {
                    continue;
                }
                for j in 0..linear {
                    at[j] = self.along_column(start, j, room);
                }
                let figure = |n: usize| Lanes([figures[n]; L]);
                let cut = (&mut best[..linear], &mut moved[..linear]);
                let sum = sum + cost_of_box(self.shares, &at[..linear], figure, lower, upper, cut);
                least_at = sum.select_less(least, Lanes([start as f64; L]), least_at);
                least = sum.select_less(least, sum, least);
                if everywhere {
                    room.sums[start] = sum;
                }
            }
        }
        Best { start: std::array::from_fn(|lane| least_at.0[lane] as usize), needs_box }
    }

    /// The products of the responses with the columns of all starts.
    #[inline(always)]
    fn products<const L: usize>(&self, linear: usize, response: &[Lanes<L>], room: &mut ScanRoom<L>) {
        let (n, total, zero) = (self.points, self.total, Lanes([0.0; L]));
        for column in 0..linear + usize::from(self.has_constant) {
            let vectors = &self.vectors[column * total * n..(column + 1) * total * n];
            let products = &mut room.products[column * total..(column + 1) * total];
            if column == 0 && self.shares {
                products[0] = along(&vectors[..n], response);
                continue;
            }
            // Four at a time: each response is read once for all four, and no sum waits for another.
            let mut products = products.chunks_exact_mut(4);
            let mut quads = vectors.chunks_exact(4 * n);
            for (product, vectors) in (&mut products).zip(&mut quads) {
                let (first, rest) = vectors.split_at(n);
                let (second, rest) = rest.split_at(n);
                let (third, fourth) = rest.split_at(n);
                let (mut a, mut b, mut c, mut d) = (zero, zero, zero, zero);
                for ((((y, u), v), w), z) in response.iter().zip(first).zip(second).zip(third).zip(fourth) {
                    a = a + Lanes([*u; L]) * *y;
                    b = b + Lanes([*v; L]) * *y;
                    c = c + Lanes([*w; L]) * *y;
                    d = d + Lanes([*z; L]) * *y;
                }
                product.copy_from_slice(&[a, b, c, d]);
            }
            for (product, vector) in products.into_remainder().iter_mut().zip(quads.remainder().chunks_exact(n)) {
                *product = along(vector, response);
            }
        }
    }

    /// Of a start, the products of the orthonormal columns with the constant part, and the constant part's square.
    #[inline(always)]
    fn constant(&self, start: usize) -> &[f64] {
        &self.figures[start * Self::figures(self.linear)..][self.linear * (self.linear + 1)..]
    }

    /// Where the product of the responses with orthonormal column `j` of a start is: the sum of shares is one column
    /// for all starts.
    #[inline(always)]
    fn column_at(&self, start: usize, j: usize) -> usize {
        if self.shares && j == 0 { 0 } else { j * self.total + start }
    }

    /// The product of what the constant part leaves of the responses with orthonormal column `j` of a start.
    #[inline(always)]
    fn along_column<const L: usize>(&self, start: usize, j: usize, room: &ScanRoom<L>) -> Lanes<L> {
        let product = room.products[self.column_at(start, j)];
        if self.has_constant { product - Lanes([self.constant(start)[j]; L]) } else { product }
    }

    /// What the box costs one curve at a start.
    #[inline(always)]
    fn cost<const L: usize>(
        &self,
        linear: usize,
        start: usize,
        lane: usize,
        lower: &[Lanes<L>],
        upper: &[Lanes<L>],
        room: &ScanRoom<L>,
    ) -> f64 {
        let figures = &self.figures[start * Self::figures(linear)..];
        let numbers = || [0.0; super::MAX_PARAMETERS];
        let (mut at, mut low, mut high) = (numbers(), numbers(), numbers());
        for j in 0..linear {
            at[j] = self.along_column(start, j, room).0[lane];
            (low[j], high[j]) = (lower[j].0[lane], upper[j].0[lane]);
        }
        let (mut best, mut moved) = (numbers(), numbers());
        let cut = (&mut best[..linear], &mut moved[..linear]);
        cost_of_box(self.shares, &at[..linear], |n| figures[n], &low[..linear], &high[..linear], cut)
    }

    /// The sum of squares of one curve at a start, linear parameters in their box, where the sums in `room` are without
    /// it.
    pub fn sum_in_box<const L: usize>(
        &self,
        start: usize,
        lane: usize,
        lower: &[Lanes<L>],
        upper: &[Lanes<L>],
        room: &ScanRoom<L>,
    ) -> f64 {
        let cost = match self.linear {
            2 => self.cost(2, start, lane, lower, upper, room),
            n => self.cost(n, start, lane, lower, upper, room),
        };
        room.sums[start].0[lane] + cost
    }
}

/// What [`Scan::sums_of_squares`] finds.
#[derive(Debug, Clone, Copy)]
pub struct Best<const L: usize> {
    /// Each curve's best start.
    pub start: [usize; L],
    /// Whether its linear parameters would be outside their box at the start that is lowest without it.
    pub needs_box: [bool; L],
}

/// Room for [`Scan::sums_of_squares`].
#[derive(Debug, Clone)]
pub struct ScanRoom<const L: usize> {
    products: Vec<Lanes<L>>,
    /// The sum of squares at each start.
    pub sums: Vec<Lanes<L>>,
}

impl<const L: usize> ScanRoom<L> {
    /// For the starts of `scan`.
    pub fn new(scan: &Scan) -> Self {
        let lanes = |n: usize| vec![Lanes([0.0; L]); n];
        Self { products: lanes((scan.linear + 1) * scan.len()), sums: lanes(scan.len()) }
    }
}

#[inline(always)]
fn along<const L: usize>(vector: &[f64], response: &[Lanes<L>]) -> Lanes<L> {
    let mut sum = Lanes([0.0; L]);
    for (u, y) in vector.iter().zip(response) {
        sum = sum + Lanes([*u; L]) * *y;
    }
    sum
}

/// What it costs to cut the linear parameters at a start to their box. `along` are the products of the response with
/// the orthonormal columns, `figure` gives the triangle R of the columns and behind it its inverse.
#[inline(always)]
pub fn cost_of_box<S: Scalar>(
    shares: bool,
    along: &[S],
    figure: impl Fn(usize) -> S,
    lower: &[S],
    upper: &[S],
    (best, moved): (&mut [S], &mut [S]),
) -> S {
    let linear = along.len();
    let half = linear * (linear + 1) / 2;
    for i in 0..linear {
        let mut value = S::lit(0.0);
        for j in i..linear {
            value = value + figure(half + upper_triangle(linear, i, j)) * along[j];
        }
        best[i] = value;
    }
    if shares {
        // In the order of the columns the common level comes first, then the differences from it.
        let last = linear - 1;
        let level = best[0].clamp(lower[last], upper[last]);
        moved[0] = level - best[0];
        for i in 1..linear {
            let plateau = (best[i] + best[0]).clamp(lower[i - 1], upper[i - 1]);
            moved[i] = plateau - level - best[i];
        }
    } else {
        for i in 0..linear {
            moved[i] = best[i].clamp(lower[i], upper[i]) - best[i];
        }
    }
    let mut sum = S::lit(0.0);
    for i in 0..linear {
        let mut cost = S::lit(0.0);
        for j in i..linear {
            cost = cost + figure(upper_triangle(linear, i, j)) * moved[j];
        }
        sum = sum + cost * cost;
    }
    sum
}

/// Place of row `i`, column `j >= i` in an upper triangle, row after row.
#[inline(always)]
fn upper_triangle(n: usize, i: usize, j: usize) -> usize {
    i * n - i * i.saturating_sub(1) / 2 + j - i
}

/// Modified Gram–Schmidt, twice; `r` receives the triangle. A column that depends on earlier ones becomes zero.
fn orthonormalise(columns: &mut [Vec<f64>], r: &mut [f64]) {
    let n = columns.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(a, b)| a * b).sum::<f64>();
    for j in 0..n {
        let before = dot(&columns[j], &columns[j]);
        for _ in 0..2 {
            for i in 0..j {
                let along = dot(&columns[i], &columns[j]);
                r[upper_triangle(n, i, j)] += along;
                let (left, right) = columns.split_at_mut(j);
                for (x, u) in right[0].iter_mut().zip(&left[i]) {
                    *x -= along * u;
                }
            }
        }
        let length = dot(&columns[j], &columns[j]).sqrt();
        let kept = length > INDEPENDENT * before.sqrt() && length > 1e-150;
        r[upper_triangle(n, j, j)] = if kept { length } else { 1.0 };
        let scale = if kept { 1.0 / length } else { 0.0 };
        for x in &mut columns[j] {
            *x *= scale;
        }
        if !kept {
            for i in 0..j {
                r[upper_triangle(n, i, j)] = 0.0;
            }
        }
    }
}

/// The inverse of an upper triangle.
fn invert(n: usize, r: &[f64], inverse: &mut [f64]) {
    for j in 0..n {
        inverse[upper_triangle(n, j, j)] = 1.0 / r[upper_triangle(n, j, j)];
        for i in (0..j).rev() {
            let sum: f64 = (i + 1..=j).map(|k| r[upper_triangle(n, i, k)] * inverse[upper_triangle(n, k, j)]).sum();
            inverse[upper_triangle(n, i, j)] = -sum / r[upper_triangle(n, i, i)];
        }
    }
}
