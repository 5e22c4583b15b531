//! Where the time of GPU fits goes, as the host sees it.

use serde::Serialize;
use std::sync::{Mutex, PoisonError};

/// Wall-clock seconds and bytes of all fits since the back end was opened. Phases do not overlap: their sum is the
/// time of the calls.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct FitTimings {
    /// Checking, centring and sorting the curves, on the CPU.
    pub prepare_seconds: f64,
    /// Converting chunks to single precision, region-major. The device may be computing the chunk before meanwhile.
    pub pack_seconds: f64,
    /// Upload, kernel and readback, where the host waits for them: what packing does not hide.
    pub device_seconds: f64,
    /// Continuing every fit in f64, on the CPU.
    pub certify_seconds: f64,
    /// Bytes written to input buffers.
    pub bytes_up: u64,
    /// Bytes read from output buffers.
    pub bytes_down: u64,
}

impl FitTimings {
    /// What was added since `before` was taken.
    pub fn since(&self, before: &Self) -> Self {
        Self {
            prepare_seconds: self.prepare_seconds - before.prepare_seconds,
            pack_seconds: self.pack_seconds - before.pack_seconds,
            device_seconds: self.device_seconds - before.device_seconds,
            certify_seconds: self.certify_seconds - before.certify_seconds,
            bytes_up: self.bytes_up - before.bytes_up,
            bytes_down: self.bytes_down - before.bytes_down,
        }
    }

    /// The mean of `rounds` equal rounds.
    pub fn over(&self, rounds: usize) -> Self {
        let n = rounds.max(1);
        Self {
            prepare_seconds: self.prepare_seconds / n as f64,
            pack_seconds: self.pack_seconds / n as f64,
            device_seconds: self.device_seconds / n as f64,
            certify_seconds: self.certify_seconds / n as f64,
            bytes_up: self.bytes_up / n as u64,
            bytes_down: self.bytes_down / n as u64,
        }
    }

    /// All phases together, in seconds.
    pub fn total_seconds(&self) -> f64 {
        self.prepare_seconds + self.pack_seconds + self.device_seconds + self.certify_seconds
    }
}

/// The running sums of one back end, which may be fitting from several threads.
#[derive(Debug, Default)]
pub(super) struct Recorder(Mutex<FitTimings>);

impl Recorder {
    /// Adds to the sums.
    pub fn record(&self, add: impl FnOnce(&mut FitTimings)) {
        // Sums of finished phases stay right if another thread has panicked.
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// The sums so far.
    pub fn snapshot(&self) -> FitTimings {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
