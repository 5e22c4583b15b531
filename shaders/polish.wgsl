// B-scores, one workgroup a plate: two-way median polish of the sample wells in shared memory, an invocation a well,
// then the MAD of the residuals.
//
// Reads `input`: for each of `config.n` plates its first well, number of wells, rows and columns, then in
// regions of `config.wells` the signals (from the plate's mean, relative to its largest deviation), the classes
// (0 sample) and the places (row * COLUMNS + column), one well a place. Writes a score a well, the largest number where
// there is none, and its negative for all of a plate that is to be scored in double precision: one where rounding could
// decide whether the polish has ended, or where there is hardly any spread.
//
// A polish of MOST_ITERATIONS on the largest plate takes an invocation through some 40,000 rounds of loops: llvmpipe ends
// every loop once an invocation has been through 65,535.

const WELLS = ROWS * COLUMNS;
// Where the effects of rows and columns lie, behind the residuals.
const ROW_EFFECTS = WELLS;
const COLUMN_EFFECTS = WELLS + ROWS;
// Stands for no well, and for the effect of a row or column without any: as the largest number it sorts behind all.
const NONE = 0x1.fffffep+127f;

var<workgroup> values: array<f32, WELLS + ROWS + COLUMNS>;
var<workgroup> row_count: array<u32, ROWS>;
var<workgroup> column_count: array<u32, COLUMNS>;
var<workgroup> filled_rows: atomic<u32>;
var<workgroup> filled_columns: atomic<u32>;
// The middle two values of each row or column, and of the effects.
var<workgroup> lower: array<f32, COLUMNS>;
var<workgroup> upper: array<f32, COLUMNS>;
var<workgroup> parts: array<f32, GROUP>;
var<workgroup> overall: f32;
// 1: the polish has ended; 2: whether it has is in doubt.
var<workgroup> ended: u32;
var<workgroup> samples: atomic<u32>;

fn value_at(k: u32) -> f32 {
    return values[k];
}

fn is_counted(k: u32) -> bool {
    return values[k] != NONE;
}

fn sorts_before(k: u32, at: u32, value: f32) -> u32 {
    return select(0u, 1u, values[k] < value || (values[k] == value && k < at));
}

// The rank, from 0, of the value at `at` among `length` values from `start` in steps of `step`; four at a time, as
// what lies behind a short row or column is NONE.
fn rank_of(at: u32, start: u32, step: u32, length: u32) -> u32 {
    let value = values[at];
    var rank = 0u;
    for (var i = 0u; i < length; i += 4u) {
        let k = start + i * step;
        rank += sorts_before(k, at, value) + sorts_before(k + step, at, value)
            + sorts_before(k + 2u * step, at, value) + sorts_before(k + 3u * step, at, value);
    }
    return rank;
}

// Keeps the value for the median of line `line` of `n` values, if it is one of the middle two.
fn offer(line: u32, n: u32, rank: u32, value: f32) {
    if (n > 0u && rank == (n - 1u) / 2u) {
        lower[line] = value;
    }
    if (rank == n / 2u) {
        upper[line] = value;
    }
}

fn middle_of(line: u32) -> f32 {
    return lower[line] + (upper[line] - lower[line]) * 0.5;
}

// Moves the median of the `n` effects that are any out of `length` effects from `start`.
fn centre(thread: u32, start: u32, length: u32, n: u32) {
    workgroupBarrier();
    for (var i = thread; i < length; i += GROUP) {
        offer(0u, n, rank_of(start + i, start, 1u, length), values[start + i]);
    }
    workgroupBarrier();
    for (var i = thread; i < length; i += GROUP) {
        let effect = values[start + i];
        values[start + i] = select(effect - middle_of(0u), NONE, effect == NONE);
    }
    if (thread == 0u && n > 0u) {
        overall += middle_of(0u);
    }
    workgroupBarrier();
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
    let places_used = rows * columns;
    let signals = HEAD * config.n + first;
    let classes = signals + config.wells;
    let places = classes + config.wells;
    for (var k = thread; k < WELLS + ROWS + COLUMNS; k += GROUP) {
        values[k] = NONE;
    }
    if (thread == 0u) {
        overall = 0.0;
        ended = 0u;
    }
    workgroupBarrier();
    var mine = 0u;
    for (var k = thread; k < count; k += GROUP) {
        if (input[classes + k] == 0.0) {
            values[u32(input[places + k])] = input[signals + k];
            mine += 1u;
        }
    }
    atomicAdd(&samples, mine);
    workgroupBarrier();
    for (var r = thread; r < rows; r += GROUP) {
        var n = 0u;
        for (var c = 0u; c < columns; c++) {
            n += select(0u, 1u, values[r * COLUMNS + c] != NONE);
        }
        row_count[r] = n;
        if (n > 0u) {
            values[ROW_EFFECTS + r] = 0.0;
            atomicAdd(&filled_rows, 1u);
        }
    }
    for (var c = thread; c < columns; c += GROUP) {
        var n = 0u;
        for (var r = 0u; r < rows; r++) {
            n += select(0u, 1u, values[r * COLUMNS + c] != NONE);
        }
        column_count[c] = n;
        if (n > 0u) {
            values[COLUMN_EFFECTS + c] = 0.0;
            atomicAdd(&filled_columns, 1u);
        }
    }
    let n_rows = workgroupUniformLoad(&filled_rows);
    let n_columns = workgroupUniformLoad(&filled_columns);
    var before = 0.0;
    for (var iteration = 0u; iteration < MOST_ITERATIONS; iteration++) {
        if (workgroupUniformLoad(&ended) > 0u) {
            break;
        }
        for (var i = thread; i < places_used; i += GROUP) {
            let r = i / columns;
            let k = r * COLUMNS + i % columns;
            offer(r, row_count[r], rank_of(k, r * COLUMNS, 1u, columns), values[k]);
        }
        workgroupBarrier();
        for (var i = thread; i < places_used; i += GROUP) {
            let r = i / columns;
            let k = r * COLUMNS + i % columns;
            values[k] = select(values[k] - middle_of(r), NONE, values[k] == NONE);
        }
        for (var r = thread; r < rows; r += GROUP) {
            if (row_count[r] > 0u) {
                values[ROW_EFFECTS + r] += middle_of(r);
            }
        }
        centre(thread, COLUMN_EFFECTS, columns, n_columns);
        for (var i = thread; i < places_used; i += GROUP) {
            let c = i % columns;
            let k = (i / columns) * COLUMNS + c;
            offer(c, column_count[c], rank_of(k, c, COLUMNS, rows), values[k]);
        }
        workgroupBarrier();
        var part = 0.0;
        for (var i = thread; i < places_used; i += GROUP) {
            let c = i % columns;
            let k = (i / columns) * COLUMNS + c;
            let value = values[k];
            let left = value - middle_of(c);
            values[k] = select(left, NONE, value == NONE);
            part += select(abs(left), 0.0, value == NONE);
        }
        for (var c = thread; c < columns; c += GROUP) {
            if (column_count[c] > 0u) {
                values[COLUMN_EFFECTS + c] += middle_of(c);
            }
        }
        parts[thread] = part;
        centre(thread, ROW_EFFECTS, rows, n_rows);
        for (var half = GROUP / 2u; half > 0u; half /= 2u) {
            if (thread < half) {
                parts[thread] += parts[thread + half];
            }
            workgroupBarrier();
        }
        let now = parts[0];
        if (thread == 0u) {
            let beyond = abs(now - before) - TOLERANCE * now;
            ended = select(select(0u, 1u, beyond < 0.0), 2u, abs(beyond) <= DOUBT * now);
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
    let middle = median_of(thread, WELLS, n, 0.0, false);
    let spread = MAD_SCALE * median_of(thread, WELLS, n, middle, true);
    let in_doubt = workgroupUniformLoad(&ended) == 2u || spread < LEAST_SPREAD;
    for (var k = thread; k < count; k += GROUP) {
        let place = u32(input[places + k]);
        let row = place / COLUMNS;
        let column = place % COLUMNS;
        let in_row = values[ROW_EFFECTS + row];
        let in_column = values[COLUMN_EFFECTS + column];
        let known = in_row != NONE || in_column != NONE;
        let fitted = overall + select(in_row, 0.0, in_row == NONE) + select(in_column, 0.0, in_column == NONE);
        let score = standard_score(input[signals + k] - fitted, 0.0, select(spread, 1.0, in_doubt));
        output[first + k] = select(select(NONE, score, known), -NONE, in_doubt);
    }
}
