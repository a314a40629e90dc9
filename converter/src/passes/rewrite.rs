//! The few moves that passes make: take a node out, merge two, add a constant.

use crate::graph::{Constant, Graph, Quantization, Value, ValueId};

/// The only node that reads a value, if the value has exactly one reading operand and is not a
/// result of the model.
pub(super) fn only_reader(graph: &Graph, id: ValueId) -> Option<usize> {
    if graph.is_output(id) {
        return None;
    }
    let mut readers = graph.nodes.iter().enumerate().flat_map(|(index, node)| {
        node.inputs.iter().flatten().filter(move |&&input| input == id).map(move |_| index)
    });
    let first = readers.next()?;
    readers.next().is_none().then_some(first)
}

/// The node that writes a value.
pub(super) fn producer(graph: &Graph, id: ValueId) -> Option<usize> {
    graph.nodes.iter().position(|node| node.outputs.contains(&id))
}

/// Removes the node at `index`, whose one result has the same elements as `source`. Fails where
/// the result is a result of the model and cannot be written in place of `source`.
pub(super) fn bypass(graph: &mut Graph, index: usize, source: ValueId) -> bool {
    let result = graph.nodes[index].outputs[0];
    if graph.is_output(result) {
        let Some(writer) = producer(graph, source) else { return false };
        let same = graph.value(source).shape == graph.value(result).shape;
        if graph.is_output(source) || !same {
            return false;
        }
        // The model's result keeps its name: whoever wrote `source` now writes it.
        for output in &mut graph.nodes[writer].outputs {
            if *output == source {
                *output = result;
            }
        }
        if let Some(kind) = graph.authored.remove(&source) {
            graph.authored.insert(result, kind);
        }
        graph.replace_uses(source, result);
    } else {
        graph.replace_uses(result, source);
    }
    graph.nodes.remove(index);
    true
}

/// Lets the node at `first` write what the one at `second`, its only reader, wrote, under the
/// second one's name.
pub(super) fn merge(graph: &mut Graph, first: usize, second: usize) {
    let node = graph.nodes.remove(second);
    // A reader comes behind what it reads, so `first` has not moved.
    let old = std::mem::replace(&mut graph.nodes[first].outputs, node.outputs);
    let kind = old.first().and_then(|old| graph.authored.remove(old));
    if let Some((kind, &new)) = kind.zip(graph.nodes[first].outputs.first()) {
        graph.authored.insert(new, kind);
    }
    graph.nodes[first].name = node.name;
}

/// Adds a constant.
pub(super) fn add_constant(
    graph: &mut Graph,
    name: String,
    shape: Vec<usize>,
    constant: Constant,
    quantization: Option<Quantization>,
) -> ValueId {
    let dtype = constant.dtype();
    graph.add_value(Value { name, shape, dtype, quantization, constant: Some(constant) })
}
