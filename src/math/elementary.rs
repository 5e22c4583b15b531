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

/// The bits of √½: mantissas are cut there, so that logarithms near 1 lose nothing to cancellation.
const SQRT_HALF_BITS: u64 = 0x3fe6_a09e_667f_3bcd;
/// 2^52, whose low mantissa bits take a small integer as they are.
const TWO_TO_52: f64 = 4_503_599_627_370_496.0;

/// ln x to within 1.5 units in the last place for every normal number above zero. It saturates outside: anything
/// below the smallest normal number (zero, negative, subnormal, NaN) counts as that, about −708.4, and infinity as
/// the largest number, about 709.8.
#[inline(always)]
pub fn ln(x: f64) -> f64 {
    let x = if x > f64::MIN_POSITIVE { x } else { f64::MIN_POSITIVE };
    let x = if x < f64::MAX { x } else { f64::MAX };
    // x = 2^k (1 + f) with 1 + f in [√½, √2). The exponent becomes a float by way of 2^52: AVX2 has no conversion.
    let bits = x.to_bits().wrapping_add(1.0f64.to_bits() - SQRT_HALF_BITS);
    let k = f64::from_bits((bits >> 52) | TWO_TO_52.to_bits()) - (TWO_TO_52 + 1023.0);
    let f = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + SQRT_HALF_BITS) - 1.0;
    // ln(1 + f) = 2 atanh(s) = 2s + s R(s²); R is a Chebyshev fit of our own, good to 2^-56.5 (Taylor needs 3 more
    // terms). f - f²/2 + s (f²/2 + R) is the same, with the rounding of s kept out of the leading term.
    let s = f / (2.0 + f);
    let z = s * s;
    let z2 = z * z;
    let low = 0.666_666_666_666_667 + z * 0.399_999_999_998_994_96;
    let middle = 0.285_714_286_259_754_87 + z * 0.222_222_111_347_950_8;
    let high = (0.181_828_891_252_617_23 + z * 0.153_317_216_005_560_42) + z2 * 0.146_164_496_850_434_06;
    let r = z * (low + z2 * (middle + z2 * high));
    let half_square = 0.5 * f * f;
    k * LN_2_HIGH + (f - (half_square - (s * (half_square + r) + k * LN_2_LOW)))
}

#[cfg(test)]
mod tests {
    /// Worst difference from libm over normal numbers of every size, and closely around 1, in units in the last place.
    fn worst_of_ln(ln: impl Fn(f64) -> f64) -> f64 {
        let everywhere = (0..400_000u64).map(|i| f64::from_bits((1 << 52) + i * 23_030_683_119_713));
        let near_one = (-200_000..200_000i32).map(|i| 1.0 + f64::from(i) * 3.3e-6);
        let very_near = (-60..60i32).map(|i| 1.0 + f64::from(i) * f64::EPSILON);
        let fixed = [f64::MIN_POSITIVE, f64::MAX, 0.5f64.sqrt(), 2f64.sqrt(), 2.0, 0.5, 1.0 - f64::EPSILON / 2.0];
        let mut worst: f64 = 0.0;
        for x in everywhere.chain(near_one).chain(very_near).chain(fixed) {
            let (ours, theirs) = (ln(x), libm::log(x));
            assert!(x.is_normal() && ours.is_finite(), "{x:e} gives {ours}");
            if theirs == 0.0 {
                assert_eq!(ours, 0.0);
                continue;
            }
            let unit = theirs.abs().next_up() - theirs.abs();
            worst = worst.max(((ours - theirs) / unit).abs());
        }
        worst
    }

    #[test]
    fn ln_is_within_one_and_a_half_units_in_the_last_place() {
        let worst = worst_of_ln(super::ln);
        assert!(worst <= 1.5, "off by {worst} units");
        // The comparison can fail: one part in 10^15 is seen.
        assert!(worst_of_ln(|x| super::ln(x) * (1.0 + 1e-15)) > 1.5);
    }

    #[test]
    fn ln_saturates_where_there_is_no_logarithm() {
        let least = super::ln(f64::MIN_POSITIVE);
        for x in [0.0, -0.0, -1.0, f64::NEG_INFINITY, f64::NAN, 5e-324] {
            assert_eq!(super::ln(x), least, "{x}");
        }
        assert!((least + 708.396_418_532_264_1).abs() < 1e-12);
        assert_eq!(super::ln(f64::INFINITY), super::ln(f64::MAX));
    }

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
