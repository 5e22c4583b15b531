//! stand-in, replaced by the plate room
use crate::backend::PlateBatch;
use crate::config::Normalization;
pub fn normalise(_: Normalization, plates: &PlateBatch) -> Vec<f64> {
    plates.signal.clone()
}
