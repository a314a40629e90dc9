//! What recurrent layers have inside: the range of an LSTM's cell states, its weights and those of the hidden state.
//!
//! While a graph is calibrated, the largest magnitudes of cell states are a result of each layer, so that ranges of
//! all kinds are found by one run. The cell state becomes an int16 with a power of two as its scale.

use std::collections::HashSet;

use super::range::{Params, Range};
use super::report::Report;
use super::weights;
use crate::error::{Error, Result};
use crate::graph::{Cell, DType, Graph, IntegerCell, Node, Op, Recurrent, Value, ValueId};
use crate::ops;

/// Result of a node that has the largest magnitudes of cell states.
const LARGEST: usize = 3;

/// Gives each LSTM of real numbers the result that has the largest magnitudes of its cell states.
pub fn open(graph: &mut Graph) {
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Op::Recurrent(Recurrent { cell: Cell::Lstm, time_major, integer: None, .. }) = node.op else {
            continue;
        };
        let shape = graph.value(node.outputs[0]).shape.clone();
        let batch = shape.get(usize::from(time_major)).copied().unwrap_or(1);
        for (position, word) in [(1, "hidden"), (2, "cell"), (LARGEST, "largest_cell")] {
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

/// Results of a node that the author's graph has.
pub fn authored(node: &Node) -> &[ValueId] {
    match node.op {
        Op::Recurrent(_) => &node.outputs[..node.outputs.len().min(LARGEST)],
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
    let magnitude = |id: ValueId| ranges[id.0].max.max(-ranges[id.0].min);
    let exponent = match layer.cell {
        Cell::Lstm => {
            let id = node.outputs.get(LARGEST);
            ops::exponent_for(id.map_or(0.0, |&id| magnitude(id)))
        }
        Cell::Simple => ops::exponent_of_sums(&layer, hidden.map_or(0.0, magnitude)),
        Cell::Gru { .. } => 0,
    };
    layer.integer = Some(IntegerCell { exponent, keeps_states: false });
    let node = &mut graph.nodes[index];
    node.op = Op::Recurrent(layer);
    node.outputs.truncate(LARGEST);
    Ok(())
}
