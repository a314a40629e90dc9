//! ARG_MAX and ARG_MIN: the dimensions before and behind the searched one are merged.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::ArgMinMaxParams;

use super::lowering::{Lowered, Lowering};
use crate::error::Result;
use crate::graph::{DType, Node};

/// Lowers ARG_MAX (`largest`) or ARG_MIN along `axis`.
pub fn lower(cx: &Lowering<'_>, node: &Node, axis: usize, largest: bool) -> Result<Vec<Lowered>> {
    let ((input_id, input), (output_id, output)) = (cx.input(node, 0)?, cx.output(node, 0)?);
    if input.dtype != DType::Int8 || !matches!(output.dtype, DType::Int32 | DType::Int64) {
        let (from, to) = (input.dtype.name(), output.dtype.name());
        return Err(
            cx.unsupported(node, format!("from {from} to {to}; from int8 to int32 or int64 is supported"))
        );
    }
    let (outer, rest) = input.shape.split_at(axis.min(input.shape.len()));
    let [count, inner @ ..] = rest else {
        return Err(cx.unsupported(node, format!("axis {axis} of an input of shape {:?}", input.shape)));
    };
    let params = ArgMinMaxParams {
        outer: cx.word(node, outer.iter().product())?,
        count: cx.word(node, *count)?,
        inner: cx.word(node, inner.iter().product())?,
        largest: largest.into(),
    };
    Ok(vec![Lowered::new(OpCode::ArgMinMax, vec![input_id], vec![output_id], &params)])
}
