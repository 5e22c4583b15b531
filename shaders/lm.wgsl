// Separable least squares, one invocation a fit, the whole descent in the kernel: variable projection with
// Levenberg-Marquardt steps, begun from the best of a table of starts.
//
// Reads `input`, rows of `config.n` floats (so that neighbouring invocations read neighbouring floats): responses
// times square roots of weights, `config.points` of them; then `table * HELD + held parameter + 1`; then the value of
// that parameter. Reads `tables`: where each table begins, then the tables, one a layout (`TableShape`): fits side by
// side mostly share one, so that these reads are broadcasts. Writes `output`, rows of `config.n`: nonlinear parameters,
// then evaluations, negative where there was never a number.
//
// All arithmetic stands before this text, recorded from the Rust that the CPU runs; here are only loops, what is read
// and written, and what is accepted.

const NOTHING = 3.0e38f;
const NO_START = 0xffffffffu;

// The best start, leaving out those beside `taken`.
fn scan(data: Data, bounds: Bounds, table: u32, taken: u32) -> u32 {
    let level = sum_common(data, inverseSqrt(tables[table + 2u]));
    let square = sum_square(data, level * inverseSqrt(tables[table + 2u]) * COMMON);
    let starts = u32(tables[table + 1u]);
    var best = NO_START;
    var best_cost = NOTHING;
    for (var start = 0u; start < starts; start++) {
        let at = table + STARTS + start * START;
        let cost = start_cost(sum_along(data, at + VECTORS), load_figures(at + FIGURES), bounds, square, level);
        if (cost < best_cost && (taken == NO_START || !are_neighbours(table, start, taken))) {
            best = start;
            best_cost = cost;
        }
    }
    return best;
}

struct End {
    theta: Theta,
    sse: f32,
    evaluations: u32,
}

fn descend(data: Data, bounds: Bounds, first: Theta, freedom: f32, least: f32) -> End {
    var theta = first;
    var at = first;
    var sse = NOTHING;
    var linear = Solved();
    var slope = Slopes();
    var damping = FIRST_DAMPING;
    var evaluations = 0u;
    loop {
        evaluations++;
        let trial = solve(sum_basis(data, early_basis(at)), bounds);
        let sums = sum_slopes(data, early_slopes(at, trial));
        let accepted = sums.sse0 < sse;
        if (accepted) {
            theta = at;
            sse = sums.sse0;
            linear = trial;
            slope = slopes(sums, trial);
            damping = max(damping * DAMPING_ACCEPTED, LEAST_DAMPING);
        } else {
            damping = max(damping, FIRST_DAMPING) * DAMPING_REJECTED;
        }
        if (evaluations == 1u) {
            damping = FIRST_DAMPING;
        }
        let next = take_step(theta, bounds, linear, slope, damping);
        let settled = next.promise0 <= OFFSET * sse / freedom + least && damping <= FREE_DAMPING;
        if (settled) {
            theta = target_of(next);
        }
        // Written so that a promise or a sum that is no number ends the descent.
        let onward = next.promise0 < NOTHING && sse < NOTHING && damping <= LAST_DAMPING;
        if (settled || !onward || evaluations >= config.max_evaluations) {
            break;
        }
        at = target_of(next);
    }
    return End(theta, sse, evaluations);
}

@compute @workgroup_size(GROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let fit = id.y * groups.x * GROUP + id.x;
    if (fit >= config.n) {
        return;
    }
    let head = u32(region(config.points, fit));
    let table = u32(tables[head / HELD]);
    let held = head % HELD;
    let data = load_data(fit, table + POINTS);
    var bounds = load_bounds(table + BOUNDS);
    if (held > 0u) {
        bounds = hold(bounds, held - 1u, region(config.points + 1u, fit));
    }
    let freedom = max(tables[table] - free_parameters(bounds), 1.0);
    let least = ROUNDING * tables[table + 2u];

    var found = End(Theta(), NOTHING, 0u);
    var evaluations = 0u;
    var taken = NO_START;
    for (var attempt = 0u; attempt < config.starts; attempt++) {
        let start = scan(data, bounds, table, taken);
        if (start == NO_START) {
            break;
        }
        taken = start;
        let first = inside(load_theta(table + STARTS + start * START), bounds);
        let end = descend(data, bounds, first, freedom, least);
        evaluations += end.evaluations;
        if (end.sse < found.sse) {
            found = end;
        }
    }
    write_theta(fit, found.theta);
    output[EVALUATIONS_ROW * config.n + fit] = select(-1.0, f32(evaluations), found.sse < NOTHING);
}
