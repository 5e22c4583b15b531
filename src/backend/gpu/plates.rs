//! Plates through the device: one workgroup a plate, whatever the normalisation.

use super::device::{Chunk, Device};
use super::kernels::{self, LARGEST_PLATE, PLATE_HEAD};
use crate::backend::{PlateBatch, SpatialBatch, SpatialPoint};
use crate::config::{Normalization, SpatialCorrection};
use crate::{Error, Result};
use std::ops::Range;

/// Floats read of each well at most: signal, class, two of growth or of place.
const WELL_INPUTS: usize = 4;

/// Responses of every well; NaN where the kernel found no spread.
pub(super) fn normalise(device: &Device, normalization: Normalization, plates: &PlateBatch) -> Result<Vec<f64>> {
    let n_plates = plates.offsets.len().saturating_sub(1);
    let largest = (0..n_plates).map(|i| plates.offsets[i + 1] - plates.offsets[i]).max().unwrap_or(0);
    let beyond =
        |(row, column): &(u16, u16)| usize::from(*row) >= LARGEST_PLATE.0 || usize::from(*column) >= LARGEST_PLATE.1;
    if plates.place.iter().any(beyond) {
        let problem = format!("a well lies beyond {} rows and {} columns", LARGEST_PLATE.0, LARGEST_PLATE.1);
        return Err(Error::Gpu { problem, hint: Some("run with `--backend cpu`".into()) });
    }
    let per_chunk = device.units_per_chunk((WELL_INPUTS * largest + PLATE_HEAD) * size_of::<f32>());
    let ranges = (0..n_plates).step_by(per_chunk).map(|from| from..(from + per_chunk).min(n_plates));
    let mut responses = vec![0.0; plates.signal.len()];
    device.stream(
        &kernels::plates(normalization),
        ranges,
        |range| pack(normalization, plates, range),
        |range, output| {
            let wells = plates.offsets[range.start]..plates.offsets[range.end];
            for (slot, value) in responses[wells].iter_mut().zip(output) {
                // Kernels have no NaN: the largest number stands for it.
                *slot = if *value == f32::MAX { f64::NAN } else { f64::from(*value) };
            }
        },
    )?;
    Ok(responses)
}

/// Signals go relative to the plate's largest (controls), or from the mean and relative to the largest
/// deviation (scores): single precision is spent on the differences.
fn pack(normalization: Normalization, plates: &PlateBatch, range: &Range<usize>) -> Chunk {
    let wells = plates.offsets[range.start]..plates.offsets[range.end];
    let n = range.len();
    let mut input = Vec::with_capacity(PLATE_HEAD * n + WELL_INPUTS * wells.len());
    for plate in range.clone() {
        let (from, to) = (plates.offsets[plate], plates.offsets[plate + 1]);
        let place = plates.place.get(from..to).unwrap_or_default();
        let size = |of: fn(&(u16, u16)) -> u16| place.iter().map(of).max().map_or(0.0, |last| f32::from(last) + 1.0);
        input.extend([(from - wells.start) as f32, (to - from) as f32, size(|p| p.0), size(|p| p.1)]);
    }
    let mut scales = Vec::with_capacity(n);
    for plate in range.clone() {
        let signal = &plates.signal[plates.offsets[plate]..plates.offsets[plate + 1]];
        let centre =
            if normalization.is_score() { signal.iter().sum::<f64>() / signal.len().max(1) as f64 } else { 0.0 };
        let largest = signal.iter().fold(0.0f64, |m, s| m.max((s - centre).abs()));
        let scale = if largest > 0.0 { 1.0 / largest } else { 1.0 };
        scales.push(scale);
        input.extend(signal.iter().map(|s| ((s - centre) * scale) as f32));
    }
    input.extend(plates.class[wells.clone()].iter().map(|c| f32::from(*c as u8)));
    match normalization {
        Normalization::BScore => input.extend(
            (plates.place[wells.clone()].iter())
                .map(|(row, column)| f32::from(*row) * LARGEST_PLATE.1 as f32 + f32::from(*column)),
        ),
        Normalization::ZScore | Normalization::RobustZScore => {}
        _ => {
            for (plate, scale) in range.clone().zip(&scales) {
                let of = plates.offsets[plate]..plates.offsets[plate + 1];
                match plates.signal_t0.get(of.clone()) {
                    Some(t0) => input.extend(t0.iter().map(|t0| (t0 * scale) as f32)),
                    None => input.extend(of.map(|_| 0.0f32)),
                }
            }
            match plates.growth_time.get(wells.clone()) {
                Some(time) => input.extend(time.iter().map(|t| *t as f32)),
                None => input.extend(wells.clone().map(|_| 0.0f32)),
            }
        }
    }
    Chunk {
        config: [n as u32, wells.len() as u32, 0, 0],
        input,
        tables: Vec::new(),
        output: wells.len(),
        groups: n as u32,
    }
}

/// Surfaces of every plate: one workgroup a plate, a well an invocation.
pub(super) fn spatial(device: &Device, kind: SpatialCorrection, plates: &SpatialBatch) -> Result<Vec<SpatialPoint>> {
    let n_plates = plates.offsets.len().saturating_sub(1);
    let largest = (0..n_plates).map(|i| plates.offsets[i + 1] - plates.offsets[i]).max().unwrap_or(0);
    let per_chunk = device.units_per_chunk((WELL_INPUTS * largest + PLATE_HEAD) * size_of::<f32>());
    let ranges = (0..n_plates).step_by(per_chunk).map(|from| from..(from + per_chunk).min(n_plates));
    let mut points = Vec::with_capacity(plates.value.len());
    device.stream(
        &kernels::spatial(kind),
        ranges,
        |range| {
            let wells = plates.offsets[range.start]..plates.offsets[range.end];
            let mut input = Vec::with_capacity(PLATE_HEAD * range.len() + WELL_INPUTS * wells.len());
            for plate in range.clone() {
                let (from, to) = (plates.offsets[plate], plates.offsets[plate + 1]);
                input.extend([(from - wells.start) as f32, (to - from) as f32, 0.0, 0.0]);
            }
            input.extend(plates.place[wells.clone()].iter().map(|(row, _)| f32::from(*row)));
            input.extend(plates.place[wells.clone()].iter().map(|(_, column)| f32::from(*column)));
            // Viabilities about 1: single precision is spent on the difference.
            input.extend(plates.value[wells.clone()].iter().map(|value| (value - 1.0) as f32));
            input.extend(plates.used[wells.clone()].iter().map(|used| f32::from(u8::from(*used))));
            Chunk {
                config: [range.len() as u32, wells.len() as u32, 0, 0],
                input,
                tables: Vec::new(),
                output: 3 * wells.len(),
                groups: range.len() as u32,
            }
        },
        |_, output| {
            let found = output.chunks_exact(3).map(|p| (f64::from(p[0]), f64::from(p[1]), f64::from(p[2])));
            points.extend(found.map(|(value, squares, own)| SpatialPoint { value: value + 1.0, squares, own }));
        },
    )?;
    Ok(points)
}
