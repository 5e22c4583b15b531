// The surface that a plate's used wells lie on, at each of its wells: a workgroup a plate, a well an invocation.
//
// Reads `input`: for each of `config.n` plates HEAD floats, of which the first two are its first well and its number of
// wells, then in regions of `config.wells` rows, columns, values (less 1) and whether the well is used (0, 1). Writes
// three floats a well: height (less 1), sum of squared coefficients, own coefficient. `neighbour` and `plane` are
// recorded from the Rust that the CPU runs; the reach grows as there.

struct Config {
    n: u32,
    wells: u32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<uniform> config: Config;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    let number = group.y * groups.x + group.x;
    if (number >= config.n) {
        return;
    }
    let first = u32(input[HEAD * number]);
    let count = u32(input[HEAD * number + 1u]);
    let rows = HEAD * config.n + first;
    let columns = rows + config.wells;
    let values = columns + config.wells;
    let uses = values + config.wells;
    for (var k = thread; k < count; k += GROUP) {
        let row = input[rows + k];
        let column = input[columns + k];
        var reach = NEAR;
        var near = 0u;
        for (var doubling = 0u; doubling <= MOST_DOUBLINGS; doubling++) {
            near = 0u;
            for (var j = 0u; j < count; j++) {
                let down = input[rows + j] - row;
                let right = input[columns + j] - column;
                near += select(0u, 1u, input[uses + j] > 0.0 && down * down + right * right < reach);
            }
            if (near >= ENOUGH || doubling == MOST_DOUBLINGS) {
                break;
            }
            reach *= 2.0;
        }
        let scale = 1.0 / sqrt(reach);
        var sums = array<f32, SUMS>();
        var lower = 0.0;
        var upper = 0.0;
        for (var j = 0u; j < count; j++) {
            let down = input[rows + j] - row;
            let right = input[columns + j] - column;
            if (input[uses + j] == 0.0 || down * down + right * right >= reach) {
                continue;
            }
            let value = input[values + j];
            if (BY_MEDIAN) {
                var rank = 0u;
                for (var i = 0u; i < count; i++) {
                    let down_i = input[rows + i] - row;
                    let right_i = input[columns + i] - column;
                    let counts = input[uses + i] > 0.0 && down_i * down_i + right_i * right_i < reach;
                    let other = input[values + i];
                    rank += select(0u, 1u, counts && (other < value || (other == value && i < j)));
                }
                if (rank == (near - 1u) / 2u) {
                    lower = value;
                }
                if (rank == near / 2u) {
                    upper = value;
                }
            } else {
                let terms = neighbour(down * scale, right * scale, value);
                for (var s = 0u; s < SUMS; s++) {
                    sums[s] += terms[s];
                }
            }
        }
        var point = array<f32, 3>();
        if (BY_MEDIAN) {
            let n = f32(near);
            point = array<f32, 3>(lower + (upper - lower) * 0.5, MEDIAN_VARIANCE / n, 1.0 / n);
        } else {
            point = plane(sums);
        }
        for (var s = 0u; s < 3u; s++) {
            output[3u * (first + k) + s] = point[s];
        }
    }
}
