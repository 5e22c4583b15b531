//! How much of BRAID the data ask for: nested surfaces, with and without `kappa`, whose drugs do all that both together do,
//! or the better one does, or neither; chosen by the Bayesian information criterion, as braidrm's `findBestBraid` does
//! among surfaces of its own (Twarog 2016, doi 10.1038/srep25523; Schwarz 1978, doi 10.1214/aos/1176344136).

use super::interaction::heat;
use crate::Result;
use crate::backend::Finish;
use crate::backend::cpu::Cpu;
use crate::fit::{Bound, CurveSet, Fit, FitSettings};
use crate::model::braid::{EPSILON, SHARE_A, SHARE_B};

/// Every beginning is followed for so many evaluations, and the best so many of them to the end.
const HEAT: (u32, usize) = (6, 2);

/// The nested surfaces: names, and which of the drugs do all that both together can do (their shares are 1). The second
/// and the third are one surface, that of the better drug, whichever that is.
const EFFICACIES: [(&str, [bool; 2]); 4] =
    [("equal", [true, true]), ("larger", [true, false]), ("larger", [false, true]), ("free", [false, false])];
const WITH_KAPPA: [&str; 4] = ["equal_kappa", "larger_kappa", "larger_kappa", "free_kappa"];

/// A nested surface of one item: its name, its criterion and its `kappa`.
type Candidate = (&'static str, f64, f64);

/// The surface chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct NestedBraid {
    /// `equal`: both drugs can do alone what they can do together; `larger`: the better one can; `free`: together they can
    /// do more than either. `_kappa` behind it where they interact, else `kappa` is 0.
    pub name: &'static str,
    /// `n ln(sse / n) + k ln n` with `n` points and `k` parameters; without a prior.
    pub bic: f64,
    /// How much lower that is than that of the next best of the six.
    pub delta_bic: f64,
    /// Its `kappa`.
    pub kappa: f64,
}

/// What the criterion says of one item.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Criterion {
    /// How much lower it is for the whole surface than for the same with `kappa` 0.
    pub delta_bic: Option<f64>,
    /// The surface chosen.
    pub nested: Option<NestedBraid>,
}

/// Compares the nested surfaces of every item of a set, to which the whole surface was fitted from these beginnings. In
/// f64 on the CPU: most of them have parameters without room, which a kernel would have to be made for.
///
/// # Errors
/// Those of the back end.
pub(super) fn compare(
    settings: &FitSettings,
    set: &CurveSet,
    fits: &[Fit],
    mut beginnings: Vec<(usize, Vec<f64>)>,
) -> Result<Vec<Criterion>> {
    let model = settings.model.curve_model();
    let begin = |fit: &Fit| -> Vec<f64> { model.nonlinear.iter().map(|p| fit.parameters[*p]).collect() };
    let mut without_kappa = set.clone();
    without_kappa.held = vec![Some((EPSILON, 0.0)); fits.len()];
    let mut all: Vec<Vec<Candidate>> = vec![Vec::new(); fits.len()];
    let mut delta_bic = vec![None; fits.len()];
    for (with_kappa, set) in [(false, &without_kappa), (true, set)] {
        for ((name, full), name_with_kappa) in EFFICACIES.into_iter().zip(WITH_KAPPA) {
            let is_whole = with_kappa && !full.contains(&true);
            let found: Vec<(usize, Fit)> = if is_whole {
                fits.iter().copied().enumerate().collect()
            } else {
                let mut settings = settings.clone();
                for (parameter, _) in [SHARE_A, SHARE_B].into_iter().zip(full).filter(|(_, full)| *full) {
                    settings.bounds[parameter] = Bound { lower: 1.0, upper: 1.0 };
                }
                // What is nested must not be worse for want of trying: every beginning, every end of a smaller surface,
                // and the whole one; the descent brings them into the box.
                let mut begins = beginnings.clone();
                begins.extend(fits.iter().enumerate().map(|(item, fit)| (item, begin(fit))));
                begins.sort_by_key(|(item, _)| *item);
                let briefly = FitSettings { max_iterations: HEAT.0, ..settings.clone() };
                let best = heat(&Cpu, &briefly, set, &begins, HEAT.1, Finish::AsItIs)?;
                let begins: Vec<(usize, Vec<f64>)> = best.iter().map(|(item, fit)| (*item, begin(fit))).collect();
                heat(&Cpu, &settings, set, &begins, 1, Finish::Certified)?
            };
            for (item, fit) in found {
                if !is_whole && fit.status.is_fitted() {
                    beginnings.push((item, begin(&fit)));
                }
                let n = (set.offsets[item + 1] - set.offsets[item]) as f64;
                let held = full.iter().filter(|full| **full).count() + usize::from(!with_kappa);
                let parameters = (model.parameters.len() - held) as f64;
                let bic = n * (fit.sse / n).ln() + parameters * n.ln();
                if !fit.status.is_fitted() || !bic.is_finite() {
                    continue;
                }
                let epsilon = if with_kappa { fit.parameters[EPSILON] } else { 0.0 };
                match with_kappa {
                    false if !full.contains(&true) => delta_bic[item] = Some(bic),
                    true if is_whole => delta_bic[item] = delta_bic[item].map(|without| without - bic),
                    _ => {}
                }
                all[item].push((if with_kappa { name_with_kappa } else { name }, bic, 2.0 * epsilon.exp() - 2.0));
            }
        }
    }
    let of = |((mut all, delta_bic), fit): ((Vec<Candidate>, Option<f64>), &Fit)| {
        // The first, which is the smaller one, where equal.
        all.sort_by(|a, b| a.1.total_cmp(&b.1));
        let nested = all.first().and_then(|&(name, bic, kappa)| {
            let next = all.iter().find(|(other, ..)| *other != name)?;
            Some(NestedBraid { name, bic, delta_bic: next.1 - bic, kappa })
        });
        let is_fitted = fit.status.is_fitted();
        Criterion { delta_bic: delta_bic.filter(|_| is_fitted), nested: nested.filter(|_| is_fitted) }
    };
    Ok(all.into_iter().zip(delta_bic).zip(fits).map(of).collect())
}
