// Robust z-scores, one workgroup a plate: median and MAD of the sample wells.
//
// Reads and writes as z_score.wgsl does.

// Where the plate's signals begin: the same for all of the workgroup.
var<private> signals: u32;
var<workgroup> samples: atomic<u32>;

fn value_at(k: u32) -> f32 {
    return input[signals + k];
}

fn is_counted(k: u32) -> bool {
    return input[signals + config.wells + k] == 0.0;
}

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    let plate = group.y * groups.x + group.x;
    let inside = plate < config.n;
    let safe_plate = select(0u, plate, inside);
    let first = u32(input[HEAD * safe_plate]);
    let count = select(0u, u32(input[HEAD * safe_plate + 1u]), inside);
    signals = HEAD * config.n + first;
    var mine = 0u;
    for (var k = thread; k < count; k += GROUP) {
        mine += select(0u, 1u, is_counted(k));
    }
    atomicAdd(&samples, mine);
    let n = workgroupUniformLoad(&samples);
    if (n < 2u) {
        for (var k = thread; k < count; k += GROUP) {
            output[first + k] = 0x1.fffffep+127f;
        }
        return;
    }
    let middle = median_of(thread, count, n, 0.0, false);
    let spread = MAD_SCALE * median_of(thread, count, n, middle, true);
    for (var k = thread; k < count; k += GROUP) {
        let score = standard_score(value_at(k), middle, select(1.0, spread, spread > 0.0));
        output[first + k] = select(0x1.fffffep+127f, score, spread > 0.0);
    }
}
