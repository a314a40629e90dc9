//! The weights of a layer, and its multiply-accumulate operations.

use super::{BatchMatMul, DepthwiseConv2d, Graph, Node, Op, TransposeConv, Value};

/// Whether the operator has weights at operand 1 and perhaps a bias at operand 2, and the
/// dimension of its weights that counts output channels.
pub fn channel_axis(op: &Op) -> Option<usize> {
    match op {
        Op::Conv2d(_) | Op::TransposeConv(_) | Op::FullyConnected(_) => Some(0),
        Op::DepthwiseConv2d(_) => Some(3),
        _ => None,
    }
}

/// The constant weights of a layer that multiplies by them, and the dimension that counts its output
/// channels.
pub fn weights_of<'g>(graph: &'g Graph, node: &Node) -> Option<(&'g Value, usize)> {
    let axis = channel_axis(&node.op)?;
    let value = graph.values.get(node.input(1)?.0)?;
    value.constant.as_ref().map(|_| (value, axis))
}

/// Multiply-accumulate operations of one inference of a layer, as the field counts them: those of
/// convolutions, dense layers and matrix products, padding included.
pub fn macs(graph: &Graph, node: &Node) -> u64 {
    let shape = |position: usize| node.input(position).map(|id| graph.value(id).shape.as_slice());
    let count = |shape: &[usize]| shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64));
    let Some(output) = node.outputs.first().map(|&id| count(&graph.value(id).shape)) else { return 0 };
    let by =
        |shape: Option<&[usize]>, skip: usize| count(shape.unwrap_or_default().get(skip..).unwrap_or(&[]));
    match &node.op {
        // Each output takes one filter; each input of a transposed convolution goes into all of them.
        Op::Conv2d(_) | Op::FullyConnected(_) => output.saturating_mul(by(shape(1), 1)),
        Op::DepthwiseConv2d(DepthwiseConv2d { window, .. }) => output.saturating_mul(count(&window.kernel)),
        Op::TransposeConv(TransposeConv { window, .. }) => {
            let filters = shape(1).and_then(|s| s.first()).map_or(1, |&n| n as u64);
            by(shape(0), 0).saturating_mul(count(&window.kernel)).saturating_mul(filters)
        }
        Op::BatchMatMul(BatchMatMul { transpose_a, .. }) => {
            let a = shape(0).unwrap_or_default();
            let depth = a.len().checked_sub(if *transpose_a { 2 } else { 1 }).and_then(|at| a.get(at));
            output.saturating_mul(depth.map_or(1, |&d| d as u64))
        }
        // Each step multiplies by all weights of the gates, those of the input and those of the state.
        Op::Recurrent(_) => {
            let weights = by(shape(1), 0).saturating_add(by(shape(2), 0));
            let steps = shape(0).and_then(|input| input.get(..2)).map_or(0, count);
            steps.saturating_mul(weights)
        }
        _ => 0,
    }
}
