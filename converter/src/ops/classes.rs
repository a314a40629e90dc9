//! Which outputs say a class: the one definition for `convert`, `compare` and reports.

use super::of;
use super::operator::Scores;
use crate::graph::{DType, Graph, ValueId};

/// Whether an output is a vector of scores, one for each class, so that its largest element is an answer
/// that two models can agree on: two elements or more along one dimension, made by SOFTMAX, by LOG_SOFTMAX
/// or by a layer that sums products (scores before a softmax that the model leaves out). One number, a map,
/// a sequence, and elements that are functions of one number each (LOGISTIC, RELU, TANH, a factor) have none.
pub fn holds_classes(graph: &Graph, output: ValueId) -> bool {
    let value = graph.value(output);
    let vector = value.shape.last().is_some_and(|&last| last > 1 && last == value.elements());
    let real = value.dtype == DType::Float32 || value.quantization.is_some();
    let producers = graph.producers();
    let mut id = output;
    // Nodes come in order, so the walk back ends.
    while let (true, Some(node)) = (vector && real, producers.get(&id).map(|&index| &graph.nodes[index])) {
        let first = node.input(0);
        match of(&node.op).scores() {
            Scores::Own => return true,
            // A bias is a sum with a constant.
            Scores::Sum => {
                let operands = [first, node.input(1)];
                let mut computed =
                    operands.into_iter().flatten().filter(|&id| graph.value(id).constant.is_none());
                match (computed.next(), computed.next()) {
                    (Some(one), None) => id = one,
                    _ => return true,
                }
            }
            Scores::Operand => match first {
                Some(before) => id = before,
                None => return false,
            },
            Scores::None => return false,
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::graph::{
        Activation, Binary, BinaryKind, Constant, FullyConnected, Node, Op, Softmax, UnaryKind, Value,
    };

    const ADD: Op = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });

    /// Whether what the layers make, of `shape`, holds classes.
    fn classes(layers: &[Op], shape: &[usize]) -> bool {
        let mut graph = Graph::default();
        let value = |name: &str, constant: Option<Constant>| Value {
            name: name.into(),
            shape: shape.to_vec(),
            dtype: DType::Float32,
            quantization: None,
            constant,
        };
        let mut x = graph.add_value(value("x", None));
        graph.inputs = vec![x];
        for op in layers {
            let (c, y) =
                (graph.add_value(value("c", Some(Constant::F32(vec![])))), graph.add_value(value("y", None)));
            let two = matches!(op, Op::Binary(_) | Op::FullyConnected(_));
            let inputs = if two { vec![Some(x), Some(c)] } else { vec![Some(x)] };
            graph.nodes.push(Node { name: "n".into(), op: op.clone(), inputs, outputs: vec![y] });
            x = y;
        }
        graph.outputs = vec![x];
        holds_classes(&graph, x)
    }

    #[test]
    fn scores_are_classes_and_other_numbers_are_not() {
        let dense = Op::FullyConnected(FullyConnected { activation: Activation::None });
        let softmax = Op::Softmax(Softmax { beta: 1.0 });
        assert!(classes(&[dense.clone(), softmax.clone()], &[1, 3]));
        assert!(classes(std::slice::from_ref(&dense), &[1, 2]), "scores before a softmax that is left out");
        assert!(classes(&[dense.clone(), ADD, Op::Reshape], &[3]));
        assert!(!classes(std::slice::from_ref(&dense), &[1, 1]), "one number");
        assert!(!classes(&[softmax], &[1, 5, 3]), "a sequence");
        for kind in [UnaryKind::Logistic, UnaryKind::Relu, UnaryKind::Tanh] {
            assert!(!classes(&[dense.clone(), Op::Unary(kind)], &[1, 3]), "{kind:?}");
        }
        assert!(!classes(&[], &[1, 3]), "an input");
    }
}
