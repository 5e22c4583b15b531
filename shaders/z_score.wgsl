// z-scores, one workgroup a plate: mean, then standard deviation of the sample wells, by reductions in shared memory.
//
// Reads `input`: for each of `config.n` plates HEAD floats, of which the first two are its first well and its number of
// wells, then in regions of `config.wells` the signals (from the plate's mean, relative to its largest
// deviation) and the classes (0 sample). Writes a score a well, the largest number where samples have no spread.

var<workgroup> parts: array<vec2<f32>, GROUP>;

fn total(thread: u32, part: vec2<f32>) -> vec2<f32> {
    workgroupBarrier();
    parts[thread] = part;
    workgroupBarrier();
    for (var half = GROUP / 2u; half > 0u; half /= 2u) {
        if (thread < half) {
            parts[thread] += parts[thread + half];
        }
        workgroupBarrier();
    }
    return parts[0];
}

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
    var part = vec2<f32>();
    for (var k = thread; k < count; k += GROUP) {
        if (input[classes + k] == 0.0) {
            part += vec2<f32>(input[signals + k], 1.0);
        }
    }
    let sums = total(thread, part);
    let mean = sums.x / max(sums.y, 1.0);
    var squares = vec2<f32>();
    for (var k = thread; k < count; k += GROUP) {
        if (input[classes + k] == 0.0) {
            let away = input[signals + k] - mean;
            squares.x += away * away;
        }
    }
    let sd = sqrt(total(thread, squares).x / max(sums.y - 1.0, 1.0));
    for (var k = thread; k < count; k += GROUP) {
        let score = standard_score(input[signals + k], mean, select(1.0, sd, sd > 0.0));
        output[first + k] = select(0x1.fffffep+127f, score, sd > 0.0 && sums.y > 1.5);
    }
}
