// Reference models at one dose pair an invocation.
//
// Reads `input` in regions of `config.n` floats: ln dose a, ln dose b (each relative to its drug's EC50), viability
// under a alone and under b alone, then top, bottom, slope of a and of b. Writes expected viability in regions of
// `config.n`, a region a number of the list. `expected` is recorded from the Rust that the CPU runs.

struct Config {
    n: u32,
    unused_a: u32,
    unused_b: u32,
    unused_c: u32,
}

@group(0) @binding(0) var<uniform> config: Config;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

@compute @workgroup_size(GROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let pair = id.y * groups.x * GROUP + id.x;
    if (pair >= config.n) {
        return;
    }
    var values = array<f32, INPUTS>();
    for (var i = 0u; i < INPUTS; i++) {
        values[i] = input[i * config.n + pair];
    }
    let result = expected(values);
    for (var i = 0u; i < OUTPUTS; i++) {
        output[i * config.n + pair] = result[i];
    }
}
