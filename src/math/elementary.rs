//! Elementary functions without branches, so that eight of them side by side become vector instructions, and with
//! the same bits on every processor and operating system.

/// ln 2, split so that `k * LN_2_HIGH` is exact for every exponent `k` of an f64.
const LN_2_HIGH: f64 = 6.931_471_803_691_238e-1;
const LN_2_LOW: f64 = 1.908_214_929_270_587_7e-10;
/// Adding this to a number below 2^51 rounds it to an integer that sits in the low mantissa bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
/// Beyond these, e^x is taken to be e^±700: large and small enough for any model, and never infinite.
const LIMIT: f64 = 700.0;

/// e^x to within 1 unit in the last place for |x| ≤ 700, constant beyond. A NaN gives a finite value: callers keep
/// NaN out of the kernels.
#[inline(always)]
pub fn exp(x: f64) -> f64 {
    let x = if x > -LIMIT { x } else { -LIMIT };
    let x = if x < LIMIT { x } else { LIMIT };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN_2_HIGH) - k * LN_2_LOW;
    // |r| <= ln 2 / 2: the Taylor series to the 13th power leaves 4e-18. Estrin's scheme keeps the chain short.
    let r2 = r * r;
    let r4 = r2 * r2;
    let r8 = r4 * r4;
    let low = (1.0 / 2.0 + r * (1.0 / 6.0)) + r2 * (1.0 / 24.0 + r * (1.0 / 120.0));
    let middle = (1.0 / 720.0 + r * (1.0 / 5040.0)) + r2 * (1.0 / 40_320.0 + r * (1.0 / 362_880.0));
    let high =
        (1.0 / 3_628_800.0 + r * (1.0 / 39_916_800.0)) + r2 * (1.0 / 479_001_600.0 + r * (1.0 / 6_227_020_800.0));
    let tail = low + r4 * middle + r8 * high;
    let value = 1.0 + (r + r2 * tail);
    let power_of_two = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    value * power_of_two
}

#[cfg(test)]
mod tests {
    #[test]
    fn exp_is_within_one_unit_in_the_last_place() {
        let mut worst: f64 = 0.0;
        for i in -69_990..=69_990 {
            let x = f64::from(i) * 0.01 + 1e-5;
            let (ours, theirs) = (super::exp(x), libm::exp(x));
            worst = worst.max(((ours - theirs) / (theirs * f64::EPSILON)).abs());
        }
        assert!(worst <= 1.5, "off by {worst} epsilon");
        assert_eq!(super::exp(0.0), 1.0);
        assert_eq!(super::exp(1e9), super::exp(700.0));
        assert_eq!(super::exp(-1e9), super::exp(-700.0));
    }
}
