//! Functions in 32-bit fixed point, bit for bit as gemmlowp and TFLite compute them.
//!
//! `Qm.n` has `m` bits before the point and `n` behind it; `m + n = 31`. A product of `Qa` and `Qb` by
//! [`multiply`] has `a + b` integer bits. Source followed: gemmlowp `fixedpoint.h`, TFLite
//! `internal/common.h` (`GetInvSqrtQuantizedMultiplierExp`).

use ferrolite_runtime::quant::{
    rounding_divide_by_power_of_two as divide, saturating_rounding_doubling_high_mul as multiply,
};

/// 1 in Q2.29.
const ONE_Q2: i32 = 1 << 29;

/// `x * 2^exponent`, saturating.
fn shift_left(x: i32, exponent: u32) -> i32 {
    (i64::from(x) << exponent).clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// The exponential in Q0.31 of a number that is not positive, with `integer_bits` (at most 5) of them
/// before the point.
///
/// With `x = r - q / 4` and `r` in `[-1/4, 0)`, it is the exponential of `r`, times `exp(-2^e)` for
/// each bit of `q / 4`.
pub(super) fn exp_on_negative_values(x: i32, integer_bits: u32) -> i32 {
    /// `exp(-2^e)` in Q0.31 for `e` from -2 to 4.
    const FACTORS: [i32; 7] =
        [1_672_461_947, 1_302_514_674, 790_015_084, 290_630_308, 39_332_535, 720_401, 242];
    if x == 0 {
        return i32::MAX;
    }
    let quarter_bits = 29 - integer_bits;
    let quarter = 1 << quarter_bits;
    let rest = (x & (quarter - 1)) - quarter;
    let quarters = rest.wrapping_sub(x);
    let start = exp_between_minus_a_quarter_and_0(rest << integer_bits);
    // Bits behind the 31st do not exist; the factors that belong to them are left out.
    let factors = FACTORS.iter().zip(quarter_bits..31);
    factors.fold(
        start,
        |result, (&factor, bit)| {
            if quarters & (1 << bit) != 0 { multiply(result, factor) } else { result }
        },
    )
}

/// The exponential of a Q0.31 number in `[-1/4, 0)`, by its Taylor series around -1/8 up to the
/// fourth power.
fn exp_between_minus_a_quarter_and_0(x: i32) -> i32 {
    const EXP_OF_MINUS_AN_EIGHTH: i32 = 1_895_147_668;
    const THIRD: i32 = 715_827_883;
    let x = x + (1 << 28);
    let x2 = multiply(x, x);
    let x3 = multiply(x2, x);
    let x4 = multiply(x2, x2);
    let cubic = multiply(divide(x4, 2) + x3, THIRD);
    let series = x + divide(cubic + x2, 1);
    EXP_OF_MINUS_AN_EIGHTH + multiply(EXP_OF_MINUS_AN_EIGHTH, series)
}

/// `2 / (1 + x)` in Q2.29 for `x` in Q0.31, by three of Newton's steps from `(48 - 16 (1 + x)) / 17`.
fn two_over_one_plus_x(x: i32) -> i32 {
    let half_denominator = ((i64::from(x) + i64::from(i32::MAX) + 1) / 2) as i32;
    let mut y = 1_515_870_810 + multiply(half_denominator, -1_010_580_540);
    for _ in 0..3 {
        let error = ONE_Q2 - multiply(half_denominator, y);
        y += shift_left(multiply(y, error), 2);
    }
    y
}

/// `1 / (1 + exp(-x))` in Q0.31 for `x` in Q4.27.
pub(super) fn logistic(x: i32) -> i32 {
    if x == 0 {
        return 1 << 30;
    }
    let above_half = shift_left(two_over_one_plus_x(exp_on_negative_values(-x.abs(), 4)), 1);
    if x > 0 { above_half } else { i32::MAX - above_half }
}

/// The hyperbolic tangent in Q0.31 of `x` in Q4.27: `(1 - e) / (1 + e)` with `e = exp(-2 |x|)`.
pub(super) fn tanh(x: i32) -> i32 {
    if x == 0 {
        return 0;
    }
    // The same bits with one more before the point are twice the number.
    let exponential = exp_on_negative_values(-x.abs(), 5);
    let magnitude = shift_left(two_over_one_plus_x(exponential) - ONE_Q2, 2);
    if x > 0 { magnitude } else { -magnitude }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn real(x: i32, integer_bits: u32) -> f64 {
        f64::from(x) / f64::from(31 - integer_bits).exp2()
    }

    #[test]
    fn functions_are_near_the_real_ones() {
        for x in (i32::MIN + 1..i32::MAX - 999_983).step_by(999_983) {
            let four = real(x, 4);
            assert!((real(logistic(x), 0) - 1.0 / (1.0 + (-four).exp())).abs() < 3e-7, "logistic({four})");
            assert!((real(tanh(x), 0) - four.tanh()).abs() < 6e-7, "tanh({four})");
            if x < 0 {
                for bits in [4, 5] {
                    let e = real(exp_on_negative_values(x, bits), 0);
                    assert!((e - real(x, bits).exp()).abs() < 3e-7, "exp({})", real(x, bits));
                }
            }
        }
        assert_eq!((logistic(0), tanh(0), exp_on_negative_values(0, 4)), (1 << 30, 0, i32::MAX));
    }
}
