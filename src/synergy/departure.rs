//! Does a matrix depart from a reference model at all, and in which cells? The mean-R and max-R tests of BIGL (Van der
//! Borght 2017, doi 10.1038/s41598-017-18068-5).
//!
//! Excess of all cells, `R`, has under the model the covariance `A`: the noise of each cell's own wells on the diagonal,
//! and what all cells share, which the draws of the bootstrap show: margins that are fitted, vehicle means that wells are
//! divided by. Mean-R is `F = R' A⁻¹ R / n` with `n` and the noise's degrees of freedom. Max-R is the largest of the
//! standardised excesses `z = A^-½ R`; their null is the largest of `n` Student's t that share one noise estimate, which
//! is integrated, not simulated ([`LargestT`]), so that p has no floor. The root is the symmetric one of the cells in
//! units of their own noise, so each `z` belongs to a cell and their order plays no part, as it would in a triangular one.
//!
//! ZIP's excess is of a surface fitted to the same cells. Its covariance is that of the whole excess over the draws, and
//! nearly singular: no slice can be rough. So a tenth of the mean variance is added to the diagonal, from one half of the
//! draws, and the other half says how large `R' A⁻¹ R` and the `z` then are without synergy: mean-R is scaled and given
//! the degrees of freedom that match mean and variance (Satterthwaite 1946, doi 10.2307/3002019), each `z` is divided
//! by its standard deviation, and counts in max-R as if it were independent of the others, which is on the safe side
//! (Šidák 1967, doi 10.1080/01621459.1967.10482935).
//!
//! Where noise is from the residuals of fits to the same cells, `R` and the noise estimate go together. References are then
//! put on the scale of their draws ([`DrawnNull`]), which errs on the safe side: on simulated screens without interaction 3
//! to 5 % of p are below 0.05, and they are not uniform. ZIP's cells are not tested there: what was tried called one
//! additive matrix in ten.

use crate::math::largest_t::LargestT;
use crate::math::special::f_upper_tail;
use crate::math::symmetric::Eigen;

/// What is added to the diagonal of a covariance that is known from draws alone, as a share of its mean.
const RIDGE: f64 = 0.1;
/// Draws from which a covariance may be taken.
pub const FEWEST_DRAWS: usize = 50;
/// Where noise is from residuals, F goes together with them and scatters less than its noise estimate alone would say, but
/// more than in draws about one fit. This many times the degrees of freedom are what simulated screens without
/// interaction show.
const UNCERTAIN: f64 = 4.0;
/// Family-wise level of the calls of cells.
const LEVEL: f64 = 0.05;

/// What a cell is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Call {
    /// Less viability than expected.
    Synergy,
    /// More.
    Antagonism,
    /// Neither at a family-wise 5 %.
    None,
}

impl Call {
    /// The name in tables.
    pub fn name(self) -> &'static str {
        match self {
            Call::Synergy => "synergy",
            Call::Antagonism => "antagonism",
            Call::None => "none",
        }
    }

    /// The call with this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Call::Synergy, Call::Antagonism, Call::None].into_iter().find(|call| call.name() == text)
    }
}

/// One cell's part in it.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CellDeparture {
    /// Excess in standard deviations, after what all cells share.
    pub z: f64,
    /// What it is called.
    pub call: Call,
}

/// How far one matrix departs from one model.
#[derive(Debug, Clone, PartialEq)]
pub struct Departure {
    /// Mean of squared standardised excess.
    pub mean_r_f: f64,
    /// Its p.
    pub mean_r_p: f64,
    /// Largest absolute standardised excess.
    pub max_r: f64,
    /// Its p, family-wise over the cells.
    pub max_r_p: f64,
    /// The cells, in the order given.
    pub cells: Vec<CellDeparture>,
}

/// What draws say of a test whose noise estimate is from the residuals of the same cells, so that numerator and
/// denominator go together.
#[derive(Debug, Clone, Copy)]
pub struct DrawnNull<'a> {
    /// Excess of the cells, draw after draw.
    pub excess: &'a [f64],
    /// By draw: the variance that its noise would be found to have, over the mean of all draws.
    pub relative_variance: &'a [f64],
}

/// How a test comes out over draws.
struct Scale {
    /// Mean of F.
    mean: f64,
    /// Degrees of freedom of a chi-square that scatters as much about its mean.
    freedom: f64,
    /// Median of the largest |z|.
    largest: f64,
}

impl DrawnNull<'_> {
    fn scale(&self, n: usize, whitened: impl Fn(&[f64]) -> Vec<f64>) -> Option<Scale> {
        let means = means(n, self.excess);
        let (mut f, mut largest) = (Vec::new(), Vec::new());
        let mut centred = vec![0.0; n];
        for (row, relative) in self.excess.chunks_exact(n).zip(self.relative_variance) {
            (0..n).for_each(|k| centred[k] = row[k] - means[k]);
            let z = whitened(&centred);
            f.push(z.iter().map(|z| z * z).sum::<f64>() / n as f64 / relative);
            largest.push(z.iter().map(|z| z.abs()).fold(0.0, f64::max) / relative.sqrt());
        }
        let count = f.len() as f64;
        let mean = f.iter().sum::<f64>() / count;
        let variance = f.iter().map(|x| (x - mean) * (x - mean)).sum::<f64>() / (count - 1.0);
        largest.sort_by(f64::total_cmp);
        let scale = Scale { mean, freedom: 2.0 * mean * mean / variance, largest: *largest.get(largest.len() / 2)? };
        let usable = |x: f64| x > 0.0 && x.is_finite();
        (usable(scale.mean) && usable(scale.freedom) && usable(scale.largest)).then_some(scale)
    }
}

/// For models whose excess is expected minus observed viability. `excess` and `deviation` (of the mean of a cell's own
/// wells) run over the cells; `shared` holds, draw after draw, the part of each cell's excess that is not its own wells'
/// noise. `None` for no cell, too few draws, or numbers that are not finite.
pub fn of_reference(
    excess: &[f64],
    deviation: &[f64],
    shared: &[f64],
    degrees_of_freedom: f64,
    null: Option<DrawnNull>,
) -> Option<Departure> {
    let n = excess.len();
    if n == 0 || shared.len() < FEWEST_DRAWS * n || deviation.iter().any(|d| d.is_nan() || *d <= 0.0) {
        return None;
    }
    let mut covariance = covariance(n, shared, |k| 1.0 / deviation[k]);
    (0..n).for_each(|k| covariance[k * n + k] += 1.0);
    let eigen = Eigen::new(n, covariance)?;
    let scaled: Vec<f64> = excess.iter().zip(deviation).map(|(r, d)| r / d).collect();
    let z = whitened(&eigen, &scaled);
    let f = z.iter().map(|z| z * z).sum::<f64>() / n as f64;
    let Some(null) = null else {
        let p = f_upper_tail(f, n as f64, degrees_of_freedom);
        return departure(excess, z, f, p, degrees_of_freedom);
    };
    let of_draw = |centred: &[f64]| {
        let scaled: Vec<f64> = centred.iter().zip(deviation).map(|(r, d)| r / d).collect();
        whitened(&eigen, &scaled)
    };
    by_draws(excess, z, f, degrees_of_freedom, &null.scale(n, of_draw)?)
}

/// Puts F and z on the scale of their draws.
fn by_draws(excess: &[f64], mut z: Vec<f64>, f: f64, degrees_of_freedom: f64, drawn: &Scale) -> Option<Departure> {
    let f = f / drawn.mean;
    let p = f_upper_tail(f, drawn.freedom, UNCERTAIN * degrees_of_freedom);
    let scale = LargestT::new(z.len() as f64, degrees_of_freedom)?.critical(0.5) / drawn.largest;
    z.iter_mut().for_each(|z| *z *= scale);
    departure(excess, z, f, p, degrees_of_freedom)
}

/// For excess against a surface that is fitted to the same cells: `draws` holds the excess of each draw, draw after draw.
pub fn of_fitted_surface(excess: &[f64], draws: &[f64], degrees_of_freedom: f64) -> Option<Departure> {
    let n = excess.len();
    if n == 0 || draws.len() < FEWEST_DRAWS * n {
        return None;
    }
    let (first, second) = draws.split_at(draws.len() / n / 2 * n);
    let mut covariance = covariance(n, first, |_| 1.0);
    let ridge = RIDGE * (0..n).map(|k| covariance[k * n + k]).sum::<f64>() / n as f64;
    if ridge.is_nan() || ridge <= 0.0 {
        return None;
    }
    (0..n).for_each(|k| covariance[k * n + k] += ridge);
    let eigen = Eigen::new(n, covariance)?;
    let means = means(n, second);
    let count = (second.len() / n) as f64;
    let (mut sum, mut sum_of_squares, mut variance) = (0.0, 0.0, vec![0.0; n]);
    let mut centred = vec![0.0; n];
    for row in second.chunks_exact(n) {
        (0..n).for_each(|k| centred[k] = row[k] - means[k]);
        let z = whitened(&eigen, &centred);
        let q: f64 = z.iter().map(|z| z * z).sum();
        sum += q;
        sum_of_squares += q * q;
        variance.iter_mut().zip(&z).for_each(|(v, z)| *v += z * z);
    }
    // One degree of freedom went to the mean.
    let mean = sum / (count - 1.0);
    let spread = (sum_of_squares - sum * sum / count) / (count - 1.0);
    let freedom = (2.0 * mean * mean / spread).clamp(1.0, n as f64);
    let mut z = whitened(&eigen, excess);
    let f = z.iter().map(|z| z * z).sum::<f64>() / mean;
    let p = f_upper_tail(f, freedom, degrees_of_freedom);
    let deviation: Vec<f64> = variance.iter().map(|v| (v / (count - 1.0)).sqrt()).collect();
    z.iter_mut().zip(&deviation).for_each(|(z, d)| *z /= d);
    // These deviations are from a finite number of draws.
    let freedom_of_z = 1.0 / (1.0 / degrees_of_freedom + 1.0 / (count - 1.0));
    departure(excess, z, f, p, freedom_of_z)
}

fn departure(excess: &[f64], z: Vec<f64>, f: f64, p: f64, degrees_of_freedom: f64) -> Option<Departure> {
    let largest = LargestT::new(z.len() as f64, degrees_of_freedom)?;
    let max_r = z.iter().map(|z| z.abs()).fold(0.0, f64::max);
    let max_r_p = largest.probability_above(max_r);
    if !(f.is_finite() && max_r.is_finite()) {
        return None;
    }
    let beyond = if max_r_p <= LEVEL { largest.critical(LEVEL) } else { f64::INFINITY };
    // What is left of a cell after what all share may lie on the other side of zero than its excess: then it is neither.
    let call = |z: f64, excess: f64| match z.abs() >= beyond {
        true if z > 0.0 && excess > 0.0 => Call::Synergy,
        true if z < 0.0 && excess < 0.0 => Call::Antagonism,
        _ => Call::None,
    };
    let cells = z.iter().zip(excess).map(|(z, excess)| CellDeparture { z: *z, call: call(*z, *excess) }).collect();
    Some(Departure { mean_r_f: f, mean_r_p: p, max_r, max_r_p, cells })
}

/// `M^-½ x` of the matrix whose eigenvalues these are.
fn whitened(eigen: &Eigen, x: &[f64]) -> Vec<f64> {
    let mut along = eigen.along(x);
    along.iter_mut().zip(&eigen.values).for_each(|(c, value)| *c /= value.max(f64::MIN_POSITIVE).sqrt());
    eigen.from_along(&along)
}

fn means(n: usize, draws: &[f64]) -> Vec<f64> {
    let count = (draws.len() / n) as f64;
    let mut means = vec![0.0; n];
    for row in draws.chunks_exact(n) {
        means.iter_mut().zip(row).for_each(|(mean, x)| *mean += x / count);
    }
    means
}

/// Sample covariance of draws in which cell `k` is multiplied by `scale(k)`; row after row, both triangles.
fn covariance(n: usize, draws: &[f64], scale: impl Fn(usize) -> f64) -> Vec<f64> {
    let means = means(n, draws);
    let count = (draws.len() / n) as f64;
    let mut sums = vec![0.0; n * n];
    let mut centred = vec![0.0; n];
    for row in draws.chunks_exact(n) {
        (0..n).for_each(|k| centred[k] = (row[k] - means[k]) * scale(k));
        for i in 0..n {
            let x = centred[i];
            sums[i * n..=i * n + i].iter_mut().zip(&centred).for_each(|(sum, y)| *sum += x * y);
        }
    }
    for i in 0..n {
        for j in 0..=i {
            let value = sums[i * n + j] / (count - 1.0);
            (sums[i * n + j], sums[j * n + i]) = (value, value);
        }
    }
    sums
}
