//! TensorFlow 1's uint8 becomes int8: with `real = scale * (q - zero_point)`, both numbers lose 128 and the real ones
//! stay. Everything here is exact.
//!
//! - Activations and constants are moved; the model's borders stay as the file says, and QUANTIZE to int8 and back
//!   stands behind them, a table on the device.
//! - Weights keep their zero point, of which passes and lowering take care (`crate::ops`, `wide`).
//! - RELU and its kind become tables, LOGISTIC and TANH too, which are computed in float32 there.
//! - CONCATENATION takes operands of any scales there: each of another one is requantized by a table before.
//!
//! uint8 that is only converted, at the border of a network of int8, stays as it is. Where a kernel of uint8 rounds in
//! another way than that of int8, `Graph::from_uint8` says which one it was. Source followed: TFLite's reference
//! kernels (`reference/*.h`, `concatenation.h` for `ConcatenationWithScaling`).

use std::collections::HashMap;

use ferrolite_runtime::quant;

use super::types;
use crate::graph::{
    Activation, Concat, Constant, DType, Graph, Node, Op, Pad, Quantization, UnaryKind, Value, ValueId,
};
use crate::{ops, passes};

/// What uint8 has above int8.
const SHIFT: i32 = 128;

/// Moves all uint8 of a network that computes with it.
pub(super) fn run(graph: &mut Graph) {
    if !graph.nodes.iter().any(|node| computes_with_uint8(graph, node)) {
        return;
    }
    // Of values that do not change, only the type and the zero point do; borders get a value of their own.
    let mut inside: HashMap<ValueId, ValueId> = HashMap::new();
    let count = graph.values.len();
    for id in (0..count).map(ValueId) {
        let Some(moved) = moved(graph.value(id)) else { continue };
        if graph.inputs.contains(&id) || graph.outputs.contains(&id) {
            let moved = Value { name: format!("{}/int8", moved.name), ..moved };
            let new = graph.add_value(moved);
            inside.insert(id, new);
        } else {
            *graph.value_mut(id) = moved;
            inside.insert(id, id);
        }
    }
    let mut nodes: Vec<Node> = Vec::with_capacity(graph.nodes.len());
    for &id in &graph.inputs {
        nodes.extend(inside.get(&id).map(|&new| convert(graph, id, new)));
    }
    for mut node in std::mem::take(&mut graph.nodes) {
        let of_uint8 = node.outputs.iter().any(|id| inside.contains_key(id));
        let pads = of_uint8 || node.inputs.iter().flatten().any(|id| inside.contains_key(id));
        for id in node.inputs.iter_mut().flatten().chain(&mut node.outputs) {
            *id = inside.get(id).copied().unwrap_or(*id);
        }
        if let Op::Pad(Pad { value: Some(value), .. }) = &mut node.op
            && pads
        {
            *value -= f64::from(SHIFT);
        }
        graph.from_uint8.extend(node.outputs.iter().filter(|_| of_uint8));
        join(graph, &mut node, &mut nodes);
        if of_uint8 {
            tabulate(graph, &mut node);
        }
        nodes.push(node);
    }
    for index in 0..graph.outputs.len() {
        let id = graph.outputs[index];
        let Some(&new) = inside.get(&id).filter(|_| !graph.inputs.contains(&id)) else { continue };
        // An output that is listed twice is written once.
        if !nodes.iter().any(|node| node.outputs.contains(&id)) {
            nodes.push(convert(graph, new, id));
        }
    }
    for state in &mut graph.states {
        state.next = inside.get(&state.next).copied().unwrap_or(state.next);
        if let (Constant::U8(elements), true) = (&state.initial, inside.contains_key(&state.value)) {
            state.initial = Constant::I8(elements.iter().map(|&x| (x ^ 0x80) as i8).collect());
        }
    }
    graph.nodes = nodes;
    passes::wide::run(graph);
}

/// Whether a layer computes with uint8, and does not merely move or convert it.
fn computes_with_uint8(graph: &Graph, node: &Node) -> bool {
    let operator = ops::of(&node.op);
    let uint8 = |id: &ValueId| moved(graph.value(*id)).is_some();
    let data = node.inputs.iter().enumerate().filter(|(at, _)| !operator.is_index(*at));
    let touched = data.filter_map(|(_, id)| id.as_ref()).chain(&node.outputs);
    let joins = matches!(node.op, Op::Concat(_)) && differ(graph, node);
    types::computes(&node.op) && touched.into_iter().any(uint8) || joins && node.outputs.iter().any(uint8)
}

/// Whether operands have other scales than the result.
fn differ(graph: &Graph, node: &Node) -> bool {
    let result = node.outputs.first().map(|&id| &graph.value(id).quantization);
    node.inputs.iter().flatten().any(|&id| Some(&graph.value(id).quantization) != result)
}

/// The same value in int8, if it is a quantized one of uint8.
fn moved(value: &Value) -> Option<Value> {
    let quantization = value.quantization.as_ref().filter(|_| value.dtype == DType::UInt8)?;
    let constant = match &value.constant {
        None => None,
        Some(Constant::U8(elements)) => {
            Some(Constant::I8(elements.iter().map(|&x| (x ^ 0x80) as i8).collect()))
        }
        Some(_) => return None,
    };
    let zero_point = quantization.zero_point.iter().map(|z| z - SHIFT).collect();
    let quantization = Some(Quantization { zero_point, ..quantization.clone() });
    Some(Value { dtype: DType::Int8, quantization, constant, ..value.clone() })
}

/// QUANTIZE between a border and the value inside, which is named after the latter.
fn convert(graph: &Graph, from: ValueId, to: ValueId) -> Node {
    let name = &graph.value(to).name;
    let name = if graph.is_output(to) { format!("{name}/uint8") } else { name.clone() };
    Node { name, op: Op::Quantize, inputs: vec![Some(from)], outputs: vec![to] }
}

/// Puts a table before each operand of a CONCATENATION whose scale is not that of the result.
fn join(graph: &mut Graph, node: &mut Node, before: &mut Vec<Node>) {
    let (Op::Concat(Concat { activation: Activation::None, .. }), [result]) =
        (&node.op, node.outputs.as_slice())
    else {
        return;
    };
    let to = graph.value(*result).clone();
    if !graph.from_uint8.contains(result) || !differ(graph, node) {
        return;
    }
    for (number, input) in node.inputs.iter_mut().enumerate() {
        let Some(id) = *input else { continue };
        let from = graph.value(id);
        let Some(results) = requantized(from, &to).filter(|_| from.quantization != to.quantization) else {
            continue;
        };
        let name = format!("{}/operand_{number}", node.name);
        let value = Value {
            name: name.clone(),
            shape: from.shape.clone(),
            constant: from.constant.as_ref().map(|constant| look_up(constant, &results)),
            ..to.clone()
        };
        let known = value.constant.is_some();
        let scaled = graph.add_value(value);
        *input = Some(scaled);
        if known {
            continue;
        }
        let table = graph.add_value(Value {
            name: format!("{name}/table"),
            shape: vec![results.len()],
            constant: Some(Constant::I8(results)),
            ..to.clone()
        });
        before.push(Node {
            name,
            op: Op::Lookup,
            inputs: vec![Some(id), Some(table)],
            outputs: vec![scaled],
        });
    }
}

/// Makes a table of a rectifier, whose scales TFLite divides in float32, and of a curve.
fn tabulate(graph: &mut Graph, node: &mut Node) {
    let (&Op::Unary(kind), [result], Some(input)) = (&node.op, node.outputs.as_slice(), node.input(0)) else {
        return;
    };
    let result = *result;
    let (from, to) = (graph.value(input), graph.value(result));
    let Some(results) = curve(kind, from, to).or_else(|| rectified(kind, from, to)) else { return };
    let table = Value {
        name: format!("{}/table", to.name),
        shape: vec![results.len()],
        constant: Some(Constant::I8(results)),
        ..to.clone()
    };
    let table = graph.add_value(table);
    graph.authored.entry(result).or_insert_with(|| node.op.name().to_string());
    (node.op, node.inputs) = (Op::Lookup, vec![Some(input), Some(table)]);
}

/// Source followed: TFLite `activations.cc`, `PopulateLookupTable`.
fn curve(kind: UnaryKind, from: &Value, to: &Value) -> Option<Vec<i8>> {
    let function: fn(f32) -> f32 = match kind {
        UnaryKind::Logistic => |x| 1.0 / (1.0 + libm::expf(-x)),
        UnaryKind::Tanh => libm::tanhf,
        _ => return None,
    };
    let (scale, zero_point) = from.quantization.as_ref()?.tensor()?;
    let (out_scale, out_zero_point) = to.quantization.as_ref()?.tensor()?;
    let result = |q: i32| {
        let scaled = function(scale * (q - zero_point) as f32) * (1.0 / out_scale);
        (scaled.round() as i32).saturating_add(out_zero_point).clamp(-SHIFT, SHIFT - 1) as i8
    };
    Some((-SHIFT..SHIFT).map(result).collect())
}

/// Sources followed: TFLite `activations.cc`, `QuantizedReluX` and `reference/leaky_relu.h`.
fn rectified(kind: UnaryKind, from: &Value, to: &Value) -> Option<Vec<i8>> {
    let (range, alpha) = match kind {
        UnaryKind::Relu => (Activation::Relu.range(), 1.0),
        UnaryKind::Relu6 => (Activation::Relu6.range(), 1.0),
        UnaryKind::ReluN1To1 => (Activation::ReluN1To1.range(), 1.0),
        UnaryKind::LeakyRelu { alpha } if alpha >= 0.0 => (Activation::None.range(), alpha),
        _ => return None,
    };
    let (scale, zero_point) = from.quantization.as_ref()?.tensor()?;
    let (out_scale, out_zero_point) = to.quantization.as_ref()?.tensor()?;
    let above = quant::multiplier((scale / out_scale).into());
    let below = quant::multiplier((scale * alpha / out_scale).into());
    let bound = |real: f32, open| match real.is_finite() {
        true => quant::quantize(real, out_scale, out_zero_point, -SHIFT, SHIFT - 1),
        false => open,
    };
    let (low, high) = (bound(range.0, -SHIFT), bound(range.1, SHIFT - 1));
    let result = |q: i32| {
        let x = q - zero_point;
        let scaled = quant::requantize_double(x, if x >= 0 { above } else { below });
        scaled.saturating_add(out_zero_point).min(high).max(low) as i8
    };
    Some((-SHIFT..SHIFT).map(result).collect())
}

/// What CONCATENATION of uint8 makes of the 256 numbers of an operand: in float32, as TFLite does.
fn requantized(from: &Value, to: &Value) -> Option<Vec<i8>> {
    let (scale, zero_point) = from.quantization.as_ref()?.tensor()?;
    let (out_scale, out_zero_point) = to.quantization.as_ref()?.tensor()?;
    let factor = scale * (1.0 / out_scale);
    let bias = -(zero_point + SHIFT) as f32 * factor;
    let result = |q: i32| {
        let scaled = ((q as f32 * factor + bias).round() as i32).saturating_add(out_zero_point + SHIFT);
        (scaled.clamp(0, 255) - SHIFT) as i8
    };
    Some((0..=255).map(result).collect())
}

/// A constant through a table.
fn look_up(constant: &Constant, results: &[i8]) -> Constant {
    match constant {
        Constant::I8(elements) => {
            Constant::I8(elements.iter().map(|&x| results[(i32::from(x) + SHIFT) as usize]).collect())
        }
        other => other.clone(),
    }
}
