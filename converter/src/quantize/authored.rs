//! Numbers that the author has quantized: weights and biases that are integers in the file stay as they are.
//!
//! They are constants that the layer reads itself (dynamic-range models), or reads through DEQUANTIZE (QDQ
//! and fake-quantized models). Here they become constants that only this layer reads.

use super::range::is_real;
use crate::graph::{Constant, DType, Graph, Node, Op, Quantization, Value, ValueId};
use crate::ops::channel_axis;

/// Whether these integers can be the weights of a layer as they are: int8 with one scale, or with one for each output
/// channel. They may have zero points.
pub fn keeps_weights(value: &Value, axis: usize) -> bool {
    let placed = |q: &Quantization| {
        let channels = value.shape.get(axis).copied().unwrap_or(0);
        q.is_per_tensor() || (q.axis == axis && q.scale.len() == channels)
    };
    matches!(value.constant, Some(Constant::I8(_))) && value.quantization.as_ref().is_some_and(placed)
}

/// Whether these integers can be a bias, provided that their scale is right.
pub fn keeps_bias(value: &Value) -> bool {
    let symmetric = |q: &Quantization| q.zero_point.iter().all(|&zero| zero == 0);
    matches!(value.constant, Some(Constant::I32(_))) && value.quantization.as_ref().is_some_and(symmetric)
}

/// Whether an operand of a layer keeps its integers.
pub fn keeps(value: &Value, op: &Op, position: usize) -> bool {
    match (channel_axis(op), position) {
        (Some(axis), 1) => keeps_weights(value, axis),
        (Some(_), 2) => keeps_bias(value),
        _ => false,
    }
}

/// Gives layers constants of their own in place of those that they read through DEQUANTIZE: integers if they
/// can be kept, else real numbers. DEQUANTIZE nodes without readers are then removed.
pub fn resolve(graph: &mut Graph) {
    let producers = graph.producers();
    for node in 0..graph.nodes.len() {
        if channel_axis(&graph.nodes[node].op).is_none() {
            continue;
        }
        for position in [1, 2] {
            let Some(id) = graph.nodes[node].input(position) else { continue };
            let Some(source) = producers.get(&id).and_then(|&index| source(graph, &graph.nodes[index]))
            else {
                continue;
            };
            let value = graph.value(source).clone();
            let Some(constant) = &value.constant else { continue };
            let own = match keeps(&value, &graph.nodes[node].op, position) {
                true => value,
                false => Value {
                    dtype: DType::Float32,
                    quantization: None,
                    constant: Some(Constant::F32(
                        constant.to_real(value.quantization.as_ref(), &value.shape),
                    )),
                    ..value
                },
            };
            let own = graph.add_value(own);
            graph.nodes[node].inputs[position] = Some(own);
        }
    }
    let consumers = graph.consumers();
    let outputs = graph.outputs.clone();
    graph.nodes.retain(|node| {
        let read = |id| outputs.contains(id) || consumers.get(id).is_some_and(|readers| !readers.is_empty());
        node.op != Op::Dequantize || node.outputs.iter().any(read)
    });
}

/// The constant that a DEQUANTIZE node reads.
fn source(graph: &Graph, node: &Node) -> Option<ValueId> {
    let (input, output) = (node.input(0)?, *node.outputs.first()?);
    let whole = graph.value(input).shape == graph.value(output).shape;
    (node.op == Op::Dequantize && whole && is_real(graph, output)).then_some(())?;
    graph.value(input).constant.as_ref().map(|_| input)
}

/// Whether an author has quantized anything in a float graph.
pub fn brings_ranges(graph: &Graph) -> bool {
    graph.nodes.iter().any(|node| {
        matches!(node.op, Op::Quantize | Op::Dequantize)
            && node.inputs.iter().flatten().chain(&node.outputs).any(|&id| {
                let value = graph.value(id);
                value.constant.is_none() && value.dtype != DType::Float32
            })
    })
}
