//! How alike two orders are.

/// Rank correlation of the pairs that two rankings share; `None` for fewer than two of them.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct RankCorrelation {
    /// How many they share.
    pub n: usize,
    /// Spearman's rho: Pearson's correlation of the places (Spearman 1904, doi 10.2307/1412159).
    pub spearman: Option<f64>,
    /// Kendall's tau: pairs of places in the same order less those in reverse, as a share of all (Kendall 1938,
    /// doi 10.1093/biomet/30.1-2.81). Places are distinct, so there are no ties.
    pub kendall: Option<f64>,
}

impl RankCorrelation {
    /// Of places before and after; each counted anew among those given.
    pub fn of(ranks: &[[usize; 2]]) -> Self {
        let n = ranks.len();
        if n < 2 {
            return Self { n, spearman: None, kendall: None };
        }
        let places = |side: usize| {
            let mut order: Vec<usize> = (0..n).collect();
            order.sort_by_key(|i| ranks[*i][side]);
            let mut places = vec![0; n];
            order.into_iter().enumerate().for_each(|(place, i)| places[i] = place);
            places
        };
        let (before, after) = (places(0), places(1));
        let squares: f64 =
            before.iter().zip(&after).map(|(a, b)| (*a as f64 - *b as f64) * (*a as f64 - *b as f64)).sum();
        let size = n as f64;
        let mut later = vec![0; n];
        before.iter().zip(&after).for_each(|(a, b)| later[*a] = *b);
        let reversed = inversions(&mut later) as f64;
        Self {
            n,
            spearman: Some(1.0 - 6.0 * squares / (size * (size * size - 1.0))),
            kendall: Some(1.0 - 4.0 * reversed / (size * (size - 1.0))),
        }
    }
}

/// Sorts, and counts the pairs that stood in reverse order.
fn inversions(values: &mut [usize]) -> u64 {
    let n = values.len();
    if n < 2 {
        return 0;
    }
    let (left, right) = values.split_at_mut(n / 2);
    let mut count = inversions(left) + inversions(right);
    let mut merged = Vec::with_capacity(n);
    let (mut i, mut j) = (0, 0);
    while i < left.len() || j < right.len() {
        if j == right.len() || (i < left.len() && left[i] <= right[j]) {
            merged.push(left[i]);
            i += 1;
        } else {
            count += (left.len() - i) as u64;
            merged.push(right[j]);
            j += 1;
        }
    }
    values.copy_from_slice(&merged);
    count
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_agree_with_worked_examples() {
        let of = |after: &[usize]| {
            RankCorrelation::of(&after.iter().enumerate().map(|(i, b)| [10 * i, *b]).collect::<Vec<_>>())
        };
        assert_eq!(of(&[1, 2, 3, 4]), RankCorrelation { n: 4, spearman: Some(1.0), kendall: Some(1.0) });
        assert_eq!(of(&[4, 3, 2, 1]), RankCorrelation { n: 4, spearman: Some(-1.0), kendall: Some(-1.0) });
        // Squares of differences 1, 1, 4, 1, 1: rho = 1 - 6 * 8 / 120 = 0.6.
        let mixed = of(&[2, 1, 5, 3, 4].map(|x| x * 7));
        assert_eq!(mixed.spearman, Some(0.6));
        // Of ten pairs three stand in reverse: (2,1), (5,3), (5,4).
        assert_eq!(mixed.kendall, Some(0.4));
        assert_eq!(of(&[1]).spearman, None);
    }
}
