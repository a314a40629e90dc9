//! The weights of a layer, its multiply-accumulate operations, and whether a graph computes with floating point.

use super::of;
use crate::graph::{DType, Graph, Node, Op, Value, ValueId};

/// Whether the operator has weights at operand 1 and perhaps a bias at operand 2, and the
/// dimension of its weights that counts output channels.
pub fn channel_axis(op: &Op) -> Option<usize> {
    of(op).channel_axis()
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
    of(&node.op).macs(graph, node)
}

/// True when some layer still computes with floating point, that is, when the graph has to be
/// quantized before it can be lowered.
pub fn is_float(graph: &Graph) -> bool {
    let is_real = |id: &ValueId| graph.value(*id).dtype == DType::Float32 && !graph.reals.contains(id);
    graph.nodes.iter().any(|node| {
        let mut touched = node.inputs.iter().flatten().chain(&node.outputs);
        let operator = of(&node.op);
        match node.op {
            // Real numbers are compared as they are, too.
            Op::Compare(_) => false,
            Op::Cast(_) => node.inputs.iter().flatten().any(is_real),
            _ => !operator.converts() && !operator.only_moves_data() && touched.any(is_real),
        }
    })
}

/// Shape of an operand; empty where there is none.
pub(super) fn shape<'g>(graph: &'g Graph, node: &Node, position: usize) -> &'g [usize] {
    node.input(position).map_or(&[], |id| &graph.value(id).shape)
}

/// Product of dimensions.
pub(super) fn count(shape: &[usize]) -> u64 {
    shape.iter().fold(1u64, |n, &d| n.saturating_mul(d as u64))
}

/// Elements of an operand along its dimensions from `skip` on.
pub(super) fn elements(graph: &Graph, node: &Node, position: usize, skip: usize) -> u64 {
    count(shape(graph, node, position).get(skip..).unwrap_or(&[]))
}

/// Elements of the first result.
pub(super) fn results(graph: &Graph, node: &Node) -> u64 {
    node.outputs.first().map_or(0, |&id| count(&graph.value(id).shape))
}
