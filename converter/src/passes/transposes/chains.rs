//! Merges views of views into as few nodes as possible, and removes views that change nothing.

use super::turn::{replace, sort};
use crate::graph::{DType, Graph, Op, Reduce};
use crate::ops::view::{View, origin};

/// Shortens chains; returns how often.
pub(super) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    let mut writers = graph.producers();
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let Some(own) = View::of(graph, node) else { continue };
        let result = node.outputs[0];
        let (source, view, length) = origin(graph, &writers, result);
        if length == 0 {
            // This is a view of a constant.
            continue;
        }
        let shape = &graph.value(source).shape;
        // A RESHAPE stays where no other node can write the value: between an input and an output of the
        // model, or between two outputs.
        let direct = node.input(0) == Some(source);
        let nothing = view.is_identity(shape);
        let single = view.keeps_order(shape) || view.permutation(shape.len()).is_some();
        let plain = direct && (matches!(node.op, Op::Reshape) || !own.keeps_order(shape));
        let long = !single && length > 2;
        let from_input = graph.is_source(source) || graph.is_output(source);
        let needed = nothing && graph.is_output(result) && from_input && direct;
        let read = graph.is_output(result) || graph.nodes.iter().any(|n| n.inputs.contains(&Some(result)));
        if read && (nothing && !needed || single && !plain && !nothing || long) {
            replace(graph, index, source, result, &view);
            writers = graph.producers();
            count += 1;
        }
    }
    if count > 0 {
        sort(graph);
        super::super::dead::run(graph);
    }
    count + drop_axes(graph)
}

/// If a RESHAPE removes the axes of a reduction, the reduction drops them itself.
fn drop_axes(graph: &mut Graph) -> usize {
    let mut count = 0;
    let mut index = 0;
    while index < graph.nodes.len() {
        let node = &graph.nodes[index];
        let result = node.outputs.first().copied();
        if let (Op::Reduce(Reduce { axes, keep_dims: true, .. }), Some(result)) = (&node.op, result)
            && let Some(reader) = super::super::rewrite::only_reader(graph, result)
            && matches!(graph.nodes[reader].op, Op::Reshape)
            && graph.value(result).dtype == DType::Float32
        {
            let kept = graph.value(result).shape.iter().enumerate();
            let left: Vec<usize> = kept.filter(|(d, _)| !axes.contains(d)).map(|(_, &n)| n).collect();
            let target = graph.nodes[reader].outputs.first().map(|&id| graph.value(id).shape.clone());
            if target == Some(left) {
                if let Op::Reduce(Reduce { keep_dims, .. }) = &mut graph.nodes[index].op {
                    *keep_dims = false;
                }
                super::super::rewrite::merge(graph, index, reader);
                count += 1;
            }
        }
        index += 1;
    }
    count
}
