//! Weights from replicates: how the variance of a well depends on its expected response, over all curves of a file, and
//! fits whose points weigh as much as they are sure.
//!
//! The law is a power of the mean with an offset, `variance = factor (mean² + offset²)^(exponent / 2)`: exponent 0 is
//! constant noise, 1 that of counts, 2 a constant coefficient of variation (Carroll & Ruppert 1988, Transformation and
//! Weighting in Regression, doi 10.1201/9780203735268); the offset is the noise that is left where there is no signal, the
//! idea of the variance law of bayesynergy (Rønneberg 2021, doi 10.1093/bib/bbab251). It is estimated from the scatter of
//! replicates alone, as BIGL does for its variance model (Van der Borght 2017, doi 10.1038/s41598-017-18068-5), so that no
//! lack of fit of the curves enters, and by regression of logarithms on the mean (Davidian & Carroll 1987,
//! doi 10.1080/01621459.1987.10478543).
//!
//! 1. Doses with two wells or more are counted by the logarithm of their mean and that of their variance, the latter with
//!    the median of chi-square over its degrees of freedom divided out. What is kept are counts: memory does not grow with
//!    the file, and the order of curves changes nothing.
//! 2. The median of each class of means. No outlier moves it, so long as most replicates are sound.
//! 3. A straight line through the medians, for each of a few offsets; the smallest offset that explains them. The exponent
//!    is drawn to 0 by what is known of its error, so that in a small file noise does not pose as a law.
//! 4. No response counts as larger than most means seen, and no variance as smaller than a [`LARGEST_RATIO`]th of the
//!    largest: no point rules a curve.
//!
//! Curves are fitted with equal weights, weighted by the law at their fitted responses, and that twice: estimates then are
//! as efficient as with known weights to first order (Carroll & Ruppert, chapter 2). Weights have mean 1 over the wells of
//! a curve, so that sums of squares stay on the scale of responses.

use super::inference::takes_untreated;
use super::{CurveSet, Fit, FitSettings};
use crate::backend::Backend;
use crate::backend::cpu::descend_from;
use crate::model::ModelId;
use crate::screen::dose_matrix::{Curve, CurvePoint};
use crate::{Error, Result};
use rayon::prelude::*;
use std::collections::BTreeMap;

/// Width of the classes of the logarithm of the mean, and of the variance.
const CLASS: (f64, f64) = (0.05, 0.05);
/// Fewer degrees of freedom than this, over the whole file, say nothing of a law.
const LEAST_FREEDOM: u64 = 50;
/// Neighbouring classes of the mean are joined until they have this many.
const GROUP_FREEDOM: u64 = 20;
/// Means above this share of all count as this quantile.
const MOST_MEANS: f64 = 0.95;
/// Offsets tried, as shares of that quantile: the least, the most, how many.
const OFFSETS: (f64, f64, u32) = (0.02, 0.5, 15);
/// Exponents, at least and at most.
const EXPONENTS: (f64, f64) = (-2.0, 4.0);
/// The largest variance over the smallest, at most.
pub const LARGEST_RATIO: f64 = 400.0;
/// Variance of the median of the logarithm of normal variances, times their degrees of freedom: 5.4 for pairs, 4.2 for
/// triplicates.
const MEDIAN_VARIANCE: f64 = 5.0;
/// A larger offset must explain this much more, in squared standard errors.
const BETTER: f64 = 4.0;
/// Curves looked through by a thread at a time.
const PART: usize = 4096;

/// How much wells weigh.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Weights {
    /// All alike.
    #[default]
    Equal,
    /// By the inverse of the variance that replicates have at their response: [`VarianceLaw`].
    Variance,
}

impl Weights {
    /// The name used in flags and `screen.toml`.
    pub fn name(self) -> &'static str {
        match self {
            Weights::Equal => "equal",
            Weights::Variance => "variance",
        }
    }
}

/// The scatter of replicates by their mean.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct ReplicateScatter {
    /// Degrees of freedom by class of the logarithm of the mean's size, and of that of the variance.
    classes: BTreeMap<i32, BTreeMap<i32, u64>>,
    /// Doses with replicates.
    doses: u64,
    freedom: u64,
}

/// Median of chi-square over its degrees of freedom; beyond 2 by Wilson & Hilferty (1931, doi 10.1073/pnas.17.12.684), which is
/// off by less than 0.7 %.
fn median_of_variance(freedom: u32) -> f64 {
    match freedom {
        1 => 0.454_936_423_119_572_8,
        2 => std::f64::consts::LN_2,
        _ => (1.0 - 2.0 / (9.0 * f64::from(freedom))).powi(3),
    }
}

fn class(value: f64, width: f64) -> i32 {
    // Of zero the logarithm is the lowest class; Rust's conversion saturates.
    (libm::log(value) / width).floor() as i32
}

impl ReplicateScatter {
    /// Counts the replicates of curves, whose wells must have been taken together and weigh 1 each.
    pub fn add(&mut self, curves: &[Curve]) {
        let parts = curves.par_chunks(PART).map(|part| {
            let mut scatter = Self::default();
            part.iter().flat_map(|curve| &curve.points).for_each(|point| scatter.add_point(point));
            scatter
        });
        for part in parts.collect::<Vec<_>>() {
            self.merge(part);
        }
    }

    fn add_point(&mut self, point: &CurvePoint) {
        let is_sound = point.response.is_finite() && point.sum_of_squares.is_finite();
        if point.n < 2 || !is_sound {
            return;
        }
        let freedom = point.n - 1;
        let variance = point.sum_of_squares.max(0.0) / f64::from(freedom) / median_of_variance(freedom);
        let of_mean = self.classes.entry(class(point.response.abs(), CLASS.0)).or_default();
        *of_mean.entry(class(variance, CLASS.1)).or_default() += u64::from(freedom);
        self.doses += 1;
        self.freedom += u64::from(freedom);
    }

    fn merge(&mut self, other: Self) {
        for (mean, variances) in other.classes {
            let of_mean = self.classes.entry(mean).or_default();
            for (variance, freedom) in variances {
                *of_mean.entry(variance).or_default() += freedom;
            }
        }
        self.doses += other.doses;
        self.freedom += other.freedom;
    }

    /// The law that the scatter follows.
    ///
    /// # Errors
    /// [`Error::Setting`] for `weights` where replicates are missing, too few, or for the most part copies of each other.
    pub fn law(&self) -> Result<VarianceLaw> {
        let refuse = |problem: String, hint: &str| {
            let hint = Some(hint.to_owned());
            Err(Error::Setting { key: "weights".into(), problem, hint })
        };
        if self.doses == 0 {
            let problem = "no dose of any curve has replicates, so nothing tells the variance".into();
            return refuse(problem, "leave --weights out, or check --curve: it must not name the column of replicates");
        }
        if self.freedom < LEAST_FREEDOM {
            let problem = format!(
                "the replicates of the whole file leave {} degrees of freedom; a law of variance needs {LEAST_FREEDOM}",
                self.freedom
            );
            return refuse(problem, "leave --weights out, or fit more curves of the same assay together");
        }
        let largest_mean = self.quantile_of_mean(MOST_MEANS);
        let groups = self.groups();
        if groups.is_empty() || largest_mean <= 0.0 {
            let problem = "most replicates are equal to the last digit, so nothing tells the variance".into();
            return refuse(problem, "are they copies of one reading? leave --weights out");
        }
        let (least, most, count) = OFFSETS;
        let mut best: Option<(f64, Line)> = None;
        for k in 0..count {
            let share = f64::from(k) / f64::from(count - 1);
            let offset = largest_mean * least * libm::pow(most / least, share);
            let line = Line::through(&groups, offset);
            if best.as_ref().is_none_or(|(_, known)| line.lack + BETTER < known.lack) {
                best = Some((offset, line));
            }
        }
        let Some((offset, line)) = best else {
            return refuse("no law could be found".into(), "leave --weights out");
        };
        let law = VarianceLaw {
            factor: libm::exp(line.mean_y - line.slope * line.mean_x),
            exponent: line.slope,
            exponent_error: line.error,
            offset,
            largest_mean,
            smallest_variance: 0.0,
            doses: self.doses,
        };
        let largest = law.variance(0.0).max(law.variance(largest_mean));
        Ok(VarianceLaw { smallest_variance: largest / LARGEST_RATIO, ..law })
    }

    /// The size of means that this share of the scatter does not exceed: the upper end of its class.
    fn quantile_of_mean(&self, share: f64) -> f64 {
        let mut below = 0;
        for (mean, variances) in &self.classes {
            below += variances.values().sum::<u64>();
            if below as f64 >= share * self.freedom as f64 {
                return libm::exp((f64::from(*mean) + 1.0) * CLASS.0);
            }
        }
        0.0
    }

    /// Neighbouring classes of the mean, joined from the largest on until each has enough; those without a variance left
    /// out.
    fn groups(&self) -> Vec<Group> {
        let mut groups: Vec<(f64, BTreeMap<i32, u64>, u64)> = Vec::new();
        for (mean, variances) in self.classes.iter().rev() {
            if groups.last().is_none_or(|(_, _, freedom)| *freedom >= GROUP_FREEDOM) {
                groups.push((0.0, BTreeMap::new(), 0));
            }
            let Some((sum, all, freedom)) = groups.last_mut() else { continue };
            let here: u64 = variances.values().sum();
            // The lowest class is that of zero: as near to none as makes no difference.
            let centre = (f64::from(*mean) + 0.5).max(-20_000.0) * CLASS.0;
            *sum += here as f64 * centre;
            *freedom += here;
            for (variance, count) in variances {
                *all.entry(*variance).or_default() += count;
            }
        }
        let group = |(sum, variances, freedom): (f64, BTreeMap<i32, u64>, u64)| {
            let mut below = 0;
            let median = variances.iter().find(|(_, count)| {
                below += **count;
                2 * below >= freedom
            });
            let (variance, _) = median.filter(|(variance, _)| **variance > i32::MIN)?;
            let ln_variance = (f64::from(*variance) + 0.5) * CLASS.1;
            Some(Group { ln_mean: sum / freedom as f64, ln_variance, freedom: freedom as f64 })
        };
        groups.into_iter().filter_map(group).collect()
    }
}

/// Doses of similar mean.
struct Group {
    ln_mean: f64,
    /// The median.
    ln_variance: f64,
    freedom: f64,
}

/// A straight line through groups: the logarithm of the variance by that of the mean, offset included.
struct Line {
    slope: f64,
    mean_x: f64,
    mean_y: f64,
    /// Standard error of the slope before it was drawn to zero.
    error: f64,
    /// What it leaves, in squared standard errors.
    lack: f64,
}

impl Line {
    fn through(groups: &[Group], offset: f64) -> Self {
        let x = |group: &Group| libm::log(libm::hypot(libm::exp(group.ln_mean), offset));
        let freedom: f64 = groups.iter().map(|g| g.freedom).sum();
        let mean_x = groups.iter().map(|g| g.freedom * x(g)).sum::<f64>() / freedom;
        let mean_y = groups.iter().map(|g| g.freedom * g.ln_variance).sum::<f64>() / freedom;
        let spread: f64 = groups.iter().map(|g| g.freedom * (x(g) - mean_x).powi(2)).sum();
        let product: f64 = groups.iter().map(|g| g.freedom * (x(g) - mean_x) * (g.ln_variance - mean_y)).sum();
        let steepest = if spread > 1e-9 * freedom { product / spread } else { 0.0 };
        let residual = |g: &Group| g.ln_variance - mean_y - steepest * (x(g) - mean_x);
        let lack = groups.iter().map(|g| g.freedom * residual(g).powi(2)).sum::<f64>() / MEDIAN_VARIANCE;
        // Positive-part shrinkage (James & Stein): what is no larger than its standard error is none.
        let squared_error = MEDIAN_VARIANCE / spread;
        let kept = if steepest == 0.0 { 0.0 } else { (1.0 - squared_error / (steepest * steepest)).max(0.0) };
        Self {
            slope: (kept * steepest).clamp(EXPONENTS.0, EXPONENTS.1),
            mean_x,
            mean_y,
            error: squared_error.sqrt(),
            lack,
        }
    }
}

/// The variance of a well by its expected response.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct VarianceLaw {
    /// Variance where `mean² + offset²` is 1.
    factor: f64,
    /// Power of the mean that the variance follows.
    pub exponent: f64,
    /// Its standard error, infinite where all means are alike.
    pub exponent_error: f64,
    /// Response below which the variance falls no more, in units of the response.
    pub offset: f64,
    /// Responses beyond this have its variance.
    pub largest_mean: f64,
    smallest_variance: f64,
    /// Doses with replicates behind the law.
    pub doses: u64,
}

impl VarianceLaw {
    /// Variance of one well with this expected response; that of [`VarianceLaw::largest_mean`] for what is no number.
    pub fn variance(&self, response: f64) -> f64 {
        let size = response.abs().min(self.largest_mean);
        let ln_size = libm::log(libm::hypot(size, self.offset));
        (self.factor * libm::exp(self.exponent * ln_size)).max(self.smallest_variance)
    }

    /// In words.
    pub fn describe(&self) -> String {
        let deviation = |response: f64| self.variance(response).sqrt();
        let high = self.largest_mean;
        format!(
            "weights: variance of a well ~ (response² + {:.3}²)^({:.2}/2), from the replicates of {} doses: standard deviation \
             {:.4} at response {:.2}, {:.4} at {:.2}, {:.4} at 0",
            self.offset,
            self.exponent,
            self.doses,
            deviation(high),
            high,
            deviation(0.5 * high),
            0.5 * high,
            deviation(0.0)
        )
    }

    /// The curve with its wells weighted by the law at the responses of `fit`; as it is where there is none. Weights have
    /// mean 1 over the wells.
    pub fn weighted(&self, curve: &Curve, x2: &[f64], fit: &Fit, model: ModelId) -> Curve {
        let mut weighted = curve.clone();
        if !fit.status.is_fitted() {
            return weighted;
        }
        let at_zero = takes_untreated(model);
        let formula = model.curve_model();
        let relative: Vec<f64> = (0..curve.points.len())
            .map(|k| {
                let point = &curve.points[k];
                let fitted = formula.response(point.dose, x2.get(k).copied().unwrap_or(0.0), &fit.parameters);
                // A point that the curve has no place for has its own mean only.
                let expected =
                    if fitted.is_finite() && (at_zero || point.dose != 0.0) { fitted } else { point.response };
                1.0 / self.variance(expected)
            })
            .collect();
        let total: f64 = curve.points.iter().map(|p| p.weight).sum();
        let sum: f64 = curve.points.iter().zip(&relative).map(|(p, r)| p.weight * r).sum();
        let scale = total / sum;
        if !(scale.is_finite() && scale > 0.0) {
            return weighted;
        }
        for (point, relative) in weighted.points.iter_mut().zip(relative) {
            point.weight *= scale * relative;
            point.sum_of_squares *= scale * relative;
        }
        weighted
    }
}

/// Fits curves with weights by `law`; with the fits, the curves as they were weighted. `x2` has the second variable of each
/// curve's points, or nothing.
///
/// # Errors
/// Those of the back end.
pub fn fit_weighted(
    curves: &[Curve],
    x2: &[Vec<f64>],
    settings: &FitSettings,
    law: &VarianceLaw,
    backend: &dyn Backend,
) -> Result<(Vec<Fit>, Vec<Curve>)> {
    let model = settings.model.curve_model();
    let weigh = |fits: &[Fit]| -> Vec<Curve> {
        let second = |i: usize| x2.get(i).map_or(&[][..], Vec::as_slice);
        let weigh = |(i, (curve, fit))| law.weighted(curve, second(i), fit, settings.model);
        curves.par_iter().zip(fits).enumerate().map(weigh).collect()
    };
    let first = backend.fit(settings, &CurveSet::of(curves, x2))?;
    // Near enough to tell the weights; the fit that counts looks for the minimum anew.
    let begins: Vec<f64> = first.iter().flat_map(|fit| model.nonlinear.iter().map(|p| fit.parameters[*p])).collect();
    let near = descend_from(settings, &CurveSet::of(&weigh(&first), x2), &begins);
    let near: Vec<Fit> = near
        .into_iter()
        .zip(&first)
        .map(|((near, _), first)| if near.status.is_fitted() { near } else { *first })
        .collect();
    let weighted = weigh(&near);
    let fits = backend.fit(settings, &CurveSet::of(&weighted, x2))?;
    Ok((fits, weighted))
}
