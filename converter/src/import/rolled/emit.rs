//! The layer in place of the steps.

use std::collections::HashMap;

use super::Found;
use super::chain::{Links, through_reshapes};
use super::trial::{self, Random};
use crate::graph::{
    self, Activation, Concat, Constant, DType, Graph, Node, Op, Recurrent, Slice, Value, ValueId,
};
use crate::passes::dead;
use crate::reference::Executor;

/// Samples on which a step before the first one has to agree.
const SAMPLES: usize = 4;

/// Takes the step before the first one into the layer: where states begin with zeros, products with them may have been
/// left out, so that it consists of other nodes.
pub(super) fn take_first(graph: &Graph, links: &Links, found: &mut Found) {
    let rows = found.rows;
    let row = match rows.backwards {
        false => rows.first.checked_sub(1),
        true => Some(rows.first + 1).filter(|&row| row < rows.count(graph)),
    };
    let states: Vec<ValueId> =
        std::iter::once(&found.steps.hidden).chain(&found.steps.cells).map(|all| all[0]).collect();
    let (Some(row), true) = (row, states.iter().all(|&id| links.writer(graph, id).is_some())) else { return };
    let mut alone = graph.clone();
    (alone.inputs, alone.outputs) = (vec![rows.source], states);
    alone.states.clear();
    // What the sequence is made of is not asked for.
    alone.nodes.retain(|node| !node.outputs.contains(&rows.source));
    dead::run(&mut alone);
    let Ok(executor) = Executor::new(&alone) else { return };
    let mut random = Random::new();
    let agree = (0..SAMPLES).all(|_| {
        let sequence = random.numbers(graph.value(rows.source).elements(), 1.0);
        let Ok(expected) = executor.run(&[&sequence]) else { return false };
        let own = &sequence[row * rows.features..][..rows.features];
        let found = trial::step(&found.cell, own, None, None);
        expected.iter().zip(&found).all(|(expected, found)| trial::is_close(found, expected))
    });
    if agree {
        found.rows.first = row;
        found.from_zero = true;
    }
}

/// Nodes that are added, behind everything that they read.
struct Added<'a> {
    graph: &'a mut Graph,
    nodes: Vec<Node>,
    layer: String,
}

impl Added<'_> {
    fn value(&mut self, word: &str, shape: Vec<usize>, constant: Option<Constant>) -> ValueId {
        let name = format!("{}{word}", self.layer);
        self.graph.add_value(Value { name, shape, dtype: DType::Float32, quantization: None, constant })
    }

    fn node(&mut self, word: &str, op: Op, x: ValueId, shape: Vec<usize>) -> ValueId {
        let output = self.value(word, shape, None);
        let name = format!("{}{word}", self.layer);
        self.nodes.push(Node { name, op, inputs: vec![Some(x)], outputs: vec![output] });
        output
    }

    fn reshape(&mut self, word: &str, x: ValueId, shape: &[usize]) -> ValueId {
        if self.graph.value(x).shape == shape {
            return x;
        }
        self.node(word, Op::Reshape, x, shape.to_vec())
    }

    /// Makes a value of the steps free to be written anew.
    fn take(&mut self, links: &Links, id: ValueId) {
        let Some((_, index, position)) = links.writer(self.graph, id) else { return };
        let value = self.graph.value(id).clone();
        self.graph.nodes[index].outputs[position] = self.graph.add_value(value);
    }

    /// Writes a value of the steps: the same elements as `x` has.
    fn copy(&mut self, x: ValueId, id: ValueId) {
        let name = self.graph.value(id).name.clone();
        self.nodes.push(Node { name, op: Op::Reshape, inputs: vec![Some(x)], outputs: vec![id] });
    }

    /// Some rows of a sequence `[1, rows, elements]`.
    fn rows(&mut self, word: &str, x: ValueId, [first, count]: [usize; 2]) -> ValueId {
        let shape = self.graph.value(x).shape.clone();
        let size = vec![1, count, shape[2]];
        if size == shape {
            return x;
        }
        let slice = Slice { begin: vec![0, first, 0], size: size.clone(), stride: vec![1; 3] };
        self.node(word, Op::Slice(slice), x, size)
    }
}

/// Puts the layer in place of the steps, and returns what to tell people.
pub(super) fn emit(graph: &mut Graph, found: &Found) -> String {
    let links = Links::of(graph);
    let Found { steps, rows, cell, from_zero } = found;
    let before = usize::from(!from_zero);
    // The states behind each step.
    let hidden = &steps.hidden[before..];
    let (count, units) = (hidden.len(), cell.units);
    let low = if rows.backwards { rows.first + 1 - count } else { rows.first };
    let initial: Vec<Option<ValueId>> = std::iter::once(&steps.hidden)
        .chain(&steps.cells)
        .map(|all| Some(all[0]).filter(|&id| !from_zero && !is_zero(graph, id)))
        .collect();
    let needed = std::iter::once(rows.source).chain(initial.iter().flatten().copied());
    let place =
        needed.filter_map(|id| links.writer(graph, id)).map(|(_, index, _)| index + 1).max().unwrap_or(0);

    let what = match cell.attributes.cell {
        graph::Cell::Lstm => "lstm",
        graph::Cell::Gru { .. } => "gru",
        graph::Cell::Simple => "rnn",
    };
    let layer = name(graph, &links, hidden, what);
    let kernel = [&cell.weights, &cell.recurrent, &cell.bias];
    let width = cell.bias.len();
    let shapes = [vec![width, cell.features], vec![width, units], vec![width]];
    let total = rows.count(graph);
    let mut added = Added { graph, nodes: Vec::new(), layer: layer.clone() };
    let sequence = added.reshape("/sequence", rows.source, &[1, total, cell.features]);
    let x = added.rows("/rows", sequence, [low, count]);
    let mut operands = vec![Some(x)];
    for ((word, data), shape) in ["/kernel", "/recurrent_kernel", "/bias"].iter().zip(kernel).zip(shapes) {
        operands.push(Some(added.value(word, shape, Some(Constant::F32(data.clone())))));
    }
    let state = |data: &Vec<f32>| (vec![width], Some(Constant::F32(data.clone())));
    operands.push(
        cell.recurrent_bias
            .as_ref()
            .map(state)
            .map(|(shape, data)| added.value("/recurrent_bias", shape, data)),
    );
    for (id, word) in initial.into_iter().zip(["/initial_hidden", "/initial_cell"]) {
        operands.push(id.map(|id| added.reshape(word, id, &[1, units])));
    }
    // The states keep their names: they are written by the layer, or by a copy of what it writes.
    let bare = |graph: &Graph, id: ValueId| through_reshapes(graph, &links, id);
    let hidden: Vec<ValueId> = hidden.iter().map(|&id| bare(added.graph, id)).collect();
    let cell_state = steps.cells.as_ref().and_then(|cells| cells.last()).map(|&id| bare(added.graph, id));
    let last = hidden.last().copied();
    for id in hidden.iter().copied().chain(cell_state) {
        added.take(&links, id);
    }
    let mut outputs = vec![added.value("", vec![1, count, units], None)];
    for (word, id) in [("/last", last), ("/last_cell", cell_state)] {
        let own = id.filter(|&id| added.graph.value(id).shape == [1, units]);
        if id.is_some() {
            outputs.push(own.unwrap_or_else(|| added.value(word, vec![1, units], None)));
        }
    }
    let op = Op::Recurrent(Recurrent { reverse: rows.backwards, ..cell.attributes });
    added.nodes.push(Node { name: layer.clone(), op, inputs: operands, outputs: outputs.clone() });

    let mut places: HashMap<ValueId, usize> = HashMap::new();
    for (step, &id) in hidden.iter().enumerate() {
        let at = if rows.backwards { count - 1 - step } else { step };
        places.insert(id, at);
        if Some(id) != last {
            let row = added.rows(&format!("/step_{step}"), outputs[0], [at, 1]);
            added.copy(row, id);
        }
    }
    for (&output, id) in outputs[1..].iter().zip([last, cell_state].into_iter().flatten()) {
        if output != id {
            added.copy(output, id);
        }
    }
    let nodes = added.nodes;
    // All states in the order of their steps are the layer's result as it is.
    for index in 0..graph.nodes.len() {
        if is_joined(graph, &links, index, &places, count) {
            let node = &mut graph.nodes[index];
            (node.op, node.inputs) = (Op::Reshape, vec![Some(outputs[0])]);
        }
    }
    graph.nodes.splice(place..place, nodes);
    let steps = if count == 1 { "step" } else { "steps" };
    format!(
        "a loop became one layer `{layer}`: {} of {units} units over {count} {steps}",
        what.to_uppercase()
    )
}

fn is_zero(graph: &Graph, id: ValueId) -> bool {
    let data = graph.value(id).constant.as_ref().and_then(Constant::as_f32);
    data.is_some_and(|data| data.iter().all(|&x| x == 0.0))
}

/// Whether a node joins the states of all steps in the order of their rows, and nothing else.
fn is_joined(
    graph: &Graph,
    links: &Links,
    index: usize,
    places: &HashMap<ValueId, usize>,
    count: usize,
) -> bool {
    let node = &graph.nodes[index];
    let axis = match &node.op {
        Op::Pack(pack) => pack.axis,
        Op::Concat(Concat { axis, activation: Activation::None }) => *axis,
        _ => return false,
    };
    let before = graph.value(node.outputs[0]).shape.get(..axis);
    let place = |id: &Option<ValueId>| {
        let id = (*id)?;
        places.get(&id).or_else(|| places.get(&through_reshapes(graph, links, id))).copied()
    };
    before.is_some_and(|dims| dims.iter().product::<usize>() == 1)
        && node.inputs.len() == count
        && node.inputs.iter().enumerate().all(|(at, id)| place(id) == Some(at))
}

/// A name of its own for the layer: that of the block that all steps are in, and what it is.
fn name(graph: &Graph, links: &Links, hidden: &[ValueId], what: &str) -> String {
    // Nodes of a loop's rounds have names that end in the round's number.
    let names: Vec<&str> = hidden
        .iter()
        .filter_map(|&id| links.writer(graph, id))
        .map(|(node, ..)| node.name.rsplit_once("/step_").map_or(node.name.as_str(), |(name, _)| name))
        .collect();
    let mut common = names.first().copied().unwrap_or_default();
    for name in &names {
        let end = common.bytes().zip(name.bytes()).take_while(|(a, b)| a == b).count();
        common = common.get(..end).unwrap_or_default();
    }
    let base = match common.rsplit_once('/') {
        Some((block, _)) => format!("{block}/{what}"),
        None => what.to_string(),
    };
    let is_free = |name: &String| graph.nodes.iter().all(|node| node.name != *name);
    let numbered = (2..).map(|number| format!("{base}_{number}"));
    std::iter::once(base.clone()).chain(numbered).find(is_free).unwrap_or(base)
}
