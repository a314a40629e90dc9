//! Weights with a zero point. Where all are within an int8 of it, they become the distance from it.
//!
//! Weights beyond int8 (`ops::wide`) stay where layers have an operator for them. Of others, dense layers, transposed
//! convolutions and convolutions in groups, input elements
//! under such weights are copied behind the row that they are in, and the rest of the weight is theirs. Exact, and the layer is an int8 one then.

use super::rewrite::add_constant;
use crate::graph::Activation;
use crate::graph::{Concat, Constant, DType, Gather, Graph, Node, Op, Quantization, Value, ValueId};
use crate::ops::wide::{Rows, centred, distances, is_wide};

/// Widens rows; returns of how many layers.
pub(crate) fn run(graph: &mut Graph) -> usize {
    let mut count = 0;
    for mut node in std::mem::take(&mut graph.nodes) {
        count += usize::from(widen(graph, &mut node).is_some());
        graph.nodes.push(node);
    }
    count
}

fn widen(graph: &mut Graph, node: &mut Node) -> Option<()> {
    let (input, id) = (node.input(0)?, node.input(1)?);
    let (x, weights) = (graph.value(input).clone(), graph.value(id).clone());
    let weighs = matches!(
        node.op,
        Op::Conv2d(_) | Op::DepthwiseConv2d(_) | Op::FullyConnected(_) | Op::TransposeConv(_)
    );
    if !weighs || !is_wide(&weights) || x.dtype != DType::Int8 || x.constant.is_some() {
        return None;
    }
    if let Some(centred) = centred(&weights) {
        node.inputs[1] = Some(graph.add_value(centred));
        return Some(());
    }
    let &row = weights.shape.last()?;
    let &channels = x.shape.last()?;
    match node.op {
        Op::FullyConnected(_) | Op::TransposeConv(_) => {}
        Op::Conv2d(_) if row != channels => {}
        _ => return None,
    }
    if row == 0 || !x.elements().is_multiple_of(row) {
        return None;
    }
    let rows = Rows::of(&distances(&weights)?, row);
    let mut filter = weights.shape.clone();
    *filter.last_mut()? = rows.row;
    let quantization =
        weights.quantization.clone().map(|q| Quantization { zero_point: vec![0; q.scale.len()], ..q });
    let name = |word: &str| format!("{}/{word}", node.name);
    let wide = add_constant(graph, name("weights"), filter, Constant::I8(rows.weights), quantization);

    // As rows, with what is there again behind each, and in their dimensions again.
    let count = x.elements() / row;
    let value = |graph: &mut Graph, word: &str, shape: Vec<usize>| {
        graph.add_value(Value { name: name(word), shape, constant: None, ..x.clone() })
    };
    let places = Constant::I32(rows.places.iter().map(|&place| place as i32).collect());
    let places = add_constant(graph, name("places"), vec![rows.places.len()], places, None);
    let matrix = value(graph, "rows", vec![count, row]);
    let again = value(graph, "again", vec![count, rows.places.len()]);
    let joined = value(graph, "wide_rows", vec![count, rows.row]);
    let mut shape = x.shape.clone();
    match node.op {
        // Rows of a dense layer may be several dimensions.
        Op::FullyConnected(_) => shape = vec![count, rows.row],
        _ => *shape.last_mut()? = channels / row * rows.row,
    }
    let whole = value(graph, "input", shape);
    let concat = Op::Concat(Concat { axis: 1, activation: Activation::None });
    let gather = Op::Gather(Gather { axis: 1, batch_dims: 0 });
    let mut push = |word: &str, op, inputs: &[ValueId], output| {
        let inputs = inputs.iter().copied().map(Some).collect();
        graph.nodes.push(Node { name: name(word), op, inputs, outputs: vec![output] });
    };
    push("rows", Op::Reshape, &[input], matrix);
    push("again", gather, &[matrix, places], again);
    push("wide_rows", concat, &[matrix, again], joined);
    push("input", Op::Reshape, &[joined], whole);
    (node.inputs[0], node.inputs[1]) = (Some(whole), Some(wide));
    Some(())
}
