//! The arithmetic that models are written in, and the kinds of number they can be evaluated as.

pub mod dual;
pub mod elementary;
pub mod lanes;
pub mod scalar;
pub mod special;
pub mod wgsl;

pub use dual::Dual;
pub use lanes::Lanes;
pub use scalar::Scalar;
pub use wgsl::Wgsl;
