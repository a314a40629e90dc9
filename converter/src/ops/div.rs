//! DIV and SQUARED_DIFFERENCE of integers with scales, in TFLM's order of operations.
//! Sources followed: TFLM `kernels/div.cc`, `kernels/squared_difference.cc`.

use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{DivParams, Product, SquaredDifferenceParams, Term};

use super::broadcast::broadcast;
use super::lowering::{Lowered, Lowering};
use super::stage;
use crate::error::Result;
use crate::graph::{Activation, DType, Node};

/// Lowers DIV of int8.
pub(super) fn lower(cx: &Lowering<'_>, node: &Node, activation: Activation) -> Result<Vec<Lowered>> {
    let (a, b) = (stage::int8_operand(cx, node, 0)?, stage::int8_operand(cx, node, 1)?);
    let out = stage::int8_output(cx, node, 0)?;
    let (min, max) = stage::activation_range(activation, &out);
    let params = DivParams {
        shape: broadcast(cx, node, &a.value.shape, &b.value.shape, &out.value.shape)?,
        quotient: Product {
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            multiplier: multiplier(a.scale / (b.scale * out.scale)),
            zero_point: out.zero_point,
            min,
            max,
        },
    };
    Ok(vec![Lowered::new(OpCode::Div, vec![a.id, b.id], vec![out.id], &params)])
}

/// Lowers SQUARED_DIFFERENCE of int8 or int16.
pub(super) fn lower_squares(cx: &Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    let ((a_id, a), (b_id, b), (out_id, out)) = (cx.input(node, 0)?, cx.input(node, 1)?, cx.output(node, 0)?);
    let dtype = out.dtype;
    let a = stage::quantized(cx, node, a_id, a, dtype)?;
    let b = stage::quantized(cx, node, b_id, b, dtype)?;
    let out = stage::quantized(cx, node, out_id, out, dtype)?;
    // Operands of 8 bits gain 7 more, the square 14.
    let bits = if dtype == DType::Int8 { 14 } else { 0 };
    let twice = 2.0 * a.scale.max(b.scale);
    let factor = twice * twice / f64::from((1 << bits) as f32 * out.scale as f32);
    let params = SquaredDifferenceParams {
        shape: broadcast(cx, node, &a.value.shape, &b.value.shape, &out.value.shape)?,
        a: Term { zero_point: a.zero_point, multiplier: multiplier(a.scale / twice) },
        b: Term { zero_point: b.zero_point, multiplier: multiplier(b.scale / twice) },
        multiplier: multiplier(factor),
        zero_point: out.zero_point,
    };
    Ok(vec![Lowered::new(OpCode::SquaredDifference, vec![a.id, b.id], vec![out.id], &params)])
}
