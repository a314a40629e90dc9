//! What steps read beside their states: one row of one sequence each, and the graph of one step alone.

use std::collections::HashMap;

use super::cell::Cell;
use super::chain::{Links, through_reshapes};
use super::steps::Steps;
use crate::graph::{
    Activation, Binary, BinaryKind, Constant, FullyConnected, Graph, Node, Op, Value, ValueId,
};

/// The rows of a sequence that the steps read, one after another.
#[derive(Clone, Copy, Debug)]
pub(super) struct Rows {
    /// The sequence: whatever its shape, its elements are rows that follow one another.
    pub source: ValueId,
    /// The row that the first step reads.
    pub first: usize,
    /// The next step reads the row before.
    pub backwards: bool,
    /// Elements of a row.
    pub features: usize,
}

impl Rows {
    /// Rows of the sequence.
    pub(super) fn count(&self, graph: &Graph) -> usize {
        graph.value(self.source).elements() / self.features.max(1)
    }
}

/// Some elements of a value that follow one another: the value, the first one and their number.
type Part = (ValueId, usize, usize);

/// The part of another value that a value is a copy of.
fn part(graph: &Graph, links: &Links, id: ValueId) -> Option<Part> {
    let (node, _, position) = links.writer(graph, id)?;
    let source = node.input(0)?;
    let (shape, elements) = (&graph.value(source).shape, graph.value(id).elements());
    let behind = |axis: usize| shape.get(axis + 1..).map(|dims| dims.iter().product::<usize>());
    let before = |axis: usize| shape.get(..axis).map(|dims| dims.iter().product::<usize>());
    let (axis, index) = match &node.op {
        Op::Slice(slice) => {
            let whole = |axis: usize| slice.begin[axis] == 0 && slice.size[axis] == shape[axis];
            let axis = (0..shape.len()).find(|&axis| !whole(axis))?;
            let rest = (axis + 1..shape.len()).all(whole)
                && slice.stride.iter().zip(&slice.size).all(|(&s, &n)| s == 1 || n == 1);
            if !rest {
                return None;
            }
            (axis, slice.begin[axis])
        }
        // A copy of a copy, and the last state of a layer, which is a row of its results.
        Op::Reshape => return part(graph, links, source),
        Op::Recurrent(layer) if position == 1 => {
            let all = node.outputs[0];
            let steps = graph.value(all).elements() / elements.max(1);
            let last = if layer.reverse { 0 } else { steps - 1 };
            let is_one = graph.value(id).shape.first() == Some(&1);
            return is_one.then_some((all, last * elements, elements));
        }
        Op::Unpack(unpack) => (unpack.axis, position),
        Op::Split(split) => {
            let sizes = node.outputs.iter().map(|&id| graph.value(id).shape[split.axis]);
            (split.axis, sizes.take(position).sum())
        }
        Op::Gather(gather) if gather.batch_dims == 0 => {
            let index = match graph.value(node.input(1)?).constant.as_ref()? {
                Constant::I32(index) => i64::from(*index.first().filter(|_| index.len() == 1)?),
                Constant::I64(index) => *index.first().filter(|_| index.len() == 1)?,
                _ => return None,
            };
            (gather.axis, usize::try_from(index).ok()?)
        }
        _ => return None,
    };
    (before(axis)? == 1).then_some((source, index * behind(axis)?, elements))
}

/// The rows that these values are, one after another.
fn rows(graph: &Graph, links: &Links, values: &[ValueId]) -> Option<Rows> {
    let parts: Vec<Part> = values.iter().map(|&id| part(graph, links, id)).collect::<Option<_>>()?;
    let &[(source, start, features), (_, second, _), ..] = parts.as_slice() else { return None };
    let backwards = second < start;
    let step = |at: usize| match backwards {
        false => Some(start + at * features),
        true => start.checked_sub(at * features),
    };
    let follows = |(at, part): (usize, &Part)| step(at).map(|place| (source, place, features)) == Some(*part);
    let fits =
        features != 0 && start % features == 0 && graph.value(source).elements().is_multiple_of(features);
    (fits && parts.iter().enumerate().all(follows)).then(|| Rows {
        source,
        first: start / features,
        backwards,
        features,
    })
}

/// Copies one step into a graph of its own.
struct Copy<'a> {
    graph: &'a Graph,
    links: &'a Links,
    steps: &'a Steps,
    alone: Graph,
    known: HashMap<ValueId, ValueId>,
    row: Option<(Rows, ValueId)>,
}

/// The model of all steps as a graph: its inputs are the row, the hidden and the cell state, its outputs the states behind
/// it. And the rows that the steps read.
pub(super) fn round(graph: &Graph, links: &Links, steps: &Steps) -> Option<(Graph, Rows)> {
    let alone = Graph { name: "step".into(), ..Graph::default() };
    let mut copy = Copy { graph, links, steps, alone, known: HashMap::new(), row: None };
    let model = steps.model;
    let mut inputs = Vec::new();
    for states in std::iter::once(&steps.hidden).chain(&steps.cells) {
        let id = copy.alone.add_value(Value { constant: None, ..graph.value(states[model]).clone() });
        copy.known.insert(states[model], id);
        inputs.push(id);
    }
    for &side in &steps.sides {
        let values: Vec<ValueId> =
            steps.same.iter().map(|step| step.get(&side).copied()).collect::<Option<_>>()?;
        let id = copy.side(&values, 0)?;
        copy.known.insert(side, id);
    }
    let mut outputs = Vec::new();
    for states in std::iter::once(&steps.hidden).chain(&steps.cells) {
        outputs.push(copy.inside(states[model + 1])?);
    }
    let Copy { mut alone, row, .. } = copy;
    let (rows, row) = row?;
    alone.inputs = std::iter::once(row).chain(inputs).collect();
    alone.outputs = outputs;
    Some((alone, rows))
}

/// Longest way from a row to where a step reads it.
const DEEPEST: usize = 64;

impl Copy<'_> {
    /// A value that is known, the same in all steps.
    fn constant(&mut self, id: ValueId) -> ValueId {
        let value = self.graph.value(id).clone();
        *self.known.entry(id).or_insert_with(|| self.alone.add_value(value))
    }

    /// A node of the graph with these operands, and the copy of the result at `position`.
    fn node(&mut self, node: &Node, inputs: Vec<Option<ValueId>>, position: usize) -> Option<ValueId> {
        let mut outputs = Vec::with_capacity(node.outputs.len());
        for &output in &node.outputs {
            let id = self.alone.add_value(self.graph.value(output).clone());
            self.known.insert(output, id);
            outputs.push(id);
        }
        let result = outputs.get(position).copied();
        self.alone.nodes.push(Node { inputs, outputs, ..node.clone() });
        result
    }

    /// What stands for these values, one of each step, which no state has a part in.
    fn side(&mut self, values: &[ValueId], depth: usize) -> Option<ValueId> {
        let own = values[self.steps.model];
        if let Some(&known) = self.known.get(&own) {
            return Some(known);
        }
        let graph = self.graph;
        let all_same = values.iter().all(|&id| {
            graph.value(id).constant.is_some() && graph.value(id).constant == graph.value(own).constant
        });
        if all_same {
            return Some(self.constant(own));
        }
        if let Some(rows) = rows(graph, self.links, values) {
            let value = Value { constant: None, ..graph.value(own).clone() };
            let id = match &self.row {
                None => self.alone.add_value(value),
                // The same rows may be cut out once more.
                Some((known, id)) if same_rows(known, &rows) => {
                    let id = *id;
                    if self.alone.value(id).shape == value.shape {
                        return Some(id);
                    }
                    let output = self.alone.add_value(value);
                    let name = graph.value(own).name.clone();
                    self.alone.nodes.push(Node {
                        name,
                        op: Op::Reshape,
                        inputs: vec![Some(id)],
                        outputs: vec![output],
                    });
                    return Some(output);
                }
                Some(_) => return None,
            };
            self.row = Some((rows, id));
            self.known.insert(own, id);
            return Some(id);
        }
        if depth > DEEPEST {
            return None;
        }
        let (node, _, position) = self.links.writer(graph, own)?;
        let mut inputs = Vec::with_capacity(node.inputs.len());
        for at in 0..node.inputs.len() {
            let mut operands = Vec::with_capacity(values.len());
            for &id in values {
                let (other, _, place) = self.links.writer(graph, id)?;
                if other.op != node.op || place != position || other.inputs.len() != node.inputs.len() {
                    return None;
                }
                operands.extend(other.input(at));
            }
            inputs.push(match operands.len() {
                0 => None,
                n if n == values.len() => Some(self.side(&operands, depth + 1)?),
                _ => return None,
            });
        }
        self.node(node, inputs, position)
    }

    /// A value that the states have a part in.
    fn inside(&mut self, id: ValueId) -> Option<ValueId> {
        if let Some(&known) = self.known.get(&id) {
            return Some(known);
        }
        if self.graph.value(id).constant.is_some() {
            return Some(self.constant(id));
        }
        let (node, _, position) = self.links.writer(self.graph, id)?;
        let operand = |copy: &mut Self, input: &Option<ValueId>| match input {
            None => Some(None),
            Some(id) => copy.inside(*id).map(Some),
        };
        let inputs = node.inputs.iter().map(|input| operand(self, input)).collect::<Option<_>>()?;
        self.node(node, inputs, position)
    }
}

fn same_rows(a: &Rows, b: &Rows) -> bool {
    (a.source, a.first, a.backwards, a.features) == (b.source, b.first, b.backwards, b.features)
}

/// Where an author has multiplied the whole sequence by the weights before the loop, the layer does that.
pub(super) fn through_products(graph: &Graph, links: &Links, cell: Cell, rows: Rows) -> Option<(Cell, Rows)> {
    let (mut found, mut bias) = ((cell.clone(), rows), vec![0.0; rows.features]);
    let mut at = rows.source;
    loop {
        at = through_reshapes(graph, links, at);
        let Some((node, ..)) = links.writer(graph, at) else { return Some(found) };
        let only = graph.value(at).elements().is_multiple_of(rows.features)
            && graph.value(at).shape.last() == Some(&rows.features);
        let operand = |position: usize| {
            let id = node.input(position)?;
            graph.value(id).constant.as_ref()?.as_f32().map(|data| (id, data))
        };
        if !only {
            return Some(found);
        }
        match &node.op {
            Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None }) => {
                let Some((position, (_, term))) = [1, 0].into_iter().find_map(|at| Some((at, operand(at)?)))
                else {
                    return Some(found);
                };
                let Some(next) = node.input(1 - position).filter(|_| term.len() == rows.features) else {
                    return Some(found);
                };
                bias.iter_mut().zip(term).for_each(|(bias, term)| *bias += term);
                at = next;
            }
            Op::FullyConnected(FullyConnected { activation: Activation::None }) => {
                let (Some((id, weights)), Some(next)) = (operand(1), node.input(0)) else {
                    return Some(found);
                };
                if let Some(given) = node.input(2) {
                    let Some((_, given)) = operand(2).filter(|(id, _)| *id == given) else {
                        return Some(found);
                    };
                    bias.iter_mut().zip(given).for_each(|(bias, term)| *bias += term);
                }
                let &[_, features] = graph.value(id).shape.as_slice() else { return Some(found) };
                // Only where each sum of the cell is one element of the row: else a product of products would be stored,
                // and would be larger than both.
                let Some(cell) = cell.of_elements(weights, &bias, features) else { return Some(found) };
                found = (cell, Rows { source: next, features, ..rows });
                return Some(found);
            }
            _ => return Some(found),
        }
    }
}
