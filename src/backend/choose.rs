//! Which back end: what was asked for, or the better of what is there.

use super::Backend;
use super::cpu::Cpu;
use super::gpu::Gpu;
use crate::Result;
use crate::config::BackendChoice;

/// A back end, and in words why it was taken.
pub struct Chosen {
    /// The back end.
    pub backend: Box<dyn Backend>,
    /// Why, as a sentence.
    pub reason: String,
}

/// Opens what was asked for. `auto` takes a hardware GPU where there is one, else the CPU: a software adapter
/// computes on the same processor in single precision, and gains nothing.
///
/// # Errors
/// [`crate::Error::Gpu`] where a GPU was asked for and there is no adapter.
pub fn choose(choice: BackendChoice) -> Result<Chosen> {
    let cpu = |reason: String| Chosen { backend: Box::new(Cpu), reason };
    Ok(match choice {
        BackendChoice::Cpu => cpu("asked for".into()),
        BackendChoice::Gpu => Chosen { backend: Box::new(Gpu::open()?), reason: "asked for".into() },
        BackendChoice::Auto => match Gpu::open() {
            Ok(gpu) if gpu.is_software() => cpu(format!("the only adapter, {}, is software", gpu.device())),
            Ok(gpu) => Chosen { backend: Box::new(gpu), reason: "a hardware GPU is there".into() },
            Err(error) => cpu(format!("no GPU: {error}")),
        },
    })
}
