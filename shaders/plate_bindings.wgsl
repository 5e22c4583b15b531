// What every kernel of plates is given: how many plates or wells there are, what it reads and what it writes.

struct Config {
    n: u32,
    wells: u32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<uniform> config: Config;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

