//! Terms of a formula that can change places, as the exponentials of `a exp(-b x) + c exp(-d x)` can: two sets of
//! parameters are then one curve, and the starts say which of them is meant.

use super::curve_model::{POINT_INPUTS, Parameter, Starts};
use crate::math::program::Program;

/// Where a formula is tried: ln dose, dose, second variable.
const POINTS: [[f64; POINT_INPUTS]; 4] = [[-1.1, 0.33, 0.71], [0.45, 1.57, 2.9], [1.3, 3.67, 1.37], [2.2, 9.03, 4.3]];
/// Sums in another order differ by rounding.
const ROUNDING: f64 = 1e-12;

/// The exchanges (pairs of parameters that trade values) that leave the response as it is, found by trying: any one or two
/// pairs, and more where the terms' parameters stand together and in one order.
pub fn exchanges(value: &Program, parameters: &[Parameter]) -> Vec<Vec<(usize, usize)>> {
    let n = parameters.len();
    let trial = |k: usize| 0.37 + 0.61 * k as f64 / n as f64 + 0.05 * ((k * k) as f64).sin();
    let response = |point: &[f64; POINT_INPUTS], values: &[f64]| {
        let inputs: Vec<f64> = point.iter().chain(values).copied().collect();
        value.evaluate(&inputs[..value.inputs]).first().copied().unwrap_or(f64::NAN)
    };
    let values: Vec<f64> = (0..n).map(trial).collect();
    // What has no influence there could be traded for anything.
    let acts = |parameter: usize| {
        let mut moved = values.clone();
        moved[parameter] *= 1.1;
        POINTS.iter().any(|point| {
            let (before, after) = (response(point, &values), response(point, &moved));
            (before - after).abs() > 1e-6 * before.abs()
        })
    };
    let is_exchange = |pairs: &[(usize, usize)]| {
        let mut traded = values.clone();
        pairs.iter().for_each(|&(a, b)| traded.swap(a, b));
        pairs.iter().all(|&(a, b)| parameters[a].axis == parameters[b].axis && acts(a) && acts(b))
            && POINTS.iter().all(|point| {
                let (before, after) = (response(point, &values), response(point, &traded));
                (before - after).abs() <= ROUNDING * before.abs()
            })
    };
    let pairs: Vec<(usize, usize)> = (0..n).flat_map(|b| (0..b).map(move |a| (a, b))).collect();
    let mut sets: Vec<Vec<(usize, usize)>> = pairs.iter().map(|pair| vec![*pair]).collect();
    for (at, &(a, b)) in pairs.iter().enumerate() {
        let apart = pairs[..at].iter().filter(|(c, d)| ![a, b].contains(c) && ![a, b].contains(d));
        sets.extend(apart.map(|other| vec![*other, (a, b)]));
    }
    for size in 3..=n / 2 {
        for first in 0..=n - 2 * size {
            sets.extend((first + size..=n - size).map(|second| (0..size).map(|k| (first + k, second + k)).collect()));
        }
    }
    sets.retain(|set| is_exchange(set));
    sets
}

/// Puts `values` in the order of the starts, by exchanges that leave each parameter a value that it `may_have`: what
/// starts lower ends lower. The `nonlinear` parameters decide; those that the response is linear in have no starts.
pub fn in_order_of_starts(
    exchanges: &[Vec<(usize, usize)>],
    parameters: &[Parameter],
    nonlinear: &[usize],
    values: &mut [f64],
    may_have: impl Fn(usize, f64) -> bool,
) {
    let start = |p: usize| match parameters[p].starts {
        Starts::Values([start]) if nonlinear.contains(&p) => Some(*start),
        _ => None,
    };
    // The first pair of an exchange whose starts differ says whether it is due.
    let is_due = |pairs: &[(usize, usize)], values: &[f64]| {
        let mut differences = pairs.iter().filter_map(|&(a, b)| Some((start(a)? - start(b)?, values[a] - values[b])));
        differences.find(|(starts, _)| *starts != 0.0).is_some_and(|(starts, ends)| starts * ends < 0.0)
            && pairs.iter().all(|&(a, b)| may_have(a, values[b]) && may_have(b, values[a]))
    };
    // Sorting by exchanges needs no more of them than there are pairs.
    for _ in 0..parameters.len() * parameters.len() {
        let Some(due) = exchanges.iter().find(|pairs| is_due(pairs, values)) else { return };
        due.iter().for_each(|&(a, b)| values.swap(a, b));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fit::Bound;
    use crate::math::Scalar;
    use crate::model::curve_model::Axis;

    fn parameters(starts: [&'static [f64]; 5]) -> Vec<Parameter> {
        let bound = Bound { lower: -10.0, upper: 10.0 };
        starts
            .map(|start| Parameter { name: "p", unit: "", bound, axis: Axis::Plain, starts: Starts::Values(start) })
            .to_vec()
    }

    #[test]
    fn terms_that_can_change_places_are_found_and_ordered_by_their_starts() {
        let value = Program::record(POINT_INPUTS + 5, |v| {
            let [_, x, _, a, b, c, d, e] = std::array::from_fn(|i| v[i]);
            vec![a * (-(b * x)).exp() + c * (-(d * x)).exp() + e]
        });
        let parameters = parameters([&[2.0], &[3.0], &[1.0], &[0.5], &[0.0]]);
        let found = exchanges(&value, &parameters);
        assert_eq!(found, [vec![(0, 2), (1, 3)]]);
        let mut values = [2.1, 0.4, 0.9, 3.3, 0.1];
        in_order_of_starts(&found, &parameters, &[1, 3], &mut values, |_, _| true);
        assert_eq!(values, [0.9, 3.3, 2.1, 0.4, 0.1]);
        in_order_of_starts(&found, &parameters, &[1, 3], &mut values, |_, _| true);
        assert_eq!(values, [0.9, 3.3, 2.1, 0.4, 0.1], "they stay there");
        let mut values = [2.1, 0.4, 0.9, 3.3, 0.1];
        in_order_of_starts(&found, &parameters, &[1, 3], &mut values, |p, v| p != 1 || v < 3.0);
        assert_eq!(values, [2.1, 0.4, 0.9, 3.3, 0.1], "unless a value would leave its box");
    }

    #[test]
    fn a_formula_whose_terms_differ_has_no_exchange() {
        let value = Program::record(POINT_INPUTS + 5, |v| {
            let [_, x, _, a, b, c, d, e] = std::array::from_fn(|i| v[i]);
            vec![a * (-(b * x)).exp() + c * (d * x).exp() + e]
        });
        assert!(exchanges(&value, &parameters([&[1.0]; 5])).is_empty());
    }
}
