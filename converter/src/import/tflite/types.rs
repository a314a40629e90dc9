//! Element types across a layer, once all layers are known: weights of hybrid layers are widened
//! to float, and layers whose types Ferrolite does not compute with become unsupported.

use crate::graph::{Constant, DType, Graph, Node, Op, Value};
use crate::ops;

/// Widens 8-bit weights of layers that compute in float (*hybrid* layers): the real numbers that
/// the integers stand for are what the layer means. Returns the names of the widened tensors.
/// A tensor that an integer layer reads too is left alone, and [`check`] refuses the float one.
pub(super) fn widen_hybrid_weights(graph: &mut Graph) -> Vec<String> {
    let mut float = vec![false; graph.values.len()];
    let mut other = vec![false; graph.values.len()];
    for node in &graph.nodes {
        let hybrid = computes(&node.op)
            && node.outputs.iter().all(|&id| graph.value(id).dtype == DType::Float32)
            && node.input(0).is_some_and(|id| graph.value(id).dtype == DType::Float32);
        for id in node.inputs.iter().flatten() {
            if hybrid { float[id.0] = true } else { other[id.0] = true }
        }
    }
    let mut widened = Vec::new();
    for (index, value) in graph.values.iter_mut().enumerate() {
        if !float[index] || other[index] {
            continue;
        }
        if let (Some(constant @ Constant::I8(_)), Some(quantization)) = (&value.constant, &value.quantization)
        {
            value.constant = Some(Constant::F32(constant.to_real(Some(quantization), &value.shape)));
            value.dtype = DType::Float32;
            value.quantization = None;
            widened.push(value.name.clone());
        }
    }
    widened
}

/// Why the layer's element types or quantization cannot be computed with.
pub(super) fn check(graph: &Graph, node: &Node) -> Result<(), String> {
    if matches!(node.op, Op::Unsupported(_)) {
        return Ok(());
    }
    let inputs: Vec<&Value> = node.inputs.iter().flatten().map(|&id| graph.value(id)).collect();
    let outputs: Vec<&Value> = node.outputs.iter().map(|&id| graph.value(id)).collect();
    if inputs.is_empty() || outputs.is_empty() {
        return Err("no operands or no results".into());
    }
    ops::of(&node.op).check_types(&inputs, &outputs)
}

/// Whether the operator computes with its operands' values.
pub(super) fn computes(op: &Op) -> bool {
    let operator = ops::of(op);
    !operator.only_moves_data() && !operator.converts() && !matches!(op, Op::Unsupported(_))
}
