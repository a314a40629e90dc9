//! QUANTIZE of float32: `out[i] = clamp(round(in[i] / scale) + zero_point)` with ties away from zero,
//! clamped to the output's type. At the border of a model only; integers have `requantize`, whose
//! images hold no float code. Source followed: TFLM `kernels/quantize_common.cc`,
//! `reference/quantize.h`.

use core::cell::Cell;

use ferrolite_schema::params::QuantizeParams;
use ferrolite_schema::{DType, OpCode};

use super::requantize::{Writer, expect_same_count, is_integer};
use super::{Operator, in_place};
use crate::error::Fault;
use crate::kernels::{Kernels, Near};
use crate::node::{Eval, Node};
use crate::quant;
use crate::tensor::TensorView;

/// The operator with the kernels `K`.
pub const fn operator<K: Kernels>() -> Operator {
    // No output is wider than a float.
    Operator { code: OpCode::Quantize as u16, check, eval: eval::<K>, lead: in_place }
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

fn eval<K: Kernels>(eval: &Eval<'_>) {
    let (Ok(p), Ok(output)) = (eval.node().params::<QuantizeParams>(), eval.node().output(0)) else {
        return;
    };
    if let Some(dtype) = output.dtype() {
        quantize::<K>(p, eval.view(0), dtype, eval.output(0));
    }
}

/// Quantizes to the integer type `dtype`, whose elements `out` holds as bytes.
pub fn quantize<K: Kernels>(p: &QuantizeParams, input: TensorView<'_, f32>, dtype: DType, out: &[Cell<u8>]) {
    let writer = Writer::new(dtype, out);
    if writer.size() == 1
        && let Some(near) = Near::new(p, writer.min)
    {
        by_blocks(p, &writer, input, out, |reals, out| K::quantize(&near, reals, out));
        return;
    }
    for (i, real) in input.iter().enumerate() {
        writer.set(i, quant::quantize(real, p.scale, p.zero_point, writer.min, writer.max));
    }
}

/// Results of 8 bits, as many as `near` makes at a time. It stops before four of which one is doubtful.
#[inline(always)]
fn by_blocks(
    p: &QuantizeParams,
    writer: &Writer<'_>,
    input: TensorView<'_, f32>,
    out: &[Cell<u8>],
    near: impl Fn(TensorView<'_, f32>, &[Cell<u8>]) -> usize,
) {
    let (mut at, mut rest) = (0usize, out);
    while !rest.is_empty() {
        let made = near(input.range(at, rest.len()), rest);
        let behind = rest.get(made..).unwrap_or(&[]);
        let (block, behind) = behind.split_at_checked(4).unwrap_or((behind, &[]));
        at = at.wrapping_add(made);
        exactly(p, writer, input.range(at, block.len()), block);
        at = at.wrapping_add(block.len());
        rest = behind;
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
    use crate::kernels::{Portable, quantize_by_integers};
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
                quantize::<Portable>(&p, TensorView::from_slice(&reals), dtype, cells);
                let writer = Writer::new(dtype, cells);
                let (min, max) = (writer.min, writer.max);
                let wanted = reals.map(|real| quant::quantize(real, scale, zero_point, min, max) as u8);
                let cells = Cell::from_mut(&mut soft[..]).as_slice_of_cells();
                match Near::new(&p, writer.min) {
                    Some(near) => by_blocks(&p, &writer, TensorView::from_slice(&reals), cells, |reals, out| {
                        quantize_by_integers(&near, reals, out)
                    }),
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
        quantize::<Portable>(&p, TensorView::from_slice(&input), DType::Int8, cells);
        assert_eq!(out.map(|q| q as i8), [0, -2, 1, 127, -128, -1, 127, -1]);
    }
}
