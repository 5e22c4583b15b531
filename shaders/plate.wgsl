// Normalisation, one workgroup a plate: control means by a reduction in shared memory, then every well.
//
// Reads `input`: for each of `config.n` plates the first well and the number of wells (whole numbers below 2^24), then the
// signals of all `config.wells` wells, then their classes (1 blank, 2 vehicle, 3 positive). Signals
// arrive relative to the plate's largest, so that single precision is spent on the differences. Writes a response
// a well. `normalise` is recorded from the Rust that the CPU runs.

struct Config {
    n: u32,
    wells: u32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<uniform> config: Config;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

// Sums and counts of blank, vehicle and positive wells.
var<workgroup> sums: array<array<f32, 3>, GROUP>;
var<workgroup> counts: array<array<f32, 3>, GROUP>;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    let plate = group.y * groups.x + group.x;
    let inside = plate < config.n;
    let safe_plate = select(0u, plate, inside);
    let first = u32(input[2u * safe_plate]);
    let count = select(0u, u32(input[2u * safe_plate + 1u]), inside);
    let signals = 2u * config.n;
    let classes = signals + config.wells;
    var sum = array<f32, 3>();
    var number = array<f32, 3>();
    for (var k = thread; k < count; k += GROUP) {
        let kind = u32(input[classes + first + k]);
        if (kind > 0u) {
            sum[kind - 1u] += input[signals + first + k];
            number[kind - 1u] += 1.0;
        }
    }
    sums[thread] = sum;
    counts[thread] = number;
    workgroupBarrier();
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        if (thread < half) {
            for (var c = 0u; c < 3u; c++) {
                sums[thread][c] += sums[thread + half][c];
                counts[thread][c] += counts[thread + half][c];
            }
        }
        workgroupBarrier();
    }
    // The order is fixed by the halving, so the sums do not depend on scheduling.
    let background = sums[0][0] / max(counts[0][0], 1.0);
    let vehicle = sums[0][1] / max(counts[0][1], 1.0);
    let positive = sums[0][2] / max(counts[0][2], 1.0);
    for (var k = thread; k < count; k += GROUP) {
        output[first + k] = normalise(input[signals + first + k], background, vehicle, positive);
    }
}
