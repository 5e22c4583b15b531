// Normalisation by controls, one workgroup a plate: control means by a reduction in shared memory, then every well.
//
// Reads `input`: for each of `config.n` plates HEAD floats, of which the first two are its first well and its number of
// wells (whole numbers below 2^24), then in regions of `config.wells` the signals, the classes (1 blank, 2 vehicle, 3
// positive), the signals at the time of treatment (0: none) and the times of growth. Signals
// arrive relative to the plate's largest, so that single precision is spent on the differences. Writes a response
// a well. `normalise` is recorded from the Rust that the CPU runs.

// Sums and counts of blank, vehicle and positive wells, and of blanks at the time of treatment.
var<workgroup> sums: array<array<f32, 4>, GROUP>;
var<workgroup> counts: array<array<f32, 4>, GROUP>;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    let plate = group.y * groups.x + group.x;
    let inside = plate < config.n;
    let safe_plate = select(0u, plate, inside);
    let first = u32(input[HEAD * safe_plate]);
    let count = select(0u, u32(input[HEAD * safe_plate + 1u]), inside);
    let signals = HEAD * config.n + first;
    let classes = signals + config.wells;
    let beginnings = classes + config.wells;
    let times = beginnings + config.wells;
    var sum = array<f32, 4>();
    var number = array<f32, 4>();
    for (var k = thread; k < count; k += GROUP) {
        let kind = u32(input[classes + k]);
        if (kind > 0u) {
            sum[kind - 1u] += input[signals + k];
            number[kind - 1u] += 1.0;
        }
        if (kind == 1u && input[beginnings + k] > 0.0) {
            sum[3] += input[beginnings + k];
            number[3] += 1.0;
        }
    }
    sums[thread] = sum;
    counts[thread] = number;
    workgroupBarrier();
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        if (thread < half) {
            for (var c = 0u; c < 4u; c++) {
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
    let background_t0 = sums[0][3] / max(counts[0][3], 1.0);
    for (var k = thread; k < count; k += GROUP) {
        output[first + k] = normalise(input[signals + k], input[beginnings + k], input[times + k],
                                      background, vehicle, positive, background_t0);
    }
}
