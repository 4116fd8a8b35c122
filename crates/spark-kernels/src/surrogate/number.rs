//! What formulas are written in that a fused loop and a reference share.

use burn::backend::{Backend, Scalar, TensorMetadata, get_device_settings};
use std::f32::consts::{FRAC_1_SQRT_2, LOG2_E, PI, TAU};
use std::ops::{Add, Mul, Neg, Sub};

use crate::composed::T;

/// One `f32`, or every element of a tensor at once.
///
/// A formula over this trait is the scalar in a fused loop and the reference body in one. The functions
/// of `f32` have no branch and call no library, so that a loop over them becomes vector instructions.
pub(crate) trait Number:
    Clone
    + Add<Output = Self>
    + Sub<Output = Self>
    + Mul<Output = Self>
    + Neg<Output = Self>
    + Add<f32, Output = Self>
    + Mul<f32, Output = Self>
{
    /// `value`, with the shape of `self`.
    fn constant(&self, value: f32) -> Self;

    fn abs(self) -> Self;

    fn exp(self) -> Self;

    /// Natural logarithm of a number of at least `f32::MIN_POSITIVE`.
    fn ln(self) -> Self;

    /// `self` less the nearest integer, from −½ to ½.
    fn fraction(self) -> Self;

    /// `cos(2π·self)` from −½ to ½.
    fn cos_turns(self) -> Self;

    fn sqrt(self) -> Self;

    fn recip(self) -> Self;

    /// The larger of `self` and `min`.
    fn at_least(self, min: f32) -> Self;

    /// `self` between `min` and `max`, else the nearer of both.
    #[inline(always)]
    fn bounded(self, min: f32, max: f32) -> Self {
        -(-self.at_least(min)).at_least(-max)
    }

    /// `above` where `self > edge`, `below` elsewhere.
    fn choose(self, edge: f32, above: Self, below: Self) -> Self;
}

impl Number for f32 {
    #[inline(always)]
    fn constant(&self, value: f32) -> f32 {
        value
    }

    #[inline(always)]
    fn abs(self) -> f32 {
        self.abs()
    }

    #[inline(always)]
    fn exp(self) -> f32 {
        exp(self)
    }

    #[inline(always)]
    fn ln(self) -> f32 {
        ln(self)
    }

    #[inline(always)]
    fn fraction(self) -> f32 {
        // From 2²² on an f32 tells half turns apart at best; all those count as whole ones.
        let bounded = if self.abs() >= 4_194_304.0 { 0.0 } else { self };
        bounded - ((bounded + ROUND) - ROUND)
    }

    #[inline(always)]
    fn cos_turns(self) -> f32 {
        cos_turns(self)
    }

    #[inline(always)]
    fn sqrt(self) -> f32 {
        self.sqrt()
    }

    #[inline(always)]
    fn recip(self) -> f32 {
        1.0 / self
    }

    #[inline(always)]
    fn at_least(self, min: f32) -> f32 {
        // Not `f32::max`: written so, it is one instruction and keeps a NaN.
        if self < min { min } else { self }
    }

    #[inline(always)]
    fn choose(self, edge: f32, above: f32, below: f32) -> f32 {
        if self > edge { above } else { below }
    }
}

impl<B: Backend> Number for T<B> {
    fn constant(&self, value: f32) -> Self {
        let dtype = self.0.dtype().into();
        Self(B::float_full(self.shape(), Scalar::from(value), &self.0.device(), dtype))
    }

    fn abs(self) -> Self {
        Self(B::float_abs(self.0))
    }

    fn exp(self) -> Self {
        Self(B::float_exp(self.0))
    }

    fn ln(self) -> Self {
        Self(B::float_log(self.0))
    }

    fn fraction(self) -> Self {
        let whole = B::float_round(self.0.clone());
        Self(B::float_sub(self.0, whole))
    }

    fn cos_turns(self) -> Self {
        Self(B::float_cos((self * TAU).0))
    }

    fn sqrt(self) -> Self {
        Self(B::float_sqrt(self.0))
    }

    fn recip(self) -> Self {
        Self(B::float_recip(self.0))
    }

    fn at_least(self, min: f32) -> Self {
        Self(B::float_clamp_min(self.0, Scalar::from(min)))
    }

    fn choose(self, edge: f32, above: Self, below: Self) -> Self {
        let settings = get_device_settings::<B>(&self.0.device());
        let mask = B::float_greater_elem(self.0, Scalar::from(edge), settings.bool_dtype);
        Self(B::float_mask_where(below.0, mask, above.0))
    }
}

/// Adding and subtracting it rounds a number below 2²² to an integer, which the low bits of the sum hold.
const ROUND: f32 = 12_582_912.0; // 1.5·2²³

/// `eˣ` within 2 units in the last place over the whole range, subnormal results included.
///
/// `x = n·ln 2 + r`, `eˣ = 2ⁿ·eʳ`, with the polynomial for `eʳ` of Moshier's Cephes library (`expf`).
#[inline(always)]
fn exp(x: f32) -> f32 {
    // Beyond these the result is 0 and infinity; a NaN passes both comparisons.
    let x = if x < -104.0 { -104.0 } else { x };
    let x = if x > 89.0 { 89.0 } else { x };
    let shifted = x * LOG2_E + ROUND;
    let n = shifted - ROUND;
    // ln 2 in two parts; the first has few enough bits for an exact product.
    let r = x - n * 0.693_359_4 - n * -2.121_944_4e-4;
    let mut p = 1.987_569_1e-4;
    p = p * r + 1.398_199_9e-3;
    p = p * r + 8.333_452e-3;
    p = p * r + 4.166_579_6e-2;
    p = p * r + 1.666_666_5e-1;
    p = p * r + 0.5;
    p = p * (r * r) + r + 1.0;
    // 2ⁿ in two factors: one alone cannot be written for the smallest and the largest n.
    let n = (shifted.to_bits() as i32).wrapping_sub(ROUND.to_bits() as i32);
    let half = n >> 1;
    p * power_of_two(half) * power_of_two(n.wrapping_sub(half))
}

/// `2ⁿ` for `−126 ≤ n ≤ 127`.
#[inline(always)]
fn power_of_two(n: i32) -> f32 {
    f32::from_bits((n.wrapping_add(127) as u32) << 23)
}

/// The natural logarithm within 2 units in the last place, for `x ≥ f32::MIN_POSITIVE`.
///
/// `x = 2ⁿ·m` with `√½ ≤ m < √2`, and the polynomial for `ln m` of Moshier's Cephes library (`logf`).
#[inline(always)]
fn ln(x: f32) -> f32 {
    let bits = x.to_bits() as i32;
    let n = bits.wrapping_sub(FRAC_1_SQRT_2.to_bits() as i32) >> 23;
    let m = f32::from_bits(bits.wrapping_sub(n << 23) as u32) - 1.0;
    let n = n as f32;
    let mut p = 7.037_683_6e-2;
    p = p * m - 1.151_461e-1;
    p = p * m + 1.167_699_87e-1;
    p = p * m - 1.242_014_1e-1;
    p = p * m + 1.424_932_3e-1;
    p = p * m - 1.666_805_8e-1;
    p = p * m + 2.000_071_4e-1;
    p = p * m - 2.499_999_4e-1;
    p = p * m + 3.333_333e-1;
    let z = m * m;
    (m + (p * m * z + n * -2.121_944_4e-4 - 0.5 * z)) + n * 0.693_359_4
}

/// `cos(2πx)` within 5e-7, from −½ to ½.
///
/// `cos 2πx = 1 − 2·sin² πx`, with the Taylor series of the sine.
#[inline(always)]
fn cos_turns(x: f32) -> f32 {
    let r = x * PI;
    let z = r * r;
    let mut p = 1.605_904_4e-10;
    p = p * z - 2.505_210_8e-8;
    p = p * z + 2.755_731_9e-6;
    p = p * z - 1.984_127e-4;
    p = p * z + 8.333_333e-3;
    p = p * z - 1.666_666_7e-1;
    let sine = r + r * z * p;
    1.0 - 2.0 * (sine * sine)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Distance in units in the last place of the expected number.
    fn ulps(found: f32, expected: f64) -> f64 {
        let nearest = expected as f32;
        let ulp = f64::from(nearest.next_up()) - f64::from(nearest);
        (f64::from(found) - expected).abs() / ulp
    }

    /// Evenly spread over all `f32` between two positive numbers.
    fn floats(low: f32, high: f32) -> impl Iterator<Item = f32> {
        (low.to_bits()..=high.to_bits()).step_by(997).map(f32::from_bits)
    }

    #[test]
    fn exp_is_within_two_units_in_the_last_place() {
        let mut worst = 0.0f64;
        for x in floats(1e-9, 104.0) {
            worst = worst.max(ulps(exp(-x), f64::from(-x).exp()));
            if x < 88.72 {
                worst = worst.max(ulps(exp(x), f64::from(x).exp()));
            }
        }
        assert!(worst <= 2.0, "{worst} units");
    }

    #[test]
    fn exp_ends_in_zero_infinity_and_nan() {
        assert_eq!(exp(0.0), 1.0);
        assert_eq!([exp(-105.0), exp(-1e30), exp(f32::NEG_INFINITY)], [0.0; 3]);
        assert_eq!([exp(88.8), exp(1e30), exp(f32::INFINITY)], [f32::INFINITY; 3]);
        assert!(exp(f32::NAN).is_nan());
    }

    #[test]
    fn ln_is_within_two_units_in_the_last_place() {
        let worst =
            floats(f32::MIN_POSITIVE, f32::MAX).map(|x| ulps(ln(x), f64::from(x).ln())).fold(0.0, f64::max);
        assert!(worst <= 2.0, "{worst} units");
        assert_eq!(ln(1.0), 0.0);
    }

    #[test]
    fn cosines_of_turns_are_close() {
        for x in floats(1e-6, 4e6) {
            let expected = (std::f64::consts::TAU * f64::from(x).fract()).cos();
            for found in [cos_turns(x.fraction()), cos_turns((-x).fraction())] {
                assert!((f64::from(found) - expected).abs() <= 5e-7, "at {x}: {found}, expected {expected}");
            }
        }
        assert_eq!(f32::MAX.fraction(), 0.0);
    }
}
