//! QUANTIZE of reals to 8 bits by products: all results but those that are too near to a tie.

use core::cell::Cell;

use ferrolite_schema::params::QuantizeParams;

use crate::tensor::TensorView;

/// Whether the core multiplies reals: a target that passes them in registers, or a host.
pub(crate) const HARD_FLOAT: bool = cfg!(any(not(device), target_abi = "eabihf"));

/// Quotients by a product with the reciprocal, in 1/2^16: they tell the integer, but where they are too near to a tie.
///
/// The reciprocal, the product and the quotient that it stands for are off by 2^-24 of themselves each. Results of 8 bits
/// are made of quotients below 512, so that is 6 parts; cutting off what is less is one more.
#[derive(Clone, Copy, Debug)]
pub struct Near {
    /// 2^16 / scale.
    pub factor: f32,
    /// What is added before the fraction is cut off: one half, the zero point and [`Near::DOUBT`].
    pub term: i32,
    /// Makes an output of what is saturated to int8.
    pub flip: u8,
}

impl Near {
    /// Parts by which a quotient is wrong at most.
    pub const DOUBT: i32 = 8;

    /// For elements of 8 bits from `min` on; `None` where the bounds above do not hold.
    pub fn new(p: &QuantizeParams, min: i32) -> Option<Near> {
        let exponent = (p.scale.to_bits() >> 23).wrapping_sub(127 - 60);
        if exponent > 120 || p.zero_point.unsigned_abs() > 255 {
            return None;
        }
        let origin = p.zero_point.wrapping_sub(min).wrapping_sub(128);
        let term = origin.wrapping_shl(16).wrapping_add((1 << 15) + Near::DOUBT);
        Some(Near { factor: 65536.0 / p.scale, term, flip: if min < 0 { 0 } else { 0x80 } })
    }
}

/// See [`Kernels::quantize`](super::Kernels::quantize).
pub(super) fn portable(near: &Near, input: TensorView<'_, f32>, out: &[Cell<u8>]) -> usize {
    if HARD_FLOAT { blocks::<true>(near, input, out) } else { blocks::<false>(near, input, out) }
}

/// The same as on cores that would compute reals by functions, for tests.
#[cfg(test)]
pub(crate) fn quantize_by_integers(near: &Near, input: TensorView<'_, f32>, out: &[Cell<u8>]) -> usize {
    blocks::<false>(near, input, out)
}

#[inline(never)]
fn blocks<const HARD: bool>(near: &Near, input: TensorView<'_, f32>, out: &[Cell<u8>]) -> usize {
    let factor = Factor::of(near.factor);
    let parts = |real: f32| {
        // What is beyond 32 bits saturates twice. The smallest number is doubtful, wherever it comes from.
        if HARD {
            ((real * near.factor) as i32).saturating_add(near.term)
        } else {
            factor.times(real).wrapping_add(near.term)
        }
    };
    let is_doubtful = |parts: i32| parts & 0xFFFF < 2 * Near::DOUBT;
    let flips = u32::from_le_bytes([near.flip; 4]);
    let mut made = 0usize;
    for (reals, out) in input.arrays::<4>().zip(out.as_chunks::<4>().0) {
        let parts = reals.map(parts);
        if parts.into_iter().any(is_doubtful) {
            break;
        }
        let bytes = parts.map(|parts| (parts >> 16).clamp(-128, 127) as u8);
        let bytes = (u32::from_le_bytes(bytes) ^ flips).to_le_bytes();
        out.iter().zip(bytes).for_each(|(out, y)| out.set(y));
        made = made.wrapping_add(4);
    }
    made
}

/// A factor as integers, for cores that would compute reals by functions.
struct Factor {
    /// With 32 bits, the highest of them set.
    mantissa: u32,
    exponent: i32,
}

impl Factor {
    /// Of a positive number that is not subnormal.
    fn of(real: f32) -> Factor {
        let bits = real.to_bits();
        Factor { mantissa: bits << 8 | 1 << 31, exponent: (bits >> 23 & 0xFF) as i32 }
    }

    /// The whole part of a product, up to 2^29.
    #[inline(always)]
    fn times(&self, real: f32) -> i32 {
        let bits = real.to_bits();
        let mantissa = bits << 8 | 1 << 31;
        let high = ((u64::from(mantissa) * u64::from(self.mantissa)) >> 32) as u32;
        // Both mantissas are 2^31 times what they stand for, exponents are 127 more.
        let shift = (2 * 127 + 30i32).wrapping_sub(self.exponent).wrapping_sub((bits >> 23 & 0xFF) as i32);
        let magnitude = match shift {
            3..=31 => high.wrapping_shr(shift as u32) as i32,
            32.. => 0,
            _ if real.is_nan() => 0,
            _ => 1 << 29,
        };
        if bits >> 31 == 0 { magnitude } else { magnitude.wrapping_neg() }
    }
}
