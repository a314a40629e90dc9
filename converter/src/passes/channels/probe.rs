//! Finds ranges of results by running a single node on the runtime. What counts is what the device would
//! compute, and this needs no second copy of its arithmetic.

use std::collections::HashMap;

use ferrolite_runtime::Rounding;
use ferrolite_schema::Model;

use super::layer::{FULL, Range, constant};
use super::ties::{activations, channels};
use crate::aligned::AlignedBuf;
use crate::emit;
use crate::execute::{infer, interpreter};
use crate::graph::{DType, Graph, Node, Op, ValueId};
use crate::ops;

/// The ranges of a node's results at the ends of its operands' ranges, and whether they hold in between.
/// `None` if the node is not one that passes int8 channels on.
pub(super) fn ends(graph: &Graph, node: &Node, ranges: &[Vec<Range>]) -> Option<(Vec<Vec<Range>>, bool)> {
    let mut operands: Vec<ValueId> = activations(graph, node).collect();
    operands.sort();
    operands.dedup();
    // A function of two operands is run for every combination of ends; in other nodes, each result reads one
    // operand.
    let corners: &[usize] = match (&node.op, operands.len()) {
        (Op::Binary(_), 2) => &[0b00, 0b11, 0b01, 0b10],
        _ => &[0b00, usize::MAX],
    };
    let mut found: Option<Vec<Vec<Range>>> = None;
    for corner in corners {
        let level = |id: ValueId, channel: usize| {
            let at = operands.iter().position(|&operand| operand == id).unwrap_or(0);
            let (low, high) = ranges[id.0].get(channel).copied().unwrap_or(FULL);
            if corner >> at & 1 == 0 { low } else { high }
        };
        let results = run(graph, node, &level)?;
        match &mut found {
            None => found = Some(results),
            Some(found) => found.iter_mut().flatten().zip(results.iter().flatten()).for_each(|(a, b)| {
                *a = (a.0.min(b.0), a.1.max(b.1));
            }),
        }
    }
    Some((found?, ops::of(&node.op).is_monotone(graph, node)))
}

/// The ranges of a node's results when each channel of its operands holds its constant. Channels without a
/// constant must not affect the results that are used.
pub(super) fn constants(graph: &Graph, node: &Node, ranges: &[Vec<Range>]) -> Option<Vec<Vec<Range>>> {
    run(graph, node, &|id, channel| constant(&ranges[id.0], channel).unwrap_or(0))
}

/// Runs a node with every channel of its operands at one level. Returns the lowest and highest integer of
/// each channel of its results over all pixels and both roundings.
fn run(graph: &Graph, node: &Node, level: &dyn Fn(ValueId, usize) -> i32) -> Option<Vec<Vec<Range>>> {
    let mut alone = Graph { name: "probe".into(), ..Graph::default() };
    let mut places = HashMap::new();
    let mut inputs = Vec::new();
    for &id in node.inputs.iter().flatten().chain(&node.outputs) {
        if places.contains_key(&id) {
            continue;
        }
        let value = graph.value(id).clone();
        let is_input = value.constant.is_none() && !node.outputs.contains(&id);
        if value.constant.is_none() && value.dtype != DType::Int8 {
            return None;
        }
        let place = alone.add_value(value);
        places.insert(id, place);
        if is_input {
            let (elements, count) = (graph.value(id).elements(), channels(graph, id).max(1));
            alone.inputs.push(place);
            inputs.push((0..elements).map(|i| level(id, i % count) as u8).collect::<Vec<u8>>());
        }
    }
    alone.outputs = node.outputs.iter().map(|id| places[id]).collect();
    alone.nodes.push(Node {
        inputs: node.inputs.iter().map(|id| id.map(|id| places[&id])).collect(),
        outputs: alone.outputs.clone(),
        ..node.clone()
    });
    let mut ranges: Vec<Vec<Range>> =
        node.outputs.iter().map(|&id| vec![(i32::MAX, i32::MIN); channels(graph, id)]).collect();
    for rounding in [Rounding::Double, Rounding::Single] {
        let options = emit::Options { rounding, strip: true, ..emit::Options::default() };
        let file = AlignedBuf::from_bytes(&emit::compile(&alone, &options).ok()?.bytes);
        let model = Model::from_bytes(&file).ok()?;
        let mut memory = AlignedBuf::zeroed(model.arena_bytes());
        let mut net = interpreter(&model, alone.op_set(), &mut memory).ok()?;
        for (ranges, output) in ranges.iter_mut().zip(infer(&mut net, &inputs, &mut ()).ok()?) {
            for pixel in output.chunks(ranges.len().max(1)) {
                for (range, &byte) in ranges.iter_mut().zip(pixel) {
                    let q = i32::from(byte as i8);
                    *range = (range.0.min(q), range.1.max(q));
                }
            }
        }
    }
    Some(ranges)
}
