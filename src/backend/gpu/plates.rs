//! Plates through the device: normalisation by a workgroup a plate, surfaces well by well.

use super::device::{Chunk, Device, GROUP};
use super::kernels::{self, LARGEST_PLATE, PLATE_HEAD, SPATIAL_HEAD};
use crate::backend::{PlateBatch, SpatialBatch, SpatialPoint};
use crate::config::{Normalization, SpatialCorrection};
use crate::plate::scores::ROUNDING;
use crate::{Error, Result};
use std::ops::Range;

/// Floats read of each well at most: signal, class, two of growth or of place; for surfaces plate, row, column, value.
const WELL_INPUTS: usize = 4;

/// Stands in buffers for a number that is not there: kernels have no NaN.
const NONE: f32 = f32::MAX;

/// Refuses wells beyond the shared memory of the kernels.
fn within_largest(places: &[(u16, u16)]) -> Result<()> {
    let (rows, columns) = LARGEST_PLATE;
    if places.iter().any(|(row, column)| usize::from(*row) >= rows || usize::from(*column) >= columns) {
        let problem = format!("a well lies beyond {rows} rows and {columns} columns");
        return Err(Error::Gpu { problem, hint: Some("run with `--backend cpu`".into()) });
    }
    Ok(())
}

/// Responses of every well; NaN where the kernel found no spread.
pub(super) fn normalise(device: &Device, normalization: Normalization, plates: &PlateBatch) -> Result<Vec<f64>> {
    let n_plates = plates.offsets.len().saturating_sub(1);
    let largest = (0..n_plates).map(|i| plates.offsets[i + 1] - plates.offsets[i]).max().unwrap_or(0);
    within_largest(&plates.place)?;
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
                *slot = if *value == NONE { f64::NAN } else { f64::from(*value) };
            }
        },
    )?;
    if normalization == Normalization::BScore {
        let again: Vec<usize> =
            (0..n_plates).filter(|i| responses.get(plates.offsets[*i]) == Some(&f64::from(-NONE))).collect();
        in_double_precision(normalization, plates, &again, &mut responses);
    }
    Ok(responses)
}

/// Scores some of the plates anew.
fn in_double_precision(normalization: Normalization, plates: &PlateBatch, again: &[usize], responses: &mut [f64]) {
    let mut batch = PlateBatch { offsets: vec![0], ..PlateBatch::default() };
    let wells = |plate: &usize| plates.offsets[*plate]..plates.offsets[*plate + 1];
    for of in again.iter().map(wells) {
        batch.signal.extend(&plates.signal[of.clone()]);
        batch.class.extend(&plates.class[of.clone()]);
        batch.place.extend(&plates.place[of]);
        batch.offsets.push(batch.signal.len());
    }
    let slots = again.iter().flat_map(wells);
    for (slot, value) in slots.zip(crate::plate::normalization::normalise(normalization, &batch)) {
        responses[slot] = value;
    }
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
        // What is rounding in double precision is no spread, however large it would be drawn.
        let scale = if largest > ROUNDING * centre.abs() { 1.0 / largest } else { 0.0 };
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

/// Surfaces of every plate, at each of its wells.
pub(super) fn spatial(device: &Device, kind: SpatialCorrection, plates: &SpatialBatch) -> Result<Vec<SpatialPoint>> {
    let n_plates = plates.offsets.len().saturating_sub(1);
    let largest = plates.offsets.windows(2).map(|b| b[1] - b[0]).max().unwrap_or(0);
    if kind == SpatialCorrection::Median && largest > LARGEST_PLATE.0 * LARGEST_PLATE.1 {
        let problem = format!("a plate has {largest} wells, and a median is taken of 1536 at most");
        return Err(Error::Gpu { problem, hint: Some("run with `--backend cpu`".into()) });
    }
    // A unit of work is a well.
    let per_chunk = device.units_per_chunk((WELL_INPUTS + SPATIAL_HEAD) * size_of::<f32>()) / largest.max(1);
    let ranges = (0..n_plates).step_by(per_chunk.max(1)).map(|from| from..(from + per_chunk.max(1)).min(n_plates));
    let mut points = Vec::with_capacity(plates.value.len());
    device.stream(
        &kernels::spatial(kind),
        ranges,
        |range| pack_places(kind, plates, range),
        |_, output| {
            let found = output.chunks_exact(3).map(|p| (f64::from(p[0]), f64::from(p[1]), f64::from(p[2])));
            points.extend(found.map(|(value, squares, own)| SpatialPoint { value: value + 1.0, squares, own }));
        },
    )?;
    Ok(points)
}

fn pack_places(kind: SpatialCorrection, plates: &SpatialBatch, range: &Range<usize>) -> Chunk {
    let wells = plates.offsets[range.start]..plates.offsets[range.end];
    let mut input = Vec::with_capacity(SPATIAL_HEAD * range.len() + WELL_INPUTS * wells.len());
    let of_plate = |plate: usize| plates.offsets[plate]..plates.offsets[plate + 1];
    for of in range.clone().map(of_plate) {
        input.extend([(of.start - wells.start) as f32, of.len() as f32]);
    }
    for (number, of) in range.clone().map(of_plate).enumerate() {
        input.extend(of.map(|_| number as f32));
    }
    input.extend(plates.place[wells.clone()].iter().map(|(row, _)| f32::from(*row)));
    input.extend(plates.place[wells.clone()].iter().map(|(_, column)| f32::from(*column)));
    let values = plates.value[wells.clone()].iter().zip(&plates.used[wells.clone()]);
    // Viabilities about 1: single precision is spent on the difference.
    input.extend(values.map(|(value, used)| if *used { (value - 1.0) as f32 } else { NONE }));
    let n = wells.len() as u32;
    Chunk {
        config: [range.len() as u32, n, 0, 0],
        input,
        tables: Vec::new(),
        output: 3 * wells.len(),
        groups: if kind == SpatialCorrection::Median { n } else { n.div_ceil(GROUP) },
    }
}
