//! How a fit ended. A status other than [`Status::Converged`] has a reason code for the tables.

/// How a fit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub enum Status {
    /// At a minimum: a further step would move no parameter by a noticeable part of its standard error.
    #[default]
    Converged,
    /// The iteration limit came first; the parameters are the best seen.
    MaxIterations,
    /// Steps that promised less came to nothing, however short: rounding, or a response with a kink, hides the minimum.
    /// The parameters are the best seen.
    Stalled,
    /// Fewer distinct doses than free parameters: not fitted.
    TooFewDoses,
    /// All doses equal: not fitted.
    OneDose,
    /// A response, dose or weight was not finite or out of range: not fitted.
    BadValue,
    /// The model has no finite response at any start: not fitted.
    NoFiniteStart,
}

impl Status {
    /// `ok` where the parameters may be used, else `failed`.
    pub fn name(self) -> &'static str {
        match self {
            Status::Converged | Status::MaxIterations | Status::Stalled => "ok",
            _ => "failed",
        }
    }

    /// The reason code beside it, if it is not plain success.
    pub fn reason(self) -> Option<&'static str> {
        match self {
            Status::Converged => None,
            Status::MaxIterations => Some("max_iterations"),
            Status::Stalled => Some("stalled"),
            Status::TooFewDoses => Some("too_few_doses"),
            Status::OneDose => Some("one_dose"),
            Status::BadValue => Some("bad_value"),
            Status::NoFiniteStart => Some("no_finite_start"),
        }
    }

    /// Whether there are parameters to use.
    pub fn is_fitted(self) -> bool {
        matches!(self, Status::Converged | Status::MaxIterations | Status::Stalled)
    }
}

/// What was done in f64 after a single-precision fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, serde::Serialize, serde::Deserialize)]
pub enum Refit {
    /// Nothing: the fit was in f64 from the start, or passed its check as it was.
    #[default]
    None,
    /// Steps in f64 from the GPU's answer.
    Polished,
    /// Fitted again in f64 from the start.
    F64,
}

impl Refit {
    /// The code used in tables.
    pub fn name(self) -> &'static str {
        match self {
            Refit::None => "none",
            Refit::Polished => "polished",
            Refit::F64 => "f64",
        }
    }
}
