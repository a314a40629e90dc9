//! Float borders around an integer graph.

use super::scaler::Scaler;
use crate::graph::{DType, Graph, Node, Op, QuantizeScaled, Value, ValueId};

/// Makes the model's quantized inputs and outputs float32, with QUANTIZE after the inputs and DEQUANTIZE
/// before the outputs. Inputs and outputs keep their names, and the integers next to them are called
/// `NAME_quantized`. Inputs and outputs that are already float, and integers without a scale such as the
/// indices of ARG_MAX, stay as they are.
pub fn float_borders(graph: &mut Graph) {
    scaled_borders(graph, &[]);
}

/// The same, with scalers that the QUANTIZE nodes after the inputs replace. Such a node and its result get
/// the names of the scaler's last layer.
pub fn scaled_borders(graph: &mut Graph, scalers: &[Scaler]) {
    let mut before = Vec::new();
    for position in 0..graph.inputs.len() {
        let inner = graph.inputs[position];
        let Some(border) = float_twin(graph, inner) else { continue };
        let mut node = conversion(graph, Op::Quantize, border, inner);
        if let Some(scaler) = scalers.iter().find(|scaler| scaler.position == position) {
            node.op = Op::QuantizeScaled(QuantizeScaled { factor: scaler.factor, term: scaler.term });
            if let Some((layer, result)) = &scaler.names {
                node.name.clone_from(layer);
                graph.value_mut(inner).name.clone_from(result);
            }
        }
        before.push(node);
        graph.inputs[position] = border;
    }
    graph.nodes.splice(0..0, before);
    for position in 0..graph.outputs.len() {
        let inner = graph.outputs[position];
        // The same value may be two outputs.
        let earlier = graph.nodes.iter().find(|node| {
            node.op == Op::Dequantize && node.input(0) == Some(inner) && graph.is_output(node.outputs[0])
        });
        if let Some(border) = earlier.map(|node| node.outputs[0]) {
            graph.outputs[position] = border;
            continue;
        }
        let Some(border) = float_twin(graph, inner) else { continue };
        let node = conversion(graph, Op::Dequantize, inner, border);
        graph.nodes.push(node);
        graph.outputs[position] = border;
    }
}

/// Adds a float value that takes the name of a quantized one; `None` if the value is not quantized.
fn float_twin(graph: &mut Graph, inner: ValueId) -> Option<ValueId> {
    let value = graph.value_mut(inner);
    if value.dtype == DType::Float32 || value.quantization.is_none() {
        return None;
    }
    let inner_name = format!("{}_quantized", value.name);
    let name = std::mem::replace(&mut value.name, inner_name);
    let shape = value.shape.clone();
    Some(graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant: None }))
}

/// A conversion between two values, named after its result.
fn conversion(graph: &Graph, op: Op, from: ValueId, to: ValueId) -> Node {
    let name = graph.value(to).name.clone();
    Node { name, op, inputs: vec![Some(from)], outputs: vec![to] }
}
