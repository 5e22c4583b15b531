//! Dose-response and surface models: one generic function each, from which every back end is made.

pub mod biphasic;
pub mod braid;
pub mod curve_model;
pub mod effective_dose;
pub mod exchange;
pub mod formula;
pub mod hill;
pub mod hormesis;
pub mod musyc;
pub mod musyc_three;
pub mod reference;
pub mod richards;
pub mod straight;
pub mod surface;
pub mod weibull;

pub use curve_model::{Axis, CurveModel, Parameter, Starts};

use crate::fit::Bound;
use crate::math::Scalar;
use std::f64::consts::LN_10;
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
    /// Pairs of parameters that can all change places without any change of the curve, locations first: after a fit
    /// the first of each pair belongs to the lower location. Empty where each parameter has but one role.
    const EXCHANGES: &'static [(usize, usize)] = &[];
    /// Starts tried to the end, at least: more than one where valleys are many.
    const DESCENTS: usize = 1;

    /// The response at a dose above zero.
    fn response<S: Scalar>(ln_dose: S, parameters: [S; N]) -> S;
    /// The response at dose zero.
    #[inline(always)]
    fn untreated<S: Scalar>(parameters: [S; N]) -> S {
        Self::response(S::lit(LN_DOSE_ZERO), parameters)
    }
}

/// A response surface of two drugs with `N` parameters. Doses are natural logs, [`LN_DOSE_ZERO`] for none; those of the
/// second drug are the model's second variable.
pub trait SurfaceModel<const N: usize> {
    /// The name used in flags and tables.
    const NAME: &'static str;
    /// The formula as people write it, and its reference.
    const FORMULA: &'static str;
    /// Parameters in order; the first is the response without any drug.
    const PARAMETERS: [Parameter; N];

    /// The response.
    fn response<S: Scalar>(ln_dose_a: S, ln_dose_b: S, parameters: [S; N]) -> S;
}

/// A place on the ln-dose axis of the second drug.
const fn location_second(name: &'static str, places: &'static [f64]) -> Parameter {
    let bound = Bound { lower: -3.0 * LN_10, upper: 3.0 * LN_10 };
    Parameter { name, unit: "ln M", bound, axis: Axis::LnSecond, starts: Starts::Places(places) }
}

macro_rules! models {
    ($($(#[$doc:meta])* $id:ident => $model:ty, $n:literal;)+) => {
        /// A curve model: a built-in one, or a formula that was read.
        #[derive(Debug, Clone, Copy)]
        pub enum ModelId {
            $($(#[$doc])* $id,)+
            /// A model from a file, or a surface.
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
    /// Two-parameter log-logistic, from 1 to 0.
    Hill2 => hill::Hill2, 2;
    /// Five-parameter log-logistic: a Hill curve with unequal shoulders.
    Richards5 => richards::Richards5, 5;
    /// Two Hill falls, one after the other.
    Biphasic => biphasic::Biphasic, 7;
    /// drc's W1.4: a Gompertz curve of the logarithm of the dose.
    Weibull1 => weibull::Weibull1, 4;
    /// drc's W2.4: its mirror image.
    Weibull2 => weibull::Weibull2, 4;
    /// Brain–Cousens: low doses stimulate.
    Hormesis => hormesis::Hormesis, 5;
    /// A straight line in the logarithm of the dose.
    LogLinear => straight::LogLinear, 2;
    /// No effect.
    Flat => straight::Flat, 1;
    /// Growth-rate inhibition.
    GrowthRate => hill::GrowthRate, 3;
}

macro_rules! surfaces {
    ($($(#[$doc:meta])* $name:ident: $model:ty, $n:literal;)+) => {
        impl ModelId {
            /// Every surface of two drugs.
            pub fn surfaces() -> Vec<Self> {
                vec![$(Self::$name(),)+]
            }

            $($(#[$doc])*
            pub fn $name() -> Self {
                static MODEL: LazyLock<CurveModel> = LazyLock::new(CurveModel::surface::<$model, $n>);
                ModelId::Formula(&MODEL)
            })+
        }
    };
}

surfaces! {
    /// MuSyC with the cooperativities that the drugs have alone.
    musyc: musyc::Musyc, 10;
    /// MuSyC with cooperativities that change too.
    musyc_gamma: musyc::MusycGamma, 12;
    /// BRAID as the data alone have it.
    braid_free: braid::Braid, 9;
    /// BRAID with a point for its prior.
    braid: braid::BraidWithPrior, 9;
    /// Effective doses.
    effective_dose: effective_dose::EffectiveDose, 7;
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

    /// How tables and flags name the parameters, and what they are divided by there: logarithms of built-in models are
    /// natural inside and decimal outside, formulas are shown as they are written.
    pub fn shown_parameters(self) -> Vec<(String, f64)> {
        let model = self.curve_model();
        let shown = |name: &&'static str| match name.strip_prefix("ln_").filter(|_| model.is_built_in) {
            Some(rest) => (format!("log10_{rest}"), LN_10),
            None => ((*name).to_owned(), 1.0),
        };
        model.names.iter().map(shown).collect()
    }

    /// Name, formula, parameters with their boxes, reference: for people.
    pub fn describe(self) -> String {
        let model = self.curve_model();
        let mut text = format!("{}\n  {}\n", self.name(), self.formula());
        for (i, ((shown, _), parameter)) in self.shown_parameters().iter().zip(&model.parameters).enumerate() {
            let Parameter { unit, bound, axis, .. } = parameter;
            let unit =
                if model.is_built_in && matches!(axis, Axis::LnDose | Axis::LnSecond) { "log10 molar" } else { unit };
            let (lower, upper) = (bound.lower / model.box_unit(i), bound.upper / model.box_unit(i));
            let comma = if unit.is_empty() { "" } else { ", " };
            text += &match axis {
                Axis::LnDose | Axis::LnSecond | Axis::Dose => format!(
                    "  {shown:16} {unit}{comma}from {} decades below the lowest to {upper} above the highest dose",
                    -lower
                ),
                Axis::Plain => {
                    format!("  {shown:16} {lower} to {upper}{}{unit}", if unit.is_empty() { "" } else { " " })
                }
            };
            text += if !model.is_built_in && model.linear.contains(&i) { ", linear\n" } else { "\n" };
        }
        text
    }

    /// The response at a molar dose, in f64; `parameters` as in [`crate::fit::Fit::parameters`].
    pub fn response(self, dose: f64, parameters: &[f64]) -> f64 {
        self.curve_model().response(dose, 0.0, parameters)
    }
}
