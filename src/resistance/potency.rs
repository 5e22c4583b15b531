//! Potencies and what their differences are worth: the arithmetic of every fold change of a dose.

use crate::fit::inference::potency::IC50_MARGIN_DECADES;
use crate::math::special::{FTail, t_quantile};
use crate::screen::dose_matrix::CurvePoint;
use std::f64::consts::LN_10;

/// Probability below the upper end of a 95 % interval.
const UPPER_TAIL: f64 = 0.975;
/// Half a width of an interval beyond which it is none: from femtomolar to molar.
pub(super) const WIDEST_DECADES: f64 = 15.0;
/// Standard error of a median over that of a mean, for normal values.
const MEDIAN_EFFICIENCY: f64 = 1.253_314_137_315_500_3;

/// A dose of half effect or what is known of it; log10 molar.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Potency {
    /// A value.
    Known {
        /// The dose.
        log10: f64,
        /// Its standard error, where the data tell it.
        standard_error: Option<f64>,
        /// Degrees of freedom of the standard error.
        degrees_of_freedom: f64,
    },
    /// Above this dose, the highest tested.
    Above(f64),
    /// Below this dose, the lowest tested.
    Below(f64),
    /// Nothing, and why.
    Unknown(&'static str),
}

/// The difference of two log10 doses, `own - reference`, with its 95 % interval: Student's t with Welch and
/// Satterthwaite's degrees of freedom (Welch 1947, doi 10.1093/biomet/34.1-2.28). Where one of the two lies beyond the
/// doses tested there is no value, and one end of the interval is a bound.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LogRatio {
    /// The difference, log10 of the fold.
    pub log10: Option<f64>,
    /// Its standard error.
    pub standard_error: Option<f64>,
    /// Welch and Satterthwaite's degrees of freedom of the standard error.
    pub degrees_of_freedom: Option<f64>,
    /// Lower end of the 95 % interval; alone, the difference is at least this.
    pub low: Option<f64>,
    /// Upper end of the 95 % interval; alone, the difference is at most this.
    pub high: Option<f64>,
    /// Why something is missing: `ic50_above_range`, `ic50_below_range`, `reference_ic50_above_range`,
    /// `reference_ic50_below_range`, `both_ic50_out_of_range`, `no_standard_error`, or the cause that a potency has.
    pub reason: Option<&'static str>,
}

impl Potency {
    /// The value, where there is one.
    pub fn log10(self) -> Option<f64> {
        match self {
            Potency::Known { log10, .. } => Some(log10),
            _ => None,
        }
    }

    /// Its standard error.
    pub fn standard_error(self) -> Option<f64> {
        match self {
            Potency::Known { standard_error, .. } => standard_error,
            _ => None,
        }
    }

    /// The 95 % interval; an end beyond the doses tested is the bound that they are.
    pub fn interval(self) -> [Option<f64>; 2] {
        match self {
            // Ends further away than concentrations are from each other say nothing.
            Potency::Known { log10, .. } => {
                match spread(&[self]).filter(|spread| spread.half_width <= WIDEST_DECADES) {
                    Some(spread) => [Some(log10 - spread.half_width), Some(log10 + spread.half_width)],
                    None => [None; 2],
                }
            }
            Potency::Above(bound) => [Some(bound), None],
            Potency::Below(bound) => [None, Some(bound)],
            Potency::Unknown(_) => [None; 2],
        }
    }

    /// Why there is no value, or no interval.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Potency::Known { standard_error: Some(_), .. } => None,
            Potency::Known { standard_error: None, .. } => Some("no_standard_error"),
            Potency::Above(_) => Some("ic50_above_range"),
            Potency::Below(_) => Some("ic50_below_range"),
            Potency::Unknown(reason) => Some(reason),
        }
    }

    /// This potency, or only that it lies beyond the doses tested: a value beyond them whose interval is wider than the
    /// half decade by which values may lie outside is the model's guess, and where the wells at the last dose are by
    /// themselves on the other side of `level` (by more than the 97.5 % quantile of Student's t times their error), what the
    /// data say is a bound. `points` ascend by dose; `sigma` is the standard deviation of a well of weight 1.
    pub fn or_bound(self, points: &[CurvePoint], level: f64, sigma: f64) -> Self {
        let Potency::Known { log10, degrees_of_freedom, .. } = self else { return self };
        let is_vague = spread(&[self]).is_none_or(|spread| spread.half_width > IC50_MARGIN_DECADES);
        let (Some(t), true) = (t_quantile(UPPER_TAIL, degrees_of_freedom), is_vague) else { return self };
        let beyond = |point: &CurvePoint| (point.response - level) * point.weight.sqrt() / sigma;
        let at = |point: &CurvePoint| libm::log(point.dose) / LN_10;
        let mut doses = points.iter().filter(|p| p.dose > 0.0);
        let (first, last) = (doses.clone().next(), doses.next_back());
        match (first, last) {
            (_, Some(last)) if log10 > at(last) && beyond(last) > t => Potency::Above(at(last)),
            (Some(first), _) if log10 < at(first) && beyond(first) < -t => Potency::Below(at(first)),
            _ => self,
        }
    }

    /// This potency against another: the log10 of the fold by which the dose is higher.
    pub fn minus(self, reference: Potency) -> LogRatio {
        use Potency::{Above, Below, Known, Unknown};
        // The half width of a one-sided statement is that of the side whose value is known.
        let width = |terms: &[Potency]| spread(terms).map(|spread| spread.half_width);
        let at_least = |bound: Option<f64>, reason| LogRatio { low: bound, reason: Some(reason), ..Default::default() };
        let at_most = |bound: Option<f64>, reason| LogRatio { high: bound, reason: Some(reason), ..Default::default() };
        let none = |reason| LogRatio { reason: Some(reason), ..Default::default() };
        match (self, reference) {
            (Unknown(reason), _) | (_, Unknown(reason)) => none(reason),
            (Known { log10: a, .. }, Known { log10: b, .. }) => match spread(&[self, reference]) {
                Some(Spread { standard_error, degrees_of_freedom, half_width }) => LogRatio {
                    log10: Some(a - b),
                    standard_error: Some(standard_error),
                    degrees_of_freedom: Some(degrees_of_freedom).filter(|d| d.is_finite()),
                    low: Some(a - b - half_width),
                    high: Some(a - b + half_width),
                    reason: None,
                },
                None => LogRatio { log10: Some(a - b), ..none("no_standard_error") },
            },
            (Above(a), Known { log10: b, .. }) => {
                at_least(width(&[reference]).map(|width| a - b - width), "ic50_above_range")
            }
            (Below(a), Known { log10: b, .. }) => {
                at_most(width(&[reference]).map(|width| a - b + width), "ic50_below_range")
            }
            (Known { log10: a, .. }, Above(b)) => {
                at_most(width(&[self]).map(|width| a - b + width), "reference_ic50_above_range")
            }
            (Known { log10: a, .. }, Below(b)) => {
                at_least(width(&[self]).map(|width| a - b - width), "reference_ic50_below_range")
            }
            (Above(a), Below(b)) => at_least(Some(a - b), "ic50_above_range"),
            (Below(a), Above(b)) => at_most(Some(a - b), "ic50_below_range"),
            (Above(_), Above(_)) | (Below(_), Below(_)) => none("both_ic50_out_of_range"),
        }
    }
}

impl LogRatio {
    /// Two-sided p of a difference of 0; `None` without a standard error.
    pub fn p(&self) -> Option<f64> {
        self.tails(0.0).map(|(both, _)| both)
    }

    /// P(T > t) for the test that the difference exceeds `limit`: small where it does. `None` without a standard error.
    pub fn upper_tail(&self, limit: f64) -> Option<f64> {
        self.tails(limit).map(|(both, is_above)| if is_above { 0.5 * both } else { 1.0 - 0.5 * both })
    }

    /// P(T < t) for the test that the difference stays below `limit`: small where it does.
    pub fn lower_tail(&self, limit: f64) -> Option<f64> {
        // Not 1 less the upper tail, which would round a small probability away.
        self.tails(limit).map(|(both, is_above)| if is_above { 1.0 - 0.5 * both } else { 0.5 * both })
    }

    /// Both tails of the distance from `limit`, and whether the difference is above it.
    fn tails(&self, limit: f64) -> Option<(f64, bool)> {
        let (distance, error) = (self.log10? - limit, self.standard_error.filter(|error| *error > 0.0)?);
        let t = distance / error;
        Some((FTail::new(1.0, self.degrees_of_freedom?)?.probability_above(t * t), t > 0.0))
    }

    /// The fold, its lower and its upper end, as multiples; no end that is further away than concentrations are from each
    /// other: [`LogRatio::fold_reason`] says where one is left out.
    pub fn fold(&self) -> [Option<f64>; 3] {
        [self.log10, self.low, self.high].map(|log10| log10.filter(is_told).map(libm::exp10))
    }

    /// Why [`LogRatio::fold`] lacks something: [`LogRatio::reason`], or `unidentified` where the data leave the fold or an
    /// end of its interval further away than concentrations are from each other.
    pub fn fold_reason(&self) -> Option<&'static str> {
        let all_told = [self.log10, self.low, self.high].iter().flatten().all(is_told);
        self.reason.or((!all_told).then_some("unidentified"))
    }

    /// The other way round: the reference against what was compared with it.
    pub fn inverse(self) -> Self {
        let minus = |x: Option<f64>| x.map(|x| -x);
        Self { log10: minus(self.log10), low: minus(self.high), high: minus(self.low), ..self }
    }
}

/// Whether a fold is one that concentrations can have.
fn is_told(log10: &f64) -> bool {
    log10.abs() <= WIDEST_DECADES
}

/// How far a sum or difference of independent estimates may be off.
#[derive(Debug, Clone, Copy)]
pub(super) struct Spread {
    pub standard_error: f64,
    /// Infinite where every term is exact.
    pub degrees_of_freedom: f64,
    /// Half the 95 % interval.
    pub half_width: f64,
}

/// `None` unless each term has a standard error.
pub(super) fn spread(terms: &[Potency]) -> Option<Spread> {
    let (mut variance, mut denominator) = (0.0, 0.0);
    for term in terms {
        let Potency::Known { standard_error: Some(error), degrees_of_freedom, .. } = *term else { return None };
        let own = error * error;
        if own > 0.0 {
            denominator += own * own / degrees_of_freedom;
        }
        variance += own;
    }
    if variance == 0.0 {
        return Some(Spread { standard_error: 0.0, degrees_of_freedom: f64::INFINITY, half_width: 0.0 });
    }
    let degrees_of_freedom = variance * variance / denominator;
    let half_width = t_quantile(UPPER_TAIL, degrees_of_freedom)? * variance.sqrt();
    half_width.is_finite().then_some(Spread { standard_error: variance.sqrt(), degrees_of_freedom, half_width })
}

/// The median of a panel. Censored IC50s take their place beyond all others; only a finite median is a reference. Its
/// standard error is 1.2533 s / sqrt(n).
pub fn median(panel: &[Potency]) -> Potency {
    let mut values: Vec<f64> = panel
        .iter()
        .filter_map(|p| match p {
            Potency::Known { log10, .. } => Some(*log10),
            Potency::Above(_) => Some(f64::INFINITY),
            Potency::Below(_) => Some(f64::NEG_INFINITY),
            Potency::Unknown(_) => None,
        })
        .collect();
    values.sort_by(f64::total_cmp);
    let n = values.len();
    if n == 0 {
        return Potency::Unknown("no_reference");
    }
    let (low, high) = (values[(n - 1) / 2], values[n / 2]);
    if !low.is_finite() || !high.is_finite() {
        return Potency::Unknown("reference_ic50_censored");
    }
    let log10 = 0.5 * (low + high);
    if n == 1 {
        let known = panel.iter().find(|p| matches!(p, Potency::Known { .. }));
        return known.copied().unwrap_or(Potency::Unknown("no_reference"));
    }
    let known: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
    let count = known.len() as f64;
    let mean = known.iter().sum::<f64>() / count;
    let deviation = (known.iter().map(|v| (v - mean) * (v - mean)).sum::<f64>() / (count - 1.0)).sqrt();
    // One or two finite values have no spread worth the name: an interval from them would span the world.
    let standard_error = (known.len() > 2).then(|| MEDIAN_EFFICIENCY * deviation / (n as f64).sqrt());
    Potency::Known { log10, standard_error, degrees_of_freedom: count - 1.0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(log10: f64, standard_error: f64, degrees_of_freedom: f64) -> Potency {
        Potency::Known { log10, standard_error: Some(standard_error), degrees_of_freedom }
    }

    #[test]
    fn differences_by_hand() {
        // Errors 0.03 and 0.04 with 10 degrees of freedom each: 0.05, and 0.05^4 / ((0.03^4 + 0.04^4) / 10) = 18.5460.
        let ratio = known(-6.0, 0.03, 10.0).minus(known(-7.0, 0.04, 10.0));
        assert_eq!(ratio.log10, Some(1.0));
        assert!(ratio.standard_error.is_some_and(|e| (e - 0.05).abs() < 1e-12));
        assert!(ratio.degrees_of_freedom.is_some_and(|d| (d - 18.545_994).abs() < 1e-5), "{ratio:?}");
        // t of 0.975 lies between those for 18 (2.1009) and 19 (2.0930) degrees of freedom.
        let half = ratio.high.expect("high") - 1.0;
        assert!(half > 2.0930 * 0.05 && half < 2.1009 * 0.05, "{half}");
        // Both tails of t = 2 with 10 degrees of freedom: 0.0734 (tables); its upper tail is half of that.
        let two = LogRatio {
            log10: Some(0.2),
            standard_error: Some(0.1),
            degrees_of_freedom: Some(10.0),
            ..LogRatio::default()
        };
        assert!(two.p().is_some_and(|p| (p - 0.073_388).abs() < 1e-5), "{:?}", two.p());
        assert!(two.upper_tail(0.0).is_some_and(|p| (p - 0.036_694).abs() < 1e-5));
        assert!(two.upper_tail(0.4).is_some_and(|p| (p - 0.963_306).abs() < 1e-5), "below the limit");
        assert_eq!(two.inverse().p(), two.p());
        assert_eq!(two.inverse().lower_tail(0.0), two.upper_tail(0.0));
        let far = LogRatio { log10: Some(-20.0), degrees_of_freedom: Some(50.0), ..two };
        assert!(far.p().is_some_and(|p| p > 0.0 && p < 1e-60), "{:?}", far.p());
    }

    #[test]
    fn a_fold_that_lacks_an_end_says_why() {
        // t of 8 degrees of freedom is 2.306: errors of 6 and 7 decades leave ends some 13.8 and 16.1 away.
        let parent = known(-7.0, 0.0, 8.0);
        let (told, vague) = (known(-7.0, 6.0, 8.0).minus(parent), known(-7.0, 7.0, 8.0).minus(parent));
        assert!(told.fold().iter().all(Option::is_some) && told.fold_reason().is_none(), "{told:?}");
        assert_eq!((vague.fold(), vague.fold_reason()), ([Some(1.0), None, None], Some("unidentified")));
        // One end alone.
        let lopsided = known(-5.0, 6.0, 8.0).minus(parent);
        assert!(lopsided.fold()[1].is_some() && lopsided.fold()[2].is_none(), "{lopsided:?}");
        assert_eq!(lopsided.fold_reason(), Some("unidentified"));
        // What has a reason of its own keeps it.
        let bound = Potency::Above(-5.0).minus(known(-7.0, 10.0, 8.0));
        assert_eq!((bound.fold(), bound.fold_reason()), ([None; 3], Some("ic50_above_range")));
    }

    #[test]
    fn a_guess_beyond_the_doses_is_a_bound_where_the_wells_say_so() {
        let point = |dose: f64, response: f64| CurvePoint { dose, response, weight: 3.0, n: 3, sum_of_squares: 0.0 };
        let curve = |last: f64| [point(0.0, 1.0), point(1e-8, 0.98), point(1e-7, 0.9), point(1e-6, last)];
        let guess = known(-5.7, 40.0, 8.0);
        // 0.8 is 0.3 above one half, at an error of 0.05 / sqrt(3); 0.53 is not far enough (t of 8: 2.306).
        let above = |bound: f64| matches!(guess.or_bound(&curve(0.8), 0.5, 0.05), Potency::Above(at) if (at - bound).abs() < 1e-9);
        assert!(above(-6.0) && !above(-7.0));
        assert_eq!(guess.or_bound(&curve(0.53), 0.5, 0.05), guess);
        assert_eq!(guess.or_bound(&curve(0.8), 0.5, 0.5), guess, "noise");
        // What is known well enough, or lies within the doses, stays.
        assert_eq!(known(-5.7, 0.1, 8.0).or_bound(&curve(0.8), 0.5, 0.05), known(-5.7, 0.1, 8.0));
        assert_eq!(known(-6.5, 40.0, 8.0).or_bound(&curve(0.8), 0.5, 0.05), known(-6.5, 40.0, 8.0));
        let bare = Potency::Known { log10: -8.3, standard_error: None, degrees_of_freedom: 8.0 };
        let low = [point(1e-8, 0.2), point(1e-7, 0.1)];
        assert!(matches!(bare.or_bound(&low, 0.5, 0.05), Potency::Below(at) if (at + 8.0).abs() < 1e-9));
    }

    #[test]
    fn a_censored_side_leaves_a_bound_on_the_right_side() {
        let own = known(-7.0, 0.1, 8.0);
        for (ratio, low, high) in [
            (Potency::Above(-5.0).minus(own), true, false),
            (Potency::Below(-9.0).minus(own), false, true),
            (own.minus(Potency::Above(-5.0)), false, true),
            (own.minus(Potency::Below(-9.0)), true, false),
            (Potency::Above(-5.0).minus(Potency::Below(-9.0)), true, false),
            (Potency::Above(-5.0).minus(Potency::Above(-5.0)), false, false),
            (Potency::Unknown("x").minus(own), false, false),
        ] {
            assert_eq!((ratio.low.is_some(), ratio.high.is_some()), (low, high), "{ratio:?}");
            assert!(ratio.log10.is_none() && ratio.p().is_none() && ratio.reason.is_some(), "{ratio:?}");
            assert_eq!((ratio.inverse().low.is_some(), ratio.inverse().high.is_some()), (high, low), "turned round");
        }
        // At least 2 decades less what the known side may be off (t of 8 degrees of freedom: 2.306).
        let bound = Potency::Above(-5.0).minus(own).low.expect("a bound");
        assert!((bound - (2.0 - 0.2306)).abs() < 1e-4, "{bound}");
        let bare = Potency::Known { log10: -6.0, standard_error: None, degrees_of_freedom: 0.0 };
        assert_eq!(bare.minus(own).reason, Some("no_standard_error"));
    }
}
