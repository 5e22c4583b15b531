//! The design of a dose matrix: which dose pairs were combined, on which levels, and along which slices. It is worked
//! out once; the data and every draw of the bootstrap are then only other responses laid over it.

use crate::screen::dose_matrix::{CurvePoint, DoseMatrix};

/// One dose pair with both doses above zero.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Combination {
    /// Its cell in [`DoseMatrix::cells`].
    pub cell: usize,
    /// Natural logs of the two molar doses.
    pub ln_dose: [f64; 2],
    /// Index of each dose among [`Design::levels`].
    pub level: [usize; 2],
    /// The point of each margin that was measured at the very same dose.
    pub alone: [Option<usize>; 2],
    /// Sum of the wells' weights.
    pub weight: f64,
}

/// One margin as it is fitted.
#[derive(Debug, Clone, PartialEq)]
pub struct MarginDesign {
    /// Natural log of each molar dose, negative infinity for the untreated point.
    pub ln_dose: Vec<f64>,
    /// Weight of each point.
    pub weight: Vec<f64>,
    /// Distinct doses above zero.
    pub doses: usize,
    /// Whether the untreated point was not measured but is 1 by the definition of viability; it comes first.
    pub untreated_assumed: bool,
}

/// What of a matrix does not depend on the responses.
#[derive(Debug, Clone, PartialEq)]
pub struct Design<'m> {
    /// The matrix.
    pub matrix: &'m DoseMatrix,
    /// Every dose pair with both doses above zero, ascending.
    pub combinations: Vec<Combination>,
    /// Molar dose levels of the two drugs among the combinations, ascending.
    pub levels: [Vec<f64>; 2],
    /// The margins.
    pub margins: [MarginDesign; 2],
    /// `slices[k][j]`: combinations along drug `k` (ascending in its dose) at level `j` of the other drug.
    pub slices: [Vec<Vec<usize>>; 2],
}

/// Responses laid over a design.
#[derive(Debug, Clone, PartialEq)]
pub struct Responses {
    /// One for each of [`Design::combinations`].
    pub combinations: Vec<f64>,
    /// One for each point of the margins, an assumed untreated point included.
    pub margins: [Vec<f64>; 2],
}

impl<'m> Design<'m> {
    /// Works out the design of a matrix.
    pub fn new(matrix: &'m DoseMatrix) -> Self {
        let active = |cell: &&crate::screen::dose_matrix::Cell| cell.dose_a > 0.0 && cell.dose_b > 0.0;
        let levels_of = |dose: fn(&crate::screen::dose_matrix::Cell) -> f64| {
            let mut levels: Vec<f64> = matrix.cells.iter().filter(active).map(dose).collect();
            levels.sort_by(f64::total_cmp);
            levels.dedup();
            levels
        };
        let levels = [levels_of(|cell| cell.dose_a), levels_of(|cell| cell.dose_b)];
        let margin_points = [&matrix.margin_a, &matrix.margin_b];
        let combinations: Vec<Combination> = matrix
            .cells
            .iter()
            .enumerate()
            .filter(|(_, cell)| active(cell))
            .map(|(index, cell)| {
                let dose = [cell.dose_a, cell.dose_b];
                Combination {
                    cell: index,
                    ln_dose: dose.map(libm::log),
                    level: [0, 1].map(|k| levels[k].partition_point(|level| *level < dose[k])),
                    alone: [0, 1].map(|k| margin_points[k].iter().position(|point| point.dose == dose[k])),
                    weight: cell.weight,
                }
            })
            .collect();
        let slices = [0, 1].map(|along| {
            let other = 1 - along;
            let mut slices = vec![Vec::new(); levels[other].len()];
            for (i, combination) in combinations.iter().enumerate() {
                slices[combination.level[other]].push(i);
            }
            for slice in &mut slices {
                slice.sort_by_key(|&i| combinations[i].level[along]);
            }
            slices
        });
        Self { matrix, combinations, levels, margins: margin_points.map(|points| MarginDesign::new(points)), slices }
    }

    /// The measured responses.
    pub fn observed(&self) -> Responses {
        let cells = &self.matrix.cells;
        let margin = |k: usize, points: &[CurvePoint]| -> Vec<f64> {
            let assumed = self.margins[k].untreated_assumed.then_some(1.0);
            assumed.into_iter().chain(points.iter().map(|point| point.response)).collect()
        };
        Responses {
            combinations: self.combinations.iter().map(|c| cells[c.cell].response).collect(),
            margins: [margin(0, &self.matrix.margin_a), margin(1, &self.matrix.margin_b)],
        }
    }

    /// The measured or drawn response of drug `k` alone at the dose of a combination.
    pub fn alone(&self, responses: &Responses, combination: &Combination, k: usize) -> Option<f64> {
        let point = combination.alone[k]? + usize::from(self.margins[k].untreated_assumed);
        responses.margins[k].get(point).copied()
    }

    /// Wells with both drugs.
    pub fn combination_wells(&self) -> usize {
        self.combinations.iter().map(|c| self.matrix.cells[c.cell].n as usize).sum()
    }

    /// The 3 × 3 windows of neighbouring levels all of whose dose pairs were measured, ascending by their centres;
    /// each as its nine combinations, row by row, the centre fifth.
    pub fn windows(&self) -> Vec<[usize; 9]> {
        let (rows, columns) = (self.levels[0].len(), self.levels[1].len());
        let mut at = vec![usize::MAX; rows * columns];
        for (i, combination) in self.combinations.iter().enumerate() {
            at[combination.level[0] * columns + combination.level[1]] = i;
        }
        let centres = (1..rows.saturating_sub(1)).flat_map(|r| (1..columns.saturating_sub(1)).map(move |c| (r, c)));
        centres
            .map(|(r, c)| std::array::from_fn(|i| at[(r + i / 3 - 1) * columns + c + i % 3 - 1]))
            .filter(|window: &[usize; 9]| window.iter().all(|&i| i != usize::MAX))
            .collect()
    }
}

/// Combinations, by number, in groups of one ratio of doses: those whose natural-log ratios lie within `same` of the
/// group's lowest; ascending by ratio.
pub(super) fn by_ratio(ln_ratios: &[f64], same: f64) -> Vec<Vec<usize>> {
    let mut order: Vec<usize> = (0..ln_ratios.len()).collect();
    order.sort_by(|&i, &j| ln_ratios[i].total_cmp(&ln_ratios[j]).then(i.cmp(&j)));
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for i in order {
        match groups.last_mut() {
            Some(group) if ln_ratios[i] - ln_ratios[group[0]] < same => group.push(i),
            _ => groups.push(vec![i]),
        }
    }
    groups
}

impl MarginDesign {
    fn new(points: &[CurvePoint]) -> Self {
        let doses = points.iter().filter(|point| point.dose > 0.0).count();
        // Without an untreated point a curve that is at its bottom from the lowest dose has no top at all. The
        // responses are shares of the untreated by definition, so the point is known: 1, as sure as the others.
        let untreated_assumed = doses > 0 && doses == points.len();
        let mut ln_dose = Vec::with_capacity(points.len() + 1);
        let mut weight = Vec::with_capacity(points.len() + 1);
        if untreated_assumed {
            ln_dose.push(f64::NEG_INFINITY);
            weight.push(points.iter().map(|point| point.weight).sum::<f64>() / points.len() as f64);
        }
        for point in points {
            ln_dose.push(if point.dose > 0.0 { libm::log(point.dose) } else { f64::NEG_INFINITY });
            weight.push(point.weight);
        }
        Self { ln_dose, weight, doses, untreated_assumed }
    }
}
