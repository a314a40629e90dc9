//! Turns a region: changes its layers, constants and borders to another view.

use super::super::rewrite::add_constant;
use super::region::{Exit, Maps, Region, existing, exits, flattens, is_known, written_inside};
use crate::graph::{Constant, Graph, Node, Op, Quantization, Transpose, Value, ValueId};
use crate::ops;
use crate::ops::view::{View, origin};

/// Changes all values of a region to `view`.
pub(super) fn turn(graph: &mut Graph, region: &Region, view: &View) {
    let maps = Maps::new(graph);
    // Values that enter the region.
    let mut turned: Vec<(ValueId, ValueId)> = Vec::new();
    for &id in region.values.iter().filter(|&&id| !written_inside(&maps, region, id)) {
        let (source, seen, _) = origin(graph, &maps.writers, id);
        let wanted = seen.then(view);
        let new = match existing(graph, &maps, source, &wanted) {
            Some(new) => new,
            None => {
                let name = format!("{}/view", graph.value(id).name);
                see(graph, source, &wanted, &name)
            }
        };
        turned.push((id, new));
    }
    let exits: Vec<(ValueId, Vec<Exit>)> =
        region.values.iter().map(|&id| (id, exits(graph, &maps, region, id))).collect();
    // Layers of the region.
    for &at in &region.nodes {
        layer(graph, &maps, at, view);
        for (old, new) in &turned {
            for input in graph.nodes[at].inputs.iter_mut().filter(|input| **input == Some(*old)) {
                *input = Some(*new);
            }
        }
    }
    let old_shapes: Vec<(ValueId, Vec<usize>)> =
        region.values.iter().map(|&id| (id, graph.value(id).shape.clone())).collect();
    for (id, shape) in &old_shapes {
        if written_inside(&maps, region, *id) {
            graph.value_mut(*id).shape = view.shape(shape);
        }
    }
    // Values that leave the region.
    for ((id, exits), (_, shape)) in exits.into_iter().zip(&old_shapes) {
        if written_inside(&maps, region, id) {
            leave(graph, id, exits, &view.inverse(shape.len()));
        }
    }
    sort(graph);
}

/// Gives readers outside of a region what they read before; `back` is the inverse view.
fn leave(graph: &mut Graph, id: ValueId, exits: Vec<Exit>, back: &View) {
    let mut id = id;
    let mut whole: Option<ValueId> = None;
    if graph.is_output(id) {
        // The model's output keeps its name and shape.
        let value = graph.value(id).clone();
        let result = see(graph, id, back, &value.name);
        graph.value_mut(id).name = format!("{}/view", value.name);
        graph.replace_result(id, result);
        whole = Some(result);
    }
    for exit in exits {
        match exit {
            Exit::Whole(at) => {
                let name = format!("{}/view", graph.value(id).name);
                let seen = match whole {
                    Some(seen) => seen,
                    None => see(graph, id, back, &name),
                };
                whole = Some(seen);
                for input in graph.nodes[at].inputs.iter_mut().filter(|input| **input == Some(id)) {
                    *input = Some(seen);
                }
            }
            Exit::Seen { node, view } => {
                let result = graph.nodes[node].outputs[0];
                let wanted = back.then(&view);
                id = replace(graph, node, id, result, &wanted);
            }
        }
    }
}

/// Makes the node at `node`, which wrote `result`, compute it as a view of `source`. Returns the value that
/// has taken the source's place. It is another one if `result` is an output of the model and equals `source`.
pub(super) fn replace(
    graph: &mut Graph,
    node: usize,
    source: ValueId,
    result: ValueId,
    view: &View,
) -> ValueId {
    let shape = graph.value(source).shape.clone();
    if view.is_identity(&shape) {
        let writer = graph.nodes.iter().position(|n| n.outputs.contains(&source));
        match writer {
            Some(writer) if graph.is_output(result) && !graph.is_output(source) => {
                // The model's output keeps its name: the writer of `source` now writes it.
                for output in graph.nodes[writer].outputs.iter_mut().filter(|o| **o == source) {
                    *output = result;
                }
                if let Some(kind) = graph.authored.remove(&source) {
                    graph.authored.insert(result, kind);
                }
                graph.replace_uses(source, result);
                // The node keeps its index until dead nodes are removed.
                graph.nodes[node].inputs = vec![Some(result)];
                let spare = graph.value(result).clone();
                let spare = graph.add_value(Value { name: format!("{}/spare", spare.name), ..spare });
                graph.nodes[node].outputs = vec![spare];
                graph.nodes[node].op = Op::Reshape;
                return result;
            }
            _ if graph.is_output(result) => {
                graph.nodes[node].op = Op::Reshape;
                graph.nodes[node].inputs = vec![Some(source)];
            }
            _ => graph.replace_uses(result, source),
        }
        return source;
    }
    let (op, input) = if view.keeps_order(&shape) {
        (Op::Reshape, source)
    } else if let Some(permutation) = view.permutation(shape.len()) {
        (Op::Transpose(Transpose { permutation }), source)
    } else {
        let name = format!("{}/transpose", graph.nodes[node].name);
        (Op::Reshape, transposed(graph, source, view, &name))
    };
    graph.nodes[node].op = op;
    graph.nodes[node].inputs = vec![Some(input)];
    source
}

/// A TRANSPOSE to the dimensions of a view, followed by those that the view drops.
fn transposed(graph: &mut Graph, source: ValueId, view: &View, name: &str) -> ValueId {
    let rank = graph.value(source).shape.len();
    let mut permutation: Vec<usize> = view.0.iter().flatten().copied().collect();
    permutation.extend((0..rank).filter(|&d| view.place(d).is_none()));
    let value = graph.value(source).clone();
    let shape = permutation.iter().map(|&d| value.shape[d]).collect();
    let result = graph.add_value(Value { name: name.into(), shape, constant: None, ..value });
    let (op, inputs) = (Op::Transpose(Transpose { permutation }), vec![Some(source)]);
    graph.nodes.push(Node { name: name.into(), op, inputs, outputs: vec![result] });
    result
}

/// A new value that is a view of `source`, and the nodes that make it.
fn see(graph: &mut Graph, source: ValueId, view: &View, name: &str) -> ValueId {
    let value = graph.value(source).clone();
    let shape = view.shape(&value.shape);
    let result = graph.add_value(Value { name: name.into(), shape, constant: None, ..value });
    let (op, inputs) = (Op::Reshape, vec![Some(source)]);
    graph.nodes.push(Node { name: name.into(), op, inputs, outputs: vec![result] });
    replace_new(graph, source, view);
    result
}

/// Completes the node that was added last.
fn replace_new(graph: &mut Graph, source: ValueId, view: &View) {
    let node = graph.nodes.len() - 1;
    let shape = graph.value(source).shape.clone();
    if !view.is_identity(&shape) {
        let result = graph.nodes[node].outputs[0];
        replace(graph, node, source, result, view);
    }
}

/// Changes a layer of the region to a view of its operands.
fn layer(graph: &mut Graph, maps: &Maps, at: usize, view: &View) {
    let node = graph.nodes[at].clone();
    if let (Op::Reshape, Some(input), Some(dense)) = (&node.op, node.input(0), flattens(graph, maps, &node)) {
        let shape = graph.value(input).shape.clone();
        columns(graph, maps, &dense, &shape, view);
    }
    let operator = ops::of(&node.op);
    if operator.broadcasts() {
        let rank = graph.value(node.outputs[0]).shape.len();
        for position in 0..node.inputs.len() {
            let Some(id) = node.input(position).filter(|&id| is_known(graph, maps, id)) else { continue };
            let shape = graph.value(id).shape.clone();
            // A single number is the same under any view, unless it has too many dimensions.
            if shape.iter().product::<usize>() > 1 || shape.len() > view.0.len() {
                let wide = [vec![1; rank - shape.len()], shape].concat();
                let (places, lead) = (view.places(&wide), rank - graph.value(id).shape.len());
                let axis = |axis: usize| view.place(axis + lead);
                let new = rearranged(graph, maps, id, view.shape(&wide), &places, axis);
                graph.nodes[at].inputs[position] = new.or(Some(id));
            }
        }
    }
    if let Some(op) = operator.under(view) {
        graph.nodes[at].op = op;
    }
}

/// Reorders the columns of dense layers' weights. A tensor of `shape`, flattened, comes in this order under
/// the view.
fn columns(graph: &mut Graph, maps: &Maps, dense: &[usize], shape: &[usize], view: &View) {
    // A row is one sample: the first dimension keeps its place, or has size 1.
    let mut row = shape.to_vec();
    row[0] = 1;
    let places = view.places(&row);
    for &at in dense {
        let Some(id) = graph.nodes[at].input(1) else { continue };
        let &[outputs, inputs] = graph.value(id).shape.as_slice() else { continue };
        let all: Vec<usize> = (0..outputs).flat_map(|o| places.iter().map(move |p| o * inputs + p)).collect();
        let new = rearranged(graph, maps, id, vec![outputs, inputs], &all, Some);
        graph.nodes[at].inputs[1] = new.or(Some(id));
    }
}

/// A constant with its elements rearranged, followed by a DEQUANTIZE of its own if it had one. `axis` is the
/// new dimension of its scales.
fn rearranged(
    graph: &mut Graph,
    maps: &Maps,
    id: ValueId,
    shape: Vec<usize>,
    places: &[usize],
    axis: impl Fn(usize) -> Option<usize>,
) -> Option<ValueId> {
    let dequantize = match graph.value(id).constant {
        Some(_) => None,
        None => Some(graph.nodes[*maps.writers.get(&id)?].clone()),
    };
    let source = match &dequantize {
        Some(node) => node.input(0)?,
        None => id,
    };
    let value = graph.value(source).clone();
    let quantization = match value.quantization {
        Some(q) if !q.is_per_tensor() => Some(Quantization { axis: axis(q.axis)?, ..q }),
        other => other,
    };
    let elements = pick(value.constant.as_ref()?, places);
    let new = add_constant(graph, value.name, shape.clone(), elements, quantization);
    let Some(node) = dequantize else { return Some(new) };
    let value = graph.value(id).clone();
    let result = graph.add_value(Value { shape, ..value });
    graph.nodes.push(Node { inputs: vec![Some(new)], outputs: vec![result], ..node });
    Some(result)
}

/// The elements at some places.
fn pick(constant: &Constant, places: &[usize]) -> Constant {
    fn at<T: Copy>(all: &[T], places: &[usize]) -> Vec<T> {
        places.iter().filter_map(|&p| all.get(p).copied()).collect()
    }
    match constant {
        Constant::F32(v) => Constant::F32(at(v, places)),
        Constant::I8(v) => Constant::I8(at(v, places)),
        Constant::U8(v) => Constant::U8(at(v, places)),
        Constant::I16(v) => Constant::I16(at(v, places)),
        Constant::I32(v) => Constant::I32(at(v, places)),
        Constant::I64(v) => Constant::I64(at(v, places)),
        Constant::Bool(v) => Constant::Bool(at(v, places)),
    }
}

/// Sorts nodes so that each comes after those whose results it reads; otherwise the order stays.
pub(super) fn sort(graph: &mut Graph) {
    let writers = graph.producers();
    let mut done = vec![false; graph.nodes.len()];
    let mut order = Vec::with_capacity(graph.nodes.len());
    for root in 0..graph.nodes.len() {
        let mut stack = vec![root];
        while let Some(&index) = stack.last() {
            if done[index] {
                stack.pop();
                continue;
            }
            let inputs = graph.nodes[index].inputs.iter().flatten();
            let open = inputs.filter_map(|id| writers.get(id)).find(|&&writer| !done[writer]);
            match open {
                Some(&writer) => stack.push(writer),
                None => {
                    done[index] = true;
                    order.push(index);
                    stack.pop();
                }
            }
        }
    }
    let mut nodes: Vec<Option<Node>> = std::mem::take(&mut graph.nodes).into_iter().map(Some).collect();
    graph.nodes = order.into_iter().filter_map(|index| nodes[index].take()).collect();
}
