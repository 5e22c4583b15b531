//! Two-way median polish (Tukey 1977, Exploratory Data Analysis): a plate as overall + row + column + residual.
//!
//! The polish stops as R's and cellHTS2's does: when the sum of absolute residuals changes by less than [`TOLERANCE`] of
//! itself, or after [`MOST_ITERATIONS`] rounds. `shaders/polish.wgsl` has the same loop.

use super::spread::median;

/// Relative change of the sum of absolute residuals below which the polish has ended.
pub const TOLERANCE: f64 = 1e-5;
/// Rounds at most.
pub const MOST_ITERATIONS: usize = 200;

/// Overall level and effects of a grid.
#[derive(Debug, Clone, PartialEq)]
pub struct Polish {
    /// The level of the plate.
    pub overall: f64,
    /// What each row adds; `None` for a row in which nothing was fitted.
    pub rows: Vec<Option<f64>>,
    /// What each column adds; `None` for a column in which nothing was fitted.
    pub columns: Vec<Option<f64>>,
}

impl Polish {
    /// What the fit says of a place, counted from 0: a row or column in which nothing was fitted adds 0, and of a place
    /// where neither was, nothing is known.
    pub fn at(&self, row: usize, column: usize) -> Option<f64> {
        let (row, column) = (self.rows.get(row).copied().flatten(), self.columns.get(column).copied().flatten());
        (row.is_some() || column.is_some()).then(|| self.overall + row.unwrap_or(0.0) + column.unwrap_or(0.0))
    }
}

/// Polishes the wells given as (row, column, value), rows and columns counted from 0 and below `n_rows`, `n_columns`;
/// others are left aside.
pub fn polish(n_rows: usize, n_columns: usize, wells: &[(usize, usize, f64)]) -> Polish {
    let mut residual: Vec<(usize, usize, f64)> =
        wells.iter().filter(|(r, c, _)| *r < n_rows && *c < n_columns).copied().collect();
    let mut of_row: Vec<Vec<usize>> = vec![Vec::new(); n_rows];
    let mut of_column: Vec<Vec<usize>> = vec![Vec::new(); n_columns];
    for (i, (row, column, _)) in residual.iter().enumerate() {
        of_row[*row].push(i);
        of_column[*column].push(i);
    }
    let present = |members: &[Vec<usize>]| members.iter().map(|m| (!m.is_empty()).then_some(0.0)).collect::<Vec<_>>();
    let (mut overall, mut rows, mut columns) = (0.0, present(&of_row), present(&of_column));
    let mut before = 0.0;
    let mut scratch = Vec::with_capacity(n_rows.max(n_columns));
    for _ in 0..MOST_ITERATIONS {
        sweep(&mut residual, &of_row, &mut rows, &mut scratch);
        overall += centre(&mut columns, &mut scratch);
        sweep(&mut residual, &of_column, &mut columns, &mut scratch);
        overall += centre(&mut rows, &mut scratch);
        let now: f64 = residual.iter().map(|(_, _, value)| value.abs()).sum();
        if now == 0.0 || (now - before).abs() < TOLERANCE * now {
            break;
        }
        before = now;
    }
    Polish { overall, rows, columns }
}

/// Moves the median of each row (or column) out of the residuals and into its effect.
fn sweep(
    residual: &mut [(usize, usize, f64)],
    members: &[Vec<usize>],
    effects: &mut [Option<f64>],
    scratch: &mut Vec<f64>,
) {
    for (members, effect) in members.iter().zip(effects) {
        scratch.clear();
        scratch.extend(members.iter().map(|&i| residual[i].2));
        let (Some(middle), Some(effect)) = (median(scratch), effect) else { continue };
        for &i in members {
            residual[i].2 -= middle;
        }
        *effect += middle;
    }
}

/// Moves the median of the effects out of them.
fn centre(effects: &mut [Option<f64>], scratch: &mut Vec<f64>) -> f64 {
    scratch.clear();
    scratch.extend(effects.iter().flatten());
    let middle = median(scratch).unwrap_or(0.0);
    for effect in effects.iter_mut().flatten() {
        *effect -= middle;
    }
    middle
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_additive_plate_leaves_nothing() {
        let value = |r: usize, c: usize| 100.0 + 5.0 * r as f64 - 2.0 * c as f64;
        let wells: Vec<_> = (0..8).flat_map(|r| (0..12).map(move |c| (r, c, value(r, c)))).collect();
        let polish = polish(8, 12, &wells);
        for (r, c, v) in wells {
            assert!((polish.at(r, c).unwrap() - v).abs() < 1e-12);
        }
    }

    #[test]
    fn one_outlier_stays_where_it_is() {
        let wells: Vec<_> =
            (0..5).flat_map(|r| (0..5).map(move |c| (r, c, if (r, c) == (2, 3) { 50.0 } else { 7.0 }))).collect();
        let polish = polish(5, 5, &wells);
        assert_eq!(polish.at(2, 3), Some(7.0));
        assert_eq!(polish.overall, 7.0);
    }

    #[test]
    fn a_row_without_wells_adds_nothing_and_a_place_without_either_is_unknown() {
        let polish = polish(3, 3, &[(0, 0, 1.0), (0, 1, 3.0), (1, 0, 2.0), (1, 1, 4.0)]);
        assert_eq!(polish.rows[2], None);
        assert_eq!(polish.at(2, 1), Some(polish.overall + polish.columns[1].unwrap()));
        assert_eq!(polish.at(2, 2), None);
    }
}
