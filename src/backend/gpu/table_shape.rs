//! How the tables that fitting kernels read are laid out.

use super::fit_kernel::has_constant;
use crate::fit::scan::Scan;
use crate::model::CurveModel;

/// Floats of a table in front of the parameters' boxes: points, starts, total weight.
pub const HEADER: usize = 3;

/// How the table of a layout is laid out, in floats: [`HEADER`], counts of starts by nonlinear parameter, boxes,
/// points, and the starts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TableShape {
    /// Nonlinear parameters.
    pub nonlinear: usize,
    /// Linear parameters.
    pub linear: usize,
    /// Floats a point: the columns that follow from it, and the square root of its weight.
    pub point: usize,
    /// Orthonormal columns a start that differ between starts, and the constant part where there is one.
    pub width: usize,
    /// The first of the columns that differ: 1 where all starts have the first one in common.
    pub first: usize,
    /// Points, padded.
    pub points: usize,
}

impl TableShape {
    /// Of a model's tables for so many points.
    pub fn new(model: &CurveModel, points: usize) -> Self {
        let separated = &model.separated;
        let constant = has_constant(separated);
        let first = usize::from(separated.shares && !constant);
        Self {
            nonlinear: separated.nonlinear,
            linear: separated.linear,
            point: model.kernel.point_columns() + 1,
            width: separated.linear - first + usize::from(constant),
            first,
            points,
        }
    }

    /// Where the counts of starts are.
    pub fn counts(&self) -> usize {
        HEADER
    }

    /// Where the boxes are: lower then upper ends of the nonlinear, then of the linear parameters.
    pub fn bounds(&self) -> usize {
        self.counts() + self.nonlinear
    }

    /// Where the points are.
    pub fn points_at(&self) -> usize {
        self.bounds() + 2 * (self.nonlinear + self.linear)
    }

    /// Where the starts are.
    pub fn starts_at(&self) -> usize {
        self.points_at() + self.points * self.point
    }

    /// Floats of a start: nonlinear parameters, figures, columns point by point.
    pub fn start(&self) -> usize {
        self.nonlinear + Scan::figures(self.linear) + self.width * self.points
    }

    /// Floats of a table with so many starts.
    pub fn floats(&self, starts: usize) -> usize {
        self.starts_at() + starts * self.start()
    }
}
