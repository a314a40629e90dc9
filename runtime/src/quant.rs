//! The arithmetic of quantization: `real = scale * (q - zero_point)`.
//!
//! A real factor is a [`Multiplier`], `mantissa / 2^31 * 2^shift`. Scaling an accumulator by it rounds
//! twice ([`Rounding::Double`], gemmlowp's fixed point as TFLM uses it) or once
//! ([`Rounding::Single`]). The converter makes multipliers with the functions here, the kernels
//! apply them; both sides therefore agree by construction.
//!
//! Source followed: TFLite's `quantization_util` and gemmlowp's `fixedpoint.h`.

pub use ferrolite_schema::Rounding;
pub use ferrolite_schema::params::Multiplier;

/// The multiplier nearest to a real factor. `real` must be finite and not negative. Factors below
/// `2^-32` become zero and those from `2^30` on the largest multiplier, as in TFLite.
pub fn multiplier(real: f64) -> Multiplier {
    if real <= 0.0 || !real.is_finite() {
        return Multiplier { mantissa: 0, shift: 0 };
    }
    let (fraction, mut shift) = libm::frexp(real);
    // `fraction` lies in [0.5, 1), so the product lies in [2^30, 2^31] and fits an i64 exactly.
    let mut mantissa = libm::round(fraction * (1u64 << 31) as f64) as i64;
    if mantissa == 1 << 31 {
        mantissa /= 2;
        shift += 1;
    }
    if shift < -31 {
        return Multiplier { mantissa: 0, shift: 0 };
    }
    if shift > 30 {
        return Multiplier { mantissa: i32::MAX, shift: 30 };
    }
    Multiplier { mantissa: mantissa as i32, shift }
}

/// `a * b / 2^31`, rounded to nearest, ties upwards; saturates in the one case that overflows,
/// `i32::MIN` squared.
///
/// gemmlowp writes this as a nudge that depends on the product's sign and a division that truncates;
/// both round ties upwards.
#[inline(always)]
pub fn saturating_rounding_doubling_high_mul(a: i32, b: i32) -> i32 {
    if a == i32::MIN && b == i32::MIN {
        return i32::MAX;
    }
    ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32
}

/// `x / 2^exponent`, rounded to nearest, ties away from zero; `exponent` in `0 ..= 31`.
#[inline(always)]
pub fn rounding_divide_by_power_of_two(x: i32, exponent: u32) -> i32 {
    let mask = 1u32.wrapping_shl(exponent).wrapping_sub(1) as i32;
    let remainder = x & mask;
    let threshold = (mask >> 1).wrapping_add(i32::from(x < 0));
    x.wrapping_shr(exponent).wrapping_add(i32::from(remainder > threshold))
}

/// Scales an accumulator. With double rounding, a left shift wraps as in C; TFLM's accumulators do
/// not reach that far.
#[inline(always)]
pub fn requantize(x: i32, multiplier: Multiplier, rounding: Rounding) -> i32 {
    match rounding {
        Rounding::Double => requantize_double(x, multiplier),
        Rounding::Single => requantize_single(x, multiplier),
    }
}

/// The same, but not inlined, for loops that few models have and that call it several times.
#[inline(never)]
pub(crate) fn requantize_called(x: i32, multiplier: Multiplier, rounding: Rounding) -> i32 {
    requantize(x, multiplier, rounding)
}

/// Scales an accumulator with gemmlowp's two roundings. The multiplier is not negative.
///
/// The second rounding is written so that nothing overflows and no branch depends on the sign: with
/// `t = h` for `h >= 0` and `h - 1` below, half away from zero is `floor(t / 2^s + 1/2)`.
#[inline(always)]
pub fn requantize_double(x: i32, multiplier: Multiplier) -> i32 {
    let high = |x: i32| ((i64::from(x) * i64::from(multiplier.mantissa) + (1 << 30)) >> 31) as i32;
    if multiplier.shift >= 0 {
        return high(x.wrapping_shl(multiplier.shift as u32));
    }
    let h = high(x);
    let t = h.wrapping_add(h >> 31);
    let half = t.wrapping_shr(multiplier.shift.wrapping_neg().wrapping_sub(1) as u32);
    half.wrapping_add(1) >> 1
}

/// [`requantize_double`] by a multiplier that shifts to the right, and a zero point, with what is the same for all numbers
/// made once: for accumulators of at most 2^30 and zero points below 2^28. A multiplier below a half takes any accumulator.
#[derive(Clone, Copy, Debug, Default)]
#[repr(C)]
pub(crate) struct Right {
    /// Twice the mantissa, which lacks the bit above a word.
    twice: i32,
    /// The shift, but for one bit.
    shift: u32,
    /// Twice the zero point, and one half of what is cut off last.
    term: i32,
}

/// The multiplier of one half.
pub(crate) const HALF: Multiplier = Multiplier { mantissa: 1 << 30, shift: 0 };

impl Right {
    /// That of one half, for even numbers: there is no other way to say it with a shift.
    pub(crate) const HALF: Right = Right { twice: 0, shift: 0, term: 1 };

    /// `None` for other multipliers, and for such as [`multiplier`] does not make.
    #[inline(always)]
    pub(crate) fn new(multiplier: Multiplier, zero_point: i32) -> Option<Right> {
        let Multiplier { mantissa, shift } = multiplier;
        let term = zero_point.wrapping_mul(2).wrapping_add(1);
        // A Cortex-M0 has little flash.
        let is_usual = shift < 0 && mantissa >= 1 << 30 && !cfg!(kernels = "armv6m");
        is_usual.then_some(Right { twice: mantissa.wrapping_mul(2), shift: !shift as u32, term })
    }

    /// The product of gemmlowp is the upper word of that with twice the factor.
    #[inline(always)]
    pub(crate) fn scale(&self, x: i32) -> i32 {
        let high = ((i64::from(x) * i64::from(self.twice) + (1 << 31)) >> 32) as i32;
        let high = high.wrapping_add(x);
        let half = high.wrapping_add(high >> 31).wrapping_shr(self.shift);
        half.wrapping_add(self.term) >> 1
    }
}

/// The same by a multiplier that does not shift to the right: for accumulators of at most 2^21 and zero points below 2^28.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Left {
    /// Twice the mantissa, which lacks the bit above a word.
    twice: i32,
    shift: u32,
    zero_point: i32,
}

impl Left {
    /// `None` for other multipliers, for shifts beyond 8, and for such as [`multiplier`] does not make.
    #[inline(always)]
    pub(crate) fn new(multiplier: Multiplier, zero_point: i32) -> Option<Left> {
        let Multiplier { mantissa, shift } = multiplier;
        let is_usual = (0..=8).contains(&shift) && mantissa >= 1 << 30 && !cfg!(kernels = "armv6m");
        is_usual.then_some(Left { twice: mantissa.wrapping_mul(2), shift: shift as u32, zero_point })
    }

    /// The only rounding is that of the product.
    #[inline(always)]
    pub(crate) fn scale(&self, x: i32) -> i32 {
        let x = x.wrapping_shl(self.shift);
        let high = ((i64::from(x) * i64::from(self.twice) + (1 << 31)) >> 32) as i32;
        high.wrapping_add(x).wrapping_add(self.zero_point)
    }
}

/// Scales an accumulator with one rounding, ties upwards; saturates. Out of line: few models ask for it,
/// and its 64-bit shifts would crowd the registers of every kernel.
#[cold]
#[inline(never)]
pub fn requantize_single(x: i32, multiplier: Multiplier) -> i32 {
    let shift = 31i32.wrapping_sub(multiplier.shift) as u32;
    let round = 1i64.wrapping_shl(shift.wrapping_sub(1));
    let product = i64::from(x) * i64::from(multiplier.mantissa);
    let scaled = product.wrapping_add(round).wrapping_shr(shift);
    scaled.clamp(i32::MIN.into(), i32::MAX.into()) as i32
}

/// The reciprocal of a positive number `x` with `integer_bits` bits before the binary point:
/// `(scale, bits)`, where `1 / x = scale / 2^31 / 2^bits` and `scale` is above one half.
///
/// Source followed: TFLite's `GetReciprocal`, gemmlowp's `one_over_one_plus_x_for_x_in_0_1`.
#[inline]
pub fn reciprocal(x: u32, integer_bits: i32) -> (i32, i32) {
    let zeros = x.leading_zeros();
    let fraction = x.wrapping_shl(zeros) & (u32::MAX >> 1);
    (one_over_one_plus(fraction as i32), integer_bits.wrapping_sub(zeros as i32))
}

/// `1 / (1 + x)` for `x` in `[0, 1)`, both Q0.31.
#[inline]
pub(crate) fn one_over_one_plus(x: i32) -> i32 {
    let multiply = |a: i32, b: i32| ((i64::from(a) * i64::from(b) + (1 << 30)) >> 31) as i32;
    one_over_one_plus_by(x, multiply, multiply)
}

/// By these products, rounded, in Q0.31: of half the denominator, which is at least 2^30, with a factor, and of an estimate
/// with an error, which is less than 2^30. Three steps of Newton's method on half the denominator, in Q2.29, from the best
/// linear estimate `48/17 - 32/17 * d`.
#[inline(always)]
pub(crate) fn one_over_one_plus_by(
    x: i32,
    of_half: impl Fn(i32, i32) -> i32,
    of_error: impl Fn(i32, i32) -> i32,
) -> i32 {
    const ONE: i32 = 1 << 29;
    // No factor is `i32::MIN`, and nothing saturates: the estimate stays near 2 / (1 + x), between 1 and 2 in Q2.29.
    // Half the sum of x and 1.0 in Q0.31, rounded up; 1.0 is the largest number there is.
    let half_denominator = ((x as u32).wrapping_add(1 << 31) >> 1) as i32;
    let mut estimate = 1_515_870_810i32.wrapping_add(of_half(half_denominator, -1_010_580_540));
    for _ in 0..3 {
        let error = ONE.wrapping_sub(of_half(half_denominator, estimate));
        // The product of two Q2.29 numbers is Q4.27.
        estimate = estimate.wrapping_add(of_error(estimate, error).wrapping_mul(4));
    }
    // It approximates 2 / (1 + x) in Q2.29, which halved is Q1.30 of the result; that of 1.0 may be one more.
    estimate.saturating_add(estimate)
}

/// Scales a sum of 64 bits as TFLM does: by the 16 upper bits of the mantissa, rounded to nearest, ties upwards, whatever
/// the model's rounding. Shifts beyond 7 to the left wrap.
///
/// Source followed: TFLite's `MultiplyByQuantizedMultiplier` of 64 bits.
#[inline]
pub fn requantize_long(x: i64, multiplier: Multiplier) -> i32 {
    let mantissa = if multiplier.mantissa < 0x7FFF_0000 {
        multiplier.mantissa.wrapping_add(1 << 15) >> 16
    } else {
        0x7FFF
    };
    let right = 15i32.wrapping_sub(multiplier.shift) as u32;
    let half = 1i64.wrapping_shl(right.wrapping_sub(1));
    x.wrapping_mul(mantissa.into()).wrapping_add(half).wrapping_shr(right) as i32
}

/// `1 / sqrt(x)` for an integer above 0, as a mantissa in Q0.31 and a power of two to the left; for all others that of 1.
///
/// Source followed: TFLite's `GetInvSqrtQuantizedMultiplierExp`.
#[inline]
pub fn inverse_sqrt(x: i32) -> (i32, i32) {
    const THREE_HALVES_Q3: i32 = (1 << 28) + (1 << 27);
    const HALF_SQRT_2: i32 = 1_518_500_250;
    let multiply = saturating_rounding_doubling_high_mul;
    if x <= 1 {
        return (i32::MAX, 0);
    }
    let (mut x, mut right) = (x, 11i32);
    while x >= 1 << 29 {
        x >>= 2;
        right = right.wrapping_add(1);
    }
    // To 2^27 .. 2^29, in pairs of bits.
    let pairs = (x.leading_zeros().wrapping_sub(1) >> 1).wrapping_sub(1);
    right = right.wrapping_sub(pairs as i32);
    let half = rounding_divide_by_power_of_two(x.wrapping_shl(pairs.wrapping_mul(2)) >> 1, 1);
    let mut y = 1i32 << 28;
    for _ in 0..5 {
        let cube = multiply(multiply(y, y), y).saturating_mul(64);
        y = multiply(THREE_HALVES_Q3, y).wrapping_sub(multiply(half, cube)).saturating_mul(8);
    }
    let y = multiply(y, HALF_SQRT_2);
    if right < 0 { (y.wrapping_shl(right.unsigned_abs()), 0) } else { (y, right.wrapping_neg()) }
}

/// The integer that stands for a real number, rounded half away from zero and clamped to
/// `min ..= max`; not-a-number becomes the zero point. At compile time it makes a threshold an integer.
pub const fn quantize(real: f32, scale: f32, zero_point: i32, min: i32, max: i32) -> i32 {
    let steps = real / scale;
    // Conversions saturate, and so must sums. What is left is exact: numbers that large have no fraction.
    let whole = steps as i32;
    let rest = steps - whole as f32;
    let away = (rest >= 0.5) as i32 - (rest <= -0.5) as i32;
    let q = whole.saturating_add(away).saturating_add(zero_point);
    if q < min {
        min
    } else if q > max {
        max
    } else {
        q
    }
}

/// The real number that an integer stands for.
pub const fn dequantize(q: i32, scale: f32, zero_point: i32) -> f32 {
    scale * q.wrapping_sub(zero_point) as f32
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    /// gemmlowp's definition, in its own form: a nudge by the product's sign, a truncating division.
    fn reference_high_mul(a: i32, b: i32) -> i32 {
        if a == i32::MIN && b == i32::MIN {
            return i32::MAX;
        }
        let product = i64::from(a) * i64::from(b);
        let nudge = if product >= 0 { 1 << 30 } else { 1 - (1 << 30) };
        ((product + nudge) / (1i64 << 31)) as i32
    }

    /// Of all ways to round half away from zero, that of the C library.
    fn rounded(steps: f32) -> i32 {
        (libm::roundf(steps) as i32).saturating_add(-7)
    }

    #[test]
    fn quantizing_rounds_as_the_c_library_does() {
        let special =
            [f32::INFINITY, f32::NEG_INFINITY, f32::NAN, f32::MAX, f32::MIN, 0.0, -0.0, f32::MIN_POSITIVE];
        let near = |x: f32| [x.next_down(), x, x.next_up()];
        let edges = [0.5, 1.5, 2.5, 8_388_607.5, 8_388_608.0, 16_777_216.0, 2_147_483_648.0f32];
        for x in special.into_iter().chain(edges.into_iter().flat_map(near)) {
            for x in [x, -x] {
                assert_eq!(quantize(x, 1.0, -7, i32::MIN, i32::MAX), rounded(x), "{x}");
            }
        }
    }

    proptest! {
        #[test]
        fn quantizing_rounds_any_bits_as_the_c_library_does(bits: u32) {
            let x = f32::from_bits(bits);
            prop_assert_eq!(quantize(x, 1.0, -7, i32::MIN, i32::MAX), rounded(x));
        }

        #[test]
        fn high_mul_is_gemmlowps(a: i32, b: i32) {
            prop_assert_eq!(saturating_rounding_doubling_high_mul(a, b), reference_high_mul(a, b));
        }

        #[test]
        fn division_rounds_half_away_from_zero(x: i32, exponent in 0u32..=31) {
            let exact = f64::from(x) / f64::from(exponent).exp2();
            prop_assert_eq!(f64::from(rounding_divide_by_power_of_two(x, exponent)), exact.round());
        }

        // Five of Newton's steps leave a little over a millionth.
        #[test]
        fn inverse_roots_are_near_the_real_ones(x in 1i32..) {
            let (mantissa, shift) = inverse_sqrt(x);
            let found = f64::from(mantissa) / f64::from(31 - shift).exp2();
            prop_assert!((found * f64::from(x).sqrt() - 1.0).abs() < 1e-5, "1 / sqrt({x}) = {found}");
        }

        #[test]
        fn reciprocals(x in 1u32..) {
            let (scale, bits) = reciprocal(x, 12);
            let (exact, found) = (f64::from(1 << 19) / f64::from(x), f64::from(scale) / f64::from(bits).exp2());
            prop_assert!((found / (1u64 << 31) as f64 / exact - 1.0).abs() < 1e-8, "{exact} {found}");
            prop_assert!(scale >= 1 << 30);
        }

        #[test]
        fn double_rounding_is_gemmlowps(x: i32, mantissa in 0..=i32::MAX, shift in -31i32..=30) {
            let shifted = x.wrapping_shl(shift.max(0) as u32);
            let high = saturating_rounding_doubling_high_mul(shifted, mantissa);
            let expected = rounding_divide_by_power_of_two(high, (-shift).max(0) as u32);
            prop_assert_eq!(requantize_double(x, Multiplier { mantissa, shift }), expected);
        }

        #[test]
        fn shifts_to_the_right_are_double_roundings(
            x in -(1 << 30)..=1i32 << 30,
            mantissa in 1i32 << 30..=i32::MAX,
            shift in -31i32..0,
            zero_point in -(1 << 28)..1i32 << 28,
        ) {
            let m = Multiplier { mantissa, shift };
            let right = Right::new(m, zero_point).unwrap();
            prop_assert_eq!(right.scale(x), requantize_double(x, m) + zero_point);
            prop_assert_eq!(Right::HALF.scale(x & !1), requantize_double(x & !1, HALF));
        }

        #[test]
        fn shifts_to_the_left_are_double_roundings(
            x in -(1 << 21)..=1i32 << 21,
            mantissa in 1i32 << 30..=i32::MAX,
            shift in 0i32..=8,
            zero_point in -(1 << 28)..1i32 << 28,
        ) {
            let m = Multiplier { mantissa, shift };
            prop_assert_eq!(Left::new(m, zero_point).unwrap().scale(x), requantize_double(x, m) + zero_point);
        }

        /// The definition: the product and a half, rounded down.
        #[test]
        fn single_rounding_is_of_the_exact_product(x: i32, mantissa in 0..=i32::MAX, shift in -31i32..=30) {
            let product = i128::from(x) * i128::from(mantissa);
            let bits = 31 - shift;
            let exact = (product + (1i128 << bits >> 1)).div_euclid(1 << bits);
            let expected = exact.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
            prop_assert_eq!(requantize_single(x, Multiplier { mantissa, shift }), expected);
        }

        #[test]
        fn both_roundings_are_near_the_real_product(x in -(1 << 24)..(1i32 << 24), real in 1e-9f64..1.0) {
            let m = multiplier(real);
            for rounding in [Rounding::Double, Rounding::Single] {
                let error = f64::from(requantize(x, m, rounding)) - f64::from(x) * real;
                prop_assert!(error.abs() <= 1.01, "{error}");
            }
        }
    }

    #[test]
    fn ties() {
        // -2.5 and 2.5 at the first rounding go up, at the second away from zero.
        assert_eq!(saturating_rounding_doubling_high_mul(-5, 1 << 30), -2);
        assert_eq!(saturating_rounding_doubling_high_mul(5, 1 << 30), 3);
        assert_eq!(rounding_divide_by_power_of_two(-5, 1), -3);
        assert_eq!(rounding_divide_by_power_of_two(5, 1), 3);
        assert_eq!(saturating_rounding_doubling_high_mul(i32::MIN, i32::MIN), i32::MAX);
        // The one rounding goes up, from either side of zero.
        for (x, half, quarter) in
            [(1, 1, 0), (-1, 0, 0), (2, 1, 1), (-2, -1, 0), (5, 3, 1), (-5, -2, -1), (-6, -3, -1)]
        {
            let scaled = |shift| requantize_single(x, Multiplier { mantissa: 1 << 30, shift });
            assert_eq!((scaled(0), scaled(-1)), (half, quarter), "{x}");
        }
    }

    #[test]
    fn multipliers() {
        assert_eq!(multiplier(0.5), Multiplier { mantissa: 1 << 30, shift: 0 });
        assert_eq!(multiplier(1.0), Multiplier { mantissa: 1 << 30, shift: 1 });
        assert_eq!(multiplier(0.0), Multiplier { mantissa: 0, shift: 0 });
        assert_eq!(multiplier(1e-30), Multiplier { mantissa: 0, shift: 0 });
        assert_eq!(multiplier(1e30), Multiplier { mantissa: i32::MAX, shift: 30 });
        // The mantissa rounds up to 2^31 and is renormalised.
        assert_eq!(multiplier(1.0 - 1e-12), Multiplier { mantissa: 1 << 30, shift: 1 });
    }

    /// Between these, the range of shifts is used up.
    #[test]
    fn multipliers_at_their_limits() {
        let zero = Multiplier { mantissa: 0, shift: 0 };
        for nothing in [-0.5, -1e30, f64::NAN, f64::INFINITY, f64::NEG_INFINITY] {
            assert_eq!(multiplier(nothing), zero, "{nothing}");
        }
        let smallest = (-32f64).exp2();
        assert_eq!(multiplier(smallest), Multiplier { mantissa: 1 << 30, shift: -31 });
        assert_eq!(multiplier(smallest * 1.5), Multiplier { mantissa: 3 << 29, shift: -31 });
        assert_eq!(multiplier(smallest * 0.999), zero);
        let largest = Multiplier { mantissa: i32::MAX, shift: 30 };
        assert_eq!(multiplier(30f64.exp2()), largest);
        assert_eq!(multiplier(29.5f64.exp2()).shift, 30);
        assert_eq!(multiplier(0.75 * 30f64.exp2()), Multiplier { mantissa: 3 << 29, shift: 30 });
        assert_eq!(multiplier(0.75 * 29f64.exp2()), Multiplier { mantissa: 3 << 29, shift: 29 });
    }

    #[test]
    fn high_mul_at_its_limits() {
        let numbers = [i32::MIN, i32::MIN + 1, -(1 << 30), -1, 0, 1, 1 << 30, i32::MAX - 1, i32::MAX];
        for (a, b) in numbers.iter().flat_map(|&a| numbers.map(|b| (a, b))) {
            assert_eq!(saturating_rounding_doubling_high_mul(a, b), reference_high_mul(a, b), "{a} {b}");
        }
    }

    /// With one rounding, by numbers of 128 bits: to nearest, ties upwards, saturated.
    #[test]
    fn single_rounding_by_definition() {
        let numbers = [i32::MIN, -3 << 20, -1001, -5, -3, -2, -1, 0, 1, 2, 3, 5, 999, 3 << 20, i32::MAX];
        let mantissas = [0, 1, 1 << 30, (1 << 30) + 1, 3 << 29, i32::MAX];
        for (x, mantissa) in numbers.iter().flat_map(|&x| mantissas.map(|mantissa| (x, mantissa))) {
            for shift in -31..=30 {
                let power = 1i128 << (31 - shift);
                let rounded = (2 * i128::from(x) * i128::from(mantissa) + power).div_euclid(2 * power);
                let wanted = rounded.clamp(i32::MIN.into(), i32::MAX.into()) as i32;
                let m = Multiplier { mantissa, shift };
                assert_eq!(requantize(x, m, Rounding::Single), wanted, "{x} {m:?}");
            }
        }
    }

    /// gemmlowp's own steps, on numbers of 64 bits.
    #[test]
    fn reciprocals_are_gemmlowps() {
        let multiply = |a: i64, b: i64| (a * b + (1 << 30)) >> 31;
        let reference = |x: i64| {
            let half = (x + (1 << 31)) >> 1;
            let mut y = 48 * (1i64 << 29) / 17 + multiply(half, -(32 * (1i64 << 29) / 17));
            for _ in 0..3 {
                y += 4 * multiply(y, (1 << 29) - multiply(half, y));
            }
            (2 * y).min(i32::MAX.into()) as i32
        };
        let mut x = 0i32;
        for step in 0..4000 {
            assert_eq!(one_over_one_plus(x), reference(x.into()), "{x}");
            x = x.wrapping_add(536_871 + step) & i32::MAX;
        }
        assert_eq!(one_over_one_plus(i32::MAX), reference(i32::MAX.into()));
    }

    #[test]
    fn reals_and_integers() {
        assert_eq!(quantize(1.0, 0.5, 3, -128, 127), 5);
        assert_eq!(quantize(0.25, 0.5, 0, -128, 127), 1);
        assert_eq!(quantize(-0.25, 0.5, 0, -128, 127), -1);
        assert_eq!([1e30, -1e30].map(|real| quantize(real, 0.5, 3, -128, 127)), [127, -128]);
        assert_eq!(
            [1e30, -1e30].map(|real| quantize(real, 0.5, 3, i32::MIN, i32::MAX)),
            [i32::MAX, i32::MIN + 3]
        );
        assert_eq!(quantize(-1e30, 0.5, -3, i32::MIN, i32::MAX), i32::MIN);
        assert_eq!(quantize(f32::NAN, 0.5, 7, -128, 127), 7);
        assert_eq!(dequantize(5, 0.5, 3), 1.0);
        assert_eq!(dequantize(-128, 0.25, 127), -63.75);
    }
}
