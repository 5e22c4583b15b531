// Levenberg–Marquardt, one invocation a fit, the whole loop in the kernel.
//
// Reads `input`, regions of `config.n` floats each (so that neighbouring invocations read neighbouring floats):
//   doses, responses, weights of `config.points` points; untreated response, untreated weight;
//   lower and upper bounds of PARAMETERS parameters; lowest and highest dose; responses there.
// Writes `output` in regions of `config.n`: PARAMETERS parameters, sum of squares, iterations, 1 if the limit ended it.
// Padding points have weight 0. The arithmetic (add_treated, add_untreated, lm_step, solve_linear, start) is recorded
// from the Rust that the CPU runs; only this loop is written here.

struct Config {
    n: u32,
    points: u32,
    max_iterations: u32,
    starts: u32,
}

@group(0) @binding(0) var<uniform> config: Config;
@group(0) @binding(1) var<storage, read> input: array<f32>;
@group(0) @binding(2) var<storage, read_write> output: array<f32>;

fn region(index: u32, fit: u32) -> f32 {
    return input[index * config.n + fit];
}

fn evaluate(fit: u32, p: array<f32, PARAMETERS>) -> array<f32, NORMAL> {
    var normal = array<f32, NORMAL>();
    let points = config.points;
    for (var k = 0u; k < points; k++) {
        normal = add_treated(normal, region(k, fit), region(points + k, fit), region(2u * points + k, fit), p);
    }
    return add_untreated(normal, region(3u * points, fit), region(3u * points + 1u, fit), p);
}

struct Descent {
    p: array<f32, PARAMETERS>,
    sse: f32,
    iterations: u32,
    exhausted: bool,
}

fn descend(fit: u32, first: array<f32, PARAMETERS>, lower: array<f32, PARAMETERS>, upper: array<f32, PARAMETERS>,
           share: f32, least: f32) -> Descent {
    var at = Descent(first, 0.0, 0u, true);
    var normal = evaluate(fit, first);
    at.sse = normal[SSE];
    var damping = FIRST_DAMPING;
    while (at.iterations < config.max_iterations) {
        at.iterations++;
        let move_to = lm_step(normal, at.p, lower, upper, damping);
        var target_p = array<f32, PARAMETERS>();
        for (var i = 0u; i < PARAMETERS; i++) {
            target_p[i] = move_to[i];
        }
        let trial = evaluate(fit, target_p);
        let small = move_to[PARAMETERS + 1u] <= share * at.sse + least;
        let accepted = trial[SSE] < at.sse;
        if (accepted) {
            at.p = target_p;
            at.sse = trial[SSE];
            normal = trial;
        }
        if (small && (damping <= FREE_DAMPING || !accepted)) {
            at.exhausted = false;
            break;
        }
        damping *= select(DAMPING_REJECTED, DAMPING_ACCEPTED, accepted);
        if (damping > LAST_DAMPING) {
            at.exhausted = false;
            break;
        }
    }
    return at;
}

@compute @workgroup_size(GROUP)
fn main(@builtin(global_invocation_id) id: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let fit = id.y * groups.x * GROUP + id.x;
    if (fit >= config.n) {
        return;
    }
    let base = 3u * config.points + 2u;
    var lower = array<f32, PARAMETERS>();
    var upper = array<f32, PARAMETERS>();
    var free = 0.0;
    for (var i = 0u; i < PARAMETERS; i++) {
        lower[i] = region(base + i, fit);
        upper[i] = region(base + PARAMETERS + i, fit);
        free += select(0.0, 1.0, lower[i] < upper[i]);
    }
    let ends = base + 2u * PARAMETERS;
    var total_weight = region(3u * config.points + 1u, fit);
    var present = select(0.0, 1.0, total_weight > 0.0);
    for (var k = 0u; k < config.points; k++) {
        let weight = region(2u * config.points + k, fit);
        total_weight += weight;
        present += select(0.0, 1.0, weight > 0.0);
    }
    let share = OFFSET / max(present - free, 1.0);
    let least = ROUNDING * total_weight;

    // The two best of the starts, their linear parameters solved for.
    var best = array<f32, PARAMETERS>();
    var second = array<f32, PARAMETERS>();
    var best_sse = 3.0e38;
    var second_sse = 3.0e38;
    for (var index = 0u; index < STARTS; index++) {
        let raw = start(index, region(ends, fit), region(ends + 1u, fit), region(ends + 2u, fit), region(ends + 3u, fit), lower, upper);
        let normal = evaluate(fit, raw);
        let solved = solve_linear(normal, raw, lower, upper);
        let sse = normal[SSE] - solved[PARAMETERS];
        if (sse < best_sse) {
            second = best;
            second_sse = best_sse;
            best_sse = sse;
            for (var i = 0u; i < PARAMETERS; i++) {
                best[i] = solved[i];
            }
        } else if (sse < second_sse) {
            second_sse = sse;
            for (var i = 0u; i < PARAMETERS; i++) {
                second[i] = solved[i];
            }
        }
    }
    var found = descend(fit, best, lower, upper, share, least);
    var iterations = found.iterations;
    if (config.starts > 1u && second_sse < 3.0e38) {
        let other = descend(fit, second, lower, upper, share, least);
        iterations += other.iterations;
        if (other.sse < found.sse) {
            found = other;
        }
    }
    for (var i = 0u; i < PARAMETERS; i++) {
        output[i * config.n + fit] = found.p[i];
    }
    output[PARAMETERS * config.n + fit] = found.sse;
    output[(PARAMETERS + 1u) * config.n + fit] = f32(iterations);
    output[(PARAMETERS + 2u) * config.n + fit] = select(0.0, 1.0, found.exhausted);
}
