//! A block of curves from data to fits: layouts found, starts scanned, descents made. A curve's fit depends on that
//! curve alone, so blocks may be cut anywhere.

use super::descent::{End, Task, descend};
use super::layout::{Layout, Points};
use super::polish::{polish, sum_of_squares};
use super::scan::{Scan, ScanRoom};
use super::{CurveSet, Fit, FitSettings, LARGEST, MAX_PARAMETERS, Refit, Status};
use crate::math::{Instructions, Lanes};
use crate::model::{CurveModel, exchange};
use std::ops::Range;

/// Descents a curve where the last digit is wanted.
const STARTS_WHERE_POLISHED: usize = 8;
/// Exchanged terms may raise the sum of squares by this share of the responses' own, which is rounding.
const ROUNDING: f64 = 1e-20;

/// Curves of a block, ready to be fitted.
#[derive(Debug)]
pub struct Block {
    /// What the curves have in common.
    pub layouts: Vec<Layout>,
    /// Those curves that can be fitted, by number of points and layout.
    pub curves: Vec<Ready>,
    /// Responses, times the square roots of the weights, of all of them.
    pub responses: Vec<f64>,
    /// Why the others cannot: (curve, status).
    pub refused: Vec<(usize, Status)>,
}

/// A curve that can be fitted.
#[derive(Debug, Clone, Copy)]
pub struct Ready {
    /// Its number in the [`CurveSet`].
    pub curve: usize,
    /// Its layout's number.
    pub layout: usize,
    /// Where its responses begin.
    pub from: usize,
    /// A parameter that is not to move, and its value, centred.
    pub fixed: Option<(usize, f64)>,
}

impl Block {
    /// Checks curves `range` and makes them ready.
    pub fn new(curves: &CurveSet, range: Range<usize>, settings: &FitSettings) -> Self {
        let model = settings.model.curve_model();
        let mut block = Self { layouts: Vec::new(), curves: Vec::new(), responses: Vec::new(), refused: Vec::new() };
        // The layouts met, and what became of those that cannot be fitted.
        let mut known: Vec<std::result::Result<usize, (Points<'_>, Status)>> = Vec::new();
        let mut last: Option<usize> = None;
        for curve in range {
            let points = curves.doses(curve);
            let is = |entry: &std::result::Result<usize, (Points<'_>, Status)>| match entry {
                Ok(layout) => block.layouts[*layout].is(points),
                Err((refused, _)) => refused.is_same(points),
            };
            let found = last.filter(|l| is(&known[*l])).or_else(|| known.iter().rposition(is));
            let entry = found.unwrap_or_else(|| {
                known.push(match Layout::new(points, model, settings) {
                    Ok(layout) => {
                        block.layouts.push(layout);
                        Ok(block.layouts.len() - 1)
                    }
                    Err(status) => Err((points, status)),
                });
                known.len() - 1
            });
            last = Some(entry);
            let layout = match &known[entry] {
                Ok(layout) => *layout,
                Err((_, status)) => {
                    block.refused.push((curve, *status));
                    continue;
                }
            };
            match block.ready(curves, curve, layout, model) {
                Ok(ready) => block.curves.push(ready),
                Err(status) => block.refused.push((curve, status)),
            }
        }
        let Self { curves: ready, layouts, .. } = &mut block;
        ready.sort_by_key(|c| (layouts[c.layout].points(), layouts[c.layout].is_weighted(), c.layout, c.curve));
        block
    }

    fn ready(&mut self, curves: &CurveSet, curve: usize, number: usize, model: &CurveModel) -> Result<Ready, Status> {
        let layout = &self.layouts[number];
        let response = curves.response(curve);
        let usable = |y: &f64| y.is_finite() && y.abs() < LARGEST;
        let fixed = curves.fixed(curve, model);
        if !response.iter().all(usable) || !fixed.iter().all(|(_, v)| usable(v)) {
            return Err(Status::BadValue);
        }
        if layout.distinct < layout.lower.len() - usize::from(fixed.is_some()) {
            return Err(Status::TooFewDoses);
        }
        let fixed = fixed.map(|(p, value)| (p, layout.inner(model, p, value)));
        let from = self.responses.len();
        let weighted = layout.kept.iter().zip(&layout.root_weight).map(|(&k, w)| response[k] * w);
        self.responses.extend(weighted);
        Ok(Ready { curve, layout: number, from, fixed })
    }

    /// A descent for ready curve `index`.
    pub fn task<'a>(&'a self, index: usize, begin: &'a [f64]) -> Task<'a> {
        let ready = &self.curves[index];
        let layout = &self.layouts[ready.layout];
        let response = &self.responses[ready.from..ready.from + layout.points()];
        Task { layout, response, fixed: ready.fixed, begin }
    }

    /// Runs of ready curves with one number of points, or with one layout.
    fn runs(&self, same: impl Fn(&Ready, &Ready) -> bool) -> Vec<Range<usize>> {
        let mut runs = Vec::new();
        let mut from = 0;
        for chunk in self.curves.chunk_by(same) {
            runs.push(from..from + chunk.len());
            from += chunk.len();
        }
        runs
    }

    /// The best starts of every ready curve, best first: (index, nonlinear parameters).
    pub fn scan<const L: usize>(
        &self,
        instructions: impl Instructions,
        settings: &FitSettings,
    ) -> (Vec<usize>, Vec<f64>) {
        let model = settings.model.curve_model();
        let polished = if model.polished { STARTS_WHERE_POLISHED } else { 1 };
        let wanted = settings.starts.max(model.descents).max(polished);
        let k = model.nonlinear.len();
        let (mut of, mut begins) = (Vec::new(), Vec::new());
        for run in self.runs(|a, b| a.layout == b.layout) {
            let layout = &self.layouts[self.curves[run.start].layout];
            let (starts, counts) = layout.starts(model);
            let scan = Scan::new::<L>(instructions, layout, &model.separated, &model.kernel, starts, counts);
            let mut room = ScanRoom::<L>::new(&scan);
            let mut response = vec![Lanes([0.0; L]); layout.points()];
            let mut lower = vec![Lanes([0.0; L]); model.linear.len()];
            let mut upper = lower.clone();
            let no_twins: Vec<usize> =
                (0..scan.len()).filter(|n| !is_twin(model, &scan.starts[n * k..(n + 1) * k])).collect();
            let mut order: Vec<usize> = Vec::new();
            for from in run.clone().step_by(L) {
                let chunk = from..(from + L).min(run.end);
                for lane in 0..L {
                    // A short last chunk repeats its last curve.
                    let task = self.task((chunk.start + lane).min(chunk.end - 1), &[]);
                    for (slot, value) in response.iter_mut().zip(task.response) {
                        slot.0[lane] = *value;
                    }
                    for (j, p) in model.linear.iter().enumerate() {
                        (lower[j].0[lane], upper[j].0[lane]) = task.bounds(*p);
                    }
                }
                let best = instructions.run(
                    #[inline(always)]
                    || scan.sums_of_squares(&response, &lower, &upper, wanted > 1, &mut room),
                );
                for index in chunk.clone() {
                    let lane = index - chunk.start;
                    let at = |start: usize| {
                        let sum = match wanted == 1 && best.needs_box[lane] {
                            true => scan.sum_in_box(start, lane, &lower, &upper, &room),
                            false => room.sums[start].0[lane],
                        };
                        if sum.is_nan() { f64::INFINITY } else { sum }
                    };
                    let mut push = |start: usize| {
                        of.push(index);
                        // Starts of a formula of any numbers are decades apart: no parabola reaches that far.
                        match model.polished {
                            true => begins.extend_from_slice(&scan.starts[start * k..(start + 1) * k]),
                            false => scan.lowest_nearby(start, at, &mut begins),
                        }
                    };
                    if wanted == 1 {
                        push(best.start[lane]);
                        continue;
                    }
                    order.clear();
                    order.extend_from_slice(&no_twins);
                    order.sort_by(|a, b| at(*a).total_cmp(&at(*b)));
                    let mut taken: Vec<usize> = Vec::with_capacity(wanted);
                    for &start in &order {
                        if taken.len() == wanted {
                            break;
                        }
                        if !taken.iter().any(|t| scan.are_neighbours(*t, start)) {
                            taken.push(start);
                            push(start);
                        }
                    }
                }
            }
        }
        (of, begins)
    }

    /// Descends from the given beginnings; `of[i]` is the ready curve that `begins` row `i` belongs to, rising.
    pub fn descend<const L: usize>(
        &self,
        instructions: impl Instructions,
        settings: &FitSettings,
        of: &[usize],
        begins: &[f64],
    ) -> Vec<End> {
        let model = settings.model.curve_model();
        let k = model.nonlinear.len();
        let mut ends = Vec::with_capacity(of.len());
        let mut at = 0;
        let shape = |ready: &Ready| (self.layouts[ready.layout].points(), self.layouts[ready.layout].is_weighted());
        for run in self.runs(|a, b| shape(a) == shape(b)) {
            let count = of[at..].partition_point(|index| *index < run.end);
            let tasks: Vec<Task<'_>> =
                (at..at + count).map(|i| self.task(of[i], &begins[i * k..(i + 1) * k])).collect();
            ends.extend(descend::<L>(instructions, model, &tasks, settings.max_iterations));
            at += count;
        }
        ends
    }

    /// The fit of ready curve `index` from the ends of its descents: the lowest sum of squares, the first where
    /// equal.
    pub fn outcome(&self, index: usize, ends: &[End], model: &CurveModel, refit: Refit) -> Fit {
        let mut best: Option<&End> = None;
        for end in ends {
            if best.is_none_or(|b| end.sse < b.sse) {
                best = Some(end);
            }
        }
        let Some(best) = best.filter(|b| b.sse.is_finite()) else {
            return Fit::failed(Status::NoFiniteStart);
        };
        let task = self.task(index, &[]);
        let mut best = *best;
        if !model.trades.is_empty() {
            self.put_in_order(index, model, &mut best.parameters);
        }
        let mut parameters = [0.0; MAX_PARAMETERS];
        let (mut at_bound, mut sse) = (0, best.sse);
        for (i, parameter) in parameters.iter_mut().enumerate().take(model.parameters.len()) {
            let (lower, upper) = task.bounds(i);
            if lower < upper && (best.parameters[i] <= lower || best.parameters[i] >= upper) {
                at_bound |= 1 << i;
            }
            *parameter = task.layout.outer(model, i, best.parameters[i]);
        }
        if model.polished {
            sse = polish(self, index, model, &mut parameters);
            for (i, parameter) in parameters.iter().enumerate().take(model.parameters.len()) {
                let (lower, upper) = task.bounds(i);
                let (lower, upper) = (task.layout.outer(model, i, lower), task.layout.outer(model, i, upper));
                at_bound |= u32::from(lower < upper && (*parameter <= lower || *parameter >= upper)) << i;
            }
        }
        let in_order = model.exchanges.first().is_none_or(|&(first, second)| parameters[first] <= parameters[second]);
        // Boxes that differ, as that of a parameter held, tell the two apart already.
        if !in_order && model.exchanges.iter().all(|&(a, b)| task.bounds(a) == task.bounds(b)) {
            for &(a, b) in model.exchanges {
                parameters.swap(a, b);
                let differ = (at_bound >> a ^ at_bound >> b) & 1;
                at_bound ^= differ << a | differ << b;
            }
        }
        Fit {
            status: best.status,
            parameters,
            sse: sse * task.layout.scale,
            iterations: ends.iter().map(|e| e.iterations).sum(),
            at_bound,
            refit,
        }
    }

    /// Puts terms that can change places in the order of their starts, where this leaves the curve what it is.
    fn put_in_order(&self, index: usize, model: &CurveModel, parameters: &mut [f64; MAX_PARAMETERS]) {
        let task = self.task(index, &[]);
        let may_have = |p: usize, value: f64| (task.bounds(p).0..=task.bounds(p).1).contains(&value);
        let mut traded = *parameters;
        exchange::in_order_of_starts(&model.trades, &model.parameters, &model.nonlinear, &mut traded, may_have);
        if traded == *parameters {
            return;
        }
        // Exchanges are found by trying a formula at a few doses: it may tell its terms apart at those of this curve.
        let sum = |inner: &[f64]| {
            let outer: Vec<f64> = (0..model.parameters.len()).map(|i| task.layout.outer(model, i, inner[i])).collect();
            sum_of_squares(self, index, model, &outer)
        };
        let size: f64 = task.response.iter().map(|y| y * y).sum();
        if sum(&traded) <= sum(parameters) * (1.0 + 1e-9) + ROUNDING * size {
            *parameters = traded;
        }
    }
}

impl Points<'_> {
    /// Whether these are the same numbers.
    fn is_same(&self, other: Points<'_>) -> bool {
        let same =
            |a: &[f64], b: &[f64]| a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.to_bits() == b.to_bits());
        same(self.dose, other.dose) && same(self.weight, other.weight) && same(self.x2, other.x2)
    }
}

/// Whether a start has a twin that is the same curve, parameters exchanged, and comes in its place.
fn is_twin(model: &CurveModel, start: &[f64]) -> bool {
    let value = |parameter: usize| model.nonlinear.iter().position(|p| *p == parameter).map(|i| start[i]);
    let pair = model.exchanges.first().and_then(|(a, b)| value(*a).zip(value(*b)));
    pair.is_some_and(|(first, second)| first > second)
}

/// Fits a block of curves; results in the order of the curves.
pub fn fit_block<const L: usize>(
    instructions: impl Instructions,
    curves: &CurveSet,
    range: Range<usize>,
    settings: &FitSettings,
) -> Vec<Fit> {
    let model = settings.model.curve_model();
    let block = Block::new(curves, range.clone(), settings);
    let (of, begins) = block.scan::<L>(instructions, settings);
    let ends = block.descend::<L>(instructions, settings, &of, &begins);
    let mut fits = vec![Fit::failed(Status::BadValue); range.len()];
    for (curve, status) in &block.refused {
        fits[curve - range.start] = Fit::failed(*status);
    }
    let mut at = 0;
    for chunk in of.chunk_by(|a, b| a == b) {
        let index = chunk[0];
        fits[block.curves[index].curve - range.start] =
            block.outcome(index, &ends[at..at + chunk.len()], model, Refit::None);
        at += chunk.len();
    }
    fits
}

/// Descends from given nonlinear parameters, `begins` holding those of curve after curve (all curves of the set).
/// Each fit comes with what its first step promised, as a share of the residual variance.
pub fn continue_block<const L: usize>(
    instructions: impl Instructions,
    curves: &CurveSet,
    range: Range<usize>,
    settings: &FitSettings,
    begins: &[f64],
) -> Vec<(Fit, f64)> {
    let model = settings.model.curve_model();
    let k = model.nonlinear.len();
    let block = Block::new(curves, range.clone(), settings);
    let of: Vec<usize> = (0..block.curves.len()).collect();
    let mut own = Vec::with_capacity(of.len() * k);
    for ready in &block.curves {
        for (i, parameter) in model.nonlinear.iter().enumerate() {
            own.push(block.layouts[ready.layout].inner(model, *parameter, begins[ready.curve * k + i]));
        }
    }
    let ends = block.descend::<L>(instructions, settings, &of, &own);
    let mut fits = vec![(Fit::failed(Status::BadValue), f64::INFINITY); range.len()];
    for (curve, status) in &block.refused {
        fits[curve - range.start].0 = Fit::failed(*status);
    }
    for (index, end) in ends.iter().enumerate() {
        let fit = block.outcome(index, std::slice::from_ref(end), model, Refit::None);
        fits[block.curves[index].curve - range.start] = (fit, end.first_offset);
    }
    fits
}
