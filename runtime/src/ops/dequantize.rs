//! DEQUANTIZE: `out[i] = scale * (in[i] - zero_point)`, integers to float32, at the border of a model.
//! Source followed: TFLM `kernels/dequantize_common.cc`, `reference/dequantize.h`.

use core::cell::Cell;

use ferrolite_schema::params::DequantizeParams;
use ferrolite_schema::{DType, OpCode, Tensor};

use super::Operator;
use super::requantize::{Reader, expect_same_count, growth, is_integer};
use crate::error::Fault;
use crate::kernels::HARD_FLOAT;
use crate::node::{Eval, Node};
use crate::quant;
use crate::tensor::TensorView;

/// The operator.
pub const fn operator() -> Operator {
    Operator { code: OpCode::Dequantize as u16, check, eval, lead: growth }
}

fn check(node: &Node<'_>) -> Result<(), Fault> {
    let _: &DequantizeParams = node.params()?;
    node.expect_operands(1, 1)?;
    let (input, output): (&Tensor, &Tensor) = (node.input(0)?, node.output(0)?);
    if !is_integer(input) || output.dtype() != Some(DType::Float32) {
        return Err(Fault::Operands);
    }
    expect_same_count(input, output)
}

fn eval(eval: &Eval<'_>) {
    let (Ok(p), Ok(input)) = (eval.node().params::<DequantizeParams>(), eval.node().input(0)) else {
        return;
    };
    if let Some(dtype) = input.dtype() {
        dequantize(p, dtype, eval.view(0), eval.output(0));
    }
}

/// Dequantizes integers of type `dtype`, whose elements `input` holds as bytes.
pub fn dequantize(p: &DequantizeParams, dtype: DType, input: TensorView<'_, u8>, out: &[Cell<f32>]) {
    // Bytes without a sign: those of int8 with 128 more.
    let (flip, more) = match dtype {
        DType::Int8 => (0x80, 128),
        DType::UInt8 => (0, 0),
        DType::Int16 => {
            let reals = |[low, high]: [u8; 2]| i16::from_le_bytes([low, high]).into();
            for (out, bytes) in out.iter().zip(input.arrays::<2>()) {
                out.set(quant::dequantize(reals(bytes), p.scale, p.zero_point));
            }
            return;
        }
        _ => {
            let reader = Reader::new(dtype, input);
            for (i, out) in out.iter().enumerate() {
                out.set(quant::dequantize(reader.at(i), p.scale, p.zero_point));
            }
            return;
        }
    };
    let zero_point = p.zero_point.wrapping_add(more);
    let scale = if HARD_FLOAT { None } else { Factor::of(p.scale, zero_point) };
    match scale {
        Some(scale) => bytes(flip, input, out, |x| scale.times(x.wrapping_sub(zero_point))),
        None => by_reals(p.scale, zero_point, flip, input, out),
    }
}

/// By products of reals. A function of its own for its registers.
#[inline(never)]
fn by_reals(scale: f32, zero_point: i32, flip: u8, input: TensorView<'_, u8>, out: &[Cell<f32>]) {
    bytes(flip, input, out, |x| quant::dequantize(x, scale, zero_point));
}

/// Bytes one by one, in the order of [`growth`], four of them read before they are written.
#[inline(always)]
fn bytes(flip: u8, input: TensorView<'_, u8>, out: &[Cell<f32>], f: impl Fn(i32) -> f32) {
    let flips = u32::from_le_bytes([flip; 4]);
    let (blocks, rest) = out.as_chunks::<4>();
    for (out, bytes) in blocks.iter().zip(input.arrays::<4>()) {
        let bytes = (u32::from_le_bytes(bytes) ^ flips).to_le_bytes();
        out.iter().zip(bytes.map(|x| f(x.into()))).for_each(|(out, real)| out.set(real));
    }
    let first = out.len().wrapping_sub(rest.len());
    for (out, byte) in rest.iter().zip(input.range(first, 3).iter()) {
        out.set(f((byte ^ flip).into()));
    }
}

/// A real factor as integers, for cores that would compute reals by functions.
struct Factor {
    /// With 24 bits, the highest of them set.
    mantissa: u32,
    /// That of the factor as its bits have it, at least 1.
    exponent: u32,
}

impl Factor {
    /// Of a positive number with room above and below, for the differences of bytes from a byte.
    fn of(scale: f32, zero_point: i32) -> Option<Factor> {
        let bits = scale.to_bits();
        let exponent = bits >> 23;
        if !(1..=245).contains(&exponent) || i32::from(zero_point as u8) != zero_point {
            return None;
        }
        Some(Factor { mantissa: bits & 0x7F_FFFF | 0x80_0000, exponent })
    }

    /// The product with a number below 256, rounded to the nearest real, ties to even.
    #[inline(always)]
    fn times(&self, number: i32) -> f32 {
        let product = self.mantissa.wrapping_mul(number.unsigned_abs());
        if product == 0 {
            return 0.0;
        }
        // A product has 24 to 32 bits.
        let more = 8u32.wrapping_sub(product.leading_zeros());
        let kept = product.wrapping_shr(more);
        let cut = product.wrapping_sub(kept.wrapping_shl(more)).wrapping_mul(2);
        let half = 1u32.wrapping_shl(more);
        let up = cut > half || cut == half && kept & 1 == 1;
        // The highest bit of the mantissa is one of the exponent, so a mantissa that overflows is the next exponent.
        let magnitude = self.exponent.wrapping_add(more).wrapping_sub(1).wrapping_shl(23);
        let magnitude = magnitude.wrapping_add(kept).wrapping_add(u32::from(up && more != 0));
        f32::from_bits(magnitude | (number as u32 & 1 << 31))
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, INTEGERS, dim, zero_point};

    let p = DequantizeParams { scale: 0.05, zero_point: zero_point(random) };
    let (elements, from) = (dim(random, 40), INTEGERS[random.below(4)]);
    let case = Case::of(OpCode::Dequantize, &p, Constants::default());
    case.input(random, from, elements * from.size() as u32).output(DType::Float32, 4 * elements)
}

#[cfg(test)]
mod tests {
    extern crate std;
    use super::*;
    use crate::tensor::cells_of;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn integers_make_the_same_products(
            scale in prop_oneof![(1e-4f32..1.0).boxed(), (0u32..0x7F80_0000).prop_map(f32::from_bits).boxed()],
            zero_point in 0i32..256,
        ) {
            if let Some(factor) = Factor::of(scale, zero_point) {
                for x in 0i32..256 {
                    let wanted = quant::dequantize(x, scale, zero_point);
                    prop_assert_eq!(factor.times(x - zero_point).to_bits(), wanted.to_bits(), "{} {}", scale, x);
                }
            }
        }
    }

    #[test]
    fn all_integer_types() {
        let p = DequantizeParams { scale: 0.5, zero_point: 3 };
        let cases: [(DType, &[u8], f32); 4] = [
            (DType::Int8, &[0x80], -65.5),
            (DType::UInt8, &[0x80], 62.5),
            (DType::Int16, &[0x00, 0x80], -16385.5),
            (DType::Int32, &[0x00, 0x00, 0xFF, 0xFF], -32769.5),
        ];
        for (dtype, bytes, expected) in cases {
            let mut out = [0f32];
            let cells = Cell::from_mut(&mut out[..]).as_slice_of_cells();
            dequantize(&p, dtype, TensorView::from_slice(bytes), cells);
            assert_eq!(out, [expected], "{dtype:?}");
        }
    }

    /// [`growth`] is exact: 20 - 5 bytes, less the 3 by which the last element grows.
    #[test]
    fn grows_over_its_input() {
        let p = DequantizeParams { scale: 0.25, zero_point: 1 };
        let expected = [-32.25f32, 31.5, 0.0, 1.25, -0.25];
        for (start, right) in [(12, true), (13, true), (11, false)] {
            let mut memory = [0f32; 6];
            let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut memory);
            bytes[start..start + 5].copy_from_slice(&[0x80, 127, 1, 6, 0]);
            let cells = Cell::from_mut(bytes).as_slice_of_cells();
            let input = TensorView::from_cells(&cells[start..start + 5]);
            dequantize(&p, DType::Int8, input, cells_of(&cells[..20]).unwrap());
            assert_eq!(memory[..5] == expected, right, "from byte {start}");
        }
    }
}
