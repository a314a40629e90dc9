//! RELU, RELU6 and RELU_N1_TO_1 after a layer that can clamp become that layer's activation. TRANSPOSE or
//! RESHAPE may stand between the two, because clamps commute with both.
//!
//! On quantized layers this is exact when the clamp's input and result have the same quantization:
//! TFLM's RELU then scales by exactly one and clamps to the integers of 0 and 6, which are the
//! bounds that the fused form computes. RELU_N1_TO_1 has no quantized kernel there, and stays.

use super::rewrite::Links;
use crate::graph::{
    Activation, Binary, BinaryKind, Conv2d, DType, DepthwiseConv2d, FullyConnected, Graph, Node, Op, Pool2d,
    TransposeConv, UnaryKind,
};

/// Fuses activations; returns how many.
pub(super) fn run(graph: &mut Graph) -> usize {
    let (mut count, mut index) = (0, 0);
    let mut links = Links::of(graph);
    while index < graph.nodes.len() {
        match fused(graph, &links, index) {
            Some(Fused { last, reader, activation }) => {
                if let Some(slot) = slot(&mut graph.nodes[index].op) {
                    *slot = activation;
                }
                links.merge(graph, last, reader);
                count += 1;
            }
            None => index += 1,
        }
    }
    links.sweep(graph);
    count
}

/// Where a clamp is fused.
struct Fused {
    /// The node that writes what the clamp reads: the layer itself, or the last node that moves its elements.
    last: usize,
    /// The clamp.
    reader: usize,
    activation: Activation,
}

/// The clamp that reads the node's result, and the activation that the node gets from it.
fn fused(graph: &Graph, links: &Links, index: usize) -> Option<Fused> {
    let node = &graph.nodes[index];
    let own = *slot(&mut node.op.clone())?;
    let &[mut result] = node.outputs.as_slice() else { return None };
    let (mut last, mut reader) = (index, links.only_reader(graph, result)?);
    while let (Op::Transpose(_) | Op::Reshape, &[moved]) =
        (&graph.nodes[reader].op, graph.nodes[reader].outputs.as_slice())
    {
        if graph.value(moved).quantization != graph.value(result).quantization {
            return None;
        }
        (last, result) = (reader, moved);
        reader = links.only_reader(graph, result)?;
    }
    let clamp: &Node = &graph.nodes[reader];
    let (before, after) = (graph.value(result), graph.value(clamp.outputs[0]));
    let exact = before.dtype == after.dtype
        && match before.dtype {
            DType::Float32 => true,
            DType::Int8 => {
                before.quantization == after.quantization && clamp.op != Op::Unary(UnaryKind::ReluN1To1)
            }
            _ => false,
        };
    let wanted = match clamp.op {
        Op::Unary(UnaryKind::Relu) => Activation::Relu,
        Op::Unary(UnaryKind::Relu6) => Activation::Relu6,
        Op::Unary(UnaryKind::ReluN1To1) => Activation::ReluN1To1,
        _ => return None,
    };
    let activation = both(own, wanted)?;
    exact.then_some(Fused { last, reader, activation })
}

/// One activation that equals two in a row.
fn both(first: Activation, second: Activation) -> Option<Activation> {
    use Activation::{None as Free, Relu, Relu6};
    match (first, second) {
        (Free, any) => Some(any),
        (a, b) if a == b => Some(a),
        (Relu, Relu6) | (Relu6, Relu) => Some(Relu6),
        _ => None,
    }
}

/// The activation field of operators whose kernels clamp.
fn slot(op: &mut Op) -> Option<&mut Activation> {
    match op {
        Op::Conv2d(Conv2d { activation, .. })
        | Op::DepthwiseConv2d(DepthwiseConv2d { activation, .. })
        | Op::FullyConnected(FullyConnected { activation })
        | Op::TransposeConv(TransposeConv { activation, .. })
        | Op::Pool2d(Pool2d { activation, .. }) => Some(activation),
        Op::Binary(Binary {
            kind: BinaryKind::Add | BinaryKind::Sub | BinaryKind::Mul | BinaryKind::Div,
            activation,
        }) => Some(activation),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::Build;
    use super::*;
    use crate::graph::{Quantization, Transpose};

    fn add_then(kinds: &[UnaryKind], scales: Option<[f32; 2]>) -> Graph {
        let mut b = Build::new(&[4]);
        let add = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
        let mut x = b.node(add, &[b.input(), b.input()], &[4]);
        let set = |b: &mut Build, id, i: usize| {
            if let Some(scales) = scales {
                b.graph.value_mut(id).dtype = DType::Int8;
                b.graph.value_mut(id).quantization = Some(Quantization::per_tensor(scales[i], -5));
            }
        };
        set(&mut b, x, 0);
        for &kind in kinds {
            x = b.node(Op::Unary(kind), &[x], &[4]);
            set(&mut b, x, 1);
        }
        b.finish(x)
    }

    #[test]
    fn clamps_move_into_the_layer_before() {
        let mut graph = add_then(&[UnaryKind::Relu, UnaryKind::Relu6], None);
        assert_eq!(run(&mut graph), 2);
        assert_eq!(
            graph.nodes[0].op,
            Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::Relu6 })
        );
        assert_eq!(graph.nodes[0].name, "relu6_2");
        assert_eq!(graph.nodes[0].outputs, graph.outputs);
    }

    #[test]
    fn clamps_that_do_not_compose_stay() {
        assert_eq!(run(&mut add_then(&[UnaryKind::ReluN1To1, UnaryKind::Relu], None)), 1);
        assert_eq!(run(&mut add_then(&[UnaryKind::Tanh], None)), 0);
    }

    #[test]
    fn quantized_clamps_only_move_between_equal_quantizations() {
        assert_eq!(run(&mut add_then(&[UnaryKind::Relu], Some([0.1, 0.1]))), 1);
        assert_eq!(run(&mut add_then(&[UnaryKind::Relu], Some([0.1, 0.05]))), 0);
        assert_eq!(run(&mut add_then(&[UnaryKind::ReluN1To1], Some([0.1, 0.1]))), 0);
    }

    #[test]
    fn clamps_pass_what_moves_elements() {
        let mut b = Build::new(&[2, 3]);
        let add = Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::None });
        let x = b.node(add, &[b.input(), b.input()], &[2, 3]);
        let x = b.node(Op::Transpose(Transpose { permutation: vec![1, 0] }), &[x], &[3, 2]);
        let x = b.node(Op::Reshape, &[x], &[6]);
        let x = b.node(Op::Unary(UnaryKind::Relu), &[x], &[6]);
        let mut graph = b.finish(x);
        let before = graph.clone();
        assert_eq!(run(&mut graph), 1);
        assert_eq!(graph.nodes.len(), 3);
        assert_eq!(
            graph.nodes[0].op,
            Op::Binary(Binary { kind: BinaryKind::Add, activation: Activation::Relu })
        );
        let run = |g: &Graph| {
            let executor = crate::reference::Executor::new(g).unwrap();
            executor.run(&[&[-1.0, 2.0, -3.0, 4.0, 5.0, -6.0]]).unwrap()
        };
        assert_eq!(run(&before), run(&graph));
    }

    #[test]
    fn a_result_that_others_read_is_left_alone() {
        let mut graph = add_then(&[UnaryKind::Relu], None);
        let sum = graph.nodes[0].outputs[0];
        graph.outputs.push(sum);
        assert_eq!(run(&mut graph), 0);
    }
}
