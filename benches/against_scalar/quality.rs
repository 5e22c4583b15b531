//! How good the minima are: failures, and sums of squares held against the lowest known.

use crate::peers::Best;
use crate::scalar::ScalarFit;
use isobole::bench::simulated::ReplicatedCurves;
use isobole::fit::Fit;
use serde::Serialize;
use std::f64::consts::LN_10;

/// A sum of squares this much above (below) another, relatively, is worse (better).
const NOTICEABLE: f64 = 1e-3;

/// The fits of both contestants to all curves.
pub struct Found<'a> {
    pub curves: &'a ReplicatedCurves,
    pub scalar: &'a [ScalarFit],
    pub isobole: &'a [Fit],
    pub pure_error: &'a [f64],
}

/// Shares of the identifiable curves and of all.
#[derive(Debug, Serialize)]
pub struct Quality {
    pub name: &'static str,
    pub failed: [f64; 2],
    pub above_best_unbounded: [f64; 2],
    pub above_best_in_box: [f64; 2],
    pub below_best_in_box: [f64; 2],
}

impl Quality {
    /// What is printed.
    pub fn rows(&self) -> [(&'static str, [f64; 2]); 4] {
        [
            ("failed", self.failed),
            ("SSE > 0.1 % above best, unbounded", self.above_best_unbounded),
            ("SSE > 0.1 % above best in the box", self.above_best_in_box),
            ("SSE > 0.1 % below best in the box", self.below_best_in_box),
        ]
    }
}

impl Found<'_> {
    /// The wells' sum of squares of this crate's fit.
    fn isobole_sse(&self, i: usize) -> f64 {
        if self.isobole[i].status.is_fitted() { self.isobole[i].sse + self.pure_error[i] } else { f64::INFINITY }
    }

    /// Where nobody knows better: the lower of the two, in the box only if the scalar fit lies there.
    pub fn best_of_both(&self) -> Best {
        let (low, high) = (self.curves.ln_dose[0], self.curves.ln_dose[self.curves.ln_dose.len() - 1]);
        let in_box = |fit: &ScalarFit| {
            let [mut top, mut bottom, ln_ec50, mut hill] = fit.parameters;
            if hill < 0.0 {
                // The same curve written the other way round.
                (top, bottom, hill) = (bottom, top, -hill);
            }
            [top, bottom].iter().all(|plateau| (-1.0..=3.0).contains(plateau))
                && (low - 3.0 * LN_10..=high + 3.0 * LN_10).contains(&ln_ec50)
                && (0.01..=20.0).contains(&hill)
        };
        let lower = |i: usize, counts: bool| {
            let scalar = if counts { self.scalar[i].sse } else { f64::INFINITY };
            scalar.min(self.isobole_sse(i))
        };
        let n = self.curves.len();
        Best {
            unbounded: (0..n).map(|i| lower(i, true)).collect(),
            in_box: (0..n).map(|i| lower(i, in_box(&self.scalar[i]))).collect(),
        }
    }

    fn quality(
        &self,
        name: &'static str,
        best: &Best,
        sse: impl Fn(usize) -> f64,
        failed: impl Fn(usize) -> bool,
    ) -> Quality {
        let shares = |holds: &dyn Fn(usize) -> bool| {
            [true, false].map(|only_identifiable| {
                let chosen = (0..self.curves.len()).filter(|&i| self.curves.identifiable[i] || !only_identifiable);
                let (all, hits) =
                    chosen.fold((0usize, 0usize), |(all, hits), i| (all + 1, hits + usize::from(holds(i))));
                hits as f64 / all.max(1) as f64
            })
        };
        Quality {
            name,
            failed: shares(&failed),
            above_best_unbounded: shares(&|i| sse(i) > best.unbounded[i] * (1.0 + NOTICEABLE)),
            above_best_in_box: shares(&|i| sse(i) > best.in_box[i] * (1.0 + NOTICEABLE)),
            below_best_in_box: shares(&|i| sse(i) < best.in_box[i] * (1.0 - NOTICEABLE)),
        }
    }
}

/// The scalar loop, which knows no box.
pub fn of_scalar(found: &Found, best: &Best) -> Quality {
    found.quality("scalar", best, |i| found.scalar[i].sse, |i| !found.scalar[i].successful)
}

/// This crate, in the box.
pub fn of_isobole(found: &Found, best: &Best) -> Quality {
    found.quality("isobole", best, |i| found.isobole_sse(i), |i| !found.isobole[i].status.is_fitted())
}
