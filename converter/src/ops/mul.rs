//! MUL. Source followed: TFLM `kernels/mul_common.cc`.

use ferrolite_runtime::quant::multiplier;
use ferrolite_schema::OpCode;
use ferrolite_schema::params::{MulParams, Product};

use super::broadcast::broadcast;
use super::lowering::{Lowered, Lowering};
use super::stage;
use crate::error::Result;
use crate::graph::{Activation, Node};

/// Lowers the node.
pub(super) fn lower(cx: &Lowering<'_>, node: &Node, activation: Activation) -> Result<Vec<Lowered>> {
    let (a, b) = (stage::int8_operand(cx, node, 0)?, stage::int8_operand(cx, node, 1)?);
    let out = stage::int8_output(cx, node, 0)?;
    let (min, max) = stage::activation_range(activation, &out);
    // TFLite multiplies and divides the scales of uint8 in float32.
    let factor = match cx.graph.from_uint8.contains(&out.id) {
        true => (a.scale as f32 * b.scale as f32 / out.scale as f32).into(),
        false => a.scale * b.scale / out.scale,
    };
    let params = MulParams {
        shape: broadcast(cx, node, &a.value.shape, &b.value.shape, &out.value.shape)?,
        product: Product {
            a_zero_point: a.zero_point,
            b_zero_point: b.zero_point,
            multiplier: multiplier(factor),
            zero_point: out.zero_point,
            min,
            max,
        },
    };
    Ok(vec![Lowered::new(OpCode::Mul, vec![a.id, b.id], vec![out.id], &params)])
}
