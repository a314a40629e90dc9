//! REDUCE_MAX and REDUCE_MIN: elements keep their bits, so TFLM demands one quantization for both
//! sides.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::ReduceMinMaxParams;

use super::lowering::{Lowered, Lowering};
use super::reduce;
use crate::error::Result;
use crate::graph::{Node, ReduceKind};

/// Lowers REDUCE_MAX or REDUCE_MIN over `axes`.
pub fn lower(cx: &Lowering<'_>, node: &Node, kind: ReduceKind, axes: &[usize]) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    reduce::expect_int8(cx, node)?;
    if cx.quantization(node, input)? != cx.quantization(node, output)? {
        return Err(cx.unsupported(node, "input and output need the same scale and zero point"));
    }
    let (shape, _) = reduce::shape(cx, node, axes)?;
    let params = ReduceMinMaxParams { shape, largest: (kind == ReduceKind::Max).into() };
    Ok(vec![Lowered::new(OpCode::ReduceMinMax, vec![input_id], vec![output_id], &params)])
}
