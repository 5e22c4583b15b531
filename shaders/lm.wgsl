// Separable least squares, the whole descent in the kernel: variable projection with Levenberg-Marquardt steps.
//
// Reads `input`, rows of `config.n` floats (so that neighbouring invocations read neighbouring floats): responses
// times square roots of weights, `config.points` of them; then `table * HELD + held parameter + 1`; then the value of
// that parameter. Reads `tables`: where each table begins, then the tables, one a layout (`TableShape`): fits side by
// side mostly share one, so that these reads are broadcasts. Writes `output`, rows of `config.n`: nonlinear parameters,
// then evaluations, negative where there was never a number.
//
// All arithmetic stands before this text, recorded from the Rust that the CPU runs; here are only loops, what is read
// and written, and what is accepted. Behind it stands where descents begin: `lm_scan.wgsl` or `lm_from.wgsl`.

const NOTHING = 3.0e38f;

// Where the table of a fit begins.
fn table_of(fit: u32) -> u32 {
    return u32(tables[u32(region(config.points, fit)) / HELD]);
}

fn bounds_of(table: u32, fit: u32) -> Bounds {
    let held = u32(region(config.points, fit)) % HELD;
    let bounds = load_bounds(table + BOUNDS);
    if (held > 0u) {
        return hold(bounds, held - 1u, region(config.points + 1u, fit));
    }
    return bounds;
}

struct End {
    theta: Theta,
    sse: f32,
    evaluations: u32,
    // Whether it ended at a minimum.
    settled: bool,
}

fn descend(points: Points, y: Responses, bounds: Bounds, first: Theta, freedom: f32, least: f32) -> End {
    var theta = first;
    var at = first;
    var sse = NOTHING;
    var linear = Solved();
    var slope = Slopes();
    var damping = FIRST_DAMPING;
    var evaluations = 0u;
    var settled = false;
    loop {
        evaluations++;
        let trial = solve(sum_basis(points, y, early_basis(at)), bounds);
        let sums = sum_slopes(points, y, early_slopes(at, trial));
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
        settled = next.promise0 <= OFFSET * sse / freedom + least && damping <= FREE_DAMPING;
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
    return End(theta, sse, evaluations, settled);
}
