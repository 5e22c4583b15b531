// Descents from beginnings that are given, one an invocation: how surfaces are fitted.
//
// Reads, behind what `lm.wgsl` says of `input`, the nonlinear parameters to begin with. Writes, behind what it says of
// `output`, the sum of squares where the descent ended, 1 if that was at a minimum, and the linear parameters there.

@compute @workgroup_size(GROUP)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>,
        @builtin(local_invocation_index) thread: u32) {
    let fit = (group.y * groups.x + group.x) * GROUP + thread;
    if (fit >= config.n) {
        return;
    }
    let table = table_of(fit);
    let points = load_points(table + POINTS);
    let y = load_responses(fit);
    let bounds = bounds_of(table, fit);
    let freedom = max(tables[table] - free_parameters(bounds), 1.0);
    let least = ROUNDING * tables[table + 2u];
    let end = descend(points, y, bounds, inside(beginning_of(fit), bounds), freedom, least);
    write_theta(fit, end.theta);
    output[EVALUATIONS_ROW * config.n + fit] = select(-1.0, f32(end.evaluations), end.sse < NOTHING);
    output[(EVALUATIONS_ROW + 1u) * config.n + fit] = end.sse;
    output[(EVALUATIONS_ROW + 2u) * config.n + fit] = select(0.0, 1.0, end.settled);
    // The last step may have moved the nonlinear parameters since.
    write_linear(fit, solve(sum_basis(points, y, early_basis(end.theta)), bounds));
}
