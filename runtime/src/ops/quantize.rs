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
    for (i, real) in input.iter().enumerate() {
        writer.set(i, quant::quantize(real, p.scale, p.zero_point, writer.min, writer.max));
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, INTEGERS, Operand, dim, zero_point};
    use ferrolite_schema::Storage;
    use std::vec::Vec;

    let p = QuantizeParams { scale: 0.05, zero_point: zero_point(random) };
    let (elements, to) = (dim(random, 20), INTEGERS[random.below(4)]);
    let mut case = Case::of(OpCode::Quantize, &p, Constants::default());
    let reals: Vec<f32> = (0..elements).map(|_| f32::from(random.element()) * 0.07).collect();
    let data = bytemuck::cast_slice(&reals).to_vec();
    case.inputs.push(Operand { dtype: DType::Float32, data, storage: Storage::Arena });
    case.output(to, elements * to.size() as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

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
