//! What recurrent layers have inside: the range of an LSTM's cell states, its weights and those of the hidden state.
//!
//! While a graph is calibrated, the largest magnitudes of cell states are a result of each layer, so that ranges of
//! all kinds are found by one run. The cell state becomes an int16 with a power of two as its scale.

use std::collections::HashSet;

use super::range::{Params, Range};
use super::report::Report;
use super::weights;
use crate::error::{Error, Result};
use crate::graph::{
    Cell, Constant, DType, Graph, IntegerCell, Node, Op, Quantization, Recurrent, State, UnaryKind, Value,
    ValueId,
};
use crate::ops;

/// Result of a node that has the largest magnitudes of cell states.
const LARGEST: usize = 3;

/// Result that has those of what the candidate's function takes.
const SUMS: usize = 4;

/// Gives each recurrent layer of real numbers the results that have the largest magnitudes of its cell states, and of what
/// its candidate's function takes where that has no end.
pub fn open(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Op::Recurrent(layer) = node.op else { continue };
        let last = match layer.cell {
            _ if layer.integer.is_some() => continue,
            _ if !ops::is_bounded(layer.activation) => SUMS,
            Cell::Lstm => LARGEST,
            _ => continue,
        };
        let time_major = layer.time_major;
        let shape = graph.value(node.outputs[0]).shape.clone();
        let batch = shape.get(usize::from(time_major)).copied().unwrap_or(1);
        let words = [(1, "hidden"), (2, "cell"), (LARGEST, "largest_cell"), (SUMS, "largest_sum")];
        for (position, word) in words.into_iter().filter(|(position, _)| *position <= last) {
            if graph.nodes[index].outputs.len() > position {
                continue;
            }
            let id = graph.add_value(Value {
                name: format!("{}/{word}", graph.nodes[index].name),
                shape: vec![batch, shape.last().copied().unwrap_or(1)],
                dtype: DType::Float32,
                quantization: None,
                constant: None,
            });
            graph.nodes[index].outputs.push(id);
        }
    }
}

/// Results of a layer but for its magnitudes.
fn states(layer: Recurrent) -> usize {
    if layer.cell == Cell::Lstm { LARGEST } else { LARGEST - 1 }
}

/// Results of a node that the author's graph has.
pub fn authored(node: &Node) -> &[ValueId] {
    match node.op {
        Op::Recurrent(layer) => &node.outputs[..node.outputs.len().min(states(layer))],
        _ => &node.outputs,
    }
}

/// Quantizes the weights and biases of a recurrent layer, and says what it has inside. Adds them to `done`.
pub fn to_int8(
    graph: &mut Graph,
    index: usize,
    (params, ranges): (&[Option<Params>], &[Range]),
    clip_weights: bool,
    report: &mut Report,
    done: &mut HashSet<ValueId>,
) -> Result<()> {
    let node = graph.nodes[index].clone();
    let Op::Recurrent(mut layer) = node.op else { return Ok(()) };
    let scale = |id: Option<ValueId>| {
        id.and_then(|id| params[id.0]).map(|(scale, _)| scale).ok_or_else(|| {
            Error::input(format!("layer `{}` ({}): not all of it is float", node.name, node.op.name()))
                .help("convert the float model instead")
        })
    };
    let hidden = node.outputs.first().copied();
    for (x, weights, bias) in [(node.input(0), 1, 3), (hidden, 2, 4)] {
        let part = Node { inputs: vec![x, node.input(weights), node.input(bias)], ..node.clone() };
        let quantized = weights::quantize(graph, &part, 0, scale(x)?, clip_weights)?;
        if quantized.widened > 0 {
            report.notes.push(format!(
                "layer `{}`: weights of {} channels are coarser so that their bias fits int32",
                node.name, quantized.widened
            ));
        }
        let new = [(node.input(weights), Some(quantized.weights)), (node.input(bias), quantized.bias)];
        for (id, value) in new {
            if let Some((id, value)) = id.zip(value) {
                *graph.value_mut(id) = value;
                done.insert(id);
            }
        }
    }
    if let Some(value) = peepholes(graph, &node) {
        let id = graph.add_value(value);
        graph.nodes[index].inputs[PEEPHOLES] = Some(id);
        done.insert(id);
    }
    let magnitude = |id: ValueId| ranges[id.0].max.max(-ranges[id.0].min);
    let inner = |result: usize| node.outputs.get(result).map_or(0.0, |&id| magnitude(id));
    let sums = ops::exponent_of_argument(&layer, inner(SUMS));
    let exponent = match layer.cell {
        Cell::Lstm => ops::exponent_for(inner(LARGEST)),
        Cell::Simple if node.outputs.len() > SUMS && layer.activation != UnaryKind::Relu => sums,
        Cell::Simple => ops::exponent_of_sums(&layer, hidden.map_or(0.0, magnitude)),
        Cell::Gru { .. } => ops::exponent_of_candidate(&layer, sums),
    };
    let keeps_states = keep(graph, index, exponent);
    if keeps_states {
        done.extend(node.input(CELL));
    }
    layer.integer = Some(IntegerCell { exponent, sums, keeps_states });
    let node = &mut graph.nodes[index];
    node.op = Op::Recurrent(layer);
    node.outputs.truncate(states(layer));
    Ok(())
}

/// Operands with the initial hidden and cell states.
const HIDDEN: usize = 5;
const CELL: usize = 6;

/// Has an LSTM keep its states itself, the cell state as int16, where they are variables that it alone reads and that become
/// what it leaves; whether it does.
fn keep(graph: &mut Graph, index: usize, exponent: i32) -> bool {
    let node = &graph.nodes[index];
    let Op::Recurrent(Recurrent { cell: Cell::Lstm, time_major, .. }) = node.op else { return false };
    let steps = graph.value(node.outputs[0]).shape[usize::from(!time_major)];
    let consumers = graph.consumers();
    let variable = |operand: usize, result: usize| {
        let id = node.input(operand)?;
        let alone =
            consumers.get(&id).is_some_and(|readers| readers.len() == 1) && !graph.outputs.contains(&id);
        // All steps of one are the last one.
        let left = |next: ValueId| {
            node.outputs.get(result) == Some(&next) || (result == 1 && steps == 1 && next == node.outputs[0])
        };
        let plain = |state: &State| graph.shared_states.get(&state.name).is_some_and(|shared| shared.plain);
        let is = |state: &State| state.value == id && state.from == 0 && left(state.next) && !plain(state);
        graph.states.iter().position(is).filter(|_| alone)
    };
    let (Some(hidden), Some(cell)) = (variable(HIDDEN, 1), variable(CELL, 2)) else { return false };
    for number in [hidden, cell] {
        graph.states[number].next = graph.states[number].value;
    }
    let scale = (exponent as f32).exp2();
    let state = &mut graph.states[cell];
    if let Constant::F32(reals) = &state.initial {
        let integers = reals.iter().map(|x| (x / scale).round().clamp(-32768.0, 32767.0) as i16).collect();
        state.initial = Constant::I16(integers);
    }
    let value = state.value;
    let value = graph.value_mut(value);
    value.dtype = DType::Int16;
    value.quantization = Some(Quantization::per_tensor(scale, 0));
    true
}

/// Operand with the weights of an LSTM's cell state.
const PEEPHOLES: usize = 8;

/// These weights as int16.
fn peepholes(graph: &Graph, node: &Node) -> Option<Value> {
    let value = graph.value(node.input(PEEPHOLES)?);
    let reals = value.constant.as_ref()?.as_f32()?;
    let largest = reals.iter().fold(0.0f32, |most, x| most.max(x.abs()));
    let scale = if largest > 0.0 { largest / 32767.0 } else { 1.0 };
    let integers = reals.iter().map(|x| (x / scale).round() as i16).collect();
    Some(Value {
        dtype: DType::Int16,
        quantization: Some(Quantization::per_tensor(scale, 0)),
        constant: Some(Constant::I16(integers)),
        ..value.clone()
    })
}
