//! Starts between those of the grid, from the sums of squares of a start and its neighbours.

use super::factor::{backward, factorise, forward, triangle};
use super::scan::Scan;

/// Nonlinear parameters up to which starts are moved towards their neighbours.
const NEARBY: usize = 3;
/// How far, in distances between neighbours.
const MOST_MOVED: f64 = 0.75;
/// What of a mixed second derivative counts, at most, as a share of what would be a saddle.
const MOST_MIXED: f64 = 0.9;

impl Scan {
    /// Nonlinear parameters between a start and its neighbours, where the parabola through their sums of squares `sse`
    /// is lowest; the start's own where there is none to speak of. Appends them to `to`.
    ///
    /// The sums of squares are there already, and a step of Newton's would cost an evaluation.
    pub fn lowest_nearby(&self, start: usize, sse: impl Fn(usize) -> f64, to: &mut Vec<f64>) {
        let k = self.counts.len();
        let own = &self.starts[start * k..(start + 1) * k];
        let here = sse(start);
        let mut slope = [0.0; NEARBY];
        let mut bend = [1.0; NEARBY * (NEARBY + 1) / 2];
        let mut strides = [0; NEARBY];
        let mut stride = 1;
        if k <= NEARBY {
            for i in (0..k).rev() {
                let at = start / stride % self.counts[i];
                if at > 0 && at + 1 < self.counts[i] {
                    let (before, after) = (sse(start - stride), sse(start + stride));
                    let curvature = before - 2.0 * here + after;
                    if curvature > 0.0 && curvature < f64::INFINITY {
                        (slope[i], bend[triangle(i, i)]) = (0.5 * (after - before), curvature);
                        strides[i] = stride;
                    }
                }
                stride *= self.counts[i];
            }
        }
        for i in 0..k.min(NEARBY) {
            for l in 0..i {
                let (a, b) = (strides[i], strides[l]);
                let corners = sse(start + a + b) - sse(start + a - b) - sse(start + b - a) + sse(start - a - b);
                let mixed = if a > 0 && b > 0 { 0.25 * corners } else { 0.0 };
                // No saddle: of a valley across, half of what its walls allow is believed.
                let most = MOST_MIXED * (bend[triangle(i, i)] * bend[triangle(l, l)]).sqrt();
                bend[triangle(i, l)] = if mixed.is_finite() { mixed.clamp(-most, most) } else { 0.0 };
            }
        }
        let n = k.min(NEARBY);
        factorise(n, &mut bend);
        forward(n, &bend, &mut slope);
        backward(n, &bend, &mut slope);
        for i in 0..k {
            let stride = if i < NEARBY { strides[i] } else { 0 };
            let value = |start: usize| self.starts[start * k + i];
            let (before, after) = (value(start - stride), value(start + stride));
            let moved = if stride > 0 { (-slope[i]).clamp(-MOST_MOVED, MOST_MOVED) } else { 0.0 };
            to.push(own[i] + 0.5 * moved * (after - before) + 0.5 * moved * moved * (before - 2.0 * own[i] + after));
        }
    }

    /// Whether two starts lie side by side: no parameter's values are further apart than neighbours are.
    pub fn are_neighbours(&self, mut a: usize, mut b: usize) -> bool {
        self.counts.iter().rev().all(|count| {
            let near = (a % count).abs_diff(b % count) <= 1;
            a /= count;
            b /= count;
            near
        })
    }
}
