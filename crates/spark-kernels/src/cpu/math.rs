//! Elementary functions out of additions and multiplications.
//!
//! No call, no branch and no table: loops over them become vector instructions. No fused multiply-add
//! either, so that every machine and every instruction set gives the same bits. Coefficients are those of
//! the single-precision functions of Moshier's Cephes library.

/// `1.5·2²³`: adding it to a small number rounds that to the nearest whole one, found in the low bits.
const ROUND: f32 = 12_582_912.0;

/// `ln 2` in two parts, the first with few enough bits that its products with whole numbers are exact.
const LN_2_HIGH: f32 = 355.0 / 512.0;
const LN_2_LOW: f32 = -2.121_944_4e-4;

/// `eˣ` within two units in the last place; infinite above 88.73, zero below −104.
#[inline(always)]
pub(crate) fn exp(x: f32) -> f32 {
    let x = if x > 89.0 { 89.0 } else { x };
    let x = if x < -104.0 { -104.0 } else { x };
    let shifted = x * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let exponent = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let r = x - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    // Two factors, because 2ⁿ itself may lie outside of what a float holds.
    let half = exponent >> 1;
    (p * r * r + r + 1.0) * power_of_two(half) * power_of_two(exponent - half)
}

/// `2ⁿ` for `−126 ≤ n ≤ 127`.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits(((n + 127) << 23) as u32)
}

/// The natural logarithm of a positive normal number, within two units in the last place.
#[inline(always)]
pub(crate) fn ln(x: f32) -> f32 {
    /// Bits of `√½`: what lies above it in the mantissa belongs to the next power of two.
    const SQRT_HALF: i32 = 0x3f35_04f3;
    let offset = x.to_bits() as i32 - SQRT_HALF;
    let exponent = (offset >> 23) as f32;
    let mantissa = f32::from_bits(((offset & 0x007f_ffff) + SQRT_HALF) as u32);
    let m = mantissa - 1.0;
    let square = m * m;
    let mut p = 7.037_683_6e-2;
    for coefficient in [
        -1.151_461e-1,
        1.167_699_9e-1,
        -1.242_014_1e-1,
        1.424_932_3e-1,
        -1.666_805_8e-1,
        2.000_071_5e-1,
        -2.499_999_4e-1,
        3.333_333e-1,
    ] {
        p = p * m + coefficient;
    }
    let tail = p * m * square + LN_2_LOW * exponent - 0.5 * square;
    m + tail + LN_2_HIGH * exponent
}

/// Sine and cosine for `|x| ≤ π/4`, within one unit in the last place of 1.
#[inline(always)]
pub(crate) fn sin_cos(x: f32) -> (f32, f32) {
    let z = x * x;
    let sin = ((-1.951_529_6e-4 * z + 8.332_161e-3) * z - 1.666_665_5e-1) * z * x + x;
    let cos = ((2.443_315_7e-5 * z - 1.388_731_6e-3) * z + 4.166_664_6e-2) * z * z - 0.5 * z + 1.0;
    (sin, cos)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grid(low: f64, high: f64) -> impl Iterator<Item = f32> {
        (0..=20_000).map(move |i| (low + (high - low) * f64::from(i) / 20_000.0) as f32)
    }

    #[test]
    fn exp_is_the_exponential() {
        for x in grid(-87.0, 88.7) {
            let expected = f64::from(x).exp();
            let error = (f64::from(exp(x)) - expected) / expected;
            assert!(error.abs() < 2.4e-7, "{x}: {error}");
        }
        assert_eq!(exp(0.0), 1.0);
        assert_eq!(exp(1e30), f32::INFINITY);
        assert_eq!(exp(-1e30), 0.0);
        assert!(exp(-100.0) > 0.0, "subnormal");
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn ln_is_the_logarithm() {
        for x in grid(1e-6, 3.0).chain(grid(3.0, 1e9)) {
            let expected = f64::from(x).ln();
            let error = f64::from(ln(x)) - expected;
            assert!(error.abs() <= 2.4e-7 * expected.abs().max(1e-3), "{x}: {error}");
        }
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn sine_and_cosine_are_what_they_are() {
        let quarter = std::f64::consts::FRAC_PI_4;
        for x in grid(-quarter, quarter) {
            let (sin, cos) = sin_cos(x);
            let (expected_sin, expected_cos) = f64::from(x).sin_cos();
            assert!((f64::from(sin) - expected_sin).abs() < 1.2e-7, "{x}");
            assert!((f64::from(cos) - expected_cos).abs() < 1.2e-7, "{x}");
        }
    }
}
