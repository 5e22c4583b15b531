// The surface that a plate's used wells lie on, at each of its wells, by local regression: a well an invocation.
//
// Reads `input`: for each of `config.n` plates its first well and its number of wells, then in regions of `config.wells`
// the plates, rows, columns and values (less 1; the largest number for a well that is not used). Writes three floats a
// well: height (less 1), sum of squared coefficients, own coefficient. `neighbour` and `plane` are recorded from the
// Rust that the CPU runs; the reach grows as there.

const NONE = 0x1.fffffep+127f;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    let well = (group.y * groups.x + group.x) * GROUP + thread;
    if (well >= config.wells) {
        return;
    }
    let plates = HEAD * config.n;
    let plate = u32(input[plates + well]);
    let count = u32(input[HEAD * plate + 1u]);
    let rows = plates + config.wells + u32(input[HEAD * plate]);
    let columns = rows + config.wells;
    let values = columns + config.wells;
    let row = input[plates + config.wells + well];
    let column = input[plates + 2u * config.wells + well];
    var reach = NEAR;
    for (var doubling = 0u; doubling < MOST_DOUBLINGS; doubling++) {
        var near = 0u;
        for (var j = 0u; j < count; j++) {
            let down = input[rows + j] - row;
            let right = input[columns + j] - column;
            near += select(0u, 1u, input[values + j] != NONE && down * down + right * right < reach);
        }
        if (near >= ENOUGH) {
            break;
        }
        reach *= 2.0;
    }
    let scale = 1.0 / sqrt(reach);
    var sums = array<f32, SUMS>();
    for (var j = 0u; j < count; j++) {
        let down = input[rows + j] - row;
        let right = input[columns + j] - column;
        if (input[values + j] != NONE && down * down + right * right < reach) {
            let terms = neighbour(down * scale, right * scale, input[values + j]);
            for (var s = 0u; s < SUMS; s++) {
                sums[s] += terms[s];
            }
        }
    }
    let point = plane(sums);
    for (var s = 0u; s < 3u; s++) {
        output[3u * well + s] = point[s];
    }
}
