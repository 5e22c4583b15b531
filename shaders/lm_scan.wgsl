// Descents from the best of a table of starts: FITS fits an invocation, one after the other. Only the scan of the
// starts is done for all fits of an invocation together, as what is read of a start then serves all of them.

const NO_START = 0xffffffffu;

// What all starts have in common: the product with their common column, and the square of what it leaves.
struct Common {
    level: f32,
    square: f32,
}

fn common_part(points: Points, y: Responses, table: u32) -> Common {
    let scale = inverseSqrt(tables[table + 2u]);
    let level = sum_level(points, y, scale);
    return Common(level, sum_square(points, y, level * scale * COMMON));
}

// The best start, leaving out those beside `taken`.
fn scan(points: Points, y: Responses, bounds: Bounds, table: u32, taken: u32) -> u32 {
    let part = common_part(points, y, table);
    let starts = u32(tables[table + 1u]);
    var best = NO_START;
    var best_cost = NOTHING;
    for (var start = 0u; start < starts; start++) {
        let at = table + STARTS + start * START;
        let cost = start_cost(sum_along(y, at + VECTORS), load_figures(at + FIGURES), bounds, part.square, part.level);
        if (cost < best_cost && (taken == NO_START || !are_neighbours(table, start, taken))) {
            best = start;
            best_cost = cost;
        }
    }
    return best;
}

// The best start of each of four fits with one table.
fn scan_four(points: Points, fits: vec4<u32>, table: u32) -> vec4<u32> {
    let a = load_responses(fits.x);
    let b = load_responses(fits.y);
    let c = load_responses(fits.z);
    let d = load_responses(fits.w);
    let bounds_a = bounds_of(table, fits.x);
    let bounds_b = bounds_of(table, fits.y);
    let bounds_c = bounds_of(table, fits.z);
    let bounds_d = bounds_of(table, fits.w);
    let part_a = common_part(points, a, table);
    let part_b = common_part(points, b, table);
    let part_c = common_part(points, c, table);
    let part_d = common_part(points, d, table);
    let starts = u32(tables[table + 1u]);
    var best = vec4<u32>(NO_START);
    var best_cost = vec4<f32>(NOTHING);
    for (var start = 0u; start < starts; start++) {
        let at = table + STARTS + start * START;
        let f = load_figures(at + FIGURES);
        let along = sum_four(a, b, c, d, at + VECTORS);
        let cost = vec4<f32>(
            start_cost(along.a, f, bounds_a, part_a.square, part_a.level),
            start_cost(along.b, f, bounds_b, part_b.square, part_b.level),
            start_cost(along.c, f, bounds_c, part_c.square, part_c.level),
            start_cost(along.d, f, bounds_d, part_d.square, part_d.level),
        );
        let lower = cost < best_cost;
        best = select(best, vec4<u32>(start), lower);
        best_cost = select(best_cost, cost, lower);
    }
    return best;
}

fn fit_one(fit: u32, table: u32, best: u32) {
    let points = load_points(table + POINTS);
    let y = load_responses(fit);
    let bounds = bounds_of(table, fit);
    let freedom = max(tables[table] - free_parameters(bounds), 1.0);
    let least = ROUNDING * tables[table + 2u];
    var found = End(Theta(), NOTHING, 0u, false);
    var evaluations = 0u;
    var start = best;
    for (var attempt = 0u; attempt < config.starts && start != NO_START; attempt++) {
        let first = inside(load_theta(table + STARTS + start * START), bounds);
        let end = descend(points, y, bounds, first, freedom, least);
        evaluations += end.evaluations;
        if (end.sse < found.sse) {
            found = end;
        }
        if (attempt + 1u < config.starts) {
            start = scan(points, y, bounds, table, start);
        }
    }
    write_theta(fit, found.theta);
    output[EVALUATIONS_ROW * config.n + fit] = select(-1.0, f32(evaluations), found.sse < NOTHING);
}

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    // The fits of a workgroup lie side by side, and those that its invocations read at one time do, too.
    let first = (group.y * groups.x + group.x) * GROUP * FITS + thread;
    if (first >= config.n) {
        return;
    }
    let number = min((config.n - first + GROUP - 1u) / GROUP, FITS);
    // Fits that are not there are scanned as the last one that is.
    let fits = first + min(vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(number - 1u)) * GROUP;
    let table = table_of(first);
    let together = table_of(fits.y) == table && table_of(fits.z) == table && table_of(fits.w) == table;
    var best = vec4<u32>(NO_START);
    if (together) {
        best = scan_four(load_points(table + POINTS), fits, table);
    }
    for (var which = 0u; which < number; which++) {
        let fit = first + which * GROUP;
        let own = table_of(fit);
        var start = select(select(best.x, best.y, which == 1u), select(best.z, best.w, which == 3u), which >= 2u);
        if (!together) {
            start = scan(load_points(own + POINTS), load_responses(fit), bounds_of(own, fit), own, NO_START);
        }
        fit_one(fit, own, start);
    }
}
