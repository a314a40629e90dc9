//! From sums to int8: the output stage of eight channels, and scales that two operands share.
//!
//! A vector has no shift by a number of each lane, so both roundings are products of 64 bits. With `x` below 2^30,
//!
//! ```text
//! high  = upper word of 2 x * mantissa + 2^31                              (x * mantissa + 2^30) >> 31
//! y     = upper word of 2 (high - [high < 0]) * 2^(31 - s) + (2 z + 1) 2^31    round(high / 2^s) + z
//! ```
//! where ties of `high / 2^s` go away from zero. Any `x` takes the bits from the 31st on instead, by a shift of both halves.

use core::arch::wasm32::*;
use core::cell::Cell;

use ferrolite_schema::params::Multiplier;

use super::memory::{again, numbers, store_8};
use crate::kernels::Stage;

/// Channels of a block.
pub(super) const BLOCK: usize = 8;

/// `2^exponent` of four exponents in `0 ..= 30`. Others give any number.
#[inline(always)]
fn powers(exponents: v128) -> v128 {
    // The exponent of a real.
    i32x4_trunc_sat_f32x4(i32x4_shl(i32x4_add(exponents, i32x4_splat(127)), 23))
}

/// The upper words of two times two products of 32-bit numbers with a term.
#[inline(always)]
fn upper(a: v128, b: v128, term: v128) -> v128 {
    let low = i64x2_add(i64x2_extmul_low_i32x4(a, b), term);
    let high = i64x2_add(i64x2_extmul_high_i32x4(a, b), term);
    i32x4_shuffle::<1, 3, 5, 7>(low, high)
}

/// Bits 31 to 62 of the same.
#[inline(always)]
fn from_31(a: v128, b: v128, term: v128) -> v128 {
    let low = i64x2_add(i64x2_extmul_low_i32x4(a, b), term);
    let high = i64x2_add(i64x2_extmul_high_i32x4(a, b), term);
    i32x4_shuffle::<0, 2, 4, 6>(u64x2_shr(low, 31), u64x2_shr(high, 31))
}

/// Takes one from negative numbers.
#[inline(always)]
fn away_from_zero(high: v128) -> v128 {
    i32x4_add(high, i32x4_shr(high, 31))
}

/// The numbers of four channels, or of four elements.
#[derive(Clone, Copy)]
struct Four {
    mantissa: v128,
    /// `2^(31 - s)` of a right shift by `s` bits.
    power: v128,
    /// Of general ones `2^s` of a left shift, and all bits where there is a right shift.
    left: v128,
    rights: v128,
}

impl Four {
    #[inline(always)]
    fn new<const GENERAL: bool>(mantissa: v128, shift: v128) -> Four {
        let power = powers(i32x4_add(shift, i32x4_splat(31)));
        match GENERAL {
            true => {
                let left = powers(i32x4_max(shift, i32x4_splat(0)));
                Four { mantissa, power, left, rights: i32x4_shr(shift, 31) }
            }
            false => Four { mantissa, power, left: power, rights: power },
        }
    }

    /// Numbers below 2^30, scaled; `term` is `(2 * zero point + 1) * 2^31`.
    #[inline(always)]
    fn scaled(&self, x: v128, term: v128) -> v128 {
        let high = upper(i32x4_add(x, x), again(&self.mantissa), i64x2_splat(1 << 31));
        let away = away_from_zero(high);
        upper(i32x4_add(away, away), again(&self.power), term)
    }

    /// Any numbers, to the left before the product, or to the right behind it.
    #[inline(always)]
    fn scaled_either_way(&self, x: v128, zero_point: v128, half: v128) -> v128 {
        let high = from_31(i32x4_mul(x, self.left), again(&self.mantissa), half);
        let right = from_31(away_from_zero(high), again(&self.power), half);
        i32x4_add(v128_bitselect(right, high, self.rights), zero_point)
    }
}

/// The output stage of eight channels of a packed layer, see [`Stage`]; with any multipliers and sums if `GENERAL`.
pub(super) struct Eight<const GENERAL: bool> {
    fours: [Four; 2],
    bias: [v128; 2],
    zero_point: i32,
    min: v128,
    max: v128,
}

impl<const GENERAL: bool> Eight<GENERAL> {
    /// Eight channels, starting with channel `first`; there may be fewer.
    #[inline(always)]
    pub(super) fn new(stage: &Stage<'_>, first: usize) -> Eight<GENERAL> {
        let bias = stage.bias.get(first..).and_then(|bias| bias.first_chunk::<BLOCK>());
        let few: [i32; BLOCK];
        let bias = match bias {
            Some(bias) => bias,
            None => {
                few = core::array::from_fn(|lane| stage.channel(first.wrapping_add(lane)).0);
                &few
            }
        };
        let multipliers = stage.multipliers.get(first..).and_then(|all| all.first_chunk::<BLOCK>());
        let fours = match (stage.multipliers, multipliers) {
            ([one], _) => [Four::new::<GENERAL>(i32x4_splat(one.mantissa), i32x4_splat(one.shift)); 2],
            (_, Some(eight)) => separate::<GENERAL>(eight),
            (_, None) => {
                separate::<GENERAL>(&core::array::from_fn(|lane| stage.channel(first.wrapping_add(lane)).1))
            }
        };
        let bias: &[[i32; 4]; 2] = bytemuck::cast_ref(bias);
        Eight {
            fours,
            bias: [numbers(&bias[0]), numbers(&bias[1])],
            zero_point: stage.zero_point,
            min: i8x16_splat(stage.min as i8),
            max: i8x16_splat(stage.max as i8),
        }
    }

    /// Eight outputs of 16 bits, of as many sums. They are clamped to that type only.
    #[inline(always)]
    fn outputs(&self, sums: [v128; 2]) -> v128 {
        let [low, high] = [0, 1].map(|half| {
            let (four, x) = (&self.fours[half], i32x4_add(sums[half], self.bias[half]));
            match GENERAL {
                true => four.scaled_either_way(x, i32x4_splat(self.zero_point), i64x2_splat(1 << 30)),
                false => {
                    let term = i64::from(self.zero_point).wrapping_mul(2).wrapping_add(1) << 31;
                    four.scaled(x, i64x2_splat(term))
                }
            }
        });
        i16x8_narrow_i32x4(low, high)
    }

    /// The outputs of two pixels, clamped.
    #[inline(always)]
    fn clamped(&self, low: v128, high: v128) -> v128 {
        i8x16_min(i8x16_max(i8x16_narrow_i16x8(low, high), self.min), self.max)
    }

    /// Writes the outputs of a pixel, or as many as there is room for.
    #[inline(always)]
    pub(super) fn store(&self, sums: [v128; 2], out: &[Cell<i8>]) {
        let outputs = self.outputs(sums);
        store_outputs::<0>(out, self.clamped(outputs, outputs));
    }

    /// The same of a row of int16, which have the zero point 0.
    #[inline(always)]
    pub(super) fn store_int16(&self, sums: [v128; 2], out: &[Cell<i16>]) {
        let outputs = self.outputs(sums);
        let [low, high] = [u64x2_extract_lane::<0>(outputs), u64x2_extract_lane::<1>(outputs)];
        let bytes = (u128::from(high) << 64 | u128::from(low)).to_le_bytes();
        for (out, bytes) in out.iter().zip(bytes.as_chunks::<2>().0) {
            out.set(i16::from_le_bytes(*bytes));
        }
    }

    /// The same as [`store`](Eight::store) of two pixels.
    #[inline(always)]
    pub(super) fn store_two(&self, sums: [[v128; 2]; 2], outs: [&[Cell<i8>]; 2]) {
        let [low, high] = sums.map(|sums| self.outputs(sums));
        let outputs = self.clamped(low, high);
        store_outputs::<0>(outs[0], outputs);
        store_outputs::<1>(outs[1], outputs);
    }
}

/// Mantissas and shifts apart.
#[inline(always)]
fn separate<const GENERAL: bool>(eight: &[Multiplier; BLOCK]) -> [Four; 2] {
    let pairs: &[[i32; 4]; 4] = bytemuck::cast_ref(eight);
    [0, 2].map(|at| {
        let (low, high) = (numbers(&pairs[at]), numbers(&pairs[at + 1]));
        Four::new::<GENERAL>(i32x4_shuffle::<0, 2, 4, 6>(low, high), i32x4_shuffle::<1, 3, 5, 7>(low, high))
    })
}

/// Writes eight outputs, the lower ones or the upper ones, or as many as there is room for.
#[inline(always)]
pub(super) fn store_outputs<const HALF: usize>(out: &[Cell<i8>], bytes: v128) {
    match out.first_chunk::<BLOCK>() {
        Some(out) => store_8::<i8, HALF>(out, bytes),
        None => {
            let bytes = u64x2_extract_lane::<HALF>(bytes).to_le_bytes();
            for (out, byte) in out.iter().zip(bytes) {
                out.set(byte as i8);
            }
        }
    }
}

/// A multiplier that does not shift left, the same for all elements.
#[derive(Clone, Copy)]
pub(super) struct Scale {
    four: Four,
    /// All bits where there is a second rounding.
    rounds: v128,
}

impl Scale {
    /// `None` for other multipliers.
    #[inline(always)]
    pub(super) fn new(multiplier: Multiplier) -> Option<Scale> {
        let fits = (-31..=0).contains(&multiplier.shift) && multiplier.mantissa >= 0;
        let [mantissa, shift] = [multiplier.mantissa, multiplier.shift].map(|number| i32x4_splat(number));
        fits.then(|| Scale { four: Four::new::<false>(mantissa, shift), rounds: i32x4_shr(shift, 31) })
    }

    /// Scales four numbers below 2^29, with both roundings, and adds a zero point.
    #[inline(always)]
    pub(super) fn apply(&self, x: v128, zero_point: i32) -> v128 {
        let high = upper(i32x4_add(x, x), again(&self.four.mantissa), i64x2_splat(1 << 31));
        let away = away_from_zero(high);
        let y = upper(i32x4_add(away, away), again(&self.four.power), i64x2_splat(1 << 31));
        i32x4_add(v128_bitselect(y, high, self.rounds), i32x4_splat(zero_point))
    }
}
