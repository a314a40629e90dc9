//! Matrix products.

use super::evaluate::Evaluator;
use super::library::Attributes;
use super::tensor::{Layer, Tensor, Translation};
use crate::graph::{BatchMatMul, Op};
use crate::import::damaged::damaged;

/// MatMul of two matrices. It is a dense layer if the second one is known.
pub(super) fn mat_mul(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let (ta, tb) = (layer.node.flag("transpose_a", false), layer.node.flag("transpose_b", false));
    product(e, layer, ta, tb)
}

/// BatchMatMul, over the last two dimensions.
pub(super) fn batch_mat_mul(e: &mut Evaluator<'_>, layer: &Layer<'_>) -> Translation {
    let (ta, tb) = (layer.node.flag("adj_x", false), layer.node.flag("adj_y", false));
    product(e, layer, ta, tb)
}

fn product(e: &mut Evaluator<'_>, layer: &Layer<'_>, ta: bool, tb: bool) -> Translation {
    let a = e.value(layer.input(0)?)?;
    let shape = e.builder.shape(a).to_vec();
    if let (Tensor::Known(weights), false) = (layer.input(1)?, ta) {
        let &[rows, columns] = weights.shape.as_slice() else { return batch(e, layer, ta, tb) };
        let inputs = if tb { columns } else { rows };
        if shape.last() != Some(&inputs) {
            return Err(damaged(format!("a product of the shapes {shape:?} and {:?}", weights.shape)).into());
        }
        let weights = if tb {
            e.constant(weights, "as is", |w| w.clone())?
        } else {
            e.constant(weights, "dense weights", |w| w.transposed(&[1, 0]))?
        };
        return Ok(vec![Tensor::Value(e.builder.dense(&layer.name, a, weights, None)?)]);
    }
    batch(e, layer, ta, tb)
}

fn batch(e: &mut Evaluator<'_>, layer: &Layer<'_>, transpose_a: bool, transpose_b: bool) -> Translation {
    let (a, b) = (e.value(layer.input(0)?)?, e.value(layer.input(1)?)?);
    let op = Op::BatchMatMul(BatchMatMul { transpose_a, transpose_b });
    Ok(vec![Tensor::Value(e.builder.op(&layer.name, op, &[a, b])?)])
}
