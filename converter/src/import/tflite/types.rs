//! Element types across a layer, once all layers are known: weights of hybrid layers are widened
//! to float, and layers whose types Ferrolite does not compute with become unsupported.

use crate::graph::{Constant, DType, Graph, Node, Op, Quantization, Value};

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
    let (Some(first), Some(result)) = (inputs.first(), outputs.first()) else {
        return Err("no operands or no results".into());
    };
    let data = |value: &&Value| matches!(value.dtype, DType::Float32 | DType::Int8);
    match &node.op {
        Op::Quantize => {
            per_tensor(result)?;
            if first.dtype == DType::Float32 { Ok(()) } else { per_tensor(first) }
        }
        Op::Dequantize => {
            if result.dtype != DType::Float32 {
                return Err(format!("a result of type {}", result.dtype.name()));
            }
            if first.constant.is_some() { Ok(()) } else { per_tensor(first) }
        }
        Op::ArgMax(_) | Op::ArgMin(_) => {
            if !data(first) || !matches!(result.dtype, DType::Int32 | DType::Int64) {
                return Err(format!("{} searched, {} returned", first.dtype.name(), result.dtype.name()));
            }
            Ok(())
        }
        Op::Gather(_) => {
            same_type(&inputs[..1], &outputs)?;
            match inputs.get(1).map(|indices| indices.dtype) {
                Some(DType::Int32) => Ok(()),
                other => Err(format!("indices of type {}", other.map_or("none", DType::name))),
            }
        }
        op if op.only_moves_data() => same_type(&inputs, &outputs),
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_) | Op::TransposeConv(_) => {
            weighted(node, graph, result)
        }
        _ => {
            same_type(&inputs, &outputs)?;
            if !data(first) {
                return Err(format!("it computes with {}", first.dtype.name()));
            }
            inputs.iter().chain(&outputs).try_for_each(|value| per_tensor(value))
        }
    }
}

/// Whether the operator computes with its operands' values.
fn computes(op: &Op) -> bool {
    !op.only_moves_data() && !matches!(op, Op::Quantize | Op::Dequantize | Op::Unsupported(_))
}

fn same_type(inputs: &[&Value], outputs: &[&Value]) -> Result<(), String> {
    let wanted = inputs[0].dtype;
    match inputs.iter().chain(outputs).find(|value| value.dtype != wanted) {
        None => Ok(()),
        Some(other) => Err(format!("types {} and {} mixed", wanted.name(), other.dtype.name())),
    }
}

/// Fails for an integer tensor without one scale and zero point.
fn per_tensor(value: &Value) -> Result<(), String> {
    match (&value.quantization, value.dtype) {
        (_, DType::Float32) => Ok(()),
        (Some(q), _) if q.is_per_tensor() => Ok(()),
        (Some(_), _) => Err(format!("tensor `{}` has several scales", value.name)),
        (None, dtype) => Err(format!("tensor `{}` is {} without quantization", value.name, dtype.name())),
    }
}

/// Input, weights and bias of convolutions and dense layers.
fn weighted(node: &Node, graph: &Graph, result: &Value) -> Result<(), String> {
    let operand = |position| node.input(position).map(|id| graph.value(id));
    let (Some(input), Some(weights)) = (operand(0), operand(1)) else {
        return Err("its input or weights are missing".into());
    };
    if input.dtype != result.dtype || weights.dtype != input.dtype {
        let names = [input, weights, result].map(|v| v.dtype.name());
        return Err(format!("input {}, weights {}, result {}", names[0], names[1], names[2]));
    }
    let bias_type = match input.dtype {
        DType::Float32 => DType::Float32,
        DType::Int8 => DType::Int32,
        other => return Err(format!("it computes with {}", other.name())),
    };
    if let Some(bias) = operand(2).filter(|bias| bias.dtype != bias_type) {
        return Err(format!("a bias of type {}", bias.dtype.name()));
    }
    if input.dtype == DType::Float32 {
        return Ok(());
    }
    per_tensor(input)?;
    per_tensor(result)?;
    let axis = if matches!(node.op, Op::DepthwiseConv2d(_)) { 3 } else { 0 };
    match &weights.quantization {
        None => Err("int8 weights without quantization".into()),
        Some(Quantization { zero_point, .. }) if zero_point.iter().any(|&z| z != 0) => {
            Err("weights with a zero point other than 0".into())
        }
        Some(q) if !q.is_per_tensor() && q.axis != axis => {
            Err(format!("weights quantized along dimension {}", q.axis))
        }
        Some(_) => Ok(()),
    }
}
