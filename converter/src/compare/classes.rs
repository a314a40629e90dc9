//! Which outputs of a model tell classes apart, so that an accuracy and an agreement mean something.
//!
//! | output | classes |
//! |---|---|
//! | of a softmax, also as logarithms | along its last dimension, for each row (pixel, step) by itself |
//! | of a logistic function, two elements or more in one dimension | its elements |
//! | of a linear layer, in the same way; the only output, no softmax, and not as long as an input | its elements: scores |
//! | any other: one number, a sequence, a picture, boxes, a reconstruction | none |

use crate::graph::{Activation, Graph, Node, Op, UnaryKind, ValueId};

/// For each output, between how many classes it chooses; none where there is nothing to choose. Elements of
/// an output are classes of the first row, classes of the second row, ….
pub fn classes(graph: &Graph) -> Vec<Option<usize>> {
    let producers = graph.producers();
    let end = |mut id: ValueId| loop {
        let node = &graph.nodes[*producers.get(&id)?];
        match node.op {
            Op::Reshape | Op::Quantize | Op::Dequantize => id = node.input(0)?,
            // Of a vector it changes nothing.
            Op::Transpose { .. } if vector(graph, id).is_some() => id = node.input(0)?,
            _ => return Some((node, *node.outputs.first()?)),
        }
    };
    let ends: Vec<Option<(&Node, ValueId)>> = graph.outputs.iter().map(|&id| end(id)).collect();
    let chooses = |(node, id): (&Node, ValueId)| match node.op {
        Op::Softmax { .. } | Op::LogSoftmax => graph.value(id).shape.last().copied().filter(|&n| n > 1),
        Op::Unary(UnaryKind::Logistic) => vector(graph, id),
        _ => None,
    };
    let mut found: Vec<Option<usize>> = ends.iter().map(|end| end.and_then(chooses)).collect();
    if let ([None], [Some((node, id))]) = (&found[..], &ends[..])
        && is_linear(node)
    {
        found[0] = vector(graph, *id)
            .filter(|&n| !graph.inputs.iter().any(|&input| graph.value(input).elements() == n));
    }
    found
}

/// The number of elements of a value that has more than one, all in one dimension.
fn vector(graph: &Graph, id: ValueId) -> Option<usize> {
    let mut wide = graph.value(id).shape.iter().copied().filter(|&n| n != 1);
    wide.next().filter(|_| wide.next().is_none())
}

/// Whether a layer is a weighted sum that nothing bends.
fn is_linear(node: &Node) -> bool {
    match &node.op {
        Op::FullyConnected { activation } | Op::Conv2d { activation, .. } => *activation == Activation::None,
        // A bias of its own, batch normalization, pooling of maps of scores.
        Op::Binary { activation, .. } | Op::Pool2d { activation, .. } => *activation == Activation::None,
        Op::BatchMatMul { .. } | Op::Reduce { .. } => true,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::passes::testing::Build;

    #[test]
    fn one_number_and_reconstructions_have_no_classes() {
        let dense = |inputs: usize, outputs: usize, then: Option<Op>| {
            let mut b = Build::new(&[1, inputs]);
            let weights = b.constant(&[outputs, inputs], |i| i as f32);
            let mut y = b.dense(b.input(), weights, outputs);
            if let Some(op) = then {
                y = b.node(op, &[y], &[1, outputs]);
            }
            classes(&b.finish(y))
        };
        let logistic = Op::Unary(UnaryKind::Logistic);
        let cases = [
            (dense(4, 3, None), Some(3)),
            (dense(4, 1, None), None),
            (dense(4, 4, None), None),
            (dense(4, 4, Some(Op::Softmax { beta: 1.0 })), Some(4)),
            (dense(4, 1, Some(Op::Softmax { beta: 1.0 })), None),
            (dense(4, 3, Some(logistic.clone())), Some(3)),
            (dense(4, 1, Some(logistic)), None),
            (dense(4, 3, Some(Op::Unary(UnaryKind::Tanh))), None),
        ];
        for (case, (found, want)) in cases.into_iter().enumerate() {
            assert_eq!(found, [want], "case {case}");
        }
    }

    #[test]
    fn pixels_choose_by_themselves_and_boxes_do_not() {
        let mut b = Build::new(&[1, 4, 4, 3]);
        let x = b.input();
        let scores = b.node(Op::Softmax { beta: 1.0 }, &[x], &[1, 4, 4, 3]);
        let flat = b.node(Op::Reshape, &[scores], &[1, 48]);
        let row = b.node(Op::Reshape, &[x], &[1, 48]);
        let weights = b.constant(&[4, 48], |i| i as f32);
        let boxes = b.dense(row, weights, 4);
        let mut graph = b.finish(flat);
        graph.outputs.push(boxes);
        assert_eq!(classes(&graph), [Some(3), None]);
    }
}
