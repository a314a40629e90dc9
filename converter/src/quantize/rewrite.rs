//! Turns the values of a float graph into integers after their parameters were chosen.

use std::collections::{HashMap, HashSet};

use super::range::{Params, Range, is_real, per_tensor, to_int8 as integer};
use super::report::{ActivationReport, Report};
use super::{authored, inside, weights};
use crate::error::{Error, Result};
use crate::graph::{Constant, DType, Graph, Op, Pad, Value, ValueId};
use crate::ops::{self, channel_axis};

/// Whether a node has a result of real numbers, and so constants that must be quantized.
fn computes_reals(graph: &Graph, node: usize) -> bool {
    graph.nodes[node].outputs.iter().any(|&id| is_real(graph, id))
}

/// Gives every constant operand of the layers that will be quantized a value of its own, made of real
/// numbers, because layers that share a constant may need different integers for it. Constants that are
/// already integers (hybrid models) are converted, except for weights and biases that can be kept.
pub fn own_constants(graph: &mut Graph) {
    let consumers = graph.consumers();
    for node in 0..graph.nodes.len() {
        if !computes_reals(graph, node) || graph.nodes[node].op == Op::Dequantize {
            continue;
        }
        for position in 0..graph.nodes[node].inputs.len() {
            let Some(id) = graph.nodes[node].input(position) else { continue };
            let value = graph.value(id);
            let Some(constant) = &value.constant else { continue };
            if ops::of(&graph.nodes[node].op).is_index(position) {
                continue;
            }
            let shared = graph.is_output(id) || consumers[&id].len() > 1;
            let kept = authored::keeps(value, &graph.nodes[node].op, position);
            if (value.dtype == DType::Float32 || kept) && !shared {
                continue;
            }
            let own = match kept {
                true => value.clone(),
                false => Value {
                    name: value.name.clone(),
                    shape: value.shape.clone(),
                    dtype: DType::Float32,
                    quantization: None,
                    constant: Some(Constant::F32(
                        constant.to_real(value.quantization.as_ref(), &value.shape),
                    )),
                },
            };
            let own = graph.add_value(own);
            graph.nodes[node].inputs[position] = Some(own);
            if !shared {
                // No node reads it any more.
                graph.value_mut(id).constant = None;
            }
        }
    }
}

/// Adds the ranges of values that calibration does not see: constant operands other than weights, and the
/// values that PADV2 pads with.
pub fn constant_ranges(graph: &Graph, ranges: &mut [Range]) -> Result<()> {
    let refuse = |name: &str| {
        Error::input(format!("constant `{name}` contains NaN, infinity or numbers beyond 1e18")).help(
            "export the model again from a checkpoint whose numbers are finite; infinities may only bound, \
                 mask or pad what a maximum, a minimum or SOFTMAX reads",
        )
    };
    let used = graph.used_values();
    for (index, value) in graph.values.iter().enumerate() {
        if let (Some(Constant::F32(data)), true) = (&value.constant, used.contains(&ValueId(index))) {
            ranges[index] = Range::of(data).ok_or_else(|| refuse(&value.name))?;
        }
    }
    for state in &graph.states {
        if let Constant::F32(data) = &state.initial {
            let range = Range::of(data).ok_or_else(|| refuse(&state.name))?;
            ranges[state.value.0] = ranges[state.value.0].union(range);
        }
        if let Some(shared) = graph.shared_states.get(&state.name) {
            let range = Range::of(&[shared.range.0, shared.range.1]).ok_or_else(|| refuse(&state.name))?;
            ranges[state.value.0] = ranges[state.value.0].union(range);
        }
    }
    for node in &graph.nodes {
        if let Op::Pad(Pad { value: Some(value), .. }) = node.op {
            let range = Range::of(&[value as f32]).ok_or_else(|| refuse(&node.name))?;
            for output in node.outputs.iter().filter(|&&id| is_real(graph, id)) {
                ranges[output.0] = ranges[output.0].union(range);
            }
        }
    }
    Ok(())
}

/// Lists the activations in the order of execution, and adds notes on dead ones.
pub fn describe(
    graph: &Graph,
    ranges: &[Range],
    params: &[Option<Params>],
    calibrated: &[ValueId],
    report: &mut Report,
) {
    let ids = graph.sources().chain(graph.nodes.iter().flat_map(inside::authored).copied());
    for id in ids {
        let (Some((scale, zero_point)), value) = (params[id.0], graph.value(id)) else { continue };
        let (name, range) = (value.name.clone(), ranges[id.0]);
        if range == Range::default() && calibrated.contains(&id) {
            report.notes.push(format!("`{name}` is zero for all calibration samples"));
        }
        report.activations.push(ActivationReport { name, range, scale, zero_point });
    }
}

/// Rewrites constants, values and attributes; `params` and `ranges` are the parameters and ranges by value.
pub fn to_int8(
    graph: &mut Graph,
    params: &[Option<Params>],
    ranges: &[Range],
    clip_weights: bool,
    report: &mut Report,
) -> Result<()> {
    let mut done: HashSet<ValueId> = HashSet::new();
    for index in 0..graph.nodes.len() {
        if !computes_reals(graph, index) {
            continue;
        }
        quantize_attributes(graph, index, params);
        if matches!(graph.nodes[index].op, Op::Recurrent(_)) {
            inside::to_int8(graph, index, (params, ranges), clip_weights, report, &mut done)?;
            continue;
        }
        let Some(axis) = channel_axis(&graph.nodes[index].op) else { continue };
        let node = &graph.nodes[index];
        let input = node.input(0).and_then(|id| params[id.0]);
        let Some((input_scale, _)) = input else {
            return Err(Error::input(format!(
                "layer `{}` ({}): its result is float, but its input is not",
                node.name,
                node.op.name()
            ))
            .help("convert the float model instead"));
        };
        let quantized = weights::quantize(graph, node, axis, input_scale, clip_weights)?;
        if quantized.widened > 0 {
            report.notes.push(format!(
                "layer `{}`: weights of {} channels are coarser so that their bias fits int32",
                node.name, quantized.widened
            ));
        }
        let (weights, bias) = (node.input(1), node.input(2));
        let new = [Some(quantized.weights), quantized.bias];
        for (id, value) in [weights, bias].into_iter().zip(new) {
            if let Some((id, value)) = id.zip(value) {
                *graph.value_mut(id) = value;
                done.insert(id);
            }
        }
    }
    for state in &mut graph.states {
        if let (Constant::F32(data), Some((scale, zero_point))) = (&state.initial, params[state.value.0]) {
            let integers = data.iter().map(|&x| integer(x, scale, zero_point)).collect();
            state.initial = Constant::I8(integers);
        }
    }
    for (index, (value, params)) in graph.values.iter_mut().zip(params).enumerate() {
        let (&Some((scale, zero_point)), false) = (params, done.contains(&ValueId(index))) else { continue };
        value.dtype = DType::Int8;
        value.quantization = Some(per_tensor((scale, zero_point)));
        if let Some(Constant::F32(data)) = &value.constant {
            let integers = data.iter().map(|&x| integer(x, scale, zero_point)).collect();
            value.constant = Some(Constant::I8(integers));
        }
    }
    remove_identities(graph);
    Ok(())
}

/// Quantizes attributes that are real numbers of a quantized tensor: the values that PADV2 pads with.
fn quantize_attributes(graph: &mut Graph, node: usize, params: &[Option<Params>]) {
    let input = graph.nodes[node].input(0).and_then(|id| params[id.0]);
    if let (Op::Pad(Pad { value: Some(value), .. }), Some((scale, zero_point))) =
        (&mut graph.nodes[node].op, input)
    {
        *value = f64::from(integer(*value as f32, scale, zero_point));
    }
}

/// Removes conversions between equal quantizations, and turns a DEQUANTIZE into QUANTIZE if its result has
/// become int8 with other parameters.
fn remove_identities(graph: &mut Graph) {
    let mut kept = Vec::with_capacity(graph.nodes.len());
    // The replacement of each removed value. Nodes come in order, so a replacement is never removed itself.
    let mut stand_in: HashMap<ValueId, ValueId> = HashMap::new();
    for mut node in std::mem::take(&mut graph.nodes) {
        for input in node.inputs.iter_mut().flatten() {
            *input = stand_in.get(input).copied().unwrap_or(*input);
        }
        let operand = node.input(0).zip(node.outputs.first().copied());
        if let (Op::Quantize | Op::Dequantize, Some((input, output))) = (&node.op, operand) {
            let (from, to) = (graph.value(input), graph.value(output));
            let same = from.dtype == to.dtype && from.quantization == to.quantization;
            // The conversion stays if both values have a name that the author's inputs and outputs need.
            let named = graph.is_source(input) || graph.is_output(input);
            if same && !(named && graph.is_output(output)) {
                if graph.is_output(output) {
                    let name = to.name.clone();
                    graph.value_mut(input).name = name;
                    graph.replace_uses(output, input);
                }
                stand_in.insert(output, input);
                continue;
            }
            if to.dtype != DType::Float32 {
                node.op = Op::Quantize;
            }
        }
        kept.push(node);
    }
    graph.nodes = kept;
}
