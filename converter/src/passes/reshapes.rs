//! RESHAPE moves behind functions of single elements, to meet other RESHAPEs there that undo it.
//!
//! ```text
//! conv -> reshape -> mul, add, relu -> reshape -> conv      conv -> mul, add, relu -> conv
//! ```
//! Formats that compute layers over one dimension as images of height 1 go back to rows after each
//! convolution, so that its batch norm and activation would not be found. A constant operand may be one
//! number, or one per channel where the reshape keeps the channels.

use super::rewrite::{add_constant, only_reader, producer};
use crate::graph::{DType, Graph, Node, Op, Value, ValueId};

/// Moves reshapes; returns how often.
pub(super) fn run(graph: &mut Graph) -> usize {
    let (mut count, mut index) = (0, 0);
    for index in 0..graph.nodes.len() {
        count += usize::from(read_rows(graph, index).is_some());
    }
    while index < graph.nodes.len() {
        match exchange(graph, index) {
            Some(()) => count += 1,
            None => index += 1,
        }
    }
    count
}

/// Lets the dense layer at `index`, which reads its input as rows, do so without a reshape that keeps them.
fn read_rows(graph: &mut Graph, index: usize) -> Option<()> {
    let node = &graph.nodes[index];
    let input = node.input(0).filter(|_| matches!(node.op, Op::FullyConnected { .. }))?;
    let before = &graph.nodes[producer(graph, input)?];
    let source = before.input(0).filter(|_| before.op == Op::Reshape)?;
    let row = |id: ValueId| graph.value(id).shape.last().copied();
    if graph.value(input).dtype != DType::Float32 || row(source) != row(input) {
        return None;
    }
    graph.nodes[index].inputs[0] = Some(source);
    Some(())
}

/// Exchanges the reshape at `index` with the only layer that reads it.
fn exchange(graph: &mut Graph, index: usize) -> Option<()> {
    let node = &graph.nodes[index];
    let (Op::Reshape, Some(source), &[reshaped]) = (&node.op, node.input(0), node.outputs.as_slice()) else {
        return None;
    };
    let at = only_reader(graph, reshaped)?;
    let layer = &graph.nodes[at];
    let &[result] = layer.outputs.as_slice() else { return None };
    let (from, to) = (graph.value(source).shape.clone(), graph.value(reshaped).shape.clone());
    // Integers are left as their model has them.
    let plain = graph.value(source).dtype == DType::Float32 && graph.value(source).constant.is_none();
    if !plain || from.is_empty() || graph.value(result).shape != to {
        return None;
    }
    let inputs = match layer.op {
        Op::Unary(_) => vec![Some(source)],
        Op::Binary { .. } => {
            let other = layer.inputs.iter().flatten().copied().find(|&id| id != reshaped)?;
            let other = spread(graph, other, &from, &to)?;
            let layer = &graph.nodes[at];
            layer.inputs.iter().map(|&id| Some(if id == Some(reshaped) { source } else { other })).collect()
        }
        _ => return None,
    };
    let name = format!("{}/unshaped", graph.value(result).name);
    let value = graph.add_value(Value {
        name,
        shape: from,
        dtype: DType::Float32,
        quantization: None,
        constant: None,
    });
    let layer = &mut graph.nodes[at];
    (layer.inputs, layer.outputs) = (inputs, vec![value]);
    let reshape = Node {
        name: format!("{}/reshape", layer.name),
        op: Op::Reshape,
        inputs: vec![Some(value)],
        outputs: vec![result],
    };
    graph.nodes.insert(at + 1, reshape);
    if let Some(kind) = graph.authored.remove(&result) {
        graph.authored.insert(value, kind);
    }
    graph.nodes.remove(index);
    Some(())
}

/// The constant `other` as an operand of elements of shape `from` instead of `to`, if it can be one.
fn spread(graph: &mut Graph, other: ValueId, from: &[usize], to: &[usize]) -> Option<ValueId> {
    let value = graph.value(other);
    let (constant, n) = (value.constant.clone()?, value.elements());
    let per_channel = value.shape.last() == Some(&n) && from.last() == Some(&n) && to.last() == Some(&n);
    if n != 1 && !per_channel {
        return None;
    }
    if value.shape.len() <= from.len() {
        return Some(other);
    }
    let name = value.name.clone();
    Some(add_constant(graph, name, vec![n], constant, None))
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Build, random_inputs};
    use super::*;
    use crate::graph::{Activation, BinaryKind, UnaryKind};
    use crate::reference::Executor;

    /// What is left of `reshape -> multiplication by a constant -> relu -> reshape back`.
    fn left(between: &[usize], constant: &[usize]) -> Vec<String> {
        let mut b = Build::new(&[1, 1, 6, 2]);
        let (input, factor) = (b.input(), b.constant(constant, |i| i as f32 - 0.5));
        let x = b.node(Op::Reshape, &[input], between);
        let op = Op::Binary { kind: BinaryKind::Mul, activation: Activation::None };
        let x = b.node(op, &[factor, x], between);
        let x = b.node(Op::Unary(UnaryKind::Relu), &[x], between);
        let x = b.node(Op::Reshape, &[x], &[1, 1, 6, 2]);
        let x = b.node(Op::Unary(UnaryKind::Abs), &[x], &[1, 1, 6, 2]);
        let mut graph = b.finish(x);
        let inputs = random_inputs(&graph, 3);
        let inputs: Vec<&[f32]> = inputs.iter().map(Vec::as_slice).collect();
        let before = Executor::new(&graph).unwrap().run(&inputs).unwrap();
        super::super::optimise(&mut graph);
        assert_eq!(before, Executor::new(&graph).unwrap().run(&inputs).unwrap());
        graph.nodes.iter().map(|node| node.op.name().to_string()).collect()
    }

    #[test]
    fn reshapes_meet_behind_what_reads_elements_one_by_one() {
        // The activation is fused.
        let all_gone = ["MUL", "ABS"];
        assert_eq!(left(&[1, 6, 2], &[2]), all_gone);
        assert_eq!(left(&[6, 2], &[1, 2]), all_gone);
        assert_eq!(left(&[12], &[1]), all_gone);
    }

    #[test]
    fn dense_layers_read_rows_of_any_shape() {
        let mut b = Build::new(&[1, 1, 1, 3]);
        let (input, weights) = (b.input(), b.constant(&[2, 3], |i| i as f32));
        let x = b.node(Op::Reshape, &[input], &[1, 3]);
        let y = b.dense(x, weights, 2);
        let mut graph = b.finish(y);
        assert_eq!(run(&mut graph), 1);
        assert_eq!(graph.nodes[1].input(0), Some(input));
        let result = Executor::new(&graph).unwrap().run(&[&[1.0, 2.0, 3.0]]).unwrap();
        assert_eq!(result, [[8.0, 26.0]]);
    }

    #[test]
    fn constants_of_other_dimensions_keep_them() {
        assert_eq!(left(&[1, 12], &[12])[..2], ["RESHAPE", "MUL"]);
        assert_eq!(left(&[6, 2], &[6, 1])[..2], ["RESHAPE", "MUL"]);
    }
}
