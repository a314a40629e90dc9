//! DEQUANTIZE: `out[i] = scale * (in[i] - zero_point)`, integers to float32, at the border of a model.
//! Source followed: TFLM `kernels/dequantize_common.cc`, `reference/dequantize.h`.

use core::cell::Cell;

use ferrolite_schema::params::DequantizeParams;
use ferrolite_schema::{DType, OpCode, Tensor};

use super::Operator;
use super::requantize::{Reader, expect_same_count, growth, is_integer};
use crate::error::Fault;
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
    let reader = Reader::new(dtype, input);
    for (i, out) in out.iter().enumerate() {
        out.set(quant::dequantize(reader.at(i), p.scale, p.zero_point));
    }
}

/// Any op of the operator, for tests.
#[cfg(feature = "cases")]
pub(super) fn case(random: &mut crate::cases::Random) -> crate::cases::Case {
    use crate::cases::{Case, Constants, INTEGERS, dim, zero_point};

    let p = DequantizeParams { scale: 0.05, zero_point: zero_point(random) };
    let (elements, from) = (dim(random, 20), INTEGERS[random.below(4)]);
    let case = Case::of(OpCode::Dequantize, &p, Constants::default());
    case.input(random, from, elements * from.size() as u32).output(DType::Float32, 4 * elements)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::cells_of;

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
