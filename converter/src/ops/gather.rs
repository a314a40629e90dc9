//! GATHER: the dimensions before and behind the one that is looked up are merged; elements keep their bits.

use ferrolite_schema::OpCode;
use ferrolite_schema::params::GatherParams;

use super::lowering::{Lowered, Lowering};
use crate::error::Result;
use crate::graph::{DType, Node};

/// Lowers GATHER along `axis` behind `batch_dims` shared dimensions.
pub fn lower(cx: &Lowering<'_>, node: &Node, axis: usize, batch_dims: usize) -> Result<Vec<Lowered>> {
    let ((data_id, data), (indices_id, indices)) = (cx.input(node, 0)?, cx.input(node, 1)?);
    let (output_id, output) = cx.output(node, 0)?;
    if data.dtype != output.dtype || indices.dtype != DType::Int32 {
        let [data, indices, output] = [data, indices, output].map(|value| value.dtype.name());
        return Err(cx.unsupported(
            node,
            format_args!("from {data} at {indices} indices to {output}; int32 indices are supported, and a result of the data's type"),
        ));
    }
    // The check of the node has found all of these dimensions.
    let product = |dims: &[usize]| cx.word(node, dims.iter().product());
    let params = GatherParams {
        batch: product(&data.shape[..batch_dims])?,
        outer: product(&data.shape[batch_dims..axis])?,
        count: product(&data.shape[axis..=axis])?,
        run: cx.word(node, data.shape[axis + 1..].iter().product::<usize>() * data.dtype.size())?,
        indices: product(&indices.shape[batch_dims..])?,
    };
    Ok(vec![Lowered::new(OpCode::Gather, vec![data_id, indices_id], vec![output_id], &params)])
}
