//! Dose-response and surface models: one generic function each, from which every back end is made.

pub mod formula;
pub mod hill;
pub mod surface;

use crate::fit::Bound;
use crate::math::Scalar;

/// What a start may know of a curve. Doses are natural logs, measured from the middle of the curve's range.
#[derive(Debug, Clone, Copy)]
pub struct CurveSummary<S> {
    /// Lowest nonzero dose.
    pub ln_dose_low: S,
    /// Highest dose.
    pub ln_dose_high: S,
    /// Response at the lowest dose.
    pub response_low: S,
    /// Response at the highest dose.
    pub response_high: S,
}

/// A dose-response model with `N` parameters. `ln_dose` is the natural log of the dose.
pub trait Model<const N: usize> {
    /// The name used in flags and tables.
    const NAME: &'static str;
    /// The formula as people write it, and its reference.
    const FORMULA: &'static str;
    /// Parameters in order, as tables name them inside (`ln_ec50` is shown as `log10_ec50`).
    const PARAMETERS: [&'static str; N];
    /// Which parameters the response is linear in, the others held.
    const LINEAR: [bool; N];
    /// The parameter that is a location on the ln-dose axis: its box is relative to the doses tested.
    const LOCATION: usize;
    /// The parameter that is the response at dose zero.
    const BASELINE: Option<usize>;
    /// Default boxes.
    const BOUNDS: [Bound; N];
    /// How many starts [`Model::start`] offers.
    const STARTS: usize;

    /// The response at a dose above zero.
    fn response<S: Scalar>(ln_dose: S, parameters: [S; N]) -> S;
    /// The response at dose zero.
    fn untreated<S: Scalar>(parameters: [S; N]) -> S;
    /// Start number `index` of [`Model::STARTS`]. Linear parameters are solved for afterwards and need only be sane.
    fn start<S: Scalar>(index: usize, curve: CurveSummary<S>) -> [S; N];
}

/// Something to be done with a model known only by its id: static dispatch from a run-time choice.
pub trait ModelVisitor {
    /// What comes out.
    type Output;
    /// Called with the model.
    fn visit<M: Model<N>, const N: usize>(self) -> Self::Output;
}

macro_rules! models {
    ($($(#[$doc:meta])* $id:ident => $model:ty, $n:literal;)+) => {
        /// The curve models that can be fitted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum ModelId { $($(#[$doc])* $id,)+ }

        impl ModelId {
            /// Every model: the one list that flags, documents, tests and benches walk.
            pub const ALL: &'static [ModelId] = &[$(ModelId::$id,)+];

            /// Calls `visitor` with the model behind the id.
            pub fn visit<V: ModelVisitor>(self, visitor: V) -> V::Output {
                match self { $(ModelId::$id => visitor.visit::<$model, $n>(),)+ }
            }

            /// The name used in flags and tables.
            pub fn name(self) -> &'static str {
                match self { $(ModelId::$id => <$model as Model<$n>>::NAME,)+ }
            }

            /// The formula as people write it, and its reference.
            pub fn formula(self) -> &'static str {
                match self { $(ModelId::$id => <$model as Model<$n>>::FORMULA,)+ }
            }

            /// Parameter names, in order.
            pub fn parameters(self) -> &'static [&'static str] {
                match self { $(ModelId::$id => &<$model as Model<$n>>::PARAMETERS,)+ }
            }

            /// Default boxes, in the order of the parameters.
            pub fn bounds(self) -> &'static [Bound] {
                match self { $(ModelId::$id => &<$model as Model<$n>>::BOUNDS,)+ }
            }

            /// The parameter on the ln-dose axis.
            pub fn location(self) -> usize {
                match self { $(ModelId::$id => <$model as Model<$n>>::LOCATION,)+ }
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

impl ModelId {
    /// The model with this name.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|m| m.name().eq_ignore_ascii_case(text.trim()))
    }

    /// Name, formula, parameters with their boxes, reference: for people.
    pub fn describe(self) -> String {
        let mut text = format!("{}\n  {}\n", self.name(), self.formula());
        for (parameter, bound) in self.parameters().iter().zip(self.bounds()) {
            let decades = std::f64::consts::LN_10;
            text += &match parameter.strip_prefix("ln_") {
                Some(rest) => format!(
                    "  log10_{rest:10} log10 molar, from {} decades below the lowest to {} above the highest dose\n",
                    -bound.lower / decades,
                    bound.upper / decades
                ),
                None => format!("  {parameter:16} {} to {}\n", bound.lower, bound.upper),
            };
        }
        text
    }

    /// The response at a molar dose, in f64; `parameters` as in [`crate::fit::Fit::parameters`].
    pub fn response(self, dose: f64, parameters: &[f64]) -> f64 {
        struct Response<'a>(f64, &'a [f64]);
        impl ModelVisitor for Response<'_> {
            type Output = f64;
            fn visit<M: Model<N>, const N: usize>(self) -> f64 {
                let parameters = std::array::from_fn(|i| self.1.get(i).copied().unwrap_or(0.0));
                if self.0 > 0.0 { M::response(libm::log(self.0), parameters) } else { M::untreated(parameters) }
            }
        }
        self.visit(Response(dose, parameters))
    }
}
