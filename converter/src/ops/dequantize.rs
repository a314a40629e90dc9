//! DEQUANTIZE: integers become floats, at the border of a model.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::DequantizeParams;

use super::lowering::{Lowered, Lowering};
use super::requantize;
use crate::error::Result;
use crate::graph::{DType, Node};

/// Lowers DEQUANTIZE.
pub fn lower(cx: &Lowering<'_>, node: &Node) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    requantize::expect_integer(cx, node, input)?;
    if output.dtype != DType::Float32 {
        return Err(cx.unsupported(node, format!("to {}; float32 is supported", output.dtype.name())));
    }
    let (_, zero_point) = cx.quantization(node, input)?;
    let scale = input.quantization.as_ref().map_or(1.0, |q| q.scale[0]);
    let params = DequantizeParams { scale, zero_point };
    Ok(vec![Lowered::new(OpCode::Dequantize, vec![input_id], vec![output_id], &params)])
}
