//! QUANTIZE of float32: `out[i] = clamp(round(in[i] / scale) + zero_point)` with ties away from zero,
//! clamped to the output's type. At the border of a model only; integers have `requantize`, whose
//! images hold no float code. Source followed: TFLM `kernels/quantize_common.cc`,
//! `reference/quantize.h`.

use core::cell::Cell;

use ferrolite_schema::params::QuantizeParams;
use ferrolite_schema::{DType, OpCode};

use super::requantize::{HARD_FLOAT, Writer, expect_same_count, is_integer};
use super::{Operator, in_place};
use crate::error::Fault;
use crate::node::{Eval, Node};
use crate::quant;
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    // No output is wider than a float.
    Operator { code: OpCode::Quantize as u16, check, eval, lead: in_place }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let p: &QuantizeParams = node.params()?;
    // Not a number is not above zero.
    if !(p.scale > 0.0 && p.scale.is_finite()) {
        return Err(Fault::Parameters);
    }
    node.expect_operands(1, 1)?;
    let (input, output) = (node.input(0)?, node.output(0)?);
    if input.dtype() != Some(DType::Float32) || !is_integer(output) || !input.in_arena() {
        return Err(Fault::Operands);
    }
    expect_same_count(input, output)
}

fn eval(eval: &Eval<'_>) {
    let (Ok(p), Ok(output)) = (eval.node().params::<QuantizeParams>(), eval.node().output(0)) else {
        return;
    };
    if let Some(dtype) = output.dtype() {
        quantize(p, eval.view(0), dtype, eval.output(0));
    }
}

/// Quantizes to the integer type `dtype`, whose elements `out` holds as bytes.
pub fn quantize(p: &QuantizeParams, input: TensorView<'_, f32>, dtype: DType, out: &[Cell<u8>]) {
    let writer = Writer::new(dtype, out);
    if writer.size() == 1
        && let Some(near) = Near::new(p, writer.min)
    {
        near.quantize::<HARD_FLOAT>(p, &writer, input, out);
        return;
    }
    for (i, real) in input.iter().enumerate() {
        writer.set(i, quant::quantize(real, p.scale, p.zero_point, writer.min, writer.max));
    }
}

/// Quotients by a product with the reciprocal, in 1/2^16: they tell the integer, but where they are too near to a tie.
///
/// The reciprocal, the product and the quotient that it stands for are off by 2^-24 of themselves each. Results of 8 bits
/// are made of quotients below 512, so that is 6 parts; cutting off what is less is one more.
struct Near {
    /// 2^16 / scale.
    factor: f32,
    /// What is added before the fraction is cut off: one half, the zero point and [`Near::DOUBT`].
    term: i32,
    /// Makes an output of what is saturated to int8.
    flip: u8,
}

impl Near {
    /// Parts by which a quotient is wrong at most.
    const DOUBT: i32 = 8;

    /// For elements of 8 bits from `min` on; `None` where the bounds above do not hold.
    fn new(p: &QuantizeParams, min: i32) -> Option<Near> {
        let exponent = (p.scale.to_bits() >> 23).wrapping_sub(127 - 60);
        if exponent > 120 || p.zero_point.unsigned_abs() > 255 {
            return None;
        }
        let origin = p.zero_point.wrapping_sub(min).wrapping_sub(128);
        let term = origin.wrapping_shl(16).wrapping_add((1 << 15) + Near::DOUBT);
        Some(Near { factor: 65536.0 / p.scale, term, flip: if min < 0 { 0 } else { 0x80 } })
    }

    #[inline(never)]
    fn quantize<const HARD: bool>(
        &self,
        p: &QuantizeParams,
        writer: &Writer<'_>,
        input: TensorView<'_, f32>,
        out: &[Cell<u8>],
    ) {
        let factor = Factor::of(self.factor);
        let parts = |real: f32| {
            // What is beyond 32 bits saturates twice. The smallest number is doubtful, wherever it comes from.
            if HARD {
                ((real * self.factor) as i32).saturating_add(self.term)
            } else {
                factor.times(real).wrapping_add(self.term)
            }
        };
        let is_doubtful = |parts: i32| parts & 0xFFFF < 2 * Near::DOUBT;
        let flips = u32::from_le_bytes([self.flip; 4]);
        let (blocks, rest) = out.as_chunks::<4>();
        let mut at = 0usize;
        for (reals, out) in input.arrays::<4>().zip(blocks) {
            let parts = reals.map(parts);
            if parts.into_iter().any(is_doubtful) {
                exactly(p, writer, input.range(at, 4), out);
            } else {
                let bytes = parts.map(|parts| (parts >> 16).clamp(-128, 127) as u8);
                let bytes = (u32::from_le_bytes(bytes) ^ flips).to_le_bytes();
                out.iter().zip(bytes).for_each(|(out, y)| out.set(y));
            }
            at = at.wrapping_add(4);
        }
        exactly(p, writer, input.range(out.len().wrapping_sub(rest.len()), 3), rest);
    }
}

/// Results by their definition.
#[cold]
#[inline(never)]
fn exactly(p: &QuantizeParams, writer: &Writer<'_>, input: TensorView<'_, f32>, out: &[Cell<u8>]) {
    for (real, out) in input.iter().zip(out) {
        out.set(quant::quantize(real, p.scale, p.zero_point, writer.min, writer.max) as u8);
    }
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

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, INTEGERS, Operand, dim, zero_point};
    use ferrolite_schema::Storage;
    use std::vec::Vec;

    let p = QuantizeParams { scale: 0.05, zero_point: zero_point(random) };
    let (elements, to) = (dim(random, 40), INTEGERS[random.below(4)]);
    let mut case = Case::of(OpCode::Quantize, &p, Constants::default());
    // Any numbers, ties, and some that saturate.
    let factor = [0.07, 0.025, 0.3][random.below(3)];
    let mut reals: Vec<f32> = (0..elements).map(|_| f32::from(random.element()) * factor).collect();
    if let Some(first) = reals.first_mut() {
        *first = [f32::NAN, f32::INFINITY, -1e30, 1e-40, -0.0][random.below(5)];
    }
    let data = bytemuck::cast_slice(&reals).to_vec();
    case.inputs.push(Operand { dtype: DType::Float32, data, storage: Storage::Arena });
    case.output(to, elements * to.size() as u32)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use proptest::prelude::*;

    proptest! {
        /// Reals of any bits, near to ties, and at them: by products of reals and of integers, both equal the quotient.
        #[test]
        fn near_quotients_are_exact(
            bits: u32,
            steps in -600i32..600,
            off in -3i32..=3,
            scale in prop_oneof![(1e-4f32..1.0).boxed(), (1u32..0x7F80_0000).prop_map(f32::from_bits).boxed()],
            zero_point in -300i32..300,
            unsigned: bool,
        ) {
            let tie = (steps as f32 * 0.5 * scale).to_bits().wrapping_add_signed(off);
            let dtype = if unsigned { DType::UInt8 } else { DType::Int8 };
            let p = QuantizeParams { scale, zero_point };
            let own = f32::from_bits(bits);
            let of_step = (steps as f32 * 0.4 + 0.1) * scale;
            for reals in [[own; 6], [f32::from_bits(tie); 6], [of_step, own, 0.0, of_step, of_step, own]] {
                let (mut out, mut soft) = ([0u8; 6], [0u8; 6]);
                let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
                quantize(&p, TensorView::from_slice(&reals), dtype, cells);
                let writer = Writer::new(dtype, cells);
                let (min, max) = (writer.min, writer.max);
                let wanted = reals.map(|real| quant::quantize(real, scale, zero_point, min, max) as u8);
                let cells = Cell::from_mut(&mut soft[..]).as_slice_of_cells();
                match Near::new(&p, writer.min) {
                    Some(near) => near.quantize::<false>(&p, &writer, TensorView::from_slice(&reals), cells),
                    None => soft = wanted,
                }
                prop_assert_eq!(out, wanted, "{:?} {:?}", reals, p);
                prop_assert_eq!(soft, wanted, "integers: {:?} {:?}", reals, p);
            }
        }
    }

    #[test]
    fn rounds_ties_away_from_zero_and_saturates() {
        let mut out = [0u8; 8];
        let input = [0.25f32, -0.25, 0.75, 1e30, -1e30, f32::NAN, f32::INFINITY, 0.0];
        let p = QuantizeParams { scale: 0.5, zero_point: -1 };
        let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
        quantize(&p, TensorView::from_slice(&input), DType::Int8, cells);
        assert_eq!(out.map(|q| q as i8), [0, -2, 1, 127, -128, -1, 127, -1]);
    }
}
