//! The arithmetic that models are written in, and the kinds of number they can be evaluated as.

pub mod double_double;
pub mod dual;
pub mod elementary;
pub mod formula_text;
pub mod instructions;
pub mod interval;
pub mod lanes;
pub mod largest_t;
pub mod operation;
mod patterns;
pub mod polygamma;
pub mod program;
pub mod random;
pub mod scalar;
pub mod special;
mod split;
pub mod symmetric;
pub mod vectorised;
pub mod wgsl;

pub use double_double::DoubleDouble;
pub use dual::Dual;
pub use instructions::Instructions;
pub use interval::Interval;
pub use lanes::Lanes;
pub use program::{Program, Recorded};
pub use scalar::Scalar;
pub use vectorised::Vectorised;

/// An array from its index, like `std::array::from_fn`, but always inlined: a call that is left standing is compiled
/// without the caller's vector instructions. `N` must be above zero.
#[inline(always)]
pub(crate) fn array<T: Copy, const N: usize>(mut element: impl FnMut(usize) -> T) -> [T; N] {
    if N == 0 {
        return std::array::from_fn(element);
    }
    let mut all = [element(0); N];
    for (i, slot) in all.iter_mut().enumerate().skip(1) {
        *slot = element(i);
    }
    all
}
