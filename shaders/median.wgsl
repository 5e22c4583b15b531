// Medians of a plate's values by all of its workgroup: the bits of the answer are found one by one, by counting how many
// values lie below. Needs `value_at(k)` and `is_counted(k)`, and of each kernel that `thread` is the same everywhere.

var<workgroup> below: atomic<u32>;

// Whole numbers in the order of the floats that they are the bits of.
fn ordered(value: f32) -> u32 {
    let bits = bitcast<u32>(value);
    return select(bits | 0x80000000u, ~bits, (bits & 0x80000000u) != 0u);
}

fn unordered(key: u32) -> f32 {
    return bitcast<f32>(select(~key, key & 0x7fffffffu, (key & 0x80000000u) != 0u));
}

// How many of the values have keys below `key`.
fn count_below(thread: u32, count: u32, key: u32, about: f32, absolute: bool) -> u32 {
    workgroupBarrier();
    if (thread == 0u) {
        atomicStore(&below, 0u);
    }
    workgroupBarrier();
    var mine = 0u;
    for (var k = thread; k < count; k += GROUP) {
        if (is_counted(k)) {
            let away = value_at(k) - about;
            mine += select(0u, 1u, ordered(select(away, abs(away), absolute)) < key);
        }
    }
    atomicAdd(&below, mine);
    return workgroupUniformLoad(&below);
}

// The value of this rank, from 0: the largest key that no more than `rank` values lie below.
fn ranked(thread: u32, count: u32, rank: u32, about: f32, absolute: bool) -> f32 {
    var key = 0u;
    for (var bit = 0x80000000u; bit > 0u; bit >>= 1u) {
        if (count_below(thread, count, key | bit, about, absolute) <= rank) {
            key |= bit;
        }
    }
    return unordered(key);
}

// Median of `n` counted values, or of their distances from `about`.
fn median_of(thread: u32, count: u32, n: u32, about: f32, absolute: bool) -> f32 {
    let upper = ranked(thread, count, n / 2u, about, absolute);
    if (n % 2u == 1u) {
        return upper;
    }
    let lower = ranked(thread, count, n / 2u - 1u, about, absolute);
    return lower + (upper - lower) * 0.5;
}
