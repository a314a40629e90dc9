//! MAXIMUM and MINIMUM, which compare stored integers: all tensors must share one quantization.
//! Source followed: TFLM `kernels/maximum_minimum.h`.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::MinMaxParams;

use super::broadcast::broadcast;
use super::lowering::{Lowered, Lowering};
use super::stage;
use crate::error::Result;
use crate::graph::{Activation, Node};

/// Lowers MAXIMUM, or MINIMUM where `maximum` is not set.
pub(super) fn lower(
    cx: &Lowering<'_>,
    node: &Node,
    maximum: bool,
    activation: Activation,
) -> Result<Vec<Lowered>> {
    let (a, b) = (stage::int8_operand(cx, node, 0)?, stage::int8_operand(cx, node, 1)?);
    let out = stage::int8_output(cx, node, 0)?;
    if activation != Activation::None {
        return Err(cx.unsupported(node, "a fused activation is not supported here"));
    }
    for operand in [&a, &b] {
        if operand.scale != out.scale || operand.zero_point != out.zero_point {
            return Err(cx.unsupported(
                node,
                format_args!(
                    "tensor `{}` has scale {} and zero point {}, the result {} and {}; they must agree",
                    operand.value.name, operand.scale, operand.zero_point, out.scale, out.zero_point
                ),
            ));
        }
    }
    let params = MinMaxParams {
        shape: broadcast(cx, node, &a.value.shape, &b.value.shape, &out.value.shape)?,
        maximum: u32::from(maximum),
    };
    Ok(vec![Lowered::new(OpCode::MinMax, vec![a.id, b.id], vec![out.id], &params)])
}
