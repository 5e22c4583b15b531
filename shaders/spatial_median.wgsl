// The median of the used wells around each well of a plate: a workgroup a well.
//
// Reads and writes as spatial.wgsl does. The wells within reach are gathered in shared memory in whatever order the
// invocations come: a median does not depend on it.

const NONE = 0x1.fffffep+127f;

var<workgroup> near: array<f32, LARGEST>;
var<workgroup> found: atomic<u32>;
var<workgroup> lower: f32;
var<workgroup> upper: f32;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    let well = group.y * groups.x + group.x;
    let inside = well < config.wells;
    let safe_well = select(0u, well, inside);
    let plates = HEAD * config.n;
    let plate = u32(input[plates + safe_well]);
    let count = u32(input[HEAD * plate + 1u]);
    let rows = plates + config.wells + u32(input[HEAD * plate]);
    let columns = rows + config.wells;
    let values = columns + config.wells;
    let row = input[plates + config.wells + safe_well];
    let column = input[plates + 2u * config.wells + safe_well];
    var reach = NEAR;
    var n = 0u;
    for (var doubling = 0u; doubling <= MOST_DOUBLINGS; doubling++) {
        if (thread == 0u) {
            atomicStore(&found, 0u);
        }
        workgroupBarrier();
        for (var j = thread; j < count; j += GROUP) {
            let down = input[rows + j] - row;
            let right = input[columns + j] - column;
            if (input[values + j] != NONE && down * down + right * right < reach) {
                near[min(atomicAdd(&found, 1u), LARGEST - 1u)] = input[values + j];
            }
        }
        n = workgroupUniformLoad(&found);
        if (n >= ENOUGH) {
            break;
        }
        reach *= 2.0;
    }
    for (var i = thread; i < n; i += GROUP) {
        let value = near[i];
        var rank = 0u;
        for (var j = 0u; j < n; j++) {
            rank += select(0u, 1u, near[j] < value || (near[j] == value && j < i));
        }
        if (rank == (n - 1u) / 2u) {
            lower = value;
        }
        if (rank == n / 2u) {
            upper = value;
        }
    }
    workgroupBarrier();
    if (thread == 0u && inside) {
        let each = 1.0 / f32(max(n, 1u));
        output[3u * well] = select(0.0, lower + (upper - lower) * 0.5, n > 0u);
        output[3u * well + 1u] = MEDIAN_VARIANCE * each;
        output[3u * well + 2u] = each;
    }
}
