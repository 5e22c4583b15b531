//! Dose-response and surface models: one generic function each, from which every back end is made.

pub mod curve_model;
pub mod formula;
pub mod hill;
pub mod surface;

pub use curve_model::{Axis, CurveModel, Parameter, Starts};

use crate::fit::Bound;
use crate::math::Scalar;
use std::sync::LazyLock;

/// Stands for the natural log of dose zero in models that level off: far enough below every dose for any slope.
pub const LN_DOSE_ZERO: f64 = -1e6;

/// A dose-response model with `N` parameters, as a built-in model is written. `ln_dose` is the natural log of the
/// dose, in molar or measured from any other dose: parameters on that axis are measured from the same.
pub trait Model<const N: usize> {
    /// The name used in flags and tables.
    const NAME: &'static str;
    /// The formula as people write it, and its reference.
    const FORMULA: &'static str;
    /// Parameters in order.
    const PARAMETERS: [Parameter; N];
    /// The parameter that is the response at dose zero.
    const BASELINE: Option<usize>;
    /// Whether the response levels off towards dose zero, so that untreated wells can be part of the curve.
    const LEVELS_OFF: bool = true;

    /// The response at a dose above zero.
    fn response<S: Scalar>(ln_dose: S, parameters: [S; N]) -> S;
    /// The response at dose zero.
    #[inline(always)]
    fn untreated<S: Scalar>(parameters: [S; N]) -> S {
        Self::response(S::lit(LN_DOSE_ZERO), parameters)
    }
}

macro_rules! models {
    ($($(#[$doc:meta])* $id:ident => $model:ty, $n:literal;)+) => {
        /// A curve model: a built-in one, or a formula that was read.
        #[derive(Debug, Clone, Copy)]
        pub enum ModelId {
            $($(#[$doc])* $id,)+
            /// A model from a file.
            Formula(&'static CurveModel),
        }

        impl ModelId {
            /// Every built-in model: the one list that flags, documents, tests and benches walk.
            pub const ALL: &'static [ModelId] = &[$(ModelId::$id,)+];

            /// The model itself.
            pub fn curve_model(self) -> &'static CurveModel {
                match self {
                    $(ModelId::$id => {
                        static MODEL: LazyLock<CurveModel> = LazyLock::new(CurveModel::built_in::<$model, $n>);
                        &MODEL
                    })+
                    ModelId::Formula(model) => model,
                }
            }
        }
    };
}

models! {
    /// Four-parameter log-logistic.
    Hill4 => hill::Hill4, 4;
    /// Three-parameter log-logistic: the untreated response is 1.
    Hill3 => hill::Hill3, 3;
}

impl PartialEq for ModelId {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.curve_model(), other.curve_model())
    }
}

impl Eq for ModelId {}

impl ModelId {
    /// The built-in model with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|m| m.name().eq_ignore_ascii_case(text.trim()))
    }

    /// The name used in flags and tables.
    pub fn name(self) -> &'static str {
        self.curve_model().name
    }

    /// The formula as people write it, and its reference.
    pub fn formula(self) -> &'static str {
        self.curve_model().formula
    }

    /// Parameter names, in order.
    pub fn parameters(self) -> &'static [&'static str] {
        &self.curve_model().names
    }

    /// Default boxes, in the order of the parameters.
    pub fn bounds(self) -> &'static [Bound] {
        &self.curve_model().bounds
    }

    /// The first parameter on the ln-dose axis.
    pub fn location(self) -> Option<usize> {
        self.curve_model().location
    }

    /// Name, formula, parameters with their boxes, reference: for people.
    pub fn describe(self) -> String {
        let mut text = format!("{}\n  {}\n", self.name(), self.formula());
        let decades = std::f64::consts::LN_10;
        for Parameter { name, unit, bound, axis, .. } in &self.curve_model().parameters {
            let shown = match name.strip_prefix("ln_") {
                Some(rest) => format!("log10_{rest}"),
                None => (*name).to_owned(),
            };
            text += &match axis {
                Axis::LnDose => format!(
                    "  {shown:16} log10 molar, from {} decades below the lowest to {} above the highest dose\n",
                    -bound.lower / decades,
                    bound.upper / decades
                ),
                Axis::Dose => format!(
                    "  {shown:16} {unit}, from {} decades below the lowest to {} above the highest dose\n",
                    -bound.lower / decades,
                    bound.upper / decades
                ),
                Axis::Plain => format!(
                    "  {shown:16} {} to {}{}{unit}\n",
                    bound.lower,
                    bound.upper,
                    if unit.is_empty() { "" } else { " " }
                ),
            };
        }
        text
    }

    /// The response at a molar dose, in f64; `parameters` as in [`crate::fit::Fit::parameters`].
    pub fn response(self, dose: f64, parameters: &[f64]) -> f64 {
        self.curve_model().response(dose, 0.0, parameters)
    }
}
