//! Regions of layers that work under any view, and the best view for each.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::graph::{Graph, Node, Op, ValueId};
use crate::ops;
use crate::ops::operator::Layout;
use crate::ops::view::{View, origin};

/// A set of connected layers.
pub(super) struct Region {
    /// Their indices in the graph, ascending.
    pub nodes: Vec<usize>,
    /// The values under the view: what the layers read and write, except constants and values outside.
    pub values: BTreeSet<ValueId>,
}

/// The writer and the readers of each value.
pub(super) struct Maps {
    pub writers: HashMap<ValueId, usize>,
    pub readers: HashMap<ValueId, Vec<usize>>,
}

impl Maps {
    pub(super) fn new(graph: &Graph) -> Maps {
        Maps { writers: graph.producers(), readers: graph.consumers() }
    }

    pub(super) fn readers(&self, id: ValueId) -> &[usize] {
        self.readers.get(&id).map_or(&[], Vec::as_slice)
    }
}

/// Whether a value is a constant, or integers that DEQUANTIZE turns into one, so that it can be rearranged
/// now.
pub(super) fn is_known(graph: &Graph, maps: &Maps, id: ValueId) -> bool {
    let constant = |id: ValueId| graph.value(id).constant.is_some();
    constant(id)
        || maps.writers.get(&id).is_some_and(|&at| {
            let node = &graph.nodes[at];
            matches!(node.op, Op::Dequantize) && node.input(0).is_some_and(constant)
        })
}

/// The operands and results of a layer that are under the view, if the layer works under any view. Constants
/// are not; of layers at the end of a region, only the operand is.
fn members(graph: &Graph, maps: &Maps, node: &Node) -> Option<Vec<ValueId>> {
    let output = *node.outputs.first()?;
    let rank = graph.value(output).shape.len();
    let data: Vec<ValueId> =
        node.inputs.iter().flatten().copied().filter(|&id| !is_known(graph, maps, id)).collect();
    let all = || [data.as_slice(), node.outputs.as_slice()].concat();
    let same_rank =
        |ids: &[ValueId]| ids.iter().all(|&id| graph.value(id).shape.len() == rank) && !data.is_empty();
    let operator = ops::of(&node.op);
    match operator.layout(graph, node) {
        Layout::Any => {
            let known = operator.broadcasts() || data.len() == node.inputs.len();
            let ranks = node.inputs.iter().flatten().all(|&id| graph.value(id).shape.len() <= rank);
            (known && same_rank(&all()) && ranks).then(all)
        }
        Layout::Operand => (data.len() == 1).then_some(data),
        Layout::Fixed if node.op == Op::Reshape && flattens(graph, maps, node).is_some() => Some(data),
        Layout::Fixed => None,
    }
}

/// The dense layers that read a flattened tensor, if nothing else does. They must read it row by row with
/// known weights, possibly after functions of single elements.
pub(super) fn flattens(graph: &Graph, maps: &Maps, node: &Node) -> Option<Vec<usize>> {
    let output = *node.outputs.first()?;
    let (before, after) = (&graph.value(node.input(0)?).shape, &graph.value(output).shape);
    let (&columns, rows) = after.split_last()?;
    if rows.iter().product::<usize>() != *before.first()? || before.len() <= 2 {
        return None;
    }
    let (mut dense, mut open) = (Vec::new(), vec![output]);
    while let Some(value) = open.pop() {
        let readers = maps.readers(value);
        if graph.is_output(value) || readers.is_empty() {
            return None;
        }
        for &at in readers {
            let reader = &graph.nodes[at];
            match (&reader.op, reader.input(1), reader.outputs.as_slice()) {
                (Op::Unary(_) | Op::Quantize | Op::Dequantize, None, &[result]) => open.push(result),
                (Op::FullyConnected(_), Some(weights), _)
                    if reader.input(0) == Some(value)
                        && is_known(graph, maps, weights)
                        && graph.value(weights).shape.get(1) == Some(&columns) =>
                {
                    dense.push(at);
                }
                _ => return None,
            }
        }
    }
    Some(dense)
}

/// All regions.
fn regions(graph: &Graph, maps: &Maps) -> Vec<Region> {
    let parts: Vec<Option<Vec<ValueId>>> =
        graph.nodes.iter().map(|node| members(graph, maps, node)).collect();
    let mut by_value: HashMap<ValueId, Vec<usize>> = HashMap::new();
    for (index, values) in parts.iter().enumerate().filter_map(|(i, p)| Some((i, p.as_ref()?))) {
        for &id in values {
            by_value.entry(id).or_default().push(index);
        }
    }
    let mut seen = vec![false; parts.len()];
    let mut regions = Vec::new();
    for start in 0..parts.len() {
        if seen[start] || parts[start].is_none() {
            continue;
        }
        let (mut nodes, mut values, mut open) = (BTreeSet::new(), BTreeSet::new(), vec![start]);
        seen[start] = true;
        while let Some(index) = open.pop() {
            nodes.insert(index);
            for &id in parts[index].iter().flatten() {
                if values.insert(id) {
                    for &next in by_value.get(&id).into_iter().flatten() {
                        if !std::mem::replace(&mut seen[next], true) {
                            open.push(next);
                        }
                    }
                }
            }
        }
        regions.push(Region { nodes: nodes.into_iter().collect(), values });
    }
    regions
}

/// The first region that some view makes cheaper, and the best view for it.
pub(super) fn best(graph: &Graph) -> Option<(Region, View)> {
    let maps = Maps::new(graph);
    regions(graph, &maps).into_iter().find_map(|region| {
        let mut candidates: Vec<View> = Vec::new();
        let mut add = |view: View| {
            if !candidates.contains(&view) && candidates.len() < 8 {
                candidates.push(view);
            }
        };
        for &id in &region.values {
            if !written_inside(&maps, &region, id) {
                let (source, view, _) = origin(graph, &maps.writers, id);
                if source != id {
                    add(view.inverse(graph.value(source).shape.len()));
                }
            }
            for exit in exits(graph, &maps, &region, id) {
                if let Exit::Seen { view, .. } = exit {
                    add(view);
                }
            }
        }
        let gain = |view: &View| {
            let (before, after) = cost(graph, &maps, &region, view)?;
            before.checked_sub(after).filter(|&gain| gain > 0)
        };
        let scored = candidates.into_iter().filter_map(|view| Some((gain(&view)?, view)));
        let (_, view) = scored.max_by_key(|(gain, _)| *gain)?;
        Some((region, view))
    })
}

/// Whether a layer of the region writes a value.
pub(super) fn written_inside(maps: &Maps, region: &Region, id: ValueId) -> bool {
    maps.writers.get(&id).is_some_and(|at| region.nodes.binary_search(at).is_ok())
}

/// How a node outside reads a value of the region.
pub(super) enum Exit {
    /// Through a view; `node` is the last node that makes it.
    Seen {
        /// The index of that node.
        node: usize,
        /// The view of the region's value.
        view: View,
    },
    /// As it is, by the node at this index.
    Whole(usize),
}

/// All readers of a value that are outside of the region.
pub(super) fn exits(graph: &Graph, maps: &Maps, region: &Region, id: ValueId) -> Vec<Exit> {
    // Readers outside of a value that comes from outside do not concern the region.
    if !written_inside(maps, region, id) {
        return Vec::new();
    }
    let mut seen = HashSet::new();
    let readers = maps.readers(id).iter().copied().filter(|at| region.nodes.binary_search(at).is_err());
    readers
        .filter(|at| seen.insert(*at))
        .map(|mut at| {
            let Some(mut view) = View::of(graph, &graph.nodes[at]) else { return Exit::Whole(at) };
            // Follows views that no other node reads.
            while let &[result] = graph.nodes[at].outputs.as_slice() {
                let &[next] = maps.readers(result) else { break };
                if graph.is_output(result) || region.nodes.binary_search(&next).is_ok() {
                    break;
                }
                let Some(step) = View::of(graph, &graph.nodes[next]) else { break };
                view = view.then(&step);
                at = next;
            }
            Exit::Seen { node: at, view }
        })
        .collect()
}

/// What the views around a region cost now, and under another view of it; `None` if that is impossible.
fn cost(graph: &Graph, maps: &Maps, region: &Region, view: &View) -> Option<(usize, usize)> {
    if !region.values.iter().all(|&id| view.fits(&graph.value(id).shape)) {
        return None;
    }
    if !region.nodes.iter().all(|&at| allows(graph, maps, &graph.nodes[at], view)) {
        return None;
    }
    let (mut before, mut after) = (0usize, 0usize);
    for &id in &region.values {
        let shape = &graph.value(id).shape;
        if !written_inside(maps, region, id) {
            let (source, seen, _) = origin(graph, &maps.writers, id);
            // The value leaves the region and comes back as another view of itself.
            if written_inside(maps, region, source) {
                return None;
            }
            let source_shape = &graph.value(source).shape;
            let own = maps.readers(id).iter().all(|at| region.nodes.binary_search(at).is_ok());
            let (old, new) = (seen.cost(source_shape), seen.then(view));
            before = before.saturating_add(old);
            after = after.saturating_add(if own && !graph.is_output(id) { 0 } else { old });
            if existing(graph, maps, source, &new).is_none() {
                after = after.saturating_add(new.cost(source_shape));
            }
            continue;
        }
        let back = view.inverse(shape.len());
        let turned = view.shape(shape);
        let mut whole = graph.is_output(id);
        for exit in exits(graph, maps, region, id) {
            match exit {
                Exit::Seen { view: seen, .. } => {
                    before = before.saturating_add(seen.cost(shape));
                    after = after.saturating_add(back.then(&seen).cost(&turned));
                }
                Exit::Whole(_) => whole = true,
            }
        }
        if whole {
            after = after.saturating_add(back.cost(&turned));
        }
    }
    Some((before, after))
}

/// A value that is already this view of `source`.
pub(super) fn existing(graph: &Graph, maps: &Maps, source: ValueId, view: &View) -> Option<ValueId> {
    let shape = &graph.value(source).shape;
    if view.is_identity(shape) {
        return Some(source);
    }
    maps.readers(source).iter().find_map(|&at| {
        let node = &graph.nodes[at];
        let found = View::of(graph, node)?;
        let same = found.shape(shape) == view.shape(shape) && order(&found, shape) == order(view, shape);
        if same { node.outputs.first().copied() } else { None }
    })
}

/// The order of the dimensions larger than 1.
fn order(view: &View, shape: &[usize]) -> Vec<usize> {
    view.0.iter().flatten().copied().filter(|&d| shape[d] != 1).collect()
}

/// Whether a layer of the region can work under a view.
fn allows(graph: &Graph, maps: &Maps, node: &Node, view: &View) -> bool {
    if node.op != Op::Reshape {
        return ops::of(&node.op).allows(graph, node, view);
    }
    let Some(input) = node.input(0) else { return false };
    let batch = graph.value(input).shape.first().copied().unwrap_or(1);
    flattens(graph, maps, node).is_some() && (batch == 1 || view.0.first() == Some(&Some(0)))
}
