//! Values that the same matrix multiplies one after another, each made of the one before: hidden states.

use std::collections::{HashMap, HashSet};

use crate::graph::{Graph, Node, Op, ValueId};

/// Fewest products with one matrix: a first step is often written apart.
const FEWEST: usize = 3;

/// Who writes and reads each value.
pub(super) struct Links {
    writers: Vec<Option<(usize, usize)>>,
    pub readers: HashMap<ValueId, Vec<usize>>,
}

impl Links {
    pub(super) fn of(graph: &Graph) -> Links {
        let mut writers = vec![None; graph.values.len()];
        for (index, node) in graph.nodes.iter().enumerate() {
            for (position, output) in node.outputs.iter().enumerate() {
                writers[output.0] = Some((index, position));
            }
        }
        Links { writers, readers: graph.consumers() }
    }

    /// The node that writes a value, its number, and the position of the value among its results.
    pub(super) fn writer<'g>(&self, graph: &'g Graph, id: ValueId) -> Option<(&'g Node, usize, usize)> {
        let (index, position) = (*self.writers.get(id.0)?)?;
        Some((&graph.nodes[index], index, position))
    }
}

/// The matrix of a product.
fn matrix(graph: &Graph, node: &Node) -> Option<ValueId> {
    let id = match node.op {
        Op::FullyConnected(_) | Op::BatchMatMul(_) => node.input(1)?,
        _ => return None,
    };
    graph.value(id).constant.is_some().then_some(id)
}

/// Matrices that several products share, in the order in which they come first.
pub(super) fn candidates(graph: &Graph) -> Vec<ValueId> {
    let mut counts: HashMap<ValueId, usize> = HashMap::new();
    let mut order = Vec::new();
    for id in graph.nodes.iter().filter_map(|node| matrix(graph, node)) {
        let count = counts.entry(id).or_default();
        *count += 1;
        if *count == 1 {
            order.push(id);
        }
    }
    order.retain(|id| counts[id] >= FEWEST);
    order
}

/// What may be the hidden states that a matrix multiplies: all that it is multiplied with, or, where that is joined of
/// several values, those at the same place of each.
pub(super) fn marks(graph: &Graph, weights: ValueId) -> Vec<Vec<ValueId>> {
    let links = Links::of(graph);
    let products = graph.nodes.iter().filter(|node| matrix(graph, node) == Some(weights));
    let operands: Vec<ValueId> = products.filter_map(|node| node.input(0)).collect();
    let plain = |id: ValueId| through_reshapes(graph, &links, id);
    let whole: Vec<ValueId> = operands.iter().map(|&id| plain(id)).collect();
    let joined = |id: ValueId| links.writer(graph, id).filter(|(node, ..)| matches!(node.op, Op::Concat(_)));
    let parts = joined(whole[0]).map_or(0, |(node, ..)| node.inputs.len());
    let part = |position: usize| -> Option<Vec<ValueId>> {
        whole.iter().map(|&id| joined(id)?.0.input(position).map(plain)).collect()
    };
    let mut found: Vec<Vec<ValueId>> = (0..parts).rev().filter_map(part).collect();
    if found.is_empty() {
        found.push(whole);
    }
    // Each is another value.
    found.retain(|marks| marks.iter().collect::<HashSet<_>>().len() == marks.len());
    found
}

/// What a value is but for its shape.
pub(super) fn through_reshapes(graph: &Graph, links: &Links, mut id: ValueId) -> ValueId {
    while let Some((node, ..)) = links.writer(graph, id)
        && node.op == Op::Reshape
        && let Some(inner) = node.input(0)
    {
        id = inner;
    }
    id
}
