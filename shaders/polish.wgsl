// B-scores, one workgroup a plate: two-way median polish of the sample wells in shared memory (an invocation takes
// whole rows, then whole columns), then the MAD of the residuals.
//
// Reads `input`: for each of `config.n` plates its first well, number of wells, rows and columns, then in
// regions of `config.wells` the signals (from the plate's mean, relative to its largest deviation), the classes
// (0 sample) and the places (row * COLUMNS + column). Writes a score a well, the largest number where there is none.

struct Config {
    n: u32,
    wells: u32,
    unused_a: u32,
    unused_b: u32,
}

@group(0) @binding(0) var<uniform> config: Config;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

// Residuals of the sample wells by place; the largest number where there is none.
var<workgroup> residual: array<f32, ROWS * COLUMNS>;
var<workgroup> row_effect: array<f32, ROWS>;
var<workgroup> column_effect: array<f32, COLUMNS>;
var<workgroup> row_count: array<u32, ROWS>;
var<workgroup> column_count: array<u32, COLUMNS>;
var<workgroup> parts: array<f32, GROUP>;
var<workgroup> overall: f32;
var<workgroup> ended: u32;
var<workgroup> samples: atomic<u32>;

const NONE = 0x1.fffffep+127f;

fn value_at(k: u32) -> f32 {
    return residual[k];
}

fn is_counted(k: u32) -> bool {
    return residual[k] != NONE;
}

// Median of `n` of the residuals from `start` in steps of `step`, by rank.
fn line_median(start: u32, step: u32, length: u32, n: u32) -> f32 {
    let upper_rank = n / 2u;
    let lower_rank = (n - 1u) / 2u;
    var lower = 0.0;
    var upper = 0.0;
    for (var i = 0u; i < length; i++) {
        let value = residual[start + i * step];
        if (value == NONE) {
            continue;
        }
        var rank = 0u;
        for (var j = 0u; j < length; j++) {
            let other = residual[start + j * step];
            rank += select(0u, 1u, other < value || (other == value && j < i));
        }
        if (rank == lower_rank) {
            lower = value;
        }
        if (rank == upper_rank) {
            upper = value;
        }
    }
    return lower + (upper - lower) * 0.5;
}

// Median of the effects of those rows that have wells; 0 where none has.
fn row_effects_median(rows: u32) -> f32 {
    var n = 0u;
    for (var i = 0u; i < rows; i++) {
        n += select(0u, 1u, row_count[i] > 0u);
    }
    var lower = 0.0;
    var upper = 0.0;
    for (var i = 0u; i < rows; i++) {
        if (row_count[i] == 0u) {
            continue;
        }
        let value = row_effect[i];
        var rank = 0u;
        for (var j = 0u; j < rows; j++) {
            let before = row_effect[j] < value || (row_effect[j] == value && j < i);
            rank += select(0u, 1u, row_count[j] > 0u && before);
        }
        if (rank == (n - 1u) / 2u) {
            lower = value;
        }
        if (rank == n / 2u) {
            upper = value;
        }
    }
    return lower + (upper - lower) * 0.5;
}

fn column_effects_median(columns: u32) -> f32 {
    var n = 0u;
    for (var i = 0u; i < columns; i++) {
        n += select(0u, 1u, column_count[i] > 0u);
    }
    var lower = 0.0;
    var upper = 0.0;
    for (var i = 0u; i < columns; i++) {
        if (column_count[i] == 0u) {
            continue;
        }
        let value = column_effect[i];
        var rank = 0u;
        for (var j = 0u; j < columns; j++) {
            let before = column_effect[j] < value || (column_effect[j] == value && j < i);
            rank += select(0u, 1u, column_count[j] > 0u && before);
        }
        if (rank == (n - 1u) / 2u) {
            lower = value;
        }
        if (rank == n / 2u) {
            upper = value;
        }
    }
    return lower + (upper - lower) * 0.5;
}

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    let plate = group.y * groups.x + group.x;
    let inside = plate < config.n;
    let safe_plate = select(0u, plate, inside);
    let first = u32(input[HEAD * safe_plate]);
    let count = select(0u, u32(input[HEAD * safe_plate + 1u]), inside);
    let rows = min(u32(input[HEAD * safe_plate + 2u]), ROWS);
    let columns = min(u32(input[HEAD * safe_plate + 3u]), COLUMNS);
    let signals = HEAD * config.n + first;
    let classes = signals + config.wells;
    let places = classes + config.wells;
    for (var k = thread; k < ROWS * COLUMNS; k += GROUP) {
        residual[k] = NONE;
    }
    if (thread == 0u) {
        overall = 0.0;
        ended = 0u;
    }
    workgroupBarrier();
    var mine = 0u;
    for (var k = thread; k < count; k += GROUP) {
        if (input[classes + k] == 0.0) {
            residual[u32(input[places + k])] = input[signals + k];
            mine += 1u;
        }
    }
    atomicAdd(&samples, mine);
    workgroupBarrier();
    for (var r = thread; r < rows; r += GROUP) {
        row_effect[r] = 0.0;
        var n = 0u;
        for (var c = 0u; c < columns; c++) {
            n += select(0u, 1u, residual[r * COLUMNS + c] != NONE);
        }
        row_count[r] = n;
    }
    for (var c = thread; c < columns; c += GROUP) {
        column_effect[c] = 0.0;
        var n = 0u;
        for (var r = 0u; r < rows; r++) {
            n += select(0u, 1u, residual[r * COLUMNS + c] != NONE);
        }
        column_count[c] = n;
    }
    workgroupBarrier();
    var before = 0.0;
    for (var iteration = 0u; iteration < MOST_ITERATIONS; iteration++) {
        if (workgroupUniformLoad(&ended) == 1u) {
            break;
        }
        for (var r = thread; r < rows; r += GROUP) {
            if (row_count[r] > 0u) {
                let middle = line_median(r * COLUMNS, 1u, columns, row_count[r]);
                for (var c = 0u; c < columns; c++) {
                    let value = residual[r * COLUMNS + c];
                    residual[r * COLUMNS + c] = select(value - middle, NONE, value == NONE);
                }
                row_effect[r] += middle;
            }
        }
        workgroupBarrier();
        let of_columns = column_effects_median(columns);
        workgroupBarrier();
        for (var c = thread; c < columns; c += GROUP) {
            column_effect[c] -= of_columns;
            if (column_count[c] > 0u) {
                let middle = line_median(c, COLUMNS, rows, column_count[c]);
                for (var r = 0u; r < rows; r++) {
                    let value = residual[r * COLUMNS + c];
                    residual[r * COLUMNS + c] = select(value - middle, NONE, value == NONE);
                }
                column_effect[c] += middle;
            }
        }
        workgroupBarrier();
        let of_rows = row_effects_median(rows);
        workgroupBarrier();
        for (var r = thread; r < rows; r += GROUP) {
            row_effect[r] -= of_rows;
        }
        var part = 0.0;
        for (var k = thread; k < rows * COLUMNS; k += GROUP) {
            part += select(abs(residual[k]), 0.0, residual[k] == NONE);
        }
        parts[thread] = part;
        workgroupBarrier();
        for (var half = GROUP / 2u; half > 0u; half /= 2u) {
            if (thread < half) {
                parts[thread] += parts[thread + half];
            }
            workgroupBarrier();
        }
        let now = parts[0];
        if (thread == 0u) {
            overall += of_columns + of_rows;
            ended = select(0u, 1u, now == 0.0 || abs(now - before) < TOLERANCE * now);
        }
        before = now;
    }
    workgroupBarrier();
    let n = workgroupUniformLoad(&samples);
    if (n < 2u) {
        for (var k = thread; k < count; k += GROUP) {
            output[first + k] = NONE;
        }
        return;
    }
    let middle = median_of(thread, ROWS * COLUMNS, n, 0.0, false);
    let spread = MAD_SCALE * median_of(thread, ROWS * COLUMNS, n, middle, true);
    for (var k = thread; k < count; k += GROUP) {
        let place = u32(input[places + k]);
        let row = place / COLUMNS;
        let column = place % COLUMNS;
        let fitted = overall + select(0.0, row_effect[row], row_count[row] > 0u)
            + select(0.0, column_effect[column], column_count[column] > 0u);
        let known = row_count[row] > 0u || column_count[column] > 0u;
        let score = standard_score(input[signals + k] - fitted, 0.0, select(1.0, spread, spread > 0.0));
        output[first + k] = select(NONE, score, spread > 0.0 && known);
    }
}
