struct Config {
    n: u32,
    points: u32,
    max_evaluations: u32,
    starts: u32,
}

@group(0) @binding(0) var<uniform> config: Config;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;
@group(0) @binding(3) var<storage, read> tables: array<f32>;

fn region(row: u32, fit: u32) -> f32 {
    return input[row * config.n + fit];
}

